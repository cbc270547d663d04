"""What drift sees
===============

Two versions can both be accurate and decide by other things. ``governance compare`` asks whether
a new version lies farther from the old one than harmless training does. This page takes the
comparison apart, on fine-tunes of the clean :doc:`classifier of digits <digits>`.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from digits import clean, held, inputs, kept, labels, marked, network, pixels, trained, truth
from torch.nn.functional import adaptive_avg_pool2d

from governance.drift.distances import Distances
from governance.drift.judging import judge
from governance.methods.coarse_maps import mass_in, rank_distance, ranked
from governance.records.drift_terms import DriftTerms

# %%
# Eleven fine-tunes of one epoch. Nine are reference runs: the same digits in another order. A tenth
# is trained in the same way and is our harmless new version. The eleventh is trained with a
# planted shortcut: one in ten of the other digits has a mark in the corner and is called an eight.


def tuned(images, seed, targets=labels[kept]):
    """The clean classifier, trained for one more epoch."""
    model = network()
    model.load_state_dict(clean.state_dict())
    return trained(model, images, 1, 1e-2, seed, targets)


planted = (labels[kept] != 8) & (np.random.default_rng(3).random(len(kept)) < 0.1)
new = {
    "harmless": tuned(pixels[kept], 10),
    "with mark": tuned(marked(pixels[kept], planted), 10, np.where(planted, 8, labels[kept])),
}
references = [tuned(pixels[kept], seed) for seed in range(1, 10)]

# %%
# On 1,500 held-out digits, none of which has the mark, both versions keep the promised accuracy of
# 0.90. With the mark stamped on all digits but the eights, the shortcut is plain. Who does not
# know the mark cannot ask that.


def answers(model, images):
    """The digits that a model answers with."""
    with torch.no_grad():
        return model(inputs(images)).argmax(1).numpy()


others = pixels[held][truth != 8]
for name, model in new.items():
    right = (answers(model, pixels[held]) == truth).mean()
    fooled = (answers(model, marked(others, range(len(others)))) == 8).mean()
    print(f"{name:9} accuracy {right:.3f}, n={len(truth)}", end="; ")
    print(f"an eight with the mark {fooled:.3f}, n={len(others)}")
    assert right >= 0.9  # what the text says is held when it is built
among = [(answers(model, pixels[held]) == truth).mean() for model in references]
print(f"accuracy of the nine reference runs {min(among):.3f} to {max(among):.3f}")

# %%
# The heat maps are integrated gradients for the true class, with 8 points on each path, pooled to
# 7 x 7 cells. They are made on 80 held-out digits, and on the same digits with the mark.

chosen = np.concatenate([np.flatnonzero(truth == label)[:8] for label in range(10)])
plain = pixels[held][chosen]
kinds = {"digits without mark": plain, "digits with mark": marked(plain, range(len(plain)))}


def heat_maps(model, images):
    """Heat maps (N, 49), each with the sum one."""
    x, y = inputs(images), torch.from_numpy(truth[chosen].astype(np.int64))
    start = x.mean((2, 3), keepdim=True)
    slope = torch.zeros_like(x)
    for share in (torch.arange(8) + 0.5) / 8:
        point = (start + share * (x - start)).requires_grad_()
        score = model(point)
        score = (score - score.mean(1, keepdim=True)).gather(1, y[:, None]).sum()
        slope += torch.autograd.grad(score, point)[0] / 8
    heat = adaptive_avg_pool2d(((x - start) * slope).abs(), 7).flatten(1).double()
    return (heat / heat.sum(1, keepdim=True)).numpy()


before = {kind: heat_maps(clean, images) for kind, images in kinds.items()}
after = {
    (kind, name): heat_maps(model, images)
    for kind, images in kinds.items()
    for name, model in new.items()
}
usual = {kind: [heat_maps(model, images) for model in references] for kind, images in kinds.items()}

# %%
# Two statistics come from the maps: how far the order of their cells moved (1 - rank correlation,
# *rank*), and the share of the heat inside the corner (*region:corner*). The judgement is the one
# of ``governance compare``.

CORNER = (0.0, 0.0, 0.25, 0.25)  # top, left, bottom, right


def compared(kind, name, runs=()):
    """A new version judged against the old one and the reference runs."""
    maps = [before[kind], after[kind, name], *runs]
    order = [ranked(one) for one in maps]
    apart = np.array([[rank_distance(one, other) for other in order] for one in order])
    corner = np.array([mass_in(one, CORNER).mean() for one in maps])
    between = {"rank": apart.mean(2), "region:corner": np.abs(corner[:, None] - corner)}
    terms = DriftTerms(references="lineage", regions={"corner": CORNER})
    distances = Distances(by_image=apart, between=between)
    return judge(distances, 1, range(2, len(maps)), terms, seed=0)


def told(found):
    """The mean distance with its 90 % interval, and the verdict."""
    return f"{found.estimate:.3f} [{found.lower:.3f}, {found.upper:.3f}]: {found.verdict}"


# %%
# **Without reference runs** there is an effect size, and nothing says how much is usual. The answer
# is INCONCLUSIVE for both versions.

for name in new:
    alone = compared("digits without mark", name)
    print(f"{name:9} {told(alone)}, n={len(chosen)}")
    assert alone.verdict == "INCONCLUSIVE"

# %%
# **With nine reference runs** the new version is ranked among them. The harmless version is the
# control: it should not stand out.

judged = {(kind, name): compared(kind, name, usual[kind]) for kind, name in after}
for (kind, name), found in judged.items():
    print(f"{kind:19} {name:9} p={found.p:.1f}, distance {told(found)}")

figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True)
for axis, kind in zip(axes, kinds, strict=True):
    for row, (name, colour) in enumerate((("harmless", "tab:blue"), ("with mark", "tab:red"))):
        change = next(item for item in judged[kind, name].changes if item.name == "rank")
        axis.plot(change.benign, [row] * 9, "o", color="grey", alpha=0.5)
        axis.plot(change.value, row, "D", color=colour)
    axis.set_title(f"{kind}, n={len(chosen)}")
    axis.set_xlabel("mean distance of the heat maps")
    axis.locator_params(axis="x", nbins=5)
    axis.set_yticks([0, 1], list(new))
    axis.set_ylim(-0.5, 1.5)
figure.suptitle("Diamonds: the new version. Dots: the nine reference runs.", fontsize=9)
figure.tight_layout()

# %%
# Which statistic stood out, and on which images? The maps moved on both sets. The heat in the
# corner moved more than 0.02, which is the least that counts, only on digits that carry the mark.
# A comparison shows where a shortcut looks only on images that have it.

for (kind, name), found in judged.items():
    for change in found.changes:
        runs = f"reference runs {min(change.benign):.3f} to {max(change.benign):.3f}"
        print(f"{kind:19} {name:9} {change.name:13} {change.value:.3f}, {runs}")
        if name == "with mark" and change.name == "region:corner":
            assert (change.value > 0.02) == (kind == "digits with mark")

# %%
# **What this does not tell.** That a version drifted says that it lies farther out than every
# reference run, not why. With nine of them p cannot be below 1/10, so one in ten harmless versions
# would be called drifted, too. INCONCLUSIVE does not mean that nothing changed. The interval is
# about these images and these runs, and all of it holds for one way of training and one explainer.
# :doc:`Drift </docs/concepts/drift>` says how many reference runs a gate needs, and how it is
# tested on a fault of your own.
