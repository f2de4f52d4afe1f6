"""Programs with one defence taken away: a test that still passes against one shows nothing.

    python -m tests.chaos.mutants NAME taskrunner-arguments...

This is the one place where our own code is patched: what is shown is that a test can fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

#: Name of the defence that is off -> what takes it away. Each says which invariant must then break.
MUTANTS: Mapping[str, Callable[[], None]] = {}


def main(argv: list[str]) -> int:
    """Take one defence away and become `taskrunner`."""
    name, *arguments = argv
    MUTANTS[name]()
    from taskrunner.cli import main as taskrunner

    sys.argv = ["taskrunner", *arguments]
    return taskrunner()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
