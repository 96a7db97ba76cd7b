"""IFQ, CER and AE: each by its definition, written out once more; the scores behind them against the reference."""
import itertools

import numpy as np
import pytest
from adaptive_law import few, generated

import aat
from aat.attention import arguments, quality
from aat.attention.base import Info
from aat.attention.quality import QUALITIES, Flux
from aat.tiling.base import TileConfig
from aat.tiling.strategies.certified import Certified
from aat.validation import cases, pipeline
from aat.validation.adaptive import exact, scores

NAMES = ("plain", "gqa-bf16", "bshd", "scale-negative", "causal-lens-upper", "window-offset", "softcap-bias-mask",
         "sinks-causal-lens", "lens", "everything", "f16-bias", "f64-everything", "poison-masked", "poison-past-lens",
         "dead-rows", "bias-minus-inf", "mask-1k", "causal-offset-negative")


@pytest.mark.parametrize("name", NAMES)
def test_the_scores_are_those_of_the_reference(name):
    """The sum over seen keys, and sinks, of e^score is e^lse; the weights give out."""
    case = cases.by_name(name)
    call = cases.make(case)
    want, problem = pipeline.expectation(case), arguments.check(**call).problem
    for b, h in np.ndindex(problem.B, problem.Hq):
        row = np.arange(problem.Lq)
        with np.errstate(all="ignore"):
            s, seen = quality.scores(problem, b, h, row)
            p, _ = quality.weights(problem, b, h, row)
        s = np.where(seen, s, -np.inf)
        lse = np.logaddexp.reduce(s, 1)
        if problem.sinks is not None:
            lse = np.logaddexp(lse, problem.sinks[h])
        assert np.allclose(lse, want.lse[b, h], rtol=1e-9, atol=1e-9, equal_nan=True)
        assert np.allclose(p.sum(1), seen.any(1), atol=1e-12)


def counts_only(call, **options):
    return aat.attention(**call, **options, backend="cpu", return_info=True)[1]


def brute(call, rows, keys):
    """(cross-tile mass, row entropy, effective support) from all weights of a call without options, by loops."""
    s = scores(call["q"], call["k"], 1 / np.sqrt(call["q"].shape[3]))
    B, H, L, S = s.shape
    cross = entropy = support = 0.0
    for b, h, i in np.ndindex(B, H, L):
        p = np.exp(s[b, h, i] - s[b, h, i].max())
        p /= p.sum()
        own = i // keys * keys
        cross += 1 - p[own:own + keys].sum()
        nats = -sum(x * np.log(x) for x in p if x > 0)
        entropy, support = entropy + nats / np.log(S), support + np.exp(nats)
    return tuple(x / (B * H * L) for x in (cross, entropy, support))


def test_what_the_weights_say_is_what_the_definitions_say():
    call = generated("g4-rotary-tight", 0, queries=100, keys=300, Hq=1)
    _, info = aat.attention(**call, backend="reference", return_info=True)
    got = info.metrics(**call, tolerance=0.05)
    want = brute(call, quality.SIZE, quality.SIZE)
    assert np.allclose([got[name] for name in ("cross_tile_mass", "row_entropy", "effective_support")], want, rtol=1e-9)
    assert got["stability"] is got["ifq"] is None and set(got) == set(QUALITIES)


def test_counts_alone_give_cer_and_edges_and_they_fit_together():
    call = few("g1-topics-0.1", 0)
    dense, left = counts_only(call), counts_only(call, tolerance=0.05, tiling=Certified())
    told, tiles = left.metrics(), left.tiles
    assert dense.metrics()["cer"] == dense.metrics()["edge_utilisation"] == 1
    total = tiles["visited"] + tiles["skipped_before"]
    assert total > tiles["visited"] > 0
    pairs = left.config.rows_per_program("f32") * left.config.keys_per_group
    assert left.multiply_adds_exact == told["multiply_adds_exact"] == total * pairs * (16 + 8)
    assert told["cer"] == left.multiply_adds_exact / left.multiply_adds > 2
    assert told["edge_utilisation"] == (tiles["visited"] - tiles["skipped_after"]) / total
    assert [name for name, value in told.items() if value is not None] == [
        name for name, one in QUALITIES.items() if one.needs == quality.COUNTS]
    mixed = counts_only(call, tolerance=0.05, tiling=Certified(mixed=True))
    assert mixed.tiles["replaced"] > 0 and mixed.metrics()["edge_utilisation"] > told["edge_utilisation"]


def test_stability_is_1_for_the_same_and_0_for_weights_that_share_nothing():
    q = np.zeros((1, 2, 4, 8), np.float32)
    q[..., 0] = 9
    k = np.zeros((1, 2, 256, 8), np.float32)
    k[:, :, 3, 0], v = 30, np.ones((1, 2, 256, 8), np.float32)
    call, moved = dict(q=q, k=k, v=v), dict(q=q, k=k[:, :, ::-1].copy(), v=v)
    info = counts_only(call)
    same, other = (info.metrics(**call, previous=before) for before in (call, moved))
    assert same["stability"] == pytest.approx(1, abs=1e-12) and other["stability"] == pytest.approx(0, abs=1e-12)
    for got in (same, other):
        parts = [got[name] for name in ("stability", "cross_tile_mass", "edge_utilisation")] + [1 - got["row_entropy"]]
        assert got["ifq"] == pytest.approx(np.mean(parts))
    grown = {name: np.concatenate([x, 0 * x], 2) if name != "q" else x for name, x in call.items()}
    assert counts_only(grown).metrics(**grown, previous=call)["stability"] == pytest.approx(1, abs=1e-9)
    half = 0.5 * np.ones((1, 1, 1, 1))
    one, two = (Flux(np.array([[[x]]]), half, half, 0, 0, 0) for x in ([0.5, 0.5], [1.0, 0.0]))
    js = 0.5 * (0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)) + 0.5 * np.log(1 / 0.75)
    assert quality.stability(one, two) == pytest.approx(1 - js / np.log(2))


def test_the_optimum_is_that_of_every_choice_of_tiles():
    """One row: the fewest tiles whose omission keeps to the tolerance by the theorem, tried out one and all."""
    for seed in range(4):
        call = generated("g4-rotary-topics", seed, queries=1, keys=8 * 20, Hq=1, Hk=1)
        problem = arguments.check(**call, tolerance=0.1).problem
        flux = Flux.of(problem, 16, 20)
        s = scores(call["q"], call["k"], 1 / 4)
        p = np.exp(s[0, 0, 0] - s.max())
        mass = (p / p.sum()).reshape(8, 20).sum(1)
        v = call["v"][0, 0].astype(float)
        rho = min(0.5, 0.1 * np.abs(v).max() / np.ptp(v, axis=0).max() * (1 - 4e-5))
        fewest = min(8 - len(lost) for n in range(9) for lost in itertools.combinations(range(8), n)
                     if mass[list(lost)].sum() <= rho)
        assert flux.least.item() == fewest < 8
        keep = np.argsort(mass)[8 - fewest:]
        hide = np.repeat(np.isin(np.arange(8), keep), 20)
        error = np.abs(exact(np.where(hide, s, -np.inf), call["v"]) - exact(s, call["v"])).max()
        assert error <= 0.1 * np.abs(v).max()


def test_ae_is_1_at_the_optimum_0_when_dense_and_none_where_nothing_can_be_left_out():
    call = few("g1-topics-0.1", 0)
    some, all_of_it = (counts_only(call, tolerance=eps, tiling=Certified()) for eps in (0.05, 1e-9))
    found, dense = (info.metrics(**call, tolerance=0.05) for info in (some, all_of_it))
    best, whole = dense["multiply_adds_optimal"], dense["multiply_adds_exact"]
    assert dense["multiply_adds"] == whole and dense["ae"] == 0
    assert 0.5 < found["ae"] <= 1 and best == found["multiply_adds_optimal"] < whole
    at_best = Info("cpu", some.config, 0, best, some.multiply_adds_dense, multiply_adds_exact=whole)
    assert at_best.metrics(**call, tolerance=0.05)["ae"] == 1
    assert some.metrics(**call)["ae"] is None                           # without the tolerance
    flat = dict(call, q=0 * call["q"], k=0 * call["k"])
    assert counts_only(flat, tolerance=1e-3, tiling=Certified()).metrics(**flat, tolerance=1e-3)["ae"] is None


def test_every_call_has_numbers_the_reference_and_cut_ones_too(monkeypatch):
    from aat import functional

    call = few("g4-rotary-tight", 0, keys=200)
    _, info = aat.attention(**call, backend="reference", return_info=True)
    got = info.metrics(**call)
    assert got["cer"] == 1 and 0 < got["row_entropy"] < 1 and got["edge_utilisation"] is None
    whole = counts_only(call, tolerance=0.05, tiling=Certified()).metrics()
    monkeypatch.setattr(functional, "INDEX_LIMIT", 2 * 500 * 16)
    assert counts_only(call, tolerance=0.05, tiling=Certified()).metrics() == whole
    kept = [aat.attention(**call, backend="cpu", return_info=True)[1].metrics()["cer"] for _ in range(3)]
    assert kept == [1, 1, 1]
    one = {name: x[:, :, :1] if name == "q" else x for name, x in call.items()}
    assert counts_only(one).metrics(**one)["effective_support"] >= 1


def test_arguments_of_another_call_are_refused():
    call = few("g1-topics-0.1", 0)
    info = counts_only(call)
    with pytest.raises(ValueError, match="q, k, v: expected those of the call"):
        info.metrics(call["q"][:, :, :3], call["k"], call["v"])
    with pytest.raises(ValueError, match="q, k, v: expected all three"):
        info.metrics(causal=True)
    with pytest.raises(ValueError, match=r"previous: expected a call of \(B, Hq, query tiles\)"):
        info.metrics(**call, previous=dict(call, q=call["q"][:1], k=call["k"][:1], v=call["v"][:1]))
    assert isinstance(info.config, TileConfig)
