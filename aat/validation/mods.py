"""Which functions change scores and masks in the cases, and which bias or mask states the same?

A recipe gives (function, dense): dense(b, h, q, k), on positions that broadcast, is the bias that is added to the
scaled score, or the mask.
"""
from collections.abc import Callable

import numpy as np

from aat import lane

MARGIN = 100            # how far positions may lie outside of the rows and keys


def make(name, case):
    """The recipe `name` for the sizes of a Case."""
    return RECIPES[name](np.random.default_rng(case.seed + 1), case)


def _alibi(rng, case):
    """A slope for each head, times the distance."""
    slopes = (2.0 ** -np.linspace(1, 8, case.Hq)).astype(np.float32)
    return (lambda s, b, h, q, k: s - slopes[h] * lane.abs(q - k)), (lambda b, h, q, k: -slopes[h] * np.abs(q - k))


def _relative(rng, case):
    """A bias by head and distance, from a table."""
    reach = case.Lq + case.Lk + MARGIN
    table = rng.standard_normal((case.Hq, 2 * reach + 1)).astype(np.float32)
    return (lambda s, b, h, q, k: s + table[h, q - k + reach]), (lambda b, h, q, k: table[h, q - k + reach])


def _clipped(rng, case):
    """The same for distances up to 8: those beyond share an entry."""
    table = rng.standard_normal((case.Hq, 17)).astype(np.float32)
    return ((lambda s, b, h, q, k: s + table[h, lane.minimum(lane.maximum(q - k, -8), 8) + 8]),
            (lambda b, h, q, k: table[h, np.clip(q - k, -8, 8) + 8]))


def _gated(rng, case):
    """A score that depends on the product in every way: no bias states it."""
    gates = rng.standard_normal((max(case.B, 1), case.Hq))

    def gated(s, b, h, q, k):
        near = lane.exp(-0.05 * lane.abs(q - k)) + lane.sqrt(1.0 + lane.abs(s)) / 7
        return lane.where((q // 3 + k % 5 + h) % 2 == 0, s * near, lane.tanh(s) + gates[b, h]) - 0.01 * s**2
    return gated, None


def _documents(rng, case):
    """Attention within documents, whose lengths are random."""
    n = case.Lq + case.Lk + MARGIN
    document = np.cumsum(rng.random(n) < 0.1).astype(np.int32)
    return (lambda b, h, q, k: document[q] == document[k]), (lambda b, h, q, k: document[q] == document[k])


def _prefix(rng, case):
    """Causal behind a prefix that everybody sees; its length differs between sequences."""
    prefix = rng.integers(1, max(2, case.Lk // 2), max(case.B, 1))
    return (lambda b, h, q, k: (k < prefix[b]) | (k <= q)), (lambda b, h, q, k: (k < prefix[b]) | (k <= q))


def _sink_keys(rng, case):
    """A sliding window, and the first keys always."""
    window, first = 9, 3
    return ((lambda b, h, q, k: (k <= q) & ((q - k < window) | (k < first))),
            (lambda b, h, q, k: (k <= q) & ((q - k < window) | (k < first))))


def _dilated(rng, case):
    """Every third key before the query, every second one in odd heads."""
    return ((lambda b, h, q, k: (q >= k) & ((q - k) % (3 - h % 2) == 0)),
            (lambda b, h, q, k: (q >= k) & ((q - k) % (3 - h % 2) == 0)))


def _causal(rng, case):
    """What `causal` states."""
    return (lambda b, h, q, k: q >= k), (lambda b, h, q, k: q >= k)


def _nothing(rng, case):
    """No key for the rows at positions 5 to 24."""
    return (lambda b, h, q, k: (q < 5) | (q > 24) & (k < 30)), (lambda b, h, q, k: (q < 5) | (q > 24) & (k < 30))


RECIPES: dict[str, Callable] = {
    "alibi": _alibi, "relative": _relative, "clipped": _clipped, "gated": _gated, "documents": _documents,
    "prefix": _prefix, "sink_keys": _sink_keys, "dilated": _dilated, "causal": _causal, "nothing": _nothing,
}
