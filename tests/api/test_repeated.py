"""A call of a kind that was made before takes the short way, and nobody can tell by anything but the time."""

import gc
import weakref

import numpy as np
import pytest

import aat
from aat.attention import repeated
from aat.backends import select
from aat.validation.cases import by_name, make

# kinds that go by addresses alone, and one of a head narrower than a lane variable, which is never kept
CASES = ("plain", "causal", "window-causal", "gqa", "bshd", "3d", "scale", "softcap", "f16", "bf16", "f64", "head-64",
         "causal-upper_left-wide", "f16-64", "head-7-5")


@pytest.fixture
def cpu():
    if aat.supports(np.ones((1, 1, 1, 16), np.float32), *[np.ones((1, 1, 1, 16), np.float32)] * 2, backend="cpu"):
        pytest.skip("no cpu backend here")
    select.close()
    with select.use("cpu") as session:
        if not session.intrinsics:
            pytest.skip("calls are kept where kernels go by addresses, with the bitcode")
        yield session


def call_of(name, seed=None):
    call = make(by_name(name))
    if seed is not None:
        rng = np.random.default_rng(seed)
        for key in "qkv":
            call[key] = rng.standard_normal(call[key].shape).astype(call[key].dtype)
    return call


def lengthy(call, **more):
    with repeated.off():
        return aat.attention(**call, backend="cpu", **more)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("lse", [False, True])
def test_the_bits_are_those_of_the_long_way(cpu, name, lse):
    aat.attention(**call_of(name), backend="cpu", return_lse=lse)
    kept = len(cpu.repeats)
    assert kept == (0 if name == "head-7-5" else 1)
    call = call_of(name, seed=5)
    launches = cpu.counters.launches
    got = aat.attention(**call, backend="cpu", return_lse=lse)
    assert cpu.counters.launches == launches + 1
    want = lengthy(call, return_lse=lse)
    for a, b in zip(got if lse else (got,), want if lse else (want,), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.strides == b.strides
        assert a.tobytes() == b.tobytes()
    assert len(cpu.repeats) == kept


def test_a_given_output_is_written_and_returned(cpu):
    call = call_of("plain")
    out = np.full(call["q"].shape, np.nan, np.float32)
    for _ in range(2):
        out[...] = np.nan
        assert aat.attention(**call, backend="cpu", out=out) is out
        np.testing.assert_array_equal(out, lengthy(call))


def test_the_first_calls_arrays_are_not_kept_alive(cpu):
    call = call_of("plain")
    watched = [weakref.ref(call[name]) for name in "qkv"]
    watched.append(weakref.ref(aat.attention(**call, backend="cpu")))
    assert cpu.repeats
    del call
    gc.collect()
    assert [ref() for ref in watched] == [None] * 4


def test_memory_of_the_arena_does_not_grow(cpu):
    call = call_of("head-64")
    for _ in range(2):
        aat.attention(**call, backend="cpu")
    before = cpu.arena.peak_bytes
    for _ in range(5):
        aat.attention(**call, backend="cpu")
    assert cpu.arena.peak_bytes == before


def test_values_that_are_not_finite_get_the_long_way(cpu):
    call = call_of("causal")
    aat.attention(**call, backend="cpu")
    call["v"][..., -1, :] = np.nan  # the last key: only the last row sees it
    out = aat.attention(**call, backend="cpu")
    assert np.isnan(out[..., -1, :]).all() and np.isfinite(out[..., :-1, :]).all()


def test_an_output_that_overlaps_an_input_is_refused_again(cpu):
    call = call_of("plain")
    memory = np.zeros((2, *call["q"].shape), np.float32)
    call["q"] = memory[0]
    aat.attention(**call, backend="cpu", out=memory[1])
    with pytest.raises(ValueError, match="out"):
        aat.attention(**call, backend="cpu", out=memory[0])


@pytest.mark.parametrize("bad", [dict(causal=1), dict(causal=True, return_lse=1), dict(causal=True, tolerance=False)])
def test_what_only_equals_a_good_argument_is_still_refused(cpu, bad):
    call = call_of("plain")
    call["k"], call["v"] = call["q"].copy(), call["q"].copy()
    aat.attention(**call, causal=True, backend="cpu")
    with pytest.raises((TypeError, ValueError)):
        aat.attention(**call, backend="cpu", **bad)


def test_auto_follows_the_environment(cpu, monkeypatch):
    monkeypatch.setenv("AAT_BACKEND", "cpu")
    call = call_of("plain")
    aat.attention(**call)
    monkeypatch.setenv("AAT_BACKEND", "reference")
    *_, info = aat.attention(**call, return_info=True)
    assert info.backend == "reference"
    launches = cpu.counters.launches
    aat.attention(**call)
    assert cpu.counters.launches == launches


def test_the_number_of_kinds_is_bounded(cpu, monkeypatch):
    monkeypatch.setattr(repeated, "MOST", 2)
    for rows in (3, 4, 5):
        q = np.ones((1, 1, rows, 16), np.float32)
        aat.attention(q, q, q, backend="cpu")
    assert len(cpu.repeats) == 2


def test_the_callers_floating_point_rules_are_left_alone(cpu):
    call = call_of("plain")
    for _ in range(3):
        aat.attention(**call, backend="cpu")
    tiny = np.float32(1e-38)
    assert tiny * np.float32(0.1) != 0, "numbers below the normal range count again"
