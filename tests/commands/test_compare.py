"""`aat compare`: revisions and declarations from git, worktrees that come and go, and one line for each bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from aat.cli import main
from aat.commands import compare as command
from aat.report.record import Record
from aat.validation import regression, worktrees
from aat.validation.worktrees import WorktreeError, built, resolve, snapshot, trailers

INSTALL = worktrees._install
FILES = {
    "pyproject.toml": """\
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "adaptive-attention-tiling"
        version = "0"
        [tool.setuptools]
        packages = ["aat", "aat.validation"]
        """,
    ".gitignore": "*.egg-info\nbuild\n",
    # what the worker needs of a commit, without Taichi
    "aat/__init__.py": """\
        import time
        from types import SimpleNamespace
        COST, TILES = 0.002, 3
        def attention(x, backend, return_lse=False, return_info=False):
            end = time.perf_counter() + COST
            while time.perf_counter() < end:
                pass
            info = SimpleNamespace(backend="cpu", device="d", config=None, multiply_adds=5, tiles={"visited": TILES})
            return (x, x, info) if return_info else (x, x)
        """,
    "aat/validation/__init__.py": "",
    "aat/validation/cases.py": """\
        from dataclasses import dataclass
        @dataclass
        class Case:
            name: str
        CASES = {"plain": Case("plain")}
        def by_name(name):
            return CASES[name]
        def make(case):
            return {"x": 1}
        """,
    "aat/validation/pipeline.py": """\
        from types import SimpleNamespace
        def check(case, backend):
            return SimpleNamespace(ok=True, reasons=(), error=1e-7, budget=2e-7, ratio=0.5)
        """,
}


def git(folder, *arguments):
    done = subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments], cwd=folder,
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder, message, **files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with a commit of a project that is built in a second, and the temporary folder under watch."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "First", **FILES)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("aat.commands.progress.EVERY", 1e9)  # on a busy machine its lines stand among the others
    # pip takes seconds; `really_built` below puts it back
    monkeypatch.setattr(worktrees, "_install", lambda source, site: shutil.copytree(source / "aat", site / "aat"))
    yield folder
    assert list((tmp_path / "tmp").iterdir()) == []  # whatever happened, nothing is left
    assert len(git(folder, "worktree", "list").splitlines()) == 1


@pytest.fixture
def really_built(project, monkeypatch):
    monkeypatch.setattr(worktrees, "_install", INSTALL)
    return project


@pytest.fixture
def hurried(monkeypatch):
    """Few calls, and no limit: the wall clock is not what is tested."""
    monkeypatch.setattr(regression, "TURN_SECONDS", 0.002)
    monkeypatch.setattr(regression, "MOST_BATCHES", 1)
    monkeypatch.setattr(regression, "LIMIT", 9.0)


def status(*argv):
    return main(["compare", *argv])


def test_the_same_commit_passes_and_a_growth_does_not(project, hurried, capsys):
    assert status("main", "main", "--cases", "plain", "--rounds", "3") == 0
    out = capsys.readouterr().out
    assert "ok: 1 cases" in out
    assert "HEAD/BASE [95 %]" in out
    assert "error/budget" in out

    more = textwrap.dedent(FILES["aat/__init__.py"]).replace("COST, TILES = 0.002, 3", "COST, TILES = 0.002, 4")
    (project / "aat/__init__.py").write_text(more)  # not committed: the working tree is HEAD
    assert status("main", "--cases", "plain", "--rounds", "3") == 1
    assert "tiles grew from 3 to 4" in capsys.readouterr().out

    commit(project, "More tiles\n\nCounts-grow: tiles plain: they are smaller", **{"aat/__init__.py": more})
    assert status("HEAD~1", "--cases", "plain", "--rounds", "3", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ok"]
    assert facts["cases"][0]["counts"]["tiles"] == [3, 4]
    assert "launches: not counted by BASE" in facts["cases"][0]["notes"]
    assert "tiles: 3 -> 4, declared: they are smaller" in facts["cases"][0]["notes"]


def one_line(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1, lines
    return lines[0]


def test_an_unknown_revision(project, capsys):
    assert status("nowhere") == 2
    assert "BASE: expected a commit, branch or tag of this repository, got 'nowhere'" in one_line(capsys)
    assert status("main", "nowhere") == 2
    assert "HEAD: expected a commit" in one_line(capsys)


def test_outside_of_a_repository(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert status("main") == 2
    assert "expected a folder of aat's git repository" in one_line(capsys)


def test_a_base_that_does_not_build(really_built, capsys):
    project = really_built
    commit(project, "Broken", **{"pyproject.toml": FILES["pyproject.toml"] + 'packages = "twice"\n'})
    commit(project, "Mended", **FILES)
    assert status("HEAD~1", "HEAD") == 2
    line = one_line(capsys)
    assert "BASE: HEAD~1 (" in line
    assert ") does not build: " in line


def test_a_base_that_cannot_be_imported(project, capsys):
    commit(project, "Broken", **{"aat/__init__.py": "import no_such_package\n"})
    commit(project, "Mended", **FILES)
    assert status("HEAD~1", "HEAD") == 2
    assert "BASE: ModuleNotFoundError: No module named 'no_such_package'" in one_line(capsys)


def test_a_base_that_ends_the_process(project, capsys):
    code = "import os, sys\nprint('oh no', file=sys.stderr, flush=True)\nos._exit(3)\n"
    commit(project, "Broken", **{"aat/__init__.py": code})
    commit(project, "Mended", **FILES)
    assert status("HEAD~1", "HEAD") == 2
    assert "BASE: its process ended with status 3: oh no" in one_line(capsys)


def test_a_case_that_the_base_lacks(project, capsys):
    assert status("main", "--cases", "plain", "other") == 2
    assert "case 'other': BASE does not have it" in one_line(capsys)


def test_what_was_compared_before_a_failure_is_printed(project, hurried, capsys, monkeypatch):
    def blow(*arguments, **named):
        raise regression.CompareError("HEAD: its process ended with status -9: without a word")

    answers = iter([command.compare, blow])
    monkeypatch.setattr(command, "compare", lambda *a, **k: next(answers)(*a, **k))
    assert status("main", "--cases", "plain", "plain", "--rounds", "3") == 2
    told = capsys.readouterr()
    assert "\nplain " in told.out
    assert told.err == "aat compare: HEAD: its process ended with status -9: without a word\n"


def test_a_trailer_that_cannot_be_read(project, capsys):
    commit(project, "Grow\n\nCounts-grow: everything")
    assert status("HEAD~1") == 2
    assert "trailer Counts-grow: expected 'COUNT CASE: reason'" in one_line(capsys)


def test_records_that_cannot_be_written(project, hurried, capsys):
    assert status("main", "--cases", "plain", "--rounds", "3", "--records", "/no/such/folder/x") == 2
    told = capsys.readouterr()
    assert told.out == ""  # it is not found out after everything was measured
    assert "--records: expected a file that can be written, got '/no/such/folder/x': No such file" in told.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_keeps_the_results(project, hurried, capsys, monkeypatch):
    monkeypatch.setattr(regression, "records", lambda result, pair: [Record("plain", "cpu")])
    assert status("main", "--cases", "plain", "--rounds", "3", "--records", "/dev/full") == 2
    told = capsys.readouterr()
    assert "\nplain " in told.out
    assert told.err == ("aat compare: /dev/full: No space left on device; the records that it did not take are in "
                        "the output\n")


def test_the_working_tree_is_head_where_something_is_uncommitted(project):
    base, head = resolve(project, "main")
    assert (head.label, head.commit, head.committed) == ("HEAD", base.commit, True)
    (project / "new.txt").write_text("new")
    (project / "aat/__init__.py").write_text("changed")
    (project / "build").mkdir()
    (project / "build/left.txt").write_text("ignored")
    before = git(project, "status", "--porcelain")
    _, head = resolve(project, "main")
    assert not head.committed
    assert git(project, "show", f"{head.commit}:new.txt") == "new"
    assert git(project, "show", f"{head.commit}:aat/__init__.py") == "changed"
    assert "build" not in git(project, "ls-tree", "-r", "--name-only", head.commit)
    assert git(project, "status", "--porcelain") == before
    assert git(project, "log", "--oneline", "--all").count("\n") == 0
    assert snapshot(project) != base.commit


def test_trailers_are_those_of_the_change_alone(project):
    commit(project, "Old\n\nCounts-grow: tiles old: x")
    start = git(project, "rev-parse", "HEAD")
    commit(project, "A\n\nCounts-grow: tiles a: one\n  and more\nCounts-grow: launches a: two")
    commit(project, "B\n\nBecause Counts-grow: tiles no: inside a sentence.\n\nReviewed-by: x")
    assert trailers(project, start, "HEAD", "Counts-grow") == ["tiles a: one and more", "launches a: two"]


@pytest.mark.parametrize("blow", [KeyboardInterrupt, RuntimeError])
def test_worktrees_go_however_the_comparison_ends(project, blow):
    pair = resolve(project, "main", "main")

    def fail():
        with built(project, pair) as sides:
            assert len(git(project, "worktree", "list").splitlines()) == 3
            assert all(side.python.exists() for side in sides)
            raise blow

    with pytest.raises(blow):
        fail()


def test_each_side_imports_its_own_commit(really_built):
    project = really_built
    commit(project, "Second", **{"aat/__init__.py": FILES["aat/__init__.py"].rstrip() + "\n        NAME = 2\n"})
    with built(project, resolve(project, "HEAD~1", "HEAD")) as sides:
        code = "import aat, numpy; print(aat.__file__, getattr(aat, 'NAME', 1))"
        said = [subprocess.run([str(side.python), "-I", "-c", code], capture_output=True, text=True, check=True,
                               cwd=project).stdout.split() for side in sides]
    assert [number for _, number in said] == ["1", "2"]
    assert all(path.startswith(str(side.folder)) for (path, _), side in zip(said, sides, strict=True))


def test_ctrl_c_leaves_nothing_behind(project, tmp_path):
    command = [sys.executable, "-I", "-m", "aat", "compare", "HEAD", "HEAD"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}) as child:
        while not list((tmp_path / "tmp").glob("*/base/environment")) and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert said.splitlines()[-1] == "aat compare: interrupted; the worktrees are removed"


def test_a_polite_kill_leaves_nothing_behind(project):
    before = signal.getsignal(signal.SIGTERM)

    def end():
        with built(project, resolve(project, "main", "main")):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    with pytest.raises(SystemExit, match="143"):
        end()
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_setuptools_it_says_what_to_install(really_built, capsys, monkeypatch):
    monkeypatch.setattr(worktrees.importlib.util, "find_spec", lambda name: None)
    assert status("main") == 2
    assert "-m pip install setuptools wheel" in one_line(capsys)


def test_help_says_what_fails_and_how_to_declare(capsys):
    with pytest.raises(SystemExit):
        command.parser().parse_args(["--help"])
    out = capsys.readouterr().out
    assert "Counts-grow: launches causal-2048: the second pass joins the parts" in out
    assert "exit status: 0 nothing grew or slowed down" in out


def test_git_itself_missing(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WorktreeError, match="git: expected the program on PATH"):
        worktrees.repository()
    monkeypatch.undo()
