"""Draw data/fashion-mnist.npz from the four official files of Fashion-MNIST.

    python data/make_subset.py FOLDER [OUTPUT_FOLDER]

FOLDER holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and
t10k-labels-idx1-ubyte.gz. The draw is fixed: numpy's default_rng(20170828), class by class, first the
training and then the test images; 1,000 and 200 of each class, kept in the official order. checksums.json
beside the file is updated.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np

from mcutils.data.tasks import FASHION_FULL_SHA256, fingerprint

SEED = 20170828
PER_CLASS = {"train": 1_000, "test": 200}
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped idx file of bytes: 0, 0, 8 and the number of axes; big-endian sizes; the values."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=axes, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def draw(labels: np.ndarray, per_class: int, generator: np.random.Generator) -> np.ndarray:
    """Draw ``per_class`` rows of every class without replacement; sorted, (N,) int64."""
    rows = [generator.choice(np.flatnonzero(labels == c), per_class, replace=False) for c in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz that `numpy.load` opens, compressed by LZMA (a seventh smaller than deflate)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            # ZipInfo's fixed date keeps the file the same from run to run
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_LZMA)


def main(source: Path, target: Path) -> None:
    full = {split: tuple(read_idx(source / name) for name in names) for split, names in FILES.items()}
    if fingerprint(*full["train"], *full["test"]) != FASHION_FULL_SHA256:
        sys.exit(f"The files in {source} are not the official Fashion-MNIST.")

    generator = np.random.default_rng(SEED)
    arrays = {}
    for split, (images, labels) in full.items():
        rows = draw(labels, PER_CLASS[split], generator)
        arrays |= {
            f"{split}_images": images[rows],
            f"{split}_labels": labels[rows],
            f"{split}_index": rows.astype("<u2"),  # 0..59,999 fits in 16 bits
        }

    path = target / "fashion-mnist.npz"
    write_npz(path, arrays)
    decoded = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    parts = ("train_images", "train_labels", "test_images", "test_labels")
    decoded["fingerprint"] = fingerprint(*(arrays[part] for part in parts))
    content = path.read_bytes()
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "decoded": decoded}

    register = target / "checksums.json"
    known = json.loads(register.read_text(encoding="utf-8")) if register.exists() else {}
    text = json.dumps(known | {path.name: entry}, indent=2, sort_keys=True)
    register.write_text(text + "\n", encoding="utf-8")
    print(f"{path}: {entry['bytes']:,} bytes, SHA-256 {entry['sha256']}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).parent)
