"""Weights: the named tensors and buffers of a network, as a value that nothing mutates.

The network object itself is only a skeleton: it says how to compute, the tensors say with which numbers.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .data.tasks import Inputs, check_finite, count as examples, joined, take, tensors_in, to
from .errors import BadInput, flag, instance, path_of, reason, shown, whole
from .models.vision import build, check_module, copied, recipe_of
from .reading import opened, writing

Tensors = Mapping[str, Tensor]
BATCHNORM = nn.modules.batchnorm._BatchNorm
RUNNING = nn.modules.batchnorm._NormBase  # BatchNorm and InstanceNorm: running statistics can be estimated anew
PLAIN = torch.contiguous_format


@dataclass(frozen=True, eq=False)
class Weights:
    """Parameters (``params``) and buffers (``buffers``) of ``net``, whose own tensors are never read or written.

    ``model`` is the architecture's registered name, or the class name of a module of the user's own. Parameters in
    ``frozen`` are never trained; ``factory``, where the module came from one, makes an untrained twin.

    >>> theta = weights_of(nn.Linear(3, 2))
    >>> theta.model, list(theta.params), count(theta)
    ('Linear', ['weight', 'bias'], 8)
    """

    net: nn.Module
    params: Tensors
    buffers: Tensors
    model: str
    frozen: frozenset[str] = frozenset()
    factory: Callable[[], nn.Module] | None = None

    def __post_init__(self) -> None:
        for name, held in (("params", self.params), ("buffers", self.buffers)):
            if not isinstance(held, Mapping) or not all(map(_is_dense, held.values())):
                raise BadInput(f"{name} of weights must be a dictionary of dense torch tensors that hold numbers.")

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(iter(self.params.values())).device

    def to(self, where: torch.device | str | torch.dtype) -> Weights:
        """Return the weights on another device, or with floating-point tensors in another dtype."""
        instance("where", where, (str, torch.device, torch.dtype), "a device or a dtype")
        try:
            torch.empty(0).to(where)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise BadInput(f"weights cannot be brought to {shown(where)}: {reason(error)}.") from error
        move = lambda v: v.to(where) if v.is_floating_point() or not isinstance(where, torch.dtype) else v  # noqa: E731
        return replace(
            self,
            params={k: move(v) for k, v in self.params.items()},
            buffers={k: move(v) for k, v in self.buffers.items()},
        )


def _is_dense(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta


class Net:
    """A network at given tensors: ``net(x)`` gives logits; ``net.params`` are the tensors it is called at.

    One private copy of the skeleton serves many calls; `at` swaps the tensors, which may carry a graph. Images are
    brought into the memory format of the parameters that the network was made with.
    """

    def __init__(self, skeleton: nn.Module, params: Tensors, buffers: Tensors, *, train: bool = False):
        self._module = copy.deepcopy(skeleton).train(train).requires_grad_(False)
        self.params, self.buffers = params, dict(buffers)
        # Read from the strides, since is_contiguous says yes to both formats when there is one channel.
        self._channels_last = any(p.ndim == 4 and p.stride(1) == 1 < p[0, 0].numel() for p in params.values())

    def at(self, params: Tensors) -> Net:
        """Return the same network called at other parameters."""
        other = copy.copy(self)
        other.params = params
        return other

    def __call__(self, x: Inputs) -> Tensor:
        # Not x.contiguous: with one channel it keeps strides that send a convolution down the slow path.
        if self._channels_last and isinstance(x, Tensor) and x.ndim == 4:
            x = x.to(memory_format=torch.channels_last)
        tensors = {**self.params, **self.buffers}
        output = functional_call(self._module, tensors, (x,))
        for name, before in self.buffers.items():
            if tensors[name] is not before:  # the module put another tensor in its place, as `self.mean = ...` does
                self.buffers[name] = tensors[name].detach()
        return output


def weights_of(module: nn.Module, model: str | None = None) -> Weights:
    """Copy the parameters and buffers out of a module; parameters with ``requires_grad`` off are frozen.

    ``model`` is the name that messages and settings use, the module's class where None. Raises `BadInput` for modules
    that cannot be copied or hold no numbers yet (scripted, compiled, lazy, meta) and for those without parameters.

    >>> weights_of(nn.Linear(3, 2).requires_grad_(False), "probe").frozen == {"weight", "bias"}
    True
    """
    instance("model", model, (str, type(None)), "a name or None")
    frozen = frozenset(name for name, p in check_module(module).named_parameters() if not p.requires_grad)
    return Weights(
        copied(module).requires_grad_(False),
        {k: v.detach().clone().contiguous() for k, v in module.named_parameters()},
        {k: v.detach().clone() for k, v in module.named_buffers()},
        model or type(module).__name__,
        frozen,
    )


def trainable(weights: Weights, tensors: Tensors | None = None) -> dict[str, Tensor]:
    """Of the parameters (or of other tensors by the same names) those that are not frozen."""
    chosen = weights.params if tensors is None else tensors
    return {name: value for name, value in chosen.items() if name not in weights.frozen}


def net_of(weights: Weights, layout: torch.memory_format = PLAIN, *, train: bool = False) -> Net:
    """A network at copies of all tensors of some weights, so that whatever moves or changes them leaves these be."""
    return Net(weights.net, laid_out(weights.params, layout), laid_out(weights.buffers, layout), train=train)


def module_of(weights: Weights, layout: torch.memory_format | None = None) -> nn.Module:
    """A new module in evaluation mode that holds a copy of the weights, 4-D tensors in memory format ``layout``."""
    module = copy.deepcopy(check_weights(weights).net).to(weights.device).eval()
    tensors = {**weights.params, **weights.buffers}
    for name, own in (*module.named_parameters(), *module.named_buffers()):
        own.data = tensors[name].detach().clone()
    return module if layout is None else module.to(memory_format=layout)  # type: ignore[call-overload]


@torch.no_grad()
def write(module: nn.Module, params: Tensors, buffers: Tensors) -> None:
    """Copy tensors into a module that the caller owns."""
    own = dict((*module.named_parameters(), *module.named_buffers()))
    for name, value in {**params, **buffers}.items():
        own[name].copy_(value)


def check_weights(value: object, name: str = "the model") -> Weights:
    """Return weights, or raise `BadInput` for anything else."""
    return instance(name, value, Weights, "weights, as train, unlearn or weights_of return them")


def check_same_shape(weights: Sequence[Weights]) -> None:
    """Raise `BadInput` unless all weights belong to one architecture and are finite.

    Buffers count too: they tell a network with BatchNorm from its twin with GroupNorm. They may hold infinity, as an
    attention mask does, but not NaN.
    """
    for w in weights:
        check_weights(w)
    shapes = [{k: tuple(v.shape) for k, v in {**w.params, **w.buffers}.items()} for w in weights]
    for w, shape in zip(weights[1:], shapes[1:], strict=True):
        if shape != shapes[0]:
            raise BadInput(
                f"endpoints of different architectures: {weights[0].model} with {count(weights[0]):,} parameters and "
                f"{w.model} with {count(w):,}; a curve needs one architecture of one size."
            )
    kinds = {v.dtype for w in weights for v in w.params.values()}
    if any({v.dtype for v in w.params.values()} != kinds for w in weights):
        types = " and ".join(sorted(str(kind) for kind in kinds))
        raise BadInput(f"weights of a {weights[0].model} in {types}: bring them to one type with .to first.")
    for w in weights:
        bad = [name for name, value in w.params.items() if not torch.isfinite(value).all()]
        bad += [name for name, value in w.buffers.items() if torch.isnan(value).any()]
        if bad:
            raise BadInput(f"weights of a {w.model} hold NaN or infinity in {bad[0]}: only finite weights are allowed.")


def count(weights: Weights) -> int:
    """Number of scalar parameters P."""
    return sum(v.numel() for v in check_weights(weights).params.values())


def flatten(weights: Weights) -> Tensor:
    """All parameters as one vector (P,), in the order of ``weights.params``."""
    return torch.cat([v.reshape(-1) for v in check_weights(weights).params.values()])


def mix(coefficients: Sequence[float], points: Sequence[Tensors]) -> dict[str, Tensor]:
    """Sum of coefficient times tensors, name by name, through which gradients flow.

    A zero coefficient is skipped and a lone coefficient of one copies nothing, so that ends stay exact.
    """
    used = [(c, p) for c, p in zip(coefficients, points, strict=True) if c != 0]
    if not used:
        return {name: torch.zeros_like(v) for name, v in points[0].items()}
    if len(used) == 1 and used[0][0] == 1:
        return dict(used[0][1])
    (first, begin), *others = used
    result = {}
    for name, value in begin.items():
        total = value * first
        for c, p in others:
            total.add_(p[name], alpha=c)
        result[name] = total
    return result


def distance(a: Weights, b: Weights) -> float:
    """Euclidean distance between two parameter vectors."""
    check_same_shape((a, b))
    return float((flatten(a) - flatten(b)).double().norm())


def cosine(a: Weights, b: Weights, origin: Weights) -> float:
    """Cosine of the angle between two task vectors ``a - origin`` and ``b - origin``."""
    check_same_shape((a, b, origin))
    u, v = ((flatten(w) - flatten(origin)).double() for w in (a, b))
    return float(u @ v / (u.norm() * v.norm()))


def memory_format(
    weights: Weights, x: Inputs, classes: int | None = None, *, plain: bool = False
) -> torch.memory_format:
    """Channels-last where the network has convolutions and accepts it (probed on one example), else or ``plain`` NCHW.

    Convolutions on a CPU run up to 1.7 times faster channels-last; a network that calls ``view`` may refuse it. Raises
    `BadInput` where the network accepts the example in neither, or gives other than one logit for each of ``classes``.
    """
    convolves = not plain and any(v.ndim == 4 for v in check_weights(weights).params.values())
    problem: Exception = BadInput("no layout was tried")
    one = joined([take(x, slice(1))])
    for layout in (torch.channels_last, PLAIN)[0 if convolves else 1 :]:
        try:
            seen = to(one, memory_format=layout)
            before = versions(seen)
            with torch.no_grad():
                output = module_of(weights, layout)(seen)
        except Exception as error:  # a module of the user's own may fail in any way
            problem = error
        else:
            if versions(seen) != before:
                raise BadInput(f"a {weights.model} changes its examples in place: let it work on a copy.")
            if classes is not None:
                check_logits(weights.model, output, examples(one), classes)
            return layout
    raise BadInput(f"a {weights.model} cannot be called on {described(x)}: {reason(problem)}.") from problem


def versions(x: Inputs) -> list[int]:
    """How often each tensor of some examples was written to."""
    return [part._version for part in tensors_in(x)]


def described(x: Inputs) -> str:
    """Examples in a message: their shape, or the names and shapes of a dictionary's tensors."""
    if isinstance(x, Tensor):
        return f"examples of shape {tuple(x.shape[1:])}"
    return "examples of " + " and ".join(f"{name} {tuple(part.shape[1:])}" for name, part in x.items())


def check_logits(model: str, output: object, n: int, classes: int) -> Tensor:
    """Return a network's output on ``n`` examples if it is logits (n, classes), else raise `BadInput`."""
    if not isinstance(output, Tensor):
        raise BadInput(f"a {model} returns a {type(output).__name__}: it must return one tensor of logits.")
    if output.shape != (n, classes):
        shape = tuple(output.shape[1:]) if output.ndim and len(output) == n else tuple(output.shape)
        raise BadInput(f"a {model} gives outputs of shape {shape}, but the task has {classes} classes.")
    if not output.is_floating_point():
        raise BadInput(f"a {model} gives outputs of {output.dtype}: logits must be real floating-point numbers.")
    return output


def laid_out(tensors: Tensors, layout: torch.memory_format = PLAIN) -> dict[str, Tensor]:
    """Copy tensors, the 4-D ones in the given memory format."""
    return {k: v.detach().clone(memory_format=layout if v.ndim == 4 else PLAIN) for k, v in tensors.items()}


def running_layers(module: nn.Module, kind: type[RUNNING] = RUNNING) -> dict[str, RUNNING]:
    """Layers that keep running statistics, by name: of BatchNorm and InstanceNorm, or of one kind of these."""
    return {name: m for name, m in module.named_modules() if isinstance(m, kind) and m.track_running_stats}


def buffers_in(layers: Mapping[str, nn.Module]) -> set[str]:
    """Names in the whole module of the buffers of some of its layers, given by name."""
    return {f"{name}.{key}" if name else key for name, layer in layers.items() for key in layer._buffers}


@torch.no_grad()
def refresh_module(
    module: nn.Module, batches: Iterable[Inputs], *, weighted: bool = False, layers: Sequence[RUNNING] | None = None
) -> None:
    """Re-estimate running statistics in place: the mean over batches of each batch's own statistics.

    ``weighted`` weights a batch by its size, as dnn-mode-connectivity does: b examples after n count b / (n + b). A
    layer that stands in several places of the network takes the mean over all of its calls.
    ``layers`` are those to estimate, all BatchNorm by default. A last batch of one example joins the one before it
    where a layer cannot do with one value per channel.
    """
    layers = list(running_layers(module, BATCHNORM).values()) if layers is None else layers
    if not layers:
        return
    batches = list(batches)
    if not sum(examples(x) for x in batches):
        raise BadInput("there are no examples to estimate running statistics on: at least two are needed.")
    momenta = [layer.momentum for layer in layers]
    module.eval()
    seen, hooks = dict.fromkeys(layers, 0), []
    for layer in layers:
        layer.train()

    def called(layer: Any, given: tuple) -> None:
        size = len(given[0]) if weighted else 1
        seen[layer] += size
        layer.momentum = size / seen[layer]

    try:
        if len(batches) > 1 and examples(batches[-1]) == 1 and not _accepts(module, batches[-1]):
            batches = [*batches[:-2], joined(batches[-2:])]
        for layer in layers:
            layer.reset_running_stats()
            hooks.append(layer.register_forward_pre_hook(called))
        for x in batches:
            module(x)
    except ValueError as error:
        raise BadInput(f"running statistics cannot be estimated on these examples: {reason(error)}.") from error
    finally:
        for hook in hooks:
            hook.remove()
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()


def _accepts(module: nn.Module, x: Inputs) -> bool:
    try:
        module(x)
    except ValueError:
        return False
    return True


def chunks(x: Inputs, size: int) -> list[Inputs]:
    """Batches of ``size`` examples in order, the last one what is left."""
    return [take(x, slice(k, k + size)) for k in range(0, examples(x), size)]


def refresh_batchnorm(weights: Weights, x: Inputs, batch_size: int = 128, *, weighted: bool = False) -> Weights:
    """Return the weights with BatchNorm statistics re-estimated on ``x`` (N, ...), batch by batch.

    The statistics are means of per-batch statistics, so ``x``, its order and ``batch_size`` are part of the result.
    ``weighted`` weights batches by their size and computes in NCHW, whose sums are a hundred times more accurate on a
    CPU than channels-last; see `refresh_module` for a last batch of one.
    """
    batch_size, weighted = whole("batch_size", batch_size, 1), flag("weighted", weighted)
    check_finite(instance("x", x, (Tensor, Mapping), "a tensor of examples, or a dictionary of tensors"), "x")
    if not running_layers(check_weights(weights).net, BATCHNORM):
        return weights
    layout = memory_format(weights, x, plain=weighted)
    module = module_of(weights, layout)
    refresh_module(module, [to(b, memory_format=layout) for b in chunks(x, batch_size)], weighted=weighted)
    return replace(weights, buffers={k: v.detach().clone() for k, v in module.named_buffers()})


def save(path: str | Path | BinaryIO, points: Sequence[Weights], **notes: str) -> None:
    """Write one or more weights of one architecture as a safetensors file; ``notes`` are texts for its header.

    The same weights and notes give the same bytes.
    """
    from safetensors.torch import save as written

    path = path if hasattr(path, "write") else path_of(path)
    check_same_shape(instance("points", points, (list, tuple), "a list of weights"))
    if not points:
        raise BadInput("there are no weights to save: at least one is needed.")
    tensors = {}
    for k, point in enumerate(points):
        for group in ("params", "buffers"):
            for name, value in getattr(point, group).items():
                tensors[f"{k}/{group}/{name}"] = value.detach().cpu().contiguous().clone()
    recipe = json.dumps(recipe_of(points[0].net))
    meta = {"model": points[0].model, "points": str(len(points)), "recipe": recipe}
    if points[0].frozen:
        meta["frozen"] = json.dumps(sorted(points[0].frozen))
    with writing(path) as file:
        file.write(_in_order(written(tensors, {**notes, **meta})))


def _in_order(data: bytes) -> bytes:
    """A safetensors file with the texts of its header sorted: the library writes them in an order of its own."""
    end = 8 + int.from_bytes(data[:8], "little")
    head = json.loads(data[8:end])
    head["__metadata__"] = dict(sorted(head["__metadata__"].items()))
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def header(data: bytes) -> dict[str, str]:
    """The texts in the header of a safetensors file."""
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def load(path: str | Path | BinaryIO, net: nn.Module | None = None) -> list[Weights]:
    """Read weights written by `save`; a module of the user's own is given as the skeleton ``net``.

    Raises `BadInput` where a tensor of the network is missing, or of another shape or dtype.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as tensors_of

    instance("net", net, (nn.Module, type(None)), "a torch module or None")
    with opened(path, "weights") as file:
        data = file.read()
        try:
            tensors = tensors_of(data)  # which has checked the header that is read here
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        meta = header(data)
        recipe, points, frozen = json.loads(meta["recipe"]), int(meta["points"]), json.loads(meta.get("frozen", "[]"))
        frozen, recipe = frozenset(frozen), recipe or {}
        if recipe and not {"name", "channels", "classes"} <= dict(recipe).keys():
            raise ValueError("its recipe is that of no network")
    if net is None and not recipe:
        raise BadInput(f"the file holds weights of {meta['model']}, which is not a named model: pass net=, its module.")
    with torch.device("meta"):  # a network that the file names takes no memory before it is known to be the file's
        wanted = build(seed=0, **recipe) if net is None else net
    named = [("params", wanted.named_parameters()), ("buffers", wanted.named_buffers())]
    like = {f"{group}/{name}": value for group, found in named for name, value in found}
    names = {f"{k}/{name}" for k in range(points) for name in like} if points <= len(tensors) else set()
    if names != set(tensors):
        raise BadInput(f"the file does not hold the tensors of {points} networks {meta['model']}.")
    for name, value in tensors.items():
        own = like[name.partition("/")[2]]
        if value.shape != own.shape or value.dtype.is_floating_point != own.dtype.is_floating_point:
            raise BadInput(f"{name} in the file is {tuple(value.shape)} of {value.dtype}, not {tuple(own.shape)}.")
    net = build(seed=0, **recipe) if net is None else copied(net)
    net.requires_grad_(False)
    held = ("params", dict(net.named_parameters())), ("buffers", dict(net.named_buffers()))
    params, buffers = (
        [{n: tensors[f"{k}/{group}/{n}"] for n in named} for k in range(points)] for group, named in held
    )
    return [Weights(net, p, b, meta["model"], frozen) for p, b in zip(params, buffers, strict=True)]
