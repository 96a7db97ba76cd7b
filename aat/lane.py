"""Which functions may a `score_mod` or `mask_mod` call, beside operators?

They take what such a function is called with, NumPy arrays and numbers alike, and broadcast as NumPy does.
"""

from collections.abc import Callable

import numpy as np

__all__ = ["abs", "exp", "exp2", "floor", "log", "log2", "maximum", "minimum", "sqrt", "tanh", "where"]

_NUMPY: dict[str, Callable] = {
    "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2, "sqrt": np.sqrt, "tanh": np.tanh, "floor": np.floor,
    "abs": np.abs, "minimum": np.minimum, "maximum": np.maximum, "where": np.where,
}


def _call(name, *arguments):
    """A function by name: of the first argument whose type has its own `_lane(name, arguments)`, else NumPy's."""
    for x in arguments:
        own = getattr(type(x), "_lane", None)
        if own is not None:
            return own(x, name, arguments)
    return _NUMPY[name](*arguments)


def exp(x):
    """e^x."""
    return _call("exp", x)


def exp2(x):
    """2^x."""
    return _call("exp2", x)


def log(x):
    """The natural logarithm."""
    return _call("log", x)


def log2(x):
    """The logarithm to base 2."""
    return _call("log2", x)


def sqrt(x):
    """The square root."""
    return _call("sqrt", x)


def tanh(x):
    """The hyperbolic tangent."""
    return _call("tanh", x)


def floor(x):
    """The largest whole number <= x, as a float; of whole numbers use `//`."""
    return _call("floor", x)


def abs(x):
    """|x|, whole for whole numbers."""
    return _call("abs", x)


def minimum(x, y):
    """The smaller one, element by element."""
    return _call("minimum", x, y)


def maximum(x, y):
    """The larger one, element by element."""
    return _call("maximum", x, y)


def where(condition, x, y):
    """x where `condition` holds, else y. Both are computed."""
    return _call("where", condition, x, y)
