"""Torch modules logged with `mlflow.pytorch`.

The analyses `layer_prediction`, `filter_importance`, `feature_correlation` and
`representative_interpretation` are run on each of them, besides `performance`.
"""

import pytest
import torch
from case_table import ByBrightness, assessed, case
from token_networks import Gated, Mixer, TorchEncoder, Transformer, Windows, trained_on
from torch import nn

LOOKING = """\
[analyses.layer_prediction]
samples = 60
folds = 2
strips = 1
[analyses.filter_importance]
tier = "smoke"
images = 24
[analyses.feature_correlation]
images = 32
[analyses.representative_interpretation]
samples = 60
boundaries = 10
max_rules = 1
"""


def shades(per_class=20):
    """Dark, grey and bright images of noise, and their classes."""
    drawn = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat(per_class)
    levels = torch.tensor([40.0, 120.0, 200.0])[labels] / 255
    return levels[:, None, None, None] + torch.rand(
        len(labels), 3, 16, 16, generator=drawn
    ) / 5 - 0.1, labels


@pytest.fixture
def looked_at(bench):
    """All analyses on a module, as `assess` returns them."""

    def look(module):
        happened = bench.assess(module, bench.images(per_class=20), analyses=LOOKING)
        assert happened.metric("performance.accuracy") > 0.9
        return happened

    return look


@case(
    "A vision transformer with a class token",
    assessed("The network was cut at blocks.1 ... and read by fx"),
)
def test_a_vision_transformer(looked_at):
    happened = looked_at(trained_on(Transformer, *shades(), channels=3, depth=3))

    assert happened.metric("layer_prediction.agreement_head") == 1
    assert 0 <= happened.metric("feature_correlation.redundancy") <= 1
    return happened


@case("An MLP-Mixer", assessed("The network was read by fx"))
def test_a_mixer(looked_at):
    return looked_at(trained_on(Mixer, *shades(), channels=3))


@case(
    "A transformer of windows with the channels last, as Swin",
    assessed("The network was read by fx"),
)
def test_a_transformer_of_windows(looked_at):
    return looked_at(trained_on(Windows, *shades(), channels=3))


@case(
    "A transformer out of `nn.TransformerEncoder`, which no tracer looks into",
    assessed(
        "the network cannot be resumed at ... a module that torch.fx traces",
        without=("representative_interpretation",),
    ),
)
def test_an_encoder_of_torch(looked_at):
    return looked_at(trained_on(TorchEncoder, *shades(), channels=3))


@case(
    "A transformer whose hidden units are products of two linear layers, as SwiGLU",
    assessed(
        "behind the layers of filters that can be seen (embed) lies ... of the network's work, and "
        "numbers about them would say nothing about the network",
        without=("filter_importance",),
    ),
)
def test_a_gated_transformer(looked_at):
    happened = looked_at(trained_on(Gated, *shades(), channels=3))

    assert happened.metric("feature_correlation.redundancy") is None
    assert happened.metric("feature_correlation.class_alignment") > 0
    return happened


@case(
    "A network of linear layers on all pixels at once",
    assessed(
        "no layer of filters can be seen in the network",
        without=(
            "feature_correlation",
            "filter_importance",
            "layer_prediction",
            "representative_interpretation",
        ),
    ),
)
def test_linear_layers(looked_at):
    return looked_at(nn.Sequential(nn.Flatten(), nn.AvgPool1d(768), ByBrightness().head))


@case(
    "A network that ends in a convolution and a mean, not in a linear layer",
    assessed(
        "the network does not end in a linear layer on one feature vector per image",
        without=("layer_prediction", "representative_interpretation"),
    ),
)
def test_no_linear_end(looked_at):
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return looked_at(trained_on(lambda: network, *shades(), steps=150))
