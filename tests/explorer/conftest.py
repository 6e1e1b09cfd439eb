"""A browser for the tests of a file: playwright runs once at a time in a process, and other files start it too."""

import browsing
import pytest


@pytest.fixture(scope="module")
def browser():
    with browsing.started() as found:
        yield found
