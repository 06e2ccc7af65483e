"""Packaging. Some rooms stand beside `minires/`: `kernels/` is imported as `minires.kernels`."""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup

OLDEST = "3.11.4"

# Before pip reads `python_requires`: an older pip then tries every version of the rest.
if sys.version_info < tuple(map(int, OLDEST.split("."))):
    this = ".".join(map(str, sys.version_info[:3]))
    sys.exit(f"minires needs Python {OLDEST} or later; {sys.executable} is Python {this}")

ROOMS = ("kernels", "paper", "benchmarks", "tutorials")
"""Folders at the root that are packages of `minires`. What they record (results/) is not packed."""

packages = find_packages(include=["minires", "minires.*"])
for room in ROOMS:
    packages += [f"minires.{room}", *(f"minires.{room}.{p}" for p in find_packages(room))]
package_data = {name: ["*.cu", "*.cuh", "*.h"] for name in packages if ".kernels" in name}
package_data["minires"] = ["py.typed"]
package_data["minires.tutorials.pages"] = ["*.js", "*.css"]
package_data["minires.tutorials.questions"] = ["*.json"]
package_data["minires.cuda"] = ["include/*", "include/cuda/*", "include/cuda/*/*"]

# Read, not imported: the packages that minires imports are not installed yet.
text = (Path(__file__).parent / "minires" / "__init__.py").read_text(encoding="utf-8")
version = re.search(r'^__version__ = "(.*)"$', text, re.MULTILINE)[1]

setup(
    name="minires-engine",  # what is called minires in the public registry is somebody else's
    version=version,
    description="A deep-learning engine written from scratch to be read, "
    "that trains the CIFAR ResNets of He et al. (2015)",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=f">={OLDEST}",
    packages=packages,
    package_dir={f"minires.{room}": room for room in ROOMS},
    package_data=package_data,
    install_requires=[
        "numpy>=2.0",
        "numba>=0.61",
        "matplotlib>=3.8",
        "tqdm>=4.66",
        "safetensors>=0.4.3",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.2",
            "hypothesis>=6",
            "nvidia-cuda-nvrtc>=13; platform_system == 'Linux'",
            "nvidia-cuda-nvdisasm>=13; platform_system == 'Linux'",
            "numba-cuda[cu13]>=0.30; platform_system == 'Linux'",
            "ml_dtypes>=0.5",
            "distributed>=2024.8",
            "jupytext>=1.16",
            "ruff>=0.17,<0.18",  # another may format in another way
            "mypy>=2.4",
            "selenium>=4.20",  # drives a browser, where there is one
        ],
        "tutorials": ["jupyterlab>=4", "jupytext>=1.16"],
        "docs": [
            "jupytext>=1.16",
            "nbclient>=0.10",
            "ipykernel>=6",
            "sphinx>=8",
            "myst-nb>=1.2",
            "pydata-sphinx-theme>=0.16",
            "sphinx-copybutton>=0.5",
            "latex2mathml>=3.77",
        ],
        "dask": ["distributed>=2024.8"],
        "parity": ["torch==2.13.0", "expecttest>=0.3", "onnx>=1.19"],
        "cuda12": ["cupy-cuda12x>=14", "numba-cuda[cu12]>=0.30", "ml_dtypes>=0.5"],
        "cuda13": ["cupy-cuda13x>=14", "numba-cuda[cu13]>=0.30", "ml_dtypes>=0.5"],
    },
    entry_points={"console_scripts": ["minires = minires.cli:main"]},
)
