"""Rotary position embedding (Su et al., "RoFormer", 2021): pairs of a row's numbers turned by an angle of its position.

A lane is a column. Cosines and sines come as a table, a row a position: docs/kernels/rope.md says why.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels.lanes.base import Traced, element, inline, local
from aat.kernels.parts.launch import PROGRAM, Head

GPU_THREADS = 32       # side by side in the columns of a row


class Meta(IntEnum):
    """Places in the i32 array that describes a launch, behind those of Head."""

    X_ADDRESS = Head.FACTS
    COS_ADDRESS = Head.FACTS + 2
    SIN_ADDRESS = Head.FACTS + 4
    O_ADDRESS = Head.FACTS + 6
    ROWS = Head.FACTS + 8
    TASK_ROWS = Head.FACTS + 9
    COLUMNS = Head.FACTS + 10
    ROTARY = Head.FACTS + 11      # the first so many columns are turned
    TABLE = Head.FACTS + 12       # columns of the table: a pair each, or (interleaved) a column each
    BATCH_ROWS = Head.FACTS + 13  # rows of a batch
    STEP = Head.FACTS + 14        # rows from one position to the next
    LENGTH = Head.FACTS + 15      # positions of a batch
    TABLE_BATCH = Head.FACTS + 16 # rows of the table from one batch to the next: LENGTH, or 0
    SIZE = Head.FACTS + 17


@dataclass(frozen=True, slots=True)
class RopeSpec:
    """What a kernel is compiled for. interleaved: pairs (2i, 2i + 1), else (i, i + ROTARY / 2)."""

    interleaved: bool = False


class Pieces(Traced):
    """The straight-line pieces of the kernel."""

    def __init__(self, columns, threads):
        self.C, self.threads = columns, threads

    @inline
    def blocks(self, count, thread):
        """How many of the blocks of `count` columns are the thread's."""
        blocks = (count + (self.C.width - 1)) // self.C.width
        return local((blocks - thread + (self.threads - 1)) // self.threads)

    @inline
    def column(self, n, thread):
        """The first column of the thread's block n."""
        return local((thread + n * self.threads) * self.C.width)

    @inline
    def table_row(self, meta, row):
        b = row // element(meta, Meta.BATCH_ROWS)
        position = row // element(meta, Meta.STEP) % element(meta, Meta.LENGTH)
        return local(b * element(meta, Meta.TABLE_BATCH) + position)

    @inline
    def at(self, array, row, columns):
        return array.at(self.C.long(row) * self.C.long(columns))

    @inline
    def turn_halves(self, X, O, COS, SIN, at, to, cos_at, sin_at, c, half, count):
        """Columns c of the first half with their partners in the second."""
        a, b = X.first(at, c, count), X.first(at, local(half + c), count)
        cos, sin = COS.first(cos_at, c, count), SIN.first(sin_at, c, count)
        O.put_first(to, c, a * cos - b * sin, count)
        O.put_first(to, local(half + c), b * cos + a * sin, count)

    @inline
    def turn_neighbours(self, X, O, COS, SIN, at, to, cos_at, sin_at, c, count):
        """Columns c with their neighbours; the table's sines carry the sign."""
        a = X.first(at, c, count)
        b = self.C.swapped(X, at, c, a)
        O.put_first(to, c, a * COS.first(cos_at, c, count) + b * SIN.first(sin_at, c, count), count)

    @inline
    def copy(self, X, O, at, to, c, count):
        O.put_first(to, c, X.first(at, c, count), count)


def build(columns, spec):
    """The kernel for lanes over columns."""
    C, L = columns, columns.lanes
    BD = 1 if L.serial else GPU_THREADS
    WIDTH, asm = C.width, Pieces(columns, BD)
    ELEMENTS, NUMBERS = C.array(L.dtype), C.array(L.scalar_name)

    @ti.kernel
    def rope(x: ELEMENTS, cos: NUMBERS, sin: NUMBERS, out: ELEMENTS, meta: ti.types.ndarray(ti.i32, 1),
             first: ti.i32, count: ti.i32):
        ti.loop_config(block_dim=BD, serialize=L.serial)
        for t in range(first * BD, (first + count) * BD):
            rules = L.enter()
            thread = t % BD
            program = t // BD
            meta_address = L.address(meta, Head.META_ADDRESS)
            X, O = C.memory(x, meta, Meta.X_ADDRESS, L.dtype), C.memory(out, meta, Meta.O_ADDRESS, L.dtype)
            COS = C.memory(cos, meta, Meta.COS_ADDRESS, L.scalar_name)
            SIN = C.memory(sin, meta, Meta.SIN_ADDRESS, L.scalar_name)
            columns, rotary = meta[Meta.COLUMNS], meta[Meta.ROTARY]
            task = L.first_task(meta, Head.TASK, meta_address, program)
            while task < meta[Head.TASKS]:
                begin = task * meta[Meta.TASK_ROWS]
                for r in range(ti.min(meta[Meta.TASK_ROWS], meta[Meta.ROWS] - begin)):
                    at, to = asm.at(X, begin + r, columns), asm.at(O, begin + r, columns)
                    angles = asm.table_row(meta, begin + r)
                    cos_at, sin_at = asm.at(COS, angles, meta[Meta.TABLE]), asm.at(SIN, angles, meta[Meta.TABLE])
                    if ti.static(spec.interleaved):
                        for n in range(asm.blocks(rotary, thread)):
                            c = asm.column(n, thread)
                            asm.turn_neighbours(X, O, COS, SIN, at, to, cos_at, sin_at, c,
                                                ti.min(WIDTH, rotary - c))
                    else:
                        for n in range(asm.blocks(rotary // 2, thread)):
                            c = asm.column(n, thread)
                            asm.turn_halves(X, O, COS, SIN, at, to, cos_at, sin_at, c, rotary // 2,
                                            ti.min(WIDTH, rotary // 2 - c))
                    for n in range(asm.blocks(columns - rotary, thread)):
                        c = rotary + asm.column(n, thread)
                        asm.copy(X, O, at, to, c, ti.min(WIDTH, columns - c))
                task = L.next_task(meta, Head.TASK, meta_address, task, meta[Head.PROGRAMS])
            L.publish(meta, meta[Head.FINISHED] + PROGRAM * program, meta_address)
            L.leave(rules)

    return rope
