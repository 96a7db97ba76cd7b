"""How does a new kernel begin? `aat new-kernel NAME` writes every file that one has, green from the start."""

import argparse
import ast
import importlib.resources
import keyword
import re
import sys
from pathlib import Path

# What a kernel consists of: template, and where it goes.
FILES = {
    "kernel.py.txt": "kernels/{}.py",
    "reference.py.txt": "kernels/reference/{}.py",
    "operation.py.txt": "aat/operations/{}.py",
    "test.py.txt": "tests/kernels/test_{}.py",
    "benchmark.py.txt": "benchmarks/bench_{}.py",
    "page.md.txt": "docs/kernels/{}.md",
}
LAYOUT, CASES = "docs/layout.md", "aat/validation/cases.py"
# Lines of docs/layout.md that end the tables in which the new files stand.
ROWS = {
    "| `aat/operations/rope.py` |": "| `aat/operations/{}.py` | `{}`: what a call means |",
    "| `kernels/rope.py` |": "| `kernels/{}.py` | {} |",
    "| `kernels/reference/rope.py` |": "| `kernels/reference/{}.py` | {}, number by number |",
}
ABOVE = "    # `aat new-kernel` writes the cases of a new kernel above this line\n"
EPILOG = """\
example:
  aat new-kernel softsign            in the repository; then read docs/tutorial_kernel.md

It writes a kernel that multiplies by a factor, its float64 reference, the call, a test, a benchmark and a page,
and adds its cases to aat/validation/cases.py and its files to docs/layout.md. `aat validate`, `aat bench` and
`aat report` find it by its stem. Nothing is overwritten.

exit status: 0 written, 2 bad name, or not a checkout of aat.
"""


def parser():
    """The arguments of `aat new-kernel`."""
    p = argparse.ArgumentParser(prog="aat new-kernel", formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog=EPILOG, description="Begin a kernel: every file that one has, green at once.")
    p.add_argument("name", metavar="NAME", help="lower-case letters, digits and _, as in kernels/NAME.py")
    p.add_argument("--root", default=".", metavar="FOLDER", help="the repository (default: this folder)")
    return p


def run(argv=None):
    """Write the files; 0, or 2 with one line that says what was wrong."""
    given = parser().parse_args(argv)
    root = Path(given.root)
    reason = objection(given.name, root)
    if reason:
        sys.stderr.write(f"aat new-kernel: {reason}\n")
        return 2
    for path in written(given.name, root):
        print(path)
    print(f"\nnow: python -m pytest tests/kernels/test_{given.name}.py, and docs/tutorial_kernel.md")
    return 0


def objection(name, root):
    """Why a kernel of that name cannot be begun in a repository; "" if it can. Nothing is written."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,28}[a-z0-9]", name) or keyword.iskeyword(name) or name in _used():
        return f"NAME: expected 2 to 30 lower-case letters, digits and _, no name that code here uses, got {name!r}"
    texts = {place: root / place for place in (LAYOUT, CASES)}
    missing = [place for place, path in texts.items() if not path.is_file()]
    if missing:
        return f"--root: expected a checkout of aat, got {root} without {missing[0]}; run this in the repository"
    layout, cases = (path.read_text(encoding="utf-8") for path in texts.values())
    lost = [row for row in ROWS if layout.count(row) != 1] or ([ABOVE.strip()] if cases.count(ABOVE) != 1 else [])
    if lost:
        return f"expected this line once in {LAYOUT} or {CASES}: {lost[0]}"
    # a stem is one everywhere; the rooms' own files and the public names are taken too
    places = [*(where.format(name) for where in FILES.values()), f"aat/{name}.py", f"aat/{name}", f"kernels/{name}"]
    there = [place for place in places if (root / place).exists()]
    if there or f'_of("{name}",' in cases or name in _public():
        return f"NAME: expected a new one, got {name!r}, which {there[0] if there else 'aat'} has already"
    return ""


def _public():
    import aat

    return aat.__all__


def _used():
    """The names that stand in the templates' code: a kernel of one of them would hide it."""
    names = set()
    for template in FILES:
        if template.endswith(".py.txt"):
            for node in ast.walk(ast.parse(filled(template, "a_name"))):
                names |= {getattr(node, part, None) for part in ("id", "arg", "asname")}
                names |= {alias.name for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)}
    return names - {"a_name"}


def written(name, root):
    """Write the files of a kernel and the lines about it; the paths, relative to `root`."""
    for template, where in FILES.items():
        (root / where.format(name)).write_text(filled(template, name), encoding="utf-8")
    cases, layout = root / CASES, root / LAYOUT
    text = cases.read_text(encoding="utf-8")
    cases.write_text(text.replace(ABOVE, filled("cases.py.txt", name) + ABOVE), encoding="utf-8")
    lines = []
    for line in layout.read_text(encoding="utf-8").splitlines():
        lines.append(line)
        lines += [row.format(name, name) for start, row in ROWS.items() if line.startswith(start)]
    layout.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [*(where.format(name) for where in FILES.values()), CASES, LAYOUT]


def filled(template, name):
    """A template with the kernel's name in it."""
    text = (importlib.resources.files("aat.commands") / "templates" / template).read_text(encoding="utf-8")
    title = "".join(part.capitalize() for part in name.split("_"))
    text = text.replace("    INDENT", " " * len(f"    def {name}("))
    return text.replace("CLASS", title).replace("NAME", name)
