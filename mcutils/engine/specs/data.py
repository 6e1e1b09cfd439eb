"""Data that a result is of, as a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...data.cues import planted
from ...data.own import CHECKSUM, NAME, forgetting, own_task
from ...data.scenarios import Scenario
from ...data.shadows import SHARE, shadowed
from ...data.tasks import DATASETS, FINGERPRINTS, Task, load_task
from ...errors import BadInput, choose, share
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
            raise BadInput(
                f"the spec is of {self.dataset} with checksum {self.checksum}, but here it is {found.checksum}."
            )
        if self.shadow is not None:
            return self._of_shadow(found, share("forget", forget), self.shadow)
        if self.scenario is not None:
            made = self._of_scenario(found)
            if abs(share("forget", forget) - made.forget) * len(made.index["train"]) >= 1:
                raise BadInput(
                    f"the scenario {self.scenario.name} forgets {made.forget:.4f} of the pool, not {forget:g}."
                )
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
