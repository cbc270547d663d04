import importlib
import sys

import pytest

from governance import analyses
from governance.errors import PolicyError
from governance.records.evidence import Metric

MODERN = """
    __all__ = ["Modern", "modern"]

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Modern:
        count: int = 3
        share: float = 0.5
        name: str = "x"
        strict: bool = False
        layers: tuple[str, ...] = ()
        size: tuple[int, int] = (1, 2)
        mode: Literal["fast", "slow"] = "fast"
        level: Literal[1, 2] = 1
        limit: float | None = None
        least: int = 1

        needs = "probabilities"
        metrics = {"m": Metric(meaning="m", better="higher")}

        def __post_init__(self):
            if self.count < 0:
                raise ValueError(f"count = {self.count}: at least 0 is accepted")
            if self.count == 13:
                raise AnalysisError("count = 13: another number is accepted")
            if self.least < 1:
                raise ValueError(f"least = {self.least}: at least 1 is accepted")

        def run(self, subject, seed):
            return Measurement(metrics={"m": self.count})

    def modern():
        pass
"""


@pytest.fixture
def modern(install):
    install("modern", MODERN)


def problems(parameters, name="modern"):
    with pytest.raises(PolicyError) as caught:
        analyses.load(name, parameters)
    return caught.value.problems


def test_every_file_of_the_package_is_an_analysis_and_names_are_sorted():
    found = analyses.names()

    assert {"performance", "preprocessing_check"} <= set(found)
    assert list(found) == sorted(found)


def test_an_analysis_of_another_distribution_is_listed_beside_ours(install):
    before = analyses.names()
    install("modern", MODERN)

    assert set(analyses.names()) == {*before, "modern"}


@pytest.mark.parametrize("point", ["{module}", "{module}:Modern"])
def test_an_entry_point_names_the_module_or_the_class(install, point):
    install("modern", MODERN, point=point)

    assert analyses.find("modern").__name__ == "Modern"
    assert analyses.load("modern", {"count": 5}).count == 5
    assert analyses.metrics("modern") == {"m": Metric(meaning="m", better="higher")}


def test_a_name_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(PolicyError, match=r"analysis 'accuracy' does not exist; .*performance"):
        analyses.find("accuracy")


def test_nobody_answers_in_the_name_of_another(install):
    # Whoever came first would be asked, and a policy could not tell.
    install("performance", MODERN)
    install("modern", MODERN)
    install("modern", MODERN)

    for name in ("performance", "modern"):
        with pytest.raises(PolicyError, match=rf"analysis '{name}' is installed more than once"):
            analyses.find(name)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("__all__ = ['A', 'B']", 2),
        ("__all__ = []", 0),
        ("", 0),
        ("__all__ = ['plain']", 0),
        ("__all__ = ['C']", 0),
    ],
)
def test_a_file_holds_exactly_one_analysis(install, source, count):
    install(
        "several",
        source
        + """
@dataclass(frozen=True)
class A:
    def run(self, subject, seed): ...
class B(A):
    pass
class C:  # no dataclass, so no parameters
    def run(self, subject, seed): ...
def plain(): ...
""",
    )

    with pytest.raises(PolicyError, match=rf"'several': __all__ names {count} dataclasses"):
        analyses.find("several")


@pytest.mark.parametrize(
    ("source", "point"),
    [
        ("import no_such_library", "{module}"),
        ("class", "{module}"),
        ("", "{module}:Missing"),
        ("__all__ = ['x']", "{module}"),
    ],
)
def test_an_analysis_that_cannot_be_imported_is_refused_by_its_entry_point(install, source, point):
    install("broken", source, point=point)

    with pytest.raises(PolicyError, match=r"'broken': installed_0_broken.* cannot be loaded: "):
        analyses.find("broken")


@pytest.mark.usefixtures("modern")
def test_parameters_take_what_toml_writes():
    written = {
        "count": 4, "share": 1, "name": "y", "strict": True, "layers": ["a", "b"], "size": [3, 4],
        "mode": "slow", "level": 2, "limit": 0.25,
    }  # fmt: skip

    built = analyses.load("modern", written)

    assert built.layers == ("a", "b")
    assert built.size == (3, 4)
    assert (built.count, built.share, built.limit) == (4, 1, 0.25)


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("count", 1.5, "a whole number"),
        ("count", True, "a whole number"),
        ("count", "3", "a whole number"),
        ("share", "0.5", "a number"),
        ("share", False, "a number"),
        ("share", float("nan"), "a number"),
        ("share", float("inf"), "a number"),
        ("name", 3, "a text"),
        ("strict", 1, "true or false"),
        ("layers", "a", "a list of texts"),
        ("size", [1], "a list of 2 whole numbers"),
        ("size", [1, 2, 3], "a list of 2 whole numbers"),
        ("mode", "medium", "one of 'fast', 'slow'"),
        ("level", True, "one of 1, 2"),
        ("limit", "none", "a number"),
    ],
)
def test_a_parameter_of_another_type_is_refused_with_its_place(key, value, accepted):
    assert problems({key: value}) == (
        f"[analyses.modern] {key}: is {value!r}; {accepted} is accepted",
    )


@pytest.mark.usefixtures("modern")
def test_an_item_of_another_type_is_refused_with_its_place():
    assert problems({"layers": ["a", 1]}) == (
        "[analyses.modern] layers[1]: is 1; a text is accepted",
    )


@pytest.mark.usefixtures("modern")
def test_what_is_out_of_range_is_told_beside_what_is_of_another_type():
    assert problems({"count": -1, "share": "x", "least": 0}) == (
        "[analyses.modern] share: is 'x'; a number is accepted",
        "[analyses.modern] count = -1: at least 0 is accepted",
        "[analyses.modern] least = 0: at least 1 is accepted",
    )


@pytest.mark.usefixtures("modern")
def test_all_wrong_parameters_are_told_at_once():
    found = problems({"cuont": 1, "share": "x", "name": 3})

    assert [problem.split(" ")[1] for problem in found] == ["cuont:", "name:", "share:"]
    assert (
        "accepted are count, layers, least, level, limit, mode, name, share, size, strict"
        in found[0]
    )


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize("count", [-1, 13])
def test_a_parameter_that_the_analysis_itself_refuses_is_a_policy_error(count):
    assert problems({"count": count})[0].startswith(f"[analyses.modern] count = {count}: ")


@pytest.mark.parametrize(
    ("line", "was"),
    [
        ("", "does not declare what it needs"),
        ("needs = 'gradients'", "needs = 'gradients'"),
        ("needs = None", "does not declare what it needs"),
        ("needs = ('network',)", r"needs = \('network',\)"),
    ],
)
def test_an_analysis_says_whether_it_needs_the_network(install, line, was):
    install("modern", MODERN.replace('needs = "probabilities"', line))

    with pytest.raises(PolicyError, match=f"analysis 'modern': {was}") as caught:
        analyses.load("modern", {})

    (problem,) = caught.value.problems
    assert "one of 'probabilities', 'network', 'features', 'filters' is accepted" in problem
    assert 'write needs: ClassVar[Needs] = "network" into Modern' in problem


def test_the_description_is_the_docstring_of_the_module(install):
    install("modern", MODERN, about="Modern: a title.\n\nPurpose\n    To test.\n")

    assert analyses.about("modern") == "Modern: a title.\n\nPurpose\n    To test."
    assert analyses.about("performance").startswith("Performance: ")


def test_an_analysis_that_says_and_declares_nothing_has_empty_texts(install):
    install(
        "silent",
        """
        __all__ = ["Silent"]
        @dataclass(frozen=True)
        class Silent:
            def run(self, subject, seed): ...
        """,
    )

    assert analyses.about("silent") == ""
    assert analyses.metrics("silent") == {}


def test_a_file_saved_into_the_package_needs_no_other_edit(tmp_path, monkeypatch):
    (tmp_path / "brightness.py").write_text(
        '"""Brightness."""\nfrom dataclasses import dataclass\n__all__ = ["Brightness"]\n'
        "@dataclass(frozen=True)\nclass Brightness:\n"
        "    samples: int = 8\n    needs = 'probabilities'\n    def run(self, subject, seed): ...\n"
    )
    monkeypatch.setattr(analyses, "__path__", [*analyses.__path__, str(tmp_path)])
    importlib.invalidate_caches()

    assert "brightness" in analyses.names()
    assert analyses.load("brightness", {"samples": 2}).samples == 2
    assert analyses.about("brightness") == "Brightness."
    del sys.modules["governance.analyses.brightness"]
    del analyses.brightness


def test_an_analysis_covers_topics_that_the_report_knows(install):
    install("modern", MODERN.replace("metrics = {", 'covers = ("weather",)\n        metrics = {'))

    (problem,) = problems({})
    assert problem.startswith("analysis 'modern': covers 'weather'; purpose, fairness, ")
