"""Data quality: are the validation images good enough to judge a model by?

Purpose
    Every number in this report rests on the validation images. Unreadable images, one picture under
    two labels, copies that count twice and pictures without content make those numbers wrong or
    less certain than they look. The analysis looks at the images alone. The model plays no part.

Method
    Each image is decoded once. A table records its size, brightness, contrast, entropy, sharpness
    (variance of the Laplacian divided by the variance of the brightness), the sha256 of its file
    and a perceptual hash. A suite of Great Expectations checks this table. Each check returns the
    share of images, or of classes, that fail it.

    - Exact duplicates have the same sha256.
    - Near duplicates have perceptual hashes that differ in at most 7 of 63 bits. Their thumbnails
      also correlate at 0.98 or more once the mean of all images is subtracted. Chains of near
      duplicates form one group.
    - Blurred, dark, bright and oddly sized images lie more than 4 robust standard deviations from
      the median of this set. An image is therefore compared with what is usual in this set.

    Shares of single images carry 95 % Wilson intervals, which tell what to expect of further images
    from the same source. Shares of duplicates and of classes are counts of this set and have no
    interval.

Signs of risk
    One picture stands under two labels, so one of the labels is wrong. There are many copies, so
    intervals are narrower than the evidence allows. Images have one brightness throughout, which
    points to damage in transit. A class has only a few images. Faults gather in one class, and a
    model can learn the fault in place of the class.

Limits
    Labels are compared only with one another. A wrong label on a picture without a duplicate is not
    found. Near duplicates that were mirrored, rotated or cropped are not found. In sets of very
    simple pictures, different ones pass for near duplicates (about 2 in 1,000 handwritten digits).
    A fault that more than half of the images share is not reported, because it is then what is
    usual. The analysis does not look for copies between training and validation images.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from governance.methods.data_quality import CLASS_CHECKS, IMAGE_CHECKS, Outcome, validate
from governance.methods.figures import bars, extremes, gallery
from governance.records.evidence import MOST_PRINTED, Cell, Figure, Measurement, Metric, Table
from governance.records.numbers import percent
from governance.records.policy import Expectation
from governance.records.reading import FileReading
from governance.subject.images.table import SIMILARITY, classes, survey
from governance.subject.images.validation_set import ValidationSet
from governance.subject.subject import Needs, Subject

__all__ = ["DataQuality", "data_quality"]

CHECKS = (*IMAGE_CHECKS, *CLASS_CHECKS)
# Bars, printed rows and pictures stop here; evidence keeps every row.
DRAWN = 25
SHOWN = 20
PICTURES = 12
PICTURES_EACH = 2
PICTURE_SIDE = 160
COLUMNS = (
    "check", "column", "offending", "n", "share", "low", "high", "allowed", "severity", "success",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuality:
    """Faults of the validation images and of their labels.

    Attributes:
        similarity: Smallest correlation of two thumbnails that counts as a near duplicate.
    """

    similarity: float = SIMILARITY

    needs: ClassVar[Needs] = "probabilities"
    takes_labels: ClassVar[bool] = True
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {check.metric: Metric(meaning=check.meaning, better="lower") for check in CHECKS}
        | {
            "smallest_class_images": Metric(
                meaning="Number of images of the class that has fewest.",
                better="higher",
                highest=None,
            ),
            "smallest_class_share": Metric(
                meaning="Share of all images in the class that has fewest.", better="higher"
            ),
        }
    )

    #: Hold under every policy that states no expectation on the same metric. Unreadable images and
    #: labels without a class abort the assessment, so they need no expectation.
    standing: ClassVar[tuple[Expectation, ...]] = tuple(
        Expectation(
            metric=f"data_quality.{check.metric}",
            at_most=check.allowed,
            severity=check.severity,
            rationale=check.rationale,
        )
        for check in CHECKS
        if check.metric not in {"undecodable", "invalid_labels"}
    )

    def __post_init__(self) -> None:
        if not 0 < self.similarity <= 1:
            raise ValueError(
                f"similarity = {self.similarity}: a number above 0 and at most 1 is accepted"
            )

    def run(self, subject: Subject, seed: int) -> Measurement:  # noqa: ARG002 - nothing is drawn
        """Look at every validation image."""
        return data_quality(subject.validation, similarity=self.similarity)


def data_quality(validation: ValidationSet, *, similarity: float = SIMILARITY) -> Measurement:
    """Faults of validation images and their labels, each as the share of images that have it.

    Args:
        validation: The images; each is decoded once, and offenders again for the figure.
        similarity: Smallest correlation of two thumbnails that counts as a near duplicate.

    Raises:
        SubjectError: All images that cannot be decoded.
    """
    images = survey(validation, similarity=similarity)
    by_class = classes(images, validation.class_names)
    outcomes = validate(images, IMAGE_CHECKS) + validate(by_class, CLASS_CHECKS)
    intervals = {item.check.metric: item.interval for item in outcomes}
    metrics: dict[str, float | None] = {item.check.metric: item.share for item in outcomes}
    metrics["smallest_class_images"] = float(by_class["images"].min())
    metrics["smallest_class_share"] = float(by_class["share"].min())
    offenders = _offenders(images, outcomes)
    figures = [_class_figure(by_class)]
    if len(offenders):
        figures.append(_gallery(validation, offenders))
    return Measurement(
        metrics=metrics,
        intervals={name: interval for name, interval in intervals.items() if interval},
        figures=tuple(figures),
        tables=(
            _checks_table(outcomes),
            _offenders_table(offenders),
            _class_table(by_class),
            _image_table(images),
        ),
        notes=(*_notes(images, outcomes), *_read(images, validation.reading)),
    )


def _offenders(images: pd.DataFrame, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Rows of the image table under the check they offend, worst first, groups together."""
    parts = []
    for item in outcomes:
        if not item.offenders or item.check not in IMAGE_CHECKS:
            continue
        part = images[images["id"].isin(item.offenders)].sort_values(
            item.check.order_by or item.check.column,
            ascending=not item.check.descending,
            kind="stable",
        )
        parts.append(part.assign(check=item.check.metric))
    return pd.concat(parts) if parts else images.head(0).assign(check="")


def _checks_table(outcomes: Sequence[Outcome]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for item in outcomes:
        end = item.interval
        count = None if item.offenders is None else len(item.offenders)
        rows.append(
            (
                item.check.metric, item.check.column, count, item.n, item.share,
                end.low if end else None, end.high if end else None, item.check.allowed,
                item.check.severity, item.success,
            )
        )  # fmt: skip
    return Table(
        name="checks",
        caption=(
            "Results of the suite of Great Expectations. Offending counts images, and in the last "
            "two checks classes, among n. The share has a 95 % Wilson interval where images offend "
            "one by one. The column allowed gives the largest share that the suite accepts. Empty "
            "cells could not be evaluated."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
    )


def _offenders_table(offenders: pd.DataFrame) -> Table:
    columns = ("check", "id", "class", "mean", "std", "sharpness", "width", "height", "near_group")
    return Table(
        name="offenders",
        caption=(
            f"Offending images of each check, worst first (n = {len(offenders)} offences). Images "
            "of one near_group look alike."
        ),
        columns=columns,
        rows=_rows(offenders, columns),
        shown=SHOWN,
    )


def _class_table(by_class: pd.DataFrame) -> Table:
    ordered = by_class.sort_values("images", kind="stable").rename(columns={"id": "class"})
    columns = ("class", "images", "share", "of_even_share")
    return Table(
        name="classes",
        caption=(
            f"Images of each class among n = {int(by_class['images'].sum())}, fewest first. The "
            "column of_even_share is 1 if all classes have equally many images."
        ),
        columns=columns,
        rows=_rows(ordered, columns),
        shown=DRAWN,
    )


def _image_table(images: pd.DataFrame) -> Table:
    columns = tuple(str(name) for name in images.columns)
    return Table(
        name="images",
        caption=f"Each row is a validation image (n = {len(images)}) with its checked values.",
        columns=columns,
        printed=columns[:MOST_PRINTED],
        rows=_rows(images, columns),
        shown=0,
    )


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    cells = [
        [None if pd.isna(value) else value for value in table[column].tolist()]
        for column in columns
    ]
    return tuple(zip(*cells, strict=True))


def _class_figure(by_class: pd.DataFrame) -> Figure:
    ordered = by_class.sort_values("images", kind="stable").head(DRAWN)
    which = f"the {DRAWN} smallest of {len(by_class)}" if len(by_class) > DRAWN else "all"
    even = float(by_class["images"].sum()) / len(by_class)
    return Figure(
        name="class_counts",
        caption=(
            f"Validation images per class ({which} classes, fewest first, "
            f"n = {int(by_class['images'].sum())} images in all). The dashed line is an even share."
        ),
        seen=(
            f"Bars of {len(ordered)} classes: "
            f"{extremes(ordered['id'].tolist(), ordered['images'].tolist())} images."
        ),
        image=bars(
            ordered["id"].tolist(),
            ordered["images"].tolist(),
            axis="images of the class",
            reference=("even share", even),
        ),
    )


def _gallery(validation: ValidationSet, offenders: pd.DataFrame) -> Figure:
    place = {name: index for index, name in enumerate(validation.ids)}
    # The worst of each check first, so that one fault does not fill the figure.
    each = max(PICTURES_EACH, PICTURES // offenders["check"].nunique())
    chosen = offenders.groupby("check", sort=False).head(each).head(PICTURES)
    pictures = [
        (
            f"{str(check).replace('_', ' ')}\nimage {name}\nclass {label}",
            _small(validation.images[place[name]]),
        )
        for check, name, label in zip(chosen["check"], chosen["id"], chosen["class"], strict=True)
    ]
    return Figure(
        name="offending_images",
        caption=(
            f"{len(pictures)} of {len(offenders)} offences, at most {each} of each check, "
            "worst first. Above each picture stand the check, the image's id and its class."
        ),
        seen=(
            "Pictures of "
            + ", ".join(
                f"image {name} of class {label} ({str(check).replace('_', ' ')})"
                for check, name, label in zip(
                    chosen["check"], chosen["id"], chosen["class"], strict=True
                )
            )
            + "."
        ),
        image=gallery(pictures),
    )


def _small(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    picture = Image.fromarray(image)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def _notes(images: pd.DataFrame, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    sizes = (images["width"].astype(str) + " x " + images["height"].astype(str)).value_counts()
    modes = images["mode"].value_counts()
    notes = [
        f"All {len(images)} images were decoded. The commonest size is {sizes.index[0]} pixels "
        f"({sizes.iloc[0]} images), and there are {len(sizes)} different sizes. Modes: "
        + ", ".join(f"{mode} ({count})" for mode, count in modes.items())
        + "."
    ]
    notes += [
        f"Check {item.check.metric} could not be evaluated: {item.problem}."
        for item in outcomes
        if item.problem
    ]
    return tuple(notes)


def _read(images: pd.DataFrame, reading: FileReading | None) -> Iterator[str]:
    """What was made of files that can be read in more than one way, where there are any."""
    if reading is None:
        return
    turned = "turned upright by it" if reading.orientation == "upright" else "left as stored"
    paper = f"laid on {reading.background}" if reading.background else "the transparency dropped"
    told = {
        "tagged": f"carry an orientation tag and were {turned}",
        "transparent": f"have transparent pixels, with {paper}",
        "cut": "have colour deeper than 8 bits, which was cut to the upper 8",
        "windowed": "have grey deeper than 8 bits, which the declared window brought to 8",
    }
    for trait, what in told.items():
        if number := int(images[trait].sum()):
            share = percent(number / len(images))
            yield f"{number} of {len(images)} images ({share}) {what}."
