"""Plans: what a preset would compute, how long it would take and how much it would store, without computing it."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..data.tasks import BN_SIZE, RETAIN_EVAL_SIZE, SHAPES, VALID_FRACTION, Task
from ..errors import BadInput, number, shown, whole
from ..files import DATA
from ..models.vision import build
from ..plugins import CHANGED
from .runs import missing
from .specs import DataSpec, Spec, kind_of, plain
from .store import Store
from .upkeep import notes

TIMINGS = DATA / "timings.csv"
COLUMNS = ("kind", "method", "optimizer", "model", "results", "seconds", "work")
BACKWARD = 2  # forward passes that a backward pass is worth
REPLICATES = 1e7  # floating-point operations that one bootstrap replicate at one point is worth, about


# What reading a description that is none of a spec raises, and building a network of impossible sizes.
ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RuntimeError)
Reader = TypeVar("Reader", bound=Callable[..., Any])


def _readable(reader: Reader) -> Reader:
    """A reader of what `plain` wrote that raises `BadInput`, and nothing else, for any other table."""

    @wraps(reader)
    def read(description: Mapping[str, Any], *more: Any) -> Any:
        try:
            return reader(description, *more)
        except BadInput:
            raise
        except ODD as error:
            raise BadInput(f"{shown(description)} is no description of a spec ({shown(error)}).") from None

    return read  # type: ignore[return-value]


@_readable
def data_of(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a spec written by `plain`: its own, or that of what it is made from."""
    if isinstance(description.get("data"), Mapping):
        return description["data"]
    for part in _made_from(description):
        return data_of(part)
    raise BadInput(f"a {description.get('spec')} names no data.")


@_readable
def network_of(description: Mapping[str, Any]) -> tuple[str, int]:
    """The architecture and width of a spec written by `plain`."""
    if isinstance(description.get("model"), str):
        return description["model"], whole("width", description["width"], 1)
    for part in _made_from(description):
        return network_of(part)
    raise BadInput(f"a {description.get('spec')} names no network.")


def _made_from(description: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The results that name a spec's data and network, most telling first."""
    parts = [description.get(name) for name in ("origin", "start", "model", "trace")]
    return [part for part in (*parts, *description.get("models", ())) if isinstance(part, Mapping)]


def form_of(data: Mapping[str, Any]) -> tuple[tuple[int, ...], int]:
    """Shape of an example of a spec's data and the number of classes; loads what is not built in."""
    if data["dataset"] in SHAPES:
        return SHAPES[data["dataset"]][2:]
    task = _task_of(data)
    if isinstance(task.x, Mapping):
        raise BadInput(f"the examples of {task.dataset} are several tensors each, whose cost is not known.")
    return tuple(task.x.shape[1:]), task.n_classes


def _task_of(data: Mapping[str, Any], forget: float | None = None) -> Task:
    found = DataSpec(data["dataset"], data["train_size"], data["test_size"], data["checksum"])
    return found.pool if forget is None else found.task(forget)


@lru_cache(maxsize=64)
def cost_of(model: str, width: int, shape: tuple[int, ...], classes: int) -> tuple[float, int]:
    """Floating-point operations of a forward pass of one example, and the number of a network's parameters."""
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.device("meta"):
            net = build(model, shape[0], classes, seed=0, width=width).eval()
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(1, *shape, device="meta"))
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"a {model} of width {width} does not take examples of shape {shape}.") from None
    return float(counter.get_total_flops()), sum(p.numel() for p in net.parameters())


CHANGED.append(cost_of.cache_clear)


def _cost(description: Mapping[str, Any]) -> tuple[float, int]:
    return cost_of(*network_of(description), *form_of(data_of(description)))


@_readable
def evaluated(data: Mapping[str, Any], forget: float) -> int:
    """Examples in a trace of a task: retain sample, forget set, validation and test."""
    if data["dataset"] not in SHAPES:
        return sum(map(len, _task_of(data, forget).evaluation.values()))
    train, test, *_ = SHAPES[data["dataset"]]
    train, test = int(data["train_size"]) or train, int(data["test_size"]) or test
    valid = round(VALID_FRACTION * train)
    lost = round(forget * (train - valid))
    return min(RETAIN_EVAL_SIZE, (train - valid - lost) // 2) + lost + valid + test


@_readable
def work(description: Mapping[str, Any]) -> float:
    """Floating-point operations of a result, roughly: example passes times the network's cost."""
    kind = description["spec"]
    flops, _ = _cost(description)
    if kind == "TraceOf":
        return flops * description["points"] * (evaluated(data_of(description), description["forget"]) + BN_SIZE)
    if kind == "Profile":
        return REPLICATES * description["trace"]["points"] * description["bootstrap"]
    if kind == "PlaneOf":
        return flops * description["resolution"] ** 2 * (3 * description["rows"] + BN_SIZE)
    if kind == "Alike":
        return flops * len(description["models"]) * description["rows"]
    if kind in ("CueUse", "MetricOf"):
        return REPLICATES * description.get("trace", description)["points"]
    plan = description.get("plan") or (description.get("settings") or {}).get("plan")
    if not plan:
        return flops * BN_SIZE
    batch = plan["batch_size"] + (plan["forget_batch_size"] if kind in ("Unlearned", "Path") else 0)
    return flops * plan["steps"] * batch * (1 + BACKWARD)


@_readable
def size(description: Mapping[str, Any]) -> float:
    """Bytes of a result, roughly."""
    kind, data = description["spec"], data_of(description)
    if kind == "TraceOf":
        return 2 * form_of(data)[1] * description["points"] * evaluated(data, description["forget"])
    if kind in ("Alike", "CueUse", "PlaneOf", "MetricOf"):
        return 10_000
    if kind == "Profile":
        # A curve's holds bootstrap replicates of its measures beside the values along it.
        points = description["trace"]["points"]
        return 2_400 if points == 1 else 9_840 + 260 * points
    return 4 * _cost(description)[1] * max(1, description.get("control_points", 1))


@_readable
def group(description: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What recorded run times are gathered by: kind, method, optimiser, architecture."""
    maker = description if description["spec"] == "Unlearned" else description.get("start") or {}
    method = description.get("method") or maker.get("method", "")
    kind = description["spec"] if description["spec"] != "Path" else description["kind"]
    found = kind, method, maker.get("optimizer", ""), network_of(description)[0]
    if not all(isinstance(name, str) for name in found):
        raise BadInput(f"kind, method, optimizer and model of a spec must be names, got {shown(found)}.")
    return found


def gathered(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of recorded run times by `group`, from results' provenance; what cannot be read there is left out."""
    table: dict[tuple, list[tuple[float, float]]] = defaultdict(list)
    for note in found:
        with suppress(BadInput, KeyError):
            timed = number("seconds", note["seconds"], 0), number("work", work(note["spec"]), 0)
            table[group(note["spec"])].append(timed)
    return [
        {
            **dict(zip(COLUMNS, name, strict=False)),
            "results": len(table[name]),
            "seconds": round(sum(s for s, _ in table[name]), 2),
            "work": f"{sum(w for _, w in table[name]):.4g}",
        }
        for name in sorted(table)
    ]


def updated(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of recorded run times, those of a group replaced by newer ones."""
    rows = {tuple(row[name] for name in COLUMNS[:4]): row for row in (*old, *new)}
    return [rows[name] for name in sorted(rows)]


def write_timings(rows: Iterable[Mapping[str, Any]], path: Path = TIMINGS) -> None:
    """Write recorded run times as csv."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_timings(path: Path = TIMINGS) -> list[dict[str, Any]]:
    """Read what `write_timings` wrote; empty where there is none."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rate(name: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> float | None:
    """CPU seconds per floating-point operation from the rows most like a group, or None where nothing is alike.

    Alike is: the same kind, method, optimiser and architecture; else without the method; else without the
    optimiser; else the kind alone.
    """
    for same in ((0, 1, 2, 3), (0, 2, 3), (0, 3), (0,)):
        chosen = [r for r in rows if all(r[COLUMNS[i]] == name[i] for i in same)]
        seconds, total = (sum(float(r[k]) for r in chosen) for k in ("seconds", "work"))
        if total > 0:
            return seconds / total
    return None


def plan(specs: Iterable[Spec], store: Store, rows: Sequence[Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
    """What computing these specs would take: rows of kind, stored, to compute, CPU seconds and megabytes.

    Seconds come from recorded run times (``rows``, else the store's own, else those shipped), scaled by the work of
    each result; NaN where no run of the kind was ever recorded.
    """
    known = [rows] if rows is not None else [gathered(notes([store.folder]).values()), read_timings()]
    specs = list(dict.fromkeys(specs))
    table: dict[str, dict[str, Any]] = {}

    def row(spec: Spec) -> dict[str, Any]:
        empty = {"kind": kind_of(spec), "stored": 0, "to compute": 0, "CPU seconds": 0.0, "MB": 0.0}
        return table.setdefault(kind_of(spec), empty)

    for spec in specs:
        if spec in store:
            row(spec)["stored"] += 1
    rates: dict[tuple, float | None] = {}
    for spec in missing(specs, store):
        description, entry = plain(spec), row(spec)
        name = group(description)
        if name not in rates:
            rates[name] = next((found for one in known if (found := rate(name, one)) is not None), None)
        entry["to compute"] += 1
        entry["CPU seconds"] += float("nan") if rates[name] is None else rates[name] * work(description)
        entry["MB"] += size(description) / 1e6
    return list(table.values())


def plan_text(rows: Sequence[Mapping[str, Any]], workers: int) -> str:
    """One closing line: how much there is to do, and how long that is on so many workers."""
    count, seconds, size = (sum(row[k] for row in rows) for k in ("to compute", "CPU seconds", "MB"))
    if math.isnan(seconds):
        unknown = ", ".join(row["kind"] for row in rows if math.isnan(row["CPU seconds"]))
        return f"{count} results to compute: {size:,.0f} MB, in a time not known, since none ran yet of {unknown}."
    minutes = f"about {seconds / workers / 60:,.0f} min on {workers} workers"
    return f"{count} results to compute: {seconds:,.0f} CPU seconds, {minutes}, {size:,.0f} MB."
