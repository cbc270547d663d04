"""Two versions of a small network, assessed with maps alone."""

from dataclasses import replace

import pytest
from lanes import needs
from subjects import with_network

from governance.records.drift_terms import DriftTerms, Envelope
from governance.records.lineage import Lineage
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.subject.network import layer_digests, tensor_digest
from governance.workflows.orchestration import assess

MAPS = {"samples": 60, "steps": 4, "repeated": 6}


@pytest.fixture(scope="session")
def drifting():
    """A policy that looks for drift, and closes every side of an envelope."""
    return Policy(
        title="T",
        validation="memory",
        model=ModelTerms(),
        analyses={"explanation_maps": MAPS},
        expectations=(Expectation(metric="performance.accuracy", at_least=0.5),),
        drift=DriftTerms(
            budget=2.0,
            regions={"corner": (0.0, 0.0, 0.25, 0.25)},
            envelope=Envelope(allowed_layers=("head",), data=("stripes",), drift=2.0),
        ),
        text="text",
    )


@pytest.fixture(scope="session")
def version_of(tiny_subject, make_trained):
    """A subject of its own seed and place."""

    def make(seed, place):
        model = tiny_subject.network.model if seed == 0 else make_trained(seed)
        identity = replace(
            tiny_subject.identity,
            uri=place,
            ref=replace(tiny_subject.identity.ref, version=place.rpartition("/")[2]),
            digest=tensor_digest(model),
            layers=layer_digests(model),
        )
        return with_network(replace(tiny_subject, identity=identity), model=model)

    return make


@pytest.fixture(scope="session")
def assessed(version_of, drifting):
    """Assesses the subject of a seed and place, without the analyses under every policy."""

    def make(seed, place, *, policy=drifting, lineage=None):
        return assess(version_of(seed, place), policy, lineage=lineage, standing=("performance",))

    return make


@pytest.fixture(scope="session")
@needs("slow")
def first(assessed):
    """Version 1, before which there was none."""
    return assessed(0, "models:/tiny/1", lineage=Lineage())


@pytest.fixture(scope="session")
def lineage(first):
    """What version 2 is compared with."""
    return Lineage(previous=first, data=(("stripes", "d"),))
