from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskrunner.cli.served_alarms import publisher_of, target_of
from taskrunner.errors import ConfigError
from taskrunner.model.states import AlarmStatus
from taskrunner.service.actions.publisher import MOST_TRIES, PartlyTaken
from taskrunner.service.actions.routing import AlarmRule, Router, read_rules
from taskrunner.service.actions.targets import MailServer
from taskrunner.service.store.rows import AlarmRow
from taskrunner.testing import ServiceInProcess
from tests.unit.service.test_targets import ALARM
from tests.unit.service.worlds import ON_DEMAND, alarm, shell


@dataclass
class FakeTarget:
    name: str
    broken: bool = False
    became: AlarmStatus = AlarmStatus.SENT
    taken: list[str] = field(default_factory=list)

    def take(self, alarm: AlarmRow) -> AlarmStatus:
        if self.broken:
            raise ConnectionError("away")
        self.taken.append(alarm.alarm_id)
        return self.became


def router(*rules: tuple[str, Sequence[FakeTarget]]) -> tuple[Router, FakeTarget]:
    log = FakeTarget("log", became=AlarmStatus.LOGGED)
    made = tuple(AlarmRule(topic=topic, targets=tuple(targets)) for topic, targets in rules)
    return Router(made, log), log


def test_the_first_rule_that_matches_counts_and_else_it_is_logged() -> None:
    ops, rest = FakeTarget("ops"), FakeTarget("rest")
    routed, log = router(("arn:*:ops*", [ops]), ("arn:*:t", [rest]))
    assert routed.publish(ALARM) is AlarmStatus.SENT
    assert routed.publish(replace(ALARM, topic_arn="arn:aws:sns:r:1:ops-1")) is AlarmStatus.SENT
    assert routed.publish(replace(ALARM, topic_arn="other")) is AlarmStatus.LOGGED
    assert [len(target.taken) for target in (ops, rest, log)] == [1, 1, 1]


def test_who_has_taken_it_is_not_told_again() -> None:
    up, down = FakeTarget("up"), FakeTarget("down", broken=True)
    routed, _ = router(("*", [up, down]))
    with pytest.raises(PartlyTaken, match="down: ConnectionError: away") as error:
        routed.publish(ALARM)
    assert error.value.taken == ("up",)
    down.broken = False
    assert routed.publish(replace(ALARM, taken_by=("up",))) is AlarmStatus.SENT
    assert (len(up.taken), len(down.taken)) == (1, 1)


def test_an_alarm_that_only_the_log_got_is_not_sent() -> None:
    routed, _ = router(("*", [FakeTarget("log", became=AlarmStatus.LOGGED)]))
    assert routed.publish(ALARM) is AlarmStatus.LOGGED


def test_the_outbox_remembers_who_has_taken_it_and_gives_up_aloud() -> None:
    up, down = FakeTarget("up"), FakeTarget("down", broken=True)
    routed, _ = router(("*", [up, down]))
    with ServiceInProcess() as world, capture_logs() as log:
        world.reset(publisher=routed)
        pipeline = world.run([ON_DEMAND, alarm("Good"), shell("A", onSuccess={"ref": "Good"})])
        world.work_off()
        for _ in range(MOST_TRIES):
            world.advance(16 * 60)
        (kept,) = world.alarms(pipeline)
        assert (kept.status, kept.taken_by, kept.tries) == ("FAILED", ("up",), MOST_TRIES)
        assert len(up.taken) == 1
    given_up = [record for record in log if record["event"] == "alarm given up"]
    assert [(r["log_level"], r["subject"]) for r in given_up] == [("error", "A FINISHED")]


# -- files ------------------------------------------------------------------------------------


def names(path: Path) -> list[list[str]]:
    return [[target.name for target in rule.targets] for rule in read_rules(path, target_of)]


def test_rules_are_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    path = tmp_path / "alarms.toml"
    path.write_text(f"""
[mail]
server = "smtp.example.com:2525"
from = "taskrunner@example.com"
user = "u"
password_file = "{tmp_path}/password"

[[alarms]]
topic = "arn:*:ops*"
to = ["mailto:ops@example.com", "exec:/usr/bin/page --high 'a b'"]

[[alarms]]
to = "log"
""")
    assert names(path) == [
        ["mailto:ops@example.com", "exec:/usr/bin/page ...#d4d8ae35"],
        ["log"],
    ]
    assert isinstance(publisher_of(str(path)), Router)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "wanted at least one"),
        ("[[alarms]]\nto = []", "rule 1: wanted a list of texts for 'to'"),
        ("[[alarms]]\nto = ['log']\ntopics = 'x'", "'topics' is not one of to, topic"),
        ("[[alarms]]\nto = ['mailto:a@b']", r"wants a table \[mail\]"),
        ("[[alarms]]\nto = ['exec:page']", "the whole path of a program"),
        ("[[alarms]]\nto = ['http://h.example.com/x']", "plain http: wanted https"),
        ("[[alarms]]\nto = ['pigeon:x']", "a target 'pigeon'"),
        (f"[[alarms]]\nto = {['log'] * 6}", "at most 5 targets"),
        ("[mail]\nserver = 'h'\n[[alarms]]\nto = ['log']", "wanted 'from'"),
        ("[mail]\nserver = 'h'\nfrom = 'x'\nsecurity = 'no'\n[[alarms]]\nto='log'", "'no' is not"),
        ("[[alarms", "alarms.toml: "),
    ],
)
def test_rules_that_are_wrong_are_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "alarms.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_rules(path, target_of)


@pytest.mark.parametrize("text", ["mailto:nobody", "mailto:a@b,c@d", "mailto:a@b\nBcc: c@d"])
def test_a_mailbox_is_one_address(text: str) -> None:
    with pytest.raises(ConfigError, match="wanted one address"):
        target_of(text, MailServer(host="h"))


def test_a_webhooks_token_is_in_no_message() -> None:
    with pytest.raises(ConfigError) as error:
        target_of("http://h.example.com/t0ken?k=t0ken", None)
    assert "t0ken" not in str(error.value)
