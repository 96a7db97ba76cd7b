"""Pieces of a kernel for threads that share tiles and rows (GPU; on the CPU a program is one thread)."""
import taichi as ti
from aat.kernels.lanes.base import Traced, inline, local

GRID_THREADS = 65536   # of a launch on Vulkan, each of which takes every so many-th step of the loop (Taichi 1.7.4)


@inline
def balanced(L, turn, head, tiles, threads):
    """The block of rows that is a task's. A group of a GPU's threads gets every so many-th task, and, so that a light
    one follows a heavy one, every second round of heads has its blocks in the other order."""
    if L.serial:
        return turn
    odd = local(head * tiles // (GRID_THREADS // threads) % 2)
    return local(ti.select(odd == 1, tiles - 1 - turn, turn))


class Alone(Traced):
    """A team of one: what a thread has is the sum."""

    @inline
    def sum(self, values, thread):
        """Nothing to add."""


class Teams(Traced):
    """What an Assembly, with its lanes `L` and `config`, knows of the other threads of a program."""

    def stager(self, columns, rows):
        """A `ti.func` that copies a tile to where it is staged."""
        return self.L.stage(columns, rows, self.config.threads, self.config.pairs)

    @inline
    def shared(self, count):
        """Room for so many numbers in memory that a program's threads share."""
        return self.L.shared(count, self.config.pairs)

    @inline
    def shared_rows(self, fast, first, columns, thread):
        """A tile of keys or values there."""
        return self.L.shared_rows(fast, first, columns, self.config, thread)

    @inline
    def team(self):
        """Sums over the threads that share a row."""
        return self.L.team(self.config) if self.config.team > 1 else Alone()

    @inline
    def leads(self, thread):
        """1 in the one thread of a team that writes what all of them know."""
        return local(ti.cast(thread % self.config.team == 0, ti.i32)) if self.config.team > 1 else 1

    @inline
    def column(self, c, thread):
        """The column of a row that is a thread's c-th."""
        return c if self.config.team == 1 else self.L.column_of(c, self.config, thread)
