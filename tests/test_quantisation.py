"""Rounding to few bits against brute force over the grid, and its laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from mcutils.errors import BadInput
from mcutils.quantisation import quantised, rounded
from mcutils.weights import weights_of

LAW = settings(deadline=None, derandomize=True, max_examples=40)
VALUES = arrays(np.float64, (3, 5), elements=st.floats(-10, 10, allow_subnormal=False))


def nearest(row, bits):
    """The nearest of all points of the grid to each value of a row."""
    top = 2 ** (bits - 1) - 1
    grid = np.abs(row).max() / top * np.arange(-top, top + 1)
    return np.abs(row[:, None] - grid).min(axis=1)


@LAW
@given(VALUES, st.sampled_from([2, 4, 8]), st.sampled_from(["channel", "tensor"]))
def test_every_value_goes_to_a_nearest_point_of_its_grid(values, bits, per):
    found = rounded(torch.from_numpy(values), bits, per).numpy()
    rows = [values.ravel()] if per == "tensor" else values
    for row, got in zip(rows, [found.ravel()] if per == "tensor" else found, strict=True):
        np.testing.assert_allclose(np.abs(got - row), nearest(row, bits), atol=1e-12)
        assert len(np.unique(got.round(12))) <= 2**bits - 1


@LAW
@given(VALUES, st.sampled_from([3, 8]))
def test_laws_of_sign_size_and_repetition(values, bits):
    x = torch.from_numpy(values)
    once = rounded(x, bits)
    torch.testing.assert_close(rounded(once, bits), once, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(rounded(-x, bits), -once, atol=0, rtol=0)
    most = x.abs().amax(1)
    torch.testing.assert_close(once.abs().amax(1), most, atol=1e-12, rtol=1e-12)
    assert ((once - x).abs() <= most[:, None] / (2 ** (bits - 1) - 1) / 2 + 1e-12).all()
    assert (once[x == 0] == 0).all()


def test_a_channel_is_not_coarser_for_another_s_sake():
    x = torch.tensor([[100.0, 50.0], [0.01, 0.007]])
    assert rounded(x, 4, "tensor")[1].tolist() == [0, 0]
    assert (rounded(x, 4)[1] - x[1]).abs().max() < 0.001


def test_a_network_s_matrices_are_rounded_and_nothing_else_nor_the_given_weights(tiny_net):
    theta = weights_of(tiny_net)
    before = {name: p.clone() for name, p in theta.params.items()}
    found = quantised(theta, 4)
    assert all(torch.equal(p, before[name]) for name, p in theta.params.items())
    for name, p in found.params.items():
        if p.ndim < 2:
            assert torch.equal(p, before[name])
        else:
            assert not torch.equal(p, before[name])
            assert max(len(channel.unique()) for channel in p) <= 15
            torch.testing.assert_close(p, rounded(before[name], 4))
    near = quantised(theta, 16)
    assert all((near.params[n] - p).abs().max() < 1e-4 * p.abs().max().clamp(min=1) for n, p in before.items())


def test_what_has_no_width_stays():
    assert rounded(torch.zeros(2, 3), 4).tolist() == [[0.0] * 3] * 2
    assert rounded(torch.empty(0, 3), 4).shape == (0, 3) and rounded(torch.tensor(0.3), 4).item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rounded(torch.ones(2, 2), 1), "bits"),
        (lambda: rounded(torch.ones(2, 2), 4, "row"), "unknown grid"),
        (lambda: rounded(torch.ones(2, 2, dtype=torch.int64), 4), "real numbers"),
    ],
)
def test_bad_input_is_one_sentence(call, said):
    with pytest.raises(BadInput, match=said):
        call()
