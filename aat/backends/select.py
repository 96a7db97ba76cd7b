"""Which backend runs, and why?

One Taichi program can exist in a process, so one backend is active; opening another closes it. Everything
happens under one re-entrant lock, which serialises the calls of several threads.
"""

import contextlib
import importlib
import logging
import os
import threading

from aat import env
from aat.backends.interrupts import Uninterrupted
from aat.backends.program import end_without_destructors, foreign_program
from aat.errors import BackendError, value_error

_log = logging.getLogger("aat")
_CLASSES = {
    "cpu": "CpuBackend",
    "vulkan": "VulkanBackend",
    "cuda": "CudaBackend",
    "reference": "ReferenceBackend",
}


class _State:
    """The one mutable thing of this module."""

    def __init__(self):
        self.lock = threading.RLock()
        self.session = None
        self.backends = {}
        self.automatic = None  # (name, reason), decided once
        self.guarded = False  # whether the hooks of `os.fork` are set
        self.inherited = None  # in a forked child: the parent's program, not yet buried
        self.forbidden = None  # in a forked child: why it cannot open a program


_state = _State()
_forking = threading.local()


def names():
    """The names that `backend=` takes besides "auto"."""
    return env.BACKENDS


def lock():
    """The library's re-entrant lock: `with lock():`."""
    return _state.lock


def get(name):
    """The Backend object of a name; ValueError if there is none."""
    if name not in _CLASSES:
        raise value_error("backend", f"one of auto, {', '.join(_CLASSES)}", repr(name), "see `aat info`")
    if name not in _state.backends:
        module = importlib.import_module(f"aat.backends.{name}")
        _state.backends[name] = getattr(module, _CLASSES[name])()
    return _state.backends[name]


def resolve(name="auto"):
    """(backend, reason): the concrete name that "auto" or an explicit name stands for.

    An explicit name is returned as it is, whether it can run or not: it never falls back. "auto" is
    AAT_BACKEND if that is set; else a real GPU that passed its probe, Vulkan before CUDA; else the CPU.
    Never a software device.
    """
    if name != "auto":
        get(name)
        return name, "asked for by name"
    wanted = env.backend()
    if wanted not in (None, "auto"):
        return wanted, f"AAT_BACKEND={wanted}"
    with _state.lock:
        if _state.automatic is None:
            set_log_level()
            _state.automatic = _choose()
            _log.info("backend %s: %s", *_state.automatic)
        return _state.automatic


def set_log_level():
    """Give the logger "aat" the level of AAT_LOG, and stderr if nobody set up a handler."""
    level = env.log_level()
    if level is None:
        return
    _log.setLevel(level)
    if not _log.hasHandlers():
        _log.addHandler(logging.StreamHandler())


def _choose():
    rejected = []
    for name in ("vulkan", "cuda"):
        found = get(name).probe()
        if found.ok and found.device.kind != "software":
            return name, f"{found.device.name} passed its probe"
        rejected.append(
            f"{name}: {found.device.name} is a software device" if found.ok else f"{name}: {found.reasons[0]}"
        )
    return "cpu", "no real GPU (" + "; ".join(rejected) + ")"


def active():
    """The open Session, or None."""
    with _state.lock:
        session = _state.session
        return session if session is not None and session.alive else None


@contextlib.contextmanager
def use(name="auto"):
    """`with use("cpu") as session:` holds the library lock and yields that backend's open Session.

    Opening another backend than the active one closes the active one. Raises BackendError with each reason
    if the backend cannot run.
    """
    with _state.lock:
        yield _session(resolve(name)[0])


def _session(name):
    session = _state.session
    if session is not None and session.alive and session.backend == name:
        return session
    if _state.forbidden:
        raise BackendError(name, [_state.forbidden])
    backend = get(name)
    backend.require()  # before anything is closed: a backend that cannot run costs nobody their arrays
    with Uninterrupted():
        if session is not None:
            session.close(by=f"backend {name!r} was opened")
            _state.session = None
        _state.session = _open(backend)
    return _state.session


def _open(backend):
    set_log_level()
    if foreign_program():
        _log.warning(
            "opening backend %r ends a Taichi program of this process that aat did not open; a process can "
            "have one",
            backend.name,
        )
    _log.info("opening backend %s", backend.name)
    _guard_forks()
    if _state.inherited is not None:
        _state.inherited.bury()
        _state.inherited = None
    try:
        return backend.open()
    except RuntimeError as error:  # what Taichi raises when a driver refuses; ours pass its own class through
        if isinstance(error, BackendError):
            raise
        raise BackendError(
            backend.name, [f"Taichi could not open it: {error}; see `aat info --refresh`"]
        ) from error


def _guard_forks():
    if not _state.guarded and hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )
    _state.guarded = True


def _before_fork():
    # not waiting: the thread that holds the lock may itself be waiting for the one that forks
    _forking.idle = _state.lock.acquire(blocking=False)


def _after_fork_in_parent():
    if _forking.idle:
        _state.lock.release()


def _after_fork_in_child():
    _state.lock = threading.RLock()  # whoever held the old one may not exist here
    session, _state.session = _state.session, None
    if session is None:
        return
    _state.inherited = session.abandon()
    if not _forking.idle:
        _state.forbidden = (
            "this process was forked while another thread was in a call; start processes with "
            'multiprocessing.get_context("spawn"), or fork between calls'
        )
    elif session.backend != "cpu":
        end_without_destructors()
        _state.forbidden = (
            f"this process was forked from one that had the {session.backend} backend open, and a GPU "
            'driver does not survive a fork; start processes with multiprocessing.get_context("spawn")'
        )


def close():
    """Close the active backend, if any; its DeviceArrays become unusable."""
    with _state.lock:
        if _state.session is not None:
            _state.session.close()
            _state.session = None
