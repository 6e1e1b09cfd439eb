from functools import cache
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text

from mcutils.errors import BadInput
from mcutils.measures import drawing as plots
from mcutils.measures.along import excess

METHODS = ["finetune", "gradient_ascent", "gradient_difference", "npo", "scrub", "salun", "bad_teacher"]
T = np.linspace(0, 1, 11)


def curves():
    """A rising and a falling curve per split, with bands, as `Connectivity` holds them."""
    found = {}
    for kind, depth in (("linear", 1.0), ("bezier", 0.3)):
        values = {}
        for split, start in (("retain", 0.05), ("forget", 0.3), ("test", 0.4)):
            values[f"loss_{split}"] = start + 0.02 * T + 0.1 * depth * T * (1 - T)
            values[f"accuracy_{split}"] = 0.95 - start / 5 - 0.05 * depth * T * (1 - T)
        bands = {name: np.stack([v - 0.01, v + 0.01]) for name, v in values.items()}
        found[kind] = SimpleNamespace(t=T, curves=values, bands=bands)
    return found


def levels(value):
    return {f"{q}_{s}": value for q in ("loss", "accuracy") for s in ("retain", "forget", "test")}


def endpoints():
    generator = np.random.default_rng(0)
    rows = [
        (m, s, 0.05 + 0.02 * k + 0.003 * generator.normal(), 0.99 - 0.005 * k, 0.88 - 0.004 * k, 2.0 + k)
        for k, m in enumerate(METHODS)
        for s in (42, 87, 21)
    ]
    rows += [("retrain", s, 0.13 + 0.001 * s, 0.998, 0.88, 60.0) for s in range(3)]
    rows += [("original", 0, 0.001, 0.998, 0.878, 61.0)]
    return pd.DataFrame(rows, columns=["method", "seed", "UA", "RA", "TA", "seconds"])


def pairs(methods=METHODS):
    generator = np.random.default_rng(1)
    rows = [
        (m, kind, 0.02 * k * generator.random(), 0.3 * generator.random(), "method", 0, a, b)
        for k, m in enumerate(methods)
        for a, b in combinations((42, 87, 21), 2)
        for kind in ("bezier", "linear")
    ]
    rows += [("different initialisation", "linear", 4 + 0.1 * k, 0.2, "control", k, 1, 2) for k in range(3)]
    rows += [("fine-tuned twin", "linear", 0.001 * k, 0.002, "control", k, 1, 2) for k in range(3)]
    return pd.DataFrame(rows, columns=["method", "curve", "barrier", "deficit", "role", "original", "start", "end"])


def along(methods=METHODS):
    parts = []
    for one in pairs(methods).query("role == 'method'").itertuples():
        shape = 4 * T * (1 - T)
        columns = {"t": T, "retain_excess": one.barrier * shape, "forget_excess": -one.deficit * shape}
        parts.append(pd.DataFrame(columns).assign(method=one.method, pair=f"{one.start}-{one.end}", curve=one.curve))
    return pd.concat(parts)


def means(table):
    """Means of `pairs` with an interval of its own for every method, curve and measure."""
    rows = []
    for k, ((method, curve), part) in enumerate(table.groupby(["method", "curve"], sort=False)):
        for m in ("barrier", "deficit"):
            rows.append((method, curve, m, part[m].mean(), part[m].mean() - 0.01 * k, part[m].mean() + 0.02 * k + 0.03))
    return pd.DataFrame(rows, columns=["method", "curve", "measure", "estimate", "low", "high"])


def barrier_figure(table, **options):
    return plots.barrier_figure(table, means(table), **options)


def sweep():
    """Shares that grow with eps, each method and curve with its own."""
    return pd.DataFrame(
        [
            (m, kind, e, share, share - 0.05 - 0.005 * k, share + 0.03 + 0.005 * k)
            for k, m in enumerate(METHODS)
            for kind in ("bezier", "linear")
            for e, share in zip(
                (0, 0.1, 0.2, 0.4), np.linspace(0.1 * k, 0.9 - 0.2 * (kind == "linear"), 4), strict=True
            )
        ],
        columns=["method", "curve", "eps", "fraction", "low", "high"],
    )


FIGURES = {
    "path": lambda: plots.path_figure(
        curves(), retrained=levels([0.5, 0.6]), original=levels(0.9), ends=("seed 42", "seed 87"), title="NPO"
    ),
    "endpoints": lambda: plots.endpoints_figure(endpoints(), title="All methods"),
    "seeds": lambda: plots.seeds_figure(along(), eps=0.1),
    "barrier": lambda: barrier_figure(pairs(), threshold=0.1),
    "sweep": lambda: plots.mcu_sweep_figure(sweep(), threshold=0.1),
}


@cache
def figure(name):
    return FIGURES[name]()


def texts(fig):
    return [item.get_text() for item in fig.findobj(Text)]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_saves_to_the_same_bytes_twice(name, tmp_path):
    before = dict(rcParams)
    first, second = figure(name), FIGURES[name]()
    assert isinstance(first, Figure)
    files = [plots.save(fig, name, tmp_path / str(k)) for k, fig in enumerate((first, first, second))]
    assert [path.name for path in files[0]] == [f"{name}.png", f"{name}.svg"]
    for png, svg in files:
        assert png.read_bytes() == files[0][0].read_bytes() and svg.read_bytes() == files[0][1].read_bytes()
    assert b"Software" not in files[0][0].read_bytes() and b"<dc:date>" not in files[0][1].read_bytes()
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == [f"{name}.png", f"{name}.svg"]
    assert dict(rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_parts_stay_inside_without_overlap(name):
    fig = figure(name)
    fig.dpi = plots.DPI
    assert all(item.get_fontsize() >= 8 for item in fig.findobj(Text) if item.get_text())
    inside = fig.bbox.padded(1)
    for part in [*(ax for ax in fig.axes if ax.axison), *fig.legends]:
        (x0, y0), (x1, y1) = part.get_tightbbox().get_points()
        assert inside.contains(x0, y0) and inside.contains(x1, y1), part
    legend = fig.legends[0].get_window_extent()
    boxes = [ax.get_tightbbox() for ax in fig.axes if ax.axison]
    for k, box in enumerate(boxes):
        assert not box.overlaps(legend)
        assert not any(box.overlaps(other) for other in boxes[:k])
    fig.dpi = plots.STYLE["figure.dpi"]


def test_figures_are_closed():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    FIGURES["endpoints"]()
    assert plt.get_fignums() == before


def test_path_figure_draws_the_curves_the_chord_and_the_references():
    fig = figure("path")
    assert len(fig.axes) == 6
    panel = fig.axes[2]
    lines = {line.get_label(): line for line in panel.get_lines()}
    np.testing.assert_array_equal(lines["linear, 95 % band"].get_ydata(), curves()["linear"].curves["loss_forget"])
    chord = lines["chord"].get_ydata()
    assert np.ptp(excess(chord, T)) < 1e-12 and chord[0] == 0.3 and chord[-1] == pytest.approx(0.32)
    assert [line.get_label() for line in panel.get_lines()].count("chord") == 1
    assert {"retrained models (range)", "original model", "Bézier, 95 % band"} <= set(texts(fig))
    assert "NPO" in texts(fig) and "1\nseed 87" in texts(fig)
    assert len(plots.path_figure({"linear": curves()["linear"]}, splits=["forget"]).axes) == 2


def test_endpoints_are_sorted_by_gap_between_retrained_and_original():
    fig = figure("endpoints")
    rows = [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    assert rows[0] == "retrained" and rows[-1] == "original"
    table = endpoints()
    goal = table[table.method == "retrain"][["UA", "RA", "TA"]].mean()
    gap = (table[["UA", "RA", "TA"]] - goal).abs().mean(axis=1).groupby(table.method).mean()
    expected = gap.drop(["retrain", "original"]).sort_values().index
    assert rows[1:-1] == [plots.label(m) for m in expected]


def test_controls_stand_below_the_methods():
    fig = barrier_figure(pairs().iloc[::-1], threshold=0.1)
    rows = [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    assert set(rows[-2:]) == {"different initialisation", "fine-tuned twin"} and len(rows) == 9


def test_seeds_figure_has_two_panels_per_method_on_one_scale():
    fig = figure("seeds")
    used = [ax for ax in fig.axes if ax.axison]
    assert len(used) == 2 * len(METHODS)
    assert len({ax.get_ylim() for ax in used}) == 2
    free = plots.seeds_figure(along(), share=False)
    assert len({ax.get_ylim() for ax in free.axes if ax.axison}) > 2


@pytest.mark.parametrize("count", [1, 2])
def test_few_methods_and_few_pairs(count):
    some = METHODS[:count]
    assert len(plots.seeds_figure(along(some)).axes) == 2 * count
    barrier_figure(pairs(some).query("role == 'method'").drop(columns="role"))
    barrier_figure(pairs(some).drop_duplicates("method"))
    assert len(plots.mcu_sweep_figure(sweep().query("method in @some")).axes) == count


def test_values_that_are_not_finite_are_left_out():
    table = pairs()
    table.loc[0, "barrier"] = np.nan
    table.loc[1, "deficit"] = np.inf
    barrier_figure(table)
    excesses = along()
    excesses.iloc[3, 1] = np.nan
    plots.seeds_figure(excesses)
    scores = endpoints()
    scores.loc[0, "seconds"] = np.nan
    plots.endpoints_figure(scores)


def test_names():
    assert plots.label("gradient_ascent") == "gradient ascent" and plots.label("npo") == "NPO"


def test_bad_input_is_one_clear_sentence(tmp_path):
    with pytest.raises(BadInput, match="lacks the columns UA, seconds; it needs method, UA, RA, TA, seconds"):
        plots.endpoints_figure(endpoints().drop(columns=["UA", "seconds"]))
    with pytest.raises(BadInput, match="no rows of 'retrain'"):
        plots.endpoints_figure(endpoints().query("method != 'retrain'"))
    with pytest.raises(BadInput, match="there are no rows to draw"):
        plots.seeds_figure(along().iloc[:0])
    with pytest.raises(BadInput, match="there are no curves to draw"):
        plots.path_figure({})
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(BadInput, match="cannot write a.png in the folder"):
        plots.save(figure("path"), "a", blocked)
