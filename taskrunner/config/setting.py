"""What is known of one setting of the agent: name, form, default, explanation, older names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taskrunner.config.kinds import Parser, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `fallback` is the default as written in config.example.toml."""

    name: str
    help: str
    kind: Parser = text
    fallback: object = None
    #: Flags of AWS's Task Runner that mean the same.
    aliases: tuple[str, ...] = ()
    #: Variables of others that are honoured after our own.
    also: tuple[str, ...] = ()
    flag_name: str | None = None
    multiple: bool = False
    secret: bool = False
    metavar: str = "TEXT"
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
