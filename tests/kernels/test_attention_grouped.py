"""attention_forward with rows of several query heads in a program: the bits of head by head, and when it is done."""
from dataclasses import replace

import numpy as np
import pytest

import aat
from aat.attention import dot, repeated, tasks
from aat.attention.arguments import check
from aat.backends import select
from aat.functional import attention
from aat.tiling.base import TileConfig, count_groups, key_ranges
from aat.validation.cases import by_name, make

CASES = ("gqa", "gqa-bf16", "mqa", "3d", "bshd", "mask-bhqk", "mask-bhq1", "mask-b11k", "mask-and-bias",
         "sinks-causal-lens", "everything")
FULL = ("group-24x700", "group-17x300")
CUT = ("everything", "gqa-bf16")  # in parts of the keys too


def used(call, backend):
    """The config that a call gets."""
    with select.use(backend) as session:
        return dot.choose(check(**call).problem, session, tune=False)


def both_ways(monkeypatch, call, backend, tiling):
    """[(out, lse, info) with heads grouped, and head by head]."""
    results = []
    with repeated.off():
        for patch in (None, lambda problem, config: False):
            with monkeypatch.context() as patched:
                if patch:
                    patched.setattr(tasks, "grouped", patch)
                results.append(attention(**call, backend=backend, tiling=tiling, return_lse=True, return_info=True))
    return results


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
@pytest.mark.parametrize(("name", "cut"), [(name, False) for name in CASES + FULL] + [(name, True) for name in CUT])
def test_the_bits_are_those_of_head_by_head(monkeypatch, name, cut, backend):
    case = by_name(name)
    if backend == "vulkan" and (case.dtype == "f64" or name in FULL):
        pytest.skip("computed on the CPU only, or too large for a software device")
    call = make(case)
    config = used(call, backend)
    config = replace(config, keys_per_part=config.keys_per_tile) if cut else config
    grouped, alone = both_ways(monkeypatch, call, backend, config)
    assert grouped[2].tiles["total"] < alone[2].tiles["total"]
    for a, b in zip(grouped[:2], alone[:2], strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("backend", ["cpu", "vulkan"], indirect=True)
@pytest.mark.parametrize("bounds", [{}, dict(causal="lower_right"), dict(window=(9, 3), q_offset=80)])
def test_the_kernel_counts_what_the_host_counts(backend, bounds):
    rng = np.random.default_rng(0)
    q, k = (rng.standard_normal((2, h, n, 16), dtype=np.float32) for h, n in ((6, 23), (2, 170)))
    lens = np.array([170, 90])
    _, info = aat.attention(q, k, k, **bounds, kv_lens=lens, backend=backend, return_info=True)
    problem = check(q, k, k, **bounds, kv_lens=lens).problem
    assert tasks.grouped(problem, info.config)
    want = count_groups(info.config, "f32", problem.q_offset, lens, 6, 23, 170, problem.left, problem.right, group=3)
    assert info.tiles == {name: want[name] for name in ("visited", "full", "total")}
    plan = aat.explain(q, k, k, **bounds, kv_lens=lens, backend=backend).plan
    programs = int(plan["programs"].split()[0])
    assert programs * -(-170 // info.config.keys_per_group) == want["total"]


@pytest.mark.parametrize(("left", "right"), [(None, None), (None, 0), (20, 5), (0, 0)])
@pytest.mark.parametrize("queries", [5, 16, 40])
def test_counts_agree_with_brute_force(queries, left, right):
    """A program that has rows of several heads walks over what all queries see."""
    config = TileConfig(8, 2, 4, 16, 16, 4)
    group, keys, offset, rows = 3, 150, 40, config.rows_per_program()
    shape = (config, "f32", np.array([offset]), np.array([keys]), 6, queries, keys, left, right)
    counts = count_groups(*shape, group=group)
    visited = total = 0
    for first in range(0, group * queries, rows):
        members = range(first, min(first + rows, group * queries))
        one = len({r // queries for r in members}) == 1
        seen = np.array([r % queries for r in members] if one else range(queries))
        begin, end, *_ = key_ranges(seen.min(), seen.max(), np.int64(offset), left, right, keys)
        visited += len([g for g in range(0, keys, 16) if g < end and g + 16 > begin and begin < end])
        total += -(-keys // 16)
    assert (counts["visited"], counts["total"]) == (2 * visited, 2 * total)
    assert counts["pairs"] == count_groups(*shape)["pairs"]


@pytest.mark.parametrize(("queries", "group", "vectors"), [(17, 1, 2), (17, 4, 3), (32, 4, 4), (33, 4, 3),
                                                           (40, 4, 2), (48, 4, 3), (49, 4, 4), (64, 4, 4),
                                                           (None, 4, 4), (2048, 4, 4)])
def test_the_default_minds_the_group_where_that_costs_less(queries, group, vectors):
    assert TileConfig.default(16, 128, 128, 0, queries, group).lane_vectors == vectors
