"""What each field does here: who honours it, and what is to be said where nobody does.

The rows are in `effect_rows`. Validation, `explain`, docs/objects.md and the logs of attempts all
read them, so that nothing is ignored in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from taskrunner.model.catalog.table import CATALOG
from taskrunner.model.catalog.types import FieldGroup
from taskrunner.model.document import PipelineObject


class Way(StrEnum):
    """What stands behind a resource, or does the work of EMR's activities."""

    LOCAL = "local"  # processes of one host: an agent, and Spark in it
    COMMAND = "command"  # hadoop, hive, pig and spark-submit as they are installed on a host
    GROUP = "group"  # the agents of a worker group
    EC2 = "ec2"  # instances that are made
    EMR = "emr"  # clusters of EMR's
    EMR_SERVERLESS = "emr-serverless"
    SPARK = "spark"  # a Spark cluster of one's own


class Target(StrEnum):
    """Where a definition is to run, as `validate --target` takes it."""

    LOCAL = "local"
    SELF_HOSTED = "self-hosted"
    AWS = "aws"

    @property
    def ways(self) -> frozenset[Way]:
        """What there may be in such a place."""
        return _WAYS[self]


_WAYS = {
    Target.LOCAL: frozenset({Way.LOCAL}),
    Target.SELF_HOSTED: frozenset({Way.LOCAL, Way.COMMAND, Way.GROUP, Way.SPARK}),
    Target.AWS: frozenset({Way.COMMAND, Way.EC2, Way.EMR, Way.EMR_SERVERLESS}),
}
EVERY_WAY = frozenset(Way)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a field does."""

    #: Who honours it; empty: nobody.
    by: frozenset[Way] = EVERY_WAY
    #: Why it has no effect, where it has none.
    why: str = ""
    #: What its values look like that are honoured; None: any.
    honoured: re.Pattern[str] | None = None
    #: What values ask for that happens in any case: nothing is to be said of them.
    granted: re.Pattern[str] | None = None
    #: Whether it is usually set on Default for objects of all types: then only validation tells
    #: of it, and not the log of each attempt.
    usual: bool = False

    def of(self, values: Iterable[str | None], ways: frozenset[Way] = EVERY_WAY) -> bool:
        """Whether all that is set has an effect (or needs none) in one of these ways.

        A value that is not known (None) counts as honoured where any value is.
        """
        texts = [text for text in values if text is not None]
        if self.granted is not None and texts and all(map(self.granted.fullmatch, texts)):
            return True
        if not self.by & ways:
            return False
        return self.honoured is None or all(map(self.honoured.fullmatch, texts))

    @property
    def message(self) -> str:
        """What is said of a field that has no effect."""
        return f"it has no effect here: {self.why}"

    @property
    def summary(self) -> str:
        """Who honours the field, in a line for people."""
        if not self.by:
            return f"no: {self.why}"
        who = "yes" if self.by == EVERY_WAY else f"only by {said(self.by)}"
        return f"{who}: {self.why}" if self.why else who


def said(ways: Iterable[Way]) -> str:
    """Several ways, in their order."""
    return ", ".join(way for way in Way if way in frozenset(ways))


def everywhere(*, honoured: str | None = None, why: str = "") -> Effect:
    """Honoured by whoever runs it; of some values perhaps only those that match `honoured`."""
    return Effect(honoured=_pattern(honoured), why=why)


def only(*ways: Way, why: str, granted: str | None = None) -> Effect:
    """Honoured by these ways alone; nothing is said of values that match `granted`."""
    return Effect(by=frozenset(ways), why=why, granted=_pattern(granted))


def nobody(why: str, *, granted: str | None = None, usual: bool = False) -> Effect:
    """Honoured by nobody; nothing is said of values that match `granted`."""
    return Effect(by=frozenset(), why=why, granted=_pattern(granted), usual=usual)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    return None if text is None else re.compile(text, re.IGNORECASE)


def settable(type_name: str) -> Iterator[str]:
    """The fields of a type of AWS's that an author may set."""
    not_set = {FieldGroup.RUNTIME, FieldGroup.FORBIDDEN}
    fields = CATALOG[type_name].fields.values()
    return (spec.name for spec in fields if spec.group not in not_set)


def effect_of(type_name: str, field: str) -> Effect | None:
    """The effect of a field of a type of AWS's; None for what no author may set there."""
    return _effects(type_name).get(field) if type_name in CATALOG else None


@cache
def _effects(type_name: str) -> Mapping[str, Effect]:
    """A row of the type comes before one of its category, and that before one of all types."""
    from taskrunner.model.catalog.effect_rows import ROWS

    scopes = (type_name, CATALOG[type_name].category, "*")
    rows = [ROWS[scope] for scope in scopes if scope in ROWS]
    found = ((name, [row[name] for row in rows if name in row]) for name in settable(type_name))
    return {name: effects[0] for name, effects in found if effects}


def runners_of(type_name: str) -> frozenset[Way]:
    """Who can carry out objects of a type; a plugin's runs where the plugin is."""
    from taskrunner.model.catalog.effect_rows import RUN_BY

    return RUN_BY.get(type_name, EVERY_WAY)


def without_effect(objects: Mapping[str, PipelineObject]) -> Iterator[tuple[str, str, Effect]]:
    """Id, field and effect of each field of a task's objects that nobody anywhere honours.

    But for those that are usually inherited.
    """
    for key, obj in objects.items():
        for field in obj.keys():  # noqa: SIM118  an object is no mapping
            effect = effect_of(obj.type or "", field)
            if effect and not effect.usual and not effect.of(obj.strings(field)):
                yield key, field, effect
