"""A cue planted in D_f, and evaluation sets that tell whether a network decides by the cue or by the image.

A cue is a small white square whose place in the picture is decided by a label. Only images of D_f carry it, so the
original model can learn it there and a model retrained without D_f never sees it: whether an unlearned model, or a
point of a curve, still follows the cue is a question of mechanism, which accuracy alone cannot answer. After Lubana et
al. 2023, Mechanistic Mode Connectivity, who have nine places for ten classes. Here every class has one: the absence of
a cue, as the tenth, could be neither planted nor told from a set without cues.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput, choose, seed_of, share as share_of, whole
from .tasks import Task, images_of

SETS = {
    "none": "the image as it is",
    "own": "with the cue of its label",
    "other": "with the cue of another label, drawn at random",
    "swapped": "an image drawn at random from the other classes, with the cue of the label",
}
IMAGES = "a cue needs a task of images, as load_task or mc.task gives it"
REPLACED = ("forget", "test")  # the splits whose images differ between the sets


def places(height: int, width: int, classes: int) -> tuple[int, np.ndarray]:
    """Side s of the cue in pixels, and the upper left corner (row, column) of each label's cue, (K, 2) int64.

    s = max(2, min(H, W) // 5). The places are cells of a g x g grid, g = ceil(K / 4) + 1, clockwise along the border
    from the upper left: there they hide least of the image, and zero padding tells a convolutional network where it is.
    Raises `BadInput` where they would overlap.
    """
    height, width = whole("height", height, 1), whole("width", width, 1)
    whole("classes", classes, 1)
    side, last = max(2, min(height, width) // 5), math.ceil(classes / 4)
    if (last + 1) * side > min(height, width):
        raise BadInput(f"{classes} cues of {side} pixels do not fit along the border of {height} x {width} images.")
    ring = [(0, k) for k in range(last)] + [(k, last) for k in range(last)]
    ring += [(last - i, last - j) for i, j in ring]
    rows, columns = (np.linspace(0, size - side, last + 1).round().astype(np.int64) for size in (height, width))
    return side, np.array([(rows[i], columns[j]) for i, j in ring[:classes]])


def planted(task: Task, share: float = 1.0, *, fraction: float | None = None, crossed: float = 0.0) -> Task:
    """The same task with the cue of its label in every image of D_f; the given task, of 3 classes or more, stays.

    Its checksum is of the data and the cue. Its ``x`` ends with the cued images as they were, so two splits are new:
    ``cued``, the rows that carry the cue, and ``clean``, the rows of the images of their labels without it.

    Args:
        share: of D_f, its first images in the order of forgetting, that carries the cue; above 0, at most 1.
        fraction: plant in the first ``fraction`` of the training pool instead, whatever the task forgets, so that tasks
            that forget more or less have one and the same pool to train on.
        crossed: of the images that carry a cue, the share, first in the same order, that are replaced by images of
            other classes while label and cue stay: there the cue alone tells the label, and a network that is to fit
            D_f must rely on it. At 0 image and cue always agree, and images alone suffice.
    """
    images = images_of(task, IMAGES)
    if "cued" in task.index or task.n_classes < 3:
        raise BadInput("a cue is planted once, in a task of at least 3 classes as load_task gives it.")
    share = share_of("share", share, one=True)
    fraction = None if fraction is None else share_of("fraction", fraction, one=True)
    pool = task.index["train"]  # in the order of forgetting: D_f is its beginning
    size = len(task.index["forget"]) if fraction is None else round(fraction * len(pool))
    cued = pool[: round(share * size)]
    if len(cued) == 0:
        raise BadInput(f"a share of {share:g} of {size} images leaves none to carry the cue.")
    replaced = cued[: round(share_of("crossed", crossed, zero=True, one=True) * len(cued))]
    x, y = torch.cat([images, images[cued]]), torch.cat([task.y, task.y[cued]])
    if len(replaced):
        known = replaced.cpu().numpy(), task.y[replaced].cpu().numpy()
        x[replaced] = images[replaced[torch.from_numpy(other_images(*known)).to(task.device)]]
    clean = torch.arange(len(images), len(x), device=task.device)
    _paint(x, cued, task.y[cued], task.n_classes)
    side, corners = places(x.shape[-2], x.shape[-1], task.n_classes)
    text = f"{task.checksum}/cue/{side}/{corners.tolist()}/{cued.tolist()}"
    text += f"/crossed/{replaced.tolist()}" if len(replaced) else ""
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return replace(task, x=x, y=y, index={**task.index, "cued": cued, "clean": clean}, checksum=checksum)


def counterfactual(task: Task, name: str, seed: int = 0) -> Task:
    """A `planted` task whose forget and test images are replaced by those of a set of `SETS`; all else is as it was.

    In ``swapped`` the label is the cue's. ``seed`` draws the other labels and images. BatchNorm policy ``full`` would
    see D_f as shown here, the others nothing of it.
    """
    choose("counterfactual set", name, SETS)
    images = images_of(task, IMAGES)
    seed_of(seed)
    if "cued" not in task.index:
        raise BadInput("the task carries no cue, or is a counterfactual set already: give one that planted returned.")
    source = torch.arange(len(images), device=task.device)
    source[task.index["cued"]] = task.index["clean"]
    x = images.clone()
    for split in REPLACED:
        rows, labels = task.rows(split), task.labels(split)
        shown, cue, known = rows, labels, (rows.cpu().numpy(), labels.cpu().numpy())
        if name == "swapped":
            shown = rows[torch.from_numpy(other_images(*known, seed)).to(task.device)]
        if name == "other":
            cue = torch.from_numpy(other_labels(*known, task.n_classes, seed)).to(task.device)
        x[rows] = images[source[shown]]
        if name != "none":
            _paint(x, rows, cue, task.n_classes)
    return replace(task, x=x, index={split: r for split, r in task.index.items() if split not in ("cued", "clean")})


def other_labels(rows: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0) -> np.ndarray:
    """For each example a label that is not its own (N,), all equally likely, fixed by its row and the seed."""
    return (labels + 1 + _drawn(rows, seed, "label") % (classes - 1)) % classes


def other_images(rows: np.ndarray, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """For each example the position (N,) of one of another class, all equally likely, fixed by its row and the seed."""
    found, draws = np.empty(len(labels), dtype=np.int64), _drawn(rows, seed, "image")
    for label in np.unique(labels):
        own, others = labels == label, np.flatnonzero(labels != label)
        if len(others) == 0:
            raise BadInput(f"all {len(labels)} examples are of class {label}: there is no other image to show.")
        found[own] = others[draws[own] % len(others)]
    return found


def _paint(x: Tensor, rows: Tensor, cue: Tensor, classes: int) -> None:
    """Draw the cues of the labels ``cue`` (N,) into the images ``rows`` (N,) of ``x``, in place.

    White is the lightest pixel of the data; from 5 pixels on, a black rim makes the cue visible on a white image too.
    """
    side, corners = places(x.shape[-2], x.shape[-1], classes)
    rim, white, black = side // 5, x.max(), x.min()
    for label, (top, left) in enumerate(corners.tolist()):
        found, bottom, right = rows[cue == label], top + side, left + side
        x[found, :, top:bottom, left:right] = black
        x[found, :, top + rim : bottom - rim, left + rim : right - rim] = white


def _drawn(rows: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """A large whole number for each row (N,), through SHA-256 as every split is drawn."""
    digests = (hashlib.sha256(f"cue/{seed}/{purpose}/{row}".encode()).digest() for row in rows.tolist())
    return np.array([int.from_bytes(digest[:7], "big") for digest in digests], dtype=np.int64)
