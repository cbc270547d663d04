import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from governance.errors import AnalysisError
from governance.methods.statistics.calibration import calibration
from governance.methods.statistics.intervals import (
    LEVEL,
    bootstrap,
    clopper_pearson,
    clopper_pearson_ends,
    mean,
    wilson,
    wilson_ends,
)
from governance.methods.statistics.proportions import ClassShare, Paired, largest, lowest, mean_of

shares = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.floats(0.5, 0.999)


def wilson_by_hand(k, n, level):
    z = stats.norm.ppf(0.5 + level / 2)
    p = k / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def clopper_pearson_by_hand(k, n, level):
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else stats.beta.ppf(tail, k, n - k + 1)
    high = 1.0 if k == n else stats.beta.ppf(1 - tail, k + 1, n - k)
    return low, high


@pytest.mark.parametrize(
    ("interval", "ends", "by_hand"),
    [
        (wilson, wilson_ends, wilson_by_hand),
        (clopper_pearson, clopper_pearson_ends, clopper_pearson_by_hand),
    ],
    ids=["wilson", "clopper_pearson"],
)
@pytest.mark.parametrize("level", [0.5, 0.9, LEVEL, 0.999])
def test_one_interval_and_many_at_once_are_those_of_the_formula(interval, ends, by_hand, level):
    counts = [(k, n) for n in (1, 2, 7, 40, 365) for k in range(0, n + 1, max(1, n // 12))]

    low, high = ends(*np.array(counts).T, level)

    for place, (k, n) in enumerate(counts):
        found, expected = interval(k, n, level), by_hand(k, n, level)
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)
        assert (low[place], high[place]) == pytest.approx(expected, abs=1e-9)
        assert (found.n, found.level) == (n, level)


@pytest.mark.parametrize("ends", [wilson_ends, clopper_pearson_ends])
@given(shares)
@settings(max_examples=40, deadline=None)
def test_many_at_once_lie_between_0_and_1_and_hold_the_share(ends, share):
    (low,), (high,) = ends([share[0]], [share[1]])

    assert 0 <= low <= share[0] / share[1] <= high <= 1


@pytest.mark.parametrize("ends", [wilson_ends, clopper_pearson_ends])
def test_no_observation_among_many_has_no_ends(ends):
    low, high = ends([0, 3], [0, 5])

    assert np.isnan([low[0], high[0]]).all()
    assert 0 < low[1] < 0.6 < high[1] < 1


numbers = st.lists(st.floats(-1, 1), min_size=2, max_size=12)
classes = st.lists(
    shares.map(lambda share: ClassShare(hits=share[0], n=share[1])), min_size=1, max_size=5
)
counts = st.integers(0, 30)
pairs = st.lists(
    st.builds(Paired, both=counts, first=counts, second=counts, neither=counts).filter(
        lambda pair: pair.n
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@given(numbers, classes, pairs)
@settings(max_examples=60, deadline=None)
def test_every_interval_holds_its_estimate_and_stays_in_its_range(values, several, compared):
    data = np.array(values)
    found = [
        (data.mean(), mean(data, lowest=-1, highest=1), -1, 1),
        (np.median(data), bootstrap(np.median, data, 0, resamples=20), -1, 1),
        (data.max(), bootstrap(np.max, data, 0, resamples=20), -1, 1),
        *((pair.difference, pair.interval(), -1, 1) for pair in compared),
        (*largest(compared), -1, 1),
        (*lowest(several), 0, 1),
        (*mean_of(several), 0, 1),
    ]

    for estimate, interval, least, most in found:
        if interval is not None:
            assert least <= interval.low <= estimate <= interval.high <= most, interval.method


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=80))
@settings(max_examples=25, deadline=None)
def test_the_interval_of_the_calibration_error_holds_it_between_0_and_1(answers):
    found = calibration(np.array([p for p, _ in answers]), np.array([hit for _, hit in answers]))

    if found.interval is not None:
        assert 0 <= found.interval.low <= found.error <= found.interval.high <= 1


def test_wilson_ends_solve_the_score_equation():
    # Its definition: the shares p at which |k/n - p| is z standard errors of p.
    z = stats.norm.ppf(0.975)
    interval = wilson(13, 40)

    for p in (interval.low, interval.high):
        assert abs(13 / 40 - p) == pytest.approx(z * math.sqrt(p * (1 - p) / 40))


def test_clopper_pearson_ends_leave_a_tail_of_half_the_error_each():
    interval = clopper_pearson(13, 40)

    assert stats.binom.sf(12, 40, interval.low) == pytest.approx(0.025)
    assert stats.binom.cdf(13, 40, interval.high) == pytest.approx(0.025)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@given(shares)
@settings(max_examples=40, deadline=None)
def test_an_interval_of_a_share_lies_between_0_and_1_and_holds_the_share(interval, share):
    successes, n = share

    found = interval(successes, n)

    assert 0 <= found.low <= successes / n <= found.high <= 1
    assert (found.low == 0) == (successes == 0)
    assert (found.high == 1) == (successes == n)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@given(shares)
@settings(max_examples=40, deadline=None)
def test_hits_and_misses_have_mirrored_intervals(interval, share):
    successes, n = share
    one, two = interval(successes, n), interval(n - successes, n)

    assert one.low == pytest.approx(1 - two.high)
    assert one.high == pytest.approx(1 - two.low)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@given(shares, st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_more_images_with_the_same_share_narrow_the_interval(interval, share, times):
    successes, n = share
    one, many = interval(successes, n), interval(times * successes, times * n)

    assert many.high - many.low < one.high - one.low


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_no_observation_has_no_interval(interval):
    assert interval(0, 0) is None


def test_wilson_is_none_that_a_share_beyond_one_could_pass_through():
    with pytest.raises(AnalysisError), np.errstate(invalid="ignore"):
        wilson(5, 3)


def coverage(interval, n, truths):
    """Probability that the interval holds each true share, summed over all outcomes."""
    ends = [interval(k, n) for k in range(n + 1)]
    low, high = np.array([end.low for end in ends]), np.array([end.high for end in ends])
    return [
        stats.binom.pmf(np.arange(n + 1), n, truth)[(low <= truth) & (truth <= high)].sum()
        for truth in truths
    ]


@pytest.mark.parametrize("n", [10, 30, 100])
def test_clopper_pearson_covers_any_share_as_often_as_it_says(n):
    assert min(coverage(clopper_pearson, n, np.linspace(0, 1, 41))) >= LEVEL


@pytest.mark.parametrize("n", [30, 100])
def test_wilson_covers_a_share_about_as_often_as_it_says_on_average(n):
    found = np.mean(coverage(wilson, n, np.linspace(0.01, 0.99, 99)))

    assert found == pytest.approx(LEVEL, abs=0.01)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30).filter(lambda x: min(x) < max(x)))
@settings(max_examples=40, deadline=None)
def test_the_interval_of_a_mean_is_students(values):
    n = len(values)
    centre = sum(values) / n
    variance = sum((value - centre) ** 2 for value in values) / (n - 1)
    half = stats.t.ppf(0.975, n - 1) * math.sqrt(variance / n)

    found = mean(values)

    assert found.low == pytest.approx(centre - half, abs=1e-6)
    assert found.high == pytest.approx(centre + half, abs=1e-6)
    assert found.n == n


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0], [0.25] * 20])
def test_where_no_two_values_differ_no_interval_claims_certainty(values):
    assert mean(values) is None
    assert bootstrap(np.mean, values, seed=0) is None


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    ends = [mean(rng.normal(3, 2, 8)) for _ in range(2000)]

    assert np.mean([end.low <= 3 <= end.high for end in ends]) == pytest.approx(LEVEL, abs=0.015)


def test_a_mean_of_something_that_is_not_finite_has_no_interval_to_show():
    with pytest.raises(AnalysisError), np.errstate(invalid="ignore"):
        mean([1.0, math.nan])


def test_the_bootstrap_of_a_mean_agrees_with_the_normal_one_on_many_values():
    values = np.random.default_rng(0).normal(5, 2, 400)

    found = bootstrap(np.mean, values, seed=1)

    half = stats.norm.ppf(0.975) * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert found.n == 400


def test_the_bootstrap_draws_whole_rows():
    # Second column is always twice the first: no resample can tell otherwise.
    first = np.random.default_rng(0).normal(size=50)
    rows = np.stack([first, 2 * first], axis=1)

    found = bootstrap(lambda data: np.abs(data[:, 1] - 2 * data[:, 0]).max(), rows, seed=0)

    assert (found.low, found.high, found.n) == (0.0, 0.0, 50)


def test_the_bootstrap_follows_its_seed():
    values = np.random.default_rng(0).normal(size=30)
    one, again, other = (bootstrap(np.median, values, seed=seed) for seed in (1, 1, 2))

    assert one == again
    assert one != other


def test_a_statistic_that_fails_on_a_resample_has_no_interval():
    assert bootstrap(lambda data: math.nan if data.min() > 0 else 1.0, [0.0, 1.0], seed=0) is None


def test_a_lower_level_gives_an_interval_inside():
    values = np.random.default_rng(0).normal(size=30)

    for find in (
        lambda level: wilson(7, 20, level),
        lambda level: clopper_pearson(7, 20, level),
        lambda level: mean(values, level),
        lambda level: bootstrap(np.mean, values, seed=0, level=level),
    ):
        wide, narrow = find(0.99), find(0.5)
        assert wide.low < narrow.low < narrow.high < wide.high
