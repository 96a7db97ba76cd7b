"""The page: what is in it, and what a browser makes of it."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import fields
from html import unescape
from html.parser import HTMLParser
from importlib.util import find_spec

import pytest
from fake_records import REASON, fake, suite, without_time

from aat import env
from aat.commands import report
from aat.report import page, plots, record
from aat.report.page_tables import tables

HOSTILE = '<script>alert("x")</script>$title'
NAME = "<i>a case</i>-64"
TABLES = {"table-times", "table-features", "table-support", "table-details"}
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
         "--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(text, path) of the page of a whole suite, as the command writes it."""
    folder = tmp_path_factory.mktemp("page")
    record.append(folder / "records.jsonl", [*suite(), without_time("no-keys", reason=HOSTILE), fake(NAME)])
    with open(folder / "records.jsonl", "a") as file:
        file.write('{"schema": 1, "case"')
    assert report.run(["--records", str(folder / "records.jsonl"), "--out", str(folder / "out.html")]) == 0
    return (folder / "out.html").read_text(encoding="utf-8"), folder / "out.html"


class _Page(HTMLParser):
    """Tags that were opened and not closed, identifiers, and the text of each table's rows."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tables = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = self.tables[given["id"]] = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        if "id" in dict(attributes):
            self.ids.append(dict(attributes)["id"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def cells(text, table, case, backend):
    rows = _Page(text).tables[table]
    row, = (row for row in rows if row[:2] == [case, backend])
    return dict(zip(rows[0], row, strict=True))


def test_the_page_is_well_formed_and_its_anchors_are_there(written):
    found = _Page(written[0])
    assert not found.open
    assert len(found.ids) == len(set(found.ids))
    assert set(re.findall(r'href="#([^"]+)"', written[0])) <= set(found.ids)
    assert set(found.tables) == TABLES


def test_the_page_asks_for_nothing_outside_of_itself(written):
    text = written[0]
    assert not re.search(r"""(?:src|href|action|data)\s*=\s*["'](?!#|data:)""", text)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|<iframe|<object|<embed", text)
    assert "default-src 'none'" in text


def test_a_time_stands_beside_its_error_and_a_peer_beside_its_ratio(written):
    row = cells(written[0], "table-times", "dense-2048", "cpu")
    assert row["aat"] == "800.20 of its budget"
    assert row["torch"] == "94.120.40 of its budget; aat / torch 0.85 (0.80 to 0.90)"


def test_a_blank_cell_says_why(written):
    assert cells(written[0], "table-times", "window-4096", "cpu")["onnxruntime"] == REASON
    assert cells(written[0], "table-times", "window-4096", "cpu")["torch"] == "not run"


def test_a_peer_that_gives_every_case_one_reason_gives_it_once():
    absent = [without_time(case, provider="openvino", reason="openvino is not installed; `pip install openvino`")
              for case in ("dense-2048", "causal-2048", "window-4096")]
    text = page.html([*suite(), *absent], drawn=[])
    assert "openvino" not in _Page(text).tables["table-times"][0]
    assert "Blank for every case: openvino is not installed; <code>pip install openvino</code>." in text
    assert "onnxruntime" in _Page(text).tables["table-times"][0]


def test_a_wrong_result_is_named_and_has_no_time(written):
    rows = _Page(written[0]).tables["table-support"]
    row = dict(zip(rows[0], next(row for row in rows if row[0] == "window-4096"), strict=True))
    assert row["vulkan"].startswith("FAILS: 3 of its budgeterror 3e-06, budget 1e-06; check failed: 3 elements")
    times = _Page(written[0]).tables["table-times"]
    assert ["window-4096", "vulkan"] not in [row[:2] for row in times]


def support(records):
    """{case: (text, note, kind) on the CPU} of the table, and the cells of the features."""
    found = {table.name: table for table in tables(records)}
    by_case = {row[0].text: (row[2].text, row[2].note, row[2].kind) for row in found["support"].rows}
    return by_case, {row[0].text: (row[1].text, row[1].kind) for row in found["features"].rows}


def test_support_shows_ok_failed_and_not_supported():
    made = [without_time("plain", status="ok", error=1e-7, budget=2e-7),
            without_time("gqa", status="failed", reason="check failed: out: NaN at 3 wrong places"),
            without_time("f64", status="not supported", reason="no float64"),
            without_time("merge on plain", status="ok"),
            without_time("permute-keys on plain", status="failed", reason="check failed: 3 times over")]
    by_case, by_feature = support(made)
    assert by_case == {
        "plain": ("0.50 of its budget", "error 1e-07, budget 2e-07", "good"),
        "gqa": ("FAILS", "check failed: out: NaN at 3 wrong places", "bad"),
        "f64": ("not supported", "no float64", "blank"),
        "merge on plain": ("ok", "", "good"),
        "permute-keys on plain": ("FAILS", "check failed: 3 times over", "bad")}
    assert by_feature["float32"] == ("failed 1 of 2", "bad")
    assert by_feature["grouped heads (GQA, MQA)"] == ("failed 1 of 1", "bad")
    assert by_feature["float64"] == ("not supported", "blank")
    assert by_feature["laws (permutation, merging, ...)"] == ("failed 1 of 2", "bad")
    assert "causal" not in by_feature, "no case with it was checked"
    assert "check failed: out: NaN" in page.html(made, drawn=[])


def test_a_later_check_takes_a_time_away_only_if_it_failed():
    timed = fake("plain", seconds=0.5)
    later = dict(started="2026-11-21T10:00:00+00:00")
    passed = without_time("plain", status="ok", error=1e-6, budget=1e-6).but(**later)
    failed = without_time("plain", status="failed", error=3e-6, budget=1e-6).but(**later)
    assert cells(page.html([timed, passed], drawn=[]), "table-times", "plain", "cpu")["aat"].startswith("500")
    assert support([timed, passed])[0]["plain"][0] == "1.00 of its budget", "the newest check"
    assert "table-times" not in _Page(page.html([timed, failed], drawn=[])).tables
    assert support([timed, failed])[0]["plain"][0] == "FAILS: 3 of its budget"
    again = fake("plain", seconds=0.25, started="2026-11-22T10:00:00+00:00")
    assert cells(page.html([timed, failed, again], drawn=[]), "table-times", "plain", "cpu")["aat"].startswith("250")


def test_every_row_with_a_time_has_an_error():
    for table in tables(suite()):
        for row in table.rows if table.name == "details" else ():
            named = dict(zip((name for name, _ in table.columns), row, strict=True))
            assert named["median ms"].text
            assert named["error"].text
            assert named["budget"].text


def test_runs_with_fewer_threads_have_rows_of_their_own(written):
    names = {row[0] for row in _Page(written[0]).tables["table-times"]}
    assert {"causal-2048", "causal-2048 (1 thread)", "causal-2048 (2 threads)"} <= names


def test_the_newest_record_is_the_one_shown(written):
    assert cells(written[0], "table-times", "decode-4096", "cpu")["aat"].startswith("40.00")  # 4 ms; the older has 4.4


def test_text_from_records_is_text(written):
    assert HOSTILE not in written[0]
    assert "<i>" not in written[0]
    assert "&lt;i&gt;a case&lt;/i&gt;-64</td>" in written[0]
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;$title" in written[0]


def test_the_environment_and_the_skipped_line_are_told(written):
    text = written[0]
    for fact in ("Test CPU",
                 "2026-11-20 10:00 UTC", "AVX2 FMA3", "200 GFLOP/s multiply-add", "aaaaaaaaaaaa", "numpy 2.4.0"):
        assert fact in text
    assert re.search(r'class="problem">[^<]*records\.jsonl:\d+: .*truncated', text)


def test_the_page_of_a_single_bare_record_says_what_to_run():
    drawn = plots.figures([fake("plain", peak_gflops=None, bandwidth_gbs=None)])
    text = page.html([fake("plain")], drawn=drawn)
    assert text.count('class="missing"') >= 4
    for command in ("aat bench", "AAT_NUM_THREADS=1"):
        assert command in text


def test_without_matplotlib_the_tables_remain(monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    text = page.html(suite())
    assert "<svg" not in text
    assert "matplotlib is not installed; pip install" in text
    assert set(_Page(text).tables) == TABLES


@pytest.mark.parametrize("content", [None, "", "not json\n", json.dumps({"schema": 99}) + "\n"])
def test_without_records_the_command_says_so(tmp_path, capsys, content):
    source = tmp_path / "records.jsonl"
    if content is not None:
        source.write_text(content)
    assert report.run(["--records", str(source), "--out", str(tmp_path / "out.html")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "aat bench" in said[-1]
    assert all(line.startswith("aat report: ") for line in said)
    assert not (tmp_path / "out.html").exists()


def test_a_foreign_file_is_one_line_and_a_broken_one_is_brief(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    source = tmp_path / "records.jsonl"
    source.write_text("a,b\n" * 50)
    given = ["--records", str(source), "--out", str(tmp_path / "out.html")]
    assert report.run(given) == 2
    said, = capsys.readouterr().err.splitlines()
    assert "got none (" in said and "records.jsonl:1: not a line of JSON" in said
    record.append(source, [fake("plain")])
    assert report.run(given) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "aat report: 47 more lines of the file are no records; skipped"
    assert (tmp_path / "out.html").read_text().count('class="problem"') == 4


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    record.append(tmp_path / "r.jsonl", [fake("plain")])
    assert report.run(["--records", str(tmp_path / "r.jsonl"), "--out", str(tmp_path / "missing" / "out.html")]) == 2
    said, = capsys.readouterr().err.splitlines()
    assert "--out: expected a file that can be written" in said


def test_a_full_disk_leaves_the_old_page(tmp_path, monkeypatch):
    target = tmp_path / "out.html"
    target.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        page.write(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_a_pipe_is_written_to_and_a_link_is_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True)
    page.write(tmp_path / "pipe", "through")
    assert reader.communicate(timeout=20)[0] == "through"
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    page.write(tmp_path / "link", "followed")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "followed"


def test_the_command_tells_machines_what_it_wrote(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    record.append(tmp_path / "r.jsonl", [fake("plain")])
    assert report.run(["--records", str(tmp_path / "r.jsonl"), "--out", str(tmp_path / "o.html"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["records"] == 1
    assert "matplotlib" in told["left_out"]["error"]


def test_the_fake_records_use_every_field_that_the_page_reads():
    filled = {entry.name for r in suite() for entry in fields(r) if getattr(r, entry.name) not in (None, "", (), {})}
    assert {entry.name for entry in fields(fake("plain"))} - filled <= {"dirty", "certified_bound"}


PROBE = """<script>
const found = {}, all = (selector, read) => Array.from(document.querySelectorAll(selector), read);
found.tables = all("table", table => table.id).length;
found.figures = all("figure svg", svg => svg.getBoundingClientRect().width);
const headings = all("#table-times thead button", button => button);
const column = n => all("#table-times tbody tr", row => row.cells[n].dataset.value ?? null);
found.before = column(2);
headings[2].focus();
found.focused = document.activeElement === headings[2];
headings[2].click();
found.up = column(2);
found.sorted = headings[2].closest("th").getAttribute("aria-sort");
headings[2].click();
found.down = column(2);
const torch = headings.findIndex(button => button.textContent === "torch");
headings[torch].click();
found.blanks = column(torch).map(value => value === null);
const shown = Object.assign(document.createElement("pre"), { id: "found", textContent: JSON.stringify(found) });
document.body.append(shown);
</script></body>"""


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """A function from a page's text to (what the probe found, lines of the console)."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        if "chromium" in env.require():
            pytest.fail("AAT_REQUIRE names chromium, and no program of that name is here; apt-get install chromium")
        pytest.skip("no chromium here; apt-get install chromium")

    def open_page(text):
        folder = tmp_path_factory.mktemp("browser")
        (folder / "page.html").write_text(text.replace("</body>", PROBE), encoding="utf-8")
        done = subprocess.run(
            [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", (folder / "page.html").as_uri()],
            capture_output=True, text=True, timeout=120, env=env.child_environment(HOME=str(folder)))
        found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, f"status {done.returncode}: {done.stderr[-2000:]}"
        return json.loads(unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


def test_a_browser_shows_figures_and_tables_sorts_and_has_nothing_to_complain_of(written, browse):
    found, console = browse(written[0])
    assert console == []
    assert found["tables"] == 4
    assert len(found["figures"]) == (8 if find_spec("matplotlib") else 0)
    assert all(width > 200 for width in found["figures"])
    numbers = [float(value) for value in found["before"]]
    assert numbers != sorted(numbers)
    assert [float(value) for value in found["up"]] == sorted(numbers)
    assert [float(value) for value in found["down"]] == sorted(numbers, reverse=True)
    assert found["sorted"] == "ascending"
    assert found["focused"]
    assert found["blanks"] == sorted(found["blanks"])
    assert True in found["blanks"]


def test_a_request_and_an_error_would_be_seen(written, browse):
    planted = '<img src="http://127.0.0.1:9/x.png"><script>throw new Error("planted")</script></main>'
    _, console = browse(written[0].replace("</main>", planted))
    assert any("Content Security Policy" in line for line in console)
    assert any("planted" in line for line in console)
