"""The pages against what they describe."""

import contextlib
import io
import re

import pytest
from repository import ROOT, sources

from aat.env import VARIABLES


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text):
    """The first cell of every table row that is code, without its backticks."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_the_layout_lists_every_file_and_no_other():
    listed = [row for row in rows(page("docs/layout.md")) if row.endswith(".py")]
    assert len(listed) == len(set(listed))
    there = {path.as_posix() for path in sources("aat", "kernels")}
    assert not sorted(there - set(listed)), "give each a line in docs/layout.md"
    assert not sorted(set(listed) - there), "these lines of docs/layout.md name no file"


def test_the_layout_lists_folders_that_exist():
    for row in rows(page("docs/layout.md")):
        assert (ROOT / row).exists(), row


def test_the_page_of_variables_is_the_table_of_env():
    listed = dict(re.findall(r"^\| `(AAT_\w+)` \| (.*) \|$", page("docs/environment.md"), re.MULTILINE))
    assert listed == VARIABLES


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *(
    path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))])
def test_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page(name))
    assert not [target for target in targets if not (folder / target).exists()]


def test_the_example_of_the_readme_prints_what_it_says():
    code, = re.findall(r"```python\n(.*?)```", page("README.md"), re.DOTALL)
    promised, = re.findall(r"```text\n(.*?)```", page("README.md"), re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    assert printed.getvalue() == promised


def test_make_help_lists_every_target():
    makefile = page("Makefile")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    described = re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE)
    assert sorted(described) == sorted(set(targets) - {"system"})


def test_ci_requires_the_backends_that_need_no_gpu():
    assert re.search(r"AAT_REQUIRE=.*cpu,vulkan", page(".ci/run"))
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
