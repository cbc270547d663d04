"""The lock files: complete lists of packages with the hashes of their files, for `--no-deps`.

`make lock` writes them from the requirements in pyproject.toml and keeps the versions that they
hold as far as those still fit; `make lock UPGRADE=--upgrade` takes the newest ones. They are made
for `PLATFORM` and the first of `PYTHONS`, hold the hashes of the files for all others too, and are
refused if another of these Pythons needs a package beside them. They name no index: pip and uv take
the files from wherever they are set to, and refuse a file with another hash.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLATFORM, PYTHONS = "x86_64-manylinux_2_28", ("3.11", "3.12", "3.13")

#: By file: whether the base requirements belong to it, the extras beside them, and what it is for.
LOCKS = {
    "requirements-dev.lock": (True, "*", "Everything that tests, checks and examples need."),
    "requirements.lock": (
        True,
        "team demo s3",
        "A worker, a command line, a server with logins and PostgreSQL: what runs in production.",
    ),
    "requirements-server.lock": (
        False,
        "server team s3",
        "A governed MLflow server, and no more: without torch, WeasyPrint and Great Expectations.",
    ),
    "requirements-benchmarks.lock": (
        True,
        "benchmarks",
        "The peers that benchmarks/ measures beside ours.",
    ),
}
#: Extras that the tests do not need.
UNTESTED = {"benchmarks", "lightning"}


def requirements(base: bool, extras: str) -> list[str]:  # noqa: FBT001 - of a script
    """What pyproject.toml asks for, with what builds this package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    offered = project["project"]["optional-dependencies"]
    names = set(offered) - UNTESTED if extras == "*" else set(extras.split())
    found = list(project["project"]["dependencies"]) if base else []
    for name in sorted(names):
        found += offered[name]
    return found + project["build-system"]["requires"]


def compiled(wanted: list[str], known: Path, options: list[str], python: str = PYTHONS[0]) -> str:
    """The complete list for some requirements; versions in a known list are kept where they fit."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        if known.exists():
            result.write_text(known.read_text(encoding="utf-8"))
        subprocess.run(  # noqa: S603 - our own command
            [
                *(Path(sys.executable).parent / "uv", "pip", "compile", "-"),
                *("--python-platform", PLATFORM, "--python-version", python),
                *("--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
                *("--output-file", result, *options),
            ],
            input="\n".join(wanted), text=True, check=True, stdout=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        return result.read_text(encoding="utf-8")


def packages(listed: str) -> set[str]:
    """Names and versions of a list."""
    return set(re.findall(r"^[\w.-]+==[\w.+!-]+", listed, flags=re.MULTILINE))


def check(wanted: list[str], file: Path) -> None:
    """End with what a list lacks for the other Pythons; uv fails where a version does not fit."""
    for python in PYTHONS[1:]:
        needed = packages(compiled(wanted, file, ["--constraint", str(file)], python))
        if missing := needed - packages(file.read_text(encoding="utf-8")):
            sys.exit(f"{file.name} lacks for Python {python}: {', '.join(sorted(missing))}")


def main(options: list[str]) -> None:
    """Write all files; the versions of the later ones are those of the first."""
    first = ROOT / next(iter(LOCKS))
    for name, (base, extras, purpose) in LOCKS.items():
        file = ROOT / name
        alike = options if file == first else ["--constraint", str(first)]
        wanted = requirements(base, extras)
        listed = compiled(wanted, file, alike)
        head = (
            f"# {purpose}\n"
            "# Complete, with the hashes of all files. Written by: make lock\n"
            f"#   pip install --require-hashes --no-deps -r {name}\n"
        )
        file.write_text(head + listed, encoding="utf-8")
        check(wanted, file)


if __name__ == "__main__":
    main(sys.argv[1:])
