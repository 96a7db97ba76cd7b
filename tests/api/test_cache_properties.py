"""KVCache under random calls, against whole histories in plain lists."""

import ml_dtypes
import numpy as np
import pytest
from cache_model import Model, state
from hypothesis import given, settings
from hypothesis import strategies as st

import aat
from aat.validation import budget
from aat.validation.reading import canonical

DTYPES = ("f32", "f16", "bf16", "int8")
QUERIES = (np.float32, np.float16, ml_dtypes.bfloat16)


@st.composite
def caches(draw, sizes=((4, 4), (5, 3), (1, 9))):
    """The arguments of a small cache."""
    batch, capacity = draw(st.integers(1, 3)), draw(st.integers(1, 30))
    window = draw(st.one_of(st.none(), st.integers(1, capacity)))
    d, dv = draw(st.sampled_from(sizes))
    pages = draw(st.one_of(st.none(), st.integers(1, 12)))
    return dict(batch=batch, heads=draw(st.integers(1, 2)), capacity=capacity, d=d, dv=dv,
                dtype=draw(st.sampled_from(DTYPES)), page_size=draw(st.sampled_from((1, 2, 3, 8, 64))),
                window=window, pages=pages)


def poisoned(**arguments):
    """A cache whose unwritten memory is NaN, or scales of NaN."""
    cache = aat.KVCache(**arguments)
    for memory in cache._memory:
        memory.view(np.uint8).fill(0xFF)
    return cache


def step(data, cache, model, rng):
    """One random call on both; a call that must fail fails and changes nothing."""
    batch = cache.batch
    name = data.draw(st.sampled_from(("append", "append", "append", "append", "truncate", "reset", "fork")))
    if name == "append":
        n = data.draw(st.integers(0, 9))
        ragged = data.draw(st.booleans())
        each = st.integers(0, n) if ragged else st.just(n)
        counts = data.draw(st.lists(each, min_size=batch, max_size=batch))
        size = data.draw(st.sampled_from((1.0, 1e-3, 1e4, 1e-39)))
        k, v = (size * rng.standard_normal((batch, cache.heads, n, d), np.float32)
                for d in (cache.d, cache.dv))
        plans, before = model.after(counts), state(cache)
        for b, count in enumerate(counts):  # what is not taken may hold anything
            k[b, :, count:] = np.nan
        if plans is None:
            with pytest.raises(ValueError, match=r"k: expected (at most|keys for which)"):
                cache.append(k, v, np.array(counts) if ragged else None)
            assert state(cache) == before
        else:
            cache.append(k, v, np.array(counts) if ragged else None)
            model.append(k, v, counts, plans)
    elif name == "truncate":
        lens = [data.draw(st.integers(0, int(n) + (data.draw(st.integers(0, 9)) == 0))) for n in cache.lens]
        before = state(cache)
        if model.may_truncate(lens):
            cache.truncate(np.array(lens))
            model.truncate(lens)
        else:
            with pytest.raises(ValueError, match="lens: expected"):
                cache.truncate(np.array(lens))
            assert state(cache) == before
    elif name == "reset":
        b = data.draw(st.one_of(st.none(), st.integers(0, batch - 1)))
        cache.reset(b)
        model.truncate([0 if b in (None, i) else n for i, n in enumerate(model.lens.tolist())])
    else:
        source, into = (data.draw(st.integers(0, batch - 1)) for _ in range(2))
        cache.fork(source, into)
        if source != into:
            model.fork(source, into)


@settings(derandomize=True, max_examples=400, deadline=None, database=None)
@given(st.data(), caches(), st.integers(0, 2**16))
def test_calls_against_lists(data, arguments, seed):
    cache, rng = poisoned(**arguments), np.random.default_rng(seed)
    model = Model(cache)
    for _ in range(data.draw(st.integers(1, 14))):
        step(data, cache, model, rng)
        model.check()


def check_attention(cache, model, q, options, backend):
    """attention over the cache against the reference over whole histories; None where it must be refused."""
    lens, window, rows = model.lens, cache.window, q.shape[2]
    offset = options.get("q_offset", lens - rows)
    left = options.get("window", (None if window is None else window - 1, None))[0]
    starts = np.array([sequence.start for sequence in model.sequences])
    call = dict(options, backend=backend, return_lse=True)
    if window is not None and (starts > np.maximum(0, offset - left)).any():
        with pytest.raises(ValueError, match="q: expected rows that see no key before"):
            cache.attention(q, **call)
        return None
    blank = np.full((*q.shape[:3], cache.dv), np.nan, np.float32).astype(q.dtype)
    out, lse = cache.attention(q, out=blank, **call)
    assert out is blank
    assert lse.dtype == np.float32
    stated = dict(causal="lower_right") | options
    stated |= dict(kv_lens=lens, q_offset=offset, window=(left, options.get("window", (0, None))[1]))
    want = budget.expected(canonical(q, *model.whole("stored_"), **stated), q.dtype)
    for found in (budget.compare("out", out, want.out, want.out_budget),
                  budget.compare("lse", lse, want.lse, want.lse_budget)):
        assert not found.reasons, found.reasons
    if cache.dtype == "int8":
        problem = canonical(q, *model.whole(), **stated)
        exact = budget.attention_forward(**problem)[0]
        bound = cache.error_bound(q, scale=options.get("scale"), sinks=options.get("sinks"))
        assert (np.abs(out.astype(np.float64) - exact) <= bound[..., None] + want.out_budget).all()
    return out


def options_for(data, cache, model, rng, rows, heads):
    """Random options of a call."""
    lens = model.lens
    options = {}
    sinks = rng.standard_normal(heads).astype(np.float32)
    for name, value in (("scale", 0.3), ("softcap", 2.0), ("sinks", sinks), ("causal", None)):
        if data.draw(st.booleans()):
            options[name] = value
    longest = int(lens.max())
    shape = data.draw(st.sampled_from(((cache.batch, heads, rows, longest), (1, 1, rows, longest), (longest,),
                                       (1,))))
    if data.draw(st.booleans()):
        options["mask"] = rng.random(shape) < 0.7
    if data.draw(st.booleans()):
        options["bias"] = rng.standard_normal(shape).astype(np.float32)
    if data.draw(st.booleans()):
        most = 40 if cache.window is None else cache.window - 1
        options["window"] = (data.draw(st.integers(0, most)), data.draw(st.integers(0, 3)))
    if data.draw(st.integers(0, 3)) == 0:
        options["q_offset"] = lens - np.array(data.draw(st.lists(st.integers(-2, 6), min_size=len(lens),
                                                                 max_size=len(lens))))
    return options


@settings(derandomize=True, max_examples=300, deadline=None, database=None)
@given(st.data(), caches(), st.integers(0, 2**16))
def test_attention_against_whole_histories(data, arguments, seed):
    cache, rng = poisoned(**arguments), np.random.default_rng(seed)
    model = Model(cache)
    for _ in range(data.draw(st.integers(1, 8))):
        step(data, cache, model, rng)
        rows, heads = data.draw(st.integers(0, 4)), cache.heads * data.draw(st.integers(1, 3))
        dtype = data.draw(st.sampled_from(QUERIES))
        q = rng.standard_normal((cache.batch, heads, rows, cache.d)).astype(dtype)
        check_attention(cache, model, q, options_for(data, cache, model, rng, rows, heads), "reference")


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_attention_on_the_cpu(backend):
    @settings(derandomize=True, max_examples=60, deadline=None, database=None)
    @given(st.data(), caches(sizes=((16, 16),)), st.integers(0, 2**16))
    def every(data, arguments, seed):
        cache, rng = poisoned(**arguments), np.random.default_rng(seed)
        model = Model(cache)
        for _ in range(data.draw(st.integers(1, 5))):
            step(data, cache, model, rng)
            shape = cache.batch, 2 * cache.heads, data.draw(st.integers(1, 3)), 16
            check_attention(cache, model, rng.standard_normal(shape, np.float32), {}, backend)

    every()
