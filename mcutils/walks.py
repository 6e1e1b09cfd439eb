"""Walks: the paths of an experiment between named endpoints, with their profiles, and the controls beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .connectivity import mcu
from .profiles import ProfileOf
from .settings import BadInput, Plan, choose
from .specs import Path
from .study import Study

TWIN = Plan(lr=3e-5, steps=50)  # the light fine-tuning of the positive control


@dataclass(frozen=True)
class Walk:
    """One path of a study: which method's endpoints (seeds ``start`` and ``end``), which curve, and its profile.

    ``role`` is ``method`` for an experiment, ``control`` for a control; ``original`` is the seed of the original model.
    """

    method: str
    kind: str
    start: int
    end: int
    profile: ProfileOf
    role: str = "method"
    original: int = 0

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


def walk_all(study: Study, planned: Iterable[tuple[str, str, int, int, str, Path]]) -> list[Walk]:
    """Compute the profiles of planned paths (method, kind, start, end, role, path) and return the walks in order."""
    planned = list(planned)
    profiles = study.run([study.profile(path) for *_, path in planned])
    return [
        Walk(method, kind, start, end, one, role)
        for (method, kind, start, end, role, _), one in zip(planned, profiles, strict=True)
    ]


def seed_paths(
    study: Study, methods: Sequence[str], pairs: Sequence[tuple[int, int]], kinds: Sequence[str] = ("linear", "bezier")
) -> list[tuple[str, str, int, int, str, Path]]:
    """Plan a path of each kind between two seeds of each method (the paper's condition ``random``)."""
    planned = []
    for method in methods:
        for start, end in pairs:
            ends = study.unlearned(method, start), study.unlearned(method, end)
            planned += [(method, kind, start, end, "method", study.path(*ends, kind=kind)) for kind in kinds]
    return planned


def control_paths(study: Study, methods: Sequence[str]) -> list[tuple[str, str, int, int, str, Path]]:
    """Plan the two controls for each method, as straight lines.

    ``other initialisation``: the same method on two original models trained from different seeds, which must show a
    retain barrier. ``fine-tuned twin``: an endpoint and itself after 50 small steps on D_r, which must show none.
    """
    first, second = ring(study.seeds)[0]
    planned = []
    for method in methods:
        start = study.unlearned(method, first)
        apart = study.unlearned(method, second, origin=study.original(1))
        tuned = study.unlearned("finetune", second)
        twin = replace(tuned, origin=start, settings=replace(tuned.settings, plan=TWIN))
        for name, end in (("other initialisation", apart), ("fine-tuned twin", twin)):
            planned.append((name, "linear", first, second, "control", study.path(start, end)))
    return planned
