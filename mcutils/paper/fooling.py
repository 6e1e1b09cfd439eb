"""Fooling: walks that say nothing, made of those at hand, and what the present tests make of them.

White noise in place of what was found along a path, one pair of seeds under many names, numbers under the labels of
others. The controls stay as they are, so that no test is stopped by them. docs/protocol.md declares the tests that are
to refuse all this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..measures.along import chord
from ..measures.connectivity import TOLERANCE
from ..measures.profiles import Profile
from ..measures.readings import LEVELS
from . import tables
from .claims import Verdict, effect_text
from .ledger import judge_all, shuffled
from .tables import Table, floor_text, frame
from .walks import Walk

Walked = Mapping[str, Sequence[Walk]]
NOISE = (0.02, 0.05, 0.2, 0.5)  # G
NAMES = 10  # that one pair of seeds is given
SHUFFLES = 4
INVENTED = 1000  # added to seeds, so that they are seeds that nobody drew
NOISY, TWICE, ONE, SHUFFLED = "noise, {:g} G", "every seed twice", f"one pair, {NAMES} names", "shuffle"
UNREAD = ("C1", "C8", "C9", "C10", "C11", "C15", "C21")  # claims whose tests read no label that a shuffle touches
DECIDED = ("supported", "contradicted")


def metric_scales(original: Mapping[str, float], retrained: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """How far the retrained models' mean of each metric lies from the original's: the unit of a metric's noise."""
    return {name: abs(float(np.mean([one[name] for one in retrained])) - value) for name, value in original.items()}


def noisy(walk: Walk, level: float, rng: np.random.Generator, scales: Mapping[str, float]) -> Walk:
    """A walk of which the ends are left, and between them chords and white noise.

    Losses get noise of ``level`` G, other metrics of ``level`` times their `metric_scales`, closeness to retraining as
    the forget accuracy. The replicates over examples lie about the new barrier and deficit as they did about the old.
    """
    t, found = walk.profile.t, walk.profile.connectivity
    arrays = {n: v for n, v in walk.profile.arrays.items() if not n.startswith(("measure/", "band/"))}
    drawn: dict[str, np.ndarray] = {}
    for name, values in arrays.items():
        group, _, metric = name.partition("/")
        if group in ("metric", "curve", "score"):
            scale = walk.profile.gap if metric.startswith("loss_") else scales.get(metric, scales["accuracy_forget"])
            if metric not in drawn:
                drawn[metric] = level * scale * np.r_[0.0, rng.normal(size=len(t) - 2), 0.0]
            arrays[name] = chord(values, t) + drawn[metric]
    now = Profile(arrays).connectivity
    for measure in ("barrier_retain", "deficit_forget"):
        arrays[f"replicates/{measure}"] = arrays[f"replicates/{measure}"] + (now[measure] - found[measure])
    return replace(walk, profile=Profile(arrays))


def noise(walked: Walked, level: float, scales: Mapping[str, float]) -> dict[str, list[Walk]]:
    """Every walk but the controls as `noisy` makes it, for each level another draw."""
    rng = np.random.default_rng(round(1000 * level))
    return {name: [w if w.control else noisy(w, level, rng, scales) for w in ws] for name, ws in walked.items()}


def renamed(walk: Walk, k: int) -> Walk:
    """The same walk under the k-th invented pair of seeds; 0 is its own."""
    return replace(walk, start=walk.start + INVENTED * k, end=walk.end + INVENTED * k)


def twice(walked: Walked) -> dict[str, list[Walk]]:
    """Every walk but the controls, and the same once more under invented seeds."""
    return {name: [*ws, *(renamed(w, 1) for w in ws if not w.control)] for name, ws in walked.items()}


def one_pair(walked: Walked, names: int = NAMES) -> dict[str, list[Walk]]:
    """Of each experiment its first pair of seeds alone, under so many names, and the controls."""
    found = {}
    for name, walks in walked.items():
        pairs = [(w.original, w.start, w.end) for w in walks if not w.control]
        ours = [w for w in walks if not w.control and (w.original, w.start, w.end) == pairs[0]]
        found[name] = [w for w in walks if w.control] + [renamed(w, k) for k in range(names) for w in ours]
    return found


def attacks(walked: Walked, scales: Mapping[str, float]) -> dict[str, Callable[[], Walked]]:
    """What is tried, by name, each made when it is called."""
    found: dict[str, Callable[[], Walked]] = {NOISY.format(v): partial(noise, walked, v, scales) for v in NOISE}
    found |= {TWICE: partial(twice, walked), ONE: partial(one_pair, walked)}
    return found | {f"{SHUFFLED} {k}": partial(shuffled, walked, k) for k in range(1, SHUFFLES + 1)}


def attacked(
    walked: Walked, gaps: Mapping[str, float], scales: Mapping[str, float], eps: float = TOLERANCE
) -> dict[str, list[Verdict]]:
    """The verdicts of the present tests on each of `attacks`."""
    return {name: judge_all(made(), gaps, eps=eps) for name, made in attacks(walked, scales).items()}


def fooled(claim: str, attack: str, honest: Verdict, found: Verdict) -> bool:
    """Whether a claim is decided by what says nothing.

    By noise and by one pair under many names whenever it is decided; by every seed twice where it was undecided; by a
    shuffle where it is decided although its test reads the labels.
    """
    if attack == TWICE:
        return honest.verdict not in DECIDED and found.verdict in DECIDED
    return found.verdict in DECIDED and not (attack.startswith(SHUFFLED) and claim in UNREAD)


def fooled_by(judged: Sequence[Verdict], found: Mapping[str, Sequence[Verdict]]) -> list[str]:
    """The claims that at least one of these attacks fools."""
    hits = ((v.claim, any(fooled(v.claim, n, v, ones[k]) for n, ones in found.items())) for k, v in enumerate(judged))
    return [claim for claim, hit in hits if hit]


def fooling_table(judged: Sequence[Verdict], found: Mapping[str, Sequence[Verdict]]) -> Table:
    """What each claim's present test says of each attack, with its effect; shuffles counted together.

    An asterisk marks what should not be said; ``-`` where no walk was left to judge.
    """
    shuffles, rows = [name for name in found if name.startswith(SHUFFLED)], []
    for k, honest in enumerate(judged):
        row = {"claim": honest.claim, "as walked": honest.verdict}
        for name in (name for name in found if name not in shuffles):
            one = found[name][k]
            mark = "*" if fooled(honest.claim, name, honest, one) else ""
            row[name] = "-" if effect_text(vars(one)) == "-" else f"{one.verdict}{mark}, {one.effect:.2f}"
        words = [found[name][k].verdict for name in shuffles]
        counts = [f"{word} {words.count(word)}" for word in DECIDED if word in words]
        mark = "*" if any(fooled(honest.claim, name, honest, found[name][k]) for name in shuffles) else ""
        row[f"{SHUFFLED}d, of {len(shuffles)}"] = ", ".join(counts) + mark if counts else "undecided"
        rows.append(row)
    return frame(rows, index="claim")


def fooling_text(judged: Sequence[Verdict], found: Mapping[str, Sequence[Verdict]]) -> str:
    """Which claims' present tests each kind of attack fools, in Markdown."""
    kinds = {
        "white noise": [name for name in found if name.startswith("noise")],
        "every seed counted twice": [TWICE],
        f"one pair of seeds under {NAMES} names": [ONE],
        "profiles shuffled among labels": [name for name in found if name.startswith(SHUFFLED)],
    }
    lines = []
    for words, names in kinds.items():
        hit = fooled_by(judged, {name: found[name] for name in names})
        lines.append(f"- by {words}: {len(hit)} of {len(judged)} ({', '.join(hit) or 'none'})")
    ever = fooled_by(judged, found)
    head = f"**{len(ever)} of {len(judged)} present tests are fooled**: decided, by one of these at least, on nothing:"
    return "\n".join([head, "", *lines])


def answer_text(
    walked: Walked,
    retrained: Sequence[Mapping[str, float]],
    judged: Sequence[Verdict],
    kept: Sequence[str],
    found: Mapping[str, Sequence[Verdict]],
    eps: float = TOLERANCE,
) -> str:
    """What was expected of the ledger, what was found, and what follows, in Markdown.

    ``retrained`` are metrics of the retrained models, ``kept`` the claims that survive the correction, ``found`` the
    verdicts on attacks. Paths of other forget sets are not held against the retrained models.
    """
    levels = {name: np.array([one[name] for one in retrained]) for name in LEVELS}
    plain = [w for walks in walked.values() for w in walks if not w.size]
    beside = [w if w.profile.levels else replace(w, profile=w.profile.with_levels(levels)) for w in plain]
    counts = ", ".join(f"{sum(v.verdict == word for v in judged)} {word}" for word in (*DECIDED, "undecided"))
    decided, hit = sum(v.verdict in DECIDED for v in judged), fooled_by(judged, found)
    so = (
        "A verdict says that a statistic lies beyond a threshold on these walks; for most claims noise or copies bring "
        "that about too. Read this ledger as a pilot's: the tests that `docs/protocol.md` declares take over from it."
    )
    if 2 * len(hit) <= len(judged):
        so = "A verdict says that a statistic lies beyond a threshold on these walks, no more."
    return tables.answer_text(
        "With so few seeds and originals many claims cannot be told; were all supported, that would be suspicious.",
        f"Of {len(judged)} claims judged: {counts}. Of the {decided} decided {len(kept)} "
        f"survive the correction ({', '.join(kept) or 'none'}). Noise, copies or shuffled numbers fool the present "
        f"tests of {len(hit)}. {floor_text(beside, eps)}",
        so,
    )
