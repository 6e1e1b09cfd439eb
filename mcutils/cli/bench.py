"""Speed of the core as ratios to plain torch: one thread, variants interleaved, medians over repetitions.

And the explorer in a browser (`bench_explorer`), its moves as ratios to the time they may take, its memory as ratios to
what it was before.

Times are CPU-seconds of this process, which a busy machine blurs little; only processes against threads is a
matter of wall time, and wants an idle machine.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ..curves import Curve, fit_curve
from ..data.tasks import Task, load_task
from ..engine.cluster import cores
from ..engine.runs import one_thread
from ..errors import instance
from ..files import write_file
from ..measures.metrics import correct, per_example_loss
from ..settings import MethodSettings, Plan
from ..traces import BATCH, SPLITS, Trace, trace
from ..training import train
from ..weights import Weights, module_of

# Upper bounds, but for processes, which is a speed-up.
GOALS = {"evaluation": 1.10, "fit": 1.10, "bf16": 0.70, "processes": 1.3}
GOALS |= {"page": 1.0, "page heap": 1.05, "lab": 1.0, "lab heap": 1.05, "kernel": 1.05}
BUSY = 0.15  # load of others per core from which wall times mean nothing
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A network to measure, and sizes that keep the measurement to a minute or two.

    A point of a trace looks at ``rows`` examples of each split and ``bn`` images for BatchNorm statistics; a
    fit takes ``steps`` steps of ``batch`` examples, after ``trained`` steps of training for each end.
    """

    model: str
    points: int
    rows: int
    bn: int
    batch: int
    steps: int
    trained: int
    about: str


CASES = (
    Case("convnet", 31, 256, 256, 128, 63, 150, "31 points"),
    Case("resnet18", 2, 16, 32, 32, 4, 6, "2 points, since one takes seconds and the others repeat it"),
)
QUICK = (Case("convnet", 3, 16, 32, 16, 3, 3, "3 points, as a trial"),)


def main(out: Path, quick: bool = False) -> int:
    """Measure every ratio, print a table and write it to ``out`` as JSON; return 0.

    A row has ``name``, ``model``, ``ratio`` (a median; null where not measured), ``goal``, ``bound``
    (``at most`` or ``at least``), ``holds`` (null where this machine cannot tell), ``repetitions`` and
    ``detail``. ``quick`` tries everything once at tiny sizes.
    """
    rows: list[Row] = []
    with one_thread():
        for case in QUICK if quick else CASES:
            for measured in measure(case, 1 if quick else 5):
                rows.append(measured)
                print(line_of(measured), flush=True)
    for measured in explorer_rows(quick):
        rows.append(measured)
        print(line_of(measured), flush=True)
    write_file(out, json.dumps(rows, indent=1) + "\n")
    return 0


def line_of(row: Row) -> str:
    """One line of the printed table."""
    verdict = {True: "holds", False: "missed", None: "unknown"}[row["holds"]]
    goal = f"{'>=' if row['bound'] == 'at least' else '<='} {row['goal']:.2f}"
    ratio = "     -" if row["ratio"] is None else f"{row['ratio']:>6.3f}"
    return f"{row['name']:<11}{row['model']:<10}{ratio}  {goal:<8} {verdict:<8} {row['detail']}"


def measure(case: Case, repetitions: int) -> Iterator[Row]:
    """The rows of one network, each as soon as it is known."""
    task = small_task(case)
    plan = Plan(lr=3e-3, steps=case.trained, batch_size=case.batch, schedule="one_cycle")
    start, end = (train(task, case.model, seed=seed, plan=plan) for seed in (0, 1))
    curve = Curve("bezier", (start, start, end))
    batches = seen(task)
    kept: dict[str, Trace] = {}

    def evaluate(precision: str) -> None:
        kept[precision] = trace(curve, task, case.points, precision=precision)

    variants = (lambda: evaluate("float32"), lambda: forward(start, batches, case.points), lambda: evaluate("bfloat16"))
    seconds = interleaved(variants, repetitions)
    count = sum(len(batch) for batch in batches)
    rate = count * case.points / median(seconds[:, 0])
    about = f"{case.about}, {count} images each, {case.bn} of them for BatchNorm; {rate:,.0f} images/CPU-s"
    yield row("evaluation", case.model, seconds[:, 0] / seconds[:, 1], about)
    yield row("bf16", case.model, seconds[:, 2] / seconds[:, 0], deviation(kept), why_not=no_bf16())

    plan = Plan(lr=1e-3, steps=case.steps, batch_size=case.batch)
    settings, setups = MethodSettings(plan), []

    def fit() -> float:
        clock = Clock()
        fit_curve(start, end, task, seed=0, settings=settings, plan=plan, progress=clock)
        setups.append(clock.setup)
        return clock.seconds

    seconds = interleaved((fit, lambda: plain_training(start, task, plan)), repetitions)
    step = median(seconds[:, 0]) / (case.steps - 1)
    setup = median(setups[1:]) / step
    about = f"{case.steps} steps of {case.batch}, {1000 * step:.0f} ms each; set-up, left out: {setup:.1f} steps"
    yield row("fit", case.model, seconds[:, 0] / seconds[:, 1], about)
    yield processes(case, repetitions)


def explorer_rows(quick: bool = False) -> Iterator[Row]:
    """Moves and memory of the explorer, in a page and in JupyterLab; rows that say why where there is no browser."""
    from . import bench_explorer as seen

    names = {"page": ("page", "page heap"), "lab": ("lab", "lab heap", "kernel")}
    if why_not := seen.lacking():
        for name in (name for group in names.values() for name in group):
            yield row(name, "explorer", [], "", why_not=f"not measured, since {why_not}")
        return
    for one in seen.measured(20, 40, 5) if quick else seen.measured():
        place = one["place"]
        took = [ms / seen.GOAL_MS[place] for ms in one["took"]]
        yield row(place, "explorer", took, f"{seen.words(one)}; goal {seen.GOAL_MS[place]:g} ms", why_not=busy(one))
        after = f"{one['moves']} moves" if place == "page" else f"{one['cycles']} explorers made and closed"
        for name in names[place][1:]:
            pair = one["kernel" if name == "kernel" else "heap"]
            alive = f"; widgets alive {one['widgets'][0]} and {one['widgets'][1]}" if name == "kernel" else ""
            about = f"{pair[0]:.1f} MB, after {after} {pair[1]:.1f} MB{alive}"
            yield row(name, "explorer", [seen.growth(pair)], about)


def busy(one: Row) -> str:
    """Why times of a browser cannot be judged on this machine now; empty where they can."""
    other = None if one["load"] is None else one["load"] - 1
    return f"{cores()} cores were busy with other processes" if other is not None and other > BUSY * cores() else ""


def row(name: str, model: str, ratios: Sequence[float], detail: str, *, why_not: str = "") -> Row:
    """A row of the report; ``why_not`` says why the goal cannot be judged here."""
    ratio, least = float(median(ratios)) if len(ratios) else None, name == "processes"
    held = ratio is not None and (ratio >= GOALS[name] if least else ratio <= GOALS[name])
    return {
        "name": name,
        "model": model,
        "ratio": None if ratio is None else round(ratio, 4),
        "goal": GOALS[name],
        "bound": "at least" if least else "at most",
        "holds": None if why_not else held,
        "repetitions": len(ratios),
        "detail": "; ".join(filter(None, (detail, why_not))),
    }


def interleaved(variants: Sequence[Callable[[], float | None]], repetitions: int) -> np.ndarray:
    """CPU-seconds (repetitions, variants) of variants taken in turn, one round to warm up aside.

    A variant that returns a number has timed itself.
    """
    rounds = []
    for _ in range(repetitions + 1):
        taken = []
        for variant in variants:
            began = time.process_time()
            own = variant()
            taken.append(time.process_time() - began if own is None else own)
        rounds.append(taken)
    return np.array(rounds[1:])


class Clock:
    """Called after each step of a descent; counts CPU-seconds from the end of the first to that of the last.

    So neither set-up nor a first step that allocates memory counts: an epoch has more steps than fit in here.
    """

    def __init__(self) -> None:
        self.began = time.process_time()
        self.ends: list[float] = []

    def __call__(self, number: int, loss: float) -> None:  # noqa: ARG002
        self.ends.append(time.process_time())

    @property
    def seconds(self) -> float:
        """CPU-seconds of all steps but the first."""
        return self.ends[-1] - self.ends[0]

    @property
    def setup(self) -> float:
        """CPU-seconds before the first step, and what that step took more than the others."""
        return self.ends[0] - self.began - self.seconds / (len(self.ends) - 1)


@cache
def small_task(case: Case) -> Task:
    """Fashion-MNIST with the case's numbers of examples to evaluate and of images for BatchNorm."""
    task = load_task("fashion-mnist")
    caps = {"bn": case.bn, **dict.fromkeys(("retain_eval", "forget", "valid", "test"), case.rows)}
    return replace(task, index={split: rows[: caps.get(split)] for split, rows in task.index.items()})


def seen(task: Task) -> list[torch.Tensor]:
    """What one point of a trace looks at, batch by batch: images to evaluate, then those for BatchNorm."""
    evaluated = torch.cat([images(task)[rows] for rows in task.evaluation.values()])
    parts = [x.to(memory_format=torch.channels_last) for x in (evaluated, images(task)[task.index["bn"]])]
    return [batch for part in parts for batch in part.split(BATCH)]


def images(task: Task) -> torch.Tensor:
    """The images of a task, which is one of images."""
    return instance("x of the task", task.x, torch.Tensor, "a tensor of images")


def forward(weights: Weights, batches: Sequence[torch.Tensor], points: int) -> None:
    """The floor of an evaluation: a module's bare forward pass over as many images."""
    module = module_of(weights).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        for _ in range(points):
            for batch in batches:
                module(batch)


def plain_training(weights: Weights, task: Task, plan: Plan) -> float:
    """The floor of a fit: the CPU-seconds of as many steps of training in plain torch."""
    clock = Clock()
    module = copy.deepcopy(weights.net).requires_grad_(True).train()
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in place
    optimizer = torch.optim.AdamW(module.parameters(), lr=plan.lr, weight_decay=plan.weight_decay, foreach=True)
    rows = task.index["retain"]
    order = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    for number, chunk in enumerate(order.split(plan.batch_size)[: plan.steps]):
        loss = F.cross_entropy(module(images(task)[chunk].to(memory_format=torch.channels_last)), task.y[chunk])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        clock(number, loss.item())
    return clock.seconds


def deviation(kept: dict[str, Trace]) -> str:
    """How far bfloat16 moves a curve: the largest changes of a split's mean loss and accuracy, over all t."""
    a, b = kept["float32"], kept["bfloat16"]
    loss, accuracy = (
        max(np.abs(metric(a, split).mean(1) - metric(b, split).mean(1)).max() for split in SPLITS)
        for metric in (per_example_loss, correct)
    )
    return (
        f"changes mean losses by {loss:.1e} nats and accuracies by {100 * accuracy:.2f} points "
        f"at most, over splits of {len(a.labels['retain'])}"
    )


def no_bf16() -> str:
    """Why bfloat16 cannot be judged on this processor; empty where it has instructions for it."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "whether this processor has bfloat16 instructions is unknown"
    return "" if "bf16" in flags else "this processor has no bfloat16 instructions"


def processes(case: Case, repetitions: int) -> Row:
    """Two trainings: wall time in one process of two threads over that in two processes of one thread.

    Not measured on a machine busy with other things, where two threads mostly wait for each other.
    """
    others = max(0.0, os.getloadavg()[0] - 1) if hasattr(os, "getloadavg") else 0.0
    ratios, why_not = [], ""
    if cores() < 2:
        why_not = "not measured, since there is only one core"
    elif others > BUSY * cores():
        why_not = f"not measured, since {cores()} cores are busy with other processes (load {others:.1f})"
    else:
        pool = partial(ProcessPoolExecutor, mp_context=get_context("spawn"), initializer=prepare)
        with pool(1, initargs=(2, case)) as threads, pool(2, initargs=(1, case)) as apart:
            rounds = [both_jobs(threads, case) / both_jobs(apart, case) for _ in range(repetitions + 1)]
        ratios = rounds[1:]
    return row("processes", case.model, ratios, "speed-up of 2 processes over 2 threads, wall time", why_not=why_not)


def prepare(threads: int, case: Case) -> None:
    """What a worker process does before its first training."""
    torch.set_num_threads(threads)
    small_task(case)


def trained(case: Case, seed: int) -> None:
    """One training of a worker process."""
    plan = Plan(steps=max(2, case.steps // 3), batch_size=case.batch)
    train(small_task(case), case.model, seed=seed, plan=plan)


def both_jobs(pool: Executor, case: Case) -> float:
    """Wall seconds that a pool needs for two trainings."""
    began = time.perf_counter()
    list(pool.map(partial(trained, case), (0, 1)))
    return time.perf_counter() - began
