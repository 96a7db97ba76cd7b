"""Scores that are functions of two rows, through attention: formulas, laws, errors; cases are in the case table."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aat
from aat import geometry, states
from aat.attention import scores
from aat.attention.scores.base import Prepared, Score, rows_of
from aat.functional import attention
from aat.tiling.strategies.certified import Certified
from aat.validation import budget, pipeline
from aat.validation.cases import CASES, Case, by_name, make, tagged
from aat.validation.properties import LAWS
from aat.validation.reading import canonical
from aat.validation.score_rounding import Judged, Narrow

SCORED = [case for case in tagged("small") if "score" in dict(case.options)]


# --- the reference against textbook formulas, which share no line with the scores ---

def heads(x, n):
    return np.repeat(x, n // x.shape[1], 1)


def textbook(name, q, k, beta):
    """Dense scores, float64; beta (Hq, 1, 1)."""
    q, k = q.astype(float), heads(k.astype(float), q.shape[1])
    inner = np.einsum("bhid,bhjd->bhij", q, k)
    square = (q * q).sum(-1)[..., None] + (k * k).sum(-1)[..., None, :] - 2 * inner
    if name == "Euclidean":
        return -beta * square
    if name == "Hyperbolic":
        lift = np.sqrt(1 + (q * q).sum(-1))[..., None] * np.sqrt(1 + (k * k).sum(-1))[..., None, :]
        return -beta * np.arccosh(np.maximum(lift - inner, 1)) ** 2
    half = q.shape[-1] // 2
    z, w = q[..., :half] + 1j * q[..., half:], k[..., :half] + 1j * k[..., half:]
    overlap = np.abs(np.einsum("bhid,bhjd->bhij", z.conj(), w)) ** 2
    return beta * overlap / ((np.abs(z) ** 2).sum(-1)[..., None] * (np.abs(w) ** 2).sum(-1)[..., None, :])


@pytest.mark.parametrize("name", ["Euclidean", "Hyperbolic", "Fidelity"])
def test_the_reference_is_the_textbook_formula(name):
    case = Case("textbook", 19, 30, B=2, Hq=4, Hk=2, D=6, Dv=5, options=(
        ("causal", "lower_right"), ("bias", "hqk"), ("softcap", 3.0),
        ("score", (name, ("beta", (0.1, 0.5, 1.0, 2.0))))))
    call = make(case)
    beta = call["score"].beta[:, None, None]
    s = 3 * np.tanh(textbook(name, call["q"], call["k"], beta) / 3) + call["bias"]
    s = np.where(np.arange(30) <= np.arange(19)[:, None] + 11, s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    want = p @ heads(call["v"].astype(float), 4) / p.sum(-1, keepdims=True)
    got = pipeline.expected(call)
    # arcosh of 1 + 1e-16 is 1e-8, squared; the rest rounds at 1e-16
    np.testing.assert_allclose(got.out, want, rtol=0, atol=1e-13 * np.abs(call["v"]).max())


def test_euclidean_is_dot_with_a_bias_of_the_keys(backend):
    # softmax drops what a row shares: -beta |q|^2
    call = make(by_name("score-euclidean"))
    beta = call["score"].beta
    bias = -beta[:, None, None] * (heads(call["k"].astype(float), 4) ** 2).sum(-1)[:, :, None]
    dot = dict(call, score=scores.Dot(2 * beta), bias=bias.astype(np.float32))
    got, want = (attention(**c, backend=backend) for c in (call, dot))
    room = pipeline.expected(call).out_budget + pipeline.expected(dot).out_budget
    # the bias is rounded once more
    assert (np.abs(got - want) <= room + 2.0**-22 * np.abs(bias).max() * np.abs(call["v"]).max()).all()


# --- laws ---

@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
@pytest.mark.parametrize("law", [LAWS[name] for name in ("permute-keys", "split-and-merge", "row-bits", "repeat-bits")],
                         ids=lambda law: law.name)
def test_the_laws_of_attention(law, backend):
    # one beta: heads are exchanged
    call = make(by_name("score-euclidean-distance")) | {"score": scores.Hyperbolic(0.3)}
    _, info = attention(**call, backend=backend, return_info=True)

    def run(**call):
        return attention(**call, backend=backend, tiling=info.config, return_lse=True)

    result = law.check(run, call)
    assert result.ok, f"{law.statement} {result.detail}"


def test_an_isometry_of_both_sides_changes_nothing(backend):
    rng = np.random.default_rng(1)
    q, k = 0.4 * rng.standard_normal((2, 1, 2, 20, 8))
    v = rng.standard_normal((1, 2, 20, 8)).astype(np.float32)
    near = aat.attention.Geometric("hyperbolic", beta=[1.0, 3.0])
    shift = geometry.lift(0.3 * rng.standard_normal(8), -1.0)
    origin = geometry.lift(np.zeros(8), -1.0)

    def moved(x):
        # the transvection along the geodesic from the origin to `shift`
        y = geometry.lift(x, -1.0)
        form = np.diag([-1.0] + [1.0] * 8)
        plane = shift + origin
        T = np.eye(9) - 2 * np.outer(origin, form @ origin) / -1.0
        T = (np.eye(9) - 2 * np.outer(plane, form @ plane) / (plane @ form @ plane)) @ T
        return (y @ T.T)[..., 1:]

    first, second = ([x.astype(np.float32) for x in pair] for pair in ((q, k), (moved(q), moved(k))))
    assert np.abs(first[0] - second[0]).max() > 0.1
    got = [near(*pair, v, backend=backend) for pair in (first, second)]
    # rows rounded to float32 move u (1 + sinh r) at r <= 3, scores beta 2 d of that, twice
    assert np.abs(got[0] - got[1]).max() <= 2 * 2 * 3 * 6 * 2 * 2.0**-24 * (1 + np.sinh(3)) * np.abs(v).max()


def test_a_phase_of_a_state_changes_nothing(backend):
    rng = np.random.default_rng(2)
    q, k, v = rng.standard_normal((3, 1, 2, 20, 8)).astype(np.float32)
    turn = np.exp(1j * rng.uniform(0, 6, (1, 2, 20, 1)))

    def turned(x):
        z = (x[..., :4] + 1j * x[..., 4:]) * turn
        return np.concatenate([z.real, z.imag], -1).astype(np.float32)

    alike = aat.attention.Fidelity(beta=4.0)
    got = [alike(*pair, v, backend=backend) for pair in ((q, k), (turned(q), turned(k)))]
    assert np.abs(turned(q) - q).max() > 0.5
    assert np.abs(got[0] - got[1]).max() <= 2 * 4 * 2 * 12 * 2.0**-24 * np.abs(v).max()


def test_merging_parts_of_the_keys_is_the_whole(backend):
    call = make(by_name("score-fidelity-log"))
    call = {name: call[name] for name in ("q", "k", "v", "score", "layout")}
    whole, whole_lse = attention(**call, backend=backend, return_lse=True)
    cut = [dict(call, k=call["k"][:, part], v=call["v"][:, part]) for part in (slice(0, 13), slice(13, None))]
    parts = [attention(**part, backend=backend, return_lse=True) for part in cut]
    out, lse = aat.merge([(np.swapaxes(out, 1, 2), lse) for out, lse in parts])
    want = pipeline.expected(call)
    assert (np.abs(out - np.swapaxes(whole, 1, 2)) <= 4 * want.out_budget).all()
    assert (np.abs(lse - whole_lse) <= 4 * want.lse_budget).all()


# --- a contributor's own score ---

class Ratio(Score):
    """weight (1 + q.k) / (2 + |k|^2): operations of both operands, numbers on both sides, and a comparison."""

    name, q_scalars, k_scalars = "ratio", ("weight",), ("size",)

    def __init__(self, weight, cut):
        self.weight, self.cut = weight, cut

    def prepare_q(self, q):
        q = rows_of(self.name, "q", q)
        return Prepared(q[None], np.full((1, *q.shape[:-1]), self.weight))

    def prepare_k(self, k):
        k = rows_of(self.name, "k", k)
        return Prepared(k, (k * k).sum(-1)[None])

    def apply(self, u, q, k, ops=np):
        s = q[0] * (1 + u[0]) / (2 + k[0])
        return ops.where(k[0] < self.cut, s, -(1 / (3 - ops.minimum(s, 0.5))) + 2)

    def score(self, q, k):
        return self.evaluate(q, k)


def test_a_score_of_ones_own(backend):
    rng = np.random.default_rng(3)
    q, k, v = rng.standard_normal((3, 1, 2, 20, 5)).astype(np.float32)
    for cut in (5.0, 3.0):                 # a kernel each: `cut` is written into it
        score = Ratio(0.7, cut)
        out, lse = attention(q, k, v, score=score, backend=backend, return_lse=True)
        want = budget.expected(canonical(q, k, v, score=score), np.float32)
        assert not budget.compare("out", out, want.out, want.out_budget).reasons
        assert not budget.compare("lse", lse, want.lse, want.lse_budget).reasons


# --- what else a call does ---

def test_a_tolerance_holds(backend):
    call = make(by_name("score-hyperbolic-everything"))
    want = pipeline.expected(call)
    for tolerance in (0.3, 0.01):
        out, info = attention(**call, backend=backend, tolerance=tolerance, return_info=True,
                              tiling="auto" if backend == "reference" else Certified())
        error = np.abs(out - want.out).max(-1)
        assert (error <= info.error_bound + want.out_budget.max(-1)).all()
        assert (info.error_bound <= tolerance * np.abs(call["v"]).max()).all()


def test_arrays_on_a_device_come_back_to_it():
    call = make(by_name("score-euclidean"))
    on_device = dict(call, **{name: aat.to_device(call[name], backend="cpu") for name in "qkv"})
    out, lse = attention(**on_device, return_lse=True)
    assert isinstance(out, aat.DeviceArray) and isinstance(lse, aat.DeviceArray)
    np.testing.assert_array_equal(out.numpy(), attention(**call, backend="cpu"))


def test_a_cache_takes_scores():
    call = make(by_name("score-hyperbolic"))
    cache = aat.KVCache(2, 2, 64, 8)
    cache.append(call["k"], call["v"])
    for rows in (slice(0, 1), slice(0, 33)):
        got = cache.attention(call["q"][:, :, rows], causal=None, score=call["score"], backend="cpu")
        want = attention(call["q"][:, :, rows], call["k"], call["v"], score=call["score"], backend="cpu")
        np.testing.assert_array_equal(got, want)


def test_explain_and_supports_know_scores():
    call = make(by_name("score-fidelity"))
    assert "attention_forward.py" in str(aat.explain(**call, backend="cpu"))
    assert aat.supports(**call, backend="cpu") == []
    columns = aat.TileConfig.decode(4, 1, 100)
    assert any("score_mod, mask_mod or score object" in reason
               for reason in aat.supports(**call, backend="cpu", tiling=columns))


@pytest.mark.parametrize("name", ["cpu", "reference"])
@pytest.mark.parametrize(("score", "change", "message"), [
    (aat.attention.Fidelity(), {"q": 0}, r"states\.encode: x: expected finite vectors other than zero.*no dir"),
    (aat.attention.Fidelity(), {"D": 7}, r"fidelity: q: expected shape .*, D a multiple of 2, got"),
    (aat.attention.Geometric("spherical", chart="lift"), {"q": 3}, r"geometry\.lift: s: expected \|s\|\^2 <= 1 / c"),
    (aat.attention.Geometric("euclidean", beta=[1, 2, 3]), {}, r"euclidean: beta: expected one number, or one f"),
])
def test_rows_that_a_score_refuses(score, change, message, name):
    x = np.full((1, 2, 5, change.get("D", 8)), change.get("q", 0.1), np.float32)
    with pytest.raises(ValueError, match=message):
        attention(x, x, x, score=score, backend=name)


def test_zeros_past_kv_lens_are_no_states():
    call = make(by_name("score-fidelity-angle"))
    call["k"][0, :, 20:] = 0
    call["kv_lens"] = np.array([20, 0], np.int32)
    for backend in ("cpu", "reference"):
        out = attention(**call, backend=backend)
        assert np.isfinite(out).all() and not out[1].any()


def test_what_does_not_go_together():
    call = make(by_name("score-euclidean"))
    with pytest.raises(ValueError, match=r"score_mod, mask_mod: expected None with a score object, got a function"):
        attention(**call, score_mod=lambda s, b, h, q, k: s, backend="cpu")
    with pytest.raises(ValueError, match=r"scale: expected None with a score object, got 1"):
        attention(**call, scale=1, backend="cpu")
    team = aat.TileConfig(1, 1, 8, 8, 8, 8, 64, True, team=2)
    assert any("threads share no columns" in reason for reason in aat.supports(**call, backend="vulkan", tiling=team))


@pytest.mark.parametrize(("make_one", "message"), [
    (lambda: aat.attention.Geometric("flat"), r'Geometric: space: expected "hyperbolic" or "euclidean" or "spherical"'),
    (lambda: aat.attention.Geometric("euclidean", curvature=1), r'Geometric: curvature: expected None for "euclidean"'),
    (lambda: aat.attention.Geometric("euclidean", chart="exp"), r'Geometric: chart: expected None for "euclidean"'),
    (lambda: aat.attention.Geometric("hyperbolic", curvature=1), r"hyperbolic: curvature: expected numbers below 0, g"),
    (lambda: aat.attention.Geometric("spherical", curvature=0), r"spherical: curvature: expected numbers above 0, got"),
    (lambda: aat.attention.Fidelity(beta=0), r"fidelity: beta: expected numbers above 0, got 0"),
])
def test_parameters_are_checked(make_one, message):
    with pytest.raises(ValueError, match=message):
        make_one()


# --- the error budget of scores can fail ---

def wrong_by(part):
    """A copy of a score whose epilogue is off by a relative `part`, as a kernel with a bug would be."""
    class Wrong(scores.Hyperbolic):
        def apply(self, u, q, k, ops=np):
            return super().apply(u, q, k, ops) * (1 + part)
    return Wrong


@pytest.mark.parametrize(("part", "caught"), [(0.0, False), (3e-6, True)])
def test_the_budget_catches_a_wrong_epilogue(part, caught):
    call = make(by_name("score-hyperbolic"))
    want = pipeline.expected(call)
    wrong = wrong_by(part)(call["score"].beta, call["score"].curvature)
    out, lse = attention(**dict(call, score=wrong), backend="cpu", return_lse=True)
    assert pipeline.judge(call, out, lse, want).ok is not caught


@pytest.mark.parametrize("case", SCORED, ids=lambda case: case.name)
def test_steps_cover_float32_and_not_much_more(case):
    call = canonical(**make(case))
    inner, q, k = call["score"], call["q"][0].astype(float), call["k"][0].astype(float)
    k = k[:, :9] if "lens" in case.name or "difference" in case.name else k
    steps = Judged(inner).steps(q, k, 2.0**-24) * 2.0**-24
    error = np.abs(Narrow(inner).defined(q, k).astype(float) - inner.defined(q, k))
    fine = np.isfinite(error)
    assert (error <= steps)[fine].all()
    # a bound a thousand times too wide would not be met by a thousandth anywhere
    assert (error > steps / 100)[fine].any()


def test_every_score_has_a_case():
    shown = {dict(case.options)["score"][0] for case in CASES.values() if "score" in dict(case.options)}
    assert shown == set(scores.__all__)


DRAWN = ("score-euclidean", "score-hyperbolic-difference", "score-fidelity")


@settings(derandomize=True, max_examples=40, deadline=None, database=None)
@given(st.sampled_from(DRAWN), st.integers(33, 48), st.integers(1, 90), st.sampled_from((1, 2, 4)),
       st.integers(0, 2**16))
def test_drawn_sizes_on_the_cpu(name, Lq, Lk, Hk, seed):
    """The kernels of the case table on other sizes and data: few new ones are compiled."""
    case = by_name(name)
    options = dict(case.options)
    drawn = Case("drawn", Lq, Lk, 2, 4, Hk, case.D, case.Dv, fill=case.fill, options=tuple(options.items()), seed=seed)
    call = make(drawn)
    out, lse = attention(**call, backend="cpu", return_lse=True, out=pipeline.blank_output(call))
    verdict = pipeline.judge(call, out, lse, pipeline.expected(call), case=str(drawn), backend="cpu")
    assert verdict.ok, str(verdict)


def test_states_and_scores_agree():
    rng = np.random.default_rng(4)
    q, k = rng.standard_normal((2, 5, 8))
    F = states.fidelity(states.encode(q, planes=True)[:, None], states.encode(k, planes=True))
    np.testing.assert_allclose(scores.Fidelity(2.0).score(q, k), 2 * F, rtol=1e-12)
