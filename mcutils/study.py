"""Studies: the specs of a preset's experiments, with the store that keeps their results."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path as FilePath
from typing import Any

from .conditions import CONDITIONS
from .curves import RECIPES
from .data import Task
from .errors import flag
from .files import BUILD, DATA, ROOT, place, switched
from .runs import RunFailed, compute, describe, device, ensure, missing, needed, run
from .settings import BadInput, Preset, choose, curve_plan, method_settings, preset, settings_name, train_plan
from .specs import Data, Original, Path, Profile, Retrained, Spec, TraceOf, Unlearned, Untrained, is_line, key
from .store import Store, versions
from .unlearning import METHODS

__all__ = ["RunFailed", "Study", "compute", "describe", "ensure", "missing", "needed", "run", "study"]


@dataclass(frozen=True)
class Study:
    """Specs of one preset, with the store that keeps their results: what a notebook works with.

    ``used`` collects the keys of the results that `run` was asked for, in order.
    """

    preset: Preset
    store: Store
    data: Data
    used: dict[str, None] = field(default_factory=dict, compare=False, repr=False)

    @property
    def task(self) -> Task:
        """The study's task."""
        return self.data.task(self.preset.forget)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Unlearning seeds of the preset."""
        return self.preset.seeds

    @property
    def figures(self) -> FilePath:
        """Folder of figures: the environment's ``MCUTILS_FIGURES``, else ``build/figures``."""
        return place(None, "MCUTILS_FIGURES", BUILD / "figures")

    @property
    def settings(self) -> str:
        """Name of the settings file."""
        return settings_name(self.preset.dataset, self.preset.model)

    def original(self, seed: int = 0) -> Original:
        """The model before unlearning."""
        return Original(self.data, self.preset.model, self.preset.width, seed, train_plan(self.settings))

    def retrained(self, seed: int, forget: float | None = None, init: int | None = None) -> Retrained:
        """The model that never saw D_f (the preset's share of the pool, or ``forget``), from weights of its own.

        ``init`` gives it the initial weights of the original model of that seed.
        """
        p = self.preset
        return Retrained(self.data, forget or p.forget, p.model, p.width, seed, train_plan(self.settings), init)

    def unlearned(
        self,
        method: str,
        seed: int,
        curriculum: str = "none",
        optimizer: str = "adamw",
        origin: Any = None,
        forget: float | None = None,
    ) -> Unlearned:
        """An endpoint with the tuned settings of its method, curriculum and optimiser."""
        choose("method", method, METHODS)
        tuned = method_settings(self.settings, method, curriculum, optimizer)
        origin = origin or self.original()
        return Unlearned(origin, forget or self.preset.forget, method, curriculum, optimizer, seed, tuned)

    def grid(
        self,
        method: Sequence[str] | None = None,
        seed: Sequence[int] | None = None,
        curriculum: Sequence[str] = ("none",),
        optimizer: Sequence[str] = ("adamw",),
        original: Sequence[int] = (0,),
        forget: Sequence[float | None] = (None,),
    ) -> list[Unlearned]:
        """All endpoints of a product: every method x seed x curriculum x optimiser x original x share to forget.

        Methods and seeds default to the preset's; the last axis varies fastest.
        """
        axes = (method or self.preset.methods, seed or self.seeds, curriculum, optimizer, original, forget)
        return [
            self.unlearned(m, s, c, o, origin=self.original(first), forget=share)
            for m, s, c, o, first, share in product(*axes)
        ]

    def ends(
        self,
        condition: str,
        methods: Sequence[str],
        seeds: Sequence[int],
        curriculum: str = "superloss",
        optimizer: str = "sophia_g",
        original: int = 0,
    ) -> tuple[Unlearned, Unlearned]:
        """The two endpoints of one of the paper's conditions, for one or two methods and two seeds.

        ``curriculum`` and ``optimizer`` are what its ends with a curriculum and of second order use.
        """
        named = CONDITIONS[choose("condition", condition, CONDITIONS)]
        if len(methods) != named.methods or len(seeds) != 2:
            raise BadInput(
                f"{condition} takes {named.methods} method(s) and 2 seeds, got {len(methods)} and {len(seeds)}."
            )
        start, end = (
            self.unlearned(
                methods[e.method],
                seed,
                curriculum if e.curriculum else "none",
                optimizer if e.second_order else "adamw",
                origin=self.original(original),
            )
            for e, seed in zip((named.start, named.end), seeds, strict=True)
        )
        return start, end

    def path(
        self,
        start: Any,
        end: Any,
        kind: str = "linear",
        recipe: str = "corrected",
        control_points: int = 1,
        seed: int = 0,
        objective: str = "",
    ) -> Path:
        """A curve between two models; control points are fitted with the objective of ``start``, or the one named."""
        forget = start.forget if isinstance(start, Unlearned) else getattr(end, "forget", self.preset.forget)
        if kind == "linear":
            return Path(start, end, forget)
        if not isinstance(start, Unlearned):
            raise BadInput("a curve is fitted with an unlearning objective: its start must be an unlearned model.")
        settings = method_settings(self.settings, objective, "none", start.optimizer) if objective else None
        plan = curve_plan(self.settings, settings or start.settings)
        return Path(start, end, forget, kind, control_points, recipe, seed, plan, objective, settings)

    def trace(self, model: Any, batchnorm: str | None = None, points: int | None = None) -> TraceOf:
        """The trace of a model, or of a curve at the preset's number of points and its recipe's BatchNorm policy."""
        forget = getattr(model, "forget", self.preset.forget)
        if not isinstance(model, Path):
            return TraceOf(model, forget, 1, batchnorm or "retain")
        policy = batchnorm or (RECIPES[model.recipe].batchnorm if model.recipe else "retain")
        return TraceOf(model, forget, points or self.preset.points, policy)

    def profile(
        self,
        model: Any,
        batchnorm: str | None = None,
        retrained: Sequence[int] | None = None,
        points: int | None = None,
    ) -> Profile:
        """The profile of a model or curve, against the original and the retrained models of the preset's seeds.

        The references forget as much as the model does.
        """
        p = self.preset
        seeds = self.seeds if retrained is None else retrained
        found = self.trace(model, batchnorm, points)
        references = (self.original(), *(self.retrained(s, found.forget) for s in seeds))
        first, *others = (TraceOf(m, found.forget) for m in (*references, Untrained(self.data, p.model, p.width, 0)))
        return Profile(found, first, tuple(others[:-1]), others[-1], p.bootstrap)

    def run(self, specs: Iterable[Spec], **options: Any) -> list[Any]:
        """Compute what the store lacks and load the results, in order; options as in `runs.run`."""
        specs = list(specs)
        found = run(specs, self.store, **options)
        self.used.update(dict.fromkeys(key(s) for s in specs if not is_line(s)))
        return found

    def stamp(self) -> str:
        """Where the numbers come from, in a line: preset, results used and a key over them, code, libraries, device."""
        digest = hashlib.sha256(" ".join(sorted(self.used)).encode()).hexdigest()[:12]
        made = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("python", "torch"))
        return (
            f"Preset {self.preset.name}; {len(self.used)} results, together {digest} "
            f"(`python -m mcutils show KEY` names each); code {commit()}; {made}; device {device()}."
        )


def store_folder(given: str | FilePath | None = None) -> FilePath:
    """The folder of results: as given, else the environment's ``MCUTILS_STORE``, else ``build/store``."""
    return place(given, "MCUTILS_STORE", BUILD / "store", "store")


def commit() -> str:
    """The commit of the code that runs, marked where files differ from it; "unknown" outside a repository.

    Figures do not count: a run that draws some is still a run of the same code.
    """
    questions = (
        ["rev-parse", "--short=10", "HEAD"],
        ["status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)figures"],
    )
    try:
        name, differing = (
            subprocess.run(["git", "-C", str(ROOT), *asked], capture_output=True, text=True, timeout=10, check=True)
            for asked in questions
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return name.stdout.strip() + ("-dirty" if differing.stdout else "")


def study(name: str = "laptop", store: str = "", *, fresh: bool | None = None, **changes: Any) -> Study:
    """Open the study of a preset, its fields changed where given (``dataset``, ``methods``, ``seeds``, ...).

    Args:
        name: a preset.
        store: folder of results; empty means the environment's ``MCUTILS_STORE`` or ``build/store``.
        fresh: leave aside the results shipped in ``data/store``, otherwise a read-only layer below the store; None
            takes the environment's ``MCUTILS_FRESH``.
        changes: fields of the preset; an empty one leaves the preset's.
    """
    chosen, changes = preset(name), {name: value for name, value in changes.items() if value not in (None, "", [], ())}
    for change in changes:
        choose("preset field", change, [f.name for f in fields(Preset)])
    chosen = replace(chosen, **{k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()})
    for method in (*chosen.methods, chosen.quickstart_method):
        choose("method", method, METHODS)
    fresh = switched("MCUTILS_FRESH") if fresh is None else flag("fresh", fresh)
    return Study(
        chosen,
        Store(store_folder(store), [] if fresh else [DATA / "store"]),
        Data(chosen.dataset, chosen.train_size, chosen.test_size),
    )
