"""attention_forward on every backend: the case table, the laws, random problems, other lane widths."""
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aat
from aat import env
from aat.functional import attention
from aat.validation import pipeline
from aat.validation.cases import Case, by_name, make, tagged
from aat.validation.properties import LAWS, merged
from aat.validation.reading import canonical

SMALL = tagged("small")
FULL = tagged("full")


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


# --- the case table ---

@named(SMALL)
def test_small_case(case, backend):
    if case.dtype == "f64" and aat.supports(**make(case), backend=backend):
        with pytest.raises(aat.BackendError, match="dtype f64 is not computed on this device"):
            pipeline.check(case, backend)
        return
    verdict = pipeline.check(case, backend)
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("backend", ["reference", "cpu"], indirect=True)
@named(FULL)
def test_full_case(case, backend):
    verdict = pipeline.check(case, backend)
    assert verdict.ok, str(verdict)


def test_inputs_are_never_written(backend):
    for name in ("everything", "strides-negative", "bf16-bias"):
        call, fresh = make(by_name(name)), make(by_name(name))
        attention(**call, backend=backend, return_lse=True)
        for key, x in call.items():
            if isinstance(x, np.ndarray):
                assert x.tobytes() == fresh[key].tobytes(), f"{name}: {key} was written"


# --- the laws ---

@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law(law, backend):
    call = make(by_name("mask-and-bias"))
    tiling = fixed_tiling(backend, call)

    def run(**call):
        return attention(**call, backend=backend, tiling=tiling, return_lse=True)

    result = law.check(run, call)
    assert result.ok, f"{law.statement} {result.detail}"


def fixed_tiling(backend, call):
    """One TileConfig, whatever the shapes: the laws about bits are about one configuration."""
    if backend == "reference":
        return "auto"
    _, _, info = attention(**call, backend=backend, return_lse=True, return_info=True)
    return info.config


@pytest.mark.parametrize("name", ["everything-64", "cross-20x9001"])
def test_row_bits_do_not_depend_on_the_thread_count(name):
    script = f"""
        import sys, numpy as np
        from aat.functional import attention
        from aat.validation.cases import by_name, make
        out, lse = attention(**make(by_name("{name}")), backend="cpu", return_lse=True)
        sys.stdout.buffer.write(out.tobytes() + lse.tobytes())
    """
    one, two = (child(script, AAT_NUM_THREADS=n) for n in ("1", "2"))
    assert one == two


# --- merge ---

def test_merge_joins_disjoint_keys(backend):
    from aat.attention.merge import merge

    call = make(by_name("mask-and-bias"))
    Lk = call["k"].shape[2]
    parts = []
    for a, b in ((0, 1), (1, 20), (20, Lk)):
        part = dict(call, k=call["k"][:, :, a:b], v=call["v"][:, :, a:b], mask=call["mask"][..., a:b],
                    bias=call["bias"][..., a:b])
        parts.append(attention(**part, backend=backend, return_lse=True))
    want = pipeline.expected(call)
    for order in ((0, 1, 2), (2, 0, 1)):
        out, lse = merge([parts[i] for i in order])
        # the three parts and the merge may each round as often as one call
        assert np.all(np.abs(out - want.out) <= 4 * want.out_budget)
        assert np.all(np.abs(lse - want.lse) <= 4 * want.lse_budget)
        reference, _ = merged([parts[i] for i in order])
        np.testing.assert_allclose(out, reference, rtol=0, atol=4e-7 * np.abs(call["v"]).max())


# --- an oracle that shares no line with the reference, and random problems ---

def oracle(q, k, v, *, mask=None, bias=None, causal=None, window=(None, None), scale=None, softcap=None, sinks=None,
           kv_lens=None, q_offset=None, score_mod=None, mask_mod=None):
    """Dense softmax attention in float64, straight from the contract (4-D, bhsd)."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    (B, Hq, Lq, D), (Hk, Lk) = q.shape, k.shape[1:3]
    k, v = np.repeat(k, Hq // Hk, 1), np.repeat(v, Hq // Hk, 1)
    lens = np.full(B, Lk) if kv_lens is None else np.asarray(kv_lens)
    start = q_offset if q_offset is not None else lens - Lq if causal == "lower_right" else 0
    p = (np.arange(Lq) + np.broadcast_to(start, B)[:, None])[:, None, :, None]
    j = np.arange(Lk)
    see = np.broadcast_to(j < lens[:, None, None, None], (B, Hq, Lq, Lk)) & (True if mask is None else mask)
    see = see & (j <= p if causal else True)
    see = see & (j >= p - window[0] if window[0] is not None else True)
    see = see & (j <= p + window[1] if window[1] is not None else True)
    s = np.einsum("bhid,bhjd->bhij", q, k) * (D**-0.5 if scale is None else scale)
    place = (np.arange(B)[:, None, None, None], np.arange(Hq)[:, None, None], p, j)
    s = s if score_mod is None else score_mod(s, *place)
    see = see & (True if mask_mod is None else mask_mod(*place))
    s = s if softcap is None else softcap * np.tanh(s / softcap)
    see = see & (True if bias is None else bias.astype(np.float64) != -np.inf) & (s != -np.inf)
    s = np.where(see, s + (0 if bias is None else bias.astype(np.float64)), -np.inf)
    sink = np.full((Hq, 1, 1), -np.inf) if sinks is None else np.asarray(sinks, np.float64)[:, None, None]
    m = np.maximum(np.fmax.reduce(s, -1, keepdims=True, initial=-np.inf), sink)
    weight = np.where(see, np.exp(s - np.where(np.isneginf(m), 0, m)), 0)
    z = weight.sum(-1, keepdims=True) + np.exp(np.where(np.isneginf(sink), sink, sink - m))
    terms = np.where(see[..., None], weight[..., None] * v[:, :, None], 0).sum(3)
    alive = see.any(-1, keepdims=True)
    out = np.divide(terms, z, out=np.zeros_like(terms), where=np.broadcast_to(alive, terms.shape))
    lse = np.where(alive, m + np.log(np.where(alive, z, 1)), sink)
    return out, lse[..., 0]


def assert_reference_is_the_oracle(call):
    from aat.kernels.reference.attention_forward import attention_forward

    out, lse = attention_forward(**canonical(**call))
    with np.errstate(invalid="ignore", over="ignore"):
        want, want_lse = oracle(**call)
    # float64 rounds at 1e-16; scores of 1e4 over 16 terms and the largest value of a column scale that up
    finite = np.where(np.isfinite(call["v"].astype(np.float64)), np.abs(call["v"].astype(np.float64)), 0)
    column = finite.max((0, 1, 2), initial=0)
    for got, expected, scale in ((out, want, column), (lse, want_lse, np.abs(want_lse) + 1)):
        with np.errstate(invalid="ignore"):
            close = np.abs(got - expected) <= 1e-10 * scale
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        assert np.all(close | same), f"{np.count_nonzero(~(close | same))} elements differ"


# scores that are no products have tests/kernels/test_attention_scores.py
FOUR_AXES = [case for case in (*SMALL, *FULL) if not {"layout", "ndim", "score"} & dict(case.options).keys()]


@named([case for case in FOUR_AXES if case.multiply_adds * case.Dv < 3e8])
def test_reference_against_oracle(case):
    assert_reference_is_the_oracle(make(case))


# What a kernel is compiled for: drawn from a list, since every combination would be compiled (2 to 5 s each).
COMPILED = [(), ("mask",), ("bias",), ("mask", "bias"), ("softcap",), ("sinks",), ("mask", "bias", "softcap", "sinks")]


@st.composite
def problems(draw, heads=((16, 16),)):
    """A Case with any combination of options; odd sizes are as likely as even ones."""
    D, Dv = draw(st.sampled_from(heads))
    Hk = draw(st.integers(1, 3))
    B, Lq, Lk = draw(st.integers(1, 3)), draw(st.integers(1, 70)), draw(st.integers(1, 150))
    present = draw(st.sampled_from(COMPILED))
    options = {}
    for name in ("mask", "bias"):
        if name in present:
            options[name] = draw(st.sampled_from(("bhqk", "b1qk", "11qk", "1hqk", "1h1k", "b11k", "1111", "bhq1")))
    for name, values in (("softcap", (1.5, 30.0)), ("sinks", (True,))):
        if name in present:
            options[name] = draw(st.sampled_from(values))
    options["density"] = draw(st.sampled_from((0.1, 0.6, 0.95)))
    if draw(st.booleans()):
        options["causal"] = draw(st.sampled_from(("upper_left", "lower_right")))
    if draw(st.booleans()):
        side = st.one_of(st.none(), st.integers(0, 40))
        options["window"] = (draw(side), draw(side))
    if draw(st.booleans()):
        options["q_offset"] = tuple(draw(st.lists(st.integers(-20, 120), min_size=B, max_size=B)))
    if draw(st.booleans()):
        options["kv_lens"] = tuple(draw(st.lists(st.integers(0, Lk), min_size=B, max_size=B)))
    if draw(st.booleans()):
        options["scale"] = draw(st.sampled_from((0.0, 0.3, -0.2)))
    return Case("drawn", Lq, Lk, B, Hk * draw(st.integers(1, 3)), Hk, D, Dv, options=tuple(sorted(options.items())),
                seed=draw(st.integers(0, 2**16)))


@settings(derandomize=True, max_examples=150, deadline=None, database=None)
@given(problems(heads=((1, 1), (5, 3), (16, 16))))
def test_reference_against_oracle_on_drawn_problems(case):
    assert_reference_is_the_oracle(make(case))


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_kernel_on_drawn_problems(backend):
    @settings(derandomize=True, max_examples=150, deadline=None, database=None)
    @given(problems())
    def every(case):
        call = make(case)
        out, lse = attention(**call, backend=backend, return_lse=True, out=pipeline.blank_output(call))
        verdict = pipeline.judge(call, out, lse, pipeline.expected(call), case=str(case), backend=backend)
        assert verdict.ok, str(verdict)

    every()


# --- other lane widths and the path without intrinsics, each in a process of its own ---

def child(script, **environment):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=env.child_environment(**environment),
                          capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return done.stdout


OPENED = """
from aat.backends import select
with select.use("cpu") as session:
    found = session.lane_width, session.intrinsics
assert found == ({lanes}, {intrinsics}), found
"""
CHECKED = """
from aat.validation import pipeline
from aat.validation.cases import CASES
verdicts = [pipeline.check(CASES[name], {backend!r}, poison=False, **{overrides}) for name in {names}]
failed = [str(v) for v in verdicts if not v.ok]
raise SystemExit("\\n".join(failed) if failed else 0)
"""
# Few kernels, each compiled anew in a child, and every tail and bound that depends on the width.
FEW = ["plain", "everything", "causal-lower_right-tall", "window", "lens", "decode", "poison-past-lens", "large-logits",
       "constant-values", "head-7-5", "f16", "f64"]
MANY = [*FEW, "tail-of-one", "gqa", "bshd", "causal", "causal-offset-batch", "window-left", "mask-and-bias", "softcap",
        "sinks", "dead-rows", "poison-masked", "bias-lowest", "bf16", "f64-everything", "head-59", "127x512"]


def check_in_a_child(names, lanes, intrinsics):
    script = OPENED.format(lanes=lanes, intrinsics=intrinsics)
    script += CHECKED.format(backend="cpu", names=names, overrides={})
    child(script, AAT_LANES=str(lanes), AAT_INTRINSICS=str(int(intrinsics)))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_lane_width(lanes, backend):
    if lanes == lane_width():
        pytest.skip(f"{lanes} lanes are what this whole process runs with")
    check_in_a_child(MANY if lanes > 4 else FEW, lanes, True)


def lane_width():
    from aat.backends import select

    with select.use("cpu") as session:
        return session.lane_width


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_without_intrinsics(backend):
    check_in_a_child(FEW, 8, False)


def test_a_child_with_a_wrong_width_or_a_failed_verdict_fails():
    """The negative control of the two tests above."""
    with pytest.raises(AssertionError, match=r"AssertionError: \(\d+, "):
        child(OPENED.format(lanes=3, intrinsics=True))
    with pytest.raises(AssertionError, match="over budget"):
        child(CHECKED.format(backend="reference", names=["plain"], overrides={"scale": 0.3}))
