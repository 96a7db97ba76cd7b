"""What benchmarks share: whether a backend's speed means something, and a call that is checked before it is timed."""
import pytest

import aat
from aat.backends import select
from aat.validation import cases, pipeline


def present(name):
    """The device of a backend; skips unless it is here and its speed means something."""
    found = select.get(name).probe()
    if not found.ok:
        pytest.skip("; ".join(found.reasons))
    if found.device.kind == "software":
        pytest.skip(f"{found.device.name} proves correctness, never speed")
    return found.device


def checked(benchmark, case, backend):
    """Check a case, note its error, and return its arguments and the call to time: with lse, as it was checked."""
    verdict = pipeline.check(case, backend)
    assert verdict.ok, str(verdict)
    benchmark.extra_info.update(error=verdict.error, budget=verdict.budget, multiply_adds=case.multiply_adds)
    arguments = cases.make(case)
    out = pipeline.blank_output(arguments)
    return arguments, lambda: aat.attention(**arguments, backend=backend, return_lse=True, out=out)
