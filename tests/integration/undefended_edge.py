"""`taskrunner` with the edge of the HTTP library alone: tests of the edge must fail with it.

python -m tests.integration.undefended_edge serve ...
"""

from __future__ import annotations

import sys

import uvicorn
from uvicorn.config import LOOP_FACTORIES

from taskrunner.cli import main
from taskrunner.service import server

# With asyncio's accepting, of which service/acceptor.py tells; uvloop's logs nothing.
LOOP_FACTORIES["auto"] = LOOP_FACTORIES["asyncio"]
server._Server.startup = uvicorn.Server.startup  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
