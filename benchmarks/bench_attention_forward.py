"""Speed of aat.attention over the case table: `pytest benchmarks` (a backend that is absent is skipped).

A case is timed only after `aat.validation.pipeline.check` has passed on it.
"""
import pytest

import aat
from aat.backends import select
from aat.validation import cases, pipeline

CASES = cases.tagged("bench")


@pytest.mark.parametrize("backend", ["cpu", "vulkan", "cuda"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_attention_forward(benchmark, case, backend):
    found = select.get(backend).probe()
    if not found.ok:
        pytest.skip("; ".join(found.reasons))
    if found.device.kind == "software":
        pytest.skip(f"{found.device.name} proves correctness, never speed")
    verdict = pipeline.check(case, backend)
    assert verdict.ok, str(verdict)
    arguments = cases.make(case)
    benchmark.extra_info.update(error=verdict.error, budget=verdict.budget, device=found.device.name)
    benchmark(aat.attention, **arguments, backend=backend)
