"""Sources: the paths that the explorer can show, and their numbers, from traces, profiles, a study or a store.

Nothing is computed anew and nothing is unpickled: numbers come from stored profiles, and from stored logits where a
trace is kept. Shapes: T points on a path, N forget examples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from .connectivity import Connectivity, check_gap, connectivity, excess, forget_gap, rounding
from .data import Task, load_task
from .metrics import METRICS, measure, probabilities
from .planes import Plane
from .plots import label
from .profiles import ProfileOf
from .settings import BadInput, choose
from .specs import Data, key_of, plain
from .store import UNREADABLE, Store, fault
from .study import Study
from .traces import Trace
from .upkeep import notes, outdated

MAKE_TRACE = "study.run([study.trace(path)])"
ENDS = ("method", "curriculum", "optimiser", "seed")
NO_IMAGES = "the pictures are not here: give the trace's task, explore(trace, task=task)"


@dataclass(frozen=True, eq=False)
class Forgotten:
    """What a path predicts for the N forget examples, those first that come back inside it.

    ``p`` (T, N) probability of the true class, ``predicted`` (T, N) class, -1 where a logit is nan, ``confidence``
    (T, N) probability of the predicted class, ``labels`` and ``rows`` (N,), ``rise`` (N,) largest rise of p above its
    chord between the ends, by which the examples are ordered.
    """

    p: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    rise: np.ndarray

    @property
    def remembered(self) -> np.ndarray:
        """Whether each example is predicted right (T, N)."""
        return self.predicted == self.labels


def forgotten(trace: Trace) -> Forgotten:
    """Order the forget examples of a trace (T > 1) by how far their true class rises above its chord on the way."""
    found, labels = probabilities(trace, "forget"), np.asarray(trace.labels["forget"])
    p = np.take_along_axis(found, labels[None, :, None], axis=-1)[..., 0]
    bad = np.isnan(found).any(axis=-1)
    predicted = np.where(bad, -1, np.where(bad[..., None], 0, found).argmax(axis=-1))
    rise = excess(p, trace.t)[1:-1].max(axis=0) if len(p) > 2 else np.zeros(p.shape[1])
    order = np.argsort(-np.where(np.isfinite(rise), rise, -np.inf), kind="stable")
    parts = (p, predicted, np.where(bad, np.nan, found.max(axis=-1)))
    rows = np.asarray(trace.index["forget"])
    return Forgotten(*(part[:, order] for part in parts), labels[order], rows[order], rise[order])


def remembered(trace: Trace) -> dict[str, int]:
    """How many forget examples of a path are predicted right: ``start``, ``middle`` and ``end``, ``of`` how many.

    ``come back`` are right at the point in the middle and at neither end, ``lost`` wrong there and right at both ends.
    """
    right = forgotten(trace).remembered
    start, middle, end = right[0], right[len(right) // 2], right[-1]
    counts = {"of": np.ones_like(middle), "start": start, "middle": middle, "end": end}
    counts |= {"come back": middle & ~start & ~end, "lost": ~middle & start & end}
    return {name: int(values.sum()) for name, values in counts.items()}


@dataclass(frozen=True, eq=False)
class Numbers:
    """All that a view shows of one path, from its profile, its trace or both.

    ``references`` are traces for metrics that need them, ``retrained`` the retrained models, ``task`` loads the images,
    ``why`` says why there is no trace.
    """

    t: np.ndarray
    trace: Trace | None = None
    profile: ProfileOf | None = None
    references: Mapping[str, Trace] = field(default_factory=dict)
    retrained: Sequence[Trace | ProfileOf] = ()
    task: Callable[[], Task] | None = None
    why: str = ""
    given_gap: float | None = None
    _values: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    _levels: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def lacking(self, name: str) -> str:
        """Why there are no values of a metric, in a few words; empty if there are."""
        needs = METRICS[choose("metric", name, METRICS)]
        if self.profile is not None:
            return "" if f"metric/{name}" in self.profile.arrays else "not in the profile"
        lost = [split for split in needs.splits if split not in self.trace.logits]
        lost += [f"{one} model" for one in needs.references if one not in self.references]
        return f"needs the {' and '.join(lost)}" if lost else ""

    def values(self, name: str) -> np.ndarray:
        """Values (T,) of a metric; raises `BadInput` where it is unknown or cannot be had."""
        if lacking := self.lacking(name):
            raise BadInput(f"there are no values of {name} for this path: {lacking}.")
        if name not in self._values:
            if self.profile is not None:
                self._values[name] = np.asarray(self.profile.metric(name), dtype=np.float64)
            else:
                self._values[name] = measure(self.trace, name, references=self.references)[name]
        return self._values[name]

    def levels(self, name: str) -> np.ndarray:
        """Values of a metric of the retrained models (R,); empty where none is known."""
        if name in self._levels:
            return self._levels[name]
        found = []
        for one in self.retrained:
            if isinstance(one, Trace) and not Numbers(one.t, one, references=self.references).lacking(name):
                found.append(measure(one, name, references=self.references)[name][0])
            elif isinstance(one, ProfileOf) and f"metric/{name}" in one.arrays:
                found.append(one.metric(name)[0])
        self._levels[name] = np.asarray(found, dtype=np.float64)
        return self._levels[name]

    def band(self, name: str) -> np.ndarray | None:
        """Band (2, T) of a metric over examples, where there is one."""
        found = self.connectivity
        return None if found is None else found.bands.get(name)

    @cached_property
    def gap(self) -> float | None:
        """G in nats, or None where no original and retrained model say what there is to forget."""
        if self.profile is not None:
            return self.profile.gap
        if self.given_gap is not None:
            return self.given_gap
        traces = [one for one in self.retrained if isinstance(one, Trace)]
        original = self.references.get("original")
        return float(np.mean([forget_gap(one, original) for one in traces])) if traces and original else None

    @cached_property
    def connectivity(self) -> Connectivity | None:
        """Barriers and bands; None where the trace lacks what they need."""
        if self.profile is not None:
            return self.profile.connectivity
        try:
            return connectivity(self.trace, gap=self.gap, n_boot=100)
        except BadInput:
            return None

    @cached_property
    def forgotten(self) -> Forgotten | None:
        """Predictions for the forget set; None without a trace that holds it."""
        return forgotten(self.trace) if self.trace is not None and "forget" in self.trace.logits else None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, numbers where no task is known."""
        loaded = self._task
        if loaded is not None:
            return loaded.classes
        return tuple(map(str, range(self.trace.logits["forget"].shape[-1])))

    def pictures(self, places: Sequence[int]) -> np.ndarray | None:
        """Images (n, C, H, W) uint8 of forget examples by their place in the order; None without a task."""
        loaded = self._task
        if loaded is None:
            return None
        shown = loaded.x[loaded.index["forget"]]
        low, high = float(shown.min()), float(shown.max())
        x = loaded.x[np.asarray(self.forgotten.rows)[list(places)]].cpu().numpy()
        return np.clip(255 * (x - low) / max(high - low, 1e-9), 0, 255).astype(np.uint8)

    @cached_property
    def _task(self) -> Task | None:
        try:
            found = self.task() if self.task else _task_of(self.trace)
            rows = self.forgotten.rows
            return found if found is not None and rows.max(initial=0) < len(found.x) else None
        except (BadInput, OSError):  # without the data set there are no pictures, and all else is shown
            return None

    def excess(self, split: str) -> np.ndarray | None:
        """Loss above its chord (T,) in nats, of retain or forget; None where it is not known."""
        name = f"loss_{split}"
        return None if self.lacking(name) else excess(self.values(name), self.t)

    def breaks(self, eps: float) -> dict[str, np.ndarray]:
        """Where MCU(eps) breaks: split -> (T,) bool, the retain loss above chord + eps G, the forget loss below it.

        Without G eps is in nats. A loss that is not finite breaks it, as in `connectivity.mcu`.
        """
        found = {}
        for split, sign in (("retain", 1), ("forget", -1)):
            over = self.excess(split)
            if over is not None:
                slack = rounding(self.values(f"loss_{split}")[np.isfinite(over)])
                with np.errstate(invalid="ignore"):
                    found[split] = ~(sign * over <= eps * (self.gap or 1.0) + slack)
        return found


def _task_of(trace: Trace | None) -> Task | None:
    """The task of a shipped data set whose checksum a trace names."""
    known = ("fashion-mnist", "digits") if trace is not None and "checksum" in trace.meta else ()
    return next((task for task in map(load_task, known) if task.checksum == trace.meta["checksum"]), None)


@dataclass(frozen=True, eq=False)
class Source:
    """A path to explore: its unique name, what it is in words, what it is picked by, and how its numbers are read.

    ``plane`` reads the stored plane through its ends with the place of each of its models in it, or says why there is
    none. ``keys`` are those of the specs behind it: profile, trace and path.
    """

    name: str
    label: str
    picks: Mapping[str, str]
    read: Callable[[], Numbers]
    traced: bool = True
    plane: Callable[[], tuple[Plane, tuple[int, ...]] | str] = lambda: "no plane is stored for a path given by itself"
    keys: tuple[str, ...] = ()


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

    Raises:
        BadInput: nothing to walk along, or something that is none of these.
    """
    if isinstance(given, Study):
        return from_store([given.store.folder, *given.store.layers], plain(given.data))
    if isinstance(given, Store):
        return from_store([given.folder, *given.layers])
    if isinstance(given, (str, Path)):
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise BadInput(f"there is no store in {folder}: name a folder that a run has filled.")
        return from_store([folder])
    if isinstance(given, (Trace, ProfileOf)):
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
    references = {"original": original, "random": random}
    many = tuple(retrained) if isinstance(retrained, (list, tuple)) else (retrained,)
    references["retrained"] = many[0] if many else None
    for name, one in references.items():
        if one is not None and not (isinstance(one, Trace) and len(one.t) == 1):
            raise BadInput(f"{name} is the trace of one model (T = 1), got {_what(one)}.")
    references = {name: one for name, one in references.items() if one is not None}
    gap = None if gap is None else float(check_gap(gap))
    more = {"references": references, "retrained": many, "given_gap": gap, "task": (lambda: task) if task else None}
    return [_given(str(name), one, more) for name, one in given.items()]


def _what(one: Any) -> str:
    return f"one of {len(one.t)} points" if isinstance(one, Trace) else type(one).__name__


def _given(name: str, one: Any, more: Mapping[str, Any]) -> Source:
    if not isinstance(one, (Trace, ProfileOf)):
        raise BadInput(f"{name} is neither a trace nor a profile, but {type(one).__name__}.")
    check_path(name, one)
    if isinstance(one, ProfileOf):
        why = "only a profile was given, which holds no predictions: give the trace"
        return Source(name, name, {"path": name}, lambda: Numbers(one.t, None, one, why=why), False)
    return Source(name, name, {"path": name}, lambda: Numbers(one.t, one, **more))


def check_path(name: str, one: Trace | ProfileOf) -> None:
    """Raise `BadInput` unless a trace or profile is of a path from t = 0 to t = 1."""
    t = np.asarray(one.t)
    if t.ndim != 1 or len(t) < 2:
        raise BadInput(f"{name} holds one model and no path: there is nothing to walk along.")
    if t[0] != 0 or t[-1] != 1 or not (np.diff(t) > 0).all():
        raise BadInput(f"{name} does not run from t = 0 to t = 1 in increasing steps.")
    if isinstance(one, Trace):
        for split, values in one.logits.items():
            expected = (len(t), len(one.labels.get(split, ())))
            if np.shape(values)[:2] != expected:
                raise BadInput(f"{name} has {split} logits of shape {np.shape(values)}, expected {expected} and K.")


def from_store(folders: Sequence[Path], data: Mapping[str, Any] | None = None) -> list[Source]:
    """The paths stored in these folders (with these ``data``, as `specs.plain` writes them), traced ones first.

    Raises `BadInput` if there is none.
    """
    known = {name: note for name, note in notes(map(Path, folders)).items() if not outdated(note["spec"])}
    single = {key_of(n["spec"]["trace"]): n for n in known.values() if _is(n, "Profile")}
    planes = [n for n in known.values() if _is(n, "PlaneOf")]
    found: list[Source] = []
    profiled = set()
    for name, note in sorted(known.items()):
        if _is(note, "Profile") and note["spec"]["trace"]["model"]["spec"] == "Path":
            trace = key_of(note["spec"]["trace"])
            profiled.add(trace)
            found.append(_stored(name, note, note["spec"]["trace"], known, single, planes))
    for name, note in sorted(known.items()):
        path = _is(note, "TraceOf") and note["spec"]["model"]["spec"] == "Path"
        if path and name not in profiled and not note["spec"]["shown"]:
            found.append(_stored(name, note, note["spec"], known, single, planes))
    if data is not None:
        found = [one for one in found if _data(known[one.name]) == data]
    if not found:
        where = ", ".join(str(folder) for folder in folders)
        raise BadInput(f"no path is stored in {where}: python -m mcutils run 00 computes the first two.")
    return sorted(_distinct(found), key=lambda one: (not one.traced, tuple(one.picks.values()), one.name))


def _is(note: Mapping[str, Any], kind: str) -> bool:
    return note["spec"]["spec"] == kind


def _data(note: Mapping[str, Any]) -> Any:
    spec = note["spec"]
    return _origin((spec["trace"] if spec["spec"] == "Profile" else spec)["model"]["start"])["data"]


def _origin(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return _origin(spec["origin"]) if "origin" in spec else spec


def _distinct(found: Sequence[Source]) -> list[Source]:
    """The same sources, with their names in the picks of those that no pick tells apart."""
    seen: dict[tuple, int] = {}
    for one in found:
        seen[tuple(one.picks.values())] = seen.get(tuple(one.picks.values()), 0) + 1
    kept = []
    for one in found:
        if seen[tuple(one.picks.values())] > 1:
            details = f"{one.picks['details']}, {one.name.split('-')[-1][:6]}"
            one = replace(one, picks={**one.picks, "details": details})
        kept.append(one)
    return kept


def _stored(name, note, trace, known, single, planes) -> Source:
    path, spec = trace["model"], note["spec"]
    start, end = _end(path["start"]), _end(path["end"])
    picks = {f"start {part}": value for part, value in zip(ENDS, start, strict=True)}
    picks |= {f"end {part}": value for part, value in zip(ENDS, end, strict=True)}
    picks |= {"curve": path["kind"], "recipe": path["recipe"] or "not fitted", "details": _details(trace, spec)}
    kind = label(path["kind"]) + (f" ({path['recipe']})" if path["recipe"] not in ("", "corrected") else "")
    words = f"{kind}, {_words(start)} to {_words(end)}"
    traced = key_of(trace) in known
    return Source(
        name,
        words,
        picks,
        partial(_numbers, note, trace, known, single),
        traced,
        partial(_plane, path, planes),
        (name, key_of(trace), key_of(path)),
    )


def _end(spec: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Method, curriculum, optimiser and seed of an endpoint, as they are picked."""
    kind, seed = spec["spec"], str(spec["seed"])
    if kind == "Original":
        return "original", "none", "none", seed
    if kind == "Retrained":
        same = "" if spec["init"] is None else f", init of original {spec['init']}"
        return "retrained", "none", "none", seed + same
    origin = spec["origin"]
    if origin["spec"] != "Original":
        seed += f" after {origin.get('method', 'retrained')} {origin['seed']}"
    elif origin["seed"]:
        seed += f" on original {origin['seed']}"
    return spec["method"], spec["curriculum"], spec["optimizer"], seed


def _words(end: tuple[str, str, str, str]) -> str:
    method, curriculum, optimizer, seed = end
    more = [label(curriculum)] if curriculum != "none" else []
    more += [label(optimizer)] if optimizer not in ("none", "adamw") else []
    return " ".join([label(method), *more, seed])


def _details(trace: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    path, data = trace["model"], _origin(trace["model"]["start"])["data"]
    parts = [f"forget {100 * trace['forget']:g} %", f"{trace['points']} points", f"BatchNorm {trace['batchnorm']}"]
    parts += [f"{path['control_points']} control points"] if path["control_points"] > 1 else []
    parts += [f"objective {path['method']}"] if path["method"] else []
    parts += [f"fit seed {path['seed']}"] if path["seed"] else []
    parts += ["cue"] if data["cue"] else []
    parts += [f"G of {len(spec['retrained'])}"] if spec["spec"] == "Profile" else ["no profile"]
    return ", ".join(parts)


def _load(note: Mapping[str, Any], reader: Callable[[Any], Any]) -> Any:
    """Read a stored result after comparing its checksum; `BadInput` if it is gone or damaged by now."""
    path = Path(note["folder"]) / f"{note['key']}.npz"
    if wrong := fault(path):
        raise BadInput(f"{note['key']} cannot be shown, {wrong}: the store has changed, call explore again.")
    try:
        with open(path, "rb") as file:
            return reader(file)
    except UNREADABLE as error:
        raise BadInput(f"{note['key']} cannot be read ({error}): python -m mcutils store verify.") from None


def _numbers(note, trace, known, single) -> Numbers:
    """Numbers of a stored path: its profile and trace, as far as kept, and its references."""
    data, spec, name = _origin(trace["model"]["start"])["data"], note["spec"], key_of(trace)
    fields = ("dataset", "train_size", "test_size", "checksum", "cue")
    task = lambda: Data(**{f: data[f] for f in fields}).task(trace["forget"])  # noqa: E731
    kept = _load(known[name], Trace.load) if name in known else None
    if kept is not None:
        check_path(name, kept)
    if spec["spec"] == "Profile":
        profile = _load(note, ProfileOf.load)
        check_path(note["key"], profile)
        keys = [key_of(one) for one in spec["retrained"]]
        levels = [
            _load(single[one], ProfileOf.load) if one in single else _load(known[one], Trace.load)
            for one in keys
            if one in single or one in known
        ]
        why = "" if kept else f"no trace of this path is stored; {MAKE_TRACE} makes it, python -m mcutils run it all"
        return Numbers(profile.t, kept, profile, retrained=levels, task=task, why=why)
    others = _references(trace, known)
    traces = {role: [_load(one, Trace.load) for one in many] for role, many in others.items()}
    references = {role: many[0] for role, many in traces.items() if many}
    return Numbers(kept.t, kept, references=references, retrained=traces["retrained"], task=task)


def _references(trace: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Stored traces of the original, the retrained models and the untrained one of a path, by role."""
    origin = _origin(trace["model"]["start"])
    roles: dict[str, list[Mapping[str, Any]]] = {"original": [], "retrained": [], "random": []}
    for note in known.values():
        spec = note["spec"]
        if not _is(note, "TraceOf") or spec["forget"] != trace["forget"] or spec["shown"]:
            continue
        model = spec["model"]
        if model == origin:
            roles["original"].append(note)
        elif model.get("data") == origin["data"] and model["spec"] in ("Retrained", "Untrained"):
            if model.get("init") is None:
                roles["retrained" if model["spec"] == "Retrained" else "random"].append(note)
    return roles


def _plane(path: Mapping[str, Any], planes: Iterable[Mapping[str, Any]]) -> tuple[Plane, tuple[int, ...]] | str:
    """The stored plane of a path and the places of its points among the plane's models; a sentence if there is none.

    A line lies in any plane through its ends, a curve only in one through its control point as well.
    """
    ends = [key_of(path["start"]), key_of(path["end"])]
    wanted = [ends[0], ends[1]] if path["kind"] == "linear" else [ends[0], key_of(path), ends[1]]
    for note in planes:
        models = [key_of(one) for one in note["spec"]["models"]]
        if all(one in models for one in wanted):
            return _load(note, Plane.load), tuple(map(models.index, wanted))
    if path["kind"] != "linear" and path["control_points"] != 1:
        return f"a {path['kind']} with {path['control_points']} control points lies in no plane"
    through = "its ends" if path["kind"] == "linear" else "its ends and its control point"
    return f"no plane through {through} is stored; mcutils.specs.PlaneOf computes one in a minute or two"
