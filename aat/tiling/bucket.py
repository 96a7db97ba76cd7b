"""Which problems share tuned tiles, and on which device, with which kernel, do those tiles count?"""

import hashlib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from aat.backends.cpu import features

MOST_HEADS = 64  # from there on, every device has enough to do in parallel
SIZES = ("d", "dv", "lq", "lk", "heads", "group")
REACHES = ("full", "causal", "window")
DTYPES = ("f16", "bf16", "f32", "f64")
# what decides the speed of float arithmetic, in NumPy's names; it lists more of them with every release
FLAGS = {"AVX512F", "AVX512_SKX", "AVX512_SPR", "AVX2", "FMA3", "F16C", "ASIMD", "SVE"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Problems that share tuned tiles.

    Attributes:
        dtype: "f16", "bf16", "f32" or "f64".
        d, dv: head sizes, exactly.
        lq, lk: queries and keys, rounded up to a power of two.
        heads: batch times query heads, rounded up to a power of two, at most 64.
        group: query heads that share a KV head.
        reach: "full" (every key), "causal" (a bound on the right) or "window" (one on the left).
    """

    dtype: str
    d: int
    dv: int
    lq: int
    lk: int
    heads: int
    group: int
    reach: str

    def __post_init__(self):
        for name in SIZES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"bucket: expected a positive integer for {name}, got {value!r}")
        for name, allowed in (("dtype", DTYPES), ("reach", REACHES)):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"bucket: expected one of {', '.join(allowed)} for {name}, got {value!r}")

    def __str__(self):
        return (f"{self.dtype} {self.lq} x {self.lk}, D {self.d}, Dv {self.dv}, {self.heads} heads, "
                f"groups of {self.group}, {self.reach}")


FIELDS = tuple(entry.name for entry in fields(Bucket))


def bucket(problem):
    """The Bucket of a Problem with rows and keys (`aat.attention.base.Problem`)."""
    reach = "full" if problem.left is None else "window"
    if reach == "full" and problem.right is not None and problem.Lq > 1:  # one row's keys are a plain range
        reach = "causal"
    return Bucket(problem.dtype, problem.D, problem.Dv, _up(problem.Lq), _up(problem.Lk),
                  min(MOST_HEADS, _up(problem.B * problem.Hq)), problem.group, reach)


def _up(n):
    """The power of two at or above n."""
    return 1 << (n - 1).bit_length()


def device_facts(session):
    """What a tuned config depends on besides the problem and the kernel: {name: text or number}."""
    device = session.device
    facts = {"backend": session.backend, "device": device.name, "vendor": device.vendor, "driver": device.driver}
    if session.backend == "cpu":
        facts |= {"flags": " ".join(sorted(features() & FLAGS)), "threads": session.threads,
                  "lanes": session.lane_width, "intrinsics": session.intrinsics}
    return facts


def device_key(session):
    """A short hash of the device_facts of a Session."""
    told = "\n".join(f"{name}={value}" for name, value in device_facts(session).items())
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@cache
def kernel_key(root=None):
    """A short hash of the kernel's source: kernels/attention_forward.py, kernels/parts and kernels/lanes.

    `root` is the folder of `aat.kernels`, found if absent. Nothing is imported.
    """
    if root is None:
        from importlib.util import find_spec

        spec = find_spec("aat.kernels")
        places = spec.submodule_search_locations if spec is not None else None
        root = next(iter(places or ()), "")
    folder = Path(root)
    files = [folder / "attention_forward.py", *sorted((folder / "parts").glob("*.py")),
             *sorted((folder / "lanes").glob("*.py"))]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
