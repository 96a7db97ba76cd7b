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
    p.add_argument("--capture", metavar="FILE",
                   help="instead, write q, k and v of each layer on one text to FILE (NumPy's npz, float16)")
    p.add_argument("--layers", type=_numbers, metavar="1,3", help="with --capture: these layers (default: all)")
    p.add_argument("--heads", type=_numbers, metavar="0,6", help="with --capture: these heads (default: all)")
    return p


def _numbers(text):
    return [int(part) for part in text.split(",")]


def run(argv=None):
    """Runs the demo. Returns 0 when every check passed, 1 when one failed, 2 when it cannot run here."""
    args = parser().parse_args(argv)
    try:
        if args.capture:
            return _capture(args)
        need("rich")
        return _run(args)
    except MissingExtraError as e:
        print(e, file=sys.stderr)
        return 2


def _capture(args):
    from aat.demo.capture import capture

    try:
        about = capture(args.capture, args.layers, args.heads)
    except (OSError, ValueError) as e:
        print(f"aat demo: --capture: {e}", file=sys.stderr)
        return 2
    print(f"{args.capture}: q, k, v of layers {about['layers']}, heads {about['heads']}, {about['tokens']} tokens of "
          f"the {about['text']}")
    return 0


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
