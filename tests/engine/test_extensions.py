"""What is registered at run time works like what the package holds: in lists, grids, keys, runs and on workers."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

import mcutils as mc
from mcutils import plugins
from mcutils.cli.main import catalogue
from mcutils.engine.specs import key, metric_of
from mcutils.errors import BadInput
from mcutils.objectives import Term, cross_entropy
from mcutils.plugins import KINDS, forget, packed, register, unpacked


@pytest.fixture(autouse=True)
def clean():
    """Whatever a test registers is gone after it."""
    before = set(plugins.REGISTERED)
    yield
    for kind, name in set(plugins.REGISTERED) - before:
        forget(kind, name)


@pytest.fixture
def study(tmp_path):
    return mc.study("smoke", str(tmp_path / "store"), fresh=True, seeds=(1, 2), points=3)


def mine(net, step, *, push=0.1):
    """Retain loss minus a little forget loss."""
    return (
        Term(1.0, cross_entropy(net(step.retain.x), step.retain.y)),
        Term(-push, cross_entropy(net(step.forget.x), step.forget.y)),
    )


def last(trace, *, references):
    """Accuracy on the last forget image alone."""
    return (trace.logits["forget"][:, -1].argmax(-1) == trace.labels["forget"][-1]).astype(float)


def polyline(points, t):
    """A chain of straight pieces."""
    return tuple(max(0.0, 1 - abs(t * (points - 1) - j)) for j in range(points))


def points_in_two_classes(path=None):
    """200 points of 5 numbers; the sign of the first is the class."""
    x = np.random.default_rng(0).normal(size=(200, 5))
    return x, (x[:, 0] > 0).astype(int)


REGISTER = {
    "method": (mine, {"uses": "both"}),
    "curriculum": (lambda losses, state, *, power=1.0: torch.ones_like(losses), {}),
    "optimizer": (lambda params, lr, weight_decay, *, eps=1e-8: torch.optim.Adam(params, lr, eps=eps), {}),
    "curve": (polyline, {}),
    "model": (
        lambda channels, classes, width=4: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(classes)),
        {},
    ),
    "metric": (last, {"direction": "retrained", "splits": "forget"}),
    "similarity": (lambda a, b, split: 1.0, {"needs": "traces"}),
    "dataset": (points_in_two_classes, {}),
}
LISTED = {"curriculum": "curricula", "similarity": "similarities"}


@pytest.mark.parametrize("kind", sorted(REGISTER))
def test_each_kind_has_a_registration_that_shows_in_the_list(kind):
    function, options = REGISTER[kind]
    register(kind, "mine", **options)(function)
    assert "mine" in KINDS[kind].table
    assert any(row["name"] == "mine" for row in catalogue(LISTED.get(kind, f"{kind}s")))


def test_every_kind_is_tried():
    assert set(REGISTER) | {"edit"} >= set(KINDS)


@pytest.mark.parametrize(
    ("kind", "function", "options"),
    [
        ("method", lambda net: None, {}),
        ("method", mine, {"uses": "all"}),
        ("method", mine, {"references": ("teacher",)}),
        ("metric", last, {"direction": "sideways"}),
        ("metric", lambda trace: None, {}),
        ("metric", last, {"splits": "train"}),
        ("metric", last, {"references": "nobody"}),
        ("curriculum", torch.nn.ReLU(), {}),
        ("similarity", lambda a, b: 0.0, {"needs": "images"}),
        ("curve", lambda points: (), {}),
        ("curve", lambda points, t: (t, *[0.0] * (points - 2), 1 - t), {}),
        ("optimizer", lambda params, lr: None, {}),
    ],
)
def test_what_does_not_fit_its_kind_is_refused_when_registered(kind, function, options):
    with pytest.raises(BadInput):
        register(kind, "mine", **options)(function)
    assert "mine" not in KINDS[kind].table


def test_a_registered_method_runs_in_a_grid_without_tuned_settings(study, capsys):
    register("method", "mine")(mine)
    (spec,) = study.grid(method=["mine"], seed=[1])
    assert "untuned" in capsys.readouterr().err
    (end,) = study.run([spec], engine="serial")
    assert end.method == "mine"
    assert any(not torch.equal(p, end.origin.params[name]) for name, p in end.weights.params.items())


def test_a_method_rewritten_under_its_name_is_another_result(study):
    register("method", "mine")(mine)
    first = key(study.unlearned("mine", 1))

    def other(net, step, *, push=0.1):
        return (Term(2.0, cross_entropy(net(step.retain.x), step.retain.y)),)

    register("method", "mine")(other)
    second = key(study.unlearned("mine", 1))
    register("method", "mine", version=2)(other)
    assert len({first, second, key(study.unlearned("mine", 1))}) == 3


def test_what_is_registered_changes_no_key_of_the_package(study):
    before = key(study.profile(study.path(study.unlearned("npo", 1), study.unlearned("npo", 2))))
    for kind, (function, options) in REGISTER.items():
        register(kind, "mine", **options)(function)
    assert key(study.profile(study.path(study.unlearned("npo", 1), study.unlearned("npo", 2)))) == before


def test_a_new_metric_is_computed_alone_and_profiles_stay_as_they_are(study):
    model = study.profile(study.original())
    (before,) = study.run([model], engine="serial")
    register("metric", "last", splits="forget")(last)
    found = study.run([model, metric_of(model, "last")], engine="serial")
    assert "metric/last" not in found[0].arrays and set(found[0].arrays) == set(before.arrays)
    (trace,) = study.run([model.trace], engine="serial")
    np.testing.assert_array_equal(found[1]["values"], last(trace, references={}))


def test_registrations_reach_another_process_that_has_none_of_their_modules(tmp_path):
    (tmp_path / "own_module.py").write_text(
        textwrap.dedent(
            """
            import mcutils as mc
            FACTOR = 3
            def helper(x):
                return FACTOR * x
            @mc.register("curve", "odd")
            def odd(points, t):
                return (helper(1 - t) / 3, *[0.0] * (points - 2), t)
            """
        )
    )
    sys.path.insert(0, str(tmp_path))
    try:
        __import__("own_module")
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("own_module", None)
    (tmp_path / "sent").write_bytes(packed())
    code = (
        "import sys, mcutils.engine.extensions; from mcutils.plugins import *; from mcutils.curves import CURVES;"
        f"adopt(unpacked(open({str(tmp_path / 'sent')!r}, 'rb').read()));"
        "print(CURVES['odd'](2, 0.25), identity('curve', 'odd'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout.strip() == f"(0.75, 0.25) {plugins.identity('curve', 'odd')}", done.stderr
    assert [one.name for one in unpacked(packed())] == ["odd"] and unpacked(b"") == []


def test_a_study_with_what_is_registered_runs_on_workers(study):
    register("method", "mine")(mine)
    register("metric", "last", splits="forget")(last)
    a, b = study.grid(method=["mine"], seed=[1, 2])
    path = study.profile(study.path(a, b))
    found = study.run([path, metric_of(path, "last")], engine="local", workers=2)
    assert found[1]["values"].shape == (3,)


def test_registered_data_give_a_task_and_a_study(tmp_path):
    register("dataset", "mine")(points_in_two_classes)
    register("model", "straight")(lambda channels, classes: torch.nn.Sequential(torch.nn.Linear(channels, classes)))
    task = mc.load_task("mine", 0.2)
    assert task.classes == ("0", "1") and len(task.y) == 200 and len(task.rows("test")) == 40
    assert mc.load_task("mine", 0.2).checksum == task.checksum
    study = mc.study("smoke", str(tmp_path), fresh=True, dataset="mine", model="straight", train_size=100, test_size=40)
    (theta,) = study.run([study.original()], engine="serial")
    assert theta.params["0.weight"].shape == (2, 5)


def test_registered_data_of_several_tensors_are_refused():
    x = {"ids": torch.arange(60).reshape(20, 3), "mask": torch.ones(20, 3)}
    register("dataset", "mine")(lambda: (x, np.arange(20) % 2))
    with pytest.raises(BadInput, match="'mine' must give one array of examples"):
        mc.load_task("mine", 0.2)


def test_other_data_under_the_same_name_are_other_results(tmp_path):
    keys = set()
    for size in (200, 210):
        register("dataset", "mine")(lambda size=size: (np.arange(3.0 * size).reshape(size, 3), np.arange(size) % 2))
        keys.add(key(mc.study("smoke", str(tmp_path), fresh=True, dataset="mine").original()))
    assert len(keys) == 2


# A model of one's own


class Tower(torch.nn.Module):
    """A linear layer behind one of `width` numbers, on flattened images."""

    def __init__(self, channels, classes, width):
        super().__init__()
        self.inner = torch.nn.Linear(channels * 64, width)
        self.outer = torch.nn.Linear(width, classes)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x.flatten(1))))


def tower(channels, classes, width=3):
    """A small tower, made anew at every call."""
    return Tower(channels, classes, width)


def test_a_study_takes_a_registered_model_on_serial_and_local_engines_alike(tmp_path):
    register("model", "tower")(tower)
    given = {"dataset": "digits", "model": "tower", "width": 5, "train_size": 240, "test_size": 60, "points": 3}
    found = {}
    for engine in ("serial", "local"):
        study = mc.study("smoke", str(tmp_path / engine), fresh=True, seeds=(1, 2), **given)
        path = study.profile(study.path(*study.grid(method=["npo"], seed=[1, 2])))
        theta, retrained, profile = study.run([study.original(), study.retrained(1), path], engine=engine, workers=2)
        assert theta.params["inner.weight"].shape == (5, 64)
        assert not torch.equal(theta.params["inner.weight"], retrained.params["inner.weight"])
        found[engine] = theta.params, profile.metric("RA")
    for name, values in found["serial"][0].items():
        assert torch.equal(values, found["local"][0][name])
    np.testing.assert_array_equal(found["serial"][1], found["local"][1])


def test_another_model_under_the_same_name_is_another_result(tmp_path):
    keys = set()
    for made in (tower, lambda channels, classes, width=3: torch.nn.Sequential(torch.nn.Flatten(), Tower(1, 10, 2))):
        register("model", "tower")(made)
        keys.add(key(mc.study("smoke", str(tmp_path), fresh=True, dataset="digits", model="tower").original()))
    assert len(keys) == 2


@pytest.mark.parametrize("given", [tower, Tower(1, 10, 2), Tower], ids=["function", "module", "class"])
def test_a_model_without_a_name_is_refused_and_told_how_to_get_one(given, tmp_path):
    with pytest.raises(BadInput, match=r'mc\.register\("model"\)'):
        mc.study("smoke", str(tmp_path), fresh=True, dataset="digits", model=given)


SCRIPT = """
import sys, mcutils as mc
print("begun", __file__ is not None)

@mc.register("method")
def mine(net, step):
    return mc_terms(net, step)

from mcutils.objectives import retain_loss as mc_terms
study = mc.study("smoke", sys.argv[1], fresh=True, train_size=200, test_size=60)
study.run(study.grid(method=["mine"], seed=[1, 2]), engine="local", workers=2)
print("ended", __file__ is not None)
"""


def test_a_script_without_a_guard_runs_once_on_local_workers(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    asked = [sys.executable, tmp_path / "script.py", tmp_path / "store"]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("begun True") == done.stdout.count("ended True") == 1 and "Traceback" not in done.stderr
