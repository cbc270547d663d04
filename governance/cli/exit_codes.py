"""Exit codes of the command line; scripts depend on them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.records.assessment import Assessment

__all__ = ["INTERNAL", "MISMATCH", "MISUSE", "UNTOLD", "exit_code"]

MISUSE, INTERNAL, MISMATCH = 2, 3, 40
#: Nothing can be told, as with the verdict `undetermined`.
UNTOLD = 30


def exit_code(assessment: "Assessment") -> int:
    """Exit code for the verdict of an assessment: 0, 10, 20 or 30."""
    from governance.records.decision import EXIT_CODES

    return EXIT_CODES[assessment.decision.verdict]
