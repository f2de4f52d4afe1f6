"""How one setting is said: `tasks: int = setting(4, "How many tasks ...", whole(1, 1000), "N")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import Any, Concatenate, ParamSpec

from taskrunner.config.kinds import Parser, text

_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a setting: explanation, form of its value, names; its type has the field."""

    help: str
    kind: Parser = text
    metavar: str = "TEXT"
    _: KW_ONLY
    #: Flags of AWS's Task Runner that mean the same.
    aliases: tuple[str, ...] = ()
    #: Variables of others that are honoured after our own.
    also: tuple[str, ...] = ()
    flag_name: str | None = None
    multiple: bool = False
    secret: bool = False
    #: Whether an agent that runs takes over a new value.
    live: bool = False
    #: A value as the file has it, for config.example.toml where no default can be shown.
    example: object = None
    #: In words, where the default depends on the environment.
    default_text: str | None = None
    #: These come from the field: its name, and its default or what makes it of the environment.
    name: str = ""
    fallback: object = None
    compute: Callable[[Mapping[str, str]], object] | None = None

    @property
    def flag(self) -> str:
        """The flag, e.g. --worker-group."""
        return "--" + (self.flag_name or self.name).replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables, ours first."""
        return (f"TASKRUNNER_{self.name.upper()}", *self.also)

    @property
    def file_name(self) -> str | None:
        """The setting that names a file with this one's value; only secrets have it."""
        return f"{self.name}_file" if self.secret else None

    @property
    def file_flag(self) -> str:
        """The flag that names that file."""
        return f"{self.flag}-file"

    @property
    def file_variable(self) -> str:
        """The variable that names that file."""
        return f"{self.variables[0]}_FILE"

    def default(self, environ: Mapping[str, str]) -> object:
        """The value when nothing is given."""
        return self.compute(environ) if self.compute else self.fallback


_KEY = "setting"


def _declaring(make: Callable[_P, Setting]) -> Callable[Concatenate[Any, _P], Any]:
    """Takes a default and what `make` takes, and returns the field of a dataclass."""

    def declare(default: Any, /, *args: _P.args, **facts: _P.kwargs) -> Any:
        made = make(*args, **facts)
        if callable(default):
            # Whoever makes Settings has to say it.
            return field(metadata={_KEY: replace(made, compute=default)})
        known = {_KEY: replace(made, fallback=default)}
        if isinstance(default, dict):
            return field(default_factory=default.copy, repr=not made.secret, metadata=known)
        return field(default=default, repr=not made.secret, metadata=known)

    return declare


#: The default, or a function that makes it of the environment; then what a Setting takes.
setting = _declaring(Setting)


def settings_of(owner: type[Any]) -> tuple[Setting, ...]:
    """Those that a dataclass has as its fields, in their order."""
    return tuple(replace(item.metadata[_KEY], name=item.name) for item in fields(owner))
