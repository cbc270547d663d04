"""Correlation in pictures: depth by depth, layer by layer, and the channels of one layer."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage

from governance.methods.correlation.estimates import Channels, Correlations
from governance.methods.figures import bars, extremes, heatmap
from governance.records.evidence import Figure
from governance.records.numbers import number

__all__ = ["pictures"]

LISTED = 20  # layers of a bar chart


def pictures(found: Correlations, limit: float) -> tuple[Figure, ...]:
    """Similarity of depths, redundancy by layer, and the block structure of one layer."""
    if not found.channels:
        return (_depth_figure(found),)
    return (_depth_figure(found), _redundancy_figure(found, limit), *_blocks(found))


def _depth_figure(found: Correlations) -> Figure:
    cka = found.cka()
    low = min(0.0, float(np.nanmin(cka)))
    return Figure(
        name="depths",
        caption=(
            f"Debiased linear CKA of every two depths and of each with the classes, "
            f"{found.images} images: 1 is the same geometry. Control: with images exchanged, the "
            f"largest entry is {number(np.nanmax(np.abs(found.exchanged)), 2)}."
        ),
        seen=(
            "Each depth with the classes: "
            f"{extremes(found.depths, cka[:, -1])} (1 is the depth with itself)."
        ),
        image=heatmap(
            cka, found.depths, found.depths, row_axis="depth", column_axis="depth",
            scale="CKA", limits=(low, 1.0), marks=True,
        ),
    )  # fmt: skip


def _redundancy_figure(found: Correlations, limit: float) -> Figure:
    ranked = sorted(found.channels, key=lambda layer: -found.channels[layer].redundant(limit))
    shown = [layer for layer in found.channels if layer in ranked[:LISTED]]
    ends = [found.channels[layer].redundant_ends(limit) for layer in shown]
    blind = max(item.redundant(limit, control=True) for item in found.channels.values())
    return Figure(
        name="redundancy",
        caption=(
            f"Share of each layer's filters that another one follows beyond {limit}, in order of "
            f"depth ({len(shown)} of {len(ranked)} layers, the most redundant ones); whiskers: if "
            "each correlation lay at either end of its 95 % interval. Control, images exchanged: "
            f"at most {number(blind, 2)}."
        ),
        seen=(
            "Redundant share by layer: "
            f"{extremes(shown, [found.channels[layer].redundant(limit) for layer in shown])}; "
            f"with images exchanged at most {number(blind, 2)}."
        ),
        image=bars(
            shown, [found.channels[layer].redundant(limit) for layer in shown],
            low=[low for low, _ in ends], high=[high for _, high in ends],
            axis="share of filters that are redundant", reference=("control", blind),
        ),
    )  # fmt: skip


def _blocks(found: Correlations) -> tuple[Figure, ...]:
    """Channel by channel, the layer whose filters follow each other most."""
    wide = {layer: item for layer, item in found.channels.items() if item.live.sum() > 1}
    if not wide:
        return ()
    layer = max(wide, key=lambda name: float(np.median(wide[name].partners)))
    places = _ordered(wide[layer])
    order = wide[layer].closest[places]
    names = [str(unit) for unit in order]
    return (
        Figure(
            name="blocks",
            caption=(
                f"Correlation of the filters of {layer}, the layer in which they follow each other "
                f"most: {len(order)} of {len(wide[layer].live)} filters, those with the closest "
                f"partners, ordered so that groups stand together; {found.images} images."
            ),
            seen=f"{len(order)} filters of {layer}; the closest partners correlate with "
            f"{number(float(np.max(wide[layer].partners)), 2)}.",
            image=heatmap(
                wide[layer].block[np.ix_(places, places)], names, names,
                row_axis="filter", column_axis="filter",
                scale="correlation", limits=(-1.0, 1.0),
            ),
        ),
    )  # fmt: skip


def _ordered(channels: Channels) -> NDArray[np.int64]:
    apart = 1 - np.abs(channels.block)
    tree = linkage(apart[np.triu_indices(len(apart), 1)], method="average")
    return np.asarray(leaves_list(tree), dtype=np.int64)
