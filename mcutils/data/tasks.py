"""Data sets as in-memory tensors with pinned checksums, and the task: who is retained, who is forgotten.

Every split follows from the arguments of `load_task` through SHA-256, not through a random generator, so no
version of any library can change which images are forgotten.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput, choose, path_of, reason, seed_of, share, shown, whole
from ..files import DATA, place
from ..reading import bytes_of

SPLITS = ("retain", "forget", "valid", "test")  # that a model is evaluated on
VALID_FRACTION = 0.10  # of the training images, held out before the forget set is drawn
RETAIN_EVAL_SIZE = 1_000
BN_SIZE = 1_024
Inputs = Tensor | Mapping[str, Tensor]  # examples: rows of one tensor, or of several by name ("input_ids", ...)
RESTORE = "restore data/ from the repository (git checkout -- data)"

FASHION_CLASSES = tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","))
FASHION = FASHION_CLASSES, 255, 0.2860, 0.3530  # largest pixel; mean, deviation of the 60,000 official training images
DIGITS = tuple("0123456789"), 16, 0.3053, 0.3760  # the same of all 1,797 images
# `fingerprint` of the official 60,000 + 10,000 images and labels, and of scikit-learn's digits in their own order.
FASHION_FULL_SHA256 = "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f"
DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def take(x: Inputs, rows: Tensor | slice) -> Inputs:
    """Examples ``rows`` of ``x``: of a tensor, or of every tensor of a dictionary."""
    return {name: part[rows] for name, part in x.items()} if isinstance(x, Mapping) else x[rows]


def count(x: Inputs) -> int:
    """Number of examples in ``x``."""
    return len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)


def tensors_in(x: Inputs) -> list[Tensor]:
    """The tensors that hold the examples."""
    return list(x.values()) if isinstance(x, Mapping) else [x]


def check_finite(x: Inputs, name: str) -> None:
    """Raise `BadInput` where examples hold NaN or infinity."""
    if not all(torch.isfinite(part).all() for part in tensors_in(x)):
        raise BadInput(f"{name} must hold finite numbers, got NaN or infinity.")


def to(x: Inputs, *where: Any, **how: Any) -> Inputs:
    """``x`` on a device, in a type or a memory format; arguments as of `torch.Tensor.to`."""
    return {name: part.to(*where, **how) for name, part in x.items()} if isinstance(x, Mapping) else x.to(*where, **how)


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Examples of several ``x`` of one form, one after the other."""
    if isinstance(parts[0], Mapping):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}  # type: ignore[index]
    return torch.cat(parts)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory: images (N, C, H, W) float32, normalised; labels (N,) int64; where they came from.

    ``checksum`` is the `fingerprint` of the raw images and labels of a built-in data set; of any other, `load_task`
    takes the `content_hash`. ``mean`` and ``std``, one number a channel, undo the normalisation (pixel in [0, 1] =
    x * std + mean).
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]
    checksum: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Task:
    """A data set and its disjoint splits, as rows of one tensor.

    ``x`` (M, C, H, W) holds the training images and then the test images, or is a dictionary of tensors of M rows each;
    ``y`` (M,) are their labels. ``index`` maps a split to its rows: ``train`` (the pool that the original model learns)
    = ``forget`` + ``retain``; ``valid`` and ``test``, which no model ever learns; ``retain_eval`` and ``bn``, two
    disjoint parts of ``retain`` kept for evaluation and for BatchNorm statistics. ``forget`` is the forgotten fraction
    of the pool, ``listed`` where its rows were listed, not drawn; ``seed`` to ``test_size`` and ``draw`` are arguments
    of `load_task`, ``mean`` and ``std`` as of `Dataset`; ``splits`` are those that a trace of the task holds.

    >>> task = load_task("digits", 0.1, train_size=240, test_size=60)
    >>> {split: len(rows) for split, rows in task.evaluation.items()}
    {'retain': 97, 'forget': 22, 'valid': 24, 'test': 60}
    """

    dataset: str
    forget: float
    x: Inputs
    y: Tensor
    index: Mapping[str, Tensor]
    classes: tuple[str, ...]
    checksum: str
    seed: int = 0
    train_size: int | None = None
    test_size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    listed: bool = False
    draw: int = 0
    splits: tuple[str, ...] = SPLITS

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def device(self) -> torch.device:
        return self.y.device

    @property
    def evaluation(self) -> dict[str, Tensor]:
        """Rows of the splits of a trace, by default all four; ``retain`` is the fixed sample ``retain_eval``."""
        return {split: self.rows("retain_eval" if split == "retain" else split) for split in self.splits}

    def rows(self, split: str) -> Tensor:
        """Rows of ``x`` that belong to a split, (N,) int64."""
        if split not in self.index:
            raise BadInput(f"There is no split {split!r}; choose from {', '.join(self.index)}.")
        return self.index[split]

    def inputs(self, split: str) -> Inputs:
        """Examples of a split: images (N, C, H, W), or a dictionary of tensors (N, ...)."""
        return take(self.x, self.rows(split))

    def labels(self, split: str) -> Tensor:
        """Labels of a split, (N,)."""
        return self.y[self.rows(split)]

    def to(self, device: str | torch.device) -> Task:
        """Return the same task with its tensors on ``device``."""
        if not isinstance(device, (str, torch.device)):
            raise BadInput(f"device must be a name such as 'cpu' or 'cuda', or a torch.device, got {shown(device)}.")
        try:
            index = {split: rows.to(device) for split, rows in self.index.items()}
            return replace(self, x=to(self.x, device), y=self.y.to(device), index=index)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise BadInput(f"Device {device!r} cannot be used here ({reason(error)}); 'cpu' always can.") from error


def load_task(
    name: str = "fashion-mnist", forget: float = 0.10, *, seed: int = 0, train_size: int | None = None,
    test_size: int | None = None, path: str | Path | None = None, device: str | torch.device = "cpu", draw: int = 0,
) -> Task:  # fmt: skip
    """Load a data set and split it into retain, forget, valid and test.

    A tenth of the training images, the same share of each class, becomes ``valid``. The rest, the pool of n images, is
    permuted once by ``seed`` and ``draw``; the first round(forget * n) are forgotten, so that the forget sets of one
    draw are nested, while those of two draws have forget^2 n images in common on average. The last 1,000 of the
    permutation are ``retain_eval`` and the 1,024 before those ``bn``; where fewer are retained, ``retain_eval`` takes
    at most half of them and ``bn`` the rest.

    Args:
        name: a key of `DATASETS`, whose function says what ``path``, the folder of the data set, holds.
        forget: fraction of the pool to forget, between 0 and 1, both excluded.
        seed, draw: decide ``valid`` and the permutation; pool, ``valid`` and ``test`` are those of all draws.
        train_size, test_size: use that many images only, the first of each class in proportion; all when None.

    Raises:
        BadInput: unknown data set, a share or size out of range, an empty split, a corrupt or missing file.

    >>> task = load_task("digits", forget=0.1, train_size=240, test_size=60)
    >>> tuple(task.x.shape), len(task.index["retain"]), len(task.index["forget"])
    ((300, 1, 8, 8), 194, 22)
    """
    if not isinstance(name, str):
        raise BadInput(f"load_task takes the name of a data set, got {sort_of(name)}: mc.task takes arrays or images.")
    choose("data set", name, DATASETS)
    forget, seed, draw = share("forget", forget), seed_of(seed), seed_of(draw, "draw")
    path = None if path is None else path_of(path)
    data = DATASETS[name](path=path)
    train = _first_rows(data.y_train, train_size, "train_size", name)
    test = _first_rows(data.y_test, test_size, "test_size", name)
    index = split_rows(data.y_train[train].numpy(), forget, seed, draw)
    index["test"] = torch.arange(len(train), len(train) + len(test))
    x, y = torch.cat([data.x_train[train], data.x_test[test]]), torch.cat([data.y_train[train], data.y_test[test]])
    checksum = data.checksum
    if name not in SHAPES:
        arrays = {part: getattr(data, part) for part in ("x_train", "y_train", "x_test", "y_test")}
        checksum = content_hash(arrays, {"classes": list(data.classes)})
    train_size, test_size = (None if size is None else int(size) for size in (train_size, test_size))
    made = Task(name, forget, x, y, index, data.classes, checksum, seed, train_size, test_size, data.mean, data.std)
    return replace(made, draw=draw).to(device)


def fashion_mnist(path: str | Path | None = None) -> Dataset:
    """Read the shipped draw of Fashion-MNIST: 10,000 training and 2,000 test images, 28 x 28, ten classes.

    ``path`` is the folder with fashion-mnist.npz and checksums.json, by default ``$MCUTILS_DATA`` or the
    repository's data/. Source: Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747.
    """
    content, record = read_shipped(file := "fashion-mnist.npz", path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays_in:
            arrays = [arrays_in[part] for part in ("train_images", "train_labels", "test_images", "test_labels")]
    except (NotImplementedError, RuntimeError) as error:
        raise BadInput(f"This Python was built without lzma, which {file} needs; use another Python.") from error
    checksum = _expect(fingerprint(*arrays), record["decoded"]["fingerprint"], file, RESTORE)
    return _dataset("fashion-mnist", arrays, checksum, *FASHION)


def fashion_mnist_full(path: str | Path | None = None) -> Dataset:
    """Read all 60,000 + 10,000 images of Fashion-MNIST, downloaded by torchvision the first time.

    ``path`` is torchvision's root folder, by default ``$MCUTILS_CACHE`` or ~/.cache/mcutils.
    """
    from torchvision.datasets import FashionMNIST

    root = cache_folder() if path is None else Path(path).expanduser()
    try:
        parts = [FashionMNIST(str(root), train=train, download=True) for train in (True, False)]
        arrays = [array.numpy() for part in parts for array in (part.data, part.targets.to(torch.uint8))]
    except Exception as error:  # network, disk and format errors alike, of several libraries
        failed = f"The full Fashion-MNIST could not be downloaded into {root} ({reason(error)})"
        raise BadInput(f"{failed}; check the connection and try again, or use the shipped 'fashion-mnist'.") from error
    where = root / "FashionMNIST"
    checksum = _expect(fingerprint(*arrays), FASHION_FULL_SHA256, str(where), f"delete {where} and run again")
    return _dataset("fashion-mnist-full", arrays, checksum, *FASHION)


def digits(path: str | Path | None = None) -> Dataset:
    """Read scikit-learn's handwritten digits: 1,797 images of 8 x 8, ten classes, a fifth for testing.

    ``path`` must be None: the images come with scikit-learn. Source: Alpaydin and Kaynak 1998, UCI.
    """
    from sklearn.datasets import load_digits

    if path is not None:
        raise BadInput(f"The data set 'digits' comes with scikit-learn and takes no path, but was given {str(path)!r}.")
    raw = load_digits()
    images, labels = raw.images.astype(np.uint8), raw.target.astype(np.uint8)
    found = fingerprint(images, labels)
    checksum = _expect(found, DIGITS_SHA256, "scikit-learn's digits.csv.gz", "reinstall scikit-learn")
    test = np.sort(stratified(labels, shuffled(len(labels), "digits test"), round(len(labels) / 5)))
    train = np.setdiff1d(np.arange(len(labels)), test)
    arrays = [images[train], labels[train], images[test], labels[test]]
    return _dataset("digits", arrays, checksum, *DIGITS)


DATASETS: dict[str, Callable[..., Dataset]] = {
    "fashion-mnist": fashion_mnist,
    "fashion-mnist-full": fashion_mnist_full,
    "digits": digits,
}
# Of the built-in ones, without loading them: fingerprints that are the same everywhere; numbers of training and test
# images, the shape of one, number of classes.
FINGERPRINTS = {"fashion-mnist-full": FASHION_FULL_SHA256, "digits": DIGITS_SHA256}
SHAPES: dict[str, tuple[int, int, tuple[int, ...], int]] = {
    "fashion-mnist": (10_000, 2_000, (1, 28, 28), 10),
    "fashion-mnist-full": (60_000, 10_000, (1, 28, 28), 10),
    "digits": (1_438, 359, (1, 8, 8), 10),
}


def data_folder(path: str | Path | None = None) -> Path:
    """Return the folder of shipped files: ``path``, else ``$MCUTILS_DATA``, else data/ beside the package."""
    if not (folder := place(path, "MCUTILS_DATA", DATA, "path")).is_dir():
        raise BadInput(f"There is no data folder {folder}; set MCUTILS_DATA or path= to data/ of a clone.")
    return folder


def cache_folder() -> Path:
    """Return the folder for downloads: ``$MCUTILS_CACHE``, else mcutils in the user's cache folder."""
    home = place(None, "XDG_CACHE_HOME", Path("~/.cache"))
    return place(None, "MCUTILS_CACHE", home / "mcutils")


def read_shipped(name: str, path: str | Path | None = None) -> tuple[bytes, dict]:
    """The bytes of a shipped file and its entry in checksums.json, or `BadInput` where the two differ."""
    folder = data_folder(path)
    try:
        record = json.loads(bytes_of(folder / "checksums.json"))[name]
        expected = record["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{folder / 'checksums.json'} is missing or does not list {name}; {RESTORE}.") from error
    try:
        content = bytes_of(folder / name)
    except OSError as error:
        raise BadInput(f"{folder / name} cannot be read ({error.strerror or error}); {RESTORE}.") from error
    _expect(hashlib.sha256(content).hexdigest(), expected, str(folder / name), RESTORE)
    return content, record


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of the bytes of arrays in turn; of type and shape too unless they are uint8."""
    digest = hashlib.sha256()
    for array in arrays:
        if array.dtype != np.uint8:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def content_hash(tensors: Mapping[str, Tensor], about: Mapping[str, Any] | None = None) -> str:
    """SHA-256, in hexadecimal, of named tensors, their names, types, shapes and bytes, and of JSON facts on them."""
    digest = hashlib.sha256(json.dumps(about or {}, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"/{name}/{tensor.dtype}{list(tensor.shape)}/".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def shuffled(n: int, key: str) -> np.ndarray:
    """Return the permutation (n,) of 0..n-1 that sorts SHA-256("key/i"): the same on every machine."""
    return np.array(sorted(range(n), key=lambda i: hashlib.sha256(f"{key}/{i}".encode()).digest()), dtype=np.int64)


def split_rows(labels: np.ndarray, forget: float, seed: int, draw: int = 0) -> dict[str, Tensor]:
    """Split the training rows 0..n-1: rows of train, retain, forget, valid, retain_eval and bn."""
    order = shuffled(len(labels), f"mcutils/{seed}")
    valid = held_out(labels, order)
    pool = drawn(order[~np.isin(order, valid)], seed, draw)
    return parts_of(pool, round(forget * len(pool)), valid)


def drawn(pool: np.ndarray, seed: int, draw: int) -> np.ndarray:
    """The rows of a pool in the order in which a draw forgets them; draw 0 leaves them as they are."""
    return np.sort(pool)[shuffled(len(pool), f"mcutils/{seed}/draw/{draw}")] if draw else pool


def held_out(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows kept for validation, a tenth of those in ``order``, each class in proportion; ``labels`` are of all rows."""
    return np.sort(stratified(labels, order, round(VALID_FRACTION * len(order))))


def parts_of(pool: np.ndarray, n_forget: int, valid: np.ndarray) -> dict[str, Tensor]:
    """Rows of train, retain, forget, valid, retain_eval and bn: the first ``n_forget`` of the pool are forgotten."""
    retain = pool[n_forget:]
    n_eval = min(RETAIN_EVAL_SIZE, len(retain) // 2)
    bn, retain_eval = np.split(retain, [len(retain) - n_eval])
    parts = {"train": pool, "retain": retain, "forget": pool[:n_forget], "valid": valid}
    parts |= {"retain_eval": retain_eval, "bn": bn[-BN_SIZE:]}
    for split, rows in parts.items():
        if len(rows) == 0:
            there = f"of {len(pool)} training examples {n_forget} are to forget, {len(retain)} to retain, {len(valid)}"
            raise BadInput(f"The split {split!r} would be empty: {there} more for validation; 1, 2 and 1 are needed.")
    return {split: torch.from_numpy(rows.copy()) for split, rows in parts.items()}


def forgetting_first(task: Task, pool: np.ndarray, n_forget: int, **changed: Any) -> Task:
    """The task with its pool in another order, of which the first ``n_forget`` rows are forgotten; and other fields."""
    parts = parts_of(pool, n_forget, task.index["valid"].cpu().numpy())
    index = {**task.index, **{split: rows.to(task.device) for split, rows in parts.items()}}
    return replace(task, index=index, **changed)


def stratified(labels: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """Take ``size`` entries of ``order`` from the front, each class in proportion to its frequency.

    The shares are rounded by largest remainder, so they sum to ``size``; ties go to the smaller class number.
    """
    classes, counts = np.unique(labels[order], return_counts=True)
    whole, rest = np.divmod(counts * size, len(order))
    whole[np.argsort(-rest, kind="stable")[: size - whole.sum()]] += 1
    return np.concatenate([order[labels[order] == c][:k] for c, k in zip(classes, whole, strict=True)])


def _first_rows(labels: Tensor, size: int | None, argument: str, name: str) -> Tensor:
    """Rows of the first ``size`` examples, classes in proportion, in the data set's own order."""
    n = len(labels)
    if size is None:
        return torch.arange(n)
    size = whole(f"{argument}, None or for {name!r},", size, 1, n)
    return torch.from_numpy(np.sort(stratified(labels.numpy(), np.arange(n), size)))


def images_of(task: Any, what: str) -> Tensor:
    """The images of a task (M, C, H, W), or `BadInput` saying ``what`` needs them."""
    if not isinstance(task, Task) or not isinstance(task.x, Tensor) or task.x.ndim != 4:
        given = f"the examples of {task.dataset}, which are none" if isinstance(task, Task) else sort_of(task)
        raise BadInput(f"{what}, got {given}.")
    return task.x


def sort_of(value: Any) -> str:
    """What a value is, in words: its type and length, not its content, which may be large."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return shown(value)
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, (tuple, list, Mapping)) else "")


def _dataset(name: str, arrays: list, checksum: str, classes: Any, white: int, mean: float, std: float) -> Dataset:
    """Normalise grey uint8 images (N, H, W) of largest pixel ``white`` and labels (N,) into a `Dataset`."""
    x_train, x_test = (((torch.tensor(x)[:, None].float() / white) - mean) / std for x in arrays[::2])
    y_train, y_test = (torch.tensor(y).long() for y in arrays[1::2])
    return Dataset(name, x_train, y_train, x_test, y_test, classes, checksum, (mean,), (std,))


def _expect(found: str, expected: str, what: str, remedy: str) -> str:
    """Return ``found`` when it is the expected SHA-256; raise otherwise."""
    if found != expected:
        raise BadInput(f"{what} is corrupt (SHA-256 {found[:12]}..., expected {str(expected)[:12]}...); {remedy}.")
    return found
