from __future__ import annotations

from typing import Any

import pytest

from taskrunner.agent.attempt_process.proxies import proxy_variables
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Ref
from taskrunner.model.task import Task
from tests.unit.agent.fakes import make_object, make_task


def on(kind: str, **fields: Any) -> Task:
    """A task on a resource with a proxy of these fields."""
    proxy = make_object("Proxy", {"type": "HttpProxy", **fields})
    resource = make_object("R", {"type": kind, "httpProxy": Ref("Proxy")})
    return make_task({"runsOn": Ref("R")}, resource, proxy)


@pytest.mark.parametrize("kind", ["Ec2Resource", "EmrCluster"])
def test_the_proxy_is_in_the_variables_that_tools_read(kind: str) -> None:
    fields = {"hostname": "proxy.corp", "port": "3128", "username": "me", "*password": "p/w"}
    found = proxy_variables(on(kind, **fields), {"no_proxy": "intra.corp, "}, DataSettings())
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    assert {found[name] for name in names} == {"http://me:p%2Fw@proxy.corp:3128"}
    assert found["no_proxy"] == found["NO_PROXY"]
    straight = found["no_proxy"].split(",")
    assert straight[0] == "intra.corp"
    assert {"localhost", "169.254.169.254"} <= {*straight}
    assert "s3.amazonaws.com" not in straight


def test_without_a_proxy_nothing_is_set() -> None:
    plain = make_object("R", {"type": "Ec2Resource"})
    for task in (make_task({}), make_task({"runsOn": Ref("R")}, plain)):
        assert proxy_variables(task, {"no_proxy": "x"}, DataSettings()) == {}


def test_s3_may_be_reached_without_it() -> None:
    task = on("Ec2Resource", hostname="h", s3NoProxy="true")
    settings = DataSettings(region="eu-west-1", s3_endpoint="https://objects.corp:9000")
    found = proxy_variables(task, {"AWS_REGION": "us-east-2"}, settings)
    assert found["https_proxy"] == "http://h:8080"
    wanted = {"s3.amazonaws.com", "s3.eu-west-1.amazonaws.com", "s3.us-east-2.amazonaws.com"}
    assert wanted | {"objects.corp"} <= {*found["no_proxy"].split(",")}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "HttpProxy 'Proxy' has no value for the field 'hostname'"),
        ({"hostname": "http://h"}, "field 'hostname': found 'http://h', wanted the name"),
        ({"hostname": "h", "port": "web"}, "field 'port': found 'web', wanted a number"),
        ({"hostname": "h", "port": "70000"}, "field 'port': found '70000', wanted a number"),
        ({"hostname": "h", "s3NoProxy": "no"}, "'s3NoProxy': found 'no', wanted true or false"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told(fields: dict[str, str], problem: str) -> None:
    with pytest.raises(PermanentTaskError) as caught:
        proxy_variables(on("Ec2Resource", **fields), {}, DataSettings())
    assert problem in str(caught.value)
    assert caught.value.error_id == ErrorId.INVALID_FIELD
