"""What attention kernels whose lanes are queries are made of: the description of a launch, and straight-line pieces.

A program owns `rows_per_program` queries of one head and walks over the groups of keys that its rows can see.
"""
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Block, Registers, Traced, assign, element, inline, local
from aat.kernels.parts.scores import Products, query_columns
from aat.kernels.parts.teams import balanced

FAR = 2**30            # a window side that is open; positions stay below it, so sums fit in an int32


class Meta(IntEnum):
    """Places in the i32 array that describes a launch; keys[b] and q_offset[b] follow from BATCH on, in turn."""

    TASK = 0           # next task (CPU)
    NONFINITE = 1      # set to 1 when an output is not finite
    COUNTS = 2         # where a program's counts stand: Counts, PROGRAM places a program (CPU; a GPU has one for all)
    PROGRAMS = 3
    HEADS = 4          # heads of tasks: query heads, or KV heads where the query heads of one are grouped
    GROUP = 5          # query heads that share a KV head
    QUERIES = 6
    TILES = 7          # programs that a head takes
    TASKS = 8
    LEFT = 9
    RIGHT = 10
    Q = 11             # strides of q, k, v, out over batch, head and row
    K = 14
    V = 17
    O = 20
    MASK = 23          # strides of mask and bias over batch, head, row and key
    BIAS = 27
    Q_ADDRESS = 32     # 64-bit addresses at even places, low word first (CPU)
    K_ADDRESS = 34
    V_ADDRESS = 36
    O_ADDRESS = 38
    SCRATCH_ADDRESS = 40
    STAGE_ADDRESS = 42
    META_ADDRESS = 44
    LSE_ADDRESS = 46
    SUMS_ADDRESS = 48
    PARTS = 50         # parts of the keys, each PART_KEYS of them, and where the merge of them is described
    PART_KEYS = 51     # (kernels.attention_merge.Merge); out, lse and sums are then a, m and l of the parts
    MERGE = 52
    ROWS = 72          # rows of a head of tasks: the queries, of all query heads of a group where they are grouped
    SHARES_ADDRESS = 74
    LISTED = 76        # with a tolerance: places that the list of a query tile takes
    NUMBER = 77        # query tiles: their counts of tiles to visit and to replace, then their lists, are in `tiles`
    PLANNED = 78       # where ln T of the rows starts in `allowed`
    MEANS = 79         # tiles of a head in `means`, then where mean values and ln of the counts start
    MEAN_VALUES, MEAN_SIZES = 80, 81
    TRACE, GROUPS = 82, 83         # where in `tiles` a traced launch says what became of each query tile's groups
    BATCH = 84


PROGRAM = 16           # a cache line


class Counts(IntEnum):
    """What a program counts, from its place on."""

    VISITED = 0        # groups of keys visited
    FULL = 1           # of those, groups that every row of the program sees whole
    FINISHED = 2       # 1 when everything is written (CPU)
    LIGHT, WEIGHED = 3, 4          # groups left out by their largest scores, by their weights; on a GPU by each thread


@dataclass(frozen=True, slots=True)
class Spec:
    """What a kernel is compiled for, besides lanes and tiles.

    mask and bias: "" (absent), "rows" (differs between queries) or "keys" (the query axis has size 1).
    bias_type: dtype of the bias, "f16", "bf16", "f32" or "f64".
    careful: a masked key's value is not even multiplied by zero (needed when it is NaN or infinite).
    parts: tasks are parts of the keys, and what they leave is merged afterwards (then without lse and sinks).
    grouped: rows of a program are queries of all heads that share a KV head, head by head.
    gate: groups that weigh little enough are left out once their scores are known (parts/gate.py).
    listed: a list says which tiles a query tile visits, and in which order; mixed: it goes on with tiles to replace.
    traced: what became of each group is told behind the lists (parts/gate.py). mods: graphs of score_mod and mask_mod.
    score: the Form of scores that are no plain products (parts/scores.py); d then counts a key's numbers too.
    """

    d: int
    dv: int
    mask: str = ""
    bias: str = ""
    bias_type: str = "f32"
    softcap: bool = False
    sinks: bool = False
    lse: bool = False
    careful: bool = False
    parts: bool = False
    grouped: bool = False
    gate: bool = False
    listed: bool = False
    mixed: bool = False
    traced: bool = False
    mods: tuple | None = None
    score: Any = None


def scratch_lanes(config, spec):
    """Lane variables of scratch memory that a program (on a GPU: a thread) needs."""
    if config.registers:
        return 0
    # A multiple of 128 shows LLVM that adding a small index to the base does not carry, so it need not re-extend it.
    return -(-(config.keys_per_group + query_columns(spec) + spec.dv) * config.lane_vectors // 128) * 128


def stage_elements(config, spec, dtype):
    """Numbers that a CPU program needs to stage a tile of keys and values; 0 where they are read in place."""
    return config.keys_per_tile * (spec.d + spec.dv) if config.packed or dtype in ("f16", "bf16") else 0


class Task(Traced):
    """One program's share: a block of rows of one head (or group of heads), as kernel variables. Rows past the last one
    repeat it."""

    def __init__(self, L, config, meta, task, thread, spec):
        def fact(place):
            return element(meta, place)

        vectors, abreast = config.lane_vectors, config.threads // config.team
        span = L.width * vectors * abreast
        place = local(thread // config.team) if config.team > 1 else thread
        tiles = local(fact(Meta.TILES))
        part, heads = 0, 0
        if spec.parts:
            part_tasks = local(fact(Meta.TASKS) // fact(Meta.PARTS))
            part, heads = local(task // part_tasks), local(part_tasks // tiles)
            task = local(task % part_tasks)
        # The last rows come first: with causal they are the heaviest, and light tasks at the end balance the threads.
        self.bh = local(task // tiles)
        turn = balanced(L, local(tiles - 1 - task % tiles), self.bh, tiles, config.threads)
        first = local(turn * span)
        self.b, self.h = local(self.bh // fact(Meta.HEADS)), local(self.bh % fact(Meta.HEADS))
        self.kh = self.h if spec.grouped else local(self.h // fact(Meta.GROUP))
        self.number = local(self.bh * tiles + turn)           # of the query tile
        self.first = local(first + fact(Meta.BATCH + 1 + 2 * self.b))
        keys, offset = local(fact(Meta.BATCH + 2 * self.b)), local(fact(Meta.BATCH + 1 + 2 * self.b))
        left, right = local(fact(Meta.LEFT)), local(fact(Meta.RIGHT))
        # Where a part of the keys leaves what it found: parts are batches behind each other.
        self.out_bh = local(part * heads + self.bh) if spec.parts else self.bh
        self.out_b = local(part * (heads // fact(Meta.HEADS)) + self.b) if spec.parts else self.b
        last_row = local(fact(Meta.ROWS) - 1)
        self.rows = [L.rows(first + (u * abreast + place) * L.width, last_row) for u in range(vectors)]
        lowest, highest = first, local(ti.min(first + (span - 1), last_row))
        self.queries, self.heads = self.rows, []
        if spec.grouped:
            queries = local(fact(Meta.QUERIES))
            divided = [L.divided(rows, queries) for rows in self.rows]
            self.heads, self.queries = [heads for heads, _ in divided], [rest for _, rest in divided]
            # A block of several heads may have every query.
            one = local(lowest // queries == highest // queries)
            lowest, highest = (local(ti.select(one, lowest % queries, 0)),
                               local(ti.select(one, highest % queries, queries - 1)))
        # Keys that some row sees, and those that every row sees (aat.tiling.base.key_ranges).
        low, high = local(lowest + offset), local(highest + offset)
        self.begin, self.end = self._limit(low - left, keys), self._limit(high + right + 1, keys)
        self.full_begin, self.full_end = self._limit(high - left, keys), self._limit(low + right + 1, keys)
        if spec.parts:
            first_key = local(part * fact(Meta.PART_KEYS))
            self.begin = local(ti.max(self.begin, first_key))
            self.end = local(ti.min(self.end, first_key + fact(Meta.PART_KEYS)))
        # Keys that each row sees: low <= j < high.
        self.low = [L.affine(queries, 1, offset - left, 0, keys) for queries in self.queries]
        self.high = [L.affine(queries, 1, offset + right + 1, 0, keys) for queries in self.queries]

    def _limit(self, x, keys):
        return local(ti.min(ti.max(x, 0), keys))


class Assembly(Products):
    """The straight-line pieces of the kernel for a lane type, tile sizes and features; traced where they are called."""

    def __init__(self, lanes, config, spec):
        self.L, self.config, self.spec = lanes, config, spec
        self.U, self.KC, self.BG = config.lane_vectors, config.keys_per_block, config.keys_per_group
        self.scratch = scratch_lanes(config, spec)
        self.stage = stage_elements(config, spec, lanes.dtype) if lanes.backend == "cpu" else 0
        columns = spec.dv // config.team
        block = min(config.columns_per_block, columns)
        full, rest = divmod(columns, block)
        self.column_parts = [(0, full, block)]           # first column, blocks, columns of a block
        if rest:
            self.column_parts.append((columns - rest, 1, rest))

    def moved_parts(self, columns):
        """How rows of q and out move: (first column, blocks, columns of a block), as many columns at once as lanes do.

        The last block ends with the row; where it overlaps the one before, it moves the same numbers again.
        """
        step = self.L.columns if columns >= self.L.columns else 1
        blocks = [(0, columns // step, step)]
        return [*blocks, (columns - step, 1, step)] if columns % step else blocks

    @inline
    def store(self, array, address, program, thread, start, count):
        """Lane variables of a program: registers, or a slice of its scratch memory."""
        if self.config.registers:
            return Registers(count, self.L.splat(0.0))
        threads = self.config.threads
        start = local(program * (self.scratch * threads) + thread + start * threads)
        return self.L.memory(array, address, start, threads)

    @inline
    def counts(self, meta, program):
        """Where a program counts: a place of its own on the CPU, one for all on a GPU, whose adds are atomic."""
        place = local(element(meta, Meta.COUNTS))
        return local(place + PROGRAM * program) if self.L.serial else place

    @inline
    def task(self, meta, task, thread):
        x = Task(self.L, self.config, meta, task, thread, self.spec)
        # Where mask and bias start for the task's rows (and for its head), once and not in every block of keys.
        x.starts = {place: self.places(x, meta, place)
                    for place, kind in ((Meta.BIAS, self.spec.bias), (Meta.MASK, self.spec.mask)) if kind}
        return x

    @inline
    def places(self, x, meta, place):
        """Where the rows of a (batch, head, row, ...) array start, by lane."""
        b = x.out_b if place == Meta.O else x.b
        step, row_step = element(meta, place + 1), element(meta, place + 2)
        if not self.spec.grouped:
            base = local(b * element(meta, place) + x.h * step)
            return [self.L.affine(queries, row_step, base) for queries in x.queries]
        base = local(b * element(meta, place) + x.h * element(meta, Meta.GROUP) * step)
        return [local(self.L.affine(queries, row_step, base) + self.L.affine(heads, step, 0))
                for queries, heads in zip(x.queries, x.heads, strict=True)]

    @inline
    def lead(self, first):
        """Where the loops over a group's keys start: with static indices at 0, keys before `first` weigh nothing."""
        return 0 if self.config.registers else first

    @inline
    def keys(self, array, meta, place, address, x, columns, clamp):
        """Keys or values of the task's KV head, read where they are; `clamp` repeats the last one behind it."""
        last = local(x.end - 1) if clamp else None
        offset = local(x.b * element(meta, place) + x.kh * element(meta, place + 1))
        return self.L.rows_in_place(array, address, offset, element(meta, place + 2), columns, last)

    @inline
    def start(self, sinks, x, meta):
        """Running maxima and sums before the first key."""
        L, U = self.L, self.U
        if not self.spec.sinks:
            return [L.splat(NEGATIVE_INFINITY) for _ in range(U)], [L.splat(0.0) for _ in range(U)]
        if self.spec.grouped:
            first = local(x.h * element(meta, Meta.GROUP))
            m = [L.gather(sinks, heads, first, L.scalar_name) for heads in x.heads]
        else:
            m = [L.splat(element(sinks, x.h)) for _ in range(U)]
        return m, [L.where_equal(sink, NEGATIVE_INFINITY, L.splat(0.0), L.splat(1.0)) for sink in m]

    @inline
    def modify(self, s, first, softcap, bias, mask, meta, x):
        """Softcap, bias and mask, in this order, on a block of scores whose first key is `first`."""
        L, U, spec = self.L, self.U, self.spec
        if spec.softcap:
            for value in s.values:
                assign(value, L.tanh(value / softcap) * softcap)
        for name, kind, array, place in (("bias", spec.bias, bias, Meta.BIAS), ("mask", spec.mask, mask, Meta.MASK)):
            if not kind:
                continue
            dtype = spec.bias_type if name == "bias" else "mask"
            for i in range(len(s.values) // U):
                j = local(ti.min(first + i, x.end - 1) * element(meta, place + 3))
                # Without a query axis its stride is 0 and every lane starts at the same element.
                shared = L.broadcast(array, L.first(x.starts[place][0]) + j, dtype) if kind == "keys" else None
                for u in range(U):
                    value = s.values[i * U + u]
                    own = shared if shared is not None else L.gather(array, x.starts[place][u], j, dtype)
                    # A bias of -inf masks, whatever the score is: NaN - inf would be NaN.
                    hidden, otherwise = (0.0, value) if name == "mask" else (NEGATIVE_INFINITY, value + own)
                    assign(value, L.where_equal(own, hidden, L.splat(NEGATIVE_INFINITY), otherwise))

    @inline
    def as_means(self, s, first, means, visits, visit, count):
        """Scores of mean keys as those of tiles: ln n is added, and -inf behind the last one."""
        for i in range(self.KC):
            j = local(ti.min(first + i, count - 1))
            size = means.size(visits.replaced_tile(visit, j))
            there = local(ti.cast(first + i < count, ti.i32))
            for u in range(self.U):
                value = s.values[i * self.U + u]
                term = local(ti.select(there == 1, size, NEGATIVE_INFINITY))
                assign(value, value + term)

    @inline
    def keep(self, s, first, x):
        """-inf for keys outside a row's reach."""
        for i in range(len(s.values) // self.U):
            for u in range(self.U):
                value = s.values[i * self.U + u]
                assign(value, self.L.keep(value, first + i, x.low[u], x.high[u]))

    @inline
    def tops(self, m):
        """What the largest scores of a group start from: the maxima so far, or nothing where a gate asks for them."""
        return [self.L.splat(NEGATIVE_INFINITY) if self.spec.gate else local(x) for x in m]

    @inline
    def maxima(self, m, top):
        return [self.L.maximum(m[u], top[u]) for u in range(self.U)] if self.spec.gate else top

    @inline
    def raise_maxima(self, m, s):
        for n, value in enumerate(s.values):
            assign(m[n % self.U], self.L.maximum(value, m[n % self.U]))

    @inline
    def bases(self, m):
        """What scores are taken relative to: the maxima, or 0 where no key was visible yet (-inf - -inf is NaN)."""
        return [self.L.where_equal(value, NEGATIVE_INFINITY, self.L.splat(0.0), value) for value in m]

    @inline
    def weigh(self, S, j, base, total):
        """Scores of key j become weights; a masked one is marked by -1 where values may not be finite."""
        L, weights = self.L, []
        for u, s in enumerate(S.block(j, self.U).values):
            p = L.exp_sub(s, base[u])
            total[u]._augassign(p, "Add")
            weights.append(L.where_equal(s, NEGATIVE_INFINITY, L.splat(-1.0), p) if self.spec.careful else p)
        S.put_block(j, self.U, Block(weights))

    @inline
    def add_value(self, a, i, y, p):
        """a[i] += y p for one column of one key."""
        for u in range(self.U):
            total = a.values[i * self.U + u]
            if self.spec.careful:
                kept = local(total)
                self.L.fma(y, p.values[u], total)
                assign(total, self.L.where_equal(p.values[u], -1.0, kept, total))
            else:
                self.L.fma(y, p.values[u], total)

    @inline
    def update(self, m, l, m_new, shrink, total):
        for u in range(self.U):
            assign(l[u], l[u] * shrink[u] + total[u])
            assign(m[u], m_new[u])

    @inline
    def inverses(self, l):
        """1 / l, and 0 for rows that saw no key: their sums are 0, or NaN, which the second launch settles. The sums of
        parts are kept as they are."""
        if self.spec.parts:
            return [self.L.splat(1.0) for _ in l]
        return [self.L.where_equal(x, 0.0, self.L.splat(0.0), self.L.splat(1.0) / x) for x in l]

    @inline
    def finish(self, A, n, part, inverse, flagged, out, address, rows, thread):
        """Block n of a part of the results' columns, a / l."""
        first, _, columns = part
        dtype = self.L.scalar_name if self.spec.parts else self.L.dtype
        for u in range(self.U):
            self.L.write_columns(A, n, columns, self.U, u, first * self.U, inverse[u], flagged[u], out, address,
                                 rows[u], self.column(first + n * columns, thread), dtype)

    @inline
    def write_sums(self, m, l, maxima, sums, meta, x):
        """Maxima and sums of a part of the keys."""
        L = self.L
        for u in range(self.U):
            rows = L.affine(x.rows[u], 1, x.out_bh * element(meta, Meta.ROWS))
            L.scatter_plain(maxima, L.address(meta, Meta.LSE_ADDRESS), rows, m[u] + l[u] * 0.0)  # NaN, not -inf
            L.scatter_plain(sums, L.address(meta, Meta.SUMS_ADDRESS), rows, l[u])

    @inline
    def write_lse(self, m, l, lse, meta, x):
        L = self.L
        for u in range(self.U):
            value = L.where_equal(l[u], 0.0, L.splat(NEGATIVE_INFINITY), m[u] + L.log(l[u]))
            rows = L.affine(x.rows[u], 1, x.bh * element(meta, Meta.ROWS))
            L.scatter_plain(lse, L.address(meta, Meta.LSE_ADDRESS), rows, value)
