"""Figures of metrics, fits, progress and claims: drawn whole, readable, saved alike."""

import numpy as np
import pandas as pd
import pytest
from made_figures_of_metrics import FIGURES, METHODS, figure, fitted, lines, progressed, verdicts
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text

from mcutils.errors import BadInput
from mcutils.measures.drawing import DPI, STYLE, WIDTH, save
from mcutils.paper.curve_fitting import fits_figure, fits_means, fits_table, shares_figure, shares_table
from mcutils.paper.ledger import forest_figure, forest_table
from mcutils.paper.metrics_along import BEST, best_figure, correlation_figure
from mcutils.paper.progress_and_retraining import planes_figure, progress_figure, progress_table


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_saves_to_the_same_bytes_twice(name, tmp_path):
    before = dict(rcParams)
    first, second = figure(name), FIGURES[name]()
    assert isinstance(first, Figure) and first.get_figwidth() == WIDTH
    files = [save(fig, name, tmp_path / str(k)) for k, fig in enumerate((first, second))]
    assert len({one.path.read_bytes() for one in files}) == 1
    assert dict(rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_parts_stay_inside_without_overlap(name):
    fig = figure(name)
    fig.dpi = DPI
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
    fig.dpi = STYLE["figure.dpi"]


def test_figures_are_closed():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    FIGURES["bends"]()
    assert plt.get_fignums() == before


def test_surplus_has_three_rows_per_method_and_marks_a_tenth_of_the_gap():
    ax = figure("surplus").axes[0]
    means = [line for line in ax.get_lines() if line.get_markersize() == 5 and len(line.get_xdata()) == 1]
    assert len(means) == 3 * len(METHODS)
    assert lines(ax)["0.1 G"].get_xdata()[0] == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: fits_figure(pd.DataFrame({"method": []}), None, fits=[]), "lacks the columns fit, eps"),
        (lambda: best_figure(pd.DataFrame(columns=BEST), None), "there are no rows to draw"),
        (lambda: planes_figure({}), "there are no planes to draw"),
        (lambda: correlation_figure([], *[np.zeros((0, 0))] * 2), "there are no metrics"),
    ],
)
def test_bad_input_is_one_clear_sentence(draw, message):
    with pytest.raises(BadInput, match=message):
        draw()


def test_few_methods_and_single_originals_are_drawn():
    one = fits_table([w for w in fitted() if w.method == METHODS[0] and w.original == 0])
    assert len(fits_figure(one, fits_means(one)).axes) == 1
    assert len(shares_figure(shares_table(one), eps=0.1).axes) == 1
    few = [w for w in progressed() if w.method == METHODS[0] and w.original == 0]
    assert len(progress_figure(progress_table(few)).axes) == 1
    forest_figure(forest_table(verdicts()[:1]))
