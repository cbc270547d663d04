"""What a layer already knows
==========================

After each stage of a network two questions have an answer. What would the network say if it stopped
here (the *lens*)? And what could be read from the features of this stage (the *probe*)?
"""

import matplotlib.pyplot as plt
from digits import clean, held, inputs, pixels, truth

from governance.analyses.layer_prediction import layer_predictions

found = layer_predictions(clean, inputs(pixels[held]), truth)
whole = found[found["class"] == "all"]
print(whole[["layer", "method", "recall", "ci_lo", "ci_hi", "n"]].to_string(index=False))

# %%
# The lens maps the features of a stage to the input of the network's own head, linearly and without
# labels, and the head answers. At the head's input it is the model itself. The probe reads the
# class from the same features with a linear map that is fitted to labels. Both answer only images
# that they were not fitted to. The probe's control is fitted in the same way to exchanged labels,
# and must stay near chance.

figure, axis = plt.subplots(figsize=(6, 3.5))
for method, rows in whole.groupby("method", sort=False):
    error = [rows["recall"] - rows["ci_lo"], rows["ci_hi"] - rows["recall"]]
    axis.errorbar(range(len(rows)), rows["recall"], error, label=method, capsize=3)
axis.set_xticks(range(len(rows)), rows["layer"])
axis.axhline(float(rows["chance"].iloc[0]), color="grey", linestyle=":", label="commonest class")
axis.set_xlabel("layer")
axis.set_ylabel(f"accuracy, n={int(rows['n'].iloc[0])}")
_ = axis.legend()

# %%
# Classes take shape at different depths. Below are the lens's recalls, class by class.

lens = found[(found["method"] == "lens") & (found["class"] != "all")]
table = lens.pivot_table(index="class", columns="layer", values="recall", sort=False)
figure, axis = plt.subplots(figsize=(5, 4))
picture = axis.imshow(table, vmin=0, vmax=1, cmap="viridis", aspect="auto")
axis.set_xticks(range(len(table.columns)), table.columns)
axis.set_yticks(range(len(table)), table.index)
axis.set_xlabel("layer")
axis.set_ylabel("digit, n=150 each")
_ = figure.colorbar(picture, label="recall of the lens")

# %%
# **Limits.** The lens mirrors the final answer at every depth, so depth alone proves nothing. A
# high probe does not mean that the network uses what is there, only that it could. A low one does
# not mean that nothing is there: the probe is linear. An interval is about the images, not about
# other trainings of the network.
