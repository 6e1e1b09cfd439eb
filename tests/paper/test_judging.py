"""Judging: constructed walks come out supported, contradicted or undecided as they were made to."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from made_claims import METHODS, SINGLE, study
from synthetic import RING, controls, walk

from mcutils.measures.connectivity import TOLERANCE, connectivity
from mcutils.measures.intervals import Interval, widened, wilson
from mcutils.measures.profiles import Profile
from mcutils.paper.claims import CLAIMS, spread
from mcutils.paper.judging import controls_hold, sound, units_of, usable
from mcutils.paper.registry import TESTS, verdict_of
from mcutils.paper.walks import TWINNED

MORE = {"measure/surplus_retain": np.float64(0.1), "measure/shortfall_forget": np.float64(0.2)}


def test_collapsed_walks_and_controls_are_left_out():
    good, bad = walk("npo"), walk("npo", collapsed=("t = 0: chance",))
    other = walk("npo", condition="method", other="scrub")
    assert usable([good, bad, other, *controls()]) == [good, other]
    assert usable([good, other], condition="method") == sound([good, other, other], other="scrub") == [other]
    assert usable([bad, *controls()]) == sound([bad, *controls()]) == []


def test_a_walk_is_the_same_if_all_its_labels_are():
    one = walk("npo")
    differing = [{"method": "scrub"}, {"other": "scrub"}, {"kind": "bezier"}, {"original": 1}, {"start": 1}, {"end": 1}]
    differing += [{"condition": "method"}, {"form": "soul"}, {"size": 0.1}, {"init": "same init"}, {"full": True}]
    differing += [{"recipe": "authors"}, {"objective": "retain only"}, {"refit": True}, {"batchnorm": "none"}]
    assert len(sound([one, one, *(replace(one, **change) for change in differing)])) == 1 + len(differing)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (controls(), True),
        (controls(apart=0.11, twin=0.09), True),
        (controls(apart=0.09), False),
        (controls(twin=0.11), False),
        (controls() + controls(apart=0.0), False),
        (controls()[:1], False),
        (controls()[1:], False),
        ([], False),
        (controls(apart=float("nan")), False),
        (controls(twin=float("nan")), False),
    ],
)
def test_both_controls_must_hold(held, expected):
    assert controls_hold(study(held=held)) is expected


def test_a_twin_that_forgets_differently_is_a_failed_control():
    negative, twin = controls()
    other = walk("npo", 0.0, 0.3, control=TWINNED)
    assert controls_hold([negative, twin]) and not controls_hold([negative, other])


def pairs_of(values):
    """Walks of so many pairs of seeds, each with one value."""
    return [walk("npo", pair=p) for p in SINGLE[: len(values)]], values


def units(values):
    return values, units_of(pairs_of(values)[0])


NONE = Interval(0.2, 0.2, 0.2)


def test_an_interval_is_joined_with_student_s_over_pairs():
    found = widened(NONE, *units([0.1, 0.2, 0.3]))
    half = 4.302653 * 0.1 / np.sqrt(3)  # t of two degrees of freedom
    assert found == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    strict = widened(NONE, *units([0.1, 0.2, 0.3]), level=0.99)
    assert strict.high == pytest.approx(0.2 + half * 9.924843 / 4.302653)
    assert widened(Interval(0.2, -1.0, 0.25), *units([0.1, 0.2, 0.3])) == pytest.approx((0.2, -1.0, 0.2 + half))
    assert widened(Interval(0.2, 0.1, 3.0), *units([0.1, 0.2, 0.3])) == pytest.approx((0.2, 0.2 - half, 3.0))
    assert widened(NONE, *units([0.1, 0.2, 0.3]), within=(0.0, 0.3)) == (0.2, 0.0, 0.3)


def test_walks_of_one_pair_of_seeds_count_as_one():
    walks, values = pairs_of([0.1, 0.2, 0.3])
    more = [replace(w, method="scrub", kind="bezier", condition="method") for w in walks]
    several = widened(NONE, [0.0, 0.2, 0.4, 0.0, 0.2, 0.4, 0.0], units_of(walks + more + walks[:1]), middle=np.median)
    assert several == pytest.approx(widened(NONE, [0.0, 0.2, 0.4], units_of(walks)))
    assert widened(NONE, values + [0.1, 0.2, 0.3], units_of(walks + more)) == pytest.approx(
        widened(NONE, values, units_of(walks))
    )
    for change in ({"original": 1}, {"start": 99}, {"end": 99}):
        apart = [replace(w, **change) for w in walks]
        assert widened(NONE, values * 2, units_of(walks + apart)).high < widened(NONE, values, units_of(walks)).high


def test_one_pair_leaves_everything_possible():
    assert widened(NONE, *units([0.2])) == (0.2, -np.inf, np.inf)
    assert widened(Interval(0.2, 0.1, 0.3), *units([0.2]), within=(0.0, 1.0)) == (0.2, 0.0, 1.0)
    assert widened(NONE, *units([0.2, 0.2, 0.2])) == pytest.approx((0.2, 0.2, 0.2))
    # A difference between examples, or Wilson's interval of pairs that agree, is one.
    assert widened(Interval(0.2, 0.1, 0.3), *units([0.2, 0.2])) == (0.2, 0.1, 0.3)
    assert widened(Interval(1.0, *wilson(1.0, 5)), *units([1, 1]), within=(0, 1)) == (1.0, *wilson(1.0, 5))
    assert np.isnan(widened(Interval(np.nan, np.nan, np.nan), *units([np.nan, 0.2]))).all()


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=5), st.floats(0, 0.5))
def test_one_mean_of_the_same_paths_has_one_interval_wherever_it_stands(deficits, noise):
    """In the figure of 02, the tables of 03 to 06, the figures of 08, and in a verdict."""
    from mcutils.paper import tables as condition_tables
    from mcutils.paper.curve_fitting import fits_summary, fits_table
    from mcutils.paper.seeds import paths_means, sweep_table
    from mcutils.paper.tables import means

    walks = [walk("npo", 0.0, d, pair=p, noise=noise) for p, d in zip(RING, deficits, strict=False)]
    walks = [replace(w, profile=Profile({**w.profile.arrays, **MORE})) for w in walks]
    expected = condition_tables.mean_of(walks, "deficit")
    drawn = paths_means(walks).set_index("measure").loc["deficit", ["estimate", "low", "high"]]
    assert tuple(drawn) == tuple(expected)
    fits = fits_table(walks)
    for value, unit in (("eps", 1.0), ("nats", walks[0].profile.gap)):
        one = means(fits, value, ["method", "fit"]).loc[0, ["estimate", "low", "high"]]
        np.testing.assert_allclose(one.to_numpy(float) / unit, condition_tables.mean_of(walks, "eps"), rtol=1e-6)
    share = sweep_table(walks, [TOLERANCE]).loc[0, ["fraction", "low", "high"]]
    summary = fits_summary(fits).loc["line", "connected"]
    assert summary == spread(tuple(share), 2)


def test_no_table_takes_an_interval_past_the_one_rule():
    """Only `intervals`, and the two claims whose units are not walks, call the bootstraps that it is made of."""
    calls = {}
    for path in Path(connectivity.__code__.co_filename).parent.parent.rglob("*.py"):
        text = path.read_text()
        calls[path.stem] = len(re.findall(r"\b(?:bootstrap_mean|fraction_interval)\(", text))
    calls.pop("intervals")
    assert {name: count for name, count in calls.items() if count} == {
        "curriculum_and_order": 1,
        "progress_and_retraining": 1,
    }


half = lambda m, k, p: 0.15 if (METHODS.index(m) % 2) == (k == "linear") else 0.0  # noqa: E731
AT_0_15 = {  # walks whose smallest eps is 0.15 where it matters, and the effect at 0.1 and at 0.2
    "C1": (study(0.0, 0.15), 0.0, 1.0),
    "C13": (study(0.0, half, kinds=("linear", "bezier")), 0.5, 0.0),
    "C21": (study(0.0, 0.15), 1.0, 0.0),
}


@pytest.mark.parametrize("claim", AT_0_15)
def test_a_claim_about_mcu_can_be_judged_at_another_tolerance(claim):
    walks, strict, loose = AT_0_15[claim]
    assert verdict_of(claim, walks).effect == strict and verdict_of(claim, walks, 0.2).effect == loose


@pytest.mark.parametrize("claim", sorted(TESTS))
def test_the_tolerance_is_in_the_words_of_exactly_the_tests_that_take_one(claim):
    import inspect

    takes = "eps" in inspect.signature(TESTS[claim][1]).parameters
    assert takes == (CLAIMS[claim].measured(0.2) != CLAIMS[claim].statistic)
    assert CLAIMS[claim].measured() == CLAIMS[claim].statistic
