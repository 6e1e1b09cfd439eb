"""The room `seeds`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace

import numpy as np
import pytest
from made_claims import METHODS, SINGLE, by_method, judge, ours, study
from made_figures import METHODS as METHODS_of_figures, along, barrier_figure, figure, pairs, sweep
from made_specs import labels
from made_tables import clean
from made_worlds import Shape, World, walk as made_walk
from synthetic import RING, beside, controls, walk

import mcutils as mc
from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.measures.connectivity import TOLERANCE
from mcutils.measures.drawing import label
from mcutils.measures.intervals import Interval, share_explained, share_interval, wilson
from mcutils.paper.claims import CLAIMS, Verdict, judge as claims_judge
from mcutils.paper.curve_fitting import fits
from mcutils.paper.judging import sound
from mcutils.paper.registry import verdict_of
from mcutils.paper.seeds import (
    SPLIT_UP,
    STAGES,
    c1,
    c2,
    c21,
    connected_share,
    mcu_sweep_figure,
    paths_summary,
    seeds,
    seeds_answer,
    seeds_figure,
    sweep_table,
    variance_figure,
    variance_table,
)
from mcutils.paper.tables import excess_table, verdicts_text
from mcutils.paper.walks import SECOND_DRAW, SECOND_PAIR, labels_of, levelled, walk_all


def test_seeds_have_a_line_and_a_curve_for_each_pair_on_two_originals(laptop):
    routes = [r for r in seeds(laptop) if not r.control]
    ring = {(0, 42, 87), (0, 87, 21), (0, 21, 100), (0, 100, 13), (1, 42, 87)}
    expected = {(m, k, *p) for m in laptop.preset.methods for k in ("linear", "bezier") for p in ring}
    assert set(labels(routes, "method", "kind", "original", "start", "end")) == expected
    assert {(r.condition, r.other, r.form, r.points) for r in routes} == {("random", "", "", 0)}


def test_c1_counts_pairs_by_their_better_curve():
    def barrier(method, kind, pair):
        return 0.5 if (kind == "linear") == (METHODS.index(method) % 2 == 0) else 0.0

    walks = study(barrier, kinds=("linear", "bezier"))
    found = c1(walks)
    assert (found.effect, found.n_pairs, found.n_seeds) == (1.0, len(METHODS) * len(RING), 5)
    assert (found.low, found.high) == pytest.approx(wilson(1.0, 5))  # five seeds, however many methods
    assert found.verdict == "supported"
    assert c1([w for w in walks if w.kind == "linear" or w.control]).effect == 0.5


@pytest.mark.parametrize(
    ("barrier", "deficit", "expected"),
    [
        (0.05, 0.05, "supported"),
        (0.0, 0.5, "contradicted"),
        (lambda m, k, p: 0.5 * (METHODS.index(m) % 2), 0.0, "undecided"),
    ],
)
def test_c1_comes_out_as_constructed(barrier, deficit, expected):
    assert c1(study(barrier, deficit)).verdict == expected


def test_c1_is_undecided_when_the_examples_do_not_tell():
    walks = study(0.095, noise=0.05)
    assert c1(walks).effect == 1.0
    assert c1(walks).verdict == "undecided"
    assert c1(study(0.095, noise=0.001)).verdict == "supported"


def test_c1_keeps_originals_and_pairs_apart():
    walks = study(methods=("npo",)) + [replace(w, original=1) for w in ours(study(methods=("npo",)))]
    first = connected_share(sound(walks))[1]
    assert len(first) == len({node for w in first for node in w.nodes}) == 10


def test_c1_is_about_one_method_and_two_seeds():
    walks = study(0.0) + study(0.9, conditions=("cl-non_cl", "random_in_cl", "method"), held=[])
    assert c1(walks) == c1(study(0.0))


def test_c2_is_supported_when_methods_differ(cases):
    found = cases["C2"][0][1]
    assert found.effect > 0.95 and found.p < 0.05 / 3
    assert (found.n_pairs, found.n_seeds) == (30, 5)


def test_c2_s_share_is_that_of_an_analysis_of_variance():
    values = {"npo": (0.1, 0.3), "scrub": (0.5, 0.7), "salun": (0.2, 0.6)}
    walks = study(deficit=lambda m, k, p: values[m][SINGLE.index(p)], methods=tuple(values), pairs=SINGLE[:2])
    grand = np.mean(list(values.values()))
    between = 2 * sum((np.mean(v) - grand) ** 2 for v in values.values())
    total = sum((x - grand) ** 2 for v in values.values() for x in v)
    assert c2(walks).effect == pytest.approx(between / total)


def test_c2_permutes_pairs_without_common_seeds(cases):
    walks, found = cases["C2"][0]
    values, methods = ([getattr(w, name) for w in ours(walks)] for name in ("deficit", "method"))
    apart = share_explained(values, methods, nodes=[w.nodes for w in ours(walks)])
    assert found.p == apart.p and found.effect == apart.eta2
    # Where there are two such pairs of each of two methods, no permutation is rare enough.
    few = study(deficit=by_method, methods=METHODS[:2])
    assert c2(few).p > 0.1 > share_explained(*([getattr(w, n) for w in ours(few)] for n in ("deficit", "method"))).p


@pytest.mark.parametrize("seed", range(3))
def test_c2_loses_its_support_when_methods_are_shuffled(seed):
    walks = ours(study(deficit=by_method))
    places = np.random.default_rng(seed).permutation(len(walks))
    shuffled = [replace(w, profile=walks[k].profile) for w, k in zip(walks, places, strict=True)]
    found = c2(shuffled + controls())
    assert found.p > 0.05 / 3
    assert found.verdict == "undecided"


def test_c2_without_differences_or_with_one_method_knows_nothing():
    for walks in (study(deficit=0.0), study(deficit=by_method, methods=("npo",)), study(deficit=0.2, pairs=RING[:1])):
        found = c2(walks)
        assert (found.low, found.high, found.p, found.verdict) == (0, 1, 1, "undecided")


def test_c2_is_supported_by_its_permutations_even_where_no_method_varies():
    found = c2(study(deficit=lambda m, k, p: 0.1 * METHODS.index(m)))
    assert (found.effect, found.verdict) == (pytest.approx(1), "supported")


def test_c2_is_contradicted_when_methods_do_not_matter(cases):
    found = cases["C2"][1][1]
    assert found.effect == pytest.approx(0, abs=1e-12) and found.high < 0.1 and found.p > 0.5


def test_c2_is_undecided_with_few_pairs_of_equal_methods():
    found = c2(study(deficit=lambda m, k, p: 0.01 * RING.index(p)))
    assert found.verdict == "undecided"  # five pairs each cannot show that a share is below a tenth


def test_c2_looks_at_straight_lines_with_a_finite_deficit(cases):
    walks, found = cases["C2"][0]
    assert judge("C2", walks + study(deficit=5.0, kinds=("bezier",), held=[])) == found
    assert judge("C2", walks + [walk("npo", 0.0, float("nan"), (1, 2))]) == found


def test_c21_is_supported_when_retain_connects_and_forget_does_not(cases):
    found = cases["C21"][0][1]
    assert (found.effect, found.n_pairs) == (1.0, 60)


def test_c21_asks_only_paths_without_a_retain_barrier():
    def barrier(method, kind, pair):
        return 0.5 if method in METHODS[:4] else 0.0

    found = c21(study(barrier, deficit=lambda m, k, p: 0.3 if m in METHODS[:5] else 0.0))
    assert (found.effect, found.n_pairs) == (0.5, 10)


def test_c21_never_takes_nan_for_behaviour_that_is_kept():
    assert c21(study(deficit=float("nan"))).effect == 1.0


def test_c21_is_undecided_by_few_connected_paths():
    found = c21(study())
    assert (found.effect, found.verdict) == (0.0, "undecided")  # five seeds cannot exclude a share of 5 %


@pytest.mark.parametrize("count", [2, 3])
def test_c21_is_undecided_by_one_hit_among_few_pairs(count):
    """Wilson's interval alone would lie above 5 %."""
    walks = study(deficit=lambda m, k, p: 0.3 * (p == SINGLE[0]), methods=("npo",), pairs=SINGLE[:count])
    found = c21(walks)
    assert found.effect == 1 / count and wilson(1 / count, count)[0] > 0.05
    assert (found.low, found.verdict) == (0.0, "undecided")


def test_c21_without_any_connected_path_is_undecided():
    found = c21(study(barrier=0.5))
    assert (found.verdict, found.n_pairs, found.n_seeds) == ("undecided", 0, 0)


@pytest.mark.parametrize("eps", [-0.1, float("nan"), "0.1", True])
def test_a_tolerance_that_is_none_is_refused(eps):
    with pytest.raises(BadInput, match="the tolerance epsilon must be a finite number of at least 0"):
        verdict_of("C1", study(), eps)


def test_paths_per_method_and_curve(walks):
    table = paths_summary(walks)
    assert table.index.tolist() == [
        ("npo", "linear"), ("npo", "bezier"), ("scrub", "linear"),
        ("other initialisation", "linear"), ("fine-tuned twin", "linear"),
    ]  # fmt: skip
    one = table.loc[("npo", "linear")]
    assert (one["connected"], one["barrier mean"], one["barrier max"]) == ("3 of 5", 0.04, 0.08)
    assert (one["deficit mean"], one["deficit max"]) == (0.1, 0.2)
    assert table.loc[("scrub", "linear"), "collapsed"] == 1
    assert (table["distance"] == 3).all() and (table["cosine"] == 0.25).all()
    part = [w for w in walks if (w.name, w.kind) == ("npo", "linear")]
    assert one["variation"] == pytest.approx(np.mean([w.variation_of("forget") for w in part]), abs=5e-4)
    assert one["roughness"] == pytest.approx(np.mean([w.roughness_of("forget") for w in part]), abs=5e-4)
    assert one["roughness"] > table.loc[("npo", "bezier"), "roughness"] and "by floor" not in table
    clean(table)


def dipping():
    """A dip below the retrained level, one above it, a path of gradient ascent that connects and one with a barrier."""
    made = [
        ("npo", 0.0, 0.3, 1.0),
        ("scrub", 0.0, 0.3, -1.0),
        ("gradient_ascent", 0.0, 0.0, 1.0),
        ("salun", 0.3, 0.0, 1.0),
    ]
    return [beside(walk(m, barrier, deficit), [0.0, 0.0], [level] * 2) for m, barrier, deficit, level in made]


def test_by_the_floor_a_dip_counts_only_below_the_retrained_level():
    table = paths_summary(dipping())
    assert table["connected"].tolist() == ["0 of 1", "0 of 1", "1 of 1", "0 of 1"]
    assert table["by floor"].tolist() == ["0 of 1", "1 of 1", "1 of 1", "0 of 1"]


def test_the_answer_counts_dips_by_the_chord_and_by_the_retrained_level():
    words = clean(seeds_answer([*dipping(), *controls()]))
    assert [part.split(".**")[0] for part in words.split("\n\n")] == ["**Expected", "**Found", "**So"]
    assert "3 of 4 paths have no retain barrier above 0.1 G" in words
    assert (
        "On 2 of 4 the forget loss dips by more than 0.1 G below its chord, and on 1 of these 2 as far below" in words
    )
    assert "joins 1 of 4 pairs by the chord, without gradient ascent 0 of 3" in words
    assert "linear of gradient ascent" in words and "On 1 of 2 paths with one they fit it no better" in words
    none = seeds_answer(dipping()[3:])
    assert "On 0 of 1 the forget loss dips" in none and "roughest" not in none and "**So.** On no path" in none


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
    assert last[("other initialisation", "linear")] == 0
    clean(table)


def test_a_share_s_interval_counts_shared_seeds_and_examples(walks):
    part = [w for w in walks if (w.method, w.kind, w.control) == ("npo", "linear", "")]
    one = sweep_table(part, [TOLERANCE]).iloc[0]
    worst = np.array([np.maximum(w.replicates("barrier"), w.replicates("deficit")) for w in part])
    hits, nodes = [w.connected(TOLERANCE) for w in part], np.array([w.nodes for w in part])
    expected = share_interval(hits, (worst <= TOLERANCE).astype(float), nodes=nodes)
    assert (one["fraction"], one["low"], one["high"]) == expected
    certain = share_interval(hits, nodes=nodes)
    assert one["high"] - one["low"] >= certain.high - certain.low


def test_the_same_seeds_on_another_original_are_other_draws():
    part = [walk("npo", 0.3 * (k % 2), pair=p, original=o) for o in range(4) for k, p in enumerate(RING[:2])]
    one = sweep_table(part, [TOLERANCE]).iloc[0]
    same = sweep_table([replace(w, original=0) for w in part], [TOLERANCE]).iloc[0]
    assert one["fraction"] == same["fraction"] == 0.5
    assert one["high"] - one["low"] < same["high"] - same["low"]


def test_verdicts_state_claim_numbers_and_rule():
    found = [
        claims_judge("C1", Interval(0.8, 0.6, 0.9), n_pairs=30, n_seeds=5),
        claims_judge("C2", Interval(0.01, 0.0, 0.05), n_pairs=30, n_seeds=5, p=0.4),
        claims_judge("C21", Interval(0.1, 0.0, 0.3), n_pairs=20, n_seeds=5),
    ]
    lines = clean(verdicts_text(found)).split("\n")
    for v, line, word in zip(found, lines, ("supported", "contradicted", "undecided"), strict=True):
        claim = CLAIMS[v.claim]
        assert line.startswith(f"- **{v.claim}, {word}.** {claim.statement} *Statistic:* {claim.statistic}. *Found:* ")
        assert f"{v.effect:.3f} [{v.low:.3f}, {v.high:.3f}]" in line
        assert line.endswith(f"*Rule:* {claim.rule}.")
        assert f"{v.n_pairs} paths, {v.n_seeds} seeds" in line
    assert ", p = 0.4;" in lines[1] and "p =" not in lines[0]


def test_a_verdict_without_numbers_says_so():
    nan = float("nan")
    found = [claims_judge("C21", Interval(nan, nan, nan), n_pairs=0, n_seeds=0), Verdict("C3")]
    lines = clean(verdicts_text(found)).split("\n")
    assert lines[0].startswith("- **C21, undecided.**") and lines[1].startswith("- **C3, not run.**")
    assert all("*Found:* nothing to measure." in line for line in lines)


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
    eight = mc.study("eight", fresh=True, methods=["gradient_difference", "npo", "random_labels", "scrub"])
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


def test_the_readme_counts_the_pairs_of_each_reading_as_the_shipped_results_do(tmp_path):
    bench = mc.study("laptop", store=str(tmp_path), fresh=False)
    walks = [w for w in levelled(bench, walk_all(bench, seeds(bench))) if not w.control]
    lines = [w for w in walks if w.kind == "linear"]
    pairs: dict[tuple, list] = {}
    for w in walks:
        pairs.setdefault((w.method, w.pair), []).append(w)

    def joined(reading: str) -> int:
        return sum(any(w.connected(0.1, reading) for w in group) for group in pairs.values())

    chord, floor = (sum(w.connected(0.1, reading) for w in lines) for reading in ("chord", "floor"))
    told = f"the same {len(pairs)} pairs the line alone connects {chord} by the paper's chord, and {floor} if only"
    prose = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert told in prose
    assert f"line or curve connect {joined('two_sided')}, not {joined('chord')}." in prose
