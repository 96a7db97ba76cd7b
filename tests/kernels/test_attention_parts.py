"""attention_forward in parts of the keys, merged by attention_merge: the case table, the laws, bits, and when it is
chosen."""
from dataclasses import replace

import numpy as np
import pytest

import aat
from aat.attention import dot, repeated
from aat.attention.arguments import check
from aat.backends import select
from aat.functional import attention
from aat.tiling.base import TileConfig, count_groups
from aat.validation import pipeline
from aat.validation.cases import by_name, make
from aat.validation.properties import LAWS

CASES = ("plain", "one", "gqa", "3d", "bshd", "mask-bhqk", "mask-k", "mask-and-bias", "causal",
         "causal-lower_right-tall", "causal-lens-block", "offset-batch-block", "window",
         "window-past-the-keys", "softcap", "sinks", "sinks-causal-lens", "lens", "everything", "values-8",
         "head-7-5", "f16", "bf16-bias", "f64", "f64-everything", "large-logits", "shifted-by-keys",
         "equal-keys", "constant-values", "wide-values", "poison-masked", "poison-past-lens",
         "poison-visible-value", "score-plus-inf", "score-minus-inf", "bias-minus-inf", "dead-rows",
         "dead-rows-sinks")


def parted(call, backend, tiles=1):
    """The usual config for a call, in parts of so many small tiles of keys."""
    call = check(**call)
    with select.use(backend) as session:
        config = dot.choose(call.problem, session, tune=False)
    size = 24 if backend == "cpu" else config.keys_per_block  # a multiple of every default block of keys
    config = replace(config, keys_per_tile=size, keys_per_group=size)
    return replace(config, keys_per_part=tiles * size)


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
@pytest.mark.parametrize("name", CASES)
def test_case(name, backend):
    case = by_name(name)
    if case.dtype == "f64" and backend != "cpu":
        pytest.skip("f64 is not computed there")
    verdict = pipeline.check(case, backend, tiling=parted(make(case), backend))
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law(law, backend):
    call = make(by_name("mask-and-bias"))
    tiling = parted(call, backend)

    def run(**call):
        return attention(**call, backend=backend, tiling=tiling, return_lse=True)

    result = law.check(run, call)
    assert result.ok, f"{law.statement} {result.detail}"


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
def test_bits_repeat(backend):
    call = make(by_name("everything"))
    tiling = parted(call, backend)
    with repeated.off():
        results = [attention(**call, backend=backend, tiling=tiling, return_lse=True) for _ in range(3)]
    for out, lse in results[1:]:
        assert out.tobytes() == results[0][0].tobytes() and lse.tobytes() == results[0][1].tobytes()


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
@pytest.mark.parametrize("name", ["sinks", "plain"])
def test_keys_that_a_row_does_not_see_do_not_change_its_bits(backend, name):
    """Neither do the parts that they fill."""
    call = make(by_name(name))
    tiling = parted(call, backend)
    short = [x[:, :, :20] for x in (call["k"], call["v"])]
    batch = call["q"].shape[0]
    few = attention(**call | dict(k=short[0], v=short[1]), backend=backend, tiling=tiling, return_lse=True)
    many = attention(**call, kv_lens=np.full(batch, 20), backend=backend, tiling=tiling, return_lse=True)
    for a, b in zip(few, many, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
@pytest.mark.parametrize("causal", [None, "lower_right"])
def test_the_counts_are_those_of_the_whole(backend, causal):
    rng = np.random.default_rng(0)
    q, k = (rng.standard_normal((2, 2, n, 16), dtype=np.float32) for n in (100, 170))
    lens = np.array([170, 90])
    call = dict(q=q, k=k, v=k, causal=causal, kv_lens=lens)
    config = parted(call, backend, tiles=2)
    _, info = aat.attention(**call, backend=backend, tiling=config, return_info=True)
    assert info.config == config
    offsets = lens - 100 if causal else np.zeros(2, int)
    want = count_groups(config, "f32", offsets, lens, 2, 100, 170, None, 0 if causal else None)
    assert info.tiles == {name: want[name] for name in ("visited", "full", "total")}


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
@pytest.mark.parametrize("name", ["plain", "sinks", "everything", "f16-bias", "head-64", "values-8"])
def test_a_call_that_is_kept_gives_the_same_bits(backend, name):
    call = make(by_name(name))
    select.close()
    with select.use("cpu") as session:
        if not session.intrinsics:
            pytest.skip("calls are kept where kernels go by addresses, with the bitcode")
        more = dict(backend=backend, tiling=parted(call, backend), return_lse=True, return_info=True)
        rng = np.random.default_rng(1)
        attention(**call, **more)
        kept = [len(session.repeats)]
        for factor in (1.0, 1e-3):
            call |= {key: (factor * rng.standard_normal(call[key].shape)).astype(call[key].dtype) for key in "qkv"}
            got = attention(**call, **more)
            kept.append(len(session.repeats))
            with repeated.off():
                want = attention(**call, **more)
            for a, b in zip(got[:2], want[:2], strict=True):
                assert a.tobytes() == b.tobytes()
            assert got[2].tiles == want[2].tiles
        assert kept == [0 if name == "values-8" else 1] * 3
        call["v"][..., 0, 0] = np.nan
        got = attention(**call, **more)
        with repeated.off():
            want = attention(**call, **more)
        np.testing.assert_array_equal(got[0], want[0])
        assert np.isnan(got[0]).any()


CPU = TileConfig.default(16, 64, 64)
GPU = TileConfig.default(1, 64, 64, 49152)


@pytest.mark.parametrize(("config", "tasks", "keys", "parts"), [
    (CPU, 1, 16384, 8), (CPU, 1, 4096, 2), (CPU, 1, 4095, 1), (CPU, 4, 16384, 4), (CPU, 15, 1 << 20, 2),
    (CPU, 16, 1 << 20, 1), (CPU, 1, 1 << 20, 16), (GPU, 32, 16384, 8), (GPU, 1, 1 << 20, 256), (GPU, 300, 1 << 20, 1),
    (replace(CPU, columns=True), 1, 16384, 1),
])
def test_keys_are_cut_for_a_shape(config, tasks, keys, parts):
    """With 2 ** 24 multiply-adds at least in a part on the CPU, which are 2048 keys for 64 rows and D 64."""
    cut = config.in_parts(tasks, 64, keys, 128)
    assert (cut == config) == (parts == 1)
    if parts > 1:
        assert cut.keys_per_part % config.keys_per_tile == 0 and -(-keys // cut.keys_per_part) == parts
        assert not cut.problems(backend="cpu" if config is CPU else "vulkan", d=64, dv=64, shared_bytes=49152,
                                max_threads=128)


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_a_window_counts_by_the_keys_that_it_shows(backend):
    q, k = (np.zeros((1, 1, n, 64), np.float32) for n in (64, 16384))
    configs = [aat.attention(q, k, k, q_offset=9000, window=window, backend=backend, return_info=True)[1].config
               for window in ((None, 0), (100, 0), (None, None))]
    assert [bool(config.keys_per_part) for config in configs] == [True, False, True]
    given = aat.attention(q, k, k, backend=backend, tiling=configs[1], return_info=True)[1].config
    assert given == configs[1], "a config that is given is taken as it is"


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_the_plan_tells_the_parts(backend):
    q, k = (np.zeros((1, 1, n, 64), np.float32) for n in (64, 16384))
    plan = aat.explain(q, k, k, backend=backend).plan
    assert "keys each" in plan["programs"] and "keys_per_part=" in plan["tiles"]
    assert "keys each" not in aat.explain(q, q, q, backend=backend).plan["programs"]


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_columns_that_only_fill_a_vector_call_for_no_second_launch(backend):
    q, k, v = (np.ones((1, 1, n, d), np.float32) for n, d in ((20, 16), (60, 16), (60, 24)))
    tiling = parted(dict(q=q, k=k, v=v), backend)
    with select.use(backend) as session:
        session.poison = True
        try:
            launches = session.counters.launches
            out = aat.attention(q, k, v, backend=backend, tiling=tiling)
            assert session.counters.launches == launches + 1
        finally:
            session.poison = False
    np.testing.assert_array_equal(out, np.ones_like(out))
