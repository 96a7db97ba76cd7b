"""Under which rounding and subnormal rules does a piece of code run?

`ti.init` turns flush-to-zero on in the thread that calls it and leaves it on, so the caller's next NumPy
result can differ. The functions here are C's fegetenv and fesetenv (C11 7.6.4), which hold MXCSR on x86 and
FPCR on ARM.
"""

import ctypes
import sys

# glibc's fenv_t has 32 bytes on x86-64, 8 on AArch64; Apple's 16; Microsoft's 8
_BYTES = 64


def _library():
    name = "ucrtbase" if sys.platform == "win32" else None
    try:
        # PyDLL keeps the interpreter lock: dropping it around a 5 ns call would invite a thread switch
        library = ctypes.PyDLL(name)
        return library if hasattr(library, "fegetenv") and hasattr(library, "fesetenv") else None
    except OSError:
        return None


_LIBC = _library()


class FloatingEnvironment:
    """A saved floating-point environment of a thread. Where C offers none, saving and setting do nothing."""

    __slots__ = ("_buffer",)

    def __init__(self):
        """Save the calling thread's environment."""
        self._buffer = ctypes.create_string_buffer(_BYTES)
        if _LIBC is not None:
            _LIBC.fegetenv(self._buffer)

    def set(self):
        """Make this the environment of the calling thread, exception flags included."""
        if _LIBC is not None:
            _LIBC.fesetenv(self._buffer)


class Preserved:
    """`with Preserved(inner):` runs a block under `inner` and gives the caller's environment back afterwards.

    Without `inner` the block starts from the caller's environment.
    """

    __slots__ = ("_inner", "_outer")
    _outer: FloatingEnvironment

    def __init__(self, inner=None):
        self._inner = inner

    def __enter__(self):
        self._outer = FloatingEnvironment()
        if self._inner is not None:
            self._inner.set()
        return self

    def __exit__(self, *exception):
        self._outer.set()
        return False


def _standard():
    """The environment a C program starts with: round to nearest, subnormal numbers kept."""
    with Preserved():
        if _LIBC is not None and sys.platform == "darwin":
            _LIBC.fesetenv(ctypes.byref(ctypes.c_char.in_dll(_LIBC, "_FE_DFL_ENV")))
        elif _LIBC is not None and sys.platform == "linux":
            _LIBC.fesetenv(ctypes.c_void_p(-1))  # FE_DFL_ENV of glibc and of musl
        return FloatingEnvironment()


# Threads inherit the environment of the thread that creates them. Every program is therefore started from
# this one, so that the bits of a kernel running in Taichi's pool depend on no caller.
STANDARD = _standard()
