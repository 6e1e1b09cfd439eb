"""Archives: which results ship together, one archive a notebook and original model."""

from __future__ import annotations

from typing import Any

from ..engine.specs import OriginalSpec, is_line, key
from ..engine.study import Study
from .quickstart import shipped
from .registry import EXPERIMENTS


def archives(study: Study) -> dict[str, list[str]]:
    """Keys of all results that ship, by archive: one for each notebook and original model, in the notebooks' order.

    What several notebooks need lies with the first of them.
    """
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for name, ask in EXPERIMENTS.items():
        specs = [*ask(study), *(shipped(study) if name == "00_quickstart" else ())]
        for spec in specs:
            if key(spec) not in seen and not is_line(spec):
                seen.add(key(spec))
                first = original_of(spec)
                seed = (first if isinstance(first, OriginalSpec) else study.original()).seed
                found.setdefault(f"{name}-original{seed}", []).append(key(spec))
    return found


def original_of(spec: Any) -> Any:
    """The original, retrained or untrained model that a result begins with."""
    for name in ("origin", "start", "model", "original"):
        inner = getattr(spec, name, None)
        if inner is not None and not isinstance(inner, str):
            return original_of(inner)
    return original_of(spec.models[0]) if hasattr(spec, "models") else spec
