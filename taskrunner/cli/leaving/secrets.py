"""The secrets that a service masks, from a file: as texts, variables, files or commands."""

from __future__ import annotations

import json
import shlex
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from taskrunner.config.secret_files import exposed, read_secret
from taskrunner.errors import ConfigError, UsageError

#: The table of what holds for every pipeline.
ALL = "*"
_COMMAND_S = 60
_WAYS = ("env", "file", "command")
_FORM = (
    "wanted a text, a list of these, or one of {env = NAME}, {file = PATH}, "
    "{command = [PROGRAM, ...]}"
)


class NoSecret(UsageError):
    """What an entry names cannot be had."""


@dataclass
class Secrets:
    """Entries by pipeline and place; what they name is read when it is needed."""

    tables: Mapping[str, Mapping[str, Any]]
    environ: Mapping[str, str]
    source: str = "--secrets"
    _outputs: dict[tuple[str, ...], str] = field(default_factory=dict)

    def texts(self, pipelines: Sequence[str], place: str) -> tuple[str, ...] | None:
        """The secret of a place, by any of a pipeline's names; None: there is no entry.

        Raises NoSecret for an entry that names what cannot be had.
        """
        for name in (*pipelines, ALL):
            table = self.tables.get(name, {})
            if place in table:
                where = f"{self.source}: {name}: {place}"
                entry = table[place]
                parts = entry if isinstance(entry, list) else [entry]
                return tuple(self._text(part, where) for part in parts)
        return None

    def unused(self, needed: Iterable[tuple[Sequence[str], Iterable[str]]]) -> Iterator[str]:
        """The entries for which no pipeline has a mask: they may be misspelt.

        `needed` has the names of each pipeline, and its places with masks.
        """
        used = {(name, place) for names, places in needed for name in names for place in places}
        for name, table in self.tables.items():
            for place in table:
                if name != ALL and (name, place) not in used:
                    yield f"{name}: {place}"

    def _text(self, entry: Any, where: str) -> str:
        if isinstance(entry, str):
            return entry
        if not isinstance(entry, dict) or len(entry) != 1 or next(iter(entry)) not in _WAYS:
            raise NoSecret(f"{where}: found another form, {_FORM}")
        ((way, named),) = entry.items()
        if way == "command":
            return self._output(named, where)
        if not isinstance(named, str):
            raise NoSecret(f"{where}: {way}: found {named!r}, wanted a text")
        if way == "file":
            try:
                return str(read_secret(Path(named), place=where))
            except ConfigError as error:
                raise NoSecret(str(error)) from None
        if named not in self.environ:
            raise NoSecret(f"{where}: the variable {named} is not set")
        return self.environ[named]

    def _output(self, command: Any, where: str) -> str:
        words = command if isinstance(command, list) else [command]
        if not words or not all(isinstance(word, str) for word in words):
            raise NoSecret(f"{where}: command: found {command!r}, wanted a list of texts")
        if tuple(words) not in self._outputs:
            self._outputs[tuple(words)] = output(words, where)
        return self._outputs[tuple(words)]


def output(words: Sequence[str], where: str) -> str:
    """What a command prints, without the newline at its end. Raises NoSecret."""
    said = shlex.join(words[:1])
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_COMMAND_S, check=False
        )
        text = done.stdout.decode()
    except OSError as error:
        raise NoSecret(f"{where}: {said} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NoSecret(f"{where}: {said} took longer than {_COMMAND_S} s") from None
    except UnicodeDecodeError:
        raise NoSecret(f"{where}: what {said} printed is not UTF-8 text") from None
    if done.returncode:
        raise NoSecret(f"{where}: {said} ended with exit code {done.returncode}")
    text = text.removesuffix("\n")
    if not text:
        raise NoSecret(f"{where}: {said} printed nothing")
    return text


def given_secrets(path: Path | None, command: str | None, environ: Mapping[str, str]) -> Secrets:
    """What --secrets and --secrets-command say; the file's entries win. Raises UsageError."""
    tables: dict[str, dict[str, Any]] = {}
    if command is not None:
        where = "--secrets-command"
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from None
        if not words:
            raise UsageError(f"{where}: found nothing, wanted a command")
        tables = _tables(output(words, where), where)
    if path is not None:
        for name, table in _tables(_content(path), str(path)).items():
            tables[name] = {**tables.get(name, {}), **table}
    return Secrets(tables, environ)


def _content(path: Path) -> str:
    who = exposed(path)
    if who is not None:
        click.echo(f"warning: {path} can be read by {who}: chmod 600", err=True)
    try:
        return str(read_secret(path, place="--secrets"))
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _tables(text: str, where: str) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Only where: what a reader quotes may be a secret.
        line = getattr(error, "lineno", None)
        at = f" (line {line})" if line else ""
        raise UsageError(f"{where}: neither TOML nor JSON{at}") from None
    for name, table in found.items():
        if not isinstance(table, dict):
            raise UsageError(
                f"{where}: {name}: found no table, wanted one a pipeline, with a secret for each "
                "OBJECT/FIELD or parameter"
            )
    return found


#: What the commands have that need secrets.
OPTIONS = (
    click.Option(
        ["--secrets"],
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Secrets in TOML or JSON: a table a pipeline, with OBJECT/FIELD or parameter ids.",
    ),
    click.Option(
        ["--secrets-command"],
        metavar="COMMAND",
        help="A command that prints such a file, as `sops -d secrets.json` does.",
    ),
)
