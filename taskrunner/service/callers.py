"""Who calls: whose pipelines it sees, and whose hand-outs it may speak for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose request it is: pipelines belong to the account, hand-outs to the user."""

    account: str
    user: str
    #: The worker groups that it works for; None: any.
    worker_groups: frozenset[str] | None = None


ANONYMOUS = Caller(account="000000000000", user="anonymous")
