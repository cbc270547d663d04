"""A filter nobody needs
=====================

Each filter is silenced, which means held at its mean, and the loss is measured again. Some filters
cost nothing. Here one of them is taken out for good, to see whether the table was right.
"""

from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
import torch
from digits import clean, held, inputs, pixels, truth

from governance.analyses.filter_importance import filter_importance

# %%
# The table is measured on one half of the held-out digits. The other half tests what it says.

half = np.arange(len(held)) % 2 == 0
x, y = inputs(pixels[held]), torch.from_numpy(truth.astype(np.int64))
found = filter_importance(clean, x[half], truth[half], tier="full", seed=0)
loss = found[(found["metric"] == "dloss") & (found["class"] == "all")]
loss = loss.dropna(subset="unit").sort_values("estimate")  # rows of groups have no unit
columns = ["layer", "unit", "estimate", "ci_lo", "ci_hi", "n_exact", "q_value"]
print(loss[columns].head(3).to_string(index=False))
print(loss[columns].tail(3).to_string(index=False))

figure, axis = plt.subplots(figsize=(7, 3))
error = [loss["estimate"] - loss["ci_lo"], loss["ci_hi"] - loss["estimate"]]
axis.errorbar(range(len(loss)), loss["estimate"], error, fmt=".", elinewidth=0.7)
axis.axhline(0, color="grey", linewidth=0.7)
axis.set_xlabel("filters, least needed first")
axis.set_ylabel(f"rise of the loss, n={half.sum()}")

# %%
# Now filters are silenced in a copy of the network: the one that costs least, the one that costs
# most, and, as a control, ten drawn at random.


def without(layer, unit):
    """Accuracy on the other half, with one filter held at its mean over the first half."""
    copy = deepcopy(clean)

    def hold(_module, _inputs, output):
        output = output.clone()
        output[:, unit] = mean
        return output

    place = copy[int(layer)]
    with torch.no_grad():
        taken = []
        hook = place.register_forward_hook(lambda _m, _i, output: taken.append(output[:, unit]))
        copy(x[half])
        hook.remove()
        mean = taken[0].mean(0)
        place.register_forward_hook(hold)
        return (copy(x[~half]).argmax(1) == y[~half]).float()


with torch.no_grad():
    whole = (clean(x[~half]).argmax(1) == y[~half]).float()
drawn = loss.sample(10, random_state=0)
picked = {"least needed": loss.head(1), "ten at random": drawn, "most needed": loss.tail(1)}
print(f"{'nothing':13} accuracy {whole.mean():.3f}, n={len(whole)}")
for name, rows in picked.items():
    filters = zip(rows["layer"], rows["unit"], strict=True)
    right = torch.stack([without(layer, int(unit)) for layer, unit in filters]).mean(0)
    change = right - whole
    spread = 1.96 * float(change.std()) / len(change) ** 0.5
    print(
        f"{name:13} accuracy {right.mean():.3f}, change {change.mean():+.3f} "
        f"[{change.mean() - spread:+.3f}, {change.mean() + spread:+.3f}]"
    )

# %%
# The order is that of the loss. Accuracy may fall in another order, since a loss rises before any
# answer changes.
#
# **Limits.** Each filter was silenced alone. Two that stand in for each other both look as if
# nobody needed them, and both at once may cost a lot. The mean is one choice of many for what
# stands in a filter's place.
