"""How often the declared tests find what docs/protocol.md plants, and how often they find what is not there.

Not a test: ``PYTHONPATH=. python tests/paper/power.py`` walks 50 made worlds a claim and writes docs/power.csv, a row
at a time. Walks of one original and context vary by 0.05 G about what is planted.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from made_worlds import METHODS, Shape, World, controlled, walk, world

from mcutils.paper import declared, trials

WORLDS, SPREAD = 50, 0.05
COLUMNS = "claim planted word found nothing false worlds spread".split()
GAPS = {original: {"js_retrained_forget": 0.05, "zrf": 0.06, "accuracy_test": 0.1} for original in range(8)}
USE = {(o, m): 0.1 * k for o in range(8) for k, m in enumerate(METHODS)}

RELIANCE = dict.fromkeys(range(8), 0.5)


@dataclass(frozen=True)
class Plan:
    """Of a row: its test, the parts of a world that it reads, a world with what is planted, and one without."""

    test: object
    parts: tuple[str, ...]
    planted: object
    words: str
    empty: object = lambda labels: Shape()
    nothing: str = "straight paths"
    word: str = "supported"
    options: dict = field(default_factory=dict)  # of the world without


def flat(labels) -> Shape:
    return Shape()


def where(condition: str, dip: float):
    return lambda labels: Shape(dip=dip if labels["condition"] == condition else 0.0)


def half_by_fit(labels) -> Shape:
    changed = labels.get("objective") or labels.get("recipe")
    return Shape(dip=0.5 if changed and METHODS.index(labels["method"]) % 2 == 0 else 0.0)


def contexts(labels) -> Shape:
    """eps of 0.3 G, but 0.1 with a curriculum and 0.5 with second order, for one method each."""
    name = labels["condition"], labels["method"]
    return Shape(dip={("cl-non_cl", "npo"): 0.1, ("fo-so", "scrub"): 0.5}.get(name, 0.3))


def pairs(labels) -> Shape:
    pair = {labels["method"], labels.get("other")}
    return Shape(dip=0.05 if pair == set(METHODS[:2]) else 0.3 if pair == set(METHODS[2:4]) else 0.1)


def kinds(labels) -> Shape:
    worse = {"npo": "linear", "scrub": "bezier"}.get(labels["method"])
    return Shape(dip=0.35 if labels["kind"] == worse else 0.05)


def tenth(labels) -> Shape:
    """Dips of 0.2 G in one of twelve (method, kind), on all originals."""
    return Shape(dip=0.2 if (labels["method"], labels["kind"]) == ("npo", "bezier") else 0.0)


def cue(labels) -> Shape:
    if labels.get("form") != "cue":
        return Shape()
    return Shape(dip=abs(USE[0, labels["method"]] - USE[0, labels["other"]]))


def of_originals(shape, seed):
    """Lines and curves between originals, which `world` has none of."""
    made = World(shape, spread=SPREAD, seed=seed)
    labels = {"condition": "originals", "method": "original"}
    return [walk(made, original=o, kind=kind, **labels) for o in range(8) for kind in ("linear", "bezier")]


def ratio(curve: float):
    return lambda labels: Shape(rise=curve if labels["kind"] == "bezier" else 5.0)


BOTH = ("random", "fits")
PLANS = {
    "C1": Plan(declared.c1, ("random",), flat, "straight paths", lambda labels: Shape(dip=0.2), "dips of 0.2 G in all"),
    "C1, no path": Plan(
        declared.c1, ("random",), lambda labels: Shape(dip=0.2), "dips of 0.2 G in all", flat, word="contradicted"
    ),
    "C2 deficit": Plan(
        declared.c2, ("random",), lambda labels: Shape(dip=0.2 + SPREAD * METHODS.index(labels["method"])),
        "method means 1 sd apart", lambda labels: Shape(dip=0.2), "equal dips",
    ),
    "C4": Plan(declared.c4, ("sizes",), lambda labels: Shape(dip=0.5 - 3 * labels.get("size", 0.1)),
               "0.2 of what was forgotten", lambda labels: Shape(dip=0.2), "equal dips"),
    "C5": Plan(declared.c5, ("random", "cl-non_cl"), where("cl-non_cl", 0.2), "a shift of 0.2 G"),
    "C6": Plan(declared.c6, ("random", "fo-so"), where("fo-so", 0.2), "a shift of 0.2 G"),
    "C7": Plan(declared.c7, ("random", "cl-non_cl", "fo-so"), contexts, "one method at -0.2 G, one at 0.2 G",
               lambda labels: Shape(dip=0.3), "equal dips"),
    "C8": Plan(declared.c8, ("method",), pairs, "one pair at 0.05 G, one at 0.3 G, the others at 0.1 G",
               lambda labels: Shape(dip=0.3), "dips of 0.3 G in all"),
    "C9": Plan(declared.c9, ("random",), flat, "independent smooth excesses", flat, "six metrics that are one",
               options={"patterns": "shared"}),
    "C10": Plan(lambda walks: declared.c10(walks, GAPS), ("random",), flat, "metrics that wander",
                lambda labels: Shape(moves=0.02), "metrics as still as on twins"),
    "C11": Plan(declared.c11, ("random",), lambda labels: Shape(gain=0.01 * (labels["method"] == "npo")),
                "a gain of 0.01 in one method"),
    "C12": Plan(declared.c12, BOTH, lambda labels: Shape(dip=0.4 * bool(labels.get("recipe"))), "all fail by 0.4 G"),
    "C13": Plan(declared.c13, ("random",), kinds, "one method at 0.3 G, one at -0.3 G"),
    "C15": Plan(declared.c15, ("progress",), lambda labels: Shape(step=0.8), "a step at t = 1/2",
                lambda labels: Shape(dip=0.2), "quadratics"),
    "C16": Plan(declared.c16, ("progress",), where("retraining", 0.3), "a dip of 0.3 G in all"),
    "C21": Plan(declared.c21, ("random",), tenth, "dips of 0.2 G in one of twelve"),
    "C23": Plan(declared.c23, BOTH, half_by_fit, "half of the verdicts change"),
    "C24": Plan(declared.c24, BOTH, half_by_fit, "half of the verdicts change"),
    "E4": Plan(lambda walks: declared.shift(walks, "random_in_cl"), ("random", "random_in_cl"),
               where("random_in_cl", 0.2), "a shift of 0.2 G"),
    "M0": Plan(declared.m0, (), ratio(0.2), "barriers of 0.2 G on curves and 5 G on lines", ratio(5.0),
               "curves like lines"),
    "M1": Plan(lambda walks: declared.m1(walks, USE, RELIANCE), ("cue",), cue, "deficit = difference in cue use",
               lambda labels: Shape(dip=0.2), "equal dips"),
}  # fmt: skip


def walks_of(plan: Plan, shape, seed: int, **options):
    if not plan.parts:
        return of_originals(shape, seed)
    if plan.test in (declared.c11, declared.c9) or plan is PLANS["C10"]:
        options = {"patterns": "own", **options}
    else:
        options["patterns"] = "none"
    return world(controlled(shape), plan.parts, spread=SPREAD, seed=seed, **options)


def row(claim: str, worlds: int = WORLDS) -> dict:
    """How often a claim's test says the planted word with it planted, and without."""
    plan = PLANS[claim]
    found = [plan.test(walks_of(plan, plan.planted, seed)).verdict for seed in range(worlds)]
    false = [plan.test(walks_of(plan, plan.empty, 1000 + seed, **plan.options)).verdict for seed in range(worlds)]
    counts = found.count(plan.word), plan.nothing, false.count(plan.word)
    return dict(zip(COLUMNS, (claim, plan.words, plan.word, *counts, worlds, SPREAD), strict=True))


def main(path: Path, worlds: int = WORLDS) -> None:
    trials.DRAWS = 0
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for claim in PLANS:
            writer.writerow(row(claim, worlds))
            file.flush()


if __name__ == "__main__":
    main(Path(__file__).parents[2] / "docs" / "power.csv", *map(int, sys.argv[1:2]))
