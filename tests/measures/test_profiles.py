"""Profiles: what figures need of a trace, equal to what is measured directly, before and after storage."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from synthetic import trace

from mcutils.engine.planning import size
from mcutils.engine.specs import CurveSpec, DataSpec, OriginalSpec, ProfileSpec, TraceSpec, UntrainedSpec, plain
from mcutils.engine.store import Store
from mcutils.errors import BadInput
from mcutils.measures.connectivity import SUMMARY, connectivity, forget_gap, levels_of
from mcutils.measures.metrics import METRICS, correct, measure
from mcutils.measures.profiles import COMPARED, HALVED, PARTS, Profile, closeness, levels_kept, profile, shares
from mcutils.measures.readings import LEVELLED, LEVELS, READ, READINGS, from_curves, tolerances
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


def test_halves_are_the_metrics_of_every_second_example(curve):
    for first in (0, 1):
        right = correct(CURVE, "forget")[:, first::2].mean(axis=1)
        np.testing.assert_allclose(curve.arrays[f"half/{first}/accuracy_forget"], right)
        assert {name for name in curve.arrays if name.startswith(f"half/{first}/")} == {
            f"half/{first}/{name}" for name in HALVED
        }
    assert not np.array_equal(curve.arrays["half/0/zrf"], curve.arrays["half/1/zrf"])


def test_a_profile_keeps_the_level_of_the_original(curve):
    assert curve.original["loss_forget"] == measure(ORIGINAL, "loss_forget")["loss_forget"][0]
    assert curve.original["accuracy_retain"] == correct(ORIGINAL, "retain").mean()


def test_a_metric_that_a_profile_lacks_names_its_traces_and_what_computes_it(curve):
    lacking = Profile({n: v for n, v in curve.arrays.items() if n not in ("metric/zrf", "metric/loss_test")})
    message = r"holds no 'zrf', .* path itself, an untrained network, and .* --metric zrf, .* computes just these"
    with pytest.raises(BadInput, match=message):
        lacking.metric("zrf")
    with pytest.raises(BadInput, match=r"traces of the model or path itself, and .* --metric loss_test, "):
        lacking.metric("loss_test")


@pytest.mark.parametrize("one", [CURVE, MODEL], ids=["curve", "model"])
def test_a_trace_of_some_splits_gives_what_these_say_and_nothing_else(one, curve, model):
    whole, cut = curve if one is CURVE else model, one.only(("retain", "forget"))
    found = profile(cut, ORIGINAL, RETRAINED, RANDOM, bootstrap=30)
    assert found.splits == ("retain", "forget") and whole.splits == ("retain", "forget", "valid", "test")
    assert found.arrays.keys() < whole.arrays.keys()
    for name, values in found.arrays.items():
        assert values.tobytes() == whole.arrays[name].tobytes(), name
    lost = whole.arrays.keys() - found.arrays.keys()
    read = {f"metric/{name}" for name, m in METRICS.items() if {"valid", "test"} & set(m.splits)}
    assert read <= lost
    other = ("score/", "half/")  # of all splits
    assert all("test" in name or "valid" in name or name.startswith(other) or name in read for name in lost)
    with pytest.raises(BadInput, match="no 'TA', which reads test examples: its trace is of retain, forget alone"):
        found.metric("TA")
    if len(one.t) > 1:
        assert found.connectivity.mcu_eps("floor") == whole.connectivity.mcu_eps("floor")
    # References of these splits alone give the same.
    references = [r.only(("retain", "forget")) for r in (ORIGINAL, *RETRAINED, RANDOM)]
    again = profile(cut, references[0], references[1:3], references[3], bootstrap=30)
    assert all(np.array_equal(again.arrays[name], values) for name, values in found.arrays.items())


@pytest.mark.parametrize("share", [0.1, 0.25, 0.3, 0.4, 0.9])
def test_without_test_images_a_collapse_is_seen_by_the_retain_accuracy(share):
    one = trace(right={"retain": share, "forget": 0.9, "valid": 0.9, "test": 0.9}, seed=7)
    found = profile(one.only(("retain", "forget")), ORIGINAL, RETRAINED, RANDOM, bootstrap=5)
    actual, chance = float(correct(one, "retain").mean()), 1 / one.logits["retain"].shape[-1]
    assert bool(found.collapsed) == (actual <= chance + 0.1 * (1 - chance))
    assert all("retain accuracy" in reason for reason in found.collapsed)
    assert not profile(one, ORIGINAL, RETRAINED, RANDOM, bootstrap=5).collapsed


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
    direct = connectivity(CURVE, gap=curve.gap, retrained=RETRAINED, original=ORIGINAL, n_boot=30)
    found = curve.connectivity
    assert found.measures == direct.measures
    np.testing.assert_array_equal(found.t, CURVE.t)
    for name, values in direct.curves.items():
        np.testing.assert_array_equal(found.curves[name], values)
        np.testing.assert_allclose(found.bands[name], direct.bands[name], rtol=1e-6)  # kept in float32
    assert set(found.replicates) == {*SUMMARY, *READ, *tolerances(direct.measures, 1.0)}
    for name, values in found.replicates.items():
        assert values.dtype == np.float64
        near = 1e-6 if name in SUMMARY else 1e-3  # kept in float32, and in float16
        np.testing.assert_allclose(values, direct.replicates[name], rtol=near, atol=near / 1000)
    for accuracy in (False, True):
        one, other = (c.readings(accuracy=accuracy).set_index("reading") for c in (found, direct))
        numbers = one.columns.drop(["unit", "meaning"])
        np.testing.assert_allclose(one[numbers], other[numbers], rtol=1e-3, atol=1e-6)
        assert len(one) == len(READINGS) and np.isfinite(one[numbers].to_numpy()).all()


# Readings of "connected"


def without(one, *groups, names=()):
    """A profile without arrays of some groups, or whose name ends so."""
    kept = {n: v for n, v in one.arrays.items() if not n.startswith(groups) and not n.endswith(tuple(names) or ("\0",))}
    return Profile(kept)


def test_what_is_kept_of_the_readings_follows_from_the_kept_curves_and_levels(curve):
    derived = from_curves(curve.connectivity.curves, curve.t, curve.levels, curve.gap)
    assert set(READ) < set(derived)
    for name, value in derived.items():
        assert curve.arrays[f"measure/{name}"] == value, name
    for name, values in levels_of(RETRAINED).items():
        np.testing.assert_array_equal(curve.levels[name], values)


def as_computed_before(one):
    """A profile as those kept before the readings: without them, levels and images known again."""
    late = {f"_{reading}" for reading in READINGS}
    old = {n for n in one.arrays if n.startswith(("level/", "known/", "metric/known_again_", "metric/right_between_"))}
    old |= {n for n in one.arrays if n.startswith(("measure/", "replicates/")) and any(n.endswith(e) for e in late)}
    return Profile({n: v for n, v in one.arrays.items() if n not in old})


def test_a_profile_kept_before_gives_what_its_curves_allow_and_the_rest_beside_levels(curve, tmp_path):
    as_computed_before(curve).save(tmp_path / "old.npz")
    old = Profile.load(tmp_path / "old.npz")
    assert old.levels == {} and not [n for n in old.arrays if "floor" in n or "worse_end" in n]
    assert list(old.connectivity.readings()["reading"]) == [r for r in READINGS if r not in LEVELLED]
    with pytest.raises(BadInput, match="the reading 'floor' needs the retrained models' levels"):
        old.connectivity.barrier("floor")
    models = [profile(one, ORIGINAL, RETRAINED, RANDOM) for one in RETRAINED]
    for levels in (levels_kept(models), levels_of(RETRAINED)):
        found = old.with_levels(levels).connectivity
        assert found.measures == curve.connectivity.measures
    assert "level/loss_retain" not in old.arrays and np.isnan(found.interval("deficit_forget_floor").low)


def test_other_levels_replace_those_kept(curve):
    levels = {name: np.array([0.25, 0.75]) for name in LEVELS}
    found = curve.with_levels(levels).connectivity
    loss = curve.connectivity.curves["loss_forget"]
    assert found.deficit("retrained") == pytest.approx(abs(loss - 0.5).max())
    assert found["deficit_forget_retrained"] != curve.connectivity["deficit_forget_retrained"]
    assert np.isnan(found.interval("deficit_forget_retrained").low)  # those kept were of the other levels
    for name in ("barrier_retain", "deficit_forget_worse_end", "two_sided_forget"):
        assert found[name] == curve.connectivity[name]
        np.testing.assert_array_equal(found.replicates[name], curve.connectivity.replicates[name])
    odd = Profile({**curve.arrays, "metric/mine_floor": curve.t}).with_levels(levels)
    assert "metric/mine_floor" in odd.arrays


@pytest.mark.parametrize(
    "bad",
    [None, {}, {"loss_retain": [0.1]}, {n: 0.1 for n in LEVELS}, {n: [[0.1]] for n in LEVELS}, {n: [] for n in LEVELS},
     {n: ["a"] for n in LEVELS},
     {n: [0.1] * (1 + (n == "loss_forget")) for n in LEVELS}, {n: [[0.1], [0.1, 0.2]] for n in LEVELS}, [0.1]],
)  # fmt: skip
def test_levels_that_are_none_are_refused(curve, bad):
    with pytest.raises(BadInput, match=r"must be (real numbers|a dictionary)"):
        curve.with_levels(bad)


def test_half_keeps_replicates_in_float16_and_only_those_that_others_do_not_give(curve):
    found = profile(CURVE, ORIGINAL, RETRAINED, RANDOM, bootstrap=30, half=True)
    kept = {n: v for n, v in found.arrays.items() if n.startswith("replicates/")}
    assert {v.dtype.str for v in kept.values()} == {"<f2"} and not [n for n in kept if "mcu" in n]
    same = found.arrays.keys() - kept.keys()
    assert all(found.arrays[n].tobytes() == curve.arrays[n].tobytes() for n in same)
    one, other = found.connectivity, curve.connectivity
    assert one.measures == other.measures and one.replicates.keys() == other.replicates.keys()
    for name, values in other.replicates.items():
        np.testing.assert_allclose(one.replicates[name], values, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("points", "splits"), [(11, ("retain", "forget")), (31, ())])
def test_the_planned_size_is_roughly_that_of_a_file(points, splits, tmp_path):
    """Of curves and models whose examples differ as real ones do."""

    def noisy(one):
        rng = np.random.default_rng(0)
        return replace(one, logits={s: v + rng.normal(0, 1, v.shape[1:]) for s, v in one.logits.items()})

    path = noisy(trace(points, n=400, classes=10, seed=5))
    sure = noisy(trace(n=400, classes=10, margin=5.0, seed=1))
    trained = noisy(trace(n=400, classes=10, right=0.7, seed=2))
    found = profile(path.only(splits or path.logits), sure, [trained] * 2, sure, bootstrap=200, half=True)
    found.save(tmp_path / "one.npz")
    of = TraceSpec(OriginalSpec(DataSpec("digits"), "convnet", 4, 0, Plan()), 0.1)
    spec = ProfileSpec(
        TraceSpec(CurveSpec(of.model, of.model, 0.1), 0.1, points, splits=splits), of, (of,), of, half=True
    )
    assert size(plain(spec)) == pytest.approx((tmp_path / "one.npz").stat().st_size, rel=0.3)


def test_replicates_beyond_the_range_of_float16_stop_at_its_limit():
    broken = trace(5, seed=8)
    wrong = (broken.labels["forget"] + 1) % 4
    broken.logits["forget"][2, np.arange(40), wrong] = 65504
    broken.logits["forget"][2, np.arange(40), broken.labels["forget"]] = -65504
    found = profile(broken, ORIGINAL, RETRAINED, RANDOM, bootstrap=5, half=True)
    assert (found.arrays["replicates/deficit_forget_two_sided"] == 65504).all()
    broken.logits["retain"][-1] = np.nan
    found = profile(broken, ORIGINAL, RETRAINED, RANDOM, bootstrap=5, half=True)
    assert np.isnan(found.arrays["replicates/barrier_retain_floor"]).all()
    assert np.isnan(found.connectivity.mcu_eps("floor"))


# Images that are right inside a path alone

PATH = trace(7, right=0.5, seed=5)
MODELS = [trace(right=right, seed=k) for k, right in ((2, 0.6), (3, 0.75))]
MASKS = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((7, 40)) < 0.4)
NOWHERE = dict.fromkeys(COMPARED, np.zeros((7, 40), bool))


def planted(one, right):
    """A trace whose predictions are right exactly where the mask (T, N) of a split says so."""
    logits = {split: values.copy() for split, values in one.logits.items()}
    for split, mask in right.items():
        label = one.labels[split]
        shown = np.where(mask, label, (label + 1) % 4)
        logits[split] = 5 * (np.arange(4) == shown[..., None]).astype(np.float16)
    return replace(one, logits=logits)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(MASKS, MASKS)
def test_shares_are_those_of_a_loop_over_images_and_points(mask, others):
    path = planted(PATH, {"forget": mask})
    models = [planted(one, {"forget": others[k : k + 1]}) for k, one in enumerate(MODELS)]
    found = shares(path, models)
    for curve, among, count in (("right_between", "missed", 0), ("known_again", "never", 2)):
        known = [mask[0, i] or mask[-1, i] or any(others[k, i] for k in range(count)) for i in range(40)]
        inside = [[mask[k, i] and not known[i] for i in range(40)] for k in range(7)]
        np.testing.assert_array_equal(found[f"metric/{curve}_forget"], np.mean(inside, axis=1))
        assert found[f"known/{among}_forget"] == pytest.approx(1 - np.mean(known))
        assert found[f"metric/{curve}_forget"][[0, -1]].tolist() == [0, 0]
    backwards = replace(path, logits={split: values[::-1] for split, values in path.logits.items()})
    for name, values in shares(backwards, models).items():
        np.testing.assert_array_equal(values[::-1] if values.ndim else values, found[name])


def test_planted_images_are_found_and_no_others():
    """Three forget images come back at t = 1/2; one is known to an end, one to a retrained model, one is lost again."""
    mask = np.zeros((7, 40), bool)
    mask[3, :3], mask[3, 3], mask[0, 3], mask[3, 4] = True, True, True, True
    models = [planted(one, dict.fromkeys(COMPARED, np.arange(40)[None] == 4)) for one in MODELS]
    found = {
        name: np.round(40 * values, 9)
        for name, values in shares(planted(PATH, NOWHERE | {"forget": mask}), models).items()
    }
    assert (found["known/missed_forget"], found["known/never_forget"]) == (39, 38)
    assert found["metric/right_between_forget"].tolist() == [0, 0, 0, 4, 0, 0, 0]
    assert found["metric/known_again_forget"].tolist() == [0, 0, 0, 3, 0, 0, 0]
    for split in ("valid", "test"):
        assert found[f"known/never_{split}"] == 39 and not found[f"metric/right_between_{split}"].any()


def test_images_come_back_by_chance_no_more_often_than_unseen_ones():
    """The attack: a path that guesses in the middle. Its forget images come back, and so do test images, as many."""
    rng = np.random.default_rng(0)
    mask = {split: np.zeros((7, 40), bool) for split in COMPARED}
    for one in mask.values():
        one[1:-1] = rng.random((5, 40)) < 0.25
    none = [planted(one, dict.fromkeys(COMPARED, np.zeros((1, 40), bool))) for one in MODELS]
    found = shares(planted(PATH, mask), none)
    rates = {s: found[f"metric/known_again_{s}"].max() / found[f"known/never_{s}"] for s in COMPARED}
    assert rates["forget"] > 0.2 and abs(rates["forget"] - rates["test"]) < 0.15


def test_a_model_that_never_forgot_knows_nothing_again():
    """Right at both ends: nothing comes back, whatever the middle does. A constant path neither."""
    for mask in (np.ones((7, 40), bool), np.broadcast_to(np.arange(40) < 20, (7, 40))):
        assert not shares(planted(PATH, {"forget": mask}), MODELS)["metric/known_again_forget"].any()
    flat = replace(PATH, logits={s: np.repeat(v[:1], 7, axis=0) for s, v in PATH.logits.items()})
    assert all(not values.any() for name, values in shares(flat, MODELS).items() if name.startswith("metric/"))


def test_more_retrained_models_leave_fewer_and_copies_none():
    one, two = (shares(PATH, MODELS[:k]) for k in (1, 2))
    assert one["known/never_forget"] >= two["known/never_forget"]
    np.testing.assert_array_equal(one["metric/right_between_forget"], two["metric/right_between_forget"])
    np.testing.assert_equal(shares(PATH, MODELS * 2), two)


def test_only_splits_that_all_were_traced_on_are_compared(curve, model):
    few = [replace(m, logits={s: m.logits[s] for s in ("retain", "forget")}) for m in MODELS]
    names = ("metric/right_between", "metric/known_again", "known/missed", "known/never")
    assert set(shares(PATH, few)) == {f"{name}_forget" for name in names}
    kept = shares(CURVE, RETRAINED)
    assert set(kept) == {f"{name}_{split}" for name in names for split in COMPARED}
    np.testing.assert_equal({name: curve.arrays[name] for name in kept}, kept)
    assert not [n for n in model.arrays if "known" in n]


def test_what_is_not_finite_is_not_right():
    path = planted(PATH, {"forget": np.arange(7)[:, None] == 3})
    assert shares(path, MODELS)["metric/right_between_forget"][3] == 1
    path.logits["forget"][3] = np.nan
    assert shares(path, MODELS)["metric/right_between_forget"][3] == 0


@pytest.mark.parametrize(
    ("path", "model", "said"),
    [
        (MODELS[0], MODELS[0], "increasing values from 0 to 1"),
        (PATH, PATH, "got 7 points of a curve"),
        (PATH, replace(MODELS[0], index={**MODELS[0].index, "forget": np.arange(40)}), "other forget examples"),
    ],
)
def test_no_images_are_compared_of_other_than_a_path_and_models_on_its_examples(path, model, said):
    with pytest.raises(BadInput, match=said):
        shares(path, [model])


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
    with pytest.raises(BadInput, match="original must be one model .T = 1., got 3 points of a curve"):
        profile(CURVE, trace(3), RETRAINED, RANDOM)
    with pytest.raises(BadInput, match="gap .* must be positive"):
        profile(CURVE, RETRAINED[0], [ORIGINAL], RANDOM)
