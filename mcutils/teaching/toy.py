"""A landscape of two weights in which mode connectivity in unlearning can be seen whole: losses, paths, a fit.

The shape is this companion's, chosen to show what the real models show; every number on it is exact. Losses are in
nats, places are rows (x, y), and what a path is judged by comes from `connectivity`, in units of the gap G.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..curves import points_at
from ..errors import BadInput, number, whole
from ..measures import drawing
from ..measures.along import barrier, chord, excess, forget_deficit, mcu
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREY, LIGHT, VERMILLION, WIDTH, entry, style

START, END = np.array([-1.0, 0.0]), np.array([1.0, 0.0])  # the two unlearned models
KEPT, COST = 0.03, 0.1  # retain loss of the original model, and what unlearning added to it
KNOWN, UNSEEN = 0.03, 0.43  # forget loss of the original model, and of models that never saw the forget set
GAP = UNSEEN - KNOWN  # the unit G in nats
REACH = 0.9  # how far around the original model the forget loss is low
BENDS, DEPTHS = (0.0, 0.8), (0.8, 2.0)
SIGNS = {"retain": 1, "forget": -1}  # of the side of its chord on which a loss breaks MCU(eps)


@dataclass(frozen=True)
class Landscape:
    """Two losses over the plane, and three models in it.

    The bottom of the retain valley is the closed curve u = 0 through both unlearned models (-1, 0) and (1, 0), through
    (0, bend) and through the original model (0, -depth):

        u = bend (x^2 - 1) + (1 - bend / depth) y + y^2 / depth,   L_r = KEPT + u^2 + COST x^2.

    The forget loss is low around the original model and nowhere else, d being the distance to it:

        L_f = KNOWN + (UNSEEN - KNOWN) (1 - exp(-d^2 / (2 REACH^2))).

    Args:
        bend: how far the valley's arch rises over the straight line between the unlearned models; 0 is straight.
        depth: how far below that line the original model lies, and with it the basin of the forget loss.

    Raises `BadInput` outside `BENDS` or `DEPTHS`.
    """

    bend: float = 0.5
    depth: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in {"bend": BENDS, "depth": DEPTHS}.items():
            number(name, getattr(self, name), low, high)

    @property
    def original(self) -> np.ndarray:
        """Place (2,) of the original model, where both losses are lowest."""
        return np.array([0.0, -self.depth])


def check_eps(value: Any) -> float:
    """Return a tolerance in units of G, a number or its text, as a float, or raise BadInput unless it is 0 to 10."""
    try:
        value = float(value) if isinstance(value, str) else value
    except ValueError:
        pass
    return number("the tolerance ε", value, 0, 10)


def check_places(places) -> np.ndarray:
    """Return places as float64 (..., 2), or raise BadInput unless they are finite pairs (x, y)."""
    try:
        found = np.asarray(places, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape[-1:] != (2,) or not np.isfinite(found).all():
        raise BadInput(f"a place is a pair of finite numbers (x, y); given {places!r}.")
    return found


def _height(landscape: Landscape, x, y):
    """u: how far off the valley's bottom a place is, 0 on it."""
    return landscape.bend * (x**2 - 1) + (1 - landscape.bend / landscape.depth) * y + y**2 / landscape.depth


def retain_loss(landscape: Landscape, places) -> np.ndarray:
    """Retain loss (...) in nats, KEPT + u^2 + COST x^2, at places (..., 2)."""
    places = check_places(places)
    return KEPT + _height(landscape, places[..., 0], places[..., 1]) ** 2 + COST * places[..., 0] ** 2


def forget_loss(landscape: Landscape, places) -> np.ndarray:
    """Forget loss (...) in nats, KNOWN + (UNSEEN - KNOWN) (1 - exp(-d^2 / (2 REACH^2))), at places (..., 2)."""
    squared = ((check_places(places) - landscape.original) ** 2).sum(axis=-1)
    return KNOWN - (UNSEEN - KNOWN) * np.expm1(-squared / (2 * REACH**2))


def retain_gradient(landscape: Landscape, places) -> np.ndarray:
    """Gradient (..., 2) of the retain loss, 2 u (du/dx, du/dy) + (2 COST x, 0)."""
    places = check_places(places)
    x, y = places[..., 0], places[..., 1]
    down = (1 - landscape.bend / landscape.depth) + 2 * y / landscape.depth
    u = _height(landscape, x, y)
    return 2 * np.stack([u * 2 * landscape.bend * x + COST * x, u * down], axis=-1)


def forget_gradient(landscape: Landscape, places) -> np.ndarray:
    """Gradient (..., 2) of the forget loss, (UNSEEN - L_f) (place - original) / REACH^2."""
    left = UNSEEN - forget_loss(landscape, places)
    return left[..., None] * (check_places(places) - landscape.original) / REACH**2


@dataclass(frozen=True, eq=False)
class ToyWalk:
    """A path that was walked: its control point, if any, places (T, 2) and both losses (T,) in nats at t (T,)."""

    control: np.ndarray | None
    t: np.ndarray
    places: np.ndarray
    retain: np.ndarray
    forget: np.ndarray

    @property
    def kind(self) -> str:
        """``linear`` or ``bezier``."""
        return "linear" if self.control is None else "bezier"

    @property
    def barrier(self) -> float:
        """Retain barrier in units of G."""
        return float(barrier(self.retain, self.t)) / GAP

    @property
    def deficit(self) -> float:
        """Forget deficit in units of G."""
        return float(forget_deficit(self.forget, self.t)) / GAP

    @property
    def eps(self) -> float:
        """The smallest eps of MCU(eps): the larger of barrier and deficit, in units of G."""
        return float(np.maximum(self.barrier, self.deficit))

    def connected(self, eps: float) -> bool:
        """Whether MCU(eps) holds: barrier and deficit both at most eps G."""
        return bool(mcu(self.barrier, self.deficit, eps, eps))


def path(control, t, ends=(START, END)) -> np.ndarray:
    """phi(t) (T, ..., 2) between the unlearned models: the line, or quadratic Bezier curves by control (..., 2)."""
    (start, end), bent = check_places(ends), control is not None
    points = [start, check_places(control), end] if bent else [start, end]
    return points_at("bezier" if bent else "linear", points, np.atleast_1d(t))


def walk(landscape: Landscape, control=None, points: int = 101, ends=(START, END)) -> ToyWalk:
    """Walk between unlearned models at ``ends`` (2, 2), at ``points`` equally spaced t, two or more.

    ``control`` (2,) is the control point of a quadratic Bezier curve; None walks the straight line.
    """
    t = np.linspace(0, 1, whole("points", points, 2))
    control = None if control is None else check_places(control)
    places = path(control, t, ends)
    return ToyWalk(control, t, places, retain_loss(landscape, places), forget_loss(landscape, places))


def fit(
    landscape: Landscape, *, seed: int, forget: float = 1.0, steps: int = 600, lr: float = 0.5, start=(0.0, 0.0)
) -> np.ndarray:
    """Fit the control point of a Bezier curve by stochastic gradient descent, as `curves.fit_curve` does for models.

    Each step draws one t uniformly and descends L_r(phi(t)) - forget L_f(phi(t)), whose gradient reaches the control
    point by the chain rule, times 2 t (1 - t). The learning rate falls linearly to 0.

    Args:
        seed: of the draws of t.
        forget: weight of the forget loss; 0 fits on the retain loss alone.
        steps, lr: how long, and the first learning rate.
        start: the first control point; (0, 0), the midpoint of the ends, starts from the straight line.

    Returns the control point after each step, (steps + 1, 2); raises `BadInput` for a bad number, or a fit that ran
    away.
    """
    whole("steps", steps, 1)
    weight, rate = number("forget", forget, 0, 100), number("lr", lr, 1e-9, 100)
    rng, trail = np.random.default_rng(seed), [check_places(start)]
    for step in range(steps):
        t = rng.uniform()
        place = path(trail[-1], t)[0]
        slope = retain_gradient(landscape, place) - weight * forget_gradient(landscape, place)
        moved = trail[-1] - rate * (1 - step / steps) * 2 * t * (1 - t) * slope
        if not np.abs(moved).max() < 100:
            raise BadInput(f"the fit ran away at step {step + 1}: take a smaller lr than {lr:g}, or start nearer.")
        trail.append(moved)
    return np.stack(trail)


def sentence(walked: ToyWalk, eps: float = TOLERANCE) -> str:
    """One sentence on a walk: whether MCU(eps) holds, and the barrier and deficit that decide it."""
    eps = check_eps(eps)
    up, down = f"{walked.barrier:.3f} G above its chord", f"{walked.deficit:.3f} G below its chord"
    if walked.connected(eps):
        kept = f"the retain loss never rises more than {up} and the forget loss never dips more than {down}"
        return f"MCU({eps:g}) holds because {kept}."
    # The t of the largest excess: above the chord for the retain loss, below it for the forget loss.
    at = [walked.t[one.argmax()] for one in (excess(walked.retain, walked.t), -excess(walked.forget, walked.t))]
    broken = [f"the retain loss rises {up} (at t = {at[0]:.2f})"] if walked.barrier > eps else []
    broken += [f"the forget loss dips {down} (at t = {at[1]:.2f})"] if walked.deficit > eps else []
    return f"MCU({eps:g}) breaks because {' and '.join(broken)}."


def table(walks: Mapping[str, ToyWalk], eps: float = TOLERANCE):
    """One row per named walk: barrier, deficit and smallest eps in units of G, and whether MCU(eps) holds."""
    import pandas as pd

    drawing.check_some(walks, "walks")
    rows = [(name, w.barrier, w.deficit, w.eps, w.connected(eps)) for name, w in walks.items()]
    columns = ["path", "barrier (G)", "deficit (G)", "smallest ε", f"MCU({eps:g})"]
    return pd.DataFrame(rows, columns=columns).set_index("path").round(3)


def figure(
    landscape: Landscape,
    walks: Mapping[str, ToyWalk],
    *,
    eps: float = TOLERANCE,
    t: float | None = None,
    trail: np.ndarray | None = None,
    title: str = "",
):
    """Both losses over the plane with the paths on them, and below each the loss along t with chord and tolerance.

    The dashed white contour is the tolerance: both ends have the same losses, so their chords are flat, and a path
    satisfies MCU(eps) if it stays inside that contour on the left and outside it on the right.

    Args:
        walks: name -> a walk in this landscape.
        eps, t: the tolerance in units of G, and a place to mark on every path.
        trail: control points (S, 2) of a fit, drawn as a dotted line.
    """
    import matplotlib.pyplot as plt

    drawing.check_some(walks, "walks")
    eps, t = check_eps(eps), None if t is None else number("t", t, 0, 1)
    with style():
        sides = {"left": 0.085, "right": 0.915, "bottom": 0.155, "top": 0.95 - 0.035 * bool(title), "wspace": 0.42}
        ratios = {"height_ratios": [1.45, 1], "hspace": 0.26}
        fig, axes = plt.subplots(2, 2, figsize=(WIDTH, 6.2), gridspec_kw={**sides, **ratios})
        plt.close(fig)
        for (above, below), split in zip(axes.T, SIGNS, strict=True):
            _map(fig, above, landscape, split, eps, next(iter(walks.values())).places[[0, -1]])
            if trail is not None:
                above.plot(*trail.T, color="white", lw=1.4, ls=":", zorder=4)
            for name, one in walks.items():
                _draw(above, below, name, one, split, t)
            # All walks of a landscape share their ends, and so their chord.
            straight, edge = chord(getattr(one, split), one.t), SIGNS[split] * eps * GAP
            below.fill_between(one.t, straight, straight + edge, color=LIGHT, lw=0, label=f"tolerance ({eps:g} G)")
            below.plot(one.t, straight + edge, color=BLACK, lw=0.8)
            below.plot(one.t, straight, color=GREY, lw=1.0, ls=(0, (4, 3)), label="chord")
            drawing.widen(below, 0.3 * GAP)
            ticks = [0, 0.25, 0.5, 0.75, 1]
            below.set(xlim=(-0.02, 1.02), xlabel="t", ylabel=f"{split} loss (nats)", xticks=ticks)
            below.set_xticklabels(map("{:g}".format, ticks))
        axes[0, 0].set_ylabel("second weight")
        keys = [entry("*", BLACK, "original model", ms=9), entry("o", GREY, "unlearned models", ms=6)]
        keys += [entry("D", VERMILLION, "control point")] if any(w.control is not None for w in walks.values()) else []
        handles = [*axes[1, 0].get_legend_handles_labels()[0], *keys]
        fig.legend(handles, [one.get_label() for one in handles], loc="lower center", ncols=4)
        if title:
            fig.suptitle(title, fontsize=10.5, fontweight="bold")
    return fig


def _map(fig, ax, landscape: Landscape, split: str, eps: float, ends: np.ndarray) -> None:
    """One loss as filled contours, with its tolerance, the three models and a scale."""
    from matplotlib.colors import LogNorm

    low, high = -landscape.depth - 0.6, 1.6
    x, y = np.meshgrid(np.linspace(-1.6, 1.6, 121), np.linspace(low, high, 121))
    loss = {"retain": retain_loss, "forget": forget_loss}[split]
    values, at = loss(landscape, np.stack([x, y], axis=-1)), loss(landscape, ends)
    edge = float(at[0]) + SIGNS[split] * eps * GAP if abs(at[0] - at[1]) < 0.005 else np.nan  # as `toy.js`
    if split == "retain":
        levels, norm, ticks = np.geomspace(KEPT, 3, 13), LogNorm(KEPT, 3), [0.03, 0.1, 0.3, 1, 3]
    else:
        levels, norm, ticks = np.linspace(KNOWN, UNSEEN, 13), None, [0.03, 0.13, 0.23, 0.33, 0.43]
    shown = np.clip(values, levels[0], levels[-1])
    filled = ax.contourf(x, y, shown, levels=levels, norm=norm, cmap="cividis")
    title = f"{split} loss (nats)"
    if levels[0] < edge < levels[-1]:
        ax.contour(x, y, shown, levels=[edge], colors="white", linewidths=1.3, linestyles="--")
        title += f"; dashed: tolerance ({eps:g} G)"
    bar = fig.colorbar(filled, cax=ax.inset_axes([1.03, 0, 0.045, 1]))
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.ax.minorticks_off()
    ax.plot(*landscape.original, "*", color=BLACK, mec="white", ms=13, zorder=6)
    for end in ends:
        ax.plot(*end, "o", color=GREY, mec="white", mew=1.2, ms=8, zorder=6)
    ax.set(xlim=(-1.6, 1.6), ylim=(low, high), xlabel="first weight", title=title)
    ax.grid(False)


def _draw(above, below, name: str, walked: ToyWalk, split: str, t: float | None) -> None:
    """A path on the map of a loss, and that loss along it, both with the place t."""
    colour, values = drawing.colour_of(walked.kind), getattr(walked, split)
    above.plot(*walked.places.T, color="white", lw=3.6, zorder=4)
    above.plot(*walked.places.T, color=colour, lw=2.0, zorder=5)
    below.plot(walked.t, values, color=colour, zorder=3, label=name, **drawing.marks_of(walked.kind, len(walked.t), 6))
    if walked.control is not None:
        above.plot(*walked.control, "D", color=colour, mec="white", mew=1.2, ms=7, zorder=6, clip_on=False)
    if t is not None:
        here = path(walked.control, t, walked.places[[0, -1]])[0]
        above.plot(*here, "o", color="white", mec=colour, mew=2.0, ms=8, zorder=7)
        below.plot(t, np.interp(t, walked.t, values), "o", color="white", mec=colour, mew=2.0, ms=7, zorder=4)
