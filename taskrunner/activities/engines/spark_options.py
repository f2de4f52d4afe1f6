"""spark-submit's arguments, taken apart: on which cluster the work runs is an engine's to say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

#: Options of spark-submit that have no value after them.
_ALONE = {"--verbose", "-v", "--supervise", "--version", "--help", "-h", "--usage-error"}

#: An option and its value, if it has one.
Option = tuple[str, str | None]


def split_submit(arguments: Sequence[str]) -> tuple[list[Option], list[str]]:
    """The options with their values, and the program with its arguments."""
    options: list[Option] = []
    rest = iter(arguments)
    for option in rest:
        if not option.startswith("-"):
            return options, [option, *rest]
        name, equals, given = option.partition("=")
        if option in _ALONE:
            options.append((option, None))
        elif (value := given if equals else next(rest, None)) is not None:
            options.append((name, value))
    return options, []


def without(
    options: Sequence[Option], names: Collection[str], properties: tuple[str, ...]
) -> Iterator[Option]:
    """The options but those of these names, and properties (--conf) that begin so."""
    for name, value in options:
        dropped = name in {"--conf", "-c"} and (value or "").startswith(properties)
        if not dropped and name not in names:
            yield name, value


def written(options: Sequence[Option]) -> list[str]:
    """Options as the command line has them."""
    return [text for option in options for text in option if text is not None]
