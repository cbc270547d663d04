"""Which policy applies, and that a tag can choose only among what the terms allow."""

from dataclasses import replace

import pytest

from governance.errors import PolicyError
from governance.worker.choice import choose
from governance.worker.terms import Rule, Terms

TAG = "governance.policy_uri"


@pytest.fixture
def terms(tmp_path, policy_text):
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "strict.toml").write_text(policy_text.replace('"Stripes"', '"Strict"'))
    (tmp_path / "secret.toml").write_text(policy_text)
    (tmp_path / "policy.toml").write_text(policy_text)
    (tmp_path / "allowed" / "link.toml").symlink_to(tmp_path / "secret.toml")
    rule = Rule(models="stripes*", policy=tmp_path / "policy.toml")
    return Terms(rules=(rule,), places=(str(tmp_path / "allowed"), "runs:/0123/policies/"))


def test_the_tag_comes_before_the_rules(terms, tmp_path):
    assert choose("stripes", {TAG: "strict.toml"}, terms, tmp_path).title == "Strict"
    assert choose("stripes", {}, terms, tmp_path).title == "Stripes"


@pytest.mark.parametrize(
    "uri",
    ["../secret.toml", "link.toml", "absent.toml", "", "{tmp_path}/secret.toml",
     "strict.toml\0", "runs:/0123/policies/a\0.toml", "runs:/9999/policies/a.toml",
     "runs:/0123/policies/../../9/a.toml",
     "runs:/0123/policies/%2e%2e/a.toml", "https://example.org/a.toml", "file:///etc/passwd"],
)  # fmt: skip
def test_a_tag_that_leads_elsewhere_is_refused_not_passed_over(uri, terms, tmp_path):
    with pytest.raises(PolicyError, match="is accepted"):
        choose("stripes", {TAG: uri.format(tmp_path=tmp_path)}, terms, tmp_path)


def test_without_a_rule_no_policy_applies(terms, tmp_path):
    with pytest.raises(PolicyError, match="no policy applies to models named 'digits'"):
        choose("digits", {}, terms, tmp_path)


def test_a_policy_that_is_wrong_is_refused(terms, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("title = 1")

    with pytest.raises(PolicyError):
        choose("any", {}, replace(terms, rules=(Rule(models="*", policy=wrong),)), tmp_path)
