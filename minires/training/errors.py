"""What ends a training run, in sentences."""


class TrainingError(RuntimeError):
    """A run that cannot start or go on; the message says why."""


class Diverged(TrainingError):
    """A run in which a loss, or what it has learned, is no number any more."""
