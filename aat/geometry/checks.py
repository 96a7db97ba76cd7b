"""Which points, vectors, weights and curvatures does the geometry take?"""
import numpy as np

from aat.errors import type_error, value_error

ROOM = 4        # how many roundings of a sum over the columns a point may be off the sheet


def floats(where, x, axes=1):
    """x as an array of float32 or float64 with at least `axes` axes, and its dtype."""
    x = np.asarray(x)
    if x.dtype not in (np.float32, np.float64):
        if x.dtype.kind not in "iu":
            raise type_error(where, "float32 or float64", str(x.dtype), "convert it with .astype(np.float32)")
        x = x.astype(np.float64)
    if x.ndim < axes or (axes and x.shape[-1] == 0):
        raise value_error(where, f"at least {axes} axes, the last one not empty", f"shape {x.shape}")
    return x


def curvature_of(function, K, lead):
    """K as float64 that broadcasts against the leading axes `lead` of the points."""
    where = f"geometry.{function}: curvature"
    K = np.asarray(K)
    if K.dtype.kind not in "iuf":
        raise type_error(where, "real numbers", str(K.dtype))
    K = K.astype(np.float64)
    if not np.isfinite(K).all():
        raise value_error(where, "finite numbers", f"{K[~np.isfinite(K)][0]}", "0 is flat, negative hyperbolic")
    try:
        np.broadcast_shapes(K.shape, lead)
    except ValueError:
        raise value_error(where, f"a shape that broadcasts against {lead}, the points without their last axis",
                          f"shape {K.shape}", "one curvature a head has shape (H, 1)") from None
    return K


def unit(dtype):
    """Unit roundoff of float32 or float64."""
    return float(np.finfo(dtype).eps) / 2


def room(x):
    """How far off the sheet, relative to its size, a stored point may be: ROOM (D + 16) u of its dtype."""
    return ROOM * (x.shape[-1] + 15) * unit(x.dtype)


def points_of(function, name, x, K, axes=1):
    """Points as float64 and exactly on the sheet to within float64; they must be on it to within their own dtype.

    For K < 0 column 0 is taken from the others; for K > 0 the point is scaled to the sphere.
    """
    where = f"geometry.{function}: {name}"
    x = floats(where, x, axes)
    if x.shape[-1] < 2:
        raise value_error(where, "D + 1 columns with D >= 1", f"shape {x.shape}", "lift the vectors first")
    K = np.broadcast_to(K, np.broadcast_shapes(np.shape(K), x.shape[:-1]))[..., None]
    wide = np.broadcast_to(x, (*K.shape[:-1], x.shape[-1])).astype(np.float64)
    s = wide[..., 1:]
    square = (s * s).sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        R = 1 / np.sqrt(np.abs(K))
        top = np.where(K == 0, 0.0, np.sqrt(R * R + square))
        length = np.sqrt(wide[..., :1] ** 2 + square)
        off = np.where(K < 0, np.abs(wide[..., :1] - top) / top,
                       np.where(K > 0, np.abs(length - R) / R, np.abs(wide[..., :1])))
    # not `>`: NaN is off the sheet too
    wrong = ~(off <= room(x)) | ~np.isfinite(square)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong[..., 0])[0])
        raise value_error(where, f"points on the sheet of curvature {float(K[at][0]):g}, to {room(x):.2g} of "
                          "their size", f"{off[at][0]:.3g} at {at}", "make them with geometry.lift or geometry.exp")
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = np.where(K > 0, wide * (R / length), wide)
    fitted[..., :1] = np.where(K > 0, fitted[..., :1], top)
    return fitted


def vectors_of(function, v, x, K, dtype, strict=True):
    """Vectors as float64, tangent at the points x; column 0 is taken from the others for K < 0.

    Not `strict`: they need not be tangent to within the rounding of their own size, as differences of vectors are not.
    """
    where = f"geometry.{function}: v"
    v = floats(where, v)
    if v.shape[-1] != x.shape[-1]:
        raise value_error(where, f"{x.shape[-1]} columns as the points have", f"shape {v.shape}",
                          "a vector at the origin has column 0 equal to 0")
    allowed = room(v) if v.dtype == dtype else max(room(v), room(np.empty((1, v.shape[-1]), dtype)))
    wide = np.broadcast_to(v, np.broadcast_shapes(v.shape, x.shape)).astype(np.float64)
    K = np.asarray(K)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (x[..., 1:] * wide[..., 1:]).sum(-1, keepdims=True)
        first = np.where(K < 0, along / x[..., :1], np.where(K == 0, 0.0, wide[..., :1]))
        size = np.sqrt((wide * wide).sum(-1, keepdims=True))
        off = np.where(K > 0, np.abs(along + x[..., :1] * wide[..., :1]) * np.sqrt(np.abs(K)),
                       np.abs(wide[..., :1] - first))
    wrong = ~(off <= allowed * size) if strict else ~np.isfinite(size)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong[..., 0])[0])
        raise value_error(where, f"vectors tangent at x, to {allowed:.2g} of their size",
                          f"{off[at][0] / size[at][0]:.3g} at {at}", "project them with geometry.tangent")
    return np.concatenate([first, wide[..., 1:]], -1)
