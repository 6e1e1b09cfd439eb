"""Snapshots of a descent: after which steps they are taken, and copies that leave it as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from ..errors import BadInput, shown, whole
from ..networks import Ready, finished
from ..weights import Weights

LOG = "log"  # the steps of `log_grid`


def log_grid(steps: int) -> tuple[int, ...]:
    """0, 1, 2, 4, 8, ... and the last of so many steps.

    >>> log_grid(25)
    (0, 1, 2, 4, 8, 16, 25)
    """
    steps = whole("steps", steps, 1)
    return (0, *(2**k for k in range(steps.bit_length()) if 2**k < steps), steps)


def check_steps(wanted: Iterable[int] | str, steps: int) -> tuple[int, ...]:
    """Return the steps of snapshots, from 0 to the last of ``steps``, for ``log`` a `log_grid`; or raise `BadInput`."""
    if steps == 0:
        raise BadInput("a run of no steps, as that of an edit, passes through no other model: give it steps to take.")
    if isinstance(wanted, str) and wanted == LOG:
        return log_grid(steps)
    if isinstance(wanted, (str, bytes)) or not isinstance(wanted, Iterable):
        raise BadInput(f"the steps of snapshots must be {LOG} or a list of whole numbers, got {shown(wanted)}.")
    found = tuple(whole("a step", one, 0) for one in wanted)
    rising = all(a < b for a, b in zip(found, found[1:], strict=False))
    if not found or found[0] != 0 or found[-1] != steps or not rising:
        raise BadInput(f"the steps of snapshots must increase from 0 to the last one, {steps}, got {shown(found)}.")
    return found


@dataclass(frozen=True, eq=False)
class Camera:
    """Copies of a network's tensors after some ``steps`` of its descent, on top of what is told of its ``progress``."""

    begin: Ready
    steps: Sequence[int]
    progress: Callable[[int, float], None] | None = None
    taken: dict[int, list[dict[str, Tensor]]] = field(default_factory=dict)

    def see(self, done: int) -> None:
        """Copy the tensors if that many steps were wanted."""
        if done in self.steps:
            both = (self.begin.net.params, self.begin.net.buffers)
            self.taken[done] = [{name: value.detach().clone() for name, value in one.items()} for one in both]

    def __call__(self, number: int, loss: float) -> None:
        """What a descent calls after each step, the first being number 0."""
        self.see(number + 1)
        if self.progress:
            self.progress(number, loss)

    def snapshots(self, weighted: bool) -> tuple[tuple[int, Weights], ...]:
        """The weights after each of the steps, finished as those of the end are."""
        start, task = self.begin.start, self.begin.task
        return tuple(
            (step, finished(replace(start, buffers=buffers), params, task, weighted))
            for step, (params, buffers) in self.taken.items()
        )
