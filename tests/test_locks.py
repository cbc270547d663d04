"""The lock files are complete, agree with pyproject.toml, and name neither an index nor a path."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def script(name):
    """A script of `ci/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOCK, LICENCES = script("lock"), script("licences")


def pins(name):
    """Version by package of a lock file."""
    return {canonicalize_name(package): version for package, version, _ in LICENCES.pinned(name)}


@pytest.mark.parametrize("name", LOCK.LOCKS)
def test_every_package_has_hashes_and_no_line_names_a_place(name):
    text = (ROOT / name).read_text(encoding="utf-8")

    assert len(pins(name)) > 90
    assert [package for package, _, hashes in LICENCES.pinned(name) if not hashes] == []
    assert "://" not in text
    assert not re.search(r"^(-|[^#\s]*@)", text, flags=re.MULTILINE)
    lines = re.findall(r"^[^#\s].*", text, flags=re.MULTILINE)
    assert len(lines) == len(pins(name))


@pytest.mark.parametrize("name", LOCK.LOCKS)
def test_every_requirement_of_the_project_is_met(name):
    base, extras, _ = LOCK.LOCKS[name]
    found = pins(name)
    for line in LOCK.requirements(base, extras):
        requirement = Requirement(line)
        version = found.get(canonicalize_name(requirement.name))
        assert version is not None, f"{name}: {line} is missing; run: make lock"
        assert version in requirement.specifier, f"{name}: {line}; run: make lock"


def test_all_files_name_the_same_versions():
    first = next(iter(LOCK.LOCKS))
    for name in LOCK.LOCKS:
        if name != "requirements-benchmarks.lock":  # which has packages of its own
            assert pins(name).items() <= pins(first).items()
        shared = pins(name).keys() & pins(first).keys()
        assert {package: pins(name)[package] for package in shared} == {
            package: pins(first)[package] for package in shared
        }


def test_every_extra_is_locked_for_tests_or_left_out_on_purpose():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert set(project["optional-dependencies"]) > LOCK.UNTESTED


def test_the_lists_are_made_for_every_python_that_is_said_to_be_supported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [line.rpartition(" :: ")[2] for line in project["classifiers"] if ":: 3." in line]

    assert named == list(LOCK.PYTHONS)
    assert project["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize(
    "text",
    ["GPL-3.0-or-later", "AGPL-3.0", "LGPL-2.1", "GNU Lesser General Public License v3 (LGPLv3)",
     "BUSL-1.1", "Business Source License 1.1", "CC-BY-NC-4.0", "SSPL", "not declared",
     "MIT with Commons Clause"],
)  # fmt: skip
def test_a_licence_that_asks_too_much_is_named(text):
    assert LICENCES.refused([("p", "1", text)]) == [f"p==1: {text}"]


@pytest.mark.parametrize("text", ["MIT", "BSL-1.0", "Apache-2.0", "MPL-2.0 AND MIT", "BSD License"])
def test_a_licence_that_is_accepted_is_not(text):
    assert LICENCES.refused([("p", "1", text)]) == []


def test_every_licence_of_what_runs_in_production_is_accepted():
    assert LICENCES.refused(LICENCES.listed()) == []
