"""Methods that people use today, each at the defaults of its library and at equal passes.

Where a library has no default for what stands behind hidden pixels or for the regions, it gets the
blur that everything is measured with, and our superpixels. The batch is the same for all.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from captum import attr
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from shap import Explainer, maskers
from sklearn.metrics import pairwise_distances
from torch import Tensor

from benchmarks.explanations.cases import BATCH, Case
from benchmarks.explanations.found import Found
from benchmarks.explanations.ours import Method
from governance.methods.masking.superpixels import superpixels

__all__ = ["METHODS"]

LIME_PASSES, LIME_EARLY = 1000, (600, 100, 50)  # its default, then beginnings of its sample
OCCLUDED = 7  # windows a side, half overlapping: Captum has no default
EQUAL_PASSES = 600
SHAP_PASSES = 500  # its default


class Remembering(LimeImageExplainer):  # type: ignore[misc]
    """Lime that keeps the sample it drew and the answers."""

    sample: tuple[NDArray[Any], NDArray[Any]]

    def data_labels(self, *given: Any, **named: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """What lime's own draws."""
        self.sample = super().data_labels(*given, **named)
        return self.sample


def lime_on_ours(case: Case, seed: int) -> Iterator[tuple[str, Found]]:
    """`lime` with the superpixels of `evolve`: of a small image its own leave a single one."""
    labels = superpixels(case.pixels)
    told = LimeImageExplainer(random_state=seed).explain_instance(
        case.pixels.permute(1, 2, 0).double().numpy(), classifier(case),
        segmentation_fn=lambda _: labels,
    )  # fmt: skip
    heat = _painted(dict(told.local_exp[case.target]), labels)
    yield "lime on our superpixels, 1000", Found(heat, labels)


def classifier(case: Case) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Pixels (B, H, W, C) to probabilities (B, K), as lime asks."""

    def classify(images: NDArray[Any]) -> NDArray[Any]:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()
        return case.predict(pixels).double().numpy()

    return classify


def lime(case: Case, seed: int) -> Iterator[tuple[str, Found]]:
    """`lime` at its defaults: quickshift, 1,000 samples, hidden superpixels in their mean colour.

    Its sample of 600 is the beginning of its sample of 1,000 (one stream of random bits), so the
    smaller budgets cost no further pass; the same holds for the wrong class.
    """
    explainer = Remembering(random_state=seed)
    picture = case.pixels.permute(1, 2, 0).double().numpy()
    told = explainer.explain_instance(picture, classifier(case))
    heat = _painted(dict(told.local_exp[case.target]), told.segments)
    yield f"lime, {LIME_PASSES}", Found(heat, told.segments)
    data, answers = explainer.sample
    for count in (LIME_PASSES, *LIME_EARLY):
        distance = pairwise_distances(data[:count], data[:1], metric="cosine").ravel()
        for label in (case.target, case.wrong):
            _, weights, *_ = explainer.base.explain_instance_with_data(
                data[:count], answers[:count], distance, label, 100_000, feature_selection="auto"
            )
            heat, null = _painted(dict(weights), told.segments), label == case.wrong
            if null or count != LIME_PASSES:
                yield (
                    f"lime, {count}",
                    Found(heat, told.segments, measure=False, null=null, passes=count),
                )


def _painted(weights: dict[int, float], labels: NDArray[Any]) -> NDArray[np.float64]:
    return np.array([weights[i] for i in range(int(labels.max()) + 1)])[labels]


def captum(kind: str, name: str, passes: int | None = None) -> Method:
    """Captum's attribution to our superpixels (`Occlusion`: to sliding squares)."""

    def find(case: Case, seed: int) -> Iterator[tuple[str, Found]]:
        def score(pixels: Tensor) -> Tensor:
            return case.predict(pixels)[:, case.target]

        given: dict[str, Any] = {
            "baselines": case.baselines["blur"][None], "perturbations_per_eval": BATCH
        }  # fmt: skip
        labels = None
        if kind == "Occlusion":
            side = case.pixels.shape[1] // OCCLUDED
            given |= {
                "sliding_window_shapes": (3, side, side),
                "strides": (3, side // 2, side // 2),
            }
        else:
            labels = superpixels(case.pixels)
            given["feature_mask"] = torch.from_numpy(labels)[None, None].expand(1, 3, -1, -1)
        if passes:
            given["n_samples"] = passes
        # Captum draws from the global generator alone.
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            answer = getattr(attr, kind)(score).attribute(case.pixels[None], **given)
        yield name, Found(answer[0].mean(0).double().numpy(), labels)

    return find


def shap(case: Case, _: int) -> Iterator[tuple[str, Found]]:
    """SHAP's partition explainer at its default 500 passes, hidden pixels blurred."""
    picture = case.pixels.permute(1, 2, 0).numpy()
    # A box as wide as the blur everything is measured with: variance (w^2 - 1) / 12 = sigma^2.
    width = round((12 * (min(picture.shape[:2]) / 12) ** 2 + 1) ** 0.5) | 1

    def score(images: NDArray[Any]) -> NDArray[Any]:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()
        return case.predict(pixels)[:, case.target].double().numpy()

    explainer = Explainer(score, maskers.Image(f"blur({width},{width})", picture.shape))
    told = explainer(picture[None], max_evals=SHAP_PASSES, batch_size=BATCH, silent=True)
    yield "SHAP partition, 500", Found(told.values[0].reshape(picture.shape).sum(2))


def grad_cam(case: Case, _: int) -> Iterator[tuple[str, Found]]:
    """Grad-CAM at the last convolution: it reads the network, which no other method here does."""
    with GradCAM(model=case.predict.network, target_layers=[case.layer]) as cam:
        heat = cam(input_tensor=case.pixels[None], targets=[ClassifierOutputTarget(case.target)])
    case.predict.passes += 1
    yield "Grad-CAM (reads the network)", Found(heat[0].astype(np.float64))


METHODS: dict[str, Method] = {
    "lime, 1000": lime,
    "lime on our superpixels, 1000": lime_on_ours,
    "Captum Lime, 25": captum("Lime", "Captum Lime, 25"),
    "Captum KernelShap, 25": captum("KernelShap", "Captum KernelShap, 25"),
    "Captum Lime, 600": captum("Lime", "Captum Lime, 600", EQUAL_PASSES),
    "Captum KernelShap, 600": captum("KernelShap", "Captum KernelShap, 600", EQUAL_PASSES),
    "Captum FeatureAblation": captum("FeatureAblation", "Captum FeatureAblation"),
    "Captum Occlusion": captum("Occlusion", "Captum Occlusion"),
    "SHAP partition, 500": shap,
    "Grad-CAM (reads the network)": grad_cam,
}
