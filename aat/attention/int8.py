"""How are rows kept in int8, and how far can that move a result of attention?

A row x of d numbers is kept as codes c in -127..127 and one float32 scale s: x^ = c s, s = max|x| / 127. With
HALF a little above 1/2 (the roundings of s, of x / s and of c s in float32), |x - x^|_inf <= HALF s.
docs/cache.md derives the bound on the output.
"""

import numpy as np

LEVELS = 127
# 1/2 by rounding to the nearest code. The rest, below 128 x 2^-24 each, are float32 roundings: of a float64
# input, of s, of x / s and of c s.
HALF = 0.5 + 4 * 128 * 2.0**-24
_SMALLEST = np.finfo(np.float32).tiny  # a smaller scale would be flushed to zero inside a kernel
# LEVELS times a larger scale is infinite in float32
_LARGEST = np.nextafter(np.finfo(np.float32).max / np.float32(LEVELS), np.float32(0))


def quantise(x):
    """Return (codes, scales) of float32 rows x (..., d): int8 (..., d) and float32 (...), or None.

    None: a row is not finite. Round to nearest, ties to even.
    """
    largest = np.abs(x).max(-1)
    if not np.isfinite(largest).all():
        return None
    scales = np.minimum(np.maximum(largest / np.float32(LEVELS), _SMALLEST), _LARGEST)
    return np.rint(x / scales[..., None]).astype(np.int8), scales


def dequantise(codes, scales):
    """The rows (..., d), float32, that codes and scales (...) stand for."""
    return codes * scales[..., None]


def output_bound(score_move, value_scale, spread):
    """|o - o^|_inf at most, if no score moves by more than `score_move` (softmax of all scores together).

    value_scale: the largest scale of a value row; spread: the largest max_j v^_jc - min_j v^_jc over the
    channels c, a sink counting as a value of zeros. Arrays that broadcast. Two softmaxes whose logits differ
    by at most delta are within tanh(delta / 2) of each other in total variation.
    """
    return HALF * value_scale + spread * np.tanh(score_move / 2)
