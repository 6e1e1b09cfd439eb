"""Books: all numbers that the drawing of one or two paths needs, as compact JSON; `explorer.js` draws them.

A book has a chapter for each path. It holds every metric, prediction and place, so that nothing that a reader does to
the drawing asks a kernel for more. Numbers are those of `numbers.Numbers`, none is computed here. What is not finite
is null, since JSON knows no other word for it. Shapes: T points on a path, N forget examples.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..curves import points_at
from ..measures.drawing import label
from ..measures.planes import Plane
from ..traces import SPLITS
from .numbers import Forgotten, Numbers, units
from .page import coded
from .sources import BATCHNORM, Source

# A plane through a path's ends with the places of the path's points among its models, or why there is none.
Found = tuple[Plane, tuple[int, ...]] | str

STEPS = 41  # places of a path that are joined on a plane
SIDE = 64  # pixels: larger images are made smaller
PIXELS = 1_500_000  # bytes of all images before they are packed; those that change most come first
NOBODY = {np.dtype(np.uint8): 255, np.dtype("<u2"): 65535}  # no class, where a logit is not finite


def quantities() -> dict[str, tuple[str, ...]]:
    """Quantity -> the splits it exists for; none for a metric of its own name."""
    found: dict[str, list[str]] = {}
    for name in units():
        base, _, split = name.rpartition("_")
        if base and split in SPLITS:
            found.setdefault(base, []).append(split)
        else:
            found.setdefault(name, [])
    return {name: tuple(splits) for name, splits in found.items()}


def unit_of(name: str) -> tuple[str, float]:
    """Unit in which a metric is shown, and the factor to it: fractions are shown in %."""
    unit = units()[name]
    return ("%", 100.0) if unit == "fraction" else (unit, 1.0)


def title_of(name: str) -> str:
    """A metric's name in words, ``retain loss``."""
    base, _, split = name.rpartition("_")
    return f"{split} {base.replace('_', ' ')}" if base and split in SPLITS else name.replace("_", " ")


def book(chapters: Sequence[tuple[Source, Numbers, Found]]) -> dict[str, Any]:
    """All numbers of these paths, as values that `json.dumps` takes with ``allow_nan=False``.

    Args:
        chapters: what is told of each path: its source, its numbers, and its plane or why there is none.

    Returns:
        ``chapters`` by `chapter`, the ``planes`` that they name by number, the ``metrics`` and ``quantities`` there
        are, names of ``classes``, and ``pictures``: one image that holds all images, by `sheet`.
    """
    planes: list[Plane] = []
    told = [chapter(*one, planes) for one in chapters]
    metrics = {}
    for name in units():
        unit, factor = unit_of(name)
        metrics[name] = {"title": title_of(name), "unit": unit, "factor": factor, "digits": 1 if unit == "%" else 3}
    return {
        "chapters": told,
        "planes": [_map(one) for one in planes],
        "metrics": metrics,
        "quantities": [
            {"name": name, "label": label(name), "splits": list(splits)} for name, splits in quantities().items()
        ],
        "classes": list(chapters[0][1].classes),
        "pictures": sheet(chapters[0][1]),
    }


def chapter(source: Source, one: Numbers, found: Found, planes: list[Plane]) -> dict[str, Any]:
    """All numbers of one path, whose plane is added to ``planes`` where it is not there.

    ``values`` (T,) by metric, ``bands`` (2, T), ``levels`` (R,) of the retrained models and ``original`` one value;
    ``gap`` is G in nats or null; ``lacking`` says why there are no values of a metric.
    """
    lacking = {name: one.lacking(name) for name in units()}
    there = [name for name, why in lacking.items() if not why]
    bands = {name: one.band(name) for name in there}
    originals = {name: one.original_level(name) for name in there}
    return {
        "name": source.name,
        "label": source.label,
        "kind": label(source.picks.get("curve", "")),
        "reading": source.picks.get("reading", ""),
        "t": plain(one.t),
        "values": {name: plain(one.values(name)) for name in there},
        "bands": {name: plain(band) for name, band in bands.items() if band is not None},
        "levels": {name: plain(one.levels(name)) for name in there},
        "original": {name: plain(value) for name, value in originals.items() if value is not None},
        "gap": plain(one.gap),
        "lacking": {name: why for name, why in lacking.items() if why},
        "why": one.why,
        "images": None if one.forgotten is None else _images(one.forgotten),
        "nopictures": one.no_pictures if one.forgotten is not None else "",
        "plane": _place(source, one, found, planes),
    }


def plain(values: Any) -> Any:
    """Numbers as lists of floats as they are, null for what is not finite."""
    if values is None:
        return None
    values = np.asarray(values, dtype=np.float64)
    made = values.astype(object)
    made[~np.isfinite(values)] = None
    return made.tolist()


def _images(found: Forgotten) -> dict[str, Any]:
    """What is predicted of the forget examples (T, N), one or two bytes each, and how surely, in whole %.

    ``called`` counts it by class: at each t, ``counts`` (T, P) of the examples of class ``truth`` (P,) are predicted as
    ``answer`` (P,), null for no prediction, sparsely: most pairs of many classes never occur.
    """
    most = max(int(found.predicted.max(initial=0)), int(found.labels.max(initial=0)))
    kind = np.dtype(np.uint8) if most < NOBODY[np.dtype(np.uint8)] else np.dtype("<u2")
    sure = np.where(np.isfinite(found.confidence), np.rint(100 * found.confidence), 255)
    across = int(found.predicted.max(initial=-1)) + 2
    codes = found.labels[None, :] * across + found.predicted + 1
    pairs, places = np.unique(codes, return_inverse=True)
    places = places.reshape(codes.shape)  # some versions of numpy return it flat
    counts = np.stack([np.bincount(row, minlength=len(pairs)) for row in places])
    answers = [None if one < 0 else one for one in (pairs % across - 1).tolist()]
    return {
        "rows": found.rows.tolist(),
        "labels": found.labels.tolist(),
        "bytes": kind.itemsize,
        "predicted": coded(np.where(found.predicted < 0, NOBODY[kind], found.predicted).astype(kind)),
        "sure": coded(sure.astype(np.uint8)),
        "called": {"truth": (pairs // across).tolist(), "answer": answers, "counts": counts.tolist()},
    }


def _place(source: Source, one: Numbers, found: Found, planes: list[Plane]) -> dict[str, Any]:
    """Where a path runs on its plane: the plane's number, places of a smooth line and of the points t; or why not.

    ``quadratic`` says whether it is one curve of one control point, which a reader can drag on the plane.
    """
    if isinstance(found, str):
        return {"why": found}
    plane, places = found
    number = next((k for k, other in enumerate(planes) if np.array_equal(other.models, plane.models)), len(planes))
    if number == len(planes):
        planes.append(plane)
    nodes = plane.models[list(places)]
    kind = kind_on(source, nodes)
    line, spots = (_rounded(points_at(kind, nodes, t)) for t in (np.linspace(0, 1, STEPS), one.t))
    quadratic = kind == "bezier" and len(nodes) == 3
    return {"number": number, "line": line, "spots": spots, "nodes": _rounded(nodes), "quadratic": quadratic}


def kind_on(source: Source, nodes: np.ndarray) -> str:
    """The kind of curve that a path is on its plane, by the models it is made of."""
    return "linear" if len(nodes) == 2 else source.picks["curve"]


def _map(plane: Plane) -> dict[str, Any]:
    """A plane's grid and its losses (Y, X), row by row, in five digits: a picture shows no more."""
    names = plane.meta.get("names", "").split("\n") if "names" in plane.meta else [""] * len(plane.models)
    return {
        "x": _rounded(plane.x),
        "y": _rounded(plane.y),
        "models": [{"at": at, "name": name} for at, name in zip(_rounded(plane.models), names, strict=True)],
        "values": {name: _rounded(values) for name, values in plane.values.items() if name.startswith("loss_")},
        "about": about(plane),
    }


def about(plane: Plane) -> str:
    """On what the losses of a plane were measured, in words: examples, BatchNorm and grid are its own."""
    rows, policy = plane.meta.get("rows", ""), plane.meta.get("batchnorm", "")
    examples = f"{rows} examples a split" if rows.isdigit() else "its own examples"
    refreshed = f"BatchNorm {BATCHNORM[policy]}" if policy in BATCHNORM else "its own BatchNorm statistics"
    return f"{examples} and {refreshed}, at {len(plane.x)} × {len(plane.y)} places"


def _rounded(values: np.ndarray) -> Any:
    values = np.asarray(values, dtype=np.float64)
    short = np.array([float(f"{one:.5g}") for one in values.ravel()])
    return plain(short.reshape(values.shape))


def sheet(one: Numbers) -> dict[str, Any] | None:
    """All images of a path's forget set in one, side by side, as a png in a data URL; None where there are none.

    ``rows`` of the data set, in the order of the image's cells, ``columns`` of them, ``width`` and ``height`` of each.
    """
    found, x = one.forgotten, getattr(one.known_task, "x", None)
    if found is None or not len(found.rows) or one.no_pictures or not isinstance(x, Tensor):
        return None
    channels, *sides = x.shape[1:]
    fitting = max(24, PIXELS // max(1, channels * min(sides[0], SIDE) * min(sides[1], SIDE)))  # at least a page of them
    pictures = one.pictures(range(min(len(found.rows), fitting)))
    cells = [_small(picture) for picture in ([] if pictures is None else pictures)]
    height, width, channels = cells[0].shape
    columns = int(np.ceil(np.sqrt(len(cells))))
    whole = np.zeros((-(-len(cells) // columns) * height, columns * width, channels), dtype=np.uint8)
    for k, cell in enumerate(cells):
        y, x = k // columns * height, k % columns * width
        whole[y : y + height, x : x + width] = cell
    source = f"data:image/png;base64,{coded(png(whole))}"
    rows = found.rows[: len(cells)].tolist()
    return {"source": source, "rows": rows, "columns": columns, "width": width, "height": height}


def _small(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W) as rows of pixels (H, W, 3 or 1), its sides at most `SIDE`; its first channel if not three."""
    pixels = image.transpose(1, 2, 0) if len(image) == 3 else image[0][..., None]
    height, width = pixels.shape[:2]
    share = SIDE / max(height, width)
    if share >= 1:
        return pixels
    made = np.asarray(_picture(pixels).resize((max(1, round(width * share)), max(1, round(height * share)))))
    return made[..., None] if made.ndim == 2 else made


def _picture(pixels: np.ndarray):
    from PIL import Image

    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[2] == 1 else pixels)


def png(pixels: np.ndarray) -> bytes:
    """Pixels (H, W, 3 or 1) uint8 as a PNG."""
    made = io.BytesIO()
    _picture(pixels).save(made, "png", optimize=True)
    return made.getvalue()
