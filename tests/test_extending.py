"""Somebody else's package, and CONTRIBUTING word by word: one file each adds a method, a metric and a data set."""

import json
import os
import re
import subprocess
import sys

import pytest
from shorter import settings_of

from mcutils.files import ROOT

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tiny-unlearning"
version = "0.1"
[project.entry-points."mcutils.plugins"]
tiny = "tiny_unlearning"
[tool.hatch.build.targets.wheel]
only-include = ["tiny_unlearning.py"]
"""
MODULE = '''
"""A method, a metric and a data set of one's own."""
import numpy as np
import mcutils as mc
from mcutils.objectives import Term, cross_entropy


@mc.register("method", uses="both")
def tiny_push(net, step, *, push=0.1):
    """Retain loss minus a little forget loss."""
    retain = cross_entropy(net(step.retain.x), step.retain.y)
    return Term(1.0, retain), Term(-push, cross_entropy(net(step.forget.x), step.forget.y))


@mc.register("metric", direction="retrained", splits="forget", unit="fraction")
def tiny_surprise(trace, *, references):
    """Share of forget examples that are wrong."""
    return (trace.logits["forget"].argmax(-1) != trace.labels["forget"]).mean(axis=1)


@mc.register("dataset")
def tiny_squares():
    """Images of 6 x 6 with a bright corner, which is the class."""
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 6, 6)).astype("float32"), np.arange(300) % 4
    for k, corner in enumerate([(0, 0), (0, 5), (5, 0), (5, 5)]):
        x[y == k, corner[0], corner[1]] += 2
    return x, y
'''
STUDY = """
import sys, mcutils as mc
from mcutils.cli.main import main
from mcutils.engine.planning import plan

for kind in ("methods", "metrics", "datasets"):
    main(["list", kind, "--json"])
    print("listed")
for engine in sys.argv[1:]:
    sizes = dict(train_size=200, test_size=60, seeds=(1, 2), points=3)
    study = mc.study("smoke", engine, fresh=True, dataset="{dataset}", **sizes)
    a, b = study.grid(method=["{method}"], seed=[1, 2])
    path = study.profile(study.path(a, b), retrained=[1])
    specs = [path, study.metric("{metric}", path)]
    print("to compute", sum(row["to compute"] for row in plan(specs, study.store)))
    found = study.run(specs, engine=engine, workers=2)
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


def check(folder, names, extra, engines=("serial", "local")):
    """All three show in `list`; a study of them is planned, run by the engines alike, and explored."""
    (folder / "study.py").write_text(STUDY.format(**names))
    done = ran("study.py", *engines, cwd=folder, **extra)
    listed, said = done.stdout.split("\nlisted\n")[:-1], done.stdout.split("\nlisted\n")[-1]
    for kind, text in zip(("method", "metric", "dataset"), listed, strict=True):
        (row,) = [row for row in json.loads(text) if row["name"] == names[kind]]
        assert len(row["about"]) > 10
    values = re.findall(r"values (.*)", said)
    assert len(values) == len(engines) and len(set(values)) == 1
    assert len(re.findall(r"to compute [1-9]", said)) == said.count("left 0\n") == len(engines)
    assert "untuned" in done.stderr


def test_an_installed_package_adds_a_method_a_metric_and_a_data_set(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "tiny_unlearning.py").write_text(MODULE)
    site = tmp_path / "site"
    pip = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", site, source]
    ran(*pip, cwd=tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    names = {"method": "tiny_push", "metric": "tiny_surprise", "dataset": "tiny_squares"}
    shorter = settings_of(tmp_path, SHORTER)
    check(work, names, {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "MCUTILS_PLUGINS": str(shorter)})


def test_contributing_followed_word_by_word(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n# (my_[a-z]+\.py)\n(.*?)```", text, flags=re.DOTALL)
    (tmp_path / code[0]).write_text(code[1])
    assert f"MCUTILS_PLUGINS={code[0]}" in text
    found = dict(re.findall(r'@mc\.register\("(method|metric|dataset)"[^)]*\)\ndef (\w+)', code[1]))
    plugins = f"{code[0]},{settings_of(tmp_path, SHORTER)}"
    check(tmp_path, found, {"MCUTILS_PLUGINS": plugins, "PYTHONPATH": str(ROOT)}, ["serial"])


@pytest.mark.parametrize("asked", ["nowhere.py", "no_such_module", "broken.py"])
def test_a_plugin_that_cannot_be_loaded_is_one_sentence(tmp_path, asked):
    (tmp_path / "broken.py").write_text("raise ValueError('its own mistake')")
    said = ran("-c", "import mcutils", cwd=tmp_path, MCUTILS_PLUGINS=asked, PYTHONPATH=str(ROOT)).stderr
    assert f"the plugin {asked} is left out" in said and "Traceback" not in said
