"""Generators are what they say: reproducible, from hopeless to easy, and as sparse as published for their settings."""
import numpy as np
import pytest

from aat.tiling.plan import make_plan
from aat.tiling.summary import KeySummary
from aat.validation.adaptive import exact, run_plan, scores
from aat.validation.cases import make, tagged
from aat.validation.generators import GENERATORS, describe, make_call

EPS = (1e-1, 1e-2, 1e-3)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_same_seed_gives_the_same_finite_arrays(name):
    a, b, c = (make_call(name, seed, queries=40, keys=130, B=2, Hq=4, Hk=2, D=15, Dv=7) for seed in (1, 1, 2))
    assert a["q"].shape == (2, 4, 40, 15) and a["v"].shape == (2, 2, 130, 7)
    for x in ("q", "k", "v"):
        assert np.array_equal(a[x], b[x]) and np.isfinite(a[x]).all() and a[x].dtype == np.float32
    assert any(not np.array_equal(a[x], c[x]) for x in ("q", "k", "v")) or name == "g7-small-tails"


def test_description_counts_what_a_row_could_leave_out():
    call = make_call("g1-topics-0.3", 0, queries=8, keys=320, D=16)
    s = scores(call["q"], call["k"], 0.25)
    p = np.exp(s) / np.exp(s).sum(3, keepdims=True)
    got = describe(call)
    for eps in EPS:
        counts = []
        for row in p[0, 0]:
            mass = sorted(row[t:t + 64].sum() for t in range(0, 320, 64))
            counts.append(max(n for n in range(6) if sum(mass[:n]) <= eps / 2))
        assert got["oracle"][eps] == np.mean(counts) / 5
    assert np.isclose(got["perplexity"], np.exp(-(p * np.log(p)).sum(3)).mean())


# % of tiles left out at 1e-1, 1e-2, 1e-3: name, settings, what, published (4096 keys, D 64)
PUBLISHED = [
    ("g0-iid", dict(rows=1, block=64), "oracle", (6, 0, 0)),
    ("g0-iid", dict(rows=1, block=64), "plan", (0, 0, 0)),
    ("g1-topics-0.1", dict(rows=1, block=64, run=1), "oracle", (98, 96, 73)),
    ("g1-topics-0.1", dict(rows=1, block=64, run=1), "plan", (98, 95, 72)),
    ("g1-topics-0.3", dict(rows=1, block=64, run=1), "oracle", (98, 95, 73)),
    ("g1-topics-0.3", dict(rows=1, block=64, run=1), "plan", (98, 86, 55)),
    ("g1-topics-0.6", dict(rows=1, block=64, run=1), "oracle", (98, 95, 73)),
    ("g2-smooth", dict(rows=16, block=64, queries=256), "oracle", (96, 93, 88)),
]


@pytest.mark.parametrize(("name", "settings", "what", "published"), PUBLISHED)
def test_the_shares_left_out_are_the_published_ones(name, settings, what, published):
    settings = dict(queries=24) | settings
    rows, block, queries = (settings.pop(key) for key in ("rows", "block", "queries"))
    found = []
    for seed in range(6):
        call = make_call(name, seed, queries=queries, keys=4096, D=64, **settings)
        if what == "oracle":
            found.append([describe(call, block)["oracle"][eps] for eps in EPS])
            continue
        summary = KeySummary(call["k"], call["v"], block)
        found.append([make_plan(summary, call["q"], 1 / 8, eps, rows, form="largest").skipped for eps in EPS])
    assert np.abs(100 * np.mean(found, 0) - published).max() <= 5


@pytest.mark.parametrize("case", tagged("adaptive"), ids=lambda case: case.name)
def test_the_cases_hold_what_the_generators_say(case):
    call = make(case)
    scale = 1 / np.sqrt(case.D)
    summary = KeySummary(call["k"], call["v"], 32)
    s = scores(call["q"], call["k"], scale, call.get("bias"))
    plan = make_plan(summary, call["q"], scale, 0.0, 16)
    result = run_plan(plan, summary, call["q"], call["k"], call["v"], scale, bias=call.get("bias"))
    assert np.abs(result.out - exact(s, call["v"])).max() < 1e-12 * np.abs(call["v"]).max()
