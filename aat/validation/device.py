"""How fast is a case on arrays that stay on a GPU? `measure(case, backend)`; no time without a passed check.

Such cases are too large to judge every element against the reference: some rows of some heads are, spread over both,
and of all others that they were written, are finite, and lie within the values. What is timed is a row of calls that
nobody waits for but at its end.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from aat.report.record import OK, Record
from aat.validation import budget, cuda_peer, environment, measure, statistics
from aat.validation.cases import make
from aat.validation.generators import GENERATORS
from aat.validation.pipeline import Verdict
from aat.validation.reading import canonical

TOLERANCE = 1e-2     # of cases with data of a generator
HEADS, ROWS = 8, 16  # of a batch element that are judged; rows of each third of a head
CHUNK = 0.02         # seconds of the calls of which the last one is waited for
MOST = 64            # calls
WARM = 0.7           # seconds of work after which a card runs at its clock; without, calls took 2 to 4 times as long
EXACT, PRODUCT = "aat exact", "product"


@dataclass(frozen=True)
class Row:
    """What is compared: `go()` launches, `wait()` waits."""

    go: object
    wait: object


def measure_case(case, backend, *, peer=None, seconds=1.0, clock=time.perf_counter):
    """Check a case on DeviceArrays of a backend and time it; the Records of aat, of aat without a tolerance where the
    case has one, and of the peer.

    Parameters
    ----------
    case : Case
        Without mask, bias, sinks and lengths.
    backend : str
        "vulkan" or "cuda".
    peer : CudaPeer, optional
        Timed in the same rounds, with its matrix product.
    seconds : float
        Time for the rounds; five are run in any case.
    clock : callable
        Seconds; not read before the check has passed.

    Raises
    ------
    NotChecked
        The result is wrong. Nothing was timed.
    BackendError
        The backend cannot run the case.
    """
    call = make(case)
    started = environment.now()
    ours = Ours(case, call, backend)
    verdict = judge(case, call, ours.checked(), ours.tolerance)
    if not verdict.ok:
        raise measure.NotChecked(verdict)
    threads, device = measure._device(backend)
    rows = {measure.OURS: ours.row(), measure.AGAIN: ours.row()}
    if ours.tolerance:
        rows[EXACT] = ours.row(exact=True)
    judged, told, operations = _with_peer(rows, peer, case, call)
    times = _timed(rows, seconds, clock)
    product = operations / times.percentiles(PRODUCT)[1] / 1e9 if operations else None
    shared = {"case": case.name, "backend": backend, "dtype": case.dtype, "started": started, **environment.facts(),
              **device, "threads": threads, **measure.work(case, call), "bandwidth_gbs": None, "peak_gflops": None,
              "sgemm_gflops": product}
    against = [name for name in (EXACT, cuda_peer.NAME) if name in rows]
    first = Record(status=OK, error=verdict.error, budget=verdict.budget, certified_bound=ours.bound,
                   launches=ours.launches, config=None if ours.info.config is None else str(ours.info.config),
                   tiles=dict(ours.info.tiles), multiply_adds=ours.info.multiply_adds, peak_bytes=ours.peak_bytes,
                   ratio_to={name: list(times.ratio(measure.OURS, name)) for name in against},
                   aa_control=list(times.ratio(measure.OURS, measure.AGAIN)), **measure.speed(shared, times, "aat"),
                   **shared)
    records = [first.but(compile_seconds=max(0.0, ours.info.seconds - first.seconds_median))]
    if ours.tolerance:
        records.append(Record(provider=EXACT, error=ours.exact.error, budget=ours.exact.budget,
                              **measure.speed(shared, times, EXACT), **shared))
    if peer is not None:
        theirs = dict(shared, device=peer.device, driver="", config=told or None,
                      versions={**shared["versions"], cuda_peer.NAME: peer.version})
        times_of = {} if judged is None else measure.speed(shared, times, cuda_peer.NAME)
        judged_as = {} if judged is None else {"error": judged.error, "budget": judged.budget}
        records.append(Record(provider=cuda_peer.NAME, reason="" if judged is not None else told, **judged_as,
                              **times_of, **theirs))
    return records


class Ours:
    """A case's arrays on a device.

    Attributes
    ----------
    info : Info
        Of the first call, which compiles.
    tolerance : float
        0 where the case is exact.
    exact : Verdict or None
        Of the case without its tolerance.
    bound : float or None
        The largest bound on a row's error.
    launches, peak_bytes : int
        Of a call that is not the first; the most that the arena held.
    """

    def __init__(self, case, call, backend):
        from aat.backends import memory
        from aat.tiling.strategies.fixed import Fixed

        self.case, self.call, self.backend = case, call, backend
        self.tolerance = TOLERANCE if case.fill in GENERATORS else 0.0
        self.arrays = {name: memory.to_device(call[name], backend) for name in "qkv"}
        shape = (*call["q"].shape[:-1], call["v"].shape[-1])
        self.out = memory.to_device(np.full(shape, np.nan, call["q"].dtype), backend)
        self.given = {**call, **self.arrays}
        self.adaptive = {"tolerance": self.tolerance, "tiling": Fixed()} if self.tolerance else {}
        self.exact: Any = None
        self.bound: float | None = None

    def checked(self):
        """The result on the host, of a call that is not the first."""
        from aat.backends import memory, select
        from aat.functional import attention

        if self.tolerance:
            self.exact = judge(self.case, self.call, attention(**self.given).numpy(), 0.0)
            if not self.exact.ok:
                raise measure.NotChecked(self.exact)
        _, self.info = attention(**self.given, **self.adaptive, return_info=True)
        if self.info.error_bound is not None:
            self.bound = float(np.max(self.info.error_bound, initial=0))
        before = select.active().counters.launches
        attention(**self.given, **self.adaptive, out=self.out)
        self.launches = select.active().counters.launches - before
        memory.sync()
        self.peak_bytes = select.active().arena.peak_bytes
        return self.out.numpy()

    def row(self, exact=False):
        """The call that is timed."""
        from aat.backends import memory
        from aat.functional import attention

        given = {**self.given, **({} if exact else self.adaptive), "out": self.out}
        return Row(lambda: attention(**given), memory.sync)


def judge(case, call, out, tolerance):
    """The Verdict on some rows of some heads of `out` (B, Hq, Lq, Dv), and on whether the others can be right."""
    whole, reasons, worst = canonical(**call), [], budget.Comparison(0.0, 1.0, 0.0, ())
    largest = np.abs(whole["v"]).max((2, 3), initial=0).repeat(case.Hq // case.Hk, 1)[..., None, None]
    for b, h, rows in samples(case):
        kv = h // (case.Hq // case.Hk)
        part = dict(whole, q=whole["q"][b:b + 1, h:h + 1, rows], k=whole["k"][b:b + 1, kv:kv + 1],
                    v=whole["v"][b:b + 1, kv:kv + 1], q_offset=whole["q_offset"][b:b + 1] + rows.start)
        want = budget.expected(part, out.dtype)
        allowed = want.out_budget + tolerance * largest[b, h]
        found = budget.compare(f"out[{b}, {h}, {rows.start}:]", out[b:b + 1, h:h + 1, rows], want.out, allowed)
        reasons += found.reasons
        worst = max(worst, found, key=lambda x: x.ratio)
    outside = ~(np.abs(out) <= largest * (1 + 1e-5) + tolerance * largest)  # NaN, too
    if outside.any():
        first = tuple(int(i) for i in np.argwhere(outside)[0])
        reasons.append(f"out: {outside.sum()} elements are no means of values, the first at {first}: got {out[first]}")
    ratio = np.inf if reasons else worst.ratio
    return Verdict(not reasons, case.name, "", worst.error, worst.budget, ratio, tuple(reasons), {})


def samples(case):
    """(batch element, query head, slice of rows) of what is judged by the reference."""
    starts = sorted({0, max(0, case.Lq // 2 - ROWS // 2), max(0, case.Lq - ROWS)})
    heads = np.unique(np.linspace(0, case.Hq - 1, HEADS).astype(int)).tolist()
    return [(b, h, slice(start, min(case.Lq, start + ROWS))) for b in sorted({0, case.B - 1}) for h in heads
            for start in starts]


def _with_peer(rows, peer, case, call):
    """Add the peer's rows; (Comparison or None, how it is called or why not, operations of its product or 0)."""
    if peer is None:
        return None, "", 0.0
    product, operations = peer.product()
    rows[PRODUCT] = Row(product, peer.wait)
    try:
        run, out, told = peer.attention(call)
    except RuntimeError as error:  # of PyTorch: nothing fused, or no memory
        return None, f"raised {type(error).__name__}: {error}".splitlines()[0][:200], operations
    verdict = judge(case, call, out.astype(np.float32), 0.0)
    other = [reason for reason in verdict.reasons if reason.startswith("out: ")]
    if other:  # less exact is an error to be shown; this is another answer
        return None, f"answers otherwise: {other[0]}", operations
    rows[cuda_peer.NAME] = Row(run, peer.wait)
    return verdict, told, operations


def _timed(rows, seconds, clock):
    """The Times of single calls, from chunks of so many that a chunk takes CHUNK seconds."""
    counts, begin = {}, clock()
    while clock() - begin < WARM:  # the card has left its clock while the host was judging
        for row in rows.values():
            row.go()
            row.wait()
    for name, row in rows.items():
        start = clock()
        row.go()
        row.wait()
        counts[name] = int(np.clip(CHUNK / max(clock() - start, 1e-9), 1, MOST))

    def chunk(row, count):
        def run():
            for _ in range(count):
                row.go()
            row.wait()
        return run

    times = statistics.interleave({name: chunk(row, counts[name]) for name, row in rows.items()}, seconds=seconds,
                                  clock=clock)
    return statistics.Times({name: x / counts[name] for name, x in times.seconds.items()})
