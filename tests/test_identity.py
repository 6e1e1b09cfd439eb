"""The digest of a function is equal for equal code, in every process, and differs with all that it reads."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.identity import identity_of


def made(tmp_path, text, name="f", **environment):
    """A function of a user's own file; each call is a file of its own, as in a rewritten module."""
    path = tmp_path / f"user_{len(list(tmp_path.iterdir()))}.py"
    path.write_text(textwrap.dedent(text))
    space = {"__name__": "user_module", **environment}
    exec(compile(path.read_text(), str(path), "exec"), space)
    return space[name]


BASE = "def f(x):\n    return 2 * x\n"


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ("# a comment\n\n\ndef f(x):\n    return 2 * x\n", True),
        ('def f(x):\n    """What it does."""\n    return 2*x  # twice\n', True),
        ("def f(x: float) -> float:\n    return 2 * x\n", True),
        ("def f(x):\n    return 3 * x\n", False),
        ("def f(x):\n    return 2 + x\n", False),
        ("def f(x, y=1):\n    return 2 * x\n", False),
        ("def f(x):\n    y = 2 * x\n    return y\n", False),
    ],
)
def test_other_code_counts_and_comments_docstrings_layout_and_types_do_not(tmp_path, other, equal):
    assert (identity_of(made(tmp_path, BASE)) == identity_of(made(tmp_path, other))) is equal


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("def f(x, *, k=K):\n    return x", {"K": 1}, {"K": 2}),
        ("def f(x):\n    return x + K", {"K": 1}, {"K": 1.0}),
        ("def f(x):\n    return x + K", {"K": 1}, {"K": True}),
        ("def f(x):\n    return x + K[0]", {"K": [1, 2]}, {"K": [1, 3]}),
        ("def f(x):\n    return x + K", {"K": np.ones(3)}, {"K": np.zeros(3)}),
        ("def f(x):\n    return x + K", {"K": torch.ones(3)}, {"K": torch.ones(3, 1)}),
        ("def f(x):\n    return K(x)", {"K": torch.relu}, {"K": torch.sigmoid}),
        ("def f(x):\n    return [K for _ in range(3)]", {"K": "a"}, {"K": "b"}),
        ("def outer(k):\n    def g(x):\n        return x + k\n    return g\nf = outer(K)", {"K": 1}, {"K": 2}),
        ("def g(x):\n    return x + K\ndef f(x):\n    return g(x)", {"K": 1}, {"K": 2}),
        ("class C:\n    k = K\ndef f(x):\n    return C.k", {"K": 1}, {"K": 2}),
        ("from functools import partial\ndef g(x, k):\n    return k\nf = partial(g, k=K)", {"K": 1}, {"K": 2}),
        ("f = (lambda k: lambda x: x + k)(K)", {"K": 1}, {"K": 2}),
    ],
)
def test_all_that_a_function_reads_counts(tmp_path, text, first, second):
    again = identity_of(made(tmp_path, text, **first))
    assert identity_of(made(tmp_path, text, **first)) == again
    assert identity_of(made(tmp_path, text, **second)) != again


def test_a_helper_in_another_file_of_ones_own_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for value in (1, 2):
        (tmp_path / f"helper_{value}.py").write_text(f"def g(x):\n    return x + {value}\n")
        helper = __import__(f"helper_{value}").g
        helper.__qualname__ = "g"
        found.append(identity_of(made(tmp_path, "def f(x):\n    return g(x)", g=helper)))
    assert found[0] != found[1]


DECORATOR = """
import functools
def adding(h):
    @functools.wraps(h)
    def wrapper(x):
        return h(x) + {}
    return wrapper
"""
# A user's function, and a helper module of which one number changes.
HELPED = {
    "a function of a module": ("import helper\ndef f(x): return helper.g(x)", "def g(x): return x + {}"),
    "a constant of a module": ("import helper\ndef f(x): return x + helper.K", "K = {}"),
    "a helper that is kept": (
        "from helper import g\ndef f(x): return g(x)",
        "import functools\n@functools.cache\ndef g(x): return x + {}",
    ),
    "a decorator": ("from helper import adding\n@adding\ndef f(x): return x", DECORATOR),
    "a decorated helper": ("from helper import g\ndef f(x): return g(x)", DECORATOR + "@adding\ndef g(x): return x"),
    "a bound method": (
        "from helper import A\nf = A().f",
        "class A:\n    def __init__(self): self.k = {}\n    def f(self, x): return x + self.k",
    ),
    "a dispatched helper": (
        "from helper import g\ndef f(x): return g(x)",
        "import functools\n@functools.singledispatch\ndef g(x): return x\n@g.register\ndef _(x: int): return x + {}",
    ),
}


def helped(folder, monkeypatch, user, helper):
    """The function f of a user's module beside a module ``helper``, both read anew."""
    folder.mkdir()
    (folder / "helper.py").write_text(helper)
    (folder / "user.py").write_text(user)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("helper", "user"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        return __import__("user").f
    finally:
        sys.modules.pop("user", None)


@pytest.mark.parametrize(("user", "helper"), HELPED.values(), ids=HELPED)
def test_what_is_taken_of_ones_own_modules_counts(tmp_path, monkeypatch, user, helper):
    texts = [helper.format(1), helper.format(1) + "  # the same\n", helper.format(2)]
    found = [identity_of(helped(tmp_path / str(k), monkeypatch, user, text)) for k, text in enumerate(texts)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("user", "helper", "said"),
    [
        ("def f(x):\n    from helper import g\n    return g(x)", "def g(x): return x", "imports helper inside"),
        ("import helper\ndef f(x): return vars(helper)", "K = 1", "helper as a whole"),
        (
            "from helper import g\ndef f(x): return g(x)",
            "import torch\n@torch.jit.script\ndef g(x: torch.Tensor): return x",
            "scripted by torch",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_code_that_cannot_be_seen_is_refused_in_a_sentence(tmp_path, monkeypatch, user, helper, said):
    with pytest.raises(BadInput, match=said):
        identity_of(helped(tmp_path / "own", monkeypatch, user, helper))


RING: list = []
RING.append(RING)
UNSTABLE = (object(), torch.nn.Linear(1, 1), (n for n in range(3)), [object()])


@pytest.mark.parametrize(
    ("value", "said"), [*((one, "without a stable value") for one in UNSTABLE), (RING, "holds itself")]
)
def test_what_has_no_stable_value_or_is_no_function_is_refused_in_a_sentence(tmp_path, value, said):
    with pytest.raises(BadInput, match=said):
        identity_of(made(tmp_path, "def f(x):\n    return K", K=value))
    with pytest.raises(BadInput, match="only a function"):
        identity_of(3)


def test_functions_that_call_each_other_or_themselves_end(tmp_path):
    text = "def f(x):\n    return g(x)\ndef g(x):\n    return f(x) if x else {}\n"
    first, second = (identity_of(made(tmp_path, text.format(k))) for k in (1, 2))
    assert first != second


def test_another_process_finds_the_same(tmp_path):
    own = "SET = {'a', 'b', 'c'}\ndef f(x, *, k=0.5):\n    return x in SET, k\ng = lambda x: x in {'a', 'b', 'c'}\n"
    (tmp_path / "own.py").write_text(own)
    code = "import own; from mcutils.identity import identity_of; print(identity_of(own.f), identity_of(own.g))"
    found = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        found.append(done.stdout)
    assert found[0] == found[1] != "", done.stderr


@settings(deadline=None, max_examples=25)
@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers())))
def test_options_count(value):
    def f(x):
        return x

    assert identity_of(f, {"k": value}) == identity_of(f, {"k": value})
    assert identity_of(f, {"k": value}) != identity_of(f, {"k": [value]})
