"""Every public function of training, unlearning, curves, traces and weights refuses bad arguments in one sentence."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mcutils as mc
from mcutils import curves, optimizers, weights
from mcutils.descent import descend, generator
from mcutils.models import vision as models
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.endpoints import unlearn

PLAN = Plan(lr=1e-3, steps=1, batch_size=8, forget_batch_size=8)
SETTINGS = MethodSettings(PLAN)

SEEDS = (True, 1.0, "1", 0.5, None, -1, 2**63, math.nan, [1], np.float64(1), np.bool_(True), torch.tensor(1.5), 10**30)
COUNTS = (0, -1, True, 1.0, 2.5, "2", None, math.inf, [2])
NAMES = ("nonsense", "", 1, None, True, ["adamw"], {"a": 1}, b"none")
OPTIONAL_NAMES = tuple(bad for bad in NAMES if bad is not None)
FLAGS = (1, 0, "yes", None, 1.0)
NO_TASK = (None, "digits", 1, np.zeros(3), [], nn.Linear(2, 2))
NO_WEIGHTS = (None, "convnet", 1, nn.Linear(2, 2), {}, [], np.zeros(3), torch.zeros(3))
NO_PLAN = ("adamw", 1, {"lr": 1}, SETTINGS, True)
NO_SETTINGS = ("npo", 1, {}, PLAN)
UNKNOWN_OPTION = (MethodSettings(PLAN, (("bet", 1),)), MethodSettings(PLAN, (("beta", "x"),)))
BAD_OPTION = (MethodSettings(PLAN, (("beta", True),)), MethodSettings(PLAN, (), (("lam", "x"),)))
BAD_T = (
    0, 1, -3, True, 0.5, 10**9, 10_002, 2.5, "abc", None, [], [0.5, 0.2], [0.2, 0.2], [-0.1], [1.5], [math.nan],
    ["0.5"],
)  # fmt: skip
MORE_T = ([True, 1], {0.1: 1}, np.zeros((2, 2)), [[0.1], [0.2]], np.linspace(0, 1, 20_000), object())
NO_MODEL = (None, 1, True, "resnet19", "", [], {}, lambda: None, lambda: 1 / 0, lambda x: x, int, nn.ReLU(), nn.ReLU)
NOT_CALLED = (1, "bar", True, [])
NO_X = (None, 1, "x", np.zeros((3, 1, 8, 8)), [])

BAD = {
    "train": {
        "task": NO_TASK, "model": NO_MODEL, "seed": SEEDS, "init": tuple(bad for bad in SEEDS if bad is not None),
        "plan": NO_PLAN, "split": ("nonsense", 1, None, ["train"], True), "progress": NOT_CALLED, "weighted": FLAGS,
        "width": (0, -1, 2.0, "4", True, None, 10**9), "depth": (3,),
    },
    "retrain": {
        "task": NO_TASK, "model": NO_MODEL, "seed": SEEDS, "init": SEEDS[:4], "plan": NO_PLAN, "progress": NOT_CALLED,
        "split": ("retain", "train", 1),
    },
    "unlearn": {
        "theta": NO_WEIGHTS, "task": NO_TASK, "method": NAMES, "seed": SEEDS, "curriculum": NAMES,
        "optimizer": OPTIONAL_NAMES, "settings": (*NO_SETTINGS, *UNKNOWN_OPTION, *BAD_OPTION), "progress": NOT_CALLED,
        "weighted": FLAGS,
    },
    "trajectory": {
        "theta": NO_WEIGHTS, "task": NO_TASK, "method": NAMES, "seed": SEEDS,
        "steps": ([], [1], [0], [0, 5], [0, 9, 3], [0, 2.5], [True, 2], "all", 3, {}), "curriculum": NAMES,
        "settings": NO_SETTINGS, "progress": NOT_CALLED,
    },
    "fit_curve": {
        "start": NO_WEIGHTS, "end": NO_WEIGHTS, "task": NO_TASK, "kind": NAMES,
        "control_points": (*COUNTS, 101, 10**9), "seed": SEEDS, "recipe": NAMES, "method": OPTIONAL_NAMES,
        "curriculum": OPTIONAL_NAMES, "optimizer": OPTIONAL_NAMES, "settings": NO_SETTINGS, "plan": NO_PLAN,
        "origin": tuple(bad for bad in NO_WEIGHTS if bad is not None), "progress": NOT_CALLED,
    },
    "superloss": {"settings": (MethodSettings(PLAN, (), (("lam", "x"),)), MethodSettings(PLAN, (), (("lam", 0),)))},
    "to": {"where": ("nonsense", 1.5, "cuda:99", [])},
    "line": {"start": NO_WEIGHTS, "end": NO_WEIGHTS},
    "trace": {
        "model": (*NO_WEIGHTS, lambda: None), "task": NO_TASK, "t": (*BAD_T, *MORE_T), "batchnorm": NAMES,
        "precision": NAMES, "dtype": (*NAMES, np.float32, torch.float32), "batch_size": COUNTS, "weighted": FLAGS,
    },
    "weights_of": {"module": (None, 1, "convnet", nn.ReLU(), nn.Linear), "model": (1, True, ["x"])},
    "Curve": {
        "kind": NAMES, "points": (None, 1, "ab", [], (1, 2), [nn.Linear(2, 2)] * 2, {}),
    },
    "at": {"t": (-0.1, 1.1, math.nan, math.inf, "0.5", None, True, [0.5], 1j)},
    "geometry": {"curve": NO_WEIGHTS, "origin": (1, "x", [])},
    "refresh_batchnorm": {"weights": NO_WEIGHTS, "x": NO_X, "batch_size": COUNTS, "weighted": FLAGS},
    "distance": {"a": NO_WEIGHTS, "b": NO_WEIGHTS},
    "cosine": {"a": NO_WEIGHTS, "b": NO_WEIGHTS, "origin": NO_WEIGHTS},
    "flatten": {"weights": NO_WEIGHTS},
    "count": {"weights": NO_WEIGHTS},
    "module_of": {"weights": NO_WEIGHTS},
    "save": {"path": (None, 1, "", "a\0b"), "points": (None, 1, [], [1], nn.Linear(2, 2))},
    "load": {"path": (None, 1, "", "/no/such/file", __file__), "net": (1, "convnet", nn.Linear, nn.Linear(3, 3))},
    "build": {
        "name": NAMES, "channels": COUNTS, "classes": COUNTS, "seed": SEEDS, "width": (0, -1, 1.5, "4", True),
        "depth": (1,),
    },
    "make_optimizer": {
        "name": NAMES, "params": (None, 1, [], "x", [1]), "lr": (-1, math.nan, "1", None, True),
        "weight_decay": (-1, math.nan, "1", None, True),
        "betas": (1, (2, 0.5), ("a", "b"), None, (0.9,), (0.9, 1.0), (math.nan, 0.5)), "nonsense": (1,),
    },
    "sophia_g": {
        "betas": (1, (2, 0.5), ("a", "b"), None, (0.9,), (math.nan, 0.5), (1.0, 0.9), (0.9, -0.1)),
        "rho": (0, -1, "x", None, math.nan, True),
        "interval": COUNTS,
    },
    "soul": {"betas": (1, None, (1.0, 0.9), (0.9, -0.1)), "rho": (0, -1.0, "x"), "terms": COUNTS},
    "sgd": {"momentum": (-1, "x", None, math.nan, True)},
    "descend": {"plan": (Plan(schedule="step"), Plan(optimizer="adam"), Plan(options=(("betas", 1),)))},
    "generator": {"seed": SEEDS},
}  # fmt: skip
CASES = [
    (function, argument, k)
    for function, table in BAD.items()
    for argument, bad in table.items()
    for k in range(len(bad))
]


@pytest.fixture(scope="module")
def calls(tiny, tmp_path_factory):
    """Each function with good arguments, which the rows of the table replace one at a time."""
    a, b = (weights.weights_of(models.build("convnet", 1, 10, seed, width=2), "convnet") for seed in (0, 1))
    path = tmp_path_factory.mktemp("api") / "w.safetensors"
    own = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    weights.save(path, [weights.weights_of(own)])
    leaf = lambda: torch.zeros(2, 2, requires_grad=True)  # noqa: E731
    ends = {"start": a, "end": b, "task": tiny, "seed": 0, "plan": PLAN}
    optimizer = {"params": [leaf()], "lr": 0.1, "weight_decay": 0.0}
    named = lambda name: lambda **k: optimizers.make_optimizer(name, **k)  # noqa: E731
    return {
        "train": (mc.train, {"task": tiny, "seed": 0, "plan": PLAN}),
        "retrain": (mc.retrain, {"task": tiny, "seed": 0, "plan": PLAN}),
        "unlearn": (mc.unlearn, {"theta": a, "task": tiny, "method": "npo", "seed": 0, "settings": SETTINGS}),
        "trajectory": (mc.trajectory, {"theta": a, "task": tiny, "method": "npo", "seed": 0, "settings": SETTINGS}),
        "fit_curve": (mc.fit_curve, ends),
        "superloss": (
            lambda settings: mc.unlearn(a, tiny, "npo", seed=0, curriculum="superloss", settings=settings),
            {"settings": SETTINGS},
        ),
        "to": (a.to, {"where": "cpu"}),
        "line": (mc.line, {"start": a, "end": b}),
        "trace": (mc.trace, {"model": mc.line(a, b), "task": tiny, "t": [0.5]}),
        "weights_of": (mc.weights_of, {"module": own}),
        "Curve": (mc.Curve, {"kind": "bezier", "points": (a, b)}),
        "at": (mc.line(a, b).at, {"t": 0.5}),
        "geometry": (curves.geometry, {"curve": mc.line(a, b)}),
        "refresh_batchnorm": (weights.refresh_batchnorm, {"weights": a, "x": tiny.x[:8]}),
        "distance": (weights.distance, {"a": a, "b": b}),
        "cosine": (weights.cosine, {"a": a, "b": b, "origin": a.to(torch.float64).to(torch.float32)}),
        "flatten": (weights.flatten, {"weights": a}),
        "count": (weights.count, {"weights": a}),
        "module_of": (weights.module_of, {"weights": a}),
        "save": (weights.save, {"path": path.with_name("other"), "points": [a]}),
        "load": (weights.load, {"path": path, "net": own}),
        "build": (models.build, {"name": "convnet", "channels": 1, "classes": 10, "seed": 0}),
        "make_optimizer": (optimizers.make_optimizer, {"name": "adamw", **optimizer}),
        "sophia_g": (named("sophia_g"), optimizer),
        "soul": (named("soul"), optimizer),
        "sgd": (named("sgd"), optimizer),
        "descend": (
            lambda plan: descend({"x": leaf()}, range(3), lambda step: torch.zeros(()), plan),
            {"plan": Plan(steps=0)},
        ),
        "generator": (generator, {"seed": 0, "purpose": "test"}),
    }


@pytest.mark.parametrize("name", BAD)
def test_the_good_arguments_are_good(calls, name):
    function, good = calls[name]
    function(**good)


def test_there_are_many_rows():
    assert len(CASES) >= 120


@pytest.mark.parametrize(("name", "argument", "k"), CASES, ids=lambda part: str(part))
def test_bad_arguments_are_refused_in_one_sentence(calls, name, argument, k):
    function, good = calls[name]
    with pytest.raises(mc.BadInput) as caught:
        function(**{**good, argument: BAD[name][argument][k]})
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 400, text


def test_whole_numbers_of_numpy_are_whole_numbers(calls, tiny):
    function, good = calls["train"]
    one, other = (
        function(**{**good, "seed": seed, "width": width}) for seed, width in ((3, 2), (np.int64(3), np.int32(2)))
    )
    assert all(torch.equal(other.params[name], value) for name, value in one.params.items())
    assert type(other.net.recipe["width"]) is int
    function, good = calls["unlearn"]
    end = function(**{**good, "seed": np.int64(5)})
    assert type(end.seed) is int and end.seed == 5
    assert mc.trace(calls["trace"][1]["model"], tiny, np.int64(3), batch_size=np.int32(64)).meta["batch_size"] == "64"
    assert len(mc.fit_curve(**{**calls["fit_curve"][1], "control_points": np.int8(2)}).points) == 4


def test_an_endpoint_of_another_task_is_refused(calls, tiny):
    function, good = calls["unlearn"]
    end = replace(function(**good), task="elsewhere")
    for call in (
        lambda: mc.trace(end, tiny),
        lambda: mc.fit_curve(end, end, tiny, seed=0),
        lambda: mc.line(end, function(**good)),
    ):
        with pytest.raises(mc.BadInput, match="task"):
            call()
    with pytest.raises(mc.BadInput, match="theta must be weights"):
        unlearn(end, tiny, "npo", seed=0)
