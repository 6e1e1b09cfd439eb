"""10: what an attacker sees of models that were unlearned, along a path and in a shadow pool (C14, N4, N6).

Along the lines of 02 there are membership attacks, and forget accuracy with weights of few bits; the shadow pool is
`privacy_pool`. Priced apart, as ``privacy``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from ..engine.specs import MembershipSpec, MetricSpec, Spec, TraceSpec
from ..engine.study import Study
from ..errors import choose
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import LEVEL
from .admission import admitted, controls as failed_controls, copies, forgot, splits_are
from .privacy_pool import ANEW as ANEW, BEFORE, Pool, forgetting, n4, pool_controls, pool_needs, pool_of
from .trials import Finding, Rule, mean_trial, table_of
from .walks import (
    TWINNED,
    Route,
    Walk,
    all_levels,
    alone,
    coarse,
    condition_routes,
    controls,
    levelled,
    profiles,
    references as reference_profiles,
    walk_all,
)

BITS = (8, 4)
FEWEST = BITS[-1]  # that N6 reads
ATTACK = "population/loss/auc"  # the attack that verdicts read, as `MembershipSpec`'s result names it
CALLED_OUT = ("svc/classifier", "svc/threshold")  # shares called non-members: larger the more is forgotten
LEAST_UNIT = 0.02  # of AUC between original and retrained models, below which an original tells nothing
ERROR = 0.02  # smallest standard error believed in, in the units of C14 and N6
DRAWS = 500
Arrays = Mapping[str, np.ndarray]


# What is walked and computed


def routes(study: Study) -> list[Route]:
    """Lines between two seeds of each method and between every two methods, on every original, and the controls.

    Methods pass the gate; 02 and 05 walk them too.
    """
    first, second = study.seeds[:2]
    pairs = [(original, first, second) for original in study.originals]
    found = condition_routes(study, "random", alone(study.preset.fit), pairs, ("linear",))
    every = list(combinations(study.preset.fit, 2))
    return found + condition_routes(study, "method", every, pairs, ("linear",), points=coarse(study)) + controls(study)


def lines(study: Study) -> dict[tuple[int, str], TraceSpec]:
    """(original, method) -> the trace, on all splits, of the line between its two seeds."""
    found = {}
    for route in routes(study):
        if route.condition == "random" and not route.control:
            found[route.original, route.method] = study.trace(route.path, points=coarse(study))
    return found


def twin_lines(study: Study) -> list[tuple[int, TraceSpec]]:
    """(original, trace on all splits) of the lines to fine-tuned twins, the control of every notebook."""
    found = [route for route in controls(study) if route.control == TWINNED]
    return [(route.original, study.trace(route.path, points=coarse(study))) for route in found]


def references(study: Study, original: int) -> tuple[TraceSpec, ...]:
    """The traces of the models retrained for an original."""
    return tuple(study.trace(study.retrained(seed, original=original)) for seed in study.seeds[:2])


def beside(study: Study, original: int) -> tuple[MembershipSpec, ...]:
    """Attacks on an original, and on each model retrained for it with the others as RMIA's references: its null."""
    anew = references(study, original)
    others = [tuple(one for one in anew if one != audited) for audited in anew]
    first = MembershipSpec(study.trace(study.original(original)), anew)
    return first, *(MembershipSpec(one, rest) for one, rest in zip(anew, others, strict=True))


def along_needs(study: Study) -> list[Spec]:
    """Attacks along the lines and on the models beside them, and forget accuracy at 8 and 4 bits."""
    found: list[Spec] = []
    for (original, _), line in lines(study).items():
        found.append(MembershipSpec(line, references(study, original)))
        found += [rounded(line, bits) for bits in (0, *BITS)]
    found += [MembershipSpec(line, references(study, original)) for original, line in twin_lines(study)]
    for original in study.originals:
        found += beside(study, original)
        models = study.trace(study.original(original)), *references(study, original)
        found += [rounded(one, bits) for one in models for bits in (0, *BITS)]
    return found


def rounded(trace: TraceSpec, bits: int) -> MetricSpec:
    """Forget accuracy along a trace with weights of so many bits; 0: as they are."""
    return MetricSpec(replace(trace, bits=bits, splits=("forget",)) if bits else trace, "accuracy_forget")


@dataclass(frozen=True, eq=False)
class Along:
    """A number of an attack: along the lines, on their originals beside retrained models, and along those to twins.

    ``areas``: (original, method) -> (T,); ``units``: original -> its number minus the mean of its retrained models';
    ``twins``: (original, (T,)). For attacks whose number is an AUC these are areas.
    """

    areas: Mapping[tuple[int, str], np.ndarray]
    units: Mapping[int, float]
    twins: Sequence[tuple[int, np.ndarray]]

    @property
    def ends(self) -> dict[tuple[int, str], tuple[float, float]]:
        """(original, method) -> the number of its two seeds."""
        return {place: (float(area[0]), float(area[-1])) for place, area in self.areas.items()}

    def within(self, places: Iterable[tuple[int, str]]) -> Along:
        """The same for some of the (original, method)."""
        kept = set(places)
        return replace(self, areas={place: area for place, area in self.areas.items() if place in kept})


@dataclass(frozen=True, eq=False)
class Attacks:
    """All attacks (`MembershipSpec`): along lines, on originals and retrained models, along lines to twins."""

    lines: Mapping[tuple[int, str], Arrays]
    originals: Mapping[int, Arrays]
    retrained: Mapping[int, Sequence[Arrays]]
    twins: Sequence[tuple[int, Arrays]]

    @property
    def names(self) -> tuple[str, ...]:
        """The attacks' numbers, ``population/loss/auc`` and others."""
        return tuple(next(iter(self.lines.values())))

    def along(self, attack: str = ATTACK) -> Along:
        """A number of one attack; shares called non-members (`CALLED_OUT`) as shares called members."""
        choose("attack", attack, self.names)

        def read(one: Arrays) -> np.ndarray:
            values = np.asarray(one[attack], dtype=np.float64)
            return 1 - values if attack in CALLED_OUT else values

        units = {
            o: float(read(one)[0] - np.mean([read(r)[0] for r in self.retrained[o]]))
            for o, one in self.originals.items()
        }
        twins = [(original, read(one)) for original, one in self.twins]
        return Along({place: read(one) for place, one in self.lines.items()}, units, twins)


def attacks_of(study: Study) -> Attacks:
    """All attacks along all lines and beside them, computed where the store lacks them."""
    walked, twinned = lines(study), twin_lines(study)
    single = {original: beside(study, original) for original in study.originals}
    asked = [MembershipSpec(line, references(study, original)) for (original, _), line in walked.items()]
    asked += [MembershipSpec(line, references(study, original)) for original, line in twinned]
    found = iter(study.run([*asked, *(spec for specs in single.values() for spec in specs)]))
    along = {place: next(found) for place in walked}
    twins = [(original, next(found)) for original, _ in twinned]
    models = {original: [next(found) for _ in specs] for original, specs in single.items()}
    return Attacks(along, {o: one[0] for o, one in models.items()}, {o: one[1:] for o, one in models.items()}, twins)


@dataclass(frozen=True, eq=False)
class Rounded:
    """Forget accuracy by bits of the weights, 0 as they are: along lines (T,), of originals and of retrained models."""

    lines: Mapping[tuple[int, str], Mapping[int, np.ndarray]]
    retrained: Mapping[int, Sequence[Mapping[int, float]]]
    originals: Mapping[int, Mapping[int, float]]

    def ends(self, bits: int = FEWEST) -> dict[tuple[int, str], tuple[float, float]]:
        """(original, method) -> accuracy with so many bits and as it is, means over the two ends."""
        return {
            place: (float(by[bits][[0, -1]].mean()), float(by[0][[0, -1]].mean())) for place, by in self.lines.items()
        }

    def anew(self, bits: int = FEWEST) -> dict[int, list[tuple[float, float]]]:
        """Original -> the same pair for each of its retrained models."""
        return {original: [(by[bits], by[0]) for by in models] for original, models in self.retrained.items()}

    @property
    def before(self) -> dict[int, float]:
        """Original -> its accuracy as it is."""
        return {original: by[0] for original, by in self.originals.items()}


def rounded_of(study: Study) -> Rounded:
    """Forget accuracy with weights of few bits, computed where the store lacks it."""
    every = (0, *BITS)
    walked = lines(study)
    models = {o: (study.trace(study.original(o)), *references(study, o)) for o in study.originals}
    traces = [*walked.values(), *(one for group in models.values() for one in group)]
    found = study.run([rounded(one, bits) for one in traces for bits in every])
    by = iter(
        [dict(zip(every, (one["values"] for one in found[k : k + 3]), strict=True)) for k in range(0, len(found), 3)]
    )
    along = {place: next(by) for place in walked}
    single = {o: [{bits: float(v[0]) for bits, v in next(by).items()} for _ in group] for o, group in models.items()}
    return Rounded(along, {o: one[1:] for o, one in single.items()}, {o: one[0] for o, one in single.items()})


Levels = tuple[Mapping[str, float], Sequence[Mapping[str, float]]]


@dataclass(frozen=True, eq=False)
class Privacy:
    """The numbers of 10 beside its walks: attacks along lines, few bits, the pool, and the levels of single models.

    ``levels``: original -> every metric of it, and of each of its retrained models.
    """

    attacks: Attacks
    rounded: Rounded
    pool: Pool
    levels: Mapping[int, Levels]

    def of(self, originals: Iterable[int]) -> Privacy:
        """The same of some originals, to which the pool's pairs of shadows are dealt in turn."""
        every, kept = sorted(self.attacks.originals), set(originals)
        if kept >= set(every):
            return self

        def some(table: Mapping[Any, Any]) -> dict[Any, Any]:
            return {p: one for p, one in table.items() if (p[0] if isinstance(p, tuple) else p) in kept}

        shadows = [j for j in range(self.pool.shadows) if every[j // 2 % len(every)] in kept]
        a, r = self.attacks, self.rounded
        twins = [one for one in a.twins if one[0] in kept]
        return Privacy(
            Attacks(some(a.lines), some(a.originals), some(a.retrained), twins),
            Rounded(some(r.lines), some(r.retrained), some(r.originals)),
            self.pool.of(shadows),
            some(self.levels),
        )


def needs(study: Study) -> list[Spec]:
    """All that 10 shows: its walks, the models beside them, attacks, few bits, and the phi of the pool."""
    return [*profiles(study, routes(study)), *reference_profiles(study), *along_needs(study), *pool_needs(study)]


def gather(study: Study) -> tuple[list[Walk], Privacy]:
    """The walks of `routes` and the numbers beside them, computed where the store lacks them."""
    study.run(needs(study), load=False)
    walked = levelled(study, walk_all(study, routes(study)))
    found = all_levels(study)
    return walked, Privacy(attacks_of(study), rounded_of(study), pool_of(study), found)


# The tests


def beyond_ends(area) -> float:
    """Range of a number (T,) along a path beyond the difference of its ends, max - min - |last - first|."""
    area = np.asarray(area, dtype=np.float64)
    return float(np.ptp(area) - abs(area[-1] - area[0]))


def told_units(units: Mapping[int, float]) -> tuple[dict[int, float], list[str]]:
    """The originals whose AUC is at least `LEAST_UNIT` above that of their retrained models, and who is left out."""
    kept = {original: unit for original, unit in units.items() if unit >= LEAST_UNIT}
    return kept, [f"original {one} is left out: nothing is told there" for one in sorted(set(units) - set(kept))]


def c14(
    areas: Mapping[Any, Any],
    units: Mapping[int, float],
    twins: Iterable[tuple[int, Any]],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C14: how far the attack's AUC ranges inside a path beyond its ends, in units of what there was to unlearn.

    Args:
        areas: (original, method) -> AUC (T,) of D_f against unseen examples along a line that is MCU(0.1).
        units: original -> its AUC minus the mean AUC of its retrained models.
        twins: (original, AUC along a line to a fine-tuned twin): the null.
        refused: why nothing may be decided. level: of the interval.
    """
    kept, notes = told_units(units)
    cells = table_of({p: beyond_ends(area) / kept[p[0]] for p, area in areas.items() if p[0] in kept})
    null = [beyond_ends(area) / kept[original] for original, area in twins if original in kept]
    found = mean_trial(
        replace(cells, least=ERROR), Rule("above", 0.2), null=np.array(null or [np.nan]), refused=refused, level=level
    )
    return replace(found, notes=(*found.notes, *notes))


def c14_between(
    ends: Mapping[tuple[int, str], tuple[float, float]],
    joined: Iterable[tuple[int, str, str]],
    units: Mapping[int, float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C14, second row: how far the AUC of two methods in one basin differ, beyond what another seed of each gives.

    Per pair: mean |AUC_a - AUC_b| over both seeds of each, minus the mean |AUC(seed) - AUC(other seed)| of the two.

    Args:
        ends: (original, method) -> AUC of its two seeds.
        joined: (original, method, other) of pairs that a line joins at MCU(0.1).
        units, refused, level: as in `c14`.
    """
    kept, notes = told_units(units)
    pairs = [one for one in joined if one[0] in kept and (one[0], one[1]) in ends and (one[0], one[2]) in ends]
    rng, found, drawn = np.random.default_rng(0), {}, []
    for original in sorted({one[0] for one in pairs}):
        names = [method for place, method in ends if place == original]
        which = np.array([[names.index(m) for m in one[1:]] for one in pairs if one[0] == original])
        real = np.array([ends[original, name] for name in names], dtype=np.float64)  # (methods, 2)
        labels = [f"{one[1]} - {one[2]}" for one in pairs if one[0] == original]
        values = _apart(real, which) / kept[original]
        found.update({(original, label): float(value) for label, value in zip(labels, values, strict=True)})
        mixed = rng.permuted(np.tile(real.ravel(), (DRAWS, 1)), axis=1).reshape(DRAWS, *real.shape)
        drawn.append(_apart(mixed, which).mean(axis=-1) / kept[original])
    null = np.mean(drawn, axis=0) if drawn else np.array([np.nan])
    cells = replace(table_of(found), least=ERROR)
    made = mean_trial(cells, Rule("above", 0.2), null=null, refused=refused, level=level)
    return replace(made, notes=(*made.notes, *notes))


def _apart(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Mean difference of two methods over their seeds beyond that between two seeds of one: (..., P).

    Args:
        values: (..., methods, 2), of two seeds each. pairs: (P, 2) of methods.
    """
    x, y = (values[..., pairs[:, k], :] for k in (0, 1))
    seeds = (np.abs(x[..., 0] - x[..., 1]) + np.abs(y[..., 0] - y[..., 1])) / 2
    return np.abs(x[..., :, None] - y[..., None, :]).mean(axis=(-2, -1)) - seeds


def regained(rounded_to: float, plain: float, original: float) -> float:
    """Share of the forget accuracy that was lost, original - plain, that rounding brings back; nan where none was."""
    lost = original - plain
    return (rounded_to - plain) / lost if lost > 0 else float("nan")


def n6(
    found: Mapping[tuple[int, str], tuple[float, float]],
    retrained_to: Mapping[int, Sequence[tuple[float, float]]],
    originals: Mapping[int, float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """N6: the share of forgotten accuracy that rounding brings back, beyond what it does to retrained models.

    Args:
        found: (original, method) -> forget accuracy of its ends with few bits and as they are, means over the two ends.
        retrained_to: original -> the same pair for each of its retrained models, two or more.
        originals: original -> forget accuracy of the original model.
        refused, level: as in `c14`.
    """
    anew = {o: [regained(*pair, originals[o]) for pair in pairs] for o, pairs in retrained_to.items()}
    cells = table_of({p: regained(*pair, originals[p[0]]) - float(np.mean(anew[p[0]])) for p, pair in found.items()})
    # A retrained model in the methods' place, against the others of its original.
    rng, null = np.random.default_rng(0), []
    for _ in range(DRAWS):
        each = []
        for shares in anew.values():
            k = rng.integers(len(shares))
            each.append(shares[k] - np.mean(np.delete(shares, k)) if len(shares) > 1 else np.nan)
        null.append(np.mean(each) if each else np.nan)
    made = replace(cells, least=ERROR)
    return mean_trial(made, Rule("above", 0.1), null=np.array(null), refused=refused, level=level)


# Their rows in the ledger


def lines_read(walks: Sequence[Walk]) -> list[Walk]:
    """The lines that verdicts may read: between two seeds, and between two methods, of ends that pass the gate."""
    return [w for w in admitted(walks, kind="linear", form="") if not w.size and w.condition in ("random", "method")]


def joined(
    walks: Sequence[Walk], eps: float = TOLERANCE, reading: str = "chord"
) -> tuple[set[tuple[int, str]], set[tuple[int, str, str]]]:
    """Which lines count, of walks that pass the gate and are MCU(eps): between seeds of (original, method), and between
    (original, method, other)."""
    kept = [w for w in lines_read(walks) if w.connected(eps, reading)]
    seeds = {(w.original, w.method) for w in kept if w.condition == "random"}
    return seeds, {(w.original, w.method, w.other) for w in kept if w.condition == "method"}


def _originals(walks: Sequence[Walk]) -> set[int]:
    return {w.original for w in walks if not w.control}


def c14_row(
    walks: Sequence[Walk],
    privacy: Privacy,
    reading: str = "chord",
    eps: float = TOLERANCE,
    level: float = LEVEL,
    attack: str = ATTACK,
) -> Finding:
    """C14 on the walks of `gather` and the numbers of their originals, by a reading of MCU(eps); of the loss attack.

    Another ``attack`` of `Attacks.names` decides nothing.
    """
    part = privacy.of(_originals(walks)).attacks.along(attack).within(joined(walks, eps, reading)[0])
    return c14(part.areas, part.units, part.twins, failed_controls(walks) + copies(walks), level)


def c14_between_row(
    walks: Sequence[Walk], privacy: Privacy, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL
) -> Finding:
    """C14 between methods, likewise; both seeds of both methods pass the gate."""
    passed = {(w.original, w.method) for w in lines_read(walks) if w.condition == "random"}
    part = privacy.of(_originals(walks)).attacks.along().within(passed)
    pairs = sorted(joined(walks, eps, reading)[1])
    return c14_between(part.ends, pairs, part.units, failed_controls(walks) + copies(walks), level)


def n4_row(walks: Sequence[Walk], privacy: Privacy, beside: str = BEFORE, level: float = LEVEL) -> Finding:
    """N4 in the pool, whose unit is the shadow: to half of the originals belong half of the pairs of shadows."""
    pool = privacy.of(_originals(walks)).pool
    passed, left = forgetting(pool)
    refused = pool_controls(pool, level=LEVEL)
    if 2 * len(passed) < len(pool.methods):
        refused.append(f"control: in the pool {len(passed)} of {len(pool.methods)} methods forgot")
    found = n4(pool, passed or pool.methods, beside, refused, level)
    return replace(found, notes=(*found.notes, *left))


def n6_row(walks: Sequence[Walk], privacy: Privacy, bits: int = FEWEST, level: float = LEVEL) -> Finding:
    """N6 on the ends of lines between two seeds that pass the gate, with weights of so many bits."""
    passed = {(w.original, w.method) for w in lines_read(walks) if w.condition == "random"}
    part = privacy.of(_originals(walks)).rounded
    ends = {place: pair for place, pair in part.ends(bits).items() if place in passed}
    refused = forgot(walks) + splits_are(walks) + copies(walks)
    return n6(ends, part.anew(bits), part.before, refused, level)
