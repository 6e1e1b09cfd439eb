"""A runnable companion to "Understanding Machine Unlearning Through the Lens of Mode Connectivity" (Cheng & Amiri)."""

from .curves import Curve, fit_curve, line
from .data.own import task
from .data.tasks import Task, load_task
from .engine import extensions as extensions
from .engine.shipped import load
from .engine.study import study
from .engine.tables import results
from .errors import BadInput
from .explorer.widget import explore
from .measures.connectivity import connectivity
from .measures.metrics import measure
from .plugins import load_plugins, register
from .traces import Trace, trace
from .training import train
from .trajectories import trajectory
from .unlearning.endpoints import Endpoint, retrain, unlearn
from .weights import Weights, weights_of

__all__ = [
    "BadInput",
    "Curve",
    "Endpoint",
    "Task",
    "Trace",
    "Weights",
    "connectivity",
    "explore",
    "fit_curve",
    "line",
    "load",
    "load_task",
    "measure",
    "register",
    "results",
    "retrain",
    "study",
    "task",
    "trace",
    "train",
    "trajectory",
    "unlearn",
    "weights_of",
]
__version__ = "0.1.0"

load_plugins()
