"""Pictures: the traces and planes without which the explorer shows no images; priced apart, as ``pictures``.

Of the forget examples alone, for the first pair of every method on original 0, for the path that each notebook ends
with, and for those of the stories. No verdict reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from ..engine.specs import CurveSpec, PlaneSpec, ProfileSpec, Spec, TraceSpec, is_line
from ..engine.study import Study
from .curriculum_and_order import curriculum, roughest, second_order
from .curve_fitting import fit_name, fits
from .forget_size import deepest as deepest_size, sizes
from .graded_sets import merging
from .method_pairs import deepest as deepest_methods, methods
from .metrics_along import routes_along, shown_route
from .quickstart import explorer, first_pair, shipped
from .seeds import deepest as deepest_seeds, seeds
from .stories import told, told_by
from .walks import Route, Walk, profiles, references, walk_all

HELD = ("forget",)  # the splits of a trace that pictures need
# Which of a notebook's routes it ends with, by what was walked.
LAST: tuple[tuple[Callable[[Study], list[Route]], Callable[[Sequence[Route], Sequence[Walk]], Route]], ...] = (
    (seeds, deepest_seeds),
    (curriculum, partial(roughest, across="cl-non_cl")),
    (second_order, partial(roughest, across="fo-so")),
    (methods, deepest_methods),
    (sizes, deepest_size),
    (lambda study: list(chain.from_iterable(routes_along(study).values())), shown_route),
)


def picture(trace: TraceSpec) -> TraceSpec:
    """A trace of a path as far as its pictures need it: of the forget examples."""
    return replace(trace, splits=HELD)


def first(study: Study) -> list[Route]:
    """Line and curve of the first pair of every method, on original 0."""
    return [route for route in first_pair(study) if route.original == 0]


def planes(study: Study) -> list[PlaneSpec]:
    """The plane through both ends and the control point of each curve of `first`, as 14 has it of the quickstart's."""
    (usual,) = (spec for spec in explorer(study) if isinstance(spec, PlaneSpec))
    curves: list[Any] = [route.path for route in first(study) if not is_line(route.path)]
    return [replace(usual, models=(path.start, path, path.end)) for path in curves]


def last(study: Study) -> list[Route]:
    """The paths that notebooks end with: of those chosen by their walks as many as are stored; nothing is computed."""
    found = []
    for name in ("corrected", "authors"):
        found += [route for route in fits(study) if fit_name(route) == name][:1]
    found += merging(study)[:1]
    for made, choose in LAST:
        routes = made(study)
        if routes and all(spec in study.store for spec in profiles(study, routes)):
            found.append(choose(routes, walk_all(study, routes)))
    return found


def of_stories(study: Study) -> list[Route]:
    """The paths of the stories and those beside them; none unless all that stories are told from is stored."""
    if not all(spec in study.store for spec in [*profiles(study, told_by(study)), *references(study)]):
        return []
    return [route for one in told(study) for route in (one.path, one.beside) if route is not None]


def needs(study: Study) -> list[Spec]:
    """Traces of the forget examples along these paths, and `planes`; without what ships for the quickstart."""
    whole = set(shipped(study))
    routes = (*first(study), *last(study), *of_stories(study))
    traces = dict.fromkeys(route.profile(study).trace for route in routes)
    return [*(picture(one) for one in traces if one not in whole), *planes(study)]


def kept(study: Study, specs: Iterable[Spec]) -> list[Spec]:
    """The pictures and planes that are stored, of all paths whose profiles are among ``specs``."""
    paths = [one.trace for one in specs if isinstance(one, ProfileSpec) and isinstance(one.trace.model, CurveSpec)]
    known = dict.fromkeys([*map(picture, paths), *planes(study)])
    return [one for one in known if one in study.store]
