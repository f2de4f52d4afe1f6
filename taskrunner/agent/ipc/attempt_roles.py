"""What the fork server's children do, as far as the agent needs to know; loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.agent.ipc.resource_limits import ResourceLimits
from taskrunner.data.settings import DataSettings
from taskrunner.host.cgroups import Groups
from taskrunner.host.users import User

#: Runs one attempt.
ATTEMPT = "attempt"
#: Loads, in the server itself, what attempts of a type will need.
LOADER = "loader"
#: Removes the folder of another user's commands.
CLEANER = "cleaner"
#: Uploads logs.
SHIPPER = "shipper"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSettings:
    """What every attempt of this agent has in common."""

    data: DataSettings = field(default_factory=DataSettings)
    #: Environment variables (patterns) that commands see besides the clean set.
    pass_env: Sequence[str] = ()
    #: Tell commands' AWS libraries not to ask the instance's metadata for credentials.
    block_imds: bool = False
    #: Seconds between TERM and KILL.
    grace_s: float = 5.0
    #: What a task may use.
    limits: ResourceLimits = field(default_factory=ResourceLimits)
    #: Where each attempt gets a control group of its own; None: there are none here.
    groups: Groups | None = None
    #: Bytes of a log beyond which its middle is left out.
    max_log_size: int = 1 << 30
    #: The local folders that the operator has named for logs.
    log_places: tuple[Path, ...] = ()
    #: The users that commands run as, by name.
    users: Mapping[str, User] = field(default_factory=dict)
