"""The parts of the demo's model that are not attention, against float64 formulas."""

import math
import time

import numpy as np
import pytest

from aat.demo.layers import GELU_BLOCK, gelu, layer_norm, linear, pool
from aat.demo.measure import interleaved


@pytest.mark.parametrize("size", [0, 1, 1000, GELU_BLOCK, GELU_BLOCK + 1, 3 * GELU_BLOCK + 7])
def test_gelu_is_x_times_the_normal_distribution(size):
    x = np.linspace(-12, 12, size).astype(np.float32)
    exact = np.array([0.5 * t * math.erfc(-t / math.sqrt(2)) for t in map(float, x)])
    error = np.abs(gelu(x.copy()) - exact)
    assert (error <= 1.3e-7 * np.maximum(1, np.abs(x))).all(), error.max()


def test_gelu_works_in_place_on_any_shape():
    x = np.arange(-12, 12, dtype=np.float32).reshape(2, 3, 4)
    assert gelu(x) is x
    np.testing.assert_array_equal(x.reshape(-1), gelu(np.arange(-12, 12, dtype=np.float32)))


def test_gelu_of_huge_values_is_the_value_or_zero():
    np.testing.assert_array_equal(gelu(np.array([1e4, -1e4], np.float32)), [1e4, 0])


def test_layer_norm_gives_mean_and_deviation_of_bias_and_weight():
    x = np.random.default_rng(0).normal(3, 5, (2, 7, 384)).astype(np.float32)
    y = layer_norm(x, 1e-12, np.full(384, 2, np.float32), np.full(384, 0.5, np.float32))
    np.testing.assert_allclose(y.mean(-1), 0.5, atol=1e-5)
    np.testing.assert_allclose(y.std(-1), 2, rtol=1e-5)


def test_linear_is_a_matrix_product_over_the_last_axis():
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    np.testing.assert_allclose(linear(x, w, b), np.einsum("bli,io->blo", x, w) + b, rtol=1e-12)


def test_pool_reads_only_the_tokens_of_the_text():
    x = np.random.default_rng(2).normal(size=(2, 5, 8)).astype(np.float32)
    lens = np.array([3, 5], np.int32)
    got = pool(x, lens)
    np.testing.assert_allclose(np.linalg.norm(got, axis=-1), 1, rtol=1e-6)
    x[0, 3:] = 1e6
    np.testing.assert_array_equal(pool(x, lens), got)


def test_interleaved_times_in_the_order_a_b_b_a(monkeypatch):
    clock, order = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def taking(name, seconds):
        def call():
            order.append(name)
            clock[0] += seconds * len(order)  # a machine that slows down as it goes
        return call

    found = interleaved(taking("a", 1), taking("b", 2), 2)
    assert "".join(order) == "abbaabba"
    # rounds: a 1 + 4, b 2 (2 + 3); a 5 + 8, b 2 (6 + 7); the drift cancels
    assert (found.ratio, found.lowest, found.highest, found.rounds) == (2, 2, 2, 2)
    assert (found.ours, found.plain) == (4.5, 9)


def test_interleaved_stops_after_the_round_in_which_its_time_is_up(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def slow():
        clock[0] += 1

    assert interleaved(slow, slow, 5, limit=7).rounds == 2
    assert interleaved(slow, slow, 5, limit=0).rounds == 1
