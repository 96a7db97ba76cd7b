"""Attention whose scores come from a score object: its definition fills rows of scores, a block of rows at a time."""
import numpy as np

BLOCK = 1 << 22        # scores that are held at once


def by_rows(run, q, k, v, score, shape, *, mask, bias, kv_lens, q_offset, **rest):
    """`run` (attention_forward or attention_rounding) over blocks of rows whose scores are given.

    score(q, k): the scores (Hq, rows, keys) of rows (Hq, rows, D) and keys (Hk, keys, D), or a tuple of them and their
    steps. shape: that of the result. Keys at or past kv_lens are not looked at.
    """
    B, Hq, Lq = q.shape[:3]
    Lk = k.shape[2]
    out, lse = np.zeros(shape, rest.get("compute", np.float64)), np.zeros(shape[:3], rest.get("compute", np.float64))
    step = max(1, BLOCK // max(1, Hq * Lk))
    for b in range(B):
        n = Lk if kv_lens is None else int(kv_lens[b])
        for i in range(0, Lq, step):
            rows = slice(i, min(i + step, Lq))
            parts = score(np.asarray(q[b, :, rows], np.float64), np.asarray(k[b, :, :n], np.float64))
            parts = parts if isinstance(parts, tuple) else (parts,)
            given = np.concatenate([_padded(x, Lk) for x in parts], -1)[None]
            out[b, :, rows], lse[b, :, rows] = (x[0] for x in run(
                given, k[b:b + 1, ..., :0], v[b:b + 1], mask=_cut(mask, b, rows), bias=_cut(bias, b, rows),
                kv_lens=np.array([n]), q_offset=np.array([i + (0 if q_offset is None else int(q_offset[b]))]),
                scale=1.0, **rest))
    return out, lse


def _padded(x, keys):
    """Scores with zeros for keys that do not exist."""
    return np.concatenate([x, np.zeros((*x.shape[:2], keys - x.shape[2]))], -1)


def _cut(x, b, rows):
    """A batch and some rows of a mask or bias whose axes may have size 1."""
    if x is None:
        return None
    x = x if x.shape[0] == 1 else x[b:b + 1]
    return x if x.shape[2] == 1 else x[:, :, rows]
