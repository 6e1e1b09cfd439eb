"""Figures of conditions, pairs of methods and sizes: drawn whole, readable, saved alike."""

import pytest
from made_figures_of_conditions import FIGURES, METHODS, figure
from matplotlib.figure import Figure
from matplotlib.text import Text

from mcutils.measures.drawing import DPI, STYLE, save
from mcutils.measures.similarity import SIMILARITIES


def named(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_two_methods_saves_to_the_same_bytes_twice(name, tmp_path):
    few = 2 if name in ("matrix", "matrices", "agreement") else METHODS[:2]
    drawn = [FIGURES[name](few) for _ in range(2)]
    assert all(isinstance(fig, Figure) for fig in drawn)
    files = [save(fig, name, tmp_path / str(k)) for k, fig in enumerate(drawn)]
    assert len({one.path.read_bytes() for one in files}) == 1


@pytest.mark.parametrize("name", FIGURES)
def test_parts_stay_inside_without_overlap_and_text_is_large_enough(name):
    fig = figure(name)
    fig.dpi = DPI
    assert all(item.get_fontsize() >= 7.5 for item in fig.findobj(Text) if item.get_text())
    inside = fig.bbox.padded(4)  # of 669 pixels, since the layout is solved once
    for part in [*(ax for ax in fig.axes if ax.axison), *fig.legends]:
        (x0, y0), (x1, y1) = part.get_tightbbox().get_points()
        assert inside.contains(x0, y0) and inside.contains(x1, y1), part
    legend = fig.legends[0].get_window_extent()
    boxes = [ax.get_tightbbox().padded(-1) for ax in fig.axes if ax.axison]
    for k, box in enumerate(boxes):
        assert not box.overlaps(legend)
        assert not any(box.overlaps(other) for other in boxes[:k])
    fig.dpi = STYLE["figure.dpi"]


def test_the_tolerance_is_a_tick_and_a_line():
    ax = figure("conditions").axes[2]
    assert 0.1 in ax.get_xticks() and list(named(ax)["tolerance (0.1 G)"].get_xdata()) == [0.1, 0.1]


def test_each_similarity_has_a_panel_with_its_tests_and_levels():
    fig = figure("agreement")
    assert len(fig.axes) == len(SIMILARITIES)
    lines = named(fig.axes[0])
    assert len(lines["retain barrier"].get_xdata()) == len(lines["forget deficit"].get_xdata()) == 28
    assert {"two seeds of one method", "a method and retraining", "tolerance (0.1 G)"} <= set(lines)
    assert fig.axes[0].get_title().splitlines()[0] == "agreement" and "barrier: ρ" in fig.axes[0].get_title()
    assert [ax.get_xlabel() for ax in fig.axes].count("← more alike") == 1  # the divergence


def test_reliance_runs_from_the_original_to_the_retrained_model():
    fig = figure("reliance")
    lines = named(fig.axes[3])
    assert {"forget images, 95 % band", "test images, 95 % band", "cue plays no part"} <= set(lines)
    one_line = lines["forget images, 95 % band"]
    assert (one_line.get_xdata()[0], one_line.get_xdata()[-1]) == (0, 2)
    assert one_line.get_ydata()[0] == pytest.approx(0.9) and one_line.get_ydata()[-1] == pytest.approx(0)
    low, high = fig.axes[0].get_ylim()
    assert low < 0 < 0.9 < high
