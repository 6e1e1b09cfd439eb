"""Data that a result is of, as a spec, and what they and a network cost, as a description of a spec tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, TypeVar

import torch

from ...data.cues import planted
from ...data.own import CHECKSUM, NAME, forgetting, own_task
from ...data.scenarios import Scenario
from ...data.shadows import SHARE, shadowed, sizes as shadow_sizes
from ...data.tasks import DATASETS, FINGERPRINTS, RETAIN_EVAL_SIZE, SHAPES, VALID_FRACTION, Task, load_task
from ...errors import BadInput, choose, share, shown, whole
from ...models.vision import build
from ...plugins import CHANGED
from .base import Checked


@dataclass(frozen=True)
class DataSpec(Checked, kind="Data", later="draw crossed shadow scenario"):
    """A data set and how much of it; ``checksum`` is that of the decoded images and labels (filled in if empty).

    A name that no data set has is that of a task made by `own.task`, which goes by its checksum.
    ``cue``: the first images of the forget order, this share of the pool, carry a cue (`cues.planted`); 0 is none.
    ``draw``: of the order in which the pool is forgotten, see `load_task`. ``crossed``: of the images with a cue, the
    share that show another class than their label (`cues.planted`). ``shadow``: that of a shadow pool whose task this
    is (`shadows.shadowed`): it learns a core and half of the targets and forgets half of those to forget.
    ``scenario``: what is forgotten, in place of a share of the pool (`scenarios.Scenario`).
    """

    dataset: str
    train_size: int = 0
    test_size: int = 0
    checksum: str = ""
    cue: float = 0.0
    draw: int = 0
    crossed: float = 0.0
    shadow: int | None = None
    scenario: Scenario | None = None

    def __post_init__(self) -> None:
        if isinstance(self.scenario, Mapping):  # as `plain` wrote it
            read = {name: value for name, value in self.scenario.items() if name != "spec"}
            object.__setattr__(self, "scenario", Scenario(**read))
        super().__post_init__()

    def agree(self) -> None:
        if self.crossed and not self.cue:
            raise BadInput(f"crossed is a share of the images with a cue, got {self.crossed:g} where none has one.")
        if not (NAME.fullmatch(self.dataset) and CHECKSUM.fullmatch(self.checksum)):
            choose("data set", self.dataset, DATASETS)
        if self.dataset not in DATASETS and (self.train_size or self.test_size):
            raise BadInput(f"{self.dataset} is data of your own, taken whole: leave train_size and test_size at 0.")
        if not self.checksum:
            known = FINGERPRINTS.get(self.dataset)
            object.__setattr__(self, "checksum", known or self._loaded(0.1).checksum)

    def _loaded(self, forget: float) -> Task:
        loader = DATASETS.get(self.dataset)
        checksum = self.checksum if loader is None else ""
        asked = self.dataset, loader, checksum, forget, self.train_size, self.test_size
        return _redrawn(self.draw, *asked) if self.draw else _task(*asked)

    def task(self, forget: float) -> Task:
        """The task with this share of the training pool to forget."""
        drawn = self.shadow is None and self.scenario is None
        found = self._loaded(share("forget", forget) if drawn else 0.1)  # else whatever is forgotten there
        if found.checksum != self.checksum:
            here = f"but here it is {found.checksum}"
            raise BadInput(f"the spec is of {self.dataset} with checksum {self.checksum}, {here}.")
        if self.shadow is not None:
            return self._of_shadow(found, share("forget", forget), self.shadow)
        if self.scenario is not None:
            made, name = self._of_scenario(found), self.scenario.name
            if abs(share("forget", forget) - made.forget) * len(made.index["train"]) >= 1:
                raise BadInput(f"the scenario {name} forgets {made.forget:.4f} of the pool, not {forget:g}.")
            return made
        if self.cue and forget < self.cue:
            raise BadInput(f"forgetting {forget:g} of the pool leaves cues in D_r: {self.cue:g} of it carries them.")
        return _planted(found, fraction=self.cue, crossed=self.crossed) if self.cue else found

    def _of_scenario(self, found: Task) -> Task:
        if self.cue or self.shadow is not None or self.scenario is None:
            raise BadInput("a scenario says what is forgotten: leave out the cue and the shadow.")
        return _forgotten(self.scenario, found)

    def _of_shadow(self, found: Task, forget: float, shadow: int) -> Task:
        if self.cue or self.draw:
            raise BadInput("a shadow pool is of data without a cue, and of draw 0 of the forget set.")
        made = _shadowed(found, shadow)
        learned, lost = len(made.index["train"]), len(made.index["forget"])
        if abs(forget * learned - lost) >= 1:
            raise BadInput(f"a shadow forgets {lost} of {learned} examples, a share of {SHARE:.4f}, not {forget:g}.")
        return made

    @property
    def pool(self) -> Task:
        """A task with the data's pool, for what is trained on all of it: that does not depend on what is forgotten."""
        if self.shadow is not None:
            return self.task(SHARE)
        if self.scenario is not None:
            return self._of_scenario(self._loaded(0.1))
        own = None if self.dataset in DATASETS else own_task(self.dataset, self.checksum)
        return self.task(own.forget if own and own.listed else max(0.1, self.cue))


@lru_cache(maxsize=4)
def _task(dataset: str, loader: Any, checksum: str, forget: float, train_size: int, test_size: int) -> Task:
    if loader is None:
        return forgetting(own_task(dataset, checksum), forget)
    return load_task(dataset, forget, train_size=train_size or None, test_size=test_size or None)


@lru_cache(maxsize=16)
def _redrawn(draw: int, *asked: Any) -> Task:
    return forgetting(_task(*asked), asked[3], draw)  # of the same tensors: draws differ in rows alone


_planted = lru_cache(maxsize=4)(planted)
_shadowed = lru_cache(maxsize=64)(shadowed)
_forgotten = lru_cache(maxsize=16)(Scenario.of)


# What a description, as `plain` writes it, says of data, of networks and of their size.

# What reading a description that is none of a spec raises, and building a network of impossible sizes.
ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RuntimeError)
Reader = TypeVar("Reader", bound=Callable[..., Any])


def readable(reader: Reader) -> Reader:
    """A reader of what `plain` wrote that raises `BadInput`, and nothing else, for any other table."""

    @wraps(reader)
    def read(description: Mapping[str, Any], *more: Any) -> Any:
        try:
            return reader(description, *more)
        except BadInput:
            raise
        except ODD as error:
            raise BadInput(f"{shown(description)} is no description of a spec ({shown(error)}).") from None

    return read  # type: ignore[return-value]


@readable
def data_of(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a spec written by `plain`: its own, or that of what it is made from."""
    return _naming(description, "data", Mapping, "data")["data"]


@readable
def network_of(description: Mapping[str, Any]) -> tuple[str, int]:
    """The architecture and width of a spec written by `plain`."""
    found = _naming(description, "model", str, "network")
    return found["model"], whole("width", found["width"], 1)


def _naming(description: Mapping[str, Any], field: str, kind: type, what: str) -> Mapping[str, Any]:
    """The spec itself, or else the most telling of those that it is made from, that has such a field."""
    if isinstance(description.get(field), kind):
        return description
    parts = [description.get(name) for name in ("origin", "start", "endpoint", "model", "trace")]
    for part in (*parts, *description.get("models", ())):
        if isinstance(part, Mapping):
            return _naming(part, field, kind, what)
    raise BadInput(f"a {description.get('spec')} names no {what}.")


def form_of(data: Mapping[str, Any]) -> tuple[tuple[int, ...], int]:
    """Shape of an example of a spec's data and the number of classes; loads what is not built in."""
    if data["dataset"] in SHAPES:
        return SHAPES[data["dataset"]][2:]
    task = _task_of(data)
    if isinstance(task.x, Mapping):
        raise BadInput(f"the examples of {task.dataset} are several tensors each, whose cost is not known.")
    return tuple(task.x.shape[1:]), task.n_classes


def _task_of(data: Mapping[str, Any], forget: float | None = None) -> Task:
    named = data["dataset"], data["train_size"], data["test_size"], data["checksum"]
    found = DataSpec(*named, shadow=data.get("shadow"))
    return found.pool if forget is None else found.task(forget)


@lru_cache(maxsize=64)
def cost_of(model: str, width: int, shape: tuple[int, ...], classes: int) -> tuple[float, int]:
    """Floating-point operations of a forward pass of one example, and the number of a network's parameters."""
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.device("meta"):
            net = build(model, shape[0], classes, seed=0, width=width).eval()
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(1, *shape, device="meta"))
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"a {model} of width {width} does not take examples of shape {shape}.") from None
    return float(counter.get_total_flops()), sum(p.numel() for p in net.parameters())


CHANGED.append(cost_of.cache_clear)


def cost(description: Mapping[str, Any]) -> tuple[float, int]:
    """Operations of a forward pass through a spec's network, and the number of its parameters."""
    return cost_of(*network_of(description), *form_of(data_of(description)))


@readable
def evaluated(data: Mapping[str, Any], forget: float, splits: Sequence[str] = ()) -> int:
    """Examples in a trace of a task: retain sample, forget set, validation and test, or some of these ``splits``."""
    if data["dataset"] in SHAPES:
        train, test, *_ = SHAPES[data["dataset"]]
        train, test = int(data["train_size"]) or train, int(data["test_size"]) or test
        valid = round(VALID_FRACTION * train)
        lost = round(forget * (train - valid))
        kept = train - valid - lost
        if data.get("shadow") is not None:
            each = shadow_sizes(train - valid)
            lost, kept = each["forget"] // 2, each["core"]
        retain = min(RETAIN_EVAL_SIZE, kept // 2)
        sizes = {"retain": retain, "forget": lost, "valid": valid, "test": test}
    else:
        sizes = {split: len(rows) for split, rows in _task_of(data, forget).evaluation.items()}
    return sum(sizes[split] for split in splits or sizes)
