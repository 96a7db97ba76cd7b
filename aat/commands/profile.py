"""Where does the time of a call go? `aat profile CASE`."""

import argparse
import json
import sys

from aat.errors import BackendError
from aat.validation import cases
from aat.validation.measure import NotChecked
from aat.validation.profiling import PHASES, ProfileError, profile, trace

EPILOG = """\
examples:
  aat profile causal-2048
  aat profile decode-4096 --backend cpu --trace decode.json    open it in chrome://tracing or ui.perfetto.dev

exit status: 0 profiled, 1 the case fails its check (no time is shown), 2 bad input or environment, 130 Ctrl-C
"""


def parser():
    """The arguments of `aat profile`."""
    top = argparse.ArgumentParser(
        prog="aat profile", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG,
        description="Split one call into its phases and place its kernel under the measured roofs.")
    top.add_argument("case", metavar="CASE", help="a case, such as causal-2048; `aat bench --list` has all names")
    top.add_argument("--backend", default="auto", choices=("auto", "cpu", "vulkan", "cuda"), help="default: auto")
    top.add_argument("--seconds", type=float, default=3.0, help="how long to measure (default: %(default)s)")
    top.add_argument("--trace", metavar="FILE", help="write a Chrome trace of the calls to FILE")
    top.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return top


def run(argv=None):
    """Profile, print, and return the exit status."""
    given = parser().parse_args(argv)
    try:
        found = profile(cases.by_name(given.case), given.backend, seconds=given.seconds)
    except NotChecked as error:
        print(f"aat profile: {error}", file=sys.stderr)
        return 1
    except (ProfileError, BackendError, ValueError) as error:
        print(f"aat profile: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aat profile: interrupted", file=sys.stderr)
        return 130
    print(json.dumps(found.to_json(), indent=2) if given.json else table(found))
    return 0 if not given.trace or _keep(given.trace, trace(found)) else 2


def _keep(path, value):
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)
    except OSError as error:
        print(f"aat profile: --trace: {path!r} cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True


def table(found):
    """The Profile as text."""
    lines = [f"{found.case} on {found.backend} ({found.device}), {found.config}",
             f"error {found.error:.3g} of a budget of {found.budget:.3g}; {found.rounds} calls, "
             f"{found.seconds * 1e3:.3f} ms each", "", f"{'phase':26}{'ms':>10}{'share':>8}"]
    for name in PHASES:
        lines.append(_row(name, found.phases[name], found.seconds))
        if name == "kernel":
            lines += [_row(f"  {part}", median, found.seconds) + f"   95 % {low * 1e3:.3f} to {high * 1e3:.3f}"
                      for part, (low, median, high) in found.parts.items()]
            lines += [f"  {found.parts_reason}"] if found.parts_reason else []
    useful = found.multiply_adds_useful / found.multiply_adds
    speed = f"{found.kernel_gflops:.1f} GFLOP/s" if found.kernel_gflops else "not told from a launch"
    lines += ["", f"kernel: {speed}, {found.arithmetic_intensity:.1f} flop a byte; {useful:.0%} of its multiply-adds "
              "are asked for, the others fill tiles"]
    if found.bound:
        lines.append(f"{found.bound}-bound: {found.fraction_of_roof:.0%} of the roof at this intensity (multiply-adds "
                     f"{found.peak_gflops:.1f} GFLOP/s, memory {found.bandwidth_gbs:.1f} GB/s, both measured now; "
                     f"matrix product {found.sgemm_gflops:.1f} GFLOP/s)")
        if found.fraction_of_roof > 1:
            lines.append("above 100 %: other work on this machine lowered the roofs while they were measured")
    else:
        lines.append("compute- or memory-bound: not told, since " + (
            "no roof was measured on this backend" if found.kernel_gflops else "the kernel was not timed"))
    return "\n".join(lines)


def _row(name, seconds, total):
    return f"{name:26}{seconds * 1e3:>10.3f}{seconds / total if total else 0.0:>8.1%}"
