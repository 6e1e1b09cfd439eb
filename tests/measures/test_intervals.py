"""Intervals: values by hand, coverage by simulation."""

import pytest
from scipy import stats

from mcutils.measures.intervals import Interval, difference, wilson


def test_wilson_matches_scipy():
    for k, n in ((0, 5), (3, 10), (10, 10)):
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert wilson(k / n, n) == pytest.approx((expected.low, expected.high))


def test_a_difference_of_shares_is_newcombe_s():
    """56 of 70 against 48 of 80 is the paper's own example: 0.0524 to 0.3339."""
    shares = [Interval(k / n, *wilson(k / n, n)) for k, n in ((56, 70), (48, 80))]
    assert difference(*shares) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
