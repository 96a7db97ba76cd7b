"""How does a problem run whose arrays are too large for the 32-bit indices of a kernel?

It is cut over the batch, then over whole KV groups, then over query rows, and the parts write into one
result. Rows are independent and positions move with them, so the parts are the whole. Keys are never cut:
that would change bits.
"""

from dataclasses import replace

import numpy as np

from aat.arrays import STORAGE, round_into, short_strides, span
from aat.attention.base import Result
from aat.errors import value_error

INDEX_LIMIT = 2**31 - 1


def run_in_parts(problem, run, limit=INDEX_LIMIT, strategy=None):
    """Return (Result, parts) of `run(part) -> Result` over parts whose arrays span at most `limit` elements.

    With a TilingStrategy it is `run(part, its own part)`: a summary, a budget or a memory is of the whole problem.
    An array that a stride spreads over more memory than it has elements is copied, one part at a time. Raises
    ValueError if the keys or values of a single head have more than `limit` elements.
    """
    if _excess(problem, limit) is None:
        return run(problem, *([] if strategy is None else [strategy])), 1
    _refuse(problem, limit)
    shape = (problem.B, problem.Hq, problem.Lq)
    out = np.empty((*shape, problem.Dv), STORAGE[problem.dtype]) if problem.out is None else problem.out
    lse = np.empty(shape, STORAGE[problem.lse_dtype]) if problem.return_lse else None
    whole = replace(problem, out=out)
    total = Result(out, lse)
    parts = 0
    for region in _regions(whole, limit):
        part = _small(part_of(whole, region), limit)
        result = run(part, *([] if strategy is None else [strategy.cut(region, part.rows / problem.rows)]))
        batch, heads, rows, _ = region
        if part.out is None or result.out is not part.out:
            round_into(out[batch, heads, rows], result.out)
        if lse is not None:
            lse[batch, heads, rows] = result.lse
        if result.bound is not None:
            total.bound = np.zeros(shape, np.float32) if total.bound is None else total.bound
            total.bound[batch, heads, rows] = result.bound
        for name, count in result.counts.items():
            total.counts[name] = total.counts.get(name, 0) + count
        total.config, total.kernel, total.tiling = result.config, result.kernel, result.tiling
        parts += 1
    return total, parts


def count_parts(problem, limit=INDEX_LIMIT):
    """How many parts `run_in_parts` makes; ValueError as there."""
    if _excess(problem, limit) is None:
        return 1
    _refuse(problem, limit)
    return sum(1 for _ in _regions(problem, limit))


def _refuse(problem, limit):
    for name, d in (("k", problem.D), ("v", problem.Dv)):
        if problem.Lk * d > limit:
            raise value_error(name, f"at most {limit} elements in a head (kernel indices are int32)",
                              f"{problem.Lk} x {d} = {problem.Lk * d}",
                              "attend to pieces of the keys with return_lse=True, join them with aat.merge")
    if not isinstance(problem.q, np.ndarray):
        raise value_error("q", f"a result of at most {limit} elements on a device",
                          f"{problem.B} x {problem.Hq} x {problem.Lq} x {problem.Dv}",
                          "call it in pieces of the batch")


def _regions(problem, limit):
    """Slices (batch, query heads, rows, KV heads) of parts, halved until each fits or can be halved no
    more.
    """
    pending = [(slice(0, problem.B), slice(0, problem.Hq), slice(0, problem.Lq), slice(0, problem.Hk))]
    while pending:
        region = pending.pop()
        excess = _excess(part_of(problem, region), limit)
        halves = () if excess is None else _halves(region, problem.group, excess)
        if halves:
            pending += reversed(halves)
        else:
            yield region


def _halves(region, group, excess):
    batch, heads, rows, kv = region
    if _length(batch) > 1:
        return [(half, heads, rows, kv) for half in _cut(batch)]
    if _length(kv) > 1:
        return [(batch, slice(half.start * group, half.stop * group), rows, half) for half in _cut(kv)]
    if excess == "keys":  # fewer rows would not make them smaller
        return ()
    if _length(rows) > 1:
        return [(batch, heads, half, kv) for half in _cut(rows)]
    return [(batch, half, rows, kv) for half in _cut(heads)] if _length(heads) > 1 else ()


def _length(part):
    return part.stop - part.start


def _cut(part):
    middle = (part.start + part.stop) // 2
    return slice(part.start, middle), slice(middle, part.stop)


def _excess(problem, limit):
    """None if every array spans at most `limit` elements; "rows" if one over query rows does not; else
    "keys".
    """
    over_rows = [problem.q, problem.mask, problem.bias, problem.out]
    if problem.rows * problem.Dv > limit or any(x is not None and span(x) > limit for x in over_rows):
        return "rows"
    return "keys" if max(span(problem.k), span(problem.v)) > limit else None


def part_of(problem, region):
    """The part of `problem` inside `region`, slices of (batch, query heads, rows, KV heads); views only."""
    batch, heads, rows, kv = region

    def cut(x, *parts):
        return None if x is None else short_strides(x[parts])

    def broadcast(x):
        if x is None:
            return None
        return cut(x, *(part if size > 1 else slice(None)
                        for part, size in zip((batch, heads, rows), x.shape[:3], strict=True)))

    return replace(
        problem,
        q=cut(problem.q, batch, heads, rows), k=cut(problem.k, batch, kv), v=cut(problem.v, batch, kv),
        mask=broadcast(problem.mask), bias=broadcast(problem.bias), out=cut(problem.out, batch, heads, rows),
        sinks=None if problem.sinks is None else problem.sinks[heads],
        kv_lens=None if problem.kv_lens is None else problem.kv_lens[batch],
        q_offset=problem.q_offset[batch] + np.int32(rows.start),
        mods=None if problem.mods is None else problem.mods.part(batch, heads))


def _small(problem, limit):
    """`problem` with contiguous copies of what still spans more than `limit`; such an `out` is left to
    `run`.
    """
    def compact(x):
        return x if x is None or span(x) <= limit else np.ascontiguousarray(x)

    return replace(problem, q=compact(problem.q), k=compact(problem.k), v=compact(problem.v),
                   mask=compact(problem.mask), bias=compact(problem.bias),
                   out=problem.out if span(problem.out) <= limit else None)
