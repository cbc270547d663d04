"""The table of cases: what is given, what becomes of it and in which words. Each row is a test.

A row is a test function under `case`, in one of the files of `tests/cases`. It returns what
happened, and the decorator holds that against the outcome. `docs/reference/what-is-accepted.md` is
printed from the rows, in the order of the files, under the first line of each file's docstring.

    @case("A dictionary with the outputs under `logits`", assessed())
    def test_a_dictionary(bench):
        return bench.assess(AsDictionary())
"""

import functools
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from governance.errors import PolicyError, SubjectError
from governance.records.assessment import Assessment
from governance.records.policy import INAPPLICABLE
from governance.registry import resolve
from governance.registry.opening import open_subject
from governance.workflows.orchestration import assess, read_policy

__all__ = [
    "Bench",
    "ByBrightness",
    "Happened",
    "Outcome",
    "assessed",
    "case",
    "refused",
    "sections",
]

#: The gap between two quoted pieces of one message.
GAP = " ... "

POLICY = """\
title = "Case"
[model]
{model}
[validation]
{validation}
[[expectations]]
metric = "performance.accuracy"
at_least = 0.0
{analyses}
"""


@dataclass(frozen=True)
class Outcome:
    """What becomes of a case.

    Attributes:
        kind: `assessed` or `refused`.
        says: Words of the refusal, or of the assessment where it has to say something; `...` stands
            for any others between them.
        without: Analyses that do not apply, of those that the case runs.
    """

    kind: str
    says: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def assessed(*says: str, without: tuple[str, ...] = ()) -> Outcome:
    """The case is assessed, all but the analyses that do not apply."""
    return Outcome("assessed", says, tuple(sorted(without)))


def refused(*says: str) -> Outcome:
    """The case is refused before anything is measured, in these words."""
    assert says, "a refusal has words"
    return Outcome("refused", says)


@dataclass(frozen=True)
class Happened:
    """What became of a case.

    Attributes:
        refusal: The message of the refusal; None if the case was assessed.
        assessment: The assessment, if there is one.
        said: Anything else that a person is told, such as a command's output.
    """

    refusal: str | None = None
    assessment: Assessment | None = None
    said: str = ""

    @property
    def without(self) -> tuple[str, ...]:
        """Analyses that do not apply."""
        found = self.assessment.evidence if self.assessment else ()
        kinds = {item.analysis: item.failure.kind for item in found if item.failure}
        crashed = [item for item in found if item.failure and item.failure.kind != INAPPLICABLE]
        assert not crashed, [f"{item.analysis}: {item.failure}" for item in crashed]
        return tuple(sorted(kinds))

    @property
    def text(self) -> str:
        """All that a person is told, in one line."""
        told = [self.refusal or "", self.said]
        told += [
            item.failure.message if item.failure else " ".join(item.measurement.notes)
            for item in (self.assessment.evidence if self.assessment else ())
        ]
        return " ".join(" ".join(told).split())

    def metric(self, name: str) -> float:
        """The value of `<analysis>.<metric>`."""
        analysis, _, metric = name.partition(".")
        (found,) = (item for item in self.assessment.evidence if item.analysis == analysis)
        return found.measurement.metrics[metric]


def case(given: str, outcome: Outcome) -> Callable[[Callable], Callable]:
    """A row of the table: a test that returns what happened.

    Args:
        given: What is given: a phrase without a full stop, in Markdown.
        outcome: What must become of it.
    """

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def test(*arguments, **fixtures) -> None:
            happened = function(*arguments, **fixtures)
            kind = "assessed" if happened.refusal is None else "refused"
            assert kind == outcome.kind, happened.text
            assert happened.without == outcome.without
            for words in outcome.says:
                place = 0
                for piece in words.split(GAP):
                    found = happened.text.find(piece, place)
                    assert found >= 0, f"{piece!r} is not said: {happened.text}"
                    place = found + len(piece)

        test.row = (given, outcome)
        return test

    return decorate


def sections(folder: Path) -> Iterator[tuple[str, str, list[tuple[str, Outcome]]]]:
    """Title, introduction and rows of each file of cases, in order of the files."""
    for path in sorted(folder.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"cases_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        title, _, about = inspect.cleandoc(module.__doc__).partition("\n\n")
        rows = [item.row for item in vars(module).values() if hasattr(item, "row")]
        yield title.rstrip("."), about, rows


class Bench:
    """Where a case is put together and assessed, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, module: nn.Module) -> Path:
        """A model's folder as `mlflow.pytorch.save_model` writes it, pickled, since that is quick.

        A row about the format pt2 writes its own.
        """
        import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

        place = self.folder / "model"
        mlflow.pytorch.save_model(
            module.eval(), place, serialization_format="pickle", pip_requirements=["torch"]
        )
        return place

    def images(self, size: int = 16, per_class: int = 12, channels: int = 3) -> Path:
        """A folder of PNG files: dark, grey and bright noise, whose names sort in this order.

        `ByBrightness` tells them apart without an error.
        """
        place, drawn = self.folder / "images", np.random.default_rng(0)
        for level, name in zip((40, 120, 200), ("a dark", "b grey", "c bright"), strict=True):
            (place / name).mkdir(parents=True)
            for index in range(per_class):
                shape = (size, size, channels)
                pixels = (level + drawn.integers(-30, 30, shape)).astype(np.uint8)
                Image.fromarray(pixels.squeeze()).save(place / name / f"{index}.png")
        return place

    def policy(
        self, images: Path | str, *, model: str = "", validation: str = "", analyses=""
    ) -> Path:
        """The file of a policy.

        Args:
            images: What `data` names.
            model: Lines of `[model]`, besides those that say how an RGB image of 16 x 16 becomes
                the input of a pickled model; a key given here takes the place of such a line.
            validation: Further lines of `[validation]`.
            analyses: Tables of analyses.
        """
        usual = {
            "size": "[16, 16]", "channels": '"rgb"', "mean": "[0.0]", "std": "[1.0]",
            "allow_pickle": "true",
        }  # fmt: skip
        given = dict(line.split(" = ", 1) for line in model.splitlines() if line.strip())
        terms = "\n".join(f"{key} = {value}" for key, value in {**usual, **given}.items() if value)
        path = self.folder / "policy.toml"
        data = f"data = {json.dumps(str(images))}\n{validation}"
        text = POLICY.format(model=terms, validation=data, analyses=analyses)
        path.write_text(text, encoding="utf-8")
        return path

    def assess(
        self, given: nn.Module | Path | str, images: Path | str | None = None, *,
        standing: tuple[str, ...] = ("performance",), **lines: str,
    ) -> Happened:  # fmt: skip
        """What becomes of a model and its images, opened and assessed as by `governance assess`.

        Args:
            given: Module that is saved first, a model's folder, or its URI.
            images: What the policy's `data` names; the images of `images()` if not given.
            standing: Analyses that run, besides those of the policy.
            lines: Lines of the policy, as `policy` takes them.
        """
        place = self.model(given) if isinstance(given, nn.Module) else given
        data = self.images() if images is None else images
        try:
            policy = read_policy(self.policy(data, **lines))
            version = resolve(str(place))
            subject = open_subject(version, policy, workspace=self.folder / "w", device="cpu")
            return Happened(assessment=assess(subject, policy, standing=standing))
        except (PolicyError, SubjectError) as error:
            return Happened(refusal=str(error))


class ByBrightness(nn.Module):
    """Logits of dark, grey and bright, from the mean of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        self.head = nn.Linear(1, 3)
        with torch.no_grad():
            self.conv.weight.fill_(1 / 3)
            # Logits -(level - mean)^2 up to what all share.
            levels = torch.tensor([40.0, 120.0, 200.0]) / 255
            self.head.weight.copy_(100 * 2 * levels[:, None])
            self.head.bias.copy_(-100 * levels**2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 3)."""
        return self.head(self.conv(x).mean((2, 3)))
