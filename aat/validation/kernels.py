"""What every kernel of aat/operations gets for being there: its cases checked, laws, and times with counts."""
from collections.abc import Callable
from functools import cache

import numpy as np

from aat import operations
from aat.errors import BackendError
from aat.report.record import OK, Record
from aat.validation import budget, environment, metrics, statistics
from aat.validation.cases import kernel_cases
from aat.validation.inputs import ARRANGEMENTS, numpy_dtype
from aat.validation.peaks import measure_peaks
from aat.validation.pipeline import Verdict


def arguments(case):
    """The keyword arguments of a KernelCase's public function; the same arrays every time, from its seed."""
    rng, dtype = np.random.default_rng(case.seed), numpy_dtype(case.dtype)

    def random(*shape):
        return rng.standard_normal(shape).astype(dtype)

    return operations.get(case.kernel).inputs(case, random)


def expected(case):
    """(result, budget) of a case, float64 in the shape of its result."""
    operation = operations.get(case.kernel)
    call = operation.check(**arguments(case))
    function, rounding = operation.reference()
    value, allowed = budget.expected_of(function, rounding, operation.widened(call), numpy_dtype(call.dtype))
    return operation.shaped(call, value), operation.shaped(call, allowed)


@cache
def _remembered(case):
    return expected(case)


def check(case, backend, *, poison=True):
    """Run a case on a backend and judge every element by its error budget; the Verdict.

    The result is handed over full of NaN. With `poison`, a first call on other numbers leaves wrong ones in whatever
    memory the backend reuses. Exceptions of the call propagate.
    """
    operation, call = operations.get(case.kernel), arguments(case)
    want, allowed = expected(case) if "bench" in case.tags else _remembered(case)
    if poison:
        lost = {name: x[::-1].copy() if _is_float(x) else x for name, x in call.items()}
        operation(**lost, backend=backend, out=blank(operation, call))
    out = operation(**call, backend=backend, out=blank(operation, call))
    found = budget.compare("out", out, want, allowed)
    numbers = {} if np.isinf(found.ratio) else metrics.measure_errors(out.astype(np.float64), want, allowed)
    return Verdict(not found.reasons, case.name, backend, found.error, found.budget, found.ratio, found.reasons,
                   numbers)


def blank(operation, call):
    """An array of NaN in the shape and dtype of a call's result."""
    checked = operation.check(**call)
    return np.full(checked.shape, np.nan, np.float32).astype(numpy_dtype(checked.dtype))


def _is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind not in "iub"


# Laws about bits, which hold for every kernel. Each gives the reason why it does not hold, or "".

def _repeats(operation, call, backend):
    """The same call gives the same bits."""
    return _differ(operation(**call, backend=backend), operation(**call, backend=backend))


def _leaves_inputs(operation, call, backend):
    """Inputs are not written."""
    before = {name: x.copy() for name, x in call.items() if isinstance(x, np.ndarray)}
    operation(**call, backend=backend)
    return "; ".join(f"{name} was written" for name, x in before.items() if _differ(call[name], x))


def _strides(operation, call, backend):
    """How the arrays lie in memory does not matter."""
    want = operation(**call, backend=backend)
    for how in ("strided", "negative", "offset"):
        moved = {name: ARRANGEMENTS[how](x) if _is_float(x) else x for name, x in call.items()}
        found = _differ(operation(**moved, backend=backend), want)
        if found:
            return f"{how}: {found}"
    return ""


def _threads(operation, call, backend):
    """The number of threads does not matter."""
    from aat.backends.cpu import set_num_threads

    want = operation(**call, backend=backend)
    set_num_threads(1)
    try:
        return _differ(operation(**call, backend=backend), want)
    finally:
        set_num_threads(None)


def _out(operation, call, backend):
    """A result that goes into the caller's strided array is the same, and nothing beside it is written."""
    want = operation(**call, backend=backend)
    room = np.full([2 * n for n in want.shape], 7).astype(want.dtype)
    every_second = tuple(slice(None, None, 2) for _ in want.shape)
    beside = np.ones(room.shape, bool)
    beside[every_second] = False
    operation(**call, backend=backend, out=room[every_second])
    written = not (room[beside] == 7).all()
    return _differ(room[every_second], want) or ("memory beside out was written" if written else "")


LAWS: dict[str, Callable] = {"repeats": _repeats, "inputs-stay": _leaves_inputs, "strides": _strides,
                             "threads": _threads, "strided-out": _out}


def _differ(a, b):
    """Where two arrays differ to the bit, in words."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype} {a.shape} against {b.dtype} {b.shape}"
    wrong = np.ascontiguousarray(a).view(np.uint8) != np.ascontiguousarray(b).view(np.uint8)
    return f"{wrong.sum()} bytes differ" if wrong.any() else ""


def law(name, case, backend):
    """Why a law of LAWS does not hold for a case on a backend; "" if it does."""
    return LAWS[name](operations.get(case.kernel), arguments(case), backend)


def law_case(kernel, law, software=False):
    """The case on which a law of LAWS is tried: the kernel's first small one.

    Laws about bits that threads could change take its first case tagged "threads", which is large enough for several
    programs: below `aat.operations.launch.ALONE` there is one, and no number of threads changes anything. A `software`
    GPU has no such threads, and would take long.
    """
    several = kernel_cases(kernel, "threads") if law in ("threads", "repeats") and not software else []
    return (several or kernel_cases(kernel, "small"))[0]


def measure(case, backend, *, peers=(), seconds=1.0, peaks=None, progress=None):
    """As `aat.validation.measure.measure`, for a KernelCase: [Record] of aat alone, no time without a passed check.

    No peer states these kernels: each gets a Record with that reason.
    """
    from aat.validation.measure import AGAIN, OURS, NotChecked, speed, untimed

    operation, call = operations.get(case.kernel), arguments(case)
    checked = operation.check(**call)
    started = environment.now()
    verdict = check(case, backend)
    if not verdict.ok:
        raise NotChecked(verdict)
    out = blank(operation, call)

    def run():
        return operation(**call, backend=backend, out=out)

    run()
    times = statistics.interleave({OURS: run, AGAIN: run}, seconds=seconds, progress=progress)
    peaks = measure_peaks(backend) if peaks is None else peaks
    work, moved = operation.multiply_adds(checked), operation.bytes(checked)
    plain = untimed(case.name, backend, OK, dtype=case.dtype, error=verdict.error, budget=verdict.budget)
    shared = {"multiply_adds_useful": work, "peak_gflops": peaks.peak_gflops, "sgemm_gflops": peaks.sgemm_gflops,
              "arithmetic_intensity": 2 * work / moved if moved else None, "bandwidth_gbs": peaks.bandwidth_gbs}
    ours = plain.but(started=started, multiply_adds=work, multiply_adds_dense=work, bytes=moved,
                     aa_control=list(times.ratio(OURS, AGAIN)), **shared, **speed(shared, times, OURS))
    refused = [Record(case.name, backend, provider=name, dtype=case.dtype, started=started,
                      reason=f"compares attention, not {case.kernel}") for name in peers]
    return [ours, *refused]


__all__ = ["LAWS", "BackendError", "arguments", "check", "expected", "law", "law_case", "measure"]
