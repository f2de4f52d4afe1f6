"""The author's policy, and what every rule of a type answers."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property


class OnLossyValue(StrEnum):
    """What becomes of a value that its column cannot keep: CopyActivity's field `onLossyValue`."""

    FAIL = "fail"  # the copy fails, with the row and the column named
    ROUND = "round"  # numbers and times to the nearest that the column has
    TRUNCATE = "truncate"  # digits, and the ends of texts, that the column has no place for go


class NotKeptError(Exception):
    """A column cannot keep a text; the message says why, or what would become of it."""

    def __init__(self, why: str, *, policy_helps: bool = False) -> None:
        #: Whether another policy would take the value.
        self.policy_helps = policy_helps
        super().__init__(why)


class Rule(ABC):
    """Which texts a type keeps.

    Texts that the server itself refuses (no number, out of range) are left to it: it refuses them
    by every path.
    """

    @property
    @abstractmethod
    def plain(self) -> str:
        """Texts that are kept for sure, in a regular expression without capturing groups.

        A path that moves rows without taking them apart goes by it alone, and leaves the others to
        `fit`.
        """

    @abstractmethod
    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text to give to the server; raises NotKeptError where the policy allows none."""

    def keeps_all(self, texts: Iterable[str]) -> bool:
        """Whether all of many texts are plain; quick, since most are."""
        texts = [*texts]
        lines = "\n".join([*texts, ""])
        # One that has a line end in it would pass for two.
        return lines.count("\n") == len(texts) and bool(self._all_plain.fullmatch(lines))

    @cached_property
    def _all_plain(self) -> re.Pattern[str]:
        return re.compile(f"(?:(?:{self.plain})\n)*+")


def choose(policy: OnLossyValue, *, rounded: str, cut: str, why: str = "") -> str:
    """What the policy makes of a text that is not kept."""
    if policy is OnLossyValue.FAIL:
        raise NotKeptError(why or f"would be stored as {rounded!r}", policy_helps=True)
    return rounded if policy is OnLossyValue.ROUND else cut
