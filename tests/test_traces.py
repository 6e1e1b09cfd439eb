"""Traces: equal to a direct evaluation, BatchNorm policies, files, and what is refused."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from mcutils.curves import Curve, line
from mcutils.data.tasks import load_task
from mcutils.errors import BadInput
from mcutils.models.vision import build
from mcutils.reading import save_groups
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import SPLITS, Trace, check_same_examples, refresh_rows, trace
from mcutils.training import train
from mcutils.unlearning.endpoints import unlearn
from mcutils.weights import laid_out, memory_format, module_of, refresh_batchnorm, weights_of

FEW = 50  # images per batch in these tests


@pytest.fixture(scope="module")
def ends(theta):
    """The trained network and two neighbours, whose stored statistics are not those of their weights."""
    rng = torch.Generator().manual_seed(0)

    def moved():
        shift = lambda v: v + 0.05 * torch.randn(v.shape, generator=rng) * v.std(unbiased=False)  # noqa: E731
        params = {k: shift(v) for k, v in theta.params.items()}
        return replace(theta, params=params, buffers={k: v + 1 for k, v in theta.buffers.items()})

    return theta, moved(), moved()


def direct(weights, task, batch_size=FEW):
    """Logits of the four splits by the plain module, as they are stored."""
    module, layout = module_of(weights), memory_format(weights, task.x)
    module.to(memory_format=layout)
    x = torch.cat([task.x[rows] for rows in task.evaluation.values()]).to(memory_format=layout)
    with torch.no_grad():
        logits = torch.cat([module(part) for part in x.split(batch_size)]).numpy().astype(np.float16)
    sizes = np.cumsum([len(rows) for rows in task.evaluation.values()])[:-1]
    return dict(zip(task.evaluation, np.split(logits, sizes), strict=True))


def assert_point(found, k, expected):
    for split in SPLITS:
        assert found.logits[split].dtype == np.float16
        assert np.array_equal(found.logits[split][k], expected[split]), split


@pytest.mark.parametrize("policy", ["none", "retain", "full"])
@pytest.mark.parametrize("kind", ["linear", "bezier"])
def test_some_splits_are_traced_as_among_all(tiny, ends, kind, policy):
    curve = Curve(kind, ends if kind == "bezier" else ends[::2])
    every = trace(curve, tiny, 3, batchnorm=policy, batch_size=FEW, dtype="float32")
    for splits in (("retain", "forget"), ("forget",), ("test",)):
        some = trace(curve, replace(tiny, splits=splits), 3, batchnorm=policy, batch_size=FEW, dtype="float32")
        cut = every.only(splits)
        assert tuple(some.logits) == tuple(some.labels) == tuple(some.index) == tuple(cut.logits) == splits
        for split in splits:
            np.testing.assert_allclose(some.logits[split], every.logits[split], atol=1e-5)
            assert np.array_equal(some.labels[split], cut.labels[split])
            assert np.array_equal(some.index[split], cut.index[split])


@pytest.mark.parametrize("policy", ["none", "retain", "full"])
@pytest.mark.parametrize("kind", ["linear", "bezier"])
def test_every_point_equals_a_direct_evaluation(tiny, ends, kind, policy):
    start, middle, end = ends
    curve = Curve(kind, (start, end) if kind == "linear" else (start, middle, end))
    found = trace(curve, tiny, [0, 0.3, 1], batchnorm=policy, batch_size=FEW)
    for k, t in enumerate(found.t):
        point = replace(curve.at(t), buffers=start.buffers)
        if policy != "none":
            point = refresh_batchnorm(point, tiny.x[refresh_rows(tiny, policy)], FEW)
        assert_point(found, k, direct(point, tiny))


def test_the_ends_of_a_curve_are_the_endpoints(tiny, ends):
    start, _, end = ends
    for policy in ("none", "retain"):
        found = trace(line(start, end), tiny, 3, batchnorm=policy)
        alone = trace(start, tiny, batchnorm=policy)
        assert alone.t.tolist() == [0.0] and alone.meta["kind"] == "model"
        assert_point(found, 0, {s: v[0] for s, v in alone.logits.items()})
    assert_point(found, 2, {s: v[0] for s, v in trace(end, tiny).logits.items()})


def test_an_endpoint_as_stored_is_what_a_trace_of_it_shows(tiny, theta):
    """Unlearning leaves statistics of the same images and batches that a trace uses: nothing changes."""
    end = unlearn(theta, tiny, "finetune", seed=0, settings=MethodSettings(Plan(steps=2, batch_size=16)))
    stored, refreshed = (trace(end, tiny, batchnorm=policy) for policy in ("none", "retain"))
    for split in SPLITS:
        assert np.array_equal(stored.logits[split], refreshed.logits[split])
    assert_point(stored, 0, direct(end.weights, tiny, 128))


def test_policies_differ_only_where_there_are_statistics(tiny, ends):
    curve = line(ends[0], ends[2])
    found = [trace(curve, tiny, [0.5], batchnorm=policy).logits["test"] for policy in ("none", "retain", "full")]
    assert not any(np.array_equal(a, b) for a, b in zip(found, found[1:] + found[:1], strict=True))
    a, b = (weights_of(build("convnet_gn", 1, 10, seed, width=2)) for seed in (0, 1))
    found = [trace(line(a, b), tiny, [0.5], batchnorm=policy).logits["test"] for policy in ("none", "retain", "full")]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_retain_looks_at_no_forgotten_image_and_full_at_its_share(task):
    forgotten = set(task.index["forget"].tolist())
    retain, full = refresh_rows(task, "retain"), refresh_rows(task, "full")
    assert len(retain) == len(full) == len(full.unique())
    assert not forgotten & set(retain.tolist()) and set(full.tolist()) <= set(task.index["train"].tolist())
    assert len(forgotten & set(full.tolist())) / len(full) == pytest.approx(
        len(forgotten) / len(task.index["train"]), abs=0.01
    )
    with pytest.raises(BadInput, match="unknown BatchNorm policy 'none': choose one of retain, full"):
        refresh_rows(task, "none")


def test_dropout_is_off(tiny):
    layers = [nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.9), nn.BatchNorm1d(16), nn.Linear(16, 10)]
    without = [*layers[:2], nn.Identity(), *layers[3:]]
    before = torch.get_rng_state()
    a, b = (trace(weights_of(nn.Sequential(*net)), tiny) for net in (layers, without))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(np.array_equal(a.logits[split], b.logits[split]) for split in SPLITS)


def test_contents(tiny, ends):
    found = trace(line(ends[0], ends[2]), tiny)
    assert found.t.dtype == np.float64 and found.t.tolist() == [k / 30 for k in range(31)]
    assert tuple(found.logits) == SPLITS
    for split, rows in tiny.evaluation.items():
        assert found.logits[split].shape == (31, len(rows), 10)
        assert np.array_equal(found.index[split], rows.numpy()) and np.array_equal(
            found.labels[split], tiny.y[rows].numpy()
        )
    assert found.meta == {
        "kind": "linear", "batchnorm": "retain", "precision": "float32", "batch_size": "128",
        "checksum": tiny.checksum,
    }  # fmt: skip


def test_a_rerun_is_bit_identical(tiny, ends):
    one, two = (trace(line(ends[0], ends[2]), tiny, 3) for _ in range(2))
    assert all(np.array_equal(one.logits[split], two.logits[split]) for split in SPLITS)


def test_bfloat16_is_close(tiny, theta):
    exact, fast = (trace(theta, tiny, precision=p) for p in ("float32", "bfloat16"))
    difference = np.abs(exact.logits["test"].astype(float) - fast.logits["test"])
    assert 0 < difference.max() < 0.3 and fast.meta["precision"] == "bfloat16"


def test_logits_beyond_half_precision_stop_at_its_limit(tiny):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        net[1].bias.copy_(torch.linspace(-1e6, 1e6, 10))
    logits = trace(weights_of(net), tiny).logits["test"]
    assert np.isfinite(logits).all() and logits.min() == -65504 and logits.max() == 65504


def test_file_round_trip(tiny, ends, tmp_path):
    found = trace(line(ends[0], ends[2]), tiny, 3)
    found = replace(found, meta={**found.meta, "note": "a=b, naïve"})
    found.save(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
    again = Trace.load(tmp_path / "trace.npz")
    assert np.array_equal(again.t, found.t) and again.meta == found.meta
    for part in ("logits", "labels", "index"):
        a, b = getattr(again, part), getattr(found, part)
        assert set(a) == set(b) and all(a[s].dtype == b[s].dtype and np.array_equal(a[s], b[s]) for s in b)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["float16", "float32"]), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_differences_of_bits_lose_none_of_them(dtype, points, rows, seed):
    """All bits there are: numbers, both zeros, infinities, every nan, denormal ones."""
    size = np.dtype(dtype).itemsize
    bits = np.random.default_rng(seed).integers(0, 256, (points, rows, 3 * size), dtype=np.uint8)
    bits[: points // 2] = bits[: points // 2] | 0xFC  # many nan
    logits = {"retain": bits.view(dtype), "forget": np.array([[[0.0, -0.0, np.inf]]] * points, dtype)}
    parts = {"retain": np.arange(rows), "forget": np.arange(1)}
    made = Trace(np.linspace(0, 1, points), logits, parts, parts, {"kind": "bezier"})
    made.save(file := io.BytesIO(), differences=True)
    file.seek(0)
    again = Trace.load(file)
    assert list(again.logits) == list(logits) and again.meta == made.meta
    for split, values in logits.items():
        assert again.logits[split].dtype == values.dtype and again.logits[split].shape == values.shape
        assert again.logits[split].tobytes() == values.tobytes()


def test_differences_of_a_smooth_path_are_small_and_nonsense_is_refused():
    t = np.linspace(0, 1, 31)[:, None, None]
    smooth = (np.random.default_rng(0).normal(size=(1, 200, 10)) * 4 + np.sin(3 * t)).astype(np.float16)
    rows = {"test": np.arange(200)}
    made, sizes = Trace(t[:, 0, 0], {"test": smooth}, rows, rows, {}), []
    for differences in (False, True):
        made.save(file := io.BytesIO(), differences=differences)
        sizes.append(len(file.getvalue()))
    assert sizes[1] < 0.7 * sizes[0]
    for odd in (smooth, np.zeros((3, 1, 2), np.int8)):
        save_groups(file := io.BytesIO(), {"t": t}, {}, differences={"test": odd}, labels=rows, index=rows)
        file.seek(0)
        with pytest.raises(ValueError, match="16, 32 or 64 bits"):
            Trace.load(file)


def test_same_examples(tiny, theta):
    one = trace(theta, tiny)
    check_same_examples(one, one)
    other = trace(theta, load_task("digits", 0.2, train_size=240, test_size=60))
    with pytest.raises(BadInput, match="different retain examples"):
        check_same_examples(one, other)


def test_what_is_given_is_left_alone(tiny, ends):
    before = [{k: v.clone() for k, v in {**w.params, **w.buffers}.items()} for w in ends]
    trace(Curve("bezier", ends), tiny, 3, batchnorm="full")
    for w, kept in zip(ends, before, strict=True):
        assert all(torch.equal(v, kept[k]) for k, v in {**w.params, **w.buffers}.items())


def test_bad_input(tiny, task, theta):
    broken = replace(theta, params=laid_out(theta.params, torch.contiguous_format))
    broken.params["0.weight"][0] = torch.nan
    end = unlearn(theta, task, "finetune", seed=0, settings=MethodSettings(Plan(steps=1, batch_size=8)))
    three = weights_of(build("convnet", 1, 3, 0, width=2))
    for call, message in (
        (lambda: trace(theta, tiny, precision="float16"), "unknown precision 'float16': choose one of float32"),
        (lambda: trace(line(theta, theta), tiny, 1), "a whole number from 2 to 10,001, got 1"),
        (lambda: trace(broken, tiny), "NaN or infinity in 0.weight"),
        (lambda: trace(end, tiny), "unlearned for the task digits/.*, not for digits/"),
        (lambda: trace(three, tiny), r"outputs of shape \(3,\), but the task has 10 classes"),
        (lambda: trace(weights_of(build("convnet", 3, 10, 0)), tiny), r"called on examples of shape \(1, 8, 8\)"),
    ):
        with pytest.raises(BadInput, match=message) as caught:
            call()
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_statistics_may_be_mixed_between_the_ends_as_whole_state_dictionaries_are(tiny):
    plan = Plan(lr=1e-2, steps=3, batch_size=64)
    a, b = (train(tiny, "convnet", seed=seed, plan=plan, width=2) for seed in (0, 1))
    found = trace(line(a, b), tiny, [0, 0.25, 1], batchnorm="interpolated", dtype="float32")
    for k, t in enumerate((0, 0.25, 1)):
        first, last = ({**one.params, **one.buffers} for one in (a, b))
        state = {n: v + t * (last[n] - v) if v.is_floating_point() else v for n, v in first.items()}
        module = module_of(a)
        module.load_state_dict(state)
        with torch.no_grad():
            expected = module(tiny.inputs("test"))
        np.testing.assert_allclose(found.logits["test"][k], expected, atol=1e-4)
    assert found.meta["batchnorm"] == "interpolated"
