"""The fields of an EmrCluster, read with what they refer to; one that cannot be right is a failure.

Pure: each reader takes texts of a definition and returns a part of a request, or raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from taskrunner.model.document import PipelineObject
from taskrunner.model.steps.reader import split_arguments
from taskrunner.service.resources.base import Launch, ResourceFailure

#: What a bid price says that is to be no lower than the price on demand.
_ON_DEMAND_PRICE = "ondemandprice"
_PRICE = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6})?")
#: EMR's own bound for arguments and for instances is higher; more is taken for a mistake.
_MOST_NODES = 4000
_MOST_ACTIONS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The values of a resource's fields, and the objects that they refer to."""

    #: As it is told in messages: type and id.
    name: str
    own: PipelineObject
    referred: Mapping[str, PipelineObject]

    @classmethod
    def of(cls, wanted: Launch) -> Self:
        """Those of a launch."""
        name = f"{wanted.row.type} {wanted.row.component_id!r}"
        return cls(name=name, own=wanted.fields, referred=wanted.referred)

    def text(self, key: str) -> str | None:
        """A value; what is empty is not set."""
        return (self.own.string(key) or "").strip() or None

    def texts(self, key: str) -> list[str]:
        """All values but empty ones."""
        return [text.strip() for text in self.own.strings(key) if text.strip()]

    def wrong(self, key: str, found: object, wanted: str) -> ResourceFailure:
        """What is said of a value that cannot be right."""
        said = f"{self.name}, field {key}: found {found!r}, wanted {wanted}"
        return ResourceFailure(said, permanent=True)

    def switch(self, key: str) -> bool | None:
        """True, false, or not set."""
        text = self.text(key)
        if text is None:
            return None
        if text.lower() not in {"true", "false"}:
            raise self.wrong(key, text, "true or false")
        return text.lower() == "true"

    def count(self, key: str, default: int, *, least: int = 0) -> int:
        """A number of nodes."""
        text = self.text(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= _MOST_NODES):
            raise self.wrong(key, text, f"a number from {least} to {_MOST_NODES}")
        return int(text)

    def market(self, key: str, *, on_demand: bool) -> dict[str, str]:
        """Spot with its highest price, or on demand."""
        text = self.text(key)
        if text is None or on_demand:
            return {"Market": "ON_DEMAND"}
        if text.lower() == _ON_DEMAND_PRICE:
            return {"Market": "SPOT"}
        if not _PRICE.fullmatch(text) or not float(text) > 0:
            raise self.wrong(key, text, "a price in USD an hour, or OnDemandPrice")
        return {"Market": "SPOT", "BidPrice": text}

    def objects(self, key: str, of: PipelineObject | None = None) -> Iterator[PipelineObject]:
        """The objects that a field refers to, of this resource or of another object."""
        owner = of or self.own
        for ref in owner.refs(key):
            found = self.referred.get(ref.id)
            if found is None:
                raise self.wrong(key, ref.id, "an object of the definition")
            yield found

    def named(self, key: str) -> list[dict[str, Any]]:
        """Programs with their arguments: `Name,argument,...`."""
        found = []
        for text in self.texts(key):
            name, *arguments = (part.strip() for part in split_arguments(text))
            if not name:
                raise self.wrong(key, text, "NAME or NAME,ARGUMENT,...")
            found.append({"Name": name, **({"Args": arguments} if arguments else {})})
        return found

    def bootstrap_actions(self) -> list[dict[str, Any]]:
        """Scripts that each node runs before it joins: `s3://bucket/script,argument,...`."""
        texts = self.texts("bootstrapAction")
        if len(texts) > _MOST_ACTIONS:
            raise self.wrong("bootstrapAction", f"{len(texts)} values", f"{_MOST_ACTIONS} at most")
        found = []
        for number, text in enumerate(texts, 1):
            path, *arguments = split_arguments(text)
            path = path.strip()
            if "://" not in path and not path.startswith("/"):
                raise self.wrong("bootstrapAction", text, "s3://BUCKET/SCRIPT,ARGUMENT,...")
            script: dict[str, Any] = {"Path": path, "Args": arguments}
            found.append({"Name": f"bootstrapAction {number}", "ScriptBootstrapAction": script})
        return found

    def configurations(
        self, key: str, of: PipelineObject | None = None, above: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """EmrConfigurations with their Properties, and the EmrConfigurations in them."""
        found = []
        for config in self.objects(key, of):
            if config.id in above:
                raise self.wrong(key, config.id, "no EmrConfiguration that holds itself")
            inner = self.configurations("configuration", config, (*above, config.id))
            properties = {
                self._part(entry, "key"): self._part(entry, "value")
                for entry in self.objects("property", config)
            }
            one: dict[str, Any] = {
                "Classification": self._part(config, "classification"),
                "Properties": properties,
            }
            found.append({**one, **({"Configurations": inner} if inner else {})})
        return found

    def ebs(self, key: str) -> dict[str, Any] | None:
        """The volumes of the nodes of a group."""
        config = next(self.objects(key), None)
        if config is None:
            return None
        devices = []
        for device in self.objects("ebsBlockDeviceConfig", config):
            volume = next(self.objects("volumeSpecification", device), None)
            if volume is None:
                raise self.wrong(key, device.id, "an EbsBlockDeviceConfig with volumeSpecification")
            given: dict[str, Any] = {
                "VolumeType": volume.string("volumeType") or "gp2",
                "SizeInGB": self._whole(volume, "sizeInGB"),
            }
            if volume.string("iops"):
                given["Iops"] = self._whole(volume, "iops")
            one: dict[str, Any] = {"VolumeSpecification": given}
            if device.string("volumesPerInstance"):
                one["VolumesPerInstance"] = self._whole(device, "volumesPerInstance")
            devices.append(one)
        found: dict[str, Any] = {"EbsBlockDeviceConfigs": devices} if devices else {}
        if optimized := config.string("ebsOptimized"):
            found["EbsOptimized"] = optimized.strip().lower() == "true"
        return found

    def _part(self, obj: PipelineObject, key: str) -> str:
        text = obj.string(key)
        if text is None:
            raise ResourceFailure(f"{obj.type} {obj.id!r} has no {key!r}", permanent=True)
        return text

    def _whole(self, obj: PipelineObject, key: str) -> int:
        text = (obj.string(key) or "").strip()
        if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
            raise ResourceFailure(
                f"{obj.type} {obj.id!r}, field {key}: found {text!r}, wanted a number above 0",
                permanent=True,
            )
        return int(text[:9])
