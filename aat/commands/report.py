"""What did the measurements show? `aat report` writes one HTML page from the records."""

import argparse
import json
import sys

from aat.commands.keep import brief
from aat.report.record import DEFAULT_FILE, RecordError, read


def parser():
    """The arguments of `aat report`."""
    p = argparse.ArgumentParser(
        prog="aat report",
        description="Write one HTML page with tables and figures from the records of `aat bench` and "
                    "`aat validate`. It needs nothing beside itself: no network, no other file.",
        epilog="exit status: 0 the page is written, 2 there are no records or the page cannot be written")
    p.add_argument("--records", default=DEFAULT_FILE, metavar="FILE", help="records to read (default: %(default)s)")
    p.add_argument("--out", default="report.html", metavar="FILE", help="page to write (default: %(default)s)")
    p.add_argument("--json", action="store_true", help="print what was written as JSON")
    return p


def run(argv=None):
    """Write the page. Returns 0, or 2 where there is nothing to show or no place for it."""
    args = parser().parse_args(argv)
    try:
        records, problems = read(args.records)
        if not records:
            why = f" ({problems[0].removesuffix('; skipped')})" if problems else ""
            raise RecordError(f"records: expected at least one in {args.records!r}, got none{why}; "
                              "`aat bench` measures some")
    except RecordError as error:
        print(f"aat report: {error}", file=sys.stderr)
        return 2
    for problem in brief(problems):
        print(f"aat report: {problem}", file=sys.stderr)
    return _write(args, records, problems)


def _write(args, records, problems):
    from aat.report import page, plots

    drawn = plots.figures(records)
    try:
        page.write(args.out, page.html(records, brief(problems), drawn))
    except OSError as error:
        print(f"aat report: --out: expected a file that can be written, got {args.out!r}: {error.strerror}; "
              "the records are untouched", file=sys.stderr)
        return 2
    there = [figure.name for figure in drawn if figure.svg]
    missing = {figure.name: figure.text for figure in drawn if not figure.svg}
    if args.json:
        print(json.dumps({"out": args.out, "records": len(records), "skipped": problems, "figures": there,
                          "left_out": missing}, indent=2))
        return 0
    print(f"{args.out}: {len(records)} records, {len(there)} figures"
          + (f", {len(problems)} of the file's lines skipped" if problems else ""))
    for name, text in missing.items():
        print(f"  no figure {name!r}: {text}")
    return 0
