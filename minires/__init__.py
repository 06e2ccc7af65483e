"""minires: a deep-learning engine written from scratch to be read.

>>> import minires as mr
>>> from minires import Tensor, functional as F, models, optim
"""

from minires import startup  # isort: skip  # first of all: the rest takes a while
from minires import rooms  # isort: skip  # first: the others need a whole house

import builtins

import numpy as np

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
from minires.contraction import einsum
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
from minires.files import load, save
from minires.function import Function
from minires.hints import asked_in
from minires.recording import is_recording
from minires.shaping import (
    cat,
    chunk,
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
from minires.tensor import Tensor, as_tensor, enable_grad, no_grad, tensor
from minires.watchers import detect_anomaly, watch

from minires import functional, methods, models, nn, optim  # isort: skip

concatenate = concat = cat
clamp, manual_seed, inference_mode, is_grad_enabled = clip, seed, no_grad, is_recording
globals().update(methods.free())

float16, float32, float64 = np.float16, np.float32, np.float64
int8, int16, int32, int64, uint8 = np.int8, np.int16, np.int32, np.int64, np.uint8
float, double, half, long, int, bool = (  # PyTorch's names of dtypes, under `mr.` alone
    np.float32,
    np.float64,
    np.float16,
    np.int64,
    np.int32,
    np.bool_,
)
inf, nan, pi, e = np.inf, np.nan, np.pi, np.e

__version__ = "0.1.0"

__all__ = [name for name in globals() if not name.startswith("_") and name not in vars(builtins)]
__getattr__ = asked_in("minires")
