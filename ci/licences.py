"""Licences of what runs in production (requirements.lock), and the SBOM.

    python ci/licences.py                prints package, version, licence; 1 at one not accepted
    python ci/licences.py --sbom FILE    writes a CycloneDX document instead

Both read what is installed beside this interpreter. A licence is accepted if it asks nothing of
whoever uses the product over a network or builds on it: no GPL, AGPL, LGPL, BSL or SSPL, and none
that forbids commercial use.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
REFUSED = re.compile(
    r"\b(A?GPL|LGPL|SSPL|BUSL|BSL-?1\.1|CC-BY-NC\S*)\b|GNU .*GENERAL PUBLIC|BUSINESS SOURCE"
    r"|NON-?COMMERCIAL|COMMONS CLAUSE",
    re.IGNORECASE,
)
#: Of packages under several licences at the licensee's choice: the one that is chosen here.
CHOSEN = {"pyphen": "MPL-1.1"}
#: Read from the licence file of packages whose metadata name none.
READ = {"cuda-toolkit": "LicenseRef-NVIDIA-Proprietary", "huey": "MIT", "skops": "MIT"}


def pinned(lock: str = "requirements.lock") -> Iterator[tuple[str, str, list[str]]]:
    """Name, version and sha256 hashes of every package of a lock file."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    for name, version, rest in re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)(.*(?:\n {4}.*)*)", text, flags=re.MULTILINE
    ):
        yield name, version, re.findall(r"sha256:([0-9a-f]{64})", rest)


def licence(name: str) -> str:
    """The licence that an installed package declares, in SPDX's words where it has them."""
    if name in CHOSEN or name in READ:
        return CHOSEN.get(name) or READ[name]
    about = metadata.metadata(name)
    classified = [
        item.rpartition(" :: ")[2]
        for item in about.get_all("Classifier", [])
        if item.startswith("License :: ") and not item.endswith("OSI Approved")
    ]
    written = (about.get("License") or "").strip().partition("\n")[0]
    return about.get("License-Expression") or " or ".join(classified) or written or "not declared"


def listed() -> list[tuple[str, str, str]]:
    """Name, version and licence of what runs in production and is installed here."""
    return [(name, version, licence(name)) for name, version, _ in pinned()]


def refused(rows: list[tuple[str, str, str]]) -> list[str]:
    """The packages whose licence is not accepted, or not known."""
    return [
        f"{name}=={version}: {text}"
        for name, version, text in rows
        if REFUSED.search(text) or text == "not declared"
    ]


def sbom(file: Path) -> None:
    """Write the CycloneDX document of what runs in production, with the files' hashes."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "all.json"
        program = Path(sys.executable).parent / "cyclonedx-py"
        subprocess.run(  # noqa: S603 - our own command
            [
                *(program, "environment", sys.executable, "--pyproject", ROOT / "pyproject.toml"),
                *("--output-reproducible", "--of", "JSON", "-o", whole),
            ],
            check=True,
        )
        document = json.loads(whole.read_text(encoding="utf-8"))
    hashes = {normal(name): found for name, _, found in pinned()}
    document["components"] = [
        {
            **item,
            "hashes": [{"alg": "SHA-256", "content": one} for one in hashes[normal(item["name"])]],
        }
        for item in document["components"]
        if normal(item["name"]) in hashes
    ]
    root = document["metadata"].get("component", {}).get("bom-ref")
    kept = {item["bom-ref"] for item in document["components"]} | {root}
    document["dependencies"] = [
        {**item, "dependsOn": [one for one in item.get("dependsOn", []) if one in kept]}
        for item in document.get("dependencies", [])
        if item["ref"] in kept
    ]
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(options: list[str]) -> None:
    """List the licences, or write the SBOM."""
    if options[:1] == ["--sbom"]:
        sbom(Path(options[1]))
        return
    rows = listed()
    sys.stdout.writelines(f"{name} {version}  {text}\n" for name, version, text in rows)
    if bad := refused(rows):
        sys.exit("licence not accepted: " + "; ".join(bad))


if __name__ == "__main__":
    main(sys.argv[1:])
