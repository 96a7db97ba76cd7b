"""How does the kernel of summaries run on a session? Keys and values become arguments of kernels/tile_summary.py."""
import numpy as np

from aat.backends.relaunch import Relaunch
from aat.tiling.launch import elements, kept

ALONE = 1 << 14                  # keys below which waking a second thread takes longer than the work
CHUNK = 8                        # tiles of a task
WIDEST = 128                     # order of the largest matrix that a thread's scratch memory is worth
MOST = 512                       # keys of a tile, columns of a row
STORED = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


def suits(session, block, k, v):
    """Whether the kernel can summarize tiles of `block` of the keys k (B, H, L, D) and values v on a session."""
    d = k.shape[3]
    small = min(d, block) <= WIDEST and max(d, block, v.shape[3]) <= MOST
    return small and session.backend == "cpu" and session.intrinsics and max(elements(k), elements(v)) < 2**31


def summarize(session, k, v, lens, block, moments, first, rounded):
    """Write the moments of tiles and return (low, high), the range of each column of the values: (B, Hk, Dv).

    Args:
        k, v: (B, Hk, L, D or Dv) NumPy arrays whose rows are next to each other in memory; tiles start at row 0.
        lens: (B,) rows that exist. rounded: relative error of the numbers of k and v.
        moments: TileMoments with room for the tiles from number `first` on; its count is not written.
    """
    from aat.kernels.lanes import columns_for
    from aat.kernels.parts.queries import PROGRAM
    from aat.kernels.tile_summary import ADDRESSED, META_ADDRESS, NUMBERS, Meta, Spec, build, sizes

    k, v = (np.ascontiguousarray(x) if _scattered(x) else x for x in (k, v))
    B, H, L, d = k.shape
    spec = Spec(d, v.shape[3], block, STORED[k.dtype.name])
    tiles = -(-L // block)
    chunks = -(-tiles // CHUNK)
    tasks = B * H * chunks
    low, high = np.full((2, B, H, chunks, spec.dv), np.inf, np.float32)
    high *= -1
    if not tasks:
        return low.min(2, initial=np.inf), high.max(2, initial=-np.inf)
    programs = 1 if B * H * L < ALONE else max(1, min(session.threads, tasks))
    counts = -(-(Meta.BATCH + B) // PROGRAM) * PROGRAM
    addresses = np.zeros((counts + PROGRAM * programs) // 2, np.uint64)
    meta = addresses.view(np.int32)
    scratch = sizes(session.lane_width, spec)[-1]
    meta[[Meta.TASKS, Meta.HEADS, Meta.TILES, Meta.CHUNK, Meta.CHUNKS]] = tasks, H, tiles, CHUNK, chunks
    meta[[Meta.ROOM, Meta.FIRST, Meta.COUNTS, Meta.SCRATCH]] = moments.count.shape[2], first, counts, scratch
    for place, x in ((Meta.K, k), (Meta.V, v)):
        meta[place:place + 3] = [step // x.itemsize for step in x.strides[:3]]
    meta[Meta.BATCH:Meta.BATCH + B] = np.clip(lens, 0, L)
    with session.scope():
        arrays = {"k": k, "v": v, "key": moments.key, "value": moments.value, "low": low, "high": high, "meta": meta,
                  "scratch": session.empty(programs * scratch, np.dtype(np.float32))}
        arrays |= {name: getattr(moments, name) for name in NUMBERS}
        at = Meta.ADDRESSES // 2
        addresses[at:at + len(ADDRESSED)] = [arrays[name].ctypes.data for name in ADDRESSED]
        key = ("tile_summary", session.lane_width, spec)

        def make():
            return build(columns_for("cpu", session.lane_width, "f32", True), spec)

        kernel = session.kernel(key, make)
        if session.first_launch(key):       # compiles, with no tasks: two threads may not do that at once
            meta[Meta.TASKS] = 0
            with session.launching(counted=False):
                kernel(meta, rounded, 0)
            meta[Meta.TASKS] = tasks
            kernel = session.kernel(key, make)

        def shares():
            return meta, [Relaunch(kernel, (meta, rounded, program)) for program in range(programs)]

        with kept(session, (*key, len(meta), programs, rounded), shares) as (own, launches):
            own[...] = meta
            own[Meta.TASK], own[counts:] = 0, 0
            own.view(np.uint64)[META_ADDRESS // 2] = own.ctypes.data
            with session.launching():
                session.team.run([share.go for share in launches], lambda n: own[counts + PROGRAM * n])
    return low.min(2), high.max(2)


def _scattered(x):
    return x.strides[3] != x.itemsize or any(step < 0 or step % x.itemsize for step in x.strides)
