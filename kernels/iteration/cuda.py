"""Launches the kernel of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["advance"])


def advance(number, rates, rate):
    """Go on to the next iteration, in place."""
    traffic = (number.nbytes + rates.itemsize, number.nbytes + rate.nbytes)
    arguments = dict(number=number, rates=rates, rate=rate, count=len(rates))
    KERNELS.launch("advance", (1,), (1,), arguments, traffic=traffic)
