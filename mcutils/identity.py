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
from pathlib import Path
from typing import Any

from .errors import BadInput, shown

PACKAGE = __name__.partition(".")[0]
PLAIN_PACKAGES = ("torch", "numpy", "typing", PACKAGE)


def identity_of(function: Callable[..., Any], options: Mapping[str, Any] | None = None) -> str:
    """A digest of a function's code and of all that it reads: defaults, closure, globals, functions of its own module.

    Comments, docstrings and layout do not count. What belongs to another package counts by name. Raises `BadInput` for
    a function that reads something without a stable value, such as an open file or a trained model.
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
    if isinstance(value, (types.FunctionType, type)) and _is_own(value, owner):
        seen[id(value)] = f"recursion:{value.__qualname__}"
        seen[id(value)] = _of_class(value, inner) if isinstance(value, type) else _of_function(value, inner)
        return seen[id(value)]
    if hasattr(value, "__module__") and hasattr(value, "__qualname__"):
        return f"name:{value.__module__}.{value.__qualname__}"
    if type(value).__module__.partition(".")[0] in PLAIN_PACKAGES and not hasattr(value, "__dict__"):
        return f"value:{value!r}"
    who = getattr(owner, "__name__", "what is registered")
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
    if isinstance(value, types.ModuleType):
        return f"module:{value.__name__}"
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
    if theirs.partition(".")[0] in (ours.partition(".")[0], "__main__"):
        return True
    file = getattr(sys.modules.get(theirs), "__file__", None)
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    own = theirs.partition(".")[0] == PACKAGE
    return file is not None and not own and not any(Path(file).is_relative_to(folder) for folder in installed)


def _of_class(value: type, inner: Callable[[Any], str]) -> str:
    own = {name: held for name, held in vars(value).items() if name not in NOT_CODE}
    return f"class:{value.__qualname__}:{inner([list(value.__bases__), own])}"


def _of_function(function: types.FunctionType, inner: Callable[[Any], str]) -> str:
    read = [*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            read.append((name, cell.cell_contents))
        except ValueError:  # not yet assigned
            read.append((name, None))
    read += [(name, function.__globals__[name]) for name in sorted(_globals_of(code)) if name in function.__globals__]
    return f"function:{_code_of(function)}:{inner(read)}"


def _globals_of(code: types.CodeType) -> set[str]:
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            found |= _globals_of(one)
    return found


def _code_of(function: types.FunctionType) -> str:
    """A function's own code as text: its source without docstring, decorators and annotations, or else its bytecode."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
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
    constants = [_bytecode(one) if isinstance(one, types.CodeType) else repr(one) for one in code.co_consts]
    return repr((sys.version_info[:2], code.co_code.hex(), constants, code.co_names, code.co_varnames))


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
