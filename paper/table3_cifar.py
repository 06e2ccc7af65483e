"""Table 3, on CIFAR: the shortcut options A, B and C, and a plain net beside them."""

from minires import models, plots
from minires.paper.runs import mean_and_std
from minires.paper.setting import Setting, Training

TITLE = "Shortcut options A, B, C (table 3, on CIFAR-10 instead of ImageNet)"

OPTIONS = ("A", "B", "C")
PAPER = {"none": 28.54, "A": 25.03, "B": 24.52, "C": 24.19}
"""Option -> top-1 error in percent of the nets of 34 layers on ImageNet, 10 crops (table 3)."""

MODELS = {"full": ("resnet20", "resnet56"), "shortened": ("resnet20",), "smoke": ("resnet14",)}
SEEDS = {"full": 5, "shortened": 1, "smoke": 1}
COLUMNS = {
    "model": "",
    "option": "",
    "parameters": ",",
    "runs": "",
    "error": ".2f",
    "std": ".2f",
    "train_error": ".2f",
    "paper_imagenet_34_layers": ".2f",
}


def trainings(setting: Setting) -> list[Training]:
    """For each seed a plain net and the ResNet with every option; A is a ResNet's default."""
    found = []
    for name in setting.models:
        for seed in setting.seeds:
            for model, option in _variants(name):
                more = {"shortcut": option} if option in ("B", "C") else {}
                found.append(setting.training(model, seed, **more))
    return found


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each option: errors in percent over the seeds."""
    rows = []
    for name in setting.models:
        for model, option in _variants(name):
            saved = option if option in ("B", "C") else None
            own = [r for r in runs if (r.config.model, r.config.shortcut) == (model, saved)]
            error, std = mean_and_std([run.test_error for run in own])
            rows.append(
                {
                    "model": model,
                    "option": option,
                    "parameters": models.build(model, own[0].classes, saved).num_parameters(),
                    "runs": len(own),
                    "error": error,
                    "std": std,
                    "train_error": mean_and_std([run.train_error for run in own])[0],
                    "paper_imagenet_34_layers": PAPER[option],
                }
            )
    return rows


def figure(rows: list[dict], title: str) -> bytes:
    """Error over the options, a panel for each depth."""
    panels = []
    for start in range(0, len(rows), 1 + len(OPTIONS)):
        own = rows[start : start + 1 + len(OPTIONS)]
        points = range(len(own))
        errors = [row["std"] for row in own]
        lines = [
            plots.Line("test", points, [r["error"] for r in own], "-", "C3", errors=errors),
            plots.Line("training", points, [r["train_error"] for r in own], "--", "C0"),
        ]
        ticks = [row["model"] if row["option"] == "none" else row["option"] for row in own]
        heading = own[-1]["model"]
        panels.append(plots.Panel(lines, "shortcut option", "error (%)", heading, ticks=ticks))
    return plots.panels(panels, title)


def finding(rows: list[dict]) -> str:
    """Errors side by side."""
    return ", ".join(
        f"{row['model']}{'' if row['option'] == 'none' else ' ' + row['option']} "
        f"{row['error']:.2f} %"
        for row in rows
    )


def _variants(resnet: str) -> list[tuple[str, str]]:
    """(network, option): the plain net of this depth, and the ResNet with each option."""
    network = models.get(resnet)
    if not network.has_shortcuts:
        raise ValueError(f"table3-cifar compares the shortcuts of a resnet, but {resnet} has none")
    return [(f"plain{network.depth}", "none"), *((resnet, option) for option in OPTIONS)]
