"""Lanes on a CPU: a lane variable is one SIMD vector."""
from pathlib import Path

import taichi as ti
from aat.kernels.lanes.base import NEGATIVE_INFINITY, Rows, Traced, assign, decode, element, encode, inline, local
from taichi._lib import core as _core
from taichi.lang import impl
from taichi.lang.expr import make_expr_group

FOLDER = Path(__file__).parent / "intrinsics"


def bitcode_file(bits, scalar):
    """Path of the assembled intrinsics for a register of `bits`; its name carries a hash of its source."""
    return str(next(FOLDER.glob(f"lanes_{bits}_{scalar}_*.bc")))


class AddressedRows(Traced):
    """Rows by 64-bit address. `address` is that of the array's first element, as an i64 kernel variable."""

    def __init__(self, lanes, address, offset, stride, last):
        self.lanes, self.offset, self.stride, self.last, self.address = lanes, offset, stride, last, address

    @inline
    def at(self, j, c):
        size = 8 if self.lanes.scalar_name == "f64" else 4
        j = j if self.last is None else ti.min(j, self.last)
        elements = ti.cast(j, ti.i64) * self.stride + self.offset + c
        return local(self.address + elements * size)

    @inline
    def get(self, handle, i):
        result = local(ti.cast(0, self.lanes.scalar))
        self.lanes._call("load", handle, local(ti.cast(i, ti.i64)), result)
        return result


class CpuLanes:
    """One vector of queries. Intrinsics take pointers, so each argument of theirs is a local variable."""

    backend = "cpu"
    dynamic_tasks = True                 # programs are threads that take tasks from a counter
    mask_type = ti.u8

    def __init__(self, lane_width, dtype, intrinsics):
        self.dtype = dtype
        self.scalar_name = "f64" if dtype == "f64" else "f32"
        self.scalar = getattr(ti, self.scalar_name)
        self.element_type = self.bias_type(dtype)
        self.width = lane_width // 2 if dtype == "f64" else lane_width
        self.staged = dtype in ("f16", "bf16")           # 16-bit keys are converted once a tile
        self.vector = ti.types.vector(self.width, self.scalar)
        self.positions_type = ti.types.vector(self.width, ti.i32)
        self.suffix = f"v{self.width}{self.scalar_name}"
        self.bitcode = bitcode_file(32 * lane_width, self.scalar_name) if intrinsics else None
        self.exp, self.log = self._unary("exp", ti.exp), self._unary("log", ti.log)
        self.exp2 = self._unary("exp2", lambda x: ti.exp(x * self._constant(0.6931471805599453)))
        self.log2 = self._unary("log2", lambda x: ti.log(x) * self._constant(1.4426950408889634))
        self.sqrt, self.tanh = self._unary("sqrt", ti.sqrt), self._unary("tanh", ti.tanh)

    def _constant(self, value):
        """A number in the lanes' precision: Taichi takes a Python float for an f32."""
        return impl.Expr(value, dtype=self.scalar)

    def bias_type(self, dtype):
        """Element type of an array that holds `dtype`."""
        return {"f16": ti.f16, "bf16": ti.u16, "f64": ti.f64}.get(dtype, ti.f32)

    def _call(self, name, *arguments):
        """Call an intrinsic. taichi.lang.source_builder does the same, behind a check of the architecture."""
        impl.get_runtime().compiling_callable.ast_builder().insert_external_func_call(
            0, "", self.bitcode, f"{name}_{self.suffix}", make_expr_group(arguments), make_expr_group([]),
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
    def scatter(self, array, bases, offset, lanes):
        """Lane w writes array[bases[w] + offset], encoded."""
        lanes = local(lanes)
        for w in range(self.width):
            assign(element(array, element(bases, w) + offset), encode(self.dtype, element(lanes, w)))

    @inline
    def scatter_plain(self, array, bases, lanes):
        lanes = local(lanes)
        for w in range(self.width):
            assign(element(array, element(bases, w)), element(lanes, w))

    # -- tiles of keys ------------------------------------------------------------------------------------------
    @inline
    def rows_in_place(self, array, meta, address_at, offset, stride, last):
        """Rows of an array. meta[address_at] and the next hold the array's address, low word first."""
        if not self.bitcode or self.staged:
            return Rows(array, offset, local(stride), last)
        low = ti.cast(ti.cast(element(meta, address_at), ti.u32), ti.i64)
        high = ti.cast(element(meta, address_at + 1), ti.i64)
        address = local(low | (high << 32))
        return AddressedRows(self, address, local(ti.cast(offset, ti.i64)), local(ti.cast(stride, ti.i64)), last)

    @inline
    def shared(self, count):
        """No fast memory of its own: staged tiles live in the program's slice of an array."""
        return 0

    @inline
    def sync(self):
        """Nothing to wait for: a program is one thread."""

    def stage(self, columns, rows, threads):
        """A `ti.func` that copies rows first .. first + rows of a matrix, decoded, into dst from base on."""
        dtype = self.dtype

        @ti.func
        def copy(src: ti.template(), offset, stride, last, dst: ti.template(), base, first, thread):
            for r in range(ti.min(rows, last + 1 - first)):
                for d in range(columns):
                    dst[base + (r * columns + d)] = decode(dtype, src[offset + (first + r) * stride + d])
        return copy
