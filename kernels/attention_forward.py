"""Exact attention, forward: one pass over the keys with a running softmax (Milakov & Gimelshein 2018, Dao et al. 2022).

A lane is a query. A program owns `rows_per_program` queries of one head and walks over the groups of keys that its
rows can see; docs/kernels/attention_forward.md derives the sizes. Everything that differs between a CPU and a GPU is
in aat.kernels.lanes or in the TileConfig.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Registers, Scratch, Staged, Traced, assign, element, inline, local

FAR = 2**30            # a window side that is open; positions stay below it, so sums fit in an int32


class Meta(IntEnum):
    """Places in the i32 array that describes a launch; keys[b] and q_offset[b] follow from BATCH on, in turn."""

    TASK = 0           # next task (CPU)
    NONFINITE = 1      # set to 1 when an output is not finite
    VISITED = 2        # groups of keys visited
    FULL = 3           # of those, groups that every row of the program sees whole
    HEADS = 4          # query heads
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
    K_ADDRESS = 31     # 64-bit addresses of k and v, low word first (CPU)
    V_ADDRESS = 33
    BATCH = 35


@dataclass(frozen=True, slots=True)
class Spec:
    """What a kernel is compiled for, besides lanes and tiles.

    mask and bias: "" (absent), "rows" (differs between queries) or "keys" (the query axis has size 1).
    bias_type: dtype of the bias, "f16", "bf16", "f32" or "f64".
    careful: a masked key's value is not even multiplied by zero (needed when it is NaN or infinite).
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


def scratch_lanes(config, spec):
    """Lane variables of scratch memory that a program (on a GPU: a thread) needs."""
    if config.registers:
        return 0
    # A multiple of 128 shows LLVM that adding a small index to the base does not carry, so it need not re-extend it.
    return -(-(config.keys_per_group + spec.d + spec.dv) * config.lane_vectors // 128) * 128


def stage_elements(config, spec):
    """f32 elements that a CPU program needs to stage a tile of 16-bit keys and values."""
    return config.keys_per_tile * (spec.d + spec.dv)


class Task(Traced):
    """One program's share: a block of rows of one head, as kernel variables. Rows past the last one repeat it."""

    def __init__(self, L, config, meta, task, thread):
        def fact(place):
            return element(meta, place)

        vectors, threads = config.lane_vectors, config.threads
        span = L.width * vectors * threads
        tiles = local(fact(Meta.TILES))
        # The last rows come first: with causal they are the heaviest, and light tasks at the end balance the threads.
        first = local((tiles - 1 - task % tiles) * span)
        self.bh = local(task // tiles)
        self.b, self.h = local(self.bh // fact(Meta.HEADS)), local(self.bh % fact(Meta.HEADS))
        self.kh = local(self.h // fact(Meta.GROUP))
        keys, offset = local(fact(Meta.BATCH + 2 * self.b)), local(fact(Meta.BATCH + 1 + 2 * self.b))
        left, right = local(fact(Meta.LEFT)), local(fact(Meta.RIGHT))
        last_row = local(fact(Meta.QUERIES) - 1)
        # Keys that some row sees, and those that every row sees (aat.tiling.base.key_ranges).
        low, high = local(first + offset), local(ti.min(first + (span - 1), last_row) + offset)
        self.begin, self.end = self._limit(low - left, keys), self._limit(high + right + 1, keys)
        self.full_begin, self.full_end = self._limit(high - left, keys), self._limit(low + right + 1, keys)
        self.rows = [L.rows(first + (u * threads + thread) * L.width, last_row) for u in range(vectors)]
        # Keys that each row sees: low <= j < high.
        self.low = [L.affine(rows, 1, offset - left, 0, keys) for rows in self.rows]
        self.high = [L.affine(rows, 1, offset + right + 1, 0, keys) for rows in self.rows]

    def _limit(self, x, keys):
        return local(ti.min(ti.max(x, 0), keys))


class Assembly(Traced):
    """The straight-line pieces of the kernel for a lane type, tile sizes and features; traced where they are called."""

    def __init__(self, lanes, config, spec):
        self.L, self.config, self.spec = lanes, config, spec
        self.U, self.KC, self.BG = config.lane_vectors, config.keys_per_block, config.keys_per_group
        self.scratch = scratch_lanes(config, spec)
        self.stage = stage_elements(config, spec) if lanes.staged and lanes.backend == "cpu" else 0
        full, rest = divmod(spec.dv, config.columns_per_block)
        self.column_parts = [(0, full, config.columns_per_block)]           # first column, blocks, columns of a block
        if rest:
            self.column_parts.append((spec.dv - rest, 1, rest))

    @inline
    def store(self, array, program, thread, start, count):
        """Lane variables of a program: registers, or a slice of its scratch memory."""
        if self.config.registers:
            return Registers(count, self.L.splat(0.0))
        threads = self.config.threads
        return Scratch(array, local(program * (self.scratch * threads) + thread + start * threads), threads)

    @inline
    def task(self, meta, task, thread):
        x = Task(self.L, self.config, meta, task, thread)
        # Where mask and bias start for the task's rows (and for its head), once and not in every block of keys.
        x.starts = {place: self.places(x, meta, place)
                    for place, kind in ((Meta.BIAS, self.spec.bias), (Meta.MASK, self.spec.mask)) if kind}
        return x

    @inline
    def places(self, x, meta, place):
        """Where the rows of a (batch, head, row, ...) array start, by lane."""
        base = local(x.b * element(meta, place) + x.h * element(meta, place + 1))
        return [self.L.affine(rows, element(meta, place + 2), base) for rows in x.rows]

    @inline
    def keys(self, array, meta, place, address_at, x, last):
        """Keys or values of the task's KV head, read where they are."""
        offset = local(x.b * element(meta, place) + x.kh * element(meta, place + 1))
        return self.L.rows_in_place(array, meta, address_at, offset, element(meta, place + 2), last)

    @inline
    def start(self, sinks, x):
        """Running maxima and sums before the first key."""
        L, U = self.L, self.U
        if not self.spec.sinks:
            return [L.splat(NEGATIVE_INFINITY) for _ in range(U)], [L.splat(0.0) for _ in range(U)]
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
            for i in range(self.KC):
                j = local(ti.min(first + i, x.end - 1) * element(meta, place + 3))
                # Without a query axis its stride is 0 and every lane starts at the same element.
                shared = L.broadcast(array, L.first(x.starts[place][0]) + j, dtype) if kind == "keys" else None
                for u in range(U):
                    value = s.values[i * U + u]
                    own = shared if shared is not None else L.gather(array, x.starts[place][u], j, dtype)
                    # A bias of -inf masks, whatever the score is: NaN - inf would be NaN.
                    hidden, otherwise = (0.0, value) if name == "mask" else (NEGATIVE_INFINITY, value + own)
                    masked = L.where_equal(own, hidden, L.splat(NEGATIVE_INFINITY), otherwise)
                    assign(value, masked)

    @inline
    def keep(self, s, first, x):
        """-inf for keys outside a row's reach."""
        for i in range(self.KC):
            for u in range(self.U):
                value = s.values[i * self.U + u]
                assign(value, self.L.keep(value, first + i, x.low[u], x.high[u]))

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
        L = self.L
        for u in range(self.U):
            s = S.get(j * self.U + u)
            p = L.exp_sub(s, base[u])
            total[u]._augassign(p, "Add")
            S.put(j * self.U + u, L.where_equal(s, NEGATIVE_INFINITY, L.splat(-1.0), p) if self.spec.careful else p)

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
    def finish(self, A, c, l, inverse, flagged, out, out_rows):
        """Column c of the results: a / l, or 0 for rows that saw no key."""
        L = self.L
        for u in range(self.U):
            x = L.where_equal(l[u], 0.0, L.splat(0.0), A.get(c * self.U + u) * inverse[u])
            flagged[u]._augassign(L.nonfinite(x), "Add")
            L.scatter(out, out_rows[u], c, x)

    @inline
    def write_lse(self, m, l, lse, meta, x):
        L = self.L
        for u in range(self.U):
            value = L.where_equal(l[u], 0.0, L.splat(NEGATIVE_INFINITY), m[u] + L.log(l[u]))
            L.scatter_plain(lse, L.affine(x.rows[u], 1, x.bh * element(meta, Meta.QUERIES)), value)


def build(lanes, config, spec):
    """The kernel for a lane type, tile sizes and features."""
    L, D, DV, asm = lanes, spec.d, spec.dv, Assembly(lanes, config, spec)
    U, KC, BG, BN, BD = asm.U, asm.KC, asm.BG, config.keys_per_tile, config.threads
    in_shared = L.staged and not asm.stage
    # With everything in registers every index is static; otherwise loops run.
    loop = ti.static if config.registers else ti.ndrange

    @inline
    def span(low, high, count):
        return range(count) if config.registers else (low, high)

    @inline
    def tile(in_place, fast, stage, base, first, columns):
        return Staged(fast if in_shared else stage, base, first, columns) if L.staged else in_place

    stage_k, stage_v = L.stage(D, BN, BD), L.stage(DV, BN, BD)
    ELEMENTS, NUMBERS = ti.types.ndarray(L.element_type, 1), ti.types.ndarray(L.scalar, 1)
    INTS, NUMBER = ti.types.ndarray(ti.i32, 1), L.scalar
    # An array that a kernel is compiled without costs nothing at a launch as a template.
    MASK = ti.types.ndarray(L.mask_type, 1) if spec.mask else ti.template()
    BIAS = ti.types.ndarray(L.bias_type(spec.bias_type), 1) if spec.bias else ti.template()
    SINKS = NUMBERS if spec.sinks else ti.template()
    LSE = NUMBERS if spec.lse else ti.template()
    SCRATCH = ti.types.ndarray(L.vector, 1) if asm.scratch else ti.template()
    STAGE = ti.types.ndarray(ti.f32, 1) if asm.stage else ti.template()

    @ti.kernel
    def attention_forward(q: ELEMENTS, k: ELEMENTS, v: ELEMENTS, out: ELEMENTS, lse: LSE, mask: MASK, bias: BIAS,
                          sinks: SINKS, scratch: SCRATCH, stage: STAGE, meta: INTS, scale: NUMBER, softcap: NUMBER,
                          programs: ti.i32):
        ti.loop_config(block_dim=BD)
        for t in range(programs * BD):
            thread = t % BD
            program = t // BD
            k_fast = L.shared(BN * D)
            v_fast = L.shared(BN * DV)
            k_base = program * asm.stage
            v_base = program * asm.stage + (BN * D if asm.stage else 0)
            S = asm.store(scratch, program, thread, 0, BG * U)                # scores, then weights  [BG, U]
            Q = asm.store(scratch, program, thread, BG * U, D * U)            # scaled queries        [D, U]
            A = asm.store(scratch, program, thread, (BG + D) * U, DV * U)     # weighted sums         [DV, U]
            task = program
            if ti.static(L.dynamic_tasks):
                task = ti.atomic_add(meta[Meta.TASK], 1)
            while task < meta[Meta.TASKS]:
                x = asm.task(meta, task, thread)
                q_rows = asm.places(x, meta, Meta.Q)
                for d in loop(span(0, D, D)):
                    for u in ti.static(range(U)):
                        Q.put(d * U + u, L.gather(q, q_rows[u], d, L.dtype) * scale)
                for c in loop(span(0, DV, DV)):
                    for u in ti.static(range(U)):
                        A.put(c * U + u, L.splat(0.0))
                m, l = asm.start(sinks, x)
                visited = 0
                whole = 0
                k_rows = asm.keys(k, meta, Meta.K, Meta.K_ADDRESS, x, x.end - 1)
                v_rows = asm.keys(v, meta, Meta.V, Meta.V_ADDRESS, x, None)
                last_tile = (x.end + (BN - 1)) // BN
                if x.end <= x.begin:
                    last_tile = 0
                for n in range(x.begin // BN, last_tile):
                    if ti.static(L.staged):
                        L.sync()
                        if ti.static(in_shared):
                            stage_k(k, k_rows.offset, k_rows.stride, x.end - 1, k_fast, 0, n * BN, thread)
                            stage_v(v, v_rows.offset, v_rows.stride, x.end - 1, v_fast, 0, n * BN, thread)
                        else:
                            stage_k(k, k_rows.offset, k_rows.stride, x.end - 1, stage, k_base, n * BN, thread)
                            stage_v(v, v_rows.offset, v_rows.stride, x.end - 1, stage, v_base, n * BN, thread)
                        L.sync()
                    K = tile(k_rows, k_fast, stage, k_base, n * BN, D)
                    V = tile(v_rows, v_fast, stage, v_base, n * BN, DV)
                    for g in range(BN // BG):
                        start = n * BN + g * BG
                        j0 = ti.max(x.begin - start, 0)
                        j1 = ti.min(x.end - start, BG)
                        if j0 < j1:
                            partial = (start < x.full_begin) or (start + BG > x.full_end)
                            visited += 1
                            if not partial:
                                whole += 1

                            # Scores of KC keys at a time: s[i, u] = sum_d k[i, d] q[d, u].
                            m_new = [m[u] for u in ti.static(range(U))]
                            for c in loop(span(j0 // KC, (j1 + (KC - 1)) // KC, BG // KC)):
                                s = S.filled_block(c * (KC * U), KC * U, L.splat(0.0))
                                at = [K.at(start + c * KC + i, 0) for i in ti.static(range(KC))]
                                for d in loop(span(0, D, D)):
                                    qd = Q.block(d * U, U)
                                    for i in ti.static(range(KC)):
                                        y = K.get(at[i], d)
                                        for u in ti.static(range(U)):
                                            L.fma(y, qd.values[u], s.values[i * U + u])
                                asm.modify(s, start + c * KC, softcap, bias, mask, meta, x)
                                if partial:
                                    asm.keep(s, start + c * KC, x)
                                asm.raise_maxima(m_new, s)
                                S.put_block(c * (KC * U), s)

                            # Weights p = e^(s - m) and their sums.
                            base = asm.bases(m_new)
                            shrink = [L.exp_sub(m[u], base[u]) for u in ti.static(range(U))]
                            total = [L.splat(0.0) for _ in ti.static(range(U))]
                            for j in loop(span(j0, j1, BG)):
                                asm.weigh(S, j, base, total)
                            asm.update(m, l, m_new, shrink, total)

                            # Sums a[c, u] = a[c, u] shrink[u] + sum_j v[j, c] p[j, u], a block of columns at a time.
                            for part in ti.static(asm.column_parts):
                                for e in loop(span(0, part[1], part[1])):
                                    a = A.scaled_block((part[0] + e * part[2]) * U, part[2] * U, shrink)
                                    for j in loop(span(j0, j1, BG)):
                                        at = V.at(start + j, part[0] + e * part[2])
                                        p = S.block(j * U, U)
                                        for i in ti.static(range(part[2])):
                                            asm.add_value(a, i, V.get(at, i), p)
                                    A.put_block((part[0] + e * part[2]) * U, a)

                out_rows = asm.places(x, meta, Meta.O)
                inverse = [L.splat(1.0) / l[u] for u in ti.static(range(U))]
                flagged = [L.splat(0.0) for _ in ti.static(range(U))]
                for c in loop(span(0, DV, DV)):
                    asm.finish(A, c, l, inverse, flagged, out, out_rows)
                for u in ti.static(range(U)):
                    if L.any_nonzero(flagged[u]) != 0:
                        meta[Meta.NONFINITE] = 1
                if ti.static(spec.lse):
                    asm.write_lse(m, l, lse, meta, x)
                if thread == 0:
                    ti.atomic_add(meta[Meta.VISITED], visited)
                    ti.atomic_add(meta[Meta.FULL], whole)
                if ti.static(L.dynamic_tasks):
                    task = ti.atomic_add(meta[Meta.TASK], 1)
                else:
                    task += programs

    return attention_forward
