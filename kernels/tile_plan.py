"""Which tiles of keys does a query tile visit? The rule of aat/tiling/plan.py, for the rows of a query tile at once.

Lanes are queries for the scores of the centres and the sums of a row; they are tiles for what depends on (query tile,
tile) alone. docs/kernels/tile_plan.md has the rule, its rounding, and the sizes.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Traced, assign, element, inline, local
from aat.kernels.parts.queries import Assembly, Counts, Meta
from aat.kernels.parts.queries import Spec as QuerySpec

LN2 = 0.6931471805599453
STEPS = 16                       # buckets an octave
LOG = STEPS / LN2                # buckets a unit of the natural logarithm
ZERO = 127 * STEPS               # bucket of 1: bucket << 19 are the bits of a float32
HIGH = ZERO + 8 * STEPS          # everything beyond is kept
BUCKETS = HIGH + 1
UNIT = 2.0**-24
TINY = 2.0**-120
RANGE = 19                       # octaves below rho that are told apart: 24 bits less 4 and a carry
CHORD = 1.0616                   # (1 + f) / 2^f <= 1.06148: the line between powers of two
FAR = 1e30                       # a product of norms beyond it may have overflowed on the way
BUCKET = 0.01                    # of a bucket: the rounding of sums of logarithms that are not large
ROOM, ROOM_AT_0 = 4e-5, 4e-6     # relative and absolute room for the formulas of `Pieces.excess` in float32
INFINITY = float("inf")


class Place(IntEnum):
    """Places in `meta` besides those of parts.queries.Meta, of which it has no use for these; its keys are centres."""

    BLOCK = Meta.V               # keys of a tile
    TILES = Meta.V + 1
    ROOM = Meta.V + 2            # tiles, rounded up to whole vectors: a row of the facts
    LOCAL = Meta.O               # stride of `local` over batch; 0 without a batch axis
    NUMBERS = Meta.O + 1         # query tiles of all heads
    SCRATCH = Meta.O + 2         # float32 numbers of a program's scratch memory,
    INTS = Meta.MASK             # and integers
    FACTS_ADDRESS = Meta.MASK + 1
    HEADS_ADDRESS = Meta.MASK + 3
    NUMBERS_ADDRESS = Meta.MASK + 5
    INTS_ADDRESS = Meta.MASK + 7
    LISTS_ADDRESS = Meta.V_ADDRESS
    LOCAL_ADDRESS = Meta.O_ADDRESS
    OMITTED_ADDRESS = Meta.LSE_ADDRESS


class Fact(IntEnum):
    """Rows of what is told of a tile."""

    RADIUS = 0
    EIGENVALUE = 1
    SLACK = 2                # slack of a row over scale |q|
    SIZE = 3                 # ln of the number of keys, -inf without any
    SPREAD = 4               # of the values
    SHIFT = 5                # of their mean
    COUNT = 6


class Head(IntEnum):
    """What is told of a KV head."""

    RHO = 0                  # the share of the mass that may be left out, rounded down; 0: visit everything
    KEPT = 1                 # -ln(1 - rho), rounded up
    INVERSE_SPREAD = 2       # of the values, rounded up
    LOWEST = 3               # bucket
    SUM = 4                  # factor of a sum of buckets that makes it a lower bound
    COUNT = 5


class Number(IntEnum):
    """Rows of what is written of a query tile."""

    VISITED = 0
    REPLACED = 1
    SEEN = 2
    COUNT = 3


@dataclass(frozen=True, slots=True)
class Spec:
    """What a plan is compiled for: columns of q, means instead of tiles, a tile that comes first."""

    d: int
    mixed: bool = False
    local: bool = False


def scratch_sizes(config, d, tiles):
    """(tiles rounded up, float32 numbers, integers) of a program's scratch memory."""
    lanes = config.lane_width * config.lane_vectors
    room = -(-tiles // 16) * 16
    numbers = (room + config.keys_per_block + d) * lanes + 3 * room + config.keys_per_block
    return room, -(-numbers // 16) * 16, -(-(2 * room + BUCKETS + 1) // 16) * 16


class Pieces(Traced):
    """The straight-line pieces: lanes are tiles, or rows."""

    def __init__(self, columns, config, spec):
        self.C, self.config, self.spec = columns, config, spec
        self.L, self.U = columns.lanes, config.lane_vectors

    @inline
    def memory(self, name, array, meta):
        dtype = "i32" if name in ("numbers", "ints", "lists", "local") else "f32"
        return self.C.memory(array, meta, Place[f"{name.upper()}_ADDRESS"], dtype)

    @inline
    def tile_range(self, x, meta):
        """(first, end, first whole, end of the whole ones): tiles that some row sees, and that all rows see whole."""
        block, keys = local(element(meta, Place.BLOCK)), local(element(meta, Meta.BATCH + 2 * x.b))
        first, end = local(x.begin // block), local((x.end + block - 1) // block)
        end = local(ti.select(x.end > x.begin, end, first))
        whole_end = local(ti.select(x.full_end == keys, end, x.full_end // block))
        return first, end, local((x.full_begin + block - 1) // block), whole_end

    @inline
    def norm(self, squares):
        """scale |q| of the longest row, rounded up; infinite where a component is not finite. squares are of rows in
        buckets; sqrt(d) 2^-63 is what squares that count as zero can hide."""
        C, L, d = self.C, self.L, self.spec.d
        top = L.splat(0.0)
        for x in squares:
            known = L.where_equal(L.nonfinite(x), 1.0, L.splat(INFINITY), x)
            assign(top, L.maximum(known, top))
        longest = L.first(L.sqrt(C.max_across(top, C.width)))
        return local(longest * ((1 + (d + 32) * UNIT) / LOG) + (TINY + d**0.5 * 2.0**-62))

    @inline
    def within(self, tile, first, end, x):
        """x in the lanes first <= tile < end, -inf elsewhere."""
        inside = self.less(tile, self.L.splat(end), x, NEGATIVE_INFINITY)
        return self.less(tile, self.L.splat(first), NEGATIVE_INFINITY, inside)

    @inline
    def less(self, x, y, then, otherwise):
        """then where x < y, else otherwise; any but x may be a Python number."""
        return self.L.where_less(x, *[self.L.splat(v) if isinstance(v, (int, float)) else v
                                      for v in (y, then, otherwise)])

    @inline
    def least(self, x, number):
        """min(x, number); a NaN stays."""
        return self.less(x, number, x, self.less(self.L.splat(number), x, number, x))

    @inline
    def most(self, x, number):
        """max(x, number); a NaN becomes the number."""
        return self.L.maximum(x, self.L.splat(number))

    @inline
    def excess(self, delta, w2):
        """(ln, G): the mass of a tile over n e^mu is at most e^ln, and 1 + G; bounds.py has the formulas.

        With G = min(cosh delta - 1, phi(delta) w2) up to delta = 20, phi by its series and cosh by two terms below 1;
        beyond, 1 + phi(delta) w2 <= 1 + e^delta w2 / delta^2 by logarithms.
        """
        L = self.L
        s = self.least(delta, 20.0)
        series = L.splat(1 / 39916800)
        for n in (3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2):
            assign(series, series * s + 1 / n)
        e, square = L.exp(s), local(s * s)
        phi = self.less(s, 1.0, series, local((e - 1.0 - s) / self.most(square, 1.0)))
        cosh = self.less(s, 1.0, local(square * (square * (1.05 / 24) + 0.5)), local((e + L.splat(1.0) / e) * 0.5 - 1.0))
        second = local(phi * w2)
        near = self.less(cosh, second, cosh, second)
        z = local(delta + L.log(w2) - L.log(self.most(delta, 1.0)) * 2.0)
        size = L.maximum(z, local(z * -1.0))
        beyond = local(self.most(z, 0.0) + L.log(L.exp(local(size * -1.0)) + 1.0))
        flat = local(delta - (LN2 - 1e-6))
        beyond = self.less(flat, beyond, flat, beyond)
        log = L.log(local(near + 1.0))
        log = self.less(delta, 20.0, self.less(delta, log, delta, log), beyond)
        log = local(log * (1 + ROOM) + ROOM_AT_0)
        rest = self.less(delta, 20.0, local(near * (1 + ROOM)), L.exp(self.least(log, 60.0)))
        return log, rest

    @inline
    def replacement(self, rest, w2, slack, spread, shift, inverse, kept):
        """ln of the error of a tile's mean in its place over n e^mu and the range of the values, over 1 - rho."""
        L = self.L
        moved = self.less(slack, 1.0, local(slack * slack + slack), L.exp(self.least(slack, 60.0)))    # >= e^slack - 1
        first = local((L.sqrt(w2) * spread + shift) * inverse)
        return local(L.log(local((moved + 1.0) * (first + rest) + moved * 2.0)) + (kept + 2 * ROOM))

    @inline
    def factors(self, facts, at, room, n, norm, ranges, head, reach):
        """(factor, low, swap) of tiles n W, ...: what is added to a row's score in buckets for its bound above (inf:
        keep it), and below (-inf: not in the sum); swap is 1 where the mean is cheaper. reach: the largest slack."""
        C, L = self.C, self.L

        def fact(name):
            return facts.vector(at, name * room + n * C.width)

        first, end, whole_first, whole_end = [ti.cast(x, ti.f32) for x in ranges]
        tile = local(L.splat(ti.cast(n * C.width, ti.f32)) + C.numbers(lambda w: 1.0 * w))
        slack, delta = local(fact(Fact.SLACK) * norm), local(fact(Fact.RADIUS) * norm)
        w2 = local(fact(Fact.EIGENVALUE) * norm * norm * (1 + 1e-6))
        size = self.within(tile, first, end, self.less(slack, FAR, fact(Fact.SIZE), NEGATIVE_INFINITY))
        whole = self.within(tile, whole_first, whole_end, size)
        slack = self.less(L.splat(-FAR), size, slack, 0.0)
        log, rest = self.excess(delta, w2)
        log = local(log + slack)
        swap = L.splat(0.0)
        if self.spec.mixed:
            error = self.replacement(rest, w2, slack, fact(Fact.SPREAD), fact(Fact.SHIFT), head[Head.INVERSE_SPREAD],
                                     head[Head.KEPT])
            swap = self.less(L.splat(-FAR), whole, self.less(error, log, 1.0, 0.0), 0.0)
            log = self.less(swap, 0.5, log, error)
        assign(reach, L.maximum(self.less(L.splat(-FAR), whole, slack, 0.0), reach))
        factor = self.less(L.splat(-FAR), size, local((log + size) * LOG + BUCKET), INFINITY)
        return factor, local(whole * LOG), swap

    @inline
    def lower(self, top, total, factor, down):
        """The sum of J of the rows in buckets, rounded down; -inf where no tile is seen whole."""
        L = self.L
        found = local(top + STEPS * L.log2(total * factor) - down)
        return L.where_equal(top, NEGATIVE_INFINITY, L.splat(NEGATIVE_INFINITY), found)

    @inline
    def base(self, top):
        """What J are taken relative to, in buckets."""
        return local(self.L.where_equal(top, NEGATIVE_INFINITY, self.L.splat(0.0), top) - ZERO)

    @inline
    def add_lower(self, total, x, low, base):
        """total += 2^(x + low - base), rounded down."""
        for u in range(self.U):
            y = self.L.maximum(x.values[u] + (low - base[u]), self.L.splat(1.0 * STEPS))
            total[u]._augassign(self.C.bucket(y, 1.0 * STEPS, 1.0 * ZERO), "Add")

    @inline
    def raise_top(self, top, s, low, i):
        for u in range(self.U):
            assign(top[u], self.L.maximum(s.values[i * self.U + u] + low, top[u]))

    @inline
    def upper(self, x, factor, base, lowest):
        """x becomes the rows' bounds over their sums of J, rounded up; their largest, a number."""
        largest = self.L.splat(0.0)
        for u in range(self.U):
            value = self.C.bucket(x.values[u] - base[u] + factor, lowest, 1.0 * HIGH)
            assign(x.values[u], value)
            assign(largest, self.L.maximum(value, largest))
        return self.L.first(self.C.max_across(largest, self.C.width))

    @inline
    def sums(self, total, x):
        """(total + x, the largest of it)."""
        new = [local(total[u] + x.values[u]) for u in range(self.U)]
        largest = local(new[0])
        for u in range(1, self.U):
            assign(largest, self.L.maximum(new[u], largest))
        return new, self.L.first(self.C.max_across(largest, self.C.width))

    @inline
    def write_omitted(self, omitted, meta, x, lower, total):
        """ln of the sum of what each row leaves out, rounded up."""
        L = self.L
        for u in range(self.U):
            size = local(L.maximum(lower[u], lower[u] * -1.0) * (1 / LOG) + 32.0)
            value = local(lower[u] * (1 / LOG) + L.log(total[u]) + size * (8 * UNIT))
            value = L.where_equal(total[u], 0.0, L.splat(NEGATIVE_INFINITY), value)
            rows = L.affine(x.rows[u], 1, x.bh * element(meta, Meta.QUERIES))
            L.scatter_plain(omitted, L.address(meta, Meta.LSE_ADDRESS), rows, value)


def build(columns, query_lanes, config, spec):
    """The kernel for lanes of float32 columns, lanes of the queries' dtype, tile sizes and features."""
    C, L = columns, columns.lanes
    D, U, KC = spec.d, config.lane_vectors, config.keys_per_block
    asm = Assembly(query_lanes, config, QuerySpec(d=D, dv=1))
    pieces = Pieces(C, config, spec)
    ELEMENTS, NUMBERS = ti.types.ndarray(query_lanes.element_type, 1), C.array("f32")
    q_parts, depth_parts = asm.moved_parts(D), asm.depth_parts()

    @ti.kernel
    def tile_plan(q: ELEMENTS, key: ti.types.ndarray(ti.f32, 1), scratch: ti.types.ndarray(L.vector, 1),
                  flat: NUMBERS, facts: NUMBERS, heads: NUMBERS, omitted: ti.types.ndarray(ti.f32, 1),
                  numbers: C.array("i32"), ints: C.array("i32"), lists: C.array("i32"), local_tiles: C.array("i32"),
                  meta: ti.types.ndarray(ti.i32, 1), scale: ti.f32, program: ti.i32):
        ti.loop_config(block_dim=1, serialize=True)
        for t in range(program, program + 1):
            rules = L.enter()
            meta_address, memory = L.address(meta, Meta.META_ADDRESS), L.address(meta, Meta.SCRATCH_ADDRESS)
            q_address, key_address = L.address(meta, Meta.Q_ADDRESS), L.address(meta, Meta.K_ADDRESS)
            T, R = meta[Place.TILES], meta[Place.ROOM]
            lanes = C.width * U
            start = t * meta[Place.SCRATCH]
            q_start = start + (R + KC) * lanes
            X = L.memory(scratch, memory, start // C.width, 1)             # scores, then bounds   [tiles, U]
            Q = L.memory(scratch, memory, q_start // C.width, 1)           # queries in buckets    [D, U]
            F = C.memory(flat, meta, Meta.SCRATCH_ADDRESS, "f32")
            factor_at = F.at(q_start + D * lanes)
            swap_at = F.at(q_start + D * lanes + R)
            low_at = F.at(q_start + D * lanes + 2 * R)
            I = pieces.memory("ints", ints, meta)
            int_start = t * meta[Place.INTS]
            level_at, order_at, bucket_at = I.at(int_start), I.at(int_start + R), I.at(int_start + 2 * R)
            facts_in, heads_in = pieces.memory("facts", facts, meta), pieces.memory("heads", heads, meta)
            out_numbers, out_lists = pieces.memory("numbers", numbers, meta), pieces.memory("lists", lists, meta)
            for i in range(KC):
                F.put_number(low_at, R + i, NEGATIVE_INFINITY)
            task = L.first_task(meta, Meta.TASK, meta_address, t)
            while task < meta[Meta.TASKS]:
                x = asm.task(meta, task, 0)
                tiles = meta[Meta.TILES]
                j = task // tiles * tiles + (tiles - 1 - task % tiles)              # the query tile's number
                list_at = out_lists.at(C.long(j) * C.long(T))
                first, end, whole_first, whole_end = pieces.tile_range(x, meta)
                kv = x.b * (meta[Meta.HEADS] // meta[Meta.GROUP]) + x.kh
                head_at = heads_in.at(kv * Head.COUNT)
                head = [heads_in.number(head_at, n) for n in ti.static(range(int(Head.COUNT)))]
                rho = head[Head.RHO]
                norm = 0.0
                if rho > 0.0:
                    q_rows = asm.places(x, meta, Meta.Q)
                    for part in ti.static(q_parts):
                        for e in range(part[1]):
                            asm.load_queries(Q, e, part, q, q_address, q_rows, scale)
                    squares = [L.splat(0.0) for _ in ti.static(range(U))]
                    for d in range(D):
                        qd = Q.block(d, U)
                        for u in ti.static(range(U)):
                            C.fma(qd.values[u], qd.values[u], squares[u])
                    norm = pieces.norm(squares)
                visited, replaced = end - first, 0
                total = [L.splat(0.0) for _ in ti.static(range(U))]
                lower = [L.splat(0.0) for _ in ti.static(range(U))]
                if rho > 0.0 and norm < FAR and end > first:
                    # What depends on the query tile and the tile alone.
                    reach = L.splat(0.0)
                    facts_at = facts_in.at(C.long(kv) * C.long(R * Fact.COUNT))
                    for n in range(R // C.width):
                        ranges = [first, end, whole_first, whole_end]
                        factor, low, swap = pieces.factors(facts_in, facts_at, R, n, norm, ranges, head, reach)
                        F.put(factor_at, n * C.width, factor)
                        F.put(low_at, n * C.width, low)
                        if ti.static(spec.mixed):
                            F.put(swap_at, n * C.width, swap)

                    # Scores of the centres, in buckets, KC at a time, and the largest J of each row.
                    top = [L.splat(NEGATIVE_INFINITY) for _ in ti.static(range(U))]
                    centres = L.rows_in_place(key, key_address, x.b * meta[Meta.K] + x.kh * meta[Meta.K + 1],
                                              meta[Meta.K + 2], D, T - 1)
                    for part in ti.static(depth_parts):
                        for c in range(first // KC, (end + (KC - 1)) // KC):
                            s = asm.scores(X, c, part)
                            at = [centres.at(c * KC + i, part[0]) for i in ti.static(range(KC))]
                            for d in range(part[1]):
                                qd = Q.block(d, U, part[0] * U)
                                for i in ti.static(range(KC)):
                                    y = centres.get(at[i], d)
                                    for u in ti.static(range(U)):
                                        L.fma(y, qd.values[u], s.values[i * U + u])
                            if ti.static(part == depth_parts[-1]):
                                for i in ti.static(range(KC)):
                                    pieces.raise_top(top, s, F.number(low_at, c * KC + i), i)
                            X.put_block(c, KC * U, s)

                    # The sum of J below, each row's own.
                    base = [pieces.base(top[u]) for u in ti.static(range(U))]
                    sums = [L.splat(0.0) for _ in ti.static(range(U))]
                    for k in range(end - first):
                        least_mass = F.number(low_at, first + k)
                        if least_mass > -FAR:
                            pieces.add_lower(sums, X.block(first + k, U), least_mass, base)
                    down = L.first(C.max_across(reach, C.width)) * LOG + BUCKET
                    for u in ti.static(range(U)):
                        lower[u] = pieces.lower(top[u], sums[u], head[Head.SUM], down)
                        base[u] = lower[u] - (ZERO + 1.0)                           # + 1: the cast rounds up

                    # Bounds over that sum; a tile's bucket is that of its largest row.
                    least, most = HIGH, 0
                    for k in range(end - first):
                        bounds = X.block(first + k, U)
                        largest = pieces.upper(bounds, F.number(factor_at, first + k), base, head[Head.LOWEST])
                        X.put_block(first + k, U, bounds)
                        level = ti.bit_cast(largest, ti.i32) >> 19
                        I.put_number(level_at, first + k, level)
                        least = ti.min(least, level)
                        most = ti.max(most, level)

                    # Tiles by bucket: a counting sort.
                    for b in range(most - least + 2):
                        I.put_number(bucket_at, b, 0)
                    for k in range(end - first):
                        b = I.number(level_at, first + k) - least + 1
                        I.put_number(bucket_at, b, I.number(bucket_at, b) + 1)
                    for b in range(most - least):
                        I.put_number(bucket_at, b + 1, I.number(bucket_at, b + 1) + I.number(bucket_at, b))
                    for k in range(end - first):
                        b = I.number(level_at, first + k) - least
                        place = I.number(bucket_at, b)
                        I.put_number(order_at, place, first + k)
                        I.put_number(bucket_at, b, place + 1)

                    # The longest prefix that all rows allow; the sums of the rows' largest spare most of the looking.
                    left, at_most = 0, 0.0
                    going = 1
                    while going == 1:
                        tile = I.number(order_at, left)
                        at_most += ti.bit_cast(I.number(level_at, tile) << 19, ti.f32)
                        grown, largest = pieces.sums(total, X.block(tile, U))
                        if at_most <= rho or largest <= rho:
                            for u in ti.static(range(U)):
                                total[u] = grown[u]
                            left += 1
                            going = ti.cast(left < end - first, ti.i32)
                        else:
                            going = 0

                    # Those to visit by descending bound, tile 0 and the local one before all others; then the means.
                    near = 0
                    if ti.static(spec.local):
                        mine = pieces.memory("local", local_tiles, meta)
                        near = mine.number(mine.at(x.b * meta[Place.LOCAL] + j % tiles), 0)
                    visited = 0
                    for k in range(end - first - left):
                        tile = I.number(order_at, end - first - 1 - k)
                        if tile == 0 or tile == near:
                            out_lists.put_number(list_at, visited, tile)
                            visited += 1
                    for k in range(end - first - left):
                        tile = I.number(order_at, end - first - 1 - k)
                        if tile != 0 and tile != near:
                            out_lists.put_number(list_at, visited, tile)
                            visited += 1
                    if ti.static(spec.mixed):
                        for k in range(left):
                            tile = I.number(order_at, k)
                            if F.number(swap_at, tile) > 0.5:
                                out_lists.put_number(list_at, visited + replaced, tile)
                                replaced += 1
                else:
                    for k in range(end - first):
                        out_lists.put_number(list_at, k, first + k)
                pieces.write_omitted(omitted, meta, x, lower, total)
                count = meta[Place.NUMBERS]
                out_numbers.put_number(out_numbers.at(j), 0, visited)
                out_numbers.put_number(out_numbers.at(count + j), 0, replaced)
                out_numbers.put_number(out_numbers.at(2 * count + j), 0, end - first)
                task = L.next_task(meta, Meta.TASK, meta_address, task, meta[Meta.PROGRAMS])
            L.publish(meta, asm.counts(meta, t) + Counts.FINISHED, meta_address)
            L.leave(rules)

    return tile_plan
