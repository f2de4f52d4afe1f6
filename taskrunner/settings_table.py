"""Every setting of the agent in one table: name, form, default, explanation, older names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

__all__ = ["BY_NAME", "SETTINGS", "Setting"]

Parser = Callable[[object], object]


def text(raw: object) -> str:
    """A text that is not empty."""
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("a text")
    return raw


def path(raw: object) -> Path:
    """A path; ~ is the home folder."""
    return Path(text(raw)).expanduser().absolute()


def texts(raw: object) -> tuple[str, ...]:
    """Several texts: repeated flags, a list in the file, or commas in a variable."""
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, Sequence) or not all(isinstance(i, str) and i.strip() for i in items):
        raise ValueError("one or more names")
    return tuple(dict.fromkeys(item.strip() for item in items))


def _is_number(raw: object, *kinds: type) -> TypeGuard[str | int | float]:
    return isinstance(raw, (str, *kinds)) and not isinstance(raw, bool)


def whole(lowest: int, highest: int) -> Parser:
    """A whole number within bounds."""

    def parse(raw: object) -> int:
        wanted = f"a whole number from {lowest} to {highest}"
        try:
            number = int(raw) if _is_number(raw, int) else lowest - 1
        except ValueError:
            raise ValueError(wanted) from None
        if not lowest <= number <= highest:
            raise ValueError(wanted)
        return number

    return parse


def seconds(lowest: float) -> Parser:
    """A number of seconds."""

    def parse(raw: object) -> float:
        wanted = f"a number of seconds, {lowest:g} or more"
        try:
            number = float(raw) if _is_number(raw, int, float) else -1.0
        except ValueError:
            raise ValueError(wanted) from None
        if not lowest <= number < float("inf"):
            raise ValueError(wanted)
        return number

    return parse


def url(raw: object) -> str:
    """The URL of an HTTP service; https:// is added to a bare host name."""
    value = text(raw).strip()
    value = value if "://" in value else f"https://{value}"
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or " " in value:
        raise ValueError("a URL such as https://datapipeline.us-east-1.amazonaws.com")
    return value.rstrip("/")


def uri(raw: object) -> str:
    """Where objects live: s3://bucket/prefix, or a folder."""
    value = text(raw)
    if not (value.startswith(("s3://", "file:///", "/")) and len(value) > len("s3://")):
        raise ValueError("s3://bucket/prefix or an absolute folder")
    return value


def mapping(raw: object) -> dict[str, str]:
    """ID=URL flags, a JSON object in a variable, a table in the file."""
    wanted = "ID=URL (repeated), or a JSON object of them"
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise ValueError(wanted) from None
    if isinstance(raw, Sequence):
        pairs = [str(item).partition("=") for item in raw]
        if not all(key and sign and value for key, sign, value in pairs):
            raise ValueError(wanted)
        raw = {key: value for key, _, value in pairs}
    if not isinstance(raw, Mapping) or not all(isinstance(v, str) for v in raw.values()):
        raise ValueError(wanted)
    return dict(raw)


def switch(raw: object) -> bool:
    """A yes or no."""
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    found = words.get(str(raw).lower())
    if found is None:
        raise ValueError("true or false")
    return found


def one_of(*choices: str) -> Parser:
    """One of a few words."""

    def parse(raw: object) -> str:
        value = str(raw).lower()
        if value not in choices:
            raise ValueError(" or ".join(choices))
        return value

    return parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `fallback` is the default as written in config.example.toml."""

    name: str
    help: str
    kind: Parser = text
    fallback: object = None
    #: Flags of AWS's Task Runner that mean the same.
    aliases: tuple[str, ...] = ()
    #: Variables of others that are honoured after our own.
    also: tuple[str, ...] = ()
    flag_name: str | None = None
    multiple: bool = False
    secret: bool = False
    metavar: str = "TEXT"
    compute: Callable[[Mapping[str, str]], object] | None = None

    @property
    def flag(self) -> str:
        """The flag, e.g. --worker-group."""
        return "--" + (self.flag_name or self.name).replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables, ours first."""
        return (f"TASKRUNNER_{self.name.upper()}", *self.also)

    def default(self, environ: Mapping[str, str]) -> object:
        """The value when nothing is given."""
        return self.compute(environ) if self.compute else self.fallback


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
        help="Form of the agent's own log on stderr: auto (text on a terminal), text or json.",
        kind=one_of("auto", "text", "json"),
        fallback="auto",
        metavar="FORM",
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
