"""Does a backend work here? It is tried once, in a child process, and the answer is remembered.

A driver that fails takes its process with it, so no driver is loaded in this one before a child has
survived it. A "no" is remembered for a few minutes only: a driver depends on libraries that no fingerprint
names, and their installation must not stay unnoticed. Answers are kept in `env.cache_dir()/probes`, one file for each
set of facts that could change
them (`fingerprint`); a file that cannot be read, or whose facts differ, is ignored.
"""

import contextlib
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aat import env
from aat.backends.base import Probe
from aat.backends.fingerprint import fingerprint
from aat.errors import BackendError

TIMEOUT_S = 120.0
REFUSAL_S = 600.0
KEPT_FILES = 24
CHILD = "aat.backends.probe_child"  # the module that the child runs
_log = logging.getLogger("aat")
_known: dict = {}  # (name, variables) -> Probe, for this process


def probe(name, refresh=False, timeout=TIMEOUT_S):
    """The Probe of a backend.

    Parameters
    ----------
    name : str
        "cpu", "vulkan", "cuda" or "reference".
    refresh : bool
        Try again even if an answer is remembered.
    timeout : float
        Seconds after which the child counts as hanging. Such an answer is remembered in this process only,
        since the machine may just have been busy.
    """
    key = (name, str(env.cache_dir()), tuple(env.driver_variables().items()))
    if not refresh and key in _known:
        return _known[key]
    facts = fingerprint(name)
    path = cache_file(name, facts)
    found = None if refresh else _load(path, facts)
    if found is None:
        found, final = _try(name, timeout)
        if final:
            _store(path, facts, found)
    _known[key] = found
    return found


def cache_file(name, facts):
    """Where the answer for these facts is kept."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return env.cache_dir() / "probes" / f"{name}-{digest[:20]}.json"


def _load(path, facts):
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        found = Probe.from_json(entry["probe"], cached=True)
        stale = not found.ok and time.time() - path.stat().st_mtime > REFUSAL_S
        return found if entry["facts"] == facts and not stale else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.debug("probe result %s is ignored: %s", path, error)
        return None


def _store(path, facts, found):
    """Write the answer through a temporary name, so that another process never reads half of it."""
    text = json.dumps({"facts": facts, "probe": found.to_json()}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
        os.replace(file.name, path)
        _prune(path.parent)
    except OSError as error:
        _log.debug("probe result is not remembered: %s", error)


def _prune(folder):
    oldest_first = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in oldest_first[:-KEPT_FILES]:
        with contextlib.suppress(OSError):
            path.unlink()


def _try(name, timeout):
    """(Probe, whether it should be remembered) of a child process that tries the backend."""
    if not sys.executable or getattr(sys, "frozen", False):
        return Probe(
            False,
            (
                "a driver is only loaded after a child Python survived it, and this process knows no Python "
                "interpreter to start; run it from a normal Python",
            ),
        ), False
    with tempfile.TemporaryDirectory(prefix="aat-probe-") as folder:
        report, output = Path(folder, "report"), Path(folder, "output")
        report.touch()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from {CHILD} import main; "
            f"main({name!r}, {str(report)!r})"
        )
        with output.open("wb") as sink:
            child = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=env.child_environment(PYTHONSTARTUP=None),
            )
            try:
                status = child.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
            finally:  # a KeyboardInterrupt must not leave the child behind
                if child.poll() is None:
                    child.kill()
                    child.wait()
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        return _judge(lines, status, timeout, output.read_text(encoding="utf-8", errors="replace"))


def _judge(lines, status, timeout, output):
    step = next((line["step"] for line in reversed(lines) if "step" in line), "the child started")
    if status is None:
        return Probe(
            False,
            (
                f"the probe gave no answer within {timeout:g} s, while {step}; try again with "
                "`aat info --refresh`, or update the driver",
            ),
        ), False
    if status == 0 and lines and "result" in lines[-1]:
        return Probe.from_json(lines[-1]["result"]), True
    words = " ".join(output.split())[-300:]
    said = f" (it said: {words})" if words else ""
    return Probe(
        False,
        (
            f"the probe's child process {_death(status)} while {step}{said}; update the driver, or take "
            "another device with TI_VISIBLE_DEVICE or VK_DRIVER_FILES",
        ),
    ), True


def _death(status):
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def forget():
    """Drop what this process remembers (the files stay)."""
    _known.clear()


def require(name):
    """The Probe of a backend that works; BackendError with the reasons otherwise."""
    found = probe(name)
    if not found.ok:
        raise BackendError(name, found.reasons)
    return found
