"""Sources: a source is a path that the explorer can show, of a trace, a profile, a study or a store; and to find one.

Nothing is computed anew and nothing is unpickled: of a store only the notes are read until a source is opened.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..data.tasks import Task
from ..engine.forms import outdated, read_note
from ..engine.specs import VERSIONS, DataSpec, key, key_of, kind_of, plain
from ..engine.specs.base import read
from ..engine.store import UNREADABLE, Store, fault
from ..engine.study import Study
from ..engine.upkeep import notes
from ..errors import BadInput, choose, number, path_of, shown
from ..measures.along import check_gap
from ..measures.drawing import label
from ..measures.metrics import check_trace
from ..measures.planes import Plane
from ..measures.profiles import Profile
from ..settings import Preset, curve_plan, method_settings, preset, presets, settings_name
from ..traces import SPLITS, Trace, check_same_examples
from .numbers import Numbers, mismatch

ENDS = ("method", "curriculum", "optimiser", "seed")
NOT_FITTED = "not fitted"
FIRST_ORDER = ("adamw", "sgd")
BATCHNORM = {"retain": "refreshed on retain data", "none": "not refreshed", "full": "refreshed on all training data"}
WORDS = {"adamw": "AdamW", "sgd": "SGD", "sophia_g": "Sophia-G", "soul": "SOUL", "superloss": "SuperLoss"}
WORDS |= {"superloss_authors": "SuperLoss (authors' form)", "authors": "authors'"}


@dataclass(frozen=True, eq=False)
class Source:
    """A path to explore: its unique name, what it is in words, what it is picked by, and how its numbers are read.

    ``plane`` reads the stored plane through its ends with the place of each of its models in it, or says why there is
    none. ``specs`` are the keys of those behind it: profile, trace, path, both ends. ``rank`` orders paths: in how
    many ways it is read otherwise than normally, in how many more coarsely, and whether it has no trace. ``draw`` is
    the number of its forget set, and so of its original model.
    """

    name: str
    label: str
    picks: dict[str, str]
    read: Callable[[], Numbers]
    traced: bool = True
    plane: Callable[[], tuple[Plane, tuple[int, ...]] | str] = lambda: "no plane is stored for a path given by itself"
    specs: tuple[str, ...] = ()
    rank: tuple[int, int, bool] = (0, 0, False)
    draw: int = 0


def sources(
    given: Any,
    *,
    retrained: Trace | Sequence[Trace] = (),
    original: Trace | None = None,
    random: Trace | None = None,
    gap: float | None = None,
    task: Task | None = None,
) -> list[Source]:
    """The paths in a trace, a profile, a list or dictionary of either, a study, a store or its folder.

    Args:
        given: what to explore.
        retrained, original, random: traces of single models, for metrics that need them and for the unit G; used for
            traces only, since profiles and stores bring theirs.
        gap: G in nats, where it is known without them.
        task: for the images of traces; the shipped data sets are found by themselves.

    Raises `BadInput` where there is nothing to walk along, or for something that is none of these.
    """
    many = retrained if isinstance(retrained, (list, tuple)) else (retrained,)
    named = [("original", original), ("random", random), *(("retrained", one) for one in many)]
    named = [(name, one) for name, one in named if one is not None]
    for name, one in named:
        points = len(one.t) if isinstance(one, Trace) else 0
        if points != 1:
            what = f"one of {points} points" if points else type(one).__name__
            raise BadInput(f"{name} is the trace of one model (T = 1), got {what}.")
    if not (task is None or isinstance(task, Task)):
        raise BadInput(f"task is a task as load_task gives it, got {shown(task)}.")
    gap = None if gap is None else float(check_gap(number("gap", gap)))
    if isinstance(given, Study):
        data = [plain(given.original(seed).data) for seed in given.originals]
        return from_store([given.store.folder, *given.store.layers], data, given.preset)
    if isinstance(given, (Store, str, PathLike)):
        folders = [given.folder, *given.layers] if isinstance(given, Store) else [path_of(given, "the store's folder")]
        if not isinstance(given, Store) and not folders[0].is_dir():
            raise BadInput(f"there is no store in {folders[0]}: name a folder that a run has filled.")
        return from_store(folders)
    more: dict[str, Any] = {"references": dict(reversed(named)), "given_gap": gap}
    more |= {"retrained": [one for name, one in named if name == "retrained"], "task": task and (lambda: task)}
    found = []
    for name, one in _by_name(given).items():
        check_path(name, one)
        if isinstance(one, Trace):
            for _, other in named:
                check_same_examples(one, other)
            if task is not None and (wrong := mismatch(one, task)):
                raise BadInput(f"{name} was not taken on this task: {wrong}.")
            read = partial(Numbers, np.asarray(one.t), one, **more)
        else:
            why = "only a profile was given, which holds no predictions: give the trace"
            read = partial(Numbers, np.asarray(one.t), profile=one, why=why)
        found.append(Source(name, name, {"path": name}, read, isinstance(one, Trace)))
    return found


def _by_name(given: Any) -> dict[str, Any]:
    """A trace, a profile, or a list or dictionary of them, by names of one's own or of ours."""
    if isinstance(given, (Trace, Profile)):
        given = {given.meta.get("kind", "path") if isinstance(given, Trace) else "path": given}
    elif isinstance(given, (list, tuple)):
        given = {f"path {k}": one for k, one in enumerate(given, 1)}
    if not isinstance(given, Mapping):
        raise BadInput(
            f"the explorer takes a trace, a profile, a list or dictionary of them, a study or a store's folder,"
            f" got {type(given).__name__}."
        )
    if not given:
        raise BadInput("there is nothing to explore: give at least one trace or profile.")
    found = {str(name): one for name, one in given.items()}
    if len(found) < len(given):
        raise BadInput(f"two paths have one name as text: {', '.join(map(str, given))}.")
    return found


def check_path(name: str, one: Trace | Profile) -> None:
    """Raise `BadInput` unless this is a trace or profile of a path from t = 0 to t = 1."""
    if not isinstance(one, (Trace, Profile)):
        raise BadInput(f"{name} is neither a trace nor a profile, but {type(one).__name__}.")
    t = np.asarray(one.t)
    if t.ndim != 1 or len(t) < 2:
        raise BadInput(f"{name} holds one model and no path: there is nothing to walk along.")
    if t.dtype.kind not in "fiu" or t[0] != 0 or t[-1] != 1 or not (np.diff(t) > 0).all():
        raise BadInput(f"{name} does not run from t = 0 to t = 1 in increasing steps.")
    if isinstance(one, Profile):  # whose metrics are as long as its t, or it would not be
        return
    if not one.logits:
        raise BadInput(f"{name} holds no logits of any split: there is nothing to show.")
    for split, values in one.logits.items():
        choose("split", split, SPLITS)
        if np.shape(values)[-1:] == (1,):
            raise BadInput(f"{name} has {split} logits of one class, expected two or more.")
    for split in check_trace(one, name).logits:
        labels, rows = np.asarray(one.labels[split]), np.asarray(one.index.get(split, ()))
        if rows.shape != labels.shape or rows.dtype.kind not in "iu":
            raise BadInput(f"{name} has {split} rows of shape {rows.shape}, expected a whole number for each label.")


class NothingStored(BadInput):
    """A store is where it should be, and holds no path yet."""


def from_store(
    folders: Sequence[Path], data: Sequence[Mapping[str, Any]] | None = None, usual: Preset | None = None
) -> list[Source]:
    """The paths stored in these folders (on one of these ``data``, as `specs.plain` writes them).

    Those that are read as ``usual`` reads them come first (None: as the preset reads them that is nearest to each),
    and of these the traced ones. Raises `NothingStored` if there is none.
    """
    known: dict[int, Any] = {}
    stored = [note for _, note in sorted(notes(map(Path, folders)).items()) if not outdated(note["spec"], known)]
    shelf = Shelf(stored, [usual] if usual else [preset(name) for name in presets()])
    chosen = [note for note in shelf.profiles if _is_path(note)]
    profiled = {shelf.key(one) for note in chosen for one in (_trace(note), _pictured(_trace(note)))}
    bare = [note for name, note in shelf.traces.items() if _is_path(note) and name not in profiled]
    chosen += [note for note in bare if not note["spec"]["shown"]]
    if data is not None:
        chosen = [note for note in chosen if _data(_trace(note)) in data]
    if not chosen:
        where = ", ".join(str(folder) for folder in folders)
        raise NothingStored(f"no path is stored in {where}: python -m mcutils run 00 computes the first two.")
    several = len({_data_words(_data(_trace(note))) for note in chosen}) > 1
    found = [(_stored(note, shelf, several), _trace(note)) for note in chosen]
    for by_splits in (True, False):  # what tells those apart that have the same words: their splits, then their keys
        alike = Counter(tuple(one.picks.values()) for one, _ in found)
        for one, trace in [(one, trace) for one, trace in found if alike[tuple(one.picks.values())] > 1]:
            splits = trace.get("splits")
            told = f", {' and '.join(splits)} alone" if splits else ""
            one.picks["reading"] += told if by_splits else f", {one.name.split('-')[-1][:6]}"
    return sorted((one for one, _ in found), key=lambda one: (*one.rank, tuple(one.picks.values()), one.name))


Note = Mapping[str, Any]  # the provenance of a stored result


class Shelf:
    """What is stored, by key: profiles, traces, what tells of single models, planes, and attacks by their path."""

    def __init__(self, stored: Sequence[Note], usuals: Sequence[Preset]):
        self._known: dict[int, Any] = {}
        self.usuals = usuals
        kinds = ("Profile", "TraceOf", "PlaneOf")
        self.profiles, traced, self.planes = ([n for n in stored if n["spec"]["spec"] == kind] for kind in kinds)
        self.traces = {note["key"]: note for note in traced}
        self.models = self.traces | {self.key(_trace(note)): note for note in self.profiles if not _is_path(note)}
        attacked = ((_attacked(note["spec"]), note) for note in stored)
        self.attacks = {self.key(path): note for path, note in attacked if path}

    def key(self, spec: Note) -> str:
        """The key of a description, that of each object reckoned once: most share their parts."""
        return key_of(spec, self._known)

    def kept(self, trace: Note) -> Note | None:
        """The stored trace that pictures along a path come from: its own, or that of its forget examples alone."""
        return self.traces.get(self.key(trace)) or self.traces.get(self.key(_pictured(trace)))


def _trace(note: Note) -> Mapping[str, Any]:
    """The description of the trace behind a stored profile, or of a stored trace."""
    return note["spec"].get("trace", note["spec"])


def _pictured(trace: Mapping[str, Any]) -> Mapping[str, Any]:
    """The description of the trace that has the forget examples alone, for the pictures along a path."""
    return {**trace, "splits": ["forget"]}


def _is_path(note: Note) -> bool:
    return _trace(note)["model"]["spec"] == "Path"


def _data(trace: Mapping[str, Any]) -> Mapping[str, Any]:
    return _origin(trace["model"]["start"])["data"]


def _data_words(data: Mapping[str, Any]) -> str:
    sizes = [f"{data[name]} {of}" for name, of in (("train_size", "training"), ("test_size", "test")) if data[name]]
    return ", ".join([data["dataset"], *sizes])


def _origin(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return _origin(spec["origin"]) if "origin" in spec else spec


def _attacked(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The path all of whose points one attack is on, in their order; empty for any other result."""
    models = spec["models"] if spec["spec"] == "RegainedOf" else []
    places = [(one["model"], one["place"], one["points"]) for one in models]
    path = places[0][0] if len(places) > 1 else {}
    whole = places == [(path, k, len(places)) for k in range(len(places))]
    return path if whole and path.get("spec") == "Path" else {}


def _stored(note: Note, shelf: Shelf, several: bool) -> Source:
    trace, spec = _trace(note), note["spec"]
    path = trace["model"]
    traced = shelf.kept(trace) is not None
    names = [shelf.key(one) for one in (spec, trace, path, path["start"], path["end"])]
    ends = {end: _end(path[end]) for end in ("start", "end")}
    other, coarse, usual = min(
        ((*departures(trace, spec, one), one) for one in shelf.usuals), key=lambda found: (len(found[0]), len(found[1]))
    )
    picks = {f"{end} {part}": value for end, found in ends.items() for part, value in zip(ENDS, found, strict=True)}
    picks |= {"curve": path["kind"], "recipe": path["recipe"] or NOT_FITTED}
    picks |= {"data": _data_words(_data(trace))} if several else {}
    words = [one for one in (*other, *coarse) if one != f"recipe {said(path['recipe'])}"]
    picks["reading"] = ", ".join(words) or (
        f"normal: {usual.points} points, BatchNorm refreshed on retain data, {100 * usual.forget:g} % forgotten"
    )
    kind = label(path["kind"]) + (f" ({said(path['recipe'])})" if path["recipe"] not in ("", "corrected") else "")
    return Source(
        note["key"],
        f"{kind}, {_words(ends['start'])} to {_words(ends['end'])}",
        picks,
        partial(_numbers, note, shelf),
        traced,
        partial(_plane, path, shelf.planes),
        (*names[:3], " ".join(names[3:])),
        (len(other), len(coarse), not traced),
        _data(trace).get("draw") or 0,
    )


def _end(spec: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Method, curriculum, optimiser and seed of an endpoint, as they are picked."""
    if spec["spec"] == "Aligned":
        method, curriculum, optimizer, seed = _end(spec["model"])
        return method, curriculum, optimizer, f"{seed}, aligned by {spec['by']}"
    kind, seed = spec["spec"], str(spec["seed"])
    if kind == "Original":
        return "original", "none", "none", seed + _trained(spec)
    if kind == "Retrained":
        same = "" if spec["init"] is None else f", init of original {spec['init']}"
        return "retrained", "none", "none", seed + same + _forgot(spec)
    origin = spec["origin"]
    if origin["spec"] != "Original":
        seed += f" after {label(origin.get('method', 'retrained'))} {origin['seed']}"
    elif origin["seed"] or _trained(origin):
        seed += f" on original {origin['seed']}{_trained(origin)}"
    if origin.get("first") is not None:
        seed += _forgot(origin)
    return spec["method"], spec["curriculum"], spec["optimizer"], seed


def _forgot(spec: Mapping[str, Any]) -> str:
    """Which forget set a model was retrained without, or has before it, where that is not the first."""
    draw = spec["data"].get("draw")
    return f", forget set {draw}" if draw else ""


def _trained(original: Mapping[str, Any]) -> str:
    """How an original was trained, where it was with a curriculum or by a second-order optimiser."""
    names = original.get("curriculum", "none"), original["plan"]["optimizer"]
    ways = [said(name) for name in names if name not in ("none", *FIRST_ORDER)]
    return f" trained with {' and '.join(ways)}" if ways else ""


def _words(end: tuple[str, str, str, str]) -> str:
    method, curriculum, optimizer, seed = end
    more = [said(curriculum)] if curriculum != "none" else []
    more += [said(optimizer)] if optimizer not in ("none", "adamw") else []
    return " ".join([label(method), *more, seed])


def said(value: str) -> str:
    """What is picked, in words."""
    return WORDS.get(value) or label(value)


def departures(trace: Mapping[str, Any], spec: Mapping[str, Any], usual: Preset) -> tuple[list[str], list[str]]:
    """How a stored path is read otherwise than a preset reads it: what else is shown, and how much more coarsely.

    The normal reading refreshes BatchNorm on retain data, forgets the preset's share, and fits a curve by the corrected
    recipe with the start's own objective under its tuned settings, on data without a cue. It has the preset's number of
    points, and G from the retrained models of the preset's seeds.
    """
    path, model = trace["model"], _origin(trace["model"]["start"])
    data, fitted = model["data"], path["recipe"] not in ("", "corrected")
    weighted = bool(trace.get("weighted"))
    sizes = (data["dataset"], data["train_size"], data["test_size"], model["model"], model["width"])
    other = {
        f"BatchNorm {BATCHNORM.get(trace['batchnorm'], trace['batchnorm'])}": trace["batchnorm"] != "retain",
        f"BatchNorm's batches {'weighted' if weighted else 'not weighted'}": weighted != (usual.refresh == "weighted"),
        f"objective of {label(path['method'])}": bool(path["method"]),
        f"{100 * trace['forget']:g} % forgotten": trace["forget"] != usual.forget,
        f"recipe {said(path['recipe'])}": fitted,
        "a cue planted": bool(data["cue"]),
        f"images of the set {trace['shown']}": bool(trace["shown"]),
        f"{path['control_points']} control points": path["control_points"] > 1,
        f"{model['model']} of width {model['width']}": sizes
        != (usual.dataset, usual.train_size, usual.test_size, usual.model, usual.width),
        "settings of its own": not _tuned(path, usual),
    }
    profiled = spec["spec"] == "Profile"
    retrained = len(spec["retrained"]) if profiled else 0
    coarse = {
        f"{trace['points']} points": trace["points"] != usual.points,
        f"fit seed {path['seed']}": bool(path["seed"]),
        f"G of {retrained} retrained models": profiled and retrained != len(usual.seeds),
        f"{spec.get('bootstrap')} bootstrap draws": profiled and spec["bootstrap"] != usual.bootstrap,
        "no profile": not profiled,
    }
    return [word for word, is_so in other.items() if is_so], [word for word, is_so in coarse.items() if is_so]


def _tuned(path: Mapping[str, Any], usual: Preset) -> bool:
    """Whether the ends were unlearned, and the curve was fitted, under the settings that a preset has for them."""
    name = settings_name(usual.dataset, usual.model, usual.originals)
    rate = "partner" if usual.originals else ""
    ends = [one for one in (path["start"], path["end"]) if one["spec"] == "Unlearned"]
    own = [(one["method"], one["curriculum"], one["optimizer"], one["forget"], rate) for one in ends]
    same = all(one["settings"] == _settings(name, *of)[0] for one, of in zip(ends, own, strict=True))
    if not same or path["kind"] == "linear" or path["start"]["spec"] != "Unlearned":
        return same
    asked = (path["method"], "none", *own[0][2:]) if path["method"] else own[0]
    return path["plan"] == _settings(name, *asked)[1]


@lru_cache(maxsize=1000)
def _settings(name: str, method: str, curriculum: str, optimizer: str, forget: float, rate: str) -> tuple[Any, Any]:
    """Tuned settings of a method, and the plan of a curve fitted with it, as a note in a store has them."""
    try:
        found = method_settings(name, method, curriculum, optimizer, forget=forget, rate=rate)
        return tuple(json.loads(json.dumps(plain(one))) for one in (found, curve_plan(name, found)))
    except BadInput:  # none are tuned for it
        return None, None


def find(found: Mapping[str, Source], wanted: Any, study: Study | None = None) -> str:
    """Name of the source that is wanted, the first that fits, which is the one with the most normal reading.

    ``wanted`` is a name or label; the spec of a path, its trace or profile; the two specs of its ends; or a route of an
    experiment, which has a ``path`` and, for a ``study``, a ``profile``. Raises `BadInput` where no source fits.
    """
    if isinstance(wanted, str):
        fits = [one.name for one in found.values() if wanted in (one.name, one.label)]
        if not fits:
            more = f" and {len(found) - 6} more" if len(found) > 6 else ""
            raise BadInput(f"no path is named {shown(wanted)}: there are {', '.join(list(found)[:6])}{more}.")
        return wanted if wanted in found else fits[0]
    route = []
    if callable(getattr(wanted, "profile", None)) and hasattr(wanted, "path"):
        route = [key(wanted.profile(study))] if study else []
        wanted = wanted.path
    pair = isinstance(wanted, (tuple, list)) and len(wanted) == 2
    if not all(is_dataclass(one) and kind_of(one) in VERSIONS for one in (wanted if pair else [wanted])):
        raise BadInput(
            f"a path is named by name or label, by its spec, the specs of its two ends or a route, got {shown(wanted)}."
        )
    ends = [key(one) for one in (wanted if pair else [wanted])]
    for name in [*route, " ".join(ends)]:
        for source in found.values():
            if name in source.specs:
                return source.name
    raise BadInput(f"the path {' to '.join(ends)} is not stored: study.run([study.profile(path)]) computes it.")


def _load(note: Note) -> Any:
    """Read a stored result after comparing its checksum; `BadInput` if it is gone or damaged by now."""
    path = note["path"]
    if wrong := fault(path):
        raise BadInput(f"{note['key']} cannot be shown, {wrong}: the store has changed, call explore again.")
    try:
        if read_note(path)["spec"] != note["spec"]:
            raise ValueError("it is not what its store lists")
        return read(path, note["spec"]["spec"], note["spec"])
    except UNREADABLE as error:
        raise BadInput(f"{note['key']} cannot be read ({error}): python -m mcutils store verify.") from None


def _numbers(note: Note, shelf: Shelf) -> Numbers:
    """Numbers of a stored path: its profile and trace, as far as kept, its references, and the attack on its points."""
    trace, spec = _trace(note), note["spec"]
    data, kept, attack = _data(trace), shelf.kept(trace), shelf.attacks.get(shelf.key(trace["model"]))

    def task() -> Task:
        return DataSpec(**{f.name: data[f.name] for f in fields(DataSpec) if f.name in data}).task(trace["forget"])

    attacks: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if attack is not None:
        after = np.asarray(_load(attack)["accuracy/forget"], dtype=np.float64)[:, -1]
        attacks["accuracy_after_attack_forget"] = np.linspace(0, 1, len(after)), after
    found: Trace | None = None
    if kept is not None:
        found = _load(kept)
        check_path(kept["key"], found)
    if found is not None and spec is trace:
        roles = _references(trace, shelf.traces.values())
        references = {role: many[0] for role, many in roles.items() if many}
        return Numbers(found.t, found, references=references, retrained=roles["retrained"], task=task, attacks=attacks)
    profile = _load(note)
    check_path(note["key"], profile)
    levels = [_load(shelf.models[one]) for one in map(shelf.key, spec["retrained"]) if one in shelf.models]
    first = shelf.models.get(shelf.key(spec["original"]))
    original = None if first is None else _load(first)
    why = "" if found else "no trace of this path is stored; study.run([study.trace(path)]) makes it"
    return Numbers(profile.t, found, profile, retrained=levels, original=original, task=task, why=why, attacks=attacks)


def _references(trace: Mapping[str, Any], traces: Iterable[Note]) -> dict[str, list[Trace]]:
    """Traces of the original, the retrained models and the untrained one of a path, as far as stored, by role."""
    origin = _origin(trace["model"]["start"])
    roles: dict[str, list[Trace]] = {"original": [], "retrained": [], "random": []}
    for note in traces:
        spec, model = note["spec"], note["spec"]["model"]
        role = "original" if model == origin else {"Retrained": "retrained", "Untrained": "random"}.get(model["spec"])
        same = all(spec.get(name) == trace.get(name) for name in ("forget", "weighted")) and not spec["shown"]
        same = same and model.get("data") == origin["data"]
        if role and same and model.get("init") is None:
            roles[role].append(_load(note))
    return roles


def _plane(path: Mapping[str, Any], planes: Sequence[Note]) -> tuple[Plane, tuple[int, ...]] | str:
    """The stored plane of a path and the places of its points among the plane's models; a sentence if there is none.

    A line lies in any plane through its ends, a curve only in one through its control point as well.
    """
    nodes = [path["start"], *([] if path["kind"] == "linear" else [path]), path["end"]]
    for note in planes:
        models = note["spec"]["models"]
        if all(one in models for one in nodes):
            names = "\n".join("control point" if one["spec"] == "Path" else _words(_end(one)) for one in models)
            found = _load(note)
            return replace(found, meta={**found.meta, "names": names}), tuple(map(models.index, nodes))
    if path["kind"] != "linear" and path["control_points"] != 1:
        return f"a {path['kind']} with {path['control_points']} control points lies in no plane"
    through = "its ends" if path["kind"] == "linear" else "its ends and its control point"
    return f"no plane through {through} is stored; mcutils.engine.specs.PlaneSpec computes one in a minute or two"
