"""Every module imports only from those before it in one list, and `import mcutils` stays light."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mcutils"
ORDER = (
    "errors identity plugins files reading settings engines data own_data models weights objectives edits"
    " optimizers training unlearning curves traces metrics cues connectivity similarity planes extensions specs"
    " profiles forms store upkeep runs conditions study shipped claims walks verdicts experiments planning search"
    " tables condition_tables metric_tables plots condition_plots metric_plots toy sources explorer explorer_plots"
    " widgets bench reproduce commands __main__"
).split()
# Slow to import, or needed by few: imported inside the functions that use them.
HEAVY = set(
    "scipy sklearn torchvision matplotlib pandas dask distributed dask_jobqueue ipywidgets IPython papermill"
    " nbformat tqdm transformers peft".split()
)
FILES = {p.stem: p for p in PACKAGE.glob("*.py")} | {p.parent.name: p for p in PACKAGE.glob("*/__init__.py")}


def imports(path):
    """(module, whether inside a function) of every import statement of a file; one dot is mcutils itself."""
    inside = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        only_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if isinstance(node, ast.FunctionDef) or only_for_types:
            inside |= {id(child) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            full = ".".join(filter(None, ["mcutils" if node.level else "", module]))
            names = [f"{full}.{alias.name}" for alias in node.names] if full == "mcutils" else [full]
        else:
            continue
        yield from ((name, id(node) in inside) for name in names)


def ours(path):
    """Modules of mcutils that a file imports anywhere, functions included."""
    return {name.split(".")[1] for name, _ in imports(path) if name.startswith("mcutils.")}


def test_every_module_has_its_place():
    assert len(set(ORDER)) == len(ORDER)
    assert set(FILES) - {"mcutils", "__init__"} <= set(ORDER)
    assert set(ORDER) <= set(FILES)


@pytest.mark.parametrize("name", sorted(set(FILES) - {"__init__"}))
def test_a_module_imports_only_from_those_before_it(name):
    later = ours(FILES[name]) - set(ORDER[: ORDER.index(name)])
    assert not later, f"{name} imports {', '.join(sorted(later))}, which comes after it"
    assert "mcutils" not in {module for module, _ in imports(FILES[name])}, f"{name} imports the package itself"


@pytest.mark.parametrize("name", sorted(FILES))
def test_heavy_packages_wait_inside_functions(name):
    early = {module.split(".")[0] for module, inside in imports(FILES[name]) if not inside}
    assert not early & HEAVY


def test_the_check_sees_both_forms_and_functions(tmp_path):
    code = "from . import data\nfrom .models import build\nimport mcutils.curves\n"
    code += "def f():\n    from mcutils import study\n"
    (tmp_path / "x.py").write_text(code)
    assert ours(tmp_path / "x.py") == {"data", "models", "curves", "study"}


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, mcutils; print(*sorted(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert "mcutils" in loaded
    assert not loaded & (HEAVY - {"tqdm"}), "import mcutils must stay light"
