"""Tile configurations and the counting of what a launch visits."""
import numpy as np
import pytest

import aat
from aat.tiling.base import TileConfig, count_groups, key_ranges

CPU = TileConfig(16, 2, 8, 64, 64, 8)
GPU = TileConfig(1, 2, 8, 8, 32, 64, 128, True)


def visible(offset, left, right, queries, keys):
    position = np.arange(queries)[:, None] + offset
    j = np.arange(keys)
    seen = np.ones((queries, keys), bool)
    if left is not None:
        seen &= j >= position - left
    if right is not None:
        seen &= j <= position + right
    return seen


@pytest.mark.parametrize("left", [None, 0, 3, 50])
@pytest.mark.parametrize("right", [None, 0, 2, 50])
@pytest.mark.parametrize("offset", [-20, 0, 7, 60])
def test_key_ranges_are_the_union_and_the_intersection_of_what_rows_see(left, right, offset):
    seen = visible(offset, left, right, 12, 30)
    begin, end, full_begin, full_end = (int(x) for x in key_ranges(np.int64(2), np.int64(9), offset, left, right, 30))
    some, every = seen[2:10].any(0), seen[2:10].all(0)
    assert not some[:begin].any()
    assert not some[max(end, begin):].any()
    assert every[full_begin:full_end].all()
    assert every.sum() == max(full_end - full_begin, 0)


@pytest.mark.parametrize("config", [CPU, TileConfig(8, 2, 4, 16, 16, 4), GPU], ids=["cpu16", "cpu8", "gpu"])
@pytest.mark.parametrize(("left", "right"), [(None, None), (None, 0), (20, 5), (0, 0)])
def test_counts_agree_with_brute_force(config, left, right):
    offsets, lengths = np.array([0, 40, -30]), np.array([150, 150, 61])
    queries, keys, heads = 130, 150, 2
    counts = count_groups(config, "f32", offsets, lengths, heads, queries, keys, left, right)
    want = dict.fromkeys(counts, 0)
    rows, group = config.rows_per_program(), config.keys_per_group
    for offset, length in zip(offsets, lengths, strict=True):
        seen = visible(offset, left, right, queries, keys)
        seen[:, length:] = False
        for first in range(0, queries, rows):
            for start in range(0, keys, group):
                tile = seen[first:first + rows, start:start + group]
                want["total"] += heads
                want["visited"] += heads * bool(tile.any())
                want["full"] += heads * bool(tile.all() and start + group <= length)
        want["pairs"] += heads * int(seen.sum())
    # A program visits one contiguous range, so it may visit a group that lies between two that its rows see.
    assert counts["visited"] >= want["visited"]
    assert {k: counts[k] for k in ("full", "total", "pairs")} == {k: want[k] for k in ("full", "total", "pairs")}
    if (left, right) != (0, 0):
        assert counts["visited"] == want["visited"]


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
@pytest.mark.parametrize("causal", [None, "lower_right"])
def test_the_kernel_counts_what_the_host_counts(backend, causal):
    rng = np.random.default_rng(0)
    q, k = (rng.standard_normal((2, 2, n, 16), dtype=np.float32) for n in (100, 170))
    lens = np.array([170, 90])
    _, info = aat.attention(q, k, k, causal=causal, kv_lens=lens, backend=backend, return_info=True)
    offsets = lens - 100 if causal else np.zeros(2, int)
    want = count_groups(info.config, "f32", offsets, lens, 2, 100, 170, None, 0 if causal else None)
    assert info.tiles == {name: want[name] for name in ("visited", "full", "total")}
    assert info.multiply_adds == want["visited"] * info.config.rows_per_program() * info.config.keys_per_group * 32


def test_causal_visits_half_of_the_groups():
    counts = count_groups(CPU, "f32", np.zeros(1, int), np.array([4096]), 1, 4096, 4096, None, 0)
    assert counts["visited"] == sum(-(-32 * (t + 1) // 64) for t in range(128))
    assert counts["visited"] / counts["total"] < 0.51


DEVICE = {"d": 64, "dv": 64, "shared_bytes": 49152, "max_threads": 1024}


@pytest.mark.parametrize(("config", "device", "reason"), [
    (TileConfig(16, 2, 8, 60, 60, 8), "cpu", r"keys_per_group \(60\) must be a multiple of keys_per_block \(8\)"),
    (TileConfig(16, 2, 8, 64, 96, 8), "cpu", r"keys_per_tile \(96\) must be a multiple of keys_per_group \(64\)"),
    (TileConfig(16, 2, 8, 64, 64, 65), "cpu", r"columns_per_block \(65\) must not exceed the value columns \(64\)"),
    (TileConfig(5, 2, 8, 64, 64, 8), "cpu", "lane_width must be 4, 8 or 16"),
    (TileConfig(16, 2, 8, 64, 64, 8, 2), "cpu", "threads must be 1"),
    (TileConfig(16, 2, 8, 64, 64, 8, 1, True), "cpu", "registers must be False"),
    (TileConfig(16, 2, 8, 64, 128, 8), "cpu", "keys_per_tile must equal keys_per_group"),
    (TileConfig(16, 0, 8, 64, 64, 8), "cpu", "lane_vectors must be a positive integer, got 0"),
    (TileConfig(1, 2, 8, 8, 128, 64, 128, True), "vulkan", "needs 65536 bytes of shared memory, the device has 49152"),
    (TileConfig(1, 2, 8, 8, 32, 64, 2048, True), "vulkan", r"threads \(2048\) exceeds the device's 1024"),
    (CPU, "vulkan", "lane_width must be 1 on the vulkan backend"),
    (TileConfig(16, 2, 8, 64, 64, 8, keys_per_part=96), "cpu",
     r"keys_per_part must be 0 or a multiple of keys_per_tile \(64\), got 96"),
    (TileConfig(16, 2, 8, 64, 64, 8, keys_per_part=-64), "cpu", "keys_per_part must be 0 or .*, got -64"),
    (TileConfig(16, 2, 8, 64, 64, 8, keys_per_part=True), "cpu", "keys_per_part must be 0 or .*, got True"),
    (TileConfig(16, 4, 4, 16, 256, 64, columns=True, keys_per_part=256), "cpu", "keys_per_part must be 0, got 256"),
    (TileConfig(1, 2, 4, 8, 32, 64, 128, True), "vulkan", "registers needs keys_per_group == keys_per_block"),
])
def test_every_broken_constraint_is_named(config, device, reason):
    reasons = config.problems(backend=device, **DEVICE)
    with pytest.raises(ValueError, match=reason):
        raise ValueError("; ".join(reasons))


@pytest.mark.parametrize("d", [1, 7, 16, 32, 59, 64, 72, 96, 128, 160, 256, 300, 512])
@pytest.mark.parametrize("shared", [16384, 32768, 49152, 232448])
def test_defaults_fit_every_device_down_to_the_least_that_vulkan_allows(d, shared):
    for width, backend in ((16, "cpu"), (8, "cpu"), (4, "cpu"), (1, "vulkan")):
        config = TileConfig.default(width, d, d, shared)
        assert config.problems(backend=backend, d=d, dv=d, shared_bytes=shared, max_threads=128) == []


def test_a_config_changes_speed_and_not_results():
    rng = np.random.default_rng(1)
    q, k, v = (rng.standard_normal((1, 2, 100, 24), dtype=np.float32) for _ in range(3))
    exact = aat.attention(q, k, v, backend="reference")
    for config in (TileConfig(16, 1, 4, 8, 8, 5), TileConfig(8, 2, 2, 32, 32, 4), TileConfig(4, 2, 4, 64, 64, 1)):
        out, info = aat.attention(q, k, v, backend="cpu", tiling=config, return_info=True)
        assert info.config == config
        np.testing.assert_allclose(out, exact, atol=1e-6)


def test_a_config_that_the_device_cannot_hold_is_refused_by_name_and_the_next_call_is_right():
    q = np.ones((1, 1, 4, 8), np.float32)
    with pytest.raises(aat.BackendError, match="lane_width must be 4, 8 or 16"):
        aat.attention(q, q, q, backend="cpu", tiling=GPU)
    np.testing.assert_array_equal(aat.attention(q, q, q, backend="cpu"), q)
