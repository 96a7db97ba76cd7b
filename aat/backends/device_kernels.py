"""Which Taichi kernels do the backends themselves need? Copies and fills, and the two that a probe runs.

Each function builds its kernel for the program that is open.
"""
# mypy: disable-error-code="valid-type,attr-defined,index,name-defined"

from aat.backends.program import taichi

BLOCK = 64


def taichi_type(dtype):
    """The Taichi type of a stored np.dtype: float32, float64 or int32."""
    ti = taichi()
    return {"f": {4: ti.f32, 8: ti.f64}, "i": {4: ti.i32}}[dtype.kind][dtype.itemsize]


def copy(dtype):
    """target[i] = source[i] for i < n; n, since a device block is longer than what it holds."""
    ti = taichi()
    Flat = ti.types.ndarray(taichi_type(dtype), 1)

    @ti.kernel
    def kernel(source: Flat, target: Flat, n: ti.i32):
        for i in range(n):
            target[i] = source[i]

    return kernel


def fill(dtype):
    """target[i] = value for i < n."""
    ti = taichi()
    scalar = taichi_type(dtype)
    Flat = ti.types.ndarray(scalar, 1)

    @ti.kernel
    def kernel(target: Flat, value: scalar, n: ti.i32):
        for i in range(n):
            target[i] = value

    return kernel


def axpy(dtype):
    """y[i] = a * x[i] + y[i]."""
    ti = taichi()
    scalar = taichi_type(dtype)
    Flat = ti.types.ndarray(scalar, 1)

    @ti.kernel
    def kernel(a: scalar, x: Flat, y: Flat):
        for i in range(x.shape[0]):
            y[i] = a * x[i] + y[i]

    return kernel


def reverse_blocks():
    """Each run of BLOCK floats of x, reversed through shared memory: y[i] = x[other end]."""
    ti = taichi()
    Flat = ti.types.ndarray(ti.f32, 1)

    @ti.kernel
    def kernel(x: Flat, y: Flat, n: ti.i32):
        ti.loop_config(block_dim=BLOCK)
        for i in range(n):
            t = i % BLOCK
            tile = ti.simt.block.SharedArray((BLOCK,), ti.f32)
            tile[t] = x[i]
            ti.simt.block.sync()
            y[i] = tile[BLOCK - 1 - t]

    return kernel
