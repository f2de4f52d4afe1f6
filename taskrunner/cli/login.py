"""`taskrunner login`: sign a browser in to a service's console, by this shell's access key."""

from __future__ import annotations

import webbrowser
from urllib.parse import quote

import click

from taskrunner.cli.browsers import has_browser
from taskrunner.cli.operators.options import Asked
from taskrunner.cli.operators.options import command as command_of
from taskrunner.errors import UsageError

#: Where a browser turns the ticket into a session; what stands behind the `#` no server is told.
_ENTER = "/console/enter"


def _run(asked: Asked, url: str | None, no_browser: bool) -> int:
    if url is not None and asked.endpoint is not None and url != asked.endpoint:
        raise UsageError(f"{url} and --endpoint {asked.endpoint}: one or the other")
    service = asked.at(url or asked.endpoint).connect()
    found = service.ours("login").post("console", "ticket", body={})
    address, ticket = service.endpoint.rstrip("/"), found.get("ticket")
    if ticket is None:
        click.echo(f"The console needs no ticket there: {address}/")
        return _open(f"{address}/", no_browser=no_browser)
    link = f"{address}{_ENTER}#{quote(ticket)}"
    if not no_browser and has_browser() and webbrowser.open(link):
        click.echo(f"Opened the console in a browser: {address}/")
        return 0
    click.echo(f"Open this within {found['seconds']} seconds; it signs in once:\n{link}")
    click.echo(f"Or open {address}{_ENTER} and paste the ticket:\n{ticket}")
    return 0


def _open(address: str, *, no_browser: bool) -> int:
    if not no_browser and has_browser():
        webbrowser.open(address)
    return 0


command = command_of(
    "login",
    _run,
    "Sign a browser in to the console of the service at URL, as the holder of this shell's access "
    "key.",
    [
        click.Argument(["url"], required=False),
        click.Option(["--no-browser"], is_flag=True, help="Print the address; open nothing."),
    ],
)
