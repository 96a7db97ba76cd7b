"""Memory by 64-bit address, for lanes that have intrinsics: rows of keys and values, and a program's lane variables."""
import taichi as ti
from aat.kernels.lanes.base import Memory, Traced, inline, local


def wide(x):
    """A new i64 kernel variable."""
    return local(ti.cast(x, ti.i64))


class AddressedRows(Traced):
    """Keys or values by 64-bit address: element (j, c) is number offset + (j - first) * stride + c of the array that
    starts at `address` (all i64 kernel variables). With `last`, rows past it repeat it."""

    def __init__(self, lanes, address, offset, stride, size, last=None, first=None):
        self.lanes, self.offset, self.stride, self.size = lanes, offset, stride, size
        self.address, self.first, self.last = address, first, last

    @inline
    def at(self, j, c):
        j = j if self.last is None else ti.min(j, self.last)
        j = j if self.first is None else j - self.first
        # The row number is widened alone: what a loop adds to it afterwards becomes a step of the address.
        elements = ti.cast(local(j), ti.i64) * self.stride + (self.offset + ti.cast(c, ti.i64))
        return local(self.address + elements * self.size)

    @inline
    def next(self, handle, n):
        """The handle n rows further down."""
        return local(handle + ti.cast(n, ti.i64) * (self.stride * self.size))

    @inline
    def get(self, handle, i):
        result = local(ti.cast(0, self.lanes.scalar))
        self.lanes._call("load", handle, wide(i), result)
        return result


class AddressedMemory(Memory):
    """Lane variables of one program by 64-bit address, next to each other."""

    def __init__(self, lanes, address):
        self.lanes, self.address = lanes, address

    @inline
    def from_block(self, n, count):
        return AddressedMemory(self.lanes, self.place(n, count, 0))

    def place(self, n, count, first):
        size = self.lanes.vector_bytes
        return local(self.address + (ti.cast(n, ti.i64) * (count * size) + first * size))

    def _read(self, at, i):
        return self.lanes._value("load_lanes", at, wide(i))

    def _write(self, at, i, value):
        self.lanes._call("store_lanes", at, wide(i), local(value))
