import pytest

from governance.errors import EvidenceError
from governance.records.waiver import Waiver

FIELDS = {
    "metric": "a.x", "reason": "pilot", "approver": "ann", "issued": 0, "token": "0" * 64,
}  # fmt: skip


def test_a_waiver_names_its_last_day():
    assert Waiver(**FIELDS, bound=0.5, expires=1_795_391_999).until == "2026-11-22"


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), -float("inf")])
def test_a_bound_that_nothing_breaks_is_refused(bound):
    with pytest.raises(EvidenceError, match="finite"):
        Waiver(**FIELDS, bound=bound, expires=1)
