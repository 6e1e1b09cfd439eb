"""Commands over stores and plans: ``store``, ``show``, ``plan``, ``run`` and ``explore``."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..engine.cluster import MOST, cores
from ..engine.planning import plan, plan_text
from ..engine.runs import RunFailed, missing
from ..engine.specs import ProfileSpec, Spec
from ..engine.store import DENIED
from ..engine.study import Study, store_folder, study
from ..engine.upkeep import adopt, collect, export, matching, notes, parents_in, results, status, verify
from ..errors import LARGEST_SEED, BadInput, choose, path_of, whole
from ..files import BUILD, counted, file_at, folder_at, switched, write_file
from ..measures.metrics import METRICS
from .reproduce import DEFAULT, NOTEBOOKS, SHIPPED, USED, check_folder, check_store, mended, python_path, shown, table


def layers(folder: Path, fresh: bool = False) -> list[Path]:
    """A store's folder and the shipped results below it, those that exist."""
    below = [] if fresh or switched("MCUTILS_FRESH") else [SHIPPED]
    return [path for path in (folder, *below) if path.is_dir()]


def planned(names: Sequence[str], bench: Study, metric: str | None = None, original: str | None = None) -> list[Spec]:
    """The specs of the notebooks named (``02`` or ``02_seeds``; none: all), or of a metric of their profiles.

    A metric is of the profiles that hold the splits that it reads. ``original``: only what belongs to this one.
    """
    from ..paper.archives import shard
    from ..paper.registry import EXPERIMENTS

    chosen = []
    for name in names or EXPERIMENTS:
        matches = [full for full in EXPERIMENTS if Path(name).stem in (full, full.split("_")[0])]
        chosen.append(choose("experiment", matches[0] if matches else name, EXPERIMENTS))
    specs = [spec for name in dict.fromkeys(chosen) for spec in EXPERIMENTS[name](bench)]
    if metric is not None:
        reads = set(METRICS[choose("metric", metric, METRICS)].splits)
        profiles = (one for one in specs if isinstance(one, ProfileSpec) and reads <= set(one.trace.held))
        specs = [bench.metric(metric, one) for one in profiles]
    seed = counted("--original", original, 0, LARGEST_SEED)
    return specs if seed is None else shard(specs, seed)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``run``."""
    _add_study_arguments(parser)
    parser.add_argument(
        "--engine",
        metavar="NAME",
        help="serial, local, slurm or a Dask scheduler's address (default: $MCUTILS_ENGINE, else local)",
    )
    parser.add_argument("--workers", metavar="N", help="processes that compute (default: one a core)")


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``plan``."""
    _add_study_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON (default: a table)")


def _add_study_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="00 or 00_quickstart (default: all)")
    parser.add_argument("--preset", default=DEFAULT, help=f"smoke, laptop, eight or paper (default: {DEFAULT})")
    parser.add_argument("--original", metavar="K", help="only what belongs to the original model of this training seed")
    parser.add_argument("--metric", metavar="NAME", help="only this metric of their profiles, and what it reads")
    parser.add_argument("--store", metavar="PATH", help="folder of results (default: $MCUTILS_STORE, else build/store)")
    parser.add_argument("--fresh", action="store_true", help="do without the results shipped in data/")


def run_main(arguments: argparse.Namespace) -> int:
    """Compute what the notebooks need, without the notebooks."""
    folder = store_folder(arguments.store)
    check_store(folder)
    workers = counted("--workers", arguments.workers, 1, MOST)
    bench = study(arguments.preset, store=str(folder), fresh=arguments.fresh or None)
    specs = planned(arguments.notebooks, bench, arguments.metric, arguments.original)
    if missing(specs, bench.store):
        _ = bench.task  # data that are not there stop the run before each result fails for lack of them
    try:
        bench.run(specs, engine=arguments.engine, workers=workers, load=False)
    except RunFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    mended(folder)
    return 0


def plan_main(arguments: argparse.Namespace) -> int:
    """Print what the notebooks would compute."""
    folder = store_folder(arguments.store)
    bench = study(arguments.preset, store=str(folder), fresh=arguments.fresh or None)
    rows = plan(planned(arguments.notebooks, bench, arguments.metric, arguments.original), bench.store)
    if arguments.json:  # which knows no nan
        print(json.dumps([{k: None if v != v else v for k, v in row.items()} for row in rows], indent=1))
        return 0
    words = [(r["kind"], r["stored"], r["to compute"], f"{r['CPU seconds']:,.0f}", f"{r['MB']:,.1f}") for r in rows]
    print(table([("kind", "stored", "to compute", "CPU seconds", "MB"), *words]))
    print(plan_text(rows, cores()))
    return 0


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``store``."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    about = {
        "status": "count results, megabytes and CPU seconds by kind",
        "verify": "check every result; exit 1 and name what is damaged",
        "gc": "remove what nothing will read: set-aside files, remains of killed runs, outdated results",
        "export": "copy results into another folder, for a colleague or as a read-only layer",
        "import": "copy the sound results of another store into this one",
    }
    for name, text in about.items():
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("--store", metavar="PATH", help="the store (default: $MCUTILS_STORE, else build/store)")
        action.set_defaults(run=ACTIONS[name])
        if name in ("gc", "export", "import"):
            action.add_argument("--yes", action="store_true", help="also where it changes the shipped results")
        if name == "gc":
            action.add_argument("--dry-run", action="store_true", help="only say what would go")
        if name == "status":
            action.add_argument("--json", action="store_true", help="print JSON (default: a table)")
        if name == "export":
            action.add_argument("target", metavar="TARGET", help="folder to copy into")
            action.add_argument("keys", nargs="*", metavar="KEY", help="keys or their beginnings (default: all)")
            action.add_argument("--used-by", metavar="FILE", help=f"take the keys that a {USED} beside figures lists")
            action.add_argument("--exact", action="store_true", help="remove all other results from the target")
        if name == "import":
            action.add_argument("source", metavar="SOURCE", help="the other store's folder")


def _status(arguments: argparse.Namespace) -> int:
    folder = store_folder(arguments.store)
    rows = status(folder)
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    words = [(r["kind"], r["results"], f"{r['MB']:,.1f}", f"{r['CPU seconds']:,.0f}") for r in rows]
    total = [sum(r[k] for r in rows) for k in ("results", "MB", "CPU seconds")]
    words.append(("all", total[0], f"{total[1]:,.1f}", f"{total[2]:,.0f}"))
    print(shown(folder))
    print(table([("kind", "results", "MB", "CPU seconds"), *words]))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    folder = store_folder(arguments.store)
    bad, count = verify(folder), len(results(folder))
    for path, wrong in bad.items():
        print(f"{path.name}: {wrong}")
    denied = sum(wrong.startswith(DENIED) for wrong in bad.values())
    unread = f", {denied} that cannot be read" if denied else ""
    print(f"{count - len(bad)} sound, {len(bad) - denied} damaged{unread} in {shown(folder)}")
    return 1 if bad else 0


def _gc(arguments: argparse.Namespace) -> int:
    folder = store_folder(arguments.store)
    count, size = collect(folder, arguments.dry_run, arguments.yes)
    print(f"{'would remove' if arguments.dry_run else 'removed'} {count} files, {size / 1e6:.1f} MB")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    folder = store_folder(arguments.store)
    sources = layers(folder)
    if not sources or (arguments.store and not folder.is_dir()):
        raise BadInput(f"there is no store in {folder}: name one with --store.")
    target = folder_at(path_of(arguments.target, "TARGET"), "target")
    if arguments.used_by is not None and arguments.keys:
        raise BadInput("--used-by takes the keys that its file lists: give that or keys, not both.")
    if arguments.used_by is not None:
        keys = used(file_at(path_of(arguments.used_by, "--used-by"), "--used-by"))
    elif arguments.keys:
        keys = [key for prefix in arguments.keys for key in matching(_begun(prefix), sources)]
    else:
        keys = list(notes(sources[:1]))
    size = export(keys, sources, target, arguments.exact, arguments.yes)
    print(f"{len(set(keys))} results exported; {arguments.target} now holds {size / 1e6:.1f} MB")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    folder = store_folder(arguments.store)
    check_folder(folder, "store", "--store")
    new, known, bad = adopt(folder_at(path_of(arguments.source, "SOURCE"), "source"), folder, arguments.yes)
    for path, wrong in bad.items():
        print(f"left out {path.name}: {wrong}", file=sys.stderr)
    print(f"{new} results imported, {known} were there, {len(bad)} damaged ones left out")
    return 1 if bad else 0


ACTIONS = {"status": _status, "verify": _verify, "gc": _gc, "export": _export, "import": _import}


def _begun(prefix: str) -> str:
    if not prefix:
        raise BadInput("a KEY must be a result's key or the beginning of one, got nothing.")
    return prefix


def used(path: Path) -> list[str]:
    """Keys of all results that a reproduction's list names."""
    return sorted({key for _, keys in _used(path).values() for key in keys})


def _used(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Preset and keys by notebook, from a reproduction's list."""
    try:
        entries = json.loads(path.read_text())
        return {name: (str(entry["preset"]), list(map(str, entry["results"]))) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{path} is not a list of used results: name the {USED} beside the figures.") from None


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``show``."""
    parser.add_argument("key", metavar="KEY", help="a result's key or the beginning of one, or a figure's file name")
    parser.add_argument("--store", metavar="PATH", help="folder of results (default: $MCUTILS_STORE, else build/store)")
    parser.add_argument("--json", action="store_true", help="print the whole provenance as JSON")


def show_main(arguments: argparse.Namespace) -> int:
    """Print where a result, or a figure's results, come from."""
    folders = layers(store_folder(arguments.store))
    if not folders:
        raise BadInput(f"there is no store in {store_folder(arguments.store)}: name one with --store.")
    if arguments.key.endswith((".png", ".svg")):
        return _show_figure(Path(arguments.key), folders)
    found = matching(_begun(arguments.key), folders)
    if arguments.json:
        print(
            json.dumps(
                [{**note, "folder": shown(note["folder"]), "path": shown(note["path"])} for note in found.values()],
                indent=1,
            )
        )
    elif len(found) > 1:
        words = [(k, n["seconds"], n.get("created", "?")) for k, n in found.items()]
        print(table([("key", "seconds", "made"), *words]))
    else:
        [(name, note)] = found.items()
        print(provenance_text(name, note, notes(folders)))
    return 0


def provenance_text(name: str, note: dict[str, Any], known: dict[str, Any]) -> str:
    """Provenance in words: where, when, how long, on what; the spec; all that it was made from, each once."""
    versions = ", ".join(f"{k} {v}" for k, v in note.get("versions", {}).items())
    lines = [
        name,
        f"  stored  {shown(note['folder'])}, {note['bytes'] / 1e3:.0f} kB, sha256 {note['sha256'][:16]}…",
        f"  made    {note.get('created', '?')}, {note['seconds']} CPU seconds, {versions}",
        f"  {_settings(note['spec'])}",
        "  made from" + ("" if parents_in(note["spec"]) else " nothing but its settings"),
    ]
    seen: set[str] = set()

    def visit(spec: Any, depth: int) -> None:
        for key, inner in parents_in(spec).items():
            again = key in seen
            seen.add(key)
            pad = "  " * depth
            lines.append(f"{pad}{key}, {'as above' if again else 'stored' if key in known else 'not stored'}")
            if not again:
                lines.append(f"{pad}    {_settings(inner)}")
                visit(inner, depth + 1)

    visit(note["spec"], 2)
    return "\n".join(lines)


def _settings(spec: Any) -> str:
    """A spec's own settings in one line; results inside it are left out."""
    if isinstance(spec, list):
        return "[" + ", ".join(map(_settings, spec)) + "]"
    if not isinstance(spec, dict):
        return f"{spec:g}" if isinstance(spec, float) else str(spec)
    parts = []
    for name, value in spec.items():
        if name != "spec" and not parents_in([value]) and value not in ("", None, []):
            inner = f"({_settings(value)})" if isinstance(value, dict) else _settings(value)
            parts.append(f"{name} {inner[:16] if name == 'checksum' else inner}")
    return ", ".join(parts)


def _show_figure(path: Path, folders: Sequence[Path]) -> int:
    listing = path.parent / USED
    if not listing.is_file():
        raise BadInput(f"{listing} does not say where {path.name} comes from: reproduce the notebook first.")
    entries = _used(listing)
    owner = next((name for name in sorted(entries, reverse=True) if path.stem.startswith(name)), None)
    if owner is None:
        raise BadInput(f"{path.name} belongs to none of {', '.join(entries)}.")
    known, (preset, keys) = notes(folders), entries[owner]
    print(f"{path.name}: notebook {owner}, preset {preset}, {len(keys)} results")
    rows = [(k, known[k].get("created", "?") if k in known else "not stored here") for k in keys]
    print(table([("key", "made"), *rows]))
    return 0


EXPLORER = "14_explorer.ipynb"
HERE = "127.0.0.1"


def add_explore_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``explore``."""
    parser.add_argument("--app", action="store_true", help="a page without code, by Voila (default: JupyterLab)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address (default: open a browser)")
    parser.add_argument("--port", default="8888", metavar="N", help="port on 127.0.0.1 (default: 8888)")
    parser.add_argument("--store", metavar="PATH", help="folder of results (default: $MCUTILS_STORE, else build/store)")


def explore_main(arguments: argparse.Namespace) -> int:
    """Open the explorer's notebook, or the app, and serve it until it is interrupted."""
    if arguments.store and not store_folder(arguments.store).is_dir():
        raise BadInput(f"there is no store in {arguments.store}: name a folder that a run has filled.")
    port = whole("--port", counted("--port", arguments.port, 1, 65535), 1, 65535)
    command = explore_command(arguments.app, port, not arguments.no_browser)
    check_port(port)
    variables = {
        "MCUTILS_STORE": str(store_folder(arguments.store).resolve()),
        "PYTHONPATH": python_path(),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


def check_port(port: int) -> None:
    """Raise `BadInput` unless a server can listen there."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself will do
        try:
            one.bind((HERE, port))
        except OSError as error:
            reason = error.strerror or error
            raise BadInput(f"port {port} of {HERE} cannot be used ({reason}): choose another with --port.") from None


def explore_command(app: bool, port: int, browser: bool, folder: Path = BUILD / "explorer") -> list[str]:
    """The command that serves the explorer on 127.0.0.1; raises `BadInput` for what is not there.

    Jupyter's server asks for its random token and refuses a foreign Host. The notebook of an app, which holds nothing
    but the explorer, is written into ``folder``; its page may load nothing from elsewhere, and kernels that nobody is
    connected to end after ten minutes.
    """
    common = [f"--ServerApp.ip={HERE}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    common += ["--ServerApp.allow_remote_access=False"] + ([] if browser else ["--no-browser"])
    if not app:
        path = NOTEBOOKS / EXPLORER
        if not path.is_file():
            raise BadInput(f"there is no {EXPLORER} in {NOTEBOOKS}: run this from a clone of the repository.")
        return [sys.executable, "-m", "jupyterlab", *common, str(path)]
    if find_spec("voila") is None:
        raise BadInput("--app needs Voila: pip install -e '.[demo]', or leave out --app for JupyterLab.")
    check_folder(folder, "folder", "the rights of this user")
    write_file(folder / "app.ipynb", json.dumps(APP))
    sockets = " ".join(f"ws://{name}:{port}" for name in (HERE, "localhost"))
    policy = (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:;"
        f" connect-src 'self' {sockets}; frame-ancestors 'self'"
    )
    options = {
        "ServerApp.root_dir": folder,
        "ServerApp.default_url": "/voila/render/app.ipynb",
        "ServerApp.jpserver_extensions": {"voila.server_extension": True},
        "ServerApp.tornado_settings": {"headers": {"Content-Security-Policy": policy}},
        "MappingKernelManager.cull_idle_timeout": 600,
        "MappingKernelManager.cull_interval": 60,
    }
    return [sys.executable, "-m", "jupyter_server", *common, *(f"--{name}={value}" for name, value in options.items())]


APP = {
    "cells": [
        {
            "cell_type": "code",
            "id": "explorer",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": "import mcutils as mc\n\nmc.explore(mc.study())",
        }
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
