"""How fast is a case? `measure(case, backend)` gives Records, and no time without a passed check."""

import time

import numpy as np

from aat.errors import BackendError
from aat.report.record import OK, Record
from aat.validation import budget, environment, pipeline, statistics
from aat.validation.cases import make
from aat.validation.peaks import measure_peaks

# Threads of other libraries spin after a call and would take a processor from the next: onnxruntime's for 28 ms,
# OpenBLAS's for 100 ms, torch's for 4 ms (2026-11). So a call waits until they have stopped.
SETTLE, BUSY, MOST = 0.004, 0.1, 0.25  # seconds of a look, the share of a processor that counts as busy, most seconds
FAR = 0.05  # of the largest output: beyond what rounding to bf16 explains
OURS, AGAIN = "aat", "aat again"


class NotChecked(RuntimeError):
    """A case is not timed because its check has not passed; `verdict` says why."""

    def __init__(self, verdict):
        self.verdict = verdict
        super().__init__(f"not timed, because the check failed: {verdict}")


def measure(case, backend, *, peers=(), seconds=1.0, clock=time.perf_counter, peaks=None, pause=None, progress=None):
    """Check a case on a backend, time it beside `peers`, and return the Record of each, ours first.

    Parameters
    ----------
    case : Case
    backend : str
        "cpu", "vulkan", "cuda" or "reference".
    peers : names of `aat.validation.peers.PEERS`
        One that is not installed or cannot express the case gets a Record with the reason and without times.
    seconds : float
        Time for the interleaved rounds, after the check; five rounds are run in any case.
    clock : callable
        Seconds; not read before the check has passed.
    peaks : Peaks, optional
        What was measured in this run already; measured here if absent.
    pause : callable, optional
        What happens before each timed call; by default `settle` if there are peers.
    progress : callable, optional
        Called with the fraction of the rounds that is done.

    Raises
    ------
    NotChecked
        The result is wrong. Nothing was timed.
    BackendError
        The backend cannot run the case.
    """
    _load(peers)
    call = make(case)
    want = pipeline.expectation(case)
    started = environment.now()
    info, launches, peak_bytes = _first_call(call, backend)
    verdict = pipeline.check(case, backend, want=want)
    if not verdict.ok:
        raise NotChecked(verdict)
    peaks = measure_peaks(backend) if peaks is None else peaks
    threads, device = _device(backend)
    runs = {OURS: _runner(call, backend)}
    runs[AGAIN] = _runner(call, backend)
    theirs, refused = _prepare(peers, call, want, threads)
    for name, (prepared, _) in theirs.items():
        runs[name] = prepared.run
    for run in runs.values():
        run()
    if pause is None and theirs:
        pause = settle
    times = statistics.interleave(runs, seconds=seconds, clock=clock, pause=pause, progress=progress)
    shared = {"case": case.name, "backend": backend, "dtype": case.dtype, "started": started, **environment.facts(),
              **device, "threads": threads, **work(case, call), "bandwidth_gbs": peaks.bandwidth_gbs,
              "peak_gflops": peaks.peak_gflops, "sgemm_gflops": peaks.sgemm_gflops}
    ours = Record(status=OK, error=verdict.error, budget=verdict.budget, launches=launches,
                  config=None if info.config is None else str(info.config), tiles=dict(info.tiles),
                  multiply_adds=info.multiply_adds,
                  peak_bytes=peak_bytes, ratio_to={name: list(times.ratio(OURS, name)) for name in theirs},
                  aa_control=list(times.ratio(OURS, AGAIN)), **speed(shared, times, OURS), **shared)
    ours = ours.but(compile_seconds=max(0.0, info.seconds - ours.seconds_median))
    records = {OURS: ours}
    for name, (_, judged) in theirs.items():
        records[name] = Record(provider=name, error=judged.error, budget=judged.budget,
                               **speed(shared, times, name), **_elsewhere(shared, name))
    for name, reason in refused.items():
        records[name] = Record(provider=name, reason=reason, **_elsewhere(shared, name))
    return [records[name] for name in (OURS, *peers)]


def untimed(name, backend, status, reason="", *, dtype="f32", error=None, budget=None):
    """The Record of a check that no time belongs to: what failed, what is not supported, or what was not to be timed.

    name is a case's, or a law's ("merge on plain"), which has no error and no budget.
    """
    try:
        threads, device = _device(backend)
    except BackendError:
        threads, device = None, {}
    return Record(name, backend, status=status, reason=" ".join(reason.split()), dtype=dtype, error=error,
                  budget=budget, threads=threads, started=environment.now(), **environment.facts(), **device)


def work(case, call):
    """What a case asks for, whoever does it: multiply-adds and compulsory bytes, and their ratio."""
    from aat.attention.arguments import check
    from aat.attention.positions import pairs_in_bounds

    problem = check(**call).problem
    useful = pairs_in_bounds(problem) * (case.D + case.Dv)
    rows = case.B * case.Hq * case.Lq
    moved = sum(x.nbytes for name, x in call.items() if isinstance(x, np.ndarray) and name in "qkv")
    moved += sum(call[name].nbytes for name in ("mask", "bias") if call.get(name) is not None)
    moved += rows * (case.Dv * call["q"].itemsize + (8 if case.dtype == "f64" else 4))
    return {"multiply_adds_useful": useful, "multiply_adds_dense": problem.multiply_adds_dense, "bytes": moved,
            "arithmetic_intensity": 2 * useful / moved if moved else None}


def speed(shared, times, name):
    """The fields of a Record that follow from the Times of one provider, the work and the roofs."""
    low, median, high = times.percentiles(name)
    flops = 2 * shared["multiply_adds_useful"] / median / 1e9 if median > 0 else None
    return {"seconds_p10": low, "seconds_median": median, "seconds_p90": high, "rounds": 2 * times.rounds,
            "gflops": flops, "fraction_of_peak": _over(flops, shared["peak_gflops"]),
            "fraction_of_sgemm": _over(flops, shared["sgemm_gflops"]), "bound": _bound(shared)}


def _over(value, roof):
    return None if value is None or not roof else value / roof


def _bound(shared):
    peak, bandwidth, intensity = (shared[name] for name in ("peak_gflops", "bandwidth_gbs", "arithmetic_intensity"))
    if not peak or not bandwidth or intensity is None:
        return ""
    return "memory" if intensity * bandwidth < peak else "compute"


def _first_call(call, backend):
    """(Info, launches, peak bytes) of a first call in a freshly opened backend: it compiles.

    What it took is known from the library's own account of a call; this module reads no clock before the check.
    """
    from aat.backends import select
    from aat.functional import attention

    if backend == "reference":
        *_, info = attention(**call, backend=backend, return_lse=True, return_info=True)
        return info, None, None
    select.close()
    with select.use(backend):
        pass
    out, lse, info = attention(**call, backend=backend, return_lse=True, return_info=True)
    with select.use(backend) as session:
        return info, session.counters.launches, session.arena.peak_bytes + out.nbytes + lse.nbytes


def _device(backend):
    """(threads, fields of a Record) of a backend."""
    from aat.backends import select
    from aat.backends.cpu import threads

    if backend == "reference":
        return 1, {"device": "host", "device_kind": "cpu", "driver": "Numba"}
    with select.use(backend) as session:
        device = session.device
    return threads(), {"device": device.name, "device_kind": device.kind, "driver": device.driver}


def _runner(call, backend):
    """The call that is timed: with lse, as it was checked, since a kernel without it is another kernel."""
    from aat.functional import attention

    out = pipeline.blank_output(call)
    return lambda: attention(**call, backend=backend, return_lse=True, out=out)


def _load(names):
    from aat.validation.peers import PEERS

    for name in names:
        PEERS[name].load()


def _prepare(names, call, want, threads):
    """({name: (Prepared, Comparison)}, {name: reason}) of the peers."""
    from aat.validation.peers import PEERS

    ready, refused = {}, {}
    for name in names:
        peer = PEERS[name]
        reason = peer.reason(call)
        if not reason:
            try:
                with np.errstate(all="ignore"):
                    prepared = peer.prepare(call, threads)
                    judged = budget.compare("out", prepared.collect(prepared.run()), want.out, want.out_budget)
            except Exception as error:  # another library's: whatever it raises is its answer
                reason = f"raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
            else:
                # less exact is an error to be shown; this is another answer
                far = not np.isfinite(judged.ratio) or judged.error > FAR * np.nanmax(np.abs(want.out), initial=0)
                reason = f"answers otherwise: {judged.reasons[0]}" if far else ""
        if reason:
            refused[name] = reason
        else:
            ready[name] = (prepared, judged)
    return ready, refused


def _elsewhere(shared, name):
    """The shared fields for a peer: it runs on the host's processor, whose roofs are not a GPU's."""
    from aat.backends.fingerprint import package_version

    fields = dict(shared, versions={**shared["versions"], name: package_version(name)})
    if shared["device_kind"] != "cpu":
        fields |= {"device": shared["cpu_model"], "device_kind": "cpu", "driver": ""}
    return fields


def settle(clock=time.perf_counter, used=time.process_time, sleep=time.sleep):
    """Wait until this process computes nothing any more, MOST seconds at most."""
    begin = clock()
    while clock() - begin < MOST:
        start, before = clock(), used()
        sleep(SETTLE)
        if used() - before < BUSY * (clock() - start):
            return
