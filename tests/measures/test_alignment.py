"""Channels renumbered: the same logits, random numberings of a network found again, assignments by brute force."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from synthetic import random_permutations
from torch import nn

from mcutils.errors import BadInput
from mcutils.measures.alignment import (
    MATCHINGS,
    align,
    assign,
    check_permutations,
    match_weights,
    permuted,
    share_moved,
    units_of,
)
from mcutils.models.vision import MODELS, build
from mcutils.weights import distance, module_of, weights_of

WIDTHS = {"convnet": 4, "convnet_gn": 4, "resnet18": 64}


def network(name, seed=0):
    """A named network whose norms are not all alike."""
    net = build(name, 1, 10, seed, width=WIDTHS[name])
    rng = torch.Generator().manual_seed(seed + 100)
    with torch.no_grad():
        for layer in net.modules():
            for part in ("weight", "bias", "running_mean", "running_var"):
                value = getattr(layer, part, None)
                if isinstance(value, torch.Tensor) and value.ndim == 1:
                    value.add_(0.3 * torch.rand(value.shape, generator=rng))
    return weights_of(net, name)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_every_network_renumbered_is_the_same_function(name):
    theta = network(name)
    other = permuted(theta, random_permutations(theta, 1))
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(module_of(other)(x), module_of(theta)(x), atol=1e-5)
    assert distance(theta, other) > 0.1
    held = {name for unit in units_of(theta) for name, _ in unit.places}
    hidden = [name for name, value in theta.params.items() if value.ndim and not name.endswith(("fc.bias", "14.bias"))]
    assert held >= set(hidden), "every tensor but the classes' bias goes along"


@pytest.mark.parametrize("by", MATCHINGS)
@pytest.mark.parametrize("name", ["convnet", "convnet_gn"])
def test_a_random_numbering_of_itself_is_found_again(name, by, tiny):
    theta = network(name)
    orders = random_permutations(theta, 3)
    found = align(theta, permuted(theta, orders), by, task=tiny)
    for unit, order in orders.items():
        assert torch.equal(order[found.permutations[unit]], torch.arange(len(order)))
    assert all(torch.equal(found.weights.params[key], value) for key, value in theta.params.items())
    assert all(torch.equal(found.weights.buffers[key], value) for key, value in theta.buffers.items())
    assert found.moved == share_moved(found.permutations) > 0.5
    still = align(theta, theta, by, task=tiny)
    assert still.moved == 0 and torch.equal(still.weights.params["0.weight"], theta.params["0.weight"])


def test_a_resnet_is_found_again_by_its_weights():
    theta = network("resnet18")
    assert [(unit.size, len(unit.read)) for unit in units_of(theta)][:3] == [(64, 3), (64, 1), (64, 1)]
    orders = random_permutations(theta, 3)
    found = match_weights(theta, permuted(theta, orders))
    assert all(torch.equal(order[found[unit]], torch.arange(len(order))) for unit, order in orders.items())


def likeness(a, b):
    """sum <theta_a, theta_b> over all parameters: |a - b|^2 falls as it rises."""
    return sum(float((value.double() * b.params[name].double()).sum()) for name, value in a.params.items())


def test_matching_never_makes_networks_less_alike():
    a, b = network("convnet", 0), network("convnet", 1)
    found = align(a, b)
    assert likeness(a, found.weights) > likeness(a, b) and distance(a, found.weights) < distance(a, b)
    for seed in range(3):
        assert likeness(a, found.weights) >= likeness(a, permuted(b, random_permutations(b, seed)))
    again = align(a, found.weights)
    assert again.moved == 0, "a local maximum stays"


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 1), (4, 2), (6, 3), (6, 2), (6, 6), (1, 1)]))
def test_assignments_are_the_best_of_all_that_keep_groups(seed, shape):
    n, groups = shape
    s = np.random.default_rng(seed).normal(size=(n, n))
    each = n // groups
    allowed = [p for p in permutations(range(n)) if all(p[i] // each == p[i - i % each] // each for i in range(n))]
    best = max(s[range(n), p].sum() for p in allowed)
    found = assign(s, groups).tolist()
    assert tuple(found) in allowed and s[range(n), found].sum() == pytest.approx(best)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.integers(0, 1000))
def test_numberings_compose_and_are_undone(seed):
    theta = network("convnet_gn")
    p, q = random_permutations(theta, seed), random_permutations(theta, seed + 1)
    both = permuted(permuted(theta, p), q)
    once = permuted(theta, {name: p[name][q[name]] for name in p})
    undone = permuted(both, {name: p[name][q[name]].argsort() for name in p})
    for name, value in theta.params.items():
        assert torch.equal(both.params[name], once.params[name]) and torch.equal(undone.params[name], value)


def test_what_cannot_be_renumbered_is_refused():
    theta = network("convnet_gn")
    split = torch.arange(16)
    split[[0, 2]] = split[[2, 0]]  # groups of two
    for bad, words in (
        ({"5": torch.arange(16)}, "no channels '5'"),
        ({"0": torch.tensor([0, 0, 1, 2])}, "needs a permutation of its 4"),
        ({"0": torch.arange(3)}, "needs a permutation of its 4"),
        ({"6": split}, "8 groups"),
    ):
        with pytest.raises(BadInput, match=words):
            check_permutations(theta, bad)
    for module, words in (
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 2, 3)), "layer 1"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2)), "layer 2"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 2)), "a Softmax"),
        (nn.Sequential(nn.Linear(4, 2)), "no hidden channels"),
        (nn.TransformerEncoderLayer(4, 2), "cannot be renumbered"),
    ):
        with pytest.raises(BadInput, match=words):
            units_of(weights_of(module))
    with pytest.raises(BadInput, match="give task="):
        align(theta, theta, "activations")
    with pytest.raises(BadInput, match="different architectures"):
        align(theta, network("convnet"))
    for bad in (np.eye(3) * np.nan, np.ones((2, 3)), np.eye(3)):
        with pytest.raises(BadInput, match="square matrix"):
            assign(bad, 2)
    assert share_moved({}) == 0
