"""`make bench`: every figure with its goal, beside peers in the same run; or those named only."""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.harness import Figure
from taskrunner import __version__

#: Name -> the module that has `measure`, and what it measures.
MEASUREMENTS = {
    "p1": ("bench.p1_start", "start"),
    "p2": ("bench.p2_idle", "an idle agent"),
    "p3": ("bench.p3_latency", "from ready to running"),
    "p4": ("bench.p4_throughput", "tasks a second"),
    "p5": ("bench.p5_shipping", "shipping of logs"),
    "p6": ("bench.p6_calls", "calls and tasks of the service"),
    "p7": ("bench.p7_long_polls", "a thousand idle long polls"),
    "p8": ("bench.p8_big_store", "a store with a million instances (P8, P11, P12)"),
    "p9": ("bench.p9_plan", "a thousand pipelines that fall due at once"),
    "p10": ("bench.p10_console", "pages of the console"),
    "c1": ("bench.c1_postgresql_file", "PostgreSQL to a file"),
    "c2": ("bench.c2_mariadb_file", "MariaDB to a file"),
    "c3": ("bench.c3_postgresql_s3", "PostgreSQL to S3, compressed"),
    "c4": ("bench.c4_mariadb_s3", "MariaDB to S3, compressed"),
    "c5": ("bench.c5_s3_postgresql", "S3 to PostgreSQL"),
    "c6": ("bench.c6_s3_mariadb", "S3 to MariaDB"),
    "c7": ("bench.c7_large_objects", "large objects"),
    "c8": ("bench.c8_small_objects", "small objects"),
    "c9": ("bench.c9_sling", "other programs that copy tables"),
}
RESULTS = Path(__file__).with_name("RESULTS.md")
HEADER = """# Measured

Written by `make bench`; `make bench ARGS=p4` measures one of them and leaves this file alone. How
each is measured stands at the top of its module in `bench/`; the versions of the programs that ours
is measured beside, in `bench/requirements-bench.lock`. Times drift on a machine with other work;
ratios and CPU times much less.
"""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
        return 2
    print(machine(), flush=True)
    sections = [(name, list(run(name))) for name in names or MEASUREMENTS]
    if not names:
        RESULTS.write_text(report(sections))
        print(f"written to {RESULTS}")
    missed = [f for _, figures in sections for f in figures if f.met is False]
    return 1 if missed else 0


def run(name: str) -> Iterator[Figure]:
    """The figures of one measurement; one that breaks is told and does not end the others."""
    module, what = MEASUREMENTS[name]
    begin = time.monotonic()
    print(f"\n{name}: {what}", flush=True)
    try:
        for figure in importlib.import_module(module).measure():
            print(f"  {figure}", flush=True)
            yield figure
    except Exception as error:
        figure = Figure(
            id=name.upper(),
            what=what,
            measured=f"broke: {type(error).__name__}: {error}",
            met=False,
        )
        print(f"  {figure}", flush=True)
        yield figure
    load = os.getloadavg()[0]
    print(f"  ({time.monotonic() - begin:.0f} s; load of the machine {load:.1f})", flush=True)


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total / (1 << 30)
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, taskrunner {__version__}"
    )


def report(sections: list[tuple[str, list[Figure]]]) -> str:
    lines = [HEADER, when()]
    for name, figures in sections:
        lines += ["", f"## {name.upper()}: {MEASUREMENTS[name][1]}", ""]
        lines += ["| what | measured | goal | |", "|---|---|---|---|"]
        lines += [row(figure) for figure in figures]
    return "\n".join(lines) + "\n"


def when() -> str:
    load = os.getloadavg()[0]
    return f"{datetime.now(UTC):%d %B %Y, %H:%M UTC}; {machine()}; load at the end {load:.1f}."


def row(figure: Figure) -> str:
    verdict = {None: "", True: "met", False: "**not met**"}[figure.met]
    cells = (figure.what, figure.measured, figure.goal, verdict)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
