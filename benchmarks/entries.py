"""What can be timed: a training step of a network, by minires or by PyTorch."""

import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from minires import backend, cuda, extensions, models

CLASSES, SIZE = 10, 32
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


@dataclass(frozen=True)
class Way:
    """How PyTorch runs the step.

    Attributes
    ----------
    channels_last : bool
        Whether images lie in memory as minires has them.
    half : str
        What autocast computes in, ``"bf16"`` or ``"fp16"``; empty without autocast.
    compiled : str
        A mode of `torch.compile`; empty for none.
    graph : bool
        Whether a captured CUDA graph of the step is replayed.
    """

    channels_last: bool = True
    half: str = ""
    compiled: str = ""
    graph: bool = False


WAYS = {
    "eager": Way(channels_last=False),
    "channels_last": Way(),
    "graph": Way(graph=True),
    "bf16": Way(half="bf16"),
    "fp16": Way(half="fp16"),
    "bf16 graph": Way(half="bf16", graph=True),
    "compile": Way(channels_last=False, compiled="default"),
    "compile channels_last": Way(compiled="default"),
    "compile max-autotune": Way(compiled="max-autotune"),
    "bf16 compile max-autotune": Way(half="bf16", compiled="max-autotune"),
}
"""Name -> way; all but eager and compile have the images in channels_last."""

CPU_WAYS = ("eager", "channels_last", "compile", "compile channels_last", "bf16")
GPU_WAYS = ("eager", "channels_last", "graph", "bf16", "fp16", "bf16 graph")
COMPILED_ON_GPU = ("compile channels_last", "compile max-autotune", "bf16 compile max-autotune")
"""They compile for minutes, and max-autotune uses CUDA graphs, too."""


@dataclass(frozen=True)
class Entry:
    """One row of the benchmark: who takes the training step of which network, and how.

    Attributes
    ----------
    model : str
        A name that `models.build` knows.
    batch_size : int
    engine : str
        A backend of minires, or ``"torch "`` and one of WAYS.
    threads : int
        How many threads of the CPU it may use.
    precision : str
        A precision of minires, see `backend.set_precision`. PyTorch's follows from its way.
    graph : bool
        Whether minires replays its step as one CUDA graph.
    recompute : bool
        Whether minires keeps every few blocks' input only (`minires.recompute`).
    device : str
        Where PyTorch computes: ``"cpu"`` or ``"cuda"``. A backend of minires has its own place.
    image_size : int
        Pixels a side.
    imports : tuple of str
        Modules that register the network or the backend.
    """

    model: str
    batch_size: int
    engine: str
    threads: int = 1
    precision: str = "auto"
    graph: bool = False
    recompute: bool = False
    device: str = "cpu"
    image_size: int = SIZE
    imports: tuple[str, ...] = ()

    @property
    def way(self) -> Way | None:
        """PyTorch's way; None for minires."""
        return WAYS.get(self.engine.removeprefix("torch ")) if self.is_torch else None

    @property
    def is_torch(self) -> bool:
        """Whether PyTorch takes the step."""
        return self.engine.startswith("torch ")

    @property
    def on_gpu(self) -> bool:
        """Whether the step runs on a GPU."""
        if self.is_torch:
            return self.device == "cuda"
        return self.engine in backend.able_to("on_gpu")

    @property
    def shares_process(self) -> bool:
        """Whether it can live in one process with others of its library.

        On a GPU it can: threads of the CPU do not matter, and the library tells how much of the
        GPU's memory is taken. So can the emulator, which stands for a GPU.
        """
        return self.on_gpu or self.engine in backend.able_to("graphs")

    @property
    def bits(self) -> int:
        """Bits of a number in memory: 16 or 32. Only entries with the same number are compared."""
        half = self.way.half if self.way else self.precision
        return 16 if half in cuda.HALF else 32

    @property
    def exact(self) -> bool:
        """Whether every product is one of float32, so that the loss can be compared closely."""
        return self.bits == 32 and not self.on_gpu and self.precision != "tf32"

    @property
    def name(self) -> str:
        """Engine, precision, and what else is not as usual: ``"cupy bf16, graph"``."""
        precision = f" {self.precision}" if self.precision != "auto" else ""
        marks = [", graph"] * self.graph + [", recompute"] * self.recompute
        return f"{self.engine}{precision}{''.join(marks)}"

    def check(self) -> None:
        """Raise a sentence if there is no such network, or this machine has no such engine.

        Raises
        ------
        ValueError, BackendUnavailable
        """
        extensions.load(self.imports)
        network = models.get(self.model)
        network.check_image_size(self.image_size)
        if self.is_torch:
            self._check_torch()
            return
        if why := backend.problem(self.engine):
            raise backend.BackendUnavailable(f"backend {self.engine!r} does not work here: {why}")
        if self.graph and self.engine not in (able := backend.able_to("graphs")):
            raise ValueError(
                f"a step can be a CUDA graph on backend {' or '.join(able)}, but the backend is "
                f"{self.engine}"
            )
        if self.recompute:
            network.check_option("recompute")
        with backend.use(self.engine):
            before = cuda.set_precision("auto")
            try:
                backend.set_precision(self.precision)
            finally:
                cuda.set_precision(before)

    def _check_torch(self) -> None:
        if models.get(self.model).make is not models.CifarResNet:
            raise ValueError(
                f"PyTorch is timed with the resnets and plain nets for CIFAR, not with {self.model}"
            )
        if self.way is None:
            raise ValueError(f"PyTorch is timed as {', '.join(WAYS)}, not as {self.engine[6:]}")
        if importlib.util.find_spec("torch") is None:
            raise ValueError("PyTorch is not installed (pip install '.[parity]')")
        if self.way.graph and not self.on_gpu:
            raise ValueError("PyTorch has CUDA graphs on a GPU only")
        if self.on_gpu and not importlib.import_module("torch").cuda.is_available():
            raise ValueError("PyTorch sees no GPU")


def entries(
    models: Iterable[str],
    batch_sizes: Iterable[int],
    engines: Iterable[str],
    threads: Iterable[int] = (1,),
    precisions: Iterable[str] = ("auto",),
    graph: Iterable[bool] = (False,),
    recompute: Iterable[bool] = (False,),
    torch_ways: Iterable[str] = (),
    **more,
) -> list[Entry]:
    """Every network x batch size x threads, in each way of minires and then of PyTorch.

    Parameters are those of Entry, several of each; `more` holds for all of them.
    """
    ours = list(product(engines, precisions, graph, recompute))
    found = []
    for what in product(models, batch_sizes, threads):
        model, batch_size, most = what
        found += [
            Entry(model, batch_size, engine, most, precision, graphed, anew, **more)
            for engine, precision, graphed, anew in ours
        ]
        found += [Entry(model, batch_size, f"torch {way}", most, **more) for way in torch_ways]
    return list(dict.fromkeys(found))
