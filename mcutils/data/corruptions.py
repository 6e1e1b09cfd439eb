"""Images from outside the distribution: corrupted, rotated, or of another data set; deterministic.

Pixels lie in [0, 1] while they are corrupted, and images come back in the task's own normalisation. Five severities, as
in Hendrycks & Dietterich 2019 (CIFAR-10-C); the strengths are this companion's, for 28 x 28 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput, choose, seed_of, whole
from .tasks import Task, images_of, load_task

SEVERITIES = 5
NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)  # standard deviation, of the range of pixels
BLUR = (0.4, 0.6, 0.8, 1.0, 1.5)  # standard deviation in pixels
ANGLES = (10, 20, 30, 45, 60)  # degrees


def noise(x: Tensor, severity: int, seed: int) -> Tensor:
    """Gaussian noise added to each pixel, then cut to [0, 1]; the same for the same number of images and seed."""
    drawn = np.random.default_rng([seed, 1]).normal(size=tuple(x.shape))
    return (x + NOISE[severity] * torch.from_numpy(drawn).to(x)).clamp(0, 1)


def blur(x: Tensor, severity: int, seed: int) -> Tensor:
    """A Gaussian kernel, cut at three standard deviations; the borders are those of the nearest pixel."""
    sigma = BLUR[severity]
    reach = max(1, int(np.ceil(3 * sigma)))
    at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    flat = x.flatten(0, 1)[:, None]
    wide = F.pad(flat, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(wide, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1)).view_as(x)


def rotation(x: Tensor, severity: int, seed: int) -> Tensor:
    """Every other image turned by so many degrees to the left, the others to the right; what comes in is 0 (black)."""
    angle = np.deg2rad(ANGLES[severity]) * torch.where(torch.arange(len(x)) % 2 == 0, 1.0, -1.0).double()
    cos, sin = angle.cos().to(x), angle.sin().to(x)
    zero = torch.zeros_like(cos)
    ratio = x.shape[-2] / x.shape[-1]  # grids go from -1 to 1 in both axes, whatever the sides
    turn = torch.stack([torch.stack([cos, -sin * ratio, zero], 1), torch.stack([sin / ratio, cos, zero], 1)], 1)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


CORRUPTIONS: dict[str, Callable[[Tensor, int, int], Tensor]] = {"noise": noise, "blur": blur, "rotation": rotation}
OTHER = "digits"  # scikit-learn's, which every installation has
# What test images may be replaced by, in a trace.
OUTSIDE = {**{name: f"{name} of severity 3" for name in CORRUPTIONS}, OTHER: "the images of another data set"}


def from_outside(task: Task, name: str) -> Task:
    """The task whose test images are those of `OUTSIDE`: corrupted at severity 3, or of the data set digits."""
    choose("images from outside", name, OUTSIDE)
    return corrupted(task, name) if name in CORRUPTIONS else outside(task, load_task(OTHER, 0.1).to(task.device))


def corrupted(task: Task, name: str, severity: int = 3, *, seed: int = 0, split: str = "test") -> Task:
    """The task with the images of a split corrupted, by severity 1 to 5; labels and all else stay.

    ``mean`` and ``std`` of the task undo its normalisation (without them pixels are as they are); ``name`` is a key of
    `CORRUPTIONS`, ``seed`` that of the noise. Raises `BadInput` for examples that are no images.
    """
    choose("corruption", name, CORRUPTIONS)
    severity, seed = whole("severity", severity, 1, SEVERITIES), seed_of(seed)
    rows, x = task.rows(split), images_of(task, "corruptions are of images").clone()
    mean, std = _of(task.mean, x, 0.0), _of(task.std, x, 1.0)
    if mean.shape[1] not in (1, x.shape[1]):
        raise BadInput(f"images of {x.shape[1]} channels cannot be normalised by {mean.shape[1]} means.")
    x[rows] = (CORRUPTIONS[name](x[rows] * std + mean, severity - 1, seed) - mean) / std
    return replace(task, x=x)


def outside(task: Task, other: Task, split: str = "test") -> Task:
    """The task whose split is that of *another* data set, scaled to its size and normalised as it is.

    Its labels mean nothing here: only confidences, entropies and disagreement of predictions are measured. Where the
    other has more classes, labels are taken modulo this task's. Grey and coloured images are turned into each other.
    Raises `BadInput` for examples that are no images.
    """
    own, others = (images_of(one, "another data set is shown as images") for one in (task, other))
    rows = other.rows(split)
    seen = others[rows]
    pixels = seen * _of(other.std, seen, 1.0) + _of(other.mean, seen, 0.0)
    channels, sides = own.shape[1], own.shape[-2:]
    if pixels.shape[1] != channels:
        pixels = pixels.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    pixels = F.interpolate(pixels, size=sides, mode="bilinear", align_corners=False, antialias=True)
    shown = (pixels - _of(task.mean, pixels, 0.0)) / _of(task.std, pixels, 1.0)
    x = torch.cat([own, shown.to(own)])
    y = torch.cat([task.y, (other.y[rows] % task.n_classes).to(task.y)])
    where = torch.arange(len(task.y), len(y), device=task.device)
    return replace(task, x=x, y=y, index={**task.index, split: where})


def _of(values: tuple[float, ...], like: Tensor, otherwise: float) -> Tensor:
    return torch.tensor(values or (otherwise,)).to(like).view(1, -1, 1, 1)
