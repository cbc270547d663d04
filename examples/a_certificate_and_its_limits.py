"""A certificate and its limits
===============================

A bound can prove that no change of the pixels, however clever, turns an answer. Such proofs reach
small networks and those that were trained for them. Here the same network is asked twice: as it was
trained at first, and after a fine-tuning for certificates. The digits are scikit-learn's, of 8 x 8
pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from governance.methods.bounds import verified_explain
from governance.training import certified_finetune

pixels, labels = load_digits(return_X_y=True)
images = torch.from_numpy(pixels.reshape(-1, 1, 8, 8).astype(np.float32) / 16)
truth = torch.from_numpy(labels)
train, test = slice(0, 1300), slice(1300, 1797)

with torch.random.fork_rng():
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
optimiser = torch.optim.Adam(plain.parameters(), lr=3e-3)
shuffled = torch.Generator().manual_seed(0)
for _ in range(8):
    for chosen in torch.randperm(1300, generator=shuffled).split(64):
        optimiser.zero_grad()
        nn.functional.cross_entropy(plain(images[chosen]), truth[chosen]).backward()
        optimiser.step()
plain.eval().requires_grad_(requires_grad=False)

# %%
# Every pixel may move by 0.07 of the range. The fine-tuning trains on what intervals can prove.

EPS = 0.07
tuned = certified_finetune(plain, images[train], truth[train], eps=EPS, epochs=15, rate=2e-3).model

# %%
# The first 25 held-out digits that both answer rightly. For each, all pixels may move at once: is
# the answer proven, is there a counterexample, or is neither known?

with torch.no_grad():
    answers = [model(images[test]).argmax(1) == truth[test] for model in (plain, tuned)]
for name, right in zip(("as trained", "fine-tuned"), answers, strict=True):
    print(f"{name}: accuracy {right.float().mean():.3f}, n={len(right)}")
both = torch.nonzero(answers[0] & answers[1])[:25, 0]


def asked(model):
    """The status of each of the 25 digits, when all of its pixels may move."""
    return [
        verified_explain(model, images[test][index], eps=EPS, grid=(1, 1)).status[0]
        for index in both
    ]


found = {"as trained": asked(plain), "fine-tuned": asked(tuned)}
kinds = sorted({status for statuses in found.values() for status in statuses})
for name, statuses in found.items():
    print(name, {kind: statuses.count(kind) for kind in kinds}, f"of {len(statuses)}")

figure, axis = plt.subplots(figsize=(6, 2))
left = np.zeros(2)
for kind in kinds:
    counts = np.array([statuses.count(kind) for statuses in found.values()])
    axis.barh(list(found), counts, left=left, label=kind)
    left = left + counts
axis.set_xlabel(f"of {len(both)} digits, change of up to {EPS} in every pixel")
_ = axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.3), ncols=len(kinds), frameon=False)

# %%
# The claim in words, for the first digit that is proven. It names the network by its digest.

proven = both[found["fine-tuned"].index("VERIFIED")]
print(verified_explain(tuned, images[test][proven], eps=EPS, grid=(1, 1)).statement(0))

# %%
# **Limits.** A proof is about a box around these images, and about nothing else: not about a
# shifted or a darker digit, not about other images. Undecided is not unsafe; the bound was too
# loose. What the fine-tuning costs in accuracy stands above. Deep networks that were not
# trained for it cannot be bounded in a useful way, and a report says so on its first page.
