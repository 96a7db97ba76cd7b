"""scaled_dot_product_attention: the same as torch's on every shape torch takes, and an error where torch has
one.
"""

import importlib.util

import numpy as np
import pytest

import aat

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def sdpa(*args, **kwargs):
    return aat.scaled_dot_product_attention(*args, backend="reference", **kwargs)


def draw(*shapes, dtype=np.float32):
    rng = np.random.default_rng(sum(map(len, shapes)))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


# shapes of q, k and v (E 8, Ev 8 or 4), what is passed besides, shape of the mask
GOOD = {
    "2-D": ([(5, 8), (6, 8), (6, 4)], {}, (5, 6)),
    "3-D": ([(3, 5, 8), (3, 6, 8), (3, 6, 4)], {}, (3, 1, 6)),
    "4-D": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 4)], {}, (2, 1, 5, 6)),
    "4-D, short mask": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 4)], {}, (5, 1)),
    "5-D": ([(2, 2, 3, 5, 8), (2, 2, 3, 6, 8), (2, 2, 3, 6, 4)], {}, (2, 1, 3, 5, 6)),
    "6-D": ([(2, 1, 2, 3, 5, 8), (2, 1, 2, 3, 6, 8), (2, 1, 2, 3, 6, 4)], {}, (5, 6)),
    "no rows": ([(2, 3, 0, 8), (2, 3, 6, 8), (2, 3, 6, 4)], {}, (1, 6)),
    "no keys": ([(2, 3, 5, 8), (2, 3, 0, 8), (2, 3, 0, 8)], {}, (5, 1)),
    "no batch": ([(0, 3, 5, 8), (0, 3, 6, 8), (0, 3, 6, 8)], {}, (5, 6)),
    "batch of k broadcast": ([(2, 3, 5, 8), (1, 3, 6, 8), (1, 3, 6, 4)], {}, (2, 3, 5, 6)),
    "batch of q broadcast": ([(1, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 4)], {}, (2, 3, 5, 6)),
    "heads of k broadcast": ([(2, 3, 5, 8), (2, 1, 6, 8), (2, 1, 6, 4)], {}, (1, 1, 5, 6)),
    "heads of v broadcast": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 1, 6, 4)], {}, (1, 1, 5, 6)),
    "fewer axes of q": ([(3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 4)], {}, (5, 6)),
    "gqa": ([(2, 4, 5, 8), (2, 2, 6, 8), (2, 2, 6, 4)], {"enable_gqa": True}, (2, 4, 5, 6)),
    "gqa 3-D": ([(4, 5, 8), (2, 6, 8), (2, 6, 4)], {"enable_gqa": True}, (4, 1, 6)),
    "gqa 5-D": ([(3, 2, 4, 5, 8), (3, 2, 2, 6, 8), (3, 2, 2, 6, 4)], {"enable_gqa": True}, (3, 1, 4, 5, 6)),
    "gqa, other heads of v": ([(2, 4, 5, 8), (2, 2, 6, 8), (2, 1, 6, 4)], {"enable_gqa": True}, (5, 6)),
    "gqa of equal heads": ([(2, 4, 5, 8), (2, 4, 6, 8), (2, 4, 6, 4)], {"enable_gqa": True}, (5, 6)),
}


@needs_torch
@pytest.mark.parametrize("masking", ["none", "causal", "bool", "float", "scale"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", GOOD)
def test_against_torch(name, dtype, masking):
    import torch
    from torch.nn import functional

    shapes, given, mask_shape = GOOD[name]
    q, k, v = (torch.from_numpy(x).to(getattr(torch, dtype)) for x in draw(*shapes, dtype=np.float64))
    rng = np.random.default_rng(0)
    extra = {
        "none": {}, "causal": {"is_causal": True}, "scale": {"scale": -0.3},
        "bool": {"attn_mask": torch.from_numpy(rng.random(mask_shape) > 0.5)},  # some rows see nothing
        "float": {"attn_mask": torch.from_numpy(rng.standard_normal(mask_shape).astype(np.float32))},
    }[masking]
    out = sdpa(q, k, v, **given, **extra)
    expected = functional.scaled_dot_product_attention(q, k, v, **given, **extra)
    assert out.dtype == expected.dtype
    assert out.shape == expected.shape
    tolerance = {"float64": 1e-6 if masking == "float" else 1e-12, "float32": 2e-6, "float16": 4e-3,
                 "bfloat16": 3e-2}[dtype]
    assert torch.allclose(out, expected, rtol=tolerance, atol=tolerance)


BAD = {
    "1-D": ([(8,), (6, 8), (6, 4)], {}),
    "heads without enable_gqa": ([(2, 4, 5, 8), (2, 2, 6, 8), (2, 2, 6, 8)], {}),
    "gqa that does not divide": ([(2, 4, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8)], {"enable_gqa": True}),
    "gqa 2-D": ([(5, 8), (6, 8), (6, 4)], {"enable_gqa": True}),
    "batch": ([(2, 3, 5, 8), (3, 3, 6, 8), (3, 3, 6, 8)], {}),
    "E": ([(2, 3, 5, 8), (2, 3, 6, 7), (2, 3, 6, 8)], {}),
    "S": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 7, 4)], {}),  # with Ev == E torch 2.13 does not look
    # torch documents an error, and 2.13 forgets it where Ev == E
    "mask and causal": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 4)],
                        {"attn_mask": np.ones((5, 6), bool), "is_causal": True}),
    "mask 1-D": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8)], {"attn_mask": np.ones(6, bool)}),
    "mask 5-D": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8)], {"attn_mask": np.ones((1, 2, 3, 5, 6), bool)}),
    "mask shape": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8)], {"attn_mask": np.ones((6, 5), bool)}),
    "mask float64": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8)], {"attn_mask": np.ones((5, 6))}),
    "mask int": ([(2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8)], {"attn_mask": np.ones((5, 6), np.int32)}),
}
TEXT = {
    "1-D": r"q: expected two axes or more, got shape \(8,\)",
    "heads without enable_gqa": r"enable_gqa: expected True for k and v with fewer heads than q, got "
                                r"False for q, k and v "
                                r"with 4, 2 and 2 heads; pass enable_gqa=True",
    "gqa that does not divide": r"k, v: expected numbers of heads that divide q's 4, got 3 and 3",
    "gqa 2-D": r"enable_gqa: expected q, k and v with an axis of heads, got shapes \(5, 8\)",
    "batch": r"q, k, v: expected leading axes that broadcast, got shapes \(2, 3, 5, 8\) and \(3, 3, 6, 8\)",
    "E": r"k: expected batch 2 and head size 8",
    "S": r"v: expected batch 2, 3 heads and 6 keys",
    "mask and causal": r"attn_mask: expected None with is_causal=True, got both",
    "mask 1-D": r"attn_mask: expected two axes or more that broadcast to \(2, 3, 5, 6\), got shape \(6,\)",
    "mask 5-D": r"attn_mask: expected two axes or more that broadcast to \(2, 3, 5, 6\), got shape "
                r"\(1, 2, 3, 5, 6\)",
    "mask shape": r"attn_mask: expected two axes or more that broadcast to \(2, 3, 5, 6\), got shape "
                  r"\(6, 5\)",
    "mask float64": r"attn_mask: expected dtype bool, float32 or q's f32, got f64",
    "mask int": r"attn_mask: expected dtype bool, float32 or q's f32, got int32",
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    shapes, given = BAD[name]
    with pytest.raises((ValueError, TypeError), match=TEXT[name]):
        sdpa(*draw(*shapes), **given)


@needs_torch
@pytest.mark.parametrize("name", BAD)
def test_torch_refuses_the_same(name):
    import torch
    from torch.nn import functional

    shapes, given = BAD[name]
    given = {key: torch.from_numpy(x) if isinstance(x, np.ndarray) else x for key, x in given.items()}
    with pytest.raises((RuntimeError, IndexError)):
        functional.scaled_dot_product_attention(*map(torch.from_numpy, draw(*shapes)), **given)


@pytest.mark.parametrize(("given", "text"), [
    ({"dropout_p": 0.1}, r"dropout_p: expected 0.0, got 0.1; there is no dropout here"),
    ({"dropout_p": float("nan")}, r"dropout_p: expected 0.0, got nan"),
    ({"is_causal": 1}, r"is_causal: expected True or False, got a int"),
    ({"enable_gqa": None}, r"enable_gqa: expected True or False, got a NoneType"),
    ({"attn_mask": [[True]]}, r"attn_mask: expected a NumPy array.* got a list"),
    ({"scale": float("inf")}, r"scale: expected a number that is finite"),
])
def test_errors_of_options(given, text):
    with pytest.raises((ValueError, TypeError), match=text):
        sdpa(*draw((5, 8), (6, 8), (6, 4)), **given)


@pytest.mark.parametrize("name", GOOD)
def test_every_index_by_itself(name):
    """Without torch: each (query row, leading index) against softmax over that row's keys."""
    shapes, _, mask_shape = GOOD[name]
    q, k, v = draw(*shapes, dtype=np.float64)
    mask = np.random.default_rng(0).random(mask_shape) > 0.4
    gqa = GOOD[name][1]
    out = sdpa(q, k, v, attn_mask=mask, **gqa)
    if gqa:
        k, v = (x.repeat(q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    s = np.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(8), -np.inf)
    top = s.max(-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(np.isinf(top), 0, top))
    z = p.sum(-1, keepdims=True)
    expected = np.where(z > 0, p @ v / np.where(z > 0, z, 1), 0)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)


def test_environment_chooses_the_backend(monkeypatch):
    monkeypatch.setenv("AAT_BACKEND", "reference")
    q, k, v = draw((5, 8), (6, 8), (6, 4))
    np.testing.assert_array_equal(aat.scaled_dot_product_attention(q, k, v), sdpa(q, k, v))
    np.testing.assert_array_equal(aat.scaled_dot_product_attention(q, k, v, None, 0.0, True, 0.5),
                                  sdpa(q, k, v, is_causal=True, scale=0.5))


def test_inputs_are_never_written():
    q, k, v = draw((2, 3, 5, 8), (1, 3, 6, 8), (1, 3, 6, 4))
    mask = np.ones((5, 6), np.float32)
    before = [x.tobytes() for x in (q, k, v, mask)]
    for x in (q, k, v, mask):
        x.flags.writeable = False
    sdpa(q, k, v, attn_mask=mask)
    assert [x.tobytes() for x in (q, k, v, mask)] == before
