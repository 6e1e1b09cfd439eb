"""Relearning: an attacker trains an unlearned model on what it has, and forgotten examples that it has not come back.

One call of the loop that trains and unlearns, with cross-entropy. Which data the attacker has, how fast it learns and
for how long are an `Attack`; it is judged on the forgotten examples that no attacker sees (`held_back`). After Siddiqui
et al. 2025 (arXiv 2505.22310: retained data and n in {0, 10, 50, ...} forgotten examples, scored on the others) and the
25 steps of the authors' later repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..curricula import Weighing
from ..data.tasks import Task, images_of
from ..descent import Goal, batches, generator
from ..errors import BadInput, callback, choose, flag, number, seed_of, whole
from ..networks import check_task, ready
from ..objectives import Batch, Network, Step, Term, cross_entropy, together
from ..settings import Plan
from ..trajectories import Trajectory
from ..weights import Weights, check_weights
from .snapshots import Camera, check_steps

SEEN = 50  # the most forgotten examples that an attacker has: the others judge every attack
DATA = ("retain", "forgotten", "lookalikes")
MIXING = ("paired", "shuffled")
RATES = (1 / 10, 1 / 3, 1.0)  # of the peak rate at which the original model was trained
SHORT = (0, 5, 10, 15, 20, 25)  # steps of the short attack that are looked at
EPOCHS = 10


@dataclass(frozen=True)
class Attack:
    """What an attacker has and how it trains.

    ``data``: D_r alone (``retain``), with ``examples`` forgotten ones (``forgotten``), or with as many that look like
    them (``lookalikes``). ``rate`` is a share of the peak learning rate of the original's training. ``steps``, or
    ``epochs`` of D_r where these are not 0. ``mixing``: in each step a batch of D_r and one of the other examples, all
    of them if they are few (``paired``), or batches of both shuffled together (``shuffled``, as published, where ten
    examples among thousands are hardly met in 25 steps).
    """

    data: str = "retain"
    examples: int = 0
    rate: float = 1.0
    steps: int = 25
    epochs: int = 0
    mixing: str = "paired"

    def __post_init__(self) -> None:
        choose("attacker's data", self.data, DATA), choose("mixing", self.mixing, MIXING)
        for name, low in (("examples", 0), ("steps", 1), ("epochs", 0)):
            object.__setattr__(self, name, whole(name, getattr(self, name), low))
        object.__setattr__(self, "rate", number("rate", self.rate, 0))
        if bool(self.examples) != (self.data != "retain"):
            raise BadInput(f"an attacker with {self.data} has examples beside D_r or none, got {self.examples}.")
        if self.data == "forgotten" and self.examples > SEEN:
            raise BadInput(f"an attacker has at most {SEEN} forgotten examples, got {self.examples}.")

    def plan(self, training: Plan, retained: int) -> Plan:
        """The plan of the attack on ``retained`` examples, from that of the original's training: its optimiser and
        batches, a constant rate and no weight decay."""
        steps = self.epochs * max(1, retained // training.batch_size) if self.epochs else self.steps
        made = replace(training, lr=self.rate * training.lr, steps=steps, weight_decay=0.0, schedule="constant")
        return replace(made, forget_batch_size=made.batch_size)

    def looked_at(self, plan: Plan) -> tuple[int, ...]:
        """The steps after which the attacked model is looked at: `SHORT` up to the last, or the end of each epoch."""
        each = plan.steps // self.epochs if self.epochs else 0
        found = range(0, plan.steps + 1, each) if each else [step for step in SHORT if step < plan.steps]
        return tuple(sorted({*found, plan.steps}))


def held_back(task: Task, seen: int = SEEN) -> Task:
    """The task whose forget split is what no attacker sees: all of D_f but its first ``seen`` examples.

    D_f is in random order, so its beginning is a random part, and that of fewer examples part of that of more. Raises
    `BadInput` where fewer than two are left.
    """
    rows, seen = check_task(task).index["forget"], whole("seen", seen, 0)
    if len(rows) - seen < 2:
        raise BadInput(f"of {len(rows)} forgotten examples {seen} may be an attacker's: too few are left to judge by.")
    return replace(task, index={**task.index, "forget": rows[seen:]})


def lookalikes(task: Task, examples: int) -> Tensor:
    """Rows (examples,) of the validation images that are nearest to D_f, the nearest first.

    By the Euclidean distance in pixels to the nearest forgotten image of the same class: what somebody could get who
    knows what D_f looks like. Raises `BadInput` for other than images, or more than there are.
    """
    rows, size = task.rows("valid"), whole("examples", examples, 1)
    forgotten, x = task.rows("forget"), images_of(task, "look-alikes are found among images").flatten(1)
    apart = torch.cdist(x[rows].double(), x[forgotten].double())
    apart = apart.masked_fill(task.y[rows][:, None] != task.y[forgotten][None], torch.inf).amin(dim=1)
    alike = int(apart.isfinite().sum())
    if size > alike:
        raise BadInput(f"{alike} validation images are of a class of D_f, got {size} examples to look for.")
    return rows[apart.argsort(stable=True)[:size]]


def attacker_rows(task: Task, attack: Attack) -> Tensor:
    """Rows of what the attacker has beside D_r: the first forgotten examples, look-alikes, or none."""
    if attack.data == "lookalikes":
        return lookalikes(task, attack.examples)
    held_back(task)
    return task.rows("forget")[: attack.examples]


def relearning_loss(net: Network, step: Step) -> tuple[Term, ...]:
    """Cross-entropy with true labels, the mean over all examples of a step; both batches pass in one forward call."""
    given = [batch for batch in (step.retain, step.forget) if batch is not None]
    total = sum(len(batch.y) for batch in given)
    pairs = zip(given, together(net, *given), strict=True)
    return tuple(Term(len(batch.y) / total, cross_entropy(logits, batch.y)) for batch, logits in pairs)


def relearn(
    theta: Weights, task: Task, attack: Attack, *, seed: int, training: Plan, steps: Iterable[int] | None = None,
    progress: Callable[[int, float], None] | None = None, weighted: bool = False,
) -> Trajectory:  # fmt: skip
    """Attack an unlearned model and return the models that the attack passes through; ``theta`` is left as it is.

    Args:
        theta: the unlearned model, or any other (a retrained one is the control), and the ``task`` it unlearned.
        seed: draws the batches.
        training: the plan by which the original was trained (see `Attack.plan`).
        steps: after which the model is kept, from 0 to the last; by default `Attack.looked_at`.
        progress: called with the number and the loss of each step.
        weighted: see `weights.refresh_batchnorm`.

    Returns the snapshots, BatchNorm statistics of each re-estimated on D_r; `traces.trace` evaluates them at once, on
    `held_back` (task) where the forget split should hold only what no attacker saw. Raises `BadInput` for too few
    forgotten examples to judge by, weights that cannot be trained, steps that do not go from 0 to the last.
    """
    check_weights(theta, "theta"), check_task(task), flag("weighted", weighted)
    seed, retained = seed_of(seed), task.index["retain"]
    other, plan = attacker_rows(task, attack), attack.plan(training, len(task.index["retain"]))
    if attack.mixing == "shuffled":
        retained, other = torch.cat([retained, other]), other[:0]
    begin = ready(theta, task, retained, plan)
    looked_at = attack.looked_at(plan) if steps is None else check_steps(steps, plan.steps)
    camera = Camera(begin, looked_at, callback(progress))
    goal = Goal(relearning_loss, Weighing("none", task.n_classes), plan, seed, camera)
    draw: list[Any] = [batches(task, retained, plan.batch_size, generator(seed, "retain"))]
    draw.append(batches(task, other, plan.forget_batch_size, generator(seed, "seen")) if len(other) else None)

    def step() -> Step:
        batch: list[Batch | None] = [None if one is None else next(one) for one in draw]
        return Step(batch[0], batch[1])

    camera.see(0)
    goal.pursue(begin.free, ((None, step()) for _ in range(plan.steps)), lambda _: begin.net)
    taken, points = zip(*camera.snapshots(weighted), strict=True)
    return Trajectory("chain", points, steps=taken)
