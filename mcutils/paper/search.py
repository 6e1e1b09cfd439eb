"""The search behind the settings files: every method on a grid, chosen on validation data, never on test.

Rule. D_f should look like data the model never saw, at no cost elsewhere. With accuracies in points of the unlearned
model on D_f (f), the validation set (v) and D_r (r), and of the original model (v_o, r_o), the smallest

    score = |f - v| + max(0, r_o - r) + max(0, v_o - v)

wins, averaged over the tuning seeds, among the settings that close at least half of the original model's gap f_o -
v_o between D_f and unseen data, in accuracy and, where the rows hold it, in loss: a setting that does nothing is not
unlearning. Where no setting does, none wins, and the report says so. Among rows with losses, settings go first that
pass the endpoint gate of docs/protocol.md with every seed, validation data standing for the retrained model, and of
these the ones within two gaps. No retrained model is needed. Beside it stands what the field's usual rule would have
chosen, which needs one: the smallest mean of |UA - UA*|, |RA - RA*|, |VA - VA*| to a retrained model (*), with
validation in the place of test accuracy.

Where originals have a forget set each the search goes on one more of them, in stages, row by row.
Settings that were found before are kept where they pass the endpoint gate (`search.tier`) with both seeds. Elsewhere
a short list, gentler to D_r than `search.GRID`, is gone through in order until a setting passes. Ends with a curriculum
or of second order are run at the learning rate of their partner first; a rate of their own is looked for where that
fails. At other sizes of the forget set a setting must also stay within two gaps. Each row is kept as soon as it is
there, and a search that is started again goes on behind the rows it finds.

Curves between models trained apart: along the curve from one retrained model to another of other initial weights,
fitted with cross-entropy on D_r, the mean over t of the loss on validation data (nats, trapezoid rule over 11 points)
is to be lowest; among settings within 2 % of the lowest the one with the fewest steps wins, since every pair of models
pays for them. Both models are of seeds that no study uses.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.specs import CurveSpec, UnlearnedSpec
from ..engine.study import Study, study
from ..errors import BadInput, choose
from ..files import DATA
from ..measures.along import barrier
from ..measures.metrics import accuracy, mean_loss
from ..settings import EIGHT, FOLDER, MethodSettings, Plan, Preset, method_settings, settings_name, train_plan
from ..traces import Trace
from .experiments import methods_of, sizes_of
from .inclusion import FAR, FORGOTTEN, KEPT

SEEDS = (7, 8)  # never those of the studies
ORIGINAL = 100  # training seed, and draw of the forget set, where originals have one each: those of no study
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
TIERS = ("", ", beyond two gaps", ", fails the gate", ", fails the gate")
FAILS = 2  # the tier of settings that close half of the gaps and fail the gate
NONE = "no setting closes half of the gap to unseen data"
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
# Columns of rows on an original of the search's own; ``size`` is empty for the preset's share to forget.
MORE = "size forget_loss forget_loss_original valid_loss_original forget_loss_retrained".split()
READ = ("retain", "forget", "valid")  # splits


@dataclass(frozen=True)
class Tried:
    """An endpoint of the search; ``size`` is the share to forget, 0 for the preset's."""

    method: str
    curriculum: str
    optimizer: str
    settings: MethodSettings
    seed: int
    size: float = 0.0


def context(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What a row's setting is chosen for: method, curriculum, optimiser and size, empty for the preset's."""
    return row["method"], row["curriculum"], row["optimizer"], str(row.get("size") or "")


def candidates(method: str) -> list[dict[str, Any]]:
    """All combinations of the method's grid, as flat tables like those of a settings file."""
    return [{**BASE, **table} for table in combined(GRID[method])]


def combined(grids: Iterable[Mapping[str, tuple]]) -> list[dict[str, Any]]:
    """All combinations of the values of each grid."""
    return [dict(zip(grid, values, strict=True)) for grid in grids for values in product(*grid.values())]


def settings_of(start: MethodSettings, table: Mapping[str, Any]) -> MethodSettings:
    """Settings with the flat table's entries put in."""
    own = {k.removeprefix("options."): v for k, v in table.items() if k.startswith("options.")}
    plan = replace(start.plan, **{k: v for k, v in table.items() if not k.startswith("options.")})
    return replace(start, plan=plan, options=tuple(sorted({**dict(start.options), **own}.items())))


def at_rate(start: MethodSettings, table: Mapping[str, Any], scale: float) -> MethodSettings:
    """Settings with the flat table's entries put in and its learning rate scaled, to six digits."""
    return settings_of(start, {**table, "lr": float(f"{table['lr'] * scale:.6g}")})


def score(row: Mapping[str, Any]) -> float:
    """The rule's score in accuracy points, lower is better."""
    f, v, r = (100 * float(row[k]) for k in ("forget", "valid", "retain"))
    v_o, r_o = (100 * float(row[k]) for k in ("valid_original", "retain_original"))
    return abs(f - v) + max(0.0, r_o - r) + max(0.0, v_o - v)


def oracle_gap(row: Mapping[str, Any]) -> float:
    """Mean distance to the retrained model over forget, retain and validation accuracy, in points; nan without one."""
    if row["forget_retrained"] == "":
        return float("nan")
    return sum(100 * abs(float(row[k]) - float(row[f"{k}_retrained"])) for k in ("forget", "valid", "retain")) / 3


def forgotten(row: Mapping[str, Any]) -> float:
    """Share of the original model's gap between forget and validation accuracy that was closed."""
    f, f_o, v_o = (float(row[k]) for k in ("forget", "forget_original", "valid_original"))
    return (f_o - f) / (f_o - v_o) if f_o > v_o else 1.0


def loss_closed(row: Mapping[str, Any]) -> float:
    """Share of the original model's gap between forget and validation loss that was closed; nan without losses."""
    if not row.get("forget_loss"):
        return float("nan")
    loss, first, unseen = (float(row[k]) for k in ("forget_loss", "forget_loss_original", "valid_loss_original"))
    return (loss - first) / (unseen - first) if unseen > first else 1.0


def tier(group: Sequence[Mapping[str, Any]]) -> int:
    """How sound the rows of a setting are, one per seed.

    0: it passes the endpoint gate with every seed; 1: so it does, but goes beyond two gaps; 2: on average it closes
    half of the gaps; 3: it does not. Rows without losses are judged by accuracy on D_f alone, and are 0 or 3.
    """
    closed, losses = ([round(share(row), 6) for row in group] for share in (forgotten, loss_closed))
    known = not math.isnan(sum(losses))
    if min(round(sum(part) / len(group), 6) for part in ((closed, losses) if known else (closed,))) < FORGOTTEN:
        return 3
    kept = min(round(float(row["retain"]) / float(row["retain_original"]), 6) for row in group)
    if known and (kept < KEPT or min(*closed, *losses) < FORGOTTEN):
        return 2
    return int(known and max(losses) > FAR)


def by_setting(rows: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Rows in groups of one context and setting, one row per seed."""
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((*context(row), *sorted(parsed(row).items())), []).append(row)
    return list(groups.values())


def best(rows: Iterable[Mapping[str, Any]], rule=score) -> list[Mapping[str, Any]]:
    """The rows (one per seed) of the setting with the lowest mean; ties go to fewer steps and a lower rate.

    Under the rule `score`, the lowest `tier` goes first, and settings of the last do not count: no rows where there are
    no others. Of settings that fail the endpoint gate, which no verdict reads, the one that looks at the fewest images.
    """
    groups = by_setting(rows)
    if not groups:
        raise BadInput("no rows to choose from: run the search first.")
    mean = lambda group: round(sum(map(rule, group)) / len(group), 6)  # noqa: E731
    places = [tier(g) if rule is score else 0 for g in groups]
    seen = [_images(g[0]) if place == FAILS else 0.0 for g, place in zip(groups, places, strict=True)]
    ours = [
        (place, images, mean(g), float(g[0]["steps"]), float(g[0]["lr"]))
        for g, place, images in zip(groups, places, seen, strict=True)
    ]
    first = min(range(len(groups)), key=ours.__getitem__)
    return [] if ours[first][0] == 3 else groups[first]


def _images(row: Mapping[str, Any]) -> float:
    """How many images a setting looks at."""
    return float(row["steps"]) * (float(row["batch_size"]) + float(row["forget_batch_size"]))


def rows_for(bench: Study, tries: Sequence[Tried]) -> list[dict[str, Any]]:
    """Run endpoints and read their accuracies on forget, validation and retain data; test data are not looked at.

    A retrained model stands beside those of the preset's size alone.
    """
    first = ORIGINAL if bench.preset.originals else 0
    original, rows = bench.original(first), []
    for one in tries:
        size = one.size or bench.preset.forget
        end = UnlearnedSpec(original, size, one.method, one.curriculum, one.optimizer, one.seed, one.settings)
        models = [end, original] if one.size else [end, original, bench.retrained(SEEDS[0], original=first)]
        traces = [replace(bench.trace(model, splits=READ), forget=size) for model in models]
        columns: dict[str, Any] = {}
        for trace, suffix in zip(bench.run(traces), ("", "_original", "_retrained"), strict=False):
            columns |= _measured(trace, suffix)
        plan = one.settings.plan
        made = {k: getattr(plan, k) for k in ("lr", "steps", "schedule", "batch_size", "forget_batch_size")}
        made |= {k: getattr(one, k) for k in ("method", "curriculum", "optimizer", "seed")}
        made["options"] = " ".join(f"{k}={v}" for k, v in one.settings.options)
        columns |= {**made, "size": one.size or "", "seconds": bench.store.seconds(end)}
        rows.append({name: columns.get(name, "") for name in [*COLUMNS, *MORE]})
    return rows


def _measured(trace: Trace, suffix: str) -> dict[str, float]:
    found = {f"{s}{suffix}": round(float(accuracy(trace, s)[0]), 6) for s in READ}
    losses = {f"{s}_loss{suffix}": round(float(mean_loss(trace, s)[0]), 6) for s in READ}
    return found | losses


def settings_of_search(preset: Preset) -> str:
    """The settings file that a search for a preset writes, which may not be there yet."""
    return f"{preset.dataset}.{preset.model}" + EIGHT * bool(preset.originals)


def table_path(settings: str, curves: bool = False) -> Path:
    """Where the search of a settings file keeps its rows; of ``curves``, that for its ``[curve.independent]``."""
    return DATA / "search" / f"{settings}{'.curves' * curves}.csv"


def read_rows(settings: str, curves: bool = False) -> list[dict[str, str]]:
    """The rows of a search so far; none where there was none."""
    import pandas as pd

    path = table_path(settings, curves)
    return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records") if path.is_file() else []


def write_rows(settings: str, rows: Sequence[Mapping[str, Any]], curves: bool = False) -> None:
    """Replace the rows of a search."""
    import pandas as pd

    path, names = table_path(settings, curves), COLUMNS + MORE * any(row.get("forget_loss") for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=CURVE_COLUMNS if curves else names, dtype=object).to_csv(path, index=False)


def chosen(
    rows: Iterable[Mapping[str, Any]], method: str, curriculum="none", optimizer="adamw", rule=score, size=""
) -> list[Mapping[str, Any]]:
    """The winning rows of one method under one curriculum and optimiser at one size; none where no setting wins."""
    return best([row for row in rows if context(row) == (method, curriculum, optimizer, size)], rule)


def parsed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's settings as the flat table of a settings file."""
    table: dict[str, Any] = {"lr": float(row["lr"]), "schedule": str(row["schedule"])}
    table |= {k: int(row[k]) for k in ("steps", "batch_size", "forget_batch_size")}
    for item in str(row["options"]).split():
        name, value = item.split("=", 1)
        try:
            table[f"options.{name}"] = json.loads(value)
        except ValueError:  # a name
            table[f"options.{name}"] = value
    return table


def toml(rows: Sequence[Mapping[str, Any]]) -> str:
    """The ``[methods.*]`` tables of a settings file for the winners of a search; a comment where there is none."""
    lines = []
    searched = set(map(context, rows))
    for method in GRID:
        won = chosen(rows, method)
        if not won:
            lines += [f"# {method}: {NONE}", ""]
            continue
        winner = parsed(won[0])
        lines += _table(f"methods.{method}", won[0], {"batch_size": Plan.batch_size, "schedule": Plan.schedule})
        for size in sorted(size for one, _, _, size in searched if one == method and size):
            found = chosen(rows, method, size=size)
            name = f'methods.{method}.sizes."{size}"'
            lines += _table(name, found[0], winner) if found else [f"# {name}: {NONE}", ""]
        for curriculum, optimizer in VARIANTS:
            part = f"curricula.{curriculum}" if optimizer == "adamw" else f"optimizers.{optimizer}"
            if (method, curriculum, optimizer, "") not in searched:
                continue
            found = chosen(rows, method, curriculum, optimizer)
            if found:
                lr = parsed(found[0])["lr"]
                rate = f"lr = {lr!r}" if optimizer != "adamw" else f"lr_scale = {lr / winner['lr']:g}"
                lines += [f"[methods.{method}.{part}]", rate, ""]
            else:
                lines += [f"# methods.{method}.{part}: {NONE}", ""]
    return "\n".join(lines)


def _table(name: str, row: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """A row's settings as a table of a settings file, without those that are as usual; none if all are."""
    shown = {k: v for k, v in parsed(row).items() if v != usual.get(k)}
    return [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in shown.items()), ""] if shown else []


def write_settings(settings: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the ``[methods.*]`` tables of a settings file, leaving its other tables before the marker line."""
    path = FOLDER / f"{settings}.toml"
    old = path.read_text() if path.is_file() else ""
    marker = "# Below: written by python -m mcutils search, the winners of data/search.\n"
    head = re.sub(r"(?ms)^\[methods\..*?(?=^\[(?!methods\.)|\Z)", "", old.split(marker)[0])
    path.write_text(f"{head.rstrip()}\n\n{marker}\n{toml(rows)}".lstrip())


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of the winners by both rules."""
    lines = ["method, curriculum, optimizer: rule: settings -> forget / valid / retain, score, gap"]
    for key in dict.fromkeys(map(context, rows)):
        for name, rule in (("validation", score), ("oracle", oracle_gap)):
            if rule is oracle_gap and key[3]:  # no model was retrained without so much
                continue
            group = best([row for row in rows if context(row) == key], rule)
            words = ", ".join(filter(None, key))
            if not group:
                lines.append(f"{words}: {name}: {NONE}")
                continue
            first = group[0]
            f, v, r = (100 * sum(float(g[k]) for g in group) / len(group) for k in ("forget", "valid", "retain"))
            s, gap = (sum(map(q, group)) / len(group) for q in (score, oracle_gap))
            made = f"lr {float(first['lr']):g}, {first['steps']} steps, {first['schedule']}"
            made += f", D_f batch {first['forget_batch_size']} {first['options']}".rstrip()
            found = f"{f:.1f} / {v:.1f} / {r:.1f}, {s:.2f}, {gap:.2f}"
            lines.append(f"{words}: {name}: {made} -> {found}{TIERS[tier(group)]}")
    return "\n".join(lines)


# In stages

Kind = tuple[str, str, str]  # method, curriculum, optimiser
LINEAR = {"schedule": ("linear",)}
GENTLY = (
    {"lr": (2e-3,), "forget_batch_size": (64, 32, 128, 256), "steps": (400,), **LINEAR},
    {"lr": (2e-3,), "steps": (360,), "options.order": ("sequential",), **LINEAR},  # five passes
)
GENTLE: dict[str, tuple[dict[str, tuple], ...]] = {
    "finetune": ({"lr": (1.5e-2,), "steps": (400,), **LINEAR},),
    "gradient_ascent": ({"lr": (5e-5, 1e-4), "steps": (25, 40), "forget_batch_size": (450,)},),
    "gradient_difference": (
        {"lr": (1e-3,), "options.alpha": (0.87, 0.92, 0.96)},
        {"lr": (5e-4,), "options.alpha": (0.8, 0.9)},
    ),
    "random_labels": GENTLY,
    "salun": GENTLY,
    "npo": (
        {"lr": (1e-3,), "options.forget_weight": (0.2, 0.1)},
        {"lr": (2e-3,), "options.forget_weight": (0.1, 0.05)},
        {"lr": (5e-4,), "options.forget_weight": (0.4, 0.2)},
    ),
    "scrub": (
        {"lr": (1.25e-3,), "steps": (280,), "options.msteps": (4,), "options.temperature": (2.0,), **LINEAR},
        {"lr": (1.5e-3, 2e-3), "steps": (420,), "options.msteps": (4,), "options.temperature": (2.0,), **LINEAR},
    ),
    "bad_teacher": ({"lr": (4e-3,), "forget_batch_size": (64, 32), "steps": (400,), **LINEAR},),
    "l1_sparse": ({"lr": (1e-2,), "options.gamma": (1e-4,), "steps": (400,), **LINEAR},),
}
DOWN = {"sophia_g": (0.5, 0.3, 0.1, 0.03), "adamw": (0.5,)}  # of the partner's learning rate, by the optimiser
UP = (2.0, 4.0)
CHANGED = (("none", "sophia_g"), ("superloss", "adamw"))
ORDER = sorted(GRID, key=lambda method: (method == "finetune", method != "gradient_ascent"))
STAGES = ("methods", "rates", "sizes")


@dataclass
class Search:
    """The rows of a search so far, and the bench that makes more."""

    bench: Study
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def start(self, method: str, curriculum: str = "none", optimizer: str = "adamw") -> MethodSettings:
        """The settings that presets without draws of the forget set have."""
        preset = self.bench.preset
        return method_settings(settings_name(preset.dataset, preset.model), method, curriculum, optimizer)

    def row(self, tried: Tried) -> Mapping[str, Any]:
        """The row of an endpoint: the one that is there, or a new one, kept at once."""
        kind = tried.method, tried.curriculum, tried.optimizer, f"{tried.size:g}" if tried.size else ""
        for row in self.rows:
            if context(row) == kind and int(row["seed"]) == tried.seed and parsed(row) == table_of(tried.settings):
                return row
        self.rows += rows_for(self.bench, [tried])
        write_rows(settings_of_search(self.bench.preset), self.rows)
        return self.rows[-1]

    def tier(self, kind: Kind, settings: MethodSettings, size: float = 0.0, worst: int = 1) -> int:
        """The tier of a setting; the second seed is run only where the first one alone is no worse than ``worst``."""
        group: list[Mapping[str, Any]] = []
        for seed in SEEDS:
            group.append(self.row(Tried(*kind, settings, seed, size)))
            if tier(group) > worst:
                break
        return tier(group)

    def confirm(self, kind: Kind, size: float = 0.0) -> list[Mapping[str, Any]]:
        """The rows of the winner, which is run with every seed that it lacks until it wins with all of them."""
        while won := chosen(self.rows, *kind, size=f"{size:g}" if size else ""):
            seeds = {int(row["seed"]) for row in won}
            if seeds == set(SEEDS):
                break
            made = settings_of(self.start(*kind), parsed(won[0]))
            self.row(Tried(*kind, made, next(seed for seed in SEEDS if seed not in seeds), size))
        return won

    def settle(self, kind: Kind, start: MethodSettings, size: float = 0.0) -> None:
        """Keep a method's settings where they pass; else go through its list until some do."""
        worst = 0 if size else 1
        for settings in (start, *(settings_of(start, table) for table in combined(GENTLE[kind[0]]))):
            if self.tier(kind, settings, size, worst) <= worst:
                break
        self.confirm(kind, size)

    def rates(self, kind: Kind) -> None:
        """Run ends with a curriculum or of second order at their partner's rate, and at others where that fails.

        Lower ones are tried until one no longer forgets; higher ones where the partner's does not.
        """
        won = parsed(self.confirm((kind[0], "none", "adamw"))[0])
        start, found = self.start(*kind), 0
        for scale in (1.0, *DOWN[kind[2]]):
            found = self.tier(kind, at_rate(start, won, scale))
            if found == 3 or (scale == 1 and found <= 1):
                break
        if found == 3 and scale == 1:
            for scale in UP:
                if self.tier(kind, at_rate(start, won, scale)) < 3:
                    break
        self.confirm(kind)


def table_of(settings: MethodSettings) -> dict[str, Any]:
    """Settings as the flat table that `search.parsed` gives of their row."""
    names = ("lr", "schedule", "steps", "batch_size", "forget_batch_size")
    return {k: getattr(settings.plan, k) for k in names} | {f"options.{k}": v for k, v in settings.options}


def staged(bench: Study, methods: Sequence[str], stages: Sequence[str] = STAGES) -> list[Mapping[str, Any]]:
    """Go through the stages for these methods, their own settings always first, and return all rows."""
    name = settings_of_search(bench.preset)
    for stage in stages:
        choose("stage", stage, STAGES)
    found = Search(bench, [*read_rows(name)])
    ours = [method for method in ORDER if method in methods]
    for method in ours:
        found.settle((method, "none", "adamw"), found.start(method))
    if "rates" in stages:
        for (curriculum, optimizer), method in product(CHANGED, ours):
            if found.confirm((method, "none", "adamw")):
                found.rates((method, curriculum, optimizer))
    if "sizes" in stages:
        for method, size in product(methods_of(bench), sizes_of(bench)[:-1]):
            kind = method, "none", "adamw"
            won = found.confirm(kind) if method in ours else []
            if won:
                found.settle(kind, settings_of(found.start(method), parsed(won[0])), size)
    return found.rows


# Curves between models trained apart

CURVE_SEEDS = (8, 9)  # of the two retrained models: never those of the studies
CURVE_POINTS = 11
WITHIN = 1.02  # of the lowest score
CURVE_GRID: tuple[dict[str, tuple], ...] = (
    {"lr": (3e-3, 1e-2), "steps": (630,), "schedule": ("one_cycle",)},
    {"lr": (1e-2,), "steps": (630,), "schedule": ("linear",)},
    {"lr": (1e-2,), "steps": (1260,), "schedule": ("one_cycle",)},
)
CURVE_COLUMNS = "lr steps schedule valid valid_highest valid_line retain_barrier retain_barrier_line seconds".split()


def curves(bench: Study) -> list[CurveSpec]:
    """The curves of the grid."""
    first, second = (bench.retrained(seed) for seed in CURVE_SEEDS)
    plans = [replace(train_plan(bench.settings), **table) for table in combined(CURVE_GRID)]
    return [bench.path(first, second, kind="bezier", plan=plan) for plan in plans]


def curve_rows(bench: Study) -> list[dict[str, Any]]:
    """Fit the curves and read their losses on validation and retain data."""
    found = curves(bench)
    straight = bench.path(found[0].start, found[0].end)
    (line, *traces) = bench.run([bench.trace(path, points=CURVE_POINTS) for path in (straight, *found)])

    def measured(trace: Trace) -> tuple[float, float, float]:
        valid = mean_loss(trace, "valid")
        mean = np.diff(trace.t) @ (valid[1:] + valid[:-1]) / 2
        return float(mean), float(valid.max()), float(barrier(mean_loss(trace, "retain"), trace.t))

    rows, of_line = [], measured(line)
    for path, trace in zip(found, traces, strict=True):
        values = *measured(trace), of_line[0], of_line[2]
        names = "valid valid_highest retain_barrier valid_line retain_barrier_line".split()
        plan = {name: getattr(path.plan, name) for name in CURVE_COLUMNS[:3]}
        rounded = {name: round(value, 6) for name, value in zip(names, values, strict=True)}
        rows.append({**plan, **rounded, "seconds": bench.store.seconds(path)})
    return rows


def best_curve(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The winning row: the fewest steps within 2 % of the lowest score, then the lowest score."""
    if not rows:
        raise BadInput("no rows to choose from: run the search first.")
    enough = WITHIN * min(float(row["valid"]) for row in rows)
    good = [row for row in rows if float(row["valid"]) <= enough]
    return min(good, key=lambda row: (int(row["steps"]), float(row["valid"]), float(row["lr"])))


def curve_report(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line on the winner and what it is compared with."""
    won = best_curve(rows)
    return (
        f"curves between models trained apart: lr {float(won['lr']):g}, {won['steps']} steps, {won['schedule']} ->"
        f" validation loss {float(won['valid']):.3f} along the curve ({float(won['valid_line']):.3f} on the line),"
        f" retain barrier {float(won['retain_barrier']):.3f} ({float(won['retain_barrier_line']):.3f})"
    )


# The command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m mcutils search``."""
    parser.add_argument("--preset", default="laptop", help="whose data, network and forget fraction (default laptop)")
    parser.add_argument("--methods", nargs="*", default=[], help=f"only these of {', '.join(GRID)}")
    parser.add_argument("--store", default="", help="folder of results (default build/store)")
    parser.add_argument(
        "--variants", action="store_true", help="learning rates of curricula and optimisers, after the methods"
    )
    parser.add_argument(
        "--stages", nargs="*", default=[], help="of presets with originals: only these of methods, rates, sizes"
    )
    parser.add_argument("--curves", action="store_true", help="how curves between models trained apart are fitted")
    parser.add_argument("--write", action="store_true", help="write the winners into the settings file")
    parser.add_argument("--show", action="store_true", help="print the winners of the kept rows and run nothing")


def main(arguments: argparse.Namespace) -> int:
    """Run the search, keep its rows in data/search, print the winners by both rules (or that of curves, by its own)."""
    bench = study(arguments.preset, store=arguments.store)
    name = settings_of_search(bench.preset)
    if arguments.curves:
        name = settings_name(bench.preset.dataset, bench.preset.model)  # with or without draws
        if not arguments.show:
            write_rows(name, curve_rows(bench), curves=True)
        print(curve_report(read_rows(name, curves=True)))
        return 0
    methods = [choose("method", m, GRID) for m in arguments.methods] or list(GRID)
    rows: list[Mapping[str, Any]] = [*read_rows(name)]
    if bench.preset.originals and not arguments.show:
        rows = staged(bench, methods, arguments.stages or STAGES)
    elif not arguments.show:
        tries = _variants(name, methods, rows) if arguments.variants else _methods(name, methods)
        new = rows_for(bench, tries)
        again = set(map(context, new))
        rows = [*(row for row in rows if context(row) not in again), *new]
        write_rows(name, rows)
    print(report(rows))
    if arguments.write:
        write_settings(name, rows)
    return 0


def _methods(name: str, methods: Sequence[str]) -> list[Tried]:
    """The whole grid of each method."""
    return [
        Tried(m, "none", "adamw", settings_of(method_settings(name, m), table), seed)
        for m in methods
        for table in candidates(m)
        for seed in SEEDS
    ]


def _variants(name: str, methods: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Tried]:
    """Learning rates around that of the winner of each method, where it has one."""
    tries = []
    for method, (curriculum, optimizer) in product(methods, VARIANTS):
        for won in map(parsed, chosen(rows, method)[:1]):
            start = method_settings(name, method, curriculum, optimizer)
            for scale in VARIANTS[curriculum, optimizer]:
                made = at_rate(start, won, scale)
                tries.append(Tried(method, curriculum, optimizer, made, SEEDS[0]))
    return tries
