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


@pytest.mark.parametrize(("count", "more"), [(20, None), (21, 1), (5000, 4980)])
def test_thousands_of_problems_are_kept_and_twenty_are_printed(count, more):
    error = errors.SubjectError(f"image {index} is damaged" for index in range(count))

    assert len(error.problems) == count
    assert error.printed[:20] == error.problems[:20]
    assert error.printed[20:] == (() if more is None else (f"and {more} more problems",))
    assert str(error) == "\n".join(error.printed)


def test_problems_told_again_with_their_place_are_counted_right():
    inner = errors.SubjectError(f"image {index}" for index in range(30))

    outer = errors.SubjectError(f"model: {problem}" for problem in (*inner.problems, "and one"))

    assert outer.printed[-1] == "and 11 more problems"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "GovernanceError"])
def test_an_error_of_one_kind_is_not_caught_as_another(name):
    kind = getattr(errors, name)
    below = {"ApprovalError": {"EvidenceError"}, "InapplicableError": {"AnalysisError"}}
    above = below.get(name, set())

    found = {other for other in errors.__all__ if issubclass(kind, getattr(errors, other))}
    assert found == {name, "GovernanceError"} | above
