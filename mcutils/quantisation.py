"""Weights rounded to few bits: what unlearning moved by less than a step of the grid comes back."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .errors import BadInput, choose, whole
from .weights import Weights

GRIDS = ("channel", "tensor")
LEAST_BITS, MOST_BITS = 2, 16


def rounded(values: Tensor, bits: int, per: str = "channel") -> Tensor:
    """Round to nearest on a symmetric grid of 2^bits - 1 values: q = s round(w / s), s = max|w| / (2^(bits-1) - 1).

    Halves go to the even side. Zero stays zero, and so does the largest magnitude of each channel.

    Args:
        values: (C, ...) or (C,); a finite real tensor. bits: 2 to 16; 8 and 4 are those in use.
        per: one step s for each ``channel`` (row of the first axis), or for the whole ``tensor``; what has fewer than
            two axes has one step.

    Source: round-to-nearest as in the quantisation attack on unlearned language models (arXiv 2410.16454).

    >>> rounded(torch.tensor([[1.0, -0.4, 0.04]]), 4).mul(7).round().tolist()
    [[7.0, -3.0, 0.0]]
    """
    bits = whole("bits", bits, LEAST_BITS, MOST_BITS)
    choose("grid", per, GRIDS)
    if not values.is_floating_point():
        raise BadInput(f"only real numbers are rounded to a grid, got {values.dtype}.")
    if not values.numel():
        return values.clone()
    axes = tuple(range(1, values.ndim)) if per == "channel" and values.ndim > 1 else tuple(range(values.ndim))
    most = values.abs().amax(dim=axes, keepdim=True) if axes else values.abs()
    step = most / (2 ** (bits - 1) - 1)
    return torch.where(step > 0, (values / step).round() * step, values)


def quantised(weights: Weights, bits: int, per: str = "channel") -> Weights:
    """The weights with every matrix and kernel rounded (`rounded`); biases and scales of norms stay as they are.

    BatchNorm's statistics belong to the old weights: refresh them before evaluating, as `traces.trace` does.

    Args:
        weights: left as they are. bits, per: as in `rounded`.
    """
    params = {name: rounded(p, bits, per) if p.ndim > 1 else p for name, p in weights.params.items()}
    return replace(weights, params=params)
