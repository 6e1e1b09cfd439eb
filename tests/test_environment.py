"""What the repository holds, and its environment: environment.yml gives the packages of pyproject.toml."""

import ast
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

import mcutils
from mcutils.files import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONDA_NAMES = {
    "torch": "pytorch", "lazy-loader": "lazy_loader", "matplotlib": "matplotlib-base",
    "playwright": "playwright-python",
}  # fmt: skip
MODULES = {
    "PIL": "pillow", "lazy_loader": "lazy-loader", "sklearn": "scikit-learn", "dask_jobqueue": "dask-jobqueue",
    "yaml": "pyyaml",
}  # fmt: skip
STANDARD = sys.stdlib_module_names | {"tomllib"}  # which Python 3.10 lacks
ONLY_CONDA = {"python", "pip"}
ONLY_PIP = {"axe-core-python"}  # which comes with -e .[dev]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def conda():
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def ranges(lines):
    requirements = [Requirement(line) for line in lines]
    assert len({r.name for r in requirements}) == len(requirements), "a package is listed twice"
    return {r.name: str(r.specifier) for r in requirements}


def test_same_packages_and_ranges(project, conda):
    pip = ranges([*project["dependencies"], *project["optional-dependencies"]["dev"]])
    expected = {CONDA_NAMES.get(name, name): specifier for name, specifier in pip.items() if name not in ONLY_PIP}
    found = ranges([line for line in conda["dependencies"] if isinstance(line, str)])
    assert {name: specifier for name, specifier in found.items() if name not in ONLY_CONDA} == expected


def imported(folder):
    """Top-level modules that the files of a folder import, but for the standard library's and their own."""
    files = sorted((ROOT / folder).rglob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    own = {"mcutils", *(file.stem for file in files)}
    return {name.split(".")[0] for name in names} - STANDARD - own


@pytest.mark.parametrize("folder,extras", [("mcutils", ["cluster", "site"]), ("tests", ["dev"])])
def test_whatever_is_imported_is_declared(project, folder, extras):
    """A package that only comes along with another one may stop coming."""
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    declared = {Requirement(line).name for line in lines}
    found = imported(folder)
    assert "numpy" in found
    assert {MODULES.get(name, name) for name in found} <= declared


def test_conda_file_is_complete(conda):
    assert conda["name"] == "mcutils" and conda["channels"] == ["conda-forge", "nodefaults"]
    assert conda["dependencies"][-2:] == ["pip", {"pip": ["-e .[dev]"]}]


def test_every_range_has_a_floor(project):
    lines = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    assert not [line for line in lines if ">=" not in line]
    assert not re.search(r"\+cpu|==", " ".join(lines).replace("python_version ==", ""))


def test_oldest_python_is_the_same_everywhere(project, conda):
    floor = Requirement(f"python{project['requires-python']}").specifier
    ((major, minor),) = re.findall(r">=(\d+)\.(\d+)", str(floor))
    assert f"python>={major}.{minor}," in " ".join(str(line) for line in conda["dependencies"])
    assert f"sys.version_info < ({major}, {minor})" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_version_is_one_and_the_changelog_names_its_tag(project):
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    assert project["version"] == str(cited) == mcutils.__version__
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[([^]]+)\](?: - (\d{4}-\d\d-\d\d))?$", log, re.MULTILINE)
    assert sections[0][0] == "Unreleased" and all(date for _, date in sections[1:])
    numbers = [tuple(map(int, version.split("."))) for version, _ in sections[1:]]
    assert numbers == sorted(numbers, reverse=True) and sections[1][0] == mcutils.__version__
    assert all(f"`v{version}`" in log for version, _ in sections[1:])


# What git holds: at the top what the first page speaks of, and nothing that was downloaded or built

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
