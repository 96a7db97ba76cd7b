"""Which CUDA device is there, and what are its limits? Asked from the driver library through ctypes.

Runs in the probe's child process. Calls and attribute numbers are those of NVIDIA's cuda.h (driver API).
"""

import ctypes
import sys
from ctypes import byref, c_char_p, c_int, c_size_t

LIBRARIES = {"linux": ("libcuda.so.1", "libcuda.so"), "win32": ("nvcuda.dll",)}
INSTALL = (
    "install NVIDIA's driver (in a container start it with the NVIDIA runtime, capability 'compute'), or use "
    'backend="vulkan" or "cpu"'
)
ATTRIBUTES = {
    "threads_per_block": 1,
    "shared_bytes": 8,
    "subgroup": 10,
    "integrated": 18,
    "major": 75,
    "minor": 76,
}
NO_DEVICE = 100


class CudaError(RuntimeError):
    """No CUDA device can be used; the message says why and what to do."""


def load():
    """The CUDA driver library; CudaError says how to get it."""
    if sys.platform == "darwin":
        raise CudaError('there is no CUDA on macOS; use backend="vulkan" or "cpu"')
    failures = []
    for name in LIBRARIES.get(sys.platform, LIBRARIES["linux"]):
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            failures.append(str(error))
    raise CudaError(f"NVIDIA's CUDA driver library could not be loaded ({failures[0]}); {INSTALL}")


def _check(library, result, call):
    if result == NO_DEVICE:
        raise CudaError(
            "the CUDA driver is there but finds no device; check that the GPU is visible (nvidia-smi, "
            'CUDA_VISIBLE_DEVICES), or use backend="cpu"'
        )
    if result:
        text = c_char_p()
        library.cuGetErrorString(result, byref(text))
        raise CudaError(f"{call} failed with {result} ({(text.value or b'unknown').decode()}); {INSTALL}")


def device():
    """The first device as a dict of plain values."""
    library = load()
    _check(library, library.cuInit(0), "cuInit")
    version, handle, memory = c_int(), c_int(), c_size_t()
    _check(library, library.cuDriverGetVersion(byref(version)), "cuDriverGetVersion")
    _check(library, library.cuDeviceGet(byref(handle), 0), "cuDeviceGet")
    name = ctypes.create_string_buffer(256)
    _check(library, library.cuDeviceGetName(name, len(name), handle), "cuDeviceGetName")
    _check(library, library.cuDeviceTotalMem_v2(byref(memory), handle), "cuDeviceTotalMem_v2")
    facts = {}
    for key, number in ATTRIBUTES.items():
        value = c_int()
        _check(library, library.cuDeviceGetAttribute(byref(value), number, handle), "cuDeviceGetAttribute")
        facts[key] = value.value
    return {
        "name": name.value.decode(errors="replace"),
        "kind": "integrated" if facts["integrated"] else "discrete",
        "vendor": "NVIDIA",
        "driver": f"CUDA driver API {version.value // 1000}.{version.value % 1000 // 10}",
        "api_version": f"compute capability {facts['major']}.{facts['minor']}",
        "memory_bytes": memory.value,
        "shared_bytes": facts["shared_bytes"],
        "threads_per_block": facts["threads_per_block"],
        "subgroup": facts["subgroup"],
        "float64": True,
        "pairs": False,
        "float16": facts["major"] >= 6,
    }
