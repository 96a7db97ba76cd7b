"""`aat bench --device-suite` on the software device: its checks, its records, its peer, and what it leaves out."""

import json

import numpy as np
import pytest

from aat import cli
from aat.commands import device_suite
from aat.report.record import read
from aat.validation import acceptance, cuda_peer, device, pipeline
from aat.validation.cases import by_name, make, tagged


def on_vulkan(test):
    return pytest.mark.vulkan(pytest.mark.parametrize("backend", ["vulkan"], indirect=True)(test))


@pytest.fixture(autouse=True)
def short(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aat.commands.progress.EVERY", 1e9)
    monkeypatch.setattr(acceptance, "plan", lambda **_: [("case", "no-keys"), ("case", "batch-0")])


class Peer:
    """What PyTorch on CUDA is where there is one, by the reference."""

    device, version = "a card", "1.0"

    def __init__(self, error=0.0, raises=None):
        self.error, self.raises, self.launched, self.waits = error, raises, 0, 0

    def wait(self):
        self.waits += 1

    def _go(self):
        self.launched += 1

    def attention(self, call):
        if self.raises:
            raise self.raises
        return self._go, pipeline.expected(call).out + self.error, "copies of shared heads"

    def product(self):
        return self._go, 2e6


def suite(monkeypatch, *arguments, names=("device-tiny",), peer=None):
    monkeypatch.setattr(device_suite.Suite, "_cases", lambda self: [by_name(name) for name in names])
    monkeypatch.setattr(device_suite.Suite, "_peer", lambda self: (peer, "" if peer else "torch is not installed"))
    return cli.main(["bench", "--device-suite", "--backend", "vulkan", "--quick", *arguments])


@on_vulkan
def test_one_command_checks_times_and_keeps(backend, monkeypatch, capsys):
    peer = Peer()
    assert suite(monkeypatch, names=("device-tiny", "device-tiny-g1"), peer=peer) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 passed" in printed and "left out" not in printed and "no peer" not in printed
    assert "time against torch-cuda" in printed and "of the speed of PyTorch's float32 matrix product" in printed
    records, problems = read("aat-records.jsonl")
    assert problems == []
    assert [(r.case, r.provider, r.timed) for r in records] == [
        ("no-keys", "aat", False), ("batch-0", "aat", False), ("device-tiny", "aat", True),
        ("device-tiny", "torch-cuda", True), ("device-tiny-g1", "aat", True), ("device-tiny-g1", "aat exact", True),
        ("device-tiny-g1", "torch-cuda", True)]
    plain, theirs, adaptive = records[2], records[3], records[4]
    assert (theirs.device, theirs.config, theirs.versions["torch-cuda"]) == ("a card", "copies of shared heads", "1.0")
    assert set(plain.ratio_to) == {"torch-cuda"} and set(adaptive.ratio_to) == {"torch-cuda", "aat exact"}
    assert "skipped_after" in adaptive.tiles and "skipped_after" not in plain.tiles
    assert plain.sgemm_gflops > 0 and plain.fraction_of_sgemm > 0 and plain.launches == 1
    largest = np.abs(make(by_name("device-tiny-g1"))["v"]).max()
    assert 0 <= adaptive.certified_bound <= device.TOLERANCE * largest * 1.001
    assert peer.launched > peer.waits > 10, "several calls are waited for at once"


@on_vulkan
def test_what_a_peer_cannot_do_is_said_and_aat_is_timed(backend, monkeypatch, capsys):
    for peer, told in ((Peer(raises=RuntimeError("no fused kernel\nmore")), "raised RuntimeError: no fused kernel"),
                       (Peer(error=np.nan), "answers otherwise: out: 768 elements are no means of values")):
        assert suite(monkeypatch, peer=peer) == 0
        assert f"torch-cuda: {told}" in capsys.readouterr().out
        *_, ours, theirs = read("aat-records.jsonl")[0]
        assert ours.timed and not theirs.timed and theirs.reason.startswith(told)
    assert suite(monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out)["case"] == "device-tiny"


@on_vulkan
def test_a_wrong_result_has_no_time(backend, monkeypatch, capsys):
    monkeypatch.setattr(device.Ours, "checked", lambda self: np.zeros((1, 4, 24, 8), np.float32))
    assert suite(monkeypatch) == 1
    failed = read("aat-records.jsonl")[0][-1]
    assert (failed.status, failed.timed) == ("failed", False)
    assert failed.reason.startswith("check failed: out[0, 0, 0:]")
    assert "not timed, because the check failed: device-tiny" in capsys.readouterr().err


@on_vulkan
def test_what_does_not_fit_is_left_out_and_said(backend, monkeypatch, capsys):
    now, taken = [0.0], []

    class Slow(device_suite.Suite):
        def __init__(self, *arguments):
            super().__init__(*arguments, clock=lambda: now[0])
            self.quick = False

        def _one(self, case, peer, seconds):
            taken.append((case.name, seconds))
            now[0] += 25 + seconds

    def outcome(kind, name, backend):
        now[0] += 30
        return acceptance.Outcome(name, backend, "ok", ())

    monkeypatch.setattr(device_suite, "Suite", Slow)
    monkeypatch.setattr(acceptance, "plan", lambda **_: [("case", name) for name in ("one", "plain", "causal", "gqa")])
    monkeypatch.setattr(acceptance, "outcome", outcome)
    names = [case.name for case in tagged("device")][:4]
    assert suite(monkeypatch, "--minutes", "2", names=names) == 0
    printed = capsys.readouterr().out
    assert "left out for want of time: 2 of 4 checks of the case table" in printed
    assert [name for name, _ in taken] == names[:2]
    assert f"left out for want of time: {names[2]} (a case takes some 25 s" in printed
    assert now[0] < 120


@on_vulkan
def test_what_cannot_be_asked_for(backend, capsys):
    for arguments, told in (
            (["--backend", "vulkan"], "is a software device: it proves correctness, never speed; --quick shows"),
            (["--backend", "cpu"], "--device-suite: expected a GPU, got backend 'cpu'"),
            (["--backend", "vulkan", "--quick", "--minutes", "0"], "--minutes: expected more than 0, got 0"),
            (["plain"], "--device-suite: expected no names of cases"),
            (["--peers", "all"], "--device-suite: expected no names of cases")):
        assert cli.main(["bench", "--device-suite", *arguments]) == 2
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1


def test_the_check_sees_rows_of_every_part_and_what_was_not_written():
    case = by_name("device-tiny-causal")
    call = make(case)
    right = pipeline.expected(call).out.astype(np.float32)
    assert device.judge(case, call, right, 0.0).ok
    for place, value in (((0, 0, 0, 0), 1.001), ((0, 3, 23, 7), 1.001), ((0, 1, 12, 3), 1.001), ((0, 2, 5, 5), np.nan),
                         ((0, 1, 7, 0), 1e6)):
        wrong = right.copy()
        wrong[place] *= value
        verdict = device.judge(case, call, wrong, 0.0)
        assert not verdict.ok and verdict.ratio == np.inf, place
    large = by_name("device-g1")
    seen = device.samples(large)
    assert {h for _, h, _ in seen} >= {0, large.Hq - 1} and {rows.stop for *_, rows in seen} >= {16, large.Lq}


def test_no_cuda_is_no_peer():
    assert cuda_peer.reason() in ("torch is not installed", "torch finds no CUDA device", "")
