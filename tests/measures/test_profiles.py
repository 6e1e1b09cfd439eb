"""Profiles: what figures need of a trace, equal to what is measured directly, before and after storage."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import trace

from mcutils.engine.specs import CurveSpec, DataSpec, OriginalSpec, ProfileSpec, TraceSpec, UntrainedSpec
from mcutils.engine.store import Store
from mcutils.errors import BadInput
from mcutils.measures.connectivity import SUMMARY, connectivity, forget_gap
from mcutils.measures.metrics import METRICS, correct, measure
from mcutils.measures.profiles import PARTS, Profile, closeness, profile
from mcutils.settings import Plan

ORIGINAL = trace(margin=5.0, seed=1)
SCORES = {"retain": 0.9, "valid": 0.7, "test": 0.7}
RETRAINED = [trace(right={**SCORES, "forget": share}, seed=k) for k, share in ((2, 0.7), (3, 0.6))]
RANDOM = trace(margin=0.0, seed=4)
REFERENCES = {"original": ORIGINAL, "retrained": RETRAINED[0], "random": RANDOM}
CURVE = trace(5, seed=5, meta={"kind": "bezier", "geometry/distance": "3.25", "geometry/cosine": "0.5"})
MODEL = trace(seed=6)


@pytest.fixture(scope="module")
def curve():
    return profile(CURVE, ORIGINAL, RETRAINED, RANDOM, bootstrap=30)


@pytest.fixture(scope="module")
def model():
    return profile(MODEL, ORIGINAL, RETRAINED, RANDOM, bootstrap=30)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_of_the_trace(name, curve, model):
    for found, one in ((curve, CURVE), (model, MODEL)):
        np.testing.assert_array_equal(found.metric(name), measure(one, name, references=REFERENCES)[name])


def test_a_metric_that_a_profile_lacks_names_its_traces_and_what_computes_it(curve):
    lacking = Profile({n: v for n, v in curve.arrays.items() if n not in ("metric/zrf", "metric/loss_test")})
    message = r"holds no 'zrf', .* path itself, an untrained network, and .* --metric zrf, .* computes just these"
    with pytest.raises(BadInput, match=message):
        lacking.metric("zrf")
    with pytest.raises(BadInput, match=r"traces of the model or path itself, and .* --metric loss_test, "):
        lacking.metric("loss_test")


def test_the_connectivity_of_a_profile_is_built_once(curve):
    assert curve.connectivity is curve.connectivity
    assert replace(curve, arrays={"t": curve.t}).__dict__.keys() == {"arrays"}  # another profile starts anew


def test_an_unknown_metric_is_named(model):
    with pytest.raises(BadInput, match="unknown metric 'accuracy': choose one of .*accuracy_test"):
        model.metric("accuracy")


def test_the_gap_is_the_mean_over_all_retrained_models(curve, model):
    expected = np.mean([forget_gap(r, ORIGINAL) for r in RETRAINED])
    assert curve.gap == model.gap == curve.connectivity.gap == pytest.approx(expected, rel=1e-12)
    assert forget_gap(RETRAINED[0], ORIGINAL) != pytest.approx(forget_gap(RETRAINED[1], ORIGINAL), rel=0.01)


def test_connectivity_is_that_of_the_trace(curve):
    direct = connectivity(CURVE, gap=curve.gap, retrained=RETRAINED[0], original=ORIGINAL, n_boot=30)
    found = curve.connectivity
    assert found.measures == direct.measures
    np.testing.assert_array_equal(found.t, CURVE.t)
    for name, values in direct.curves.items():
        np.testing.assert_array_equal(found.curves[name], values)
        np.testing.assert_allclose(found.bands[name], direct.bands[name], rtol=1e-6)  # kept in float32
    assert set(found.replicates) == set(SUMMARY) & set(direct.replicates)
    for name, values in found.replicates.items():
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, direct.replicates[name], rtol=1e-6, atol=1e-9)


def test_what_walks_and_tables_read_is_there(curve):
    found = curve.connectivity
    for name in ("barrier_retain", "deficit_forget"):
        assert np.isfinite(found[name]) and found.replicates[name].shape == (30,)
    assert np.isfinite(found["barrier_test"])
    assert {"loss_retain", "loss_forget"} <= set(found.curves)


# Closeness to retraining


HALVES = {"choose": (0, "valid"), "test": (1, "test")}


@pytest.mark.parametrize("part", PARTS)
def test_closeness_is_one_minus_the_mean_distance_of_three_accuracies(part, curve):
    odd, unseen = HALVES[part]
    expected = []
    for k in range(len(CURVE.t)):
        distances = []
        for split, rows in (("forget", range(odd, 40, 2)), ("retain", range(odd, 40, 2)), (unseen, range(40))):
            goal = np.mean([np.mean([correct(r, split)[0, i] for i in rows]) for r in RETRAINED])
            distances.append(abs(np.mean([correct(CURVE, split)[k, i] for i in rows]) - goal))
        expected.append(1 - sum(distances) / 3)
    np.testing.assert_allclose(closeness(CURVE, RETRAINED, part), expected, rtol=1e-12)
    np.testing.assert_array_equal(curve.arrays[f"score/{part}"], closeness(CURVE, RETRAINED, part))


def test_nothing_is_closer_to_a_retrained_model_than_itself():
    for one in RETRAINED:
        for part in PARTS:
            np.testing.assert_array_equal(closeness(one, [one], part), [1.0])
            assert closeness(one, RETRAINED, part)[0] < 1


def flipped(split, rows):
    """The curve with every one of these predictions changed from right to wrong, or the other way round."""
    logits = {s: v.copy() for s, v in CURVE.logits.items()}
    shown = logits[split]
    for i in rows:
        label = CURVE.labels[split][i]
        right = shown[:, i].argmax(axis=-1) == label
        shown[:, i] = 0
        shown[np.arange(len(shown)), i, np.where(right, (label + 1) % 4, label)] = 5
    return replace(CURVE, logits=logits)


@pytest.mark.parametrize("part", PARTS)
def test_what_a_point_is_chosen_by_is_not_what_it_is_tested_on(part):
    """Every example moves one of the two scores and none moves the other."""
    (odd, unseen), (other,) = HALVES[part], set(PARTS) - {part}
    for split, rows in (("forget", range(odd, 40, 2)), ("retain", range(odd, 40, 2)), (unseen, range(40))):
        for changed in (flipped(split, rows), *(flipped(split, [i]) for i in (rows[0], rows[-1]))):
            assert not np.isclose(closeness(changed, RETRAINED, part), closeness(CURVE, RETRAINED, part)).any()
            np.testing.assert_array_equal(closeness(changed, RETRAINED, other), closeness(CURVE, RETRAINED, other))


def test_an_unknown_part_is_named():
    with pytest.raises(BadInput, match="unknown part 'valid': choose one of choose, test"):
        closeness(CURVE, RETRAINED, "valid")


def test_geometry_comes_from_the_trace(curve, model):
    assert curve.geometry == {"distance": 3.25, "cosine": 0.5}
    assert model.geometry == {}


def test_a_single_model_has_metrics_but_no_path(model):
    np.testing.assert_array_equal(model.t, [0.0])
    assert model.metric("RA").shape == (1,)
    assert not model.connectivity.curves and not model.connectivity.measures
    assert not [name for name in model.arrays if name.startswith("score/")]


def test_a_collapsed_model_says_so(curve):
    assert curve.collapsed == ()
    found = profile(trace(5, right=0.2, seed=7), ORIGINAL, RETRAINED, RANDOM, bootstrap=5)
    assert len(found.collapsed) == 2 and "near chance" in found.collapsed[0]
    assert found.connectivity.collapsed == found.collapsed
    broken = trace(5, seed=8)
    broken.logits["retain"][-1, 0, 0] = np.nan
    found = profile(broken, ORIGINAL, RETRAINED, RANDOM, bootstrap=5)
    assert "retain loss is not finite" in found.collapsed[0]


def test_seconds_are_those_given(curve):
    assert Profile({**curve.arrays, "seconds": np.float64(2.5)}).seconds == 2.5


def test_the_same_trace_gives_the_same_bits(curve):
    again = profile(CURVE, ORIGINAL, RETRAINED, RANDOM, bootstrap=30)
    assert {n: v.tobytes() for n, v in again.arrays.items()} == {n: v.tobytes() for n, v in curve.arrays.items()}


def test_a_stored_profile_reads_as_before(curve, tmp_path):
    data, plan = DataSpec("digits", 240, 60, "00"), Plan()
    original, random = OriginalSpec(data, "convnet", 4, 0, plan), UntrainedSpec(data, "convnet", 4, 0)
    of = TraceSpec(original, 0.1)
    spec = ProfileSpec(TraceSpec(CurveSpec(original, original, 0.1), 0.1, 5), of, (of,), TraceSpec(random, 0.1), 30)
    Store(tmp_path).put(spec, curve, 0)
    found = Store(tmp_path).get(spec)
    assert (found.gap, found.collapsed, found.geometry) == (curve.gap, curve.collapsed, curve.geometry)
    one, other = found.connectivity, curve.connectivity
    assert one.measures == other.measures
    for group in ("curves", "bands", "replicates"):
        assert set(getattr(one, group)) == set(getattr(other, group))
        for name, values in getattr(other, group).items():
            np.testing.assert_array_equal(getattr(one, group)[name], values)
    # A layer holds hundreds of these: its limit is 10 MB.
    assert next(tmp_path.glob("*.npz")).stat().st_size < 60_000


def test_every_array_is_kept_with_its_name_type_and_shape(curve, model, tmp_path):
    odd = {"a/x": np.zeros(0), "a/y": np.zeros(0, np.float32), "b": np.float64(-0.0), "b/x": np.array([np.nan, np.inf])}
    odd |= {"c/d/e": np.arange(3), "c/d/f": np.arange(3.0), "g": np.array(["é", ""]), "h/names": np.ones((2, 3), bool)}
    for k, arrays in enumerate((curve.arrays, model.arrays, odd, {"t": np.zeros(1)})):
        Profile(arrays).save(tmp_path / f"{k}.npz")
        found = Profile.load(tmp_path / f"{k}.npz").arrays
        assert {n: (v.dtype, v.shape, v.tobytes()) for n, v in found.items()} == {
            n: (np.asarray(v).dtype, np.shape(v), np.asarray(v).tobytes()) for n, v in arrays.items()
        }


def test_a_profile_is_read_without_unpickling(tmp_path):
    np.savez(tmp_path / "bad.npz", **{"0/names": np.array(["x"]), "0/values": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Profile.load(tmp_path / "bad.npz")


def test_what_cannot_be_measured_is_refused():
    other_rows = trace(5, n=30)
    with pytest.raises(BadInput, match="other .* examples"):
        profile(other_rows, ORIGINAL, RETRAINED, RANDOM)
    with pytest.raises(BadInput, match="original holds 3 points of a curve"):
        profile(CURVE, trace(3), RETRAINED, RANDOM)
    with pytest.raises(BadInput, match="gap .* must be positive"):
        profile(CURVE, RETRAINED[0], [ORIGINAL], RANDOM)
