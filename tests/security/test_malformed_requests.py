"""T13, T15, T16: requests that are wrong in one thing are refused, and nothing comes of them."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.chaos.scale import is_full
from tests.security.malformed_requests import is_as_declared, rows
from tests.security.served import Raw, Served, served

#: The least that there are, by the issue that asked for them.
LEAST = 158
EXAMPLES = 50_000 if is_full() else 100


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    """One service for all of them: what harms it shows in those that come later."""
    with served() as running:
        yield running


def test_each_is_refused_and_nothing_comes_of_it(
    service: Served, caplog: pytest.LogCaptureFixture
) -> None:
    before = service.pipelines()
    wrong: dict[str, object] = {}
    seen: Counter[int | None] = Counter()
    with capture_logs() as log:
        for name, raw in rows(service):
            status, reply = service.sent(raw)
            seen[status] += 1
            if not (_is_refusal(status, reply) and is_as_declared(name, status, reply)):
                wrong[name] = (status, reply[:200])
    assert not wrong, "\n".join(f"{name}: {answer}" for name, answer in wrong.items())
    assert seen.total() >= LEAST, seen
    assert seen[413] < 10, seen
    assert seen.keys() >= {None, 400, 405, 408, 413, 421}, seen
    assert _failures(log, caplog) == []
    assert service.pipelines() == before
    # Each of them was like this one, but for one thing.
    assert service.sent(service.create())[0] == 200
    assert len(service.pipelines()) == len(before) + 1


def _failures(log: Sequence[Mapping[str, object]], caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the service, or the HTTP library, has logged of failures of their own."""
    ours = [str(record) for record in log if record["log_level"] in {"error", "critical"}]
    theirs = [record for record in caplog.records if record.levelno >= logging.ERROR]
    return ours + [f"{record.getMessage()} {record.exc_info}" for record in theirs]


def _is_refusal(status: int | None, reply: bytes) -> bool:
    """Closed without a word, or a fault that is the client's; of this API where it can be."""
    if status is None or (400 <= status < 500 and not reply.startswith(b"{")):
        return True
    told = json.loads(reply)
    return 400 <= status < 500 and bool(told["__type"]) and bool(told["message"])


@st.composite
def damage(draw: st.DrawFn) -> list[tuple[str, int, bytes]]:
    """What to do to the bytes of a request, at which of them."""
    kinds = st.sampled_from(["drop", "put", "put", "repeat", "cut"])
    bits = st.sampled_from(
        [b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b",", b";", b"0", b"{", b'"', b"\xff",
         b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n", b"host: x\r\n", b"\r\n\r\n"]
    ) | st.binary(min_size=1, max_size=6)  # fmt: skip
    places = st.integers(0, 2000)
    return draw(st.lists(st.tuples(kinds, places, bits), min_size=1, max_size=4))


def damaged(data: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, bit in changes:
        at = place % (len(data) + 1)
        if kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + len(bit) :]
        elif kind == "repeat":
            data = data[:at] + data[max(0, at - 20) :]
        else:
            data = data[:at] + bit + data[at:]
    return data


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=damage())
def test_damage_to_a_request_makes_none_that_fails_the_service(
    service: Served, caplog: pytest.LogCaptureFixture, changes: list[tuple[str, int, bytes]]
) -> None:
    right = service.create()
    name = json.loads(right.body)["name"]
    data = damaged(right.data(), changes)
    with capture_logs() as log:
        status, reply = service.sent(Raw(other=data, cut=True))

    assert status is None or status < 500, reply
    assert _failures(log, caplog) == []
    # What was signed is still what is done, or nothing is.
    # By its name: what an earlier one asked for, and left at once, may be done only now.
    if name in service.pipelines():
        assert right.body in data
        assert service.sent(replace(right, cut=False))[0] == 200, "its copy is answered as it was"
        assert service.pipelines().count(name) == 1
