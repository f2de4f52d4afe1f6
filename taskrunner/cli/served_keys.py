"""Who may call a service, by its options: keys of a file, keys of its store, or everybody here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from taskrunner.errors import UsageError

if TYPE_CHECKING:
    from taskrunner.cli.serve import Options
    from taskrunner.service.auth import Authenticator
    from taskrunner.service.server import Address
    from taskrunner.service.store.database import Store


def authenticator_of(said: Options, address: Address) -> tuple[Authenticator, Callable[[], None]]:
    """Who may call, and what has the keys read anew."""
    from taskrunner.clock import SystemClock
    from taskrunner.service.auth import NoAuthenticator, SigV4Authenticator
    from taskrunner.service.key_file import KeyFile
    from taskrunner.wire.endpoint import is_loopback

    if said.no_auth and (said.credentials_file is not None or said.stored_keys):
        other = "--stored-keys" if said.credentials_file is None else "--credentials-file"
        raise UsageError(f"--no-auth and {other}: one or the other")
    if said.credentials_file is not None:
        keys = KeyFile(said.credentials_file)
        authenticator = SigV4Authenticator(
            keys, region=said.region, clock=SystemClock(), refresh=keys.refresh
        )
        return authenticator, keys.ask
    if said.stored_keys:
        return SigV4Authenticator({}, region=said.region, clock=SystemClock()), lambda: None
    if not said.no_auth:
        raise UsageError(
            "who may call? Name the access keys with --credentials-file FILE, have them in the "
            "store with --stored-keys, or take calls from every user of this host with --no-auth"
        )
    if not is_loopback(address.host):
        raise UsageError(
            f"--no-auth on {address}: whoever reaches that address could run commands on your "
            "hosts; listen on 127.0.0.1, or use --credentials-file"
        )
    return NoAuthenticator(), lambda: None


def know_stored_keys(authenticator: Authenticator, store: Store, url: str | None) -> None:
    """Have the store's keys count as well, and say how to make one where nobody could call."""
    from taskrunner.service.auth import SigV4Authenticator
    from taskrunner.service.stored_keys import StoredKeys

    if not isinstance(authenticator, SigV4Authenticator):
        return
    keys = StoredKeys(store)
    keys.refresh()
    authenticator.know(keys, keys.refresh)
    if not authenticator.has_keys():
        where = " --database-url ..." if url else ""
        click.echo(
            "taskrunner serve: nobody can call yet; make a key: "
            f"taskrunner keys create --role admin{where}"
        )
