"""Persistence along a path against brute force over levels, its law with the excess variation, and SMAD by hand."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from mcutils.errors import BadInput
from mcutils.measures.along import SIDES, depths, dips, excess_variation, smad, total_persistence

CURVES = st.lists(st.integers(-6, 6), min_size=1, max_size=14).map(lambda v: np.array(v, dtype=float))
LAWS = settings(deadline=None, derandomize=True, max_examples=60)


def components(v, level):
    """The lowest value of each connected part of {v <= level}, by looking at every point."""
    inside, found, current = v <= level, [], []
    for k in range(len(v) + 1):
        if k < len(v) and inside[k]:
            current.append(v[k])
        elif current:
            found.append(min(current))
            current = []
    return found


def brute(v):
    """Depths by raising the level: where parts fewer than before are left, the higher of their minima end."""
    found, before = [], []
    for level in np.unique(v):
        now = components(v, level)
        rest = sorted(before)
        for one in now:
            if one in rest:
                rest.remove(one)
        found += [level - one for one in rest if level > one]
        before = now
    return sorted(found, reverse=True)


@LAWS
@given(CURVES)
def test_depths_are_those_of_parts_that_merge_as_the_level_rises(v):
    assert depths(v).tolist() == brute(v)
    assert depths(v, "super").tolist() == brute(-v)


@LAWS
@given(CURVES)
def test_half_the_excess_variation_is_the_persistence_and_the_lower_end_above_the_least_value(v):
    assert excess_variation(v) / 2 == pytest.approx(total_persistence(v) + min(v[0], v[-1]) - v.min())
    assert excess_variation(v) / 2 == pytest.approx(total_persistence(v, "super") + v.max() - max(v[0], v[-1]))


@LAWS
@given(CURVES, st.integers(-3, 3), st.integers(1, 4))
def test_laws(v, shift, scale):
    assert np.array_equal(depths(v), depths(v[::-1]))
    assert np.allclose(depths(scale * v + shift), scale * depths(v))
    assert np.array_equal(depths(np.repeat(v, 2)), depths(v))
    assert sum(one.volume for one in dips(v)) == pytest.approx(1)
    assert sum(np.isinf(one.depth) for one in dips(v)) == 1
    for side in SIDES:
        for normalised in (True, False):
            plain = smad(v, side, normalised=normalised)
            by_volume = smad(v, side, normalised=normalised, weights="volume")
            most = 1 + 1e-12 if normalised else np.ptp(v) + 1e-12
            assert 0 <= plain <= most and 0 <= by_volume <= most
    firsts = [one.first for one in dips(v)]
    assert smad(v) == pytest.approx(np.mean(firsts) if len(firsts) > 1 else 0)


@LAWS
@given(CURVES, st.integers(0, 5))
def test_noise_leaves_the_deeper_ones(v, noise):
    assert depths(v, noise=noise).tolist() == [one for one in depths(v).tolist() if one > noise]


def test_a_double_well_by_hand():
    well = [4.0, 1.0, 3.0, 3.0, 0.0, 5.0]  # the plateau is one maximum of two points
    first, second = dips(well)
    assert (first.place, first.saddle, first.depth, first.first) == (1, 2, 2.0, 2.0)
    assert (second.place, second.saddle, second.depth, second.first) == (4, None, np.inf, 3.0)
    assert (first.volume, second.volume) == (2 / 6, 4 / 6)  # both maximal points go down the steeper side
    assert smad(well) == 2.5 and smad(well, normalised=True) == 0.5
    assert smad(well, weights="volume") == pytest.approx(2 / 6 * 2 + 4 / 6 * 3)
    assert smad(well, weights="landscaper") == pytest.approx(smad(well, weights="volume") / 2)
    assert smad([3, 1, 0, 2]) == 0 and depths([3, 1, 0, 2]).size == 0
    assert depths(well, "super").tolist() == [4.0, 2.0]  # 4 meets 5 at 0, and the plateau of 3 meets 4 at 1


def test_what_is_no_curve_is_refused_and_what_is_not_finite_has_no_number():
    for bad in ([], [[1, 2]], [1, np.nan], 3.0):
        with pytest.raises(BadInput, match="finite numbers"):
            dips(bad)
    with pytest.raises(BadInput, match="side"):
        dips([1, 2], "below")
    with pytest.raises(BadInput, match="weights of smad"):
        smad([1, 2], weights="mass")
    assert np.isnan(smad([1, np.inf])) and np.isnan(total_persistence([1, np.nan, 2]))
