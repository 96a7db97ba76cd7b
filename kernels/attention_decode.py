"""Exact attention for few queries and many keys: every key and value is read from memory once.

A lane is a column. All rows that share a KV head (its query heads times their queries) go through the keys together,
a part of the keys is a task of its own, and kernels/attention_merge.py joins the parts. Keys and values may stand in
pages and may be int8 with a scale each; docs/kernels/attention_decode.md derives the sizes.
"""
from dataclasses import dataclass

import taichi as ti
from aat.kernels import attention_merge
from aat.kernels._decode import ADDRESSED, Assembly, Meta
from aat.kernels.attention_merge import MergeSpec, padded
from aat.kernels.lanes.base import NEGATIVE_INFINITY
from aat.kernels.parts.queries import Counts

__all__ = ["ADDRESSED", "Meta", "Spec", "build", "scratch_elements"]


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


def program(columns, config, spec):
    """A `ti.func`: one program, which takes tasks until there is none. Arrays are templates (CpuColumns.array)."""
    C, asm = columns, Assembly(columns, config, spec)
    W, RB, KB, G, D, DV = asm.W, asm.RB, asm.KB, asm.G, asm.d, asm.dv
    scaled = spec.kv_type == "i8"
    changed = spec.softcap or spec.bias or spec.mask
    count = len(asm.value_blocks)

    @ti.func
    def work(q: ti.template(), k: ti.template(), v: ti.template(), mask: ti.template(), bias: ti.template(),
             scratch: ti.template(), parts_a: ti.template(), parts_m: ti.template(), parts_l: ti.template(),
             table: ti.template(), k_scales: ti.template(), v_scales: ti.template(), meta: ti.template(), scale,
             softcap, number):
        Q, S = asm.memory("q", q, meta, spec.dtype), asm.memory("scratch", scratch, meta)
        pages = asm.memory("table", table, meta, "i32")
        A, M, P = asm.part("A", parts_a, meta), asm.part("M", parts_m, meta), asm.part("L", parts_l, meta)
        blocks = meta[Meta.BLOCKS]
        q_at, a_at, s_at, m_at, l_at, shrink_at = asm.layout(S, meta, number, blocks)
        rules = C.lanes.enter()
        address = asm.address(meta)
        counts = asm.counts(meta, number)
        task = asm.next_task(meta, address)
        while task < meta[Meta.TASKS]:
            x = asm.task(meta, task)
            K, V = asm.rows_of("k", k, meta, x), asm.rows_of("v", v, meta, x)
            visited = 0
            whole = 0
            for r in range(blocks * RB):
                asm.put_query(Q, asm.query_at(Q, x, r, meta), S, S.step(q_at, r * D), scale)
                asm.clear(S, S.step(a_at, r * DV))
            for e in range(blocks):
                S.put(m_at, e * W, C.splat(NEGATIVE_INFINITY))
                S.put(l_at, e * W, C.splat(0.0))
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

                k_group, v_group = asm.group(K, x, start, pages, meta), asm.group(V, x, start, pages, meta)

                # Scores of KB keys and RB rows at a time. Their values are asked for meanwhile.
                for c in range(c0, c1):
                    rows = [k_group.row(c * KB + i) for i in ti.static(range(KB))]
                    near = [k_group.near(c * KB + i, rows[i]) for i in ti.static(range(KB))]
                    ahead = ((K, near, True), (V, [v_group.row(c * KB + i) for i in ti.static(range(KB))], False))
                    for part in ti.static(range(2)):
                        for e in range(part, 1 if part == 0 else blocks):
                            s = asm.scores(K, rows, S, S.step(q_at, e * (RB * D)), ahead if part == 0 else ())
                            if ti.static(scaled):
                                s *= asm.scales_of("k_scales", k_scales, meta, x, k_group, c, pages)
                            S.put(S.step(s_at, e * (RB * G) + c * W), 0, s)

                # Weights e^(s - m), their sums, and what moves the old sums to the new maxima.
                for e in range(blocks):
                    s_of = S.step(s_at, e * (RB * G))
                    if ti.static(changed):
                        starts = asm.all_starts(x, e * RB, meta)
                        for c in range(c0, c1):
                            s = S.vector(s_of, c * W)
                            asm.modify(s, starts, x, start + c * KB, softcap, bias, mask, meta)
                            S.put(s_of, c * W, s)
                    if partial:
                        low, high = asm.reach(x, e * RB)
                        for c in range(c0, c1):
                            S.put(s_of, c * W, C.keep(S.vector(s_of, c * W), start + c * KB, low, high))
                    m = S.vector(m_at, e * W)
                    top = m
                    for c in range(c0, c1):
                        top = C.maximum(S.vector(s_of, c * W), top)
                    top = C.max_across(top, KB)
                    relative = C.where_equal(top, NEGATIVE_INFINITY, C.splat(0.0), top)
                    shrink = C.exp_sub(m, relative)
                    total = C.splat(0.0)
                    for c in range(c0, c1):
                        s = S.vector(s_of, c * W)
                        p = C.exp_sub(s, relative)
                        total += p
                        if ti.static(scaled):
                            p *= asm.scales_of("v_scales", v_scales, meta, x, v_group, c, pages)
                        S.put(s_of, c * W, asm.mark(s, p))
                    S.put(m_at, e * W, top)
                    S.put(l_at, e * W, S.vector(l_at, e * W) * shrink + total)
                    S.put(shrink_at, e * W, shrink)

                # Sums of weighted values, a block of columns at a time. Keys ahead are asked for meanwhile.
                for e in range(blocks):
                    for n in ti.static(range(count)):
                        block = asm.value_blocks[n]
                        a_of = S.step(a_at, e * (RB * DV))
                        sums = asm.sums_at(S, a_of, S.step(shrink_at, e * W), block)
                        for c in range(c0, c1):
                            p_of = S.step(s_at, e * (RB * G) + c * W)
                            for i in ti.static(range(KB)):
                                row = v_group.row(c * KB + i)
                                if e == 0:
                                    V.prefetch(v_group.near(c * KB + i, row), True, n, count)
                                    K.prefetch(k_group.far(c * KB + i, k_group.row(c * KB + i)), False, n, count)
                                asm.add_values(V, row, S, p_of, i, block, sums)
                        asm.put_sums(S, a_of, block, sums)

            for e in range(blocks):
                S.put(l_at, e * W, C.add_across(S.vector(l_at, e * W), KB))
            for r in range(x.rows):
                at = r // RB * W + r % RB * KB
                # Scores that are all NaN leave the maximum at -inf, which would stand for a part without keys.
                l = S.number(l_at, at)
                M.put_number(M.at(x.parts_row + r), 0, S.number(m_at, at) + 0.0 * l)
                P.put_number(P.at(x.parts_row + r), 0, l)
                asm.put_row(S, S.step(a_at, r * DV), A, A.at(C.long(x.parts_row + r) * DV))
            asm.add_count(meta, counts + Counts.VISITED, visited)
            asm.add_count(meta, counts + Counts.FULL, whole)
            task = asm.next_task(meta, address)
        C.lanes.publish(meta, counts + Counts.FINISHED, address)
        C.lanes.leave(rules)

    return work


def build(columns, config, spec):
    """The kernels for a lane type, tile sizes and features: (parts, merge), each of one program on the calling thread
    (aat.backends.team). Without addresses it is one kernel with all programs, and None.
    """
    work = program(columns, config, spec)
    merge = attention_merge.rows(columns, MergeSpec(spec.dv, spec.dtype, spec.lse, spec.sinks), Meta.MERGE)
    INTS, NUMBER = ti.types.ndarray(ti.i32, 1), columns.scalar
    MASK = ti.types.ndarray(columns.lanes.mask_type, 1) if spec.mask else ti.template()
    BIAS = ti.types.ndarray(columns.lanes.bias_type(spec.bias_type), 1) if spec.bias else ti.template()
    SINKS = ti.types.ndarray(NUMBER, 1) if spec.sinks else ti.template()

    @ti.kernel
    def by_address(mask: MASK, bias: BIAS, meta: INTS, scale: NUMBER, softcap: NUMBER, number: ti.i32):
        ti.loop_config(serialize=True)
        for n in range(number, number + 1):
            work(0, 0, 0, mask, bias, 0, 0, 0, 0, 0, 0, 0, meta, scale, softcap, n)

    @ti.kernel
    def join(sinks: SINKS, meta: INTS):
        ti.loop_config(serialize=True)
        for n in range(1):
            rules = columns.lanes.enter()
            merge(0, 0, 0, 0, 0, sinks, meta, n, 1)
            columns.lanes.leave(rules)

    if columns.by_address:
        return by_address, join
    array = columns.array
    LSE = array(columns.lanes.scalar_name) if spec.lse else ti.template()
    TABLE = array("i32") if spec.page_size else ti.template()
    SCALES = array("f32") if spec.kv_type == "i8" else ti.template()
    NUMBERS, ELEMENTS, KV = array(columns.lanes.scalar_name), array(spec.dtype), array(spec.kv_type)

    @ti.kernel
    def by_index(mask: MASK, bias: BIAS, sinks: SINKS, meta: INTS, scale: NUMBER, softcap: NUMBER, programs: ti.i32,
                 q: ELEMENTS, k: KV, v: KV, out: ELEMENTS, lse: LSE, scratch: NUMBERS, parts_a: NUMBERS,
                 parts_m: NUMBERS, parts_l: NUMBERS, table: TABLE, k_scales: SCALES, v_scales: SCALES):
        ti.loop_config(block_dim=1)
        for n in range(programs):
            work(q, k, v, mask, bias, scratch, parts_a, parts_m, parts_l, table, k_scales, v_scales, meta, scale,
                 softcap, n)
        ti.loop_config(block_dim=1)
        for n in range(programs):
            merge(parts_a, parts_m, parts_l, out, lse, sinks, meta, n, programs)

    return by_index, None
