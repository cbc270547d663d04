"""What a network returns.

The key `outputs` in `[model]` of the policy says what the numbers mean.
"""

from case_table import ByBrightness, assessed, case, refused
from torch import nn


@case("Probabilities that sum to one, declared as `probabilities`", assessed())
def test_probabilities(bench):
    network = nn.Sequential(ByBrightness(), nn.Softmax(1))
    return bench.assess(network, model='outputs = "probabilities"')


@case(
    "Probabilities that sum to one, undeclared",
    refused("returns numbers from 0 to 1 that sum to 1 ... set outputs = 'probabilities'"),
)
def test_probabilities_that_are_not_declared(bench):
    return bench.assess(nn.Sequential(ByBrightness(), nn.Softmax(1)))
