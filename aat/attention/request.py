"""What is asked of a strategy for a call: a Request from a Problem."""
from dataclasses import replace

import numpy as np

from aat.arrays import widen
from aat.errors import value_error
from aat.tiling.strategies.base import Request
from aat.tiling.summary import KeySummary
from aat.tiling.visible import bias_range, tile_visibility

ROUNDING = np.float32(2.0**-21)        # of a bias, in float32, and of its sum with a score


def of(problem, strategy, config, session=None):
    """The Request for a Problem, with the strategy's summary of its keys or a new one."""
    block, rows = config.keys_per_tile, config.rows_per_program(problem.dtype)
    q, k, v = (_floats(x) for x in (problem.q, problem.k, problem.v))
    summary = strategy.summary
    if summary is None:
        summary = KeySummary(k, v, block, problem.kv_lens, session)
    lens = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    summary.check(k.shape, block, v.shape[3], lens)
    offset = problem.q_offset
    reach = offset, problem.left, problem.right
    visible = None if problem.mask is None else tile_visibility(
        summary, problem.Lq, rows, offset=offset, left=problem.left, right=problem.right, mask=problem.mask)
    low = high = None
    if problem.bias is not None:
        low, high = (x.astype(np.float32) for x in bias_range(widen(problem.bias), block))
        low, high = (x + sign * ROUNDING * np.where(np.isfinite(x), np.abs(x), 0) for x, sign in ((low, -1), (high, 1)))
    first = np.arange(0, problem.Lq, rows)
    local = np.clip((first[None] + offset[:, None]) // block, 0, max(summary.tiles - 1, 0))
    return Request(summary, q, problem.scale, problem.tolerance, rows, visible, high, low, local,
                   form="largest" if problem.sinks is not None else "range", reach=reach, session=session)


def in_order(problem, summary):
    """The Problem over the keys and values of a summary with a key sort, in its order: rows do not change.

    Raises ValueError where the summary is of other keys, or the call tells keys apart by their position.
    """
    lens = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    summary.check(problem.k.shape, dv=problem.Dv, lens=lens)
    reasons = [f"a {name} with an axis of keys" for name in ("mask", "bias")
               if getattr(problem, name) is not None and getattr(problem, name).shape[3] > 1]
    if problem.left is not None or problem.right is not None:
        reasons.append("causal or a window")
    if not isinstance(problem.k, np.ndarray):
        reasons.append("arrays on a device")
    if reasons:
        raise value_error("tiling", "a call that does not tell keys apart by position, as the summary keeps them in "
                          "another order", " and ".join(reasons), "pass a KeySummary without sort=")
    k, v = summary.sorted.k, summary.sorted.v
    dtype = np.dtype(np.uint16) if k.dtype.name == "bfloat16" else k.dtype
    if dtype != problem.k.dtype:
        raise value_error("tiling", f"a summary of keys of dtype {problem.dtype}", f"one of {summary.dtype}",
                          "build it from the keys of this call")
    return replace(problem, k=k.view(dtype), v=v.view(dtype))


def _floats(x):
    x = x if isinstance(x, np.ndarray) else x.numpy()
    return x if x.dtype in (np.float32, np.float64) else widen(x)
