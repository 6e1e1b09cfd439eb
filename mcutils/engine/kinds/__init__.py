"""Kinds of results: one record each. A new kind is a spec, its version and its record here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import reading
from ..specs import Spec, kind_of, name_of
from .along import ALONG
from .attacked import ATTACKED
from .compared import COMPARED
from .graded import GRADED
from .models import MODELS, WEIGHTS
from .privacy import PRIVACY
from .record import Kind

EVERY = (*MODELS, *ALONG, *COMPARED, *PRIVACY, *ATTACKED, *GRADED)
# By the name that keys and provenance carry; in lower case it begins the names of files.
KINDS: dict[str, Kind] = {name_of(kind.spec): kind for kind in EVERY}
SUFFIXES = {name.lower(): kind.form.suffix for name, kind in KINDS.items()}


def of(spec: Spec) -> Kind:
    """The record of a spec's kind."""
    return KINDS[kind_of(spec)]


def parents(spec: Spec) -> tuple[Spec, ...]:
    """The results that computing a spec reads; none for what is no result, such as data."""
    return of(spec).parents(spec) if kind_of(spec) in KINDS else ()


def describe(spec: Spec) -> str:
    """A spec in a few words."""
    return of(spec).describe(spec, describe)


def limit_of(name: str, settings: Mapping[str, Any]) -> int:
    """Bytes that a result of this kind, with these settings of its spec, may have."""
    steps = settings.get("steps")
    count = len(steps) if isinstance(steps, (list, tuple)) else 0
    count = count or settings.get("points") or settings.get("control_points") or 1
    each = (KINDS[name].form if name in KINDS else WEIGHTS).each
    return each * (count if isinstance(count, int) and count > 0 else 1)


def read(path: Path, name: str, settings: Mapping[str, Any]) -> Any:
    """What a result's file holds; raises what readers of its format do."""
    limit = limit_of(name, settings)
    return KINDS[name].form.load(io.BytesIO(reading.read(path, limit)), limit)
