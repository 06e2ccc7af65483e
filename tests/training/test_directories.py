"""The directory of a run: resumed by its own settings, one process at a time, every file whole."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import TINY, words

from minires.cli import main
from minires.paper import gradnorm
from minires.paper.detection import DetectionConfig, DetectionTrainer
from minires.paper.gradients import Watched
from minires.paper.setting import BUDGETS, Budget
from minires.training import Config, Trainer, TrainingError, directory
from minires.training.weights import read_arrays

OWN = TINY | {"seed": 7, "lr": 0.05}
WORDS = words(OWN)


def config(out, **more) -> Config:
    return Config(**OWN | {"epochs": 2, "out": str(out)} | more)


def detection(out, **more) -> DetectionConfig:
    settings = {"model": "vgg8", "train_size": 8, "test_size": 2, "image_size": 32, "epochs": 1}
    return DetectionConfig(**settings | {"batch_size": 4, "out": str(out), "seed": 7} | more)


def silent(_):
    pass


def same_arrays(one: Path, other: Path) -> bool:
    first, second = read_arrays(one)[0], read_arrays(other)[0]
    return first.keys() == second.keys() and all(
        array.tobytes() == second[name].tobytes() for name, array in first.items()
    )


class Killed(BaseException):
    """Stands for kill -9: nothing that comes after it is done."""


class TestResumedByItsOwnSettings:
    @pytest.mark.parametrize("left", ["checkpoint", "config.json"])
    def test_a_run_killed_before_its_first_step_is_resumed_as_it_was(
        self, tmp_path, monkeypatch, capsys, left
    ):
        """Its directory alone says network, seed and rate; also without a checkpoint."""
        Trainer(config(tmp_path / "whole")).run(silent)

        def killed(*arguments):
            raise Killed

        monkeypatch.setattr(Trainer, "_train_step", killed)
        with pytest.raises(Killed):
            Trainer(config(tmp_path / "early")).run(silent)
        monkeypatch.undo()
        for name in {"checkpoint", "config.json"} - {left}:
            (tmp_path / "early" / name).unlink()
        assert main(["train", "--out", str(tmp_path / "early"), "--resume"]) == 0
        said = capsys.readouterr().out
        assert "resnet8" in said and ("with the settings of" in said) == (left == "config.json")
        assert same_arrays(*(tmp_path / run / "last.safetensors" for run in ("early", "whole")))
        found = json.loads((tmp_path / "early" / "config.json").read_text())
        assert (found["model"], found["seed"], found["lr"], found["epochs"]) == (
            *("resnet8", 7, 0.05),
            2,
        )

    @pytest.mark.parametrize("left", ["checkpoint", "config.json"])
    def test_other_settings_are_refused_also_without_a_checkpoint(
        self, tmp_path, monkeypatch, capsys, left
    ):
        monkeypatch.setattr(Trainer, "_finish_epoch", lambda *a: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            Trainer(config(tmp_path)).run(silent)
        for name in {"checkpoint", "config.json"} - {left}:
            (tmp_path / name).unlink()
        assert main(["train", "--out", str(tmp_path), "--resume", "--seed", "8"]) == 1
        assert "seed was 7 and is now 8" in capsys.readouterr().err

    def test_a_run_killed_before_it_left_anything_is_not_replaced_by_another(
        self, tmp_path, monkeypatch, capsys
    ):
        """Nobody knows any more what it was to train: the defaults are another network."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "early").mkdir()
        for given in (["--out", "early"], ["--out", "never"], ["--out=early", "--on-nan=skip"], []):
            assert main(["train", "--resume", *given]) == 1
            assert "there is nothing to resume in" in capsys.readouterr().err
        assert not any((tmp_path / "early").iterdir()) and len([*tmp_path.iterdir()]) == 1
        assert main(["train", "--resume", "--out", "early", *WORDS, "--steps=1"]) == 0
        assert "resumed   nothing" in capsys.readouterr().out

    def test_a_directory_with_settings_alone_is_not_overwritten(self, tmp_path):
        (tmp_path / "config.json").write_text(config(tmp_path).to_json())
        with pytest.raises(TrainingError, match="already holds a training run.*--resume"):
            Trainer(config(tmp_path, seed=8))

    @pytest.mark.parametrize("content", ["{", "[]", '{"colour": 3}', "[" * 100_000])
    def test_damaged_settings_are_said_in_a_sentence(self, tmp_path, capsys, content):
        (tmp_path / "config.json").write_text(content)
        assert main(["train", "--out", str(tmp_path), "--resume"]) == 1
        assert "config.json: not the settings of a training run" in capsys.readouterr().err

    def test_a_checkpoint_is_there_before_the_first_step(self, tmp_path, monkeypatch):
        def step(trainer, x, labels):
            assert (trainer.saved_step, (tmp_path / "checkpoint").exists()) == (0, True)
            raise Killed

        monkeypatch.setattr(Trainer, "_train_step", step)
        with pytest.raises(Killed):
            Trainer(config(tmp_path)).run(silent)
        assert Trainer(config(tmp_path), resume=True).resumed

    def test_a_detector_killed_in_its_first_step_is_resumed_to_the_same_bits(
        self, tmp_path, monkeypatch
    ):
        DetectionTrainer(detection(tmp_path / "whole")).run(silent)

        def killed(*arguments):
            raise Killed

        monkeypatch.setattr(DetectionTrainer, "_step", killed)
        with pytest.raises(Killed):
            DetectionTrainer(detection(tmp_path / "early")).run(silent)
        monkeypatch.undo()
        with pytest.raises(TrainingError, match="seed was 7 and is now 8"):
            DetectionTrainer(detection(tmp_path / "early", seed=8))
        resumed = DetectionTrainer(detection(tmp_path / "early"))
        assert resumed.resumed and resumed.step == 0
        resumed.run(silent)
        assert same_arrays(*(tmp_path / run / "checkpoint" for run in ("early", "whole")))

    def test_a_watched_run_killed_in_its_first_step_is_resumed(self, tmp_path, monkeypatch):
        def killed(*arguments):
            raise Killed

        monkeypatch.setattr(Watched, "learn", killed)
        with pytest.raises(Killed):
            Watched(config(tmp_path)).run(silent)
        monkeypatch.undo()
        Watched(config(tmp_path), resume=True).run(silent)
        assert json.loads((tmp_path / "gradients.json").read_text())["steps"] == [*range(6)]

    @pytest.mark.parametrize("content", [None, "", "[]", '{"steps": [0]}', "[" * 100_000])
    def test_norms_that_are_gone_are_said_in_a_sentence(self, tmp_path, content):
        Watched(config(tmp_path)).run(silent)
        (tmp_path / "gradients.json").unlink()
        if content is not None:
            (tmp_path / "gradients.json").write_text(content)
        with pytest.raises(TrainingError, match="gradients.json does not hold the norms of the f"):
            Watched(config(tmp_path), resume=True)

    def test_what_is_said_of_the_last_checkpoint_is_true(self, tmp_path, monkeypatch, capsys):
        """After a second Ctrl-C, which interrupts at once."""

        def step(trainer, *arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(Trainer, "_train_step", step)
        assert main(["train", *WORDS, "--out", str(tmp_path)]) == 130
        assert f"The last checkpoint, of iteration 0, is in {tmp_path}" in capsys.readouterr().out
        monkeypatch.setattr(Trainer, "_run", step)
        assert main(["train", *WORDS, "--out", str(tmp_path / "new")]) == 130
        assert f"There is no checkpoint yet in {tmp_path / 'new'}" in capsys.readouterr().out

    def test_a_run_that_diverges_says_where_its_last_checkpoint_is(self, tmp_path):
        with (
            np.errstate(all="ignore"),
            pytest.raises(TrainingError, match="The last checkpoint, of iteration 0, is in"),
        ):
            Trainer(config(tmp_path, lr=1e20)).run(silent)
        assert (tmp_path / "checkpoint").exists()


HOLD = """
import sys, time
from pathlib import Path
from minires.training.directory import locked
with locked(Path(sys.argv[1]), *sys.argv[2:]):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A function that starts another process, which has the lock of `tmp_path`."""
    started = []

    def hold(*names) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLD, str(tmp_path), *names]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "locked\n"
        return started[-1]

    yield hold
    for process in started:
        process.kill()
        process.communicate()


class TestOneProcessAtATime:
    @pytest.mark.parametrize("more", [[], ["--resume"]])
    def test_a_second_process_is_told_which_one_is_at_work(self, tmp_path, holder, capsys, more):
        other = holder()
        before = sorted(tmp_path.iterdir())
        assert main(["train", *WORDS, "--out", str(tmp_path), *more]) == 1
        assert f"{tmp_path} is in use by process {other.pid}" in capsys.readouterr().err
        assert sorted(tmp_path.iterdir()) == before

    def test_a_detector_is_told_so_too(self, tmp_path, holder):
        trainer = DetectionTrainer(detection(tmp_path))
        other = holder()
        with pytest.raises(directory.InUse, match=f"in use by process {other.pid}"):
            trainer.run(silent)
        with pytest.raises(directory.InUse, match=f"in use by process {other.pid}"):
            DetectionTrainer(detection(tmp_path))

    def test_death_releases_the_lock(self, tmp_path, holder):
        holder().send_signal(signal.SIGKILL)
        for _ in range(200):
            try:
                Trainer(config(tmp_path)).run(silent)
                break
            except directory.InUse:
                threading.Event().wait(0.05)
        assert (tmp_path / "last.safetensors").exists() and not (tmp_path / ".lock").exists()

    def test_two_runs_of_one_process_exclude_each_other(self, tmp_path):
        with directory.locked(tmp_path):
            with pytest.raises(directory.InUse, match="in use by this very process"):
                with directory.locked(tmp_path):
                    pass

    def test_a_lock_is_never_held_twice(self, tmp_path):
        """Also where it is released, and its file removed, while others wait for it."""
        inside, most, taken = [], [], []

        def work():
            for _ in range(50):
                try:
                    with directory.locked(tmp_path):
                        inside.append(1)
                        most.append(len(inside))
                        inside.pop()
                        taken.append(1)
                except directory.InUse:
                    pass

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(most) == 1 and len(taken) > 50

    def test_what_another_process_has_trained_meanwhile_is_not_overwritten(self, tmp_path):
        slow = Trainer(config(tmp_path))
        Trainer(config(tmp_path, seed=8)).run(silent)
        with pytest.raises(TrainingError, match="another process has trained in .* meanwhile"):
            slow.run(silent)
        assert json.loads((tmp_path / "config.json").read_text())["seed"] == 8

    def test_two_runs_without_out_get_two_directories(self, tmp_path):
        """At the same moment, with other seeds: each directory is that of one run."""
        words = [word for word in WORDS if not word.startswith("--seed")]
        command = [sys.executable, "-m", "minires", "train", *words, "--epochs=1"]
        runs = [
            subprocess.Popen([*command, f"--seed={seed}"], cwd=tmp_path, stdout=subprocess.PIPE)
            for seed in (0, 1)
        ]
        said = [run.communicate()[0].decode() for run in runs]
        assert [run.returncode for run in runs] == [0, 0]
        seeds = {}
        for path in (tmp_path / "runs").iterdir():
            seeds[path.name] = json.loads((path / "config.json").read_text())["seed"]
            assert f"results   runs/{path.name}\n" in said[seeds[path.name]]
            whole = json.loads(read_arrays(path / "checkpoint")[1]["config"])
            assert whole["seed"] == seeds[path.name]
        assert sorted(seeds) == ["resnet8-shapes", "resnet8-shapes-2"]
        assert sorted(seeds.values()) == [0, 1]

    @pytest.mark.parametrize("deleted", ["the lock", "everything"])
    def test_a_directory_that_was_given_to_another_run_meanwhile_is_left_alone(
        self, tmp_path, monkeypatch, deleted
    ):
        """Somebody deletes what a run is at work with, and begins another one there."""
        place, other = tmp_path / "run", config(tmp_path / "run", seed=8, epochs=1)
        learn = Trainer.learn

        def interrupted(trainer, *arguments):
            learn(trainer, *arguments)
            if trainer.config.seed == 7 and trainer.step == 1:
                for path in place.iterdir():
                    if deleted == "everything" or path.name == ".lock":
                        path.unlink()
                if deleted == "everything":
                    place.rename(tmp_path / "gone")  # its inode is not given anew
                    Trainer(other).run(silent)
                else:
                    holders.append(directory.Lock(place, ""))

        holders = []
        monkeypatch.setattr(Trainer, "learn", interrupted)
        sentence = "was deleted and made anew" if deleted == "everything" else "is in use by"
        with pytest.raises(directory.InUse, match=sentence):
            Trainer(config(place, checkpoint_every=2)).run(silent)
        if deleted == "everything":
            found = json.loads(read_arrays(place / "checkpoint")[1]["config"])
            assert found["seed"] == json.loads((place / "config.json").read_text())["seed"] == 8
        assert (place / ".lock").exists() == bool(holders)
        for holder in holders:
            holder.release()

    def test_a_lock_that_was_deleted_is_taken_again(self, tmp_path):
        with directory.locked(tmp_path) as lock:
            (tmp_path / ".lock").unlink()
            lock.require()
            with pytest.raises(directory.InUse):
                directory.refuse_if_in_use(tmp_path)
        assert not (tmp_path / ".lock").exists()

    def test_names_are_given_once(self, tmp_path):
        names = []
        base = str(tmp_path / "runs" / "net")
        threads = [
            threading.Thread(target=lambda: names.append(directory.claim(base))) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(names) == sorted([base, *(f"{base}-{n}" for n in range(2, 21))])

    def test_a_run_that_cannot_begin_leaves_no_directory(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        options = ["--dataset", "cifar10", "--no-download", "--data-dir", "nowhere"]
        assert main(["train", *options]) == 1
        assert not any((tmp_path / "runs").iterdir())

    def test_reproduce_twice_at_once_is_refused(self, tmp_path, holder, capsys):
        other = holder("gradnorm")
        words = ["reproduce", "gradnorm", "--budget", "smoke", "--out", str(tmp_path)]
        assert main(words) == 1
        assert f"in use by process {other.pid}" in capsys.readouterr().err
        assert not (tmp_path / "runs").exists()

    def test_two_experiments_do_not_train_one_network_at_once(
        self, tmp_path, monkeypatch, capsys, holder
    ):
        tiny = {name: value for name, value in OWN.items() if name not in ("model", "seed", "lr")}
        for budgets in (BUDGETS, gradnorm.BUDGETS):
            monkeypatch.setitem(budgets, "smoke", Budget("tiny", tiny | {"steps": 2}))
        out = tmp_path
        tmp_path.joinpath("runs/resnet8-watched-seed0").mkdir(parents=True)
        tmp_path = tmp_path / "runs" / "resnet8-watched-seed0"
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            other.stdout.readline()
            words = ["reproduce", "gradnorm", "--budget", "smoke", "--model", "resnet8"]
            assert main([*words, "--out", str(out)]) == 1
            assert f"{tmp_path} is in use by process {other.pid}" in capsys.readouterr().err
            other.kill()


class TestEveryFileIsWhole:
    def test_a_file_is_on_the_disk_before_it_has_its_name(self, tmp_path, monkeypatch):
        """The order of writes: content, then name, then the directory that holds the name."""
        order = []

        def record(name, describe):
            original = getattr(os, name)

            def recorded(*arguments):
                order.append((name, describe(*arguments)))
                return original(*arguments)

            monkeypatch.setattr(directory.os, name, recorded)

        def opened(descriptor):
            return Path(os.readlink(f"/proc/self/fd/{descriptor}"))

        record("fsync", opened)
        record("replace", lambda old, new: (Path(old), Path(new)))
        Trainer(config(tmp_path / "new" / "run", epochs=1)).run(silent)
        assert order[:2] == [("fsync", tmp_path / "new"), ("fsync", tmp_path)]  # made anew
        writes = [order[i : i + 3] for i in range(2, len(order), 3)]
        names = []
        for (first, partial), (second, (old, new)), (third, place) in writes:
            assert (first, second, third) == ("fsync", "replace", "fsync")
            assert partial == old and place == new.parent
            names.append(new.name)
        assert names[:2] == ["config.json", "checkpoint"] and names[-1] == "checkpoint"
        assert {*names} == {path.name for path in (tmp_path / "new" / "run").iterdir()}

    def test_two_writers_never_show_half_a_file(self, tmp_path):
        path, contents = tmp_path / "file", [bytes([n]) * 300_000 for n in (1, 2)]
        program = (
            "import sys; from pathlib import Path; from minires.training import directory\n"
            "directory.os.fsync = lambda descriptor: None\n"  # to write more often
            "while True: directory.write_atomically(Path(sys.argv[1]), bytes([int(sys.argv[2])]) "
            "* 300_000)"
        )
        writers = [
            subprocess.Popen([sys.executable, "-c", program, str(path), str(n)]) for n in (1, 2)
        ]
        try:
            while len({*tmp_path.glob(".file.*")}) < 2 or not path.exists():
                assert all(writer.poll() is None for writer in writers)
            seen = {path.read_bytes() for _ in range(300)}
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
        assert seen <= {*contents}

    def test_what_a_killed_process_left_half_written_is_removed(self, tmp_path):
        for name in (".checkpoint.123-abcd.part", ".metrics.csv.part"):
            (tmp_path / name).write_bytes(b"half")
        Trainer(config(tmp_path, epochs=1)).run(silent)
        assert not [*tmp_path.glob(".*")]

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
    def test_a_disk_that_fails_names_the_file_and_keeps_the_earlier_one(
        self, tmp_path, monkeypatch, capsys, number
    ):
        Trainer(config(tmp_path, epochs=1)).run(silent)
        before = (tmp_path / "checkpoint").read_bytes()

        def full(descriptor):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(directory.os, "fsync", full)
        with pytest.raises(OSError) as raised:
            directory.write_atomically(tmp_path / "checkpoint", b"other")
        assert raised.value.filename == str(tmp_path / "checkpoint")
        assert raised.value.errno == number
        monkeypatch.setattr(directory, "make_directory", lambda path: path.mkdir())
        assert main(["train", *WORDS, "--out", str(tmp_path / "other")]) == 1
        sentence = f"minires: {tmp_path / 'other' / 'config.json'}: {os.strerror(number)}\n"
        assert capsys.readouterr().err.endswith(sentence)
        assert (tmp_path / "checkpoint").read_bytes() == before
        assert not [*tmp_path.glob(".*.part")]
