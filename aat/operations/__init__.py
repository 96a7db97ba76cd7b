"""Kernels beside attention, one a file: what a call of each means, and what validation has to know about it.

A kernel is known by its stem: `aat/operations/<op>.py` whose `OPERATION` is an `aat.operations.base.Operation`, with
kernels/<op>.py and kernels/reference/<op>.py. Nothing lists them.
"""

import functools
import importlib
import pkgutil

from aat.errors import value_error

SHARED = ("base", "launch", "packed")


@functools.cache
def names():
    """The stems of all operations of this room, sorted; nothing is imported."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED))


def get(name):
    """The Operation of a stem; ValueError if there is none."""
    if name not in names():
        raise value_error("kernel", f"one of {', '.join(names())}", repr(name))
    return importlib.import_module(f"aat.operations.{name}").OPERATION
