"""Figures of a first look: drawn whole, readable, saved alike."""

import numpy as np
import pytest
from made_figures import FIGURES, along, barrier_figure, endpoints, figure, pairs
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text

from mcutils.errors import BadInput
from mcutils.measures.drawing import DPI, STYLE, label, save
from mcutils.paper.endpoints import endpoints_figure
from mcutils.paper.quickstart import path_figure
from mcutils.paper.seeds import seeds_figure


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_saves_to_the_same_bytes_twice(name, tmp_path):
    before = dict(rcParams)
    first, second = figure(name), FIGURES[name]()
    assert isinstance(first, Figure)
    files = [save(fig, name, tmp_path / str(k)) for k, fig in enumerate((first, first, second))]
    assert len({one.path.read_bytes() for one in files}) == 1 and b"Software" not in files[0].path.read_bytes()
    assert [path.name for path in (tmp_path / "0").iterdir()] == [f"{name}.png"] == [repr(files[0])]
    assert files[0]._repr_png_() == (files[0].path.read_bytes(), {"width": 836})
    assert dict(rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_parts_stay_inside_without_overlap(name):
    fig = figure(name)
    fig.dpi = DPI
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
    fig.dpi = STYLE["figure.dpi"]


def test_figures_are_closed():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    FIGURES["endpoints"]()
    assert plt.get_fignums() == before


def test_endpoints_are_sorted_by_gap_the_original_among_them():
    fig = figure("endpoints")
    rows = [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    table = endpoints()
    goal = table[table.method == "retrain"][["UA", "RA", "TA"]].mean()
    gap = (table[["UA", "RA", "TA"]] - goal).abs().mean(axis=1).groupby(table.method).mean()
    expected = gap.sort_values().index
    assert rows[0] == "retrained" and "original" in rows[1:]
    assert rows == [label(m) for m in expected]


def test_values_that_are_not_finite_are_left_out():
    table = pairs()
    table.loc[0, "barrier"] = np.nan
    table.loc[1, "deficit"] = np.inf
    barrier_figure(table)
    excesses = along()
    excesses.iloc[3, 1] = np.nan
    seeds_figure(excesses)
    scores = endpoints()
    scores.loc[0, "seconds"] = np.nan
    endpoints_figure(scores)


def test_bad_input_is_one_clear_sentence(tmp_path):
    with pytest.raises(BadInput, match="lacks the columns UA, seconds; it needs method, UA, RA, TA, seconds"):
        endpoints_figure(endpoints().drop(columns=["UA", "seconds"]))
    with pytest.raises(BadInput, match="no rows of 'retrain'"):
        endpoints_figure(endpoints().query("method != 'retrain'"))
    with pytest.raises(BadInput, match="there are no rows to draw"):
        seeds_figure(along().iloc[:0])
    with pytest.raises(BadInput, match="there are no curves to draw"):
        path_figure({})
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(BadInput, match="the folder of what is written .* is not a folder"):
        save(figure("path"), "a", blocked)
