"""Identity of a function: a digest of its code and of all that it reads, equal in every process."""

from __future__ import annotations

import ast
import dis
import hashlib
import inspect
import sys
import sysconfig
import textwrap
import types
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec, resolve_name
from itertools import takewhile
from pathlib import Path
from typing import Any

from .errors import BadInput, shown

PACKAGE = __name__.partition(".")[0]
PLAIN_PACKAGES = ("torch", "numpy", "typing", PACKAGE)


def identity_of(function: Callable[..., Any], options: Mapping[str, Any] | None = None) -> str:
    """A digest of a function's code and of all that it reads: defaults, closure, globals, what it takes of own modules.

    Comments, docstrings and layout do not count. What belongs to another package counts by name. Raises `BadInput` for
    a function that reads something without a stable value, such as an open file or a trained model, or code that cannot
    be seen: scripted by torch, of a module of one's own that is imported inside it or handed on as a whole.
    """
    if not callable(function):
        raise BadInput(f"only a function can be registered, got {shown(function)}.")
    try:
        text = _digest([function, dict(options or {})], function, {})
    except RecursionError:
        raise BadInput(f"{shown(function)} reads something that holds itself: its code has no stable digest.") from None
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _digest(value: Any, owner: Any, seen: dict[int, str]) -> str:
    """A text that is equal for equal values, whatever the process; ``owner`` is the function being registered."""
    if value is None or value is Ellipsis or isinstance(value, (bool, int, float, complex, str, bytes)):
        return f"{type(value).__name__}:{value!r}"
    if id(value) in seen:
        return seen[id(value)]
    inner = partial(_digest, owner=owner, seen=seen)
    found = _of_container(value, inner) or _bytes_of(value)
    if found:
        return found
    who = getattr(owner, "__name__", "what is registered")
    if type(value).__name__ == "ScriptFunction":
        raise BadInput(f"{who} reads a function scripted by torch, whose code is not seen: give what it was made from.")
    if isinstance(value, types.ModuleType):
        if is_users(value.__name__):
            raise BadInput(f"{who} reads the module {value.__name__} as a whole: import by name what it needs of it.")
        return f"module:{value.__name__}"
    if isinstance(value, types.MethodType) and _is_own(type(value.__self__), owner):
        held = value.__self__
        return f"method:{inner([value.__func__, type(held), getattr(held, '__dict__', held)])}"
    if isinstance(value, (types.FunctionType, type)) and _is_own(value, owner):
        seen[id(value)] = f"recursion:{value.__qualname__}"
        seen[id(value)] = _of_class(value, inner) if isinstance(value, type) else _of_function(value, owner, inner)
        return seen[id(value)]
    if hasattr(value, "__wrapped__") and _is_own(value, owner):  # such as by functools.cache
        return f"wrapped:{type(value).__qualname__}:{inner(value.__wrapped__)}"
    if hasattr(value, "__module__") and hasattr(value, "__qualname__"):
        return f"name:{value.__module__}.{value.__qualname__}"
    if type(value).__module__.partition(".")[0] in PLAIN_PACKAGES and not hasattr(value, "__dict__"):
        return f"value:{value!r}"
    raise BadInput(
        f"{who} reads {shown(value, 60)}, a {type(value).__name__} without a stable value, so that its results"
        " could not be told from others: make it a number, a text, an array or an argument."
    )


def _of_container(value: Any, inner: Callable[[Any], str]) -> str:
    """The digest of what only holds other values; empty for anything else."""
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}:[{','.join(map(inner, value))}]"
    if isinstance(value, (set, frozenset)):
        return f"set:[{','.join(sorted(map(inner, value)))}]"
    if isinstance(value, Mapping):
        return f"map:[{','.join(sorted(f'{inner(k)}={inner(v)}' for k, v in value.items()))}]"
    if isinstance(value, partial):
        return f"partial:{inner([value.func, value.args, value.keywords])}"
    if isinstance(value, (staticmethod, classmethod)):
        return inner(value.__func__)
    if isinstance(value, property):
        return f"property:{inner([value.fget, value.fset])}"
    return ""


# What a class holds beside what its body says.
NOT_CODE = set("__dict__ __weakref__ __doc__ __module__ __firstlineno__ __static_attributes__ __annotations__".split())


def _is_own(value: Any, owner: Any) -> bool:
    """Whether a function or class may change under its name: it is of the owner's package, or of no installed one."""
    theirs, ours = (str(getattr(one, "__module__", "")) for one in (value, owner))
    return theirs.partition(".")[0] in (ours.partition(".")[0], "__main__") or is_users(theirs)


def is_users(module: str) -> bool:
    """Whether a module is a file of the user's own: of no installed package, and not of this one."""
    found = sys.modules.get(module)
    try:
        file = getattr(found or find_spec(module.partition(".")[0]), "__file__" if found else "origin", None)
    except (ImportError, ValueError):
        file = None
    if not file or file in ("built-in", "frozen") or module.partition(".")[0] == PACKAGE:
        return False
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return not installed and not any(Path(file).is_relative_to(folder) for folder in folders)


def _of_class(value: type, inner: Callable[[Any], str]) -> str:
    own = {name: held for name, held in vars(value).items() if name not in NOT_CODE}
    return f"class:{value.__qualname__}:{inner([list(value.__bases__), own])}"


def _of_function(function: types.FunctionType, owner: Any, inner: Callable[[Any], str]) -> str:
    read = [*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]
    code, closure, space = function.__code__, dict[str, Any](), function.__globals__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # not yet assigned
            closure[name] = None
    loaded, imported = _loaded_by(code)
    package = str(space.get("__package__") or "")
    inside = (resolve_name("." * level + name, package) if level and package else name for name, level in imported)
    if own := next((name for name in inside if is_users(name)), None):
        who = getattr(owner, "__name__", "what is registered")
        raise BadInput(f"{who} runs code that imports {own} inside a function: import it at the top of the file.")
    globals_ = {path[1] for path in loaded if path[0] == "global" and path[1] in space}
    named = [
        *(("closure", *one) for one in closure.items()),
        *(("global", one, space[one]) for one in sorted(globals_)),
    ]
    for scope, name, value in named:
        if isinstance(value, types.ModuleType) and is_users(value.__name__):
            read += [_followed(value, path[1:]) for path in sorted(loaded) if path[:2] == (scope, name)]
        else:
            read.append((name, value))
    registry = [function.registry] if hasattr(function, "registry") else []  # of a singledispatch
    return f"function:{_code_of(function)}:{inner(read + registry)}"


def _followed(value: Any, path: tuple[str, ...]) -> tuple[str, Any]:
    """What dotted names lead to, as far as they go through modules of the user's own."""
    for place, name in enumerate(path[1:], 2):
        value = getattr(value, name, None)
        if not isinstance(value, types.ModuleType):
            return ".".join(path[:place]), value
    return ".".join(path), value


def _loaded_by(code: types.CodeType) -> tuple[set[tuple[str, ...]], set[tuple[str, int]]]:
    """The names that code loads from its closure or its globals, and attributes taken of them; imports with levels."""
    loaded, imported = set(), set()
    steps = list(dis.get_instructions(code))
    for place, step in enumerate(steps):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"):
            taken = takewhile(lambda one: one.opname in ("LOAD_ATTR", "LOAD_METHOD"), steps[place + 1 :])
            scope = "closure" if step.opname == "LOAD_DEREF" else "global"
            loaded.add((scope, step.argval, *(one.argval for one in taken)))
        if step.opname == "IMPORT_NAME":
            imported.add((step.argval, steps[place - 2].argval))
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            more, others = _loaded_by(one)
            loaded, imported = loaded | more, imported | others
    return loaded, imported


def _code_of(function: types.FunctionType) -> str:
    """A function's own code as text: its source without docstring, decorators and annotations, or else its bytecode."""
    wrapper = hasattr(function, "__wrapped__") and is_users(str(function.__globals__.get("__name__")))
    try:  # a decorator of the user's own is seen by its code, that of a library by what it wraps
        source = inspect.getsource(function.__code__ if wrapper else function)
        tree = ast.parse(textwrap.dedent(source)).body[0]
    except (OSError, TypeError, SyntaxError, IndexError, ValueError):
        tree = None
    if not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return _bytecode(function.__code__)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            if not isinstance(node, ast.ClassDef):
                node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    tree.decorator_list = []
    return ast.unparse(tree)


def _bytecode(code: types.CodeType) -> str:
    """Bytecode and what it names; it differs between versions of Python, so these are named too."""
    constants = [_constant(one) for one in code.co_consts]
    return repr((sys.version_info[:2], code.co_code.hex(), constants, code.co_names, code.co_varnames))


def _constant(value: Any) -> str:
    """A constant as text, a set in an order that is the same in every process."""
    if isinstance(value, types.CodeType):
        return _bytecode(value)
    if isinstance(value, frozenset):
        return f"frozenset({sorted(map(_constant, value))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))}{',' * (len(value) == 1)})"
    return repr(value)


def _bytes_of(value: Any) -> str | None:
    """Digest of an array or tensor that is not a parameter being trained; None for anything else."""
    numpy = getattr(value, "numpy", None)
    if type(value).__module__.partition(".")[0] == "torch" and callable(numpy):
        value = value.detach().cpu().numpy()
    if (
        type(value).__module__ != "numpy"
        or not hasattr(value, "tobytes")
        or str(getattr(value, "dtype", "object")) == "object"
    ):
        return None
    return f"array:{value.dtype.str}:{value.shape}:{hashlib.sha256(value.tobytes()).hexdigest()}"
