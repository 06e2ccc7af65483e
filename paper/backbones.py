"""Section 4.4: another backbone in the same detector."""

from dataclasses import replace

import numpy as np

from minires.cuda import HALF
from minires.paper.detection import (
    DetectionConfig,
    Detections,
    DetectionTrainer,
    Scenes,
    average_precisions,
    detect,
    load_scenes,
)
from minires.paper.detection.figure import comparison
from minires.paper.runs import WEIGHTS, mean_and_std
from minires.paper.setting import Budget, Setting, Training

TITLE = "Detection with another backbone and the same head (section 4.4)"

PAPER = {"VGG-16": (41.5, 21.2), "ResNet-101": (48.4, 27.2)}
"""Backbone of Faster R-CNN -> mAP at 0.5 and over 0.5 to 0.95, in percent, on COCO (table 8)."""

MODELS = {
    "full": ("vgg8", "resnet20", "resnet56"),
    "shortened": ("vgg8", "resnet20"),
    "smoke": ("vgg8", "resnet20"),
}
SEEDS = {"full": 5, "shortened": 1, "smoke": 1}
BUDGETS = {
    "full": Budget(
        "backbones trained on shapes for 30 epochs, detectors on 10,000 scenes for 60 epochs",
        {"dataset": "shapes", "epochs": 30},
    ),
    "shortened": Budget(
        "backbones trained on shapes for 8 epochs, detectors on 4,000 scenes for 30 epochs",
        {"dataset": "shapes", "epochs": 8},
    ),
    "smoke": Budget(
        "a few iterations on a few scenes, to see that everything runs; what comes out means "
        "nothing",
        {"dataset": "shapes", "steps": 64, "batch_size": 64, "train_size": 1024, "test_size": 256},
    ),
}
DETECTORS = {
    "full": {"train_size": 10_000, "test_size": 2000, "epochs": 60},
    "shortened": {"train_size": 4000, "test_size": 1000, "epochs": 30},
    "smoke": {"train_size": 256, "test_size": 64, "epochs": 8},
}
"""Budget -> settings of `DetectionConfig`."""

EXAMPLES = 5
CERTAIN = 0.3
"""Least score of the detections that the figure shows."""

COLUMNS = {
    "model": "",
    "parameters": ",",
    "runs": "",
    "accuracy_on_shapes": ".2f",
    "map_50": ".2f",
    "map_50_std": ".2f",
    "map_50_95": ".2f",
    "map_50_95_std": ".2f",
}


def trainings(setting: Setting) -> list[Training]:
    """The backbones, trained to classify; apart from the networks of other experiments."""
    found = []
    for training in setting.trainings():
        name = f"backbone-{training.name}"
        config = replace(training.config, out=str(setting.out / "runs" / name))
        found.append(Training(name, config))
    return found


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each backbone: percent, mean and standard deviation over the seeds.

    A detector begins with a finished run's weights, is trained on scenes, and kept under
    ``OUT/runs/`` with a checkpoint for every epoch. "map_50": mean average precision over the
    classes at an overlap of 0.5; "map_50_95": its mean over 0.50, 0.55, ..., 0.95.
    """
    rows = []
    for name in setting.models:
        own = [run for run in runs if run.config.model == name]
        trainers = [_trained(setting, run) for run in own]
        found = [detect(t.detector, t.test, t.normalization) for t in trainers]
        test = trainers[0].test
        precisions = 100 * np.stack(
            [average_precisions(f, test.boxes, test.labels, len(test.classes)) for f in found]
        )  # (seeds, thresholds, classes)
        row = {
            "model": name,
            "parameters": trainers[0].detector.num_parameters(),
            "runs": len(own),
            "accuracy_on_shapes": mean_and_std([100 - run.test_error for run in own])[0],
        }
        row["map_50"], row["map_50_std"] = mean_and_std(_means(precisions[:, 0]))
        row["map_50_95"], row["map_50_95_std"] = mean_and_std(_means(precisions))
        by_class = zip(test.classes, precisions[:, 0].mean(axis=0).tolist(), strict=True)
        row["map_50_of_each_class"] = {name: ap for name, ap in by_class if not np.isnan(ap)}
        row["map_at_each_threshold"] = np.nanmean(precisions, axis=(0, 2)).tolist()
        row["losses"] = trainers[0].history
        row["detector_training_seconds"] = sum(h["seconds"] for t in trainers for h in t.history)
        row["scenes"] = {"test_size": len(test), "image_size": test.image_size}
        row["examples"] = [_example(found[0][i]) for i in range(min(EXAMPLES, len(test)))]
        rows.append(row)
    return rows


def _trained(setting: Setting, run) -> DetectionTrainer:
    """The detector on the backbone of a finished run, trained to its end."""
    config, name = run.config, f"detector-{run.config.model}-seed{run.config.seed}"
    print(f"training {name}", flush=True)
    trainer = DetectionTrainer(
        DetectionConfig(
            model=config.model,
            weights=str(run.path / WEIGHTS),
            out=str(setting.out / "runs" / name),
            seed=config.seed,
            backend=config.backend,
            precision="float32" if config.precision in HALF else config.precision,
            **DETECTORS[setting.budget],
        )
    )
    trainer.run()
    if trainer.stopped:  # while it was finished: too late for it, not for the next one
        raise trainer.stopped
    return trainer


def _means(precisions: np.ndarray) -> list[float]:
    """The mean precision of each seed; a class without objects does not count."""
    return [float(np.nanmean(own)) for own in precisions]


def _example(found: Detections) -> dict:
    """The sure detections of one image, for JSON."""
    sure = found.scores >= CERTAIN
    return {name: part[sure].tolist() for name, part in found._asdict().items()}


def figure(rows: list[dict], title: str) -> bytes:
    """mAP as bars, and what each detector finds in some scenes."""
    precisions = {
        heading: {row["model"]: (row[key], row[f"{key}_std"]) for row in rows}
        for heading, key in (("overlap 0.5", "map_50"), ("0.5 to 0.95", "map_50_95"))
    }
    _, test = load_scenes(1, **rows[0]["scenes"])
    count = len(rows[0]["examples"])
    some = Scenes(test.images[:count], test.boxes[:count], test.labels[:count], test.classes)
    found = {
        row["model"]: [
            Detections(
                np.reshape(e["boxes"], (-1, 4)), np.array(e["scores"]), np.array(e["labels"], int)
            )
            for e in row["examples"]
        ]
        for row in rows
    }
    return comparison(precisions, some, found, title)


def finding(rows: list[dict]) -> str:
    """mAP of all, beside the paper's."""
    own = ", ".join(
        f"{row['model']} {row['map_50']:.1f} and {row['map_50_95']:.1f}" for row in rows
    )
    paper = ", ".join(f"{name} {a:.1f} and {b:.1f}" for name, (a, b) in PAPER.items())
    return f"mAP in percent, at 0.5 and over 0.5 to 0.95: {own} (the paper, on COCO: {paper})"
