"""Metrics along a path, ways to fit, progress, retraining and the ledger: values by hand on made-up walks."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from synthetic import RING, SEEDS, T, controls, walk

import mcutils as mc
from mcutils import experiments
from mcutils import metric_tables as tables
from mcutils.claims import CLAIMS, Verdict, judge, ledger
from mcutils.condition_tables import mean_of
from mcutils.errors import BadInput
from mcutils.measures.along import roughness
from mcutils.measures.intervals import mean_interval, percentile_interval
from mcutils.measures.metrics import METRICS
from mcutils.measures.profiles import ProfileOf
from mcutils.verdicts import COPIES, DISTINCT, TESTS, best_inner, controls_hold, pattern_correlation, worst

METHODS = ("npo", "scrub", "salun", "l1_sparse", "bad_teacher", "random_labels")
NAMES = [name for name in METRICS if name not in COPIES]
LEVEL_SCORES = ((0.5,) * 5, (0.5,) * 5)


def measured(curves=None, method="npo", pair=(42, 87), barrier=0.0, deficit=0.0, scores=LEVEL_SCORES, **options):
    """A walk whose metrics have these curves at the five points of `T`, and are 0 where none is given."""
    metrics = dict.fromkeys(METRICS, np.zeros(5)) | (curves or {})
    return walk(method, barrier, deficit, pair, metrics=metrics, scores=scores, **options)


def fitted(variant, kind, eps, method="npo", pair=(42, 87), rise=0.01, dip=0.02, **options):
    """A walk of `experiments.fits` with this smallest eps, all of it a forget deficit."""
    made = walk(method, 0.0, eps, pair, kind, variant=variant, **options)
    more = {"measure/surplus_retain": np.float64(rise), "measure/shortfall_forget": np.float64(dip)}
    return replace(made, profile=ProfileOf({**made.profile.arrays, **more}))


def wild(seed):
    """Random curves of all metrics."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=5) for name in METRICS}


# Metrics along a path


def test_every_metric_is_of_one_kind_and_copies_are_left_out():
    kinds = tables.kinds()
    assert sorted(tables.compared()) == sorted(NAMES) and len(NAMES) == len(METRICS) - 3
    assert kinds["losses"] == [f"loss_{s}" for s in ("retain", "forget", "valid", "test")]
    retrained = {name for name in NAMES if METRICS[name].references == ("retrained",)}
    assert set(kinds["to the retrained model, test"]) == {name for name in retrained if name.endswith("_test")}
    assert {"zrf", "overall", "knowledge_gap"} <= set(kinds["scores"])


def test_a_scaled_excess_is_in_units_of_the_range_along_the_path():
    bump, line = 4 * T * (1 - T), 2 + 3 * T
    table = tables.metric_curves(measured({"loss_test": bump, "zrf": line})).set_index("metric")
    np.testing.assert_allclose(table.loc["loss_test", "scaled"], bump)
    np.testing.assert_allclose(table.loc["zrf", "excess"], 0, atol=1e-12)
    np.testing.assert_array_equal(table.loc["zrf", "value"], line)
    assert table.loc["loss_retain", "scaled"].isna().all()
    assert list(dict.fromkeys(table.index)) == tables.compared()


@pytest.mark.parametrize("seed", range(3))
def test_rank_correlations_are_spearman_s_of_the_inner_excesses(seed):
    curves = wild(seed)
    curves["zrf"] = 1 + 2 * T  # on its chord: no ranks
    curves["loss_test"] = np.array([0, 1, np.nan, 1, 0])
    one = measured(curves)
    found, names = tables.rank_correlations(one), tables.compared()
    for i, j in combinations(range(len(names)), 2):
        if {names[i], names[j]} & {"zrf", "loss_test"}:
            assert np.isnan(found[i, j])
            continue
        over = [curves[n] - ((1 - T) * curves[n][0] + T * curves[n][-1]) for n in (names[i], names[j])]
        assert found[i, j] == found[j, i] == pytest.approx(spearmanr(over[0][1:-1], over[1][1:-1]).statistic)
    assert np.isnan(np.diag(found)).all()
    some = [names.index(name) for name in DISTINCT]
    distinct = np.abs(found[np.ix_(some, some)][np.triu_indices(len(some), 1)])
    assert np.nanmean(distinct) == pytest.approx(pattern_correlation(one))


def test_mean_correlations_leave_out_what_does_not_vary():
    up, down = np.array([0, 1, 2, 3, 0]), np.array([0, 3, 2, 1, 0])
    walks = [measured({"loss_test": up, "zrf": up}), measured({"loss_test": up, "zrf": down}), measured()]
    signed, strength = tables.correlations(walks)
    i, j = (tables.compared().index(n) for n in ("loss_test", "zrf"))
    assert (signed[i, j], strength[i, j]) == pytest.approx((0, 1))
    assert np.isfinite(signed).sum() == 2
    for empty in tables.correlations([]):
        assert empty.shape == (len(NAMES),) * 2 and np.isnan(empty).all()


def test_unrelated_orders_have_the_known_mean_correlation():
    assert tables.chance_correlation(3) == pytest.approx(2 / 3, abs=0.02)  # 1, 1/2, 1/2, 1/2, 1/2, 1
    assert tables.chance_correlation(29) == pytest.approx(np.sqrt(2 / (np.pi * 28)), rel=0.05)
    assert np.isnan(tables.chance_correlation(0))


def test_shapes_by_hand():
    spike = np.array([0.0, 1, 0, 0, 0])
    table = tables.shapes_table([measured({"zrf": spike, "loss_test": 5 * T})], {"zrf": 0.5}).set_index("metric")
    one, line, flat = table.loc["zrf"], table.loc["loss_test"], table.loc["overall"]
    assert (one["range"], one["variation"]) == (2, 2)
    assert one["roughness"] == pytest.approx(np.sqrt((32**2 + 16**2) / 3))
    assert one["roughness"] == pytest.approx(np.sqrt(roughness(7 * spike, T)) / 7)
    assert (line["variation"], line["roughness"]) == pytest.approx((0, 0), abs=1e-12) and np.isnan(line["range"])
    assert np.isnan(flat["variation"]) and np.isnan(flat["roughness"])
    assert (one["pair"], one["node_a"], one["node_b"]) == ("0: 42-87", "0/42", "0/87")


def test_shapes_are_averaged_over_paths_with_shared_seeds():
    walks = [measured({"zrf": k * T * (1 - T)}, pair=p) for k, p in enumerate(RING, 1)]
    table = tables.shapes_table(walks, {"zrf": 0.25})
    summary = tables.shapes_summary(table).set_index(["metric", "measure"])
    expected = mean_interval([1.0, 2, 3, 4, 5], nodes=[[f"0/{a}", f"0/{b}"] for a, b in RING], within=(0, np.inf))
    assert tuple(summary.loc[("zrf", "range"), ["estimate", "low", "high"]]) == pytest.approx(tuple(expected))
    assert summary.loc[("zrf", "range"), "n"] == 5 and summary.loc[("loss_test", "variation"), "n"] == 0
    assert len(summary) == 3 * len(NAMES)


def reference_models():
    original = {name: 0.0 for name in METRICS}
    retrained = [dict(original, zrf=0.9, loss_test=0.1), dict(original, zrf=1.1, loss_test=-0.1)]
    return original, retrained


def test_metrics_are_summarised_with_the_gap_only_where_it_is_told():
    walks = [measured({"zrf": T * (1 - T)}, pair=p) for p in RING]
    original, retrained = reference_models()
    summary = tables.shapes_summary(tables.shapes_table(walks, {"zrf": 1.0}))
    table = tables.metric_summary(original, retrained, summary)
    assert table.loc[("scores", "zrf"), "gap"] == "1.000" and table.loc[("losses", "loss_test"), "gap"] == "-"
    assert table.loc[("scores", "zrf"), "retrained"] == f"1.000 ± {np.std([0.9, 1.1], ddof=1):.3f}"
    assert table.loc[("scores", "zrf"), "range"] == "0.25 [0.25, 0.25]"
    assert table.loc[("losses", "loss_test"), "variation"] == "-"
    assert tables.metric_summary(original, retrained, summary.iloc[:0]).loc[("scores", "zrf"), "range"] == "-"


def test_the_widest_metric_is_counted_in_units_of_its_gap():
    walks = [measured({"zrf": k * T, "accuracy_test": 2 * T}, pair=p) for k, p in enumerate(RING)]
    gaps = {"zrf": 1.0, "accuracy_test": 1.0}
    table = tables.widest_table(walks, gaps)
    assert table["median range"].to_dict() == {"zrf": 2, "accuracy_test": 2}
    assert table["widest on"].to_dict() == {"zrf": 3, "accuracy_test": 2}  # the first of equals: 2, 3, 4 and 0, 1
    assert tables.widest_text(walks, gaps).count("**2.00**") == 2
    assert "**2.00**" in tables.widest_text(walks, {"accuracy_test": 1.0}) and "forget" not in tables.widest_text(
        walks, {"accuracy_test": 1.0}
    )
    for none in (tables.widest_text([], gaps), tables.widest_text(walks, {})):
        assert none.startswith("No connected path")
    assert tables.widest_table([], gaps)["widest on"].tolist() == [0, 0]
    assert len(tables.widest_table(walks, {})) == 0


def test_connected_paths_are_counted_once_per_condition_and_curve():
    near, far = measured(), measured(barrier=0.5, pair=(87, 21))
    coarse = replace(walk("npo", t=np.linspace(0, 1, 3), scores=((0,) * 3,) * 2), start=7)
    bad = measured(pair=(21, 100), collapsed=("t = 0: chance",))
    table = tables.joined_table([near, near, far, coarse, bad, replace(near, condition="fo-so"), *controls()])
    assert table.loc[("random", "linear")].to_list() == [3, 2, 1]
    assert table.loc[("fo-so", "linear")].to_list() == [1, 1, 1]


def test_the_path_that_is_drawn_is_the_median_one():
    up, down, other = np.array([0, 1, 2, 3, 0]), np.array([0, 3, 2, 1, 0]), np.array([0, 2, 1, 3, 0])
    spread = [{"zrf": up, "accuracy_test": v} for v in (down, other, [0, 2, 3, 1, 0])]
    walks = [measured(c, pair=p) for c, p in zip(spread, RING[:3], strict=True)]
    agree = [pattern_correlation(w) for w in walks]
    assert agree == pytest.approx([1, 0.5, 0.5])
    shown, why = tables.shown_walk(walks)
    assert agree[walks.index(shown)] == np.median(agree) and "3 connected paths" in why
    near, far = measured(deficit=0.3), measured(deficit=0.5, pair=(87, 21))
    shown, why = tables.shown_walk([far, near, *controls()])
    assert shown is near and "no path satisfies" in why
    with pytest.raises(BadInput, match="no walk between sound endpoints"):
        tables.shown_walk(controls())


def test_the_best_inner_point_is_chosen_on_one_half_and_told_on_the_other():
    choose, test = (0.9, 0.1, 0.3, 0.2, 0.9), (0.4, 0.9, 0.6, 0.9, 0.5)
    one = measured(scores=(choose, test))
    table = tables.best_table([one])
    row = table.iloc[0]
    assert (row["t"], row["end"], row["inner"]) == (0.5, 0.5, 0.6)
    assert (row["t"], row["gain"]) == pytest.approx(best_inner(one))
    assert (row["method"], row["condition"], row["pair"]) == ("npo", "random", "0: 42-87")
    worse = measured(scores=(choose, test[::-1][:2] + (0.2,) + test[3:]), pair=(87, 21))
    summary = tables.best_summary(tables.best_table([one, worse]))
    assert summary.loc[0, ["better", "n"]].to_list() == [1, 2]
    assert summary.loc[0, "gain"] == pytest.approx((0.1 - 0.3) / 2)
    assert tables.best_shown(summary).loc["npo", "paths that gain"] == "1 of 2"
    assert tables.best_shown(summary).loc["npo", "gain, points of %"].startswith("-10.00 [")
    text = tables.best_text(tables.best_table([one, worse]))
    assert text.startswith("1 of 2 chosen inner points") and "100 % of the chosen t" in text
    assert tables.best_text(tables.best_table([])).startswith("No connected path")
    assert len(tables.best_table([])) == len(tables.best_summary(tables.best_table([]))) == 0


# Ways to fit a curve


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Specs of a small study; nothing is computed."""
    folder = str(tmp_path_factory.mktemp("metrics") / "store")
    return mc.study("smoke", store=folder, seeds=[42, 87, 21], methods=["npo", "scrub", "salun", "l1_sparse"])


def test_every_fit_of_the_experiment_has_a_name(study):
    routes = [r for r in experiments.fits(study) if r.role == "method"]
    assert {(r.variant, r.kind) for r in routes} == set(tables.FITS)
    assert len(set(tables.FITS.values())) == len(tables.FITS)


def test_fits_in_gaps_and_nats():
    walks = [fitted("own", "bezier", 0.2), fitted("authors", "bezier", 0.05, rise=0.5, dip=0.25)]
    table = tables.fits_table([*walks, fitted("own", "linear", 0.3, collapsed=("t = 1: chance",)), *controls()])
    assert table["fit"].to_list() == ["corrected", "authors"] and table["connected"].to_list() == [False, True]
    np.testing.assert_allclose(table["eps"], [0.2, 0.05], rtol=1e-6)
    np.testing.assert_allclose(table["nats"], [0.4, 0.1], rtol=1e-6)  # G is 2 nats
    assert table[["rise", "dip"]].to_numpy().tolist() == [[0.01, 0.02], [0.5, 0.25]]
    assert tuple(table.loc[0, ["low", "high"]]) == percentile_interval(walks[0].eps, worst(walks[0]))[1:]
    summary = tables.fits_summary(table)
    assert summary.index.to_list() == ["corrected", "authors"] and summary.loc["authors", "eps (median)"] == 0.05
    assert summary.loc["corrected", "connected"].startswith("0.00 [0.00, ")


def test_means_are_over_pairs_with_shared_seeds():
    walks = [fitted("own", "bezier", 0.1 * k, pair=p) for k, p in enumerate(RING)]
    table = tables.fits_table([*walks, fitted("own", "bezier", 1.0, method="scrub")])
    found = tables.means(table, "eps", ["method", "fit"]).set_index(["method", "fit"])
    expected = mean_of(walks, "eps")
    assert tuple(found.loc[("npo", "corrected"), ["estimate", "low", "high"]]) == pytest.approx(tuple(expected))
    assert tuple(found.loc[("scrub", "corrected"), ["estimate", "low", "high"]]) == pytest.approx((1, 0, np.inf))


def test_a_fit_fails_when_its_line_would_have_been_better_by_a_tenth():
    walks = []
    for pair, line, own, authors in zip(RING[:3], (0.2, 0.2, 0.2), (0.29, 0.0, 0.31), (0.5, 0.5, 0.25), strict=True):
        walks += [fitted("own", "linear", line, pair=pair), fitted("own", "bezier", own, pair=pair)]
        walks.append(fitted("authors", "bezier", authors, pair=pair))
    walks.append(fitted("authors", "bezier", 9.0, method="scrub"))  # without its line
    cells, totals = tables.failures(walks)
    assert cells.to_dict("records") == [
        {"method": "npo", "fit": "corrected", "failed": 1, "n": 3},
        {"method": "npo", "fit": "authors", "failed": 2, "n": 3},
    ]
    assert totals["fit"].to_list() == ["corrected", "authors"]
    np.testing.assert_allclose(totals["share"], [1 / 3, 2 / 3])
    assert (totals["low"] < totals["share"]).all() and (totals["share"] < totals["high"]).all()
    assert all(len(part) == 0 for part in tables.failures(controls()))


def quadrants():
    eps = {"both": (0.05, 0.05), "line only": (0.05, 0.5), "curve only": (0.5, 0.05), "neither": (0.5, 0.5)}
    return [
        fitted("own", kind, value, pair=pair)
        for pair, values in zip(RING, eps.values(), strict=False)
        for kind, value in zip(("linear", "bezier"), values, strict=True)
    ]


def test_each_quadrant_of_line_and_curve():
    table = tables.outcomes_table(quadrants())
    assert table["outcome"].to_list() == list(tables.OUTCOMES)
    assert set(table["fit"]) == {"corrected"}
    text = tables.outcomes_text(table)
    assert text == "- *corrected*, 4 pairs; MCU(0.1) on both 1, line only 1, curve only 1, neither 1."
    assert tables.outcomes_text(table.iloc[:0]).startswith("No pair was walked")
    nothing = replace(quadrants()[0], profile=fitted("own", "linear", float("nan")).profile)
    assert tables.outcomes_table([nothing, quadrants()[1]])["outcome"].to_list() == ["curve only"]


def test_disagreements_name_the_recipe_that_connects():
    walks = [fitted("own", "bezier", e, pair=p) for e, p in zip((0.05, 0.5, 0.5), RING, strict=False)]
    walks += [fitted("authors", "bezier", e, pair=p) for e, p in zip((0.3, 0.02, 0.6), RING, strict=False)]
    table = tables.disagreements_table(walks)
    assert table["connects"].to_list() == ["corrected", "authors"]
    assert table.index.to_list() == [("npo", "0: 42-87"), ("npo", "0: 87-21")]
    assert table.iloc[0]["eps, corrected"].startswith("0.050 [") and table.iloc[0]["eps, authors"].startswith("0.300 [")
    assert set(table["set by"]) == {"deficit"}
    assert len(tables.disagreements_table(walks[:3])) == 0


def test_claims_are_judged_by_either_recipe_on_the_pairs_that_have_both():
    walks = [fitted("own", "linear", e, pair=p) for e, p in zip((0.3, 0.3, 0.05, 0.3), RING, strict=False)]
    walks += [fitted("own", "bezier", e, pair=p) for e, p in zip((0.0, 0.0, 0.5, 0.0), RING, strict=False)]
    walks += [fitted("authors", "bezier", e, pair=p) for e, p in zip((0.3, 0.0, 0.5), RING, strict=False)]
    table = tables.recipes_table(walks + controls())
    assert table.columns.to_list() == ["statistic", "corrected", "authors"]
    found = {claim: [row[name].split(", ")[1].split(" [")[0] for name in ("corrected", "authors")]
             for claim, row in table.iterrows()}  # fmt: skip
    # Of three pairs: joined by line or curve 3 and 2, line only 1 and 1, curve only 2 and 1.
    assert found["C1"] == ["1.00", "0.67"] and found["C13"] == ["0.33", "0.33"]
    assert [CLAIMS[c].statistic for c in table.index] == table["statistic"].to_list()
    assert set(tables.recipes_table(walks[:4] + controls())["authors"]) == {"undecided, -"}


def test_the_better_path_is_the_one_that_costs_less():
    table = tables.surplus_table(tables.fits_table([*quadrants(), fitted("own", "linear", 9.0, pair=RING[4])]))
    cost = table.pivot(index="pair", columns="path", values="nats")
    assert len(cost) == 4  # a pair without a curve has no better
    np.testing.assert_allclose(cost["better of the two"], cost[["line", "corrected"]].min(axis=1))
    assert len(tables.surplus_table(tables.fits_table(controls()))) == 0


# Progress and retraining


def forgetting(loss, accuracy, method="npo", seed=42):
    curves = {"loss_forget": np.asarray(loss, float), "accuracy_forget": np.asarray(accuracy, float)}
    return measured(curves, method, pair=(seed, seed), condition="forgetting")


def test_progress_runs_from_0_to_1_whichever_way_a_value_goes():
    np.testing.assert_allclose(tables.progress_of([2, 3, 6]), [0, 0.25, 1])
    np.testing.assert_allclose(tables.progress_of([1.0, 0.9, 0.6]), [0, 0.25, 1])
    assert np.isnan(tables.progress_of([1, 2, 1])).all() and np.isnan(tables.progress_of([1, 2, np.inf])).all()


def test_bends_by_hand():
    walks = [forgetting(3 * T**2, 1 - np.sqrt(T)), forgetting(T, np.ones(5), seed=87)]
    progress = tables.progress_table([*walks, measured(), *controls()])
    assert progress["seed"].to_list() == [42] * 5 + [87] * 5
    np.testing.assert_allclose(progress["loss"][:5], T**2)
    table = tables.bends_table(progress).set_index(["seed", "quantity"])
    late, early, line = (table.loc[k] for k in ((42, "loss"), (42, "accuracy"), (87, "loss")))
    assert (late["deviation"], late["late"], late["steepest"]) == (0.25, True, 0.875)
    assert (early["deviation"], early["late"], early["steepest"]) == (0.25, False, 0.125)
    assert line["deviation"] == pytest.approx(0, abs=1e-12) and (87, "accuracy") not in table.index
    shown = tables.bends_shown(table.reset_index())
    assert shown.loc[("npo", "loss"), "late"] == "1 of 2"
    assert shown.loc[("npo", "loss"), "deviation from chord"].startswith("0.12 [")
    summary = tables.bends_summary(table.reset_index()).set_index(["quantity", "measure"])
    assert summary.loc[("loss", "deviation"), "estimate"] == pytest.approx(0.125)
    for empty in (tables.progress_table(controls()), tables.bends_table(tables.progress_table(controls()))):
        assert len(empty) == 0


def retraining(barrier, base, methods=METHODS, pairs=3, apart=5.0):
    """Lines to retrained models and between them, as `experiments.progress` walks them."""
    walks = []
    for k, method in enumerate(methods):
        height = barrier[method] if isinstance(barrier, dict) else barrier
        for seed in SEEDS[:pairs]:
            for init, level in (("same init", height), ("other init", apart)):
                walks.append(walk(method, level, 0.3, (seed, seed), condition="retraining", variant=init, seed=k))
    for pair in combinations(SEEDS[:pairs], 2):
        for init, level in (("same init", base), ("other init", apart)):
            labels = {"role": "control", "condition": "retrained", "variant": init}
            walks.append(walk("retrain", level, 0.0, pair, seed=99, **labels))
    return walks


def test_barriers_to_retrained_models_stand_beside_those_of_retrained_pairs():
    walks = retraining({"npo": 0.5, "scrub": 0.04}, 0.02, ("npo", "scrub"))
    table = tables.retraining_table([*walks, walk("npo", 9.0, condition="random")])
    assert len(table) == 2 * 2 * 3 + 2 * 3
    shown = tables.retraining_summary(table)
    assert shown.loc[("same init", "npo"), "above retrained pairs"] == "+0.480"
    assert shown.loc[("same init", "scrub"), "above retrained pairs"] == "+0.020"
    assert shown.loc[("same init", tables.RETRAINED), "above retrained pairs"] == "-"
    assert shown.loc[("other init", "npo"), "above retrained pairs"] == "+0.000"
    assert shown.loc[("same init", "npo"), "deficit"] == "0.300"
    assert shown.index.get_level_values(0).unique().to_list() == list(tables.INITS)
    text = tables.retraining_text(walks)
    assert "Control held" in text and "between 5.00 and 5.00 G" in text and "0 of 12 walks" in text
    assert "FAILED" in tables.retraining_text(retraining(0.5, 0.02, apart=0.05))
    assert "not walked" in tables.retraining_text(walks[:4])


def test_a_plane_s_models_in_nats_and_percent():
    at = {f"{q}_{s}": np.array([0.1, 0.2, 0.3]) for q in ("loss", "accuracy") for s in ("retain", "forget", "test")}
    plane = mc.measures.planes.Plane(T, T, {}, np.zeros((3, 2)), at, {})
    table = tables.planes_table({"npo": plane})
    assert table.loc[("npo", "unlearned")].to_list() == ["0.200", "20.0"] * 3
    assert table.index.get_level_values(1).to_list() == ["original", "unlearned", "retrained"]


# The ledger


def experiment(shift=0.5, methods=METHODS, pairs=RING):
    """A study on which C1, C2, C5, C16 and C21 are supported.

    On lines the forget deficit depends on the method, curves connect all; a curriculum costs so much more; lines to
    retrained models have a barrier that lines between two retrained models have not.
    """
    seeds, curriculum = [], []
    for k, method in enumerate(methods):
        for pair in pairs:
            seeds.append(measured(wild(k), method, pair, 0.0, 0.3 * k + 0.01 * pairs.index(pair), seed=k))
            seeds.append(measured(wild(k), method, pair, kind="bezier", seed=k))
            for condition, eps in (("random", 0.4), ("cl-non_cl", 0.4 + shift)):
                curriculum.append(measured(wild(k), method, pair, 0.0, eps, seed=k, condition=condition))
    return {
        "02_seeds": seeds + controls(),
        "03_curriculum": curriculum + controls(),
        "09_progress_and_retraining": retraining(0.18, 0.0, methods)
        + [forgetting(T ** (2 + 0.1 * k), 1 - T, m, s) for m in methods for k, s in enumerate(SEEDS[:3])],
    }


WALKED = experiment()
GAPS = {"zrf": 0.5}


@pytest.fixture(scope="module")
def judged():
    return {v.claim: v for v in tables.judge_all(WALKED, GAPS)}


def test_claims_are_judged_whose_experiments_are_there(judged):
    assert list(judged) == ["C1", "C2", "C5", "C15", "C16", "C21"]
    assert {v.verdict for v in judged.values()} == {"supported"}
    for claim in judged:
        names, test = TESTS[claim]
        assert judged[claim] == test([w for n in names for w in WALKED[n]])
    everything = {name: [] for name in experiments.ROUTES} | WALKED
    assert [v.claim for v in tables.judge_all(everything, GAPS)] == [c for c in CLAIMS if c in TESTS]


@pytest.mark.parametrize("seed", range(5))
def test_a_broken_study_loses_the_support_of_claims_about_labels(seed, judged):
    """Profiles are shuffled among labels, so that pairs mix methods and conditions.

    C2 compares methods, C5 conditions, C16 methods with retrained pairs: no label is left that tells them apart, and
    their support must go. C1 and C21 are shares of all pairs and C15 a mean over all lines: they read no label that the
    shuffle touches, cannot be broken by it, and must come out with the effect that they had. The controls stay, so that
    nothing is lost by a failed control.
    """
    broken = tables.shuffled(WALKED, seed)
    assert controls_hold(broken["02_seeds"]) and controls_hold(broken["03_curriculum"])
    again = {v.claim: v for v in tables.judge_all(broken, GAPS)}
    assert {again[c].verdict for c in ("C2", "C5", "C16")} <= {"undecided", "contradicted"}
    kept = ("C1", "C15", "C21")
    assert [again[c].effect for c in kept] == pytest.approx([judged[c].effect for c in kept])
    assert {again[c].verdict for c in kept} == {"supported"}


def test_a_shuffle_keeps_labels_and_moves_profiles_within_their_kind():
    broken = tables.shuffled(WALKED, 1)
    for name, walks in WALKED.items():
        labels = [replace(w, profile=None) for w in walks]
        assert [replace(w, profile=None) for w in broken[name]] == labels
        for kind in ("linear", "bezier"):
            for init in ("same init", "other init", ""):
                groups = [
                    sorted(id(w.profile) for w in part if w.kind == kind and w.variant == init)
                    for part in (walks, broken[name])
                ]
                assert groups[0] == groups[1]
    pairs = zip(WALKED["02_seeds"], broken["02_seeds"], strict=True)
    moved = [a.profile is not b.profile for a, b in pairs if a.role == "method"]
    assert np.mean(moved) > 0.5
    for k in (-1, -2):
        assert broken["02_seeds"][k].profile is WALKED["02_seeds"][k].profile  # the controls
    places = [[id(w.profile) for w in tables.shuffled(WALKED, seed)["02_seeds"]] for seed in (1, 1, 2)]
    assert places[0] == places[1] == [id(w.profile) for w in broken["02_seeds"]] and places[0] != places[2]


def test_shuffled_verdicts_are_shown_for_claims_about_labels(judged):
    again = tables.judge_all(tables.shuffled(WALKED), GAPS)
    table = tables.shuffled_table(list(judged.values()), again)
    assert table.index.to_list() == ["C2", "C5", "C16"]
    assert table["as walked"].str.startswith("supported, ").all()
    assert not table["shuffled"].str.startswith("supported").any()


def test_a_study_of_collapsed_ends_decides_nothing():
    gone = {
        name: [replace(w, profile=ProfileOf({**w.profile.arrays, "collapsed": np.array(["t = 0"])})) for w in walks]
        for name, walks in ({name: [] for name in experiments.ROUTES} | WALKED).items()
    }
    found = tables.judge_all(gone, GAPS)
    assert len(found) == len(TESTS) and {v.verdict for v in found} == {"undecided"}
    table = tables.forest_table(found, found)
    assert set(table["effect"]) == {"nothing to measure"} and table["x"].isna().all()
    assert set(tables.ledger_table(ledger(found))["effect [95 %]"]) == {"-"}


def test_the_ledger_of_a_study_is_gathered_and_judged(study, monkeypatch):
    routes = {"02_seeds": lambda s: ["a", "b"], "03_curriculum": lambda s: ["c"]}
    monkeypatch.setattr(tables, "ROUTES", routes)
    monkeypatch.setattr(tables, "walk_all", lambda s, given: [f"walk {one}" for one in given])
    assert tables.gather(study) == {"02_seeds": ["walk a", "walk b"], "03_curriculum": ["walk c"]}
    monkeypatch.setattr(tables, "gather", lambda s: WALKED)
    monkeypatch.setattr(tables, "levels", lambda s: reference_models())
    rows = tables.ledger_rows(study)
    assert [row["id"] for row in rows] == list(CLAIMS)
    assert {row["id"] for row in rows if row["verdict"] == "supported"} == {"C1", "C2", "C5", "C15", "C16", "C21"}


def test_levels_are_those_of_the_original_and_of_each_retrained_model(study, monkeypatch):
    models = [ProfileOf({f"metric/{name}": np.array([float(k)]) for name in METRICS}) for k in range(4)]
    monkeypatch.setattr(type(study), "run", lambda self, specs: models[: len(specs)])
    original, retrained = tables.levels(study)
    assert set(original.values()) == {0.0} and [set(one.values()) for one in retrained] == [{1.0}, {2.0}, {3.0}]


def verdict(claim, low, high, p=None, **options):
    return judge(claim, (low + high) / 2, low, high, n_pairs=9, n_seeds=5, p=p, **options)


def test_many_claims_are_held_to_a_wider_interval():
    first = [verdict("C1", 0.6, 0.9), verdict("C2", 0.3, 0.6, 0.004), verdict("C21", 0.1, 0.2), verdict("C8", 0, 0.05)]
    strict = [verdict("C1", 0.4, 1), verdict("C2", 0.2, 0.7, 0.004), verdict("C21", 0.06, 0.3), verdict("C8", 0, 0.2)]
    level = tables.strict_level(first)
    assert level == pytest.approx(1 - 0.05 / 4)
    kept = [tables.survives(a, b, level) for a, b in zip(first, strict, strict=True)]
    assert kept == [False, True, True, False]
    assert not tables.survives(first[1], replace(strict[1], p=0.0126), level)  # below its alpha, above 0.05 / 4
    table = tables.corrected_table(first, strict)
    assert table["survives"].to_list() == ["no", "yes", "yes", "no"] and table["p"].to_list() == ["", "0.004", "", ""]
    undecided = verdict("C1", 0.4, 0.6)
    assert tables.corrected_table([undecided], [undecided])["survives"].to_list() == ["-"]
    assert tables.strict_level([]) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("claim", "interval", "expected"),
    [
        ("C1", (0.75, 0.5, 1.0), (0.5, 0, 1)),
        ("C9", (0.25, 0.0, 0.75), (0.5, -0.5, 1)),
        ("C5", (-0.3, -0.4, -0.2), (2, 1, 3)),
        ("C5", (0.05, -0.2, 0.3), (-0.5, -1, 2)),
        ("C17", (0.02, 0.01, 0.05), (1, 0.5, 2.5)),
        ("C18", (0.02, -0.02, 0.04), (-2 / 3, -4 / 3, 2 / 3)),
    ],
)
def test_effects_are_shown_as_distances_beyond_their_threshold(claim, interval, expected):
    assert tuple(tables.beyond(claim, interval)) == pytest.approx(expected)


@settings(max_examples=200, deadline=None)
@given(
    claim=st.sampled_from([c for c in CLAIMS if CLAIMS[c].direction != "explained"]),
    ends=st.tuples(st.floats(-2, 2), st.floats(-2, 2)).map(sorted),
)
def test_the_side_of_zero_is_the_verdict(claim, ends):
    low, high = ends
    found = tables.beyond(claim, ((low + high) / 2, low, high))
    edge = CLAIMS[claim].threshold
    if min(abs(abs(v) - edge) for v in ends) > 1e-9:  # rounding at the threshold itself aside
        word = "supported" if found.low > 0 else "contradicted" if found.high < 0 else "undecided"
        assert word == verdict(claim, low, high).verdict
    assert found.low <= found.high


def test_the_forest_has_a_row_for_each_claim_judged():
    first = [verdict("C1", 0.6, 0.9), verdict("C5", -0.3, -0.2)]
    strict = [verdict("C1", 0.4, 1), verdict("C5", -0.4, -0.1)]
    table = tables.forest_table(first, strict).set_index("claim")
    numbers = table.loc["C1", ["x", "low", "high", "wide_low", "wide_high"]].to_list()
    assert numbers == pytest.approx([0.5, 0.2, 0.8, -0.2, 1])
    assert table.loc["C1", "effect"] == "0.75 [0.60, 0.90]"
    assert table["threshold"].to_list() == ["> 0.5", "beyond ± 0.1"] and table["survives"].to_list() == [False, False]
    assert table.loc["C5", "statement"] == CLAIMS["C5"].statement


def test_controls_are_shown_for_every_experiment():
    table = tables.controls_table(WALKED)
    assert table.index.to_list() == list(WALKED) and set(table["held"]) == {"yes"}
    assert table.loc["02_seeds", "other initialisation: smallest barrier"] == "4.000"
    assert table.loc["09_progress_and_retraining", "other initialisation: smallest barrier"] == "5.000"
    assert table.loc["02_seeds", ["walks", "collapsed"]].to_list() == [60, 0]
    failed = tables.controls_table({"02_seeds": controls(twin=0.3), "05_methods": []})
    assert failed["held"].to_list() == ["NO", "NO"] and failed["fine-tuned twin: largest eps"].to_list() == [
        "0.300",
        "-",
    ]


def test_a_replication_is_laid_beside_the_ledger():
    here = ledger([verdict("C1", 0.6, 0.9), verdict("C5", 0.05, 0.2), verdict("C8", 0, 0.2), verdict("C4", -1, -0.5)])
    there = ledger([verdict("C1", 0.7, 1.0), verdict("C5", 0.11, 0.14), verdict("C8", 0.2, 0.4), Verdict("C10")])
    table = tables.replication_table(here, there)
    assert table.index.to_list() == ["C1", "C5", "C8"]
    assert table["inside"].to_list() == ["yes", "yes", "no"] and table["same"].to_list() == ["yes", "NO", "NO"]
    assert table.loc["C5", ["verdict here", "verdict there"]].to_list() == ["undecided", "supported"]
    assert table.loc["C1", ["effect here", "effect there"]].to_list() == [
        "0.750 [0.600, 0.900]",
        "0.850 [0.700, 1.000]",
    ]
    nothing = ledger([replace(verdict("C1", 0.6, 0.9), effect=None, low=None, high=None)])
    assert tables.replication_table(nothing, there).loc["C1", "inside"] == "-"
    assert len(tables.replication_table(ledger(), there)) == 0


def test_claims_that_were_not_run_say_why():
    table = tables.not_run_table(ledger([verdict("C1", 0.6, 0.9)]))
    assert "C1" not in table.index and len(table) == 23
    assert table.loc["C14", "why"] == "10_privacy does not exist yet"
    assert table.loc["C2", "why"] == "02_seeds registers no test of it"


def test_the_ledger_is_shown_without_the_claims_that_were_not_run():
    table = tables.ledger_table(ledger([verdict("C1", 0.6, 0.9), Verdict("C3")]))
    assert table.index.to_list() == ["C1"] and table.loc["C1", "effect [95 %]"] == "0.750 [0.600, 0.900]"
    assert isinstance(tables.ledger_table(ledger()), pd.DataFrame) and len(tables.ledger_table(ledger())) == 0
