"""Training: what a training loop calls to be governed later.

```
epochs.py     record_epoch: the network's inner signs after an epoch, as metrics of the MLflow run
lightning.py  the same as a callback of PyTorch Lightning (extra `lightning`)
certified.py  certified_finetune: networks whose decisions can be certified
```

Everything here runs inside the user's process.
"""

from governance.training.certified import Finetuned, certified_finetune
from governance.training.epochs import record_epoch

__all__ = ["Finetuned", "certified_finetune", "record_epoch"]
