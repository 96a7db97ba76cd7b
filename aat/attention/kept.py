"""What is kept of a launch of attention_forward on the CPU, so that it runs again on other arrays?"""

import struct

import numpy as np

from aat.arrays import span
from aat.backends.relaunch import Relaunch

MASK, BIAS = 5, 6  # places among the kernel's arguments; those before go by the addresses in `meta`
_START, _POINTER, _INPUTS = struct.Struct("=2i"), struct.Struct("=Q"), struct.Struct("=3Q")


class Kept:
    """A launch (`aat.attention.dot._Launch`, prepared) without the arrays of its call.

    Attributes
    ----------
    config : TileConfig
    name : str
        The kernel's.
    countable : bool
        Whether no count can have wrapped in the kernel's 32 bits.
    """

    def __init__(self, launch):
        problem, config, meta = launch.problem, launch.config, launch.Meta
        self.Meta, self.config, self.name, self._session = meta, config, launch.name, launch.session
        arguments = launch.kernel_arguments
        nothing = {x.dtype: np.zeros(1, x.dtype) for x in arguments if isinstance(x, np.ndarray)}
        kept = [nothing[x.dtype] if n <= BIAS and isinstance(x, np.ndarray) else x for n, x in enumerate(arguments)]
        self._shares = [Relaunch(launch.kernel, (*kept[:-2], program, 1)) for program in range(launch.programs)]
        self._goes = [share.go for share in self._shares]
        self._sinks = launch.arguments["sinks"]
        self._bytes = {n: kept[n].itemsize * span(x) for n, x in ((MASK, problem.mask), (BIAS, problem.bias))
                       if x is not None}
        self._meta, self._counts = launch.meta_host, launch.counts
        self._batch = self._meta[meta.BATCH:meta.BATCH + 2 * problem.B]
        self._step, self._flag = launch.step, launch.Counts.FINISHED
        self._total = launch.tasks // launch.parts * -(-problem.Lk // config.keys_per_group)
        self.countable = self._total < 2**32
        self._multiply_adds = config.keys_per_group * launch.rows * (problem.D + problem.Dv)  # of a group of keys
        self._joined = launch.joined
        self._at_out, self._at_lse = 4 * meta.O_ADDRESS, 4 * meta.LSE_ADDRESS
        if self._joined is not None:
            from aat.kernels.attention_merge import Merge

            self._at_out, self._at_lse = (4 * (meta.MERGE + at) for at in (Merge.O_ADDRESS, Merge.LSE_ADDRESS))
        self._header = self._meta.data.cast("B")
        self._restarted = bytes(self._counts.nbytes)

    def take(self, mask, bias, sinks, lens, offsets):
        """Further arguments of the next `again`: addresses, an array that is copied, lists over the batch; None for
        what stays as it is."""
        for n, address in ((MASK, mask), (BIAS, bias)):
            if address is not None:
                for share in self._shares:
                    share.move(n, address, self._bytes[n])
        if sinks is not None:
            with np.errstate(over="ignore"):
                self._sinks[...] = sinks
        if lens is not None:
            self._batch[::2] = lens
        if offsets is not None:
            self._batch[1::2] = offsets

    def again(self, q, k, v, out, lse):
        """Run on other arrays, given by their addresses, under the kernel's own floating-point rules; Ctrl-C waits in
        Team.run."""
        Meta, session = self.Meta, self._session
        session.check()
        session.counters.launches += 1
        _INPUTS.pack_into(self._header, 4 * Meta.Q_ADDRESS, q, k, v)
        _POINTER.pack_into(self._header, self._at_out, out)
        _POINTER.pack_into(self._header, self._at_lse, lse)
        _START.pack_into(self._header, 0, 0, 0)
        self._header[-len(self._restarted):] = self._restarted
        session.team.run(self._goes, self._finished)
        if self._joined is not None:
            self._joined.go()

    def _finished(self, program):
        return self._counts[program * self._step + self._flag]

    def nonfinite(self):
        """Whether the launch wrote something that is not finite."""
        return bool(self._meta[self.Meta.NONFINITE] or self._meta[self.Meta.MERGE])

    def counts(self):
        """What the launch visited, as in a Result."""
        counts = counted(self._counts, self._step) | {"total": self._total}
        return counts | {"multiply_adds": counts["visited"] * self._multiply_adds}


def counted(counts, step):
    """The programs' own counts, `step` places apart, summed: {"visited", "full"}."""
    from aat.kernels.parts.queries import Counts

    mine = counts.view(np.uint32).reshape(-1, step)[:, [Counts.VISITED, Counts.FULL]]
    visited, full = mine.sum(0, dtype=np.uint64).tolist()
    return {"visited": visited, "full": full}
