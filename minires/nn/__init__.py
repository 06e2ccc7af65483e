"""Layers: Modules with Parameters, under PyTorch's names. Images are (N, H, W, C)."""

from minires import functional
from minires.hints import asked_in
from minires.nn import init, utils
from minires.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from minires.nn.functions import (
    ELU,
    GELU,
    SELU,
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    FunctionModule,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    MSELoss,
    NLLLoss,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    SmoothL1Loss,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Tanhshrink,
)
from minires.nn.layers import (
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    Linear,
    Unflatten,
    ZeroPadShortcut,
)
from minires.nn.module import Module, Parameter, evaluating
from minires.nn.norms import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
)
from minires.nn.pooling import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    MaxPool2d,
)

__getattr__ = asked_in("nn")
