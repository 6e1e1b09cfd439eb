"""Curves in weight space: linear, Bezier of any degree, polygonal chain; and the fit of their control points.

Convention: phi(0) is the start and phi(1) the end, as in the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import weights
from .curricula import CURRICULA
from .data.tasks import Inputs, Task, take, to
from .descent import check_plan, generator
from .errors import BadInput, callback, choose, flag, instance, seed_of, shown, whole
from .fits import Fit, convergence, recorded
from .networks import check_task, ready
from .optimizers import OPTIMIZERS
from .settings import MethodSettings, Plan, curve_plan, independent_plan, method_settings, settings_name, train_plan
from .unlearning.endpoints import Endpoint, Pursuit, check_settings, fingerprint
from .unlearning.methods import METHODS
from .weights import Net, Weights, check_same_shape, check_weights, laid_out, mix, module_of, trainable, write

MOST_POINTS = 10_001  # of a trace
MOST_CONTROLS = 100
INDEPENDENT = "independent"  # the name of a plan, see `settings.independent_plan`
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


def points_at(kind: str, points: Sequence[np.ndarray] | np.ndarray, t: Sequence[float] | np.ndarray) -> np.ndarray:
    """phi(t) (T, ...) for points that are arrays (...), such as places in a plane: sum_j c_j(t) point_j."""
    rows = (coefficients_of(kind, len(points), float(one)) for one in t)
    return np.stack([sum(c * point for c, point in zip(row, points, strict=True)) for row in rows])


def coefficients_of(kind: str, points: int, t: float) -> tuple[float, ...]:
    """The coefficient of each of a curve's points at t; `BadInput` where a registered curve gives other than that."""
    found = CURVES[kind](points, t)
    try:
        made = tuple(float(one) for one in found)
    except (TypeError, ValueError, RuntimeError):
        made = ()
    if isinstance(found, str) or len(made) != points or not all(map(math.isfinite, made)):
        raise BadInput(f"the curve {kind} must give a finite number for each of {points} points, got {shown(found)}.")
    return made


@dataclass(frozen=True, eq=False)
class Curve:
    """A path ``phi(t) = sum_j c_j(t) theta_j`` through weight space; ``points`` are start, control points, end.

    ``fit`` is the record of how the control points were fitted, None where there is none; ``convergence`` reads it.

    >>> from mcutils.weights import weights_of
    >>> points = [weights_of(nn.Linear(1, 1)) for _ in range(3)]
    >>> Curve("bezier", points).coefficients(0.5)
    (0.25, 0.5, 0.25)
    """

    kind: str
    points: tuple[Weights, ...]
    fit: Fit | None = None

    def __post_init__(self) -> None:
        choose("curve", self.kind, CURVES)
        object.__setattr__(self, "points", tuple(instance("points", self.points, (tuple, list), "a tuple of weights")))
        if len(self.points) < 2:
            raise BadInput(f"a curve needs at least 2 points, got {len(self.points)}.")
        check_same_shape(self.points)
        coefficients_of(self.kind, len(self.points), 0.0)
        instance("fit", self.fit, (Fit, type(None)), "a Fit or None")

    def coefficients(self, t: float) -> tuple[float, ...]:
        """The coefficient of each point at t in [0, 1]."""
        if not isinstance(t, Real) or isinstance(t, bool) or not 0 <= t <= 1:
            raise BadInput(f"t must be a number in [0, 1], got {shown(t)}.")
        return coefficients_of(self.kind, len(self.points), float(t))

    def at(self, t: float) -> Weights:
        """phi(t); its buffers are those of the start (see `traces.trace` for BatchNorm policies)."""
        coefficients = self.coefficients(t)
        if 1.0 in coefficients:
            return replace(self.points[coefficients.index(1.0)])
        return replace(self.points[0], params=mix(coefficients, [p.params for p in self.points]) | self.still)

    @cached_property
    def still(self) -> dict[str, Tensor]:
        """Frozen parameters that all points share, which a mixture would round."""
        return shared(self.points)

    def end(self, t: float) -> Weights | None:
        """The start or the end where phi(t) is one of them, else None: what has buffers of its own."""
        coefficients = self.coefficients(t)
        return next((self.points[j] for j in (0, -1) if coefficients[j] == 1), None)

    @property
    def convergence(self) -> str:
        """Whether the fit had converged, in a sentence (see `fits.convergence`)."""
        return "A straight line is not fitted." if self.kind == "linear" else convergence(self.fit)

    @property
    def length(self) -> float:
        """Arc length of the path in weight space, from 100 chords."""
        vectors = [self.at(t) for t in torch.linspace(0, 1, 101).tolist()]
        return sum(
            math.sqrt(sum(float((b.params[n] - a.params[n]).double().square().sum()) for n in a.params))
            for a, b in zip(vectors, vectors[1:], strict=False)
        )


def shared(points: Sequence[Weights]) -> dict[str, Tensor]:
    """Frozen parameters that are the same in all points."""
    first = points[0]
    return {n: first.params[n] for n in first.frozen if all(p.params[n].equal(first.params[n]) for p in points)}


@torch.no_grad()
def check_buffers(points: Sequence[Weights], module: nn.Module, x: Inputs) -> None:
    """Raise `BadInput` if the logits of ``module`` on ``x`` depend on which point's buffers it holds.

    Running statistics are left out, since they are estimated anew inside a curve; all other buffers can be neither
    mixed nor estimated. The module's buffers are those of the first point afterwards.
    """
    first = points[0].buffers
    foreign = {
        n
        for n in first.keys() - weights.buffers_in(weights.running_layers(module))
        if not all(torch.equal(first[n], p.buffers[n]) for p in points)
    }
    if not foreign:
        return
    write(module, {}, {name: first[name] for name in foreign})
    expected = module(x)
    for point in points[1:]:
        write(module, {}, {name: point.buffers[name] for name in foreign})
        if not torch.equal(module(x), expected):
            raise BadInput(
                f"{min(foreign)} of a {points[0].model} differs between the ends of a curve and changes the logits, but"
                " inside a curve only running statistics of BatchNorm and InstanceNorm can be estimated anew: take a"
                " network without it, or look at the ends alone."
            )
    write(module, {}, {name: first[name] for name in foreign})


def geometry(curve: Curve, origin: Weights | None = None) -> dict[str, float]:
    """How far apart a curve's ends are: ``distance`` between them and ``length`` along the path.

    With the original model also the norms of the two task vectors (``moved_start``, ``moved_end``) and their
    ``cosine``: ends that hardly moved are connected for no good reason.
    """
    start, end = instance("curve", curve, Curve, "a Curve").points[0], curve.points[-1]
    found = {"distance": weights.distance(start, end), "length": curve.length}
    if origin is not None:
        found |= {"moved_start": weights.distance(start, origin), "moved_end": weights.distance(end, origin)}
        found["cosine"] = weights.cosine(start, end, origin)
    return found


@dataclass(frozen=True)
class Recipe:
    """How control points are fitted and evaluated.

    ``sampling``: t per step, ``uniform`` on [0, 1] or ``normal`` (mean 0.5, sd 0.1, clamped). ``start``: control points
    on the straight line (``midpoint``) or at the original model (``original``). ``gradient``: ``chain`` rule, or
    ``copied`` unscaled to every control point with the learning rate of weight matrices times 2 t (1 - t).
    ``batchnorm``: the policy that traces of the curve should use (``retain``, ``none``, ``full``). ``weighted``: the
    BatchNorm statistics of a random teacher are weighted by batch size (see `weights.refresh_batchnorm`).
    """

    sampling: str = "uniform"
    start: str = "midpoint"
    gradient: str = "chain"
    batchnorm: str = "retain"
    weighted: bool = False

    def __post_init__(self) -> None:
        choose("sampling", self.sampling, ("uniform", "normal"))
        choose("start", self.start, ("midpoint", "original"))
        choose("gradient", self.gradient, ("chain", "copied"))
        choose("BatchNorm policy", self.batchnorm, ("none", "retain", "full"))
        flag("weighted", self.weighted)


# The last three are the first with one of the authors' choices each.
RECIPES: dict[str, Recipe] = {
    "corrected": Recipe(),
    "authors": Recipe(sampling="normal", start="original", gradient="copied", batchnorm="none"),
    "normal_t": Recipe(sampling="normal"),
    "original_start": Recipe(start="original"),
    "copied_gradient": Recipe(gradient="copied"),
}


def weights_at(end: Weights | Endpoint, task: Task | None = None) -> Weights:
    """The weights of an endpoint, or the weights themselves; `BadInput` for an endpoint of another task than given."""
    if not isinstance(end, Endpoint):
        return check_weights(end)
    if task is not None and end.task != fingerprint(task):
        raise BadInput(f"an endpoint was unlearned for the task {end.task}, not for {fingerprint(task)}.")
    return end.weights


def line(start: Weights | Endpoint, end: Weights | Endpoint) -> Curve:
    """The straight line between two models; nothing is fitted.

    >>> from mcutils.weights import weights_of
    >>> a, b = weights_of(nn.Linear(1, 1)), weights_of(nn.Linear(1, 1))
    >>> bool(torch.isclose(line(a, b).at(0.5).params["bias"], (a.params["bias"] + b.params["bias"]) / 2))
    True
    """
    ends = (weights_at(start), weights_at(end))
    if isinstance(start, Endpoint) and isinstance(end, Endpoint) and start.task != end.task:
        raise BadInput(f"endpoints of different tasks, {start.task} and {end.task}: a curve needs one task.")
    return Curve("linear", ends)


def draw_t(sampling: str, rng: torch.Generator) -> float:
    """One t: uniform on [0, 1], or normal with mean 0.5 and standard deviation 0.1 clamped to [0, 1].

    The clamp stops a hair before the ends, where no gradient would reach a control point.
    """
    if sampling == "uniform":
        return float(torch.rand((), generator=rng, dtype=torch.float64))
    t = 0.5 + 0.1 * float(torch.randn((), generator=rng, dtype=torch.float64))
    return min(1 - 1e-9, max(1e-9, t))


def place_of(sampling: str, t: float) -> float:
    """The probability that a drawn t is at most ``t``: t itself, or the normal distribution function."""
    return t if sampling == "uniform" else 0.5 * (1 + math.erf((t - 0.5) / (0.1 * math.sqrt(2))))


Ends = tuple[Weights | Endpoint, Weights | Endpoint]


@dataclass(frozen=True)
class Aim:
    """What a curve is fitted on; what is None is that of its start, where this is an `Endpoint`.

    From plain weights the ``method`` is ``finetune`` (cross-entropy on D_r), without ``curriculum``, by the plan
    ``independent``: that of training refined by the settings' ``[curve.independent]``, for models trained apart. From
    an endpoint, or with ``settings``, ``plan`` is the method's own, refined by ``[curve]``. Where a plan is given, so
    is its ``optimizer``. ``origin`` is the original model, by default that of the start or else of the end.
    """

    method: str | None = None
    curriculum: str | None = None
    optimizer: str | None = None
    settings: MethodSettings | None = None
    plan: Plan | str | None = None
    origin: Weights | Endpoint | None = None

    def pursuit(self, ends: Ends, task: Task, recipe: Recipe, seed: int, progress: Any) -> Pursuit:
        """The descent that fits control points of a curve between two models."""
        known = ends[0] if isinstance(ends[0], Endpoint) else None
        name = settings_name(task.dataset, weights_at(ends[0]).model)
        own = (known.method, known.curriculum, known.optimizer) if known else ("finetune", "none", "adamw")
        apart = self.plan == INDEPENDENT or (self.plan is None and self.settings is None and not known)
        planned = self.plan if isinstance(self.plan, Plan) else train_plan(name) if apart else None
        other = (*own[:2], planned.optimizer) if planned else own
        named = zip((self.method, self.curriculum, self.optimizer), other, strict=True)
        method, curriculum, optimizer = (default if given is None else given for given, default in named)
        entry = METHODS[choose("method", method, METHODS)]
        choose("curriculum", curriculum, CURRICULA), choose("optimizer", optimizer, OPTIMIZERS)
        settings = self.settings
        if settings is None and known and own == (method, curriculum, optimizer):
            settings = known.settings
        settings = settings or method_settings(name, method, curriculum, optimizer)
        tuned = independent_plan if apart else curve_plan
        plan = replace(self.plan if isinstance(self.plan, Plan) else tuned(name, settings), optimizer=optimizer)
        origins = (self.origin, *(one.origin for one in ends if isinstance(one, Endpoint)))
        origin = next((weights_at(one) for one in origins if one is not None), None)
        return Pursuit(task, entry, settings, curriculum, plan, seed, origin, callback(progress), recipe.weighted)


def fit_curve(
    start: Weights | Endpoint,
    end: Weights | Endpoint,
    task: Task,
    *,
    kind: str = "bezier",
    control_points: int = 1,
    seed: int,
    recipe: str | Recipe = "corrected",
    progress: Callable[[int, float], None] | None = None,
    **aim: Any,
) -> Curve:
    """Fit the control points of a curve between two frozen ends, with an objective evaluated at phi(t).

    Each step draws one t, which all passes of that step share, and descends ``E_t[L(phi(t))]``; the gradient reaches
    control point j by the chain rule, times c_j(t). ``aim`` are fields of `Aim`, ``method``, ``curriculum``,
    ``optimizer``, ``settings``, ``plan`` and ``origin``: the objective is that of ``start`` unless they say otherwise,
    and cross-entropy on D_r from plain weights (``method="train"``: on all training data, as between originals).
    A mask of the method holds for the control points too. ``kind = "linear"`` fits nothing. Raises `BadInput` for ends
    of different architectures or tasks. Sources: Garipov et al. 2018; the authors' code for the recipe ``authors``.

    >>> import mcutils as mc
    >>> task = mc.load_task("digits", 0.1, train_size=240, test_size=60)
    >>> a, b = (mc.train(task, seed=seed, plan=Plan(steps=2), width=2) for seed in (0, 1))
    >>> curve = fit_curve(a, b, task, seed=0, plan=Plan(steps=2))
    >>> curve.kind, len(curve.points)
    ('bezier', 3)
    """
    check_task(task), choose("curve", kind, CURVES)
    for name in aim:
        choose("argument of fit_curve", name, [f.name for f in fields(Aim)])
    check_settings(aim.get("settings"))
    if isinstance(aim.get("plan"), str):
        choose("plan of a fit", aim["plan"], (INDEPENDENT,))
    else:
        check_plan(aim.get("plan"))
    ends, seed = (weights_at(start, task), weights_at(end, task)), seed_of(seed)
    if kind == "linear":
        return Curve(kind, ends)
    control_points = whole("control_points", control_points, 1, MOST_CONTROLS)
    chosen = recipe if isinstance(recipe, Recipe) else RECIPES[choose("recipe", recipe, RECIPES)]
    pursuit = Aim(**aim).pursuit((start, end), task, chosen, seed, progress)
    return _fit(ends, kind, control_points, chosen, pursuit)


def _fit(ends: tuple[Weights, Weights], kind: str, control_points: int, recipe: Recipe, pursuit: Pursuit) -> Curve:
    start, task, count = ends[0], pursuit.task, control_points + 2
    check_same_shape([*ends, *([] if pursuit.origin is None else [pursuit.origin])])
    goal = pursuit.goal()
    begin = ready(start, task, task.index["forget" if pursuit.method.uses == "forget" else "retain"], pursuit.plan)
    middle = module_of(Curve("linear", ends).at(0.5), begin.layout)
    check_buffers(ends, middle, to(take(task.x, task.index["train"][:8]), memory_format=begin.layout))
    still, fixed = shared(ends), [laid_out(e.params, begin.layout) for e in ends]
    controls = []
    for j in range(1, count - 1):
        s = j / (count - 1)
        point = pursuit.original.params if recipe.start == "original" else mix((1 - s, s), fixed)
        controls.append(laid_out({**point, **still}, begin.layout))
    free = [trainable(start, point) for point in controls]

    def network(t: float) -> Net:
        coefficients = coefficients_of(kind, count, t)
        inner = zip(coefficients[1:-1], controls, strict=True)
        middle = [_copied(c, p) if recipe.gradient == "copied" else p for c, p in inner]
        mixed = mix(coefficients, [fixed[0], *middle, fixed[1]])
        return begin.net.at({**mixed, **{name: fixed[0][name] for name in still}})

    rng, drawn = generator(pursuit.seed, "t"), list[float]()

    def draw() -> float:
        drawn.append(draw_t(recipe.sampling, rng))
        return drawn[-1]

    mask = pursuit.mask()
    losses = goal.pursue(
        {f"{j}/{name}": p for j, point in enumerate(free) for name, p in point.items()},
        ((draw(), step) for step in pursuit.steps()),
        network,
        mask={f"{j}/{name}": m for j in range(len(free)) for name, m in mask.items()} if mask else None,
        lr_factor=(lambda item: 2 * item[0] * (1 - item[0])) if recipe.gradient == "copied" else None,
    )
    points = (start, *(replace(start, params=laid_out(point)) for point in controls), ends[1])
    return Curve(kind, points, recorded(losses, [place_of(recipe.sampling, t) for t in drawn]))


def _copied(coefficient: float, point: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same values, with a gradient that reaches the control point as if its coefficient were one."""
    if coefficient == 0:
        return dict(point)
    return {name: p.detach() + (p - p.detach()) / coefficient for name, p in point.items()}


def points_of(t: int | Sequence[float]) -> tuple[float, ...]:
    """``t`` equally spaced points of [0, 1], or the given ones in increasing order; 10,001 at most."""
    if isinstance(t, Integral):
        n = whole("t, a number of points,", t, 2, MOST_POINTS)
        return tuple(k / (n - 1) for k in range(n))
    values = list(t) if isinstance(t, (Sequence, np.ndarray, Tensor)) and not isinstance(t, (str, bytes)) else []
    if not 0 < len(values) <= MOST_POINTS:
        raise BadInput(f"t must be a number of points or 1 to {MOST_POINTS:,} increasing values, got {shown(t)}.")
    try:
        found = tuple(float(v) for v in values if not isinstance(v, (str, bytes, bool, np.bool_)))
    except (TypeError, ValueError, RuntimeError):
        found = ()
    increasing = len(found) == len(values) and all(a < b for a, b in zip(found, found[1:], strict=False))
    if not increasing or any(not 0 <= v <= 1 for v in found):
        raise BadInput(f"t must be increasing values in [0, 1], got {shown(t)}.")
    return found
