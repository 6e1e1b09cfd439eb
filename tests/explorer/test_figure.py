"""The view as a figure: the same values as the strings."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mcutils.explorer.figure import view_figure
from mcutils.explorer.scene import View, scene
from mcutils.explorer.sources import sources
from mcutils.measures.metrics import measure


@pytest.fixture(scope="module")
def found():
    return {one.name: one for one in sources({"one": synthetic.trace(5), "two": synthetic.trace(3, seed=2)})}


@pytest.mark.parametrize("compare", ["", "two"])
def test_panels_hold_the_curves_of_the_view(found, compare):
    one = scene(View("one", k=3, compare=compare), found)
    fig = view_figure(one)
    values = measure(one.numbers[0].trace, ["loss_retain", "loss_forget"])
    for ax, name in zip(fig.axes, values, strict=False):
        line = next(line for line in ax.lines if line.get_label() == "one")
        assert np.allclose(line.get_ydata(), values[name])
        dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
        assert len(dots) == 1 + bool(compare) and dots[0].get_ydata()[0] == pytest.approx(values[name][3])
    assert len(fig.axes) == 2 + 8 and "t = 0.750" in fig.get_suptitle()


def test_images_say_what_is_predicted(found):
    one = scene(View("one", k=2), found)
    forgotten = one.numbers[0].forgotten
    for place, ax in enumerate(view_figure(one).axes[2:]):
        said = ax.get_xlabel().split("\n")
        assert said[0] == str(forgotten.predicted[2, place])
        assert said[2] == ("right" if forgotten.remembered[2, place] else "wrong")


def test_a_trace_with_nan_is_drawn():
    trace = synthetic.trace(5)
    trace.logits["retain"][2] = np.nan
    (source,) = sources(trace)
    assert view_figure(scene(View("bezier"), {"bezier": source})).axes


@pytest.mark.parametrize("words", ["nothing is here", "the pictures are not here " * 3])
def test_why_there_are_no_images_stands_clear_of_the_legend(words):
    profile = synthetic.profile(metrics={"loss_retain": np.ones(5), "loss_forget": np.arange(5.0)})
    (source,) = sources({"a path with a long name, NPO 42 to SCRUB 87": profile})
    made = scene(View(source.name), {source.name: source})
    made = replace(made, numbers=(replace(made.numbers[0], why=words),))
    fig = view_figure(made)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    renderer = canvas.get_renderer()
    (legend,) = fig.legends
    parts = [text for text in (*legend.get_texts(), legend.get_title(), *fig.texts) if text.get_text()]
    assert any(text.get_text() == f"No images: {words}." for text in parts)
    boxes = [one.get_window_extent(renderer) for one in parts] + [ax.get_tightbbox(renderer) for ax in fig.axes]
    boxes = [one for one in boxes if one is not None]
    for k, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:k]), parts
        assert one.x0 >= 0 and one.x1 <= fig.bbox.x1 and one.y0 >= 0
