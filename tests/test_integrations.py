"""The files that users copy into their pipelines: what they run, and that nothing can slip in."""

import json
import os
import re
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

ROOT = Path(__file__).parent.parent
HOME = ROOT / "integrations"
ACTION = yaml.safe_load((HOME / "github" / "action.yml").read_text(encoding="utf-8"))
GATE = ACTION["runs"]["steps"][-1]
GITLAB = HOME / "gitlab" / "governance.gitlab-ci.yml"
JENKINS = (HOME / "jenkins" / "Jenkinsfile").read_text(encoding="utf-8")

#: A program that writes down how it was called, and exits as it is told to.
STUB = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(int(os.environ.get("CODE", "0")))
"""


@pytest.fixture
def bash(tmp_path):
    """Runs a script with that program on its path; gives its exit code and the calls it made."""
    program = tmp_path / "bin" / "governance"
    program.parent.mkdir()
    program.write_text(STUB)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    calls = tmp_path / "calls"

    def run(script, *arguments, **variables):
        calls.write_text("")
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "CALLS": str(calls), **variables}
        ended = subprocess.run(
            ["/bin/bash", "-eo", "pipefail", "-c", script, *arguments],
            env=environment, cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
        return ended.returncode, [json.loads(line) for line in calls.read_text().splitlines()]

    return run


def inputs(**changes):
    """Environment of the step that asks the gate, from the action's own defaults."""
    given = {"model-uri": "models:/retina/7", "keys": "keyring.toml", **changes}
    return {
        variable: given.get(name, ACTION["inputs"][name].get("default", ""))
        for variable, value in GATE["env"].items()
        for name in re.findall(r"^\$\{\{ inputs\.([a-z-]+) \}\}$", value)
    }


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("github-actions", HOME / "github" / "action.yml"),
        ("github-workflows", HOME / "github" / "workflow.yml"),
        ("gitlab-ci", GITLAB),
    ],
)
def test_the_schema_of_the_service_accepts_the_file(schema, path):
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{schema}.json"
    validator = Draft7Validator(json.loads(vendored.read_text(encoding="utf-8")))
    # YAML 1.1 reads the key `on` as true.
    content = {
        "on" if key is True else key: value
        for key, value in yaml.safe_load(path.read_text()).items()
    }

    assert [error.message for error in validator.iter_errors(content)] == []


@pytest.mark.parametrize("name", ["action.yml", "workflow.yml"])
def test_nothing_from_outside_is_pasted_into_a_command(name):
    text = (HOME / "github" / name).read_text(encoding="utf-8")
    steps = [step for step in every_step(yaml.safe_load(text)) if "run" in step]

    assert steps
    assert not any("${{" in step["run"] for step in steps)


def every_step(content):
    """All steps of an action or a workflow, wherever they stand."""
    if isinstance(content, dict):
        yield from content.get("steps", ())
        for value in content.values():
            yield from every_step(value)


def test_groovy_expands_nothing_in_the_command_of_jenkins():
    (command,) = re.findall(r"script: (.)governance gate .*\1$", JENKINS, re.MULTILINE)

    assert command == "'"


@pytest.mark.parametrize(
    ("fail_on", "codes"),
    [
        ("review", {0: 0, 10: 10, 20: 20, 30: 30, 40: 40, 2: 2, 3: 3}),
        ("undetermined", {0: 0, 10: 10, 20: 0, 30: 30, 40: 40, 2: 2, 3: 3}),
        ("rejected", {0: 0, 10: 10, 20: 0, 30: 0, 40: 40, 2: 2, 3: 3}),
        ("never", dict.fromkeys((0, 10, 20, 30, 40, 2, 3), 2)),
    ],
)
def test_the_action_fails_from_the_verdict_on_that_is_named(bash, fail_on, codes):
    environment = inputs(**{"fail-on": fail_on})

    found = {code: bash(GATE["run"], CODE=str(code), **environment)[0] for code in codes}

    assert found == codes


HOSTILE = "$(touch hacked) `touch hacked`; touch hacked # --keys=mine \"' --json"


def test_the_action_always_checks_signatures_and_takes_values_as_they_are(bash, tmp_path):
    given = {name: f"{HOSTILE} {name}" for name in ACTION["inputs"] if name != "fail-on"}

    code, calls = bash(GATE["run"], **inputs(**given))

    assert code == 0
    assert calls == [
        [
            "gate",
            f"--keys={HOSTILE} keys",
            f"--policy-path={HOSTILE} policy-path",
            f"--sarif={HOSTILE} sarif",
            f"--junit={HOSTILE} junit",
            "--github",
            "--",
            f"{HOSTILE} model-uri",
        ]
    ]
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("service", ["gitlab", "jenkins"])
def test_templates_always_check_signatures_and_take_values_as_they_are(bash, tmp_path, service):
    if service == "gitlab":
        (script,) = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))[".governance-gate"]["script"]
        names = ("GOVERNANCE_MODEL_URI", "GOVERNANCE_KEYRING")
    else:
        (script,) = re.findall(r"script: '(governance gate .*)'$", JENKINS, re.MULTILINE)
        names = ("MODEL_URI", "KEYRING")
    values = {names[0]: HOSTILE, names[1]: HOSTILE, "GOVERNANCE_POLICY_PATH": HOSTILE}

    code, ((*options, last),) = bash(script, **values)

    assert (code, last, options[-1]) == (0, HOSTILE, "--")
    assert f"--keys={HOSTILE}" in options
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("missing", ["GOVERNANCE_MODEL_URI", "GOVERNANCE_KEYRING"])
def test_a_variable_that_is_not_set_ends_the_job_of_gitlab(bash, missing):
    (script,) = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))[".governance-gate"]["script"]
    values = {"GOVERNANCE_MODEL_URI": "models:/retina/7", "GOVERNANCE_KEYRING": "k", missing: ""}

    code, calls = bash(script, **values)

    assert code != 0
    assert calls == []


def test_the_hook_checks_every_policy_and_tells_the_last_failure(bash):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    name = "$(touch hacked) policy.toml"

    code, calls = bash(f'{hook["entry"]} "$@"', "hook", "policy.toml", name, CODE="2")

    assert code == 2
    assert calls == [["policy", "check", "--", item] for item in ("policy.toml", name)]
    assert re.search(hook["files"], "ml/policy-retina.toml")
    assert not re.search(hook["files"], "pyproject.toml")


def test_options_that_the_files_use_are_those_of_the_program():
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    section = page.partition("## `governance gate`")[2].partition("\n## ")[0]
    used = {
        option
        for text in (GATE["run"], GITLAB.read_text(encoding="utf-8"), JENKINS)
        for option in re.findall(r"(?<![\w-])--[a-z-]{3,}", text)
    }

    assert used
    assert [option for option in sorted(used) if f"`{option}" not in section] == []
