"""The command line: ``python -m mcutils reproduce | run | plan | store | show | explore | site | list | ...``."""

from __future__ import annotations

import argparse
import inspect
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from ..engine.cluster import answer_seconds, check_engine, cluster_settings, worker_count
from ..errors import BadInput, choose, path_of, shown
from ..files import file_at, folder_at, place, switched
from ..plugins import REGISTERED
from . import output

# kind -> module and name of its table
TABLES = {
    "datasets": ("data.tasks", "DATASETS"),
    "models": ("models.vision", "MODELS"),
    "methods": ("unlearning.methods", "METHODS"),
    "curricula": ("curricula", "CURRICULA"),
    "optimizers": ("optimizers", "OPTIMIZERS"),
    "curves": ("curves", "CURVES"),
    "metrics": ("measures.metrics", "METRICS"),
    "similarities": ("measures.similarity", "SIMILARITIES"),
    "claims": ("paper.claims", "CLAIMS"),
}
DETAILS = {"methods": ("source",), "metrics": ("direction", "unit", "source"), "claims": ("source", "notebook")}


def _named(metavar: str | tuple[str, str], text: str, **options: Any) -> dict[str, Any]:
    return {"metavar": metavar, "help": text, **options}


def _switch(text: str) -> dict[str, Any]:
    return {"action": "store_true", "help": text}


Arguments = dict[str, dict[str, Any]]
STORE: Arguments = {"--store": _named("PATH", "folder of results (default: $MCUTILS_STORE, else build/store)")}
JSON: Arguments = {"--json": _switch("print JSON (default: a table)")}
CHANGED: Arguments = {**STORE, "--yes": _switch("also where it changes the shipped results")}
STUDY: Arguments = {
    "notebooks": _named("NOTEBOOK", "00, 00_quickstart or a file name (default: all)", nargs="*"),
    "--preset": _named("PRESET", "smoke, laptop or paper (default: laptop)", dest="preset_name", default="laptop"),
    **STORE,
    "--fresh": _switch("do without the results shipped in data/ (default: use them)"),
}
PART: Arguments = {
    "--original": _named("K", "only what belongs to the original model of this training seed"),
    "--metric": _named("NAME", "only this metric of their profiles, and what it reads"),
}
ARCHIVE: Arguments = {
    "--archive": _named("FOLDER", "afterwards write these results there, an archive a notebook and original"),
}
ENGINE: Arguments = {
    "--workers": _named("N", "processes that compute (default: one a core)"),
    "--engine": _named("NAME", "serial, local, slurm or a scheduler's address (default: $MCUTILS_ENGINE, else local)"),
}

# name -> what it does, the function of the package that does it, or the actions that it has, and its arguments
ACTIONS: dict[str, tuple[str, Any, Arguments]] = {
    "status": ("count results, megabytes and CPU seconds by kind", "cli.stores.store_status", STORE | JSON),
    "verify": ("check every result; exit 1 and name what is damaged", "cli.stores.store_verify", STORE),
    "gc": (
        "remove what nothing will read: set-aside files, remains of killed runs, outdated results",
        "cli.stores.store_gc",
        {**CHANGED, "--dry-run": _switch("only say what would go")},
    ),
    "export": (
        "copy results into another folder, for a colleague or as a read-only layer",
        "cli.stores.store_export",
        {
            **CHANGED,
            "target": _named("TARGET", "folder to copy into"),
            "keys": _named("KEY", "keys or their beginnings (default: all)", nargs="*"),
            "--used-by": _named("FILE", "take the keys that a results.json beside figures lists"),
            "--exact": _switch("remove all other results from the target"),
        },
    ),
    "import": (
        "copy the sound results of another store into this one",
        "cli.stores.store_import",
        {**CHANGED, "source": _named("SOURCE", "the other store's folder")},
    ),
}
COMMANDS: dict[str, tuple[str, Any, Arguments]] = {
    "reproduce": (
        "execute the notebooks with papermill, redraw the figures and print a report",
        "cli.main.reproduce_main",
        {
            **STUDY,
            **ENGINE,
            "--out": _named(
                "PATH",
                "folder for executed notebooks and figures (default: build/, but a laptop run without -p draws into"
                " figures/)",
            ),
            "-p": _named(
                ("NAME", "VALUE"),
                "set a parameter of the notebooks (default: as their parameters cells say)",
                **{"dest": "parameters", "nargs": 2, "action": "append", "default": []},
            ),
            "--write-notebooks": _switch(
                "after a plain laptop run, put cleaned executed notebooks into notebooks/ (default: leave them)"
            ),
        },
    ),
    "list": (
        "list the names of one kind, each with a line on it",
        "cli.main.list_main",
        {"kind": {"choices": [*TABLES, "notebooks"], "help": "what to list"}, **JSON},
    ),
    "run": (
        "compute what the notebooks need, without the notebooks: on all cores or on a cluster",
        "cli.stores.run_main",
        STUDY | PART | ARCHIVE | ENGINE,
    ),
    "plan": (
        "say what there is to compute, how long it takes and how much it stores, without computing",
        "cli.stores.plan_main",
        STUDY | PART | JSON,
    ),
    "store": ("look after a store of results: status, verify, gc, export, import", ACTIONS, {}),
    "show": (
        "say where a result or a figure comes from",
        "cli.stores.show_main",
        {
            "key": _named("KEY", "a result's key or the beginning of one, or a figure's file name"),
            **STORE,
            "--json": _switch("print the whole provenance as JSON"),
        },
    ),
    "explore": (
        "open the curve explorer in a browser, on this machine only",
        "cli.stores.explore_main",
        {
            "--app": _switch("a page without code, by Voila (default: JupyterLab)"),
            "--no-browser": _switch("only print the address (default: open a browser)"),
            "--port": _named("N", "port on 127.0.0.1 (default: 8888)", default="8888"),
            "--export-live": _named("FILE", "instead write a page in which the network runs in the browser"),
            "--export-stories": _named("FOLDER", "instead write six stories, a page each, and a page that lists them"),
            "--export-toy": _named("FILE", "instead write a page with the landscape of two weights"),
            **STORE,
        },
    ),
    "site": (
        "build the static site: notebooks, claims, figures and reference as pages",
        "cli.site.site_main",
        {"--out": _named("PATH", "folder to write (default: build/site)")},
    ),
    "lesson": (
        "write the lesson for students, without solutions, for teachers, with notes, and a sheet to write on",
        "cli.main.lesson_main",
        {
            "out": _named("FOLDER", "folder to write into"),
            "--slides": _switch("also slides, one page that needs no network (default: without)"),
        },
    ),
    "search": ("search for each method's settings on the validation split", "paper.search.main", {}),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 something failed, 2 bad input, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):  # names of files may hold bytes that are no text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    ended: list[int] = []
    try:
        arguments = parser(argv).parse_args(argv)
        check_environment()
        with as_interrupts(ended):
            return _run(arguments)
    except BadInput as error:
        print(f"mcutils: {output.printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read what is printed has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        what = f"{shown(error.filename)} cannot be used" if error.filename else "the system refuses"
        print(f"mcutils: {what} ({error.strerror or error}).", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nmcutils: interrupted; finished results are kept, so the same command goes on from here.", file=sys.stderr
        )
        return 128 + (ended[0] if ended else signal.SIGINT)


def _run(arguments: argparse.Namespace) -> int:
    """Run a command; for ``--json`` it returns rows, and whatever plugins print meanwhile goes to stderr."""
    try:
        with redirect_stdout(sys.stderr) if getattr(arguments, "json", False) else nullcontext():
            found = arguments.run(arguments)
    except SystemExit as error:
        codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        known = [one for one in REGISTERED.values() if getattr(one.function, "__code__", None) in codes]
        who = f"the {known[0].kind} {known[0].name!r} of {known[0].function.__module__}" if known else "something"
        raise BadInput(f"{who} ended the program by sys.exit({error.code!r}).") from None
    if isinstance(found, int):
        return found
    print(json.dumps(found, indent=1))
    return 0


@contextmanager
def as_interrupts(ended: list[int]) -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, unless something handles or ignores them; ``ended`` notes which.

    They take the way of SIGINT, so that what holds Ctrl-C back for a moment holds these as well.
    """

    def end(number: int, frame: Any) -> None:  # noqa: ARG001
        ended.append(number)
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a shell's background jobs
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    mine = threading.current_thread() is threading.main_thread()
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    taken = [number for number in known if mine and signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def check_environment() -> None:
    """Raise `BadInput` for the first of our environment variables that says what it may not."""
    for name in ("MCUTILS_STORE", "MCUTILS_DATA", "MCUTILS_CACHE", "MCUTILS_FIGURES"):
        if os.environ.get(name):
            folder_at(place(None, name, Path()), name)
    for name, there in (("MCUTILS_DATA", Path.is_dir), ("MCUTILS_CLUSTER", Path.is_file)):
        if os.environ.get(name) and not there(place(None, name, Path())):
            raise BadInput(f"{name} {shown(os.environ[name])} is not there.")
    if os.environ.get("MCUTILS_REPORT"):
        file_at(place(None, "MCUTILS_REPORT", Path()), "MCUTILS_REPORT")
    if os.environ.get("MCUTILS_COMPUTE"):
        choose("MCUTILS_COMPUTE", os.environ["MCUTILS_COMPUTE"], ["never"])
    switched("MCUTILS_FRESH")
    worker_count()
    answer_seconds()
    check_engine(None)
    cluster_settings()


def parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands; a command's heavy imports wait until it is the one asked for."""
    top = argparse.ArgumentParser(prog="python -m mcutils", description="Mode connectivity in machine unlearning.")
    commands = _add(top, "command", COMMANDS)
    if list(argv[:1]) == ["search"]:
        from ..paper import search

        search.add_arguments(commands["search"])
    return top


def _add(parser: argparse.ArgumentParser, what: str, table: Mapping[str, Any]) -> dict[str, argparse.ArgumentParser]:
    """Give a parser the commands, or actions, of a table."""
    there = parser.add_subparsers(title=f"{what}s", metavar=what.upper(), required=True)
    for name, (about, runs, arguments) in table.items():
        one = there.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        for argument, options in arguments.items():
            one.add_argument(argument, **options)
        if isinstance(runs, str):
            one.set_defaults(run=lambda arguments, runs=runs: _found(runs)(arguments))
        else:
            _add(one, "action", runs)
    return there.choices


def _found(place: str) -> Any:
    """What a module of the package calls so, such as ``data.tasks.DATASETS``."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"mcutils.{module}"), name)


def catalogue(kind: str) -> list[dict[str, Any]]:
    """Rows of one kind for `list`: name, one line about it, and what else its table says."""
    if kind == "notebooks":
        from . import reproduce

        return [{"name": path.stem, "about": _title(reproduce.read(path))} for path in reproduce.find(())]
    table = _found(".".join(TABLES[kind]))
    more = {key: {field: getattr(entry, field) for field in DETAILS.get(kind, ())} for key, entry in table.items()}
    rows = [{"name": key, "about": _about(entry), **more[key]} for key, entry in table.items()]
    if kind == "claims":
        from ..paper.claims import PROTOCOL, power, power_text

        known = power()
        for row in rows:
            row |= {"declared": PROTOCOL.get(row["name"], {}), "power": power_text(row["name"], known)}
    return rows


def _about(entry: Any) -> str:
    for field in ("about", "statement", "formula"):
        if isinstance(getattr(entry, field, None), str):
            return getattr(entry, field).replace("`", "")
    return (inspect.getdoc(entry) or "").split("\n")[0].replace("`", "")


def _title(notebook: dict[str, Any]) -> str:
    lines = [line for c in notebook["cells"] if c["cell_type"] == "markdown" for line in c["source"].split("\n")]
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")


def reproduce_main(arguments: argparse.Namespace) -> int:
    """Run `reproduce`."""
    from .reproduce import reproduce

    options = {name: value for name, value in vars(arguments).items() if name not in ("run", "notebooks")}
    return reproduce(arguments.notebooks, **options)


def list_main(arguments: argparse.Namespace) -> int | list[dict[str, Any]]:
    """Print the `catalogue` of a kind."""
    rows = catalogue(arguments.kind)
    if arguments.json:
        return rows
    if arguments.kind == "claims":
        for row in rows:
            print(f"{row['name']:<4}  {row['about']}")
            if told := row["declared"]:
                print(f"{'':6}{told['statistic']} ({told['unit']}); threshold {told['threshold']}; {told['rule']}")
                print(f"{'':6}null: {told['null'] or 'none'}; found in made worlds: {row['power'] or 'not tried'}")
            else:
                print(f"{'':6}not declared yet: it waits for {row['notebook']}")
    else:
        print(output.table([(row["name"], row["about"]) for row in rows]))
    return 0


def lesson_main(arguments: argparse.Namespace) -> int:
    """Write the editions of the lesson."""
    from ..files import CLONE
    from ..teaching.lesson import editions

    if not CLONE:
        raise BadInput("the lesson is a notebook of the repository: clone it.")
    folder = folder_at(path_of(arguments.out, "FOLDER"), "folder")
    for path in output.write(folder, editions(slides=arguments.slides)):
        print(output.shown(path))
    return 0
