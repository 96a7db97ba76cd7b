"""Speed of aat.linear over its cases, each timed only after its check: `pytest benchmarks/bench_linear.py`."""
import numpy as np
import pytest
from timed_calls import present

import aat
from aat import operations
from aat.validation import kernels, statistics
from aat.validation.cases import kernel_cases
from aat.validation.measure import settle

CASES = kernel_cases("linear", "bench")


@pytest.mark.parametrize("backend", ["cpu", "vulkan", "cuda"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_linear(benchmark, case, backend):
    present(backend)
    verdict = kernels.check(case, backend)
    assert verdict.ok, str(verdict)
    operation, call = operations.get(case.kernel), kernels.arguments(case)
    out = kernels.blank(operation, call)
    work = operation.multiply_adds(operation.check(**call))
    benchmark.group = f"{case.name} on {backend}"
    benchmark.extra_info.update(error=verdict.error, budget=verdict.budget, multiply_adds=work)
    benchmark(lambda: operation(**call, backend=backend, out=out))


def test_beside_numpy(benchmark):
    """The yardstick: the same product by NumPy's BLAS, interleaved. OpenBLAS's threads spin for 100 ms after a call and
    would take a processor from ours, so each timed call waits until they sleep (`settle`)."""
    call = kernels.arguments(CASES[0])
    x, w = call["x"][0], call["w"]
    ours, theirs = np.empty((2, x.shape[0], w.shape[0]), np.float32)
    runs = {"aat": lambda: aat.linear(x, w, backend="cpu", out=ours), "numpy": lambda: np.matmul(x, w.T, out=theirs)}
    for run in runs.values():
        run()
    times = statistics.interleave(runs, seconds=10, fewest=10, most=25, pause=settle)
    benchmark.group = f"{CASES[0].name} on cpu"
    benchmark.extra_info.update(numpy_over_aat=list(times.ratio("numpy", "aat")),
                                milliseconds={name: [1e3 * s for s in times.percentiles(name)] for name in runs})
    benchmark.pedantic(runs["numpy"], setup=settle, rounds=10)
