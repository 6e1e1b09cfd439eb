"""Figures of metrics, fits, progress and claims: drawn whole, saved alike, and holding what their tables say."""

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import RING, SEEDS, walk

from mcutils import metric_plots
from mcutils import metric_tables as tables
from mcutils.claims import CLAIMS, judge
from mcutils.errors import BadInput
from mcutils.measures import drawing as plots
from mcutils.measures.metrics import METRICS
from mcutils.measures.planes import Plane
from mcutils.measures.profiles import ProfileOf
from mcutils.tables import excess_table

METHODS = (
    "gradient_ascent", "random_labels", "bad_teacher", "salun", "gradient_difference", "npo", "scrub", "l1_sparse"
)  # fmt: skip
T = np.linspace(0, 1, 31)
GAPS = {"zrf": 0.5, "loss_test": 0.3, "accuracy_forget": 1.0}


def wavy(seed):
    """Smooth curves of all metrics, of one bend to four."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal() + rng.normal() * T + rng.normal() * np.sin(np.pi * T * rng.integers(1, 5))
        for name in METRICS
    }


def joined(methods=METHODS, pairs=RING[:3]):
    """Connected walks with all their metrics and closeness to retraining."""
    walks = []
    for k, method in enumerate(methods):
        for j, pair in enumerate(pairs):
            rng = np.random.default_rng([k, j])
            scores = [0.9 + 0.02 * k - 0.02 * (T - 0.5) ** 2 + 0.002 * rng.normal(size=31) for _ in range(2)]
            walks.append(walk(method, 0.02, 0.05, pair, t=T, metrics=wavy([k, j]), scores=scores, seed=k))
    return walks


def fits(methods=METHODS, pairs=RING[:3]):
    """Walks of every fit."""
    walks = []
    for k, method in enumerate(methods):
        for j, pair in enumerate(pairs):
            for i, (variant, kind) in enumerate(tables.FITS):
                eps = float(np.random.default_rng([k, j, i]).choice([0.0, 0.03, 0.2, 1.5, 20.0]))
                one = walk(method, eps / 2, eps, pair, kind, variant=variant, seed=k)
                more = {"measure/surplus_retain": np.float64(0.1), "measure/shortfall_forget": np.float64(0.2)}
                walks.append(replace(one, profile=ProfileOf({**one.profile.arrays, **more})))
    return walks


def progress(methods=METHODS):
    """Lines from the original to unlearned models."""
    walks = []
    for k, method in enumerate(methods):
        for j, seed in enumerate(SEEDS[:3]):
            metrics = {"loss_forget": T ** (1 + 0.3 * k) + 0.02 * j * np.sin(9 * T), "accuracy_forget": 1 - T**3}
            metrics["accuracy_forget"] = metrics["accuracy_forget"] if k else np.ones(31)
            walks.append(walk(method, pair=(seed, seed), t=T, metrics=metrics, condition="forgetting"))
    return walks


def retraining(methods=METHODS):
    """Lines to retrained models, and between them."""
    walks = []
    for init, level in (("same init", 0.02), ("other init", 5.0)):
        for k, method in enumerate(methods):
            for seed in SEEDS[:3]:
                labels = {"condition": "retraining", "variant": init, "seed": k}
                walks.append(walk(method, level * (1 + k * seed % 7), 0.1, (seed, seed), **labels))
        for a, b in combinations(SEEDS[:3], 2):
            labels = {"role": "control", "condition": "retrained", "variant": init}
            walks.append(walk("retrain", level * (1 + a % 2), 0.0, (a, b), **labels))
    return walks


def plane(high=5.0, size=15):
    """A plane whose losses grow from its first model outwards."""
    x, y = np.linspace(-1, 4, size), np.linspace(-0.5, 2, size)
    bowl = 0.01 + high * (x[None] ** 2 + y[:, None] ** 2) / 20
    values = {f"loss_{s}": bowl * k for k, s in enumerate(("retain", "forget", "test"), 1)}
    at = {name: np.array([0.01, 0.5, 0.8]) for name in values}
    return Plane(x, y, values, np.array([(0, 0), (0.3, 1.5), (3.2, 0)]), at, {})


def verdicts():
    """A claim supported, one contradicted, others undecided, one of which nothing was measured."""
    spans = {"C1": (0.6, 0.9), "C4": (-0.05, 0.06), "C5": (-0.4, 0.3), "C9": (0.2, 0.4), "C21": (0.03, 0.6)}
    found = {c: judge(c, np.mean(s), *s, n_pairs=30, n_seeds=5) for c, s in spans.items()}
    found["C12"] = judge("C12", *[np.nan] * 3, n_pairs=0, n_seeds=0)
    wide = {c: (s[0] - 0.15, s[1] + 0.15) for c, s in spans.items()}
    strict = {c: judge(c, np.mean(s), *s, n_pairs=30, n_seeds=5) for c, s in wide.items()} | {"C12": found["C12"]}
    return [*found.values()], [strict[c] for c in found]


@cache
def table(name):
    """Tables that several tests read."""
    walks = {"shapes": joined, "best": joined, "fits": fits, "progress": progress, "retraining": retraining}[name]()
    if name == "shapes":
        return tables.shapes_table(walks, GAPS)
    made = {"best": tables.best_table, "fits": tables.fits_table, "progress": tables.progress_table}
    return made.get(name, tables.retraining_table)(walks)


def fits_means():
    return tables.means(table("fits"), "eps", ["method", "fit"])


def surplus():
    made = tables.surplus_table(table("fits"))
    return made, tables.means(made, "nats", ["method", "path"])


def bends():
    made = tables.bends_table(table("progress"))
    return made, tables.bends_summary(made)


FIGURES = {
    "metrics": lambda: metric_plots.metrics_figure(
        tables.metric_curves(joined()[0]), excess_table(joined()[:1]), eps=0.1, title="NPO, two seeds"
    ),
    "correlation": lambda: metric_plots.correlation_figure(tables.compared(), *tables.correlations(joined()[:4])),
    "shapes": lambda: metric_plots.shapes_figure(
        table("shapes"), tables.shapes_summary(table("shapes")), threshold=0.2
    ),
    "best": lambda: metric_plots.best_figure(table("best"), tables.best_summary(table("best"))),
    "fits": lambda: metric_plots.fits_figure(table("fits"), fits_means(), fits=list(tables.FITS.values())),
    "failures": lambda: metric_plots.failures_figure(*tables.failures(fits()), methods=METHODS),
    "outcomes": lambda: metric_plots.outcomes_figure(tables.outcomes_table(fits())),
    "surplus": lambda: metric_plots.surplus_figure(*surplus(), unit=0.4),
    "progress": lambda: metric_plots.progress_figure(table("progress")),
    "bends": lambda: metric_plots.bends_figure(*bends(), threshold=0.1),
    "retraining": lambda: metric_plots.retraining_figure(
        table("retraining"), tables.means(table("retraining"), "barrier", ["method", "init"]), margin=0.1
    ),
    "planes": lambda: metric_plots.planes_figure({"npo": plane(), "scrub": plane(50.0), "salun": plane(0.1)}),
    "forest": lambda: metric_plots.forest_figure(tables.forest_table(*verdicts()), level=0.99),
}


@cache
def figure(name):
    return FIGURES[name]()


def texts(fig):
    return [item.get_text() for item in fig.findobj(Text)]


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_saves_to_the_same_bytes_twice(name, tmp_path):
    before = dict(rcParams)
    first, second = figure(name), FIGURES[name]()
    assert isinstance(first, Figure) and first.get_figwidth() == plots.WIDTH
    files = [plots.save(fig, name, tmp_path / str(k)) for k, fig in enumerate((first, second))]
    for png, svg in files:
        assert png.read_bytes() == files[0][0].read_bytes() and svg.read_bytes() == files[0][1].read_bytes()
    assert dict(rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_parts_stay_inside_without_overlap(name):
    fig = figure(name)
    fig.dpi = plots.DPI
    assert all(item.get_fontsize() >= 8 for item in fig.findobj(Text) if item.get_text().strip())
    inside = fig.bbox.padded(1)
    shown = [ax for ax in fig.axes if ax.axison]
    for part in [*shown, *fig.legends]:
        (x0, y0), (x1, y1) = part.get_tightbbox().get_points()
        assert inside.contains(x0, y0) and inside.contains(x1, y1), (part, x0, y0, x1, y1)
    boxes = [ax.get_tightbbox() for ax in shown]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(legend.get_window_extent()) for legend in fig.legends)
        assert not any(box.overlaps(other) for other in boxes[:k])
    fig.dpi = plots.STYLE["figure.dpi"]


def test_figures_are_closed():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    FIGURES["bends"]()
    assert plt.get_fignums() == before


def test_names_of_metrics():
    assert metric_plots.metric_label("js_retrained_forget") == "JS, forget"
    assert metric_plots.metric_label("accuracy_test") == "accuracy, test"
    assert metric_plots.metric_label("zrf") == "ZRF" and metric_plots.metric_label("knowledge_gap") == "knowledge gap"
    assert len({metric_plots.metric_label(name) for name in tables.compared()}) == len(tables.compared())


def test_every_metric_is_drawn_scaled_in_the_panel_of_its_kind():
    fig, kinds = figure("metrics"), tables.kinds()
    panels = [ax for ax in fig.axes if ax.axison]
    assert len(panels) == 1 + len(kinds)
    scaled = tables.metric_curves(joined()[0])
    for ax, names in zip(panels[1:], kinds.values(), strict=True):
        drawn = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
        assert len(drawn) == len(names)
        for line, name in zip(drawn, names, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), scaled[scaled["metric"] == name]["scaled"])
    limits = lines(panels[0])
    assert limits["at most +0.1"].get_ydata()[0] == 0.1 and limits["at least -0.1"].get_ydata()[0] == -0.1


def test_a_metric_that_does_not_vary_is_called_flat():
    flat = walk("npo", metrics=dict.fromkeys(METRICS, np.ones(5)))
    fig = metric_plots.metrics_figure(tables.metric_curves(flat), excess_table([flat]))
    assert "ZRF (flat)" in texts(fig)


def test_the_heat_map_has_rho_below_and_its_size_above_the_diagonal():
    signed, strength = tables.correlations(joined()[:4])
    image = figure("correlation").axes[0].get_images()[0]
    shown, below = image.get_array(), np.tri(len(signed), k=-1, dtype=bool)
    np.testing.assert_array_equal(shown[below], signed[below])
    np.testing.assert_array_equal(shown[below.T], strength[below.T])
    assert shown.mask[np.eye(len(signed), dtype=bool)].all() and image.get_clim() == (-1, 1)
    nothing = np.full((3, 3), np.nan)
    assert metric_plots.correlation_figure(["a", "b", "c"], nothing, nothing).axes[0].get_images()
    with pytest.raises(BadInput, match="2 metrics need matrices of 2 x 2, got"):
        metric_plots.correlation_figure(["a", "b"], nothing, nothing)


def test_shapes_have_a_row_per_metric_and_no_range_without_a_gap():
    fig = figure("shapes")
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == [
        metric_plots.metric_label(name) for name in tables.compared()
    ]
    dots = [
        sum(len(line.get_xdata()) for line in ax.get_lines() if line.get_marker() == "o" and line.get_alpha())
        for ax in fig.axes
    ]
    paths = len(joined())
    assert dots == [paths * len(GAPS), paths * len(tables.compared()), paths * len(tables.compared())]
    assert "threshold of C10, for the widest metric (0.2)" in texts(fig)


def test_gains_are_drawn_above_the_diagonal_where_the_inner_point_wins():
    left, right = figure("best").axes
    best = table("best")
    one = lines(left)["NPO"]
    part = best[best["method"] == "npo"]
    np.testing.assert_array_equal(one.get_xdata(), part["end"])
    np.testing.assert_array_equal(one.get_ydata(), part["inner"])
    assert left.get_xlim() == left.get_ylim()
    assert [tick.get_text() for tick in right.get_yticklabels()] == [plots.label(m) for m in METHODS]
    single = best.iloc[:1].assign(end=0.9, inner=0.9, gain=0.0)
    metric_plots.best_figure(single, tables.best_summary(single))


def test_fits_have_a_panel_per_method_and_a_row_per_fit():
    fig = figure("fits")
    assert len([ax for ax in fig.axes if ax.axison]) == len(METHODS)
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == list(tables.FITS.values())
    few = table("fits").query("fit in ('line', 'authors') and method == 'npo'")
    small = metric_plots.fits_figure(few, fits_means(), fits=list(tables.FITS.values()))
    assert [tick.get_text() for tick in small.axes[0].get_yticklabels()] == ["line", "authors"]


def test_failures_are_counted_in_their_cells():
    cells, totals = tables.failures(fits())
    fig = figure("failures")
    for one in cells.itertuples():
        assert f"{one.failed} of {one.n}" in texts(fig)
    squares = [line for line in fig.axes[1].get_lines() if line.get_marker() == "s"]
    assert [line.get_ydata()[0] for line in squares] == totals["share"].to_list()


def test_each_quadrant_says_how_many_pairs_it_holds():
    outcomes, fig = tables.outcomes_table(fits()), figure("outcomes")
    assert len(fig.axes) == 2
    for ax, (_, part) in zip(fig.axes, outcomes.groupby("fit", sort=False), strict=True):
        counts = {text.get_text() for text in ax.texts}
        assert counts == {f"{word}: {(part['outcome'] == word).sum()}" for word in tables.OUTCOMES}
        assert ax.get_xscale() == ax.get_yscale() == "symlog"
        (low, high), boxes = ax.get_ylim(), [text.get_window_extent() for text in ax.texts]
        for line in (one for one in ax.get_lines() if len(one.get_xdata()) and one.get_marker() != "None"):
            places = ax.transData.transform(line.get_xydata())
            assert all(low < y < high for y in line.get_ydata())
            assert not any(box.contains(*place) for box in boxes for place in places), "a word over a pair"


def test_surplus_has_three_rows_per_method_and_marks_a_tenth_of_the_gap():
    ax = figure("surplus").axes[0]
    means = [line for line in ax.get_lines() if line.get_markersize() == 5 and len(line.get_xdata()) == 1]
    assert len(means) == 3 * len(METHODS)
    assert lines(ax)["0.1 G"].get_xdata()[0] == pytest.approx(0.04)


def test_progress_is_drawn_for_every_method_beside_the_chord():
    fig = figure("progress")
    shown = [ax for ax in fig.axes if ax.axison]
    assert len(shown) == len(METHODS)
    ax = shown[1]
    part = table("progress").query("method == 'random_labels'")
    np.testing.assert_allclose(lines(ax)["forget loss: mean, seeds thin"].get_ydata(), part.groupby("t")["loss"].mean())
    assert list(lines(ax)["chord"].get_ydata()) == [0, 1]
    far = table("progress").assign(accuracy=lambda rows: 90 * rows["accuracy"] * (1 - rows["t"]))
    assert metric_plots.progress_figure(far).axes[0].get_ylim()[1] < 2.2


def test_retrained_pairs_stand_last_with_what_c16_asks_beside_their_own_initialisation():
    left, right = figure("retraining").axes
    assert [tick.get_text() for tick in left.get_yticklabels()][-1] == tables.RETRAINED
    rows = table("retraining").query("method == @tables.RETRAINED and init == 'same init'")
    assert lines(left)["their mean + 0.1 G: C16"].get_xdata()[0] == pytest.approx(rows["barrier"].mean() + 0.1)
    assert "their mean + 0.1 G: C16" not in lines(right)
    without = table("retraining").query("method != @tables.RETRAINED")
    means = tables.means(without, "barrier", ["method", "init"])
    assert len(metric_plots.retraining_figure(without, means, margin=0.1).axes) == 2


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
    flat = replace(plane(), values={name: np.ones((15, 15)) for name in plane().values})
    assert len(metric_plots.planes_figure({"npo": flat}).axes) == 4


def test_a_plane_with_losses_that_are_not_finite_is_drawn():
    broken = plane()
    broken.values["loss_forget"][0, :3] = np.nan, np.inf, 1e9
    metric_plots.planes_figure({"npo": broken})


def test_the_forest_shows_verdicts_by_colour_and_shape_and_hollow_where_the_correction_takes_them():
    fig, made = figure("forest"), tables.forest_table(*verdicts())
    ax = fig.axes[0]
    marks = [line for line in ax.get_lines() if line.get_marker() not in ("None", "")]
    known = made[np.isfinite(made["x"])]
    assert [line.get_xdata()[0] for line in marks] == known["x"].to_list()
    for line, one in zip(marks, known.itertuples(), strict=True):
        colour, marker = metric_plots.VERDICT_STYLES[one.verdict]
        assert (line.get_marker(), line.get_markeredgecolor()) == (marker, colour)
        hollow = one.verdict != "undecided" and not one.survives
        assert (line.get_markerfacecolor() == "white") == hollow
    assert set(known["verdict"]) == {"supported", "contradicted", "undecided"}
    assert len(set(metric_plots.VERDICT_STYLES.values())) == 3
    shown = texts(fig)
    assert any(CLAIMS["C9"].statement.split()[0] in text and text.startswith("C9") for text in shown)
    assert "nothing to measure\n(> 0.5)" in shown and "thin: corrected (99.0 %)" in shown
    assert "hollow: lost when corrected" in shown


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: metric_plots.fits_figure(pd.DataFrame({"method": []}), None, fits=[]), "lacks the columns fit, eps"),
        (lambda: metric_plots.best_figure(table("best").iloc[:0], None), "there are no rows to draw"),
        (lambda: metric_plots.planes_figure({}), "there are no planes to draw"),
        (lambda: metric_plots.correlation_figure([], np.zeros((0, 0)), np.zeros((0, 0))), "there are no metrics"),
    ],
)
def test_bad_input_is_one_clear_sentence(draw, message):
    with pytest.raises(BadInput, match=message):
        draw()


def test_few_methods_and_single_pairs_are_drawn():
    one = fits(METHODS[:1], RING[:1])
    few = tables.fits_table(one)
    names = list(tables.FITS.values())
    assert len(metric_plots.fits_figure(few, tables.means(few, "eps", ["method", "fit"]), fits=names).axes) == 1
    metric_plots.failures_figure(*tables.failures(one), methods=METHODS[:1])
    metric_plots.outcomes_figure(tables.outcomes_table(one))
    assert len(metric_plots.progress_figure(tables.progress_table(progress(METHODS[:1]))).axes) == 1
    metric_plots.forest_figure(tables.forest_table(*([v[0]] for v in verdicts())))
