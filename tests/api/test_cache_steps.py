"""Steps of a decoder from a KVCache take the short way, and nobody can tell by anything but the time."""

import gc
import weakref

import numpy as np
import pytest

import aat
from aat.attention import repeated, steps
from aat.backends import select

rng = np.random.default_rng(0)


@pytest.fixture
def taken(monkeypatch):
    """A list with whether each call that found a Step was answered by it."""
    answers, run = [], steps.Step.run

    def told(self, *arguments):
        answer = run(self, *arguments)
        answers.append(answer is not steps.UNKNOWN)
        return answer

    monkeypatch.setattr(steps.Step, "run", told)
    return answers


def numbers(*shape):
    return rng.standard_normal(shape, np.float32)


def make(dtype="f32", batch=2, keys=20, **more):
    cache = aat.KVCache(batch, 2, 600, 16, dtype, dv=24, page_size=16, **more)
    add(cache, keys)
    return cache


def add(cache, keys, lens=None):
    cache.append(numbers(cache.batch, 2, keys, 16), numbers(cache.batch, 2, keys, 24), lens=lens)


def same(cache, q, **options):
    """The call's answer, which is bit by bit that of the long way."""
    got = cache.attention(q, backend="cpu", **options)
    with repeated.off():
        want = cache.attention(q, backend="cpu", **options)
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (got, want)), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.strides == b.strides
        assert a.tobytes() == b.tobytes()
    return got


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "int8"])
def test_contents_lengths_and_truncation_between_steps(cpu, taken, dtype):
    cache, count = make(dtype), 0

    def step(queries=1):
        nonlocal count
        count += 1
        same(cache, numbers(2, 4, queries, 16), return_lse=True)

    for keys in (1, 1, 7, 1):
        step()
        add(cache, keys)
    step()
    add(cache, 5, lens=np.array([5, 2]))
    step()
    cache.truncate(np.array([3, 26]))
    step()
    cache.fork(1, 0)                 # both share pages, then 0 writes into its own
    step()
    add(cache, 1)
    step()
    cache.reset(0)
    step()
    assert taken == [True] * (count - 1)
    assert len(cpu.repeats) == 1


def test_more_parts_are_another_launch(cpu, taken):
    cache = make(keys=250)
    for _ in range(10):
        same(cache, numbers(2, 4, 1, 16))
        add(cache, 1)
    assert taken.count(False) == 1 and taken.count(True) == 8     # at 257 keys, parts of 256
    assert len(cpu.repeats) == 1


def test_windows_and_alignments(cpu, taken):
    cache = make(window=40, keys=30)
    for _ in range(60):
        same(cache, numbers(2, 4, 1, 16))
        same(cache, numbers(2, 4, 1, 16), window=(5, None))
        add(cache, 1)
    whole = make(keys=33)
    for _ in range(2):
        for options in (dict(causal=None), dict(causal="upper_left"), dict(q_offset=np.array([4, 30])),
                        dict(q_offset=7), dict(scale=0.5), dict(softcap=3.0), dict(scale=0.5, softcap=3.0), {}):
            same(whole, numbers(2, 4, 3, 16), **options)
    assert taken.count(True) > 100


def test_the_kinds_that_are_not_kept(cpu, taken):
    cache, q = make(), numbers(2, 4, 1, 16)
    for _ in range(2):
        same(cache, q, mask=np.arange(20) % 3 > 0)
        same(cache, q, bias=numbers(20))
        same(cache, q, sinks=numbers(4))
        assert cache.attention(q, backend="cpu", return_info=True)[1].kernel == "attention_decode"
    assert not taken and not cpu.repeats
    with repeated.off():
        cache.attention(q, backend="cpu")
    assert not cpu.repeats


def test_outputs(cpu, taken):
    cache, q = make(), numbers(2, 4, 1, 16)
    out = np.empty((2, 4, 1, 24), np.float32)
    for _ in range(2):
        out[...] = np.nan
        assert cache.attention(q, out=out, backend="cpu") is out
        np.testing.assert_array_equal(out, same(cache, q))
    assert taken == [True, True]
    results = [cache.attention(q, backend="cpu") for _ in range(2)]
    assert not np.may_share_memory(*results)
    half = q.astype(np.float16)
    for _ in range(2):
        assert same(cache, half).dtype == np.float16
    alone = make(batch=1)
    for _ in range(2):
        same(alone, numbers(4, 1, 16), return_lse=True)


def test_values_that_are_not_finite(cpu, taken):
    cache, q = make(), numbers(2, 4, 1, 16)
    same(cache, q)
    k, v = numbers(2, 2, 1, 16), numbers(2, 2, 1, 24)
    v[0] = np.nan
    cache.append(k, v)
    got = same(cache, q)
    assert np.isnan(got[0]).all() and np.isfinite(got[1]).all()
    assert taken == [False]


def test_what_is_wrong_is_refused_in_the_same_words(cpu):
    cache, q = make(window=10), numbers(2, 4, 1, 16)
    cache.attention(q, backend="cpu")
    for wrong in (dict(window=(11, None)), dict(q_offset=np.array([1, 2, 3])), dict(q_offset=2**30),
                  dict(causal="no"), dict(scale="no"), dict(out=np.empty((2, 4, 1, 23), np.float32))):
        words = []
        for _ in range(2):
            with pytest.raises((TypeError, ValueError)) as error:
                cache.attention(q, backend="cpu", **wrong)
            words.append(str(error.value))
        with repeated.off(), pytest.raises((TypeError, ValueError)) as error:
            cache.attention(q, backend="cpu", **wrong)
        assert {*words} == {str(error.value)}, wrong


def test_no_cache_and_no_session_is_kept_alive(cpu):
    cache, other = make(), make()
    q = numbers(2, 4, 1, 16)
    for one in (cache, other, cache, other):
        same(one, q)
    assert len(cpu.repeats) == 2
    gone = weakref.ref(cache)
    memory = weakref.ref(cache.paged().k.base)
    del cache, one
    gc.collect()
    assert gone() is None and memory() is None and len(cpu.repeats) == 1
    select.close()
    same(other, q)                   # in the next session
    same(other, q)
