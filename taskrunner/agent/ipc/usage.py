"""What an attempt has used of its host: its processor time, memory and disks."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from taskrunner.host.cgroups import Used

_MB = 1 << 20
#: In which the kernel counts what processes read and write.
_BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The figures of one attempt, all of its processes together unless it says otherwise."""

    cpu_s: float = 0.0
    #: The largest resident memory of any one process.
    peak_rss_mb: float = 0.0
    #: The most memory that all of them had at once; None where nobody counts it.
    peak_memory_mb: float | None = None
    #: From and to disks.
    read_mb: float = 0.0
    written_mb: float = 0.0

    @classmethod
    def of(cls, *counted: resource.struct_rusage, used: Used | None) -> Usage:
        """As a control group counted, which forgets no process, else as their parents did."""
        cpu_s = sum(part.ru_utime + part.ru_stime for part in counted)
        read = sum(part.ru_inblock for part in counted) * _BLOCK
        written = sum(part.ru_oublock for part in counted) * _BLOCK
        return cls(
            cpu_s=cpu_s if used is None or used.cpu_s is None else used.cpu_s,
            peak_rss_mb=max(part.ru_maxrss for part in counted) / 1024,
            peak_memory_mb=None if used is None or used.memory is None else used.memory / _MB,
            read_mb=(read if used is None or used.read is None else used.read) / _MB,
            written_mb=(written if used is None or used.written is None else used.written) / _MB,
        )

    def __str__(self) -> str:
        if self.peak_memory_mb is None:
            memory = f"peak memory of the largest process {self.peak_rss_mb:.0f} MB"
        else:
            memory = f"peak memory {self.peak_memory_mb:.0f} MB"
        disks = f"read {self.read_mb:.0f} MB, written {self.written_mb:.0f} MB"
        return f"{memory}, CPU time {self.cpu_s:.2f} s, {disks}"
