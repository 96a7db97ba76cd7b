"""Rotary position embedding, one number after the other.

Pair i of the first `rotary` columns of a row at position p is turned by the angle p base^(-2 i / rotary):

    y_a = x_a cos - x_b sin        y_b = x_b cos + x_a sin

with (a, b) = (i, i + rotary / 2), or (2 i, 2 i + 1) if `interleaved`; other columns stay. Angles, cosines and sines are
float64 and rounded to `compute`.
"""
import math

import numpy as np
from numba import njit


def rope(x, positions, rotary, base, interleaved, compute=np.float64):
    """x (B, H, L, D) turned, of dtype `compute`; positions (B, L) of whole numbers."""
    out = np.ascontiguousarray(x, compute).copy()
    _turn(out, np.ascontiguousarray(positions, np.int64), rotary, float(base), interleaved)
    return out


def rope_rounding(x, positions, rotary, base, interleaved, unit=2.0**-24):
    """The reach of rounding in each element of `rope`, in unit roundoffs; arguments and shape as there, in float64.

    Each product rounds, and so did its cosine or sine; then the sum does: 2 (|x_a cos| + |x_b sin|) + |y|. The angle is
    a float64 number after a power and a product: 4 |angle| units of 2^-53, which move y by |x_a sin| + |x_b cos| each;
    beside the unit of float32 that counts from positions of 10^8 on. What is not turned has 0.
    """
    y = np.abs(rope(x, positions, rotary, base, interleaved))
    y[..., rotary:] = 0
    products = np.ascontiguousarray(np.abs(x), np.float64).copy()
    products[..., rotary:] = 0
    _reach(products, np.ascontiguousarray(positions, np.int64), rotary, float(base), interleaved, 2.0**-53 / unit)
    return products + y


@njit(cache=True, error_model="numpy")
def _places(i, rotary, interleaved):
    return (2 * i, 2 * i + 1) if interleaved else (i, i + rotary // 2)


@njit(cache=True, error_model="numpy")
def _turn(x, positions, rotary, base, interleaved):
    batches, heads, length, _ = x.shape
    for b in range(batches):
        for h in range(heads):
            for l in range(length):
                row = x[b, h, l]
                for i in range(rotary // 2):
                    angle = positions[b, l] * base ** (-2.0 * i / rotary)
                    cos, sin = x.dtype.type(math.cos(angle)), x.dtype.type(math.sin(angle))
                    p, q = _places(i, rotary, interleaved)
                    first, second = row[p], row[q]
                    row[p] = first * cos - second * sin
                    row[q] = second * cos + first * sin


@njit(cache=True, error_model="numpy")
def _reach(x, positions, rotary, base, interleaved, wide):
    """|x| becomes everything but |y|; `wide` is a float64 unit in those of the result."""
    batches, heads, length, _ = x.shape
    for b in range(batches):
        for h in range(heads):
            for l in range(length):
                row = x[b, h, l]
                for i in range(rotary // 2):
                    angle = positions[b, l] * base ** (-2.0 * i / rotary)
                    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
                    p, q = _places(i, rotary, interleaved)
                    first, second, turned = row[p], row[q], 4 * abs(angle) * wide
                    row[p] = 2 * (first * cos + second * sin) + turned * (first * sin + second * cos)
                    row[q] = 2 * (second * cos + first * sin) + turned * (second * sin + first * cos)
