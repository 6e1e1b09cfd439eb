"""Training: the original and the retrained model, by cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .curricula import CURRICULA, Weighing
from .data.tasks import Task
from .descent import Goal, batches, check_plan, generator
from .errors import callback, choose, flag, seed_of
from .networks import Model, check_task, network_for, ready
from .objectives import Step, retain_loss
from .optimizers import OPTIMIZERS
from .settings import Plan, settings_name, train_plan
from .weights import Weights


# One argument for each thing that training can differ in; the curriculum and the optimiser are those of `unlearn`.
def train(  # noqa: PLR0913
    task: Task,
    model: Model = "convnet",
    *,
    seed: int,
    plan: Plan | None = None,
    split: str = "train",
    init: int | None = None,
    curriculum: str = "none",
    optimizer: str | None = None,
    progress: Callable[[int, float], None] | None = None,
    weighted: bool = False,
    **options: int,
) -> Weights:
    """Train a network with cross-entropy on ``split`` (``train``: the original model; ``retain``: the retrained one).

    ``model`` is a name, a factory (a function without arguments that returns a new module) or a module, which is
    trained from where it stands. ``seed`` draws the initial weights of a name or a factory and the order of batches;
    ``init``, where given, draws the weights, of a module too. Parameters with ``requires_grad`` off stay as they are.
    ``plan`` defaults to the settings of the data set and model; ``options`` go to the architecture (``width``).
    ``curriculum`` weighs the examples of each batch by their losses (`curricula.CURRICULA`, with its own options), and
    ``optimizer`` defaults to the plan's, whose learning rate it has.
    BatchNorm statistics are those of the task's ``bn`` rows, which are retain data (see `weights.refresh_batchnorm` for
    ``weighted``); all other buffers are those that training left. On one thread and one library version a rerun is
    bit-identical. Raises `BadInput` for a network that does not give one logit for each class.

    >>> import mcutils as mc
    >>> task = mc.load_task("digits", 0.1, train_size=240, test_size=60)
    >>> train(task, "convnet", seed=0, plan=Plan(steps=2), width=2).model
    'convnet'
    """
    check_task(task), check_plan(plan), flag("weighted", weighted)
    choose("curriculum", curriculum, CURRICULA)
    if optimizer is not None:
        choose("optimizer", optimizer, OPTIMIZERS)
    seed, init = seed_of(seed), None if init is None else seed_of(init, "init")
    rows = task.index[choose("split", split, task.index)]
    start = network_for(task, model, seed if init is None else init, fresh=init is not None, **options)
    plan = plan or train_plan(settings_name(task.dataset, start.model))
    plan = plan if optimizer is None else replace(plan, optimizer=optimizer)
    begin = ready(start, task, rows, plan)
    goal = Goal(retain_loss, Weighing(curriculum, task.n_classes), plan, seed, callback(progress))
    rng = generator(seed, "labels")
    stream = batches(task, rows, plan.batch_size, generator(seed, "retain"))
    goal.pursue(begin.free, ((None, Step(b, None, generator=rng)) for b in stream), lambda _: begin.net)
    return begin.finished(weighted)
