"""How a launch is described to a kernel whose programs take tasks: the head of its i32 array."""
from enum import IntEnum


class Head(IntEnum):
    """Places in the i32 array that describes a launch; a kernel's own facts follow from FACTS on.

    64-bit addresses stand at even places, low word first, and are read on the CPU alone.
    """

    TASK = 0           # next task (CPU)
    TASKS = 1
    PROGRAMS = 2
    FINISHED = 3       # where a program's flag stands: program p sets the one at this place + PROGRAM * p (CPU)
    META_ADDRESS = 4
    FACTS = 8


PROGRAM = 16           # between two programs' flags: a cache line
