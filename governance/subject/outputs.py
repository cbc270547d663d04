"""Outputs: what a model's numbers mean, and the probabilities that they stand for.

A model gives logits or probabilities, one number for two classes, or a number for each of several
labels that are independent of one another. Each kind becomes a column for each class here, and each
is recognised where the policy says another, for every flavour alike.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from governance.errors import SubjectError
from governance.records.model_terms import Outputs
from governance.records.numbers import number

__all__ = [
    "INDEPENDENT", "SLACK", "Outputs", "check", "column_maker", "columns", "logits_of",
    "probabilities_of", "recognised",
]  # fmt: skip

#: Kinds of outputs of which each column is a label by itself.
INDEPENDENT = frozenset({"multilabel", "multilabel_logits"})
#: Largest difference from one of the sum of an image's probabilities: half precision is no better.
SLACK = 1e-2
SMALLEST = 1e-30
TWO = 2


def columns(scores: Tensor, kind: Outputs) -> Tensor:
    """Scores with a column for each class, (B, K), in single precision at least.

    Args:
        scores: (B, K) as the model returns them, or (B, 1) for two classes.
        kind: Meaning of the scores.

    Raises:
        SubjectError: If one sigmoid is declared and there are several numbers.
    """
    scores = scores if scores.dtype == torch.float64 else scores.float()
    make = column_maker(scores.shape[1], kind)
    return scores if make is None else make(scores)


def column_maker(numbers: int, kind: Outputs) -> Callable[[Tensor], Tensor] | None:
    """What makes a column for each class of scores; None where these are so already.

    One number stands for two classes: before a sigmoid it is the logit of the second class against
    a logit of zero, after one it is the probability of the second class. Logits of independent
    labels become probabilities.

    Args:
        numbers: How many numbers the model returns for an image.
        kind: Their meaning.

    Raises:
        SubjectError: If one sigmoid is declared and there are several numbers.
    """
    if kind in INDEPENDENT:
        return torch.sigmoid if kind == "multilabel_logits" else None
    if numbers == 1:
        return _against_zero if kind == "logits" else _with_rest
    if kind == "sigmoid":
        raise SubjectError(
            f"returns {numbers} numbers per image, and the policy says one sigmoid; "
            "outputs = 'multilabel' takes several independent sigmoids, 'probabilities' "
            "numbers that sum to one and 'logits' any finite numbers"
        )
    return None


def _against_zero(logit: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(logit), logit], 1)


def _with_rest(share: Tensor) -> Tensor:
    return torch.cat([1 - share, share], 1)


def logits_of(scores: Tensor, kind: Outputs) -> Tensor:
    """Logits (B, K) whose softmax is what a model answered.

    Args:
        scores: (B, K), a column for each class, as `columns` returns them.
        kind: Their meaning, of one decision for each image.

    Raises:
        SubjectError: If a number is NaN or infinite, or said to be a probability and is none.
    """
    if not torch.isfinite(scores).all():
        raise SubjectError("an output is NaN or infinite; finite numbers are accepted")
    if kind == "logits":
        return scores
    if (scores < -SLACK).any() or ((scores.sum(1) - 1).abs() > SLACK).any():
        raise SubjectError(
            "the outputs of an image are no probabilities that sum to one; outputs = 'logits' "
            "in [model] of the policy takes any finite numbers"
        )
    return scores.clamp_min(SMALLEST).log()


def probabilities_of(scores: Tensor, kind: Outputs) -> Tensor:
    """Probability of each class, (B, K); each row sums to one, except of independent labels.

    Args:
        scores: (B, K), a column for each class, as `columns` returns them.
        kind: Their meaning.

    Raises:
        SubjectError: If a number is NaN or infinite, or said to be a probability and is none.
    """
    if kind not in INDEPENDENT:
        return logits_of(scores, kind).softmax(1)
    if not torch.isfinite(scores).all():
        raise SubjectError("an output is NaN or infinite; finite numbers are accepted")
    if ((scores < -SLACK) | (scores > 1 + SLACK)).any():
        raise SubjectError(
            "an output is no probability of a label; outputs = 'multilabel_logits' in [model] of "
            "the policy takes any finite numbers"
        )
    return scores.clamp(0, 1)


def recognised(scores: Tensor, kind: Outputs = "logits") -> Outputs:
    """The kind that outputs look like.

    Args:
        scores: (B, K) for some real images, a column for each class, as `columns` returns them.
        kind: The meaning that they were made columns by.
    """
    given = _given(scores, kind)
    inside = bool(((given >= 0) & (given <= 1)).all())
    if given.shape[1] == 1 and kind not in INDEPENDENT:
        return "sigmoid" if inside else "logits"
    if inside and bool(((given.sum(1) - 1).abs() <= SLACK).all()):
        return "probabilities"
    if inside:
        return "multilabel"
    # Logits of labels look like those of classes.
    return "multilabel_logits" if kind in INDEPENDENT else "logits"


def _given(scores: Tensor, kind: Outputs) -> Tensor:
    """Scores as the model gave them, of the columns that were made of them."""
    if kind == "multilabel_logits":
        return scores.logit()
    single = kind == "sigmoid" or (kind == "logits" and not scores[:, 0].any())
    return scores[:, 1:] if single and scores.shape[1] == TWO else scores


def check(scores: Tensor, *, classes: int, kind: Outputs, where: str) -> None:
    """Refuse outputs that are not what a classifier of these classes returns.

    Args:
        scores: (B, K) for some real images, a column for each class, as `columns` returns them.
        classes: Number of classes of the validation set.
        kind: Meaning of the outputs that the policy declares.
        where: Name of the model in messages.

    Raises:
        SubjectError: If their number is another, one is not finite, or they are seen to be of
            another kind than declared.
    """
    if scores.dim() != TWO or scores.shape[1] != classes:
        raise SubjectError(
            f"{where}: returns {tuple(scores.shape[1:])} numbers per image and the validation set "
            f"names {classes} classes; as many outputs as classes are accepted, or one for two "
            "classes: class_names in [model] of the policy names classes without images too"
        )
    if not bool(torch.isfinite(scores).all()):
        raise SubjectError(f"{where}: an output is NaN or infinite; finite numbers are accepted")
    found = recognised(scores, kind)
    if found == kind:
        return
    other = (
        ", which judges each label by itself, or return the numbers before the sigmoid and set "
        "outputs = 'logits', which decides for one class"
    )
    raise SubjectError(
        f"{where}: returns {_look(_given(scores, kind), found)}, and the policy says {kind}; set "
        f"outputs = '{found}' in [model] of the policy{other if found == 'multilabel' else ''}"
    )


def _look(scores: Tensor, found: Outputs) -> str:
    """What outputs look like, in words."""
    sums = scores.double().sum(1)
    if found == "sigmoid":
        return "one number from 0 to 1 per image, as after a sigmoid"
    if found == "probabilities":
        return "numbers from 0 to 1 that sum to 1"
    if found == "multilabel":
        low, high = number(float(sums.min())), number(float(sums.max()))
        return (
            f"numbers from 0 to 1 that do not sum to 1 (sums from {low} to {high}), as after "
            "independent sigmoids"
        )
    low, high = number(float(scores.min())), number(float(scores.max()))
    return f"numbers that are no probabilities (from {low} to {high})"
