"""`aat profile`: phases that add up, the kernel's parts from variants, the trace, and what is logged on the way."""

import json
import subprocess
import sys

import numpy as np
import pytest
import wrong_kernels

import aat
from aat import env
from aat.backends import select
from aat.cli import main
from aat.validation import cases, profiling
from aat.validation.peaks import Peaks
from aat.validation.profiling import PARTS, PHASES, Profile, Recorder, hooks, profile, separate, trace, variants

PEAKS = Peaks(peak_gflops=100.0, sgemm_gflops=80.0, bandwidth_gbs=10.0)


class Ticks:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


@pytest.fixture
def no_peaks(monkeypatch):
    monkeypatch.setattr(profiling, "measure_peaks", lambda backend: PEAKS)


def test_a_step_counts_without_the_steps_inside_it():
    recorder = Recorder(Ticks())
    inner = recorder.around(lambda: "value", "kernel", "kernel")
    outer = recorder.around(lambda: (inner(), inner())[0], "go", "launch")
    got = []
    seconds = recorder.call(lambda: got.append(outer()))
    # readings: call 1, go 2, kernel 3-4, kernel 5-6, go 7, call 8
    assert got == ["value"]
    assert (seconds["kernel"], seconds["launch"], seconds["other"]) == (2, 3, 2)
    assert sum(seconds.values()) == 7


def test_a_step_within_its_own_phase_is_no_step():
    recorder = Recorder(Ticks())
    inner = recorder.around(lambda: None, "read", "copy back")
    seconds = recorder.call(recorder.around(inner, "result", "copy back"))
    assert [step.name for step in recorder.spans] == ["result", "call"]
    assert seconds["copy back"] == 1


def test_every_hook_is_a_step_that_exists_and_all_are_taken_out_again():
    originals = [getattr(owner, name) for owner, name, _ in hooks()]
    assert {phase for _, _, phase in hooks()} <= set(PHASES)
    with select.use("cpu") as session:
        def fail():
            with profiling.hooked(Recorder(), session):
                assert all(getattr(owner, name) is not before
                           for (owner, name, _), before in zip(hooks(), originals, strict=True))
                assert {"array", "launching", "read"} <= set(vars(session))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert [getattr(owner, name) for owner, name, _ in hooks()] == originals
        assert not {"array", "launching", "read"} & set(vars(session))


@pytest.mark.parametrize("name", ["causal", "head-7-5"])
def test_the_phases_add_up_to_the_call(backend, name, no_peaks):
    if backend == "reference":
        pytest.skip("the reference launches nothing")
    if backend != "cpu" and name == "causal":
        pytest.skip("each of its variants compiles for seconds")
    found = profile(cases.by_name(name), backend, seconds=0.05)
    calls = [step for step in found.spans if step.name == "call"]
    kernels = [step for step in found.spans if step.phase == "kernel"]
    assert len(calls) == found.rounds == len(kernels)
    assert found.seconds == pytest.approx(sum(found.phases.values()))
    assert found.seconds == pytest.approx(np.median([step.end - step.start for step in calls]), rel=0.5)
    assert all(seconds >= 0 for seconds in found.phases.values())
    assert found.phases["argument checks"] > 0
    assert found.phases["packing, upload"] > 0
    assert found.error <= found.budget


def test_a_launch_without_tasks_does_nothing_and_is_over_afterwards():
    x = np.random.default_rng(0).normal(size=(1, 2, 64, 16)).astype(np.float32)
    out = np.full_like(x, 7)
    with profiling.without_tasks():
        _, info = aat.attention(x, x, x, backend="cpu", out=out, return_info=True)
    assert info.tiles["visited"] == 0
    assert (out == 7).all()
    _, info = aat.attention(x, x, x, backend="cpu", out=out, return_info=True)
    assert info.tiles["visited"] > 0
    assert not (out == 7).any()


def test_half_of_a_head_halves_one_product_and_keeps_the_tiles():
    call = dict(cases.make(cases.by_name("f16")), return_lse=True)
    *_, info = aat.attention(**call, backend="cpu", return_info=True)
    versions = variants(call, info.config)
    done = {}
    for name, (arguments, config) in versions.items():
        *_, other = aat.attention(**arguments, backend="cpu", tiling=config, return_info=True)
        done[name] = other.multiply_adds
        assert other.tiles == info.tiles
    assert done["half D"] == done["half Dv"] == 0.75 * info.multiply_adds
    assert variants(cases.make(cases.by_name("head-7-5")), info.config) == {}


def test_the_parts_of_the_kernel_follow_from_the_variants():
    rng = np.random.default_rng(1)
    noise = lambda: 1 + 0.01 * rng.standard_normal(40)
    qk, rest, pv = 4.0, 2.0, 3.0
    parts, reason = separate((qk + rest + pv) * noise(), (qk / 2 + rest + pv) * noise(), (qk + rest + pv / 2) * noise())
    assert reason == ""
    for name, value in zip(PARTS, (qk, rest, pv), strict=True):
        low, median, high = parts[name]
        assert low <= median <= high
        assert median == pytest.approx(value, abs=0.2)


def test_parts_that_noise_hides_are_not_told():
    rng = np.random.default_rng(1)
    times = [1 + 0.3 * rng.standard_normal(20) for _ in range(3)]
    parts, reason = separate(*times)
    assert parts == {}
    assert "from the noise; the kernel is one phase" in reason


@pytest.mark.parametrize(("bytes_", "bound", "fraction"), [(1000, "compute", 0.5), (1_000_000_000, "memory", 2.5)])
def test_the_lower_roof_binds(bytes_, bound, fraction):
    phases = dict.fromkeys(PHASES, 0.0) | {"kernel": 2.0, "launch": 0.1}
    found = Profile("x", "cpu", "d", "c", 0, 1, 9, 2.1, phases, multiply_adds=50 * 10**9, multiply_adds_useful=10**9,
                    bytes=bytes_, peak_gflops=100.0, sgemm_gflops=80.0, bandwidth_gbs=0.2 if bytes_ > 1000 else 10.0)
    profiling._roof(found)
    assert found.kernel_gflops == pytest.approx(50)
    assert found.bound == bound
    assert found.fraction_of_roof == pytest.approx(fraction)


def test_the_trace_is_a_chrome_trace_and_its_events_nest(no_peaks, tmp_path, capsys):
    target = tmp_path / "trace.json"
    assert main(["profile", "f16", "--backend", "cpu", "--seconds", "0.1", "--trace", str(target), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    value = json.loads(target.read_text())
    assert value["otherData"] == facts
    events = [event for event in value["traceEvents"] if event["ph"] == "X" and event["tid"] == 1]
    assert min(event["ts"] for event in events) == 0
    calls = [event for event in events if event["name"] == "call"]
    assert len(calls) == facts["rounds"]
    for event in events:
        assert {"name", "cat", "ts", "dur", "pid", "tid"} <= set(event)
        assert any(call["ts"] <= event["ts"] and event["ts"] + event["dur"] <= call["ts"] + call["dur"] + 1e-3
                   for call in calls)


def test_the_trace_marks_the_parts_as_derived():
    step = profiling.Span("kernel", "kernel", 1.0, 3.0)
    found = Profile("x", "cpu", "d", "c", 0, 1, 1, 2.0, dict.fromkeys(PHASES, 0.0), spans=[step],
                    parts={"QK": [0.9, 1.0, 1.1], "softmax and the rest": [0.4, 0.5, 0.6], "PV": [0.4, 0.5, 0.6]})
    derived = [event for event in trace(found)["traceEvents"] if event.get("cat") == "derived"]
    assert [(event["name"], event["ts"], event["dur"]) for event in derived] == [
        ("QK", 0, 1e6), ("softmax and the rest", 1e6, 0.5e6), ("PV", 1.5e6, 0.5e6)]


def test_the_table_has_the_error_beside_the_times(no_peaks, capsys):
    assert main(["profile", "causal", "--backend", "cpu", "--seconds", "0.05"]) == 0
    out = capsys.readouterr().out
    for word in (*PHASES, "error", "of a budget of", "flop a byte"):
        assert word in out


def test_a_wrong_kernel_yields_no_time(monkeypatch, capsys):
    wrong_kernels.skewed(monkeypatch)
    assert main(["profile", "plain", "--backend", "cpu"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "not timed, because the check failed" in told.err


@pytest.mark.parametrize(("argv", "words"), [
    (["causel"], "expected a name"),
    (["no-keys", "--backend", "cpu"], "makes 0 launches on cpu, expected one"),
    (["plain", "--backend", "cpu", "--trace", "/no/such/folder/t.json"], "cannot be written: No such file"),
])
def test_bad_input_is_one_line_and_status_2(argv, words, no_peaks, capsys):
    assert main(["profile", *argv, "--seconds", "0.01"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert words in lines[0]


CODE = """
import numpy as np, aat
x = np.ones((1, 1, 20, 8), np.float32)
for _ in range(3):
    aat.attention(x, x, x)
"""


def told(**variables):
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True,
                          env=env.child_environment(**{"AAT_LOG": None, "AAT_BACKEND": None, **variables}))
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_aat_log_shows_the_choice_of_the_backend_and_each_compilation():
    lines = told(AAT_LOG="debug")
    assert sum(line.startswith(("backend cpu: no real GPU", "backend vulkan: ", "backend cuda: "))
               for line in lines) == 1
    compiled = [line for line in lines if line.startswith("kernel attention_forward ")]
    assert len(compiled) == 1  # three calls, one kernel
    assert compiled[0].rpartition(" in ")[2].endswith(" s")
    assert float(compiled[0].split()[-2]) > 0


def test_aat_log_of_info_has_the_choice_alone_and_the_default_is_silent():
    assert not [line for line in told(AAT_LOG="info") if line.startswith("kernel ")]
    assert told() == []


def test_a_wrong_level_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("AAT_LOG", "loud")
    assert main(["compare", "main"]) == 2  # which opens no backend, the other reader of the variable
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith("aat compare: environment variable AAT_LOG: expected one of debug, info")
