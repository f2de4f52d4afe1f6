"""The agent's settings: flags > environment > file > default, each value with its origin.

One table describes every setting; the flags, the variables, the file's keys, `--help` and
`config.example.toml` follow from it. Everything is read once, here; a wrong value is one
ConfigError that says where it stands, what was found and what was wanted.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from taskrunner.data.settings import DataSettings
from taskrunner.errors import ConfigError
from taskrunner.settings_table import BY_NAME, SETTINGS, Setting

__all__ = ["Loaded", "Settings", "load"]

#: Read when no other file is named.
DEFAULT_FILE = Path("/etc/taskrunner/taskrunner.toml")

#: Names in AWS Task Runner's credentials.json that differ from ours by more than the dash.
_CREDENTIALS_KEYS = {"private_key": "secret_key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, valid; `SETTINGS` has what each means."""

    worker_group: tuple[str, ...]
    endpoint: str | None
    ca_bundle: Path | None
    allow_http: bool
    region: str | None
    tasks: int
    work_dir: Path
    log_uri: str | None
    taskrunner_id: str | None
    hostname: str | None
    s3_root: Path | None
    s3_endpoint: str | None
    databases: Mapping[str, str] = field(repr=False)
    pass_env: tuple[str, ...]
    drain_timeout: float
    kill_grace: float
    progress_interval: float
    lease_timeout: float
    heartbeat_interval: float
    access_id: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    proxy_host: str | None
    proxy_port: int | None
    proxy_username: str | None
    proxy_password: str | None = field(repr=False)
    log_level: str
    log_format: str

    @property
    def data(self) -> DataSettings:
        """The part that the data plane sees."""
        return DataSettings(
            s3_root=self.s3_root,
            s3_endpoint=self.s3_endpoint,
            region=self.region,
            databases=self.databases,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings and where each came from: `--tasks`, `TASKRUNNER_TASKS`, a file, `default`."""

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    origin: str
    raw: object


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], *, file: str | None = None
) -> Loaded:
    """Put the settings together; raises ConfigError. A flag is given when it is not None or ()."""
    from_file = _read_file(file or environ.get("TASKRUNNER_CONFIG"))
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        given = _find(setting, flags, environ, from_file)
        origins[setting.name] = given.origin if given else "default"
        values[setting.name] = _parse(setting, given, environ)
    _require_group(values)
    known = {item.name for item in fields(Settings)}
    return Loaded(
        settings=Settings(**{key: values[key] for key in known}),  # type: ignore[arg-type]
        origins=origins,
    )


def _find(
    setting: Setting,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    from_file: Mapping[str, _Given],
) -> _Given | None:
    flag = flags.get(setting.name)
    if flag is not None and flag != ():
        return _Given(setting.flag, flag)
    for variable in setting.variables:
        if environ.get(variable):
            return _Given(variable, environ[variable])
    return from_file.get(setting.name)


def _parse(setting: Setting, given: _Given | None, environ: Mapping[str, str]) -> object:
    if given is None:
        return setting.default(environ)
    try:
        return setting.kind(given.raw)
    except ValueError as error:
        found = "a value" if setting.secret else repr(given.raw)
        raise ConfigError(f"{given.origin}: found {found}, wanted {error}") from None


def _require_group(values: Mapping[str, object]) -> None:
    if not values["worker_group"]:
        message = (
            "no worker group is named: give --worker-group NAME, set TASKRUNNER_WORKER_GROUP, "
            "or put worker_group into the configuration file"
        )
        raise ConfigError(message)


def _read_file(name: str | None) -> dict[str, _Given]:
    path = Path(name) if name else DEFAULT_FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        if name is None:
            return {}
        raise ConfigError(f"{path}: there is no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: the configuration file cannot be read: {reason}") from None
    content = _json(path, text) if text.lstrip().startswith("{") else _toml(path, text)
    unknown = sorted(set(content) - set(BY_NAME))
    if unknown:
        wanted = ", ".join(sorted(BY_NAME))
        raise ConfigError(f"{path}: unknown setting {unknown[0]!r}; known are {wanted}")
    return {key: _Given(f"{path}: {key}", value) for key, value in content.items()}


def _toml(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _json(path: Path, text: str) -> dict[str, object]:
    """AWS Task Runner's credentials.json: access-id, private-key, endpoint, region, ..."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from None
    plain = {key.replace("-", "_"): value for key, value in content.items()}
    return {_CREDENTIALS_KEYS.get(key, key): value for key, value in plain.items()}


def secrets_on_command_line(origins: Mapping[str, str]) -> Sequence[str]:
    """The flags that carried a secret, which everyone on the host can read in `ps`."""
    return [
        origins[setting.name]
        for setting in SETTINGS
        if setting.secret and origins[setting.name].startswith("--")
    ]
