"""The gate after QK: which groups of keys can a query tile leave out, now that their scores are known?

A row with running maximum m keeps l = sum e^(s - m) of what it computed, e = e^(ln T - m) of what a plan left out
before (T, aat/tiling/plan.py) and c = sum of what this gate left out, relative to m too. A group of n keys with largest
score `top` <= m weighs at most n e^(top - m), and exactly the sum of its weights. It may be left out while

    e + c + (its weight) <= kappa l        kappa = rho / (1 - rho), rho the share of a row's mass that may be missing

for every row of the tile: then the share missing at the end, T / (l + T) with T = e + c, is at most rho
(docs/tiling.md).
Budgets add up; nothing is ever tested against a fresh one. Three answers, cheapest first:

    n e^(top - m) fits       neither weights nor values are looked at
    e^(top - m) does not     no bound can help: the key that scores `top` alone weighs that much
    otherwise                the weights decide; only values are left out

Sums are rounded up. On a GPU a thread is a query tile of its own.
"""
import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Traced, assign, element, inline, local
from aat.kernels.lanes.shared import pack
from aat.kernels.parts.queries import Meta

INFINITY = float("inf")
UP = 1 + 1e-5          # e^x of the lanes errs by less, and so does a sum of a group's weights
LEAST = 1e-30          # a weight that underflows still counts: the largest ones are 1
ULP = 1 + 2.0**-22     # of a sum that grows, and of its rescaling
COMPUTED, LEFT = 1, 1 << 16        # what a thread adds to the trace of a group that it visits


class Gate(Traced):
    """The gate's numbers of one task."""

    def __init__(self, asm, allowed, meta, x):
        L, self.asm, self.L, self.U = asm.L, asm, asm.L, asm.U
        at = local(element(meta, Meta.PLANNED) + x.bh * element(meta, Meta.QUERIES))
        self.kappa = local(element(allowed, x.bh))
        self.planned = [L.gather(allowed, L.affine(rows, 1, at), 0, L.scalar_name) for rows in x.rows]
        self.missing = [L.splat(0.0) for _ in range(self.U)]        # e
        self.charged = [L.splat(0.0) for _ in range(self.U)]        # c
        self.room = [L.splat(0.0) for _ in range(self.U)]           # kappa l - e - c
        self.most = [L.splat(0.0) for _ in range(self.U)]
        self.light, self.weighed = local(0), local(0)

    @inline
    def refresh(self, m, l, shrink=None):
        """After the maxima or sums of the rows changed; `shrink` rescales what was charged."""
        for u, base in enumerate(self.asm.bases(m)):
            if shrink is not None:
                assign(self.charged[u], self.charged[u] * (shrink[u] * ULP))
            # What a plan leaves out may weigh more than the largest weight so far.
            assign(self.missing[u], self.L.exp(self.planned[u] - base) * UP)
            assign(self.room[u], l[u] * self.kappa - (self.missing[u] + self.charged[u]))

    @inline
    def judge(self, m, top):
        """2: leave the group out. 1: its weights have to decide. 0: it has to be computed."""
        L, n = self.L, self.asm.BG
        base = self.asm.bases(m)
        beyond, above = L.splat(0.0), L.splat(0.0)
        for u in range(self.U):
            over = local(L.maximum(top[u], base[u]) - base[u])      # a group with a new maximum is computed
            peak = L.where_equal(over, 0.0, L.exp_sub(top[u], base[u]), L.splat(INFINITY))
            peak = local(peak * UP + LEAST)
            peak = L.where_equal(top[u], NEGATIVE_INFINITY, L.splat(0.0), peak)
            assign(self.most[u], peak * n)
            beyond._augassign(L.maximum(self.most[u] - self.room[u], L.splat(0.0)), "Add")
            above._augassign(L.maximum(peak - self.room[u], L.splat(0.0)), "Add")
        return local(ti.select(L.any_nonzero(beyond) == 0, 2, ti.select(L.any_nonzero(above) == 0, 1, 0)))

    @inline
    def fits(self, total):
        """Whether groups of these weights can be left out; `most` is then what they count."""
        L, beyond = self.L, self.L.splat(0.0)
        for u in range(self.U):
            weight = local(total[u] * UP + LEAST)
            assign(self.most[u], L.where_equal(self.most[u], 0.0, L.splat(0.0), weight))
            beyond._augassign(L.maximum(self.most[u] - self.room[u], L.splat(0.0)), "Add")
        return L.any_nonzero(beyond) == 0

    @inline
    def charge(self):
        """Leave the group out."""
        for u in range(self.U):
            assign(self.charged[u], (self.charged[u] + self.most[u]) * ULP)
            assign(self.room[u], self.room[u] - self.most[u] * ULP)

    @inline
    def write(self, l, shares, meta, x):
        """T / (l + T) of each row: 0 where nothing is missing, infinite where nothing was kept of something."""
        L = self.L
        address = L.address(meta, Meta.SHARES_ADDRESS)
        for u in range(self.U):
            total = local(self.missing[u] + self.charged[u])
            share = L.where_equal(total, INFINITY, L.splat(INFINITY), total / (l[u] + total))
            share = L.where_equal(total, 0.0, L.splat(0.0), share)
            alone = L.where_equal(self.planned[u], NEGATIVE_INFINITY, L.splat(0.0), L.splat(INFINITY))
            rows = L.affine(x.rows[u], 1, x.bh * element(meta, Meta.QUERIES))
            L.scatter_plain(shares, address, rows, L.where_equal(l[u], 0.0, alone, share))


class Visits(Traced):
    """The tiles of keys that a task visits, and in which order.

    Without a list and with a gate: the first tile, where many put most of their weight, then that of the task's own
    positions and backwards from it; the others behind. A list names them one after the other.
    """

    def __init__(self, asm, tiles, meta, x, keys):
        self.spec, self.tiles = asm.spec, tiles
        self.low, last = local(x.begin // keys), local((x.end + (keys - 1)) // keys)
        count = local(ti.select(x.end <= x.begin, 0, last - self.low))
        if self.spec.listed:
            every = local(element(meta, Meta.NUMBER))
            self.place = local(2 * every + x.number * element(meta, Meta.LISTED))
            count = local(ti.min(count, element(tiles, x.number)))
            self.replaced = local(element(tiles, every + x.number))
            self.keys = keys
        elif self.spec.gate:
            own = local(ti.min(ti.max(x.first // keys, self.low), last - 1) - self.low)
            self.others, self.own = local(ti.max(count - 1, 1)), local(ti.max(own, 1) - 1)
        self.count = count
        self.every = local(count + (self.replaced + (keys - 1)) // keys) if self.spec.mixed else count

    @inline
    def means(self, i):
        """How many tiles the i-th visit replaces: 0 where it visits one."""
        if not self.spec.mixed:
            return local(0)
        left = local(self.replaced - (i - self.count) * self.keys)
        return local(ti.select(i < self.count, 0, ti.min(left, self.keys)))

    @inline
    def replaced_tile(self, i, r):
        """The r-th tile that the i-th visit replaces."""
        return local(element(self.tiles, self.place + self.count + (i - self.count) * self.keys + r))

    @inline
    def tile(self, i):
        """The i-th tile."""
        if self.spec.mixed:
            return local(ti.select(i < self.count, element(self.tiles, self.place + ti.min(i, self.count)), 0))
        if self.spec.listed:
            return local(element(self.tiles, self.place + i))
        if self.spec.gate:
            turn = local(self.own - (i - 1))
            turn = local(ti.select(turn < 0, turn + self.others, turn))
            return local(self.low + ti.select(i == 0, 0, turn + 1))
        return local(self.low + i)


@inline
def gate_of(asm, allowed, meta, x):
    """The Gate of a task; something empty where nothing may be left out."""
    return Gate(asm, allowed, meta, x) if asm.spec.gate else Traced()


@inline
def visits_of(asm, tiles, meta, x, keys):
    """The Visits of a task, in tiles of so many keys."""
    return Visits(asm, tiles, meta, x, keys)


class Means(Traced):
    """Mean keys and mean values of the tiles of a task's head, and ln of their counts: numbers of one array."""

    def __init__(self, asm, array, meta, x):
        self.spec, self.array = asm.spec, array
        if self.spec.mixed:
            head = local((x.b * (element(meta, Meta.HEADS) // element(meta, Meta.GROUP)) + x.kh)
                         * element(meta, Meta.MEANS))
            self.keys = local(head * self.spec.d)
            self.values = local(element(meta, Meta.MEAN_VALUES) + head * self.spec.dv)
            self.sizes = local(element(meta, Meta.MEAN_SIZES) + head)

    @inline
    def size(self, tile):
        """ln of a tile's count."""
        return local(element(self.array, self.sizes + tile))


@inline
def means_of(asm, array, meta, x):
    """The Means of a task; nothing is read where none stands in for a tile."""
    return Means(asm, array, meta, x)


def gathered(threads, pairs):
    """A `ti.func` by which the threads of a program copy mean keys or values to where tiles are staged."""
    width = 2 if pairs else 1

    @ti.func
    def copy(array: ti.template(), base, columns: ti.template(), target: ti.template(), at, visits: ti.template(),
             visit, count, thread):
        across = ti.static(columns // width)
        for n in range((count * across - thread + (threads - 1)) // threads):
            e = n * threads + thread
            source = base + visits.replaced_tile(visit, e // across) * columns + e % across * width
            if ti.static(pairs):
                target[at + e] = pack(array[source], array[source + 1])
            else:
                target[at + e] = array[source]
    return copy
