"""Which of the records are shown, and what is read from them?"""

import math
import re
from dataclasses import dataclass

from aat.report.record import FAILED, OK, UNSUPPORTED
from aat.validation.cases import CASES

__all__ = ["Verdict", "at_full_width", "backends", "checks", "family", "history", "latest", "order_of_providers",
           "share", "speed", "verdict"]

PROVIDERS = ("aat", "torch", "onnxruntime", "openvino", "numpy")


@dataclass(frozen=True)
class Verdict:
    """What a record says about its result: ok is None where nothing was compared."""

    ok: bool | None
    text: str


def share(record):
    """Error over budget, the number that must not pass 1; None where nothing was compared."""
    if record.error is None or record.budget is None:
        return None
    if record.budget == 0:
        return 0.0 if record.error == 0 else math.inf
    return record.error / record.budget


def verdict(record):
    """Whether the result was within its budget, in words; a record of before `status` is judged by its numbers."""
    part = share(record)
    if record.status == UNSUPPORTED:
        return Verdict(None, UNSUPPORTED)
    if record.status == FAILED or (part is not None and not part <= 1):
        # wrong NaN positions have no ratio, and the finite elements may lie within their budget
        return Verdict(False, "FAILS" if part is None or part <= 1 else f"FAILS: {part:.3g} of its budget")
    if part is None:
        return Verdict(True, OK) if record.status == OK else Verdict(None, record.reason or "not checked")
    return Verdict(True, f"{part:.2f} of its budget")


def speed(record):
    """GFLOP/s over the useful multiply-adds; None where there is no time."""
    if not record.timed:
        return None
    if record.gflops is not None:
        return record.gflops
    work = record.multiply_adds_useful or record.multiply_adds
    return 2e-9 * work / record.seconds_median if work and record.seconds_median else None


def at_full_width(records):
    """The records with the largest number of threads of their backend and machine, and those that do not say."""
    most = _most_threads(records)
    return [record for record in records if record.threads in (None, most[record.host, record.backend])]


def _most_threads(records):
    most: dict = {}
    for record in records:
        place = record.host, record.backend
        most[place] = max(most.get(place, 0), record.threads or 0)
    return most


def family(record):
    """(family, size) of a case that exists in several lengths: ("causal", 2048); (name, None) for the others."""
    match = re.fullmatch(r"(.+)-(\d+)", record.case)
    if not match:
        return record.case, None
    size = int(match[2])
    known = CASES.get(record.case)
    if known is not None and size not in (known.Lq, known.Lk):  # a head size, say
        return record.case, None
    return match[1], size


def latest(records):
    """The newest record of each case, backend, provider and number of threads, on the machine that ran last.

    A check that passed and was not to be timed leaves an older time in place; one that failed does not.
    """
    chosen: dict = {}
    most = _most_threads(records)
    for record in _of_one_machine(records):
        key = record.case, record.backend, record.provider, record.threads or most[record.host, record.backend]
        if record.status != OK or record.timed or key not in chosen or not chosen[key].timed:
            chosen[key] = record
    return _in_order(chosen)


def checks(records):
    """The newest check of each case and law on each backend, timed or not, on the machine that ran last."""
    mine = at_full_width(_of_one_machine(records))
    return _in_order({(r.case, r.backend): r for r in mine if r.provider == "aat"})


def _in_order(chosen):
    place = {name: number for number, name in enumerate(CASES)}
    return sorted(chosen.values(), key=lambda r: (
        place.get(r.case, len(place)), r.case, r.backend, order_of_providers(r.provider), r.threads or 0))


def _of_one_machine(records):
    """The records of the machine that ran last, oldest first; of equal times the later line is the newer."""
    ordered = sorted(records, key=lambda record: record.started)
    return [record for record in ordered if record.host == ordered[-1].host]


def order_of_providers(name):
    """A key that puts aat first and its peers in one order everywhere; its number is the provider's colour."""
    return (PROVIDERS.index(name) if name in PROVIDERS else len(PROVIDERS)), name


def backends(records):
    """The backends of some records, in the order of their first one."""
    return list(dict.fromkeys(record.backend for record in records))


def history(records):
    """Return (commits, series) of aat's own times on the machine that ran last.

    commits are labels in the order in which they were first measured, "*" for a tree with changes; series maps (case,
    backend) to {index of the commit: its newest record}, and holds those that two commits or more have.
    """
    commits: dict = {}
    series: dict = {}
    for record in at_full_width(_of_one_machine(records)):
        if record.provider != "aat" or not record.timed or not record.commit:
            continue
        at = commits.setdefault(record.commit[:7] + "*" * record.dirty, len(commits))
        series.setdefault((record.case, record.backend), {})[at] = record
    return list(commits), {key: points for key, points in series.items() if len(points) > 1}
