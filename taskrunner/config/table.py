"""Every setting of the agent in one table: name, form, default, explanation, older names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from taskrunner.config.kinds import (
    Space,
    listen,
    mapping,
    one_of,
    path,
    seconds,
    space,
    switch,
    texts,
    uri,
    url,
    weights,
    whole,
)
from taskrunner.config.setting import Setting
from taskrunner.config.table_tasks import ISOLATION, LOGS


def _default_work_dir(environ: Mapping[str, str]) -> Path:
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given)  # StateDirectory= of the systemd unit
    if os.geteuid() == 0:
        return Path("/var/lib/taskrunner")
    state = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '')}/.local/state"
    return Path(state) / "taskrunner"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="worker_group",
        help="Worker group to take tasks of; exact and case-sensitive. Repeat for several.",
        kind=texts,
        fallback=(),
        aliases=("--workerGroup",),
        multiple=True,
        metavar="NAME",
    ),
    Setting(
        name="group_weights",
        help="How often a group is polled beside the others, 1 unless given. Repeat for several.",
        kind=weights,
        fallback={},
        flag_name="group_weight",
        multiple=True,
        metavar="GROUP=N",
    ),
    Setting(
        name="endpoint",
        help="URL of the service; AWS's own in the region unless set.",
        kind=url,
        also=("AWS_ENDPOINT_URL_DATA_PIPELINE", "AWS_ENDPOINT_URL"),
        metavar="URL",
    ),
    Setting(
        name="ca_bundle",
        help="File of certificates to trust; the system's unless set.",
        kind=path,
        also=("AWS_CA_BUNDLE",),
        metavar="FILE",
    ),
    Setting(
        name="allow_http",
        help="Whether the endpoint may be http on another host: true or false.",
        kind=switch,
        fallback=False,
        metavar="BOOL",
    ),
    Setting(
        name="region",
        help="AWS region of the service and of S3.",
        also=("AWS_REGION", "AWS_DEFAULT_REGION"),
        metavar="NAME",
    ),
    Setting(
        name="tasks",
        help="How many tasks may run at once.",
        kind=whole(1, 1000),
        fallback=4,
        metavar="N",
    ),
    Setting(
        name="work_dir",
        help="Folder for logs, scratch files and the journal; one agent each.",
        kind=path,
        aliases=("--output",),
        metavar="DIR",
        compute=_default_work_dir,
    ),
    Setting(
        name="log_uri",
        help="Where the logs go of tasks whose pipeline has no pipelineLogUri.",
        kind=uri,
        aliases=("--logUri",),
        metavar="URI",
    ),
    Setting(
        name="taskrunner_id",
        help="Name of this agent in its heartbeats; a random one for each start unless set.",
        aliases=("--taskrunnerId",),
        metavar="ID",
    ),
    Setting(name="hostname", help="Host name to report; the system's unless set.", metavar="NAME"),
    Setting(
        name="s3_root",
        help="Folder that stands for S3: s3://b/k is the file DIR/b/k.",
        kind=path,
        metavar="DIR",
    ),
    Setting(
        name="s3_endpoint",
        help="URL of an S3 service other than AWS's.",
        kind=url,
        also=("AWS_ENDPOINT_URL_S3",),
        metavar="URL",
    ),
    Setting(
        name="databases",
        help="Use the database at URL in place of the object ID. Repeat for several.",
        kind=mapping,
        fallback={},
        flag_name="database",
        multiple=True,
        secret=True,
        metavar="ID=URL",
    ),
    Setting(
        name="pass_env",
        help="Variable (pattern) of the agent's environment that commands see too. Repeatable.",
        kind=texts,
        fallback=(),
        multiple=True,
        metavar="NAME",
    ),
    Setting(
        name="drain_timeout",
        help="Seconds that running tasks get to finish after SIGTERM.",
        kind=seconds(0),
        fallback=300.0,
        metavar="S",
    ),
    Setting(
        name="kill_grace",
        help="Seconds between TERM and KILL of a task that must end.",
        kind=seconds(0),
        fallback=10.0,
        metavar="S",
    ),
    Setting(
        name="progress_interval",
        help="Seconds between two progress reports of a task.",
        kind=seconds(0.1),
        fallback=60.0,
        metavar="S",
    ),
    Setting(
        name="lease_timeout",
        help="Seconds without a report after which the service gives a task to another agent.",
        kind=seconds(1),
        fallback=300.0,
        metavar="S",
    ),
    Setting(
        name="heartbeat_interval",
        help="Seconds between two heartbeats of the agent.",
        kind=seconds(1),
        fallback=900.0,
        metavar="S",
    ),
    Setting(
        name="min_free_disk",
        help="Free space below which no task is taken: SIZE, N% or 'SIZE or N%' (the lesser).",
        kind=space,
        fallback=Space(size=512 << 20, percent=2.0),
        metavar="SIZE",
    ),
    Setting(
        name="health_listen",
        help="Serve /livez, /readyz and /metrics by HTTP here; a port alone is on loopback.",
        kind=listen,
        metavar="[HOST:]PORT",
    ),
    Setting(
        name="ec2",
        help="Whether this host is an EC2 instance, with metadata and notices: auto, on or off.",
        kind=one_of("auto", "on", "off"),
        fallback="auto",
        metavar="MODE",
    ),
    Setting(
        name="notice_margin",
        help="Seconds before the announced end of an instance by which tasks are handed back.",
        kind=seconds(0),
        fallback=30.0,
        metavar="S",
    ),
    Setting(
        name="scale_in_notice",
        help="Seconds an instance is taken to have left when auto-scaling takes it out.",
        kind=seconds(0),
        fallback=120.0,
        metavar="S",
    ),
    Setting(
        name="on_rebalance",
        help="What a rebalance recommendation does: hold (take no new tasks) or ignore.",
        kind=one_of("hold", "ignore"),
        fallback="hold",
        metavar="WORD",
    ),
    *ISOLATION,
    *LOGS,
    Setting(
        name="access_id",
        help="AWS access key id; boto3's usual places are searched unless set.",
        aliases=("--accessId",),
        metavar="ID",
    ),
    Setting(
        name="secret_key",
        help="AWS secret key. On the command line every user of the host can read it.",
        aliases=("--secretKey",),
        secret=True,
        metavar="KEY",
    ),
    Setting(
        name="proxy_host",
        help="Host of the HTTP proxy to the service and S3.",
        aliases=("--proxyHost",),
        metavar="HOST",
    ),
    Setting(
        name="proxy_port",
        help="Port of the proxy.",
        kind=whole(1, 65535),
        aliases=("--proxyPort",),
        metavar="PORT",
    ),
    Setting(
        name="proxy_username",
        help="User name for the proxy.",
        aliases=("--proxyUsername",),
        metavar="NAME",
    ),
    Setting(
        name="proxy_password",
        help="Password for the proxy. On the command line every user of the host can read it.",
        aliases=("--proxyPassword",),
        secret=True,
        metavar="TEXT",
    ),
    Setting(
        name="log_level",
        help="Least level of the agent's own log: debug, info, warning or error.",
        kind=one_of("debug", "info", "warning", "error"),
        fallback="info",
        metavar="LEVEL",
    ),
    Setting(
        name="log_format",
        help="Form of the agent's own log: auto (text for terminal and journal), text or json.",
        kind=one_of("auto", "text", "json"),
        fallback="auto",
        metavar="FORM",
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
