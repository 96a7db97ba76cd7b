"""The softmax monoid: partial attention over disjoint keys becomes attention over all of them.

A part of a row is (a, m, l): a = sum e^(s_j - m) v_j and l = sum e^(s_j - m) over its keys, for any m. With M = max m,

    out = sum_p e^(m_p - M) a_p / L        L = sum_p e^(m_p - M) l_p (+ e^(sink - M))        lse = M + ln L

(out, lse, 1) is a part too, a normalised one. Parts are joined in their order, one with m = -inf is not read: a row's
bits depend on its own parts. `build` gives a kernel of its own, `rows` the loop body for another kernel.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Traced, assign, element, inline, local

VECTORS = 8            # columns that are summed at once, in lane variables


class Merge(IntEnum):
    """Places in the i32 array that describes a merge, counted from the place where that description begins."""

    NONFINITE = 0      # set to 1 when an output is not finite
    ROWS = 1           # rows of the parts, over batch, head and query
    PARTS = 2
    HEADS = 3          # query heads
    QUERIES = 4        # rows of a head in the parts, and
    FIRST = 5          # the place of the first of them
    ALL_QUERIES = 6    # among those of the result
    O = 7              # strides of the result over batch, head and row
    A_ADDRESS = 10     # 64-bit addresses, low word first (CPU): a, m and l of the parts,
    M_ADDRESS = 12
    L_ADDRESS = 14
    O_ADDRESS = 16     # the result, its lse
    LSE_ADDRESS = 18
    SIZE = 20


@dataclass(frozen=True, slots=True)
class MergeSpec:
    """What a merge is compiled for. dv: columns; dtype: that of the result, which is computed in the lanes' scalar."""

    dv: int
    dtype: str = "f32"
    lse: bool = False
    sinks: bool = False


def padded(width, columns):
    """Elements that a row of `columns` takes in scratch memory: whole vectors."""
    return -(-columns // width) * width


class Join(Traced):
    """The straight-line pieces of a merge; `base` is where its description begins in meta."""

    def __init__(self, columns, spec, base):
        self.C, self.spec, self.base = columns, spec, base
        self.scalar_name = columns.lanes.scalar_name
        self.stride = padded(columns.width, spec.dv)
        # A row is one item of work; where threads are many, each of its columns is one.
        self.items = 1 if columns.lanes.serial else self.stride // columns.width
        count = self.stride // columns.width // self.items
        self.blocks = [(first, min(VECTORS, count - first)) for first in range(0, count, VECTORS)]

    def fact(self, meta, place):
        return element(meta, self.base + place)

    @inline
    def memory(self, array, meta, place, dtype=None):
        return self.C.memory(array, meta, self.base + place, dtype or self.scalar_name)

    @inline
    def place(self, row, meta):
        """(batch, head, query among all) of a row of the parts."""
        of_head = local(row // self.fact(meta, Merge.QUERIES))
        i = local(row % self.fact(meta, Merge.QUERIES) + self.fact(meta, Merge.FIRST))
        heads = self.fact(meta, Merge.HEADS)
        return local(of_head // heads), local(of_head % heads), i

    @inline
    def relative_to(self, top):
        """What logits are taken relative to: the largest, or 0 where there is none (-inf - -inf is NaN)."""
        return self.C.where_equal(top, NEGATIVE_INFINITY, self.C.splat(0.0), top)

    @inline
    def add(self, sums, A, handle, first, count, weight):
        for c in range(count):
            self.C.fma(weight, A.vector(handle, (first + c) * self.C.width), sums[c])

    @inline
    def write(self, out, handle, first, count, sums, total, flagged):
        """The result's columns of one block: sums / total, or 0 for a row without keys."""
        C = self.C
        inverse = C.splat(1.0) / total
        for c in range(count):
            x = C.where_equal(total, 0.0, C.splat(0.0), sums[c] * inverse)
            flagged._augassign(C.nonfinite(x), "Add")
            at = (first + c) * C.width
            if at + C.width <= self.spec.dv:
                out.put(handle, at, x)
            else:
                out.put_part(handle, at, x, self.spec.dv - at)

    @inline
    def out_at(self, out, b, h, i, meta):
        C = self.C
        steps = [C.long(self.fact(meta, Merge.O + axis)) for axis in range(3)]
        return out.at(b * steps[0] + h * steps[1] + i * steps[2])

    @inline
    def write_lse(self, lse, b, h, i, top, total, meta):
        C = self.C
        value = C.where_equal(total, 0.0, C.splat(NEGATIVE_INFINITY), top + C.log(total))
        row = local((b * self.fact(meta, Merge.HEADS) + h) * self.fact(meta, Merge.ALL_QUERIES) + i)
        lse.put_number(lse.at(row), 0, C.first(value))

    @inline
    def raise_top(self, top, x):
        assign(top, self.C.maximum(self.C.splat(x), top))


def rows(columns, spec, base):
    """A `ti.func` that merges items program, program + programs, ... (rows, or columns of them); arrays are templates
    (see CpuColumns.array)."""
    C, join = columns, Join(columns, spec, base)

    @ti.func
    def merge(a: ti.template(), ms: ti.template(), ls: ti.template(), out: ti.template(), lse: ti.template(),
              sinks: ti.template(), meta: ti.template(), program, programs):
        A = join.memory(a, meta, Merge.A_ADDRESS)
        Ms = join.memory(ms, meta, Merge.M_ADDRESS)
        Ls = join.memory(ls, meta, Merge.L_ADDRESS)
        O = join.memory(out, meta, Merge.O_ADDRESS, spec.dtype)
        count = meta[base + Merge.ROWS]
        parts = meta[base + Merge.PARTS]
        flagged = C.splat(0.0)
        for n in range((count * join.items - program + programs - 1) // programs):
            item = program + n * programs
            row = item // join.items
            lead = item % join.items * C.width
            b, h, i = join.place(row, meta)
            top = C.splat(NEGATIVE_INFINITY)
            if ti.static(spec.sinks):
                join.raise_top(top, sinks[h])
            for part in range(parts):
                join.raise_top(top, Ms.number(Ms.at(part * count + row), 0))
            relative = join.relative_to(top)
            handle = O.step(join.out_at(O, b, h, i, meta), lead)
            for block in ti.static(join.blocks):
                total = C.splat(0.0)
                if ti.static(spec.sinks):
                    total += C.exp_sub(C.splat(sinks[h]), relative)
                sums = [C.splat(0.0) for _ in ti.static(range(block[1]))]
                for part in range(parts):
                    at = Ms.at(part * count + row)
                    m = Ms.number(at, 0)
                    if m == NEGATIVE_INFINITY:
                        pass
                    else:
                        weight = C.exp_sub(C.splat(m), relative)
                        C.fma(weight, C.splat(Ls.number(Ls.at(part * count + row), 0)), total)
                        at = A.at(C.long(part * count + row) * join.stride + lead)
                        join.add(sums, A, at, block[0], block[1], weight)
                join.write(O, handle, block[0], block[1], sums, total, flagged)
                if ti.static(spec.lse and block[0] == 0):
                    if lead == 0:
                        join.write_lse(join.memory(lse, meta, Merge.LSE_ADDRESS), b, h, i, top, total, meta)
        if C.any_nonzero(flagged) != 0:
            meta[base + Merge.NONFINITE] = 1

    return merge


def build(columns, spec, base=0):
    """The merge as a kernel of its own, whose description begins at `base` of meta; on the calling thread on a CPU."""
    merge, lanes = rows(columns, spec, base), columns.lanes
    NUMBERS = columns.array(columns.lanes.scalar_name)
    LSE = NUMBERS if spec.lse else ti.template()
    SINKS = ti.types.ndarray(columns.scalar, 1) if spec.sinks else ti.template()

    @ti.kernel
    def attention_merge(a: NUMBERS, ms: NUMBERS, ls: NUMBERS, out: columns.array(spec.dtype), lse: LSE, sinks: SINKS,
                        meta: ti.types.ndarray(ti.i32, 1), programs: ti.i32):
        ti.loop_config(block_dim=columns.threads, serialize=lanes.serial)
        for t in range(programs):
            rules = lanes.enter()
            merge(a, ms, ls, out, lse, sinks, meta, t, programs)
            lanes.leave(rules)

    return attention_merge
