"""Where the resources of a definition would run, by an operator's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from taskrunner.errors import UsageError
from taskrunner.model.catalog import category_of
from taskrunner.model.document import Definition
from taskrunner.model.inheritance import effective
from taskrunner.model.instances import Components
from taskrunner.model.validate import Finding, findings_of_places
from taskrunner.service.resources.placing import nowhere_to_run, used_resources, ways_of
from taskrunner.service.resources.rules import Resource, Rule, Rules


@dataclass
class Places:
    """What rules say of the resources of one definition."""

    rules: Rules
    #: The pipeline's name, and its tags.
    pipeline: str
    tags: Mapping[str, str]
    _found: list[tuple[Resource, Rule]] = field(default_factory=list, init=False)

    @classmethod
    def of(cls, rules: Rules, pipeline: str, tags: Iterable[str]) -> Self:
        """Raises UsageError for a tag that is not KEY=VALUE."""
        found: dict[str, str] = {}
        for text in tags:
            key, equals, value = text.partition("=")
            if not key or not equals:
                raise UsageError(f"--tag: found {text!r}, wanted KEY=VALUE")
            found[key] = value
        return cls(rules, pipeline, found)

    def look(self, definition: Definition) -> Iterator[Finding]:
        """Warnings: a resource that no rule matches, a field without effect where one runs."""
        components = Components.of(effective(definition), category_of)
        ways = ways_of(components, self.pipeline, self.tags, self.rules)
        yield from findings_of_places(definition, ways)
        for resource in used_resources(components, self.pipeline, self.tags):
            rule = self.rules.first(resource)
            if rule is None:
                yield nowhere_to_run(resource.id, self.rules.unmatched(resource))
            else:
                self._found.append((resource, rule))

    def lines(self) -> Iterator[str]:
        """A line for each resource that a rule matches."""
        for resource, rule in self._found:
            yield f"{resource.type} {resource.id!r} runs: {rule.target}, by {rule.origin}"
