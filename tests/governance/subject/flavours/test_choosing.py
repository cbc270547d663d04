"""Choosing: the flavour that a policy names, or the most transparent one."""

from pathlib import Path

import pytest

from governance.errors import SubjectError
from governance.records.model_terms import FLAVOURS, ModelTerms
from governance.subject.flavours.choosing import LOADERS, chosen
from governance.subject.model_files import ModelFiles


def files_of(*flavours):
    return ModelFiles(folder=Path("m"), flavours={name: {} for name in flavours})


def test_the_most_transparent_flavour_is_taken_unless_the_policy_names_another():
    assert chosen(files_of("python_function", "pytorch"), ModelTerms()) == "pytorch"
    assert chosen(files_of("pytorch"), ModelTerms(flavour="pytorch")) == "pytorch"


def test_a_model_of_another_flavour_is_refused_with_those_that_are_accepted():
    with pytest.raises(
        SubjectError, match=r"the flavour of this model is sklearn; pytorch"
    ) as caught:
        chosen(files_of("sklearn"), ModelTerms())
    assert all(name in str(caught.value) for name in LOADERS)

    with pytest.raises(SubjectError, match=r"flavour = 'pytorch' in \[model\] of the policy asks"):
        chosen(files_of("sklearn"), ModelTerms(flavour="pytorch"))


def test_every_flavour_that_a_policy_may_name_can_be_loaded():
    assert set(LOADERS) == set(FLAVOURS)
