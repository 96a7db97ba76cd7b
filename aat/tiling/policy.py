"""Which config does a call get that names none? The user's tuned one, a shipped one, or the default; and why.

The policy is AAT_TUNE or `set_tuning`:

    never    the built-in default: the same bits on every machine with the same lanes
    cached   tuning.jsonl of the cache folder, then the shipped tables, then the default (the policy if none is named)
    auto     the same, and a bucket that neither knows is tuned by its first call, within AUTO_SECONDS or so
"""

import contextlib
import logging

from aat import env
from aat.errors import value_error
from aat.tiling import store
from aat.tiling.bucket import device_key, kernel_key
from aat.tiling.optimization import child

DEFAULT = "default for this device and these head sizes"
_log = logging.getLogger("aat")


class _State:
    """The one mutable thing of this module."""

    def __init__(self):
        self.override = None  # what set_tuning said
        self.known = None  # a _Known
        self.warned = set()
        self.epoch = 0


_state = _State()


def set_tuning(policy):
    """Set the tuning policy of this process: aat.set_tuning("never"), "cached" or "auto".

    It goes before AAT_TUNE until set_tuning(None). What was looked up is forgotten, so that a file that another
    process has written since counts from here on.
    """
    if policy is not None and policy not in env.TUNE:
        raise value_error("policy", " or ".join(f'"{name}"' for name in env.TUNE) + ", or None for AAT_TUNE",
                          repr(policy), "see docs/tuning.md")
    _state.override = policy
    forget()


def epoch():
    """A number that changes with `set_tuning` and `forget`: an answer holds for one epoch and one session."""
    return _state.epoch


@contextlib.contextmanager
def held(policy):
    """`with held("never"):` sets the policy, and puts back what held before."""
    before = _state.override
    set_tuning(policy)
    try:
        yield
    finally:
        set_tuning(before)


def forget():
    """Look everything up anew: the file has changed."""
    _state.known = None
    _state.epoch += 1


def policy():
    """The policy that holds now; a ValueError names AAT_TUNE if it is none."""
    return _state.override or env.tune()


def tuned(bucket, session, problem=None):
    """(config, reason) for a Bucket on a Session; a config of None stands for the default.

    An answer is remembered for the session and the policy; `set_tuning` forgets all of them. With `problem`, which
    must be of that bucket, the policy "auto" may tune; without, it never does.
    """
    known = _state.known
    wanted = _state.override or env.tune()
    if known is None or known.of != (session.generation, wanted):
        known = _state.known = _Known(session, wanted)
    try:
        return known.answers[bucket]
    except KeyError:
        return known.answer(bucket, session, problem)


class _Known:
    """What is known to one session under one policy."""

    def __init__(self, session, wanted):
        self.of, self.wanted, self.answers = (session.generation, wanted), wanted, {}
        self.mine, self.shipped = {}, []
        if wanted != "never":
            self.mine = _read(session)
            if session.backend == "cpu" and session.intrinsics:
                self.shipped, problems = store.shipped()
                _complain(problems, "reinstall aat")

    def answer(self, bucket, session, problem):
        """Find the answer, and remember it unless a call with a problem could still tune."""
        if self.wanted == "never":
            found = None, "default, since tuning is off (AAT_TUNE or aat.set_tuning)"
        else:
            found = self._look(bucket, session)
        if found is None and self.wanted == "auto":
            if problem is None:
                return None, "default until the first call tunes it (AAT_TUNE=auto)"
            found = None, "default, since tuning on the first call failed (AAT_TUNE=auto)"
            if child.tune(problem, bucket, session):
                self.mine = _read(session)
                found = self._look(bucket, session) or found
        self.answers[bucket] = (None, DEFAULT) if found is None else found
        return self.answers[bucket]

    def _look(self, bucket, session):
        entry, told = self.mine.get(bucket), "tuned on {}"
        if entry is None:
            suiting = [e for e in self.shipped if e.suits(session.lane_width, session.device.vendor, bucket)]
            entry, told = (suiting[-1] if suiting else None), "shipped table, measured on {}"
        if entry is None:
            return None
        when = told.format(entry.date[:10])
        if entry.config is None:
            return None, f"default, which nothing beat by enough ({when})"
        problems = entry.config.problems(backend=session.backend, d=bucket.d, dv=bucket.dv,
                                         **session.limits.of_tiles())
        if problems:
            _complain([f"the config for {bucket}: {problems[0]}"], "`aat tune` replaces it")
            return None
        return entry.config, f"{when}, {entry.gain[1]:.2f} x the default"


def _read(session):
    """{bucket: entry} of the user's file, for this kernel on this device."""
    entries, problems = store.read()
    _complain(problems, "`aat tune` rewrites it")
    here = kernel_key(), device_key(session)
    return {entry.bucket: entry for entry in entries if (entry.kernel, entry.device) == here}


def _complain(problems, remedy):
    """One warning for a file, once in a process."""
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        text = f"tuned tiles are ignored: {problems[0]}{more}; {remedy}"
        if text not in _state.warned:
            _state.warned.add(text)
            _log.warning("%s", text)
