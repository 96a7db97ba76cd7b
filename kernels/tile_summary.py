"""What is kept of tiles of keys and values: centre, radius, largest eigenvalue, spread (aat/tiling/moments.py).

Lanes are columns. Only for lanes with the intrinsics: arrays travel as addresses. docs/kernels/tile_summary.md derives
the bounds and their rounding.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels.attention_merge import padded
from aat.kernels.lanes.base import Traced, assign, inline, local
from aat.kernels.parts.queries import PROGRAM

UNIT = 2.0**-24
TINY = 2.0**-120
LOST = 2.0**-63                  # root of the largest square that may count as zero
LEAST = 2.0**-80                 # traces below it are their own bound: products might count as zero beside them
INFINITY = float("inf")
NUMBERS = ("key_norm", "radius", "eigenvalue", "shift", "value_spread", "value_shift")
ADDRESSED = ("k", "v", "key", "value", *NUMBERS, "low", "high", "scratch", "meta")


META_ADDRESS = 42                # the last of them


class Meta(IntEnum):
    """Places in the i32 array that describes a launch; the keys of batch entry b stand at BATCH + b."""

    TASK = 0
    TASKS = 1
    HEADS = 2
    TILES = 3          # of a head
    CHUNK = 4          # tiles of a task
    CHUNKS = 5         # tasks of a head
    ROOM = 6           # tiles of a head in the results,
    FIRST = 7          # and where the first of these is
    COUNTS = 8         # where a program says that it has ended: PROGRAM places each
    K = 9              # strides of k and v over batch, head and row
    V = 12
    SCRATCH = 15       # float32 numbers of a program's scratch memory
    ADDRESSES = 16     # of ADDRESSED, low word first
    BATCH = 44


@dataclass(frozen=True, slots=True)
class Spec:
    """What a summary is compiled for: columns of keys and values, keys of a tile, dtype of the arrays."""

    d: int
    dv: int
    block: int
    dtype: str = "f32"


def sizes(width, spec):
    """(rows of keys, columns of keys, order of the matrix, whether that is of keys, float32 numbers of scratch)."""
    rows, columns = padded(width, spec.block), padded(width, spec.d)
    order = min(rows, columns)
    turned = rows < columns
    scratch = rows * columns * (2 if turned else 1) + rows * width + order * order
    return rows, columns, order, turned, -(-scratch // 16) * 16


class Pieces(Traced):
    """The straight-line pieces."""

    def __init__(self, columns, spec):
        self.C, self.L, self.W, self.spec = columns, columns.lanes, columns.width, spec

    @inline
    def memory(self, name, meta, dtype="f32"):
        return self.C.memory(0, meta, Meta.ADDRESSES + 2 * ADDRESSED.index(name), dtype)

    @inline
    def row(self, memory, handle, columns):
        """The vectors of a row of `columns` columns; lanes past the last one are 0."""
        W = self.W
        return [memory.vector(handle, at) if at + W <= columns else memory.part(handle, at, columns - at)
                for at in range(0, columns, W)]

    @inline
    def ask(self, memory, handle, columns):
        """Ask for a row of the next tile: the products read no new memory, the sums over a tile do little else."""
        memory.prefetch(handle, 0, columns, False)

    @inline
    def put_row(self, memory, handle, columns, vectors):
        W = self.W
        for n, x in enumerate(vectors):
            if (n + 1) * W <= columns:
                memory.put(handle, n * W, x)
            else:
                memory.put_part(handle, n * W, x, columns - n * W)

    @inline
    def add(self, sums, vectors):
        for total, x in zip(sums, vectors, strict=True):
            total._augassign(x, "Add")

    @inline
    def scaled(self, vectors, factor):
        return [local(x * factor) for x in vectors]

    @inline
    def minus(self, vectors, others):
        return [local(x - y) for x, y in zip(vectors, others, strict=True)]

    @inline
    def squared(self, vectors):
        """The sum of the squares of vectors, lane by lane; in four parts, as one would wait for each addition."""
        parts = [self.L.splat(0.0) for _ in range(min(4, len(vectors)))]
        for n, x in enumerate(vectors):
            self.C.fma(x, x, parts[n % 4])
        for part in parts[1:]:
            parts[0]._augassign(part, "Add")
        return parts[0]

    @inline
    def add_squares(self, sums, vectors):
        for total, x in zip(sums, vectors, strict=True):
            self.C.fma(x, x, total)

    @inline
    def widen(self, low, high, vectors):
        """Raise the range of each column; a NaN is passed over, its tile's spread tells of it."""
        for n, x in enumerate(vectors):
            assign(high[n], self.L.maximum(x, high[n]))
            assign(low[n], self.L.where_less(x, low[n], x, low[n]))

    @inline
    def raised(self, low, high, vectors, others):
        for n in range(len(low)):
            assign(low[n], self.L.where_less(vectors[n], low[n], vectors[n], low[n]))
            assign(high[n], self.L.maximum(others[n], high[n]))

    @inline
    def total(self, x):
        """The sum over the lanes, a number."""
        return self.L.first(self.C.add_across(x, self.W))

    @inline
    def largest(self, x):
        return self.L.first(self.C.max_across(x, self.W))

    @inline
    def largest_size(self, vectors):
        top = self.L.splat(0.0)
        for x in vectors:
            assign(top, self.L.maximum(self.L.maximum(x, local(x * -1.0)), top))
        return self.largest(top)

    @inline
    def largest_of(self, vectors):
        top = local(vectors[0])
        for x in vectors[1:]:
            assign(top, self.L.maximum(x, top))
        return self.largest(top)

    @inline
    def any_nonfinite(self, vectors):
        """Whether some lane is not finite (i32)."""
        found = self.L.splat(0.0)
        for x in vectors:
            found._augassign(self.L.nonfinite(x), "Add")
        return ti.cast(self.total(found) > 0.5, ti.i32)

    @inline
    def finite(self, x):
        """Whether a number is, by its bits (i32)."""
        return ti.cast((ti.bit_cast(local(x), ti.i32) & 0x7F800000) != 0x7F800000, ti.i32)

    @inline
    def root(self, x):
        return self.L.first(self.L.sqrt(self.L.splat(x)))

    @inline
    def squares(self, scratch, handle):
        """Lane w: the sum over the lanes of vector w from a handle on."""
        return self.C.total_by_lane([scratch.vector(handle, w * self.W) for w in range(self.W)])

    @inline
    def turn(self, scratch, source, stride, target, step):
        """The transpose of the W x W numbers at a handle, rows `stride` apart, to another handle, rows `step` apart."""
        rows = local(self.L.positions_type([w * stride for w in range(self.W)]))
        self.L._call("read_columns_f32", source, rows, local(ti.cast(0, ti.i64)), local(ti.cast(1.0, ti.f32)), target,
                     local(ti.cast(4 * step, ti.i64)))

    @inline
    def outer(self, scratch, left, right, sums):
        """sums[i] += (number i at left) (vector at right)."""
        y = scratch.vector(right, 0)
        for i in range(self.W):
            self.C.fma_number(scratch.number(left, i), y, sums[i])

    @inline
    def put_block(self, scratch, handle, stride, sums, factor):
        for i in range(self.W):
            scratch.put(handle, i * stride, local(sums[i] * factor))

    @inline
    def eigenvalue(self, trace, count, middle, frobenius, square, rows, order):
        """An upper bound on the largest eigenvalue of x^T x / count, all of it rounded up (docs, "Eigenvalue").

        trace: the sum of x^2; frobenius, square: the squared Frobenius norms of B and B^2, B = x^T x / trace - middle.
        """
        d = self.spec.d
        steps = (rows + d + order) * UNIT
        fourth = local(self.root(square * (1 + (order * order // self.W + 2 * self.W + 8) * UNIT)))
        fourth = local(fourth + (order + 4) * UNIT * 1.01 * frobenius)
        relative = local(middle + self.root(fourth) * (1 + 8 * UNIT) + 2 * steps + 40 * UNIT)
        known = local(trace * (1 + 2 * steps) + rows * d * 2.0**-126)
        return local(ti.select(trace > LEAST, ti.min(relative, 1.0), 1.0) * known / count * (1 + 4 * UNIT))


def build(columns, spec):
    """The kernel for lanes of columns, head sizes and a dtype."""
    C, L, W = columns, columns.lanes, columns.width
    pieces = Pieces(C, spec)
    D, DV, BLOCK = spec.d, spec.dv, spec.block
    rows, wide, order, turned, _ = sizes(W, spec)
    pairs = (order // W) * (order // W + 1) // 2
    AHEAD = -(-BLOCK // pairs)                # rows of the next tile that are asked for beside a block
    key_vectors, value_vectors, blocks = wide // W, padded(W, DV) // W, order // W

    @ti.kernel
    def tile_summary(meta: ti.types.ndarray(ti.i32, 1), rounded: ti.f32, program: ti.i32):
        ti.loop_config(block_dim=1, serialize=True)
        for t in range(program, program + 1):
            rules = L.enter()
            meta_address = L.address(meta, META_ADDRESS)
            K, V = pieces.memory("k", meta, spec.dtype), pieces.memory("v", meta, spec.dtype)
            key_out, value_out = pieces.memory("key", meta), pieces.memory("value", meta)
            norms, radii, eigenvalues = [pieces.memory(name, meta) for name in ti.static(NUMBERS[:3])]
            shifts, spreads, value_shifts = [pieces.memory(name, meta) for name in ti.static(NUMBERS[3:])]
            lows, highs = pieces.memory("low", meta), pieces.memory("high", meta)
            F = pieces.memory("scratch", meta)
            x_at = F.at(C.long(t) * C.long(meta[Meta.SCRATCH]))                 # centred keys   [rows, wide]
            turned_at = F.step(x_at, rows * wide)                               # transposed     [wide, rows]
            part_at = F.step(turned_at, rows * wide if ti.static(turned) else 0)        # sums of squares [rows, W]
            a_at = F.step(part_at, rows * W)                                    # matrix         [order, order]
            m_at = turned_at if ti.static(turned) else x_at
            task = L.first_task(meta, Meta.TASK, meta_address, t)
            while task < meta[Meta.TASKS]:
                bh = task // meta[Meta.CHUNKS]
                chunk = task % meta[Meta.CHUNKS]
                b, h = bh // meta[Meta.HEADS], bh % meta[Meta.HEADS]
                k_step, v_step = C.long(meta[Meta.K + 2]), C.long(meta[Meta.V + 2])
                k_base = K.at(C.long(b) * C.long(meta[Meta.K]) + C.long(h) * C.long(meta[Meta.K + 1]))
                v_base = V.at(C.long(b) * C.long(meta[Meta.V]) + C.long(h) * C.long(meta[Meta.V + 1]))
                first_tile = chunk * meta[Meta.CHUNK]
                low = [L.splat(INFINITY) for _ in ti.static(range(value_vectors))]
                high = [L.splat(-INFINITY) for _ in ti.static(range(value_vectors))]
                for n in range(ti.min(meta[Meta.CHUNK], meta[Meta.TILES] - first_tile)):
                    start = (first_tile + n) * BLOCK
                    count = ti.min(ti.max(meta[Meta.BATCH + b] - start, 0), BLOCK)
                    place = bh * meta[Meta.ROOM] + meta[Meta.FIRST] + first_tile + n
                    if count > 0:
                        inverse = 1.0 / ti.cast(count, ti.f32)
                        # The centre, then keys about it.
                        sums = [L.splat(0.0) for _ in ti.static(range(key_vectors))]
                        k_at, v_at = K.step(k_base, C.long(start) * k_step), V.step(v_base, C.long(start) * v_step)
                        for j in range(count):
                            pieces.add(sums, pieces.row(K, K.step(k_at, C.long(j) * k_step), D))
                        c = pieces.scaled(sums, inverse)
                        for j in range(count):
                            x = pieces.minus(pieces.row(K, K.step(k_at, C.long(j) * k_step), D), c)
                            pieces.put_row(F, F.step(x_at, C.long(j) * wide), wide, x)
                            F.put(F.step(part_at, C.long(j) * W), 0, pieces.squared(x))
                        for j in range(count, rows):
                            for v in range(key_vectors):
                                F.put(F.step(x_at, C.long(j) * wide + v * W), 0, L.splat(0.0))
                            F.put(F.step(part_at, C.long(j) * W), 0, L.splat(0.0))
                        largest, squares = L.splat(0.0), L.splat(0.0)
                        for g in range(rows // W):
                            lengths = pieces.squares(F, F.step(part_at, g * W * W))
                            largest = L.maximum(lengths, largest)
                            squares += lengths
                        trace = pieces.total(squares)
                        far = pieces.root(pieces.largest(largest)) * (1 + (D + 4) * UNIT) + D**0.5 * LOST
                        norm = pieces.root(pieces.total(pieces.squared(c))) * (1 + (D + 8) * UNIT)
                        norm += TINY + D**0.5 * LOST
                        good = pieces.finite(trace) * pieces.finite(norm)

                        # x^T x over its trace (or x x^T, if that is smaller), about the mean of its eigenvalues.
                        found = trace
                        if good == 1 and trace > LEAST:
                            if ti.static(turned):
                                for r in range(rows // W):
                                    for v in range(key_vectors):
                                        pieces.turn(F, F.step(x_at, r * W * wide + v * W), wide,
                                                    F.step(turned_at, v * W * rows + r * W), rows)
                            depth, dimensions = (wide, count) if ti.static(turned) else (count, D)
                            share, asked = 1.0 / trace, BLOCK
                            for r in range(blocks):
                                for v in range(r, blocks):
                                    for j in range(AHEAD):
                                        pieces.ask(K, K.step(k_at, C.long(asked + j) * k_step), D)
                                    asked += AHEAD
                                    block = [L.splat(0.0) for _ in ti.static(range(W))]
                                    left, right = F.step(m_at, r * W), F.step(m_at, v * W)
                                    for j in range(depth):
                                        down = C.long(j) * order
                                        pieces.outer(F, F.step(left, down), F.step(right, down), block)
                                    at = F.step(a_at, r * W * order + v * W)
                                    pieces.put_block(F, at, order, block, share)
                                    if v > r:
                                        pieces.turn(F, at, order, F.step(a_at, v * W * order + r * W), order)
                            middle = 1.0 / ti.cast(dimensions, ti.f32)
                            for i in range(dimensions):
                                at = F.step(a_at, C.long(i) * (order + 1))
                                F.put_number(at, 0, F.number(at, 0) - middle)
                            total = L.splat(0.0)
                            for i in range(order):
                                total += pieces.squared(pieces.row(F, F.step(a_at, C.long(i) * order), order))
                            frobenius = pieces.total(total)
                            own, others = L.splat(0.0), L.splat(0.0)
                            asked = BLOCK
                            for r in range(blocks):
                                for v in range(r, blocks):
                                    for j in range(AHEAD):
                                        pieces.ask(V, V.step(v_at, C.long(asked + j) * v_step), DV)
                                    asked += AHEAD
                                    block = [L.splat(0.0) for _ in ti.static(range(W))]
                                    left, right = F.step(a_at, r * W), F.step(a_at, v * W)
                                    for j in range(order):
                                        down = C.long(j) * order
                                        pieces.outer(F, F.step(left, down), F.step(right, down), block)
                                    if v == r:
                                        own += pieces.squared(block)
                                    else:
                                        others += pieces.squared(block)
                            square = pieces.total(own + others * 2.0)
                            found = pieces.eigenvalue(trace, ti.cast(count, ti.f32), middle, frobenius, square, BLOCK,
                                                      order)
                        else:
                            found = pieces.eigenvalue(trace, ti.cast(count, ti.f32), 1.0, 1.0, 1.0, BLOCK, order)
                        moved = rounded * (norm + far)
                        shift = (ti.cast(count, ti.f32) + 4.0) * UNIT * (norm + far) + TINY + moved
                        deviation = pieces.root(found) * (1 + 2 * UNIT) + moved
                        radius = (far + shift) * (1 + 4 * UNIT)
                        good = good * pieces.finite(radius) * pieces.finite(deviation * deviation)
                        if good == 0:
                            norm, radius, deviation, shift = 0.0, INFINITY, INFINITY, INFINITY
                        pieces.put_row(key_out, key_out.at(C.long(place) * D), D,
                                       pieces.scaled(c, 1.0))
                        if good == 0:
                            pieces.put_row(key_out, key_out.at(C.long(place) * D), D,
                                           [L.splat(0.0) for _ in ti.static(range(key_vectors))])
                        norms.put_number(norms.at(place), 0, norm)
                        radii.put_number(radii.at(place), 0, radius)
                        eigenvalues.put_number(eigenvalues.at(place), 0, deviation * deviation * (1 + 4 * UNIT) + TINY)
                        shifts.put_number(shifts.at(place), 0, shift)

                        # Values: mean, standard deviation of the widest column, range.
                        value_sums = [L.splat(0.0) for _ in ti.static(range(value_vectors))]
                        tile_low = [L.splat(INFINITY) for _ in ti.static(range(value_vectors))]
                        tile_high = [L.splat(-INFINITY) for _ in ti.static(range(value_vectors))]
                        for j in range(count):
                            values = pieces.row(V, V.step(v_at, C.long(j) * v_step), DV)
                            pieces.add(value_sums, values)
                            pieces.widen(tile_low, tile_high, values)
                        mean = pieces.scaled(value_sums, inverse)
                        seconds = [L.splat(0.0) for _ in ti.static(range(value_vectors))]
                        for j in range(count):
                            pieces.add_squares(seconds, pieces.minus(
                                pieces.row(V, V.step(v_at, C.long(j) * v_step), DV), mean))
                        spread = pieces.root(pieces.largest_of(seconds) * inverse) * (1 + (BLOCK + 8) * UNIT) + LOST
                        top = pieces.largest_size(mean) + spread + TINY
                        spread += rounded * top + TINY
                        value_shift = ((ti.cast(count, ti.f32) + 4.0) * UNIT + rounded) * top
                        lost = pieces.any_nonfinite(mean)                       # by a value that is not finite
                        if lost == 1:
                            for v in ti.static(range(value_vectors)):
                                tile_low[v], tile_high[v] = L.splat(-INFINITY), L.splat(INFINITY)
                        if lost + pieces.any_nonfinite(seconds) > 0:
                            spread, value_shift = INFINITY, INFINITY
                            for v in ti.static(range(value_vectors)):
                                mean[v] = L.splat(0.0)
                        pieces.raised(low, high, tile_low, tile_high)
                        pieces.put_row(value_out, value_out.at(C.long(place) * DV), DV, mean)
                        spreads.put_number(spreads.at(place), 0, spread)
                        value_shifts.put_number(value_shifts.at(place), 0, value_shift)
                pieces.put_row(lows, lows.at(C.long(task) * DV), DV, low)
                pieces.put_row(highs, highs.at(C.long(task) * DV), DV, high)
                task = L.next_task(meta, Meta.TASK, meta_address, task, 1)
            L.publish(meta, meta[Meta.COUNTS] + PROGRAM * t, meta_address)
            L.leave(rules)

    return tile_summary
