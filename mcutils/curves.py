"""Curves in weight space: linear, Bezier of any degree, polygonal chain; and the fit of their control points.

Convention: phi(0) is the start and phi(1) the end, as in the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
import torch

from .data import Task
from .objectives import Step, Weighing
from .settings import BadInput, MethodSettings, Plan, choose, curve_plan, method_settings, settings_name
from .training import descend, generator, resampled_loss
from .unlearning import METHODS, Endpoint, fingerprint, method_options, objective_options, references, steps_for
from .weights import Net, Weights, check_same_shape, cosine, distance, laid_out, memory_format, mix

Coefficients = Callable[[int, float], tuple[float, ...]]


def bezier(points: int, t: float) -> tuple[float, ...]:
    """Bernstein coefficients ``C(m, j) t^j (1-t)^(m-j)``, m = points - 1: a Bezier curve of degree m."""
    m = points - 1
    return tuple(math.comb(m, j) * t**j * (1 - t) ** (m - j) for j in range(points))


def chain(points: int, t: float) -> tuple[float, ...]:
    """Hat coefficients ``max(0, 1 - |t m - j|)``, m = points - 1: a polygonal chain through all points."""
    m = points - 1
    return tuple(max(0.0, 1 - abs(t * m - j)) for j in range(points))


def linear(points: int, t: float) -> tuple[float, ...]:
    """``(1 - t, t)``: the straight line between two endpoints."""
    if points != 2:
        raise BadInput(f"a linear curve has 2 points, got {points}: use bezier or chain for control points.")
    return (1 - t, t)


CURVES: dict[str, Coefficients] = {"linear": linear, "bezier": bezier, "chain": chain}


def points_at(kind: str, points: Sequence[np.ndarray], t: Sequence[float]) -> np.ndarray:
    """phi(t) (T, ...) for points that are arrays (...), such as places in a plane: sum_j c_j(t) point_j."""
    rows = (CURVES[kind](len(points), float(one)) for one in t)
    return np.stack([sum(c * point for c, point in zip(row, points, strict=True)) for row in rows])


@dataclass(frozen=True, eq=False)
class Curve:
    """A path ``phi(t) = sum_j c_j(t) theta_j`` through weight space; ``points`` are start, control points, end."""

    kind: str
    points: tuple[Weights, ...]

    def __post_init__(self) -> None:
        choose("curve", self.kind, CURVES)
        if len(self.points) < 2:
            raise BadInput(f"a curve needs at least 2 points, got {len(self.points)}.")
        CURVES[self.kind](len(self.points), 0.0)
        check_same_shape(self.points)

    def coefficients(self, t: float) -> tuple[float, ...]:
        """The coefficient of each point at t in [0, 1]."""
        if not 0 <= t <= 1:
            raise BadInput(f"t = {t} lies outside [0, 1].")
        return CURVES[self.kind](len(self.points), float(t))

    def at(self, t: float) -> Weights:
        """phi(t); its buffers are those of the start (see `traces.trace` for BatchNorm policies)."""
        coefficients = self.coefficients(t)
        if 1.0 in coefficients:
            return replace(self.points[coefficients.index(1.0)])
        return replace(self.points[0], params=mix(coefficients, [p.params for p in self.points]))

    @property
    def length(self) -> float:
        """Arc length of the path in weight space, from 100 chords."""
        vectors = [self.at(t) for t in torch.linspace(0, 1, 101).tolist()]
        return sum(
            math.sqrt(sum(float((b.params[n] - a.params[n]).double().square().sum()) for n in a.params))
            for a, b in zip(vectors, vectors[1:], strict=False)
        )


def geometry(curve: Curve, origin: Weights | None = None) -> dict[str, float]:
    """How far apart a curve's ends are: ``distance`` between them and ``length`` along the path.

    With the original model also the norms of the two task vectors (``moved_start``, ``moved_end``) and their
    ``cosine``: ends that hardly moved are connected for no good reason.
    """
    start, end = curve.points[0], curve.points[-1]
    found = {"distance": distance(start, end), "length": curve.length}
    if origin is not None:
        found |= {"moved_start": distance(start, origin), "moved_end": distance(end, origin)}
        found["cosine"] = cosine(start, end, origin)
    return found


@dataclass(frozen=True)
class Recipe:
    """How control points are fitted and evaluated.

    ``sampling``: t per step, ``uniform`` on [0, 1] or ``normal`` (mean 0.5, sd 0.1, clamped). ``start``: control points
    on the straight line (``midpoint``) or at the original model (``original``). ``gradient``: ``chain`` rule, or
    ``copied`` unscaled to every control point with the learning rate of weight matrices times 2 t (1 - t).
    ``batchnorm``: the policy that traces of the curve should use (``retain``, ``none``, ``full``).
    """

    sampling: str = "uniform"
    start: str = "midpoint"
    gradient: str = "chain"
    batchnorm: str = "retain"

    def __post_init__(self) -> None:
        choose("sampling", self.sampling, ("uniform", "normal"))
        choose("start", self.start, ("midpoint", "original"))
        choose("gradient", self.gradient, ("chain", "copied"))
        choose("BatchNorm policy", self.batchnorm, ("none", "retain", "full"))


# The last three are the first with one of the authors' choices each.
RECIPES: dict[str, Recipe] = {
    "corrected": Recipe(),
    "authors": Recipe(sampling="normal", start="original", gradient="copied", batchnorm="none"),
    "normal_t": Recipe(sampling="normal"),
    "original_start": Recipe(start="original"),
    "copied_gradient": Recipe(gradient="copied"),
}


def weights_at(end: Weights | Endpoint) -> Weights:
    """The weights of an endpoint, or the weights themselves."""
    return end.weights if isinstance(end, Endpoint) else end


def line(start: Weights | Endpoint, end: Weights | Endpoint) -> Curve:
    """The straight line between two models; nothing is fitted."""
    if isinstance(start, Endpoint) and isinstance(end, Endpoint) and start.task != end.task:
        raise BadInput(f"endpoints of different tasks, {start.task} and {end.task}: a curve needs one task.")
    return Curve("linear", (weights_at(start), weights_at(end)))


def draw_t(sampling: str, rng: torch.Generator) -> float:
    """One t: uniform on [0, 1], or normal with mean 0.5 and standard deviation 0.1 clamped to [0, 1].

    The clamp stops a hair before the ends, where no gradient would reach a control point.
    """
    if sampling == "uniform":
        return float(torch.rand((), generator=rng, dtype=torch.float64))
    t = 0.5 + 0.1 * float(torch.randn((), generator=rng, dtype=torch.float64))
    return min(1 - 1e-9, max(1e-9, t))


def fit_curve(
    start: Weights | Endpoint,
    end: Weights | Endpoint,
    task: Task,
    *,
    kind: str = "bezier",
    control_points: int = 1,
    seed: int,
    recipe: str | Recipe = "corrected",
    method: str | None = None,
    curriculum: str | None = None,
    optimizer: str | None = None,
    settings: MethodSettings | None = None,
    plan: Plan | None = None,
    origin: Weights | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Curve:
    """Fit the control points of a curve between two frozen ends, with an unlearning objective evaluated at phi(t).

    Each step draws one t, which all passes of that step share, and descends ``E_t[L(phi(t))]``; the gradient reaches
    control point j by the chain rule, times c_j(t). The objective, its settings and the original model default to those
    of ``start`` where it is an `Endpoint`; between plain weights they default to cross-entropy on D_r (``finetune``).
    ``plan`` defaults to the method's own plan refined by the settings' ``[curve]`` table. A mask of the method holds
    for the control points too. ``kind = "linear"`` fits nothing. Raises `BadInput` for ends of different
    architectures or tasks. Sources: Garipov et al. 2018; the authors' code for the recipe ``authors``.
    """
    choose("curve", kind, CURVES)
    for e in (start, end):
        if isinstance(e, Endpoint) and e.task != fingerprint(task):
            raise BadInput(
                f"an endpoint was unlearned for the task {e.task}, but the curve is fitted for {fingerprint(task)}."
            )
    ends = (weights_at(start), weights_at(end))
    if kind == "linear":
        return Curve(kind, ends)
    if control_points < 1:
        raise BadInput(f"a {kind} curve to be fitted needs at least 1 control point, got {control_points}.")
    if isinstance(recipe, str):
        recipe = RECIPES[choose("recipe", recipe, RECIPES)]
    known = start if isinstance(start, Endpoint) else None
    own = known is not None and method in (None, known.method)
    method = method or (known.method if known else "finetune")
    curriculum = curriculum or (known.curriculum if known else "none")
    optimizer = optimizer or (plan.optimizer if plan else known.optimizer if known else "adamw")
    origin = origin or (known.origin if known else None)
    entry = METHODS[choose("method", method, METHODS)]
    name = settings_name(task.dataset, ends[0].model)
    if settings is None:
        matches = own and (curriculum, optimizer) == (known.curriculum, known.optimizer)
        settings = known.settings if matches else method_settings(name, method, curriculum, optimizer)
    plan = replace(plan or curve_plan(name, settings), optimizer=optimizer)
    if origin is None and (entry.references or entry.mask or recipe.start == "original"):
        raise BadInput(
            f"{method} with this recipe needs the original model: pass origin=, the weights unlearning began from."
        )
    options = method_options(entry, dict(settings.options))
    points = _fit(
        ends, task, kind, control_points, seed, recipe, entry, options, settings, curriculum, plan, origin, progress
    )
    return Curve(kind, points)


def _fit(ends, task, kind, control_points, seed, recipe, entry, options, settings, curriculum, plan, origin, progress):
    count = control_points + 2
    check_same_shape([*ends, *([origin] if origin is not None else [])])
    layout = memory_format(ends[0], task.x)
    fixed = [laid_out(e.params, layout) for e in ends]
    controls = []
    for j in range(1, count - 1):
        s = j / (count - 1)
        begin = laid_out(origin.params, layout) if recipe.start == "original" else mix((1 - s, s), fixed)
        controls.append(laid_out(begin, layout))
    net = Net(ends[0].net, fixed[0], laid_out(ends[0].buffers, layout), train=True)
    weigh = Weighing(curriculum, task.n_classes, dict(settings.curriculum_options))
    refs = references(entry, origin, task, seed) if entry.references else {}
    given, rng = objective_options(entry, options), generator(seed, "t")
    steps = ((draw_t(recipe.sampling, rng), step) for step in steps_for(entry, options, task, plan, seed, refs))

    def network(t: float) -> Net:
        coefficients = CURVES[kind](count, t)
        inner = zip(coefficients[1:-1], controls, strict=True)
        middle = [_copied(c, p) if recipe.gradient == "copied" else p for c, p in inner]
        return net.at(mix(coefficients, [fixed[0], *middle, fixed[1]]))

    def loss_at(item: tuple[float, Step]) -> torch.Tensor:
        t, step = item
        return weigh.total(entry.objective(network(t), step, **given), step)

    mask = entry.mask(origin, task, options["sparsity"]) if entry.mask else None
    variables = {f"{j}/{name}": p for j, point in enumerate(controls) for name, p in point.items()}
    descend(
        variables,
        steps,
        loss_at,
        plan,
        curvature_at=lambda item: resampled_loss(network(item[0]), item[1]),
        mask={f"{j}/{name}": m for j in range(len(controls)) for name, m in mask.items()} if mask else None,
        lr_factor=(lambda item: 2 * item[0] * (1 - item[0])) if recipe.gradient == "copied" else None,
        seed=seed,
        progress=progress,
    )
    kept = [{n: v.detach().clone(memory_format=torch.contiguous_format) for n, v in p.items()} for p in controls]
    return (ends[0], *(replace(ends[0], params=p) for p in kept), ends[1])


def _copied(coefficient: float, point: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same values, with a gradient that reaches the control point as if its coefficient were one."""
    if coefficient == 0:
        return dict(point)
    return {name: p.detach() + (p - p.detach()) / coefficient for name, p in point.items()}


def points_of(t: int | Sequence[float]) -> tuple[float, ...]:
    """``t`` equally spaced points of [0, 1], or the given ones in increasing order."""
    if isinstance(t, Integral):
        if t < 2:
            raise BadInput(f"a curve is evaluated at 2 points or more, got {t}.")
        return tuple(k / (int(t) - 1) for k in range(t))
    try:
        values = tuple(float(v) for v in t)
    except (TypeError, ValueError):
        raise BadInput(f"t must be a number of points or increasing values in [0, 1], got {t!r}.") from None
    increasing = all(a < b for a, b in zip(values, values[1:], strict=False))
    if not values or not increasing or any(not 0 <= v <= 1 for v in values):
        raise BadInput(f"t must be increasing values in [0, 1], got {values}.")
    return values
