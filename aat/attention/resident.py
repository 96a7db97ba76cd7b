"""How does attention run on arrays that stay on a GPU? Launches that are kept, and that nobody waits for.

Nothing crosses between host and device in a call whose kind (shapes, dtypes, options) was called before: the launch's
description is there, results go to memory of the arena or of the caller, and the call returns when its launches are
queued. Whoever reads a result waits.

A launch multiplies the values of masked keys by zero, and zero times NaN is NaN. What decides is on the device, too
(kernels/_settle.py): a careful launch follows, whose tasks are none unless something not finite came out. Where no key
is masked inside a group (no mask, bias, lengths or bounds, whole groups of keys) there is no careful launch: what is
not finite then comes from keys that the row sees.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from aat.attention import dot
from aat.attention.base import Result
from aat.backends.relaunch import Relaunch
from aat.tiling import policy

MOST = 64    # kinds that a session keeps; the oldest goes first


def suits(problem, session):
    """Whether a problem's arrays stay on a GPU. A caller's functions may capture something else at every call, as for
    calls that are kept on the CPU (aat/attention/repeated.py): they take the way that keeps nothing."""
    return session.backend != "cpu" and not isinstance(problem.q, np.ndarray) and problem.mods is None


def run(problem, session, config=None, counted=True):
    """As `aat.attention.dot.run`, for DeviceArrays of a GPU session; the Result's counts are {} unless `counted`, which
    waits for the launch."""
    key = _kind(problem, config)
    kept = session.residents.get(key)
    if kept is not None:
        return kept.run(problem, counted)
    while len(session.residents) >= MOST:
        session.residents.pop(next(iter(session.residents)))
    kept = Resident(problem, session, dot.choose(problem, session, config))
    result = kept.first(problem, counted)
    session.residents[_kind(problem, config)] = kept  # choosing may have tuned
    return result


def _kind(problem, config):
    """What a kept launch is kept for: everything but values."""
    mask, bias = problem.mask, problem.bias
    return (problem.q.shape, problem.k.shape, problem.v.shape, problem.dtype, problem.left, problem.right,
            problem.scale, problem.softcap, mask is not None and mask.shape,
            bias is not None and (bias.shape, bias.dtype), problem.sinks is None, problem.kv_lens is None,
            problem.return_lse, config, policy.epoch())


def needs_care(problem, config):
    """Whether a weight may be zero because its key is masked, so that its value must not count even if it is NaN."""
    given = (problem.mask, problem.bias, problem.kv_lens, problem.left, problem.right)
    return any(x is not None for x in given) or problem.Lk % config.keys_per_group > 0


class _Step:
    """One kernel of a launch; `make()` gives it, and `arguments` are those of its first call."""

    def __init__(self, make, arguments):
        self._make, self._arguments = make, arguments

    def first(self):
        """Run it as Taichi does, which compiles it."""
        self._make()(*self._arguments)

    def keep(self):
        """From now on it runs without Taichi's handling of its arguments, and none of them is held."""
        relaunch = Relaunch(self._make(), self._arguments)
        self.go, self.put = relaunch.go, relaunch.put
        del self._arguments


class Resident:
    """A launch of attention_forward for one kind of Problem on DeviceArrays of a GPU session."""

    def __init__(self, problem, session, config):
        self._session, self.config = session, config
        self._careful = needs_care(problem, config)
        self._size = problem.B * problem.Hq * problem.Lq
        self._values = problem.kv_lens, problem.q_offset

    def first(self, problem, counted):
        """Make the kernels and run them on a Problem; return the Result. What runs again is kept."""
        from aat.kernels import _settle as settle

        session = self._session
        with session.scope():
            launch = self._launch = dot._Launch(problem, session, self.config)
            self._steps, meta = self._prepared(False)
            self._after, second = self._prepared(True) if self._careful else ([], session.array(launch.meta_host))
            rows = int(launch.meta_host[launch.Meta.MERGE + settle.Merge.ROWS])
            self._settle = _Step(lambda: session.kernel(("settle",), settle.build),
                                 (meta, second, launch.tasks, rows, int(self._careful)))
            with session.launching():
                self._run(_Step.first, counted)
            for step in (*self._steps, self._settle, *self._after):
                step.keep()
            out, lse = launch.out_argument, launch.lse_argument
            self._hold(meta, second)
            return self._result(problem, out, lse, counted)

    def run(self, problem, counted):
        """As `first`, on another Problem of the kind."""
        session = self._session
        session.check()
        self._take(problem)
        number = np.dtype(np.float32)
        out = problem.out.target if problem.out is not None else session.empty(self._size * problem.Dv, number)
        lse = session.empty(self._size, number) if problem.return_lse else None
        for steps in (self._steps, self._after):
            for name in ("q", "k", "v") if steps else ():
                steps[0].put(name, getattr(problem, name).argument)
            for name, argument in (("out", out), ("lse", lse)) if steps else ():
                if argument is not None:
                    steps[-1].put(name, argument)
        with session.launching():
            self._run(lambda step: step.go(), counted)
        return self._result(problem, out, lse, counted)

    def _prepared(self, careful):
        """([steps of the launch and of its merge, if it has one], its description on the device)."""
        session, launch = self._session, self._launch
        launch.prepare(careful, lambda purpose, n, dtype: session.standing(purpose, 1 << (n - 1).bit_length(), dtype))
        steps = [_Step(launch.make, launch.kernel_arguments)]
        if launch.joined is not None:
            steps.append(_Step(launch.joined.make, launch.joined.arguments))
        return steps, launch.meta

    def _run(self, go, counted):
        """Queue everything; counts of calls that did not ask for them are dropped first."""
        if counted:
            go(self._settle)
        for step in self._steps:
            go(step)
        if counted or self._careful:
            go(self._settle)
        for step in self._after:
            go(step)

    def _hold(self, meta, second):
        """Keep what belongs to the kind, let go of what belongs to the call."""
        launch, problem = self._launch, self._launch.problem
        self._further = {name: launch.arguments[name] for name in ("mask", "bias", "sinks")
                         if getattr(problem, name) is not None}
        self._meta, self._second = meta, second
        # As DeviceArrays they go back to the arena when nobody keeps this any more.
        self._held = [self._session.adopt(x, (1,), "i32") for x in (meta, second, *self._further.values())]
        empty = {name: SimpleNamespace(shape=getattr(problem, name).shape) for name in ("q", "k", "v")}
        self._launch.problem = replace(problem, **empty, mask=None, bias=None, sinks=None, out=None)
        for name in ("arguments", "kernel_arguments", "joined", "kernel", "make", "out_argument", "lse_argument"):
            setattr(launch, name, None)

    def _take(self, problem):
        """Bring values that are not on the device there: further arrays, and lengths and offsets if they are others."""
        session, launch = self._session, self._launch
        for name, argument in self._further.items():
            x = np.ascontiguousarray(getattr(problem, name))
            session.write(argument, x.reshape(-1), dot.logical(name, x))
        values = problem.kv_lens, problem.q_offset
        if all(a is b or np.array_equal(a, b) for a, b in zip(values, self._values, strict=True)):
            return
        self._values = values
        launch.describe_batch(problem)
        launch._restart()
        for meta in (self._meta, self._second):
            session.write(meta, launch.meta_host)

    def _result(self, problem, out, lse, counted):
        session, launch = self._session, self._launch
        shape = problem.q.shape[:3]
        found = problem.out if problem.out is not None else session.adopt(out, (*shape, problem.Dv), problem.dtype)
        lse = session.adopt(lse, shape, "f32") if problem.return_lse else None
        counts = {}
        if counted:
            meta = session.read(self._second, len(launch.meta_host), np.empty_like(launch.meta_host))
            launch.counts[:] = meta[-launch.counts.size:]
            counts = launch._counts()
        return Result(found, lse, counts, self.config, launch.name)
