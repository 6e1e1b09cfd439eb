"""Runs: compute what a store lacks, serially, on all cores or on a cluster, and load the rest."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..errors import BadInput, choose, flag, shown
from ..plugins import packed, unpacked
from ..unlearning.endpoints import Endpoint
from .cluster import check_engine, connect, dashboard, resources, worker_count
from .extensions import adopt
from .specs import VERSIONS, Spec, is_line, key, kind_of
from .store import Damaged, Store, Unwritable

ROUNDS = 3  # of computing again what turned out unreadable while it was used


def compute(spec: Spec, store: Store) -> Any:
    """Compute a spec whose parents are in the store."""
    return spec.compute(store)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, then on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ensure(spec: Spec, folder: str, layers: tuple[str, ...], *parents_done: Any, registrations: bytes = b"") -> str:
    """Compute and keep one spec unless it is kept already; returns "computed" or "reused" (a worker's whole task).

    A worker first adopts what has been registered where the work comes from.
    """
    adopt(unpacked(registrations))
    store = Store(folder, layers)
    if spec in store:
        return "reused"
    with store.lock(spec):
        if spec in store:  # another process has computed it while this one waited
            return "reused"
        with one_thread():
            began = time.process_time()
            made = compute(spec, store)
            store.put(spec, made, made.seconds if isinstance(made, Endpoint) else time.process_time() - began)
    return "computed"


def missing(specs: Iterable[Spec], there: Container[Spec]) -> list[Spec]:
    """What must be computed for ``specs``, parents first; nothing behind a result that is there (a store) counts."""
    order: dict[Spec, None] = {}
    seen: set[Spec] = set()

    def visit(spec: Spec) -> None:
        if spec in seen:
            return
        seen.add(spec)
        if spec in there:
            return
        for parent in needed(spec, there):
            visit(parent)
        if not is_line(spec):
            order[spec] = None

    for spec in specs:
        visit(spec)
    return list(order)


def needed(spec: Spec, there: Container[Spec]) -> Iterator[Spec]:
    """All that must be loadable to compute a spec: its parents, and what loading those that are there reads."""
    for parent in (*spec.parents(), *spec.timed()):
        yield parent
        if is_line(parent) or (parent.composed and parent in there):
            yield from needed(parent, there)


class RunFailed(RuntimeError):
    """Some specs could not be computed; the message lists them."""


def run(
    specs: Iterable[Spec], store: Store, *, engine: str | None = None, workers: int | None = None, load: bool = True
) -> list[Any]:
    """Compute what is missing and load all specs (``load=False``: only compute).

    Everything finished is kept at once, so an interrupted or killed run loses only what is in flight. Prints how many
    results were reused, computed, failed and skipped.

    Args:
        specs: what is wanted; equal specs are computed once.
        store: where results are found and kept.
        engine: ``serial``; ``local``, a process of one thread for each of ``workers``; ``slurm``; or a Dask
            scheduler's address. None takes the environment's ``MCUTILS_ENGINE``, else ``local``.
        workers: processes; None takes the environment's ``MCUTILS_WORKERS``, else a core each.

    Raises:
        RunFailed: when a result could not be computed; what does not depend on it has been.
    """
    specs = checked(specs)
    engine, workers, load = check_engine(engine or None), worker_count(workers), flag("load", load)
    computed = 0
    tried: set[str] = set()
    for attempt in range(ROUNDS):
        last = attempt + 1 == ROUNDS
        todo = missing(specs, store)
        reused = len({key(s) for s in specs if s in store} - tried)
        tried |= {key(s) for s in todo}
        _forbid(todo)
        now, failures = _computed(todo, store, engine, workers)
        gone = [spec for spec in todo if spec not in failures and spec not in store]
        computed += len(now - set(gone))
        if not last and (gone or any(why.startswith(Damaged.__name__) for why in failures.values())):
            continue
        failures |= dict.fromkeys(gone, f"computed, but not in {store.folder}: do all workers see that folder?")
        found, lost = _load(specs if load and not failures else (), store)
        if lost is None:
            break
        if last:
            raise lost
    skipped = sum(why.startswith(SKIPPED) for why in failures.values())
    counts = {"failed": len(failures) - skipped, "skipped": skipped}
    print(f"{reused} reused, {computed} computed" + "".join(f", {n} {word}" for word, n in counts.items() if n))
    _report(reused=reused, computed=computed, failed=len(failures), keys=[key(s) for s in specs if not is_line(s)])
    if failures:
        raise RunFailed("\n".join(f"{spec.describe()}: {why}" for spec, why in failures.items()))
    return found


def checked(specs: Any) -> list[Spec]:
    """What is wanted, as a list; `BadInput` for what is no spec."""
    if isinstance(specs, (str, bytes)) or not isinstance(specs, Iterable):
        raise BadInput(f"specs must be a list of specs, got {shown(specs)}.")
    specs = list(specs)
    for one in specs:
        if kind_of(one) not in VERSIONS:
            raise BadInput(f"specs must hold specs, such as those of a study, got {shown(one)}.")
    return specs


def _load(specs: Iterable[Spec], store: Store) -> tuple[list[Any], BadInput | None]:
    """Load results; all are tried even if one is unreadable, so that a single round makes all of them again."""
    found, first = [], None
    for spec in specs:
        try:
            found.append(store.get(spec))
        except BadInput as error:  # unreadable, or read with one that was and is set aside
            first = first or error
    return found, first


def _forbid(todo: Sequence[Spec]) -> None:
    wish = os.environ.get("MCUTILS_COMPUTE")
    if wish and choose("MCUTILS_COMPUTE", wish, ["never"]) and todo:
        found = f"{key(todo[0])} and {len(todo) - 1} more are not in the store"
        raise BadInput(f"{found}; MCUTILS_COMPUTE=never forbids computing.")


def _computed(todo: Sequence[Spec], store: Store, engine: str, workers: int) -> tuple[set[Spec], dict[Spec, str]]:
    """Compute specs, parents first; returns which were computed for this run, and why others were not."""
    if not todo:
        return set(), {}
    store.check_writable()
    many = min(workers, len(todo))
    serial = engine == "serial" or (engine == "local" and many == 1)
    with _progress(todo) as tick:
        words, failures = _serially(todo, store, tick) if serial else _together(todo, store, engine, many, tick)
    return {spec for spec, word in words.items() if word == "computed"}, failures


def _report(**row: Any) -> None:
    """Append a line to the file that the environment names, for whoever runs this run."""
    if os.environ.get("MCUTILS_REPORT"):
        with open(os.environ["MCUTILS_REPORT"], "a") as file:
            file.write(json.dumps(row) + "\n")


@contextmanager
def _progress(todo: Sequence[Spec]) -> Iterator[Callable[..., None]]:
    """A progress bar; the function it gives counts one result under a word, or shows a text beside the bar."""
    from tqdm.auto import tqdm

    counts = {"computed": 0, "reused": 0, "failed": 0}
    with tqdm(total=len(todo), desc="results", unit="result", leave=False) as bar:

        def tick(word: str = "", text: str = "") -> None:
            if text:
                bar.set_description_str(text)
                return
            counts[word] += 1
            bar.set_postfix({name: n for name, n in counts.items() if n}, refresh=False)
            bar.update()
            _report(done=bar.n, total=bar.total)

        yield tick


SKIPPED = "skipped, since"
Became = tuple[dict[Spec, str], dict[Spec, str]]  # of each spec that was computed or reused the word, of others why


def _blame(needs: Iterable[Spec], failures: dict[Spec, str]) -> str:
    """Why a spec cannot be computed: the first of its needs that failed; empty if none did."""
    bad = next((p for p in needs if p in failures), None)
    return "" if bad is None else f"{SKIPPED} {bad.describe()} failed"


def _serially(todo: Sequence[Spec], store: Store, tick: Callable[..., None]) -> Became:
    words, failures = dict[Spec, str](), dict[Spec, str]()
    for spec in todo:
        why = _blame(needed(spec, store), failures)
        if not why:
            try:
                words[spec] = ensure(spec, str(store.folder), tuple(map(str, store.layers)))
            except Unwritable:  # nothing else could be kept either
                raise
            except Exception as error:  # whatever it is, what does not depend on it is still computed
                why = f"{type(error).__name__}: {error}"
        if why:
            failures[spec] = why
        tick("failed" if why else words[spec])
    return words, failures


def _together(todo: Sequence[Spec], store: Store, engine: str, workers: int, tick: Callable[..., None]) -> Became:
    from distributed import as_completed

    where = (str(store.folder.resolve()), tuple(str(p.resolve()) for p in store.layers))
    # Asked before anything runs: what is computed meanwhile changes the answer.
    needs = {spec: list(needed(spec, store)) for spec in todo}
    words, failures, errors = dict[Spec, str](), dict[Spec, str](), dict[Spec, str]()
    # A scheduler may serve other runs, of other stores or of this one: a name that two of them share would be one task,
    # whose result lands in one store and is counted twice.
    mine = secrets.token_hex(4)
    with connect(engine, workers, store.folder) as client:
        if page := dashboard(client):
            tick(text=f"results (dashboard {page})")
        futures: dict[Spec, Any] = {}
        common = {"pure": False, "retries": 0, "resources": resources(client), "registrations": packed()}
        for rank, spec in enumerate(todo):
            ready = [futures[p] for p in needs[spec] if p in futures]
            made = {"key": f"{key(spec)}-{mine}", "priority": -rank, **common}
            futures[spec] = client.submit(ensure, spec, *where, *ready, **made)
        of = {f.key: spec for spec, f in futures.items()}
        # Not with_results: its gathering goes on while Ctrl-C closes the client, and what it meets then is lost.
        for future in as_completed(list(futures.values())):
            spec = of[future.key]
            try:
                words[spec] = future.result()
                tick(words[spec])
            except Unwritable:
                raise
            except Exception as error:
                errors[spec] = f"{type(error).__name__}: {error}"
                tick("failed")
    for spec in todo:
        if why := _blame(needs[spec], failures) or errors.get(spec, ""):
            failures[spec] = why
    return words, failures
