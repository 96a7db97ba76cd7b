"""How fast is aat here, and beside others? `aat bench`: every case checked, then timed, then recorded."""

import argparse
import sys

from aat.commands.keep import BadInput, Keeper
from aat.commands.progress import Progress
from aat.errors import BackendError
from aat.report.record import DEFAULT_FILE, FAILED, UNSUPPORTED, line

BACKENDS = ("auto", "cpu", "vulkan", "cuda", "reference")
EPILOG = """\
examples:
  aat bench                                  the cases of the table marked "bench", on the backend that "auto" takes
  aat bench dense-2048 decode-4096           these two
  aat bench --tag grid --peers all           lengths by head sizes
  aat bench --peers all --seconds 3          beside PyTorch, onnxruntime, OpenVINO and NumPy, as far as installed
  aat bench --list                           the names of all cases
  aat bench --device-suite                   a GPU: the whole case table, then arrays that stay there, in 7.5 minutes

A case is timed only after its result was checked against a float64 reference. Ratios to peers are medians of
interleaved rounds with 95 % bootstrap intervals; below 1, aat takes less time. "A/A" is aat against itself: what lies
within it is noise. docs/benchmarks.md says how it is measured.

exit status: 0 measured, 1 a check failed (such a case has a record with the reason and without times), 2 bad input,
nothing can run here, or the records could not be kept where they were to go.
"""


def parser():
    """The arguments of `aat bench`."""
    p = argparse.ArgumentParser(prog="aat bench", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG,
                                description="Check cases against the reference, time them, and append the records.")
    p.add_argument("cases", nargs="*", metavar="CASE", help='names of cases (default: all marked "bench")')
    p.add_argument("--tag", default="bench", help='where none is named, all of this tag: "bench" (default), "grid"')
    p.add_argument("--backend", default="auto", choices=BACKENDS, help="where to run (default: auto)")
    p.add_argument("--peers", default="none", metavar="LIST",
                   help="all, none (default), or some of torch,onnxruntime,openvino,numpy")
    p.add_argument("--seconds", type=float, default=1.0, metavar="S", help="time for each case's rounds (default: 1)")
    p.add_argument("--records", default=DEFAULT_FILE, metavar="FILE",
                   help=f"where records are appended, as JSON lines (default: {DEFAULT_FILE})")
    p.add_argument("--mlflow", metavar="URI", help="log them there too, e.g. sqlite:///mlflow.db (extra: report)")
    p.add_argument("--json", action="store_true", help="print the records as JSON lines instead of the table")
    p.add_argument("--list", action="store_true", help="list the cases and stop")
    p.add_argument("--device-suite", action="store_true",
                   help="validate a GPU, then time attention on arrays that stay there, beside PyTorch on CUDA if it "
                        "is here")
    p.add_argument("--minutes", type=float, default=7.5, metavar="M",
                   help="with --device-suite: what does not fit is left out, and named (default: 7.5)")
    p.add_argument("--quick", action="store_true", help="with --device-suite: tiny cases, on a software device too")
    return p


def run(argv=None):
    """Run the benchmark; 0 measured, 1 a check failed, 2 bad input or environment."""
    given = parser().parse_args(argv)
    try:
        if given.device_suite:
            return _on_device(given).run()
        return _listed() if given.list else _Bench(given).run()
    except (RuntimeError, ValueError) as error:  # one of ours: bad input, a backend that cannot, no MLflow
        if not isinstance(error, ValueError | BackendError) and type(error).__name__ != "TrackingError":
            raise
        sys.stderr.write(f"aat bench: {error}\n")
        return 2


def _listed():
    from aat.validation.cases import CASES, KERNEL_CASES

    for other in KERNEL_CASES.values():
        shape = " ".join((*(f"{name}{value}" for name, value in other.options), other.dtype))
        print(f"{other.name:28} {shape:44} {' '.join(sorted(other.tags))}")
    for case in CASES.values():
        shape = f"B{case.B} Hq{case.Hq} Hk{case.Hk} {case.Lq}x{case.Lk} D{case.D} Dv{case.Dv} {case.dtype}"
        print(f"{case.name:28} {shape:44} {' '.join(sorted(case.tags))}")
    return 0


def _on_device(given):
    from aat.backends import select
    from aat.commands.device_suite import Suite

    if given.cases or given.peers != "none" or given.mlflow:
        raise BadInput("--device-suite: expected no names of cases, --peers or --mlflow beside it; it has its own "
                       "cases and peer")
    backend = select.resolve(given.backend)[0]
    return Suite(backend, given.minutes, given.quick, given.records, given.json)


class _Bench:
    """One run of the command."""

    def __init__(self, given):
        from aat.backends import select
        from aat.validation import cases

        self.given = given
        if not given.seconds > 0:
            raise BadInput(f"--seconds: expected more than 0, got {given.seconds:g}")
        self.cases = [cases.any_by_name(name) for name in given.cases] or [
            *cases.tagged(given.tag), *(c for c in cases.KERNEL_CASES.values() if given.tag in c.tags)]
        if not self.cases:
            raise BadInput(f"--tag: expected small, full, bench, grid or adversarial, got {given.tag!r}")
        self.peers = _peers(given.peers)
        self.backend = select.resolve(given.backend)[0]
        found = select.get(self.backend).probe()
        if not found.ok:
            raise BadInput(f"backend {self.backend!r} cannot run here: {'; '.join(found.reasons)}")
        if found.device and found.device.kind == "software":
            raise BadInput(f"{found.device.name} is a software device: it proves correctness, never speed; "
                           "`aat validate` checks it")
        if given.mlflow:
            from aat.report import tracking

            tracking.check(given.mlflow)  # now, not after an hour of measuring
        self.keeper = Keeper("aat bench", given.records)
        self.records, self.failures = [], []

    def run(self):
        from aat.validation.peaks import Peaks, measure_peaks

        roofs = Peaks()
        with Progress("aat bench", len(self.cases)) as bar:
            try:
                for case in self.cases:
                    bar.doing(f"{case.name} on {self.backend}")
                    # again for each case: a roof measured while somebody else was busy is too low
                    roofs = roofs.best(measure_peaks(self.backend))
                    self._measure(case, roofs, bar)
            except KeyboardInterrupt:
                sys.stderr.write(f"aat bench: stopped; {self.keeper.kept} records are kept in {self.given.records}\n")
                self._show()
                self.keeper.close()
                return 130
        self._show()
        return self._finish()

    def _measure(self, case, peaks, bar):
        from aat.validation import kernels, measure
        from aat.validation.cases import KernelCase
        from aat.validation.measure import NotChecked, untimed

        at = 0.0

        def progress(fraction):
            nonlocal at
            bar.step(0.9 * fraction - at)
            at = 0.9 * fraction

        try:
            timing = kernels if isinstance(case, KernelCase) else measure
            new = timing.measure(case, self.backend, peers=self.peers, seconds=self.given.seconds, peaks=peaks,
                          progress=progress)
        except NotChecked as error:
            self.failures.append(str(error))
            verdict = error.verdict
            new = [untimed(case.name, self.backend, FAILED, f"check failed: {'; '.join(verdict.reasons)}",
                           dtype=case.dtype, error=verdict.error, budget=verdict.budget)]
        except BackendError as error:
            new = [untimed(case.name, self.backend, UNSUPPORTED, "; ".join(error.reasons), dtype=case.dtype)]
        bar.step(1 - at)
        self.records += new
        self.keeper.add(new)

    def _show(self):
        from aat.report import table

        if self.given.json:
            if not self.keeper.lost:
                sys.stdout.write("".join(map(line, self.records)))
        elif self.records and not self.keeper.lost:
            print(table.text(self.records))
        for failure in self.failures:
            sys.stderr.write(f"aat bench: {failure}\n")

    def _finish(self):
        status = 1 if self.failures else 0
        if self.given.mlflow:
            from aat.report import tracking

            try:
                tracking.log_records(self.records, self.given.mlflow, suite="bench")
            except tracking.TrackingError as error:
                sys.stderr.write(f"aat bench: --mlflow: {error}; the records are in {self.given.records}\n")
                status = 2
        return self.keeper.close() or status


def _peers(text):
    from aat.validation.peers import PEERS

    if text in ("all", "none"):
        return tuple(PEERS) if text == "all" else ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise BadInput(f"--peers: expected all, none or some of {', '.join(PEERS)}, got {', '.join(unknown)}")
    return names
