"""Draft: from the address of a model and labelled images to the text of a policy."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from governance.methods.statistics.proportions import chance
from governance.records.numbers import count, duration
from governance.subject.images.validation_set import ValidationSet
from governance.workflows.drafting.opening import DraftSubject, open_draft
from governance.workflows.drafting.proposing import Measured, Reference, proposed
from governance.workflows.drafting.references import reference_of
from governance.workflows.drafting.searching import (
    TIMED,
    Choice,
    choose,
    order_of_classes,
    seconds_of_one,
)
from governance.workflows.drafting.telling import seen, why_scale, why_size
from governance.workflows.orchestration import check_classes, judged_by, read_policy
from governance.workflows.progress import Progress, silent

__all__ = ["Draft", "draft_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A policy as it was drafted, and what was seen on the way.

    Attributes:
        text: Text of the policy file, which passes the check.
        seen: What was tried and found, a sentence each.
        passes: Number of forward passes of one image.
        seconds: Time that all of it took.
    """

    text: str
    seen: tuple[str, ...]
    passes: int
    seconds: float


def draft_policy(
    uri: str,
    data: Path,
    *,
    place: str,
    minutes: float = 30,
    seed: int = 0,
    device: str = "auto",
    allow_pickle: bool = False,
    names: Path | None = None,
    names_place: str | None = None,
    progress: Progress = silent,
) -> Draft:
    """Draft a policy for the model at `uri`; nothing is written.

    Args:
        uri: Address of the model, as `registry.resolve` takes it.
        data: Validation images on this machine.
        place: The same as the policy is to name it.
        minutes: Time at hand for one assessment.
        seed: Of the choice of images.
        device: `auto`, `cpu` or `cuda`.
        allow_pickle: Whether a pickled model may be loaded.
        names: File with the names of the model's outputs; None for those that the model says.
        names_place: The same as the policy is to name it.
        progress: Called as each step begins.

    Raises:
        SubjectError: If the model or its images cannot be assessed, or nothing can be proposed: too
            few images, other classes, an accuracy that is not above chance.
        RegistryError: If MLflow refuses.
    """
    begun = time.monotonic()
    with TemporaryDirectory(prefix="governance-") as scratch:
        progress("opening the model", 0, 4)
        opened = open_draft(
            uri, data, Path(scratch), device, allow_pickle=allow_pickle, names=names
        )
        progress("trying preprocessings", 1, 4)
        choice = choose(opened, seed)
        progress("judging what was found", 2, 4)
        order = order_of_classes(opened, choice)
        reference, told = reference_of(opened, choice)
        measured = replace(
            _measured(opened, choice, reference, place, minutes, allow_pickle=allow_pickle),
            class_names=names_place,
        )
        progress("checking the draft", 3, 4)
        text = proposed(measured)
        _check(text, opened.validation, Path(scratch))
    seconds = time.monotonic() - begun
    passes = choice.passes + 2 * TIMED
    sentences = (
        *seen(opened, choice, order),
        *told,
        f"{count(passes)} forward passes of one image, {duration(seconds)} in all.",
    )
    return Draft(text=text, seen=sentences, passes=passes, seconds=seconds)


def _measured(
    opened: DraftSubject,
    choice: Choice,
    reference: Reference,
    place: str,
    minutes: float,
    *,
    allow_pickle: bool,
) -> Measured:
    version, candidate = opened.version, choice.confirmed.candidate
    return Measured(
        uri=version.uri,
        name=version.ref.name if version.ref else Path(version.uri).name,
        images=opened.validation.identity,
        data=place,
        candidate=candidate,
        unsized=opened.unsized,
        outputs=opened.classifier.outputs,
        allow_pickle=allow_pickle and opened.format == "pickle",
        why_scale=" ".join(why_scale(opened, choice)),
        why_size=" ".join(why_size(opened, choice)),
        reference=reference,
        chance=chance(opened.validation.labels),
        seconds=seconds_of_one(opened, choice),
        minutes=minutes,
    )


def _check(text: str, validation: ValidationSet, scratch: Path) -> None:
    """Hold a draft against what `governance policy check` asks of a policy."""
    path = scratch / "policy.toml"
    path.write_text(text, encoding="utf-8")
    check_classes(judged_by(read_policy(path)), validation.identity)
