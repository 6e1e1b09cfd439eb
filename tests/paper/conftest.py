"""Fixtures that several rooms' tests share."""

import pytest
from made_specs import NOTEBOOKS
from synthetic import RING, controls, walk

import mcutils as mc
from mcutils.engine.specs import key
from mcutils.engine.study import study as study_study
from mcutils.paper.registry import EXPERIMENTS


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return study_study("smoke", store=str(tmp_path_factory.mktemp("store")), fresh=True)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    return study_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


@pytest.fixture(scope="module")
def asked(laptop):
    return {name: {key(spec) for spec in EXPERIMENTS[name](laptop)} for name in NOTEBOOKS}


@pytest.fixture(scope="module")
def walks():
    made = [walk("npo", 0.02 * k, 0.05 * k, p, noise=0.02) for k, p in enumerate(RING)]
    made += [walk("npo", 0.0, 0.0, p, kind="bezier") for p in RING]
    made += [walk("scrub", 0.3, 0.0, p) for p in RING[:2]]
    return [*made, walk("scrub", 0.3, 0.0, RING[2], collapsed=("t = 0: chance",)), *controls()]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Specs of a small study; nothing is computed."""
    folder = str(tmp_path_factory.mktemp("metrics") / "store")
    return mc.study("smoke", store=folder, seeds=[42, 87, 21], methods=["npo", "scrub", "salun", "l1_sparse"])
