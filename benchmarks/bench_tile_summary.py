"""Time of a summary beside the dense attention that it is for: `pytest benchmarks/bench_tile_summary.py`.

8 heads, 4096 queries, 8192 keys, D 64. A summary is timed only after its bounds were found to be as NumPy's.
"""
import numpy as np
import pytest

import aat
from aat.backends import select
from aat.tiling.summary import KeySummary


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((1, 8, n, 64)).astype(np.float32) for n in (4096, 8192, 8192)]


@pytest.mark.benchmark(group="tile_summary")
@pytest.mark.parametrize("block", [32, 64, 128])
def test_summary(benchmark, arrays, block):
    _, k, v = arrays
    with select.use("cpu") as session:
        if not session.intrinsics:
            pytest.skip("NumPy computes summaries on this processor")

        def run():
            return KeySummary(k, v, block, session=session)

        kernel, numpy = run().moments, KeySummary(k, v, block).moments
        assert (kernel.eigenvalue <= 1.3 * numpy.eigenvalue).all() and np.allclose(kernel.radius, numpy.radius)
        benchmark.extra_info.update(keys=8192, heads=8)
        benchmark(run)


@pytest.mark.benchmark(group="tile_summary")
def test_dense(benchmark, arrays):
    benchmark(lambda: aat.attention(*arrays, backend="cpu"))
