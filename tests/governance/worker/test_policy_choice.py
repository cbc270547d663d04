"""Which policy applies, and that a tag can choose only among what the configuration allows."""

from dataclasses import replace

import pytest

from governance.errors import PolicyError
from governance.worker.config import PolicyRule, WorkerConfig
from governance.worker.policy_choice import choose_policy

TAG = "governance.policy_uri"


@pytest.fixture
def config(tmp_path, policy_text):
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "strict.toml").write_text(policy_text.replace('"Stripes"', '"Strict"'))
    (tmp_path / "secret.toml").write_text(policy_text)
    (tmp_path / "policy.toml").write_text(policy_text)
    (tmp_path / "allowed" / "link.toml").symlink_to(tmp_path / "secret.toml")
    rule = PolicyRule(models="stripes*", policy=tmp_path / "policy.toml")
    return WorkerConfig(rules=(rule,), places=(str(tmp_path / "allowed"), "runs:/0123/policies/"))


def test_the_tag_comes_before_the_rules(config, tmp_path):
    assert choose_policy("stripes", {TAG: "strict.toml"}, config, tmp_path).title == "Strict"
    assert choose_policy("stripes", {}, config, tmp_path).title == "Stripes"


@pytest.mark.parametrize(
    "uri",
    ["../secret.toml", "link.toml", "absent.toml", "", "{tmp_path}/secret.toml",
     "strict.toml\0", "runs:/0123/policies/a\0.toml", "runs:/9999/policies/a.toml",
     "runs:/0123/policies/../../9/a.toml",
     "runs:/0123/policies/%2e%2e/a.toml", "https://example.org/a.toml", "file:///etc/passwd"],
)  # fmt: skip
def test_a_tag_that_leads_elsewhere_is_refused_not_passed_over(uri, config, tmp_path):
    with pytest.raises(PolicyError, match="is accepted"):
        choose_policy("stripes", {TAG: uri.format(tmp_path=tmp_path)}, config, tmp_path)


def test_without_a_rule_no_policy_applies(config, tmp_path):
    with pytest.raises(PolicyError, match="no policy applies to models named 'digits'"):
        choose_policy("digits", {}, config, tmp_path)


def test_a_policy_that_is_wrong_is_refused(config, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("title = 1")

    with pytest.raises(PolicyError):
        choose_policy(
            "any",
            {},
            replace(config, rules=(PolicyRule(models="*", policy=wrong),)),
            tmp_path,
        )
