"""Run the notebooks with papermill, redraw figures, report; clean executed notebooks for the repository."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

from ..engine.cluster import MOST, check_engine, worker_count
from ..engine.study import store_folder, study
from ..engine.upkeep import mend
from ..errors import BadInput, choose, path_of, seed_of
from ..files import BUILD, DATA, ROOT, counted, folder_at, write_file
from ..paper.claims import FINDINGS, LEDGERS, changes, markdown_table, read_ledgers, rows_of, update_between
from ..settings import preset
from .output import printable, shown, table

NOTEBOOKS = ROOT / "notebooks"
SHIPPED = DATA / "store"
USED = "results.json"  # beside the figures: notebook -> keys of the results behind it
DEFAULT = "laptop"  # the preset whose figures and executed notebooks are committed
# Parameters that are set by an option of their own.
HANDED_OVER = {"preset": "--preset", "store": "--store", "figures": "--out"}
KILLED = "its kernel was killed, perhaps for lack of memory; finished results are kept, run the same again"
LAST_LINES = 12  # of a failed notebook's error


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook; ``reused`` and ``computed`` are None where it reported no results.

    ``error`` is empty for success; ``refused`` says that the error was a `BadInput`. ``keys`` name the results it used.
    """

    name: str
    seconds: float
    error: str = ""
    refused: bool = False
    reused: int | None = None
    computed: int | None = None
    figures: tuple[Path, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What `reproduce` is asked for."""

    names: tuple[str, ...] = ()
    preset_name: str = DEFAULT
    store: str | Path | None = None  # folder of results; else $MCUTILS_STORE, else build/store
    fresh: bool = False  # leave the results shipped in data/ aside
    workers: int | str | None = None  # processes that compute; else a core each
    engine: str | None = None  # as in `runs.run`; else $MCUTILS_ENGINE, else local
    write_notebooks: bool = False
    parameters: Sequence[Sequence[str]] = ()  # pairs of a name and a value as text, for cells tagged parameters
    out: str | Path | None = None  # folder for what is written; else build/
    notebooks: Path = NOTEBOOKS

    def __post_init__(self) -> None:
        preset(self.preset_name)
        if self.write_notebooks and (self.preset_name != DEFAULT or self.parameters or self.out):
            raise BadInput(f"--write-notebooks takes a plain run of the preset {DEFAULT}: leave out -p and --out.")
        object.__setattr__(self, "workers", counted("--workers", self.workers, 1, MOST))
        check_engine(self.engine or None)

    @property
    def target(self) -> Path:
        """Folder of what is written."""
        return folder_at(path_of(self.out, "--out") if self.out else BUILD, "output folder").resolve()

    @property
    def figures(self) -> Path:
        """Folder of figures: the repository's for a plain run of the default preset."""
        plain = self.preset_name == DEFAULT and not self.parameters and not self.out
        return ROOT / "figures" if plain else self.target / "figures"

    @property
    def results(self) -> Path:
        """Folder of results."""
        return store_folder(self.store).resolve()

    @property
    def variables(self) -> dict[str, str]:
        """What the environment says to every notebook."""
        return {
            # The code that runs is the code beside these notebooks, on the Python that runs this.
            "PYTHONPATH": python_path(),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            # Absolute paths go through the environment, so that none lands in an executed notebook.
            "MCUTILS_STORE": str(self.results),
            "MCUTILS_FIGURES": str(self.figures),
            **({"MCUTILS_FRESH": "1"} if self.fresh else {}),
            **({"MCUTILS_WORKERS": str(self.workers)} if self.workers else {}),
            **({"MCUTILS_ENGINE": self.engine} if self.engine else {}),
        }


def reproduce(names: Sequence[str] = (), **options: Any) -> int:
    """Execute notebooks and print a report; returns 0, 1 if a notebook failed, or 2 if one failed on bad input.

    Executed notebooks go to ``out``/notebooks and figures to ``out``/figures, except that a plain run of the default
    preset (no ``parameters``, no ``out``) draws into figures/ of the repository. After a run without failure,
    ``write_notebooks`` puts cleaned executed notebooks back into ``notebooks``, and, if all were run, exactly the
    results they used into data/store, so that the two always agree.

    Args:
        names: notebooks as `find` takes them; all when empty.
        options: fields of `Order`.

    Raises:
        BadInput: before anything runs, for whatever can be known to be wrong by then.
    """
    order = Order(tuple(names), **options)
    paths = find(order.names, order.notebooks)
    given = {path: check_parameters(path, order.parameters) for path in paths}
    check_folder(order.target / "notebooks", "output folder", "--out")
    check_folder(order.figures, "figures folder", "--out")
    listing = order.figures / USED
    if listing.exists():
        used_results(listing)
    for path in (order.target / "notebooks" / path.name for path in paths):
        if path.exists() and "papermill" not in read(path)["metadata"]:
            raise BadInput(f"{shown(path)} is no executed notebook: move it away, or choose another folder with --out.")
    check_store(order.results)
    check_data(order.preset_name)
    before, written = ledger_of(order.figures)
    began = time.monotonic()
    outcomes = _executed(order, paths, given)
    print(report(outcomes, time.monotonic() - began))
    for outcome in outcomes:
        if outcome.error:
            print(f"\n{outcome.name}: {printable(outcome.error)}", file=sys.stderr)
    if any(o.error for o in outcomes):
        return 2 if all(o.refused for o in outcomes if o.error) else 1
    mended(order.results)
    used = {o.name: {"preset": order.preset_name, "results": sorted(o.keys)} for o in outcomes if o.keys}
    if used:
        known = used_results(listing) if listing.exists() else {}
        write_file(listing, json.dumps(known | used, indent=1, sort_keys=True) + "\n")
    after, rewritten = ledger_of(order.figures)
    if before and after and rewritten != written:
        differ = changes(before, after)
        print("\n".join(["verdicts that differ from the ledger before:", *differ]) if differ else "no verdict changed")
    if order.write_notebooks:
        _write_back(order, paths, outcomes)
    return 0


def _executed(order: Order, paths: Sequence[Path], given: Mapping[Path, Mapping[str, Any]]) -> list[Outcome]:
    """What became of each notebook, in their order."""
    jobs = {}
    for number, path in enumerate(paths, 1):
        values = {**({"preset": order.preset_name} if "preset" in read_parameters(path) else {}), **given[path]}
        label = f"[{number}/{len(paths)}] {path.stem}"
        jobs[path] = Job(path, order.target / "notebooks" / path.name, values, order.figures, label)
    started, at_once = schedule(order, paths)
    with mock.patch.dict(os.environ, order.variables):  # which a notebook's kernel inherits
        outcomes = dict(zip(started, execute_all([jobs[path] for path in started], at_once), strict=True))
    return [outcomes[path] for path in paths]


def schedule(order: Order, paths: Sequence[Path]) -> tuple[list[Path], int]:
    """In which order notebooks start, and how many run at once.

    Where nothing is to be computed each notebook keeps one core busy: as many as there are run, those that read most
    first. Else one after the other, each with all cores for its results.
    """
    from ..engine.runs import missing
    from ..paper.registry import EXPERIMENTS, PRICED_APART

    one_by_one, made = (list(paths), 1), {**EXPERIMENTS, **PRICED_APART}
    if len(paths) == 1 or order.parameters or any(path.stem not in made for path in paths):
        return one_by_one
    bench = study(order.preset_name, store=str(order.results), fresh=order.fresh or None)
    read = {path: made[path.stem](bench) for path in paths}
    if missing([spec for specs in read.values() for spec in specs], bench.store):
        return one_by_one
    return sorted(paths, key=lambda path: -len(read[path])), min(worker_count(order.workers), len(paths))


def _write_back(order: Order, paths: Sequence[Path], outcomes: Sequence[Outcome]) -> None:
    """Put cleaned executed notebooks, and after a run of all the results they used, into the repository."""
    # All are cleaned before the first is written, so that a refusal leaves the folder as it was.
    for path, text in [(path, committed_form(order.target / "notebooks" / path.name, path)) for path in paths]:
        write_file(path, text)
    print(f"wrote {_counted(len(paths), 'executed notebook')} into {shown(order.notebooks)}")
    if order.names or order.notebooks != NOTEBOOKS:
        return
    from ..engine.planning import gathered, read_timings, updated, write_timings
    from ..engine.upkeep import notes, pack
    from ..paper.experiments import shipped
    from ..paper.registry import archives

    bench = study(order.preset_name, store=str(order.results), fresh=order.fresh)
    more = shipped(bench)
    bench.run(more, engine=order.engine, workers=order.workers, load=False)
    groups = archives(bench)
    size = pack(groups, [order.results, SHIPPED], SHIPPED, shipped_too=True)
    write_timings(updated(read_timings(), gathered(notes([order.results]).values())))
    print(f"wrote {_counted(sum(map(len, groups.values())), 'result')}, {size / 1e6:.1f} MB, into {shown(SHIPPED)}")
    write_pages(order.figures)


def ledger_of(figures: Path) -> tuple[list[dict], int]:
    """The ledgers beside the figures and when they were written (ns); none where there is none that can be read."""
    try:
        return read_ledgers(figures), (figures / "claims.csv").stat().st_mtime_ns
    except (BadInput, OSError):
        return [], 0


def write_pages(figures: Path, root: Path = ROOT) -> None:
    """Put what notebook 15 wrote beside the figures between the marks of two pages.

    The findings go into the README, the ledgers into docs/results.md; a page keeps what it has where there is no
    findings.md or no claims.csv.
    """
    pages: dict[Path, dict[str, str]] = {}
    if (figures / "claims.csv").is_file():
        rows = read_ledgers(figures)
        pages[root / "docs" / "results.md"] = {
            name: markdown_table(own) for name in LEDGERS if (own := rows_of(rows, name))
        }
    if (figures / FINDINGS).is_file():
        pages[root / "README.md"] = {"findings": (figures / FINDINGS).read_text(encoding="utf-8")}
    for page, parts in pages.items():
        text = page.read_text(encoding="utf-8")
        for name, part in parts.items():
            text = update_between(text, part, name)
        write_file(page, text)


def find(names: Sequence[str], folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks named, in that order: ``00``, ``00_quickstart`` or a file name; all if none is."""
    there = sorted(folder.glob("*.ipynb"))
    if not there:
        raise BadInput(f"there are no notebooks in {folder}: run this from a clone of the repository.")
    found: dict[Path, None] = {}
    for name in names or [path.stem for path in there]:
        wanted = Path(name).name.removesuffix(".ipynb")
        matches = [path for path in there if wanted in (path.stem, path.stem.split("_")[0])]
        if len(matches) != 1:
            raise BadInput(f"no notebook is named {name!r}: there are {', '.join(path.stem for path in there)}.")
        found[matches[0]] = None
    return list(found)


def read_parameters(notebook: Path | Mapping[str, Any], tag: str = "parameters") -> dict[str, Any]:
    """Return the names and literal values that a notebook's cell tagged ``parameters`` assigns."""
    nb = read(notebook) if isinstance(notebook, Path) else notebook
    values: dict[str, Any] = {}
    for cell in nb["cells"]:
        if tag in cell["metadata"].get("tags", []):
            try:
                for line in ast.parse(cell["source"]).body:
                    if isinstance(line, (ast.Assign, ast.AnnAssign)) and line.value:
                        name = line.target if isinstance(line, ast.AnnAssign) else line.targets[0]
                        values[ast.unparse(name)] = ast.literal_eval(line.value)
            except (SyntaxError, ValueError) as error:
                raise BadInput(f"a cell tagged {tag} may only assign literal values ({error}).") from None
    return values


def check_parameters(path: Path, given: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return given parameters of a notebook, each text turned into the type of its default; refuse others."""
    defaults = read_parameters(path)
    values: dict[str, Any] = {}
    for name, text in given:
        if name in HANDED_OVER:
            raise BadInput(f"the parameter {name!r} is not set by -p: use {HANDED_OVER[name]}.")
        if name not in defaults:
            allowed = ", ".join(n for n in defaults if n not in HANDED_OVER) or "none"
            raise BadInput(f"the notebook {path.stem} has no parameter {name!r}: its parameters are {allowed}.")
        values[name] = _typed(name, text, defaults[name])
    return values


def _typed(name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    kind = type(default)
    if kind is float and type(value) is int:
        return float(value)
    if kind in (list, tuple) and isinstance(value, (list, tuple)):
        for one in value:
            if name == "seeds":
                seed_of(one, f"a seed of the parameter {name!r}")
            elif default and type(one) is not type(default[0]):
                raise BadInput(f"the parameter {name!r} takes a list like {default!r}, got {text!r}.")
        return kind(value)
    if default is not None and type(value) is not kind:
        raise BadInput(f"the parameter {name!r} takes a value like {default!r} ({kind.__name__}), got {text!r}.")
    return value


def check_folder(folder: Path, what: str, option: str) -> None:
    """Make a folder, and raise `BadInput` unless files can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"the {what} {folder} cannot be written ({reason}): choose one with {option}.") from None


def check_store(folder: Path) -> None:
    """Raise `BadInput` unless results can be kept in a folder, or at least read, since it may hold all of them."""
    if not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK) and not os.access(folder, os.W_OK)):
        check_folder(folder, "store", "--store")


def mended(folder: Path) -> None:
    """Set aside the damaged results that no run has asked for, so that a store is sound after one."""
    for path, wrong in (mend(folder) if folder.is_dir() else {}).items():
        print(f"set aside {path.name}: {wrong}", file=sys.stderr)


def check_data(preset_name: str) -> None:
    """Read every shipped file and the preset's data set; raise `BadInput` if one is missing or corrupt."""
    from ..data.tasks import DATASETS, RESTORE, data_folder, read_shipped

    try:
        names = list(json.loads((data_folder() / "checksums.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{data_folder() / 'checksums.json'} is missing or corrupt; {RESTORE}.") from error
    for name in names:
        read_shipped(name)
    DATASETS[choose("data set", preset(preset_name).dataset, DATASETS)]()


def python_path() -> str:
    """``PYTHONPATH`` with which a kernel runs the code beside these notebooks."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


@dataclass(frozen=True)
class Job:
    """A notebook to execute: from where, to where, its parameters, the folder of its figures, the bar's label."""

    source: Path
    target: Path
    parameters: Mapping[str, Any]
    figures: Path
    label: str


def execute_all(jobs: Sequence[Job], at_once: int = 1) -> list[Outcome]:
    """Execute notebooks, ``at_once`` of them beside each other; an interrupt kills kernels and what they started."""
    import psutil

    with ThreadPoolExecutor(at_once) as pool:
        found = [pool.submit(execute, job) for job in jobs]
        try:
            return [future.result() for future in found]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in found):
                for process in psutil.Process().children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                time.sleep(0.05)
            raise


def execute(job: Job) -> Outcome:
    """Execute one notebook under a progress bar and say what became of it; its errors are not raised."""
    before, began = drawn(job.source.stem, job.figures), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "report.jsonl"
        error, refused = _run(job, log)
        counts = _lines(log)
    after = drawn(job.source.stem, job.figures)
    reports = [line for line in counts if "computed" in line]
    failed = sum(line.get("failed", 0) for line in reports)
    if failed and not error:
        error = f"{failed} results could not be computed"
    reused, computed = (sum(line[k] for line in reports) if reports else None for k in ("reused", "computed"))
    figures = tuple(sorted(path for path in after if after[path] != before.get(path)))
    keys = tuple(dict.fromkeys(name for line in reports for name in line.get("keys", ())))
    return Outcome(job.source.stem, time.monotonic() - began, error, refused, reused, computed, figures, keys)


def _run(job: Job, log: Path) -> tuple[str, bool]:
    """Let papermill execute a notebook; returns its error, empty for none, and whether that was a `BadInput`."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    try:
        with progress(job.label, log) as bar, event_loop():
            papermill.execute_notebook(
                job.source,
                job.target,
                dict(job.parameters),
                engine_name=papermill_engine(),
                kernel_name="python3",
                language="python",
                # The kernel's own log would break the bar; what goes wrong comes as the notebook's error.
                extra_arguments=["--IPKernelApp.log_level=50"],
                progress_bar=False,
                start_timeout=300,
                watched=(bar, log, job.source.parent),
            )
    except PapermillExecutionError as failure:
        if failure.ename == "BadInput":
            return failure.evalue, True
        lines = f"{failure.ename}: {failure.evalue}".strip().splitlines()
        if len(lines) > LAST_LINES:
            lines[:-LAST_LINES] = [f"cell {failure.cell_index}, {len(lines)} lines of error, the last:"]
        return "\n".join(lines), False
    except Exception as failure:  # whatever the kernel or papermill does, the other notebooks still run
        if "Kernel died" in str(failure):
            failure = RuntimeError(f"{KILLED} ({failure})")
        return f"{type(failure).__name__}: " + "\n".join(str(failure).strip().splitlines()[-LAST_LINES:]), False
    return "", False


@contextmanager
def event_loop() -> Iterator[None]:
    """Close, in the end, the event loop that Jupyter makes for this thread."""
    from jupyter_core.utils import ensure_event_loop

    loop = ensure_event_loop()
    try:
        yield
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


@lru_cache(maxsize=1)
def papermill_engine() -> str:
    """Name of the papermill engine whose kernels know their own report and folder, and which moves our bar."""
    from jupyter_client.manager import AsyncKernelManager
    from papermill.engines import NBClientEngine, papermill_engines

    class Watched(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, watched: Any = (), **options: Any) -> None:
            bar, log, folder = watched

            class Manager(AsyncKernelManager):
                # The environment and folder of this process are shared by all notebooks that run.
                async def start_kernel(self, **given: Any) -> None:  # type: ignore[override]
                    own = {**os.environ, "MCUTILS_REPORT": str(log)}
                    await super().start_kernel(**{**given, "env": own, "cwd": str(folder)})

            nb_man.pbar = bar
            bar.reset(total=len(nb_man.nb.cells))
            super().execute_managed_notebook(nb_man, kernel_name, kernel_manager_class=Manager, **options)
            bar.set_postfix_str(latest(_lines(log)))

    papermill_engines.register("mcutils", Watched)
    return "mcutils"


def drawn(name: str, figures: Path) -> dict[Path, int]:
    """A notebook's figures, ``<name>*.png``, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in figures.glob(f"{name}*.png")}


@contextmanager
def progress(label: str, log: Path) -> Iterator[Any]:
    """Show a bar of cells whose clock goes on within a long cell, and beside it what `study.run` reports."""
    from tqdm import tqdm

    bar = tqdm(desc=label, unit="cell", dynamic_ncols=True)

    def watch() -> None:
        while not ended.wait(1 if sys.stderr.isatty() else 60):
            bar.set_postfix_str(latest(_lines(log)), refresh=False)
            bar.refresh()

    ended, watcher = threading.Event(), threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield bar
    finally:
        ended.set()
        watcher.join()
        bar.close()


def latest(lines: Sequence[Mapping[str, Any]]) -> str:
    """Counts so far, and how far the batch of results under way is."""
    reports = [line for line in lines if "computed" in line]
    parts = [f"{sum(line[kind] for line in reports)} {kind}" for kind in ("reused", "computed") if reports]
    if lines and "total" in lines[-1]:
        parts.append(f"result {lines[-1]['done']} of {lines[-1]['total']}")
    return ", ".join(parts)


def _lines(log: Path) -> list[dict[str, Any]]:
    text = log.read_text(encoding="utf-8") if log.is_file() else ""
    # The last line may be half written.
    return [json.loads(line) for line in text.split("\n")[:-1] if line]


def report(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The closing table: notebook, seconds, status, results reused and computed, figures; in all so many seconds."""
    rows: list[Sequence[str]] = [("notebook", "seconds", "status", "reused", "computed", "figures")]
    for o in outcomes:
        counts = ["-" if n is None else str(n) for n in (o.reused, o.computed)]
        figures = ", ".join(map(shown, o.figures)) or "-"
        rows.append((o.name, f"{o.seconds:.1f}", "failed" if o.error else "ok", *counts, figures))
    total = f"{_counted(len(outcomes), 'notebook')} in {seconds:.0f} s"
    if any(o.computed is not None for o in outcomes):
        total += f": {sum(o.reused or 0 for o in outcomes)} reused, {sum(o.computed or 0 for o in outcomes)} computed"
    return "\n" + table(rows, right=(1, 3, 4)) + f"\n\n{total}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def used_results(path: Path) -> dict[str, dict[str, Any]]:
    """Preset and keys of results by notebook, from the list beside figures; `BadInput` where it is no such list."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        for entry in entries.values():
            entry["results"] = list(map(str, entry["results"]))
            entry["preset"] = str(entry["preset"])
        return entries
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(f"{path} is not a list of used results: name the {USED} beside the figures.") from None


def read(path: Path) -> Any:
    """Read a notebook."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat has many for what is none
        raise BadInput(f"{path} is not a notebook that can be read ({error}).") from error


def committed_form(executed: Path, source: Path) -> str:
    """Text of the cleaned form of an executed notebook; refused if its source was edited in the meantime."""
    import nbformat

    try:
        nb = clean_notebook(read(executed))
    except BadInput as error:
        raise BadInput(f"{source.name} is not written: {error}") from None
    if [cell["source"] for cell in nb["cells"]] != [cell["source"] for cell in read(source)["cells"]]:
        raise BadInput(f"{source.name} is not written: it was edited while it was running, run it again.")
    return nbformat.writes(nbformat.from_dict(nb)) + "\n"


def clean_notebook(nb: Mapping[str, Any]) -> dict[str, Any]:
    """Return an executed notebook as it is committed: nothing of machine, moment or progress is left.

    Cells are numbered from 1; injected parameters, stderr, widgets, timings and papermill's notes go. The code of
    a cell tagged ``hide-input`` is folded.
    Cleaning a clean notebook changes nothing.

    Raises:
        BadInput: an error output, a code cell that was not executed, parameters other than the defaults, an
            absolute path or a memory address somewhere.
    """
    injected = read_parameters(nb, "injected-parameters")
    defaults = read_parameters(nb)
    for name, value in injected.items():
        if name not in defaults or defaults[name] != value:
            raise BadInput(f"the notebook was run with {name} = {value!r}, which is not its default: run it plainly.")
    cells = [_clean_cell(c) for c in nb["cells"] if "injected-parameters" not in c["metadata"].get("tags", [])]
    for number, cell in enumerate((c for c in cells if c["cell_type"] == "code" and c["source"]), 1):
        if cell["execution_count"] is None:
            raise BadInput(f"code cell {number} was not executed: {cell['source'].splitlines()[0]}")
        cell["execution_count"] = number
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result":
                output["execution_count"] = number
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    clean = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    if stray := machine_traces(clean):
        raise BadInput(f"the notebook holds {stray[0]!r}, which belongs to one machine or run: do not print it.")
    return clean


def _clean_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    tags = cell["metadata"].get("tags", [])
    clean = {
        "cell_type": cell["cell_type"],
        "id": cell["id"],
        "metadata": {"tags": list(tags), **(HIDDEN if "hide-input" in tags else {})} if tags else {},
        "source": cell["source"],
    }
    if cell["cell_type"] == "code":
        clean |= {"execution_count": cell["execution_count"], "outputs": []}
        for output in cell["outputs"]:
            _add_output(clean["outputs"], output)
    return clean


def _add_output(outputs: list[dict[str, Any]], output: Mapping[str, Any]) -> None:
    """Append a cleaned output; pieces of stdout, split by chance, are joined."""
    kind = output["output_type"]
    if kind == "error":
        raise BadInput(f"the notebook ends in {output['ename']} ({output['evalue']}): mend it first.")
    if kind == "stream":
        if output["name"] == "stdout" and outputs and outputs[-1]["output_type"] == "stream":
            outputs[-1]["text"] += output["text"]
        elif output["name"] == "stdout":
            outputs.append({**output})
        return
    data = {mime: value for mime, value in output["data"].items() if not mime.startswith(WIDGET)}
    # Without its widget a view is a line of text that tells a reader nothing.
    if len(data) < len(output["data"]) and set(data) <= {"text/plain"}:
        return
    outputs.append({**output, "data": data})


KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HIDDEN = {"jupyter": {"source_hidden": True}}  # how JupyterLab folds the code of a cell tagged hide-input
WIDGET = "application/vnd.jupyter.widget"
STRAY = re.compile(
    r"""(?:^|(?<=[\s"'`(\[=,>]))/[\w.+-]+/[\w.+-]*  # an absolute path of two parts or more
    |\b[A-Za-z]:\\\w+|\bfile://\S*  # a Windows path, a file address
    |\ at\ 0x[0-9a-f]{6,}  # where an object lay in memory""",
    re.VERBOSE,
)


def machine_traces(value: Any) -> list[str]:
    """Absolute paths and memory addresses in the strings of a notebook, images left aside."""
    if isinstance(value, Mapping):
        value = [part for pair in value.items() if not pair[0].startswith("image/") for part in pair]
    if isinstance(value, (list, tuple)):
        return [s for part in value for s in machine_traces(part)]
    if not isinstance(value, str):
        return []
    places = [str(p) for p in (ROOT, Path.home(), Path(sys.prefix)) if len(p.parts) > 2]
    return [p for p in places if p in value] + STRAY.findall(value)
