"""Keeping tasks from the instance's metadata, and so from its role: a rule for packets of users.

The agent sets the rule where it may; elsewhere its unit does (`taskrunner install-service`). Either
way the agent tries, as each of the users, before it asks for work: where a task could get through,
or nobody can tell, it does not start.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from taskrunner.errors import ConfigError
from taskrunner.host.process import complaint_of
from taskrunner.host.users import User, effective_capabilities, said_as
from taskrunner.logs import get_logger

log = get_logger()

TABLE = "taskrunner_metadata"
_ADDRESSES = ("169.254.169.254", "fd00:ec2::254")
_PORT = 80
_PATIENCE_S = 1.0
_CAP_NET_ADMIN = 12
_NFT = "nft"


def ruleset(table: str, users: Iterable[str | int]) -> str:
    """What nft is told: a table of our own, in place of one that is there already."""
    of_users = "meta skuid { " + ", ".join(str(user) for user in users) + " }"
    four, six = _ADDRESSES
    return f"""\
table inet {table}
delete table inet {table}
table inet {table} {{
  chain output {{
    type filter hook output priority filter; policy accept;
    {of_users} ip daddr {four} reject
    {of_users} ip6 daddr {six} reject
  }}
}}
"""


@contextmanager
def closed_metadata(
    users: Mapping[str, User], groups: Sequence[str], *, table: str = TABLE
) -> Iterator[None]:
    """Keep the users of all worker groups from the metadata; raises ConfigError."""
    bare = [group for group in groups if group not in users]
    if bare:
        raise ConfigError(
            f"block_imds: tasks of the worker group {bare[0]!r} run as the agent's own user, which "
            "needs the instance's metadata for itself: set run_as_user"
        )
    own = _set_rule(table, {user.uid for user in users.values()})
    try:
        for user in users.values():
            if through := said_as(user, _reachable):
                raise ConfigError(_open(user, through))
        log.info("the instance's metadata is closed to tasks", rule="ours" if own else "found")
        yield
    finally:
        if own:
            complaint_of([_NFT, "delete", "table", "inet", table])


def _set_rule(table: str, uids: set[int]) -> bool:
    """Set the rule where this process may; true when it is to be removed at the end."""
    if not effective_capabilities() >> _CAP_NET_ADMIN & 1:
        return False
    complaint = complaint_of([_NFT, "-f", "-"], ruleset(table, sorted(uids)))
    if complaint:
        log.warning("no rule was set to close the instance's metadata", error=complaint)
    return not complaint


def _open(user: User, address: str) -> str:
    return (
        f"block_imds: the user {user.name!r}, as which tasks run, can reach the instance's "
        f"metadata at {address}, and so its role: install nftables and run `taskrunner "
        "install-service` once more, which has systemd set a rule, or set the one in docs/ec2.md"
    )


def _reachable() -> str:
    """The first address that answers this process; empty when none does."""
    return next((address for address in _ADDRESSES if _answers(address)), "")


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, _PORT), timeout=_PATIENCE_S):
            return True
    except OSError:
        return False
