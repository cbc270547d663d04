"""Auditing: what a bundle proves to someone who trusts a ring, offline.

Every digest and every signature is checked, and the verdict judged again from evidence and policy.
Whether the signed statement counts is asked of `standing`, as the registry's server asks it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from governance.approval.attestations import disagreeing
from governance.approval.bundles import Bundle, recorded
from governance.approval.keyring import Keyring
from governance.approval.signed_rings import ring_in
from governance.approval.standing import Standing, standing
from governance.approval.tags import RUN
from governance.approval.verdict_claims import disagreements
from governance.errors import ApprovalError, EvidenceError
from governance.records.assessment import MANIFEST, RECORD, Assessment
from governance.records.bundle_files import combined
from governance.records.consistency import contradictions
from governance.records.decision import EXIT_CODES, Verdict
from governance.records.version_ref import VersionRef

__all__ = ["Check", "Verification", "verified_bundle"]

State = Literal["ok", "doubt", "differs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, and a sentence about what was found."""

    about: str
    state: State
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a bundle proves.

    Attributes:
        version: The version that it is about.
        verdict: The verdict that may be relied on, as the gate would give it.
        checks: What was looked at.
        assessment: The record; None where it cannot be relied on.
        standing: The signed statement and why it does not count.
    """

    version: VersionRef
    verdict: Verdict
    checks: tuple[Check, ...]
    assessment: Assessment | None
    standing: Standing

    @property
    def differs(self) -> bool:
        """Whether anything in the bundle contradicts its digests, signatures or itself."""
        return any(check.state == "differs" for check in self.checks)

    def exit_code(self, mismatch: int) -> int:
        """Exit code of a command that found this: the verdict's, or the one for a mismatch."""
        return mismatch if self.differs else EXIT_CODES[self.verdict]


def verified_bundle(bundle: Bundle, ring: Keyring, at: float) -> Verification:
    """What a bundle proves to someone who trusts a ring, at a time.

    Nothing is measured and nothing fetched: every digest and signature is checked and the verdict
    judged again from evidence and policy.

    Args:
        bundle: As opened, untrusted.
        ring: Whose signatures count.
        at: Seconds since 1970.
    """
    found = standing(bundle.version, ring, at)
    checks = [*_about_statement(found), *_about_ring(bundle, ring)]
    assessment = None
    try:
        assessment = recorded(bundle)
    except EvidenceError as error:
        checks += [Check(about="record", state="differs", text=text) for text in error.problems]
    if assessment is not None:
        checks += _about_record(bundle, assessment)
        checks += _about_model(bundle, assessment)
        checks += _about_agreement(bundle, found, assessment)
        checks += _about_attestations(bundle, found, assessment, ring)
    return Verification(
        version=bundle.version.ref,
        verdict=_verdict(found, assessment, checks),
        checks=tuple(checks),
        assessment=assessment,
        standing=found,
    )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _about_statement(found: Standing) -> Iterator[Check]:
    said = found.statement
    if said is not None and found.counts:
        yield Check(about="statement", state="ok", text=f"{said.kind} signed, counts at that time")
    for doubt in found.doubts:
        state: State = "differs" if doubt.cause == "invalid" else "doubt"
        yield Check(about="statement", state=state, text=doubt.text)


def _about_ring(bundle: Bundle, ring: Keyring) -> Iterator[Check]:
    """Whether the keyring in the bundle is the auditor's; it proves nothing by itself."""
    if bundle.ring is None:
        return
    try:
        enclosed = ring_in(bundle.ring)
    except ApprovalError as error:
        yield from (Check(about="ring", state="differs", text=text) for text in error.problems)
        return
    theirs, ours = ({key.id: key for key in item.keys} for item in (enclosed, ring))
    unlike = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if unlike:
        names = ", ".join(name[:16] for name in unlike)
        text = f"the keyring in the bundle and yours differ in the keys {names}; yours was used"
        yield Check(about="ring", state="ok", text=text)


def _about_record(bundle: Bundle, assessment: Assessment) -> Iterator[Check]:
    wrong = [*contradictions(assessment)]
    ref, recorded = bundle.version.ref, assessment.identity.ref
    for name in ref.differences(recorded):
        here, there = getattr(ref, name), getattr(recorded, name, None)
        wrong.append(f"its {name} is {here} and the record is about {there}")
    yield from (Check(about="record", state="differs", text=text) for text in wrong)
    if not wrong:
        files, verdict = len(bundle.record), assessment.decision.verdict
        text = f"{files} files have their digests; judged again from its evidence: {verdict}"
        yield Check(about="record", state="ok", text=text)


def _about_model(bundle: Bundle, assessment: Assessment) -> Iterator[Check]:
    """Whether the list of the model's files is the one assessed, and the files in it."""
    named, assessed = combined(bundle.model_files), assessment.identity.artifact_digest
    if named != assessed:
        text = f"the files listed have the digest {named} and those assessed had {assessed}"
        yield Check(about="model", state="differs", text=text)
    unlike = [
        path
        for path, content in sorted(bundle.model.items())
        if hashlib.sha256(content).hexdigest() != bundle.model_files.get(path)
    ]
    for path in unlike:
        text = f"{path} is not the file that was assessed"
        yield Check(about="model", state="differs", text=text)
    if named == assessed and not unlike:
        text = f"{len(bundle.model_files)} files listed are those assessed"
        yield Check(about="model", state="ok", text=text)


def _about_agreement(bundle: Bundle, found: Standing, assessment: Assessment) -> Iterator[Check]:
    """Whether the signed verdict is about this record."""
    said = found.statement
    if said is None or said.kind != "verdict" or said.run_id is None:
        return
    wrong = [
        *disagreements(
            said,
            assessment,
            run_id=bundle.version.tags.get(RUN),
            record=_digest(bundle.record[RECORD]),
            manifest=_digest(bundle.record[MANIFEST]),
        )
    ]
    yield from (Check(about="agreement", state="differs", text=text) for text in wrong)
    if not wrong:
        text = "what was signed is this record"
        yield Check(about="agreement", state="ok", text=text)


def _about_attestations(
    bundle: Bundle, found: Standing, assessment: Assessment, ring: Keyring
) -> Iterator[Check]:
    """Whether the statements for tools of others follow from the record, and are signed.

    They are recorded before a verdict is signed: a bundle without them has lost them.
    """
    said, text = found.statement, bundle.attestations
    if said is None or said.kind != "verdict" or said.run_id is None:
        return
    wrong = [*disagreeing(text, assessment, said, ring)]
    yield from (Check(about="attestations", state="differs", text=item) for item in wrong)
    if not wrong:
        count = len(text.splitlines())
        yield Check(
            about="attestations", state="ok", text=f"{count} are signed and follow from the record"
        )


def _verdict(found: Standing, assessment: Assessment | None, checks: Sequence[Check]) -> Verdict:
    """The verdict that the gate would give: neither doubt nor a difference approves."""
    said = found.statement
    if said is not None and said.kind == "revocation":
        return "rejected"
    if assessment is None or said is None or said.run_id is None:
        return "undetermined"
    verdict = assessment.decision.verdict
    doubtful = found.doubts or any(check.state == "differs" for check in checks)
    return "undetermined" if doubtful and verdict == "approved" else verdict
