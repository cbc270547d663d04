"""Pictures: the images of a rule, each with where it holds the rule's boundaries."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from governance.methods import figures
from governance.methods.decision_rules.rules import DecisionRule, DecisionRules
from governance.methods.network import Layout
from governance.records.evidence import Figure
from governance.records.numbers import number

__all__ = ["pictures"]

SHOWN = 12  # rules with a picture: the first of each class
ROW = 5  # nearest, and farthest covered, images beside the seed

Pixels = Callable[[list[int]], Tensor]


def pictures(
    all_rules: DecisionRules, names: Sequence[str], pixels: Pixels, layout: Layout
) -> tuple[Figure, ...]:
    """A picture of the first rule of each class, for up to 12 classes.

    Args:
        all_rules: The rules.
        names: Names of the classes.
        pixels: Gives some of the images by number, (B, C, H, W) in [0, 1].
        layout: Layout of the cut.
    """
    first = [rule for rule in all_rules.rules if rule.number == 1][:SHOWN]
    return tuple(_picture(all_rules, rule, names, pixels, layout) for rule in first)


def _picture(
    all_rules: DecisionRules,
    rule: DecisionRule,
    names: Sequence[str],
    pixels: Pixels,
    layout: Layout,
) -> Figure:
    distances = rule.distances(all_rules.features, all_rules.features[rule.seed])
    others = np.arange(len(distances)) != rule.seed
    inside = np.flatnonzero(rule.covered & others)
    order = inside[np.argsort(distances[inside], kind="stable")].tolist()
    near, far = order[:ROW], order[ROW:][-ROW:]
    shown = [rule.seed, *near, *far]
    images = pixels(shown).cpu()
    heat = torch.from_numpy(rule.heat(all_rules.features[shown], layout))[:, None]
    large = functional.interpolate(heat, images.shape[2:], mode="bilinear", align_corners=False)
    roles = ["seed", *["near"] * len(near), *["far"] * len(far)]
    cells = [
        (
            (
                f"{role}: {names[int(all_rules.predicted[place])]}\n"
                f"distance {number(distances[place], 1)}"
            ),
            figures.overlay(image, heat=mask),
        )
        for role, place, image, mask in zip(
            roles, shown, images.numpy(), large[:, 0].clamp(0, 1).numpy(), strict=True
        )
    ]
    return Figure(
        name=f"rule_{rule.label}_{rule.number}",
        caption=(
            f"Rule {rule.name(names)}: its seed, the nearest {len(near)} and the farthest "
            f"{len(far)} of the other {len(order)} images it covers, with the model's answer and "
            "the semantic distance to the seed in logits. Bright is where a place of the image "
            "keeps it away from the rule's boundaries, on average over the boundaries."
        ),
        seen=(
            f"The seed and {len(shown) - 1} images, "
            f"{number(distances[shown[1:]].min() if len(shown) > 1 else 0.0, 1)} to "
            f"{number(distances[shown].max(), 1)} logits from it."
        ),
        image=figures.gallery(cells, columns=ROW + 1),
    )
