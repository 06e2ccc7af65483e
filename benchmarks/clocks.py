"""What time is it, for work on a CPU and on a GPU.

A GPU works on while the host goes on: a moment there is an event in its queue, and between two
events lies what was queued between them, whatever the host did meanwhile.
"""

import time
from collections.abc import Callable


class Clock:
    """The host's clock: for work that is finished when its call returns."""

    def now(self) -> object:
        """A moment: what was asked for before lies before it."""
        return time.perf_counter()

    def seconds(self, begin, end) -> float:
        """Seconds from one moment to another."""
        return end - begin

    def seconds_of(self, work: Callable[[], object]) -> float:
        """How long `work` takes."""
        begin = self.now()
        work()
        return self.seconds(begin, self.now())


class CupyClock(Clock):
    """The clock of the GPU that CuPy uses."""

    def now(self) -> object:
        import cupy

        event = cupy.cuda.Event()
        event.record()
        return event

    def seconds(self, begin, end) -> float:
        import cupy

        end.synchronize()
        return cupy.cuda.get_elapsed_time(begin, end) / 1e3


class TorchClock(Clock):
    """The clock of the GPU that PyTorch uses."""

    def now(self) -> object:
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, begin, end) -> float:
        end.synchronize()
        return begin.elapsed_time(end) / 1e3
