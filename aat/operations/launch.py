"""How does a kernel whose programs take tasks run on a session? One description, one launch, on the team or a GPU."""

import numpy as np

from aat.arrays import STORAGE
from aat.backends.program import free_launch
from aat.backends.relaunch import Relaunch

ALONE = 1 << 21  # multiply-adds below which waking a second thread takes longer than the work
GRID = 65535     # thread groups of a launch that every Vulkan device takes


def programs(session, tasks, multiply_adds):
    """How many programs share the tasks of a launch."""
    if session.backend != "cpu":
        return max(1, min(tasks, GRID))
    # without the intrinsics tasks have no common counter, and the team may call a program off
    alone = multiply_adds < ALONE or tasks < 2 or not session.intrinsics
    return 1 if alone else min(session.threads, tasks)


def describe(session, size, facts, tasks, count, arrays):
    """The i32 array of a launch (np.ndarray): `facts` {place: number}, `arrays` {place: argument whose address it is}.

    `size` is the number of places that the kernel's own Meta ends with.
    """
    from aat.kernels.parts.launch import PROGRAM, Head

    flags = -(-size // PROGRAM) * PROGRAM
    words = np.zeros((flags + PROGRAM * count) // 2, np.uint64)
    meta = words.view(np.int32)
    meta[[Head.TASKS, Head.PROGRAMS, Head.FINISHED]] = tasks, count, flags
    for place, number in facts.items():
        meta[place] = number
    if session.backend == "cpu":
        for place, x in {**arrays, Head.META_ADDRESS: meta}.items():
            if isinstance(x, np.ndarray):
                words[place // 2] = x.ctypes.data
    return meta


def run(session, key, make, arguments, meta, numbers=()):
    """Launch kernel(*arguments, meta, *numbers, first, count) so that every task of `meta` is done.

    key, make: as `Session.kernel` takes them. On the CPU each program is one launch of its own, shared out by the team.
    """
    from aat.kernels.parts.launch import PROGRAM, Head

    kernel, count = session.kernel(key, make), int(meta[Head.PROGRAMS])
    if session.backend != "cpu":
        with session.launching():
            kernel(*arguments, session.array(meta), *numbers, 0, count)
        return
    arguments = (*arguments, meta, *numbers)
    if session.first_launch(key):
        # the first launch compiles, which two threads may not do at once: it has no tasks
        tasks, meta[Head.TASKS] = int(meta[Head.TASKS]), 0
        with session.launching(counted=False):
            kernel(*arguments, 0, 1)
        meta[Head.TASKS], meta[Head.TASK] = tasks, 0
        kernel = session.kernel(key, make)
    flags = meta[int(meta[Head.FINISHED]):]
    flags[:] = 0
    shares = [Relaunch(kernel, (*arguments, program, 1)).go for program in range(count)]
    told = session.intrinsics and free_launch() is not None
    with session.launching():
        session.team.run(shares, (lambda program: flags[program * PROGRAM]) if told else None)


def number_type(dtype):
    """The np.dtype that a kernel computes in: float64 for "f64", else float32."""
    return np.dtype(np.float64 if dtype == "f64" else np.float32)


def given(session, x, dtype):
    """The kernel argument of an input: the contiguous host array itself on the CPU, a copy on a GPU."""
    flat = x.reshape(-1)
    if not flat.size:  # no kernel takes an empty array, and none reads this
        flat = np.zeros(1, STORAGE[dtype])
    return session.array(flat, dtype)


def output(session, out):
    """The kernel argument of a contiguous result: its own memory on the CPU, f32 on a GPU."""
    return out.reshape(-1) if session.backend == "cpu" else session.empty(out.size, np.dtype(np.float32))


def collect(session, argument, out, dtype):
    """Bring the result of a launch to `out`, where it is not there already; 16-bit results are rounded here."""
    if session.backend != "cpu":
        session.read(argument, out.size, out, logical=dtype)
