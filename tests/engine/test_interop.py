"""Weights travel between PyTorch and minires, and a whole network gives the same logits."""

import numpy as np
import pytest

from minires import Tensor, models
from minires.interop import load_torch_state_dict, to_torch_state_dict


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="exchange with PyTorch needs PyTorch")


def random_state(net, seed=0) -> dict[str, np.ndarray]:
    """Random float64 values for every parameter and every running statistic."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, value in net.state_dict().items():
        if value.ndim > 1:  # filters and the classifier, so scaled that activations stay moderate
            state[name] = rng.standard_normal(value.shape) / np.sqrt(np.prod(value.shape[:-1]))
        else:
            state[name] = rng.uniform(0.5, 1.5, value.shape)
    return state


def assert_same(one: dict, other: dict):
    assert sorted(one) == sorted(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], strict=True)


class TestLayout:
    def test_filters_and_matrices_are_transposed_and_vectors_are_not(self):
        rng = np.random.default_rng(0)
        conv, linear, bias = (rng.standard_normal(s) for s in [(5, 3, 2, 4), (7, 6), (7,)])
        ours = load_torch_state_dict({"conv.weight": conv, "fc.weight": linear, "fc.bias": bias})
        assert {name: value.shape for name, value in ours.items()} == {
            "conv.weight": (2, 4, 3, 5),
            "fc.weight": (6, 7),
            "fc.bias": (7,),
        }
        assert ours["conv.weight"][1, 3, 2, 4] == conv[4, 2, 1, 3]
        assert ours["fc.weight"][5, 6] == linear[6, 5]
        assert all(value.flags.c_contiguous for value in ours.values())

    def test_there_and_back_is_the_identity(self):
        state = random_state(models.build("resnet8", shortcut="B"))
        assert_same(load_torch_state_dict(to_torch_state_dict(state)), state)
        theirs = to_torch_state_dict(state)
        assert_same(to_torch_state_dict(load_torch_state_dict(theirs)), theirs)
        assert all(value.flags.c_contiguous for value in theirs.values())

    def test_the_prefix_and_the_counter_are_dropped(self):
        theirs = {"module.bn.weight": np.ones(2), "module.bn.num_batches_tracked": np.int64(7)}
        assert list(load_torch_state_dict(theirs)) == ["bn.weight"]

    def test_a_wrapped_state_dict_is_unwrapped(self):
        inner = {"module.fc.weight": np.ones((2, 3))}
        ours = load_torch_state_dict({"epoch": 3, "best_prec1": 92.1, "state_dict": inner})
        assert {name: value.shape for name, value in ours.items()} == {"fc.weight": (3, 2)}

    def test_torch_tensors_of_any_kind_are_taken(self, torch):
        weight = torch.ones(2, 3, requires_grad=True)
        ours = load_torch_state_dict({"a": weight, "b": weight.T, "half": weight.half()})
        assert [value.shape for value in ours.values()] == [(3, 2), (2, 3), (3, 2)]
        assert type(ours["a"]) is np.ndarray and ours["half"].dtype == np.float16


class TestFiles:
    def test_a_safetensors_file_is_read(self, tmp_path):
        from safetensors.numpy import save_file

        state = random_state(models.build("resnet8"))
        save_file(to_torch_state_dict(state), tmp_path / "net.safetensors")
        assert_same(load_torch_state_dict(tmp_path / "net.safetensors"), state)
        assert_same(load_torch_state_dict(str(tmp_path / "net.safetensors")), state)

    @pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".bin"])
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_a_pickled_file_is_read_with_prefix_and_wrapper(self, torch, tmp_path, suffix, wrapped):
        state = random_state(models.build("resnet8"))
        theirs = {f"module.{n}": torch.tensor(v) for n, v in to_torch_state_dict(state).items()}
        theirs["module.bn1.num_batches_tracked"] = torch.tensor(5)
        torch.save(
            {"state_dict": theirs, "epoch": 9} if wrapped else theirs, tmp_path / f"a{suffix}"
        )
        assert_same(load_torch_state_dict(tmp_path / f"a{suffix}"), state)

    @pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.pt", "a.th", "a.bin"])
    def test_a_damaged_file_is_a_value_error_with_its_name(self, torch, tmp_path, name):
        (tmp_path / name).write_bytes(b"not weights at all, only text")
        with pytest.raises(ValueError, match=name):
            load_torch_state_dict(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.txt", "a.npz", "a", "a.safetensors.zip"])
    def test_a_file_of_another_kind_is_a_value_error(self, tmp_path, name):
        with pytest.raises(ValueError, match=r"expected a .safetensors, .pt, .pth, .th or .bin"):
            load_torch_state_dict(tmp_path / name)

    def test_a_missing_file_is_named(self, torch, tmp_path):
        for name in ("gone.safetensors", "gone.pth"):
            with pytest.raises((ValueError, FileNotFoundError), match=name):
                load_torch_state_dict(tmp_path / name)

    def test_a_pickle_of_something_else_is_a_value_error(self, torch, tmp_path):
        torch.save([torch.ones(2)], tmp_path / "list.pth")
        with pytest.raises(ValueError, match="list.pth holds a list, not a state dict"):
            load_torch_state_dict(tmp_path / "list.pth")

    def test_a_pickle_that_would_run_code_is_refused(self, torch, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "sprung"), "w"))

        torch.save({"weight": Trap()}, tmp_path / "trap.pth")
        with pytest.raises(ValueError, match="trap.pth"):
            load_torch_state_dict(tmp_path / "trap.pth")
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("value", [{"weight": 1}, "text", None], ids=str)
    def test_a_value_that_is_no_array_is_named(self, value):
        with pytest.raises(ValueError, match="optimizer is no array of numbers"):
            load_torch_state_dict({"optimizer": value})


def torch_resnet(n: int):
    from minires.benchmarks.torch_resnet import TorchResNet

    return TorchResNet(n).double()


class TestParity:
    @pytest.mark.parametrize("size", [32, 15])
    def test_a_whole_resnet20_gives_pytorchs_logits_in_evaluation(self, torch, size):
        net = models.resnet20().double().eval()
        state = random_state(net)
        theirs = torch_resnet(3).eval()
        counters = {n: v for n, v in theirs.state_dict().items() if "num_batches" in n}
        tensors = {name: torch.tensor(v) for name, v in to_torch_state_dict(state).items()}
        theirs.load_state_dict(tensors | counters)
        net.load_state_dict(load_torch_state_dict(theirs.state_dict()))
        x = np.random.default_rng(1).standard_normal((4, size, size, 3))
        expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
        assert expected.std() > 0.1
        np.testing.assert_allclose(net(Tensor(x)).data, expected, rtol=1e-9, atol=1e-9)

    def test_a_training_pass_moves_the_running_statistics_as_pytorchs(self, torch):
        torch.manual_seed(0)
        theirs = torch_resnet(1)
        net = models.build("resnet8").double()
        net.load_state_dict(load_torch_state_dict(theirs.state_dict()))
        x = np.random.default_rng(1).standard_normal((4, 8, 8, 3))
        expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
        np.testing.assert_allclose(net(Tensor(x)).data, expected, rtol=1e-9, atol=1e-9)
        after = load_torch_state_dict(theirs.state_dict())
        for name, array in net.named_buffers():
            np.testing.assert_allclose(array, after[name], rtol=1e-9, atol=1e-9)
