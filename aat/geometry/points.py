"""Where are points, and how far apart?

A point of curvature K is (x0, s) with D + 1 columns: x0 = sqrt(1 / |K| + |s|^2) on the hyperboloid (K < 0),
x0^2 + |s|^2 = 1 / K on the sphere (K > 0), x0 = 0 in the plane (K = 0).
"""
import numpy as np

from aat.errors import value_error
from aat.geometry.checks import curvature_of, floats, points_of
from aat.geometry.curved import from_half_chord, root


def lift(s, curvature):
    """The points over vectors s (..., D): the sheet's (..., D + 1), the upper half of it for K > 0.

    Raises ValueError where K |s|^2 > 1: the sphere has no point there (`exp` at the `origin` takes any vector).
    """
    s = floats("geometry.lift: s", s)
    K = curvature_of("lift", curvature, s.shape[:-1])[..., None]
    K, wide = np.broadcast_arrays(K, s.astype(np.float64))
    K = K[..., :1]
    if not np.isfinite(wide).all():
        raise value_error("geometry.lift: s", "finite vectors", "NaN or infinity")
    square = (wide * wide).sum(-1, keepdims=True)
    if (K * square > 1).any():
        raise value_error("geometry.lift: s", "|s|^2 <= 1 / curvature on a sphere",
                          f"curvature |s|^2 = {(K * square).max():.6g}",
                          "scale s down, or use exp at the origin, which takes vectors of any length")
    with np.errstate(divide="ignore"):
        # (1 - K |s|^2) / |K| is 1 / |K| + |s|^2 on one side and 1 / |K| - |s|^2 on the other
        first = np.where(K == 0, 0.0, np.sqrt((1 - K * square) / np.where(K == 0, 1.0, np.abs(K))))
    return np.concatenate([first, wide], -1).astype(s.dtype)


def origin(dimension, curvature, dtype=np.float64):
    """The point over s = 0 in `dimension` columns, one for each curvature: (..., dimension + 1)."""
    K = curvature_of("origin", curvature, ())
    return lift(np.zeros((*K.shape, dimension), dtype), K)


def radius(x, curvature):
    """Distance from the origin, (...): arsinh(c |s|) / c, |s|, or atan2(|s|, x0) / c."""
    x = floats("geometry.radius: x", x)
    K = curvature_of("radius", curvature, x.shape[:-1])
    p = points_of("radius", "x", x, K)
    n, c = _norm(p[..., 1:]), root(K)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(K > 0, np.arctan2(n, p[..., 0]) / c, np.where(K < 0, np.arcsinh(c * n) / c, n))
    return r.astype(x.dtype)


def distance(x, y, curvature):
    """Geodesic distance of points (..., D + 1), (...); near and far points lose nothing to cancellation.

    s, t are the columns from 1 on. The error is at most (D + 32) 2^-53 times |s - t| + d for K <= 0 and |s| + |t| + d
    for K > 0, for the points as they are stored, plus one rounding to their dtype. `arcosh(-|K|<x, y>)` would lose half
    the digits of near points, and all of them far out.
    """
    x, y, K = pair("distance", x, y, curvature)
    return separation(x[0], y[0], K).astype(np.result_type(x[1], y[1]))


def pair(function, x, y, curvature):
    """((points, dtype), (points, dtype), K) of two arguments that broadcast."""
    x, y = floats(f"geometry.{function}: x", x), floats(f"geometry.{function}: y", y)
    try:
        lead = np.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    except ValueError:
        lead = None
    if lead is None or x.shape[-1] != y.shape[-1]:
        raise value_error(f"geometry.{function}: y", f"a shape that broadcasts against {x.shape} with as many columns",
                          f"shape {y.shape}")
    K = curvature_of(function, curvature, lead)
    return (points_of(function, "x", x, K), x.dtype), (points_of(function, "y", y, K), y.dtype), K


def separation(x, y, K):
    """The distance of points that `points_of` made, float64."""
    if not (K > 0).any():
        return _open(x[..., 1:], y[..., 1:], K)
    closed = _closed(x, y, np.where(K > 0, K, 1.0))
    return closed if (K > 0).all() else np.where(
        K > 0, closed, _open(x[..., 1:], y[..., 1:], np.minimum(K, 0.0)))


def difference(s, t, n, m):
    """|s| - |t| of vectors with norms n, m, relative to |s - t| as accurate as the sum of D terms."""
    return ((s - t) * (s + t)).sum(-1) / np.where(n + m == 0, 1.0, n + m)


def _open(s, t, K):
    """K <= 0: sinh^2(d/2) = sinh^2((r1-r2)/2) + sinh r1 sinh r2 |u1-u2|^2 / 4, each difference taken from s - t."""
    n, m = _norm(s), _norm(t)
    swap = n > m
    n, m = np.minimum(n, m), np.maximum(n, m)
    sign = np.where(swap, -1.0, 1.0)
    step = difference(s, t, n, m) * sign                           # |shorter| - |longer|
    unit = np.where(swap[..., None], t, s) / np.where(n == 0, 1.0, n)[..., None]
    # with u the shorter one's unit, s|t| - t|s| = |longer| ((s - t) - u (|s| - |t|)) up to its sign, and no square
    # root of a difference is taken: |s||t||u1 - u2|^2 = |across|^2 |shorter| / |longer|
    across = (s - t) * sign[..., None] - unit * step[..., None]
    lateral = (across * across).sum(-1) * n / np.where(m == 0, 1.0, m)
    c = root(K)
    a, b = np.sqrt(1 + (c * n) ** 2), np.sqrt(1 + (c * m) ** 2)
    total = n * b + m * a
    apart = step * (n + m) / np.where(total == 0, 1.0, total)      # sinh(c (r1 - r2)) / c
    radial = apart / np.sqrt(2 * (1 + np.sqrt(1 + (c * apart) ** 2)))
    return from_half_chord(K, np.sqrt(radial * radial + lateral / 4))


def _closed(x, y, K):
    """K > 0: 2 atan2(|x - y|, |x + y|) / c (Kahan), accurate at 0 and at the antipodes."""
    s, t = x[..., 1:], y[..., 1:]
    total = x[..., 0] + y[..., 0]
    # near the poles of a large sphere x0 - y0 cancels; there it is (|t|^2 - |s|^2) / (x0 + y0)
    near = np.abs(total) * root(K) > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(near, ((t - s) * (s + t)).sum(-1) / np.where(near, total, 1.0), x[..., 0] - y[..., 0])
    chord = np.sqrt(first * first + ((s - t) ** 2).sum(-1))
    return 2 * np.arctan2(chord, _norm(x + y)) / root(K)


def _norm(x):
    return np.sqrt((x * x).sum(-1))
