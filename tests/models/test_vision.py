"""Named architectures: shapes, seeds, and new weights for any module."""

import pytest
import torch
from torch import nn

from mcutils.errors import BadInput
from mcutils.models.vision import MODELS, build, rebuild


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("name", "parameters"), [("convnet", 61_050), ("convnet_gn", 61_050), ("resnet18", 11_172_810)]
)
def test_size_and_output(name, parameters):
    net = build(name, 1, 10, seed=0).eval()
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(("name", "width"), [("convnet", 5), ("convnet_gn", 4)])
def test_width_channels_and_classes(name, width):
    net = build(name, 3, 7, seed=0, width=width)
    assert net[0].weight.shape == (width, 3, 3, 3)
    assert [m.stride[0] for m in net if isinstance(m, nn.Conv2d)] == [2, 1, 2, 1]
    assert [m.out_channels for m in net if isinstance(m, nn.Conv2d)] == [
        width,
        2 * width,
        4 * width,
        4 * width,
    ]
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 7)


def test_norms():
    assert not list(build("convnet_gn", 1, 10, seed=0).buffers())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in build("convnet", 1, 10, seed=0).modules()) == 4


def test_resnet18_has_the_small_image_stem():
    net = build("resnet18", 3, 10, seed=0)
    assert net.conv1.weight.shape == (64, 3, 3, 3) and net.conv1.stride == (1, 1)
    assert isinstance(net.maxpool, nn.Identity)


@pytest.mark.parametrize("name", MODELS)
def test_seed_decides_and_the_global_generator_is_left_alone(name):
    before = torch.get_rng_state()
    one, again, other = (build(name, 1, 10, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(one, again) and not same(one, other)


def test_unknown_name_and_fixed_width():
    with pytest.raises(BadInput, match="'vgg': choose one of convnet, convnet_gn, resnet18"):
        build("vgg", 1, 10, seed=0)
    with pytest.raises(BadInput, match="fixed width of 64, got 32"):
        build("resnet18", 1, 10, seed=0, width=32)


def test_rebuild_a_named_network():
    net = build("convnet", 1, 10, seed=0, width=3)
    before = torch.get_rng_state()
    other = rebuild(net, 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(other, build("convnet", 1, 10, seed=5, width=3)) and same(net, build("convnet", 1, 10, seed=0, width=3))


def test_rebuild_a_module_of_the_users_own():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(7)
        net[1].running_mean.fill_(7)
    before = torch.get_rng_state()
    one, again, other = (rebuild(net, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(one, again) and not same(one, other)
    assert all((p != 7).all() for p in one.parameters()) and (one[1].running_mean == 0).all()
    assert all((p == 7).all() for p in net.parameters())
