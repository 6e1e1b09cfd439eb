"""Channels that may be renumbered: which axes of which tensors belong together, and networks with permuted channels.

A network computes the same function when the channels between two layers are renumbered in all tensors that write or
read them. Statistics of BatchNorm go along; GroupNorm takes statistics over groups of channels, so that only whole
groups, and channels inside them, may change places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ..errors import BadInput, instance, seed_of
from ..models.vision import recipe_of
from ..weights import Weights, check_weights

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
# Layers that treat every channel alike. (Flatten does where one position is left, which the next layer's size tells.)
BLIND = (
    *(nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Dropout, nn.Dropout2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten),
)
Permutations = Mapping[
    str, Tensor
]  # unit -> (size,) int64: channel i of the new network is channel p[i] of the old one


@dataclass
class Unit:
    """Channels that are renumbered together.

    ``places`` are (tensor, axis) of parameters and buffers; ``groups`` is into how many equal runs GroupNorm takes them
    (1: any order is allowed); ``read`` names the layers whose outputs are these channels before their activation.
    """

    name: str
    size: int
    groups: int = 1
    places: list[tuple[str, int]] = field(default_factory=list)
    read: list[str] = field(default_factory=list)

    def writes(self, name: str, layer: nn.Module) -> None:
        """Take the output axis of a convolution or linear layer."""
        self.places += [(f"{name}.{part}", 0) for part, value in layer.named_parameters() if value is not None]
        self.read.append(name)

    def reads(self, name: str) -> None:
        """Take the input axis of a convolution or linear layer."""
        self.places.append((f"{name}.weight", 1))

    def normalised(self, name: str, layer: nn.Module) -> None:
        """Take the parameters and statistics of a normalisation, whose output is read in place of what enters it."""
        groups = layer.num_groups if isinstance(layer, nn.GroupNorm) else 1
        if self.groups > 1 and groups > 1 and groups != self.groups:
            raise BadInput(f"{name} takes {self.size} channels in {groups} groups and another layer in {self.groups}.")
        self.groups = max(self.groups, groups)
        tensors = (*layer.named_parameters(), *layer.named_buffers())
        self.places += [(f"{name}.{part}", 0) for part, value in tensors if value.ndim == 1]
        self.read[-1] = name


def units_of(weights: Weights) -> tuple[Unit, ...]:
    """The units of a network, in the order of its layers; classes and inputs are none.

    Known are sequences of convolutions, linear layers, BatchNorm, GroupNorm, activations and pooling, such as `convnet`
    and `convnet_gn`, and `resnet18`, whose blocks share the channels that they add to. Raises `BadInput` naming the
    layer of any other network that cannot be renumbered.
    """
    net = check_weights(weights).net
    if (recipe_of(net) or {}).get("name") == "resnet18":
        found = _resnet(net)
    elif isinstance(net, nn.Sequential):
        found = _sequence(net, weights.model)
    else:
        raise BadInput(
            f"the channels of a {weights.model} cannot be renumbered: give a sequence of layers, or a resnet18."
        )
    if not found:
        raise BadInput(f"a {weights.model} has no hidden channels to renumber.")
    return tuple(found)


def _sequence(net: nn.Sequential, model: str) -> list[Unit]:
    found: list[Unit] = []
    for name, layer in net.named_children():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)):
            entering = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
            if getattr(layer, "groups", 1) != 1 or (found and entering != found[-1].size):
                raise BadInput(
                    f"layer {name} of a {model} takes {entering} channels, in groups or flattened from"
                    f" {found[-1].size if found else entering}: they cannot be renumbered."
                )
            if found:
                found[-1].reads(name)
            found.append(Unit(name, len(layer.weight)))
            found[-1].writes(name, layer)
        elif isinstance(layer, NORMS):
            if found:
                found[-1].normalised(name, layer)
        elif not isinstance(layer, BLIND):
            raise BadInput(f"layer {name} of a {model}, a {type(layer).__name__}, may tell channels apart.")
    return found[:-1]  # the last layer's outputs are the classes


def _resnet(net: nn.Module) -> list[Unit]:
    layers = dict(net.named_modules())

    def written(unit: Unit, layer: str, norm: str) -> None:
        unit.writes(layer, layers[layer])
        unit.normalised(norm, layers[norm])

    stream = Unit("conv1", len(layers["conv1"].weight))
    written(stream, "conv1", "bn1")
    found = [stream]
    for block in (f"layer{k}.{b}" for k in range(1, 5) for b in range(2)):
        stream.reads(f"{block}.conv1")
        inner = Unit(f"{block}.conv1", len(layers[f"{block}.conv1"].weight))
        written(inner, f"{block}.conv1", f"{block}.bn1")
        inner.reads(f"{block}.conv2")
        if f"{block}.downsample.0" in layers:
            stream.reads(f"{block}.downsample.0")
            stream = Unit(f"{block}.conv2", len(layers[f"{block}.conv2"].weight))
            written(stream, f"{block}.downsample.0", f"{block}.downsample.1")
            found.append(stream)
        written(stream, f"{block}.conv2", f"{block}.bn2")
        found.append(inner)
    stream.reads("fc")
    return found


def check_permutations(weights: Weights, permutations: Permutations) -> dict[str, Tensor]:
    """Return permutations by unit, the identity where none is given; `BadInput` for what would change the function."""
    units = {unit.name: unit for unit in units_of(weights)}
    for name in permutations:
        if name not in units:
            raise BadInput(f"a {weights.model} has no channels {name!r}: its units are {', '.join(units)}.")
    found = {}
    for name, unit in units.items():
        given = torch.as_tensor(permutations.get(name, torch.arange(unit.size)))
        if given.dtype != torch.int64 or not torch.equal(given.sort().values.cpu(), torch.arange(unit.size)):
            raise BadInput(f"{name} needs a permutation of its {unit.size} channels, got {given.tolist()[:8]}.")
        runs = given.cpu().view(unit.groups, -1) // (unit.size // unit.groups)
        if not (runs == runs[:, :1]).all():
            raise BadInput(f"{name} keeps its {unit.groups} groups of channels together, which this order does not.")
        found[name] = given
    return found


def permuted(weights: Weights, permutations: Permutations) -> Weights:
    """The same function with its channels renumbered: channel i of a unit is the old channel ``permutations[unit][i]``.

    Raises `BadInput` for a network that is not known (`units_of`), other than permutations, and orders that tear groups
    of GroupNorm apart.

    >>> from mcutils.models.vision import build
    >>> from mcutils.weights import weights_of
    >>> theta = weights_of(build("convnet", 1, 10, seed=0, width=2))
    >>> other = permuted(theta, {"0": torch.tensor([1, 0])})
    >>> torch.equal(other.params["0.weight"], theta.params["0.weight"].flip(0))
    True
    """
    orders = check_permutations(weights, instance("permutations", permutations, Mapping, "a table"))
    params, buffers = dict(weights.params), dict(weights.buffers)
    for unit in units_of(weights):
        for name, axis in unit.places:
            held = params if name in params else buffers
            held[name] = held[name].index_select(axis, orders[unit.name].to(held[name].device))
    return replace(weights, params=params, buffers=buffers)


def random_permutations(weights: Weights, seed: int) -> dict[str, Tensor]:
    """An order for every unit, drawn evenly from those that leave the function as it is."""
    rng = torch.Generator().manual_seed(seed_of(seed))
    found = {}
    for unit in units_of(weights):
        each = unit.size // unit.groups
        starts = torch.randperm(unit.groups, generator=rng) * each
        inside = [torch.randperm(each, generator=rng) for _ in range(unit.groups)]
        found[unit.name] = torch.cat([start + order for start, order in zip(starts, inside, strict=True)])
    return found


def share_moved(permutations: Permutations) -> float:
    """Share of all channels that are not where they were."""
    orders = [torch.as_tensor(order).cpu() for order in permutations.values()]
    moved = sum(int((order != torch.arange(len(order))).sum()) for order in orders)
    return moved / sum(map(len, orders)) if orders else 0.0
