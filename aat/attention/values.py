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
        """Those of a Problem: one pass over v, k and q each; by head."""
        B, Hk, group = problem.B, problem.Hk, problem.group
        lens = np.full(B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
        q, k, v = (_host(x) for x in (problem.q, problem.k, problem.v))
        largest, keys, queries = np.zeros((B, Hk)), np.zeros((B, Hk)), np.zeros((B, problem.Hq))

        def some(heads):
            with np.errstate(all="ignore"):
                for b, h in heads:
                    values = v[b, h, :lens[b]]
                    if values.size:
                        values = widen(values)
                        top = max(values.max(), -values.min())      # NaN stays NaN: max(NaN, x) is the first
                        largest[b, h] = top if np.isfinite(top) else np.inf
                    keys[b, h] = _norm(k[b, h, :lens[b]])
                    for g in range(h * group, (h + 1) * group):
                        queries[b, g] = _norm(q[b, g])

        share(some, list(np.ndindex(B, Hk)), B * Hk * problem.Lk)
        keys, largest = np.repeat(keys, group, 1), np.repeat(largest, group, 1)
        with np.errstate(all="ignore"):
            top = queries * keys * max(abs(problem.scale), 1e-30)
            if problem.form is not None:    # products of two numbers of a query and one of a key, and sums of them
                top = ((1 + queries) * (1 + keys)) ** 2
            tame = (top < SAFE) & np.isfinite(largest) & np.isfinite(queries) & np.isfinite(keys)
        return cls(largest, tame & _finite(problem.bias) & _finite(problem.sinks))


def finite_heads(problem):
    """(B, Hq) bool: whether the values of the keys that exist are all finite."""
    lens = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    v, fine = _host(problem.v), np.zeros((problem.B, problem.Hk), bool)

    def some(heads):
        with np.errstate(all="ignore"):
            for b, h in heads:
                values = v[b, h, :lens[b]]
                fine[b, h] = bool(np.isfinite(_norm(values)) or np.isfinite(widen(values)).all())

    share(some, list(np.ndindex(problem.B, problem.Hk)), problem.B * problem.Hk * problem.Lk)
    return np.repeat(fine, problem.group, 1)


def _host(x):
    return x if isinstance(x, np.ndarray) else x.numpy()


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
