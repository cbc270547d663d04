"""A model that nobody can look into
==================================

A random forest of scikit-learn has no layers and no gradients. It answers behind a scoring server,
as it will be deployed, and gives probabilities and nothing else. What can be said of it: how often
it is right, and which part of an image its answer rests on.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import torch
from digits import governance, held, kept, labels, pixels, registry, truth
from sklearn.ensemble import RandomForestClassifier

from governance.methods.evolved import evolve, evolve_map

forest = RandomForestClassifier(50, random_state=0).fit(pixels[kept].reshape(-1, 784), labels[kept])
right = forest.predict(pixels[held].reshape(-1, 784)) == truth
print(f"accuracy {right.mean():.3f}, n={len(truth)}")

# %%
# The scoring server. ``mlflow models serve`` speaks this protocol, and so does a container that
# MLflow builds: images come as ``{"inputs": [...]}``, probabilities go as ``{"predictions": ...}``.


class Scores(BaseHTTPRequestHandler):
    """Answers with one row of ten probabilities for each image."""

    def do_POST(self):
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rows = np.array(asked["inputs"]).reshape(-1, 784)
        answer = json.dumps({"predictions": forest.predict_proba(rows).tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Print nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Scores)
threading.Thread(target=server.serve_forever, daemon=True).start()

# %%
# The policy names the server, and how an image becomes a row of numbers from 0 to 255. It asks for
# an analysis of filters too, to show what becomes of it.

POLICY = f"""\
title = "Release policy for a model behind a server"
baseline = "none"

[model]
flavour = "served"
layout = "flat"
size = [28, 28]
channels = "grey"
std = [{1 / 255}]
outputs = "probabilities"

[model.served]
address = "http://127.0.0.1:{server.server_port}/invocations"

[validation]
data = "validation.npz"

[analyses.genetic_explanation]
images = 4

[analyses.filter_importance]

[[expectations]]
metric = "performance.accuracy"
at_least = 0.9
rationale = "The accuracy that users were promised."
"""

folder = registry()
(folder / "served.toml").write_text(POLICY)
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
mlflow.set_experiment("digits")
with mlflow.start_run():
    version = mlflow.sklearn.log_model(
        forest, name="forest", registered_model_name="forest", pyfunc_predict_fn="predict_proba",
        input_example=pixels[:2].reshape(-1, 784).astype(float),
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    ).registered_model_version  # fmt: skip
code, printed = governance("assess", f"models:/forest/{version}", "--policy", "served.toml")
print(printed)
print(f"exit code {code}")
assert code == 0

# %%
# The filters of a forest are *not applicable*, and page one of the report says so. It also names
# the risk that stays: a server elsewhere does not show that it serves the files of this version.
#
# The explanations need no more than probabilities. Each digit is shown beside the region that is
# enough for its answer, and beside a map of what the answer rests on.


def predict(images):
    """Probabilities (N, 10) for images (N, 1, 28, 28) in [0, 1]."""
    return torch.from_numpy(forest.predict_proba(images.numpy().reshape(len(images), -1) * 255))


shown = [np.flatnonzero(truth == digit)[0] for digit in (3, 5, 8)]
figure, axes = plt.subplots(3, 3, figsize=(5, 5))
for row, index in zip(axes, shown, strict=True):
    image = torch.from_numpy(pixels[held][index].astype(np.float32) / 255)[None]
    region = evolve(predict, image, seed=0, budget=300, baseline="black")
    heat = evolve_map(predict, image, seed=0, budget=300, baseline="black")
    print(
        f"digit {truth[index]}: answer {region.target}, probability {region.p_full:.2f}; with the "
        f"region alone ({region.area:.2f} of the image) {region.p_subset:.2f}"
    )
    for axis, picture in zip(
        row, (image[0], np.where(region.mask, image[0], 0.5), heat.heatmap), strict=True
    ):
        axis.imshow(picture, cmap="gray" if picture is not heat.heatmap else "viridis")
        axis.axis("off")
for axis, title in zip(axes[0], ("digit", "enough", "map"), strict=True):
    axis.set_title(title)

# %%
# **Limits.** Three digits are examples and no measurement. The assessment explains four, and its
# report says how the explanations compare with regions that were drawn at random.
server.shutdown()
