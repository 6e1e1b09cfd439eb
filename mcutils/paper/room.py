"""A room: what one notebook of the paper computes, and the paths that it walks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..engine.specs import Spec
from ..engine.study import Study
from .walks import Route, profiles


@dataclass(frozen=True)
class Room:
    """A notebook of the paper, as its module registers it in ``ROOMS``.

    ``routes`` gives the paths that it walks, if it walks any, and ``more`` what it needs beside their profiles. Which
    claims are judged on them is said in `trial_ledger.ROWS`.
    """

    notebook: str
    routes: Callable[[Study], list[Route]] | None = None
    more: Callable[[Study], Sequence[Spec]] | None = None

    def needs(self, study: Study) -> list[Spec]:
        """The specs of all that the notebook needs."""
        walked = profiles(study, self.routes(study)) if self.routes else []
        return [*walked, *(self.more(study) if self.more else ())]
