"""The paper's experiments as data: the paths of each, with the labels that say what each is an example of.

A *route* is a path to compute, with its labels and how it is traced; `registry.EXPERIMENTS` says what notebooks need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from itertools import combinations, product
from types import MappingProxyType
from typing import Any

from ..curves import INDEPENDENT, RECIPES
from ..engine.specs import (
    AlikeSpec,
    CueUseSpec,
    CurveSpec,
    FitSpec,
    PlaneSpec,
    ProfileSpec,
    RetrainedSpec,
    Spec,
    is_line,
    metric_of,
)
from ..engine.study import Study
from ..errors import BadInput
from ..fits import Fit
from ..measures.originals import LEAST
from ..settings import Plan
from .inclusion import APART, RETRAINED, TWINNED, Table

TWIN = Plan(lr=3e-5, steps=50)  # the light fine-tuning of the positive control
COARSE = 11  # points where a matrix of many pairs is walked
SOME = 3  # originals of a small row, where originals have a forget set each
JUDGED = ("retain", "forget")  # splits of a trace at fewer points, where originals have a forget set each
AGAIN = SECOND_PAIR, SECOND_DRAW = "second pair", "second draw"  # forms of paths that split the variance
TRAINED = "trained with"  # begins the form of a path whose ends come from an original with a curriculum or optimiser
ALIGNED = "aligned by"  # begins the form of a line whose end is renumbered to be like its start
SPLIT = ("gradient_difference", "npo", "random_labels")  # methods whose variance is split
DRAWN = SPLIT[:2]  # those of them, each of a few steps, that forget another draw too
OTHER_SEEDS = (21, 100)  # of the second pair on an original
SIZES = 5  # sizes of the forget set, equally far apart, the largest being the preset's
# Objectives of a fit that is not the method's own: retain loss only, and retain minus clipped forget loss.
OBJECTIVES = {"retain only": "finetune", "retain - forget": "gradient_difference"}
CHOICES = tuple(name for name in RECIPES if name not in ("corrected", "authors"))
INITS = SAME, OTHER = "same init", "other init"  # whether a retrained model has the original's initial weights
ORIGINALS, PAIRS, CURVES = "originals", "retrained pairs", "retraining curve"  # conditions of models trained apart
CUE = "cue"  # the form of a path on data with a cue
TUNED, PARTNER = "tuned", "partner"  # learning rates of ends with a curriculum or of second order, see `Study.rate`
CUED = {"forgetting": 0, "retraining": 1}  # the lines of a cue's use, and where they start: original, unlearned
CURRICULA_SHOWN = ("none", "superloss", "superloss_authors")
OPTIMIZERS_SHOWN = ("adamw", "sophia_g", "soul")
# Of N1: training seeds and draws of the forget set, seeds of unlearning and of retraining, methods, splits.
N1_ORIGINALS, N1_SEEDS, N1_RETRAINED = (200, 201, 202, 203), (301, 302), (401, 402, 403, 404, 405)
N1_METHODS, N1_READ = ("npo", "gradient_difference", "scrub"), ("retain", "forget", "valid")


@dataclass(frozen=True)
class Labels:
    """What a path is an example of; what routes and made paths have in common.

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


def labels_of(one: Labels) -> dict[str, Any]:
    """The labels of a route or a made path by name."""
    return {f.name: getattr(one, f.name) for f in fields(Labels)}


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


# 00, 14


def quickstart(study: Study, method: str = "", seeds: Sequence[int] = ()) -> list[Spec]:
    """Original, three retrained and two unlearned models, the line and a Bezier curve between the last two.

    The two have the preset's first pair of ``seeds`` unless others are given.
    """
    pair = seeds or ring(study.seeds)[0]
    ends = [study.unlearned(method or study.preset.quickstart_method, seed) for seed in pair]
    models = [study.original(), *(study.retrained(s) for s in study.seeds[:3]), *ends]
    paths = [study.path(ends[0], ends[1], kind=kind) for kind in ("linear", "bezier")]
    return [study.profile(one, retrained=study.seeds[:3]) for one in (*models, *paths)]


def first_pair(study: Study) -> list[Route]:
    """The first pair of `seeds` for every method, without controls: an exercise of the quickstart."""
    return condition_routes(study, "random", alone(study.preset.methods), ring_pairs(study)[:1])


def trained_apart(study: Study) -> list[Route]:
    """The line and a fitted curve between the first two original models: mode connectivity itself.

    They begin with other weights; the curve is fitted on all training data. 09 walks the same between all originals.
    """
    first, second = study.original(0), study.original(1)
    labels: dict[str, Any] = {"original": 0, "condition": ORIGINALS, "points": coarse(study)}
    return [
        Route("original", kind, 0, 1, path=study.path(first, second, kind=kind), **labels)
        for kind in ("linear", "bezier")
    ]


def explorer(study: Study) -> list[Spec]:
    """The quickstart's line and curve, and the plane that holds both: through the ends and the control point."""
    *_, line, curve = quickstart(study)
    path, size = curve.trace.model, 21 if study.preset.points > COARSE else 5
    return [line, curve, PlaneSpec((path.start, path, path.end), study.preset.forget, size, weighted=study.weighted)]


def shipped(study: Study) -> list[Spec]:
    """What ships beside the notebooks' profiles: the quickstart's models, its curve and all its traces."""
    shown = quickstart(study)
    curve = shown[-1].trace.model
    models = [study.original(), study.retrained(42), curve.start, curve.end, curve]
    return [*models, *dict.fromkeys(trace for one in shown for trace in one.parents())]


# 01


def endpoints(study: Study) -> list[Spec]:
    """Every method with every seed, retrained models, one method under every curriculum and optimiser, and a line.

    The line leads from the original to an endpoint of that method.
    """
    models: list[Spec] = [study.original(o) for o in study.originals]
    models += [study.retrained(seed, original=o) for o in study.originals for seed in study.seeds]
    if study.preset.originals:
        models += study.grid(original=study.originals) + study.grid(["finetune"], original=study.originals[:SOME])
    else:
        models += study.grid(method=("finetune", *study.preset.methods))
    composed = study.grid((study.preset.quickstart_method,), study.seeds[:1], CURRICULA_SHOWN, OPTIMIZERS_SHOWN)
    line = study.path(study.original(), composed[0])
    return [study.profile(one) for one in (*models, *composed, line)]


def endpoint_models(study: Study) -> dict[tuple[str, int, int], Spec]:
    """The models that 01 compares, by (method, seed, original), of all originals; fine-tuning on some of them.

    The untouched original is named ``original`` and has its own training seed, retrained ones are named ``retrain``.
    """
    found: dict[tuple[str, int, int], Spec] = {}
    for o in study.originals:
        found["original", o, o] = study.original(o)
        found |= {("retrain", seed, o): study.retrained(seed, original=o) for seed in study.seeds}
        tuned = () if study.preset.originals and o >= SOME else ("finetune",)
        found |= {
            (method, seed, o): study.unlearned(method, seed, origin=study.original(o))
            for method in (*tuned, *study.preset.methods)
            for seed in study.seeds
        }
    return found


def models(study: Study, every: bool = True) -> dict[tuple[str, int, str, str, str, int], Spec]:
    """Single models by (role, original, method, curriculum, optimizer, seed): originals, retrained, unlearned ones.

    ``every`` False: originals and retrained models alone.
    """
    found: dict[tuple[str, int, str, str, str, int], Spec] = {}
    for (method, seed, o), model in endpoint_models(study).items():
        role = {"original": "original", "retrain": "retrained"}.get(method, "unlearned")
        if every or role != "unlearned":
            found[role, o, method, "none", "adamw", seed] = model
    name, seed = study.preset.quickstart_method, study.seeds[0]
    for one in study.grid((name,), (seed,), CURRICULA_SHOWN, OPTIMIZERS_SHOWN) if every else ():
        found["unlearned", 0, name, one.curriculum, one.optimizer, seed] = one
    return found


# 02


def seeds(study: Study) -> list[Route]:
    """``random`` for every method: neighbouring seeds on one original and a pair on another, and the controls.

    Where originals have a forget set each, also what splits the variance, see `again`.
    """
    every = condition_routes(study, "random", alone(study.preset.methods), ring_pairs(study))
    return every + again(study) + controls(study)


def again(study: Study) -> list[Route]:
    """Line and curve of some methods once more on each of a few originals, where originals have a forget set each.

    Another pair of seeds on the same original and forget set; and the first pair where the same original forgets
    another draw, beside one retrained model; a scenario has no other draw.
    """
    methods = [name for name in SPLIT if name in study.preset.methods]
    routes, first, points = [], study.seeds[:2], coarse(study)
    for original in study.originals[:LEAST] if study.preset.originals else ():
        drawn = study.original(original, draw=study.redrawn(original))
        placed = ((SECOND_PAIR, OTHER_SEEDS, study.original(original), None), (SECOND_DRAW, first, drawn, first[:1]))
        for method, (form, seeds, origin, retrained) in product(methods, placed):
            if form == SECOND_DRAW and (method not in DRAWN or study.data.scenario is not None):
                continue
            start, end = (study.unlearned(method, seed, origin=origin) for seed in seeds)
            for kind in ("linear", "bezier"):
                labels: dict[str, Any] = {"original": original, "form": form, "points": points, "retrained": retrained}
                routes.append(Route(method, kind, *seeds, path=study.path(start, end, kind=kind), **labels))
    return routes


def refits(study: Study) -> list[Route]:
    """Curves of the methods whose variance is split, fitted with another seed as 08 does: what a fit's chance adds."""
    if not study.preset.originals:
        return []
    contexts = alone([name for name in SPLIT if name in study.preset.fit])
    routes = condition_routes(study, "random", contexts, independent_pairs(study), ("bezier",), points=coarse(study))
    again = [study.path(route.path.start, route.path.end, "bezier", seed=1) for route in routes]
    return [replace(route, path=path, refit=True) for route, path in zip(routes, again, strict=True)]


# 03, 04


def curriculum(study: Study) -> list[Route]:
    """``cl-non_cl`` and ``random_in_cl`` beside ``random``, over independent pairs; once with the authors' form.

    Where originals have a forget set each, ``cl-non_cl`` is coarse, and on some of them walked at all points too.
    """
    return _changed(study, "cl-non_cl", "random_in_cl", "superloss_authors", "curriculum")


def second_order(study: Study) -> list[Route]:
    """``fo-so`` and ``random_in_so`` beside ``random``, over independent pairs; once with the authors' optimiser.

    Where originals have a forget set each as in `curriculum`.
    """
    return _changed(study, "fo-so", "random_in_so", "soul", "optimizer")


def _changed(study: Study, across: str, inside: str, form: str, what: str) -> list[Route]:
    contexts, pairs, points = alone(study.preset.fit), independent_pairs(study), coarse(study)
    each = bool(study.preset.originals)
    routes = condition_routes(study, "random", contexts, pairs)
    routes += condition_routes(study, across, contexts, pairs, points=points if each else 0)
    routes += condition_routes(study, inside, contexts, pairs, points=points)
    one = alone([study.preset.quickstart_method])
    some = pairs[:SOME] if each else pairs
    theirs = condition_routes(study, across, one, some, ("linear",), points=points, **{what: form})
    routes += [replace(r, form=form) for r in theirs]
    full = condition_routes(study, across, contexts, some) if each else []
    routes += [replace(r, full=True) for r in full]
    ours = {what: {"curriculum": "superloss", "optimizer": "sophia_g"}[what]}
    return routes + _other_rate(study, across, contexts, some) + trained(study, across, **ours) + controls(study)


def _other_rate(study: Study, across: str, contexts: Sequence[tuple[str]], pairs: Sequence[tuple]) -> list[Route]:
    """``across`` at the other learning rate, where it is another: coarse lines on some originals.

    Ends with a curriculum run at their partner's rate and are looked at once more at one tuned for them; ends of second
    order run at one of their own, since at their partner's they lose what they should keep (`inclusion`), and are
    looked at once more at that.
    """
    if not study.preset.originals:
        return []
    form = TUNED if across == "cl-non_cl" else PARTNER
    other, asked = replace(study, rate=form), (across, contexts, pairs, ("linear",))
    usual, again = (condition_routes(s, *asked, points=coarse(study)) for s in (study, other))
    return [replace(b, form=form) for a, b in zip(usual, again, strict=True) if b.path != a.path]


def trained(study: Study, across: str, **changed: Any) -> list[Route]:
    """One method from originals that were trained with a curriculum or optimiser, the other reading of the condition.

    On `SOME` originals, where they have a forget set each: the line between two ends from the ``changed`` original, as
    ``random``; line and curve from an end of the plain original to one of the changed, as ``across``. Both originals
    begin with the same weights, and G is that of the plain one.
    """
    if not study.preset.originals:
        return []
    method, routes, form = study.preset.quickstart_method, [], " ".join((TRAINED, *changed.values()))
    for original, first, second in independent_pairs(study, min(SOME, study.preset.originals)):
        plain, other = study.original(original), study.original(original, **changed)
        start, own = (study.unlearned(method, first, origin=one) for one in (plain, other))
        end = study.unlearned(method, second, origin=other)
        for condition, begin, kind in (
            ("random", own, "linear"),
            (across, start, "linear"),
            (across, start, "bezier"),
        ):
            labels: dict[str, Any] = {"original": original, "condition": condition, "form": form}
            path = study.path(begin, end, kind=kind)
            routes.append(Route(method, kind, first, second, path=path, points=coarse(study), **labels))
    return routes


# 05


def method_pairs(study: Study) -> list[tuple[str, str]]:
    """All pairs of two methods, in the preset's order."""
    return list(combinations(study.preset.fit, 2))


def sampled(study: Study, count: int = 6) -> list[tuple[str, str]]:
    """A fixed sample of method pairs: each next one is the first whose methods were taken least often so far."""
    left, taken = method_pairs(study), dict.fromkeys(study.preset.fit, 0)
    found: list[tuple[str, str]] = []
    while left and len(found) < count:
        pair = min(left, key=lambda p: (max(taken[m] for m in p), sum(taken[m] for m in p)))
        left.remove(pair)
        found.append(pair)
        taken |= {m: taken[m] + 1 for m in pair}
    return found


def methods(study: Study) -> list[Route]:
    """All pairs of two methods as coarse lines in every method condition, and a sample as full lines and curves.

    The conditions that mix methods and what else they may differ in go through one pair of seeds, or `SOME` originals.
    Where originals have a forget set each, the curves of the sample are coarse on all of them and full on `SOME`, those
    of mixed conditions are left out, and `cued_lines` come with them.
    """
    pairs, every, points = method_pairs(study), independent_pairs(study), coarse(study)
    each = bool(study.preset.originals)
    some = every[: SOME if each else 1]
    routes = condition_routes(study, "method", pairs, every, ("linear",), points=points)
    full = condition_routes(study, "method", sampled(study), some)
    if each:
        routes += condition_routes(study, "method", sampled(study), every, ("bezier",), points=points)
        routes += cued_lines(study)
    for condition in ("method_in_cl", "method_in_so", "method_cl-non_cl", "method_fo-so"):
        routes += condition_routes(study, condition, pairs, some, ("linear",), points=points)
        curves = [] if each else every[:1]
        routes += condition_routes(study, condition, sampled(study), curves, ("bezier",), points=points)
    return routes + [replace(r, full=True) for r in full] + controls(study)


def alike(study: Study) -> AlikeSpec:
    """Similarity of all methods' endpoints, a second seed of the first, a retrained and the original model."""
    names, (first, second) = study.preset.fit, study.seeds[:2]
    ends = [study.unlearned(name, first) for name in names] + [study.unlearned(names[0], second)]
    original, forget = study.original(), study.preset.forget
    return AlikeSpec((*ends, study.retrained(first), original), original, forget, weighted=study.weighted)


def planting(study: Study, share: float | None = None) -> Study:
    """The study with a cue in ``share`` of the pool, the first to be forgotten first; None is all of D_f.

    The preset's share of the images with a cue show another class than their label.
    """
    study.random_draw("05, with its cue in the forget set,")
    cue, crossed = share or study.preset.forget, study.preset.crossed
    return replace(study, data=replace(study.data, cue=cue, crossed=crossed, checksum=""))


def relying(study: Study) -> tuple[int, ...]:
    """The originals whose use of a cue is measured: as many as a verdict needs, where they have a forget set each."""
    return study.originals[:LEAST]


def cued_lines(study: Study) -> list[Route]:
    """Lines between all pairs of two methods on data with a cue, on the originals whose use of it is measured."""
    first, second = study.seeds[:2]
    bench, pairs = planting(study), [(original, first, second) for original in relying(study)]
    found = condition_routes(bench, "method", method_pairs(study), pairs, ("linear",), points=coarse(study))
    return [replace(route, form=CUE, retrained=study.seeds[:1]) for route in found]


def cued(study: Study, share: float | None = None, original: int = 0) -> dict[tuple[str, str], CueUseSpec]:
    """Cue use along the lines original - unlearned and unlearned - retrained, on data whose D_f carries a cue.

    ``share`` as in `planting`; the second line is walked on original 0 alone.
    """
    bench = planting(study, share)
    seed, forget = study.seeds[0], study.preset.forget
    first, retrained = bench.original(original), bench.retrained(seed, init=0)
    found = {}
    for name in study.preset.fit:
        end = bench.unlearned(name, seed, origin=first)
        lines = {"forgetting": (first, end), "retraining": (end, retrained)}
        for part, path in list(lines.items())[: 1 if original else None]:
            found[name, part] = CueUseSpec(bench.path(*path), forget, coarse(study), study.weighted)
    return found


# 06


def sizes_of(study: Study) -> list[float]:
    """`SIZES` equal steps up to the preset's share to forget."""
    return [round(k * study.preset.forget / SIZES, 6) for k in range(1, SIZES + 1)]


def methods_of(study: Study) -> tuple[str, ...]:
    """The methods that are run at several sizes: three of the preset's."""
    return study.preset.methods[-4:-1] or study.preset.methods


def sizes(study: Study, shares: Sequence[float] = ()) -> list[Route]:
    """``random`` at several sizes of the forget set, for three methods, coarse.

    ``shares`` of the pool; by default `SIZES` equal steps up to the preset's. Where originals have a forget set each,
    lines alone on the first `LEAST` of them, with one retrained model at the smaller sizes.
    """
    study.random_draw("06, on sizes of the forget set,")
    routes, each = [], bool(study.preset.originals)
    pairs, kinds = independent_pairs(study)[: LEAST if each else None], ("linear",) if each else ("linear", "bezier")
    for forget in shares or sizes_of(study):
        smaller = replace(study, preset=replace(study.preset, forget=forget))
        contexts = alone(methods_of(study))
        made = condition_routes(smaller, "random", contexts, pairs, kinds, points=coarse(study))
        seeds = study.seeds[: 1 if each and forget < study.preset.forget else 2]
        routes += [replace(r, size=forget, retrained=seeds) for r in made]
    return routes + controls(study)


# 07


def routes_along(study: Study) -> dict[str, list[Route]]:
    """The paths that earlier notebooks walk at all points, and their controls, by experiment."""
    earlier = {"02_seeds": seeds, "03_curriculum": curriculum, "04_second_order": second_order, "05_methods": methods}
    return {name: [r for r in made(study) if r.control or not r.points] for name, made in earlier.items()}


# 08


def fits(study: Study) -> list[Route]:
    """Ways to fit a Bezier curve between the same pairs: objective, recipe, single choices of the recipe, BatchNorm.

    Another seed of the corrected fit says how much of a change is chance. The bad teacher has more pairs, by the
    authors' recipe only, since three cannot tell a share above one half (C12). Where originals have a forget set each,
    the authors' curve is also read with refreshed BatchNorm, the walks of 02 stand for line and curve, the second
    objective is left out, and single choices and the corrected curve's BatchNorm are tried on `SOME` of them.
    """
    routes, some, each = [], set(study.preset.methods[-4:-1]), bool(study.preset.originals)
    contexts, pairs, points = alone(study.preset.fit), independent_pairs(study), coarse(study)
    for route in condition_routes(study, "random", contexts, pairs, points=points):
        routes.append(replace(route, points=0) if each else route)
        if not each or route.kind == "linear" or route.original < SOME:
            routes.append(replace(route, batchnorm="none"))
        if route.kind == "linear":
            continue
        ends = route.path.start, route.path.end
        routes.append(replace(route, path=study.path(*ends, "bezier", seed=1), refit=True))
        tried = route.method in some and (not each or route.original < SOME)
        for name, objective in list(OBJECTIVES.items())[: 1 if each else None]:
            routes.append(replace(route, path=study.path(*ends, "bezier", objective=objective), objective=name))
        for recipe in ("authors", *(CHOICES if tried else ())):
            routes.append(replace(route, path=study.path(*ends, "bezier", recipe), recipe=recipe))
            if each and recipe == "authors":
                routes.append(replace(routes[-1], batchnorm="retain"))
    more = [pair for pair in ring_pairs(study) if pair not in pairs]
    taught = alone([name for name in study.preset.methods if name == "bad_teacher"])
    for route in condition_routes(study, "random", taught, more, points=points):
        path = study.path(route.path.start, route.path.end, "bezier", "authors")
        routes.append(route if route.kind == "linear" else replace(route, path=path, recipe="authors"))
    return routes + controls(study)


# 09


def progress(study: Study) -> list[Route]:
    """Lines original - unlearned, unlearned - retrained and retrained - retrained, for three seeds at most.

    A retrained model starts from the original's initial weights (``same init``) or from its own (``other init``).
    Where originals have a forget set each, the first two go from one seed, to retrained models of other initial weights
    on `SOME` of them. Paths between `independent` models follow.
    """
    routes, chosen, points = [], study.seeds[:3], coarse(study)
    each = bool(study.preset.originals)
    for name, original, seed in product(study.preset.fit, study.originals, chosen[: 1 if each else None]):
        first, end = study.original(original), study.unlearned(name, seed, origin=study.original(original))
        line = Route(name, "linear", seed, seed, path=study.path(first, end), original=original, condition="forgetting")
        routes.append(replace(line, points=study.preset.points if each else 0))
        for init in INITS if not each or original < SOME else (SAME,):
            path = study.path(end, _retrained(study, seed, original, init))
            routes.append(replace(line, path=path, points=points, condition="retraining", init=init))
    for init, original, (a, b) in product(INITS, study.originals, combinations(chosen, 2)):
        path = study.path(_retrained(study, a, original, init), _retrained(study, b, original, init))
        line = Route("retrain", "linear", a, b, path=path, original=original, points=points, condition="retrained")
        routes.append(replace(line, init=init, control=RETRAINED))
    return routes + apart(study)


def apart(study: Study) -> list[Route]:
    """Lines and curves between models trained apart: mode connectivity itself, each kind a condition of its own.

    Between originals, a `ring` over all of them (fitted on all training data); between two retrained models of other
    initial weights, and from an unlearned model to such a one (both fitted on D_r, the latter also with the objective
    of its method, and on as many originals as a verdict needs).
    """
    routes, points = [], coarse(study)
    (a, b), method = study.seeds[:2], study.preset.quickstart_method
    for first, second in ring(study.originals) if len(study.originals) > 1 else []:
        models = study.original(first), study.original(second)
        routes += _joined(study, Labels("original", "", first, second, original=first, condition=ORIGINALS), models)
    for original in study.originals:
        one, other = (_retrained(study, seed, original, OTHER) for seed in (a, b))
        labels = Labels("retrain", "", a, b, original=original, condition=PAIRS, init=OTHER)
        routes += _joined(study, labels, (one, other))
        if original >= LEAST:
            continue
        end = study.unlearned(method, a, origin=study.original(original))
        labels = Labels(method, "", a, b, original=original, condition=CURVES, init=OTHER)
        routes += _joined(study, labels, (end, other), {"": "", "retain only": "finetune"})
    return [replace(route, points=points) for route in routes]


def _joined(
    study: Study, labels: Labels, ends: tuple[Spec, Spec], objectives: Mapping[str, str] = MappingProxyType({"": ""})
) -> list[Route]:
    """The line between two models trained apart, and a curve fitted with each objective, by its label."""
    given = labels_of(labels)
    found = [Route(**{**given, "kind": "linear"}, path=study.path(*ends))]
    for name, objective in objectives.items():
        path = study.path(*ends, kind="bezier", objective=objective, plan=INDEPENDENT)
        found.append(Route(**{**given, "kind": "bezier", "objective": name}, path=path))
    return found


def _retrained(study: Study, seed: int, original: int, init: str) -> RetrainedSpec:
    """A model retrained without the forget set of an original, from its initial weights or from others."""
    return study.retrained(seed, init=original if init == SAME else None, original=original)


def planes(study: Study, count: int = 3) -> dict[str, PlaneSpec]:
    """Planes through original, unlearned and retrained (same initial weights), for the first few methods.

    Where originals have a forget set each, for one method.
    """
    seed, size = study.seeds[0], 15 if study.preset.points > COARSE else 5
    retrained = study.retrained(seed, init=0)
    return {
        name: PlaneSpec(
            (study.original(), study.unlearned(name, seed), retrained),
            study.preset.forget,
            size,
            weighted=study.weighted,
        )
        for name in study.preset.fit[2 : 2 + (1 if study.preset.originals else count)] or study.preset.fit[:count]
    }


def ways(study: Study) -> dict[str, ProfileSpec]:
    """What the optimiser passes through on original 0, of three methods by name."""
    return {
        name: study.profile(study.trajectory(study.unlearned(name, study.seeds[0]))) for name in study.preset.fit[:SOME]
    }


# N1


def between(study: Study) -> list[Route]:
    """A line between two models of each method on each original, of presets whose originals have a forget set each."""
    if not study.preset.originals:
        raise BadInput(f"n1 needs originals with a forget set each, and the preset {study.preset.name} has none.")
    routes = []
    for original, method in product(N1_ORIGINALS, N1_METHODS):
        start, end = (study.unlearned(method, seed, origin=study.original(original)) for seed in N1_SEEDS)
        path = study.path(start, end)
        labels: dict[str, Any] = {"original": original, "points": coarse(study), "retrained": N1_RETRAINED}
        routes.append(Route(method, "linear", *N1_SEEDS, path=path, **labels))
    return routes


def between_profile(study: Study, route: Route) -> ProfileSpec:
    """The profile of a line, on validation data too, beside the five retrained models."""
    return study.profile(route.path, None, N1_RETRAINED, route.points, N1_READ)


def distances_of(profile: ProfileSpec) -> list[Spec]:
    """The specs of a line's JS divergence on D_f to each of its retrained models."""
    return [metric_of(replace(profile, retrained=(one,)), "js_retrained_forget") for one in profile.retrained]


def between_needs(study: Study) -> list[Spec]:
    """All that N1 needs."""
    profiles = [between_profile(study, route) for route in between(study)]
    return [*profiles, *(one for profile in profiles for one in distances_of(profile))]


def route_of(routes: Sequence[Route], rows: Table) -> Route:
    """The route behind the first of these rows of `paths`; the first route where there is no row."""
    if not len(rows):
        return routes[0]
    names = [f.name for f in fields(Labels)]
    told = rows.iloc[0][names].to_dict()
    return next((one for one in routes if labels_of(one) == told), routes[0])
