"""Which alarms go where: rules in their order, of which the first that matches counts."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from taskrunner.config.secret_files import read_secret
from taskrunner.errors import ConfigError
from taskrunner.model.states import AlarmStatus
from taskrunner.service.actions.publisher import PartlyTaken
from taskrunner.service.actions.targets import MailServer, Target
from taskrunner.service.store.rows import AlarmRow

_RULE_KEYS, _MAIL_KEYS = {"topic", "to"}, {"server", "from", "user", "password_file", "security"}
#: One after the other is told; none may hold up the alarms of others for long.
MOST_TARGETS = 5
_SECURITY = ("starttls", "tls", "none")

#: A target by its text, as `mailto:ops@example.com`. Raises ConfigError.
MakeTarget = Callable[[str, MailServer | None], Target]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRule:
    """Whom alarms of some topics go to."""

    topic: str
    targets: tuple[Target, ...]

    def matches(self, alarm: AlarmRow) -> bool:
        """Whether an alarm's topic is one of them."""
        return fnmatchcase(alarm.topic, self.topic)


@dataclass(frozen=True, slots=True)
class Router:
    """Publishes an alarm to each target of the first rule that matches; else it is logged."""

    rules: tuple[AlarmRule, ...]
    otherwise: Target

    def publish(self, alarm: AlarmRow) -> AlarmStatus:
        """Tell those that have not been told yet. Raises PartlyTaken when one does not take it."""
        rule = next((rule for rule in self.rules if rule.matches(alarm)), None)
        targets = (self.otherwise,) if rule is None else rule.targets
        taken, failed, became = list(alarm.taken_by), [], AlarmStatus.LOGGED
        for target in targets:
            if target.name in alarm.taken_by:
                became = AlarmStatus.SENT
                continue
            try:
                if target.take(alarm) is AlarmStatus.SENT:
                    became = AlarmStatus.SENT
            except Exception as error:
                failed.append(f"{target.name}: {type(error).__name__}: {error}")
            else:
                taken.append(target.name)
        if failed:
            raise PartlyTaken("; ".join(failed), taken)
        return became


def read_rules(path: Path, make: MakeTarget) -> tuple[AlarmRule, ...]:
    """The rules of a TOML file. Raises ConfigError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--alarms {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"--alarms {path}: {error}") from None
    _check_keys(path, "the file", found, {"alarms", "mail"})
    mail = _mail(path, found["mail"]) if "mail" in found else None
    rules = found.get("alarms")
    if not isinstance(rules, list) or not rules:
        raise ConfigError(f"--alarms {path}: wanted at least one [[alarms]] with 'to'")
    return tuple(_rule(path, number, raw, mail, make) for number, raw in enumerate(rules, 1))


def _rule(
    path: Path, number: int, raw: Any, mail: MailServer | None, make: MakeTarget
) -> AlarmRule:
    where = f"rule {number}"
    _check_keys(path, where, raw, _RULE_KEYS)
    topic, to = raw.get("topic", "*"), raw.get("to")
    if not isinstance(topic, str):
        raise ConfigError(f"--alarms {path}, {where}: wanted text for 'topic'")
    texts = [to] if isinstance(to, str) else to
    if not isinstance(texts, list) or not texts or not all(isinstance(x, str) for x in texts):
        raise ConfigError(f"--alarms {path}, {where}: wanted a list of texts for 'to'")
    if len(texts) > MOST_TARGETS:
        raise ConfigError(f"--alarms {path}, {where}: at most {MOST_TARGETS} targets for a topic")
    try:
        targets = tuple(make(text, mail) for text in texts)
    except ConfigError as error:
        raise ConfigError(f"--alarms {path}, {where}: {error}") from None
    return AlarmRule(topic=topic, targets=targets)


def _mail(path: Path, raw: Any) -> MailServer:
    _check_keys(path, "[mail]", raw, _MAIL_KEYS)
    server, security = str(raw.get("server", "")), raw.get("security", "starttls")
    host, colon, port = server.rpartition(":")
    if not colon:
        host, port = server, "465" if security == "tls" else "587"
    if not host or not port.isdecimal():
        raise ConfigError(f"--alarms {path}, [mail]: wanted 'server' as HOST or HOST:PORT")
    if security not in _SECURITY:
        raise ConfigError(
            f"--alarms {path}, [mail]: 'security' {security!r} is not one of {', '.join(_SECURITY)}"
        )
    if "from" not in raw:
        raise ConfigError(f"--alarms {path}, [mail]: wanted 'from', the address that mails are of")
    password = raw.get("password_file")
    return MailServer(
        host=host,
        port=int(port),
        security=security,
        sender=str(raw["from"]),
        user=raw.get("user"),
        password=None
        if password is None
        else str(read_secret(Path(password), place=f"{path}, password_file")),
    )


def _check_keys(path: Path, where: str, raw: Any, known: set[str]) -> None:
    if not isinstance(raw, Mapping):
        raise ConfigError(f"--alarms {path}, {where}: wanted a table")
    if unknown := sorted(raw.keys() - known):
        raise ConfigError(
            f"--alarms {path}, {where}: {unknown[0]!r} is not one of {', '.join(sorted(known))}"
        )
