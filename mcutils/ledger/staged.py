"""The search for presets whose originals have a forget set each: on one more of them, in stages, row by row.

Settings that were found before are kept where they pass the endpoint gate (`search.tier`) with both seeds. Elsewhere
a short list, gentler to D_r than `search.GRID`, is gone through in order until a setting passes. Ends with a curriculum
or of second order are run at the learning rate of their partner first; a rate of their own is looked for where that
fails. At other sizes of the forget set a setting must also stay within two gaps. Each row is kept as soon as it is
there, and a search that is started again goes on behind the rows it finds.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..engine.study import Study
from ..errors import choose
from ..settings import MethodSettings, method_settings, settings_name
from .experiments import methods_of, sizes_of
from .search import (
    GRID,
    SEEDS,
    Tried,
    at_rate,
    chosen,
    combined,
    context,
    parsed,
    read_rows,
    rows_for,
    settings_of,
    settings_of_search,
    table_path,
    tier,
    write_rows,
)

Kind = tuple[str, str, str]  # method, curriculum, optimiser
LINEAR = {"schedule": ("linear",)}
RELABELLED = (
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
    "random_labels": RELABELLED,
    "salun": RELABELLED,
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


def run(bench: Study, methods: Sequence[str], stages: Sequence[str] = STAGES) -> list[Mapping[str, Any]]:
    """Go through the stages for these methods, their own settings always first, and return all rows."""
    name = settings_of_search(bench.preset)
    for stage in stages:
        choose("stage", stage, STAGES)
    found = Search(bench, list(read_rows(name)) if table_path(name).is_file() else [])
    ours = [method for method in ORDER if method in methods]
    for method in ours:
        found.settle((method, "none", "adamw"), found.start(method))
    if "rates" in stages:
        for (curriculum, optimizer), method in itertools.product(CHANGED, ours):
            if found.confirm((method, "none", "adamw")):
                found.rates((method, curriculum, optimizer))
    if "sizes" in stages:
        for method, size in itertools.product(methods_of(bench), sizes_of(bench)[:-1]):
            kind = method, "none", "adamw"
            won = found.confirm(kind) if method in ours else []
            if won:
                found.settle(kind, settings_of(found.start(method), parsed(won[0])), size)
    return found.rows
