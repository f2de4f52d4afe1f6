"""What a setting's value may look like: parsers that raise ValueError with what was wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeGuard
from urllib.parse import urlsplit

Parser = Callable[[object], object]


def text(raw: object) -> str:
    """A text that is not empty."""
    if not _is_text(raw):
        raise ValueError("a text without NULs" if "\0" in str(raw) else "a text")
    return raw


def _is_text(raw: object) -> TypeGuard[str]:
    # Neither a path nor a name can hold a NUL, and what takes it raises errors of its own.
    return isinstance(raw, str) and bool(raw.strip()) and "\0" not in raw


def path(raw: object) -> Path:
    """A path; ~ is the home folder."""
    value = text(raw)
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"a path; no home folder is known for {value.split('/')[0]}") from None


def paths(raw: object) -> tuple[Path, ...]:
    """Several folders or files, each an absolute path without a detour; ~ is the home folder."""
    found = tuple(path(item) for item in texts(raw))
    if any(".." in item.parts for item in found):
        raise ValueError("paths without .. in them")
    return found


def texts(raw: object) -> tuple[str, ...]:
    """Several texts: repeated flags, a list in the file, or commas in a variable."""
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, Sequence) or not all(map(_is_text, items)):
        raise ValueError("one or more names")
    return tuple(dict.fromkeys(item.strip() for item in items))


def _is_number(raw: object, *kinds: type) -> TypeGuard[str | int | float]:
    return isinstance(raw, (str, *kinds)) and not isinstance(raw, bool)


def whole(lowest: int, highest: int) -> Parser:
    """A whole number within bounds."""

    def parse(raw: object) -> int:
        wanted = f"a whole number from {lowest} to {highest}"
        try:
            number = int(raw) if _is_number(raw, int) else lowest - 1
        except ValueError:
            raise ValueError(wanted) from None
        if not lowest <= number <= highest:
            raise ValueError(wanted)
        return number

    return parse


#: Longer than anybody waits, and well within what clocks and locks can count.
_YEAR_S = 366 * 86_400


def seconds(lowest: float, highest: int = _YEAR_S, *, unit: str = "seconds") -> Parser:
    """A number of seconds, a year at most, or of another unit."""

    def parse(raw: object) -> float:
        year = " (a year)" if highest == _YEAR_S else ""
        wanted = f"a number of {unit} from {lowest:g} to {highest}{year}"
        try:
            number = float(raw) if _is_number(raw, int, float) else -1.0
        except (ValueError, OverflowError):
            raise ValueError(wanted) from None
        if not lowest <= number <= highest:
            raise ValueError(wanted)
        return number

    return parse


def url(raw: object) -> str:
    """The URL of an HTTP service. A bare word is none: it could be any slip of the pen."""
    value = text(raw).strip()
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or " " in value:
        raise ValueError("a URL: https://HOST[:PORT] or http://HOST[:PORT]")
    return value.rstrip("/")


#: A bucket, or a folder other than the root of all.
_URI = re.compile(r"s3://[^/]|(?:file://)?/+[^/]")


def uri(raw: object) -> str:
    """Where objects live: s3://bucket/prefix, or a folder."""
    value = text(raw)
    if not _URI.match(value):
        raise ValueError("s3://bucket/prefix or an absolute folder")
    return value


def uris(raw: object) -> tuple[str, ...]:
    """Several places where objects live, each named without a detour."""
    found = tuple(uri(item) for item in texts(raw))
    if any({".", ".."} & set(item.split("/")) for item in found):
        raise ValueError("places without . and .. in them")
    return found


def mapping(raw: object) -> dict[str, str]:
    """ID=URL flags, a JSON object in a variable, a table in the file."""
    wanted = "ID=URL (repeated), or a JSON object of them"
    found = _pairs(raw, wanted)
    # A URL whose id was forgotten, with a = in it: its password would stand where ids are told.
    if not all(isinstance(value, str) and "://" not in key for key, value in found.items()):
        raise ValueError(wanted)
    return {key: str(value) for key, value in found.items()}


def _pairs(raw: object, wanted: str) -> Mapping[str, object]:
    """KEY=VALUE flags, a JSON object in a variable, a table in the file."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise ValueError(wanted) from None
    if isinstance(raw, Sequence):
        pairs = [str(item).partition("=") for item in raw]
        if not all(key and sign and value for key, sign, value in pairs):
            raise ValueError(wanted)
        raw = {key: value for key, _, value in pairs}
    if not isinstance(raw, Mapping):
        raise ValueError(wanted)  # noqa: TRY004  as every parser does
    return raw


def weights(raw: object) -> dict[str, int]:
    """How often each of several groups is polled."""
    wanted = "GROUP=N (repeated), or a table of them, with N from 1 to 100"
    parse = whole(1, 100)
    try:
        return {str(key): int(str(parse(value))) for key, value in _pairs(raw, wanted).items()}
    except ValueError:
        raise ValueError(wanted) from None


def users(raw: object) -> dict[str, str]:
    """User names by worker group; the one for all groups has the empty name."""
    wanted = "USER, or GROUP=USER (repeated), or a table of them"
    if isinstance(raw, str) and not raw.lstrip().startswith("{"):
        raw = [raw]
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        raw = [item if "=" in str(item) else f"={item}" for item in raw]
        pairs = [item.rpartition("=") for item in raw]
        raw = {group: user for group, _, user in pairs}
        if len(raw) < len(pairs):
            raise ValueError(wanted)
    found = _pairs(raw, wanted)
    if not all(map(_is_text, found.values())):
        raise ValueError(wanted)
    return {group: str(user) for group, user in found.items()}


def switch(raw: object) -> bool:
    """A yes or no."""
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    found = words.get(str(raw).lower())
    if found is None:
        raise ValueError("true or false")
    return found


def one_of(*choices: str) -> Parser:
    """One of a few words."""

    def parse(raw: object) -> str:
        value = str(raw).lower()
        if value not in choices:
            raise ValueError(" or ".join(choices))
        return value

    return parse


_UNITS = {"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
#: What the kernel's numbers hold, as the limit of a file's size among them; as a float is exact.
_MOST_BYTES = (1 << 63) - 1024
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """An amount of disk: bytes, a share of the whole, or the lesser of both."""

    size: int | None = None
    percent: float | None = None

    def of(self, total: int) -> int:
        """The amount in bytes on a disk of `total` bytes."""
        share = None if self.percent is None else int(total * self.percent / 100)
        return min(amount for amount in (self.size, share) if amount is not None)

    def __str__(self) -> str:
        parts = [] if self.size is None else [size_text(self.size)]
        parts += [] if self.percent is None else [f"{self.percent:g}%"]
        return " or ".join(parts)


def size_text(size: int) -> str:
    """A number of bytes as `amount` and `space` take it."""
    for unit in "TGMK":
        if size and size % (1 << _UNITS[unit]) == 0:
            return f"{size >> _UNITS[unit]}{unit}B"
    return str(size)


def space(raw: object) -> Space:
    """An amount of disk; units are powers of 1024."""
    if isinstance(raw, Space):
        return raw
    words = [word.strip() for word in re.split(r"\bor\b", str(raw))]
    sizes = [found for word in words if (found := _SIZE.fullmatch(word))]
    percents = [found for word in words if (found := _PERCENT.fullmatch(word))]
    share = float(percents[0][1]) if percents else None
    size = _bytes(sizes[0]) if sizes else None
    doubled = len(sizes) > 1 or len(percents) > 1
    odd = doubled or len(sizes) + len(percents) < len(words) or (size or 0) > _MOST_BYTES
    if odd or not 0 <= (share or 0) < 100:
        raise ValueError("an amount of disk such as 512MB, 2% or '512MB or 2%'; 0 is none")
    return Space(size=None if size is None else int(size), percent=share)


def amount(raw: object) -> int:
    """A number of bytes."""
    found = _SIZE.fullmatch(str(raw).strip())
    size = 0 if isinstance(raw, bool) or found is None else _bytes(found)
    if not 1 <= size <= _MOST_BYTES:
        raise ValueError("a size such as 512MB or 4GB, more than 0 and less than 8388608TB")
    return int(size)


def _bytes(found: re.Match[str]) -> float:
    return float(found[1]) * (1 << _UNITS[found[2].upper()])


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen(raw: object) -> Address:
    """HOST:PORT, [IPV6]:PORT, or a port of this machine alone."""
    host, _, port = str(raw).strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    number = int(port) if re.fullmatch("[0-9]{1,5}", port) else 65536
    if number > 65535 or "\0" in bare or (":" in bare) != (host != bare):
        raise ValueError("HOST:PORT, or the PORT alone for this machine only")
    return Address(bare or "127.0.0.1", number)
