"""Named architectures; any other `nn.Module`, or a function that makes one, works wherever a name does."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils.weight_norm import WeightNorm

from ..errors import BadInput, choose, instance, reason, seed_of, whole


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
WIDEST = 4096


def build(name: str, channels: int, classes: int, seed: int, **options: int) -> nn.Module:
    """Return the named network with weights drawn from ``seed``, leaving torch's global generator untouched."""
    make = MODELS[choose("model", name, MODELS)]
    channels, classes = whole("channels", channels, 1), whole("classes", classes, 1)
    check_options(name, options)
    if "width" in options:
        options["width"] = whole("width", options["width"], 1, WIDEST)
    net = drawn(lambda: make(channels, classes, **options), seed)
    vars(net)["recipe"] = {"name": name, "channels": channels, "classes": classes, **options}
    return net


def check_options(name: str, options: Iterable[str]) -> None:
    """Raise `BadInput` for an option that the named architecture has not."""
    allowed = list(inspect.signature(MODELS[choose("model", name, MODELS)]).parameters)[2:]
    for option in options:
        choose(f"option of {name}", option, allowed)


def drawn(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The module that a factory makes with torch's generator at ``seed``, left as it was; or `BadInput`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed))
        try:
            made = factory()
        except BadInput:
            raise
        except Exception as error:  # a factory of the user's own may fail in any way
            raise BadInput(f"the model could not be made by calling it without arguments: {reason(error)}.") from error
    return instance("what the model's factory returns", made, nn.Module, "a torch module")


def check_module(module: nn.Module) -> nn.Module:
    """Return a module whose parameters can be copied, trained and mixed, or raise `BadInput` saying why they cannot."""
    name = type(instance("the model", module, nn.Module, "a torch module")).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise BadInput(f"a {name} is a scripted module, which cannot be copied: pass the module it was made from.")
    if hasattr(module, "_orig_mod"):
        raise BadInput(f"a {name} is a compiled module: pass the module it was made from.")
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for key, value in tensors.items():
        if nn.parameter.is_lazy(value):
            raise BadInput(f"{key} of a {name} is lazy and has no shape yet: call the module on an example first.")
        if value.is_meta:
            raise BadInput(f"{key} of a {name} lies on the meta device and holds no numbers: make it with to_empty.")
    if not any(True for _ in module.parameters()):
        raise BadInput(f"a {name} has no parameters: there is nothing to train or to walk through.")
    for key, value in module.named_parameters():
        if not value.is_floating_point():
            raise BadInput(f"{key} of a {name} is {value.dtype}: parameters must be real floating-point numbers.")
    if any(isinstance(hook, WeightNorm) for layer in module.modules() for hook in layer._forward_pre_hooks.values()):
        raise BadInput(
            f"a {name} uses the old torch.nn.utils.weight_norm, whose weights cannot be copied: use "
            "torch.nn.utils.parametrizations.weight_norm."
        )
    return module


def copied(module: nn.Module) -> nn.Module:
    """A deep copy of a module, or `BadInput` where torch cannot copy it."""
    try:
        return copy.deepcopy(module)
    except Exception as error:  # whatever a module of the user's own holds
        raise BadInput(f"a {type(module).__name__} cannot be copied: {reason(error)}.") from error


def rebuild(net: nn.Module, seed: int, frozen: frozenset[str] = frozenset()) -> nn.Module:
    """Return a network of the same architecture with new weights drawn from ``seed``.

    A named architecture is built again. In a module of the user's own every layer is reset by its own
    ``reset_parameters``, inner layers first as when they were made. Raises `BadInput` naming the parameters that no
    layer resets and that are not ``frozen``: a factory draws those.
    """
    seed_of(seed)
    if recipe := recipe_of(net):
        return build(seed=seed, **recipe)
    left = sorted({name for name, _ in net.named_parameters()} - frozen - _overwritten(net))
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise BadInput(
            f"a {type(net).__name__} cannot be drawn anew, since no layer resets {', '.join(left[:3])}{more}: "
            "pass a factory, a function without arguments that returns a new module, instead of the module."
        )
    other = copied(net)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for layer in _inside_out(other):
            _reset(layer)
    return other


def recipe_of(net: nn.Module) -> dict[str, Any] | None:
    """The arguments that `build` makes the same architecture of; None for a module of the user's own."""
    found = vars(net).get("recipe")
    return found if isinstance(found, dict) and found.get("name") in MODELS else None


def kept_buffers(net: nn.Module) -> set[str]:
    """Names of the buffers that `rebuild` leaves as they are, since no layer resets them."""
    return set() if recipe_of(net) else {name for name, _ in net.named_buffers()} - _overwritten(net)


def _inside_out(module: nn.Module, seen: set[nn.Module] | None = None) -> Iterator[nn.Module]:
    """Every module once, inner ones before those that hold them."""
    seen = set() if seen is None else seen
    for child in module.children():
        if child not in seen:
            seen.add(child)
            yield from _inside_out(child, seen)
    yield module


def _reset(layer: nn.Module) -> None:
    for name in ("reset_parameters", "_reset_parameters"):
        if callable(method := getattr(layer, name, None)):
            method()
            return


@torch.no_grad()
def _overwritten(net: nn.Module) -> set[str]:
    """Names of the parameters and buffers that resetting every layer overwrites: none of their marks is left."""
    other = copied(net)
    tensors = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    mark = {name: torch.nan if v.is_floating_point() else (v.dtype != torch.bool) * 113 for name, v in tensors.items()}
    for name, value in tensors.items():
        value.fill_(mark[name])
    with torch.random.fork_rng(devices=[]):
        for layer in _inside_out(other):
            try:
                _reset(layer)
            except Exception:  # a layer that cannot be reset leaves its marks
                continue
    now = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    same = {name: (v.isnan() if v.is_floating_point() else v == mark[name]).any() for name, v in now.items()}
    return {name for name, left in same.items() if not left}
