"""Attestations: in-toto's own predicates say no more than was measured and met."""

import base64
import json
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from strategies import assessments

from governance.approval import Keyring, PrivateKey
from governance.approval.attestations import (
    EVIDENCE,
    SVR,
    TEST_RESULT,
    attestations,
    disagreeing,
    signed,
)

#: From spec/predicates/test-result.md and svr.md of in-toto/attestation (v0.1, v0.2): name, whether
#: it must be there, and its type. A list of ResourceDescriptors is checked apart.
FIELDS = {
    TEST_RESULT: {
        "result": (True, str), "configuration": (True, list), "url": (False, str),
        "passedTests": (False, list), "warnedTests": (False, list), "failedTests": (False, list),
    },
    SVR: {"verifier": (True, dict), "timeCreated": (True, str), "properties": (True, list)},
}  # fmt: skip
LAWS = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def check_resource(item):
    """A ResourceDescriptor names `uri`, `digest` or `content`, and nothing that is not one's."""
    assert set(item) & {"uri", "digest", "content"}
    assert set(item) <= {
        "name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations",
    }  # fmt: skip
    for algorithm, value in item.get("digest", {}).items():
        assert value
        assert int(value, 16) >= 0, algorithm


def said(assessment, verdict):
    """The statements about an assessment by the type of their predicate."""
    found = [json.loads(item) for item in attestations(assessment, verdict)]
    return {kind: [item for item in found if item["predicateType"] == kind] for kind in (
        TEST_RESULT, EVIDENCE, SVR,
    )}  # fmt: skip


@given(assessment=assessments())
@LAWS
def test_each_statement_has_the_fields_of_its_specification(verdict, assessment):
    found = said(assessment, verdict())

    assert len(found[TEST_RESULT]) == len(found[EVIDENCE]) == len(assessment.evidence)
    (verification,) = found[SVR]
    for kind, fields in FIELDS.items():
        for item in found[kind]:
            assert set(item) == {"_type", "subject", "predicateType", "predicate"}
            assert item["_type"] == "https://in-toto.io/Statement/v1"
            for subject in item["subject"]:
                check_resource(subject)
            predicate = item["predicate"]
            assert set(predicate) <= set(fields)
            assert all(name in predicate for name, (needed, _) in fields.items() if needed)
            assert all(isinstance(predicate[name], fields[name][1]) for name in predicate)
    for item in found[TEST_RESULT]:
        predicate = item["predicate"]
        assert predicate["result"] in {"PASSED", "WARNED", "FAILED"}
        for resource in predicate["configuration"]:
            check_resource(resource)
        for names in (predicate["passedTests"], predicate["warnedTests"], predicate["failedTests"]):
            assert all(isinstance(name, str) for name in names)
    verifier = verification["predicate"]["verifier"]
    assert set(verifier) == {"id", "policies"}
    for resource in verifier["policies"]:
        check_resource(resource)
    datetime.fromisoformat(verification["predicate"]["timeCreated"])


@given(assessment=assessments())
@LAWS
def test_no_crash_and_nothing_missing_becomes_a_pass(verdict, assessment):
    for item, evidence in zip(
        said(assessment, verdict())[TEST_RESULT], assessment.evidence, strict=True
    ):
        about = [
            finding
            for finding in assessment.decision.findings
            if finding.expectation.metric.startswith(f"{evidence.analysis}.")
        ]
        met = [finding for finding in about if finding.outcome == "met"]
        predicate = item["predicate"]
        if predicate["result"] == "PASSED":
            assert evidence.failure is None
            assert about
            assert met == about
        if any(finding.outcome == "unmet" and finding.expectation.decides for finding in about):
            assert predicate["result"] == "FAILED"
        assert len(predicate["passedTests"]) == len(met)
        told = sum(len(predicate[f"{word}Tests"]) for word in ("passed", "warned", "failed"))
        assert told == len(about)


@pytest.mark.parametrize("word", ["approved", "rejected", "review", "undetermined"])
@given(assessment=assessments())
@LAWS
def test_only_an_approval_has_a_property(verdict, assessment, word):
    (verification,) = said(assessment, verdict(verdict=word))[SVR]

    expected = ["GOVERNANCE_APPROVED"] if word == "approved" else []
    assert verification["predicate"]["properties"] == expected


@given(assessment=assessments())
@LAWS
def test_our_own_predicate_says_what_the_others_cannot(verdict, assessment):
    for item, evidence in zip(
        said(assessment, verdict())[EVIDENCE], assessment.evidence, strict=True
    ):
        predicate, found = item["predicate"], evidence.measurement
        assert (predicate["seed"], predicate["device"]) == (evidence.seed, evidence.device)
        assert predicate["metrics"] == ({} if found is None else dict(found.metrics))
        assert predicate["missing"] == [
            name for name, value in sorted(predicate["metrics"].items()) if value is None
        ]
        for name, interval in ({} if found is None else found.intervals).items():
            assert predicate["intervals"][name]["n"] == interval.n


@given(assessment=assessments())
@settings(parent=LAWS, max_examples=10)
def test_what_is_signed_follows_from_the_record_line_by_line(verdict, assessor, ring, assessment):
    text = signed(assessment, verdict(), assessor)
    lines = text.splitlines()
    thief = signed(assessment, verdict(), PrivateKey(Ed25519PrivateKey.generate()))
    other = signed(assessment, verdict(assessment_digest="sha256:" + "9" * 64), assessor)

    assert list(disagreeing(text, assessment, verdict(), ring)) == []
    assert list(disagreeing("\n".join(reversed(lines)), assessment, verdict(), ring)) == []
    for wrong in (thief, other, "\n".join(lines[1:]), f"{text}nonsense\n", ""):
        assert list(disagreeing(wrong, assessment, verdict(), ring))
    assert list(disagreeing(text, assessment, verdict(), Keyring(ring.keys[1:])))
    assert list(disagreeing("x\n" * 2000, assessment, verdict(), ring)) == [
        "2000 statements; 1000 are accepted"
    ]


@given(assessment=assessments())
@settings(parent=LAWS, max_examples=5)
def test_every_statement_is_about_the_version_and_its_record(verdict, assessor, assessment):
    for line in signed(assessment, verdict(), assessor).splitlines():
        version, record = json.loads(base64.b64decode(json.loads(line)["payload"]))["subject"]
        assert version["name"] == "models:/digits/3"
        assert version["digest"]["governanceTensors"] == "b" * 64
        assert record == {"name": "assessment.json", "digest": {"sha256": "d" * 64}}
