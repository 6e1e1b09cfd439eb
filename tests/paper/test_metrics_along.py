"""The room `metrics_along`: its routes, its tables and figures on made walks."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from made_figures_of_metrics import GAPS, along, drawn_path, figure, lines, texts
from made_metrics import measured as measured_of_metrics, wild as wild_of_metrics
from made_worlds import METHODS, PARTS, Shape, World, controlled, walk as walk_of_world
from scipy.stats import spearmanr
from synthetic import RING, T, controls, walk

from mcutils.errors import BadInput
from mcutils.measures.along import roughness
from mcutils.measures.drawing import label
from mcutils.measures.metrics import METRICS
from mcutils.measures.originals import simultaneous, student
from mcutils.paper import declared, metrics_along
from mcutils.paper.metrics_along import APART, COPIES, DISTINCT, SAME, joined, telling_gaps
from mcutils.paper.registry import EXPERIMENTS, ROUTES
from mcutils.paper.trials import cells_of
from mcutils.paper.walks import TWINNED


def test_an_experiment_walks_its_routes(smoke):
    for name, made in ROUTES.items():
        asked = EXPERIMENTS[name](smoke)
        assert {r.profile(smoke) for r in made(smoke)} <= set(asked)


def test_it_walks_what_other_rooms_trace_at_all_points_and_their_controls(laptop):
    found = metrics_along.routes_along(laptop)
    assert list(found) == ["02_seeds", "03_curriculum", "04_second_order", "05_methods"]
    every = [r for some in found.values() for r in some]
    assert {r.points for r in every if not r.control} == {0}
    assert {r.control for r in every} == {"", "other initial weights", TWINNED}
    assert {r.profile(laptop) for r in every} <= set(EXPERIMENTS["07_metrics_along_the_path"](laptop))
    assert {r.condition for r in found["05_methods"] if not r.control} == {"method"}


def test_compared_are_the_walks_that_c9_reads_or_the_sound_ones_where_it_reads_none():
    walks = along()
    assert joined(walks) == declared.fine(walks, "chord", 0.1) and len(joined(walks)) > 40
    assert joined(walks, 0.0) != joined(walks)
    coarse = [measured_of_metrics(pair=p) for p in RING[:2]] + [measured_of_metrics(deficit=0.5, pair=RING[2])]
    assert joined([*coarse, *controls()]) == coarse[:2]
    assert joined([replace(coarse[0], condition="forgetting")]) == []


def test_ends_differ_in_their_seed_alone_or_in_more():
    groups = {w.condition: metrics_along.group_of(w) for w in along() if not w.control}
    assert groups == {"random": SAME, "method": APART}
    assert metrics_along.group_of(measured_of_metrics(condition="random_in_cl")) == SAME
    assert metrics_along.group_of(measured_of_metrics(condition="fo-so")) == APART


def test_a_telling_gap_exceeds_five_times_the_spread():
    original = dict.fromkeys(METRICS, 0.0)
    values = {"zrf": (0.9, 1.1), "overall": (0.9, 1.5), "loss_forget": (1.0, 1.01), "UA": (1.0, 1.01)}
    retrained = [original | {name: pair[k] for name, pair in values.items()} for k in (0, 1)]
    assert telling_gaps(original, retrained) == pytest.approx({"zrf": 1.0})


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


def by_halves(one, first, second=None):
    """The walk with these metrics on both halves of the examples."""
    arrays = {f"half/{k}/{name}": v for k, part in enumerate((first, second or first)) for name, v in part.items()}
    return replace(one, profile=replace(one.profile, arrays={**one.profile.arrays, **arrays}))


def test_a_metric_agrees_with_itself_on_the_diagonal_and_the_mean_is_what_c9_reads():
    walks = [
        by_halves(measured_of_metrics(pair=p), wild_of_metrics(k), wild_of_metrics(k + 50)) for k, p in enumerate(RING)
    ]
    found = metrics_along.halves(walks)
    inner = lambda v: (v - ((1 - T) * v[0] + T * v[-1]))[1:-1]  # noqa: E731
    for a, b in product(range(6), repeat=2):
        pairs = [(w.profile.arrays[f"half/0/{DISTINCT[a]}"], w.profile.arrays[f"half/1/{DISTINCT[b]}"]) for w in walks]
        back = [(w.profile.arrays[f"half/0/{DISTINCT[b]}"], w.profile.arrays[f"half/1/{DISTINCT[a]}"]) for w in walks]
        expected = [abs(spearmanr(inner(x), inner(y))[0]) for x, y in pairs + back]
        assert found[a, b] == pytest.approx(np.mean(expected))
    own, other = np.mean([declared.pattern(w) for w in walks], axis=0)
    assert np.diag(found).mean() == pytest.approx(own)
    assert found[~np.eye(6, dtype=bool)].mean() == pytest.approx(other)
    assert np.isnan(metrics_along.halves([])).all()


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


def test_metrics_of_different_paths_are_compared_by_the_ranks_of_their_excess(strangers):
    found = metrics_along.crossed(strangers)
    for (p, one), (q, other) in product(enumerate(strangers), repeat=2):
        expected = [[rho_by_hand(one, other, a, b) for b in DISTINCT] for a in DISTINCT]
        np.testing.assert_allclose(found[:, :, p, q], expected, atol=1e-12)
    assert metrics_along.crossed([]).shape == (6, 6, 0, 0)


def test_unrelated_paths_are_all_pairs_of_two_paths(strangers):
    found, pairs = metrics_along.unrelated(strangers), list(permutations(strangers, 2))
    for a, b in product(range(len(DISTINCT)), repeat=2):
        values = [rho_by_hand(one, other, DISTINCT[a], DISTINCT[b]) for one, other in pairs]
        assert found[a, b] == pytest.approx(np.nanmean(values))
    assert np.isnan(metrics_along.unrelated(strangers[:1])).all()


def test_patterns_are_told_by_kind_of_path_and_all_is_the_statistic_of_c9():
    kept = joined(along())
    table = metrics_along.patterns_table(kept)
    assert table.index.tolist() == [SAME, APART, "all"]
    assert table["paths"].tolist() == [sum(metrics_along.group_of(w) == g for w in kept) for g in (SAME, APART)] + [
        len(kept)
    ]
    effect = declared.c9(along()).effect
    assert table.loc["all", "difference"] == f"{effect.estimate:.2f} [{effect.low:.2f}, {effect.high:.2f}]"
    text = metrics_along.calibration_text(kept)
    itself, off = np.diag(metrics_along.halves(kept)).mean(), ~np.eye(6, dtype=bool)
    assert f"**{itself:.2f}**" in text and f"have {metrics_along.unrelated(kept)[off].mean():.2f}:" in text
    assert metrics_along.calibration_text(kept[:1]).startswith("Fewer than two")


def test_connected_paths_are_counted_once_per_condition_and_curve():
    near, far = measured_of_metrics(), measured_of_metrics(barrier=0.5, pair=(87, 21))
    coarse = replace(walk("npo", t=np.linspace(0, 1, 3), scores=((0,) * 3,) * 2), start=7)
    bad = measured_of_metrics(pair=(21, 100), collapsed=("t = 0: chance",))
    table = metrics_along.joined_table([near, near, far, coarse, bad, replace(near, condition="method"), *controls()])
    assert table.loc[("two seeds", "linear")].to_list() == [3, 2, 1]
    assert table.loc[("two methods", "linear")].to_list() == [1, 1, 1]


def test_the_path_that_is_drawn_is_the_median_one():
    kept = joined(along())
    shown, why = metrics_along.shown_walk(along())
    differences = sorted(np.subtract(*declared.pattern(w)) for w in kept)
    assert (
        np.subtract(*declared.pattern(shown)) == differences[(len(kept) - 1) // 2] and f"{len(kept)} connected" in why
    )
    near, far = measured_of_metrics(deficit=0.3), measured_of_metrics(deficit=0.5, pair=(87, 21))
    shown, why = metrics_along.shown_walk([far, near, *controls()])
    assert shown is near and "no path satisfies" in why
    with pytest.raises(BadInput, match="no walk between sound endpoints"):
        metrics_along.shown_walk(controls())


def test_shapes_by_hand():
    spike = np.array([0.0, 1, 0, 0, 0])
    gaps = {0: {"zrf": 0.5, "loss_test": 0.5, "overall": 1.0}}
    table = metrics_along.shapes_table([measured_of_metrics({"zrf": spike, "loss_test": 5 * T})], gaps).set_index(
        "metric"
    )
    one, line, flat = table.loc["zrf"], table.loc["loss_test"], table.loc["overall"]
    assert (one["range"], one["variation"], one["group"]) == (2, 2, SAME)
    assert one["roughness"] == pytest.approx(np.sqrt((32**2 + 16**2) / 3))
    assert one["roughness"] == pytest.approx(np.sqrt(roughness(7 * spike, T)) / 7)
    # What the ends differ by is no range: a straight line has none.
    assert (line["variation"], line["roughness"], line["range"]) == pytest.approx((0, 0, 0), abs=1e-12)
    assert np.isnan(flat["variation"]) and np.isnan(flat["roughness"]) and flat["range"] == 0
    assert len(metrics_along.shapes_table([measured_of_metrics(original=1)], gaps)) == 0  # nothing tells there


def test_the_median_over_metrics_of_the_range_is_what_c10_reads():
    kept, twins = joined(along()), [w for w in along() if w.control == TWINNED]
    table = metrics_along.shapes_table(kept[:1], GAPS)
    assert table["range"].median() == pytest.approx(declared.wide(kept[0], GAPS[kept[0].original]))
    found = np.array([declared.wide(w, GAPS[w.original]) for w in kept])
    text = metrics_along.wide_text(kept, GAPS, twins)
    assert f"On **{(found > 0.2).sum()} of {len(kept)}** connected paths" in text
    assert f"has {np.median(found):.2f}, on fine-tuned twins 0.01" in text
    assert metrics_along.wide_text(kept, {}, twins).startswith("No connected path")


def test_shapes_are_averaged_over_originals_by_group():
    table = metrics_along.shapes_table(along(), GAPS)
    assert set(table["group"]) == {SAME, APART, TWINNED}
    summary = metrics_along.shapes_summary(table).set_index(["metric", "group", "measure"])
    part = table[(table["metric"] == "zrf") & (table["group"] == SAME)]
    expected = student(part.groupby("original")["range"].mean())
    assert tuple(summary.loc[("zrf", SAME, "range"), ["estimate", "low", "high"]]) == pytest.approx(tuple(expected))
    shown = metrics_along.shapes_shown(table, GAPS | {9: {}})
    assert shown.loc["ZRF", "tells on"] == "4 of 5" and shown.loc["ZRF", "gap"] == "0.060"
    assert shown.loc["ZRF", f"range, {SAME}"].startswith(f"{expected.estimate:.2f} [")
    assert len(metrics_along.shapes_shown(table.iloc[:0], GAPS)) == 0


def test_the_best_inner_point_is_chosen_on_one_half_and_told_on_the_other():
    choose, test = (0.9, 0.1, 0.3, 0.2, 0.9), (0.4, 0.9, 0.6, 0.9, 0.5)
    one = measured_of_metrics(scores=(choose, test))
    assert declared.best_inner(one) == (0.5, pytest.approx(0.6 - 0.5))  # neither end
    row = metrics_along.best_table([one, replace(one, condition="method", other="scrub")])
    assert row["method"].tolist() == ["npo", "npo - scrub"] and row["group"].tolist() == [SAME, APART]
    assert row.loc[0, ["t", "end", "inner"]].tolist() == pytest.approx([0.5, 0.5, 0.6])
    assert metrics_along.best_text(metrics_along.best_table([]), None).startswith("No connected path")


def test_gains_have_bounds_for_all_methods_at_once():
    kept = joined(along())
    summary = metrics_along.best_summary(kept)
    cells = cells_of(kept, lambda w: declared.best_inner(w)[1], declared.by_method)
    bounds = simultaneous(cells.values, least=declared.SMALL / 10)
    np.testing.assert_allclose(summary["low"], bounds.low)
    text = metrics_along.best_text(metrics_along.best_table(kept), summary)
    sure = [m for m, low in zip(cells.contexts, bounds.low, strict=True) if low > 0]
    assert sure and f"there is a gain for {len(sure)} of {len(summary)} methods or pairs" in text
    assert metrics_along.label_of(sure[0]) in text


def test_the_answer_says_what_the_numbers_say():
    text = metrics_along.answer_text(list(along()), GAPS)
    assert [line.split(".**")[0] for line in text.split("\n\n")] == ["**Expected", "**Found", "**So"]
    kept = joined(along())
    for part in (
        metrics_along.calibration_text(kept),
        metrics_along.wide_text(kept, GAPS, [w for w in along() if w.control]),
    ):
        assert part in text
    assert "go ways of their own" in text
    one = World(controlled(lambda labels: Shape()), patterns="shared")
    same = [walk_of_world(one, original=o, **labels) for o in range(4) for labels in PARTS["random"]]
    assert "nearly as well as with itself" in metrics_along.answer_text(same, GAPS)
    assert "not told by these originals" in metrics_along.answer_text([w for w in along() if w.original == 0], GAPS)
    far = [measured_of_metrics(deficit=0.5)]
    assert "No connected path" in metrics_along.answer_text(far, GAPS)


def test_names_of_metrics():
    assert metrics_along.metric_label("js_retrained_forget") == "JS, forget"
    assert metrics_along.metric_label("accuracy_test") == "accuracy, test"
    assert metrics_along.metric_label("zrf") == "ZRF" and metrics_along.metric_label("knowledge_gap") == "knowledge gap"
    assert len({metrics_along.metric_label(name) for name in metrics_along.compared()}) == len(metrics_along.compared())


def test_the_path_is_named_with_its_own_numbers():
    one = drawn_path()
    own, other = declared.pattern(one)
    assert metrics_along.path_title(one) == (
        f"original 0, {label(METHODS[0])}, two seeds, linear\n"
        f"mean |ρ| of a metric with itself {own:.2f}, with the others {other:.2f}"
    )
    assert metrics_along.path_title(one) in texts(figure("metrics"))
    assert metrics_along.path_title(measured_of_metrics(condition="method", other="scrub")) == (
        "original 0, NPO – SCRUB, two methods, linear"
    )


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


def test_matrices_must_be_of_the_metrics():
    nothing = np.full((3, 3), np.nan)
    assert metrics_along.correlation_figure(["a", "b", "c"], nothing, nothing).axes[0].get_images()
    with pytest.raises(BadInput, match="2 metrics need matrices of 2 x 2, got"):
        metrics_along.correlation_figure(["a", "b"], nothing, nothing)
