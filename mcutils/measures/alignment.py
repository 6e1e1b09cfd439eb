"""Alignment: channels that may be renumbered, and the numbering under which a network is most like another.

A network computes the same function when the channels between two layers are renumbered in all tensors that write or
read them. Statistics of BatchNorm go along; GroupNorm takes statistics over groups of channels, so that only whole
groups, and channels inside them, may change places. Two networks that differ by a renumbering are one function, yet the
straight line between them has a barrier. So "not linearly connected" is said up to permutations (Ainsworth et al. 2023,
Git Re-Basin; Lubana et al. 2023 ask the same of mechanisms). Refreshing BatchNorm inside the line is the repair that
Jordan et al. 2023 (REPAIR) found to be needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.tasks import Task, take
from ..errors import BadInput, choose, instance, seed_of, whole
from ..models.vision import recipe_of
from ..networks import check_task
from ..traces import BATCH
from ..weights import Weights, check_same_shape, check_weights, module_of

SWEEPS = 100  # at most, over all units
ROWS = 2000  # of retain data, whose activations are compared
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
# Layers that treat every channel alike. (Flatten does where one position is left, which the next layer's size tells.)
BLIND = (
    *(nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Dropout, nn.Dropout2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten),
)
Permutations = Mapping[str, Tensor]  # unit -> p (size,) int64: channel i of the new network is the old one's p[i]


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


def share_moved(permutations: Permutations) -> float:
    """Share of all channels that are not where they were."""
    orders = [torch.as_tensor(order).cpu() for order in permutations.values()]
    moved = sum(int((order != torch.arange(len(order))).sum()) for order in orders)
    return moved / sum(map(len, orders)) if orders else 0.0


@dataclass(frozen=True, eq=False)
class Alignment:
    """The ``permutations`` by which a network is most like another; ``model()`` gives it as it was numbered before."""

    model: Callable[[], Weights]
    permutations: Permutations

    @cached_property
    def weights(self) -> Weights:
        """The network with its channels renumbered."""
        return permuted(self.model(), self.permutations)

    @property
    def moved(self) -> float:
        """Share of channels that are not where they were."""
        return share_moved(self.permutations)


def assign(scores: Tensor | np.ndarray, groups: int = 1) -> Tensor:
    """The order p (n,) that maximises ``sum_i scores[i, p_i]``, groups of channels staying together.

    One assignment problem; with groups one inside each pair of groups and then one between groups, which is the exact
    maximum. Raises `BadInput` for scores that are not a finite square matrix of whole groups.
    """
    from scipy.optimize import linear_sum_assignment

    s = np.asarray(scores, dtype=np.float64)
    groups = whole("groups", groups, 1)
    if s.ndim != 2 or s.shape[0] != s.shape[1] or len(s) % groups or not np.isfinite(s).all():
        raise BadInput(f"channels are assigned by a finite square matrix in {groups} groups, got shape {s.shape}.")
    if groups == 1:
        return torch.from_numpy(linear_sum_assignment(s, maximize=True)[1].astype(np.int64))
    each = len(s) // groups
    blocks = s.reshape(groups, each, groups, each).swapaxes(1, 2)
    inside = np.empty((groups, groups, each), dtype=np.int64)
    gains = np.empty((groups, groups))
    for g in range(groups):
        for h in range(groups):
            rows, inside[g, h] = linear_sum_assignment(blocks[g, h], maximize=True)
            gains[g, h] = blocks[g, h][rows, inside[g, h]].sum()
    partner = linear_sum_assignment(gains, maximize=True)[1]
    return torch.from_numpy(np.concatenate([h * each + inside[g, h] for g, h in enumerate(partner)]))


def match_weights(a: Weights, b: Weights, seed: int = 0, task: Task | None = None) -> dict[str, Tensor]:  # noqa: ARG001
    """Orders of b's channels that make its parameters most like a's, unit by unit until none gains.

    Each unit's order is the assignment of ``S = sum <A, B>`` over the tensors that hold it, the other units as they are
    by then: first in the order of the layers, then in random ones drawn by ``seed``. The likeness never falls; the end
    is a local maximum. Running statistics, which are estimated anew, are not compared. Source: Ainsworth et al. 2023,
    algorithm 1.
    """
    check_same_shape((a, b))
    units, rng = units_of(a), np.random.default_rng(seed_of(seed))
    orders = {unit.name: torch.arange(unit.size, device=b.device) for unit in units}
    holds: dict[str, list[tuple[str, int]]] = {}
    for unit in units:
        for name, axis in unit.places:
            holds.setdefault(name, []).append((unit.name, axis))

    def scores(unit: Unit) -> Tensor:
        total = torch.zeros(unit.size, unit.size, dtype=torch.float64)
        for name, axis in unit.places:
            if name not in a.params:
                continue
            other = b.params[name]
            for owner, at in holds[name]:
                other = other if owner == unit.name else other.index_select(at, orders[owner])
            mine, theirs = (v.movedim(axis, 0).reshape(unit.size, -1).double() for v in (a.params[name], other))
            total += (mine @ theirs.T).cpu()
        return total

    for sweep in range(SWEEPS):
        gained = False
        for k in range(len(units)) if sweep == 0 else rng.permutation(len(units)):
            unit = units[k]
            s, old = scores(unit), orders[unit.name].cpu()
            new, rows = assign(s, unit.groups), torch.arange(unit.size)
            if float(s[rows, new].sum() - s[rows, old].sum()) > 1e-9 * float(s.abs().max()):
                orders[unit.name], gained = new.to(b.device), True
        if not gained:
            break
    return orders


def match_activations(a: Weights, b: Weights, seed: int = 0, task: Task | None = None) -> dict[str, Tensor]:  # noqa: ARG001
    """Orders of b's channels whose activations correlate most with a's on retain data, each unit by itself.

    Pearson's correlation over the first `ROWS` retain examples and all positions, of what enters the activations, with
    statistics stored with the weights; the mean over the layers that write a unit. A channel that does not vary
    correlates with none. Sources: Li et al. 2016; Ainsworth et al. 2023. Raises `BadInput` without a task.
    """
    if task is None:
        raise BadInput("activations are compared on the retain data of a task: give task=.")
    check_same_shape((a, b))
    check_task(task)
    units, rows = units_of(a), task.rows("retain")[:ROWS]
    sums: dict[str, Any] = {}
    kept: list[dict[str, Tensor]] = [{}, {}]
    modules = [module_of(one) for one in (a, b)]
    read = {name for unit in units for name in unit.read}

    def keep(into: dict[str, Tensor], name: str) -> Callable[..., None]:
        def hook(layer: Any, given: Any, out: Tensor) -> None:  # noqa: ARG001
            into[name] = out.movedim(1, 0).flatten(1).double()

        return hook

    for module, into in zip(modules, kept, strict=True):
        for name, layer in module.named_modules():
            if name in read:
                layer.register_forward_hook(keep(into, name))
    with torch.no_grad():
        for part in rows.split(BATCH):
            for module in modules:
                module(take(task.x, part))
            for name in read:
                x, y = (one[name] for one in kept)
                found = (x.shape[1], x.sum(1), y.sum(1), x.square().sum(1), y.square().sum(1), x @ y.T)
                before = sums.get(name, (0,) * len(found))
                sums[name] = tuple(p + q for p, q in zip(before, found, strict=True))
    correlations = {name: _correlation(*one).cpu() for name, one in sums.items()}
    return {
        unit.name: assign(torch.stack([correlations[name] for name in unit.read]).mean(0), unit.groups)
        for unit in units
    }


def _correlation(n: int, x: Tensor, y: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """Pearson's correlations (C, C) from sums over n; 0 where a channel does not vary beyond rounding."""
    spread = []
    for s, square in ((x, xx), (y, yy)):
        variance = square / n - (s / n).square()
        spread.append(torch.where(variance > 1e-12 * square / n, variance, torch.inf).sqrt())
    return (xy / n - torch.outer(x / n, y / n)) / torch.outer(*spread)


MATCHINGS: dict[str, Callable[..., dict[str, Tensor]]] = {"weights": match_weights, "activations": match_activations}


def align(a: Weights, b: Weights, by: str = "weights", *, seed: int = 0, task: Task | None = None) -> Alignment:
    """Renumber the channels of ``b`` to be most like ``a``, by matching ``weights`` or ``activations``.

    Its logits stay those of b up to rounding. Raises `BadInput` for networks that are not known (`units_of`),
    of different architectures, or for activations without a task.
    """
    return Alignment(lambda: b, MATCHINGS[choose("matching", by, MATCHINGS)](a, b, seed, task))
