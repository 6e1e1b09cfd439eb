"""Optimisers behind one table: AdamW and SGD from torch, Sophia-G as published, and SOUL's form of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from .errors import BadInput, choose, number, reason, share, shown, whole


class _ClippedSign(Optimizer):
    """Momentum m clipped by a curvature estimate h: theta -= lr sign(m) min(|m| / (rho B h + 1e-15), 1)."""

    terms = 1  # B

    def __init__(self, params: Iterable, lr: float, weight_decay: float, betas: tuple[float, float], rho: float):
        if not 0 <= betas[0] < 1 or not 0 <= betas[1] < 1 or rho <= 0:
            raise BadInput(f"betas must lie in [0, 1) and rho be positive, got betas {betas} and rho {rho}.")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "rho": rho})

    def _state(self, p: Tensor) -> dict[str, Tensor]:
        state = self.state[p]
        if not state:
            state["m"], state["h"] = torch.zeros_like(p), torch.zeros_like(p)
        return state

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update from the gradients stored in the parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self._state(p)
                self._gather(state, p.grad, group["betas"])
                ratio = (state["m"].abs() / (group["rho"] * self.terms * state["h"] + 1e-15)).clamp(max=1)
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * state["m"].sign() * ratio)

    def _gather(self, state: dict[str, Tensor], gradient: Tensor, betas: tuple[float, float]) -> None:
        """Bring the moments up to date."""
        state["m"].mul_(betas[0]).add_(gradient, alpha=1 - betas[0])


class SophiaG(_ClippedSign):
    r"""Sophia with the Gauss-Newton-Bartlett estimator, as published.

    :math:`m \leftarrow \beta_1 m + (1-\beta_1) g`; every ``interval`` steps labels are drawn from the model's own
    softmax on the current batch, and with :math:`\hat g` the gradient of the mean cross-entropy on them
    :math:`h \leftarrow \beta_2 h + (1-\beta_2) \hat g^2`; then, with B prediction terms in the step,
    :math:`\theta \leftarrow (1 - \eta\lambda)\theta - \eta\,\mathrm{sign}(m)\min(|m| / (\rho B h + 10^{-15}), 1)`.
    B times the expectation of h's new part is the diagonal of the Gauss-Newton matrix of the mean loss.

    Source: Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer" (2023), algorithm 3.
    """

    def __init__(self, *given: Any, interval: int, **named: Any):
        super().__init__(*given, **named)
        self.interval = whole("the curvature interval", interval, 1)

    @torch.no_grad()
    def update_curvature(self, gradients: Sequence[Tensor], terms: int) -> None:
        """Fold the squared gradients of the mean cross-entropy on resampled labels of ``terms`` examples into h."""
        self.terms = terms
        parameters = [(p, group["betas"][1]) for group in self.param_groups for p in group["params"]]
        for (p, beta), g in zip(parameters, gradients, strict=True):
            self._state(p)["h"].mul_(beta).addcmul_(g, g, value=1 - beta)


class Soul(_ClippedSign):
    r"""The optimiser that the authors ran: Sophia's update with h from the training gradient itself.

    At every step :math:`h \leftarrow \beta_2 h + (1-\beta_2) g^2` with the training gradient (no label is
    resampled), the momentum update runs twice with the same gradient, and B is fixed at 5120. On a gradient-ascent
    loss h is then the squared ascent gradient: a clipped sign momentum rather than a second-order method.

    Source: the authors' benchmark code and Jia et al., "SOUL" (2024); formulas only.
    """

    def __init__(self, *given: Any, terms: int, **named: Any):
        super().__init__(*given, **named)
        self.terms = terms

    def _gather(self, state: dict[str, Tensor], gradient: Tensor, betas: tuple[float, float]) -> None:
        for _ in range(2):
            super()._gather(state, gradient, betas)
        state["h"].mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])


def adamw(params: Iterable, lr: float, weight_decay: float, *, betas: tuple[float, float] = (0.9, 0.999)) -> Optimizer:
    """Torch's AdamW: the first-order optimiser of the paper."""
    return AdamW(params, lr=lr, weight_decay=weight_decay, betas=betas, foreach=True)


def sgd(params: Iterable, lr: float, weight_decay: float, *, momentum: float = 0.9) -> Optimizer:
    """Torch's SGD with momentum (0.9 unless stated), as in the SalUn and SCRUB recipes."""
    return SGD(params, lr=lr, weight_decay=weight_decay, momentum=momentum, foreach=True)


def sophia_g(
    params: Iterable,
    lr: float,
    weight_decay: float,
    *,
    betas: tuple[float, float] = (0.965, 0.99),
    rho: float = 0.04,
    interval: int = 10,
) -> Optimizer:
    """Sophia-G as published: curvature from labels resampled every few steps (second order)."""
    return SophiaG(params, lr, weight_decay, betas, rho, interval=interval)


def soul(
    params: Iterable,
    lr: float,
    weight_decay: float,
    *,
    betas: tuple[float, float] = (0.9, 0.95),
    rho: float = 0.04,
    terms: int = 5120,
) -> Optimizer:
    """SOUL's form of Sophia, run as second order by the paper's authors: squared training gradients at every step."""
    return Soul(params, lr, weight_decay, betas, rho, terms=terms)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": adamw, "sgd": sgd, "sophia_g": sophia_g, "soul": soul}


def make_optimizer(name: str, params: Iterable, lr: float, weight_decay: float, **options: Any) -> Optimizer:
    """Build the named optimiser over parameters or groups of them; unknown names and bad values raise `BadInput`."""
    allowed = OPTIMIZERS[choose("optimizer", name, OPTIMIZERS)].__kwdefaults__ or {}
    number("lr", lr, 0), number("weight_decay", weight_decay, 0)
    for option, value in options.items():
        choose(f"option of {name}", option, allowed)
        default = allowed[option]
        if isinstance(default, tuple):
            if not isinstance(value, (tuple, list)) or len(value) != len(default):
                raise BadInput(f"{option} of {name} must be {len(default)} numbers, got {shown(value)}.")
            for one in value:
                share(f"each of {option}", one, zero=True)
        elif isinstance(default, (int, float)):
            whole(option, value, 1) if isinstance(default, int) else number(option, value, 0)
    try:
        return OPTIMIZERS[name](params, lr, weight_decay, **options)
    except (TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"the optimizer {name} cannot be made of what was given: {reason(error)}.") from error
