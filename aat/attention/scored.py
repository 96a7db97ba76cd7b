"""How does a Problem with a score object become one that a kernel runs? Rows of columns and numbers.

A score prepares rows in float64 (aat/attention/scores/base.py); a kernel reads them in the dtype that it computes in,
each row's numbers behind its columns, for each product of a query again.
"""
from dataclasses import replace

import numpy as np

from aat.arrays import STORAGE, round_into, widen
from aat.attention.scores.base import finite_rows
from aat.tiling.base import TileConfig

# Numbers that are prepared at once: in float64 they stay in a second-level cache. In one thread: two took twice as
# long, as NumPy's calls on so few numbers wait for the interpreter (2026-11).
CHUNK = 1 << 16


def form(score, d):
    """The aat.kernels.parts.scores.Form of a score of rows of d columns."""
    from aat.kernels.parts.scores import Form

    return Form(score.key(), score.columns(d), score.products, len(score.q_scalars), len(score.k_scalars),
                score.product == "difference", score.apply)


def prepared(problem, session=None):
    """The Problem with `form` for one with a score, in host memory: O((Lq + Lk) D) numbers.

    Keys past kv_lens are not looked at; rows that are not finite become NaN. ValueError where the score takes a row for
    no point or state. Memory comes from an open scope of `session`, if it is on the CPU.
    """
    score, number = problem.score, np.float64 if problem.dtype == "f64" else np.float32
    made = form(score, problem.D)
    q, k, v = (widen(x if isinstance(x, np.ndarray) else x.numpy()) for x in (problem.q, problem.k, problem.v))
    lens = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens

    def memory(*shape):
        if session is None or session.backend != "cpu":
            return np.empty(shape, number)
        return session.empty(int(np.prod(shape)), np.dtype(number)).reshape(shape)

    queries = _rows(score.prepare_q, q, np.full(problem.B, problem.Lq), made.products, made.query_width, memory)
    keys = _rows(score.prepare_k, k, lens, 1, made.key_width, memory)
    out = problem.out if problem.out is not None and problem.out.dtype == number else None
    return replace(problem, q=queries, k=keys, v=v, dtype="f64" if number is np.float64 else "f32", out=out, score=None,
                   form=made)


def returned(problem, result):
    """The Result of a prepared Problem where the arrays of `problem`, which was given, are."""
    if not isinstance(problem.q, np.ndarray):
        put = problem.q.session.put
        out = round_into(np.empty(result.out.shape, STORAGE[problem.dtype]), result.out)
        result.out = put(out, problem.dtype)
        result.lse = None if result.lse is None else put(result.lse, problem.lse_dtype)
    return result


def tiles(problem, session):
    """The default TileConfig of a prepared Problem, as for plain scores; None for others.

    On a GPU a row is one thread's: teams of threads share columns, and the numbers of a row are none.
    """
    if problem.form is None:
        return None
    depth, shared = problem.depth, session.limits.shared_bytes
    usual = TileConfig.default(session.lane_width, depth, problem.Dv, shared, problem.Lq, problem.group)
    return fitted(usual, problem.form, problem.Dv)


def fitted(config, made, dv):
    """A default TileConfig with room for the sums of two products: they take the registers of two queries."""
    if made is None or made.products == 1 or config.lane_width == 1:
        return config
    vectors = max(1, config.lane_vectors // 2)
    block = config.keys_per_block * config.lane_vectors // (2 * vectors)
    columns = min(dv, config.columns_per_block * config.lane_vectors // vectors)
    return replace(config, lane_vectors=vectors, keys_per_block=block, columns_per_block=columns)


def _rows(prepare, x, lens, products, width, memory):
    """(B, H, L, width): what `prepare` makes of rows (B, H, L, D), of which lens[b] exist; the others are 0."""
    B, H, L, D = x.shape
    rows = memory(B, H, L, products, width // products)
    step = max(1, CHUNK // (H * D))
    pieces = [(b, at, min(at + step, int(lens[b]))) for b in range(B) for at in range(0, int(lens[b]), step)]

    for b in range(B):
        rows[b, :, int(lens[b]):] = 0
    with np.errstate(all="ignore"):
        for b, first, end in pieces:
            part, wrong = finite_rows(x[b, :, first:end])
            found, into = prepare(part), rows[b, :, first:end]
            columns = found.columns if found.columns.ndim == 4 else found.columns[None]
            into[..., :columns.shape[-1]] = columns.transpose(1, 2, 0, 3)
            into[..., columns.shape[-1]:] = found.scalars.transpose(1, 2, 0)[:, :, None]
            if wrong.any():
                into[wrong] = np.nan
    return rows.reshape(B, H, L, width)
