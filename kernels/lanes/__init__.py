"""Lanes: the only backend-specific code of the kernels (lane types, fma, exp, staging, barriers, intrinsics).

`lanes_for(session, dtype)` gives the lane type that a kernel is traced with:

| where | width (f32 / f64) | lane variable | file |
|---|---|---|---|
| AVX-512, AVX2, SSE or NEON | 16 / 8, 8 / 4, 4 / 2 | LLVM vector | cpu.py |
| a GPU thread (vulkan, cuda) | 1 | scalar | gpu.py |
"""


def lanes_for(backend, lane_width, dtype, intrinsics):
    """The lane type for a backend.

    Args:
        backend: "cpu", "vulkan" or "cuda".
        lane_width: f32 lanes of a vector on the CPU: 16, 8 or 4; ignored on a GPU.
        dtype: dtype of the arrays, "f32", "f16", "bf16" or "f64"; 16-bit data is computed in f32.
        intrinsics: use the LLVM bitcode functions (x86-64 with FMA only); False is plain Taichi.
    """
    if backend == "cpu":
        from aat.kernels.lanes.cpu import CpuLanes

        return CpuLanes(lane_width, dtype, intrinsics)
    from aat.kernels.lanes.gpu import GpuLanes

    return GpuLanes(backend)


def columns_for(backend, lane_width, dtype, intrinsics):
    """The same lane type with a column in each lane (kernels/lanes/columns.py); arguments as `lanes_for`."""
    from aat.kernels.lanes.columns import CpuColumns, GpuColumns

    kind = CpuColumns if backend == "cpu" else GpuColumns
    return kind(lanes_for(backend, lane_width, dtype, intrinsics))
