"""`aat bench`: its table and records, and one clear line for everything that can be wrong."""

import errno
import json
import os

import numpy as np
import pytest
import wrong_kernels

from aat import cli
from aat.attention import dot
from aat.commands import bench
from aat.report.record import line, read
from aat.validation import peaks


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aat.commands.progress.EVERY", 1e9)  # on a busy machine its lines stand among the others
    monkeypatch.setattr(peaks, "measure_peaks", lambda backend: peaks.Peaks(100.0, 80.0, 10.0))


def aat_bench(*arguments):
    return cli.main(["bench", "--seconds", "0.01", *arguments])


def one_line(text):
    return text.count("\n") == 1 and text.startswith("aat bench: ")


def test_a_run_prints_the_table_and_keeps_the_records(capsys):
    assert aat_bench("plain", "f64", "--backend", "reference", "--peers", "numpy") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].startswith("case") and "time against numpy" in printed.out
    assert len([row for row in printed.out.splitlines() if row.startswith(("plain", "f64"))]) == 2
    records, problems = read("aat-records.jsonl")
    assert [(r.case, r.provider, r.timed) for r in records] == [
        ("plain", "aat", True), ("plain", "numpy", True), ("f64", "aat", True), ("f64", "numpy", True)]
    assert problems == [] and all(r.error is not None for r in records)
    assert aat_bench("one", "--backend", "reference") == 0
    assert len(read("aat-records.jsonl")[0]) == 5, "appended"


def test_json_is_the_records(capsys):
    assert aat_bench("plain", "--backend", "reference", "--json", "--records", "r.jsonl") == 0
    assert capsys.readouterr().out == "".join(map(line, read("r.jsonl")[0]))


def test_a_case_that_fails_its_check_has_no_time_and_the_others_do(monkeypatch, capsys):
    wrong_kernels.skewed(monkeypatch, lambda problem: problem.Lq == 1)
    assert aat_bench("decode", "plain", "--backend", "cpu") == 1
    failed, passed = read("aat-records.jsonl")[0]
    assert (failed.case, failed.status, failed.timed) == ("decode", "failed", False)
    assert failed.error > failed.budget > 0 and failed.reason.startswith("check failed: out: ")
    assert failed.host == passed.host and failed.threads == passed.threads and failed.started
    assert (passed.case, passed.status, passed.timed) == ("plain", "ok", True)
    printed = capsys.readouterr()
    row, = (row for row in printed.out.splitlines() if row.startswith("decode"))
    assert row.split()[:4] == ["decode", "cpu", "check", "failed"] and "not timed" not in row
    assert "not timed, because the check failed: decode on cpu" in printed.err


def test_a_planted_kernel_that_is_fast_yields_no_time_at_all(monkeypatch, capsys):
    wrong_kernels.plant(monkeypatch, wrong_kernels.fast_and_wrong)
    assert aat_bench("plain", "--backend", "cpu", "--peers", "numpy", "--json") == 1
    record, = map(json.loads, capsys.readouterr().out.splitlines())
    speeds = [name for name in record if "seconds" in name or "gflops" in name or "fraction" in name]
    assert len(speeds) > 5 and not any(record[name] for name in (*speeds, "rounds", "ratio_to", "aa_control"))
    assert record["status"] == "failed"


@pytest.mark.parametrize(("arguments", "told"), [
    (["no-such-case"], "expected a name from aat.validation.cases.CASES, got 'no-such-case'"),
    (["plain", "--peers", "jax,numpy"], "--peers: expected all, none or some of numpy, torch"),
    (["plain", "--seconds", "0"], "--seconds: expected more than 0"),
    (["plain", "--seconds", "nan"], "--seconds: expected more than 0"),
    (["plain", "--records", "no/such/folder/r.jsonl"], "--records: expected a file that can be written"),
    (["plain", "--records", "."], "--records: expected a file that can be written"),
])
def test_bad_input_is_one_line_and_status_2(arguments, told, capsys):
    assert aat_bench("--backend", "reference", *arguments) == 2
    printed = capsys.readouterr()
    assert one_line(printed.err) and told in printed.err and printed.out == ""


def test_a_backend_that_is_absent_or_software_is_status_2(capsys):
    from aat.backends import select

    found = select.get("cuda").probe()
    if found.ok:
        pytest.skip("there is a CUDA device here")
    assert aat_bench("plain", "--backend", "cuda") == 2
    assert "backend 'cuda' cannot run here" in capsys.readouterr().err
    found = select.get("vulkan").probe()
    if found.ok and found.device.kind == "software":
        assert aat_bench("plain", "--backend", "vulkan") == 2
        assert "a software device: it proves correctness, never speed" in capsys.readouterr().err


def test_a_foreign_file_is_refused_and_left_alone(tmp_path, capsys):
    (tmp_path / "table.csv").write_text("case,seconds\nplain,1\n")
    assert aat_bench("plain", "--backend", "reference", "--records", "table.csv") == 2
    assert one_line(captured := capsys.readouterr().err) and "table.csv:1: not a line of JSON" in captured
    assert (tmp_path / "table.csv").read_text() == "case,seconds\nplain,1\n"


def test_a_truncated_file_is_told_and_goes_on(tmp_path, capsys):
    assert aat_bench("plain", "one", "--backend", "reference") == 0
    path = tmp_path / "aat-records.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    capsys.readouterr()
    assert aat_bench("plain", "--backend", "reference") == 0
    assert one_line(told := capsys.readouterr().err) and "aat-records.jsonl:2: not a line of JSON: truncated" in told
    records, problems = read(path)
    assert [r.case for r in records] == ["plain", "plain"] and len(problems) == 1


def test_a_full_disk_loses_nothing(monkeypatch, capsys):
    whole, writes = os.write, []

    def full(file, data):
        writes.append(data)
        if len(writes) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(file, data)
    monkeypatch.setattr(os, "write", full)
    assert aat_bench("plain", "one", "tail-of-one", "--backend", "reference") == 2
    monkeypatch.undo()
    printed = capsys.readouterr()
    assert [json.loads(x)["case"] for x in printed.out.splitlines()] == ["one", "tail-of-one"]
    assert one_line(printed.err) and "No space left on device" in printed.err
    assert bench.DEFAULT_FILE == "aat-records.jsonl"


def test_an_unsupported_case_is_blank_with_its_reason(monkeypatch, capsys):
    from aat.errors import BackendError

    def refused(problem, session, config=None, **options):
        raise BackendError("cpu", ["it has had enough"])
    monkeypatch.setattr(dot, "run", refused)
    assert aat_bench("plain", "--backend", "cpu") == 0
    record, = read("aat-records.jsonl")[0]
    assert not record.timed and record.status == "not supported" and record.reason == "it has had enough"
    assert record.host and record.started, "or the page would take it for another machine's"
    assert "aat: it has had enough (plain)" in capsys.readouterr().out


def test_interrupted_it_keeps_what_it_has(monkeypatch, capsys):
    from aat.validation import pipeline

    honest = pipeline.expectation
    monkeypatch.setattr(pipeline, "expectation", lambda case: honest(case) if case.name == "one" else _stop())
    assert aat_bench("one", "plain", "--backend", "reference") == 130
    assert [r.case for r in read("aat-records.jsonl")[0]] == ["one"]
    assert "stopped; 1 records are kept in aat-records.jsonl" in capsys.readouterr().err


def _stop():
    raise KeyboardInterrupt


def test_the_list_and_the_help_are_for_newcomers(capsys):
    assert aat_bench("--list") == 0
    listed = capsys.readouterr().out
    assert "dense-2048" in listed and "8" in listed
    with pytest.raises(SystemExit) as stopped:
        cli.main(["bench", "--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0 and "examples:" in text and "exit status: 0" in text
    assert np.all([option in text for option in ("--peers", "--seconds", "--records", "--json", "--list", "--mlflow")])


def test_mlflow_is_told_before_anything_is_measured(capsys):
    assert aat_bench("plain", "--backend", "reference", "--mlflow", "carrier-pigeon:x") == 2
    assert one_line(capsys.readouterr().err) and not os.path.exists("aat-records.jsonl")


def test_a_store_that_fails_keeps_the_records(monkeypatch, capsys):
    from aat.report import tracking

    def unreachable(records, uri, suite):
        raise tracking.TrackingError(f"{uri}: connection refused")
    monkeypatch.setattr(tracking, "check", lambda uri: None)
    monkeypatch.setattr(tracking, "log_records", unreachable)
    assert aat_bench("plain", "--backend", "reference", "--mlflow", "http://nowhere") == 2
    assert len(read("aat-records.jsonl")[0]) == 1
    assert one_line(told := capsys.readouterr().err) and "connection refused; the records are in" in told
