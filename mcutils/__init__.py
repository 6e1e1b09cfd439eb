"""A runnable companion to "Understanding Machine Unlearning Through the Lens of Mode Connectivity" (Cheng & Amiri).

The names of `__init__.pyi` are imported when they are first used, so that ``mc.results`` needs no torch.
"""

import lazy_loader

from .plugins import load_plugins

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"

load_plugins()
