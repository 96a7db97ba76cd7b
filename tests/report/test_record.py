"""Records survive a file, and a bad line costs nothing but itself."""

import json
import os
from pathlib import Path

import pytest

from aat.report import table
from aat.report.record import SCHEMA, Record, RecordError, append, line, read

FULL = Record("plain", "cpu", error=1e-7, budget=2e-7, seconds_p10=0.1, seconds_median=0.1, seconds_p90=0.2, rounds=10,
              cpu_flags=("avx2", "fma"), versions={"numpy": "2.0"}, tiles={"visited": 3}, aa_control=[0.9, 1.0, 1.1],
              ratio_to={"torch": [0.8, 0.9, 1.0]}, gflops=3.0, peak_gflops=10.0, fraction_of_peak=0.3, bound="memory",
              commit="c0ffee", device="a processor", started="2026-01-02T03:04:05+00:00")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "records.jsonl")


def test_what_is_appended_is_read(path):
    append(path, [FULL])
    append(path, [FULL.but(case="other"), Record("plain", "cpu", provider="torch", reason="no sinks")])
    records, problems = read(path)
    assert records[0] == FULL and [r.case for r in records] == ["plain", "other", "plain"] and problems == []
    assert records[0].timed and not records[2].timed


def test_no_speed_without_its_error():
    with pytest.raises(RecordError, match="has a time and no error"):
        Record("plain", "cpu", seconds_median=0.1)
    with pytest.raises(RecordError):
        FULL.but(budget=None)


@pytest.mark.parametrize("change", [{"status": "failed"}, {"status": "not supported"}, {"error": 3e-7},
                                    {"error": float("nan")}])
def test_no_speed_of_a_wrong_result(change):
    with pytest.raises(RecordError, match=r"has a time, and its check is '(failed|not supported)'; expected no time"):
        FULL.but(**change)
    Record("plain", "cpu", "torch", error=3e-7, budget=2e-7, seconds_median=0.1)  # a peer is compared, not judged


def test_a_device_is_not_read():
    with pytest.raises(RecordError, match="expected a file of records, got the device '/dev/zero'"):
        read("/dev/zero")  # which never ends


def test_a_full_device_says_that_it_is_full():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with pytest.raises(OSError, match="No space left"):
        append("/dev/full", [FULL])


@pytest.mark.parametrize(("text", "told"), [
    ('{"schema":1,"case":"x","backend":"cpu","status":"well"}', "status is 'well', expected ok, failed or not"),
    ('{"schema":1,"case":"pla', "not a line of JSON: truncated"),
    ("case,seconds", "not a line of JSON"),
    ('{"machine_info":{}}', "it has no schema"),
    ("[1, 2]", "no record of aat"),
    ('{"schema":99}', "schema 99, expected 1"),
    ('{"schema":1,"case":"x"}', "no backend"),
    ('{"schema":1,"case":3,"backend":"cpu"}', "case is 3, expected str"),
    ('{"schema":1,"case":"x","backend":"cpu","rounds":true}', "rounds is True, expected int"),
    ('{"schema":1,"case":"x","backend":"cpu","rounds":null}', "rounds is None, expected int"),
    ('{"schema":1,"case":"x","backend":"cpu","seconds_median":1}', "a time and no error"),
    ("\x00\xff", "not a line of JSON"),
])
def test_a_bad_line_is_named_and_the_others_are_kept(path, text, told):
    append(path, [FULL])
    with open(path, "ab") as file:
        file.write(text.encode("latin-1") + b"\n")
    append(path, [FULL.but(case="after")])
    records, problems = read(path)
    assert [r.case for r in records] == ["plain", "after"]
    assert len(problems) == 1 and told in problems[0] and f"{path}:2" in problems[0] and "\n" not in problems[0]


def test_a_cut_last_line_does_not_swallow_the_next_record(path):
    append(path, [FULL, FULL])
    os.truncate(path, os.path.getsize(path) - 20)
    append(path, [FULL.but(case="after")])
    records, problems = read(path)
    assert [r.case for r in records] == ["plain", "after"] and len(problems) == 1


def test_a_file_that_is_not_there_is_one_line(path):
    with pytest.raises(RecordError, match=r"expected a readable file.*aat bench --records"):
        read(path)


def test_a_full_disk_leaves_no_half_line(path, monkeypatch):
    append(path, [FULL])
    before = Path(path).read_bytes()
    whole = os.write
    calls = []

    def full(file, data):
        if calls:
            raise OSError(28, "No space left on device")
        calls.append(1)
        return whole(file, bytes(data)[:10])
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        append(path, [FULL])
    monkeypatch.undo()
    assert Path(path).read_bytes() == before


def test_a_line_is_json_that_everybody_reads():
    import numpy as np
    odd = FULL.but(provider="numpy", gflops=float("inf"), peak_gflops=float("nan"), rounds=np.int64(3),
                   error=np.float32(0.5))
    plain = json.loads(line(odd), parse_constant=lambda name: pytest.fail(name))
    assert plain["gflops"] is None and plain["peak_gflops"] is None and plain["rounds"] == 3 and plain["error"] == 0.5
    assert plain["schema"] == SCHEMA and line(odd).count("\n") == 1


PEER = Record("plain", "cpu", provider="torch", error=3e-7, budget=2e-7, seconds_p10=0.1, seconds_median=0.1,
              seconds_p90=0.1)
ABSENT = Record("plain", "cpu", provider="openvino", reason="no sinks")


def test_the_table_shows_each_time_with_its_error_and_blanks_with_a_reason():
    text = table.markdown([FULL.but(error=1.5e-7), FULL, PEER, ABSENT])
    row, = (x for x in text.splitlines() if x.startswith("| plain"))
    assert "| 100 (100 - 200) | 3 | 30 % | memory | 1e-07 / 2e-07 | 1.00 [0.90, 1.10] |" in row
    assert "0.90 [0.80, 1.00], error 3e-07" in row and row.endswith("|  |"), "the latest record, and a blank"
    assert "- openvino: no sinks (plain)" in text
    assert "a processor (cpu); roofs of the run: 10 GFLOP/s" in text and "commit c0ffee" in text
    assert "openvino: no sinks (plain)" in table.text([FULL, PEER, ABSENT])


@pytest.mark.parametrize("others", [[], [PEER.but(seconds_median=None, error=None, reason="gone")]])
def test_a_ratio_whose_error_is_unknown_is_not_shown(others):
    text = table.markdown([FULL, *others])
    assert "[0.80" not in text, "the ratio to torch stands in our record; torch's error does not"


def test_the_table_goes_between_the_markers_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{table.BEGIN}\nold\n{table.END}\nbelow\n")
    table.fill(page, [FULL])
    table.fill(page, [FULL])
    text = page.read_text()
    assert text.startswith("above\n") and text.endswith("\nbelow\n") and "old" not in text
    assert text.count("| plain |") == 1
    page.write_text("no markers")
    with pytest.raises(RecordError, match="found none of them"):
        table.fill(page, [FULL])
    assert page.read_text() == "no markers"
