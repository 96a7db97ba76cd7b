"""Which tiles are fastest on this machine? `aat tune`: search, check, compare with the default, remember."""

import argparse
import json
import sys

from aat.commands.progress import Progress
from aat.errors import BackendError

BACKENDS = ("auto", "cpu", "vulkan", "cuda")
DTYPES = ("f32", "f16", "bf16", "f64")
EPILOG = """\
examples:
  aat tune                                   the cases of the table marked "bench", half a minute each
  aat tune dense-2048 decode-4096            these two
  aat tune --shape 1,8,8,2048,2048,64        batch, query heads, KV heads, queries, keys, head size
  aat tune --shape 8,16,4,1,4096,64 --seconds 60

A tile is a piece of the work; how large it is changes the speed and never the result beyond its error budget. Each
candidate is checked against the float64 reference, then timed in turns with the built-in default; the best one replaces
the default only if it is 3 % faster beyond noise. The answer is kept in tuning.jsonl of the cache folder (`aat info`
names it), and from then on every call with such sizes uses it, unless AAT_TUNE=never. docs/tuning.md has the rest.

exit status: 0 tuned (the default may have stayed), 1 a check failed, 2 bad input or nothing can run here, 130 Ctrl-C.
"""


class BadInput(ValueError):
    """What was asked for cannot be done; its text is the one line that is said."""


def parser():
    """The arguments of `aat tune`."""
    p = argparse.ArgumentParser(prog="aat tune", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG,
                                description="Find the fastest tiles for cases or shapes, and remember them.")
    p.add_argument("cases", nargs="*", metavar="CASE", help='names of cases, see `aat bench --list` (default: "bench")')
    p.add_argument("--shape", metavar="B,Hq,Hk,Lq,Lk,D[,Dv]", help="sizes in place of a case")
    p.add_argument("--dtype", default="f32", choices=DTYPES, help="of --shape (default: f32)")
    p.add_argument("--causal", action="store_true", help="--shape is causal, its last query at the last key")
    p.add_argument("--window", metavar="LEFT,RIGHT", help='--shape has a window; "none" leaves a side open')
    p.add_argument("--backend", default="auto", choices=BACKENDS, help="where to run (default: auto)")
    p.add_argument("--seconds", type=float, metavar="N",
                   help="time for each search, without the reference (default: 30; --exhaustive ignores it)")
    p.add_argument("--exhaustive", action="store_true", help="measure every candidate, which are thousands: hours")
    p.add_argument("--table", metavar="FILE", help="append what won to a table as the shipped ones, not to the cache")
    p.add_argument("--json", action="store_true", help="print one JSON object a case instead of the table")
    return p


def run(argv=None):
    """Tune; 0 done, 1 a check failed, 2 bad input or environment, 130 interrupted."""
    given = parser().parse_args(argv)
    try:
        return _Tune(given).run()
    except (BackendError, OSError, ValueError) as error:
        from aat.tiling.store import StoreError

        if isinstance(error, OSError) and not isinstance(error, StoreError):
            raise
        sys.stderr.write(f"aat tune: {error}\n")
        return 2


class _Tune:
    """One run of the command."""

    def __init__(self, given):
        from aat.backends import select
        from aat.tiling import store

        if given.seconds is not None and not given.seconds > 0:
            raise BadInput(f"--seconds: expected more than 0, got {given.seconds:g}")
        self.given, self.store = given, store
        self.cases = _cases(given)
        self.backend = select.resolve(given.backend)[0]
        if self.backend == "reference":
            raise BadInput("AAT_BACKEND=reference has no tiles; name a backend with --backend")
        found = select.get(self.backend).probe()
        if not found.ok:
            raise BadInput(f"backend {self.backend!r} cannot run here: {'; '.join(found.reasons)}")
        if found.device and found.device.kind == "software":
            raise BadInput(f"{found.device.name} is a software device: it proves correctness, never speed; "
                           "`aat validate` checks it")
        if given.table is None:
            dropped = store.rewrite()
            if dropped:
                sys.stderr.write(f"aat tune: {store.path()}: dropped {dropped} lines that could not be read\n")
        store.check_writable(given.table)
        self.results, self.failures = [], []

    def run(self):
        with Progress("aat tune", len(self.cases)) as bar:
            try:
                for case in self.cases:
                    bar.doing(f"{case.name} on {self.backend}")
                    self._tune(case, bar)
            except KeyboardInterrupt:
                sys.stderr.write(f"aat tune: stopped; what {len(self.results)} cases found is kept\n")
                self._show()
                return 130
        self._show()
        return 1 if self.failures else 0

    def _tune(self, case, bar):
        from aat.tiling import policy
        from aat.validation.measure import NotChecked
        from aat.validation.tuning import SECONDS, tune

        at = 0.0

        def progress(fraction, what):
            nonlocal at
            if fraction - at > 0.01:
                bar.step(fraction - at)
                at = fraction
            bar.doing(f"{case.name} on {self.backend}, {what}")

        try:
            result = tune(case, self.backend, seconds=self.given.seconds or SECONDS, exhaustive=self.given.exhaustive,
                          progress=progress)
        except NotChecked as error:
            self.failures.append(str(error))
        else:
            self.results.append(result)
            self._keep(result.entry)
            policy.forget()  # what this process has looked up is older
        bar.step(1 - at)

    def _keep(self, entry):
        if self.given.table is None:
            self.store.append(entry)
        elif entry.config is not None:
            self.store.append(self.store.for_table(entry), self.given.table)

    def _show(self):
        if self.given.json:
            for result in self.results:
                print(json.dumps(result.to_json()))
        elif self.results:
            print(table(self.results))
            print(f"\nkept in {self.given.table or self.store.path()}")
        for failure in self.failures:
            sys.stderr.write(f"aat tune: {failure}\n")


def table(results):
    """The results as text: default, best, and by how much, with the interval."""
    lines = [f"{'case':24}{'default':26}{'best':26}{'default / best [95 %]':26}{'configs':>8}"]
    for r in results:
        gain = "-" if r.rival_gain is None else "{1:.3f} [{0:.3f}, {2:.3f}]".format(*r.rival_gain)
        best = "the default" if r.config is None else short(r.config)
        lines.append(f"{r.case:24}{short(r.default):26}{best:26}{gain:26}{r.measured:>8}")
        if r.config is None and r.rival is not None:
            lines.append(f"{'':24}{short(r.rival)} was best, and not 3 % faster beyond noise")
        lines += [f"{'':24}left out: {config}: {why}" for config, why in list(r.refused.items())[:3]]
        if not r.complete:
            lines.append(f"{'':24}its time ran out: --seconds {round(2 * r.seconds)} looks further")
    told = dict.fromkeys(f"{r.backend}: {r.device}" for r in results)
    return "\n".join([*lines, "", "tiles: lane width / lane vectors x keys a block / keys a group / columns a block, "
                      "on a GPU with keys a tile, threads, threads a row, p: pairs", *told])


def short(config):
    """A TileConfig, or its text, in a few characters."""
    from aat.tiling.base import TileConfig

    if isinstance(config, str):
        config = TileConfig(**{name: json.loads(value.lower()) for name, value in
                               (part.split("=") for part in config.partition("(")[2].rstrip(")").split(", "))})
    text = (f"{config.lane_width}/{config.lane_vectors}x{config.keys_per_block}/{config.keys_per_group}"
            f"/{config.columns_per_block}")
    if config.lane_width > 1:
        return text
    return f"{text} {config.keys_per_tile} {config.threads} {config.team}{'p' if config.pairs else ''}"


def _cases(given):
    from aat.validation import cases

    if given.shape is None:
        if given.causal or given.window is not None:
            raise BadInput("--causal, --window: expected together with --shape; cases have their own")
        return [cases.by_name(name) for name in given.cases] or cases.tagged("bench")
    if given.cases:
        raise BadInput(f"--shape: expected alone, got the cases {', '.join(given.cases)} too")
    return [_shape(given)]


def _shape(given):
    from aat.validation.tuning import shape_case

    try:
        sizes = [int(size) for size in given.shape.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) not in (6, 7) or min(sizes) < 1:
        raise BadInput(f"--shape: expected B,Hq,Hk,Lq,Lk,D or B,Hq,Hk,Lq,Lk,D,Dv as positive integers, "
                       f"got {given.shape!r}; for example 1,8,8,2048,2048,64")
    if sizes[1] % sizes[2]:
        raise BadInput(f"--shape: expected Hk to divide Hq, got Hq {sizes[1]} and Hk {sizes[2]}")
    window = None
    if given.window is not None:
        sides = given.window.split(",")
        if len(sides) != 2 or not all(side == "none" or side.isdecimal() for side in sides):
            raise BadInput(f"--window: expected LEFT,RIGHT, each a number or none, got {given.window!r}")
        window = tuple(None if side == "none" else int(side) for side in sides)
    return shape_case(*sizes, dtype=given.dtype, causal=given.causal, window=window)
