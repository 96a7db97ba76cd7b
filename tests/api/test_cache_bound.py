"""int8 rows: the bound of an element, of a softmax and of attention, against float64 and nearly attained."""

import numpy as np
import pytest
from aat.kernels.reference.attention_forward import attention_forward
from cache_model import assert_int8_rows

import aat
from aat.attention import int8

SHAPE = dict(B=8, Hk=2, group=2, Lq=4, Lk=24, D=16, Dv=5)
LARGEST, TINY = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)


def rows(kind, rng, shape):
    """float32 rows of one kind, keys or values."""
    x = rng.standard_normal(shape, np.float32)
    if kind == "outliers":
        x *= np.exp(3 * rng.standard_normal((*shape[:-1], 1))).astype(np.float32)
        x[..., 0] *= 30
    elif kind == "halves":  # every element but one half a step from its code, to one side in half of the rows
        side = rng.choice([-0.4999, 0.4999], (*shape[:-1], 1))
        x = (rng.integers(-126, 126, shape) + 0.5 + side - np.sign(side) * 0.5).astype(np.float32)
        x[..., 0] = 127
    elif kind == "equal":
        x = np.broadcast_to(x[..., :1, :], shape).copy()
    elif kind == "signs":
        x = np.sign(x)
    return x


@pytest.mark.parametrize("size", [1.0, 1e-20, 1e-37, 1e-39, 1e-44, 1e30])
@pytest.mark.parametrize("kind", ["normal", "outliers", "halves", "signs"])
def test_a_row_is_within_half_a_step(kind, size):
    x = (rows(kind, np.random.default_rng(0), (2000, 7)) * np.float32(size)).astype(np.float32)
    codes, scales = int8.quantise(x)
    assert codes.dtype == np.int8
    assert np.abs(codes.astype(int)).max() <= 127
    assert (scales >= TINY).all()
    error = np.abs(int8.dequantise(codes, scales).astype(np.float64) - x)
    assert (error <= int8.HALF * scales[:, None].astype(np.float64)).all()
    assert_int8_rows(x, int8.dequantise(codes, scales))
    if kind == "halves" and size == 1.0:
        assert (error > 0.49 * scales[:, None]).any(), "nearly attained"


def test_half_a_step_alone_is_broken_by_the_roundings():
    rng = np.random.default_rng(3)
    scale = rng.uniform(1, 2, (4000, 1)).astype(np.float32)
    x = (scale * (rng.integers(-127, 127, (4000, 9)) + 0.5)).astype(np.float32)  # ties, but for rounding
    x[:, 0] = 127 * scale[:, 0]
    codes, scales = int8.quantise(x)
    steps = np.abs(int8.dequantise(codes, scales).astype(np.float64) - x) / scales[:, None].astype(np.float64)
    assert 0.5 < steps.max() <= int8.HALF


def test_rows_at_the_ends_of_float32():
    x = np.array([[LARGEST, -LARGEST], [0, 0], [TINY, -1e-45], [-LARGEST, 1]], np.float32)
    codes, scales = int8.quantise(x)
    back = int8.dequantise(codes, scales)
    assert np.isfinite(back).all()
    assert (np.abs(back.astype(np.float64) - x) <= int8.HALF * scales[:, None].astype(np.float64)).all()
    assert int8.quantise(np.array([[1, np.nan]], np.float32)) is None
    assert int8.quantise(np.array([[1, -np.inf]], np.float32)) is None


def test_float64_rows_are_within_half_a_step_too():
    x = np.random.default_rng(1).standard_normal((1, 1, 5000, 3))
    cache = aat.KVCache(1, 1, 5000, 3, "int8")
    cache.append(x, x)
    error = np.abs(cache.gather()[0].astype(np.float64) - x)
    assert (error <= int8.HALF * cache.paged().scales("k", 0)[None, ..., None].astype(np.float64)).all()


def softmax(s):
    p = np.exp(s - s.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def test_two_softmaxes_are_within_tanh_of_half_the_move():
    rng, broken, tight = np.random.default_rng(2), 0, 0.0
    for trial in range(4000):
        n, move = rng.integers(1, 12), np.exp(rng.uniform(-8, 3))
        s = rng.standard_normal(n) * np.exp(rng.uniform(-2, 3))
        signs = rng.choice([-1.0, 1.0], n)
        if trial % 4 == 0:  # the proof's worst case: the group that gains weighs 1 / (1 + e^move)
            s, signs = np.array([0.0, move]), np.array([1.0, -1.0])
        moves = move * (signs if trial % 2 else signs * rng.random(n)) if trial % 4 else move * signs
        distance = np.abs(softmax(s) - softmax(s + moves)).sum() / 2
        assert distance <= np.tanh(move / 2) * (1 + 1e-12) + 1e-15
        tight = max(tight, distance / np.tanh(move / 2))
        broken += distance > np.tanh(move / 4)
    assert tight > 1 - 1e-9
    assert broken > 500, "a bound of tanh(move / 4) must be caught"


def quantised_case(kind, rng):
    """(cache, q, k, v, options): attention whose scores move a lot and a little."""
    B, Hk, group, Lq, Lk, D, Dv = SHAPE.values()
    k, v = rows(kind, rng, (B, Hk, Lk, D)), rows("signs" if kind == "halves" else kind, rng, (B, Hk, Lk, Dv))
    q = rng.standard_normal((B, Hk * group, Lq, D), np.float32) * np.float32(np.exp(rng.uniform(-6, 2)))
    if kind == "halves":  # all roundings of a key to one side, and a query that adds them up and no more
        uneven = np.where(rng.random((Lk, 1)) < 0.5, 1.0, rng.choice([1.0, 1e-3])).astype(np.float32)
        k, q = k * uneven * np.float32(0.01), np.abs(q)
        q[..., 0] = 0
        v = np.broadcast_to(v[..., :1], v.shape).copy()
    cache = aat.KVCache(B, Hk, Lk, D, "int8", dv=Dv, page_size=7)
    cache.append(k, v)
    options = dict(scale=float(rng.choice([0.25, -0.7, 1.0])))
    for name, value in (("softcap", 3.0), ("sinks", rng.standard_normal(Hk * group)), ("right", 0),
                        ("mask", rng.random((B, 1, Lq, Lk)) < 0.5),
                        ("bias", rng.standard_normal((1, 1, Lq, Lk)))):
        if rng.random() < 0.25:
            options[name] = value
    return cache, q, k, v, options


def moves_and_bounds(kind, seed):
    """(moved (rows, Dv) by int8 in float64, bound (rows, 1)) of one case."""
    cache, q, k, v, options = quantised_case(kind, np.random.default_rng(seed))
    offset = np.full(SHAPE["B"], SHAPE["Lk"] - SHAPE["Lq"])
    exact, _ = attention_forward(q, k, v, q_offset=offset, **options)
    moved, _ = attention_forward(q, *cache.gather(), q_offset=offset, **options)
    bound = cache.error_bound(q, scale=options["scale"], sinks=options.get("sinks"))
    assert bound.shape == q.shape[:3]
    return np.abs(exact - moved), bound[..., None]


KINDS = ("normal", "outliers", "halves", "equal", "signs")


@pytest.mark.parametrize("kind", KINDS)
def test_attention_moves_within_the_bound(kind):
    ratio = 0.0
    for seed in range(60):
        moved, bound = moves_and_bounds(kind, seed)  # 128 rows each
        assert (moved <= bound).all()
        ratio = max(ratio, float((moved / bound).max()))
    if kind == "halves":
        assert ratio > 0.9, "the bound is nearly attained"


@pytest.mark.parametrize("planted", ["step", "spread", "moves"])
def test_an_unsound_bound_is_caught(planted, monkeypatch):
    whole = int8.output_bound
    unsound = {"step": lambda move, value, spread: whole(move / 2, value, spread),
               "spread": lambda move, value, spread: whole(move, value, spread / 2),
               "moves": lambda move, value, spread: whole(0 * move, value, spread)}
    monkeypatch.setattr(int8, "output_bound", unsound[planted])
    caught = 0
    for seed in range(60):
        moved, bound = moves_and_bounds("halves", seed)
        caught += (moved > bound).any()
    assert caught > 0


def test_the_bound_of_values_alone_is_attained():
    cache = aat.KVCache(1, 1, 4, 2, "int8", dv=2)
    v = np.tile(np.array([127, 0.4999], np.float32), (1, 1, 1, 1))
    cache.append(np.ones((1, 1, 1, 2)), v)
    q = np.zeros((1, 1, 1, 2), np.float32)
    error = np.abs(cache.attention(q, backend="reference").astype(np.float64) - v).max()
    assert 0.99 * cache.error_bound(q) < error <= cache.error_bound(q)


def test_shapes_and_the_other_dtypes():
    q = np.ones((4, 3, 2), np.float32)
    for dtype in ("f32", "f16", "bf16", "int8"):
        cache = aat.KVCache(1, 2, 8, 2, dtype)
        assert cache.error_bound(q).shape == (4, 3)
        assert not cache.error_bound(q).any(), "nothing is kept"
        cache.append(np.ones((2, 5, 2)), np.ones((2, 5, 2)))
        bound = cache.error_bound(q)
        assert bound.dtype == np.float64
        assert (bound > 0).all() == (dtype == "int8")
