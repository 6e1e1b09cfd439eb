"""Walks: the paths of an experiment between named endpoints, with their profiles, and the controls beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ..engine.specs import CurveSpec, ProfileSpec, Spec
from ..engine.study import Study
from ..errors import BadInput, choose
from ..measures.along import mcu
from ..measures.metrics import METRICS
from ..measures.profiles import Profile
from ..settings import Plan

TWIN = Plan(lr=3e-5, steps=50)  # the light fine-tuning of the positive control
COARSE = 11  # points where a matrix of many pairs is walked


@dataclass(frozen=True)
class Route:
    """A path to walk and what it is an example of.

    ``method`` is that of the start, ``other`` that of the end where it is another; ``start`` and ``end`` are seeds and
    ``original`` that of the original model. ``condition`` is the paper's name of how the ends differ, and ``variant``
    tells fits of one pair apart. ``role``: ``method`` for an experiment, ``control`` for a control. Of the trace:
    ``points`` (0: the preset's), ``batchnorm`` (empty: the recipe's policy), and ``retrained``, the seeds of the models
    that G is taken from (None: the preset's).
    """

    path: CurveSpec
    method: str
    kind: str
    start: int
    end: int
    role: str = "method"
    original: int = 0
    condition: str = "random"
    other: str = ""
    variant: str = ""
    points: int = 0
    batchnorm: str = ""
    retrained: tuple[int, ...] | None = None

    def profile(self, study: Study) -> ProfileSpec:
        """The spec of what figures need of it."""
        return study.profile(self.path, self.batchnorm or None, self.retrained, self.points or None)


@dataclass(frozen=True)
class Walk:
    """A route that was walked: its labels, see `Route`, and its profile."""

    method: str
    kind: str
    start: int
    end: int
    profile: Profile
    role: str = "method"
    original: int = 0
    condition: str = "random"
    other: str = ""
    variant: str = ""

    @property
    def nodes(self) -> tuple[str, str]:
        """Names of the two random draws behind it: seeds of unlearning, apart for different original models."""
        return f"{self.original}/{self.start}", f"{self.original}/{self.end}"

    @property
    def label(self) -> str:
        """The method, or both."""
        return f"{self.method} - {self.other}" if self.other else self.method

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

    def connected(self, eps: float) -> bool:
        """Whether MCU(eps) holds: barrier and deficit both at most eps G; a nan never connects."""
        return bool(mcu(self.barrier, self.deficit, eps, eps))

    def replicates(self, measure: str) -> np.ndarray:
        """Bootstrap replicates over examples (B,) of ``barrier`` or ``deficit``, in units of G."""
        name = {"barrier": "barrier_retain", "deficit": "deficit_forget"}[
            choose("measure", measure, ("barrier", "deficit"))
        ]
        return self.profile.connectivity.replicates[name] / self.profile.gap


def ring(seeds: Sequence[int], count: int = 0) -> list[tuple[int, int]]:
    """Neighbouring pairs of seeds around a circle, the first ``count`` of them (all if 0): each seed ends two paths."""
    if len(set(seeds)) < len(seeds) or len(seeds) < 2:
        raise BadInput(f"pairs need two different seeds or more, got {', '.join(map(str, seeds)) or 'none'}.")
    pairs = list(zip(seeds, [*seeds[1:], seeds[0]], strict=True)) if len(seeds) > 2 else [tuple(seeds)]
    return pairs[: count or None]


def independent(seeds: Sequence[int], count: int = 3) -> list[tuple[int, int, int]]:
    """Pairs (original, start, end) without a common endpoint: neighbours among the seeds on original 0, then 1, ..."""
    if len(set(seeds)) < len(seeds) or len(seeds) < 2:
        raise BadInput(f"pairs need two different seeds or more, got {', '.join(map(str, seeds)) or 'none'}.")
    per_original = len(seeds) // 2
    places = [(k // per_original, 2 * (k % per_original)) for k in range(count)]
    return [(original, seeds[first], seeds[first + 1]) for original, first in places]


def walk_all(study: Study, routes: Iterable[Route]) -> list[Walk]:
    """Compute the profiles of routes and return the walks in order."""
    routes = list(routes)
    profiles = study.run([route.profile(study) for route in routes])
    kept = [f.name for f in fields(Walk) if f.name != "profile"]
    return [
        Walk(**{name: getattr(route, name) for name in kept}, profile=one)
        for route, one in zip(routes, profiles, strict=True)
    ]


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

    Args:
        study: whose endpoints.
        condition: a key of `CONDITIONS`.
        methods: a tuple for each context, of one method or two as the condition takes.
        pairs: (original, start, end) seeds, see `ring_pairs` and `independent`.
        kinds: curves.
        curriculum, optimizer: of the ends that have one.
        points: of the traces; 0 is the preset's.
    """
    routes = []
    for names in methods:
        for original, start, end in pairs:
            ends = study.ends(condition, names, (start, end), curriculum, optimizer, original)
            labels = {"method": names[0], "other": names[1] if len(names) > 1 else "", "condition": condition}
            labels |= {"start": start, "end": end, "original": original, "points": points}
            routes += [Route(study.path(*ends, kind=kind), kind=kind, **labels) for kind in kinds]
    return routes


def ring_pairs(study: Study) -> list[tuple[int, int, int]]:
    """The preset's neighbouring pairs of seeds on original 0, and the first of them on original 1."""
    found = ring(study.seeds, study.preset.pairs)
    return [*((0, start, end) for start, end in found), (1, *found[0])]


def control_routes(study: Study, methods: Sequence[str]) -> list[Route]:
    """The two controls for each method, as straight lines.

    ``other initialisation``: the same method on two original models trained from different seeds, which must show a
    retain barrier. ``fine-tuned twin``: an endpoint and itself after 50 small steps on D_r, which must show none.
    """
    first, second = ring(study.seeds)[0]
    routes = []
    for method in methods:
        start = study.unlearned(method, first)
        apart = study.unlearned(method, second, origin=study.original(1))
        tuned = study.unlearned("finetune", second)
        twin = replace(tuned, origin=start, settings=replace(tuned.settings, plan=TWIN))
        for name, end in (("other initialisation", apart), ("fine-tuned twin", twin)):
            routes.append(Route(study.path(start, end), name, "linear", first, second, "control"))
    return routes


def coarse(study: Study) -> int:
    """Points of a trace where many pairs are walked: `COARSE`, or the preset's if fewer."""
    return min(COARSE, study.preset.points)


def alone(methods: Sequence[str]) -> list[tuple[str]]:
    """Contexts of one method each."""
    return [(method,) for method in methods]


def controls(study: Study) -> list[Route]:
    """The controls of every connectivity notebook, for the preset's first three methods."""
    return control_routes(study, study.preset.methods[:3])


def profiles(study: Study, routes: Sequence[Route]) -> list[Spec]:
    """The profiles of routes."""
    return [route.profile(study) for route in routes]


def references(study: Study) -> list[Spec]:
    """Profiles of the original and the retrained models."""
    return [study.profile(one) for one in (study.original(), *(study.retrained(s) for s in study.seeds))]


def levels(study: Study) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Every metric of the original model, and of each retrained model."""
    found = [{name: float(one.metric(name)[0]) for name in METRICS} for one in study.run(references(study))]
    return found[0], found[1:]
