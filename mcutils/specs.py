"""Specs: frozen settings that name a result by everything that determines it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

from .curves import CURVES, RECIPES
from .data import Task, load_task
from .objectives import CURRICULA
from .optimizers import OPTIMIZERS
from .settings import BadInput, MethodSettings, Plan, choose
from .traces import POLICIES
from .unlearning import METHODS

# One number per kind of result, raised whenever the algorithm behind it gives other numbers.
VERSIONS = {"Original": 1, "Retrained": 1, "Untrained": 1, "Unlearned": 1, "Path": 1, "TraceOf": 1, "Profile": 1}


@dataclass(frozen=True)
class Data:
    """A data set and how much of it; ``checksum`` is that of the decoded images and labels (filled in if empty)."""

    dataset: str
    train_size: int = 0
    test_size: int = 0
    checksum: str = ""

    def __post_init__(self) -> None:
        if not self.checksum:
            object.__setattr__(self, "checksum", _task(self.dataset, 0.1, self.train_size, self.test_size).checksum)

    def task(self, forget: float) -> Task:
        """The task with this share of the training pool to forget."""
        found = _task(self.dataset, forget, self.train_size, self.test_size)
        if found.checksum != self.checksum:
            raise BadInput(
                f"the spec is of {self.dataset} with checksum {self.checksum}, but here it is {found.checksum}."
            )
        return found


@lru_cache(maxsize=4)
def _task(dataset: str, forget: float, train_size: int, test_size: int) -> Task:
    return load_task(dataset, forget, train_size=train_size or None, test_size=test_size or None)


@dataclass(frozen=True)
class Original:
    """The model before unlearning, trained on all of the pool."""

    data: Data
    model: str
    width: int
    seed: int
    plan: Plan


@dataclass(frozen=True)
class Retrained:
    """A model trained on D_r only, with a seed of its own."""

    data: Data
    forget: float
    model: str
    width: int
    seed: int
    plan: Plan


@dataclass(frozen=True)
class Untrained:
    """A random network of the architecture: the reference of ZRF."""

    data: Data
    model: str
    width: int
    seed: int


@dataclass(frozen=True)
class Unlearned:
    """An endpoint: a method, a curriculum and an optimiser applied to ``origin`` (an original or another endpoint)."""

    origin: Original | Unlearned | Retrained
    forget: float
    method: str
    curriculum: str
    optimizer: str
    seed: int
    settings: MethodSettings

    def __post_init__(self) -> None:
        choose("method", self.method, METHODS)
        choose("curriculum", self.curriculum, CURRICULA)
        choose("optimizer", self.optimizer, OPTIMIZERS)

    @property
    def data(self) -> Data:
        """The data of the model that it was unlearned from."""
        return self.origin.data


@dataclass(frozen=True)
class Path:
    """A curve between two models; ``plan`` and ``method`` say how control points were fitted (linear: not at all)."""

    start: Unlearned | Original | Retrained
    end: Unlearned | Original | Retrained
    forget: float
    kind: str = "linear"
    control_points: int = 0
    recipe: str = ""
    seed: int = 0
    plan: Plan | None = None

    def __post_init__(self) -> None:
        choose("curve", self.kind, CURVES)
        if self.kind != "linear":
            choose("recipe", self.recipe, RECIPES)
            if self.plan is None or self.control_points < 1:
                raise BadInput(
                    f"a {self.kind} path needs a plan and at least 1 control point, got {self.control_points}."
                )
        if self.start.data != self.end.data:
            raise BadInput(f"the ends of a path were trained on different data: {self.start.data} and {self.end.data}.")

    @property
    def data(self) -> Data:
        """The data of both ends."""
        return self.start.data


@dataclass(frozen=True)
class TraceOf:
    """Logits of a model, or of a curve at ``points`` equally spaced t."""

    model: Original | Retrained | Untrained | Unlearned | Path
    forget: float
    points: int = 1
    batchnorm: str = "retain"

    def __post_init__(self) -> None:
        choose("BatchNorm policy", self.batchnorm, POLICIES)
        allowed = self.points > 1 if isinstance(self.model, Path) else self.points == 1
        if not allowed:
            raise BadInput(f"a curve is traced at 2 points or more and a model at 1, got {self.points}.")


@dataclass(frozen=True)
class Profile:
    """What figures and verdicts need of a trace: metrics along it, connectivity with its replicates."""

    trace: TraceOf
    original: TraceOf
    retrained: tuple[TraceOf, ...]
    random: TraceOf
    bootstrap: int = 200


Spec = Any


def plain(value: Any) -> Any:
    """A spec as nested dictionaries and lists, with the name and version of each kind."""
    if is_dataclass(value):
        name = kind_of(value)
        # 1 and 1.0 are equal but not the same text: equal specs must have one key, in every process.
        table = {
            f.name: plain(float(v) if f.type == "float" else v) for f in fields(value) for v in [getattr(value, f.name)]
        }
        return {"kind": name, **({"version": VERSIONS[name]} if name in VERSIONS else {}), **table}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def kind_of(spec: Spec) -> str:
    """The kind's name: Original, Retrained, Unlearned, Path, TraceOf, Profile, ..."""
    return type(spec).__name__


@lru_cache(maxsize=100_000)
def key(spec: Spec) -> str:
    """Name of a spec's result: its kind and the hash of everything that determines it."""
    text = json.dumps(plain(spec), sort_keys=True, separators=(",", ":"))
    return f"{kind_of(spec).lower()}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def parents(spec: Spec) -> tuple[Spec, ...]:
    """The results that computing a spec reads."""
    if isinstance(spec, Unlearned):
        return (spec.origin,)
    if isinstance(spec, Path):
        return (spec.start, spec.end)
    if isinstance(spec, TraceOf):
        return (spec.model,)
    if isinstance(spec, Profile):
        return (spec.trace, spec.original, *spec.retrained, spec.random)
    return ()


def is_line(spec: Spec) -> bool:
    """Whether a spec is a straight path, which is its two ends and never kept."""
    return isinstance(spec, Path) and spec.kind == "linear"
