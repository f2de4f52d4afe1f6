from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from taskrunner.model.masks import MASK
from taskrunner.model.states import AlarmStatus
from taskrunner.service.actions.targets import Command, Mailbox, MailServer, NotTaken, Webhook
from taskrunner.service.store.rows import AlarmRow
from taskrunner.wire.endpoint import parse_endpoint
from taskrunner.wire.http import HttpReply, HttpRequest

ALARM = AlarmRow(
    pipeline_id="df-1",
    alarm_id="@A_onFail_X_1",
    instance_id="@A",
    action_id="X",
    event="onFail",
    topic_arn="arn:aws:sns:us-east-1:1:t",
    subject="A failed\nBcc: everybody@example.com",
    message="It is broken: ü",
    status="PENDING",
    tries=0,
    created_at=datetime(2026, 2, 13, 2, tzinfo=UTC),
)


@dataclass
class FakeTransport:
    status: int = 200
    sent: list[HttpRequest] = field(default_factory=list)

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        assert deadline_s > 0
        self.sent.append(request)
        return HttpReply(status=self.status)


def webhook(transport: FakeTransport) -> Webhook:
    endpoint = parse_endpoint("https://hooks.example.com/T1/t0ken")
    return Webhook(endpoint=endpoint, query="k=t0ken", transport=transport)


def test_a_webhook_is_told_in_json_with_a_key_that_stays() -> None:
    transport = FakeTransport(status=204)
    hook = webhook(transport)
    for _ in range(2):
        assert hook.take(ALARM) is AlarmStatus.SENT
    first, second = transport.sent
    assert (first.method, first.path, first.query) == ("POST", "/T1/t0ken", "k=t0ken")
    told = json.loads(first.body)
    assert told["id"] == "df-1/@A_onFail_X_1"
    assert (told["subject"], told["message"]) == (ALARM.subject, ALARM.message)
    assert told["raised_at"] == "2026-02-13T02:00:00"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


@pytest.mark.parametrize("status", [199, 301, 404, 500])
def test_what_is_no_success_has_not_taken_it(status: int) -> None:
    with pytest.raises(NotTaken, match=f"HTTP {status}"):
        webhook(FakeTransport(status=status)).take(ALARM)


def test_no_token_stands_in_a_webhooks_name_and_two_are_told_apart() -> None:
    first = webhook(FakeTransport())
    assert "t0ken" not in first.name
    assert "t0ken" not in repr(first)
    assert first.name.startswith("https://hooks.example.com/...#")
    assert first.name != replace(first, query="k=other").name
    assert first.name == webhook(FakeTransport()).name


def test_a_secret_topic_is_told_to_nobody() -> None:
    transport = FakeTransport()
    webhook(transport).take(replace(ALARM, topic_arn="*arn:secret"))
    assert json.loads(transport.sent[0].body)["topic"] == MASK


# -- commands ---------------------------------------------------------------------------------


def program(code: str) -> Command:
    return Command(argv=(sys.executable, "-c", code), environ={"ONLY": "this"})


def test_a_command_reads_the_alarm_and_has_no_variables_of_the_service() -> None:
    check = (
        "import json, os, sys; told = json.load(sys.stdin); "
        "sys.exit(not (told['pipeline_id'] == 'df-1' and os.environ.get('ONLY') == 'this' "
        "and 'PATH' not in os.environ))"
    )
    assert program(check).take(ALARM) is AlarmStatus.SENT


def test_why_a_command_has_not_taken_it_is_told() -> None:
    with pytest.raises(NotTaken, match=r"exit code 3: no way$"):
        program("import sys; print('no way', file=sys.stderr); sys.exit(3)").take(ALARM)
    with pytest.raises(FileNotFoundError):
        Command(argv=("/no/such/program",)).take(ALARM)


def test_no_argument_of_a_command_stands_where_it_is_named_and_two_are_told_apart() -> None:
    first = Command(argv=("/usr/bin/page", "--key", "s3cret-of-page"))
    assert first.name.startswith("exec:/usr/bin/page ...#")
    assert "s3cret" not in f"{first.name} {first!r}"
    assert first.name != Command(argv=("/usr/bin/page", "--key", "another")).name
    assert first.name == replace(first).name
    assert Command(argv=("/usr/bin/page",)).name == "exec:/usr/bin/page"


def test_an_argument_that_a_command_repeats_is_masked() -> None:
    said = "import sys; print('no such key:', sys.argv[1], file=sys.stderr); sys.exit(1)"
    command = Command(argv=(sys.executable, "-c", said, "s3cret-of-page"))
    with pytest.raises(NotTaken, match=r"exit code 1: no such key: \*{5}$"):
        command.take(ALARM)


# -- mail -------------------------------------------------------------------------------------


class Mails(socketserver.ThreadingTCPServer):
    """A mail server that takes what it is given."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.said: list[str] = []


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, Mails)
        self.wfile.write(b"220 here\r\n")
        in_data = False
        for line in self.rfile:
            text = line.decode().rstrip("\r\n")
            server.said.append(text)
            if in_data and text != ".":
                continue
            if text.upper().startswith("EHLO"):
                answer = "250-here\r\n250 8BITMIME"
            elif text.upper() == "DATA":
                answer = "354 go on"
            else:
                answer = "221 bye" if text.upper() == "QUIT" else "250 well"
            in_data = text.upper() == "DATA"
            self.wfile.write(f"{answer}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[Mails]:
    with Mails() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_mail_goes_to_one_address_whatever_stands_in_the_subject() -> None:
    with mail_server() as server:
        host, port = server.server_address[:2]
        by = MailServer(host=str(host), port=int(port), security="none", sender="t@example.com")
        assert Mailbox(address="ops@example.com", server=by).take(ALARM) is AlarmStatus.SENT
    said = "\n".join(server.said)
    assert [line for line in server.said if line.lower().startswith("rcpt")] == [
        "rcpt TO:<ops@example.com>"
    ]
    assert "Subject: A failed Bcc: everybody@example.com" in server.said
    assert "onFail of @A in pipeline df-1" in said
    assert "Auto-Submitted: auto-generated" in server.said


def test_a_server_without_tls_gets_no_mail_that_wants_it() -> None:
    with mail_server() as server:
        host, port = server.server_address[:2]
        by = MailServer(host=str(host), port=int(port), sender="t@example.com")
        with pytest.raises(Exception, match="STARTTLS"):
            Mailbox(address="ops@example.com", server=by).take(ALARM)
    assert "data" not in server.said
