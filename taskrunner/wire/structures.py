"""What requests and replies are made of, where the model of definitions has no such notion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from taskrunner.model.document import Field


class Tag(NamedTuple):
    """A tag of a pipeline."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A comparison: EQ, REF_EQ, LE, GE or BETWEEN, with what to compare to."""

    type: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A condition on one field of an object."""

    field_name: str | None = None
    operator: Operator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Conditions that must all hold."""

    selectors: tuple[Selector, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineIdName:
    """A pipeline in a list."""

    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineDescription:
    """A pipeline and its fields (@pipelineState and the like)."""

    pipeline_id: str
    name: str
    fields: tuple[Field, ...]
    description: str | None = None
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationError:
    """What makes an object of a definition wrong."""

    id: str | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationWarning:
    """What is doubtful about an object of a definition."""

    id: str | None = None
    warnings: tuple[str, ...] = ()
