"""Which type does an element have for the caller, and which in a backend's memory?

A logical type is named "f16", "bf16", "f32", "f64", "bool" or "i32". NumPy has no bfloat16 of its own; its
bits are handled here as uint16, with or without ml_dtypes.
"""

import functools

import numpy as np

INT32_MAX = 2**31 - 1
LOGICAL = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8, "bool": 1, "i32": 4}
_NAMES = {
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
    "bool": "bool",
    "int32": "i32",
    "uint8": "u8",
    "int8": "i8",
    "uint16": "u16",
    "int64": "i64",
}


@functools.cache  # dtype.name is assembled in Python at every access
def logical_name(dtype):
    """The short name of a NumPy dtype ("f32", "bf16", "i32", ...); the NumPy name where there is none."""
    return _NAMES.get(dtype.name, dtype.name)


@functools.cache
def numpy_dtype(name):
    """The NumPy dtype of a logical name; "bf16" raises ImportError where ml_dtypes is missing."""
    if name == "bf16":
        try:
            from ml_dtypes import bfloat16
        except ModuleNotFoundError as error:
            raise ImportError("NumPy has no bfloat16 of its own; pip install ml_dtypes") from error
        return np.dtype(bfloat16)
    return np.dtype(next((numpy for numpy, short in _NAMES.items() if short == name), name))


def widen_bf16(bits):
    """bfloat16 bits (uint16) as float32: exact."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def round_bf16(x):
    """float32 rounded to nearest-even bfloat16, as uint16 bits; NaN stays a (quiet) NaN."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), ((bits >> 16) | 0x40).astype(np.uint16), rounded)


def to_storage(x, name, storage):
    """A flat contiguous host array of `storage` with the values of `x`, which has the logical type `name`."""
    if name == "bf16":
        bits = x.view(np.uint16)
        return bits if storage == np.uint16 else widen_bf16(bits)
    return np.ascontiguousarray(x, storage)


def from_storage(host, name, dtype):
    """The inverse of `to_storage`: values rounded to the logical type `name`, as NumPy's `dtype`."""
    if name == "bf16":
        return (host if host.dtype == np.uint16 else round_bf16(host)).view(dtype)
    if name == "bool":
        return host != 0
    with np.errstate(over="ignore"):  # a float32 beyond float16's range becomes infinite, as it should
        return host.astype(dtype, copy=False)
