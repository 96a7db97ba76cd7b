"""Operands of a matrix product whose lanes are rows of its second factor.

A *panel* is a block of that factor, transposed: for each k, a lane variable holds the numbers k of `width` of its
rows. *Strips* are rows of the first factor, of which one number at a time meets all lanes. On a CPU a panel lies in
the program's scratch memory and strips are read in place (16-bit ones are converted first); on a GPU the threads of a
group bring both into shared memory, with a column of padding against bank conflicts.
"""
import taichi as ti
from aat.kernels.lanes.base import Block, Traced, assign, decode, element, inline, local
from aat.kernels.lanes.cpu import wide


class CpuPanels:
    """Panels of `vectors` lane variables and `depth` numbers of each row, by one thread.

    The last part of a row may hold up to `slack` numbers more, so that none is shorter than what moves at once.
    """

    threads_of_rows = 1                  # threads of a group that share its lanes and differ in their rows

    def __init__(self, lanes, vectors, rows, depth, threads):
        self.lanes, self.vectors, self.depth = lanes, vectors, depth
        self.slack = lanes.columns
        self.lane_threads = 1
        self.panel_lanes = (depth + self.slack) * vectors
        self.staged = lanes.dtype in ("f16", "bf16")

    @inline
    def panel(self, scratch, address, program, thread, stride):
        """The program's panel, in scratch memory of `stride` lane variables a program."""
        return self.lanes.memory(scratch, address, local(program * stride), 1)

    @inline
    def strips(self, stage, address, base, narrow):
        """Where strips lie once they were converted, `depth` + `slack` numbers a row (by index if `narrow`)."""
        stride = self.lanes.columns - 1 if narrow else self.depth + self.slack
        return self.lanes.staged_rows(stage, address, base, 0, stride)

    @inline
    def block(self, panel, k, thread):
        return panel.block(k, self.vectors)

    def _move(self, u, panel, source, address, rows, k, count, at):
        if count == 1:
            value = local(self.lanes.gather(source, rows.starts[u], k, self.lanes.dtype))
            panel.put_block(at * self.vectors + u, 1, Block([value]))
        else:
            self.lanes.read_columns(panel, 0, count, self.vectors, u, local(at * self.vectors), source, address,
                                    rows.starts[u], k, self.lanes._constant(1.0))

    def fill_panel(self, narrow):
        """A `ti.func` that transposes numbers first .. first + count of the rows that start at `rows.starts`.

        `narrow`: one at a time, for rows of fewer numbers than move at once.
        """
        step = 1 if narrow else self.lanes.columns

        @inline
        def move(u, panel, source, address, rows, k, at):
            self._move(u, panel, source, address, rows, k, step, at)

        @ti.func
        def fill(panel: ti.template(), source: ti.template(), address: ti.template(), rows: ti.template(), first,
                 count, thread):
            for u in ti.static(range(self.vectors)):     # few rows at a time: as many streams as the processor foresees
                for n in range(count // step):
                    move(u, panel, source, address, rows, first + n * step, n * step)
                if ti.static(step > 1):
                    if count % step != 0:    # ends with the part; what it overlaps is the same again
                        move(u, panel, source, address, rows, first + count - step, count - step)
        return fill

    def fill_strips(self, narrow):
        """A `ti.func` that copies numbers first .. first + count of rows begin .. end of `source`, converted."""
        step = 1 if narrow else self.lanes.columns
        L = self.lanes

        @inline
        def move(source, target, at, to, column):
            if step > 1:
                L._call(f"convert_{L.dtype}", at, wide(column), to, wide(column))
            else:
                assign(element(target.array, to + column), decode(L.dtype, element(source.array, at + column)))

        @ti.func
        def fill(source: ti.template(), target: ti.template(), begin, end, first, count, thread):
            for r in range(end - begin):
                at = source.at(begin + r, first)
                to = target.at(r, 0)
                for n in range(count // step):
                    move(source, target, at, to, n * step)
                if ti.static(step > 1):
                    if count % step != 0:
                        move(source, target, at, to, count - step)
        return fill


class Padded(Traced):
    """Numbers in shared memory: element (j, c) stands at array[j * stride + c]."""

    def __init__(self, array, stride):
        self.array, self.stride = array, stride

    @inline
    def at(self, j, c):
        return local(j * self.stride + c)

    @inline
    def get(self, handle, i):
        return local(element(self.array, handle + i))


class GpuPanels:
    """The same by a group of threads: `lane_threads` of them side by side in the lanes, the others in the rows."""

    slack = 0
    panel_lanes = 0
    staged = True

    def __init__(self, lanes, vectors, rows, depth, threads, lane_threads):
        self.lanes, self.vectors, self.rows, self.depth, self.threads = lanes, vectors, rows, depth, threads
        self.lane_threads, self.threads_of_rows = lane_threads, threads // lane_threads
        self.across = vectors * lane_threads

    @inline
    def panel(self, scratch, address, program, thread, stride):
        return Padded(self.lanes.shared(self.depth * (self.across + 1)), self.across + 1)

    @inline
    def strips(self, stage, address, base, narrow):
        return Padded(self.lanes.shared(self.threads_of_rows * self.rows * (self.depth + 1)), self.depth + 1)

    @inline
    def block(self, panel, k, thread):
        at = local(k * panel.stride + thread % self.lane_threads)
        return Block([local(element(panel.array, at + u * self.lane_threads)) for u in range(self.vectors)])

    def fill_panel(self, narrow):
        """A `ti.func` by which the threads of a group bring in a panel, neighbours along the rows of the source.

        `rows.start(j)` tells where the row of lane j starts; past `count` stands 0.
        """
        depth, threads, across = self.depth, self.threads, self.across

        @ti.func
        def fill(panel: ti.template(), source: ti.template(), address: ti.template(), rows: ti.template(), first,
                 count, thread):
            for n in ti.static(range(-(-depth * across // threads))):
                e = n * threads + thread
                k = e % depth
                j = e // depth
                if j < across:
                    value = ti.cast(0, ti.f32)
                    if k < count:
                        value = source[rows.start(j) + first + k]
                    panel.array[k * panel.stride + j] = value
        return fill

    def fill_strips(self, narrow):
        """The same for rows of the first factor; a row past the end repeats the last."""
        depth, threads, rows = self.depth, self.threads, self.threads_of_rows * self.rows

        @ti.func
        def fill(source: ti.template(), target: ti.template(), begin, end, first, count, thread):
            for n in ti.static(range(-(-depth * rows // threads))):
                e = n * threads + thread
                k = e % depth
                r = e // depth
                if r < rows:
                    value = ti.cast(0, ti.f32)
                    if k < count:
                        value = source.array[source.offset + ti.min(begin + r, end - 1) * source.stride + first + k]
                    target.array[r * target.stride + k] = value
        return fill


def panels_for(lanes, vectors, rows, depth, threads, lane_threads):
    """The operands for a lane type: `vectors` x `rows` sums a thread, `depth` terms at once."""
    if lanes.backend == "cpu":
        return CpuPanels(lanes, vectors, rows, depth, threads)
    return GpuPanels(lanes, vectors, rows, depth, threads, lane_threads)

