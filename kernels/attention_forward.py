"""Exact attention, forward: one pass over the keys with a running softmax (Milakov & Gimelshein 2018, Dao et al. 2022).

A lane is a query. A program owns `rows_per_program` queries of one head and walks over the groups of keys that its rows
can see; docs/kernels/attention_forward.md derives the sizes. Everything that differs between a CPU and a GPU is in
aat.kernels.lanes or in the TileConfig.
"""
from dataclasses import dataclass
from enum import IntEnum

import taichi as ti

from aat.kernels.lanes.base import Registers, Scratch, Staged, inline

FAR = 2**30            # a window side that is open; positions stay below it, so sums fit in an int32


class Meta(IntEnum):
    """Places in the i32 array that describes a launch; kv_lens[b] and q_offset[b] follow from BATCH on, in turn."""

    TASK = 0           # next task (CPU)
    NONFINITE = 1      # set to 1 when an output is not finite
    VISITED = 2        # groups of keys visited
    FULL = 3           # of those, groups that needed no mask
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
    softcap: bool = False
    sinks: bool = False
    lse: bool = False
    bias_type: str = "f32"
    careful: bool = False


def scratch_lanes(config, spec):
    """Lane variables of scratch memory that a program (a GPU: a thread) needs."""
    if config.registers:
        return 0
    # A multiple of 128 shows LLVM that adding a small index to the base does not carry, so it need not re-extend it.
    return -(-(config.keys_per_group + spec.d + spec.dv) * config.lane_vectors // 128) * 128


def stage_elements(config, spec):
    """f32 elements that a CPU program needs to stage a tile of 16-bit keys and values."""
    return config.keys_per_tile * (spec.d + spec.dv)


def build(lanes, config, spec):
    """Compile-time assembly of the kernel for a lane type, tile sizes and features."""
    L, D, DV = lanes, spec.d, spec.dv
    U, KC, BG, BN = config.lane_vectors, config.keys_per_block, config.keys_per_group, config.keys_per_tile
    W, BD = L.width, config.threads
    ROWS = W * U * BD
    NSCRATCH = scratch_lanes(config, spec)
    NSTAGE = stage_elements(config, spec) if L.staged and L.backend == "cpu" else 0
    on_chip = L.staged and NSTAGE == 0
    columns, tail = divmod(DV, config.columns_per_block)
    column_parts = [(0, columns, config.columns_per_block)]
    if tail:
        column_parts.append((columns * config.columns_per_block, 1, tail))
    infinity = float("inf")

    # With everything in registers every index is static; otherwise loops run.
    loop = ti.static if config.registers else ti.ndrange

    @inline
    def span(low, high, count):
        return range(count) if config.registers else (low, high)

    @inline
    def storage(array, base, count):
        return Registers(count, L.splat(0.0)) if config.registers else Scratch(array, base, BD)

    @inline
    def tile(array, meta, address_at, offset, stride, last, fast, stage, base, first, width):
        if L.staged:
            return Staged(fast if on_chip else stage, base, first, width)
        return L.rows_in_place(array, meta, address_at, offset, stride, last)

    stage_k, stage_v = L.stage(D, BN, BD), L.stage(DV, BN, BD)
    FAST = ti.types.ndarray(ti.f32, 1) if NSTAGE else ti.template()
    SCRATCH = ti.types.ndarray(L.vector, 1) if NSCRATCH else ti.template()
    ELEMENTS = ti.types.ndarray(L.element_type, 1)
    NUMBERS = ti.types.ndarray(L.scalar, 1)
    MASK = ti.types.ndarray(L.mask_type, 1) if spec.mask else ti.template()
    BIAS = ti.types.ndarray(L.bias_type(spec.bias_type), 1) if spec.bias else ti.template()
    SINKS = NUMBERS if spec.sinks else ti.template()
    LSE = NUMBERS if spec.lse else ti.template()
    INTS = ti.types.ndarray(ti.i32, 1)
    NUMBER = L.scalar

    @ti.kernel
    def attention_forward(q: ELEMENTS, k: ELEMENTS, v: ELEMENTS, out: ELEMENTS, lse: LSE, mask: MASK, bias: BIAS,
                          sinks: SINKS, scratch: SCRATCH, stage: FAST, meta: INTS, scale: NUMBER, softcap: NUMBER,
                          programs: ti.i32):
        ti.loop_config(block_dim=BD)
        for t in range(programs * BD):
            thread = t % BD
            program = t // BD
            k_fast = L.shared(BN * D)
            v_fast = L.shared(BN * DV)
            k_base = 0
            v_base = 0
            if ti.static(NSTAGE > 0):
                k_base = program * NSTAGE
                v_base = k_base + BN * D
            own = program * (NSCRATCH * BD) + thread
            S = storage(scratch, own, BG * U)                       # scores, then weights  [BG, U]
            Q = storage(scratch, own + BG * U * BD, D * U)          # scaled queries        [D, U]
            A = storage(scratch, own + (BG + D) * U * BD, DV * U)   # weighted sums         [DV, U]
            tasks = meta[Meta.TASKS]
            task = program
            if ti.static(L.dynamic_tasks):
                task = ti.atomic_add(meta[Meta.TASK], 1)
            while task < tasks:
                tiles = meta[Meta.TILES]
                first = (tiles - 1 - task % tiles) * ROWS           # last rows first: with causal they are the heaviest
                bh = task // tiles
                b = bh // meta[Meta.HEADS]
                h = bh % meta[Meta.HEADS]
                kh = h // meta[Meta.GROUP]
                keys = meta[Meta.BATCH + 2 * b]
                offset = meta[Meta.BATCH + 2 * b + 1]
                last_row = meta[Meta.QUERIES] - 1
                left = meta[Meta.LEFT]
                right = meta[Meta.RIGHT]

                # Keys that some row sees, and those that every row sees (aat.tiling.base.key_ranges).
                low_position = first + offset
                high_position = ti.min(first + (ROWS - 1), last_row) + offset
                begin = ti.min(ti.max(low_position - left, 0), keys)
                end = ti.min(ti.max(high_position + right + 1, 0), keys)
                full_begin = ti.min(ti.max(high_position - left, 0), keys)
                full_end = ti.min(ti.max(low_position + right + 1, 0), keys)

                # Rows past the last one repeat it: they compute and write the same numbers.
                rows = [L.rows(first + (u * BD + thread) * W, last_row) for u in ti.static(range(U))]
                low = [L.affine(rows[u], 1, offset - left, 0, keys) for u in ti.static(range(U))]
                high = [L.affine(rows[u], 1, offset + right + 1, 0, keys) for u in ti.static(range(U))]
                q_rows = [L.affine(rows[u], meta[Meta.Q + 2], b * meta[Meta.Q] + h * meta[Meta.Q + 1]) for u in ti.static(range(U))]
                for d in loop(span(0, D, D)):
                    for u in ti.static(range(U)):
                        Q.put(d * U + u, L.gather(q, q_rows[u], d, L.dtype) * scale)
                for c in loop(span(0, DV, DV)):
                    for u in ti.static(range(U)):
                        A.put(c * U + u, L.splat(0.0))
                m = [L.splat(-infinity) for _ in ti.static(range(U))]
                l = [L.splat(0.0) for _ in ti.static(range(U))]
                if ti.static(spec.sinks):
                    for u in ti.static(range(U)):
                        m[u] = L.splat(sinks[h])
                        l[u] = L.where_equal(m[u], -infinity, L.splat(0.0), L.splat(1.0))
                mask_base = 0
                bias_base = 0
                mask_step = 0
                bias_step = 0
                mask_rows = rows
                bias_rows = rows
                if ti.static(spec.mask != ""):
                    mask_base = b * meta[Meta.MASK] + h * meta[Meta.MASK + 1]
                    mask_step = meta[Meta.MASK + 3]
                    for u in ti.static(range(U)):
                        mask_rows[u] = L.affine(rows[u], meta[Meta.MASK + 2], mask_base)
                if ti.static(spec.bias != ""):
                    bias_base = b * meta[Meta.BIAS] + h * meta[Meta.BIAS + 1]
                    bias_step = meta[Meta.BIAS + 3]
                    for u in ti.static(range(U)):
                        bias_rows[u] = L.affine(rows[u], meta[Meta.BIAS + 2], bias_base)
                k_offset = b * meta[Meta.K] + kh * meta[Meta.K + 1]
                v_offset = b * meta[Meta.V] + kh * meta[Meta.V + 1]
                visited = 0
                unmasked = 0

                first_tile = begin // BN
                last_tile = (end + (BN - 1)) // BN
                if end <= begin:
                    last_tile = first_tile
                for n in range(first_tile, last_tile):
                    if ti.static(L.staged):
                        L.sync()
                        if ti.static(on_chip):
                            stage_k(k, k_offset, meta[Meta.K + 2], end - 1, k_fast, k_base, n * BN, thread)
                            stage_v(v, v_offset, meta[Meta.V + 2], end - 1, v_fast, v_base, n * BN, thread)
                        else:
                            stage_k(k, k_offset, meta[Meta.K + 2], end - 1, stage, k_base, n * BN, thread)
                            stage_v(v, v_offset, meta[Meta.V + 2], end - 1, stage, v_base, n * BN, thread)
                        L.sync()
                    K = tile(k, meta, Meta.K_ADDRESS, k_offset, meta[Meta.K + 2], end - 1, k_fast, stage, k_base, n * BN, D)
                    V = tile(v, meta, Meta.V_ADDRESS, v_offset, meta[Meta.V + 2], None, v_fast, stage, v_base, n * BN, DV)
                    for g in range(BN // BG):
                        start = n * BN + g * BG
                        j0 = ti.max(begin - start, 0)
                        j1 = ti.min(end - start, BG)
                        if j0 < j1:
                            visited += 1
                            partial = (start < full_begin) or (start + BG > full_end)
                            if not partial:
                                unmasked += 1
                            m_new = [m[u] for u in ti.static(range(U))]

                            # Scores of KC keys at a time: s[i, u] = sum_d k[i, d] q[d, u].
                            for c in loop(span(j0 // KC, (j1 + (KC - 1)) // KC, BG // KC)):
                                s = S.filled_block(c * (KC * U), KC * U, L.splat(0.0))
                                k_rows = [K.at(start + c * KC + i, 0) for i in ti.static(range(KC))]
                                for d in loop(span(0, D, D)):
                                    x = Q.block(d * U, U)
                                    for i in ti.static(range(KC)):
                                        y = K.get(k_rows[i], d)
                                        for u in ti.static(range(U)):
                                            L.fma(y, x.values[u], s.values[i * U + u])
                                if ti.static(spec.softcap):
                                    for e in ti.static(range(KC * U)):
                                        s.values[e] = L.tanh(s.values[e] / softcap) * softcap
                                if ti.static(spec.bias == "rows"):
                                    for i in ti.static(range(KC)):
                                        j = ti.min(start + c * KC + i, end - 1) * bias_step
                                        for u in ti.static(range(U)):
                                            s.values[i * U + u] += L.gather(bias, bias_rows[u], j, spec.bias_type)
                                if ti.static(spec.bias == "keys"):
                                    for i in ti.static(range(KC)):
                                        y = L.broadcast(bias, bias_base + ti.min(start + c * KC + i, end - 1) * bias_step, spec.bias_type)
                                        for u in ti.static(range(U)):
                                            s.values[i * U + u] += y
                                if ti.static(spec.mask == "rows"):
                                    for i in ti.static(range(KC)):
                                        j = ti.min(start + c * KC + i, end - 1) * mask_step
                                        for u in ti.static(range(U)):
                                            y = L.gather(mask, mask_rows[u], j, "mask")
                                            s.values[i * U + u] = L.where_equal(y, 0.0, L.splat(-infinity), s.values[i * U + u])
                                if ti.static(spec.mask == "keys"):
                                    for i in ti.static(range(KC)):
                                        if mask[mask_base + ti.min(start + c * KC + i, end - 1) * mask_step] == 0:
                                            for u in ti.static(range(U)):
                                                s.values[i * U + u] = L.splat(-infinity)
                                if partial:
                                    for i in ti.static(range(KC)):
                                        for u in ti.static(range(U)):
                                            s.values[i * U + u] = L.keep(s.values[i * U + u], start + c * KC + i, low[u], high[u])
                                for e in ti.static(range(KC * U)):
                                    m_new[e % U] = L.maximum(s.values[e], m_new[e % U])
                                S.put_block(c * (KC * U), s)

                            # Weights p = e^(s - m) and their sum; a row that has seen no key yet has m = -inf.
                            base = [L.where_equal(m_new[u], -infinity, L.splat(0.0), m_new[u]) for u in ti.static(range(U))]
                            shrink = [L.exp_sub(m[u], base[u]) for u in ti.static(range(U))]
                            total = [L.splat(0.0) for _ in ti.static(range(U))]
                            for j in loop(span(j0, j1, BG)):
                                for u in ti.static(range(U)):
                                    p = L.exp_sub(S.get(j * U + u), base[u])
                                    total[u] += p
                                    if ti.static(spec.careful):
                                        p = L.where_equal(S.get(j * U + u), -infinity, L.splat(-1.0), p)
                                    S.put(j * U + u, p)
                            for u in ti.static(range(U)):
                                l[u] = l[u] * shrink[u] + total[u]
                                m[u] = m_new[u]

                            # Weighted sums: a[c, u] = a[c, u] shrink[u] + sum_j v[j, c] p[j, u], a block of columns at a time.
                            for part in ti.static(column_parts):
                                for n_block in loop(span(0, part[1], part[1])):
                                    a = A.scaled_block((part[0] + n_block * part[2]) * U, part[2] * U, shrink)
                                    for j in loop(span(j0, j1, BG)):
                                        v_row = V.at(start + j, part[0] + n_block * part[2])
                                        p = S.block(j * U, U)
                                        for i in ti.static(range(part[2])):
                                            y = V.get(v_row, i)
                                            for u in ti.static(range(U)):
                                                if ti.static(spec.careful):        # a masked weight is marked by -1
                                                    kept = a.values[i * U + u]
                                                    L.fma(y, p.values[u], a.values[i * U + u])
                                                    a.values[i * U + u] = L.where_equal(p.values[u], -1.0, kept, a.values[i * U + u])
                                                else:
                                                    L.fma(y, p.values[u], a.values[i * U + u])
                                    A.put_block((part[0] + n_block * part[2]) * U, a)

                # out = a / l; a row without keys gives 0.
                for u in ti.static(range(U)):
                    inverse = L.splat(1.0) / l[u]
                    flagged = L.splat(0.0)
                    o_rows = L.affine(rows[u], meta[Meta.O + 2], b * meta[Meta.O] + h * meta[Meta.O + 1])
                    for c in loop(span(0, DV, DV)):
                        x = L.where_equal(l[u], 0.0, L.splat(0.0), A.get(c * U + u) * inverse)
                        flagged += L.nonfinite(x)
                        L.scatter(out, o_rows, c, x)
                    if L.any_flagged(flagged) != 0:
                        meta[Meta.NONFINITE] = 1
                    if ti.static(spec.lse):
                        value = L.where_equal(l[u], 0.0, L.splat(-infinity), m[u] + L.log(l[u]))
                        L.scatter_plain(lse, L.affine(rows[u], 1, bh * meta[Meta.QUERIES]), value)
                if thread == 0:
                    ti.atomic_add(meta[Meta.VISITED], visited)
                    ti.atomic_add(meta[Meta.FULL], unmasked)
                if ti.static(L.dynamic_tasks):
                    task = ti.atomic_add(meta[Meta.TASK], 1)
                else:
                    task += programs

    return attention_forward


__all__ = ["FAR", "Meta", "Spec", "build", "scratch_lanes", "stage_elements"]
