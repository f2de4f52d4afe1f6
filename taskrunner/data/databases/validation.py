"""Warnings about connections that a run would refuse: what definitions say of databases.

No driver is loaded, and no plugin: what it has of properties is known where it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence

from taskrunner.data.databases.properties import parse_options
from taskrunner.data.databases.schemes import BUILT_IN, MYSQL, POSTGRESQL, REDSHIFT, Scheme
from taskrunner.data.databases.spec import Login, from_jdbc
from taskrunner.errors import PermanentTaskError
from taskrunner.model.validate import add_check
from taskrunner.model.validate.context import Context, Item

_BY_TYPE: dict[str, tuple[Scheme, ...]] = {
    "RdsDatabase": (MYSQL, POSTGRESQL),
    "RedshiftDatabase": (REDSHIFT,),
}


def know_connections() -> None:
    """From now on validation looks at connection strings and their properties."""
    add_check(check_connections)


def check_connections(context: Context) -> None:
    """Find connection strings and properties that a run would refuse."""
    for item in context.items:
        if item.type is None or not (item.type.category == "database" or item.has(_ADDRESS)):
            continue
        address = context.known(item.text(_ADDRESS) or "")
        for text in filter(None, map(context.known, item.values(_PROPERTIES))):
            if message := _refused(item, address, text):
                context.note("bad-connection", message, item, _PROPERTIES)
        if address and _scheme(address) and (message := _told(item, address)):
            context.note("bad-connection", message, item, _ADDRESS)


_ADDRESS = "connectionString"
_PROPERTIES = "jdbcProperties"


def _scheme(address: str) -> Scheme | None:
    """The built-in scheme of a JDBC address."""
    name = address.strip().removeprefix("jdbc:").partition(":")[0]
    return next((scheme for scheme in BUILT_IN if scheme.is_called(name)), None)


def _refused(item: Item, address: str | None, text: str) -> str | None:
    """What every scheme says that the database may be of."""
    found = _scheme(address) if address else None
    schemes: Sequence[Scheme] = (
        [found] if found else _BY_TYPE.get(item.type.name if item.type else "", ())
    )
    messages = []
    for scheme in schemes:
        try:
            parse_options(scheme.name, scheme.properties, [text], where=_PROPERTIES)
        except PermanentTaskError as error:
            messages.append(str(error))
    return messages[0] if messages and len(messages) == len(schemes) else None


def _told(item: Item, address: str) -> str | None:
    """Why an address cannot be used."""
    try:
        from_jdbc(item.id, address, Login())
    except PermanentTaskError as error:
        return str(error).removeprefix(f"database {item.id!r}: ")
    return None
