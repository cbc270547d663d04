import hashlib

import pytest

from governance.errors import PolicyError
from governance.records.evidence import Metric
from governance.records.image_terms import ImageTerms
from governance.records.policy import Expectation, ModelTerms, Policy, declared, undeclared
from governance.records.reading import FileReading
from governance.records.resizing import Resize

CATALOGUE = {
    "performance": {
        "accuracy": Metric(meaning="m", better="higher"),
        "ece": Metric(meaning="m", better="lower"),
        "loss": Metric(meaning="m", better="lower", highest=None),
        "recall.{class}": Metric(meaning="m", better="higher", per_class=True),
    },
    "brightness": {},
}

KEYS = (
    "analyses, baseline, budget_minutes, card, drift, expectations, model, seed, title, validation"
)
EXPECTATION_KEYS = "at_least, at_most, due_days, metric, on, owner, rationale, severity"
METRICS = "accuracy, ece, loss, recall.{class}"
INSTALLED = "installed analysis; installed are brightness, performance"

STARTER = """
title = "A policy"
[validation]
data = "images"
[[expectations]]
metric = "performance.accuracy"
at_least = 0.9
"""


def load(text, **changes):
    return Policy.loads(text, where="policy.toml", **changes)


def check(policy, written):
    return undeclared(policy, written, CATALOGUE)


def problems(text):
    with pytest.raises(PolicyError) as caught:
        load(text, check=check)
    return list(caught.value.problems)


def policy_of(*items, standing=()):
    policy = Policy(
        title="t", validation="v", model=ModelTerms(), analyses={}, expectations=tuple(items)
    )
    return policy.with_standing(standing)


def test_a_short_policy_has_the_documented_defaults():
    policy = load(STARTER)

    assert policy == Policy(
        title="A policy",
        validation="images",
        model=ModelTerms(),
        analyses={},
        expectations=(Expectation(metric="performance.accuracy", at_least=0.9),),
        seed=0,
        baseline="champion",
        budget_minutes=None,
        text=STARTER,
    )


def test_every_key_is_read():
    policy = load("""
        title = "T"
        seed = 9007199254740993
        baseline = "3"
        budget_minutes = 0.5
        [model]
        size = [28, 32]
        channels = "bgr"
        mean = [0.1, 0.2, 0.3]
        std = [1, 2, 3]
        resize = "crop"
        outputs = "probabilities"
        allow_pickle = true
        [validation]
        data = "runs:/1/images"
        [analyses.performance]
        bins = 10
        [analyses.brightness]
        [[expectations]]
        metric = "performance.ece"
        at_most = 0.1
        severity = "review"
        on = "interval"
        rationale = "why"
    """)

    assert policy.seed == 9007199254740993
    assert (policy.baseline, policy.budget_minutes) == ("3", 0.5)
    assert policy.model == ModelTerms(
        size=(28, 32), channels="bgr", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0), resize="crop",
        outputs="probabilities", allow_pickle=True,
    )  # fmt: skip
    assert all(isinstance(side, int) for side in policy.model.size)
    assert policy.analyses == {"performance": {"bins": 10}, "brightness": {}}
    assert policy.expectations == (
        Expectation(
            metric="performance.ece",
            at_most=0.1,
            severity="review",
            on="interval",
            rationale="why",
        ),
    )


def test_an_evaluation_transform_is_a_table():
    said = """resize = {to = 256, crop = [224, 192], interpolation = "bicubic", like = "timm"}"""
    good = said.replace("timm", "transformers")

    policy = load(STARTER + f"\n[model]\n{good}\n")

    assert policy.model.resize == Resize(
        to=256, crop=(224, 192), interpolation="bicubic", like="transformers"
    )
    assert policy.model.input_size == (224, 192)
    (found,) = problems(STARTER + f"\n[model]\n{said}\n")
    assert found.startswith("policy.toml: model.resize.like: is 'timm'; one of 'torchvision', ")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("resize = 'fit'", "model.resize: is 'fit'; one of 'none', 'squash', 'crop', or a table"),
        ("resize = {to = 'x'}", "model.resize.to: is 'x'; a whole number or a list of 2 whole"),
        ("resize = {size = 3}", "model.resize.size: unknown key; accepted are crop, interp"),
        ("resize = {to = 2, crop = 3}", "model.resize: crop = 3: is larger than to = 2"),
        ("size = [8, 8]\nresize = {to = 5, crop = 4}", "model.size: is (8, 8), and resize leaves"),
    ],
)
def test_a_transform_that_cannot_be_meant_is_refused_with_its_place(written, said):
    (found,) = problems(STARTER + f"\n[model]\n{written}\n")

    assert said in found


@pytest.mark.parametrize(
    ("written", "reading"),
    [
        ("", FileReading()),
        ("orientation = 'as stored'", FileReading(orientation="as stored")),
        ("background = '#FF8000'\nwindow = [-160, 240]",
         FileReading(background="#FF8000", window=(-160.0, 240.0))),
        ("window = 'file'", FileReading(window="file")),
    ],
)  # fmt: skip
def test_what_is_declared_of_files_stands_beside_their_place(written, reading):
    text = STARTER.replace('data = "images"', f'data = "images"\n{written}')

    found = load(text).images or ImageTerms()

    assert found.reading == reading


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "orientation = 'left'",
            "validation.orientation: is 'left'; one of 'upright', 'as stored'",
        ),
        ("background = 'pink'", "validation: background: is 'pink'; black, grey, white or six"),
        ("window = [240, -160]", "validation: window: is [240.0, -160.0]; two finite numbers"),
        ("window = [1]", "validation.window: is [1]; a list of 2 numbers or one of 'file'"),
        ("windows = [1]", "validation.windows: unknown key; accepted are background, data, follow"),
    ],
)
def test_what_no_file_can_be_read_as_is_refused_with_its_place(written, said):
    (found,) = problems(STARTER.replace('data = "images"', f'data = "images"\n{written}'))

    assert said in found


def test_no_baseline_is_asked_for_by_name():
    assert load('baseline = "none"\n' + STARTER).baseline is None


def test_all_problems_of_a_file_are_told_at_once_each_with_its_place():
    found = problems("""
        seed = -1
        colour = "red"
        [model]
        size = [28]
        channels = "cmyk"
        mean = [0.1, 0.2]
        std = [0.0]
        allow_pickle = "no"
        [validation]
        path = "x"
        [analyses.performance]
        [analyses.nonsense]
        [[expectations]]
        metric = "performance.accuracy"
        at_most = 2.0
        [[expectations]]
        metric = "performance.acuracy"
        at_least = 0.5
        at_most = 0.9
        severity = "fatal"
        [[expectations]]
        at_least = nan
        [[expectations]]
        metric = "layers.depth"
        [[expectations]]
        metric = "performance.recall."
        at_least = 0.5
        weight = 2
    """)

    assert [problem.removeprefix("policy.toml: ") for problem in found] == [
        "model.size: is [28]; a list of 2 whole numbers above 0 is accepted",
        "model.channels: is 'cmyk'; one of 'rgb', 'bgr', 'grey' is accepted",
        "model.std: is [0.0]; a list of numbers above 0 is accepted",
        "model.allow_pickle: is 'no'; true or false is accepted",
        "model.mean: has 2 numbers; 1 or 3 are accepted",
        "validation.data: missing; a text is needed",
        (
            "validation.path: unknown key; accepted are background, data, follow_links, "
            "orientation, split, window"
        ),
        "expectations[1].severity: is 'fatal'; one of 'block', 'review', 'warn' is accepted",
        "expectations[1].at_most: stands beside at_least; one of the two is accepted",
        "expectations[2].metric: missing; a text is needed",
        "expectations[2].at_least: is nan; a number is accepted",
        "expectations[3].at_least: missing; one of at_least and at_most is needed",
        f"expectations[4].weight: unknown key; accepted are {EXPECTATION_KEYS}",
        "title: missing; a text is needed",
        "seed: is -1; a whole number of at least 0 is accepted",
        f"colour: unknown key; accepted are {KEYS}",
        "[analyses.nonsense]: no such analysis; installed are brightness, performance",
        "expectations[0].at_most: performance.accuracy is better when higher; at_least is accepted",
        "expectations[0].at_most: is 2; performance.accuracy lies between 0 and 1",
        f"expectations[1].metric: performance has no metric 'acuracy'; it has {METRICS}",
        f"expectations[3].metric: 'layers.depth' begins with no {INSTALLED}",
        f"expectations[4].metric: performance has no metric 'recall.'; it has {METRICS}",
    ]


@pytest.mark.parametrize(
    ("metric", "bound", "problem"),
    [
        ("performance.accuracy", "at_most = 0.9", "at_most: {} is better when higher; at_least"),
        ("performance.ece", "at_least = 0.1", "at_least: {} is better when lower; at_most"),
        ("performance.recall.x", "at_most = 0.5", "at_most: {} is better when higher; at_least"),
        ("performance.accuracy", "at_least = 90", "at_least: is 90; {} lies between 0 and 1"),
        ("performance.ece", "at_most = -0.1", "at_most: is -0.1; {} lies between 0 and 1"),
        (
            "brightness.mean",
            "at_most = 0.5",
            "metric: brightness has no metric 'mean'; it has none",
        ),
        ("accuracy", "at_least = 0.5", "metric: '{}' begins with no " + INSTALLED),
    ],
)
def test_what_the_analyses_know_is_checked(metric, bound, problem):
    text = f'title = "T"\n[validation]\ndata = "v"\n[[expectations]]\nmetric = "{metric}"\n{bound}'

    (found,) = problems(text)

    assert found.removesuffix(" is accepted") == (
        f"policy.toml: expectations[0].{problem.format(metric)}"
    )


def test_a_metric_without_bounds_takes_any_threshold():
    text = STARTER.replace("performance.accuracy", "performance.loss")

    assert load(text.replace("at_least = 0.9", "at_most = 1e9"), check=check).expectations


@pytest.mark.parametrize(
    "text",
    [
        'title = "T"\n[validation]\ndata = "v"\n',
        STARTER + 'severity = "warn"\n',
        'title = "T"\nexpectations = []\n[validation]\ndata = "v"\n',
    ],
    ids=["none", "only warn", "empty list"],
)
def test_a_policy_that_expects_nothing_is_refused(text):
    (found,) = problems(text)

    assert found.startswith("policy.toml: expectations: none of severity 'block' or 'review'; ")


@pytest.mark.parametrize("bound", ["inf", "-inf", "nan", '"0.9"', "true"])
def test_a_bound_that_cannot_be_meant_is_refused_at_its_place(bound):
    found = problems(STARTER.replace("0.9", bound))

    assert len(found) == 1
    assert found[0].startswith("policy.toml: expectations[0].at_")


@pytest.mark.parametrize("name", ["title", "data"])
def test_an_empty_text_is_no_answer(name):
    text = "\n".join(
        f'{name} = ""' if line.startswith(name) else line for line in STARTER.splitlines()
    )

    assert problems(text)[0].endswith(f"{name}: is empty; a text is needed")


def test_a_policy_file_is_named_by_its_name_and_its_data_found_beside_it(tmp_path):
    file = tmp_path / "release.toml"
    file.write_text(STARTER)

    assert Policy.load(file).validation == str(tmp_path / "images")

    file.write_text("title = 3")
    with pytest.raises(PolicyError, match=r"^release\.toml: "):
        Policy.load(file)


@pytest.mark.parametrize("place", ["runs:/1/images", "mlflow-artifacts:/x", "/absolute/images"])
def test_a_uri_or_an_absolute_path_is_left_as_it_is(tmp_path, place):
    file = tmp_path / "p.toml"
    file.write_text(STARTER.replace('"images"', f'"{place}"'))

    assert Policy.load(file).validation == place


def test_a_file_that_cannot_be_read_is_a_policy_error(tmp_path):
    (tmp_path / "latin.toml").write_bytes('title = "ä"'.encode("latin-1"))

    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(PolicyError, match="cannot be read as a policy"):
            Policy.load(path)


def test_the_policy_digest_is_that_of_its_bytes(tmp_path):
    file = tmp_path / "p.toml"
    file.write_text(STARTER + "# é\n", encoding="utf-8")

    assert Policy.load(file).digest == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_an_expectation_has_exactly_one_bound():
    for bounds in ({}, {"at_least": 0.1, "at_most": 0.2}):
        with pytest.raises(PolicyError, match="one of at_least and at_most is needed"):
            Expectation(metric="a.x", **bounds)


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ({"at_least": 0.9}, "at least 0.9"),
        ({"at_most": 1.0}, "at most 1"),
        ({"at_least": 0.99999999}, "at least 0.99999999"),
    ],
)
def test_a_bound_is_printed_as_it_was_written(bound, words):
    assert Expectation(metric="a.x", **bound).bound == words


@pytest.mark.parametrize("name", ["recall.seven", "recall.a.b", "recall.{class}", "recall.ü"])
def test_a_pattern_stands_for_any_class(name):
    assert declared(name, CATALOGUE["performance"]).per_class


@pytest.mark.parametrize("name", ["recall", "recall.", "precision.seven", "", "xrecall.seven"])
def test_a_pattern_stands_for_nothing_else(name):
    assert declared(name, CATALOGUE["performance"]) is None


def test_a_metric_of_its_own_name_goes_before_a_pattern():
    both = {**CATALOGUE["performance"], "recall.mean": Metric(meaning="m", better="lower")}

    assert declared("recall.mean", both).better == "lower"


# Standing expectations ---------------------------------------------------------------------------


def test_a_standing_expectation_holds_unless_the_policy_states_its_own():
    own = Expectation(metric="a.x", at_least=0.2)
    standing = (Expectation(metric="a.x", at_least=0.9), Expectation(metric="b.y", at_most=0.0))

    assert policy_of(own, standing=standing).expectations == (own, standing[1])


def test_drift_is_looked_for_only_beside_a_baseline():
    (problem,) = problems('baseline = "none"\n' + STARTER + "[drift]")
    assert "baseline: is 'none' beside a table [drift]" in problem
    assert load(STARTER + "[drift]").drift is not None
    assert load(STARTER).drift is None
