"""Trains what an experiment needs: here, one after the other, or wherever Dask has workers."""

import threading
from dataclasses import asdict, replace
from pathlib import Path

from minires.paper.gradients import Watched
from minires.paper.runs import Run, read_config, read_run
from minires.paper.setting import Training
from minires.training import Config, Diverged, Trainer, TrainingError, checkpoint
from minires.training.directory import locked, make_directory, write_atomically

TRAINERS = {"plain": Trainer, "watched": Watched}

RESULTS = ("curves.png", "last.safetensors", "gradients.json", "config.json", "metrics.csv")
"""Files of a run that come back from another machine; metrics.csv last: with it, all are there."""

_one_at_a_time = threading.Lock()
"""A network uses all cores, and Dask may have several threads in a process."""


def train_all(
    trainings: list[Training], download: bool = True, dask: str | None = None, note=print
) -> list[Run]:
    """Train every network that is not trained yet; returns all runs, in the order asked for.

    Parameters
    ----------
    trainings : list of Training
    download : bool
        Whether a missing CIFAR may be downloaded.
    dask : str, optional
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``. Each of its workers trains in
        its own working directory, where it also looks for data; the results are sent here.
    note : callable
        Told in a line what is done.

    Raises
    ------
    TrainingError
        If a directory holds a run with other settings, before anything is trained. If training
        diverges or a worker fails, after all others are trained, which stay.
    KeyboardInterrupt
        After Ctrl-C, when the step is finished and a checkpoint is written.
    """
    missing = [training for training in trainings if _finished(training) is None]
    if found := len(trainings) - len(missing):
        note(f"{found} of {len(trainings)} networks are trained already")
    failed = []
    if dask is not None and missing:
        failed = _train_by_dask(missing, download, dask, note)
    elif missing:
        for number, training in enumerate(missing, 1):
            note(f"training {training.name} ({number} of {len(missing)})")
            try:
                train(training, download)
            except Diverged as error:
                failed.append(f"{training.name}: {error}")
                note(failed[-1])
    if failed:
        raise TrainingError("; ".join(failed))
    return [_finished(training) for training in trainings]


def train(training: Training, download: bool = True) -> dict[str, bytes]:
    """Train one network, from its checkpoint if there is one; returns its files by name."""
    path = Path(training.config.out)
    with _one_at_a_time:
        if _finished(training) is None:
            trainer = TRAINERS[training.kind](training.config, resume=True, download=download)
            trainer.run()
            if trainer.stopped:  # too late to stop this run, but those that wait are stopped
                raise trainer.stopped
    return {name: (path / name).read_bytes() for name in RESULTS if (path / name).exists()}


def _finished(training: Training) -> Run | None:
    """The run, if it is finished; a TrainingError if another one lies in its place."""
    path = Path(training.config.out)
    config = read_config(path) if checkpoint.holds_run(path) else None
    if config is None:
        return None
    saved = asdict(config)
    if changed := training.config.with_choices(**saved).differences(saved):
        raise TrainingError(
            f"{path} holds a run with other settings: {'; '.join(changed)}; choose another --out"
        )
    run = read_run(path)
    # What was trained elsewhere is measured on the data that lie here.
    if run is not None and training.config.data_dir != Config.data_dir:
        run = replace(run, config=replace(config, data_dir=training.config.data_dir))
    return run


def _train_by_dask(missing: list[Training], download: bool, address: str, note) -> list[str]:
    """Returns what went wrong on workers, a sentence each."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise TrainingError(
            "--dask needs the package distributed: pip install -e '.[dask]' in the repository"
        ) from None
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise TrainingError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        note(f"{len(missing)} networks to train, {len(client.nthreads())} workers at {address}")
        if not client.nthreads():
            note(f"they wait until there is one: dask worker {address} --nthreads 1")
        failed = []
        futures = {client.submit(train, training, download): training for training in missing}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                training = futures[future]
                try:
                    files = future.result()
                except Exception as error:
                    failed.append(
                        f"training {training.name} on a Dask worker failed: "
                        f"{type(error).__name__}: {error}"
                    )
                    note(failed[-1])
                    continue
                _write(Path(training.config.out), files)
                note(f"trained {training.name} ({done} of {len(missing)})")
        finally:
            client.cancel(list(futures))
    return failed


def _write(path: Path, files: dict[str, bytes]) -> None:
    """Files of a worker, unless it has written them to this very directory."""
    make_directory(path)
    with locked(path):
        for name, content in files.items():
            if not (path / name).exists() or (path / name).read_bytes() != content:
                write_atomically(path / name, content)
