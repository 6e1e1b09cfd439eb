"""A runnable companion to "Understanding Machine Unlearning Through the Lens of Mode Connectivity" (Cheng & Amiri).

The names of `__init__.pyi` are imported when they are first used, so that ``mc.results`` needs no torch.
"""

import sys

# With -m the working folder comes first, where a file json.py would stand for Python's.
if sys.argv[:1] == ["-m"] and not getattr(sys.flags, "safe_path", False):
    sys.path.append(sys.path.pop(0))

import lazy_loader

from .plugins import load_plugins

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"

load_plugins()
