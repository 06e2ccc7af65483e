"""minires: a deep-learning engine written from scratch to be read.

>>> import minires as mr
>>> from minires import Tensor, functional as F, models, optim
"""

from minires import rooms  # isort: skip  # first: the others need a whole house

from minires import backend
from minires.backend import BackendUnavailable, seed, use
from minires.tensor import Tensor, no_grad, tensor
from minires.watchers import detect_anomaly, watch

from minires import functional, models, nn, optim  # isort: skip

__version__ = "0.1.0"
