"""House rules that a source file keeps or breaks by itself."""

import ast

import pytest
from repository import ROOT, module_name, parse, sources

from aat.cli import COMMANDS

LONGEST = 400  # lines
LIBRARY = sources("aat", "kernels")
KERNELS = sources("kernels")


def has_future_annotations(tree):
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__"
               and any(alias.name == "annotations" for alias in node.names) for node in ast.walk(tree))


def reads_environment(tree):
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    return [node.lineno for node in ast.walk(tree)
            if (isinstance(node, ast.Attribute) and node.attr in names)
            or (isinstance(node, ast.ImportFrom) and node.module == "os"
            and any(alias.name in names for alias in node.names))]


def prints(tree):
    return [node.lineno for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"]


@pytest.mark.parametrize("path", KERNELS, ids=str)
def test_kernels_do_not_postpone_annotations(path):
    # Taichi reads them as values and fails with "Invalid type annotation"
    assert not has_future_annotations(parse(path))


@pytest.mark.parametrize("path", [path for path in LIBRARY if str(path) != "aat/env.py"], ids=str)
def test_only_env_reads_the_environment(path):
    assert not reads_environment(parse(path)), "read it by a function of aat/env.py"


# what each command of `aat` runs, and the command line itself; the demo's page is a module of its own
MAY_PRINT = {"aat.cli", "aat.demo.page", *(module for module, _ in COMMANDS.values())}


@pytest.mark.parametrize("path", [path for path in LIBRARY if module_name(path) not in MAY_PRINT], ids=str)
def test_only_commands_print(path):
    assert not prints(parse(path)), 'log to logging.getLogger("aat")'


@pytest.mark.parametrize("path", sources("aat", "kernels", "tests", "benchmarks"), ids=str)
def test_files_stay_readable(path):
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines; split it by the questions that it answers"


def test_each_rule_finds_what_it_forbids():
    assert has_future_annotations(ast.parse("from __future__ import annotations"))
    assert not has_future_annotations(ast.parse("from __future__ import generator_stop"))
    for code in ("import os\nos.environ['X']", "from os import environ", "import os\nos.getenv('X')"):
        assert reads_environment(ast.parse(code))
    assert prints(ast.parse("def f():\n    print(1)"))
    assert not prints(ast.parse("console.print(1)"))


def operations():
    """The stems of kernels/<op>.py."""
    return [path.stem for path in KERNELS if len(path.parts) == 2 and not path.stem.startswith("_")]


@pytest.mark.parametrize("op", operations())
@pytest.mark.parametrize("where", [
    "kernels/reference/{}.py", "tests/kernels/test_{}.py", "docs/kernels/{}.md"])
def test_an_operation_has_one_stem_everywhere(op, where):
    assert (ROOT / where.format(op)).is_file()


@pytest.mark.parametrize("reference", [p.stem for p in sources("kernels/reference") if p.stem != "__init__"])
def test_a_reference_belongs_to_a_kernel(reference):
    assert reference.startswith("_") or reference in operations()


def test_the_folder_kernels_cannot_be_imported_under_its_own_name(monkeypatch):
    import importlib
    import sys
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delitem(sys.modules, "kernels", raising=False)
    with pytest.raises(ImportError, match=r"expected to be imported as aat\.kernels.*`pip install -e \.`"):
        importlib.import_module("kernels")
