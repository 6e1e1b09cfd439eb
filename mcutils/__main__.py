"""The command line: ``python -m mcutils reproduce | run | plan | store | show | explore | list | search | bench``."""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .settings import BadInput

# kind -> module and name of its table
TABLES = {
    "datasets": ("data", "DATASETS"),
    "models": ("models", "MODELS"),
    "methods": ("unlearning", "METHODS"),
    "curricula": ("objectives", "CURRICULA"),
    "optimizers": ("optimizers", "OPTIMIZERS"),
    "curves": ("curves", "CURVES"),
    "metrics": ("metrics", "METRICS"),
    "similarities": ("similarity", "SIMILARITIES"),
    "claims": ("claims", "CLAIMS"),
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
    try:
        arguments = parser(argv).parse_args(argv)
        return arguments.run(arguments)
    except BadInput as error:
        print(f"mcutils: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # A notebook's cut-off cell would be reported, traceback and all, when Python collects its task.
        logging.getLogger("asyncio").disabled = True
        print(
            "\nmcutils: interrupted; finished results are kept, so the same command goes on from here.",
            file=sys.stderr,
        )
        return 130


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
    one.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="00, 00_quickstart or a file name (default: all)")
    one.add_argument("--preset", default="laptop", help="smoke, laptop or paper (default: laptop)")
    one.add_argument("--store", metavar="PATH", help="folder of results (default: $MCUTILS_STORE, else build/store)")
    one.add_argument("--fresh", action="store_true", help="do without the results shipped in data/ (default: use them)")
    one.add_argument("--workers", type=int, metavar="N", help="processes that compute (default: one a core)")
    one.add_argument("--engine", metavar="NAME", help="serial, local, slurm or a scheduler's address (default: local)")
    one.add_argument(
        "--out",
        metavar="PATH",
        help="folder for executed notebooks and figures (default: build/, but a laptop run without -p draws"
        " into figures/)",
    )
    one.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter of the notebooks (default: as their parameters cells say)",
    )
    one.add_argument(
        "--write-notebooks",
        action="store_true",
        help="after a plain laptop run, put cleaned executed notebooks into notebooks/ (default: leave them)",
    )
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
            module = import_module("mcutils.commands")
            getattr(module, f"add_{name}_arguments")(command)
            if name != "store":
                command.set_defaults(run=getattr(module, f"{name}_main"))

    three = commands.add_parser(
        "search",
        help="search for the methods' settings",
        description="Search for each method's settings on the validation split.",
    )
    if list(argv[:1]) == ["search"]:
        from . import search

        search.add_arguments(three)
        three.set_defaults(run=search.main)

    four = commands.add_parser(
        "bench",
        help="measure speed ratios",
        description="Measure speed ratios at one thread into a JSON list of rows name, ratio, goal, holds.",
    )
    four.add_argument("--out", metavar="PATH", type=Path, help="file to write (default: build/bench.json)")
    four.add_argument("--quick", action="store_true", help="one short repetition each (default: five or more)")
    four.set_defaults(run=_bench)
    return top


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

        print(table([(row["name"], row["about"]) for row in rows]))
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from .files import BUILD
    from .reproduce import check_folder

    out = arguments.out or BUILD / "bench.json"
    check_folder(out.parent, "output folder", "--out")
    from .bench import main as bench

    return bench(out, quick=arguments.quick)


if __name__ == "__main__":
    raise SystemExit(main())
