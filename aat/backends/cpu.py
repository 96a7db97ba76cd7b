"""The CPU backend: SIMD lanes on every core, host arrays as kernel arguments without a copy."""

import functools
import numbers
import os
import platform
import sys

import numpy as np

from aat import env
from aat.backends.base import Backend, DeviceInfo, Limits
from aat.backends.caches import share_of_caches
from aat.backends.dtypes import numpy_dtype
from aat.backends.memory import ALIGNMENT
from aat.backends.program import Program, offline_cache
from aat.backends.session import Session
from aat.errors import type_error, value_error

X86 = ("x86_64", "amd64")


@functools.cache
def features():
    """The instruction sets of this processor that decide the lane width, as a set of NumPy's names.

    NumPy has asked CPUID (or the system's register of ARM features) already, on every system it runs on, and
    honours what the operating system enabled; /proc/cpuinfo is the second source on Linux.
    """
    try:
        from numpy._core._multiarray_umath import __cpu_features__ as known  # type: ignore[import-not-found]

        return frozenset(name for name, there in known.items() if there)
    except ImportError:
        return _features_of_linux()


def _features_of_linux():
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = ""
    spelling = {"avx512f": "AVX512F", "avx2": "AVX2", "fma": "FMA3", "asimd": "ASIMD"}
    return frozenset(spelling[flag] for flag in flags.split() if flag in spelling)


def host_lanes():
    """SIMD lanes of f32 that this processor computes at once: 16 (AVX-512F), 8 (AVX2 with FMA) or 4."""
    found = features()
    if "AVX512F" in found:
        return 16
    return 8 if {"AVX2", "FMA3"} <= found else 4


def lane_width():
    """The lane width to compile for: AAT_LANES, else the host's."""
    return env.lanes() or host_lanes()


def intrinsics():
    """Whether the bitcode may be used: an x86-64 processor with FMA, and AAT_INTRINSICS not 0."""
    return env.intrinsics() and platform.machine().lower() in X86 and "FMA3" in features()


def processors():
    """Processors that this process may use (its affinity, where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_chosen: int | None = None  # by set_num_threads


def threads():
    """CPU programs that run side by side: min(processors, what set_num_threads or else AAT_NUM_THREADS says)."""
    return min(processors(), _chosen or env.num_threads() or sys.maxsize)


def set_num_threads(count):
    """Let the CPU backend use at most `count` threads, from the next call on; None stands for AAT_NUM_THREADS.

    More than the processors that this process may use (its affinity) are never used. The number changes no result.

    Raises
    ------
    TypeError, ValueError
        `count` is no whole number of at least 1.
    """
    from aat.backends import select

    global _chosen
    if count is not None:
        if isinstance(count, bool) or not isinstance(count, numbers.Integral):
            raise type_error("count", "a whole number, or None", repr(count))
        if count < 1:
            raise value_error("count", "at least 1", repr(count), "None stands for every processor")
    with select.lock():
        _chosen = None if count is None else int(count)
        session = select.active()
        if session is not None and session.backend == "cpu":
            session.resize(threads())


def get_num_threads():
    """How many threads the CPU backend uses."""
    return threads()


def memory_bytes():
    """Physical memory of the machine, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


@functools.cache
def device():
    """The processor as a DeviceInfo."""
    name, vendor = platform.processor() or platform.machine(), ""
    try:
        with open("/proc/cpuinfo") as file:
            lines = (line.split(":", 1) for line in file if ":" in line)
            facts = {key.strip(): value.strip() for key, value in lines}
        name, vendor = facts.get("model name", name), facts.get("vendor_id", vendor)
    except OSError:
        pass  # not Linux: the platform module's words have to do
    return DeviceInfo(name=name, kind="cpu", driver="LLVM 15 (Taichi 1.7.4)", vendor=vendor)


def limits():
    """What kernels may ask of the CPU: memory, caches, and its vector registers (32 with AVX-512 or ARM, else 16)."""
    wide = "AVX512F" in features() or platform.machine().lower() not in X86
    l1, l2 = share_of_caches()
    return Limits(
        registers=32 if wide else 16,
        lanes=host_lanes(),
        l1_bytes=l1,
        l2_bytes=l2,
        memory_bytes=memory_bytes(),
        native_f16="AVX512_SPR" in features(),
    )


def options(count):
    """The arguments of `ti.init`, each for a reason.

    Vectors stay LLVM vectors (real_matrix_scalarize: 180 instead of 9 GFLOP/s); a loop of few iterations
    still uses all threads (make_cpu_multithreading_loop); no reassociation (fast_math).
    """
    return {
        "real_matrix_scalarize": False,
        "make_cpu_multithreading_loop": False,
        "cpu_max_num_threads": count,
        "fast_math": False,
        "unrolling_limit": 0,
        **offline_cache(),
    }


class CpuBackend(Backend):
    """SIMD lanes on the host's cores."""

    name = "cpu"
    zero_copy = True

    def require(self):
        """Nothing to check: Taichi brings its own compiler for the processor."""

    def open(self):
        """Start Taichi's CPU program with the host's lanes and threads."""
        count = threads()
        width, bitcode = lane_width(), intrinsics()  # a bad variable raises before anything is started
        program = Program("cpu", **options(count))
        return Session(self, program, device(), limits(), threads=count, lane_width=width, intrinsics=bitcode)

    def block_kind(self, dtype):
        """Blocks are bytes, which serve every type."""
        return "bytes"

    def allocate(self, nbytes, dtype):
        """`nbytes` of host memory on a cache line."""
        # a misaligned vector argument is a segmentation fault, so blocks start on a cache line
        raw = np.empty(nbytes + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        return raw[start : start + nbytes]

    def argument(self, block, n, dtype):
        """A view of the block, of exactly `n` elements."""
        return block[: n * dtype.itemsize].view(dtype)

    def storage(self, logical):
        """The logical type itself; bf16 as its bits."""
        if logical == "bf16":
            return np.dtype(np.uint16)
        return numpy_dtype(logical)

    def upload(self, session, host, argument):
        """Copy within the host."""
        argument[: host.size] = host

    def download(self, session, argument, host):
        """Copy within the host."""
        host[...] = argument[: host.size]

    def fill(self, session, argument, value):
        """Set every element."""
        # -1 in an unsigned type would raise, all bits set is what is meant
        argument.view(np.uint8)[...] = 255 if argument.dtype.kind in "iub" else 0
        if argument.dtype.kind == "f":
            argument[...] = value
