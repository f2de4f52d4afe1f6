"""What the tests of this room share: an object store in memory, a monitor, a log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from taskrunner.data.objects.base import ObjectStore
from taskrunner.testing import ActivityEnvironment


class Watch:
    """A monitor that remembers what it was told."""

    def __init__(self) -> None:
        self.told: dict[str, str | int] = {}
        self.log = logging.getLogger("tests.dynamodb")

    def progress(self, **fields: str | int) -> None:
        self.told.update(fields)

    def check_canceled(self) -> None:
        pass


@pytest.fixture
def environment() -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment() as made:
        yield made


@pytest.fixture
def objects(environment: ActivityEnvironment) -> ObjectStore:
    return environment.objects


@pytest.fixture
def watch() -> Watch:
    return Watch()
