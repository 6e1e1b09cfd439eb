"""The registry: every room, and from them what each notebook computes and walks.

So each can be planned or run without the notebook.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..engine.specs import Spec
from ..engine.study import Study
from . import between_models, ensembles_and_relearning, graded_sets, permutations, pictures, privacy
from .room import Room
from .walks import Route, profiles, references

# A line for each module that has rooms. The ledger, which takes them all, comes after them.
MODULES = (
    "quickstart",
    "endpoints",
    "seeds",
    "curriculum_and_order",
    "method_pairs",
    "forget_size",
    "metrics_along",
    "curve_fitting",
    "progress_and_retraining",
)
ROOMS: dict[str, Room] = {
    room.notebook: room for name in MODULES for room in import_module(f".{name}", __package__).ROOMS
}
ROUTES: dict[str, Callable[[Study], list[Route]]] = {
    name: room.routes for name, room in ROOMS.items() if room.routes is not None
}


def everything(study: Study) -> list[Spec]:
    """The routes of all notebooks, and the references."""
    return [spec for routes in ROUTES.values() for spec in profiles(study, routes(study))] + references(study)


# notebook -> all that it needs
EXPERIMENTS: dict[str, Callable[[Study], list[Spec]]] = dict(
    sorted({"15_claims": everything, **{name: room.needs for name, room in ROOMS.items()}}.items())
)
# What no notebook needs, and is planned and run by its name alone.
PRICED_APART: dict[str, Callable[[Study], list[Spec]]] = {
    "n1": between_models.needs,
    "privacy": privacy.needs,
    "ensembles": ensembles_and_relearning.needs,
    "difficulty": graded_sets.needs,
    "alignment": permutations.needs,
    "pictures": pictures.needs,
}
# Notebooks whose results are priced apart, and as what: no run of all notebooks' results computes them.
APART = {"10_privacy": "privacy", "11_ensembles_and_relearning": "ensembles", "12_difficulty": "difficulty"}
PRICED_APART |= {notebook: PRICED_APART[name] for notebook, name in APART.items()}
