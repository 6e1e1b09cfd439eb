from .curves import Curve as Curve, fit_curve as fit_curve, line as line
from .data.own import task as task
from .data.tasks import Task as Task, load_task as load_task
from .engine.extensions import register as register
from .engine.results import results as results
from .engine.shipped import load as load
from .engine.study import study as study
from .errors import BadInput as BadInput
from .explorer.widget import explore as explore
from .measures.connectivity import connectivity as connectivity
from .measures.metrics import measure as measure
from .traces import Trace as Trace, trace as trace
from .training import train as train
from .trajectories import trajectory as trajectory
from .unlearning.endpoints import Endpoint as Endpoint, retrain as retrain, unlearn as unlearn
from .weights import Weights as Weights, weights_of as weights_of

__version__: str
