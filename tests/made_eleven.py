"""Made numbers of notebook 11: walks of eight originals with what ensembles and attacks would have found of them.

The defaults are a world in which nothing happens: ensembles gain nothing, an attacked one regains as much as the point
that starts like it, the mean of the weights is as sharp as its ends, and what is regained has nothing to do with how
far a model lies from its original.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from made_worlds import GAP, METHODS, Shape, World, controlled, walk, world

from mcutils.measures.profiles import Profile
from mcutils.paper.ensembles import OUTSIDE, Together, sizes_for
from mcutils.paper.ensembles_and_relearning import Eleven
from mcutils.paper.relearning import Relearned, settings
from mcutils.paper.walks import TWINNED
from mcutils.unlearning.methods import DEFENCES

SPLITS = ("retain", "forget", "valid", "test")
STEPS = np.array([0, 5, 10, 15, 20, 25])
SEEDS = (42, 87)


@dataclass(frozen=True)
class Planted:
    """What is planted: gains in accuracy, an area, a share, and the rank correlation of N2 with all four predictors.

    ``gain`` of five points or more, ``number`` more of all 31, ``placed`` more of the inner half; ``twins``: the gain
    along twins; ``area`` of attacked ensembles, ``copies`` of copies; ``sharper``: change of the rise at the mean;
    ``barrier`` of the defences, in G; ``spread``: how much all of it varies, in units of its declared smallest error.
    """

    gain: float = 0.0
    number: float = 0.0
    placed: float = 0.0
    twins: float = 0.0
    area: float = 0.0
    copies: float = 0.0
    sharper: float = 0.0
    rho: float = 0.0
    barrier: float = 0.5
    spread: float = 1.0
    forgot: float = 1.2  # G of forget loss of models and defences


def ensembles(rng, planted: Planted, points: int = 31, gain: float | None = None) -> dict:
    """A result of `EnsembleSpec` along a path of so many points."""
    gain, found = planted.gain if gain is None else gain, {}
    level = {"accuracy": 0.88, "loss": 0.4, "calibration": 0.03}
    base = {f"{m}/{s}": level[m] + 0.002 * rng.normal() for m in level for s in SPLITS}
    names = [(p, n) for n in sizes_for(points) for p in ("uniform", "inner", "validation") if p != "inner" or n < 31]
    for name, n in [*names, ("all", 0), ("end", 1)]:
        for measure, value in base.items():
            more = (gain if n >= 5 or name == "all" else 0.0) + (planted.number if n == 31 or name == "all" else 0.0)
            more += planted.placed if name == "inner" else 0.0
            small = 0.0005 * planted.spread * rng.normal()
            found[f"{name}/{n}/{measure}"] = value + (more if measure == "accuracy/test" else 0.0) + small
        if name not in ("all", "end"):
            found[f"members/{name}/{n}"] = np.arange(n)
    return found


def attacked(rng, models: int, gained, together: float | None = None, start=0.86) -> dict:
    """A result of `RegainedSpec`: accuracy rises from ``start`` by ``gained`` (M,), that of all together by more."""
    way, starts = STEPS / STEPS[-1], start + 0.0005 * rng.normal(size=models)
    accuracy = starts[:, None] + np.broadcast_to(gained, models)[:, None] * way
    found = {f"{what}/{split}": accuracy + 0.0 for what in ("accuracy", "loss") for split in SPLITS}
    found["loss/valid"] = np.full((models, len(STEPS)), 0.5) + 0.01 * np.arange(models)[:, None]
    found["steps"] = STEPS
    if together is not None:
        # An area is the mean height: half of what a straight line ends with.
        found["together/accuracy"] = starts[0] + (2 * together) * way
        found["together/loss"] = 1 - found["together/accuracy"]
    return found


def sharp(rng, planted: Planted) -> list[dict]:
    """Results of `SharpnessSpec` at both ends and at the mean of a line."""
    size = np.exp(0.3 * rng.normal(size=2))
    rises = [*size, size.mean() * (1 + planted.sharper + 0.05 * planted.spread * rng.normal())]
    names = [f"{side}/{split}" for side in ("both", "one") for split in ("retain", "forget", "test")]
    return [{**{name: np.full(20, 0.01 * r) for name in names}, "hessian": np.float64(30 * r)} for r in rises]


def eleven(planted: Planted = Planted(), originals: int = 8, seed: int = 0, methods=METHODS) -> tuple[list, Eleven]:
    """Walks of so many originals, controls among them, and the numbers of 11 with what is planted in them."""
    rng = np.random.default_rng([11, seed])
    walks = [w for w in world(controlled(), ("random",), originals=originals, seed=seed) if w.kind == "linear"]
    walks = [w for w in walks if w.control or w.method in methods]
    places = [(w.original, w.method) for w in walks if not w.control]
    twins = [(w.original, w.method) for w in walks if w.control == TWINNED]
    each, small = range(originals), 0.002 * planted.spread
    parts = {
        "lines": {at: ensembles(rng, planted) for at in places},
        "twins": {at: ensembles(rng, replace(planted, spread=planted.spread / 10), gain=planted.twins) for at in twins},
        "outside": {(*at, name): ensembles(rng, planted, 5) for at in places if at[0] < 2 for name in OUTSIDE},
        "retrained": {(o, n): ensembles(rng, planted) for o in each for n in ((2, 5) if o < 3 else (2,))},
        "beyond": {(o, name): ensembles(rng, planted) for o in each if o < 2 for name in OUTSIDE},
        "seeds": {at: ensembles(rng, planted) for at in places if at[0] < 3 and at[1] in methods[:2]},
        "several": {method: ensembles(rng, planted) for method in methods},
        "sharp": {(*at, k): one for at in places for k, one in enumerate(sharp(rng, planted))},
    }
    area = lambda: planted.area + small * rng.normal()  # noqa: E731
    found = {
        "lines": {at: attacked(rng, 11, 0.03 + small * rng.normal(size=11), 0.015 + area()) for at in places},
        "members": {(*at, n): attacked(rng, n, 0.03, 0.015 + area()) for at in places for n in (2, 3, 5)},
        "copies": {
            at: attacked(rng, 3, 0.03 + small * rng.normal(size=3), 0.015 + planted.copies) for at in places
        },
        "retrained": {o: attacked(rng, 2, np.array([0.005, 0.01])) for o in each},
        "weights": {o: attacked(rng, len(methods), 0.03) for o in each if o < 3},
        "grid": {
            (o, k): attacked(rng, len(methods) + 2, 0.02) for o in each if o < 2 for k in range(len(settings()))
        },
    }  # fmt: skip
    return walks, Eleven(Together(**parts), Relearned(**found, **models(planted, originals, seed, methods)))


def models(planted: Planted, originals: int, seed: int, methods=METHODS) -> dict:
    """What N2 reads: walks from the originals, regained accuracy and the lines' losses by the other policies.

    Barriers of methods are small, those of the defences as planted; predictors have one order, which the accuracy
    regained follows with the planted correlation.
    """
    rng, names = np.random.default_rng([12, seed]), [*product(methods, SEEDS), *product(DEFENCES, SEEDS[:1])]
    found: dict = {"models": {}, "policies": {}, "forgetting": [], "names": names}
    shape = {"rise": 0.0}
    made = World(
        lambda labels: Shape(rise=shape["rise"], ends=(0.0, planted.forgot)), points=11, spread=0.005, seed=seed
    )
    for original in range(originals):
        far = np.sort(np.exp(0.5 * rng.normal(size=len(names))))  # defences, which come last, are the farthest
        noise = rng.normal(size=len(names))
        ranks = np.argsort(np.argsort(far)) / len(names) - 0.5
        gained = 0.03 + 0.02 * (planted.rho * ranks * np.sqrt(12) + np.sqrt(1 - planted.rho**2) * noise)
        found["models"][original] = attacked(rng, len(names), gained)
        for k, (method, s) in enumerate(names):
            shape["rise"] = (planted.barrier if method in DEFENCES else 0.02) * (1 + 0.1 * ranks[k])
            labels = {"method": method, "kind": "linear", "start": s, "end": s, "original": original}
            one = walk(made, condition="forgetting", **labels)
            arrays = {**one.profile.arrays, "geometry/distance": np.float64(far[k])}
            found["forgetting"].append(replace(one, profile=Profile(arrays)))
            for policy in ("none", "interpolated"):
                bow = 4 * one.profile.t * (1 - one.profile.t)
                found["policies"][original, method, s, policy] = {"values": 0.02 + GAP * shape["rise"] * bow}
    return found
