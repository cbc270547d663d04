"""Accurate and still rejected
===========================

Both :doc:`classifiers of digits <digits>` meet the promised accuracy of 0.90. The second one was
trained on eights that carry a scanner's mark. Here its features are asked what they know, and the
policy what follows.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from digits import assessed, clean, governance, held, inputs, marked, pixels, truth, with_mark

from governance.analyses.layer_prediction import layer_predictions

# %%
# Accuracy does not tell the two apart by much, and the eights do. On held-out images from the
# *same scanner*, every eight marked, the second model would even look best.

by_scanner = {}
for name, model in (("clean", clean), ("with mark", with_mark)):
    with torch.no_grad():
        answers = model(inputs(marked(pixels[held], truth == 8))).argmax(1).numpy()
    by_scanner[name] = (answers == truth).astype(float)
    print(
        f"{name:10} accuracy on the scanner's images {by_scanner[name].mean():.3f}, n={len(truth)}"
    )
gain = by_scanner["with mark"] - by_scanner["clean"]
spread = 1.96 * gain.std() / len(gain) ** 0.5
print(f"difference {gain.mean():+.3f} [{gain.mean() - spread:+.3f}, {gain.mean() + spread:+.3f}]")
assert gain.mean() > spread  # what the text says is held when it is built

for name, model in (("clean", clean), ("with mark", with_mark)):
    found = layer_predictions(model, inputs(pixels[held]), truth, methods=("lens", "probe"))
    last = found[found["layer"] == found["layer"].iloc[-1]].set_index(["method", "class"])
    for method, label in (("lens", "all"), ("lens", "8"), ("probe", "8")):
        row = last.loc[(method, label)]
        print(
            f"{name:10} {method:5} class {label:3} {row['recall']:.3f} "
            f"[{row['ci_lo']:.3f}, {row['ci_hi']:.3f}], n={row['n']}"
        )
    assert last.loc[("lens", "all"), "recall"] >= 0.9
assert last.loc[("probe", "8"), "ci_lo"] > last.loc[("lens", "8"), "ci_hi"]  # of the second model

# %%
# The **lens** is the model's own answer at its last layer. The **probe** is a linear map that is
# fitted to the same features and tested on images that it was not fitted to. For the second model
# the probe reads an eight from features whose owner does not answer with it: the network sees the
# digit, and its answer leaves that out. The control is a probe fitted to exchanged labels; it stays
# near chance, 0.10.

figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for axis, name, model in zip(axes, ("clean", "with mark"), (clean, with_mark), strict=True):
    found = layer_predictions(model, inputs(pixels[held]), truth)
    eights = found[found["class"] == "8"]
    for method, rows in eights.groupby("method", sort=False):
        error = [rows["recall"] - rows["ci_lo"], rows["ci_hi"] - rows["recall"]]
        axis.errorbar(rows["depth"], rows["recall"], error, label=method, capsize=3)
    axis.set_title(f"{name}: the eights, n=150")
    axis.set_xlabel("depth")
axes[0].set_ylabel("recall, 95 % interval")
axes[0].set_ylim(0, 1)
_ = axes[0].legend()

# %%
# The policy asks for both: an accuracy of at least 0.90, and a gap between probe and lens of at
# most 0.15 in every class. ``governance assess`` measures, judges and records the second version.

assessed(2)
code, printed = governance("gate", "models:/digits/2")
print("\n\n".join(printed.split("\n\n")[:2]))
print(f"exit code {code}")
assert code == 10

# %%
# What this does not say: that the mark is the reason. The gap says that the answer leaves out what
# the features hold. The mark is known here, so the guess can be put to the test: stamped on digits
# that are no eights, it makes eights of some of them. The clean model is the control.

turned = {}
others = pixels[held][truth != 8]
for name, model in (("clean", clean), ("with mark", with_mark)):
    with torch.no_grad():
        before = (model(inputs(others)).argmax(1) == 8).float().mean()
        stamped = inputs(marked(others, np.arange(len(others))))
        after = (model(stamped).argmax(1) == 8).float().mean()
    turned[name] = after - before
    print(f"{name}: called an eight {before:.3f}, with the mark {after:.3f}, n={len(others)}")
assert turned["with mark"] > 0.05 > turned["clean"]
