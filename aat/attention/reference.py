"""How does a Problem run on backend "reference": the Numba formula in float64, rounded once at the end?

Memory: the 16-bit inputs are widened whole, the results are kept in float64 until they are rounded.
"""

import numpy as np

from aat.arrays import STORAGE, round_into, widen
from aat.attention.base import Result


def run(problem):
    """Return the Result of `problem`, written into problem.out if that is given."""
    from aat.kernels.reference.attention_forward import attention_forward

    mods = problem.mods
    score_mod, mask_mod = (None if x is None else x.mod for x in ((mods.score, mods.mask) if mods else (None, None)))
    out, lse = attention_forward(
        widen(problem.q), widen(problem.k), widen(problem.v), mask=problem.mask,
        bias=None if problem.bias is None else widen(problem.bias), left=problem.left, right=problem.right,
        scale=problem.scale, softcap=problem.softcap, sinks=problem.sinks, kv_lens=problem.kv_lens,
        q_offset=problem.q_offset, score_mod=score_mod, mask_mod=mask_mod, score=problem.score)
    target = np.empty(out.shape, STORAGE[problem.dtype]) if problem.out is None else problem.out
    round_into(target, out)
    lse = round_into(np.empty(lse.shape, STORAGE[problem.lse_dtype]), lse)
    return Result(target, lse if problem.return_lse else None, kernel="reference")
