"""Sharpness: norms of filters, rises of a quadratic, and eigenvalues against numpy in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from mcutils.errors import BadInput
from mcutils.measures.metrics import mean_loss
from mcutils.measures.sharpness import (
    direction,
    hessian_product,
    hessian_top,
    power_iteration,
    rises,
    stepped,
    top_eigenvalue,
)
from mcutils.models.vision import build
from mcutils.traces import trace
from mcutils.weights import weights_of


@pytest.fixture(scope="module")
def theta():
    return weights_of(build("convnet", 1, 10, seed=0, width=2), "convnet")


def test_a_direction_has_each_filters_norm_and_leaves_the_rest(theta):
    found = direction(theta, 5)
    for name, value in theta.params.items():
        if value.ndim < 2:
            assert not found[name].any()
            continue
        for mine, own in zip(found[name], value, strict=True):
            assert float(mine.norm()) == pytest.approx(float(own.norm()), rel=1e-5)
    assert torch.equal(found["0.weight"], direction(theta, 5)["0.weight"])
    assert not torch.equal(found["0.weight"], direction(theta, 6)["0.weight"])
    frozen = replace(theta, frozen=frozenset({"3.weight"}))
    assert not direction(frozen, 5)["3.weight"].any() and torch.equal(
        direction(frozen, 5)["6.weight"], found["6.weight"]
    )
    moved = stepped(theta, found, 0.1)
    assert torch.allclose(moved.params["3.weight"], theta.params["3.weight"] + 0.1 * found["3.weight"])
    zero = replace(theta, params={**theta.params, "0.weight": torch.zeros_like(theta.params["0.weight"])})
    assert not direction(zero, 5)["0.weight"].any()


def test_the_step_does_not_depend_on_the_scale_of_what_batchnorm_follows(theta, tiny):
    """Convolutions of a BatchNorm net ten times as large are the same function, and as sharp."""
    large = {n: v * (10 if v.ndim == 4 else 1) for n, v in theta.params.items()}
    one, ten = (rises(w, tiny, directions=2, share=0.2) for w in (theta, replace(theta, params=large)))
    for name in one:
        assert np.allclose(one[name], ten[name], atol=2e-3)
    assert max(abs(one["one/test"])) > 0.01


def test_rises_are_differences_of_traced_losses(theta, tiny):
    found = rises(theta, tiny, seed=3, directions=2, share=0.5, batchnorm="none")
    along = direction(theta, 4)  # the second one
    losses = [
        mean_loss(trace(stepped(theta, along, s), tiny, 1, batchnorm="none"), "forget")[0] for s in (0.5, -0.5, 0.0)
    ]
    assert found["one/forget"][1] == pytest.approx(losses[0] - losses[2], abs=1e-6)
    assert found["both/forget"][1] == pytest.approx((losses[0] + losses[1]) / 2 - losses[2], abs=1e-6)
    for bad in ({"share": 0}, {"directions": 0}, {"share": -1.0}, {"seed": -1}):
        with pytest.raises(BadInput):
            rises(theta, tiny, **bad)


SYMMETRIC = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(size=(6, 6)))


@settings(deadline=None, derandomize=True, max_examples=5)
@given(SYMMETRIC)
def test_the_largest_eigenvalue_is_that_of_numpy(a):
    h = torch.from_numpy(a + a.T)
    found = top_eigenvalue(lambda v: h @ v, 6, iterations=4000)
    assert found == pytest.approx(np.linalg.eigvalsh(h.numpy())[-1], rel=1e-6, abs=1e-6)
    assert top_eigenvalue(lambda v: h @ v, 6, iterations=3) <= np.linalg.eigvalsh(h.numpy())[-1] + 1e-9


def test_eigenvalues_of_matrices_with_known_ones():
    for spectrum, largest in (((3, 1, -1), 3), ((-5, 2, 1), 2), ((-3, -2, -1), -1), ((0, 0, 0), 0)):
        h = torch.diag(torch.tensor(spectrum, dtype=torch.float64))
        assert top_eigenvalue(lambda v, h=h: h @ v, 3, iterations=400) == pytest.approx(largest, abs=1e-9)
    value, vector = power_iteration(lambda v: torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64)) @ v, 2)
    assert value == pytest.approx(2) and abs(vector[0]) == pytest.approx(1, abs=1e-5)


def test_products_are_those_of_the_hessian_of_a_quadratic():
    a = torch.randn(5, 5, dtype=torch.float64)
    h = a @ a.T
    params = {"x": torch.randn(2, dtype=torch.float64), "y": torch.randn(3, dtype=torch.float64)}

    def loss(p):
        z = torch.cat([p["x"], p["y"]])
        return z @ h @ z / 2 + z.sum()

    product = hessian_product(loss, params)
    for column in torch.eye(5, dtype=torch.float64):
        assert torch.allclose(product(column), h @ column)
    linear = hessian_product(lambda p: p["x"].sum(), params)
    assert not linear(torch.ones(5, dtype=torch.float64)).any()


def test_the_hessian_of_a_linear_model_has_a_closed_form(tiny):
    """Of softmax regression: H = mean (diag p - p p') (x) x x'."""
    torch.manual_seed(1)
    weights = weights_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False)).double())
    double = replace(tiny, x=tiny.x.double())
    rows = tiny.rows("retain")[:12]
    x = double.x[rows].flatten(1)
    p = (x @ weights.params["1.weight"].T).softmax(1)
    h = sum(torch.kron(torch.diag(q) - torch.outer(q, q), torch.outer(v, v)) for q, v in zip(p, x, strict=True)) / 12
    expected = float(torch.linalg.eigvalsh(h)[-1])
    assert hessian_top(weights, double, rows, iterations=300, batch_size=5) == pytest.approx(expected, rel=1e-6)
    assert hessian_top(weights, double, rows) == pytest.approx(expected, rel=0.05)
    half = replace(weights, frozen=frozenset(weights.params))
    with pytest.raises(BadInput):
        hessian_top(half, double, rows)
    with pytest.raises(BadInput, match="at least one example"):
        hessian_top(weights, double, rows[:0])
