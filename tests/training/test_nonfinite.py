"""A NaN in a training run: it stops the run or costs a step, is named, and is never kept."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_runs import TINY, words

from minires import models, nn
from minires.cli import main
from minires.paper.detection import DetectionConfig, DetectionTrainer
from minires.training import Config, Diverged, Trainer, nonfinite
from minires.training.weights import read_arrays, write_arrays
from minires.watchers import watch

WORDS = words(TINY)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def make(out, resume=False, **more) -> Trainer:
    settings = TINY | {"epochs": 2, "lr": 0.05, "schedule": "constant", "out": str(out)} | more
    return Trainer(Config(**settings), resume)


def silent(_):
    pass


def poison(trainer, iterations, where="layer2.0.conv1") -> Trainer:
    """Have the result of a module be infinite in some iterations, counted from 1."""

    def hook(module, inputs, y):
        if module.training and trainer.step + 1 in iterations:
            return y * math.inf

    dict(trainer.model.named_modules())[where].register_forward_hook(hook)
    return trainer


def finite(path) -> bool:
    return all(np.isfinite(array).all() for array in read_arrays(path)[0].values())


def left(out) -> set[str]:
    return {path.name for path in out.iterdir()}


class TestStop:
    def test_iteration_module_rate_and_remedy_are_named(self, tmp_path):
        with pytest.raises(Diverged) as raised:
            poison(make(tmp_path), {5}).run(silent)
        said = str(raised.value)
        assert said.startswith("iteration 5 (learning rate 0.05): the loss is nan; ")
        assert "first module whose output is not finite is layer2.0.conv1 (Conv2d)" in said
        assert "try a smaller --lr, --warm-up or --clip-grad-norm" in said
        assert "--detect-anomaly names the operation, --on-nan skip leaves such steps out" in said
        assert "The last checkpoint, of iteration 3, is in" in said
        assert finite(tmp_path / "checkpoint") and finite(tmp_path / "last.safetensors")

    def test_an_update_that_overflows_is_named_in_the_next_step(self, tmp_path, monkeypatch):
        trainer = make(tmp_path)

        def overflow():
            trainer.model.layer3[0].conv1.weight.data[0, 0] = np.inf

        monkeypatch.setattr(trainer.optimizer, "step", overflow)
        with pytest.raises(Diverged, match=r"iteration 2 .*3\.0\.conv1\.weight is not finite"):
            trainer.run(silent)

    def test_a_gradient_that_is_not_finite_is_named_before_it_is_learned_from(self, tmp_path):
        trainer = make(tmp_path)

        def overflow(function, direction, compute, *arrays):
            results = compute(*arrays)
            if direction == "backward" and function.name == "linear" and trainer.step == 1:
                return tuple(result * np.float32(np.inf) for result in results)
            return results

        with watch(overflow), pytest.raises(Diverged, match="the gradient of .* is not finite"):
            trainer.run(silent)
        assert not nonfinite.not_finite(trainer.model.state_dict())

    def test_anomaly_detection_names_the_operation(self, tmp_path, capsys):
        options = ["--steps=9", "--lr=1e15", "--detect-anomaly", "--out", str(tmp_path)]
        assert main(["train", *WORDS, *options]) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert "minires: iteration 3 (learning rate 1e+15): conv2d " in said
        assert "ward: element (" in said and "although all its inputs are finite" in said
        assert "Traceback" not in said

    def test_looking_changes_no_bit(self, tmp_path):
        looked_at, plain = make(tmp_path / "looked_at"), make(tmp_path / "plain")
        anomalies = make(tmp_path / "anomalies", detect_anomaly=True)
        skipping = make(tmp_path / "skipping", on_nan="skip")
        assert looked_at.guard is not None
        plain.guard = None
        for trainer in (looked_at, plain, anomalies, skipping):
            trainer.run(silent)
        for other in (plain, anomalies, skipping):
            for name, array in looked_at.model.state_dict().items():
                assert array.tobytes() == other.model.state_dict()[name].tobytes()


class TestNeverKept:
    @pytest.mark.parametrize("every", [1, 500])
    def test_a_dead_statistic_is_found_by_the_test_loss_or_in_the_arrays(
        self, tmp_path, monkeypatch, every
    ):
        """The training loss does not see it: it is of the batch's own statistics."""
        learn = Trainer.learn

        def damage(trainer, x, labels, lr):
            learn(trainer, x, labels, lr)
            if trainer.step == 1:
                trainer.model.bn1.running_mean[0] = np.nan

        monkeypatch.setattr(Trainer, "learn", damage)
        what = "test loss is nan after epoch 1 .*though the training loss is [0-9]" * (every > 1)
        with pytest.raises(Diverged, match=what + ".*bn1.running_mean is not finite"):
            make(tmp_path, checkpoint_every=every).run(silent)
        assert left(tmp_path) == {"config.json", "checkpoint"} and finite(tmp_path / "checkpoint")

    def test_a_network_that_is_dead_in_evaluation_alone_has_its_module_named(self, tmp_path):
        trainer = make(tmp_path)

        def dead(module, inputs, y):
            return y if module.training else y * math.inf

        trainer.model.layer3[0].register_forward_hook(dead)
        with pytest.raises(Diverged, match=r"test loss is nan.*output is not finite is layer3\.0 "):
            trainer.run(silent)
        assert left(tmp_path) == {"config.json", "checkpoint"}

    @pytest.mark.parametrize("lr", [100, 1e6, 1e20, 1e38])
    @pytest.mark.parametrize("every", [1, 500])
    def test_a_rate_far_too_large_ends_in_a_sentence_and_dead_arrays_are_nowhere(
        self, tmp_path, capsys, lr, every
    ):
        options = ["--epochs=6", f"--lr={lr}", f"--checkpoint-every={every}", "--out"]
        status = main(["train", *WORDS, *options, str(tmp_path)])
        files = [path for path in tmp_path.iterdir() if path.suffix in ("", ".safetensors")]
        assert files and all(map(finite, files))
        history = tmp_path / "metrics.csv"
        assert not history.exists() or "nan" not in history.read_text()
        if status:
            assert "training has diverged; try a smaller --lr" in capsys.readouterr().err
        else:  # alive, if no good
            assert lr == 100

    def test_a_buffer_that_is_infinite_by_intention_may_stay_so(self, tmp_path, monkeypatch):
        build = models.build

        def masked(*arguments, **options):
            model = build(*arguments, **options)
            model.register_buffer("mask", np.full(3, -np.inf, np.float32))
            return model

        monkeypatch.setattr(models, "build", masked)
        make(tmp_path, epochs=1).run(silent)
        assert make(tmp_path, epochs=1, resume=True).run(silent)["step"] == 3

    def test_a_dead_detector_is_not_kept(self, tmp_path, monkeypatch):
        step = DetectionTrainer._step

        def damage(trainer, *batch):
            losses = step(trainer, *batch)
            trainer.detector.shared.bn.running_var[0] = np.inf
            return losses

        monkeypatch.setattr(DetectionTrainer, "_step", damage)
        with pytest.raises(Diverged, match="shared.bn.running_var is not finite"):
            DetectionTrainer(detection(tmp_path)).run(silent)
        assert left(tmp_path) == {"config.json", "checkpoint"} and finite(tmp_path / "checkpoint")


def detection(out, **more) -> DetectionConfig:
    settings = {"model": "vgg8", "train_size": 8, "test_size": 2, "image_size": 32, "epochs": 2}
    return DetectionConfig(
        **settings | {"batch_size": 4, "backend": "numpy", "out": str(out)}, **more
    )


class TestSkip:
    def test_a_step_that_is_left_out_leaves_no_trace(self, tmp_path, monkeypatch):
        trainer, states = poison(make(tmp_path, on_nan="skip"), {2}), []
        step = Trainer._train_step

        def recorded(trainer, x, labels):
            states.append(self_state(trainer))
            step(trainer, x, labels)

        def self_state(trainer):
            arrays = trainer.model.state_dict() | trainer.optimizer.state()
            return {name: array.tobytes() for name, array in arrays.items()}

        monkeypatch.setattr(Trainer, "_train_step", recorded)
        said = []
        history = trainer.run(said.append) and trainer.history
        assert states[1] == states[2] != states[3]  # before and after iteration 2
        assert said[0].startswith("left out iteration 2 (learning rate 0.05): the loss is nan")
        assert "layer2.0.conv1 (Conv2d)" in said[0] and "1 steps left out so far" in said[1]
        assert trainer.skipped == 1 and trainer.step == 6
        assert all(math.isfinite(value) for row in history for value in row.values())

    def test_a_run_that_left_steps_out_resumes_to_the_same_bits(self, tmp_path, monkeypatch):
        poison(make(tmp_path / "whole", on_nan="skip"), {2, 5}).run(silent)

        class Killed(BaseException):
            pass

        step = Trainer._train_step

        def killed(trainer, x, labels):
            if trainer.step == 5:
                raise Killed
            step(trainer, x, labels)

        monkeypatch.setattr(Trainer, "_train_step", killed)
        with pytest.raises(Killed):
            more = {"on_nan": "skip", "checkpoint_every": 2}
            poison(make(tmp_path / "killed", **more), {2, 5}).run(silent)
        monkeypatch.undo()
        resumed = poison(make(tmp_path / "killed", resume=True, on_nan="skip"), {2, 5})
        assert (resumed.step, resumed.skipped) == (4, 1)
        resumed.run(silent)
        arrays = [read_arrays(tmp_path / run / "checkpoint")[0] for run in ("whole", "killed")]
        assert all(
            array.tobytes() == arrays[1][name].tobytes() for name, array in arrays[0].items()
        )
        assert resumed.skipped == 2

    def test_a_run_that_stopped_goes_on_by_leaving_the_step_out(self, tmp_path):
        """The policy is no setting of what is trained: it may change."""
        with pytest.raises(Diverged):
            poison(make(tmp_path), {5}).run(silent)
        resumed = poison(make(tmp_path, resume=True, on_nan="skip"), {5})
        assert resumed.step == 3 and resumed.run(silent)["step"] == 6 and resumed.skipped == 1

    def test_a_checkpoint_from_before_steps_could_be_left_out_is_resumed(self, tmp_path):
        make(tmp_path).run(silent)
        arrays, metadata = read_arrays(tmp_path / "checkpoint")
        state, settings = json.loads(metadata["state"]), json.loads(metadata["config"])
        del state["run"]["skipped"], state["run"]["skipped_in_a_row"]
        del settings["on_nan"], settings["detect_anomaly"]
        metadata |= {"state": json.dumps(state), "config": json.dumps(settings)}
        write_arrays(tmp_path / "checkpoint", arrays, metadata)
        assert make(tmp_path, resume=True, on_nan="skip").run(silent)["step"] == 6

    def test_too_many_in_a_row_stop_the_run(self, tmp_path, monkeypatch):
        monkeypatch.setattr(nonfinite, "MOST_IN_A_ROW", 2)
        trainer = poison(make(tmp_path, on_nan="skip"), {4, 5, 6})
        with pytest.raises(Diverged, match="iteration 6 .* 2 steps before it were left out"):
            trainer.run(silent)
        trainer = poison(make(tmp_path / "other", on_nan="skip"), {2, 3, 5, 6})
        assert trainer.run(silent)["step"] == 6 and trainer.skipped == 4

    def test_an_epoch_of_which_nothing_is_left_stops_the_run(self, tmp_path):
        with pytest.raises(Diverged, match="every step of epoch 2 was left out"):
            poison(make(tmp_path, on_nan="skip", checkpoint_every=1), {4, 5, 6}).run(silent)

    def test_the_command_line_says_how_many(self, tmp_path, capsys, monkeypatch):
        original = Trainer.__init__

        def poisoned(trainer, *arguments):
            original(trainer, *arguments)
            poison(trainer, {2})

        monkeypatch.setattr(Trainer, "__init__", poisoned)
        options = ["--steps=3", "--on-nan=skip", "--out", str(tmp_path)]
        assert main(["train", *WORDS, *options]) == 0
        assert "; 1 steps were left out" in capsys.readouterr().out.splitlines()[-1]
        assert json.loads((tmp_path / "config.json").read_text())["on_nan"] == "skip"

    def test_a_detector_leaves_steps_out_too(self, tmp_path):
        trainer = poison(DetectionTrainer(detection(tmp_path, on_nan="skip")), {2}, "shared.conv")
        assert trainer.run(silent)["step"] == 4
        assert trainer.skipped == 1

    def test_a_stray_dropout_mask_is_drawn_anew(self, tmp_path):
        """The generator goes back with all else: the next step draws what this one drew."""
        run = SimpleNamespace(
            model=nn.Dropout(0.5), config=make(tmp_path, on_nan="skip").config, step=0, note=silent
        )
        run.skipped = run.skipped_in_a_row = 0
        run.schedule = lambda step: 0.1
        guard, drawn = nonfinite.Guard(run), []

        def step():
            from minires import backend

            drawn.append(backend.generator().random())
            if len(drawn) == 1:
                raise nonfinite.NotFinite("the loss is nan")

        assert not guard.take(step, lambda: None) and guard.take(step, lambda: None)
        assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"on_nan": "ignore"}, "on_nan is stop or skip, but is 'ignore'"),
        ({"graph": True, "on_nan": "skip"}, "--graph excludes --on-nan skip"),
        ({"graph": True, "detect_anomaly": True}, "--graph excludes .* --detect-anomaly"),
    ],
)
def test_what_excludes_each_other_is_said(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "?"])
def test_large_numbers_are_finite(dtype):
    """Also those whose square is none."""
    largest = np.finfo(dtype).max if dtype[0] == "f" else 1
    array = np.full((3, 4), largest, dtype)
    assert nonfinite.is_finite(array) and nonfinite.is_finite(array[:, ::2])
    if dtype[0] == "f":
        for value in (np.nan, np.inf, -np.inf):
            array[2, 3] = value
            assert not nonfinite.is_finite(array)
