"""The map of a call's tiles shows what the launch did: the counts of Info, the tiles that weigh little."""
import re

import numpy as np
import pytest
from adaptive_law import few, half

import aat
from aat import functional
from aat.attention import adaptive, arguments, tile_map
from aat.attention.tile_map import AFTER, BEFORE, COMPUTED, OUT_OF_REACH, REPLACED, TileMap, coarse
from aat.backends import select
from aat.report import tile_map as picture
from aat.tiling.strategies.certified import Certified
from aat.tiling.strategies.fixed import Fixed
from aat.validation.adaptive import scores

CALL = few("g4-rotary-tight", 0)
WAYS = {"certified": Certified(), "mixed": Certified(mixed=True), "small": Certified(mixed=True, block=16),
        "fixed": Fixed(), "budget": half(CALL)}
REACH = {"all": {}, "window": dict(q_offset=300, window=(150, 20)), "lens": dict(kv_lens=np.array([333, 0], np.int32))}


def counted(info, names):
    return {name: info.tiles[name] for name in names}


@pytest.mark.parametrize("reach", REACH)
@pytest.mark.parametrize("way", WAYS)
def test_the_counts_of_the_map_are_those_of_the_call(way, reach):
    call = dict(CALL, **REACH[reach], tolerance=0.02, tiling=WAYS[way], backend="cpu")
    out = np.full((2, 8, 15, 8), 7, np.float32)
    told = aat.explain(**call, out=out, tile_map=True)
    _, info = aat.attention(**call, return_info=True)
    assert told.tiles.counts == counted(info, told.tiles.counts)
    assert (out == 7).all() and told.plan["tiles"] == str(info.config) and told.plan["tiling"] == info.tiling
    assert told.tiles.keys == info.config.keys_per_group
    found = set(np.unique(told.tiles.states))
    if (way, reach) != ("budget", "lens"):       # half of a dense run is more than there is to do
        least = {"certified": BEFORE, "mixed": REPLACED, "small": REPLACED, "fixed": AFTER, "budget": BEFORE}
        assert least[way] in found
    assert (OUT_OF_REACH in found) == (reach != "all")
    assert str(told.tiles) in str(told)


@pytest.mark.parametrize("way", ["certified", "fixed"])
def test_what_the_map_says_is_left_out_weighs_little_and_keeping_account_changes_no_bit(way):
    problem = arguments.check(**CALL, tolerance=0.02, tiling=WAYS[way], return_lse=True).problem
    with select.use("cpu") as session:
        result, found = adaptive.run_and_map(problem, session, WAYS[way])
        plain = adaptive.run(problem, session, WAYS[way])
    assert result.out.tobytes() == plain.out.tobytes() and result.lse.tobytes() == plain.lse.tobytes()
    s = scores(CALL["q"], CALL["k"], 1 / 4)
    p = np.exp(s - s.max(3, keepdims=True))
    p /= p.sum(3, keepdims=True)
    mass = np.add.reduceat(p, np.arange(0, 500, found.keys), 3)         # one query tile a head: 15 rows
    lost = np.isin(found.states, (BEFORE, AFTER))
    assert lost.any() and found.states.shape[2] == 1
    assert np.where(lost, mass, 0).sum(3).max() <= 0.02 < mass[np.broadcast_to(~lost, mass.shape)].max()
    # what is missing is at most what the certificate counts
    shares = result.shares * (1 + 1e-5) + 1e-7
    assert (np.where(lost, mass, 0).sum(3) <= shares).all()


def test_without_anything_to_leave_out_there_is_no_map():
    assert "without a tolerance none is left out" in aat.explain(**CALL, backend="cpu", tile_map=True).note
    told = aat.explain(**CALL, tolerance=0.1, backend="cpu", tile_map=True)
    assert told.tiles is None and "dense: too little work" in str(told) and "no map" in told.note
    plain = aat.explain(**CALL, tolerance=0.1, tiling=Certified(), backend="cpu")
    assert plain.tiles is None and "tiling: Certified(" in str(plain)


def test_a_call_that_is_cut_has_no_map(monkeypatch):
    from aat import explanation

    monkeypatch.setattr(explanation, "count_parts", lambda problem, limit=0: 2)
    told = aat.explain(**CALL, tolerance=0.1, tiling=Certified(), backend="cpu", tile_map=True)
    assert told.tiles is None and "the call is cut" in told.note
    assert functional.adaptive(arguments.check(**CALL, tolerance=0.1).problem, None)


@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
def test_on_a_gpu_the_plan_is_the_map(backend):
    call = {name: x[:1, :2, :9] if name == "q" else x[:1, :1, :200] for name, x in CALL.items()}
    call = dict(call, tolerance=0.05, tiling=Certified(block=32), backend=backend)
    select.close()                              # explain closes no program of another backend
    told = aat.explain(**call, tile_map=True)
    _, info = aat.attention(**call, return_info=True)
    names = ("visited", "skipped_before", "replaced")
    assert {name: told.tiles.counts[name] for name in names} == counted(info, names)
    assert told.tiles.counts["skipped_after"] <= info.tiles["skipped_after"]
    assert info.tiles["skipped_before"] > 0


def example(states):
    states = np.array(states, np.int8)
    return TileMap(states[None, None], 16, 64, 16 * len(states), 64 * len(states[0]) - 5, "a <strategy>")


def test_the_text_has_a_character_a_tile_or_the_commonest_of_several():
    text = example([[COMPUTED, AFTER, BEFORE, REPLACED], [COMPUTED, COMPUTED, OUT_OF_REACH, OUT_OF_REACH]]).text()
    assert "|#o.~|\n|##  |\n" in text and "'#' computed in full: 3 tiles (37.5%)" in text
    states = np.array([[BEFORE, BEFORE, COMPUTED, BEFORE, AFTER], [BEFORE, COMPUTED, COMPUTED, BEFORE, AFTER]])
    assert coarse(states, 2, 2).tolist() == [[BEFORE, COMPUTED, AFTER]]
    text = example(states).text(width=3, height=1)
    assert "|.#o|" in text and "a character is 2 x 2 tiles" in text
    empty = TileMap(np.zeros((1, 1, 1, 1), np.int8), 1, 1, 1, 1, "")
    assert empty.counts == {"visited": 0, "skipped_before": 0, "skipped_after": 0, "replaced": 0}


def test_the_picture_counts_what_it_draws(tmp_path):
    tiles = example([[COMPUTED, COMPUTED, BEFORE, REPLACED], [COMPUTED, AFTER, COMPUTED, OUT_OF_REACH]])
    text = picture.draw(tiles)
    told = {name: int(n) for name, n in re.findall(r">([^<>]+) \((\d+)\)<", text)}
    names = tile_map.MEANING
    assert told == {names[COMPUTED]: 4, names[AFTER]: 1, names[REPLACED]: 1, names[BEFORE]: 1, names[OUT_OF_REACH]: 1}
    assert "a &lt;strategy>" in text
    picture.save(tiles, tmp_path / "map.svg")
    saved = (tmp_path / "map.svg").read_text()
    assert saved.startswith("<svg") and "currentColor" not in saved and "var(" not in saved
    for wrong in (dict(heads=[1]), dict(heads=[]), dict(batch=3)):
        with pytest.raises(ValueError, match=r"heads: expected some of 0 \.\. 0"):
            picture.draw(tiles, **wrong)
    with pytest.raises(ValueError, match=r"path: expected a name that ends in \.svg"):
        picture.save(tiles, tmp_path / "map.png")


def test_runs_are_whole():
    row, first, end = picture._runs(np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool))
    assert (row.tolist(), first.tolist(), end.tolist()) == ([0, 0, 2], [0, 3, 0], [2, 4, 4])
