"""What an EmrCluster's fields make of the request to EMR, which botocore's own model judges."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from taskrunner.model.policy import Policy
from taskrunner.model.reader import read_definition
from taskrunner.service.resources.base import Launch, ResourceBusy, ResourceFailure
from taskrunner.service.resources.emr.cluster import Cluster, cluster_name, mark_in
from taskrunner.service.resources.emr.faults import Answer, failure
from tests.unit.cli.pictures import instance
from tests.unit.service.worlds import ref, refs

SG = "sg-01XXXX6a"
P = ref("P")
ROLES = {"role": "DataPipelineDefaultRole", "resourceRole": "DataPipelineDefaultResourceRole"}


def wanted(*objects: dict[str, Any], failures: int = 0, **fields: Any) -> Launch:
    own = {"id": "C", "type": "EmrCluster", **fields}
    found = {obj.id: obj for obj in read_definition(json.dumps({"objects": [own, *objects]}))}
    row = instance("C", "CREATING", category="resource", type="EmrCluster", failures=failures)
    policy = Policy.of(found["C"].string, at=row.scheduled_start)
    return Launch(
        row=row,
        fields=found.pop("C"),
        referred=found,
        policy=policy,
        account="1",
        pipeline="nightly",
        tags={"team": "data", "aws:x": "no"},
    )


@pytest.fixture(scope="module")
def shape() -> Any:
    model = botocore.session.get_session().get_service_model("emr")
    return model.operation_model("RunJobFlow").input_shape


def request(shape: Any, *objects: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The request, which has to be one."""
    found = Cluster.of(wanted(*objects, **fields), region="us-east-1").marked("c-1")
    report = ParamValidator().validate(found, shape)
    assert not report.has_errors(), report.generate_report()
    return found


def refused(*objects: dict[str, Any], **fields: Any) -> str:
    with pytest.raises(ResourceFailure) as caught:
        Cluster.of(wanted(*objects, **fields), region="us-east-1")
    assert caught.value.permanent
    return str(caught.value)


def test_a_definition_that_says_nothing_gets_a_master_and_a_core_node(shape: Any) -> None:
    assert request(shape) == {
        "Name": "nightly/C [c-1]",
        "ReleaseLabel": "emr-7.5.0",
        "Applications": [{"Name": "Hive"}, {"Name": "Pig"}],
        "Instances": {
            "InstanceGroups": [
                {
                    "Name": name,
                    "InstanceRole": name.upper(),
                    "InstanceType": "m5.xlarge",
                    "InstanceCount": 1,
                    "Market": "ON_DEMAND",
                }
                for name in ("master", "core")
            ],
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
        },
        "ServiceRole": "EMR_DefaultRole",
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "VisibleToAllUsers": True,
        "AutoTerminationPolicy": {"IdleTimeout": 12 * 3600},
        "Tags": [
            {"Key": "team", "Value": "data"},
            {"Key": "taskrunner:pipeline", "Value": "df-1"},
            {"Key": "taskrunner:resource", "Value": "@C_2026-02-13T02:00:00"},
            {"Key": "taskrunner:cluster", "Value": "c-1"},
        ],
    }


def test_nodes_are_of_types_numbers_and_prices(shape: Any) -> None:
    found = request(
        shape,
        masterInstanceType="m5.large",
        masterInstanceBidPrice="OnDemandPrice",
        coreInstanceType="r5.xlarge",
        coreInstanceCount="4",
        coreInstanceBidPrice="0.25",
        taskInstanceType="c5.xlarge",
        taskInstanceCount="10",
    )
    groups = found["Instances"]["InstanceGroups"]
    assert [
        (g["InstanceRole"], g["InstanceType"], g["InstanceCount"], g["Market"], g.get("BidPrice"))
        for g in groups
    ] == [
        ("MASTER", "m5.large", 1, "SPOT", None),
        ("CORE", "r5.xlarge", 4, "SPOT", "0.25"),
        ("TASK", "c5.xlarge", 10, "ON_DEMAND", None),
    ]
    alone = request(shape, coreInstanceCount="0")["Instances"]["InstanceGroups"]
    assert [group["InstanceRole"] for group in alone] == ["MASTER"]


def test_the_last_try_is_on_demand_where_the_definition_says_so() -> None:
    fields = {"coreInstanceBidPrice": "0.1", "maximumRetries": "1"}
    for failures, useful, market in ((0, "true", "SPOT"), (1, "true", "ON_DEMAND")):
        launch = wanted(failures=failures, useOnDemandOnLastAttempt=useful, **fields)
        groups = Cluster.of(launch, region="r").request["Instances"]["InstanceGroups"]
        assert groups[1]["Market"] == market
    launch = wanted(failures=1, **fields)
    groups = Cluster.of(launch, region="r").request["Instances"]["InstanceGroups"]
    assert groups[1]["Market"] == "SPOT"


def test_network_keys_and_roles_are_as_they_are(shape: Any) -> None:
    found = request(
        shape,
        keyPair="ops",
        subnetId="subnet-1",
        emrManagedMasterSecurityGroupId=f"{SG}1",
        emrManagedSlaveSecurityGroupId=f"{SG}2",
        serviceAccessSecurityGroupId=f"{SG}3",
        additionalMasterSecurityGroupIds=[f"{SG}4", f"{SG}5"],
        additionalSlaveSecurityGroupIds=f"{SG}6",
        visibleToAllUsers="false",
        **ROLES,
    )
    instances = found["Instances"]
    assert instances["Ec2KeyName"] == "ops"
    assert instances["Ec2SubnetId"] == "subnet-1"
    groups = [
        instances[key]
        for key in (
            *("EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup"),
            *("ServiceAccessSecurityGroup", "AdditionalMasterSecurityGroups"),
            "AdditionalSlaveSecurityGroups",
        )
    ]
    assert groups == [f"{SG}1", f"{SG}2", f"{SG}3", [f"{SG}4", f"{SG}5"], [f"{SG}6"]]
    assert (found["ServiceRole"], found["JobFlowRole"]) == tuple(ROLES.values())
    assert found["VisibleToAllUsers"] is False
    zone = request(shape, availabilityZone="eu-west-1b")["Instances"]["Placement"]
    assert zone == {"AvailabilityZone": "eu-west-1b"}


def test_configurations_are_trees_of_classifications(shape: Any) -> None:
    found = request(
        shape,
        {
            "id": "Env",
            "type": "EmrConfiguration",
            "classification": "hadoop-env",
            "configuration": ref("Export"),
        },
        {
            "id": "Export",
            "type": "EmrConfiguration",
            "classification": "export",
            "property": refs("Heap", "Nodes"),
        },
        {"id": "Heap", "type": "Property", "key": "HEAP", "value": "2048"},
        {"id": "Nodes", "type": "Property", "key": "OPTS", "value": "-server"},
        {
            "id": "Spark",
            "type": "EmrConfiguration",
            "classification": "spark",
            "property": ref("Heap"),
        },
        configuration=refs("Env", "Spark"),
        coreGroupConfiguration=ref("Spark"),
    )
    exported = {"Classification": "export", "Properties": {"HEAP": "2048", "OPTS": "-server"}}
    spark = {"Classification": "spark", "Properties": {"HEAP": "2048"}}
    assert found["Configurations"] == [
        {"Classification": "hadoop-env", "Properties": {}, "Configurations": [exported]},
        spark,
    ]
    assert found["Instances"]["InstanceGroups"][1]["Configurations"] == [spark]


def test_volumes_belong_to_a_group(shape: Any) -> None:
    found = request(
        shape,
        {
            "id": "Ebs",
            "type": "EbsConfiguration",
            "ebsOptimized": "true",
            "ebsBlockDeviceConfig": ref("Disks"),
        },
        {
            "id": "Disks",
            "type": "EbsBlockDeviceConfig",
            "volumesPerInstance": "2",
            "volumeSpecification": ref("Disk"),
        },
        {
            "id": "Disk",
            "type": "VolumeSpecification",
            "sizeInGB": "500",
            "volumeType": "io1",
            "iops": "1000",
        },
        coreEbsConfiguration=ref("Ebs"),
    )
    master, core = found["Instances"]["InstanceGroups"]
    assert "EbsConfiguration" not in master
    volume = {"VolumeType": "io1", "SizeInGB": 500, "Iops": 1000}
    assert core["EbsConfiguration"] == {
        "EbsOptimized": True,
        "EbsBlockDeviceConfigs": [{"VolumeSpecification": volume, "VolumesPerInstance": 2}],
    }


def test_scripts_and_programs_are_installed_with_their_arguments(shape: Any) -> None:
    found = request(
        shape,
        bootstrapAction=["s3://b/one.sh,-a,x\\\\,y", "s3://b/two.sh"],
        applications=["spark", "Ganglia"],
        supportedProducts="mapr,--edition,m5",
        installHive="latest",
    )
    assert [action["ScriptBootstrapAction"] for action in found["BootstrapActions"]] == [
        {"Path": "s3://b/one.sh", "Args": ["-a", "x,y"]},
        {"Path": "s3://b/two.sh", "Args": []},
    ]
    assert found["Applications"] == [
        {"Name": "spark"},
        {"Name": "Ganglia"},
        {"Name": "Hive"},
        {"Name": "mapr", "Args": ["--edition", "m5"]},
    ]


def test_parallel_schedulers_run_steps_side_by_side(shape: Any) -> None:
    yarn = {
        "id": "Yarn",
        "type": "EmrConfiguration",
        "classification": "yarn-site",
        "property": ref("P"),
    }
    prop = {"id": "P", "type": "Property", "key": "yarn.x", "value": "1"}
    found = request(
        shape,
        yarn,
        prop,
        hadoopSchedulerType="PARALLEL_FAIR_SCHEDULING",
        configuration=ref("Yarn"),
    )
    (site,) = found["Configurations"]
    assert site["Properties"]["yarn.resourcemanager.scheduler.class"].endswith(".FairScheduler")
    assert site["Properties"]["yarn.x"] == "1"
    assert found["StepConcurrencyLevel"] == 10
    (site,) = request(shape, hadoopSchedulerType="PARALLEL_CAPACITY_SCHEDULING")["Configurations"]
    assert site["Properties"]["yarn.resourcemanager.scheduler.class"].endswith("CapacityScheduler")
    plain = request(shape, hadoopSchedulerType="DEFAULT_SCHEDULER")
    assert "Configurations" not in plain
    assert "StepConcurrencyLevel" not in plain


def test_logs_go_to_s3_and_debugging_needs_them(shape: Any) -> None:
    found = request(shape, pipelineLogUri="s3://logs/all", enableDebugging="true")
    assert found["LogUri"] == "s3://logs/all/"
    assert found["Steps"][0]["HadoopJarStep"]["Args"] == ["state-pusher-script"]
    own = request(shape, pipelineLogUri="s3://logs/all", emrLogUri="s3://logs/emr/")
    assert (own["LogUri"], "Steps" in own) == ("s3://logs/emr/", False)
    assert "wanted emrLogUri or pipelineLogUri beside it" in refused(enableDebugging="true")


def test_what_was_before_releases_is_told_in_its_own_ways(shape: Any) -> None:
    found = request(
        shape,
        amiVersion="3.11",
        hadoopVersion="2.x",
        supportedProducts="mapr-m3",
        hadoopSchedulerType="PARALLEL_FAIR_SCHEDULING",
        emrLogUri="s3://logs/emr/",
        enableDebugging="true",
    )
    assert (found["AmiVersion"], found["Instances"]["HadoopVersion"]) == ("3.11", "2.x")
    assert found["NewSupportedProducts"] == [{"Name": "mapr-m3"}]
    (action,) = found["BootstrapActions"]
    assert action["ScriptBootstrapAction"]["Args"][1].endswith(".FairScheduler")
    assert found["Steps"][0]["HadoopJarStep"]["Jar"].endswith("/script-runner.jar")
    # Such a cluster does not end by itself: EMR refuses what says that it should.
    absent = {"ReleaseLabel", "Applications", "AutoTerminationPolicy", "Configurations"}
    assert not absent & found.keys()


@pytest.mark.parametrize(
    ("release", "ends"),
    [
        ("emr-5.29.0", False),
        ("emr-5.30.0", True),
        ("emr-6.0.1", False),
        ("emr-6.1.0", True),
        ("emr-7.10.0", True),
    ],
)
def test_a_release_that_can_ends_by_itself_once_it_is_idle(
    shape: Any, release: str, ends: bool
) -> None:
    assert ("AutoTerminationPolicy" in request(shape, releaseLabel=release)) == ends


def test_idleness_is_within_what_emr_takes(shape: Any) -> None:
    for after, seconds in (("2 hours", 7500), ("3 weeks", 604_800), ("1 second", 301)):
        policy = request(shape, terminateAfter=after)["AutoTerminationPolicy"]
        assert policy == {"IdleTimeout": seconds}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"coreInstanceCount": "many"}, "field coreInstanceCount: found 'many', wanted a number"),
        ({"coreInstanceBidPrice": "cheap"}, "field coreInstanceBidPrice: found 'cheap', wanted a"),
        ({"coreInstanceBidPrice": "0"}, "field coreInstanceBidPrice: found '0', wanted a price"),
        ({"releaseLabel": "7.5"}, "field releaseLabel: found '7.5', wanted a release such as emr-"),
        ({"enableDebugging": "yes"}, "field enableDebugging: found 'yes', wanted true or false"),
        ({"visibleToAllUsers": "all"}, "field visibleToAllUsers: found 'all', wanted true or"),
        ({"bootstrapAction": "x.sh"}, "field bootstrapAction: found 'x.sh', wanted s3://BUCKET/"),
        ({"applications": ",x"}, "field applications: found ',x', wanted NAME or NAME,ARGUMENT"),
        ({"hadoopSchedulerType": "FAIR"}, "field hadoopSchedulerType: found 'FAIR', wanted one"),
        ({"amiVersion": "3.1", "applications": "Hive"}, "applications: found 'Hive', wanted rele"),
        ({"configuration": ref("None")}, "field configuration: found 'None', wanted an object"),
        ({"emrLogUri": "logs"}, "found 'logs' for logs, wanted s3://BUCKET/FOLDER"),
    ],
)
def test_a_field_that_cannot_be_right_is_told_before_emr_is_asked(
    fields: dict[str, Any], said: str
) -> None:
    assert said in refused(**fields)


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        (
            [{"id": "E", "type": "EmrConfiguration", "configuration": ref("E")}],
            "field configuration: found 'E', wanted no EmrConfiguration that holds itself",
        ),
        ([{"id": "E", "type": "EmrConfiguration"}], "EmrConfiguration 'E' has no 'classification'"),
        (
            [
                {
                    "id": "E",
                    "type": "EmrConfiguration",
                    "classification": "x",
                    "property": ref("P"),
                },
                {"id": "P", "type": "Property", "key": "k"},
            ],
            "Property 'P' has no 'value'",
        ),
    ],
)
def test_a_configuration_that_cannot_be_right_is_told(
    objects: list[dict[str, Any]], said: str
) -> None:
    assert said in refused(*objects, configuration=ref("E"))


def test_volumes_without_a_size_are_told() -> None:
    ebs = {"id": "E", "type": "EbsConfiguration", "ebsBlockDeviceConfig": ref("D")}
    device = {"id": "D", "type": "EbsBlockDeviceConfig"}
    assert "found 'D', wanted an EbsBlockDeviceConfig with volumeSpecification" in refused(
        ebs, device, masterEbsConfiguration=ref("E")
    )
    volume = {"id": "V", "type": "VolumeSpecification", "sizeInGB": "big"}
    said = "VolumeSpecification 'V', field sizeInGB: found 'big', wanted a number above 0"
    full = {**device, "volumeSpecification": ref("V")}
    assert refused(ebs, full, volume, masterEbsConfiguration=ref("E")) == said


def test_a_name_keeps_its_mark_however_long_it_is() -> None:
    for title in ("a/b", "x" * 300, "line\nend", "x [c-other]"):
        name = cluster_name(title, "c-0123")
        assert mark_in(name) == "c-0123"
        assert len(name) <= 256
        assert name.isprintable()
    assert mark_in("nightly/C") is None


@pytest.mark.parametrize(
    ("answer", "said", "permanent"),
    [
        (
            ("ValidationException", "Instance type 'm9.x' is not supported."),
            "masterInstanceT",
            True,
        ),
        (("ValidationException", "Something else"), "EMR does not take it as it is", True),
        (("AccessDeniedException", "no"), "allow elasticmapreduce:RunJobFlow to its AWS", True),
        (("ExpiredTokenException", "old"), "credentials are not taken: renew them", False),
        (("ValidationException", "exceeds the limit"), "a limit of the account is reached", False),
    ],
)
def test_an_answer_is_told_with_what_to_do(
    answer: tuple[str, str], said: str, permanent: bool
) -> None:
    given = Answer(code=answer[0], message=answer[1], call="elasticmapreduce:RunJobFlow")
    found = failure(given, name="EmrCluster 'C'", region="us-east-1", fields={})
    assert isinstance(found, ResourceFailure)
    assert said in str(found)
    assert (found.permanent, found.wait) == (permanent, not permanent)


def test_an_emr_that_fails_is_asked_again() -> None:
    given = Answer(code="InternalServerError", message="x", call="c", status=500)
    assert given.is_undecided
    assert isinstance(failure(given, name="n", region="r", fields={}), ResourceBusy)
