"""How does attention of few queries run on a session? A Problem becomes arguments of kernels/attention_decode.py."""

import struct

import numpy as np

from aat.arrays import flat, span
from aat.attention import dot
from aat.backends.memory import check_elements
from aat.backends.relaunch import Relaunch
from aat.errors import BackendError
from aat.tiling.base import TileConfig, count_groups

QUERIES = 16                 # a longer block of queries pays for attention_forward
ROWS = 64                    # rows of a KV head that a launch takes together; their sums stay in the second cache
PARTS_BYTES = 64 << 20       # scratch of the parts
ALONE = 2000                 # keys times blocks of rows that take less time than waking another thread does
KEY_BYTES = {"f32": 4, "f16": 2, "bf16": 2, "int8": 1, "f64": 8}
KV_TYPES = {"f32": "f32", "f16": "f16", "bf16": "bf16", "int8": "i8"}
_INPUTS, _OUTPUTS = struct.Struct("=3Q"), struct.Struct("=2Q")
DIRECT = ("mask", "bias", "sinks")
INDEXED = ("q", "k", "v", "out", "lse", "scratch", "parts_a", "parts_m", "parts_l", "table", "k_scales", "v_scales")


def suits(problem, session, config):
    """Whether attention_decode takes a problem: `config` decides if there is one, else the shape. It has no scores but
    scale q.k, and no place for a score_mod or mask_mod."""
    if problem.form is not None or problem.mods is not None:
        return False
    if config is not None:
        return config.columns
    return session.backend == "cpu" and problem.Lq <= QUERIES


def choose(problem, session, config=None, pages=None):
    """The TileConfig of a launch; BackendError, with every reason, if the device cannot hold it."""
    key_bytes = KEY_BYTES[problem.dtype if pages is None else pages.dtype]
    page_size = 0 if pages is None else pages.page_size
    chosen = config or TileConfig.decode(session.lane_width, problem.group * problem.Lq, problem.Lk, key_bytes,
                                         page_size)
    reasons = chosen.problems(backend=session.backend, d=problem.D, dv=problem.Dv)
    if reasons:
        raise BackendError(session.backend, [f"{reason} (tiling: {chosen})" for reason in reasons])
    return chosen


def queries_at_once(problem, config):
    """Queries of a head that one launch takes."""
    parts = max(1, -(-problem.Lk // config.keys_per_tile))
    row_bytes = 8 * problem.B * problem.Hq * problem.Dv * parts
    return max(1, min(problem.Lq, ROWS // problem.group, PARTS_BYTES // row_bytes))


def specify(problem, careful=False, pages=None):
    """The compile-time features that a problem needs."""
    from aat.kernels.attention_decode import Spec

    kv_type, page_size = (problem.dtype, 0) if pages is None else (KV_TYPES[pages.dtype], pages.page_size)

    bias_type = "f32" if problem.bias is None else dot._stored(problem.bias)
    return Spec(d=problem.D, dv=problem.Dv, dtype=problem.dtype, kv_type=kv_type, page_size=page_size,
                mask=problem.mask is not None, bias=problem.bias is not None, bias_type=bias_type,
                softcap=problem.softcap is not None, sinks=problem.sinks is not None, lse=problem.return_lse,
                careful=careful)


def run(problem, session, config=None, pages=None):
    """Launch the kernel for a Problem; as `aat.attention.dot.run`.

    With `pages`, an object as `aat.attention.paged.PagedKV` (k, v, table, k_scales, v_scales, page_size, dtype), keys
    and values are read there in place, and k and v of the problem, which is not "f64", are nothing but shapes.
    """
    chosen = choose(problem, session, config, pages)
    with session.scope():
        launch = _Launch(problem, session, chosen, pages)
        launch.go(careful=False)
        if launch.nonfinite():
            launch.go(careful=True)
        return launch.result()


def plan(problem, session, config=None):
    """What `run` would launch, as a dict of facts for people."""
    chosen = choose(problem, session, config)
    counts = _counted_by_host(problem, chosen)
    rows, parts = problem.group * queries_at_once(problem, chosen), -(-problem.Lk // chosen.keys_per_tile)
    return {"kernel": "kernels/attention_decode.py", "tiles": str(chosen),
            "programs": f"{problem.B * problem.Hk} KV heads of {rows} rows, in {parts} parts of the keys",
            "threads": session.threads,
            "lanes": f"{chosen.lane_width}, {'LLVM intrinsics' if session.intrinsics else 'plain Taichi'}",
            "groups of keys": f"{counts['visited']} visited of {counts['total']}, {counts['full']} without a mask",
            "why": "given by the caller" if config else "few queries: memory is the bound"}


def spread(keys, q_offset, rows, left, right, tile):
    """(first part, parts) of `tile` keys that hold what some row sees; keys, q_offset: arrays over the batch.

    Parts that no row sees are left out; what is left does not depend on where the others end.
    """
    first = q_offset.astype(np.int64)
    begin = 0 if left is None else np.clip(first - left, 0, keys).min()
    end = keys.max() if right is None else np.clip(first + rows + right, 0, keys).max()
    first_part = int(begin) // tile
    return first_part, max(1, -(-int(end) // tile) - first_part)


def programs(session, heads, keys, blocks, parts):
    """Programs of a launch over `heads` KV heads of the whole batch, of `keys` keys in `parts` parts."""
    return 1 if heads * keys * blocks <= ALONE else min(session.threads, heads * parts)


def repeatable(problem, session, config=None):
    """As `aat.attention.dot.repeatable`: the launch of a call without further arrays, in one turn, by addresses."""
    launch = _Launch(problem, session, choose(problem, session, config), empty=session.standing)
    if not launch.by_address or launch.queries < problem.Lq:
        return None
    launch.forget()
    return launch


class _Launch(dot._Launch):
    """The kernel's arguments for one problem, kept for a second launch."""

    name = "attention_decode"

    def __init__(self, problem, session, config, pages=None, empty=None):
        from aat.kernels.attention_decode import Meta
        from aat.kernels.attention_merge import Merge

        self.Meta, self.Merge, self.problem, self.session, self.config = Meta, Merge, problem, session, config
        self.pages = pages
        self._empty = empty or (lambda purpose, n, dtype: session.empty(n, dtype))
        self.on_cpu = session.backend == "cpu"
        self.by_address = session.intrinsics
        self._take_meta()
        self.queries = queries_at_once(problem, config)
        self._describe()
        self._inputs()
        self._outputs()
        self._take_memory()

    def _describe(self):
        from aat.kernels.parts.queries import FAR

        Meta, problem, meta, tile = self.Meta, self.problem, self.meta_host, self.config.keys_per_tile
        meta[Meta.HEADS], meta[Meta.GROUP] = problem.Hk, problem.group
        meta[Meta.LEFT] = FAR if problem.left is None else problem.left
        meta[Meta.RIGHT] = FAR if problem.right is None else problem.right
        keys = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
        end = Meta.BATCH + 2 * problem.B
        meta[Meta.BATCH:end:2] = keys
        meta[Meta.BATCH + 1:end:2] = problem.q_offset
        self.first_part, self.parts = spread(keys, problem.q_offset, problem.Lq, problem.left, problem.right, tile)
        meta[Meta.PARTS], meta[Meta.FIRST_PART] = self.parts, self.first_part

    def _inputs(self):
        Meta, problem, meta = self.Meta, self.problem, self.meta_host
        arguments = self.arguments = {}
        for place, name in dot.STRIDED.items():
            if name == "q" or self.pages is None:
                arguments[name], strides = self._argument(getattr(problem, name), problem.dtype)
                meta[Meta[place]:Meta[place] + 3] = strides[:3]
        if self.pages is not None:
            self._paged()
        for place, name in (("MASK", "mask"), ("BIAS", "bias")):
            x = getattr(problem, name)
            if x is not None:
                logical = "bool" if name == "mask" else dot._stored(x)
                arguments[name], strides = self._argument(x, logical, unit=False)
                strides = [0 if size == 1 else stride for size, stride in zip(x.shape, strides, strict=True)]
                meta[Meta[place]:Meta[place] + 4] = strides
        if problem.sinks is not None:
            arguments["sinks"] = self.session.array(np.ascontiguousarray(problem.sinks))

    def _paged(self):
        """Pages where they are: strides over pages, heads and rows."""
        pages, meta, Meta = self.pages, self.meta_host, self.Meta
        names = ["k", "v", "table"] + (["k_scales", "v_scales"] if pages.dtype == "int8" else [])
        for name in names:
            x = getattr(pages, name)
            if not self.by_address:
                check_elements(name, span(x))
            self.arguments[name] = flat(x)
            place, count = Meta[name.upper()], {"k": 3, "v": 3, "table": 1}.get(name, 2)
            meta[place:place + count] = [stride // x.itemsize for stride in x.strides[:count]]

    def _outputs(self):
        Meta = self.Meta
        super()._outputs()
        at = Meta.MERGE + self.Merge.O
        self.meta_host[at:at + 3] = self.out_strides
        self.arguments["out"], self.arguments["lse"] = self.out_argument, self.lse_argument

    def _take_memory(self):
        from aat.kernels.attention_decode import scratch_elements
        from aat.kernels.attention_merge import padded

        problem, session, config = self.problem, self.session, self.config
        number = np.dtype(np.float64 if problem.dtype == "f64" else np.float32)
        width = config.lane_width // 2 if problem.dtype == "f64" else config.lane_width
        rows_at_once = problem.group * self.queries
        self.blocks = -(-rows_at_once // min(config.lane_vectors, width))
        self.programs = programs(session, problem.B * problem.Hk, problem.Lk, self.blocks, self.parts)
        rows = problem.B * problem.Hq * self.queries
        each = scratch_elements(config, specify(problem, pages=self.pages), width, self.blocks)
        arguments = self.arguments
        arguments["scratch"] = self._empty("scratch", self.programs * each, number)
        arguments["parts_a"] = self._empty("parts_a", self.parts * rows * padded(width, problem.Dv), number)
        for name in ("parts_m", "parts_l"):
            arguments[name] = self._empty(name, self.parts * rows, number)
        if self.by_address:
            arguments["meta"] = self.meta_host
            self._addresses()

    def _addresses(self):
        from aat.kernels.attention_decode import ADDRESSED

        merged = [f"parts_{letter}" for letter in "aml"] + ["out", "lse"]
        for place, names in ((self.Meta.ADDRESSES, ADDRESSED), (self.Meta.MERGE + self.Merge.A_ADDRESS, merged)):
            found = [self.arguments.get(name) for name in names]
            addresses = [0 if x is None else x.__array_interface__["data"][0] for x in found]
            self.meta_host[place:place + 2 * len(names)] = np.array(addresses, np.uint64).view(np.int32)

    def nonfinite(self):
        """Whether the last launch left a result that is not finite."""
        return bool(self.meta_host[self.Meta.MERGE + self.Merge.NONFINITE])

    def go(self, careful):
        """Launch for every block of queries, and wait until `meta` is back on the host."""

        problem, session = self.problem, self.session
        kernel, _ = self._kernels(careful)
        if self.by_address:
            self._share_out(careful)
        self._restart()
        for first in range(0, problem.Lq, self.queries):
            self._turn_to(first, min(self.queries, problem.Lq - first))
            with session.launching():
                if self.by_address:
                    self._go_by_address()
                else:
                    kernel(*self._arrays(DIRECT), self.meta_host, problem.scale, problem.softcap or 1.0, self.programs,
                           *self._arrays(INDEXED))

    def _go_by_address(self):
        """The parts, by all threads, then the merge."""
        self.counts[self.Counts.FINISHED::self.step] = 0
        self.session.team.run(self.goes, self._finished)
        self.join.go()

    def _take_meta(self):
        from aat.kernels.parts.queries import PROGRAM, Counts

        self.Counts, self.step = Counts, PROGRAM
        counts = -(-(self.Meta.BATCH + 2 * self.problem.B) // PROGRAM) * PROGRAM
        self.meta_host = np.zeros(counts + PROGRAM * self.session.threads, np.int32)
        self.counts = self.meta_host[counts:]
        self.meta_host[self.Meta.COUNTS] = counts

    def _kernels(self, careful):
        """(parts, merge), or without addresses (all, None)."""
        from aat.kernels.attention_decode import build
        from aat.kernels.lanes import columns_for

        session, dtype = self.session, self.problem.dtype
        spec = specify(self.problem, careful, self.pages)
        self.key = (self.name, dtype, self.config, spec)

        def make(which):
            columns = columns_for(session.backend, self.config.lane_width, dtype, session.intrinsics)
            return build(columns, self.config, spec)[which]

        first = session.kernel(self.key, lambda: make(0))
        return first, session.kernel(("attention_merge", *self.key), lambda: make(1)) if self.by_address else None

    def _share_out(self, careful):
        """The launches of each program and of the merge. The first ones, which compile, have nothing to do: two threads
        may not do that at once."""
        kernel, join = self._kernels(careful)
        problem, meta, Meta = self.problem, self.meta_host, self.Meta
        mask, bias, sinks = self._arrays(DIRECT)
        arguments = (mask, bias, meta, problem.scale, problem.softcap or 1.0)
        if self.session.first_launch(self.key):
            meta[Meta.TASKS] = meta[Meta.MERGE + self.Merge.ROWS] = 0
            with self.session.launching(counted=False):
                kernel(*arguments, 0)
                join(sinks, meta)
            kernel, join = self._kernels(careful)
        self.goes = [Relaunch(kernel, (*arguments, program)).go for program in range(self.programs)]
        self.join = Relaunch(join, (sinks, meta))

    def _restart(self):
        self.counts[:] = 0
        self.meta_host[self.Meta.MERGE + self.Merge.NONFINITE] = 0

    def forget(self):
        """Let go of the call's arrays: the kernel finds them by the addresses in `meta`."""
        self._share_out(careful=False)
        self._turn_to(0, self.problem.Lq)
        self.standing = [self.arguments[name] for name in ("scratch", "parts_a", "parts_m", "parts_l")]
        for name in ("problem", "arguments", "out", "out_argument", "lse", "lse_argument", "pages", "_empty"):
            delattr(self, name)
        # From here on what changes is written by address: q, k, v next to each other, out and lse too.
        self.header = self.meta_host.data.cast("B")
        self.places = (4 * self.Meta.ADDRESSES, 4 * (self.Meta.MERGE + self.Merge.O_ADDRESS))

    def renew(self, keys, q_offset):
        """Other lengths and positions, arrays over the batch, in as many parts."""
        at = self.Meta.BATCH
        self.meta_host[at:at + 2 * len(keys):2], self.meta_host[at + 1:at + 2 * len(keys):2] = keys, q_offset

    def again(self, q, k, v, out, lse):
        """What `forget` left, on other arrays, given by their addresses. Runs under the kernels' own floating-point
        rules; Ctrl-C waits in Team.run."""
        _INPUTS.pack_into(self.header, self.places[0], q, k, v)
        _OUTPUTS.pack_into(self.header, self.places[1], out, lse)
        self.meta_host[self.Meta.TASK] = 0
        self._restart()
        self.session.check()
        self.session.counters.launches += 1
        self._go_by_address()

    def _turn_to(self, first, count):
        """Describe the launch for `count` queries of each head from `first` on."""
        Meta, Merge, problem, meta = self.Meta, self.Merge, self.problem, self.meta_host
        meta[Meta.TASK], meta[Meta.TASKS] = 0, problem.B * problem.Hk * self.parts
        meta[Meta.QUERIES], meta[Meta.FIRST] = count, first
        width = self.config.lane_width // 2 if problem.dtype == "f64" else self.config.lane_width
        meta[Meta.BLOCKS] = -(-problem.group * count // min(self.config.lane_vectors, width))
        merge = meta[Meta.MERGE:Meta.MERGE + Merge.SIZE]
        merge[Merge.ROWS] = problem.B * problem.Hq * count
        merge[Merge.PARTS], merge[Merge.HEADS] = self.parts, problem.Hq
        merge[Merge.QUERIES], merge[Merge.FIRST], merge[Merge.ALL_QUERIES] = count, first, problem.Lq

    def _arrays(self, names):
        """Arguments of the kernel by name; 0 stands for one that it is compiled without."""
        given = [self.arguments.get(name) for name in names]
        return [0 if x is None else x for x in given]

    def _counts(self):
        """What the kernel counted, in groups of keys of a KV head and all rows that a launch takes."""
        problem, config = self.problem, self.config
        total = problem.B * problem.Hk * -(-problem.Lq // self.queries) * -(-problem.Lk // config.keys_per_group)
        if total < 2**32:
            counts = self._counted_by_kernel() | {"total": total}
        else:
            counts = _counted_by_host(problem, config)
        return counts | {"multiply_adds": _multiply_adds(problem, config, counts["visited"])}


def _multiply_adds(problem, config, visited):
    rows = problem.group * queries_at_once(problem, config)
    return visited * config.keys_per_group * rows * (problem.D + problem.Dv)


def _counted_by_host(problem, config):
    keys = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    return count_groups(config, problem.dtype, problem.q_offset, keys, problem.Hk, problem.Lq, problem.Lk,
                        problem.left, problem.right, rows=queries_at_once(problem, config))
