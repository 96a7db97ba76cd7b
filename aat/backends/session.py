"""What does a caller hold while a backend is open? Its arrays, kernels, launches, counters and clock."""

import contextlib
import itertools
import logging
import math
import signal
import time
from dataclasses import dataclass

import numpy as np

from aat.backends.dtypes import from_storage, logical_name, to_storage
from aat.backends.floating import Preserved
from aat.backends.interrupts import Uninterrupted
from aat.backends.memory import Arena, DeviceArray, check_elements
from aat.backends.team import Team
from aat.errors import BackendError


@dataclass
class Counters:
    """What a session has done since it was opened. `waits`: how often the host waited for a device."""

    launches: int = 0
    uploads: int = 0
    downloads: int = 0
    waits: int = 0
    bytes_to_device: int = 0
    bytes_from_device: int = 0


class _Scope:
    """What a block has taken from the arena of a session."""

    __slots__ = ("_session", "taken")

    def __init__(self, session):
        self._session = session
        self.taken: list = []

    def __enter__(self):
        self._session._scopes.append(self)
        return self._session

    def __exit__(self, *exception):
        scopes = self._session._scopes
        if self in scopes:  # not so if the program was closed meanwhile
            scopes.remove(self)
        for argument in self.taken:
            self._session.arena.give(argument)
        return False


class _Launch:
    """The circumstances of a launch: the kernels' floating-point rules, and no interrupt in the trace."""

    __slots__ = ("_floating", "_signals")

    def __init__(self, floating):
        self._signals = Uninterrupted(INTERRUPT, insist=True)
        self._floating = Preserved(floating)

    def __enter__(self):
        self._signals.__enter__()
        self._floating.__enter__()
        return self

    def __exit__(self, *exception):
        self._floating.__exit__()
        return self._signals.__exit__()


INTERRUPT = (signal.SIGINT,)
_log = logging.getLogger("aat")
FOREIGN = "another ti.init in this process"
_generation = itertools.count(1)


class Session:
    """The open program of a backend, valid until another backend is opened.

    Attributes
    ----------
    backend : str
    device : DeviceInfo
    limits : Limits
    threads : int
        CPU programs that run side by side; 1 on a GPU.
    lane_width : int
        Queries in a lane variable: 16, 8 or 4 on the CPU, 1 on a GPU.
    intrinsics : bool
        Whether the LLVM bitcode of `kernels.lanes` may be used.
    generation : int
        Different for every session of a process.
    counters : Counters
    arena : Arena
    poison : bool
        Tests set it: `empty` then fills floats with NaN and integers with -1.
    """

    def __init__(self, implementation, program, device, limits, *, threads=1, lane_width=1, intrinsics=False,
                 idle_bytes=64 << 20):
        self._implementation = implementation
        self._program = program
        self._kernels = {}
        self._standing: dict = {}
        self._launched: set = set()
        self.team = Team(threads, program.floating)
        self.repeats: dict = {}  # what aat.attention.repeated keeps
        self.residents: dict = {}  # what aat.attention.resident keeps
        self._scopes = []
        self._ended_by = None
        self.backend = implementation.name
        self.device = device
        self.limits = limits
        self.threads = threads
        self.lane_width = lane_width
        self.intrinsics = intrinsics
        self.generation = next(_generation)
        self.counters = Counters()
        self.poison = False
        self.arena = Arena(implementation, limits, idle_bytes, self._before_free)

    def __repr__(self):
        state = (
            f"threads={self.threads}, lane_width={self.lane_width}"
            if self.alive
            else self._ended_by or "closed"
        )
        return f"<Session {self.generation} on {self.backend}: {self.device.name}, {state}>"

    # life

    @property
    def alive(self):
        """Whether the program is still the one that Taichi runs."""
        return self._ended_by is None and self._program.alive()

    def check(self):
        """Raise BackendError if the program is gone, and say by whom."""
        if not self.alive:
            raise BackendError(
                self.backend,
                [
                    f"its program was closed ({self._ended_by or FOREIGN}), and its arrays and "
                    "kernels went with it; open it again and copy the inputs to the device again"
                ],
            )

    def close(self, by="closed by the caller"):
        """End the program: kernels and arrays of this session become unusable. Safe to call twice."""
        if self._ended_by is None:
            alive = self._program.alive()
            self._forget(by if alive else FOREIGN)
            self._program.end()

    def abandon(self):
        """In a forked child: leave the parent's program alone; returns it for `Program.bury`."""
        self._program.abandon()
        if self._ended_by is None:
            self._forget("this process was forked from the one that opened it")
        return self._program

    def _forget(self, by):
        # Blocks are dropped while their program still exists: the destructor of a ti.ndarray asks the current
        # program to free an address, which in a later program may belong to another array.
        self._ended_by = by
        self.team.close()
        self._launched.clear()
        self._kernels.clear()
        self._standing.clear()
        self.repeats.clear()
        self.residents.clear()
        self._scopes.clear()
        self.arena.clear()

    # arrays

    def array(self, x, logical=None):
        """A kernel argument that holds the flat contiguous host array `x`.

        On the CPU that is `x` itself; elsewhere a device array from the arena with the values of `x` in its
        storage type (f16, bf16 -> f32; bool, uint8, int8 -> i32). `logical` names the type of raw bits
        ("bf16" in uint16).
        """
        self.check()
        check_elements("array", x.size)
        if self._implementation.zero_copy:
            return x
        storage = self._implementation.storage(logical or logical_name(x.dtype))
        argument = self._take(x.size, storage)
        self._write(argument, to_storage(x, logical or logical_name(x.dtype), storage))
        return argument

    def write(self, argument, x, logical=None):
        """Copy the flat contiguous host array `x` to the start of an argument of a GPU, in its storage type; launches
        before still see what was there, and `x` may change at once."""
        self.check()
        name = logical or logical_name(x.dtype)
        self._write(argument, to_storage(x, name, self._implementation.storage(name)))

    def _write(self, argument, host):
        if host.size:
            with self._reported():
                self._implementation.upload(self, host, argument)
            self.counters.uploads += 1
        self.counters.bytes_to_device += host.nbytes

    def empty(self, n, dtype):
        """A kernel argument for `n` elements of `dtype`, undefined, 64-byte aligned, from the arena."""
        self.check()
        check_elements("array", n)
        return self._undefined(n, self._implementation.storage(logical_name(np.dtype(dtype))))

    def _undefined(self, n, storage):
        argument = self._take(n, storage)
        if self.poison and n:
            self._implementation.fill(self, argument, np.nan if storage.kind == "f" else -1)
        return argument

    def zero(self, argument):
        """Set every element of an argument to 0."""
        self.check()
        if isinstance(argument, np.ndarray):
            argument[...] = 0
        else:
            self._implementation.fill(self, argument, 0)

    def blank(self, shape, logical):
        """A DeviceArray of the logical type with undefined values."""
        self.check()
        n = math.prod(shape)
        check_elements("array", n)
        return self.adopt(self._undefined(n, self._implementation.storage(logical)), shape, logical)

    def standing(self, purpose, n, dtype):
        """As `empty`, but the same memory at every call for this purpose and size: scratch of launches that repeat."""
        key = (purpose, n, np.dtype(dtype))
        if key not in self._standing:
            scopes, self._scopes = self._scopes, []  # no scope gives it back
            try:
                self._standing[key] = self.empty(n, dtype)
            finally:
                self._scopes = scopes
        return self._standing[key]

    def put(self, values, logical):
        """A DeviceArray with a copy of the host array `values` (any strides) of the logical type."""
        self.check()
        check_elements("array", values.size)
        storage = self._implementation.storage(logical)
        argument = self._take(values.size, storage)
        if isinstance(argument, np.ndarray):
            np.copyto(argument.reshape(values.shape), values.view(storage) if logical == "bf16" else values)
            self.counters.bytes_to_device += values.size * storage.itemsize
        else:
            self._write(argument, to_storage(np.ravel(values), logical, storage))
        return self.adopt(argument, values.shape, logical)

    def _before_free(self):
        # Taichi keeps what a pending launch uses when its array is dropped, and then for good.
        if not self._implementation.zero_copy:
            self.sync()

    def storage(self, logical):
        """The np.dtype in which arrays of a logical type are kept; BackendError for one that is not."""
        return self._implementation.storage(logical)

    def put_from_device(self, source, shape, logical):
        """A DeviceArray with a copy of `source`, a flat array of another library, in the storage type, which a kernel
        reads where it is."""
        self.check()
        argument = self._take(math.prod(shape), self.storage(logical))
        if math.prod(shape):
            with self._reported():
                self._implementation.copy(self, source, argument, math.prod(shape), self.storage(logical))
                self._program.sync()  # the other library may free it
        return self.adopt(argument, shape, logical)

    def _take(self, n, storage):
        argument = self.arena.take(n, storage)
        if self._scopes:
            self._scopes[-1].taken.append(argument)
        return argument

    def read(self, argument, n, out, logical=None):
        """Copy the first `n` elements of an argument to the host array `out` (any strides); return `out`."""
        self.check()
        name = logical or logical_name(out.dtype)
        if isinstance(argument, np.ndarray):
            out[...] = from_storage(argument[:n], name, out.dtype).reshape(out.shape)
            return out
        storage = self._implementation.storage(name)
        direct = out.dtype == storage and out.flags.c_contiguous
        host = out.reshape(-1) if direct else np.empty(n, storage)
        if n:
            with self._reported():
                self._implementation.download(self, argument, host)
            self.counters.downloads += 1
            self.counters.waits += 1
        self.counters.bytes_from_device += host.nbytes
        if not direct:
            out[...] = from_storage(host, name, out.dtype).reshape(out.shape)
        return out

    def release(self, argument):
        """Give an argument back to the arena; an array that did not come from it is left alone."""
        self.arena.give(argument)

    def scope(self):
        """`with session.scope():` gives what was taken inside back to the arena, however the block ends."""
        return _Scope(self)

    def adopt(self, argument, shape, dtype):
        """Make an argument of this session a DeviceArray, which outlives the scope it was taken in."""
        for scope in self._scopes:
            scope.taken = [other for other in scope.taken if other is not argument]
        return DeviceArray(self, argument, shape, dtype)

    # launching

    def kernel(self, key, build):
        """The kernel of `key` in this program, made by `build()` at its first use."""
        self.check()
        if key not in self._kernels:
            with Uninterrupted(INTERRUPT, insist=True):
                kernel = build()
            self._kernels[key] = self._logged(key, kernel) if _log.isEnabledFor(logging.DEBUG) else kernel
        return self._kernels[key]

    def _logged(self, key, kernel):
        """The kernel until its first launch has ended, which compiles it and is logged; then it takes its own place."""

        def first(*arguments):
            if self._kernels.get(key) is not first:
                return kernel(*arguments)
            start = time.perf_counter()
            kernel(*arguments)
            seconds = self.clock() - start
            self._kernels[key] = kernel
            name = " ".join(map(str, key))
            _log.debug("kernel %s: compiled and launched on %s in %.2f s", name, self.backend, seconds)

        return first

    def resize(self, threads):
        """Let CPU launches from now on be shared by so many threads."""
        if threads != self.threads:
            self.team.close()
            self.team = Team(threads, self._program.floating)
            self.threads = threads
            self.repeats.clear()

    def first_launch(self, key):
        """Whether the kernel of `key` has not been asked for by this before."""
        new = key not in self._launched
        self._launched.add(key)
        return new

    def launching(self, counted=True):
        """`with session.launching():` around each launch sets the kernels' floating-point rules.

        Ctrl-C waits for the end of the block; a second one does not.
        """
        self.check()
        self.counters.launches += counted
        return _Launch(self._program.floating)

    def sync(self):
        """Wait until every launched kernel has finished; BackendError if the device reports that one failed."""
        self.check()
        self.counters.waits += 1
        with self._reported():
            self._program.sync()

    @contextlib.contextmanager
    def _reported(self):
        """What a driver throws, when the host waits for it, as BackendError: launches before it return at once."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, BackendError):
                raise
            raise BackendError(self.backend, [f"{self.device.name} failed, in this call or in one launched before: "
                                              f"{error}; results since the last one read are lost"]) from error

    def clock(self):
        """Seconds of a monotonic clock, read after `sync`."""
        self.sync()
        return time.perf_counter()
