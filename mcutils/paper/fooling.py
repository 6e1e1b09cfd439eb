"""Fooling: walks that say nothing, made of those at hand, and what the declared tests make of them.

White noise in place of what was found along a path, one original under many names, models that never unlearned, numbers
under the labels of others. The controls stay as they are, so that no test is stopped by them, except where the attack
is on what the splits are called. `tests/adversary` attacks the tests on made walks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..measures.along import chord
from ..measures.connectivity import TOLERANCE
from ..measures.profiles import Profile
from .tables import Table, answer_text as answered, frame
from .trial_ledger import ROWS, judge_room
from .verdicts import CHORD, DECIDED, Judged
from .walks import RETRAINED, Walk

Walked = Mapping[str, Sequence[Walk]]
NOISE = (0.02, 0.05, 0.2, 0.5)  # G
NAMES = 8  # that one original is given
SHUFFLES = 4
INVENTED = 1000  # added to seeds, so that they are seeds that nobody drew
NOISY, TWICE, ONE, IDLE, SWAPPED, SHUFFLED = (
    "noise, {:g} G", "every seed twice", f"one original, {NAMES} names", "never unlearned", "splits swapped", "shuffle",
)  # fmt: skip
# What a decision on says nothing against a row: attack -> rows, and why.
EXEMPT = {
    NOISY.format(NOISE[0]): ("C1", "C9", "C10", "C21"),  # a fiftieth of G is a flat path at a tolerance of a tenth
    SWAPPED: ("C15", "C16"),  # have retrained models as their control, which do not tell the splits
}
# Rows whose tests compare labels, so that their support must go where profiles change places among labels.
LABELLED = ("C2", "C4", "C5", "C6", "C7", "C8", "C12", "C13", "C16", "C23", "C24", "E4", "M1")
FLAT = ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")


# Attacks


def metric_scales(original: Mapping[str, float], retrained: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """How far the retrained models' mean of each metric lies from the original's: the unit of a metric's noise."""
    return {name: abs(float(np.mean([one[name] for one in retrained])) - value) for name, value in original.items()}


def noisy(walk: Walk, level: float, rng: np.random.Generator, scales: Mapping[str, float]) -> Walk:
    """A walk of which the ends are left, and between them chords and white noise.

    Losses get noise of ``level`` G, other metrics of ``level`` times their `metric_scales` (what has none, as the
    forget accuracy), apart on the two halves of the examples. Bands over examples lie about the new curves as they did
    about the old; what else was drawn of the examples stays.
    """
    t = walk.profile.t
    arrays = {n: v for n, v in walk.profile.arrays.items() if not n.startswith("measure/")}
    drawn: dict[str, np.ndarray] = {}
    for name, values in arrays.items():
        group, _, metric = name.partition("/")
        if group not in ("metric", "curve", "score", "half"):
            continue
        scale = walk.profile.gap if metric.startswith("loss_") else scales.get(metric, scales["accuracy_forget"])
        if metric not in drawn:
            drawn[metric] = level * scale * np.r_[0.0, rng.normal(size=len(t) - 2), 0.0]
        arrays[name] = chord(values, t) + drawn[metric]
    for name, band in arrays.items():
        if name.startswith("band/") and f"curve/{name[5:]}" in arrays:
            arrays[name] = band + (arrays[f"curve/{name[5:]}"] - walk.profile.arrays[f"curve/{name[5:]}"])
    return replace(walk, profile=Profile(arrays))


def _each(walked: Walked, made: Callable[[Walk], Walk]) -> dict[str, list[Walk]]:
    """Every walk but the controls made anew."""
    return {name: [w if w.control else made(w) for w in walks] for name, walks in walked.items()}


def noise(walked: Walked, level: float, scales: Mapping[str, float]) -> dict[str, list[Walk]]:
    """Every walk but the controls as `noisy` makes it, for each level another draw."""
    rng = np.random.default_rng(round(1000 * level))
    return _each(walked, lambda w: noisy(w, level, rng, scales))


def twice(walked: Walked) -> dict[str, list[Walk]]:
    """Every walk but the controls, and the same once more under invented seeds."""
    return {
        name: [*walks, *(replace(w, start=w.start + INVENTED, end=w.end + INVENTED) for w in walks if not w.control)]
        for name, walks in walked.items()
    }


def one_original(walked: Walked, names: int = NAMES) -> dict[str, list[Walk]]:
    """Of each experiment the walks of its first original alone, under the names of so many, and the controls."""
    found = {}
    for name, walks in walked.items():
        ours = [w for w in walks if not w.control]
        first = [w for w in ours if w.original == min(one.original for one in ours)]
        found[name] = [w for w in walks if w.control] + [replace(w, original=k) for k in range(names) for w in first]
    return found


def idle(walked: Walked) -> dict[str, list[Walk]]:
    """Every walk but the controls as one between models that never unlearned: the original's level at every t."""

    def made(w: Walk) -> Walk:
        arrays = dict(w.profile.arrays)
        for name in FLAT:
            arrays[f"curve/{name}"] = arrays[f"curve/{name}"] * 0.01 + 0.99 * w.profile.original[name]
        return replace(w, profile=Profile({n: v for n, v in arrays.items() if not n.startswith("measure/")}))

    return _each(walked, made)


def swapped(walked: Walked) -> dict[str, list[Walk]]:
    """Every walk, controls included, with retain and forget data exchanged, the models' levels too."""

    def made(w: Walk) -> Walk:
        arrays = {n: v for n, v in w.profile.arrays.items() if not n.startswith("measure/")}
        for name in [n for n in arrays if n.startswith(("curve/", "level/", "original/"))]:
            other = name.replace("retain", "?").replace("forget", "retain").replace("?", "forget")
            arrays[other] = w.profile.arrays[name]
        return replace(w, profile=Profile(arrays))

    return {name: [made(w) for w in walks] for name, walks in walked.items()}


def shuffled(walked: Walked, seed: int = 0) -> dict[str, list[Walk]]:
    """The same walks with their profiles drawn among each other: labels no longer say what was walked.

    Within each experiment and original, profiles change places among walks of one kind of curve and number of points,
    whatever their other labels; lines to retrained models only among those whose retrained model began alike. The
    controls of other experiments keep theirs.
    """
    rng, found = np.random.default_rng(seed), {}
    for name, walks in walked.items():
        found[name] = list(walks)
        places: dict[tuple, list[int]] = {}
        for k, w in enumerate(walks):
            if w.control in ("", RETRAINED):
                places.setdefault((w.original, w.kind, len(w.profile.t), w.init), []).append(k)
        for rows in places.values():
            for k, other in zip(rows, rng.permutation(rows), strict=True):
                found[name][k] = replace(walks[k], profile=walks[other].profile)
    return found


def attacks(walked: Walked, scales: Mapping[str, float]) -> dict[str, Callable[[], Walked]]:
    """What is tried, by name, each made when it is called."""
    found: dict[str, Callable[[], Walked]] = {NOISY.format(v): partial(noise, walked, v, scales) for v in NOISE}
    found |= {TWICE: partial(twice, walked), ONE: partial(one_original, walked)}
    found |= {IDLE: partial(idle, walked), SWAPPED: partial(swapped, walked)}
    return found | {f"{SHUFFLED} {k}": partial(shuffled, walked, k) for k in range(1, SHUFFLES + 1)}


# What they do


def judged_by_chord(walked: Walked, eps: float = TOLERANCE, **given) -> dict[str, Judged]:
    """Every row that these walks can judge, by the paper's chord alone: row -> what was found."""
    found = judge_room(walked, [row.name for row in ROWS], eps=eps, readings=(CHORD,), **given)
    return {one.row.name: one for one in found}


def attacked(
    walked: Walked, scales: Mapping[str, float], eps: float = TOLERANCE, **given
) -> dict[str, dict[str, Judged]]:
    """What the declared tests find on each of `attacks`; ``given`` as for `trial_ledger.judge_room`."""
    return {name: judged_by_chord(made(), eps, **given) for name, made in attacks(walked, scales).items()}


def fooled(attack: str, found: Judged) -> bool:
    """Whether a row is decided by what says nothing.

    By a shuffle if it is supported although its test compares labels; by anything else if it is decided at all, but by
    the smallest noise only if it is supported, and not where it is `EXEMPT`.
    """
    claim = found.row.id
    if attack.startswith(SHUFFLED):
        return found.verdict == "supported" and claim in LABELLED
    if claim in EXEMPT.get(attack, ()):
        return False
    small = attack == NOISY.format(NOISE[0])
    return found.verdict == "supported" if small else found.verdict in DECIDED


def fooled_by(found: Mapping[str, Mapping[str, Judged]]) -> list[str]:
    """The rows that at least one of these attacks fools."""
    rows = dict.fromkeys(name for ones in found.values() for name in ones)
    return [name for name in rows if any(name in ones and fooled(a, ones[name]) for a, ones in found.items())]


def fooling_table(judged: Mapping[str, Judged], found: Mapping[str, Mapping[str, Judged]]) -> Table:
    """What each row's test says of each attack, with its effect; shuffles counted together.

    An asterisk marks what should not be said; ``-`` where no walk was left to judge.
    """
    shuffles, rows = [name for name in found if name.startswith(SHUFFLED)], []
    for name, honest in judged.items():
        row = {"row": name, "as walked": honest.verdict}
        for attack in (one for one in found if one not in shuffles):
            row[attack] = _word(attack, found[attack].get(name))
        ones = [(attack, found[attack][name]) for attack in shuffles if name in found[attack]]
        words = [one.verdict for _, one in ones]
        counts = ", ".join(f"{word} {words.count(word)}" for word in DECIDED if word in words)
        mark = "*" if any(fooled(*one) for one in ones) else ""
        row[f"{SHUFFLED}d, of {len(shuffles)}"] = f"{counts}{mark}" or "undecided"
        rows.append(row)
    return frame(rows, index="row" if rows else None)


def _word(attack: str, one: Judged | None) -> str:
    if one is None or one.first is None or np.isnan(one.first.effect.estimate):
        return "-"
    return f"{one.verdict}{'*' if fooled(attack, one) else ''}, {one.first.effect.estimate:.2f}"


def fooling_text(found: Mapping[str, Mapping[str, Judged]]) -> str:
    """Which rows' tests each kind of attack fools, in Markdown."""
    kinds = {
        "white noise": [name for name in found if name.startswith("noise")],
        "every seed counted twice": [TWICE],
        f"one original under {NAMES} names": [ONE],
        "models that never unlearned": [IDLE],
        "retain and forget data exchanged": [SWAPPED],
        "profiles shuffled among labels": [name for name in found if name.startswith(SHUFFLED)],
    }
    total = len({name for ones in found.values() for name in ones})
    lines = []
    for words, names in kinds.items():
        hit = fooled_by({name: found[name] for name in names})
        lines.append(f"- by {words}: {len(hit)} of {total} ({', '.join(hit) or 'none'})")
    ever = fooled_by(found)
    head = f"**{len(ever)} of {total} rows are fooled**: decided, by one of these at least, on what says nothing:"
    return "\n".join([head, "", *lines])


def answer_text(judged: Sequence[Judged], kept: Sequence[str], found: Mapping[str, Mapping[str, Judged]]) -> str:
    """What was expected of the ledger, what was found, and what follows, in Markdown.

    ``kept`` are the rows whose verdict survives the correction, ``found`` what the tests say of attacks.
    """
    run = [one for one in judged if one.found]
    counts = ", ".join(f"{sum(one.verdict == word for one in run)} {word}" for word in (*DECIDED, "undecided"))
    decided, hit = sum(one.verdict in DECIDED for one in run), fooled_by(found)
    hanging = [one.row.name for one in run if one.flipped]
    so = "A verdict says that a statistic lies beyond a threshold on these originals, no more."
    if hit:
        which = "it" if len(hit) == 1 else "them"
        so += f" Read {', '.join(hit)} with in mind that walks which say nothing decide {which}."
    if hanging:
        so += f" Whoever quotes {', '.join(hanging)} must say by which reading."
    return answered(
        "With eight originals effects of a fifth of G should be told from none, and nothing be decided by noise, "
        "copies or models that never unlearned.",
        f"Of {len(run)} rows judged: {counts}. Of the {decided} decided {len(kept)} survive the correction for many "
        f"rows ({', '.join(kept) or 'none'}). {len(hanging)} have another verdict by another reading. Noise, copies, "
        f"no unlearning, exchanged splits or shuffled numbers fool {len(hit)}.",
        so,
    )
