"""The objects that a data node stands for: one, those of a directory, or those of a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from taskrunner.data.manifest import check_names, files_of
from taskrunner.data.nodes import FileNode
from taskrunner.data.objects.base import ObjectInfo, ObjectStore
from taskrunner.errors import ErrorId, TaskError

#: A directory with no more objects is listed once, to know its size and to read it.
_FEW = 10_000


class SourceFiles:
    """The objects of nodes; a manifest is read once."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._manifests: dict[str, list[ObjectInfo]] = {}
        #: What a listing said of small directories, until it is used.
        self._found: dict[str, list[ObjectInfo]] = {}

    def uris(self, node: FileNode, *, all_files: bool, is_apart: bool = False) -> Iterator[str]:
        """A node's objects, in the order of their keys; markers only where files are copied.

        `is_apart`: each becomes a file of its own, by its name. Raises TaskError.
        """
        if node.is_manifest:
            found = self._listed(node)
            if is_apart:
                check_names(found, node.uri)
            yield from (info.uri for info in found)
        elif not node.is_directory:
            yield node.uri
        else:
            yield from (info.uri for info in self.in_directory(node, all_files=all_files))

    def in_directory(self, node: FileNode, *, all_files: bool) -> Iterator[ObjectInfo]:
        """What the listing of a node's directory says; raises TaskError for an empty one."""
        empty = True
        for info in self._found.pop(node.uri, None) or self._objects.list(node.uri):
            empty = False
            name = info.uri.rpartition("/")[2]
            if name and (all_files or not name.startswith(("_", "."))):
                yield info
        if empty:
            message = f"there is no object in {node.uri} (S3DataNode {node.id!r})"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)

    def size(self, node: FileNode) -> int:
        """How many bytes they have; what is missing is found when it is read."""
        if node.is_manifest:
            return sum(info.size for info in self._listed(node))
        if node.is_directory:
            listing = self._objects.list(node.uri)
            few = list(islice(listing, _FEW))
            if len(few) < _FEW:
                self._found[node.uri] = few
            return sum(info.size for info in few) + sum(info.size for info in listing)
        found = self._objects.stat(node.uri)
        return found.size if found else 0

    def _listed(self, node: FileNode) -> list[ObjectInfo]:
        if node.uri not in self._manifests:
            self._manifests[node.uri] = files_of(self._objects, node.uri)
        return self._manifests[node.uri]
