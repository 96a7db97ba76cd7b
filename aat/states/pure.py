"""How do vectors become states, and how alike are two states?"""
import numpy as np

from aat.errors import value_error
from aat.states.checks import agree, numbers, real_type, states, wide


def encode(x, weight=None, planes=False):
    """Unit vectors of the direction of x (..., D), or of weight x: (..., m), computed in double, rounded once.

    weight: None or a real or complex matrix (m, D). planes: x is real and its columns are the real parts and then the
    imaginary parts of D / 2 complex numbers; the result is complex. Raises ValueError for a vector that is zero or not
    finite: it has no direction.
    """
    x = numbers("states.encode: x", x)
    full = wide(x)
    dtype = x.dtype
    if planes:
        if dtype.kind == "c" or x.shape[-1] % 2:
            raise value_error("states.encode: x", "real vectors of an even number of columns",
                              f"{dtype} of shape {x.shape}", "complex vectors need no planes=True")
        half = x.shape[-1] // 2
        full = full[..., :half] + 1j * full[..., half:]
        dtype = np.result_type(dtype, np.complex64)
    if weight is not None:
        w = numbers("states.encode: weight", weight, 2)
        if w.ndim != 2 or w.shape[1] != full.shape[-1]:
            raise value_error("states.encode: weight", f"shape (m, {full.shape[-1]})", f"shape {w.shape}")
        full = full @ wide(w).T
        dtype = np.result_type(dtype, w.dtype)
    # by the largest component first: squares of very small or large vectors leave the range
    largest = np.abs(full).max(-1, keepdims=True)
    wrong = ~((largest > 0) & np.isfinite(largest))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong[..., 0])[0])
        raise value_error("states.encode: x", "finite vectors other than zero",
                          f"largest component {largest[at][0]:g} at {at}", "a zero vector has no direction: mask it")
    full = full / largest
    return (full / np.sqrt((np.abs(full) ** 2).sum(-1, keepdims=True))).astype(dtype)


def overlap(psi, phi):
    """<psi|phi> = sum conj(psi) phi over the last axis, (...)."""
    a, b, dtype = _pair("overlap", psi, phi)
    return (a.conj() * b).sum(-1).astype(dtype)


def fidelity(psi, phi):
    """|<psi|phi>|^2, (...), in [0, 1]."""
    a, b, dtype = _pair("fidelity", psi, phi)
    return np.minimum(np.abs((a.conj() * b).sum(-1)) ** 2, 1.0).astype(real_type(dtype))


def angle(psi, phi):
    """The Fubini-Study distance arccos|<psi|phi>|, (...), in [0, pi / 2].

    atan2(|phi - psi <psi|phi>|, |<psi|phi>|), which keeps the digits of near states that arccos loses.
    """
    a, b, dtype = _pair("angle", psi, phi)
    return between(a, b).astype(real_type(dtype))


def between(a, b):
    """`angle` of states in double precision."""
    z = (a.conj() * b).sum(-1)
    rest = b - a * z[..., None]
    return np.arctan2(np.sqrt((np.abs(rest) ** 2).sum(-1)), np.abs(z))


def _pair(function, psi, phi):
    a, first = states(f"states.{function}: psi", psi)
    b, second = states(f"states.{function}: phi", phi)
    agree(function, a, b)
    return a, b, np.result_type(first, second)
