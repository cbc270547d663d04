"""Lightning: the inner signs of a network in training, recorded by a callback of its Trainer.

Needs the extra `lightning`: `pip install "mlflow-governance[lightning]"`.
"""

import time
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import ArrayLike

from governance.methods.image_tensors import Images
from governance.training.epochs import record_epoch

__all__ = ["EpochRecorder"]


class EpochRecorder(Callback):  # type: ignore[misc] # Lightning is not installed for type checks
    """Records the signs of a network after epochs, as often as a share of the time allows.

    The first epoch is always recorded; after that, one whenever all recordings so far, with another
    like the last, take at most `share` of the time since training began.

    Args:
        validation: Images and labels, as `record_epoch` takes them.
        model: Name of the attribute that holds the network; the module itself if not given.
        share: Largest share of the training time that recording may take.
        options: Further arguments of `record_epoch`; without `run_id` the run is that of the
            Trainer's MLFlowLogger, else the active one.
    """

    def __init__(
        self,
        validation: tuple[Images, ArrayLike],
        *,
        model: str | None = None,
        share: float = 0.05,
        class_names: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share = {share}: more than 0 and at most 1 is accepted")
        self._validation, self._model, self._share = validation, model, share
        self._options = {"class_names": class_names, **options}
        self._began: float | None = None
        self._spent = self._last = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        del trainer, pl_module
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record, if it is time."""
        now = time.monotonic()
        elapsed = now - (now if self._began is None else self._began)
        late = self._spent + self._last > self._share * elapsed
        if not trainer.is_global_zero or (self._last and late):
            return
        network = getattr(pl_module, self._model) if self._model else pl_module
        options = {"run_id": _run_id(trainer), **self._options}
        record_epoch(network, self._validation, trainer.current_epoch, **options)
        self._last = time.monotonic() - now
        self._spent += self._last


def _run_id(trainer: Trainer) -> str | None:
    found = [getattr(logger, "run_id", None) for logger in trainer.loggers]
    return next((run for run in found if isinstance(run, str)), None)
