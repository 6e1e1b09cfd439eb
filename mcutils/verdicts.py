"""The tests of the claims: from the paths of a study to an effect, its interval and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .claims import TOLERANCE, Verdict, judge
from .connectivity import Interval, fraction_interval, percentile_interval, share_explained
from .settings import BadInput
from .walks import Walk


def sound(walks: Sequence[Walk]) -> list[Walk]:
    """The walks of methods, without controls and without those whose ends collapsed."""
    kept = [w for w in walks if w.role == "method" and not w.profile.collapsed]
    if not kept:
        raise BadInput("no walk between sound endpoints is left to judge.")
    return kept


def controls_hold(walks: Sequence[Walk], eps: float = TOLERANCE) -> bool:
    """Whether every path between different initialisations has a retain barrier and every fine-tuned twin has none."""
    controls = [w for w in walks if w.role == "control"]
    apart = [w for w in controls if "initialisation" in w.method]
    twins = [w for w in controls if "twin" in w.method]
    if not apart or not twins:
        return False
    return all(w.barrier > eps for w in apart) and all(w.connected(eps) for w in twins)


def connected_share(walks: Sequence[Walk], eps: float = TOLERANCE) -> tuple[Interval, int, int]:
    """Share of (method, seed pair) connected at eps by the better of its curves; interval over seeds and examples."""
    pairs: dict[tuple, list[Walk]] = {}
    for w in walks:
        pairs.setdefault((w.method, w.original, w.start, w.end), []).append(w)
    hits = [any(w.connected(eps) for w in group) for group in pairs.values()]
    replicates = [
        np.any([np.maximum(w.replicates("barrier"), w.replicates("deficit")) <= eps for w in group], axis=0)
        for group in pairs.values()
    ]
    nodes = np.array([(start, end) for _, _, start, end in pairs])
    found = fraction_interval(hits, np.array(replicates, dtype=float), nodes=nodes)
    return found, len(hits), len(np.unique(nodes))


def c1(walks: Sequence[Walk]) -> Verdict:
    """C1: share of (method, seed pair) that some curve connects at MCU(0.1)."""
    found, pairs, seeds = connected_share(sound(walks))
    return judge("C1", *found, n_pairs=pairs, n_seeds=seeds, controls_ok=controls_hold(walks))


def c2(walks: Sequence[Walk], draws: int = 2000, seed: int = 0) -> Verdict:
    """C2: share of variance of the linear forget deficit that the method explains, with a permutation test."""
    lines = [w for w in sound(walks) if w.kind == "linear"]
    if not lines:
        raise BadInput("C2 is judged on straight paths: there is none between sound endpoints.")
    values = np.array([w.deficit for w in lines])
    methods = np.array([w.method for w in lines])
    nodes = np.array([(w.start, w.end) for w in lines])
    share = share_explained(values, methods, nodes=nodes)
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(methods == m) for m in dict.fromkeys(methods)]
    redrawn = []
    for _ in range(draws):
        rows = np.concatenate([rng.choice(g, len(g)) for g in groups])
        redrawn.append(share_explained(values[rows], methods[rows], n_perm=1).eta2)
    found = percentile_interval(share.eta2, np.array(redrawn))
    counts = {"n_pairs": len(lines), "n_seeds": len(np.unique(nodes))}
    return judge("C2", *found, p=share.p, controls_ok=controls_hold(walks), **counts)


def c21(walks: Sequence[Walk]) -> Verdict:
    """C21: among paths without a retain barrier, the share that the forget deficit alone keeps from MCU(0.1)."""
    flat = [w for w in sound(walks) if w.barrier <= TOLERANCE]
    if not flat:
        return judge("C21", *[float("nan")] * 3, n_pairs=0, n_seeds=0, controls_ok=False)
    hits = [not w.connected(TOLERANCE) for w in flat]
    replicates = np.array([~(w.replicates("deficit") <= TOLERANCE) for w in flat], dtype=float)
    nodes = np.array([(w.start, w.end) for w in flat])
    found = fraction_interval(hits, replicates, nodes=nodes)
    controls = controls_hold(walks)
    return judge("C21", *found, n_pairs=len(flat), n_seeds=len(np.unique(nodes)), controls_ok=controls)


TESTS: dict[str, Callable[[Sequence[Walk]], Verdict]] = {"C1": c1, "C2": c2, "C21": c21}
