"""A device decides the tiles: 16, 32 and 48 KB of shared memory, threads of a group, subgroups of 8 to 64."""

from dataclasses import replace

import numpy as np
import pytest

import aat
from aat.backends import select
from aat.tiling import policy
from aat.tiling.base import TileConfig
from aat.tiling.optimization.space import space
from aat.validation import pipeline
from aat.validation.cases import by_name

SHARED = (16 << 10, 32 << 10, 48 << 10)
SUBGROUPS = (8, 16, 32, 64)
WIDTHS = (1, 3, 8, 20, 32, 40, 59, 64, 72, 80, 96, 111, 128, 160, 192, 256, 257, 300, 512)
LEAST_THREADS = 128     # that every Vulkan device has in a group


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("shared", SHARED)
def test_the_defaults_fit_every_device(shared, pairs):
    limits = {"backend": "vulkan", "shared_bytes": shared, "max_threads": LEAST_THREADS, "pairs": pairs}
    for d in WIDTHS:
        for dv in {d, 1, 64, max(1, d // 2)}:
            configs = [TileConfig.default(1, d, dv, shared, pairs=pairs)]
            configs += [TileConfig.adaptive(1, d, dv, block, shared, pairs=pairs) for block in (16, 24, 32, 64)]
            for config in configs:
                assert config.problems(d=d, dv=dv, **limits) == [], (d, dv)
                assert config.shared_bytes(d, dv) <= shared
                for subgroup in SUBGROUPS:      # no lane of one is ever idle
                    assert config.threads % subgroup == 0, (d, dv, subgroup)


def test_tiles_grow_with_the_device():
    found = [TileConfig.adaptive(1, 128, 128, 64, shared).keys_per_tile for shared in (*SHARED, 64 << 10)]
    assert found == [16, 32, 32, 64]


def imposed(session, monkeypatch, shared, subgroup):
    monkeypatch.setattr(session, "limits", replace(session.limits, shared_bytes=shared, subgroup=subgroup,
                                                   threads_per_block=LEAST_THREADS))


@pytest.mark.vulkan
@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
@pytest.mark.parametrize(("shared", "subgroup"), list(zip(SHARED, SUBGROUPS, strict=False)))
def test_a_call_keeps_to_the_limits(backend, monkeypatch, shared, subgroup):
    case = by_name("device-tiny-causal")
    with select.use(backend) as session, policy.held("never"):
        imposed(session, monkeypatch, shared, subgroup)
        verdict = pipeline.check(case, backend)
        assert verdict.ok, str(verdict)
        grid = space(backend, 1, 128, 128, session.limits)
        assert all(x.shared_bytes(128, 128) <= shared and x.threads <= LEAST_THREADS for x in grid.configs())
        large = TileConfig(1, 1, 8, 8, 2 * shared // 64, 8, 64, True)
        q = np.ones((1, 1, 4, 8), np.float32)
        told = f"needs {2 * shared} bytes of shared memory, the device has {shared}"
        with pytest.raises(aat.BackendError, match=told):
            aat.attention(q, q, q, backend=backend, tiling=large)


@pytest.mark.vulkan
@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
def test_a_tile_that_does_not_fit_is_halved_and_the_law_holds(backend, monkeypatch):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 2, 40, 8)).astype(np.float32) for _ in range(3))
    with select.use(backend) as session:
        imposed(session, monkeypatch, SHARED[0], SUBGROUPS[0])
        out, info = aat.attention(10 * q, k, v, backend=backend, tolerance=0.2, tiling=aat.tiling.Fixed(block=512),
                                  return_info=True)
    assert info.config.keys_per_tile == 256
    error = np.abs(out - aat.attention(10 * q, k, v, backend="reference")).max(-1)
    assert (error <= info.error_bound + 1e-5).all()


@pytest.mark.vulkan
@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
def test_more_tasks_than_a_launch_has_groups_of_threads(backend):
    from aat.kernels.parts.teams import GRID_THREADS

    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 1100, 80, 8)).astype(np.float32) for _ in range(3))
    config = TileConfig(1, 1, 8, 8, 8, 8, 32, True)
    assert GRID_THREADS // 32 < 1100 * 3        # three blocks of rows a head; the last heads' come in another order
    out, info = aat.attention(q, k, v, causal=True, backend=backend, tiling=config, return_info=True)
    few = aat.attention(*(x[:, -5:] for x in (q, k, v)), causal=True, backend=backend, tiling=config)
    np.testing.assert_array_equal(out[:, -5:], few)
    assert info.tiles["visited"] == 1100 * (4 + 8 + 10)
