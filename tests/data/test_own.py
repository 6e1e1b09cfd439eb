"""Own data: read from arrays, data sets and folders, split as asked, known by their bytes, refused in a sentence."""

import gc
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

import mcutils as mc
from mcutils.data import own as own_data
from mcutils.data.own import ALIVE, checksum_of, find, forgetting, keep, look_in, task
from mcutils.data.tasks import Task, content_hash, fingerprint, load_task
from mcutils.engine import specs
from mcutils.engine.specs import CurveSpec, DataSpec, OriginalSpec, TraceSpec, UnlearnedSpec, key, key_of, plain
from mcutils.engine.store import Store
from mcutils.errors import BadInput
from mcutils.settings import MethodSettings, Plan
from mcutils.unlearning.endpoints import fingerprint as fingerprint_of

N = 120
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (N, 3, 8, 8)).astype(np.uint8)
GREY = RNG.integers(0, 256, (N, 8, 8)).astype(np.uint8)
Y = np.arange(N) % 4
POINTS = RNG.normal(size=(N, 5))


def members(made, split):
    return set(made.index[split].tolist())


def pixels(made):
    """The images as they were, in [0, 1]."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (made.mean, made.std))
    return made.x * std + mean


# Reading


@pytest.mark.parametrize(
    ("x", "how", "shape"),
    [
        (POINTS, {}, (N, 5)),
        (POINTS[:, 0], {}, (N, 1)),
        (torch.tensor(POINTS), {}, (N, 5)),
        (POINTS.astype(">f4"), {}, (N, 5)),
        (POINTS.tolist(), {}, (N, 5)),
        (GREY, {}, (N, 1, 8, 8)),
        (PIXELS, {}, (N, 3, 8, 8)),
        (PIXELS.transpose(0, 2, 3, 1), {}, (N, 3, 8, 8)),
        (PIXELS.transpose(0, 2, 3, 1), {"layout": "channels_last"}, (N, 3, 8, 8)),
        (RNG.random((N, 6, 8, 8)), {"layout": "channels_first"}, (N, 6, 8, 8)),
        (torch.tensor(PIXELS).half(), {}, (N, 3, 8, 8)),
        (torch.tensor(PIXELS).bfloat16().requires_grad_(), {}, (N, 3, 8, 8)),
    ],
)
def test_arrays_of_every_form_are_read(x, how, shape):
    made = task(x, Y, **how)
    assert isinstance(made, Task) and tuple(made.x.shape) == shape and made.x.dtype == torch.float32
    assert made.y.tolist() == Y.tolist() and made.classes == ("0", "1", "2", "3") and not made.x.requires_grad
    seen = made.x[torch.cat([made.rows("retain"), made.rows("valid")])].double()
    over = [0] if seen.ndim == 2 else [0, 2, 3]
    assert seen.mean(over).abs().max() < 1e-5 and (seen.std(over, correction=0) - 1).abs().max() < 1e-4


def test_channels_first_and_last_are_the_same_images_in_their_own_order():
    first, last = task(PIXELS, Y), task(PIXELS.transpose(0, 2, 3, 1), Y)
    assert torch.equal(first.x, last.x) and first.checksum == last.checksum
    assert torch.equal((pixels(first) * 255).round().to(torch.uint8), torch.from_numpy(PIXELS))


def test_what_is_forgotten_or_tested_leaves_no_trace_in_the_normalisation():
    rows = list(range(10, 30))
    one = task(PIXELS, Y, forget=rows, test=range(100, N))
    other = PIXELS.copy()
    other[rows], other[100:] = 255, 0
    again = task(other, Y, forget=rows, test=range(100, N))
    assert (one.mean, one.std) == (again.mean, again.std) and one.checksum != again.checksum


def test_a_constant_channel_is_only_centred_and_normalising_can_be_left_out():
    x = POINTS.copy()
    x[:, 2] = 0.1
    assert task(x, Y).x[:, 2].abs().max() < 1e-6 and task(x, Y).std[2] == 1.0
    made = task(x, Y, normalise=False)
    assert torch.equal(made.x, torch.tensor(x).float()) and made.mean == (0.0,) * 5


def test_a_task_shares_no_memory_with_what_it_was_made_from():
    x = torch.rand(N, 5)
    made = task(x, Y, normalise=False)
    before = made.x.clone()
    x.zero_()
    assert torch.equal(made.x, before)
    tokens = torch.arange(2 * N).view(N, 2)
    text = task({"input_ids": tokens}, Y)
    tokens.zero_()
    assert text.x["input_ids"][1].tolist() == [2, 3] and text.inputs("test")["input_ids"].shape == (24, 2)


@pytest.mark.parametrize(
    ("y", "classes", "names"),
    [
        (Y.astype(float), None, "0123"),
        (Y.tolist(), None, "0123"),
        (torch.tensor(Y), 5, "01234"),
        (Y, ["a", "b", "c", "d"], "abcd"),
        (np.array(list("abcd"))[Y], None, "abcd"),
        ([*"abcd"] * (N // 4), ["d", "c", "b", "a"], "dcba"),
        (Y > 1, None, "01"),
    ],
)
def test_labels_and_classes_are_read(y, classes, names):
    made = task(POINTS, y, classes=classes)
    assert made.classes == tuple(names) and made.n_classes == len(names)
    if names == "dcba":
        assert made.y[:4].tolist() == [3, 2, 1, 0]


class Pictures(Dataset):
    """A data set like torchvision's: PIL images with labels."""

    classes = ["cat", "dog", "eel", "fox"]

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, k):
        return Image.fromarray(self.images[k]), int(self.labels[k])


def test_a_data_set_of_pictures_is_read_with_its_classes_and_a_test_set_of_its_own():
    colour = PIXELS.transpose(0, 2, 3, 1).copy()
    made = task(Pictures(colour[:90], Y[:90]), test=Pictures(colour[90:], Y[90:]), name="pets")
    assert made.classes == ("cat", "dog", "eel", "fox") and made.x.shape == (N, 3, 8, 8)
    assert made.index["test"].tolist() == list(range(90, N)) and made.y.tolist() == Y.tolist()
    assert torch.equal((pixels(made) * 255).round().to(torch.uint8), torch.from_numpy(PIXELS))
    grey = task(Pictures(GREY, Y), size=4)
    assert grey.x.shape == (N, 1, 4, 4)
    tensors = task(TensorDataset(torch.tensor(PIXELS), torch.tensor(Y)))
    assert torch.equal(tensors.x, task(PIXELS, Y).x)


def test_test_labels_are_read_by_the_name_of_their_class():
    other = Pictures(GREY[:8], Y[:8])
    other.classes = ["fox", "eel", "dog", "cat"]
    made = task(Pictures(GREY, Y), test=other)
    assert made.y[N:].tolist() == [3, 2, 1, 0, 3, 2, 1, 0]


@pytest.fixture
def folder(tmp_path):
    """A folder of images as `ImageFolder` reads: 12 pictures of each of two classes."""
    for part in ("train", "test"):
        for k, name in enumerate(("apple", "pear")):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(12):
                Image.fromarray(GREY[12 * k + i]).save(tmp_path / part / name / f"{i:02}.png")
    return tmp_path


def test_a_folder_of_images_is_read_with_its_classes_and_channels(folder):
    made = task(str(folder / "train"), test=folder / "test", forget=0.2)
    assert made.classes == ("apple", "pear") and made.x.shape == (48, 1, 8, 8)
    assert torch.equal((pixels(made)[:24] * 255).round().to(torch.uint8)[:, 0], torch.from_numpy(GREY[:24]))
    Image.fromarray(PIXELS[0].transpose(1, 2, 0).copy()).save(folder / "train" / "pear" / "00.png")
    assert task(folder / "train").x.shape == (24, 3, 8, 8)
    with pytest.raises(BadInput, match="holds splits, test, train: give task the training folder"):
        task(folder)
    Image.fromarray(PIXELS[0, 0, :4]).save(folder / "train" / "pear" / "01.png")
    with pytest.raises(BadInput, match="images must have one size.*pass size="):
        task(folder / "train")
    assert task(folder / "train", size=8).x.shape == (24, 3, 8, 8)
    (folder / "train" / "pear" / "02.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match="example 14 of the data set cannot be read"):
        task(folder / "train")


# Splitting


@settings(deadline=None, max_examples=30)
@given(share=st.floats(0.05, 0.8), seed=st.integers(0, 5), test=st.floats(0.1, 0.5))
def test_a_share_splits_as_load_task_does(share, seed, test):
    made = task(POINTS, Y, forget=share, seed=seed, test=test)
    parts = [members(made, split) for split in ("retain", "forget", "valid", "test")]
    assert sum(map(len, parts)) == len(set().union(*parts)) == N
    assert len(made.index["test"]) == round(test * N)
    assert len(made.index["forget"]) == round(share * len(made.index["train"]))
    assert members(made, "retain_eval") | members(made, "bn") <= members(made, "retain")
    smaller = forgetting(made, share / 2) if round(share / 2 * len(made.index["train"])) else made
    assert members(smaller, "forget") <= members(made, "forget") and smaller.checksum == made.checksum
    again = task(POINTS, Y, forget=share, seed=seed, test=test)
    assert all(torch.equal(rows, again.index[split]) for split, rows in made.index.items())


def test_listed_rows_are_taken_as_they_are():
    rows = [7, 3, 99, 4]
    made = task(POINTS, Y, forget=rows, seed=1)
    assert made.index["forget"].tolist() == rows and not members(made, "test") & set(rows)
    assert len(made.index["valid"]) == round(0.1 * (N - 24 - 4)) and made.forget == 4 / len(made.index["train"])
    mask = np.zeros(N, dtype=bool)
    mask[rows] = True
    assert task(POINTS, Y, forget=mask).index["forget"].tolist() == sorted(rows)
    assert task(POINTS, Y, forget=torch.tensor(mask)).index["forget"].tolist() == sorted(rows)
    full = task(POINTS, Y, forget=rows, retain=range(10, 60), test=np.arange(100, N))
    assert members(full, "retain") == set(range(10, 60)) and members(full, "test") == set(range(100, N))
    assert members(full, "valid") == set(range(N)) - set(rows) - set(range(10, 60)) - set(range(100, N))
    assert len(set(full.labels("retain_eval").tolist())) == 4  # drawn, though the list is sorted
    with pytest.raises(BadInput, match="were listed, 4 of .*: no other share, such as 0.5, can be drawn"):
        forgetting(made, 0.5)


# Identity


def changed(rows):
    x = POINTS.copy()
    x[rows] += 1
    return x


def test_the_checksum_covers_bytes_types_shapes_rows_and_names():
    made = {
        "as it is": task(POINTS, Y),
        "halved": task(POINTS / 2, Y),
        "another test row": task(changed([task(POINTS, Y).index["test"][0]]), Y),
        "other labels": task(POINTS, (Y + 1) % 4),
        "other class names": task(POINTS, Y, classes=list("abcd")),
        "another name": task(POINTS, Y, name="points"),
        "another seed": task(POINTS, Y, seed=1),
        "another test set": task(POINTS, Y, test=0.3),
        "not normalised": task(POINTS, Y, normalise=False),
        "as a picture": task(POINTS[:, None], Y),
        "listed": task(POINTS, Y, forget=[1, 2]),
        "listed in another order": task(POINTS, Y, forget=[2, 1]),
        "listed with the same sum": task(POINTS, Y, forget=[0, 3]),
        "fewer retained": task(POINTS, Y, forget=[1, 2], retain=range(10, 60)),
        "retained in another order": task(POINTS, Y, forget=[1, 2], retain=range(59, 9, -1)),
    }
    assert len({one.checksum for one in made.values()}) == len(made)
    assert task(POINTS, Y).checksum == made["as it is"].checksum == checksum_of(made["as it is"])


def test_arrays_that_a_cast_to_bytes_makes_equal_have_different_hashes():
    x = np.arange(4, dtype=np.float32)
    assert len({fingerprint(a) for a in (x, x / 2 + x, x.astype(np.int64), x[None], x.astype(np.uint8))}) == 5
    assert fingerprint(x.astype(np.uint8)) == fingerprint(bytearray_of(x))
    parts = torch.ones(2), torch.ones(2).double(), torch.ones(1, 2), torch.ones(2) / 2
    assert len({content_hash({"x": part}) for part in parts} | {content_hash({"y": parts[0]})}) == 5


def bytearray_of(x):
    return np.frombuffer(bytes(int(v) for v in x), dtype=np.uint8)


def test_endpoints_of_two_forget_sets_with_the_same_sum_are_told_apart():
    plan = MethodSettings(Plan(steps=1, batch_size=16, forget_batch_size=2))
    one, other = (task(PIXELS, Y, forget=rows, test=range(100, N)) for rows in ([10, 20], [12, 18]))
    theta = mc.train(one, "convnet", seed=0, width=2, plan=plan.plan)
    end = mc.unlearn(theta, one, "npo", seed=0, settings=plan)
    with pytest.raises(BadInput, match="was unlearned for the task own/"):
        mc.trace(end, other)
    digits = load_task("digits", train_size=240, test_size=60)
    rows = digits.index["forget"].clone()
    rows[0], rows[1] = rows[0] + 1, rows[1] - 1
    own_rows = mc.Task(**{**vars(digits), "index": {**digits.index, "forget": rows}})
    assert rows.sum() == digits.index["forget"].sum() and fingerprint_of(own_rows) != fingerprint_of(digits)


# Keeping


@pytest.mark.parametrize("x", [POINTS, PIXELS, {"input_ids": torch.arange(2 * N).view(N, 2), "mask": torch.ones(N, 2)}])
@pytest.mark.parametrize("forget", [0.1, [5, 3]])
def test_kept_data_are_found_by_their_checksum_in_another_process(x, forget, tmp_path):
    made = task(x, Y, forget=forget, classes=list("abcd"))
    path = keep(made, tmp_path)
    kept, checksum = {**vars(made)}, made.checksum
    del made
    gc.collect()
    assert checksum not in ALIVE  # nothing holds data for ever
    found = find(checksum, "own")
    for name, value in kept.items():
        mine = getattr(found, name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(mine, value)
        elif name == "index" or isinstance(value, dict):
            assert {k: v.tolist() for k, v in mine.items()} == {k: v.tolist() for k, v in value.items()}
        else:
            assert mine == value
    assert find(checksum, "other") is None and path.parent.parent == tmp_path


def test_damaged_or_altered_data_are_never_used(tmp_path):
    made = task(POINTS, Y, forget=[1, 2, 3])
    path = keep(made, tmp_path)
    checksum, content = made.checksum, bytearray(path.read_bytes())
    altered = mc.Task(**{**vars(made), "x": made.x / 2})
    with pytest.raises(BadInput, match="is not one as mc.task returns it"):
        own_data.remembered(altered)
    del made, altered
    gc.collect()
    for position in (3, 40, -1):
        spoilt = content.copy()
        spoilt[position] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(BadInput, match="are damaged: delete the file"):
            find(checksum)
    path.unlink()
    os.mkfifo(path)
    look_in(tmp_path)
    assert find(checksum) is None and find("../" * 8 + "etc/passwd") is None and find(None) is None


# In studies


def specs_of(study):
    """An endpoint and the trace of a line from it to another, made in a few steps, on the study's data."""
    plan, forget = Plan(steps=3, batch_size=16, forget_batch_size=8), study.preset.forget
    original = replace(study.original(), plan=plan, width=2)
    start, end = (UnlearnedSpec(original, forget, "npo", "none", "adamw", s, MethodSettings(plan)) for s in (1, 2))
    return start, TraceSpec(CurveSpec(start, end, forget), forget, 3)


@pytest.mark.parametrize(("forget", "engine"), [(0.2, "serial"), ([5, 3, 50, 61], "local")])
def test_a_study_of_own_data_gives_the_same_in_every_process_and_needs_the_task_no_more(forget, engine, tmp_path):
    made = task(PIXELS, Y, forget=forget, name="mine", classes=list("abcd"))
    study = mc.study("smoke", str(tmp_path), fresh=True, task=made)
    assert study.preset.dataset == "mine" and study.preset.forget == made.forget == study.task.forget
    assert {s: r.tolist() for s, r in study.task.index.items()} == {s: r.tolist() for s, r in made.index.items()}
    end, line = specs_of(study)
    study.run([end, line], engine=engine, workers=2)
    assert study.store.get(line).logits["test"].shape == (3, 24, 4)
    plan = end.settings.plan
    theta = mc.train(study.data.pool, "convnet", seed=0, width=2, plan=plan)
    direct = mc.unlearn(theta, made, "npo", seed=1, settings=end.settings)
    kept = study.store.get(end)
    assert kept.task == fingerprint_of(made) == direct.task
    assert all(torch.equal(kept.weights.params[name], value) for name, value in direct.weights.params.items())
    data, checksum = study.data, made.checksum
    del made, study, theta, direct, kept
    specs.data._task.cache_clear()
    gc.collect()
    assert checksum not in ALIVE
    again = Store(tmp_path)
    assert line in again and again.get(end).task == fingerprint_of(data.task(end.forget))


def test_keys_cover_own_data_and_their_absence_is_a_sentence(tmp_path):
    one, other = (task(x, Y, name="mine") for x in (PIXELS / 1.0, PIXELS / 2.0))
    keys = {key(mc.study("smoke", str(tmp_path), task=made).original()) for made in (one, other)}
    assert len(keys) == 2
    absent = DataSpec("mine", checksum="0" * 64)
    assert key_of(plain(OriginalSpec(absent, "convnet", 2, 0, Plan()))).startswith("original-")
    with pytest.raises(BadInput, match="the data 'mine' with checksum '000000000000' are not at hand"):
        absent.task(0.1)
    with pytest.raises(BadInput, match="is data of your own, taken whole"):
        DataSpec("mine", train_size=5, checksum="0" * 64)
    with pytest.raises(BadInput, match="unknown data set 'mine'"):
        DataSpec("mine", checksum="0" * 63)


def test_curves_connectivity_and_pictures_of_own_data():
    made = task(PIXELS, Y, forget=0.2, name="mine")
    plan = Plan(steps=3, batch_size=16, forget_batch_size=8)
    theta = mc.train(made, "convnet", seed=0, width=2, plan=plan)
    ends = [mc.unlearn(theta, made, "npo", seed=seed, settings=MethodSettings(plan)) for seed in (1, 2)]
    curve = mc.fit_curve(*ends, made, seed=0, plan=plan)
    found = mc.trace(curve, made, 3)
    assert mc.connectivity(found, n_boot=20).t.shape == (3,)
    assert find(found.meta["checksum"]) is made


# Bad input

MASK = np.zeros(N, dtype=bool)
LAST = PIXELS.transpose(0, 2, 3, 1)


class Broken(Pictures):
    def __getitem__(self, k):
        raise KeyError("no such image")


class Single(Pictures):
    def __getitem__(self, k):
        return self.labels[k]


REFUSED = {
    "nothing": ((None,), {}, "x must be an array with its labels y"),
    "no labels": ((POINTS,), {}, "x must be an array with its labels y.*got a ndarray"),
    "a number": ((3, Y), {}, "x must hold one row or more"),
    "words": ((["a"] * N, Y), {}, "x must be an array of numbers"),
    "ragged": (([[1.0], [1.0, 2.0]], [0, 1]), {}, "all rows of one length"),
    "complex": ((POINTS * 1j, Y), {}, "x must be an array of numbers"),
    "whole numbers": ((PIXELS.astype(np.int64), Y), {}, "x must be of type uint8 or floating point, got int64"),
    "nan": ((POINTS * np.nan, Y), {}, "x must hold finite numbers"),
    "beyond float32": ((POINTS * 1e300, Y), {}, "beyond the range of float32"),
    "empty": ((POINTS[:0], Y[:0]), {}, "x must hold one row or more"),
    "no pixels": ((PIXELS[:, :, :0], Y), {}, "none empty, got shape"),
    "five dimensions": ((PIXELS[None], Y[:1]), {}, "must have 1 to 4 dimensions"),
    "sparse": ((torch.eye(N).to_sparse(), Y), {}, "ordinary dense tensor"),
    "meta": ((torch.empty(N, 2, device="meta"), Y), {}, "ordinary dense tensor"),
    "masked": ((np.ma.masked_array(POINTS), Y), {}, "x must be an array of numbers"),
    "ambiguous": ((RNG.random((N, 3, 8, 3)), Y), {}, "channels first or last: pass layout="),
    "many channels": ((RNG.random((N, 6, 8, 8)), Y), {}, "channels first or last: pass layout="),
    "layout": ((PIXELS, Y), {"layout": "NHWC"}, "unknown layout 'NHWC'"),
    "option": ((PIXELS, Y), {"augment": True}, "unknown argument of task 'augment'"),
    "normalise": ((PIXELS, Y), {"normalise": 1}, "normalise must be True or False"),
    "size": ((PIXELS, Y), {"size": 0}, "size must be a whole number"),
    "device": ((PIXELS, Y), {"device": 3.5}, "device must be a name"),
    "unknown device": ((PIXELS, Y), {"device": "abacus"}, "Device 'abacus' cannot be used"),
    "unequal tensors": (({"a": torch.ones(N), "b": torch.ones(3)}, Y), {}, "one and the same number of rows"),
    "an empty dictionary": (({}, Y), {}, "one and the same number of rows"),
    "no folder": (("nowhere",), {}, "there is no folder 'nowhere'"),
    "a folder with labels": (("nowhere", Y), {}, "holds its labels, so y must be left out"),
    "an unknown user": (("~nosuchuser/x",), {}, "home folder of a user who is not known"),
    "a data set that fails": ((Broken(GREY, Y),), {}, "example 0 of the data set cannot be read: 'no such image'"),
    "a data set without pairs": ((Single(GREY, Y),), {}, r"must give \(image, label\) pairs"),
    "an empty data set": ((Pictures(GREY, []),), {}, "length of the data set must be a whole number of at least 1"),
    "too few labels": ((POINTS, Y[:-1]), {}, r"labels must be of shape \(120,\)"),
    "one-hot labels": ((POINTS, np.eye(4)[Y]), {}, r"labels must be of shape \(120,\)"),
    "negative labels": ((POINTS, Y - 1), {}, "labels must be whole numbers of at least 0, got -1"),
    "an ignored label": ((POINTS, np.where(Y, Y, -100)), {}, "got -100"),
    "labels beyond": ((POINTS, Y), {"classes": 3}, "from 0 to 2, got 3"),
    "half labels": ((POINTS, Y / 2), {}, "labels must be whole numbers, got 0.5"),
    "nan labels": ((POINTS, np.where(Y, Y, np.nan)), {}, "labels must be whole numbers, got nan"),
    "infinite labels": ((POINTS, np.where(Y, Y, np.inf)), {}, "labels must be whole numbers, got inf"),
    "labels of None": ((POINTS, [None] * N), {}, "labels must be whole numbers or names"),
    "labels with a gap": ((POINTS, Y * 2), {}, "no example has the label 1"),
    "huge labels": ((POINTS, Y * 10**9), {}, "no example has the label 1"),
    "one class": ((POINTS, Y * 0), {}, "classes must be"),
    "an unknown name": ((POINTS, np.array(list("abcd"))[Y]), {"classes": list("abc")}, "the label 'd' is none"),
    "class names": ((POINTS, Y), {"classes": "abcd"}, "classes must be a number or a list of names"),
    "equal class names": ((POINTS, Y), {"classes": list("abca")}, "no two equal"),
    "classes": ((POINTS, Y), {"classes": True}, "classes must be a whole number"),
    **{
        f"a class name with U+{ord(c):04X}": ((POINTS, Y), {"classes": [*"abc", f"d{c}"]}, "names of classes must be")
        for c in "\n\t\0\x1b\u202e\u2066\u200f\ud800"
    },
    **{
        f"a label with U+{ord(c):04X}": ((POINTS, [f"{k}{c}" for k in Y]), {}, "without control characters")
        for c in "\n\0\u202e"
    },
    "name": ((POINTS, Y), {"name": "../x"}, "name must be up to 64 letters"),
    "no name": ((POINTS, Y), {"name": ""}, "name must be up to 64 letters"),
    "a taken name": ((POINTS, Y), {"name": "digits"}, "none of a known data set, got 'digits'"),
    "seed": ((POINTS, Y), {"seed": True}, "seed must be a whole number"),
    "seed 1.0": ((POINTS, Y), {"seed": 1.0}, "seed must be a whole number"),
    "forget": ((POINTS, Y), {"forget": "0.1"}, "forget must be a share"),
    "forget nothing": ((POINTS, Y), {"forget": []}, "forget must list at least one row"),
    "forget True": ((POINTS, Y), {"forget": True}, "forget must be a share"),
    "forget half rows": ((POINTS, Y), {"forget": [0.5, 1.5]}, "forget must list rows, as whole numbers"),
    "forget twice": ((POINTS, Y), {"forget": [3, 5, 3]}, "list each row once, but 3 is repeated"),
    "forget beyond": ((POINTS, Y), {"forget": [3, N]}, "rows from 0 to 119, got 120"),
    "forget before": ((POINTS, Y), {"forget": [3, -1, 4]}, "rows from 0 to 119, got -1"),
    "a short mask": ((POINTS, Y), {"forget": MASK[:7]}, "a mask of 7 values, but there are 120 rows"),
    "an empty mask": ((POINTS, Y), {"forget": MASK}, "forget must list at least one row"),
    "forget all": ((POINTS, Y), {"forget": range(N)}, "test takes 24 of 120 rows"),
    "retain and a share": ((POINTS, Y), {"retain": [1, 2]}, "so forget must list rows too"),
    "overlap": ((POINTS, Y), {"forget": [1, 2], "retain": [2, 3]}, "different rows, but both hold 2"),
    "overlap with test": ((POINTS, Y), {"forget": [1, 2], "test": [2, 3, 4]}, "different rows, but both hold 2"),
    "nothing left": ((POINTS, Y), {"forget": range(60), "retain": range(60, 100), "test": range(100, N)}, "'valid' w"),
    "test": ((POINTS, Y), {"test": 1.5}, "test must be a share"),
    "test None": ((POINTS, Y), {"test": None}, "x must be an array with its labels y"),
    "test of another form": ((POINTS, Y), {"test": (POINTS[:, :2], Y)}, "test examples must be of the form"),
    "test of another type": ((PIXELS, Y), {"test": (PIXELS / 255, Y)}, "test examples must be of the form"),
    "test labels beyond": ((POINTS, Y), {"test": (POINTS, Y + 1)}, "from 0 to 3, got 4"),
    "too small": ((POINTS[:3], [0, 1, 0]), {}, "would be empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_task_is_refused_in_one_sentence(case):
    given, options, message = REFUSED[case]
    with pytest.raises(BadInput, match=message) as error:
        task(*given, **options)
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 400
