"""Shared fixtures: one thread, small digits tasks, a quickly trained network and a tiny one in float64."""

import pytest
import torch

from mcutils.data.tasks import load_task
from mcutils.models.vision import build
from mcutils.settings import Plan
from mcutils.training import train

torch.set_num_threads(1)

# Files that take longest. They begin where tests are spread over cores, so that none is left to run alone at the end.
DEAREST = "test_notebooks.py test_chaos.py test_extending.py test_runs.py test_reproduce.py test_wheel.py".split()


def pytest_collection_modifyitems(items):
    """The dearest files first; all else as it was."""
    places = {name: place for place, name in enumerate(DEAREST)}
    items.sort(key=lambda item: places.get(item.path.name, len(DEAREST)))


@pytest.fixture(autouse=True)
def _fixed_seed():
    """Start every test from the same global generator, for draws without a generator of their own."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def task():
    """The digits task: 1,165 images to retain, 129 to forget, 359 to test. Read only."""
    return load_task("digits", 0.1)


@pytest.fixture(scope="session")
def tiny():
    """A small part of the digits task: 194 images to retain, 22 to forget, 60 to test. Read only."""
    return load_task("digits", 0.1, train_size=240, test_size=60)


@pytest.fixture(scope="session")
def theta(task):
    """A convnet of width 4, trained on `task` until it is 99 % right there. Read only, which is checked."""
    weights = train(task, "convnet", seed=0, plan=Plan(lr=1e-2, steps=150, batch_size=64), width=4)
    before = {**weights.params, **weights.buffers}
    before = {name: value.clone() for name, value in before.items()}
    yield weights
    for name, value in {**weights.params, **weights.buffers}.items():
        assert torch.equal(value, before[name]), f"a test changed {name} of the shared fixture theta"


@pytest.fixture
def tiny_net():
    """A convnet of width 2 for digits in float64, untrained; each test gets its own module."""
    return build("convnet", 1, 10, seed=0, width=2).double()
