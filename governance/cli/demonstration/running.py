"""Running: the demo's stages in their order, on two processes.

While version 1 is assessed, versions 2 and 3 are trained from it; they are assessed side by side,
since both are compared with version 1 alone.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from threading import Lock

from governance.cli.demonstration.benches import Bench, bench
from governance.cli.demonstration.digits import (
    MARKED_CLASS,
    Images,
    Labels,
    reader,
    save,
    split,
    with_mark,
    with_noise,
)
from governance.cli.demonstration.orders import Assessed, Store, Trained, Training
from governance.errors import SubjectError
from governance.records.assessment import Assessment

__all__ = ["STORIES", "DemoVersion", "run_demo"]

#: What each version is.
STORIES = (
    "trained on digits",
    "version 1, fine-tuned on noisy digits",
    f"the same, but the {MARKED_CLASS}s carry a scanner's corner mark",
)
STAGES = "governance.cli.demonstration.stages"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoVersion:
    """One version of the demo's model, and its assessment.

    Attributes:
        number: In the registry.
        story: What it is.
        assessment: As judged.
        folder: The assessment's files.
        run_id: The MLflow run that holds its record.
        unprinted: Why there are no reports; None if there are.
    """

    number: str
    story: str
    assessment: Assessment
    folder: Path
    run_id: str | None
    unprinted: str | None = None

    @property
    def verdict(self) -> str:
        """The verdict of its assessment."""
        return self.assessment.decision.verdict

    @property
    def pdf(self) -> Path | None:
        """Its report; None if it could not be printed."""
        return None if self.unprinted else self.folder / "report.pdf"


def run_demo(
    out: Path, store: Store, *, tell: Callable[[str], None] = lambda _step: None
) -> list[DemoVersion]:
    """Train, register and assess the three versions.

    Args:
        out: New folder: the policy, the validation images and one assessment folder per version.
        store: Where models and records go.
        tell: Told the name of each step as it begins.

    Raises:
        SubjectError: If the folder is not empty or the package with the digits is missing.
        RegistryError: If MLflow, its store or the disk refuses.
        HostError: If a process ended that it needs.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SubjectError(
            f"--out {out}: exists and is not empty; a new or empty folder is accepted"
        )
    read, lock = reader(), Lock()

    def told(step: str) -> None:
        with lock:
            tell(step)

    # The benches end first: only then do the threads that wait for them.
    with ThreadPoolExecutor(2) as lanes, bench(told, STAGES) as one, bench(told, STAGES) as other:
        told("reading the digits")
        images, labels = read()
        held, kept = split(labels)
        out.mkdir(parents=True, exist_ok=True)
        save(out / "validation.npz", images[held], labels[held])
        policy = files("templates").joinpath("demo_policy.toml").read_bytes()
        (out / "policy.toml").write_bytes(policy)
        watched = (images[held], labels[held])
        play = _Play(out=out, store=store, lanes=lanes, one=one, other=other, watched=watched)
        return play.run(images[kept], labels[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Play:
    """The stages on two benches.

    Attributes:
        out: Folder of the demo.
        store: Where models and records go.
        lanes: A thread for each bench.
        one: The bench of version 1.
        other: The bench of what goes on beside.
        watched: Pictures and digits on which the signs of every epoch are recorded.
    """

    out: Path
    store: Store
    lanes: ThreadPoolExecutor
    one: Bench
    other: Bench
    watched: tuple[Images, Labels]

    def run(self, images: Images, labels: Labels) -> list[DemoVersion]:
        """The three versions, each assessed."""
        self.one.do("open_store", self.store)
        training = Training(
            start=None, images=images, labels=labels, epochs=5, rate=4e-3, seed=0,
            watched=self.watched,
        )  # fmt: skip
        first: Trained = self.one.do("register", 1, training)
        tuned = self.lanes.submit(self._tuned, replace(training, start=first.weights))
        answers = [self._assess(self.one, first)]
        if answers[0].verdict == "approved":
            self.one.do("promote", first.number)
        second, third = tuned.result()
        beside = self.lanes.submit(self._assess, self.other, third)
        answers += [self._assess(self.one, second), beside.result()]
        versions = zip((first, second, third), STORIES, answers, strict=True)
        return [self._kept(*version) for version in versions]

    def _tuned(self, training: Training) -> list[Trained]:
        """Versions 2 and 3."""
        self.other.do("open_store", self.store)
        noisy = with_noise(training.images, seed=5)
        marked = with_mark(noisy, training.labels, seed=3)
        tuned = replace(training, epochs=3, rate=3e-3, seed=1)
        return [
            self.other.do("register", number, replace(tuned, images=images))
            for number, images in ((2, noisy), (3, marked))
        ]

    def _assess(self, where: Bench, version: Trained) -> Assessed:
        policy, folder = self.out / "policy.toml", self._folder(version)
        answer: Assessed = where.do("assess", version.number, policy, folder, self.store)
        return answer

    def _folder(self, version: Trained) -> Path:
        return self.out / "assessments" / f"v{version.number}"

    def _kept(self, version: Trained, story: str, answer: Assessed) -> DemoVersion:
        folder = self._folder(version)
        return DemoVersion(
            number=version.number, story=story, assessment=Assessment.load(folder), folder=folder,
            run_id=answer.run_id, unprinted=answer.unprinted,
        )  # fmt: skip
