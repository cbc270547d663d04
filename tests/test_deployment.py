"""The pages about deployment: what they show is run as far as this machine can, else checked."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import kubernetes_validate
import numpy as np
import pytest
import servers
import yaml
from cryptography.fernet import Fernet
from forked import Forked
from PIL import Image

from governance.approval import Keyring
from governance.approval.protection import Protection
from governance.approval.tags import APPROVAL
from governance.worker.config import WorkerConfig

DOCS = Path(__file__).parents[1] / "docs"
PROGRAMS = Path(sys.executable).parent
KUBERNETES = "1.34"
BASH = shutil.which("bash")


def blocks(page, language):
    """What a page shows in one language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def block(page, language, words):
    """The one block of a page that holds these words."""
    (found,) = (text for text in blocks(page, language) if words in text)
    return found


def environment(**variables):
    """A new shell's, with the programs that the pages call; tests before set MLflow's variables."""
    shell = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    return {
        **shell, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "USER": "ann",
        "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **variables,
    }  # fmt: skip


def run(script, folder, **variables):
    """Run a script as a person types it; its output."""
    done = subprocess.run(
        [BASH, "-euo", "pipefail", "-c", script], cwd=folder, env=environment(**variables),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def typed(script, folder, **variables):
    """Run commands of ours, one a line, as a person types them; their output.

    They are forked where their modules are imported already, which saves each five seconds.
    """
    output = folder / "typed.log"
    output.unlink(missing_ok=True)
    for line in script.strip().splitlines():
        program, *arguments = shlex.split(line)
        assert program == "governance"
        forked = Forked(arguments, cwd=folder, log=output, env=environment(**variables))
        assert forked.wait(120) == 0, output.read_text()
    return output.read_text()


@contextmanager
def working(arguments, folder, log, **variables):
    """A worker in the background, killed with all that it started if it still runs."""
    process = Forked(arguments, cwd=folder, log=log, env=environment(**variables))
    try:
        yield process
    finally:
        if process.poll() is None:
            servers.end(process)


@contextmanager
def running(command, folder, log, **variables):
    """A command in the background, ended with all that it started."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, start_new_session=True,
            env=environment(**variables),
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            servers.end(process)


@contextmanager
def answering(command, folder, log, address, **variables):
    """A server in the background that answers at its address."""
    with running(command, folder, log, **variables) as process:
        servers._wait_until_healthy(process, address, log)
        yield process


def ended_politely(process):
    """The exit code after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


def told(log, words, seconds=90):
    """Wait until a log holds some words."""
    until = time.monotonic() + seconds
    while words not in log.read_text():
        assert time.monotonic() < until, log.read_text()[-3000:]
        time.sleep(0.2)


def labelled_images(folder):
    """As many as a policy needs that expects something of every class."""
    rng = np.random.default_rng(0)
    for name in ("healthy", "ill"):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(rng.integers(0, 256, (30, 8, 8), dtype=np.uint8)):
            Image.fromarray(image).save(folder / name / f"{number}.png")


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.worker
def test_the_laptop_page_runs_as_it_stands(tmp_path):
    page, port = "how-to/deploy-laptop.md", servers.free_port()
    _, start, _, check, look, use = blocks(page, "sh")
    folder, log = tmp_path / "governed", tmp_path / "up.log"
    command = [*shlex.split(start), "--port", str(port)]
    with running(command, tmp_path, log) as up:
        told(log, "is the starter policy, so no version is assessed yet")
        shown = typed(look, tmp_path)
        assert "is refused" in shown
        assert "models: 0" in shown
        # There is no such model: the command is read, and says so.
        with pytest.raises(AssertionError, match="no registered model 'retina'"):
            typed(use.splitlines()[0], tmp_path)
        # The policy is edited before its images are there, and the worker starts once they are.
        policy = folder / "policy.toml"
        policy.write_text(policy.read_text().replace("Release policy", "My policy"))
        told(log, "cannot be used yet, so no version is assessed:")
        labelled_images(folder / "validation")
        typed(check, tmp_path)
        told(log, "The worker starts, and assesses every version.")
        environment_of_client = environment(MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}")
        subprocess.run(
            [sys.executable, "-c", f"from mlflow import MlflowClient\n{REGISTERED}"], check=True,
            env=environment_of_client, cwd=tmp_path, timeout=120,
        )  # fmt: skip
        told(log, "models:/m/1: undetermined")  # it has no files
        assert ended_politely(up) == 0, log.read_text()
    assert "takes up where it was" in log.read_text()
    assert servers.working_in(folder) == []


#: A version without files, which a worker without a policy for it signs as undetermined at once.
REGISTERED = """
client = MlflowClient()
client.create_registered_model("m")
model = client.create_logged_model(client.create_experiment("e")).model_id
client.create_model_version("m", f"models:/{model}", model_id=model)
"""


def unit(page, words, places):
    """Command, folder and variables of a systemd unit, with this machine's places."""
    text = block(page, "ini", words)
    for name, place in places.items():
        text = text.replace(name, place)
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(text.replace("\\\n", " "))
    service = parser["Service"]
    file = Path(service["EnvironmentFile"]).read_text()
    variables = dict(line.split("=", 1) for line in file.splitlines())
    return shlex.split(service["ExecStart"]), Path(service["WorkingDirectory"]), variables


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.worker
def test_the_team_page_runs_with_other_folders_and_one_user(tmp_path):
    page = "how-to/deploy-team-server.md"
    port, webhooks, monitoring = (str(servers.free_port()) for _ in range(3))
    places = {
        "/srv/": f"{tmp_path}/srv/", "/opt/mlflow/bin/": f"{PROGRAMS}/",
        "/opt/governance/bin/": f"{PROGRAMS}/", "5000": port, "8085": webhooks, "8086": monitoring,
        'confinement = "required"': 'confinement = "if possible"',
        'models = "*"': 'models = "none like this"',  # which the worker says at once
    }  # fmt: skip

    def here(text):
        for name, place in places.items():
            text = text.replace(name, place)
        return re.sub(r"-o \w+ -g \w+ ", "", text)

    (tmp_path / "srv").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sudo").write_text('#!/bin/sh\n[ "$1" = -u ] && shift 2\nexec "$@"\n')
    (tmp_path / "bin/sudo").chmod(0o755)
    run(f'PATH="{tmp_path}/bin:$PATH"\n' + here(block(page, "sh", "sudo install")), tmp_path)
    server, rules, own = (
        tmp_path / "srv" / name for name in ("mlflow", "mlflow-rules", "governance")
    )
    assert (server / "environment").stat().st_mode & 0o777 == 0o600
    password = "a long password for tests"  # noqa: S105 - of a server that lives for a minute
    (rules / "governance.toml").write_text(here(block(page, "toml", "[registry]")))
    (own / "governance.toml").write_text(here(block(page, "toml", "[worker]")))
    (own / "policy.toml").write_text((DOCS.parent / "templates/policy.toml").read_text())
    (own / "worker.password").write_text(f"{password}\n")
    # Hashing the password anew for each request takes most of the time.
    hashed_once = "auth_cache_ttl_seconds = 600\n"
    (server / "auth.ini").write_text(here(block(page, "ini", "basic_auth.db")) + hashed_once)
    secrets = {
        "PASSWORD": password,
        "FLASK": "x" * 32,
        "ENCRYPTION": Fernet.generate_key().decode(),
    }

    def filled(text):
        for word, secret in secrets.items():
            text = re.sub(rf"^(\w*{word}\w*)=\.\.\.$", rf"\1={secret}", text, flags=re.MULTILINE)
        return here(text)

    (server / "environment").write_text(filled(block(page, "ini", "MLFLOW_FLASK")))
    (own / "environment").write_text(filled(block(page, "ini", "MLFLOW_TRACKING_PASSWORD")))
    run(here(block(page, "sh", "webhook.secret")), own)
    admin = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": password,
    }  # fmt: skip

    command, folder, variables = unit(page, "mlflow server", places)
    command += ["--workers", "1"]
    log = tmp_path / "server.log"
    with answering(command, folder, log, admin["MLFLOW_TRACKING_URI"], **variables):
        assert (server / "basic_auth.db").exists()
        scripts = [here(block(page, "python", words)) for words in ("AuthServiceClient", "webhook")]
        subprocess.run(
            [sys.executable, "-c", "\n".join([*scripts, REGISTERED])], cwd=own, check=True,
            env=environment(**admin), timeout=120,
        )  # fmt: skip
        command, folder, variables = unit(page, "governance worker", places)
        log = tmp_path / "worker.log"
        with working(command[1:], folder, log, **variables) as worker:
            told(log, '"undetermined"')
            doctor = here(block(page, "sh", "governance doctor"))
            shown = typed(f"{doctor.rstrip()} --json", own, **admin)
            assert ended_politely(worker) == 0, log.read_text()
    states = {item["about"]: item["state"] for item in json.loads(shown)["findings"]}
    assert states["stamp"] == states["alias"] == states["webhook"] == "ok"
    assert states["signatures"] == "ok"  # the worker's login may write what it signed
    assert APPROVAL in shown or "verify with the keyring" in shown


def test_the_secrets_of_the_compose_page_are_nobody_elses(tmp_path):
    run(block("how-to/deploy-docker-compose.md", "sh", "umask 077"), tmp_path)

    files = list((tmp_path / "secrets").iterdir())
    stack = yaml.safe_load(block("how-to/deploy-docker-compose.md", "yaml", "services:"))
    by_hand = {"store.json", "s3.ini"}
    assert {item.name for item in files} | by_hand == {
        Path(item["file"]).name for item in stack["secrets"].values()
    }
    assert {item.stat().st_mode & 0o777 for item in files} == {0o600}
    assert Fernet((tmp_path / "secrets/fernet").read_text().strip())
    assert len((tmp_path / "secrets/webhook").read_bytes()) >= 16
    assert Keyring.load(tmp_path / "worker/keyring.toml").keys
    assert (tmp_path / "server").stat().st_mode & 0o055 == 0o055


def test_all_that_the_compose_file_names_exists_and_every_service_is_watched():
    stack = yaml.safe_load(block("how-to/deploy-docker-compose.md", "yaml", "services:"))

    for service in stack["services"].values():
        assert {"healthcheck", "mem_limit", "restart", "networks"} <= set(service)
        assert set(service["networks"]) <= set(stack["networks"])
        assert set(service["secrets"]) <= set(stack["secrets"])
        volumes = [item.partition(":")[0] for item in service["volumes"]]
        assert {item for item in volumes if not item.startswith("./")} <= set(stack["volumes"])
        assert set(service.get("depends_on", {})) <= set(stack["services"])
        image = service.get("image") or service["build"]["args"]["PYTHON_IMAGE"]
        assert re.fullmatch(r"\$\{\w+:\?[^}]*digest[^}]*\}", image)
    used = {name for service in stack["services"].values() for name in service["secrets"]}
    assert used == set(stack["secrets"])
    shown = block("how-to/deploy-docker-compose.md", "ini", "PYTHON_IMAGE")
    assert all("@sha256:" in line for line in shown.splitlines())


def test_the_scripts_in_the_compose_file_are_ones():
    stack = yaml.safe_load(block("how-to/deploy-docker-compose.md", "yaml", "services:"))
    scripts = [item["command"][-1] for item in stack["services"].values()
               if isinstance(item.get("command"), list)]  # fmt: skip

    assert len(scripts) == 2
    for script in scripts:
        subprocess.run(["sh", "-n", "-c", script.replace("$$", "$")], check=True)  # noqa: S607


def manifests():
    """Every object of the page about Kubernetes."""
    (text,) = blocks("how-to/deploy-kubernetes.md", "yaml")
    return [pytest.param(item, id=f"{item['kind']} {item['metadata']['name']}")
            for item in yaml.safe_load_all(text)]  # fmt: skip


@pytest.mark.parametrize("manifest", manifests())
def test_every_manifest_fits_its_schema(manifest):
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("manifest", manifests())
def test_all_that_a_pod_names_exists_and_it_is_confined(manifest):
    specification = manifest.get("spec", {})
    specification = specification.get("jobTemplate", {}).get("spec", specification)
    if "template" not in specification:
        return
    pod = specification["template"]["spec"]
    maps = {item.values[0]["metadata"]["name"] for item in manifests()
            if item.values[0]["kind"] == "ConfigMap"}  # fmt: skip

    assert pod["securityContext"]["runAsNonRoot"]
    named = {item["name"] for item in pod["volumes"]}
    assert {item["configMap"]["name"] for item in pod["volumes"] if "configMap" in item} <= maps
    for container in pod["containers"]:
        assert {item["name"] for item in container["volumeMounts"]} == named
        assert re.search(r"@sha256:0{64}$", container["image"])
        assert set(container["resources"]) == {"requests", "limits"}
        assert container["securityContext"]["readOnlyRootFilesystem"]
        ports = {item["name"] for item in container.get("ports", ())}
        probes = [value for name, value in container.items() if name.endswith("Probe")]
        assert {item["httpGet"]["port"] for item in probes} <= ports
        assert manifest["kind"] == "CronJob" or len(probes) == 3


def test_the_configurations_of_the_cluster_are_read(tmp_path):
    maps = {item.values[0]["metadata"]["name"]: item.values[0]["data"] for item in manifests()
            if item.values[0]["kind"] == "ConfigMap"}  # fmt: skip
    for name, data in maps.items():
        (tmp_path / name).mkdir()
        for file, text in data.items():
            (tmp_path / name / file).write_text(text)

    assert Protection.at(tmp_path / "governance-server/governance.toml").problem is None
    assert (
        WorkerConfig.load(tmp_path / "governance-worker/governance.toml").confinement
        == "if possible"
    )
