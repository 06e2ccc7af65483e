"""`cuda.check` and `minires cuda`: a student's kernel is run, looked at, and told what is wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest

from minires import backend, cli, cuda

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

ADD = """__global__ void add(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    GUARD y[i] = x[i] + 1;
}
"""
X = np.arange(1000, dtype=np.float32)


def check_add(guard="if (i < n)", grid=4, n=1000, **options):
    arguments = dict(x=X, y=cuda.Empty(1000), n=n)
    source = ADD.replace("GUARD", guard)
    return cuda.check(source, grid=grid, block=256, args=arguments, **options)


def test_a_right_kernel_has_no_fault_and_its_result_is_there():
    report = check_add(expect=dict(y=X + 1))
    assert report.ok and "no fault found" in str(report)
    np.testing.assert_array_equal(report.arrays["y"], X + 1)
    load, store = report.requests
    assert (load.line, load.array, load.requests, load.moved, load.least) == (3, "x", 32, 125, 125)
    assert store.store and not load.store


def test_an_index_beyond_an_array_has_its_line_thread_block_and_array():
    (fault,) = check_add(guard="").faults
    assert (fault.kind, fault.line, fault.array) == ("out of bounds", 3, "x")
    assert fault.thread == (232, 0, 0) and fault.block == (3, 0, 0)
    assert "reads x[1000], but x has 1000 elements" in fault.message


def test_too_few_threads_leave_elements_unwritten():
    (fault,) = check_add(grid=3, expect=dict(y=X + 1)).faults
    assert fault.kind == "never written"
    assert "232 of 1000 elements of y" in fault.message and "y[768]" in fault.message


def test_a_wrong_result_names_the_first_element():
    (fault,) = check_add(expect=dict(y=np.where(X == 7, 0, X + 1))).faults
    assert fault.kind == "wrong result"
    assert "the first is y[7]: expected 0.0, got 8.0" in fault.message


def test_the_callers_arrays_stay_as_they_are():
    y = np.zeros(1000, np.float32)
    cuda.check(ADD.replace("GUARD", ""), grid=1, block=32, args=dict(x=X, y=y, n=5))
    assert not y.any()


def test_an_endless_loop_ends_with_its_line():
    report = check_add("while (n)", seconds=1)
    assert [(f.kind, f.line) for f in report.faults] == [("endless loop", 3)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(grid=0), "grid"),
        (dict(n=1.5), "n is of type int"),
        (dict(n=2**40), "n is of type int"),
    ],
)
def test_an_impossible_launch_is_a_fault(options, words):
    (fault,) = check_add(**options).faults
    assert fault.kind == "launch" and words in fault.message


def test_what_does_not_compile_has_its_line():
    (fault,) = check_add("if (nonsense(i))").faults
    assert (fault.kind, fault.line) == ("compile", 3) and "nonsense" in fault.message
    (fault,) = check_add('asm("nop");').faults
    assert (fault.kind, fault.line) == ("compile", 3) and "inline PTX" in fault.message


def test_what_a_kernel_prints_is_in_the_report():
    report = check_add('if (i == 3) printf("x is %g\\n", x[i]); if (i < n)')
    assert report.printed.startswith("x is 3\n") and "printed by the kernel" in str(report)


def test_constants_can_be_given_by_name():
    source = "__constant__ float w[2];\n" + ADD.replace("GUARD", "if (i < n)").replace(
        "+ 1", "* w[1]"
    )
    w = np.array([5, 2], np.float32)
    arguments = dict(x=X, y=cuda.Empty(1000), n=1000, w=w)
    assert cuda.check(source, grid=4, block=256, args=arguments, expect=dict(y=2 * X)).ok


def test_a_notebook_sees_the_line_marked():
    html = check_add(guard="")._repr_html_()
    marked = [part for part in html.split("<div") if 'class="at"' in part]
    assert len(marked) == 1 and "y[i] = x[i] + 1" in marked[0] and "color-scheme" in html


def test_the_command_prints_the_faults_and_tells_by_its_status(tmp_path, capsys):
    file = tmp_path / "add.cu"
    file.write_text(ADD.replace("GUARD", "if (i < n)"))
    command = ["cuda", str(file), "--grid", "4", "--block", "256", "--arg", "x=random:1000"]
    command += ["--arg", "y=empty:1000", "--expect", "y=x+1"]
    assert cli.main([*command, "--arg", "n=1000"]) == 0
    assert "no fault found" in capsys.readouterr().out
    assert cli.main([*command, "--arg", "n=999", "--html", str(tmp_path / "report.html")]) == 1
    assert "y[999]" in capsys.readouterr().out and "y[i]" in (tmp_path / "report.html").read_text()
    assert cli.main([*command, "--arg", "n=what"]) == 1
    assert "'what' is no number and no array" in capsys.readouterr().err


def test_a_kernel_that_crashes_leaves_this_process_alive():
    report = check_add("if (i < n) *(volatile int*)(&i + (1 << 22)) = 1;")
    assert report.faults and report.faults[0].line == 3


def test_the_programs_own_imports_are_not_needed_by_the_worker():
    code = "import minires.cuda.checking.worker, sys; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.lower()) is False


def test_a_file_that_is_no_text_and_a_size_that_is_none_are_told(tmp_path, capsys):
    path = tmp_path / "k.cu"
    path.write_bytes(b"\xff\xfe__global__ void k(float* y) {}")
    assert cli.main(["cuda", str(path), "--grid", "1", "--block", "1"]) == 1
    assert "k.cu: not a text in UTF-8" in capsys.readouterr().err
    assert cli.main(["cuda", str(tmp_path / "none.cu"), "--grid", "1", "--block", "1"]) == 1
    assert "none.cu: No such file" in capsys.readouterr().err
    path.write_text("__global__ void k(float* y) { y[0] = 1; }\n")
    for size in ("axb", "-1", "", "3x", "9" * 20):
        words = ["cuda", str(path), "--grid", "1", "--block", "1", "--arg", f"y=zeros:{size}"]
        assert cli.main(words) == 1
        assert f"--arg y=zeros:{size}: a size is 1000 or 32x16" in capsys.readouterr().err
