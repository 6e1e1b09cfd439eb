"""CONTRIBUTING word by word: one file, or somebody's package, adds a method, a metric and a data set."""

import json
import os
import re
import subprocess
import sys

from shorter import settings_of

from mcutils.files import ROOT

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "my-unlearning"
version = "0.1"
[project.entry-points."mcutils.plugins"]
my = "my_unlearning"
[tool.hatch.build.targets.wheel]
only-include = ["my_unlearning.py"]
"""
STUDY = """
import sys, mcutils as mc
from mcutils.cli.main import main
from mcutils.engine.planning import plan

for kind in ("methods", "metrics", "datasets"):
    main(["list", kind, "--json"])
    print("listed")
sizes = dict(train_size=200, test_size=60, seeds=(1, 2), points=3)
study = mc.study("smoke", "store", fresh=True, dataset="{dataset}", **sizes)
a, b = study.grid(method=["{method}"], seed=[1, 2])
path = study.profile(study.path(a, b), retrained=[1])
specs = [path, study.metric("{metric}", path)]
print("to compute", sum(row["to compute"] for row in plan(specs, study.store)))
found = study.run(specs, engine=sys.argv[1], workers=2)
print("values", found[1]["values"].round(6).tolist())
assert mc.explore(study, path) is not None
print("left", sum(row["to compute"] for row in plan(specs, study.store)))
"""
SHORTER = {"default": [(r"^steps = \d+$", "steps = 100")]}  # for what nobody has tuned


def ran(*asked, cwd, **extra):
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("MCUTILS")}, **extra}
    done = subprocess.run([sys.executable, *map(str, asked)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def values_of(folder, names, engine, **extra):
    """All three show in `list`; a study of them is planned, run and explored: what the metric found."""
    folder.mkdir(exist_ok=True)
    (folder / "study.py").write_text(STUDY.format(**names))
    done = ran("study.py", engine, cwd=folder, **extra)
    *listed, said = done.stdout.split("\nlisted\n")
    for kind, text in zip(("method", "metric", "dataset"), listed, strict=True):
        (row,) = [row for row in json.loads(text) if row["name"] == names[kind]]
        assert len(row["about"]) > 10
    assert re.search(r"to compute [1-9]", said) and "left 0\n" in said and "untuned" in done.stderr
    return re.search(r"values (.*)", said)[1]


def test_contributing_followed_word_by_word_as_a_file_and_as_an_installed_package(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    ((name, code),) = re.findall(r"```python\n# (my_[a-z]+\.py)\n(.*?)```", text, flags=re.DOTALL)
    assert f"MCUTILS_PLUGINS={name}" in text and name == "my_unlearning.py"
    source, site, shorter = tmp_path / "source", tmp_path / "site", settings_of(tmp_path, SHORTER)
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    for folder in (source, tmp_path):
        (folder / name).write_text(code)
    pip = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", site, source]
    ran(*pip, cwd=tmp_path)
    names = dict(re.findall(r'@mc\.register\("(method|metric|dataset)"[^)]*\)\ndef (\w+)', code))
    file = values_of(tmp_path, names, "serial", MCUTILS_PLUGINS=f"{name},{shorter}", PYTHONPATH=str(ROOT))
    path = f"{site}{os.pathsep}{ROOT}"
    package = values_of(tmp_path / "work", names, "local", MCUTILS_PLUGINS=str(shorter), PYTHONPATH=path)
    assert file == package


def test_a_plugin_that_cannot_be_loaded_is_one_sentence(tmp_path):
    (tmp_path / "broken.py").write_text("raise ValueError('its own mistake')")
    asked = ["nowhere.py", "no_such_module", "broken.py"]
    said = ran("-c", "import mcutils", cwd=tmp_path, MCUTILS_PLUGINS=",".join(asked), PYTHONPATH=str(ROOT)).stderr
    assert said.count("\n") == 3 and "Traceback" not in said
    assert all(f"the plugin {one} is left out" in said for one in asked)
