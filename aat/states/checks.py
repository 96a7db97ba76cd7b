"""Which arrays are states?"""
import numpy as np

from aat.errors import type_error, value_error

WIDE = {np.dtype(np.float32): np.float64, np.dtype(np.complex64): np.complex128}
ROOM = 4        # roundings of a sum over the columns by which a norm may differ from 1


def numbers(where, x, axes=1):
    """x as float32, float64, complex64 or complex128 with at least `axes` axes, the last not empty."""
    x = np.asarray(x)
    if x.dtype.kind in "iu":
        x = x.astype(np.float64)
    if x.dtype not in (np.float32, np.float64, np.complex64, np.complex128):
        raise type_error(where, "float32, float64, complex64 or complex128", str(x.dtype),
                         "convert it with .astype(np.float32)")
    if x.ndim < axes or x.shape[-1] == 0:
        raise value_error(where, f"at least {axes} axes, the last one not empty", f"shape {x.shape}")
    return x


def unit(dtype):
    """Unit roundoff of a real or complex dtype."""
    return float(np.finfo(dtype).eps) / 2


def wide(x):
    """The same numbers in double precision."""
    return x.astype(WIDE.get(x.dtype, x.dtype))


def real_type(dtype):
    """The real dtype of that precision."""
    return np.zeros(0, dtype).real.dtype


def states(where, x, axes=1):
    """Unit vectors in double precision, normalised once more, and their dtype."""
    x = numbers(where, x, axes)
    full = wide(x)
    length = np.sqrt((np.abs(full) ** 2).sum(-1, keepdims=True))
    allowed = ROOM * (x.shape[-1] + 16) * unit(x.dtype)
    wrong = ~(np.abs(length - 1) <= allowed)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong[..., 0])[0])
        raise value_error(where, f"unit vectors, to {allowed:.2g}", f"length {float(length[at][0]):g} at {at}",
                          "make them with states.encode")
    return full / length, x.dtype


def agree(function, a, b):
    """Whether two arrays of states have broadcasting axes and equal dimension; raises otherwise."""
    try:
        np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
        same = a.shape[-1] == b.shape[-1]
    except ValueError:
        same = False
    if not same:
        raise value_error(f"states.{function}: phi", f"a shape that broadcasts against {a.shape} with as many columns",
                          f"shape {b.shape}")


def weights(function, p, shape):
    """Weights (..., n) as float64 of sum 1, broadcast to `shape`, the states' without their last axis."""
    where = f"states.{function}: weights"
    p = np.asarray(p)
    if p.dtype.kind not in "iuf":
        raise type_error(where, "real numbers", str(p.dtype))
    p = p.astype(np.float64)
    try:
        full = np.broadcast_shapes(p.shape, shape)
    except ValueError:
        raise value_error(where, f"a shape that broadcasts against {shape}, one weight a state",
                          f"shape {p.shape}") from None
    wrong = ~((p >= 0) & np.isfinite(p))
    if wrong.any():
        raise value_error(where, "finite numbers that are at least 0", f"{p[wrong].flat[0]:g}")
    p = np.broadcast_to(p, full)
    total = p.sum(-1, keepdims=True)
    if not (total > 0).all():
        raise value_error(where, "a weight above 0 in every row", "a row of zeros", "such a row has no state")
    return p / total
