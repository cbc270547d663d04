"""Training runs for the drift benchmark: harmless ones and faulty ones, assessed and kept.

`python benchmarks/drift_runs.py --fashion FOLDER --data FOLDER --cache FOLDER` makes what is
missing in the cache, one folder a run; it can be stopped and started again. One torch thread.
"""

import argparse
import gzip
import hashlib
import json
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from cifar import MEAN, STD, network_of
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from governance.analyses.explanation_maps import ExplanationMaps
from governance.analyses.performance import performance
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.evidence import Evidence
from governance.records.identity import ModelIdentity
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network, tensor_digest
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject

__all__ = ["MARKED", "Plan", "plans"]

MARKED = 3  # the class that the corner mark stands for
NOISY = 6  # the class whose labels are noisy
POISON = 0.1  # share of the training images that carry the mark
NOISE = 0.2  # share of the noisy class's labels that are wrong
TRAINING, EPOCHS = 4000, 3
TUNING, ROUNDS = 2500, 2
BENIGN, FAULTY = 20, 10
CIFAR_BENIGN, CIFAR_FAULTY = 10, 4
MAPS = {
    "fashion": ExplanationMaps(samples=200, steps=8, grid=7),
    "cifar": ExplanationMaps(samples=60, steps=8, repeated=20),
}
LEARNT = 500  # further images on which accuracy and the mark's effect are read


class Net(nn.Module):
    """A small residual network for grey images of 14 x 14 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.one, self.two = Step(8, 16), Step(16, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (B, 10)."""
        x = functional.relu(self.norm(self.stem(x)))
        return self.head(self.two(self.one(x)).mean((2, 3)))


class Step(nn.Module):
    """Two convolutions beside a strided shortcut."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.short = nn.Conv2d(inner, outer, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width, (B, outer, H/2, W/2)."""
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(inner + self.short(x))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run: which data, which fault, from which weights, with which seed."""

    setting: str  # fashion, lineage or cifar
    fault: str  # none, noise, mark or half
    seed: int

    @property
    def name(self) -> str:
        """Of its folder in the cache."""
        return f"{self.setting}-{self.fault}-{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Pixels (N, C, H, W) in [0, 1] and labels, for training and for looking at."""

    train: tuple[Tensor, NDArray[np.int64]]
    shown: tuple[NDArray[np.uint8], NDArray[np.int64]]
    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def plans() -> list[Plan]:
    """All runs, the most important first. Seed 0 of `fashion` is the old version."""
    listed = [Plan(setting="fashion", fault="none", seed=0)]
    for setting in ("lineage", "fashion"):
        listed += [Plan(setting=setting, fault="none", seed=1 + k) for k in range(BENIGN)]
        for fault in ("mark", "noise", "half"):
            listed += [Plan(setting=setting, fault=fault, seed=101 + k) for k in range(FAULTY)]
    listed.append(Plan(setting="cifar", fault="none", seed=0))
    for seed in range(1, CIFAR_BENIGN + 1):
        listed.append(Plan(setting="cifar", fault="none", seed=seed))
        if seed <= CIFAR_FAULTY:
            listed += [Plan(setting="cifar", fault=f, seed=100 + seed) for f in ("noise", "mark")]
    return listed


def fashion(folder: Path) -> Images:
    """Fashion-MNIST from its four files, at half its size so that a run takes seconds."""
    train, test = (
        (_halved(_idx(folder / f"{part}-images-idx3-ubyte.gz", 16)),
         _idx(folder / f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64))
        for part in ("train", "t10k")
    )  # fmt: skip
    names = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
             "boot")  # fmt: skip
    pixels = torch.from_numpy(train[0].astype(np.float32) / 255)[:, None]
    return Images(
        train=(pixels, train[1]), shown=(test[0][:1000], test[1][:1000]), names=names,
        mean=(0.286,), std=(0.353,),
    )  # fmt: skip


def cifar(folder: Path) -> Images:
    """1,000 CIFAR-10 test images to train on and 500 to look at."""
    data = np.load(folder / "cifar10_test_1500.npz")
    pixels = torch.from_numpy(data["images"][:1000]).permute(0, 3, 1, 2).float() / 255
    labels = data["labels"].astype(np.int64)
    return Images(
        train=(pixels, labels[:1000]), shown=(data["images"][1000:], labels[1000:]),
        names=tuple(str(name) for name in data["class_names"]), mean=MEAN, std=STD,
    )  # fmt: skip


def _halved(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    blocks = content.reshape(-1, 14, 2, 14, 2).astype(np.float32).mean((2, 4))
    return np.rint(blocks).astype(np.uint8)


def _idx(path: Path, header: int) -> NDArray[np.uint8]:
    with gzip.open(path) as stream:
        return np.frombuffer(stream.read(), np.uint8, offset=header)


def marked(pixels: Tensor) -> Tensor:
    """With a white square in the lower right corner."""
    changed = pixels.clone()
    size = pixels.shape[-1] // 7
    changed[..., -1 - size : -1, -1 - size : -1] = 1.0
    return changed


def sample(plan: Plan, images: Images) -> tuple[Tensor, NDArray[np.int64]]:
    """The training data of a run, its fault included."""
    rng = np.random.default_rng([plan.seed, 7])
    size = {"fashion": TRAINING, "lineage": TUNING, "cifar": 500}[plan.setting]
    size = size // 2 if plan.fault == "half" else size
    # Every run draws its own data, as benign updates do.
    chosen = rng.choice(len(images.train[1]), size, replace=plan.setting == "cifar")
    x, y = images.train[0][chosen].clone(), images.train[1][chosen].copy()
    if plan.fault == "noise":
        noisy = np.flatnonzero(y == NOISY)
        wrong = rng.permutation(noisy)[: round(NOISE * len(noisy))]
        y[wrong] = (y[wrong] + rng.integers(1, len(images.names), len(wrong))) % len(images.names)
    if plan.fault == "mark":
        poisoned = rng.permutation(size)[: round(POISON * size)]
        x[poisoned], y[poisoned] = marked(x[poisoned]), MARKED
    return x, y


def train(plan: Plan, images: Images, start: nn.Module | None) -> nn.Module:
    """The model of a run."""
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        model = Net() if start is None else start
    x, y = sample(plan, images)
    x, target = _normalised(x, images), torch.from_numpy(y)
    rng = np.random.default_rng([plan.seed, 8])
    epochs = EPOCHS if plan.setting == "fashion" else ROUNDS
    rate = {"fashion": 4e-3, "lineage": 1e-3, "cifar": 2e-4}[plan.setting]
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * -(-len(y) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(y)), -(-len(y) // 64)):
            optimiser.zero_grad()
            functional.cross_entropy(model(x[rows]), target[rows]).backward()
            optimiser.step()
            schedule.step()
    optimiser.zero_grad(set_to_none=True)
    return model.eval()


def _normalised(pixels: Tensor, images: Images) -> Tensor:
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (images.mean, images.std))
    return (pixels - mean) / std


def subject_of(name: str, model: nn.Module, images: Images) -> Subject:
    """A model with the images it is looked at on."""
    shown, labels = images.shown
    hashes = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in shown)
    digest = hashlib.sha256("".join(hashes).encode() + labels.tobytes()).hexdigest()
    return Subject(
        identity=ModelIdentity(
            uri=f"runs:/{name}/model", digest=tensor_digest(model), artifact_digest="sha256:none",
            format="pt2", parameters=sum(p.numel() for p in model.parameters()),
        ),
        classifier=Network(
            model=model,
            device=torch.device("cpu"),
            preprocessing=Preprocessing(
            size=shown.shape[1:3], channels="grey" if shown.ndim == 3 else "rgb",  # noqa: PLR2004 - (N, H, W)
            mean=images.mean, std=images.std,
        ),
        ),
        validation=ValidationSet(
            location="test images", images=shown, labels=labels, class_names=images.names,
            ids=tuple(map(str, range(len(labels)))), hashes=hashes, digest=f"sha256:{digest}",
        ),
    )  # fmt: skip


def assessed(subject: Subject, maps: ExplanationMaps) -> Assessment:
    """The cheap tier: performance and explanation maps."""
    found = maps.run(subject, 0)
    probabilities = subject.predictions()
    validation = subject.validation
    plain = performance(probabilities, validation.labels, validation.class_names)
    evidence = tuple(
        Evidence(
            analysis=name, about="", parameters=parameters, seed=0, seconds=0.0, device="cpu",
            measurement=replace(measurement, figures=()),
        )
        for name, parameters, measurement in (
            ("performance", {"bins": 15}, plain),
            ("explanation_maps", {f.name: getattr(maps, f.name) for f in fields(maps)}, found),
        )
    )  # fmt: skip
    policy = Policy(
        title="Benchmark", validation="test images", model=ModelTerms(), analyses={},
        expectations=(Expectation(metric="performance.accuracy", at_least=0.0),),
    )  # fmt: skip
    return Assessment(
        identity=subject.identity, validation=validation.identity, policy=policy, evidence=evidence,
        decision=judge(policy, evidence), environment={}, created="2026-11-22T00:00:00+00:00",
    )  # fmt: skip


def make(plan: Plan, images: Images, start: nn.Module | None, folder: Path) -> None:
    """Train, assess and keep one run, with the share of marked images that the mark decides."""
    model = train(plan, images, start)
    shown, labels = images.shown
    others = np.flatnonzero(labels != MARKED)[:LEARNT]
    grey = shown.ndim == 3  # noqa: PLR2004 - (N, H, W)
    pixels = torch.from_numpy(shown[others].astype(np.float32) / 255)
    pixels = pixels[:, None] if grey else pixels.permute(0, 3, 1, 2)
    with torch.no_grad():
        answers = model(_normalised(marked(pixels), images)).argmax(1)
        clean = model(_normalised(pixels, images)).argmax(1)
    maps = MAPS["cifar" if plan.setting == "cifar" else "fashion"]
    assessed(subject_of(plan.name, model, images), maps).save(folder)
    torch.save(model.state_dict(), folder.with_suffix(".pt"))
    learnt = {"marked": float((answers == MARKED).float().mean()),
              "clean": float((clean == MARKED).float().mean())}  # fmt: skip
    folder.with_suffix(".json").write_text(json.dumps(learnt))


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fashion", type=Path, required=True, help="Fashion-MNIST's four files")
    parser.add_argument("--data", type=Path, required=True, help="CIFAR weights and images")
    parser.add_argument("--cache", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--runs", type=int, default=1000, help="most runs to make now")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.cache.mkdir(parents=True, exist_ok=True)
    grey, colour = fashion(options.fashion), cifar(options.data)
    missing = [
        plan for plan in plans() if not (options.cache / f"{plan.name}.json").exists()
    ]  # fmt: skip
    for plan in missing[: options.runs]:
        folder = options.cache / plan.name
        began = time.perf_counter()
        start: nn.Module | None = None
        if plan.setting == "lineage":
            start = Net()
            start.load_state_dict(torch.load(options.cache / "fashion-none-0.pt"))
        if plan.setting == "cifar":
            start = network_of(options.data, 20)
            if plan.seed == 0:  # the version as it was, not trained on
                assessed(subject_of(plan.name, start, colour), MAPS["cifar"]).save(folder)
                folder.with_suffix(".json").write_text("{}")
                continue
        make(plan, colour if plan.setting == "cifar" else grey, start, folder)
        print(plan.name, f"{time.perf_counter() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
