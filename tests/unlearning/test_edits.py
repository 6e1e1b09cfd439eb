"""Weight edits against closed forms, and their laws."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mcutils.curves import fit_curve
from mcutils.descent import generator
from mcutils.engine.extensions import register
from mcutils.errors import BadInput
from mcutils.plugins import forget
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.edits import squared_gradients, ssd
from mcutils.unlearning.endpoints import unlearn
from mcutils.unlearning.methods import METHODS
from mcutils.weights import refresh_batchnorm, weights_of

RNG = generator(0, "edit")


@pytest.fixture(scope="module")
def linear(tiny):
    """A linear softmax model in float64 with its task, whose gradients have a closed form."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    return weights_of(net), replace(tiny, x=tiny.x.double())


def by_hand(theta, task, rows, size):
    """Mean over batches of the squared batch-mean gradient: (p - onehot) x' for weights, p - onehot for biases."""
    w, b = theta.params["1.weight"], theta.params["1.bias"]
    squares = [torch.zeros_like(w), torch.zeros_like(b)]
    chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
    for chunk in chunks:
        x = task.x[chunk].flatten(1)
        error = (x @ w.T + b).softmax(1) - torch.eye(10).double()[task.y[chunk]]
        for total, g in zip(squares, (error.T @ x / len(chunk), error.mean(0)), strict=True):
            total += g**2
    return {n: s / len(chunks) for n, s in zip(("1.weight", "1.bias"), squares, strict=True)}


@pytest.mark.parametrize("size", [1, 7, 128])
def test_importance_equals_the_closed_form(linear, size):
    theta, task = linear
    found = squared_gradients(theta, task, task.rows("forget"), batch_size=size)
    for name, value in by_hand(theta, task, task.rows("forget"), size).items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-15)


def test_the_batch_size_is_part_of_the_published_form_but_not_of_the_form_per_example(linear):
    theta, task = linear
    rows = task.rows("forget")
    by_batch = [squared_gradients(theta, task, rows, batch_size=size)["1.weight"] for size in (1, 8)]
    assert not torch.allclose(*by_batch)
    apart = squared_gradients(theta, task, rows, batch_size=8, per_example=True)["1.weight"]
    torch.testing.assert_close(apart, by_batch[0], rtol=0, atol=0)


def test_ssd_equals_a_loop_over_scalars(linear):
    theta, task = linear
    everything, forgotten = (by_hand(theta, task, task.rows(s), 16) for s in ("train", "forget"))
    found = ssd(theta, task, RNG, alpha=1.5, beta=0.8, batch_size=16)
    changed = 0
    for name, p in theta.params.items():
        for i in range(p.numel()):
            d, f, before = (float(v[name].reshape(-1)[i]) for v in (everything, forgotten, theta.params))
            expected = before * min(1.0, 0.8 * d / f) if f > 1.5 * d else before
            assert float(found[name].reshape(-1)[i]) == pytest.approx(expected, rel=1e-10, abs=1e-14)
            changed += expected != before
    assert 20 < changed < 600


def test_what_is_not_dampened_stays_bit_for_bit_and_theta_is_left_as_it_is(theta, task):
    before = {name: p.clone() for name, p in theta.params.items()}
    same = ssd(theta, task, RNG, alpha=1e12)
    assert all(torch.equal(same[n], before[n]) for n in before)
    none = ssd(theta, task, RNG, alpha=0.0, beta=0.0)
    assert all(torch.isfinite(v).all() for v in none.values()) and any((v == 0).any() for v in none.values())
    assert all(torch.equal(theta.params[n], before[n]) for n in before)


def test_dampening_only_shrinks(theta, task):
    found = ssd(theta, task, RNG, alpha=1.0, beta=5.0)
    for name, p in theta.params.items():
        assert (found[name].abs() <= p.abs()).all() and (found[name] * p >= 0).all()


@pytest.mark.parametrize(
    "bad", [{"alpha": -1}, {"alpha": "ten"}, {"beta": float("nan")}, {"batch_size": 0}, {"per_example": 1}]
)
def test_bad_options_are_refused(theta, task, bad):
    with pytest.raises(BadInput, match=next(iter(bad))):
        ssd(theta, task, RNG, **bad)


def test_importance_needs_an_example(theta, task):
    with pytest.raises(BadInput, match="at least one example"):
        squared_gradients(theta, task, task.rows("forget")[:0])


def test_unlearning_by_an_edit_is_the_edit_and_a_refresh(theta, task):
    settings = MethodSettings(Plan(steps=0), (("alpha", 1.5), ("beta", 0.5)))
    end = unlearn(theta, task, "ssd", seed=0, settings=settings)
    edited = ssd(theta, task, RNG, alpha=1.5, beta=0.5)
    expected = refresh_batchnorm(replace(theta, params=edited), task.inputs("bn"))
    assert all(torch.equal(end.weights.params[n], expected.params[n]) for n in edited)
    assert all(torch.equal(end.weights.buffers[n], expected.buffers[n]) for n in expected.buffers)
    assert any(not torch.equal(end.weights.params[n], theta.params[n]) for n in edited) and end.losses == ()


def test_steps_on_retain_data_may_follow_an_edit(theta, tiny):
    after = [
        unlearn(theta, tiny, "ssd", seed=0, settings=MethodSettings(Plan(steps=n), (("alpha", 1.5),))) for n in (0, 3)
    ]
    assert len(after[1].losses) == 3
    assert any(not torch.equal(p, after[1].weights.params[n]) for n, p in after[0].weights.params.items())


def test_frozen_parameters_are_not_edited(theta, tiny):
    frozen = replace(theta, frozen=frozenset(list(theta.params)[:3]))
    settings = MethodSettings(Plan(steps=0), (("alpha", 0.5), ("beta", 0.1)))
    end = unlearn(frozen, tiny, "ssd", seed=0, settings=settings)
    changed = {n for n, p in end.weights.params.items() if not torch.equal(p, theta.params[n])}
    assert changed and not changed & frozen.frozen


def test_a_curve_is_fitted_from_an_edited_model_by_cross_entropy_on_retain_data(theta, tiny):
    a, b = (unlearn(theta, tiny, "ssd", seed=s, settings=MethodSettings(Plan(steps=0))) for s in (0, 1))
    curve = fit_curve(a, b, tiny, seed=0, plan=Plan(steps=2, batch_size=16))
    assert len(curve.points) == 3


def test_an_edit_of_ones_own_is_registered_like_a_method(theta, tiny):
    @register("edit")
    def halved(theta, task, generator, *, factor=0.5):
        """All weights times a factor."""
        return {name: factor * p for name, p in theta.params.items()}

    try:
        end = unlearn(theta, tiny, "halved", seed=0, settings=MethodSettings(Plan(steps=0), (("factor", 0.25),)))
        assert all(torch.equal(p, 0.25 * theta.params[n]) for n, p in end.weights.params.items())
        assert METHODS["halved"].about == "All weights times a factor."
    finally:
        forget("method", "halved")
