"""A process to be ill-treated: it trains something small, and notes how far it is.

    python -m minires.benchmarks.reliability.subject KIND OUT NOTES

KIND is "training", "detection" or "reproduce". It goes on if something lies in OUT. After each step
the file NOTES/RUN has the step's number, where RUN is the name of the run's directory: whoever
kills this process sees how much is lost.
"""

import os
import sys
from pathlib import Path

from minires.cli import main
from minires.paper import gradnorm
from minires.paper.detection import DetectionConfig, DetectionTrainer
from minires.paper.setting import Budget
from minires.training import Trainer

KINDS = ("training", "detection", "reproduce")

TINY = {"dataset": "shapes", "image_size": 8, "batch_size": 16, "train_size": 96, "test_size": 16}
INTERVAL = {"training": 4, "detection": 3, "reproduce": 6}
"""Most iterations between two checkpoints: as asked for, or the length of an epoch."""


def note_progress(notes: Path) -> None:
    """Have every run note each of its steps."""
    for trainer in (Trainer, DetectionTrainer):
        trainer.steps = _noting(trainer.steps, notes)


def _noting(steps, notes: Path):
    def noting(run, epoch, first, last):
        file = os.open(notes / run.out.name, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            for taken in steps(run, epoch, first, last):
                os.pwrite(file, b"%8d" % run.step, 0)
                yield taken
        finally:
            os.close(file)

    return noting


def train(out: Path) -> int:
    """A classifier, by the command line."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    words += ["--model=resnet8", "--epochs=10", "--backend=numpy", "--seed=7", "--lr=0.05"]
    begun = any(os.path.exists(out / name) for name in ("config.json", "checkpoint"))
    words = ["--resume"] if begun else words
    every = f"--checkpoint-every={INTERVAL['training']}"
    return main(["train", "--out", str(out), every, *words])


def detect(out: Path) -> int:
    """A detector."""
    sizes = {"train_size": 12, "test_size": 2, "image_size": 32, "batch_size": 4, "epochs": 40}
    DetectionTrainer(DetectionConfig(model="vgg8", backend="numpy", out=str(out), **sizes)).run()
    return 0


def reproduce(out: Path) -> int:
    """An experiment of the paper with two networks, of which it also keeps gradients."""
    gradnorm.BUDGETS["smoke"] = Budget("tiny", TINY | {"steps": 24})
    words = ["gradnorm", "--budget=smoke", "--model", "resnet8", "plain8", "--backend=numpy"]
    return main(["reproduce", *words, "--out", str(out)])


if __name__ == "__main__":
    kind, out, notes = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    note_progress(notes)
    sys.exit({"training": train, "detection": detect, "reproduce": reproduce}[kind](out))
