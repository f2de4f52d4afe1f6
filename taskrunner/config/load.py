"""The agent's settings: flags > environment > file > default, each value with its origin.

Everything is read once, here; what is wrong is told at once, each in a line of its own that says
where it stands, what was found and what was wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskrunner.config.file import read_entries
from taskrunner.config.kinds import path as to_path
from taskrunner.config.secret_files import credential, exposed, read_secret
from taskrunner.config.setting import Setting
from taskrunner.config.settings import BY_NAME, SETTINGS, Settings
from taskrunner.errors import ConfigError
from taskrunner.logins import hide_passwords

#: Read when no other file is named.
DEFAULT_FILE = Path("/etc/taskrunner/taskrunner.toml")

_FILE_NAMES = frozenset(setting.file_name for setting in SETTINGS if setting.file_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings and where each came from: `--tasks`, `TASKRUNNER_TASKS`, `file:line`, `default`."""

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found, right or wrong: every valid value by name, and a sentence for each fault."""

    values: Mapping[str, object]
    origins: Mapping[str, str]
    errors: tuple[str, ...]
    #: What works, and is a risk.
    warnings: tuple[str, ...] = ()
    #: Whether the file could not be read: what may stand in it is not missing.
    unread: bool = False
    #: Settings for which an unknown key of the file may be meant: their values are in doubt.
    misspelt: frozenset[str] = frozenset()

    @property
    def settings(self) -> Settings:
        """All of them; one that is wrong is None, so look first whether `values` has it."""
        found = {setting.name: self.values.get(setting.name) for setting in SETTINGS}
        return Settings(**found)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Given:
    origin: str
    raw: object
    #: How an error names it.
    place: str
    #: The file that the value stands in by itself; `raw` is its path as it was given.
    file: Path | None = None
    #: The file that has the value among others.
    held_in: Path | None = None
    #: Whether a group that may read the file is a stranger's. Settings may well be for a group, as
    #: the installation makes them, and the access list on a credential looks like one.
    group_counts: bool = False


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], *, file: str | None = None
) -> Loaded:
    """Put the settings together; raises ConfigError. A flag is given when it is not None or ()."""
    found = examine(flags, environ, file=file)
    errors = [*found.errors, *missing(found)]
    if errors:
        raise ConfigError("\n".join(errors))
    return Loaded(settings=found.settings, origins=found.origins, warnings=found.warnings)


def examine(
    flags: Mapping[str, object], environ: Mapping[str, str], *, file: str | None = None
) -> Examined:
    """Read everything and go on past what is wrong, so that all of it can be told at once."""
    errors: list[str] = []
    misspelt: set[str] = set()
    unread = False
    try:
        from_file = _read_file(file or environ.get("TASKRUNNER_CONFIG"), errors, misspelt)
    except ConfigError as error:
        errors.append(str(error))
        from_file, unread = {}, True
    values: dict[str, object] = {}
    givens: dict[str, _Given] = {}
    for setting in SETTINGS:
        try:
            given = _find(setting, flags, environ, from_file)
            if given is not None:
                givens[setting.name] = given
            values[setting.name] = _parse(setting, given, environ)
        except ConfigError as error:
            errors.append(str(error))
    origins = {s.name: givens[s.name].origin if s.name in givens else "default" for s in SETTINGS}
    return Examined(
        values=values,
        origins=origins,
        errors=tuple(errors),
        warnings=tuple(_warnings(givens)),
        unread=unread,
        misspelt=frozenset(misspelt),
    )


def _warnings(givens: Mapping[str, _Given]) -> Iterator[str]:
    """What lets others read secrets."""
    for name, given in givens.items():
        if not BY_NAME[name].secret:
            continue
        if given.origin.startswith("--"):
            yield f"{given.origin}: a secret on the command line is visible to all in `ps`"
        path = given.file or given.held_in
        who = exposed(path, group=given.group_counts) if path is not None else None
        if who is not None:
            yield f"{path}: {name} is in it, and {who} can read it; chmod 600 {path}"


def missing(found: Examined) -> list[str]:
    """What an agent cannot do without, and what makes sense only together."""
    values = found.values
    errors: list[str] = []
    if found.unread:
        return errors
    if values.get("worker_group") == ():
        errors.append(
            "no worker group is named: give --worker-group NAME, set TASKRUNNER_WORKER_GROUP, "
            "or put worker_group into the configuration file"
        )
    return [*errors, *half_a_key(values), *_weights_of_nobody(found)]


def half_a_key(values: Mapping[str, object]) -> Iterator[str]:
    """What to say of an access key without its secret, or of a secret without its key."""
    if (values.get("access_id") is None) != (values.get("secret_key") is None):
        yield "an access key has two parts: set both access_id and secret_key"
    # The other way round the secret may be a credential that only the unit is given.
    if values.get("service_access_id") is None and values.get("service_secret_key") is not None:
        yield "service_secret_key is set, and whose it is is not: set service_access_id"


def _weights_of_nobody(found: Examined) -> list[str]:
    groups, weights = found.values.get("worker_group"), found.values.get("group_weights")
    if not (isinstance(groups, tuple) and isinstance(weights, dict)):
        return []
    origin, polled = found.origins["group_weights"], ", ".join(groups) or "none"
    return [
        f"{origin}: found a weight for {group!r}, wanted one of the worker groups: {polled}"
        for group in sorted(weights.keys() - set(groups))
    ]


def _find(
    setting: Setting,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    from_file: Mapping[str, _Given],
) -> _Given | None:
    """The setting where it counts most, by value or by a file; raises ConfigError for both."""
    by_file = setting.file_name or ""
    levels = (
        (_from_flags(setting.flag, flags.get(setting.name)),
         _from_flags(setting.file_flag, flags.get(by_file))),
        (_from_variables(setting.variables, environ),
         _from_variables((setting.file_variable,) if by_file else (), environ)),
        (None, _from_credentials(setting, environ)),
        (from_file.get(setting.name), from_file.get(by_file)),
    )  # fmt: skip
    for value, file in levels:
        if value is not None and file is not None:
            raise ConfigError(f"{value.place} and {file.place}: one or the other")
        if value is not None:
            return value
        if file is not None:
            return file if file.file is not None else _named_file(file)
    return None


def _from_flags(flag: str, value: object) -> _Given | None:
    return None if value is None or value == () else _Given(flag, value, flag)


def _from_variables(variables: Sequence[str], environ: Mapping[str, str]) -> _Given | None:
    name = next((name for name in variables if environ.get(name)), None)
    return None if name is None else _Given(name, environ[name], name)


def _from_credentials(setting: Setting, environ: Mapping[str, str]) -> _Given | None:
    path = credential(setting.name, environ) if setting.secret else None
    return None if path is None else _Given(f"{path} (credential)", path, str(path), file=path)


def _named_file(given: _Given) -> _Given:
    try:
        path = to_path(given.raw)
    except ValueError:
        raise ConfigError(
            f"{given.place}: found {given.raw!r}, wanted the path of a file"
        ) from None
    assert isinstance(path, Path)  # noqa: S101
    return _Given(f"{path} ({given.origin})", given.raw, given.place, file=path, group_counts=True)


def _parse(setting: Setting, given: _Given | None, environ: Mapping[str, str]) -> object:
    if given is None:
        return setting.default(environ)
    raw = given.raw
    if given.file is not None:
        raw = read_secret(given.file, place=given.place, lines=setting.multiple)
    try:
        return setting.kind(raw)
    except ValueError as error:
        found = "a value" if setting.secret else hide_passwords(repr(raw))
        place = given.place if given.file is None else f"{given.place}: {given.file}"
        raise ConfigError(f"{place}: found {found}, wanted {error}") from None


def _read_file(name: str | None, errors: list[str], misspelt: set[str]) -> dict[str, _Given]:
    path = Path(name) if name else DEFAULT_FILE
    try:
        entries = read_entries(path)
    except FileNotFoundError:
        if name is None:
            return {}
        raise ConfigError(f"{path}: there is no such configuration file") from None
    found = {}
    for key, entry in entries.items():
        origin = f"{path}:{entry.line}" if entry.line else str(path)
        if key in BY_NAME or key in _FILE_NAMES:
            found[key] = _Given(origin, entry.value, f"{origin}: {key}", held_in=path)
        else:
            near = _nearest(key)
            misspelt.update(near)
            known = "known are " + ", ".join(sorted(BY_NAME))
            hint = f"did you mean {near[0]!r}?" if near else known
            errors.append(f"{origin}: unknown setting {key!r}; {hint}")
    return found


def _nearest(key: str) -> list[str]:
    """The setting that an unknown key is likely meant for, if there is one."""
    import difflib

    return difflib.get_close_matches(key.lower().replace("-", "_"), BY_NAME, n=1)
