"""What the tests of whole agents share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.integration.agent_harness import FakeService

if TYPE_CHECKING:
    from tests.s3_line import S3Line


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A stand-in for the service, for the agents of one test."""
    fake = FakeService()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def one_line(s3_endpoint: str) -> Iterator[S3Line]:
    from tests.s3_line import s3_line  # few tests need what it imports

    with s3_line(s3_endpoint) as line:
        yield line


@pytest.fixture
def line(one_line: S3Line) -> S3Line:
    """A line to S3 on which nothing is changed yet."""
    one_line.reset()
    return one_line
