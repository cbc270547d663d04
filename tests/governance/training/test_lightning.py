"""The callback records as often as its share of the training time allows."""

import copy

import mlflow
import numpy as np
import pytest
import torch
from torch import nn

from governance.registry.training_curves import named, recorded

lightning = pytest.importorskip("lightning.pytorch", reason="needs the extra `lightning`")
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning warns about our few images


def module_of(network):
    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x)

        def training_step(self, batch, _index):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

    return Module()


@pytest.mark.parametrize("attribute", [None, "network"])
def test_epochs_are_recorded_in_the_active_run(tiny_subject, mlflow_store, attribute):
    from governance.training.lightning import EpochRecorder  # noqa: PLC0415 - needs the extra

    # arrange
    labels = tiny_subject.validation.labels
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(range(len(labels))))
    recorder = EpochRecorder((inputs, labels), model=attribute, share=1.0, images=60)
    data = torch.utils.data.TensorDataset(inputs, torch.from_numpy(labels))
    trainer = lightning.Trainer(
        max_epochs=3, callbacks=[recorder], logger=False, accelerator="cpu",
        enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip

    # act
    with mlflow.start_run() as run:
        trainer.fit(
            module_of(copy.deepcopy(tiny_subject.network.model)),
            torch.utils.data.DataLoader(data, 30),
        )

    # assert
    points = named(recorded(run.info.run_id), ["lens_accuracy"])["lens_accuracy"]
    assert points[0][0] == 0
    assert np.isfinite([value for _, value in points]).all()


def test_an_impossible_share_is_refused():
    from governance.training.lightning import EpochRecorder  # noqa: PLC0415 - needs the extra

    with pytest.raises(ValueError, match="share = 0"):
        EpochRecorder((torch.zeros(1), [0]), share=0)
