"""What does every operation promise? A call becomes arrays and options, runs on a backend, and returns as it came."""

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aat.arrays import STORAGE, Taken, give, overlaps, round_into, take_float, widen
from aat.errors import BackendError, type_error, value_error

# A GPU's numbers are f32; 16-bit data is widened when it is copied there.
COMPUTES = {"cpu": ("f16", "bf16", "f32", "f64"), "vulkan": ("f16", "bf16", "f32"), "cuda": ("f16", "bf16", "f32")}


@dataclass(frozen=True)
class Call:
    """One checked call.

    arrays: views {name: np.ndarray}, bf16 as its bits. dtype: that of the result, "f16", "bf16", "f32" or "f64". shape:
    of the result. options: whatever else `run` and `exact` need. like: the caller's array whose type the result has.
    """

    arrays: dict[str, np.ndarray]
    dtype: str
    shape: tuple[int, ...]
    like: Any
    options: dict = field(default_factory=dict)


class Operation(ABC):
    """A kernel as callers and validation know it: five slots, and everything else for free.

    The reference is kernels/reference/<name>.py: a function `<name>(..., compute=np.float64)` in plain loops, and
    `<name>_rounding(..., unit)`, the reach of rounding in each element in unit roundoffs (aat/validation/budget.py).
    """

    name = ""

    @abstractmethod
    def check(self, *_: Any, **arguments: Any) -> Call:
        """The Call of the public function's arguments, or ValueError and TypeError that name the argument."""

    @abstractmethod
    def run(self, call, session, out):
        """Compute a call on a session into `out`: contiguous, of call.shape, in the storage of call.dtype."""

    @abstractmethod
    def exact(self, call):
        """The keyword arguments of the reference for a call; 16-bit floats are widened by the caller of this."""

    def shaped(self, call, value):
        """What the reference gave, in the axes of the call's result."""
        return value.reshape(call.shape)

    @abstractmethod
    def inputs(self, case, random):
        """The public function's arguments for a KernelCase; `random(*shape)` gives normal numbers of its dtype."""

    @abstractmethod
    def multiply_adds(self, call):
        """What a call asks for, whoever does it."""

    def __call__(self, *, backend="auto", out=None, **arguments):
        """Check, compute, and return the result in the type of the caller's array (or `out`)."""
        from aat.backends import select

        call = self.check(**arguments)
        into = _checked_out(call, out)
        target = into if into is not None and into.flags.c_contiguous else np.empty(call.shape, STORAGE[call.dtype])
        chosen = select.resolve(backend)[0]
        with select.lock():
            if not target.size:
                select.get(chosen)
            elif chosen == "reference":
                round_into(target, self.shaped(call, self.reference()[0](**self.widened(call))))
            else:
                with select.use(chosen) as session:
                    _refuse(call, session)
                    with session.scope():
                        self.run(call, session, target)
        if into is None:
            return give(target, call.dtype, call.like)
        if into is not target:
            into[...] = target
        return out

    def reference(self):
        """(function, its rounding) of the float64 reference."""
        module = importlib.import_module(f"aat.kernels.reference.{self.name}")
        return getattr(module, self.name), getattr(module, f"{self.name}_rounding")

    def widened(self, call):
        """`exact`, with 16-bit floats as the float32 numbers that they stand for."""
        def wide(x):
            return widen(x) if isinstance(x, np.ndarray) and x.dtype in (np.uint16, np.float16) else x

        return {name: wide(x) for name, x in self.exact(call).items()}

    def bytes(self, call):
        """Compulsory traffic: every array once, and the result."""
        return sum(x.nbytes for x in call.arrays.values()) + int(np.prod(call.shape)) * STORAGE[call.dtype].itemsize


def taken(argument, x):
    """A float array on the host as Taken; TypeError for others and for arrays on a device."""
    found = x if isinstance(x, Taken) else take_float(argument, x)
    if found.kind == "device":
        raise type_error(argument, "an array in host memory", "a DeviceArray", "pass its .numpy()")
    return found


def same_dtype(arrays):
    """The one dtype of {argument: Taken}; TypeError names the first that differs."""
    (first, found), *rest = arrays.items()
    for name, x in rest:
        if x.dtype != found.dtype:
            raise type_error(name, f"dtype {found.dtype} as {first}", x.dtype, "convert one of them")
    return found.dtype


def _checked_out(call, out):
    """The view of a caller's `out`, or None."""
    if out is None:
        return None
    found = taken("out", out)
    if found.dtype != call.dtype:
        raise type_error("out", f"dtype {call.dtype}", found.dtype)
    if found.view.shape != call.shape:
        raise value_error("out", f"shape {call.shape}", f"shape {found.view.shape}")
    if not found.view.flags.writeable:
        raise value_error("out", "an array that can be written", "a read-only one")
    for name, x in call.arrays.items():
        if overlaps(found.view, x):
            raise value_error("out", "memory of its own", f"an array that overlaps {name}", "pass another array")
    return found.view


def _refuse(call, session):
    """Raise BackendError, with each reason, if a session cannot run a call."""
    takes = [dtype for dtype in COMPUTES[session.backend] if dtype in session.limits.dtypes]
    reasons = []
    if call.dtype not in takes:
        reasons.append(f"dtype {call.dtype} is not computed on this device, which takes {', '.join(takes)}; "
                       'convert the inputs, or use backend="cpu"')
    for name, size in {**{k: x.size for k, x in call.arrays.items()}, "out": int(np.prod(call.shape))}.items():
        if size > session.limits.max_index:
            reasons.append(f"{name} has {size} elements, and an index counts to {session.limits.max_index}; "
                           "split the call")
    if reasons:
        raise BackendError(session.backend, reasons)
