"""What becomes of a launch of attention_forward on a GPU that nobody on the host waits for?

Whether a result was not finite, and what was counted, stay on the device. `settle` is launched behind it: it gives the
careful launch that follows its tasks, or none, and makes the description ready for the next launch.
"""
import taichi as ti
from aat.kernels.attention_merge import Merge
from aat.kernels.parts.queries import PROGRAM, Meta


def build():
    """settle(meta, second, tasks, rows, careful): `meta` describes the launch that ran, `second` the careful one.

    If something was not finite and `careful` is 1, `second` gets `tasks`, and `rows` to merge; else none, and the
    counts of `meta`. The flags and counts of `meta` are 0 afterwards.
    """
    INTS = ti.types.ndarray(ti.i32, 1)

    @ti.kernel
    def settle(meta: INTS, second: INTS, tasks: ti.i32, rows: ti.i32, careful: ti.i32):
        for _ in range(1):
            again = 0
            if careful == 1 and (meta[Meta.NONFINITE] != 0 or meta[Meta.MERGE + Merge.NONFINITE] != 0):
                again = 1
            second[Meta.TASKS] = tasks * again
            second[Meta.MERGE + Merge.ROWS] = rows * again
            meta[Meta.NONFINITE] = 0
            meta[Meta.MERGE + Merge.NONFINITE] = 0
            at = meta[Meta.COUNTS]
            for n in range(PROGRAM):
                second[at + n] = meta[at + n] * (1 - again)
                meta[at + n] = 0

    return settle
