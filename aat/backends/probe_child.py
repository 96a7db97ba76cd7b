"""What does a backend do when it is tried? The part of the probe that a failing driver may take down with it.

Runs in a child process: `python -c "... main(name, report)"`. Each step is announced in the report file
before it begins, so that the parent can say at which one a driver died; the last line is the result.
"""

import ctypes
import json
import os
import re
import tempfile
from dataclasses import asdict

import numpy as np

from aat import env
from aat.backends.base import DeviceInfo, Limits
from aat.backends.program import NO_CACHE, Program, set_vulkan_device, taichi

N = 1000


class Report:
    """Lines of JSON that survive the death of this process."""

    def __init__(self, path):
        self._path = path

    def write(self, **line):
        """Append one line and hand it to the operating system at once."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def step(self, text):
        """Announce what is tried next, as the end of "... while <text>"."""
        self.write(step=text)


def main(name, path):
    """Try the backend `name` and write the outcome to the file `path`."""
    report = Report(path)
    try:
        outcome = {"vulkan": _vulkan, "cuda": _cuda, "cpu": _cpu, "reference": _reference}[name](report)
    except Exception as error:
        outcome = {"ok": False, "reasons": [_reason(error)]}
    report.write(result={"ok": True, "reasons": [], "device": None, "limits": None, "details": {}, **outcome})


def _reason(error):
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is not installed; pip install {error.name}"
    known = type(error).__name__ in ("VulkanError", "CudaError", "ProbeError")
    return text if known else f"{type(error).__name__}: {text}; see `aat info`"


class ProbeError(RuntimeError):
    """A kernel ran and its numbers are wrong."""


def _cpu(report):
    from aat.backends import cpu

    report.step("Taichi was imported and its CPU program opened")
    Program("cpu", **{**cpu.options(1), **NO_CACHE})
    report.step("a first kernel ran")
    _check_arithmetic(np.float32)
    return {"device": asdict(cpu.device()), "limits": asdict(cpu.limits())}


def _reference(report):
    report.step("Numba was imported")
    import numba

    from aat.backends import cpu

    return {
        "device": {**asdict(cpu.device()), "driver": f"Numba {numba.__version__}"},
        "limits": asdict(cpu.limits()),
    }


def _cuda(report):
    from aat.backends import cuda_query

    report.step("the CUDA driver was asked for its devices")
    found = cuda_query.device()
    report.step("Taichi opened its CUDA program")
    Program("cuda", fast_math=False, device_memory_GB=0.25, **NO_CACHE)
    return _gpu_outcome(report, found, registers=255, details={})


def _vulkan(report):
    from aat.backends import vulkan_query

    report.step("the Vulkan driver was asked for its devices")
    found, loader = vulkan_query.devices()
    index = vulkan_query.choose(found, env.visible_device())
    details = {**loader, "index": index, "devices": [f"{each['name']} ({each['kind']})" for each in found]}
    report.step(f"Taichi opened its Vulkan program on {found[index]['name']}")
    set_vulkan_device(index)
    log = _captured(lambda: Program("vulkan", fast_math=False, log_level="trace", **NO_CACHE))
    taken = re.findall(r'Vulkan Device "(.+)" supports Vulkan', log)
    if taken and taken[-1] != found[index]["name"]:
        # the limits that were read belong to another device than the one that kernels would run on
        raise ProbeError(
            f"Taichi opened {taken[-1]!r} in place of {found[index]['name']!r}; hide the other devices "
            "from the Vulkan loader (VK_DRIVER_FILES)"
        )
    details["opened"] = taken[-1] if taken else ""
    return _gpu_outcome(report, found[index], registers=128, details=details)


def _gpu_outcome(report, found, registers, details):
    report.step(f"a first kernel ran on {found['name']}")
    _check_arithmetic(np.float32)
    report.step(f"a kernel with shared memory ran on {found['name']}")
    _check_shared_memory()
    dtypes = ["f16", "bf16", "f32"]
    if found["float64"]:
        report.step(f"a float64 kernel ran on {found['name']}")
        _check_arithmetic(np.float64)
        dtypes.append("f64")
    device = DeviceInfo(*(found[key] for key in ("name", "kind", "driver", "api_version", "vendor")))
    limits = Limits(
        shared_bytes=found["shared_bytes"],
        threads_per_block=found["threads_per_block"],
        dtypes=tuple(dtypes),
        registers=registers,
        memory_bytes=found["memory_bytes"] or None,
        array_bytes=found.get("array_bytes") or None,
        subgroup=found["subgroup"],
        native_f16=found["float16"],
        pairs=found["pairs"],
    )
    return {"device": asdict(device), "limits": asdict(limits), "details": details}


def _captured(run):
    """What `run()` and the libraries below it print, which is not all Python's: so by file descriptors."""
    kept = {number: os.dup(number) for number in (1, 2)}
    with tempfile.TemporaryFile() as file:
        for number in kept:
            os.dup2(file.fileno(), number)
        try:
            run()
        finally:
            ctypes.PyDLL(None).fflush(None)  # C's own buffer, which holds some of it
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)
        file.seek(0)
        return file.read().decode(errors="replace")


def _check_arithmetic(dtype):
    from aat.backends import device_kernels

    x, y = np.arange(N, dtype=dtype), np.full(N, 0.5, dtype)
    device_kernels.axpy(np.dtype(dtype))(3.0, x, y)
    taichi().sync()
    wrong = int(np.sum(y != 3 * x + dtype(0.5)))
    if wrong:
        raise ProbeError(
            f"a*x + y in {np.dtype(dtype)} came out wrong at {wrong} of {N} places; update the driver"
        )


def _check_shared_memory():
    from aat.backends import device_kernels

    block = device_kernels.BLOCK
    x, y = np.arange(4 * block, dtype=np.float32), np.zeros(4 * block, np.float32)
    device_kernels.reverse_blocks()(x, y, x.size)
    taichi().sync()
    if not np.array_equal(y, x.reshape(4, block)[:, ::-1].reshape(-1)):
        raise ProbeError("shared memory with a barrier gave wrong values; update the driver")
