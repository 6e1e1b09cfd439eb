"""What the repository holds: at the top what its first page speaks of, and nothing that was downloaded or built."""

import re
import shutil
import subprocess

import pytest

from mcutils.files import ROOT

TOP = {
    *".ci .github .gitignore CHANGELOG.md CITATION.cff CONTRIBUTING.md LICENSE Makefile README.md".split(),
    *"data docs environment.yml figures mcutils notebooks pyproject.toml tests".split(),
}
BUILT = (".whl", ".pyc", ".so", ".egg", ".gz", ".pdf", ".log")


@pytest.fixture(scope="module")
def held():
    """The paths that git holds."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is no clone, or there is no git")
    found = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if found.returncode:  # a clone of somebody else's
        pytest.skip(found.stderr.decode())
    return found.stdout.decode().rstrip("\0").split("\0")


def test_the_top_is_short(held):
    assert {path.partition("/")[0] for path in held} == TOP


def test_nothing_is_held_that_can_be_fetched_or_made(held):
    shipped = re.compile(r"data/tables/\w+\.csv\.gz")
    assert [path for path in held if path.endswith(BUILT) and not shipped.fullmatch(path)] == []
    assert [path for path in held if path.startswith("figures/") and path.endswith(".svg")] == []
