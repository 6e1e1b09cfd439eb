"""One page in which the network itself runs: weights mixed in the browser, no server, nothing asked of a network.

The page holds the weights of two ends and of a control point in half precision. Whatever curve a reader bends with the
control point, phi(t) stays in the plane of the three, so that one table of BatchNorm statistics over this plane serves
all curves; `live.js` reads it between its places as `statistics_at` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..curves import Curve
from ..data.tasks import Task
from ..engine.specs import AlignedSpec, CurveSpec, PlaneSpec, kind_of
from ..engine.study import Study, study as preset_study
from ..errors import BadInput, instance, path_of, whole
from ..files import BUILD, write_file
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import label
from ..measures.metrics import per_example_loss, predictions
from ..measures.planes import Basis, basis, grid
from ..measures.profiles import Profile
from ..models.vision import recipe_of
from ..traces import BATCH, Trace
from ..weights import Weights, flatten, mix, module_of, refresh_module, running_layers, write
from .page import coded, filled, part

PLACES = 9  # of the table of statistics, each way
MAPPED = 21  # places of the stored plane, each way
FEW, SAMPLE = 8, 32  # images of each of retain and forget data that losses are measured on, while dragging and at rest
TILES = 8  # images of each of forget and test data that are shown
STRIDES = (2, 1, 2, 1)  # of the network `convnet`


@dataclass(frozen=True, eq=False)
class Live:
    """What the network in the page is: three models in half precision, and BatchNorm statistics over their plane.

    ``axes`` are x (X,) and y (Y,) in weight space, ``table`` (Y, X, n) mean and variance of each layer in turn.
    """

    plane: Basis
    axes: tuple[np.ndarray, np.ndarray]
    table: np.ndarray

    def logits(self, place: Sequence[float], x: Tensor) -> Tensor:
        """Logits (N, K) of images x (N, 1, S, S), already normalised, at a place (x, y) of the plane."""
        points = self.plane.points
        module = module_of(points[0])
        sizes = statistics_of(points[0])
        parts = torch.from_numpy(statistics_at(*self.axes, self.table, place)).float().split([*sizes.values()])
        buffers = dict(zip(sizes, parts, strict=True))
        write(module, mix(self.plane.coefficients(*place), [one.params for one in points]), buffers)
        with torch.inference_mode():
            return module(x)


def statistics_of(weights: Weights) -> dict[str, int]:
    """Names of the mean and variance of each BatchNorm layer of a network in turn, with its channels."""
    names = [f"{layer}.running_{one}" for layer in running_layers(weights.net) for one in ("mean", "var")]
    return {name: len(weights.buffers[name]) for name in names}


def statistics_at(x: np.ndarray, y: np.ndarray, table: np.ndarray, place: Sequence[float]) -> np.ndarray:
    """The row (n,) of a table (Y, X, n) at a place, bilinear between its places and constant beyond them.

    >>> statistics_at(np.arange(2.0), np.arange(2.0), np.arange(4.0).reshape(2, 2, 1), (0.5, 0.25))
    array([1.])
    """
    found = table
    for axis, value in ((y, place[1]), (x, place[0])):
        along = np.clip((value - axis[0]) / (axis[-1] - axis[0]), 0, 1) * (len(axis) - 1)
        k = min(int(along), len(axis) - 2)
        found = (1 - (along - k)) * found[k] + (along - k) * found[k + 1]
    return found


def representative(features: np.ndarray, size: int, seed: int = 0, starts: int = 8) -> list[int]:
    """Examples whose mean features (T,) are nearest to those of all, (T, N) -> ``size`` of N.

    From each of some random starts the exchange of one example that helps most is made until none helps; the nearest
    end is taken. Nearest is by squared distance.

    >>> representative(np.array([[0.0, 3.0, 4.0, 1.0, 9.0]]), 1)
    [1]
    """
    rng, count = np.random.default_rng(seed), features.shape[1]
    found = [_exchanged(features, rng.permutation(count)[:size].tolist()) for _ in range(starts)]
    return min(found, key=lambda one: one[0])[1]


def _exchanged(features: np.ndarray, taken: list[int]) -> tuple[float, list[int]]:
    goal, shares = features.mean(axis=1), features / len(taken)
    while True:
        off = shares[:, taken].sum(axis=1) - goal
        rest = off[:, None] - shares[:, taken]
        # |rest + share|^2 for each example that leaves (rows) and each that enters (columns)
        after = (rest**2).sum(axis=0)[:, None] + 2 * rest.T @ shares + (shares**2).sum(axis=0)
        after[:, taken] = np.inf
        place, other = divmod(int(after.argmin()), shares.shape[1])
        if not after[place, other] < off @ off - 1e-12:
            return float(off @ off), taken
        taken = [*taken[:place], other, *taken[place + 1 :]]


def sampled(losses: Sequence[np.ndarray], level: np.ndarray, unit: float) -> list[int]:
    """`SAMPLE` examples that stand for all along some paths, (T, N) each; the first `FEW` of them stand for these.

    Losses of a path count in units of the range of their mean, so that a path that hardly moves is followed as well,
    and the losses ``level`` (N,) of models that never saw the examples in those of ``unit``.
    """
    parts = [one[::3] / max(float(np.ptp(one.mean(axis=1))), 1e-6) for one in losses]
    features = np.concatenate([*parts, np.repeat(level[None] / unit, len(parts[0]), axis=0)])
    chosen = representative(features, min(SAMPLE, features.shape[1]))
    first = representative(features[:, chosen], min(FEW, len(chosen)))
    return [chosen[k] for k in (*first, *sorted(set(range(len(chosen))) - set(first)))]


def restless(found: Sequence[Trace], split: str, size: int) -> list[int]:
    """The ``size`` examples of a split whose predicted class changes most often along some paths."""
    changes = sum((np.diff(predictions(one, split), axis=0) != 0).sum(axis=0) for one in found)
    return np.argsort(-np.asarray(changes), kind="stable")[:size].tolist()


def live_network(curve: Curve, task: Task, places: int = PLACES, *, weighted: bool = False) -> Live:
    """Three models in half precision, and statistics at ``places`` x ``places`` of their plane, from D_r as for traces.

    Raises `BadInput` for anything but a Bezier curve with one control point between networks `convnet`, whose width is
    a multiple of 4, on square grey images whose side is one of 4.
    """
    instance("curve", curve, Curve, "a Curve")
    recipe, shape = recipe_of(curve.points[0].net) or {}, tuple(getattr(task.x, "shape", ()))
    if curve.kind != "bezier" or len(curve.points) != 3:
        raise BadInput(f"the page bends a bezier curve with 1 control point, got {curve.kind} of {len(curve.points)}.")
    if recipe.get("name") != "convnet" or recipe.get("width", 16) % 4:
        raise BadInput(f"the page runs the network convnet, of a width divisible by 4, got {curve.points[0].model}.")
    if len(shape) != 4 or shape[1] != 1 or shape[2] != shape[3] or shape[2] % 4:
        raise BadInput(f"the page runs on square grey images with a side divisible by 4, got examples of {shape[1:]}.")
    points = [half(one) for one in curve.points]
    plane = basis(points)
    axes = grid(plane, whole("places", places, 2, 101))
    module = module_of(points[0], torch.channels_last)
    x = _images(task, task.index["bn"]).to(memory_format=torch.channels_last)
    rows = [[_statistics(module, plane, (a, b), x, weighted) for a in axes[0]] for b in axes[1]]
    table = np.array(rows, dtype=np.float16)
    if not np.isfinite(table).all():
        raise BadInput("statistics of BatchNorm in this plane are beyond half precision: its models are too far apart.")
    return Live(plane, axes, table.astype(np.float32))


def half(weights: Weights) -> Weights:
    """Weights rounded to half precision, in single precision again."""
    return weights.to(torch.float16).to(torch.float32)


def _statistics(module, plane: Basis, place: tuple[float, float], x: Tensor, weighted: bool) -> np.ndarray:
    write(module, mix(plane.coefficients(*place), [one.params for one in plane.points]), {})
    with torch.inference_mode():
        refresh_module(module, x.split(BATCH), weighted=weighted)
    buffers = dict(module.named_buffers())
    return torch.cat([buffers[name] for name in statistics_of(plane.points[0])]).numpy()


def export_live(
    path: str | Path | None = None,
    study: Study | None = None,
    curve: CurveSpec | None = None,
    *,
    places: int = PLACES,
) -> Path:
    """Write the page in which the network runs, and return where; what the study lacks is computed.

    Args:
        path: the file, by default ``build/explorer/live.html``.
        study: where results come from, by default the preset ``laptop``, whose default curve ships.
        curve: a Bezier curve with one control point (`Study.path`), by default between the study's first two seeds of
            the quickstart's method.
        places: of the table of BatchNorm statistics each way; each costs one pass over the task's ``bn`` images.

    Raises `BadInput` as `live_network` does.
    """
    target = BUILD / "explorer" / "live.html" if path is None else path_of(path)
    chosen = preset_study() if study is None else instance("study", study, Study, "a Study")
    if curve is None:
        first, second = (chosen.unlearned(chosen.preset.quickstart_method, seed) for seed in chosen.seeds[:2])
        curve = chosen.path(first, second, kind="bezier")
    instance("curve", curve, CurveSpec, "a spec of a curve, as Study.path returns it")
    write_file(target, page(live_data(chosen, curve, places)))
    return target


def live_data(study: Study, curve: CurveSpec, places: int = PLACES) -> dict[str, Any]:
    """All that the page knows, as JSON can hold it; arrays are base64 of little-endian numbers."""
    paths = {"line": study.path(curve.start, curve.end), "curve": curve}
    specs = [study.profile(one, retrained=study.seeds[:3]) for one in paths.values()]
    seen, retrained = [one.trace for one in specs], specs[0].retrained
    fitted, *found = study.run([curve, *specs, *seen, *retrained])
    profiles, traces, levels = found[:2], found[2:4], found[4:]
    live, task = live_network(fitted, study.task, places, weighted=study.weighted), study.task
    unseen = {s: np.mean([per_example_loss(one, s)[0] for one in levels], axis=0) for s in ("retain", "forget")}
    gap = profiles[0].gap
    groups = {s: sampled([per_example_loss(one, s) for one in traces], unseen[s], gap) for s in unseen}
    shown = {split: restless(traces, split, TILES) for split in ("forget", "test")}
    rows = {name: traces[0].index[name][chosen] for name, chosen in groups.items()}
    rows |= {f"{name}_shown": traces[0].index[name][chosen] for name, chosen in shown.items()}
    every = np.concatenate(list(rows.values()))
    x, y = live.axes
    points = np.stack([flatten(one).numpy() for one in live.plane.points]).astype("<f2")
    pixels = _images(task, every).numpy() * task.std[0] + task.mean[0]
    channels = [1, *[*statistics_of(live.plane.points[0]).values()][::2]]
    about = {"channels": channels, "strides": STRIDES, "side": pixels.shape[-1], "classes": task.n_classes}
    ends: tuple[Any, Any] = curve.start, curve.end
    return {
        "title": " to ".join(f"{label(getattr(one, 'method', kind_of(one).lower()))} {one.seed}" for one in ends),
        "forgotten": len(task.index["forget"]),
        "classes": list(task.classes),
        "eps": TOLERANCE,
        "gap": gap,
        "net": {**about, "eps": 1e-5, "mean": task.mean[0], "std": task.std[0], "parameters": points.shape[1]},
        "points": coded(points),
        "models": live.plane.models.tolist(),
        "statistics": {"x": x.tolist(), "y": y.tolist(), "table": coded(live.table.astype("<f2"))},
        "images": coded(np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)),
        "rows": every.tolist(),
        "labels": task.y[every].tolist(),
        "groups": {name: len(chosen) for name, chosen in rows.items()},
        "retrained": float(unseen["forget"][groups["forget"]].mean()),
        "stored": {name: _told(one) for name, one in zip(paths, profiles, strict=True)},
        "off": _deviation(live, task, dict(zip(paths, traces, strict=True)), groups),
        "map": _map(study, curve),
    }


def _images(task: Task, rows: Tensor | np.ndarray) -> Tensor:
    return instance("x of the task", task.x, Tensor, "a tensor of images")[torch.as_tensor(rows)]


def _told(profile: Profile) -> dict[str, Any]:
    """Losses of all images along a stored path, and what they say of MCU, in units of G."""
    found = profile.connectivity
    curves = {split: found.curves[f"loss_{split}"].round(5).tolist() for split in ("retain", "forget")}
    in_gap = {"rise": found.barrier() / profile.gap, "dip": found.deficit() / profile.gap}
    return {"t": found.t.tolist(), **curves, **in_gap}


def _deviation(live: Live, task: Task, traces: Mapping[str, Trace], groups: Mapping[str, Sequence[int]]) -> float:
    """The largest difference of a mean loss of the sample from the stored one, of rounding and table; NaN if any is."""
    start, middle, end = live.plane.models
    controls, worst = {"line": (start + end) / 2, "curve": middle}, 0.0
    for name, found in traces.items():
        for k in range(0, len(found.t), 3):
            t = found.t[k]
            place = (1 - t) ** 2 * start + 2 * t * (1 - t) * controls[name] + t**2 * end
            for split, chosen in groups.items():
                rows = torch.as_tensor(found.index[split][chosen])
                logits = live.logits(place, _images(task, rows))
                mean = float(torch.nn.functional.cross_entropy(logits, task.y[rows]))
                stored = float(per_example_loss(found, split)[k, chosen].mean())
                worst = np.maximum(worst, abs(mean - stored))  # NaN stays NaN
    return float(worst)


def _map(study: Study, curve: CurveSpec) -> dict[str, Any] | None:
    """Losses over the plane, for the picture behind the curve, where they are stored."""
    if isinstance(curve.end, AlignedSpec):  # of a straight line: there is no plane
        return None
    spec = PlaneSpec((curve.start, curve, curve.end), curve.forget, MAPPED, weighted=study.weighted)
    if spec not in study.store:
        return None
    found = study.store.get(spec)
    values = {split: found.values[f"loss_{split}"].round(3).tolist() for split in ("retain", "forget")}
    return {"x": found.x.tolist(), "y": found.y.tolist(), **values}


def page(data: Mapping[str, Any]) -> str:
    """The page of some `live_data`, one HTML file whose policy lets it run its own script and ask for nothing."""
    return filled(
        part("live.html"),
        f"\n{part('live.js')}",
        data,
        title=escape(data["title"]),
        forgotten=f"{data['forgotten']:,}",
        count=f"{data['net']['parameters']:,}",
        eps=f"{data['eps']:g}",
        gap=f"{data['gap']:.2f}",
        side=str(data["net"]["side"]),
        places=str(len(data["statistics"]["x"])),
        sample=str(data["groups"]["retain"]),
        off=f"{data['off']:.1g}",
    )
