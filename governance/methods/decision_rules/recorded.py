"""Recorded: rules as plain tables, and what another version of the model says to them.

Boundaries are kept as they were measured, so that the question can be asked without the model that
they come from. They are stated in the features of that model: a version trained on from the same
weights shares them more or less, one trained from scratch does not, and then only the share of
images that are still answered alike means anything.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.errors import AnalysisError
from governance.methods.decision_rules.boundaries import Boundaries, boundary_digest
from governance.methods.decision_rules.cover import cover
from governance.methods.decision_rules.rules import Outputs, features_at
from governance.methods.image_tensors import Images, image_tensor
from governance.methods.network import trace
from governance.methods.statistics.intervals import clopper_pearson
from governance.methods.statistics.proportions import ends
from governance.records.evidence import Cell, Table

__all__ = ["RuleAgreement", "ask", "ask_in_order", "places"]

SAME = 0.5  # Jaccard index of covered images from which a rule is called the same


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleAgreement:
    """What a later version says to recorded rules, on the same images.

    Attributes:
        rules: One row a rule: rule, class, `n_then` and `n_now` (images covered), `coverage_then`,
            `coverage_now` (among the images answered with the class by the version in question),
            `precision_then`, `precision_now` with `precision_low` and `precision_high` (95 %
            Clopper-Pearson), `jaccard` of the covered images, `same_answer` (share of the images
            covered then that are still answered with the class), `holds`.
        images: One row an image that went from one rule to another: image, `rule_then`, `rule_now`
            (empty for none), `answer_then`, `answer_now`.
    """

    rules: pd.DataFrame
    images: pd.DataFrame


def ask(
    boundaries: Table,
    images: Table,
    model: nn.Module,
    inputs: Images,
    ids: Sequence[str] | None = None,
    *,
    outputs: Outputs = "logits",
    batch_size: int = 64,
) -> RuleAgreement:
    """Ask a model which of the rules recorded for another version hold on the same images.

    A rule holds where it covers mostly the same images (Jaccard index of at least 0.5) and its
    precision has not fallen: the upper end of its interval is not below what was recorded.

    Args:
        boundaries: Table of the boundaries, as recorded.
        images: Table of the images, as recorded.
        model: The version in question, (B, C, H, W) to (B, K); left as found.
        inputs: (N, C, H, W) in its input space; further images are ignored.
        ids: Names of the images in the record; their numbers if not given.
        outputs: Whether the model returns logits or probabilities.
        batch_size: Images per forward pass.

    Raises:
        AnalysisError: If the record was changed, an image is missing, or the model has no layer of
            that name and shape.
    """
    inputs = image_tensor(inputs)
    given = [str(index) for index in range(len(inputs))] if ids is None else list(ids)
    if len(given) != len(inputs):
        raise AnalysisError(
            f"{len(given)} names for {len(inputs)} images; one an image is accepted"
        )
    _check_any(boundaries)
    order = places([str(row[0]) for row in images.rows], given)
    return ask_in_order(
        boundaries, images, model, [inputs[order]], outputs=outputs, batch_size=batch_size
    )


def ask_in_order(
    boundaries: Table,
    images: Table,
    model: nn.Module,
    batches: Iterable[Images],
    *,
    outputs: Outputs = "logits",
    batch_size: int = 64,
) -> RuleAgreement:
    """As `ask`, of images that come batch by batch in the order of the record.

    Raises:
        AnalysisError: If the record was changed or holds no rule, or the model has no layer of that
            name and shape.
    """
    _check_any(boundaries)
    known = _rules(boundaries)
    then = pd.DataFrame(images.rows, columns=list(images.columns))
    coming = iter(batches)
    first = image_tensor(next(coming))
    network = trace(model, first[:2], batch_size=batch_size)
    cut, shape = str(boundaries.rows[0][2]), str(boundaries.rows[0][3])
    features, logits = features_at(network, chain([first], coming), cut, outputs)
    found = "x".join(str(size) for size in features.shape[1:])
    if found != shape:
        raise AnalysisError(
            f"the model gives {found} numbers at {cut!r}; {shape}, as recorded, is accepted"
        )
    now = logits.argmax(1).cpu().numpy()
    return _answer(known, then, features, now)


def _check_any(boundaries: Table) -> None:
    if not boundaries.rows:
        raise AnalysisError("the record holds no rule; a record with rules is accepted")


def places(recorded: Sequence[str], given: Sequence[str]) -> list[int]:
    """Where the images of a record are among those given.

    Raises:
        AnalysisError: If one is not.
    """
    found = {name: place for place, name in enumerate(given)}
    absent = [name for name in recorded if name not in found]
    if absent:
        raise AnalysisError(
            f"{len(absent)} of {len(recorded)} recorded images are missing, as {absent[0]}; the "
            "images of the record are accepted"
        )
    return [found[name] for name in recorded]


def _answer(
    known: Mapping[str, tuple[int, Boundaries]],
    then: pd.DataFrame,
    features: Tensor,
    now: NDArray[np.int64],
) -> RuleAgreement:
    listed = [set(json.loads(text)) for text in then["rules"]]
    before = then["label"].to_numpy()
    rows, first_then, first_now = [], [""] * len(then), [""] * len(then)
    for name, (label, bounds) in known.items():
        was = np.array([name in rules for rules in listed])
        covered = cover(bounds.inside(features.cpu().float()), range(len(bounds)))
        rows.append(_row(name, label, was, covered, before, now))
        for image in range(len(then)):
            if was[image] and before[image] == label and not first_then[image]:
                first_then[image] = name
            if covered[image] and now[image] == label and not first_now[image]:
                first_now[image] = name
    moved = [place for place in range(len(then)) if first_then[place] != first_now[place]]
    return RuleAgreement(
        rules=pd.DataFrame(rows),
        images=pd.DataFrame(
            {
                "image": [then["image"][place] for place in moved],
                "rule_then": [first_then[place] for place in moved],
                "rule_now": [first_now[place] for place in moved],
                "answer_then": [int(before[place]) for place in moved],
                "answer_now": [int(now[place]) for place in moved],
            }
        ),
    )


def _row(
    name: str, label: int, was: NDArray[np.bool_], covered: NDArray[np.bool_],
    before: NDArray[np.int64], now: NDArray[np.int64],
) -> dict[str, Cell]:  # fmt: skip
    hits_then, hits_now = (
        int((was & (before == label)).sum()),
        int((covered & (now == label)).sum()),
    )
    union = int((was | covered).sum())
    precision = clopper_pearson(hits_now, int(covered.sum()))
    low, high = ends(precision)
    jaccard = float((was & covered).sum() / union) if union else None
    precision_then = hits_then / was.sum() if was.any() else None
    sound = high is not None and precision_then is not None and high >= precision_then
    return {
        "rule": name,
        "class": label,
        "n_then": int(was.sum()),
        "n_now": int(covered.sum()),
        "coverage_then": hits_then / max(1, int((before == label).sum())),
        "coverage_now": hits_now / max(1, int((now == label).sum())),
        "precision_then": precision_then,
        "precision_now": hits_now / covered.sum() if covered.any() else None,
        "precision_low": low,
        "precision_high": high,
        "jaccard": jaccard,
        "same_answer": float((now[was] == label).mean()) if was.any() else None,
        "holds": jaccard is not None and jaccard >= SAME and sound,
    }


def _rules(boundaries: Table) -> dict[str, tuple[int, Boundaries]]:
    frame = pd.DataFrame(boundaries.rows, columns=list(boundaries.columns))
    found = {}
    for name, rows in frame.groupby("rule", sort=False):
        whole = np.stack([np.frombuffer(base64.b64decode(t), np.int8) for t in rows["normal"]])
        bounds = Boundaries(
            normals=torch.from_numpy(whole.astype(np.float32)),
            scales=torch.tensor(rows["scale"].to_numpy(), dtype=torch.float32),
            offsets=torch.tensor(rows["offset"].to_numpy(), dtype=torch.float32),
            opposing=rows["opposing_label"].to_numpy(),
        )
        if {boundary_digest(bounds)} != set(rows["digest"]):
            raise AnalysisError(
                f"rule {name!r}: its boundaries do not match their digest; the record as it was "
                "written is accepted"
            )
        found[str(name)] = (int(rows["label"].iloc[0]), bounds)
    return found
