"""Speed as ratios: the core beside plain torch on one thread, the explorer's moves in a page beside their goal.

``make bench`` prints a row a ratio and writes them into build/bench.json; ``--quick`` tries everything once. Times are
CPU-seconds, variants taken in turn; only processes against threads, and a page, are wall time and want an idle machine.
"""

import copy
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from browsing import CHROMIUM, started
from torch.nn import functional as F

import mcutils as mc
from mcutils.engine.cluster import cores
from mcutils.engine.runs import one_thread
from mcutils.explorer.sources import sources
from mcutils.files import BUILD, write_file
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import BATCH
from mcutils.weights import module_of

# Upper bounds, but for processes, which is a speed-up; a page's move is a ratio to 15 ms.
GOALS = {"evaluation": 1.10, "fit": 1.10, "bf16": 0.70, "processes": 1.3, "page": 1.0, "page heap": 1.05}
BUSY = 0.15  # load of others per core from which wall times mean nothing
MOVE_MS = 15.0
MOVE = """async (count) => {
  const slider = document.querySelector('.mcutils-explorer input.t'), took = [], last = Number(slider.max);
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = done;
    after.port2.postMessage(0);
  }));
  for (let n = 1, k = Number(slider.value), step = 1; n <= count; n += 1) {
    await new Promise((done) => setTimeout(done, 2 + ((n * 0.618034) % 1) * 16.7));
    step = k + step > last ? -1 : k + step < 0 ? 1 : step;
    k += step;
    const from = performance.now();
    slider.value = k;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await painted();
    took.push(performance.now() - from);
  }
  return took;
}"""
HEAP = "() => { window.gc(); return performance.memory.usedJSHeapSize / 1e6; }"
# model, points of a trace, examples of each split, images for BatchNorm, examples and steps of a fit
CASES = ("convnet", 31, 256, 256, 128, 63), ("resnet18", 2, 16, 32, 32, 4)
QUICK = (("convnet", 3, 16, 32, 16, 3),)


def row(name, model, ratios, detail="", why_not=""):
    """A row of the report; ``why_not`` says why the goal cannot be judged here."""
    ratio = float(median(ratios)) if len(ratios) else None
    held = ratio is not None and (ratio >= GOALS[name] if name == "processes" else ratio <= GOALS[name])
    verdict = None if why_not else held
    detail = "; ".join(filter(None, (detail, why_not)))
    told = {True: "holds", False: "missed", None: "unknown"}[verdict]
    print(f"{name:<11}{model:<10}{'-' if ratio is None else f'{ratio:.3f}':>6}  {GOALS[name]:.2f}  {told:<8} {detail}")
    return {"name": name, "model": model, "ratio": ratio, "goal": GOALS[name], "holds": verdict, "detail": detail}


def interleaved(variants, repetitions):
    """CPU-seconds (repetitions, variants) of variants taken in turn, one round to warm up aside."""
    rounds = []
    for _ in range(repetitions + 1):
        taken = []
        for variant in variants:
            began = time.process_time()
            own = variant()  # a number where it has timed itself
            taken.append(time.process_time() - began if own is None else own)
        rounds.append(taken)
    return np.array(rounds[1:])


@cache
def small_task(rows, bn):
    """Fashion-MNIST with so many examples of each split to evaluate and so many images for BatchNorm."""
    task = mc.load_task("fashion-mnist")
    caps = {"bn": bn, **dict.fromkeys(("retain_eval", "forget", "valid", "test"), rows)}
    return replace(task, index={split: rows[: caps.get(split)] for split, rows in task.index.items()})


def core(case, repetitions):
    """Evaluation, bfloat16, a fit and processes of one network."""
    model, points, rows, bn, batch, steps = case
    task = small_task(rows, bn)
    plan = Plan(lr=3e-3, steps=2 * steps, batch_size=batch, schedule="one_cycle")
    start, end = (mc.train(task, model, seed=seed, plan=plan) for seed in (0, 1))
    path = mc.Curve("bezier", (start, start, end))
    seen = torch.cat([task.x[rows] for rows in task.evaluation.values()]), task.x[task.index["bn"]]
    batches = [part for x in seen for part in x.to(memory_format=torch.channels_last).split(BATCH)]
    module = module_of(start).to(memory_format=torch.channels_last)

    def bare():
        with torch.inference_mode():
            for _ in range(points):
                for part in batches:
                    module(part)

    evaluate = [partial(mc.trace, path, task, points, precision=name) for name in ("float32", "bfloat16")]
    variants = [lambda: evaluate[0]() and None, bare, lambda: evaluate[1]() and None]
    full, floor, half = interleaved(variants, repetitions).T
    yield row("evaluation", model, full / floor, f"{points} points, {sum(map(len, batches))} images each")
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    yield row("bf16", model, half / full, why_not="" if "bf16" in flags else "no bfloat16 instructions are known of")

    plan = Plan(lr=1e-3, steps=steps, batch_size=batch)
    ends = []

    def fit():
        ends.clear()
        mc.fit_curve(start, end, task, seed=0, settings=MethodSettings(plan), plan=plan, progress=note)
        return ends[-1] - ends[0]  # without set-up and the first step, which allocates memory

    def plain():
        ends.clear()
        net = copy.deepcopy(start.net).requires_grad_(True).train().to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(net.parameters(), lr=plan.lr, weight_decay=plan.weight_decay, foreach=True)
        for number, chunk in enumerate(task.index["retain"].split(batch)[:steps]):
            loss = F.cross_entropy(net(task.x[chunk].to(memory_format=torch.channels_last)), task.y[chunk])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            note(number, loss.item())
        return ends[-1] - ends[0]

    def note(number, loss):
        ends.append(time.process_time())

    took = interleaved((fit, plain), repetitions)
    yield row("fit", model, took[:, 0] / took[:, 1], f"{steps} steps of {batch}")
    if cores() < 2 or others() > BUSY * cores():
        yield row("processes", model, [], why_not="not measured, since one core or a busy machine")
        return
    pool = partial(ProcessPoolExecutor, mp_context=get_context("spawn"), initializer=torch.set_num_threads)
    with pool(1, initargs=(2,)) as threads, pool(2, initargs=(1,)) as apart:
        rounds = [both(threads, case) / both(apart, case) for _ in range(repetitions + 1)]
    yield row("processes", model, rounds[1:], "speed-up of 2 processes over 2 threads, wall time")


def others():
    """How many processes of others wanted to run in the last minute."""
    return max(0.0, os.getloadavg()[0] - 1) if hasattr(os, "getloadavg") else 0.0


def trained(case, seed):
    """One training of a worker process."""
    mc.train(small_task(*case[2:4]), case[0], seed=seed, plan=Plan(steps=max(2, case[5] // 3), batch_size=case[4]))


def both(pool, case):
    """Wall seconds that a pool needs for two trainings."""
    began = time.perf_counter()
    list(pool.map(partial(trained, case), (0, 1)))
    return time.perf_counter() - began


def page(moves, more):
    """Moves of the slider in an exported page, until each is painted, and its memory before and after more of them."""
    path = next((one.read() for one in sources(mc.study()) if one.traced), None)
    if CHROMIUM is None or path is None:
        why = "not measured, since chromium is not installed or no path with logits is stored (run 00)"
        return [row(name, "explorer", [], why_not=why) for name in ("page", "page heap")]
    with TemporaryDirectory() as folder, started() as browser:
        file = Path(folder) / "page.html"
        write_file(file, mc.explore({"a path": path.trace}, task=path.known_task).page())
        shown = browser.new_page(viewport={"width": 1280, "height": 800})
        shown.goto(file.as_uri())
        shown.wait_for_selector(".panels svg")
        took, before = shown.evaluate(MOVE, moves), shown.evaluate(HEAP)
        shown.evaluate(MOVE, more)
        after = shown.evaluate(HEAP)
    why = "cores were busy with other processes" if others() > BUSY * cores() else ""
    about = f"median {median(took):.1f} ms, {moves} moves, goal {MOVE_MS:g} ms"
    heap = f"{before:.1f} MB, after {more} moves {after:.1f} MB"
    return [
        row("page", "explorer", [ms / MOVE_MS for ms in took], about, why),
        row("page heap", "explorer", [after / before], heap),
    ]


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    with one_thread():
        found = [one for case in (QUICK if quick else CASES) for one in core(case, 1 if quick else 5)]
    found += page(20, 40) if quick else page(1000, 2000)
    write_file(BUILD / "bench.json", json.dumps(found, indent=1) + "\n")
