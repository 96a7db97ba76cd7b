"""What is kept of one measurement? A Record, one line of JSON in a file that is only ever appended to."""

import contextlib
import json
import math
import os
import stat
from dataclasses import MISSING, asdict, dataclass, field, fields, replace

__all__ = ["DEFAULT_FILE", "FAILED", "OK", "SCHEMA", "UNSUPPORTED", "Record", "RecordError", "append", "line", "read"]

SCHEMA = 1
DEFAULT_FILE = "aat-records.jsonl"
OK, FAILED, UNSUPPORTED = "ok", "failed", "not supported"


class RecordError(ValueError):
    """A record, or a file of them, is not what it should be."""


@dataclass(frozen=True)
class Record:
    """One case on one backend by one provider, at one time. None stands for what was not measured.

    Attributes
    ----------
    schema : int
    case, backend, provider : str
        provider is "aat", or a peer: "torch", "onnxruntime", "openvino", "numpy".
    status : str
        What the check said: "ok", "failed" or "not supported". "" for a peer, which is compared and not judged, and
        in records older than this field: there error and budget tell.
    reason : str
        What failed, or why there are no times; "" where nothing is to be explained.
    device, device_kind, driver, cpu_model, host : str
        host is a hash: it tells machines apart without naming them.
    cpu_flags : tuple of str
    versions : dict
    commit : str
        Of the source tree, "" outside of one; dirty tells whether files differed from it.
    config : str or None
        The TileConfig, as text.
    dtype : str
    threads : int or None
        Of the CPU, whichever backend ran.
    error, budget : float or None
        Of the element of out or lse with the largest error / budget, against the float64 reference.
    certified_bound : float or None
    multiply_adds, multiply_adds_useful, multiply_adds_dense : int
        Inside the visited tiles; inside the bounds that causal, window and kv_lens leave; without any.
    bytes : int
        Compulsory traffic: q, k, v, out, lse, mask and bias, each once.
    launches : int or None
    tiles : dict
        "visited", "full" and "total" counts.
    seconds_p10, seconds_median, seconds_p90 : float or None
    rounds : int
        How many times a call was timed.
    compile_seconds : float or None
        The first call minus the median.
    peak_bytes : int or None
        Peak of the session's arena during one call, plus out and lse.
    gflops : float or None
        2 multiply_adds_useful / seconds_median, in 1e9.
    peak_gflops, sgemm_gflops : float or None
        Measured in the same run: an FMA kernel and a matrix product.
    fraction_of_peak, fraction_of_sgemm : float or None
    arithmetic_intensity : float or None
        2 multiply_adds_useful / bytes.
    bandwidth_gbs : float or None
        Reads from memory, measured in the same run.
    bound : str
        "compute" or "memory": the roof that binds at this intensity.
    ratio_to : dict
        For each peer [low, median, high]: 95 % bootstrap interval of time aat / time peer, below 1 where aat is
        faster.
    aa_control : list or None
        The same of aat against itself: what the machine's noise does to a ratio.
    started : str
        ISO 8601, UTC.
    """

    case: str
    backend: str
    provider: str = "aat"
    schema: int = SCHEMA
    status: str = ""
    reason: str = ""
    device: str = ""
    device_kind: str = ""
    driver: str = ""
    cpu_model: str = ""
    cpu_flags: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    dirty: bool = False
    config: str | None = None
    dtype: str = "f32"
    threads: int | None = None
    error: float | None = None
    budget: float | None = None
    certified_bound: float | None = None
    multiply_adds: int = 0
    multiply_adds_useful: int = 0
    multiply_adds_dense: int = 0
    bytes: int = 0
    launches: int | None = None
    tiles: dict[str, int] = field(default_factory=dict)
    seconds_p10: float | None = None
    seconds_median: float | None = None
    seconds_p90: float | None = None
    rounds: int = 0
    compile_seconds: float | None = None
    peak_bytes: int | None = None
    gflops: float | None = None
    peak_gflops: float | None = None
    sgemm_gflops: float | None = None
    fraction_of_peak: float | None = None
    fraction_of_sgemm: float | None = None
    arithmetic_intensity: float | None = None
    bandwidth_gbs: float | None = None
    bound: str = ""
    ratio_to: dict[str, list[float]] = field(default_factory=dict)
    aa_control: list[float] | None = None
    started: str = ""
    host: str = ""

    def __post_init__(self):
        object.__setattr__(self, "cpu_flags", tuple(self.cpu_flags))
        if self.timed and (self.error is None or self.budget is None):
            raise RecordError(f"record {self.case!r} of {self.provider}: it has a time and no error; expected both")
        if self.status not in ("", OK, FAILED, UNSUPPORTED):
            raise RecordError(f"record {self.case!r}: status is {self.status!r}, expected "
                              f"{OK}, {FAILED} or {UNSUPPORTED}")
        right = self.error is not None and self.budget is not None and self.error <= self.budget
        wrong = self.provider == "aat" and not right
        if self.timed and (wrong or self.status in (FAILED, UNSUPPORTED)):
            raise RecordError(f"record {self.case!r}: it has a time, and its check is {self.status or FAILED!r}; "
                              "expected no time")

    @property
    def timed(self):
        """Whether there is a speed to show."""
        return self.seconds_median is not None

    def but(self, **changes):
        """A copy with other values."""
        return replace(self, **changes)


def line(record):
    """The record as one line of JSON with its newline; what is not finite becomes null."""
    return json.dumps(_plain(asdict(record)), allow_nan=False, separators=(",", ":")) + "\n"


def append(path, records):
    """Add records to a file, one write each: a reader never sees half a line, and a failed write leaves none.

    Raises OSError as the system gave it (a full disk, no permission); what was written before stays.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    file = os.open(path, flags, 0o644)
    try:
        for record in records:
            _write_whole(file, line(record).encode())
    finally:
        os.close(file)


def read(path):
    """Return (records, problems) of a file; each line that is no record of this schema is one problem, as text.

    RecordError if the file itself cannot be read. A device is not tried: some of them never end.
    """
    try:
        with open(path, "rb") as file:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
                raise RecordError(f"records: expected a file of records, got the device {str(path)!r}")
            lines = file.read().split(b"\n")
    except OSError as error:
        raise RecordError(f"records: expected a readable file, got {str(path)!r}: {error.strerror}; "
                          "`aat bench --records FILE` writes one") from None
    records, problems = [], []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            records.append(_parse(text))
        except RecordError as error:
            problems.append(f"{path}:{number}: {error}")
    return records, problems


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    return _plain(value.item())  # a NumPy scalar


def _write_whole(file, data):
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        data = b"\n" + data  # the last line was cut off: it must not swallow this one
    try:
        while data:
            data = data[os.write(file, data):]
    except OSError:
        with contextlib.suppress(OSError):  # a device has no length; its own error is the one to tell
            os.ftruncate(file, size)
        raise


def _parse(text):
    try:
        found = json.loads(text)
    except ValueError:
        raise RecordError("not a line of JSON: truncated or foreign; skipped") from None
    if not isinstance(found, dict) or "schema" not in found:
        raise RecordError("JSON, but no record of aat (it has no schema); skipped")
    if found["schema"] != SCHEMA:
        raise RecordError(f"schema {found['schema']!r}, expected {SCHEMA}; skipped")
    values = {}
    for entry in fields(Record):
        if entry.name in found:
            if not _fits(found[entry.name], _KINDS[entry.name]):
                raise RecordError(f"{entry.name} is {found[entry.name]!r}, expected {_told(entry.name)}; skipped")
            values[entry.name] = found[entry.name]
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise RecordError(f"no {entry.name}; skipped")
    try:
        return Record(**values)
    except RecordError as error:
        raise RecordError(f"{error}; skipped") from None


def _kinds(text):
    """What JSON may hold for an annotation: the types, and whether null may stand there."""
    known = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float), "dict": (dict,),
             "list": (list,), "tuple": (list,)}
    parts = [part.strip().partition("[")[0] for part in text.split("|")]
    return tuple(kind for part in parts if part != "None" for kind in known[part]), "None" in parts


def _fits(value, kinds):
    types, may_be_null = kinds
    if value is None:
        return may_be_null
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _told(name):
    return " or ".join(kind.__name__ for kind in _KINDS[name][0])


_KINDS = {entry.name: _kinds(entry.type.__name__ if type(entry.type) is type else str(entry.type))
          for entry in fields(Record)}
