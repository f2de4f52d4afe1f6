"""Which secrets a pipeline needs, and which of them are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import click

from taskrunner.cli.leaving.folders import Folder
from taskrunner.cli.leaving.secrets import NoSecret, Secrets
from taskrunner.model.document import Definition
from taskrunner.model.leaving.masked import masked_places
from taskrunner.plain import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The secrets of one pipeline."""

    given: Mapping[str, Sequence[str]]
    #: Place -> why it is not there.
    missing: Mapping[str, str]


def needed(
    folder: Folder, definition: Definition, secrets: Secrets, kept: Mapping[str, int]
) -> Needed:
    """Look up every secret that the definition has masks for.

    `kept` are the places at which the service holds a secret already, which a mask leaves there.
    """
    given: dict[str, Sequence[str]] = {}
    missing: dict[str, str] = {}
    for place, count in masked_places(definition).items():
        try:
            texts = secrets.texts(folder.names, place)
        except NoSecret as error:
            missing[place] = str(error)
            continue
        if texts is not None and count and len(texts) != count:
            missing[place] = f"found {len(texts)} texts, wanted {count}"
        elif texts:
            given[place] = texts
        elif kept.get(place) != count:
            missing[place] = "no entry"
    return Needed(given=given, missing=missing)


def tell_unused(secrets: Secrets, pipelines: Iterable[tuple[Folder, Definition]]) -> None:
    """Name the entries that no pipeline has a mask for."""
    places = ((folder.names, masked_places(found)) for folder, found in pipelines)
    for entry in secrets.unused(places):
        click.echo(f"note: no mask needs the secret {visible(entry)}", err=True)
