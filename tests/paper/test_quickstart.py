"""The room `quickstart`: its routes, its claims' tests, its tables and figures on made-up walks."""

import numpy as np
import pytest
from made_figures import T, curves, figure
from made_specs import ROOT, models as models_of_specs
from made_tables import clean
from matplotlib.text import Text
from synthetic import beside, walk

import mcutils as mc
from mcutils.engine.kinds import parents
from mcutils.engine.specs import TraceSpec, UnlearnedSpec, is_line, key
from mcutils.engine.upkeep import results
from mcutils.errors import BadInput
from mcutils.measures.along import excess
from mcutils.measures.profiles import Profile
from mcutils.paper import quickstart as quickstart_module
from mcutils.paper.archives import computed_apart
from mcutils.paper.pictures import kept
from mcutils.paper.progress_and_retraining import independent
from mcutils.paper.quickstart import ORIGINALS, quickstart
from mcutils.paper.registry import EXPERIMENTS
from mcutils.traces import Trace


def test_the_quickstart_follows_its_parameters(smoke):
    found = models_of_specs(quickstart(smoke, "scrub", (1, 2)))
    ends = [model for model in found if isinstance(model, UnlearnedSpec)]
    assert [(end.method, end.seed) for end in ends] == [("scrub", 1), ("scrub", 2)]
    assert [(path.kind, path.start, path.end) for path in found[-2:]] == [("linear", *ends), ("bezier", *ends)]
    default = models_of_specs(quickstart(smoke))
    assert [(e.method, e.seed) for e in default if isinstance(e, UnlearnedSpec)] == [("npo", 42), ("npo", 87)]


def test_the_shipped_results_are_exactly_those_of_the_experiments_and_the_quickstart_s_models(asked, laptop, tmp_path):
    """And of what is priced apart, where all of it is there; pictures as far as there are any."""
    shipped = {path.stem for path in results(ROOT / "data" / "store")}
    models = set(map(key, quickstart_module.shipped(laptop)))
    assert not models & set().union(*asked.values())
    there = mc.study("laptop", store=str(tmp_path))
    apart = [one for specs in computed_apart(there).values() for one in specs if not is_line(one)]
    apart += kept(there, [one for ask in EXPERIMENTS.values() for one in ask(laptop)])
    assert shipped - models == set().union(*asked.values()) | set(map(key, apart))
    assert models <= shipped


def test_what_ships_of_the_quickstart_is_enough_to_load_and_walk_it(laptop):
    """Every model that a shipped curve or endpoint is read with ships as well."""
    kept = set(quickstart_module.shipped(laptop))
    for spec in kept:
        if not isinstance(spec, TraceSpec):
            assert set(parents(spec)) <= kept


def test_the_explorer_s_plane_holds_the_quickstart_s_line_and_curve(laptop):
    line, curve, plane = quickstart_module.explorer(laptop)
    assert [key(one) for one in (line, curve)] == [key(one) for one in quickstart_module.quickstart(laptop)[-2:]]
    assert plane.models == (line.trace.model.start, curve.trace.model, line.trace.model.end)
    assert curve.trace.model.control_points == 1


def test_two_originals_are_joined_by_the_paths_that_09_walks_between_all(laptop):
    ours = quickstart_module.trained_apart(laptop)
    assert [(r.kind, r.start, r.end, r.condition) for r in ours] == [
        (kind, 0, 1, ORIGINALS) for kind in ("linear", "bezier")
    ]
    theirs = [r for r in independent(laptop) if r.condition == ORIGINALS and (r.start, r.end) == (0, 1)]
    assert [key(r.profile(laptop)) for r in ours] == [key(r.profile(laptop)) for r in theirs]
    asked = {key(spec) for spec in EXPERIMENTS["00_quickstart"](laptop)}
    assert {key(r.profile(laptop)) for r in ours} <= asked


@pytest.mark.parametrize(
    ("line", "curve", "so"),
    [
        (2.0, 0.05, "joined by a curve and not by a line: 2 % of the line's barrier is left on the curve. A"),
        (
            2.0,
            0.15,
            "8 % of the line's barrier is left on the curve. It is low, not flat: by the tolerance of unlearned",
        ),
        (2.0, 0.5, "The fitted curve keeps 25 % of the line's barrier: it joins them in part."),
        (0.05, 0.0, "The line has no barrier above 0.1 G"),
    ],
)
def test_a_curve_joins_what_a_line_does_not(line, curve, so):
    words = clean(quickstart_module.apart_answer(walk("original", line), walk("original", curve, kind="bezier")))
    top = 0.2 + 0.1 * 0.5 + 2 * line  # G is 2 nats
    assert f"On the line the retain loss rises {line:.2f} G above its chord, to {top:.2f} nats" in words
    assert f"; on the Bézier curve the retain loss rises {curve:.2f} G" in words
    lowest = min(85.0, 87.5 - 2 * line)  # % at the end or in the middle
    assert f"{lowest:.1f} % of the retain set right" in words and so in words
    assert ("not flat" in words) == (curve == 0.15)


def test_an_unknown_method_is_refused(smoke):
    with pytest.raises(BadInput, match="unknown method 'wish'"):
        quickstart_module.quickstart(smoke, "wish")


def test_splits_say_their_sizes_and_uses(tiny):
    table = quickstart_module.splits_table(tiny)
    assert {name: len(rows) for name, rows in tiny.index.items() if name in table.index} == table["examples"].to_dict()
    assert list(table.columns) == ["examples", "use"] and (table["examples"] > 0).all()
    assert "reported only" in table.loc["test", "use"] and "choices" in table.loc["valid", "use"]
    assert table.loc["retain", "examples"] + table.loc["forget", "examples"] == len(tiny.index["train"])


def texts(fig):
    return [item.get_text() for item in fig.findobj(Text)]


def test_path_figure_draws_the_curves_the_chord_and_the_references():
    fig = figure("path")
    assert len(fig.axes) == 6
    panel = fig.axes[2]
    lines = {line.get_label(): line for line in panel.get_lines()}
    np.testing.assert_array_equal(lines["linear, 95 % band"].get_ydata(), curves()["linear"].curves["loss_forget"])
    chord = lines["chord"].get_ydata()
    assert np.ptp(excess(chord, T)) < 1e-12 and chord[0] == 0.3 and chord[-1] == pytest.approx(0.32)
    assert [line.get_label() for line in panel.get_lines()].count("chord") == 1
    assert {"retrained models, range", "original model", "Bézier, 95 % band"} <= set(texts(fig))
    assert "NPO" in texts(fig) and "1\nseed 87" in texts(fig)
    assert len(quickstart_module.path_figure({"linear": curves()["linear"]}, splits=["forget"]).axes) == 2


def test_the_answer_names_the_dip_and_what_retrained_models_make_of_it():
    held = {kind: walk("npo", 0.02, dip, kind=kind) for kind, dip in (("linear", 0.3), ("bezier", 0.0))}
    for level, word in ((-5.0, "no better, within 0.1 G,"), (5.0, "better, by more than 0.1 G,")):
        profiles = {kind: beside(one, [0.0], [level]).profile for kind, one in held.items()}
        words = clean(quickstart_module.quickstart_answer(profiles))
        assert "On the line the retain loss is at most 0.020 G above its chord, the forget loss at most 0.300" in words
        assert f"below its own, and {'0.300' if level > 0 else '0.000'} G below both this and what" in words
        assert "On the line models on the way fit" in words and f"the two ends, and {word} than" in words
        assert "Image by image" not in words
    kept = {f"metric/known_again_{split}": np.array([0, 0.01, 0.0]) for split in ("forget", "test")}
    kept |= {"known/never_forget": np.float64(0.04), "known/never_test": np.float64(0.1)}
    told = Profile({**profiles["linear"].arrays, **kept})
    assert "wrong, 25.0 % are right" in quickstart_module.quickstart_answer({"linear": told})
    flat = {"bezier": beside(held["bezier"], [0.0], [1.0]).profile}
    assert "On no path does the forget loss dip by more than 0.1 G" in quickstart_module.quickstart_answer(flat)


def test_images_known_again_are_counted_beside_unseen_ones():
    right, wrong = np.array([2.0, 0.0]), np.array([0.0, 2.0])  # every label is 0
    path = np.array([[wrong, wrong, wrong], [right, right, wrong], [wrong, wrong, wrong]])
    index = {split: np.arange(3) + 3 * k for k, split in enumerate(("forget", "test"))}
    labels = dict.fromkeys(index, np.zeros(3, int))
    one = Trace(np.linspace(0, 1, 3), {"forget": path, "test": path[:, [2, 2, 2]]}, labels, index, {})
    alone = np.array([[wrong, right, wrong]])
    retrained = Trace(np.zeros(1), dict.fromkeys(index, alone), labels, index, {})
    table = quickstart_module.again_table({"line": one}, [retrained])
    assert table.index.tolist() == [("line", "forget"), ("line", "test")]
    assert table.loc[("line", "forget")].tolist() == [3, 3, 2, 2, 1]
    assert table.loc[("line", "test")].tolist() == [3, 3, 0, 2, 0]
    words = clean(quickstart_module.explorer_answer(table))
    assert "line: 1 of 2 forget images, 0 of 2 test images" in words and "makes of test images: line." in words
    table.loc[("line", "test"), "known again"] = 1
    assert "on neither path" in quickstart_module.explorer_answer(table)
