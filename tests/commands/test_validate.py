"""`aat validate`: the matrix says what ran, a failure is found on every path, and bad input is one line."""

import json
import os

import pytest
import wrong_kernels

from aat import cli
from aat.commands import validate
from aat.errors import BackendError
from aat.report.record import read
from aat.validation import acceptance, cases, properties


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where the records go


@pytest.fixture
def silent(monkeypatch):
    monkeypatch.setattr("aat.commands.progress.EVERY", 1e9)  # on a busy machine its lines stand among the others


@pytest.fixture
def few(monkeypatch):
    """A plan of two cases and a law."""
    monkeypatch.setattr(acceptance, "plan", lambda **options: [
        ("case", "plain"), ("case", "gqa"), ("law:plain", "permute-keys")])


def aat_validate(*arguments):
    return cli.main(["validate", "--backend", "reference", *arguments])


def cells(text):
    """{feature: cell} of a matrix with one backend."""
    width = text.index("reference")
    return {line[:width].strip(): line[width:].strip() for line in text.split("\n\n")[0].splitlines()[1:]}


@pytest.mark.usefixtures("few")
def test_everything_passes(capsys):
    assert aat_validate() == 0
    text = capsys.readouterr().out
    found = cells(text)
    assert found["float32"] == "ok 2" and found["grouped heads (GQA, MQA)"] == "ok 1"
    assert found[acceptance.LAWS_FEATURE] == "ok 1" and found["sinks"] == "-"
    assert "3 of 3 passed; the largest error / budget is" in text


@pytest.mark.usefixtures("few")
def test_json_has_outcomes_and_matrix(capsys):
    assert aat_validate("--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ok"] and facts["matrix"]["float32"] == {"reference": "ok 2"}
    assert [o["name"] for o in facts["outcomes"]] == ["plain", "gqa", "permute-keys on plain"]
    assert facts["outcomes"][0]["error"] > 0 and facts["outcomes"][0]["status"] == "ok"


@pytest.mark.usefixtures("few")
def test_a_wrong_result_is_status_1_and_named(monkeypatch, capsys):
    import aat.functional
    honest = aat.functional.attention

    def wrong(*args, **call):
        out, *rest = honest(*args, **call)
        if call["q"].shape[1] == 6:
            out[0, 0, 0, 0] += 1
        return out, *rest
    monkeypatch.setattr(aat.functional, "attention", wrong)
    assert aat_validate() == 1
    text = capsys.readouterr().out
    assert cells(text)["grouped heads (GQA, MQA)"] == "failed 1 of 1" and cells(text)["float32"] == "failed 1 of 2"
    assert "FAILED gqa on reference: out: 1 of" in text and "2 of 3 passed" in text


@pytest.mark.usefixtures("few")
def test_outcomes_are_records_without_times(monkeypatch):
    wrong_kernels.skewed(monkeypatch, lambda problem: problem.Hq == 6)
    assert cli.main(["validate", "--backend", "cpu"]) == 1
    passed, failed, law = read("aat-records.jsonl")[0]
    assert [(r.case, r.status, r.timed) for r in (passed, failed, law)] == [
        ("plain", "ok", False), ("gqa", "failed", False), ("permute-keys on plain", "ok", False)]
    assert passed.budget > passed.error > 0 and passed.reason == ""
    assert failed.error > failed.budget > 0 and failed.reason.startswith("check failed: out: ")
    assert law.error is None and law.budget is None
    assert all(r.host == passed.host and r.device and r.threads and r.started for r in (passed, failed, law))
    assert cli.main(["validate", "--backend", "cpu"]) == 1
    assert len(read("aat-records.jsonl")[0]) == 6, "appended"


@pytest.mark.usefixtures("few")
def test_records_go_where_one_says_or_nowhere():
    assert aat_validate("--no-records") == 0
    assert not os.path.exists("aat-records.jsonl")
    assert aat_validate("--records", "r.jsonl") == 0
    assert len(read("r.jsonl")[0]) == 3 and not os.path.exists("aat-records.jsonl")


@pytest.mark.usefixtures("few")
def test_a_place_that_takes_no_records_is_status_2(tmp_path, capsys):
    assert aat_validate("--records", "no/such/folder/r.jsonl") == 2
    assert "--records: expected a file that can be written" in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("case,seconds\n")
    assert aat_validate("--records", "table.csv") == 2
    assert (tmp_path / "table.csv").read_text() == "case,seconds\n"


@pytest.mark.usefixtures("few", "silent")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_loses_nothing(capsys):
    assert aat_validate("--records", "/dev/full") == 2
    printed = capsys.readouterr()
    assert [json.loads(text)["case"] for text in printed.out.splitlines()[:3]] == [
        "plain", "gqa", "permute-keys on plain"]
    assert "3 of 3 passed" in printed.out
    assert printed.err == ("aat validate: /dev/full: No space left on device; the records that it did not take were "
                           "printed as JSON\n")
    assert aat_validate("--records", "/dev/full", "--json") == 2
    assert len(json.loads(capsys.readouterr().out)["outcomes"]) == 3


@pytest.mark.usefixtures("few")
def test_a_broken_law_is_status_1(monkeypatch, capsys):
    law = properties.LAWS["permute-keys"]
    broken = type(law)(law.name, law.statement, lambda run, call: law.check(law.broken(run), call), law.broken)
    monkeypatch.setitem(properties.LAWS, "permute-keys", broken)
    assert aat_validate() == 1
    assert "FAILED permute-keys on plain on reference" in capsys.readouterr().out


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("raised", "status", "cell"), [
    (BackendError("reference", ["no such thing"]), 0, "not supported"), (ZeroDivisionError("x"), 1, "failed 1 of 1")])
def test_what_a_case_raises(monkeypatch, capsys, raised, status, cell):
    import aat.functional
    honest = aat.functional.attention

    def attention(*args, **call):
        if call["q"].shape[1] == 6:
            raise raised
        return honest(*args, **call)
    monkeypatch.setattr(aat.functional, "attention", attention)
    assert aat_validate() == status
    text = capsys.readouterr().out
    assert cells(text)["grouped heads (GQA, MQA)"] == cell
    assert ("reference: not supported: no such thing (gqa)" in text) == (status == 0)
    assert ("raised ZeroDivisionError: x" in text) == (status == 1)


def test_a_backend_that_cannot_run_is_status_2_when_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(validate, "_backends", lambda names: ({}, {"cuda": "no driver"}))
    assert cli.main(["validate", "--backend", "cuda"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "aat validate: backend 'cuda' cannot run here: no driver\n" and printed.out == ""


@pytest.mark.usefixtures("few")
def test_an_interrupt_is_status_130_without_a_traceback(monkeypatch, capsys):
    def stop(*entry):
        raise KeyboardInterrupt
    monkeypatch.setattr(acceptance, "outcome", stop)
    assert aat_validate() == 130
    assert capsys.readouterr().err == "\naat validate: interrupted after 0 checks\n"


def test_quick_shows_every_feature_with_few_cases():
    small = cases.tagged("small")
    chosen = acceptance.cover(small)
    assert len(chosen) < 15
    assert {f for c in chosen for f in acceptance.features(c)} == {f for c in small for f in acceptance.features(c)}
    assert set(acceptance.FEATURES) == {f for c in small for f in acceptance.features(c)}, "every row has a case"


def test_the_plan_is_every_case_but_the_timed_ones():
    names = [name for kind, name in acceptance.plan() if kind == "case"]
    assert names == [c.name for c in cases.CASES.values() if not c.tags & {"bench", "grid", "device", "device-quick"}]
    software = [name for kind, name in acceptance.plan(software=True) if kind == "case"]
    assert software == [c.name for c in cases.tagged("small")]
    laws = {name for kind, name in acceptance.plan(quick=True) if kind.startswith("law")}
    assert laws == set(properties.LAWS)


def test_the_help_is_for_newcomers(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["validate", "--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0 and "examples:" in text and "exit status: 0" in text


def test_progress_tells_the_time_left_in_lines(capsys):
    from aat.commands.progress import Progress
    now = [0.0]
    with Progress("aat validate", 10, clock=lambda: now[0]) as bar:
        bar.doing("nothing yet")
        now[0] = 5.0
        bar.step(2)
        bar.doing("the third")
        bar.doing("the third, at once")
    assert capsys.readouterr().err == "aat validate: 2 of 10, 20 s left; now the third\n"
