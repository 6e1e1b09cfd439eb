"""Plans: what a preset would compute, how long it would take and how much it would store, without computing it."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import BadInput, number, shown
from ..files import DATA
from .runs import missing
from .specs import KINDS, CurveSpec, ProfileSpec, Spec, key, kind_of, plain
from .specs.data import cost, network_of, readable
from .store import Store
from .upkeep import notes

Takes = Callable[[Mapping[str, Any]], float]  # the description of a spec -> CPU seconds
TIMINGS = DATA / "timings.csv"
COLUMNS = ("kind", "method", "optimizer", "model", "results", "seconds", "work")


class Listed:
    """The specs whose results a store lists, unread: a plan opens nothing, the run that reads them notices damage."""

    def __init__(self, store: Store):
        self.keys = store.listed()

    def __contains__(self, spec: Spec) -> bool:
        return key(spec) in self.keys


@readable
def work(description: Mapping[str, Any]) -> float:
    """Floating-point operations of a result, roughly: example passes times the network's cost."""
    return KINDS[description["spec"]].work(description, cost(description)[0])


@readable
def size(description: Mapping[str, Any]) -> float:
    """Bytes of a result, roughly."""
    return KINDS[description["spec"]].size(description)


@readable
def group(description: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What recorded run times are gathered by: kind, method, optimiser, architecture."""
    made_by = description.get("start") or description.get("endpoint") or {}
    maker = description if description["spec"] == "Unlearned" else made_by
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
    rows = []
    for name, pairs in sorted(table.items()):
        seconds, operations = map(sum, zip(*pairs, strict=True))
        rows.append((*name, len(pairs), round(seconds, 2), f"{operations:.4g}"))
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


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


def plan(specs: Iterable[Spec], store: Store, takes: Takes | None = None) -> list[dict[str, Any]]:
    """What computing these specs would take: rows of kind, stored, to compute, CPU seconds and megabytes.

    ``takes`` gives the seconds of each, by default `seconds_of` the store.
    """
    takes, there = takes or seconds_of(store), Listed(store)
    specs = list(dict.fromkeys(specs))
    table: dict[str, dict[str, Any]] = {}

    def row(spec: Spec) -> dict[str, Any]:
        empty = {"kind": kind_of(spec), "stored": 0, "to compute": 0, "CPU seconds": 0.0, "MB": 0.0}
        return table.setdefault(kind_of(spec), empty)

    for spec in specs:
        if spec in there:
            row(spec)["stored"] += 1
    for spec in missing(specs, there):
        description, entry = plain(spec), row(spec)
        entry["to compute"] += 1
        entry["CPU seconds"] += takes(description)
        entry["MB"] += size(description) / 1e6
    return list(table.values())


def seconds_of(store: Store, rows: Sequence[Mapping[str, Any]] | None = None) -> Takes:
    """What computing a spec takes, by its description (`specs.plain`), in CPU seconds.

    They come from recorded run times (``rows``, else the store's own, else those shipped), scaled by the work of each
    result; NaN where no run of the kind, nor of one that works alike, was ever recorded.
    """

    @cache
    def known() -> list[Sequence[Mapping[str, Any]]]:
        return [rows] if rows is not None else [gathered(notes([store.folder]).values()), read_timings()]

    @cache
    def rate_of(name: tuple[str, ...]) -> float:
        like = KINDS[name[0]].like if name[0] in KINDS else ""
        names = [name, *([(like, *name[1:])] if like else [])]
        rates = (rate(one, part) for one in names for part in known())
        return next((found for found in rates if found is not None), math.nan)

    return lambda description: rate_of(group(description)) * work(description)


def parts(groups: Mapping[str, Iterable[Spec]], store: Store, takes: Takes | None = None) -> list[dict[str, Any]]:
    """What each of several groups of specs adds to those before it: rows of name, to compute, paths, CPU seconds.

    ``paths`` are the profiles of curves among them, stored or not; what one group computes the next finds. ``takes``
    as for `plan`.
    """
    takes, there, seen, walked = takes or seconds_of(store), Listed(store), set[Spec](), set[Spec]()
    found = []
    for name, specs in groups.items():
        specs = list(specs)
        new = [spec for spec in missing(specs, there) if spec not in seen]
        paths = {
            one for one in specs if isinstance(one, ProfileSpec) and isinstance(one.trace.model, CurveSpec)
        } - walked
        seen.update(new)
        walked.update(paths)
        seconds = sum(takes(plain(spec)) for spec in new)
        found.append({"name": name, "to compute": len(new), "paths": len(paths), "CPU seconds": seconds})
    return found


def parts_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many paths are walked in all, and what one costs, everything that it hangs on counted."""
    paths, seconds = (sum(row[k] for row in rows) for k in ("paths", "CPU seconds"))
    if not paths or math.isnan(seconds):
        return f"{paths} paths are walked."
    return f"{paths} paths are walked, at {seconds / paths:.1f} CPU seconds each, all told."


def plan_text(rows: Sequence[Mapping[str, Any]], workers: int) -> str:
    """One closing line: how much there is to do, and how long that is on so many workers."""
    count, seconds, size = (sum(row[k] for row in rows) for k in ("to compute", "CPU seconds", "MB"))
    if math.isnan(seconds):
        unknown = ", ".join(row["kind"] for row in rows if math.isnan(row["CPU seconds"]))
        return f"{count} results to compute: {size:,.0f} MB, in a time not known, since none ran yet of {unknown}."
    minutes = f"about {seconds / workers / 60:,.0f} min on {workers} workers"
    return f"{count} results to compute: {seconds:,.0f} CPU seconds, {minutes}, {size:,.0f} MB."
