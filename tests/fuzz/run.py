"""Fuzz one target with atheris: `python -m tests.fuzz.run expression -max_total_time=600`.

What follows the target's name goes to libFuzzer. An input that breaks the target's promise is
written to a file in the working directory, and the exit code is not 0.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

atheris = importlib.import_module("atheris")

with atheris.instrument_imports(include=["taskrunner"]):
    from tests.fuzz.targets import SEEDS, TARGETS


def main() -> None:
    """Run the target named first on the command line."""
    name = sys.argv[1]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            (Path(corpus) / f"seed{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
