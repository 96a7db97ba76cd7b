"""Time of a plan beside the dense attention that it is for: `pytest benchmarks/bench_tile_plan.py`.

Synthetic keys of 64 neighbours (`g4-rotary-topics`), 8 heads, 4096 queries, 8192 keys, D 64. `extra_info` holds the
share of the tiles that the plan leaves out; a plan is timed only after its lists were found as short as NumPy's.
"""
import pytest

import aat
from aat.backends import select
from aat.tiling.plan import make_plan
from aat.tiling.summary import KeySummary
from aat.validation.generators import make_call


@pytest.fixture(scope="module")
def call():
    return make_call("g4-rotary-topics", 0, queries=4096, keys=8192, Hq=8, D=64)


@pytest.fixture(scope="module")
def summary(call):
    return KeySummary(call["k"], call["v"], 64)


@pytest.mark.benchmark(group="tile_plan")
@pytest.mark.parametrize("mixed", [False, True], ids=["skip", "mixed"])
@pytest.mark.parametrize("rows", [16, 32, 48, 64])
def test_plan(benchmark, call, summary, rows, mixed):
    with select.use("cpu") as session:
        def run():
            return make_plan(summary, call["q"], 0.125, 1e-2, rows, mixed=mixed, session=session)

        plan, numpy = run(), make_plan(summary, call["q"], 0.125, 1e-2, rows, mixed=mixed)
        assert plan.counts.sum() <= 1.02 * numpy.counts.sum()
        benchmark.extra_info.update(skipped=plan.skipped, queries=4096, keys=8192)
        benchmark(run)


@pytest.mark.benchmark(group="tile_plan")
def test_dense(benchmark, call):
    benchmark(lambda: aat.attention(call["q"], call["k"], call["v"], backend="cpu"))
