"""The pieces of kernels/tile_plan.py: the description of a launch, and the straight-line code of its steps."""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Traced, assign, element, inline, local
from aat.kernels.parts.queries import Meta

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
        cosh = local((e + L.splat(1.0) / e) * 0.5 - 1.0)
        cosh = self.less(s, 1.0, local(square * (square * (1.05 / 24) + 0.5)), cosh)
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
