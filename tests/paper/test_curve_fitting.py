"""The room `curve_fitting`: its routes, its claims' tests, its tables and figures on made-up walks."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_claims import METHODS, SINGLE, fitted as fitted_of_claims, judge, lines_and_curves, many, ours, refitted
from made_figures_of_metrics import (
    METHODS as METHODS_of_figures_of_metrics,
    figure,
    fits as fits_of_figures_of_metrics,
    fits_means,
    table as table_of_figures_of_metrics,
    texts,
)
from made_specs import THREE, pairs_of
from synthetic import RING, controls, fit, walk

import mcutils as mc
from mcutils.curves import RECIPES
from mcutils.engine.specs import FitSpec
from mcutils.errors import BadInput
from mcutils.fits import recorded
from mcutils.measures.intervals import percentile_interval
from mcutils.measures.profiles import Profile
from mcutils.paper.claims import CLAIMS, spread
from mcutils.paper.curve_fitting import (
    CHOICES,
    FEW,
    FITS,
    OUTCOMES,
    answer_text,
    beside,
    c12,
    c13,
    convergence_figure,
    convergence_summary,
    convergence_table,
    disagreements_table,
    failures,
    fit_name,
    fits,
    fits_figure,
    fits_summary,
    fits_table,
    outcomes_table,
    outcomes_text,
    recipes_table,
    shares_table,
    surplus_table,
)
from mcutils.paper.progress_and_retraining import progress
from mcutils.paper.registry import EXPERIMENTS
from mcutils.paper.tables import mean_of, means
from mcutils.paper.walks import fit_records, fitted as walks_fitted


def test_fits_differ_in_what_their_name_says_and_nothing_else(laptop):
    routes = [r for r in fits(laptop) if not r.control]
    more = [r for r in routes if pairs_of([r]) - THREE]
    assert Counter((r.method, fit_name(r)) for r in more) == {
        ("bad_teacher", "line"): 2,
        ("bad_teacher", "authors"): 2,
    }
    own = {(r.method, r.original, r.start, r.end, r.kind): r for r in routes if fit_name(r) in ("line", "corrected")}
    own |= {(r.method, r.original, r.start, r.end, "bezier"): r for r in more if r.recipe == "authors"}
    assert len(own) == 8 * 3 * 2 + 4
    some = laptop.preset.methods[-4:-1]
    counts, few = Counter(fit_name(r) for r in routes if r not in more), [name.replace("_", " ") for name in CHOICES]
    assert counts == dict.fromkeys(FITS, 24) | dict.fromkeys(few, 3 * len(some))
    assert set(CHOICES) == set(RECIPES) - {"corrected", "authors"}
    for r in routes:
        mine, path = own[r.method, r.original, r.start, r.end, r.kind].path, r.path
        assert (path.start, path.end, path.kind) == (mine.start, mine.end, mine.kind)
        assert path.seed - mine.seed == r.refit
        assert r.batchnorm == ("none" if "BatchNorm kept" in fit_name(r) else "")
        objective = {"retain only": "finetune", "retain - forget": "gradient_difference"}.get(fit_name(r), "")
        assert path.method == objective
        if r.kind == "bezier":
            assert path.recipe == (r.recipe or "corrected")
        assert r.points == 11


def test_c12_is_the_share_of_bad_teacher_fits_that_are_worse_than_the_line():
    eps = (0.1, 0.19, 0.21, 0.5)
    made = {"pairs": SINGLE[:4], "kinds": ("linear", "bezier")}
    walks = fitted_of_claims(0.1, lambda k: eps[k], methods=("bad_teacher",), **made)
    found = c12(walks)
    assert (found.effect, found.n_pairs, found.verdict) == (0.5, 4, "undecided")
    others = fitted_of_claims(0.0, 0.9, methods=METHODS[:2], **made)
    others += fitted_of_claims(0.0, 0.9, methods=("bad_teacher",), fits=("line, BatchNorm kept", "retain only"), **made)
    assert c12(walks + ours(others)) == found


def test_c12_is_undecided_by_three_pairs_whatever_they_show():
    for eps in (0.15, 0.9):
        walks = fitted_of_claims(0.1, eps, SINGLE[:3], ("bad_teacher",), kinds=("linear", "bezier"))
        assert c12(walks).verdict == "undecided"


def test_c13_is_the_rarer_of_line_only_and_curve_only():
    line, curve = (0.5, 0.5, 0.5, 0.0, 0.0), (0.0, 0.0, 0.5, 0.5, 0.0)
    found = c13(lines_and_curves(lambda k: line[k], lambda k: curve[k]))
    assert (found.effect, found.n_pairs, found.n_seeds) == (pytest.approx(1 / 5), 30, 5)
    turned = c13(lines_and_curves(lambda k: curve[k], lambda k: line[k]))
    assert turned.effect == found.effect
    assert c13(lines_and_curves(0.5, 0.0)).effect == 0


def test_c13_is_no_surer_than_the_less_certain_side():
    """The two shares are equal, but on one side the examples do not tell."""
    sure = lines_and_curves(lambda k: 0.5 * (k % 2), lambda k: 0.5 * (k % 2 == 0), pairs=many(20))
    unsure = {"replicates/barrier_retain": np.random.default_rng(0).normal(0.2, 0.4, 60)}  # 0.1 G, give or take
    for side in ("linear", "bezier"):
        shaken = [
            replace(w, profile=Profile(w.profile.arrays | unsure)) if w.kind == side and w.eps < 0.05 else w
            for w in ours(sure)
        ]
        found = c13(shaken + controls())
        assert found.effect == c13(sure).effect and found.low < c13(sure).low


def test_curves_are_set_beside_each_other_by_pair():
    walks = fitted_of_claims(0.0, 0.5, RING[:2], METHODS[:2])
    both = beside(walks + [walk("npo", pair=(1, 2), kind="bezier")], "corrected", "authors")
    assert [(a.method, a.start, a.eps, b.eps) for a, b in both] == [
        (m, p[0], 0.0, 0.5) for m in METHODS[:2] for p in RING[:2]
    ]
    assert all((a.method, a.start, a.end) == (b.method, b.start, b.end) for a, b in both)


def test_what_another_seed_of_the_fit_changes_too_does_not_count():
    """Of five pairs, the fit changes three verdicts, and another seed one of these and one more: 3/5 - 2/5."""
    other, again = (0.5, 0.5, 0.5, 0.0, 0.0), (0.5, 0.0, 0.0, 0.5, 0.0)
    for claim, name in (("C23", "retain only"), ("C24", "authors")):
        walks = refitted(0.0, lambda k: other[k], lambda k: again[k], name)
        found = judge(claim, walks)
        assert (found.effect, found.n_pairs, found.verdict) == (pytest.approx(1 / 5), 30, "undecided")
        assert judge(claim, [w for w in walks if not w.refit]).n_pairs == 0


@pytest.mark.parametrize(("claim", "other"), [("C23", "retain only"), ("C24", "authors")])
def test_conclusions_differ_where_one_of_two_curves_connects(claim, other):
    first, second = (0.0, 0.0, 0.5, 0.5, 0.5), (0.0, 0.5, 0.0, 0.5, 0.6)
    walks = refitted(lambda k: first[k], lambda k: second[k], lambda k: first[k], other)
    found = judge(claim, walks)
    assert (found.effect, found.n_pairs, found.n_seeds) == (pytest.approx(2 / 5), 30, 5)
    made = {"fits": ("line", "line, BatchNorm kept"), "kinds": ("linear", "linear")}
    lines = fitted_of_claims(0.0, 0.5, **made)
    more = fitted_of_claims(0.0, 0.5, fits=("BatchNorm kept", "uniform t"))
    assert judge(claim, walks + ours(lines) + ours(more)) == found


def fitted(name, kind, eps, method="npo", pair=(42, 87), rise=0.01, dip=0.02, **options):
    """A walk of `curve_fitting.fits` with this smallest eps, all of it a forget deficit."""
    made = walk(method, 0.0, eps, pair, kind, **fit(name), **options)
    more = {"measure/surplus_retain": np.float64(rise), "measure/shortfall_forget": np.float64(dip)}
    return replace(made, profile=Profile({**made.profile.arrays, **more}))


def test_every_fit_of_the_experiment_has_a_name(study):
    routes = [r for r in fits(study) if not r.control]
    assert {fit_name(r) for r in routes} == set(FITS) and len(set(FITS)) == len(FITS)
    kinds = {name: "linear" if name.startswith("line") else "bezier" for name in FITS}
    assert all(fit_name(walk("npo", kind=kind, **fit(name))) == name for name, kind in kinds.items())
    assert fit_name(walk("npo", kind="chain", refit=True)) == "corrected, another seed chain"


def test_fits_in_gaps_and_nats():
    walks = [fitted("corrected", "bezier", 0.2), fitted("authors", "bezier", 0.05, rise=0.5, dip=0.25)]
    table = fits_table([*walks, fitted("line", "linear", 0.3, collapsed=("t = 1: chance",)), *controls()])
    assert table["fit"].to_list() == ["corrected", "authors"] and table["connected"].to_list() == [False, True]
    np.testing.assert_allclose(table["eps"], [0.2, 0.05], rtol=1e-6)
    np.testing.assert_allclose(table["nats"], [0.4, 0.1], rtol=1e-6)  # G is 2 nats
    assert table[["rise", "dip"]].to_numpy().tolist() == [[0.01, 0.02], [0.5, 0.25]]
    assert tuple(table.loc[0, ["low", "high"]]) == percentile_interval(walks[0].eps, walks[0].replicates("eps"))[1:]
    summary = fits_summary(table)
    assert summary.index.to_list() == ["corrected", "authors"] and summary.loc["authors", "eps (median)"] == 0.05
    assert summary.loc["corrected", "connected"].startswith("0.00 [0.00, ")


LEVELS = {"loss_retain": [0.3], "accuracy_retain": [0.9], "accuracy_forget": [0.9]}


def beside_retrained(one, level):
    """A walk with retrained models of this forget loss; its ends have 0.2 and 0.3, and G is 2 nats."""
    return replace(one, profile=one.profile.with_levels(LEVELS | {"loss_forget": [level]}))


def test_shares_are_counted_by_the_chord_and_beside_the_retrained_models():
    walks = [fitted("corrected", "bezier", e, m, p) for m in ("npo", "scrub") for e, p in zip((0.0, 0.5), RING)]  # noqa: B905
    walks += [fitted("normal t", "bezier", 0.0, "scrub", RING[1]), fitted("line", "linear", 0.5, "npo", RING[0])]
    # A dip by 0.5 G, to -0.75 nats, is none beside retrained models of -0.7 and is one beside those of 0.3.
    walks = [beside_retrained(w, -0.7 if w.method == "npo" else 0.3) for w in walks]
    table = shares_table(fits_table(walks)).set_index("fit")
    assert table.index.to_list() == ["line", "corrected", FEW, "normal t"]
    assert table[["methods", "pairs", "joined", "floor"]].T.to_dict("list") == {
        "line": [1, 1, 0, 1],
        "corrected": [2, 4, 2, 3],
        FEW: [1, 2, 1, 1],  # those of SCRUB, with which the choice was tried
        "normal t": [1, 1, 1, 1],
    }
    assert table["share"].to_list() == [0.0, 0.5, 0.5, 1.0]
    summary = fits_summary(fits_table(walks))
    assert summary.loc["corrected", "connected"] == spread(tuple(table.loc["corrected", ["share", "low", "high"]]), 2)
    alone = shares_table(fits_table(quadrants()))  # without levels, and without choices
    assert alone["fit"].to_list() == ["line", "corrected"] and alone["floor"].isna().all()


def test_the_answer_counts_pairs():
    eps = {"line": (0.05, 0.3, 0.3), "corrected": (0.5, 0.0, 0.0), "authors": (0.5, 0.5, 0.5)}
    eps |= {"corrected, another seed": (0.5, 0.0, 0.3), "retain only": (0.0, 0.0, 0.5)}
    walks = [
        beside_retrained(fitted(name, "linear" if name == "line" else "bezier", e, pair=p), -0.3)
        for name, values in eps.items()
        for e, p in zip(values, RING, strict=False)
    ]
    text = answer_text(walks)
    assert "the line connects 1 of 3 pairs, the corrected curve 2 of 3" in text
    assert "BatchNorm kept 0 of 0, the authors' recipe 0 of 3, the fit without a forget term 2 of 3" in text
    assert "On 1 of 3 pairs the corrected curve needs over 0.1 G more" in text
    assert "changes the verdict of 1 of 3 pairs, the authors' recipe that of 2 of 3" in text
    # Down to -0.3 - 0.2 nats nothing counts: a dip of 0.3 G ends at -0.35, one of 0.5 G at -0.75.
    assert "the line connects 3 of 3 and the corrected curve 2 of 3" in text
    assert text.count("**Expected.**") == text.count("**Found.**") == text.count("**So.**") == 1


def test_fits_that_still_fell_are_counted():
    rates = {"corrected": (0.1, 0.1, 0.005), "authors": (0.005, 0.004, 0.1), "retain only": (None, 0.1)}
    steps, place = np.arange(1000), np.linspace(0, 1, 1000)
    made = [
        (walk("npo", kind="bezier", pair=pair, **fit(name)), recorded(np.exp(-rate * steps) + 1e-9, place))
        if rate
        else (walk("npo", kind="bezier", pair=pair, **fit(name)), recorded([1.0], [0.5]))
        for name, values in rates.items()
        for rate, pair in zip(values, RING, strict=False)
    ]
    made[0] = made[0][0], recorded(1 + steps / 1000, place)  # it rose
    table = convergence_table(made)
    assert table["fit"].to_list() == [name for name, values in rates.items() for _ in values]
    assert table["fall"].isna().to_list() == [False] * 6 + [True, False]
    fall = 1 - np.exp(-0.005 * 200)
    np.testing.assert_allclose(table["fall"][[2, 3]], fall, rtol=1e-3)
    assert table["loss"][0] == pytest.approx(1.95, abs=0.01) and table["fall"][0] == pytest.approx(-0.103, abs=0.01)
    summary = convergence_summary(table)
    assert summary.index.to_list() == ["corrected", "retain only", "authors"]
    assert summary[["fits", "still fell", "clearly", "rose"]].T.to_dict("list") == {
        "corrected": [3, 1, 1, 1],
        "retain only": [1, 0, 0, 0],
        "authors": [3, 2, 2, 0],
    }
    assert summary.loc["authors", "share"] == 2 / 3
    assert convergence_summary(table, 0.9)["still fell"].sum() == 0
    with pytest.raises(BadInput, match="most must be a finite number"):
        convergence_summary(table, -1)
    drawn = convergence_figure(table)
    assert {"2 of 3", "1 of 3", "0 of 1"} <= set(texts(drawn))


def test_records_of_fits_are_asked_for_where_originals_have_a_forget_set_each(laptop, tmp_path):
    assert fit_records(laptop, fits(laptop)) == [] == walks_fitted(laptop, fits(laptop))
    two = mc.study("smoke", store=str(tmp_path / "two"), fresh=True, originals=2, refresh="weighted")
    asked = fit_records(two, fits(two))
    assert {one.model for one in asked} == {r.path for r in fits(two) if r.kind != "linear"}
    assert len(set(asked)) == len(asked) > 0 and set(asked) <= set(EXPERIMENTS["08_curve_fitting"](two))
    of_09 = {one.model for one in EXPERIMENTS["09_progress_and_retraining"](two) if isinstance(one, FitSpec)}
    assert of_09 == {r.path for r in progress(two) if r.kind != "linear"} != set()
    for one in asked:
        two.store.put(one, recorded(np.ones(one.model.plan.steps), np.zeros(one.model.plan.steps)), 0.1)
    found = walks_fitted(two, fits(two))
    assert [route.path for route, _ in found] == [one.model for one in asked]
    assert all(record.converged for _, record in found if record.steps >= 20)
    assert len(convergence_table(found)) == len(asked)


def test_means_are_over_pairs_with_shared_seeds():
    walks = [fitted("corrected", "bezier", 0.1 * k, pair=p) for k, p in enumerate(RING)]
    table = fits_table([*walks, fitted("corrected", "bezier", 1.0, method="scrub")])
    found = means(table, "eps", ["method", "fit"]).set_index(["method", "fit"])
    expected = mean_of(walks, "eps")
    assert tuple(found.loc[("npo", "corrected"), ["estimate", "low", "high"]]) == pytest.approx(tuple(expected))
    assert tuple(found.loc[("scrub", "corrected"), ["estimate", "low", "high"]]) == pytest.approx((1, 0, np.inf))


def test_a_fit_fails_when_its_line_would_have_been_better_by_a_tenth():
    walks = []
    for pair, line, own, authors in zip(RING[:3], (0.2, 0.2, 0.2), (0.29, 0.0, 0.31), (0.5, 0.5, 0.25), strict=True):
        walks += [fitted("line", "linear", line, pair=pair), fitted("corrected", "bezier", own, pair=pair)]
        walks.append(fitted("authors", "bezier", authors, pair=pair))
    walks.append(fitted("authors", "bezier", 9.0, method="scrub"))  # without its line
    cells, totals = failures(walks)
    assert cells.to_dict("records") == [
        {"method": "npo", "fit": "corrected", "failed": 1, "n": 3},
        {"method": "npo", "fit": "authors", "failed": 2, "n": 3},
    ]
    assert totals["fit"].to_list() == ["corrected", "authors"]
    np.testing.assert_allclose(totals["share"], [1 / 3, 2 / 3])
    assert (totals["low"] < totals["share"]).all() and (totals["share"] < totals["high"]).all()
    assert all(len(part) == 0 for part in failures(controls()))


def quadrants():
    eps = {"both": (0.05, 0.05), "line only": (0.05, 0.5), "curve only": (0.5, 0.05), "neither": (0.5, 0.5)}
    return [
        fitted("corrected", kind, value, pair=pair)
        for pair, values in zip(RING, eps.values(), strict=False)
        for kind, value in zip(("linear", "bezier"), values, strict=True)
    ]


def test_each_quadrant_of_line_and_curve():
    table = outcomes_table(quadrants())
    assert table["outcome"].to_list() == list(OUTCOMES)
    assert set(table["fit"]) == {"corrected"}
    text = outcomes_text(table)
    assert text == "- *corrected*, 4 pairs; MCU(0.1) on both 1, line only 1, curve only 1, neither 1."
    assert outcomes_text(table.iloc[:0]).startswith("No pair was walked")
    nothing = replace(quadrants()[0], profile=fitted("line", "linear", float("nan")).profile)
    assert outcomes_table([nothing, quadrants()[1]])["outcome"].to_list() == ["curve only"]


def test_disagreements_name_the_recipe_that_connects():
    walks = [fitted("corrected", "bezier", e, pair=p) for e, p in zip((0.05, 0.5, 0.5), RING, strict=False)]
    walks += [fitted("authors", "bezier", e, pair=p) for e, p in zip((0.3, 0.02, 0.6), RING, strict=False)]
    table = disagreements_table(walks)
    assert table["connects"].to_list() == ["corrected", "authors"]
    assert table.index.to_list() == [("NPO", "0: 42-87"), ("NPO", "0: 87-21")]
    assert table.iloc[0]["eps, corrected"].startswith("0.050 [") and table.iloc[0]["eps, authors"].startswith("0.300 [")
    assert set(table["set by"]) == {"deficit"}
    assert len(disagreements_table(walks[:3])) == 0


def test_claims_are_judged_by_either_recipe_on_the_pairs_that_have_both():
    walks = [fitted("line", "linear", e, pair=p) for e, p in zip((0.3, 0.3, 0.05, 0.3), RING, strict=False)]
    walks += [fitted("corrected", "bezier", e, pair=p) for e, p in zip((0.0, 0.0, 0.5, 0.0), RING, strict=False)]
    walks += [fitted("authors", "bezier", e, pair=p) for e, p in zip((0.3, 0.0, 0.5), RING, strict=False)]
    table = recipes_table(walks + controls())
    assert table.columns.to_list() == ["statistic", "corrected", "authors"]
    found = {claim: [row[name].split(", ")[1].split(" [")[0] for name in ("corrected", "authors")]
             for claim, row in table.iterrows()}  # fmt: skip
    # Of three pairs: joined by line or curve 3 and 2, line only 1 and 1, curve only 2 and 1.
    assert found["C1"] == ["1.00", "0.67"] and found["C13"] == ["0.33", "0.33"]
    assert [CLAIMS[c].statistic for c in table.index] == table["statistic"].to_list()
    assert set(recipes_table(walks[:4] + controls())["authors"]) == {"undecided, -"}


def test_the_better_path_is_the_one_that_costs_less():
    table = surplus_table(fits_table([*quadrants(), fitted("line", "linear", 9.0, pair=RING[4])]))
    cost = table.pivot(index="pair", columns="path", values="nats")
    assert len(cost) == 4  # a pair without a curve has no better
    np.testing.assert_allclose(cost["better of the two"], cost[["line", "corrected"]].min(axis=1))
    assert len(surplus_table(fits_table(controls()))) == 0


def test_fits_have_a_panel_per_method_and_a_row_per_fit():
    fig = figure("fits")
    assert len([ax for ax in fig.axes if ax.axison]) == len(METHODS_of_figures_of_metrics)
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == list(FITS)
    few = table_of_figures_of_metrics("fits").query("fit in ('line', 'authors') and method == 'npo'")
    small = fits_figure(few, fits_means(), fits=FITS)
    assert [tick.get_text() for tick in small.axes[0].get_yticklabels()] == ["line", "authors"]


def test_failures_are_counted_in_their_cells():
    cells, totals = failures(fits_of_figures_of_metrics())
    fig = figure("failures")
    for one in cells.itertuples():
        assert f"{one.failed} of {one.n}" in texts(fig)
    squares = [line for line in fig.axes[1].get_lines() if line.get_marker() == "s"]
    assert [line.get_ydata()[0] for line in squares] == totals["share"].to_list()


def test_each_quadrant_says_how_many_pairs_it_holds():
    outcomes, fig = outcomes_table(fits_of_figures_of_metrics()), figure("outcomes")
    assert len(fig.axes) == 2
    for ax, (_, part) in zip(fig.axes, outcomes.groupby("fit", sort=False), strict=True):
        counts = {text.get_text() for text in ax.texts}
        assert counts == {f"{word}: {(part['outcome'] == word).sum()}" for word in OUTCOMES}
        assert ax.get_xscale() == ax.get_yscale() == "symlog"
        (low, high), boxes = ax.get_ylim(), [text.get_window_extent() for text in ax.texts]
        for line in (one for one in ax.get_lines() if len(one.get_xdata()) and one.get_marker() != "None"):
            places = ax.transData.transform(line.get_xydata())
            assert all(low < y < high for y in line.get_ydata())
            assert not any(box.contains(*place) for box in boxes for place in places), "a word over a pair"
