"""The page of terminal output: what ran, what it answered, what was checked, how long it took."""

import textwrap
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

WIDTH = 100


@contextmanager
def progress():
    """Yields bar(description, total) -> advance(n): one line of progress a step, on stderr."""
    columns = (TextColumn("{task.description:<38}"), BarColumn(bar_width=30), MofNCompleteColumn(),
               TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as lines:
        def bar(description, total):
            task = lines.add_task(description, total=total)
            return lambda n: lines.advance(task, n)
        yield bar


def show(figures, console=None):
    """Prints the page for the figures of `aat.demo.steps.demo`, no wider than WIDTH columns."""
    console = console or Console()
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    f = figures
    console.print()
    console.print(Text("all-MiniLM-L6-v2 on aat.attention", style="bold"))
    console.print(_facts(f))
    for answer in f["answers"]:
        console.print()
        console.print(Text(answer["question"], style="bold"))
        console.print(_answers(answer["best"]))
    console.print()
    c, t = f["checked"], f["timing"]
    console.print(Text(f"Attention of every layer against the float64 reference, on {c['texts']} texts of "
                       f"{c['shortest']} to {c['longest']} tokens", style="bold"))
    console.print(_checks(f["layers"]))
    for reason in (reason for layer in f["layers"] for reason in layer["reasons"]):
        console.print(Text(reason, style="red"))
    console.print(_embeddings_line(f))
    console.print()
    console.print(Text(
        f"Time of {t['texts']} texts, interleaved with the same model on plain NumPy attention", "bold"))
    console.print(_times(t))
    console.print()
    if f["ok"]:
        console.print(Text("Every layer is within its error budget.", style="bold green"))
    else:
        console.print(Text("A check FAILED: see above.", style="bold red"))


def _facts(f):
    table = Table.grid(padding=(0, 2))
    table.add_row("backend", Text(
        f"{f['backend']}, {f['device']}; first call {f['first_call_seconds']:.1f} s"))
    table.add_row("texts", Text(
        f"{f['texts']} docstrings of Python {f['python']}'s standard library, {f['tokens']:,} tokens"))
    table.add_row("embedded", Text(f"in {f['batches']} ragged batches, {f['seconds']:.1f} s"))
    return table


def _answers(best):
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(style="cyan")
    table.add_column()
    room = WIDTH - 10 - max(len(row["module"]) for row in best)
    for row in best:
        says = textwrap.shorten(row["says"], room, placeholder=" ...")
        table.add_row(f"{row['score']:.2f}", Text(row["module"]), Text(says))
    return table


def _checks(layers):
    table = _table("layer", "largest error", "share of its budget", "")
    for row in layers:
        table.add_row(str(row["layer"]), f"{row['error']:.1e}", f"{row['share']:.0%}", _verdict(row["ok"]))
    return table


def _embeddings_line(f):
    ok = f["embeddings_differ"] <= f["embeddings_allowed"]
    return Text.assemble(
        f"Embeddings differ from those on plain NumPy attention by at most {f['embeddings_differ']:.1e} "
        f"(allowed {f['embeddings_allowed']:.0e}): ", _verdict(ok))


def _times(t):
    table = _table("", "aat", "plain NumPy", "NumPy / aat", "lowest to highest", "rounds")
    for name, key in (("whole model", "model"), ("attention alone", "attention")):
        c = t[key]
        table.add_row(name, _seconds(c["ours"]), _seconds(c["plain"]), f"{c['ratio']:.2f} x",
                      f"{c['lowest']:.2f} to {c['highest']:.2f}", str(c["rounds"]))
    return table


def _table(*columns):
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _seconds(s):
    return f"{s:.2f} s" if s >= 1 else f"{s * 1e3:.0f} ms"


def _verdict(ok):
    return Text("ok", style="green") if ok else Text("FAILED", style="bold red")
