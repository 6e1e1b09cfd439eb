"""The room `progress_and_retraining`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace

import numpy as np
import pytest
from made_claims import FINE, METHODS, apart, forgetting as forgetting_of_claims, judge, ours, retraining
from made_figures_of_metrics import (
    METHODS as METHODS_of_figures_of_metrics,
    figure,
    lines as lines_of_figures_of_metrics,
    plane as plane_of_figures_of_metrics,
    table as table_of_figures_of_metrics,
)
from made_metrics import forgetting as forgetting_of_metrics, measured, retraining as retraining_of_metrics
from made_specs import labels
from made_tables import clean
from scipy.stats import t as student
from synthetic import T, beside, controls, walk

import mcutils as mc
from mcutils.measures.metrics import METRICS
from mcutils.measures.profiles import Profile
from mcutils.paper import progress_and_retraining, tables
from mcutils.paper.judging import controls_hold
from mcutils.paper.progress_and_retraining import c16, nonlinearity, retraining_control
from mcutils.paper.registry import ROUTES, TESTS
from mcutils.paper.walks import APART, labels_of


@pytest.mark.parametrize("name", [name for name in ROUTES if name != "09_progress_and_retraining"])
def test_every_walk_of_seeds_has_the_controls_of_three_methods(name, laptop):
    held = [r for r in ROUTES[name](laptop) if r.control]
    assert labels(held, "control", "kind") == {("other initialisation", "linear"): 3, ("fine-tuned twin", "linear"): 3}
    assert {r.path.start.method for r in held} == set(laptop.preset.methods[:3])


def test_progress_joins_original_unlearned_and_retrained(laptop):
    routes = progress_and_retraining.progress(laptop)
    forgetting = [r for r in routes if r.condition == "forgetting"]
    assert len(forgetting) == 24 and {(r.start == r.end, r.points, r.kind) for r in forgetting} == {(True, 0, "linear")}
    for r in forgetting:
        assert (r.path.start, r.path.end) == (laptop.original(), laptop.unlearned(r.method, r.start))
    for condition, count in (("retraining", 24), ("retrained", 3)):
        for name, init in (("same init", 0), ("other init", None)):
            some = [r for r in routes if (r.condition, r.init) == (condition, name)]
            assert len(some) == count and {bool(r.control) for r in some} == {condition == "retrained"}
            for r in some:
                start = laptop.retrained(r.start, init=init)
                start = start if condition == "retrained" else laptop.unlearned(r.method, r.start)
                assert (r.path.start, r.path.end) == (start, laptop.retrained(r.end, init=init))


def test_a_plane_goes_through_original_unlearned_and_retrained(laptop):
    found = progress_and_retraining.planes(laptop)
    assert list(found) == list(laptop.preset.methods[2:5])
    for method, plane in found.items():
        retrained = laptop.retrained(42, init=0)  # from the original's weights: else the plane shows two basins
        assert plane.models == (laptop.original(), laptop.unlearned(method, 42), retrained)


def walked(routes, bench):
    """Walks of routes as if everything were connected, with controls as they should be."""
    found = []
    for r in routes:
        points = r.profile(bench).trace.points
        barrier = 4.0 if r.control == APART or r.control and r.init == "other init" else 0.05
        curves = {name: np.linspace(0, 1 + r.start / 100, points) ** 2 for name in METRICS}
        made = {"metrics": curves, "scores": (np.ones(points),) * 2, "t": np.linspace(0, 1, points)}
        made |= {name: value for name, value in labels_of(r).items() if name not in ("method", "start", "end")}
        found.append(walk(r.method, barrier, pair=(r.start, r.end), **made))
    return found


# At the laptop's sizes: 8 methods; 4 neighbouring pairs of seeds and 1 on another original; 3 independent pairs.
JUDGED = {
    **{"C1": 8 * 5, "C2": 8 * 5, "C21": 8 * 5 * 2, "C4": 3 * 3, "C8": 28 * 3, "C12": 5, "C15": 8 * 3, "C16": 8 * 3},
    **{"C5": 8 * 3 * 2, "C6": 8 * 3 * 2, "C7": 2 * 8 * 3 * 2, "C13": 8 * 3, "C23": 8 * 3, "C24": 8 * 3},
    **dict.fromkeys(("C9", "C10", "C11"), 8 * 5 * 2 + 2 * (8 * 3 * 2)),
}


@pytest.fixture(scope="module")
def walks(laptop):
    return {name: walked(made(laptop), laptop) for name, made in ROUTES.items()}


@pytest.mark.parametrize("claim", TESTS)
def test_every_claim_finds_the_walks_that_it_is_judged_on(claim, walks):
    names, test = TESTS[claim]
    given = [w for name in names for w in walks[name]]
    found = test(given, *([{"zrf": 0.5}] if claim == "C10" else []))
    assert found.n_pairs == JUDGED[claim] and np.isfinite(found.effect)
    held = retraining_control if names == ("09_progress_and_retraining",) else controls_hold
    assert held(given)


def test_collapsed_controls_do_not_count():
    lost = [replace(w, profile=walk("x", 0.0, 9.0, collapsed=("chance",)).profile) for w in controls() + apart()]
    assert controls_hold(controls() + lost) and retraining_control(apart() + lost)
    assert not controls_hold(lost) and not retraining_control(lost)


@pytest.mark.parametrize(
    ("held", "expected"),
    [(apart(), True), (apart(0.11), True), (apart(0.09), False), (apart() + apart(0.0), False), ([], False)],
)
def test_retrained_models_of_other_initial_weights_must_lie_apart(held, expected):
    assert retraining_control(retraining(0.5, held=held)) is expected
    assert retraining_control(apart(float("nan"))) is False


def test_the_distance_from_the_chord_is_counted_in_changes():
    bump = 1 - 2 * np.abs(FINE - 0.5)
    for change, side in ((2.0, 0.6), (-2.0, 0.6), (2.0, -0.6)):
        one = walk("npo", t=FINE, metrics={"loss_forget": 5 + change * FINE + side * bump})
        assert nonlinearity(one) == pytest.approx(0.3)
    assert np.isnan(nonlinearity(walk("npo", t=FINE, metrics={"loss_forget": bump})))


def test_c15_is_the_mean_over_methods_and_seeds():
    found = judge("C15", forgetting_of_claims(0.3))
    assert (found.effect, found.n_pairs, found.n_seeds) == (pytest.approx(0.3), 18, 3)
    unchanged = walk("rest", pair=(42, 42), condition="forgetting", t=FINE, metrics={"loss_forget": np.zeros(7)})
    assert judge("C15", [*forgetting_of_claims(0.3), unchanged]) == found
    assert judge("C15", forgetting_of_claims(0.1)).verdict == "undecided"


def test_c15_resamples_its_seeds():
    """Methods agree and three seeds do not: eighteen lines are no more than three."""
    shifts = dict(zip((42, 87, 21), (0.0, 0.3, 0.6), strict=True))
    bump = 1 - 2 * np.abs(FINE - 0.5)
    lines = [
        walk(m, pair=(s, s), condition="forgetting", t=FINE, metrics={"loss_forget": FINE + shifts[s] * bump})
        for m in METHODS
        for s in shifts
    ]
    found, half = judge("C15", lines + apart()), student.ppf(0.975, 2) * 0.3 / np.sqrt(3)
    assert found.effect == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))


def test_c16_is_the_share_of_methods_that_lie_further_off_than_retrained_models():
    barriers = dict(zip(METHODS, (0.0, 0.2, 0.29, 0.31, 0.4, 1.0), strict=True))
    found = c16(retraining(lambda m: barriers[m]))
    assert (found.effect, found.n_pairs, found.n_seeds) == (0.5, 18, 3)
    assert found.verdict == "undecided"
    assert c16(retraining(lambda m: barriers[m], base=0.0)).effect == pytest.approx(5 / 6)


def test_c16_compares_models_of_the_same_initial_weights():
    walks = retraining(0.5)
    others = [replace(w, init="other init") for w in ours(retraining(0.0))]
    assert c16(walks + others) == c16(walks)


def test_c16_takes_means_over_seeds_and_resamples_them():
    """Half of the methods exceed the level by the mean of three seeds, but one of these lies below it."""
    sure = retraining(lambda m: 0.5 if METHODS.index(m) % 2 else 0.0)
    shifts = dict(zip((42, 87, 21), (0.9, 0.45, 0.0), strict=True))
    unsure = [
        replace(w, profile=walk(w.method, shifts[w.start], pair=(w.start, w.end)).profile)
        if not w.control and METHODS.index(w.method) % 2
        else w
        for w in sure
    ]
    assert c16(sure).effect == c16(unsure).effect == 0.5
    assert c16(unsure).low < c16(sure).low


def test_c16_without_retrained_models_judges_nothing():
    assert c16([w for w in retraining(0.5) if w.condition != "retrained"] + apart()).n_pairs == 0


def test_progress_runs_from_0_to_1_whichever_way_a_value_goes():
    np.testing.assert_allclose(progress_and_retraining.progress_of([2, 3, 6]), [0, 0.25, 1])
    np.testing.assert_allclose(progress_and_retraining.progress_of([1.0, 0.9, 0.6]), [0, 0.25, 1])
    assert (
        np.isnan(progress_and_retraining.progress_of([1, 2, 1])).all()
        and np.isnan(progress_and_retraining.progress_of([1, 2, np.inf])).all()
    )


def test_bends_by_hand():
    walks = [forgetting_of_metrics(3 * T**2, 1 - np.sqrt(T)), forgetting_of_metrics(T, np.ones(5), seed=87)]
    progress = progress_and_retraining.progress_table([*walks, measured(), *controls()])
    assert progress["seed"].to_list() == [42] * 5 + [87] * 5
    np.testing.assert_allclose(progress["loss"][:5], T**2)
    table = progress_and_retraining.bends_table(progress).set_index(["seed", "quantity"])
    late, early, line = (table.loc[k] for k in ((42, "loss"), (42, "accuracy"), (87, "loss")))
    assert (late["deviation"], late["late"], late["steepest"]) == (0.25, True, 0.875)
    assert (early["deviation"], early["late"], early["steepest"]) == (0.25, False, 0.125)
    assert line["deviation"] == pytest.approx(0, abs=1e-12) and (87, "accuracy") not in table.index
    shown = progress_and_retraining.bends_shown(table.reset_index())
    assert shown.loc[("npo", "loss"), "late"] == "1 of 2"
    assert shown.loc[("npo", "loss"), "deviation from chord"].startswith("0.12 [")
    summary = progress_and_retraining.bends_summary(table.reset_index()).set_index(["quantity", "measure"])
    assert summary.loc[("loss", "deviation"), "estimate"] == pytest.approx(0.125)
    for empty in (
        progress_and_retraining.progress_table(controls()),
        progress_and_retraining.bends_table(progress_and_retraining.progress_table(controls())),
    ):
        assert len(empty) == 0


def test_barriers_to_retrained_models_stand_beside_those_of_retrained_pairs():
    walks = retraining_of_metrics({"npo": 0.5, "scrub": 0.04}, 0.02, ("npo", "scrub"))
    table = progress_and_retraining.retraining_table([*walks, walk("npo", 9.0, condition="random")])
    assert len(table) == 2 * 2 * 3 + 2 * 3
    shown = progress_and_retraining.retraining_summary(table)
    assert shown.loc[("same init", "npo"), "above retrained pairs"] == "+0.480"
    assert shown.loc[("same init", "scrub"), "above retrained pairs"] == "+0.020"
    assert shown.loc[("same init", progress_and_retraining.PAIRS), "above retrained pairs"] == "-"
    assert shown.loc[("other init", "npo"), "above retrained pairs"] == "+0.000"
    assert shown.loc[("same init", "npo"), "deficit"] == "0.300"
    assert shown.index.get_level_values(0).unique().to_list() == list(progress_and_retraining.INITS)
    text = progress_and_retraining.retraining_text(walks)
    assert "Control held" in text and "between 5.00 and 5.00 G" in text and "0 of 12 walks" in text
    assert "FAILED" in progress_and_retraining.retraining_text(retraining_of_metrics(0.5, 0.02, apart=0.05))
    assert "not walked" in progress_and_retraining.retraining_text(walks[:4])


def test_a_plane_s_models_in_nats_and_percent():
    at = {f"{q}_{s}": np.array([0.1, 0.2, 0.3]) for q in ("loss", "accuracy") for s in ("retain", "forget", "test")}
    plane = mc.measures.planes.Plane(T, T, {}, np.zeros((3, 2)), at, {})
    table = progress_and_retraining.planes_table({"npo": plane})
    assert table.loc[("npo", "unlearned")].to_list() == ["0.200", "20.0"] * 3
    assert table.index.get_level_values(1).to_list() == ["original", "unlearned", "retrained"]


def test_progress_is_drawn_for_every_method_beside_the_chord():
    fig = figure("progress")
    shown = [ax for ax in fig.axes if ax.axison]
    assert len(shown) == len(METHODS_of_figures_of_metrics)
    ax = shown[1]
    part = table_of_figures_of_metrics("progress").query("method == 'random_labels'")
    np.testing.assert_allclose(
        lines_of_figures_of_metrics(ax)["forget loss: mean, seeds thin"].get_ydata(), part.groupby("t")["loss"].mean()
    )
    assert list(lines_of_figures_of_metrics(ax)["chord"].get_ydata()) == [0, 1]
    far = table_of_figures_of_metrics("progress").assign(accuracy=lambda rows: 90 * rows["accuracy"] * (1 - rows["t"]))
    assert progress_and_retraining.progress_figure(far).axes[0].get_ylim()[1] < 2.2


def test_retrained_pairs_stand_last_with_what_c16_asks_beside_their_own_initialisation():
    left, right = figure("retraining").axes
    assert [tick.get_text() for tick in left.get_yticklabels()][-1] == progress_and_retraining.PAIRS
    rows = table_of_figures_of_metrics("retraining").query(
        "method == @progress_and_retraining.PAIRS and init == 'same init'"
    )
    assert lines_of_figures_of_metrics(left)["their mean + 0.1 G: C16"].get_xdata()[0] == pytest.approx(
        rows["barrier"].mean() + 0.1
    )
    assert "their mean + 0.1 G: C16" not in lines_of_figures_of_metrics(right)
    without = table_of_figures_of_metrics("retraining").query("method != @progress_and_retraining.PAIRS")
    means = tables.means(without, "barrier", ["method", "init"])
    assert len(progress_and_retraining.retraining_figure(without, means, margin=0.1).axes) == 2


def test_planes_share_their_levels_and_mark_the_three_models():
    fig = figure("planes")
    panels = fig.axes[:6]
    assert [ax.get_title() for ax in panels[:2]] == ["NPO: retain loss", "NPO: forget loss"]
    for ax in panels:
        marked = {line.get_label(): line for line in ax.get_lines()}
        assert {"original", "unlearned", "retrained"} <= set(marked)
        assert (marked["retrained"].get_xdata()[0], marked["retrained"].get_ydata()[0]) == (3.2, 0)
    ranges = [[c.get_clim() for c in ax.collections][0] for ax in panels[::2]]
    assert len(set(ranges)) == 1
    flat = replace(
        plane_of_figures_of_metrics(), values={name: np.ones((15, 15)) for name in plane_of_figures_of_metrics().values}
    )
    assert len(progress_and_retraining.planes_figure({"npo": flat}).axes) == 4


def test_a_plane_with_losses_that_are_not_finite_is_drawn():
    broken = plane_of_figures_of_metrics()
    broken.values["loss_forget"][0, :3] = np.nan, np.inf, 1e9
    progress_and_retraining.planes_figure({"npo": broken})


def test_retrained_levels_are_in_units_of_the_change():
    line = walk("npo", condition="forgetting")  # its forget loss goes from 0.2 to 0.3
    table = progress_and_retraining.progress_levels([beside(line, [0.0, 0.0], [0.25, 0.35]), walk("npo")])
    assert table["method"].tolist() == ["npo"]
    np.testing.assert_allclose(table.iloc[0][["mean", "low", "high"]].astype(float), [1.0, 0.5, 1.5])
    assert progress_and_retraining.progress_levels([line]).empty


def test_the_answer_holds_lines_to_retrained_models_to_the_chord_and_to_the_retrained_level():
    dips = ((0.0, 5.0), (0.3, 5.0), (0.3, -5.0))  # none, one below the retrained level, one above it
    on = [walk("npo", 0.0, deficit, condition="retraining", init="same init") for deficit, _ in dips]
    on = [beside(one, [0.0], [level]) for one, (_, level) in zip(on, dips, strict=True)]
    far = beside(walk("npo", 4.0, condition="retraining", init="other init"), [0.0], [1.0])
    made = [walk("npo", deficit=d, condition="forgetting", pair=(k, k)) for k, d in enumerate((0.01, -0.01))]
    lines = [replace(w, profile=Profile({**w.profile.arrays, **metrics_of(w)})) for w in made]
    words = clean(progress_and_retraining.retraining_answer([*lines, *on, far]))
    assert "On 1 of 2 lines from the original the forget loss is farthest from its chord below it" in words
    assert "Of 3 lines on to a model" in words and "weights 3 have no retain barrier above 0.1 G" in words
    assert "yet 1 satisfy MCU(0.1) by the chord and 2 by the level" in words and "1 of 1 have a barrier" in words
    assert "put 3 of 3 unlearned models" in words and "on 1 of 3 lines the forget loss falls more than 0.1 G" in words


def metrics_of(one):
    """The metrics that the progress of forgetting is read from."""
    return {f"metric/{q}_forget": one.profile.arrays[f"curve/{q}_forget"] for q in ("loss", "accuracy")}
