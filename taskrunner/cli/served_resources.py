"""Where the resources of a service run, put together from its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskrunner.cli.local_agents import LocalAgents, check_private, store_files
from taskrunner.cli.resource_rules import given_rules
from taskrunner.errors import UsageError
from taskrunner.service.resources.rules import Rules, Where

if TYPE_CHECKING:
    from taskrunner.host.users import User
    from taskrunner.service.resources.local import LocalProcesses


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedResources:
    """The rules, and how agents are started here where rules want that."""

    rules: Rules
    local: LocalAgents | None = None
    #: The user that tasks of those agents run as; None: the service's own.
    task_user: User | None = None

    def processes(self, url: str, environ: Mapping[str, str]) -> LocalProcesses | None:
        """What starts agents here, if anything does."""
        return self.local.processes(url, environ) if self.local is not None else None

    def check_private(self, keys: Path | None, database_url: str) -> None:
        """Refuse to go on where tasks could get at what is the service's. Raises ConfigError."""
        own = [keys.absolute()] if keys is not None else []
        check_private(self.task_user, [*own, *store_files(database_url)])

    def lines(self) -> Iterator[str]:
        """What is said of them when the service starts."""
        if not self.rules.rules:
            yield "What runs on an Ec2Resource or EmrCluster waits: --resources says nothing of it."
            return
        yield "Resources run, by the first rule that matches:"
        for rule in self.rules.rules:
            met = ", ".join(f"{name} {text!r}" for name, text in rule.conditions.items())
            yield f"  {rule.origin}: {met or 'all'} -> {rule.target}"


def served_resources(
    given: str | None, local: LocalAgents, environ: Mapping[str, str], *, keys: Path | None
) -> ServedResources:
    """What --resources asks for; `local` is how agents would be started here.

    Raises UsageError or ConfigError for what cannot be.
    """
    rules = given_rules(given) if given is not None else Rules()
    if not rules.sends_to(Where.LOCAL):
        if local.run_as_user is not None or local.as_service_user:
            raise UsageError(
                "--run-as-user and --tasks-as-service-user are for tasks of local resources, and "
                "--resources makes none"
            )
        return ServedResources(rules=rules)
    user = local.task_user(environ, keys=keys)
    local.open_way(user)
    return ServedResources(rules=rules, local=local, task_user=user)
