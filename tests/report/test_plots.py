"""The figures: drawn from records, or left out with what to run."""

import dataclasses
import re
from importlib.util import find_spec
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_records import CONFIG, fake, suite, without_time

from aat.report import plots, tiles, view
from aat.report.plots import figures
from aat.report.style import GRID, INK, PALETTE
from aat.tiling.base import TileConfig, count_groups

drawing = pytest.mark.skipif(find_spec("matplotlib") is None,
                             reason="matplotlib is not installed: pip install 'adaptive-attention-tiling[report]'")


@pytest.fixture(scope="module")
def drawn():
    if find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    return {figure.name: figure for figure in figures(suite())}


@drawing
def test_every_figure_is_drawn(drawn):
    assert list(drawn) == ["speed-cpu", "speed-vulkan", "roofline-cpu", "roofline-vulkan", "error", "scaling", "tiles",
                           "history"]
    assert all(figure.svg for figure in drawn.values())


@drawing
def test_a_figure_is_well_formed_takes_the_pages_colour_and_names_itself(drawn):
    for figure in drawn.values():
        root = ElementTree.fromstring(figure.svg)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "currentColor" in figure.svg
        assert INK not in figure.svg
        assert GRID not in figure.svg
        assert "#ffffff" not in figure.svg
        assert "<style" not in figure.svg
        assert "<text" in figure.svg
        assert not re.search(r'href="(?!#)', figure.svg)


@drawing
def test_identifiers_do_not_meet_on_one_page(drawn):
    found = [name for figure in drawn.values() for name in re.findall(r'\bid="([^"]+)"', figure.svg)]
    assert len(found) == len(set(found))
    for figure in drawn.values():
        wanted = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', figure.svg))
        assert {a or b for a, b in wanted} <= set(re.findall(r'\bid="([^"]+)"', figure.svg))


@drawing
def test_the_same_records_give_the_same_picture(drawn):
    again = plots._scaling(view.latest(suite()))
    assert again == (drawn["scaling"].svg, drawn["scaling"].text)


@drawing
def test_series_are_told_apart_by_more_than_colour():
    from aat.report.style import looks
    styles = [looks(number) for number in range(plots.MOST_SERIES)]
    assert len({style["marker"] for style in styles}) == plots.MOST_SERIES
    assert len({style["color"] for style in styles[:len(PALETTE)]}) == len(PALETTE)


@drawing
def test_speed_names_its_providers_and_has_its_error_below(drawn):
    for text in ("aat", "torch", "numpy", "error / budget", "GFLOP/s", "4096"):
        assert f">{text}<" in drawn["speed-cpu"].svg
    assert ">torch<" not in drawn["speed-vulkan"].svg


@drawing
def test_the_roofline_says_its_roofs(drawn):
    assert "20.0 GB/s read, 200 GFLOP/s of multiply-adds, 160 GFLOP/s" in drawn["roofline-cpu"].text
    assert ">decode-4096<" in drawn["roofline-cpu"].svg


@drawing
def test_a_case_is_drawn_under_the_roofs_of_its_own_run():
    records = [fake("dense-2048"), fake("causal-2048"),
               fake("window-4096", peak_gflops=50.0, started="2026-11-21T10:00:00+00:00")]
    picture, text = plots._roofline(records, "cpu")
    assert ">window-4096<" not in picture
    assert "200 GFLOP/s" in text
    assert "1 more cases, some of other runs, are in the table" in text


@drawing
def test_the_error_figure_counts_what_is_wrong(drawn):
    assert "; 1 above the line" in drawn["error"].text


@drawing
def test_history_names_its_commits_and_its_limits(drawn):
    assert ">bbbbbbb<" in drawn["history"].svg
    assert ">aaaaaaa<" in drawn["history"].svg
    assert "aat compare" in drawn["history"].text


@drawing
@pytest.mark.parametrize(("records", "missing"), [
    ([fake("plain", peak_gflops=None)], {"speed-cpu": "aat bench", "roofline-cpu": "aat bench", "scaling":
                                         "AAT_NUM_THREADS=1 aat bench", "history": "aat bench"}),
    ([without_time("plain", reason="x")], {"error": "aat bench", "speed-cpu": "aat bench"}),
    ([fake("plain", error=0.0, budget=0.0)], {"error": "aat bench"}),
])
def test_a_figure_without_data_says_what_to_run(records, missing):
    found = {figure.name: figure for figure in figures(records)}
    for name, command in missing.items():
        assert found[name].svg == ""
        assert found[name].text.startswith("Left out: ")
        assert f"`{command}" in found[name].text
    assert found["tiles"].svg


@drawing
def test_odd_names_are_drawn_as_they_are():
    records = [record.but(case=record.case.replace("dense", "$x_1$ & <b>")) for record in suite()]
    picture, _ = plots._roofline(records, "cpu")
    ElementTree.fromstring(picture)
    assert "$x_1$ &amp; &lt;b&gt;-2048" in picture


@drawing
def test_more_series_than_can_be_told_apart_are_counted():
    records = [fake(f"case {n}", commit=c * 40, started=f"2026-11-{d}T00:00:00+00:00")
               for n in range(plots.MOST_SERIES + 3) for c, d in (("a", 10), ("b", 11))]
    assert "3 more cases are in the table" in plots._history(records)[1]


@pytest.mark.parametrize("plan", tiles.PLANS, ids=lambda plan: plan.title)
@pytest.mark.parametrize("config", [TileConfig.default(16, 64, 64), TileConfig.default(8, 64, 64),
                                    TileConfig.default(1, 64, 64, 49152)], ids=["16", "8", "gpu"])
def test_a_tile_map_is_what_a_launch_visits(plan, config):
    found = tiles.tile_map(plan, config)
    counted = count_groups(config, "f32", np.array([plan.offset]), np.array([plan.keys]), 1, plan.queries, plan.keys,
                           plan.left, plan.right)
    assert (found != tiles.SKIPPED).sum() == counted["visited"]
    assert (found == tiles.FULL).sum() == counted["full"]
    assert found.size == counted["total"]


def test_a_tile_map_is_what_each_pair_says():
    config = TileConfig.default(16, 64, 64)
    rows, group = config.rows_per_program(), config.keys_per_group
    for plan in tiles.PLANS:
        i, j = np.arange(plan.queries)[:, None] + plan.offset, np.arange(plan.keys)[None]
        seen = np.ones((plan.queries, plan.keys), bool)
        if plan.left is not None:
            seen &= j >= i - plan.left
        if plan.right is not None:
            seen &= j <= i + plan.right
        for (program, key), kind in np.ndenumerate(tiles.tile_map(plan, config)):
            tile = seen[program * rows:(program + 1) * rows, key * group:(key + 1) * group]
            if kind == tiles.SKIPPED:
                assert not tile.any()
            elif kind == tiles.FULL:
                assert tile.all()


def test_tiles_follow_the_records_config():
    assert dataclasses.asdict(tiles.config_of([fake("plain", config=CONFIG.replace("=96", "=48"))]))[
        "keys_per_group"] == 48
    assert tiles.config_of([fake("plain", config="something else")]) == TileConfig.default(16, 64, 64)


@pytest.mark.parametrize(("case", "family"), [
    ("causal-2048", ("causal", 2048)), ("dense-1920-128", ("dense-1920-128", None)), ("plain", ("plain", None)),
    ("unknown-512", ("unknown", 512))])
def test_families_of_cases(case, family):
    assert view.family(fake(case)) == family


def test_records_of_another_machine_are_not_mixed_in():
    here, there = fake("plain", host="h1"), fake("plain", host="h2", started="2026-11-01T00:00:00+00:00")
    assert view.latest([there, here]) == [here]


def test_of_two_records_the_newer_counts_whatever_their_order():
    old, new = fake("plain", started="2026-11-01T00:00:00+00:00"), fake("plain", seconds=0.1)
    assert view.latest([new, old]) == [new]


def test_a_record_with_an_infinite_share_fails():
    assert view.verdict(without_time("plain", error=1.0, budget=0.0)).ok is False
    assert view.verdict(without_time("plain", reason="no such thing")).text == "no such thing"
