"""Models are computed in full float32, whatever the surrounding program chose."""

import contextlib
import sys
import types

import precisions
import pytest
import torch
from precisions import FULL, OPERATIONS, fast, seen_by_models, settings
from torch.backends import cuda, cudnn

from governance import registry
from governance.errors import EvidenceError
from governance.registry import opening
from governance.subject.precision import full_precision
from governance.workflows.assessing import assess_model
from governance.workflows.comparing import compare_models
from governance.workflows.orchestration import read_policy
from governance.workflows.references import make_references


@pytest.fixture(autouse=True)
def settings_come_back():
    with precisions.as_before():
        yield


@pytest.mark.parametrize("before", [lambda: None, fast], ids=["torch's defaults", "fast"])
def test_inside_everything_is_full_and_afterwards_as_before(before):
    before()
    found = settings()
    with full_precision():
        assert settings() == FULL
        with full_precision():
            assert settings() == FULL
        assert settings() == FULL
    assert settings() == found


def test_a_crash_puts_the_settings_back():
    fast()
    found = settings()
    with pytest.raises(ZeroDivisionError), full_precision():
        _ = 1 / 0
    assert settings() == found


@pytest.mark.parametrize("before", [("tf32", "ieee"), ("ieee", "tf32")])
def test_what_was_set_by_the_newer_interface_is_full_inside_and_comes_back(before):
    matmul, conv = before
    cuda.matmul.fp32_precision, cudnn.conv.fp32_precision = matmul, conv
    with full_precision():
        assert {item.fp32_precision for item in OPERATIONS} == {"ieee"}
    assert (cuda.matmul.fp32_precision, cudnn.conv.fp32_precision) == before


def test_a_precision_that_all_operations_inherit_does_not_reach_inside():
    torch.backends.fp32_precision = "tf32"
    cudnn.conv.fp32_precision = "none"
    try:
        with full_precision():
            assert {item.fp32_precision for item in OPERATIONS} == {"ieee"}
            with cudnn.flags(
                enabled=False, allow_tf32=False
            ):  # as torch.export does while it traces
                pass
            assert {item.fp32_precision for item in OPERATIONS} == {"ieee"}
        assert cudnn.conv.fp32_precision == torch.backends.fp32_precision == "tf32"
    finally:
        torch.backends.fp32_precision = "none"


MAPS = """
[analyses.explanation_maps]
samples = 60
steps = 4
repeated = 6
"""


@pytest.fixture
def policy(tmp_path, policy_text):
    """With maps, which comparisons and references need."""
    (tmp_path / "policy.toml").write_text(policy_text + MAPS)
    return read_policy(tmp_path / "policy.toml")


def train(seed, _start):
    """A network of another seed."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 3),
    )  # fmt: skip


def assess(model, policy, folder):
    assess_model(str(model), policy, out=folder / "a", device="cpu")


def compare(model, policy, _folder):
    compare_models(str(model), str(model) + "/", policy=policy, device="cpu", drawn=False)


def try_out(model, policy, folder):
    subject = opening.open_subject(
        registry.resolve(str(model)), policy, workspace=folder, device="cpu"
    )
    opening.try_out(subject, 0)


@pytest.mark.slow
@pytest.mark.parametrize("use", [assess, compare, try_out], ids=lambda use: use.__name__)
def test_a_model_is_computed_in_full_float32_by_whoever_opens_it(
    use, saved_model, policy, tmp_path
):
    with seen_by_models() as seen, contextlib.suppress(EvidenceError):
        use(saved_model, policy, tmp_path)
    assert seen == {FULL}


@pytest.mark.slow
def test_references_are_trained_and_measured_in_full_float32(
    store, new_version, policy, tmp_path, monkeypatch
):
    # arrange
    uri = new_version()
    assess_model(uri, policy, device="cpu")
    monkeypatch.setitem(sys.modules, "recipes", types.SimpleNamespace(train=train))
    # act
    with seen_by_models() as seen:
        make_references(uri, "recipes:train", 1, device="cpu")
    # assert
    assert seen == {FULL}
