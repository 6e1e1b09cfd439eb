import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from mcutils.errors import BadInput
from mcutils.measures import connectivity as c
from mcutils.measures.along import (
    barrier,
    excess,
    excess_variation,
    forget_deficit,
    mcu,
    mcu_literal,
    roughness,
    sign_changes,
    surplus,
    two_sided,
)
from mcutils.measures.metrics import per_example_loss
from mcutils.traces import Trace

LAW = settings(deadline=None, derandomize=True)  # a slow machine and a lucky draw change nothing
T = 9
GRID = np.linspace(0, 1, T)
CURVE = arrays(np.float64, T, elements=st.floats(-10, 10))
NUMBER = st.floats(-10, 10)


def make_trace(points=7, seed=0, sizes=(60, 50, 20, 40), classes=4, signal=3.0):
    """A trace whose networks know the labels to a degree that changes along t."""
    generator = np.random.default_rng(seed)
    labels_of = np.random.default_rng(5)
    t = np.linspace(0, 1, points) if points > 1 else np.zeros(1)
    logits, labels, index = {}, {}, {}
    for k, (split, n) in enumerate(zip(("retain", "forget", "valid", "test"), sizes, strict=True)):
        labels[split] = labels_of.integers(0, classes, n)
        base = generator.normal(size=(1, n, classes)) + signal * np.eye(classes)[labels[split]]
        logits[split] = (base * (1 - 0.5 * t * (1 - t))[:, None, None]).astype(np.float16)
        index[split] = 1000 * k + np.arange(n)
    return Trace(t, logits, labels, index, {"kind": "linear"})


@LAW
@given(CURVE, NUMBER, NUMBER)
def test_barrier_ignores_an_affine_function_of_t(v, a, b):
    shifted = v + a + b * GRID
    assert barrier(shifted, GRID) == pytest.approx(barrier(v, GRID), abs=1e-12)
    assert forget_deficit(shifted, GRID) == pytest.approx(forget_deficit(v, GRID), abs=1e-12)


@LAW
@given(st.lists(st.floats(0, 5), min_size=T - 2, max_size=T - 2), NUMBER, NUMBER)
def test_a_convex_curve_has_no_barrier(bends, a, b):
    convex = a + b * GRID
    for knot, bend in zip(GRID[1:-1], bends, strict=True):
        convex = convex + bend * np.maximum(GRID - knot, 0)
    assert 0 <= barrier(convex, GRID) <= 1e-12
    assert surplus(convex, GRID) <= 1e-12


@LAW
@given(CURVE)
def test_deficit_is_the_barrier_of_the_negative(v):
    assert forget_deficit(v, GRID) == barrier(-v, GRID) >= 0
    assert excess(v, GRID)[0] == 0 == excess(v, GRID)[-1]
    assert 0 <= surplus(v, GRID) <= barrier(v, GRID) + 1e-12


@LAW
@given(CURVE, CURVE, st.floats(0.1, 5), arrays(np.float64, 6, elements=st.floats(0, 20)))
def test_mcu_is_monotone_in_eps_and_matches_the_inequalities(retain, forget, gap, eps):
    eps = np.sort(eps)
    b, d = barrier(retain, GRID), forget_deficit(forget, GRID)
    holds = mcu(b, d, eps * gap, eps * gap)
    assert holds.shape == (6,) and (np.diff(holds.astype(int)) >= 0).all()
    for e, h in zip(eps, holds, strict=True):
        chord = [(1 - GRID) * v[0] + GRID * v[-1] for v in (retain, forget)]
        brute = (retain - chord[0] <= e * gap).all() and (forget - chord[1] >= -e * gap).all()
        assert h == brute
    assert mcu_literal(retain, forget, GRID, tol=30.0)


def test_literal_inequalities():
    straight = 0.1 + 0.7 * GRID
    bump = GRID * (1 - GRID)
    assert mcu_literal(straight, straight, GRID)
    assert mcu_literal(straight - bump, straight + bump, GRID)
    assert not mcu_literal(straight + bump, straight, GRID)
    assert not mcu_literal(straight, straight - bump, GRID)
    assert mcu_literal(straight + bump, straight - bump, GRID, tol=0.25)
    assert not mcu_literal(straight + bump, straight - bump, GRID, tol=0.24)
    assert not mcu_literal(np.where(GRID == 0.5, np.inf, straight), straight, GRID)


def test_closed_forms_of_a_parabola():
    t = np.linspace(0, 1, 101)
    v = 2 + t + 4 * t * (1 - t)
    assert barrier(v, t) == pytest.approx(1)
    assert forget_deficit(v, t) == 0
    assert surplus(v, t) == pytest.approx(4 / 6, rel=1e-3)
    assert roughness(v, t) == pytest.approx(64)
    # v' = 5 - 8 t: up to t = 5/8, then down.
    up = 5 * 0.62 - 4 * 0.62**2
    assert excess_variation(v) == pytest.approx(2 * (up - 1), abs=1e-3)
    assert two_sided(v, 2.5) == pytest.approx(max(v.max() - 2.5, 0.5))


def test_roughness_does_not_depend_on_the_grid():
    uneven = np.sort(np.r_[0, np.random.default_rng(0).random(40), 1])
    for t in (np.linspace(0, 1, 16), np.linspace(0, 1, 61), uneven):
        assert roughness(3 * t**2 + t, t) == pytest.approx(36)
    assert roughness(np.array([1.0, 5.0]), np.array([0.0, 1.0])) == 0


@LAW
@given(CURVE)
def test_variation_and_turns_against_plain_loops(v):
    total = sum(abs(b - a) for a, b in zip(v[:-1], v[1:], strict=True))
    assert excess_variation(v) == pytest.approx(max(total - abs(v[-1] - v[0]), 0), abs=1e-12)
    moves = [np.sign(b - a) for a, b in zip(v[:-1], v[1:], strict=True) if b != a]
    assert sign_changes(v) == sum(a != b for a, b in zip(moves[:-1], moves[1:], strict=True))
    assert excess_variation(np.sort(v)) == pytest.approx(0, abs=1e-12) and sign_changes(np.sort(v)) == 0


def test_turns_ignore_swings_within_the_noise():
    wave = np.array([0, 1, 0.9, 2, 0, 0.05, -0.1, 3])
    assert sign_changes(wave) == 6
    assert sign_changes(wave, 0.2) == 2
    assert sign_changes(wave, 10) == 0
    stacked = np.stack([wave, -wave, wave * 0], axis=1)
    np.testing.assert_array_equal(sign_changes(stacked, 0.2), [2, 2, 0])


def test_measures_take_replicates_along_a_further_axis():
    v = np.random.default_rng(0).normal(size=(T, 5, 2))
    for function in (
        lambda x: barrier(x, GRID),
        lambda x: forget_deficit(x, GRID),
        lambda x: surplus(x, GRID),
        lambda x: roughness(x, GRID),
        excess_variation,
        sign_changes,
        lambda x: two_sided(x, 0.3),
        lambda x: mcu_literal(x, x, GRID),
    ):
        whole = function(v)
        assert whole.shape == (5, 2)
        np.testing.assert_allclose(whole[3, 1].astype(float), float(function(v[:, 3, 1])), rtol=1e-12)


def test_connectivity_matches_the_plain_functions():
    trace, retrained, original = (
        make_trace(),
        make_trace(1, seed=1, signal=2.0),
        make_trace(1, seed=2, signal=5.0),
    )
    result = c.connectivity(trace, retrained=retrained, original=original, n_boot=50)
    losses = {s: per_example_loss(trace, s).mean(1) for s in trace.logits}
    errors = {s: 1 - (trace.logits[s].argmax(-1) == trace.labels[s]).mean(1) for s in trace.logits}
    assert result["barrier_retain"] == barrier(losses["retain"], trace.t)
    assert result["deficit_forget"] == forget_deficit(losses["forget"], trace.t)
    assert result["barrier_test_accuracy"] == pytest.approx(barrier(errors["test"], trace.t), abs=1e-15)
    assert result["roughness_forget"] == roughness(losses["forget"], trace.t)
    level = per_example_loss(retrained, "forget").mean()
    assert result["two_sided_forget"] == pytest.approx(abs(losses["forget"] - level).max())
    assert result.gap == pytest.approx(level - per_example_loss(original, "forget").mean())
    worst = max(result["barrier_retain"], result["deficit_forget"])
    assert result["mcu_nats"] == worst and result["mcu_eps"] == pytest.approx(worst / result.gap)
    assert result.mcu(worst) and not result.mcu(worst * 0.999)
    assert result["literal"] == mcu_literal(losses["retain"], losses["forget"], trace.t)
    np.testing.assert_array_equal(result.curves["loss_retain"], losses["retain"])
    for name in result.measures:
        assert result.replicates[name].shape == (50,) and np.isfinite(result.replicates[name]).all()
        estimate, low, high = result.interval(name)
        assert low <= estimate <= high, name
        assert c.meaning(name)
    for name, value in result.curves.items():
        assert result.bands[name].shape == (2, 7)
        assert (result.bands[name][0] <= value + 0.05).all() and (result.bands[name][1] >= value - 0.05).all()


def test_bootstrap_matches_resampling_the_examples():
    trace = make_trace()
    result = c.connectivity(trace, n_boot=20, seed=3)
    weights = c.resamples("retain", 60, 20, 3)
    counts = np.rint(weights * 60).astype(int)
    assert (counts.sum(1) == 60).all()
    for b in range(20):
        rows = np.repeat(np.arange(60), counts[b])
        resampled = per_example_loss(trace, "retain")[:, rows].mean(1)
        assert result.replicates["barrier_retain"][b] == pytest.approx(barrier(resampled, trace.t), abs=1e-12)


def test_resamples_are_shared_between_curves_and_kept_apart_between_splits():
    assert c.resamples("retain", 30, 5, 0) is c.resamples("retain", 30, 5, 0)
    assert (c.resamples("retain", 30, 5, 0) != c.resamples("forget", 30, 5, 0)).any()
    assert (c.resamples("retain", 30, 5, 0) != c.resamples("retain", 30, 5, 1)).any()
    with pytest.raises(ValueError, match="read-only"):
        c.resamples("retain", 30, 5, 0)[0, 0] = 1
    one, two = (c.connectivity(make_trace(), n_boot=10) for _ in range(2))
    np.testing.assert_array_equal(one.replicates["mcu_nats"], two.replicates["mcu_nats"])


def test_a_paper_sized_bootstrap_is_quick():
    trace = make_trace(31, sizes=(1000, 900, 1000, 2000), classes=10)
    start = time.process_time()
    c.connectivity(trace, gap=0.5)
    assert time.process_time() - start < 2


def test_no_replicates_gives_no_interval():
    result = c.connectivity(make_trace(), n_boot=0)
    estimate, *bounds = result.interval("barrier_retain")
    assert estimate == result["barrier_retain"] and np.isnan(bounds).all()
    np.testing.assert_array_equal(result.bands["loss_test"][0], result.curves["loss_test"])


def test_the_summary_and_the_table_can_be_read():
    result = c.connectivity(make_trace(), gap=0.4, n_boot=10)
    assert "barrier_retain" in repr(result) and "units of the gap G" in repr(result)
    assert list(result.table().columns) == ["measure", "estimate", "low", "high", "meaning"]
    assert len(result.table()) == len(result.measures)
    assert "<table" in result._repr_html_()


def test_the_summary_shows_how_smooth_the_path_is_for_retain_and_forget():
    result = c.connectivity(make_trace(), gap=0.4, n_boot=10)
    for text in (repr(result), result._repr_html_()):
        assert "total variation minus net change" in text and "mean squared second derivative" in text
        for name in c.SMOOTHNESS:
            assert name in text and f"{result[name]:.4f}" in text
    assert c.SMOOTHNESS == ("variation_retain", "variation_forget", "roughness_retain", "roughness_forget")
    bare = repr(c.connectivity(make_trace(), n_boot=0))
    assert "nan" not in bare and f"{result['barrier_retain']:.4f}" in bare


def test_collapse_is_flagged_at_the_ends_only():
    trace = make_trace()
    assert c.collapsed(trace) == ()
    logits = {s: v.copy() for s, v in trace.logits.items()}
    logits["test"][3] = 0
    assert c.collapsed(Trace(trace.t, logits, trace.labels, trace.index, {})) == ()
    logits["test"][-1] = np.roll(logits["test"][-1], 1, axis=-1)
    logits["forget"][0, 0, 0] = np.nan
    broken = Trace(trace.t, logits, trace.labels, trace.index, {})
    first, last = c.collapsed(broken)
    assert first == "t = 0: the forget loss is not finite"
    assert last.startswith("t = 1: test accuracy") and "near chance (0.250)" in last
    result = c.connectivity(broken, gap=1.0, n_boot=5)
    assert result.collapsed == (first, last) and not result.mcu(100.0) and "excluded" in repr(result)
    assert np.isnan(result["deficit_forget"]) and np.isfinite(result["barrier_retain"])


def test_bad_input_is_one_clear_sentence():
    trace, single = make_trace(), make_trace(1)
    with pytest.raises(BadInput, match=r"increasing values from 0 to 1; given \[0\.\]"):
        c.connectivity(single)
    for t in ([0, 0.5], [0, 0.7, 0.5, 1], [[0, 1]], [0.1, 1], [0, np.nan, 1]):
        with pytest.raises(BadInput, match="increasing values from 0 to 1"):
            barrier(np.zeros(len(t)), t)
    with pytest.raises(BadInput, match="values have 3 points along the curve and t has 9"):
        barrier(np.zeros(3), GRID)
    for gap in (0.0, -0.1, np.nan):
        with pytest.raises(BadInput, match="must be positive"):
            c.connectivity(trace, gap=gap)
    with pytest.raises(BadInput, match="retrained must be one model .T = 1., got 7 points"):
        c.forget_gap(trace, single)
    with pytest.raises(BadInput, match="retrained must be one model"):
        c.connectivity(trace, retrained=trace)
    with pytest.raises(BadInput, match="unknown measure 'barier_retain': choose one of"):
        c.connectivity(trace, n_boot=0)["barier_retain"]
    partial = Trace(trace.t, {"retain": trace.logits["retain"]}, trace.labels, trace.index, {})
    with pytest.raises(BadInput, match="needs the splits retain and forget; the trace holds retain."):
        c.connectivity(partial)
