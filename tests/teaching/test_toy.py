"""The toy landscape: its losses and gradients, paths judged by the package's functions, the fit and the figure."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.text import Text

from mcutils.errors import BadInput
from mcutils.measures import drawing as plots
from mcutils.measures.along import barrier, chord, forget_deficit, mcu
from mcutils.teaching import toy
from mcutils.teaching.toy import Landscape

landscapes = st.builds(Landscape, bend=st.floats(*toy.BENDS), depth=st.floats(*toy.DEPTHS))
places = st.tuples(st.floats(-1.5, 1.5), st.floats(-2.5, 2))


# Losses


@settings(deadline=None, max_examples=30)
@given(landscapes)
def test_both_losses_are_lowest_at_the_original_model(landscape):
    x, y = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-3, 2, 51))
    around = np.stack([x, y], axis=-1)
    for loss, least in ((toy.retain_loss, toy.KEPT), (toy.forget_loss, toy.KNOWN)):
        assert loss(landscape, landscape.original) == pytest.approx(least, abs=1e-12)
        assert loss(landscape, around).min() >= least
    assert toy.forget_loss(landscape, around).max() < toy.UNSEEN


@settings(deadline=None, max_examples=30)
@given(landscapes)
def test_the_valley_goes_through_the_ends_the_arch_and_the_original(landscape):
    bottom = [toy.START, toy.END, (0, landscape.bend), landscape.original]
    cost = toy.COST * np.array([1, 1, 0, 0])
    np.testing.assert_allclose(toy.retain_loss(landscape, bottom), toy.KEPT + cost, atol=1e-12)
    assert toy.forget_loss(landscape, toy.START) == toy.forget_loss(landscape, toy.END)


@settings(deadline=None, max_examples=30)
@given(landscapes, places)
def test_gradients_are_those_of_finite_differences(landscape, place):
    for loss, gradient in ((toy.retain_loss, toy.retain_gradient), (toy.forget_loss, toy.forget_gradient)):
        steps = 1e-5 * np.eye(2)
        expected = [(loss(landscape, place + h) - loss(landscape, place - h)) / 2e-5 for h in steps]
        np.testing.assert_allclose(gradient(landscape, place), expected, rtol=1e-6, atol=1e-7)


def test_the_gap_is_the_retrained_models_forget_loss_minus_the_originals():
    landscape = Landscape()
    far = toy.forget_loss(landscape, [0.0, 50.0])
    assert toy.GAP == pytest.approx(float(far - toy.forget_loss(landscape, landscape.original)))


# Paths


@settings(deadline=None, max_examples=30)
@given(places)
def test_a_path_begins_and_ends_at_the_unlearned_models_and_bends_to_its_control_point(control):
    t = np.linspace(0, 1, 11)
    found = toy.path(control, t)
    np.testing.assert_array_equal(found[[0, -1]], [toy.START, toy.END])
    np.testing.assert_allclose(found[5], (toy.START + 2 * np.array(control) + toy.END) / 4, atol=1e-12)
    np.testing.assert_allclose(toy.path((0, 0), t), toy.path(None, t), atol=1e-12)


def test_paths_of_many_control_points_are_those_of_each():
    controls, t = np.array([[0.3, 0.5], [-1, 2.0], [0, 0]]), np.linspace(0, 1, 7)
    together = toy.path(controls, t)
    assert together.shape == (7, 3, 2)
    for k, control in enumerate(controls):
        np.testing.assert_array_equal(together[:, k], toy.path(control, t))


@pytest.mark.parametrize("bend", [0.0, 0.2, 0.35, 0.5, 0.8])
def test_the_line_s_barrier_is_its_closed_form(bend):
    """On the line L_r - chord = bend^2 s^2 - COST s, s = 1 - x^2, a parabola that is largest at an end of [0, 1]."""
    walked = toy.walk(Landscape(bend))
    assert walked.barrier == pytest.approx(max(0, bend**2 - toy.COST) / toy.GAP, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(landscapes)
def test_the_line_s_deficit_is_its_closed_form(landscape):
    walked = toy.walk(landscape)
    squares = np.array([landscape.depth**2, 1 + landscape.depth**2])
    dip = np.subtract(*np.exp(-squares / (2 * toy.REACH**2)))
    assert walked.deficit == pytest.approx(dip, abs=1e-12) and walked.deficit > 0


@settings(deadline=None, max_examples=30)
@given(landscapes, places, st.floats(0, 3))
def test_a_walk_is_judged_by_the_package_s_functions(landscape, control, eps):
    one = toy.walk(landscape, control, points=31)
    rise, dip = barrier(one.retain, one.t) / toy.GAP, forget_deficit(one.forget, one.t) / toy.GAP
    assert (one.barrier, one.deficit, one.eps) == (rise, dip, max(rise, dip))
    assert one.connected(eps) == bool(mcu(rise, dip, eps, eps))
    assert one.connected(one.eps)
    word = "holds" if one.connected(eps) else "breaks"
    assert toy.sentence(one, eps).startswith(f"MCU({eps:g}) {word} because the ")


@settings(deadline=None, max_examples=30)
@given(landscapes, places)
def test_chords_are_flat_so_the_tolerance_is_a_contour(landscape, control):
    one = toy.walk(landscape, control)
    outside = one.retain > one.retain[0] + 0.1 * toy.GAP
    known = one.forget < one.forget[0] - 0.1 * toy.GAP
    assert one.connected(0.1 + 1e-9) or (outside | known).any()
    assert not (one.connected(0.1 - 1e-9) and (outside | known).any())


def test_the_sentence_names_what_breaks_and_where():
    straight, both = toy.walk(Landscape(0.2)), toy.walk(Landscape(0.5))
    assert "retain" not in toy.sentence(straight) and "forget loss dips 0.248 G" in toy.sentence(straight)
    assert "retain loss rises 0.375 G above its chord (at t = 0.50) and the forget" in toy.sentence(both)
    assert "forget" not in toy.sentence(toy.walk(Landscape(0.8, 2.0), (0, -0.5)), 0.3)
    held = toy.sentence(toy.walk(Landscape(0.5), (0, 0.8)))
    assert "never rises more than 0.000 G" in held and "never dips more than 0.011 G" in held


def test_the_parameters_change_the_verdict():
    """What the lesson says: the deficit alone, both, and neither when the original model lies far away."""
    near, bent, far = (toy.walk(one) for one in (Landscape(0.2), Landscape(0.5), Landscape(0.2, 2.0)))
    assert near.barrier <= 0.1 < near.deficit
    assert bent.barrier > 0.1 and bent.deficit > 0.1
    assert far.connected(0.1)
    table = toy.table({"near": near, "bent": bent, "far": far})
    assert list(table["MCU(0.1)"]) == [False, False, True]
    assert list(table["smallest ε"]) == [round(one.eps, 3) for one in (near, bent, far)]


# The fit


def mean_loss(landscape, controls, forget):
    """E_t[L_r - forget L_f] on the paths of control points (M, 2), by brute force."""
    at = toy.path(controls, (np.arange(200) + 0.5) / 200)
    return (toy.retain_loss(landscape, at) - forget * toy.forget_loss(landscape, at)).mean(axis=0)


@pytest.mark.parametrize("forget", [0.0, 1.0])
@pytest.mark.parametrize("bend", [0.0, 0.2, 0.5, 0.8])
def test_the_fit_finds_what_a_grid_finds(bend, forget):
    landscape = Landscape(bend)
    grid = np.stack(np.meshgrid(np.arange(-1, 1.01, 0.05), np.arange(-0.5, 2.01, 0.05)), axis=-1).reshape(-1, 2)
    values = mean_loss(landscape, grid, forget)
    found = toy.fit(landscape, seed=3, forget=forget)[-1]
    # A step of the grid, and what the noise of one t per step leaves.
    np.testing.assert_allclose(found, grid[values.argmin()], atol=0.15)
    assert mean_loss(landscape, found[None], forget)[0] <= values.min() + 2e-3


def test_a_straight_valley_is_its_closed_form():
    """Without bend, retain loss only: u = y + y^2 / depth, so E_t[L_r] is lowest on the line itself."""
    np.testing.assert_allclose(toy.fit(Landscape(0.0), seed=0, forget=0, steps=2000)[-1], 0, atol=0.08)


def test_the_fit_repeats_and_moves_by_the_gradient_at_its_t():
    landscape = Landscape()
    trail = toy.fit(landscape, seed=5, steps=20)
    assert trail.shape == (21, 2) and np.array_equal(trail, toy.fit(landscape, seed=5, steps=20))
    assert not np.array_equal(trail, toy.fit(landscape, seed=6, steps=20))
    t = np.random.default_rng(5).uniform()

    def loss(control):
        at = toy.path(control, t)[0]
        return toy.retain_loss(landscape, at) - toy.forget_loss(landscape, at)

    slope = np.array([(loss(h) - loss(-h)) / 2e-5 for h in 1e-5 * np.eye(2)])
    np.testing.assert_allclose(trail[1], -0.5 * slope, rtol=1e-5)


def test_a_fit_on_the_retain_loss_alone_lets_the_forget_set_back_in():
    landscape = Landscape(0.2)
    alone, both = (toy.walk(landscape, toy.fit(landscape, seed=0, forget=w)[-1]) for w in (0, 1))
    assert alone.barrier <= 0.1 < alone.deficit and both.connected(0.1)


# Bad input


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Landscape(bend=-0.1), "bend must be a finite number of at least 0 and at most 0.8, got -0.1."),
        (lambda: Landscape(depth="deep"), "depth must be a finite number of at least 0.8 and at most 2, got 'deep'."),
        (lambda: toy.walk(Landscape(), (0, np.nan)), "a place is a pair of finite numbers"),
        (lambda: toy.walk(Landscape(), (0, 1, 2)), "a place is a pair of finite numbers"),
        (lambda: toy.walk(Landscape(), "ab"), "a place is a pair of finite numbers"),
        (lambda: toy.walk(Landscape(), points=1), "points must be a whole number of at least 2, got 1."),
        (lambda: toy.fit(Landscape(), seed=0, steps=0), "steps must be a whole number of at least 1, got 0."),
        (lambda: toy.fit(Landscape(), seed=0, lr=100), "the fit ran away at step"),
        (
            lambda: toy.fit(Landscape(), seed=0, forget=-1),
            "forget must be a finite number of at least 0 and at most 100, got -1.",
        ),
        (lambda: toy.sentence(toy.walk(Landscape()), np.nan), "the tolerance ε must be a finite number of"),
        (lambda: toy.figure(Landscape(), {}), "there are no walks to draw."),
        (
            lambda: toy.figure(Landscape(), {"line": toy.walk(Landscape())}, t=2),
            "t must be a finite number of at least 0 and at most 1, got 2.",
        ),
        (lambda: toy.table({}), "there are no walks to draw."),
    ],
)
def test_bad_input_is_one_clear_sentence(call, words):
    with pytest.raises(BadInput, match=re.escape(words)) as caught:
        call()
    assert str(caught.value).count(". ") == 0


# The figure


def drawn():
    landscape = Landscape()
    trail = toy.fit(landscape, seed=0)
    walks = {"straight line": toy.walk(landscape), "Bézier curve": toy.walk(landscape, trail[-1])}
    return landscape, walks, toy.figure(landscape, walks, t=0.25, trail=trail, title="Two weights")


def test_the_figure_shows_the_walks_their_chord_and_the_tolerance():
    landscape, walks, fig = drawn()
    for ax, split, sign in ((fig.axes[2], "retain", 1), (fig.axes[3], "forget", -1)):
        lines = {line.get_label(): line for line in ax.get_lines()}
        for name, one in walks.items():
            np.testing.assert_array_equal(lines[name].get_ydata(), getattr(one, split))
        one = walks["straight line"]
        straight = lines["chord"].get_ydata()
        np.testing.assert_allclose(straight, chord(getattr(one, split), one.t))
        edges = [line.get_ydata() for line in ax.get_lines()]
        assert any(np.allclose(edge, straight + sign * 0.1 * toy.GAP) for edge in edges if len(edge) == len(straight))


def test_the_figure_s_parts_stay_inside_without_overlap():
    _, _, fig = drawn()
    fig.dpi = plots.DPI
    fig.draw_without_rendering()
    assert all(item.get_fontsize() >= 8 for item in fig.findobj(Text) if item.get_text())
    boxes = [part.get_tightbbox() for part in [*fig.axes, *fig.legends, fig._suptitle] if part.get_visible()]
    inside = fig.bbox.padded(1)
    for k, box in enumerate(boxes):
        assert all(inside.contains(*corner) for corner in box.get_points())
        assert not any(box.overlaps(other) for other in boxes[:k])


def test_the_figure_saves_to_the_same_bytes_twice(tmp_path):
    files = [plots.save(drawn()[2], "toy", tmp_path / str(k)) for k in range(2)]
    assert len({one.path.read_bytes() for one in files}) == 1


def test_neither_widgets_nor_matplotlib_load_before_they_are_needed():
    code = "import sys; from mcutils.teaching import toy; toy.walk(toy.Landscape()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "mcutils" in loaded and not loaded & {"ipywidgets", "matplotlib", "IPython"}
