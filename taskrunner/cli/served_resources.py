"""Where the resources of a service run, put together from its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskrunner.cli.ec2_options import Ec2Options
from taskrunner.cli.local_agents import LocalAgents, check_private, store_files
from taskrunner.cli.resource_rules import given_rules
from taskrunner.errors import UsageError
from taskrunner.service.resources.rules import Rules
from taskrunner.service.resources.targets import Where

if TYPE_CHECKING:
    from starlette.routing import Route

    from taskrunner.host.users import User
    from taskrunner.service.auth import Authenticator
    from taskrunner.service.resources.base import MakeProvider, ResourceProvider
    from taskrunner.service.resources.local import LocalProcesses
    from taskrunner.service.store.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedResources:
    """The rules, and how agents are started here where rules want that."""

    rules: Rules
    local: LocalAgents | None = None
    #: The user that tasks of those agents run as; None: the service's own.
    task_user: User | None = None
    ec2: Ec2Options = field(default_factory=Ec2Options)
    #: The service's.
    region: str
    #: Whether calls to the service are signed.
    signed: bool

    @property
    def makes_instances(self) -> bool:
        """Whether any rule has instances made."""
        return self.rules.sends_to(Where.EC2)

    def provider(self, local: LocalProcesses | None, url: str) -> MakeProvider:
        """What starts agents here, and makes instances and clusters, of a service at `url`.

        Those that an earlier service made are looked after in any case. Raises ConfigError.
        """
        from taskrunner.clock import SystemClock
        from taskrunner.service.resources.ec2.provider import Ec2Machines
        from taskrunner.service.resources.emr.provider import EmrClusters
        from taskrunner.service.resources.engines import GivenEngines
        from taskrunner.service.resources.providers import Providers

        agents = None
        if self.makes_instances:
            agents = self.ec2.agents(url, region=self.region, signed=self.signed)

        def make(store: Store) -> ResourceProvider:
            known: dict[Where, ResourceProvider] = {} if local is None else {Where.LOCAL: local}
            clock = SystemClock()
            machines = Ec2Machines(store, region=self.region, clock=clock, agents=agents)
            clusters = EmrClusters(store, region=self.region, clock=clock, starter=local)
            given = GivenEngines(region=self.region, starter=local)
            known |= dict.fromkeys((Where.EMR_SERVERLESS, Where.SPARK), given)
            return Providers({**known, Where.EC2: machines, Where.EMR: clusters})

        return make

    def processes(self, url: str, environ: Mapping[str, str]) -> LocalProcesses | None:
        """What starts agents here, if anything does."""
        return self.local.processes(url, environ) if self.local is not None else None

    def check_private(self, keys: Path | None, database_url: str) -> None:
        """Refuse to go on where tasks could get at what is the service's. Raises ConfigError."""
        own = [keys.absolute()] if keys is not None else []
        check_private(self.task_user, [*own, *store_files(database_url)])

    def know_machines(self, authenticator: Authenticator, store: Store) -> Sequence[Route]:
        """Know the keys of instances, and take them where they say them."""
        from taskrunner.clock import SystemClock
        from taskrunner.service.auth import SigV4Authenticator
        from taskrunner.service.machine_keys import MachineKeys, claim_route

        if not (self.makes_instances and isinstance(authenticator, SigV4Authenticator)):
            return ()
        keys = MachineKeys(store)
        authenticator.know(keys, keys.refresh)
        return (claim_route(keys, region=self.region, clock=SystemClock()),)

    def lines(self, url: str) -> Iterator[str]:
        """What is said of them when the service starts."""
        warning = self.ec2.warning(url) if self.makes_instances else None
        if warning is not None:
            yield warning
        if not self.rules.rules:
            yield "What runs on an Ec2Resource or EmrCluster waits: --resources says nothing of it."
            return
        yield "Resources run, by the first rule that matches:"
        for rule in self.rules.rules:
            met = ", ".join(f"{name} {text!r}" for name, text in rule.conditions.items())
            yield f"  {rule.origin}: {met or 'all'} -> {rule.target}"


def served_resources(
    given: str | None,
    local: LocalAgents,
    ec2: Ec2Options,
    environ: Mapping[str, str],
    *,
    keys: Path | None,
) -> ServedResources:
    """What --resources asks for; `local` is how agents would be started here.

    Raises UsageError or ConfigError for what cannot be.
    """
    rules = given_rules(given) if given is not None else Rules()
    ec2.check(wanted=rules.sends_to(Where.EC2))
    common = ServedResources(rules=rules, ec2=ec2, region=local.region, signed=keys is not None)
    if not rules.want_agents_here:
        if local.run_as_user is not None or local.as_service_user:
            raise UsageError(
                "--run-as-user and --tasks-as-service-user are for tasks of agents on this host, "
                "and --resources starts none"
            )
        return common
    user = local.task_user(environ, keys=keys)
    local.open_way(user)
    return replace(common, local=local, task_user=user)
