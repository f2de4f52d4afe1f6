"""Items as rows of text, for programs that know columns only, and rows as items again.

A column's type says which kind of attribute it is, as Hive's storage handler for DynamoDB has it:
texts are S, numbers N, BINARY B (in base64, as in Hive's text files), BOOLEAN BOOL. What an item
does not have is NULL, and NULL is no attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskrunner.data.dynamodb.items import Attribute, BadItem, Item, from_line, to_line

#: The kinds of attributes by the first word of a column's type.
KINDS = {
    **dict.fromkeys(("STRING", "VARCHAR", "CHAR"), "S"),
    **dict.fromkeys(("TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL"), "N"),
    "BOOLEAN": "BOOL",
    "BINARY": "B",
}
_TRUTHS = {"true": True, "false": False}


class Rows:
    """Items as rows of these columns, which are types by names."""

    def __init__(self, types: Mapping[str, str]) -> None:
        """Raises ValueError for types whose values are no single text."""
        self._kinds = {name: KINDS.get(word.upper(), "") for name, word in types.items()}
        for name, kind in self._kinds.items():
            if not kind:
                known = f"known: {', '.join(KINDS)}"
                raise ValueError(f"no row of text has the type {types[name]} of {name!r}; {known}")

    def row(self, item: Item) -> list[str | None]:
        """An item's row; raises BadItem for an attribute of another kind than its column."""
        folded = {name.casefold(): value for name, value in item.items()}
        return [
            _text(name, kind, item.get(name, folded.get(name.casefold())))
            for name, kind in self._kinds.items()
        ]

    def item(self, row: Sequence[str | None]) -> Item:
        """A row's item; raises BadItem for what its column cannot be."""
        if len(row) != len(self._kinds):
            raise BadItem(f"found {len(row)} values, wanted {len(self._kinds)}")
        given = zip(self._kinds.items(), row, strict=True)
        item: Item = {
            name: {kind: _truth(name, text) if kind == "BOOL" else text}
            for (name, kind), text in given
            if text is not None
        }
        return from_line(to_line(item))  # which looks at every value


def _text(name: str, kind: str, value: Attribute | None) -> str | None:
    if value is None or "NULL" in value:
        return None
    ((found, content),) = value.items()
    if found == "BOOL" and kind in {"BOOL", "S"}:
        return "true" if content else "false"
    if found == kind or (kind == "S" and found == "N"):
        return str(content)
    raise BadItem(f"attribute {name!r}: found the kind {found}, and its column wants {kind}")


def _truth(name: str, text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise BadItem(f"attribute {name!r}: found {text!r}, wanted true or false")
    return _TRUTHS[text.lower()]
