"""What does `aat <command>` run? A module with `run(argv) -> exit status`, imported when it is needed.

A new command is one line of COMMANDS.
"""

import argparse
import importlib
import sys

from aat import env
from aat.backends import select

COMMANDS = {
    "info": (
        "aat.backends.info",
        "what can run here: backends with reasons, devices, caches, versions, variables",
    ),
    "validate": ("aat.commands.validate", "your device's acceptance test: every case and law on every backend"),
    "bench": ("aat.commands.bench", "time the cases, beside peers if asked, each only after its check"),
    "compare": ("aat.commands.compare", "is a commit slower than another, or does it do more? Both run in turns"),
    "tune": ("aat.commands.tune", "find the fastest tiles for this machine, check them, and remember them"),
    "profile": ("aat.commands.profile", "where the time of one call goes, and which roof its kernel is under"),
    "report": ("aat.commands.report", "one HTML page with tables and figures from what was measured"),
    "new-kernel": ("aat.commands.new_kernel", "begin a kernel: every file that one has, green at once"),
    "demo": ("aat.demo.cli", "semantic search over Python's own documentation, with every layer checked"),
}


def parser():
    """The arguments before the command's own."""
    table = "\n".join(f"  {name:12}{summary}" for name, (_, summary) in COMMANDS.items())
    top = argparse.ArgumentParser(
        prog="aat",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Exact attention on CPU SIMD and GPU compute.",
        epilog=f"commands:\n{table}\n\n`aat <command> --help` has the arguments of each.",
    )
    top.add_argument("command", choices=COMMANDS, metavar="command", help="one of the commands below")
    top.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return top


def main(argv=None):
    """Run one command and return its exit status; 2 for arguments that mean nothing, 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        parser().print_help()
        return 2
    given = parser().parse_args(argv)
    try:
        select.set_log_level()
        env.tune()  # read by the first call only, which may be hours away
    except ValueError as error:
        if given.command != "info":  # which shows every variable, the bad ones too
            sys.stderr.write(f"aat {given.command}: {error}\n")
            return 2
    command = importlib.import_module(COMMANDS[given.command][0])
    try:
        return command.run(given.arguments)
    except KeyboardInterrupt:
        sys.stderr.write(f"\naat {given.command}: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        sys.stderr.close()  # or the interpreter reports the same error once more while it exits
        return 0
