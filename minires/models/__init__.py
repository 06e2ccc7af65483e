"""The networks, by name."""

from minires.models.cifar import (
    BasicBlock,
    CifarResNet,
    build,
    parse_name,
    plain20,
    plain32,
    plain44,
    plain56,
    plain110,
    resnet8,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
    resnet1202,
)
