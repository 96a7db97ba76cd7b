"""What is the mean of weighted points, on the sheet?"""
import numpy as np

from aat.errors import value_error
from aat.geometry.checks import curvature_of, floats, points_of


def centroid(points, weights=None, curvature=-1.0):
    """The weighted centroid of points (..., n, D + 1) with weights (..., n): (..., D + 1), on the sheet.

    S / (c sqrt(-<S, S>)) with S = sum w x for K < 0 (the Lorentz centroid, Law et al. 2019), sum w x / sum w for
    K = 0, S / (c |S|) for K > 0: the point with the least weighted sum of squared chords. Attention weights (L, n) over
    n points aggregate as `centroid(points[None], weights)`, at n D operations a row.

    Weights are at least 0 and need not sum to 1; None weighs all points alike. Raises ValueError for negative weights,
    weights that are all 0, and points of a sphere that balance to S = 0.
    """
    x = floats("geometry.centroid: points", points, 2)
    K = curvature_of("centroid", curvature, x.shape[:-2])
    p = points_of("centroid", "points", x, K[..., None], 2)
    w = _weights(weights, p.shape)
    try:
        shape = np.broadcast_shapes(w.shape, p.shape[:-1])
    except ValueError:
        raise value_error("geometry.centroid: weights", f"a shape that broadcasts against {p.shape[:-1]}",
                          f"shape {w.shape}", "give each output row n weights") from None
    K = np.broadcast_to(K, shape[:-1])
    w = np.broadcast_to(w, shape)
    p = np.broadcast_to(p, (*shape, p.shape[-1]))
    total = np.einsum("...n,...nd->...d", w, p)
    if (K <= 0).all():
        mean = _open(p, w, total, K)
    elif (K > 0).all():
        mean = _closed(total, K)
    else:
        mean = np.where(K[..., None] > 0, _closed(np.where(K[..., None] > 0, total, 1.0), np.where(K > 0, K, 1.0)),
                        _open(p, w, total, np.minimum(K, 0)))
    return mean.astype(x.dtype)


def _weights(weights, shape):
    if weights is None:
        return np.full(shape[-2:-1], 1 / max(1, shape[-2]))
    w = floats("geometry.centroid: weights", weights).astype(np.float64)
    if not (w >= 0).all() or not np.isfinite(w).all():
        raise value_error("geometry.centroid: weights", "finite numbers that are at least 0",
                          f"{w[~((w >= 0) & np.isfinite(w))][0]:g}")
    largest = w.max(-1, keepdims=True, initial=0)
    if not (largest > 0).all():
        raise value_error("geometry.centroid: weights", "a weight above 0 in every row", "a row of zeros",
                          "such a row has no mean; leave it out")
    w = w / largest
    return w / w.sum(-1, keepdims=True)


def _open(p, w, total, K):
    """-<S, S> = (S0 - |S_s|)(S0 + |S_s|), the first factor as a sum of positive terms.

    S0 - |S_s| = sum w (x0 - |s| + |s| |u - e|^2 / 2), u the unit of s, e that of S_s; x0 - |s| = 1 / (|K| (x0 + |s|)).
    Far from the origin, S0^2 - |S_s|^2 would lose everything at c r = 18.
    """
    c = np.sqrt(-K)[..., None]
    s, mean = p[..., 1:], total[..., 1:]
    n = np.sqrt((s * s).sum(-1))
    m = np.sqrt((mean * mean).sum(-1, keepdims=True))
    direction = np.where(m == 0, np.eye(1, mean.shape[-1])[0], mean / np.where(m == 0, 1.0, m))
    apart = s / np.where(n == 0, 1.0, n)[..., None] - direction[..., None, :]
    a = np.sqrt(1 + (c * n) ** 2)
    low = (w * (1 / (a + c * n) + c * n * (apart * apart).sum(-1) / 2)).sum(-1, keepdims=True)
    high = (w * a).sum(-1, keepdims=True) + c * m
    spatial = mean / np.sqrt(low * high)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(c == 0, 0.0, np.sqrt(1 / (c * c) + (spatial * spatial).sum(-1, keepdims=True)))
    return np.concatenate([first, spatial], -1)


def _closed(total, K):
    c = np.sqrt(K)[..., None]
    length = np.sqrt((total * total).sum(-1, keepdims=True))
    # the sum of n terms of size w R, w of sum 1, errs by about u R: below that it has no direction
    if not (length * c > 64 * 2.0**-53).all():
        raise value_error("geometry.centroid: points", "points of a sphere with a mean direction",
                          "points that balance to 0", "change the weights, or move a point")
    return total / (length * c)
