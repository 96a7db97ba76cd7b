"""How do arrays of other libraries become NumPy views of the same memory, and how do results go back?

Inside the library an array is a NumPy view or a DeviceArray. bfloat16, which NumPy does not have, is its bits
in uint16: wherever a float array is meant, uint16 says bfloat16. Neither torch nor ml_dtypes is imported
here: a caller who has such an array has imported them.
"""

import ctypes
import sys
from typing import Any, NamedTuple

import numpy as np

from aat.errors import type_error, value_error

FLOATS = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}
STORAGE: dict[str, Any] = {"f16": np.dtype(np.float16), "bf16": np.dtype(np.uint16),
                           "f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
KINDS = "a NumPy array, a PyTorch CPU tensor, an object with __dlpack__ or a DeviceArray"
# by dtype in native byte order; a dtype's name is built anew at every look, which costs as much as the other
# checks
_COMMON = {np.dtype(name): FLOATS.get(name, name) for name in ("float16", "float32", "float64", "bool")}
_CPU = 1  # kDLCPU of the DLPack standard


class Taken(NamedTuple):
    """One array argument as the library sees it.

    view: np.ndarray that shares the caller's memory (bf16 as uint16), or the DeviceArray itself.
    dtype: "f16", "bf16", "f32", "f64", "bool", or NumPy's name of any other dtype.
    kind: "numpy", "torch", "dlpack" or "device"; the family of the caller's array.
    """

    view: Any
    dtype: str
    kind: str


def take(argument, x):
    """Return `x` as Taken, without a copy where its layout allows one to be avoided.

    A copy is made only of memory that no element index can address: unaligned, or with strides that are no
    multiple of the element. What was taken before is returned as it is. Raises TypeError for what is no
    array, ValueError for memory that is not the CPU's.
    """
    if isinstance(x, np.ndarray):
        return _take_numpy(argument, x, "numpy")
    if isinstance(x, Taken):
        return x
    if is_torch(x):
        from aat.integrations import torch as bridge

        view, dtype = bridge.take(argument, x)
        return Taken(view, dtype, "torch")
    if is_device_array(x):
        return Taken(x, x.dtype, "device")
    if hasattr(type(x), "__dlpack__") and hasattr(type(x), "__dlpack_device__"):
        return _take_dlpack(argument, x)
    raise type_error(argument, KINDS, f"a {type(x).__name__}", "pass an array, for example np.asarray(x)")


def take_float(argument, x):
    """`take` for an argument whose dtype must be one of the four floats; TypeError otherwise."""
    taken = take(argument, x)
    if taken.dtype not in STORAGE:
        raise type_error(argument, "dtype float16, bfloat16, float32 or float64", taken.dtype,
                         "convert it, for example with .astype(np.float32)")
    return taken


def take_integers(argument, x, remedy):
    """`take` for an argument of whole numbers, always on the host; TypeError for any other dtype."""
    taken = take(argument, x)
    if taken.kind == "device":
        raise type_error(argument, "integers in host memory", "a DeviceArray", "pass its .numpy()")
    if taken.view.dtype.kind not in "iu" or taken.dtype in STORAGE:
        raise type_error(argument, "an integer dtype", taken.dtype, remedy)
    return taken.view


def is_torch(x):
    """Whether `x` is a torch tensor; torch itself is not imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, getattr(torch, "Tensor", ()))


def is_device_array(x):
    """Whether `x` is an array that lives on a backend."""
    # a DeviceArray cannot exist before its module does
    memory = sys.modules.get("aat.backends.memory")
    return memory is not None and isinstance(x, memory.DeviceArray)


def _take_numpy(argument, x, kind):
    if isinstance(x, np.ma.MaskedArray):
        raise type_error(argument, KINDS, "a masked array", "pass x.data, and what is masked as mask=")
    dtype = _COMMON.get(x.dtype)
    if dtype is not None:
        return Taken(_addressable(np.asarray(x)), dtype, kind)
    if not x.dtype.isnative:
        raise type_error(argument, "native byte order", f"dtype {x.dtype.str}",
                         'convert it with x.astype(x.dtype.newbyteorder("="))')
    dtype = FLOATS.get(x.dtype.name, x.dtype.name)
    view = _addressable(np.asarray(x))
    return Taken(view.view(np.uint16) if dtype == "bf16" else view, dtype, kind)


def _take_dlpack(argument, x):
    device = int(x.__dlpack_device__()[0])
    if device != _CPU:
        raise value_error(argument, "an array in CPU memory", f"one on DLPack device type {device}",
                          "copy it to the host first")
    try:
        view = np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise type_error(argument, "an array that NumPy reads through DLPack",
                         f"a {type(x).__name__} ({error})",
                         "convert it to a NumPy array") from error
    return _take_numpy(argument, view, "dlpack")


def _addressable(x):
    """`x`, or a copy where no index of whole elements reaches every element of it."""
    itemsize = x.dtype.itemsize
    if x.flags.aligned and (x.flags.c_contiguous or all(stride % itemsize == 0 for stride in x.strides)):
        return x
    return np.array(x, order="C")


def give(view, dtype, like):
    """Return the NumPy result `view`, of logical `dtype`, as the type of the caller's array `like`,
    zero-copy.
    """
    if is_torch(like):
        from aat.integrations import torch as bridge

        return bridge.give(view, dtype)
    if isinstance(like, np.ndarray):
        # only an array of ml_dtypes' bfloat16 brings bf16 in, and its dtype brings it out
        return view.view(like.dtype) if dtype == "bf16" else view
    if hasattr(like, "__array_namespace__"):
        return like.__array_namespace__().from_dlpack(view)
    return view


def span(x):
    """Elements between the first and the last that `x` addresses, both included: what an index must count."""
    if isinstance(x, np.ndarray):
        steps = sum((size - 1) * abs(stride) for size, stride in zip(x.shape, x.strides, strict=True))
        return 1 + steps // x.dtype.itemsize if x.size else 0
    return int(np.prod(x.shape, dtype=object))


def in_place(x, unit):
    """Whether a kernel can address a host array as it stands: steps forward, in whole elements, and next to each other
    along the last axis if `unit`."""
    whole = all(stride >= 0 and stride % x.itemsize == 0 for stride, n in zip(x.strides, x.shape, strict=True) if n > 1)
    return whole and (not unit or x.shape[-1] == 1 or x.strides[-1] == x.itemsize)


def flat(x):
    """The memory between the first and the last element of x as a flat contiguous array, without a copy."""
    return np.lib.stride_tricks.as_strided(x, shape=(span(x),), strides=(x.itemsize,))


def short_strides(x):
    """`x`, with stride 0 on axes of size 1: kernels take every stride as int32, even one nothing uses."""
    if all(size > 1 or abs(stride) < 2**31 for size, stride in zip(x.shape, x.strides, strict=True)):
        return x
    first = (*(0 if size == 1 else slice(None) for size in x.shape), ...)
    inner = x[first]  # with the ellipsis it stays a view, whatever is left of it
    return inner[tuple(None if size == 1 else slice(None) for size in x.shape)]


def overlaps(a, b):
    """Whether two arrays share memory; True where proving that they do not would take long."""
    if not np.may_share_memory(a, b):
        return False
    try:
        # NumPy's stub knows two of the values
        return np.shares_memory(a, b, max_work=100_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def overlaps_itself(x):
    """Whether two indices of `x` may name one address (a broadcast or an overlapping window)."""
    if not x.size:
        return False
    reach = x.dtype.itemsize
    for stride, size in sorted((abs(stride), size) for stride,
                               size in zip(x.strides, x.shape, strict=True) if size > 1):
        if stride < reach:
            return True
        reach += stride * (size - 1)
    return False


def widen(x):
    """16-bit floats as float32, exactly; float32 and float64 as they are."""
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x.astype(np.float32) if x.dtype == np.float16 else x


def round_into(out, x):
    """Write `x` into `out` of its shape, each element rounded once, and return `out`.

    float32 or float64 into any of the four floats (uint16 means bfloat16); bfloat16 bits into bfloat16.
    """
    if out.dtype != np.uint16 or x.dtype == np.uint16:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            np.copyto(out, x, casting="unsafe")
        return out
    bits = _float32_to_odd(x).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x40
    np.copyto(out, np.where(np.isnan(x), quiet, rounded), casting="unsafe")
    return out


def _float32_to_odd(x):
    """float64 to float32 by truncation, the last bit set where anything was lost.

    A second rounding to fewer bits is then right as if it were the only one: the odd bit keeps a value off
    the ties (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008, theorem 3).
    """
    if x.dtype == np.float32:
        return np.ascontiguousarray(x)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        near = x.astype(np.float32)
        bits = near.view(np.uint32)
        back = near.astype(np.float64)
        inexact = (back != x) & ~np.isnan(x)
        truncated = bits - (np.abs(back) > np.abs(x)).astype(np.uint32)
    return np.where(inexact, truncated | 1, bits).astype(np.uint32).view(np.float32)


_DATA = object.__basicsize__  # NumPy's ABI: the pointer to the data follows Python's object header


def pointer(x):
    """Address of the first element of an array whose type is ndarray itself; an eighth of the time of x.ctypes.data."""
    return ctypes.c_void_p.from_address(id(x) + _DATA).value or 0


_TRY = np.zeros(1)
if pointer(_TRY) != _TRY.ctypes.data:  # another Python, another layout
    def pointer(x):  # noqa: D103
        return x.ctypes.data
