import numpy as np
import pytest
import torch

from governance.cli.demonstration import digits, network


def test_the_network_answers_ten_logits_per_image_and_is_as_large_as_it_says():
    model = network.new().eval()
    with torch.no_grad():
        assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert 30_000 < sum(item.numel() for item in model.parameters()) < 34_000


@pytest.mark.slow
def test_training_learns_repeats_itself_and_leaves_the_global_generator_alone():
    # arrange
    images, labels = digits.reader()()
    kept = digits.split(labels)[1][:400]
    images, labels = images[kept], labels[kept]
    state = torch.get_rng_state()

    # act
    one, again = (
        network.train(network.new(), images, labels, 3, 4e-3, seed=1, batch=20) for _ in range(2)
    )
    # assert
    inputs = torch.from_numpy((images.astype(np.float32) / 255 - network.MEAN) / network.STD)
    with torch.no_grad():
        right = (one(inputs[:, None]).argmax(1).numpy() == labels).mean()
    assert right > 0.8
    assert not one.training
    assert all(map(torch.equal, one.state_dict().values(), again.state_dict().values()))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fine_tune_starts_from_the_weights_of_another_network_and_leaves_them_as_they_are():
    first = network.new(seed=3)
    kept = network.weights(first)
    second = network.new(kept)
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
    with torch.no_grad():
        second.head.bias += 1
    assert torch.equal(first.head.bias, torch.from_numpy(kept["head.bias"]))
