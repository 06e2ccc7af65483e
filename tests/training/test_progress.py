"""What is seen of a run while it goes on; caches; a command whose output nobody reads."""

import io
import json
import os
import subprocess
import sys
import time

import pytest

from minires import caches, cli, progress
from minires.progress import LogLines
from minires.training import Config, Trainer
from minires.training.history import History


class TestLogLines:
    def test_a_line_comes_after_a_while_and_tells_rate_and_time(self, capsys):
        lines = LogLines(1000, "step", "epoch 1/3", initial=100)
        progress.count_first(lines)
        assert capsys.readouterr().err == ""  # not yet
        lines.start_t -= 10
        lines.due = 0
        lines.set_postfix_str("loss 0.5")
        lines.update(50)
        said = capsys.readouterr().err
        assert said.startswith("epoch 1/3: 151 of 1,000 steps, 5 steps/s, 0:02:50 left, loss 0.5\n")
        lines.update(50)
        assert capsys.readouterr().err == ""

    def test_a_log_has_whole_lines_and_a_terminal_a_bar(self, monkeypatch):
        assert isinstance(progress.bar(10, "step"), LogLines)
        monkeypatch.setattr(progress, "in_notebook", lambda: True)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with progress.bar(10, "step", "epoch 1/1") as shown:
            shown.update(5)
        assert "5/10" in sys.stderr.getvalue() or "0/10" in sys.stderr.getvalue()

    @pytest.mark.parametrize("rows", [0, 24])
    def test_a_terminal_without_a_size_has_lines(self, rows, monkeypatch):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setattr(sys.stderr, "fileno", lambda: 2)
        size = os.terminal_size((80, rows))
        monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: size)
        assert progress.on_terminal() == bool(rows)

    @pytest.mark.parametrize("lively", [False, True])
    def test_the_first_step_is_in_no_rate(self, lively, monkeypatch):
        monkeypatch.setattr(progress, "in_notebook", lambda: lively)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with progress.bar(100, "step") as shown:
            shown.start_t -= 1000  # compiling
            shown.last_print_t = shown.due = before = 0
            progress.count_first(shown)
            assert "1/100" not in sys.stderr.getvalue()  # nothing is promised by it
            assert "1 of" not in sys.stderr.getvalue()
            before = time.time() - 1
            assert shown.start_t >= before and shown.initial == shown.n == 1
            shown.start_t -= 10
            shown.due = 0
            shown.update(99)
            said = sys.stderr.getvalue() + str(shown)
        assert "9.9" in said.replace("9.90", "9.9") and "0.0" not in said.split("step")[-1]


def test_a_history_is_one_line_and_in_a_notebook_a_table():
    rows = [
        {"epoch": n, "step": 10 * n, "lr": 0.1, "train_loss": 1 / n, "test_acc": 0.5, "seconds": 9}
        for n in (1, 2)
    ]
    assert repr(History(rows)) == "History(2 epochs; the last: train_loss 0.5, test_acc 0.5)"
    assert repr(History()) == "History(0 epochs)" and History(rows) == rows
    page = History([*rows, {"epoch": 3, "step": 30, "train_loss": "<b>"}])._repr_html_()
    assert page.count("<tr>") == 4 and "<th>train_loss</th>" in page and "<b>" not in page
    assert json.loads(json.dumps(History(rows))) == rows


class TestCaches:
    @pytest.fixture
    def place(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
        code, library = tmp_path / "minires" / ("0a" * 8), tmp_path / "minires" / "emulator"
        for folder in (code, library, tmp_path / "minires" / "mine", tmp_path / "others"):
            folder.mkdir(parents=True)
            (folder / "file").write_bytes(b"x" * 1000)
        return tmp_path

    def test_they_are_told_and_removed_and_nothing_else(self, place, capsys):
        assert cli.main(["info"]) == 0
        said = capsys.readouterr().out
        assert f"machine code of Numba: 0.0 MB in 1 files, {place}/minires" in said
        assert cli.main(["info", "--clear-caches"]) == 0
        assert "removed 0.0 MB; the next run compiles anew" in capsys.readouterr().out
        kept = {path.parent.name for path in place.rglob("file")}
        assert kept == {"mine", "others"} and caches.clear() == 0


@pytest.mark.parametrize("words", ["info", "train --help"])
def test_output_that_nobody_reads_ends_in_silence(words):
    command = f"{sys.executable} -m minires {words} | head -1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert "minires" in result.stdout and result.stderr == ""


def test_a_command_is_told_of_its_option_and_not_of_pythons(tmp_path, capsys):
    words = ["train", "--dataset", "cifar10", "--no-download", "--data-dir", str(tmp_path)]
    assert cli.main(words) == 1
    said = capsys.readouterr().err
    assert "or leave --no-download out" in said and "download=True" not in said


def test_a_wrong_word_is_told_in_one_line(capsys):
    for words in (["train", "--optimizer", "rmsprop"], ["trian"], ["train", "--stps", "3"], []):
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        said = capsys.readouterr().err
        assert end.value.code == 2 and said.startswith("minires: ") and said.count("\n") == 1


def test_a_run_shows_no_rate_with_its_first_step_in_it(tmp_path, monkeypatch, capsys):
    """The first step takes two seconds more, as if it compiled."""
    sizes = {"image_size": 8, "train_size": 64, "test_size": 32, "batch_size": 8, "epochs": 1}
    config = Config("resnet8", dataset="shapes", backend="numpy", out=str(tmp_path), **sizes)
    trainer = Trainer(config)
    learn = trainer.learn

    def slow_at_first(*arguments):
        time.sleep(2.0 if trainer.step == 0 else 0)
        learn(*arguments)

    monkeypatch.setattr(trainer, "learn", slow_at_first)
    monkeypatch.setattr(LogLines, "FIRST", 0.0)
    monkeypatch.setattr(LogLines, "EVERY", 0.0)
    trainer.run(note=lambda line: None)
    lines = [line for line in capsys.readouterr().err.splitlines() if "images/s" in line]
    assert lines and "1 of 8 steps" not in lines[0]
    speeds = [float(line.split(", ")[-1].split()[0]) for line in lines]
    assert min(speeds) > 35  # with the first step it would be less than 32
