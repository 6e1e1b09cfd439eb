"""The room `seeds`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace

import numpy as np
import pytest
from made_figures import METHODS as METHODS_of_figures, along, barrier_figure, figure, pairs, sweep
from made_specs import labels
from made_tables import clean
from made_worlds import Shape, World, controlled, walk as made_walk, world
from matplotlib.text import Text

import mcutils as mc
from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.measures.connectivity import TOLERANCE
from mcutils.measures.drawing import label
from mcutils.measures.originals import share, student
from mcutils.paper.curve_fitting import fits
from mcutils.paper.panels import FAILING
from mcutils.paper.seeds import (
    SPLIT_UP,
    STAGES,
    again_text,
    counted_text,
    deepest,
    failing,
    mcu_sweep_figure,
    paths_means,
    paths_summary,
    readings_table,
    refits,
    seeds,
    seeds_answer,
    seeds_figure,
    sweep_table,
    variance_figure,
    variance_shown,
    variance_table,
)
from mcutils.paper.tables import excess_table
from mcutils.paper.trial_ledger import judge_room
from mcutils.paper.verdicts import fragility_text
from mcutils.paper.walks import SECOND_DRAW, SECOND_PAIR, labels_of, walk_all


def test_seeds_have_a_line_and_a_curve_for_each_method_on_each_original(laptop):
    routes = [r for r in seeds(laptop) if not (r.control or r.aside)]
    pairs = {(original, 42, 87) for original in range(8)}
    expected = {(m, k, *p) for m in laptop.preset.methods for k in ("linear", "bezier") for p in pairs}
    found = labels(routes, "method", "kind", "original", "start", "end")
    assert set(found) == expected and set(found.values()) == {1}
    assert {(r.condition, r.other, r.form, r.points) for r in routes} == {("random", "", "", 0)}


def test_curves_are_fitted_again_as_in_08(laptop, smoke):
    ours, theirs = ({r.profile(laptop) for r in of(laptop) if r.refit} for of in (refits, fits))
    assert ours < theirs and len(ours) == 3 * 8 and refits(smoke) == []


@pytest.mark.parametrize("eps", [-0.1, float("nan"), "0.1", True])
def test_a_tolerance_that_is_none_is_refused(eps, bowed):
    with pytest.raises(BadInput, match="the tolerance epsilon must be a finite number of at least 0"):
        judge_room({"02_seeds": bowed}, ["C1"], eps=eps)


def test_paths_per_method_and_curve(walks):
    table = paths_summary(walks)
    assert table.index.tolist() == [
        ("npo", "linear"), ("npo", "bezier"), ("scrub", "linear"),
        ("other initial weights", "linear"), ("fine-tuned twin", "linear"),
    ]  # fmt: skip
    one = table.loc[("npo", "linear")]
    assert (one["connected"], one["barrier mean"], one["barrier max"]) == ("3 of 5", 0.04, 0.08)
    assert (one["deficit mean"], one["deficit max"]) == (0.1, 0.2)
    assert (table["distance"] == 3).all() and (table["cosine"] == 0.25).all()
    part = [w for w in walks if (w.name, w.kind) == ("npo", "linear")]
    assert one["variation"] == pytest.approx(np.mean([w.variation_of("forget") for w in part]), abs=5e-4)
    assert one["roughness"] == pytest.approx(np.mean([w.roughness_of("forget") for w in part]), abs=5e-4)
    assert one["roughness"] > table.loc[("npo", "bezier"), "roughness"] and "pass" not in table
    clean(table)


def bent(labels):
    """NPO's lines dip to the retrained level, SCRUB's below, the bad teacher has a barrier, SalUn did not forget."""
    if labels["method"] == "salun":
        return Shape(ends=(0.1, 0.1))
    dips = {"npo": 0.2, "scrub": 0.6} if labels["kind"] == "linear" else {}
    return Shape(dip=dips.get(labels["method"], 0.0), rise=0.3 * (labels["method"] == "bad_teacher"))


@pytest.fixture(scope="module")
def bowed():
    return world(controlled(bent), ("random",), originals=4)


def test_connected_walks_are_counted_by_each_reading_among_those_that_are_read(bowed):
    aside = [replace(w, form=SECOND_PAIR) for w in bowed if not w.control]
    table = readings_table([*bowed, *aside], "method", "kind")
    assert list(table.columns) == ["chord", "floor", "worse end", "two sided", "roughness", "read"]
    assert table.loc[("npo", "linear")].tolist()[:4] == ["0 of 4", "4 of 4", "0 of 4", "0 of 4"]
    assert table.loc[("scrub", "linear")].tolist()[:4] == ["0 of 4"] * 4
    assert table.loc[("bad_teacher", "bezier")].tolist()[:4] == ["0 of 4"] * 4
    assert table.loc[("salun", "linear")].tolist() == ["-"] * 5 + ["0 of 4"]
    assert table.loc[("all", "")].tolist()[:4] == ["24 of 40", "28 of 40", "24 of 40", "24 of 40"]
    assert table.loc[("all", ""), "read"] == "40 of 48"
    # A bow of 0.6 G: (8 * 0.6)^2, but for the spread of made walks.
    assert float(table.loc[("scrub", "linear"), "roughness"]) == pytest.approx(4.8**2, rel=0.1)
    by_kind = readings_table(bowed, "kind", eps=0.4)
    assert by_kind["chord"].tolist() == ["16 of 20", "20 of 20", "36 of 40"]
    assert failing(bowed) == ["salun"] and failing([w for w in bowed if w.method != "salun"]) == []


def test_the_summary_says_who_passes_the_gate_and_how_rough_a_path_is(bowed):
    table = paths_summary(bowed)
    assert table.loc[("salun", "linear"), "pass"] == "0 of 4" and table.loc[("npo", "linear"), "pass"] == "4 of 4"
    assert table.loc[("other initial weights", "linear"), "pass"] == ""
    assert table.loc[("npo", "linear"), "connected"] == "0 of 4"
    part = [w for w in bowed if (w.method, w.kind, w.control) == ("npo", "linear", "")]
    assert table.loc[("npo", "linear"), "roughness"] == pytest.approx(np.mean([w.roughness for w in part]), abs=5e-4)
    means = paths_means(bowed).set_index(["method", "curve", "measure"]).loc[("npo", "linear", "deficit")]
    assert tuple(means[["estimate", "low", "high"]]) == student([w.deficit for w in part]) and means["n"] == 4


def test_the_answer_counts_what_is_read_by_every_reading(bowed):
    words = clean(seeds_answer(bowed))
    assert [part.split(".**")[0] for part in words.split("\n\n")] == ["**Expected", "**Found", "**So"]
    assert "Verdicts read 40 of 48 paths. 32 of these 40 have no retain barrier above 0.1 G. On 8 the forget" in words
    assert "below its chord, on 4 of these 8 that far below the level" in words
    assert "curve joins 16 of 20 pairs by the chord, 16 of 20 if a loss may also go" in words
    assert "Connected is not smooth: of 24 connected paths the median has" in words and "On 4 of 8 paths" in words
    assert "**So.** On no path" in seeds_answer([w for w in bowed if w.method == "random_labels"])
    assert "read none of 8 paths" in seeds_answer([w for w in bowed if w.method == "salun"])


def test_shares_are_told_in_counts(bowed):
    words = clean(counted_text([*bowed, *(replace(w, form=SECOND_PAIR) for w in bowed)]))
    assert "- C1: the better of line and curve joins **16 of 20 pairs**" in words
    assert (
        "- C21: **8 of 32 paths** without a retain barrier" in words and "above 0.1 G, 4 of them as far below" in words
    )
    assert "G (SCRUB) and their mean roughness goes from" in words and "G² (SCRUB)." in words
    assert counted_text([w for w in bowed if w.method == "salun"]) == "No path is read."


def test_images_that_come_back_are_counted_on_the_paths_that_dip(bowed):
    assert "No path that is read both dips" in again_text(bowed)
    kept = {
        f"metric/known_again_{split}": np.array([0, top, 0.001]) for split, top in (("forget", 0.02), ("test", 0.01))
    }
    kept |= {"known/never_forget": np.float64(0.08), "known/never_test": np.float64(0.1)}
    told = [replace(w, profile=type(w.profile)({**w.profile.arrays, **kept})) for w in bowed]
    assert "wrong, 25.0 % are right at the t where most of them are; of such test" in again_text(told)
    assert "on, 10.0 %." in again_text(told)


def test_the_deepest_path_is_one_that_is_read(bowed):
    routes = [replace(w) for w in bowed]
    found = deepest(routes, bowed)
    read_ = [w for w in bowed if w.method != "salun" and not w.control]
    assert found.deficit == max(w.deficit for w in read_) and found.method == "scrub"
    alone = [w for w in bowed if w.method == "salun"]
    assert deepest(alone, alone).method == "salun"


def test_the_share_of_connected_pairs_never_falls_with_the_tolerance(walks):
    eps = np.linspace(0, 0.5, 11)
    table = sweep_table(walks, eps)
    assert list(table.columns) == ["method", "curve", "eps", "fraction", "low", "high"]
    assert len(table) == 5 * len(eps)
    for group, part in table.groupby(["method", "curve"]):
        assert (part["eps"].diff().dropna() > 0).all()
        assert (part["fraction"].diff().dropna() >= 0).all(), group
    assert (table["low"] <= table["fraction"]).all() and (table["fraction"] <= table["high"]).all()
    assert table["fraction"].between(0, 1).all() and table["low"].min() >= 0 and table["high"].max() <= 1
    last = table[table["eps"] == 0.5].set_index(["method", "curve"])["fraction"]
    assert last[("npo", "linear")] == last[("scrub", "linear")] == 1
    assert last[("other initial weights", "linear")] == 0
    clean(table)


def test_a_share_s_interval_is_over_originals(walks):
    part = [
        replace(w, original=k // 2) for k, w in enumerate(w for w in walks if (w.name, w.kind) == ("npo", "linear"))
    ]
    one = sweep_table(part, [TOLERANCE]).iloc[0]
    each = [np.mean([w.connected(TOLERANCE) for w in part if w.original == o]) for o in range(3)]
    assert tuple(one[["fraction", "low", "high"]]) == share(each)


def test_a_world_is_judged_by_the_declared_rows_of_the_room(bowed):
    found = {one.row.name: one for one in judge_room({"02_seeds": bowed}, ["C1", "C2", "C21"])}
    assert list(found) == ["C1", "C2 deficit", "C2 roughness", "C21"]
    assert found["C1"].first.effect.estimate == pytest.approx(16 / 20)  # as `counted_text` counts
    assert found["C21"].first.effect.estimate == pytest.approx(8 / 32)
    assert found["C21"].found["floor"].effect.estimate == pytest.approx(4 / 32)
    told = fragility_text(list(found.values()))
    assert told.startswith("**Fragility.**") and "C1 0 %" in told and "C2 " not in told
    assert "too few originals" in fragility_text([])


def test_tables_leave_their_walks_alone(walks):
    before = [replace(w) for w in walks]
    paths_summary(walks), sweep_table(walks, [0.1]), excess_table(walks)
    assert [w.profile.arrays["measure/barrier_retain"] for w in walks] == [
        w.profile.arrays["measure/barrier_retain"] for w in before
    ]


NOISY = {"dip": 0.1, "seeds": 0.05, "draw": 0.1, "original": 0.2, "fit": 0.03}


@pytest.fixture(scope="module")
def split():
    """Walks with the labels of 02's and 08's routes of three methods, whose dips are drawn stage by stage."""
    eight = mc.study("laptop", fresh=True, methods=["gradient_difference", "npo", "random_labels", "scrub"])
    rng, known = np.random.default_rng(0), {}
    made = World(lambda labels: Shape(dip=labels["dip"]), points=31, patterns="none", spread=0.0)

    def drawn(name, labels, *more):
        place = (name, labels["method"], labels["original"], *more)
        return known.setdefault(place, NOISY[name] * rng.normal())

    found = {}
    for route in (*seeds(eight), *fits(eight)):
        labels = labels_of(route)
        draw, pair = route.form == SECOND_DRAW, (route.start, route.end)
        dip = 0.5 + drawn("original", labels) + drawn("draw", labels, draw) + drawn("seeds", labels, draw, pair)
        dip += drawn("fit", labels, draw, pair, route.refit) * (route.kind == "bezier")
        shape = replace(made, shape=lambda labels, dip=dip: Shape(dip=dip), spread=0.0)
        if tuple(labels.values()) not in found:
            found[tuple(labels.values())] = made_walk(shape, **labels)
    return list(found.values()), known


def test_the_variance_is_that_of_each_stage_by_hand(split):
    """Read from the walks by their labels alone, as differences of means; eight originals, four with every stage."""
    walks, known = split
    table = variance_table(walks)
    lines = {}
    for w in walks:
        if (w.method, w.kind, w.condition, w.control, w.batchnorm) == ("npo", "linear", "random", "", ""):
            lines[w.original, w.form] = w.at(11).deficit
    assert len(lines) == 8 + 4 + 4
    first, pair, draw = (np.array([lines[o, form] for o in range(4)]) for form in ("", SECOND_PAIR, SECOND_DRAW))
    by_seeds = ((first - pair) ** 2).sum() / 2 / 4
    by_draw = ((((first + pair) / 2 - draw) ** 2).sum() * 2 / 3 / 4 - by_seeds) * 3 / 4
    table = table[(table["measure"] == "deficit") & (table["method"] == "npo")].set_index(["curve", "component"])
    found = table.loc["linear"]
    assert list(found.index) == ["original", "forget set", "unlearning seeds"]
    assert found.loc["unlearning seeds", "variance"] == pytest.approx(by_seeds, rel=1e-9)
    assert found.loc["forget set", "variance"] == pytest.approx(by_draw, rel=1e-9)
    assert found["freedom"].tolist() == [7, 4, 4]
    fit = table.loc["bezier"].loc["fit"]
    refits = {(w.original, w.refit): w.at(11).deficit for w in walks if (w.method, w.kind) == ("npo", "bezier")
              and not (w.form or w.control or w.recipe or w.objective or w.batchnorm)}  # fmt: skip
    again = np.array([refits[o, False] - refits[o, True] for o in range(8)])
    assert fit["variance"] == pytest.approx((again**2).mean() / 2, rel=1e-9) and fit["freedom"] == 8
    own = found["variance"].clip(lower=0)
    np.testing.assert_allclose(found["share"], own / own.sum(), rtol=1e-12)
    np.testing.assert_allclose(found["sd"] ** 2, own, rtol=1e-12)


def test_a_method_without_a_second_draw_has_an_original_with_its_forget_set(split):
    table = variance_table(split[0])
    assert set(table["method"]) == {"gradient_difference", "npo", "random_labels", "mean"}  # the fourth has no pair
    some = table[(table["method"] == "random_labels") & (table["measure"] == "deficit")]
    stages = ["original and forget set", "unlearning seeds"]
    assert some["component"].tolist() == [*stages, *stages, "fit"]
    two = table[(table["measure"] == "eps") & (table["curve"] == "bezier")].pivot(
        index="component", columns="method", values="variance"
    )
    two = two.loc[["original", "forget set", "unlearning seeds", "fit"]]
    np.testing.assert_allclose(two["mean"], two[["gradient_difference", "npo"]].mean(axis=1), rtol=1e-12)


def test_only_what_was_meant_to_vary_is_read(split):
    """Neither other recipes, objectives and policies, nor data with a cue, nor ends that did not forget."""
    walks, _ = split
    table = variance_table(walks)
    wild = World(lambda labels: Shape(dip=5.0), patterns="none", seed=3)
    ours = [w for w in walks if w.method == "npo" and w.form == SECOND_PAIR]
    forms = ("cue", "tuned", "trained with superloss")
    fitted = {"recipe": "authors"}, {"objective": "retain only"}, {"batchnorm": "none"}
    others = (*({"form": form} for form in forms), *fitted, {"condition": "fo-so"}, {"size": 0.02}, {"full": True})
    more = [made_walk(wild, **{**labels_of(w), **other}) for w in ours for other in others]
    more += [made_walk(World(lambda labels: Shape(ends=(0.0, 0.0)), patterns="none"), **{**labels_of(w), "start": 7})
             for w in ours]  # fmt: skip
    assert variance_table([*walks, *more]).equals(table)
    assert variance_table([w for w in walks if not w.aside]).empty
    assert variance_table([]).columns.tolist() == table.columns.tolist()


def test_shares_of_the_variance_are_shown_by_stage(split):
    table = variance_table(split[0])
    shown = variance_shown(table)
    assert list(shown.columns) == ["gradient_difference", "npo", "random_labels", "mean"]
    stages = [stage for measure, kind, stage in shown.index if (measure, kind) == ("eps", "bezier")]
    assert stages == ["original", "original and forget set", "forget set", "unlearning seeds", "fit"]
    one = table[(table["measure"] == "eps") & (table["curve"] == "bezier") & (table["method"] == "npo")].iloc[-1]
    assert shown.loc[("eps", "bezier", "fit"), "npo"] == f"{100 * one['share']:.0f} % ({one['sd']:.3f} G)"
    assert (
        shown.loc[("deficit", "linear", "forget set"), "random_labels"] == ""
        and variance_shown(variance_table([])).empty
    )


def test_planted_shares_are_found(split):
    """Of one draw of eight originals: seeds and draws, in the mean of methods, within what so few can tell."""
    found = variance_table(split[0]).query("measure == 'deficit' and method == 'mean' and curve == 'bezier'")
    found = found.set_index("component")
    for name, stage in (
        ("original", "original"),
        ("draw", "forget set"),
        ("seeds", "unlearning seeds"),
        ("fit", "fit"),
    ):
        assert NOISY[name] ** 2 / 4 < found.loc[stage, "variance"] < 4 * NOISY[name] ** 2
        assert found.loc[stage, "low"] < found.loc[stage, "variance"] < found.loc[stage, "high"]


def test_the_variance_has_a_row_of_dots_a_stage():
    fig = figure("variance")
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == list(STAGES)
    titles = [ax.get_title() for ax in fig.axes]
    assert titles == [f"{label(kind)}: {measure}" for measure, kind in SPLIT_UP]
    dots = fig.axes[0].lines[0].get_xdata()
    assert np.allclose(sorted(dots), np.sqrt([0.01, 0.012, 0.014]))
    low = [line.get_xdata() for ax in fig.axes for line in ax.lines if len(line.get_xdata())]
    assert min(map(np.min, low)) >= 0  # what is below 0 is drawn there
    with pytest.raises(BadInput, match="there are no rows to draw"):
        variance_figure(variance_table([]))


def test_controls_stand_below_the_methods():
    fig = barrier_figure(pairs().iloc[::-1], threshold=0.1)
    rows = [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    assert set(rows[-2:]) == {"different initialisation", "fine-tuned twin"} and len(rows) == 9


def test_methods_that_fail_the_gate_are_marked():
    one, some = METHODS_of_figures[1], METHODS_of_figures[:2]
    for fig, plain in (
        (barrier_figure(pairs(some), failing=[one]), barrier_figure(pairs(some))),
        (seeds_figure(along(some), failing=[one]), seeds_figure(along(some))),
    ):
        words, without = ([item.get_text() for item in each.findobj(Text)] for each in (fig, plain))
        assert f"{label(one)} {FAILING}" in words and f"{label(some[0])} {FAILING}" not in words
        assert f"{FAILING} none passes the gate" in words and not any(FAILING in word for word in without)


def test_seeds_figure_has_two_panels_per_method_on_one_scale():
    fig = figure("seeds")
    used = [ax for ax in fig.axes if ax.axison]
    assert len(used) == 2 * len(METHODS_of_figures)
    assert len({ax.get_ylim() for ax in used}) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_few_methods_and_few_pairs(count):
    some = METHODS_of_figures[:count]
    assert len(seeds_figure(along(some)).axes) == 2 * count
    barrier_figure(pairs(some).query("control == ''").drop(columns="control"))
    barrier_figure(pairs(some).drop_duplicates("method"))
    assert len(mcu_sweep_figure(sweep().query("method in @some")).axes) == count


def test_the_readme_counts_pairs_and_lines_as_the_shipped_results_do(tmp_path):
    """Gate, barrier and dips are counted anew from curves, by no function that the sentence is made with."""
    if not (ROOT / "figures" / "findings.md").is_file():
        pytest.skip("the results of the declared tests are not committed yet")
    bench = mc.study("laptop", store=str(tmp_path), fresh=False)
    pairs: dict[tuple, list] = {}
    lines, floor = [], []
    for w in walk_all(bench, seeds(bench)):
        t, gap, curves, before = w.profile.t, w.profile.gap, w.profile.connectivity.curves, w.profile.original
        level = {name: float(np.mean(values)) for name, values in w.profile.levels.items()}
        ends = [{name: curve[k] for name, curve in curves.items()} for k in (0, -1)]
        forgot = all(
            2 * (end["loss_forget"] - before["loss_forget"]) >= level["loss_forget"] - before["loss_forget"]
            and 2 * (before["accuracy_forget"] - end["accuracy_forget"])
            >= before["accuracy_forget"] - level["accuracy_forget"]
            and end["accuracy_retain"] >= 0.97 * before["accuracy_retain"]
            for end in ends
        )
        if w.control or w.aside or w.profile.collapsed or not forgot:
            continue
        retain, forget = curves["loss_retain"], curves["loss_forget"]
        up, down = ((1 - t) * curve[0] + t * curve[-1] for curve in (retain, forget))
        joined = (retain - up).max() <= 0.1 * gap and (down - forget).max() <= 0.1 * gap
        pairs.setdefault((w.original, w.method), []).append(joined)
        if w.kind == "linear":
            up, down = np.maximum(up, level["loss_retain"]), np.minimum(down, level["loss_forget"])
            lines.append(joined)
            floor.append((retain - up).max() <= 0.1 * gap and (down - forget).max() <= 0.1 * gap)
    prose = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    either, methods = sum(map(any, pairs.values())), len({method for _, method in pairs})
    assert f"Ends of {len(pairs)} pairs, of {methods} methods, forgot and kept" in prose
    assert f"connects {either} of these pairs, the line by itself {sum(lines)}, or {sum(floor)} where" in prose
