"""measure(): no time without a passed check, every time with its error, and a peer is blank only with a reason."""

import importlib.util

import numpy as np
import pytest
from wrong_kernels import fast_and_wrong, plant

from aat.attention import dot
from aat.validation import environment, peaks, pipeline, statistics
from aat.validation.cases import by_name, make
from aat.validation.measure import NotChecked, measure, work
from aat.validation.peers import PEERS, Peer

ROOFS = peaks.Peaks(100.0, 80.0, 10.0)


class Clock:
    """A millisecond a reading; it says whether it was read."""

    readings = 0

    def __call__(self):
        self.readings += 1
        return self.readings * 1e-3


def records(case="plain", backend="reference", **options):
    return measure(by_name(case), backend, seconds=0.01, peaks=ROOFS, **options)


@pytest.mark.parametrize("entry", [measure, pipeline.measure])
def test_a_wrong_kernel_that_is_fast_has_no_time_at_all(monkeypatch, entry):
    plant(monkeypatch, fast_and_wrong)
    monkeypatch.setattr(statistics, "interleave", lambda *a, **b: pytest.fail("something was timed"))
    clock = Clock()
    with pytest.raises(NotChecked, match="not timed, because the check failed: plain on cpu") as caught:
        entry(by_name("plain"), "cpu", clock=clock, peers=("numpy",))
    assert clock.readings == 0 and not caught.value.verdict.ok


def test_a_wrong_tail_has_no_time_either(monkeypatch):
    honest = dot.run

    def tail(problem, session, config=None):
        result = honest(problem, session, config)
        result.out[..., -1, -1] += 1e-4
        return result
    plant(monkeypatch, tail)
    with pytest.raises(NotChecked, match="elements over budget"):
        records(backend="cpu")


def test_a_record_says_what_was_measured():
    clock = Clock()
    ours, = records("causal", "cpu", clock=clock)
    assert clock.readings > 0 and ours.timed and ours.provider == "aat" and ours.reason == ""
    assert ours.error > 0 and ours.budget > 0 and ours.certified_bound is None
    # the clock moves once a reading: every call takes a millisecond
    assert [ours.seconds_p10, ours.seconds_median, ours.seconds_p90] == pytest.approx([1e-3] * 3)
    assert ours.rounds == 2 * statistics.FEWEST and ours.aa_control == pytest.approx([1, 1, 1])
    pairs = 2 * 2 * 37 * 38 // 2
    assert ours.multiply_adds_useful == pairs * 32 and ours.multiply_adds_dense == 2 * 2 * 37 * 37 * 32
    assert ours.multiply_adds >= ours.multiply_adds_useful and ours.tiles["visited"] <= ours.tiles["total"]
    assert ours.bytes == 4 * (3 * 2 * 2 * 37 * 16) + 2 * 2 * 37 * (16 * 4 + 4)
    assert ours.arithmetic_intensity == pytest.approx(2 * ours.multiply_adds_useful / ours.bytes)
    assert ours.gflops == pytest.approx(2 * ours.multiply_adds_useful / 1e-3 / 1e9)
    assert ours.fraction_of_peak == pytest.approx(ours.gflops / 100)
    assert ours.fraction_of_sgemm == pytest.approx(ours.gflops / 80)
    assert ours.launches == 1 and "lane_vectors" in ours.config and ours.compile_seconds > 0
    assert ours.peak_bytes >= 2 * 2 * 37 * (16 * 4 + 4)
    assert ours.cpu_model and ours.versions["numpy"] == np.__version__ and len(ours.host) == 12 and ours.started
    assert ours.bound == ("memory" if ours.arithmetic_intensity * 10 < 100 else "compute")


def test_counts_are_exact():
    exact = ("multiply_adds", "tiles", "launches", "bytes", "peak_bytes")
    first, again = (records("window", "cpu")[0] for _ in range(2))
    assert [getattr(first, name) for name in exact] == [getattr(again, name) for name in exact]


def test_work_counts_each_array_once():
    case = by_name("mask-and-bias")
    call = make(case)
    told = work(case, call)
    assert told["bytes"] == sum(call[name].nbytes for name in ("q", "k", "v", "mask", "bias")) + 2 * 4 * 21 * 17 * 4
    assert work(by_name("batch-0"), make(by_name("batch-0")))["arithmetic_intensity"] is None


def test_a_peer_is_timed_with_its_own_error():
    ours, numpy = records(peers=("numpy",), pause=lambda: None)
    assert numpy.provider == "numpy" and numpy.timed and numpy.reason == ""
    assert numpy.error > 0 and numpy.error != ours.error and numpy.budget > 0
    low, median, high = ours.ratio_to["numpy"]
    assert 0 < low <= median <= high and numpy.ratio_to == {}


def test_a_peer_that_cannot_is_blank_with_the_reason():
    answers = records("softcap", peers=tuple(PEERS))
    assert [r.provider for r in answers] == ["aat", *PEERS], "never dropped"
    for record in answers[2:]:
        assert not record.timed and record.gflops is None and record.reason


def test_a_peer_that_answers_otherwise_is_blank():
    _, numpy = records("poison-masked", peers=("numpy",))
    assert not numpy.timed and numpy.reason.startswith("answers otherwise: out: NaN")


def test_a_peer_that_raises_is_blank_and_ours_stands(monkeypatch):
    def broken(call, threads):
        raise MemoryError("no room\nfor this")
    monkeypatch.setitem(PEERS, "numpy", type(PEERS["numpy"])("numpy", (), lambda call: "", broken))
    ours, numpy = records(peers=("numpy",))
    assert ours.timed and numpy.reason == "raised MemoryError: no room"


def test_a_peer_that_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("torch", "onnxruntime", "openvino"):
        reason = PEERS[name].reason(make(by_name("plain")))
        assert "is not installed; pip install 'adaptive-attention-tiling[peers]'" in reason


@pytest.mark.parametrize("name", list(PEERS))
@pytest.mark.parametrize("case", ["plain", "gqa", "causal", "window", "mask-and-bias", "lens", "decode", "softcap",
                                  "sinks", "causal-lower_right-wide", "scale", "bf16"])
def test_a_peer_means_what_we_mean(name, case):
    """What a peer can express it answers as the reference does, dead rows apart (each peer has its own habit)."""
    from aat.validation.reading import canonical

    call = make(by_name(case))
    reason = PEERS[name].reason(call)
    if reason:
        pytest.skip(reason)
    prepared = PEERS[name].prepare(call, 2)
    with np.errstate(all="ignore"):
        out = prepared.collect(prepared.run())
    want = pipeline.expectation(by_name(case)).out
    alive = np.ones(want.shape, bool) if case != "lens" else np.broadcast_to(
        (canonical(**call)["kv_lens"] > 0)[:, None, None, None], want.shape)
    np.testing.assert_allclose(out[alive], want[alive], atol=2e-2 if case == "bf16" else 1e-5)


def test_roofs_are_the_best_of_what_fits():
    clock = Clock()
    calls = []
    assert peaks.best_rate(lambda: calls.append(1), 5e6, 0.02, clock) == pytest.approx(5.0)
    assert len(calls) > 4


def test_the_higher_of_two_roofs_counts():
    assert peaks.Peaks(1.0, None, 5.0).best(peaks.Peaks(2.0, None, 3.0)) == peaks.Peaks(2.0, None, 5.0)
    assert peaks.Peaks().best(peaks.Peaks(2.0)) == peaks.Peaks(2.0)


def test_roofs_of_this_processor_are_plausible():
    found = peaks.measure_peaks("cpu", seconds=0.06)
    assert found.sgemm_gflops > 0.5 and 0.5 < found.bandwidth_gbs < 5000
    assert found.peak_gflops > 0.3 * found.sgemm_gflops, "multiply-adds in registers wait for nothing"
    assert peaks.measure_peaks("reference") == peaks.Peaks()


def test_the_source_is_known_in_a_checkout_alone(tmp_path):
    assert environment.source(tmp_path) == ("", False)
    model, flags = environment._processor()
    assert model and set(flags) <= set(environment.FLAGS)


def test_peers_are_imported_before_anything_computes(monkeypatch):
    order = []
    monkeypatch.setattr(Peer, "load", lambda self: order.append(self.name))
    monkeypatch.setattr(pipeline, "expectation", lambda case: order.append("reference") or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure(by_name("launch"), "cpu", peers=("numpy", "torch"))
    assert order == ["numpy", "torch", "reference"]


def test_settle_waits_while_other_threads_spin_and_not_for_ever():
    from aat.validation.measure import MOST, settle

    now, spent = [0.0], [0.0]

    def sleep(seconds, until):
        now[0] += seconds
        spent[0] += seconds * (now[0] <= until)

    for until, at_least, at_most in ((0, 0, 0.01), (0.1, 0.1, 0.11), (9, MOST, MOST + 0.01)):
        now[0] = spent[0] = 0.0
        settle(lambda: now[0], lambda: spent[0], lambda seconds, until=until: sleep(seconds, until))
        assert at_least <= now[0] <= at_most
