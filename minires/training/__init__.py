"""Training: the loop, its settings, weight files, checkpoints, the record of a run."""

from minires.training.config import Config
from minires.training.evaluate import evaluate
from minires.training.loop import Diverged, Trainer, TrainingError
from minires.training.weights import load_weights, save_weights
