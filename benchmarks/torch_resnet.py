"""The yardstick: ResNet-(6n+2) in PyTorch, option A, as the published reproduction defines it."""

import torch
import torch.nn.functional as TF
from torch import nn

from minires.models import CifarResNet


class TorchResNet(nn.Module):
    """n blocks per stage, x (N, 3, H, W); without `residual` the plain net beside it."""

    def __init__(self, n: int, residual: bool = True):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = [16, 32, 64]
        for i, (c, k) in enumerate(zip([16, 16, 32], widths, strict=True), start=1):
            blocks = [
                TorchBlock(c if j == 0 else k, k, 2 if i > 1 > j else 1, residual) for j in range(n)
            ]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    @classmethod
    def like(cls, model: CifarResNet) -> "TorchResNet":
        """The same network, with or without shortcuts, in PyTorch."""
        return cls(len(model.layer1), residual=model.layer1[0].shortcut is not None)

    def forward(self, x):
        x = torch.relu_(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


class TorchBlock(nn.Module):
    """c to k channels."""

    def __init__(self, c: int, k: int, stride: int, residual: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(c, k, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(k)
        self.conv2 = nn.Conv2d(k, k, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(k)
        self.residual, self.stride, self.extra = residual, stride, (k - c) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu_(self.bn1(self.conv1(x)))))
        if not self.residual:
            return torch.relu_(y)
        if self.stride > 1 or self.extra:
            x = x[:, :, :: self.stride, :: self.stride]
            x = TF.pad(x, (0, 0, 0, 0, self.extra, self.extra))
        return torch.relu_(y + x)
