"""The first steps of every process that the fork server makes."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

from taskrunner.host.cgroups import Group
from taskrunner.host.process import (
    become_subreaper,
    die_with_parent,
    give_up_inherited_capabilities,
)


def isolate(parent: int, *, keep: int | None = None, group: Group | None = None) -> None:
    """Own group, own session, dies with its parent, adopts its orphans, private files, no fds."""
    if group is not None:
        group.enter()
    os.setsid()
    die_with_parent()
    become_subreaper()
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the kernel was asked to tell us
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    give_up_inherited_capabilities()
    _go_before_the_agent()
    _close_descriptors(keep)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # Ctrl-C at the terminal is for the agent, which then tells each attempt.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _go_before_the_agent() -> None:
    """Let the out-of-memory killer prefer this process to the agent, which its unit protects."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("200")


def _close_descriptors(keep: int | None) -> None:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  names, not paths
        descriptor = int(name)
        if descriptor > 2 and descriptor != keep:
            with suppress(OSError):  # the one that listed the folder is gone by now
                os.close(descriptor)
