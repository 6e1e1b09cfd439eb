"""11: ensembles along a path, and what an attacker brings back (C17, C18, C19, C22, N2): its two parts together.

Priced apart, as ``ensembles``. `ensembles` and `relearning` have the specs, the tests, the tables and the figures; here
stand what the notebook needs, what it gathers, and the rows of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.specs import Spec
from ..engine.study import Study
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import LEVEL
from . import ensembles as together, relearning
from .admission import admitted, controls, copies
from .ensembles import Place, Together, joined, lines
from .relearning import Relearned
from .tables import answer_text
from .trials import Finding
from .verdicts import Judged
from .walks import Route, Walk, controls as control_routes, labels_of, levelled, once_of, profiles, references, walk_all

# What is computed


def routes(study: Study) -> list[Route]:
    """The lines between two seeds of every method, as 02 walks them, and the controls."""
    first, last = study.seeds[:2]
    found = [Route(m, "linear", first, last, path=path, original=o) for (o, m), path in lines(study).items()]
    return found + control_routes(study)


def asked(study: Study) -> dict[str, dict[Any, Spec]]:
    """By the fields of `Together` and of `Relearned` the spec behind every number."""
    return {**together.asked(study), **{f"attacked {name}": part for name, part in relearning.asked(study).items()}}


def needs(study: Study) -> list[Spec]:
    """All that 11 needs: the profiles of lines, controls and models, ensembles, attacks and sharpness."""
    found = [*profiles(study, routes(study)), *references(study)]
    return list(dict.fromkeys([*found, *(spec for part in asked(study).values() for spec in part.values())]))


@dataclass(frozen=True, eq=False)
class Eleven:
    """The numbers of 11 beside its walks: what ensembles score, and what attacks bring back."""

    together: Together
    relearned: Relearned


def gather(study: Study) -> tuple[list[Walk], Eleven]:
    """The walks of `routes` and the numbers beside them, computed where the store lacks them."""
    groups = asked(study)
    found = together.answers(study, groups)
    ours = {name.removeprefix("attacked "): part for name, part in found.items() if name.startswith("attacked ")}
    rest = {name: part for name, part in found.items() if not name.startswith("attacked ")}
    ways = relearning.routes(study)
    walked = [Walk(**labels_of(ways[at]), profile=one) for at, one in ours.pop("forgetting").items()]
    names = list(relearning.defended(study, study.originals[0]))
    attacked = Relearned(**ours, names=names, forgetting=levelled(study, walked))
    return levelled(study, walk_all(study, routes(study))), Eleven(Together(**rest), attacked)


# The rows of the ledger: walks and numbers in, a finding out


def _refused(walks: Sequence[Walk]) -> list[str]:
    return once_of(walks, controls) + copies(walks)


def _inside(walks: Iterable[Walk], places: Iterable[Place]) -> list[Place]:
    """The places on the originals of these walks."""
    originals = {w.original for w in walks}
    return [at for at in places if at[0] in originals]


def c17(
    walks: Sequence[Walk],
    ensembles: Eleven,
    reading: str = "chord",
    eps: float = TOLERANCE,
    level: float = LEVEL,
) -> Finding:
    """C17 on the lines that are MCU(eps) by a reading, see `ensembles.c17`."""
    found = ensembles.together
    gains = {at: together.gained(found.lines[at]) for at in joined(walks, reading, eps)}
    twins = [together.gained(found.twins[at]) for at in _inside(walks, found.twins)]
    return together.c17(gains, twins, _refused(walks), level)


def c18(
    walks: Sequence[Walk],
    ensembles: Eleven,
    reading: str = "chord",
    eps: float = TOLERANCE,
    level: float = LEVEL,
) -> Finding:
    """C18 on the lines that are MCU(eps) by a reading, see `relearning.c18`."""
    found, places = ensembles.relearned, joined(walks, reading, eps)
    areas = {at: relearning.resistance(found.lines[at]) for at in places}
    copied = [relearning.copies_resist(found.copies[at]) for at in places]
    return relearning.c18(areas, copied, _refused(walks), level)


def c19(
    walks: Sequence[Walk],
    ensembles: Eleven,
    reading: str = "chord",
    eps: float = TOLERANCE,
    level: float = LEVEL,
) -> Finding:
    """C19 on the lines that are MCU(eps) by a reading, see `ensembles.c19`."""
    found = ensembles.together
    rows = {at: three for at in joined(walks, reading, eps) if (three := found.smoothness(at))}
    changes = {at: together.smoother(three) for at, three in rows.items()}
    return together.c19(changes, together.swapped(rows), _refused(walks), level)


def c22(
    walks: Sequence[Walk],
    ensembles: Eleven,
    by: str = "number",
    reading: str = "chord",
    eps: float = TOLERANCE,
    level: float = LEVEL,
) -> Finding:
    """C22 by number or placement on the lines that are MCU(eps) by a reading, see `ensembles.c22`."""
    found = {at: ensembles.together.lines[at] for at in joined(walks, reading, eps)}
    return together.c22(found, by, _refused(walks), level)


def n2(
    walks: Sequence[Walk],
    ensembles: Eleven,
    by: str = "distance",
    reading: str = "chord",
    level: float = LEVEL,
) -> Finding:
    """N2 with one of `relearning.PREDICTORS`, barriers by a reading, see `relearning.n2`.

    Undecided, whatever the correlation, where the positive control fails (`relearning.disconnected`).
    """
    found, originals = ensembles.relearned, {w.original for w in walks}
    left, right = relearning.pairs_of(found, by, reading, originals)
    here = [w for w in found.forgetting if w.original in originals]
    failed = relearning.disconnected(relearning.instrument(found, originals))
    return relearning.n2(left, right, [*_refused(walks), *copies(here), *failed], level)


# Words


def lines_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How many lines rows read, of how many, in a sentence."""
    ours = [w for w in walks if not w.control]
    kept = len(admitted(walks, condition="random", kind="linear", form=""))
    return (
        f"Of {len(ours)} lines between two seeds of a method {kept} have ends that forgot and kept what they should, "
        f"and {len(joined(walks, 'chord', eps))} of these are MCU({eps:g}): these are what rows and figures read."
    )


def shown_places(walks: Sequence[Walk], eps: float = TOLERANCE) -> list[Place]:
    """The lines that figures show: those that rows read; where rows read none, as at small presets, all of them."""
    found = joined(walks, "chord", eps)
    return found or [(w.original, w.method) for w in walks if not w.control]


def answer(walks: Sequence[Walk], found: Eleven, judged: Sequence[Judged], eps: float = TOLERANCE) -> str:
    """What was expected of ensembles and attacks, what was found, and what follows."""
    places = joined(walks, "chord", eps)
    words = {one.row.name: one.verdict for one in judged}
    n2s = {words[name] for name in words if name.startswith("N2")}
    whole = (
        "all four rows of N2 say the same" if len(n2s) == 1 and n2s != {"undecided"} else "N2 as a whole is undecided"
    )
    return answer_text(
        "Ensembles of any models predict better, so that what counts is what a path adds to its two ends, and what as "
        "many retrained models would gain. An attacked ensemble should not resist by more than averaging explains.",
        "".join(
            f"\n- {part}"
            for part in (
                together.ensembles_text(found.together, places),
                relearning.relearning_text(found.relearned, places),
                together.sharp_text(together.sharp_table(found.together, places)),
                relearning.policies_text(found.relearned),
            )
        ),
        f"{'; '.join(f'{name}: {word}' for name, word in words.items())}. Of the four predictors {whole}: "
        "the claim holds, or fails, only if it does so whatever BatchNorm statistics the line is read with.",
    )


def strongest(walks: Sequence[Walk], found: Eleven, eps: float = TOLERANCE) -> Place:
    """The line to walk along: of those shown the one whose five points gain most over its ends."""
    places = shown_places(walks, eps)
    gains = [together.gained(found.together.lines[at]) for at in places]
    return places[int(np.nanargmax(gains))] if np.isfinite(gains).any() else places[0]
