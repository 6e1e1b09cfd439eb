"""Experiments: what each notebook computes, so that it can be planned or run without the notebook.

A notebook walks the routes of its experiment; ``EXPERIMENTS`` gives the specs of all that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from .curves import RECIPES
from .engine.specs import Alike, CueUse, Original, PlaneOf, Spec, is_line, key, parents
from .engine.study import Study
from .walks import Route, condition_routes, control_routes, independent, ring, ring_pairs

CURRICULA_SHOWN = ("none", "superloss", "superloss_authors")
OPTIMIZERS_SHOWN = ("adamw", "sophia_g", "soul")
COARSE = 11  # points where a matrix of many pairs is walked
SIZES = 5  # sizes of the forget set, equally far apart, the largest being the preset's
# Objectives of a fit that is not the method's own: retain loss only, and retain minus clipped forget loss.
OBJECTIVES = {"retain only": "finetune", "retain - forget": "gradient_difference"}
VARIANTS = tuple(name for name in RECIPES if name not in ("corrected", "authors"))


def quickstart(study: Study, method: str = "", seeds: Sequence[int] = ()) -> list[Spec]:
    """Original, three retrained and two unlearned models, the line and a Bezier curve between the last two.

    The two have the preset's first pair of ``seeds`` unless others are given.
    """
    pair = seeds or ring(study.seeds)[0]
    ends = [study.unlearned(method or study.preset.quickstart_method, seed) for seed in pair]
    models = [study.original(), *(study.retrained(s) for s in study.seeds[:3]), *ends]
    paths = [study.path(*ends, kind=kind) for kind in ("linear", "bezier")]
    return [study.profile(one, retrained=study.seeds[:3]) for one in (*models, *paths)]


def endpoints(study: Study) -> list[Spec]:
    """Every method with every seed, retrained models, one method under every curriculum and optimiser, and a line.

    The line leads from the original to an endpoint of that method.
    """
    models = [study.original(), *(study.retrained(s) for s in study.seeds)]
    models += study.grid(method=("finetune", *study.preset.methods))
    composed = study.grid((study.preset.quickstart_method,), study.seeds[:1], CURRICULA_SHOWN, OPTIMIZERS_SHOWN)
    line = study.path(study.original(), composed[0])
    return [study.profile(one) for one in (*models, *composed, line)]


def coarse(study: Study) -> int:
    """Points of a trace where many pairs are walked: `COARSE`, or the preset's if fewer."""
    return min(COARSE, study.preset.points)


def alone(methods: Sequence[str]) -> list[tuple[str]]:
    """Contexts of one method each."""
    return [(method,) for method in methods]


def controls(study: Study) -> list[Route]:
    """The controls of every connectivity notebook, for the preset's first three methods."""
    return control_routes(study, study.preset.methods[:3])


def seeds(study: Study) -> list[Route]:
    """``random`` for every method: neighbouring seeds on one original and a pair on another, and the controls."""
    return condition_routes(study, "random", alone(study.preset.methods), ring_pairs(study)) + controls(study)


def first_pair(study: Study) -> list[Route]:
    """The first pair of `seeds` for every method, without controls: an exercise of the quickstart."""
    return condition_routes(study, "random", alone(study.preset.methods), ring_pairs(study)[:1])


def curriculum(study: Study) -> list[Route]:
    """``cl-non_cl`` and ``random_in_cl`` beside ``random``, over independent pairs; once with the authors' form."""
    return _changed(study, "cl-non_cl", "random_in_cl", curriculum="superloss_authors")


def second_order(study: Study) -> list[Route]:
    """``fo-so`` and ``random_in_so`` beside ``random``, over independent pairs; once with the authors' optimiser."""
    return _changed(study, "fo-so", "random_in_so", optimizer="soul")


def _changed(study: Study, across: str, inside: str, **authors: str) -> list[Route]:
    contexts, pairs, points = alone(study.preset.methods), independent(study.seeds), coarse(study)
    routes = [r for c in ("random", across) for r in condition_routes(study, c, contexts, pairs)]
    routes += condition_routes(study, inside, contexts, pairs, points=points)
    one = alone([study.preset.quickstart_method])
    one = condition_routes(study, across, one, pairs, ("linear",), points=points, **authors)
    return routes + [replace(r, variant=next(iter(authors.values()))) for r in one] + controls(study)


def method_pairs(study: Study) -> list[tuple[str, str]]:
    """All pairs of two methods, in the preset's order."""
    return list(combinations(study.preset.methods, 2))


def sampled(study: Study, count: int = 6) -> list[tuple[str, str]]:
    """A fixed sample of method pairs: each next one is the first whose methods were taken least often so far."""
    left, taken = method_pairs(study), dict.fromkeys(study.preset.methods, 0)
    found = []
    while left and len(found) < count:
        pair = min(left, key=lambda p: (max(taken[m] for m in p), sum(taken[m] for m in p)))
        left.remove(pair)
        found.append(pair)
        taken |= {m: taken[m] + 1 for m in pair}
    return found


def methods(study: Study) -> list[Route]:
    """All pairs of two methods as coarse lines in every method condition, and a sample as full lines and curves."""
    pairs, three, points = method_pairs(study), independent(study.seeds), coarse(study)
    routes = condition_routes(study, "method", pairs, three, ("linear",), points=points)
    full = condition_routes(study, "method", sampled(study), three[:1])
    for condition in ("method_in_cl", "method_in_so", "method_cl-non_cl", "method_fo-so"):
        routes += condition_routes(study, condition, pairs, three[:1], ("linear",), points=points)
        routes += condition_routes(study, condition, sampled(study), three[:1], ("bezier",), points=points)
    return routes + [replace(r, variant="full") for r in full] + controls(study)


def alike(study: Study) -> Alike:
    """Similarity of all methods' endpoints, a second seed of the first, a retrained and the original model."""
    names, (first, second) = study.preset.methods, study.seeds[:2]
    models = [study.unlearned(name, first) for name in names] + [study.unlearned(names[0], second)]
    return Alike((*models, study.retrained(first), study.original()), study.original(), study.preset.forget)


def cued(study: Study, share: float | None = None) -> dict[tuple[str, str], CueUse]:
    """Cue use along the lines original - unlearned and unlearned - retrained, on data whose D_f carries a cue.

    ``share`` of the pool carries it, the first to be forgotten first; None is all of D_f.
    """
    bench = replace(study, data=replace(study.data, cue=share or study.preset.forget, checksum=""))
    seed, forget = study.seeds[0], study.preset.forget
    original, retrained = bench.original(), bench.retrained(seed, init=0)
    found = {}
    for name in study.preset.methods:
        end = bench.unlearned(name, seed)
        for part, path in (("forgetting", (original, end)), ("retraining", (end, retrained))):
            found[name, part] = CueUse(bench.path(*path), forget, coarse(study))
    return found


def sizes(study: Study, shares: Sequence[float] = ()) -> list[Route]:
    """``random`` at several sizes of the forget set, for three methods, coarse.

    ``shares`` of the pool; by default `SIZES` equal steps up to the preset's.
    """
    routes = []
    for forget in shares or [round(k * study.preset.forget / SIZES, 6) for k in range(1, SIZES + 1)]:
        smaller = replace(study, preset=replace(study.preset, forget=forget))
        contexts = alone(study.preset.methods[-4:-1] or study.preset.methods)
        made = condition_routes(smaller, "random", contexts, independent(study.seeds), points=coarse(study))
        routes += [replace(r, variant=f"{forget:g}", retrained=study.seeds[:2]) for r in made]
    return routes + controls(study)


def fits(study: Study) -> list[Route]:
    """Ways to fit a Bezier curve between the same pairs: objective, recipe, single choices of the recipe, BatchNorm.

    Another seed of the corrected fit says how much of a change is chance. Bad teaching has more pairs, by the authors'
    recipe only, since three cannot tell a share above one half (C12).
    """
    routes, some = [], set(study.preset.methods[-4:-1])
    contexts, pairs, points = alone(study.preset.methods), independent(study.seeds), coarse(study)
    for route in condition_routes(study, "random", contexts, pairs, points=points):
        routes += [replace(route, variant="own"), replace(route, variant="no BatchNorm refresh", batchnorm="none")]
        if route.kind == "linear":
            continue
        ends = route.path.start, route.path.end
        routes.append(replace(route, path=study.path(*ends, "bezier", seed=1), variant="refit"))
        for variant, objective in OBJECTIVES.items():
            routes.append(replace(route, path=study.path(*ends, "bezier", objective=objective), variant=variant))
        for recipe in ("authors", *(VARIANTS if route.method in some else ())):
            routes.append(replace(route, path=study.path(*ends, "bezier", recipe), variant=recipe))
    more = [pair for pair in ring_pairs(study) if pair not in pairs]
    taught = alone([name for name in study.preset.methods if name == "bad_teacher"])
    for route in condition_routes(study, "random", taught, more, points=points):
        ends, variant = (route.path.start, route.path.end), "own" if route.kind == "linear" else "authors"
        path = route.path if route.kind == "linear" else study.path(*ends, "bezier", "authors")
        routes.append(replace(route, path=path, variant=variant))
    return routes + controls(study)


def progress(study: Study) -> list[Route]:
    """Lines original - unlearned, unlearned - retrained and retrained - retrained, for three seeds.

    A retrained model starts from the original's initial weights (``same init``) or from its own (``other init``).
    """
    routes, chosen = [], study.seeds[:3]
    inits = {"same init": 0, "other init": None}
    for name in study.preset.methods:
        for seed in chosen:
            end = study.unlearned(name, seed)
            labels = {"method": name, "kind": "linear", "start": seed, "end": seed, "condition": "forgetting"}
            routes.append(Route(study.path(study.original(), end), **labels))
            for variant, init in inits.items():
                path = study.path(end, study.retrained(seed, init=init))
                labels |= {"condition": "retraining", "variant": variant, "points": coarse(study)}
                routes.append(Route(path, **labels))
    for variant, init in inits.items():
        for a, b in combinations(chosen, 2):
            path = study.path(study.retrained(a, init=init), study.retrained(b, init=init))
            labels = {"start": a, "end": b, "role": "control", "condition": "retrained", "variant": variant}
            labels |= {"points": coarse(study)}
            routes.append(Route(path, "retrain", "linear", **labels))
    return routes


def planes(study: Study, count: int = 3) -> dict[str, PlaneOf]:
    """Planes through original, unlearned and retrained (same initial weights), for the first few methods."""
    seed, size = study.seeds[0], 15 if study.preset.points > COARSE else 5
    retrained = study.retrained(seed, init=0)
    return {
        name: PlaneOf((study.original(), study.unlearned(name, seed), retrained), study.preset.forget, size)
        for name in study.preset.methods[2 : 2 + count] or study.preset.methods[:count]
    }


def explorer(study: Study) -> list[Spec]:
    """The quickstart's line and curve, and the plane that holds both: through the ends and the control point."""
    *_, line, curve = quickstart(study)
    path, size = curve.trace.model, 21 if study.preset.points > COARSE else 5
    return [line, curve, PlaneOf((path.start, path, path.end), study.preset.forget, size)]


def shipped(study: Study) -> list[Spec]:
    """What ships beside the notebooks' profiles: the quickstart's models, its curve and all its traces."""
    shown = quickstart(study)
    curve = shown[-1].trace.model
    models = [study.original(), study.retrained(42), curve.start, curve.end, curve]
    return [*models, *dict.fromkeys(trace for one in shown for trace in parents(one))]


def profiles(study: Study, routes: Sequence[Route]) -> list[Spec]:
    """The profiles of routes."""
    return [route.profile(study) for route in routes]


def references(study: Study) -> list[Spec]:
    """Profiles of the original and the retrained models."""
    return [study.profile(one) for one in (study.original(), *(study.retrained(s) for s in study.seeds))]


ROUTES: dict[str, Callable[[Study], list[Route]]] = {
    "02_seeds": seeds,
    "03_curriculum": curriculum,
    "04_second_order": second_order,
    "05_methods": methods,
    "06_forget_size": sizes,
    "08_curve_fitting": fits,
    "09_progress_and_retraining": progress,
}


def everything(study: Study) -> list[Spec]:
    """The routes of all experiments, and the references."""
    return [spec for routes in ROUTES.values() for spec in profiles(study, routes(study))] + references(study)


EXPERIMENTS: dict[str, Callable[[Study], list[Spec]]] = {
    "00_quickstart": lambda study: [*quickstart(study), *profiles(study, first_pair(study))],
    "01_endpoints": endpoints,
    "02_seeds": lambda study: [*profiles(study, seeds(study)), *references(study)],
    "03_curriculum": lambda study: profiles(study, curriculum(study)),
    "04_second_order": lambda study: profiles(study, [*second_order(study), *curriculum(study)]),  # C7 takes both
    "05_methods": lambda study: [
        *profiles(study, methods(study)),
        *references(study),
        alike(study),
        *cued(study).values(),
    ],
    "06_forget_size": lambda study: profiles(study, sizes(study)),
    "07_metrics_along_the_path": lambda study: [
        *profiles(study, [*seeds(study), *curriculum(study), *second_order(study)]),
        *references(study),
    ],
    "08_curve_fitting": lambda study: profiles(study, fits(study)),
    "09_progress_and_retraining": lambda study: [*profiles(study, progress(study)), *planes(study).values()],
    "14_explorer": explorer,
    "15_claims": everything,
}


def archives(study: Study) -> dict[str, list[str]]:
    """Keys of all results that ship, by archive: one for each notebook and original model, in the notebooks' order.

    What several notebooks need lies with the first of them.
    """
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for name, ask in EXPERIMENTS.items():
        specs = [*ask(study), *(shipped(study) if name == "00_quickstart" else ())]
        for spec in specs:
            if key(spec) not in seen and not is_line(spec):
                seen.add(key(spec))
                first = original_of(spec)
                seed = (first if isinstance(first, Original) else study.original()).seed
                found.setdefault(f"{name}-original{seed}", []).append(key(spec))
    return found


def original_of(spec: Any) -> Any:
    """The original, retrained or untrained model that a result begins with."""
    for name in ("origin", "start", "model", "original"):
        inner = getattr(spec, name, None)
        if inner is not None and not isinstance(inner, str):
            return original_of(inner)
    return original_of(spec.models[0]) if hasattr(spec, "models") else spec
