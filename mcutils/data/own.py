"""Own data: a task from arrays, from a data set of torchvision's kind or from a folder of images."""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from io import BytesIO
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from ..errors import UNSEEN, BadInput, choose, flag, path_of, reason, seed_of, share, shown, whole
from ..files import write_file
from ..reading import bytes_of
from . import tasks
from .tasks import DATASETS, Inputs, Task, count, joined, sort_of

PIXELS = ("uint8", "floating point")
LAYOUTS = ("", "channels_first", "channels_last")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
CHECKSUM = re.compile(r"[0-9a-f]{64}")
FOLDER = "own-data"  # of a store: the data of its results, by checksum
SPLIT_FOLDERS = {"train", "training", "test", "testing", "val", "valid", "validation"}

# Tasks alive in this process, and folders of stores seen by it, newest last: where `find` looks. Both go by content.
ALIVE: WeakValueDictionary[str, Task] = WeakValueDictionary()
SEEN: deque[Path] = deque(maxlen=64)


@dataclass(frozen=True)
class Reading:
    """How `task` reads examples.

    ``layout`` of images with four dimensions, ``channels_first`` or ``channels_last``; empty takes the one of the two
    whose channels number 1 to 4. ``size`` scales image files and PIL images to so many pixels a side. ``normalise``:
    subtract each channel's mean and divide by its deviation.
    """

    layout: str = ""
    size: int | None = None
    normalise: bool = True
    device: Any = "cpu"

    def __post_init__(self) -> None:
        choose("layout", self.layout, LAYOUTS)
        flag("normalise", self.normalise)
        if self.size is not None:
            whole("size", self.size, 1, 10_000)


class Examples(NamedTuple):
    """Examples as read: inputs not yet normalised, labels as given (numbers or names), class names if known."""

    x: Inputs
    y: Any
    names: tuple[str, ...] | None = None


def task(
    x: Any, y: Any = None, *, forget: float | Sequence[int] = 0.10, retain: Sequence[int] | None = None,
    test: Any = 0.20, name: str = "own", classes: int | Sequence[str] | None = None, seed: int = 0, **reading: Any,
) -> Task:  # fmt: skip
    """Make a task of your own data, split like those of `load_task`; it works wherever theirs do.

    Pixels in bytes are divided by 255. Then the mean of each channel is subtracted and its deviation divided by, both
    of the retained and the validation examples: what is to be forgotten leaves no trace in them, nor does the test set.
    Rows in ``forget``, ``retain`` and ``test`` are those of ``x``, as numbers or as a mask of True and False.

    Args:
        x: an array or tensor of bytes (uint8) or floating-point numbers, of shape (N,), (N, C), (N, H, W), (N, C, H, W)
            or (N, H, W, C); a dictionary of tensors of N rows, taken as they are; a data set of (image, label) pairs,
            such as torchvision's; or the path of a folder with a folder of image files for each class.
        y: labels (N,), whole numbers from 0 or names; None for a data set or a folder, which hold theirs.
        forget: share of the training pool to forget, or the rows to forget.
        retain: with a list of rows to forget, the rows to retain; those that no list names are then held out for
            validation. None retains all but a tenth, each class in proportion, which is held out.
        test: share of the rows to test on, or their list; or examples of their own: a pair (x, y), a data set, a path.
        classes: their names, or their number; None reads them from the labels, which then leave no number out.
        name, seed, reading: what results call the data; decides all that is drawn; fields of `Reading`.

    Raises:
        BadInput: what cannot be read, or rows that overlap, repeat, lie outside the data or leave a split empty.

    >>> made = task(np.random.default_rng(0).random((60, 5)), np.arange(60) % 3, forget=[4, 8], name="points")
    >>> made.n_classes, made.index["forget"].tolist(), tuple(made.x.shape)
    (3, [4, 8], (60, 5))
    """
    for option in reading:
        choose("argument of task", option, [f.name for f in fields(Reading)])
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in DATASETS:
        allowed = "up to 64 letters, digits, '_', '-' and '.', and none of a known data set"
        raise BadInput(f"name must be {allowed}, got {shown(name)}.")
    how, seed = Reading(**reading), seed_of(seed)
    given = read(x, y, how)
    labels, names = labels_of(given.y, count(given.x), given.names if classes is None else classes)
    if isinstance(test, Real) or _is_rows(test):
        index, inputs = _index(labels, forget, retain, test, seed), given.x
    else:
        other = read(test, None, how)
        more = labels_of(_by_name(other, given.names), count(other.x), names)[0]
        inputs, after = _both(given.x, other.x), np.arange(len(labels), len(labels) + len(more))
        index, labels = _index(labels, forget, retain, after, seed), np.concatenate([labels, more])
    inputs, mean, std = normalised(inputs, torch.cat([index["retain"], index["valid"]]), how.normalise)
    lost = float(forget) if isinstance(forget, Real) else len(index["forget"]) / len(index["train"])
    y = torch.from_numpy(labels)
    made = Task(name, lost, inputs, y, index, names, "", seed, mean=mean, std=std, listed=_is_rows(forget))
    return remembered(replace(made, checksum=checksum_of(made)).to(how.device))


# Reading


def read(x: Any, y: Any, how: Reading) -> Examples:
    """Examples of whatever `task` takes: arrays with labels, a dictionary of tensors, a data set or a folder."""
    if y is None and _is_pair(x):
        x, y = x
    if isinstance(x, (str, os.PathLike)):
        if y is not None:
            raise BadInput(f"a folder of images holds its labels, so y must be left out, got {sort_of(y)}.")
        return _listed_images(_folder(path_of(x, "x")), how)
    if y is None:
        arrays = isinstance(x, (Tensor, np.ndarray, list, tuple, Mapping, set)) or hasattr(x, "__array__")
        if not arrays and hasattr(x, "__getitem__") and hasattr(x, "__len__"):
            return _listed_images(x, how)
        wanted = "an array with its labels y, a data set of (image, label) pairs or a folder"
        raise BadInput(f"x must be {wanted}, got {sort_of(x)}.")
    if isinstance(x, Mapping):
        parts = {str(name): _tensor(part, f"x[{name!r}]") for name, part in x.items()}
        if len({len(part) for part in parts.values()}) != 1:
            raise BadInput("a dictionary x must hold tensors of one and the same number of rows.")
        return Examples({name: part.clone() for name, part in parts.items()}, y)
    return Examples(shaped(_tensor(x, "x", PIXELS), how.layout), y)


def shaped(x: Tensor, layout: str = "") -> Tensor:
    """Features as (N, C), images as (N, C, H, W); raises `BadInput` where it is not plain which axis holds channels."""
    if not 1 <= x.ndim <= 4 or 0 in x.shape:
        raise BadInput(f"x must have 1 to 4 dimensions, examples first, and none empty, got shape {tuple(x.shape)}.")
    if x.ndim < 4:
        return x if x.ndim == 2 else x.unsqueeze(1)
    few = [axis for axis in (1, 3) if x.shape[axis] <= 4]
    if not layout and len(few) != 1:
        remedy = "pass layout='channels_first' or layout='channels_last'"
        raise BadInput(f"images of shape {tuple(x.shape)} may have their channels first or last: {remedy}.")
    last = layout == "channels_last" if layout else few == [3]
    return x.permute(0, 3, 1, 2).contiguous() if last else x


def labels_of(y: Any, n: int, classes: Any = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels (n,) int64 and the names of the classes; see `task` for what is allowed."""
    if isinstance(y, (list, tuple)):  # of which numpy drops a last NUL
        _check_text("labels", [one for one in y if isinstance(one, str)])
    found = _array(y)
    if found is None or found.shape != (n,):
        given = sort_of(y) if found is None else f"shape {found.shape}"
        raise BadInput(f"labels must be of shape ({n},), one whole number or name for each example, got {given}.")
    names = None if classes is None else class_names(classes)
    if found.dtype.kind == "U" or (found.dtype.kind == "O" and all(isinstance(one, str) for one in found)):
        names = names or class_names(sorted(set(found.tolist())))
        place = {name: k for k, name in enumerate(names)}
        if unknown := [name for name in found.tolist() if name not in place]:
            raise BadInput(f"the label {shown(unknown[0])} is none of the classes {shown(list(names))}.")
        return np.array([place[name] for name in found.tolist()], dtype=np.int64), names
    if found.dtype.kind not in "biuf":
        raise BadInput(f"labels must be whole numbers or names, got {found.dtype} ({shown(found[:3].tolist())}).")
    if found.dtype.kind == "f" and (broken := found[~np.isfinite(found) | (found != np.floor(found))]).size:
        raise BadInput(f"labels must be whole numbers, got {float(broken[0])}.")
    low, high = int(found.min()), int(found.max())
    if low < 0 or (names is not None and high >= len(names)):
        allowed = f"from 0 to {len(names) - 1}" if names else "of at least 0"
        raise BadInput(f"labels must be whole numbers {allowed}, got {low if low < 0 else high}.")
    present = np.unique(found).tolist()
    if names is None and len(present) != high + 1:
        missing = next(k for k, label in enumerate(present) if label != k)
        raise BadInput(f"no example has the label {missing}: number classes without gaps, or give classes=.")
    return found.astype(np.int64), names or class_names(len(present))


def _check_text(what: str, names: Sequence[str]) -> None:
    odd = next((name for name in names if UNSEEN.search(name) or re.search(r"[\t\n]", name)), None)
    if odd is not None:
        raise BadInput(f"{what} must be text without control characters, got {shown(odd)}.")


def _array(value: Any) -> np.ndarray | None:
    """A tensor or what is like an array as one; None for what is none, such as rows of unequal lengths."""
    try:
        return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        return None


def class_names(classes: Any) -> tuple[str, ...]:
    """Names of the classes from their number or a list; raises `BadInput` for fewer than 2 or equal ones."""
    if isinstance(classes, (int, np.integer)):
        return tuple(map(str, range(whole("classes", classes, 2, 100_000))))
    names = tuple(classes) if isinstance(classes, (list, tuple, np.ndarray)) else ()
    if len(names) < 2 or len(set(map(str, names))) != len(names) or not all(isinstance(one, str) for one in names):
        raise BadInput(
            f"classes must be a number or a list of names, 2 or more and no two equal, got {shown(classes)}."
        )
    _check_text("names of classes", names)
    return tuple(map(str, names))


def _tensor(value: Any, name: str, kinds: tuple[str, ...] = ()) -> Tensor:
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            raise BadInput(f"{name} must be an ordinary dense tensor, got a {value.layout} one on {value.device}.")
        found = value.detach().cpu()
    else:
        array = None if isinstance(value, np.ma.MaskedArray) else _array(value)
        if array is None or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise BadInput(f"{name} must be an array of numbers, all rows of one length, got {sort_of(value)}.")
        found = torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    if found.ndim == 0 or len(found) == 0:
        raise BadInput(f"{name} must hold one row or more, got shape {tuple(found.shape)}.")
    if kinds and found.dtype != torch.uint8 and not found.is_floating_point():
        raise BadInput(f"{name} must be of type {' or '.join(kinds)}, got {str(found.dtype).removeprefix('torch.')}.")
    tasks.check_finite(found, name)
    return found


def _folder(path: Path) -> Any:
    """The images of a folder with a folder for each class, by torchvision."""
    from PIL import Image, UnidentifiedImageError
    from torchvision.datasets import ImageFolder

    def opened(file: str) -> Any:
        try:
            return Image.open(BytesIO(bytes_of(Path(file))))
        except UnidentifiedImageError:  # its own words show an address in memory
            raise BadInput(f"{file!r} is no image") from None

    if not path.is_dir():
        raise BadInput(f"there is no folder {str(path)!r}.")
    inner = {one.name.lower() for one in path.iterdir() if one.is_dir()}
    if inner and inner <= SPLIT_FOLDERS:
        held = f"the folder {str(path)!r} holds splits, {', '.join(sorted(inner))}"
        raise BadInput(f"{held}: give task the training folder, and test= the test folder.")
    try:
        return ImageFolder(str(path), loader=opened)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{str(path)!r} is no folder with a folder of images for each class: {reason(error)}.") from None


def _listed_images(source: Any, how: Reading) -> Examples:
    """All (image, label) pairs of a map-style data set."""
    images, labels = [], []
    for k in range(whole("the length of the data set", len(source), 1)):
        try:
            item = source[k]
            image: Any = item[0] if isinstance(item, (tuple, list)) and len(item) == 2 else None
            if hasattr(image, "convert"):
                image = image.convert("L" if image.mode in ("1", "L") else "RGB")
                image = image if how.size is None else image.resize((how.size, how.size))
        except Exception as error:  # somebody else's data set may fail in any way
            raise BadInput(f"example {k} of the data set cannot be read: {reason(error)}.") from error
        if image is None:
            raise BadInput(f"a data set must give (image, label) pairs, but example {k} is {sort_of(item)}.")
        images.append(image)
        labels.append(item[1].item() if isinstance(item[1], Tensor) and item[1].ndim == 0 else item[1])
    pictures = all(hasattr(image, "convert") for image in images)
    if pictures and any(image.mode == "RGB" for image in images):
        images = [image.convert("RGB") for image in images]
    parts = [_tensor(image, f"the image of example {k}", PIXELS) for k, image in enumerate(images)]
    forms = list(dict.fromkeys((tuple(part.shape), str(part.dtype)) for part in parts))
    if len(forms) > 1:
        raise BadInput(f"images must have one size, got {shown(forms[0][0])} and {shown(forms[1][0])}: pass size=.")
    x = shaped(torch.stack(parts), "channels_last" if pictures else how.layout)
    names = getattr(source, "classes", None)
    names = tuple(names) if isinstance(names, (list, tuple)) and all(isinstance(one, str) for one in names) else None
    return Examples(x, labels, names)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and not any(isinstance(v, (Real, str)) for v in value)


def _is_rows(value: Any) -> bool:
    """Whether a value lists rows, rather than being a share or a set of examples."""
    return isinstance(value, (Tensor, np.ndarray, range)) or (isinstance(value, (list, tuple)) and not _is_pair(value))


def _by_name(other: Examples, names: tuple[str, ...] | None) -> Any:
    """Labels of other examples; by name, where both know their classes and number them differently."""
    if other.names is None or names in (None, other.names):
        return other.y
    return np.array(other.names)[labels_of(other.y, count(other.x), other.names)[0]]


def _both(x: Inputs, other: Inputs) -> Inputs:
    """Training and test inputs one after the other, which must be of one form."""
    mine, theirs = (one if isinstance(one, Mapping) else {"x": one} for one in (x, other))
    forms = [{name: (tuple(part.shape[1:]), str(part.dtype)) for name, part in one.items()} for one in (mine, theirs)]
    if forms[0] != forms[1]:
        raise BadInput(f"test examples must be of the form of the others, {shown(forms[0])}, got {shown(forms[1])}.")
    return joined([x, other])


# Splitting


def rows_of(value: Any, n: int, name: str) -> np.ndarray:
    """Rows (k,) int64 from a list of numbers or a mask; raises `BadInput` for none, repeated ones or any beyond n."""
    found = _array(value)
    if found is None or found.ndim != 1 or (found.dtype.kind not in "iub" and found.size):
        raise BadInput(f"{name} must list rows, as whole numbers or as a mask, got {shown(value)}.")
    if found.dtype.kind == "b":
        if len(found) != n:
            raise BadInput(f"{name} is a mask of {len(found)} values, but there are {n} rows.")
        found = np.flatnonzero(found)
    if len(found) == 0:
        raise BadInput(f"{name} must list at least one row, got none.")
    if found.min() < 0 or found.max() >= n:
        raise BadInput(f"{name} must list rows from 0 to {n - 1}, got {int(found[(found < 0) | (found >= n)][0])}.")
    found = found.astype(np.int64)
    if (repeated := np.bincount(found) > 1).any():
        raise BadInput(f"{name} must list each row once, but {int(repeated.argmax())} is repeated.")
    return found


def _index(labels: np.ndarray, forget: Any, retain: Any, test: Any, seed: int) -> dict[str, Tensor]:
    """Rows of every split; ``labels`` are those of ``x``, ``test`` a share, rows of ``x`` or rows after them."""
    n, nothing = len(labels), np.empty(0, dtype=np.int64)
    listed = {"forget": rows_of(forget, n, "forget")} if _is_rows(forget) else {}
    if retain is not None:
        if not listed:
            raise BadInput(f"retain lists rows, so forget must list rows too, got {shown(forget)}.")
        listed["retain"] = rows_of(retain, n, "retain")
    if not listed:
        share("forget", forget)
    beyond = isinstance(test, np.ndarray) and len(test) and test[0] == n  # test examples of their own follow
    if not isinstance(test, Real):
        listed["test"] = test if beyond else rows_of(test, n, "test")
    for a, b in (("forget", "retain"), ("forget", "test"), ("retain", "test")):
        if len(both := np.intersect1d(listed.get(a, nothing), listed.get(b, nothing))):
            raise BadInput(f"{a} and {b} must list different rows, but both hold {int(both[0])}.")
    free = np.setdiff1d(np.arange(n), np.concatenate([nothing, *listed.values()]))
    if "test" not in listed:
        size = round(share("test", test) * n)
        if not 1 <= size < len(free):
            raise BadInput(f"test takes {size} of {n} rows, but 1 to {len(free) - 1} are free to be drawn: list them.")
        order = free[tasks.shuffled(len(free), f"mcutils/{seed}/test")]
        listed["test"] = np.sort(tasks.stratified(labels, order, size))
        free = np.setdiff1d(free, listed["test"])
    order, valid = listed.get("retain", free), free
    order = order[tasks.shuffled(len(order), f"mcutils/{seed}")]
    if "retain" not in listed:
        valid = tasks.held_out(labels, order) if len(order) else order
        order = order[~np.isin(order, valid)]
    forgotten = listed.get("forget", nothing)
    pool = np.concatenate([forgotten, order])
    found = tasks.parts_of(pool, len(forgotten) or round(float(forget) * len(pool)), valid)
    return {**found, "test": torch.from_numpy(listed["test"])}


def normalised(x: Inputs, rows: Tensor, wanted: bool) -> tuple[Inputs, tuple[float, ...], tuple[float, ...]]:
    """Inputs in float32, bytes divided by 255, with mean 0 and deviation 1 of each channel over ``rows``; both as well.

    A channel that does not vary is only centred. A dictionary of tensors is left as it is.
    """
    if isinstance(x, Mapping):
        return x, (), ()
    scaled = x.float() / 255 if x.dtype == torch.uint8 else x.to(torch.float32, copy=True)
    mean, std = [0.0] * scaled.shape[1], [1.0] * scaled.shape[1]
    for channel in range(scaled.shape[1]) if wanted else ():
        values = scaled[rows, channel].double()
        mean[channel], deviation = float(values.mean()), float(values.std(correction=0))
        std[channel] = deviation if deviation > 1e-7 * abs(mean[channel]) else 1.0
        scaled[:, channel] = (scaled[:, channel] - mean[channel]) / std[channel]
    if not torch.isfinite(scaled).all():
        raise BadInput("x holds numbers beyond the range of float32, in which networks compute: scale it.")
    return scaled, tuple(mean), tuple(std)


def forgetting(task: Task, forget: float, draw: int = 0) -> Task:
    """The same task with another share of its pool to forget, nested; a ``draw`` but 0 permutes the pool anew first."""
    pool = task.index["train"]
    size = round(share("forget", forget) * len(pool))
    if size == len(task.index["forget"]) and not draw:
        return replace(task, forget=float(forget))
    if task.listed:
        other = f"no other set, such as draw {draw}" if draw else f"no other share, such as {forget:g}"
        rows = f"the rows to forget of {task.dataset} were listed, {len(task.index['forget'])} of {len(pool)}"
        raise BadInput(f"{rows}: {other}, can be drawn.")
    order = tasks.drawn(pool.cpu().numpy(), task.seed, draw)
    return tasks.forgetting_first(task, order, size, forget=float(forget), draw=draw or task.draw)


# Keeping


def checksum_of(task: Task) -> str:
    """The `content_hash` of a task's data: bytes, types, shapes, rows and names; not the share to forget."""
    return tasks.content_hash(*_parts(task))


def _parts(task: Task) -> tuple[dict[str, Tensor], dict[str, Any]]:
    inputs = task.x if isinstance(task.x, Mapping) else {"": task.x}
    parts = {f"x/{name}": part for name, part in inputs.items()} | {"y": task.y}
    parts |= {f"rows/{name}": task.index[name] for name in ("train", "valid", "test")}
    about = {"name": task.dataset, "classes": list(task.classes), "mean": list(task.mean), "std": list(task.std)}
    return parts, about | {"listed": len(task.index["forget"]) if task.listed else 0}


def remembered(task: Task) -> Task:
    """Let `find` find a task for as long as somebody holds it; raises `BadInput` if it is not as it was made."""
    if task.dataset in DATASETS or checksum_of(task) != task.checksum:
        raise BadInput(f"the task {task.dataset!r} is not one as mc.task returns it: make it with mc.task.")
    ALIVE[task.checksum] = task
    return task


def look_in(*folders: Path) -> None:
    """Let `find` look for data kept in these stores."""
    for folder in map(Path, folders):
        if folder in SEEN:
            SEEN.remove(folder)
        SEEN.append(folder)


def keep(task: Task, folder: Path) -> Path:
    """Write a task's data into a store, so that other processes and computers that see it find them."""
    from safetensors.torch import save

    path = folder / FOLDER / f"{task.checksum}.safetensors"
    if not path.is_file():
        parts, about = _parts(task)
        text = json.dumps({**about, "forget": task.forget, "seed": task.seed})
        write_file(path, save({name: part.detach().cpu().contiguous() for name, part in parts.items()}, {"task": text}))
    look_in(folder)
    return path


def find(checksum: str, name: str = "") -> Task | None:
    """A task made by `task`: one held in this process, or one that `keep` wrote into a store seen by it; else None."""
    if not isinstance(checksum, str) or not CHECKSUM.fullmatch(checksum):
        return None
    paths = [folder / FOLDER / f"{checksum}.safetensors" for folder in reversed(SEEN)]
    found = ALIVE.get(checksum) or next((_kept(path) for path in paths if path.is_file()), None)
    return found if found is not None and name in ("", found.dataset) else None


def own_task(name: str, checksum: str) -> Task:
    """The task that `find` finds; raises `BadInput` where its data are not at hand."""
    if (found := find(checksum, name)) is None:
        data = f"the data {name!r} with checksum {shown(checksum[:12])}"
        raise BadInput(f"{data} are not at hand: make them again with mc.task and open the study with task=.")
    return found


def is_whole(path: Path) -> bool:
    """Whether a file holds the very data that its name is the checksum of."""
    try:
        return bool(_kept(path))
    except BadInput:
        return False


def _kept(path: Path) -> Task:
    """Read what `keep` wrote, compare its checksum."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads(file.metadata()["task"])
            parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        inputs = {name[2:]: part for name, part in parts.items() if name.startswith("x/")}
        pool, valid, test = (parts[f"rows/{split}"] for split in ("train", "valid", "test"))
        size = about["listed"] or round(about["forget"] * len(pool))
        x = inputs[""] if set(inputs) == {""} else inputs
        index = {**tasks.parts_of(pool.numpy(), size, valid.numpy()), "test": test}
        classes, mean, std = (tuple(about[name]) for name in ("classes", "mean", "std"))
        found = Task(about["name"], about["forget"], x, parts["y"], index, classes, path.stem, about["seed"])
        return remembered(replace(found, mean=mean, std=std, listed=bool(about["listed"])))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, RuntimeError):
        raise BadInput(f"the data kept as {path} are damaged: delete the file and give the task again.") from None
