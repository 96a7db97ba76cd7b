"""Attention over keys and values in pages, in float64: the rows are collected one by one, then it is attention."""
import numpy as np
from aat.kernels.reference.attention_forward import attention_forward


def attention_decode(q, k, v, table, lens, *, k_scales=None, v_scales=None, **options):
    """(out, lse) of exact attention over pages.

    q (B, Hq, Lq, D); k (pages, Hk, page_size, D) and v (pages, Hk, page_size, Dv), floats, or int8 with k_scales and
    v_scales (pages, Hk, page_size), by which a row's codes are multiplied. Key j of sequence b is row j % page_size of
    page table[b, j // page_size]; keys at or past lens[b] do not exist. `options` are attention_forward's.
    """
    keys = int(max(lens)) if len(lens) else 0
    rows_k, rows_v = _collected(k, table, lens, k_scales, keys), _collected(v, table, lens, v_scales, keys)
    return attention_forward(q, rows_k, rows_v, kv_lens=np.asarray(lens, np.int32), **options)


def _collected(pages, table, lens, scales, keys):
    _, heads, size, columns = pages.shape
    out = np.zeros((len(lens), heads, keys, columns))
    for b, count in enumerate(lens):
        for j in range(int(count)):
            page, row = table[b, j // size], j % size
            for h in range(heads):
                scale = 1.0 if scales is None else float(scales[page, h, row])
                for c in range(columns):
                    out[b, h, j, c] = float(pages[page, h, row, c]) * scale
    return out
