import os

import pytest

from governance.approval.protection import Protection
from governance.errors import ApprovalError


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
    found = rules('keyring = "k"\n[registry]\naliases = ["champion", "prod*"]\nexcept = ["prod0"]')

    assert all(found.covers_alias(name) for name in ("champion", "CHAMPION", "prod", "Prod-eu"))
    assert not any(found.covers_alias(name) for name in ("prod0", "shadow", "candidate"))


def test_accents_are_no_way_around(rules):
    found = rules('keyring = "k"\n[registry]\naliases = ["champion"]')

    assert found.covers_alias("chámpion")


def test_a_policy_is_accepted_by_digest_or_title(rules):
    found = rules('keyring = "k"\n[registry]\npolicies = ["sha256:a", "Strict"]')

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
        'keyring = "k"\n[registry]\npolicies = []',
        'keyring = "k"\n[registry]\naliases = []',
        'keyring = "k"\nkeyrings = "l"',
        'keyring = "k"\n[registry]\nalias = ["x"]',
        'keyring = "k"\n[registry]\nmode = "off"',
        'keyring = "k"\n[[registry.models]]\nmode = "report"',
        'keyring = "k"\n[registry]\nmode = "report"\nmodel = 1',
        'keyring = "k"\n[protected]\naliases = ["*"]',
        'keyring = "k"\npolicies = ["sha256:a"]',
        "[registry]",
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
    assert rules('keyring = "k"\n[registry]\nexcept = []').covers_alias("candidate")


def test_a_ring_that_is_missing_is_told(rules):
    with pytest.raises(ApprovalError, match="cannot be read"):
        rules('keyring = "none.toml"').ring()


def test_rules_of_an_editor_that_marks_utf_8_are_read(rules):
    assert rules('\ufeffkeyring = "k"').problem is None


def test_a_mode_is_chosen_by_the_first_pattern_that_fits(rules):
    found = rules(
        'keyring = "k"\n[registry]\nmode = "report"\n'
        '[[registry.models]]\nmodels = "retina-*"\nmode = "enforce"\n'
        '[[registry.models]]\nmodels = "ret*"\nmode = "report"\n'
    )

    assert found.enforces("retina-left")
    assert not found.enforces("return")
    assert not found.enforces("other")


def test_without_a_mode_everything_is_enforced(rules):
    assert rules('keyring = "k"').enforces("any")
    assert rules('keyring = "k"\n[registry]\nmode = "enfocre"').enforces("any")


def test_another_letter_case_does_not_leave_enforcement(rules):
    strict = '[[registry.models]]\nmodels = "Retina"\nmode = "enforce"\n'
    loose = '[[registry.models]]\nmodels = "retina"\nmode = "report"\n'

    assert rules(f'keyring = "k"\n[registry]\nmode = "report"\n{strict}').enforces("RETINA")
    assert rules(f'keyring = "k"\n{loose}').enforces("RETINA")
    assert not rules(f'keyring = "k"\n{loose}').enforces("retina")


def test_problems_name_the_table_and_what_is_accepted(rules):
    found = rules('keyrings = "k"\n[registry]\nmode = "off"\n[[registry.models]]\nmodel = "x"')

    assert "registry.mode: is 'off'; one of 'enforce', 'report' is accepted" in found.problem
    assert "registry.models[0].model: unknown key" in found.problem
    assert "keyrings: unknown key; accepted are keyring" in found.problem
