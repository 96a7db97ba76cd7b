"""How does the kernel of plans run on a session? A summary and queries become the arguments of kernels/tile_plan.py."""
import contextlib

import numpy as np

from aat.backends.relaunch import Relaunch
from aat.tiling import bounds
from aat.tiling.base import TileConfig

ALONE = 1 << 21                  # multiply-adds below which waking a second thread takes longer than the work
BLOCKS = {4: 6, 3: 8, 2: 12, 1: 12}      # centres whose scores are in registers at once, by vectors of rows
STORED = {"float32": "f32", "float16": "f16", "uint16": "bf16", "bfloat16": "bf16"}
LARGEST = np.float32(3e38)


def suits(session, summary, q, rows):
    """Whether the kernel can plan for the queries q in query tiles of `rows` rows on a session (None: no)."""
    if session is None or session.backend != "cpu" or vectors(session, rows) not in BLOCKS:
        return False
    lists = q.shape[0] * q.shape[1] * -(-q.shape[2] // rows) * max(summary.tiles, 1)
    known = q.dtype.name in STORED or q.dtype == np.float64
    return known and max(lists, elements(q), elements(summary.moments.key)) < 2**31


def elements(x):
    """What an index into the array must count."""
    if not x.size:
        return 0
    return 1 + sum((n - 1) * abs(step) for n, step in zip(x.shape, x.strides, strict=True)) // x.itemsize


def vectors(session, rows):
    """Lane variables that `rows` rows fill, 0 if they do not."""
    return 0 if rows % session.lane_width else rows // session.lane_width


def plan_arrays(session, summary, q, scale, rho, spread, rows, *, mixed=False, reach=None, local=None):
    """What kernels/tile_plan.py writes.

    Args:
        q: (B, Hq, L, D) NumPy array. rho: (B, Hk) share of a row's mass that may be left out. spread: (B, Hk) range
            of the values. rows: a multiple of the lane width, at most four of them.
        reach: (offset (B,), left, right) as in base.key_ranges, or None: every key that exists.
        local: (B or 1, Q) int, a tile that a query tile visits first, or None.

    Returns:
        lists (n, T), numbers (3, n) = visited, replaced, seen, all int32; log_omitted (B, Hq, L) float32.
    """
    with session.scope():
        return _Launch(session, summary, q, scale, rho, spread, rows, mixed, reach, local).run()


@contextlib.contextmanager
def kept(session, key, make):
    """(meta, shares) of a launch, from the session where it keeps one of this key, else from make().

    Only for launches whose arrays are named by address in `meta`: nothing else may differ between them.
    """
    idle = session.repeats.setdefault(key, [])
    try:
        launch = idle.pop()             # nobody else has it meanwhile
    except IndexError:
        launch = make()
    yield launch
    idle.append(launch)


class _Launch:
    """The kernel's arguments for one plan."""

    def __init__(self, session, summary, q, scale, rho, spread, rows, mixed, reach, local):
        from aat.kernels.parts.queries import PROGRAM, Counts, Meta
        from aat.kernels.tile_plan import LOG, Place, Spec, scratch_sizes

        self.Meta, self.Place, self.Counts, self.step, self.session = Meta, Place, Counts, PROGRAM, session
        q = q.astype(np.float32) if q.dtype == np.float64 else q
        last = q.shape[3] > 1 and q.strides[3] != q.itemsize
        self.q = np.ascontiguousarray(q) if last or any(s < 0 or s % q.itemsize for s in q.strides) else q
        self.summary, self.rows, self.scale, self.local = summary, rows, scale * LOG, local
        self.by_address = session.intrinsics
        vectors_ = vectors(session, rows)
        self.config = TileConfig(session.lane_width, vectors_, BLOCKS[vectors_], BLOCKS[vectors_], BLOCKS[vectors_], 1)
        self.spec = Spec(q.shape[3], mixed, local is not None)
        self.room, self.numbers, self.ints = scratch_sizes(self.config, q.shape[3], summary.tiles)
        self.blocks = -(-q.shape[2] // rows)
        self.tasks = q.shape[0] * q.shape[1] * self.blocks
        alone = self.tasks * rows * summary.tiles * q.shape[3] < ALONE
        self.programs = 1 if alone else max(1, min(session.threads, self.tasks))
        self._describe(reach)
        self._arrays(rho, spread)

    def _describe(self, reach):
        from aat.kernels.parts.queries import FAR

        Meta, Place, summary, q = self.Meta, self.Place, self.summary, self.q
        B, Hq, L, _ = q.shape
        counts = -(-(Meta.BATCH + 2 * B) // self.step) * self.step
        self.addresses = np.zeros((counts + self.step * self.programs) // 2, np.uint64)
        meta = self.meta = self.addresses.view(np.int32)
        self.counts = meta[counts:]
        meta[[Meta.COUNTS, Meta.PROGRAMS]] = counts, self.programs
        meta[[Meta.HEADS, Meta.GROUP, Meta.QUERIES, Meta.ROWS]] = Hq, Hq // summary.heads, L, L
        meta[[Meta.TILES, Meta.TASKS]] = self.blocks, self.tasks
        offset, left, right = reach or (0, None, None)
        meta[[Meta.LEFT, Meta.RIGHT]] = FAR if left is None else left, FAR if right is None else right
        end = Meta.BATCH + 2 * B
        meta[Meta.BATCH:end:2], meta[Meta.BATCH + 1:end:2] = summary.lens, offset
        meta[Meta.Q:Meta.Q + 3] = [x // q.itemsize for x in q.strides[:3]]
        key = summary.moments.key
        meta[Meta.K:Meta.K + 3] = [x // 4 for x in key.strides[:3]]
        meta[[Place.BLOCK, Place.TILES, Place.ROOM]] = summary.block, summary.tiles, self.room
        meta[[Place.NUMBERS, Place.SCRATCH, Place.INTS]] = self.tasks, self.numbers, self.ints
        if self.local is not None:
            self.local = np.ascontiguousarray(self.local, np.int32)
            meta[Place.LOCAL] = self.local.shape[1] if self.local.shape[0] > 1 else 0

    def _arrays(self, rho, spread):
        session, summary, q, tasks = self.session, self.summary, self.q, self.tasks
        B, Hq, L, _ = q.shape
        flat = session.empty(self.programs * self.numbers, np.dtype(np.float32))
        self.out = (np.empty((tasks, summary.tiles), np.int32), np.empty((3, tasks), np.int32),
                    np.empty((B, Hq, L), np.float32))
        self.arrays = {"q": _flat(q), "key": _flat(summary.moments.key), "flat": flat,
                       "scratch": flat.reshape(-1, session.lane_width),
                       "facts": _facts(summary, self.room), "heads": _heads(summary, rho, spread),
                       "omitted": self.out[2].reshape(-1), "numbers": self.out[1].reshape(-1),
                       "ints": session.empty(self.programs * self.ints, np.dtype(np.int32)),
                       "lists": self.out[0].reshape(-1), "local": self.local}
        places = {"q": self.Meta.Q_ADDRESS, "key": self.Meta.K_ADDRESS, "flat": self.Meta.SCRATCH_ADDRESS}
        for name, x in self.arrays.items():
            place = places.get(name, self.Place.__members__.get(f"{name.upper()}_ADDRESS"))
            if place is not None and x is not None:
                self.addresses[place // 2] = x.ctypes.data
        self.addresses[self.Meta.META_ADDRESS // 2] = self.meta.ctypes.data

    def run(self):
        """Launch, and wait for the end."""
        from aat.kernels.lanes import columns_for, lanes_for
        from aat.kernels.tile_plan import build

        session, config, dtype = self.session, self.config, STORED[self.q.dtype.name]
        key = ("tile_plan", dtype, config, self.spec, self.by_address)

        def make():
            lanes = [f(session.backend, session.lane_width, name, session.intrinsics)
                     for f, name in ((columns_for, "f32"), (lanes_for, dtype))]
            return build(*lanes, config, self.spec)

        if self.tasks == 0 or self.summary.tiles == 0:
            self.out[1][...], self.out[2][...] = 0, -np.inf
            return self.out
        kernel = session.kernel(key, make)
        if session.first_launch(key):       # compiles, with no tasks: two threads may not do that at once
            tasks, self.meta[self.Meta.TASKS] = self.meta[self.Meta.TASKS], 0
            with session.launching(counted=False):
                kernel(*self._given(), 0)
            self.meta[self.Meta.TASKS] = tasks
            kernel = session.kernel(key, make)
        if not self.by_address or self.q.shape[3] < session.lane_width:
            self._go(self.meta, self._shares(kernel))
            return self.out
        for name in ("q", "key", "scratch", "omitted"):         # found by address: the launch is kept without them
            self.arrays[name] = np.zeros_like(self.arrays[name][:1])
        with kept(session, (*key, len(self.meta), self.programs, self.scale),
                  lambda: (self.meta, self._shares(kernel))) as (meta, shares):
            meta[...] = self.meta
            meta.view(np.uint64)[self.Meta.META_ADDRESS // 2] = meta.ctypes.data
            self._go(meta, shares)
        return self.out

    def _given(self):
        """The kernel's arguments without the program's number; 0 for arrays that it finds by address alone."""
        names = ("q", "key", "scratch", "flat", "facts", "heads", "omitted", "numbers", "ints", "lists", "local")
        always = ("q", "key", "scratch", "omitted")
        arrays = [self.arrays[name] if name in always or not self.by_address else 0 for name in names]
        arrays = [np.zeros(1, np.int32) if x is None else x for x in arrays]
        return (*arrays, self.meta, self.scale)

    def _shares(self, kernel):
        return [Relaunch(kernel, (*self._given(), program)) for program in range(self.programs)]

    def _go(self, meta, shares):
        session, at = self.session, int(self.meta[self.Meta.COUNTS])
        meta[self.Meta.TASK], meta[at:] = 0, 0
        finished = (lambda n: meta[at + n * self.step + self.Counts.FINISHED]) if self.by_address else None
        with session.launching():
            session.team.run([share.go for share in shares], finished, own=not self.by_address)


def _facts(summary, room):
    """What the kernel knows of tiles: (B Hk, facts, room) float32; the tiles that fill up weigh nothing."""
    from aat.kernels.tile_plan import Fact

    m = summary.moments
    facts = np.zeros((summary.batch, summary.heads, Fact.COUNT, room), np.float32)
    facts[:, :, Fact.SIZE] = -np.inf
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for row, x in ((Fact.RADIUS, m.radius), (Fact.EIGENVALUE, m.eigenvalue), (Fact.SPREAD, m.value_spread),
                       (Fact.SHIFT, m.value_shift), (Fact.SLACK, bounds.tile_slack(m, summary.d)),
                       (Fact.SIZE, np.log(m.count.astype(np.float32)))):
            facts[:, :, row, :summary.tiles] = x
    return facts.reshape(-1)


def _heads(summary, rho, spread):
    """What the kernel knows of heads: (B Hk, numbers) float32."""
    from aat.kernels import tile_plan as kernel

    heads = np.zeros((summary.batch, summary.heads, kernel.Head.COUNT), np.float32)
    down = np.nextafter(rho.astype(np.float32), np.float32(0))
    safe = np.where(down > 0, down, 1).astype(np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        heads[..., kernel.Head.RHO] = down
        heads[..., kernel.Head.KEPT] = -np.log1p(-rho) * (1 + 1e-6)
        heads[..., kernel.Head.INVERSE_SPREAD] = np.minimum(np.float64(1 + 1e-6) / np.maximum(spread, 1e-38), LARGEST)
        lowest = (np.floor(np.log2(safe)) - kernel.RANGE) * kernel.STEPS + kernel.ZERO
        heads[..., kernel.Head.LOWEST] = np.maximum(lowest, kernel.STEPS)
        heads[..., kernel.Head.SUM] = (1 - 1e-4 - summary.tiles * 2.0**-24) / kernel.CHORD
    return heads.reshape(-1)


def _flat(x):
    """The memory between the first and the last element as a flat array, without a copy."""
    if not x.size:
        return x.reshape(-1)
    return np.lib.stride_tricks.as_strided(x, shape=(elements(x),), strides=(x.itemsize,))
