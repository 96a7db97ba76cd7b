"""Exact attention, forward: one pass over the keys with a running softmax (Milakov & Gimelshein 2018, Dao et al. 2022).

A lane is a query; docs/kernels/attention_forward.md derives the sizes. Everything that differs between a CPU and a GPU
is in aat.kernels.lanes or in the TileConfig.
"""
import taichi as ti
from aat.kernels.lanes.base import inline
from aat.kernels.parts.gate import COMPUTED, LEFT, gate_of, gathered, means_of
from aat.kernels.parts.mods import mods_of, visits_of
from aat.kernels.parts.queries import Assembly, Counts, Meta


def build(lanes, config, spec):
    """The kernel for a lane type, tile sizes and features."""
    L, D, DV, asm = lanes, spec.d, spec.dv, Assembly(lanes, config, spec)
    UP = asm.UP                                                # lane variables that a column of the queries takes
    U, KC, BG, BN, BD = asm.U, asm.KC, asm.BG, config.keys_per_tile, config.threads
    OWN, OWN_V = asm.DQ // config.team, DV // config.team      # columns of a thread
    in_shared = L.staged and not asm.stage
    # With everything in registers every index is static; otherwise loops run.
    loop = ti.static if config.registers else ti.ndrange

    @inline
    def span(low, high, count):
        return range(count) if config.registers else (low, high)

    staged = L.staged or asm.stage > 0

    @inline
    def tile(in_place, fast, stage, address, base, first, columns, thread):
        if not staged:
            return in_place
        return asm.shared_rows(fast, first, columns, thread) if in_shared else L.staged_rows(
            stage, address, base, first, columns)

    stage_k, stage_v = asm.stager(D, BN), asm.stager(DV, BN)
    ELEMENTS, NUMBERS = ti.types.ndarray(L.element_type, 1), ti.types.ndarray(L.scalar, 1)
    INTS, NUMBER = ti.types.ndarray(ti.i32, 1), L.scalar
    # An array that a kernel is compiled without costs nothing at a launch as a template.
    MASK = ti.types.ndarray(L.mask_type, 1) if spec.mask else ti.template()
    BIAS = ti.types.ndarray(L.bias_type(spec.bias_type), 1) if spec.bias else ti.template()
    SINKS = NUMBERS if spec.sinks else ti.template()
    LSE = NUMBERS if spec.lse or spec.parts else ti.template()
    OUT, SUMS = (NUMBERS, NUMBERS) if spec.parts else (ELEMENTS, ti.template())
    SCRATCH = ti.types.ndarray(L.vector, 1) if asm.scratch else ti.template()
    STAGE = NUMBERS if asm.stage else ti.template()
    SHARES = NUMBERS if spec.gate else ti.template()
    changed, masked = (graph is not None for graph in spec.mods or (None, None))
    every, modded = int(changed), changed or masked
    TILES = INTS if spec.listed or spec.traced or masked else ti.template()
    MEANS = NUMBERS if spec.mixed else ti.template()
    MOD_INTS, MOD_NUMBERS = (INTS, NUMBERS) if spec.mods else (ti.template(), ti.template())
    gather = gathered(BD, config.pairs)
    q_parts, out_parts, depth_parts = asm.moved_parts(OWN), asm.moved_parts(OWN_V), asm.depth_parts()

    @ti.kernel
    def attention_forward(q: ELEMENTS, k: ELEMENTS, v: ELEMENTS, out: OUT, lse: LSE, mask: MASK, bias: BIAS,
                          sinks: SINKS, scratch: SCRATCH, stage: STAGE, sums: SUMS, allowed: SHARES, shares: SHARES,
                          tiles: TILES, means: MEANS, mod_ints: MOD_INTS, mod_numbers: MOD_NUMBERS, meta: INTS,
                          scale: NUMBER, softcap: NUMBER, first: ti.i32, count: ti.i32):
        ti.loop_config(block_dim=BD, serialize=L.serial)
        for t in range(first * BD, (first + count) * BD):
            rules = L.enter()
            thread = t % BD
            program = t // BD
            k_fast = asm.shared(BN * D)
            v_fast = asm.shared(BN * DV)
            team = asm.team()
            leads = asm.leads(thread)
            k_base = program * asm.stage
            v_base = program * asm.stage + (BN * D if asm.stage else 0)
            meta_address, memory = L.address(meta, Meta.META_ADDRESS), L.address(meta, Meta.SCRATCH_ADDRESS)
            counts = asm.counts(meta, program)
            S = asm.store(scratch, memory, program, thread, 0, BG * U)                # scores, then weights  [BG, U]
            Q = asm.store(scratch, memory, program, thread, BG * U, OWN * UP)         # scaled queries        [D, U]
            A = asm.store(scratch, memory, program, thread, BG * U + OWN * UP, OWN_V * U)  # weighted sums    [DV, U]
            q_address, out_address = L.address(meta, Meta.Q_ADDRESS), L.address(meta, Meta.O_ADDRESS)
            k_address, v_address = L.address(meta, Meta.K_ADDRESS), L.address(meta, Meta.V_ADDRESS)
            stage_address = L.address(meta, Meta.STAGE_ADDRESS)
            task = L.first_task(meta, Meta.TASK, meta_address, program)
            while task < meta[Meta.TASKS]:
                x = asm.task(meta, task, thread)
                q_rows = asm.places(x, meta, Meta.Q)
                for part in ti.static(q_parts):
                    for e in loop(span(0, part[1], part[1])):
                        asm.load_queries(Q, e, part, q, q_address, q_rows, scale, thread)
                for c in loop(span(0, OWN_V, OWN_V)):
                    A.put_block(c, U, A.filled_block(c, U, L.splat(0.0)))
                m, l = asm.start(sinks, x, meta)
                visited = 0
                whole = 0
                visits = visits_of(asm, tiles, meta, x, BN)
                mods = mods_of(asm, mod_ints, mod_numbers, meta, x)
                gate = gate_of(asm, allowed, meta, x)
                if ti.static(spec.gate):
                    gate.refresh(m, l)
                k_rows = asm.keys(k, meta, Meta.K, k_address, x, D, not staged)
                v_rows = asm.keys(v, meta, Meta.V, v_address, x, DV, False)
                centres = means_of(asm, means, meta, x)
                for visit in range(visits.every):
                    n = visits.tile(visit)
                    replaces = visits.means(visit)
                    unsure = 0
                    if ti.static(masked):
                        unsure = visits.unsure(visit)
                    K = tile(k_rows, k_fast, stage, stage_address, k_base, n * BN, D, thread)
                    V = tile(v_rows, v_fast, stage, stage_address, v_base, n * BN, DV, thread)
                    if ti.static(staged):
                        L.sync()
                        if replaces == 0:
                            stage_k(k_rows, K, n * BN, x.end - 1, thread)
                            stage_v(v_rows, V, n * BN, x.end - 1, thread)
                        if ti.static(spec.mixed):
                            gather(means, centres.keys, D, k_fast if ti.static(in_shared) else stage,
                                   0 if ti.static(in_shared) else k_base, visits, visit, replaces, thread)
                            gather(means, centres.values, DV, v_fast if ti.static(in_shared) else stage,
                                   0 if ti.static(in_shared) else v_base, visits, visit, replaces, thread)
                        L.sync()
                    for g in range(BN // BG):
                        start = n * BN + g * BG
                        j0 = ti.max(x.begin - start, 0)
                        j1 = ti.min(x.end - start, BG)
                        if ti.static(spec.mixed):
                            if replaces > 0:
                                j0 = 0
                                j1 = ti.min(replaces - start, BG)
                        if j0 < j1:
                            partial = (start < x.full_begin) or (start + BG > x.full_end)
                            if replaces == 0:
                                visited += 1
                                if not partial and unsure == 0:
                                    whole += 1

                            # Scores of KC keys at a time: s[i, u] = sum_d k[i, d] q[d, u].
                            top = asm.tops(m)
                            for part in ti.static(depth_parts):
                                for c in loop(span(j0 // KC, (j1 + (KC - 1)) // KC, BG // KC)):
                                    s = asm.scores(S, c, part)
                                    at = [K.at(start + c * KC + i, part[0]) for i in ti.static(range(KC))]
                                    for d in loop(span(0, part[1], part[1])):
                                        qd = Q.block(d, UP, part[0] * UP)
                                        for i in ti.static(range(KC)):
                                            y = K.get(at[i], d)
                                            for u in ti.static(range(UP)):
                                                asm.term(y, qd.values[u], s.values[i * UP + u])
                                    if ti.static(part == depth_parts[-1]):
                                        team.sum(s.values, thread)
                                    w = asm.scored(s, K, at, Q, part == depth_parts[-1], part[0])
                                    if ti.static(part == depth_parts[-1]):
                                        if replaces == 0:
                                            if ti.static(not changed):
                                                asm.modify(w, start + c * KC, softcap, bias, mask, meta, x)
                                                if partial:
                                                    asm.keep(w, start + c * KC, x)
                                        if ti.static(spec.mixed):
                                            if replaces > 0:
                                                asm.as_means(w, start + c * KC, centres, visits, visit, replaces)
                                        if ti.static(not modded):
                                            asm.raise_maxima(top, w)
                                        if ti.static(masked and not changed):
                                            if unsure == 0:
                                                asm.raise_maxima(top, w)
                                    S.put_block(c, KC * U, w)
                            if ti.static(modded):
                                # A caller's functions take a key at a time: a block of keys compiles as much longer.
                                if every == 1 or unsure == 1:
                                    for j in loop(span(j0, j1, BG)):
                                        s = S.block(j, U)
                                        if ti.static(changed):
                                            mods.score(s, start + j)
                                            asm.modify(s, start + j, softcap, bias, mask, meta, x)
                                            if partial:
                                                asm.keep(s, start + j, x)
                                        if ti.static(masked):
                                            if unsure == 1:
                                                mods.mask(s, start + j)
                                        asm.raise_maxima(top, s)
                                        S.put_block(j, U, s)

                            light = 0
                            if ti.static(spec.gate):
                                if gate.kappa > 0.0 and replaces == 0:
                                    light = gate.judge(m, top)
                                    if light == 2:
                                        gate.charge()
                                        gate.light += 1
                            if light < 2:
                                # Weights p = e^(s - m) and their sums.
                                m_new = asm.maxima(m, top)
                                base = asm.bases(m_new)
                                shrink = [L.exp_sub(m[u], base[u]) for u in ti.static(range(U))]
                                total = [L.splat(0.0) for _ in ti.static(range(U))]
                                # Loops count from 0, so that LLVM steps addresses instead of forming them anew.
                                lead = asm.lead(j0)
                                P = S.from_block(lead, U)
                                for j in loop(span(0, j1 - j0, BG)):
                                    asm.weigh(P, j, base, total)
                                if ti.static(spec.gate):
                                    if light == 1:
                                        if gate.fits(total):
                                            light = 3
                                            gate.charge()
                                            gate.weighed += 1
                                if light < 2:
                                    asm.update(m, l, m_new, shrink, total)
                                    if ti.static(spec.gate):
                                        gate.refresh(m, l, shrink)

                                    # Sums a[c, u] = a[c, u] shrink[u] + sum_j v[j, c] p[j, u], a block of columns
                                    # at a time.
                                    for part in ti.static(asm.column_parts):
                                        for e in loop(span(0, part[1], part[1])):
                                            a = A.scaled_block(e, part[2] * U, shrink, part[0] * U)
                                            top_row = V.at(start + lead, part[0] + e * part[2])
                                            for j in loop(span(0, j1 - j0, BG)):
                                                at = V.next(top_row, j)
                                                p = P.block(j, U)
                                                for i in ti.static(range(part[2])):
                                                    asm.add_value(a, i, V.get(at, i), p)
                                            A.put_block(e, part[2] * U, a, part[0] * U)
                            if ti.static(spec.traced):
                                if replaces == 0:
                                    tiles[meta[Meta.TRACE] + x.number * meta[Meta.GROUPS] + start // BG] += ti.select(
                                        light > 1, LEFT, COMPUTED)

                out_rows = asm.places(x, meta, Meta.O)
                inverse = asm.inverses(l)
                flagged = [L.splat(0.0) for _ in ti.static(range(U))]
                for part in ti.static(out_parts):
                    for e in loop(span(0, part[1], part[1])):
                        asm.finish(A, e, part, inverse, flagged, out, out_address, out_rows, thread)
                for u in ti.static(range(U)):
                    if L.any_nonzero(flagged[u]) != 0:
                        meta[Meta.NONFINITE] = 1
                if leads == 1:
                    if ti.static(spec.parts):
                        asm.write_sums(m, l, lse, sums, meta, x)
                    if ti.static(spec.lse):
                        asm.write_lse(m, l, lse, meta, x)
                    if ti.static(spec.gate):
                        gate.write(l, shares, meta, x)
                        L.add_count(meta, counts + Counts.LIGHT, gate.light)
                        L.add_count(meta, counts + Counts.WEIGHED, gate.weighed)
                if thread == 0:
                    L.add_count(meta, counts + Counts.VISITED, visited)
                    L.add_count(meta, counts + Counts.FULL, whole)
                task = L.next_task(meta, Meta.TASK, meta_address, task, meta[Meta.PROGRAMS])
            L.publish(meta, counts + Counts.FINISHED, meta_address)
            L.leave(rules)

    return attention_forward
