"""The examples run as they are, say what they promise, and stay one page each."""

import subprocess
import sys
from pathlib import Path

import pytest

from minires import backend

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = "--model resnet8 --epochs 1 --images 256 --backend numpy"

SAYS = {
    "train_resnet.py": "epoch 1: test accuracy",
    "logistic_regression.py": "88.0 % on the right side",
    "own_network.py": "epoch 5: loss",
    "own_data.py": "100 % of the test images are right\nimage 0 is lying\nfound: [ 1. ",
    "watch_a_step.py": "backward conv2d",
    "own_function.py": "WrongSoftplus: gradcheck: backward and numerical gradient disagree",
    "own_kernel.py": "backward agrees with numerical gradients",
}


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name):
    if name == "own_kernel.py" and backend.problem("cupy") and (why := backend.problem("emulator")):
        pytest.skip(f"neither a GPU nor the emulator: {why}")
    options = SMALL.split() if name == "train_resnet.py" else []
    command = [sys.executable, str(EXAMPLES / name), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert SAYS[name] in result.stdout


def test_every_example_is_run_is_listed_and_fits_on_a_page():
    assert {path.name for path in EXAMPLES.glob("*.py")} == SAYS.keys()
    readme = (EXAMPLES / "README.md").read_text()
    for path in (*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.cu")):
        assert f"[`{path.name}`]({path.name})" in readme
        assert len(path.read_text().splitlines()) <= 60, path.name
