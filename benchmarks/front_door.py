"""How long a new user waits: set-up, demo, first verdict, and the commands that only read records.

Each figure is the median of three runs, one after another. `set-up` makes `.venv` in a copy of the
checkout, from packages that pip or uv have kept. `demo` is `governance demo`. `first verdict` takes
the steps of `docs/start/your-first-model.md`, as they stand there, from where the packages are
installed. The other rows ask a finished demo, once as a file and once through `mlflow server`.

`python benchmarks/front_door.py --help` lists the options; `--only gate history` measures these
rows alone. The results of one run are in `benchmarks/results/front_door.md`.
"""

import argparse
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

CHECKOUT = Path(__file__).parents[1]
PAGE = CHECKOUT / "docs" / "start" / "your-first-model.md"
GOVERNANCE = str(Path(sys.executable).with_name("governance"))
#: A block of shell or Python on a page, with what is said right above it.
BLOCK = re.compile(r"(?P<above>[^\n]*)\n*```(?P<kind>sh|python)\n(?P<code>.*?)```", re.DOTALL)
SAVED = re.compile(r"Save this as `(?P<name>\w+\.py)`")

#: What MLflow alone takes to look up a version: no command that asks a registry takes less.
ALONE = "from mlflow import MlflowClient; MlflowClient().get_model_version('digits', '2')"
#: Commands of which a finished demo is asked, by row.
ASKED = {
    "help": (GOVERNANCE, "--help"),
    "version": (GOVERNANCE, "--version"),
    "MLflow alone": (sys.executable, "-c", ALONE),
    "gate": (GOVERNANCE, "gate", "models:/digits/2"),
    "history": (GOVERNANCE, "history", "digits"),
    "compare": (GOVERNANCE, "compare", "models:/digits/1", "models:/digits/2"),
    "inventory": (GOVERNANCE, "inventory"),
    "portfolio": (GOVERNANCE, "portfolio", "--out", "site"),
}
#: Commands among them that ask no registry.
ASK_NOTHING = frozenset({"help", "version"})
#: What is held against the target of a row.
TARGETS = {
    "set-up": ("seconds", 60.0),
    "demo": ("seconds", 150.0),
    "first verdict": ("seconds", 300.0),
    "help": ("seconds", 0.5),
    "version": ("seconds", 0.5),
    "gate": ("processor", 3.0),
    "history": ("processor", 5.0),
    "compare": ("processor", 5.0),
    "MLflow alone": ("processor", None),
    "inventory": ("processor", None),
    "portfolio": ("processor", None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one run took.

    Attributes:
        seconds: By the clock.
        processor: Of all its processes, user and system.
    """

    seconds: float
    processor: float


def run(
    command: Sequence[str], *, at: Path, environment: Mapping[str, str], codes: Sequence[int] = (0,)
) -> Taken:
    """Run a command to its end, and tell what it took.

    Raises:
        SystemExit: With its output, if it ends with none of the codes.
    """
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=at, env=dict(environment), capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in codes:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Taken(seconds=seconds, processor=used)


def set_up(environment: Mapping[str, str]) -> Taken:
    """Set-up in a new copy of the checkout."""
    with TemporaryDirectory() as scratch:
        copy = Path(scratch) / "checkout"
        unwanted = shutil.ignore_patterns(".venv", ".git", "demo", "__pycache__", ".*_cache")
        shutil.copytree(CHECKOUT, copy, ignore=unwanted)
        return run(["ci/setup", "demo"], at=copy, environment=environment)


def demo(environment: Mapping[str, str], folder: Path) -> Taken:
    """The demo, into a new folder."""
    return run(
        [GOVERNANCE, "demo", "--out", str(folder)], at=folder.parent, environment=environment
    )


def first_verdict(environment: Mapping[str, str]) -> Taken:
    """The steps of the page about one's own model, after those that install."""
    steps = []
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        code, saved = block["code"], SAVED.search(block["above"])
        if block["kind"] == "sh" and "pip install" not in code:
            steps.append(code)
        elif saved:
            steps.append(f"cat > {saved['name']} <<'END'\n{code}END\n")
    with TemporaryDirectory() as scratch:
        return run(["bash", "-ec", "".join(steps)], at=Path(scratch), environment=environment)


def asked(command: Sequence[str], uri: str, environment: Mapping[str, str]) -> Taken:
    """A command of which a registry is asked; its verdict does not matter here."""
    with TemporaryDirectory() as scratch:
        return run(
            command,
            at=Path(scratch),
            environment={**environment, "MLFLOW_TRACKING_URI": uri},
            codes=(0, 10, 20, 30),
        )


@contextmanager
def served(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """MLflow's server on the registry of a demo."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server", "--port", port, "--workers", "1",
        "--backend-store-uri", database(folder), "--no-serve-artifacts",
    ]  # fmt: skip
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, env=dict(environment), stdout=quiet, stderr=quiet)  # noqa: S603
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1)  # noqa: S310 - our own
                break
            except OSError:
                time.sleep(0.5)
        else:
            sys.exit(f"MLflow's server on {folder} did not answer within two minutes")
        yield address
    finally:
        server.terminate()
        server.wait()


def database(folder: Path) -> str:
    """The registry of a demo, as MLflow names it."""
    return f"sqlite:///{(folder / 'mlflow.db').resolve()}"


def row(name: str, about: str, measure: Callable[[], Taken], runs: int) -> str:
    """One line of the table."""
    taken = [measure() for _ in range(runs)]
    seconds = statistics.median(item.seconds for item in taken)
    processor = statistics.median(item.processor for item in taken)
    kind, most = TARGETS[name]
    target = "-" if most is None else f"{most:g} s {'of processor' if kind == 'processor' else ''}"
    line = f"| {name}{about} | {runs} | {seconds:.2f} | {processor:.2f} | {target.strip()} |"
    print(line, file=sys.stderr)
    return line


def rows(options: argparse.Namespace, environment: Mapping[str, str]) -> Iterator[str]:
    """The lines asked for, one after another."""
    runs: int = options.runs
    if "set-up" in options.only:
        yield row("set-up", "", lambda: set_up(environment), runs)
    if "first verdict" in options.only:
        yield row("first verdict", "", lambda: first_verdict(environment), runs)
    with TemporaryDirectory() as scratch:
        made = (Path(scratch) / f"demo {number}" for number in range(runs + 1))
        if "demo" in options.only:
            yield row("demo", "", lambda: demo(environment, next(made)), runs)
        commands = [name for name in ASKED if name in options.only]
        if not commands:
            return
        folder: Path | None = options.demo
        if folder is None:
            folder = next(iter(sorted(Path(scratch).glob("demo *"))), None) or next(made)
            if not folder.exists() and not ASK_NOTHING.issuperset(commands):
                demo(environment, folder)
        yield from of_commands(commands, folder, environment, runs)


def of_commands(
    commands: Sequence[str], folder: Path, environment: Mapping[str, str], runs: int
) -> Iterator[str]:
    """The lines of commands, asked of a demo as a file and through a server."""

    def measured(name: str, about: str, uri: str) -> str:
        return row(name, about, lambda: asked(ASKED[name], uri, environment), runs)

    for name in commands:
        yield measured(name, "", database(folder))
    through = [name for name in commands if name not in ASK_NOTHING]
    if through:
        with served(folder, environment) as address:
            for name in through:
                yield measured(name, ", through a server", address)


def head(environment: Mapping[str, str], load: Sequence[float]) -> str:
    """Title and conditions."""
    threads = environment["OMP_NUM_THREADS"]
    return (
        "# How long a new user waits: one run of `benchmarks/front_door.py`\n\n"
        f"Python {sys.version.partition(' ')[0]}, MLflow {version('mlflow')}, torch "
        f"{version('torch')}, {os.cpu_count()} cores, {threads} threads, load average "
        f"{load[0]:.1f} at the start. Medians; *processor* is user and system time of all "
        "processes.\n\n"
        "| | n | seconds | processor, s | target |\n|---|---|---|---|---|"
    )


def main() -> None:
    """Measure what is asked for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=tuple(TARGETS), default=list(TARGETS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--demo", type=Path, help="folder of a finished demo; makes one if absent")
    options = parser.parse_args()
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads), "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": programs,
    }  # fmt: skip
    print(head(environment, os.getloadavg()))
    for line in rows(options, environment):
        print(line)


if __name__ == "__main__":
    main()
