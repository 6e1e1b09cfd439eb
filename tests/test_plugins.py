"""Registration: what is registered joins its table, has an identity, and names are taken once."""

import importlib.metadata
import json
import os
import subprocess
import sys

import pytest

from mcutils import plugins
from mcutils.cli import main as cli
from mcutils.errors import BadInput
from mcutils.files import ROOT


@pytest.fixture
def table(monkeypatch):
    """A kind of its own, whose rows are (name, function, options)."""
    monkeypatch.setattr(plugins, "KINDS", {})
    monkeypatch.setattr(plugins, "REGISTERED", {})

    def entry(name, function, *, colour="red"):
        return name, function, colour

    return plugins.kind("fruit", {"fig": "the package's own"}, entry, "x").table


def test_a_registered_function_is_returned_as_it_was_and_stands_in_the_table(table):
    @plugins.register("fruit", colour="green")
    def pear(x):
        return x

    assert table["pear"] == ("pear", pear, "green") and pear(3) == 3
    found = plugins.identity("fruit", "pear")
    assert found["name"].endswith("pear") and found["version"] == 1 and found["module"] == __name__
    assert plugins.identity("fruit", "fig") is None


def test_ones_own_name_may_be_registered_again_and_then_is_another_identity(table):
    def first(x):
        return x

    def second(x):
        return -x

    identities = []
    for function, version in ((first, 1), (first, 1), (second, 1), (second, 2)):
        plugins.register("fruit", "pear", version=version)(function)
        identities.append(plugins.identity("fruit", "pear"))
        assert table["pear"][1] is function
    assert identities[0] == identities[1] and len({str(one) for one in identities}) == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"what": "animal"}, "unknown kind of thing to register 'animal': choose one of fruit"),
        ({"what": ["fruit"]}, "unknown kind of thing"),
        ({"name": "fig"}, "the fruit 'fig' exists already"),
        ({"name": "two words"}, "a word of letters"),
        ({"name": 3}, "a word of letters"),
        ({"version": 0}, "version must be a whole number"),
        ({"version": True}, "version must be a whole number"),
        ({"taste": "sweet"}, "cannot be registered: .*taste"),
    ],
)
def test_what_cannot_be_registered_is_refused_and_leaves_nothing(table, given, words):
    before = dict(table)
    with pytest.raises(BadInput, match=words):
        plugins.register(**{"what": "fruit", "name": "pear", **given})(lambda x: x)
    assert table == before and not plugins.REGISTERED


def test_a_worker_adopts_what_its_driver_registered(table):
    plugins.register("fruit", "pear")(lambda x: x)
    sent = list(plugins.REGISTERED.values())
    plugins.forget("fruit", "pear")
    assert "pear" not in table
    plugins.adopt(sent)
    assert table["pear"][0] == "pear" and plugins.identity("fruit", "pear") == dict(sent[0].identity)


def test_only_what_was_registered_can_be_forgotten(table):
    with pytest.raises(BadInput, match="no fruit named 'fig' has been registered"):
        plugins.forget("fruit", "fig")
    assert "fig" in table


def test_a_plugin_that_fails_is_left_out_with_a_sentence(table, monkeypatch, capsys):
    class Point:
        def __init__(self, name, load):
            self.name, self.value, self.load = name, f"{name}.module", load

    def broken():
        raise ZeroDivisionError("its own mistake")

    def sound():
        plugins.register("fruit", "pear")(lambda x: x)

    points = [Point("b", sound), Point("a", broken)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "mcutils.plugins" else [])
    plugins.load_plugins()
    said = capsys.readouterr().err
    assert "plugin a (a.module) is left out" in said and "its own mistake" in said and "pear" in table


def listed(folder, code):
    """A list as JSON, asked for in a folder with one plugin, ``own.py`` of this code."""
    (folder / "own.py").write_text(code)
    environment = {**os.environ, "MCUTILS_PLUGINS": "own.py", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mcutils", "list", "curricula", "--json"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["json", "this", "numpy", "pandas", "mcutils", "__main__", "os.path", "numpy.mine"])
def test_a_plugin_never_takes_the_place_of_an_installed_module(tmp_path, monkeypatch, capsys, name):
    (tmp_path / f"{name}.py").write_text("raise ZeroDivisionError")
    before = dict(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCUTILS_PLUGINS", f"./{name}.py")
    plugins.load_plugins()
    said = capsys.readouterr().err
    assert f"the plugin ./{name}.py is left out" in said and "has the name of an installed module: rename it." in said
    assert said.count("\n") == 1 and {k: v for k, v in sys.modules.items() if k in before} == before


def test_files_of_the_working_folder_take_no_module_s_place_and_are_found_by_name(tmp_path):
    for name in ("json", "torch"):
        (tmp_path / f"{name}.py").write_text("raise ZeroDivisionError")
    (tmp_path / "mine_here.py").write_text(PRINTING)
    environment = {**os.environ, "MCUTILS_PLUGINS": "mine_here", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mcutils", "list", "curricula", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "loud" in {row["name"] for row in json.loads(done.stdout)}, done.stderr


def test_a_file_of_ones_own_keeps_its_name(tmp_path, monkeypatch):
    (tmp_path / "mine_alone.py").write_text("a = 1")
    monkeypatch.syspath_prepend(str(tmp_path))  # as python -m does with the working folder
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    first = plugins.load_module(str(tmp_path / "mine_alone.py"))
    assert first.__name__ == "mine_alone" and plugins.load_module(str(tmp_path / "mine_alone.py")) is first


@pytest.mark.parametrize("code", ["7", "None", "'done'"])
def test_a_plugin_that_ends_the_program_is_bad_input(tmp_path, code):
    done = listed(tmp_path, f"import sys\nsys.exit({code})")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == f"mcutils: the plugin own.py ends the program by sys.exit({code}).\n"


def test_what_is_registered_and_ends_a_command_is_named(monkeypatch, capsys):
    def ended():
        print("on the way out")
        sys.exit(7)

    one = plugins.Registration("dataset", "ended", ended, (), ())
    monkeypatch.setitem(plugins.REGISTERED, ("dataset", "ended"), one)
    monkeypatch.setattr(cli, "catalogue", lambda kind: ended())
    assert cli.main(["list", "curricula", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("on the way out\nmcutils: the dataset 'ended' of ")
    assert said.err.endswith("ended the program by sys.exit(7).\n")


PRINTING = """
import mcutils as mc
print("printed by the plugin")

@mc.register("curriculum")
def loud(losses, state):
    return losses
"""


def test_what_a_plugin_prints_leaves_json_as_it_is(tmp_path):
    done = listed(tmp_path, PRINTING)
    assert done.returncode == 0 and "loud" in {row["name"] for row in json.loads(done.stdout)}
    assert done.stderr == "printed by the plugin\n"


def test_what_is_printed_while_a_command_runs_leaves_json_as_it_is(monkeypatch, capsys):
    def told(kind):
        print(f"printed by one of the {kind}")
        return [{"name": "é", "about": ""}]

    monkeypatch.setattr(cli, "catalogue", told)
    assert cli.main(["list", "curricula", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == told("") and said.err == "printed by one of the curricula\n"
