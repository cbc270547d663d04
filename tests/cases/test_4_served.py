"""Models behind a scoring server.

`flavour = "served"` in `[model]` of the policy asks a server over MLflow's protocol. Analyses that
look inside a model do not apply.
"""

import json

import numpy as np
import pytest
from case_table import Happened, assessed, case, refused
from scoring import answering

from governance.errors import PolicyError, SubjectError
from governance.registry import resolve
from governance.registry.materials import gather
from governance.worker import serving
from governance.workflows.assessing import measure
from governance.workflows.orchestration import read_policy

FIRST, LAST, FLAT = [-1, 3, 16, 16], [-1, 16, 16, 3], [-1, 768]
INSIDE = "[analyses.filter_importance]"


def by_brightness(order, said=lambda rows: rows.tolist()):
    """The answer of a server that takes images in an order and tells dark, grey and bright."""

    def answer(_headers, body):
        images = np.asarray(json.loads(body)["inputs"])
        assert images.shape[1:] == tuple(order[1:])
        level = images.reshape(len(images), -1).mean(1)[:, None]
        scores = -100 * (level - np.array([40, 120, 200]) / 255) ** 2
        powers = np.exp(scores)
        rows = powers / powers.sum(1, keepdims=True)
        return 200, {}, json.dumps({"predictions": said(rows)}).encode()

    return answer


def served(bench, answer, *, order=FIRST, model="", kind="float32", listed=None, analyses=""):
    """What becomes of a version of which the MLmodel file alone is there, behind a server."""
    place = bench.folder / "model"
    place.mkdir()
    tensor = {"type": "tensor", "tensor-spec": {"dtype": kind, "shape": order}}
    described = {"flavors": {"sklearn": {}}, "signature": {"inputs": json.dumps([tensor])}}
    (place / "MLmodel").write_text(json.dumps(described))
    with answering(answer) as (address, _):
        lines = f'flavour = "served"\nserved = {{address = "{address}"}}\nallow_pickle = \n'
        lines += f'outputs = "probabilities"\n{model}'
        try:
            policy = read_policy(bench.policy(bench.images(), model=lines, analyses=analyses))
            materials = gather(resolve(str(place)), policy, bench.folder / "w")
            premises = serving.Premises(listed=listed)
            with serving.asking(materials, policy, premises) as ask:
                found = measure(materials, policy, device="cpu", standing=("performance",), ask=ask)
        except (PolicyError, SubjectError) as error:
            return Happened(refusal=str(error).replace(address, "ADDRESS"))
        assert found.identity.served.address == address
    happened = Happened(assessment=found)
    assert happened.metric("performance.accuracy") == 1
    return happened


@case(
    "A server that takes images with the channels first", assessed(without=("filter_importance",))
)
def test_channels_first(bench):
    return served(bench, by_brightness(FIRST), analyses=INSIDE)


@case("A server that takes images with the channels last, as Keras does", assessed())
def test_channels_last(bench):
    return served(bench, by_brightness(LAST), order=LAST)


@case("A server that takes a row of numbers for an image, as scikit-learn does", assessed())
def test_rows(bench):
    return served(bench, by_brightness(FLAT), order=FLAT)


@case(
    "A server that returns the names of classes",
    refused("one str for an image, such as the name of a class ... pyfunc_predict_fn="),
)
def test_names_of_classes(bench):
    names = by_brightness(FIRST, lambda rows: ["abc"[index] for index in rows.argmax(1)])
    return served(bench, names)


@case("A server that returns numbers that are no probabilities", refused("outputs = 'logits'"))
def test_no_probabilities(bench):
    return served(bench, by_brightness(FIRST, lambda rows: (9 * rows).tolist()))


@case("A server that names more classes", refused("returns (4,) numbers per image"))
def test_more_classes(bench):
    wider = by_brightness(FIRST, lambda rows: np.pad(rows, ((0, 0), (0, 1))).tolist())
    return served(bench, wider)


@case(
    "A server that answers an image otherwise when it is asked again",
    refused("answers differently when asked twice"),
)
def test_a_server_that_guesses(bench):
    drawn = np.random.default_rng(0)
    guesses = by_brightness(FIRST, lambda rows: drawn.dirichlet([1] * 3, len(rows)).tolist())
    return served(bench, guesses)


@case("An address at which something else answers", refused("ADDRESS answers 404: no such page"))
def test_something_else(bench):
    return served(bench, lambda _headers, _body: (404, {}, b"no such page"))


@case(
    "A server that is not on the list of the worker",
    refused("is not among the scoring_servers of the worker's configuration"),
)
def test_not_listed(bench):
    return served(bench, by_brightness(FIRST), listed=("https://scores.example/*",))


@case(
    "An address with a login or a query in it",
    refused("holds a login, a query or a fragment, which would be recorded"),
)
def test_an_address_with_a_secret(bench):
    model = 'served = {address = "https://a:b@scores.example/invocations"}'
    return served(bench, by_brightness(FIRST), model=model)


@case(
    "A command that neither starts nor reaches a server",
    refused("flavour = 'served' needs a server"),
)
def test_no_server(bench):
    (bench.folder / "model").mkdir()
    (bench.folder / "model" / "MLmodel").write_text('{"flavors": {"sklearn": {}}}')
    return bench.assess(bench.folder / "model", model='flavour = "served"')


@case(
    "A server to be started from files that may run no code",
    refused("trust its author and set allow_pickle = true"),
)
def test_no_code(bench):
    (bench.folder / "model").mkdir()
    (bench.folder / "model" / "MLmodel").write_text('{"flavors": {"python_function": {}}}')
    model = 'flavour = "served"\nallow_pickle = false'
    policy = read_policy(bench.policy(bench.images(), model=model))
    materials = gather(resolve(str(bench.folder / "model")), policy, bench.folder / "w")
    with (
        pytest.raises(SubjectError) as error,
        serving.asking(materials, policy, serving.Premises()),
    ):
        pass
    return Happened(refusal=str(error.value))
