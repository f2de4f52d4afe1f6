"""Every setting of the agent, said once: its name, type, default, explanation, form, old names.

The flags, the variables, the keys of the file, `--help`, `config.example.toml` and what a reload
takes over follow from it. How it is read and what wins is in `load`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taskrunner.config.kinds import (
    Address,
    Space,
    amount,
    listen,
    mapping,
    one_of,
    path,
    paths,
    seconds,
    space,
    switch,
    texts,
    uri,
    uris,
    url,
    users,
    weights,
    whole,
)
from taskrunner.config.setting import Setting, setting, settings_of


def _default_work_dir(environ: Mapping[str, str]) -> Path:
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given)  # StateDirectory= of the systemd unit
    if os.geteuid() == 0:
        return Path("/var/lib/taskrunner")
    state = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '')}/.local/state"
    return Path(state) / "taskrunner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each with its default, its explanation, the form of its value and how that is called."""

    worker_group: tuple[str, ...] = setting(
        (),
        "Worker group to take tasks of; exact and case-sensitive. Repeat for several.",
        texts,
        "NAME",
        aliases=("--workerGroup",),
        multiple=True,
        example=["wg-12345"],
    )
    group_weights: Mapping[str, int] = setting(
        {},
        "How often a group is polled beside the others, 1 unless given. Repeat for several.",
        weights,
        "GROUP=N",
        flag_name="group_weight",
        multiple=True,
        live=True,
        example={"wg-12345": 3},
    )
    endpoint: str | None = setting(
        None,
        "URL of the service; AWS's own in the region unless set.",
        url,
        "URL",
        also=("AWS_ENDPOINT_URL_DATA_PIPELINE", "AWS_ENDPOINT_URL"),
        example="https://datapipeline.us-east-1.amazonaws.com",
    )
    ca_bundle: Path | None = setting(
        None,
        "File of certificates to trust; the system's unless set.",
        path,
        "FILE",
        also=("AWS_CA_BUNDLE",),
        example="/etc/ssl/certs/ca-certificates.crt",
    )
    allow_http: bool = setting(
        False, "Whether the endpoint may be http on another host: true or false.", switch, "BOOL"
    )
    region: str | None = setting(
        None,
        "AWS region of the service, of S3 and of DynamoDB.",
        metavar="NAME",
        also=("AWS_REGION", "AWS_DEFAULT_REGION"),
        example="us-east-1",
    )
    tasks: int = setting(4, "How many tasks may run at once.", whole(1, 1000), "N")
    work_dir: Path = setting(
        _default_work_dir,
        "Folder for logs, scratch files and the journal; one agent each.",
        path,
        "DIR",
        aliases=("--output",),
        example="/var/lib/taskrunner",
        default_text="/var/lib/taskrunner for root, else ~/.local/state/taskrunner",
    )
    log_uri: str | None = setting(
        None,
        "Where the logs go of tasks whose pipeline has no pipelineLogUri.",
        uri,
        "URI",
        aliases=("--logUri",),
        example="s3://bucket/prefix",
    )
    taskrunner_id: str | None = setting(
        None,
        "Name of this agent in its heartbeats; a random one for each start unless set.",
        metavar="ID",
        aliases=("--taskrunnerId",),
        example="runner-1",
    )
    hostname: str | None = setting(
        None, "Host name to report; the system's unless set.", metavar="NAME", example="host-1"
    )
    s3_root: Path | None = setting(
        None, "Folder in place of S3: s3://b/k is DIR/b/k.", path, "DIR", example="/srv/s3"
    )
    s3_endpoint: str | None = setting(
        None,
        "URL of an S3 service other than AWS's.",
        url,
        "URL",
        also=("AWS_ENDPOINT_URL_S3",),
        example="http://127.0.0.1:9000",
    )
    s3_etags: str = setting(
        "md5", "What ETags of that one are: md5 sums, or opaque.", one_of("md5", "opaque"), "KIND"
    )
    databases: Mapping[str, str] = setting(
        {},
        "Use the database at URL in place of the object ID. Repeat for several.",
        mapping,
        "ID=URL",
        flag_name="database",
        multiple=True,
        secret=True,
        example={"MyDatabase": "postgresql://user@host/db"},
    )
    emr_engine: str = setting(
        "auto",
        "What runs the steps and scripts of EMR's activities: auto, command, emr or local.",
        one_of("auto", "command", "emr", "local"),
        "ENGINE",
    )
    emr_cluster: str | None = setting(
        None,
        "EMR cluster to add steps to; the one whose master node this host is unless set.",
        metavar="ID",
        example="j-2AXXXXXXGAPLF",
    )
    pass_env: tuple[str, ...] = setting(
        (),
        "Variable (pattern) of the agent's environment that commands see too. Repeatable.",
        texts,
        "NAME",
        multiple=True,
        example=["JAVA_HOME", "SPARK_*"],
    )
    drain_timeout: float = setting(
        300.0, "Seconds that running tasks get to finish after SIGTERM.", seconds(0), "S", live=True
    )
    kill_grace: float = setting(
        10.0, "Seconds between TERM and KILL of a task that must end.", seconds(0), "S"
    )
    progress_interval: float = setting(
        60.0, "Seconds between two progress reports of a task.", seconds(0.1), "S", live=True
    )
    lease_timeout: float = setting(
        300.0,
        "Seconds without a report after which the service gives a task to another agent.",
        seconds(1),
        "S",
    )
    heartbeat_interval: float = setting(
        900.0, "Seconds between two heartbeats of the agent.", seconds(1), "S"
    )
    min_free_disk: Space = setting(
        Space(size=512 << 20, percent=2.0),
        "Free space below which no task is taken: SIZE, N% or 'SIZE or N%' (the lesser).",
        space,
        "SIZE",
        live=True,
    )
    health_listen: Address | None = setting(
        None,
        "Serve /livez, /readyz and /metrics by HTTP here; a port alone is on loopback.",
        listen,
        "[HOST:]PORT",
        example="127.0.0.1:9252",
    )
    ec2: str = setting(
        "auto",
        "Whether this host is an EC2 instance, with metadata and notices: auto, on or off.",
        one_of("auto", "on", "off"),
        "MODE",
    )
    notice_margin: float = setting(
        30.0,
        "Seconds before the announced end of an instance by which tasks are handed back.",
        seconds(0),
        "S",
    )
    scale_in_notice: float = setting(
        120.0,
        "Seconds an instance is taken to have left when auto-scaling takes it out.",
        seconds(0),
        "S",
    )
    on_rebalance: str = setting(
        "hold",
        "What a rebalance recommendation does: hold (take no new tasks) or ignore.",
        one_of("hold", "ignore"),
        "WORD",
    )
    #: By worker group; the one for all other groups has the empty name.
    run_as_user: Mapping[str, str] = setting(
        {},
        "User that commands run as, for all groups or for one. Repeat for several.",
        users,
        "[GROUP=]USER",
        multiple=True,
        example="dptask",
    )
    allow_root: bool = setting(
        False, "Whether tasks may run as root: true or false.", switch, "BOOL"
    )
    allow_types: tuple[str, ...] = setting(
        (),
        "Activity and precondition types to run; all that are installed unless set.",
        texts,
        "TYPE",
        multiple=True,
        example=["CopyActivity", "SqlActivity"],
    )
    allow_log_uris: tuple[str, ...] = setting(
        (),
        "Places under which a pipeline's logs may be pushed; anywhere unless set.",
        uris,
        "URI",
        multiple=True,
        example=["s3://bucket/logs"],
    )
    local_paths: tuple[Path, ...] = setting(
        (),
        "Folders (or files) in which definitions may name local files, without run_as_user.",
        paths,
        "PATH",
        multiple=True,
        example=["/srv/data"],
    )
    block_imds: bool = setting(
        False,
        "Whether tasks are kept from the instance's metadata and its role: true or false.",
        switch,
        "BOOL",
    )
    task_memory: int | None = setting(
        None,
        "Memory that one task may use, all its processes together.",
        amount,
        "SIZE",
        example="4GB",
    )
    task_cpus: float | None = setting(
        None,
        "Processors that one task may keep busy, such as 1.5.",
        seconds(0.01, 100_000, unit="processors"),
        "N",
        example=1.5,
    )
    task_processes: int | None = setting(
        None,
        "Processes and threads that one task may have at once.",
        whole(1, 4_194_304),
        "N",
        example=512,
    )
    task_file_size: int | None = setting(
        None, "Size that a file which a task writes may have.", amount, "SIZE", example="20GB"
    )
    task_time: float | None = setting(
        None,
        "Seconds that an attempt may take, whatever its attemptTimeout.",
        seconds(1),
        "S",
        example=86400,
    )
    agent_log: bool = setting(
        True,
        "Whether the agent's own log is also kept in hourly files and pushed: true or false.",
        switch,
        "BOOL",
    )
    log_interval: float = setting(
        60.0,
        "Seconds between two pushes of a running task's log; 0: only when it has ended.",
        seconds(0),
        "S",
        live=True,
    )
    max_log_size: int = setting(
        1 << 30, "Size beyond which the middle of a task's log is left out.", amount, "SIZE"
    )
    keep_logs_days: float = setting(
        7.0,
        "Days that logs which have been pushed stay on this host.",
        seconds(0, 36_500, unit="days"),
        "DAYS",
        live=True,
    )
    keep_logs_size: Space = setting(
        Space(size=10 << 30, percent=10.0),
        "Space for logs which have been pushed: SIZE, N% or 'SIZE or N%'.",
        space,
        "SIZE",
        live=True,
    )
    keep_logs_count: int = setting(
        10_000,
        "How many attempts' logs which have been pushed stay on this host.",
        whole(0, 10_000_000),
        "N",
        live=True,
    )
    access_id: str | None = setting(
        None,
        "AWS access key id; boto3's usual places are searched unless set.",
        metavar="ID",
        aliases=("--accessId",),
        example="AKIDEXAMPLE",
    )
    secret_key: str | None = setting(
        None,
        "AWS secret key. On the command line every user of the host can read it.",
        metavar="KEY",
        aliases=("--secretKey",),
        secret=True,
    )
    service_access_id: str | None = setting(
        None,
        "Access key id for the service, where it is not the one for AWS.",
        metavar="ID",
        example="m-0123456789abcdefghijkl",
    )
    service_secret_key: str | None = setting(
        None, "Secret of that key. On the command line every user can read it.", secret=True
    )
    proxy_host: str | None = setting(
        None,
        "Host of the HTTP proxy to the service and S3.",
        metavar="HOST",
        aliases=("--proxyHost",),
        example="proxy.example.com",
    )
    proxy_port: int | None = setting(
        None, "Port of the proxy.", whole(1, 65535), "PORT", aliases=("--proxyPort",), example=8080
    )
    proxy_username: str | None = setting(
        None,
        "User name for the proxy.",
        metavar="NAME",
        aliases=("--proxyUsername",),
        example="user",
    )
    proxy_password: str | None = setting(
        None,
        "Password for the proxy. On the command line every user of the host can read it.",
        aliases=("--proxyPassword",),
        secret=True,
    )
    log_level: str = setting(
        "info",
        "Least level of the agent's own log: debug, info, warning or error.",
        one_of("debug", "info", "warning", "error"),
        "LEVEL",
        live=True,
    )
    log_format: str = setting(
        "auto",
        "Form of the agent's own log: auto (text for terminal and journal), text or json.",
        one_of("auto", "text", "json"),
        "FORM",
        live=True,
    )


SETTINGS: tuple[Setting, ...] = settings_of(Settings)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
