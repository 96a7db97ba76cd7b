"""How does the one Taichi program of a process come and go?

Taichi keeps its program, its kernels and its thread pool in process-wide state. Everything that touches
that state is in this file: the quiet import, `ti.init`, the end of a program, and what a forked child may
do with it.
"""

import ctypes
import functools
import importlib
import os
import sys
import warnings

from aat import env
from aat.backends.floating import STANDARD, FloatingEnvironment, Preserved
from aat.backends.interrupts import Uninterrupted


def taichi():
    """The taichi module, imported on first use without its banner and without its version check."""
    if "taichi" in sys.modules:
        return sys.modules["taichi"]
    with Uninterrupted(), env.taichi_environment(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Taichi 1.7.4 uses names that newer Pythons deprecate
        return importlib.import_module("taichi")


def _implementation():
    return importlib.import_module("taichi.lang.impl")


class Program:
    """An initialised Taichi program: `ti.init` with `options`, until `end()` or somebody else's `ti.init`.

    Attributes
    ----------
    floating : FloatingEnvironment
        The environment that Taichi set up and that its pool threads inherited; kernels are launched under it.
    """

    def __init__(self, arch, **options):
        ti = taichi()
        misc = importlib.import_module("taichi.lang.misc")
        with Uninterrupted(), Preserved(STANDARD), env.taichi_environment():
            # shadows the built-in in that module alone: redirecting stdout would swallow other threads' lines
            vars(misc)["print"] = lambda *args, **kwargs: None
            try:
                ti.init(arch=getattr(ti, arch), enable_fallback=False, **{"log_level": ti.ERROR, **options})
            finally:
                del vars(misc)["print"]
            self.floating = FloatingEnvironment()
        self._implementation = _implementation()
        self._native = self._implementation.get_runtime().prog
        self._corpse = None

    def alive(self):
        """Whether Taichi still runs this program; a caller's own `ti.init` or `ti.reset` ends it."""
        return self._native is not None and self._implementation.pytaichi.prog is self._native

    def sync(self):
        """Wait until every launched kernel has finished."""
        taichi().sync()

    def end(self):
        """Destroy the program with its kernels; writes the offline cache. Nothing to do if it is gone."""
        if self.alive():
            with Uninterrupted(), Preserved():
                taichi().reset()
        self._native = None

    def abandon(self):
        """In a forked child: forget the parent's program without running anything of it.

        Its pool threads exist in the parent only, and its destructor joins them, which would wait for ever
        (at the latest when the child exits). So the program gets a reference that is never given back, and
        Taichi a fresh runtime. `bury` must follow before the next program is opened.
        """
        runtime = self._implementation.pytaichi
        if self.alive():
            for immortal in (runtime, self._native):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(immortal))
            self._implementation.pytaichi = type(runtime)(runtime.kernels)
            for kernel in runtime.kernels:
                kernel.reset()
            self._corpse = self._native
        self._native = None

    def bury(self):
        """In a forked child: end the abandoned program as far as a process without its threads can.

        `finalize` synchronises first, which returns at once for a CPU program that was idle when the
        process was forked, and waits for ever for a GPU's or a busy one. Taichi counts programs and allows
        one.
        """
        if self._corpse is not None:
            self._corpse.finalize()
            self._corpse = None


# Taichi 1.7.4 creates the folder even if it keeps nothing there, and ends with a segmentation fault if it
# cannot; its default is below the home folder. The root folder is there for everybody.
NO_CACHE = {"offline_cache": False, "offline_cache_file_path": os.path.abspath(os.sep)}


def offline_cache():
    """The arguments of `ti.init` for compiled kernels that the next process finds again.

    None are kept where the folder cannot be written.
    """
    folder = env.cache_dir() / "taichi"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return NO_CACHE
    if not os.access(folder, os.W_OK | os.X_OK):
        return NO_CACHE
    return {"offline_cache": True, "offline_cache_file_path": str(folder)}


def set_vulkan_device(index):
    """Make the next Vulkan program use the physical device of this index."""
    taichi()
    _implementation()._ti_core.set_vulkan_visible_device(str(index))


def foreign_program():
    """Whether somebody else in this process has a Taichi program open (call it before opening one)."""
    return "taichi" in sys.modules and _implementation().get_runtime().prog is not None


def end_without_destructors():
    """In a child forked from a process with a GPU open: make the process end before the driver's destructors run.

    They use threads and queues that stayed with the parent: NVIDIA's crash the child, and cost the parent its device
    (seen on an H200 through Vulkan, driver 580, 2026-11). Handlers run last in, first out, after Python's own end.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "on_exit"):  # glibc; macOS and musl have no handler that is told the exit status
        library.on_exit(ctypes.cast(library._exit, ctypes.c_void_p), None)


# Program::launch_kernel(const CompiledKernelData&, LaunchContextBuilder&) as GCC and Clang spell it
LAUNCH = "_ZN6taichi4lang7Program13launch_kernelERKNS0_18CompiledKernelDataERNS0_20LaunchContextBuilderE"


@functools.cache
def free_launch():
    """Taichi's launch as a function of three addresses that gives up the interpreter lock, or None without its symbol.

    The Python binding keeps the lock, so that two threads could not launch side by side. The symbol is one that the
    pinned release exports on Linux.
    """
    taichi()
    library = ctypes.CDLL(importlib.import_module("taichi._lib").core.__file__)
    if sys.implementation.name != "cpython" or not hasattr(library, LAUNCH):
        return None
    function = getattr(library, LAUNCH)
    function.argtypes, function.restype = [ctypes.c_void_p] * 3, None
    return function


def _native_address(instance):
    """Address of the C++ object of a pybind11 instance, which follows Python's object header."""
    return ctypes.c_void_p.from_address(id(instance) + object.__basicsize__).value


def launcher(kernel, arguments, free=True):
    """(launch, context, kinds) of a `ti.kernel` for arguments like these.

    `launch()` runs it with the arguments that were set in the context, none so far; kinds holds (name, "template",
    "array", "float" or "int") for each argument. Not `free`: by Taichi's own binding, which keeps the interpreter lock
    and turns what a driver throws into RuntimeError.
    """
    primal = kernel._primal
    traced = primal.compiled_kernels[primal.ensure_compiled(*arguments)]
    program = _implementation().get_runtime().prog
    compiled = program.compile_kernel(program.config(), program.get_device_caps(), traced)
    context = traced.make_launch_context()
    kinds = [(argument.name, _kind(argument.annotation)) for argument in primal.arguments]
    unlocked = free_launch() if free else None
    if unlocked is None:
        return functools.partial(program.launch_kernel, compiled, context), context, kinds
    addresses = tuple(map(_native_address, (program, compiled, context)))

    def launch(alive=(program, compiled, context)):  # whose addresses these are
        unlocked(*addresses)
    return launch, context, kinds


def _kind(annotation):
    ti = taichi()
    if annotation is ti.template or isinstance(annotation, ti.template):
        return "template"
    if isinstance(annotation, ti.types.ndarray):
        return "array"
    return "float" if annotation in (ti.f32, ti.f64) else "int"
