"""Lanes on a GPU (vulkan, cuda): a lane variable is one thread's scalar; keys are staged in shared memory."""
import taichi as ti
from aat.kernels.lanes import functions
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Block, Rows, Scratch, assign, element, inline, local
from aat.kernels.lanes.generate import TANH_F32
from aat.kernels.lanes.shared import SharedTile, Team, column_of, stager


class GpuLanes:
    """One query a thread. Arrays hold f32 (16-bit data is widened when it is copied to the device) and i32 masks."""

    serial = False                       # programs are thread groups: the device schedules them
    mask_type = ti.i32
    staged = True
    width = columns = 1
    dtype = "f32"
    scalar_name = "f32"

    def __init__(self, backend):
        self.backend = backend
        self.scalar = self.vector = self.element_type = ti.f32
        self.positions_type = ti.i32

    def bias_type(self, dtype):
        return ti.f32

    # -- lane arithmetic ----------------------------------------------------------------------------------------
    @inline
    def splat(self, x):
        return local(ti.cast(x, ti.f32))

    @inline
    def fma(self, scalar, lanes, total):
        """total += scalar * lanes; drivers contract it to one instruction."""
        total._augassign(scalar * lanes, "Add")

    @inline
    def fma_lanes(self, a, b, total):
        total._augassign(a * b, "Add")

    @inline
    def add_square(self, scalar, lanes, total):
        """total += (lanes - scalar)^2."""
        apart = local(lanes - scalar)
        total._augassign(apart * apart, "Add")

    @inline
    def exp_sub(self, x, m):
        return local(ti.exp(x - m))

    @inline
    def exp(self, x):
        return local(ti.exp(x))

    @inline
    def exp2(self, x):
        return local(ti.exp(x * 0.6931471805599453))

    @inline
    def log(self, x):
        """ln x for normal x > 0, as generate.log_core: Vulkan allows its own Log an error of 2^-21 near 1."""
        x = local(x)
        bits = local(ti.bit_cast(x, ti.i32))
        n = local((bits - 0x3F3504F3) >> 23)
        m = local(ti.bit_cast(local(bits - (n << 23)), ti.f32))
        s = local((m - 1.0) / (m + 1.0))
        z = local(s * s)
        tail = z * s * (2 / 3 + z * (2 / 5 + z * (2 / 7 + z * (2 / 9 + z * (2 / 11)))))
        n = local(ti.cast(n, ti.f32))
        value = local(n * 0.693359375 + (n * -2.12194440054690583e-4 + (2.0 * s + tail)))
        return local(ti.select((bits & 0x7F800000) == 0x7F800000, x, value))       # infinity and NaN by their bits

    @inline
    def log2(self, x):
        return local(self.log(x) * 1.4426950408889634)

    @inline
    def sqrt(self, x):
        return local(ti.sqrt(x))

    @inline
    def tanh(self, x):
        """As generate.tanh_core: drivers lose the relative accuracy near 0."""
        x = local(x)
        z = local(x * x)
        small = local(0.0)
        for c in reversed(TANH_F32):
            assign(small, small * z + c)
        far = local(1.0 - 2.0 / (ti.exp(2.0 * ti.min(ti.abs(x), 10.0)) + 1.0))
        far = local(ti.select(x < 0.0, -far, far))
        # x + x carries a NaN: min may drop it.
        return local(ti.select(ti.abs(x) < 0.625, small * z * x + x, ti.select(x == x, far, x + x)))

    @inline
    def log1p(self, x):
        return functions.log1p("f32", x)

    @inline
    def arccosh1p(self, x):
        return functions.arccosh1p("f32", x)

    @inline
    def sinh(self, x):
        return functions.sinh("f32", x)

    @inline
    def arcsin(self, x):
        return functions.arcsin("f32", x)

    @inline
    def maximum(self, a, b):
        return ti.max(a, b)

    @inline
    def keep(self, s, j, low, high):
        return local(ti.select((low <= j) & (j < high), s, NEGATIVE_INFINITY))

    @inline
    def where_equal(self, x, value, then, otherwise):
        return local(ti.select(x == value, then, otherwise))

    @inline
    def where_less(self, x, y, then, otherwise):
        """then where x < y, else otherwise, also where one is NaN."""
        return local(ti.select(x < y, then, otherwise))

    @inline
    def nonfinite(self, x):
        """0 where x is finite, 1 elsewhere, from its bits: SPIR-V lets a driver assume that there is no NaN."""
        bits = ti.bit_cast(local(x), ti.i32) & 0x7F800000
        return local(ti.cast(bits == 0x7F800000, ti.f32))

    @inline
    def any_nonzero(self, x):
        return local(ti.cast(x != 0.0, ti.i32))

    # -- positions and memory -----------------------------------------------------------------------------------
    @inline
    def rows(self, first, last):
        return local(ti.min(first, last))

    @inline
    def affine(self, rows, factor, term, low=None, high=None):
        value = rows * factor + term
        return local(value if low is None else ti.min(ti.max(value, low), high))

    @inline
    def divided(self, rows, n):
        whole = local(rows // n)
        return whole, local(rows - whole * n)

    @inline
    def whole(self, x):
        return local(ti.cast(x, ti.i32))

    @inline
    def as_number(self, whole):
        return local(ti.cast(whole, ti.f32))

    @inline
    def of_scalar(self, name, x):
        """A lane is one number."""
        return getattr(self, name)(x)

    @inline
    def look_up(self, array, address, index, numbers):
        return local(element(array, index))

    @inline
    def first(self, lanes):
        """The number in the first lane: a thread has one."""
        return lanes

    @inline
    def gather(self, array, bases, offset, dtype):
        """array[bases + offset]; every dtype is stored as f32, masks as i32."""
        return local(ti.cast(element(array, bases + offset), ti.f32))

    @inline
    def broadcast(self, array, index, dtype):
        return local(ti.cast(element(array, index), ti.f32))

    @inline
    def scatter(self, array, bases, offset, lanes, dtype):
        assign(element(array, bases + offset), lanes)

    @inline
    def scatter_plain(self, array, address, bases, lanes):
        assign(element(array, bases), lanes)

    @inline
    def address(self, meta, at):
        """GPU arrays have no addresses: they are arguments."""
        return None

    @inline
    def read_columns(self, store, n, columns, vectors, u, first, array, address, rows, column, scale):
        value = local(self.gather(array, rows, column, self.dtype) * scale)
        store.put_block(n * vectors + u, 1, Block([value]), first)

    @inline
    def write_columns(self, store, n, columns, vectors, u, first, factor, flagged, array, address, rows, column,
                      dtype):
        x = local(store.block(n * vectors + u, 1, first).values[0] * factor)
        flagged._augassign(self.nonfinite(x), "Add")
        self.scatter(array, rows, column, x, dtype)

    @inline
    def memory(self, array, address, start, step):
        return Scratch(array, start, step)

    # -- a launch ---------------------------------------------------------------------------------------------------
    @inline
    def enter(self):
        """A device has one set of rules."""
        return 0

    @inline
    def leave(self, rules):
        """Nothing was changed."""

    # -- tasks --------------------------------------------------------------------------------------------------
    @inline
    def first_task(self, meta, at, address, program):
        return local(program)

    @inline
    def next_task(self, meta, at, address, task, programs):
        return local(task + programs)

    @inline
    def add_count(self, meta, at, value):
        """Add to a counter that all programs share."""
        ti.atomic_add(element(meta, at), value)

    @inline
    def publish(self, meta, at, address):
        """Nothing: a launch ends for the host when it waits for it."""

    # -- tiles of keys ------------------------------------------------------------------------------------------
    @inline
    def rows_in_place(self, array, address, offset, stride, columns, last):
        """Rows of an array; a GPU stages them."""
        return Rows(array, offset, local(stride), last)

    @inline
    def shared_rows(self, array, first, columns, config, thread):
        return SharedTile(array, first, columns, config.team, local(thread % config.team), config.pairs)

    @inline
    def column_of(self, c, config, thread):
        return column_of(c, config.team, thread % config.team, config.pairs)

    @inline
    def shared(self, count, pairs=False):
        return ti.simt.block.SharedArray((count // 2,) if pairs else (count,), ti.u64 if pairs else ti.f32)

    @inline
    def team(self, config):
        return Team(config.team, config.lane_vectors * config.keys_per_block, config.threads, config.pairs)

    @inline
    def sync(self):
        ti.simt.block.sync()

    def stage(self, columns, rows, threads, pairs=False):
        """A `ti.func` by which the threads of a group copy a tile into shared memory."""
        return stager(columns, rows, threads, pairs)
