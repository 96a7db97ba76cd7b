"""What does a call bring whose scores and masks are changed by functions?"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aat.errors import type_error
from aat.mods import domain
from aat.mods.capture import Mod
from aat.mods.intervals import Ranges
from aat.mods.trace import trace

KEPT = 32               # domains that are known to be legal, and lists of tiles
_legal: OrderedDict[Any, bool] = OrderedDict()


def remembered(memory, key, make):
    """memory[key], made if it is not there; the oldest of KEPT goes."""
    if key in memory:
        memory.move_to_end(key)
        return memory[key]
    made = memory[key] = make()
    while len(memory) > KEPT:
        memory.popitem(last=False)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A traced function: its Mod, its Graph and the arrays that it captures, as they are now."""

    mod: Any
    graph: Any
    arrays: list

    @classmethod
    def of(cls, function, name):
        """Raises TypeError for what is no function, or cannot be compiled."""
        if not callable(function):
            raise type_error(name, "a function", f"a {type(function).__name__}",
                             "def score_mod(s, b, h, q, k): ... or def mask_mod(b, h, q, k): ...")
        mod = Mod(function, name)
        return cls(mod, *trace(mod))

    @property
    def content(self):
        """What the captured arrays hold, as a dict key."""
        return tuple((x.shape, x.dtype.str, x.tobytes()) for x in self.arrays)

    def tables(self):
        """The Ranges of the arrays."""
        return [Ranges(x) for x in self.arrays]

    def check(self, sides):
        """Raise ValueError unless indices and whole numbers stay in range for {variable: (first, last)}."""
        graph = self.graph
        # what is read from an array can be an index itself
        inner = any(graph.nodes[n].op == "table" for node in graph.nodes for n in node.args)
        key = (graph, tuple(sides.items()), self.content if inner else tuple(x.shape for x in self.arrays))
        remembered(_legal, key, lambda: domain.check(self.mod, graph, self.tables(), sides) is None)


@dataclass(frozen=True, slots=True, eq=False)
class Mods:
    """The functions of a call.

    score, mask : Traced or None
    heads, batches : (first, step)
        Which head and sequence of the caller's is number 0 here, and how far the next one is: parts of a call keep
        their own numbers.
    """

    score: Traced | None
    mask: Traced | None
    batches: tuple = (0, 1)
    heads: tuple = (0, 1)

    @classmethod
    def of(cls, score_mod, mask_mod, full, offset):
        """The Mods of a call, or None: full is (B, Hq, Lq, Lk), offset the (B,) positions of the first queries."""
        if score_mod is None and mask_mod is None:
            return None
        score = None if score_mod is None else Traced.of(score_mod, "score_mod")
        mask = None if mask_mod is None else Traced.of(mask_mod, "mask_mod")
        batch, heads, rows, keys = full
        if min(full) > 0:
            sides = {"b": (0, batch - 1), "h": (0, heads - 1),
                     "q": (int(offset.min()), int(offset.max()) + rows - 1), "k": (0, keys - 1)}
            for traced in filter(None, (score, mask)):
                traced.check(sides)
        return cls(score, mask)

    @property
    def key(self):
        """What a kernel is compiled for."""
        return tuple(None if x is None else x.graph for x in (self.score, self.mask))

    def part(self, batch, heads):
        """Those of a part of the call: slices of the batch and of the query heads."""
        (b, bs), (h, hs) = self.batches, self.heads
        return replace(self, batches=(b + bs * (batch.start or 0), bs * (batch.step or 1)),
                       heads=(h + hs * (heads.start or 0), hs * (heads.step or 1)))

    def flat(self, dtype):
        """(ints, numbers): the arguments of a kernel.

        numbers, of the float dtype, hold the captured floats; ints (int32) begin with two addresses of 64 bits, which a
        CPU kernel reads, then first and step of batches and heads, then for each array its start and strides.
        """
        arrays = [x for traced in (self.score, self.mask) if traced is not None for x in traced.arrays]
        head = HEAD + sum(1 + x.ndim for x in arrays)
        head += head % 2
        floats = [x for x in arrays if _is_float(x)]
        wholes = [x for x in arrays if not _is_float(x)]
        ints = np.zeros(head + sum(x.size for x in wholes), np.int32)
        numbers = np.zeros(max(1, sum(x.size for x in floats)), dtype)
        ints[4:HEAD] = *self.batches, *self.heads
        at, places = HEAD, [0, head]
        for x in arrays:
            number = _is_float(x)
            start, store = places[not number], numbers if number else ints
            with np.errstate(over="ignore"):
                store[start:start + x.size] = x.reshape(-1)
            places[not number] += x.size
            ints[at:at + 1 + x.ndim] = [start, *np.cumprod([1, *x.shape[:0:-1]])[::-1]][:1 + x.ndim]
            at += 1 + x.ndim
        ints[:4].view(np.uint64)[:] = ints.ctypes.data, numbers.ctypes.data
        return ints, numbers


HEAD = 8                # ints before those that describe the arrays


def _is_float(x):
    return x.dtype.kind not in "iub"
