"""How do tangent vectors move points, and how are they moved between points?

A vector at x is (v0, v_s), D + 1 columns, with <x, v> = 0: v0 = x_s.v_s / x0 for K < 0, 0 for K = 0. Its length is
computed from v_s, across x_s and along it: |v|^2 = |v_across|^2 + v_along^2 / cosh^2(c r). The textbook form
-v0^2 + |v_s|^2 has no digit left at c r = 18.
"""
import numpy as np

from aat.errors import value_error
from aat.geometry.checks import curvature_of, floats, points_of, vectors_of
from aat.geometry.curved import cosine_less_one, root, sinc
from aat.geometry.points import pair, separation


def tangent(x, v, curvature):
    """The projection v - K <x, v> x of any (..., D + 1) onto the tangent space at x.

    For K < 0 it errs by u cosh^2(c r) |v|, as any formula on these columns does: far out, make vectors by `log`.
    """
    x, v, K = _points_and_any("tangent", x, v, curvature)
    point, dtype = x
    across, along, unit = _split(point, v, K)
    # for K < 0 the part along x_s is the component in the unit vector cosh(c r) (tanh(c r), u), times cosh(c r)
    cosh = np.sqrt(1 - np.minimum(K, 0) * (point[..., 1:] ** 2).sum(-1))
    tanh = np.where(K < 0, root(K) * np.sqrt((point[..., 1:] ** 2).sum(-1)) / cosh, 0.0)
    size = cosh * cosh * (along - tanh * v[..., 0])
    spatial = across + unit * size[..., None]
    first = np.where(K < 0, tanh * size, 0.0)
    flat = np.concatenate([first[..., None], spatial], -1)
    k = K[..., None]
    round_ = v - np.where(k > 0, k, 0) * (point * v).sum(-1, keepdims=True) * point
    return np.where(k > 0, round_, flat).astype(dtype)


def inner(x, v, w, curvature):
    """The inner product <v, w>_x of vectors tangent at x, (...)."""
    p, v, w, K, dtype = _at("inner", x, curvature, v, w)
    return product(p, v, w, K).astype(dtype)


def norm(x, v, curvature):
    """The length sqrt(<v, v>_x) of vectors tangent at x, (...)."""
    p, v, K, dtype = _at("norm", x, curvature, v)
    return np.sqrt(product(p, v, v, K)).astype(dtype)


def exp(x, v, curvature):
    """Where the geodesic from x with velocity v is at time 1: cos_K(|v|) x + sinc_K(|v|) v, (..., D + 1)."""
    p, v, K, dtype = _at("exp", x, curvature, v, strict=True)
    t = np.sqrt(product(p, v, v, K))
    k = K[..., None]
    moved = p + cosine_less_one(K, t)[..., None] * p + sinc(K, t)[..., None] * v
    return _on_sheet(moved, k).astype(dtype)


def log(x, y, curvature):
    """The velocity at x of the shortest geodesic that reaches y at time 1; `exp(x, log(x, y))` is y.

    Raises ValueError for antipodes of a sphere, which every direction reaches.
    """
    x, y, K = pair("log", x, y, curvature)
    p, q = x[0], y[0]
    _refuse_antipodes("log", p, q, K)
    d = separation(p, q, K)
    u = (q - p) - cosine_less_one(K, d)[..., None] * p
    v = u / sinc(K, d)[..., None]
    return _tangent_from_space(p, v, K).astype(np.result_type(x[1], y[1]))


def transport(x, y, v, curvature):
    """The vector v at x carried along the geodesic to y: v - K <y, v> / (1 + K <x, y>) (x + y).

    <,> is the Lorentz form for K < 0. Linear, an isometry of the tangent spaces, and it takes log_x(y) to -log_y(x).
    Raises ValueError for antipodes of a sphere.
    """
    x, y, K = pair("transport", x, y, curvature)
    p, q = x[0], y[0]
    dtype = np.result_type(x[1], y[1], floats("geometry.transport: v", v))
    v = vectors_of("transport", v, p, K, x[1])
    p, q = np.broadcast_to(p, v.shape), np.broadcast_to(q, v.shape)
    _refuse_antipodes("transport", p, q, K)
    k = K[..., None]
    s, t = p[..., 1:], q[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        # <y, v> = v.(t - s y0 / x0), by the difference y0 - x0 = (|t| - |s|)(|t| + |s|) / (x0 + y0)
        rise = ((t - s) * (t + s)).sum(-1, keepdims=True) / (p[..., :1] + q[..., :1])
        lorentz = (v[..., 1:] * ((t - s) - s * (rise / p[..., :1]))).sum(-1, keepdims=True)
    form = np.where(k < 0, lorentz, (q * v).sum(-1, keepdims=True))
    total = p + q
    sphere = np.where(k > 0, k, 0) * (total * total).sum(-1, keepdims=True) / 2
    below = np.where(k > 0, sphere, 2 + cosine_less_one(np.minimum(K, 0), separation(p, q, np.minimum(K, 0)))[..., None]
                     if (K <= 0).any() else 1.0)
    moved = v - np.where(k == 0, 0.0, k * form / below) * total
    return _tangent_from_space(q, moved, K).astype(dtype)


def product(p, v, w, K):
    """<v, w>_x of float64 arrays that have been checked."""
    k = np.minimum(K, 0)
    square = (p[..., 1:] ** 2).sum(-1)
    va, vl, _ = _split(p, v, K)
    wa, wl, _ = _split(p, w, K)
    open_ = (va * wa).sum(-1) + vl * wl / (1 - k * square)
    return np.where(K > 0, (v * w).sum(-1), open_)


def _split(p, v, K):
    """The part of v_s across x_s, its size along x_s, and the unit of x_s (0 at the origin)."""
    s, v = p[..., 1:], v[..., 1:]
    n = np.sqrt((s * s).sum(-1, keepdims=True))
    unit = s / np.where(n == 0, 1.0, n)
    along = (unit * v).sum(-1, keepdims=True)
    return v - unit * along, along[..., 0], unit


def _on_sheet(x, k):
    """Points by their columns from 1 on (K <= 0), or scaled to the sphere."""
    s = x[..., 1:]
    square = (s * s).sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        R = 1 / np.sqrt(np.abs(k))
        first = np.where(k < 0, np.sqrt(R * R + square), 0.0)
        sphere = x * (R / np.sqrt(x[..., :1] ** 2 + square))
    return np.where(k > 0, sphere, np.concatenate([first, s], -1))


def _tangent_from_space(p, v, K):
    """v with the column 0 that makes it tangent at p; on a sphere, what is left along p is taken out."""
    k = K[..., None]
    s = p[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(k < 0, (s * v[..., 1:]).sum(-1, keepdims=True) / p[..., :1], 0.0)
    sphere = v - np.where(k > 0, k, 0) * (p * v).sum(-1, keepdims=True) * p
    return np.where(k > 0, sphere, np.concatenate([first, v[..., 1:]], -1))


def _at(function, x, curvature, *vectors, strict=False):
    """Points, vectors, K of the points' shape, and the dtype of the result, after the checks."""
    x = floats(f"geometry.{function}: x", x)
    given = [floats(f"geometry.{function}: v", v) for v in vectors]
    shape = x.shape
    for v in given:
        try:
            shape = np.broadcast_shapes(shape[:-1], v.shape[:-1]) + shape[-1:]
        except ValueError:
            raise value_error(f"geometry.{function}: v", f"a shape that broadcasts against {x.shape}",
                              f"shape {v.shape}") from None
    K = curvature_of(function, curvature, shape[:-1])
    p = points_of(function, "x", x, K)
    checked = [vectors_of(function, v, p, K, x.dtype, strict) for v in given]
    shape = np.broadcast_shapes(p.shape, *(v.shape for v in checked))
    K = np.broadcast_to(K, shape[:-1])
    return (np.broadcast_to(p, shape), *(np.broadcast_to(v, shape) for v in checked), K,
            np.result_type(x, *given))


def _points_and_any(function, x, v, curvature):
    x, v = floats(f"geometry.{function}: x", x), floats(f"geometry.{function}: v", v)
    if x.shape[-1] != v.shape[-1]:
        raise value_error(f"geometry.{function}: v", f"{x.shape[-1]} columns as the points have", f"shape {v.shape}")
    K = curvature_of(function, curvature, np.broadcast_shapes(x.shape[:-1], v.shape[:-1]))
    p = points_of(function, "x", x, K)
    shape = np.broadcast_shapes(p.shape, v.shape)
    dtype = np.result_type(x, v)
    return (np.broadcast_to(p, shape), dtype), np.broadcast_to(v, shape).astype(np.float64), np.broadcast_to(
        K, shape[:-1])


def _refuse_antipodes(function, p, q, K):
    closed = np.broadcast_to(K > 0, np.broadcast_shapes(K.shape, p.shape[:-1], q.shape[:-1]))
    if not closed.any():
        return
    apart = np.sqrt(((p + q) ** 2).sum(-1)) * root(K)
    wrong = closed & (apart <= 8 * 2.0**-53)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise value_error(f"geometry.{function}: y", "points that are not antipodes of x", f"antipodes at {at}",
                          "no geodesic between antipodes is the shortest; move one of them")
