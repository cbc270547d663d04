"""Blocks of tokens are layers: their places are those of the image, their hidden units filters."""

import pytest
import torch
from token_networks import Gated, Mixer, TorchEncoder, Transformer, Windows
from torch import nn

from governance.errors import InapplicableError
from governance.methods.network import HEAD, trace

CLOSE = 1e-5


@pytest.fixture
def images():
    return torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def seeded(kind, **options):
    torch.manual_seed(3)
    return kind(**options).eval()


def activations(network, images, layer):
    return torch.cat([found[layer] for _, _, found in network.features(images, [layer])])


def one_patch_changed(images, row, column, patch=4):
    changed = images.clone()
    place = (slice(row * patch, (row + 1) * patch), slice(column * patch, (column + 1) * patch))
    changed[:, :, place[0], place[1]] += 1
    return changed


@pytest.mark.parametrize(
    ("kind", "units", "stages"),
    [
        (Transformer, ["embed", "blocks.0.fc1", "blocks.1.fc1"], ["embed", "blocks.0", "blocks"]),
        (Mixer, ["embed", "blocks.0.fc1", "blocks.1.fc1"], ["embed", "blocks.0", "blocks"]),
        (
            TorchEncoder,
            ["embed", "encoder.layers.0.linear1", "encoder.layers.1.linear1"],
            ["embed", "encoder.layers.0", "encoder"],
        ),
    ],
)
@pytest.mark.parametrize("path", [None, "hooks"])
def test_blocks_are_depths_and_their_hidden_units_filters(kind, units, stages, path, images):
    network = trace(seeded(kind), images[:2], path=path)

    assert [unit.layer for unit in network.units()] == units
    assert {unit.channels for unit in network.units()} == {12, 20}
    assert {unit.size for unit in network.units()} == {(4, 4)}
    assert list(network.stages()) == stages


def test_an_exported_transformer_has_the_layers_and_numbers_of_its_module(images):
    model = seeded(Transformer)
    sizes = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(model, (images[:2],), dynamic_shapes=sizes)

    ours, theirs = trace(torch.export.unflatten(program), images[:2]), trace(model, images[:2])

    assert ours.path == "export"
    assert [unit.layer for unit in ours.units()] == [unit.layer for unit in theirs.units()]
    assert ours.stages() == theirs.stages()
    for layer in ours.stages():
        one, other = (activations(network, images, layer) for network in (ours, theirs))
        assert torch.allclose(one, other, atol=CLOSE)


@pytest.mark.parametrize("layer", ["blocks.0.fc1", "blocks.1.fc1"])
@pytest.mark.parametrize("kind", [Transformer, Mixer])
def test_a_hidden_unit_is_silenced_at_every_token(kind, layer, images):
    # arrange
    model = seeded(kind)
    network = trace(model, images[:2])
    reference = {layer: torch.linspace(-1, 1, 20)}
    # act
    ours = {
        number: out
        for _, number, _, out in network.ablate(images, {layer: [(), (3, 7)]}, reference)
    }
    # assert
    with torch.no_grad():
        intact = model(images)

        def silence(module, given, result):
            result = result.clone()
            for unit in (3, 7):
                result[..., unit] = reference[layer][unit]
            return result

        hook = model.get_submodule(layer.replace("fc1", "act")).register_forward_hook(silence)
        silenced = model(images)
        hook.remove()
    assert torch.allclose(ours[0], intact, atol=CLOSE)
    assert torch.allclose(ours[1], silenced, atol=CLOSE)
    assert not torch.allclose(intact, silenced, atol=1e-3)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 3), (3, 2)])
@pytest.mark.parametrize("kind", [Transformer, Mixer, TorchEncoder])
def test_a_token_lies_where_its_patch_lies(kind, row, column, images):
    # The first norm behind the embedding sees each patch by itself.
    layer = {Transformer: "blocks.0.norm1", Mixer: "blocks.0.norm1"}.get(
        kind, "encoder.layers.0.norm1"
    )
    network = trace(seeded(kind), images[:2])
    changed = one_patch_changed(images, row, column)

    before, after = (
        network.layout(layer).on_image(activations(network, given, layer))
        for given in (images, changed)
    )

    moved = (before - after).abs().amax((0, 1)) > 0
    assert moved.shape == (4, 4)
    assert moved.nonzero().tolist() == [[row, column]]


def test_a_class_token_has_no_place_and_is_held_apart(images):
    model = seeded(Transformer)
    network = trace(model, images[:2])
    last = activations(network, images, "blocks")
    with torch.no_grad():
        hidden = model.blocks(
            torch.cat(
                [model.token.expand(4, -1, -1), model.embed(images).flatten(2).transpose(1, 2)], 1
            )
            + model.places
        )

    assert torch.allclose(
        network.layout("blocks").placeless(last)[:, :, 0], hidden[:, 0], atol=CLOSE
    )
    maps = network.layout("blocks").on_image(last)
    assert torch.allclose(maps.flatten(2).transpose(1, 2), hidden[:, 1:], atol=CLOSE)
    assert torch.allclose(network.head(model.norm(hidden)[:, 0]), model(images), atol=CLOSE)


@pytest.mark.parametrize("kind", [Transformer, Mixer, Windows])
def test_a_network_of_tokens_is_resumed_at_each_depth(kind, images):
    model = seeded(kind)
    network = trace(model, images[:2])

    for layer in network.stages():
        answer = network.resumed(layer, activations(network, images, layer))

        assert torch.allclose(answer, model(images), atol=CLOSE)


def test_maps_with_channels_last_and_merged_neighbours_are_followed(images):
    model = seeded(Windows)
    network = trace(model, images[:2])

    shapes = {layer: activations(network, images, layer).shape[1:] for layer in network.stages()}

    assert shapes == {"embed": (8, 8, 8), "one": (8, 8, 8), "merge": (16, 4, 4), "two": (16, 4, 4)}


class Unfolded(nn.Module):
    """Patches cut out by hand: no convolution says which token is which place."""

    def __init__(self):
        super().__init__()
        self.embed, self.hidden, self.head = nn.Linear(16, 12), nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, x):
        tokens = self.embed(nn.functional.unfold(x, 4, stride=4).transpose(1, 2))
        return self.head(self.hidden(tokens).relu().mean(1))


class Hidden(Transformer):
    """A transformer whose tokens are put in another order behind the embedding."""

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = tokens.unflatten(1, (2, 8)).flatten(0, 1)  # eight tokens at a time
        return self.head(self.norm(self.blocks(tokens)).unflatten(0, (-1, 2)).mean((1, 2)))


@pytest.mark.parametrize(
    ("kind", "filters", "depths"),
    [
        (Unfolded, "no layer of filters can be seen", "no layer of filters can be seen"),
        (Hidden, r"\(embed\) lies 82.6 % of the network's work", r"\(embed\) lies 82.6"),
        (Gated, r"\(embed\) do 7\.3 % of the network's work", None),
    ],
)
def test_what_is_said_of_a_network_is_never_about_its_patch_embedding_alone(
    kind, filters, depths, images
):
    network = trace(seeded(kind), images[:2])

    with pytest.raises(InapplicableError, match=filters):
        network.units()
    if depths is None:
        assert list(network.stages()) == ["embed", "blocks.0", "blocks"]
    else:
        with pytest.raises(InapplicableError, match=depths):
            network.stages()


def test_the_head_of_a_network_of_tokens_is_its_last_linear_layer(images):
    network = trace(seeded(Mixer), images[:2])

    for _, output, found in network.features(images, [HEAD]):
        assert torch.allclose(network.head(found[HEAD]), output, atol=CLOSE)
