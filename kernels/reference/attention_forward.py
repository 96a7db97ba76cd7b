"""Exact attention, row by row, as the contract states it.

For query row i of head h at position p = i + q_offset[b], and key j of KV head h // (Hq / Hk):

    x_j = scale * sum_d q[i, d] k[j, d]
    y_j = softcap * tanh(x_j / softcap)             (x_j without softcap)
    s_j = y_j + bias[i, j]
    visible(j):  j < kv_lens[b],  p - left <= j <= p + right,  mask[i, j],  s_j != -inf
    m = max s_j,  Z = sum e^(s_j - m),  N = sum e^(s_j - m) v[j]    over the visible keys; a sink joins m and Z only
    out = N / Z,  lse = m + ln Z;    no visible key: out = 0, lse = -inf (or the sink)

Sums run in index order, in the dtype `compute`; nothing is reassociated or contracted.  `attention_rounding` walks the
same rows and says how far roundings can move each output element: the scale of an error budget.
"""
import math
import os
import threading

import numpy as np
from aat.kernels.reference._mods import joined
from aat.kernels.reference._score_rows import by_rows
from numba import njit, prange

# Numba's thread pools abort the process in a forked child (OpenMP), or when two threads enter at once (workqueue).
_POOL_OWNER = None  # the process that started the pool
_POOL = threading.Lock()


def attention_forward(q, k, v, *, mask=None, bias=None, left=None, right=None, scale, softcap=None, sinks=None,
                      kv_lens=None, q_offset=None, score_mod=None, mask_mod=None, compute=np.float64, score=None):
    """Return (out, lse) of exact attention, evaluated in the dtype `compute`.

    q (B, Hq, Lq, D), k (B, Hk, Lk, D), v (B, Hk, Lk, Dv): floats of any width, any strides; Hk divides Hq.
    mask (bool, True = may attend) and bias (float): 4-D, axes of size 1 broadcast and are never expanded.
    left, right: keys j with p - left <= j <= p + right, None = unbounded; causal is right=0.
    sinks (Hq,), kv_lens (B,), q_offset (B,) the position of query row 0 (None = 0).
    score: an object whose defined(q, k) is x, of rows (Hq, rows, D) and keys (Hk, keys, D); scale is of no use then.
    k without columns: q holds x itself, (B, Hq, Lq, Lk).
    score_mod, mask_mod: None, or what _mods.joined takes: functions of (x, b, h, p, j) and of (b, h, p, j).
    out is (B, Hq, Lq, Dv), lse (B, Hq, Lq), both of dtype `compute`.  Memory beyond the results: the inputs in
    `compute` and one row of scores a thread.  Raises ValueError for shapes that do not fit together.
    """
    if score_mod is not None or mask_mod is not None:
        call = dict(q=q, k=k, v=v, mask=mask, bias=bias, left=left, right=right, scale=scale, softcap=softcap,
                    sinks=sinks, kv_lens=kv_lens, q_offset=q_offset)
        return joined(attention_forward, call, score_mod, mask_mod, np.dtype(compute))
    if score is not None:
        return by_rows(attention_forward, q, k, v, score.defined, (*q.shape[:3], v.shape[3]), mask=mask, bias=bias,
                       left=left, right=right, softcap=softcap, sinks=sinks, kv_lens=kv_lens, q_offset=q_offset,
                       compute=compute)
    call = _prepared(q, k, v, mask, bias, left, right, scale, softcap, sinks, kv_lens, q_offset, np.dtype(compute))
    shape = call.arrays[0].shape[:3]
    out = np.zeros(shape + v.shape[3:], compute)
    lse = np.full(shape, -np.inf, compute)
    if lse.size:
        _launch(_forward_parallel, _forward_serial, call.arrays, call.numbers, out, lse)
    return out, lse


def attention_rounding(q, k, v, *, mask=None, bias=None, left=None, right=None, scale, softcap=None, sinks=None,
                       kv_lens=None, q_offset=None, score_mod=None, mask_mod=None, unit=2.0**-24, further=None,
                       score=None):
    """Return (out_steps, lse_steps): the reach of rounding in each element of out and lse, in unit roundoffs.

    Same arguments and shapes as `attention_forward`, always evaluated in float64.  With unit roundoff u = `unit`,
    a_j = |scale| sum_d |q_d k_jd| (what the partial sums of a score can reach), t' = 1 - (y_j / softcap)^2 (1 without
    softcap) and n visible keys, one score is uncertain by u e_j, where

        e_j = t' (sqrt(D) + 3) a_j        D additions, the root-sum-of-squares rule; scale and log2(e) folded in
            + 3 |y_j| + |s_j - m| + 2     tanh, change of base, subtraction of the maximum, the exponential itself
            + r_j                         bias: the rounding of y + b and of b log2(e)

    and to first order, d out = sum p_j (v_j - out) d s_j, so that

        out_steps = sum p_j e_j |v_j - out|  +  sqrt(n) (sum p_j |v_j| + |out|)  +  4 |out|
        lse_steps = sum p_j e_j  +  sqrt(n)  +  4  +  4 |lse|

    Where |b| u >= 1 the sum y + b loses y altogether: then r_j = |y_j| / u, all that can be lost, and not |b|.
    Weights below 2^-126 may be flushed to zero: p_j counts as at least 2^-126 / u in the term of the sums.
    With a score, an object that has steps(q, k, unit) beside defined(q, k), those stand for (sqrt(D) + 3) a_j; with k
    without columns they stand behind the scores in q, (B, Hq, Lq, 2 Lk).
    Rows that see nothing have 0 steps (lse: 4 |sink|).  Non-finite rows give NaN.
    further: steps that are added to each e_j, in the shape of a bias; a score_mod makes them from its operations.
    """
    if score_mod is not None or mask_mod is not None:
        given = dict(q=q, k=k, v=v, mask=mask, bias=bias, left=left, right=right, scale=scale, softcap=softcap,
                     sinks=sinks, kv_lens=kv_lens, q_offset=q_offset)
        return joined(attention_rounding, given, score_mod, mask_mod, np.dtype(np.float64), unit)
    if score is not None:
        return by_rows(attention_rounding, q, k, v, lambda a, b: (score.defined(a, b), score.steps(a, b, unit)),
                       (*q.shape[:3], v.shape[3]), mask=mask, bias=bias, left=left, right=right, softcap=softcap,
                       sinks=sinks, kv_lens=kv_lens, q_offset=q_offset, unit=unit)
    call = _prepared(q, k, v, mask, bias, left, right, scale, softcap, sinks, kv_lens, q_offset, np.dtype(np.float64))
    shape = call.arrays[0].shape[:3]
    out = np.zeros(shape + v.shape[3:])
    lse = np.zeros(shape)
    if lse.size:
        further = _broadcast(np.zeros((1, 1, 1, 1)) if further is None else further, (*shape, call.arrays[1].shape[3]))
        _launch(_rounding_parallel, _rounding_serial, call.arrays, (*call.numbers, float(unit), further), out, lse)
    return out, lse


class _Call:
    """Arguments in the few fixed types for which the row loops are compiled."""

    def __init__(self, arrays, numbers):
        self.arrays = arrays    # q, k transposed, v, mask, bias, table, sinks, kv_lens, q_offset
        self.numbers = numbers  # left, right, scale, softcap, has_mask, has_bias


def _prepared(q, k, v, mask, bias, left, right, scale, softcap, sinks, kv_lens, q_offset, compute):
    q, k, v = (np.asarray(x) for x in (q, k, v))
    if q.ndim != 4 or k.ndim != 4 or v.ndim != 4:
        raise ValueError(f"q, k, v: expected 4-D arrays (B, H, L, D), got shapes {q.shape}, {k.shape}, {v.shape}")
    (B, Hq, Lq, D), (Hk, Lk) = q.shape, k.shape[1:3]
    D = 0 if k.shape[3] == 0 and D in (Lk, 2 * Lk) else D
    if k.shape != (B, Hk, Lk, D) or v.shape[:3] != (B, Hk, Lk) or Hk == 0 or Hq % Hk:
        raise ValueError(f"k, v: expected (B, Hk, Lk, D) and (B, Hk, Lk, Dv) with Hk dividing Hq for q {q.shape}, "
                         f"got {k.shape} and {v.shape}")
    full = (B, Hq, Lq, Lk)
    for name, x in (("mask", mask), ("bias", bias)):
        if x is not None and (x.ndim != 4 or any(a not in (1, f) for a, f in zip(x.shape, full, strict=True))):
            raise ValueError(f"{name}: expected 4 axes, each of size 1 or that of {full}, got shape {x.shape}")
    bits, table = _bias_bits(bias)
    arrays = (
        _frozen(q, compute),
        _frozen(np.swapaxes(k, 2, 3), compute),
        _frozen(v, compute),
        _broadcast(np.ones((1, 1, 1, 1), np.bool_) if mask is None else mask, full),
        _broadcast(bits, full),
        table,
        _frozen(np.full(Hq, -np.inf) if sinks is None else sinks, compute),
        _frozen(np.full(B, Lk) if kv_lens is None else kv_lens, np.int64),
        _frozen(np.zeros(B) if q_offset is None else q_offset, np.int64),
    )
    wide = 2**62  # beyond every position, and p - wide still fits
    numbers = (wide if left is None else int(left), wide if right is None else int(right), compute.type(scale),
               compute.type(0.0 if softcap is None else softcap), mask is not None, bias is not None)
    return _Call(arrays, numbers)


def _bias_bits(bias):
    """The bias as Numba can read it, without a copy: 16-bit floats become their bits and a table of all values."""
    none = np.zeros(0, np.float32)
    if bias is None:
        return np.zeros((1, 1, 1, 1), np.float32), none
    if bias.dtype in (np.float32, np.float64):
        return bias, none
    if bias.dtype.itemsize != 2:
        raise TypeError(f"bias: expected a float dtype of 16, 32 or 64 bits, got {bias.dtype}")
    return bias.view(np.uint16), np.arange(2**16, dtype=np.uint16).view(bias.dtype).astype(np.float32)


# Numba compiles anew for every combination of contiguous or not, writable or not: two helpers leave one of each.

def _frozen(x, dtype):
    """Contiguous, of that dtype, read-only."""
    x = np.ascontiguousarray(x, dtype).view()
    x.flags.writeable = False
    return x


def _broadcast(x, full):
    """Broadcast by stride 0, read-only; a fifth axis of stride 0 and size 2 makes it never contiguous."""
    return np.broadcast_to(x[..., None] if all(full) else np.zeros((1,) * 5, x.dtype), (*(max(n, 1) for n in full), 2))


def _launch(parallel, serial, arrays, numbers, out, lse):
    global _POOL_OWNER
    pid = os.getpid()
    if _POOL_OWNER not in (None, pid):
        serial(*arrays, *numbers, out, lse)
        return
    _POOL_OWNER = pid
    with _POOL:
        parallel(*arrays, *numbers, out, lse)


def _compiled(**options):
    """`njit` cached on disk, or uncached where Numba finds no writable directory (it raises RuntimeError then)."""
    def decorate(function):
        try:
            return njit(cache=True, error_model="numpy", **options)(function)
        except RuntimeError:
            return njit(error_model="numpy", **options)(function)
    return decorate


@_compiled()
def _visible_range(i, b, lk, left, right, kv_lens, q_offset):
    p = i + q_offset[b]
    lo = min(max(p - left, 0), lk)
    hi = min(p + right + 1, kv_lens[b], lk)
    return lo, max(lo, hi)


@_compiled()
def _bias_row(bias, table, b, h, i, lo, hi, like):
    """bias[b, h, i, lo:hi] in the dtype of the array `like`."""
    row = np.empty(hi - lo, like.dtype)
    for j in range(hi - lo):
        stored = bias[b, h, i, lo + j, 0]
        if table.size > 0:
            row[j] = table[int(stored)]
        else:
            row[j] = stored
    return row


@_compiled()
def _dots(q_row, kt, n):
    """sum_d q[d] k[d, j], summed in the order of d for every key."""
    s = np.zeros(n, q_row.dtype)
    for d in range(q_row.size):
        qd = q_row[d]
        kd = kt[d]
        for j in range(n):
            s[j] += qd * kd[j]
    return s


@_compiled()
def _scores(q, kt, mask, bias, table, b, h, g, i, lo, hi, scale, softcap, has_mask, has_bias):
    """s[lo:hi] of one row; -inf marks a masked key."""
    if kt.shape[2] == 0:
        s = q[b, h, i, lo:hi].copy()
    else:
        s = _dots(q[b, h, i], kt[b, g, :, lo:hi], hi - lo)
        for j in range(hi - lo):
            s[j] = s[j] * scale
    if softcap > 0:
        for j in range(hi - lo):
            s[j] = softcap * np.tanh(s[j] / softcap)
    if has_bias:
        row = _bias_row(bias, table, b, h, i, lo, hi, s)
        for j in range(hi - lo):
            # -inf in the bias masks, whatever the score is: inf - inf must not make a NaN
            s[j] = row[j] if row[j] == -np.inf else s[j] + row[j]
    if has_mask:
        for j in range(hi - lo):
            if not mask[b, h, i, lo + j, 0]:
                s[j] = -np.inf
    return s


@_compiled()
def _maximum(s, sink):
    """(m, n): the largest of the sink and the visible scores (NaN is passed over), and how many keys are visible."""
    m = sink
    n = 0
    for j in range(s.size):
        if s[j] != -np.inf:
            n += 1
            if s[j] > m:
                m = s[j]
    return m, n


@_compiled()
def _forward_row(r, q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                 has_mask, has_bias, out, lse):
    heads, rows = q.shape[1], q.shape[2]
    b, h, i = r // (heads * rows), r // rows % heads, r % rows
    g = h // (heads // kt.shape[1])
    lo, hi = _visible_range(i, b, kt.shape[3], left, right, kv_lens, q_offset)
    s = _scores(q, kt, mask, bias, table, b, h, g, i, lo, hi, scale, softcap, has_mask, has_bias)
    m, n = _maximum(s, sinks[h])
    if n == 0:
        lse[b, h, i] = sinks[h]
        return
    z = s.dtype.type(0)
    if sinks[h] != -np.inf:
        z = np.exp(sinks[h] - m)
    o = out[b, h, i]
    for j in range(s.size):
        if s[j] != -np.inf:
            p = np.exp(s[j] - m)
            z += p
            vj = v[b, g, lo + j]
            for c in range(o.size):
                o[c] += p * vj[c]
    for c in range(o.size):
        o[c] = o[c] / z
    lse[b, h, i] = m + np.log(z)


@_compiled()
def _score_steps(s, q_row, k_cols, lo, keys, row_bias, scale, softcap, m, unit):
    """e_j of `attention_rounding` for the visible keys of one row."""
    n = s.size
    if k_cols.shape[0] == 0:
        x, steps = q_row[lo:lo + n], q_row[keys + lo:keys + lo + n]
    else:
        x = _dots(q_row, k_cols, n) * scale
        steps = (math.sqrt(q_row.size) + 3) * abs(scale) * _dots(np.abs(q_row), np.abs(k_cols), n)
    e = np.zeros(n)
    for j in range(n):
        y = x[j]
        slope = 1.0
        if softcap > 0:
            t = np.tanh(y / softcap)
            y = softcap * t
            slope = 1.0 - t * t
        e[j] = slope * steps[j] + 3 * abs(y) + abs(s[j] - m) + 2
        b = abs(row_bias[j])
        if b * unit < 1:
            e[j] += b + min(abs(s[j]), b, abs(y) / unit)
        else:
            e[j] += abs(y) / unit
    return e


@_compiled()
def _rounding_row(r, q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                  has_mask, has_bias, unit, further, out, lse):
    heads, rows = q.shape[1], q.shape[2]
    b, h, i = r // (heads * rows), r // rows % heads, r % rows
    g = h // (heads // kt.shape[1])
    lo, hi = _visible_range(i, b, kt.shape[3], left, right, kv_lens, q_offset)
    s = _scores(q, kt, mask, bias, table, b, h, g, i, lo, hi, scale, softcap, has_mask, has_bias)
    sink = sinks[h]
    m, n = _maximum(s, sink)
    if n == 0:
        lse[b, h, i] = 0.0 if sink == -np.inf else 4 * abs(sink)
        return
    z = 0.0 if sink == -np.inf else np.exp(sink - m)
    for j in range(s.size):
        if s[j] != -np.inf:
            z += np.exp(s[j] - m)
    row_bias = _bias_row(bias, table, b, h, i, lo, hi, s) if has_bias else np.zeros(s.size)
    e = _score_steps(s, q[b, h, i], kt[b, g, :, lo:hi], lo, kt.shape[3], row_bias, scale, softcap, m, unit)
    for j in range(s.size):
        e[j] += further[b, h, i, lo + j, 0]
    o = np.zeros(v.shape[3])
    size = np.zeros(v.shape[3])
    for j in range(s.size):
        if s[j] != -np.inf:
            p = np.exp(s[j] - m) / z
            for c in range(o.size):
                o[c] += p * v[b, g, lo + j, c]
                size[c] += max(p, 2.0**-126 / unit) * abs(v[b, g, lo + j, c])
    steps = out[b, h, i]
    total = math.sqrt(n) + 4 + 4 * abs(m + np.log(z))
    for c in range(o.size):
        steps[c] = math.sqrt(n) * (size[c] + abs(o[c])) + 4 * abs(o[c])
    if sink != -np.inf:
        p = np.exp(sink - m) / z
        total += p * (2 * abs(sink) + abs(sink - m))
        for c in range(o.size):
            steps[c] += p * (2 * abs(sink) + abs(sink - m)) * abs(o[c])
    for j in range(s.size):
        if s[j] != -np.inf:
            p = np.exp(s[j] - m) / z
            total += p * e[j]
            for c in range(o.size):
                steps[c] += p * e[j] * abs(v[b, g, lo + j, c] - o[c])
    lse[b, h, i] = total


@_compiled(parallel=True)
def _forward_parallel(q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                      has_mask, has_bias, out, lse):
    for r in prange(lse.size):
        _forward_row(r, q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                     has_mask, has_bias, out, lse)


@_compiled()
def _forward_serial(q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                    has_mask, has_bias, out, lse):
    for r in range(lse.size):
        _forward_row(r, q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                     has_mask, has_bias, out, lse)


@_compiled(parallel=True)
def _rounding_parallel(q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                       has_mask, has_bias, unit, further, out, lse):
    for r in prange(lse.size):
        _rounding_row(r, q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                      has_mask, has_bias, unit, further, out, lse)


@_compiled()
def _rounding_serial(q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                     has_mask, has_bias, unit, further, out, lse):
    for r in range(lse.size):
        _rounding_row(r, q, kt, v, mask, bias, table, sinks, kv_lens, q_offset, left, right, scale, softcap,
                      has_mask, has_bias, unit, further, out, lse)
