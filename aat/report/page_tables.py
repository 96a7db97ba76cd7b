"""Which tables are on the page? Rows of cells, every time with its error in the same row."""

import math
from dataclasses import dataclass
from html import escape

from aat.report import view
from aat.validation import acceptance

__all__ = ["Cell", "Table", "environment", "tables"]


@dataclass(frozen=True)
class Cell:
    """One cell: text, a smaller second line, the value that it is sorted by, and "good", "bad" or "blank"."""

    text: str
    note: str = ""
    value: float | str | None = None
    kind: str = ""

    def html(self):
        """The cell as a <td>; a number is sorted as one, a blank cell last."""
        value = self.text if self.value is None and self.kind != "blank" else self.value
        kind = " ".join(filter(None, (self.kind, "number" if isinstance(value, int | float) else "")))
        value = "Infinity" if value == math.inf else value  # as the page's script spells it
        data = "" if value is None else f' data-value="{escape(str(value))}"'
        note = f"<small>{escape(self.note)}</small>" if self.note else ""
        return f'<td{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}{data}>{escape(self.text)}{note}</td>'


@dataclass(frozen=True)
class Table:
    """A table: name is its anchor, text a sentence below its title, columns (heading, explanation)."""

    name: str
    title: str
    text: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables(records):
    """The tables of some records, those without rows left out."""
    shown = view.latest(records)
    full = set(map(id, view.at_full_width(shown)))

    def name(record):
        count = record.threads
        return record.case if id(record) in full else f"{record.case} ({count} thread{'s' if count != 1 else ''})"

    checked = view.checks(records)
    made = [_times(shown, name), _features(checked), _support(checked), _details(shown, name)]
    return [table for table in made if table.rows]


def environment(records):
    """(what, value) pairs about the machine, the tree and the runs."""
    shown = view.latest(records)
    newest = max(shown, key=lambda record: record.started)
    started = sorted(record.started for record in shown if record.started)
    hosts = {record.host for record in records}
    facts = [("Processor", newest.cpu_model), ("Instructions", " ".join(newest.cpu_flags))]
    for backend in view.backends(shown):
        mine = [record for record in shown if record.backend == backend and record.provider == "aat"]
        devices = dict.fromkeys(", ".join(filter(None, (r.device, r.driver))) for r in mine)
        facts.append((f"Backend {backend}", "; ".join(filter(None, devices))))
        roof = max((r for r in view.at_full_width(mine) if r.peak_gflops), key=lambda r: r.started, default=None)
        if roof is not None:
            facts.append((f"Roofs of {backend}", ", ".join(_roofs(roof))))
    commits = dict.fromkeys(r.commit[:12] + (" with changes" if r.dirty else "") for r in shown if r.commit)
    versions = [f"{name} {value}" for name, value in newest.versions.items()]
    facts += [("Commit", "; ".join(commits)), ("Versions", ", ".join(versions)),
              ("Measured", " to ".join(dict.fromkeys(map(_moment, (started[0], started[-1])))) if started else ""),
              ("Records", f"{len(records)} in the file, {len(shown)} newest ones shown"
               + (f", from one of {len(hosts)} machines" if len(hosts) > 1 else ""))]
    return [(what, value) for what, value in facts if value]


def _moment(text):
    return text[:16].replace("T", " ") + (" UTC" if text.endswith(("+00:00", "Z")) else text[19:])


def _roofs(record):
    yield f"{record.peak_gflops:.4g} GFLOP/s multiply-add"
    if record.sgemm_gflops:
        yield f"{record.sgemm_gflops:.4g} GFLOP/s matrix product"
    if record.bandwidth_gbs:
        yield f"{record.bandwidth_gbs:.3g} GB/s read"


def _by_row(records, name):
    """{(case, backend): {provider: record}} in the order of the records."""
    found: dict = {}
    for record in records:
        found.setdefault((name(record), record.backend), {})[record.provider] = record
    return found


def _times(records, label):
    """One row a case and backend, one column a provider: time, and below it error and ratio."""
    absent = _absent(records)
    names = sorted({r.provider for r in records if r.timed or r.provider != "aat"} - absent.keys(),
                   key=view.order_of_providers)
    columns = (("case", "Name in aat.validation.cases"), ("backend", ""),
               *((name, f"Median milliseconds of {name}; blank cells say why") for name in names))
    rows = []
    for (case, backend), cells in _by_row(records, label).items():
        if any(record.timed for record in cells.values()):
            mine = cells.get("aat")
            rows.append((Cell(case), Cell(backend), *(_time(cells.get(name), mine) for name in names)))
    return Table("times", "Times", "Median milliseconds. Below each: error as a part of its budget, and for a peer the "
                 "95 % interval of aat's time over the peer's (below 1: aat is faster), from interleaved rounds. "
                 + " ".join(f"Blank for every case: {reason}." for reason in absent.values()),
                 columns, tuple(rows))


def _absent(records):
    """{peer: reason} of the peers that give every case the same reason: a sentence says it better than a column."""
    reasons: dict = {}
    for record in records:
        if record.provider != "aat":
            reasons.setdefault(record.provider, []).append(None if record.timed else record.reason)
    return {name: given[0] for name, given in sorted(reasons.items())
            if len(given) > 1 and given[0] and len(set(given)) == 1}


def _time(record, mine):
    if record is None:
        return Cell("", "not run", kind="blank")
    if not record.timed:
        return Cell("", record.reason or "checked, not timed", kind="blank")
    notes = [view.verdict(record).text]
    ratio = mine.ratio_to.get(record.provider) if mine is not None and record.provider != "aat" else None
    if ratio:
        notes.append(f"aat / {record.provider} {ratio[1]:.2f} ({ratio[0]:.2f} to {ratio[2]:.2f})")
    return Cell(f"{1e3 * record.seconds_median:.4g}", "; ".join(notes), 1e3 * record.seconds_median)


def _features(records):
    """One row a feature, one column a backend: how many of the cases that show it passed."""
    names = view.backends(records)
    outcomes = [acceptance.Outcome(r.case, r.backend, _status(r), acceptance.shown_by(r.case)) for r in records]
    found = acceptance.matrix([o for o in outcomes if o.status], names)
    rows = tuple((Cell(feature), *map(_counted, cells.values())) for feature, cells in found.items()
                 if any(cells.values()))
    columns = (("feature", "What a case asks for"), *((name, "How many cases that show it passed") for name in names))
    return Table("features", "Support", "How many of the checked cases that show a feature passed on each backend. "
                 "`aat validate` checks them all; the table below has each one's error.", columns, rows)


def _status(record):
    """The status of a record, from its numbers where it is older than that field; "" where it says nothing."""
    ok = view.verdict(record).ok
    return record.status or {True: acceptance.OK, False: acceptance.FAILED, None: ""}[ok]


def _counted(text):
    kind = "bad" if text.startswith(acceptance.FAILED) else "good" if text.startswith(acceptance.OK) else "blank"
    return Cell(text, "" if text else "not run", kind=kind)


def _support(records):
    """One row a case or law, one column a backend: what its check found."""
    names = view.backends(records)
    found: dict = {}
    for record in records:
        found.setdefault(record.case, {})[record.backend] = record
    rows = tuple((Cell(case), Cell(next(iter(cells.values())).dtype), *(_judged(cells.get(name)) for name in names))
                 for case, cells in found.items())
    columns = (("case", "Name in aat.validation.cases, or a law on one of them"), ("dtype", ""),
               *((name, "Error of the worst element / its budget: above 1 the result is wrong") for name in names))
    return Table("support", "Error of each case", "What each backend makes of each case: the worst element of out and "
                 "lse against a float64 reference that shares nothing with the kernels. A law has no budget of its "
                 "own.", columns, rows)


def _judged(record):
    if record is None:
        return Cell("", "not run", kind="blank")
    found = view.verdict(record)
    if found.ok is None:
        return Cell(found.text if record.status else "", record.reason or "not checked", kind="blank")
    known = record.error is not None and record.budget is not None
    notes = [f"error {record.error:.2g}, budget {record.budget:.2g}"] if known else []
    notes += [record.reason] if not found.ok and record.reason else []
    if found.ok:
        return Cell(found.text, "; ".join(notes), view.share(record), "good")
    return Cell(found.text, "; ".join(notes), math.inf, "bad")


DETAILS = (
    ("p10 ms", "10th percentile", lambda r: r.seconds_p10 and 1e3 * r.seconds_p10),
    ("median ms", "", lambda r: 1e3 * r.seconds_median),
    ("p90 ms", "90th percentile", lambda r: r.seconds_p90 and 1e3 * r.seconds_p90),
    ("rounds", "How many times a call was timed", lambda r: r.rounds),
    ("error", "Of the worst element, against float64", lambda r: r.error),
    ("budget", "What that element is allowed", lambda r: r.budget),
    ("GFLOP/s", "Useful multiply-adds, counted twice, per second", view.speed),
    ("% of peak", "Of the multiply-add peak measured in the same run",
     lambda r: r.fraction_of_peak and 100 * r.fraction_of_peak),
    ("% of sgemm", "Of a matrix product measured in the same run",
     lambda r: r.fraction_of_sgemm and 100 * r.fraction_of_sgemm),
    ("FLOP/byte", "Useful work per byte of compulsory traffic", lambda r: r.arithmetic_intensity),
    ("compile s", "The first call minus the median", lambda r: r.compile_seconds),
    ("MB", "Largest memory on the device during a call", lambda r: r.peak_bytes and 1e-6 * r.peak_bytes),
)


def _details(records, name):
    """One row a timed record, every number of it."""
    rows = []
    for record in records:
        if record.timed:
            noise = record.aa_control
            rows.append((Cell(name(record)), Cell(record.backend), Cell(record.provider), Cell(record.dtype),
                         *(_number(read(record)) for _, _, read in DETAILS), Cell(record.bound, kind="" if record.bound
                                                                                  else "blank"),
                         Cell(f"{noise[0]:.2f} to {noise[2]:.2f}", value=noise[2] - noise[0]) if noise
                         else Cell("", kind="blank")))
    columns = (("case", ""), ("backend", ""), ("provider", ""), ("dtype", ""),
               *((name, text) for name, text, _ in DETAILS), ("bound", "The roof that binds at this intensity"),
               ("A/A", "95 % interval of aat's time over its own: what noise does to a ratio"))
    return Table("details", "Every number", "One row a timed record.", columns, tuple(rows))


def _number(value):
    if value is None:
        return Cell("", kind="blank")
    return Cell(f"{value:.0f}" if 1000 <= value < 1e6 else f"{value:.3g}", value=value)
