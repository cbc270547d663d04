import copy
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from subjects import with_network

from governance.errors import AnalysisError, PolicyError, RegistryError, SubjectError
from governance.records.assessment import Assessment
from governance.records.lineage import Lineage
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.workflows import orchestration, progress
from governance.workflows.orchestration import STANDING, assess, build, check_classes, read_policy

TEMPLATE = """
    __all__ = ["Found"]

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Found:
        count: int = 3
        layers: tuple[str, ...] = ("a",)

        needs = "probabilities"
        {attributes}

        def run(self, subject, seed):
            {body}
"""
NAN_INTERVAL = (
    "interval from 1 to nan of 3 observations; finite ends in ascending order and a whole number "
    "are accepted"
)
BEYOND = (
    "worst or an end of its interval is 1.01; numbers from 0 to 1 are accepted, as the analysis "
    "declares"
)
BELOW = BEYOND.replace("worst", "x").replace("1.01", "-1").replace("to 1", "to inf")
OUTSIDE = "Measurement(metrics={'worst': 1}, intervals={'worst': Interval(low=0, high=1.01, n=3)})"
METRICS = """metrics = {
            "x": Metric(meaning="m", better="higher", highest=None),
            "each.{class}": Metric(meaning="m", better="higher", per_class=True),
            "each.all": Metric(meaning="m", better="higher"),
            "worst": Metric(meaning="m", better="higher", per_class=True),
        }"""


@pytest.fixture
def put(install, monkeypatch):
    """Installs an analysis by the body of its run(); nothing else stands under the policy."""
    monkeypatch.setattr(orchestration, "STANDING", ())

    def installed(name, body="return Measurement(metrics={'x': seed})", attributes=METRICS):
        source = TEMPLATE.format(body=body, attributes=attributes)
        install(name, source, about=f"Title of {name}.")

    return installed


def policy_of(*names, expect=(), **changes):
    return replace(
        Policy(
            title="T", validation="v", model=ModelTerms(),
            analyses={name: {} for name in names},
            expectations=tuple(expect) or (Expectation(metric=f"{names[0]}.x", at_least=0.0),),
            text="text",
        ),
        **changes,
    )  # fmt: skip


def untouched(subject):
    """The same subject with a model of its own, to be changed by a test."""
    return with_network(subject, model=copy.deepcopy(subject.network.model))


def test_evidence_tells_how_it_came_about(put, tiny_subject):
    put("alpha")

    found = assess(tiny_subject, policy_of("alpha", analyses={"alpha": {"count": 7}}, seed=5))

    (item,) = found.evidence
    assert (item.analysis, item.about, item.seed) == ("alpha", "Title of alpha.", 5)
    assert item.parameters == {"count": 7, "layers": ["a"]}
    assert item.measurement.metrics == {"x": 5.0}
    assert item.device == "cpu"
    assert item.failure is None
    assert item.seconds >= 0


def test_an_assessment_holds_who_what_when_and_where(put, tiny_subject):
    put("alpha")
    earlier = assess(tiny_subject, policy_of("alpha"))

    found = assess(tiny_subject, policy_of("alpha"), lineage=Lineage(previous=earlier))

    assert found.identity == tiny_subject.identity
    assert found.validation == tiny_subject.validation.identity
    assert found.baseline.assessment_digest == earlier.digest
    assert found.baseline.metrics == earlier.metrics
    assert datetime.now(UTC) - datetime.fromisoformat(found.created) < timedelta(minutes=1)
    assert found.environment["numpy"] == np.__version__
    assert found.environment["device"].startswith("cpu (")
    assert {"python", "system", "torch threads", "mlflow-governance"} <= set(found.environment)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", found.environment["packages"])
    assert found.decision.verdict == "approved"


def test_analyses_run_in_the_order_of_the_policy_after_the_standing_ones(
    put, tiny_subject, monkeypatch
):
    for name in ("gamma", "alpha", "beta"):
        put(name)
    monkeypatch.setattr(orchestration, "STANDING", ("beta",))
    told = []

    found = assess(
        tiny_subject, policy_of("gamma", "alpha"), progress=lambda *step: told.append(step)
    )

    assert [item.analysis for item in found.evidence] == ["beta", "gamma", "alpha"]
    assert told == [("beta", 0, 3), ("gamma", 1, 3), ("alpha", 2, 3)]


def test_the_passes_of_an_analysis_are_told_while_it_runs(tiny_subject, monkeypatch):
    # arrange
    monkeypatch.setattr(progress, "EVERY", 0.0)
    told = []
    # act
    assess(
        tiny_subject,
        policy_of("layer_prediction"),
        progress=lambda what, _done, _total, detail="": told.append((what, detail)),
    )
    # assert
    n = len(tiny_subject.validation)
    assert any(
        what == "layer_prediction" and detail.startswith(f"{n} of {n} images, ")
        for what, detail in told
    )


def test_a_standing_analysis_takes_parameters_and_runs_once(put, monkeypatch):
    put("beta")
    monkeypatch.setattr(orchestration, "STANDING", ("beta",))

    built = build(policy_of("beta", analyses={"beta": {"count": 9}}))

    assert [(name, item.count) for name, item in built.items()] == [("beta", 9)]


def test_the_same_seed_gives_the_same_measurements(put, tiny_subject):
    put(
        "alpha",
        "return Measurement(metrics={'x': __import__('numpy').random.default_rng(seed).random()})",
    )

    one, again, other = (
        assess(tiny_subject, policy_of("alpha", seed=seed)).metrics for seed in (1, 1, 2)
    )

    assert one == again != other


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("raise ValueError('no such layer')", "ValueError", "no such layer"),
        ("raise AnalysisError('cannot answer')", "AnalysisError", "cannot answer"),
        ("raise PolicyError('odd')", "PolicyError", "odd"),
        ("raise MemoryError", "MemoryError", "MemoryError"),
        ("assert seed < 0", "AssertionError", "AssertionError"),
        ("return None", "AnalysisError", "run() returned None; a Measurement is accepted"),
        ("return 'x'", "AnalysisError", "run() returned 'x'; a Measurement is accepted"),
        ("Interval(low=1, high=float('nan'), n=3)", "AnalysisError", NAN_INTERVAL),
        (
            f"return {OUTSIDE}",
            "AnalysisError",
            BEYOND,
        ),
        (
            "return Measurement(metrics={'x': -1.0})",
            "AnalysisError",
            BELOW,
        ),
    ],
)  # fmt: skip
def test_a_crash_is_evidence_and_the_verdict_undetermined(
    put, tiny_subject, tmp_path, body, kind, message
):
    put("alpha", body)
    put("beta")

    found = assess(tiny_subject, policy_of("alpha", "beta"))

    first, second = found.evidence
    assert (first.failure.kind, first.failure.message) == (kind, message)
    assert first.measurement is None
    assert second.measurement is not None
    assert found.decision.verdict == "undetermined"
    found.save(tmp_path / "kept")
    assert Assessment.load(tmp_path / "kept") == found


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise SubjectError('an output is NaN')", SubjectError),
        ("raise RegistryError('gone')", RegistryError),
        ("raise KeyboardInterrupt", KeyboardInterrupt),
    ],
)
def test_what_is_wrong_with_more_than_the_analysis_ends_the_assessment(
    put, tiny_subject, body, kind
):
    put("alpha", body)

    with pytest.raises(kind):
        assess(tiny_subject, policy_of("alpha"))


@pytest.mark.parametrize("end", ["return Measurement(metrics={})", "raise ValueError"])
def test_an_analysis_that_changes_the_model_is_caught(put, tiny_subject, end):
    put("alpha", f"next(subject.network.model.parameters()).data.add_(1); {end}")
    put("beta")

    with pytest.raises(AnalysisError, match="analysis alpha changed the model's tensors"):
        assess(untouched(tiny_subject), policy_of("alpha", "beta"))


def test_running_statistics_are_tensors_of_the_model_too(put, tiny_subject):
    put(
        "alpha",
        "subject.network.model.train()(subject.pixels([0, 1])); return Measurement(metrics={})",
    )

    with pytest.raises(AnalysisError, match="changed the model's tensors"):
        assess(untouched(tiny_subject), policy_of("alpha"))


def test_an_analysis_not_begun_within_the_budget_is_not_run_and_counts_as_missing(
    put, tiny_subject
):
    put("alpha")
    put("beta", "raise SystemExit('must not run')")
    budget = 0.2

    def slow(_name, index, _total):
        until = time.monotonic() + (budget if index == 1 else 0)
        while time.monotonic() < until:
            pass

    policy = policy_of(
        "alpha",
        "beta",
        budget_minutes=budget / 60,
        expect=[Expectation(metric="beta.x", at_least=0)],
    )
    found = assess(tiny_subject, policy, progress=slow)

    first, second = found.evidence
    assert first.measurement is not None
    assert second.failure.kind == "not run"
    assert "minutes was used up" in second.failure.message
    assert second.parameters == {"count": 3, "layers": ["a"]}
    assert found.decision.verdict == "undetermined"


def test_standing_expectations_of_analyses_are_judged_and_recorded(put, tiny_subject):
    put(
        "alpha",
        attributes=METRICS + "\n        standing = (Expectation(metric='alpha.x', at_least=99.0),)",
    )
    put("beta")
    lax = Expectation(metric="alpha.x", at_least=0.0, severity="warn")

    found = assess(tiny_subject, policy_of("beta", "alpha"))
    replaced = assess(
        tiny_subject,
        policy_of("beta", "alpha", expect=[lax, Expectation(metric="beta.x", at_least=0)]),
    )

    assert found.decision.verdict == "rejected"
    assert found.policy.expectations[-1].at_least == 99.0
    assert replaced.decision.verdict == "approved"


# Building and checking before anything runs -----------------------------------------------------


def test_every_analysis_is_built_before_any_runs(put, tiny_subject):
    put("alpha", "raise SystemExit('must not run')")

    with pytest.raises(PolicyError) as caught:
        assess(
            tiny_subject,
            policy_of("alpha", analyses={"alpha": {"count": "x"}, "none": {}, "alpha2": {}}),
        )

    assert len(caught.value.problems) == 3


def test_a_policy_file_is_checked_against_all_analyses_at_once(put, tmp_path):
    put("alpha")
    file = tmp_path / "p.toml"
    file.write_text("""
        title = "T"
        [validation]
        data = "v"
        [analyses.alpha]
        cuont = 3
        layers = [1]
        [analyses.none]
        [[expectations]]
        metric = "alpha.y"
        at_least = 0.5
    """)

    with pytest.raises(PolicyError) as caught:
        read_policy(file)

    assert [problem.partition(";")[0] for problem in caught.value.problems] == [
        "p.toml: [analyses.none]: no such analysis",
        "p.toml: expectations[0].metric: alpha has no metric 'y'",
        "p.toml: [analyses.alpha] cuont: unknown parameter",
        "p.toml: [analyses.alpha] layers[0]: is 1",
    ]


def test_a_policy_that_expects_something_of_an_analysis_it_does_not_run_is_refused(put, tmp_path):
    put("alpha")
    file = tmp_path / "p.toml"
    file.write_text("""
        title = "T"
        [validation]
        data = "v"
        [[expectations]]
        metric = "alpha.x"
        at_least = 0.5
    """)

    with pytest.raises(
        PolicyError, match=r"'alpha\.x' is expected .* \[analyses\.alpha\] is needed"
    ):
        read_policy(file)


def test_a_policy_file_without_problems_is_read(put, tmp_path):
    put("alpha")
    file = tmp_path / "p.toml"
    file.write_text("""
        title = "T"
        [validation]
        data = "v"
        [analyses.alpha]
        count = 4
        [[expectations]]
        metric = "alpha.each.seven"
        at_least = 0.5
    """)

    assert read_policy(file).analyses == {"alpha": {"count": 4}}


def validation_with(tiny_subject, **counts):
    return replace(
        tiny_subject.validation.identity,
        class_names=tuple(counts),
        class_counts=tuple(counts.values()),
    )


@pytest.mark.parametrize("count", [0, 1, 29])
@pytest.mark.parametrize("metric", ["each.rare", "worst"])
def test_a_number_about_a_class_needs_thirty_of_its_images(put, tiny_subject, metric, count):
    put("alpha")
    policy = policy_of("alpha", expect=[Expectation(metric=f"alpha.{metric}", at_least=0.5)])

    with pytest.raises(SubjectError, match=rf"class 'rare' has {count} images; .* at least 30"):
        check_classes(policy, validation_with(tiny_subject, common=30, rare=count))


def test_a_gated_number_about_a_class_that_sampled_too_few_of_its_images_is_missing(
    put, tiny_subject
):
    body = """
            few = Interval(low=0.5, high=1.0, n=29)
            enough = Interval(low=0.5, high=1.0, n=30)
            return Measurement(
                metrics={"worst": 1.0, "each.diagonal": 1.0, "each.vertical": 1.0},
                intervals={"worst": few, "each.diagonal": few, "each.vertical": enough},
            )"""
    put("sampled", body.strip())
    expected = (
        Expectation(metric="sampled.worst", at_least=0.5),
        Expectation(metric="sampled.each.vertical", at_least=0.5),
    )

    made = assess(tiny_subject, policy_of("sampled", expect=expected))

    # What no one expects anything of may rest on few images: its n is printed.
    assert made.metrics["sampled.each.diagonal"] == 1.0
    assert made.metrics["sampled.worst"] is None
    assert [item.outcome for item in made.decision.findings] == ["missing", "met"]
    assert made.decision.verdict == "undetermined"


def test_all_classes_with_too_few_images_are_named(put, tiny_subject):
    put("alpha")
    policy = policy_of("alpha", expect=[Expectation(metric="alpha.worst", at_least=0.5)])

    with pytest.raises(SubjectError) as caught:
        check_classes(policy, validation_with(tiny_subject, a=3, b=30, c=4))

    assert len(caught.value.problems) == 2


def test_only_the_class_that_is_gated_needs_images(put, tiny_subject):
    put("alpha")
    expect = [
        Expectation(metric=f"alpha.{name}", at_least=0.5) for name in ("each.b", "each.all", "x")
    ]

    check_classes(
        policy_of("alpha", expect=expect), validation_with(tiny_subject, a=3, b=30, all=2)
    )


def test_a_class_that_does_not_exist_is_refused_with_those_that_do(put, tiny_subject):
    put("alpha", "raise SystemExit('must not run')")
    policy = policy_of("alpha", expect=[Expectation(metric="alpha.each.seven", at_least=0.5)])

    with pytest.raises(
        PolicyError,
        match=r"alpha\.each\.seven: .* no such class; it has horizontal, vertical, diag",
    ):
        assess(tiny_subject, policy)


def test_an_expectation_on_a_metric_that_no_one_measures_is_never_met(put, tiny_subject):
    put("alpha")
    policy = policy_of("alpha", expect=[Expectation(metric="alpha.unknown", at_least=0.0)])

    assert assess(tiny_subject, policy).decision.verdict == "undetermined"


# The real thing -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_standing_analyses_run_under_every_policy(tiny_subject, tmp_path):
    policy = policy_of(
        "performance",
        expect=[
            Expectation(metric="performance.accuracy", at_least=0.5),
            Expectation(metric="performance.recall.vertical", at_least=0.5, on="interval"),
        ],
        analyses={},
    )

    found = assess(tiny_subject, policy)

    assert tuple(item.analysis for item in found.evidence) == STANDING
    assert [item.failure for item in found.evidence] == [None] * len(STANDING)
    assert found.decision.findings[0].outcome == "met"
    assert found.decision.findings[1].interval.n == 40
    found.save(tmp_path / "kept")
    assert Assessment.load(tmp_path / "kept") == found
