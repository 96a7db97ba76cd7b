"""The one table of cases: deterministic, readable by name, and covering the contract."""
import numpy as np
import pytest

from aat.validation.cases import CASES, Case, by_name, make, tagged
from aat.validation.inputs import ARRANGEMENTS, FILLS
from aat.validation.reading import canonical

CONTRACT = {"mask", "bias", "causal", "window", "scale", "softcap", "sinks", "kv_lens", "q_offset", "layout", "score",
            "score_mod", "mask_mod"}


@pytest.mark.parametrize("case", [*tagged("small"), *tagged("full")], ids=lambda case: case.name)
def test_make_is_deterministic_and_well_formed(case):
    first, second = make(case), make(case)
    assert first.keys() == second.keys() and first.keys() <= CONTRACT | {"q", "k", "v"}
    for name, x in first.items():
        if isinstance(x, np.ndarray):
            assert x.tobytes() == second[name].tobytes() and x.dtype == second[name].dtype
    problem = canonical(**first)
    assert problem["q"].shape == (case.B, case.Hq, case.Lq, case.D)
    assert problem["k"].shape == (case.B, case.Hk, case.Lk, case.D)
    assert problem["v"].shape == (case.B, case.Hk, case.Lk, case.Dv)


def test_every_argument_of_the_contract_appears_in_small_cases():
    assert set().union(*(make(case) for case in tagged("small"))) >= CONTRACT


def test_every_recipe_is_used():
    # g7-tight is for adaptive tiling alone: see aat.validation.cases._adaptive
    assert {case.fill for case in CASES.values()} == set(FILLS) - {"g7-tight"}
    used = {dict(case.options).get("strides", "contiguous") for case in CASES.values()}
    assert used == set(ARRANGEMENTS)


def test_sizes_that_the_project_promises():
    heads = {case.D for case in CASES.values()}
    assert heads >= {1, 7, 16, 33, 59, 64, 72, 111, 128, 256}
    lengths = {(case.Lq, case.Lk) for case in CASES.values()}
    assert lengths >= {(1, 239), (3, 799), (113, 203), (127, 512), (1023, 1024), (1, 1), (0, 5), (5, 0)}
    assert {case.dtype for case in CASES.values()} == {"f16", "bf16", "f32", "f64"}
    assert any(case.B == 0 for case in CASES.values())
    assert any(case.Hk == 1 < case.Hq for case in CASES.values())


def test_bench_cases_are_in_the_same_table():
    assert {case.name for case in tagged("bench")} >= {"dense-2048", "dense-4096", "causal-4096", "gqa-2048",
                                                       "minilm-ragged"}
    assert by_name("dense-2048").multiply_adds == 8 * 2048 * 2048 * 128


def test_small_cases_stay_small():
    """A software Vulkan device does 0.1 GFLOP/s and compiles anew for every pair of head sizes."""
    small = tagged("small")
    assert {(case.D, case.Dv) for case in small} == {(16, 16), (16, 8), (7, 5), (8, 8)}
    assert max(case.multiply_adds for case in small) < 1e6


@pytest.mark.parametrize("name", ["strides-fortran", "strides-strided", "strides-transposed", "strides-negative",
                                  "strides-offset"])
def test_arrangements_hold_the_values_of_a_contiguous_array(name):
    case = by_name(name)
    options = tuple(item for item in case.options if item[0] != "strides")
    plain = make(Case(**{**{f: getattr(case, f) for f in case.__dataclass_fields__}, "options": options}))
    call = make(case)
    for key in ("q", "k", "v", "mask", "bias"):
        np.testing.assert_array_equal(call[key], plain[key])
    assert call["q"].__array_interface__["strides"] is not None or name == "strides-offset"
    if name == "strides-negative":
        assert min(call["q"].strides) < 0
    if name == "strides-offset":
        assert call["q"].ctypes.data % 64


def test_poison_is_where_the_name_says():
    assert np.isnan(make(by_name("poison-masked"))["k"]).any()
    call = make(by_name("poison-past-lens"))
    assert all(np.isnan(call["k"][b, :, n:]).all() for b, n in enumerate(call["kv_lens"]))
    assert not any(np.isnan(call["k"][b, :, :n]).any() for b, n in enumerate(call["kv_lens"]))
    large = make(by_name("large-logits-64"))
    scores = np.einsum("bhid,bhjd->bhij", large["q"], large["k"]) / 8
    assert 8e3 < np.abs(scores).max() < 3e4


def test_an_unknown_name_gets_near_ones():
    with pytest.raises(ValueError, match=r"expected a name.*got 'causal-nonsense'.*causal-lens"):
        by_name("causal-nonsense")
