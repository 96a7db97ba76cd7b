"""Does aat compute what it promises on this machine? `aat validate`, the acceptance test for your own device."""

import argparse
import json
import sys
from dataclasses import asdict

from aat import operations
from aat.commands.keep import Keeper
from aat.commands.progress import Progress
from aat.report.record import DEFAULT_FILE

BACKENDS = ("reference", "cpu", "vulkan", "cuda")
EPILOG = """\
examples:
  aat validate                     every backend that can run here
  aat validate --backend vulkan    that one; it fails if it cannot run
  aat validate --quick             every feature once: seconds on a CPU, a minute with a software GPU

Each case is computed by the backend and by a float64 reference of plain loops, and every element is held against its
own error budget; then come the laws that attention obeys whatever computes it (order of keys, merging of parts, ...).
A software Vulkan device gets the small cases. Each outcome is appended to the records, without a time, for the page of
`aat report`.

exit status: 0 everything that is supported passed, 1 something failed, 2 bad input, nothing can run here, or the
records could not be kept where they were to go.
"""


def parser():
    """The arguments of `aat validate`."""
    p = argparse.ArgumentParser(prog="aat validate", formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog=EPILOG, description="Check every case and law on every backend.")
    p.add_argument("--backend", action="append", choices=BACKENDS,
                   help="only this one; may be given several times (default: all that can run)")
    p.add_argument("--quick", action="store_true", help="a few small cases that show every feature, and the laws")
    p.add_argument("--kernel", metavar="NAME", help="only the cases and laws of this kernel of aat/operations")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--records", default=DEFAULT_FILE, metavar="FILE",
                       help="where outcomes are appended, as JSON lines (default: %(default)s)")
    where.add_argument("--no-records", dest="records", action="store_const", const=None, help="append them nowhere")
    p.add_argument("--mlflow", metavar="URI", help="log the errors there, e.g. sqlite:///mlflow.db (extra: report)")
    p.add_argument("--json", action="store_true", help="print outcomes and matrix as one JSON object")
    return p


def run(argv=None):
    """Run the acceptance test; 0 passed, 1 failed, 2 nothing could run."""
    given = parser().parse_args(argv)
    try:
        if given.mlflow:
            from aat.report import tracking

            tracking.check(given.mlflow)
        if given.kernel:
            operations.get(given.kernel)
        present, absent = _backends(given.backend)
        wanted = [name for name in given.backend or () if name in absent]
        if wanted or not present:
            for name in wanted or absent:
                sys.stderr.write(f"aat validate: backend {name!r} cannot run here: {absent[name]}\n")
            return 2
        keeper = Keeper("aat validate", given.records, spill=not given.json)
    except (ValueError, RuntimeError) as error:  # a variable or a file that means nothing, or no MLflow
        if not isinstance(error, ValueError) and type(error).__name__ != "TrackingError":
            raise
        sys.stderr.write(f"aat validate: {error}\n")
        return 2
    return _checked(given, present, absent, keeper)


def _checked(given, present, absent, keeper):
    """Check, keep and print; the exit status."""
    outcomes, records = [], []
    try:
        for outcome, record in _outcomes(present, given.quick, given.kernel):
            outcomes.append(outcome)
            records.append(record)
            keeper.add([record])
    except KeyboardInterrupt:
        kept = f"; their records are in {given.records}" if keeper.kept else ""
        sys.stderr.write(f"\naat validate: interrupted after {len(outcomes)} checks{kept}\n")
        return 130
    if given.json:
        print(json.dumps(_facts(outcomes, present, absent), indent=2))
    else:
        print(page(outcomes, present, absent))
    status = keeper.close() or (1 if any(o.status == "failed" for o in outcomes) else 0)
    return _logged(given.mlflow, records) or status


def page(outcomes, present, absent):
    """The matrix, what failed, what is not supported and why, and the verdict."""
    from aat.validation.acceptance import matrix

    names = list(present)
    table = matrix(outcomes, names)
    width = max(map(len, table)) + 2
    columns = [max(len(name), *(len(row[name]) for row in table.values())) + 2 for name in names]
    lines = ["feature".ljust(width) + "".join(n.ljust(c) for n, c in zip(names, columns, strict=True))]
    lines += [feature.ljust(width) + "".join((row[n] or "-").ljust(c) for n, c in zip(names, columns, strict=True))
              for feature, row in table.items()]
    lines = [text.rstrip() for text in lines] + [""]
    lines += [f"{name}: {device}" for name, device in present.items()]
    lines += [f"{name}: cannot run here: {reason}" for name, reason in absent.items()]
    reasons: dict[str, list[str]] = {}
    for o in outcomes:
        if o.status == "not supported":
            reasons.setdefault(f"{o.backend}: not supported: {o.reason}", []).append(o.name)
    lines += [f"{told} ({', '.join(cases)})" for told, cases in reasons.items()]
    failed = [o for o in outcomes if o.status == "failed"]
    lines += [f"FAILED {o.name} on {o.backend}: {o.reason}" for o in failed]
    ran = sum(o.status != "not supported" for o in outcomes)
    lines += ["", f"{ran - len(failed)} of {ran} passed" + _closest(outcomes)]
    return "\n".join(lines)


def _closest(outcomes):
    """The case nearest to its budget: how much room there is."""
    known = [o for o in outcomes if o.status == "ok" and o.ratio is not None and o.budget is not None]
    if not known:
        return ""
    worst = max(known, key=lambda o: o.ratio)
    return f"; the largest error / budget is {worst.ratio:.2f} ({worst.name} on {worst.backend})"


def _backends(names):
    """({name: device}, {name: reason}) of what was asked for, or of all."""
    from aat.backends import select

    present, absent = {}, {}
    for name in names or BACKENDS:
        found = select.get(name).probe()
        if found.ok:
            present[name] = f"{found.device.name} ({found.device.kind})" if found.device else "NumPy and Numba"
        else:
            absent[name] = "; ".join(found.reasons)
    return present, absent


def _outcomes(present, quick, kernel=None):
    """Each (Outcome, Record), as soon as there is one."""
    from aat.validation.acceptance import outcome, plan, record

    work = [(*entry, name) for name, device in present.items()
            for entry in plan(quick=quick, software="(software)" in device, kernel=kernel)]
    with Progress("aat validate", len(work)) as bar:
        for kind, name, backend in work:
            bar.doing(f"{name} on {backend}")
            found = outcome(kind, name, backend)
            yield found, record(found)
            bar.step()


def _facts(outcomes, present, absent):
    from aat.validation.acceptance import matrix

    return {"ok": all(o.status != "failed" for o in outcomes), "backends": present, "absent": absent,
            "matrix": matrix(outcomes, list(present)), "outcomes": [asdict(o) for o in outcomes]}


def _logged(uri, records):
    """Log the records; the status 2 if the store does not take them."""
    if not uri:
        return 0
    from aat.report import tracking

    try:
        tracking.log_records(records, uri, suite="validate")
    except tracking.TrackingError as error:
        sys.stderr.write(f"aat validate: --mlflow: {error}\n")
        return 2
    return 0
