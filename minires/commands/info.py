"""minires info: what works here, or what a network consists of."""

import platform

import minires
from minires import backend, caches, data, extensions, kernels, models
from minires.commands.options import DEFAULTS, MODELS, SHORTCUT, count, import_option
from minires.summary import summarize


def info(
    data_dir: str,
    model: str | None,
    shortcut: str | None,
    image_size: int | None,
    layers: bool,
    imports: list[str] | None,
    clear_caches: bool,
) -> None:
    """minires info: what works here; or what the network `model` consists of."""
    import numpy as np

    extensions.load(imports or ())
    if clear_caches:
        print(f"removed {caches.clear() / 1e6:.1f} MB; the next run compiles anew")
        return
    if model is not None:
        network = models.get(model)
        size = image_size or network.image_size
        network.check_image_size(size)
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
    for name, source in data.SOURCES.items():
        path = source.found(data_dir) or "not there; downloaded when asked for"
        where = source.about if source.find is None else path
        print(f"  {name:<12}{where}")
    print("\ncompiled and kept (minires info --clear-caches removes it)")
    for what, (place, files, size) in caches.found().items():
        print(f"  {what}: {size / 1e6:.1f} MB in {files:,} files, {place}")


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
    import_option(p)
    p.add_argument(
        "--clear-caches", action="store_true", help="instead: remove what was compiled and kept"
    )
    p.add_argument("--layers", action="store_true", help="a line for each layer, not each block")
