"""The pieces of kernels/attention_decode.py: a task, and the straight-line code of its three steps."""
from enum import IntEnum

import taichi as ti
from aat.kernels.attention_merge import Merge, padded
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Block, Traced, assign, element, inline, local
from aat.kernels.lanes.columns import SIZES
from aat.kernels.parts.queries import PROGRAM

# Hints for the caches, in keys from the one in work; how sharp these optima are: docs/kernels/attention_decode.md.
NEAR = {1: 16}         # by the bytes of an element: to the one that is asked into the first cache, 5 if not named,
FAR = {1: 32}          # and at least so many to the key that is asked into the second, 8 if not named: whole groups


class Meta(IntEnum):
    """Places in the i32 array that describes a launch; keys[b] and q_offset[b] follow from BATCH on, in turn."""

    TASK = 0           # next task (CPU)
    COUNTS = 1         # where a program's counts stand (Counts): PROGRAM places each by address, one for all by index
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
ADDRESSED = ("q", "k", "v", "scratch", "table", "k_scales", "v_scales", "meta")


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


class Keys(Traced):
    """Rows of keys or values: row r of page p stands at start + p * page_step + r * row_step."""

    def __init__(self, memory, start, page_step, row_step, columns, near):
        self.memory, self.start, self.columns = memory, start, columns
        self.page_step, self.row_step = memory.stride(page_step), memory.stride(row_step)
        self.near_step = local(self.row_step * near)

    @inline
    def at(self, place):
        page, row = place
        start = self.start if page is None else self.start + page * self.page_step
        return local(start + row * self.row_step)

    @inline
    def vector(self, handle, column, width):
        """`width` columns as lanes; 0 where there are no more."""
        whole = column + width <= self.columns
        return self.memory.vector(handle, column) if whole else self.memory.part(handle, column, self.columns - column)

    @inline
    def prefetch(self, handle, near, part=0, parts=1):
        """Ask for a row, or for one of `parts` equal parts of it; `near` into the first cache."""
        self.memory.prefetch(handle, part * self.columns // parts, (part + 1) * self.columns // parts, near)


class Group(Traced):
    """The rows of a group of keys, counted from its first one; pages are looked up once where a group lies in one."""

    def __init__(self, asm, keys, x, start, table, meta):
        self.asm, self.keys, self.x, self.start, self.table, self.meta = asm, keys, x, start, table, meta
        self.last = local(x.end - 1 - start)
        self.linear = asm.spec.page_size % asm.G == 0
        if self.linear:
            self.place = asm.place(x, start, table, meta)
            self.base = keys.at(self.place)
            self.ahead = local(keys.row_step * asm.far)      # to the same row of the group that is asked for
            if asm.spec.page_size:
                self.ahead, after = self._step(asm.far), self._step(asm.G)
                self.jump = local(after - keys.row_step * asm.G)

    def _step(self, count):
        """From the first row to that of the group `count` keys further."""
        return local(self.keys.at(self.asm.where(self.x, self.start + count, self.table, self.meta)) - self.base)

    @inline
    def row(self, j):
        """A handle on row j, at most the last one of the task."""
        if not self.linear:
            return self.keys.at(self.asm.where(self.x, self.start + j, self.table, self.meta))
        return local(self.base + ti.min(j, self.last) * self.keys.row_step)

    @inline
    def near(self, j, row):
        """A handle on the row NEAR keys on, for asking; `row` is that of j. It takes any row past the group for one of
        the next: in short groups a hint may miss, once a page."""
        if not self.linear:
            return self.row(j + self.asm.near)
        near = row + self.keys.near_step
        if not self.asm.spec.page_size:
            return local(near)
        return local(near + ti.select(j + self.asm.near < self.asm.G, 0, self.jump))

    @inline
    def far(self, j, row):
        """A handle on row j of the group that is asked for, FAR keys ahead or more."""
        return local(row + self.ahead) if self.linear else self.row(j + self.asm.far)


class Assembly(Traced):
    """The straight-line pieces of the kernel for a lane type, tile sizes and features; traced where they are called."""

    def __init__(self, columns, config, spec):
        self.C, self.config, self.spec = columns, config, spec
        self.W = W = columns.width
        self.RB = min(config.lane_vectors, W)       # rows of a block
        self.KB = W // self.RB                      # keys of a block: its scores fill the lanes of one variable
        self.G = config.keys_per_group
        size = SIZES[spec.kv_type]
        self.near, self.far = NEAR.get(size, 5), -(-FAR.get(size, 8) // self.G) * self.G
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
    def counts(self, meta, number):
        """Where a program counts."""
        place = local(element(meta, Meta.COUNTS))
        return local(place + PROGRAM * number) if self.C.by_address else place

    @inline
    def add_count(self, meta, at, value):
        """Add to the program's own counter, or in one step to that of all."""
        if self.C.by_address:
            self.C.lanes.add_count(meta, at, value)
        else:
            ti.atomic_add(element(meta, at), value)

    @inline
    def address(self, meta):
        return self.C.lanes.address(meta, Meta.ADDRESSES + 2 * ADDRESSED.index("meta"))

    @inline
    def next_task(self, meta, address):
        """The next task from the counter; a serial loop of Taichi's would not take it in one step."""
        if self.C.by_address:
            return self.C.lanes.next_task(meta, Meta.TASK, address, 0, 0)
        return local(ti.atomic_add(element(meta, Meta.TASK), 1))

    @inline
    def part(self, letter, array, meta):
        """One of the arrays that the merge reads."""
        return self.C.memory(array, meta, Meta.MERGE + Merge[f"{letter}_ADDRESS"], self.scalar_name)

    @inline
    def layout(self, scratch, meta, program, blocks):
        """Handles on a program's scratch memory."""
        rows = local(blocks * self.RB)
        each = local(rows * (self.d + self.dv + self.G) + blocks * (4 * self.W))
        start = local(self.C.long(program) * ((each + 15) // 16 * 16))
        handles = []
        for size in (rows * self.d, rows * self.dv, rows * self.G, blocks * self.W, blocks * self.W, 0):
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
    def rows_of(self, name, array, meta, x):
        """Keys or values of the task's KV head."""
        memory = self.memory(name, array, meta, self.spec.kv_type)
        batch, head, row = (self.C.long(element(meta, Meta[name.upper()] + axis)) for axis in range(3))
        start = x.kh * head if self.spec.page_size else x.b * batch + x.kh * head
        return Keys(memory, memory.at(start), batch, row, getattr(self.spec, {"k": "d", "v": "dv"}[name]),
                    self.near)

    @inline
    def where(self, x, j, table, meta):
        """(page, row there) of key j, which is brought within the task's keys first; without pages, (None, j)."""
        if self.spec.page_size:
            j = local(ti.min(ti.max(j, x.begin), x.end - 1))
        return self.place(x, j, table, meta)

    @inline
    def place(self, x, j, table, meta):
        """The same of a key whose page holds some key of the task."""
        if not self.spec.page_size:
            return None, local(j)
        page = table.number(table.at(x.b * element(meta, Meta.TABLE) + j // self.spec.page_size), 0)
        return page, local(j % self.spec.page_size)

    @inline
    def group(self, keys, x, start, table, meta):
        return Group(self, keys, x, start, table, meta)

    @inline
    def scales_of(self, name, array, meta, x, group, c, table):
        """Lane r KB + i: the scale of key c KB + i of a group. Behind the task's last key it may be any: zero, or that
        of a row that was taken back; the weight there is 0, and not looked at in a careful launch."""
        scales = self.memory(name, array, meta)
        page_step, head_step = (self.C.long(element(meta, Meta[name.upper()] + axis)) for axis in range(2))
        start = x.kh * head_step
        if group.linear and self.C.by_address:
            page, row = group.place
            start = start + (x.b * page_step if page is None else page * page_step)
            return scales.repeated(scales.at(start + row + c * self.KB), 0, self.KB)
        numbers = []
        for i in range(self.KB):
            page, row = self.where(x, group.start + c * self.KB + i, table, meta)
            own = start + (x.b * page_step if page is None else page * page_step)
            numbers.append(scales.number(scales.at(own + row), 0))
        return self.C.numbers(lambda n: numbers[n % self.KB])

    # -- scores -------------------------------------------------------------------------------------------------------
    @inline
    def scores(self, K, rows, scratch, q_at, ahead=()):
        """Lane r KB + i: the product of query r and key i. `ahead`: (keys, handles, near) to ask for between products,
        which keeps as many lines on their way as the processor can.
        """
        sums = [self.C.splat(0.0) for _ in range(self.W)]
        for at in range(0, self.d, self.W):
            for i in range(self.KB):
                for keys, handles, near in ahead:
                    keys.prefetch(handles[i], near, at // self.W, self.d // self.W)
            keys = [K.vector(row, at, self.W) for row in rows]
            for r in range(self.RB):
                q = scratch.vector(q_at, r * self.d + at)
                for i in range(self.KB):
                    self.C.fma(q, keys[i], sums[r * self.KB + i])
        return self.C.total_by_lane(sums)

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
    def add_values(self, V, row, scratch, p_at, i, columns, sums):
        """sums[r, c] += p[r] v[c] for key i of a block."""
        C = self.C
        values = [V.vector(row, c * self.W, self.W) for c in columns]
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
