"""A model behind a server gives what it gives when it is asked directly, or nothing."""

import json

import numpy as np
import pytest
import torch
from scoring import answering, scored

from governance.errors import HostError, SubjectError
from governance.records.model_terms import ModelTerms
from governance.subject.flavours import load
from governance.subject.flavours.scoring_server import ScoringServer
from governance.subject.model_files import ModelFiles
from governance.subject.preprocessing import Preprocessing

TERMS = ModelTerms(flavour="served", outputs="probabilities", layout="flat")
PREPARED = Preprocessing(size=(4, 4), channels="grey", mean=(0.5,), std=(0.25,))


@pytest.fixture
def weights():
    return np.random.default_rng(1).normal(size=(16, 3))


def classifier(folder, address):
    (folder / "MLmodel").write_text("flavors: {sklearn: {}}")
    files = ModelFiles(folder=folder, flavours={"sklearn": {}})
    ask = ScoringServer(address=address, seconds=5, waits=(0,))
    loaded = load(files, TERMS, torch.device("cpu"), ask)
    return loaded, loaded.classifier(preprocessing=PREPARED, outputs="probabilities"), ask


def test_the_probabilities_are_those_of_the_model(tmp_path, weights):
    pixels = torch.rand(300, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    with answering(scored(weights)) as (address, requests):
        loaded, asked, _ = classifier(tmp_path, address)
        found = asked.probabilities(pixels)
    scores = ((pixels.numpy().reshape(300, 16).astype(np.float64) - 0.5) / 0.25) @ weights
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert len(requests) == 2  # of at most 256 images
    assert (loaded.format, loaded.parameters, loaded.module) == ("served", None, None)
    assert loaded.digest.startswith("sha256:")


def test_an_answer_of_another_length_in_between_is_refused(tmp_path):
    lengths = iter([3, 4])

    def answer(_headers, body):
        count = len(json.loads(body)["inputs"])
        row = [1.0] + [0.0] * (next(lengths) - 1)
        return 200, {}, json.dumps({"predictions": [row] * count}).encode()

    with answering(answer) as (address, _):
        _, asked, _ = classifier(tmp_path, address)
        with pytest.raises(SubjectError, match="more numbers for some images"):
            asked.probabilities(torch.zeros(300, 1, 4, 4))


def test_a_server_that_goes_away_in_between_leaves_no_answer(tmp_path, weights):
    with answering(scored(weights)) as (address, _):
        _, asked, ask = classifier(tmp_path, address)
        asked.probabilities(torch.zeros(1, 1, 4, 4))
    with pytest.raises(HostError, match="tried 2 times"):
        asked.probabilities(torch.zeros(1, 1, 4, 4))
    assert (ask.account().address, ask.account().repeated) == (address, 1)


def test_infinite_numbers_are_refused_behind_the_wall(tmp_path):
    answer = (200, {}, b'{"predictions": [[1e300, 0, 0]]}')
    with answering(lambda _headers, _body: answer) as (address, _):
        _, asked, _ = classifier(tmp_path, address)
        with pytest.raises(SubjectError, match="NaN or infinite"):
            asked.probabilities(torch.zeros(1, 1, 4, 4))
