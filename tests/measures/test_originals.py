"""Statistics over originals: closed forms, references by other roads, coverage and size under the null."""

import numpy as np
import pytest
from scipy import stats

from mcutils.errors import BadInput
from mcutils.measures.originals import (
    flips,
    neumann_ratio,
    redrawn,
    share,
    simultaneous,
    smallest_effect,
    student,
    wilson,
)


def test_student_is_scipys_t_interval():
    values = np.random.default_rng(0).normal(size=8)
    found = student(values, 0.9)
    low, high = stats.t.interval(0.9, 7, values.mean(), stats.sem(values))
    assert found == pytest.approx((values.mean(), low, high), rel=1e-12)


def test_one_original_bounds_nothing_and_none_is_nan():
    assert student([0.3]) == (0.3, -np.inf, np.inf)
    assert all(np.isnan(student([np.nan])))


def test_a_standard_error_below_the_least_is_not_believed():
    exact, wide = student([0.5] * 8), student([0.5] * 8, least=0.01)
    assert exact.low == exact.high == 0.5
    assert wide.high - 0.5 == pytest.approx(stats.t.ppf(0.975, 7) * 0.01)


def test_shares_that_agree_have_wilsons_interval_and_others_at_least_it():
    assert share([1.0] * 8) == pytest.approx((1.0, *wilson(1.0, 8)))
    mixed = share([0.2, 0.9, 0.4, 0.8])
    low, high = wilson(mixed.estimate, 4)
    assert mixed.low <= low and mixed.high >= high and 0 <= mixed.low <= mixed.high <= 1
    with pytest.raises(BadInput, match="between 0 and 1, got 1.5"):
        share([0.5, 1.5])


def test_all_changes_of_sign_are_there_once_and_many_originals_come_with_their_opposites():
    assert len({tuple(row) for row in flips(8)}) == 256
    many = flips(20)
    np.testing.assert_array_equal(many[: len(many) // 2], -many[len(many) // 2 :])


def test_one_context_bounds_by_a_plain_loop_over_changes_of_sign():
    values = np.random.default_rng(1).normal(0.3, 1, size=(7, 2))
    residuals, largest = values - values.mean(axis=0), []
    for signs in flips(7):
        turned = signs[:, None] * residuals
        t = turned.mean(axis=0) / np.where((s := turned.std(axis=0, ddof=1)) > 0, s / np.sqrt(7), np.inf)
        largest.append(t.max())
    critical = sorted(largest)[int(np.ceil(0.975 * 129)) - 1]
    error = values.std(axis=0, ddof=1) / np.sqrt(7)
    found = simultaneous(values)
    np.testing.assert_allclose(found.low, values.mean(axis=0) - critical * error, rtol=1e-9)
    np.testing.assert_allclose(found.high, values.mean(axis=0) + critical * error, rtol=1e-9)


@pytest.mark.parametrize("together", [0.0, 0.9])
def test_simultaneous_bounds_fail_rarely_however_contexts_go_together(together):
    """At 2.5 % on one side: of 600 draws without effect at most 4 % say that some is above 0."""
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(600):
        shared, own = rng.normal(size=(8, 1)), rng.normal(size=(8, 28))
        found = simultaneous(np.sqrt(together) * shared + np.sqrt(1 - together) * own)
        wrong += bool((found.low > 0).any())
    assert wrong / 600 <= 0.04


def test_an_effect_in_one_context_of_many_is_found():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(50):
        values = rng.normal(size=(8, 28)) * 0.1
        values[:, 5] += 0.35
        found = simultaneous(values)
        hits += found.low[5] > 0
    assert hits >= 40


def test_contexts_of_too_few_originals_say_nothing_and_do_not_widen_the_others():
    values = np.random.default_rng(4).normal(size=(8, 3))
    values[3:, 2] = np.nan
    found = simultaneous(values)
    assert (found.low[2], found.high[2]) == (-np.inf, np.inf)
    np.testing.assert_allclose(found.low[:2], simultaneous(values[:, :2]).low)


def test_constant_contexts_have_the_least_error_and_break_nothing():
    values = np.zeros((8, 2))
    values[:, 1] = np.random.default_rng(5).normal(size=8)
    found = simultaneous(values, least=0.01)
    assert np.isfinite(found.low).all() and found.low[0] < 0 < found.high[0]


@pytest.mark.parametrize("spread", [0.1, 2.0])
def test_the_smallest_effect_is_found_with_the_power_it_names(spread):
    values = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0]) * spread
    effect = smallest_effect(values)
    drawn = np.random.default_rng(6).normal(effect, values.std(ddof=1), size=(4000, 8))
    low = drawn.mean(axis=1) - stats.t.ppf(0.975, 7) * drawn.std(axis=1, ddof=1) / np.sqrt(8)
    assert (low > 0).mean() == pytest.approx(0.8, abs=0.03)


def test_neumanns_ratio_tells_noise_from_a_curve():
    t = np.linspace(0, 1, 31)
    noise = np.random.default_rng(7).normal(size=(400, 31))
    assert np.mean([neumann_ratio(row) for row in noise]) == pytest.approx(2 * 31 / 30, abs=0.05)
    assert neumann_ratio(np.sin(3 * t)) < 0.06
    coarse = np.linspace(0, 1, 11)
    assert neumann_ratio(coarse * (1 - coarse)) < 0.5
    assert neumann_ratio(0.01 * noise[0], floor=1.0) == 0.0


def test_redrawn_takes_whole_originals():
    values = np.arange(6).reshape(3, 2)
    for drawn in redrawn(values, lambda rows: rows, draws=20):
        assert all(tuple(row) in {(0, 1), (2, 3), (4, 5)} for row in drawn)


def test_wilson_matches_scipy():
    for k, n in ((0, 5), (3, 10), (10, 10)):
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert wilson(k / n, n) == pytest.approx((expected.low, expected.high))
