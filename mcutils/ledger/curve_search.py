"""The search behind ``[curve.independent]``: how a curve between models trained apart is fitted, by validation alone.

Rule. Along the curve from one retrained model to another of other initial weights, fitted with cross-entropy on D_r,
the mean over t of the loss on validation data (nats, trapezoid rule over 11 points) is to be lowest; among settings
within 2 % of the lowest the one with the fewest steps wins, since every pair of models pays for them. Both models are
of seeds that no study uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.specs import CurveSpec
from ..engine.study import Study
from ..errors import BadInput
from ..files import DATA
from ..measures.along import barrier
from ..measures.metrics import mean_loss
from ..settings import train_plan
from ..traces import Trace
from .search import csv_rows, write_csv

SEEDS = (8, 9)  # of the two retrained models: never those of the studies
POINTS = 11
WITHIN = 1.02  # of the lowest score
GRID: tuple[dict[str, tuple], ...] = (
    {"lr": (3e-3, 1e-2), "steps": (630,), "schedule": ("one_cycle",)},
    {"lr": (1e-2,), "steps": (630,), "schedule": ("linear",)},
    {"lr": (1e-2,), "steps": (1260,), "schedule": ("one_cycle",)},
)
COLUMNS = "lr steps schedule valid valid_highest valid_line retain_barrier retain_barrier_line seconds".split()


def curves(bench: Study) -> list[CurveSpec]:
    """The curves of the grid."""
    first, second = (bench.retrained(seed) for seed in SEEDS)
    tables = [dict(zip(grid, values, strict=True)) for grid in GRID for values in product(*grid.values())]
    plans = [replace(train_plan(bench.settings), **table) for table in tables]
    return [bench.path(first, second, kind="bezier", plan=plan) for plan in plans]


def rows_for(bench: Study) -> list[dict[str, Any]]:
    """Fit the curves and read their losses on validation and retain data."""
    found = curves(bench)
    straight = bench.path(found[0].start, found[0].end)
    (line, *traces) = bench.run([bench.trace(path, points=POINTS) for path in (straight, *found)])

    def measured(trace: Trace) -> tuple[float, float, float]:
        valid = mean_loss(trace, "valid")
        mean = np.diff(trace.t) @ (valid[1:] + valid[:-1]) / 2
        return float(mean), float(valid.max()), float(barrier(mean_loss(trace, "retain"), trace.t))

    rows, of_line = [], measured(line)
    for path, trace in zip(found, traces, strict=True):
        values = *measured(trace), of_line[0], of_line[2]
        names = "valid valid_highest retain_barrier valid_line retain_barrier_line".split()
        plan = {name: getattr(path.plan, name) for name in COLUMNS[:3]}
        rounded = {name: round(value, 6) for name, value in zip(names, values, strict=True)}
        rows.append({**plan, **rounded, "seconds": bench.store.seconds(path)})
    return rows


def best(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The winning row: the fewest steps within 2 % of the lowest score, then the lowest score."""
    if not rows:
        raise BadInput("no rows to choose from: run the search first.")
    enough = WITHIN * min(float(row["valid"]) for row in rows)
    good = [row for row in rows if float(row["valid"]) <= enough]
    return min(good, key=lambda row: (int(row["steps"]), float(row["valid"]), float(row["lr"])))


def table_path(settings: str) -> Path:
    """Where the search for a settings file's ``[curve.independent]`` keeps its rows."""
    return DATA / "search" / f"{settings}.curves.csv"


def read_rows(settings: str) -> list[dict[str, str]]:
    """The rows of a finished search, none where there was none."""
    path = table_path(settings)
    return csv_rows(path) if path.is_file() else []


def write_rows(settings: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace the rows of a search."""
    write_csv(table_path(settings), COLUMNS, rows)


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line on the winner and what it is compared with."""
    won = best(rows)
    return (
        f"curves between models trained apart: lr {float(won['lr']):g}, {won['steps']} steps, {won['schedule']} ->"
        f" validation loss {float(won['valid']):.3f} along the curve ({float(won['valid_line']):.3f} on the line),"
        f" retain barrier {float(won['retain_barrier']):.3f} ({float(won['retain_barrier_line']):.3f})"
    )
