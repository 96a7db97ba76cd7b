"""How does a commit get an environment of its own, and how does it go again?

A commit is checked out into a temporary git worktree and built there by the running interpreter's pip and setuptools
(no index, no build isolation: it works offline, in seconds) into a virtual environment of its own. Everything else
(NumPy, Taichi, Numba) comes from the running environment by a path entry, so both sides have the same dependencies
and no editable install of the running one is seen: a path entry does not run the .pth files of the folder it names.
"""
import contextlib
import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

from aat import env
from aat.backends.interrupts import Uninterrupted

_log = logging.getLogger("aat")
BUILD_SECONDS = 600


class WorktreeError(ValueError):
    """A commit that cannot be found, checked out or built: one clear line."""


@dataclass(frozen=True)
class Revision:
    """A commit under test: `label` for people, `commit` for git; committed is False for a snapshot of files."""

    role: str
    label: str
    commit: str
    committed: bool = True


@dataclass(frozen=True)
class Built:
    """A commit with its environment: `python` runs it."""

    revision: Revision
    folder: Path
    python: Path


def git(root, *arguments, **changes):
    """The output of one git command in `root`; WorktreeError with git's own last line if it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), "-c", "core.hooksPath=" + os.devnull, *arguments],
                              capture_output=True, text=True, env=env.child_environment(**changes), check=False)
    except FileNotFoundError:
        raise WorktreeError("git: expected the program on PATH; install git") from None
    if done.returncode:
        raise WorktreeError(f"git {arguments[0]}: {_reason(done.stderr) or f'exit status {done.returncode}'}")
    return done.stdout.strip()


def repository(folder="."):
    """The root of the repository around `folder`."""
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel"))
    except WorktreeError as error:
        raise WorktreeError(f"{Path(folder).resolve()}: expected a folder of aat's git repository ({error})") from None


def resolve(root, base, head=None):
    """(base, head) Revisions; without `head` it is the working tree, or HEAD if nothing in it is uncommitted."""
    before = Revision("BASE", base, _commit(root, base, "BASE"))
    if head is not None:
        return before, Revision("HEAD", head, _commit(root, head, "HEAD"))
    if not git(root, "status", "--porcelain"):
        return before, Revision("HEAD", "HEAD", _commit(root, "HEAD", "HEAD"))
    return before, Revision("HEAD", "the working tree", snapshot(root), committed=False)


def _commit(root, name, role):
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except WorktreeError:
        raise WorktreeError(f"{role}: expected a commit, branch or tag of this repository, got {name!r}; "
                            "`git log --oneline` lists commits") from None


def snapshot(root):
    """A commit of the working tree as it stands, untracked files included; no branch, index or file is touched."""
    with tempfile.TemporaryDirectory(prefix="aat-index-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", "HEAD", **index)
        git(root, "add", "--all", **index)
        tree = git(root, "write-tree", **index)
    return git(root, "-c", "user.name=aat", "-c", "user.email=aat@localhost", "commit-tree", tree, "-p", "HEAD",
               "-m", "the working tree")


def trailers(root, base, head, key):
    """The values of the trailer `key` in the messages of the commits that head has and base has not."""
    text = git(root, "log", f"--format=%(trailers:key={key},valueonly,unfold)", f"{base}..{head}")
    return [line.strip() for line in text.splitlines() if line.strip()]


@contextlib.contextmanager
def built(root, revisions):
    """`with built(root, revisions) as pair:` builds each Revision; worktrees and environments are gone afterwards.

    They go on Ctrl-C and on SIGTERM too, and a second Ctrl-C waits until they are gone.
    """
    folder = Path(tempfile.mkdtemp(prefix="aat-compare-"))
    added = []
    try:
        with _terminated():
            results = []
            for revision in revisions:
                place = folder / revision.role.lower() / "source"
                with Uninterrupted((signal.SIGINT, signal.SIGTERM)):
                    added.append(place)
                    git(root, "worktree", "add", "--quiet", "--detach", str(place), revision.commit)
                results.append(_build(revision, place))
            yield results
    finally:
        with Uninterrupted((signal.SIGINT, signal.SIGTERM)):
            for place in added:
                with contextlib.suppress(WorktreeError):  # one that was never added
                    git(root, "worktree", "remove", "--force", str(place))
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _terminated():
    """SIGTERM becomes SystemExit inside, so that `finally` runs; only the main thread may say so."""
    def leave(number, frame):
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not the main thread
        before = None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _build(revision, source):
    """The Built commit in `source`; `_install` does what may fail."""
    place = source.parent / "environment"
    _log.info("building %s (%s)", revision.label, revision.commit[:12])
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(place)
    where = {"base": str(place), "platbase": str(place)}
    site = Path(sysconfig.get_path("purelib", "nt" if os.name == "nt" else "posix_prefix", vars=where))
    site.mkdir(parents=True, exist_ok=True)
    shared = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages") and Path(p).is_dir()]
    (site / "of-the-running-environment.pth").write_text("".join(f"{p}\n" for p in shared), encoding="utf-8")
    try:
        _install(source, site)
    except WorktreeError as error:
        name = f"{revision.role}: {revision.label} ({revision.commit[:12]})"
        raise WorktreeError(f"{name} does not build: {error}") from None
    return Built(revision, place, place / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def _install(source, site):
    """Build the project in `source` into the folder `site`; WorktreeError with the reason."""
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        raise WorktreeError(f"that needs pip and setuptools: {sys.executable} -m pip install setuptools wheel")
    command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--quiet",
               "--no-index", "--no-deps", "--no-build-isolation", "--no-compile", "--target", str(site), str(source)]
    scratch = source.parent / "scratch"  # pip that is killed leaves its temporary folders: they go with ours
    scratch.mkdir(exist_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=source, check=False, timeout=BUILD_SECONDS,
                              env=env.child_environment(TMPDIR=str(scratch)))
    except subprocess.TimeoutExpired:
        raise WorktreeError(f"no end after {BUILD_SECONDS} s") from None
    if done.returncode:
        raise WorktreeError(_reason(done.stderr + "\n" + done.stdout))


NOISE = re.compile(r"note:|hint:|\[notice\]|see above|subprocess-exited|metadata-generation|full command|^[╰│×>]")


def _reason(text):
    """The line of a program's complaint that says most: the last one with an error in it, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not NOISE.search(line)] or lines
    telling = [line for line in lines if re.search(r"(?i)\b\w*error\b|^fatal|failed", line)]
    return (telling or lines or [""])[-1]
