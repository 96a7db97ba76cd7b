"""What has to be known of the values, keys and queries of a call before anything may be left out?"""
from dataclasses import dataclass

import numpy as np

from aat.arrays import widen
from aat.tiling.threads import share

SAFE = 1e36            # scores below it are finite, and so are their sums


@dataclass(frozen=True, slots=True)
class Values:
    """largest (B, Hq) float64: max |v| over the keys that exist; inf where one is not finite.
    tame (B, Hq) bool: every score that may occur, and every value, is finite.
    """

    largest: np.ndarray
    tame: np.ndarray

    @classmethod
    def of(cls, problem):
        """Those of a Problem: one pass over v, k and q each; by head. Of an array on a device they are remembered."""
        B, Hk, group = problem.B, problem.Hk, problem.group
        lens = _lens(problem)
        largest = _of(problem.v, _largest, (B, Hk), lens)
        keys = _of(problem.k, _norm, (B, Hk), lens)
        queries = _of(problem.q, _norm, (B, problem.Hq), np.full(B, problem.Lq))
        keys, largest = np.repeat(keys, group, 1), np.repeat(largest, group, 1)
        with np.errstate(all="ignore"):
            top = queries * keys * max(abs(problem.scale), 1e-30)
            if problem.form is not None:    # products of two numbers of a query and one of a key, and sums of them
                top = ((1 + queries) * (1 + keys)) ** 2
            tame = (top < SAFE) & np.isfinite(largest) & np.isfinite(queries) & np.isfinite(keys)
        return cls(largest, tame & _finite(problem.bias) & _finite(problem.sinks))


def finite_heads(problem):
    """(B, Hq) bool: whether the values of the keys that exist are all finite."""
    fine = _of(problem.v, _all_finite, (problem.B, problem.Hk), _lens(problem)) > 0
    return np.repeat(fine, problem.group, 1)


def _lens(problem):
    return np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens


def _of(x, what, shape, lens):
    """(B, H) float64: what(x[b, h, :lens[b]]) of each head."""
    if not isinstance(x, np.ndarray):
        key = (what, x.shape, lens.tobytes())
        return x.remembered(key, lambda: _of(x.numpy(), what, shape, lens))
    found = np.zeros(shape)

    def some(heads):
        with np.errstate(all="ignore"):
            for b, h in heads:
                found[b, h] = what(x[b, h, :lens[b]])

    share(some, list(np.ndindex(shape)), x.size // max(1, x.shape[-1]))
    return found


def _largest(values):
    """max |v|: inf where one is not finite, 0 of nothing."""
    if not values.size:
        return 0.0
    values = widen(values)
    top = max(values.max(), -values.min())      # NaN stays NaN: max(NaN, x) is the first
    return top if np.isfinite(top) else np.inf


def _all_finite(values):
    """1.0 or 0.0."""
    return float(np.isfinite(_norm(values)) or np.isfinite(widen(values)).all())


def _norm(x):
    """The Frobenius norm, inf or NaN where an element is not finite (or its square overflows)."""
    x = widen(x)
    flat = x.reshape(-1) if x.flags.c_contiguous else np.ascontiguousarray(x).reshape(-1)
    return float(np.sqrt(np.dot(flat, flat)))


def _finite(x):
    """Whether a bias or sinks only holds finite numbers and -inf, which hides."""
    if x is None:
        return True
    x = widen(x)
    return bool(x.size == 0 or x.max() < np.inf)
