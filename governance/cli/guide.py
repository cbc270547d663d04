"""Guide: the panel, two examples and the exit codes of every command, for `--help` and the docs.

The order of the table is the order of `governance --help`: what a first-time user needs stands
first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FIRST_STEPS", "GUIDE", "Guide"]

START = "Start here"
RELEASE = "Release a version"
COMPARE = "Compare versions"
AUDIT = "Verify as an auditor"
TEAM = "Run it for a team"

VERSION = "models:/retina/7"
#: Columns of a line of an example, so that all of it fits into 80.
LONGEST = 74

#: What each exit code means wherever a command gives it.
ANY = {2: "misuse", 3: "internal error"}
DONE = {0: "done"}
VERDICTS = {0: "approved", 10: "rejected", 20: "review", 30: "undetermined"}
MISMATCH = {40: "the evidence does not match"}
#: Of commands that run until they are told to end.
ENDED = {0: "ended as told"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """What the help of a command ends with.

    Attributes:
        panel: Group of commands that it stands in.
        examples: Two command lines.
        codes: Meaning of each exit code but those of misuse and internal errors.
    """

    panel: str
    examples: tuple[str, str]
    codes: Mapping[int, str]

    @property
    def epilog(self) -> str:
        """Examples and exit codes as text."""
        shown = [line for example in self.examples for line in _folded(f"$ {example}")]
        lines = ["Examples:", *(f"  {line}" for line in shown), "", "Exit codes:"]
        codes = sorted((dict(self.codes) | ANY).items())
        return "\n".join([*lines, *(f"  {code:>2}  {meaning}" for code, meaning in codes)])


def _folded(example: str) -> list[str]:
    """A command line in lines that fit 80 columns, broken before options as a shell allows it."""
    lines = [""]
    for part in example.replace(" --", "\0 --").split("\0"):
        if len(lines[-1]) + len(part) > LONGEST:
            lines[-1] += " \\"
            lines.append("    ")
        lines[-1] += part
    return lines


def _to(panel: str, *examples: str, codes: Mapping[int, str] = MappingProxyType(DONE)) -> Guide:
    first, second = (f"governance {example}" for example in examples)
    return Guide(panel=panel, examples=(first, second), codes=codes)


#: What `governance --help` ends with.
FIRST_STEPS = f"""\
First steps:
  $ governance demo
  $ governance policy draft {VERSION} --data images/
  $ governance assess {VERSION} --policy policy.toml

Every command has examples and its exit codes: governance gate --help"""

#: Every command by what is typed after `governance`.
GUIDE: Mapping[str, Guide] = MappingProxyType(
    {
        "demo": _to(START, "demo", "demo --out digits --registry http://127.0.0.1:5000"),
        "up": _to(START, "up", "up --dir governed --port 5001", codes=ENDED),
        "policy new": _to(START, "policy new", "policy new policies/retina.toml"),
        "policy draft": _to(
            START,
            f"policy draft {VERSION} --data images/",
            f"policy draft {VERSION} --data test.npz --minutes 10",
        ),
        "policy check": _to(
            START, "policy check policy.toml", "policy check policy.toml --data images/"
        ),
        "assess": _to(
            START,
            f"assess {VERSION} --policy policy.toml --out assessment",
            "assess ./my-model --policy policy.toml --out trial --no-record",
            codes=VERDICTS | MISMATCH,
        ),
        "gate": _to(
            START,
            f"gate {VERSION}",
            f"gate {VERSION} --keys keyring.toml --junit findings.xml",
            codes=VERDICTS | MISMATCH,
        ),
        "report": _to(
            START,
            "report assessment --pdf report.pdf",
            f"report {VERSION} --html report.html --pdf report.pdf",
            codes=DONE | {40: "the record contradicts itself; --unverified prints it"},
        ),
        "export": _to(
            RELEASE,
            f"export {VERSION} --format cyclonedx --out bom.json",
            "export assessment --format model-card",
            codes=DONE | {40: "the record contradicts itself"},
        ),
        "analyses": _to(START, "analyses", "analyses --json"),
        "promote": _to(
            RELEASE,
            f"promote {VERSION} --alias champion",
            f"promote {VERSION} --alias champion --keys keyring.toml",
            codes=VERDICTS | MISMATCH,
        ),
        "waive": _to(
            RELEASE,
            f"waive {VERSION} --metric performance.recall_worst --bound 0.75 "
            "--reason 'rare class' --expires 2027-01-31 --key ann.pem --keys keyring.toml",
            "waive models:/retina@candidate --metric drift.excess --bound 1.2 "
            "--reason 'new camera' --expires 2027-01-31 --key ann.pem --keys keyring.toml",
            codes=DONE | MISMATCH,
        ),
        "countersign": _to(
            RELEASE,
            f"countersign {VERSION} --key ann.pem --keys keyring.toml",
            "countersign models:/retina@candidate --key second.pem --keys keyring.toml",
            codes=VERDICTS | MISMATCH,
        ),
        "revoke": _to(
            RELEASE,
            f"revoke {VERSION} --reason 'wrong labels' --key ann.pem",
            f"revoke {VERSION} --reason recalled --key ann.pem --keys keyring.toml",
            codes=DONE | MISMATCH,
        ),
        "compare": _to(
            COMPARE,
            "compare models:/retina/6 models:/retina/7",
            "compare models:/retina@champion models:/retina/7 --html drift.html",
            codes={
                0: "the same reasons (EQUIVALENT)",
                10: "other reasons (DRIFT)",
                30: "it cannot be told (INCONCLUSIVE)",
            }
            | MISMATCH,
        ),
        "history": _to(COMPARE, "history retina", "history retina --html history.html"),
        "references make": _to(
            COMPARE,
            "references make models:/retina/6 --recipe train:fit",
            "references make models:/retina/6 --recipe train:fit -n 19 --lineage",
            codes=DONE | MISMATCH,
        ),
        "references add": _to(
            COMPARE,
            "references add models:/retina/6 models:/retina/4 --kind retrain",
            "references add models:/retina/6 ./epoch-8 ./epoch-9 --kind checkpoint",
            codes=DONE | MISMATCH,
        ),
        "drift selftest": _to(
            COMPARE,
            "drift selftest models:/retina/6",
            "drift selftest models:/retina/6 --recipe train:faulty",
            codes={0: "passed", 30: "not passed"} | MISMATCH,
        ),
        "bundle": _to(
            AUDIT,
            f"bundle {VERSION} --out retina-7.zip",
            f"bundle {VERSION} --out retina-7.zip --keys keyring.toml",
            codes=DONE | MISMATCH,
        ),
        "verify": _to(
            AUDIT,
            "verify retina-7.zip --ring keyring.toml",
            "verify retina-7.zip --ring keyring.toml --at 2026-11-27",
            codes=VERDICTS | {40: "something differs"},
        ),
        "replay": _to(
            AUDIT,
            "replay retina-7.zip --seed 4711",
            f"replay {VERSION} --seed 4711 --sample 50% --images images/",
            codes={0: "all reproduced", 30: "nothing follows", 40: "something differs"},
        ),
        "keys new": _to(
            TEAM,
            "keys new worker.pem --owner worker --role assessor --keys keyring.toml",
            "keys new ann.pem --owner ann --role approver --keys keyring.toml",
        ),
        "keys list": _to(TEAM, "keys list keyring.toml", "keys list keyring.toml --json"),
        "keys sign": _to(
            TEAM,
            "keys sign keyring.toml --key root.pem",
            "keys sign keyring.toml --key root.pem --out keyring.signed.json",
        ),
        "worker": _to(
            TEAM,
            "worker --config worker.toml --signing-key worker.pem --keys keyring.toml",
            "worker --config worker.toml --signer signer.sock --monitoring 127.0.0.1:9100",
            codes=ENDED,
        ),
        "signer": _to(
            TEAM,
            "signer --signing-key worker.pem --keys keyring.toml --socket signer.sock",
            "signer --signing-key worker.pem --keys keyring.toml --socket signer.sock "
            "--user worker --policy policy.toml",
            codes=ENDED,
        ),
        "sweep": _to(
            TEAM,
            "sweep --config worker.toml --signing-key worker.pem --keys keyring.toml",
            "sweep --config worker.toml --signer signer.sock --json",
        ),
        "doctor": _to(
            TEAM,
            "doctor --tracking-uri http://127.0.0.1:5000",
            "doctor --keys keyring.toml --audit sqlite:///mlflow.db",
            codes={0: "no problem", 10: "a problem"},
        ),
        "inventory": _to(TEAM, "inventory", "inventory --keys keyring.toml --uris"),
        "portfolio": _to(
            TEAM,
            "portfolio --out portfolio --keys keyring.toml",
            "portfolio --out /var/www/portfolio --config governance.toml",
        ),
        "audit": _to(
            TEAM,
            "audit --audit sqlite:///mlflow.db --outcome refused",
            "audit --audit sqlite:///mlflow.db --since 2026-11-01 --export audit.jsonl",
        ),
    }
)
