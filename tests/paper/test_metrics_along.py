"""The room `metrics_along`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np
import pytest
from made_claims import (
    CASES,
    FINE,
    FLAT,
    GAPS,
    METHODS,
    OTHER,
    RISING,
    apart as apart_of_claims,
    better,
    judge,
    measured,
    ours,
    patterns,
)
from made_figures_of_metrics import (
    GAPS as GAPS_of_figures_of_metrics,
    METHODS as METHODS_of_figures_of_metrics,
    figure,
    joined as joined_of_figures_of_metrics,
    lines,
    table as table_of_figures_of_metrics,
    texts,
)
from made_metrics import measured as measured_of_metrics, reference_models, wild as wild_of_metrics
from scipy.stats import spearmanr
from synthetic import RING, T, controls, walk

from mcutils.engine.specs import CurveSpec, ProfileSpec
from mcutils.errors import BadInput
from mcutils.measures.along import roughness
from mcutils.measures.drawing import label
from mcutils.measures.intervals import Interval, difference, mean_interval
from mcutils.measures.metrics import METRICS
from mcutils.measures.profiles import Profile
from mcutils.paper import metrics_along
from mcutils.paper.claims import CLAIMS
from mcutils.paper.metrics_along import (
    COPIES,
    DISTINCT,
    best_inner,
    joined,
    pattern_correlation,
    telling_gaps,
    widest_range,
)
from mcutils.paper.registry import EXPERIMENTS, ROUTES, TESTS


def test_an_experiment_walks_its_routes(smoke):
    for name, made in ROUTES.items():
        asked = EXPERIMENTS[name](smoke)
        assert {r.profile(smoke) for r in made(smoke)} <= set(asked)
        assert all(isinstance(r.path, CurveSpec) for r in made(smoke))
    everything = set(EXPERIMENTS["15_claims"](smoke))
    for name in (*ROUTES, "07_metrics_along_the_path"):
        assert {spec for spec in EXPERIMENTS[name](smoke) if isinstance(spec, ProfileSpec)} <= everything


RESAMPLED = ("C1", "C4", "C5", "C6", "C12", "C16", "C21", "C23", "C24")  # over examples too, and not half of them
every_claim = pytest.mark.parametrize("claim", CASES)


def test_every_test_is_tried_here_and_names_experiments_that_are_run():
    assert list(TESTS) == list(CASES)
    for name, (experiments, _) in TESTS.items():
        assert set(experiments) <= set(ROUTES)
        # C9 to C11 are shown in 07, which walks nothing of its own.
        assert CLAIMS[name].notebook == ", ".join(experiments) or CLAIMS[name].notebook == "07_metrics_along_the_path"


@every_claim
def test_each_comes_out_as_constructed(claim, cases):
    for (walks, found), word in zip(cases[claim], ("supported", "contradicted"), strict=True):
        assert found.verdict == word, str(found)
        assert found.low <= found.effect <= found.high and found.low < found.high
        assert (found.claim, found.notebook) == (claim, CLAIMS[claim].notebook)
        assert 2 <= found.n_pairs <= len(ours(walks)) and found.n_seeds >= 2


@every_claim
def test_collapsed_walks_change_nothing(claim, cases):
    for walks, found in cases[claim]:
        lost = walk("x", 9.0, 9.0, collapsed=("t = 1: chance",), metrics=FLAT, scores=((9,) * 7,) * 2).profile
        broken = [replace(w, method="gradient_ascent", profile=lost) for w in ours(walks)]
        broken += [replace(w, profile=lost) for w in walks if w.condition == "retrained" and w.init == "same init"]
        assert judge(claim, walks + broken) == found


@every_claim
def test_a_walk_of_two_experiments_counts_once(claim, cases):
    for walks, found in cases[claim]:
        assert judge(claim, walks + walks) == found


@every_claim
def test_a_failed_control_leaves_it_undecided_with_its_numbers(claim, cases):
    for walks, found in cases[claim]:
        for held in (
            [],
            controls(apart=0.0) + apart_of_claims(0.0),
            controls(twin=1.0) + apart_of_claims()[:2] + apart_of_claims(0.09)[2:],
        ):
            failed = [w for w in walks if not w.control or w.init == "same init"] + held
            assert judge(claim, failed) == replace(found, verdict="undecided")


@every_claim
def test_one_pair_of_seeds_decides_nothing(claim, cases):
    """Whatever its examples say, the interval is all that there can be."""
    means = {"C4": -np.inf, "C5": -np.inf, "C6": -np.inf, "C9": -np.inf, "C15": -np.inf, "C10": 0}
    low, high = means.get(claim, 0), 0.5 if claim == "C8" else np.inf if claim in means else 1
    for walks, _ in cases[claim]:
        for nodes in list(dict.fromkeys(w.nodes for w in ours(walks)))[:2]:
            found = judge(claim, [w for w in walks if w.control or w.nodes == nodes])
            if claim in ("C23", "C24"):  # the difference of two shares
                low, high = difference(*(Interval(max(v, 0.0), 0, 1) for v in (found.effect, -found.effect)))[1:]
            assert (found.low, found.high, found.verdict) == (low, high, "undecided"), str(found)
            assert np.isfinite(found.effect) and found.n_pairs >= 1


@pytest.mark.parametrize("claim", ["C4", "C5", "C6", "C9", "C10", "C15"])  # a share's interval always has a width
def test_pairs_without_any_difference_decide_nothing(claim):
    """Not even the examples differ: an interval without width is not a certain one."""
    for make in CASES[claim]:
        walks = make()
        like = {(w.condition, w.size, w.init): w.profile.arrays for w in reversed(ours(walks))}
        same = []
        for w in walks:
            arrays = dict(like.get((w.condition, w.size, w.init), w.profile.arrays))
            arrays |= {n: np.full(60, arrays[n.replace("replicates", "measure")]) for n in arrays if "replicates" in n}
            same.append(replace(w, profile=Profile(arrays if not w.control else w.profile.arrays)))
        found = judge(claim, same)
        assert (found.verdict, found.n_pairs > 2) == ("undecided", True), str(found)
        assert found.high == np.inf


@every_claim
def test_nothing_to_judge_is_undecided(claim, cases):
    walks, _ = cases[claim][0]
    lost = walk("x", collapsed=("t = 0: chance",)).profile
    held = [w for w in walks if w.control]
    for left in ([], held, held + [replace(w, profile=lost) for w in ours(walks)], held + [walk("npo", condition="?")]):
        found = judge(claim, left)
        assert (found.verdict, found.n_pairs, found.n_seeds) == ("undecided", 0, 0)
        assert np.isnan(found.effect) and np.isnan(found.low) and np.isnan(found.high)


@every_claim
def test_a_higher_level_has_a_wider_interval(claim, cases):
    for walks, found in cases[claim]:
        low, high = (judge(claim, walks, level=level) for level in (0.8, 0.995))
        assert high.low <= found.low <= low.low and low.high <= found.high <= high.high
        assert low.high - low.low < found.high - found.low < high.high - high.low
        assert low.effect == found.effect == high.effect


@every_claim
def test_it_is_the_same_on_every_call(claim, cases):
    walks, found = cases[claim][0]
    assert judge(claim, walks) == found


@pytest.mark.parametrize("claim", RESAMPLED)
def test_noisy_examples_widen_the_interval(claim, cases):
    rng = np.random.default_rng(0)
    walks, found = cases[claim][0]
    noisy = []
    for w in walks:
        rows = {n: v + w.profile.gap * rng.normal(size=60) for n, v in w.profile.arrays.items() if "replicates" in n}
        noisy.append(replace(w, profile=Profile({**w.profile.arrays, **rows})))
    wide = judge(claim, noisy)
    assert wide.effect == found.effect
    assert wide.high - wide.low > found.high - found.low


def test_patterns_are_compared_by_rank():
    assert spearmanr(RISING, OTHER)[0] == pytest.approx(0.3)
    one = walk("npo", t=FINE, metrics=patterns(RISING, OTHER))
    assert pattern_correlation(one) == pytest.approx(0.3)
    falling = tuple(-(v**3) for v in OTHER)  # any falling function of it has the same ranks, turned round
    three = walk("npo", t=FINE, metrics=patterns(RISING, OTHER, falling))
    assert pattern_correlation(three) == pytest.approx((0.3 + 0.3 + 1) / 3)


def test_a_pattern_is_what_is_left_above_the_chord():
    sloped = patterns(RISING, OTHER)
    sloped = {name: np.asarray(values) + 7 - 3 * FINE for name, values in sloped.items()}
    assert pattern_correlation(walk("npo", t=FINE, metrics=sloped)) == pytest.approx(0.3)


def test_metrics_that_do_not_vary_or_are_copies_play_no_part():
    broken = {**patterns(RISING, OTHER), "zrf": np.full(7, np.nan), "UA": [0, *RISING, 0], "TA": [0, *OTHER, 0]}
    assert pattern_correlation(walk("npo", t=FINE, metrics=broken)) == pytest.approx(0.3)
    assert np.isnan(pattern_correlation(walk("npo", t=FINE, metrics=patterns(RISING))))


def test_c9_is_the_mean_over_connected_paths():
    half = lambda p: patterns(RISING, RISING if p in RING[:2] else OTHER)  # noqa: E731
    found = judge("C9", measured(half))
    assert (found.effect, found.n_pairs) == (pytest.approx(0.4 + 0.6 * 0.3), 10)
    assert found.verdict == "undecided"
    apart = ours(measured(patterns(RISING, RISING), eps=0.5, condition="cl-non_cl"))
    flat = ours(measured(patterns(RISING), condition="fo-so"))
    assert judge("C9", measured(half) + apart + flat) == found


def test_only_finely_traced_connected_paths_are_compared():
    fine, coarse = measured(FLAT), [walk("npo", t=T, scores=((0,) * 5,) * 2, condition="random_in_cl")]
    old = [walk("npo", t=FINE, condition="fo-so")]  # a profile without scores
    far = ours(measured(FLAT, eps=0.2, condition="cl-non_cl"))
    assert joined(fine + coarse + old + far + fine) == ours(fine)
    assert joined(far + coarse) == []  # a coarse one is not compared because the fine ones are apart
    assert joined(coarse) == coarse


def test_a_telling_gap_exceeds_five_times_the_spread():
    names = dict.fromkeys(METRICS, 0.5)
    original = names | {"zrf": 1.3, "js_retrained_test": 1.1, "accuracy_forget": 0.9, "loss_forget": 3.0, "UA": 0.0}
    shifts = {"zrf": 0.1, "js_retrained_test": 0.1, "loss_forget": 0.1, "UA": 0.1}
    retrained = [names | {n: 0.5 + sign * v for n, v in shifts.items()} for sign in (-1, 1)]
    # Spread 0.1414: 0.8 is more than five times that, 0.6 is not; no spread tells nothing; losses and copies neither.
    assert telling_gaps(original, retrained) == {"zrf": pytest.approx(0.8)}


def test_a_range_is_counted_in_gaps():
    curve = FLAT | {"zrf": [0, 0.1, 0, 0, 0, 0, 0.2], "js_retrained_test": [0.3, 0.3, 0.35, 0.3, 0.3, 0.3, 0.3]}
    one = walk("npo", t=FINE, metrics=curve)
    assert widest_range(one, {"zrf": 0.5}) == pytest.approx(0.4)
    assert widest_range(one, GAPS) == pytest.approx(0.5)


def test_c10_is_the_median_over_connected_paths():
    widths = dict(zip(RING, (0.1, 0.15, 0.3, 0.5, 9.0), strict=True))
    metrics = lambda p: FLAT | {"zrf": 0.5 * widths[p] * np.eye(7)[3]}  # noqa: E731
    found = judge("C10", measured(metrics))
    assert (found.effect, found.n_pairs, found.verdict) == (pytest.approx(0.3), 10, "undecided")
    assert found.low == 0  # no range is below
    apart = ours(measured(FLAT, eps=0.3, condition="fo-so"))
    assert judge("C10", measured(metrics) + apart) == found
    assert TESTS["C10"][1](measured(metrics), {}).n_pairs == 0
    # One method far off on one pair of seeds moves neither the median nor what is known of it.
    curve = FLAT | {"zrf": 25 * np.eye(7)[3]}
    wild = walk("scrub", 0.05, pair=RING[4], t=FINE, metrics=curve, scores=((0,) * 7,) * 2)
    narrow = measured(lambda p: FLAT | {"zrf": 0.05 * (1 + RING.index(p)) * np.eye(7)[3]}, methods=METHODS[3:6])
    assert judge("C10", [*narrow, wild]).high < 2 < 20 < widest_range(wild, GAPS)


def test_the_best_inner_point_is_chosen_on_one_half_and_tested_on_the_other():
    choose, test = (0.99, 0.6, 0.9, 0.6, 0.9, 0.6, 0.95), (0.5, 0.9, 0.7, 0.9, 0.2, 0.9, 0.65)
    t, gain = best_inner(walk("npo", t=FINE, scores=(choose, test)))
    assert t == FINE[2]  # neither end, and of equals the first
    assert gain == pytest.approx(0.7 - 0.65)


def test_c11_is_the_share_of_paths_that_gain():
    found = judge("C11", better(lambda p: p in RING[:3]))
    assert (found.effect, found.n_pairs, found.n_seeds, found.verdict) == (0.6, 10, 5, "undecided")
    equal = measured(FLAT, scores=((0.5,) * 7, (0.5,) * 7))
    assert judge("C11", equal).effect == 0  # as good as an end is no better


def test_what_joins_at_another_tolerance_is_compared_at_it():
    walks = measured(FLAT, eps=0.15)
    assert joined(walks) == [] and joined(walks, 0.2) == ours(walks)


NAMES = [name for name in METRICS if name not in COPIES]


def names_of(kind):
    return [name for name, one in metrics_along.kinds().items() if one == kind]


def test_every_metric_is_of_one_kind_and_copies_are_left_out():
    kinds = {kind: names_of(kind) for kind in metrics_along.kinds().values()}
    assert sorted(metrics_along.compared()) == sorted(NAMES) and len(NAMES) == len(METRICS) - 3
    assert kinds["losses"] == [f"loss_{s}" for s in ("retain", "forget", "valid", "test")]
    retrained = {name for name in NAMES if METRICS[name].references == ("retrained",)}
    assert set(kinds["to the retrained model, test"]) == {name for name in retrained if name.endswith("_test")}
    assert {"zrf", "overall", "knowledge_gap"} <= set(kinds["scores"])


def test_what_is_drawn_of_a_path_are_the_losses_of_mcu_and_the_six_metrics_of_c9():
    bump, line = 1 + 4 * T * (1 - T), 2 + 3 * T
    curves = {"loss_forget": bump, "zrf": line}
    table = metrics_along.metric_curves(measured_of_metrics(curves, kind="bezier")).set_index("metric")
    np.testing.assert_allclose(table.loc["loss_forget", "excess"], bump - 1)
    np.testing.assert_allclose(table.loc["zrf", "excess"], 0, atol=1e-12)
    np.testing.assert_array_equal(table.loc["zrf", "value"], line)
    assert set(table["curve"]) == {"bezier"}
    assert set(table.index) == {"loss_retain", "loss_forget", *DISTINCT} and len(table) == 8 * len(T)
    assert list(dict.fromkeys(metrics_along.metric_curves(measured_of_metrics(), ["UA"])["metric"])) == ["UA"]


def test_retrained_models_stand_beside_the_metrics_but_not_beside_themselves():
    retrained = [{"zrf": float(k), "js_retrained_test": 0.1 * k} for k in range(3)]
    found = metrics_along.retrained_levels(retrained, ["zrf", "js_retrained_test"])
    assert found["zrf"].tolist() == [0, 1, 2]
    assert found["js_retrained_test"].tolist() == pytest.approx([0.1, 0.2])  # to the first, which has 0 to itself


@pytest.mark.parametrize("seed", range(3))
def test_rank_correlations_are_spearman_s_of_the_inner_excesses(seed):
    curves = wild_of_metrics(seed)
    curves["zrf"] = 1 + 2 * T  # on its chord: no ranks
    curves["loss_test"] = np.array([0, 1, np.nan, 1, 0])
    one = measured_of_metrics(curves)
    found, names = metrics_along.rank_correlations(one), metrics_along.compared()
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
    walks = [
        measured_of_metrics({"loss_test": up, "zrf": up}),
        measured_of_metrics({"loss_test": up, "zrf": down}),
        measured_of_metrics(),
    ]
    names = ["zrf", "overall", "loss_test"]
    signed, strength = metrics_along.correlations(walks, names)
    assert (signed[0, 2], strength[0, 2]) == (signed[2, 0], strength[2, 0]) == pytest.approx((0, 1))
    assert np.isfinite(signed).sum() == 2
    for empty in metrics_along.correlations([]):
        assert empty.shape == (len(DISTINCT),) * 2 and np.isnan(empty).all()


@pytest.fixture
def strangers():
    """Walks with curves of their own, of which one has a metric that does not vary and one that is not finite."""
    found = [measured_of_metrics(wild_of_metrics(k), pair=p) for k, p in enumerate(RING)]
    broken = wild_of_metrics(9) | {"zrf": 2 + T, "accuracy_test": np.array([0, 1, np.nan, 2, 0])}
    return [*found, measured_of_metrics(broken, pair=(7, 8))]


def rho_by_hand(one, other, first, second):
    over = [w.profile.metric(name) for w, name in ((one, first), (other, second))]
    inner = [(v - ((1 - T) * v[0] + T * v[-1])).round(9)[1:-1] for v in over]
    return np.nan if any(not np.isfinite(v).all() or np.ptp(v) < 1e-9 for v in inner) else abs(spearmanr(*inner)[0])


def test_metrics_of_different_paths_are_compared_as_those_of_one(strangers):
    found = metrics_along.crossed(strangers)
    for (p, one), (q, other) in product(enumerate(strangers), repeat=2):
        expected = [[rho_by_hand(one, other, a, b) for b in DISTINCT] for a in DISTINCT]
        np.testing.assert_allclose(found[:, :, p, q], expected, atol=1e-12)
    for k, one in enumerate(strangers):
        own = np.abs(metrics_along.rank_correlations(one, DISTINCT))
        off = ~np.eye(len(DISTINCT), dtype=bool)
        np.testing.assert_allclose(found[:, :, k, k][off], own[off], atol=1e-12)
    assert metrics_along.crossed([]).shape == (6, 6, 0, 0)


def test_unrelated_paths_are_all_pairs_of_two_paths(strangers):
    found, pairs = metrics_along.unrelated(strangers), list(permutations(strangers, 2))
    for a, b in permutations(range(len(DISTINCT)), 2):
        values = [rho_by_hand(one, other, DISTINCT[a], DISTINCT[b]) for one, other in pairs]
        assert found[a, b] == pytest.approx(np.nanmean(values))
    assert np.isnan(np.diag(found)).all() and np.isnan(metrics_along.unrelated(strangers[:1])).all()


def test_exchanged_metrics_have_the_statistic_of_c9_where_all_paths_are_one(strangers):
    same = [replace(strangers[0], start=k) for k in range(4)]
    drawn = metrics_along.exchanged_correlations(same, draws=3)
    np.testing.assert_allclose(drawn, pattern_correlation(strangers[0]))
    assert len(metrics_along.exchanged_correlations([], draws=3)) == 0
    drawn = metrics_along.exchanged_correlations(strangers, draws=300)
    assert drawn.std() > 0 and metrics_along.exchanged_correlations(strangers, draws=2).tolist() == drawn[:2].tolist()
    apart = metrics_along.unrelated(strangers)[np.triu_indices(len(DISTINCT), 1)].mean()
    assert drawn.mean() == pytest.approx(apart, abs=0.05)  # a draw leaves a path its own metrics now and then


def test_c9_stands_beside_what_unrelated_paths_give(strangers):
    text = metrics_along.calibration_text(strangers)
    own = np.mean([pattern_correlation(w) for w in strangers])
    null = metrics_along.exchanged_correlations(strangers).mean()
    assert f"**{own:.3f}** (6 paths)" in text and f"**{null:.3f}**" in text and f"{own - null:+.3f}" in text
    assert f"lies {'below' if null > 0.5 else 'above'} what" in text and "it was not calibrated" in text
    assert metrics_along.calibration_text(strangers[:1]).startswith("Fewer than two")


def test_the_answer_counts_what_it_says():
    curves = [{"zrf": T * (1 - T) * k, "accuracy_test": T**2} for k in (0.1, 1.0, 3.0)]
    scores = [((0, 1, 0, 0, 0), (0, v, 0, 0, 0)) for v in (1, -1, -1)]
    walks = [measured_of_metrics(c, pair=p, scores=s) for c, p, s in zip(curves, RING, scores, strict=False)]
    dips = [measured_of_metrics(deficit=0.5, pair=(7, k)) for k in (8, 9)]
    levels = {"loss_retain": [0.3], "accuracy_retain": [0.9], "loss_forget": [-0.8], "accuracy_forget": [0.9]}
    held = [w if k else replace(w, profile=w.profile.with_levels(levels)) for k, w in enumerate(dips)]
    held[1] = replace(held[1], profile=held[1].profile.with_levels(levels | {"loss_forget": [0.3]}))
    walks = [replace(w, profile=w.profile.with_levels(levels)) for w in walks] + held
    best = metrics_along.best_table(walks[:3])
    text = metrics_along.answer_text(walks, {"zrf": 1.0}, best)
    assert [line.split(".**")[0] for line in text.split("\n\n")] == ["**Expected", "**Found", "**So"]
    assert "On 2 of 3 connected paths some metric ranges over more than 0.2" in text
    assert "On 1 of 3 the chosen inner point" in text
    assert "3 of 5 paths satisfy MCU(0.1) by their chords; 1 more leave" in text
    assert "No connected path" in metrics_along.answer_text(held, {}, best)


def test_unrelated_orders_have_the_known_mean_correlation():
    assert metrics_along.chance_correlation(3) == pytest.approx(2 / 3, abs=0.02)  # 1, 1/2, 1/2, 1/2, 1/2, 1
    assert metrics_along.chance_correlation(29) == pytest.approx(np.sqrt(2 / (np.pi * 28)), rel=0.05)
    assert np.isnan(metrics_along.chance_correlation(0))


def test_shapes_by_hand():
    spike = np.array([0.0, 1, 0, 0, 0])
    table = metrics_along.shapes_table(
        [measured_of_metrics({"zrf": spike, "loss_test": 5 * T})], {"zrf": 0.5, "loss_test": 0.5, "overall": 1.0}
    ).set_index("metric")
    one, line, flat = table.loc["zrf"], table.loc["loss_test"], table.loc["overall"]
    assert (one["range"], one["variation"]) == (2, 2)
    assert one["roughness"] == pytest.approx(np.sqrt((32**2 + 16**2) / 3))
    assert one["roughness"] == pytest.approx(np.sqrt(roughness(7 * spike, T)) / 7)
    assert (line["variation"], line["roughness"], line["range"]) == pytest.approx((0, 0, 10), abs=1e-12)
    assert np.isnan(flat["variation"]) and np.isnan(flat["roughness"]) and flat["range"] == 0
    assert set(table.index) == {"zrf", "loss_test", "overall"}  # only what has a gap
    assert (one["pair"], one["node_a"], one["node_b"]) == ("0: 42-87", "0/42", "0/87")


def test_shapes_are_averaged_over_paths_with_shared_seeds():
    walks = [measured_of_metrics({"zrf": k * T * (1 - T)}, pair=p) for k, p in enumerate(RING, 1)]
    table = metrics_along.shapes_table(walks, {"zrf": 0.25})
    summary = metrics_along.shapes_summary(table).set_index(["metric", "measure"])
    expected = mean_interval([1.0, 2, 3, 4, 5], nodes=[[f"0/{a}", f"0/{b}"] for a, b in RING], within=(0, np.inf))
    assert tuple(summary.loc[("zrf", "range"), ["estimate", "low", "high"]]) == pytest.approx(tuple(expected))
    assert summary.loc[("zrf", "range"), "n"] == 5 and len(summary) == 3


def test_metrics_are_summarised_with_the_gap_only_where_it_is_told():
    walks = [measured_of_metrics({"zrf": T * (1 - T)}, pair=p) for p in RING]
    original, retrained = reference_models()
    summary = metrics_along.shapes_summary(metrics_along.shapes_table(walks, {"zrf": 1.0}))
    table = metrics_along.metric_summary(original, retrained, summary)
    assert table.loc[("scores", "zrf"), "gap"] == "1.000" and table.loc[("losses", "loss_test"), "gap"] == "-"
    assert table.loc[("scores", "zrf"), "retrained"] == f"1.000 ± {np.std([0.9, 1.1], ddof=1):.3f}"
    assert table.loc[("scores", "zrf"), "range"] == "0.25 [0.25, 0.25]"
    assert table.loc[("losses", "loss_test"), "variation"] == "-"
    assert metrics_along.metric_summary(original, retrained, summary.iloc[:0]).loc[("scores", "zrf"), "range"] == "-"


def test_the_widest_metric_is_counted_in_units_of_its_gap():
    walks = [measured_of_metrics({"zrf": k * T, "accuracy_test": 2 * T}, pair=p) for k, p in enumerate(RING)]
    gaps = {"zrf": 1.0, "accuracy_test": 1.0}
    table = metrics_along.widest_table(walks, gaps)
    assert table["median range"].to_dict() == {"zrf": 2, "accuracy_test": 2}
    assert table["widest on"].to_dict() == {"zrf": 3, "accuracy_test": 2}  # the first of equals: 2, 3, 4 and 0, 1
    assert metrics_along.widest_text(walks, gaps).count("**2.00**") == 2
    assert "**2.00**" in metrics_along.widest_text(
        walks, {"accuracy_test": 1.0}
    ) and "forget" not in metrics_along.widest_text(walks, {"accuracy_test": 1.0})
    for none in (metrics_along.widest_text([], gaps), metrics_along.widest_text(walks, {})):
        assert none.startswith("No connected path")
    assert metrics_along.widest_table([], gaps)["widest on"].tolist() == [0, 0]
    assert len(metrics_along.widest_table(walks, {})) == 0


def test_connected_paths_are_counted_once_per_condition_and_curve():
    near, far = measured_of_metrics(), measured_of_metrics(barrier=0.5, pair=(87, 21))
    coarse = replace(walk("npo", t=np.linspace(0, 1, 3), scores=((0,) * 3,) * 2), start=7)
    bad = measured_of_metrics(pair=(21, 100), collapsed=("t = 0: chance",))
    table = metrics_along.joined_table([near, near, far, coarse, bad, replace(near, condition="fo-so"), *controls()])
    assert table.loc[("random", "linear")].to_list() == [3, 2, 1]
    assert table.loc[("fo-so", "linear")].to_list() == [1, 1, 1]


def test_the_path_that_is_drawn_is_the_median_one():
    up, down, other = np.array([0, 1, 2, 3, 0]), np.array([0, 3, 2, 1, 0]), np.array([0, 2, 1, 3, 0])
    spread = [{"zrf": up, "accuracy_test": v} for v in (down, other, [0, 2, 3, 1, 0])]
    walks = [measured_of_metrics(c, pair=p) for c, p in zip(spread, RING[:3], strict=True)]
    agree = [pattern_correlation(w) for w in walks]
    assert agree == pytest.approx([1, 0.5, 0.5])
    shown, why = metrics_along.shown_walk(walks)
    assert agree[walks.index(shown)] == np.median(agree) and "3 connected paths" in why
    near, far = measured_of_metrics(deficit=0.3), measured_of_metrics(deficit=0.5, pair=(87, 21))
    shown, why = metrics_along.shown_walk([far, near, *controls()])
    assert shown is near and "no path satisfies" in why
    with pytest.raises(BadInput, match="no walk between sound endpoints"):
        metrics_along.shown_walk(controls())


def test_the_best_inner_point_is_chosen_on_one_half_and_told_on_the_other():
    choose, test = (0.9, 0.1, 0.3, 0.2, 0.9), (0.4, 0.9, 0.6, 0.9, 0.5)
    one = measured_of_metrics(scores=(choose, test))
    table = metrics_along.best_table([one])
    row = table.iloc[0]
    assert (row["t"], row["end"], row["inner"]) == (0.5, 0.5, 0.6)
    assert (row["t"], row["gain"]) == pytest.approx(best_inner(one))
    assert (row["method"], row["condition"], row["pair"]) == ("npo", "random", "0: 42-87")
    worse = measured_of_metrics(scores=(choose, test[::-1][:2] + (0.2,) + test[3:]), pair=(87, 21))
    summary = metrics_along.best_summary(metrics_along.best_table([one, worse]))
    assert summary.loc[0, ["better", "n"]].to_list() == [1, 2]
    assert summary.loc[0, "gain"] == pytest.approx((0.1 - 0.3) / 2)
    assert metrics_along.best_shown(summary).loc["NPO", "paths that gain"] == "1 of 2"
    assert metrics_along.best_shown(summary).loc["NPO", "gain, points of %"].startswith("-10.00 [")
    text = metrics_along.best_text(metrics_along.best_table([one, worse]))
    assert text.startswith("1 of 2 chosen inner points") and "100 % of the chosen t" in text
    assert metrics_along.best_text(metrics_along.best_table([])).startswith("No connected path")
    assert len(metrics_along.best_table([])) == len(metrics_along.best_summary(metrics_along.best_table([]))) == 0


def test_names_of_metrics():
    assert metrics_along.metric_label("js_retrained_forget") == "JS, forget"
    assert metrics_along.metric_label("accuracy_test") == "accuracy, test"
    assert metrics_along.metric_label("zrf") == "ZRF" and metrics_along.metric_label("knowledge_gap") == "knowledge gap"
    assert len({metrics_along.metric_label(name) for name in metrics_along.compared()}) == len(metrics_along.compared())


def test_the_path_is_named_with_its_own_correlation():
    one = joined_of_figures_of_metrics()[0]
    assert metrics_along.path_title(one) == (
        f"gradient ascent, two seeds, linear, seeds 42 and 87: mean |ρ| of the six {pattern_correlation(one):.2f}"
    )
    assert metrics_along.path_title(one) in texts(figure("metrics"))


def test_retrained_models_that_are_far_off_are_named():
    fig = figure("metrics")
    zrf = next(ax for ax in fig.axes if ax.get_title() == "ZRF")
    assert [text.get_text() for text in zrf.texts] == ["↑ retrained 52.500"]
    assert zrf.get_ylim()[1] < 50 and "retrained models, range" not in lines(zrf)
    near = [ax for ax in fig.axes if "retrained models, range" in lines(ax)]
    assert near and all(not ax.texts for ax in near)


def test_a_path_that_does_not_vary_is_drawn():
    flat = walk("npo", metrics=dict.fromkeys(METRICS, np.ones(5)))
    levels = {name: np.ones(3) for name in metrics_along.DRAWN}
    fig = metrics_along.metrics_figure(metrics_along.metric_curves(flat), levels, gap=1.0, eps=0.1)
    assert all(np.isfinite(ax.get_ylim()).all() and np.ptp(ax.get_ylim()) > 0 for ax in fig.axes)


def test_the_matrices_have_their_numbers_in_their_cells():
    walks = joined_of_figures_of_metrics()[:4]
    signed, strength = metrics_along.correlations(walks)
    apart, fig = metrics_along.unrelated(walks), figure("correlation")
    below = np.tri(6, k=-1, dtype=bool)
    for ax, under, over in ((fig.axes[0], signed, strength), (fig.axes[1], np.full((6, 6), np.nan), apart)):
        written = {text.get_position(): text.get_text().replace("−", "-") for text in ax.texts}
        expected = np.where(below, under, over)
        expected[np.eye(6, dtype=bool)] = np.nan
        assert written == {(x, y): f"{v:.2f}" for (y, x), v in np.ndenumerate(expected) if np.isfinite(v)}
        np.testing.assert_array_equal(ax.get_images()[0].get_array().filled(np.nan), expected)
        assert f"mean {over[~below & ~np.eye(6, dtype=bool)].mean():.2f}" in ax.get_title()
    nothing = np.full((3, 3), np.nan)
    assert metrics_along.correlation_figure(["a", "b", "c"], *[nothing] * 3).axes[0].get_images()
    with pytest.raises(BadInput, match="2 metrics need matrices of 2 x 2, got"):
        metrics_along.correlation_figure(["a", "b"], nothing, nothing, nothing)


def test_shapes_have_a_row_for_each_metric_with_a_gap():
    fig, told = figure("shapes"), [name for name in metrics_along.compared() if name in GAPS_of_figures_of_metrics]
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == [*map(metrics_along.metric_label, told)]
    dots = [
        sum(len(line.get_xdata()) for line in ax.get_lines() if line.get_marker() == "o" and line.get_alpha())
        for ax in fig.axes
    ]
    assert dots == [len(joined_of_figures_of_metrics()) * len(told)] * 3
    assert "threshold of C10, for the widest metric (0.2)" in texts(fig)


def test_gains_are_drawn_above_the_diagonal_where_the_inner_point_wins():
    left, right = figure("best").axes
    best = table_of_figures_of_metrics("best")
    one = lines(left)["NPO"]
    part = best[best["method"] == "npo"]
    np.testing.assert_array_equal(one.get_xdata(), part["end"])
    np.testing.assert_array_equal(one.get_ydata(), part["inner"])
    assert left.get_xlim() == left.get_ylim()
    assert [tick.get_text() for tick in right.get_yticklabels()] == [label(m) for m in METHODS_of_figures_of_metrics]
    single = best.iloc[:1].assign(end=0.9, inner=0.9, gain=0.0)
    metrics_along.best_figure(single, metrics_along.best_summary(single))
