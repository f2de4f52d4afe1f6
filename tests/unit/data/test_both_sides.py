"""Rows and checksums of both sides."""

from __future__ import annotations

import hashlib
import logging
import zlib
from dataclasses import dataclass

import pytest

from taskrunner.data.both_sides import BothSides, Etags, TextSum

SUM = hashlib.md5(b"aa\nbb-2\n", usedforsecurity=False).hexdigest()
CRC = zlib.crc32(b"one\ntwo\n")


@dataclass(frozen=True, slots=True)
class Stream:
    etag: str


def test_one_object_has_its_etag_and_several_the_sum_of_theirs() -> None:
    etags = Etags()
    assert str(etags) == ""
    etags.add("s3://b/1", Stream("aa"))
    etags.add("s3://b/1", Stream("aa"))  # opened again
    assert str(etags) == "etag:aa"
    etags.add("s3://b/2", Stream("bb-2"))
    assert str(etags) == f"md5:{SUM} of 2 etags"
    # One without is one of which nothing is known.
    etags.add("s3://b/3", object())
    assert str(etags) == ""


def test_a_file_that_is_opened_again_counts_once() -> None:
    text = TextSum()
    for uri, data in (("a", b"one\n"), ("b", b"tw"), ("b", b"two\n")):
        assert b"".join(text.passed(uri, [data[:2], data[2:]])) == data
    assert str(text) == f"crc32:{CRC:08x}"


def test_what_is_not_known_is_not_told() -> None:
    assert BothSides().told() == {}
    assert BothSides(source_rows=0, target_rows=0, target_checksum="etag:x").told() == {
        "sourceRows": 0,
        "targetRows": 0,
        "targetChecksum": "etag:x",
    }


def test_rows_that_the_server_did_not_take_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        BothSides().took(3, sent=3, table="orders")
        assert caplog.messages == []
        sides = BothSides()
        sides.took(2, sent=3, table="orders")
    assert sides.told() == {"sourceRows": 3, "targetRows": 2}
    assert "orders: 3 rows were sent, and the server says that it took 2" in caplog.text
