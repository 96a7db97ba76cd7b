"""The error budget is neither blind nor flaky: what must be caught, and what must pass."""
import numpy as np
import pytest
from aat.kernels.reference.attention_forward import attention_forward

from aat.validation import budget, pipeline
from aat.validation.cases import Case, by_name, make
from aat.validation.inputs import numpy_dtype
from aat.validation.reading import canonical


def problem(Lq=40, Lk=300, D=64, fill="normal", dtype="f32", **options):
    call = make(Case("problem", Lq, Lk, D=D, Dv=D, fill=fill, dtype=dtype, options=tuple(options.items()), seed=3))
    return call, pipeline.expected(call)


def exact(call):
    """The reference's result in the dtypes of a call."""
    out, lse = attention_forward(**canonical(**call))
    return out.astype(call["q"].dtype), lse.astype(np.float64 if call["q"].dtype == np.float64 else np.float32)


def blocked(call, *, block=64, weights=lambda p: p, scores=lambda s: s):
    """A float32 flash-attention in NumPy: base 2, running maximum, blocks of keys, plain sums."""
    f = np.float32
    q, k, v = (call[name].astype(f) for name in "qkv")
    q = q * f(np.log2(np.e) / np.sqrt(q.shape[-1]))
    m, z = np.full(q.shape[:3], -1e30, f), np.zeros(q.shape[:3], f)
    o = np.zeros((*q.shape[:3], v.shape[3]), f)
    for start in range(0, k.shape[2], block):
        keys = slice(start, start + block)
        s = np.zeros((*q.shape[:3], k[:, :, keys].shape[2]), f)
        for d in range(q.shape[3]):
            s += q[..., d, None] * k[:, :, None, keys, d]
        s = scores(s)
        top = np.maximum(m, s.max(-1))
        alpha, p = np.exp2(m - top), weights(np.exp2(s - top[..., None]))
        z, o = z * alpha, o * alpha[..., None]
        for j in range(p.shape[-1]):
            z += p[..., j]
            o += p[..., j, None] * v[:, :, None, start + j]
        m = top
    return o / z[..., None], (m + np.log2(z)) * f(np.log(2))


def to_bf16(x):
    return x.astype(numpy_dtype("bf16")).astype(np.float32)


def to_tf32(x):
    """Rounded to 10 bits behind the point, as tensor cores do."""
    return ((np.ascontiguousarray(x, np.float32).view(np.int32) + (1 << 12)) & ~((1 << 13) - 1)).view(np.float32)


# --- what must pass ---

FILLS = ["normal", "large", "equal", "constant_values", "positive", "wide_values", "shifted_by_keys"]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("Lq", "Lk", "D"), [(1, 1, 1), (1, 2, 1), (1, 5, 7), (3, 9, 16), (16, 70, 16), (20, 300, 64)])
@pytest.mark.parametrize("block", [8, 64])
def test_a_good_float32_kernel_passes(fill, Lq, Lk, D, block):
    call, want = problem(Lq, Lk, D, fill)
    verdict = pipeline.judge(call, *blocked(call, block=block), want)
    assert verdict.ok, str(verdict)


def test_a_good_float32_kernel_passes_whatever_the_seed():
    """Small problems, where the float32 run may be exact by luck: the floor of rho is what keeps this from flaking."""
    for seed in range(200):
        call = make(Case("tiny", 1, 1 + seed % 5, Hq=1, Hk=1, D=1 + seed % 3, Dv=1, seed=seed))
        verdict = pipeline.judge(call, *blocked(call), pipeline.expected(call))
        assert verdict.ok, f"seed {seed}: {verdict}"


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64"])
def test_the_rounded_reference_passes(dtype):
    call, want = problem(dtype=dtype)
    verdict = pipeline.judge(call, *exact(call), want)
    assert verdict.ok and verdict.ratio < 0.6, str(verdict)


# --- what must be caught ---

def changed(**change):
    """The exact result of a call with other arguments."""
    return lambda call: exact({**call, **{name: f(call) if callable(f) else f for name, f in change.items()}})


def without_key(j):
    def mask(call):
        visible = np.ones((1, call["k"].shape[2]), bool)
        visible[:, j] = False
        return visible
    return mask


def wrong_tail_row(call):
    out, lse = exact(call)
    out[:, :, -1] = out[:, :, -2]
    return out, lse


def wrong_tail_column(call):
    out, lse = exact(call)
    out[..., -1] = out[..., -2]
    return out, lse


def scaled(factor):
    def result(call):
        out, lse = exact(call)
        return (out * np.float32(factor)).astype(out.dtype), lse
    return result


def lse_times(factor):
    def result(call):
        out, lse = exact(call)
        return out, (lse * factor).astype(lse.dtype)
    return result


MISTAKES = {
    "one key dropped": (changed(mask=without_key(17)), {}),
    "the last key dropped": (changed(mask=without_key(-1)), {}),
    "wrong tail row": (wrong_tail_row, {}),
    "wrong tail column": (wrong_tail_column, {}),
    "window one too wide on the left": (changed(window=(11, 0)), dict(window=(10, 0))),
    "window one too narrow on the left": (changed(window=(9, 0)), dict(window=(10, 0))),
    "window one too wide on the right": (changed(window=(100, 6)), dict(window=(100, 5))),
    "causal one key late": (changed(q_offset=261), dict(causal="lower_right")),
    "the other causal alignment": (changed(causal="upper_left"), dict(causal="lower_right")),
    "softcap forgotten": (changed(softcap=None), dict(softcap=20.0)),
    "sinks forgotten": (changed(sinks=None), dict(sinks=True)),
    "bias scaled by 1.0001": (changed(bias=lambda call: call["bias"] * np.float32(1.0001)), dict(bias="qk")),
    "scale off by 1e-5": (changed(scale=lambda call: (1 + 1e-5) / np.sqrt(call["q"].shape[3])), {}),
    "weights in bf16": (lambda call: blocked(call, weights=to_bf16), {}),
    "weights in tf32": (lambda call: blocked(call, weights=to_tf32), {}),
    "scores in bf16": (lambda call: blocked(call, scores=to_bf16), {}),
    "scores in tf32": (lambda call: blocked(call, scores=to_tf32), {}),
    "output rounded to f16": (lambda call: tuple(x.astype(np.float16).astype(np.float32) for x in exact(call)), {}),
    "all 5e-6 too large": (scaled(1 + 5e-6), {}),
    "lse in bits": (lse_times(1 / np.log(2)), {}),
    "lse 5e-6 too large": (lse_times(1 + 5e-6), {}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught(mistake):
    result, options = MISTAKES[mistake]
    call, want = problem(**options)
    assert pipeline.judge(call, *exact(call), want).ok
    verdict = pipeline.judge(call, *result(call), want)
    assert not verdict.ok and verdict.ratio > 1, str(verdict)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("mistake", ["wrong tail row", "causal one key late", "softcap forgotten", "lse in bits"])
def test_a_mistake_is_caught_in_16_bits(mistake, dtype):
    result, options = MISTAKES[mistake]
    call, want = problem(dtype=dtype, **options)
    assert not pipeline.judge(call, *result(call), want).ok


def test_float64_may_not_round_like_float32():
    call, want = problem(dtype="f64")
    out, lse = exact(call)
    assert not pipeline.judge(call, out.astype(np.float32).astype(np.float64), lse, want).ok
    assert not pipeline.judge(call, out, lse.astype(np.float32).astype(np.float64), want).ok


def test_one_wrong_row_cannot_hide_behind_large_ones():
    """The budget is a row's own: values of 1e6 elsewhere do not make room for an error in a row of small values."""
    call, _ = problem(mask="qk", density=1.0)
    call["v"][:, :, :150] *= np.float32(1e6)
    call["mask"][-1, :150] = False
    want = pipeline.expected(call)
    out, lse = exact(call)
    assert pipeline.judge(call, out, lse, want).ok
    out[:, :, -1] *= np.float32(1 + 1e-4)
    assert not pipeline.judge(call, out, lse, want).ok


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["out", "lse"])
def test_a_stray_nan_or_inf_is_caught(value, which):
    call, want = problem()
    out, lse = exact(call)
    (out if which == "out" else lse)[0, 1, 7] = value
    verdict = pipeline.judge(call, out, lse, want)
    assert not verdict.ok and verdict.ratio == np.inf and which in verdict.reasons[0]


def test_a_missing_nan_is_caught():
    call = make(by_name("poison-causal"))
    want = pipeline.expected(call)
    out, lse = exact(call)
    assert pipeline.judge(call, out, lse, want).ok
    assert not pipeline.judge(call, np.nan_to_num(out), lse, want).ok
    assert not pipeline.judge(call, out, np.nan_to_num(lse), want).ok


def test_an_empty_row_is_exactly_zero_and_minus_inf():
    call = make(by_name("dead-rows"))
    want = pipeline.expected(call)
    out, lse = exact(call)
    assert pipeline.judge(call, out, lse, want).ok
    mean = out.copy()
    mean[:, :, 0] = call["v"].mean(2)
    assert not pipeline.judge(call, mean, lse, want).ok
    assert not pipeline.judge(call, out, np.maximum(lse, -1e30), want).ok


def test_a_wrong_dtype_or_shape_is_caught():
    call, want = problem()
    out, lse = exact(call)
    assert "dtype" in pipeline.judge(call, out.astype(np.float64), lse, want).reasons[0]
    assert "dtype" in pipeline.judge(call, out, lse.astype(np.float64), want).reasons[0]
    assert "shape" in pipeline.judge(call, out[:, :, :-1], lse, want).reasons[0]


# --- the pieces ---

def test_rho_is_capped_and_floored():
    steps = np.full(10_000, 1.0)
    exact_values = np.zeros(10_000)
    assert budget._rho(exact_values, exact_values, steps) == budget.RHO_MANY
    assert budget._rho(exact_values[:1], exact_values[:1], steps[:1]) == budget.RHO_FEW
    assert budget._rho(exact_values + 1, exact_values, steps) == budget.RHO_CAP
    assert budget._rho(exact_values + 2.0**-25, exact_values, steps) == 0.5


def test_a_long_row_does_not_earn_a_linear_budget():
    """Equal terms make plain float32 sums drift with n; the budget must grow with sqrt(n) at most."""
    sizes = []
    for n in (1024, 16384):
        options = (("scale", 0.0),)
        call = make(Case("drift", 2, n, Hq=1, Hk=1, D=4, Dv=8, fill="constant_values", options=options, seed=5))
        want = pipeline.expected(call)
        sizes.append((want.out_budget / np.abs(want.out)).max())
    assert sizes[1] < 4.5 * sizes[0] and sizes[1] < 2 * 2.0**-24 * (2 * 128 + 8)


def test_what_float32_cannot_hold_is_not_required():
    q = np.full((1, 1, 2, 1), 1e30, np.float32)
    v = np.ones((1, 1, 2, 1), np.float32)
    want = budget.expected(dict(q=q, k=q, v=v, scale=1.0), np.float32)
    assert np.isfinite(want.out).all() and np.isinf(want.out_budget).all()
    assert not budget.compare("out", np.full_like(want.out, np.nan), want.out, want.out_budget).reasons


def test_compare_reports_the_worst_element():
    want = np.zeros((2, 3))
    part = budget.compare("x", np.array([[0, 1, 0], [0, 0, 4.0]]), want, np.full((2, 3), 0.5))
    assert (part.error, part.budget, part.ratio) == (4.0, 0.5, 8.0)
    assert "2 of 6 elements over budget, the worst at (1, 2)" in part.reasons[0]
    assert budget.compare("x", want, want, np.full((2, 3), np.nan)).reasons, "a budget of NaN must not pass"
