"""Signable: what an assessor's key may sign, found out from the record and not from who asks.

| statement                        | signed if                                                    |
|----------------------------------|--------------------------------------------------------------|
| `running`, `pending`             | it claims nothing but, for `running`, the policy read now    |
| `undetermined` without a record  | it claims nothing but the reason                             |
| a verdict with a record          | it follows from the record, which is judged here again       |
| a verdict that is put back       | this key signed the same one before, and it has not expired  |
| a statement for other tools      | it follows from such a verdict and its record                |

All of them name the one registry that the key signs for, and the time that it is here.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from governance.approval.attestations import attestations
from governance.approval.keyring import Keyring
from governance.approval.keys import Signer
from governance.approval.signed_statements import read, statement_in
from governance.approval.signing_requests import Grounds, SigningRequest
from governance.approval.statements import SKEW, Statement
from governance.approval.verdict_claims import claims
from governance.errors import ApprovalError, EvidenceError
from governance.records.assessment import RECORD, Assessment
from governance.records.bare_records import from_record
from governance.records.consistency import contradictions
from governance.records.serialisation import parse

__all__ = ["SigningTerms", "check_signable"]

#: What a statement may say of a version on which nothing was measured.
BARE = frozenset({"kind", "ref", "source", "issued", "expires", "verdict", "replaces"})
FIXED = frozenset({"policy_title", "policy_digest", "policy_fixed"})
REASON = frozenset({"model_id", "detail"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningTerms:
    """What a key signs, whoever asks.

    Attributes:
        registry: Name of the one registry whose versions it speaks of.
        policies: Digests of the policies that it signs verdicts under; empty for any policy.
    """

    registry: str
    policies: frozenset[str] = frozenset()


def check_signable(
    request: SigningRequest, terms: SigningTerms, key: Signer, now: float
) -> Statement:
    """See whether a key may sign what a request asks for.

    Args:
        request: Untrusted.
        terms: What the key signs.
        key: The key; what it signed itself may be put back.
        now: Seconds since 1970.

    Returns:
        The verdict that the request is about.

    Raises:
        EvidenceError: If it may not; all problems at once.
    """
    payload, grounds = request.payload.encode(), request.grounds
    beside = bool(grounds.verdict)
    verdict = statement_in(grounds.verdict.encode() if beside else payload)
    problems = [*_out_of_terms(verdict, terms, now)]
    if beside or (grounds.record and not grounds.before):
        assessment = _recorded(grounds)
        problems += _unfounded(verdict, assessment, grounds, now)
        if not problems and beside and payload not in attestations(assessment, verdict):
            problems.append("the statement does not follow from the record and its verdict")
    elif grounds.before:
        problems += _not_put_back(verdict, grounds.before, key, now)
    else:
        problems += _too_much(verdict)
    if problems:
        raise ApprovalError(problems)
    return verdict


def _out_of_terms(verdict: Statement, terms: SigningTerms, now: float) -> Iterator[str]:
    if verdict.kind != "verdict":
        yield f"is a {verdict.kind}; an assessor's key signs verdicts"
    if verdict.ref.registry != terms.registry:
        yield (
            f"is about the registry {verdict.ref.registry!r}; this key signs for {terms.registry!r}"
        )
    if abs(verdict.issued - now) > SKEW:
        yield f"is issued at {verdict.issued}, and it is {int(now)}; {SKEW} s apart are accepted"
    if terms.policies and verdict.policy_digest not in {None, *terms.policies}:
        yield f"is judged by the policy {verdict.policy_digest}, which this key does not sign under"


def _too_much(verdict: Statement) -> Iterator[str]:
    """What a statement says beyond what may be said of a version without a record."""
    allowed = BARE
    if verdict.verdict == "running":
        allowed |= FIXED
    elif verdict.verdict == "undetermined":
        allowed |= REASON
        if not verdict.detail.strip():
            yield "says undetermined without a reason and without a record"
    elif verdict.verdict != "pending":
        yield f"says {verdict.verdict} without a record that it could follow from"
    default = {item.name: item.default for item in fields(Statement)}
    for name in default.keys() - allowed:
        if getattr(verdict, name) != default[name]:
            yield f"says its {name.replace('_', ' ')} without a record that it could follow from"
    if verdict.policy_fixed is not None and verdict.policy_fixed != verdict.issued:
        yield f"says that its policy was fixed at {verdict.policy_fixed}; now is accepted"


def _recorded(grounds: Grounds) -> Assessment:
    """The assessment in the record, if the manifest names the record."""
    listed = parse(grounds.manifest.encode(), "manifest")
    files = listed.get("files") if isinstance(listed, dict) else None
    sha256 = hashlib.sha256(grounds.record.encode()).hexdigest()
    if not isinstance(files, dict) or files.get(RECORD) != sha256:
        raise EvidenceError(f"the manifest does not name the {RECORD} beside it")
    return from_record(grounds.record.encode()).assessment


def _unfounded(
    verdict: Statement, assessment: Assessment, grounds: Grounds, now: float
) -> Iterator[str]:
    """How a verdict differs from what follows from its record."""
    yield from contradictions(assessment)
    digests = [
        f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        for text in (grounds.record, grounds.manifest)
    ]
    follows = claims(assessment, run_id=verdict.run_id, record=digests[0], manifest=digests[1])
    for name, value in follows.items():
        if getattr(verdict, name) != value:
            said = getattr(verdict, name)
            yield f"says its {name.replace('_', ' ')} is {said!r} and its record says {value!r}"
    if verdict.run_id is None:
        yield "says no run that holds its record"
    for name in verdict.ref.differences(assessment.identity.ref):
        yield f"is about another {name} than its record"
    if verdict.detail:
        yield "has a free text beside its record"
    for waiver in assessment.waivers:
        if not waiver.issued - SKEW <= now < waiver.expires or verdict.expires > waiver.expires:
            yield f"rests on a waiver of {waiver.metric} that does not hold as long as the verdict"


def _not_put_back(verdict: Statement, before: str, key: Signer, now: float) -> Iterator[str]:
    """Why a verdict is not the one that this very key signed before."""
    own = key.public(owner="self", role="assessor", not_before=datetime.fromtimestamp(0, UTC))
    stood = read(before, Keyring((own,), registry=verdict.ref.registry), now).statement
    if verdict != replace(stood, issued=verdict.issued, replaces=verdict.replaces):
        yield "is not the verdict that it says it puts back"
