"""`python -m taskrunner` is the command `taskrunner`."""

import sys

from taskrunner.cli import main

sys.exit(main())
