"""Is what the model's layers got from attention right? Every element against the float64 reference."""

import numpy as np

from aat.validation.budget import compare, expected


def check_layers(calls, advance=lambda n: None):
    """Compares recorded calls (q, k, v, lens, out), one a layer, with the reference on the same inputs.

    q, k, v, out are (B, L, H, D); rows past a text's end are compared too. Returns a list of
    {layer, error, budget, share, ok, reasons}: error and budget of the element that uses most of its budget,
    and which share that is. `advance(1)` is called after each layer.
    """
    rows = []
    for layer, (q, k, v, lens, out) in enumerate(calls, 1):
        canonical = [x.transpose(0, 2, 1, 3) for x in (q, k, v)]
        problem = dict(zip("qkv", canonical, strict=True), kv_lens=lens, scale=1 / np.sqrt(q.shape[-1]))
        want = expected(problem, q.dtype)
        found = compare(f"layer {layer}", out.transpose(0, 2, 1, 3), want.out, want.out_budget)
        rows.append({"layer": layer, "error": found.error, "budget": found.budget, "share": found.ratio,
                     "ok": not found.reasons, "reasons": list(found.reasons)})
        advance(1)
    return rows
