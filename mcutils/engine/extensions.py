"""What can be registered: the kinds that `mc.register` knows, and what a function of each is called with."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch

from ..curricula import CURRICULA
from ..curves import CURVES
from ..data.own import task
from ..data.tasks import DATASETS, Dataset
from ..errors import BadInput, choose, shown
from ..measures.metrics import METRICS, Metric
from ..measures.similarity import SIMILARITIES, Similarity
from ..models.vision import MODELS
from ..objectives import retain_loss
from ..optimizers import OPTIMIZERS
from ..plugins import adopt as adopt, check_call, kind, register as register
from ..traces import SPLITS
from ..unlearning.methods import METHODS, Method

USES, DIRECTIONS = ("retain", "forget", "both"), ("up", "down", "retrained")
CALLED = {"traces": "a b *split", "features": "a b", "weights": "a b *origin"}  # a similarity, by what it needs
FROZEN, READ = ("original", "random"), ("original", "retrained", "random")


def _curve(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Coefficients ``(points, t) -> (c_0, ..., c_m)``, which are 1, 0, ..., 0 at t = 0 and 0, ..., 0, 1 at t = 1."""
    for points in (2, 3):
        ends = [tuple(map(float, function(points, t))) for t in (0.0, 1.0)]
        start = (1.0, *[0.0] * (points - 1))
        if ends != [start, start[::-1]]:
            words = f"its coefficients of {points} points at 0 and 1 are {ends}"
            raise BadInput(f"the curve {name!r} must begin at the first point and end at the last: {words}.")
    return function


def _model(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function or class ``(channels, classes) -> module``; a study's ``width`` is handed on where it is taken."""
    parameters = inspect.signature(function).parameters
    if "width" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return function

    def build(channels: int, classes: int, width: int = 0) -> Any:
        return function(channels, classes)

    build.__doc__ = function.__doc__
    return build


def _dataset(name: str, function: Callable[..., Any]) -> Callable[..., Dataset]:
    """A function that gives a `tasks.Dataset`, or examples and labels ``(x, y)`` or ``(x, y, x_test, y_test)``.

    It may take ``path=``. Arrays are read as `own.task` reads them; without test examples a fifth is drawn.
    """

    @wraps(function)
    def read(path: Any = None) -> Dataset:
        made = function(path=path) if "path" in inspect.signature(function).parameters else function()
        if isinstance(made, Dataset):
            return made
        if not isinstance(made, tuple) or len(made) not in (2, 4):
            raise BadInput(f"the data set {name!r} must give (x, y) or (x, y, x_test, y_test), got {shown(made)}.")
        own = task(*made[:2], name=f"{name}-examples", test=made[2:] or 0.2)
        known, new = torch.cat([own.rows("train"), own.rows("valid")]).sort().values, own.rows("test")
        if not isinstance(own.x, torch.Tensor):
            raise BadInput(
                f"the data set {name!r} must give one array of examples; mc.task takes dictionaries of them."
            )
        parts = (own.x[known], own.y[known], own.x[new], own.y[new])
        return Dataset(name, *parts, own.classes, own.checksum, own.mean, own.std)

    return read


def _function(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose keywords with defaults are its options, as the settings files name them."""
    if not isinstance(function, types.FunctionType):
        raise BadInput(f"{name} must be a plain function, whose keywords are its options, got {shown(function)}.")
    if function.__kwdefaults__ is None:
        function.__kwdefaults__ = {}
    return function


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _names(what: str, given: str | Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """One name or several, each of them allowed."""
    return tuple(choose(what, one, allowed) for one in ((given,) if isinstance(given, str) else given))


def _method(
    name: str, function: Callable[..., Any], *, uses: str = "both", references: str | Sequence[str] = (), **more: Any
) -> Method:
    """An objective ``(net, step, **options) -> terms`` with what the loop must hand it, see `methods.Method`."""
    choose("batches that a method uses", uses, USES)
    frozen = _names("frozen network", references, FROZEN)
    return Method(name, _function(name, function), uses, frozen, **more)


def _edit(name: str, function: Callable[..., Any], *, source: str = "", summary: str = "") -> Method:
    """A function ``(theta, task, generator, **options) -> parameters by name``; steps on D_r may follow it."""
    return Method(name, retain_loss, "retain", edit=_function(name, function), source=source, summary=summary)


def _metric(
    name: str,
    function: Callable[..., Any],
    *,
    direction: str = "retrained",
    unit: str = "",
    formula: str = "",
    source: str = "a user's own",
    splits: str | Sequence[str] = ("forget",),
    references: str | Sequence[str] = (),
) -> Metric:
    """A function ``(trace, *, references) -> (T,)``, see `metrics.Metric`."""
    choose("direction", direction, DIRECTIONS)
    seen, read = _names("split", splits, SPLITS), _names("reference", references, READ)
    return Metric(name, function, direction, unit, formula or _first_line(function), source, seen, read)


def _similarity(
    name: str,
    function: Callable[..., float],
    *,
    needs: str = "traces",
    alike: str = "high",
    unit: str = "1",
    formula: str = "",
    source: str = "a user's own",
) -> Similarity:
    """A symmetric function of two traces, two tensors of features or two models, see `similarity.Similarity`."""
    choose("what a similarity needs", needs, CALLED)
    choose("value of similar models", alike, ("high", "low"))
    check_call("similarity", name, function, CALLED[needs].split())
    return Similarity(name, formula or _first_line(function), source, unit, alike, needs, function)


kind("method", METHODS, _method, "net step")
kind("edit", METHODS, _edit, "theta task generator", among="method")
kind("curriculum", CURRICULA, _function, "losses state")
kind("optimizer", OPTIMIZERS, _function, "params lr weight_decay")
kind("curve", CURVES, _curve, "points t")
kind("model", MODELS, _model, "channels classes")
kind("metric", METRICS, _metric, "trace *references")
kind("similarity", SIMILARITIES, _similarity, "")
kind("dataset", DATASETS, _dataset, "")
