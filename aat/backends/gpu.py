"""What do the GPU backends share? Device arrays as Taichi ndarrays, and the kernels that copy to and fro."""

import numpy as np

from aat.backends import device_kernels
from aat.backends.base import Backend
from aat.backends.dtypes import INT32_MAX, numpy_dtype
from aat.backends.program import Program, offline_cache, taichi
from aat.backends.session import Session
from aat.errors import BackendError

# 8- and 16-bit storage is optional in Vulkan, and kernels compute in f32: so nothing narrower is kept
STORED_AS = {"f16": np.float32, "bf16": np.float32, "bool": np.int32, "u8": np.int32, "i8": np.int32}
IDLE_BYTES = 1 << 30


class GpuBackend(Backend):
    """A Taichi program on a GPU; `arch` is its name in Taichi."""

    arch = ""
    _opened = None  # the Probe that the open program was started by

    def require(self):
        """Raise BackendError unless the probe's child ran kernels on this GPU."""
        found = self.probe()
        if not found.ok:
            raise BackendError(self.name, found.reasons)

    def open(self):
        """Start Taichi's program on the device that was probed."""
        found = self._opened = self.probe()
        program = Program(self.arch, **self.options(found))
        idle = min(IDLE_BYTES, (found.limits.memory_bytes or 4 * IDLE_BYTES) // 4)
        return Session(self, program, found.device, found.limits, idle_bytes=idle)

    def options(self, found):
        """The arguments of `ti.init`: unrolled loops may be long (unrolling_limit), no reassociation."""
        return {
            "fast_math": False,
            "unrolling_limit": 0,
            **offline_cache(),
        }

    def block_kind(self, dtype):
        """A ti.ndarray has one type for life."""
        return dtype.str

    def allocate(self, nbytes, dtype):
        """A flat ti.ndarray of at least `nbytes`."""
        count = -(-nbytes // dtype.itemsize)
        return taichi().ndarray(device_kernels.taichi_type(dtype), shape=min(count, INT32_MAX))

    def argument(self, block, n, dtype):
        """The whole block: kernels take the count of elements beside it."""
        return block

    def storage(self, logical):
        """float32, float64 or int32; BackendError for a type that the device does not keep."""
        dtype = np.dtype(STORED_AS[logical] if logical in STORED_AS else numpy_dtype(logical))
        if dtype not in (np.float32, np.float64, np.int32):
            raise BackendError(
                self.name, [f"it keeps no arrays of {logical}; use f32, f16, bf16, bool or int32"]
            )
        found = self._opened or self.probe()
        if dtype == np.float64 and "f64" not in found.limits.dtypes:
            raise BackendError(
                self.name,
                [f'{found.device.name} has no 64-bit floating point; use float32, or backend="cpu"'],
            )
        return dtype

    def upload(self, session, host, argument):
        """Copy by a kernel, which leaves the rest of the block alone; Taichi has read `host` when it is launched."""
        self.copy(session, host, argument, host.size, host.dtype)

    def download(self, session, argument, host):
        """Copy by a kernel, which reads no more than `host` holds; Taichi waits for what it writes to the host."""
        self.copy(session, argument, host, host.size, host.dtype)

    def copy(self, session, source, target, n, dtype):
        """Copy n numbers of a stored type by a kernel, between arguments, host arrays and tensors of a CUDA device."""
        copy = session.kernel(("copy", dtype.str), lambda: device_kernels.copy(dtype))
        with session.launching():
            copy(source, target, n)

    def fill(self, session, argument, value):
        """Set every element of the block by a kernel."""
        dtype = np.dtype({"f32": np.float32, "f64": np.float64, "i32": np.int32}[argument.dtype.to_string()])
        fill = session.kernel(("fill", dtype.str), lambda: device_kernels.fill(dtype))
        with session.launching():
            fill(argument, value, argument.shape[0])
