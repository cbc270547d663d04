import pytest

from governance import errors


def test_every_error_of_the_tree_is_a_governance_error_and_exported():
    classes = {
        name
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, Exception)
    }

    assert classes == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.GovernanceError) for name in classes)


def test_the_tree_in_the_docstring_names_every_error():
    for name in errors.__all__:
        assert name in errors.__doc__


def test_a_single_problem_is_kept_whole():
    assert errors.PolicyError("one thing").problems == ("one thing",)


def test_all_problems_are_kept_and_printed_one_to_a_line():
    error = errors.SubjectError(f"problem {i}" for i in range(3))

    assert error.problems == ("problem 0", "problem 1", "problem 2")
    assert str(error) == "problem 0\nproblem 1\nproblem 2"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "GovernanceError"])
def test_an_error_of_one_kind_is_not_caught_as_another(name):
    kind = getattr(errors, name)
    above = {"ApprovalError": {"EvidenceError"}}.get(name, set())

    found = {other for other in errors.__all__ if issubclass(kind, getattr(errors, other))}
    assert found == {name, "GovernanceError"} | above
