"""The softmax monoid, part by part, in float64: see kernels/attention_merge.py for what a part is."""
import math

import numpy as np
from numba import njit


def attention_merge(a, m, l, sinks=None):
    """(out, lse) of rows from their parts.

    a (parts, rows, Dv), m and l (parts, rows), floats of any width; sinks (rows,) or None: logits that join the sum and
    have no value. out is (rows, Dv), lse (rows,), float64. A row of which every m is -inf and that has no sink is 0,
    its lse -inf.
    """
    rows = m.shape[1]
    own = np.full(rows, -np.inf) if sinks is None else np.asarray(sinks, np.float64)
    out, lse = np.zeros((rows, a.shape[2])), np.zeros(rows)
    _rows(np.asarray(a, np.float64), np.asarray(m, np.float64), np.asarray(l, np.float64), own, out, lse)
    return out, lse


@njit(cache=True)
def _rows(a, m, l, sinks, out, lse):
    parts, rows = m.shape
    for r in range(rows):
        top = sinks[r]
        for p in range(parts):
            top = max(top, m[p, r])
        if top == -math.inf:
            lse[r] = -math.inf
            continue
        total = math.exp(sinks[r] - top)
        for p in range(parts):
            if m[p, r] != -math.inf:
                weight = math.exp(m[p, r] - top)
                total += weight * l[p, r]
                for c in range(a.shape[2]):
                    out[r, c] += weight * a[p, r, c]
        for c in range(a.shape[2]):
            out[r, c] /= total
        lse[r] = top + math.log(total)
