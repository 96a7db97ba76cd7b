"""Tiles of keys and values in a GPU's shared memory, and sums over threads that share a row.

Columns may lie in pairs, as one 64-bit number each: Vulkan compilers do not join reads of shared memory, so a thread
gets two columns by one instruction in place of two. Threads of a *team* hold the same rows; member t of T has columns
t, t + T, .. (of pairs: those of pairs t, t + T, ..), and the parts of a score are summed over the team.
"""
import taichi as ti
from aat.kernels.lanes.base import Traced, assign, element, inline, local


@inline
def pack(first, second):
    """Two f32 as one 64-bit number."""
    low, high = (ti.cast(ti.bit_cast(local(x), ti.u32), ti.u64) for x in (first, second))
    return local(low | (high << ti.cast(32, ti.u64)))


@inline
def unpack(number):
    """The two f32 of a 64-bit number."""
    number = local(number)
    halves = (number, number >> ti.cast(32, ti.u64))        # the cast keeps the low 32 bits
    return [local(ti.bit_cast(local(ti.cast(half, ti.u32)), ti.f32)) for half in halves]


class Place(Traced):
    """Where an element and its right-hand neighbours stand, and second halves of pairs that were read."""

    def __init__(self, index):
        self.index, self.seconds = index, {}


class SharedTile(Traced):
    """Element (j, c) of rows j from `first` on, c the member's own c-th column."""

    def __init__(self, array, first, columns, team, member, pairs):
        self.array, self.first, self.team, self.member = array, first, team, member
        self.width = 2 if pairs else 1
        self.stride = columns // self.width

    @inline
    def at(self, j, c):
        """A handle on element (j, c); c even where columns lie in pairs."""
        index = (j - self.first) * self.stride + c // self.width * self.team
        return Place(local(index + self.member if self.team > 1 else index))

    @inline
    def next(self, place, n):
        """The handle n rows further down."""
        return Place(local(place.index + n * self.stride))

    @inline
    def get(self, place, i):
        """The i-th of the member's columns behind a handle; of a pair, the first one is asked for first."""
        if self.width == 1:
            return local(element(self.array, place.index + i * self.team))
        if i % 2 == 0:
            first, place.seconds[i] = unpack(element(self.array, place.index + i // 2 * self.team))
            return first
        return place.seconds[i - 1]


def column_of(c, team, member, pairs):
    """The column of a row that is a member's c-th."""
    if team == 1:
        return c
    width = 2 if pairs else 1
    return local((c // width * team + member) * width + c % width)


def stager(columns, rows, threads, pairs):
    """A `ti.func` by which the threads of a group copy a tile into shared memory, neighbours side by side.

    All of a thread's reads come before its first write: CUDA's compiler cannot know that writing to shared memory does
    not change what is read, and would wait for each read (9 or 14 TFLOP/s in place of 23 on an H100, 2026-11).
    """
    width = 2 if pairs else 1
    count, across = columns * rows // width, columns // width
    turns, whole = (count + threads - 1) // threads, count % threads == 0

    @ti.func
    def copy(source: ti.template(), target: ti.template(), first, last, thread):
        found = [ti.cast(0.0, ti.f32) for _ in ti.static(range(turns * width))]
        for n in ti.static(range(turns)):
            e = n * threads + thread
            if ti.static(not whole):
                e = ti.min(e, count - 1)
            at = source.offset + ti.min(first + e // across, last) * source.stride + e % across * width
            for i in ti.static(range(width)):
                found[n * width + i] = source.array[at + i]
        for n in ti.static(range(turns)):
            e = n * threads + thread
            if ti.static(whole):
                put(target, e, found, n, width)
            else:
                if e < count:
                    put(target, e, found, n, width)
    return copy


@inline
def put(target, e, found, n, width):
    """Write a thread's n-th element, or pair, to place e."""
    value = found[n] if width == 1 else pack(found[2 * n], found[2 * n + 1])
    assign(element(target.array, e), value)


class Team(Traced):
    """The threads that share a row: what their parts of scores add up to."""

    def __init__(self, size, count, threads, pairs):
        self.size, self.threads = size, threads
        self.pairs = pairs and count % 2 == 0
        words = count * threads
        kind, words = (ti.u64, words // 2) if self.pairs else (ti.f32, words)
        self.array = ti.simt.block.SharedArray((words,), kind)

    @inline
    def sum(self, values, thread):
        """Each of a list of variables becomes its sum over the team, the same bits in each thread: members are added
        in pairs of pairs, and x + y = y + x."""
        step = 2 if self.pairs else 1
        for n in range(0, len(values), step):
            own = pack(values[n], values[n + 1]) if self.pairs else values[n]
            assign(element(self.array, n // step * self.threads + thread), own)
        ti.simt.block.sync()
        for n in range(0, len(values), step):
            parts = [[local(x) for x in values[n:n + step]]]
            for member in range(1, self.size):
                other = element(self.array, n // step * self.threads + (thread ^ member))
                parts.append(unpack(other) if self.pairs else [local(other)])
            while len(parts) > 1:
                parts = [[local(a + b) for a, b in zip(x, y, strict=True)]
                         for x, y in zip(parts[::2], parts[1::2], strict=True)]
            for i, total in enumerate(parts[0]):
                assign(values[n + i], total)
        ti.simt.block.sync()
