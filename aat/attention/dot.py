"""How is dot-product attention assembled? A Problem becomes the arguments of kernels/attention_forward.py."""

from dataclasses import replace
from typing import Any

import numpy as np

from aat.arrays import STORAGE, flat, in_place
from aat.attention import scored, tasks
from aat.attention.allowance import describe as describe_allowance
from aat.attention.allowance import left_out, shares, traced
from aat.attention.base import Result
from aat.attention.kept import Kept, counted
from aat.attention.parts import Parts
from aat.attention.positions import pairs_in_bounds
from aat.backends.program import free_launch
from aat.backends.relaunch import Relaunch
from aat.errors import BackendError
from aat.tiling import policy
from aat.tiling.base import TileConfig, count_groups
from aat.tiling.bucket import bucket

ALONE = 1 << 21                # multiply-adds below which waking a second thread takes longer than the work
GRID = 65535                   # thread groups of a launch that every Vulkan device takes
SCRATCH_BYTES = 256 << 20      # scratch of a GPU launch whose configuration does not fit in registers
# A GPU thread's lane is an f32: exp has no f64 form in SPIR-V, and f64 itself is optional.
COMPUTES = {"cpu": ("f16", "bf16", "f32", "f64"), "vulkan": ("f16", "bf16", "f32"), "cuda": ("f16", "bf16", "f32")}
STRIDED = {"Q": "q", "K": "k", "V": "v"}


def choose(problem, session, config=None, tune=True):
    """The TileConfig of a launch: `config`, or what was tuned, or the default for the device and the head sizes.

    Raises BackendError, with every reason, if the device cannot hold it. The policy "auto" may tune if `tune`.
    """
    chosen = config or (problem.form and scored.tiles(problem, session))
    if chosen is None:
        chosen = policy.tuned(bucket(problem), session, problem if tune else None)[0]
        chosen = chosen or TileConfig.default(session.lane_width, problem.D, problem.Dv, session.limits.shared_bytes,
                                              problem.Lq, problem.group, session.limits.pairs)
    chosen = chosen if config else tasks.in_parts(chosen, problem)
    reasons = chosen.problems(backend=session.backend, d=problem.D, dv=problem.Dv, **session.limits.of_tiles())
    if reasons:
        raise BackendError(session.backend, [f"{reason} (tiling: {chosen})" for reason in reasons])
    return chosen


def specify(problem, careful=False, grouped=False, allowance=None):
    """The compile-time features that a problem needs."""
    from aat.kernels.parts.queries import Spec

    def kind(x):
        several = x is not None and (x.shape[2] > 1 or (grouped and x.shape[1] > 1))
        return "" if x is None else "rows" if several else "keys"

    bias_type = "f32" if problem.bias is None else _stored(problem.bias)
    return Spec(d=problem.k.shape[3], dv=problem.Dv, mask=kind(problem.mask), bias=kind(problem.bias),
                bias_type=bias_type, softcap=problem.softcap is not None, sinks=problem.sinks is not None,
                lse=problem.return_lse, careful=careful, grouped=grouped, gate=allowance is not None,
                listed=getattr(allowance, "tiles", None) is not None,
                mixed=getattr(allowance, "means", None) is not None, traced=getattr(allowance, "trace", False),
                mods=problem.mods and problem.mods.key, score=problem.form)


def plan(problem, session, config=None):
    """What `run` would launch, as a dict of facts for people."""
    from aat.attention import decode

    if decode.suits(problem, session, config):
        return decode.plan(problem, session, config)
    chosen = choose(problem, session, config, tune=False)
    rows = chosen.rows_per_program(problem.dtype)
    counts = count(problem, chosen)
    parts = f", {chosen.keys_per_part} keys each" if chosen.keys_per_part else ""
    programs = problem.B * tasks.heads(problem, chosen) * tasks.tiles(problem, chosen) * tasks.parts(problem, chosen)
    return {"kernel": "kernels/attention_forward.py", "tiles": str(chosen),
            "programs": f"{programs} of {rows} query rows{parts}",
            "threads": session.threads if session.backend == "cpu" else chosen.threads,
            "lanes": f"{chosen.lane_width}, {'LLVM intrinsics' if session.intrinsics else 'plain Taichi'}",
            "groups of keys": f"{counts['visited']} visited of {counts['total']}, {counts['full']} without a mask",
            "why": _why(problem, session, config)}


def _why(problem, session, config):
    if config:
        return "given by the caller"
    return policy.tuned(bucket(problem), session)[1] if problem.form is None else "the default for such scores"


def repeatable(problem, session, config=None, plain=True):
    """The launch of a call on the CPU, ready for other arrays of the same shapes and strides (`kept.Kept`).

    None for calls whose arrays are copied, or whose kernel does not go by addresses alone. A call that is not `plain`
    brings more than q, k, v and out, or wants an Info.
    """
    if not (session.backend == "cpu" and session.intrinsics and free_launch()):
        return None
    from aat.attention import decode

    if not all(in_place(x, True) for x in (problem.q, problem.k, problem.v)):
        return None
    if decode.suits(problem, session, config):
        return decode.repeatable(problem, session, config) if plain else None
    if not all(x is None or in_place(x, False) for x in (problem.mask, problem.bias)):
        return None
    chosen = choose(problem, session, config, tune=False)
    if chosen.rows_per_program(problem.dtype) // chosen.lane_vectors > min(problem.D, problem.Dv):
        return None
    launch = _Launch(problem, session, chosen)
    launch.prepare(False, session.standing)
    return Kept(launch)


def run(problem, session, config=None, allowance=None, counted=True):
    """Launch the kernel for a Problem; the Result's arrays are NumPy's, or DeviceArrays if q is one.

    `allowance` (aat.attention.adaptive.Allowance) says what may be left out; None: nothing. Not `counted`: the Result's
    counts may be left empty (`aat.attention.resident` then does not wait).

    A first launch multiplies the values of masked keys by zero; if anything that is not finite came out, a second one
    that does not read them decides, because zero times NaN is NaN.
    """
    from aat.attention import decode, resident

    if allowance is None and decode.suits(problem, session, config):
        return decode.run(problem, session, config)
    if allowance is None and resident.suits(problem, session):
        return resident.run(problem, session, config, counted)
    chosen = choose(problem, session, config)
    with session.scope():
        launch = _Launch(problem, session, chosen, allowance)
        launch.go(careful=False)
        if launch.nonfinite():
            launch.go(careful=True)
        return launch.result()


class _Launch:
    """The kernel's arguments for one problem, kept for a second launch."""

    name = "attention_forward"
    allowance = None        # what may be left out
    joined = None  # Parts, where the keys are cut
    missing: Any = 0  # with an allowance, where the kernel writes its shares

    def __init__(self, problem, session, config, allowance=None):
        from aat.kernels.parts.queries import PROGRAM, Counts, Meta

        self.allowance = allowance

        self.Counts, self.step = Counts, PROGRAM
        self.Meta, self.problem, self.session, self.config = Meta, problem, session, config
        self.on_cpu = session.backend == "cpu"
        self.rows = config.rows_per_program(problem.dtype)
        self.parts = tasks.parts(problem, config)
        # Lists of tiles are those of a head's own query tiles.
        self.grouped = allowance is None and tasks.grouped(problem, config)
        together = problem.group if self.grouped else 1
        self.tiles = -(-problem.Lq * together // self.rows)
        self.tasks = self.parts * problem.B * problem.Hq // together * self.tiles
        self.programs = self._count_programs()
        counts = -(-(Meta.BATCH + 2 * problem.B) // PROGRAM) * PROGRAM
        self.addresses = np.zeros((counts + PROGRAM * (self.programs if self.on_cpu else 1)) // 2, np.uint64)
        self.meta_host = self.addresses.view(np.int32)
        self.counts = self.meta_host[counts:]
        self.meta_host[[Meta.COUNTS, Meta.PROGRAMS]] = counts, self.programs
        self._describe()
        self._inputs()
        self._outputs()
        self.meta_host[Meta.O:Meta.O + 3] = self.out_strides
        self._address(Meta.O_ADDRESS, self.out_argument)
        self._address(Meta.LSE_ADDRESS, self.lse_argument)
        describe_allowance(self)

    def _count_programs(self):
        if not self.on_cpu:
            return min(self.tasks, GRID)
        return 1 if self.problem.multiply_adds_dense < ALONE else min(self.session.threads, self.tasks)

    def _describe(self):
        from aat.kernels.parts.queries import FAR

        Meta, problem, meta = self.Meta, self.problem, self.meta_host
        meta[Meta.GROUP], meta[Meta.QUERIES] = problem.group, problem.Lq
        meta[Meta.HEADS] = problem.Hk if self.grouped else problem.Hq
        meta[Meta.ROWS] = problem.group * problem.Lq if self.grouped else problem.Lq
        meta[Meta.TILES], meta[Meta.TASKS] = self.tiles, self.tasks
        meta[Meta.LEFT] = FAR if problem.left is None else problem.left
        meta[Meta.RIGHT] = FAR if problem.right is None else problem.right
        self.describe_batch(problem)

    def describe_batch(self, problem):
        """Write the lengths and offsets of a Problem of these shapes."""
        Meta, meta, end = self.Meta, self.meta_host, self.Meta.BATCH + 2 * problem.B
        meta[Meta.BATCH:end:2] = problem.Lk if problem.kv_lens is None else problem.kv_lens
        meta[Meta.BATCH + 1:end:2] = problem.q_offset

    def _inputs(self):
        Meta, problem, meta, session = self.Meta, self.problem, self.meta_host, self.session
        arguments = {}
        for place, name in STRIDED.items():
            x = getattr(problem, name)
            arguments[name], strides = self._argument(x, problem.dtype)
            meta[Meta[place]:Meta[place] + 3] = strides[:3]
            self._address(Meta[f"{place}_ADDRESS"], arguments[name])
        for place, name in (("MASK", "mask"), ("BIAS", "bias")):
            x = getattr(problem, name)
            arguments[name] = 0
            if x is not None:
                arguments[name], strides = self._argument(x, logical(name, x), unit=False)
                strides = [0 if size == 1 else stride for size, stride in zip(x.shape, strides, strict=True)]
                meta[Meta[place]:Meta[place] + 4] = strides
        arguments["sinks"] = 0 if problem.sinks is None else session.array(np.ascontiguousarray(problem.sinks))
        self.arguments = arguments

    def _address(self, at, argument):
        """Write where an argument lies; only a CPU kernel asks."""
        if self.on_cpu and isinstance(argument, np.ndarray):
            self.addresses[at // 2] = argument.ctypes.data

    def _argument(self, x, logical, unit=True):
        """(kernel argument, strides in elements) of an input; host arrays are read in place on the CPU."""
        if not isinstance(x, np.ndarray):
            shape = x.shape
            return x.argument, [int(np.prod(shape[axis + 1:])) for axis in range(len(shape))]
        if self.on_cpu:
            x = x.view(np.uint8) if x.dtype == bool else x
            x = x if in_place(x, unit) else np.ascontiguousarray(x)
            return flat(x), [stride // x.itemsize for stride in x.strides]
        x = np.ascontiguousarray(x)
        return self.session.array(x.reshape(-1), logical), [stride // x.itemsize for stride in x.strides]

    def _outputs(self):
        problem, session = self.problem, self.session
        shape = (problem.B, problem.Hq, problem.Lq)
        number = np.dtype(np.float64 if problem.dtype == "f64" else np.float32)
        size = int(np.prod(shape))
        if self.on_cpu and isinstance(problem.q, np.ndarray):
            given = problem.out is not None and in_place(problem.out, True)
            self.out = problem.out if given else np.empty((*shape, problem.Dv), STORAGE[problem.dtype])
            self.out_argument, strides = flat(self.out), [stride // self.out.itemsize for stride in self.out.strides]
            self.lse = self.lse_argument = np.empty(size, number) if problem.return_lse else None
        else:
            # On a GPU every result is f32 and 16-bit ones are rounded when they are read.
            stored = STORAGE[problem.dtype] if self.on_cpu else number
            given = problem.out is not None and not isinstance(problem.out, np.ndarray)
            self.out_argument = problem.out.target if given else session.empty(size * problem.Dv, stored)
            self.lse_argument = session.empty(size, number) if problem.return_lse else None
            strides = [problem.Hq * problem.Lq * problem.Dv, problem.Lq * problem.Dv, problem.Dv]
        self.out_strides = strides[:3]

    def prepare(self, careful, empty):
        """Make the kernel and its arguments, with scratch memory from `empty(purpose, n, dtype)`."""
        from aat.kernels.attention_forward import build
        from aat.kernels.lanes import lanes_for

        problem, session, Meta = self.problem, self.session, self.Meta
        spec, config = specify(problem, careful, self.grouped, self.allowance), replace(self.config, keys_per_part=0)
        if self.config.keys_per_part:  # also where it is one part: a row's bits do not depend on the keys of others
            spec, self.joined = replace(spec, lse=False, sinks=False, parts=True), Parts(self, empty)

        def make():
            lanes = lanes_for(session.backend, config.lane_width, problem.dtype, session.intrinsics)
            return build(lanes, config, spec)

        dtype = problem.dtype if self.on_cpu else "f32"
        key = ("attention_forward", dtype, config, spec)
        scratch, stage = self._memory(spec, empty)
        self._address(Meta.SCRATCH_ADDRESS, scratch)
        self._address(Meta.STAGE_ADDRESS, stage)
        self._restart()
        self.meta = session.array(self.meta_host)
        self._address(Meta.META_ADDRESS, self.meta)
        given = self.arguments
        out, lse, sums, sinks = self.out_argument, self.lse_argument if problem.return_lse else 0, 0, given["sinks"]
        if self.joined is not None:
            self.joined.prepare(self, self.meta, sinks)
            (out, lse, sums), sinks = self.joined.outputs, 0
        arguments = (given["q"], given["k"], given["v"], out, lse, given["mask"], given["bias"], sinks, scratch, stage,
                     sums, given["allowed"], self.missing, given["tiles"], given["means"], given["mod_ints"],
                     given["mod_numbers"], self.meta, problem.scale, problem.softcap or 1.0)
        self.make = lambda: session.kernel(key, make)
        self.kernel, self.kernel_arguments = self.make(), (*arguments, 0, self.programs)
        if self.on_cpu:
            self._share(key, arguments)

    def _share(self, key, arguments):
        """One launch a program. The kernel's first one, which compiles it, has no tasks: two threads may not do that at
        once."""
        Meta, session = self.Meta, self.session
        if session.first_launch(key):
            tasks, self.meta_host[Meta.TASKS] = self.meta_host[Meta.TASKS], 0
            with session.launching(counted=False):
                self.kernel(*arguments, 0, 1)
            self.meta_host[Meta.TASKS] = tasks
            self.kernel = self.make()
            self._restart()
        self.shares = [Relaunch(self.kernel, (*arguments, program, 1)) for program in range(self.programs)]

    def _restart(self):
        self.meta_host[:self.Meta.NONFINITE + 1] = self.meta_host[self.Meta.MERGE] = 0
        self.counts[:] = 0

    def launch(self):
        """Run what was prepared, and wait until `meta` is back on the host."""
        with self.session.launching():
            if self.on_cpu:
                finished = self._finished if self.session.intrinsics else None
                self.session.team.run([share.go for share in self.shares], finished, own=not self.session.intrinsics)
            else:
                self.kernel(*self.kernel_arguments)
            if self.joined is not None:
                self.joined.go()
        if not self.on_cpu:
            self.session.read(self.meta, len(self.meta_host), self.meta_host)

    def _finished(self, program):
        return self.counts[program * self.step + self.Counts.FINISHED]

    def go(self, careful):
        """Prepare and launch."""
        self.prepare(careful, lambda purpose, n, dtype: self.session.empty(n, dtype))
        self.launch()

    def _memory(self, spec, empty):
        """(scratch argument, staging argument)."""
        from aat.kernels.parts.queries import scratch_lanes, stage_elements

        config, problem, programs = self.config, self.problem, self.programs
        lanes = scratch_lanes(config, spec)
        if self.on_cpu:
            number = np.dtype(np.float64 if problem.dtype == "f64" else np.float32)
            width = config.lane_width // 2 if problem.dtype == "f64" else config.lane_width
            scratch = empty("scratch", programs * lanes * width, number).reshape(-1, width)
            staged = stage_elements(config, spec, problem.dtype)
            return scratch, empty("stage", programs * staged, number) if staged else 0
        if not lanes:
            return 0, 0
        each = lanes * config.threads
        self.programs = max(1, min(programs, SCRATCH_BYTES // (4 * each)))
        self.meta_host[self.Meta.PROGRAMS] = self.programs
        return empty("scratch", self.programs * each, np.dtype(np.float32)), 0

    def nonfinite(self):
        """Whether the launch wrote something that is not finite."""
        return bool(self.meta_host[self.Meta.NONFINITE] or self.meta_host[self.Meta.MERGE])

    def result(self):
        problem, session = self.problem, self.session
        shape = (problem.B, problem.Hq, problem.Lq)
        number = "f64" if problem.dtype == "f64" else "f32"
        if not isinstance(problem.q, np.ndarray):
            out = problem.out
            if out is None:
                out = session.adopt(self.out_argument, (*shape, problem.Dv), problem.dtype)
            lse = session.adopt(self.lse_argument, shape, number) if problem.return_lse else None
        elif self.on_cpu:
            out, lse = self.out, None if self.lse is None else self.lse.reshape(shape)
        else:
            size = int(np.prod(shape))
            out = np.empty((*shape, problem.Dv), STORAGE[problem.dtype]) if problem.out is None else problem.out
            session.read(self.out_argument, size * problem.Dv, out, logical=problem.dtype)
            lse = session.read(self.lse_argument, size, np.empty(shape, np.float32)) if problem.return_lse else None
        return Result(out, lse, self._counts(), self.config, self.name, shares(self), trace=traced(self))

    def _counted_by_kernel(self):
        """The programs' own counts, summed."""
        counts = counted(self.counts, self.step)
        return counts | left_out(self)

    def _counts(self):
        """What the kernel counted; by the same arithmetic on the host where its 32 bits could have wrapped."""
        problem, config = self.problem, self.config
        total = self.tasks // self.parts * -(-problem.Lk // config.keys_per_group)
        if total < 2**32:
            counts = self._counted_by_kernel() | {"total": total}
        else:
            counts = count(problem, config)
        pairs = config.keys_per_group * self.rows
        counts["multiply_adds"] = counts["visited"] * pairs * (problem.depth + problem.Dv)
        return counts


def count(problem, config, grouped=True):
    """What a launch that leaves nothing out visits, as tiling.base.count_groups; `grouped`: heads share programs."""
    keys = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    group = problem.group if grouped and tasks.grouped(problem, config) else 1
    counts = count_groups(config, problem.dtype, problem.q_offset, keys, problem.Hq, problem.Lq, problem.Lk,
                          problem.left, problem.right, group=group)
    return counts | {"pairs": pairs_in_bounds(problem)}


def logical(name, x):
    """Short name of the dtype of a further array of a Problem: "mask", "bias" or "sinks"."""
    return "bool" if name == "mask" else _stored(x)


def _stored(x):
    """Short name of the dtype that a float array is stored in; bf16 comes as its bits."""
    return {"uint16": "bf16", "float16": "f16", "float64": "f64"}.get(x.dtype.name, "f32")
