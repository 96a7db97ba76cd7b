"""What tests of curved spaces share: points, exact answers in decimal arithmetic, and error budgets.

A budget is a condition number times the roundings: `steps(D)` = D + 32 of them, D for a sum over the columns and 32 for
everything else, each 2^-53. Errors of points and vectors are measured by the metric of the sheet, which is never longer
than the distance between columns 1.. of points or vectors (K <= 0); on a sphere an error of x0 counts |s| / R times.
"""
from decimal import Decimal, getcontext, localcontext

import numpy as np

from aat import geometry

U = 2.0**-53
CURVATURES = (-10.0, -1.0, -0.3, -1e-4, -1e-8, 0.0, 1e-8, 1e-4, 0.3, 1.0, 10.0)
REACH = (1e-6, 1e-2, 1.0, 4.0, 20.0)     # radii, in units of the curvature where that is shorter
DIMS = (2, 3, 17, 128)
DIGITS = 110


def steps(x):
    """Roundings behind a number computed from points (..., D + 1)."""
    return x.shape[-1] + 31


def directions(rng, n, d):
    u = rng.standard_normal((n, d))
    return u / np.linalg.norm(u, axis=-1, keepdims=True)


def points(rng, n, d, K, reach):
    """n points at distances up to `reach` / max(1, c) from the origin, at most 0.9 pi / c on a sphere."""
    c = np.sqrt(abs(K))
    r = reach / max(1.0, c) * rng.uniform(0.5, 1, (n, 1))
    if K > 0:
        r = np.minimum(r, 0.9 * np.pi / c * rng.uniform(0.1, 1, (n, 1)))
    v = np.concatenate([np.zeros((n, 1)), r * directions(rng, n, d)], -1)
    return geometry.exp(geometry.origin(d, K), v, K)


def vectors(rng, x, K, size):
    """Vectors tangent at x with lengths up to `size`."""
    v = upright(x, rng.standard_normal((len(x), x.shape[-1])), K)
    return upright(x, v * (size * rng.uniform(0.1, 1, (len(x), 1)) / geometry.norm(x, v, K)[:, None]), K)


def upright(x, v, K):
    """v made tangent at x by its column 0, which loses nothing; on a sphere by projection."""
    if K > 0:
        return v - K * (x * v).sum(-1, keepdims=True) * x
    first = (x[..., 1:] * v[..., 1:]).sum(-1, keepdims=True) / x[..., :1] if K < 0 else 0 * v[..., :1]
    return np.concatenate([first, v[..., 1:]], -1)


def lengths(x):
    """|s| of points or vectors (x0, s)."""
    return np.sqrt((x[..., 1:] ** 2).sum(-1))


def trig(K, d):
    """cosh(c d) and sinh(c d) / (c d), or cos and sin, for budgets: plain formulas."""
    z = np.sqrt(abs(K)) * np.maximum(d, 1e-150)
    if K == 0:
        return np.ones_like(z), np.ones_like(z)
    return (np.cosh(z), np.sinh(z) / z) if K < 0 else (np.cos(z), np.sin(z) / z)


def distance_budget(x, y, d, K):
    """How far a computed distance may be off."""
    size = lengths(x) + lengths(y) if K > 0 else lengths(x - y)
    return steps(x) * U * (size + d)


def exp_budget(x, v, K):
    """How far exp(x, v) may lie from the exact point: each term's size, and that of v's length being off by u |v_s|."""
    t = geometry.norm(x, v, K)
    n, size = lengths(x), lengths(v)
    if K > 0:
        return 4 * steps(x) * U * (n + t)
    cosh, sinc = trig(K, t)
    stretched = sinc * size * (1 + size / np.maximum(t, 1e-300))
    return steps(x) * U * (cosh * n + stretched + abs(K) * t * sinc * n * size)


def log_budget(x, y, K):
    """The length of the error of log(x, y): u = y - cosh x, over sinc, and the distance being off."""
    d = geometry.distance(x, y, K)
    cosh, sinc = trig(K, d)
    n, m = lengths(x), lengths(y)
    if K > 0:
        return 4 * steps(x) * U * (n + m + d) / sinc
    off, c = lengths(x - y) + d, np.sqrt(-K)
    v = geometry.log(x, y, K)
    return steps(x) * U * ((m + cosh * n) / sinc + (1 + c * d + abs(K) * d * n) * off + lengths(v))


def transport_budget(x, y, v, K):
    """The length of the error of transport(x, y, v): of v, and of the multiple of x + y that is taken off."""
    d = geometry.distance(x, y, K)
    if K > 0:
        near = np.cos(np.sqrt(K) * d / 2) ** 2
        return 8 * steps(x) * U * np.linalg.norm(v, axis=-1) / near
    if K == 0:
        return steps(x) * U * lengths(v)
    cosh, _ = trig(K, d)
    ratio = y[..., :1] / x[..., :1]
    taken = abs(K) * lengths(v) * lengths(y - x * ratio) * lengths(x + y) / (1 + cosh)
    return 2 * steps(x) * U * (lengths(v) + taken * (1 + np.sqrt(-K) * (lengths(x - y) + d)))


def inner_budget(x, v, w, K):
    """How far a computed <v, w>_x may be off: parts across and along x_s, each to u |v_s|."""
    a, b = (np.linalg.norm(z, axis=-1) if K > 0 else lengths(z) for z in (v, w))
    e = steps(x) * U
    return e * (a * geometry.norm(x, w, K) + b * geometry.norm(x, v, K) + e * a * b)


def boosted(x, K, rapidity, angle):
    """x (..., D + 1) moved by one isometry: a turn in columns 1, 2, then a boost (a turn for K >= 0) along column 1.

    Returns the points, on the sheet by construction, and how far each may lie from its exact place.
    """
    c, s = np.cos(angle), np.sin(angle)
    turned = x.copy()
    turned[..., 1], turned[..., 2] = c * x[..., 1] - s * x[..., 2], s * x[..., 1] + c * x[..., 2]
    moved = turned.copy()
    if K == 0:
        moved[..., 1] += rapidity
    elif K < 0:
        ch, sh = np.cosh(rapidity), np.sinh(rapidity)
        moved[..., 1] = ch * turned[..., 1] + sh * turned[..., 0]
        moved = geometry.lift(moved[..., 1:], K)
    else:
        c, s = np.cos(rapidity), np.sin(rapidity)
        moved[..., 0] = c * turned[..., 0] - s * turned[..., 1]
        moved[..., 1] = s * turned[..., 0] + c * turned[..., 1]
        moved *= 1 / np.sqrt(K * (moved**2).sum(-1, keepdims=True))
    growth = np.exp(abs(rapidity)) if K < 0 else 1.0
    return moved, steps(x) * U * (growth * np.linalg.norm(x, axis=-1) + abs(rapidity) * (K == 0) + lengths(moved))


# Exact answers, for the numbers as they are stored

def exact(function):
    """Run a function of decimals with DIGITS digits."""
    def run(*arguments):
        with localcontext() as context:
            context.prec = DIGITS
            return float(function(*arguments))
    return run


def decimals(x):
    return [Decimal(float(value)) for value in x]


def dot(a, b):
    return sum((p * q for p, q in zip(a, b, strict=True)), Decimal(0))


def arctan(z):
    """By halving the angle eight times, then the series."""
    for _ in range(8):
        z = z / (1 + (1 + z * z).sqrt())
    total, term, n = Decimal(0), z, 1
    while abs(term) > Decimal(10) ** -(getcontext().prec + 5) and term:
        total += term / n
        term, n = -term * z * z, n + 2
    return total * 256


def arctan2(a, b):
    """For a, b >= 0."""
    return arctan(a / b) if a <= b else 2 * arctan(Decimal(1)) - arctan(b / a)


def sheet(x, K):
    """A point as decimals exactly on the sheet, as `points_of` reads it."""
    s = decimals(x[1:])
    if K < 0:
        return [(1 / Decimal(-K) + dot(s, s)).sqrt(), *s]
    if K == 0:
        return [Decimal(0), *s]
    full = decimals(x)
    size = (dot(full, full) * Decimal(K)).sqrt()
    return [value / size for value in full]


@exact
def exact_distance(x, y, K):
    """arcosh(-|K|<x, y>) / c, |x - y|, or the angle over c."""
    return decimal_distance(sheet(x, K), sheet(y, K), Decimal(K))


def decimal_distance(x, y, K):
    if K < 0:
        z = -K * (x[0] * y[0] - dot(x[1:], y[1:]))
        return ((z + max(z * z - 1, Decimal(0)).sqrt()).ln() if z > 1 else Decimal(0)) / (-K).sqrt()
    apart = [p - q for p, q in zip(x, y, strict=True)]
    if K == 0:
        return dot(apart, apart).sqrt()
    total = [p + q for p, q in zip(x, y, strict=True)]
    return 2 * arctan2(dot(apart, apart).sqrt(), dot(total, total).sqrt()) / K.sqrt()


@exact
def off_centroid(found, points, weights, K):
    """The distance of `found` from the exact centroid of points (n, D + 1)."""
    rows = [sheet(x, K) for x in points]
    w = decimals(weights)
    S = [dot(w, column) for column in zip(*rows, strict=True)]
    if K == 0:
        mean = [value / sum(w) for value in S]
    else:
        square = dot(S, S) if K > 0 else S[0] * S[0] - dot(S[1:], S[1:])
        size = (square * abs(Decimal(K))).sqrt()
        mean = [value / size for value in S]
    return decimal_distance(sheet(found, K), mean, Decimal(K))
