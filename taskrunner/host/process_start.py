"""Identifies a process beyond its id: by the boot, and the moment at which it started.

Process ids are used again, soon by a busy host and at once after a reboot. The wall clock tells
nothing: it is set while processes run, and hosts without one wake up at the same time each day.
"""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")
#: Fields of `stat` behind the program's name, in parentheses; see proc(5).
_STARTED_AT = 19


def process_start_id(pid: int, proc: Path = _PROC) -> str | None:
    """An id that no other process of this host ever has; None when there is no such process."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        _, _, fields = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")
        return f"{boot}/{int(fields.split()[_STARTED_AT])}"
    except (OSError, IndexError, ValueError):
        return None
