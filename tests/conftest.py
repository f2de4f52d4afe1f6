"""Fixtures for every level of tests: real servers, started when first asked for, once a session."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import FrameType

import boto3
import hypothesis
import pytest

from tests import servers

# A busy machine is no defect: no test judges by time. CI tries the same examples each time.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    max_examples=50,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")


def pytest_configure() -> None:
    """Make the session safe: SIGTERM ends it as Ctrl-C does, and nothing can reach real AWS."""
    signal.signal(signal.SIGTERM, _interrupt)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        # A shell that starts us in the background has them ignored, and so would what we start.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        NO_PROXY="127.0.0.1,localhost",
        no_proxy="127.0.0.1,localhost",
    )


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a running PostgreSQL server; tests share its database, so clean up after you."""
    yield from _started(servers.postgresql)


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """The URL (mysql://) of a running MariaDB server; tests share its database."""
    yield from _started(servers.mariadb)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The endpoint URL of a running S3 server (moto; it answers SNS, SQS and RDS as well)."""
    yield from _started(servers.moto)


@pytest.fixture(scope="session")
def sns_endpoint(s3_endpoint: str) -> str:
    """The endpoint URL of a running SNS server."""
    return s3_endpoint


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    with servers.postgresql_database(postgresql_url) as url:
        yield url


@pytest.fixture
def mariadb_database(mariadb_url: str) -> Iterator[str]:
    """The URL of a fresh, empty MariaDB database."""
    with servers.mariadb_database(mariadb_url) as url:
        yield url


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> str:
    """The name of a fresh, empty bucket at `s3_endpoint`."""
    name = f"bucket-{secrets.token_hex(6)}"
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    try:
        client.create_bucket(Bucket=name)
    finally:
        client.close()
    return name


def _started(server: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """Start a server; without its programs the test is skipped, and fails where CI=true."""
    context = server()
    try:
        url = context.__enter__()
    except servers.ServerMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    try:
        yield url
    finally:
        context.__exit__(None, None, None)
