"""What does a launch of attention_forward take along for score_mod and mask_mod? Their arrays, and lists of tiles."""

from collections import OrderedDict
from typing import Any

import numpy as np

from aat.mods.blocks import classify, lists
from aat.mods.call import remembered

_lists: OrderedDict[Any, Any] = OrderedDict()


def describe(launch):
    """Add the captured arrays to the arguments of a launch (aat.attention.dot._Launch); return the tiles to visit,
    int32, empty without a mask_mod."""
    mods, nothing = launch.problem.mods, np.zeros(0, np.int32)
    launch.arguments |= {"mod_ints": 0, "mod_numbers": 0}
    if mods is None:
        return nothing
    wide = launch.on_cpu and launch.problem.dtype == "f64"
    flat = mods.flat(np.dtype(np.float64 if wide else np.float32))
    launch.arguments |= dict(zip(("mod_ints", "mod_numbers"), map(launch.session.array, flat), strict=True))
    return nothing if mods.mask is None else tiles(launch.problem, launch.rows, launch.config.keys_per_tile)


def tiles(problem, rows, keys):
    """The lists of kernels/parts/mods.py's Listed: steps of a sequence and of a head, starts, entries."""
    mods, mask = problem.mods, problem.mods.mask
    batches = [mods.batches[0] + mods.batches[1] * n for n in range(problem.B)]
    heads = [mods.heads[0] + mods.heads[1] * n for n in range(problem.Hq)]
    key = (mask.graph, mask.content, rows, keys, problem.Lq, problem.Lk, problem.q_offset.tobytes(), mods.batches,
           mods.heads, problem.B, problem.Hq)

    def make():
        kinds = classify(mask.graph, mask.tables(), rows, keys, problem.Lq, problem.Lk, problem.q_offset, batches,
                         heads)
        _, starts, entries = lists(kinds)
        several, each = kinds.shape[:2], kinds.shape[2]
        steps = each * several[1] if several[0] > 1 else 0, each if several[1] > 1 else 0
        return np.concatenate([np.array(steps, np.int32), starts + (2 + len(starts)), entries]).astype(np.int32)
    return remembered(_lists, key, make)
