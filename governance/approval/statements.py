"""Statements: what a verdict, a waiver or a revocation says, and what none may say.

Every bound is looked at whenever a statement is made, so when one is signed and when one is read.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from governance.approval.lifecycle import Kind, Status, step_of
from governance.approval.printable import unprintable
from governance.errors import ApprovalError
from governance.records.serialisation import FLAT
from governance.records.version_ref import VersionRef
from governance.records.waiver import SKEW

__all__ = [
    "LONGEST_DETAIL",
    "LONGEST_WAIVER",
    "SKEW",
    "Statement",
    "early",
    "unbound",
]

#: Maximum length of free text in characters, and of a name.
LONGEST_DETAIL, LONGEST_NAME, LONGEST_SOURCE = 2_000, 500, 2_000
DAY = 24 * 3600
#: Maximum time that a waiver holds, in seconds.
LONGEST_WAIVER = 90 * DAY
#: Maximum time in seconds that a statement holds, by what it does to its version. A revocation is
#: for good, whether its time has passed or not.
LONGEST_TIME = MappingProxyType(
    {
        "progress": DAY,
        "verdict": 365 * DAY,
        "waiver": LONGEST_WAIVER,
        "revocation": 100 * 365 * DAY,
    }
)
#: Latest time in seconds since 1970: the end of the year 9999, as dates are written.
LATEST = 253_402_300_799

DIGESTS = (
    "artifact_digest",
    "model_digest",
    "policy_digest",
    "validation_digest",
    "environment_digest",
    "assessment_digest",
    "manifest",
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A verdict, a waiver or a revocation of one version, by the holder of a key.

    Attributes:
        kind: An assessor signs a `verdict`; an approver signs a `waiver` or a `revocation`.
        ref: The registered version that it is about, with its registry and workspace.
        source: Source of the version, as MLflow keeps it.
        issued: Time of signing, in seconds since 1970.
        expires: Time from which it does not count any more, in seconds since 1970.
        verdict: Verdict, `running` or `pending`; None for a waiver and a revocation.
        model_id: Id of MLflow's LoggedModel; None where there is none.
        artifact_digest: Digest of the model's files as assessed.
        model_digest: Digest of the model's tensors as assessed.
        policy_title: Title of the policy that the version is judged by.
        policy_digest: Digest of the policy that the version is judged by.
        policy_fixed: When the assessor had read the policy, before anything was measured under it,
            in seconds since 1970.
        validation_digest: Digest of the validation images.
        environment_digest: Digest of the versions, packages and device of the assessment.
        code_version: Version of mlflow-governance that measured and judged.
        run_id: Id of the run that holds the record.
        assessment_digest: Digest of the record.
        manifest: Digest of the record's manifest.
        waivers: Digest of each signed waiver that the verdict rests on.
        metric: Metric that a waiver waives; None for other kinds.
        bound: Worst value that a waiver still waives; None for other kinds.
        detail: Reason of a waiver or a revocation; error of a version that could not be assessed.
        replaces: Digest of the statement that stood on the version when this one was signed; None
            where none stood.
    """

    kind: Kind
    ref: VersionRef = field(metadata=FLAT)
    source: str
    issued: int
    expires: int
    verdict: Status | None = None
    model_id: str | None = None
    artifact_digest: str | None = None
    model_digest: str | None = None
    policy_title: str | None = None
    policy_digest: str | None = None
    policy_fixed: int | None = None
    validation_digest: str | None = None
    environment_digest: str | None = None
    code_version: str | None = None
    run_id: str | None = None
    assessment_digest: str | None = None
    manifest: str | None = None
    waivers: tuple[str, ...] = ()
    metric: str | None = None
    bound: float | None = None
    detail: str = ""
    replaces: str | None = None

    def __post_init__(self) -> None:
        where = f"{self.kind} of {self.ref.name!a} version {self.ref.version[:30]}"
        problems = (*_contradictions(self), *_out_of_bounds(self), *_badly_written(self))
        if problems:
            raise ApprovalError(f"{where}: {problem}" for problem in problems)


def _contradictions(statement: Statement) -> Iterator[str]:
    if (statement.kind == "verdict") != (statement.verdict is not None):
        yield f"verdict {statement.verdict!r}; a verdict says one, nothing else does"
    if statement.verdict == "approved" and not all(
        (
            statement.artifact_digest,
            statement.model_digest,
            statement.policy_digest,
            statement.policy_fixed,
            statement.assessment_digest,
        )
    ):
        yield "approves without the digests of model, policy and assessment, or without a time"
    waiving = statement.kind == "waiver"
    if waiving != (statement.metric is not None) or waiving != (statement.bound is not None):
        both = f"metric {statement.metric!r}, bound {statement.bound!r}"
        yield f"{both}; a waiver, and it alone, has both"
    if statement.kind != "verdict" and not statement.detail.strip():
        yield "gives no reason"
    if waiving and statement.replaces is not None:
        yield "is a waiver and replaces a statement; waivers stand beside the others"
    if (statement.policy_fixed or 0) > statement.issued:
        yield f"policy fixed at {statement.policy_fixed}, after it was issued"


def _out_of_bounds(statement: Statement) -> Iterator[str]:
    if statement.metric is not None and not _exact(statement.metric):
        yield f"metric {statement.metric!r}; one `<analysis>.<metric>` is accepted, no pattern"
    if statement.bound is not None and not math.isfinite(statement.bound):
        yield f"bound {statement.bound}; a finite number is accepted"
    if not 0 <= statement.issued < statement.expires <= LATEST:
        yield (
            f"issued {statement.issued}, expires {statement.expires}; the other order is accepted, "
            f"up to {LATEST}"
        )
        return
    seconds = statement.expires - statement.issued
    longest = LONGEST_TIME[step_of(statement.kind, statement.verdict)]
    if seconds > longest:
        yield f"holds for {seconds} s; {longest // DAY} days at most"


def _badly_written(statement: Statement) -> Iterator[str]:
    names = {
        "registry": statement.ref.registry,
        "workspace": statement.ref.workspace,
        "name": statement.ref.name,
        "version": statement.ref.version,
        "source": statement.source,
        "model id": statement.model_id,
        "policy title": statement.policy_title,
        "code version": statement.code_version,
        "run id": statement.run_id,
        "metric": statement.metric,
        "text": statement.detail,
    }
    longest = {"text": LONGEST_DETAIL, "source": LONGEST_SOURCE}
    for name, text in names.items():
        problem = unprintable(text or "", longest.get(name, LONGEST_NAME))
        if problem is not None:
            yield f"{name} {problem}"
    for name in DIGESTS:
        digest = getattr(statement, name)
        if digest is not None and not DIGEST.fullmatch(digest):
            wrong = f"{name.replace('_', ' ')} {digest[:80]!r}"
            yield f"{wrong}; sha256: and 64 hexadecimal digits are accepted"
    for digest in (*statement.waivers, *filter(None, [statement.replaces])):
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            yield f"names the statement {digest[:80]!r}; 64 hexadecimal digits are accepted"


def _exact(metric: str) -> bool:
    analysis, dot, name = metric.partition(".")
    return bool(analysis and dot and name) and not set(metric) & set("*?{}")


def early(statement: Statement, now: float) -> bool:
    """Whether a statement was issued later than now, by more than two clocks may differ."""
    return statement.issued > now + SKEW


def unbound(
    statement: Statement, *, ref: VersionRef, source: str | None, registry: str
) -> tuple[str, ...]:
    """Why a statement is about another version than the one at hand; empty where it is not.

    Args:
        statement: As read.
        ref: The version at hand.
        source: What was registered as that version.
        registry: Name of the registry at hand, as its keyring has it.
    """
    here = replace(ref, registry=registry)
    names = ("registry", "workspace", "name", "version", "created")
    pairs = [(name, getattr(here, name), getattr(statement.ref, name)) for name in names]
    pairs.append(("source", source or "", statement.source))
    return tuple(
        f"its {name} is {at_hand!r} and the statement is about {signed!r}"
        for name, at_hand, signed in pairs
        if at_hand != signed
    )
