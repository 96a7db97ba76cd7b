"""Which environment variables are there? This is the only module that reads or writes `os.environ`.

Switches live here, tuned numbers in `aat.tiling.base.TileConfig`; a name may not be in both. Each variable
has one function, which reads it anew at every call, checks it, and raises a ValueError that names it. An
empty string counts as unset.
"""

import contextlib
import logging
import os
from pathlib import Path

from aat.errors import value_error

BACKENDS = ("cpu", "vulkan", "cuda", "reference")
REQUIRABLE = (*BACKENDS, "chromium")
LANES = (4, 8, 16)
TUNE = ("never", "cached", "auto")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")

VARIABLES = {
    "AAT_BACKEND": 'Overrides backend="auto": auto, cpu, vulkan, cuda or reference.',
    "AAT_LANES": "SIMD lanes of the CPU kernels: 4, 8 or 16. Default: what the processor has.",
    "AAT_INTRINSICS": "0 takes the plain Taichi path in place of the LLVM bitcode: slower. Default: 1.",
    "AAT_NUM_THREADS": "Most threads of the CPU backend. Default: the processors this process may use.",
    "AAT_TUNE": "Tuned tiles: never, cached (what `aat tune` and aat know) or auto (tunes too). Default: cached.",
    "AAT_CACHE_DIR": "Folder of what is remembered. Default: $XDG_CACHE_HOME/aat or ~/.cache/aat.",
    "AAT_REQUIRE": "Comma-separated backends, or chromium, whose absence fails the tests instead of skipping them.",
    "AAT_LOG": "Level of the logger 'aat', on stderr: debug, info, warning, error or critical.",
}


def _read(name):
    return os.environ.get(name, "").strip()


def _one_of(name, value, allowed):
    if value not in allowed:
        raise value_error(
            f"environment variable {name}",
            f"one of {', '.join(map(str, allowed))}",
            repr(value),
            f"unset {name} for the default",
        )
    return value


def backend():
    """AAT_BACKEND: None, "auto" or the name of a backend; what backend="auto" stands for."""
    value = _read("AAT_BACKEND").lower()
    return _one_of("AAT_BACKEND", value, ("auto", *BACKENDS)) if value else None


def chosen_backend():
    """AAT_BACKEND as it stands, unchecked: whether it changed since it was checked."""
    return os.environ.get("AAT_BACKEND")


def lanes():
    """AAT_LANES: None, 4, 8 or 16. A width above the host's is legal and slow: LLVM splits it."""
    value = _read("AAT_LANES")
    return int(_one_of("AAT_LANES", value, tuple(map(str, LANES)))) if value else None


def intrinsics():
    """AAT_INTRINSICS: whether the LLVM bitcode may be used (default True)."""
    value = _read("AAT_INTRINSICS").lower()
    return not value or _one_of("AAT_INTRINSICS", value, YES + NO) in YES


def num_threads():
    """AAT_NUM_THREADS: None or a positive int."""
    value = _read("AAT_NUM_THREADS")
    if not value:
        return None
    if not value.isdecimal() or int(value) == 0:
        raise value_error(
            "environment variable AAT_NUM_THREADS",
            "a positive whole number",
            repr(value),
            "unset it for one thread a processor",
        )
    return int(value)


def tune():
    """AAT_TUNE: "never", "cached" (the default) or "auto"; docs/tuning.md says what each does."""
    value = _read("AAT_TUNE").lower()
    return _one_of("AAT_TUNE", value, TUNE) if value else "cached"


def require():
    """AAT_REQUIRE: what the tests may not do without, backends or chromium, as a tuple of names without repeats."""
    names = [name.strip().lower() for name in _read("AAT_REQUIRE").split(",")]
    return tuple(dict.fromkeys(_one_of("AAT_REQUIRE", name, REQUIRABLE) for name in names if name))


def log_level():
    """AAT_LOG: None or a level of `logging` as an int."""
    value = _read("AAT_LOG").lower()
    return getattr(logging, _one_of("AAT_LOG", value, LOG_LEVELS).upper()) if value else None


def cache_dir():
    """AAT_CACHE_DIR: the folder for what is remembered between processes. It is not created here."""
    value = _read("AAT_CACHE_DIR")
    if value:
        return Path(os.path.expanduser(value)).absolute()
    # the XDG specification tells programs to ignore a relative path
    base = _read("XDG_CACHE_HOME")
    return (Path(base) if os.path.isabs(base) else home() / ".cache") / "aat"


def home():
    """The user's home folder, or one that cannot exist where there is none (a container's random user)."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)


def settings():
    """(name, value as set or "", help) of every variable, for `aat info`."""
    return [(name, _read(name), text) for name, text in VARIABLES.items()]


DRIVER_PREFIXES = (
    "VK_",
    "MESA_",
    "LP_",
    "LIBGL_",
    "DRI_",
    "CUDA_",
    "NVIDIA_",
    "AMD_",
    "RADV_",
    "ANV_",
    "MVK_",
)
DRIVER_NAMES = (
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LD_PRELOAD",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "GALLIUM_DRIVER",
    "TI_VISIBLE_DEVICE",
    "TI_ENABLE_VULKAN",
    "TI_ENABLE_CUDA",
    "HOME",
)


def driver_variables():
    """{name: value} of the variables that can change what a driver probe finds; a part of its cache key."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(DRIVER_PREFIXES) or name in DRIVER_NAMES
    }


def search_path(name):
    """The entries of a variable such as LD_LIBRARY_PATH, without empty ones."""
    return [part for part in os.environ.get(name, "").split(os.pathsep) if part]


def visible_device():
    """TI_VISIBLE_DEVICE: the index of the Vulkan device that the user pinned for Taichi, or None."""
    value = _read("TI_VISIBLE_DEVICE")
    if not value:
        return None
    if not value.isdecimal():
        raise value_error(
            "environment variable TI_VISIBLE_DEVICE", "the index of a Vulkan device", repr(value)
        )
    return int(value)


def child_environment(**changes):
    """A copy of the environment for a child process, with `changes`; a value of None removes the name."""
    copy = dict(os.environ)
    for name, value in changes.items():
        copy.pop(name, None)
        if value is not None:
            copy[name] = value
    return copy


MLFLOW_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # or it announces every table that it makes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # or a server that is not there is waited for during minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def prepare_mlflow():
    """Settings that MLflow reads while it is imported and used; what the user has set stays."""
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def taichi_environment():
    """What Taichi may see of the environment while it is imported and initialised, put back afterwards.

    TI_ARCH, TI_DEFAULT_FP and TI_DEFAULT_IP would override the arguments of `ti.init`; the header is
    printed to stdout; the version check sends a request over the network. TI_LOG_LEVEL is left: somebody is
    debugging.
    """
    changes = {
        "ENABLE_TAICHI_HEADER_PRINT": "False",
        "TI_SKIP_VERSION_CHECK": "ON",
        "TI_ARCH": None,
        "TI_DEFAULT_FP": None,
        "TI_DEFAULT_IP": None,
    }
    before = {name: os.environ.get(name) for name in changes}
    _apply(changes)
    try:
        yield
    finally:
        _apply(before)


def _apply(changes):
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
