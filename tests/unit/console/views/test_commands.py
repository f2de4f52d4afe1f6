from __future__ import annotations

import importlib
import inspect
import shlex

import click
import pytest

from taskrunner.cli import COMMANDS
from taskrunner.console.views.commands import for_shell
from taskrunner.model.why import remedies

HERE = "http://127.0.0.1:8484"
#: What each remedy is about.
GIVEN = {"tasks": 4}
REMEDIES = {
    name: made(*(GIVEN.get(key, "some thing") for key in inspect.signature(made).parameters))
    for name, made in inspect.getmembers(remedies, inspect.isfunction)
}


def takes(command: str) -> set[str]:
    """The options that the command line takes there."""
    program, verb, *words = shlex.split(command)
    if program != "taskrunner":
        return set()
    if verb.startswith("--"):
        verb, words = "agent", [verb, *words]
    module, _, name = COMMANDS[verb][0].partition(":")
    found: click.Command = getattr(importlib.import_module(module), name or "command")
    while isinstance(found, click.Group) and words[0] in found.commands:
        found = found.commands[words.pop(0)]
    return {option for param in found.params for option in param.opts}


@pytest.mark.parametrize("name", REMEDIES)
def test_every_remedy_that_asks_a_service_is_told_which(name: str) -> None:
    command = REMEDIES[name]
    given = for_shell(command, HERE)
    if "--endpoint" in takes(command):
        assert given == f"{command} --endpoint {HERE}"
        assert for_shell(command, "") == "", "no shell reaches the service of a local run"
    else:
        assert given == for_shell(command, "") == command


def test_the_clients_of_others_are_told_as_they_take_it() -> None:
    command = "aws datapipeline get-pipeline-definition --pipeline-id df-1"
    assert for_shell(command, HERE) == f"{command} --endpoint-url {HERE}"
    assert for_shell("aws ec2 get-console-output", HERE) == "aws ec2 get-console-output"


def test_an_address_is_no_command() -> None:
    """Whoever asks names the host."""
    assert shlex.split(for_shell("taskrunner why df-1", "http://a; rm b"))[-1] == "http://a; rm b"
