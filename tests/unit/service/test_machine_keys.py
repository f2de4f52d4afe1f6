"""The keys of machines: said once, by the machine itself, and good for its own work only."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest
from starlette.applications import Starlette

from taskrunner.cli.machine_key import Machine
from taskrunner.errors import TaskrunnerError
from taskrunner.service.auth import SigV4Authenticator
from taskrunner.service.auth_keys import ROLES, Key
from taskrunner.service.machine_keys import MachineKeys, claim_route
from taskrunner.service.store import machines as machine_store
from taskrunner.service.store.rows import MachineRow
from taskrunner.testing import FakeClock, ServiceInProcess
from taskrunner.wire.endpoint import parse_endpoint
from taskrunner.wire.faults import AccessDenied, UnknownClient
from taskrunner.wire.http import HttpReply, HttpRequest, TransportError
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.machine_keys import KEY_HEADER
from taskrunner.wire.runner_messages import PollForTaskInput
from taskrunner.wire.signing import SigV4Signer
from tests.unit.service.asgi import HOST, Caller

GROUP = "resource:df-1_@R_2026-02-13T02:00:00"
REGION = "eu-west-1"


class Line:
    """Carries requests to the route in this process."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.sent: list[HttpRequest] = []
        #: Replies that get lost, and calls that never arrive.
        self.lost, self.down = 0, 0

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        self.sent.append(request)
        if self.down:
            self.down -= 1
            raise TransportError("connection refused")
        asked = Caller(self.app).ask(path=request.path, headers=request.headers, parts=(b"",))
        answer = asyncio.run(asked)
        if self.lost:
            self.lost -= 1
            raise TransportError("connection reset")
        assert answer is not None
        return HttpReply(status=answer.status, headers=answer.headers, body=answer.body)


@pytest.fixture
def keys(kept: ServiceInProcess) -> MachineKeys:
    kept.reset()
    row = MachineRow(
        machine_id="m-0123456789",
        pipeline_id="df-1",
        instance_id="@R_2026-02-13T02:00:00",
        launch=1,
        number=0,
        account="123456789012",
        worker_group=GROUP,
        region=REGION,
        token="t" * 43,
        created_at=kept.now,
    )
    with kept.service.store.write() as conn:
        machine_store.insert(conn, [row])
    found = MachineKeys(kept.service.store)
    found.refresh()
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def line(keys: MachineKeys, clock: FakeClock) -> Line:
    return Line(Starlette(routes=[claim_route(keys, region=REGION, clock=clock)]))


def machine(folder: Path, token: str = "t" * 43) -> Machine:
    return Machine(
        endpoint=parse_endpoint(f"http://{HOST}"),
        region=REGION,
        token=Keys("m-0123456789", token),
        file=folder / "key",
    )


def test_a_machine_says_its_key_which_is_good_for_its_own_group(
    keys: MachineKeys, line: Line, clock: FakeClock, tmp_path: Path
) -> None:
    machine(tmp_path).tell_key(line, clock)
    secret = (tmp_path / "key").read_text()
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert dict(keys) == {
        "m-0123456789": Key(
            id="m-0123456789",
            secret=secret,
            user="m-0123456789",
            account="123456789012",
            actions=ROLES["runner"],
            worker_groups=frozenset({GROUP}),
        )
    }
    authenticator = SigV4Authenticator({}, region=REGION, clock=clock)
    authenticator.know(keys, keys.refresh)
    signer = SigV4Signer(FixedKeys(Keys("m-0123456789", secret)), REGION, clock)
    poll = HttpRequest(headers={"host": HOST, "x-amz-target": "DataPipeline.PollForTask"})
    signed = HttpRequest(headers=signer.sign(poll))
    permit = authenticator.authenticate(signed)
    permit.check_action("PollForTask")
    permit.check_request(PollForTaskInput(worker_group=GROUP))
    with pytest.raises(AccessDenied):
        permit.check_request(PollForTaskInput(worker_group="prod"))
    with pytest.raises(AccessDenied):
        permit.check_action("CreatePipeline")


def test_what_user_data_hold_is_good_for_nothing_afterwards(
    keys: MachineKeys, line: Line, clock: FakeClock, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    machine(tmp_path).tell_key(line, clock)
    with pytest.raises(TaskrunnerError, match="has said its key already, and its token is spent"):
        machine(tmp_path / "other").tell_key(line, clock)
    # Nor is the token a key itself.
    authenticator = SigV4Authenticator(keys, region=REGION, clock=clock)
    signer = SigV4Signer(FixedKeys(Keys("m-0123456789", "t" * 43)), REGION, clock)
    poll = HttpRequest(headers={"host": HOST, "x-amz-target": "DataPipeline.PollForTask"})
    with pytest.raises(Exception, match="signature does not match"):
        authenticator.authenticate(HttpRequest(headers=signer.sign(poll)))


def test_the_key_itself_is_never_sent(line: Line, clock: FakeClock, tmp_path: Path) -> None:
    machine(tmp_path).tell_key(line, clock)
    (sent,) = line.sent
    secret = (tmp_path / "key").read_text()
    assert sent.headers[KEY_HEADER] != secret
    assert all("t" * 43 not in text and secret not in text for text in sent.headers.values())


def test_a_reply_that_gets_lost_and_a_service_that_is_away_are_no_end(
    keys: MachineKeys, line: Line, clock: FakeClock, tmp_path: Path
) -> None:
    line.lost, line.down = 1, 2
    machine(tmp_path).tell_key(line, clock)
    assert len(line.sent) == 4
    assert keys["m-0123456789"].secret == (tmp_path / "key").read_text()
    # The same machine after a crash of its script says the same key.
    machine(tmp_path).tell_key(line, clock)


@pytest.mark.parametrize("masked", ["", "no base64!", base64.b64encode(b"short").decode()])
def test_what_is_no_key_is_refused(
    keys: MachineKeys, line: Line, clock: FakeClock, masked: str
) -> None:
    signer = SigV4Signer(FixedKeys(Keys("m-0123456789", "t" * 43)), REGION, clock)
    headers = {"host": HOST, "x-amz-target": "x", KEY_HEADER: masked}
    request = HttpRequest(path="/machine-key", headers=headers)
    signed = HttpRequest(path="/machine-key", headers=signer.sign(request))
    reply = line.send(signed, deadline_s=1)
    assert reply.status == 400
    assert b"AccessDenied" in reply.body
    assert len(keys) == 0


def test_a_token_that_is_wrong_is_nobodys(
    keys: MachineKeys, line: Line, clock: FakeClock, tmp_path: Path
) -> None:
    with pytest.raises(TaskrunnerError, match="signature does not match"):
        machine(tmp_path, token="x" * 43).tell_key(line, clock)
    assert len(keys) == 0


def test_a_key_ends_with_its_machine(
    kept: ServiceInProcess, keys: MachineKeys, line: Line, clock: FakeClock, tmp_path: Path
) -> None:
    machine(tmp_path).tell_key(line, clock)
    authenticator = SigV4Authenticator({}, region=REGION, clock=clock)
    authenticator.know(keys, keys.refresh)
    with kept.service.store.write() as conn:
        machine_store.update(conn, "m-0123456789", ended=True)
    authenticator.refresh()
    signer = SigV4Signer(
        FixedKeys(Keys("m-0123456789", (tmp_path / "key").read_text())), REGION, clock
    )
    poll = HttpRequest(headers={"host": HOST, "x-amz-target": "DataPipeline.PollForTask"})
    with pytest.raises(UnknownClient):
        authenticator.authenticate(HttpRequest(headers=signer.sign(poll)))
    with pytest.raises(AccessDenied):
        keys.claim("m-0123456789", os.urandom(8).hex())
