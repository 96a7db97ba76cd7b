"""The search against exhaustive search on synthetic costs, with a clock of its own; the space against its predicate."""
import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aat.backends import cpu
from aat.backends.base import Limits
from aat.tiling.base import TileConfig
from aat.tiling.optimization import search as module
from aat.tiling.optimization.search import gains_enough, search
from aat.tiling.optimization.space import CPU_AXES, GPU_AXES, space

AVX512 = Limits(registers=32, lanes=16, l1_bytes=32768, l2_bytes=1 << 20)
AVX2 = Limits(registers=16, lanes=8, l1_bytes=32768, l2_bytes=262144)
GPU = Limits(shared_bytes=49152, threads_per_block=1024, registers=128)
SMALL = {"lane_vectors": (1, 2, 3, 4), "keys_per_block": (2, 4, 6, 8), "keys_per_group": (32, 64, 96, 192),
         "columns_per_block": (2, 4, 6, 8)}


class Clock:
    """Seconds that pass only when something is measured."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def bowl(config):
    """A cost as tiles have it: a best number of accumulators, a best group, and wide lanes preferred."""
    accumulators = config.lane_vectors * config.keys_per_block
    columns = config.lane_vectors * config.columns_per_block
    return (1 + abs(math.log2(accumulators / 16)) + 0.3 * abs(math.log2(columns / 12))
            + 0.5 * abs(math.log2(config.keys_per_group / 64)) + 0.2 * abs(config.lane_vectors - 2))


def measuring(cost, clock, seconds=1.0, seen=None):
    def measure(config, effort):
        clock.now += seconds * 2**effort
        if seen is not None:
            seen.append((config, effort))
        return cost(config)
    return measure


def look(cost, axes=SMALL, seconds=1e9, limits=AVX512, **options):
    clock = options.pop("clock", None) or Clock()
    grid = space("cpu", 16, 64, 64, limits, axes)
    return grid, search(grid, measuring(cost, clock, seen=options.pop("seen", None)), clock=clock, seconds=seconds,
                        **options)


def test_the_descent_finds_what_exhaustive_search_finds():
    grid, found = look(bowl)
    _, everything = look(bowl, exhaustive=True)
    assert set(everything.costs) == set(grid.configs())
    assert found.complete and found.best == everything.best == min(grid.configs(), key=bowl)
    assert len(found.costs) < len(everything.costs) * 0.8


def test_on_the_whole_grid_it_measures_a_small_part():
    clock = Clock()
    grid = space("cpu", 16, 64, 64, AVX512)
    found = search(grid, measuring(bowl, clock), clock=clock, seconds=1e9)
    best = min(map(bowl, grid.configs()))
    assert bowl(found.best) <= 1.01 * best
    assert len(found.costs) < 0.1 * len(grid.configs())


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_the_costs_nothing_worse_than_the_default_is_returned(rng):
    table: dict = {}

    def cost(config):
        return table.setdefault(config, rng.choice([rng.uniform(0.5, 2), math.inf]))
    grid = space("cpu", 16, 64, 64, AVX512, SMALL)
    table[grid.default] = 1.0
    _, found = look(cost)
    assert cost(found.best) <= 1.0 and found.best in grid.configs()
    assert all(found.costs[c] == cost(c) for c in found.costs)


def test_noise_leads_to_a_config_near_the_best():
    rng = random.Random(1)
    grid, found = look(lambda config: bowl(config) * rng.gauss(1, 0.05))
    order = sorted(map(bowl, grid.configs()))
    assert bowl(found.best) <= order[len(order) // 10]


def test_the_default_is_measured_first_even_without_time():
    seen: list = []
    grid, found = look(bowl, seconds=0, seen=seen)
    assert [config for config, _ in seen] == [grid.default]
    assert found.best == grid.default and not found.complete


def test_it_stops_when_the_time_is_up():
    clock, seen = Clock(), []
    _, found = look(bowl, seconds=30, clock=clock, seen=seen)
    longest = 2**module.LONGEST
    assert not found.complete and 30 <= clock.now < 30 + longest
    assert bowl(found.best) == min(bowl(config) for config, _ in seen)


def test_a_refused_config_is_measured_once_and_never_returned():
    seen: list = []
    best = min(space("cpu", 16, 64, 64, AVX512, SMALL).configs(), key=bowl)
    _, found = look(lambda config: math.inf if config == best else bowl(config), exhaustive=True, seen=seen)
    assert [config for config, _ in seen].count(best) == 1
    assert found.best != best and found.costs[best] == math.inf and best not in found.ranking()


def test_if_everything_is_refused_the_default_is_left():
    grid, found = look(lambda config: math.inf)
    assert found.best == grid.default and found.ranking() == []


def test_progress_rises_and_names_what_is_measured():
    told: list = []
    look(bowl, seconds=50, progress=lambda fraction, config: told.append((fraction, config)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] <= 1
    assert all(isinstance(config, TileConfig) for _, config in told)


@pytest.mark.parametrize(("low", "enough"), [(0.9, False), (1.0, False), (1.03, False), (1.0301, True), (2, True)])
def test_hysteresis_is_three_per_cent(low, enough):
    assert gains_enough(low) is enough


@pytest.mark.parametrize(("kind", "width", "limits"), [
    ("cpu", 16, AVX512), ("cpu", 8, AVX2), ("cpu", 4, Limits(registers=32, lanes=4, l1_bytes=65536)),
    ("vulkan", 1, GPU), ("vulkan", 1, Limits(shared_bytes=16384, threads_per_block=128, registers=128))])
@pytest.mark.parametrize(("d", "dv"), [(1, 1), (7, 5), (64, 64), (192, 128), (256, 256)])
def test_every_config_of_a_space_fits_its_device(kind, width, limits, d, dv):
    grid = space(kind, width, d, dv, limits)
    configs = grid.configs()
    assert configs[0] == grid.default and len(configs) == len(set(configs)) > 20
    assert all(config.problems(backend=kind, d=d, dv=dv, **limits.of_tiles()) == [] for config in configs)
    assert all(config.lane_width <= width for config in configs)
    everywhere, rng = set(configs), random.Random(0)
    for config in rng.sample(configs, 10):
        for axis in grid.axes:
            line = grid.line(config, axis)
            assert config not in line and everywhere.issuperset(line), "a step leaves the grid"


def test_the_axes_are_fields_and_a_new_field_needs_no_other_change():
    for axes in (CPU_AXES, GPU_AXES):
        assert set(axes) <= set(TileConfig.__slots__)
    narrow = space("cpu", 16, 64, 64, AVX512, {"keys_per_group": (32, 64)})
    assert {c.keys_per_group for c in narrow.configs()} <= {30, 48, 66} and len(narrow.configs()) == 3


def test_neighbours_differ_along_one_axis():
    grid = space("cpu", 16, 64, 64, AVX512)
    for axis in grid.axes:
        follows = {axis, "keys_per_group", "keys_per_tile"}
        for point in grid.line(grid.default, axis):
            changed = {n for n in TileConfig.__slots__ if getattr(point, n) != getattr(grid.default, n)}
            assert changed <= follows and changed


@pytest.mark.parametrize(("config", "limits", "reason"), [
    (TileConfig(16, 4, 8, 64, 64, 8), AVX512, r"with lane_vectors \(4\) needs 37 registers, the device has 32"),
    (TileConfig(8, 3, 5, 60, 60, 5), AVX2, "needs 19 registers, the device has 16"),
    (TileConfig(16, 3, 12, 96, 96, 8), AVX2, "needs 80 registers, the device has 16"),
    (TileConfig(16, 3, 6, 192, 192, 6), AVX512,
     r"keys_per_group \(192\) with lane_vectors \(3\) needs 36864 bytes of L1 cache for scores, the device has 32768"),
    (TileConfig(8, 4, 2, 2048, 2048, 2), Limits(l2_bytes=262144), "needs 278528 bytes of L2 cache"),
    (TileConfig(1, 4, 8, 8, 32, 64, 128, True), GPU, "needs 544 registers, the device has 128"),
])
def test_what_a_device_cannot_hold_is_refused_by_name(config, limits, reason):
    backend = "vulkan" if config.lane_width == 1 else "cpu"
    reasons = config.problems(backend=backend, d=64, dv=64, **limits.of_tiles())
    with pytest.raises(ValueError, match=reason):
        raise ValueError("; ".join(reasons))


TINY = Limits(shared_bytes=1024, threads_per_block=128, registers=1, lanes=4, l1_bytes=1, l2_bytes=1)


@pytest.mark.parametrize(("width", "d"), list(itertools.product((16, 8, 4, 1), (1, 7, 64, 128, 160, 161, 512, 1024))))
def test_the_default_is_never_refused(width, d):
    limits = TINY if width > 1 else Limits(shared_bytes=16384, threads_per_block=128, registers=1)
    config = TileConfig.default(width, d, d, limits.shared_bytes)
    assert config.problems(backend="cpu" if width > 1 else "vulkan", d=d, dv=d, **limits.of_tiles()) == []


def test_this_machine_s_limits_are_told():
    told = cpu.limits()
    assert told.lanes in (4, 8, 16) and told.registers in (16, 32)
    assert told.l1_bytes == 0 or 4096 <= told.l1_bytes <= told.l2_bytes or told.l2_bytes == 0
