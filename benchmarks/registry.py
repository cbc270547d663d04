"""What the governed registry store costs beside MLflow's own.

Both stores, on databases of their own, are called in turn with the same calls, in an order drawn
anew each round, first in this process and then through one MLflow server each. Told are medians and
the ratio of the medians with a bootstrap interval over rounds. Then 100 versions are registered at
once on the governed server, and those that are `pending` are counted.

`python benchmarks/registry.py --help` lists the options; the results of one run are in
`benchmarks/results/registry.md`.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mlflow import MlflowClient, __version__
from numpy.typing import NDArray

from governance.approval import Keyring, PrivateKey, Statement, sign
from governance.methods.statistics.intervals import bootstrap
from governance.records.version_ref import VersionRef

BURST = 100
Call = Callable[[MlflowClient, int], object]
Seconds = NDArray[np.float64]


def office(folder: Path) -> PrivateKey:
    """The rules of a server in a folder, and the key of its assessor."""
    key = PrivateKey.new(folder / "assessor.pem")
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    Keyring.add(
        folder / "keyring.toml", key.public(owner="worker", role="assessor", not_before=start)
    )
    (folder / "governance.toml").write_text('keyring = "keyring.toml"\n')
    return key


def approve(client: MlflowClient, key: PrivateKey) -> None:
    """Make version 1 of `model` one that protected aliases may point to."""
    version = client.get_model_version("model", "1")
    statement = Statement(
        kind="verdict",
        ref=VersionRef(name="model", version="1", created=version.creation_timestamp),
        source=version.source,
        issued=int(time.time()),
        expires=int(time.time()) + 24 * 3600,
        verdict="approved",
        artifact_digest="sha256:" + "a" * 64,
        model_digest="sha256:" + "b" * 64,
        policy_digest="sha256:" + "c" * 64,
        policy_fixed=int(time.time()),
        assessment_digest="sha256:" + "d" * 64,
    )
    client.set_model_version_tag("model", "1", "governance.approval", sign(statement, key))


def calls(source: str, model_id: str | None) -> dict[str, Call]:
    """The calls that are compared, by what they do."""
    return {
        "register a version": lambda client, _: client.create_model_version(
            "model", source, model_id=model_id
        ),
        "set a tag": lambda client, i: client.set_model_version_tag("model", "1", "team", str(i)),
        "set an open alias": lambda client, _: client.set_registered_model_alias(
            "model", "candidate", "1"
        ),
        "set a protected alias (approved)": lambda client, _: client.set_registered_model_alias(
            "model", "champion", "1"
        ),
        "search versions": lambda client, _: client.search_model_versions(
            "name = 'model'", max_results=20
        ),
    }


def compare(
    plain: MlflowClient, governed: MlflowClient, compared: dict[str, tuple[Call, Call]], rounds: int
) -> dict[str, Seconds]:
    """Seconds of each call, (rounds, 2): plain and governed."""
    rng = np.random.default_rng(0)
    seconds = {name: np.zeros((rounds, 2)) for name in compared}
    clients = (plain, governed)
    for name, pair in compared.items():
        for index in range(-3, rounds):  # the first three are for warming up
            for which in rng.permutation(2):
                start = time.perf_counter()
                pair[which](clients[which], index)
                if index >= 0:
                    seconds[name][index, which] = time.perf_counter() - start
    return seconds


def row(name: str, seconds: Seconds) -> str:
    """One line of a table: medians, their ratio, and its interval."""
    found = bootstrap(ratio, seconds, seed=1)
    ends = "" if found is None else f" [{found.low:.3f}, {found.high:.3f}]"
    plain, governed = np.median(seconds, axis=0) * 1e3
    return (
        f"| {name} | {len(seconds)} | {plain:.1f} | {governed:.1f} | {ratio(seconds):.3f}{ends} |"
    )


def ratio(seconds: Seconds) -> float:
    """Of the governed median to the plain one."""
    plain, governed = np.median(seconds, axis=0)
    return float(governed / plain)


@contextmanager
def server(folder: Path, registry: str) -> Iterator[str]:
    """A real MLflow server in a folder; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"),
        *("--port", address.rpartition(":")[2], "--registry-store-uri", registry),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
        *("--uvicorn-opts", "--timeout-worker-healthcheck 120"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()  # noqa: S310 - our own
                break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def measured(
    places: dict[str, tuple[MlflowClient, ...]], key: PrivateKey, rounds: int
) -> Iterator[tuple[str, list[str]]]:
    """Tables of all comparisons, by place."""
    for place, clients in places.items():
        pairs = []
        for client in clients:
            client.create_registered_model("model")
            model_id = None
            source = "/nowhere/model"
            if "server" in place:
                model_id = client.create_logged_model("0").model_id
                source = f"models:/{model_id}"
            client.create_model_version("model", source, model_id=model_id)
            pairs.append(calls(source, model_id))
        approve(clients[1], key)
        compared = {name: (pairs[0][name], pairs[1][name]) for name in pairs[0]}
        seconds = compare(*clients, compared, rounds)
        yield place, [row(name, found) for name, found in seconds.items()]


def burst(client: MlflowClient) -> tuple[int, int, float]:
    """How many of many registrations at once were kept, how many are pending, in which time."""
    client.create_registered_model("burst")
    model_id = client.create_logged_model("0").model_id

    def register(_: int) -> object:
        return client.create_model_version("burst", f"models:/{model_id}", model_id=model_id)

    start = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(register, range(BURST)))
    seconds = time.perf_counter() - start
    found = list(client.search_model_versions("name = 'burst'", max_results=1000))
    stamped = [item for item in found if item.tags.get("governance.status") == "pending"]
    return len(found), len(stamped), seconds


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/registry.md")
    options = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        root = Path(scratch)
        folders = {name: root / name for name in ("p1", "g1", "p2", "g2")}
        for folder in folders.values():
            folder.mkdir()
        MlflowClient(f"sqlite:///{root}/empty.db").search_registered_models()
        uris = {}
        for name, folder in folders.items():
            shutil.copy(root / "empty.db", folder / "mlflow.db")
            prefix = "governed+" if name.startswith("g") else ""
            uris[name] = f"{prefix}sqlite:///{folder}/mlflow.db"
        key = office(folders["g1"])
        for name in ("assessor.pem", "keyring.toml", "governance.toml"):
            shutil.copy(folders["g1"] / name, folders["g2"] / name)
        os.chdir(folders["g1"])
        places = {
            "in one process": tuple(
                MlflowClient(f"sqlite:///{folders[name]}/mlflow.db", uris[name])
                for name in ("p1", "g1")
            )
        }
        addresses = [stack.enter_context(server(folders[n], uris[n])) for n in ("p2", "g2")]
        places["through a server"] = tuple(MlflowClient(item, item) for item in addresses)
        text = report(
            list(measured(places, key, options.rounds)), burst(places["through a server"][1])
        )
    options.out.write_text(text)
    print(text)


def report(tables: list[tuple[str, list[str]]], bursts: tuple[int, int, float]) -> str:
    """The page of results."""
    kept, stamped, seconds = bursts
    load = os.getloadavg()[0]
    about = (
        f"MLflow {__version__}, SQLite, {os.cpu_count()} cores shared with others (load average "
        f"{load:.1f} at the end). Calls of the plain and the governed store alternate in random "
        "order; wall clock, medians in milliseconds, ratio of the medians with a 95 % bootstrap "
        "interval over rounds."
    )
    why = (
        "A protected alias costs what it is for: the version is read, its signature verified, the "
        "decision written to the audit in a transaction of its own, and the version read again "
        "afterwards."
    )
    told = (
        f"{BURST} registrations by 16 threads at once on the governed server: {kept} versions "
        f"kept, {stamped} of them pending, in {seconds:.1f} s. (A client of MLflow that hears "
        "nothing for a while asks again, so that there may be more than were asked for.)"
    )
    lines = ["# The governed registry store: one run of `benchmarks/registry.py`", "", about]
    for place, rows in tables:
        lines += ["", f"## {place.capitalize()}", ""]
        lines += ["| call | n | plain, ms | governed, ms | ratio |", "|---|---|---|---|---|", *rows]
    return "\n".join([*lines, "", why, "", told, ""])


if __name__ == "__main__":
    main()
