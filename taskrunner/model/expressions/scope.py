"""What an expression can see: objects, parameters, and what is known of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from taskrunner.model.document import PipelineObject, Ref
from taskrunner.model.expressions.values import Scalar

RuntimeValue = Scalar | Sequence[Scalar]

#: Fields whose text is taken as it is, never evaluated.
VERBATIM = frozenset({"id", "name", "type", "sphere"})

#: Runtime fields that are the same for every object of a run: an object for which `runtime` does
#: not give them has those of the object that the expression stands in.
SHARED_RUNTIME = frozenset({"@scheduledStartTime", "@scheduledEndTime", "@pipelineId"})

_NOTHING: Mapping[str, RuntimeValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The world of an expression that stands in a field of `object_id`.

    `objects` are effective (inheritance done), by id. `parameters` holds every value of each
    parameter; `parameter_types` the declared types, needed only so that `+` adds Integers and
    Doubles instead of writing them one after the other. `runtime` gives fields by object id that
    win over those of the definition: dates, text, references, or several of these. `node` is the
    object that refers to this alarm or precondition.
    """

    objects: Mapping[str, PipelineObject]
    object_id: str
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parameter_types: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, Mapping[str, RuntimeValue]] = field(default_factory=dict)
    node: str | None = None

    def runtime_of(self, object_id: str, key: str) -> tuple[Scalar, ...] | None:
        """The runtime values of a field; None when there are none."""
        found = self.runtime.get(object_id, _NOTHING).get(key)
        if found is None and key.startswith("@"):
            found = self._borrowed(object_id, key)
        if found is None:
            return None
        return (found,) if isinstance(found, str | int | float | datetime | Ref) else tuple(found)

    def _borrowed(self, object_id: str, key: str) -> RuntimeValue | None:
        """A runtime field that an object takes from the instance the expression is evaluated for.

        An action or precondition has no run of its own: it sees the fields of its node.
        """
        lenders = (self.object_id, self.node)
        if object_id != self.object_id and key not in SHARED_RUNTIME:
            return None
        given = (self.runtime.get(lender, _NOTHING).get(key) for lender in lenders if lender)
        return next((value for value in given if value is not None), None)
