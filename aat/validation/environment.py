"""Where and by what was something measured? The facts that a record carries besides its figures."""

import hashlib
import platform
import subprocess
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from aat.backends.fingerprint import package_version

DISTRIBUTIONS = ("numpy", "taichi", "numba")
# what decides the speed of float arithmetic; the whole list of a processor has a hundred more
FLAGS = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_bf16", "avx512_fp16",
         "amx_tile", "amx_bf16", "asimd", "sve", "neon")


@cache
def facts():
    """The fields of a Record that belong to the machine and the source tree: the same for a whole run."""
    model, flags = _processor()
    commit, dirty = source()
    return {"cpu_model": model, "cpu_flags": flags, "commit": commit, "dirty": dirty, "host": host(model),
            "versions": {"python": platform.python_version(), "aat": package_version("adaptive-attention-tiling"),
                         **{name: package_version(name) for name in DISTRIBUTIONS}}}


def now():
    """The time, ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def host(model=""):
    """A hash that tells machines apart and does not name them."""
    told = "\n".join((platform.node(), platform.machine(), model))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def source(folder=None):
    """(commit, dirty) of the source tree that this package was imported from; ("", False) outside of one."""
    root = Path(__file__).resolve().parents[2] if folder is None else Path(folder)
    if not (root / ".git").exists():
        return "", False
    commit = _git(root, "rev-parse", "HEAD")
    return commit, bool(commit) and bool(_git(root, "status", "--porcelain", "--", "aat", "kernels", "pyproject.toml"))


def _git(root, *arguments):
    try:
        done = subprocess.run(("git", "-C", str(root), *arguments), capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor():
    """(model name, flags) of the processor, from /proc/cpuinfo where there is one."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine(), ()
    told: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    found = set((told.get("flags") or told.get("Features") or "").split())
    return told.get("model name") or platform.machine(), tuple(flag for flag in FLAGS if flag in found)
