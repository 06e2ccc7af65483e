"""The settings of a training run of a second, and the same as words of the command line."""

TINY = {
    "model": "resnet8",
    "dataset": "shapes",
    "image_size": 8,
    "train_size": 48,
    "test_size": 16,
    "batch_size": 16,
    "backend": "numpy",
}


def words(settings: dict) -> list[str]:
    """Options of `minires train` for these settings."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
