"""Whether every analysis answers, or says that it does not apply, on torchvision's 80 classifiers.

`python benchmarks/architectures.py --keep FILE` measures what FILE does not hold yet, a process for
each classifier, and prints the table of `benchmarks/results/architectures.md`. Weights are seeded
and not trained, apart from the last linear layer, which is fitted to the images. Every classifier
gets the smallest images that it takes. Parameters are small: the point is that nothing crashes,
hangs, takes gigabytes or answers about something else. One torch thread.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from governance import analyses
from governance.errors import InapplicableError
from governance.methods.network import trace
from governance.records.evidence import Evidence
from governance.records.identity import ModelIdentity
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network, tensor_digest
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject
from governance.workflows.orchestration import assess

SIZES = (64, 75, 96, 128, 224)
CLASSES = ("blue", "red")
EACH = 64  # images of a class: representative_interpretation needs 30 in each half
LIMIT = 1800  # seconds of a classifier before it counts as hanging
GIB = 2**30
#: The cheap tier: at least what each analysis accepts.
CHEAP: dict[str, dict[str, Any]] = {
    "data_quality": {},
    "de_cam": {"images": 1, "budget": 20, "repeated": 1, "seeds": 2},
    "explanation_maps": {"samples": 8, "steps": 4, "grid": 4, "repeated": 4},
    "feature_correlation": {"images": 32},
    "filter_importance": {"tier": "smoke", "images": 8},
    "genetic_explanation": {
        "images": 1, "budget": 30, "segments": 12, "repeated": 1, "seeds": 2, "wrong_classes": 1,
        "wrong_budget": 20,
    },
    "layer_prediction": {"samples": 32, "folds": 2, "strips": 2},
    "learning_process": {},
    "performance": {},
    "preprocessing_check": {"samples": 16},
    "representative_interpretation": {"samples": 128, "boundaries": 8, "max_rules": 1},
    "verified_perturbation": {
        "radii": (1.0,), "radius": 1.0, "images": 1, "patch_images": 1, "grid": 2, "steps": 2,
        "restarts": 1, "neurons": 20, "attack_budget": 0.05,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Images:
    """Images of noise around two colours, drawn as they are asked for."""

    size: int

    def __len__(self) -> int:
        return EACH * len(CLASSES)

    def __getitem__(self, index: int) -> Any:
        drawn = np.random.default_rng(index)
        colour = np.array([(60, 90, 170), (170, 90, 60)][index % 2])
        coarse = drawn.normal(0, 40, (4, 4, 3)).repeat(self.size // 4 + 1, 0)
        coarse = coarse.repeat(self.size // 4 + 1, 1)[: self.size, : self.size]
        return np.clip(colour + coarse, 0, 255).astype(np.uint8)


def built(name: str) -> tuple[nn.Module, int]:
    """A classifier with seeded weights, and the side of the smallest images that it takes."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"weights": None, "num_classes": len(CLASSES)}
    if found := re.fullmatch(r"vit_\w_(\d+)", name):
        side = 4 * int(found[1])
        return torchvision.models.get_model(name, image_size=side, **options).eval(), side
    if name in {"googlenet", "inception_v3"}:
        options |= {"aux_logits": False, "init_weights": False}
    model = torchvision.models.get_model(name, **options).eval()
    for side in SIZES:
        try:
            with torch.no_grad():
                model(torch.zeros(2, 3, side, side))
        except (RuntimeError, ValueError):
            continue
        return model, side
    raise ValueError(f"{name} takes none of {SIZES}")


def subject_of(name: str) -> Subject:
    """The classifier with its images; the last linear layer tells the two colours apart."""
    model, side = built(name)
    images = Images(side)
    labels = np.arange(len(images), dtype=np.int64) % 2
    hashes = tuple(sha256(images[i].tobytes()).hexdigest() for i in range(len(images)))
    validation = ValidationSet(
        location="memory", images=images, labels=labels, class_names=CLASSES, hashes=hashes,
        ids=tuple(map(str, range(len(images)))),
        digest=f"sha256:{sha256(name.encode()).hexdigest()}",
    )  # fmt: skip
    network = Network(
        model=model, device=torch.device("cpu"),
        preprocessing=Preprocessing(
            size=(side, side), channels="rgb", mean=(0.5,) * 3, std=(0.25,) * 3
        ),
    )  # fmt: skip
    identity: dict[str, Any] = {
        "uri": f"models:/{name}/1", "artifact_digest": "sha256:0", "format": "pt2",
        "parameters": sum(item.numel() for item in model.parameters()),
    }  # fmt: skip
    made = Subject(
        identity=ModelIdentity(digest="sha256:0", **identity), classifier=network,
        validation=validation, batch_size=16,
    )  # fmt: skip
    fit(model, network.inputs(made.pixels(range(32))), labels[:32])
    digest = tensor_digest(model)
    return Subject(
        identity=ModelIdentity(digest=digest, **identity), classifier=network,
        validation=validation, batch_size=16,
    )  # fmt: skip


@torch.no_grad()
def fit(model: nn.Module, inputs: Tensor, labels: np.ndarray) -> None:
    """Set running statistics to those of these images, and the last linear layer to the labels."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.momentum = None
            module.reset_running_stats()
    for part in inputs.split(16):
        model(part)
    model.eval()
    last = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    seen: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for part in inputs.split(16):
        model(part)
    hook.remove()
    # SqueezeNet ends in a convolution and a mean.
    maps = isinstance(last, nn.Conv2d)
    x = torch.cat([item.mean((2, 3)) if maps else item for item in seen]).double()
    centre = x.mean(0)
    y = torch.from_numpy(np.where(labels[:, None] == np.arange(2), 3.0, -3.0))
    gram = (x - centre) @ (x - centre).T
    ridge = gram + 0.1 * gram.diagonal().mean() * torch.eye(len(x), dtype=torch.float64)
    weight = (x - centre).T @ torch.linalg.solve(ridge, y)
    last.weight.copy_(weight.T.view_as(last.weight))
    if last.bias is not None:
        last.bias.copy_(-centre @ weight)


def peak(*, reset: bool = False) -> int:
    """Most memory of this process in bytes, since it was last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]


def outcome(evidence: Evidence) -> tuple[str, str]:
    """What became of an analysis in a word, and what it says."""
    if evidence.failure is not None:
        known = evidence.failure.kind == "not applicable"
        return "not applicable" if known else "failed", evidence.failure.message
    metrics, notes = evidence.measurement.metrics, evidence.measurement.notes
    answered = [name for name, value in metrics.items() if value is not None]
    return "assessed" if answered else "without a metric", " ".join(notes)


def measured(name: str) -> dict[str, Any]:
    """All analyses on one classifier."""
    torch.set_num_threads(1)
    subject = subject_of(name)
    side = subject.preprocessing.size[0]
    found: dict[str, Any] = {
        "side": side, "parameters": subject.identity.parameters, **layers_of(subject),
        "analyses": {},
    }  # fmt: skip
    subject.predictions()
    for analysis in analyses.names():
        policy = Policy(
            title=name, validation="memory", model=ModelTerms(),
            analyses={analysis: CHEAP[analysis]},
            expectations=(Expectation(metric="performance.accuracy", at_least=0),),
        )  # fmt: skip
        before, began = peak(reset=True), time.process_time()
        (evidence,) = assess(subject, policy, standing=()).evidence
        word, said = outcome(evidence)
        found["analyses"][analysis] = {
            "outcome": word, "said": said, "seconds": round(time.process_time() - began, 2),
            "gib": round((peak() - before) / GIB, 3),
            "metrics": dict(evidence.measurement.metrics) if evidence.measurement else {},
        }  # fmt: skip
        print(
            name,
            analysis,
            word,
            found["analyses"][analysis]["seconds"],
            file=sys.stderr,
            flush=True,
        )
    return found


def layers_of(subject: Subject) -> dict[str, Any]:
    """How the network is read: the way, the layers of filters, and the depths."""
    network = trace(subject.network.model, subject.network.inputs(subject.pixels([0, 1])))
    found: dict[str, Any] = {"path": network.path, "units": {}, "stages": ()}
    with suppress(InapplicableError):
        found["units"] = {unit.layer: unit.channels for unit in network.units()}
    with suppress(InapplicableError):
        found["stages"] = network.stages()
    return found


def rows(kept: dict[str, Any]) -> Iterator[str]:
    """The table, a line for each classifier."""
    names = sorted({key for item in kept.values() for key in item.get("analyses", {})})
    head = ("classifier", "side", "read by", "layers of filters", "depths", *names,
            "most memory (GiB)", "CPU seconds")  # fmt: skip
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    marks = {
        "assessed": "yes",
        "without a metric": "no metric",
        "not applicable": "n/a",
        "failed": "FAILED",
    }
    for name, item in sorted(kept.items()):
        if "analyses" not in item:
            yield f"| {name} | {item['ended']} |"
            continue
        told = item["analyses"]
        cells = [marks[told[key]["outcome"]] if key in told else "" for key in names]
        most = max(entry["gib"] for entry in told.values())
        seconds = sum(entry["seconds"] for entry in told.values())
        yield (
            f"| {name} | {item['side']} | {item['path'] or '-'} | {len(item.get('units', {}))} | "
            f"{len(item.get('stages', ()))} | {' | '.join(cells)} | {most:.2f} | {seconds:.0f} |"
        )


def main() -> None:
    """Measure what is not kept yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--names", default="", help="a regular expression; all if not given")
    parser.add_argument("--one", help="the classifier that this process measures")
    options = parser.parse_args()
    if options.one:
        json.dump(measured(options.one), sys.stdout)
        return
    kept = json.loads(options.keep.read_text()) if options.keep.exists() else {}
    for name in torchvision.models.list_models(module=torchvision.models):
        if name in kept or not re.fullmatch(options.names or ".*", name):
            continue
        command = [sys.executable, __file__, "--keep", str(options.keep), "--one", name]
        try:
            ended = subprocess.run(  # noqa: S603 - this file
                command, stdout=subprocess.PIPE, timeout=LIMIT, check=False
            )
            good = ended.returncode == 0
            kept[name] = (
                json.loads(ended.stdout) if good else {"ended": f"exit code {ended.returncode}"}
            )
        except subprocess.TimeoutExpired:
            kept[name] = {"ended": f"not done after {LIMIT} s"}
        options.keep.write_text(json.dumps(kept))
    print("\n".join(rows(kept)))


if __name__ == "__main__":
    main()
