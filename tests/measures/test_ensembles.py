"""Ensembles: means of probabilities by hand, exact decompositions, placements, and the identities of mean weights."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.integrate import quad
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from synthetic import trace

from mcutils.curves import CURVES, Curve, line
from mcutils.errors import BadInput
from mcutils.measures import metrics
from mcutils.measures.ensembles import (
    PLACEMENTS,
    SIZES,
    ambiguity,
    better_end,
    calibration_error,
    chosen,
    disagreement,
    ensemble,
    mean_coefficients,
    mean_weights,
    members,
    possible,
    scores,
    together,
    uniform,
)
from mcutils.models.vision import build
from mcutils.weights import refresh_batchnorm, weights_of

PATH = trace(7, right=0.6, margin=1.0, seed=3)
LAWS = settings(deadline=None, derandomize=True, max_examples=20)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, points=4, n=25, classes=3):
    """A trace of random logits on one split."""
    rng = np.random.default_rng(seed)
    found = {"test": rng.normal(0, 3, (points, n, classes))}
    labels = {"test": rng.integers(0, classes, n)}
    return replace(PATH, t=np.linspace(0, 1, points), logits=found, labels=labels, index={"test": np.arange(n)})


def test_an_ensemble_is_the_mean_probability_and_has_every_metric():
    found = ensemble(PATH, [0, 2, 5])
    for split in PATH.logits:
        expected = softmax(PATH.logits[split].astype(float), axis=-1)[[0, 2, 5]].mean(axis=0)
        assert np.allclose(softmax(found.logits[split].astype(float), axis=-1)[0], expected, atol=1e-6)
        assert metrics.accuracy(found, split) == (expected.argmax(-1) == PATH.labels[split]).mean()
        own = -np.log(expected[np.arange(40), PATH.labels[split]]).mean()
        assert metrics.mean_loss(found, split)[0] == pytest.approx(own, abs=1e-6)
    assert found.t.tolist() == [0] and found.meta["members"] == "0 2 5"
    assert metrics.measure(found, "UA")["UA"].shape == (1,)
    one = ensemble(PATH, [4])
    assert np.allclose(metrics.mean_loss(one, "test"), metrics.mean_loss(PATH, "test")[4], atol=1e-6)


def test_models_of_anywhere_make_an_ensemble():
    models = [trace(seed=k) for k in range(3)]
    stacked = together(models)
    assert stacked.t.tolist() == [0, 0.5, 1] and np.array_equal(stacked.logits["test"][1], models[1].logits["test"][0])
    assert np.array_equal(ensemble(models).logits["test"], ensemble(stacked).logits["test"])
    assert set(together([models[0], models[1].only(["test"])]).logits) == {"test"}
    assert together(models[:1]).t.tolist() == [0]
    other = replace(models[1], index={**models[1].index, "test": models[1].index["test"] + 1})
    with pytest.raises(BadInput, match="different test examples"):
        together([models[0], other])
    for bad in ([], 3):
        with pytest.raises(BadInput):
            ensemble(bad)
    for which in ([], [7], [0.5]):
        with pytest.raises(BadInput):
            ensemble(PATH, which)


@LAWS
@given(SEEDS)
def test_gains_are_exact_and_never_negative(seed):
    path = drawn(seed)
    found = ambiguity(path, "test")
    for name in ("brier", "loss"):
        gain = found[f"{name}/gain"]
        assert gain >= -1e-12 and found[f"{name}/members"] - gain == pytest.approx(found[f"{name}/ensemble"])
    assert found["loss/members"] == pytest.approx(metrics.mean_loss(path, "test").mean())
    assert found["loss/ensemble"] == pytest.approx(metrics.mean_loss(ensemble(path), "test")[0], abs=1e-5)
    same = replace(path, logits={"test": path.logits["test"][[1, 1, 1, 1]]})
    assert ambiguity(same, "test")["loss/gain"] == pytest.approx(0, abs=1e-12)
    assert disagreement(same, "test") == 0


@LAWS
@given(SEEDS)
def test_disagreement_counts_pairs(seed):
    path = drawn(seed)
    classes = path.logits["test"].argmax(-1)
    pairs = [np.mean(classes[i] != classes[j]) for i, j in combinations(range(4), 2)]
    assert disagreement(path, "test") == pytest.approx(np.mean(pairs))
    assert np.isnan(disagreement(drawn(seed, points=1), "test"))


@LAWS
@given(SEEDS, st.integers(1, 20))
def test_the_calibration_error_is_that_of_a_loop_and_of_scikit_learn(seed, bins):
    path = drawn(seed, points=2, n=60)
    p = softmax(path.logits["test"], axis=-1)
    for k in range(2):
        confidence, right = p[k].max(-1), p[k].argmax(-1) == path.labels["test"]
        total = 0.0
        for b in range(bins):
            inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
            if inside.any():
                total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
        assert calibration_error(path, "test", bins)[k] == pytest.approx(total)
        frequency, mean = calibration_curve(right, confidence, n_bins=bins)
        counts = np.histogram(confidence, np.linspace(0, 1, bins + 1))[0]
        assert total == pytest.approx((counts[counts > 0] / 60) @ abs(frequency - mean))


def test_calibration_of_the_sure_and_the_lost():
    one = drawn(0, points=1)
    sure = replace(one, logits={"test": 900.0 * np.eye(3)[one.labels["test"]][None]})
    assert calibration_error(sure, "test") == pytest.approx(0)
    wrong = replace(sure, logits={"test": np.roll(sure.logits["test"], 1, axis=-1)})
    assert calibration_error(wrong, "test") == pytest.approx(1)
    lost = replace(sure, logits={"test": np.full_like(sure.logits["test"], np.nan)})
    assert np.isnan(calibration_error(lost, "test")).all() and np.isnan(ensemble(lost).logits["test"]).all()
    with pytest.raises(BadInput, match="bins"):
        calibration_error(sure, "test", 0)


def test_uniform_places_on_the_grid_of_31():
    t = np.linspace(0, 1, 31)
    assert uniform(t, 3) == (0, 15, 30) and uniform(t, 2) == (0, 30) and uniform(t, 31) == tuple(range(31))
    assert uniform(t, 5) == (0, 7, 15, 23, 30) and uniform(t, 1) == (15,)
    inner = uniform(t, 3, 0.25, 0.75)
    assert inner == (8, 15, 22)
    for size in SIZES:
        assert len(set(uniform(t, size))) == size and uniform(t, size)[0] == 0
    with pytest.raises(BadInput, match="31 points has not 31 different"):
        uniform(t, 31, 0.25, 0.75)
    with pytest.raises(BadInput, match="5 points has not 9"):
        uniform(np.linspace(0, 1, 5), 9)


def test_what_a_grid_has_room_for():
    room = {
        (n, size, p) for n in (11, 31) for size in SIZES for p in PLACEMENTS if possible(np.linspace(0, 1, n), size, p)
    }
    assert {size for n, size, p in room if (n, p) == (31, "inner")} == {2, 3, 5, 9}
    assert {size for n, size, p in room if (n, p) == (11, "inner")} == {2, 3, 5}
    assert {size for n, size, p in room if (n, p) == (11, "uniform")} == {2, 3, 5, 9}
    assert {size for n, size, p in room if (n, p) == (31, "validation")} == set(SIZES)


def test_members_chosen_on_validation_data_are_the_best_partner_each():
    for size in (1, 2):
        found = chosen(PATH, size)
        losses = {k: metrics.mean_loss(ensemble(PATH, k), "valid")[0] for k in combinations(range(7), size)}
        if size == 1:
            (best,) = min(losses, key=losses.get)
            assert found == (best,)
        else:
            assert best in found and losses[found] == min(loss for k, loss in losses.items() if best in k)
    assert members(PATH, 2, "validation") == chosen(PATH, 2) and chosen(PATH, 7) == tuple(range(7))
    assert members(PATH, 3) == (0, 3, 6) and members(PATH, 3, "inner") == (2, 3, 4)
    shuffled = replace(PATH, labels={**PATH.labels, "test": PATH.labels["test"][::-1]})
    assert chosen(shuffled, 3) == chosen(PATH, 3), "test data chooses nothing"
    with pytest.raises(BadInput, match="placement"):
        members(PATH, 2, "best")


def test_the_better_end_is_that_of_validation_data():
    worse = {split: np.array(values) for split, values in PATH.logits.items()}
    worse["valid"][0] = -worse["valid"][0]
    assert better_end(replace(PATH, logits=worse)) == 6
    worse["valid"][0], worse["valid"][-1] = PATH.logits["valid"][0], -PATH.logits["valid"][-1]
    assert better_end(replace(PATH, logits=worse)) == 0
    assert set(scores(PATH)) == {f"{n}/{s}" for n in ("accuracy", "loss", "calibration") for s in PATH.logits}


@pytest.mark.parametrize(("kind", "points"), [("linear", 2), ("bezier", 3), ("bezier", 5), ("chain", 2), ("chain", 4)])
def test_mean_coefficients_are_integrals(kind, points):
    found = mean_coefficients(kind, points)
    bends = [j / (points - 1) for j in range(1, points - 1)] if kind == "chain" else None
    for j in range(points):
        value, _ = quad(lambda t, j=j: CURVES[kind](points, t)[j], 0, 1, points=bends or None)
        assert found[j] == pytest.approx(value, abs=1e-9)
    t = np.linspace(0, 1, 4001)
    assert np.allclose(mean_coefficients(kind, points, t), found, atol=1e-3)


def test_the_identities_of_mean_weights():
    for t in ([0, 1], [0, 0.2, 0.8, 1], np.linspace(0, 1, 31)):
        assert np.allclose(mean_coefficients("linear", 2, t), [0.5, 0.5])
    assert np.allclose(mean_coefficients("bezier", 3), 1 / 3)
    assert np.allclose(mean_coefficients("bezier", 3, [0, 0.5, 1]), [5 / 12, 1 / 6, 5 / 12])
    assert np.allclose(mean_coefficients("bezier", 3, [0, 0.5, 1], [1 / 6, 2 / 3, 1 / 6]), 1 / 3)  # Simpson: exact
    for bad in ({"t": None, "weights": [1]}, {"t": [0, 1], "weights": [1, 1]}, {"t": [0, 1], "weights": [1]}):
        with pytest.raises(BadInput, match="weights"):
            mean_coefficients("linear", 2, **bad)
    with pytest.raises(BadInput, match="linear curve has 2 points"):
        mean_coefficients("linear", 3)


def test_mean_weights_are_the_midpoint_and_the_third_of_all(tiny):
    a, m, b = (weights_of(build("convnet", 1, 10, seed, width=2), "convnet") for seed in range(3))
    middle = mean_weights(line(a, b), tiny, [0, 0.3, 0.7, 1])
    thirds = mean_weights(Curve("bezier", (a, m, b)), tiny)
    for name in a.params:
        assert torch.allclose(middle.params[name], (a.params[name] + b.params[name]) / 2, atol=1e-7)
        assert torch.allclose(thirds.params[name], (a.params[name] + m.params[name] + b.params[name]) / 3, atol=1e-7)
    again = refresh_batchnorm(thirds, tiny.inputs("bn"))
    assert all(torch.equal(thirds.buffers[name], again.buffers[name]) for name in again.buffers)
    assert not torch.equal(thirds.buffers["1.running_mean"], a.buffers["1.running_mean"])
