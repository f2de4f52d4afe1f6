"""Definitions that were pulled from a service: a run needs the secrets behind their masks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

from taskrunner.errors import UsageError
from taskrunner.model.catalog import category_of
from taskrunner.model.document import Definition, Field, ParameterObject, PipelineObject
from taskrunner.model.masks import MASK, WHAT_IT_IS, is_secret_attribute, parameter_for

#: Stands where a redirected database had a mask; its address brings the password that is used.
_UNUSED = "-"


def without_masks(definition: Definition, databases: Mapping[str, str]) -> Definition:
    """The definition without its masks, where the run's databases make them needless.

    Raises UsageError where a secret is still missing; it names all of them, and what to give.
    """
    pulled = _Pulled(definition, databases)
    missing = list(pulled.missing())
    if missing:
        told = "".join(f"\n  {line}" for line in missing)
        raise UsageError(f"{definition.source or '-'}: {WHAT_IT_IS}; a run needs these:{told}")
    return pulled.mended()


@dataclass(frozen=True, slots=True)
class _Pulled:
    definition: Definition
    databases: Mapping[str, str]

    def missing(self) -> Iterator[str]:
        """A line for each secret that the run would lack."""
        for item in self.definition.objects:
            redirected = self.databases.get(item.id)
            for field in item.fields:
                masked = self._is_masked(field)
                if redirected is not None and masked and not _brings_login(redirected):
                    yield (
                        f"object {item.id!r}, field {field.key!r}: put user and password into the "
                        f"URL of --database {item.id}=URL"
                    )
                elif redirected is None and field.value == MASK:
                    yield f"object {item.id!r}, field {field.key!r}: {_remedy(item, field)}"
        needed = self._needed()
        for name in sorted(self._masked & needed):
            yield f"parameter {name!r}: give its value with --param '{name}=VALUE'"

    def mended(self) -> Definition:
        """With every mask gone that nothing needs."""
        gone = self._masked - self._needed()
        return replace(
            self.definition,
            objects=tuple(
                self._mended(item) if item.id in self.databases else item
                for item in self.definition.objects
            ),
            parameters=tuple(
                _without_masked_default(item)
                for item in self.definition.parameters
                if item.id not in gone
            ),
            values=tuple(item for item in self.definition.values if item.id not in gone),
        )

    def _mended(self, item: PipelineObject) -> PipelineObject:
        fields = (replace(f, value=_UNUSED) if self._is_masked(f) else f for f in item.fields)
        return replace(item, fields=tuple(fields))

    @property
    def _masked(self) -> frozenset[str]:
        """The parameters whose value is a mask."""
        given = {item.id for item in self.definition.values}
        found = {item.id for item in self.definition.values if item.value == MASK}
        for parameter in self.definition.parameters:
            if parameter.id not in given and MASK in parameter.attribute_values("default"):
                found.add(parameter.id)
        return frozenset(found)

    def _is_masked(self, field: Field) -> bool:
        return field.value == MASK or bool(_used(field, self._masked))

    def _needed(self) -> set[str]:
        """The masked parameters that objects use which are not redirected."""
        return {
            name
            for item in self.definition.objects
            if item.id not in self.databases
            for field in item.fields
            for name in _used(field, self._masked)
        }


def _used(field: Field, names: frozenset[str]) -> frozenset[str]:
    text = field.value
    if not names or not isinstance(text, str) or "#{" not in text:
        return frozenset()
    return names & set(re.findall(r"\*?[A-Za-z_][A-Za-z0-9_]*", text))


def _remedy(item: PipelineObject, field: Field) -> str:
    name = parameter_for(field.key)
    own = f"write #{{{name}}} in its place, and give --param '{name}=VALUE'"
    if category_of(item.type or "") == "database":
        return f"use another address with --database {item.id}=URL, or {own}"
    return own


def _brings_login(url: str) -> bool:
    """Whether a database's URL needs no password of the definition's."""
    parts = urlsplit(url)
    return (
        parts.scheme == "sqlite"
        or parts.password is not None
        or ("password" in parse_qs(parts.query))
    )


def _without_masked_default(parameter: ParameterObject) -> ParameterObject:
    """A value is given, or the run would have been refused; which ones it may be is not known."""
    kept = [
        (key, v) for key, v in parameter.attributes if v != MASK or not is_secret_attribute(key)
    ]
    return replace(parameter, attributes=tuple(kept))
