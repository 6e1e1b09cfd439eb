"""Studies whose specs are looked at: nothing is computed, and nothing is read that ships but tables."""

import pytest

import mcutils as mc
from mcutils.engine.specs import key
from mcutils.paper.registry import EXPERIMENTS


@pytest.fixture(scope="session")
def planned(tmp_path_factory):
    """A function that opens a study of a preset with an empty store of its own."""

    def opened(preset, **changes):
        return mc.study(preset, store=str(tmp_path_factory.mktemp(preset) / "store"), fresh=True, **changes)

    return opened


@pytest.fixture(scope="session")
def smoke(planned):
    return planned("smoke")


@pytest.fixture(scope="session")
def laptop(planned):
    """Eight originals with a forget set each, and six methods that pass the gate."""
    return planned("laptop")


@pytest.fixture(scope="session")
def three(planned):
    """A small study of three originals and three methods."""
    return planned("smoke", originals=3, refresh="weighted", methods=["npo", "scrub", "gradient_difference"])


@pytest.fixture(scope="session")
def asked(laptop):
    """The keys of all that each experiment of the laptop preset needs."""
    return {name: set(map(key, ask(laptop))) for name, ask in EXPERIMENTS.items()}
