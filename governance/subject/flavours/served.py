"""Served: a model behind a scoring server, asked as it will be when it is deployed.

No code of the model runs here: TensorFlow, Keras, JAX, scikit-learn and containers are asked over
MLflow's protocol. Who asks is handed in, since a confined process opens no connection itself.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.subject.black_box import BlackBox
from governance.subject.flavours.arranging import Arrangement, arrangement
from governance.subject.flavours.invocations import answered, per_request, request
from governance.subject.flavours.loaded import LoadedModel
from governance.subject.flavours.scoring_server import Ask
from governance.subject.model_files import ModelFiles, artifact_digest

__all__ = ["NAME", "load"]

NAME = "served"


def load(files: ModelFiles, terms: ModelTerms, ask: Ask | None) -> LoadedModel:
    """A model behind a server that is running.

    Args:
        files: Folder of the model, whose signature says how it takes images.
        terms: What the policy says about the model.
        ask: Reaches the server; None where nobody started or named one.

    Raises:
        SubjectError: If there is no server, or the signature is not of images.
    """
    if ask is None:
        raise SubjectError(
            f"{files.folder}: flavour = 'served' needs a server, and this command neither starts "
            "nor reaches one; `governance assess` and the worker do"
        )
    taken = arrangement(files.signature, terms.layout, f"{files.folder}/MLmodel")
    return LoadedModel(
        classifier=partial(BlackBox, ask=partial(_asked, ask, taken)),
        format="served",
        digest=artifact_digest(files.folder),
        shape=taken.shape,
        levels=taken.levels,
    )


def _asked(ask: Ask, taken: Arrangement, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the server answers for a batch, (B, K); as many requests as their size needs."""
    count = per_request(int(np.prod(inputs.shape[1:])))
    parts = [inputs[start : start + count] for start in range(0, len(inputs), count)]
    answers = [answered(ask(request(part, taken)), len(part)) for part in parts]
    if len({answer.shape[1] for answer in answers}) != 1:
        raise SubjectError("the scoring server answers with more numbers for some images")
    return np.concatenate(answers)
