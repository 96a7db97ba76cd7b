"""How much can a tile of keys weigh for a query row, at most and at least?

For a row q, scores s_j = scale q.k_j + bias_j over the n keys of a tile, c their mean, mu = scale q.c, x_j = s_j - mu
without the bias, delta >= |x_j| and w^2 >= mean of x_j^2, the mass Z = sum e^s_j obeys

    Z >= n e^(mu + least bias)                                    Jensen; sum x_j = 0, every key visible
    Z <= n e^(mu + largest bias) min(e^delta, cosh delta, 1 + phi(delta) w^2)       phi(x) = (e^x - 1 - x) / x^2

The first is U0 (Cauchy-Schwarz), the second U1 (e^x lies under its chord on [-delta, delta]), the third U2: phi
increases, so e^x = 1 + x + x^2 phi(x) <= 1 + x + x^2 phi(delta), and the linear terms cancel. w^2 is not clipped to
delta^2: that is only harmless while delta is a two-sided bound, and U1 covers that case.

All numbers are float32 and hold for exact arithmetic on the stored keys and queries: |fl(q.c) - q.c| <= D u |q||c|,
and `slack` is twice that with room for the roundings behind it; log bounds move by it, outwards.
"""
from dataclasses import dataclass

import numpy as np

from aat.tiling.moments import TINY, UNIT

FAR = np.float32(1e30)          # a product of norms beyond it may have overflowed on the way
PLENTY = 1e-5                   # relative room for the float32 evaluation of the formulas of this file


@dataclass(frozen=True)
class TileBounds:
    """Bounds of every tile for every row: float32 arrays (B, Hq, L, T).

    mu: the score of the centre, without bias. delta >= |x|. w2 >= mean x^2. upper >= ln Z. jensen <= ln Z, -inf where
    a key of the tile is not visible. slack >= |mu - the exact score of the mean key|.
    """

    mu: np.ndarray
    delta: np.ndarray
    w2: np.ndarray
    upper: np.ndarray
    jensen: np.ndarray
    slack: np.ndarray


def row_norms(q, scale):
    """scale |q| of every row (.., L), rounded up; inf where a component is not finite."""
    with np.errstate(all="ignore"):
        norm = np.sqrt(np.einsum("...d,...d->...", q, q)) * np.float32(abs(scale))
    return np.where(np.isfinite(norm), norm * (1 + (q.shape[-1] + 8) * UNIT) + TINY, np.inf).astype(np.float32)


def tile_slack(moments, d):
    """Per tile, what the slack of a row is a multiple of: slack = scale |q| times this."""
    rounding = (d + 16) * 2 * UNIT
    return (rounding * (moments.key_norm + moments.radius) + moments.shift + TINY).astype(np.float32)


def excess(delta, w2):
    """ln of min(e^delta, cosh delta, 1 + phi(delta) w2), rounded up; delta, w2 >= 0, float32 or float64."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # 1 + phi(delta) w2 = 1 + (w2 / delta^2)(e^delta - 1 - delta); from delta 20 on by logarithms
        small = np.minimum(delta, 20)
        u2 = np.log1p(phi(small) * w2)
        large = np.logaddexp(0, delta + np.log(w2) - 2 * np.log(np.maximum(delta, 1)))
        u2 = np.where(delta > 20, large, u2)
        u1 = np.maximum(delta - np.log(2) + np.log1p(np.exp(-2 * delta)), 0)
        best = np.fmin(np.minimum(u1, delta), u2)
    return np.where(np.isnan(delta) | np.isnan(w2), np.inf, best * (1 + PLENTY) + 8 * UNIT)


def phi(x):
    """(e^x - 1 - x) / x^2, increasing on the reals, 1/2 at 0."""
    x = np.asarray(x)
    near = np.abs(x) < 0.25
    safe = np.where(near, 1, x)
    # six terms: the next one is below 2^-24 of the sum
    series = 1 / 2 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x * (1 / 720 + x * (1 / 5040 + x / 40320)))))
    return np.where(near, series, (np.expm1(safe) - safe) / (safe * safe))


def tile_bounds(summary, q, scale, *, visible=None, bias_high=None, bias_low=None):
    """TileBounds of a KeySummary for queries q (B, Hq, L, D).

    Args:
        visible: None (everything) or an array that broadcasts to (B, Hq, L, T): 0 no key of the tile is visible to
            the row, 1 some are, 2 all are. kv_lens need no mention: the summary knows which keys exist.
        bias_high, bias_low: None or arrays that broadcast to (B, Hq, L, T): the largest and the least bias of the
            tile's visible keys. Where bias_low is None while bias_high is not, there is no lower bound.
    """
    m = summary.moments
    d = q.shape[3]
    group = q.shape[1] // summary.heads
    q32 = q.astype(np.float32)
    with np.errstate(all="ignore"):
        centres = np.repeat(m.key, group, 1)
        mu = np.matmul(q32 * np.float32(scale), np.swapaxes(centres, 2, 3))
        norm = row_norms(q32, scale)
        if q.dtype == np.float64:
            norm = norm * (1 + UNIT)

        def tiles(x):
            return np.repeat(x, group, 1)[:, :, None]

        slack = norm[..., None] * tiles(tile_slack(m, d))
        delta = norm[..., None] * tiles(m.radius)
        w2 = (norm * norm)[..., None] * tiles(m.eigenvalue) * (1 + 4 * UNIT)
        size = np.log(tiles(m.count).astype(np.float32))        # -inf for a tile without keys: it weighs nothing
        lost = ~(slack < FAR) | ~np.isfinite(mu)
        upper = np.where(lost, np.inf, size + mu + slack + excess(delta, w2) + _room(mu, size))
        jensen = np.where(lost, -np.inf, size + mu - slack - _room(mu, size))
        if bias_high is not None:
            upper = upper + bias_high + UNIT * 2 * np.abs(bias_high)
            jensen = jensen - np.inf if bias_low is None else jensen + bias_low - UNIT * 2 * np.abs(bias_low)
    upper = np.where(np.isnan(upper), np.inf, upper)
    jensen = np.where(np.isnan(jensen), -np.inf, jensen)
    empty = np.broadcast_to(tiles(m.count) == 0, upper.shape)
    if visible is not None:
        empty = empty | (np.broadcast_to(visible, upper.shape) == 0)
        jensen = np.where(np.broadcast_to(visible, upper.shape) == 2, jensen, -np.inf)
    upper, jensen = (np.where(empty, -np.inf, x).astype(np.float32) for x in (upper, jensen))
    return TileBounds(mu, delta, w2, upper, jensen, slack)


def _room(mu, size):
    """The rounding of the sums that make a log bound, all of the size of mu and ln n."""
    return 8 * UNIT * (np.abs(mu) + np.where(np.isfinite(size), size, 0) + 1)


def replacement(delta, w2, slack, value_spread, value_shift, spread):
    """ln of the error of putting a tile's mean in its place, over n e^mu and over `spread`; all visible keys.

    With the mean key's score exact, the tile's contribution to numerator minus output times denominator is off by at
    most n e^mu (w omega + G spread), G = mean(e^x - 1 - x) <= min(cosh delta - 1, phi(delta) w^2): the linear term
    loses the mean value (sum x = 0) and Cauchy-Schwarz gives w omega; in the rest every value lies within `spread` of
    the output. A score off by `slack` scales the tile's weight, which adds (e^slack - 1) spread, twice since the
    denominator that is used holds that weight too.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rest = np.expm1(np.minimum(excess(delta, w2), 60))
        first = (np.sqrt(w2) * value_spread + value_shift) / spread
        total = np.exp(np.minimum(slack, 60)) * (first + rest) + 2 * np.expm1(np.minimum(slack, 60))
        return np.where(np.isfinite(total), np.log(total) + 2 * PLENTY, np.inf)


def share(tolerance, largest, spread):
    """The share rho of a row's mass that may be left out, and kappa = rho / (1 - rho), both float64.

    The error of leaving out a share rho is at most rho times `spread`, the range of the values (or twice the
    largest), so rho = tolerance largest / spread; at most 1/2 is ever used. 0 where a value is not finite, so that
    such a row is computed in full.
    """
    largest, spread = np.asarray(largest, np.float64), np.asarray(spread, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.where(spread > 0, tolerance * largest / spread, 0.5) * (1 - 4 * PLENTY)
    rho = np.where(np.isfinite(spread) & np.isfinite(largest) & (tolerance > 0), np.minimum(rho, 0.5), 0.0)
    return rho, rho / (1 - rho)


def certificate(omitted, kept, spread):
    """The proven error of a row: spread T / (l + T), omitted = ln T, kept = ln l, natural logarithms.

    T is the bound on what was left out plus, for tiles whose mean stands in, their error over 1 - rho (plan.py). 0
    where nothing was left out; inf where the values are not finite, and where nothing was kept: such a row's output is
    0, which need not lie in the range of the values.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        ratio = np.exp(omitted - np.logaddexp(omitted, kept)) * spread * (1 + PLENTY)
    ratio = np.where(np.isneginf(omitted), 0.0, np.where(np.isneginf(kept), np.inf, ratio))
    return np.where(np.isfinite(spread), ratio, np.inf)
