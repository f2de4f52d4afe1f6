"""The client's side of a peer, whose module is named: each line of input is a command to queue.

Says `ready` once jobs can be queued, then answers each line with the moment just before its own.
"""

from __future__ import annotations

import importlib
import sys
import time


def main(module: str) -> int:
    with importlib.import_module(module).queueing() as queue:
        print("ready", flush=True)
        for line in sys.stdin:
            before = time.time()
            queue(line.rstrip("\n"))
            print(repr(before), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
