"""Layers: Modules with Parameters, under PyTorch's names. Images are (N, H, W, C)."""

from minires.nn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Linear,
    MaxPool2d,
    ReLU,
    ZeroPadShortcut,
)
from minires.nn.module import Module, Parameter, Sequential, evaluating
