"""Which cluster or workgroup an address belongs to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from taskrunner.data.databases.spec import DatabaseSpec

_SUFFIX = r"amazonaws\.com(?:\.cn)?"
_CLUSTER = re.compile(rf"([a-z][a-z0-9-]*)\.[a-z0-9]+\.([a-z0-9-]+)\.redshift\.{_SUFFIX}")
_WORKGROUP = re.compile(rf"([a-z0-9-]+)\.\d{{12}}\.([a-z0-9-]+)\.redshift-serverless\.{_SUFFIX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A cluster or (Serverless) a workgroup; the other one is empty."""

    cluster: str = ""
    workgroup: str = ""
    region: str

    @classmethod
    def of(cls, spec: DatabaseSpec) -> Home | None:
        """What the address says; None for an address of another form."""
        host = spec.host.lower()
        if found := _WORKGROUP.fullmatch(host):
            return cls(workgroup=found[1], region=found[2])
        if found := _CLUSTER.fullmatch(host):
            return cls(cluster=found[1], region=found[2])
        return None

    def __str__(self) -> str:
        if self.workgroup:
            return f"Redshift Serverless workgroup {self.workgroup!r}"
        return f"Redshift cluster {self.cluster!r}"
