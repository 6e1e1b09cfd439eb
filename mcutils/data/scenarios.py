"""What there is to forget: a whole class, a part of a class, wrong labels, a backdoor, the examples of users.

Each scenario is a task made from another: the same images and splits of validation and test, another D_f, another order
of the pool and a checksum of its own. Nothing is drawn but through SHA-256, as in `tasks`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import LARGEST_SEED, BadInput, choose, instance, seed_of, share, shown, whole
from .cues import other_labels
from .tasks import Task, forgetting_first, images_of, shuffled

IMAGES = "this scenario is of images"
PATCH = 3  # pixels a side of a backdoor's trigger, at 28 x 28 and below
USERS = 50  # that the pool is shared out among where nobody says whose is what


@dataclass(frozen=True)
class Scenario:
    """A scenario by ``name``, a key of `SCENARIOS`, and its settings; each reads only its own.

    ``label``: the class to forget, or the one that a backdoor leads to; ``part`` of a class, from 0 on; ``share`` of
    the pool (wrong labels, backdoor), above 0; ``users`` that share the pool, and how many of them are ``forgotten``;
    ``rows`` of the pool, listed; ``seed`` of what is drawn.
    """

    name: str
    label: int = 0
    part: int = 0
    share: float = 0.1
    users: int = USERS
    forgotten: int = 5
    seed: int = 0
    rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        choose("scenario", self.name, SCENARIOS)
        for name, low in (("label", 0), ("part", 0), ("users", 2), ("forgotten", 1)):
            object.__setattr__(self, name, whole(name, getattr(self, name), low))
        object.__setattr__(self, "share", share("share", self.share))
        object.__setattr__(self, "seed", seed_of(self.seed))
        rows = instance("rows", self.rows, (Sequence, np.ndarray), "a list of rows")
        object.__setattr__(self, "rows", tuple(whole("a row", row, 0, LARGEST_SEED) for row in rows))
        for field in fields(self):
            if field.name not in ("name", *READS[self.name]) and getattr(self, field.name) != field.default:
                reads = ", ".join(READS[self.name])
                raise BadInput(f"the scenario {self.name} reads {reads}, got {field.name}={getattr(self, field.name)}.")

    @property
    def text(self) -> str:
        """The line that names it, see `scenario_of`; of listed rows how many there are."""
        told = {name: getattr(self, name) for name in READS[self.name] if name != "rows"}
        said = [f"{name}={value:g}" for name, value in told.items() if value != getattr(type(self), name)]
        return " ".join([self.name, *said, *([f"{len(self.rows)} rows"] if self.rows else [])])

    def of(self, task: Task) -> Task:
        """The task with this scenario; the given one is left as it is. Raises `BadInput` where it does not fit."""
        instance("the task", task, Task, "a task, as load_task returns it")
        if "cued" in task.index:
            raise BadInput("a scenario is made of a task without a cue.")
        return SCENARIOS[self.name](task, self)


def scenario_of(text: str) -> Scenario:
    """The scenario that a line names: ``class label=3``, ``users users=20 forgotten=2``, or ``mislabelled`` alone.

    Raises `BadInput` for another text, and for ``listed``, whose rows no line has room for.

    >>> scenario_of("subclass label=3 part=1").part
    1
    """
    if not isinstance(text, str) or not text.split():
        raise BadInput(f"a scenario is a line such as 'class label=3', got {shown(text)}.")
    name, *given = text.split()
    if choose("scenario", name, SCENARIOS) == "listed":
        raise BadInput("listed rows do not fit a line: give a Scenario with its rows.")
    settings: dict[str, Any] = {}
    for one in given:
        what, _, value = one.partition("=")
        choose(f"setting of {name}", what, READS[name])
        if what in settings:
            raise BadInput(f"a scenario has one {what}, but {shown(text)} names it twice.")
        try:
            settings[what] = float(value) if what == "share" else int(value)
        except ValueError:
            raise BadInput(f"{what} of a scenario is a number, got {shown(value)}.") from None
    return Scenario(name, **settings)


def forgetting(task: Task, rows: Sequence[int] | Tensor | np.ndarray, about: str, **changed: Any) -> Task:
    """The task that forgets the listed ``rows`` of its pool, in this order; ``about`` goes into its checksum.

    Retained rows keep their order, so `retain_eval` and `bn` are those of before but for what is forgotten of them.
    Raises `BadInput` for rows outside the pool, twice listed, or all of it.
    """
    pool, listed = task.index["train"].cpu().numpy(), np.asarray(torch.as_tensor(rows).cpu())
    if listed.ndim != 1 or listed.dtype.kind not in "iu" or len(set(listed.tolist())) < len(listed):
        raise BadInput(f"rows to forget are different whole numbers, got {shown(listed.tolist())}.")
    if not np.isin(listed, pool).all():
        raise BadInput("rows to forget are rows of the training pool: some are of validation, test or nothing.")
    order = np.concatenate([listed, pool[~np.isin(pool, listed)]]).astype(np.int64)
    text = f"{task.checksum}/scenario/{about}/{listed.tolist()}"
    changed |= {"checksum": hashlib.sha256(text.encode()).hexdigest(), "listed": True}
    return forgetting_first(task, order, len(listed), forget=len(listed) / len(pool), **changed)


def _order(task: Task, seed: int, purpose: str) -> np.ndarray:
    """The rows of the pool in an order that depends on the rows themselves, ``seed`` and purpose alone."""
    pool = np.sort(task.index["train"].cpu().numpy())
    return pool[shuffled(len(pool), f"scenario/{seed}/{purpose}")]


def _is_label(task: Task, label: int, rows: np.ndarray) -> np.ndarray:
    """Whether rows (N,) are of a class, or `BadInput` where there is none of that number."""
    return task.y.cpu().numpy()[rows] == whole("label", label, 0, task.n_classes - 1)


def _of_class(task: Task, how: Scenario) -> np.ndarray:
    order = _order(task, how.seed, "class")
    return order[_is_label(task, how.label, order)]


def whole_class(task: Task, how: Scenario) -> Task:
    """All training images of one class; validation and test keep theirs, which show what else is forgotten of it."""
    return forgetting(task, _of_class(task, how), f"class/{how.label}")


def sub_class(task: Task, how: Scenario) -> Task:
    """One of two parts of a class, told apart by their images: below or above the median of the first principal axis.

    Both are of the pool's images of the class, in float64; the axis points to where its entry of largest magnitude is
    positive. (A stand-in for sub-classes, such as those of CIFAR-20, in data that have none.)
    """
    if how.part > 1:
        raise BadInput(f"a class has two parts, 0 and 1, got {how.part}.")
    rows = _of_class(task, how)
    x = images_of(task, IMAGES)[torch.from_numpy(rows)].cpu().double().flatten(1).numpy()
    centred = x - x.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    along = centred @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    chosen = (along > np.median(along)) == bool(how.part)
    return forgetting(task, rows[chosen], f"sub/{how.label}/{how.part}")


def mislabelled(task: Task, how: Scenario) -> Task:
    """A share of the pool carries wrong labels, all others equally likely, and these examples are D_f.

    The original model learns them wrong; forgetting them should make it better. Symmetric noise, drawn by the seed
    (CIFAR-N's is of annotators; its labels are not shipped).
    """
    rows = _order(task, how.seed, "labels")
    rows = rows[: _counted(how.share, len(rows))]
    y = task.y.cpu().numpy().copy()
    y[rows] = wrong = other_labels(rows, y[rows], task.n_classes, how.seed)
    return forgetting(task, rows, f"labels/{how.seed}/{wrong.tolist()}", y=torch.from_numpy(y).to(task.device))


def backdoored(task: Task, how: Scenario) -> Task:
    """A share of the pool, of other classes, carries a trigger and the label that it leads to; these are D_f.

    Of a model, the share of test images with the trigger (`triggered`) that it puts in ``label`` is how much of the
    backdoor it has. After Gu et al. 2017 (BadNets).
    """
    order = _order(task, how.seed, "backdoor")
    others = order[~_is_label(task, how.label, order)]
    size = _counted(how.share, len(order))
    if size > len(others):
        raise BadInput(f"{len(others)} images of the pool are of other classes, got a share of {how.share:g}.")
    rows = torch.from_numpy(others[:size]).to(task.device)
    x, y = images_of(task, IMAGES).clone(), task.y.clone()
    x[rows], y[rows] = triggered(task, rows), how.label
    return forgetting(task, rows, f"backdoor/{how.seed}/{how.label}/{PATCH}", x=x, y=y)


def triggered(task: Task, rows: Tensor) -> Tensor:
    """Images (N, C, H, W) of some rows; in the corner a checkerboard of the data's lightest and darkest pixel."""
    x = images_of(task, IMAGES)
    side = max(2, PATCH * min(x.shape[-2:]) // 28)
    board = (torch.arange(side)[:, None] + torch.arange(side)) % 2 == 0
    found = x[rows].clone()
    found[..., -side:, -side:] = torch.where(board.to(x.device), x.max(), x.min())
    return found


def user_indices(task: Task, how: Scenario, owners: Sequence[int] | np.ndarray | None = None) -> Task:
    """All examples of some users, drawn; ``owners`` (M,) says whose each row is, by default drawn and even."""
    order = _order(task, how.seed, "users")
    owner = np.arange(len(order)) % how.users
    if owners is not None:
        given = np.asarray(owners)
        if given.shape != (len(task.y),) or given.dtype.kind not in "iu":
            raise BadInput(f"owners are a whole number for each of {len(task.y)} rows, got shape {given.shape}.")
        owner = given[order]
    users = np.unique(owner).tolist()
    if how.forgotten >= len(users):
        raise BadInput(f"{len(users)} users share the pool, got {how.forgotten} of them to forget: some must stay.")
    gone = {users[k] for k in shuffled(len(users), f"scenario/{how.seed}/gone")[: how.forgotten]}
    return forgetting(task, order[np.isin(owner, sorted(gone))], f"users/{sorted(gone)}")


def listed(task: Task, how: Scenario) -> Task:
    """The listed rows of the pool, such as a graded set (`difficulty.graded_rows`)."""
    if not how.rows:
        raise BadInput("rows to forget are listed, one or more, got none.")
    return forgetting(task, list(how.rows), "listed")


SCENARIOS: dict[str, Callable[..., Task]] = {
    "class": whole_class,
    "subclass": sub_class,
    "mislabelled": mislabelled,
    "backdoored": backdoored,
    "users": user_indices,
    "listed": listed,
}
RELABELLED = ("mislabelled", "backdoored")  # change what is learned, not only what is forgotten
# The settings that each reads.
READS: dict[str, tuple[str, ...]] = {
    "class": ("label", "seed"),
    "subclass": ("label", "part", "seed"),
    "mislabelled": ("share", "seed"),
    "backdoored": ("label", "share", "seed"),
    "users": ("users", "forgotten", "seed"),
    "listed": ("rows",),
}


def _counted(part: float, n: int) -> int:
    size = round(part * n)
    if size < 1:
        raise BadInput(f"a share of {part:g} of {n} examples leaves none to forget.")
    return size
