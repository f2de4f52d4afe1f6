"""The plugins that are installed: found by their entry points, imported only when named.

Built-ins and third parties register alike, but no name is taken over in silence: a built-in
stands against any other of its name, and a name that two others claim is nobody's.
"""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from importlib.metadata import Distribution, EntryPoint, EntryPoints, entry_points
from typing import Any

from taskrunner import DISTRIBUTION
from taskrunner.errors import ErrorId, PermanentTaskError

#: The version of what plugins are promised. It rises with every change that can break one.
API_VERSION = 1
#: Plugins written for this version and later ones still work.
OLDEST_API = 1

#: What this program's distribution was called in 0.1.0.
_FORMER_NAME = "taskrunner"
#: So much of what a class declares stands in a message.
_SHOWN_LENGTH = 100


class Kind(StrEnum):
    """What a plugin is; the value stands in messages."""

    ACTIVITY = "activity"
    PRECONDITION = "precondition"
    DATABASE = "database"
    FORMAT = "format"

    @property
    def group(self) -> str:
        """The group of entry points."""
        return _GROUPS[self]


_GROUPS = {
    Kind.ACTIVITY: "taskrunner.activities",
    Kind.PRECONDITION: "taskrunner.preconditions",
    Kind.DATABASE: "taskrunner.databases",
    Kind.FORMAT: "taskrunner.formats",
}
_BASES = {
    Kind.ACTIVITY: "taskrunner.activities.base:Activity",
    Kind.PRECONDITION: "taskrunner.activities.base:Precondition",
    Kind.DATABASE: "taskrunner.data.databases.base:Database",
    Kind.FORMAT: "taskrunner.data.formats.base:Format",
}
#: What a database says of its addresses by.
_SCHEME = "taskrunner.data.databases.schemes:Scheme"
#: All others name object types, of which there is one set.
_SCHEMES = frozenset({Kind.DATABASE})
#: The attribute that says again what the entry point is called, where a class has to have it.
_SELF_NAMED = {Kind.ACTIVITY: "type", Kind.PRECONDITION: "type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin, as its package declares it."""

    #: An object type, or for a database the scheme of its URLs.
    name: str
    kind: Kind
    #: Module and class, as `module:Class`.
    target: str
    #: The distribution that brought it, and that one's version.
    origin: str
    version: str
    #: Why it is not used although it is installed.
    refused: str | None = None
    _entry_point: EntryPoint = field(repr=False, compare=False)

    @property
    def built_in(self) -> bool:
        """Whether it is one of taskrunner's own."""
        return self.origin == DISTRIBUTION

    def load(self) -> type[Any]:
        """Import the plugin's class; raises PermanentTaskError when that cannot be used."""
        if self.refused is not None:
            raise self._broken(f"is not used: {self.refused}")
        try:
            loaded = self._entry_point.load()
        except SystemExit as error:
            # Nor may one that wants to end the process keep the others from being looked at.
            raise self._broken(f"cannot be imported: it calls sys.exit({error.code!r})") from error
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise self._broken(f"cannot be imported: {text}") from error
        if problem := _problem(self, loaded):
            raise self._broken(problem)
        return loaded  # type: ignore[no-any-return]

    def missing(self) -> str | None:
        """The module that is not there, looked for without importing anything."""
        name = self.target.partition(":")[0]
        return None if _module_exists(name) else f"there is no module {name}"

    def _broken(self, problem: str) -> PermanentTaskError:
        message = (
            f"the plugin for {self.name} ({self.target}, {self.origin} {self.version}) {problem}"
        )
        return PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)


def discover(points: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Every plugin of every kind, also those that are refused; reads metadata only."""
    # Once: asked for one group, too, it reads the files of all.
    every = entry_points() if points is None else EntryPoints(points)
    told = _Told()
    found = [
        _plugin(kind, point, told) for kind in Kind for point in every.select(group=kind.group)
    ]
    claims: dict[tuple[bool, str], list[Plugin]] = defaultdict(list)
    for plugin in found:
        claims[plugin.kind in _SCHEMES, plugin.name].append(plugin)
    settled = [plugin for claimants in claims.values() for plugin in _settle(claimants)]
    return tuple(sorted(settled, key=lambda p: (list(Kind).index(p.kind), p.name, p.origin)))


@cache
def installed() -> tuple[Plugin, ...]:
    """What `discover` finds, looked up once: a process keeps the plugins that it began with."""
    return discover()


def named(name: str, *kinds: Kind) -> Plugin | None:
    """The installed plugin of this name and one of these kinds; a refused one only if no other."""
    claimants = [p for p in installed() if p.name == name and p.kind in kinds]
    return min(claimants, key=lambda plugin: plugin.refused is not None, default=None)


def names(*kinds: Kind) -> list[str]:
    """The names that can be used, sorted."""
    return sorted({p.name for p in installed() if p.kind in kinds and p.refused is None})


def remedy(plugin: Plugin) -> str:
    """What mends a plugin that cannot be used."""
    if plugin.origin == _FORMER_NAME:
        # Both hold the same files, so that taking one away takes away the other's.
        return f"uninstall {_FORMER_NAME}, then install {DISTRIBUTION} again, its name since then"
    if plugin.refused is not None:
        return f"uninstall {plugin.origin}, or have its author choose another name"
    return f"install what is missing, or install {plugin.origin} anew"


class _Told:
    """What distributions say of themselves, each asked once: it is read out of a file each time."""

    def __init__(self) -> None:
        # The distributions themselves are kept, so that no other one gets the number of one.
        self._known: dict[int, tuple[object, str, str]] = {}

    def of(self, dist: Distribution | None) -> tuple[str, str]:
        """A distribution's name and version."""
        if dist is None:
            return "unknown", "unknown"
        if id(dist) not in self._known:
            name = re.sub(r"[-_.]+", "-", dist.name).lower()
            self._known[id(dist)] = dist, name, dist.version
        return self._known[id(dist)][1:]


def _plugin(kind: Kind, point: EntryPoint, told: _Told) -> Plugin:
    origin, version = told.of(point.dist)
    return Plugin(
        name=point.name,
        kind=kind,
        target=point.value,
        origin=origin,
        version=version,
        _entry_point=point,
    )


def _settle(claimants: Sequence[Plugin]) -> Iterator[Plugin]:
    """Whose a name is, of those that claim it."""
    owner = next((plugin for plugin in claimants if plugin.built_in), None)
    for plugin in claimants:
        others = [other for other in claimants if other is not plugin]
        if plugin is owner or not others:
            yield plugin
        elif owner is not None:
            yield replace(plugin, refused=f"{plugin.name} is built into taskrunner")
        else:
            rivals = ", ".join(f"{other.origin} {other.version}" for other in others)
            yield replace(plugin, refused=f"{rivals} has a plugin of this name too; keep one")


def _problem(plugin: Plugin, loaded: object) -> str | None:
    base = _BASES[plugin.kind]
    if not (isinstance(loaded, type) and issubclass(loaded, _imported(base))):
        return f"is not a subclass of {base.replace(':', '.')}"
    version = getattr(loaded, "api_version", API_VERSION)
    if not isinstance(version, int) or not OLDEST_API <= version <= API_VERSION:
        known = " to ".join(dict.fromkeys((str(OLDEST_API), str(API_VERSION))))
        old = isinstance(version, int) and version < OLDEST_API
        remedy = f"upgrade {plugin.origin if old else DISTRIBUTION}"
        return f"is for version {version!r} of the plugin API, and this has {known}: {remedy}"
    if plugin.kind in _SCHEMES:
        return _wrong_scheme(plugin, getattr(loaded, "scheme", None))
    own = getattr(loaded, _SELF_NAMED.get(plugin.kind, ""), plugin.name)
    if own != plugin.name:
        return _misnamed(plugin, own)
    return _wrong_fields(getattr(loaded, "fields", None))


def _misnamed(plugin: Plugin, own: object) -> str:
    return f"calls itself {own!r}, and its entry point {plugin.name!r}"


def _wrong_scheme(plugin: Plugin, declared: object) -> str | None:
    if not isinstance(declared, _imported(_SCHEME)):
        return f"has {_shown(declared)} as its scheme; wanted Scheme(name={plugin.name!r}, ...)"
    own = getattr(declared, "name", None)
    return None if own == plugin.name else _misnamed(plugin, own)


def _imported(target: str) -> type[Any]:
    module, _, attribute = target.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


def _wrong_fields(declared: object) -> str | None:
    """Why no definition could be checked against the fields that a class declares."""
    if declared is None:
        return None
    from taskrunner.model.catalog.types import FieldGroup, FieldSpec, Slot

    wanted = "wanted a tuple of FieldSpec(name=..., slot=Slot..., group=FieldGroup...), or None"
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        return f"has {_shown(declared)} as its fields; {wanted}"
    for spec in declared:
        right = (
            isinstance(spec, FieldSpec)
            and isinstance(spec.name, str)
            and isinstance(spec.slot, Slot)
            and isinstance(spec.group, FieldGroup)
        )
        if not right:
            return f"has {_shown(spec)} among its fields; {wanted}"
    return None


def _shown(found: object) -> str:
    text = " ".join(repr(found).split())
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _module_exists(name: str) -> bool:
    """As importlib's find_spec, which imports the packages above a module to find it."""
    path: Sequence[str] | None = None
    parts = name.split(".")
    for number in range(1, len(parts) + 1):
        spec = _find_spec(".".join(parts[:number]), path)
        if spec is None:
            return False
        path = spec.submodule_search_locations
        if path is None and number < len(parts):
            return False
    return True


def _find_spec(name: str, path: Sequence[str] | None) -> Any:
    import sys

    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    return next((spec for find in finders if find and (spec := find(name, path))), None)
