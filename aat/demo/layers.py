"""The parts of a BERT layer that are not attention, for float32 NumPy arrays."""

import numpy as np

# gelu(x) = max(x, 0) - a Phi(-a) with a = |x|, and
#     a Phi(-a) ~ a exp(-a^2 / 2) (C1 t + ... + C5 t^5),    t = 1 / (1 + T a),
# the shape of Abramowitz and Stegun 7.1.26 fitted to a Phi(-a) itself, by reweighted least squares on [0, 9].
# |error| <= 4.8e-8 in exact arithmetic and <= 1.3e-7 max(1, |x|) in float32, which is its rounding.
GELU_T = np.float32(0.34)
GELU_C = tuple(map(np.float32, (
    0.1293342411518097, 0.1862414926290512, -0.040149860084056854, 0.3309746980667114, -0.1064029112458229)))
GELU_BLOCK = 1 << 15  # elements: three blocks of float32 stay in a core's second-level cache


def gelu(x):
    """Replaces every element of `x`, a C-contiguous float32 array of any shape, by x Phi(x). Returns `x`."""
    flat = x.reshape(-1)
    scratch = np.empty((3, min(GELU_BLOCK, flat.size)), np.float32)
    for start in range(0, flat.size, GELU_BLOCK):
        part = flat[start:start + GELU_BLOCK]
        a, t, p = scratch[:, :part.size]
        np.abs(part, out=a)
        np.multiply(a, GELU_T, out=t)
        t += np.float32(1)
        np.reciprocal(t, out=t)
        np.multiply(t, GELU_C[-1], out=p)
        for c in GELU_C[-2::-1]:
            p += c
            p *= t
        p *= a
        np.multiply(a, a, out=a)
        a *= np.float32(-0.5)
        np.exp(a, out=a)
        p *= a
        np.maximum(part, 0, out=part)
        part -= p
    return x


def layer_norm(x, eps, weight, bias):
    """Normalises the last axis of `x` (..., n) to mean 0 and variance 1, in place, then scales and shifts."""
    x -= x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", x, x)[..., None] / np.float32(x.shape[-1])
    x *= 1 / np.sqrt(variance + np.float32(eps))
    x *= weight
    x += bias
    return x


def linear(x, weight, bias):
    """x (..., n) times weight (n, m) plus bias (m,): (..., m), by one matrix product."""
    out = x.reshape(-1, x.shape[-1]) @ weight
    out += bias
    return out.reshape(*x.shape[:-1], -1)


def pool(x, lens):
    """The mean of each text's first `lens[b]` rows of `x` (B, L, n), scaled to length 1: (B, n)."""
    visible = np.arange(x.shape[1]) < lens[:, None]
    mean = np.einsum("bln,bl->bn", x, visible.astype(x.dtype)) / lens[:, None].astype(x.dtype)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)
