from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.agent.ec2.host import Ec2Host, find_host, firmware_says_ec2
from taskrunner.agent.ec2.imds import Metadata, NoMetadata, metadata_endpoint
from taskrunner.errors import ConfigError
from taskrunner.testing import FakeClock
from taskrunner.wire.api import InstanceIdentity
from tests.unit.agent.ec2.metadata import TOKEN_PATH, FakeTransport

IDENTITY = {
    "/latest/dynamic/instance-identity/document": '{"instanceId": "i-1"}',
    "/latest/dynamic/instance-identity/signature": "c2ln\nbmVk",
}


class Bench:
    def __init__(self, **values: str) -> None:
        self.transport, self.clock = FakeTransport({"/x": "1", **values}), FakeClock()
        self.metadata = Metadata(self.transport, self.clock)


def test_one_token_serves_many_reads_each_within_a_second() -> None:
    bench = Bench()
    assert [bench.metadata.get("/x") for _ in range(3)] == ["1", "1", "1"]
    assert bench.metadata.get("/none") is None
    assert bench.transport.asked == [f"PUT {TOKEN_PATH}", *["GET /x"] * 3, "GET /none"]
    assert bench.transport.deadlines == {1.0}


def test_a_token_is_renewed_before_it_expires() -> None:
    bench = Bench()
    bench.metadata.get("/x")
    bench.clock.advance(19_000)
    bench.metadata.get("/x")
    assert bench.transport.tokens == 1
    bench.clock.advance(1_000)
    bench.metadata.get("/x")
    assert bench.transport.tokens == 2


def test_a_token_that_is_refused_is_replaced_at_once_and_only_once() -> None:
    bench = Bench()
    bench.metadata.get("/x")
    bench.transport.valid.clear()
    assert bench.metadata.get("/x") == "1"
    assert bench.transport.tokens == 2
    bench.transport.statuses["/x"] = 401
    with pytest.raises(NoMetadata, match="401"):
        bench.metadata.get("/x")
    assert bench.transport.tokens == 3


def test_version_1_is_never_fallen_back_to() -> None:
    bench = Bench()
    bench.transport.statuses[TOKEN_PATH] = 403
    with pytest.raises(NoMetadata, match="HTTP 403 to PUT token"):
        bench.metadata.get("/x")
    assert bench.transport.asked == [f"PUT {TOKEN_PATH}"]


def test_a_token_that_does_not_arrive_speaks_of_the_hop_limit() -> None:
    bench = Bench()
    bench.transport.failures["PUT"] = "no whole answer within 1 s"
    with pytest.raises(NoMetadata, match="HttpPutResponseHopLimit"):
        bench.metadata.get("/x")


def test_an_error_of_the_service_is_no_missing_value() -> None:
    bench = Bench()
    bench.transport.statuses["/x"] = 503
    with pytest.raises(NoMetadata, match="503"):
        bench.metadata.get("/x")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://169.254.169.254"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, "http://[fd00:ec2::254]"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:99/"}, "http://127.0.0.1:99"),
        ({"AWS_EC2_METADATA_DISABLED": "True"}, "None"),
    ],
)
def test_the_variables_of_the_sdks_say_where_it_is(environ: dict[str, str], url: str) -> None:
    assert str(metadata_endpoint(environ)) == url


def test_an_address_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="AWS_EC2_METADATA_SERVICE_ENDPOINT: "):
        metadata_endpoint({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "169.254.169.254"})


def test_identity_and_name_are_read_once() -> None:
    bench = Bench(**IDENTITY, **{"/latest/meta-data/public-hostname": "ec2-1.amazonaws.com\n"})
    host = Ec2Host(bench.metadata, bench.clock)
    host.read()
    assert host.identity() == InstanceIdentity(
        document='{"instanceId": "i-1"}', signature="c2ln\nbmVk"
    )
    assert host.hostname == "ec2-1.amazonaws.com"
    asked = len(bench.transport.asked)
    bench.clock.advance(3600)
    host.read()
    assert len(bench.transport.asked) == asked


def test_a_host_without_a_public_name_has_its_private_one() -> None:
    names = {"/latest/meta-data/public-hostname": "", "/latest/meta-data/local-hostname": "ip-10"}
    bench = Bench(**IDENTITY, **names)
    host = Ec2Host(bench.metadata, bench.clock)
    host.read()
    assert host.hostname == "ip-10"


def test_an_identity_that_could_not_be_read_costs_one_try_a_minute() -> None:
    bench = Bench(**IDENTITY)
    bench.transport.failures["PUT"] = "no connection could be made"
    host = Ec2Host(bench.metadata, bench.clock)
    for _ in range(59):
        host.read()
        bench.clock.advance(1)
    assert bench.transport.asked == [f"PUT {TOKEN_PATH}"]
    assert host.identity() is None
    bench.transport.failures.clear()
    bench.clock.advance(1)
    host.read()
    assert host.identity() is not None


def test_an_identity_that_the_api_would_refuse_is_not_sent() -> None:
    document = {"/latest/dynamic/instance-identity/document": "x" * 1025}
    bench = Bench(**{**IDENTITY, **document})
    host = Ec2Host(bench.metadata, bench.clock)
    host.read()
    assert host.identity() is None


@pytest.mark.parametrize(
    ("path", "text", "ec2"),
    [
        ("class/dmi/id/sys_vendor", "Amazon EC2\n", True),
        ("class/dmi/id/sys_vendor", "QEMU\n", False),
        ("hypervisor/uuid", "EC2E1916-9099-7CAF-FD21-012345ABCDEF\n", True),
        ("hypervisor/uuid", "ab2e1916-9099-7caf\n", False),
    ],
)
def test_the_firmware_tells_whether_this_is_ec2(
    tmp_path: Path, path: str, text: str, ec2: bool
) -> None:
    assert firmware_says_ec2(tmp_path) is False
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert firmware_says_ec2(tmp_path) is ec2


@pytest.mark.parametrize(
    ("mode", "environ"),
    [
        ("off", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}),
        ("on", {"AWS_EC2_METADATA_DISABLED": "true"}),
        ("auto", {"AWS_EC2_METADATA_DISABLED": "true"}),
    ],
)
def test_a_host_that_is_not_to_be_asked_is_not(mode: str, environ: dict[str, str]) -> None:
    assert find_host(mode, environ, FakeClock()) is None
