"""minires info: what works here, or what a network consists of."""

import platform

import minires
from minires import backend, data, kernels, models
from minires.commands.options import DEFAULTS, MODELS, SHORTCUT, count
from minires.summary import summarize


def info(
    data_dir: str, model: str | None, shortcut: str | None, image_size: int | None, layers: bool
) -> None:
    """minires info: what works here; or what the network `model` consists of."""
    import numpy as np

    if model is not None:
        size = image_size or models.image_size(model)
        models.check_image_size(model, size)
        with backend.use("numpy"):
            net = models.build(model, shortcut=shortcut)
        print(f"{model}, images of {size} x {size} pixels")
        print(summarize(net, size).table(layers))
        return
    print(
        f"minires {minires.__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
    print(f"\nbackends (default: {backend.default()})")
    operations = len(kernels.operations())
    for name, entry in backend.BACKENDS.items():
        if (state := backend.problem(name)) is None:
            works = ", ".join(filter(None, ("works", entry.remark())))
            own = len(entry.own_kernels())
            state = f"{works}; kernels of its own for {own} of {operations} operations"
        print(f"  {name:<12}{state}")
    print(f"\ndata in {data_dir}")
    for name in ("cifar10", "cifar100"):
        print(f"  {name:<12}{data.find(name, data_dir) or 'not there; downloaded when asked for'}")
    print(f"  {'shapes':<12}built in")


def add(commands) -> None:
    """The command's options."""
    p = commands.add_parser(
        "info",
        help="what works on this machine, or what a network consists of",
        description="What works on this machine; with --model the parameters, multiply-adds and "
        "activation memory of a network, block by block.",
    )
    p.set_defaults(command=info)
    p.add_argument("--data-dir", default=DEFAULTS["data_dir"])
    p.add_argument("--model", metavar="MODEL", help=f"instead: this network; {MODELS}")
    p.add_argument("--shortcut", choices=tuple("ABC"), help=SHORTCUT)
    p.add_argument(
        "--image-size", type=count, metavar="N", help="pixels a side (32 CIFAR, 224 ImageNet)"
    )
    p.add_argument("--layers", action="store_true", help="a line for each layer, not each block")
