"""The credentials file: which keys there are, whose they are and what each may do."""

from __future__ import annotations

import json
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskrunner.errors import ConfigError
from taskrunner.service.callers import ANONYMOUS
from taskrunner.wire.operations import OPERATIONS

#: What only runners have to call.
RUNNERS_WORK = frozenset(
    {"PollForTask", "ReportTaskProgress", "ReportTaskRunnerHeartbeat", "SetTaskStatus"}
)
_RUNNER_READS = {"DescribeObjects", "EvaluateExpression", "QueryObjects"}
_VIEWER = {
    "DescribeObjects",
    "DescribePipelines",
    "EvaluateExpression",
    "GetPipelineDefinition",
    "ListPipelines",
    "QueryObjects",
    "ValidatePipelineDefinition",
}
_OPERATOR = _VIEWER | {"ActivatePipeline", "DeactivatePipeline", "SetStatus"}
_AUTHOR = _OPERATOR | {
    "AddTags",
    "CreatePipeline",
    "DeletePipeline",
    "PutPipelineDefinition",
    "RemoveTags",
}

#: What a key of each role may call. A definition runs commands on the hosts of its worker group:
#: an author is as powerful as those hosts' agents.
ROLES: Mapping[str, frozenset[str]] = {
    "runner": RUNNERS_WORK | _RUNNER_READS,
    "viewer": frozenset(_VIEWER),
    "operator": frozenset(_OPERATOR),
    "author": frozenset(_AUTHOR),
    "admin": frozenset(OPERATIONS),
}

#: The ids that a key may have.
KEY_ID = re.compile(r"[A-Za-z0-9_+=.@-]{3,128}")
_SHORTEST_SECRET = 16
_MEMBERS = {"id", "secret", "user", "account", "role", "actions", "worker_groups"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key."""

    id: str
    secret: str = field(repr=False)
    user: str
    account: str
    actions: frozenset[str]
    #: The worker groups that it may poll for, and whose objects it may look at; None: any.
    worker_groups: frozenset[str] | None = None


def read_keys(path: Path) -> dict[str, Key]:
    """The keys of a TOML or JSON file, by id.

    `[[keys]]` tables of id, secret, role or actions, and optionally user, account, worker_groups.
    Raises ConfigError for a file that cannot be read, is open to other users, or is wrong.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"credentials file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"credentials file {path}: not UTF-8 text") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError(
            f"credentials file {path} can be read or written by every user of this host: "
            f"chmod 600 {path}"
        )
    keys = [_key(path, number, raw) for number, raw in enumerate(_entries(path, text), 1)]
    if len({key.id for key in keys}) < len(keys):
        raise ConfigError(f"credentials file {path}: an id stands there twice")
    return {key.id: key for key in keys}


def _entries(path: Path, text: str) -> list[Any]:
    try:
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"credentials file {path}: {error}") from None
    keys = raw.get("keys") if isinstance(raw, dict) else None
    if not isinstance(keys, list) or not keys:
        raise ConfigError(f"credentials file {path}: wanted a list 'keys' with at least one key")
    return keys


def _key(path: Path, number: int, raw: Any) -> Key:
    where = f"credentials file {path}, key {number}"
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: wanted a table")
    unknown = sorted(raw.keys() - _MEMBERS)
    if unknown:
        raise ConfigError(f"{where}: {unknown[0]!r} is not one of {', '.join(sorted(_MEMBERS))}")
    key_id, secret = raw.get("id"), raw.get("secret")
    if not isinstance(key_id, str) or not KEY_ID.fullmatch(key_id):
        raise ConfigError(f"{where}: wanted an 'id' of 3 to 128 letters, digits and _+=.@-")
    if not isinstance(secret, str) or len(secret) < _SHORTEST_SECRET:
        raise ConfigError(f"{where} ({key_id}): wanted a 'secret' of {_SHORTEST_SECRET} or more")
    where = f"{where} ({key_id})"
    groups = raw.get("worker_groups")
    return Key(
        id=key_id,
        secret=secret,
        user=_text(where, raw, "user", key_id),
        account=_text(where, raw, "account", ANONYMOUS.account),
        actions=_actions(where, raw),
        worker_groups=None if groups is None else frozenset(_texts(where, "worker_groups", groups)),
    )


def _actions(where: str, raw: Mapping[str, Any]) -> frozenset[str]:
    role, actions = raw.get("role"), raw.get("actions")
    if (role is None) == (actions is None):
        raise ConfigError(f"{where}: wanted one of 'role' and 'actions'")
    if role is not None:
        if role not in ROLES:
            raise ConfigError(f"{where}: role {role!r} is not one of {', '.join(ROLES)}")
        return ROLES[role]
    names = frozenset(_texts(where, "actions", actions))
    if (unknown := unknown_action(names)) is not None:
        raise ConfigError(f"{where}: there is no action {unknown!r}")
    return names


def unknown_action(names: Iterable[str]) -> str | None:
    """One that is no operation, if there is any."""
    return min(set(names) - OPERATIONS.keys(), default=None)


def _text(where: str, raw: Mapping[str, Any], name: str, default: str) -> str:
    value = raw.get(name, default)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: wanted text for {name!r}")
    return value


def _texts(where: str, name: str, value: Any) -> Iterable[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{where}: wanted a list of texts for {name!r}")
    return value
