"""Whom alarms go to besides SNS: a webhook, a mailbox, a command; each is told one alarm at a time.

A target raises when it has not taken an alarm, and is then tried again. Its text may hold a token,
so messages name it without that.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import smtplib
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Protocol

from taskrunner.clock import Clock
from taskrunner.model.masks import MASK
from taskrunner.model.states import AlarmStatus
from taskrunner.model.times import format_datetime
from taskrunner.service.actions.publisher import Publisher
from taskrunner.service.store.rows import AlarmRow
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import HttpRequest, Transport

#: How long a target may take over one alarm, in seconds.
PATIENCE_S = 10.0
_MOST_SAID = 200
#: Arguments with fewer characters are words such as `--high`, without which messages say nothing.
_SHORTEST_SECRET = 8


class NotTaken(Exception):
    """A target has not taken an alarm; the message says why, without any secret."""


class Target(Protocol):
    """Takes alarms."""

    @property
    def name(self) -> str:
        """How it is named to people, and in the store."""
        ...

    def take(self, alarm: AlarmRow) -> AlarmStatus:
        """Bring an alarm to whoever it is; SENT, or LOGGED where nobody is. Raises if not."""
        ...


def as_json(alarm: AlarmRow) -> dict[str, Any]:
    """What webhooks and commands are told."""
    return {
        "id": f"{alarm.pipeline_id}/{alarm.alarm_id}",
        "subject": alarm.subject,
        "message": alarm.message,
        "topic": alarm.shown_topic,
        "pipeline_id": alarm.pipeline_id,
        "instance_id": alarm.instance_id,
        "action_id": alarm.action_id,
        "event": alarm.event,
        "raised_at": format_datetime(alarm.created_at),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What another publisher does: SNS, or the log."""

    name: str
    publisher: Publisher

    def take(self, alarm: AlarmRow) -> AlarmStatus:
        """Publish."""
        return self.publisher.publish(alarm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """POSTs the alarm as JSON; any 2xx has taken it."""

    endpoint: Endpoint = field(repr=False)
    query: str = field(default="", repr=False)
    transport: Transport = field(repr=False)

    @property
    def name(self) -> str:
        """Scheme and host; what follows may be a secret, of which a fingerprint stands."""
        mark = _mark(f"{self.endpoint}?{self.query}")
        return f"{self.endpoint.scheme}://{self.endpoint.authority}/...#{mark}"

    def take(self, alarm: AlarmRow) -> AlarmStatus:
        """Ask once; raises NotTaken for what is not 2xx, TransportError without an answer."""
        facts = as_json(alarm)
        request = HttpRequest(
            path=self.endpoint.path,
            query=self.query,
            headers={
                "host": self.endpoint.authority,
                "content-type": "application/json",
                "user-agent": "taskrunner",
                # The same each time: whoever was told already can see that.
                "idempotency-key": facts["id"].encode("unicode_escape").decode("ascii"),
            },
            body=json.dumps(facts).encode(),
        )
        reply = self.transport.send(request, deadline_s=PATIENCE_S)
        if not 200 <= reply.status < 300:
            raise NotTaken(f"HTTP {reply.status}")
        return AlarmStatus.SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Who takes mail from here."""

    host: str
    port: int = 587
    #: starttls, tls (from the first byte on), or none.
    security: str = "starttls"
    sender: str = "taskrunner"
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """Mails the alarm to one address."""

    address: str
    server: MailServer

    @property
    def name(self) -> str:
        """The address."""
        return f"mailto:{self.address}"

    def take(self, alarm: AlarmRow) -> AlarmStatus:
        """Hand it to the mail server; raises what smtplib raises, or OSError."""
        with self._connected() as smtp:
            if self.server.security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if self.server.user is not None:
                smtp.login(self.server.user, self.server.password or "")
            smtp.send_message(self.mail(alarm))
        return AlarmStatus.SENT

    def _connected(self) -> smtplib.SMTP:
        host, port = self.server.host, self.server.port
        if self.server.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=PATIENCE_S, context=context)
        return smtplib.SMTP(host, port, timeout=PATIENCE_S)

    def mail(self, alarm: AlarmRow) -> EmailMessage:
        """The alarm as a mail: line breaks in its subject begin no header."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self.server.sender, self.address
        mail["Subject"] = " ".join(alarm.subject.split()) or "(no subject)"
        mail["Date"] = formatdate(alarm.created_at.timestamp(), usegmt=True)
        mail["Message-ID"] = make_msgid(domain="taskrunner.invalid")
        mail["Auto-Submitted"] = "auto-generated"
        about = f"{alarm.event} of {alarm.instance_id} in pipeline {alarm.pipeline_id}"
        mail.set_content(f"{alarm.message}\n\n-- \n{about}\n")
        return mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Runs a program, which reads the alarm as JSON on its stdin; exit code 0 has taken it."""

    argv: tuple[str, ...] = field(repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The program; its arguments may be secrets, of which a fingerprint stands."""
        program, *arguments = self.argv
        more = f" ...#{_mark(shlex.join(arguments))}" if arguments else ""
        return f"exec:{program}{more}"

    def take(self, alarm: AlarmRow) -> AlarmStatus:
        """Run it; raises NotTaken with the end of what it said, OSError when it cannot be run."""
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own
                self.argv,
                input=json.dumps(as_json(alarm)).encode(),
                capture_output=True,
                timeout=PATIENCE_S,
                # Not the service's own, where its keys may stand.
                env=dict(self.environ),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotTaken(f"it took more than {PATIENCE_S:g} s") from None
        if done.returncode != 0:
            said = self._without_arguments(done.stderr.decode("utf-8", "replace").strip())
            said = said[-_MOST_SAID:]
            raise NotTaken(f"exit code {done.returncode}{': ' if said else ''}{said}")
        return AlarmStatus.SENT

    def _without_arguments(self, said: str) -> str:
        """What a program said, in which its arguments often are repeated."""
        for argument in sorted(self.argv[1:], key=len, reverse=True):
            if len(argument) >= _SHORTEST_SECRET:
                said = said.replace(argument, MASK)
        return said


def _mark(text: str) -> str:
    """Tells targets apart that are named alike, without saying in what they differ."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def transport_of(endpoint: Endpoint, clock: Clock, environ: Mapping[str, str]) -> Transport:
    """What carries requests to a webhook, by the proxy and the authorities of this host."""
    from taskrunner.wire.transport import TransportSettings, Urllib3Transport

    return Urllib3Transport(
        endpoint, clock=clock, settings=TransportSettings(connections=1, environ=environ)
    )
