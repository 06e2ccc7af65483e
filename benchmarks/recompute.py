"""What recomputing costs and saves: training steps with and without it, by turns.

    python benchmarks/recompute.py --model resnet110 --batch-size 128 --backend numba

Each turn is a process of its own: two steps to compile and to fill the pools, then --steps timed
ones. Printed are the median step and the process's peak resident memory during the timed steps.
"""

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from minires import Tensor, backend, models, optim
from minires import functional as F
from minires.benchmarks.timing import forget_peak, resident_bytes


def measure(
    model: str, batch_size: int, engine: str, steps: int, recompute: bool
) -> tuple[float, int]:
    """Median seconds of a step, and peak resident bytes; in a fresh process."""
    backend.use(engine)
    backend.seed(0)
    net = models.build(model, 10, recompute=recompute)
    sgd = optim.SGD(net, 0.1, momentum=0.9, weight_decay=1e-4)
    rng = np.random.default_rng(0)
    x = Tensor(backend.asarray(rng.standard_normal((batch_size, 32, 32, 3), dtype=np.float32)))
    labels = backend.asarray(rng.integers(0, 10, batch_size))
    seconds = []
    for number in range(2 + steps):
        if number == 2:
            forget_peak()
        started = time.perf_counter()
        loss = F.cross_entropy(net(x), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        loss.item()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:]), resident_bytes(peak=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Training steps with and without recomputing.")
    parser.add_argument("--model", default="resnet110")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--steps", type=int, default=9, help="timed steps a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    options = parser.parse_args()
    what = options.model, options.batch_size, options.backend, options.steps
    for _ in range(options.rounds):
        for recompute in (False, True):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
                seconds, peak = fresh.submit(measure, *what, recompute).result()
            how = "recomputed" if recompute else "kept"
            print(f"{how:<12}{seconds:.3f} s a step  {peak / 2**20:,.0f} MiB at most", flush=True)


if __name__ == "__main__":
    main()
