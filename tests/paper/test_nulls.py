"""Nulls that must be made up: quadratics with the examples' noise, and another original's pair in a method's place."""

from dataclasses import replace

import numpy as np
import pytest
from made_worlds import Shape, controlled, world

from mcutils.measures.along import excess
from mcutils.measures.profiles import Profile
from mcutils.paper import declared, nulls

T = np.linspace(0, 1, 31)


def line(**changes):
    made = world(controlled(lambda labels: Shape(**changes)), ("progress",), originals=1, spread=0)
    return next(w for w in made if w.condition == "forgetting" and w.method == "npo")


def noisy(one, sd, excess_sd):
    """The walk with a band of this sd and replicates of the distance from the chord of this sd."""
    arrays, forget = dict(one.profile.arrays), one.profile.arrays["curve/loss_forget"]
    arrays["band/loss_forget"] = np.stack([forget - 1.959964 * sd, forget + 1.959964 * sd])
    draws = np.random.default_rng(0).normal(size=4000)
    far = np.abs(excess(forget, one.profile.t)).max()
    arrays["replicates/deficit_forget_two_sided"] = far + excess_sd * (draws - draws.mean()) / draws.std()
    return replace(one, profile=Profile(arrays))


def test_the_best_quadratic_is_that_of_least_squares_with_fixed_ends():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 31)).cumsum(axis=1)
    for row, found in zip(values, nulls.best_quadratic(values, T), strict=True):
        assert found[[0, -1]] == pytest.approx(row[[0, -1]])
        assert np.polyval(np.polyfit(T, found, 2), T) == pytest.approx(found)  # a quadratic
        far = ((row - found) ** 2).sum()
        for step in (-1e-3, 1e-3):
            assert ((row - found - step * T * (1 - T)) ** 2).sum() > far


@pytest.mark.parametrize("bend", [-3.0, 0.0, 3.0])
def test_a_quadratic_is_no_distance_from_one(bend):
    assert nulls.far_from_quadratic(0.1 + 2 * T + bend * T * (1 - T), T) == pytest.approx(0, abs=1e-12)
    assert np.isnan(nulls.far_from_quadratic(T * (1 - T), T))


def test_distances_are_in_units_of_the_change():
    values = T + 0.3 * np.sin(2 * np.pi * T)
    assert nulls.far_from_quadratic(values, T) == pytest.approx(nulls.far_from_quadratic(1 - 5 * values, T))
    assert nulls.far_from_quadratic(values, T) == pytest.approx(0.3, abs=0.01)  # odd about the middle: no bend helps


def test_variance_of_an_excess_is_that_of_drawn_noise():
    rng, sd, k, length = np.random.default_rng(1), 0.1 + 0.2 * T, 9, 0.4
    root = np.linalg.cholesky(sd[:, None] * sd * np.exp(-np.abs(T[:, None] - T) / length))
    drawn = np.array([excess(root @ rng.normal(size=31), T)[k] for _ in range(20000)])
    assert nulls.excess_variance(sd, T, k, length) == pytest.approx(drawn.var(), rel=0.05)


@pytest.mark.parametrize("wanted", [0.002, 0.01, 0.02])
def test_the_noise_of_examples_has_the_spread_that_was_kept(wanted):
    one = noisy(line(step=0.8), 0.02, wanted)
    covariance = nulls.examples_noise(one)
    assert np.sqrt(np.diag(covariance)) == pytest.approx(np.full(31, 0.02), rel=1e-5)
    forget = one.profile.arrays["curve/loss_forget"]
    k = int(np.abs(excess(forget, T))[1:-1].argmax()) + 1
    weights = np.eye(31)[k] - (1 - T[k]) * np.eye(31)[0] - T[k] * np.eye(31)[-1]
    assert np.sqrt(weights @ covariance @ weights) == pytest.approx(wanted, rel=0.06)


def test_more_spread_than_any_correlation_has_is_taken_as_independent():
    covariance = nulls.examples_noise(noisy(line(step=0.8), 0.02, 1.0))
    assert covariance == pytest.approx(0.02**2 * np.eye(31), abs=1e-12)


def test_noise_that_goes_together_leaves_less_of_a_distance_than_independent_noise():
    rng = np.random.default_rng(0)
    near, far = (nulls.quadratics_with_noise(noisy(line(), 0.02, sd), 400, rng) for sd in (0.003, 1.0))
    assert 0 < np.median(near) < np.median(far) / 2


def test_without_what_is_kept_there_is_no_null_and_nothing_is_supported():
    made = world(controlled(lambda labels: Shape(step=0.8)), ("progress",))
    assert declared.c15(made).verdict == "supported"
    bare = [
        replace(w, profile=Profile({n: v for n, v in w.profile.arrays.items() if not n.startswith("band/")}))
        for w in made
    ]
    assert nulls.examples_noise(bare[0]) is None
    found = declared.c15(bare)
    assert found.verdict == "undecided" and "its null reaches" in found.notes[-1]


def test_what_noise_of_the_examples_does_alone_is_not_nonlinear():
    """Quadratics and independent noise of a tenth of G: far from any quadratic, as far as the null is."""
    rng, found = np.random.default_rng(3), []
    for w in world(controlled(), ("progress",)):
        if w.condition != "forgetting" or w.control:
            found.append(w)
            continue
        forget = w.profile.arrays["curve/loss_forget"] + 0.02 * rng.normal(size=31)
        one = replace(w, profile=Profile({**w.profile.arrays, "curve/loss_forget": forget}))
        found.append(noisy(one, 0.02, 1.0))
    one = declared.c15(found)
    assert one.verdict != "supported" and one.null.low < one.effect.estimate * 1.3


def test_means_of_draws_are_over_walks_and_then_over_originals():
    rows = [(0, np.array([1.0, 2.0])), (0, np.array([3.0, 4.0])), (1, np.array([10.0, 20.0])), (2, np.array([np.nan]))]
    assert nulls.mean_of_draws(rows) == pytest.approx([6.0, 11.5])
    assert np.isnan(nulls.mean_of_draws(rows[3:])).all()


def test_another_original_stands_in_the_place_of_each():
    assert set(nulls.others_in_place([0.1] * 8, 0.1, 50)) == {0.0}
    shares = nulls.others_in_place([0.0] * 4 + [1.0] * 4, 0.1, 4000)
    # A low one meets one of four high ones among the seven others.
    assert shares.mean() == pytest.approx(0.5 * 4 / 7, abs=0.01)
    assert np.isnan(nulls.others_in_place([0.1], 0.1, 50)).all()


def test_retrained_pairs_that_differ_among_originals_raise_the_null_of_c16():
    """What an original's own pair does is no bound on what retrained models do."""

    def shape(labels):
        return Shape(dip=0.4 if labels["condition"] == "retraining" else 0.0)

    assert declared.c16(world(controlled(shape), ("progress",))).verdict == "supported"
    wild = world(
        controlled(
            lambda one: (
                Shape(dip=1.5 * one["original"] * (one["condition"] == "retrained") + shape(one).dip)
                if one["condition"] in ("retrained", "retraining")
                else Shape()
            )
        ),
        ("progress",),
    )
    assert declared.c16(wild).null.high > 0.4
