"""Turned images: those that a version answers otherwise than the one before, for part D."""

from dataclasses import dataclass

from governance.records.assessment import Assessment
from governance.records.evidence import Figure
from governance.records.numbers import count
from governance.records.policy import DRIFT
from reports.amounts import chance
from reports.class_names import named
from reports.table_rows import Row, number_in, rows_of

__all__ = ["FIGURE", "TurnedImages", "turned_images"]

COLUMNS = ("class", "n", "newly_wrong", "newly_right", "p")
#: Figure of the images that turned wrong.
FIGURE = "newly_wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedImages:
    """Images whose answer changed since the baseline.

    Attributes:
        text: How many there are, whether that is more than chance, and of which class most are.
        figure: Images that turned wrong; None where the record holds no pictures of them.
    """

    text: str
    figure: Figure | None


def turned_images(assessment: Assessment, noun: str) -> TurnedImages | None:
    """Images whose answer changed; None where the record holds no such comparison.

    Args:
        assessment: The assessment as recorded.
        noun: Noun for a class.
    """
    rows = rows_of(assessment, DRIFT, "flips", *COLUMNS)
    if not rows:
        return None
    whole, *classes = rows
    text = (
        f"Of {_counted(whole, 'n')} images, {_counted(whole, 'newly_wrong')} turned wrong and "
        f"{_counted(whole, 'newly_right')} turned right. If neither version were better, a "
        "difference at least as large would arise with probability "
        f"{chance(number_in(whole, 'p') or 0.0)} (McNemar's exact test)."
    )
    most = max(classes, key=lambda row: number_in(row, "newly_wrong") or 0, default=None)
    if most is not None and number_in(most, "newly_wrong"):
        who = named(str(most["class"]), noun)
        lost, images = _counted(most, "newly_wrong"), _counted(most, "n")
        text += f" Most were lost by {who}: {lost} of its {images} images turned wrong."
    return TurnedImages(text=text, figure=_figure(assessment))


def _counted(row: Row, name: str) -> str:
    return count(int(number_in(row, name) or 0))


def _figure(assessment: Assessment) -> Figure | None:
    """The figure of a comparison that may be relied on."""
    for item in assessment.evidence:
        if item.analysis == DRIFT and item.measurement and not item.measurement.withdrawn:
            figures = item.measurement.figures
            return next((figure for figure in figures if figure.name == FIGURE), None)
    return None
