"""minires: a deep-learning engine written from scratch to be read.

>>> import minires as mr
>>> from minires import Tensor, functional as F, models, optim
"""

from minires import startup  # isort: skip  # first of all: the rest takes a while
from minires import rooms  # isort: skip  # first: the others need a whole house

from minires import backend
from minires.backend import BackendUnavailable, seed, use
from minires.comparing import (
    allclose,
    argsort,
    equal,
    floor_divide,
    isfinite,
    isinf,
    isnan,
    masked_select,
    maximum,
    minimum,
    nonzero,
    remainder,
    sort,
    topk,
    tril,
    triu,
)
from minires.creation import (
    arange,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    zeros,
    zeros_like,
)
from minires.shaping import (
    cat,
    chunk,
    einsum,
    flip,
    gather,
    movedim,
    split,
    squeeze,
    stack,
    take,
    unsqueeze,
    where,
)
from minires.statistics import (
    argmax,
    argmin,
    clip,
    cumsum,
    log_softmax,
    logsumexp,
    norm,
    softmax,
    std,
    var,
)
from minires.tensor import Tensor, no_grad, tensor
from minires.watchers import detect_anomaly, watch

from minires import functional, methods, models, nn, optim  # isort: skip

concatenate, clamp, manual_seed = cat, clip, seed

__version__ = "0.1.0"
