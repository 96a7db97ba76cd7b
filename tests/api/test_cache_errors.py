"""Every wrong call of a KVCache: the text of its error, and not a byte of the cache has changed."""

import numpy as np
import pytest
from cache_model import state

import aat

K, V = np.ones((2, 2, 3, 4), np.float32), np.ones((2, 2, 3, 5), np.float32)
Q = np.ones((2, 4, 1, 4), np.float32)


def bad(x, value, where):
    x = x.copy()
    x[where] = value
    return x


def cache(dtype="f32", **options):
    """Two sequences of 3 and 7 keys, capacity 8."""
    made = aat.KVCache(2, 2, 8, 4, dtype, dv=5, page_size=4, **options)
    made.append(np.ones((2, 2, 7, 4)), np.ones((2, 2, 7, 5)), np.array([3, 7]))
    return made


MADE = {
    "dtype": (dict(dtype="f64"), ValueError, 'dtype: expected "f32", "f16", "bf16", "int8", got \'f64\''),
    "dtype object": (dict(dtype=np.float32), ValueError, "dtype: expected .* got a type"),
    "batch": (dict(batch=0), ValueError, "batch: expected at least 1, got 0"),
    "heads": (dict(heads=2.0), TypeError, "heads: expected a whole number, got 2.0"),
    "d": (dict(d=True), TypeError, "d: expected a whole number, got True"),
    "dv": (dict(dv=-1), ValueError, "dv: expected at least 1, got -1"),
    "capacity": (dict(capacity=2**30), ValueError, "capacity: expected at least 1 and below 1073741824"),
    "page_size": (dict(page_size=0), ValueError, "page_size: expected at least 1"),
    "pages": (dict(pages="all"), TypeError, "pages: expected a whole number, got 'all'"),
    "window": (dict(window=9), ValueError, "capacity: expected at least window = 9, got 8; a query sees"),
    "window pair": (dict(window=(3, 0)), TypeError, r"window: expected a whole number, got \(3, 0\)"),
}


@pytest.mark.parametrize("name", MADE)
def test_wrong_caches(name):
    options, error, text = MADE[name]
    with pytest.raises(error, match=text):
        aat.KVCache(**dict(batch=2, heads=2, capacity=8, d=4) | options)


CALLS = {
    "full": (lambda c: c.append(K, V), ValueError,
             r"k: expected at most 1 new keys for sequence 1, which has 7 \(capacity 8\), got 3; truncate"),
    "full, ragged": (lambda c: c.append(K, V, np.array([3, 2])), ValueError,
                     "for sequence 1, which has 7 .* got 2;"),
    "k axes": (lambda c: c.append(K[0], V[0]), ValueError,
               r"k: expected shape \(2, 2, n, 4\), got shape \(2, 3, 4\)"),
    "k heads": (lambda c: c.append(K[:, :1], V), ValueError, r"k: expected shape \(2, 2, n, 4\), got"),
    "k batch": (lambda c: c.append(K[:1], V[:1]), ValueError, "k: expected shape"),
    "v head size": (lambda c: c.append(K, K), ValueError,
                    r"v: expected shape \(2, 2, n, 5\), got shape \(2, 2, 3, 4\)"),
    "v keys": (lambda c: c.append(K, V[:, :, :2]), ValueError,
               r"v: expected 3 keys as in k \(2, 2, 3, 4\), got shape"),
    "k dtype": (lambda c: c.append(K.astype(int), V), TypeError, "k: expected dtype float16, .* got int64"),
    "v list": (lambda c: c.append(K, V.tolist()), TypeError, "v: expected a NumPy array.* got a list"),
    "lens list": (lambda c: c.append(K, V, [1, 1]), TypeError, "lens: expected a NumPy array.* got a list"),
    "lens floats": (lambda c: c.append(K, V, np.ones(2)), TypeError,
                    "lens: expected an integer dtype, got f64"),
    "lens shape": (lambda c: c.append(K, V, np.ones((2, 1), int)), ValueError,
                   r"lens: expected shape \(B,\) = \(2,\)"),
    "lens scalar": (lambda c: c.append(K, V, 1), TypeError, "lens: expected a NumPy array"),
    "lens above n": (lambda c: c.append(K, V, np.array([4, 0])), ValueError,
                     "lens: expected lengths from 0 to n = 3, got 4 for sequence 0"),
    "lens below 0": (lambda c: c.append(K, V, np.array([0, -1])), ValueError, "got -1 for sequence 1"),
    "truncate beyond": (lambda c: c.truncate(np.array([3, 8])), ValueError,
                        "lens: expected lengths from 0 to what each sequence has, here 7, got 8 for sequence"),
    "truncate all beyond": (lambda c: c.truncate(4), ValueError, "here 3, got 4 for sequence 0"),
    "truncate below 0": (lambda c: c.truncate(-2**70), ValueError, "got -1 for sequence 0"),
    "truncate floats": (lambda c: c.truncate(1.0), TypeError, "lens: expected a NumPy array"),
    "reset beyond": (lambda c: c.reset(2), ValueError, "sequence: expected an index from 0 to 1, got 2"),
    "reset -1": (lambda c: c.reset(-1), ValueError, "sequence: expected an index from 0 to 1, got -1"),
    "reset True": (lambda c: c.reset(True), TypeError, "sequence: expected an index of the batch, got True"),
    "fork": (lambda c: c.fork(0, 2), ValueError, "into: expected an index from 0 to 1, got 2"),
    "fork from": (lambda c: c.fork("a", 0), TypeError, "source: expected an index of the batch, got 'a'"),
    "q dtype": (lambda c: c.attention(Q.astype(float)), TypeError,
                "q: expected dtype float16, bfloat16 or float32, got"),
    "q heads": (lambda c: c.attention(Q[:, :3]), ValueError,
                r"q: expected shape \(2, Hq, Lq, 4\), Hq a multiple of 2"),
    "q batch": (lambda c: c.attention(Q[:1]), ValueError, "q: expected shape"),
    "q axes": (lambda c: c.attention(Q[0]), ValueError, "q: expected shape"),
    "causal": (lambda c: c.attention(Q, causal="right"), ValueError, "causal: expected None, True,"),
    "mask": (lambda c: c.attention(Q, mask=np.ones(6, bool)), ValueError, r"mask: expected .*\(2, 4, 1, 7\)"),
    "scale": (lambda c: c.error_bound(Q, scale=np.inf), ValueError,
              "scale: expected a number that is finite"),
    "bound of": (lambda c: c.error_bound(Q[..., :3]), ValueError, "q: expected shape"),
    "backend": (lambda c: c.attention(Q, backend="tpu"), ValueError, "backend: expected one of"),
    "out": (lambda c: c.attention(Q, out=np.empty((2, 4, 1, 4), np.float32), backend="reference"), ValueError,
            r"out: expected shape \(2, 4, 1, 5\)"),
    "offset": (lambda c: c.attention(Q, q_offset=2**30), ValueError, "q_offset: expected positions below"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["f32", "int8"])
def test_wrong_calls_change_nothing(name, dtype):
    call, error, text = CALLS[name]
    made = cache(dtype)
    before = state(made)
    with pytest.raises(error, match=text):
        call(made)
    assert state(made) == before
    made.append(K[:, :, :1], V[:, :, :1])
    assert made.lens.tolist() == [4, 8]
    np.testing.assert_array_equal(made.attention(Q, backend="reference"), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("name", ["k", "v"])
def test_int8_refuses_what_has_no_code(name, value):
    made = cache("int8")
    before = state(made)
    k, v = K[:, :, :1].astype(float), V[:, :, :1].astype(float)
    k, v = (bad(k, value, (1, 0, 0, 2)), v) if name == "k" else (k, bad(v, value, (1, 0, 0, 2)))
    with pytest.raises(ValueError, match=rf"{name}: expected finite float32 numbers.* at \(1, 0, 0, 2\); keep"):
        made.append(k, v)
    assert state(made) == before
    made.append(k, v, np.array([1, 0]))  # the row is not taken
    assert made.lens.tolist() == [4, 7]


def test_other_dtypes_keep_nan_to_the_rows_that_see_it():
    for dtype in ("f32", "f16", "bf16"):
        made = cache(dtype)
        made.append(bad(K, np.nan, (0, 0, 0, 1))[:, :, :1], V[:, :, :1])
        out = made.attention(Q, backend="reference")
        assert np.isnan(out[0, :2]).all()
        assert np.isfinite(out[0, 2:]).all()
        assert np.isfinite(out[1]).all()


def windowed():
    """One sequence of 12 keys in two appends; its pages are 4 keys, and it sees 3 back."""
    made = aat.KVCache(1, 2, 9, 4, page_size=4, window=4)
    for n in (6, 6):
        made.append(np.ones((1, 2, n, 4)), np.ones((1, 2, n, 4)))
    assert made.starts.tolist() == [0]
    made.append(np.ones((1, 2, 1, 4)), np.ones((1, 2, 1, 4)))
    assert (made.lens.tolist(), made.starts.tolist()) == ([13], [8])
    return made


WINDOWS = {
    "append": (lambda c: c.append(np.ones((1, 2, 7, 4)), np.ones((1, 2, 7, 4))), ValueError,
               r"k: expected at most 6 new keys for sequence 0, which has 13 \(capacity 9, window 4\), got"),
    "truncate": (lambda c: c.truncate(10), ValueError,
                 "lens: expected 0, or a length whose window of 4 keys is kept: the first key of sequence 0 is "
                 "at 8, got 10; reset"),
    "rows": (lambda c: c.attention(np.ones((1, 2, 3, 4), np.float32)), ValueError,
             "q: expected rows that see no key before position 8, the first that sequence 0 still has, got row "
             "0 at position 10, which sees 3 keys back; with a window"),
    "upper_left": (lambda c: c.attention(np.ones((1, 2, 1, 4), np.float32), causal="upper_left"), ValueError,
                   "got row 0 at position 0"),
    "window": (lambda c: c.attention(np.ones((1, 2, 1, 4), np.float32), window=(4, None)), ValueError,
               r"window: expected left of at most 3, as the cache has window = 4, got \(4, None\)"),
    "no window": (lambda c: c.attention(np.ones((1, 2, 1, 4), np.float32), window=(None, 1)), ValueError,
                  "window: expected left of at most 3"),
    "mask": (lambda c: c.attention(np.ones((1, 2, 1, 4), np.float32), mask=np.ones(5, bool)), ValueError,
             r"mask: expected a shape that broadcasts to \(1, Hq, Lq, 13\), got shape \(5,\); the last axis"),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_wrong_calls_with_a_window(name):
    call, error, text = WINDOWS[name]
    made = windowed()
    before = state(made)
    with pytest.raises(error, match=text):
        call(made)
    assert state(made) == before
    made.truncate(11)
    made.truncate(0)
    assert made.starts.tolist() == [0]


def test_positions_end_at_the_limit_of_kernels(monkeypatch):
    from aat.attention import cache as module
    from aat.attention import cache_checks
    monkeypatch.setattr(module, "LIMIT", 20)
    monkeypatch.setattr(cache_checks, "LIMIT", 20)
    made = windowed()
    made.append(np.ones((1, 2, 6, 4)), np.ones((1, 2, 6, 4)))
    before = state(made)
    with pytest.raises(ValueError, match="k: expected at most 0 new keys for sequence 0, which has 19"):
        made.append(np.ones((1, 2, 1, 4)), np.ones((1, 2, 1, 4)))
    assert state(made) == before


def test_arrays_on_a_device_are_refused():
    made = cache()
    before = state(made)
    on_device = aat.to_device(np.ones((2, 2, 1, 4), np.float32), "cpu")
    with pytest.raises(TypeError, match="k: expected an array in host memory, got a DeviceArray"):
        made.append(on_device, on_device)
    with pytest.raises(TypeError, match="q: expected an array in host memory, where the cache is, got a Dev"):
        made.attention(on_device)
    assert state(made) == before
