"""Every kernel is machine code for real GPUs: NVIDIA's compiler takes it, nothing spills."""

import importlib
import re

import nvrtc
import pytest

from minires import kernels
from minires.cuda import Module
from minires.kernels import ladders

pytestmark = pytest.mark.skipif(
    nvrtc.wheel() is None, reason="the wheel nvidia-cuda-nvrtc is not installed"
)
ARCHITECTURES = ("sm_75", pytest.param("sm_80", marks=pytest.mark.slow), "sm_90")
OPERATIONS = kernels.own_kernels("cuda")
COMPILED = [
    (op, architecture)
    if (op, architecture) != ("conv_norm_relu", "sm_75")
    else pytest.param(op, architecture, marks=pytest.mark.slow)  # 14 files
    for op in OPERATIONS
    for architecture in ("sm_75", "sm_90")
]
COMPILED += [pytest.param(op, "sm_80", marks=pytest.mark.slow) for op in OPERATIONS]

LADDERS = {f"{op}/ladder": op for op in ladders.OPERATIONS.values()}


def modules(op: str) -> list[Module]:
    """Those of an operation's kernels: none where it launches those of others."""
    of_operation = getattr(kernels.load(op, "cuda"), "KERNELS", [])
    if isinstance(of_operation, dict):
        return list(of_operation.values())
    return [of_operation] if isinstance(of_operation, Module) else of_operation


def rungs(name: str) -> dict[str, Module]:
    """The modules of a ladder, by the names of their files."""
    return importlib.import_module(f"minires.kernels.{LADDERS[name]}.ladder.cuda").KERNELS


@pytest.mark.parametrize(("op", "architecture"), COMPILED)
def test_kernels_compile_without_spills(op, architecture):
    for loaded in modules(op):
        _, log = nvrtc.compile_for(architecture, loaded.source, loaded.signatures)
        spilled = nvrtc.spills(log)
        assert len(spilled) == len(loaded.signatures)
        assert not any(spilled.values()), spilled


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", LADDERS)
def test_ladders_compile_and_their_last_rung_uses_tensor_cores(name, architecture):
    for rung, loaded in rungs(name).items():
        cubin, log = nvrtc.compile_for(architecture, loaded.source, loaded.signatures)
        assert not any(nvrtc.spills(log).values()), rung
        if architecture != "sm_75" and (nvrtc.wheel() / "bin" / "nvdisasm").exists():
            (code,) = nvrtc.instructions(cubin).values()
            assert ("HMMA" in code) == (rung == "v5_tensor_cores"), rung
            assert ("LDG.E.128" in code) == (rung == "v4_registers"), rung


@pytest.mark.parametrize("architecture", ARCHITECTURES[1:])
def test_convolutions_use_tensor_cores(architecture):
    if not (nvrtc.wheel() / "bin" / "nvdisasm").exists():
        pytest.skip("the wheel nvidia-cuda-nvdisasm is not installed")
    for loaded in modules("conv2d") + modules("conv_norm_relu"):
        cubin, _ = nvrtc.compile_for(architecture, loaded.source, loaded.signatures)
        for name, text in nvrtc.instructions(cubin).items():
            tensor = re.search(r"Li\d+ELb1E", name) is not None  # <..., WIDTH, true ...>, mangled
            assert ("HMMA" in text) == tensor, name
