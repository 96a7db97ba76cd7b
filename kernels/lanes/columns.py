"""Lanes over columns: neighbours in memory side by side, for kernels with fewer queries than a vector has lanes.

The lanes of `lanes_for` hold queries; here the same lane type holds neighbouring columns of a row of K, V or the
result. A row is read as vectors, and sums over columns cross lanes at the end: `total_by_lane` takes as many partial
sums as there are lanes and leaves one total in each.
"""
import taichi as ti
from aat.kernels.lanes.base import Traced, assign, decode, element, encode, inline, local

SIZES = {"f32": 4, "f16": 2, "bf16": 2, "i8": 1, "f64": 8, "i32": 4}


class Addressed(Traced):
    """An array of `dtype` by the 64-bit address of its first element, a kernel variable. Handles are addresses."""

    def __init__(self, lanes, address, dtype):
        self.lanes, self.address, self.dtype = lanes, address, dtype

    @inline
    def at(self, index):
        """A handle on an element; `index` may be an i64."""
        return local(self.address + ti.cast(index, ti.i64) * SIZES[self.dtype])

    @inline
    def stride(self, count):
        """What is added to a handle to go `count` elements to the right."""
        return local(ti.cast(count, ti.i64) * SIZES[self.dtype])

    @inline
    def step(self, handle, count):
        """The handle `count` elements to the right."""
        return local(handle + self.stride(count))

    def _call(self, name, handle, i, *arguments):
        self.lanes._call(name, handle, local(ti.cast(i, ti.i64)), *arguments)

    @inline
    def vector(self, handle, i):
        """Elements i, i + 1, ... to the right of a handle as lanes, converted."""
        result = local(self.lanes.vector(0.0))
        self._call(f"read_{self.dtype}", handle, i, result)
        return result

    @inline
    def part(self, handle, i, count):
        """As `vector`, of which only the first `count` are there; the other lanes are 0."""
        result = local(self.lanes.vector(0.0))
        self._call(f"read_part_{self.dtype}", handle, i, local(count), result)
        return result

    @inline
    def repeated(self, handle, i, count):
        """f32 elements i to i + count - 1 in each run of `count` lanes."""
        result = local(self.lanes.vector(0.0))
        self._call(f"repeat_{count}", handle, i, result)
        return result

    @inline
    def number(self, handle, i):
        """One element as it is (f32 or f64 like the lanes, or i32)."""
        result = local(ti.cast(0, ti.i32 if self.dtype == "i32" else self.lanes.scalar))
        self._call("read_i32" if self.dtype == "i32" else "load", handle, i, result)
        return result

    @inline
    def put(self, handle, i, lanes):
        self._call(f"write_{self.dtype}", handle, i, local(lanes))

    @inline
    def put_part(self, handle, i, lanes, count):
        """Write the first `count` lanes."""
        self._call(f"write_part_{self.dtype}", handle, i, local(lanes), local(count))

    @inline
    def first(self, handle, i, count):
        """As `part`, for a kernel variable `count` of at least 1; the other lanes hold anything."""
        return self.part(handle, i, count)

    @inline
    def put_first(self, handle, i, lanes, count):
        """As `put_part`, for a kernel variable `count` of at least 1."""
        self.put_part(handle, i, lanes, count)

    @inline
    def put_number(self, handle, i, x):
        name, kind = ("write_i32", ti.i32) if self.dtype == "i32" else ("store", self.lanes.scalar)
        self._call(name, handle, i, local(ti.cast(x, kind)))

    @inline
    def prefetch(self, handle, first, last, near):
        """Ask for the lines that begin with elements first to last - 1, into the first cache or (far) the second."""
        size = SIZES[self.dtype]
        for i in range(-(-first * size // 64) * 64, last * size, 64):
            self._call("prefetch_1" if near else "prefetch_2", handle, i)


class Indexed(Traced):
    """The same by Taichi's own indices, lane by lane: where there is no bitcode. Handles are i32 indices."""

    def __init__(self, lanes, array, dtype):
        self.lanes, self.array, self.dtype = lanes, array, dtype

    @inline
    def at(self, index):
        return local(ti.cast(index, ti.i32))

    @inline
    def stride(self, count):
        return local(ti.cast(count, ti.i32))

    @inline
    def step(self, handle, count):
        return local(handle + count)

    def _number(self, index):
        return ti.cast(decode(self.dtype, element(self.array, index)), self.lanes.scalar)

    @inline
    def vector(self, handle, i):
        return self.lanes._by_lane(lambda w: self._number(handle + (i + w)))

    @inline
    def part(self, handle, i, count):
        zero = ti.cast(0, self.lanes.scalar)
        return self.lanes._by_lane(lambda w: self._number(handle + (i + w)) if w < count else zero)

    @inline
    def number(self, handle, i):
        return local(element(self.array, handle + i))

    @inline
    def put(self, handle, i, lanes):
        self.put_part(handle, i, lanes, self.lanes.width)

    @inline
    def put_part(self, handle, i, lanes, count):
        lanes = local(lanes)
        for w in range(count):
            assign(element(self.array, handle + (i + w)), encode(self.dtype, element(lanes, w)))

    @inline
    def first(self, handle, i, count):
        return self.lanes._by_lane(lambda w: self._number(handle + (i + ti.min(w, count - 1))))

    @inline
    def put_first(self, handle, i, lanes, count):
        # the last one is written again by the lanes past it
        lanes = local(lanes)
        value = local(element(lanes, 0))
        for w in range(self.lanes.width):
            assign(value, ti.select(w < count, element(lanes, w), value))
            assign(element(self.array, handle + (i + ti.min(w, count - 1))), encode(self.dtype, value))

    @inline
    def put_number(self, handle, i, x):
        assign(element(self.array, handle + i), x)

    @inline
    def prefetch(self, handle, first, last, near):
        """Nothing: a hint that needs an address."""


class Single(Indexed):
    """The same on a GPU, whose lane variables are one number."""

    @inline
    def vector(self, handle, i):
        return local(ti.cast(element(self.array, handle + i), self.lanes.scalar))

    @inline
    def first(self, handle, i, count):
        return self.vector(handle, i)

    @inline
    def put(self, handle, i, lanes):
        assign(element(self.array, handle + i), lanes)

    @inline
    def put_first(self, handle, i, lanes, count):
        self.put(handle, i, lanes)


class CpuColumns:
    """One vector of columns, over a CpuLanes."""

    threads = 1

    def __init__(self, lanes):
        self.lanes, self.width, self.scalar = lanes, lanes.width, lanes.scalar
        self.by_address = bool(lanes.bitcode)
        self.splat, self.first, self.log, self.fma = lanes.splat, lanes.first, lanes.log, lanes.fma_lanes
        self.exp_sub, self.maximum, self.keep = lanes.exp_sub, lanes.maximum, lanes.keep
        self.where_equal, self.nonfinite, self.any_nonzero = lanes.where_equal, lanes.nonfinite, lanes.any_nonzero
        self.exp, self.sqrt, self.tanh = lanes.exp, lanes.sqrt, lanes.tanh

    def array(self, dtype):
        """The kernel annotation of an array: none is passed where arrays travel as addresses."""
        if self.by_address:
            return ti.template()
        kinds = {"f16": ti.f16, "bf16": ti.u16, "f64": ti.f64, "i8": ti.i8, "i32": ti.i32}
        return ti.types.ndarray(kinds.get(dtype, ti.f32), 1)

    @inline
    def memory(self, array, meta, address_at, dtype):
        """An array; meta[address_at] and the next hold its address, low word first."""
        if not self.by_address:
            return Indexed(self.lanes, array, dtype)
        low = ti.cast(ti.cast(element(meta, address_at), ti.u32), ti.i64)
        high = ti.cast(element(meta, address_at + 1), ti.i64)
        return Addressed(self.lanes, local(low | (high << 32)), dtype)

    @inline
    def long(self, x):
        """An index in as many bits as handles have."""
        return local(ti.cast(x, ti.i64)) if self.by_address else local(x)

    @inline
    def fma_number(self, number, lanes, total):
        """total += number * lanes."""
        self.lanes.fma(number, lanes, total)

    @inline
    def by_lane(self, function):
        """i32 lanes from a function of the lane's number."""
        return local(self.lanes.positions_type([function(w) for w in range(self.width)]))

    @inline
    def bucket(self, x, low, high):
        """(1 + f / 16) 2^(n - 127) in a lane with the integer part 16 n + f, limited to low .. high (f32 lanes)."""
        lanes, x, low, high = self.lanes, local(x), local(ti.cast(low, ti.f32)), local(ti.cast(high, ti.f32))
        if self.by_address:
            return lanes._value("bucket", x, low, high)

        def number(w):
            below = ti.select(element(x, w) < high, element(x, w), high)
            return ti.bit_cast(ti.cast(ti.select(below > low, below, low), ti.i32) << 19, ti.f32)
        return self.numbers(number)

    @inline
    def numbers(self, function):
        """Lanes from a function of the lane's number."""
        return self.lanes._by_lane(function)

    @inline
    def gather(self, array, indices, dtype):
        """Lane w reads array[indices[w]], stored as dtype."""
        return self.lanes.gather(array, indices, 0, dtype)

    @inline
    def swapped(self, array, handle, i, lanes):
        """Neighbours exchanged: lane w holds what lane w ^ 1 of `lanes` does, read from array at `handle` + `i`."""
        lanes = local(lanes)
        return self.numbers(lambda w: element(lanes, w ^ 1))

    @inline
    def total_by_lane(self, sums):
        """Lane n holds the sum over all lanes of sums[n]; as many sums as lanes."""
        if self.by_address:
            return self.lanes._value("total_by_lane", *sums)
        folded, h = [[element(x, w) for w in range(self.width)] for x in sums], self.width // 2
        while h:
            folded = [[x[w] + x[w + h] for w in range(h)] for x in folded]
            h //= 2
        return self.numbers(lambda w: folded[w][0])

    @inline
    def max_across(self, x, count):
        """In every lane the maximum of the aligned run of `count` lanes that it belongs to."""
        return self._across("max", self.maximum, x, count)

    @inline
    def add_across(self, x, count):
        """In every lane the sum over the aligned run of `count` lanes that it belongs to."""
        return self._across("add", lambda a, b: a + b, x, count)

    def _across(self, name, join, x, count):
        h = 1
        while h < count:
            x = local(x)
            if self.by_address:
                x = self.lanes._value(f"{name}_across_{h}", x)
            else:
                y = x
                x = join(y, self.numbers(lambda w, y=y, h=h: element(y, w ^ h)))
            h *= 2
        return local(x)


class GpuColumns:
    """One column a thread, over GpuLanes."""

    by_address = False
    threads = 64           # of a group of attention_merge

    def __init__(self, lanes):
        self.lanes, self.width, self.scalar = lanes, 1, lanes.scalar
        self.splat, self.maximum, self.where_equal = lanes.splat, lanes.maximum, lanes.where_equal
        self.fma = lanes.fma_lanes
        self.first, self.exp_sub, self.nonfinite = lanes.first, lanes.exp_sub, lanes.nonfinite
        self.any_nonzero = lanes.any_nonzero
        self.exp, self.log, self.sqrt, self.tanh = lanes.exp, lanes.log, lanes.sqrt, lanes.tanh

    def array(self, dtype):
        """The kernel annotation of an array: f32, which holds 16-bit data too, or i32."""
        return ti.types.ndarray(ti.i32 if dtype == "i32" else ti.f32, 1)

    @inline
    def memory(self, array, meta, address_at, dtype):
        return Single(self.lanes, array, "f32")

    @inline
    def long(self, x):
        """An index in as many bits as handles have."""
        return local(x)

    @inline
    def swapped(self, array, handle, i, lanes):
        """The neighbour of the one that `lanes` was read from."""
        return array.vector(handle, local(i ^ 1))
