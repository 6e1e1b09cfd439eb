"""The search behind the settings files: every method on a grid, chosen on validation data, never on test.

Rule. D_f should look like data the model never saw, at no cost elsewhere. With accuracies in points of the unlearned
model on D_f (f), the validation set (v) and D_r (r), and of the original model (v_o, r_o), the smallest

    score = |f - v| + max(0, r_o - r) + max(0, v_o - v)

wins, averaged over the tuning seeds, among the settings that close at least half of the original model's gap f_o -
v_o between D_f and unseen data, where the method has any: a setting that does nothing is not unlearning. (This
condition was added after a first search, in which doing nothing won for gradient ascent.) No retrained model is
needed. Beside it stands what the field's usual rule would have chosen, which needs one: the smallest mean of |UA -
UA*|, |RA - RA*|, |VA - VA*| to a retrained model (*), with validation in the place of test accuracy.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..engine.specs import UnlearnedSpec
from ..engine.study import Study, study
from ..errors import BadInput, choose
from ..files import DATA
from ..settings import FOLDER, MethodSettings, Plan, method_settings
from . import curve_search

SEEDS = (7, 8)  # never those of the studies
BASE = {"steps": 100}
RELABELLED = (
    {"lr": (1e-3, 2e-3), "forget_batch_size": (16, 32, 64), "schedule": ("linear",)},
    {"lr": (5e-4, 1e-3), "forget_batch_size": (32,)},
    {"lr": (2e-3, 4e-3), "forget_batch_size": (64, 128), "steps": (200,), "schedule": ("linear",)},
)
GRID: dict[str, tuple[dict[str, tuple], ...]] = {
    "finetune": (
        {"lr": (1e-3, 3e-3, 1e-2), "steps": (200,)},
        {"lr": (3e-3, 1e-2), "steps": (400,), "schedule": ("linear",)},
    ),
    "gradient_ascent": ({"lr": (2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4), "steps": (10, 25, 50)},),
    "gradient_difference": ({"lr": (5e-4, 1e-3, 2e-3), "options.alpha": (0.8, 0.87, 0.92)},),
    "random_labels": RELABELLED,
    "salun": RELABELLED,
    "npo": ({"lr": (5e-4, 1e-3, 2e-3), "options.forget_weight": (0.1, 0.2, 0.4)},),
    "scrub": (
        {"lr": (2.5e-4, 5e-4, 1e-3), "options.msteps": (1, 2), "options.alpha": (0.001, 0.1), "steps": (140,)},
        {"lr": (1e-3, 2e-3), "options.msteps": (1, 2, 3), "steps": (210,), "schedule": ("linear",)},
        {"lr": (1e-3, 1.5e-3), "options.msteps": (4,), "options.temperature": (4.0, 2.0)}
        | {"steps": (280,), "schedule": ("linear",)},
    ),
    "bad_teacher": (
        {"lr": (1e-3, 2e-3), "forget_batch_size": (32, 64)},
        {"lr": (2e-3, 4e-3), "forget_batch_size": (32, 64), "steps": (200,), "schedule": ("linear",)},
    ),
    "l1_sparse": (
        {"lr": (1e-3, 3e-3), "options.gamma": (1e-5, 3e-5, 1e-4, 3e-4), "steps": (200,)},
        {"lr": (3e-3, 1e-2), "options.gamma": (1e-4, 3e-4), "steps": (400,), "schedule": ("linear",)},
    ),
}
VARIANTS = {
    ("none", "sophia_g"): (0.03, 0.1, 0.3),
    ("none", "soul"): (0.03, 0.1, 0.3),
    ("superloss", "adamw"): (0.5, 1.0, 2.0),
    ("superloss_authors", "adamw"): (0.5, 1.0, 2.0),
}
COLUMNS = (
    "method curriculum optimizer lr steps schedule batch_size forget_batch_size options seed"
    " forget valid retain forget_original valid_original retain_original"
    " forget_retrained valid_retrained retain_retrained seconds"
).split()


def context(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a row's setting is chosen for."""
    return row["method"], row["curriculum"], row["optimizer"]


def candidates(method: str) -> list[dict[str, Any]]:
    """All combinations of the method's grid, as flat tables like those of a settings file."""
    return [
        {**BASE, **dict(zip(grid, values, strict=True))}
        for grid in GRID[method]
        for values in itertools.product(*grid.values())
    ]


def settings_of(start: MethodSettings, table: Mapping[str, Any]) -> MethodSettings:
    """Settings with the flat table's entries put in."""
    own = {k.removeprefix("options."): v for k, v in table.items() if k.startswith("options.")}
    plan = replace(start.plan, **{k: v for k, v in table.items() if not k.startswith("options.")})
    return replace(start, plan=plan, options=tuple(sorted({**dict(start.options), **own}.items())))


def score(row: Mapping[str, Any]) -> float:
    """The rule's score in accuracy points, lower is better."""
    f, v, r = (100 * float(row[k]) for k in ("forget", "valid", "retain"))
    v_o, r_o = (100 * float(row[k]) for k in ("valid_original", "retain_original"))
    return abs(f - v) + max(0.0, r_o - r) + max(0.0, v_o - v)


def oracle_gap(row: Mapping[str, Any]) -> float:
    """Mean distance to the retrained model over forget, retain and validation accuracy, in points."""
    return sum(100 * abs(float(row[k]) - float(row[f"{k}_retrained"])) for k in ("forget", "valid", "retain")) / 3


def forgotten(row: Mapping[str, Any]) -> float:
    """Share of the original model's gap between forget and validation accuracy that was closed."""
    f, f_o, v_o = (float(row[k]) for k in ("forget", "forget_original", "valid_original"))
    return (f_o - f) / (f_o - v_o) if f_o > v_o else 1.0


def best(rows: Iterable[Mapping[str, Any]], rule=score) -> list[Mapping[str, Any]]:
    """The rows (one per seed) of the setting with the lowest mean; ties go to fewer steps and a lower rate.

    Under the rule `score`, settings that on average close less than half of the gap to unseen data count only where
    there are no others.
    """
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in COLUMNS[:9]), []).append(row)
    if not groups:
        raise BadInput("no rows to choose from: run the search first.")
    mean = lambda group, of: round(sum(map(of, group)) / len(group), 6)  # noqa: E731
    enough = [g for g in groups.values() if rule is not score or mean(g, forgotten) >= 0.5] or list(groups.values())
    return min(enough, key=lambda g: (mean(g, rule), float(g[0]["steps"]), float(g[0]["lr"])))


def rows_for(bench: Study, jobs: list[tuple[str, str, str, MethodSettings, int]]) -> list[dict[str, Any]]:
    """Run endpoints and read their accuracies on forget, validation and retain data; test data are not looked at."""
    from ..measures.metrics import accuracy

    ends = [UnlearnedSpec(bench.original(), bench.preset.forget, m, c, o, seed, s) for m, c, o, s, seed in jobs]
    models = [bench.original(), bench.retrained(SEEDS[0]), *ends]
    traces = bench.run([bench.trace(model) for model in models])
    points = [{s: round(float(accuracy(t, s)[0]), 6) for s in ("forget", "valid", "retain")} for t in traces]
    base = {f"{s}_original": points[0][s] for s in ("forget", "valid", "retain")} | {
        f"{s}_retrained": v for s, v in points[1].items()
    }
    rows = []
    for (method, curriculum, optimizer, settings, seed), end, point in zip(jobs, ends, points[2:], strict=True):
        plan = settings.plan
        made = {k: getattr(plan, k) for k in ("lr", "steps", "schedule", "batch_size", "forget_batch_size")}
        options = " ".join(f"{k}={v}" for k, v in settings.options)
        named = {"method": method, "curriculum": curriculum, "optimizer": optimizer, "options": options, "seed": seed}
        rows.append({**named, **made, **point, **base, "seconds": bench.store.seconds(end)})
    return rows


def table_path(settings: str) -> Path:
    """Where the search of a settings file keeps its rows."""
    return DATA / "search" / f"{settings}.csv"


def read_rows(settings: str) -> list[dict[str, str]]:
    """The rows of a finished search."""
    path = table_path(settings)
    if not path.is_file():
        raise BadInput(f"there is no search for {settings} ({path.name}): run python -m mcutils search.")
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write_rows(settings: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace the rows of a search."""
    path = table_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def chosen(rows: Iterable[Mapping[str, Any]], method: str, curriculum="none", optimizer="adamw", rule=score):
    """The winning rows of one method under one curriculum and optimiser."""
    return best([row for row in rows if context(row) == (method, curriculum, optimizer)], rule)


def parsed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's settings as the flat table of a settings file."""
    table: dict[str, Any] = {"lr": float(row["lr"]), "schedule": str(row["schedule"])}
    table |= {k: int(row[k]) for k in ("steps", "batch_size", "forget_batch_size")}
    for item in str(row["options"]).split():
        name, value = item.split("=", 1)
        table[f"options.{name}"] = int(value) if value.isdigit() else float(value)
    return table


def toml(rows: Sequence[Mapping[str, Any]]) -> str:
    """The ``[methods.*]`` tables of a settings file for the winners of a search."""
    lines = []
    for method in GRID:
        winner = parsed(chosen(rows, method)[0])
        usual = {"batch_size": Plan.batch_size, "schedule": Plan.schedule}
        shown = {k: v for k, v in winner.items() if v != usual.get(k)}
        lines += [f"[methods.{method}]", *(f"{k} = {json.dumps(v)}" for k, v in shown.items()), ""]
        for curriculum, optimizer in VARIANTS:
            part = f"curricula.{curriculum}" if optimizer == "adamw" else f"optimizers.{optimizer}"
            if (method, curriculum, optimizer) in map(context, rows):
                lr = parsed(chosen(rows, method, curriculum, optimizer)[0])["lr"]
                rate = f"lr = {lr!r}" if optimizer != "adamw" else f"lr_scale = {lr / winner['lr']:g}"
                lines += [f"[methods.{method}.{part}]", rate, ""]
    return "\n".join(lines)


def write_settings(settings: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the ``[methods.*]`` tables of a settings file, leaving its other tables before the marker line."""
    path = FOLDER / f"{settings}.toml"
    marker = "# Below: written by python -m mcutils search, the winners of data/search.\n"
    head = re.sub(r"(?ms)^\[methods\..*?(?=^\[(?!methods\.)|\Z)", "", path.read_text().split(marker)[0])
    path.write_text(f"{head.rstrip()}\n\n{marker}\n{toml(rows)}")


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of the winners by both rules."""
    lines = ["method, curriculum, optimizer: rule: settings -> forget / valid / retain, score, gap"]
    for key in dict.fromkeys(map(context, rows)):
        for name, rule in (("validation", score), ("oracle", oracle_gap)):
            group = chosen(rows, *key, rule=rule)
            first = group[0]
            f, v, r = (100 * sum(float(g[k]) for g in group) / len(group) for k in ("forget", "valid", "retain"))
            s, gap = (sum(map(q, group)) / len(group) for q in (score, oracle_gap))
            made = f"lr {float(first['lr']):g}, {first['steps']} steps, {first['schedule']}"
            made += f", D_f batch {first['forget_batch_size']} {first['options']}".rstrip()
            found = f"{f:.1f} / {v:.1f} / {r:.1f}, {s:.2f}, {gap:.2f}"
            lines.append(f"{', '.join(key)}: {name}: {made} -> {found}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m mcutils search``."""
    parser.add_argument("--preset", default="laptop", help="whose data, network and forget fraction (default laptop)")
    parser.add_argument("--methods", nargs="*", default=[], help=f"only these of {', '.join(GRID)}")
    parser.add_argument("--store", default="", help="folder of results (default build/store)")
    parser.add_argument(
        "--variants", action="store_true", help="learning rates of curricula and optimisers, after the methods"
    )
    parser.add_argument("--curves", action="store_true", help="how curves between models trained apart are fitted")
    parser.add_argument("--write", action="store_true", help="write the winners into the settings file")
    parser.add_argument("--show", action="store_true", help="print the winners of the kept rows and run nothing")


def main(arguments: argparse.Namespace) -> int:
    """Run the search, keep its rows in data/search, print the winners by both rules (or that of curves, by its own)."""
    bench = study(arguments.preset, store=arguments.store)
    name = bench.settings
    if arguments.curves:
        if not arguments.show:
            curve_search.write_rows(name, curve_search.rows_for(bench))
        print(curve_search.report(curve_search.read_rows(name)))
        return 0
    methods = [choose("method", m, GRID) for m in arguments.methods] or list(GRID)
    rows: list[dict[str, Any]] = list(read_rows(name)) if table_path(name).is_file() else []
    if not arguments.show:
        if arguments.variants:
            jobs = []
            for method, (curriculum, optimizer) in itertools.product(methods, VARIANTS):
                won = parsed(chosen(rows, method)[0])
                start = method_settings(name, method, curriculum, optimizer)
                for scale in VARIANTS[curriculum, optimizer]:
                    made = settings_of(start, {**won, "lr": float(f"{won['lr'] * scale:.6g}")})
                    jobs.append((method, curriculum, optimizer, made, SEEDS[0]))
        else:
            starts = {m: method_settings(name, m) for m in methods}
            jobs = [
                (m, "none", "adamw", settings_of(starts[m], table), seed)
                for m in methods
                for table in candidates(m)
                for seed in SEEDS
            ]
        new = rows_for(bench, jobs)
        again = set(map(context, new))
        rows = [row for row in rows if context(row) not in again] + new
        write_rows(name, rows)
    print(report(rows))
    if arguments.write:
        write_settings(name, rows)
    return 0
