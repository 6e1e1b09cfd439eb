"""The room `progress_and_retraining`: its routes, its tables and figures on made walks."""

from dataclasses import replace

import numpy as np
import pytest
from made_figures_of_metrics import figure, lines, plane, progressed, ways
from made_specs import labels
from made_worlds import METHODS, Shape, World, controlled, walk

import mcutils as mc
from mcutils.measures.drawing import label
from mcutils.measures.originals import student
from mcutils.measures.profiles import Profile
from mcutils.measures.snapshots import compromise_of
from mcutils.paper import declared, progress_and_retraining as room
from mcutils.paper.registry import EXPERIMENTS, ROUTES
from mcutils.paper.walks import RETRAINED, SOME


def test_every_walk_of_seeds_has_a_control_of_each_kind_on_every_original(laptop):
    for name in ROUTES:
        if name == "09_progress_and_retraining":
            continue
        held = [r for r in ROUTES[name](laptop) if r.control]
        assert labels(held, "control", "kind") == {
            ("other initial weights", "linear"): 8,
            ("fine-tuned twin", "linear"): 8,
        }
        assert {r.original for r in held} == set(range(8))


def test_progress_joins_original_unlearned_and_retrained(laptop):
    routes = room.progress(laptop)
    forgetting = [r for r in routes if r.condition == "forgetting"]
    assert labels(forgetting, "method") == {(m,): 8 for m in laptop.preset.fit}
    assert {(r.start, r.end, r.points, r.kind) for r in forgetting} == {(42, 42, laptop.preset.points, "linear")}
    for r in forgetting:
        first = laptop.original(r.original)
        assert (r.path.start, r.path.end) == (first, laptop.unlearned(r.method, r.start, origin=first))
    n, wanted = len(laptop.preset.fit), {("retrained", room.SAME): 8, ("retrained", room.OTHER): 8}
    wanted |= {("retraining", room.SAME): 8 * n, ("retraining", room.OTHER): SOME * n}
    for (condition, init), count in wanted.items():
        some = [r for r in routes if (r.condition, r.init) == (condition, init)]
        assert len(some) == count and {bool(r.control) for r in some} == {condition == "retrained"}
        for r in some:
            given = {"init": r.original if init == room.SAME else None, "original": r.original}
            assert r.path.end == laptop.retrained(r.end, **given)


def test_models_trained_apart_share_no_initial_weights(laptop):
    routes = room.independent(laptop)
    assert labels(routes, "condition", "kind", "objective") == {
        (room.ORIGINALS, "linear", ""): 8,
        (room.ORIGINALS, "bezier", ""): 8,
        (room.PAIRS, "linear", ""): 8,
        (room.PAIRS, "bezier", ""): 8,
        (room.CURVES, "linear", ""): 4,
        (room.CURVES, "bezier", ""): 4,
        (room.CURVES, "bezier", "retain only"): 4,
    }
    assert {r.path.end.init for r in routes if r.condition != room.ORIGINALS} == {None}
    alone = mc.study("smoke", store=str(laptop.store.folder), fresh=True)
    assert {r.condition for r in room.independent(alone)} == {room.PAIRS, room.CURVES}  # one original has no neighbour


def test_a_plane_goes_through_original_unlearned_and_retrained(laptop):
    (method, found), = room.planes(laptop).items()  # fmt: skip
    retrained = laptop.retrained(42, init=0)  # from the original's weights: else the plane shows two basins
    assert found.models == (laptop.original(), laptop.unlearned(method, 42), retrained)


def test_the_optimisers_way_is_that_of_three_methods(laptop):
    found = room.ways(laptop)
    assert list(found) == list(laptop.preset.fit[:3])
    for name, spec in found.items():
        assert spec.trace.model == laptop.trajectory(laptop.unlearned(name, 42))
    assert set(found.values()) <= set(EXPERIMENTS["09_progress_and_retraining"](laptop))


def test_models_trained_apart_stand_as_m0_reads_them():
    table = room.apart_table(progressed())
    assert list(dict.fromkeys(table["what"])) == list(room.APART) and set(table.groupby("what").size()) == {4}
    for what, (condition, init, objective) in room.APART.items():
        found = declared.m0(progressed(), condition, init, objective).effect
        part = table[table["what"] == what]
        assert part.groupby("original")["ratio"].mean().mean() == pytest.approx(found.estimate)
    shown = room.apart_shown(table)
    assert shown.loc["two originals", "under a tenth"] == f"{(table['ratio'][:4] < 0.1).sum()} of 4"
    text = room.apart_text(table)
    assert text.startswith("- **Two originals**: on the line a retain barrier of 5.") and text.count("\n") == 3
    assert "No models" in room.apart_text(room.apart_table([]))


def test_where_the_line_has_no_barrier_nothing_is_left_to_join():
    bench = World(controlled(lambda one: Shape(rise=0.05)), spread=0.0)
    given = {"method": "original", "condition": room.ORIGINALS, "original": 0}
    pair = [walk(bench, kind=kind, **given) for kind in ("linear", "bezier")]
    assert room.apart_table(pair)["ratio"].tolist() == [1.0]


def test_progress_runs_from_0_to_1_whichever_way_a_value_goes():
    for values in ([0.1, 0.4, 2.1], [2.1, 1.8, 0.1]):
        np.testing.assert_allclose(room.progress_of(values), [0, 0.15, 1])
    assert np.isnan(room.progress_of([1.0, 2.0, 1.0])).all() and np.isnan(room.progress_of([1.0, 2.0, np.inf])).all()


def forgetting(values, original=0, method="npo"):
    """A line from the original to an unlearned model with this forget loss, in shares of its change."""
    bench = World(controlled(lambda one: Shape()), spread=0.0, points=len(values))
    one = walk(bench, method=method, kind="linear", condition="forgetting", original=original, start=42, end=42)
    first, last = one.profile.arrays["curve/loss_forget"][[0, -1]]
    loss = first + (last - first) * np.asarray(values)
    arrays = {**one.profile.arrays, "curve/loss_forget": loss, "metric/loss_forget": loss}
    return replace(one, profile=Profile(arrays))


def test_bends_by_hand():
    t = np.linspace(0, 1, 31)
    late, step = t**2, (t > 0.5).astype(float)
    table = room.bends_table([forgetting(late), forgetting(step, 1)]).set_index("original")
    assert table.loc[0, ["chord", "quadratic"]].tolist() == pytest.approx([0.25, 0], abs=1e-9)
    assert table.loc[0, "late"] and table.loc[0, "steepest"] == pytest.approx(1 - 1 / 60)
    assert table.loc[1, "chord"] == pytest.approx(0.5) and table.loc[1, "steepest"] == pytest.approx(0.5 + 1 / 60)
    assert table.loc[1, "quadratic"] == declared.beyond_quadratic(forgetting(step, 1))
    shown = room.bends_shown(table.reset_index())
    assert shown.loc["NPO", "from the chord"].startswith("0.38 [") and shown.loc["NPO", "late"].endswith("of 2")


def test_bends_are_averaged_over_originals():
    t = np.linspace(0, 1, 11)
    walks = [forgetting(t ** (1 + 0.3 * o), o) for o in range(4)]
    summary = room.bends_summary(room.bends_table(walks)).set_index(["method", "measure"])
    own = student([room.nonlinearity(w) for w in walks], least=0.005)
    assert tuple(summary.loc[("npo", "chord")]) == pytest.approx(tuple(own))
    assert len(room.progress_table(walks)) == 44


def test_retrained_levels_are_in_units_of_the_change():
    t = np.linspace(0, 1, 11)
    one = forgetting(t)
    loss = one.profile.arrays["curve/loss_forget"]
    (row,) = room.progress_levels([one]).itertuples()
    level = (one.profile.levels["loss_forget"] - loss[0]) / (loss[-1] - loss[0])
    assert (row.method, row.mean, row.low, row.high) == ("npo", level.mean(), level.min(), level.max())


def test_the_way_has_a_row_for_each_snapshot_and_one_best():
    found, steps = ways()
    table = room.way_table(found, steps)
    assert table.groupby("method")["best"].sum().tolist() == [1, 1, 1]
    one = found[METHODS[0]]
    chosen = compromise_of(one.metric("accuracy_forget"), one.metric("accuracy_valid"))
    part = table[table["method"] == METHODS[0]]
    assert part["step"].tolist() == [0, 1, 4, 20] and part["best"].to_numpy().argmax() == chosen.argmax() == 2
    shown = room.way_shown(table).loc[label(METHODS[0])]
    assert (shown["best step"], shown["last step"], shown["forget %, best"]) == ("4", "20", "94.0")
    assert shown["compromise gained, points"] == f"{100 * (chosen.max() - chosen[-1]):.2f}"


def test_the_way_is_held_against_its_line_at_equal_shares():
    found, steps = ways(METHODS[:1])
    line = forgetting(np.linspace(0, 1, 11), method=METHODS[0])
    text = room.way_text(room.way_table(found, steps), [line])
    one = found[METHODS[0]]
    straight = np.interp(one.t, line.profile.t, line.profile.connectivity.curves["loss_forget"])
    away = (one.metric("loss_forget") - straight) / line.profile.gap
    k = np.abs(away).argmax()
    assert f"the forget loss goes up to {abs(away[k]):.2f} G {'above' if away[k] > 0 else 'below'} that at" in text
    assert "is that after step 4 of 20." in text
    assert room.way_text(room.way_table(found, steps), []).startswith("No run")


def test_lines_to_retrained_models_stand_beside_those_of_retrained_pairs():
    table = room.retraining_table(progressed())
    own = table[table["init"] == room.SAME]
    pairs = {w.original: w.eps for w in progressed() if w.control == RETRAINED and w.init == room.SAME}
    for one in own[own["method"] != room.PAIRS].itertuples():
        assert one.more == pytest.approx(one.eps - pairs[one.original])
    # C16 counts where this exceeds a tenth of G.
    counted = own[own["method"] != room.PAIRS]
    hits = (counted["more"] > room.MARGIN).groupby(counted["original"]).mean().mean()
    assert declared.c16(progressed()).effect.estimate == pytest.approx(hits)
    shown = room.retraining_shown(table)
    name = label(METHODS[5])
    assert shown.loc[(room.FROM[room.SAME], name), "eps above pairs' by 0.1"] == "4 of 4"
    assert shown.loc[(room.FROM[room.SAME], label(room.PAIRS)), "eps above pairs' by 0.1"] == "-"


def test_the_answer_says_what_the_numbers_say():
    way = room.way_table(*ways())
    text = room.retraining_answer(progressed(), way)
    assert [line.split(".**")[0] for line in text.split("\n\n")] == ["**Expected", "**Found", "**So"]
    trained, own = room.apart_table(progressed()), room.retraining_table(progressed())
    own = own[(own["init"] == room.SAME) & (own["method"] != room.PAIRS)]
    assert f"on {(trained['ratio'] < 0.1).sum()} of {len(trained)} pairs" in text
    assert f"{(own['eps'] <= 0.1).sum()} satisfy MCU(0.1) by the chord" in text
    assert f"{(own['more'] > 0.1).sum()} of the {len(own)} lines exceed that of" in text
    assert "best by validation in 0 of 3" in text


def test_a_plane_s_models_in_nats_and_percent():
    values = {
        f"{q}_{s}": np.array([0.123, 0.4567, 0.9]) for q in ("loss", "accuracy") for s in ("retain", "forget", "test")
    }
    found = room.planes_table({"npo": replace(plane(), at_models=values)})
    assert found.loc[("npo", "unlearned"), ["forget loss", "test %"]].tolist() == ["0.457", "45.7"]


def test_planes_share_their_levels_and_mark_the_three_models():
    fig = figure("planes")
    contours = [[c for c in ax.collections if hasattr(c, "levels")] for ax in fig.axes[:6]]
    for column in (0, 1):
        levels = [tuple(contours[k][0].levels) for k in (column, column + 2, column + 4)]
        assert len(set(levels)) == 1
    for ax in fig.axes[:6]:
        assert {"original", "unlearned", "retrained"} <= set(lines(ax))


def test_a_plane_with_losses_that_are_not_finite_is_drawn():
    broken = plane()
    broken.values["loss_retain"][0, 0] = np.inf
    broken.values["loss_forget"][1, 1] = np.nan
    assert room.planes_figure({"npo": broken}).axes
