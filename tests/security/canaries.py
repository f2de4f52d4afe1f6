"""Secrets put wherever a definition can have one, and the ways to ask a service for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskrunner.model.expressions import FUNCTIONS

Json = dict[str, Any]

#: What must stand nowhere, as a text, a number, a date that is none and one that is.
WORD = "c0rrect-horse"
NUMBER = "4711081508150471"
NO_DATE = "1987-06-31T04:03:02"
DATE = "1987-06-05T04:03:02"

DEFAULT: Json = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}
PARAMETERS: list[Json] = [
    {"id": "*myWord", "type": "String"},
    {"id": "*myNumber", "type": "Integer"},
    {"id": "*myNoDate", "type": "String", "default": NO_DATE},
    {"id": "*myDate", "type": "String", "default": DATE},
    {"id": "*myBroken", "type": "String", "default": f"#{{{WORD}(}}"},
    {"id": "*myCall", "type": "String", "default": "#{c0rrect_horse(1)}"},
    {"id": "*myName", "type": "String", "default": "#{c0rrect_horse}"},
    {"id": "myOther", "type": "String", "default": "#{*myWord}"},
]
#: Those that can be evaluated.
WHOLE = [p for p in PARAMETERS if p["id"] not in {"*myBroken", "*myCall", "*myName"}]
VALUES = {"*myWord": WORD, "*myNumber": NUMBER}


def tells(text: str) -> bool:
    """Whether a text has a secret in it, or so much of one that it is as good as told."""
    folded = re.sub("[^a-z0-9]", "", text.lower())
    pieces = {re.sub("[^a-z0-9]", "", secret) for secret in (WORD, NUMBER, NO_DATE, DATE)}
    eights = {piece[at : at + 8] for piece in pieces for at in range(len(piece) - 7)}
    return any(eight in folded for eight in eights)


# -- expressions -------------------------------------------------------------------------------

#: What is right for a parameter of each type, where it is not the secret's turn.
_GOOD = {"DateTime": "@scheduledStartTime", "int": "1", "String": "'yyyy'"}


def _calls() -> Iterator[str]:
    """Every function, the secret in each of its places."""
    for function in FUNCTIONS.values():
        for place, kind in enumerate(function.parameters):
            good = [_GOOD[other] for other in function.parameters]
            # As text it is no date and no number; as a pattern, a zone or a period it is none.
            for name in ("*myWord", "*myNoDate") if kind == "DateTime" else ("*myWord",):
                given = [*good[:place], name, *good[place + 1 :]]
                yield f"{function.name}({', '.join(given)})"


EXPRESSIONS: tuple[str, ...] = (
    *_calls(),
    *(f"*myWord {sign} 1" for sign in "-*/^"),
    *(f"1 {sign} *myWord" for sign in "-*/^"),
    "-(*myWord)",
    "*myNumber ^ 3",
    "*myNumber * *myNumber",
    "1 / (*myNumber - *myNumber)",
    "plusDays(@scheduledStartTime, *myNumber)",
    "makeDate(*myNumber, 1, 1)",
    "makeDate(2026, *myNumber, 1)",
    "makeDateTime(2026, 1, 1, *myNumber, 0)",
    "*myDate.year() / 0",
    "*myWord.field",
    "*myWord.day()",
    "makeDate(myOther, 1, 1)",
    "makeDate(myField, 1, 1)",
    "makeDate(Store.*password, 1, 1)",
    "makeDate(Store.myCopy, 1, 1)",
    "makeDate('a' + *myWord, 1, 1)",
    "makeDate(myList, 1, 1)",
    "parent.*myInline.day()",
    "minusPeriod(@scheduledStartTime, 'x' + *myWord)",
    "*myBroken",
    "*myCall",
    "*myName",
    "Store.*myBroken",
)

STORE: Json = {
    "id": "Store",
    "type": "JdbcDatabase",
    "connectionString": "jdbc:mysql://127.0.0.1/x",
    "jdbcDriverClass": "x",
    "username": "u",
    "*password": WORD,
    "*myBroken": f"#{{ {WORD} ",
    "myCopy": "#{*password}",
}


def expression_objects() -> list[Json]:
    """An activity for each expression, which cannot be evaluated."""
    common: Json = {
        "type": "ShellCommandActivity",
        "maximumRetries": "0",
        "myField": "#{*myWord}",
        "myList": ["1", "#{*myWord}"],
        "*myInline": WORD,
        "onFail": {"ref": "Alarm"},
        "runsOnStore": None,
    }
    common.pop("runsOnStore")
    alarm = {
        "id": "Alarm",
        "type": "SnsAlarm",
        "topicArn": f"arn:aws:sns:us-east-1:1:{'#{*myWord}'}",
        "subject": "#{node.name} #{*myWord}",
        "message": "#{node.errorMessage} #{node.command} #{node.*myInline}",
        "role": "r",
    }
    works = (
        {"id": f"A{number}", **common, "command": f"echo #{{{expression}}}"}
        for number, expression in enumerate(EXPRESSIONS)
    )
    return [DEFAULT, STORE, alarm, *works]


#: A schedule's field -> a value for it that is none.
SCHEDULES: tuple[Mapping[str, str], ...] = (
    {"startDateTime": "#{*myWord}"},
    {"startDateTime": "#{*myNoDate}"},
    {"startDateTime": "#{myOther}"},
    {"startDateTime": "#{plusDays(*myNoDate, 1)}"},
    {"startAt": "#{*myWord}"},
    {"period": "#{*myWord}"},
    {"period": "#{*myNumber} days"},
    {"endDateTime": "#{*myNoDate}"},
    {"occurrences": "#{*myWord}"},
    {"occurrences": "#{*myNumber}"},
)


def scheduled(fields: Mapping[str, str]) -> list[Json]:
    """A pipeline whose Schedule cannot be read once it is evaluated."""
    usual = {"period": "1 day", "startDateTime": "2026-02-13T00:00:00"}
    if "startAt" in fields:
        del usual["startDateTime"]
    work = {"id": "A", "type": "ShellCommandActivity", "command": "true", "workerGroup": "wg"}
    return [
        {"id": "Daily", "type": "Schedule", **usual, **fields},
        {**work, "schedule": {"ref": "Daily"}},
    ]


# -- validation --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A definition that is wrong in a secret."""

    name: str
    objects: tuple[Json, ...] = ()
    parameters: tuple[Json, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> Json:
        """As a file."""
        work = {"id": "A", "type": "ShellCommandActivity", "command": "true"}
        objects = [DEFAULT, work, *self.objects]
        return {"objects": objects, "parameters": [*self.parameters], "values": {**self.values}}


def _fields(name: str, kind: str, key: str, value: Any, **more: Any) -> Mistake:
    return Mistake(name=name, objects=({"id": "X", "type": kind, key: value, **more},))


def _parameter(name: str, value: Any = WORD, **attributes: Any) -> Mistake:
    declared = {"id": "*mySecret", **attributes}
    return Mistake(name=name, parameters=(declared,), values={"*mySecret": value})


MISTAKES: tuple[Mistake, ...] = (
    _fields("a period", "Schedule", "*period", WORD, startAt="FIRST_ACTIVATION_DATE_TIME"),
    _fields("a date", "Schedule", "*startDateTime", NO_DATE, period="1 day"),
    _fields("a date of words", "Schedule", "*endDateTime", WORD, period="1 day"),
    _fields("a number", "Schedule", "*occurrences", WORD, period="1 day"),
    _fields("a boolean", "ShellCommandActivity", "*stage", WORD, command="true"),
    _fields("an enum", "ShellCommandActivity", "*scheduleType", WORD, command="true"),
    _fields("a double", "DynamoDBDataNode", "*readThroughputPercent", WORD, tableName="t"),
    _fields("a region", "Ec2Resource", "*region", WORD),
    _fields("a reference", "ShellCommandActivity", "*runsOn", WORD, command="true"),
    _fields("a reference to nothing", "CSV", "*myRef", {"ref": WORD}),
    _fields("a reference for text", "CSV", "*column", {"ref": WORD}),
    _fields("a number of retries", "ShellCommandActivity", "*maximumRetries", WORD, command="x"),
    _fields("a timeout", "ShellCommandActivity", "*attemptTimeout", WORD, command="true"),
    _fields("an unknown field", "CSV", "*passwort", WORD),
    _fields("two values", "JdbcDatabase", "*password", [WORD, f"{WORD}2"], connectionString="x"),
    _fields("a control character", "CSV", "*myText", f"{WORD}\x01"),
    _fields("syntax", "CSV", "*myText", f"#{{{WORD}("),
    _fields("syntax in a text", "CSV", "*myText", f"x #{{'{WORD}}} y"),
    _fields("a function", "CSV", "*myText", "#{c0rrect_horse(1)}"),
    _fields("arguments", "CSV", "*myText", f"#{{day('{WORD}', 2)}}"),
    _fields("a name", "CSV", "*myText", "#{c0rrect_horse}"),
    _fields("a parameter's name", "CSV", "*myText", "#{myc0rrecthorse}"),
    _fields("a runtime field", "CSV", "*myText", "#{@c0rrect_horse}"),
    _fields("a field of another", "CSV", "*myText", "#{A.c0rrect_horse}"),
    _fields("a plain password", "JdbcDatabase", "*password", WORD, connectionString="x"),
    _fields("a password without a star", "JdbcDatabase", "*myPassword", WORD),
    _fields("a type", "CSV", "*type", WORD),
    _fields("a wrong shape", "CSV", "*myText", {WORD: 1}),
    _fields("a shape in a list", "CSV", "*myText", [{WORD: {"ref": WORD}}]),
    _fields("a path", "S3DataNode", "*directoryPath", f"/{WORD}"),
    _fields("a log's path", "ShellCommandActivity", "*pipelineLogUri", WORD, command="true"),
    _parameter("no integer", type="Integer"),
    _parameter("no double", type="Double"),
    _parameter("no path", type="AWS::S3::ObjectKey"),
    _parameter("not allowed", type="String", allowedValues=["x", "y"]),
    _parameter("nearly allowed", "c0rrect-hors", type="String", allowedValues=[WORD, "y"]),
    _parameter("several", [WORD, f"{WORD}2"], type="String"),
    _parameter("syntax of a value", f"#{{{WORD}(", type="String"),
    _parameter("a function of a value", "#{c0rrect_horse(1)}", type="String"),
    Mistake(name="a default", parameters=({"id": "*myP", "type": "Integer", "default": WORD},)),
    Mistake(
        name="syntax of a default",
        parameters=({"id": "*myP", "type": "String", "default": f"#{{'{WORD}}}"},),
    ),
    Mistake(
        name="a wrong default of several",
        parameters=({"id": "*myP", "allowedValues": ["x"], "default": WORD},),
    ),
    Mistake(name="an undeclared value", values={"*myNone": f"#{{{WORD}("}),
)
