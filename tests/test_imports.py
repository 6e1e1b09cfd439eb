"""Each wing imports only from wings to its left, and `import mcutils` stays light."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mcutils"
# From left to right. The core is what stands at the top of the package, and three folders.
WINGS = {"core": 0, "measures": 1, "engine": 2, "paper": 3, "explorer": 3, "teaching": 4, "cli": 5}
CORE = ("settings", "data", "models", "unlearning")
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


@cache
def imports(name, path):
    """(module, whether inside a function) of every import statement; names that are modules are followed to them."""
    found, inside, tree = [], set(), ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        only_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or only_for_types:
            inside |= {id(child) for child in ast.walk(node)}
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            full = ".".join([*above, *filter(None, [node.module])])
            names = [f"{full}.{a.name}" if f"{full}.{a.name}" in FILES else full for a in node.names]
            found += [(one, id(node) in inside) for one in names]
    return found


def wing(name):
    """The wing of a module, or None of the package itself."""
    parts = name.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return None
    return "core" if len(parts) == 2 and parts[1] not in WINGS or parts[1] in CORE else parts[1]


def ours(name, path):
    """Modules of mcutils that a file imports anywhere, functions included."""
    return {one for one, _ in imports(name, path) if one.split(".")[0] == "mcutils"}


def test_every_folder_is_a_wing_or_of_the_core():
    folders = {path.name for path in PACKAGE.iterdir() if list(path.glob("*.py"))}
    assert folders == (set(WINGS) | set(CORE)) - {"core"}
    assert all((PACKAGE / folder / "__init__.py").is_file() for folder in folders)


@pytest.mark.parametrize("name", MODULES)
def test_a_wing_imports_only_from_those_to_its_left(name):
    here, seen = wing(name), ours(name, FILES[name])
    wrong = {m for m in seen if wing(m) != here and (wing(m) is None or WINGS[wing(m)] >= WINGS[here])}
    assert not wrong, f"{name} of {here} imports {', '.join(sorted(wrong))}"


def test_nobody_but_the_command_line_knows_the_paper():
    known = {name for name in FILES for m in ours(name, FILES[name]) if wing(m) == "paper" and wing(name) != "paper"}
    assert known and {wing(name) for name in known} == {"cli"}


def test_no_module_imports_itself_by_way_of_others():
    left = {name: ours(name, FILES[name]) & set(MODULES) for name in MODULES}
    while ready := {name for name, needs in left.items() if not needs}:
        left = {name: needs - ready for name, needs in left.items() if name not in ready}
    assert not left, "these import each other in a circle, or something that does"


@pytest.mark.parametrize("name", sorted(FILES))
def test_heavy_packages_wait_inside_functions(name):
    early = {module.split(".")[0] for module, inside in imports(name, FILES[name]) if not inside}
    assert not early & HEAVY


def test_the_check_sees_all_forms_and_functions(tmp_path):
    code = (
        "from . import tables\nfrom .walks import Walk\nfrom .. import weights\nfrom ..measures import metrics as m\n"
    )
    code += "import mcutils.curves\ndef f():\n    from mcutils import study\n    from ..engine.store import Store\n"
    (tmp_path / "x.py").write_text(code)
    found = {"paper.tables", "paper.walks", "weights", "measures.metrics", "curves", "engine.store"}
    assert ours("mcutils.paper.x", tmp_path / "x.py") == {"mcutils"} | {f"mcutils.{one}" for one in found}


def test_importing_loads_nothing_heavy_and_a_shipped_table_no_torch():
    """And modules stand beside the functions of their names."""
    code = "import sys, mcutils as mc; print(*sys.modules); mc.results('paths'); print(*sys.modules)\n"
    code += "import mcutils.measures.connectivity as a, mcutils.engine.study as b\n"
    code += "assert mc.connectivity is a.connectivity and mc.study is b.study"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    first, second = map(str.split, done.stdout.splitlines())
    loaded = {module.split(".")[0] for module in first}
    assert "mcutils" in loaded and not loaded & (HEAVY | {"torch"}), "import mcutils must stay light"
    assert "mcutils.paper" not in first, "general code needs nothing of the paper's"
    assert "pandas" in second and "torch" not in second
