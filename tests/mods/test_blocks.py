"""aat.block_mask: empty and full only where proven, cheap, and as FlexAttention has it."""
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import aat
from aat import lane

RNG = np.random.default_rng(3)
DOCUMENT = np.cumsum(RNG.random(200) < 0.08).astype(np.int32)
SHUFFLED = RNG.integers(0, 4, 200)
FLOATS = RNG.standard_normal((3, 300)).astype(np.float32)


def numbers(depth):
    """Integer expressions as text, and float ones."""
    whole = st.sampled_from(["q", "k", "b", "h", "3", "7", "(q - k)", "(k - q)"])
    tables = ["DOCUMENT[lane.minimum(lane.maximum({0}, 0), 199)]", "SHUFFLED[lane.abs({0}) % 200]"]
    for _ in range(depth):
        x = whole
        whole = st.one_of(
            st.builds("({} {} {})".format, x, st.sampled_from("+-*"), x),
            st.builds("({} {} {})".format, x, st.sampled_from(["//", "%"]),
                      st.sampled_from(["3", "16", "-5", "(k + 1)"])),
            st.builds("lane.{}({}, {})".format, st.sampled_from(["minimum", "maximum"]), x, x),
            st.builds(str.format, st.sampled_from([*tables, "lane.abs({0})", "(-{0})"]), x), x)
    return whole


def conditions():
    whole = numbers(2)
    real = st.one_of(
        st.builds("({} * 0.25)".format, whole), st.builds("lane.exp(lane.minimum({} * 0.1, 3.0))".format, whole),
        st.builds("lane.tanh({} / 9)".format, whole), st.builds("FLOATS[h, lane.abs({}) % 300]".format, whole),
        st.builds("lane.sqrt({} * 1.0)".format, whole), st.builds("lane.log({} + 0.5)".format, whole),
        st.builds("(1 / ({} - 2.5))".format, whole))
    compare = st.one_of(
        st.builds("({} {} {})".format, whole, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), whole),
        st.builds("({} {} {})".format, real, st.sampled_from(["<", "<=", ">", ">="]), real))
    return st.one_of(st.builds("({} {} {})".format, compare, st.sampled_from("&|^"), compare),
                     st.builds("(~{})".format, compare),
                     st.builds("lane.where({}, {}, {})".format, compare, compare, compare), compare)


# Edges that few random expressions meet.
EDGES = ["(q - k) % 3 == 2", "(q - k) % -5 == -4", "(q + k) // 16 == 3", "1 / (q - 2.5) < 2", "1 / (q - 2.5) > -1.9",
         "q // (k + 1) > 2", "SHUFFLED[k] == 3", "DOCUMENT[q % 200] == DOCUMENT[k]", "FLOATS[h, k] > 1.0",
         "lane.log(q + 0.5) >= 4", "(q > 9) ^ (k > 9)", "(q == k) | (h == 1) & (b < 1)", "lane.abs(q - k) <= 5"]


@pytest.mark.parametrize("block", [(1, 1), (7, 16), (32, 3)], ids=str)
@pytest.mark.parametrize("text", EDGES)
def test_edges_keep_the_law(text, block):
    keeps_the_law(text, (2, 3, 90, 80), block, 5)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(text=conditions(), sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 90), st.integers(1, 90)),
       block=st.tuples(st.integers(1, 40), st.integers(1, 40)), offset=st.integers(-30, 60))
def test_law_a_tile_is_empty_or_full_only_if_every_pair_is(text, sizes, block, offset):
    try:
        with np.errstate(all="ignore"):
            keeps_the_law(text, sizes, block, offset)
    except (TypeError, ValueError) as refused:
        told = str(refused)         # large whole numbers, a divisor that is 0, an expression without variables
        assume(not any(reason in told for reason in ("int32", "divisors", "a number from", "traced")))
        raise


def keeps_the_law(text, sizes, block, offset):
    mod = eval(f"lambda b, h, q, k: {text}", {"lane": lane, "DOCUMENT": DOCUMENT, "SHUFFLED": SHUFFLED,
                                              "FLOATS": FLOATS})
    found = aat.block_mask(mod, *sizes, block=block, q_offset=offset)
    looked = aat.block_mask(mod, *sizes, block=block, q_offset=offset, exact=True)
    B, H, Lq, Lk = sizes
    b, h, q, k = np.ogrid[:B, :H, offset:offset + Lq, :Lk]
    with np.errstate(all="ignore"):
        dense = np.broadcast_to(mod(b, h, q, k), sizes)
    counts = dense
    for axis, size in ((2, block[0]), (3, block[1])):
        counts = np.add.reduceat(counts, range(0, counts.shape[axis], size), axis=axis, dtype=np.int64)
    pairs = np.ones((Lq, Lk), np.int64)
    for axis, size in ((0, block[0]), (1, block[1])):
        pairs = np.add.reduceat(pairs, range(0, pairs.shape[axis], size), axis=axis)
    want = np.where(counts == 0, 0, np.where(counts == pairs, 2, 1))
    kinds = np.broadcast_to(found.kinds, want.shape)
    assert (want[kinds == 0] == 0).all() and (want[kinds == 2] == 2).all()
    np.testing.assert_array_equal(np.broadcast_to(looked.kinds, want.shape), want)


def window(b, h, q, k):
    return (q >= k) & (q - k < 1024)


def test_a_sliding_window_of_65536_is_cheap():
    n = 65536
    aat.block_mask(window, 1, 1, n, n)
    tracemalloc.start()
    found = aat.block_mask(window, 1, 1, n, n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    # 512 query tiles: the own one and the one at the far end partial, 7 full between them
    assert np.count_nonzero(found.kinds == 1) == 512 + 504 and np.count_nonzero(found.kinds == 2) == 7 * 512 - 28


def test_known_masks_are_found_exactly():
    causal = aat.block_mask(lambda b, h, q, k: q >= k, 2, 3, 256, 256, block=64)
    assert causal.kinds.shape == (1, 1, 4, 4)
    np.testing.assert_array_equal(causal.kinds[0, 0], np.tri(4, k=-1) * 2 + np.eye(4))
    documents = np.repeat(np.arange(4), 64)
    found = aat.block_mask(lambda b, h, q, k: documents[q] == documents[k], 1, 1, 256, 256, block=64)
    np.testing.assert_array_equal(found.kinds[0, 0], 2 * np.eye(4))
    heads = aat.block_mask(lambda b, h, q, k: h == 1, 2, 3, 100, 70, block=64)
    assert heads.kinds.shape == (1, 3, 2, 2) and heads.sparsity == 2 / 3
    moved = aat.block_mask(lambda b, h, q, k: q >= k, 2, 1, 64, 256, block=64, q_offset=[0, 128])
    np.testing.assert_array_equal(moved.kinds[:, 0, 0], [[1, 0, 0, 0], [2, 2, 1, 0]])


def test_there_and_back_as_flexattention_has_it():
    found = aat.block_mask(lambda b, h, q, k: (q >= k) & (q - k < 40 * (h + 1)), 2, 3, 300, 200, block=(32, 64))
    tensors = found.tensors()
    assert tensors["kv_indices"].shape == (2, 3, 10, 4) and tensors["kv_num_blocks"].dtype == np.int32
    for prefix, kind in (("", 1), ("full_", 2)):
        listed = tensors[f"{prefix}kv_indices"][1, 2, 5, :tensors[f"{prefix}kv_num_blocks"][1, 2, 5]]
        np.testing.assert_array_equal(listed, np.flatnonzero(found.kinds[0, 2, 5] == kind))
    back = aat.BlockMask.of_tensors(**tensors, shape=found.shape, block=found.block)
    np.testing.assert_array_equal(back.kinds, np.broadcast_to(found.kinds, back.kinds.shape))
    partial = {name: x for name, x in tensors.items() if not name.startswith("full")}
    assert set(np.unique(aat.BlockMask.of_tensors(**partial, shape=found.shape, block=found.block).kinds)) == {0, 1}


def test_tensors_that_do_not_fit_are_refused():
    tensors = aat.block_mask(lambda b, h, q, k: q >= k, 1, 1, 256, 256, block=64).tensors()
    with pytest.raises(ValueError, match="kv_num_blocks: expected shape"):
        aat.BlockMask.of_tensors(**tensors, shape=(1, 1, 512, 256), block=64)
    with pytest.raises(ValueError, match="listed twice"):
        aat.BlockMask.of_tensors(**{**tensors, "full_kv_num_blocks": tensors["full_kv_num_blocks"] + 1},
                                 shape=(1, 1, 256, 256), block=64)


@pytest.mark.parametrize(("arguments", "message"), [
    (dict(B=-1), "B: expected a whole number from 0"), (dict(block=0), "block: expected a whole number from 1"),
    (dict(Lq=2.5), "Lq: expected a whole number, got a float"), (dict(q_offset=0.5), "q_offset: expected an integer"),
])
def test_wrong_sizes_are_refused(arguments, message):
    sizes = dict(B=1, H=1, Lq=8, Lk=8) | arguments
    with pytest.raises((TypeError, ValueError), match=message):
        aat.block_mask(window, **sizes)


def test_empty_problems():
    assert aat.block_mask(window, 0, 2, 8, 8).kinds.size == 0 and aat.block_mask(window, 1, 1, 8, 0).kinds.size == 0


def test_an_index_outside_of_its_array_is_told_with_a_witness():
    short = np.zeros(50, np.int32)
    with pytest.raises(ValueError, match=r"captured array of shape \(50,\), got (50|63)"):
        aat.block_mask(lambda b, h, q, k: short[q] == 0, 1, 1, 64, 8)
    # a clamp that intervals alone cannot see through
    aat.block_mask(lambda b, h, q, k: short[q - q // 50 * 50] == 0, 1, 1, 64, 8)
