"""How is attention over disjoint sets of keys joined?

With weights w_i = exp(lse_i - max lse), out = sum w_i out_i / sum w_i and lse = max lse + log(sum w_i).
"""

import numpy as np

from aat.arrays import STORAGE, give, round_into, take_float, widen
from aat.errors import type_error, value_error

_BLOCK = 1 << 20  # elements of all parts that are held in float64 at a time


def merge(parts, *, layout="bhsd"):
    """Join attention over disjoint sets of keys: aat.merge([(out, lse), ...]) -> (out, lse).

    Parameters
    ----------
    parts : iterable of (out, lse)
        As `aat.attention(..., return_lse=True)` gives them: out (..., Lq, Dv) of one dtype, lse (..., Lq)
        natural logarithms. A part that saw no key (lse -inf) is the identity, row by row; its out is not
        read.
    layout : "bhsd" or "bshd"
        "bshd": out is (..., Lq, H, Dv) with lse (..., H, Lq).

    Returns
    -------
    (out, lse) of the type and dtypes of the first part.

    Notes
    -----
    Order-independent bit for bit: terms are sorted before they are added. Sums run in float64 and each result
    is rounded once, so merging in stages differs from merging at once by the roundings of the stages only
    (associative up to one rounding a stage). One non-empty part comes back unchanged. A sink belongs into
    exactly one part.

    Raises
    ------
    ValueError
        No part, shapes that do not match. TypeError: dtypes that differ, arrays on a device.
    """
    pairs = [_pair(i, part, layout) for i, part in enumerate(parts)]
    if not pairs:
        raise value_error("parts", "at least one (out, lse)", "none", "there is no shape to return")
    outs, lses = _agree(pairs)
    shape, width = outs[0].view.shape, outs[0].view.shape[-1]
    flat_outs = [x.view.reshape(-1, width) for x in outs]
    flat_lses = [x.view.reshape(-1) for x in lses]
    out = np.empty(flat_outs[0].shape, STORAGE[outs[0].dtype])
    lse = np.empty(flat_lses[0].shape, flat_lses[0].dtype)
    step = max(1, _BLOCK // max(1, len(pairs) * width))
    for start in range(0, len(lse), step):
        rows = slice(start, start + step)
        block_out, block_lse = _merge_rows(np.stack([widen(x[rows]).astype(np.float64) for x in flat_outs]),
                                           np.stack([x[rows].astype(np.float64) for x in flat_lses]))
        round_into(out[rows], block_out)
        round_into(lse[rows], block_lse)
    out = _with_layout(out.reshape(shape), layout)
    like_out, like_lse = pairs[0][2]
    return (give(np.ascontiguousarray(out), outs[0].dtype, like_out),
            give(lse.reshape(shape[:-1]), lses[0].dtype, like_lse))


def _pair(index, part, layout):
    """(out, lse, the caller's two arrays) of one part, out in canonical order."""
    name = f"parts[{index}]"
    if not isinstance(part, (tuple, list)) or len(part) != 2:
        raise type_error(name, "a pair (out, lse)", f"a {type(part).__name__}",
                         "call attention with return_lse=True")
    out, lse = take_float(f"{name}[0]", part[0]), take_float(f"{name}[1]", part[1])
    if "device" in (out.kind, lse.kind):
        raise type_error(name, "arrays in host memory", "a DeviceArray", "pass its .numpy()")
    if lse.dtype not in ("f32", "f64"):
        raise type_error(f"{name}[1]", "dtype float32 or float64", lse.dtype,
                         "16 bits do not hold a log-sum-exp")
    if layout not in ("bhsd", "bshd"):
        raise value_error("layout", '"bhsd" or "bshd"', repr(layout))
    if out.view.ndim < (3 if layout == "bshd" else 2):
        raise value_error(f"{name}[0]", "shape (..., Lq, Dv)", f"shape {out.view.shape}")
    out = out._replace(view=_with_layout(out.view, layout))
    if out.view.shape[:-1] != lse.view.shape:
        raise value_error(name, "lse of out's shape without its last axis",
                          f"out {out.view.shape} and lse {lse.view.shape}"
                          + (" in canonical order" if layout == "bshd" else ""), "check layout=")
    return out, lse, part


def _agree(pairs):
    """([out], [lse]) after a check that all parts have one shape and one dtype."""
    outs, lses = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for index, (out, lse, _) in enumerate(pairs):
        if out.view.shape != outs[0].view.shape:
            raise value_error(f"parts[{index}]", f"out of shape {outs[0].view.shape} as in parts[0]",
                              f"shape {out.view.shape}", "parts cover the same rows")
        if (out.dtype, lse.dtype) != (outs[0].dtype, lses[0].dtype):
            raise type_error(f"parts[{index}]", f"dtypes {outs[0].dtype} and {lses[0].dtype} as in parts[0]",
                             f"{out.dtype} and {lse.dtype}", "convert them to the same dtypes")
    return outs, lses


def _with_layout(x, layout):
    return np.swapaxes(x, -3, -2) if layout == "bshd" else x


def _merge_rows(outs, lses):
    """(out, lse) in float64 of outs (parts, rows, width) and lses (parts, rows)."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore", divide="ignore"):
        top = lses.max(axis=0)
        weights = np.exp(lses - np.where(top == -np.inf, 0.0, top))
        # -0.0 is the one neutral element of addition: +0.0 would turn a result of -0.0 into +0.0
        terms = np.where((lses != -np.inf)[..., None], weights[..., None] * outs, -0.0)
        total, z = _sum_sorted(terms), _sum_sorted(weights)
        out = np.where((z == 0)[:, None], 0.0, total / z[:, None])
        return out, top + np.log(z)


def _sum_sorted(terms):
    terms.sort(axis=0)
    total = terms[0].copy()
    for term in terms[1:]:
        total += term
    return total
