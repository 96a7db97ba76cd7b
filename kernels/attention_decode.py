"""Exact attention for few queries and many keys: every key and value is read from memory once.

A lane is a column. All rows that share a KV head (its query heads times their queries) go through the keys together, a
part of the keys is a task of its own, and kernels/attention_merge.py joins the parts. Keys and values may stand in pages
and may be int8 with a scale each; docs/kernels/attention_decode.md derives the sizes.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels import attention_merge
from aat.kernels.attention_merge import Merge, MergeSpec, padded
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Block, Traced, assign, element, inline, local


class Meta(IntEnum):
    """Places in the i32 array that describes a launch; keys[b] and q_offset[b] follow from BATCH on, in turn."""

    TASK = 0           # next task (CPU)
    VISITED = 1        # groups of keys visited
    FULL = 2           # of those, groups that every row sees whole
    TASKS = 3
    HEADS = 4          # KV heads
    GROUP = 5          # query heads of each
    QUERIES = 6        # queries of this launch,
    FIRST = 7          # and the first of them
    BLOCKS = 8         # blocks of rows
    PARTS = 9          # parts of the keys,
    FIRST_PART = 10    # and the first of them
    LEFT = 11
    RIGHT = 12
    TABLE = 13         # stride of the page table over batch
    K_SCALES = 14      # strides of the scales over page and head
    V_SCALES = 16
    Q = 18             # strides of q over batch, head and row,
    K = 21             # of k and v over batch (or page), head and row
    V = 24
    MASK = 27          # and of mask and bias over batch, head, row and key
    BIAS = 31
    ADDRESSES = 36     # 64-bit addresses, low word first (CPU): see ADDRESSED
    MERGE = 52         # the description of the merge
    BATCH = 72         # MERGE + Merge.SIZE


# Arrays that travel as addresses on the CPU, in this order from Meta.ADDRESSES on; the merge has its own.
ADDRESSED = ("q", "k", "v", "scratch", "table", "k_scales", "v_scales")


@dataclass(frozen=True, slots=True)
class Spec:
    """What a kernel is compiled for, besides lanes and tiles.

    kv_type: element type of k and v, the dtype of q or "i8" with scales. page_size: keys of a page, 0 for plain arrays.
    mask, bias: whether there is one; bias_type its dtype. careful: a masked key's value is not even multiplied by zero.
    """

    d: int
    dv: int
    dtype: str = "f32"
    kv_type: str = "f32"
    page_size: int = 0
    mask: bool = False
    bias: bool = False
    bias_type: str = "f32"
    softcap: bool = False
    sinks: bool = False
    lse: bool = False
    careful: bool = False


def scratch_elements(config, spec, width, blocks):
    """Elements of scratch memory of a program with `blocks` blocks of rows: queries, sums, scores, and four numbers a
    row.
    """
    rows = min(config.lane_vectors, width)
    columns = padded(width, spec.d) + padded(width, spec.dv) + config.keys_per_group
    return padded(16, blocks * (rows * columns + 4 * width))


class Task(Traced):
    """One program's share: a part of the keys of one KV head, as kernel variables."""

    def __init__(self, config, meta, task):
        def fact(place):
            return element(meta, place)

        part = local(task % fact(Meta.PARTS))
        bh = local(task // fact(Meta.PARTS))
        self.b, self.kh = local(bh // fact(Meta.HEADS)), local(bh % fact(Meta.HEADS))
        self.keys = local(fact(Meta.BATCH + 2 * self.b))
        self.queries, self.group = local(fact(Meta.QUERIES)), local(fact(Meta.GROUP))
        self.rows = local(self.queries * self.group)
        # Row r of a task is query r % queries of the group's head r // queries: the rows of the parts are in one piece.
        self.parts_row = local(part * element(meta, Meta.MERGE + Merge.ROWS) + bh * self.rows)
        self.position = local(fact(Meta.BATCH + 1 + 2 * self.b) + fact(Meta.FIRST))
        self.left, self.right = local(fact(Meta.LEFT)), local(fact(Meta.RIGHT))
        # Keys that some row sees, and those that every row sees (aat.tiling.base.key_ranges), within the part.
        low, high = self.position, local(self.position + self.queries - 1)
        first = local((part + fact(Meta.FIRST_PART)) * config.keys_per_tile)
        self.begin = self._within(low - self.left, first, config)
        self.end = self._within(high + self.right + 1, first, config)
        self.full_begin = local(ti.max(high - self.left, 0))
        self.full_end = local(ti.min(low + self.right + 1, self.keys))

    def _within(self, x, first, config):
        inside = ti.min(ti.max(x, 0), self.keys)
        return local(ti.min(ti.max(inside, first), first + config.keys_per_tile))


class Assembly(Traced):
    """The straight-line pieces of the kernel for a lane type, tile sizes and features; traced where they are called."""

    def __init__(self, columns, config, spec):
        self.C, self.config, self.spec = columns, config, spec
        self.W = W = columns.width
        self.RB = min(config.lane_vectors, W)       # rows of a block
        self.KB = W // self.RB                      # keys of a block: its scores fill the lanes of one variable
        self.G = config.keys_per_group
        self.d, self.dv = padded(W, spec.d), padded(W, spec.dv)
        self.scalar_name = columns.lanes.scalar_name
        block = max(1, config.columns_per_block // W)
        vectors = self.dv // W
        self.value_blocks = [list(range(c, min(c + block, vectors))) for c in range(0, vectors, block)]

    @inline
    def memory(self, name, array, meta, dtype=None):
        place = Meta.ADDRESSES + 2 * ADDRESSED.index(name)
        return self.C.memory(array, meta, place, dtype or self.scalar_name)

    @inline
    def task(self, meta, task):
        return Task(self.config, meta, task)

    @inline
    def part(self, letter, array, meta):
        """One of the arrays that the merge reads."""
        return self.C.memory(array, meta, Meta.MERGE + Merge[f"{letter}_ADDRESS"], self.scalar_name)

    @inline
    def layout(self, scratch, meta, program, blocks):
        """Handles on a program's scratch memory."""
        rows = local(blocks * self.RB)
        each = local(rows * (self.d + self.dv + self.G) + blocks * (4 * self.W))
        self_start = local(self.C.long(program) * ((each + 15) // 16 * 16))
        sizes = (rows * self.d, rows * self.dv, rows * self.G, blocks * self.W, blocks * self.W, blocks * self.W)
        handles, start = [], self_start
        for size in (*sizes, 0):
            handles.append(scratch.at(start))
            start = local(start + size)
        return handles

    # -- rows -----------------------------------------------------------------------------------------------------
    @inline
    def query_at(self, q, x, r, meta):
        """A handle on row r, at most the last one."""
        r = local(ti.min(r, x.rows - 1))
        steps = [self.C.long(element(meta, Meta.Q + axis)) for axis in range(3)]
        h = x.kh * x.group + r // x.queries
        i = r % x.queries + element(meta, Meta.FIRST)
        return q.at(x.b * steps[0] + h * steps[1] + i * steps[2])

    @inline
    def put_query(self, q, source, scratch, target, scale):
        for at in range(0, self.d, self.W):
            whole = at + self.W <= self.spec.d
            value = q.vector(source, at) if whole else q.part(source, at, self.spec.d - at)
            scratch.put(target, at, value * scale)

    @inline
    def clear(self, scratch, target):
        for at in range(0, self.dv, self.W):
            scratch.put(target, at, self.C.splat(0.0))

    @inline
    def row_of(self, x, first, n):
        """The row of lane n in a block of rows: lanes hold key 0, 1, ... of the block for each row in turn."""
        return ti.min(first + n // self.KB, x.rows - 1)

    @inline
    def reach(self, x, first):
        """(low, high): lane n's row sees the key of lane n, j + n % KB, if low <= j < high."""
        def bound(n, term):
            position = self.row_of(x, first, n) % x.queries + term
            return ti.min(ti.max(position, 0), x.keys) - n % self.KB

        return (self.C.by_lane(lambda n: bound(n, x.position - x.left)),
                self.C.by_lane(lambda n: bound(n, x.position + x.right + 1)))

    @inline
    def all_starts(self, x, first, meta):
        return {name: self.starts(x, first, meta, place) for name, present, place in
                (("bias", self.spec.bias, Meta.BIAS), ("mask", self.spec.mask, Meta.MASK)) if present}

    @inline
    def starts(self, x, first, meta, place):
        """Where each lane's row of a (batch, head, row, key) array starts."""
        def start(n):
            r = self.row_of(x, first, n)
            h = x.kh * x.group + r // x.queries
            i = r % x.queries + element(meta, Meta.FIRST)
            return x.b * element(meta, place) + h * element(meta, place + 1) + i * element(meta, place + 2)

        return self.C.by_lane(start)

    # -- keys and values --------------------------------------------------------------------------------------------
    @inline
    def where(self, x, j, table, meta):
        """(page or batch, row there) of key j, which is brought within the task's keys."""
        j = local(ti.min(ti.max(j, x.begin), x.end - 1))
        if not self.spec.page_size:
            return x.b, j
        page = table.number(table.at(x.b * element(meta, Meta.TABLE) + j // self.spec.page_size), 0)
        return page, local(j % self.spec.page_size)

    @inline
    def row_at(self, memory, strides, x, place):
        page, row = place
        return memory.at(page * strides[0] + x.kh * strides[1] + row * strides[2])

    @inline
    def strides(self, meta, place):
        return [self.C.long(element(meta, place + axis)) for axis in range(3)]

    @inline
    def scale_of(self, scales, meta, place, x, key):
        page, row = key
        at = page * self.C.long(element(meta, place)) + x.kh * self.C.long(element(meta, place + 1)) + row
        return scales.number(scales.at(at), 0)

    # -- scores -------------------------------------------------------------------------------------------------------
    @inline
    def products(self, k, rows, scratch, q_at, sums, at):
        """sums[r, i] += q[r] k[i] over the columns from `at` on, a vector of them."""
        whole = at + self.W <= self.spec.d
        keys = [k.vector(row, at) if whole else k.part(row, at, self.spec.d - at) for row in rows]
        for r in range(self.RB):
            q = scratch.vector(q_at, r * self.d + at)
            for i in range(self.KB):
                self.C.fma(q, keys[i], sums.values[r * self.KB + i])

    @inline
    def scores(self, k, rows, scratch, q_at):
        """Lane r KB + i: the product of query r and key i."""
        sums = Block([self.C.splat(0.0) for _ in range(self.RB * self.KB)])
        for at in range(0, self.d, self.W):
            self.products(k, rows, scratch, q_at, sums, at)
        return self.C.total_by_lane(sums.values)

    @inline
    def by_key(self, numbers):
        """Lane r KB + i holds numbers[i]."""
        return self.C.numbers(lambda n: numbers[n % self.KB])

    @inline
    def modify(self, s, starts, x, first, softcap, bias, mask, meta):
        """Softcap, bias and mask, in this order, on a block of scores whose first key is `first`."""
        C, spec = self.C, self.spec
        if spec.softcap:
            assign(s, C.tanh(s / softcap) * softcap)
        for name, present, array, place in (("bias", spec.bias, bias, Meta.BIAS), ("mask", spec.mask, mask, Meta.MASK)):
            if not present:
                continue
            step = local(element(meta, place + 3))
            indices = C.by_lane(lambda n, name=name, step=step: element(starts[name], n)
                                + ti.min(ti.max(first + n % self.KB, x.begin), x.end - 1) * step)
            own = C.gather(array, indices, spec.bias_type if name == "bias" else "mask")
            # A bias of -inf masks, whatever the score is: NaN - inf would be NaN.
            hidden, otherwise = (0.0, s) if name == "mask" else (NEGATIVE_INFINITY, s + own)
            assign(s, C.where_equal(own, hidden, C.splat(NEGATIVE_INFINITY), otherwise))

    @inline
    def mark(self, s, p):
        """Weights, with -inf for a masked key where values may not be finite."""
        C = self.C
        return C.where_equal(s, NEGATIVE_INFINITY, C.splat(NEGATIVE_INFINITY), p) if self.spec.careful else p

    # -- values -------------------------------------------------------------------------------------------------------
    @inline
    def sums_at(self, scratch, a_at, shrink_at, columns):
        """sums[r, c] of a block of columns, brought to the new maxima."""
        values = []
        for r in range(self.RB):
            shrink = scratch.number(shrink_at, r * self.KB)
            values += [local(scratch.vector(a_at, r * self.dv + c * self.W) * shrink) for c in columns]
        return Block(values)

    @inline
    def add_values(self, v, row, scratch, p_at, i, columns, sums):
        """sums[r, c] += p[r] v[c] for key i of a block."""
        C, W = self.C, self.W
        values = [v.vector(row, c * W) if (c + 1) * W <= self.spec.dv else v.part(row, c * W, self.spec.dv - c * W)
                  for c in columns]
        for r in range(self.RB):
            p = scratch.number(p_at, r * self.KB + i)
            for c, value in enumerate(values):
                total = sums.values[r * len(columns) + c]
                if self.spec.careful:
                    kept = local(total)
                    C.fma_number(p, value, total)
                    assign(total, C.where_equal(C.splat(p), NEGATIVE_INFINITY, kept, total))
                else:
                    C.fma_number(p, value, total)

    @inline
    def put_sums(self, scratch, a_at, columns, sums):
        for r in range(self.RB):
            for c, column in enumerate(columns):
                scratch.put(a_at, r * self.dv + column * self.W, sums.values[r * len(columns) + c])

    @inline
    def put_row(self, scratch, source, parts, target):
        for at in range(0, self.dv, self.W):
            parts.put(target, at, scratch.vector(source, at))


def build(columns, config, spec):
    """The kernel for a lane type, tile sizes and features."""
    C, asm = columns, Assembly(columns, config, spec)
    W, RB, KB, G, D, DV = asm.W, asm.RB, asm.KB, asm.G, asm.d, asm.dv
    merge = attention_merge.rows(columns, MergeSpec(spec.dv, spec.dtype, spec.lse, spec.sinks), Meta.MERGE)
    scaled = spec.kv_type == "i8"
    changed = spec.softcap or spec.bias or spec.mask
    NUMBERS, KV = C.array(asm.scalar_name), C.array(spec.kv_type)
    ELEMENTS, INTS = C.array(spec.dtype), ti.types.ndarray(ti.i32, 1)
    MASK = ti.types.ndarray(C.lanes.mask_type, 1) if spec.mask else ti.template()
    BIAS = ti.types.ndarray(C.lanes.bias_type(spec.bias_type), 1) if spec.bias else ti.template()
    SINKS = ti.types.ndarray(C.scalar, 1) if spec.sinks else ti.template()
    LSE = NUMBERS if spec.lse else ti.template()
    TABLE = C.array("i32") if spec.page_size else ti.template()
    SCALES = C.array("f32") if scaled else ti.template()

    @ti.kernel
    def attention_decode(q: ELEMENTS, k: KV, v: KV, out: ELEMENTS, lse: LSE, mask: MASK, bias: BIAS, sinks: SINKS,
                         scratch: NUMBERS, parts_a: NUMBERS, parts_m: NUMBERS, parts_l: NUMBERS, table: TABLE,
                         k_scales: SCALES, v_scales: SCALES, meta: INTS, scale: C.scalar, softcap: C.scalar,
                         programs: ti.i32):
        ti.loop_config(block_dim=1)
        for program in range(programs):
            Q, K, V = asm.memory("q", q, meta, spec.dtype), asm.memory("k", k, meta, spec.kv_type), asm.memory(
                "v", v, meta, spec.kv_type)
            S = asm.memory("scratch", scratch, meta)
            pages = asm.memory("table", table, meta, "i32")
            k_scale, v_scale = asm.memory("k_scales", k_scales, meta), asm.memory("v_scales", v_scales, meta)
            A = asm.part("A", parts_a, meta)
            M = asm.part("M", parts_m, meta)
            P = asm.part("L", parts_l, meta)
            k_strides, v_strides = asm.strides(meta, Meta.K), asm.strides(meta, Meta.V)
            blocks = meta[Meta.BLOCKS]
            q_at, a_at, s_at, m_at, l_at, shrink_at, _ = asm.layout(S, meta, program, blocks)
            task = ti.atomic_add(meta[Meta.TASK], 1)
            while task < meta[Meta.TASKS]:
                x = asm.task(meta, task)
                visited = 0
                whole = 0
                for r in range(blocks * RB):
                    asm.put_query(Q, asm.query_at(Q, x, r, meta), S, S.step(q_at, r * D), scale)
                    asm.clear(S, S.step(a_at, r * DV))
                for e in range(blocks):
                    S.put(S.step(m_at, e * W), 0, C.splat(NEGATIVE_INFINITY))
                    S.put(S.step(l_at, e * W), 0, C.splat(0.0))
                last = (x.end + (G - 1)) // G
                if x.end <= x.begin:
                    last = 0
                for g in range(x.begin // G, last):
                    start = g * G
                    c0 = ti.max(x.begin - start, 0) // KB
                    c1 = (ti.min(x.end - start, G) + (KB - 1)) // KB
                    partial = (start < x.full_begin) or (start + G > x.full_end)
                    visited += 1
                    if not partial:
                        whole += 1

                    # Scores of KB keys and RB rows at a time.
                    for c in range(c0, c1):
                        places = [asm.where(x, start + c * KB + i, pages, meta) for i in ti.static(range(KB))]
                        k_rows = [asm.row_at(K, k_strides, x, places[i]) for i in ti.static(range(KB))]
                        for e in range(blocks):
                            s = asm.scores(K, k_rows, S, S.step(q_at, e * (RB * D)))
                            if ti.static(scaled):
                                s *= asm.by_key([asm.scale_of(k_scale, meta, Meta.K_SCALES, x, places[i])
                                                 for i in ti.static(range(KB))])
                            S.put(S.step(s_at, e * (RB * G) + c * W), 0, s)

                    # Weights e^(s - m), their sums, and what moves the old sums to the new maxima.
                    for e in range(blocks):
                        s_of = S.step(s_at, e * (RB * G))
                        state = e * W
                        m = S.vector(S.step(m_at, state), 0)
                        top = m
                        if ti.static(changed):
                            starts = asm.all_starts(x, e * RB, meta)
                            for c in range(c0, c1):
                                s = S.vector(S.step(s_of, c * W), 0)
                                asm.modify(s, starts, x, start + c * KB, softcap, bias, mask, meta)
                                S.put(S.step(s_of, c * W), 0, s)
                        if partial:
                            low, high = asm.reach(x, e * RB)
                            for c in range(c0, c1):
                                s = S.vector(S.step(s_of, c * W), 0)
                                S.put(S.step(s_of, c * W), 0, C.keep(s, start + c * KB, low, high))
                        for c in range(c0, c1):
                            top = C.maximum(S.vector(S.step(s_of, c * W), 0), top)
                        top = C.max_across(top, KB)
                        relative = C.where_equal(top, NEGATIVE_INFINITY, C.splat(0.0), top)
                        shrink = C.exp_sub(m, relative)
                        total = C.splat(0.0)
                        for c in range(c0, c1):
                            s = S.vector(S.step(s_of, c * W), 0)
                            p = C.exp_sub(s, relative)
                            total += p
                            if ti.static(scaled):
                                p *= asm.by_key([asm.scale_of(v_scale, meta, Meta.V_SCALES, x, asm.where(
                                    x, start + c * KB + i, pages, meta)) for i in ti.static(range(KB))])
                            S.put(S.step(s_of, c * W), 0, asm.mark(s, p))
                        S.put(S.step(m_at, state), 0, top)
                        S.put(S.step(l_at, state), 0, S.vector(S.step(l_at, state), 0) * shrink + total)
                        S.put(S.step(shrink_at, state), 0, shrink)

                    # Sums of weighted values, a block of columns at a time.
                    for e in range(blocks):
                        for block in ti.static(asm.value_blocks):
                            a_of = S.step(a_at, e * (RB * DV))
                            sums = asm.sums_at(S, a_of, S.step(shrink_at, e * W), block)
                            for c in range(c0, c1):
                                p_of = S.step(s_at, e * (RB * G) + c * W)
                                for i in ti.static(range(KB)):
                                    row = asm.row_at(V, v_strides, x, asm.where(x, start + c * KB + i, pages, meta))
                                    asm.add_values(V, row, S, p_of, i, block, sums)
                            asm.put_sums(S, a_of, block, sums)

                for e in range(blocks):
                    S.put(S.step(l_at, e * W), 0, C.add_across(S.vector(S.step(l_at, e * W), 0), KB))
                for r in range(x.rows):
                    at = r // RB * W + r % RB * KB
                    M.put_number(M.at(x.parts_row + r), 0, S.number(S.step(m_at, at), 0))
                    P.put_number(P.at(x.parts_row + r), 0, S.number(S.step(l_at, at), 0))
                    asm.put_row(S, S.step(a_at, r * DV), A, A.at(C.long(x.parts_row + r) * DV))
                ti.atomic_add(meta[Meta.VISITED], visited)
                ti.atomic_add(meta[Meta.FULL], whole)
                task = ti.atomic_add(meta[Meta.TASK], 1)

        ti.loop_config(block_dim=1)
        for program in range(programs):
            merge(parts_a, parts_m, parts_l, out, lse, sinks, meta, program, programs)

    return attention_decode
