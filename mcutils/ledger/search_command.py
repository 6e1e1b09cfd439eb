"""The command ``python -m mcutils search``: which search a preset has, what is kept of it, and what is printed."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ..engine.study import study
from ..errors import choose
from ..settings import method_settings, settings_name
from . import curve_search, staged
from .search import (
    GRID,
    SEEDS,
    VARIANTS,
    Tried,
    at_rate,
    candidates,
    chosen,
    context,
    parsed,
    read_rows,
    report,
    rows_for,
    settings_of,
    settings_of_search,
    table_path,
    write_rows,
    write_settings,
)


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
            curve_search.write_rows(name, curve_search.rows_for(bench))
        print(curve_search.report(curve_search.read_rows(name)))
        return 0
    methods = [choose("method", m, GRID) for m in arguments.methods] or list(GRID)
    rows: list[Mapping[str, Any]] = list(read_rows(name)) if table_path(name).is_file() else []
    if bench.preset.originals and not arguments.show:
        rows = staged.run(bench, methods, arguments.stages or staged.STAGES)
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
    for method, (curriculum, optimizer) in itertools.product(methods, VARIANTS):
        for won in map(parsed, chosen(rows, method)[:1]):
            start = method_settings(name, method, curriculum, optimizer)
            for scale in VARIANTS[curriculum, optimizer]:
                made = at_rate(start, won, scale)
                tries.append(Tried(method, curriculum, optimizer, made, SEEDS[0]))
    return tries
