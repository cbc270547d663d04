"""The bound engine beside auto_LiRPA, over every torchvision classifier, and on CIFAR-10.

Three parts: margins beside those of auto_LiRPA, where it can be imported; every classifier of
torchvision with seeded weights, bounded or refused by the name of an operator; a small network
trained on interval bounds on CIFAR-10 images. `python benchmarks/bounds.py --help` lists the
options; results of one run are in `benchmarks/results/bounds.md`.
"""

import argparse
import gc
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from verified import digits, small_cnn, small_resnet, trained

from governance.errors import AnalysisError
from governance.methods.bounds.attack import attack
from governance.methods.bounds.bounds import interval_ranges, margin_rows, margins
from governance.methods.bounds.cases import boxes, patches
from governance.methods.bounds.program import read
from governance.methods.statistics.intervals import clopper_pearson
from governance.training import certified_finetune

GRID = (8, 8)
# Further from 0 than any slack for rounding here.
CLEAR = 0.05
TINY = 1 / 1000


def beside_auto_lirpa(name: str, model: nn.Module, images: Tensor, eps: float) -> str:
    """A row: how far margins differ from auto_LiRPA's over whole-image boxes and over patches."""
    from auto_LiRPA import (  # type: ignore[import-not-found]  # noqa: PLC0415 - optional
        BoundedModule,
        BoundedTensor,
        PerturbationLpNorm,
    )

    program = read(model, images.shape[1:])
    bounded = BoundedModule(model, images[:1])
    differences, leads, ours_seconds, theirs_seconds = [], [], 0.0, 0.0

    def theirs(low: Tensor, high: Tensor, rows: Tensor, method: str) -> Tensor:
        box = BoundedTensor((low + high) / 2, PerturbationLpNorm(norm=np.inf, x_L=low, x_U=high))
        found, _ = bounded.compute_bounds(
            x=(box,), C=rows.float().expand(len(low), -1, -1), method=method
        )
        return found.detach().double()

    for image in images:
        with torch.no_grad():
            decided = int(model(image[None]).argmax())
        rows = margin_rows(10, decided, [k for k in range(10) if k != decided], image.double())
        low, high = (image[None] - eps).clamp(0, 1), (image[None] + eps).clamp(0, 1)
        start = time.process_time()
        own = margins(program, low.double(), high.double(), rows, "crown")
        middle = time.process_time()
        other = theirs(low, high, rows, "CROWN-IBP")
        theirs_seconds += time.process_time() - middle
        ours_seconds += middle - start
        differences.append(float(((own - other) / other.abs().clamp_min(1e-6)).abs().max()))
        windows = patches(*image.shape[1:], GRID)[9::32]
        ends = boxes(image[None], windows, [eps] * len(windows), "solo")
        tight = margins(program, *(end.double() for end in ends), rows, "tightened")
        full = torch.cat(
            [
                theirs(a[None].float(), b[None].float(), rows, "CROWN")
                for a, b in zip(*ends, strict=True)
            ]
        )
        leads.append(float((tight - full).min()))
    return (
        f"| {name} | {eps * 255:g}/255 | {len(images)} | {max(differences):.1e} | "
        f"{min(leads):+.1e} | {ours_seconds / len(images) * 1000:.0f} ms | "
        f"{theirs_seconds / len(images) * 1000:.0f} ms |"
    )


def auto_lirpa(options: argparse.Namespace) -> list[str]:
    """Margins of three networks beside auto_LiRPA's, or why there are none."""
    try:
        import auto_LiRPA  # type: ignore[import-not-found]  # noqa: PLC0415 - optional
    except ImportError as error:
        return [f"Skipped: auto_LiRPA cannot be imported ({error})."]
    x, y = digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain, resnet = small_cnn(), small_resnet()
    plain, resnet = trained(plain, x[:4000], y[:4000], 3), trained(resnet, x[:4000], y[:4000], 3)
    tuned = certified_finetune(plain, x[:4000], y[:4000], eps=8 / 255, epochs=4).model
    rows = [
        beside_auto_lirpa(name, model, x[4000 : 4000 + options.images], eps / 255)
        for name, model in (
            ("CNN", plain),
            ("CNN, certified finetuning", tuned),
            ("residual network with batch normalisation", resnet),
        )
        for eps in (2, 8)
    ]
    return [
        f"auto_LiRPA {auto_LiRPA.__version__}, its lines about torch < 1.13 adapted to this torch.",
        "The difference is the largest over images and rival classes, relative, over boxes around",
        "whole images; the lead is the smallest over two patches of an 8 x 8 grid and rivals",
        "(negative where auto_LiRPA's CROWN is tighter).", "",
        "| network | radius | images | relative difference, CROWN-IBP | lead of restricted CROWN, "  # noqa: ISC004 - one row
        "logits | ours, CROWN-IBP | auto_LiRPA, CROWN-IBP |",
        "|---|---|---|---|---|---|---|", *rows,
    ]  # fmt: skip


def classifiers() -> Iterator[tuple[str, nn.Module, int]]:
    """Every classifier of torchvision with seeded weights, and the pixels of a side it is given."""
    for name in torchvision.models.list_models(module=torchvision.models):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            extra = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
            model = torchvision.models.get_model(name, weights=None, **extra).eval()
        # Vision transformers take their own size alone; the others are as deep on smaller images.
        yield name, model, 224 if name.startswith(("vit", "swin", "maxvit")) else 96


def torchvision_sweep() -> list[str]:
    """Every classifier: bounded soundly on one image, or refused by the name of an operator."""
    bounded, refused, wrong, slowest = [], Counter[str](), [], ("", 0.0)
    named: dict[str, list[str]] = {}
    for name, model, side in classifiers():
        generator = torch.Generator().manual_seed(0)
        image = torch.rand(1, 3, side, side, generator=generator)
        start = time.process_time()
        try:
            program = read(model, image.shape[1:])
        except AnalysisError as error:
            reason = str(error).partition(";")[0][:120]
            refused[reason] += 1
            named.setdefault(reason, []).append(name)
            print(name, "refused:", error, flush=True)
        else:
            ends = ((image - TINY).clamp(0, 1).double(), (image + TINY).clamp(0, 1).double())
            with torch.no_grad():
                low, high = interval_ranges(program, *ends).spans[-1]
                exact = program.values(image)[-1]
                own = model(image).double()
            gap = float((exact - own).abs().max() / (1 + own.abs().max()))
            holds = bool(((low <= exact) & (exact <= high)).all()) and gap < 1e-3  # noqa: PLR2004 - float32
            (bounded if holds else wrong).append(name)
            seconds = time.process_time() - start
            slowest = max(slowest, (name, seconds), key=lambda item: item[1])
            print(
                name, "holds" if holds else "WRONG", f"gap {gap:.1e}, {seconds:.1f} s", flush=True
            )
            del program, low, high, exact
        del model
        gc.collect()
    total = len(bounded) + len(wrong) + sum(refused.values())
    return [
        f"{total} classifiers (torchvision {torchvision.__version__}), weights seeded, 96 x 96",
        "pixels (transformers 224 x 224), interval bounds at 1/1000 of the range of a pixel:",
        f"{len(bounded)} bounded with their own output inside, {len(wrong)} wrong",
        f"({', '.join(wrong) or 'none'}), {sum(refused.values())} refused. Slowest: {slowest[0]},",
        f"{slowest[1]:.0f} s of CPU time. Such bounds hold but say nothing about networks so deep.",
        "",
        "| refused because | classifiers |", "|---|---|",
        *(f"| {reason} | {', '.join(names)} |" for reason, names in named.items()), "",
        f"Bounded: {', '.join(bounded)}.",
    ]  # fmt: skip


def cifar_cnn() -> nn.Module:
    """Three convolutions, the last two with stride: no pooling between them."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def certified_cifar(options: argparse.Namespace) -> list[str]:
    """A small network before and after certified finetuning, on images held back."""
    if options.cifar is None:
        return ["Skipped: --cifar FILE.npz with `images` and `labels` is needed."]
    with np.load(options.cifar) as file:
        x = torch.from_numpy(file["images"]).permute(0, 3, 1, 2).float() / 255
        y = torch.from_numpy(file["labels"].astype(np.int64))
    held = 300
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = cifar_cnn()
    flipped = torch.cat([x[:-held], x[:-held].flip(3)])
    labels = torch.cat([y[:-held], y[:-held]])
    plain = trained(plain, flipped, labels, 15)
    start = time.process_time()
    tuned = certified_finetune(plain, flipped, labels, eps=options.radius / 255, epochs=40)
    seconds = time.process_time() - start
    rows = [
        f"| {name} | {radius:g}/255 | "
        + whole_images(model, x[-held:], y[-held:], radius / 255) + " |"
        for name, model in (("trained as usual", plain), ("certified finetuning", tuned.model))
        for radius in (0.5, 1, 2)
    ]  # fmt: skip
    return [
        f"{len(x) - held} images and their mirror images to train on, {held} held back; finetuned",
        f"for {options.radius:g}/255, {seconds:.0f} s of CPU time. Shares with 95 %",
        "Clopper-Pearson intervals. So few images make a poor classifier: what is shown is the",
        "price and the gain of training on bounds, not a record.", "",
        "| CNN | radius | right | right and certified (CROWN-IBP) | right after PGD, 20 steps |",
        "|---|---|---|---|---|", *rows,
    ]  # fmt: skip


def whole_images(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> str:
    """Right, certified and surviving shares."""
    program = read(model, x.shape[1:])
    with torch.no_grad():
        right = model(x).argmax(1) == y
    certified = survived = 0
    for label in range(10):
        some = x[right & (y == label)]
        if not len(some):
            continue
        low, high = (some - eps).clamp(0, 1), (some + eps).clamp(0, 1)
        rows = margin_rows(10, label, [k for k in range(10) if k != label], low.double())
        found = margins(program, low.double(), high.double(), rows, "crown")
        certified += int((found.amin(1) > CLEAR).sum())
        for image, ends in zip(some, zip(low, high, strict=True), strict=True):
            tried = attack(model, image[None], ends[0][None], ends[1][None], label,
                           torch.Generator().manual_seed(0), restarts=1)  # fmt: skip
            survived += int(not bool(tried.flipped))
    return " | ".join(_share(count, len(y)) for count in (int(right.sum()), certified, survived))


def _share(count: int, n: int) -> str:
    interval = clopper_pearson(count, n)
    ends = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else ""
    return f"{count}/{n} = {count / n:.3f}{ends}"


def main() -> None:
    """Parse options, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3, help="beside auto_LiRPA")
    parser.add_argument("--cifar", type=Path, help=".npz with images (N, 32, 32, 3) and labels")
    parser.add_argument("--radius", type=float, default=2.0, help="of the finetuning, in 1/255")
    parser.add_argument("--parts", nargs="+", default=["lirpa", "torchvision", "cifar"])
    parser.add_argument("--output", type=Path, help="Markdown file; standard output if left away")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = {
        "lirpa": ("Beside auto_LiRPA", lambda: auto_lirpa(options)),
        "torchvision": ("Every torchvision classifier", torchvision_sweep),
        "cifar": ("Certified finetuning on CIFAR-10", lambda: certified_cifar(options)),
    }
    lines = [
        "# Bounds: one run of `benchmarks/bounds.py`", "",
        f"One CPU thread, CPU seconds, torch {torch.__version__}; the machine was shared.", "",
    ]  # fmt: skip
    for part in options.parts:
        title, measure = parts[part]
        lines += [f"## {title}", "", *measure(), ""]
    text = "\n".join(lines)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
