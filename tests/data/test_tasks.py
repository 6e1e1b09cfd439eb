"""Data sets and tasks: the bytes are the official ones, the splits are what they claim, bad input says so."""

import gzip
import hashlib
import importlib.util
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from mcutils.data import tasks as data
from mcutils.data.tasks import DATASETS, count, fingerprint, joined, load_task, shuffled, take, to
from mcutils.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data"
NAMES = ("fashion-mnist", "digits")


@pytest.fixture(scope="module")
def loaded():
    return {name: DATASETS[name]() for name in NAMES}


@pytest.fixture
def cached(monkeypatch, loaded):
    """Serve data sets from memory, so that a test may load hundreds of tasks."""
    monkeypatch.setattr(data, "DATASETS", {name: lambda path=None, name=name: loaded[name] for name in NAMES})


@pytest.fixture
def copied(tmp_path):
    """A copy of the shipped files that a test may spoil."""
    for name in ("fashion-mnist.npz", "checksums.json"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    return tmp_path


def members(task, split):
    return set(task.index[split].tolist())


# The shipped images


def test_shipped_arrays_match_their_checksums():
    record = json.loads((SHIPPED / "checksums.json").read_text())["fashion-mnist.npz"]
    with np.load(SHIPPED / "fashion-mnist.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for name, array in arrays.items():
        assert hashlib.sha256(array.tobytes()).hexdigest() == record["decoded"][name]
    assert (SHIPPED / "fashion-mnist.npz").stat().st_size == record["bytes"] < 5e6
    for split, size, total in (("train", 1000, 60_000), ("test", 200, 10_000)):
        assert np.bincount(arrays[f"{split}_labels"]).tolist() == [size] * 10
        index = arrays[f"{split}_index"].astype(int)
        assert (np.diff(index) > 0).all() and index[0] >= 0 and index[-1] < total


# SHA-256 (first 16 digits) of the 784 bytes of single images, taken from the official files: row here,
# official position, class.
OFFICIAL = {
    "train": [
        (0, 1, 0, "9cf80d28fd40cb6b"), (1234, 7218, 1, "350dbc6312fd5795"),
        (5000, 29991, 4, "14e5959c8bb0eb08"), (9999, 59993, 2, "d65bde5920d1348e"),
    ],
    "test": [
        (0, 2, 1, "2914aef93f1fce9f"), (777, 3957, 5, "cb837b9f9b6f7a84"), (1999, 9995, 9, "8ffabbd208e0d774"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("split", OFFICIAL)
def test_images_are_the_official_ones(loaded, split):
    fashion = loaded["fashion-mnist"]
    with np.load(SHIPPED / "fashion-mnist.npz", allow_pickle=False) as file:
        index = file[f"{split}_index"]
    images, labels = getattr(fashion, f"x_{split}"), getattr(fashion, f"y_{split}")
    for row, position, label, digest in OFFICIAL[split]:
        pixels = ((images[row] * fashion.std[0] + fashion.mean[0]) * 255).round().to(torch.uint8).numpy()
        assert (index[row], labels[row]) == (position, label)
        assert fingerprint(pixels).startswith(digest)


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [("fashion-mnist", (1, 28, 28), (10_000, 2_000)), ("digits", (1, 8, 8), (1_438, 359))],
)
def test_dataset_has_its_shape_and_scale(loaded, name, shape, sizes):
    loaded = loaded[name]
    assert (loaded.x_train.shape, loaded.x_test.shape) == ((sizes[0], *shape), (sizes[1], *shape))
    assert loaded.x_train.dtype == torch.float32 and loaded.y_train.dtype == torch.int64
    pixels = loaded.x_train * loaded.std[0] + loaded.mean[0]
    assert pixels.min() == pytest.approx(0, abs=1e-6) and pixels.max() == pytest.approx(1, abs=1e-6)
    assert abs(loaded.x_train.mean()) < 0.02 and abs(loaded.x_train.std() - 1) < 0.02
    assert len(loaded.classes) == 10 and len(loaded.checksum) == 64


def test_digits_test_split_is_stratified_and_fixed(loaded):
    digits = loaded["digits"]
    total = torch.bincount(torch.cat([digits.y_train, digits.y_test]))
    assert (torch.bincount(digits.y_test) - total / 5).abs().max() < 1
    assert fingerprint(digits.y_test.numpy().astype(np.uint8))[:16] == "6a30b19285efbbb5"


# The splits


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint_and_complete(name):
    task = load_task(name)
    parts = [members(task, split) for split in ("retain", "forget", "valid", "test")]
    assert sum(len(part) for part in parts) == len(set().union(*parts)) == len(task.x) == len(task.y)
    assert members(task, "train") == members(task, "retain") | members(task, "forget")
    assert members(task, "retain_eval") | members(task, "bn") <= members(task, "retain")
    assert not members(task, "retain_eval") & members(task, "bn")


def test_fashion_sizes():
    task = load_task()
    sizes = {split: len(rows) for split, rows in task.index.items()}
    assert list(sizes.items()) == [
        ("train", 9000), ("retain", 8100), ("forget", 900), ("valid", 1000), ("retain_eval", 1000), ("bn", 1024),
        ("test", 2000),
    ]  # fmt: skip
    assert torch.bincount(task.labels("valid")).tolist() == [100] * 10
    assert torch.equal(task.index["train"][:900], task.index["forget"])
    assert torch.equal(task.index["train"][-1000:], task.index["retain_eval"])
    assert torch.equal(task.index["train"][-2024:-1000], task.index["bn"])


@settings(deadline=None, max_examples=40)
@given(fractions=st.tuples(*[st.floats(0.002, 0.99)] * 2), seed=st.integers(0, 9))
@pytest.mark.parametrize("name", NAMES)
def test_forget_sets_are_nested_and_valid_is_fixed(loaded, name, fractions, seed):
    labels = loaded[name].y_train.numpy()
    small, large = (data.split_rows(labels, fraction, seed) for fraction in sorted(fractions))
    assert torch.equal(small["forget"], large["forget"][: len(small["forget"])])
    assert set(large["retain"].tolist()) <= set(small["retain"].tolist())
    assert torch.equal(small["valid"], large["valid"]) and torch.equal(small["train"], large["train"])
    assert len(large["forget"]) == round(max(fractions) * len(large["train"]))
    for parts in (small, large):
        evaluated, refreshed = set(parts["retain_eval"].tolist()), set(parts["bn"].tolist())
        assert evaluated and refreshed and not evaluated & refreshed
        assert evaluated | refreshed <= set(parts["retain"].tolist())


# Draws of the forget set


def drawn(draw, forget=0.1, name="fashion-mnist"):
    return load_task(name, forget, draw=draw)


def test_draw_0_is_the_order_that_there_always_was(cached):
    task = load_task()
    assert task.draw == 0 and all(torch.equal(task.index[s], drawn(0).index[s]) for s in task.index)
    digests = {s: hashlib.sha256(r.numpy().tobytes()).hexdigest()[:16] for s, r in task.index.items()}
    assert (digests["forget"], digests["train"]) == ("84373db60ef54f4f", "e9a3477dd2424558")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("draw", [1, 2, 2**40])
def test_every_draw_is_a_nested_list_from_the_same_pool(cached, name, draw):
    first, small, large = drawn(0, 0.1, name), drawn(draw, 0.02, name), drawn(draw, 0.1, name)
    assert torch.equal(large.index["forget"][: len(small.index["forget"])], small.index["forget"])
    assert not torch.equal(first.index["forget"], large.index["forget"])
    assert members(first, "train") == members(large, "train") == members(large, "forget") | members(large, "retain")
    assert len(large.index["forget"]) == len(first.index["forget"])
    assert not members(large, "forget") & members(large, "retain")
    for split in ("valid", "test"):
        assert torch.equal(first.index[split], large.index[split])
    held = [members(large, split) for split in ("forget", "retain_eval", "bn", "valid", "test")]
    assert sum(map(len, held)) == len(set().union(*held))
    assert torch.equal(large.x, first.x) and torch.equal(large.y, first.y) and large.checksum == first.checksum


def test_draws_overlap_and_hold_classes_as_chance_says(cached):
    """Hypergeometric: two lists of m of n share m^2/n on average, a class of K among them n_k m / n."""
    tasks = [drawn(k) for k in range(8)]
    n, m = len(tasks[0].index["train"]), len(tasks[0].index["forget"])
    shared = [len(members(a, "forget") & members(b, "forget")) for i, a in enumerate(tasks) for b in tasks[:i]]
    deviation = math.sqrt(m * (m / n) * (1 - m / n) * (n - m) / (n - 1))
    assert all(abs(count - m * m / n) < 4 * deviation for count in shared)
    assert abs(np.mean(shared) - m * m / n) < 4 * deviation / math.sqrt(len(shared))
    pool = torch.bincount(tasks[0].labels("train")).numpy()
    for task in tasks:
        found, share = torch.bincount(task.labels("forget")).numpy(), pool / n
        assert (np.abs(found - m * share) < 4 * np.sqrt(m * share * (1 - share) * (n - m) / (n - 1))).all()
    # A place in the list says nothing of a place in another: ranks are not correlated either.
    ranks = [np.argsort(task.index["train"].numpy()) for task in tasks]
    for i, one in enumerate(ranks):
        for other in ranks[:i]:
            assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / math.sqrt(n)


def test_a_draw_is_another_axis_than_the_seed(cached):
    lists = [load_task("digits", seed=seed, draw=draw).index["forget"].tolist() for seed in (0, 1) for draw in (0, 1)]
    assert len(set(map(tuple, lists))) == 4
    valid = [load_task("digits", seed=seed, draw=1).index["valid"].tolist() for seed in (0, 1)]
    assert valid[0] != valid[1]


@pytest.mark.parametrize("draw", [-1, 1.5, "1", True, None])
def test_a_draw_is_a_whole_number(draw):
    with pytest.raises(BadInput, match="draw must be a whole number from 0"):
        load_task("digits", draw=draw)


def test_draws_are_tasks_of_their_own():
    from mcutils.unlearning.endpoints import fingerprint as name_of

    assert len({name_of(drawn(k, name="digits")) for k in range(20)}) == 20


def test_evaluation_examples_do_not_change_with_the_forget_fraction(cached):
    small, large = load_task(forget=0.02), load_task(forget=0.5)
    for split in ("valid", "test", "retain_eval", "bn", "train"):
        assert torch.equal(small.index[split], large.index[split])


@pytest.mark.parametrize("name", NAMES)
def test_valid_keeps_the_class_shares(cached, name):
    task = load_task(name)
    everything = torch.cat([task.labels("train"), task.labels("valid")])
    assert (torch.bincount(task.labels("valid")) - torch.bincount(everything) * 0.1).abs().max() < 1


def test_seed_decides_the_split(cached):
    first, again, other = (load_task("digits", seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(rows, again.index[split]) for split, rows in first.index.items())
    assert not torch.equal(first.index["forget"], other.index["forget"])
    assert members(first, "valid") != members(other, "valid")


def test_split_never_changes_between_versions():
    """Recorded once: results that ship, and forget sets in print, rest on it."""
    assert shuffled(10, "key").tolist() == [8, 2, 1, 5, 6, 9, 0, 3, 7, 4]
    task = load_task("digits")
    assert task.index["forget"][:8].tolist() == [1035, 374, 613, 1216, 114, 1100, 358, 108]
    assert task.index["valid"][:8].tolist() == [5, 14, 25, 27, 29, 30, 47, 64]


def test_sizes_take_the_first_of_each_class(cached, loaded):
    task = load_task("fashion-mnist", train_size=500, test_size=100)
    everything = torch.cat([task.labels("train"), task.labels("valid")])
    assert torch.bincount(everything).tolist() == [50] * 10
    assert torch.bincount(task.labels("test")).tolist() == [10] * 10
    assert (len(task.x), len(task.index["forget"]), len(task.index["valid"])) == (600, 45, 50)
    first = loaded["fashion-mnist"].x_train[loaded["fashion-mnist"].y_train == 7][:50]
    assert torch.equal(task.x[:500][task.y[:500] == 7], first)
    assert (task.train_size, task.test_size, task.seed) == (500, 100, 0)


@settings(deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=6), share=st.floats(0, 1))
def test_stratified_keeps_the_size_and_the_shares(counts, share):
    labels = np.repeat(np.arange(len(counts)), counts)
    order = shuffled(len(labels), "test")
    size = math.floor(share * len(labels))
    rows = data.stratified(labels, order, size)
    assert len(rows) == len(set(rows.tolist())) == size
    taken = np.bincount(labels[rows], minlength=len(counts))
    assert (np.abs(taken - np.array(counts) * size / len(labels)) < 1).all()


# Using a task


def test_task_hands_out_inputs_and_labels(cached, loaded):
    task = load_task("digits")
    assert torch.equal(task.inputs("test"), loaded["digits"].x_test)
    assert torch.equal(task.labels("test"), loaded["digits"].y_test)
    assert tuple(task.evaluation) == ("retain", "forget", "valid", "test")
    assert torch.equal(task.evaluation["retain"], task.index["retain_eval"])
    assert (task.n_classes, task.device) == (10, torch.device("cpu"))
    assert task.checksum == loaded["digits"].checksum
    assert task.to("cpu").x.data_ptr() == task.x.data_ptr()


def test_task_moves_every_tensor(cached):
    moved = load_task("digits").to("meta")
    assert {tensor.device.type for tensor in (moved.x, moved.y, *moved.index.values())} == {"meta"}


def test_data_folder_from_the_environment(monkeypatch, copied, tmp_path):
    monkeypatch.setenv("MCUTILS_DATA", str(copied))
    assert data.data_folder() == copied
    assert data.data_folder(SHIPPED) == SHIPPED
    monkeypatch.setenv("MCUTILS_DATA", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="no data folder"):
        load_task()
    monkeypatch.delenv("MCUTILS_DATA")
    assert data.data_folder() == SHIPPED


def test_cache_is_outside_the_repository(monkeypatch, tmp_path):
    monkeypatch.delenv("MCUTILS_CACHE", raising=False)
    assert ROOT not in data.cache_folder().parents
    monkeypatch.setenv("MCUTILS_CACHE", str(tmp_path))
    assert data.cache_folder() == tmp_path


# The full set, without the network


class FakeFashion:
    """What torchvision's class offers after its download: two images."""

    def __init__(self, root, train, download):
        assert download
        self.data = torch.arange(2 * 784, dtype=torch.int64).remainder(251).to(torch.uint8).view(2, 28, 28)
        self.targets = torch.tensor([3, 4] if train else [5, 6])


def test_full_set_is_checked_and_normalised(monkeypatch, tmp_path):
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", FakeFashion)
    with pytest.raises(BadInput, match="is corrupt .* delete .* and run again"):
        load_task("fashion-mnist-full", path=tmp_path)
    images = FakeFashion("", True, True).data.numpy()
    good = fingerprint(images, np.uint8([3, 4]), images, np.uint8([5, 6]))
    monkeypatch.setattr(data, "FASHION_FULL_SHA256", good)
    full = DATASETS["fashion-mnist-full"](tmp_path)
    assert full.checksum == good and full.x_train.shape == (2, 1, 28, 28) and full.y_test.tolist() == [5, 6]


def test_full_set_without_network(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nTried https://...")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", refuse)
    with pytest.raises(BadInput, match="could not be downloaded") as error:
        load_task("fashion-mnist-full", path=tmp_path)
    assert "\n" not in str(error.value)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mnist"}, "unknown data set 'mnist': choose one of fashion-mnist, fashion-mnist-full, digits"),
        ({"name": ["digits"]}, "takes the name of a data set, got a list of 1: mc.task takes arrays"),
        *[
            ({"forget": forget}, "forget must be a share between 0 and 1, got")
            for forget in (0, 1, -0.1, 1.5, float("nan"), float("inf"), "0.1", None, True, [0.1])
        ],
        ({"forget": 1e-6}, "'forget' would be empty"),
        ({"forget": 0.9999}, "'retain' would be empty"),
        ({"forget": 0.9992}, "'retain_eval' would be empty"),
        ({"train_size": 4}, "'forget' would be empty"),
        ({"train_size": 5, "forget": 0.5}, "'valid' would be empty"),
        ({"train_size": 0}, "train_size, None or for 'digits', must be a whole number from 1 to 1,438, got 0"),
        ({"train_size": 1439}, "a whole number from 1 to 1,438, got 1439"),
        ({"train_size": 10.0}, "a whole number from 1 to 1,438, got 10.0"),
        ({"test_size": -1}, "test_size, None or for 'digits', must be a whole number from 1 to 359, got -1"),
        ({"seed": 0.5}, "seed must be a whole number from 0 .*, got 0.5"),
        ({"seed": None}, "seed must be a whole number from 0 .*, got None"),
        ({"path": "somewhere"}, "takes no path"),
        ({"device": "abacus"}, "Device 'abacus' cannot be used here"),
    ],
)
def test_bad_input_is_one_clear_sentence(arguments, message):
    with pytest.raises(BadInput, match=message) as error:
        load_task(**{"name": "digits"} | arguments)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_unknown_split_lists_the_known(cached):
    with pytest.raises(BadInput, match="no split 'train_eval'; choose from train, retain, forget"):
        load_task("digits").inputs("train_eval")


def test_a_flipped_byte_is_noticed(copied):
    content = (copied / "fashion-mnist.npz").read_bytes()
    for position in (0, 2_000_000, len(content) - 1):
        spoilt = content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        (copied / "fashion-mnist.npz").write_bytes(spoilt)
        with pytest.raises(BadInput, match="fashion-mnist.npz is corrupt .* restore data/"):
            load_task(path=copied)


def test_other_images_in_a_sound_file_are_noticed(copied):
    register = copied / "checksums.json"
    register.write_text(register.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(BadInput, match="fashion-mnist.npz is corrupt"):
        load_task(path=copied)


@pytest.mark.parametrize("name", ["fashion-mnist.npz", "checksums.json"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(BadInput, match=f"{name}.* restore data/"):
        load_task(path=copied)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fashion-mnist.npz": 3}'])
def test_a_broken_register_is_named(copied, text):
    (copied / "checksums.json").write_text(text)
    with pytest.raises(BadInput, match="checksums.json is missing or does not list"):
        load_task(path=copied)


def test_changed_digits_are_noticed(monkeypatch):
    monkeypatch.setattr(data, "DIGITS_SHA256", "0" * 64)
    with pytest.raises(BadInput, match="digits.csv.gz is corrupt .* reinstall scikit-learn"):
        load_task("digits")


# The script that drew the subset


@pytest.fixture(scope="module")
def make_subset():
    spec = importlib.util.spec_from_file_location("make_subset", SHIPPED / "make_subset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def test_subset_script_refuses_other_files_and_reads_its_own(make_subset, monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    arrays = []
    for split, n in (("train", 60), ("test", 30)):
        images, labels = rng.integers(0, 256, (n, 4, 4), np.uint8), np.uint8(np.arange(n) % 10)
        arrays += [images, labels]
        for name, array in zip(make_subset.FILES[split], (images, labels), strict=True):
            write_idx(tmp_path / name, array)
    with pytest.raises(SystemExit, match="not the official"):
        make_subset.main(tmp_path, tmp_path)

    monkeypatch.setattr(make_subset, "FASHION_FULL_SHA256", fingerprint(*arrays))
    monkeypatch.setattr(make_subset, "PER_CLASS", {"train": 3, "test": 2})
    make_subset.main(tmp_path, tmp_path)
    first = (tmp_path / "fashion-mnist.npz").read_bytes()
    fashion = DATASETS["fashion-mnist"](tmp_path)
    assert torch.bincount(fashion.y_train).tolist() == [3] * 10 and len(fashion.x_test) == 20
    make_subset.main(tmp_path, tmp_path)
    assert (tmp_path / "fashion-mnist.npz").read_bytes() == first


# Examples of one tensor or of several


def test_examples_of_a_dictionary_are_taken_counted_joined_and_moved_together(cached):
    x = {"input_ids": torch.arange(12).view(4, 3), "attention_mask": torch.ones(4, 3)}
    rows = torch.tensor([2, 0])
    assert {k: v.tolist() for k, v in take(x, rows).items()} == {k: v[rows].tolist() for k, v in x.items()}
    assert take(x["input_ids"], rows).tolist() == x["input_ids"][rows].tolist()
    assert count(x) == count(x["input_ids"]) == 4
    both = joined([x, take(x, rows)])
    assert count(both) == 6 and torch.equal(both["input_ids"][4:], x["input_ids"][rows])
    assert {v.dtype for v in to(x, torch.float64).values()} == {torch.float64}
    task = replace(load_task("digits"), x=x, y=torch.zeros(4, dtype=torch.int64), index={"test": rows})
    assert task.inputs("test")["input_ids"].tolist() == x["input_ids"][rows].tolist()
    moved = task.to("meta")
    assert {v.device.type for v in moved.x.values()} == {"meta"} and moved.device.type == "meta"
