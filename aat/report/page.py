"""What does a person see? One HTML file with everything in it: environment, tables, figures, no request."""

import os
import re
import tempfile
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from aat.report.page_tables import environment, tables
from aat.report.plots import figures

__all__ = ["html", "write"]

TITLE = "aat: speed and error"
LEAD = ("Exact attention on this machine. A time is shown only where the result was checked against float64 first, "
        "and always beside its error. Click a heading to sort.")


def html(records, problems=(), drawn=None):
    """The page of some records (at least one); problems are lines of their file that were skipped.

    drawn: the figures, if `aat.report.plots.figures` has made them already.
    """
    shown = tables(records)
    drawn = figures(records) if drawn is None else drawn
    times = [table for table in shown if table.name == "times"]
    rest = [table for table in shown if table.name != "times"]  # long: nobody would scroll past them to a figure
    links = [("environment", "Environment"), *((table.name, table.title) for table in times),
             *((f"figure-{figure.name}", figure.title) for figure in drawn if figure.svg),
             *((table.name, table.title) for table in rest)]
    template = Template(files("aat.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(TITLE), lead=escape(LEAD),
        links="\n".join(f'<a href="#{escape(name)}">{escape(text)}</a>' for name, text in links),
        problems="\n".join(f'<p class="problem">{escape(str(problem))}</p>' for problem in problems),
        environment="\n".join(f"<dt>{escape(what)}</dt><dd>{escape(str(value))}</dd>"
                              for what, value in environment(records)),
        times="\n".join(map(_table, times)), figures="\n".join(map(_figure, drawn)),
        tables="\n".join(map(_table, rest)))


def write(path, text):
    """Put the page in place of a file that was there, whole or not at all; OSError as the system gave it.

    A device or a pipe is written to, not replaced.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


def _table(table):
    head = "".join(f'<th scope="col"><button type="button"{f" title={chr(34)}{escape(text)}{chr(34)}" if text else ""}>'
                   f"{escape(name)}</button></th>" for name, text in table.columns)
    body = "\n".join(f"<tr>{''.join(cell.html() for cell in row)}</tr>" for row in table.rows)
    return (f'<h2 id="{table.name}">{escape(table.title)}</h2>\n<p class="text">{_prose(table.text)}</p>\n'
            f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{table.name}">'
            f'<table id="table-{table.name}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>')


def _figure(figure):
    title = f'<h2 id="figure-{escape(figure.name)}">{escape(figure.title)}</h2>'
    if not figure.svg:
        return f'{title}\n<p class="missing">{_prose(figure.text)}</p>'
    return f"{title}\n<figure>{figure.svg}\n<figcaption>{_prose(figure.text)}</figcaption></figure>"


def _prose(text):
    """Text as HTML, with what stands in backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
