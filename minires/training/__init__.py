"""Training: steps and runs of them, settings, weight files, checkpoints, histories."""

from minires.training.config import Config
from minires.training.errors import Diverged, TrainingError
from minires.training.evaluate import evaluate
from minires.training.loop import Trainer
from minires.training.run import Run
from minires.training.step import minimize, step
from minires.training.weights import load_weights, save_weights
