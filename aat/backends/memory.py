"""Where do arrays on a device live? One arena of reusable blocks, and the array type that callers hold.

Blocks come in size classes (eight an octave, so at most 12.5 % is wasted) and are kept for the next call up
to a bound. GPUs store f16 and bf16 as f32 and masks as int32, because 8- and 16-bit storage is optional in
Vulkan; the logical type is kept beside them and results are rounded to it when they are read.
"""

import collections
import math

import numpy as np

from aat.backends import foreign
from aat.backends.dtypes import INT32_MAX, LOGICAL, logical_name, numpy_dtype
from aat.errors import BackendError, type_error, value_error

ALIGNMENT = 64
SMALLEST = 256


def check_elements(name, n, limit=INT32_MAX):
    """Raise ValueError if an array of `n` elements cannot be indexed: Taichi's addresses are int32."""
    if n > limit:
        raise value_error(
            name,
            f"at most {limit} elements (kernels index with 32-bit integers)",
            f"{n} elements",
            "split the call over batch or heads",
        )


class Arena:
    """Reusable blocks of one session.

    Attributes
    ----------
    in_use_bytes, idle_bytes, peak_bytes : int
        Blocks that are out, blocks that wait for reuse, and the most that both ever were.
    allocations : int
        Blocks that the device was asked for.
    """

    def __init__(self, backend, limits, idle_limit, before_free=lambda: None):
        self._before_free = before_free
        self._backend = backend
        self._limits = limits
        self._idle_limit = idle_limit
        self._idle = collections.OrderedDict()  # serial -> (size, kind, block), least recently used first
        self._out = {}  # id(argument) -> (size, kind, block, argument, serial)
        self._returned: collections.deque = (
            collections.deque()
        )  # (id, serial) from destructors, in any thread at any moment
        self._serial = 0
        self.in_use_bytes = 0
        self.idle_bytes = 0
        self.peak_bytes = 0
        self.allocations = 0

    @staticmethod
    def size_class(nbytes):
        """The size of the block that serves `nbytes`."""
        if nbytes <= SMALLEST:
            return SMALLEST
        step = 1 << max((nbytes - 1).bit_length() - 4, 6)
        return -(-nbytes // step) * step

    def take(self, n, dtype):
        """A kernel argument for `n` elements of the storage type `dtype`; contents are undefined.

        Raises BackendError if the device cannot hold it.
        """
        self._collect()
        size = self.size_class(n * dtype.itemsize)
        kind = self._backend.block_kind(dtype)
        block = self._reuse(size, kind)
        if block is None:
            self._make_room(n * dtype.itemsize, size)
            block = self._backend.allocate(size, dtype)
            self.allocations += 1
        argument = self._backend.argument(block, n, dtype)
        self._serial += 1
        self._out[id(argument)] = (size, kind, block, argument, self._serial)
        self.in_use_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.in_use_bytes + self.idle_bytes)
        return argument

    def give(self, argument):
        """Take an argument back; one that is not out (a caller's own array) is left alone."""
        entry = self._out.get(id(argument))
        if entry is not None and entry[3] is argument:
            self._give(id(argument), entry[4])

    def ticket(self, argument):
        """(id, serial) by which a DeviceArray finds its argument again; no two uses of a block share one."""
        return id(argument), self._out[id(argument)][4]

    def argument(self, ticket):
        """The argument of a ticket."""
        return self._out[ticket[0]][3]

    def give_later(self, ticket):
        """For destructors: note that an argument is free. Takes no lock and allocates no block."""
        self._returned.append(ticket)

    def clear(self):
        """Drop every block, those that are out included."""
        self._out.clear()
        self._idle.clear()
        self._returned.clear()
        self.in_use_bytes = self.idle_bytes = 0

    def trim(self):
        """Free the blocks that wait for reuse."""
        self._collect()
        if self._idle:
            self._before_free()
        self._idle.clear()
        self.idle_bytes = 0

    def holds(self, argument):
        """Whether an argument is out."""
        entry = self._out.get(id(argument))
        return entry is not None and entry[3] is argument

    def _give(self, key, serial):
        if key not in self._out or self._out[key][4] != serial:
            return
        size, kind, block, _, _ = self._out.pop(key)
        self.in_use_bytes -= size
        self._serial += 1
        self._idle[self._serial] = (size, kind, block)
        self.idle_bytes += size
        if self.idle_bytes > self._idle_limit:
            self._before_free()
        while self.idle_bytes > self._idle_limit:
            _, (dropped, _, _) = self._idle.popitem(last=False)
            self.idle_bytes -= dropped

    def _collect(self):
        while self._returned:
            self._give(*self._returned.popleft())

    def _reuse(self, size, kind):
        for serial in reversed(self._idle):
            if self._idle[serial][:2] == (size, kind):
                self.idle_bytes -= size
                return self._idle.pop(serial)[2]
        return None

    def _make_room(self, nbytes, size):
        array_limit, memory = self._limits.array_bytes, self._limits.memory_bytes
        if array_limit and nbytes > array_limit:
            raise BackendError(
                self._backend.name,
                [
                    f"an array of {nbytes} bytes is over the device's limit of {array_limit} bytes an array; "
                    "split the call over batch or heads"
                ],
            )
        if memory and self.in_use_bytes + self.idle_bytes + size > memory:
            self.trim()
            if self.in_use_bytes + size > memory:
                raise BackendError(
                    self._backend.name,
                    [
                        f"an array of {nbytes} bytes does not fit: the device has {memory} bytes, of which "
                        f"this process holds {self.in_use_bytes}; delete device arrays, or split the call "
                        "over batch or heads"
                    ],
                )


class _Owner:
    """Shared by a DeviceArray and its reshapes; the last one gives the argument back to the arena."""

    __slots__ = ("facts", "session", "ticket")

    def __init__(self, session, argument):
        self.session = session
        self.facts = {}
        self.ticket = session.arena.ticket(argument)

    def __del__(self):
        self.session.arena.give_later(self.ticket)


class DeviceArray:
    """A contiguous (C order) array that stays on a backend, from `aat.to_device` or a call on such arrays.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
        Logical element type: "f16", "bf16", "f32", "f64", "bool" or "i32".
    """

    __slots__ = ("_owner", "dtype", "shape")
    __array_ufunc__ = None  # NumPy operators raise TypeError instead of making object arrays

    def __init__(self, session, argument, shape, dtype):
        self._owner = argument if isinstance(argument, _Owner) else _Owner(session, argument)
        self.shape = tuple(map(int, shape))
        self.dtype = dtype

    @property
    def session(self):
        """The session that owns the memory (it may be closed)."""
        return self._owner.session

    @property
    def backend(self):
        """The backend that it lives on."""
        return self._owner.session.backend

    @property
    def ndim(self):
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self):
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self):
        """Bytes in the logical type; a device may store more (see the module)."""
        return self.size * LOGICAL[self.dtype]

    @property
    def argument(self):
        """The kernel argument. Raises BackendError if the program that owns it was closed."""
        session = self._owner.session
        session.check()
        return session.arena.argument(self._owner.ticket)

    def numpy(self):
        """A new NumPy array with the values, rounded to the logical type (bf16 needs ml_dtypes).

        Raises BackendError if the program that owns the memory was closed.
        """
        from aat.backends.select import lock

        with lock():
            out = np.empty(self.shape, numpy_dtype(self.dtype))
            return self.session.read(self.argument, self.size, out, logical=self.dtype)

    def __array__(self, dtype=None, copy=None):
        """As `numpy()`, for np.asarray; always a copy."""
        if copy is False:
            raise ValueError("a DeviceArray is not in host memory: np.asarray(x, copy=False) cannot be done; leave "
                             "copy away")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def reshape(self, *shape):
        """The same memory under another shape of the same size (no -1)."""
        shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        if math.prod(shape) != self.size:
            raise value_error("shape", f"{self.size} elements in all", str(shape))
        return DeviceArray(None, self._owner, shape, self.dtype)

    @property
    def target(self):
        """The kernel argument, to be written: what was remembered of the values is forgotten."""
        self._owner.facts.clear()
        return self.argument

    def remembered(self, key, make):
        """`make()`, or what it gave for this key the last time, unless the array was written since."""
        facts = self._owner.facts
        if key not in facts:
            facts[key] = make()
        return facts[key]

    def shares_memory(self, other):
        """Whether another DeviceArray is the same memory, as a reshape is."""
        return self._owner is other._owner

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a DeviceArray without axes")
        return self.shape[0]

    def __repr__(self):
        gone = "" if self.session.alive else ", unusable: its program was closed"
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, backend={self.backend!r}{gone})"


def empty(shape, dtype=np.float32, backend="auto"):
    """An array with undefined values on a backend: aat.empty(shape, dtype, backend="auto") -> DeviceArray.

    For `out=` of calls on DeviceArrays. dtype: a NumPy dtype or "f16", "bf16", "f32", "f64", "bool", "i32". Raises
    TypeError for another dtype, ValueError and BackendError as `to_device`.
    """
    from aat.backends.select import lock, resolve, use

    shape = (int(shape),) if np.ndim(shape) == 0 else tuple(map(int, shape))
    name = dtype if isinstance(dtype, str) and dtype in LOGICAL else logical_name(np.dtype(dtype))
    if name not in LOGICAL:
        raise type_error("dtype", ", ".join(LOGICAL), str(dtype))
    if any(n < 0 for n in shape):
        raise value_error("shape", "sizes of at least 0", str(shape))
    with lock(), use(resolve(backend)[0]) as session:
        return session.blank(shape, name)


def sync():
    """Wait until everything that was launched is finished: calls on DeviceArrays of a GPU return before they are.

    `DeviceArray.numpy()` and np.asarray wait by themselves. Raises BackendError if a launch failed. Nothing to do where
    no backend is open.
    """
    from aat.backends.select import active, lock

    with lock():
        session = active()
        if session is not None:
            session.sync()


def to_device(x, backend="auto"):
    """Copy an array to a backend, where it stays: aat.to_device(x, backend="auto") -> DeviceArray.

    Parameters
    ----------
    x : array of any shape and strides, dtype f16, bf16, f32, f64, bool or int32
        NumPy, a PyTorch tensor, anything with `__dlpack__`, or a DeviceArray (returned as it is if it already lives
        on that backend, else moved through the host). CUDA tensors, and with PyTorch whatever has DLPack or the CUDA
        array interface, are copied on the device for "cuda" and through the host for any other backend.
    backend : str
        "auto", "cpu", "vulkan" or "cuda".

    Raises
    ------
    TypeError
        Another type or dtype.
    ValueError
        More than 2**31 - 1 elements.
    BackendError
        The backend cannot run, or it cannot hold this dtype or size.
    """
    from aat.backends.select import lock, resolve, use

    with lock():
        if isinstance(x, DeviceArray):
            if x.session.alive and backend in ("auto", x.backend):
                return x
            values, name = x.numpy(), x.dtype
        else:
            if foreign.on_cuda(x):
                check_elements("x", math.prod(x.shape))
                with use(resolve(backend)[0]) as session:
                    return foreign.put_cuda(x, session)
            values, name = foreign.host_array(x)
        check_elements("x", values.size)
        with use(resolve(backend)[0]) as session:
            return session.put(values, name)
