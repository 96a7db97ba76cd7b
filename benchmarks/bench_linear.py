"""Speed of aat.linear over its cases, each timed only after its check: `pytest benchmarks/bench_linear.py`."""
import numpy as np
import pytest

from aat import operations
from aat.backends import select
from aat.validation import kernels
from aat.validation.cases import kernel_cases

CASES = kernel_cases("linear", "bench")


@pytest.mark.parametrize("backend", ["cpu", "vulkan", "cuda"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_linear(benchmark, case, backend):
    found = select.get(backend).probe()
    if not found.ok or found.device.kind == "software":
        pytest.skip("; ".join(found.reasons) or f"{found.device.name} proves correctness, never speed")
    verdict = kernels.check(case, backend)
    assert verdict.ok, str(verdict)
    operation, call = operations.get(case.kernel), kernels.arguments(case)
    out = kernels.blank(operation, call)
    work = operation.multiply_adds(operation.check(**call))
    benchmark.group = f"{case.name} on {backend}"
    benchmark.extra_info.update(error=verdict.error, budget=verdict.budget, multiply_adds=work)
    benchmark(lambda: operation(**call, backend=backend, out=out))


def test_numpy(benchmark):
    """The yardstick: the same product by NumPy's BLAS."""
    call = kernels.arguments(CASES[0])
    x, w = call["x"][0], call["w"].T
    out = np.empty((x.shape[0], w.shape[1]), np.float32)
    benchmark.group = f"{CASES[0].name} on cpu"
    benchmark(lambda: np.matmul(x, w, out=out))
