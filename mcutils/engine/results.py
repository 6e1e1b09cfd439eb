"""Tables as files: the shipped ones, and csv that keeps every digit. Of all that is heavy it imports pandas alone."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
from pathlib import Path
from typing import Any

from ..errors import BadInput, choose
from ..files import DATA, write_file

TABLES = DATA / "tables"
# Columns that hold text: read as such, empty where there is none.
TEXT = (
    "path experiments task part method other condition control form init recipe objective batchnorm collapsed"
    " unresolved not_finite fingerprint metric split role curriculum optimizer model key attack what placement place"
    " predictor reading experiment label term rest kind kept copies measure by how fit table column meaning unit"
    " first_method second_method"
).split()


def results(name: str) -> Any:
    """A shipped table as a pandas DataFrame: no study, no torch, no computation.

    ``paths`` (a row a path), ``along`` (a row a point of a path and metric), ``models`` and more: docs/tables.md says
    what each column is.

    Raises:
        BadInput: an unknown name, or a file that is not what was shipped.

    >>> results("paths").groupby("method").eps_chord.median().round(2)["npo"]
    np.float64(0.11)
    """
    there = sorted(path.name.removesuffix(".csv.xz") for path in TABLES.glob("*.csv.xz"))
    path = TABLES / f"{choose('table', name, there)}.csv.xz"
    data = path.read_bytes()
    known = json.loads((TABLES / "checksums.json").read_text(encoding="utf-8"))
    if hashlib.sha256(data).hexdigest() != known.get(path.name):
        raise BadInput(f"{path.name} is not the table that was shipped: its checksum differs; fetch data/tables anew.")
    return read_table(lzma.decompress(data))


def read_table(data: bytes) -> Any:
    """A table from the bytes of a csv file: text is never nan, numbers have all their digits."""
    import pandas as pd

    names = data.partition(b"\n")[0].decode("utf-8").split(",")
    text = dict.fromkeys((name for name in names if name in TEXT), str)
    nothing = {name: [""] for name in names if name not in text}  # so that a text "nan" or "None" stays one
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    exact: Any = {} if version >= (3, 1) else {"float_precision": "round_trip"}  # which later versions always are
    return pd.read_csv(io.BytesIO(data), dtype=text, na_values=nothing, keep_default_na=False, **exact)


def write_table(table: Any, path: Path) -> str:
    """Write a table as a csv file compressed by xz, the same bytes for the same table; returns its SHA-256."""
    data = lzma.compress(table.to_csv(index=False, lineterminator="\n").encode("utf-8"))
    write_file(path, data)
    return hashlib.sha256(data).hexdigest()
