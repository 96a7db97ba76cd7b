"""Every wrong argument: the text of its error, in four parts, and the next call is right."""

import math

import numpy as np
import pytest

import aat

ml_dtypes = pytest.importorskip("ml_dtypes")

BIG = 2**40


def inputs():
    rng = np.random.default_rng(0)
    shapes = (2, 4, 5, 8), (2, 2, 6, 8), (2, 2, 6, 3)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in zip("qkv", shapes, strict=True)}


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def read_only(x):
    x.flags.writeable = False
    return x


class Unreadable:
    """An array of another device."""

    def __dlpack__(self, **options):
        raise AssertionError("must not be asked for its memory")

    def __dlpack_device__(self):
        return (2, 0)


SHARED = inputs()["q"]

# name: (arguments that replace good ones, error, what its text says)
BAD = {
    # types and dtypes of q, k, v
    "q list": ({"q": [[1.0]]}, TypeError, r"q: expected a NumPy array, .* got a list; pass an array"),
    "k None": ({"k": None}, TypeError, r"k: expected a NumPy array.*, got a NoneType; pass an array"),
    "v scalar": ({"v": 1.0}, TypeError, r"v: expected a NumPy array.*, got a float;"),
    "q integers": ({"q": zeros(2, 4, 5, 8, dtype=np.int32)}, TypeError,
                   r"q: expected dtype float16, bfloat16, float32 or float64, got int32; convert it"),
    "k complex": ({"k": zeros(2, 2, 6, 8, dtype=np.complex64)}, TypeError,
                  r"k: expected dtype float16.*complex64"),
    "v bool": ({"v": zeros(2, 2, 6, 3, dtype=bool)}, TypeError, r"v: expected dtype float16.* got bool"),
    "q big-endian": ({"q": zeros(2, 4, 5, 8, dtype=">f4")}, TypeError,
                     r"q: expected native byte order, got dtype >f4; convert it"),
    "q masked array": ({"q": np.ma.masked_array(zeros(2, 4, 5, 8))}, TypeError,
                       r"q: .* got a masked array; pass x.data"),
    "mixed k": ({"k": zeros(2, 2, 6, 8, dtype=np.float16)}, TypeError,
                r"q, k, v: expected one dtype, got q f32, k f16, v f32; convert"),
    "mixed v": ({"v": zeros(2, 2, 6, 3, dtype=ml_dtypes.bfloat16)}, TypeError,
                r"q, k, v: expected one dtype, .*v bf16"),
    "other device": ({"q": Unreadable()}, ValueError,
                     r"q: expected an array in CPU memory, got one on DLPack device type 2; copy it "
                     r"to the host"),
    # shapes of q, k, v
    "q 2-D": ({"q": zeros(5, 8)}, ValueError,
              r"q: expected shape \(B, H, L, D\) or \(H, L, D\), got shape \(5, 8\)"),
    "q 5-D": ({"q": zeros(1, 2, 4, 5, 8)}, ValueError, r"q: expected shape \(B, H, L, D\)"),
    "k 3-D": ({"k": zeros(2, 6, 8)}, ValueError, r"k: expected 4 axes as q has, got shape \(2, 6, 8\)"),
    "k batch": ({"k": zeros(3, 2, 6, 8)}, ValueError,
                r"k: expected batch 2 and head size 8 as in q \(2, 4, 5, 8\), got shape \(3, 2, 6, "
                r"8\); pass"),
    "k head size": ({"k": zeros(2, 2, 6, 9)}, ValueError,
                    r"k: expected batch 2 and head size 8 .*\(2, 2, 6, 9\)"),
    "v keys": ({"v": zeros(2, 2, 7, 3)}, ValueError,
               r"v: expected batch 2, 2 heads and 6 keys as in k \(2, 2, 6, 8\), got shape \(2, 2, 7, 3\)"),
    "v heads": ({"v": zeros(2, 1, 6, 3)}, ValueError, r"v: expected batch 2, 2 heads and 6 keys"),
    "heads": ({"k": zeros(2, 3, 6, 8), "v": zeros(2, 3, 6, 3)}, ValueError,
              r"k: expected a number of heads that divides q's 4, got 3 heads, .*; query head h reads "
              r"key head"),
    "no key heads": ({"k": zeros(2, 0, 6, 8), "v": zeros(2, 0, 6, 3)}, ValueError,
                     r"divides q's 4, got 0 heads"),
    "D 0": ({"q": zeros(2, 4, 5, 0), "k": zeros(2, 2, 6, 0)}, ValueError,
            r"q: expected a head size of at least 1"),
    "Dv 0": ({"v": zeros(2, 2, 6, 0)}, ValueError, r"v: expected a head size of at least 1"),
    # mask and bias
    "mask float": ({"mask": zeros(5, 6)}, TypeError,
                   r"mask: expected dtype bool \(True = may attend\), got f32; pass additive floats "
                   r"as bias="),
    "mask int": ({"mask": zeros(5, 6, dtype=np.uint8)}, TypeError,
                 r"mask: expected dtype bool .* got uint8; .*!= 0"),
    "mask list": ({"mask": [True]}, TypeError, r"mask: expected a NumPy array.* got a list"),
    "mask shape": ({"mask": zeros(6, 5, dtype=bool)}, ValueError,
                   r"mask: expected a shape that broadcasts to \(B, Hq, Lq, Lk\) = \(2, 4, 5, 6\), "
                   r"got shape \(6, 5\); axes"),
    "mask heads of k": ({"mask": zeros(2, 2, 5, 6, dtype=bool)}, ValueError,
                        r"mask: expected a shape that broadcasts"),
    "mask 5-D": ({"mask": zeros(1, 2, 4, 5, 6, dtype=bool)}, ValueError,
                 r"mask: expected a shape that broadcasts"),
    "bias shape": ({"bias": zeros(4, 1, 7)}, ValueError,
                   r"bias: expected a shape that broadcasts to .*\(4, 1, 7\)"),
    "bias int": ({"bias": zeros(5, 6, dtype=np.int64)}, TypeError,
                 r"bias: expected dtype float16.* got int64"),
    "bias bool": ({"bias": zeros(5, 6, dtype=bool)}, TypeError, r"bias: expected dtype float16.* got bool"),
    # positions
    "causal string": ({"causal": "lower"}, ValueError,
                      r"causal: expected None, True, \"upper_left\" or \"lower_right\", got 'lower'"),
    "causal int": ({"causal": 1}, TypeError, r"causal: expected None, True, .*, got 1"),
    "causal ambiguous": ({"causal": True}, ValueError,
                         r"causal: expected \"upper_left\" .* or \"lower_right\" .*, got True with Lq "
                         r"= 5, Lk = 6; "
                         r"the two differ here: name one of them, or give q_offset"),
    "causal with kv_lens": ({"causal": True, "k": zeros(2, 2, 5, 8), "v": zeros(2, 2, 5, 3),
                             "kv_lens": np.array([5, 5])}, ValueError,
                            r"causal: .*Lq = 5, Lk = 5 and kv_lens"),
    "window int": ({"window": 3}, ValueError,
                   r"window: expected a pair \(left, right\), got 3; \(None, None\)"),
    "window triple": ({"window": (1, 2, 3)}, ValueError, r"window: expected a pair \(left, right\)"),
    "window -1": ({"window": (-1, 0)}, ValueError,
                  r"window: expected left >= 0 or None, got -1; None is no bound"),
    "window right": ({"window": (0, -2)}, ValueError, r"window: expected right >= 0 or None, got -2"),
    "window float": ({"window": (1.5, 0)}, TypeError,
                     r"window: expected an integer or None for left, got 1.5"),
    "window bool": ({"window": (None, True)}, TypeError,
                    r"window: expected an integer or None for right, got True"),
    "q_offset float": ({"q_offset": 1.0}, TypeError,
                       r"q_offset: expected an integer, or integers of shape \(B,\), got 1.0"),
    "q_offset bool": ({"q_offset": True}, TypeError, r"q_offset: expected an integer, .*, got True"),
    "q_offset list": ({"q_offset": [0, 1]}, TypeError, r"q_offset: expected a NumPy array.* got a list"),
    "q_offset dtype": ({"q_offset": zeros(2)}, TypeError,
                       r"q_offset: expected an integer dtype, got f32; pass an int"),
    "q_offset shape": ({"q_offset": zeros(3, dtype=int)}, ValueError,
                       r"q_offset: expected an integer or shape \(B,\) = \(2,\), got shape \(3,\)"),
    "q_offset large": ({"q_offset": BIG}, ValueError,
                       r"q_offset: expected positions below 2\*\*30 .* int32 .*, got positions "
                       r"1099511627776 to .*; only diff"),
    "q_offset uint64": ({"q_offset": np.full(2, 2**64 - 1, np.uint64)}, ValueError,
                        r"q_offset: expected positions below"),
    "q_offset negative": ({"q_offset": np.array([0, -(2**30)])}, ValueError,
                          r"q_offset: expected positions below"),
    "window too large": ({"window": (None, 2**30), "q_offset": -(2**30) + 1}, ValueError,
                         r"window: expected right below 2\*\*30 .*, got 1073741824"),
    # lengths
    "kv_lens negative": ({"kv_lens": np.array([3, -1])}, ValueError,
                         r"kv_lens: expected lengths from 0 to Lk = 6, got -1 at batch index 1; a "
                         r"length counts"),
    "kv_lens past Lk": ({"kv_lens": np.array([7, 0], np.uint8)}, ValueError,
                        r"kv_lens: .* got 7 at batch index 0"),
    "kv_lens shape": ({"kv_lens": np.array([3])}, ValueError,
                      r"kv_lens: expected shape \(B,\) = \(2,\), got shape \(1,\)"),
    "kv_lens float": ({"kv_lens": zeros(2)}, TypeError,
                      r"kv_lens: expected an integer dtype, got f32; pass np.int32"),
    "kv_lens bool": ({"kv_lens": zeros(2, dtype=bool)}, TypeError,
                     r"kv_lens: expected an integer dtype, got bool"),
    "kv_lens bf16": ({"kv_lens": zeros(2, dtype=ml_dtypes.bfloat16)}, TypeError,
                     r"kv_lens: .* integer dtype, got bf16"),
    "kv_lens list": ({"kv_lens": [3, 4]}, TypeError, r"kv_lens: expected a NumPy array.* got a list"),
    # numbers
    "scale NaN": ({"scale": math.nan}, ValueError,
                  r"scale: expected a number that is finite .*, got nan; None stands for"),
    "scale inf": ({"scale": -math.inf}, ValueError, r"scale: .* got -inf"),
    "scale over float32": ({"scale": 1e39}, ValueError,
                           r"scale: expected a number that is finite in the dtype"),
    "scale over float64": ({"scale": 10**400}, ValueError, r"scale: expected a number that is finite"),
    "scale bool": ({"scale": True}, TypeError, r"scale: expected a number, got True"),
    "scale str": ({"scale": "1"}, TypeError, r"scale: expected a number, got '1'"),
    "scale array": ({"scale": zeros(1)}, TypeError, r"scale: expected a number, got a ndarray"),
    "softcap 0": ({"softcap": 0.0}, ValueError,
                  r"softcap: expected a positive finite number, got 0.0; None caps nothing"),
    "softcap negative": ({"softcap": -1}, ValueError, r"softcap: expected a positive finite number, got -1"),
    "softcap NaN": ({"softcap": math.nan}, ValueError, r"softcap: .* got nan"),
    "softcap inf": ({"softcap": math.inf}, ValueError, r"softcap: .* got inf"),
    "softcap below float32": ({"softcap": 1e-46}, ValueError, r"softcap: .* got 1e-46"),
    "softcap bool": ({"softcap": False}, TypeError, r"softcap: expected a number, got False"),
    "tolerance negative": ({"tolerance": -1.0}, ValueError, r"tolerance: expected a finite number >= 0, got -1.0"),
    "tolerance NaN": ({"tolerance": math.nan}, ValueError, r"tolerance: expected a finite number >= 0, got nan"),
    "tolerance inf": ({"tolerance": math.inf}, ValueError, r"tolerance: expected a finite number >= 0, got inf"),
    "tolerance None": ({"tolerance": None}, TypeError, r"tolerance: expected a number, got None"),
    # sinks
    "sinks shape": ({"sinks": zeros(2)}, ValueError,
                    r"sinks: expected shape \(Hq,\) = \(4,\), got shape \(2,\); one logit"),
    "sinks dtype": ({"sinks": zeros(4, dtype=int)}, TypeError, r"sinks: expected dtype float16.* got int64"),
    "sinks list": ({"sinks": [0.0] * 4}, TypeError, r"sinks: expected a NumPy array.* got a list"),
    # choices
    "score": ({"score": "cosine"}, ValueError,
              r"score: expected \"dot\" or a score object, got 'cosine'; aat.attention.Geometric and"),
    "score object": ({"score": object()}, ValueError, r"score: expected \"dot\" or a score object, got a object"),
    "score and scale": ({"score": aat.attention.Geometric("euclidean"), "scale": 0.5}, ValueError,
                        r"scale: expected None with a score object, got 0.5; what multiplies its scores is a par"),
    "tiling str": ({"tiling": "fast"}, ValueError,
                   r"tiling: expected \"auto\", a TileConfig or a TilingStrategy, got 'fast'"),
    "tiling dict": ({"tiling": {}}, TypeError,
                    r"tiling: expected \"auto\", a TileConfig or a TilingStrategy, got a dict; see aat.TileConfig"),
    "layout": ({"layout": "bsdh"}, ValueError, r"layout: expected \"bhsd\" or \"bshd\", got 'bsdh'"),
    "layout None": ({"layout": None}, ValueError, r"layout: expected \"bhsd\" or \"bshd\", got None"),
    "backend": ({"backend": "gpu"}, ValueError,
                r"backend: expected one of auto, cpu, vulkan, cuda, reference, got 'gpu'; see `aat info`"),
    "backend None": ({"backend": None}, TypeError,
                     r"backend: expected the name of a backend, got a NoneType"),
    "return_lse": ({"return_lse": 1}, TypeError, r"return_lse: expected True or False, got a int"),
    "return_info": ({"return_info": "yes"}, TypeError, r"return_info: expected True or False, got a str"),
    # out
    "out list": ({"out": []}, TypeError, r"out: expected a NumPy array.* got a list"),
    "out shape": ({"out": zeros(2, 4, 5, 8)}, ValueError,
                  r"out: expected shape \(2, 4, 5, 3\) in layout=\"bhsd\", got shape \(2, 4, 5, 8\)"),
    "out dtype": ({"out": zeros(2, 4, 5, 3, dtype=np.float64)}, TypeError,
                  r"out: expected q's dtype f32, got f64"),
    "out read-only": ({"out": read_only(zeros(2, 4, 5, 3))}, ValueError,
                      r"out: expected a writeable array, got a read-only"),
    "out broadcast": ({"out": np.lib.stride_tricks.as_strided(zeros(3), (2, 4, 5, 3), (0, 0, 0, 4))},
                      ValueError,
                      r"out: expected elements with one address each, got strides \(0, 0, 0, 4\)"),
    "out windows": ({"out": np.lib.stride_tricks.as_strided(zeros(60), (2, 4, 5, 3), (80, 20, 4, 4))},
                    ValueError,
                    r"out: expected elements with one address each"),
    "out is q": ({"q": SHARED, "v": zeros(2, 2, 6, 8), "out": SHARED}, ValueError,
                 r"out: expected memory of its own, got memory that an input uses; inputs are never written"),
    "out overlaps bias": ({"bias": SHARED[0, 0, 0, :6], "out": SHARED[:, :, :, :3]}, ValueError,
                          r"out: .*an input uses"),
    "out unaligned": ({"out": np.zeros(481, np.uint8)[1:].view(np.float32).reshape(2, 4, 5, 3)}, ValueError,
                      r"out: expected aligned memory with strides of whole elements, got strides"),
}


@pytest.fixture(scope="module")
def expected():
    return aat.attention(**inputs(), backend="reference")


@pytest.mark.parametrize("name", BAD)
def test_message_and_the_next_call(name, expected):
    changes, error, text = BAD[name]
    with pytest.raises(error, match=text) as raised:
        aat.attention(**{**inputs(), "backend": "reference", **changes})
    assert not isinstance(raised.value, aat.BackendError)
    np.testing.assert_array_equal(aat.attention(**inputs(), backend="reference"), expected)


@pytest.mark.parametrize("name", BAD)
def test_supports_and_explain_refuse_the_same(name):
    changes, error, text = BAD[name]
    for ask in (aat.supports, aat.explain):
        with pytest.raises(error, match=text):
            ask(**{**inputs(), "backend": "reference", **changes})


def test_unknown_argument_is_a_type_error():
    for call in (aat.attention, aat.supports, aat.explain):
        with pytest.raises(TypeError, match="unexpected keyword argument 'is_causal'"):
            call(**inputs(), backend="reference", is_causal=True)


def test_a_bad_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv("AAT_BACKEND", "gpu")
    with pytest.raises(ValueError, match=r"AAT_BACKEND: expected one of auto, cpu.*got 'gpu'"):
        aat.attention(**inputs())
