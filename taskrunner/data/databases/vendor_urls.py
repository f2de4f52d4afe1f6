"""JDBC addresses of Oracle's and SQL Server's drivers, brought into the form that all others have.

`jdbc:oracle:thin:@//host:1521/service` and `jdbc:sqlserver://host:1433;databaseName=shop` become
`jdbc:oracle://host:1521/service` and `jdbc:sqlserver://host:1433/shop`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urlencode

_ORACLE = "jdbc:oracle:"
_THIN = re.compile(r"thin:(?:(?P<user>[^/@]+)/(?P<password>.*))?@(?P<target>.*)", re.DOTALL)
_SERVICE = re.compile(
    r"(?P<protocol>tcps?:)?(?://)?(?P<host>\[[^\]]+\]|[^/:?\[]+)(?::(?P<port>[^/:?]+))?"
    r"/(?P<service>[^/:?]+)(?::(?P<server>\w+))?(?:\?(?P<query>.*))?"
)
_SID = re.compile(r"(?P<host>\[[^\]]+\]|[^/:\[]+):(?P<port>[^/:]+):(?P<sid>[^/:?]+)")
_SQL_SERVER, _JTDS = "jdbc:sqlserver://", "jdbc:jtds:"
_JTDS_SERVER = "jdbc:jtds:sqlserver://"
_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:\\/]*)(?:\\(?P<instance>[^:/]+))?(?::(?P<port>[^/]+))?")
#: What properties of SQL Server's drivers are called in an address, by their names in lower case.
_PLACES = {
    "servername": "host",
    "server": "host",
    "portnumber": "port",
    "port": "port",
    "databasename": "database",
    "database": "database",
    "instancename": "instance",
    "instance": "instance",
    "username": "user",
    "user": "user",
    "password": "password",
}


def common_form(address: str) -> str:
    """An address in the form of `jdbc:scheme://host:port/name?a=b`; others as they are.

    Raises ValueError for one of these drivers' that names nothing that can be reached here.
    """
    text = address.strip()
    if text.startswith(_ORACLE) and not text.startswith(f"{_ORACLE}//"):
        return _oracle(text.removeprefix(_ORACLE))
    if text.startswith(_SQL_SERVER):
        return _sql_server(text.removeprefix(_SQL_SERVER))
    if text.startswith(_JTDS_SERVER):
        return _sql_server(text.removeprefix(_JTDS_SERVER))
    if text.startswith(_JTDS):
        raise ValueError("jTDS is known for SQL Server only: jdbc:jtds:sqlserver://HOST/NAME")
    return address


def _oracle(rest: str) -> str:
    found = _THIN.fullmatch(rest)
    if found is None:
        raise ValueError(
            "of Oracle's drivers only the thin one is known here: "
            "jdbc:oracle:thin:@//HOST:PORT/SERVICE or jdbc:oracle:thin:@HOST:PORT:SID"
        )
    target = found["target"].strip()
    login = {"user": found["user"], "password": found["password"]}
    if sid := _SID.fullmatch(target):
        return _made("oracle", sid["host"], sid["port"], sid["sid"], {**login, "sid": "true"})
    service = _SERVICE.fullmatch(target)
    if service is None or target.startswith("("):
        raise ValueError(
            "it names no host: connect descriptors, names of tnsnames.ora and directories are not "
            "known here; wanted jdbc:oracle:thin:@//HOST:PORT/SERVICE or @HOST:PORT:SID"
        )
    if (service["server"] or "dedicated").lower() not in {"dedicated", "shared"}:
        raise ValueError(f"it asks for a {service['server']} server, wanted dedicated or shared")
    more = {**login, **({"ssl": "true"} if service["protocol"] == "tcps:" else {})}
    made = _made("oracle", service["host"], service["port"], service["service"], more)
    query = service["query"]
    return f"{made}{'&' if '?' in made else '?'}{query}" if query else made


def _sql_server(rest: str) -> str:
    server, _, tail = rest.partition(";")
    server, _, database = server.partition("/")
    found = _HOST.fullmatch(server.strip())
    if found is None:
        raise ValueError("its address names no host that there can be")
    places: dict[str, str | None] = {**found.groupdict(), "database": database or None}
    others: dict[str, str | None] = {}
    for name, value in _properties(tail):
        place = _PLACES.get(name.lower())
        if place is None:
            others[name] = value
        else:
            places[place] = value
    if places["instance"] and not places["port"]:
        raise ValueError(
            f"it names the instance {places['instance']!r}: wanted the port that it listens on, "
            "since nobody is asked for that here"
        )
    login = {name: places.get(name) for name in ("user", "password")}
    host, port, name = places["host"] or "", places["port"], places["database"] or ""
    return _made("sqlserver", host, port, name, {**login, **others})


def _properties(text: str) -> Iterator[tuple[str, str]]:
    """`name=value` between semicolons; a value in braces may have any sign in it."""
    position = 0
    while position < len(text):
        found = _PROPERTY.match(text, position)
        if found is None:
            raise ValueError("its properties have not the form ;name=value;name={value}")
        name = found["name"].strip()
        if name:
            braced = found["braced"]
            value = (found["value"] or "") if braced is None else braced.replace("}}", "}")
            yield name, value.strip() if braced is None else value
        position = found.end()


_PROPERTY = re.compile(
    r"\s*(?P<name>[^=;{}]*)(?:=\s*(?:\{(?P<braced>(?:[^}]|\}\})*)\}\s*|(?P<value>[^;{][^;]*)?))?(?:;|$)"
)


def _made(scheme: str, host: str, port: str | None, name: str, given: dict[str, str | None]) -> str:
    query = urlencode({key: value for key, value in given.items() if value is not None})
    address = f"jdbc:{scheme}://{host}{f':{port}' if port else ''}/{quote(name, safe='')}"
    return f"{address}?{query}" if query else address
