"""N1: whether the mean of two over-forgotten models is nearer to retrained ones than either; priced apart, as ``n1``.

Its originals, draws of the forget set, unlearning seeds and retrained models are used nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from ..engine.specs import ProfileSpec, Spec, metric_of
from ..engine.study import Study
from ..errors import BadInput, choose
from ..measures.intervals import LEVEL
from .admission import admitted, copies, gates, splits_are
from .trials import Finding, Rule, mean_trial, table_of
from .walks import Route, Walk, coarse, labels_of

ORIGINALS = (200, 201, 202, 203)  # training seeds, and draws of the forget set
SEEDS = (301, 302)  # of unlearning
RETRAINED = (401, 402, 403, 404, 405)  # training seeds
METHODS = ("npo", "gradient_difference", "scrub")
READ = ("retain", "forget", "valid")  # splits
LEAST = 5e-4  # the smallest standard error believed in, in bits
PLACES = ("middle", "chosen")


# What is walked


def lines(study: Study) -> list[Route]:
    """A line between two models of each method on each original, of presets whose originals have a forget set each."""
    if not study.preset.originals:
        raise BadInput(f"n1 needs originals with a forget set each, and the preset {study.preset.name} has none.")
    routes = []
    for original, method in product(ORIGINALS, METHODS):
        start, end = (study.unlearned(method, seed, origin=study.original(original)) for seed in SEEDS)
        path = study.path(start, end)
        labels: dict[str, Any] = {"original": original, "points": coarse(study), "retrained": RETRAINED}
        routes.append(Route(method, "linear", *SEEDS, path=path, **labels))
    return routes


def profile_of(study: Study, route: Route) -> ProfileSpec:
    """The profile of a line, on validation data too, beside the five retrained models."""
    return study.profile(route.path, None, RETRAINED, route.points, READ)


def distances_of(profile: ProfileSpec) -> list[Spec]:
    """The specs of a line's JS divergence on D_f to each of its retrained models."""
    return [metric_of(replace(profile, retrained=(one,)), "js_retrained_forget") for one in profile.retrained]


def needs(study: Study) -> list[Spec]:
    """All that N1 needs."""
    profiles = [profile_of(study, route) for route in lines(study)]
    return [*profiles, *(one for profile in profiles for one in distances_of(profile))]


def walk_lines(study: Study) -> tuple[list[Walk], dict[tuple[int, str], np.ndarray]]:
    """The walks of `lines`, and by (original, method) the distances (5, T) in bits, computed where they lack."""
    routes = lines(study)
    specs = [profile_of(study, route) for route in routes]
    walks = [Walk(**labels_of(r), profile=p) for r, p in zip(routes, study.run(specs), strict=True)]
    found = {}
    for walk, spec in zip(walks, specs, strict=True):
        rows = study.run(distances_of(spec))
        found[walk.original, walk.method] = np.array([one["values"] for one in rows])
    return walks, found


# The test


def over_forgotten(walk: Walk) -> bool:
    """Whether both ends' forget loss lies beyond the mean of the retrained models, more than one G forgotten."""
    return all(one.loss > 1 for one in gates(walk))


def place_of(walk: Walk, at: str = "middle") -> int:
    """The point of a line that is compared with its ends: t = 1/2, or the ``chosen`` one.

    This has the smallest |forget loss - validation loss|: D_f ought to look like data that the model never saw, and no
    retrained model is asked.
    """
    if choose("place", at, PLACES) == "chosen":
        apart = np.abs(walk.profile.metric("loss_forget") - walk.profile.metric("loss_valid"))
        return int(np.argmin(apart))
    k = int(np.argmin(np.abs(walk.profile.t - 0.5)))
    if abs(walk.profile.t[k] - 0.5) > 1e-9:
        raise BadInput(f"a line must be walked at t = 1/2, got {len(walk.profile.t)} points.")
    return k


def nearer(walk: Walk, distances: Any, at: str = "middle") -> float:
    """Mean distance of a point of the line to the retrained models minus that of the nearer end, in bits.

    Args:
        walk: the line.
        distances: (R, T) to each of R retrained models.
        at: see `place_of`.
    """
    mean = np.asarray(distances, dtype=np.float64).mean(axis=0)
    return float(mean[place_of(walk, at)] - min(mean[0], mean[-1]))


def n1(
    walks: Sequence[Walk], distances: Mapping[tuple[int, str], Any], at: str = "middle", level: float = LEVEL
) -> Finding:
    """N1: whether the mean of two over-forgotten models of a method is nearer to retrained ones than the nearer is.

    Args:
        walks: `walk_lines`.
        distances: (original, method) -> (R, T), to each retrained model in bits.
        at: see `place_of`.
        level: of the interval.
    """
    kept = [w for w in admitted(walks, condition="random", kind="linear") if over_forgotten(w)]
    found = {(w.original, w.method): nearer(w, distances[w.original, w.method], at) for w in kept}
    cells = replace(table_of(found), least=LEAST)
    return mean_trial(cells, Rule("below", 0.0), refused=splits_are(walks) + copies(walks), level=level)
