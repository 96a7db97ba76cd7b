"""Lanes on a CPU: a lane variable is one SIMD vector."""
from functools import cache, partial
from pathlib import Path

import taichi as ti
from aat.kernels.lanes import functions
from aat.kernels.lanes.addressed import AddressedMemory, AddressedRows, wide
from aat.kernels.lanes.base import (
    NEGATIVE_INFINITY,
    Block,
    Rows,
    Scratch,
    Staged,
    assign,
    decode,
    element,
    encode,
    inline,
    local,
)
from taichi._lib import core as _core
from taichi.lang import impl
from taichi.lang.expr import make_expr_group

FOLDER = Path(__file__).parent / "intrinsics"


@cache
def bitcode_file(function):
    """Path of an intrinsic's assembled module; its name carries a hash of its source."""
    return str(next(FOLDER.glob(f"{function}_????????????.bc")))


class CpuLanes:
    """One vector of queries. Intrinsics take pointers, so each argument of theirs is a local variable."""

    backend = "cpu"
    serial = True                        # a launch is one program on the calling thread: see aat.backends.team
    mask_type = ti.u8

    def __init__(self, lane_width, dtype, intrinsics):
        self.dtype = dtype
        self.scalar_name = "f64" if dtype == "f64" else "f32"
        self.scalar = getattr(ti, self.scalar_name)
        self.scalar_bytes = {"f64": 8, "f32": 4}[self.scalar_name]
        self.element_bytes = {"f16": 2, "bf16": 2}.get(dtype, self.scalar_bytes)
        self.element_type = self.bias_type(dtype)
        self.width = lane_width // 2 if dtype == "f64" else lane_width
        self.vector_bytes = 4 * lane_width
        self.staged = dtype in ("f16", "bf16")           # 16-bit keys are converted once a tile
        self.vector = ti.types.vector(self.width, self.scalar)
        self.positions_type = ti.types.vector(self.width, ti.i32)
        self.suffix = f"v{self.width}{self.scalar_name}"
        self.bitcode = intrinsics
        self.columns = self.width if self.bitcode else 1     # columns of a row that move at once
        self.exp, self.log = self._unary("exp", ti.exp), self._unary("log", ti.log)
        self.exp2 = self._unary("exp2", lambda x: ti.exp(x * self._constant(0.6931471805599453)))
        self.log2 = self._unary("log2", lambda x: ti.log(x) * self._constant(1.4426950408889634))
        self.sqrt, self.tanh = self._unary("sqrt", ti.sqrt), self._unary("tanh", ti.tanh)
        for f in (functions.log1p, functions.sinh, functions.arcsin, functions.arccosh1p):
            setattr(self, f.__name__, self._unary(f.__name__, partial(f, self.scalar_name)))

    def _constant(self, value):
        """A number in the lanes' precision: Taichi takes a Python float for an f32."""
        return impl.Expr(value, dtype=self.scalar)

    def bias_type(self, dtype):
        """Element type of an array that holds `dtype`."""
        return {"f16": ti.f16, "bf16": ti.u16, "f64": ti.f64}.get(dtype, ti.f32)

    def _call(self, name, *arguments):
        """Call an intrinsic. taichi.lang.source_builder does the same, behind a check of the architecture."""
        function = f"{name}_{self.suffix}"
        impl.get_runtime().compiling_callable.ast_builder().insert_external_func_call(
            0, "", bitcode_file(function), function, make_expr_group(arguments), make_expr_group([]),
            _core.DebugInfo(impl.get_runtime().get_current_src_info()))

    def _value(self, name, *arguments):
        result = local(self.vector(0.0))
        self._call(name, *arguments, result)
        return result

    def _by_lane(self, function):
        """A vector from a function of the lane number: Taichi's elementary functions take no vectors on the CPU."""
        return local(self.vector([function(w) for w in range(self.width)]))

    def _unary(self, name, plain):
        @inline
        def call(x):
            x = local(x)
            return self._value(name, x) if self.bitcode else self._by_lane(lambda w: plain(element(x, w)))
        return call

    # -- lane arithmetic ----------------------------------------------------------------------------------------
    @inline
    def splat(self, x):
        return local(self.vector([x] * self.width))

    @inline
    def fma(self, scalar, lanes, total):
        """total += scalar * lanes, rounded once (twice without the intrinsics)."""
        if self.bitcode:
            self._call("fma_s", scalar, lanes, total)
        else:
            total._augassign(lanes * scalar, "Add")

    @inline
    def fma_lanes(self, a, b, total):
        """total += a * b, lane by lane, rounded once (twice without the intrinsics)."""
        if self.bitcode:
            self._call("fma_v", a, b, total)
        else:
            total._augassign(a * b, "Add")

    @inline
    def add_square(self, scalar, lanes, total):
        """total += (lanes - scalar)^2, the sum rounded once (twice without the intrinsics)."""
        if self.bitcode:
            self._call("square_s", scalar, lanes, total)
        else:
            apart = local(lanes - scalar)
            total._augassign(apart * apart, "Add")

    @inline
    def exp_sub(self, x, m):
        """e^(x - m) for x <= m: exactly 1 at x = m, 0 below the normal range, NaN for NaN."""
        x, m = local(x), local(m)
        if self.bitcode:
            return self._value("exp_sub", x, m)
        return self._by_lane(lambda w: ti.exp(element(x, w) - element(m, w)))

    @inline
    def maximum(self, a, b):
        if self.bitcode:
            return self._value("max", local(a), local(b))
        return ti.max(a, b)

    @inline
    def keep(self, s, j, low, high):
        """s where low <= j < high, else -inf."""
        if self.bitcode:
            return self._value("keep", local(s), local(j), low, high)
        s = local(s)
        inside = [(element(low, w) <= j) & (j < element(high, w)) for w in range(self.width)]
        return self._by_lane(lambda w: ti.select(inside[w], element(s, w), NEGATIVE_INFINITY))

    @inline
    def where_equal(self, x, value, then, otherwise):
        """then where x == value, else otherwise."""
        x, then, otherwise = local(x), local(then), local(otherwise)
        if self.bitcode:
            return self._value("where_equal", x, local(ti.cast(value, self.scalar)), then, otherwise)
        return self._by_lane(lambda w: ti.select(element(x, w) == value, element(then, w), element(otherwise, w)))

    @inline
    def where_less(self, x, y, then, otherwise):
        """then where x < y, else otherwise, also where one is NaN."""
        x, y, then, otherwise = local(x), local(y), local(then), local(otherwise)
        if self.bitcode:
            return self._value("where_less", x, y, then, otherwise)
        less = [element(x, w) < element(y, w) for w in range(self.width)]
        return self._by_lane(lambda w: ti.select(less[w], element(then, w), element(otherwise, w)))

    @inline
    def nonfinite(self, x):
        """1 where x is NaN or infinite, else 0; Taichi folds x - x and x != x, so the bits decide."""
        x = local(x)
        if self.bitcode:
            return self._value("nonfinite", x)
        kind, field = (ti.i64, 0x7FF << 52) if self.scalar_name == "f64" else (ti.i32, 0xFF << 23)

        def bits(w):
            field_of = ti.bit_cast(element(x, w), kind) & impl.Expr(field, dtype=kind)
            return ti.cast(field_of == impl.Expr(field, dtype=kind), self.scalar)
        return self._by_lane(bits)

    @inline
    def any_nonzero(self, x):
        """1 where some lane is not 0, else 0 (i32)."""
        x = local(x)
        found = local(0)
        if self.bitcode:
            self._call("any_nonzero", x, found)
            return found
        for w in range(self.width):
            found._augassign(ti.cast(element(x, w) != 0.0, ti.i32), "BitOr")
        return found

    # -- positions and memory -----------------------------------------------------------------------------------
    @inline
    def rows(self, first, last):
        """Row numbers of the lanes, first, first + 1, ..., at most last (i32 lanes)."""
        return local(self.positions_type([ti.min(first + w, last) for w in range(self.width)]))

    @inline
    def affine(self, rows, factor, term, low=None, high=None):
        """rows * factor + term, limited to [low, high] where given (i32 lanes)."""
        values = [element(rows, w) * factor + term for w in range(self.width)]
        if low is not None:
            values = [ti.min(ti.max(x, low), high) for x in values]
        return local(self.positions_type(values))

    @inline
    def divided(self, rows, n):
        """(rows // n, rows % n), for rows that are not negative (i32 lanes)."""
        n = local(self.positions_type([n] * self.width))
        whole = local(ti.raw_div(rows, n))       # Taichi's // is ten statements a lane, which compile for seconds
        return whole, local(rows - whole * n)

    @inline
    def whole(self, x):
        """The whole number x in every lane (i32 lanes)."""
        return local(self.positions_type([x] * self.width))

    @inline
    def as_number(self, whole):
        """i32 lanes as numbers."""
        whole = local(whole)
        return self._value("as_number", whole) if self.bitcode else self._by_lane(
            lambda w: ti.cast(element(whole, w), self.scalar))

    @inline
    def of_scalar(self, name, x):
        """An elementary function, by its name here, of one number and not of lanes."""
        if name in ("exp2", "log2"):
            ln2 = self._constant(0.6931471805599453)
            return local(ti.exp(x * ln2) if name == "exp2" else ti.log(x) / ln2)
        return local(getattr(ti, name)(x))

    @inline
    def look_up(self, array, address, index, numbers):
        """Lane w reads array[index[w]]: numbers of the lanes' scalar, or i32."""
        index = local(index)
        if self.bitcode:
            found = local(self.vector(0.0) if numbers else self.positions_type(0))
            self._call("look_up_number" if numbers else "look_up_whole", address, index, found)
            return found
        values = [element(array, element(index, w)) for w in range(self.width)]
        return local((self.vector if numbers else self.positions_type)(values))

    @inline
    def first(self, lanes):
        """The number in the first lane."""
        return local(element(lanes, 0))

    @inline
    def gather(self, array, bases, offset, dtype):
        """Lane w reads array[bases[w] + offset], stored as dtype ("mask" for 0 and 1), as a number."""
        return self._by_lane(lambda w: self._number(array, element(bases, w) + offset, dtype))

    @inline
    def broadcast(self, array, index, dtype):
        """Every lane reads array[index]."""
        return self.splat(self._number(array, index, dtype))

    def _number(self, array, index, dtype):
        return ti.cast(decode(dtype, element(array, index)), self.scalar)

    @inline
    def scatter(self, array, bases, offset, lanes, dtype):
        """Lane w writes array[bases[w] + offset], stored as dtype."""
        lanes = local(lanes)
        for w in range(self.width):
            assign(element(array, element(bases, w) + offset), encode(dtype, element(lanes, w)))

    @inline
    def scatter_plain(self, array, address, bases, lanes):
        """Lane w writes number bases[w] of an array of the lanes' scalars."""
        lanes = local(lanes)
        if self.bitcode and address is not None:
            self._call("scatter_lanes", lanes, address, bases)
            return
        for w in range(self.width):
            assign(element(array, element(bases, w)), element(lanes, w))

    @inline
    def address(self, meta, at):
        """The 64-bit address that meta[at] and the next hold, low word first."""
        if not self.bitcode:
            return None
        low = ti.cast(ti.cast(element(meta, at), ti.u32), ti.i64)
        return local(low | (ti.cast(element(meta, at + 1), ti.i64) << 32))

    @inline
    def read_columns(self, store, n, columns, vectors, u, first, array, address, rows, column, scale):
        """Columns `column` ... of every lane's row, scaled, into a store: column c of vector u as variable
        first + (n * columns + c) * vectors + u. `columns` is the lanes' own number or 1."""
        if columns == 1:
            value = local(self.gather(array, rows, column, self.dtype) * scale)
            store.put_block(n * vectors + u, 1, Block([value]), first)
        else:
            at, step = store.place(n, columns * vectors, first + u), wide(vectors * self.vector_bytes)
            self._call(f"read_columns_{self.dtype}", address, rows, wide(column), local(scale), at, step)

    @inline
    def write_columns(self, store, n, columns, vectors, u, first, factor, flagged, array, address, rows, column,
                      dtype):
        """The inverse, times `factor`, stored as dtype; `flagged` grows in a lane that wrote something that is not
        finite."""
        if columns == 1:
            x = local(store.block(n * vectors + u, 1, first).values[0] * factor)
            flagged._augassign(self.nonfinite(x), "Add")
            self.scatter(array, rows, column, x, dtype)
        else:
            at, step = store.place(n, columns * vectors, first + u), wide(vectors * self.vector_bytes)
            self._call(f"write_columns_{dtype}", at, step, factor, flagged, address, rows, wide(column), flagged)

    @inline
    def memory(self, array, address, start, step):
        """Lane variables in memory from number `start` on."""
        if not self.bitcode:
            return Scratch(array, start, step)
        return AddressedMemory(self, local(address + wide(start) * self.vector_bytes))

    # -- a launch ---------------------------------------------------------------------------------------------------
    @inline
    def enter(self):
        """Set the thread's floating-point rules to the kernels'; `leave` takes what this returns."""
        rules = local(0)
        if self.bitcode:
            self._call("enter", rules)
        return rules

    @inline
    def leave(self, rules):
        if self.bitcode:
            self._call("leave", rules)

    # -- tasks --------------------------------------------------------------------------------------------------
    @inline
    def first_task(self, meta, at, address, program):
        """The first task of a program: from the counter meta[at], or its own number where nothing is atomic."""
        return self._from_counter(address, at) if self.bitcode else local(program)

    @inline
    def next_task(self, meta, at, address, task, programs):
        return self._from_counter(address, at) if self.bitcode else local(task + programs)

    def _from_counter(self, address, at):
        task = local(0)
        self._call("next_task", local(address + 4 * at), task)
        return task

    @inline
    def add_count(self, meta, at, value):
        """Add to a counter that belongs to the program."""
        assign(element(meta, at), element(meta, at) + value)

    @inline
    def publish(self, meta, at, address):
        """meta[at] = 1, seen by others after all that was written before."""
        if self.bitcode:
            self._call("publish", local(address + 4 * wide(at)))
        else:
            assign(element(meta, at), 1)

    @inline
    def rows_in_place(self, array, address, offset, stride, columns, last):
        """Rows of an array of the lanes' dtype."""
        if columns < self.columns or not self.bitcode:
            return Rows(array, offset, local(stride), last)
        return AddressedRows(self, address, wide(offset), wide(stride), self.element_bytes, last)

    @inline
    def staged_rows(self, array, address, base, first, columns):
        """Rows first, first + 1, ... of a tile that was copied, decoded, to array[base]."""
        if columns < self.columns or not self.bitcode:
            return Staged(array, base, first, columns)
        return AddressedRows(self, address, wide(base), columns, self.scalar_bytes, first=first)

    @inline
    def shared(self, count, pairs=False):
        """No fast memory of its own: staged tiles live in the program's slice of an array."""
        return 0

    @inline
    def sync(self):
        """Nothing to wait for: a program is one thread."""

    def stage(self, columns, rows, threads, pairs=False):
        """A `ti.func` that copies rows first .. first + rows of a source, at most to `last`, decoded, to a target."""
        step = self.columns if columns >= self.columns else 1
        # The last block ends with the row; where it overlaps the one before, it writes the same again.
        starts = sorted({*range(0, columns - step + 1, step), columns - step})

        @inline
        def move(source, target, at, to, column):
            if step > 1:
                self._call(f"convert_{self.dtype}", at, wide(column), to, wide(column))
            else:
                assign(element(target.array, to + column), decode(self.dtype, element(source.array, at + column)))

        @ti.func
        def copy(source: ti.template(), target: ti.template(), first, last, thread):
            for r in range(ti.min(rows, last + 1 - first)):
                at = source.at(first + r, 0)
                to = target.at(first + r, 0)
                for column in ti.static(starts):
                    move(source, target, at, to, column)
        return copy
