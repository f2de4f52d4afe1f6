"""What installs a systemd unit of this program and takes it away again, as a list of steps.

The plans decide and touch nothing; `taskrunner.cli.install_service` shows them or carries them out.
"""

from __future__ import annotations

import json
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import taskrunner
from taskrunner.agent.isolation.metadata_block import TABLE, ruleset
from taskrunner.config.settings import BY_NAME
from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.host.units import UNIT_FOLDER
from taskrunner.logins import hide_passwords

CONFIG_FOLDER = Path("/etc/taskrunner")
STATE_FOLDER = Path("/var/lib/taskrunner")
SYSUSERS = Path("/etc/sysusers.d/taskrunner.conf")
TMPFILES = Path("/etc/tmpfiles.d/taskrunner.conf")
#: In the form of ~/.aws/credentials; where it is, the units are given it.
CREDENTIALS = CONFIG_FOLDER / "aws-credentials"
#: So that `taskrunner` is found by people, and by sudo.
COMMAND = Path("/usr/local/bin/taskrunner")
NEEDRESTART = Path("/etc/needrestart/conf.d/taskrunner.conf")

#: The settings that install-service takes as flags and writes into a new configuration file.
SETTABLE = ("worker_group", "endpoint", "region", "tasks", "log_uri", "allow_http")

#: The program as the unit files in systemd/ have it.
_PROGRAM = "/opt/taskrunner/bin/taskrunner"
#: RestartSteps= came with this version of systemd.
_BACKOFF_SINCE = 254
#: Not with a dot at its beginning: `..` would be the folder with the state of all agents.
_INSTANCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_TAKEN = {"taskrunner", "keys"}
_PLAIN = re.compile(r"[A-Za-z0-9@_./+,:=~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which unit: the agent's, one of several agents', or the service's."""

    instance: str | None = None
    serve: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for names that a unit cannot have."""
        if self.serve and self.instance is not None:
            raise UsageError("--serve and --instance: one or the other")
        if self.instance is not None and not _INSTANCE.fullmatch(self.instance):
            wanted = "letters, digits, '_', '.' and '-', 64 at most, no '.' or '-' first"
            raise UsageError(f"--instance: found {self.instance!r}, wanted {wanted}")
        if self.instance in _TAKEN:
            raise UsageError(f"--instance: {self.instance!r} names a settings file of another unit")

    @property
    def file(self) -> str:
        """The unit file's name, in systemd/ as on the host."""
        if self.serve:
            return "taskrunner-serve.service"
        return "taskrunner.service" if self.instance is None else "taskrunner@.service"

    @property
    def unit(self) -> str:
        """What systemctl calls it."""
        return self.file if self.instance is None else f"taskrunner@{self.instance}.service"

    @property
    def config(self) -> Path:
        """The file with the settings."""
        if self.serve:
            return CONFIG_FOLDER / "serve.env"
        return CONFIG_FOLDER / f"{self.instance or 'taskrunner'}.toml"

    @property
    def state(self) -> Path:
        """The folder that StateDirectory= of the unit makes."""
        if self.serve:
            return STATE_FOLDER.with_name("taskrunner-serve")
        return STATE_FOLDER if self.instance is None else STATE_FOLDER / "instances" / self.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the plans need to know about this host."""

    #: How systemd starts this program: one word, or an interpreter and its arguments.
    command: Sequence[str]
    systemd_version: int
    #: Those of systemd-sysusers, systemd-tmpfiles and useradd that are there.
    tools: frozenset[str]
    #: Users that exist already.
    users: frozenset[str] = frozenset()
    #: Whether CREDENTIALS is there.
    credentials: bool = False
    #: Whether needrestart is installed.
    needrestart: bool = False
    #: Units of ours that are installed, among them instances.
    units: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Write:
    """Make a file have this text."""

    path: Path
    text: str = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Create:
    """Make a file with this text, unless there is one: it belongs to the operator."""

    path: Path
    text: str = field(repr=False)
    mode: int
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Run a command; its failure ends the installation unless it `may_fail`."""

    argv: tuple[str, ...]
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a file, if it is there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Link:
    """Make a path lead to a file, unless something of another kind is there."""

    path: Path
    to: Path


@dataclass(frozen=True, slots=True)
class RemoveLink:
    """Remove a link, if it leads to that file."""

    path: Path
    to: Path


@dataclass(frozen=True, slots=True)
class RemoveState:
    """Remove a folder and what is in it, but for these names."""

    path: Path
    keep: tuple[str, ...] = ()


Step = Write | Create | Run | Link | RemoveFile | RemoveLink | RemoveState


def shipped(name: str) -> str:
    """A file that comes with the package: from the wheel, or from the checkout it runs from."""
    package = Path(taskrunner.__file__).resolve().parent
    for folder in (package / "files", package.parent):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise TaskrunnerError(f"this installation of taskrunner lacks its file {name}: reinstall it")


def install_plan(
    target: Target,
    host: Host,
    settings: Mapping[str, object],
    *,
    start: bool,
    kept_from_metadata: Sequence[str] = (),
) -> list[Step]:
    """The steps that install, enable and (with `start`) start a unit; safe to repeat.

    The users named are kept from the instance's metadata, by a rule that systemd sets as root.
    """
    steps: list[Step] = [
        *_users(host),
        *_folders(host),
        *_configuration(target, settings),
        Write(UNIT_FOLDER / target.file, unit_text(target, host.command)),
    ]
    if host.systemd_version >= _BACKOFF_SINCE:
        steps.append(Write(_backoff(target), shipped("systemd/backoff.conf")))
    if not target.serve:
        steps.append(_credentials(target, host))
        steps += _metadata(target, kept_from_metadata)
    if host.needrestart:
        steps.append(Write(NEEDRESTART, shipped("systemd/needrestart.conf")))
    steps += [Link(COMMAND, program) for program in _programs(host)]
    steps += [Run(("systemctl", "daemon-reload")), Run(("systemctl", "enable", target.unit))]
    if start:
        steps.append(Run(("systemctl", "start", target.unit)))
    return steps


def uninstall_plan(target: Target, host: Host, *, purge: bool) -> list[Step]:
    """The steps that drain, stop and remove a unit; settings and state go only with `purge`."""
    others = host.units - {target.unit}
    steps: list[Step] = [Run(("systemctl", "disable", "--now", target.unit), may_fail=True)]
    if target.instance is None or not any(name.startswith("taskrunner@") for name in others):
        drop_ins = (_backoff(target), _drop_in(target, _CREDENTIALS_NAME))
        steps += map(RemoveFile, (UNIT_FOLDER / target.file, *drop_ins))
    if not others:
        steps += map(RemoveFile, (NEEDRESTART, SYSUSERS, TMPFILES))
        steps += [RemoveLink(COMMAND, program) for program in _programs(host)]
    steps += [
        Run(("systemctl", "daemon-reload")),
        Run(("systemctl", "reset-failed", target.unit), may_fail=True),
    ]
    if not target.serve:
        steps += _metadata(target, ())
    if purge:
        steps.append(RemoveFile(target.config))
        if target.serve:
            steps.append(RemoveFile(CONFIG_FOLDER / "keys.toml"))
        # The state of other agents is not this one's to remove.
        keep = ("instances",) if target.state == STATE_FOLDER else ()
        steps.append(RemoveState(target.state, keep))
    return steps


def unit_text(target: Target, command: Sequence[str]) -> str:
    """The unit file, with the command of this installation in it."""
    odd = next((word for word in command if not _PLAIN.fullmatch(word)), None)
    if odd is not None:
        raise TaskrunnerError(
            f"{odd}: a unit file cannot hold this path safely; install taskrunner under a path of "
            "letters, digits and ._-, such as /opt/taskrunner"
        )
    return shipped(f"systemd/{target.file}").replace(_PROGRAM, " ".join(command))


def config_text(settings: Mapping[str, object]) -> str:
    """config.example.toml with these settings in force."""
    text = shipped("config.example.toml")
    for name, value in settings.items():
        line = f"{name} = {_toml(value)}"
        example = re.search(rf"(?m)^# {name} = .*$", text)
        before = text[: example.start()] if example else f"{text}\n"
        text = before + line + (text[example.end() :] if example else "\n")
    return text


def check_kept(path: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Raise UsageError if a configuration file, which is kept, says other than the flags do."""
    for name, value in wanted.items():
        if name not in found or not _means(name, found[name], value):
            shown = hide_passwords(_toml(found.get(name)))
            said = f"says {name} = {shown}" if name in found else f"has no {name}"
            raise UsageError(
                f"{path} exists and {said}, and {BY_NAME[name].flag} asks for {_toml(value)}: "
                "the file is yours and is not overwritten; change it there"
            )


def _means(name: str, raw: object, value: object) -> bool:
    try:
        return BY_NAME[name].kind(raw) == value
    except ValueError:
        return False


def _toml(value: object) -> str:
    # Dates, which TOML has too, are no value of any setting.
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)


def _users(host: Host) -> Iterator[Step]:
    text = shipped("systemd/sysusers.conf")
    if "systemd-sysusers" in host.tools:
        yield Write(SYSUSERS, text)
        yield Run(("systemd-sysusers", str(SYSUSERS)))
        return
    for name, home in re.findall(r'(?m)^u\s+(\S+)\s+-\s+".*?"\s+(\S+)', text):
        if name not in host.users:
            shell = ("--shell", "/usr/sbin/nologin")
            yield Run(("useradd", "--system", "--user-group", "--home-dir", home, *shell, name))


def _folders(host: Host) -> Iterator[Step]:
    text = shipped("systemd/tmpfiles.conf")
    if "systemd-tmpfiles" in host.tools:
        yield Write(TMPFILES, text)
        yield Run(("systemd-tmpfiles", "--create", str(TMPFILES)))
        return
    for path, mode, user, group in re.findall(r"(?m)^d\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", text):
        yield Run(("install", "--directory", "-m", mode, "-o", user, "-g", group, path))


def _configuration(target: Target, settings: Mapping[str, object]) -> Iterable[Step]:
    if not target.serve:
        # For `taskrunner status --config`: only the unit itself is told its StateDirectory=.
        own = {} if target.instance is None else {"work_dir": str(target.state)}
        return [Create(target.config, config_text({**settings, **own}), 0o640, "taskrunner")]
    return [
        Create(target.config, shipped("systemd/serve.env"), 0o600),
        Create(CONFIG_FOLDER / "keys.toml", _first_key(), 0o600),
    ]


def _first_key() -> str:
    return (
        "# The access keys that may call the service; see docs/protocol.md.\n"
        "[[keys]]\n"
        f'id = "AKIA{secrets.token_hex(8).upper()}"\n'
        f'secret = "{secrets.token_urlsafe(30)}"\n'
        'role = "admin"\n'
    )


def _backoff(target: Target) -> Path:
    return _drop_in(target, "10-taskrunner-backoff.conf")


_CREDENTIALS_NAME = "20-taskrunner-credentials.conf"
_CREDENTIALS_TEXT = f"""\
# Made by `taskrunner install-service`, since {CREDENTIALS} is there.
[Service]
LoadCredential=aws:{CREDENTIALS}
Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws
"""


def _credentials(target: Target, host: Host) -> Step:
    path = _drop_in(target, _CREDENTIALS_NAME)
    return Write(path, _CREDENTIALS_TEXT) if host.credentials else RemoveFile(path)


_METADATA_NAME = "30-taskrunner-metadata.conf"
_METADATA_TEXT = """\
# Made by `taskrunner install-service`, since block_imds and run_as_user are set.
[Service]
ExecStartPre=+/usr/sbin/nft -f {rules}
ExecStopPost=+-/usr/sbin/nft delete table inet {table}
"""


def _metadata(target: Target, users: Sequence[str]) -> Iterator[Step]:
    # Of the unit itself, not of its template: each instance has users of its own.
    path = UNIT_FOLDER / f"{target.unit}.d" / _METADATA_NAME
    rules = path.with_suffix(".nft")
    table = f"{TABLE}_of_{zlib.crc32(target.unit.encode()):08x}"
    if users:
        yield Write(rules, ruleset(table, [json.dumps(user) for user in users]))
        yield Write(path, _METADATA_TEXT.format(rules=rules, table=table))
    else:
        yield from map(RemoveFile, (path, rules))


def _drop_in(target: Target, name: str) -> Path:
    return UNIT_FOLDER / f"{target.file}.d" / name


def _programs(host: Host) -> list[Path]:
    """The script of this installation; an interpreter with -m is none to link to."""
    return [Path(host.command[0])] if len(host.command) == 1 else []
