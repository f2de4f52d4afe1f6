"""Several providers as one: who launches is the rules' to say, whose a handle is it says itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.base import Launch, ResourceFailure, ResourceProvider
from taskrunner.service.resources.targets import Where


class Providers:
    """Passes each call on to the provider that it is for."""

    def __init__(self, known: Mapping[Where, ResourceProvider]) -> None:
        self._known = dict(known)

    def launch(self, wanted: Launch) -> str:
        """Have the resource launched where the rules say. Raises ResourceFailure, ResourceBusy."""
        where = wanted.target.where if wanted.target is not None else None
        provider = self._known.get(where) if where is not None else None
        if provider is None:
            raise ResourceFailure(f"nothing here launches resources as {where}")
        return provider.launch(wanted)

    def alive(self, handle: str) -> bool:
        """Whether what the handle stands for is still there; nobody's is not."""
        provider = self._of(handle)
        return provider is not None and provider.alive(handle)

    def takes_work(self, handle: str) -> bool:
        """Whether agents of a worker group may use it now."""
        provider = self._of(handle)
        return provider is not None and provider.takes_work(handle)

    def end(self, handle: str) -> bool:
        """Ask for its end; nobody's has ended."""
        provider = self._of(handle)
        return provider is None or provider.end(handle)

    def reason(self, row: InstanceRow) -> str:
        """What is known of why the resource's runner ended."""
        provider = self._of(row.resource_handle or "")
        return provider.reason(row) if provider is not None else ""

    def look_after(self, now: datetime) -> None:
        """Let each do what is to be done now and then."""
        for provider in self._known.values():
            provider.look_after(now)

    def _of(self, handle: str) -> ResourceProvider | None:
        word = _WORDS.get(handle.partition(":")[0])
        return self._known.get(word) if word is not None else None


#: What handles begin with.
_WORDS = {
    "process": Where.LOCAL,
    "ec2": Where.EC2,
    "emr": Where.EMR,
    "emr-serverless": Where.EMR_SERVERLESS,
    "spark": Where.SPARK,
}
