"""What does a call mean?  The contract read a second time, independently of `aat.functional`.

Turns the keyword arguments of `aat.attention` (NumPy arrays) into those of the reference.  It trusts its input: bad
arguments are the public API's business.  Sharing this reading with the API would hide the API's mistakes.
"""
import math

import numpy as np

from aat.mods.capture import Mod


def canonical(q, k, v, *, mask=None, bias=None, causal=None, window=(None, None), scale=None, softcap=None, sinks=None,
              kv_lens=None, q_offset=None, score_mod=None, mask_mod=None, layout="bhsd", score="dot"):
    """Return the reference's keyword arguments for a call with these arguments."""
    q, k, v = (_heads_first(x, layout) for x in (q, k, v))
    B, _, Lq, D = q.shape
    Lk = k.shape[2]
    lens = None if kv_lens is None else np.asarray(kv_lens)
    left, right = window
    if causal is not None:
        right = 0 if right is None else min(right, 0)
    if q_offset is not None:
        offset = np.broadcast_to(np.asarray(q_offset), (B,))
    elif causal == "lower_right":
        offset = np.full(B, Lk - Lq) if lens is None else lens - Lq
    else:
        offset = np.zeros(B, np.int64)
    further = {} if isinstance(score, str) else {"score": score}
    return dict(q=q, k=k, v=v, mask=_four(mask), bias=_four(bias), left=left, right=right,
                scale=1 / math.sqrt(D) if scale is None else scale, softcap=softcap, sinks=sinks, kv_lens=lens,
                q_offset=offset, score_mod=score_mod and Mod(score_mod, "score_mod"),
                mask_mod=mask_mod and Mod(mask_mod, "mask_mod"), **further)


def canonical_output(out, lse, ndim, layout):
    """A call's out and lse in the reference's order: (B, H, L, Dv) and (B, H, L)."""
    out, lse = np.asarray(out), np.asarray(lse)
    return _heads_first(out, layout), lse[None] if ndim == 3 else lse


def _heads_first(x, layout):
    x = np.asarray(x)
    if layout == "bshd":
        x = np.swapaxes(x, -2, -3)
    return x[None] if x.ndim == 3 else x


def _four(x):
    """Right-aligned broadcasting: missing axes are of size 1."""
    return None if x is None else np.asarray(x).reshape((1,) * (4 - np.ndim(x)) + np.shape(x))
