"""A problem cut at an artificially small index limit equals the whole, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

from aat.arrays import span
from aat.attention import arguments, reference
from aat.attention.base import Result
from aat.attention.split import count_parts, run_in_parts

ml_dtypes = pytest.importorskip("ml_dtypes")


def stated(layout="bhsd", dtype=np.float32, **given):
    rng = np.random.default_rng(0)
    shapes = (3, 6, 5, 8), (3, 2, 7, 8), (3, 2, 7, 4)
    q, k, v = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    if layout == "bshd":
        q, k, v = (np.ascontiguousarray(x.swapaxes(1, 2)) for x in (q, k, v))
    return arguments.check(q, k, v, layout=layout, return_lse=True, **given).problem


rng = np.random.default_rng(1)
FEATURES = {
    "plain": {},
    "causal": {"causal": "lower_right"},
    "window and offsets": {"window": (2, 1), "q_offset": np.array([1, 2, -1])},
    "lengths and sinks": {"kv_lens": np.array([7, 0, 3]), "sinks": np.arange(6.0)},
    "full mask and bias": {"mask": rng.random((3, 6, 5, 7)) > 0.4, "bias": rng.standard_normal((3, 6, 5, 7))},
    "broadcast mask and bias": {"mask": rng.random((3, 1, 1, 7)) > 0.4,
                                "bias": rng.standard_normal((6, 5, 1))},
}


def reached(problem):
    """The largest span of the arrays of a problem."""
    shape = (problem.B, problem.Hq, problem.Lq, problem.Dv)
    arrays = [problem.q, problem.k, problem.v, problem.mask, problem.bias, problem.out]
    return max([np.prod(shape), *(span(x) for x in arrays if x is not None)])


@pytest.mark.parametrize("limit", [1000, 300, 100, 60])
@pytest.mark.parametrize("layout", ["bhsd", "bshd"])
@pytest.mark.parametrize("features", FEATURES)
def test_parts_are_the_whole(features, layout, limit):
    problem = stated(layout, **FEATURES[features])
    whole = reference.run(problem)
    seen = []

    def run(part):
        assert reached(part) <= limit
        seen.append(part)
        return reference.run(part)

    result, parts = run_in_parts(problem, run, limit)
    assert parts == len(seen) == count_parts(problem, limit)
    assert (parts > 1) == (reached(problem) > limit)
    np.testing.assert_array_equal(result.out, whole.out)
    np.testing.assert_array_equal(result.lse, whole.lse)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("with_out", [False, True])
def test_one_out_for_all_parts(dtype, with_out):
    problem = stated(dtype=dtype)
    whole = reference.run(problem)
    if with_out:
        problem = replace(problem, out=np.zeros((3, 5, 6, 4), whole.out.dtype).swapaxes(1, 2))
    # a mechanism that ignores problem.out and leaves float32
    result, parts = run_in_parts(problem, lambda part: reference.run(replace(part, out=None)), 60)
    assert parts > 6
    assert problem.out is None or result.out is problem.out
    assert result.out.dtype == whole.out.dtype
    np.testing.assert_array_equal(result.out, whole.out)
    assert result.lse.dtype == whole.lse.dtype


def test_counts_add_up():
    problem = stated()

    def run(part):
        result = reference.run(part)
        result.counts["visited"] = part.rows
        return result

    result, parts = run_in_parts(problem, run, 60)
    assert parts > 1
    assert result.counts == {"visited": problem.rows}


def test_heads_are_cut_in_whole_groups_before_rows():
    parts = []
    run_in_parts(stated(), lambda part: parts.append(part) or reference.run(part), 3 * 5 * 8)
    assert {(part.B, part.Hk, part.Hq, part.Lq) for part in parts} == {(1, 1, 3, 5)}


def test_one_group_with_one_row_is_cut_into_heads():
    problem = stated(mask=FEATURES["full mask and bias"]["mask"])
    parts = []
    short = replace(problem, k=problem.k[:, :, :, :1], q=problem.q[..., :1], v=problem.v[..., :1])
    result, _ = run_in_parts(short, lambda part: parts.append(part) or reference.run(part), 8)
    assert {(part.Hq, part.Lq) for part in parts} == {(1, 1)}
    np.testing.assert_array_equal(result.out, reference.run(short).out)


def test_parts_have_no_stride_that_int32_cannot_hold():
    x = np.zeros((1, 1, 3, 4), np.float32)
    # only ever sliced, never read
    far = np.lib.stride_tricks.as_strided(x, (2, 1, 3, 4), (2**42, 2**41, 16, 4))
    problem = replace(arguments.check(x, x, x).problem, q=far, k=far, v=far, q_offset=np.zeros(2, np.int32))
    seen = []

    def run(part):
        seen.append([part.q.strides, part.k.strides, part.v.strides])
        return Result(np.zeros((1, 1, 3, 4), np.float32))

    assert run_in_parts(problem, run)[1] == 2
    assert all(max(strides) < 2**31 for part in seen for strides in part)


def test_keys_spread_by_a_stride_are_copied_and_rows_stay_whole():
    # a head has 28 elements and spans 52
    k = np.arange(56, dtype=np.float32).reshape(1, 7, 2, 4).swapaxes(1, 2)
    problem = arguments.check(np.ones((1, 2, 3, 4), np.float32), k, k).problem
    parts = []
    result, _ = run_in_parts(problem, lambda part: parts.append(part) or reference.run(part), 30)
    assert [(part.Hq, part.Lq, span(part.k)) for part in parts] == [(1, 3, 28)] * 2
    np.testing.assert_array_equal(result.out, reference.run(problem).out)


@pytest.mark.parametrize(("limit", "name", "size"), [(55, "k", "7 x 8 = 56"), (55, "v", "7 x 9 = 63")])
def test_a_head_of_keys_over_the_limit_is_refused(limit, name, size):
    problem = stated()
    if name == "v":
        problem = replace(problem, k=problem.k[..., :1], q=problem.q[..., :1],
                          v=np.zeros((3, 2, 7, 9), np.float32))
    text = f"{name}: expected at most {limit} elements in a head .*, got {size}; attend to pieces of the keys"
    with pytest.raises(ValueError, match=text):
        run_in_parts(problem, reference.run, limit)
    with pytest.raises(ValueError, match=text):
        count_parts(problem, limit)


def test_an_array_over_the_real_limit_costs_nothing_to_check():
    q = np.broadcast_to(np.float32(1), (1, 2**20, 2**12, 8))
    k = np.broadcast_to(np.float32(1), (1, 2**20, 4, 8))
    problem = arguments.check(q, k, k).problem
    assert count_parts(problem) == 2**5  # the result, not q, is too large: 2**35 elements
