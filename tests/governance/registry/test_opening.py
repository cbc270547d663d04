"""Opening: a model, a policy and images that go together become a subject, others are refused."""

import dataclasses

import mlflow
import numpy as np
import pytest
import torch
from torch import nn

from governance.errors import RegistryError, SubjectError
from governance.registry import resolve
from governance.registry.opening import open_subject
from governance.subject.network import tensor_digest


def with_model(policy, **terms):
    return dataclasses.replace(policy, model=dataclasses.replace(policy.model, **terms))


def refusal(version, policy, workspace, **options):
    with pytest.raises(SubjectError) as caught:
        open_subject(version, policy, workspace=workspace, **options)
    return str(caught.value)


@pytest.fixture
def folder(saved_model):
    return resolve(str(saved_model))


def test_a_local_folder_becomes_a_subject_that_answers_like_the_model(
    folder, policy, tmp_path, tiny_subject
):
    # act
    subject = open_subject(folder, policy, workspace=tmp_path)
    # assert
    np.testing.assert_allclose(subject.predictions(), tiny_subject.predictions(), atol=1e-6)
    assert subject.preprocessing == tiny_subject.preprocessing
    assert subject.identity.digest == tensor_digest(tiny_subject.network.model)
    assert subject.identity.format == "pt2"
    assert subject.identity.name is None
    assert subject.validation.location == policy.validation
    assert not list(tmp_path.iterdir())


def test_images_are_downloaded_from_where_mlflow_keeps_them(
    folder, policy, tmp_path, images_file, mlflow_store
):
    # arrange
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(images_file), "validation")
    location = f"runs:/{run.info.run_id}/validation/stripes.npz"
    # act
    found = dataclasses.replace(policy, validation=location)
    subject = open_subject(folder, found, workspace=tmp_path / "w")
    # assert
    assert len(subject.validation) == 120
    assert subject.validation.location == location


def test_images_that_cannot_be_downloaded_are_said(folder, policy, tmp_path, mlflow_store):
    found = dataclasses.replace(policy, validation="runs:/0123/x.npz")
    with pytest.raises(RegistryError, match=r"runs:/0123/x\.npz: downloading: refused"):
        open_subject(folder, found, workspace=tmp_path / "w")


def test_wrong_size_and_channels_are_refused_together(folder, policy, tmp_path):
    message = refusal(folder, with_model(policy, size=(20, 16), channels="rgb"), tmp_path)
    assert "takes images of 16 x 16 and the policy says 20 x 16" in message
    assert "takes 1 channels and the policy says rgb, which is 3" in message


def test_outputs_declared_as_probabilities_are_refused(folder, policy, tmp_path):
    message = refusal(folder, with_model(policy, outputs="probabilities"), tmp_path)
    assert "set outputs = 'logits'" in message


def test_another_number_of_classes_is_refused(folder, policy, tmp_path, tiny_subject):
    validation = tiny_subject.validation
    np.savez(
        tmp_path / "x.npz",
        images=np.stack(list(validation.images)),
        labels=validation.labels,
        class_names=np.array([*validation.class_names, "none"]),
    )
    found = dataclasses.replace(policy, validation=str(tmp_path / "x.npz"))
    assert "(3,) numbers per image" in refusal(folder, found, tmp_path / "w")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without(folder, policy, tmp_path):
    assert "torch finds no GPU here" in refusal(folder, policy, tmp_path, device="cuda")
    assert open_subject(folder, policy, workspace=tmp_path).device.type == "cpu"


def test_an_unknown_device_is_refused(folder, policy, tmp_path):
    assert "auto, cpu and cuda are accepted" in refusal(folder, policy, tmp_path, device="tpu")


def test_a_pickled_model_is_opened_only_where_the_policy_allows_it(policy, tmp_path, tiny_subject):
    # arrange
    mlflow.pytorch.save_model(
        nn.Sequential(tiny_subject.network.model), tmp_path / "m", serialization_format="pickle",
        pip_requirements=["torch"],
    )  # fmt: skip
    version = resolve(str(tmp_path / "m"))
    allowed = with_model(policy, allow_pickle=True, size=(16, 16))
    # act
    subject = open_subject(version, allowed, workspace=tmp_path / "w")
    # assert
    assert subject.identity.format == "pickle"
    np.testing.assert_allclose(subject.predictions(), tiny_subject.predictions(), atol=1e-6)
    assert "allow_pickle" in refusal(version, policy, tmp_path / "w")
