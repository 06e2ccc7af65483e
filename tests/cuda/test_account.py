"""The account of a training step: what its launches state to move is what the emulator counts."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minires import Tensor, backend, cuda, kernels, models, optim
from minires import functional as F
from minires.benchmarks.account import (
    BYTES_PER_SECOND,
    SECONDS_PER_LAUNCH,
    account,
    account_table,
    chosen_engine,
)
from minires.cli import main
from minires.data import Dataset, Loader, Normalization

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

SECTOR = 32


class Step:
    """A training step of a small network on images of 8 x 8, of which every byte counts.

    The crops of the augmentation are whole images, and every ReLU lets everything through: where it
    does not, a kernel may leave out what it need not read.
    """

    def __init__(self, fused: bool | None = None, method=optim.SGD):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (16, 8, 8, 3), np.uint8)
        dataset = Dataset("random", images, rng.integers(0, 10, 16), tuple("0123456789"))
        normalization = Normalization.make("per-pixel", images)
        loader = Loader(dataset, normalization, batch_size=8, shuffle=True, augment=True, pad=0)
        self.batches = iter(loader)
        self.model = models.build("resnet8", fused=fused)
        for name, parameter in self.model.named_parameters():
            if "bn" in name and name.endswith("bias"):
                parameter.data[...] = 10
        self.optimizer = method(self.model, lr=0.1, weight_decay=1e-4)

    def run(self) -> None:
        x, labels = next(self.batches)
        loss = F.cross_entropy(self.model(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def arrays_by_address(self) -> list[np.ndarray]:
        """What the optimizer's kernels find by tables."""
        arrays = [array for p in self.optimizer.params for array in (p.data, p.grad)]
        return arrays + [array for state in self.optimizer.states for array in state.values()]


def launches_of(run) -> list[cuda.Launch]:
    """What `run` launches, without executing it."""
    found = []
    with cuda.watch(lambda launch: found.append(launch) or True):
        run()
    return found


def counting_modules(launches: list[cuda.Launch]) -> dict[cuda.Module, cuda.Module]:
    """The launches' modules with no other instances than theirs: they compile in less time."""
    instances = defaultdict(dict)
    for launch in launches:
        instances[launch.module][launch.instance] = None
    return {module: cuda.Module(module.path, sorted(names)) for module, names in instances.items()}


def check(launch: cuda.Launch, module: cuda.Module, reached=()) -> None:
    """Execute it: sectors counted are bytes stated, each array rounded up to whole sectors."""
    parameters = module.signatures[launch.instance].parameters
    arrays = sum(parameter.is_array for parameter in parameters) + len(reached)
    with cuda.count(*reached) as counts:
        replace(launch, module=module).run()
    name = f"{launch.module.name} {launch.instance}"
    sectors = counts.distinct_loaded, counts.distinct_stored
    for what, stated, counted in zip(
        ("reads", "writes"), launch.bytes_moved(), sectors, strict=True
    ):
        rounding = SECTOR * counted - stated
        assert 0 <= rounding < SECTOR * arrays, (
            f"{name} {what} {counted} sectors, but its launcher says {stated} bytes"
        )


@pytest.mark.parametrize(
    ("fused", "method"),
    [(None, optim.SGD), (False, optim.SGD), (None, optim.AdamW)],
    ids=["fused", "separate", "adamw"],
)
def test_every_launch_of_a_training_step_moves_what_it_states(fused, method):
    backend.use("emulator")
    modules = counting_modules(launches_of(Step(fused, method).run))
    step, checked = Step(fused, method), set()

    def counted(launch: cuda.Launch) -> bool:
        updates = launch.module.name.startswith(("sgd", "adam"))
        reached = step.arrays_by_address() if updates else ()
        check(launch, modules[launch.module], reached)
        checked.add(launch.module.name)
        return True

    with cuda.watch(counted):
        step.run()
    assert {"augment/cuda.cu", "conv2d/cuda.cu", "cross_entropy/cuda.cu"} <= checked
    assert f"{step.optimizer.kernel}/cuda.cu" in checked


def test_a_wrong_statement_is_caught():
    backend.use("emulator")
    a = Tensor(np.ones((5, 7), np.float32))
    (launch,) = launches_of(lambda: a + a.data.copy())
    modules = counting_modules([launch])
    check(launch, modules[launch.module])
    read, written = launch.bytes_moved()
    assert (read, written) == (2 * 4 * 35, 4 * 35)
    for wrong in ((read // 2, written), (read, 2 * written), (read + 100, written)):
        with pytest.raises(AssertionError, match="but its launcher says"):
            check(replace(launch, traffic=wrong), modules[launch.module])


def test_an_array_that_is_given_twice_is_read_once():
    backend.use("emulator")
    a = Tensor(np.ones((5, 7), np.float32))
    (launch,) = launches_of(lambda: a + a)
    assert launch.bytes_moved() == (4 * 35, 4 * 35)


@pytest.mark.parametrize(
    ("run", "share"),
    [
        (lambda x: F.conv2d(x, np.ones((1, 1, 16, 8), np.float32), stride=2), 1 / 4),
        (lambda x: F.max_pool2d(x, 2, 3), 4 / 9),
        (lambda x: F.shortcut(x, 2, 16), 1 / 4),
    ],
    ids=["conv2d", "max_pool2d", "shortcut"],
)
def test_pixels_that_no_window_holds_are_not_read(run, share):
    backend.use("emulator")
    x = np.ones((2, 6, 6, 16), np.float32)
    (launch,) = launches_of(lambda: run(Tensor(x)))
    weights = launch.arguments["w"].nbytes if "w" in launch.arguments else 0
    assert launch.bytes_moved()[0] == x.nbytes * share + weights


def test_fusing_saves_launches_and_bytes_and_nothing_is_executed(monkeypatch):
    monkeypatch.setattr(cuda.Module, "execute", lambda *_: pytest.fail("executed"))
    fused, separate = (account("resnet8", 4, "emulator", choice) for choice in (None, False))
    assert 0 < fused.total.launches < separate.total.launches
    assert 0 < fused.bytes_per_image < separate.bytes_per_image
    assert separate.kernels["conv2d/cuda.cu weight_gradient"].launches == 8
    assert backend.current() == "numpy"


def test_a_resnet20_keeps_to_its_targets():
    table = account_table("resnet20", 128, "emulator")
    assert "at most 100 launches: met" in table and "at most 9 MB per image: met" in table


@pytest.mark.parametrize(
    ("title", "fused"), [("fused (the default)", None), ("each on its own", False)]
)
def test_the_records_say_the_same(title, fused):
    found = account("resnet20", 128, "emulator", fused)
    read, written = (size / 128 / 1e6 for size in (found.total.read, found.total.written))
    seconds_of_memory = found.bytes_per_image / BYTES_PER_SECOND
    seconds_of_launches = found.total.launches * SECONDS_PER_LAUNCH / 128
    row = (
        f"| {title} | {found.total.launches} | {read:.2f} + {written:.2f} | "
        f"{1 / seconds_of_memory:,.0f} images/s | {1 / seconds_of_launches:,.0f} images/s |"
    )
    root = Path(__file__).parents[2]
    assert row in (root / "benchmarks" / "README.md").read_text(encoding="utf-8")


def test_what_has_no_kernel_is_named(monkeypatch):
    assert "global_avg_pool2d forward" not in account("resnet8", 4, "emulator").array_code
    monkeypatch.setattr(backend, "kernel", without_own("global_avg_pool2d", backend.kernel))
    code = account("resnet8", 4, "emulator").array_code
    assert code["global_avg_pool2d forward"] == code["global_avg_pool2d backward"] == 1


def without_own(op: str, kernel):
    """`backend.kernel`, but for `op` the reference."""
    return lambda name: kernels.load(name, "reference") if name == op else kernel(name)


def test_the_command_prints_the_table(capsys):
    assert (
        main(["bench", "--account", "resnet8", "--batch-size", "4", "--backend", "emulator"]) == 0
    )
    printed = capsys.readouterr().out
    assert printed.strip() == account_table("resnet8", 4, "emulator").strip()
    assert "augment/cuda.cu augment" in printed and "target" not in printed


def test_a_backend_without_these_kernels_is_refused_in_words(capsys):
    assert chosen_engine("auto") in ("cupy", "emulator")
    assert main(["bench", "--account", "resnet8", "--backend", "numpy"]) == 1
    assert "backend cupy or emulator), but the backend is numpy" in capsys.readouterr().err
    assert main(["bench", "--account", "resnet9"]) == 1
    assert "no network is named 'resnet9'" in capsys.readouterr().err
