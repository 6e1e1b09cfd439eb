"""How often the rows of 11 find what docs/protocol.md plants, and how often they find it where nothing is.

Not a test: ``PYTHONPATH=. python tests/paper/power_of_eleven.py [worlds]`` prints a line a row. Cells vary by four
times the smallest standard error that a row believes in: test accuracies by 0.002, areas by 0.008, sharpness by 0.2.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from made_eleven import Planted, eleven

from mcutils.paper import trial_ledger, trials

PLANTED = Planted(gain=0.006, number=0.01, placed=0.01, area=-0.05, sharper=-0.3, rho=-0.9, spread=4.0)
NOTHING = replace(Planted(), spread=4.0)
ROWS = [row.name for row in trial_ledger.ROWS if row.on == ("ensembles",)]


def words(planted: Planted, seed: int) -> dict[str, str]:
    """Row -> its word by the chord, in one made world."""
    walks, found = eleven(planted, seed=seed)
    judged = trial_ledger.judge_room({"ensembles": walks}, ROWS, ensembles=found, readings=("chord",))
    return {one.row.name: one.verdict for one in judged}


def main(worlds: int = 20) -> None:
    """Print how many worlds support each row, with its effect planted and with nothing."""
    trials.DRAWS = 0
    counted = [[words(one, seed) for seed in range(worlds)] for one in (PLANTED, NOTHING)]
    for row in ROWS:
        found, false = (sum(world[row] == "supported" for world in part) for part in counted)
        print(f"{row}: supported in {found} of {worlds}, where nothing is in {false}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
