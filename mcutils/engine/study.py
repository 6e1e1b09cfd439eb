"""Studies: the specs of a preset's experiments, with the store that keeps their results."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from importlib.metadata import entry_points
from itertools import product
from pathlib import Path as FilePath
from typing import Any

from ..curricula import CURRICULA
from ..curves import CURVES, INDEPENDENT, RECIPES
from ..data.own import keep, remembered
from ..data.scenarios import RELABELLED, Scenario, scenario_of
from ..data.tasks import DATASETS, Task, sort_of
from ..errors import BadInput, choose, flag, instance, seed_of, share, shown, whole
from ..files import BUILD, DATA, ROOT, folder_at, place, switched
from ..models.vision import MODELS
from ..optimizers import OPTIMIZERS
from ..plugins import identity
from ..settings import (
    MethodSettings,
    Plan,
    Preset,
    curve_plan,
    independent_plan,
    listed,
    method_settings,
    preset,
    settings_name,
    train_plan,
)
from ..unlearning.methods import METHODS
from ..unlearning.snapshots import LOG, check_steps
from .conditions import CONDITIONS, End
from .runs import checked, missing, run
from .specs import (
    AlignedSpec,
    CurveSpec,
    DataSpec,
    FitSpec,
    MetricSpec,
    OriginalSpec,
    ProfileSpec,
    RetrainedSpec,
    Spec,
    TraceSpec,
    TrajectorySpec,
    UnlearnedSpec,
    UntrainedSpec,
    is_line,
    key,
    metric_of,
)
from .specs.base import device
from .store import Store, versions


@dataclass(frozen=True)
class Study:
    """Specs of one preset, with the store that keeps their results: what a notebook works with.

    ``used`` collects the keys of the results that `run` was asked for, in order. ``rate``: where originals have a
    forget set each, the learning rate of ends with a curriculum or of second order, one of `settings.RATES` for both;
    empty: that of their partner with a curriculum, and one of their own in second order, where that of first order
    forgets what should be kept.
    """

    preset: Preset
    store: Store
    data: DataSpec
    used: dict[str, None] = field(default_factory=dict, compare=False, repr=False)
    rate: str = ""
    own: Task | None = field(default=None, compare=False, repr=False)  # holds data of one's own, as `own.find` asks

    @property
    def task(self) -> Task:
        """The study's task."""
        return self.data.task(self.preset.forget)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Unlearning seeds of the preset."""
        return self.preset.seeds

    @property
    def originals(self) -> tuple[int, ...]:
        """Training seeds of the original models that experiments go through: the preset's, or the one of seed 0."""
        return tuple(range(self.preset.originals or 1))

    @property
    def weighted(self) -> bool:
        """Whether BatchNorm's statistics are refreshed with batches weighted by their size."""
        return self.preset.refresh == "weighted"

    @property
    def figures(self) -> FilePath:
        """Folder of figures: the environment's ``MCUTILS_FIGURES``, else ``build/figures``."""
        return place(None, "MCUTILS_FIGURES", BUILD / "figures")

    @cached_property
    def settings(self) -> str:
        """Name of the settings file."""
        return settings_name(self.preset.dataset, self.preset.model, self.preset.originals)

    def _settings(
        self, method: str, curriculum: str = "none", optimizer: str = "adamw", forget: float | None = None
    ) -> MethodSettings:
        """A method's settings for a share to forget, with the learning rate that the study's ``rate`` says."""
        rate = self.rate or ("partner" if optimizer == "adamw" else "tuned") if self.preset.originals else ""
        asked = method, curriculum, optimizer, self._lost(forget), rate
        if asked not in self._tuned or identity("method", method):  # what is registered may change
            *names, lost, rate = asked
            self._tuned[asked] = method_settings(self.settings, *names, forget=lost, rate=rate)
        return self._tuned[asked]

    @cached_property
    def _tuned(self) -> dict[tuple[Any, ...], MethodSettings]:
        return {}

    @cached_property
    def _train_plan(self) -> Plan:
        return train_plan(self.settings)

    def original(
        self, seed: int = 0, curriculum: str = "none", optimizer: str | None = None, draw: int | None = None
    ) -> OriginalSpec:
        """The model before unlearning; where originals have a forget set each, with the data of that draw.

        It is trained with a ``curriculum`` and an ``optimizer``, the settings' own by default, at the same learning
        rate; ``draw`` puts the same model before another forget set (see `redrawn`).

        >>> smoke = study("smoke")
        >>> smoke.original(0, "superloss").curriculum, smoke.original(0, optimizer="sophia_g").plan.optimizer
        ('superloss', 'sophia_g')
        """
        p, plan = self.preset, self._train_plan
        plan = plan if optimizer is None else replace(plan, optimizer=choose("optimizer", optimizer, OPTIMIZERS))
        data, own = self._drawn(seed, draw), self._drawn(seed).draw
        made = p.model, p.width, seed, plan, self.weighted, curriculum
        # Before another forget set of the same images and labels stands the same model, whatever order it learned in.
        same = data.scenario is not None and data.scenario.name not in RELABELLED
        return OriginalSpec(data, *made, first=own if same or data.draw != own else None)

    def retrained(
        self,
        seed: int,
        forget: float | None = None,
        init: int | None = None,
        original: int = 0,
        draw: int | None = None,
    ) -> RetrainedSpec:
        """The model that never saw D_f (the preset's share of the pool, or ``forget``), from weights of its own.

        ``init`` gives it the initial weights of the original model of that seed; ``original`` is the one whose D_f it
        is, where originals have a forget set each, and ``draw`` another forget set than that.
        """
        p, lost = self.preset, self._lost(forget)
        made = p.model, p.width, seed, self._train_plan, init
        return RetrainedSpec(self._drawn(original, draw), lost, *made, weighted=self.weighted)

    def redrawn(self, original: int) -> int:
        """Another draw of the forget set for an original model, that of no original: after the preset's, in order."""
        return self.preset.originals + original

    def under(self, scenario: Scenario) -> Study:
        """The study of what a scenario forgets, in place of a share of the pool; results are kept in the same store.

        Its originals are the very same models, unless the scenario changes what is learned (`scenarios.RELABELLED`).

        >>> one = study("smoke").under(Scenario("class", label=3))
        >>> one.original().own == study("smoke").original(), round(one.preset.forget, 2)
        (True, 0.1)
        """
        self.random_draw("another scenario")
        data = replace(self.data, scenario=instance("the scenario", scenario, Scenario, "a Scenario"))
        return replace(self, data=data, preset=replace(self.preset, forget=data.pool.forget))

    def random_draw(self, what: str) -> None:
        """Raise `BadInput` where a scenario says what is forgotten: ``what`` is of a random draw, as in presets."""
        if (one := self.data.scenario) is not None:
            raise BadInput(f"{what} is of a random draw of the forget set, got the scenario {one.text!r}.")

    def _drawn(self, original: int, draw: int | None = None) -> DataSpec:
        """The data with the forget set of an original model, or of another draw."""
        draw = original if draw is None and self.preset.originals else draw
        return self.data if draw is None else replace(self.data, draw=draw)

    def unlearned(
        self,
        method: str,
        seed: int,
        curriculum: str = "none",
        optimizer: str = "adamw",
        origin: Any = None,
        forget: float | None = None,
    ) -> UnlearnedSpec:
        """An endpoint with the tuned settings of its method, curriculum and optimiser."""
        choose("method", method, METHODS)
        choose("curriculum", curriculum, CURRICULA)
        choose("optimizer", optimizer, OPTIMIZERS)
        tuned = self._settings(method, curriculum, optimizer, forget)
        origin = self.original() if origin is None else origin
        return UnlearnedSpec(origin, self._lost(forget), method, curriculum, optimizer, seed, tuned)

    def _lost(self, forget: float | None) -> float:
        return self.preset.forget if forget is None else share("forget", forget)

    def grid(
        self,
        method: Sequence[str] | None = None,
        seed: Sequence[int] | None = None,
        curriculum: Sequence[str] = ("none",),
        optimizer: Sequence[str] = ("adamw",),
        original: Sequence[int] = (0,),
        forget: Sequence[float | None] = (None,),
    ) -> list[UnlearnedSpec]:
        """All endpoints of a product: every method x seed x curriculum x optimiser x original x share to forget.

        Methods and seeds default to the preset's; the last axis varies fastest.

        >>> [(one.method, one.seed) for one in study("smoke").grid(method=["npo", "scrub"], seed=[1, 2])]
        [('npo', 1), ('npo', 2), ('scrub', 1), ('scrub', 2)]
        """
        method = self.preset.methods if method is None else listed("method", method)
        seed = self.seeds if seed is None else listed("seed", seed)
        rest = {"curriculum": curriculum, "optimizer": optimizer, "original": original, "forget": forget}
        axes = (method, seed, *(listed(name, values) for name, values in rest.items()))
        return [
            self.unlearned(m, s, c, o, origin=self.original(first), forget=lost)
            for m, s, c, o, first, lost in product(*axes)
        ]

    def ends(
        self,
        condition: str,
        methods: Sequence[str],
        seeds: Sequence[int],
        curriculum: str = "superloss",
        optimizer: str = "sophia_g",
        original: int = 0,
    ) -> tuple[UnlearnedSpec, UnlearnedSpec]:
        """The two endpoints of one of the paper's conditions, for one or two methods and two seeds.

        ``curriculum`` and ``optimizer`` are what its ends with a curriculum and of second order use.

        >>> start, end = study("smoke").ends("fo-so", ["npo"], [1, 2])
        >>> start.optimizer, end.optimizer
        ('adamw', 'sophia_g')
        """
        named = CONDITIONS[choose("condition", condition, CONDITIONS)]
        methods, seeds = listed("methods", methods), listed("seeds", seeds)
        if len(methods) != named.methods or len(seeds) != 2:
            raise BadInput(
                f"{condition} takes {named.methods} method(s) and 2 seeds, got {len(methods)} and {len(seeds)}."
            )

        def one(end: End, seed: int) -> UnlearnedSpec:
            paced, order = curriculum if end.curriculum else "none", optimizer if end.second_order else "adamw"
            return self.unlearned(methods[end.method], seed, paced, order, origin=self.original(original))

        return one(named.start, seeds[0]), one(named.end, seeds[1])

    # Whatever a fit may differ in has a name; a line needs the two ends alone.
    def path(  # noqa: PLR0913
        self,
        start: Any,
        end: Any,
        kind: str = "linear",
        recipe: str = "corrected",
        control_points: int = 1,
        seed: int = 0,
        objective: str = "",
        plan: str | Plan = "",
    ) -> CurveSpec:
        """A curve between any two models; control points are fitted with the ``objective`` of a method.

        Empty, it is that of ``start`` where this is unlearned, else cross-entropy: on all training data between two
        originals (``train``), on D_r otherwise (``finetune``). ``plan`` is a `Plan` or ``independent``, the one for
        models that were trained apart (`settings.independent_plan`), which is also the default where ``start`` is not
        unlearned. A method that looks at the original model takes that of ``start``, else of ``end``, else an end.

        >>> smoke = study("smoke")
        >>> curve = smoke.path(smoke.unlearned("npo", 1), smoke.unlearned("npo", 2), kind="bezier")
        >>> curve.kind, curve.control_points, smoke.trace(curve).points == smoke.preset.points
        ('bezier', 1, True)
        >>> smoke.path(smoke.original(0), smoke.original(1), kind="bezier").method
        'train'
        """
        choose("recipe", recipe, RECIPES)
        whole("control_points", control_points, 1)
        seed_of(seed)
        forget = getattr(start, "forget", getattr(end, "forget", self.preset.forget))
        if kind == "linear":
            return CurveSpec(start, end, forget)
        choose("curve", kind, CURVES)
        objective, settings, plan = self._fit(start, end, objective, plan)
        return CurveSpec(start, end, forget, kind, control_points, recipe, seed, plan, objective, settings)

    def _fit(self, start: Any, end: Any, objective: str, plan: str | Plan) -> tuple[str, MethodSettings | None, Plan]:
        """What a curve is fitted with: the name of a method, empty for that of the start, its settings, and a plan."""
        if objective != "":
            choose("objective", objective, METHODS)
        if not isinstance(plan, Plan) and plan != "":
            choose("plan of a fit", plan, [INDEPENDENT])
        if isinstance(start, UnlearnedSpec) and plan == "":
            if objective == "":
                return "", None, curve_plan(self.settings, start.settings)
            settings = self._settings(objective, "none", start.optimizer, start.forget)
            return objective, settings, curve_plan(self.settings, settings)
        if isinstance(start, UnlearnedSpec) and objective == "":
            objective, settings = start.method, start.settings
        else:
            between = isinstance(start, OriginalSpec) and isinstance(end, OriginalSpec)
            objective = objective or ("train" if between else "finetune")
            settings = self._settings(objective)
        plan = plan if isinstance(plan, Plan) else independent_plan(self.settings, settings)
        return objective, replace(settings, plan=plan), plan

    def aligned(self, model: Any, to: Any, by: str = "weights") -> AlignedSpec:
        """A model with its channels renumbered to be most like the model ``to``: the end of a line from there.

        By ``weights``, or by ``activations`` on retain data of ``to`` (`alignment.align`).
        """
        return AlignedSpec(model, to, getattr(to, "forget", getattr(model, "forget", self.preset.forget)), by)

    def trajectory(self, endpoint: UnlearnedSpec, steps: Sequence[int] | None = None) -> TrajectorySpec:
        """What unlearning an endpoint passes through, after 0, 1, 2, 4, 8, ... steps and the last, or after ``steps``.

        >>> smoke = study("smoke")
        >>> way = smoke.trajectory(smoke.unlearned("npo", 42))
        >>> way.steps, smoke.trace(way).points
        ((0, 1, 2, 4, 8, 16, 32, 40), 8)
        """
        instance("endpoint", endpoint, UnlearnedSpec, "the spec of an unlearned model")
        return TrajectorySpec(endpoint, check_steps(LOG if steps is None else steps, endpoint.settings.plan.steps))

    def trace(
        self, model: Any, batchnorm: str | None = None, points: int | None = None, splits: Sequence[str] = ()
    ) -> TraceSpec:
        """The trace of a model or trajectory, or of a curve at the preset's points and its recipe's BatchNorm policy.

        Examples are those of the model's draw of the forget set, or of the draw of a curve's start; ``splits`` are the
        ones evaluated, all by default.
        """
        if points is not None:
            whole("points", points, 2)
        forget = getattr(model, "forget", self.preset.forget)
        asked: dict[str, Any] = {"weighted": self.weighted, "splits": splits}
        curve, steps = isinstance(model, CurveSpec), model.steps if isinstance(model, TrajectorySpec) else (0,)
        points = (points or self.preset.points) if curve else len(steps)
        if batchnorm is None:
            batchnorm = RECIPES[model.recipe].batchnorm if curve and model.recipe else "retain"
        return TraceSpec(model, forget, points, batchnorm, **asked)

    def profile(
        self,
        model: Any,
        batchnorm: str | None = None,
        retrained: Sequence[int] | None = None,
        points: int | None = None,
        splits: Sequence[str] = (),
    ) -> ProfileSpec:
        """The profile of a model or curve, against the original and the retrained models of the preset's seeds.

        The references forget as much as the model does, and, where originals have a forget set each, the one of the
        model's draw (of the start's, for a path between models of two draws), with the model's cue or scenario if it
        has one. The original is of the model's training seed, and trained plainly. They are traced on all splits.
        """
        p = self.preset
        seeds = self.seeds if retrained is None else listed("retrained", retrained)
        found = self.trace(model, batchnorm, points, splits)
        data = found.model.data
        other = replace(self.data, cue=data.cue, crossed=data.crossed, scenario=data.scenario)
        drawn, bench = data.draw, self if other == self.data else replace(self, data=other)
        traced = partial(TraceSpec, forget=found.forget, weighted=self.weighted)
        retrain = tuple(traced(bench.retrained(s, found.forget, draw=drawn)) for s in seeds)
        original = bench.original(_trained_by(found.model, drawn) if p.originals else 0, draw=drawn)
        random = UntrainedSpec(original.data, p.model, p.width, 0, self.weighted)
        # Results with a weighted refresh have no forerunners whose bits count: their replicates are kept small.
        return ProfileSpec(found, traced(original), retrain, traced(random), p.bootstrap, half=self.weighted)

    def metric(self, name: str, model: Any, **options: Any) -> MetricSpec:
        """One metric along a model or curve, or along what a profile is of, for profiles kept before it was registered.

        Its result is ``{"values": (T,)}``; references and options are those of `profile`.
        """
        return metric_of(model if isinstance(model, ProfileSpec) else self.profile(model, **options), name)

    def fit_record(self, curve: CurveSpec) -> FitSpec:
        """The record of a curve's own fit, a `fits.Fit`: small, and read without the curve's weights."""
        return FitSpec(curve)

    def run(self, specs: Iterable[Spec], **options: Any) -> list[Any]:
        """Compute what the store lacks and load the results, in order; options as in `runs.run`."""
        specs = checked(specs)
        if self.own is not None and missing(specs, self.store):
            keep(self.own, self.store.folder)
        found = run(specs, self.store, **options)
        self.used.update(dict.fromkeys(key(s) for s in specs if not is_line(s)))
        return found

    def table(self, name: str, *what: Any) -> Any:
        """A table of the study's results as a pandas DataFrame, with the columns of the shipped one (docs/tables.md).

        ``what``: names of experiments (``"02_seeds"``), or profiles of paths, computed where the store lacks them;
        nothing is whatever experiments are stored whole. It is made by what an installed package, as this one, names
        in the entry-point group ``mcutils.tables``; the first one where there are several.

        >>> study("laptop").table("paths", "02_seeds").query("kind == 'linear'").eps_chord.median() < 0.5
        np.True_
        """
        makers = entry_points(group="mcutils.tables")
        if not makers:
            raise BadInput("no installed package makes tables: install mcutils anew, as by `pip install -e .`.")
        return next(iter(makers)).load()(self, name, *what)

    def stamp(self) -> str:
        """Where the numbers come from, in a line: preset, results used and a key over them, code, libraries, device."""
        digest = hashlib.sha256(" ".join(sorted(self.used)).encode()).hexdigest()[:12]
        made = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("python", "torch"))
        scenario = "" if self.data.scenario is None else f", scenario {self.data.scenario.text}"
        return (
            f"Preset {self.preset.name}{scenario}; {len(self.used)} results, together {digest} "
            f"(`python -m mcutils show KEY` names each); code {commit()}; {made}; device {device()}."
        )


def store_folder(given: str | FilePath | None = None) -> FilePath:
    """The folder of results: as given, else the environment's ``MCUTILS_STORE``, else ``build/store``."""
    return folder_at(place(given, "MCUTILS_STORE", BUILD / "store", "store"), "store")


def commit() -> str:
    """The commit of the code that runs, marked where files differ from it; "unknown" outside a repository.

    Figures do not count: a run that draws some is still a run of the same code.
    """
    questions = (
        ["rev-parse", "--short=10", "HEAD"],
        ["status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)figures"],
    )
    try:
        name, differing = (
            subprocess.run(["git", "-C", str(ROOT), *asked], capture_output=True, text=True, timeout=10, check=True)
            for asked in questions
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return name.stdout.strip() + ("-dirty" if differing.stdout else "")


def _trained_by(model: Spec, otherwise: int) -> int:
    """Training seed of the original that a model or the start of a path comes from, if it comes from one."""
    while not isinstance(model, OriginalSpec):
        made_from = [getattr(model, name) for name in ("start", "endpoint", "origin") if hasattr(model, name)]
        if not made_from or made_from[0] is None:
            return otherwise
        model = made_from[0]
    return model.seed


def study(
    name: str = "laptop",
    store: str | FilePath = "",
    *,
    fresh: bool | None = None,
    task: Task | None = None,
    scenario: str | Scenario | None = "",
    **changes: Any,
) -> Study:
    """Open the study of a preset, its fields changed where given (``dataset``, ``methods``, ``seeds``, ...).

    Args:
        name: a preset.
        store: folder of results; empty means the environment's ``MCUTILS_STORE`` or ``build/store``.
        fresh: leave aside the results shipped in ``data/store``, otherwise a read-only layer below the store; None
            takes the environment's ``MCUTILS_FRESH``.
        task: data of your own, as `mc.task` returns them, instead of the preset's data set; their share to forget
            unless ``forget`` is given. They are written into the store when something is computed from them.
        scenario: what is forgotten in place of a share of the pool, as a `Scenario` or in a line (``class label=3``,
            see `scenarios.scenario_of`); empty is the random draw.
        changes: fields of the preset; an empty one leaves the preset's. A ``model`` of your own goes by the name of its
            factory ``(channels, classes) -> module``, which ``@mc.register("model")`` has made known.

    Raises:
        BadInput: an unknown preset, field, data set, model or method, or a value of another type than the field's.

    >>> laptop = study("laptop", fresh=False)
    >>> start, end = laptop.grid(method=["npo"], seed=[42, 87])
    >>> (found,) = laptop.run([laptop.profile(laptop.path(start, end))])
    1 reused, 0 computed
    >>> round(found.connectivity.measures["deficit_forget"], 3)
    0.045
    """
    chosen = _chosen(preset(name), task, {field: value for field, value in changes.items() if not _empty(value)})
    fresh = switched("MCUTILS_FRESH") if fresh is None else flag("fresh", fresh)
    checksum = "" if task is None else task.checksum
    found = Study(
        chosen,
        Store(store_folder(store), [] if fresh else [DATA / "store"]),
        DataSpec(chosen.dataset, chosen.train_size, chosen.test_size, checksum),
        own=task,
    )
    if scenario is None or scenario == "":
        return found
    if not _empty(changes.get("forget")):
        raise BadInput(f"a scenario says what is forgotten: leave out forget, got {shown(changes['forget'])}.")
    return found.under(scenario if isinstance(scenario, Scenario) else scenario_of(scenario))


def _chosen(chosen: Preset, task: Task | None, changes: Mapping[str, Any]) -> Preset:
    """A preset with its fields changed, whose data set, model and methods there are."""
    own: dict[str, Any] = {}
    for change in changes:
        choose("preset field", change, [f.name for f in fields(Preset)][1:])
    model = changes.get("model", chosen.model)
    if not isinstance(model, str):
        raise BadInput(
            f"model must be a name, got {shown(model)}: give its factory (channels, classes) -> module one by "
            '@mc.register("model").'
        )
    if task is not None:
        if not isinstance(task, Task) or {"dataset", "train_size", "test_size"} & set(changes):
            raise BadInput(
                f"task must be what mc.task returns, and names its data set and sizes itself, got {sort_of(task)}."
            )
        remembered(task)
        own = {"dataset": task.dataset, "forget": task.forget, "train_size": 0, "test_size": 0}
    chosen = replace(chosen, **{**own, **changes})
    if task is None:
        choose("data set", chosen.dataset, DATASETS)
    choose("model", chosen.model, MODELS)
    for method in (*chosen.methods, chosen.quickstart_method):
        choose("method", method, METHODS)
    return chosen


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple)) and not value)
