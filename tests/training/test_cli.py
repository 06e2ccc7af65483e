"""The command line: every promise of the README about `minires train | eval | info`."""

import re
import subprocess
import sys

import pytest

from minires import data
from minires.cli import main

TINY = (
    "--model resnet8 --dataset shapes --image-size 8 --train-size 64 --test-size 32 --batch-size 16"
).split()


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_train_then_eval_agree(tmp_path, capsys):
    """The weight file itself says network, data set and normalisation."""
    status, out, _ = run(capsys, "train", *TINY, "--epochs", 1, "--out", tmp_path)
    assert status == 0 and "shapes, the built-in synthetic set" in out
    status, out, _ = run(capsys, "eval", "--weights", tmp_path / "last.safetensors")
    assert status == 0
    assert re.search(r"shapes.*1,000 test images\nmodel +resnet8, 75,290 parameters", out)
    assert re.search(r"normalised per-pixel", out)
    assert re.search(r"test accuracy [\d.]+ % \(\d+ of 1,000\), loss [\d.]+", out)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("resnet20", 91.73), pytest.param("resnet32", 92.63, marks=pytest.mark.slow)],
)
def test_published_weights_reach_their_published_accuracy(
    model, expected, real_cifar10, published_weights, capsys
):
    """In percent of the 10,000 real test images."""
    weights = published_weights / f"{model}.safetensors"
    options = f"--torch-layout --normalization imagenet --data-dir {real_cifar10}".split()
    status, out, _ = run(capsys, "eval", "--model", model, "--weights", weights, *options)
    assert status == 0
    accuracy = float(re.search(r"test accuracy ([\d.]+) %", out)[1])
    assert accuracy == pytest.approx(expected, abs=0.021)


def test_training_on_real_images_learns(real_cifar10, tmp_path, capsys):
    options = "--model resnet8 --train-size 2000 --test-size 500 --epochs 3 --lr 0.05".split()
    options += ["--dataset", "cifar10", "--data-dir", real_cifar10, "--out", tmp_path / "run"]
    status, out, _ = run(capsys, "train", *options)
    assert status == 0 and "2,000 training, 500 test images" in out
    assert float(re.search(r"done: test accuracy ([\d.]+)", out)[1]) > 20  # chance is 10

    weights = tmp_path / "run" / "last.safetensors"
    status, out, _ = run(capsys, "eval", "--weights", weights, "--data-dir", real_cifar10)
    assert status == 0 and "normalised per-pixel" in out and "of 10,000" in out


def test_auto_falls_back_to_shapes_and_says_so(tmp_path, monkeypatch, capsys):
    def unreachable(*arguments, **options):
        raise data.DataError("the server cannot be reached")

    monkeypatch.setattr(data.cifar, "load_cifar10", unreachable)
    _, test, note = data.load("auto", tmp_path)
    assert test.name == "shapes" and "could not be downloaded" in note
    _, test, note = data.load("auto", tmp_path, download=False)
    assert test.name == "shapes" and "switched off" in note


def test_auto_takes_cifar10_where_it_lies(real_cifar10):
    train, test, note = data.load("auto", real_cifar10, download=False)
    assert (train.name, len(train), len(test)) == ("cifar10", 50_000, 10_000)
    assert note.startswith("cifar10 from")


def test_auto_does_not_hide_damaged_data(tmp_path):
    (tmp_path / "cifar-10-batches-bin").mkdir()
    (tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(b"damaged")
    with pytest.raises(data.DataError, match="cifar-10-batches-bin"):
        data.load("auto", tmp_path, download=False)


def test_resume_needs_only_the_directory(tmp_path, capsys):
    """All settings come from the checkpoint; the paths and the checkpoint interval may change."""
    run(capsys, "train", *TINY, "--steps", 6, "--lr", 0.05, "--out", tmp_path)
    more = ["--resume", "--out", tmp_path, "--checkpoint-every", 3]
    status, out, _ = run(capsys, "train", *more)
    assert status == 0 and "resumed   at iteration 6" in out and "done" in out
    status, _, err = run(capsys, "train", *more, "--lr", 0.1)
    assert status == 1 and "lr was 0.05 and is now 0.1" in err


def test_a_run_of_adamw_is_resumed_by_its_directory(tmp_path, capsys):
    options = "--optimizer adamw --betas 0.8 0.99 --steps 6".split()
    run(capsys, "train", *TINY, *options, "--out", tmp_path)
    status, out, _ = run(capsys, "train", "--resume", "--out", tmp_path)
    assert status == 0 and "resumed   at iteration 6" in out
    status, _, err = run(capsys, "train", "--resume", "--out", tmp_path, "--betas", 0.9, 0.99)
    assert status == 1 and "betas was (0.8, 0.99) and is now (0.9, 0.99)" in err
    status, _, err = run(capsys, "train", "--resume", "--out", tmp_path, "--optimizer", "sgd")
    assert status == 1 and "betas is no setting of the optimizer sgd" in err


def test_resume_without_a_checkpoint_starts_and_says_so(tmp_path, capsys):
    status, out, _ = run(capsys, "train", *TINY, "--steps", 1, "--resume", "--out", tmp_path)
    assert status == 0 and "resumed   nothing" in out


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("MINIRES_DEBUG", "1")
    with pytest.raises(ValueError, match="no network"):
        main(["train", "--model", "resnet21"])


def test_info_names_every_backend_and_why_it_does_not_work(capsys, tmp_path):
    status, out, _ = run(capsys, "info", "--data-dir", tmp_path)
    assert status == 0
    for name in ("numpy", "numba", "cupy", "numba_cuda", "emulator", "cifar10", "shapes"):
        assert re.search(rf"^  {name} +\S", out, re.MULTILINE)
    assert re.search(r"numpy +works", out)


def test_default_directories_are_numbered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(capsys, "train", *TINY, "--steps", 1)[0] == 0
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "resnet8-shapes",
        "resnet8-shapes-2",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", *TINY, "--epochs", 1, "--steps", 1], "--epochs or --steps, not both"),
        (["train", "--model", "resnet21"], "no network is named 'resnet21'"),
        (
            ["train", *TINY, "--label-smoothing", 2],
            "label_smoothing must be a finite number, at",
        ),
        (["train", *TINY, "--train-size", 10**7], "--train-size is 10,000,000, but shapes has"),
        (["train", *TINY, "--test-size", 10**7], "--test-size is 10,000,000, but shapes has 1,000"),
        (["train", *TINY, "--backend", "numba_cuda"], "backend 'numba_cuda' does not work here"),
        (
            ["eval", "--weights", "missing.safetensors"],
            "missing.safetensors: there is no such file",
        ),
        (["train", "--dataset", "cifar10", "--no-download", "--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_gets_a_sentence_and_status_1(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *arguments)
    assert status == 1 and message in err
    assert "Traceback" not in err and not any(tmp_path.rglob("*.csv"))


def test_weights_of_another_network_are_refused(tmp_path, capsys):
    run(capsys, "train", *TINY, "--steps", 1, "--out", tmp_path)
    weights = tmp_path / "last.safetensors"
    options = ["--model", "resnet14", "--weights", weights]
    status, _, err = run(capsys, "eval", *options)
    assert status == 1 and "missing layer1.1.bn1.bias" in err


def test_a_command_imports_the_laboratory_only_when_it_needs_it():
    program = (
        "import sys; from minires.cli import main; main(['info']); "
        "print([m for m in sys.modules if m.startswith(('minires.benchmarks', 'minires.paper.'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "['minires.paper.setting']"
