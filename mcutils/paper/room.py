"""A room: what one notebook of the paper computes, the paths that it walks and the tests of its claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature

from ..engine.specs import Spec
from ..engine.study import Study
from ..errors import number
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import LEVEL
from .claims import Verdict
from .walks import Route, Walk, profiles

Test = Callable[..., Verdict]


@dataclass(frozen=True)
class Room:
    """A notebook of the paper, as its module registers it in ``ROOMS``.

    ``routes`` gives the paths that it walks, if it walks any, and ``more`` what it needs beside their profiles.
    ``tests``: claim -> its test, on the walks of the notebooks ``on``, by default those that the claim names.
    """

    notebook: str
    routes: Callable[[Study], list[Route]] | None = None
    more: Callable[[Study], Sequence[Spec]] | None = None
    tests: Mapping[str, Test] = field(default_factory=dict)
    on: Sequence[str] = ()

    def needs(self, study: Study) -> list[Spec]:
        """The specs of all that the notebook needs."""
        walked = profiles(study, self.routes(study)) if self.routes else []
        return [*walked, *(self.more(study) if self.more else ())]


def verdict_by(
    test: Test,
    walks: Sequence[Walk],
    eps: float = TOLERANCE,
    *,
    gaps: Mapping[str, float] | None = None,
    level: float = LEVEL,
) -> Verdict:
    """The verdict of a claim's test on these walks.

    ``walks`` are those of the experiments that it is judged on; ``eps`` is the tolerance of MCU(eps) in G, for claims
    whose statistic speaks of one (controls keep the fixed one), ``gaps`` are `metrics_along.telling_gaps`, which C10
    needs, and ``level`` is that of the interval.
    """
    options = {"eps": number("the tolerance epsilon", eps, 0), "level": level, "gaps": gaps or {}}
    return test(walks, **{name: options[name] for name in signature(test).parameters if name in options})
