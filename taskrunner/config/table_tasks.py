"""The settings that hold tasks in check: whose rights they have, what they may use, their logs."""

from __future__ import annotations

from taskrunner.config.kinds import Space, amount, seconds, space, switch, texts, uris, users, whole
from taskrunner.config.setting import Setting

ISOLATION: tuple[Setting, ...] = (
    Setting(
        name="run_as_user",
        help="User that commands run as, for all groups or for one. Repeat for several.",
        kind=users,
        fallback={},
        multiple=True,
        metavar="[GROUP=]USER",
    ),
    Setting(
        name="allow_root",
        help="Whether tasks may run as root: true or false.",
        kind=switch,
        fallback=False,
        metavar="BOOL",
    ),
    Setting(
        name="allow_types",
        help="Activity and precondition types to run; all that are installed unless set.",
        kind=texts,
        fallback=(),
        multiple=True,
        metavar="TYPE",
    ),
    Setting(
        name="allow_log_uris",
        help="Places under which a pipeline's logs may be pushed; anywhere unless set.",
        kind=uris,
        fallback=(),
        multiple=True,
        metavar="URI",
    ),
    Setting(
        name="block_imds",
        help="Whether tasks are kept from the instance's metadata and its role: true or false.",
        kind=switch,
        fallback=False,
        metavar="BOOL",
    ),
    Setting(
        name="task_memory",
        help="Memory that one task may use, all its processes together.",
        kind=amount,
        metavar="SIZE",
    ),
    Setting(
        name="task_cpus",
        help="Processors that one task may keep busy, such as 1.5.",
        kind=seconds(0.01, 100_000, unit="processors"),
        metavar="N",
    ),
    Setting(
        name="task_processes",
        help="Processes and threads that one task may have at once.",
        kind=whole(1, 4_194_304),
        metavar="N",
    ),
    Setting(
        name="task_file_size",
        help="Size that a file which a task writes may have.",
        kind=amount,
        metavar="SIZE",
    ),
    Setting(
        name="task_time",
        help="Seconds that an attempt may take, whatever its attemptTimeout.",
        kind=seconds(1),
        metavar="S",
    ),
)

LOGS: tuple[Setting, ...] = (
    Setting(
        name="agent_log",
        help="Whether the agent's own log is also kept in hourly files and pushed: true or false.",
        kind=switch,
        fallback=True,
        metavar="BOOL",
    ),
    Setting(
        name="log_interval",
        help="Seconds between two pushes of a running task's log; 0: only when it has ended.",
        kind=seconds(0),
        fallback=60.0,
        metavar="S",
    ),
    Setting(
        name="max_log_size",
        help="Size beyond which the middle of a task's log is left out.",
        kind=amount,
        fallback=1 << 30,
        metavar="SIZE",
    ),
    Setting(
        name="keep_logs_days",
        help="Days that logs which have been pushed stay on this host.",
        kind=seconds(0, 36_500, unit="days"),
        fallback=7.0,
        metavar="DAYS",
    ),
    Setting(
        name="keep_logs_size",
        help="Space for logs which have been pushed: SIZE, N% or 'SIZE or N%'.",
        kind=space,
        fallback=Space(size=10 << 30, percent=10.0),
        metavar="SIZE",
    ),
    Setting(
        name="keep_logs_count",
        help="How many attempts' logs which have been pushed stay on this host.",
        kind=whole(0, 10_000_000),
        fallback=10_000,
        metavar="N",
    ),
)
