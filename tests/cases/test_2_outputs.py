"""What a network returns.

The key `outputs` in `[model]` of the policy says what the numbers mean, and `output_name` names the
output that holds them where there are several.
"""

from dataclasses import dataclass

import pytest
import torch
from case_table import ByBrightness, assessed, case, refused
from torch import nn

#: Analyses that look inside a network.
INSIDE = ("feature_correlation", "layer_prediction")
LOOK_INSIDE = """
[analyses.layer_prediction]
samples = 24
[analyses.feature_correlation]
images = 24
"""


@dataclass
class Answer:
    """What a network may return besides its logits."""

    loss: object
    logits: torch.Tensor


class Returning(nn.Module):
    """The network by brightness, with what it returns made into something else."""

    def __init__(self, answer):
        super().__init__()
        self.network = ByBrightness()
        self.answer = answer

    def forward(self, x):
        return self.answer(self.network(x), x)


class Dark(nn.Module):
    """One number: how much an image looks grey rather than dark, before or after a sigmoid."""

    def __init__(self, after=None):
        super().__init__()
        bright = ByBrightness()
        self.conv, self.head = bright.conv, nn.Linear(1, 1)
        with torch.no_grad():
            self.head.weight.copy_(bright.head.weight[1] - bright.head.weight[0])
            self.head.bias.copy_(bright.head.bias[1] - bright.head.bias[0])
        self.after = after

    def forward(self, x):
        number = self.head(self.conv(x).mean((2, 3)))
        return number if self.after is None else self.after(number)


def all_right(found):
    """The same, with every image answered rightly: the scores were found, and no others."""
    assert found.metric("performance.accuracy") == 1
    return found


def two_classes(bench):
    """The images of the bench without the bright ones."""
    place = bench.images()
    for path in (place / "c bright").iterdir():
        path.unlink()
    (place / "c bright").rmdir()
    return place


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


@case("One number after a sigmoid for two classes, declared as `sigmoid`", assessed())
def test_one_sigmoid(bench):
    found = bench.assess(
        Dark(nn.Sigmoid()), two_classes(bench), model='outputs = "sigmoid"', analyses=LOOK_INSIDE
    )
    assert found.metric("performance.accuracy") == 1
    return found


@case(
    "One number after a sigmoid for two classes, undeclared",
    refused("one number from 0 to 1 per image, as after a sigmoid ... set outputs = 'sigmoid'"),
)
def test_one_sigmoid_that_is_not_declared(bench):
    return bench.assess(Dark(nn.Sigmoid()), two_classes(bench))


@case("One number before a sigmoid for two classes, as `logits`", assessed())
def test_one_logit(bench):
    found = bench.assess(Dark(), two_classes(bench), analyses=LOOK_INSIDE)
    assert found.metric("performance.accuracy") == 1
    return found


@case(
    "A sigmoid for each of three classes, undeclared",
    refused(
        "numbers from 0 to 1 that do not sum to 1 ... as after independent sigmoids ... "
        "set outputs = 'multilabel' ... or return the numbers before the sigmoid"
    ),
)
def test_many_sigmoids(bench):
    return bench.assess(nn.Sequential(ByBrightness(), nn.Sigmoid()))


@case(
    "The same, declared as `multilabel`, on images of one class each",
    assessed(
        "performance asks for one decision for each image, and this model answers for each label",
        without=("performance",),
    ),
)
def test_labels(bench):
    network = nn.Sequential(ByBrightness(), nn.Sigmoid())
    return bench.assess(network, model='outputs = "multilabel"')


@case(
    "Logits declared as `probabilities`",
    refused("returns numbers that are no probabilities ... set outputs = 'logits'"),
)
def test_logits_as_probabilities(bench):
    return bench.assess(ByBrightness(), model='outputs = "probabilities"')


@case("A dictionary with the logits under `logits`, beside features", assessed())
def test_a_dictionary(bench):
    network = Returning(lambda scores, x: {"features": x.mean((2, 3)), "logits": scores})
    return all_right(bench.assess(network, analyses=LOOK_INSIDE))


@case("A dataclass with `loss` and `logits`", assessed())
def test_a_dataclass(bench):
    network = Returning(lambda scores, _: Answer(None, scores))
    return all_right(bench.assess(network, analyses=LOOK_INSIDE))


@case("A `ModelOutput` of `transformers`", assessed())
def test_an_object_of_transformers(bench):
    outputs = pytest.importorskip("transformers.modeling_outputs")
    network = Returning(lambda scores, _: outputs.ImageClassifierOutput(logits=scores))
    return all_right(bench.assess(network))


@case("A tuple of scores and feature maps", assessed())
def test_a_tuple(bench):
    return all_right(bench.assess(Returning(lambda scores, x: (x, scores))))


@case(
    "A tuple of scores and feature vectors, of which either could be meant",
    refused("'0' (2, 3), '1' (2, 3), of which several could be the class scores; output_name ="),
)
def test_two_tensors_that_could_be_meant(bench):
    return bench.assess(Returning(lambda scores, x: (x.mean((2, 3)), scores)))


@case('The same with `output_name = "1"`', assessed())
def test_the_policy_names_the_output(bench):
    network = Returning(lambda scores, x: (x.mean((2, 3)), scores))
    found = bench.assess(network, model='output_name = "1"')
    assert found.metric("performance.accuracy") == 1
    return found


@case(
    "Feature maps and no class scores",
    refused("returns a tensor of shape (2, 3, 16, 16); one tensor (B, K) is accepted"),
)
def test_no_class_scores(bench):
    return bench.assess(Returning(lambda _, x: x))


@case(
    "A network in half precision",
    assessed("this model computes in float16 and not in float32", without=INSIDE),
)
def test_half_precision(bench):
    return bench.assess(ByBrightness().half(), analyses=LOOK_INSIDE)


@pytest.mark.filterwarnings("ignore:.*([Dd]eprecat|TypedStorage|reduce_range)")
@case(
    "A dynamically quantised network",
    assessed("this model is quantised or keeps other things than plain tensors", without=INSIDE),
)
def test_a_quantised_network(bench):
    network = torch.ao.quantization.quantize_dynamic(ByBrightness().eval(), {nn.Linear})
    return bench.assess(network, analyses=LOOK_INSIDE)


@pytest.mark.filterwarnings("ignore:.*[Dd]eprecat")
@case("TorchScript", assessed("this model is TorchScript", without=INSIDE))
def test_torchscript(bench):
    return bench.assess(torch.jit.script(ByBrightness().eval()), analyses=LOOK_INSIDE)


@case("A network inside `DataParallel` and `torch.compile`", assessed())
def test_wrappers(bench):
    network = nn.DataParallel(torch.compile(ByBrightness()))
    found = bench.assess(network, analyses=LOOK_INSIDE)
    assert set(found.assessment.identity.layers) == {"conv", "head"}
    return found


@case(
    "A network that looks at the whole batch",
    refused("an image gets another answer in a batch than alone (by"),
)
def test_a_batch_that_counts(bench):
    return bench.assess(Returning(lambda scores, x: scores + x.mean()))
