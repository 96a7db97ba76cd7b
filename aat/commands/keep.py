"""Where do records go while a command measures, and what if the file stops taking them? `Keeper`."""

import os
import stat
import sys

from aat.report.record import append, line, read

MOST_PROBLEMS = 3


class BadInput(ValueError):
    """What was asked for cannot be done; its text is the one line that is said."""


def brief(problems):
    """The first of a file's problems, and how many more there are: one broken file has thousands."""
    rest = len(problems) - MOST_PROBLEMS
    return problems[:MOST_PROBLEMS] + ([f"{rest} more lines of the file are no records; skipped"] if rest > 0 else [])


class Keeper:
    """Appends records to a file as they come; what the file does not take is printed as JSON lines instead.

    With path None nothing is written; without `spill` nothing is printed, for a command whose output has it anyway.
    Raises BadInput, before anything is measured, for a file that records cannot go to; lines of it that are no records
    are named on stderr and left alone.
    """

    def __init__(self, command, path, *, spill=True):
        self.command, self.path, self.spill, self.lost, self.kept = command, path, spill, "", 0
        if path is not None:
            self._try()

    def add(self, records):
        """Keep some records."""
        records = list(records)
        if self.path is None:
            return
        if not self.lost:
            try:
                append(self.path, records)
                self.kept += len(records)
                return
            except OSError as error:
                self.lost = f"{self.path}: {error.strerror or error}"
        for record in records if self.spill else ():  # stdout is what is left
            sys.stdout.write(line(record))
        sys.stdout.flush()

    def close(self):
        """Say what was lost to stdout; the exit status that follows from it, 0 or 2."""
        if self.lost:
            where = "were printed as JSON" if self.spill else "are in the output"
            sys.stderr.write(f"{self.command}: {self.lost}; the records that it did not take {where}\n")
        return 2 if self.lost else 0

    def _try(self):
        try:
            append(self.path, [])
            device = stat.S_ISCHR(os.stat(self.path).st_mode)
        except OSError as error:
            raise BadInput(f"--records: expected a file that can be written, got {self.path!r}: "
                           f"{error.strerror}") from None
        if device:  # /dev/null, say: nothing to be read there, and some never end
            return
        known, problems = read(self.path)
        if problems and not known:
            raise BadInput(f"--records: expected a file of records, got {self.path!r}, none of whose lines is one "
                           f"({problems[0].removesuffix('; skipped')}); choose another")
        for problem in brief(problems):
            sys.stderr.write(f"{self.command}: {problem}\n")
