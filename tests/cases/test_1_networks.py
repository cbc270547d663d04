"""Torch modules logged with `mlflow.pytorch`.

Every analysis is tried on each of them.
"""

from case_table import ByBrightness, assessed, case


@case("A network with convolutions that returns logits", assessed())
def test_logits(bench):
    happened = bench.assess(ByBrightness())

    assert happened.metric("performance.accuracy") == 1
    return happened
