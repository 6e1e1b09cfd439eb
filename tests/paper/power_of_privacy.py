"""How often the rows of 10 find what docs/protocol.md plants, and how often they find what is not there.

Not a test: ``PYTHONPATH=. python tests/paper/power_of_privacy.py 20`` walks so many made worlds a row and replaces the
rows of 10 in docs/power.csv. Seeds vary by 0.05 A, shares regained by 0.1, retrained models too.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import made_privacy as made
from power import COLUMNS

from mcutils.paper import privacy as room, trials
from mcutils.paper.privacy_pool import ANEW, n4

POWER = Path(__file__).parents[2] / "docs" / "power.csv"
# claim -> what is planted in words, that, nothing in words, how it is judged
PLANS = {
    "C14": ("a bump of 0.5 A in the middle", {"bump": 0.5}, "no bump", room.c14_row),
    "C14 between methods": ("methods 0.5 A apart", {"apart": 0.5}, "methods alike", room.c14_between_row),
    "N4": ("0.05 of AUC", {"worse": 0.2}, "nothing", "original"),
    "N4 beside retrained": ("0.05 of AUC", {"worse": 0.2}, "nothing", ANEW),
    "N6": ("0.2 regained", {"returned": 0.2}, "none regained", room.n6_row),
}


def verdict(claim: str, walks, truth: made.Truth) -> str:
    """The word of a row on made numbers; N4's on a pool of 28 shadows and 400 targets to keep."""
    test = PLANS[claim][-1]
    if isinstance(test, str):
        pool = of_seed(truth)
        return n4(pool, pool.methods, test).verdict
    few = made.pool(made.Truth(shadows=2), (4, 4, 4), ())
    return test(walks, room.Privacy(made.attacks(truth), made.rounded(truth), few, made.levels())).verdict


@cache
def of_seed(truth: made.Truth):
    """The pool of a world, which both rows of N4 read."""
    return made.pool(replace(truth, shadows=28), (4, 400, 4), ("npo", "scrub", "l1_sparse"))


def rows(most: int) -> list[dict]:
    """A row of the table for each claim."""
    trials.DRAWS, walks, found = 0, made.walks(), []
    for claim, (words, planted, nothing, test) in PLANS.items():
        worlds = min(most, 10) if isinstance(test, str) else most  # a pool takes a second
        there = [verdict(claim, walks, made.Truth(**planted, seed=k)) for k in range(worlds)].count("supported")
        false = [verdict(claim, walks, made.Truth(seed=1000 + k)) for k in range(worlds)].count("supported")
        found.append(dict(zip(COLUMNS, (claim, words, "supported", there, nothing, false, worlds, 0.05), strict=True)))
        print(found[-1], flush=True)
    return found


def main(worlds: int) -> None:
    with open(POWER, newline="", encoding="utf-8") as file:
        kept = [row for row in csv.DictReader(file) if row["claim"] not in PLANS]
    made_now = rows(worlds)
    with open(POWER, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *made_now])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2] or ["20"]))
