"""Curricula: how the examples of a batch are weighed by their losses, whatever the objective."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from .errors import BadInput, choose, number, shown
from .objectives import Step, Term

Curriculum = Callable[[Tensor, dict], Tensor]


def superloss_weights(losses: Tensor, tau: float, lam: float) -> Tensor:
    r"""SuperLoss confidences :math:`s^* = \exp(-W(\max(-2/e, (\ell - \tau)/\lambda) / 2))`, W the principal Lambert
    branch.

    They minimise :math:`(\ell - \tau) s + \lambda (\log s)^2` over 0 < s <= e (without that bound it has no
    minimum where l < tau) and are constants for back-propagation. ``losses`` (B,) in nats; returns (B,) in (0, e].
    Source: Castells et al. 2020.
    """
    from scipy.special import lambertw

    if not lam > 0:
        raise BadInput(f"SuperLoss needs a lambda above 0, got {lam}.")
    ratio = (losses.detach().double() - tau).cpu() / lam
    s = torch.exp(-torch.as_tensor(lambertw((ratio / 2).numpy()).real))
    s = torch.where(ratio <= -2 / math.e, math.e, s)  # at -1/e itself scipy's lambertw is NaN
    return s.to(losses.device, losses.dtype)


def no_curriculum(losses: Tensor, state: dict) -> Tensor:
    """Every example counts the same."""
    return torch.ones_like(losses)


def superloss_published(losses: Tensor, state: dict, *, lam: float = 1.0) -> Tensor:
    """SuperLoss with tau = log K and lambda = 1, as published for CIFAR-10 (Castells et al. 2020)."""
    return superloss_weights(losses, math.log(state["classes"]), lam)


def superloss_authors(losses: Tensor, state: dict, *, lam: float = 10.0) -> Tensor:
    """SuperLoss as the paper's authors run it: tau a running average with their quirk, lambda = 10.

    tau is the sum of all losses seen so far over the sum of their *confidences*, where a mean would divide by their
    number; before the first batch it is that batch's mean. Each term of an objective keeps its own average.
    """
    batch, seen, confidence = float(losses.detach().sum()), state.get("loss_sum", 0.0), state.get("confidence_sum", 0.0)
    s = superloss_weights(losses, seen / confidence if "loss_sum" in state else batch / len(losses), lam)
    state |= {"loss_sum": seen + batch, "confidence_sum": confidence + float(s.sum())}
    return s


CURRICULA: dict[str, Curriculum] = {
    "none": no_curriculum,
    "superloss": superloss_published,
    "superloss_authors": superloss_authors,
}


class Weighing:
    """A curriculum with its state, one per term of the objective; turns terms into the scalar to minimise."""

    def __init__(self, curriculum: str, classes: int, options: Mapping[str, Any] | None = None):
        choose("curriculum", curriculum, CURRICULA)
        allowed = CURRICULA[curriculum].__kwdefaults__ or {}
        for name, value in (options or {}).items():
            if type(allowed.get(name)) is float:
                number(name, value)
            if name not in allowed:
                names = ", ".join(allowed) or "none"
                known = f"its options are {names}"
                raise BadInput(f"unknown option {name!r} of the curriculum {curriculum}: {known}.")
        self._weigh, self._plain = CURRICULA[curriculum], curriculum == "none"
        self._options, self._classes = dict(options or {}), classes
        self._states: dict[tuple, dict] = {}

    def _weights(self, seen: Tensor, state: dict) -> Tensor | float:
        found = self._weigh(seen, state, **self._options)
        shape = found.shape if isinstance(found, Tensor) and not found.is_complex() else None
        if not isinstance(found, Real) and shape not in (seen.shape, ()):
            given = f"one of shape {tuple(shape)}" if shape is not None else shown(found)
            raise BadInput(f"a curriculum must return a tensor of {len(seen)} real weights, got {given}.")
        return found

    def total(self, terms: tuple[Term, ...], step: Step) -> Tensor:
        """``sum over terms of weight * mean(v * losses)`` with v the curriculum's constants."""
        kind = (step.retain is None, step.forget is None)
        parts = []
        for place, term in enumerate(terms):
            losses = term.losses
            if losses.ndim and not self._plain:
                state = self._states.setdefault((*kind, place), {"classes": self._classes})
                seen = losses if term.difficulty is None else term.difficulty
                losses = self._weights(seen.detach(), state) * losses
            parts.append(term.weight * losses.mean())
        return sum(parts[1:], parts[0])
