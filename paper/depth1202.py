"""A real training step at 1202 layers: its time and memory, with and without checkpointing."""

import hashlib
import statistics
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import replace
from itertools import chain, count
from multiprocessing import get_context

from minires import backend, models, plots
from minires.benchmarks.memory import forget_peak, resident_bytes
from minires.paper.setting import Budget, Setting, Training
from minires.summary import summarize
from minires.training import Config, Trainer, TrainingError

TITLE = "A training step at 1202 layers (section 4.2), and gradient checkpointing"

MODELS = {"full": ("resnet1202",), "shortened": ("resnet1202",), "smoke": ("resnet1202",)}
SEEDS = {"full": 1, "shortened": 1, "smoke": 1}
KINDS = ("plain", "resnet")
ROUNDS = {"full": 3, "shortened": 3, "smoke": 1}
BUDGETS = {
    "full": Budget("steps of 128 images, the paper's batch", {"batch_size": 128, "test_size": 1}),
    "shortened": Budget("steps of 32 images", {"batch_size": 32, "test_size": 1}),
    "smoke": Budget(
        "steps of 4 images, to see that everything runs",
        {"batch_size": 4, "train_size": 64, "test_size": 1, "dataset": "shapes"},
    ),
}
STEPS = 3
"""Steps in each process: the first one makes the buffers and is not timed."""

COLUMNS = {
    "model": "",
    "batch_size": "",
    "checkpointing": "",
    "seconds": ".2f",
    "memory_mb": ",.0f",
    "loss": ".6f",
    "weights_sha256": "",
}


def trainings(setting: Setting) -> list[Training]:
    """No network is trained: single steps are taken, each time in a process of its own."""
    return []


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each network with and without checkpointing, measured by turns.

    "seconds": the median step. "memory_mb": the most that the process held in RAM during these
    steps, less what it held before them: libraries, data set, weights; GPU memory is not counted.
    "weights_sha256": of all weights and running statistics after the first step, to see that both
    ways have the same bits.
    """
    rows = []
    for name in setting.models:
        config = setting.config(name, setting.seeds[0])
        size = config.batch_size
        reports = {False: [], True: []}
        for _ in range(ROUNDS[setting.budget]):
            for recompute, found in reports.items():
                found.append(_in_own_process(replace(config, recompute=recompute), setting))
        with backend.use("numpy"):
            activations = summarize(models.build(name), config.image_size).activation_bytes * size
        for recompute, found in reports.items():
            rows.append(
                {
                    "model": name,
                    "batch_size": size,
                    "checkpointing": "yes" if recompute else "no",
                    "seconds": statistics.median(s for report in found for s in report["seconds"]),
                    "memory_mb": statistics.median(report["bytes"] for report in found) / 1e6,
                    "loss": found[0]["loss"],
                    "weights_sha256": found[0]["sha256"][:12],
                    "all_seconds": [s for report in found for s in report["seconds"]],
                    "results_of_all_operations_mb": activations / 1e6,
                }
            )
    return rows


def _in_own_process(config: Config, setting: Setting) -> dict:
    """`steps` in a new process, so that its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(steps, config, setting.download).result()
        except BrokenExecutor:
            raise TrainingError(
                f"the process of {config.model} with {config.batch_size} images "
                f"{'with' if config.recompute else 'without'} checkpointing was killed, as a "
                f"system does that runs out of memory; try a smaller --batch-size"
            ) from None


def steps(config: Config, download: bool) -> dict:
    """Take the first steps of a training run; seconds, memory, the first loss and the weights."""
    trainer = Trainer(config, download=download)
    trainer.model.train()
    batches = chain.from_iterable(map(trainer.loader.batches, count()))  # epoch after epoch
    forget_peak()
    before = resident_bytes()
    seconds, report = [], {}
    for step in range(STEPS):
        x, labels = next(batches)
        started = time.perf_counter()
        trainer.learn(x, labels, trainer.schedule(step))
        loss, _ = trainer.metrics.read()  # waits for a GPU
        seconds.append(time.perf_counter() - started)
        if step == 0:
            digest = hashlib.sha256()
            for array in trainer.model.state_dict().values():
                digest.update(array)
            report = {"loss": loss, "sha256": digest.hexdigest()}
    return report | {"seconds": seconds[1:], "bytes": resident_bytes(peak=True) - before}


def figure(rows: list[dict], title: str) -> bytes:
    """Memory and time, without and with checkpointing."""
    groups = {}
    for quantity, key in (("memory (MB)", "memory_mb"), ("time of a step (ms)", "seconds")):
        factor = 1000 if key == "seconds" else 1
        groups[quantity] = [
            (
                f"{row['model']}, " + ("checkpointing" if checkpointing else "all kept"),
                *[factor * row[key]] * 3,
                checkpointing,
            )
            for row in rows
            for checkpointing in [row["checkpointing"] == "yes"]
        ]
    return plots.bars(groups, "", title, shared_axis=False)


def finding(rows: list[dict]) -> str:
    """What checkpointing costs and saves."""
    said = []
    for plain, saving in zip(rows[::2], rows[1::2], strict=True):
        same = plain["weights_sha256"] == saving["weights_sha256"]
        said.append(
            f"{plain['model']}, {plain['batch_size']} images: checkpointing takes "
            f"{saving['memory_mb'] / plain['memory_mb']:.2f} of the memory and "
            f"{saving['seconds'] / plain['seconds']:.2f} of the time; weights after a step have "
            f"{'the same' if same else 'OTHER'} bits"
        )
    return "; ".join(said)
