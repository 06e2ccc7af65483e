"""Files that are damaged, hostile or from elsewhere: sentences, no surprise, equal bytes."""

import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from minires import cli, models, nn, training
from minires.data import DataError, Normalization, load_cifar10, pickled
from minires.data.download import extract
from minires.interop import load_torch_state_dict
from minires.training import checkpoint, load_weights, save_weights
from minires.training.weights import WeightsError, read_arrays, write_arrays

# ruff: noqa: E501  (tables)
NORM = Normalization.make("cifar10")


class Scale(nn.Module):
    """A module with a parameter and a buffer without axes."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(np.float32(3.5))
        self.register_buffer("count", np.array(7, np.int64))


class TestWeights:
    def save(self, tmp_path, name="w.safetensors"):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(4))
        save_weights(tmp_path / name, model, NORM, {"model": "mine", "zebra": "1", "apple": "2"})
        return tmp_path / name

    def test_every_flipped_bit_is_noticed(self, tmp_path):
        path = self.save(tmp_path)
        content = path.read_bytes()
        whole = read_arrays(path)
        rng = np.random.default_rng(0)
        refused = 0
        for place in rng.permutation(len(content))[:400]:
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                arrays, metadata = read_arrays(path)
            except WeightsError as error:
                assert str(path) in str(error)
                refused += 1
            else:  # a blank between two words of the header that became another one
                # Or the checksum's own name, so that it is none; what it guards is whole.
                assert {k: v for k, v in metadata.items() if len(v) != 64} == whole[1]
                assert all(np.array_equal(arrays[name], whole[0][name]) for name in whole[0])
        assert refused >= 380

    def test_the_sentence_says_that_the_file_is_damaged(self, tmp_path):
        path = self.save(tmp_path)
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
        with pytest.raises(
            WeightsError, match=f"{path}: the file is damaged, since its content does"
        ):
            load_weights(path, nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(4)))

    def test_equal_weights_make_equal_files(self, tmp_path):
        models.resnet8()  # draws numbers
        digests = set()
        for i in range(6):
            code = (
                "import minires as mr; from minires import nn\n"
                "from minires.data import Normalization\n"
                "from minires.training import save_weights\n"
                "mr.seed(3); m = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(4))\n"
                "notes = {'model': 'x', 'shortcut': 'A', 'dataset': 'shapes', 'image_size': '32'}\n"
                f"save_weights({str(tmp_path / f'{i}')!r}, m, Normalization.make('cifar10'), notes)"
            )
            if i == 0:
                subprocess.run([sys.executable, "-c", code], check=True)
            else:
                exec(code, {})
            digests.add(hashlib.sha256((tmp_path / f"{i}").read_bytes()).hexdigest())
        assert len(digests) == 1

    def test_parameters_without_axes_are_saved(self, tmp_path):
        save_weights(tmp_path / "w", Scale())
        other = Scale()
        other.scale.data[...] = 0
        other.count[...] = 0
        assert load_weights(tmp_path / "w", other) is None
        assert other.scale.item() == 3.5 and other.count == 7 and other.scale.shape == ()

    def test_a_tilde_is_the_home_directory(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "deep").mkdir()
        save_weights("~/deep/w.safetensors", models.resnet8(), NORM, {"model": "resnet8"})
        assert (tmp_path / "deep" / "w.safetensors").exists()
        load_weights("~/deep/w.safetensors", models.resnet8())
        assert training.Config(out="~/runs/x", data_dir="~/data").out == f"{tmp_path}/runs/x"
        with pytest.raises(DataError, match=f"no CIFAR-10 in {tmp_path}/nothing"):
            load_cifar10("~/nothing")
        with pytest.raises(ValueError, match=f"{tmp_path}/none.pt|PyTorch"):
            load_torch_state_dict("~/none.pt")
        assert cli.main(["eval", "--weights", "~/missing.safetensors"]) == 1
        assert f"{tmp_path}/missing.safetensors: there is no such file" in capsys.readouterr().err
        assert not [path for path in os.listdir() if path.startswith("~")]

    def test_a_file_without_a_checksum_is_read(self, tmp_path):
        from safetensors.numpy import save_file

        save_file({"a": np.arange(3.0)}, tmp_path / "w", {"model": "x"})
        arrays, metadata = read_arrays(tmp_path / "w")
        assert arrays["a"].tolist() == [0, 1, 2] and metadata == {"model": "x"}

    def test_bfloat16_is_read_exactly_and_shorter_floats_are_named(self, tmp_path):
        values = np.array([1.5, -2.0, 3e38, 0.0], np.float32)
        halves = (values.view(np.uint32) >> 16).astype("<u2").tobytes()

        def file(dtype, data, shape):
            header = {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)
            (tmp_path / "w").write_bytes(struct.pack("<Q", len(text)) + text + data)
            return tmp_path / "w"

        found = read_arrays(file("BF16", halves, [2, 2]))[0]["a"]
        expected = (values.view(np.uint32) & 0xFFFF0000).view(np.float32).reshape(2, 2)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float32
        for dtype in ("F8_E4M3", "F8_E5M2"):
            with pytest.raises(WeightsError, match=f"a holds {dtype} numbers, which are not read"):
                read_arrays(file(dtype, b"\0\0", [2]))

    @pytest.mark.parametrize(
        "metadata",
        [
            {"normalization": "x", "normalization_mean": "[" * 100_000, "normalization_inv_std": "1"},
            {"normalization": "x", "normalization_mean": "{}", "normalization_inv_std": "[1,1,1]"},
            {"normalization": "x", "normalization_mean": "[NaN,0,0]", "normalization_inv_std": "[1,1,1]"},
            {"normalization": "x", "normalization_mean": "[0,0]", "normalization_inv_std": "[1,1]"},
            {"image_size": "1e9"},
            {"image_size": "-3"},
            {"image_size": "99999999999"},
            {"model": "resnet99998"},
            {"model": ""},
            {"dataset": "nothing"},
            {"shortcut": "Z"},
        ],
        ids=str,
    )  # fmt: skip
    def test_metadata_is_not_trusted(self, tmp_path, capsys, metadata):
        path = tmp_path / "w.safetensors"
        whole = {"model": "resnet8", "dataset": "shapes"} | NORM.to_metadata() | metadata
        write_arrays(path, models.resnet8().state_dict(), whole)
        assert cli.main(["eval", "--weights", str(path), "--backend", "numpy"]) == 1
        said = capsys.readouterr().err.strip().split("\n")[-1]
        assert said.startswith("minires: ") and len(said) > 25 and "Traceback" not in said


class TestEval:
    def evaluate(self, tmp_path, capsys, model, *more):
        save_weights(tmp_path / "w", model, NORM, {"model": "resnet8", "dataset": "shapes"})
        options = ["--backend", "numpy", "--batch-size", "500", *more]
        status = cli.main(["eval", "--weights", str(tmp_path / "w"), *options])
        return status, capsys.readouterr()

    def test_it_warns_of_dead_weights(self, tmp_path, capsys):
        model = models.resnet8()
        model.layer1[0].conv1.weight.data[0, 0, 0, 0] = np.nan
        status, said = self.evaluate(tmp_path, capsys, model)
        assert status == 0 and "1 of " in said.err and "layer1.0.conv1.weight" in said.err
        assert "warning" in said.err and "hold NaN or infinities" in said.err

    def test_it_says_that_another_network_is_taken_than_the_file_tells(self, tmp_path, capsys):
        status, said = self.evaluate(tmp_path, capsys, models.plain8(), "--model", "plain8")
        assert status == 0
        assert "says that its model is resnet8, but --model plain8 is given, and taken" in said.err


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run of two steps."""
    out = tmp_path_factory.mktemp("run")
    sizes = ["--train-size", "40", "--test-size", "10", "--batch-size", "20", "--steps", "2"]
    small = ["--model", "resnet8", "--dataset", "shapes", "--backend", "numpy", *sizes]
    assert cli.main(["train", *small, "--out", str(out)]) == 0
    return out


class TestCheckpoints:
    @pytest.mark.parametrize("name", ["config", "state"])
    @pytest.mark.parametrize(
        "value", ["", "3", "[]", "null", '"a"', "{}", "[" * 100_000, '{"run": 3}', '{"seed": "x"}', None]
    )  # fmt: skip
    def test_its_metadata_is_not_trusted(self, run, tmp_path, capsys, name, value):
        arrays, metadata = read_arrays(run / "checkpoint")
        metadata[name] = value
        if value is None:
            del metadata[name]
        write_arrays(tmp_path / "checkpoint", arrays, metadata)
        status = cli.main(["train", "--out", str(tmp_path), "--resume"])
        said = capsys.readouterr().err.strip().split("\n")[-1]
        assert (
            status == 1 and said.startswith(f"minires: {tmp_path}/checkpoint: ") and len(said) > 60
        )

    @pytest.mark.slow  # by the command line what test_mutated_files.py tries in the process
    def test_values_of_its_state_are_not_trusted(self, run, tmp_path, capsys):
        arrays, metadata = read_arrays(run / "checkpoint")
        state = json.loads(metadata["state"])
        for path in (["run"], *(["run", key] for key in state["run"]), ["generator"],
                     *(["generator", key] for key in state["generator"])):  # fmt: skip
            for value in (None, -1, "x", {}, 1e400, 2**70):
                changed = json.loads(metadata["state"])
                place = changed
                for key in path[:-1]:
                    place = place[key]
                if place[path[-1]] == value:
                    continue
                place[path[-1]] = value
                write_arrays(
                    tmp_path / "checkpoint", arrays, metadata | {"state": json.dumps(changed)}
                )
                status = cli.main(["train", "--out", str(tmp_path), "--resume"])
                said = capsys.readouterr().err
                assert "Traceback" not in said
                if status:
                    assert len(said.strip().split("\n")[-1]) > 40, (path, value, said)

    def test_a_flipped_bit_of_a_checkpoint_is_refused(self, run, tmp_path, capsys):
        content = bytearray((run / "checkpoint").read_bytes())
        content[-1000] ^= 1
        (tmp_path / "checkpoint").write_bytes(content)
        assert cli.main(["train", "--out", str(tmp_path), "--resume"]) == 1
        assert "the file is damaged" in capsys.readouterr().err
        with pytest.raises(WeightsError, match="damaged"):
            checkpoint.read(tmp_path, training.Config)


class TestPyTorch:
    def read(self, tmp_path, content):
        (tmp_path / "w.pt").write_bytes(content)
        return load_torch_state_dict(tmp_path / "w.pt")

    @pytest.mark.parametrize(
        "make",
        [
            lambda torch: {"state_dict": None},
            lambda torch: {1: torch.ones(2)},
            lambda torch: {"a": torch.ones(2).to_sparse()},
            lambda torch: {"a": torch.empty(2, device="meta")},
            lambda torch: {"a": torch.ones(2, dtype=torch.complex64)},
            lambda torch: {"a": "text"},
            lambda torch: [torch.ones(2)],
        ],
        ids=["None", "integer keys", "sparse", "meta", "complex", "text", "list"],
    )
    def test_what_is_no_state_dict_is_refused_in_words(self, tmp_path, make):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed (parity)")
        torch.save(make(torch), tmp_path / "w.pt")
        with pytest.raises(ValueError, match=f"{tmp_path}/w.pt.* "):
            load_torch_state_dict(tmp_path / "w.pt")

    def test_short_floats_are_read(self, tmp_path):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed (parity)")
        names = [n for n in ("bfloat16", "float8_e4m3fn", "float8_e5m2") if hasattr(torch, n)]
        torch.save(
            {n: torch.tensor([1.5, -2.0]).to(getattr(torch, n)) for n in names}, tmp_path / "w.pt"
        )
        for name, array in load_torch_state_dict(tmp_path / "w.pt").items():
            assert array.dtype == np.float32 and array.tolist() == [1.5, -2.0], name

    def test_damaged_files_are_refused_in_words(self, tmp_path):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed (parity)")
        buffer = io.BytesIO()
        torch.save({"a": torch.ones(30)}, buffer)
        whole = buffer.getvalue()
        rng = np.random.default_rng(0)
        contents = [
            b"",
            whole[: len(whole) // 2],
            b"\x80\x02}q\x00.",
            b"PK\x03\x04",
            os.urandom(300),
        ]
        for _ in range(60):
            damaged = bytearray(whole)
            damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
            contents.append(bytes(damaged))
        for content in contents:
            try:
                self.read(tmp_path, content)
            except ValueError as error:
                assert str(tmp_path) in str(error)


class TestHostile:
    def test_a_pickle_that_makes_more_than_it_holds_is_refused(self):
        text = "a" * 1_000_000
        bomb = b"\x80\x02" + b"X" + struct.pack("<I", len(text)) + text.encode() + b"q\x00"
        bomb += b"](" + b"c_codecs\nencode\nh\x00X\x05\x00\x00\x00ascii\x86R" * 900 + b"e."
        with pytest.raises(pickle.UnpicklingError, match="it makes far more bytes than it holds"):
            pickled.load(bomb, ["data"], pickled.integers)

    def test_a_pickle_that_numbers_beyond_its_length_is_refused(self):
        for put in (b"r" + struct.pack("<I", 2**31), b"p%d\n" % 2**40):
            with pytest.raises(
                pickle.UnpicklingError, match="it numbers a value .* beyond its own"
            ):
                pickled.load(b"\x80\x02}" + put + b".", ["data"], pickled.integers)

    @pytest.mark.parametrize(
        "body",
        [
            b")" + b"\x85" * 3_000_000 + b"K\x01s",
            b"("
            + b"".join(
                b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"K\x01"
                for k in range(1, 30_000)
            )
            + b"u",
            b"N0" * 4_000_001,
        ],
        ids=["tuples in tuples", "integers of one hash", "steps without end"],
    )
    def test_a_pickle_that_takes_stack_or_time_is_refused(self, body):
        with pytest.raises(
            pickle.UnpicklingError, match="it has far more steps, tuples or large int"
        ):
            pickled.load(b"\x80\x02}" + body + b".", ["data"], pickled.integers)

    def archive(self, tmp_path, members):
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
            for name, size in members:
                info = tarfile.TarInfo(name)
                info.size = size
                tar.addfile(info, io.BytesIO(bytes(size)))
        return tmp_path / "a.tar.gz"

    @pytest.mark.parametrize(
        "members",
        [
            [(f"set/{i}", 64 << 20) for i in range(9)],
            [("set/" + "d/" * 1500 + "f", 1)],
            [(f"set/{i}", 0) for i in range(10_001)],
        ],
        ids=["too large", "too deep", "too many"],
    )
    def test_an_archive_beyond_what_a_data_set_has_is_refused(self, tmp_path, members):
        path = self.archive(tmp_path, members)
        with pytest.raises(DataError, match="it (holds|unpacks to) more than"):
            extract(path, tmp_path / "set")
        assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]

    def test_an_ordinary_archive_is_unpacked(self, tmp_path):
        path = self.archive(tmp_path, [("set/a", 3), ("set/b/c", 5)])
        assert (extract(path, tmp_path / "set") / "b" / "c").stat().st_size == 5

    def test_a_cifar_batch_given_twice_is_refused(self, tmp_path):
        folder = tmp_path / "cifar-10-batches-bin"
        folder.mkdir()
        (folder / "batches.meta.txt").write_text("\n".join(f"class{i}" for i in range(10)))
        rng = np.random.default_rng(0)
        batch = rng.integers(0, 10, (10_000, 3073), np.uint8)
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        for i, name in enumerate(names):
            batch[:, 0] = rng.integers(0, 10, 10_000)
            batch[0, 1] = i
            (folder / name).write_bytes(batch.tobytes())
        train, test = load_cifar10(tmp_path)
        assert len(train) == 50_000 and len(test) == 10_000
        whole = (folder / names[1]).read_bytes()
        for copied in (names[3], names[5]):
            before = (folder / copied).read_bytes()
            (folder / copied).write_bytes(whole)
            with pytest.raises(
                DataError, match=f"{copied}: expected images of its own, but it is the"
            ):
                load_cifar10(tmp_path)
            (folder / copied).write_bytes(before)


def test_out_of_memory_is_a_sentence(tmp_path):
    code = (
        "import resource, sys; from minires import cli\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20),) * 2)\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    sizes = ["--train-size", "4000", "--test-size", "10", "--batch-size", "4000", "--steps", "1"]
    options = ["--model", "resnet20", "--dataset", "shapes", "--backend", "numpy", *sizes]
    done = subprocess.run(
        [sys.executable, "-c", code, "train", *options, "--out", str(tmp_path / "run")],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "minires: the memory does not suffice (" in done.stderr
    assert "a smaller --batch-size needs less" in done.stderr


def test_a_network_deeper_than_any_is_refused_at_once(capsys):
    assert cli.main(["info", "--model", "resnet99998"]) == 1
    assert "no network is named 'resnet99998', but resnet6002 is" in capsys.readouterr().err
    with pytest.raises(
        ValueError, match=r"CifarResNet: n \(blocks per stage\) must be an integer, at"
    ):
        models.CifarResNet(10**6)


def test_a_lock_that_holds_something_else_is_read(tmp_path):
    from minires.training.directory import _holder

    lock = tmp_path / "lock"
    for content, who in (
        (b"123\n", "process 123"),
        (str(os.getpid()).encode(), "this very process"),
        (b"\xff\xfe", "another process"),
        (b"x" * 10**6, "another process"),
        (b"", "another process"),
    ):
        lock.write_bytes(content)
        assert _holder(lock) == who
    assert _holder(tmp_path / "none") == "another process"


def test_imports_of_another_kind_are_none(tmp_path):
    from minires.commands.evaluate import _imports_of_run

    for text in ('{"imports": "os"}', '{"imports": 3}', "[]", "", "{"):
        (tmp_path / "config.json").write_text(text)
        assert _imports_of_run(tmp_path) == []
