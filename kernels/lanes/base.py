"""What every lane type offers a kernel: storage, tiles of keys, and the trace-time helpers they are made of.

A *lane variable* holds one number for each of `width` queries: a SIMD vector on the CPU, a scalar on a GPU thread.
A kernel is traced once a lane type; the functions here run while it is traced and leave instructions behind, so none
of them costs anything when the kernel runs.
"""
from types import SimpleNamespace

import taichi as ti
from taichi.lang import impl

NEGATIVE_INFINITY = float("-inf")


def inline(function):
    """Mark a plain Python function as one that a kernel may call: its body runs while the kernel is traced.

    Cheaper than `ti.func`, whose source is parsed again at every call. No control flow on lanes inside.
    """
    function._is_taichi_function = True             # Taichi would warn at each call otherwise
    function.func = SimpleNamespace(has_print=False)
    return function


def local(x):
    """A new kernel variable that starts as x."""
    return impl.expr_init(x)


def assign(target, value):
    """target = value, for a kernel variable or an array element."""
    target._assign(value if isinstance(value, impl.Expr) else impl.Expr(value))


def element(array, index):
    """array[index] as something that can be read and assigned."""
    index = int(index) if isinstance(index, int) else index          # an IntEnum is no index to Taichi
    return impl.subscript(impl.get_runtime().compiling_callable.ast_builder(), array, index)


class Traced:
    """Base of the objects that live in a kernel only while it is traced (Taichi keeps them as they are)."""

    _data_oriented = True


class Block(Traced):
    """Lane variables held together; Taichi does not copy them on assignment."""

    def __init__(self, values):
        self.values = values


class Registers(Traced):
    """Lane variables of one program by static index: they become registers, and updating a block updates them.

    Storage is addressed in blocks: block n of `count` variables holds those from first + n * count on.
    """

    def __init__(self, count, zero):
        self.values = [local(zero) for _ in range(count)]

    @inline
    def put(self, index, value):
        if value is not self.values[index]:
            assign(self.values[index], value)

    @inline
    def block(self, n, count, first=0):
        start = first + n * count
        return Block(self.values[start:start + count])

    @inline
    def filled_block(self, n, count, value):
        block = self.block(n, count)
        for variable in block.values:
            assign(variable, value)
        return block

    @inline
    def scaled_block(self, n, count, factors, first=0):
        """A block, each variable multiplied by its factor (factors repeat)."""
        block = self.block(n, count, first)
        for i, variable in enumerate(block.values):
            variable._augassign(factors[i % len(factors)], "Mult")
        return block

    @inline
    def put_block(self, n, count, block, first=0):
        for i, value in enumerate(block.values):
            self.put(first + n * count + i, value)

    @inline
    def from_block(self, n, count):
        """The storage that starts at block n; registers have static indices, so n is 0."""
        return self


class Memory(Traced):
    """Lane variables of one program in memory, in the blocks of Registers; a block is a copy.

    A subclass says where a block is and how its variables are read and written.
    """

    def place(self, n, count, first):
        raise NotImplementedError

    def _read(self, at, i):
        raise NotImplementedError

    def _write(self, at, i, value):
        raise NotImplementedError

    @inline
    def block(self, n, count, first=0):
        at = self.place(n, count, first)
        return Block([self._read(at, i) for i in range(count)])

    @inline
    def filled_block(self, n, count, value):
        return Block([local(value) for _ in range(count)])

    @inline
    def scaled_block(self, n, count, factors, first=0):
        at = self.place(n, count, first)
        return Block([local(self._read(at, i) * factors[i % len(factors)]) for i in range(count)])

    @inline
    def put_block(self, n, count, block, first=0):
        at = self.place(n, count, first)
        for i, value in enumerate(block.values):
            self._write(at, i, value)


class Scratch(Memory):
    """Memory in an array of lane variables: variable i stands at array[base + i * step]."""

    def __init__(self, array, base, step):
        self.array, self.base, self.step = array, base, step

    @inline
    def from_block(self, n, count):
        return Scratch(self.array, local(self.base + n * count * self.step), self.step)

    def place(self, n, count, first):
        return local(self.base + (first + n * count) * self.step)

    def _read(self, at, i):
        return local(element(self.array, at + i * self.step))

    def _write(self, at, i, value):
        assign(element(self.array, at + i * self.step), value)


class Rows(Traced):
    """Keys or values read where they are: element (j, c) stands at array[offset + j * stride + c].

    With `last`, rows past it repeat it.
    """

    def __init__(self, array, offset, stride, last):
        self.array, self.offset, self.stride, self.last = array, offset, stride, last

    @inline
    def at(self, j, c):
        """A handle on element (j, c) and its right-hand neighbours."""
        j = j if self.last is None else ti.min(j, self.last)
        return local(self.offset + j * self.stride + c)

    @inline
    def next(self, handle, n):
        """The handle n rows further down."""
        return local(handle + n * self.stride)

    @inline
    def get(self, handle, i):
        """The element i places to the right of a handle."""
        return local(element(self.array, handle + i))


class Staged(Traced):
    """Keys or values copied into fast memory: element (j, c) stands at array[base + (j - first) * columns + c]."""

    def __init__(self, array, base, first, columns):
        self.array, self.base, self.first, self.columns = array, base, first, columns

    @inline
    def at(self, j, c):
        return local(self.base + (j - self.first) * self.columns + c)

    @inline
    def next(self, handle, n):
        return local(handle + n * self.columns)

    @inline
    def get(self, handle, i):
        return local(element(self.array, handle + i))


@inline
def decode(dtype, x):
    """A stored element as the number it stands for; bf16 is stored as its 16 bits."""
    if dtype == "bf16":
        return ti.bit_cast(ti.cast(x, ti.u32) << 16, ti.f32)
    return ti.cast(x, ti.f32) if dtype == "f16" else x


@inline
def encode(dtype, x):
    """A number as the element that is stored, rounded to nearest even."""
    if dtype == "bf16":
        bits = local(ti.bit_cast(local(x), ti.u32))
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        nan = (bits & 0x7FFFFFFF) > 0x7F800000
        return ti.cast(ti.select(nan, (bits >> 16) | 0x40, rounded), ti.u16)
    return ti.cast(x, ti.f16) if dtype == "f16" else x
