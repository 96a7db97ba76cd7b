"""How large are the data caches that a processor can count on?"""

import functools
from pathlib import Path

SYSFS = Path("/sys/devices/system/cpu")
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@functools.cache
def share_of_caches(processor=0, root=SYSFS):
    """(L1 data, L2) of a processor in bytes, each divided by the processors that share it; 0 where nobody tells.

    Linux keeps them in sysfs. Other systems, and containers without sysfs, say nothing.
    """
    sizes = {"1": 0, "2": 0}
    for folder in sorted((root / f"cpu{processor}" / "cache").glob("index*")):
        try:
            level, kind, size, sharing = (
                (folder / name).read_text(encoding="ascii").strip()
                for name in ("level", "type", "size", "shared_cpu_list")
            )
            if level in sizes and kind != "Instruction":
                sizes[level] = _bytes(size) // _members(sharing)
        except (OSError, ValueError):
            continue  # a cache that is not told counts as unknown
    return sizes["1"], sizes["2"]


def _bytes(text):
    """"48K" -> 49152."""
    return int(text[:-1]) * UNITS[text[-1]] if text[-1:] in UNITS else int(text)


def _members(text):
    """Processors of a list such as "0,4-7"."""
    count = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return max(1, count)
