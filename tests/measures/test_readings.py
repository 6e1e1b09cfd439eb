"""Readings of "connected" against plain loops, closed forms and what somebody would try to slip past them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from synthetic import trace

from mcutils.errors import BadInput
from mcutils.measures import readings as r
from mcutils.measures.along import barrier, forget_deficit
from mcutils.measures.connectivity import connectivity, forget_gap, levels_of, meaning, resamples
from mcutils.measures.metrics import correct, per_example_loss

LAW = settings(deadline=None, derandomize=True)
T = 7
GRID = np.array([0, 0.1, 0.3, 0.5, 0.6, 0.85, 1.0])  # uneven, and no mirror image of itself
CURVE = arrays(np.float64, T, elements=st.floats(-10, 10))
NUMBER = st.floats(-10, 10)
NEAR = 1e-12

ORIGINAL = trace(margin=5.0, seed=1)
RETRAINED = [
    trace(right={"retain": 0.9, "valid": 0.7, "test": 0.7, "forget": f}, seed=k) for k, f in ((2, 0.7), (3, 0.6))
]
PATH = trace(5, seed=5)


def brute(reading, retain, forget, t, level_r, level_f):
    """Barrier and deficit point by point."""
    rise, dip = 0.0, 0.0
    for k, at in enumerate(t):
        c_r, c_f = ((1 - at) * v[0] + at * v[-1] for v in (retain, forget))
        top = {"floor": max(c_r, level_r), "worse_end": max(retain[0], retain[-1])}.get(reading, c_r)
        low = {"floor": min(c_f, level_f), "worse_end": min(forget[0], forget[-1]), "retrained": level_f}
        below = low.get(reading, c_f) - forget[k]
        rise, dip = max(rise, retain[k] - top), max(dip, abs(below) if reading in ("two_sided", "retrained") else below)
    return rise, dip


@pytest.mark.parametrize("reading", r.READINGS)
@LAW
@given(CURVE, CURVE, NUMBER, NUMBER)
def test_every_reading_against_a_loop(reading, retain, forget, level_r, level_f):
    found = r.barrier_by(reading, retain, GRID, level_r), r.deficit_by(reading, forget, GRID, level_f)
    assert found == pytest.approx(brute(reading, retain, forget, GRID, level_r, level_f), abs=NEAR)
    assert min(found) >= 0


@LAW
@given(CURVE, NUMBER)
def test_the_chord_is_the_strictest_one_sided_reading(v, level):
    for reading in ("floor", "worse_end"):
        assert r.barrier_by(reading, v, GRID, level) <= r.barrier_by("chord", v, GRID) + NEAR
        assert r.deficit_by(reading, v, GRID, level) <= r.deficit_by("chord", v, GRID) + NEAR
    assert r.barrier_by("chord", v, GRID) == barrier(v, GRID) and r.deficit_by("chord", v, GRID) == forget_deficit(
        v, GRID
    )
    assert r.deficit_by("two_sided", v, GRID) == max(barrier(v, GRID), forget_deficit(v, GRID))


@LAW
@given(CURVE, NUMBER)
def test_the_retrained_level_counts_only_where_the_ends_are_beyond_it(v, level):
    chord = (1 - GRID) * v[0] + GRID * v[-1]
    if level <= chord.min():
        assert r.barrier_by("floor", v, GRID, level) == pytest.approx(barrier(v, GRID), abs=NEAR)
        assert r.deficit_by("floor", v, GRID, level) == pytest.approx(max((level - v).max(), 0), abs=NEAR)
    if level >= chord.max():
        assert r.deficit_by("floor", v, GRID, level) == pytest.approx(forget_deficit(v, GRID), abs=NEAR)
        assert r.barrier_by("floor", v, GRID, level) == pytest.approx(max((v - level).max(), 0), abs=NEAR)


@LAW
@given(CURVE, NUMBER)
def test_walking_a_path_backwards_changes_nothing(v, level):
    for function in (r.barrier_by, r.deficit_by):
        for reading in r.READINGS:
            back = function(reading, v[::-1], 1 - GRID[::-1], level)
            assert back == pytest.approx(function(reading, v, GRID, level), abs=NEAR)


@pytest.mark.parametrize("reading", r.READINGS)
@LAW
@given(NUMBER, NUMBER)
def test_a_constant_path_is_connected_by_every_reading(reading, value, level):
    flat = np.full(T, value)
    assert r.barrier_by(reading, flat, GRID, level) == pytest.approx(0, abs=NEAR)
    away = abs(value - level) if reading == "retrained" else 0  # from the retrained models, all along
    assert r.deficit_by(reading, flat, GRID, level) == pytest.approx(away, abs=NEAR)


def test_closed_forms_of_parabolas():
    """Ends over-forgotten at 1.0, retrained models at 0.43: a dip to 0.6 is a dip, one to 0.3 goes below retraining."""
    t = np.linspace(0, 1, 31)
    for bottom, below in ((0.6, 0.0), (0.3, 0.13)):
        forget = 1.0 - 4 * (1 - bottom) * t * (1 - t)
        lowest = 1.0 - 4 * (1 - bottom) * t[15] * (1 - t[15])
        assert t[15] == 0.5 and lowest == pytest.approx(bottom)
        assert r.deficit_by("chord", forget, t) == pytest.approx(1 - bottom)
        assert r.deficit_by("floor", forget, t, 0.43) == pytest.approx(below)
        assert r.deficit_by("worse_end", forget, t) == pytest.approx(1 - bottom)
        assert r.deficit_by("retrained", forget, t, 0.43) == pytest.approx(0.57)
    tilted = 0.5 + 0.5 * t - 4 * 0.1 * t * (1 - t)  # below its chord by 0.1, below its lower end by less
    at = (0.5 - 0.4) / (2 * 0.4)  # where 0.5 + 0.1 t + 0.4 t^2 is lowest is t = -1/8: it never falls
    assert (
        at > 0 and r.deficit_by("worse_end", tilted, t) == 0 and r.deficit_by("chord", tilted, t) == pytest.approx(0.1)
    )


def test_a_forget_loss_that_rises_two_gaps_is_seen_only_from_both_sides():
    t = np.linspace(0, 1, 11)
    forget = 0.5 + 8 * t * (1 - t)
    blind, seeing = ("chord", "floor", "worse_end"), ("two_sided", "retrained")
    assert [r.deficit_by(one, forget, t, 0.5) for one in blind] == [0, 0, 0]
    assert [r.deficit_by(one, forget, t, 0.5) for one in seeing] == pytest.approx([2, 2])


def test_what_is_not_finite_never_counts_as_connected():
    t = np.linspace(0, 1, 3)
    for bad in (np.nan, np.inf):
        for k in range(3):
            v = np.zeros(3)
            v[k] = bad
            for reading in r.READINGS:
                assert not r.barrier_by(reading, v, t, 0.1) <= 1e9
                assert not r.deficit_by(reading, -v, t, 0.1) <= 1e9
    for reading in r.LEVELLED:
        assert np.isnan(r.deficit_by(reading, np.zeros(3), t, np.nan))


def test_replicates_and_their_levels_go_along_a_further_axis():
    rng = np.random.default_rng(0)
    v, level = rng.normal(size=(T, 5)), rng.normal(size=5)
    for function in (r.barrier_by, r.deficit_by):
        for reading in r.READINGS:
            found = function(reading, v, GRID, level)
            assert found.shape == (5,)
            for k in range(5):
                assert found[k] == pytest.approx(function(reading, v[:, k], GRID, level[k]), rel=NEAR)
            # A level for each t is not a level, even where the numbers would broadcast.
            if reading in r.LEVELLED and (function is r.deficit_by or reading in r.OWN_BARRIER):
                with pytest.raises(BadInput, match=r"level must be a number or of shape \(7,\)"):
                    function(reading, rng.normal(size=(T, T)), GRID, np.zeros((T, 1)))
                with pytest.raises(BadInput, match="needs the retrained models' level"):
                    function(reading, v, GRID)


# Names


def test_names_say_measure_and_reading():
    assert r.pair_of("chord") == ("barrier_retain", "deficit_forget")
    assert r.pair_of("floor", accuracy=True) == ("barrier_retain_accuracy_floor", "deficit_forget_accuracy_floor")
    assert r.pair_of("two_sided") == ("barrier_retain", "deficit_forget_two_sided")
    assert [r.split_name(n) for n in ("mcu_eps_worse_end", "two_sided_forget", "deficit_forget_two_sided")] == [
        ("mcu_eps", "worse_end"),
        ("two_sided_forget", "chord"),
        ("deficit_forget", "two_sided"),
    ]
    assert len(set(r.READ)) == len(r.READ) == 12 and set(r.MEANINGS) == {
        f"{name.partition('_')[0]}_{r.split_name(name)[1]}" for name in r.READ
    }


# A traced curve


def plain_losses(one, split, accuracy):
    return (1 - correct(one, split) if accuracy else per_example_loss(one, split)).mean(axis=1)


@pytest.fixture(scope="module")
def found():
    return connectivity(PATH, retrained=RETRAINED, original=ORIGINAL, n_boot=40)


@pytest.mark.parametrize("accuracy", [False, True])
@pytest.mark.parametrize("reading", r.READINGS)
def test_a_traced_curve_has_every_reading(found, reading, accuracy):
    curves = [plain_losses(PATH, s, accuracy) for s in ("retain", "forget")]
    levels = [np.mean([plain_losses(one, s, accuracy)[0] for one in RETRAINED]) for s in ("retain", "forget")]
    rise, dip = brute(reading, *curves, PATH.t, *levels)
    assert found.barrier(reading, accuracy=accuracy) == pytest.approx(rise, abs=NEAR)
    assert found.deficit(reading, accuracy=accuracy) == pytest.approx(dip, abs=NEAR)
    gap = np.mean([forget_gap(one, ORIGINAL) for one in RETRAINED])
    assert found.gap == pytest.approx(gap, rel=NEAR)
    if not accuracy:
        assert found.mcu_eps(reading) == pytest.approx(max(rise, dip) / gap)
        assert found.mcu(max(rise, dip) + NEAR, reading=reading)
        assert reading == "worse_end" or not found.mcu(0.99 * max(rise, dip), reading=reading)
    row = found.readings(accuracy=accuracy).set_index("reading").loc[reading]
    unit = 1 if accuracy else gap
    assert (row["barrier"] * unit, row["deficit"] * unit) == pytest.approx((rise, dip), abs=NEAR)
    assert row["unit"] == ("error rate" if accuracy else "G") and row["eps"] == max(row["barrier"], row["deficit"])
    assert row["meaning"] == r.READINGS[reading]
    for name in ("barrier", "deficit", "eps"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_replicates_resample_the_examples_of_path_and_retrained_models_together(found):
    counts = np.rint(resamples("forget", 40, 40, 0) * 40).astype(int)
    for b in range(40):
        rows = np.repeat(np.arange(40), counts[b])
        forget = per_example_loss(PATH, "forget")[:, rows].mean(1)
        level = np.mean([per_example_loss(one, "forget")[0, rows].mean() for one in RETRAINED])
        wrong = 1 - correct(PATH, "forget")[:, rows].mean(1)
        for reading in r.READINGS:
            expected = brute(reading, forget, forget, PATH.t, level, level)[1]
            assert found.replicates[r.pair_of(reading)[1]][b] == pytest.approx(expected, abs=NEAR)
        expected = brute(
            "floor", wrong, wrong, PATH.t, 0, 1 - np.mean([correct(o, "forget")[0, rows].mean() for o in RETRAINED])
        )
        assert found.replicates["deficit_forget_accuracy_floor"][b] == pytest.approx(expected[1], abs=NEAR)


def test_every_measure_has_replicates_and_a_meaning(found):
    for name in found.measures:
        assert found.replicates[name].shape == (40,) and meaning(name)
    assert meaning("deficit_forget_accuracy_floor") == (
        "largest dip below both the chord and the retrained level, forget error rate"
    )
    assert meaning("mcu_eps_worse_end") == "smallest tolerance at which MCU holds, in units of the gap G, worse_end"


def test_copies_change_nothing(found):
    """A path under another name, models listed twice, and the same in another order."""
    copy = replace(PATH, meta={"kind": "linear"}, logits={s: v.copy() for s, v in PATH.logits.items()})
    for models in (RETRAINED, RETRAINED * 3):
        again = connectivity(copy, retrained=models, gap=found.gap, n_boot=40)
        for name, value in again.measures.items():
            assert value == pytest.approx(found.measures[name], abs=NEAR), name
    turned = connectivity(PATH, retrained=RETRAINED[::-1], gap=found.gap, n_boot=0)
    for reading in r.READINGS:
        assert turned.mcu_eps(reading) == pytest.approx(found.mcu_eps(reading), abs=NEAR)
    assert turned["two_sided_forget"] != found["two_sided_forget"]  # that is to the first model


def test_the_levels_are_those_of_each_model(found):
    assert {n: v.shape for n, v in found.levels.items()} == {
        f"{kind}_{split}": (2,) for kind in ("loss", "accuracy") for split in ("retain", "forget")
    }
    for k, one in enumerate(RETRAINED):
        assert found.levels["loss_retain"][k] == pytest.approx(per_example_loss(one, "retain").mean())
        assert found.levels["accuracy_forget"][k] == correct(one, "forget").mean()
    assert levels_of([]) == {}


def test_stored_curves_and_levels_give_every_reading_to_the_bit(found):
    again = r.from_curves(found.curves, found.t, found.levels, found.gap)
    assert set(r.READ) < set(again) and {n: found.measures[n] for n in again} == again


def test_without_retrained_models_their_readings_are_not_there():
    bare = connectivity(PATH, gap=1.0, n_boot=0)
    assert list(bare.readings()["reading"]) == ["chord", "worse_end", "two_sided"] and bare.levels == {}
    for reading in r.LEVELLED:
        with pytest.raises(BadInput, match=f"the reading '{reading}' needs the retrained models' levels"):
            bare.deficit(reading)
    assert bare.barrier("retrained") == bare["barrier_retain"]


def test_readings_are_shown(found):
    for text in (repr(found), found._repr_html_()):
        assert all(reading in text for reading in r.READINGS) and f"{found.mcu_eps('floor'):.4f}" in text
    nats = connectivity(PATH, n_boot=0)
    assert "smallest eps, in nats" in repr(nats) and set(nats.readings()["unit"]) == {"nats"}
    with pytest.raises(BadInput, match="measured without one"):
        nats.mcu_eps()


def test_a_trace_of_retain_and_forget_examples_alone_is_enough(found):
    def only(one):
        parts = ({s: getattr(one, p)[s] for s in ("retain", "forget")} for p in ("logits", "labels", "index"))
        return replace(one, **dict(zip(("logits", "labels", "index"), parts, strict=True)))

    part = connectivity(only(PATH), retrained=[only(o) for o in RETRAINED], original=only(ORIGINAL), n_boot=40)
    assert set(found.measures) - set(part.measures) == {n for n in found.measures if "_test" in n or "_valid" in n}
    assert all(value == found.measures[name] for name, value in part.measures.items())
    assert "test" not in repr(part) and part.collapsed == ()
    noisy = connectivity(only(trace(5, right=0.25, seed=7)), n_boot=0)
    assert len(noisy.collapsed) == 2 and "retain accuracy 0.2" in noisy.collapsed[0]


def test_smoothness_is_counted_in_gaps(found):
    shown, nats = found.smoothness(), connectivity(PATH, n_boot=40).smoothness()
    for split in ("retain", "forget"):
        assert shown.loc[split, "variation"] == pytest.approx(found[f"variation_{split}"] / found.gap)
        assert shown.loc[split, "roughness"] == pytest.approx(found[f"roughness_{split}"] / found.gap**2)
        assert nats.loc[split].tolist() == [found[f"{name}_{split}"] for name in ("variation", "roughness", "turns")]
