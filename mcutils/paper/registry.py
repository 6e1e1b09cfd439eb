"""What each notebook computes, what ships together, and which results belong to which original model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ..engine.specs import (
    CurveSpec,
    LearningSpec,
    OriginalSpec,
    PlaneSpec,
    ProfileSpec,
    RetrainedSpec,
    Spec,
    TraceSpec,
    UntrainedSpec,
    is_line,
    key,
)
from ..engine.study import Study
from ..errors import BadInput
from ..measures.connectivity import TOLERANCE
from . import difficulty, ensembles, experiments as e, privacy
from .declared import fine
from .experiments import Route, profiles, references
from .inclusion import Table
from .stories import told
from .tables import cue_needs, routes_along, stored, tables

Needs = Callable[[Study], list[Spec]]


def _with(routes: Callable[[Study], list[Route]], more: Needs = references) -> Needs:
    return lambda study: [*profiles(study, routes(study)), *more(study)]


def _along(study: Study) -> list[Spec]:
    return [*profiles(study, routes_along(study)), *references(study)]


def _quickstart(study: Study) -> list[Spec]:
    return [*e.quickstart(study), *profiles(study, [*e.first_pair(study), *e.trained_apart(study)])]


def _progress(study: Study) -> list[Spec]:
    beside = [*e.planes(study).values(), *references(study), *e.ways(study).values()]
    return [*beside, *e.fit_records(study, e.progress(study))]


# Notebook -> all that it needs; 15 needs the paths of all others.
EXPERIMENTS: dict[str, Needs] = {
    "00_quickstart": _quickstart,
    "01_endpoints": e.endpoints,
    "02_seeds": _with(e.seeds, lambda study: [*references(study), *profiles(study, e.refits(study))]),
    "03_curriculum": _with(e.curriculum),
    "04_second_order": _with(e.second_order, lambda study: [*profiles(study, e.curriculum(study)), *references(study)]),
    "05_methods": _with(e.methods, lambda study: [*references(study), *cue_needs(study)]),
    "06_forget_size": _with(e.sizes),
    "07_metrics_along_the_path": _along,
    "08_curve_fitting": _with(e.fits, lambda study: [*references(study), *e.fit_records(study, e.fits(study))]),
    "09_progress_and_retraining": _with(e.progress, _progress),
    "14_explorer": e.explorer,
}
JUDGED = (e.seeds, e.curriculum, e.second_order, e.methods, e.sizes, e.fits, e.progress)
EXPERIMENTS["15_claims"] = lambda study: [
    *(spec for routes in JUDGED for spec in profiles(study, routes(study))),
    *references(study),
]


# What no notebook of a whole run needs, and is planned and run by its name alone.
PRICED_APART: dict[str, Needs] = {
    "n1": e.between_needs,
    "privacy": privacy.needs,
    "ensembles": ensembles.needs,
    "difficulty": difficulty.needs,
    "alignment": difficulty.aligned_needs,
    "pictures": lambda study: pictures(study),
}
# Notebooks whose results are priced apart, and as what: no run of all notebooks' results computes them.
APART = {"10_privacy": "privacy", "11_ensembles_and_relearning": "ensembles", "12_difficulty": "difficulty"}
PRICED_APART |= {notebook: PRICED_APART[name] for notebook, name in APART.items()}


# Pictures: the traces and planes without which the explorer shows no images


def picture(trace: TraceSpec) -> TraceSpec:
    """A trace of a path as far as its pictures need it: of the forget examples."""
    return replace(trace, splits=("forget",))


def planes(study: Study) -> list[PlaneSpec]:
    """The plane through both ends and the control point of each curve of `first_pair`, as 14 has it."""
    (usual,) = (spec for spec in e.explorer(study) if isinstance(spec, PlaneSpec))
    first = [route for route in e.first_pair(study) if route.original == 0]
    curves: list[Any] = [route.path for route in first if not is_line(route.path)]
    return [replace(usual, models=(path.start, path, path.end)) for path in curves]


def last(study: Study) -> list[Route]:
    """The paths that notebooks end with: of those chosen by their numbers as many as are stored."""
    fits = [r for r in e.fits(study) if r.kind == "bezier" and not (r.objective or r.refit or r.batchnorm)]
    found = [next(r for r in fits if r.recipe == recipe) for recipe in ("", "authors") if fits]
    found += difficulty.merging(study)[:1]
    for name, routes, choose in LAST:
        if stored(study, name):
            found.append(e.route_of(routes(study), choose(tables(study, name)["paths"])))
    return found


def _largest(column: str, query: str) -> Callable[[Table], Table]:
    return lambda paths: paths[paths.included].query(query).nlargest(1, column)


def _roughest(across: str) -> Callable[[Table], Table]:
    def choose(paths: Table) -> Table:
        ours = paths[(paths.condition == across) & (paths.form == "") & paths.included]
        return ours[ours.points == ours.points.max()].nlargest(1, "eps_chord")

    return choose


def _typical(paths: Table) -> Table:
    """The connected path whose metrics differ as the median path's do, as 07 draws it."""
    joined = fine({"paths": paths}, "chord", TOLERANCE)
    order = (joined.pattern_own - joined.pattern_apart).dropna().sort_values(kind="stable").index
    return joined.loc[[order[(len(order) - 1) // 2]]] if len(order) else paths.head(0)


LAST: tuple[tuple[str, Callable[[Study], list[Route]], Callable[[Table], Table]], ...] = (
    ("02_seeds", e.seeds, _largest("deficit_chord", "form == ''")),
    ("03_curriculum", e.curriculum, _roughest("cl-non_cl")),
    ("04_second_order", e.second_order, _roughest("fo-so")),
    ("05_methods", e.methods, _largest("deficit_chord", "form == '' and other != ''")),
    ("07_metrics_along_the_path", routes_along, _typical),
    ("06_forget_size", e.sizes, _largest("deficit_chord", "size > 0 and kind == 'linear'")),
)


def pictures(study: Study) -> list[Spec]:
    """Traces of the forget examples along these paths, and `planes`; without what ships for the quickstart."""
    whole = set(e.shipped(study))
    routes = [r for r in e.first_pair(study) if r.original == 0] + last(study)
    if stored(study, "02_seeds") and stored(study, "09_progress_and_retraining"):
        routes += [route for one in told(study) for route in (one.path, one.beside) if route is not None]
    traces = dict.fromkeys(route.profile(study).trace for route in routes)
    return [*(picture(one) for one in traces if one not in whole), *planes(study)]


# Archives and shards


def archives(study: Study, shards: bool = False) -> dict[str, list[str]]:
    """Keys of all results that ship, by archive: one a notebook, in the notebooks' order.

    ``shards``: one for each notebook and original model instead, so that what several computers made lies together.
    What several notebooks need lies with the first of them; what is priced apart follows where all of it is stored,
    that of all shadows together (``-pool`` of the shards), and pictures as far as they are stored.
    """
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    needed = {name: list(ask(study)) for name, ask in EXPERIMENTS.items()}
    needed["00_quickstart"] = [*needed["00_quickstart"], *e.shipped(study)]
    profiled = [one for specs in needed.values() for one in specs if isinstance(one, ProfileSpec)]
    paths: list[Any] = [one.trace for one in profiled if isinstance(one.trace.model, CurveSpec)]
    drawn = dict.fromkeys([*map(picture, paths), *planes(study)])
    kept = [one for one in drawn if one in study.store]
    for name, specs in {**needed, **computed_apart(study), "pictures": kept}.items():
        for spec in specs:
            if key(spec) not in seen and not is_line(spec):
                seen.add(key(spec))
                owner = original_of(spec)
                part = "pool" if owner >= privacy.TRAINED else f"original{owner}"
                found.setdefault(f"{name}-{part}" if shards else name, []).append(key(spec))
    return found


def computed_apart(study: Study) -> dict[str, list[Spec]]:
    """All results of what is priced apart, by its name in the registry; without what the store does not hold whole."""
    found = {}
    for name in [name for name in PRICED_APART if name not in APART and name != "pictures"]:
        try:
            specs = list(PRICED_APART[name](study))
        except BadInput:  # it needs originals with a forget set each
            continue
        if all(spec in study.store for spec in specs):
            found[name] = specs
    return found


def shard(specs: Iterable[Spec], original: int) -> list[Spec]:
    """The specs that belong to the original model of this training seed; the shards of all originals are all specs.

    Raises `BadInput` for an original to which none belongs.
    """
    specs = list(specs)
    owners = [original_of(spec) for spec in specs]
    if original not in owners:
        known = ", ".join(map(str, sorted(set(owners)))) or "none"
        raise BadInput(f"no result belongs to original {original} alone: give one of {known}.")
    return [spec for spec, owner in zip(specs, owners, strict=True) if owner == original]


def original_of(spec: Spec) -> int:
    """Training seed of the original model that a result hangs on; of several, the smallest.

    A model retrained, or untrained, on the forget set of an original belongs to it: to 0 where all have one in common.
    What was measured on another draw (`Study.redrawn`, a number above all training seeds) belongs to its original.
    """
    return min(originals_of(spec), default=0)


@lru_cache(maxsize=100_000)
def originals_of(spec: Spec) -> frozenset[int]:
    """Training seeds of all original models that a result is made from; none where only their common data enter."""
    if isinstance(spec, OriginalSpec):
        return frozenset((spec.seed,))
    if isinstance(spec, LearningSpec):  # trains its model anew, and so has no parents
        return frozenset((spec.model.seed,))
    if isinstance(spec, RetrainedSpec) and spec.data.shadow is not None:
        return frozenset((privacy.TRAINED + spec.data.shadow,))  # to the shadow whose rest it was trained on
    if isinstance(spec, (RetrainedSpec, UntrainedSpec)):
        return frozenset((spec.data.draw,) if spec.data.draw else ())
    return frozenset().union(*map(originals_of, spec.parents()))
