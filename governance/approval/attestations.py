"""Attestations: an assessment as statements that tools of others read, signed with its verdict.

| predicate                                        | one for each | says                           |
|--------------------------------------------------|--------------|--------------------------------|
| `https://in-toto.io/attestation/test-result/v0.1` | analysis    | which expectations were met    |
| `urn:mlflow-governance:evidence:v1`              | analysis     | metrics, intervals, n, seed    |
| `https://in-toto.io/attestation/svr/v0.2`        | assessment   | what was verified, and by whom |

Each is about the model version and about its record. They lie as lines of one file among the run's
artifacts; the verdict that the registry asks for is a statement of its own, in a tag.
https://github.com/in-toto/attestation/tree/main/spec/predicates
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from governance.approval.envelopes import digest_of, opened, sealed, signed_by, text_of
from governance.approval.keyring import Keyring
from governance.approval.keys import Signer
from governance.approval.signed_statements import IN_TOTO, STATEMENT, subject_of
from governance.approval.statements import Statement
from governance.errors import ApprovalError
from governance.records.assessment import RECORD, Assessment
from governance.records.decision import Finding
from governance.records.evidence import Evidence
from governance.records.serialisation import canonical, to_data

__all__ = [
    "EVIDENCE",
    "LONGEST_LINE",
    "SVR",
    "TEST_RESULT",
    "attestations",
    "disagreeing",
    "signed",
]

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SVR = "https://in-toto.io/attestation/svr/v0.2"
EVIDENCE = "urn:mlflow-governance:evidence:v1"
VERIFIER = "urn:mlflow-governance:judge:v1"
APPROVED = "GOVERNANCE_APPROVED"

#: Maximum length of one statement in an envelope, in characters, and of the lines of one file.
LONGEST_LINE, MOST_LINES = 2**22, 1_000


def attestations(assessment: Assessment, verdict: Statement) -> tuple[bytes, ...]:
    """The statements about an assessment, as bytes to be signed; the same bytes every time.

    Args:
        assessment: As recorded.
        verdict: The verdict that is signed with them.
    """
    subject = [
        subject_of(
            verdict.ref,
            verdict.source,
            files=verdict.artifact_digest,
            tensors=verdict.model_digest,
        ),
        {"name": RECORD, "digest": _sha256(verdict.assessment_digest)},
    ]
    said = [
        *((TEST_RESULT, _test_result(item, assessment)) for item in assessment.evidence),
        *((EVIDENCE, _evidence(item, verdict)) for item in assessment.evidence),
        (SVR, _verification(assessment, verdict)),
    ]
    return tuple(
        canonical(
            {"_type": STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate}
        )
        for kind, predicate in said
    )


def signed(assessment: Assessment, verdict: Statement, key: Signer) -> str:
    """The statements about an assessment in signed envelopes, a line each."""
    envelopes = (sealed(item, IN_TOTO, key) for item in attestations(assessment, verdict))
    return "".join(f"{text_of(envelope, LONGEST_LINE)}\n" for envelope in envelopes)


def disagreeing(
    text: str, assessment: Assessment, verdict: Statement, ring: Keyring
) -> Iterator[str]:
    """How the signed statements in a text differ from those that follow from an assessment.

    Args:
        text: Lines, as `signed` writes them; untrusted.
        assessment: As recorded.
        verdict: The verdict that counts.
        ring: Whose signatures count.
    """
    lines = text.splitlines()
    expected = set(attestations(assessment, verdict))
    if len(lines) > MOST_LINES:
        yield f"{len(lines)} statements; {MOST_LINES} are accepted"
        return
    for number, line in enumerate(lines, start=1):
        try:
            envelope = opened(line, IN_TOTO, LONGEST_LINE)
            signers, problems = signed_by(envelope, ring, verdict.issued, f"line {number}")
        except ApprovalError as error:
            yield f"line {number}: {error}"
            continue
        if not any(key.role == "assessor" for key in signers):
            yield "; ".join(problems.values()) or f"line {number}: no assessor signed it"
        elif envelope.payload not in expected:
            yield (
                f"line {number}: the statement {digest_of(envelope)[:16]} does not follow from the "
                "record"
            )
        expected.discard(envelope.payload)
    if expected:
        yield f"{len(expected)} statements that follow from the record are missing"


def _sha256(digest: str | None) -> dict[str, str]:
    return {"sha256": (digest or "").removeprefix("sha256:")}


def _test_result(evidence: Evidence, assessment: Assessment) -> dict[str, Any]:
    """What in-toto's `test-result` says of one analysis: never more than was measured and met."""
    findings = [
        item
        for item in assessment.decision.findings
        if item.expectation.metric.partition(".")[0] == evidence.analysis
    ]
    passed = [_named(item) for item in findings if item.outcome == "met"]
    failed = [_named(item) for item in findings if _fails(item)]
    warned = [
        name for item in findings if (name := _named(item)) not in passed and name not in failed
    ]
    result = "PASSED"
    if failed or evidence.failure is not None:
        result = "FAILED"
    elif warned or not passed:
        # Nothing was expected of it, or not all that was expected applies.
        result = "WARNED"
    return {
        "result": result,
        "configuration": [
            {"name": evidence.analysis, "digest": {"governanceAnalysis": _settings(evidence)}},
            {"name": "policy.toml", "digest": _sha256(assessment.policy.digest)},
            {
                "name": "validation images",
                "digest": {"governanceImages": _sha256(assessment.validation.digest)["sha256"]},
                "annotations": {"images": assessment.validation.images},
            },
        ],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    }


def _settings(evidence: Evidence) -> str:
    """sha256 of what an analysis was asked to do."""
    asked = {
        "analysis": evidence.analysis,
        "seed": evidence.seed,
        "parameters": to_data(evidence.parameters),
    }
    return hashlib.sha256(canonical(asked)).hexdigest()


def _fails(finding: Finding) -> bool:
    return finding.outcome in {"unmet", "missing"} and finding.expectation.decides


def _named(finding: Finding) -> str:
    return f"{finding.expectation.metric} {finding.expectation.bound}"


def _evidence(evidence: Evidence, verdict: Statement) -> dict[str, Any]:
    """What `test-result` cannot say of one analysis."""
    found = evidence.measurement
    metrics = {} if found is None else dict(found.metrics)
    return {
        "analysis": evidence.analysis,
        "seed": evidence.seed,
        "device": evidence.device,
        "parameters": to_data(evidence.parameters),
        "metrics": metrics,
        "intervals": {} if found is None else to_data(found.intervals),
        "missing": sorted(name for name, value in metrics.items() if value is None),
        "withdrawn": [] if found is None else list(found.withdrawn),
        "failure": None if evidence.failure is None else evidence.failure.kind,
        "policyFixed": _moment(verdict.policy_fixed),
        "environment": verdict.environment_digest,
        "codeVersion": verdict.code_version,
    }


def _verification(assessment: Assessment, verdict: Statement) -> dict[str, Any]:
    """What in-toto's `svr` says: properties of a model that passed, and none of another."""
    return {
        "verifier": {
            "id": VERIFIER,
            "policies": [
                {
                    "name": verdict.policy_title or "",
                    "digest": _sha256(assessment.policy.digest),
                    "annotations": {"fixed": _moment(verdict.policy_fixed)},
                }
            ],
        },
        "timeCreated": assessment.created.replace("+00:00", "Z"),
        "properties": [APPROVED] if verdict.verdict == "approved" else [],
    }


def _moment(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
