"""History: the versions of a registered model on one page that can be sent around."""

from collections.abc import Sequence

from governance.records.evidence import Figure
from governance.records.lineage import History
from reports.html import environment, style

__all__ = ["to_html"]

COLUMNS = (
    "performance.accuracy",
    "performance.recall_worst",
    "layer_prediction.lens_probe_gap",
    "drift.changed_reason_share",
)


def to_html(history: History, figures: Sequence[Figure] = ()) -> str:
    """The history of a registered model.

    Args:
        history: The oldest version first.
        figures: Plots over the versions.
    """
    shown = [name for name in COLUMNS if any(name in item.metrics for item in history.entries)]
    template = environment().get_template("history.html.j2")
    return template.render(history=history, figures=figures, columns=shown, style=style())
