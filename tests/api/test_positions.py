"""Where queries stand: causal in both alignments, windows, lengths, offsets, against masks written out by
hand.
"""

import numpy as np
import pytest

import aat
from aat.attention import arguments

LARGE = 2**40


def draw(rows, keys, batch=2):
    rng = np.random.default_rng(rows + 100 * keys)
    return [rng.standard_normal(shape, np.float32)
            for shape in ((batch, 4, rows, 8), (batch, 2, keys, 8), (batch, 2, keys, 3))]


def run(arrays, **kwargs):
    return aat.attention(*arrays, backend="reference", return_lse=True, **kwargs)


def by_hand(rows, keys, offset, left, right, lens):
    """bool (B, 1, rows, keys) from the definition, one (query, key) pair at a time."""
    mask = np.zeros((len(offset), 1, rows, keys), bool)
    for b in range(len(offset)):
        for i in range(rows):
            for j in range(keys):
                p = i + offset[b]
                mask[b, 0, i, j] = ((left is None or j >= p - left) and (right is None or j <= p + right)
                                    and j < lens[b])
    return mask


ALIGNMENTS = {
    # arguments: (offset of batch 0 and 1, is it causal), for rows, keys and lens
    "none": ({}, lambda rows, keys, lens: (0, 0), False),
    "upper_left": ({"causal": "upper_left"}, lambda rows, keys, lens: (0, 0), True),
    "lower_right": ({"causal": "lower_right"}, lambda rows, keys, lens: tuple(n - rows for n in lens), True),
    "offset": ({"q_offset": 2}, lambda rows, keys, lens: (2, 2), False),
    "offset each, causal": ({"q_offset": np.array([-1, 3]), "causal": True}, lambda rows, keys, lens: (-1, 3),
                            True),
    "offset over lower_right": ({"q_offset": np.int64(1), "causal": "lower_right"}, lambda rows, keys,
                                lens: (1, 1), True),
    "offset over upper_left": ({"q_offset": np.array(-2), "causal": "upper_left"}, lambda rows, keys,
                               lens: (-2, -2), True),
}


@pytest.mark.parametrize("lens", [None, (3, 0)])
@pytest.mark.parametrize("window", [(None, None), (1, None), (None, 1), (2, 1), (0, 0), (LARGE, LARGE)])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(("rows", "keys"), [(5, 5), (3, 7), (7, 3), (1, 6)])
def test_against_the_mask_by_hand(rows, keys, alignment, window, lens):
    given, offset, causal = ALIGNMENTS[alignment]
    arrays = draw(rows, keys)
    left, right = window
    right = 0 if causal else right
    counts = (keys, keys) if lens is None else lens
    mask = by_hand(rows, keys, offset(rows, keys, counts), left, right, counts)
    out, lse = run(arrays, window=window, kv_lens=None if lens is None else np.array(lens), **given)
    expected, expected_lse = run(arrays, mask=mask)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(lse, expected_lse)


def test_causal_true_where_both_readings_agree():
    arrays = draw(5, 5)
    expected, _ = run(arrays, causal="lower_right")
    for causal in (True, np.True_, "upper_left"):
        np.testing.assert_array_equal(run(arrays, causal=causal)[0], expected)
    for causal in (None, False, np.False_):
        np.testing.assert_array_equal(run(arrays, causal=causal)[0], run(arrays)[0])


def problem(rows=3, keys=7, **given):
    return arguments.check(*draw(rows, keys), **given).problem


def test_what_the_problem_says():
    stated = problem(causal="lower_right", window=(2, 5), kv_lens=np.array([7, 1], np.int64))
    assert (stated.left, stated.right) == (2, 0)
    assert stated.q_offset.tolist() == [4, -2]
    assert stated.q_offset.dtype == stated.kv_lens.dtype == np.int32
    assert problem().q_offset.tolist() == [0, 0]
    assert problem(window=(None, 3)).right == 3


@pytest.mark.parametrize("shape", [(3, 7), (1, 7), (7, 3)])
@pytest.mark.parametrize("given",
                         [{"window": (LARGE, LARGE)}, {"window": (2**30, 2**30)}, {"window": (2**31, 2**30)}])
def test_bounds_beyond_every_key_become_none(given, shape):
    stated = problem(*shape, **given)
    assert (stated.left, stated.right) == (None, None)


def test_a_bound_over_the_limit_is_dropped_only_where_it_excludes_no_key():
    given = {"q_offset": 6 - 2**30, "window": (None, 2**30)}  # the first row sees keys up to 6
    assert problem(3, 7, **given).right is None
    with pytest.raises(ValueError, match="window: expected right below 2"):
        problem(3, 8, **given)


def test_positions_up_to_the_limit_are_right():
    far = 2**30 - 4
    arrays = draw(3, 7)
    out, lse = run(arrays, q_offset=far,
                   window=(far - 2, None))  # rows at far .. far + 2 see keys 2.., 3.., 4..
    mask = np.arange(7) >= np.arange(2, 5)[:, None]
    np.testing.assert_array_equal(out, run(arrays, mask=mask)[0])
    assert np.isfinite(lse).all()
    out, _ = run(arrays, q_offset=-far,
                 window=(None, far + 1))  # rows at -far .. -far + 2 see keys ..1, ..2, ..3
    mask = np.arange(7) <= np.arange(1, 4)[:, None]
    np.testing.assert_array_equal(out, run(arrays, mask=mask)[0])
