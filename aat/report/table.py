"""How do records become a table that people read? No time stands in it without the error that belongs to it."""

from aat.report import view
from aat.report.record import OK, RecordError

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def latest(records):
    """The last record of each (case, backend, provider), in the order of their first appearance.

    Checks that passed and were not to be timed are no rows of a table of times.
    """
    asked = [record for record in records if record.timed or record.status != OK]
    return list({(r.case, r.backend, r.provider): r for r in asked}.values())


def groups(records):
    """{(case, backend): {provider: Record}} of the latest records."""
    found: dict[tuple[str, str], dict] = {}
    for record in latest(records):
        found.setdefault((record.case, record.backend), {})[record.provider] = record
    return found


def rows(records):
    """Header and rows of text: one row for each case and backend that `aat` was measured on."""
    found = groups(records)
    peers = list(dict.fromkeys(name for group in found.values() for name in group if name != "aat"))
    head = ["case", "backend", "ms (p10 - p90)", "GFLOP/s", "of peak", "bound by", "error / budget", "A/A",
            *(f"time against {name}" for name in peers)]
    body = [_row(key, group, peers) for key, group in found.items() if "aat" in group]
    return head, body


def markdown(records):
    """The table as Markdown, with the machine above it and the reasons of what is left blank below."""
    head, body = rows(records)
    lines = [_machine(records), "", _line(head), _line(["---"] * 2 + ["---:"] * (len(head) - 2)), *map(_line, body)]
    reasons = _reasons(records)
    if reasons:
        lines += ["", "Left blank, with the reason:", "", *(f"- {reason}" for reason in reasons)]
    return "\n".join(lines) + "\n"


def text(records):
    """The table for a terminal."""
    head, body = rows(records)
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in (head, *body)]
    return "\n".join(lines + [f"  {reason}" for reason in _reasons(records)])


def fill(path, records):
    """Replace what stands between the markers of a Markdown page by the table of `records`."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RecordError(f"{path}: expected the lines {BEGIN} and {END}, found {'one' if begin else 'none'} of them")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{markdown(records)}\n{END}{after}")


def _row(key, group, peers):
    ours = group["aat"]
    if not ours.timed:
        told = view.verdict(ours)
        error = "" if ours.error is None or ours.budget is None else f"{ours.error:.2g} / {ours.budget:.2g}"
        return [*key, "check failed" if told.ok is False else ours.status, "", "", "", error, "", *[""] * len(peers)]
    low, high = (_ms(x) for x in (ours.seconds_p10, ours.seconds_p90))
    time = f"{_ms(ours.seconds_median)} ({low} - {high})"
    cells = [*key, time, _number(ours.gflops), _percent(ours.fraction_of_peak), ours.bound,
             f"{ours.error:.2g} / {ours.budget:.2g}", _ratio(ours.aa_control)]
    return cells + [_against(ours, group.get(name), name) for name in peers]


def _against(ours, theirs, name):
    """"0.83 [0.80, 0.87], error 3e-07": below 1, aat takes less time."""
    if theirs is None or not theirs.timed or name not in ours.ratio_to:
        return ""
    return f"{_ratio(ours.ratio_to[name])}, error {theirs.error:.2g}"


def _reasons(records):
    found: dict[str, list[str]] = {}
    for record in latest(records):
        if record.reason:
            found.setdefault(f"{record.provider}: {record.reason}", []).append(record.case)
    return [f"{told} ({', '.join(dict.fromkeys(cases))})" for told, cases in found.items()]


def _machine(records):
    known = [r for r in records if r.provider == "aat" and r.timed]
    if not known:
        return "No figures."
    last = known[-1]
    roofs = (f"{_number(x)} {unit}" for x, unit in (
        (_median(r.peak_gflops for r in known), "GFLOP/s of multiply-adds in registers"),
        (_median(r.sgemm_gflops for r in known), "GFLOP/s of sgemm"),
        (_median(r.bandwidth_gbs for r in known), "GB/s read")) if x)
    names = ", ".join(dict.fromkeys(f"{r.device} ({r.backend})" for r in known))
    versions = ", ".join(f"{name} {version}" for name, version in _versions(records).items() if version)
    commits = dict.fromkeys(f"{r.commit[:12]}{' with changes' if r.dirty else ''}" for r in known if r.commit)
    source = f"commit {' and '.join(commits)}, " if commits else ""
    return f"{names}; roofs of the run: {', '.join(roofs)}. {source}{last.started[:10]}; {versions}."


def _versions(records):
    return {name: version for r in records for name, version in r.versions.items()}


def _median(values):
    known = sorted(x for x in values if x)
    return known[len(known) // 2] if known else None


def _ms(seconds):
    return f"{seconds * 1e3:.3g}"


def _number(x):
    return "" if x is None else f"{x:.3g}" if x < 100 else f"{x:.0f}"


def _percent(x):
    return "" if x is None else f"{100 * x:.0f} %"


def _ratio(interval):
    if not interval:
        return ""
    low, median, high = interval
    return f"{median:.2f} [{low:.2f}, {high:.2f}]"


def _line(cells):
    return "| " + " | ".join(cells) + " |"
