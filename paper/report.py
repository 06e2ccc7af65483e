"""Runs an experiment and writes down what comes out: JSON, a figure, a table."""

import datetime
import json
import time

from minires import paper
from minires.benchmarks.machine import machine, versions
from minires.paper.queue import train_all
from minires.paper.runs import Run
from minires.paper.setting import Setting
from minires.training import TrainingError
from minires.training.directory import locked, make_directory, write_atomically


def reproduce(name: str, setting: Setting, command: str, dask: str | None = None) -> dict:
    """Train what is missing, measure, write ``OUT/NAME.json`` and ``OUT/NAME.png``.

    Parameters
    ----------
    name : str
        One of `paper.NAMES`.
    setting : Setting
    command : str
        What was run, for the record.
    dask : str, optional
        See `train_all`.

    Returns
    -------
    dict
        The content of the JSON file: what was measured ("rows", "finding"), under which budget,
        from which networks, by which command, when and on which machine it was measured (the
        networks may have been trained before and elsewhere).

    Raises
    ------
    ValueError, TrainingError
        If the experiment cannot run as asked, or a training run fails. Nothing is overwritten then.
    """
    experiment = paper.load(name)
    print(f"{name}: {experiment.TITLE}")
    print(f"budget {setting.budget}: {setting.meaning}", flush=True)
    trainings = experiment.trainings(setting)
    make_directory(setting.out)  # better to fail now than after the runs
    with locked(setting.out, name):
        return _reproduce(name, setting, command, dask, experiment, trainings)


def _reproduce(name, setting, command, dask, experiment, trainings) -> dict:
    runs = train_all(trainings, setting.download, dask, lambda text: print(text, flush=True))
    datasets = sorted({run.config.dataset for run in runs})
    if len(datasets) > 1:
        raise TrainingError(
            f"{name}: the networks in {setting.out} were trained on different data "
            f"({', '.join(datasets)}) and cannot be compared; choose another --out"
        )
    started = time.perf_counter()
    rows = experiment.measure(setting, runs)
    content = {
        "experiment": name,
        "title": experiment.TITLE,
        "budget": setting.budget,
        "budget_meaning": setting.meaning,
        "finding": experiment.finding(rows),
        "rows": _rounded(rows),
        "networks": [_origin(run) for run in runs],
        "command": command,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "training_seconds": round(sum(run.seconds for run in runs), 1),
        "measuring_seconds": round(time.perf_counter() - started, 1),
    }
    data = datasets[0] if datasets else setting.options.get("dataset", "")
    heading = f"{experiment.TITLE}\nbudget {setting.budget}" + (f", {data}" if data else "")
    picture = experiment.figure(rows, heading)
    path = setting.out / name
    write_atomically(path.with_suffix(".json"), (json.dumps(content, indent=1) + "\n").encode())
    write_atomically(path.with_suffix(".png"), picture)
    print(f"\n{table(rows, experiment.COLUMNS)}\n")
    print(f"{content['finding']}\n(budget {setting.budget}: {setting.meaning})")
    if data:
        print(f"data: {data}")
    print(f"written: {path}.json, {path}.png")
    return content


def _rounded(value):
    """Numbers with six digits, which is more than any of them means."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _origin(run: Run) -> dict:
    """Which training run a result is from, and how long that took."""
    config = run.config
    return {
        "run": run.path.name,
        "dataset": config.dataset,
        "backend": config.backend,
        "iterations": run.history[-1]["step"],
        "training_seconds": round(run.seconds, 1),
    }


def table(rows: list[dict], columns: dict[str, str]) -> str:
    """Rows as text, a line each; `columns` gives the format of each, and a gap is a dash."""
    lines = [tuple(name.replace("_", " ") for name in columns)]
    for row in rows:
        values = ((row[name], form) for name, form in columns.items())
        lines.append(tuple("-" if value is None else format(value, form) for value, form in values))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [isinstance(rows[0][name], int | float | None) for name in columns]
    text = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])
