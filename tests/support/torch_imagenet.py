"""The ImageNet networks in PyTorch, under torchvision's names, to compare with."""

import torch.nn.functional as TF
from torch import nn

CONVOLUTIONS = {
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
STAGES = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3]}
STAGES[152] = [3, 8, 36, 3]


def conv(c, k, size, stride=1):
    return nn.Conv2d(c, k, size, stride, size // 2, bias=False)


class Block(nn.Module):
    """Basic or bottleneck, c to k channels."""

    def __init__(self, c, k, stride, shortcut="B", bottleneck=False, stride_in_3x3=False):
        super().__init__()
        if bottleneck:
            first, second = (1, stride) if stride_in_3x3 else (stride, 1)
            shapes = [(c, k // 4, 1, first), (k // 4, k // 4, 3, second), (k // 4, k, 1, 1)]
        else:
            shapes = [(c, k, 3, stride), (k, k, 3, 1)]
        for i, shape in enumerate(shapes, start=1):
            setattr(self, f"conv{i}", conv(*shape))
            setattr(self, f"bn{i}", nn.BatchNorm2d(shape[1]))
        changes = stride > 1 or c != k
        if shortcut == "C" or (shortcut == "B" and changes):
            self.downsample = nn.Sequential(conv(c, k, 1, stride), nn.BatchNorm2d(k))
        self.count, self.shortcut, self.stride, self.extra = len(shapes), shortcut, stride, k - c

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = y.relu() if i < self.count else y
        if hasattr(self, "downsample"):
            y = y + self.downsample(x)
        elif self.shortcut != "none":
            low = self.extra // 2
            x = x[:, :, :: self.stride, :: self.stride]
            y = y + TF.pad(x, (0, 0, 0, 0, low, self.extra - low))
        return y.relu()


class ResNet(nn.Module):
    """A ResNet of any depth of the paper's table 1."""

    def __init__(self, depth, classes, shortcut="B", stride_in_3x3=False):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        c, bottleneck = 64, depth >= 50
        for i, count in enumerate(STAGES[depth]):
            k, blocks = 64 * 2**i * (4 if bottleneck else 1), []
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                blocks.append(Block(c, k, stride, shortcut, bottleneck, stride_in_3x3))
                c = k
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        x = TF.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class FeaturesAndClassifier(nn.Module):
    def __init__(self, features, classifier):
        super().__init__()
        self.features, self.classifier = nn.Sequential(*features), nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def vgg(name, classes, side):
    """VGG whose features have side x side pixels."""
    features, c = [], 3
    for word in CONVOLUTIONS[name].split():
        if word == "M":
            features.append(nn.MaxPool2d(2))
        else:
            features += [nn.Conv2d(c, int(word), 3, padding=1), nn.ReLU()]
            c = int(word)
    hidden = [nn.Linear(512 * side**2, 4096), nn.ReLU(), nn.Dropout()]
    hidden += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
    return FeaturesAndClassifier(features, [*hidden, nn.Linear(4096, classes)])


def alexnet(classes, side):
    """AlexNet whose features have side x side pixels."""
    features = []
    shapes = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1)]
    for i, shape in enumerate([*shapes, (256, 256, 3, 1, 1)]):
        features += [nn.Conv2d(*shape), nn.ReLU()]
        features += [nn.MaxPool2d(3, 2)] * (i in (0, 1, 4))
    hidden = [nn.Dropout(), nn.Linear(256 * side**2, 4096), nn.ReLU(), nn.Dropout()]
    hidden += [nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes)]
    return FeaturesAndClassifier(features, hidden)
