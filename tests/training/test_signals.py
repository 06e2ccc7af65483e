"""Signals: a run that is asked to end finishes its step and keeps it; its status says why."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import TINY, words

from minires.cli import main
from minires.training import Config, Trainer
from minires.training.interrupt import StopAfterStep, Stopped
from minires.training.weights import read_arrays

WORDS = words(TINY)
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_the_exit_status_says_which_signal_it_was(tmp_path, monkeypatch, capsys, number, status):
    learn = Trainer.learn

    def interrupted(trainer, x, labels, lr):
        if trainer.step == 1:
            os.kill(os.getpid(), number)
        learn(trainer, x, labels, lr)

    monkeypatch.setattr(Trainer, "learn", interrupted)
    assert main(["train", *WORDS, "--steps=6", "--out", str(tmp_path)]) == status
    said = capsys.readouterr()
    assert f"The last checkpoint, of iteration 2, is in {tmp_path}" in said.out
    assert said.err.splitlines()[-1].startswith("minires: ") and "Traceback" not in said.err


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_a_second_signal_stops_at_once_and_the_checkpoint_is_whole(
    tmp_path, monkeypatch, capsys, number, status
):
    learn = Trainer.learn

    def interrupted(trainer, x, labels, lr):
        if trainer.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), number)
            raise AssertionError("not at once")
        learn(trainer, x, labels, lr)

    monkeypatch.setattr(Trainer, "learn", interrupted)
    assert main(["train", *WORDS, "--steps=6", "--out", str(tmp_path)]) == status
    assert "The last checkpoint, of iteration 0" in capsys.readouterr().out
    monkeypatch.undo()
    assert main(["train", "--resume", "--out", str(tmp_path)]) == 0
    Trainer(Config(**TINY, steps=6, out=str(tmp_path / "whole"))).run(lambda text: None)
    resumed, whole = (read_arrays(p / "checkpoint")[0] for p in (tmp_path, tmp_path / "whole"))
    assert all(array.tobytes() == whole[name].tobytes() for name, array in resumed.items())


def test_nohup_is_respected(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopAfterStep() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.requested.number == signal.SIGTERM
            with pytest.raises(Stopped):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


ON_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # as a shell's child has it
from minires.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_lost_terminal_costs_nothing(tmp_path):
    """The kernel's own SIGHUP: nothing can be printed any more, and the checkpoint is written."""
    master, slave = pty.openpty()
    words = ["train", *WORDS, "--epochs=2000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen, deadline = b"", time.monotonic() + 60
    while b"epoch 2/2000" not in seen and time.monotonic() < deadline:
        seen += os.read(master, 4096)
    os.close(master)
    assert process.wait(timeout=30) == 129
    settings = {"epochs": 2000, "out": str(tmp_path / "run")}
    assert Trainer(Config(**TINY | settings), resume=True).step >= 6


STARTING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == NAME:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter())
"""


@pytest.mark.parametrize("imported", ["numpy", "minires.training", "minires.commands"])
@pytest.mark.parametrize("command", ["module", "script"])
def test_ctrl_c_while_starting_is_a_sentence(tmp_path, imported, command):
    (tmp_path / "sitecustomize.py").write_text(STARTING.replace("NAME", repr(imported)))
    script = Path(sys.executable).with_name("minires")
    if command == "script" and not script.exists():
        pytest.skip("the command minires is not beside this Python")
    words = [str(script)] if command == "script" else [sys.executable, "-m", "minires"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run([*words, "info"], env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "minires: interrupted\n")


def test_a_program_that_imports_minires_keeps_its_own_ctrl_c(tmp_path):
    program = "import signal, minires; print(signal.getsignal(2) is signal.default_int_handler)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout == "True\n"


class TestRestored:
    """A finished run of which files are gone has them again from its checkpoint."""

    def run(self, out, resume=False) -> Trainer:
        trainer = Trainer(Config(**TINY, epochs=2, out=str(out)), resume)
        trainer.said = []
        trainer.run(trainer.said.append)
        return trainer

    @pytest.mark.parametrize("name", ["metrics.csv", "last.safetensors", "curves.png"])
    def test_resume_restores_what_is_gone(self, tmp_path, name):
        self.run(tmp_path)
        before = (tmp_path / name).read_bytes()
        arrays = read_arrays(tmp_path / name) if name.endswith("tensors") else None
        (tmp_path / name).unlink()
        self.run(tmp_path, resume=True)
        if arrays is None:
            assert (tmp_path / name).read_bytes() == before
        else:
            found = read_arrays(tmp_path / name)
            assert found[1] == arrays[1]
            assert all((found[0][key] == array).all() for key, array in arrays[0].items())

    def test_the_best_weights_are_restored_if_they_are_the_last(self, tmp_path):
        trainer = self.run(tmp_path)
        (tmp_path / "best.safetensors").unlink()
        for row, accuracy in zip(trainer.history, (0.1, 0.2), strict=True):
            row["test_acc"] = accuracy
        trainer.restore(trainer.history[-1])
        found, last = (read_arrays(tmp_path / f"{n}.safetensors")[0] for n in ("best", "last"))
        assert all((found[key] == array).all() for key, array in last.items())
        (tmp_path / "best.safetensors").unlink()
        trainer.history[0]["test_acc"] = 0.2  # an earlier one of equals is the best
        trainer.restore(trainer.history[-1])
        assert not (tmp_path / "best.safetensors").exists()
        assert "best.safetensors is gone, and the checkpoint cannot restore" in trainer.said[-1]
        assert "it was of epoch 1" in trainer.said[-1]
