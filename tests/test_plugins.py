"""Registration: what is registered joins its table, has an identity, and names are taken once."""

import importlib.metadata

import pytest

from mcutils import plugins
from mcutils.errors import BadInput


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
