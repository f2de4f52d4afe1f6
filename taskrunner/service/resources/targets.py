"""Where a rule sends resources: what there is to be named after `run =`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

#: The types that something can be made of.
RESOURCE_TYPES = ("Ec2Resource", "EmrCluster")
_EC2, _EMR = RESOURCE_TYPES
#: As long as a workerGroup may be.
_LONGEST_GROUP = 1024
#: What runners of managed resources poll.
_MANAGED = "resource:"
_FORM = "group=NAME, local, ec2, emr, emr-serverless=ID, spark=MASTER or none"
#: Ids of applications: one of Spark, one of Hive, or both.
_APPLICATIONS = re.compile(r"[0-9a-z]{1,64}(,[0-9a-z]{1,64})?")
#: Masters of Spark, as spark-submit takes them.
_MASTER = re.compile(r"yarn|(spark|k8s)://[^\s#@]+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


class Where(StrEnum):
    """What stands behind a resource."""

    GROUP = "group"  # the agents of a worker group; nothing is made
    EC2 = "ec2"  # an instance that is made for an Ec2Resource
    EMR = "emr"  # a cluster that is made for an EmrCluster
    EMR_SERVERLESS = "emr-serverless"  # applications that are there, in place of an EmrCluster
    SPARK = "spark"  # a Spark cluster that is there, in place of an EmrCluster
    LOCAL = "local"  # an agent process of the service's host
    NONE = "none"  # an agent of the resource's own worker group, which somebody else starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a rule sends resources."""

    where: Where
    #: The worker group, of GROUP; where agents send the work on, that whose agents do.
    group: str = ""
    #: The applications' ids of EMR_SERVERLESS, the master of SPARK.
    engine: str = ""
    #: As whom jobs of EMR_SERVERLESS run.
    role: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError: what was found, and what is wanted."""
        word, equals, name = text.partition("=")
        if word == Where.GROUP and equals:
            return cls(where=Where.GROUP, group=_group(name))
        if word in _ENGINES:
            form, wanted = _ENGINES[Where(word)]
            if not form.fullmatch(name):
                raise ValueError(f"found {text!r}, wanted {wanted}")
            return cls(where=Where(word), engine=name)
        if text not in {Where.EC2, Where.EMR, Where.LOCAL, Where.NONE}:
            raise ValueError(f"found {text!r}, wanted {_FORM}")
        return cls(where=Where(text))

    @property
    def only(self) -> str | None:
        """The one type that it is for; None: any."""
        return _ONLY.get(self.where)

    @property
    def wants_agent_here(self) -> bool:
        """Whether an agent is started on the service's host."""
        return self.where is Where.LOCAL or (self.where in _BY_AGENTS and not self.group)

    def used_by(self, agents: str) -> Target:
        """The same for agents of a worker group. Raises ValueError."""
        if self.where not in _BY_AGENTS:
            raise ValueError(f"found {agents!r}, but {self} says who does the work already")
        return replace(self, group=_group(agents, "a name"))

    def run_as(self, role: str) -> Target:
        """The same with a role for jobs. Raises ValueError."""
        if self.where is not Where.EMR_SERVERLESS:
            raise ValueError(f"found {role!r}, but only jobs of emr-serverless have a role")
        if not _ROLE.fullmatch(role):
            raise ValueError(f"found {role!r}, wanted arn:aws:iam::ACCOUNT:role/NAME")
        return replace(self, role=role)

    def __str__(self) -> str:
        if self.where is Where.GROUP:
            return f"group={self.group}"
        text = f"{self.where}={self.engine}" if self.engine else str(self.where)
        return f"{text}, by agents of {self.group!r}" if self.group else text


#: What is for only one type of resource.
_ONLY: Mapping[Where, str] = {
    Where.EC2: _EC2,
    Where.EMR: _EMR,
    Where.EMR_SERVERLESS: _EMR,
    Where.SPARK: _EMR,
}
#: What agents elsewhere send the work on to.
_BY_AGENTS = frozenset({Where.EMR, Where.EMR_SERVERLESS, Where.SPARK})
#: What is named after the word, and how it is told.
_ENGINES: Mapping[Where, tuple[re.Pattern[str], str]] = {
    Where.EMR_SERVERLESS: (
        _APPLICATIONS,
        "emr-serverless=ID, an application's id, or two with a comma: one of Spark, one of Hive",
    ),
    Where.SPARK: (_MASTER, "spark=MASTER: spark://HOST:PORT, yarn or k8s://URL"),
}


def _group(name: str, form: str = "group=NAME") -> str:
    shown = form.replace("NAME", name[:40]) if "NAME" in form else name[:40]
    if not name or name != name.strip() or not name.isprintable() or len(name) > _LONGEST_GROUP:
        wanted = f"wanted {form}, the name of a worker group in 1 to {_LONGEST_GROUP} characters"
        raise ValueError(f"found {shown!r}, {wanted}")
    if name.startswith(_MANAGED):
        raise ValueError(
            f"found {shown!r}, but {_MANAGED!r} begins the worker groups of managed "
            "resources; wanted a name of your own"
        )
    return name
