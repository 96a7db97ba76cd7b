"""attention_decode: its part of the case table, pages in every type, parts of the keys, configs, counts."""
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from aat.kernels.reference.attention_decode import attention_decode

import aat
from aat.attention import decode
from aat.tiling.base import TileConfig
from aat.validation import budget, pipeline
from aat.validation.cases import by_name, make, tagged

CASES = [case for case in (*tagged("small"), *tagged("full"))
         if 0 < case.Lq <= decode.QUERIES and case.Lk and case.B and case.multiply_adds
         and not {"score", "score_mod", "mask_mod"} & dict(case.options).keys()]


@pytest.fixture(autouse=True)
def cpu():
    x = np.ones((1, 1, 1, 16), np.float32)
    if aat.supports(x, x, x, backend="cpu"):
        pytest.skip("no cpu backend here")


def attend(call, **more):
    return aat.attention(**call, backend="cpu", return_lse=True, **more)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_few_queries_take_this_kernel_and_pass(case):
    *_, info = attend(make(case), return_info=True)
    assert info.kernel == "attention_decode"
    verdict = pipeline.check(case, "cpu")
    assert verdict.ok, str(verdict)


def test_more_queries_take_the_other():
    call = make(by_name("plain"))
    assert attend(call, return_info=True)[2].kernel == "attention_forward"


CONFIGS = [TileConfig(16, 1, 16, 16, 64, 16, columns=True), TileConfig(16, 4, 4, 16, 32, 64, columns=True),
           TileConfig(16, 16, 1, 16, 16, 32, columns=True), TileConfig(8, 2, 4, 16, 128, 16, columns=True),
           TileConfig(4, 4, 1, 4, 1024, 8, columns=True)]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("name", ["decode", "1x239", "3x799-causal", "causal-offset-batch", "f64-long-decode"])
def test_a_config_changes_nothing_beyond_the_budget(config, name):
    if name == "f64-long-decode":
        case = replace(by_name("3x799"), dtype="f64", name=name)
        if config.lane_width == 4:
            pytest.skip("two f64 lanes are not worth a kernel")
        config = replace(config, lane_vectors=1, keys_per_block=config.lane_width)
    else:
        case = by_name(name)
    call, want = make(case), pipeline.expectation(case)
    out, lse, info = attend(call, tiling=config, return_info=True)
    assert info.config == config and info.kernel == "attention_decode"
    verdict = pipeline.judge(call, out, lse, want, case=name, backend="cpu")
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("config", [
    TileConfig(16, 3, 4, 16, 64, 16, columns=True), TileConfig(16, 4, 4, 16, 64, 8, columns=True),
    TileConfig(5, 1, 5, 5, 5, 5, columns=True)], ids=str)
def test_a_config_that_cannot_be_is_refused_by_name(config):
    with pytest.raises(aat.BackendError, match=r"lane_vectors x keys_per_block|columns_per_block|lane_width"):
        attend(make(by_name("decode")), tiling=config)


def test_a_row_does_not_depend_on_its_neighbours_nor_on_the_number_of_queries():
    rng = np.random.default_rng(0)
    q = rng.standard_normal((2, 8, 5, 64), np.float32)
    k, v = (rng.standard_normal((2, 2, 900, 64), np.float32) for _ in range(2))
    _, _, info = attend(dict(q=q, k=k, v=v), return_info=True)
    out, lse = attend(dict(q=q, k=k, v=v), tiling=info.config)
    for b in range(2):
        for i in (0, 3):
            one, one_lse = attend(dict(q=q[b:b + 1, :, i:i + 1], k=k[b:b + 1], v=v[b:b + 1]), tiling=info.config)
            assert one.tobytes() == out[b:b + 1, :, i:i + 1].tobytes()
            assert one_lse.tobytes() == lse[b:b + 1, :, i:i + 1].tobytes()
    again, _ = attend(dict(q=q, k=k, v=v), tiling=info.config)
    assert again.tobytes() == out.tobytes()


def test_keys_past_the_lengths_are_not_read():
    call = make(by_name("poison-past-lens"))
    call["q"] = call["q"][:, :, :3]
    out, lse = attend(call)
    clean = dict(call, k=np.nan_to_num(call["k"], posinf=0, neginf=0), v=np.nan_to_num(call["v"], posinf=0, neginf=0))
    want = attend(clean)
    np.testing.assert_array_equal(out, want[0])
    np.testing.assert_array_equal(lse, want[1])


# --- pages ---

TYPES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "int8": np.int8}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("page_size", [1, 16, 48])
@pytest.mark.parametrize("queries", [1, 4])
def test_pages_are_read_in_place(dtype, page_size, queries):
    rng = np.random.default_rng(page_size)
    lens = (150, 31)
    cache = aat.KVCache(2, 3, 200, 24, dtype, dv=40, page_size=page_size)
    k, v = rng.standard_normal((2, 3, 150, 24), np.float32), rng.standard_normal((2, 3, 150, 40), np.float32)
    cache.append(k, v, lens=np.array(lens))
    q = rng.standard_normal((2, 6, queries, 24), np.float32)
    out, lse, info = cache.attention(q, backend="cpu", return_lse=True, return_info=True)
    assert info.kernel == "attention_decode"
    pages = cache.paged()
    stored = [x.view(ml_dtypes.bfloat16) if dtype == "bf16" else x for x in (pages.k, pages.v)]
    options = dict(scale=24**-0.5, right=0, q_offset=np.array(lens, np.int32) - queries)
    scales = dict(k_scales=pages.k_scales, v_scales=pages.v_scales)
    want, want_lse = attention_decode(q, *stored, pages.table, lens, **scales, **options)
    # the budget of the same attention over gathered rows: what was rounded on the way in is in both
    rows = cache.gather()
    call = dict(q=q, k=rows[0], v=rows[1], causal="lower_right", kv_lens=np.array(lens))
    expected = pipeline.expected(call)
    np.testing.assert_allclose(expected.out, want, atol=1e-5)
    for name, got, exact, allowed in (("out", out, want, expected.out_budget),
                                      ("lse", lse, want_lse, expected.lse_budget)):
        judged = budget.compare(name, got, exact, allowed)
        assert not judged.reasons, judged.reasons


def test_the_counts_are_those_of_the_keys_that_are_seen():
    rng = np.random.default_rng(0)
    q = rng.standard_normal((1, 4, 1, 64), np.float32)
    k = rng.standard_normal((1, 2, 1000, 64), np.float32)
    config = TileConfig(16, 2, 8, 16, 128, 64, columns=True)
    *_, info = attend(dict(q=q, k=k, v=k), tiling=config, return_info=True)
    assert info.tiles["visited"] == info.tiles["total"] == 2 * -(-1000 // 16)
    assert info.multiply_adds == info.tiles["visited"] * 16 * 2 * 128
    *_, info = attend(dict(q=q, k=k, v=k, window=(99, 0), q_offset=999), tiling=config, return_info=True)
    assert info.tiles["visited"] == 2 * len(range(900 // 16, -(-1000 // 16)))
