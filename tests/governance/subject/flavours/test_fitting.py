"""Fitting: what the policy says about images, held against what the model takes."""

import dataclasses

import pytest

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.subject.black_box import BlackBox
from governance.subject.flavours.fitting import fitted
from governance.subject.flavours.loaded import LoadedModel


def test_signature_export_and_policy_are_held_against_each_other():
    # arrange
    grey = ModelTerms(channels="grey")

    def held(terms, signed, taken):
        loaded = LoadedModel(
            classifier=BlackBox, format="onnx", digest="", shape=taken, signed=signed
        )
        return fitted(terms, loaded, "m")

    def problems(terms, signed, taken):
        with pytest.raises(SubjectError) as caught:
            held(terms, signed, taken)
        return caught.value.problems

    # act / assert
    assert held(grey, (1, 8, 9), (1, None, None)).size == (8, 9)
    free = dataclasses.replace(grey, size=(4, 5))
    assert held(free, (None,) * 3, (None,) * 3).size == (4, 5)
    assert held(free, (1, None, None), (1, 4, 5)).size == (4, 5)
    assert len(problems(grey, (3, 8, 8), (1, 8, 9))) == 2
    assert "size = [height, width]" in problems(grey, (1, None, 8), (1, None, 8))[0]
    assert len(problems(dataclasses.replace(grey, size=(8, 7)), (3, 8, 8), (3, 8, 8))) == 2
