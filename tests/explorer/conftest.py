"""A browser for all tests of the explorer."""

import browsing
import pytest


@pytest.fixture(scope="session")
def browser():
    with browsing.started() as found:
        yield found
