"""How do records get into MLflow? A sink: the records' own file stays the source of truth."""

import json
import math
import re
import sqlite3
import tempfile
import time
from dataclasses import asdict, fields
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aat import env
from aat.errors import describe
from aat.report import page_tables, plots, view
from aat.report.record import Record, line

__all__ = ["DEFAULT_URI", "TrackingError", "check", "log_records"]

DEFAULT_URI = "sqlite:///aat-mlflow.db"
INSTALL = plots.INSTALL
SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")
LONGEST_PARAM = 500  # characters; MLflow refuses more than 6000, and nobody reads them


class TrackingError(RuntimeError):
    """The records could not be put into MLflow; the message is one line."""


def log_records(records, uri=DEFAULT_URI, *, suite="bench", experiment="aat"):
    """Log records and return the id of the parent run: one parent a call, one child a record.

    To be called after everything is timed. Parameters are the record's texts, metrics its numbers; the parent carries
    records.jsonl, environment.json and the figures as artifacts. A SQLite store keeps artifacts in a folder beside
    it. Raises TrackingError in one line where MLflow is missing or the store cannot be used.
    """
    records = list(records)
    if not records:
        raise TrackingError(describe("records", "at least one to log", "none"))
    location = check(uri)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        return _log(client, _experiment(client, experiment, location), records, suite)
    except (MlflowException, OSError) as error:
        raise TrackingError(f"{describe('uri', 'an MLflow store that can be written', repr(uri))}: "
                            f"{_first_line(error)}") from None


def check(uri):
    """Raise the TrackingError that logging to `uri` would end with, as far as it can be known before measuring.

    Returns the place of a new experiment's artifacts, None where the server decides.
    """
    location = _location(uri)
    env.prepare_mlflow()
    try:
        import mlflow.tracking  # noqa: F401  (the import is the test)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("mlflow", "sqlalchemy", "alembic"):
            raise
        raise TrackingError(f"MLflow is not installed; {INSTALL}") from None
    return location


def _location(uri):
    """Where artifacts of a new experiment go: a folder beside a SQLite file, None for a server, which knows itself.

    SQLite files are tried here: MLflow would try for minutes, and would make a file of anything.
    """
    scheme = urlsplit(str(uri)).scheme
    if scheme.partition("+")[0] not in SCHEMES:
        raise TrackingError(describe("uri", f"one that begins with {', '.join(SCHEMES[:3])} (or another database)",
                                     repr(uri), f"the default is {DEFAULT_URI}"))
    if scheme != "sqlite":
        return None
    if not uri.startswith("sqlite:///") or uri == "sqlite:///" or ":memory:" in uri:
        raise TrackingError(describe("uri", "sqlite:///FILE, with a fourth slash for an absolute path", repr(uri)))
    path = Path(unquote(uri[len("sqlite:///"):].partition("?")[0])).absolute()
    try:
        store = sqlite3.connect(path, timeout=10, isolation_level=None)
        try:
            store.execute("BEGIN IMMEDIATE")  # a foreign file, a read-only one and a locked one all end here
            store.execute("ROLLBACK")
        finally:
            store.close()
    except sqlite3.Error as error:
        raise TrackingError(describe("uri", "a SQLite file that can be written", repr(uri), str(error))) from None
    return (path.parent / f"{path.stem}-artifacts").as_uri()


def _experiment(client, name, location):
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name, artifact_location=location)


def _log(client, experiment, records, suite):
    newest = max(records, key=lambda record: record.started)
    parent = client.create_run(experiment, run_name=suite, tags={
        "aat.suite": suite, "mlflow.source.git.commit": newest.commit, "aat.dirty": str(newest.dirty)}).info.run_id
    status = "FAILED"
    try:
        timed = sum(record.timed for record in records)
        _batch(client, parent, {"commit": newest.commit, "cpu_model": newest.cpu_model, "host": newest.host},
               {"records": len(records), "timed": timed, "wrong": sum(view.verdict(r).ok is False for r in records)})
        with tempfile.TemporaryDirectory() as folder:
            _artifacts(Path(folder), records)
            client.log_artifacts(parent, folder)
        for record in records:
            _child(client, experiment, parent, record)
        status = "FINISHED"
    finally:
        client.set_terminated(parent, status)
    return parent


def _child(client, experiment, parent, record):
    name = "/".join((record.case, record.backend, record.provider))
    tags = {"mlflow.parentRunId": parent, "aat.checked": str(view.verdict(record).ok)}
    params, metrics = _split(record)
    odd = sorted(key for key, value in metrics.items() if not math.isfinite(value))
    if odd:  # MLflow stores inf as 1.8e308
        tags["aat.not_finite"] = ", ".join(f"{key}: {metrics[key]}" for key in odd)
    run = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    _batch(client, run, params, {key: value for key, value in metrics.items() if key not in odd})
    client.set_terminated(run, "FINISHED" if view.verdict(record).ok is not False else "FAILED")


def _split(record):
    """(params, metrics) of a record: texts and numbers, nested names joined by dots; None is left out."""
    params, metrics = {}, {}
    values = asdict(record)
    for entry in fields(Record):
        for name, value in _flat(entry.name, values[entry.name]):
            if isinstance(value, bool | str):
                params[name] = value
            elif value is not None:
                metrics[name] = float(value)
    part = view.share(record)
    if part is not None:
        metrics["error_over_budget"] = part
    return params, metrics


def _flat(name, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif name == "cpu_flags":
        yield name, " ".join(value)
    elif isinstance(value, list | tuple):
        for key, inner in zip(("low", "median", "high"), value, strict=False):
            yield f"{name}.{key}", inner
    else:
        yield name, value


def _batch(client, run, params, metrics):
    from mlflow.entities import Metric, Param

    now = int(1000 * time.time())
    client.log_batch(run, metrics=[Metric(_name(key), float(value), now, 0) for key, value in metrics.items()],
                     params=[Param(_name(key), str(value)[:LONGEST_PARAM]) for key, value in params.items()])


def _name(text):
    """A name that MLflow takes: it refuses brackets, equals signs and much else."""
    return re.sub(r"[^\w./ -]", "_", text, flags=re.ASCII).strip("./ ") or "_"


def _artifacts(folder, records):
    (folder / "records.jsonl").write_text("".join(map(line, records)), encoding="utf-8")
    facts = json.dumps(dict(page_tables.environment(records)), indent=2, ensure_ascii=False)
    (folder / "environment.json").write_text(facts + "\n", encoding="utf-8")
    for figure in plots.figures(records):
        if figure.svg:
            (folder / "figures").mkdir(exist_ok=True)
            (folder / "figures" / f"{_name(figure.name)}.svg").write_text(figure.svg, encoding="utf-8")


def _first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
