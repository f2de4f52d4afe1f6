"""Warnings about copies to and from Redshift: fields that change nothing beside others."""

from __future__ import annotations

from collections.abc import Set

from taskrunner.model.validate.context import Context, Item

_COMPARING = frozenset({"KEEP_EXISTING", "OVERWRITE_EXISTING"})


def check_redshift(context: Context) -> None:
    """Find the fields of each RedshiftCopyActivity, and of its nodes, that have no effect."""
    compared: set[str] = set()
    used: set[str] = set()
    written: dict[str, Item] = {}
    for item in context.items:
        if item.type is None or item.type.name != "RedshiftCopyActivity":
            continue
        source, target = _node(context, item, "input"), _node(context, item, "output")
        _check_options(context, item, source, target)
        used |= {node.id for node in (source, target) if node is not None}
        if source is not None:
            _check_manifest(context, source)
        if target is not None:
            mode = item.text("insertMode")
            written.setdefault(target.id, target)
            if mode is None or "#{" in mode or mode.strip().upper() in _COMPARING:
                compared.add(target.id)
    _check_other_manifests(context, used)
    for node in written.values():
        if node.id not in compared and node.has("primaryKeys"):
            message = (
                "they have no effect with insertMode APPEND or TRUNCATE, which compare no rows"
            )
            context.note("no-effect", message, node, "primaryKeys")


def _check_options(context: Context, item: Item, *nodes: Item | None) -> None:
    formatted = (node.id for node in nodes if node is not None and _has_format(node))
    node_id = next(formatted, None)
    if node_id is not None and item.has("commandOptions"):
        message = f"they have no effect, here and on AWS, since {node_id!r} has a dataFormat"
        context.note("no-effect", message, item, "commandOptions")


def _has_format(node: Item) -> bool:
    return node.type is not None and node.type.name == "S3DataNode" and node.has("dataFormat")


def _check_manifest(context: Context, node: Item) -> None:
    for key in ("filePath", "directoryPath"):
        if node.has("manifestFilePath") and node.has(key):
            message = "it has no effect on a RedshiftCopyActivity beside manifestFilePath"
            context.note("no-effect", message, node, key)


def _check_other_manifests(context: Context, used: Set[str]) -> None:
    for item in context.items:
        if item.type is None or item.type.name != "S3DataNode" or item.id in used:
            continue
        path = next((key for key in ("filePath", "directoryPath") if item.has(key)), None)
        if path is not None and item.has("manifestFilePath"):
            message = f"it has no effect beside {path} but on a RedshiftCopyActivity"
            context.note("no-effect", message, item, "manifestFilePath")


def _node(context: Context, item: Item, key: str) -> Item | None:
    ref = next(item.refs(key), None)
    return context.by_id.get(ref.id) if ref else None
