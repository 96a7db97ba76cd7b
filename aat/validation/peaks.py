"""How fast could this device be? Its roofs, measured in the same run as what is held against them."""
# mypy: disable-error-code="valid-type,attr-defined,index,name-defined"

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from aat.backends.program import taichi

SUMS = 24  # independent sums: more than latency x pipes of any processor, and they fit in 32 registers
PRODUCT = 1024  # rows and columns of the matrix product
READ_BYTES = 256 << 20  # beyond any cache
GPU_PROGRAMS, GPU_THREADS = 4096, 128


@dataclass(frozen=True)
class Peaks:
    """1e9 floating-point operations and bytes a second in float32; None where there is nothing to measure it with.

    peak_gflops of multiply-adds in registers by the kernels' own lanes, sgemm_gflops of a matrix product (NumPy's on
    the CPU, a tiled kernel on a GPU), bandwidth_gbs of reads from memory.
    """

    peak_gflops: float | None = None
    sgemm_gflops: float | None = None
    bandwidth_gbs: float | None = None

    def best(self, other):
        """The higher of each: what else the machine does can only lower a roof."""
        return Peaks(*(max((x for x in pair if x is not None), default=None) for pair in zip(
            (self.peak_gflops, self.sgemm_gflops, self.bandwidth_gbs),
            (other.peak_gflops, other.sgemm_gflops, other.bandwidth_gbs), strict=True)))


def measure_peaks(backend, *, seconds=0.6, clock=time.perf_counter):
    """The Peaks of a backend; each is the best of what fits in a third of `seconds`."""
    from aat.backends import select

    if backend == "reference":
        return Peaks()
    with select.use(backend) as session:
        third = seconds / 3
        peak = _fma_rate(session, third, clock)
        if session.backend == "cpu":
            return Peaks(peak, _sgemm_rate(third, clock), _read_rate(session.threads, third, clock))
        return Peaks(peak, _product_rate(session, third, clock), _copy_rate(session, third, clock))


def best_rate(call, work, seconds, clock=time.perf_counter):
    """`work` / the shortest time of `call` within `seconds`, after a first call that is not timed; in 1e9."""
    call()
    best, end = np.inf, clock() + seconds
    tries = 0
    while tries < 3 or clock() < end:
        start = clock()
        call()
        best = min(best, clock() - start)
        tries += 1
    return work / best / 1e9


def _fma_rate(session, seconds, clock):
    width = session.lane_width
    programs = session.threads if session.backend == "cpu" else GPU_PROGRAMS * GPU_THREADS
    steps = 1 << 20 if session.backend == "cpu" else 1 << 9
    key = ("peak_fma", width)
    kernel = session.kernel(key, lambda: _fma_kernel(session))
    with session.scope():
        factors = session.array(np.full(2, 0.5, np.float32))
        sums = session.empty(programs * width, np.dtype(np.float32))

        def call():
            with session.launching():
                kernel(factors, sums, programs, steps)
            session.sync()

        return best_rate(call, 2.0 * programs * width * SUMS * steps, seconds, clock)


def _fma_kernel(session):
    ti = taichi()
    from aat.kernels.lanes import lanes_for
    from aat.kernels.lanes.base import inline

    L = lanes_for(session.backend, session.lane_width, "f32", session.intrinsics)
    Flat = ti.types.ndarray(ti.f32, 1)
    width, threads = L.width, 1 if session.backend == "cpu" else GPU_THREADS

    @inline
    def start(x):
        return [L.splat(x) for _ in range(SUMS)]

    @inline
    def add(x, y, sums):
        for total in sums:
            L.fma(x, y, total)

    @inline
    def total_of(sums):
        total = L.splat(0.0)
        for x in sums:
            total._augassign(x, "Add")
        return total

    @ti.kernel
    def peak_fma(factors: Flat, out: Flat, programs: ti.i32, steps: ti.i32):
        ti.loop_config(block_dim=threads)
        for t in range(programs):
            x = factors[0]
            y = L.splat(factors[1])
            sums = start(0.0)
            for _ in range(steps):
                add(x, y, sums)
            L.scatter_plain(out, None, L.rows(t * width, programs * width - 1), total_of(sums))

    return peak_fma


def _sgemm_rate(seconds, clock):
    a = np.full((PRODUCT, PRODUCT), 0.5, np.float32)
    out = np.empty_like(a)
    return best_rate(lambda: np.matmul(a, a, out=out), 2.0 * PRODUCT**3, seconds, clock)


def _read_rate(threads, seconds, clock):
    """x . x reads each number once, and BLAS does it with vectors; each thread has its own part."""
    parts = np.array_split(np.ones(READ_BYTES // 4, np.float32), threads)
    with ThreadPoolExecutor(threads) as pool:
        return best_rate(lambda: list(pool.map(lambda x: np.dot(x, x), parts)), READ_BYTES, seconds, clock)


def _product_rate(session, seconds, clock):
    n = PRODUCT if session.device.kind == "software" else 4 * PRODUCT
    kernel = session.kernel(("peak_product", n), lambda: _product_kernel(n))
    with session.scope():
        a = session.array(np.full(n * n, 0.5, np.float32))
        out = session.empty(n * n, np.dtype(np.float32))

        def call():
            with session.launching():
                kernel(a, a, out)
            session.sync()

        return best_rate(call, 2.0 * n**3, seconds, clock)


def _product_kernel(n):
    """C = A B in tiles of 64 x 64, 256 threads with 4 x 4 sums each, 16 columns staged at once."""
    ti = taichi()
    Flat = ti.types.ndarray(ti.f32, 1)
    tiles = n // 64

    @ti.kernel
    def peak_product(a: Flat, b: Flat, c: Flat):
        ti.loop_config(block_dim=256)
        for t in range(tiles * tiles * 256):
            a_fast = ti.simt.block.SharedArray((64 * 16,), ti.f32)
            b_fast = ti.simt.block.SharedArray((16 * 64,), ti.f32)
            thread = t % 256
            row, column = (t // 256 // tiles) * 64, (t // 256 % tiles) * 64
            y, x = thread // 16, thread % 16
            sums = ti.Matrix.zero(ti.f32, 4, 4)
            for step in range(n // 16):
                for i in ti.static(range(4)):
                    e = thread + i * 256
                    a_fast[e] = a[(row + e // 16) * n + step * 16 + e % 16]
                    b_fast[e] = b[(step * 16 + e // 64) * n + column + e % 64]
                ti.simt.block.sync()
                for k in range(16):
                    for i, j in ti.static(ti.ndrange(4, 4)):
                        sums[i, j] += a_fast[(y * 4 + i) * 16 + k] * b_fast[k * 64 + j * 16 + x]
                ti.simt.block.sync()
            for i, j in ti.static(ti.ndrange(4, 4)):
                c[(row + y * 4 + i) * n + column + j * 16 + x] = sums[i, j]

    return peak_product


def _copy_rate(session, seconds, clock):
    from aat.backends.device_kernels import copy

    size = min(READ_BYTES, (session.limits.array_bytes or READ_BYTES) // 2) // 4
    kernel = session.kernel(("peak_copy",), lambda: copy(np.dtype(np.float32)))
    with session.scope():
        source, target = (session.empty(size, np.dtype(np.float32)) for _ in range(2))

        def call():
            with session.launching():
                kernel(source, target, size)
            session.sync()

        return best_rate(call, 8.0 * size, seconds, clock)
