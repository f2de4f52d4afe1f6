"""A share that follows the table's capacity."""

from __future__ import annotations

import logging

import pytest

from taskrunner.data.dynamodb.calls import Named, Refused
from taskrunner.data.dynamodb.capacity import HeldShare
from taskrunner.data.dynamodb.table import described
from taskrunner.testing import FakeClock
from tests.unit.data.dynamodb.fake import FakeDynamoDB

LOG = logging.getLogger("tests.dynamodb")
USERS = Named(table="users", owner="here")


def held(server: FakeDynamoDB, clock: FakeClock, *, write: bool = False) -> HeldShare:
    table = described(server, USERS)
    return HeldShare(server, table, 0.25, write=write, log=LOG, clock=clock)


def test_a_share_of_reads_and_of_writes() -> None:
    server = FakeDynamoDB(read=100, write=40)
    assert str(held(server, FakeClock())) == "25 read units a second (0.25 of 100)"
    writes = held(server, FakeClock(), write=True)
    assert str(writes) == "10 write units a second (0.25 of 40)"
    assert writes.limiter.rate == 10


def test_it_follows_the_table_every_few_minutes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server, clock = FakeDynamoDB(read=100), FakeClock()
    share = held(server, clock)
    server.read_units = 400
    clock.advance(299)
    share.look_again()
    assert share.limiter.rate == 25
    clock.advance(1)
    share.look_again()
    assert share.limiter.rate == 100
    assert "has another capacity: going on at 100 read units a second (0.25 of 400)" in caplog.text
    share.look_again()
    assert [name for name, _ in server.calls] == ["DescribeTable"] * 2


def test_a_look_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    server, clock = FakeDynamoDB(read=100), FakeClock()
    share = held(server, clock)

    def refuse(*_: object) -> None:
        raise Refused("AccessDeniedException", "no more")

    server.before = refuse
    clock.advance(300)
    share.look_again()
    assert share.limiter.rate == 25
    assert "could not be looked at again" in caplog.text
