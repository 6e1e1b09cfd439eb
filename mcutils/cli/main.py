"""The command line: ``python -m mcutils reproduce | run | plan | store | show | explore | list | search | bench``."""

from __future__ import annotations

import argparse
import inspect
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ..engine.cluster import answer_seconds, check_engine, cluster_settings, worker_count
from ..errors import BadInput, choose, shown
from ..files import file_at, folder_at, place, switched

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
DETAILS = {
    "methods": ("source",),
    "metrics": ("direction", "unit", "source"),
    "claims": ("source", "statistic", "threshold", "direction", "notebook", "fixed"),
}


COMMANDS = {
    "run": "compute what the notebooks need, without the notebooks: on all cores or on a cluster",
    "plan": "say what there is to compute, how long it takes and how much it stores, without computing",
    "store": "look after a store of results: status, verify, gc, export, import",
    "show": "say where a result or a figure comes from",
    "explore": "open the curve explorer in a browser, on this machine only",
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
            return arguments.run(arguments)
    except BadInput as error:
        print(f"mcutils: {error}", file=sys.stderr)
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
            "\nmcutils: interrupted; finished results are kept, so the same command goes on from here.",
            file=sys.stderr,
        )
        return 128 + (ended[0] if ended else signal.SIGINT)


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
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    one = commands.add_parser(
        "reproduce",
        help="execute the notebooks and redraw the figures",
        description="Execute notebooks with papermill, redraw their figures and print a report. Results are"
        " kept in the store, so a second run computes nothing.",
    )
    _add_reproduce_arguments(one)
    one.set_defaults(run=_reproduce)

    two = commands.add_parser(
        "list",
        help="list what there is to choose from",
        description="List the names of one kind, each with a line on it.",
    )
    two.add_argument("kind", choices=[*TABLES, "notebooks"], help="what to list")
    two.add_argument("--json", action="store_true", help="print a JSON list of objects (default: two columns)")
    two.set_defaults(run=_list)

    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if list(argv[:1]) == [name]:
            module = import_module("mcutils.cli.stores")
            getattr(module, f"add_{name}_arguments")(command)
            if name != "store":
                command.set_defaults(run=getattr(module, f"{name}_main"))

    three = commands.add_parser(
        "search",
        help="search for the methods' settings",
        description="Search for each method's settings on the validation split.",
    )
    if list(argv[:1]) == ["search"]:
        from ..paper import search

        search.add_arguments(three)
        three.set_defaults(run=search.main)

    four = commands.add_parser(
        "bench",
        help="measure speed ratios",
        description="Measure speed ratios at one thread into a JSON list of rows name, ratio, goal, holds.",
    )
    four.add_argument("--out", metavar="PATH", help="file to write (default: build/bench.json)")
    four.add_argument("--quick", action="store_true", help="one short repetition each (default: five or more)")
    four.set_defaults(run=_bench)
    return top


def _add_reproduce_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "notebooks", nargs="*", metavar="NOTEBOOK", help="00, 00_quickstart or a file name (default: all)"
    )
    command.add_argument("--preset", default="laptop", help="smoke, laptop, eight or paper (default: laptop)")
    command.add_argument(
        "--store", metavar="PATH", help="folder of results (default: $MCUTILS_STORE, else build/store)"
    )
    command.add_argument(
        "--fresh", action="store_true", help="do without the results shipped in data/ (default: use them)"
    )
    command.add_argument("--workers", metavar="N", help="processes that compute (default: one a core)")
    command.add_argument(
        "--engine", metavar="NAME", help="serial, local, slurm or a scheduler's address (default: local)"
    )
    command.add_argument(
        "--out",
        metavar="PATH",
        help="folder for executed notebooks and figures (default: build/, but a laptop run without -p draws"
        " into figures/)",
    )
    command.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter of the notebooks (default: as their parameters cells say)",
    )
    command.add_argument(
        "--write-notebooks",
        action="store_true",
        help="after a plain laptop run, put cleaned executed notebooks into notebooks/ (default: leave them)",
    )


def catalogue(kind: str) -> list[dict[str, Any]]:
    """Rows of one kind for `list`: name, one line about it, and what else its table says."""
    if kind == "notebooks":
        from . import reproduce

        return [{"name": path.stem, "about": _title(reproduce.read(path))} for path in reproduce.find(())]
    module, name = TABLES[kind]
    table = getattr(import_module(f"mcutils.{module}"), name)
    return [
        {
            "name": key,
            "about": _about(entry),
            **{field: getattr(entry, field) for field in DETAILS.get(kind, ())},
        }
        for key, entry in table.items()
    ]


def _about(entry: Any) -> str:
    for field in ("about", "statement", "formula"):
        if isinstance(getattr(entry, field, None), str):
            return getattr(entry, field).replace("`", "")
    return (inspect.getdoc(entry) or "").split("\n")[0].replace("`", "")


def _title(notebook: dict[str, Any]) -> str:
    lines = ("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
    return next((line.lstrip("# ").strip() for text in lines for line in text.split("\n") if line.startswith("#")), "")


def _reproduce(arguments: argparse.Namespace) -> int:
    from .reproduce import reproduce

    return reproduce(
        arguments.notebooks,
        preset_name=arguments.preset,
        store=arguments.store,
        fresh=arguments.fresh,
        workers=arguments.workers,
        engine=arguments.engine,
        write_notebooks=arguments.write_notebooks,
        parameters=[tuple(pair) for pair in arguments.parameters],
        out=arguments.out,
    )


def _list(arguments: argparse.Namespace) -> int:
    rows = catalogue(arguments.kind)
    if arguments.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        from .reproduce import table

        if arguments.kind == "claims":
            lines = [f"{'':6}{row['statistic']}; threshold {row['threshold']}, {row['direction']}" for row in rows]
            print("\n".join(f"{row['name']:<4}  {row['about']}\n{line}" for row, line in zip(rows, lines, strict=True)))
            return 0
        print(table([(row["name"], row["about"]) for row in rows]))
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from ..errors import path_of
    from ..files import BUILD, file_at
    from .reproduce import check_folder

    given = BUILD / "bench.json" if arguments.out is None else path_of(arguments.out, "--out")
    out = file_at(given, "--out")
    check_folder(out.parent, "output folder", "--out")
    from .bench import main as bench

    return bench(out, quick=arguments.quick)
