"""How is a bucket tuned by the call that meets it first? By `aat tune` in a child process.

A process of its own, because a config may be one that the device's driver does not survive, and because what checks a
config against its error budget stands above this room. Both processes share the cache folder, where the answer is left.
"""

import logging
import os
import subprocess
import sys
import time

from aat import env

AUTO_SECONDS = 6.0  # of the search; the child's start and the reference take some more
KILL_SECONDS = 60.0
_log = logging.getLogger("aat")


def tune(problem, bucket, session, seconds=AUTO_SECONDS, limit=KILL_SECONDS):
    """Tune the bucket of a Problem on the backend of a Session; whether the child has left an answer.

    Logged at level info; a child that fails is a warning, and the call goes on with the default.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        _log.warning("AAT_TUNE=auto: this process knows no Python interpreter to start; the default is used")
        return False
    _log.info("AAT_TUNE=auto: tuning %s on %s for about %g s", bucket, session.backend, seconds)
    start = time.perf_counter()
    code = f"import sys; sys.path[:] = {sys.path!r}; from aat.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments(problem, bucket, session.backend, seconds)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit,
                              env=env.child_environment(AAT_TUNE="never", PYTHONSTARTUP=None), errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = f"no answer within {limit:g} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
    else:
        if done.returncode == 0:
            _log.info("AAT_TUNE=auto: done in %.1f s", time.perf_counter() - start)
            return True
        said = [line for line in done.stderr.splitlines() if line.startswith("aat tune: ")]
        reason = said[-1] if said else f"exit status {done.returncode}{os.linesep}{done.stderr[-300:]}"
    _log.warning("AAT_TUNE=auto: %s is not tuned, the default is used: %s", bucket, reason)
    return False


def arguments(problem, bucket, backend, seconds):
    """The arguments of `aat` that tune this Problem's bucket, with no more heads than the bucket tells apart."""
    batch = max(1, min(problem.B, -(-bucket.heads // problem.Hq)))
    sizes = (batch, problem.Hq, problem.Hk, problem.Lq, problem.Lk, problem.D, problem.Dv)
    given = ["tune", "--shape", ",".join(map(str, sizes)), "--dtype", problem.dtype, "--backend", backend,
             "--seconds", f"{seconds:g}"]
    if bucket.reach == "window":
        given += ["--window", ",".join("none" if side is None else str(side) for side in (problem.left, problem.right))]
    elif bucket.reach == "causal":
        given += ["--causal"]
    return given
