"""The room `curve_fitting`: its routes, its tables and figures on made walks."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_figures_of_metrics import fitted, records
from made_specs import labels
from made_worlds import METHODS, Shape, World, controlled, walk
from synthetic import walk as plain_walk

from mcutils.curves import RECIPES
from mcutils.fits import recorded
from mcutils.measures.originals import share, simultaneous, student
from mcutils.paper import declared
from mcutils.paper.curve_fitting import (
    CHOICES,
    FEW,
    FITS,
    GROUPS,
    KEPT,
    LINES,
    REFIT,
    REFRESHED,
    answer_text,
    beside,
    changes_table,
    convergence_table,
    convergence_text,
    fit_name,
    fits,
    fits_means,
    fits_summary,
    fits_table,
    gains_summary,
    gains_table,
    gains_text,
    recipes_table,
    shares_table,
    surplus_means,
    surplus_table,
)
from mcutils.paper.registry import EXPERIMENTS
from mcutils.paper.walks import COARSE, Labels, fit_records


def curves(eps, originals=4, methods=METHODS[:2], spread=0.001, ends=(1.2, 1.2)):
    """Walks of fits by name, each with the eps, all of it a dip, that a function of (method, original) gives."""
    found, now = [], {}
    bench = World(controlled(lambda one: Shape(dip=now["dip"], ends=ends)), spread=spread)
    for name, value in eps.items():
        label = {"line": {"kind": "linear"}, "corrected": {}, REFIT: {"refit": True}, "authors": {"recipe": "authors"}}
        label |= {"authors" + REFRESHED: {"recipe": "authors", "batchnorm": "retain"}}
        label |= {"line" + KEPT: {"kind": "linear", "batchnorm": "none"}, "corrected" + KEPT: {"batchnorm": "none"}}
        label |= {"retain only": {"objective": "retain only"}, "normal t": {"recipe": "normal_t"}}
        for m in methods:
            for o in range(originals):
                now["dip"] = value(m, o) if callable(value) else value
                found.append(walk(bench, **{"method": m, "kind": "bezier", "original": o, **label[name]}))
    return found


def test_fits_differ_in_what_their_name_says_and_nothing_else(laptop):
    routes = [r for r in fits(laptop) if not r.control]
    names, n = Counter(fit_name(r) for r in routes), 8 * len(laptop.preset.fit)
    few = 3 * len(set(laptop.preset.methods[-4:-1]) & set(laptop.preset.fit))
    assert names == {
        **dict.fromkeys(
            ("line", "line" + KEPT, "corrected", REFIT, "retain only", "authors", "authors" + REFRESHED), n
        ),
        "corrected" + KEPT: 3 * len(laptop.preset.fit),
        **dict.fromkeys((name.replace("_", " ") for name in CHOICES), few),
    }
    assert set(names) | {"retain - forget"} == set(FITS) and set(CHOICES) == set(RECIPES) - {"corrected", "authors"}
    own = {(r.method, r.original, r.kind): r.path for r in routes if fit_name(r) in ("line", "corrected")}
    for r in routes:
        mine, path = own[r.method, r.original, r.kind], r.path
        assert (path.start, path.end, path.kind, path.seed - mine.seed) == (mine.start, mine.end, mine.kind, r.refit)
        assert path.method == {"retain only": "finetune"}.get(fit_name(r), "")
        if r.kind == "bezier":
            assert path.recipe == (r.recipe or "corrected")
    assert labels((r for r in routes if fit_name(r) in ("line", "corrected")), "points") == {(0,): 2 * n}
    assert {
        r.points for r in routes if fit_name(r) not in ("line", "corrected", "line" + KEPT, "corrected" + KEPT)
    } == {11}


def test_every_fit_has_one_name_and_a_line_that_is_read_alike(smoke):
    routes = [r for r in fits(smoke) if not r.control]
    assert {fit_name(r) for r in routes} <= set(FITS) and len(set(FITS)) == len(FITS) == sum(map(len, GROUPS.values()))
    assert {fit_name(w) for w in fitted() if not w.control} <= set(FITS)
    assert fit_name(plain_walk("npo", kind="chain", refit=True)) == f"{REFIT} chain"
    kept = {name for name in FITS if name.endswith(KEPT) or name == "authors"}
    assert {name for name, line in LINES.items() if line == "line" + KEPT} == kept


def test_curves_are_set_beside_each_other_by_pair_on_one_grid():
    walks = curves({"corrected": 0.0, "authors": 0.5})
    both = beside(walks + [replace(walks[0], original=9)], "corrected", "authors")
    assert [(a.method, a.original) for a, _ in both] == [(m, o) for m in METHODS[:2] for o in range(4)]
    assert all((a.method, a.original, len(a.profile.t)) == (b.method, b.original, COARSE) for a, b in both)


def test_pairs_whose_line_fails_the_gate_are_left_out_unless_nothing_else_is_there():
    good, bad = curves({"line": 0.3}, methods=METHODS[:1]), curves({"line": 0.3}, methods=METHODS[1:2], ends=(0.3, 1.2))
    table = fits_table(good + bad)
    assert set(table["method"]) == {METHODS[0]} and table["read"].all()
    assert not fits_table(bad)["read"].any() and len(fits_table(bad)) == 4


def test_a_fit_that_no_verdict_reads_is_shown_where_its_line_is_read():
    """With BatchNorm kept the end is another model, which the gate leaves out."""
    walks = curves({"line": 0.0, "corrected": 0.0, REFIT: 0.0})
    walks += curves({"line" + KEPT: 0.3, "authors": 0.5}, ends=(0.3, 1.2))
    table = shares_table(fits_table(walks)).set_index("fit")
    assert table["read"].to_dict() == {"line": 8, "corrected": 8, REFIT: 8, "line" + KEPT: 0, "authors": 0}
    assert (
        beside(walks, "line" + KEPT, "authors") == [] and len(beside(walks, "line" + KEPT, "authors", read=False)) == 8
    )
    assert changes_table(walks).loc["authors", "changes"] == "8 of 8"
    assert fits_summary(walks).loc["authors", ["read", "fails"]].tolist() == ["0 of 8", "8 of 8"]


def test_shares_are_means_over_originals_counted_by_chord_and_floor():
    eps = {"line": 0.5, "corrected": lambda m, o: 0.5 * (o < 1 or m == METHODS[1]), "normal t": 0.0}
    walks = [w for w in curves(eps) if not w.recipe or w.original < 2 and w.method == METHODS[0]]
    table = shares_table(fits_table(walks)).set_index("fit")
    assert table.index.tolist() == ["line", "corrected", FEW, "normal t"]
    assert table["group"].nunique() == 2
    counts = table[["methods", "originals", "pairs", "joined"]].T.to_dict("list")
    assert counts == {"line": [2, 4, 8, 0], "corrected": [2, 4, 8, 3], FEW: [1, 2, 2, 1], "normal t": [1, 2, 2, 2]}
    assert tuple(table.loc["corrected", ["share", "low", "high"]]) == pytest.approx(tuple(share([0, 0.5, 0.5, 0.5])))
    # The ends lie 0.2 G above the retrained models: a dip by 0.5 G is one of 0.3 G below these.
    assert table.loc["line", "floor"] == 0
    near = shares_table(fits_table(curves({"line": 0.25}))).set_index("fit")
    assert near.loc["line", ["joined", "floor"]].tolist() == [0, 8]


def test_a_fit_fails_where_the_line_that_is_read_alike_is_better_by_a_tenth():
    eps = {"line": 0.0, "line" + KEPT: 0.4, "corrected": 0.2, "authors": 0.45, "authors" + REFRESHED: 0.05}
    summary = fits_summary(curves(eps))
    assert summary["fails"].to_dict() == {
        "line": "-", "corrected": "8 of 8", "authors" + REFRESHED: "0 of 8", "line" + KEPT: "-", "authors": "0 of 8",
    }  # fmt: skip
    assert summary.loc["line", "connected"] == "8 of 8" and summary.loc["corrected", "eps"] == pytest.approx(
        0.2, abs=0.01
    )


def test_means_are_over_originals():
    walks = curves({"corrected": lambda m, o: 0.1 * o})
    found = fits_means(fits_table(walks)).set_index(["method", "fit"])
    own = [w.at(COARSE).eps for w in walks if w.method == METHODS[0]]
    assert tuple(found.loc[METHODS[0], "corrected"]) == pytest.approx(tuple(student(own, least=0.005)))


def test_gains_are_the_number_of_c13_with_its_bounds_beside_those_of_refits():
    eps = {"line": lambda m, o: 0.5 * (m == METHODS[0]), "corrected": lambda m, o: 0.5 * (m != METHODS[0])}
    walks = curves(eps | {REFIT: lambda m, o: 0.5 * (m != METHODS[0]) + 0.04})
    table, summary = gains_table(walks), gains_summary(gains_table(walks)).set_index(["method", "what"])
    wide = table.pivot_table(index="original", columns="method", values="gain", sort=False)
    bounds = simultaneous(wide.to_numpy(), least=0.005)
    assert summary.loc[(METHODS[0], "gain"), "estimate"] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(summary.xs("gain", level="what")["low"], bounds.low)
    assert summary.loc[(METHODS[1], "refit"), "estimate"] == pytest.approx(-0.04, abs=0.01)
    text = gains_text(table)
    assert "0.1 G less than the line on 4 of 8 pairs and over 0.1 G more on 4 of 8" in text
    assert "the better for **1 of 2 methods** (random labels), the line for **1 of 2** (SalUn)" in text
    assert "on 0 of 8 pairs." in text and gains_text(table.iloc[:0]).startswith("No pair has")


def test_what_another_seed_changes_too_does_not_count():
    flip = lambda m, o: 0.5 * (o < 3)  # noqa: E731
    walks = curves({"corrected": 0.0, "retain only": flip, REFIT: lambda m, o: 0.5 * (o < 1), "authors": 0.0})
    table = changes_table(walks)
    assert table.loc["retain only", ["changes", "another seed changes"]].tolist() == ["6 of 8", "2 of 8"]
    assert table.loc["retain only", "beyond (share)"].startswith("0.50 [")
    assert table.loc["authors", "changes"] == "0 of 8" and "corrected" + KEPT not in table.index
    # It is the effect of C23.
    assert declared.c23(walks).effect.estimate == pytest.approx(0.5)


def test_claims_are_judged_by_either_recipe_on_the_pairs_that_have_both():
    table = recipes_table(fitted())
    assert table.index.tolist() == ["C1", "C13", "C21"]
    rows = beside(fitted(), "line", "corrected", "authors" + REFRESHED)
    for column, k in (("corrected", 1), ("authors", 2)):
        given = [w for row in rows for w in (row[0], replace(row[k], recipe="", batchnorm=""))]
        one = declared.c1([w for w in fitted() if w.control] + given)
        assert table.loc["C1", column].startswith(f"{one.verdict}, {one.effect.estimate:.2f} [")


def test_the_better_path_is_the_one_that_costs_less():
    walks = curves({"line": lambda m, o: 0.1 * o, "corrected": 0.15})
    table = surplus_table(fits_table([*walks, replace(walks[0], original=9)]))
    cost = table.pivot(index=["method", "pair"], columns="path", values="nats")
    assert len(cost) == 8  # a pair without a curve has no better
    np.testing.assert_allclose(cost["better of the two"], cost[["line", "corrected"]].min(axis=1))
    found = surplus_means(table).set_index(["method", "path"])
    part = table[(table["method"] == METHODS[0]) & (table["path"] == "line")]
    assert found.loc[(METHODS[0], "line"), "estimate"] == pytest.approx(part["nats"].mean())
    assert (found["low"] >= 0).all() and len(surplus_table(fits_table([]))) == 0


def test_the_record_of_each_fit_is_part_of_the_experiment(laptop):
    wanted = fit_records(laptop, fits(laptop))
    curves = {r.path for r in fits(laptop) if r.kind != "linear"}
    assert {one.model for one in wanted} == curves and len(wanted) == len(curves)
    assert set(wanted) <= set(EXPERIMENTS["08_curve_fitting"](laptop))


def test_fits_that_rest_are_counted():
    rng, t = np.random.default_rng(0), np.random.default_rng(1).uniform(size=400)
    still = recorded(1 + 0.001 * rng.normal(size=400), t)
    falling = recorded(np.linspace(10, 1, 400), t)
    made = list(zip((Labels("npo", "bezier", 42, 87, original=o) for o in range(2)), (still, falling), strict=True))
    table = convergence_table(made)
    assert table.loc["corrected"].tolist()[:5] == [2, "400", 1, 1, 0]
    walks = curves({"line": 0.0, "corrected": 0.5}, methods=("npo",), originals=2)
    assert "On 2 pairs the corrected curve is worse" in convergence_text(made, walks)
    assert "1 of these fits had come to rest. There the objective" in convergence_text(made, walks)
    better = curves({"line": 0.5, "corrected": 0.0}, methods=("npo",), originals=2)
    assert convergence_text(records(), better).startswith("On no pair")


def test_the_answer_counts_pairs():
    flip = lambda m, o: 0.5 * (o < 2)  # noqa: E731
    eps = {"line": flip, "corrected": 0.0, REFIT: 0.0, "retain only": flip, "authors": 0.5, "authors" + REFRESHED: 0.5}
    text = answer_text(curves(eps))
    assert "refreshed BatchNorm the line connects 4 of 8 pairs, the corrected curve 8 of 8" in text
    assert (
        "a forget term 4 of 8, the authors' recipe 0 of 8. With the start's statistics kept the line connects 0 of 0"
        in text
    )
    assert "retain only: 4 of 8 (another seed: 0 of 8); authors, BatchNorm refreshed: 8 of 8" in text
    assert "(reading `floor`) the line connects 4 of 8 and the corrected curve 8 of 8" in text
    assert text.count("**Expected.**") == text.count("**Found.**") == text.count("**So.**") == 1
