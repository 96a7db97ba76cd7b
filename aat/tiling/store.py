"""Where are tuned configs kept, and which of them count here? The user's file, and the tables that are shipped.

tuning.jsonl in the cache folder has one line of JSON a tuned bucket, appended by one write each; of two lines with one
key the later counts. A line that cannot be read is a problem for whoever asks, never an error.
"""

import json
import math
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aat import env
from aat.tiling.base import TileConfig
from aat.tiling.bucket import FIELDS, Bucket

SCHEMA = 1
NAME = "tuning.jsonl"
TABLES = Path(__file__).parent / "tables"
LARGEST = 64 << 20  # bytes: a file beyond that is none of ours


class StoreError(OSError):
    """The file cannot be written: one clear line with what to do."""


@dataclass(frozen=True)
class Entry:
    """One tuned bucket.

    Attributes:
        bucket: a Bucket; in a shipped table a dict of some of its fields, the others may be anything.
        config: the TileConfig, or None if nothing replaced the default.
        gain: 95 % interval of default time / its time as (low, median, high); ones where the default stayed.
        date: ISO 8601, UTC.
        kernel, device: hashes of what else the answer depends on (`aat.tiling.bucket`); "" in a shipped table.
        facts: the device for people; in a shipped table its "lanes" and "vendor" are what decides.
        error, budget: of the element with the largest ratio in the config's check.
    """

    bucket: Any
    config: TileConfig | None
    gain: tuple[float, float, float]
    date: str
    kernel: str = ""
    device: str = ""
    facts: dict = field(default_factory=dict)
    error: float = 0.0
    budget: float = 0.0

    @property
    def key(self):
        """What an entry answers for."""
        return self.kernel, self.device, self.bucket

    def suits(self, lanes, vendor, bucket):
        """Whether this entry of a shipped table is for such a device and a bucket."""
        return (self.facts.get("lanes") == lanes and self.facts.get("vendor") == vendor
                and all(getattr(bucket, name) == value for name, value in self.bucket.items()))


def for_table(entry):
    """An entry of the user's file as one of a shipped table: by lanes and vendor, whatever the kernel's source."""
    facts = {name: entry.facts[name] for name in ("lanes", "vendor", "device", "threads") if name in entry.facts}
    return replace(entry, bucket=asdict(entry.bucket), kernel="", device="", facts=facts)


def path():
    """The user's file. It need not exist."""
    return env.cache_dir() / NAME


def line(entry):
    """The entry as one line of JSON, with its newline."""
    plain = {"schema": SCHEMA, **{f.name: getattr(entry, f.name) for f in fields(Entry)}}
    plain["bucket"] = asdict(entry.bucket) if isinstance(entry.bucket, Bucket) else entry.bucket
    plain["config"] = None if entry.config is None else asdict(entry.config)
    return json.dumps(plain, separators=(",", ":")) + "\n"


def append(entry, file=None):
    """Add an entry, by one write: others may append at the same time. StoreError if the file does not take it."""
    target = path() if file is None else Path(file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(opened).st_size
            cut = size and os.pread(opened, 1, size - 1) != b"\n"  # a line without its end must not swallow this one
            data = (b"\n" if cut else b"") + line(entry).encode()
            if os.write(opened, data) != len(data):
                raise OSError(28, "No space left on device")
        finally:
            os.close(opened)
    except OSError as error:
        raise StoreError(_refused(target, error)) from error


def check_writable(file=None):
    """StoreError, before anything is measured, if `append` could not write."""
    target = path() if file is None else Path(file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644))
    except OSError as error:
        raise StoreError(_refused(target, error)) from error


def _refused(target, error):
    return (f"{target} cannot be written ({error.strerror or error}); set AAT_CACHE_DIR to a folder that can, or make "
            "this one writable")


def read(file=None, table=False):
    """Return (entries, problems) of the user's file, of `file`, or of a shipped `table`; a missing file has neither.

    problems are texts, one for each line that is no entry. A line of another schema is another release's: it is passed
    over in silence.
    """
    target = path() if file is None else Path(file)
    try:
        if target.stat().st_size > LARGEST:
            return [], [f"{target}: larger than {LARGEST >> 20} MiB"]
        lines = target.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{target}: {error.strerror or error}"]
    entries, problems = [], []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            entry = _parse(text, table)
        except (ValueError, TypeError, KeyError) as error:
            problems.append(f"{target}:{number}: {error}")
        else:
            entries += [] if entry is None else [entry]
    return entries, problems


def rewrite(file=None):
    """Drop the lines that cannot be read, by a new file in place of the old; return how many. StoreError if not."""
    target = path() if file is None else Path(file)
    _, problems = read(target)
    if not problems:
        return 0
    kept = []
    try:
        oversized = target.stat().st_size > LARGEST
        for text in () if oversized else target.read_bytes().split(b"\n"):
            try:
                _parse(text, False)
            except (ValueError, TypeError, KeyError):
                continue
            kept.append(text + b"\n")
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        temporary.write_bytes(b"".join(kept))
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError(_refused(target, error)) from error
    return len(problems)


def shipped():
    """(entries, problems) of all shipped tables."""
    entries, problems = [], []
    for file in sorted(TABLES.glob("*.jsonl")):
        found, wrong = read(file, table=True)
        entries += found
        problems += wrong
    return entries, problems


def _parse(text, table):
    """The Entry of a line, None if it is another release's; ValueError, TypeError or KeyError if it is none."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not a line of JSON") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("schema"), int):
        raise ValueError("JSON without a schema")
    if plain["schema"] != SCHEMA:
        return None
    bucket, facts = plain["bucket"], plain.get("facts", {})
    if not isinstance(bucket, dict) or not set(bucket) <= set(FIELDS) or not isinstance(facts, dict):
        raise ValueError("its bucket is none")
    gain = tuple(plain["gain"])
    if len(gain) != 3 or not all(isinstance(x, int | float) and math.isfinite(x) and x > 0 for x in gain):
        raise ValueError(f"gain is {plain['gain']!r}, expected three positive numbers")
    date, kernel, device = plain["date"], plain.get("kernel", ""), plain.get("device", "")
    if not all(isinstance(word, str) for word in (date, kernel, device)):
        raise ValueError("date, kernel and device must be texts")
    error, budget = (float(plain.get(name, 0.0)) for name in ("error", "budget"))
    return Entry(bucket if table else Bucket(**bucket), _config(plain["config"]), gain, date, kernel,
                 device, facts, error, budget)


def _config(plain):
    if plain is None:
        return None
    if not isinstance(plain, dict):
        raise ValueError(f"config is {plain!r}")
    known = {entry.name: entry for entry in fields(TileConfig)}
    unknown = sorted(set(plain) - set(known))
    if unknown:
        raise ValueError(f"config has {', '.join(unknown)}, which TileConfig has not")
    for name, value in plain.items():
        wanted = bool if known[name].type in (bool, "bool") else int
        if type(value) is not wanted:
            raise ValueError(f"config has {value!r} for {name}")
    return TileConfig(**plain)
