"""A `taskrunner` that tidies up as often as it does everything else in the soak: a hundred times.

python -m tests.chaos.tidy taskrunner-arguments...
"""

from __future__ import annotations

import sys

from taskrunner.agent.logs import janitor
from tests.chaos.mutants import become_taskrunner

if __name__ == "__main__":
    vars(janitor).update(_EVERY_S=janitor._EVERY_S / 100)
    sys.exit(become_taskrunner(sys.argv[1:]))
