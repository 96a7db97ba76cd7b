"""activation(x W^T + b): rows of x against rows of W, a block of both at a time.

A lane is a row of W, an output column. docs/kernels/linear.md derives the sizes; what differs between a CPU and a GPU
is in aat.kernels.lanes or in LinearTiles.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels.lanes.base import Block, Registers, Traced, element, inline, local
from aat.kernels.lanes.panels import panels_for
from aat.kernels.parts.activations import activate
from aat.kernels.parts.launch import PROGRAM, Head

AHEAD = 4096           # bytes


class Meta(IntEnum):
    """Places in the i32 array that describes a launch, behind those of Head."""

    X_ADDRESS = Head.FACTS
    W_ADDRESS = Head.FACTS + 2
    O_ADDRESS = Head.FACTS + 4
    SCRATCH_ADDRESS = Head.FACTS + 6
    STAGE_ADDRESS = Head.FACTS + 8
    ROWS = Head.FACTS + 10        # of x
    DEPTH = Head.FACTS + 11       # columns of x and W
    HEAD = Head.FACTS + 12        # output columns of a head
    VECTORS = Head.FACTS + 13     # lane variables that the columns of a head take
    ALL_VECTORS = Head.FACTS + 14
    TASK_ROWS = Head.FACTS + 15   # rows of a task
    ACROSS = Head.FACTS + 16      # tasks side by side
    X_STRIDE = Head.FACTS + 17
    W_STRIDE = Head.FACTS + 18
    LENGTH = Head.FACTS + 19      # rows of a batch, and the strides of the result over batch, row and head
    O = Head.FACTS + 20
    SIZE = Head.FACTS + 24


@dataclass(frozen=True, slots=True)
class LinearTiles:
    """Sizes of a launch. A thread keeps vectors x rows lane variables of sums and takes `depth` terms at a time.

    threads: of a group (GPU; 1 on a CPU), `lane_threads` of them side by side in the columns, the others in the rows.
    """

    vectors: int
    rows: int
    depth: int
    threads: int = 1
    lane_threads: int = 1

    @classmethod
    def default(cls, backend, registers):
        """The sizes for a device: 4 x 6 sums with 32 vector registers, 2 x 4 with 16, 4 x 8 a GPU thread."""
        if backend != "cpu":
            return cls(4, 8, 16, 128, 16)
        return cls(4, 6, 512) if registers >= 32 else cls(2, 4, 512)

    def shared_bytes(self):
        """Shared memory of a thread group (GPU)."""
        rows = self.threads // self.lane_threads * self.rows
        return 4 * (self.depth * (self.vectors * self.lane_threads + 1) + rows * (self.depth + 1))


@dataclass(frozen=True, slots=True)
class LinearSpec:
    """What a kernel is compiled for. activation: "" or a name of aat.kernels.parts.activations.

    narrow: rows of x and W have fewer numbers than move at once. packed: W comes as panels (CPU).
    """

    activation: str = ""
    bias: bool = False
    narrow: bool = False
    packed: bool = False


def scratch_lanes(columns, tiles, task_rows):
    """Lane variables of scratch memory that a CPU program needs: a panel and the sums."""
    panel = (tiles.depth + columns.lanes.columns) * tiles.vectors
    return -(-(panel + task_rows * tiles.vectors) // 128) * 128


class Columns(Traced):
    """The output columns of a task, whole lane variables a head: column c of lane variable v is c of that head's."""

    def __init__(self, pieces, meta, first, thread):
        self.first, self.width = first, pieces.L.width
        self.vectors, self.all = local(element(meta, Meta.VECTORS)), local(element(meta, Meta.ALL_VECTORS))
        self.head, self.stride = local(element(meta, Meta.HEAD)), local(element(meta, Meta.W_STRIDE))
        side = pieces.panels.lane_threads
        self.number = [local(first + (u * side + thread % side)) for u in range(pieces.U)]
        self.within, self.of_head, self.features = [], [], []
        for v in self.number:
            h, at = self._place(v)
            self.of_head.append(h)
            self.within.append(at)
            self.features.append(pieces.L.affine(pieces.L.rows(at, self.head - 1), 1, h * self.head))
        self.starts = [pieces.L.affine(x, self.stride, 0) for x in self.features]      # of the lanes' rows of W

    def _place(self, v):
        """(head, first column in it) of a lane variable; those past the end repeat the last."""
        v = local(ti.min(v, self.all - 1))
        h = local(v // self.vectors)
        return h, local((v - h * self.vectors) * self.width)

    @inline
    def start(self, j):
        """Where the row of W of the j-th lane of a group of threads starts."""
        h, at = self._place(self.first + j)
        return local((h * self.head + at) * self.stride)



class Pieces(Traced):
    """The straight-line pieces of the kernel."""

    def __init__(self, columns, tiles, spec):
        self.C, self.L, self.tiles, self.spec = columns, columns.lanes, tiles, spec
        self.U, self.R = tiles.vectors, tiles.rows
        self.panels = panels_for(self.L, tiles.vectors, tiles.rows, tiles.depth, tiles.threads, tiles.lane_threads)
        self.registers = not self.L.serial

    @inline
    def columns(self, meta, first, thread):
        return Columns(self, meta, first, thread)

    @inline
    def kept(self, panel, w, address, column, depth, k):
        """The panel of a part of the terms: `panel`, which was filled, or that of packed weights where it lies."""
        if not self.spec.packed:
            return panel
        return self.L.memory(w, address, local(column * depth + k * self.U), 1)

    @inline
    def ask(self, panel, d):
        """Ask for packed weights AHEAD bytes on: the processor's own foresight reaches half the memory's speed."""
        if self.spec.packed and self.L.bitcode:
            at = panel.place(d, self.U, 0)
            for u in range(self.U):
                self.L._call("prefetch_1", at, local(ti.cast(AHEAD + u * self.L.vector_bytes, ti.i64)))

    @inline
    def sums(self, scratch, address, program, stride):
        if self.registers:
            return Registers(self.R * self.U, self.L.splat(0.0))
        start = local(program * stride + self.panels.panel_lanes)
        return self.L.memory(scratch, address, start, 1)

    @inline
    def bias(self, bias, x):
        if not self.spec.bias:
            return Block([])
        return Block([self.L.gather(bias, features, 0, self.L.scalar_name) for features in x.features])

    @inline
    def in_place(self, x, address, offset, stride, last):
        return self.L.rows_in_place(x, address, offset, stride, 0 if self.spec.narrow else self.L.columns, last)

    @inline
    def strip_at(self, strips, row, last):
        """A handle on a row of a task; past the last one, where no copy repeats it, that one."""
        return strips.at(local(ti.min(row, last)) if self.L.serial else row, 0)

    @inline
    def result(self, s, u, bias):
        value = s.values[u] + bias.values[u] if self.spec.bias else s.values[u]
        return activate(self.L, self.spec.activation, value)

    @inline
    def handles(self, out, x, meta):
        """Where the columns of the lanes start in row 0 of batch 0."""
        step = self.C.long(element(meta, Meta.O + 2))
        return [out.at(x.of_head[u] * step + x.within[u]) for u in range(self.U)]

    @inline
    def row_at(self, out, row, meta):
        length = element(meta, Meta.LENGTH)
        b = local(row // length)
        batch, step = self.C.long(element(meta, Meta.O)), self.C.long(element(meta, Meta.O + 1))
        return out.stride(b * batch + (row - b * length) * step)

    @inline
    def write(self, out, handle, u, value, x):
        out.put_first(local(handle), 0, value, local(ti.min(self.L.width, x.head - x.within[u])))


def build(columns, tiles, spec):
    """The kernel for lanes over columns, tile sizes and features."""
    C, L, asm = columns, columns.lanes, Pieces(columns, tiles, spec)
    U, R, BD, panels = tiles.vectors, tiles.rows, tiles.threads, asm.panels
    DEPTH, SIDE = tiles.depth, panels.lane_threads
    loop = ti.static if asm.registers else ti.ndrange

    @inline
    def span(static, count):
        return range(static) if asm.registers else (0, count)

    @inline
    def strips(source, staged):
        return staged if panels.staged else source

    fill_panel, fill_strips = panels.fill_panel(spec.narrow), panels.fill_strips(spec.narrow)
    ELEMENTS, NUMBERS = ti.types.ndarray(L.element_type, 1), ti.types.ndarray(L.scalar, 1)
    INTS = ti.types.ndarray(ti.i32, 1)
    BIAS = NUMBERS if spec.bias else ti.template()
    SCRATCH = ti.types.ndarray(L.vector, 1) if L.serial else ti.template()
    WEIGHTS = SCRATCH if spec.packed else ELEMENTS
    STAGE = NUMBERS if L.serial and panels.staged else ti.template()

    @ti.kernel
    def linear(x: ELEMENTS, w: WEIGHTS, bias: BIAS, out: ELEMENTS, scratch: SCRATCH, stage: STAGE, meta: INTS,
               scratch_stride: ti.i32, stage_stride: ti.i32, first: ti.i32, count: ti.i32):
        ti.loop_config(block_dim=BD, serialize=L.serial)
        for t in range(first * BD, (first + count) * BD):
            rules = L.enter()
            thread = t % BD
            program = t // BD
            meta_address, memory = L.address(meta, Head.META_ADDRESS), L.address(meta, Meta.SCRATCH_ADDRESS)
            x_address, w_address = L.address(meta, Meta.X_ADDRESS), L.address(meta, Meta.W_ADDRESS)
            staging = L.address(meta, Meta.STAGE_ADDRESS)
            P = panels.panel(scratch, memory, program, thread, scratch_stride)         # [k, U]
            T = panels.strips(stage, staging, program * stage_stride, spec.narrow)     # [rows, k]
            O = C.memory(out, meta, Meta.O_ADDRESS, L.dtype)
            task = L.first_task(meta, Head.TASK, meta_address, program)
            while task < meta[Head.TASKS]:
                begin = task // meta[Meta.ACROSS] * meta[Meta.TASK_ROWS]
                end = ti.min(begin + meta[Meta.TASK_ROWS], meta[Meta.ROWS])
                column = task % meta[Meta.ACROSS] * (U * SIDE)
                y = asm.columns(meta, column, thread)
                S = asm.sums(scratch, memory, program, scratch_stride)                  # [rows, U]
                blocks = (end - begin + (R - 1)) // R
                mine = thread // SIDE * R
                for c in loop(span(1, blocks)):
                    S.put_block(c, R * U, S.filled_block(c, R * U, L.splat(0.0)))
                # Parts of DEPTH terms; the last one takes what would be too short to move.
                depth = meta[Meta.DEPTH]
                parts = (depth - panels.slack + (DEPTH - 1)) // DEPTH
                if depth > 0 and parts < 1:
                    parts = 1
                for part in range(parts):
                    k0 = part * DEPTH
                    terms = DEPTH
                    if part == parts - 1:
                        terms = depth - k0
                    L.sync()
                    if ti.static(not spec.packed):
                        fill_panel(P, w, w_address, y, k0, terms, thread)
                    W = asm.kept(P, w, w_address, column, depth, k0)
                    X = asm.in_place(x, x_address, begin * meta[Meta.X_STRIDE] + k0, meta[Meta.X_STRIDE],
                                     end - begin - 1)
                    if ti.static(panels.staged):
                        whole = asm.in_place(x, x_address, 0, meta[Meta.X_STRIDE], None)
                        fill_strips(whole, T, begin, end, k0, terms, thread)
                        L.sync()
                        if ti.static(asm.registers):
                            terms = DEPTH
                    K = strips(X, T)
                    for c in loop(span(1, blocks)):
                        s = S.block(c, R * U)
                        at = [asm.strip_at(K, mine + c * R + i, end - begin - 1) for i in ti.static(range(R))]
                        for d in range(terms):
                            asm.ask(W, d)
                            q = panels.block(W, d, thread)
                            for i in ti.static(range(R)):
                                a = K.get(at[i], d)
                                for u in ti.static(range(U)):
                                    L.fma(a, q.values[u], s.values[i * U + u])
                        S.put_block(c, R * U, s)
                b = asm.bias(bias, y)
                handles = asm.handles(O, y, meta)
                for r in loop(span(R, end - begin)):
                    row = begin + mine + r
                    if row < end:
                        s = S.block(r, U)
                        step = asm.row_at(O, row, meta)
                        for u in ti.static(range(U)):
                            if y.number[u] < y.all:
                                asm.write(O, handles[u] + step, u, asm.result(s, u, b), y)
                task = L.next_task(meta, Head.TASK, meta_address, task, meta[Head.PROGRAMS])
            L.publish(meta, meta[Head.FINISHED] + PROGRAM * program, meta_address)
            L.leave(rules)

    return linear
