"""Is a GPU right, and how fast is it? `aat bench --device-suite`: validation, then arrays that stay there."""

import sys
import time

from aat.commands.keep import BadInput, Keeper
from aat.commands.progress import Progress
from aat.errors import BackendError
from aat.report.record import FAILED, UNSUPPORTED, line

VALIDATING = 0.45    # share of the time that validation may take; what it leaves is for measuring
FIRST = 15.0         # seconds that compiling and checking a case is expected to take before one was seen
ROUNDS = (0.3, 4.0)  # seconds for a case's rounds, least and most


class Suite:
    """One run, on one backend.

    Parameters
    ----------
    backend : str
    minutes : float
        An entry that is not expected to end in time is left out, and named.
    quick : bool
        Tiny cases and the quick validation: what a software device may do.
    records : str
        The file that records are appended to.
    """

    def __init__(self, backend, minutes, quick, records, as_json=False, clock=time.monotonic):
        from aat.backends import select

        if not minutes > 0:
            raise BadInput(f"--minutes: expected more than 0, got {minutes:g}")
        found = select.get(backend).probe()
        if not found.ok:
            raise BadInput(f"backend {backend!r} cannot run here: {'; '.join(found.reasons)}")
        if backend not in ("vulkan", "cuda"):
            raise BadInput(f"--device-suite: expected a GPU, got backend {backend!r}; --backend vulkan or cuda")
        self.software = found.device.kind == "software"
        if self.software and not quick:
            raise BadInput(f"{found.device.name} is a software device: it proves correctness, never speed; "
                           "--quick shows that the suite runs")
        self.backend, self.quick, self.as_json, self.clock = backend, quick, as_json, clock
        self.device = f"{found.device.name} ({found.device.kind})"
        self.keeper = Keeper("aat bench", records, spill=not as_json)
        self.start = clock()
        self.end = self.start + 60 * minutes
        self.outcomes, self.records, self.failures, self.left_out = [], [], [], []

    def run(self):
        """Everything; the exit status."""
        entries, cases = self._entries(), self._cases()
        with Progress("aat bench --device-suite", len(entries) + len(cases)) as bar:
            self._validate(entries, bar)
            self._measure(cases, bar)
        self._show()
        failed = self.failures or any(o.status == FAILED for o in self.outcomes)
        return self.keeper.close() or (1 if failed else 0)

    def _entries(self):
        """What is validated: first a few cases that show every feature, so that little time is well spent."""
        from aat.validation import acceptance

        first = acceptance.plan(quick=True, software=self.software)
        rest = [] if self.quick else acceptance.plan(software=self.software)
        return [*first, *(entry for entry in rest if entry not in first)]

    def _cases(self):
        from aat.validation.cases import tagged

        return tagged("device-quick" if self.quick else "device")

    def _validate(self, entries, bar):
        from aat.validation.acceptance import outcome, record

        end = self.start + VALIDATING * (self.end - self.start)
        for n, (kind, name) in enumerate(entries):
            if self.clock() > end:
                self.left_out.append(f"{len(entries) - n} of {len(entries)} checks of the case table")
                bar.step(len(entries) - n)
                return
            bar.doing(f"{name} on {self.backend}")
            found = outcome(kind, name, self.backend)
            self.outcomes.append(found)
            self.keeper.add([record(found)])
            bar.step()

    def _measure(self, cases, bar):
        peer, self.no_peer = self._peer()
        fixed = FIRST if not self.quick else 0.0
        for n, case in enumerate(cases):
            bar.doing(f"{case.name} on {self.backend}")
            left = self.end - self.clock()
            if left < fixed + ROUNDS[0]:
                self.left_out.append(f"{case.name} (a case takes some {fixed:.0f} s to compile and check here)")
                bar.step()
                continue
            seconds = min(max((left / (len(cases) - n) - fixed) / 2, ROUNDS[0]), ROUNDS[1])
            seconds = ROUNDS[0] / 10 if self.quick else seconds
            begin = self.clock()
            self._one(case, peer, seconds)
            fixed = max(0.5 * fixed, self.clock() - begin - seconds)
            bar.step()

    def _one(self, case, peer, seconds):
        from aat.validation import device
        from aat.validation.measure import NotChecked, untimed

        try:
            new = device.measure_case(case, self.backend, peer=peer, seconds=seconds)
        except NotChecked as error:
            self.failures.append(str(error))
            new = [untimed(case.name, self.backend, FAILED, f"check failed: {'; '.join(error.verdict.reasons)}",
                           dtype=case.dtype, error=error.verdict.error, budget=error.verdict.budget)]
        except BackendError as error:
            new = [untimed(case.name, self.backend, UNSUPPORTED, "; ".join(error.reasons), dtype=case.dtype)]
        self.records += new
        self.keeper.add(new)

    def _peer(self):
        """(CudaPeer or None, why there is none)."""
        from aat.validation import cuda_peer

        reason = cuda_peer.reason()
        return (None, reason) if reason else (cuda_peer.CudaPeer(), "")

    def _show(self):
        from aat.commands.validate import page
        from aat.report import table

        if self.as_json:
            sys.stdout.write("".join(map(line, self.records)))
            return
        lines = [page(self.outcomes, {self.backend: self.device}, {})]
        if self.records:
            lines += ["", table.text(self.records)]
        lines += [f"{r.case}: {r.fraction_of_sgemm:.0%} of the speed of PyTorch's float32 matrix product"
                  for r in self.records if r.provider == "aat" and r.fraction_of_sgemm]
        lines += [f"no peer: {self.no_peer}"] if self.no_peer else []
        lines += [f"left out for want of time: {what}" for what in self.left_out]
        sys.stdout.write("\n".join([*lines, f"{self.clock() - self.start:.0f} s in all", ""]))
        for failure in self.failures:
            sys.stderr.write(f"aat bench: {failure}\n")
