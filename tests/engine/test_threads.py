"""What one thread chooses is nothing to another: backend, precision, recording, seed, watchers."""

import asyncio
import threading

import numpy as np
import pytest

import minires as mr
from minires import Tensor, backend, cuda, nn, optim
from minires import functional as F
from minires.recording import is_recording


def in_threads(*functions):
    """Run all at once, each in a thread; returns their results, raises the first error."""
    results: list = [None] * len(functions)
    start = threading.Barrier(len(functions))

    def run(i):
        try:
            start.wait()
            results[i] = functions[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def training(name: str, seed: int):
    """Ten steps of a small network; its weights."""

    def train():
        with mr.use(name):
            mr.seed(seed)
            model = nn.Sequential(
                nn.Conv2d(3, 16, 3, padding=1),
                nn.BatchNorm2d(16),
                nn.ReLU(),
                nn.Dropout(0.2),
                nn.GlobalAvgPool2d(),
                nn.Linear(16, 4),
            )
            sgd = optim.SGD(model, lr=0.1, momentum=0.9)
            rng = np.random.default_rng(seed)
            for _ in range(10):
                x = rng.standard_normal((8, 6, 6, 3), np.float32)
                loss = F.cross_entropy(model(Tensor(x)), rng.integers(0, 4, 8))
                sgd.zero_grad()
                loss.backward()
                assert all(parameter.grad is not None for parameter in model.parameters())
                sgd.step()
            return model.state_dict()

    return train


def predicting():
    """Enters and leaves no_grad many times, crosswise with another thread's steps."""
    model = nn.Linear(3, 2)
    for _ in range(300):
        with mr.no_grad():
            assert not model(Tensor(np.ones((2, 3), np.float32))).requires_grad
        assert is_recording()


def test_threads_on_different_backends_train_to_the_bits_of_single_ones():
    runs = [training("numpy", 1), training("numba", 2), training("numpy", 3)]
    alone = [run() for run in runs]
    together = in_threads(*runs, predicting)[:3]
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_no_grad_of_one_thread_leaves_the_others_recording():
    inside = threading.Event()
    done = threading.Event()

    def wait_inside():
        with mr.no_grad():
            inside.set()
            done.wait(10)
            return is_recording()

    def look():
        inside.wait(10)
        x = Tensor([1.0], requires_grad=True)
        y = x * 2
        done.set()
        return y.requires_grad

    assert in_threads(wait_inside, look) == [False, True]
    assert is_recording()


def test_the_main_threads_backend_is_the_default_of_others_but_its_block_is_not():
    mr.use("numpy")
    assert in_threads(backend.current) == ["numpy"]
    with mr.use("numba"):
        assert backend.current() == "numba"
        assert in_threads(backend.current) == ["numpy"]

    def choose():
        mr.use("numba")
        return backend.current()

    assert in_threads(choose) == ["numba"]
    assert backend.current() == "numpy"


def test_blocks_of_use_are_nested_and_undone():
    mr.use("numpy")
    with mr.use("numba"):
        with mr.use("numpy"):
            mr.use("numba")  # a plain statement holds until its block ends
            assert backend.current() == "numba"
        assert backend.current() == "numba"
    assert backend.current() == "numpy" and in_threads(backend.current) == ["numpy"]


def test_a_precision_belongs_to_its_thread():
    def half():
        mr.use("numpy")
        backend.set_precision("fp16")
        return backend.storage()

    assert in_threads(half) == [np.dtype(np.float16)]
    assert backend.storage() == np.float32 and cuda.storage() == np.float32


def test_every_thread_draws_its_own_random_numbers():
    def draw():
        return mr.randn(3).numpy().tolist()

    mr.seed(5)
    expected = draw()
    mr.seed(5)
    one, other = in_threads(draw, draw)
    assert one == other != expected
    assert draw() == expected


def test_watchers_see_their_own_thread_only():
    seen = []

    def compute():
        return (Tensor([1.0]) * 2).item()

    with mr.watch(lambda function, direction, compute, *a: (seen.append(1), compute(*a))[1]):
        in_threads(compute)
        assert not seen
        compute()
        assert seen


def test_tasks_of_asyncio_are_apart():
    async def predict(steps):
        with mr.no_grad():
            for _ in range(steps):
                await asyncio.sleep(0)
                assert not is_recording()

    async def train(steps):
        for _ in range(steps):
            await asyncio.sleep(0)
            assert is_recording()

    async def both():
        await asyncio.gather(predict(3), train(5), predict(4))

    asyncio.run(both())


def test_no_grad_on_a_generator_function_holds_inside_it_only():
    x = Tensor([1.0], requires_grad=True)

    @mr.no_grad()
    def predictions(n):
        received = []
        for _ in range(n):
            received.append((yield x * 2))
        return received

    generator = predictions(2)
    assert not next(generator).requires_grad
    assert is_recording() and (x * 2).requires_grad
    assert not generator.send("a").requires_grad
    with pytest.raises(StopIteration) as end:
        generator.send("b")
    assert end.value.value == ["a", "b"] and is_recording()


def test_a_generator_without_gradients_can_be_closed_and_thrown_into():
    closed = []

    @mr.no_grad()
    def endless():
        while True:
            try:
                yield is_recording()
            except KeyError:
                yield "caught"
            finally:
                closed.append(1)

    generator = endless()
    assert next(generator) is False
    assert generator.throw(KeyError) == "caught"
    generator.close()
    assert closed and is_recording()


def test_a_decorated_function_may_run_in_several_threads():
    @mr.no_grad()
    def predict():
        return [is_recording() for _ in range(100)]

    assert not any(sum(in_threads(*[predict] * 4), []))
    assert is_recording()
