"""Tidy tables: a path's numbers are those of its curves by hand, files come back to the digit, changed ones do not."""

import json
import lzma
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from worlds import Shape, profile

from mcutils.engine import results as tables
from mcutils.engine.results import TEXT, read_table
from mcutils.engine.tables import along_table, best_inner, coarse, fingerprint, path_row, pattern
from mcutils.errors import BadInput
from mcutils.measures.profiles import HALVED, Profile

NAN = float("nan")


def made(points=31, seed=0, **arrays):
    """A profile whose losses and accuracies are random walks about those of a made one."""
    rng = np.random.default_rng(seed)
    one = profile(0, Shape(rise=0.3, dip=0.4, ends=(1.1, 0.7)), rng, points)
    moved = {n: v + 0.02 * rng.normal(size=points) for n, v in one.arrays.items() if n.startswith("curve/")}
    return Profile({**one.arrays, **moved, **arrays})


def by_hand(one, reading, accuracy, step=1):
    """(barrier, deficit) by a reading, point by point."""
    part = ("accuracy" if accuracy else "loss") + "_"
    sign, unit = (-1, 1.0) if accuracy else (1, one.gap)
    retain, forget = ([sign * float(v) for v in one.arrays[f"curve/{part}{s}"][::step]] for s in ("retain", "forget"))
    level_r, level_f = (sign * float(np.mean(one.arrays[f"level/{part}{s}"])) for s in ("retain", "forget"))
    rise = dip = 0.0
    for t, r, f in zip(one.t[::step], retain, forget, strict=True):
        up, down = ((1 - t) * line[0] + t * line[-1] for line in (retain, forget))
        bar = {"floor": r - max(up, level_r), "worse_end": r - max(retain[0], retain[-1])}.get(reading, r - up)
        low = {
            "chord": down - f,
            "floor": min(down, level_f) - f,
            "worse_end": min(forget[0], forget[-1]) - f,
            "two_sided": abs(f - down),
            "retrained": abs(f - level_f),
        }[reading]
        rise, dip = max(rise, bar), max(dip, low)
    return rise / unit, dip / unit


@pytest.mark.parametrize("reading", ["chord", "floor", "worse_end", "two_sided", "retrained"])
@pytest.mark.parametrize(("suffix", "accuracy", "step"), [("", False, 1), ("_accuracy", True, 1), ("_11", False, 3)])
def test_barriers_and_deficits_are_those_of_each_reading_by_hand(reading, suffix, accuracy, step):
    one = made()
    row = path_row(one)
    rise, dip = by_hand(one, reading, accuracy, step)
    assert row[f"barrier_{reading}{suffix}"] == pytest.approx(rise)
    assert row[f"deficit_{reading}{suffix}"] == pytest.approx(dip)
    assert row[f"eps_{reading}{suffix}"] == pytest.approx(max(rise, dip))


def test_levels_of_models_stand_beside_the_path():
    one = made(geometry_distance=np.float64(1))
    row, arrays = path_row(one), one.arrays
    for name in ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget"):
        curve, level = arrays[f"curve/{name}"], arrays[f"level/{name}"]
        assert (row[f"start_{name}"], row[f"end_{name}"]) == (curve[0], curve[-1])
        assert row[f"original_{name}"] == arrays[f"original/{name}"]
        assert row[f"retrained_{name}"] == pytest.approx(sum(level) / 3)
    assert row["retrained_accuracy_forget_best"] == max(arrays["level/accuracy_forget"])
    far = [abs(v - arrays["original/accuracy_retain"]) for v in arrays["level/accuracy_retain"]]
    assert row["retrained_accuracy_retain_far"] == max(far)
    assert (row["gap"], row["points"], row["seconds"]) == (arrays["gap"], 31, 1.0)
    assert row["step"] == pytest.approx(1 / 30) and row["collapsed"] == row["not_finite"] == ""


def test_shapes_are_in_g():
    one = made()
    row, gap, t = path_row(one), one.gap, one.t
    for split in ("retain", "forget"):
        v = one.arrays[f"curve/loss_{split}"]
        second = [(v[k + 1] - 2 * v[k] + v[k - 1]) * 30**2 for k in range(1, 30)]
        above = [max(0.0, x - (1 - s) * v[0] - s * v[-1]) for x, s in zip(v, t, strict=True)]
        moved = sum(abs(b - a) for a, b in zip(v, v[1:], strict=False)) - abs(v[-1] - v[0])
        assert row[f"roughness_{split}"] == pytest.approx(np.mean(np.square(second)) / gap**2)
        assert row[f"surplus_{split}"] == pytest.approx(np.trapezoid(above, t) / gap)
        assert row[f"variation_{split}"] == pytest.approx(moved / gap)


def test_what_a_profile_holds_beside_its_curves_has_columns():
    one = made()
    errors = {"barrier_retain": 0.1, "deficit_forget": 0.2, "deficit_forget_two_sided": 0.3}
    kept = {f"replicates/{name}": one.gap * np.array([-e, e, -e, e]) for name, e in errors.items()}
    more = {"geometry/distance": np.float64(2.5), "known/never_forget": np.float64(0.25)}
    row = path_row(Profile({**one.arrays, **kept, **more}))
    assert (row["barrier_error"], row["deficit_error"], row["two_sided_error"]) == pytest.approx((0.1, 0.2, 0.3))
    assert (row["distance"], row["known_never_forget"]) == (2.5, 0.25)
    assert row["closeness_choose_start"] == one.arrays["score/choose"][0]
    assert row["closeness_test_end"] == one.arrays["score/test"][-1]
    without = {n: v for n, v in one.arrays.items() if not n.startswith(("score/", "seconds"))}
    row = path_row(Profile(without))
    assert np.isnan([row["closeness_choose_start"], row["best_t"], row["best_gain"], row["seconds"]]).all()


def test_a_loss_that_is_not_finite_and_one_that_is_noise_are_named():
    wild = np.random.default_rng(0).normal(size=31)
    broken = made().arrays["curve/loss_retain"].copy()
    broken[3] = np.inf
    one = made(**{"curve/loss_retain": broken, "curve/loss_forget": wild})
    row = path_row(Profile({**one.arrays, "collapsed": np.array(["t = 0: chance", "t = 1: chance"])}))
    assert (row["not_finite"], row["unresolved"]) == ("loss_retain", "loss_forget")
    assert row["collapsed"] == "t = 0: chance; t = 1: chance"
    assert not np.isfinite(row["eps_chord"]) and row["deficit_chord"] > 0
    slight = {"curve/loss_forget": 0.01 * wild / np.ptp(wild), "curve/loss_retain": np.linspace(0, 1, 31)}
    assert path_row(made(**slight))["unresolved"] == ""


@pytest.mark.parametrize(("points", "expected"), [(31, 11), (21, 11), (11, 11), (12, 12), (26, 26), (5, 5), (41, 11)])
def test_a_path_is_read_coarsely_where_its_grid_holds_the_coarse_one(points, expected):
    one = made(points)
    found = coarse(one)
    assert len(found.t) == expected and (found is one) == (points == expected)
    np.testing.assert_allclose(found.t, np.linspace(0, 1, expected))
    step = (points - 1) // (expected - 1)
    for name in ("curve/loss_retain", "curve/accuracy_forget"):
        assert np.array_equal(found.arrays[name], one.arrays[name][::step])
    assert found.gap == one.gap and found.levels.keys() == one.levels.keys()
    assert path_row(found)["eps_chord"] == path_row(one)["eps_chord_11"]


def test_a_fingerprint_is_of_the_numbers_to_six_digits_in_either_direction():
    a, b = np.random.default_rng(0).normal(size=(2, 7))
    first = fingerprint([a, b])
    assert len(first) == 16 and fingerprint([a[::-1], b[::-1]]) == first == fingerprint([a + 1e-9, b])
    others = [[b, a], [a[::-1], b], [a + 1e-5, b], [a[:-1], b[:-1]], [a, b, a]]
    assert len({first, *(fingerprint(one) for one in others)}) == len(others) + 1
    assert fingerprint([np.array([0.0, 1])]) == fingerprint([np.array([-1e-9, 1])])  # minus nothing is nothing


# Metrics along the path


def halves(*rows):
    """Two halves of the examples, each with a curve for every metric; missing ones are straight."""
    t = np.linspace(0, 1, 9)
    found = {"t": t, "gap": np.float64(1)}
    for half in (0, 1):
        for k, name in enumerate(HALVED):
            found[f"half/{half}/{name}"] = rows[k][half] if k < len(rows) else t
    return Profile(found)


def test_a_pattern_is_the_mean_rank_correlation_of_halves_of_one_metric_and_of_two():
    curves = np.random.default_rng(0).normal(size=(3, 2, 9))
    own, apart = pattern(halves(*curves))
    t = np.linspace(0, 1, 9)

    def rho(a, b):
        x, y = (v - (1 - t) * v[0] - t * v[-1] for v in (a, b))
        return abs(stats.spearmanr(x[1:-1], y[1:-1])[0])

    assert own == pytest.approx(np.mean([rho(one[0], one[1]) for one in curves]))
    others = [rho(curves[i][0], curves[j][1]) for i in range(3) for j in range(3) if i != j]
    assert apart == pytest.approx(np.mean(others))


def test_a_pattern_sees_neither_sign_nor_scale_nor_chord_and_needs_two_metrics_that_vary():
    first, second = np.random.default_rng(1).normal(size=(2, 2, 9))
    t = np.linspace(0, 1, 9)
    plain = pattern(halves(first, second))
    assert pattern(halves(-3 * first + 5 * t, second + 2 - t)) == pytest.approx(plain)
    for few in (halves(first), halves(), halves((first[0], t), second)):
        assert np.isnan(pattern(few)).all()
    assert np.isnan(pattern(Profile({"t": t, "gap": np.float64(1)}))).all()


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=9))
def test_the_best_inner_point_is_chosen_by_one_half_and_tested_on_the_other(scores):
    chosen, tested = (np.array(one) for one in zip(*scores, strict=True))
    t = np.linspace(0, 1, len(scores))
    one = Profile({"t": t, "gap": np.float64(1), "score/choose": chosen, "score/test": tested})
    place = next(k for k in range(1, len(t) - 1) if chosen[k] == max(chosen[1:-1]))
    assert best_inner(one) == (t[place], tested[place] - max(tested[0], tested[-1]))


def test_along_has_a_row_a_point_and_metric_with_the_error_of_its_band():
    first, second = made(5), made(11, seed=1)
    table = along_table({"a": first, "b": second})
    assert list(table.columns) == ["path", "metric", "t", "value", "error"]
    for name, one in {"a": first, "b": second}.items():
        part = table[table.path == name]
        curves = {n.partition("/")[2]: v for n, v in one.arrays.items() if n.startswith(("metric/", "curve/"))}
        assert set(part.metric) == set(curves) and len(part) == len(curves) * len(one.t)
        for metric, rows in part.groupby("metric"):
            own = one.arrays.get(f"curve/{metric}", curves[metric])  # of a metric kept twice the curve counts
            assert np.array_equal(rows.t, one.t) and np.array_equal(rows.value, own)
    low, high = first.arrays["band/loss_forget"]
    errors = table[(table.path == "a") & (table.metric == "loss_forget")].error
    assert errors.to_numpy() == pytest.approx((high - low) / (2 * stats.norm.ppf(0.975)))
    assert table[table.metric == "zrf"].error.isna().all()
    empty = along_table({})
    assert list(empty.columns) == list(table.columns) and not len(empty)


# Files

TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=6) | st.sampled_from(
    ["", "nan", "NA", "None", "null", "inf", "1", "1e5", "True", '"', ",", " a "]
)
ROWS = st.lists(
    st.tuples(TEXTS, st.floats(width=64) | st.just(NAN), st.integers(-(2**53), 2**53), st.booleans(), TEXTS), min_size=1
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(ROWS)
def test_a_table_is_read_as_it_was_written(tmp_path_factory, rows):
    table = pd.DataFrame(rows, columns=["method", "value", "seed", "full", "why"]).rename(columns={"why": "form"})
    path = tmp_path_factory.mktemp("t") / "one.csv.xz"
    digest = tables.write_table(table, path)
    found = read_table(lzma.decompress(path.read_bytes()))
    pd.testing.assert_frame_equal(found, table, check_dtype=False, check_exact=True)
    assert tables.write_table(found, path) == digest


@pytest.mark.parametrize("name", sorted(path.name.partition(".")[0] for path in tables.TABLES.glob("*.csv.xz")))
def test_shipped_tables_have_no_nan_in_text_and_no_text_in_numbers(name):
    table = tables.results(name)
    assert len(table) and table.columns.is_unique
    for column in table:
        if column in TEXT:
            assert table[column].map(type).eq(str).all(), column
        else:
            assert table[column].dtype.kind in "fib", column


def test_an_unknown_table_is_refused_by_name():
    with pytest.raises(BadInput, match="unknown table 'pathes'.*paths"):
        tables.results("pathes")


def test_a_table_that_was_changed_is_refused(tmp_path, monkeypatch):
    for name in ("widths.csv.xz", "checksums.json"):
        shutil.copy(tables.TABLES / name, tmp_path)
    monkeypatch.setattr(tables, "TABLES", tmp_path)
    whole = tables.results("widths")
    changed = whole.assign(barrier=whole.barrier + 1)
    digest = tables.write_table(changed, tmp_path / "widths.csv.xz")
    with pytest.raises(BadInput, match="widths.csv.xz is not the table that was shipped"):
        tables.results("widths")
    (tmp_path / "checksums.json").write_text(json.dumps({"widths.csv.xz": digest}))
    assert tables.results("widths").equals(changed)
    (tmp_path / "checksums.json").write_text("{}")
    with pytest.raises(BadInput, match="its checksum differs"):
        tables.results("widths")
