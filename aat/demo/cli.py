"""The command `aat demo`: its arguments, its page or JSON, and its exit status."""

import argparse
import json
import sys

from aat.demo.model import MissingExtraError, need

QUESTIONS = (
    "How do I parse command line options?",
    "How can I compress a file?",
    "How do I run several tasks at the same time?",
)
BACKENDS = ("auto", "cpu", "vulkan", "cuda", "reference")


def parser():
    """The arguments of `aat demo`."""
    p = argparse.ArgumentParser(
        prog="aat demo",
        description="Embed the docstrings of Python's standard library with all-MiniLM-L6-v2 on "
                    "aat.attention, answer questions with the best modules, check every layer, and compare "
                    "the time with plain NumPy.")
    p.add_argument("questions", nargs="*", metavar="QUESTION", help=f"default: {' '.join(QUESTIONS)}")
    p.add_argument("--backend", default="auto", choices=BACKENDS,
                   help="where aat.attention runs (default: auto)")
    p.add_argument("--quick", action="store_true", help="48 tokens a text and one round of timing")
    p.add_argument("--json", action="store_true", help="print the figures as JSON instead of the page")
    return p


def run(argv=None):
    """Runs the demo. Returns 0 when every check passed, 1 when one failed, 2 when it cannot run here."""
    args = parser().parse_args(argv)
    try:
        need("rich")
        return _run(args)
    except MissingExtraError as e:
        print(e, file=sys.stderr)
        return 2


def _run(args):
    from aat.demo.page import progress, show
    from aat.demo.steps import demo
    from aat.errors import BackendError

    try:
        with progress() as bar:
            figures = demo(args.questions or list(QUESTIONS), args.backend, args.quick, bar)
    except BackendError as e:
        print(f"aat demo: {e}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)
    return 0 if figures["ok"] else 1
