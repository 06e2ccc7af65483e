"""Forks, threads, signals and damaged caches: said in a sentence, or mended; no hang, no abort."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from minires import cuda

BODY = """
import multiprocessing, os, sys, threading, time
import numpy as np
import minires as mr
from minires import Tensor, functional as F
mr.use("numba")
x, w = np.ones((2, 6, 6, 16), np.float32), np.ones((3, 3, 16, 16), np.float32)

def compute(*_):
    t = Tensor(x, requires_grad=True)
    y = F.relu(F.conv2d(t, w, padding=1))
    y.backward(np.ones(y.shape, np.float32))
    return float(y.numpy().sum() + t.grad.sum())
"""


def run(code, timeout=120, **environment):
    """A program that begins with BODY; its finished process."""
    return subprocess.run(
        [sys.executable, "-c", BODY + textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@FORKS
def test_a_child_forked_after_numba_says_what_to_do():
    done = run(
        """
        compute()
        child = os.fork()
        if child == 0:
            try:
                compute()
            except RuntimeError as error:
                print(error, flush=True)
                os._exit(7)
            os._exit(0)
        print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    if "status 0" in done.stdout:
        pytest.skip("this Numba's threads survive a fork (TBB)")
    assert "status 7" in done.stdout, done
    assert "this process was forked after the numba backend had started its threads" in done.stdout
    assert 'get_context("spawn")' in done.stdout


@FORKS
def test_a_pool_of_forked_workers_ends_with_that_sentence_and_does_not_hang():
    done = run(
        """
        compute()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            try:
                print(pool.map(compute, range(4)))
            except RuntimeError as error:
                print("refused:", error)
        """
    )
    assert done.returncode == 0
    assert "refused: this process was forked after" in done.stdout or "[" in done.stdout


@FORKS
def test_a_child_forked_before_numba_or_on_numpy_computes():
    done = run(
        """
        expected = None
        for name in ("first", "numpy"):
            child = os.fork()
            if child == 0:
                if name == "numpy":
                    mr.use("numpy")
                os._exit(0 if compute() > 0 else 1)
            print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            compute()
        """
    )
    assert done.stdout.split() == ["status", "0", "status", "0"], done


def test_numbas_workqueue_serves_two_threads():
    done = run(
        """
        results = []
        def work():
            for _ in range(30):
                results.append(compute())
        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads: t.start()
        for t in threads: t.join()
        import numba
        print(len(results), len(set(results)), numba.threading_layer())
        """,
        NUMBA_THREADING_LAYER="workqueue",
    )
    assert done.stdout.split() == ["90", "1", "workqueue"], done


def test_two_threads_compute_on_numba_as_one_does():
    done = run(
        """
        results = []
        def work():
            for _ in range(20):
                results.append(compute())
        threads = [threading.Thread(target=work) for _ in range(2)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(len(results), len(set(results)))
        """
    )
    assert done.stdout.split() == ["40", "1"], done


def test_ctrl_c_within_a_compiled_kernel_is_a_keyboard_interrupt():
    done = run(
        """
        import signal
        compute()
        ended = []
        def send():
            for _ in range(150):
                time.sleep(0.003)
                os.kill(os.getpid(), signal.SIGINT)
        for attempt in range(1):
            thread = threading.Thread(target=send)
            thread.start()
            while thread.is_alive():
                try:
                    while thread.is_alive():
                        compute()
                except KeyboardInterrupt:
                    ended.append("interrupt")
                except BaseException as error:
                    ended.append(repr(error))
        print(set(ended), len(ended) > 20)
        """
    )
    assert done.stdout.strip() == "{'interrupt'} True", done
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "flip late"])
def test_a_damaged_cache_of_machine_code_is_made_anew(tmp_path, damage):
    code = "print(F.global_avg_pool2d(Tensor(x)).numpy().sum())"
    first = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    files = [path for path in tmp_path.rglob("*.nb?")]
    assert first.returncode == 0 and len(files) >= 2
    for path in files:
        content = bytearray(path.read_bytes())
        if damage == "cut":
            content = content[: len(content) // 2]
        elif damage == "empty":
            content = b""
        else:
            content[len(content) // 3 if damage == "flip" else -40] ^= 4
        path.write_bytes(content)
    second = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert second.returncode == 0 and second.stdout == first.stdout, second
    assert "compiling the CPU kernels" in second.stderr
    third = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert third.stdout == first.stdout and "compiling" not in third.stderr, third.stderr


@pytest.mark.emulator
@pytest.mark.parametrize("damage", ["cut", "empty", "flip"])
def test_a_damaged_library_of_the_emulator_is_compiled_anew(tmp_path, damage, monkeypatch):
    if why := cuda.host.problem():
        pytest.skip(why)
    code = """
    mr.use("emulator")
    print(F.relu(Tensor(x)).numpy().sum())
    """
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    first = run(code, **environment)
    (library,) = tmp_path.rglob("*.so")
    content = bytearray(library.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = b""
    else:
        content[len(content) // 2] ^= 16
    library.write_bytes(content)
    second = run(code, **environment)
    assert second.returncode == 0 and second.stdout == first.stdout, second
    assert "compiling relu" in second.stderr
    third = run(code, **environment)
    assert third.stdout == first.stdout and "compiling" not in third.stderr


def test_a_stride_beyond_the_image_needs_no_memory():
    import minires as mr
    from minires import functional as F

    x, w = np.ones((1, 5, 6, 3), np.float32), np.ones((2, 2, 3, 4), np.float32)
    results = []
    for name in ("numpy", "numba"):
        with mr.use(name):
            t, v = mr.Tensor(x, requires_grad=True), mr.Tensor(w, requires_grad=True)
            y = F.conv2d(t, v, stride=2**31)
            y.backward(np.ones(y.shape, np.float32))
            results.append((y.numpy(), t.grad, v.grad))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert results[0][0].shape == (1, 1, 1, 4)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_the_global_pool_takes_half_storage_on_numba(name):
    import minires as mr
    from minires import functional as F

    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 needs the package ml_dtypes")
    x = (
        np.random.default_rng(0)
        .standard_normal((2, 5, 4, 16))
        .astype(getattr(ml_dtypes, name, name))
    )
    with mr.use("numba"):
        t = mr.Tensor(x, requires_grad=True)
        y = F.global_avg_pool2d(t)
        y.backward(np.ones((2, 16), np.float32))
    assert y.dtype == np.float32 and t.grad.dtype == x.dtype
    exact = x.astype(np.float64).mean(axis=(1, 2))
    np.testing.assert_allclose(y.numpy(), exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(t.grad.astype(float), 1 / 20, rtol=0.01)


def test_signals_are_as_they_were():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_file_that_another_thread_is_importing_is_not_asked(monkeypatch):
    import sys
    import types

    from minires import backend

    half = types.ModuleType("minires.kernels.jit")  # as it is before its first line has run
    monkeypatch.setitem(sys.modules, "minires.kernels.jit", half)
    assert backend.kernel("where", "numba") is backend.kernel("where", "numpy")
