"""A config never changes the result beyond its error budget: configs that tuning may pick, on the case table."""
import random

import pytest

from aat.backends import select
from aat.tiling import store
from aat.tiling.bucket import Bucket
from aat.tiling.optimization.space import space
from aat.validation import pipeline, tuning
from aat.validation.acceptance import cover
from aat.validation.cases import tagged

LAUNCHED = [case for case in tagged("small") if 0 not in (case.B, case.Lq, case.Lk)]
COVER = cover(LAUNCHED)
FUNCTIONS = {"score", "score_mod", "mask_mod"}          # each a kernel to compile: one or two stand for them
TABLE = [case for case in (*LAUNCHED, *tagged("full"))
         if "everything" in case.name or not FUNCTIONS & dict(case.options).keys()]
VULKAN = ("plain", "causal-lens", "everything")  # each kernel takes a software device seconds to compile


def candidates(case, backend):
    """The extremes along every axis, and the rest in a random order that is the same every time."""
    with select.use(backend) as session:
        grid = space(backend, session.lane_width, case.D, case.Dv, session.limits)
    configs = grid.configs()
    random.Random(case.seed).shuffle(configs)
    ends = [end(configs, key=lambda config, axis=axis: getattr(config, axis)) for axis in grid.axes
            for end in (min, max)]
    return list(dict.fromkeys([*ends, *configs]))


def passes(case, backend, configs):
    for config in configs:
        verdict = pipeline.check(case, backend, tiling=config)
        assert verdict.ok, f"{config}\n{verdict}"


@pytest.mark.parametrize("case", COVER, ids=lambda case: case.name)
def test_a_config_never_changes_the_result_beyond_its_budget(case):
    found = candidates(case, "cpu")
    turn = COVER.index(case)  # between them the cases see all extremes
    passes(case, "cpu", [found[turn % 10], found[(turn + 5) % 10], found[10]])


@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
@pytest.mark.parametrize("name", VULKAN)
def test_it_does_not_on_a_gpu_either(backend, name):
    case = next(case for case in LAUNCHED if case.name == name)
    passes(case, backend, candidates(case, backend)[2 * VULKAN.index(name):][:2])


@pytest.mark.slow
@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_no_case_of_the_table_is_changed_by_a_config(case):
    # by the case's own number, so that it meets the same config when the table grows
    passes(case, "cpu", [candidates(case, "cpu")[case.seed % 20]])


@pytest.mark.parametrize("entry", store.shipped()[0], ids=lambda entry: "-".join(map(str, entry.bucket.values())))
def test_what_is_shipped_passes_its_check(entry):
    at = Bucket(**entry.bucket)
    heads = max(at.group, min(at.heads, 2 * at.group))
    case = tuning.shape_case(1, heads, heads // at.group, at.lq, at.lk, at.d, at.dv, dtype=at.dtype,
                             causal=at.reach == "causal", window=(at.lk // 4, None) if at.reach == "window" else None)
    passes(tuning.checked_part(case, most=2**28), "cpu", [entry.config])
