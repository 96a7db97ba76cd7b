"""What can a graph's values be while its variables stay in a box? Interval arithmetic (Moore, Interval Analysis, 1966).

Vectorised over boxes. An int or float has (low, high), a condition (certain, possible). Floats are widened by more than
what a float32 kernel rounds; an interval that may hold a NaN is NaN, and then nothing is certain of it.
"""

import numpy as np

from aat.mods.graph import BOOL, FLOAT, INT, number

WIDE, LEAST = 2.0**-20, 2.0**-100       # of a float beyond its rounding, and near 0


class Ranges:
    """The least and the largest element of any stretch of a captured array, from tables of powers of two."""

    def __init__(self, array):
        flat = np.ascontiguousarray(array).reshape(-1)
        if flat.dtype.kind in "fV":
            flat = flat.astype(np.float64 if flat.dtype.itemsize == 8 else np.float32)
        elif flat.dtype.kind in "iu":
            flat = flat.astype(np.int32)
        self.shape, self.low, self.high = array.shape, [flat], [flat]

    def between(self, first, last):
        """(low, high) of flat elements first .. last, both included."""
        level = np.frexp((last - first + 1).astype(np.float64))[1] - 1      # floor(log2(length)), exactly
        lows = np.empty(first.shape, self.low[0].dtype)
        highs = np.empty_like(lows)
        for n in np.unique(level).tolist():
            self._grow(n)
            here = level == n
            a, b = first[here], last[here] - (1 << n) + 1
            lows[here] = np.minimum(self.low[n][a], self.low[n][b])
            highs[here] = np.maximum(self.high[n][a], self.high[n][b])
        return lows, highs

    def _grow(self, n):
        while len(self.low) <= n:
            step = 1 << (len(self.low) - 1)
            self.low.append(np.minimum(self.low[-1][:-step], self.low[-1][step:]))
            self.high.append(np.maximum(self.high[-1][:-step], self.high[-1][step:]))

    def at(self, indices):
        """(low, high) of the elements whose index along each axis lies in an interval; indices outside are cut off."""
        if not self.shape:
            indices, shape = [(np.zeros(1, np.int64),) * 2], (1,)
        else:
            shape = self.shape
        cut = [(np.clip(low, 0, n - 1), np.clip(high, 0, n - 1)) for (low, high), n in zip(indices, shape, strict=True)]
        strides = np.cumprod([1, *shape[:0:-1]])[::-1]
        first = sum(low * stride for (low, _), stride in zip(cut, strides, strict=True))
        last = sum(high * stride for (_, high), stride in zip(cut, strides, strict=True))
        # A stretch from the first to the last element holds all between them, and more where an outer index varies.
        return self.between(*np.broadcast_arrays(first, last))


def evaluate(graph, tables, box):
    """The intervals of every node: a list of pairs of arrays.

    tables: a Ranges for each captured array. box: {variable: (low, high)} int64 arrays that broadcast together.
    """
    values: list = []
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            found = _value(node, [values[a] for a in node.args], tables, box)
            if node.kind == FLOAT:
                low, high = (np.asarray(x, np.float64) for x in found)
                unknown = np.isnan(low) | np.isnan(high)
                if node.op != "const":
                    low, high = low - (np.abs(low) * WIDE + LEAST), high + (np.abs(high) * WIDE + LEAST)
                found = np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
            values.append(found)
    return values


def _value(node, args, tables, box):
    if node.op == "const":
        value = np.asarray(number(node), {INT: np.int64, FLOAT: np.float64, BOOL: bool}[node.kind])
        return value, value
    if node.op == "var":
        return box[node.value]
    if node.op == "table":
        low, high = tables[node.value].at(args)
        if node.kind == BOOL:
            return low != 0, high != 0
        return (low.astype(np.int64), high.astype(np.int64)) if node.kind == INT else (low, high)
    if node.op == "where":
        (certain, possible), (a, b), (c, d) = args
        low = np.where(certain, a, np.where(possible, np.minimum(a, c), c))
        high = np.where(certain, b, np.where(possible, np.maximum(b, d), d))
        return (low != 0, high != 0) if node.kind == BOOL else (low, high)
    return _OPERATIONS[node.op](*args)


def _corners(function, x, y):
    found = [function(a, b) for a in x for b in y]
    return np.minimum.reduce(np.broadcast_arrays(*found)), np.maximum.reduce(np.broadcast_arrays(*found))


def _divide(x, y):
    low, high = _corners(np.divide, x, y)
    apart = (y[0] > 0) | (y[1] < 0)
    return np.where(apart, low, np.nan), np.where(apart, high, np.nan)


def _floor_divide(x, y):
    """Divisors that are 0 are refused elsewhere; what stands here is then of no use."""
    spans, largest = (y[0] <= 0) & (y[1] >= 0), np.maximum(np.abs(x[0]), np.abs(x[1])) + 1
    low, high = _corners(np.floor_divide, x, tuple(np.where(part == 0, 1, part) for part in y))
    return np.where(spans, -largest, low), np.where(spans, largest, high)


def _modulo(x, y):
    (low, high), (a, b) = x, y
    divisor = np.where(a == 0, 1, a)
    one = (a == b) & (low // divisor == high // divisor)        # the same multiple below all of them
    size = np.maximum(np.abs(a), np.abs(b)) - 1
    return (np.where(one, np.minimum(low % divisor, high % divisor), np.where(a > 0, 0, -size)),
            np.where(one, np.maximum(low % divisor, high % divisor), np.where(b < 0, 0, size)))


def _absolute(x):
    low, high = x
    largest = np.maximum(np.abs(low), np.abs(high))
    return np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high))), largest


def _square_root(x):
    return np.sqrt(x[0]), np.sqrt(x[1])         # NaN below 0


def _logarithm(function):
    return lambda x: (np.where(x[0] > LEAST, function(x[0]), np.nan), function(x[1]))


def _equal(x, y):
    return (x[0] == x[1]) & (y[0] == y[1]) & (x[0] == y[0]), ~((x[1] < y[0]) | (y[1] < x[0]))


def _less(x, y):
    return x[1] < y[0], ~(x[0] >= y[1])


def _less_equal(x, y):
    return x[1] <= y[0], ~(x[0] > y[1])


def _negated(x):
    return ~x[1], ~x[0]


def _different(x, y):
    return _negated(_equal(x, y))


def _exclusive(x, y):
    known = (x[0] == x[1]) & (y[0] == y[1])
    return known & (x[0] ^ y[0]), ~known | (x[0] ^ y[0])


def _rising(function):
    return lambda x: (function(x[0]), function(x[1]))


_OPERATIONS = {
    "add": lambda x, y: (x[0] + y[0], x[1] + y[1]),
    "sub": lambda x, y: (x[0] - y[1], x[1] - y[0]),
    "mul": lambda x, y: _corners(np.multiply, x, y),
    "div": _divide, "floordiv": _floor_divide, "mod": _modulo,
    "neg": lambda x: (-x[1], -x[0]), "abs": _absolute,
    "minimum": lambda x, y: (np.minimum(x[0], y[0]), np.minimum(x[1], y[1])),
    "maximum": lambda x, y: (np.maximum(x[0], y[0]), np.maximum(x[1], y[1])),
    "lt": _less, "le": _less_equal, "eq": _equal, "ne": _different,
    "and": lambda x, y: (x[0] & y[0], x[1] & y[1]), "or": lambda x, y: (x[0] | y[0], x[1] | y[1]),
    "xor": _exclusive, "not": _negated,
    "exp": _rising(np.exp), "exp2": _rising(np.exp2), "tanh": _rising(np.tanh), "floor": _rising(np.floor),
    "sqrt": _square_root, "log": _logarithm(np.log), "log2": _logarithm(np.log2),
    "cast": lambda x: (np.asarray(x[0]) * 1, np.asarray(x[1]) * 1),
}
