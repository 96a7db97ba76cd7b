"""What must every kernel compute?

One module for each operation, with the stem of the kernel it specifies: Numba, float64, plain loops, no tiling, and
nothing shared with the kernel.  The reference is the measuring stick of the tests, the `backend="reference"` of the
public API, and (with `compute=np.float32`) the run that earns the error budget.
"""
