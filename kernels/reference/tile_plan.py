"""What may a tile weigh for a row, and how many tiles may a query tile leave out? float64, one tile after the other.

Moments are taken as given and nothing is rounded outwards: the kernel's bounds lie above these, by no more than its
roundings.
"""
import math

import numpy as np


def tile_bounds(q, tiles, scale, rho=None, spread=None):
    """(upper, lower), each (rows, T): ln U and ln J, or with rho the smaller of ln U and the mean's ln E / (1 - rho).

    q (rows, D); tiles: dicts of float64 numbers count, key, radius, eigenvalue, shift, value_spread, value_shift, and
    whole, whether every row sees all of its keys. |q| is that of the longest row.
    """
    norm = abs(scale) * np.sqrt((q**2).sum(1).max())
    upper, lower = np.empty((2, len(q), len(tiles)))
    for t, tile in enumerate(tiles):
        mu = scale * (q @ tile["key"]) + math.log(tile["count"])
        slack = norm * tile["shift"]
        delta, w2 = norm * tile["radius"], norm**2 * tile["eigenvalue"]
        phi = (math.expm1(delta) - delta) / delta**2 if delta > 1e-3 else 0.5
        excess = min(delta, math.log(math.cosh(delta)), math.log1p(phi * w2))
        error = excess + slack
        if rho is not None and tile["whole"]:
            rest = math.expm1(excess)
            linear = (math.sqrt(w2) * tile["value_spread"] + tile["value_shift"]) / spread
            total = math.exp(slack) * (linear + rest) + 2 * math.expm1(slack)
            error = min(error, (math.log(total) if total > 0 else -math.inf) - math.log1p(-rho))
        upper[:, t] = mu + error
        lower[:, t] = mu - slack if tile["whole"] else -math.inf
    return upper, lower


def longest_prefix(upper, lower, rho):
    """The tiles in the order of their largest bound, and how many of them all rows may leave out."""
    top = np.max(lower, 1, keepdims=True)
    mass = np.log(np.exp(lower - top).sum(1, keepdims=True)) + top
    share = np.exp(upper - mass)
    order = np.argsort(share.max(0), kind="stable")
    total = np.zeros(len(upper))
    for n, t in enumerate(order):
        total = total + share[:, t]
        if (total > rho).any():
            return order, n
    return order, len(order)
