"""Archives and shards: which results ship or are computed together, by notebook and original model."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..engine.kinds import parents
from ..engine.specs import LearningSpec, OriginalSpec, RetrainedSpec, Spec, UntrainedSpec, is_line, key
from ..engine.study import Study
from ..errors import BadInput
from .pictures import kept
from .privacy_pool import TRAINED
from .quickstart import shipped
from .registry import APART, EXPERIMENTS, PRICED_APART


def archives(study: Study, shards: bool = False) -> dict[str, list[str]]:
    """Keys of all results that ship, by archive: one a notebook, in the notebooks' order.

    ``shards``: one for each notebook and original model instead, so that what several computers made lies together.
    What several notebooks need lies with the first of them; what is priced apart follows where all of it is stored,
    that of all shadows together (``-pool`` of the shards), and pictures as far as they are stored.
    """
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    needed = {name: ask(study) for name, ask in EXPERIMENTS.items()}
    needed["00_quickstart"] = [*needed["00_quickstart"], *shipped(study)]
    pictures = kept(study, [spec for specs in needed.values() for spec in specs])
    for name, specs in {**needed, **computed_apart(study), "pictures": pictures}.items():
        for spec in specs:
            if key(spec) not in seen and not is_line(spec):
                seen.add(key(spec))
                owner = original_of(spec)
                part = "pool" if owner >= TRAINED else f"original{owner}"
                found.setdefault(f"{name}-{part}" if shards else name, []).append(key(spec))
    return found


def computed_apart(study: Study) -> dict[str, list[Spec]]:
    """All results of what is priced apart, by its name in the registry; without what the store does not hold whole."""
    found = {}
    for name in [name for name in PRICED_APART if name not in APART and name != "pictures"]:
        try:
            specs = list(PRICED_APART[name](study))
        except BadInput:  # it needs originals with a forget set each
            continue
        if all(spec in study.store for spec in specs):
            found[name] = specs
    return found


def shard(specs: Iterable[Spec], original: int) -> list[Spec]:
    """The specs that belong to the original model of this training seed; the shards of all originals are all specs.

    Raises `BadInput` for an original to which none belongs.
    """
    specs = list(specs)
    owners = [original_of(spec) for spec in specs]
    if original not in owners:
        known = ", ".join(map(str, sorted(set(owners)))) or "none"
        raise BadInput(f"no result belongs to original {original} alone: give one of {known}.")
    return [spec for spec, owner in zip(specs, owners, strict=True) if owner == original]


def original_of(spec: Spec) -> int:
    """Training seed of the original model that a result hangs on; of several, the smallest.

    A model retrained, or untrained, on the forget set of an original belongs to it: to 0 where all have one in common.
    What was measured on another draw (`Study.redrawn`, a number above all training seeds) belongs to its original.
    """
    return min(originals_of(spec), default=0)


@lru_cache(maxsize=100_000)
def originals_of(spec: Spec) -> frozenset[int]:
    """Training seeds of all original models that a result is made from; none where only their common data enter."""
    if isinstance(spec, OriginalSpec):
        return frozenset((spec.seed,))
    if isinstance(spec, LearningSpec):  # trains its model anew, and so has no parents
        return frozenset((spec.model.seed,))
    if isinstance(spec, RetrainedSpec) and spec.data.shadow is not None:
        return frozenset((TRAINED + spec.data.shadow,))  # to the shadow whose rest it was trained on
    if isinstance(spec, (RetrainedSpec, UntrainedSpec)):
        return frozenset((spec.data.draw,) if spec.data.draw else ())
    return frozenset().union(*map(originals_of, parents(spec)))
