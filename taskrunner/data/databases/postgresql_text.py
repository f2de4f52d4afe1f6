"""PostgreSQL's client library, told to give and take every value as text."""

from __future__ import annotations

from psycopg import adapt
from psycopg.abc import Buffer
from psycopg.postgres import types
from psycopg.types import TypesRegistry
from psycopg.types.none import NoneDumper
from psycopg.types.string import StrDumperUnknown, TextLoader

from taskrunner.data.databases.values import BitDigits

#: The types bit and bit varying.
_BITS = (1560, 1562)


class _BitLoader(adapt.Loader):
    """Bits are told from numbers."""

    def load(self, data: Buffer) -> BitDigits:
        return BitDigits(bytes(data), "ascii")


def _text_only() -> adapt.AdaptersMap:
    """Adapters that know nothing but text."""
    # The types are known, so that an answer's columns tell their digits and lengths.
    adapters = adapt.AdaptersMap(types=TypesRegistry(types))
    adapters.register_loader(0, TextLoader)
    for oid in _BITS:
        adapters.register_loader(oid, _BitLoader)
    adapters.register_dumper(str, StrDumperUnknown)
    adapters.register_dumper(type(None), NoneDumper)
    return adapters


class TextOnly:
    """A context for connections that give and take every value as text."""

    adapters = _text_only()
    connection = None
