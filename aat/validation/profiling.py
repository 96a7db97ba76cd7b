"""Where does the time of one call go? The engine of `aat profile`.

While a profile runs, and only then, clocks stand around the steps of a call (HOOKS): normal calls run the very same
functions without them. A step's time is its own, without that of the steps inside it, so the phases add up to the call.

    argument checks   arguments to a Problem
    packing, upload   strides, copies of what cannot be read in place, uploads to a device, memory for results
    launch            choice of the kernel, arguments, and what the same launch takes with no task to do
    kernel            the rest of the launch, until the device is done
    copy back         results and counters to the host, in the caller's dtype
    other             locks, the choice of the backend, the caller's types

The inside of the kernel cannot be timed without changing it. Its share of QK and of PV follows from variants: halving D
halves the work of q k^T alone, halving Dv that of p v alone, with the same tiles and keys. So t - t(D/2) is half of QK,
t - t(Dv/2) half of PV, and what neither explains is the softmax with masks, bounds and staging.
"""
import contextlib
import time
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from aat.validation import cases, pipeline, statistics
from aat.validation.measure import NotChecked, work
from aat.validation.peaks import measure_peaks

PHASES = ("argument checks", "packing, upload", "launch", "kernel", "copy back", "other")
PARTS = ("QK", "softmax and the rest", "PV")
SMALLEST_HEAD = 16  # of which a half still fills the kernel's blocks
FEWEST, MOST = 16, 200  # calls, two a round
EMPTY = 7  # launches without tasks
NOISE = 0.05  # of a launch: a kernel shorter than that is not told from it


class ProfileError(RuntimeError):
    """A call that cannot be profiled: one clear line."""


@dataclass
class Span:
    """One step of one call, in seconds of the profile's clock."""

    name: str
    phase: str
    start: float
    end: float = 0.0
    inside: float = 0.0  # seconds of the spans in it

    @property
    def own(self):
        """Seconds of the step without the steps inside it."""
        return self.end - self.start - self.inside


@dataclass
class Profile:
    """What `profile` returns. Seconds are medians over `rounds` calls; intervals are [low, median, high] at 95 %.

    Rates and arithmetic intensity count the multiply-adds that are done, since those are what a roof binds; records
    count multiply_adds_useful, those within the bounds that were asked for. bytes is the compulsory traffic.
    """

    case: str
    backend: str
    device: str
    config: str
    error: float
    budget: float
    rounds: int
    seconds: float
    phases: dict
    parts: dict = field(default_factory=dict)
    parts_reason: str = ""
    multiply_adds: int = 0
    multiply_adds_useful: int = 0
    bytes: int = 0
    kernel_gflops: float | None = None
    arithmetic_intensity: float = 0.0
    peak_gflops: float | None = None
    sgemm_gflops: float | None = None
    bandwidth_gbs: float | None = None
    fraction_of_roof: float | None = None
    bound: str = ""
    spans: list = field(default_factory=list, repr=False)

    def to_json(self):
        """Plain values, without the spans: those go into the trace."""
        plain = asdict(self)
        del plain["spans"]
        return plain


class Recorder:
    """Spans of calls, and the hooks that make them."""

    def __init__(self, clock=time.perf_counter):
        self.clock, self.spans, self._open = clock, [], []

    @contextlib.contextmanager
    def span(self, name, phase):
        """`with recorder.span(...)` around a step."""
        step = Span(name, phase, self.clock())
        self._open.append(step)
        try:
            yield step
        finally:
            step.end = self.clock()
            self._open.pop()
            if self._open:
                self._open[-1].inside += step.end - step.start
            self.spans.append(step)

    def around(self, call, name, phase):
        """`call` with a span around it; a call within a span of the same phase is a part of that one."""
        def timed(*arguments, **named):
            if self._open and self._open[-1].phase == phase:
                return call(*arguments, **named)
            with self.span(name, phase):
                return call(*arguments, **named)

        return timed

    def call(self, run):
        """Run one call under the span "call"; return {phase: seconds} of it."""
        first = len(self.spans)
        with self.span("call", "other"):
            run()
        seconds = dict.fromkeys(PHASES, 0.0)
        for step in self.spans[first:]:
            seconds[step.phase] += step.own
        return seconds


def hooks():
    """(owner, attribute, phase) of every step that is timed."""
    from aat import functional
    from aat.attention import arguments, decode, dot

    launch, few = dot._Launch, decode._Launch
    return ((arguments, "check", "argument checks"),
            (launch, "_describe", "packing, upload"), (launch, "_inputs", "packing, upload"),
            (launch, "_outputs", "packing, upload"), (launch, "_memory", "launch"), (launch, "go", "launch"),
            (few, "_describe", "packing, upload"), (few, "_inputs", "packing, upload"),
            (few, "_take_memory", "launch"), (few, "go", "launch"),
            (launch, "result", "copy back"), (functional, "_stored", "copy back"))


@contextlib.contextmanager
def hooked(recorder, session):
    """Clocks around the steps of every call inside; calls of other threads wait, or they would be counted too."""
    from aat.attention import repeated
    from aat.backends import select

    # A repeated call takes none of these steps: what is shown is the first of its kind.
    with select.lock(), repeated.off(), contextlib.ExitStack() as stack:
        for owner, name, phase in hooks():
            original = getattr(owner, name)
            setattr(owner, name, recorder.around(original, name.strip("_"), phase))
            stack.callback(setattr, owner, name, original)
        for name, phase in (("array", "packing, upload"), ("read", "copy back")):
            setattr(session, name, recorder.around(getattr(session, name), name, phase))
            stack.callback(delattr, session, name)
        launching = session.launching

        @contextlib.contextmanager
        def timed_launching(counted=True):
            if recorder._open[-1].phase != "launch" or not counted:  # a copy's kernel belongs to the copy
                with launching(counted=counted):
                    yield
                return
            with launching(), recorder.span("kernel", "kernel"):
                yield
                session.sync()

        session.launching = timed_launching  # type: ignore[method-assign]
        stack.callback(delattr, session, "launching")
        yield recorder


@contextlib.contextmanager
def without_tasks():
    """Launches inside find no task: what they take is the cost of a launch."""
    from aat.attention import decode, dot, repeated

    describe, turn_to = dot._Launch._describe, decode._Launch._turn_to

    def emptied(launch):
        describe(launch)
        launch.meta_host[launch.Meta.TASKS] = 0

    def turned(launch, *queries):
        turn_to(launch, *queries)
        launch.meta_host[launch.Meta.TASKS] = 0

    dot._Launch._describe = emptied  # type: ignore[method-assign]
    decode._Launch._turn_to = turned  # type: ignore[method-assign]
    try:
        with repeated.off():  # a launch that is kept would stay without tasks
            yield
    finally:
        dot._Launch._describe = describe  # type: ignore[method-assign]
        decode._Launch._turn_to = turn_to  # type: ignore[method-assign]


def profile(case, backend="auto", *, seconds=3.0, clock=time.perf_counter, peaks=None):
    """The Profile of one case. NotChecked unless it passes its check; ProfileError for a problem without a launch."""
    import aat
    from aat.backends import select

    verdict = pipeline.check(case, backend)
    if not verdict.ok:
        raise NotChecked(verdict)
    call = dict(cases.make(case), return_lse=True)  # as it was checked
    asked = work(case, cases.make(case))
    *_, info = aat.attention(**call, backend=backend, return_info=True)
    if info.parts != 1 or info.config is None:
        raise ProfileError(f"case {case.name!r} makes {info.parts} launches on {info.backend}, expected one; "
                           "choose a case with keys, on cpu, vulkan or cuda")
    roofs = [peaks] if peaks else [measure_peaks(info.backend)]
    with select.use(info.backend) as session:
        recorder = Recorder(clock)
        with hooked(recorder, session):
            empty, calls, parts, reason = _measure(recorder, call, info, seconds, clock)
    if not peaks:  # afterwards too: other work may have lowered one of them
        roofs.append(measure_peaks(info.backend))
    phases = {name: float(np.median([found[name] for found in calls])) for name in PHASES}
    moved = min(empty, phases["kernel"])
    phases["kernel"] -= moved
    phases["launch"] += moved
    if phases["kernel"] <= NOISE * moved:
        parts, reason = {}, "it takes no longer than a launch without tasks: too little work to place under a roof"
    result = Profile(case.name, info.backend, info.device, str(info.config), verdict.error, verdict.budget, len(calls),
                     sum(phases.values()), phases, parts, reason, info.multiply_adds,
                     multiply_adds_useful=asked["multiply_adds_useful"], bytes=asked["bytes"],
                     peak_gflops=_highest(roofs, "peak_gflops"), sgemm_gflops=_highest(roofs, "sgemm_gflops"),
                     bandwidth_gbs=_highest(roofs, "bandwidth_gbs"), spans=recorder.spans)
    _roof(result)
    return result


def _measure(recorder, call, info, seconds, clock):
    """(seconds of an empty launch, phases of each call, kernel parts, why there are none)."""
    import aat

    def run(arguments, config):
        return lambda: aat.attention(**arguments, backend=info.backend, tiling=config)

    versions = {"all": (call, info.config), **variants(call, info.config)}
    runs = {name: run(*version) for name, version in versions.items()}
    for one in runs.values():  # compile
        recorder.call(one)
    with without_tasks():
        empty = float(np.median([recorder.call(runs["all"])["kernel"] for _ in range(EMPTY)]))
    recorder.spans.clear()
    found: dict[str, list] = {name: [] for name in runs}
    begin = clock()
    while len(found["all"]) < FEWEST or (len(found["all"]) < MOST and clock() - begin < seconds):
        kept = len(recorder.spans)
        for name in (*runs, *reversed(runs)):
            found[name].append(recorder.call(runs[name]))
            if name != "all":
                del recorder.spans[kept:]
            kept = len(recorder.spans)
    if len(versions) < 3:
        return empty, found["all"], {}, f"a head of less than {SMALLEST_HEAD} cannot be halved"
    # the faster of a round's two: whatever else the machine does only adds
    kernel = {name: np.array([one["kernel"] for one in values]).reshape(-1, 2).min(1) - empty
              for name, values in found.items()}
    return empty, found["all"], *separate(kernel["all"], kernel["half D"], kernel["half Dv"])


def variants(call, config):
    """{name: (arguments, config)}: the same call with half of D, and with half of Dv; {} where they are too small."""
    q, k, v = call["q"], call["k"], call["v"]
    if min(q.shape[-1], v.shape[-1]) < SMALLEST_HEAD or q.shape[-1] % 2 or v.shape[-1] % 2:
        return {}
    d, dv = q.shape[-1] // 2, v.shape[-1] // 2
    scale = call.get("scale") or q.shape[-1] ** -0.5
    call = dict(call, scale=scale)
    columns = dv if config.registers else min(config.columns_per_block, dv)
    return {"half D": (dict(call, q=np.ascontiguousarray(q[..., :d]), k=np.ascontiguousarray(k[..., :d])), config),
            "half Dv": (dict(call, v=np.ascontiguousarray(v[..., :dv])), replace(config, columns_per_block=columns))}


def separate(whole, half_d, half_dv):
    """({part: [low, median, high] seconds}, why it is empty) from kernel seconds of rounds."""
    qk, pv = 2 * (whole - half_d), 2 * (whole - half_dv)
    rest = whole - qk - pv
    parts = {name: list(statistics.interval(values)) for name, values in zip(PARTS, (qk, rest, pv), strict=True)}
    below = [name for name, (low, _, _) in parts.items() if low <= 0]
    if below:
        return {}, f"the variants do not tell {', '.join(below)} from the noise; the kernel is one phase"
    return parts, ""


def _highest(roofs, name):
    return max((value for roof in roofs if (value := getattr(roof, name)) is not None), default=None)


def _roof(result):
    """Enter the kernel's place under the roofs."""
    kernel = result.phases["kernel"]
    result.arithmetic_intensity = 2 * result.multiply_adds / result.bytes
    if kernel <= NOISE * result.phases["launch"]:
        return
    result.kernel_gflops = 2 * result.multiply_adds / kernel / 1e9
    if result.peak_gflops and result.bandwidth_gbs:
        memory = result.bandwidth_gbs * result.arithmetic_intensity
        result.bound = "memory" if memory < result.peak_gflops else "compute"
        result.fraction_of_roof = result.kernel_gflops / min(memory, result.peak_gflops)


def trace(result):
    """The Profile as a Chrome trace (chrome://tracing, ui.perfetto.dev): spans, and the kernel's parts by shares."""
    calls, derived = 1, 2
    events = [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": f"aat {result.case} on {result.backend}"}},
              {"ph": "M", "name": "thread_name", "pid": 1, "tid": calls, "args": {"name": "call"}}]
    start = min(step.start for step in result.spans)
    for step in sorted(result.spans, key=lambda step: (step.start, -step.end)):
        events.append(_event(step.name, step.phase, step.start - start, step.end - step.start, calls))
    if result.parts:
        name = "kernel by shares: from variants, not a sequence in time"
        events.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": derived, "args": {"name": name}})
        total = sum(median for _, median, _ in result.parts.values())
        for step in result.spans:
            at = step.start - start
            for part, (_, median, _) in result.parts.items() if step.phase == "kernel" else ():
                events.append(_event(part, "derived", at, (step.end - step.start) * median / total, derived))
                at += (step.end - step.start) * median / total
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": result.to_json()}


def _event(name, category, start, seconds, track):
    return {"ph": "X", "name": name, "cat": category, "ts": start * 1e6, "dur": seconds * 1e6, "pid": 1, "tid": track}
