"""Walks: the paths of an experiment between named endpoints, with their profiles, and the controls beside them.

A *curve* is made of weights (`curves.Curve`): a point of weight space for each t. A *path* is its spec
(`specs.CurveSpec`): its two ends, its kind and how it is fitted. A *route* is a path with its labels, which say what it
is an example of in an experiment. A *walk* is a route that was walked: the same labels with the numbers along it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ..engine.specs import CurveSpec, FitSpec, ProfileSpec, Spec, is_line
from ..engine.study import Study
from ..errors import BadInput, choose
from ..fits import Fit
from ..measures import along
from ..measures.along import mcu
from ..measures.metrics import METRICS
from ..measures.profiles import Profile, levels_kept
from ..measures.readings import pair_of
from ..settings import Plan

TWIN = Plan(lr=3e-5, steps=50)  # the light fine-tuning of the positive control
COARSE = 11  # points where a matrix of many pairs is walked
SOME = 3  # originals of a small row, where originals have a forget set each
JUDGED = ("retain", "forget")  # splits of such a trace, where originals have a forget set each
AGAIN = SECOND_PAIR, SECOND_DRAW = "second pair", "second draw"  # forms of walks that split the variance
TRAINED = "trained with"  # begins the form of a walk whose ends come from an original with a curriculum or optimiser
ALIGNED = "aligned by"  # begins the form of a line whose end is renumbered to be like its start
T = TypeVar("T")
CONTROLS = APART, TWINNED, RETRAINED = "other initial weights", "fine-tuned twin", "retrained pair"


@dataclass(frozen=True)
class Labels:
    """What a path is an example of; what routes and walks have in common.

    ``method`` is that of the start, ``other`` that of the end where it is another; ``start`` and ``end`` are seeds and
    ``original`` that of the original model. ``condition`` is the paper's name of how the ends differ; ``control`` is
    one of `CONTROLS`, empty where a method is walked. The rest tells the walks of one pair apart:

    - ``size``: the share forgotten, where several are; ``form``: the authors' curriculum or optimiser, not ours, or
      ours at the other learning rate (``tuned``, ``partner``); or data or models that no declared test reads (`aside`);
      ``init``: whose initial weights a retrained model has; ``full``: a coarse line once more at all points;
    - of a fit: ``recipe`` (empty: the corrected one), ``objective`` (empty: the method's own), ``refit``: by another
      seed, ``batchnorm``: its policy along the path (empty: the recipe's).
    """

    method: str
    kind: str
    start: int
    end: int
    _: KW_ONLY
    original: int = 0
    condition: str = "random"
    other: str = ""
    control: str = ""
    size: float = 0.0
    form: str = ""
    init: str = ""
    full: bool = False
    recipe: str = ""
    objective: str = ""
    refit: bool = False
    batchnorm: str = ""

    @property
    def name(self) -> str:
        """The control, or the method."""
        return self.control or self.method

    @property
    def label(self) -> str:
        """The method, or both."""
        return f"{self.method} - {self.other}" if self.other else self.method

    @property
    def pair(self) -> str:
        """The seeds of both ends after that of their original model: ``0: 42-87``."""
        return f"{self.original}: {self.start}-{self.end}"

    @property
    def aside(self) -> bool:
        """Whether it stands beside the design of the declared tests, which read no such walk, as its form says.

        Another pair of seeds, another draw of the forget set, originals trained with a curriculum or optimiser, or a
        line to an aligned end.
        """
        return self.form in AGAIN or self.form.startswith((TRAINED, ALIGNED))

    @property
    def nodes(self) -> tuple[str, str]:
        """Names of the two random draws behind it: seeds of unlearning, apart for different original models."""
        return f"{self.original}/{self.start}", f"{self.original}/{self.end}"


@dataclass(frozen=True)
class Route(Labels):
    """A path to walk, with its labels.

    Of the trace: ``points`` (0: the preset's, at which paths are shown; with others it is of the splits `JUDGED` where
    originals have a forget set each), and ``retrained``, the seeds of the models that G is taken from (None: the
    preset's).
    """

    _: KW_ONLY
    path: CurveSpec
    points: int = 0
    retrained: tuple[int, ...] | None = None

    def profile(self, study: Study) -> ProfileSpec:
        """The spec of what figures need of it."""
        splits = JUDGED if self.points and study.preset.originals else ()
        return study.profile(self.path, self.batchnorm or None, self.retrained, self.points or None, splits)


@dataclass(frozen=True)
class Walk(Labels):
    """A route that was walked: its labels and its profile."""

    _: KW_ONLY
    profile: Profile

    @cached_property
    def known(self) -> dict[Hashable, Any]:
        """What was worked out of the walk, by what it is; see `once`."""
        return {}

    def once(self, what: Hashable, work: Callable[[], T]) -> T:
        """``work()`` the first time that this is asked of the walk, and then what it returned.

        A walk is judged by many rows and readings, and neither its labels nor its profile change.
        """
        if what not in self.known:
            self.known[what] = work()
        return self.known[what]

    @property
    def eps(self) -> float:
        """The smallest eps of MCU(eps): the larger of barrier and deficit, in units of the gap G."""
        return float(np.maximum(self.barrier, self.deficit))  # unlike max, nan if either is

    @property
    def barrier(self) -> float:
        """Retain barrier in units of the gap G."""
        return self.profile.connectivity["barrier_retain"] / self.profile.gap

    @property
    def deficit(self) -> float:
        """Forget deficit in units of the gap G."""
        return self.profile.connectivity["deficit_forget"] / self.profile.gap

    def barrier_by(self, reading: str, *, accuracy: bool = False) -> float:
        """Retain barrier by a reading of `readings.READINGS`, in units of G; as an error rate for ``accuracy``."""
        return self._extreme("barrier", reading, accuracy)

    def deficit_by(self, reading: str, *, accuracy: bool = False) -> float:
        """Forget deficit by a reading, in units of G; as an error rate for ``accuracy``."""
        return self._extreme("deficit", reading, accuracy)

    def eps_by(self, reading: str, *, accuracy: bool = False) -> float:
        """The smallest eps of MCU(eps) by a reading, the larger of both."""
        rise, dip = (of(reading, accuracy=accuracy) for of in (self.barrier_by, self.deficit_by))
        return float(np.maximum(rise, dip))  # unlike max, nan if either is

    def connected(self, eps: float, reading: str = "chord") -> bool:
        """Whether MCU(eps) holds: barrier and deficit both at most eps G; a nan never connects."""
        return bool(mcu(self.barrier_by(reading), self.deficit_by(reading), eps, eps))

    @property
    def roughness(self) -> float:
        """That of the forget loss, see `roughness_of`."""
        return self.roughness_of("forget")

    def roughness_of(self, split: str) -> float:
        """Mean squared second derivative in t of a split's loss counted in G: `along.roughness` in nats^2 over G^2.

        A parabola that rises h G in the middle has (8 h)^2; a straight line 0.
        """
        return float(along.roughness(*self._loss(split))) / self.profile.gap**2

    def variation_of(self, split: str) -> float:
        """Total variation of a split's loss minus its net change (`along.excess_variation`), in units of G."""
        return float(along.excess_variation(self._loss(split)[0])) / self.profile.gap

    def at(self, points: int) -> Walk:
        """The walk read at so many of its points, equally far apart, as one that was walked at them alone.

        For comparisons: a maximum over more points is larger. Itself where it has no more, or none of that grid; what
        was drawn again (bands, replicates) is left out.
        """
        count = len(self.profile.t) - 1
        if count < points or count % (points - 1):
            return self
        return self.once(("at", points), lambda: self._every(count // (points - 1)))

    def _every(self, step: int) -> Walk:
        kept = slice(None, None, step)
        arrays = {"t": self.profile.t[kept], "gap": self.profile.arrays["gap"]}
        for name, values in self.profile.arrays.items():
            if name.startswith(("curve/", "metric/", "half/", "score/")):
                arrays[name] = values[kept]
            elif name in ("collapsed", "seconds") or name.startswith(("level/", "original/", "geometry/")):
                arrays[name] = values
        return replace(self, profile=Profile(arrays))

    def replicates(self, measure: str, reading: str = "chord") -> np.ndarray:
        """Bootstrap replicates over examples (B,) of ``barrier``, ``deficit`` or ``eps`` by a reading, in G."""
        if choose("measure", measure, ("barrier", "deficit", "eps")) == "eps":
            return np.maximum(self.replicates("barrier", reading), self.replicates("deficit", reading))
        name = dict(zip(("barrier", "deficit"), pair_of(reading), strict=True))[measure]
        if name not in self.profile.connectivity.replicates:
            raise BadInput(f"the profile keeps no replicates of the {measure} by the reading {reading!r}.")
        return self.profile.connectivity.replicates[name] / self.profile.gap

    def _extreme(self, side: str, reading: str, accuracy: bool) -> float:
        unit = 1.0 if accuracy else self.profile.gap
        return self.once((side, reading, accuracy), lambda: self.profile.extreme(side, reading, accuracy)) / unit

    def _loss(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        curves = self.profile.connectivity.curves
        return curves[choose("curve", f"loss_{split}", curves)], self.profile.t


def _check_pairs(seeds: Sequence[int]) -> None:
    if len(set(seeds)) < len(seeds) or len(seeds) < 2:
        raise BadInput(f"pairs need two different seeds or more, got {', '.join(map(str, seeds)) or 'none'}.")


def ring(seeds: Sequence[int], count: int = 0) -> list[tuple[int, int]]:
    """Neighbouring pairs of seeds around a circle, the first ``count`` of them (all if 0): each seed ends two paths."""
    _check_pairs(seeds)
    pairs = list(zip(seeds, [*seeds[1:], seeds[0]], strict=True))[: None if len(seeds) > 2 else 1]
    return pairs[: count or None]


def independent(seeds: Sequence[int], count: int = 3) -> list[tuple[int, int, int]]:
    """Pairs (original, start, end) without a common endpoint: neighbours among the seeds on original 0, then 1, ..."""
    _check_pairs(seeds)
    per_original = len(seeds) // 2
    places = [(k // per_original, 2 * (k % per_original)) for k in range(count)]
    return [(original, seeds[first], seeds[first + 1]) for original, first in places]


def walk_all(study: Study, routes: Iterable[Route]) -> list[Walk]:
    """Compute the profiles of routes and return the walks in order."""
    routes = list(routes)
    profiles = study.run([route.profile(study) for route in routes])
    return [Walk(**labels_of(route), profile=one) for route, one in zip(routes, profiles, strict=True)]


def once_of(walks: Sequence[Walk], work: Callable[[Sequence[Walk]], T]) -> T:
    """``work(walks)``, worked out once for these very walks in this order; the first of them remembers it."""
    if not walks:
        return work(walks)
    known = walks[0].known.setdefault("together", {})
    what = work, tuple(map(id, walks))
    if what not in known:
        known[what] = list(walks), work(walks)  # the walks too: an id is theirs as long as they live
    return known[what][1]


def labels_of(one: Labels) -> dict[str, Any]:
    """The labels of a route or a walk by name."""
    return {f.name: getattr(one, f.name) for f in fields(Labels)}


def condition_routes(
    study: Study,
    condition: str,
    methods: Sequence[Sequence[str]],
    pairs: Sequence[tuple[int, int, int]],
    kinds: Sequence[str] = ("linear", "bezier"),
    *,
    curriculum: str = "superloss",
    optimizer: str = "sophia_g",
    points: int = 0,
) -> list[Route]:
    """A route of each kind for each method (or pair of methods) and each pair of seeds of a condition.

    ``condition`` is a key of `CONDITIONS`, of one method or two as ``methods`` has in each tuple; ``curriculum`` and
    ``optimizer`` are those of the ends that have one; ``pairs`` are (original, start, end) seeds, see `ring_pairs` and
    `independent_pairs`. ``points`` are those of the traces; 0 is the preset's.
    """
    routes = []
    for names in methods:
        for original, start, end in pairs:
            ends = study.ends(condition, names, (start, end), curriculum, optimizer, original)
            labels: dict[str, Any] = {"other": names[1] if len(names) > 1 else "", "condition": condition}
            labels |= {"original": original, "points": points}
            for kind in kinds:
                routes.append(Route(names[0], kind, start, end, path=study.path(*ends, kind=kind), **labels))
    return routes


def independent_pairs(study: Study, count: int = 0) -> list[tuple[int, int, int]]:
    """``count`` pairs (original, start, end) without a common endpoint, three if 0.

    Where originals have a forget set each, the first pair of seeds on each of the first ``count``, on all if 0.
    """
    originals = study.preset.originals
    if not originals:
        return independent(study.seeds, count or 3)
    if count > originals:
        raise BadInput(f"the preset has {originals} original models with a pair each, but {count} pairs are asked for.")
    return independent(study.seeds[:2], count or originals)


def ring_pairs(study: Study) -> list[tuple[int, int, int]]:
    """The preset's neighbouring pairs of seeds on original 0, and the first of them on original 1.

    Where originals have a forget set each, the first pair of seeds on each of them.
    """
    if study.preset.originals:
        return independent_pairs(study)
    found = ring(study.seeds, study.preset.pairs)
    return [*((0, start, end) for start, end in found), (1, *found[0])]


def control_routes(study: Study, methods: Sequence[str], original: int = 0) -> list[Route]:
    """The two controls for each method on an original, as straight lines.

    `APART`: the same method on this original model and the next, which must show a retain barrier.
    `TWINNED`: an endpoint and itself after 50 small steps on D_r, which must show none.
    """
    first, second = ring(study.seeds)[0]
    neighbour = (original + 1) % max(len(study.originals), 2)
    routes = []
    for method in methods:
        start = study.unlearned(method, first, origin=study.original(original))
        apart = study.unlearned(method, second, origin=study.original(neighbour))
        tuned = study.unlearned("finetune", second)
        twin = replace(tuned, origin=start, settings=replace(tuned.settings, plan=TWIN))
        for control, end in ((APART, apart), (TWINNED, twin)):
            # Of different originals the barrier alone is read; along a twin metrics too (C10).
            points = coarse(study) if study.preset.originals and control == APART else 0
            labels: dict[str, Any] = {"original": original, "control": control, "points": points}
            routes.append(Route(method, "linear", first, second, path=study.path(start, end), **labels))
    return routes


def coarse(study: Study) -> int:
    """Points of a trace where many pairs are walked: `COARSE`, or the preset's if fewer."""
    return min(COARSE, study.preset.points)


def alone(methods: Sequence[str]) -> list[tuple[str]]:
    """Contexts of one method each."""
    return [(method,) for method in methods]


def controls(study: Study) -> list[Route]:
    """The controls of every connectivity notebook, for the preset's first three methods.

    Where originals have a forget set each, on all of them, each with one of the three in turn.
    """
    methods = study.preset.fit[:3]
    if not study.preset.originals:
        return control_routes(study, methods)
    return [r for o in study.originals for r in control_routes(study, [methods[o % len(methods)]], o)]


def profiles(study: Study, routes: Sequence[Route]) -> list[Spec]:
    """The profiles of routes."""
    return [route.profile(study) for route in routes]


def fit_records(study: Study, routes: Iterable[Route]) -> list[FitSpec]:
    """Records of the fits of all fitted curves among routes, each once."""
    curves = dict.fromkeys(route.path for route in routes if not is_line(route.path))
    return [study.fit_record(one) for one in curves]


def fitted(study: Study, routes: Sequence[Route]) -> list[tuple[Route, Fit]]:
    """The routes along fitted curves, each once, with the record of its fit; none where none is kept."""
    wanted = fit_records(study, routes)
    found = study.run(wanted) if wanted else []
    first = {route.path: route for route in reversed(routes)}
    return [(first[one.model], fit) for one, fit in zip(wanted, found, strict=True)]


def references(study: Study) -> list[Spec]:
    """Profiles of the original and the retrained models; where originals have a forget set each, of all of them."""
    return [one for original in study.originals for one in references_of(study, original)]


def references_of(study: Study, original: int = 0) -> list[Spec]:
    """Profiles of an original model and of the models retrained without its forget set."""
    retrained = (study.retrained(seed, original=original) for seed in study.seeds)
    return [study.profile(one) for one in (study.original(original), *retrained)]


def levels(study: Study, original: int = 0) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Every metric of an original model, and of each model retrained without its forget set."""
    return _every_metric(study.run(references_of(study, original)))


def all_levels(study: Study) -> dict[int, tuple[dict[str, float], list[dict[str, float]]]]:
    """The `levels` of every original, in one run."""
    return {original: _every_metric(found) for original, found in _referred(study).items()}


def _every_metric(found: Iterable[Profile]) -> tuple[dict[str, float], list[dict[str, float]]]:
    first, *rest = [{name: float(one.metric(name)[0]) for name in METRICS} for one in found]
    return first, rest


def _referred(study: Study) -> dict[int, list[Profile]]:
    asked = {original: references_of(study, original) for original in study.originals}
    found = iter(study.run([spec for specs in asked.values() for spec in specs]))
    return {original: [next(found) for _ in specs] for original, specs in asked.items()}


def levelled(study: Study, walks: Sequence[Walk]) -> list[Walk]:
    """The walks with the levels of the retrained models in their profiles, for all readings; as they are where kept.

    The models are retrained without the preset's forget set, that of the walk's original where each has its own.
    """
    if all(w.profile.levels for w in walks):
        return list(walks)
    kept = {original: levels_kept(found[1:]) for original, found in _referred(study).items()}
    return [
        w if w.profile.levels else replace(w, profile=w.profile.with_levels(kept.get(w.original, kept[0])))
        for w in walks
    ]
