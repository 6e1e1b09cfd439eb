"""The split of a shadow pool: who is in which of many models, so that each example has models with and without it.

The training pool is cut once into a core, which every model learns, and targets to forget and to keep. Shadow j learns
the core and a random half of both kinds of target and is then unlearned of its half of the forget targets. Models
retrained on the rest (core and the half to keep) never saw any forget target: as many serve every shadow and method.
Shadows 2i and 2i + 1 have complementary halves, so that of any even number of shadows every target is in exactly half.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from ..errors import BadInput, choose, whole
from .tasks import Task, forgetting_first, shuffled

SHADOWS = 28  # as many as two cores make in 45 minutes
TARGETS = {"forget": 2 / 9, "keep": 1 / 9}  # shares of the pool: 2,000 and 1,000 of 9,000 images, and a core of 6,000
SHARE = 2 / 15  # that a shadow forgets of what it learned: 1,000 of 7,500
KINDS = tuple(TARGETS)
SPLITS = {kind: f"{kind}_targets" for kind in KINDS}  # where a shadow's task lists all targets, held or not


def sizes(pool: int) -> dict[str, int]:
    """How many examples of a pool are core, targets to forget and targets to keep; the targets are even numbers.

    >>> sizes(9_000)
    {'core': 6000, 'forget': 2000, 'keep': 1000}
    """
    found = {kind: 2 * round(whole("pool", pool, 18) * share / 2) for kind, share in TARGETS.items()}
    return {"core": pool - sum(found.values()), **found}


def targets(task: Task) -> dict[str, np.ndarray]:
    """Rows of the core and of both kinds of target, the same for every draw of the forget set and every shadow."""
    pool = np.sort(task.rows("train").cpu().numpy())
    size = sizes(len(pool))
    order = pool[shuffled(len(pool), f"mcutils/{task.seed}/shadows")]
    forget, keep, core = np.split(order, [size["forget"], size["forget"] + size["keep"]])
    return {"forget": forget, "keep": keep, "core": core}


@lru_cache(maxsize=256)
def _half(count: int, seed: int, kind: str, pair: int) -> np.ndarray:
    """Which of ``count`` targets the first shadow of a pair holds, (count,) bool: half of them at random."""
    found = np.zeros(count, dtype=bool)
    found[shuffled(count, f"mcutils/{seed}/shadows/{kind}/{pair}")[: count // 2]] = True
    return found


def held(task: Task, kind: str, shadows: int = SHADOWS) -> np.ndarray:
    """Which shadow learned which target of a kind, ``forget`` or ``keep``, in the order of `targets`: (shadows, N).

    Every row holds half of the targets; with an even number of shadows so does every column of the shadows. More
    shadows leave those there are as they are.
    """
    count = sizes(len(task.rows("train")))[choose("kind of target", kind, KINDS)]
    rows = [_half(count, task.seed, kind, j // 2) ^ bool(j % 2) for j in range(whole("shadows", shadows, 1))]
    return np.array(rows)


def shadowed(task: Task, shadow: int) -> Task:
    """The task of one shadow: it learns core and halves, forgets its half of the forget targets and retains the rest.

    ``forget_targets`` and ``keep_targets`` are all targets, held or not, in an order common to all shadows;
    ``retain_eval`` and ``bn`` are of the core, the same for all shadows; ``valid`` and ``test`` are the task's. Raises
    `BadInput` for a pool of fewer than 18 examples, what `parts_of` refuses, a task that is a shadow's already.
    """
    if "core" in task.index:
        raise BadInput("this is the task of a shadow already.")
    rows, shadow = targets(task), whole("shadow", shadow)
    half = {kind: rows[kind][held(task, kind, shadow + 1)[shadow]] for kind in KINDS}
    pool = np.concatenate([half["forget"], half["keep"], rows["core"]])
    # As if the core were all that is retained, so that what is evaluated and refreshed on is every shadow's.
    forgets_first = np.concatenate([half["forget"], rows["core"]])
    made = forgetting_first(task, forgets_first, len(half["forget"]), forget=len(half["forget"]) / len(pool), draw=0)
    own = {"train": pool, "retain": pool[len(half["forget"]) :].copy(), "core": rows["core"]}
    own |= {name: rows[kind] for kind, name in SPLITS.items()}
    return replace(made, index={**made.index, **{name: torch.from_numpy(r).to(task.device) for name, r in own.items()}})
