"""Experiments: what each notebook computes, as lists of specs, so that it can be planned or run without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .specs import Spec, parents
from .study import Study
from .walks import control_paths, ring, seed_paths

CURRICULA_SHOWN = ("none", "superloss", "superloss_authors")
OPTIMIZERS_SHOWN = ("adamw", "sophia_g", "soul")


def quickstart(study: Study, method: str = "", seeds: Sequence[int] = (42, 87)) -> list[Spec]:
    """Original, three retrained and two unlearned models, the line and a Bezier curve between the last two."""
    ends = [study.unlearned(method or study.preset.quickstart_method, seed) for seed in seeds]
    models = [study.original(), *(study.retrained(s) for s in study.seeds[:3]), *ends]
    paths = [study.path(*ends, kind=kind) for kind in ("linear", "bezier")]
    return [study.profile(one, retrained=study.seeds[:3]) for one in (*models, *paths)]


def endpoints(study: Study) -> list[Spec]:
    """Every method with every seed, retrained models, and one method under every curriculum and optimiser."""
    models = [study.original(), *(study.retrained(s) for s in study.seeds)]
    models += study.grid(method=("finetune", *study.preset.methods))
    models += study.grid((study.preset.quickstart_method,), study.seeds[:1], CURRICULA_SHOWN, OPTIMIZERS_SHOWN)
    return [study.profile(one) for one in models]


def seeds(study: Study) -> list[Spec]:
    """The condition ``random`` for every method, lines and Bezier curves, and the controls."""
    methods = study.preset.methods
    planned = seed_paths(study, methods, ring(study.seeds, study.preset.pairs)) + control_paths(study, methods[:3])
    return [study.profile(path) for *_, path in planned]


def shipped(study: Study) -> list[Spec]:
    """What ships beside the notebooks' profiles: the quickstart's models, its curve and all its traces."""
    ends = [study.unlearned(study.preset.quickstart_method, seed) for seed in (42, 87)]
    models = [study.original(), study.retrained(42), *ends, study.path(*ends, kind="bezier")]
    return [*models, *dict.fromkeys(trace for one in quickstart(study) for trace in parents(one))]


EXPERIMENTS: dict[str, Callable[[Study], list[Spec]]] = {
    "00_quickstart": quickstart,
    "01_endpoints": endpoints,
    "02_seeds": seeds,
}
