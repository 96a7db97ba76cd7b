"""Which tiles of keys does a query tile visit? The rule of aat/tiling/plan.py, for the rows of a query tile at once.

Lanes are queries for the scores of the centres and the sums of a row; they are tiles for what depends on (query tile,
tile) alone. docs/kernels/tile_plan.md has the rule, its rounding, and the sizes.
"""
import taichi as ti
from aat.kernels._tile_plan import (
    BUCKET,
    CHORD,
    FAR,
    HIGH,
    LOG,
    RANGE,
    STEPS,
    ZERO,
    Fact,
    Head,
    Number,
    Pieces,
    Place,
    Spec,
    scratch_sizes,
)
from aat.kernels.lanes.base import NEGATIVE_INFINITY
from aat.kernels.parts.queries import Assembly, Counts, Meta
from aat.kernels.parts.queries import Spec as QuerySpec

__all__ = ["CHORD", "LOG", "RANGE", "STEPS", "ZERO", "Fact", "Head", "Pieces", "Place", "Spec", "build",
           "scratch_sizes"]


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
                            asm.load_queries(Q, e, part, q, q_address, q_rows, scale, 0)
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
                out_numbers.put_number(out_numbers.at(Number.VISITED * count + j), 0, visited)
                out_numbers.put_number(out_numbers.at(Number.REPLACED * count + j), 0, replaced)
                out_numbers.put_number(out_numbers.at(Number.SEEN * count + j), 0, end - first)
                task = L.next_task(meta, Meta.TASK, meta_address, task, meta[Meta.PROGRAMS])
            L.publish(meta, asm.counts(meta, t) + Counts.FINISHED, meta_address)
            L.leave(rules)

    return tile_plan
