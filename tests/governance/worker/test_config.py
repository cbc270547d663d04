"""The worker's TOML file: all problems at once, first rule first."""

import pytest

from governance.errors import PolicyError
from governance.worker.config import WorkerConfig


def load(tmp_path, text):
    (tmp_path / "worker.toml").write_text(text)
    (tmp_path / "a.toml").touch()
    (tmp_path / "b.toml").touch()
    return WorkerConfig.load(tmp_path / "worker.toml")


RULES = """
[[worker.policies]]
models = "retina-*"
policy = "a.toml"
[[worker.policies]]
models = "*"
policy = "b.toml"
"""


def test_the_first_rule_that_fits_counts(tmp_path):
    config = load(tmp_path, RULES)

    assert config.rule("retina-1").policy == tmp_path / "a.toml"
    assert config.rule("Retina-1").policy == tmp_path / "b.toml"
    assert WorkerConfig().rule("retina") is None


def test_defaults_are_careful(tmp_path):
    config = load(tmp_path, RULES)

    assert (config.device, config.attempts, config.remove_aliases) == (
        "cpu",
        3,
        False,
    )
    assert config.unprotected == ("candidate", "challenger", "archived")


def test_places_start_at_the_files_folder(tmp_path):
    config = load(tmp_path, '[worker]\npolicy_places = ["policies", "runs:/1/"]')

    assert config.places == (str(tmp_path / "policies"), "runs:/1/")


def test_all_problems_are_told_at_once(tmp_path):
    text = """
    [worker]
    minutes = 0
    confinement = "some"
    network = "none"
    attempts = 1.5
    colour = "red"
    [[worker.policies]]
    models = "*"
    policy = "c.toml"
    """
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, text)

    told = "\n".join(caught.value.problems)
    for word in (
        "minutes", "confinement: is 'some'", "network: is gone; confinement", "attempts", "colour",
        "c.toml is no file",
    ):  # fmt: skip
        assert word in told


def test_a_file_of_an_earlier_release_is_told_where_its_keys_stand_now(tmp_path):
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, 'minutes = 5\n[[policies]]\nmodels = "*"\npolicy = "a.toml"\n')

    moved = [item for item in caught.value.problems if "the keys of earlier files stand" in item]
    assert [item.split(": ")[1] for item in moved] == ["minutes", "policies"]
    assert len(caught.value.problems) == 3


def test_a_worker_without_any_policy_is_refused(tmp_path):
    with pytest.raises(PolicyError, match="every version would be undetermined"):
        load(tmp_path, "")
    with pytest.raises(PolicyError, match="cannot be read"):
        WorkerConfig.load(tmp_path / "absent.toml")
