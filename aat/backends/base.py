"""What must a backend provide? Opening, allocation, copies and limits.

`Backend` is filled by one file each (cpu, vulkan, cuda, reference). Sync and the clock are the same for all
of them and belong to the open program, `aat.backends.session.Session`. Everything is reached under the
library lock of `select`.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field

from aat.backends.dtypes import INT32_MAX


@dataclass(frozen=True)
class Limits:
    """What a kernel may ask of a device. None or 0 means that the driver does not say.

    Attributes
    ----------
    shared_bytes : int
        Shared memory of one thread block; more than that aborts the process on Vulkan.
    threads_per_block : int
    max_index : int
        Largest flat index: Taichi computes addresses in int32.
    dtypes : tuple of str
        Logical element types that attention can take, "f16" "bf16" "f32" "f64".
    registers : int
        Vector registers of a core (CPU) or 32-bit registers of a thread (GPU) that a kernel can count on.
    lanes : int
        f32 lanes of a vector register (CPU).
    l1_bytes, l2_bytes : int
        Data caches that a processor can count on: its share, where several use one (CPU).
    memory_bytes : int or None
        Memory that arrays can take in all.
    array_bytes : int or None
        Memory that one array can take (maxStorageBufferRange on Vulkan).
    subgroup : int
        Threads that run in lockstep; 0 where it is not known.
    native_f16 : bool
        Whether the device has 16-bit float arithmetic. Kernels compute in f32 anyway.
    pairs : bool
        Whether kernels may read shared memory in 64-bit numbers: a Vulkan device with 64-bit integers. CUDA's compiler
        joins reads by itself.
    """

    shared_bytes: int = 0
    threads_per_block: int = 1
    max_index: int = INT32_MAX
    dtypes: tuple = ("f16", "bf16", "f32", "f64")
    registers: int = 16
    memory_bytes: int | None = None
    array_bytes: int | None = None
    subgroup: int = 0
    native_f16: bool = False
    lanes: int = 0
    l1_bytes: int = 0
    l2_bytes: int = 0
    pairs: bool = False

    def of_tiles(self):
        """What decides which tiles a kernel may have: the keyword arguments of `TileConfig.problems`."""
        return {"shared_bytes": self.shared_bytes, "max_threads": self.threads_per_block, "registers": self.registers,
                "lanes": self.lanes, "l1_bytes": self.l1_bytes, "l2_bytes": self.l2_bytes,
                "pairs": self.pairs}


@dataclass(frozen=True)
class DeviceInfo:
    """The device that kernels run on; kind is "cpu", "discrete", "integrated", "virtual" or "software"."""

    name: str
    kind: str
    driver: str = ""
    api_version: str = ""
    vendor: str = ""


@dataclass(frozen=True)
class Probe:
    """The outcome of trying a backend in a child process.

    `ok` is True if a kernel ran there and gave the right numbers; otherwise `reasons` says why not, each
    with what to do. `device` and `limits` are None where the probe did not get that far. `details` holds
    what only this backend has (the index of the Vulkan device, all devices found, versions). `cached` tells
    whether this came from an earlier process.
    """

    ok: bool
    reasons: tuple = ()
    device: DeviceInfo | None = None
    limits: Limits | None = None
    details: dict = field(default_factory=dict, compare=False)
    cached: bool = field(default=False, compare=False)

    def to_json(self):
        """A dict of plain values that `from_json` turns back into an equal Probe."""
        plain = asdict(self)
        del plain["cached"]
        return plain

    @classmethod
    def from_json(cls, plain, cached=False):
        """The Probe of a `to_json` dict; raises KeyError, TypeError or ValueError if it is not one."""
        limits = plain["limits"] and Limits(**{**plain["limits"], "dtypes": tuple(plain["limits"]["dtypes"])})
        device = plain["device"] and DeviceInfo(**plain["device"])
        if not isinstance(plain["ok"], bool) or (plain["ok"] and not (limits and device)):
            raise ValueError("not a probe result")
        return cls(
            plain["ok"], tuple(map(str, plain["reasons"])), device, limits, dict(plain["details"]), cached
        )


class Backend(ABC):
    """A place where kernels run. One instance a name, made by `select`; at most one is open in a process."""

    name = ""
    zero_copy = False  # whether a host array is a kernel argument as it stands

    def probe(self, refresh=False):
        """Try this backend in a child process (remembered per driver) and return the Probe."""
        from aat.backends.probe import probe

        return probe(self.name, refresh=refresh)

    @abstractmethod
    def require(self):
        """Raise BackendError, with each reason, if this backend cannot be opened. Changes nothing."""

    def session(self):
        """`with backend.session() as session:` is `select.use` of this backend."""
        from aat.backends.select import use

        return use(self.name)

    @abstractmethod
    def open(self):
        """Start a Taichi program and return its Session; `require` has passed, no other program is open."""

    @abstractmethod
    def block_kind(self, dtype):
        """Blocks of one kind serve each other's types."""

    @abstractmethod
    def allocate(self, nbytes, dtype):
        """A block of at least `nbytes` for elements of `dtype`."""

    @abstractmethod
    def argument(self, block, n, dtype):
        """The kernel argument for the first `n` elements of `dtype` in a block."""

    @abstractmethod
    def storage(self, logical):
        """The np.dtype in which this backend's arrays keep a logical type ("f32", "bf16", "bool", ...)."""

    @abstractmethod
    def upload(self, session, host, argument):
        """Copy a flat contiguous host array, already of the storage type, to the start of an argument."""

    @abstractmethod
    def download(self, session, argument, host):
        """Fill a flat contiguous host array of the storage type from the start of an argument."""

    @abstractmethod
    def fill(self, session, argument, value):
        """Set every element of an argument."""
