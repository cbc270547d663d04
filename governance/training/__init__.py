"""Training: what a training loop calls to be governed later, inside the user's own process.

```
epochs     record_epoch: inner signs of the network after an epoch, as metrics of the MLflow run
lightning  the same as a callback of PyTorch Lightning (extra `lightning`)
certified  certified_finetune: networks whose decisions can be certified
```
"""

from governance.training.certified import Finetuned, certified_finetune
from governance.training.epochs import record_epoch

__all__ = ["Finetuned", "certified_finetune", "record_epoch"]
