"""Planes: an orthonormal basis, exact places, values equal to a direct evaluation, files, and what is refused."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from mcutils.curves import line, points_of
from mcutils.errors import BadInput
from mcutils.measures.metrics import accuracy, mean_loss
from mcutils.measures.planes import Plane, _Places, basis, grid, plane
from mcutils.models.vision import build
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import trace
from mcutils.unlearning.endpoints import unlearn
from mcutils.weights import distance, flatten, laid_out, mix, weights_of

NAMES = [f"{kind}_{split}" for kind in ("loss", "accuracy") for split in ("retain", "forget", "test")]


def near(theta, seed, size=0.1):
    """The weights, each tensor moved by ``size`` of its spread, whose stored statistics do not fit them."""
    rng = torch.Generator().manual_seed(seed)
    shift = lambda v: v + size * torch.randn(v.shape, generator=rng, dtype=v.dtype) * v.std(unbiased=False)  # noqa: E731
    buffers = {k: v + 0.5 if v.is_floating_point() else v for k, v in theta.buffers.items()}
    return replace(theta, params={k: shift(v) for k, v in theta.params.items()}, buffers=buffers)


@pytest.fixture(scope="module")
def three(theta):
    """The trained network and two neighbours."""
    return theta, near(theta, 1), near(theta, 2)


@pytest.fixture
def doubles(tiny_net):
    """Three networks in float64, and one beside their plane."""
    first = weights_of(tiny_net)
    return first, near(first, 1), near(first, 2, 1.5), near(first, 3)


def values_of(seen):
    """The values of a trace under the names that a plane uses."""
    measures = {"loss": mean_loss, "accuracy": accuracy}
    return {name: measures[name.split("_")[0]](seen, name.split("_")[1]) for name in NAMES}


def mixed(points, coefficients):
    return replace(points[0], params=mix(coefficients, [one.params for one in points]))


def at(found, x, y):
    """The weights at a place of a plane."""
    return mixed(found.points, found.coefficients(x, y))


def test_the_models_are_as_far_apart_as_in_weight_space(doubles):
    *three, _ = doubles
    found = basis(three)
    assert found.models[0].tolist() == [0, 0] and found.models[2, 1] == 0 and found.models[1, 1] > 0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(found.models[i] - found.models[j]) == pytest.approx(distance(three[i], three[j]))


def test_a_thin_triangle_keeps_its_angle(doubles):
    first, _, third, other = doubles
    almost = mixed((line(first, third).at(0.3), other), (1 - 1e-9, 1e-9))
    found = basis((first, almost, third))
    assert found.models[1, 1] == pytest.approx(1e-9 * basis((first, other, third)).models[1, 1], rel=1e-5)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.floats(-5, 5), st.floats(-5, 5))
def test_a_place_is_as_far_from_the_models_as_its_coordinates_say(seed, x, y):
    torch.manual_seed(seed)
    drawn = [weights_of(torch.nn.Linear(3, 2).double()) for _ in range(3)]
    found = basis(drawn)
    assert sum(found.coefficients(x, y)) == pytest.approx(1)
    far = [distance(at(found, x, y), one) for one in drawn]
    np.testing.assert_allclose(far, np.linalg.norm(found.models - (x, y), axis=1), atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_models_are_recovered_bit_by_bit(doubles, order, dtype):
    three = [doubles[k].to(dtype) for k in order]
    found = basis(three)
    for one, (x, y) in zip(three, found.models.tolist(), strict=True):
        assert torch.equal(flatten(at(found, x, y)), flatten(one))


def test_the_axes(doubles):
    found = basis(doubles[:3])
    for margin in (0, 0.25):
        x, y = grid(found, 6, margin)
        low, high = found.models.min(axis=0), found.models.max(axis=0)
        more = margin * (high - low)
        np.testing.assert_allclose([x[0], y[0]], low - more)
        np.testing.assert_allclose([x[-1], y[-1]], high + more)
        assert len(x) == len(y) == 6 and np.ptp(np.diff(x)) < 1e-12 and np.ptp(np.diff(y)) < 1e-12


@pytest.mark.parametrize("batchnorm", ["retain", "full", "none"])
def test_values_equal_a_direct_evaluation(tiny, three, batchnorm):
    """With five points and a margin of half the extent, theta_0 is the second point of both axes."""
    found = plane(three, tiny, 5, 0.5, batchnorm=batchnorm, rows=None)
    where = basis(three)
    assert set(found.values) == set(found.at_models) == set(NAMES)
    assert found.x[1] == found.y[1] == 0 and 0 < where.models[1, 0] < where.models[2, 0]
    for i, j in ((1, 1), (0, 4), (3, 2)):
        there = at(where, found.x[j], found.y[i])
        for name, value in values_of(trace(there, tiny, batchnorm=batchnorm)).items():
            assert found.values[name].shape == (5, 5)
            assert found.values[name][i, j] == value[0], (name, i, j)
    for k, one in enumerate(three):
        alone = trace(replace(one, buffers=three[0].buffers), tiny, batchnorm=batchnorm)
        for name, value in values_of(alone).items():
            assert found.at_models[name][k] == value[0]
    assert all(found.values[name][1, 1] == found.at_models[name][0] for name in NAMES)
    assert np.array_equal(found.models, where.models)


def test_the_corner_of_a_tight_plane_is_no_model(tiny, three):
    """Without margin the coefficient of theta_1 is one along the upper edge, yet only one place of it is theta_1."""
    found, where = plane(three, tiny, 2, 0), basis(three)
    assert where.coefficients(found.x[0], found.y[1])[1] == 1 and where.models[1, 0] > 0
    there = values_of(trace(at(where, found.x[0], found.y[1]), tiny))
    assert all(found.values[name][1, 0] == there[name][0] for name in NAMES)
    assert there["loss_retain"][0] != found.at_models["loss_retain"][1]


def test_a_long_line_of_places_is_visited_in_order(three):
    """With 50 places k / 49 times 49 is not always k."""
    where = basis(three)
    places = tuple(where.coefficients(x, 0.3) for x in np.linspace(0, 1, 50))
    visit = _Places("chain", where.points, places=places)
    assert [visit.coefficients(t) for t in points_of(50)] == list(places)


def test_a_network_without_batchnorm(tiny):
    three = [weights_of(build("convnet_gn", 1, 10, seed, width=2)) for seed in range(3)]
    found = plane(three, tiny, 2, 0)
    assert found.at_models["loss_test"][2] == mean_loss(trace(three[2], tiny), "test")[0]
    assert np.isfinite(found.values["loss_retain"]).all()


def test_rows_limit_the_examples_evenly(tiny, three):
    few, seen = plane(three, tiny, 2, 0, rows=10), trace(three[0], tiny)
    even = {"forget": [0, 2, 5, 7, 9, 12, 14, 16, 19, 21], "test": [0, 7, 13, 20, 26, 33, 39, 46, 52, 59]}
    logits = {split: seen.logits[split][:, rows] for split, rows in even.items()}
    part = replace(seen, logits=logits, labels={split: seen.labels[split][rows] for split, rows in even.items()})
    for split in even:
        assert few.at_models[f"loss_{split}"][0] == pytest.approx(mean_loss(part, split)[0], rel=1e-3)
        assert few.at_models[f"accuracy_{split}"][0] == accuracy(part, split)[0]
    whole, limited = (plane(three, tiny, 2, 0, rows=rows) for rows in (None, 10**6))
    assert all(np.array_equal(whole.values[name], limited.values[name]) for name in NAMES)
    assert few.meta["rows"] == "10" and whole.meta["rows"] == "None"


def test_file_round_trip(tiny, three, tmp_path):
    found = plane(three, tiny, 2, 0.1, rows=5)
    assert found.meta == {
        "batchnorm": "retain",
        "precision": "float32",
        "batch_size": "128",
        "checksum": tiny.checksum,
        "rows": "5",
        "resolution": "2",
        "margin": "0.1",
    }
    found.save(tmp_path / "plane.npz")
    again = Plane.load(tmp_path / "plane.npz")
    assert again.meta == found.meta and set(again.values) == set(again.at_models) == set(NAMES)
    for part in ("x", "y", "models"):
        assert np.array_equal(getattr(again, part), getattr(found, part))
    for name in NAMES:
        assert np.array_equal(again.values[name], found.values[name])
        assert np.array_equal(again.at_models[name], found.at_models[name])
    np.savez(tmp_path / "trap.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Plane.load(tmp_path / "trap.npz")


def test_what_is_given_is_left_alone(tiny, three):
    before = [{k: v.clone() for k, v in {**w.params, **w.buffers}.items()} for w in three]
    index = dict(tiny.index)
    plane(three, tiny, 2, rows=5)
    for w, kept in zip(three, before, strict=True):
        assert all(torch.equal(v, kept[k]) for k, v in {**w.params, **w.buffers}.items())
    assert tiny.index == index


def test_bad_input(tiny, task, three):
    first, second, third = three
    quick = MethodSettings(Plan(steps=1, batch_size=8))
    end = unlearn(first, task, "finetune", seed=0, settings=quick)
    broken = replace(third, params=laid_out(third.params, torch.contiguous_format))
    broken.params["0.weight"][0] = torch.nan
    found = basis(three)
    other = weights_of(build("convnet", 1, 10, 0, width=2))
    for call, message in (
        (lambda: basis((first, second)), "goes through 3 models, got 2"),
        (lambda: basis((first, second, first)), "models 0 and 2 are the same"),
        (lambda: basis((first, first, third)), "models 0 and 1 are the same"),
        (lambda: basis((first, third, third)), "models 1 and 2 are the same"),
        (lambda: basis((first, line(first, third).at(0.37), third)), "lie on one line"),
        (lambda: basis((first, third, line(first, third).at(0.37))), "lie on one line"),
        (lambda: basis((first, second, other)), "different architectures"),
        (lambda: basis((first, second, broken)), "NaN or infinity in 0.weight"),
        (lambda: grid(found, 1), "a whole number from 2 to 1,000, got 1"),
        (lambda: grid(found, 2.5), "a whole number from 2 to 1,000, got 2.5"),
        (lambda: grid(found, 3, -0.1), "at least 0, got -0.1"),
        (lambda: plane(three, tiny, rows=0), "at least 1, got 0"),
        (lambda: plane(three, tiny, batchnorm="all"), "unknown BatchNorm policy 'all'"),
        (lambda: plane((first, second, end), tiny), "was unlearned for the task digits/.*, not for digits/"),
    ):
        with pytest.raises(BadInput, match=message) as caught:
            call()
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    assert basis((first, second, end)).points[2] is end.weights
