import os

import pytest

from governance.errors import ApprovalError
from mlflow_plugins.protection import Protection


@pytest.fixture
def rules(tmp_path):
    """What a file of that text says."""

    def read(text):
        path = tmp_path / "governance.toml"
        path.write_text(text)
        # Written within one tick of the clock of the file system, it would look the same.
        stamp = path.stat().st_mtime_ns + 1
        os.utime(path, ns=(stamp, stamp))
        return Protection.at(path)

    return read


def test_by_default_all_but_three_aliases_and_two_stages_are_protected(rules, tmp_path):
    found = rules('keyring = "k.toml"')

    assert found.keyring == tmp_path / "k.toml"
    assert not any(found.covers_alias(name) for name in ("candidate", "challenger", "archived"))
    assert all(found.covers_alias(name) for name in ("champion", "x", "Candidate", ""))
    assert [found.covers_stage(name) for name in ("staging", "Production", "None", "Archived")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_protected_aliases_may_be_named_by_patterns(rules):
    found = rules('keyring = "k"\n[protected]\naliases = ["champion", "prod*"]\nexcept = ["prod0"]')

    assert all(found.covers_alias(name) for name in ("champion", "CHAMPION", "prod", "Prod-eu"))
    assert not any(found.covers_alias(name) for name in ("prod0", "shadow", "candidate"))


def test_accents_are_no_way_around(rules):
    found = rules('keyring = "k"\n[protected]\naliases = ["champion"]')

    assert found.covers_alias("chámpion")


def test_a_policy_is_accepted_by_digest_or_title(rules):
    found = rules('keyring = "k"\npolicies = ["sha256:a", "Strict"]')

    assert found.accepts("anything", "sha256:a")
    assert found.accepts("Strict", "sha256:b")
    assert not found.accepts("Lax", "sha256:b")
    assert not found.accepts(None, None)
    assert rules('keyring = "k"').accepts("Lax", "sha256:b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keyring = 3",
        'keyring = "k"\npolicies = []',
        'keyring = "k"\n[protected]\naliases = []',
        'keyring = "k"\nkeyrings = "l"',
        'keyring = "k"\n[protected]\nalias = ["x"]',
        'keyring = "k"\n[audit]\nfile = "x"',
        "[",
    ],
)
def test_rules_that_are_wrong_protect_everything_and_open_nothing(rules, text):
    found = rules(text)

    assert found.problem
    assert found.covers_alias("candidate")
    assert found.covers_stage("Staging")
    assert not found.covers_stage("Archived")
    with pytest.raises(ApprovalError, match=r"governance\.toml"):
        found.ring()


def test_rules_that_are_missing_protect_everything(tmp_path):
    found = Protection.at(tmp_path / "governance.toml")

    assert "cannot be read" in found.problem
    assert found.covers_alias("candidate")


def test_rules_that_are_no_text_protect_everything(tmp_path):
    (tmp_path / "governance.toml").write_bytes(b"\xff\xfe")

    assert Protection.at(tmp_path / "governance.toml").covers_alias("candidate")


def test_rules_written_again_count_at_once(rules):
    assert not rules('keyring = "k"').covers_alias("candidate")
    assert rules('keyring = "k"\n[protected]\nexcept = []').covers_alias("candidate")


def test_a_ring_that_is_missing_is_told(rules):
    with pytest.raises(ApprovalError, match="cannot be read"):
        rules('keyring = "none.toml"').ring()


def test_rules_of_an_editor_that_marks_utf_8_are_read(rules):
    assert rules('\ufeffkeyring = "k"').problem is None
