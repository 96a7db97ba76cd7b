"""Records in a real MLflow store, read back."""

import json
import math
import socket
from importlib.util import find_spec

import pytest
from fake_records import fake, suite, without_time

from aat.report import tracking
from aat.report.record import read
from aat.report.tracking import TrackingError, log_records

needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="MLflow is not installed: pip install 'adaptive-attention-tiling[report]'")
# SQLAlchemy 2.1 warns of what MLflow 3.17 does while it maps its tables, and MLflow of its own internals.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"),
              pytest.mark.filterwarnings("ignore::FutureWarning")]


CASES = ("dense-4096", "window-4096", "decode-4096")  # enough; each child is a few commits to a disk


def records_of_a_suite():
    return [record for record in suite() if record.case in CASES and record.commit.startswith("a")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """(client, parent run, children by name, folder) of a suite in a SQLite store."""
    if find_spec("mlflow") is None:
        pytest.skip("MLflow is not installed")
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/kept here.db"
    odd = fake("odd[1]=(2)", versions={"a[b]": "c=d"}, tiles={"visited (all)": 3}, bandwidth_gbs=math.inf)
    parent = log_records([*records_of_a_suite(), odd], uri, suite="bench")
    from mlflow.tracking import MlflowClient
    client = MlflowClient(uri)
    home = client.get_experiment_by_name("aat")
    runs = client.search_runs([home.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=1000)
    return client, client.get_run(parent), {run.info.run_name: run for run in runs}, folder


@needs_mlflow
def test_one_parent_and_a_child_for_each_record(store):
    client, parent, children, _ = store
    records = records_of_a_suite()
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"records": len(records) + 1, "timed": sum(r.timed for r in records) + 1, "wrong": 1}
    home = parent.info.experiment_id
    assert len(client.search_runs([home], max_results=1000)) == len(records) + 2
    assert {f"{r.case}/{r.backend}/{r.provider}" for r in records} <= set(children)


@needs_mlflow
def test_a_child_carries_its_time_and_its_error(store):
    run = store[2]["dense-4096/cpu/torch"]
    record = next(r for r in records_of_a_suite() if (r.case, r.backend, r.provider) == ("dense-4096", "cpu", "torch"))
    assert run.data.metrics["seconds_median"] == record.seconds_median
    assert run.data.metrics["error"] == record.error
    assert run.data.metrics["error_over_budget"] == pytest.approx(0.4)
    assert run.data.metrics["tiles.visited"] == 900
    assert run.data.params["config"] == record.config
    assert run.data.params["versions.numpy"] == "2.4.0"
    assert run.data.metrics["aa_control.high"] == 1.03


@needs_mlflow
def test_a_blank_and_a_failed_case_are_there_without_a_time(store):
    blank = store[2]["window-4096/cpu/onnxruntime"]
    assert "no window" in blank.data.params["reason"]
    assert "seconds_median" not in blank.data.metrics
    failed = store[2]["window-4096/vulkan/aat"]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["aat.checked"] == "False"
    assert failed.data.metrics["error_over_budget"] == pytest.approx(3)
    assert "seconds_median" not in failed.data.metrics


@needs_mlflow
def test_names_are_made_legal_and_infinity_is_a_tag(store):
    run = store[2]["odd[1]=(2)/cpu/aat"]
    assert run.data.params["versions.a_b_"] == "c=d"
    assert run.data.metrics["tiles.visited _all_"] == 3
    assert "bandwidth_gbs" not in run.data.metrics
    assert run.data.tags["aat.not_finite"] == "bandwidth_gbs: inf"


@needs_mlflow
def test_artifacts_lie_beside_the_store(store):
    client, parent, _, folder = store
    kept = folder / "kept here-artifacts" / parent.info.run_id / "artifacts"
    assert {path.path for path in client.list_artifacts(parent.info.run_id)} >= {"records.jsonl", "environment.json"}
    records, problems = read(kept / "records.jsonl")
    assert not problems
    assert [r.case for r in records] == [r.case for r in records_of_a_suite()] + ["odd[1]=(2)"]
    assert json.loads((kept / "environment.json").read_text())["Processor"] == "Test CPU"
    if find_spec("matplotlib") is not None:
        assert (kept / "figures" / "roofline-cpu.svg").read_text().startswith("<svg ")


@needs_mlflow
def test_a_second_run_joins_the_first(store):
    client, parent, _, folder = store
    again = log_records([fake("plain")], f"sqlite:///{folder}/kept here.db", suite="validate")
    assert client.get_run(again).info.experiment_id == parent.info.experiment_id


@needs_mlflow
def test_a_server_that_is_not_there_is_one_line(monkeypatch):
    for name, value in tracking.env.MLFLOW_DEFAULTS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TrackingError, match="expected an MLflow store that can be written, got ") as told:
        log_records([fake("plain")], f"http://127.0.0.1:{port}")
    assert "\n" not in str(told.value)


def test_stores_that_cannot_be_used_are_one_line(tmp_path):
    foreign = tmp_path / "foreign.db"
    foreign.write_text("not a database" * 100)
    for uri, reason in ((f"sqlite:///{tmp_path}/missing/a.db", "unable to open database file"),
                        (f"sqlite:///{foreign}", "file is not a database"),
                        (f"sqlite:///{tmp_path}", "unable to open database file"),
                        ("sqlite://", "expected sqlite:///FILE"),
                        ("./mlruns", "expected one that begins with sqlite"),
                        ("", "expected one that begins with sqlite")):
        with pytest.raises(TrackingError, match=reason) as told:
            log_records([without_time("plain", reason="no time")], uri)
        assert "\n" not in str(told.value)


def test_nothing_to_log_is_refused():
    with pytest.raises(TrackingError, match="at least one to log, got none"):
        log_records([])


def test_a_missing_mlflow_is_told_with_the_command(monkeypatch, tmp_path):
    import sys
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackingError, match=r"MLflow is not installed; pip install '.*\[report\]'"):
        log_records([fake("plain")], f"sqlite:///{tmp_path}/a.db")
