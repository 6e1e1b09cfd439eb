"""Commands over stores and plans: ``store``, ``show``, ``plan``, ``run`` and ``explore``."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from .. import reading
from ..engine.cluster import MOST, cores
from ..engine.planning import parts, parts_text, plan, plan_text, seconds_of
from ..engine.runs import RunFailed, missing
from ..engine.specs import ProfileSpec, Spec, key as key_of
from ..engine.store import DENIED
from ..engine.study import Study, store_folder, study
from ..engine.upkeep import adopt, collect, export, matching, notes, pack, parents_in, results, status, verify
from ..errors import LARGEST_SEED, BadInput, choose, path_of, whole
from ..files import BUILD, counted, file_at, folder_at, switched, write_file
from ..measures.connectivity import TOLERANCE
from ..measures.metrics import METRICS
from . import output
from .output import printable, shown, table
from .reproduce import KERNEL, NOTEBOOKS, SHIPPED, USED, check_folder, check_store, mended, python_path, used_results

Rows = list[dict[str, Any]]  # what is printed as JSON where that is asked for


def layers(folder: Path) -> list[Path]:
    """A store's folder and the shipped results below it, those that exist."""
    below = [] if switched("MCUTILS_FRESH") else [SHIPPED]
    return [path for path in (folder, *below) if path.is_dir()]


def planned(
    names: Sequence[str], bench: Study, metric: str | None = None, original: str | None = None
) -> dict[str, list[Spec]]:
    """The specs of each notebook named (``02`` or ``02_seeds``; none: all), or of a metric of their profiles.

    What `registry.PRICED_APART` has is asked for by its name alone. A metric is of the profiles that hold the splits
    that it reads. ``original``: only what belongs to this one.
    """
    from ..paper.registry import EXPERIMENTS, PRICED_APART, shard

    seed = counted("--original", original, 0, LARGEST_SEED)
    chosen, known = [], {**EXPERIMENTS, **PRICED_APART}
    for name in names or EXPERIMENTS:
        matches = [full for full in known if Path(name).stem in (full, full.split("_")[0])]
        chosen.append(choose("experiment", matches[0] if matches else name, known))
    found = {name: list(known[name](bench)) for name in dict.fromkeys(chosen)}
    if metric is not None:
        reads = set(METRICS[choose("metric", metric, METRICS)].splits)
        profiles = [one for specs in found.values() for one in specs if isinstance(one, ProfileSpec)]
        found = {"metric": [bench.metric(metric, one) for one in profiles if reads <= set(one.trace.held)]}
    if seed is None:
        return found
    own = set(shard(chain(*found.values()), seed))
    return {name: [spec for spec in specs if spec in own] for name, specs in found.items()}


def run_main(arguments: argparse.Namespace) -> int:
    """Compute what the notebooks need, without the notebooks."""
    folder = store_folder(arguments.store)
    check_store(folder)
    workers = counted("--workers", arguments.workers, 1, MOST)
    bench = study(arguments.preset_name, store=str(folder), fresh=arguments.fresh or None)
    if arguments.archive is not None and arguments.metric is not None:
        raise BadInput("--archive writes what notebooks show, --metric computes another number: give one of them.")
    target = None if arguments.archive is None else folder_at(path_of(arguments.archive, "--archive"), "archive")
    specs = [*chain(*planned(arguments.notebooks, bench, arguments.metric, arguments.original).values())]
    if missing(specs, bench.store):
        _ = bench.task  # data that are not there stop the run before each result fails for lack of them
    try:
        bench.run(specs, engine=arguments.engine, workers=workers, load=False)
    except RunFailed as failure:
        print(printable(str(failure)), file=sys.stderr)
        return 1
    mended(folder)
    if target is not None:
        _archive(bench, specs, target)
    return 0


def _archive(bench: Study, specs: Iterable[Spec], target: Path) -> None:
    """Write these results into a folder of archives, beside those that are there."""
    from ..paper.registry import archives

    asked = {key_of(spec) for spec in specs}
    groups = {name: [one for one in keys if one in asked] for name, keys in archives(bench, shards=True).items()}
    groups = {name: [*_held(target, name), *keys] for name, keys in groups.items() if keys}
    size = pack(groups, [bench.store.folder, *bench.store.layers], target, exact=False)
    print(f"{sum(map(len, groups.values()))} results are in {shown(target)}, which now holds {size / 1e6:.1f} MB")


def _held(target: Path, name: str) -> list[str]:
    """Keys of what the archive of a group holds so far; raises `BadInput` for a file in its place that is none."""
    found: list[str] = []
    for archive in filter(Path.exists, (target / f"{name}{kind}" for kind in reading.ARCHIVES)):
        own = [path for path in reading.archived(target).values() if path.parent == archive]
        try:
            sound = own and reading.holds(archive, [(path.name, reading.read(path, output.LARGEST)) for path in own])
        except OSError:
            sound = False
        if not sound:
            raise BadInput(f"{shown(archive)} is no archive as mcutils writes it: move it away or name another folder.")
        found += {path.stem: path for path in own}
    return found


def plan_main(arguments: argparse.Namespace) -> int | Rows:
    """Print what the notebooks would compute."""
    folder = store_folder(arguments.store)
    bench = study(arguments.preset_name, store=str(folder), fresh=arguments.fresh or None)
    groups = planned(arguments.notebooks, bench, arguments.metric, arguments.original)
    takes = seconds_of(bench.store)
    rows = plan(chain(*groups.values()), bench.store, takes)
    if arguments.json:  # which knows no nan
        return [{k: None if v != v else v for k, v in row.items()} for row in rows]
    words = [(r["kind"], r["stored"], r["to compute"], f"{r['CPU seconds']:,.0f}", f"{r['MB']:,.1f}") for r in rows]
    print(table([("kind", "stored", "to compute", "CPU seconds", "MB"), *words]))
    if arguments.metric is None:
        more = parts(groups, bench.store, takes)
        minutes = [(r["name"], r["to compute"], r["paths"], f"{r['CPU seconds'] / 60:,.1f}") for r in more]
        print(table([("notebook", "to compute", "paths", "CPU minutes"), *minutes]))
        print(parts_text(more))
    print(plan_text(rows, cores()))
    return 0


def store_status(arguments: argparse.Namespace) -> int | Rows:
    """Count a store's results."""
    folder = store_folder(arguments.store)
    rows = status(folder)
    if arguments.json:
        return rows
    words = [(r["kind"], r["results"], f"{r['MB']:,.1f}", f"{r['CPU seconds']:,.0f}") for r in rows]
    total = [sum(r[k] for r in rows) for k in ("results", "MB", "CPU seconds")]
    words.append(("all", total[0], f"{total[1]:,.1f}", f"{total[2]:,.0f}"))
    print(shown(folder))
    print(table([("kind", "results", "MB", "CPU seconds"), *words]))
    return 0


def store_verify(arguments: argparse.Namespace) -> int:
    """Name what is damaged."""
    folder = store_folder(arguments.store)
    bad = verify(folder)
    sound = sum(path not in bad for path in results(folder))
    for path, wrong in bad.items():
        print(printable(f"{path.name}: {wrong}"))
    denied = sum(wrong.startswith(DENIED) for wrong in bad.values())
    unread = f", {denied} that cannot be read" if denied else ""
    print(f"{sound} sound, {len(bad) - denied} damaged{unread} in {shown(folder)}")
    return 1 if bad else 0


def store_gc(arguments: argparse.Namespace) -> int:
    """Remove what nothing will read."""
    folder = store_folder(arguments.store)
    count, size = collect(folder, arguments.dry_run, arguments.yes)
    print(f"{'would remove' if arguments.dry_run else 'removed'} {count} files, {size / 1e6:.1f} MB")
    return 0


def store_export(arguments: argparse.Namespace) -> int:
    """Copy results into another folder."""
    folder = store_folder(arguments.store)
    sources = layers(folder)
    if not sources or (arguments.store and not folder.is_dir()):
        raise BadInput(f"there is no store in {folder}: name one with --store.")
    target = folder_at(path_of(arguments.target, "TARGET"), "target")
    if arguments.used_by is not None:
        if arguments.keys:
            raise BadInput("--used-by takes the keys that its file lists: give that or keys, not both.")
        entries = used_results(file_at(path_of(arguments.used_by, "--used-by"), "--used-by")).values()
        keys = sorted({key for entry in entries for key in entry["results"]})
    elif arguments.keys:
        keys = [key for prefix in arguments.keys for key in matching(_begun(prefix), sources)]
    else:
        keys = list(notes(sources[:1]))
    size = export(keys, sources, target, arguments.exact, arguments.yes)
    print(f"{len(set(keys))} results exported; {shown(target)} now holds {size / 1e6:.1f} MB")
    return 0


def store_import(arguments: argparse.Namespace) -> int:
    """Copy another store's sound results."""
    folder = store_folder(arguments.store)
    check_folder(folder, "store", "--store")
    new, known, bad = adopt(folder_at(path_of(arguments.source, "SOURCE"), "source"), folder, arguments.yes)
    for path, wrong in bad.items():
        print(printable(f"left out {path.name}: {wrong}"), file=sys.stderr)
    print(f"{new} results imported, {known} were there, {len(bad)} damaged ones left out")
    return 1 if bad else 0


def _begun(prefix: str) -> str:
    if not prefix:
        raise BadInput("a KEY must be a result's key or the beginning of one, got nothing.")
    return prefix


def show_main(arguments: argparse.Namespace) -> int | Rows:
    """Print where a result, or a figure's results, come from."""
    folders = layers(store_folder(arguments.store))
    if not folders:
        raise BadInput(f"there is no store in {store_folder(arguments.store)}: name one with --store.")
    if arguments.key.endswith(".png"):
        return _show_figure(Path(arguments.key), folders)
    found = matching(_begun(arguments.key), folders)
    if arguments.json:
        return [{**note, "folder": shown(note["folder"]), "path": shown(note["path"])} for note in found.values()]
    if len(found) > 1:
        words = [(k, n["seconds"], n.get("created", "?")) for k, n in found.items()]
        print(table([("key", "seconds", "made"), *words]))
    else:
        [(name, note)] = found.items()
        print(printable(provenance_text(name, note, notes(folders))))
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
    entries = used_results(listing)
    owner = next((name for name in sorted(entries, reverse=True) if path.stem.startswith(name)), None)
    if owner is None:
        raise BadInput(f"{path.name} belongs to none of {', '.join(entries)}.")
    known, keys = notes(folders), entries[owner]["results"]
    print(printable(f"{path.name}: notebook {owner}, preset {entries[owner]['preset']}, {len(keys)} results"))
    rows = [(k, known[k].get("created", "?") if k in known else "not stored here") for k in keys]
    print(table([("key", "made"), *rows]))
    return 0


EXPLORER = "14_explorer.ipynb"
HERE = "127.0.0.1"


def explore_main(arguments: argparse.Namespace) -> int:
    """Open the explorer's notebook, or the app, and serve it until it is interrupted."""
    if arguments.store and not store_folder(arguments.store).is_dir():
        raise BadInput(f"there is no store in {arguments.store}: name a folder that a run has filled.")
    if arguments.export_stories is not None:
        from .stories import write_stories

        for path in write_stories(path_of(arguments.export_stories, "--export-stories"), study(store=arguments.store)):
            print(shown(path))
        return 0
    if arguments.export_toy is not None:
        from ..teaching.toy_page import first_state, page

        file = file_at(path_of(arguments.export_toy, "--export-toy"), "--export-toy")
        output.write(file.parent, {file.name: page(first_state(0.5, TOLERANCE))})
        print(shown(file))
        return 0
    if arguments.export_live is not None:
        from ..explorer.live import export_live

        file = file_at(path_of(arguments.export_live, "--export-live"), "--export-live")
        output.check(file.parent, [file.name])
        print(shown(export_live(file, study(store=arguments.store or ""))))
        output.note(file.parent, [file.name])
        return 0
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
    import nbformat

    if find_spec("voila") is None:
        raise BadInput("--app needs Voila: pip install -e '.[demo]', or leave out --app for JupyterLab.")
    check_folder(folder, "folder", "the rights of this user")
    cell = nbformat.v4.new_code_cell("import mcutils as mc\n\nmc.explore(mc.study())")
    app = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL})
    write_file(folder / "app.ipynb", nbformat.writes(app))
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
