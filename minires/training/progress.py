"""Progress bars: lively on a terminal, rare lines in a log file."""

import sys


def bar_settings() -> dict:
    """How every progress bar behaves."""
    return {"dynamic_ncols": True, "mininterval": 0.2 if sys.stderr.isatty() else 30}


def bar_of(run, epoch: int):
    """The bar of a Run in an epoch, over the whole run: so the time left is the run's."""
    from tqdm import tqdm

    return tqdm(
        desc=f"epoch {epoch + 1}/{run.epochs}",
        total=run.total,
        initial=run.step,
        unit="step",
        leave=False,
        **bar_settings(),
    )
