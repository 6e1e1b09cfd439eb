"""Trials: rules by hand, cells by loops, verdicts on cells whose truth is known, and cells made to fool them."""

import numpy as np
import pytest

from mcutils.errors import BadInput
from mcutils.measures.intervals import Interval
from mcutils.measures.originals import student
from mcutils.paper.trials import Cells, Rule, exchanged, mean_trial, originals_needed, row_means, some_trial

METHODS = ("a", "b", "c", "d")


def cells(values, contexts=METHODS) -> Cells:
    values = np.asarray(values, dtype=np.float64)
    return Cells(values, tuple(range(len(values))), tuple(contexts))


def drawn(mean, spread=0.05, n=8, seed=0, contexts=METHODS) -> Cells:
    means = np.broadcast_to(np.asarray(mean, dtype=np.float64), (n, len(contexts)))
    return cells(means + spread * np.random.default_rng(seed).normal(size=means.shape), contexts)


@pytest.mark.parametrize(
    ("direction", "interval", "word"),
    [
        ("above", (0.3, 0.2, 0.4), "supported"),
        ("above", (0.0, -0.1, 0.05), "contradicted"),
        ("above", (0.1, 0.05, 0.2), "undecided"),
        ("below", (0.0, -0.1, 0.05), "supported"),
        ("below", (0.3, 0.2, 0.4), "contradicted"),
        ("outside", (0.3, 0.2, 0.4), "supported"),
        ("outside", (-0.3, -0.4, -0.2), "supported"),
        ("outside", (0.0, -0.05, 0.05), "contradicted"),
        ("outside", (0.1, 0.0, 0.2), "undecided"),
        ("above", (0.3, 0.2, np.inf), "undecided"),
        ("above", (np.nan, np.nan, np.nan), "undecided"),
        ("above", (0.2, 0.1, 0.3), "undecided"),  # an interval that begins at the threshold does not lie beyond it
    ],
)
def test_a_rule_reads_the_whole_interval(direction, interval, word):
    assert Rule(direction, 0.1).word(Interval(*interval)) == word


def test_a_rule_knows_its_directions():
    with pytest.raises(BadInput, match="above, below or outside, got 'over'"):
        Rule("over", 0.1)


def test_the_middle_of_an_original_leaves_out_what_it_lacks():
    assert row_means(np.array([[1.0, np.nan, 3.0]]))[0] == 2.0
    assert np.isnan(row_means(np.full((1, 2), np.nan))[0])


def test_what_keeps_a_row_undecided_however_many_originals_there_are_is_named():
    values = np.array([[0.0, 0.0, 0.3 + 0.3 * sign] for sign in (-1, 1, -1, 1, -1, 1)])  # means 0, 0 and 0.3: 0.1
    found = mean_trial(Cells(values + [0.01, 0.01, 0.01], tuple(range(6)), ("a", "b", "c")), Rule("above", 0.1))
    assert found.verdict == "undecided" and not found.notes
    assert found.carried == ("c",)  # without it the mean is 0.01, with it 0.11
    even = mean_trial(Cells(values[:, [2, 2, 2]], tuple(range(6)), ("a", "b", "c")), Rule("above", 0.1))
    assert even.verdict == "undecided" and even.carried == ()


def test_what_is_there_is_found_and_what_is_not_is_contradicted():
    assert mean_trial(drawn(0.3), Rule("above", 0.1)).verdict == "supported"
    assert mean_trial(drawn(0.0), Rule("above", 0.1)).verdict == "contradicted"
    assert mean_trial(drawn(0.0), Rule("outside", 0.1)).verdict == "contradicted"
    assert mean_trial(drawn(0.1, 0.2), Rule("above", 0.1)).verdict == "undecided"


def test_three_originals_decide_nothing():
    found = mean_trial(drawn(5.0, n=3), Rule("above", 0.1))
    assert found.verdict == "undecided" and "3 originals are left" in found.notes[0]


def test_one_method_alone_carries_no_verdict():
    found = mean_trial(drawn([0.0, 0.0, 0.0, 1.2]), Rule("above", 0.1))
    assert found.effect.low > 0.1
    assert found.verdict == "undecided" and found.notes == ("without d the verdict would be another",)


def test_line_and_curve_of_one_method_are_left_out_together():
    contexts = [(m, kind) for m in "abc" for kind in ("linear", "bezier")]
    found = mean_trial(drawn([0.0, 0.0, 0.0, 0.0, 0.8, 0.8], contexts=contexts), Rule("above", 0.1))
    assert found.verdict == "undecided" and "without c" in found.notes[0]


def test_a_null_that_reaches_the_threshold_takes_the_support_away():
    beyond = np.random.default_rng(0).normal(0.1, 0.1, 500)  # up to 0.3
    found = mean_trial(drawn(0.3), Rule("above", 0.1), null=beyond)
    assert found.verdict == "undecided" and "its null reaches" in found.notes[0]
    assert mean_trial(drawn(0.3), Rule("above", 0.1), null=np.zeros(10)).verdict == "supported"


def test_what_is_refused_is_undecided_and_says_why():
    for found in (
        mean_trial(drawn(0.3), Rule("above", 0.1), refused=["copies"]),
        some_trial(drawn(0.3), None, 0.1, refused=["copies"]),
    ):
        assert found.verdict == "undecided" and found.notes == ("copies",)


def test_shares_that_all_agree_keep_an_interval():
    found = mean_trial(cells(np.ones((8, 4))), Rule("above", 0.5), shares=True)
    assert found.verdict == "supported" and found.effect.low == pytest.approx(0.676, abs=1e-3)


def test_nothing_is_decided_by_nothing():
    empty = Cells(np.empty((0, 0)), (), ())
    assert mean_trial(empty, Rule("above", 0.1)).verdict == "undecided"
    assert some_trial(empty, -0.1, 0.1).verdict == "undecided"
    assert mean_trial(drawn(np.nan), Rule("above", 0.1)).verdict == "undecided"


def test_some_and_some_needs_both():
    both = some_trial(drawn([0.4, -0.4, 0.0, 0.0]), -0.05, 0.05)
    assert both.verdict == "supported"
    assert some_trial(drawn([0.4, 0.4, 0.4, 0.4]), -0.05, 0.05).verdict == "contradicted"
    assert some_trial(drawn([0.4, 0.0, 0.0, 0.0], 0.3), -0.05, 0.05).verdict == "undecided"


def test_some_of_one_side_and_none_of_it():
    assert some_trial(drawn([0.3, 0.0, 0.0, 0.0]), None, 0.0).verdict == "supported"
    assert some_trial(drawn(-0.3), None, 0.0, none=0.002).verdict == "contradicted"


def test_the_interval_shown_is_that_of_the_weaker_side():
    found = some_trial(drawn([0.9, -0.2, 0.0, 0.0], 0.02), -0.05, 0.05)
    assert found.effect.estimate == pytest.approx(-0.2, abs=0.03)
    assert found.effect.low <= found.effect.estimate <= found.effect.high < -0.05


def test_noise_of_any_size_is_rarely_some_and_some():
    wrong = sum(
        some_trial(drawn(0.0, spread, seed=seed), -0.05, 0.05, draws=0).verdict == "supported"
        for spread in (0.05, 0.5, 5.0)
        for seed in range(30)
    )
    assert wrong <= 4


def test_noise_is_rarely_a_mean_beyond_the_threshold():
    wrong = sum(
        mean_trial(drawn(0.0, 1.0, seed=seed), Rule("outside", 0.1), draws=0).verdict == "supported"
        for seed in range(60)
    )
    assert wrong <= 4


def test_exchanged_sides_have_no_mean_and_blocks_turn_together():
    contexts = [("a", "linear"), ("a", "bezier")]
    one = Cells(np.array([[1.0, 1.0]]), (0,), tuple(contexts))
    assert set(np.abs(exchanged(one, draws=50)).tolist()) == {1.0}  # never 0: both turn together
    assert abs(exchanged(drawn(0.5), draws=400).mean()) < 0.05


def test_fragility_is_high_at_the_edge_and_low_far_from_it():
    sure, close = mean_trial(drawn(0.5), Rule("above", 0.1)), mean_trial(drawn(0.16, 0.14, seed=3), Rule("above", 0.1))
    assert sure.flips == 0.0
    assert close.flips > 0.05


def test_as_many_originals_are_needed_as_make_the_interval_clear_its_threshold():
    rng = np.random.default_rng(0)
    values = rng.normal(size=8)
    values = 0.3 + (values - values.mean()) / values.std(ddof=1)
    found = student(values)
    count = originals_needed(found, 8, (0.0,))
    for n, clear in ((count - 1, False), (count, True)):
        many = rng.normal(size=n)
        many = 0.3 + (many - many.mean()) / many.std(ddof=1)
        assert (student(many).low > 0) == clear
    assert originals_needed(found, 8, (-9.0, 0.0)) == count  # the nearest edge
    assert originals_needed(found, 8, (found.estimate,)) is None
    assert originals_needed(Interval(0.3, -np.inf, np.inf), 1, (0.0,)) is None
    assert originals_needed(Interval(0.001, -1, 1), 8, (0.0,)) is None  # more than can be asked for
