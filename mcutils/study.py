"""Runs: compute what a store lacks on all cores, load the rest; `Study` makes the specs of a preset."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch

from .curves import RECIPES, fit_curve, geometry, weights_at
from .data import Task
from .profiles import ProfileOf, profile
from .settings import BadInput, Preset, choose, curve_plan, method_settings, preset, settings_name, train_plan
from .specs import (
    Data,
    Original,
    Path,
    Profile,
    Retrained,
    Spec,
    TraceOf,
    Unlearned,
    Untrained,
    is_line,
    key,
    kind_of,
    parents,
)
from .store import Store
from .traces import trace
from .training import network_for, train
from .unlearning import METHODS, Endpoint, random_twin, unlearn

ROOT = FilePath(__file__).resolve().parent.parent


def compute(spec: Spec, store: Store) -> Any:
    """Compute a spec whose parents are in the store."""
    if isinstance(spec, Profile):
        first, *others = (store.get(p) for p in parents(spec))
        original, *retrained, random = others
        made = profile(first, original, retrained, random, spec.bootstrap)
        seconds = 0.0 if is_line(spec.trace.model) else store.seconds(spec.trace.model)
        return ProfileOf({**made.arrays, "seconds": np.float64(seconds)})
    if isinstance(spec, Original):
        task = spec.data.task(0.1)  # the forget fraction plays no part: the pool and the bn rows are the same for all
        return train(task, spec.model, seed=spec.seed, plan=spec.plan, width=spec.width)
    if isinstance(spec, Retrained):
        task = spec.data.task(spec.forget)
        return train(task, spec.model, seed=spec.seed, plan=spec.plan, split="retain", width=spec.width)
    if isinstance(spec, Untrained):
        task = spec.data.task(0.1)
        return random_twin(network_for(task, spec.model, spec.seed, width=spec.width), task, spec.seed)
    if isinstance(spec, TraceOf):
        task, model = spec.model.data.task(spec.forget), store.get(spec.model)
        found = trace(model, task, max(spec.points, 2), batchnorm=spec.batchnorm)
        if not isinstance(spec.model, Path):
            return found
        ends = [store.get(e) for e in (spec.model.start, spec.model.end)]
        origin = ends[0].origin if isinstance(ends[0], Endpoint) else None
        made = {f"geometry/{name}": f"{value:.6g}" for name, value in geometry(model, origin).items()}
        return replace(found, meta={**found.meta, **made})
    task = spec.data.task(spec.forget)
    if isinstance(spec, Unlearned):
        made = {"curriculum": spec.curriculum, "optimizer": spec.optimizer, "settings": spec.settings}
        return unlearn(weights_at(store.get(spec.origin)), task, spec.method, seed=spec.seed, **made)
    ends = [store.get(spec.start), store.get(spec.end)]
    return fit_curve(
        *ends,
        task,
        kind=spec.kind,
        control_points=spec.control_points,
        seed=spec.seed,
        recipe=spec.recipe,
        plan=spec.plan,
    )


def ensure(spec: Spec, folder: str, layers: tuple[str, ...], *parents_done: Any) -> str:  # noqa: ARG001
    """Compute and keep one spec unless it is kept already; returns its key (a worker's whole task)."""
    store = Store(folder, layers)
    if spec not in store:
        torch.set_num_threads(1)
        began = time.process_time()
        made = compute(spec, store)
        store.put(spec, made, made.seconds if isinstance(made, Endpoint) else time.process_time() - began)
    return key(spec)


def missing(specs: Iterable[Spec], store: Store) -> list[Spec]:
    """What must be computed for ``specs``, parents first; nothing behind a kept result counts."""
    order: dict[Spec, None] = {}
    seen: set[Spec] = set()

    def visit(spec: Spec) -> None:
        if spec in seen:
            return
        seen.add(spec)
        if spec in store:
            return
        for parent in needed(spec, store):
            visit(parent)
        if not is_line(spec):
            order[spec] = None

    for spec in specs:
        visit(spec)
    return list(order)


def needed(spec: Spec, store: Store) -> Iterator[Spec]:
    """All that must be loadable to compute a spec: its parents, and what loading those reads."""
    read = parents(spec)
    if isinstance(spec, Profile) and not is_line(spec.trace.model):
        read = (*read, spec.trace.model)  # for the seconds that it took
    for parent in read:
        yield parent
        if is_line(parent) or (isinstance(parent, (Unlearned, Path)) and parent in store):
            yield from needed(parent, store)


class RunFailed(RuntimeError):
    """Some specs could not be computed; the message lists them."""


def run(specs: Iterable[Spec], store: Store, *, workers: int | None = None) -> list[Any]:
    """Compute what is missing, on ``workers`` processes of one thread each (default: a core each), and load all specs.

    Everything finished is kept at once, so an interrupted run loses only what is in flight. Prints how many results
    were reused and how many computed. Raises `RunFailed` when a task failed; what does not depend on it is computed.
    """
    specs = list(specs)
    todo = missing(specs, store)
    reused = len({key(s) for s in specs if s in store})
    if todo and os.environ.get("MCUTILS_COMPUTE") == "never":
        raise BadInput(
            f"{key(todo[0])} and {len(todo) - 1} more are not in the store; MCUTILS_COMPUTE=never forbids computing."
        )
    failures: dict[Spec, str] = {}
    if todo:
        store.check_writable()
        workers = workers or _workers()
        many = min(workers, len(todo))
        failures = _serially(todo, store) if many == 1 else _together(todo, store, many)
    done = len(todo) - len(failures)
    print(f"{reused} reused, {done} computed" + (f", {len(failures)} failed" if failures else ""))
    _report(reused=reused, computed=done, failed=len(failures), keys=[key(s) for s in specs if not is_line(s)])
    if failures:
        raise RunFailed("\n".join(f"{describe(spec)}: {why}" for spec, why in failures.items()))
    return [store.get(spec) for spec in specs]


def _workers() -> int:
    given = os.environ.get("MCUTILS_WORKERS", "0")
    if not given.isdigit():
        raise BadInput(f"MCUTILS_WORKERS is a number of processes, 0 for a core each, got {given!r}.")
    return int(given) or _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _report(**row: Any) -> None:
    """Append a line to the file that the environment names, for whoever runs this run."""
    path = os.environ.get("MCUTILS_REPORT")
    if path:
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    """A progress bar; the function it gives counts one result."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="results", unit="result", leave=False) as bar:

        def tick() -> None:
            bar.update()
            _report(done=bar.n, total=total)

        yield tick


def _serially(todo: Sequence[Spec], store: Store) -> dict[Spec, str]:
    failures: dict[Spec, str] = {}
    threads = torch.get_num_threads()
    try:
        with _bar(len(todo)) as tick:
            for spec in todo:
                bad = next((p for p in needed(spec, store) if p in failures), None)
                try:
                    if bad is not None:
                        failures[spec] = f"skipped, since {describe(bad)} failed"
                    else:
                        ensure(spec, str(store.folder), tuple(map(str, store.layers)))
                except Exception as error:  # whatever it is, what does not depend on it is still computed
                    failures[spec] = f"{type(error).__name__}: {error}"
                tick()
    finally:
        torch.set_num_threads(threads)
    return failures


def _together(todo: Sequence[Spec], store: Store, workers: int) -> dict[Spec, str]:
    import dask
    from distributed import Client, LocalCluster, as_completed

    where = (str(store.folder.resolve()), tuple(str(p.resolve()) for p in store.layers))
    # Asked before anything runs: a result that a worker is just writing would look damaged.
    needs = {spec: list(needed(spec, store)) for spec in todo}
    failures: dict[Spec, str] = {}
    errors: dict[Spec, BaseException | None] = {}
    quiet = {"dashboard_address": ":0", "memory_limit": 0, "silence_logs": 40}
    # Dask has its workers give freed pages back at once; a third of a training loop then goes into page faults.
    keep_pages = dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None})
    with (
        keep_pages,
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, **quiet) as cluster,
        Client(cluster) as client,
    ):
        futures: dict[Spec, Any] = {}
        for rank, spec in enumerate(todo):
            ready = [futures[p] for p in needs[spec] if p in futures]
            futures[spec] = client.submit(
                ensure, spec, *where, *ready, key=key(spec), pure=False, retries=0, priority=-rank
            )
        of = {f.key: spec for spec, f in futures.items()}
        with _bar(len(todo)) as tick:
            for future in as_completed(list(futures.values())):
                if future.status != "finished":
                    errors[of[future.key]] = future.exception()
                tick()
    for spec in todo:
        bad = next((p for p in needs[spec] if p in failures), None)
        if bad is not None:
            failures[spec] = f"skipped, since {describe(bad)} failed"
        elif spec in errors:
            failures[spec] = f"{type(errors[spec]).__name__}: {errors[spec]}"
    return failures


def describe(spec: Spec) -> str:
    """A spec in a few words."""
    if isinstance(spec, Unlearned):
        return f"{spec.method} x {spec.curriculum} x {spec.optimizer}, seed {spec.seed} ({key(spec)})"
    if isinstance(spec, Path):
        return f"{spec.kind} path from {describe(spec.start)} to {describe(spec.end)}"
    if isinstance(spec, (TraceOf, Profile)):
        return f"{kind_of(spec)} of {describe(spec.model if isinstance(spec, TraceOf) else spec.trace)}"
    return f"{kind_of(spec)} {spec.model}, seed {spec.seed} ({key(spec)})"


@dataclass(frozen=True)
class Study:
    """Specs of one preset, with the store that keeps their results: what a notebook works with."""

    preset: Preset
    store: Store
    data: Data

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
        return FilePath(os.environ.get("MCUTILS_FIGURES") or ROOT / "build" / "figures")

    @property
    def settings(self) -> str:
        """Name of the settings file."""
        return settings_name(self.preset.dataset, self.preset.model)

    def original(self, seed: int = 0) -> Original:
        """The model before unlearning."""
        return Original(self.data, self.preset.model, self.preset.width, seed, train_plan(self.settings))

    def retrained(self, seed: int) -> Retrained:
        """The model that never saw D_f."""
        p = self.preset
        return Retrained(self.data, p.forget, p.model, p.width, seed, train_plan(self.settings))

    def unlearned(
        self, method: str, seed: int, curriculum: str = "none", optimizer: str = "adamw", origin: Any = None
    ) -> Unlearned:
        """An endpoint with the tuned settings of its method, curriculum and optimiser."""
        choose("method", method, METHODS)
        tuned = method_settings(self.settings, method, curriculum, optimizer)
        origin = origin or self.original()
        return Unlearned(origin, self.preset.forget, method, curriculum, optimizer, seed, tuned)

    def path(
        self,
        start: Any,
        end: Any,
        kind: str = "linear",
        recipe: str = "corrected",
        control_points: int = 1,
        seed: int = 0,
    ) -> Path:
        """A curve between two models; control points are fitted with the objective of ``start``."""
        if kind == "linear":
            return Path(start, end, self.preset.forget)
        if not isinstance(start, Unlearned):
            raise BadInput("a curve is fitted with an unlearning objective: its start must be an unlearned model.")
        plan = curve_plan(self.settings, start.settings)
        return Path(start, end, self.preset.forget, kind, control_points, recipe, seed, plan)

    def trace(self, model: Any, batchnorm: str | None = None) -> TraceOf:
        """The trace of a model, or of a curve at the preset's number of points and its recipe's BatchNorm policy."""
        if not isinstance(model, Path):
            return TraceOf(model, self.preset.forget, 1, batchnorm or "retain")
        policy = batchnorm or (RECIPES[model.recipe].batchnorm if model.recipe else "retain")
        return TraceOf(model, self.preset.forget, self.preset.points, policy)

    def profile(self, model: Any, batchnorm: str | None = None, retrained: Sequence[int] | None = None) -> Profile:
        """The profile of a model or curve, against the original and the retrained models of the preset's seeds."""
        p = self.preset
        seeds = self.seeds if retrained is None else retrained
        return Profile(
            self.trace(model, batchnorm),
            self.trace(self.original()),
            tuple(self.trace(self.retrained(s)) for s in seeds),
            self.trace(Untrained(self.data, p.model, p.width, 0)),
            p.bootstrap,
        )

    def run(self, specs: Iterable[Spec]) -> list[Any]:
        """Compute what the store lacks and load the results, in order."""
        return run(specs, self.store)


def study(name: str = "laptop", store: str = "", **changes: Any) -> Study:
    """Open the study of a preset, its fields changed where given (``dataset``, ``methods``, ``seeds``, ...).

    ``store`` is a folder; empty means the environment's ``MCUTILS_STORE`` or ``build/store``. Unless
    ``MCUTILS_FRESH`` is set, results shipped in ``data/store`` are a read-only layer below it.
    """
    chosen = preset(name)
    for field in changes:
        choose("preset field", field, [f.name for f in fields(Preset)])
    chosen = replace(chosen, **{k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()})
    for method in (*chosen.methods, chosen.quickstart_method):
        choose("method", method, METHODS)
    folder = store or os.environ.get("MCUTILS_STORE") or ROOT / "build" / "store"
    layers = [] if os.environ.get("MCUTILS_FRESH") else [ROOT / "data" / "store"]
    return Study(chosen, Store(folder, layers), Data(chosen.dataset, chosen.train_size, chosen.test_size))
