"""Values that no message may show: secrets, and what was computed from them.

Secret is what fields and parameters hold whose name begins with `*`. A text that comes from one is
a `Secret` from then on, so that whoever quotes it in a message quotes what stands here instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

#: What a message says in place of a value.
HIDDEN = "a secret value (not shown)"


def is_secret(name: str) -> bool:
    """Whether the values of a field or parameter of this name are secret."""
    return name.startswith("*")


class Secret(str):
    """A text with something secret in it; `repr`, which messages quote by, does not show it.

    `parts` are the secret texts in it, the whole being one unless others are told. What is cut or
    made of it is a plain text again: so it is quoted as it is, by `repr` or `quoted`.
    """

    __slots__ = ("parts",)
    parts: frozenset[str]

    def __new__(cls, text: str, parts: Iterable[str] | None = None) -> Self:
        """The text, and the secrets in it."""
        made = super().__new__(cls, text)
        made.parts = frozenset((str(text),) if parts is None else parts)
        return made

    def __repr__(self) -> str:
        return HIDDEN


def quoted(text: str, most: int) -> str:
    """A text as messages quote it, its end left out where it is longer than `most`."""
    short = isinstance(text, Secret) or len(text) <= most
    return repr(text if short else f"{text[:most]}...")


def told(text: str, of: str) -> str:
    """A text that was cut out of another one: as secret as that."""
    return Secret(text) if isinstance(of, Secret) else text
