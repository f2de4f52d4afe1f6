"""Where resources run: the operator's rules, in order, of which the first that matches counts.

Pure: whoever calls reads the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Self

from taskrunner.errors import ConfigError
from taskrunner.service.resources.targets import RESOURCE_TYPES, Target, Where

_CONDITIONS = ("type", "id", "pipeline", "tag")
_KEYS = (*_CONDITIONS, "run", "agents", "role")
_HEADER = re.compile(r"""^\s*\[\[\s*["']?resources["']?\s*\]\]""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a rule may ask of a resource."""

    type: str
    id: str
    #: The pipeline's name.
    pipeline: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Conditions, all of which are to be met, and where what meets them runs.

    In `id`, `pipeline` and the values of tags `*` stands for any text, `?` for any character.
    """

    target: Target
    #: Where it stands: `FILE:LINE`, or the option.
    origin: str
    type: str | None = None
    id: str | None = None
    pipeline: str | None = None
    #: `KEY` or `KEY=VALUE`.
    tag: str | None = None

    @property
    def matches_all(self) -> bool:
        """Whether it has no condition."""
        return not self.conditions

    @property
    def conditions(self) -> Mapping[str, str]:
        """The conditions that it has."""
        given = ((name, getattr(self, name)) for name in _CONDITIONS)
        return {name: text for name, text in given if text is not None}

    def matches(self, resource: Resource) -> bool:
        """Whether the resource meets every condition."""
        return (
            (self.type is None or self.type == resource.type)
            and _like(self.id, resource.id)
            and _like(self.pipeline, resource.pipeline)
            and self._has_tag(resource.tags)
        )

    def _has_tag(self, tags: Mapping[str, str]) -> bool:
        if self.tag is None:
            return True
        key, equals, value = self.tag.partition("=")
        return key in tags and (not equals or fnmatchcase(tags[key], value))

    def __str__(self) -> str:
        """As it is told in messages: where it stands and what it says."""
        return f"{self.origin} ({self.target})"


def _like(pattern: str | None, text: str) -> bool:
    return pattern is None or fnmatchcase(text, pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules in their order, and what they are called as a whole."""

    rules: tuple[Rule, ...] = ()
    #: The file or option that they come from; empty when nothing was given.
    source: str = ""

    @classmethod
    def everywhere(cls, text: str, source: str) -> Self:
        """One target for every resource. Raises ValueError."""
        return cls(rules=(_sends(Target.parse(text), source),), source=source)

    def first(self, resource: Resource) -> Rule | None:
        """The first rule that matches."""
        return next((rule for rule in self.rules if rule.matches(resource)), None)

    @property
    def match_all(self) -> bool:
        """Whether every resource meets some rule."""
        return any(rule.matches_all for rule in self.rules)

    def sends_to(self, where: Where) -> bool:
        """Whether any rule has such a target."""
        return any(rule.target.where is where for rule in self.rules)

    @property
    def want_agents_here(self) -> bool:
        """Whether any rule has agents started on the service's host."""
        return any(rule.target.wants_agent_here for rule in self.rules)

    def otherwise(self, text: str, origin: str) -> Self:
        """These, and a last rule for what none of them matches."""
        last = _sends(Target.parse(text), origin)
        return type(self)(rules=(*self.rules, last), source=self.source or origin)

    def unmatched(self, resource: Resource) -> str:
        """What is to be said of a resource that no rule matches."""
        name = f"{resource.type} {resource.id!r}"
        if not self.source:
            made = (
                "ec2 (an instance of its own)"
                if resource.type == RESOURCE_TYPES[0]
                else "emr (a cluster)"
            )
            return (
                f"nothing says where {name} runs: start the service with --resources group=NAME "
                f"(agents of a worker group), local (an agent on its host), {made}, or a file of "
                "rules"
            )
        return (
            f"no rule of {self.source} says where {name} of pipeline {resource.pipeline!r} runs: "
            f"add one, such as run = {'group=NAME'!r}, and restart the service"
        )


def read_rules(text: str, source: str) -> Rules:
    """The rules of a TOML file: one table `[[resources]]` each, with conditions and `run`.

    Raises ConfigError, which names the line, what was found and what was wanted.
    """
    try:
        content = tomllib.loads(text)
    except ValueError as error:  # also for a number of more digits than Python reads
        raise ConfigError(f"{source}: not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{source}: not valid TOML: lists too deep in one another") from None
    strange = sorted(content.keys() - {"resources"})
    if strange:
        raise ConfigError(f"{source}: found {strange[0]!r}, wanted only tables [[resources]]")
    tables = content.get("resources")
    if not isinstance(tables, list) or not tables:
        raise ConfigError(
            f"{source}: wanted at least one table [[resources]], such as\n"
            '[[resources]]\ntype = "EmrCluster"\nrun = "group=hadoop"'
        )
    places = _Places.of(text, len(tables))
    rules = tuple(
        _rule(source, places, number, table) for number, table in enumerate(tables, start=1)
    )
    _refuse_unreachable(rules)
    return Rules(rules=rules, source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where each table stands in the file's text."""

    lines: Sequence[str]
    #: The numbers of the tables' headers; empty where they cannot be told for sure.
    headers: Sequence[int]

    @classmethod
    def of(cls, text: str, count: int) -> Self:
        lines = text.splitlines()
        headers = [number for number, line in enumerate(lines, 1) if _HEADER.match(line)]
        # Headers in a text of several lines are none: then their number differs.
        return cls(lines=lines, headers=headers if len(headers) == count else ())

    def name(self, source: str, number: int, key: str | None = None) -> str:
        """`FILE:LINE` of a table or of a key in it, or which rule it is."""
        if not self.headers:
            return f"{source}, rule {number}"
        start = self.headers[number - 1]
        ends = self.headers[number] - 1 if number < len(self.headers) else len(self.lines)
        wanted = re.compile(rf"""^\s*["']?{re.escape(key or "")}["']?\s*[=.]""")
        within = range(start + 1, ends + 1) if key else ()
        line = next((at for at in within if wanted.match(self.lines[at - 1])), start)
        return f"{source}:{line}"


def _rule(source: str, places: _Places, number: int, table: object) -> Rule:
    at = places.name(source, number)
    if not isinstance(table, dict):
        raise ConfigError(f"{at}: found {table!r}, wanted a table with {_said(_KEYS)}")
    for key in table:
        if key not in _KEYS:
            where = places.name(source, number, key)
            raise ConfigError(f"{where}: found {key!r}, wanted one of {_said(_KEYS)}")
    if "run" not in table:
        raise ConfigError(f"{at}: says not where: wanted run = {'group=NAME'!r}, 'local' or 'none'")
    given = {}
    for key, value in table.items():
        try:
            given[key] = _checked(key, value)
        except ValueError as error:
            where = places.name(source, number, key)
            raise ConfigError(f"{where}: {key}: {error}") from None
    target = Target.parse(given.pop("run"))
    for key, change in (("agents", Target.used_by), ("role", Target.run_as)):
        try:
            target = change(target, given.pop(key)) if key in given else target
        except ValueError as error:
            where = places.name(source, number, key)
            raise ConfigError(f"{where}: {key}: {error}") from None
    if target.only and given.get("type", target.only) != target.only:
        where = places.name(source, number, "type")
        makes = f"{target.where} is only for an {target.only}"
        raise ConfigError(f"{where}: type: found {given['type']!r}, but {makes}")
    return _sends(target, at, **given)


def _sends(target: Target, origin: str, **conditions: str) -> Rule:
    """A rule; one that can make only one type of resource is met by no other."""
    if target.only:
        conditions = {**conditions, "type": target.only}
    return Rule(target=target, origin=origin, **conditions)


def _checked(key: str, value: Any) -> str:
    """A value that is right. Raises ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"found {value!r}, wanted a text")
    if key == "run":
        Target.parse(value)
    if key == "type" and value not in RESOURCE_TYPES:
        raise ValueError(f"found {value!r}, wanted {' or '.join(RESOURCE_TYPES)}")
    if key == "tag" and value.startswith("="):
        raise ValueError(f"found {value!r}, wanted KEY or KEY=VALUE")
    return value


def _refuse_unreachable(rules: Sequence[Rule]) -> None:
    for earlier, later in _pairs(rules):
        if earlier.matches_all or earlier.conditions == later.conditions:
            raise ConfigError(
                f"{later.origin}: never has its turn, since {earlier} matches all of the same and "
                "stands before it: wanted the special rules first, the general ones last"
            )


def _pairs(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    for at, later in enumerate(rules):
        for earlier in rules[:at]:
            yield earlier, later


def _said(keys: Sequence[str]) -> str:
    return ", ".join(keys[:-1]) + f" and {keys[-1]}"
