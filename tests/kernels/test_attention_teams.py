"""attention_forward with teams of GPU threads and columns in pairs: cases of the table in every form, what a launch
counts, and which forms a device can hold."""
from dataclasses import replace

import numpy as np
import pytest

import aat
from aat.tiling.base import TileConfig
from aat.tiling.strategies.certified import Certified
from aat.validation import pipeline
from aat.validation.cases import by_name
from aat.validation.generators import make_call

FORMS = [(team, pairs) for team in (1, 2, 4, 8) for pairs in (False, True)]
DEVICE = {"backend": "vulkan", "d": 64, "dv": 64, "shared_bytes": 49152, "max_threads": 1024}


def form(team, pairs, d, dv, vectors=2):
    """A config for heads of d and dv columns."""
    return TileConfig(1, vectors, 4, 4, 8, dv, 32, True, team=team, pairs=pairs)


@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
@pytest.mark.parametrize(("name", "team", "pairs"), [*(("everything", *form) for form in FORMS),
                                                     ("poison-masked", 4, True)])
def test_every_form_is_right(name, team, pairs, backend):
    case = by_name(name)
    verdict = pipeline.check(case, backend, tiling=form(team, pairs, case.D, case.Dv or case.D))
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
@pytest.mark.parametrize("vectors", [1, 3])
def test_odd_numbers_of_partial_scores_are_added_too(vectors, backend):
    case = by_name("everything")
    tiling = replace(form(4, True, case.D, case.D, vectors), keys_per_block=1, keys_per_group=1)
    verdict = pipeline.check(case, backend, tiling=tiling)
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
def test_members_of_a_team_count_once(backend):
    """Groups visited, and those left out, whose rows are the team's and not a thread's."""
    call = make_call("g1-topics-0.1", 0, queries=64, keys=256, D=16, Hq=1, Hk=1)
    counts = []
    for team in (1, 2):
        config = TileConfig.adaptive(1, 16, 16, 32, 49152, 64, pairs=True)
        config = replace(config, team=team, lane_vectors=1, threads=32 * team)
        _, info = aat.attention(**call, backend=backend, tolerance=0.05, tiling=config, return_info=True)
        counts.append({name: info.tiles[name] for name in ("visited", "total", "skipped_after", "redone")})
        assert config.rows_per_program() == 32
    assert counts[0]["skipped_after"] > 0
    assert counts[0] == counts[1]


@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
def test_means_lie_in_pairs_too(backend):
    call = make_call("g1-topics-0.1", 0, queries=64, keys=512, D=16, Hq=1, Hk=1)
    exact = aat.attention(**call, backend=backend)
    out, info = aat.attention(**call, backend=backend, tolerance=0.1, tiling=Certified(block=32, mixed=True),
                              return_info=True)
    assert info.config.pairs and info.tiles["replaced"] > 0
    assert np.all(np.abs(out - exact).max(-1) <= info.error_bound + 1e-5)


def test_defaults_by_head_size():
    defaults = {d: TileConfig.default(1, d, d, 49152, pairs=True) for d in (32, 64, 96, 128, 256, 63, 66)}
    assert {d: config.team for d, config in defaults.items()} == {32: 1, 64: 2, 96: 4, 128: 4, 256: 8, 63: 1, 66: 1}
    assert not defaults[63].pairs and defaults[66].pairs
    for d, config in defaults.items():
        assert config.problems(**DEVICE | {"d": d, "dv": d}, pairs=True) == []
    assert TileConfig.default(1, 128, 128, 49152).team == 1


@pytest.mark.parametrize(("change", "told"), [
    ({"team": 3}, "team must be 1, 2, 4 or 8"),
    ({"team": 8, "pairs": True}, "its columns, 2 for each, must divide 24 and 24"),
    ({"team": 2, "registers": False}, "need registers"),
])
def test_forms_that_no_device_holds(change, told):
    config = replace(form(1, False, 24, 24), **change)
    assert any(told in reason for reason in config.problems(**DEVICE | {"d": 24, "dv": 24}, pairs=True))


def test_pairs_need_a_device_that_has_them():
    assert any("64-bit" in reason for reason in form(1, True, 64, 64).problems(**DEVICE))


def test_shared_memory_of_a_team():
    config = form(2, True, 64, 64)
    assert config.shared_bytes(64, 64) == 4 * 8 * 128 + 4 * 2 * 4 * 32
    assert any("shared memory" in reason for reason in config.problems(**DEVICE | {"shared_bytes": 4096}, pairs=True))
