"""A call of a kind that was made before takes the short way, and nobody can tell by anything but the time."""

import gc
import time
import weakref

import numpy as np
import pytest

import aat
from aat.attention import repeated
from aat.validation.cases import by_name, make

# kinds that go by addresses alone, and one of a head narrower than a lane variable, which is never kept
CASES = ("plain", "causal", "window-causal", "gqa", "bshd", "3d", "scale", "softcap", "f16", "bf16", "f64", "head-64",
         "causal-upper_left-wide", "f16-64", "head-7-5")
# kinds with further arrays, whose values differ from call to call
FURTHER = ("mask-bhqk", "mask-b1qk", "mask-k", "mask-q1", "bias-hqk", "bias-k", "mask-and-bias", "sinks", "lens",
           "causal-lens-block", "causal-lens-upper-block", "offset-block", "offset-batch-block", "window-lens",
           "window-offset", "everything", "f64-everything", "f16-bias", "bf16-bias", "minilm-lens")


def call_of(name, seed=None):
    call = make(by_name(name))
    if seed is not None:
        renew(call, np.random.default_rng(seed))
    return call


def renew(call, rng):
    """Other values in the call's arrays and offsets; shapes, strides and dtypes stay."""
    for key in ("q", "k", "v", "bias", "sinks"):
        if call.get(key) is not None:
            call[key] = rng.standard_normal(call[key].shape).astype(call[key].dtype)
    if call.get("mask") is not None:
        call["mask"] = rng.random(call["mask"].shape) < 0.6
    if call.get("kv_lens") is not None:
        keys = call["k"].shape[1 if call.get("layout") == "bshd" else 2]
        call["kv_lens"] = rng.integers(0, keys + 1, call["kv_lens"].shape).astype(call["kv_lens"].dtype)
    if call.get("q_offset") is not None:
        moved = np.asarray(call["q_offset"]) + 3
        call["q_offset"] = int(moved) if isinstance(call["q_offset"], int) else moved


def lengthy(call, **more):
    with repeated.off():
        return aat.attention(**call, backend="cpu", **more)


@pytest.mark.parametrize("name", CASES + FURTHER)
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


@pytest.mark.parametrize("name", ["plain", "everything"])
def test_the_calls_arrays_are_not_kept_alive(cpu, name):
    for seed in (1, 2):
        call = call_of(name, seed)
        watched = [weakref.ref(x) for x in call.values() if isinstance(x, np.ndarray)]
        watched.append(weakref.ref(aat.attention(**call, backend="cpu")))
        assert len(cpu.repeats) == 1
        del call
        gc.collect()
        assert [ref() for ref in watched] == [None] * len(watched)


WRONG = {
    "a length of -1": ("lens", dict(kv_lens=np.array([70, 0, -1, 33], np.int32))),
    "a length beyond the keys": ("lens", dict(kv_lens=np.array([70, 71, 1, 33], np.int32))),
    "three lengths for four": ("lens", dict(kv_lens=np.array([70, 1, 33], np.int32))),
    "lengths that are floats": ("lens", dict(kv_lens=np.array([70, 0, 1, 33], np.float32))),
    "lengths in a list": ("lens", dict(kv_lens=[70, 0, 1, 33])),
    "a position of 2**30": ("offset-block", dict(q_offset=2**30 - 29)),
    "a position of -2**30": ("offset-block", dict(q_offset=-2**30)),
    "a true offset": ("offset-block", dict(q_offset=True)),
    "an offset of 1.0": ("offset-block", dict(q_offset=1.0)),
    "one position of 2**30": ("offset-batch-block", dict(q_offset=np.array([0, 2**30, 51]))),
    "a mask of integers": ("mask-k", dict(mask=np.ones(35, np.uint8))),
    "a mask of 34 keys": ("mask-k", dict(mask=np.ones(34, bool))),
    "a bias of integers": ("bias-k", dict(bias=np.ones(35, np.int32))),
    "three sinks for four heads": ("sinks", dict(sinks=np.ones(3, np.float32))),
    "lengths with causal=True": ("causal-lens-block", dict(causal=True)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_with_the_words_of_the_long_way(cpu, what):
    name, wrong = WRONG[what]
    call = call_of(name)
    aat.attention(**call, backend="cpu")
    assert len(cpu.repeats) == 1
    errors = []
    for run in (lambda call: aat.attention(**call, backend="cpu"), lengthy):
        with pytest.raises((TypeError, ValueError)) as error:
            run(call | wrong)
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


def test_a_bound_that_is_legal_for_some_offsets_only_is_judged_at_each_call(cpu):
    call = call_of("plain") | dict(window=(None, 2**30))
    aat.attention(**call, q_offset=0, backend="cpu")
    with pytest.raises(ValueError, match="right below"):
        aat.attention(**call, q_offset=-2**30 + 1, backend="cpu")


def test_masks_of_other_strides_are_another_kind(cpu):
    call = call_of("plain")
    rows, keys = call["q"].shape[2], call["k"].shape[2]
    rng = np.random.default_rng(3)
    masks = [rng.random((rows, keys)) < 0.6, (rng.random((keys, rows)) < 0.6).T,
             (rng.random((rows, 2 * keys)) < 0.6)[:, ::2], np.broadcast_to(rng.random(keys) < 0.6, (rows, keys)),
             np.broadcast_to(rng.random((rows, 1)) < 0.6, (rows, keys))]
    for _ in range(2):
        for mask in masks:
            np.testing.assert_array_equal(aat.attention(**call, mask=mask, backend="cpu"), lengthy(call, mask=mask))
    assert len(cpu.repeats) == len(masks)


def test_masks_that_are_copied_are_not_kept(cpu):
    call = call_of("mask-bhqk")
    call["mask"] = call["mask"][..., ::-1]
    for _ in range(2):
        np.testing.assert_array_equal(aat.attention(**call, backend="cpu"), lengthy(call))
    assert not cpu.repeats


def test_a_mask_that_was_written_to_counts_as_it_is_now(cpu):
    call = call_of("mask-bhqk")
    before = aat.attention(**call, backend="cpu")
    call["mask"][...] = ~call["mask"]
    after = aat.attention(**call, backend="cpu")
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, lengthy(call))


def test_shorter_lengths_hide_what_longer_ones_showed(cpu):
    call = call_of("lens")
    aat.attention(**call, backend="cpu")
    call["kv_lens"] = np.array([3, 70, 0, 12], np.int32)
    for b, length in enumerate(call["kv_lens"]):
        call["k"][b, :, length:] = call["v"][b, :, length:] = np.nan
    out = aat.attention(**call, backend="cpu")
    assert np.isfinite(out).all() and not out[2].any()
    np.testing.assert_array_equal(out, lengthy(call))


@pytest.mark.parametrize("name", ["plain", "lens", "window-offset"])
@pytest.mark.parametrize("lse", [False, True])
def test_the_info_is_that_of_the_long_way(cpu, name, lse):
    aat.attention(**call_of(name), backend="cpu", return_info=True, return_lse=lse)
    assert len(cpu.repeats) == 1
    call = call_of(name, seed=6)
    launches = cpu.counters.launches
    got = aat.attention(**call, backend="cpu", return_info=True, return_lse=lse)
    assert cpu.counters.launches == launches + 1
    want = lengthy(call, return_info=True, return_lse=lse)
    assert len(got) == len(want) == 2 + lse
    assert 0 < got[-1].seconds < 10
    got[-1].seconds = want[-1].seconds
    assert got[-1] == want[-1]
    np.testing.assert_array_equal(got[0], want[0])


def test_an_output_on_top_of_a_mask_is_refused_again(cpu):
    call = call_of("plain")
    rows, keys = call["q"].shape[2], call["k"].shape[2]
    memory = np.ones(call["q"].nbytes + rows * keys, bool)
    mask = memory[call["q"].nbytes:].reshape(rows, keys)
    out = memory[:call["q"].nbytes].view(np.float32).reshape(call["q"].shape)
    aat.attention(**call, mask=mask, backend="cpu", out=out)
    assert len(cpu.repeats) == 1
    with pytest.raises(ValueError, match="out"):
        aat.attention(**call, mask=memory[:rows * keys].reshape(rows, keys), backend="cpu", out=out)


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


def test_a_kept_call_with_out_tells_its_own_seconds():
    """Of every call with `out` and an Info, the second and later ones included."""
    x = np.random.default_rng(0).standard_normal((1, 2, 64, 32), np.float32)
    out = np.empty_like(x)
    for _ in range(4):
        begun = time.perf_counter()
        _, info = aat.attention(x, x, x, backend="cpu", out=out, return_info=True)
        assert 0 < info.seconds <= time.perf_counter() - begun
