"""What does one commit do when `aat compare` asks it? A script: it runs in the environment of the commit under test.

It is shipped by the running version and imports only what every version has: `aat.attention`, the case table and
`pipeline.check`. One request a line on stdin, one answer a line on stdout, both JSON:

    {"do": "check", "case": NAME, "backend": NAME}   -> {"ok", "error", "budget", "ratio", "reasons", "backend", ...}
    {"do": "count", ...}                             -> {"multiply_adds", "tiles", "launches", "bytes", "peak_bytes"}
    {"do": "time", ..., "calls": N}                  -> {"seconds": [N numbers]}, after one call that is not timed
    {"do": "stop"}

An answer {"failed": TEXT} says that the request could not be carried out. The first line, before any request, is
{"path", "cases": {NAME: DESCRIPTION}}.
"""
import json
import os
import sys
import time
import tracemalloc


class Worker:
    """The commit that this interpreter imports; calls of one case are kept between requests."""

    def __init__(self):
        import aat
        from aat.validation import cases, pipeline

        self.aat, self.cases, self.pipeline = aat, cases, pipeline
        self.checked: tuple | None = None
        self.call: dict = {}

    def hello(self):
        """What the parent must know first: where this commit was imported from, and which cases it has."""
        return {"path": self.aat.__file__, "cases": {case.name: repr(case) for case in self.cases.CASES.values()}}

    def check(self, case, backend):
        """Judge the case; the later requests about it are refused if it failed."""
        self.checked = None
        case = self.cases.by_name(case)
        verdict = self.pipeline.check(case, backend)
        # with lse, as it was checked: a kernel without it is another kernel
        self.call = dict(self.cases.make(case), backend=backend, return_lse=True)
        if verdict.ok:
            self.checked = (case.name, backend)
        *_, info = self.aat.attention(**self.call, return_info=True)
        self.aat.attention(**self.call)  # the first of its kind sets up what later ones reuse
        numbers = {name: float(getattr(verdict, name)) for name in ("error", "budget", "ratio")}
        return {"ok": verdict.ok, "reasons": list(verdict.reasons), "backend": info.backend, "device": info.device,
                "config": None if info.config is None else str(info.config), **numbers, **self._kind()}

    def count(self, case, backend):
        """The exact counts of one call; None for what this version does not count."""
        self._insist(case, backend)
        *_, info = self.aat.attention(**self.call, return_info=True)
        self.aat.attention(**self.call)  # the first of its kind sets up what later ones reuse
        arena = getattr(self._session(), "arena", None)
        if arena is not None:
            arena.trim()  # what earlier calls left for reuse would hide what this one takes
        before = self._counters()
        tracemalloc.start()
        start = tracemalloc.get_traced_memory()[0]
        self.aat.attention(**self.call)
        peak = tracemalloc.get_traced_memory()[1] - start
        tracemalloc.stop()
        launches, moved = (None if a is None else b - a for a, b in zip(before, self._counters(), strict=True))
        return {"multiply_adds": info.multiply_adds, "tiles": info.tiles.get("visited"), "launches": launches,
                "bytes": moved, "peak_bytes": peak + self._on_device(arena)}

    def time(self, case, backend, calls):
        """Seconds of `calls` calls in a row, after one that brings this process's data back to the caches."""
        self._insist(case, backend)
        attention, call, clock = self.aat.attention, self.call, time.perf_counter
        attention(**call)
        seconds = []
        for _ in range(calls):
            start = clock()
            attention(**call)
            seconds.append(clock() - start)
        return {"seconds": seconds}

    def _insist(self, case, backend):
        if self.checked != (case, backend):
            raise RuntimeError(f"{case} on {backend} is neither counted nor timed before its check has passed")

    def _session(self):
        try:
            from aat.backends import select

            return select.active()
        except (ImportError, AttributeError):
            return None

    def _kind(self):
        device = getattr(self._session(), "device", None)
        return {"device_kind": getattr(device, "kind", ""), "driver": getattr(device, "driver", "")}

    def _counters(self):
        counters = getattr(self._session(), "counters", None)
        if counters is None:
            return None, None
        return counters.launches, counters.bytes_to_device + counters.bytes_from_device

    def _on_device(self, arena):
        """Bytes of a device that the call took: the arena keeps them. The CPU's are NumPy's, traced already."""
        if arena is None or self._session().backend == "cpu":
            return 0
        return arena.in_use_bytes + arena.idle_bytes


def serve(requests, answer):
    """Answer requests until "stop" or the end of the input."""
    try:
        worker = Worker()
        answer(worker.hello())
    except Exception as error:
        answer({"failed": f"{type(error).__name__}: {error}"})
        return
    for line in requests:
        request = json.loads(line)
        what = request.pop("do")
        if what == "stop":
            return
        try:
            answer(getattr(worker, what)(**request))
        except Exception as error:
            answer({"failed": f"{type(error).__name__}: {error}"})


def main():
    """Speak on a private copy of stdout; what a library prints goes to stderr."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        channel.write(json.dumps(value) + "\n")
        channel.flush()

    serve(sys.stdin, answer)


if __name__ == "__main__":
    main()
