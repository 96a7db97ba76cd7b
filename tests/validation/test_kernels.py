"""What a kernel gets for being there: a check that finds mistakes, laws that can fail, counts and times."""
import numpy as np
import pytest

from aat import operations
from aat.commands import bench
from aat.report.record import OK
from aat.validation import acceptance, kernels
from aat.validation.cases import KERNEL_CASES, kernel_cases
from aat.validation.measure import NotChecked
from aat.validation.peaks import Peaks

PLAIN = KERNEL_CASES["linear-plain"]


class Broken:
    """An operation whose result passes through `change`."""

    def __init__(self, change):
        self.real, self.change, self.calls = operations.get("linear"), change, 0

    def __getattr__(self, name):
        return getattr(self.real, name)

    def __call__(self, *, out=None, **call):
        self.calls += 1
        result = self.change(self.real(**call), self.calls, call)
        if out is None:
            return result
        out[...] = result
        return out


def planted(monkeypatch, change):
    broken = Broken(change)
    monkeypatch.setattr(operations, "get", lambda name: broken)
    return broken


def test_every_kernel_is_found_by_its_stem_and_has_cases():
    assert "linear" in operations.names()
    for name in operations.names():
        assert operations.get(name).name == name
        assert kernel_cases(name, "small"), f"{name} has no small case"
        assert kernel_cases(name, "bench"), f"{name} has no case to time"
    assert {case.kernel for case in KERNEL_CASES.values()} == set(operations.names())
    with pytest.raises(ValueError, match=r"kernel: expected one of .*linear.*, got 'nope'"):
        operations.get("nope")


def test_a_case_has_the_same_arrays_every_time():
    a, b = kernels.arguments(PLAIN), kernels.arguments(PLAIN)
    np.testing.assert_array_equal(a["x"], b["x"])


def unwritten(out, calls, call):
    out[0, 0, 0] = np.nan
    return out


def scaled(out, calls, call):
    return (out * np.float32(1 + 2e-5)).astype(out.dtype)


def bf16_sums(out, calls, call):
    out[1, 6] = (out[1, 6].view(np.uint32) & 0xFFFF0000).view(np.float32)
    return out


@pytest.mark.parametrize("change", [unwritten, scaled, bf16_sums], ids=lambda change: change.__name__)
def test_a_wrong_kernel_fails_its_check_and_is_not_timed(change, monkeypatch):
    assert kernels.check(PLAIN, "reference").ok
    planted(monkeypatch, change)
    assert not kernels.check(PLAIN, "reference").ok
    with pytest.raises(NotChecked):
        kernels.measure(PLAIN, "reference", seconds=0.01, peaks=Peaks(1.0, 1.0, 1.0))


def drifts(out, calls, call):
    return out + np.float32(calls * 1e-6)


def writes_x(out, calls, call):
    call["x"][0] = 0
    return out


def minds_strides(out, calls, call):
    return out if call["x"].flags.c_contiguous else out * np.float32(1 + 1e-6)


def minds_threads(out, calls, call):
    from aat.backends.cpu import get_num_threads, processors
    return out if get_num_threads() == processors() else out + np.float32(1)


def minds_out(out, calls, call):
    return out * np.float32(1 + 1e-6) if calls > 1 else out


@pytest.mark.parametrize(("law", "change"), [
    ("repeats", drifts), ("inputs-stay", writes_x), ("strides", minds_strides), ("threads", minds_threads),
    ("strided-out", minds_out)])
def test_each_law_finds_what_it_forbids(law, change, monkeypatch):
    from aat.backends.cpu import processors
    if law == "threads" and processors() == 1:
        pytest.skip("there is one processor")
    assert kernels.law(law, PLAIN, "reference") == ""
    planted(monkeypatch, change)
    assert kernels.law(law, PLAIN, "reference")


@pytest.mark.parametrize("name", operations.names())
def test_several_threads_run_where_the_law_looks_for_them(name, monkeypatch):
    """One program does not mind how many threads there are: on such a case the law could not fail."""
    from aat.backends.cpu import processors
    from aat.operations import launch
    if processors() == 1:
        pytest.skip("there is one processor")
    counts, real = [], launch.programs
    monkeypatch.setattr(launch, "programs", lambda *given: counts.append(real(*given)) or counts[-1])
    for law in ("threads", "repeats"):
        counts.clear()
        assert kernels.law(law, kernels.law_case(name, law), "cpu") == ""
        assert max(counts) > 1, f"{law}: {counts} programs"


def test_memory_beside_out_is_watched(monkeypatch):
    real, call = operations.get("linear"), kernels.arguments(PLAIN)

    def spills(*, out=None, **given):
        if out is not None:
            out.base[...] = 0
        return real(out=out, **given)
    monkeypatch.setattr(operations, "get", lambda name: spills)
    monkeypatch.setattr(kernels, "arguments", lambda case: call)
    assert kernels.law("strided-out", PLAIN, "reference") == "memory beside out was written"


def test_a_record_has_counts_and_time():
    record, refused = kernels.measure(PLAIN, "reference", peers=("numpy",), seconds=0.01, peaks=Peaks(9.0, 8.0, 7.0))
    assert record.status == OK and record.timed and record.error <= record.budget
    assert record.multiply_adds == record.multiply_adds_useful == 14 * 33 * 21
    assert record.bytes == 4 * (14 * 33 + 21 * 33 + 14 * 21)
    assert not refused.timed and refused.reason == "compares attention, not linear"


def test_validate_plans_and_shows_every_kernel():
    everything, quick = acceptance.plan(), acceptance.plan(quick=True)
    for name in operations.names():
        cases = [case.name for case in (*kernel_cases(name, "small"), *kernel_cases(name, "full"))]
        assert [n for kind, n in everything if kind == "kernel" and n.startswith(f"{name}-")] == cases
        assert ("kernel", cases[0]) in quick
        assert {law for kind, law in quick if kind.startswith(f"kernel law:{name}-")} == set(kernels.LAWS)
        assert (f"kernel law:{kernel_cases(name, 'threads')[0].name}", "threads") in quick
    found = [acceptance.outcome("kernel", PLAIN.name, "reference"),
             acceptance.outcome(f"kernel law:{PLAIN.name}", "repeats", "reference")]
    assert acceptance.matrix(found, ["reference"])["kernel linear"] == {"reference": "ok 2"}
    assert acceptance.record(found[1]).case == "repeats on linear-plain"


def test_bench_times_a_kernel_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aat.validation.peaks.measure_peaks", lambda backend: Peaks(9.0, 8.0, 7.0))
    assert bench.run(["linear-plain", "--backend", "reference", "--seconds", "0.01"]) == 0
    assert "linear-plain" in capsys.readouterr().out
