"""Which calls of `aat.attention` are legal, and which Problem does a legal one state?

Every check is here; what passes can run on some backend. Messages use the caller's own shapes and layout.
"""

import math
import numbers
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aat.arrays import overlaps, overlaps_itself, short_strides, take, take_float, widen
from aat.attention import positions
from aat.attention.base import Problem
from aat.attention.positions import told
from aat.attention.scores.base import Score
from aat.errors import type_error, value_error

# (smallest normal, largest) of the dtype of the computation: float32, and float64 for f64
RANGES = [(float(limits.tiny), float(limits.max)) for limits in (np.finfo(np.float32), np.finfo(np.float64))]
LAYOUTS = {"bhsd": ("(B, H, L, D)", "(H, L, D)"), "bshd": ("(B, L, H, D)", "(L, H, D)")}


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call: its Problem, and what is needed to answer in the caller's terms."""

    problem: Problem
    like: Any             # the caller's q
    kind: str             # "numpy", "torch", "dlpack" or "device"
    out: Any              # the caller's out, or None
    squeeze: bool         # 3-D inputs: the batch axis is ours
    layout: str
    backend: str
    tiling: Any           # None ("auto"), a TileConfig or a TilingStrategy
    return_lse: bool
    return_info: bool

    def present(self, x, swap):
        """The canonical array `x` in the caller's axes; `swap` if it has the axes that the layout orders."""
        if self.squeeze:
            x = x.reshape(x.shape[1:]) if self.kind == "device" else x[0]
        return np.swapaxes(x, -3, -2) if swap and self.layout == "bshd" else x


def check(q, k, v, *, mask=None, bias=None, causal=None, window=(None, None), scale=None, softcap=None,
          sinks=None, kv_lens=None, q_offset=None, score="dot", score_mod=None, mask_mod=None, tolerance=0.0,
          tiling="auto", layout="bhsd", backend="auto", return_lse=False, return_info=False, out=None):
    """Return the Call that the arguments of `aat.attention` state; raise ValueError or TypeError if none."""
    tolerance = _check_choices(score, tolerance, layout, backend)
    for name, flag in (("return_lse", return_lse), ("return_info", return_info)):
        if not isinstance(flag, (bool, np.bool_)):
            raise type_error(name, "True or False", f"a {type(flag).__name__}")
    inputs = {name: take_float(name, x) for name, x in (("q", q), ("k", k), ("v", v))}
    kind, dtype = _common(inputs)
    squeeze = _check_shapes({name: tuple(x.view.shape) for name, x in inputs.items()}, layout, kind)
    cq, ck, cv = (_canonical(x.view, layout, squeeze, kind) for x in inputs.values())
    full = (*cq.shape[:3], ck.shape[2])
    causal = positions.alignment(causal)
    lens = positions.lengths(kv_lens, full)
    offset = positions.int32_offsets(positions.offsets(causal, q_offset, lens, full), full)
    left, right = positions.bounds(causal, window)
    left, right = positions.int32_bounds(left, right, offset, full)
    problem = Problem(
        q=cq, k=ck, v=cv, dtype=dtype, mask=_mask(mask, full), bias=_bias(bias, full), left=left, right=right,
        scale=_scale(scale, cq.shape[3], dtype, score), softcap=_softcap(softcap, dtype),
        sinks=_sinks(sinks, full[1], dtype), kv_lens=lens, q_offset=offset, return_lse=bool(return_lse),
        tolerance=tolerance, score=None if isinstance(score, str) else score,
        mods=_mods(score_mod, mask_mod, full, offset))
    if problem.score is not None:
        _check_score(problem, kind, out)
    if out is not None:
        optional = [_host(x) for x in (mask, bias, sinks, kv_lens, q_offset)]
        target = _out(out, inputs["q"], problem, layout, squeeze, [cq, ck, cv, *optional])
        problem = replace(problem, out=target)
    return Call(problem, q, kind, out, squeeze, layout, backend, _tiling(tiling, tolerance), bool(return_lse),
                bool(return_info))


def _check_choices(score, tolerance, layout, backend):
    if not (isinstance(score, Score) or (isinstance(score, str) and score == "dot")):
        raise value_error("score", '"dot" or a score object', told(score),
                          "aat.attention.Geometric and aat.attention.Fidelity make some")
    tolerance = _number("tolerance", tolerance, "0 asks for the exact result")
    if not 0.0 <= tolerance < math.inf:
        raise value_error("tolerance", "a finite number >= 0", told(tolerance), "0 asks for the exact result")
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise value_error("layout", " or ".join(f'"{name}"' for name in LAYOUTS), told(layout))
    if not isinstance(backend, str):
        raise type_error("backend", "the name of a backend", f"a {type(backend).__name__}")
    return tolerance


def _common(inputs):
    """(kind, dtype) of q, k and v together."""
    kinds = {name: x.kind for name, x in inputs.items()}
    on_device = [name for name, kind in kinds.items() if kind == "device"]
    if on_device and len(on_device) < 3:
        raise type_error("q, k, v", "all three on the device or all three in host memory",
                         f"{' and '.join(on_device)} as DeviceArray only",
                         "pass the others through aat.to_device, or these through .numpy()")
    dtypes = {name: x.dtype for name, x in inputs.items()}
    if len(set(dtypes.values())) > 1:
        raise type_error("q, k, v", "one dtype",
                         ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items()),
                         "convert them to the same dtype")
    return kinds["q"], dtypes["q"]


def _check_shapes(shapes, layout, kind):
    """Check the shapes of q, k and v against each other; return whether they are 3-D."""
    form4, form3 = LAYOUTS[layout]
    if layout != "bhsd" and kind == "device":
        raise value_error("layout", '"bhsd" for DeviceArrays, which have no transposed views', f'"{layout}"',
                          "put them on the device as (B, H, L, D)")
    for name, shape in shapes.items():
        if len(shape) not in (3, 4):
            raise value_error(name, f"shape {form4} or {form3}", f"shape {shape}", "reshape it")
        if len(shape) != len(shapes["q"]):
            raise value_error(name, f"{len(shapes['q'])} axes as q has", f"shape {shape}", "reshape it")
    (B, Hq, _, D), (Bk, Hk, Lk, Dk), (Bv, Hv, Lv, Dv) = (_order(shape, layout) for shape in shapes.values())
    if D == 0:
        raise value_error("q", "a head size of at least 1", f"shape {shapes['q']}")
    if (Bk, Dk) != (B, D):
        raise value_error("k", f"batch {B} and head size {D} as in q {shapes['q']}", f"shape {shapes['k']}",
                          f"pass {form4} arrays in layout=\"{layout}\", or change layout=")
    if (Bv, Hv, Lv) != (B, Hk, Lk):
        raise value_error("v", f"batch {B}, {Hk} heads and {Lk} keys as in k {shapes['k']}",
                          f"shape {shapes['v']}")
    if Dv == 0:
        raise value_error("v", "a head size of at least 1", f"shape {shapes['v']}")
    if Hq and (Hk == 0 or Hq % Hk):
        raise value_error("k", f"a number of heads that divides q's {Hq}", f"{Hk} heads, shape {shapes['k']}",
                          "query head h reads key head h // (Hq / Hk)")
    return len(shapes["q"]) == 3


def _order(shape, layout):
    shape = shape if len(shape) == 4 else (1, *shape)
    return shape if layout == "bhsd" else (shape[0], shape[2], shape[1], shape[3])


def _canonical(view, layout, squeeze, kind):
    if kind == "device":
        return view.reshape((1, *view.shape)) if squeeze else view
    view = short_strides(view[None] if squeeze else view)
    return np.swapaxes(view, 1, 2) if layout == "bshd" else view


def _mask(mask, full):
    if mask is None:
        return None
    taken = take("mask", mask)
    if taken.dtype != "bool":
        raise type_error("mask", "dtype bool (True = may attend)", taken.dtype,
                         "pass additive floats as bias=, and 0/1 integers as mask != 0")
    return _broadcastable("mask", taken, full)


def _bias(bias, full):
    return None if bias is None else _broadcastable("bias", take_float("bias", bias), full)


def _broadcastable(name, taken, full):
    """The 4-D view whose axes have size 1 or that of `full`; stride-0 axes become size 1."""
    if taken.kind == "device":
        raise type_error(name, "an array in host memory", "a DeviceArray", "pass its .numpy()")
    x = taken.view
    shape = (1,) * (4 - x.ndim) + x.shape
    if x.ndim > 4 or any(size not in (1, whole) for size, whole in zip(shape, full, strict=True)):
        raise value_error(name, f"a shape that broadcasts to (B, Hq, Lq, Lk) = {full}", f"shape {x.shape}",
                          "axes are matched from the right, and each has size 1 or the full size")
    x = short_strides(x[(None,) * (4 - x.ndim)])
    # what a caller expanded by stride 0 is one element again: nothing downstream sees the expansion
    return x[tuple(slice(0, 1) if size > 1 and stride == 0 else slice(None)
                   for size, stride in zip(x.shape, x.strides, strict=True))]


def _sinks(sinks, heads, dtype):
    if sinks is None:
        return None
    taken = take_float("sinks", sinks)
    if taken.kind == "device":
        raise type_error("sinks", "an array in host memory", "a DeviceArray", "pass its .numpy()")
    if taken.view.shape != (heads,):
        raise value_error("sinks", f"shape (Hq,) = ({heads},)", f"shape {taken.view.shape}",
                          "one logit a query head")
    with np.errstate(over="ignore"):  # a logit beyond float32 is infinite there
        return widen(taken.view).astype(np.float64 if dtype == "f64" else np.float32)


def _scale(scale, d, dtype, score):
    if isinstance(score, Score):
        if scale is not None:
            raise value_error("scale", "None with a score object", told(scale),
                              "what multiplies its scores is a parameter of its own, as beta of Geometric")
        return 1.0
    if scale is None:
        return 1.0 / math.sqrt(d)
    remedy = "None stands for 1/sqrt(D)"
    value = _number("scale", scale, remedy)
    if not abs(value) <= RANGES[dtype == "f64"][1]:
        raise value_error("scale", "a number that is finite in the dtype of the computation", told(scale),
                          remedy)
    return value


def _check_score(problem, kind, out):
    """What does not go together with a score object."""
    if problem.mods is not None:
        raise value_error("score_mod, mask_mod", "None with a score object", "a function",
                          "what a function changes, `apply` of an own score can do; pass mask= for a mask_mod")
    if kind == "device" and out is not None:
        raise value_error("out", "None for arrays on a device with a score object", "a DeviceArray",
                          "rows are prepared on the host: take the result")


def _mods(score_mod, mask_mod, full, offset):
    if score_mod is None and mask_mod is None:
        return None
    from aat.mods.call import Mods

    return Mods.of(score_mod, mask_mod, full, offset)


def _softcap(softcap, dtype):
    if softcap is None:
        return None
    value = _number("softcap", softcap, "None caps nothing")
    tiny, largest = RANGES[dtype == "f64"]
    if not tiny <= value <= largest:
        raise value_error("softcap", "a positive finite number", told(softcap), "None caps nothing")
    return value


def _number(name, x, remedy):
    if not isinstance(x, numbers.Real) or isinstance(x, (bool, np.bool_)):
        raise type_error(name, "a number", told(x), remedy)
    try:
        return float(x)
    except OverflowError:  # an int beyond float64
        return math.inf


def _tiling(tiling, tolerance):
    if isinstance(tiling, str):
        if tiling == "auto":
            return None
        raise value_error("tiling", '"auto", a TileConfig or a TilingStrategy', repr(tiling),
                          "see aat.tiling.strategies")
    from aat.tiling.base import TileConfig

    if isinstance(tiling, TileConfig):
        return tiling
    from aat.tiling.strategies.base import TilingStrategy

    if not isinstance(tiling, TilingStrategy):
        raise type_error("tiling", '"auto", a TileConfig or a TilingStrategy', f"a {type(tiling).__name__}",
                         "see aat.TileConfig and aat.tiling.strategies")
    if tolerance == 0.0 and tiling.keeps_tolerance:
        return None         # nothing may be left out: the exact path, bit for bit
    return tiling


def _out(out, like, problem, layout, squeeze, inputs):
    """The canonical view of the caller's `out`, after every check of it."""
    taken = take("out", out)
    if taken.kind != like.kind:
        raise type_error("out", "an array of q's kind", f"{taken.kind} for a q of {like.kind}",
                         "leave out= away for a result of q's type")
    if taken.dtype != like.dtype:
        raise type_error("out", f"q's dtype {like.dtype}", taken.dtype)
    shape = _order((problem.B, problem.Hq, problem.Lq, problem.Dv), layout)[1 if squeeze else 0:]
    view = taken.view
    if view.shape != shape:
        raise value_error("out", f'shape {shape} in layout="{layout}"', f"shape {view.shape}")
    if taken.kind == "device":
        return _out_on_device(view, like.view, inputs, squeeze)
    if not view.flags.writeable:
        raise value_error("out", "a writeable array", "a read-only one")
    if view.size and taken.kind == "numpy" and not np.may_share_memory(view, out):  # `take` had to copy it
        raise value_error("out", "aligned memory with strides of whole elements", f"strides {out.strides}")
    if overlaps_itself(view):
        raise value_error("out", "elements with one address each",
                          f"strides {view.strides} for shape {view.shape}",
                          "pass an array that is not broadcast")
    if any(x is not None and overlaps(view, x) for x in inputs):
        raise value_error("out", "memory of its own", "memory that an input uses", "inputs are never written")
    return _canonical(view, layout, squeeze, taken.kind)


def _out_on_device(out, q, inputs, squeeze):
    """The canonical view of a DeviceArray for the result."""
    if out.session is not q.session:
        raise value_error("out", f"an array where q is ({q.backend})", f"one on {out.backend}",
                          "make it with aat.empty(shape, dtype, backend=...)")
    if any(out.shares_memory(x) for x in inputs[:3]):
        raise value_error("out", "memory of its own", "memory that an input uses", "inputs are never written")
    return out.reshape((1, *out.shape)) if squeeze else out


def _host(x):
    """The memory of an optional argument that has already been checked."""
    return None if x is None or isinstance(x, numbers.Number) else take("argument", x).view
