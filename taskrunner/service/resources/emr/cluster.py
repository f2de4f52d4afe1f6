"""What a definition wants of a cluster: its fields, made into a request for RunJobFlow. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from taskrunner.model.steps.reader import COMMAND_RUNNER
from taskrunner.service.resources.base import Launch, ResourceFailure
from taskrunner.service.resources.emr.fields import Fields

#: Of a definition that names no release: the newest one is not known to a program of years ago.
DEFAULT_RELEASE = "emr-7.5.0"
#: EMR's own defaults, which `aws emr create-default-roles` makes.
DEFAULT_ROLE, DEFAULT_PROFILE = "EMR_DefaultRole", "EMR_EC2_DefaultRole"
#: The smallest general type that EMR has in all regions.
DEFAULT_TYPE = "m5.xlarge"
DEFAULT_APPLICATIONS = ("Hive", "Pig")
#: For people: a cluster is found by its name, which lists of clusters hold.
CLUSTER_TAG = "taskrunner:cluster"
_PIPELINE_TAG, _RESOURCE_TAG = "taskrunner:pipeline", "taskrunner:resource"
_MOST_TAGS, _LONGEST_KEY, _LONGEST_VALUE, _LONGEST_NAME = 50, 128, 256, 256
#: How long a cluster without terminateAfter may have nothing to do before it ends by itself.
IDLE = timedelta(hours=12)
#: The service ends a cluster first: its own end is for the case that there is no service.
_MARGIN = timedelta(minutes=5)
#: EMR's bounds for that, in seconds.
_LEAST_IDLE_S, _MOST_IDLE_S = 60, 604_800
#: Steps that run side by side where the scheduler is a parallel one.
_PARALLEL_STEPS = 10
_RELEASE = re.compile(r"emr-(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?.*")
_SCHEDULER = "yarn.resourcemanager.scheduler.class"
_SCHEDULERS = "org.apache.hadoop.yarn.server.resourcemanager.scheduler"
_CLASSES = {
    "PARALLEL_FAIR_SCHEDULING": f"{_SCHEDULERS}.fair.FairScheduler",
    "PARALLEL_CAPACITY_SCHEDULING": f"{_SCHEDULERS}.capacity.CapacityScheduler",
    "DEFAULT_SCHEDULER": None,
}
_OLD_SCRIPTS = "s3://elasticmapreduce/bootstrap-actions/configure-hadoop"
_OLD_DEBUGGING = "s3://elasticmapreduce/libs/state-pusher/0.1/fetch"
_OLD_RUNNER = "s3://elasticmapreduce/libs/script-runner/script-runner.jar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster as a definition wants it."""

    #: As the resource is told in messages.
    name: str
    region: str
    #: The arguments of RunJobFlow but for the mark in name and tags.
    request: Mapping[str, Any]
    #: Its name without the mark.
    title: str
    #: The values as the definition has them, by field.
    given: Mapping[str, str]

    @classmethod
    def of(cls, wanted: Launch, *, region: str) -> Self:
        """Read a resource's fields. Raises ResourceFailure for one that cannot be right."""
        fields = Fields.of(wanted)
        keys = wanted.fields.keys()
        given = {key: ", ".join(found) for key in keys if (found := fields.texts(key))}
        release = _Release.of(fields)
        logs = fields.text("emrLogUri") or fields.text("pipelineLogUri")
        role = fields.text("role") or DEFAULT_ROLE
        request: dict[str, Any] = {
            **release.request,
            "Instances": _instances(fields, release, on_demand=_is_on_demand(fields, wanted)),
            "ServiceRole": role,
            "JobFlowRole": fields.text("resourceRole") or DEFAULT_PROFILE,
            "VisibleToAllUsers": fields.switch("visibleToAllUsers") is not False,
            "BootstrapActions": [*_scheduler_action(fields, release), *fields.bootstrap_actions()],
            "Configurations": _configurations(fields, release),
            "Steps": _first_steps(fields, release, logs),
            **_programs(fields, release),
            "Tags": _tags(wanted),
            **_last_defence(wanted, release),
            **({"LogUri": _folder(logs)} if logs else {}),
            **_concurrency(fields, release),
        }
        return cls(
            name=fields.name,
            region=fields.text("region") or region,
            request={key: value for key, value in request.items() if value not in ([], None)},
            title=f"{wanted.pipeline}/{wanted.row.component_id}",
            given=given,
        )

    def marked(self, mark: str) -> dict[str, Any]:
        """The request of the cluster with this mark, by which it is found."""
        tags = [*self.request["Tags"], {"Key": CLUSTER_TAG, "Value": mark}]
        return {**self.request, "Name": cluster_name(self.title, mark), "Tags": tags}


def cluster_name(title: str, mark: str) -> str:
    """A cluster's name; its mark stands at the end."""
    plain = "".join(letter if letter.isprintable() else " " for letter in title)
    return f"{plain[: _LONGEST_NAME - len(mark) - 3]} [{mark}]"


def mark_in(name: str) -> str | None:
    """The mark of the cluster that has this name; none of somebody else's."""
    found = re.search(r" \[(c-[0-9a-z]+)\]$", name)
    return found[1] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    """What the cluster's machines are made of."""

    request: Mapping[str, str]
    #: Major, minor and patch; none of what was before releases (amiVersion).
    version: tuple[int, int, int] | None

    @classmethod
    def of(cls, fields: Fields) -> Self:
        """Raises ResourceFailure."""
        label, image = fields.text("releaseLabel"), fields.text("amiVersion")
        if label and image:
            raise fields.wrong(
                "amiVersion", image, "none beside releaseLabel, which since EMR 4.0 says it"
            )
        if image:
            return cls(request={"AmiVersion": image}, version=None)
        label = label or DEFAULT_RELEASE
        found = _RELEASE.fullmatch(label)
        if found is None:
            raise fields.wrong("releaseLabel", label, f"a release such as {DEFAULT_RELEASE}")
        version = (int(found[1]), int(found[2]), int(found[3] or 0))
        return cls(request={"ReleaseLabel": label}, version=version)

    @property
    def can_end_itself(self) -> bool:
        """Whether EMR ends such a cluster once it is idle."""
        return self.version is not None and (
            (5, 30, 0) <= self.version < (6, 0, 0) or self.version >= (6, 1, 0)
        )

    @property
    def can_run_steps_in_parallel(self) -> bool:
        """Whether several steps may run at a time."""
        return self.version is not None and self.version >= (5, 28, 0)


def _is_on_demand(fields: Fields, wanted: Launch) -> bool:
    """Whether bid prices are left out: nothing is to be left to chance in the last try."""
    return wanted.is_last and fields.switch("useOnDemandOnLastAttempt") is True


def _instances(fields: Fields, release: _Release, *, on_demand: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "InstanceGroups": _groups(fields, on_demand=on_demand),
        # It is the service that ends it, when the resource ends.
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
        "Ec2KeyName": fields.text("keyPair") or fields.text("keypair"),
        "Ec2SubnetId": fields.text("subnetId"),
        "EmrManagedMasterSecurityGroup": fields.text("emrManagedMasterSecurityGroupId"),
        "EmrManagedSlaveSecurityGroup": fields.text("emrManagedSlaveSecurityGroupId"),
        "ServiceAccessSecurityGroup": fields.text("serviceAccessSecurityGroupId"),
        "AdditionalMasterSecurityGroups": fields.texts("additionalMasterSecurityGroupIds"),
        "AdditionalSlaveSecurityGroups": fields.texts("additionalSlaveSecurityGroupIds"),
    }
    if release.version is None:
        found["HadoopVersion"] = fields.text("hadoopVersion")
    if zone := fields.text("availabilityZone"):
        found["Placement"] = {"AvailabilityZone": zone}
    return {key: value for key, value in found.items() if value not in (None, [])}


def _groups(fields: Fields, *, on_demand: bool) -> list[dict[str, Any]]:
    """Master, core and task nodes: one master, one core node unless it is said otherwise."""
    wants_tasks = fields.text("taskInstanceType") or fields.text("taskInstanceBidPrice")
    counts = {
        "master": 1,
        "core": fields.count("coreInstanceCount", 1),
        "task": fields.count("taskInstanceCount", 1 if wants_tasks else 0),
    }
    groups = []
    for kind, count in counts.items():
        if not count:
            continue
        group: dict[str, Any] = {
            "Name": kind,
            "InstanceRole": kind.upper(),
            "InstanceType": fields.text(f"{kind}InstanceType") or DEFAULT_TYPE,
            "InstanceCount": count,
            **fields.market(f"{kind}InstanceBidPrice", on_demand=on_demand),
        }
        if configurations := fields.configurations(f"{kind}GroupConfiguration"):
            group["Configurations"] = configurations
        if (ebs := fields.ebs(f"{kind}EbsConfiguration")) is not None:
            group["EbsConfiguration"] = ebs
        groups.append(group)
    return groups


def _scheduler_class(fields: Fields) -> str | None:
    kind = fields.text("hadoopSchedulerType")
    if kind is None:
        return None
    if kind.upper() not in _CLASSES:
        raise fields.wrong("hadoopSchedulerType", kind, f"one of {', '.join(_CLASSES)}")
    return _CLASSES[kind.upper()]


def _configurations(fields: Fields, release: _Release) -> list[dict[str, Any]]:
    """Those of the definition, and the scheduler, of which the definition's own may say more."""
    own = fields.configurations("configuration")
    if release.version is None and own:
        raise fields.wrong("configuration", own[0]["Classification"], "releaseLabel with it")
    scheduler = _scheduler_class(fields)
    if scheduler is None or release.version is None:
        return own
    wanted = {_SCHEDULER: scheduler}
    for config in own:
        if config["Classification"] == "yarn-site":
            config["Properties"] = {**wanted, **config["Properties"]}
            return own
    return [*own, {"Classification": "yarn-site", "Properties": wanted}]


def _scheduler_action(fields: Fields, release: _Release) -> list[dict[str, Any]]:
    """How the machines of before releases are told their scheduler."""
    scheduler = _scheduler_class(fields)
    if scheduler is None or release.version is not None:
        return []
    script = {"Path": _OLD_SCRIPTS, "Args": ["-y", f"{_SCHEDULER}={scheduler}"]}
    return [{"Name": "hadoopSchedulerType", "ScriptBootstrapAction": script}]


def _concurrency(fields: Fields, release: _Release) -> dict[str, Any]:
    """Steps side by side, as the parallel schedulers are for."""
    if _scheduler_class(fields) is None or not release.can_run_steps_in_parallel:
        return {}
    return {"StepConcurrencyLevel": _PARALLEL_STEPS}


def _first_steps(fields: Fields, release: _Release, logs: str | None) -> list[dict[str, Any]]:
    """What sets up EMR's own view of logs, where that is asked for."""
    text = (fields.text("enableDebugging") or "false").lower()
    if text not in {"true", "false"}:
        raise fields.wrong("enableDebugging", text, "true or false")
    if text == "false":
        return []
    if logs is None:
        raise fields.wrong("enableDebugging", text, "emrLogUri or pipelineLogUri beside it")
    jar = {"Jar": COMMAND_RUNNER, "Args": ["state-pusher-script"]}
    if release.version is None:
        jar = {"Jar": _OLD_RUNNER, "Args": [_OLD_DEBUGGING]}
    return [{"Name": "enableDebugging", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}]


def _programs(fields: Fields, release: _Release) -> dict[str, Any]:
    """What is installed on the nodes."""
    applications, products = fields.named("applications"), fields.named("supportedProducts")
    if release.version is None:
        if applications:
            raise fields.wrong("applications", applications[0]["Name"], "releaseLabel with it")
        return {"NewSupportedProducts": products}
    if not fields.texts("applications"):
        applications = [{"Name": name} for name in DEFAULT_APPLICATIONS]
    known = {each["Name"].lower() for each in applications}
    if fields.text("installHive") and "hive" not in known:
        applications.append({"Name": "Hive"})
    return {"Applications": [*applications, *products]}


def _last_defence(wanted: Launch, release: _Release) -> dict[str, Any]:
    """How long a cluster may be idle: no service may be left that would end it."""
    if not release.can_end_itself:
        return {}
    after = wanted.policy.terminate_after
    idle = IDLE if after is None else after + _MARGIN
    seconds = min(max(math.ceil(idle.total_seconds()), _LEAST_IDLE_S), _MOST_IDLE_S)
    return {"AutoTerminationPolicy": {"IdleTimeout": seconds}}


def _tags(wanted: Launch) -> list[dict[str, str]]:
    """The pipeline's tags, and what says whose the cluster is."""
    row = wanted.row
    own = {_PIPELINE_TAG: row.pipeline_id, _RESOURCE_TAG: row.instance_id}
    # AWS keeps tags that begin so to itself.
    theirs = {k: v for k, v in wanted.tags.items() if not k.lower().startswith("aws:")}
    tags = {**theirs, **own}
    # What says whose it is is kept when there are too many.
    kept = list(tags.items())[-(_MOST_TAGS - 1) :]
    return [{"Key": k[:_LONGEST_KEY], "Value": v[:_LONGEST_VALUE]} for k, v in kept]


def _folder(uri: str) -> str:
    if "://" not in uri:
        raise ResourceFailure(f"found {uri!r} for logs, wanted s3://BUCKET/FOLDER", permanent=True)
    return uri if uri.endswith("/") else f"{uri}/"
