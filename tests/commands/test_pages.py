"""The pages that tell how to write a kernel are executed, block by block, in a copy of the repository."""
import re

import pytest
from checkout import Checkout
from repository import ROOT

BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"In `([\w/.]+)`:")


def blocks(text):
    """(language, content, the file that the paragraph before names) of each fenced block."""
    at = 0
    for match in BLOCK.finditer(text):
        indent, language, content = match.groups()
        named = NAMED.findall(text[at:match.start()])
        at = match.end()
        lines = [line.removeprefix(indent) for line in content.splitlines()]
        yield language, "\n".join(lines) + "\n", named[-1] if named else None


def edited(text, diff):
    """A text after a diff without line numbers; what it removes and leaves must stand there exactly once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, f"expected once:\n{before}"
    return text.replace(before, after)


def run_lines(copy, lines):
    for line in filter(None, lines.splitlines()):
        command, _, remark = line.partition("   # ")
        wanted = int(remark.removeprefix("exit status ")) if remark else 0
        status, told = copy.run(command)
        assert status == wanted, f"{command}: {told}"


def execute(copy, text):
    """Do what a page says; returns how many blocks of each language there were."""
    counts, printed = {}, None
    for language, content, named in blocks(text):
        counts[language] = counts.get(language, 0) + 1
        if language == "sh":
            run_lines(copy, content)
        elif language == "diff":
            path = copy.root / named
            path.write_text(edited(path.read_text(), content))
        elif language == "python":
            (copy.root / "block.py").write_text(content)
            status, printed = copy.run("python block.py")
            (copy.root / "block.py").unlink()
            assert status == 0, printed
        elif language == "text":
            assert printed == content
        else:
            pytest.fail(f"a block of {language} is not executed")
    return counts


@pytest.mark.slow
def test_the_tutorial(tmp_path):
    counts = execute(Checkout(tmp_path), (ROOT / "docs/tutorial_kernel.md").read_text())
    assert counts == {"sh": 6, "diff": 4, "python": 1, "text": 1}


@pytest.mark.slow
def test_add_a_kernel_of_contributing(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text[text.index("## Add a kernel"):text.index("## A new case")]
    assert execute(Checkout(tmp_path), section) == {"sh": 4}
    assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == list("12345678")


def test_what_a_page_gets_wrong_is_found(tmp_path):
    copy = Checkout(tmp_path)
    with pytest.raises(AssertionError, match="aat no-such-command"):
        execute(copy, "```sh\naat no-such-command\n```\n")
    with pytest.raises(AssertionError, match="aat info"):
        execute(copy, "```sh\naat info > /dev/null   # exit status 1\n```\n")
    with pytest.raises(AssertionError, match="expected once"):
        execute(copy, "In `README.md`:\n\n```diff\n-no such line\n+another\n```\n")
    with pytest.raises(AssertionError):
        execute(copy, "```python\nprint(1)\n```\n\n```text\n2\n```\n")
