"""activation(x W^T + b), one element after the other.

    s = sum_k x[r, k] w[f, k] + b[f]
    relu       max(s, 0)                                     silu   s / (1 + e^-s)
    gelu       s Phi(s) = s erfc(-s / sqrt 2) / 2            gelu_tanh   s (1 + tanh(sqrt(2/pi) (s + 0.044715 s^3))) / 2

Sums run in index order, in the dtype `compute`. `linear_rounding` says how far roundings can move each element.
"""
import math

import numpy as np
from numba import njit

CODES = {None: 0, "relu": 1, "gelu": 2, "gelu_tanh": 3, "silu": 4}


def linear(x, w, bias=None, activation=None, heads=None, length=1, compute=np.float64):
    """activation(x w^T + bias): (rows, F), or (B, heads, length, F / heads) where `heads` is given.

    x (rows, E), w (F, E), bias (F,) or None: floats of any width. rows = B * length.
    """
    x, w, b = _prepared(x, w, bias, compute)
    out = np.zeros((x.shape[0], w.shape[0]), compute)
    _sums(x, w.T.copy(), b, bias is not None, out)
    return _by_head(_activated(out, activation), heads, length)


def linear_rounding(x, w, bias=None, activation=None, heads=None, length=1, unit=2.0**-24):
    """The reach of rounding in each element of `linear`, in unit roundoffs; arguments and shape as there, in float64.

    With a = sum_k |x_k w_k|, E additions and products reach sqrt(E) + 1 times a by the root-sum-of-squares rule, the
    bias one rounding of |s|. The activation f moves that by the largest |f'| nearby (1.13 for gelu and gelu_tanh, 1.1
    for silu, 1 else: one bound for all s), and rounds itself: 4 |f(s)| for its last steps, and for the part of gelu
    that is a difference of numbers near |s| (1 + erf, 1 + tanh near -1), 4 |s|; silu has no difference, and e^-s is as
    exact as its argument: 2 |s f(s)| more.
    """
    x, w, b = _prepared(x, w, bias, np.float64)
    s, size = np.zeros((x.shape[0], w.shape[0])), np.zeros((x.shape[0], w.shape[0]))
    _sums(x, w.T.copy(), b, bias is not None, s)
    _sums(np.abs(x), np.abs(w.T).copy(), np.zeros_like(b), False, size)
    steps = (math.sqrt(x.shape[1]) + 1) * size + np.abs(s) * (bias is not None)
    if activation is not None:
        f = np.abs(_activated(s.copy(), activation))
        steps = {"relu": 1.0, "silu": 1.1}.get(activation, 1.13) * steps + 4 * f
        if activation == "silu":
            with np.errstate(invalid="ignore"):
                steps += 2 * np.abs(s) * f
        elif activation != "relu":
            steps += 4 * np.abs(s)
    return _by_head(steps, heads, length)


def _prepared(x, w, bias, compute):
    b = np.zeros(w.shape[0]) if bias is None else bias
    return tuple(np.ascontiguousarray(a, compute) for a in (x, w, b))


def _by_head(out, heads, length):
    if heads is None:
        return out
    batch, column = out.shape[0] // length if length else 0, out.shape[1] // heads
    return np.ascontiguousarray(out.reshape(batch, length, heads, column).swapaxes(1, 2))


def _activated(s, activation):
    _activate(s.reshape(-1), CODES[activation])
    return s


@njit(cache=True, error_model="numpy")
def _sums(x, wt, b, has_bias, out):
    """out, zero before, for w transposed: neighbours in memory are added side by side, each in the order of k."""
    rows, depth = x.shape
    for r in range(rows):
        row = out[r]
        for k in range(depth):
            number, weights = x[r, k], wt[k]
            for f in range(row.size):
                row[f] += number * weights[f]
        if has_bias:
            for f in range(row.size):
                row[f] += b[f]


@njit(cache=True, error_model="numpy")
def _activate(s, code):
    one, half = s.dtype.type(1), s.dtype.type(0.5)
    slope, cube = s.dtype.type(math.sqrt(2 / math.pi)), s.dtype.type(0.044715)
    root = s.dtype.type(math.sqrt(0.5))
    for i in range(s.size):
        v = s[i]
        if code == 1:
            s[i] = s.dtype.type(0) if v < 0 else v
        elif code == 2:
            s[i] = half * v * math.erfc(-v * root)
        elif code == 3:
            s[i] = half * v * (one + math.tanh(slope * (v + cube * v * v * v)))
        elif code == 4:
            s[i] = v / (one + math.exp(-v))
