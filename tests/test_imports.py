"""No module imports itself by way of others, and `import mcutils` stays light."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mcutils"
# Slow to import, or needed by few: imported inside the functions that use them.
HEAVY = set(
    "scipy sklearn torchvision matplotlib pandas dask distributed dask_jobqueue ipywidgets IPython papermill"
    " nbformat tqdm transformers peft".split()
)
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
MODULES = sorted(set(FILES) - {"mcutils", "mcutils.__main__"})


def imports(name, path, files=FILES):
    """(module, whether inside a function) of every import statement; names that are modules are followed to them."""
    inside, tree = set(), ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        only_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or only_for_types:
            inside |= {id(child) for child in ast.walk(node)}
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            full = ".".join([*above, *filter(None, [node.module])])
            found = [f"{full}.{a.name}" if f"{full}.{a.name}" in files else full for a in node.names]
        else:
            continue
        yield from ((one, id(node) in inside) for one in found)


def ours(name, path, files=FILES):
    """Modules of mcutils that a file imports anywhere, functions included."""
    return {one for one, _ in imports(name, path, files) if one.split(".")[0] == "mcutils"}


def test_no_module_imports_itself_by_way_of_others():
    left = {name: ours(name, FILES[name]) & set(MODULES) for name in MODULES}
    while ready := {name for name, needs in left.items() if not needs}:
        left = {name: needs - ready for name, needs in left.items() if name not in ready}
    assert not left, "these import each other in a circle, or something that does"


@pytest.mark.parametrize("name", sorted(FILES))
def test_heavy_packages_wait_inside_functions(name):
    early = {module.split(".")[0] for module, inside in imports(name, FILES[name]) if not inside}
    assert not early & HEAVY


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, mcutils; print(*sorted(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert "mcutils" in loaded
    assert not loaded & (HEAVY - {"tqdm"}), "import mcutils must stay light"
    assert "mcutils.paper" not in done.stdout.split(), "general code needs nothing of the paper's"
