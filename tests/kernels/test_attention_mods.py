"""Functions in the kernel against the bias or mask array that states the same, and what goes together with them."""
import numpy as np
import pytest

import aat
from aat.backends import select
from aat.validation import mods, pipeline
from aat.validation.cases import make, tagged

STATED = [case for case in tagged("mods", "small") if case.dtype == "f32"]


def dense(case, call):
    """The call with arrays in place of its functions; None for a function that no array states."""
    offset = np.broadcast_to(np.asarray(call.get("q_offset", 0)), (case.B,))
    b, h, q, k = np.ogrid[:case.B, :case.Hq, :case.Lq, :case.Lk]
    q = q + offset[:, None, None, None]
    given, options = dict(call), dict(case.options)
    for name, array in (("score_mod", "bias"), ("mask_mod", "mask")):
        if given.pop(name, None) is None:
            continue
        states = mods.make(options[name], case)[1]
        if states is None or given.get(array) is not None:
            return None
        given[array] = np.broadcast_to(states(b, h, q, k), (case.B, case.Hq, case.Lq, case.Lk))
        if array == "bias":
            given[array] = given[array].astype(np.float32)
    return given


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
@pytest.mark.parametrize("case", STATED, ids=lambda case: case.name)
def test_a_function_is_the_array_that_states_the_same(case, backend):
    call = make(case)
    if call.get("causal") == "lower_right":
        pytest.skip("positions of lower_right come from lengths")
    given = dense(case, call)
    if given is None or (given.get("softcap") and "bias" in given):
        pytest.skip("no array states it")
    out, lse = aat.attention(**call, backend=backend, return_lse=True)
    verdict = pipeline.judge(given, out, lse, pipeline.expected(given), case=case.name, backend=backend)
    assert verdict.ok, str(verdict)


def small(seed=0, **more):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.standard_normal((1, 2, 40, 8), np.float32) for _ in range(3))
    return dict(q=q, k=k, v=v, backend="cpu") | more


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_captured_arrays_are_read_anew_and_compile_nothing(backend):
    slopes = np.array([0.5, 0.25], np.float32)

    def alibi(s, b, h, q, k):
        return s - slopes[h] * aat.lane.abs(q - k)

    call = small(score_mod=alibi, return_lse=True)
    first = aat.attention(**call)
    with select.use("cpu") as session:
        kernels = set(session._kernels)
    slopes[:] = 0
    second = aat.attention(**call)
    again = call | {"score_mod": lambda s, b, h, q, k: s - slopes[h] * aat.lane.abs(q - k)}
    np.testing.assert_array_equal(second[0], aat.attention(**again)[0])
    with select.use("cpu") as session:
        assert set(session._kernels) == kernels
    plain = {name: x for name, x in small().items() if name != "backend"}
    distance = -np.abs(np.arange(40)[:, None] - np.arange(40))
    sloped = plain | {"bias": (np.array([0.5, 0.25], np.float32)[:, None, None] * distance)[None].astype(np.float32)}
    for found, given, other in ((first, sloped, plain), (second, plain, sloped)):
        assert pipeline.judge(given, *found, pipeline.expected(given)).ok
        assert not pipeline.judge(other, *found, pipeline.expected(other)).ok


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
def test_with_a_tolerance_the_bound_holds(backend):
    def window(b, h, q, k):
        return (q >= k) & (q - k < 30)

    call = small(mask_mod=window) | {"backend": backend}
    exact = aat.attention(**call)
    out, info = aat.attention(**call, tolerance=0.05, return_info=True)
    rounding = pipeline.expected({name: x for name, x in call.items() if name != "backend"}).out_budget
    assert np.all(np.abs(out - exact) <= info.error_bound[..., None] + 2 * rounding)


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_tiles_that_a_mask_leaves_empty_are_not_visited(backend):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 1, 640, 8), np.float32) for _ in range(3))
    _, info = aat.attention(q, k, v, mask_mod=lambda b, h, q, k: q // 320 == k // 320, backend="cpu", return_info=True)
    assert info.tiles["visited"] < 0.7 * info.tiles["total"]
    _, causal = aat.attention(q, k, v, causal=True, backend="cpu", return_info=True)
    _, info = aat.attention(q, k, v, mask_mod=lambda b, h, q, k: q >= k, backend="cpu", return_info=True)
    assert info.tiles["visited"] == causal.tiles["visited"]


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_an_object_that_is_empty_is_a_function_too(backend):
    """Its truth is not asked: a call with it is no repetition of one without."""
    class Shifted(list):
        def __call__(self, s, b, h, q, k):
            return s + 1.0 * (q - k)

    q, k, v = (np.random.default_rng(n).standard_normal((1, 2, 40, 32)).astype(np.float32) for n in range(3))
    call, shifted = dict(q=q, k=k, v=v, backend="cpu"), Shifted()       # as wide as calls that are kept
    plain = [aat.attention(**call) for _ in range(2)]
    found = aat.attention(**call, score_mod=shifted)
    assert not np.array_equal(found, plain[1])
    np.testing.assert_array_equal(found, aat.attention(**call, score_mod=lambda s, b, h, q, k: s + 1.0 * (q - k)))
