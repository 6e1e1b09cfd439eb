"""Named architectures; any other `nn.Module` works wherever a name does."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import nn

from .settings import BadInput


def _convnet(channels: int, classes: int, width: int, norm: Callable[[int], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    sizes = (channels, width, 2 * width, 4 * width, 4 * width)
    for before, after, stride in zip(sizes, sizes[1:], (2, 1, 2, 1), strict=False):
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), norm(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes[-1], classes))


def convnet(channels: int, classes: int, width: int = 16) -> nn.Module:
    """Four 3x3 convolutions (w, 2w, 4w, 4w channels, strides 2, 1, 2, 1) with BatchNorm, average pool, linear head."""
    return _convnet(channels, classes, width, nn.BatchNorm2d)


def convnet_gn(channels: int, classes: int, width: int = 16) -> nn.Module:
    """The network of `convnet` with GroupNorm (8 groups) instead of BatchNorm: no running statistics to refresh."""
    return _convnet(channels, classes, width, lambda size: nn.GroupNorm(math.gcd(8, size), size))


def resnet18(channels: int, classes: int, width: int = 64) -> nn.Module:
    """Torchvision's ResNet-18 with the small-image stem: 3x3 convolution of stride 1, no max-pool."""
    from torchvision.models import resnet

    if width != 64:
        raise BadInput(f"resnet18 has a fixed width of 64, got {width}.")
    net = resnet.resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
    net.maxpool = nn.Identity()
    return net


MODELS: dict[str, Callable[..., nn.Module]] = {"convnet": convnet, "convnet_gn": convnet_gn, "resnet18": resnet18}


def build(name: str, channels: int, classes: int, seed: int, **options: int) -> nn.Module:
    """Return the named network with weights drawn from ``seed``, leaving torch's global generator untouched.

    ``channels`` counts the channels of an input image, ``classes`` the outputs; ``options`` go to the architecture.
    """
    if name not in MODELS:
        raise BadInput(f"unknown model {name!r}: choose one of {', '.join(MODELS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = MODELS[name](channels, classes, **options)
    net.recipe = {"name": name, "channels": channels, "classes": classes, **options}
    return net


def rebuild(net: nn.Module, seed: int) -> nn.Module:
    """Return a network of the same architecture with new weights drawn from ``seed``.

    A named architecture is built again; in a module of the user's own every layer with ``reset_parameters`` is reset.
    """
    if hasattr(net, "recipe"):
        return build(seed=seed, **net.recipe)
    other = copy.deepcopy(net)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in other.modules():
            reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
            if reset:
                reset()
    return other
