"""Speed of rope over its cases, each timed only after its check.

    pytest benchmarks/bench_rope.py
"""
import pytest
from timed_calls import present

from aat import operations
from aat.validation import kernels
from aat.validation.cases import kernel_cases

CASES = kernel_cases("rope", "bench")


@pytest.mark.parametrize("backend", ["cpu", "vulkan", "cuda"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rope(benchmark, case, backend):
    present(backend)
    verdict = kernels.check(case, backend)
    assert verdict.ok, str(verdict)
    operation, call = operations.get(case.kernel), kernels.arguments(case)
    out = kernels.blank(operation, call)
    work = operation.multiply_adds(operation.check(**call))
    benchmark.group = f"{case.name} on {backend}"
    benchmark.extra_info.update(error=verdict.error, budget=verdict.budget, multiply_adds=work)
    benchmark(lambda: operation(**call, backend=backend, out=out))
