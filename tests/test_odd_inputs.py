"""Files of another kind, odd tensors, and registered functions that return what they should not: one sentence each."""

import io
import os
import signal
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import synthetic
import torch
from PIL import Image
from safetensors.torch import save as as_safetensors
from torch import nn

import mcutils as mc
from mcutils import weights
from mcutils.curricula import CURRICULA
from mcutils.curves import CURVES
from mcutils.data.scenarios import Scenario, scenario_of
from mcutils.data.tasks import DATA, load_task
from mcutils.errors import BadInput, choose
from mcutils.explorer.page import filled
from mcutils.fits import Fit
from mcutils.measures.connectivity import connectivity
from mcutils.measures.metrics import METRICS, Metric, measure
from mcutils.measures.planes import Plane
from mcutils.measures.profiles import Profile
from mcutils.objectives import Term, retain_loss
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.methods import METHODS, Method

PLAN = Plan(steps=2, batch_size=16, forget_batch_size=16)
DEEP = "[" * 100_000 + "]" * 100_000
CURVE, MODEL = synthetic.trace(5), synthetic.trace(seed=1, margin=5.0)


def refused(call, match=None):
    """The sentence in which a call is refused, within three seconds: nothing waits for a pipe."""

    def too_long(*_):
        raise KeyboardInterrupt("it waited")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(3)
    try:
        with pytest.raises(BadInput, match=match) as error:
            call()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    text = str(error.value)
    assert text.endswith(".") and len(text) < 500 and text.isprintable(), text
    return text


def npz(**arrays):
    np.savez(file := io.BytesIO(), **{name.replace("__", "/"): value for name, value in arrays.items()})
    return file.getvalue()


def zipped():
    with zipfile.ZipFile(file := io.BytesIO(), "w") as content:
        content.writestr("hello.txt", "hi")
    return file.getvalue()


def tensors(**meta):
    return as_safetensors({"0/params/weight": torch.ones(1, 1)}, meta)


META, T = np.array(["a=b"]), np.zeros(1)
SAVED = io.BytesIO()
CURVE.save(SAVED)
FILES = {
    "empty": b"",
    "text": b"hello",
    "half": SAVED.getvalue()[: len(SAVED.getvalue()) // 2],
    "flipped": SAVED.getvalue()[:500] + b"xxxx" + SAVED.getvalue()[504:],
    "zip": zipped(),
    "arrays": npz(a=T, metric__x=T),
    "no facts": npz(t=T),
    "no t": npz(meta=META, metric__x=T),
    "facts in numbers": npz(meta=np.ones(2), t=T, metric__x=np.ones(2)),
    "facts without =": npz(meta=np.array(["ab"]), t=T),
    "another group": npz(meta=META, t=T, foo__bar=T),
    "another array": npz(meta=META, t=T, foo=T),
    "pickled": npz(meta=np.array([{}], dtype=object)),
    "pickled t": npz(meta=META, t=np.array([{}], dtype=object), metric__x=T),
    "no numbers": npz(meta=META, t=T, differences__retain=np.array(["a"])),
    "safetensors": tensors(),
    "no recipe": tensors(points="1", model="x"),
    "broken recipe": tensors(recipe="[[", points="1", model="x"),
    "deep recipe": tensors(recipe=DEEP, points="1", model="x"),
    "text as recipe": tensors(recipe='"abc"', points="1", model="x"),
    "recipe of nothing": tensors(recipe='{"a": 1}', points="1", model="x"),
    "points in words": tensors(recipe="null", points="one", model="x"),
    "frozen number": tensors(recipe="null", points="1", model="x", frozen="7"),
}
LOADERS = {"trace": mc.Trace.load, "plane": Plane.load, "weights": weights.load}


@pytest.mark.parametrize("name", [*FILES, "folder", "missing", "pipe", "loop"])
@pytest.mark.parametrize("loader", LOADERS)
def test_a_file_of_another_kind_is_refused(loader, name, tmp_path):
    path = tmp_path / "odd"
    if name in FILES:
        path.write_bytes(FILES[name])
        refused(lambda: LOADERS[loader](io.BytesIO(FILES[name])))
    elif name == "folder":
        path.mkdir()
    elif name == "pipe":
        os.mkfifo(path)
    elif name == "loop":
        path.symlink_to(path)
    refused(lambda: LOADERS[loader](path))


@pytest.mark.parametrize("name", ["empty", "text", "half", "zip", "safetensors"])
def test_a_profile_is_read_of_no_other_file(name):
    refused(lambda: Profile.load(io.BytesIO(FILES[name])))


def test_a_profile_of_half_its_points_is_none():
    along = {"t": np.linspace(0, 1, 4), "metric/UA": np.zeros(4), "band/loss_test": np.zeros((2, 4)), "gap": T[0]}
    Profile(along)
    for name in ("t", "metric/UA"):
        refused(lambda name=name: Profile({**along, name: along[name][::2]}), "one value a point")
    refused(lambda: Profile({**along, "band/loss_test": np.zeros((2, 2))}), "one value a point")


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "such" / "folder"):
        refused(lambda path=path: CURVE.save(path), "cannot be written")


def test_json_nested_deep_is_refused(tmp_path):
    refused(lambda: Fit.read(DEEP), "cannot be read")
    (tmp_path / "checksums.json").write_text(DEEP)
    refused(lambda: load_task(path=tmp_path), "checksums.json")


def test_no_pipe_is_waited_for(tmp_path):
    (tmp_path / "checksums.json").write_bytes((DATA / "checksums.json").read_bytes())
    os.mkfifo(tmp_path / "fashion-mnist.npz")
    refused(lambda: load_task(path=tmp_path), "no regular file")
    (tmp_path / "checksums.json").unlink()
    os.mkfifo(tmp_path / "checksums.json")
    refused(lambda: load_task(path=tmp_path), "checksums.json")
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "images" / name / "0.png")
    os.mkfifo(tmp_path / "images" / "a" / "1.png")
    refused(lambda: mc.task(tmp_path / "images"), "example 1 .* no regular file")


def test_a_file_that_is_no_image_is_named(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "\x1b[31m.png").write_bytes(b"text")
    assert "0x" not in refused(lambda: mc.task(tmp_path), r"example 0 .*x1b\[31m.png' is no image")


def test_names_of_files_do_not_steer_the_terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a sentence shows a long path in part
    odd = "\x1b[31mred\udcff"
    for call in (weights.load, mc.Trace.load, mc.task, lambda path: load_task(path=path)):
        assert r"\x1b[31mred\udcff" in refused(lambda call=call: call(odd)).replace("\\\\", "\\")


@pytest.mark.parametrize("odd", ["b\ud800", "b\0", "\x1b[31mb"])
def test_names_of_classes_are_printable(odd):
    x, labels = np.random.default_rng(0).random((60, 5)), np.arange(60) % 3
    refused(lambda: mc.task(x, labels, classes=["a", odd, "c"]), "control characters")
    refused(lambda: mc.task(x, [["a", odd, "b"][k] for k in labels]), "control characters")


# Tensors


@pytest.fixture(scope="module")
def nets(tiny):
    return [weights.weights_of(mc.models.vision.build("convnet", 1, 10, seed, width=2), "convnet") for seed in (0, 1)]


def test_weights_are_dense_tensors_that_hold_numbers(nets):
    theta = nets[0]
    for odd in (
        {name: value.numpy() for name, value in theta.params.items()},
        {name: value.to("meta") for name, value in theta.params.items()},
        {name: value.to_sparse() for name, value in theta.params.items()},
        None,
    ):
        for field in ("params", "buffers"):
            refused(lambda odd=odd, field=field: replace(theta, **{field: odd}), f"{field} of weights")
    refused(lambda: theta.to("meta"), "dense")


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_examples_are_finite_where_they_are_used(odd, tiny, nets):
    def holding(split, which=0):
        x = tiny.x.clone()
        x[tiny.rows(split)[which]] = odd
        return replace(tiny, x=x)

    refused(lambda: mc.train(holding("train"), seed=0, plan=PLAN, width=2), "trained on must hold finite")
    refused(lambda: mc.train(holding("bn"), seed=0, plan=PLAN, split="valid", width=2), "x must hold finite")
    refused(lambda: mc.trace(nets[0], holding("test"), 1), "evaluated on must hold finite")
    refused(lambda: mc.trace(nets[0], holding("bn"), 1), "estimated on must hold finite")
    mc.trace(nets[0], holding("bn"), 1, batchnorm="none")
    refused(lambda: weights.refresh_batchnorm(nets[0], holding("bn").x), "x must hold finite")


@pytest.mark.parametrize("weighted", [False, True])
def test_batchnorm_shared_by_two_places_takes_the_mean_over_both(weighted):
    norm = nn.BatchNorm1d(3)
    net = nn.Sequential(norm, nn.Linear(3, 3), norm, nn.Linear(3, 2))
    x = 5 + torch.randn(300, 3)
    found = weights.refresh_batchnorm(weights.weights_of(net), x, weighted=weighted)
    batches = x.split(128)
    seen = []
    for batch in batches:
        y = nn.functional.batch_norm(batch, None, None, norm.weight, norm.bias, training=True)
        seen += [batch, net[1](y)]
    shares = torch.tensor([float(len(one)) if weighted else 1.0 for one in seen])
    means = torch.stack([one.mean(0) for one in seen])
    spreads = torch.stack([one.var(0) for one in seen])
    for name, each in (("running_mean", means), ("running_var", spreads)):
        torch.testing.assert_close(found.buffers[f"0.{name}"], shares @ each / shares.sum())
    assert norm.momentum == 0.1 and not norm._forward_pre_hooks


def test_an_architecture_is_told_its_channels_and_classes_by_the_task(tiny):
    for option in ("classes", "channels", "name"):
        refused(lambda option=option: mc.train(tiny, seed=0, plan=PLAN, **{option: 5}), f"convnet '{option}'")


# Registered functions

ENTRIES = {"METHODS": METHODS, "CURRICULA": CURRICULA, "CURVES": CURVES, "METRICS": METRICS}


@pytest.fixture
def registered(monkeypatch):
    def put(table, entry):
        monkeypatch.setitem(ENTRIES[table], "odd", entry)

    return put


LOSSES = torch.ones(3)
TERMS = {
    "nothing": None, "text": "abc", "a number": 3.0, "no term": (), "a tensor": LOSSES, "nothings": [None],
    "text as losses": (Term(1.0, "x"),), "no weight": (Term(None, LOSSES),), "text as weight": (Term("a", LOSSES),),
    "constants": (Term(1.0, LOSSES),), "complex": (Term(1.0, LOSSES.to(torch.complex64)),),
    "whole": (Term(1.0, LOSSES.long()),), "empty": (Term(1.0, LOSSES[:0]),),
    "other difficulties": (Term(1.0, LOSSES, torch.ones(5)),),
}  # fmt: skip


def unlearned(nets, tiny, **named):
    return mc.unlearn(nets[0], tiny, **{"method": "odd", "seed": 0, "settings": MethodSettings(PLAN), **named})


@pytest.mark.parametrize("name", TERMS)
def test_an_objective_returns_terms(name, nets, tiny, registered):
    registered("METHODS", Method("odd", lambda net, step: TERMS[name], "both"))
    refused(lambda: unlearned(nets, tiny), "objective of odd")


def test_an_edit_a_mask_and_phases_return_what_they_should(nets, tiny, registered):
    params = nets[0].params
    short, foreign = ({name: torch.ones(7) for name in params}, {"zz": torch.ones(7)})
    for odd in (None, "x", short, foreign, {name: value.numpy() for name, value in params.items()}):
        registered("METHODS", Method("odd", retain_loss, "retain", edit=lambda theta, task, rng, odd=odd: odd))
        refused(lambda: unlearned(nets, tiny), "edit of odd")
        registered("METHODS", Method("odd", retain_loss, "retain", mask=lambda theta, task, share, odd=odd: odd))
        refused(lambda: unlearned(nets, tiny), "mask of odd")
    registered("METHODS", Method("odd", retain_loss, "retain", mask=lambda theta, task, share: dict(params)))
    refused(lambda: unlearned(nets, tiny), "True and False")
    for odd, match in ((None, "phases of odd"), (iter(["retain"]), "end before the last step")):
        registered("METHODS", Method("odd", retain_loss, "retain", phases=lambda f, r, options, odd=odd: odd))
        refused(lambda: unlearned(nets, tiny), match)


@pytest.mark.parametrize("odd", [None, "abc", LOSSES, [1.0] * 16, np.ones(16), torch.ones(16, 1), torch.ones(16) * 1j])
def test_a_curriculum_returns_a_weight_for_each_example(odd, nets, tiny, registered):
    registered("CURRICULA", lambda losses, state: odd)
    refused(lambda: unlearned(nets, tiny, method="finetune", curriculum="odd"), "16 real weights")


@pytest.mark.parametrize(
    "odd", [None, "abc", 1.0, (1.0,), (0.1,) * 9, (float("nan"),) * 3, ("a", "b", "c"), (1j, 0, 0), (None,) * 3]
)
def test_a_curve_gives_a_coefficient_for_each_point(odd, nets, tiny, registered):
    registered("CURVES", lambda points, t: odd)
    refused(lambda: mc.fit_curve(*nets, tiny, kind="odd", seed=0, plan=PLAN), "curve odd must give")
    refused(lambda: mc.Curve("odd", (*nets, nets[0])), "curve odd must give")


@pytest.mark.parametrize(
    "odd",
    [
        None, "abc", 1.0, np.ones(1), np.ones((5, 2)), np.ones(5) * 1j, np.array(list("12345")), np.array([None] * 5),
        [[1.0], [1.0, 2.0]], torch.zeros(5, requires_grad=True),
    ],
)  # fmt: skip
def test_a_metric_returns_a_real_number_for_each_point(odd, registered):
    registered("METRICS", Metric("odd", lambda trace, *, references: odd, "up", "", "", ""))
    refused(lambda: measure(CURVE, "odd"), "a real number for each of 5 points")


def test_references_are_known_and_single_models():
    refused(lambda: measure(CURVE, "UA", references={"nosuch": MODEL}), "unknown reference 'nosuch'")
    refused(lambda: measure(CURVE, "UA", references={"retrained": CURVE}), "one model")
    refused(lambda: measure(CURVE, "UA", references={"retrained": None}), "must be a trace")


def test_the_original_is_one_model_on_the_same_examples():
    connectivity(CURVE, gap=1.0, original=MODEL, n_boot=0)
    for odd, said in ((CURVE, "original must be one model"), (synthetic.trace(n=30), "other retain examples")):
        refused(lambda odd=odd: connectivity(CURVE, gap=1.0, original=odd, n_boot=0), said)


def test_a_long_list_of_names_is_told_by_the_likest():
    found = connectivity(CURVE, n_boot=0)
    text = refused(lambda: found["barier_retain"], "barrier_retain")
    assert len(text) < 250 and f"one of {len(found.measures)}, such as" in text
    for odd in (lambda: found["nosuch"], lambda: found.table(3), lambda: found.interval("nosuch")):
        assert len(refused(odd)) < 250
    assert refused(lambda: choose("fruit", 3, ["apple", "pear"])).endswith("3: choose one of apple, pear.")


def test_a_scenario_names_each_setting_once_and_rows_that_there_may_be(tiny):
    refused(lambda: scenario_of("class label=3 label=4"), "names it twice")
    for rows in ((2**70,), None, 3, "abc", {1: 2}):
        refused(lambda rows=rows: Scenario("listed", rows=rows))
    assert Scenario("listed", rows=np.array([1, 2])).rows == (1, 2)


def test_a_page_holds_finite_numbers():
    refused(lambda: filled("", "", {"gap": float("nan")}), "finite numbers")
