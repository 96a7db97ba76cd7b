"""A caller's score_mod and mask_mod inside the kernel whose lanes are queries.

A graph (aat.mods.graph.Graph) is emitted operation by operation. What touches q, b and h alone is computed once a task,
what touches k, b and h once a key as scalars, and only the rest for each vector of queries and key.
"""
from typing import Any

import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Traced, assign, element, inline, local
from aat.kernels.parts.gate import Visits
from aat.kernels.parts.queries import Meta
from taichi.lang import impl

HEAD = 8                # places of `ints` before those that describe the arrays (aat.mods.call.Mods.flat)


OF_KIND = ("neg", "abs", "minimum", "maximum")         # which differ for whole numbers and floats


class Operations(Traced):
    """Operations on values of the same shape: lane variables, or scalars of a task or key."""

    def __init__(self, lanes):
        self.L = lanes

    @inline
    def constant(self, node):
        if node.kind == "f":
            return impl.Expr(float.fromhex(node.value), dtype=self.L.scalar)
        return impl.Expr(int(node.value), dtype=ti.i32)

    @inline
    def spread(self, x, kind):
        """A scalar in every lane."""
        if kind == "f":
            return self.L.splat(x)
        lanes = self.L.whole(ti.cast(x, ti.i32))
        return local(lanes != 0) if kind == "b" else lanes

    @inline
    def apply(self, op, kind, given, args, lanes):
        """A node's value; `given` is the kind of its last argument."""
        if op == "cast":
            return self.cast(given, kind, args[0], lanes)
        if op in ("exp", "exp2", "log", "log2", "sqrt", "tanh"):
            return getattr(self.L, op)(args[0]) if lanes else self.L.of_scalar(op, args[0])
        return local(getattr(self, f"_{op}")(*args, *((given,) if op in OF_KIND else ())))

    @inline
    def cast(self, given, kind, x, lanes):
        if given == "b":
            one, zero = (self.spread(n, kind) if lanes else self._typed(n, kind) for n in (1, 0))
            return local(ti.select(x, one, zero))
        return self.L.as_number(x) if lanes else local(ti.cast(x, self.L.scalar))

    def _typed(self, n, kind):
        return impl.Expr(float(n), dtype=self.L.scalar) if kind == "f" else impl.Expr(n, dtype=ti.i32)

    def _add(self, x, y):
        return x + y

    def _sub(self, x, y):
        return x - y

    def _mul(self, x, y):
        return x * y

    def _div(self, x, y):
        return x / y

    def _neg(self, x, kind):
        # Taichi negates vectors as whole numbers, whatever they hold.
        return -x if kind == "i" else x * self._typed(-1, kind)

    def _abs(self, x, kind):
        return ti.max(x, self._neg(x, kind))

    def _floor(self, x):
        return ti.floor(x)

    def _floordiv(self, x, y):
        whole = local(ti.raw_div(x, y))         # towards 0
        rest = local(x - whole * y)
        return ti.select((rest != 0) & ((rest < 0) != (y < 0)), whole - 1, whole)

    def _mod(self, x, y):
        rest = local(x - local(ti.raw_div(x, y)) * y)
        return ti.select((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)

    def _minimum(self, x, y, kind):
        return ti.min(x, y) if kind == "i" else self._first(x < y, y <= x, x, y)

    def _maximum(self, x, y, kind):
        return ti.max(x, y) if kind == "i" else self._first(x > y, y >= x, x, y)

    def _first(self, before, after, x, y):
        """x or y, and NaN where either is, as NumPy has it."""
        return ti.select(before, x, ti.select(after, y, x + y))

    def _lt(self, x, y):
        return x < y

    def _le(self, x, y):
        return x <= y

    def _eq(self, x, y):
        return x == y

    def _ne(self, x, y):
        return x != y

    def _and(self, x, y):
        return x & y

    def _or(self, x, y):
        return x | y

    def _xor(self, x, y):
        return x != y

    def _not(self, x):
        return x == 0

    def _where(self, condition, x, y):
        return ti.select(condition, x, y)


class Emitted(Traced):
    """One graph inside a kernel: its values of the task, of a key, of a lane variable and a key."""

    def __init__(self, mods, graph, first_array):
        self.mods, self.nodes, self.result = mods, graph.nodes, graph.result
        self.L, self.operations = mods.L, Operations(mods.L)
        self.lane = [bool(uses & {"s", "q"}) for uses in graph.uses]
        self.level = ["pair" if "s" in uses or {"q", "k"} <= uses else "key" if "k" in uses else "task"
                      for uses in graph.uses]
        # where each array's description stands in `ints`
        self.places, at = [], HEAD + sum(1 + axes for _, axes in mods.described[:first_array])
        for _, axes in graph.arrays:
            self.places.append(at)
            at += 1 + axes
        self.task = [self._extend({}, {}, "task", {"b": mods.b, "h": mods.h, "q": q}) for q in mods.q]

    @inline
    def _extend(self, values, spread, level, variables):
        """Add the values of one level's nodes to `values`; `spread` holds scalars as lanes."""
        for n, node in enumerate(self.nodes):
            if self.level[n] == level:
                values[n] = self._value(n, node, values, spread, variables)
        return values, spread

    @inline
    def _value(self, n, node, values, spread, variables):
        if node.op == "const":
            return self.operations.constant(node)
        if node.op == "var":
            return variables[node.value]
        args, lanes = node.args, self.lane[n]
        found = [self._argument(a, lanes, values, spread) for a in args]
        if node.op == "table":
            return self._look_up(node, found, lanes)
        return self.operations.apply(node.op, node.kind, self.nodes[args[-1]].kind, found, lanes)

    @inline
    def _argument(self, a, lanes, values, spread):
        if not lanes or self.lane[a]:
            return values[a]
        if a not in spread:
            spread[a] = self.operations.spread(values[a], self.nodes[a].kind)
        return spread[a]

    @inline
    def _look_up(self, node, indices, lanes):
        at = self.places[node.value]
        place = local(element(self.mods.ints, at))
        place = self.operations.spread(place, "i") if lanes else place
        for axis, index in enumerate(indices):
            stride = local(element(self.mods.ints, at + 1 + axis))
            if axis == len(indices) - 1:
                place = local(place + index)                    # the last axis is contiguous
            else:
                place = local(place + index * (self.operations.spread(stride, "i") if lanes else stride))
        array, address = (self.mods.numbers, self.mods.numbers_address) if node.kind == "f" else (
            self.mods.ints, self.mods.ints_address)
        found = self.L.look_up(array, address, place, node.kind == "f") if lanes else local(element(array, place))
        return local(found != 0) if node.kind == "b" else found

    @inline
    def of_key(self, k):
        """The values of a key, for each lane variable."""
        values, _ = self._extend(dict(self.task[0][0]), {}, "key", {"k": k})
        shared = {n: values[n] for n in range(len(self.nodes)) if self.level[n] == "key"}
        return [({**task, **shared}, lanes) for task, lanes in self.task], {}

    @inline
    def at(self, key, u, k, s=None):
        """The result as lanes for lane variable u; `key` from of_key."""
        (values, spread), common = key[0][u], key[1]
        spread = {**spread, **common}
        mine, _ = self._extend(dict(values), spread, "pair", {"s": s, "k": k, "q": self.mods.q[u]})
        for n in spread:
            if self.level[n] == "key":
                common[n] = spread[n]               # spread once for all lane variables
        return self._argument(self.result, True, mine, spread)


class Mods(Traced):
    """The functions of one task."""

    def __init__(self, asm, ints, numbers, meta, x):
        self.asm, self.L, self.x, self.ints, self.numbers = asm, asm.L, x, ints, numbers
        score, mask = asm.spec.mods
        self.described = [entry for graph in (score, mask) if graph is not None for entry in graph.arrays]
        self.ints_address, self.numbers_address = asm.L.address(ints, 0), asm.L.address(ints, 2)
        self.b = local(element(ints, 4) + x.b * element(ints, 5))
        self.h = local(element(ints, 6) + x.h * element(ints, 7))
        offset = local(element(meta, Meta.BATCH + 1 + 2 * x.b))
        self.q = [asm.L.affine(rows, 1, offset) for rows in x.queries]
        self.scores: Any = None if score is None else Emitted(self, score, 0)
        self.masks: Any = None if mask is None else Emitted(self, mask, 0 if score is None else len(score.arrays))

    @inline
    def score(self, s, first):
        """The caller's scores in place of the scaled products of a block whose first key is `first`."""
        for i in range(len(s.values) // self.asm.U):
            k = local(ti.min(first + i, self.x.end - 1))
            key = self.scores.of_key(k)
            for u in range(self.asm.U):
                value = s.values[i * self.asm.U + u]
                assign(value, self.scores.at(key, u, k, value))

    @inline
    def mask(self, s, first):
        """-inf where the caller's mask says no."""
        for i in range(len(s.values) // self.asm.U):
            k = local(ti.min(first + i, self.x.end - 1))
            key = self.masks.of_key(k)
            for u in range(self.asm.U):
                value = s.values[i * self.asm.U + u]
                assign(value, ti.select(self.masks.at(key, u, k), value, self.L.splat(NEGATIVE_INFINITY)))


@inline
def mods_of(asm, ints, numbers, meta, x):
    """The Mods of a task; something empty where there is no function."""
    return Mods(asm, ints, numbers, meta, x) if asm.spec.mods else Traced()


class Listed(Traced):
    """The tiles that a mask_mod leaves to a task, in the order of the keys: entries 2 tile + (not every pair is seen)
    of an array that begins with the steps of a sequence and of a head in query tiles, and with each query tile's start.
    """

    def __init__(self, asm, tiles, meta, x):
        self.tiles = tiles
        turn = local(x.number - x.bh * element(meta, Meta.TILES))
        at = local(2 + x.b * element(tiles, 0) + x.h * element(tiles, 1) + turn)
        self.place = local(element(tiles, at))
        self.every = local(ti.select(x.end <= x.begin, 0, element(tiles, at + 1) - self.place))

    @inline
    def tile(self, i):
        """The i-th tile."""
        return local(element(self.tiles, self.place + i) >> 1)

    @inline
    def unsure(self, i):
        """Whether some pair of the i-th tile may be masked."""
        return local(element(self.tiles, self.place + i) & 1)

    @inline
    def means(self, i):
        """None is replaced."""
        return local(0)


@inline
def visits_of(asm, tiles, meta, x, keys):
    """The visits of a task, in tiles of so many keys."""
    if asm.spec.mods and asm.spec.mods[1] is not None:
        return Listed(asm, tiles, meta, x)
    return Visits(asm, tiles, meta, x, keys)
