"""Local files that a definition names: with whose rights, or below which folders, they are opened.

Whoever writes a definition is not the operator of the host. With a user for tasks, the kernel says
what that user may open. Without one it would say what the agent may: so nothing is opened but what
lies below the folders that the operator has listed. What counts is what was opened, not the path
that led there: links are followed, and cannot lead out, whoever changes them meanwhile.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from taskrunner.errors import PathNotAllowed
from taskrunner.host.users import User

_PATH = os.O_PATH | os.O_CLOEXEC
_FOLDER = _PATH | os.O_DIRECTORY
_ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFiles:
    """Which local files may be opened; nothing at all unless something is said."""

    #: What the operator has listed; its root stands for everything.
    folders: tuple[Path, ...] = ()
    #: The attempt's own folders, which nobody needs to list.
    own: tuple[Path, ...] = ()
    #: The user whose rights count, in place of the folders.
    user: User | None = None

    @property
    def bounded(self) -> bool:
        """Whether the folders, and not the kernel alone, say what may be opened."""
        return self.user is None and _ROOT not in self.folders

    def rights(self) -> AbstractContextManager[None]:
        """Have the rights of the tasks' user, if there is one, while the block lasts."""
        return self.user.assumed() if self.user is not None else nullcontext()

    def check(self, path: Path) -> None:
        """Raise PathNotAllowed for a path that now leads elsewhere than it may."""
        if self.bounded:
            self._check(self._resolved(path), path)

    def open(self, path: Path) -> int:
        """A descriptor for reading a regular file. Raises OSError, PathNotAllowed."""
        with self._found(path) as there:
            # What was looked at is opened, not what has the name by now.
            descriptor = os.open(there, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(descriptor).st_mode
        if S_ISREG(mode):
            return descriptor
        os.close(descriptor)
        code = errno.EISDIR if S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, "it is no regular file", str(path))

    def open_folder(self, path: Path) -> int:
        """A descriptor for listing a folder. Raises OSError, PathNotAllowed."""
        with self._found(path) as there:
            return os.open(there, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def stat(self, path: Path) -> os.stat_result:
        """What is known of a file. Raises OSError, PathNotAllowed."""
        with self._found(path) as there:
            return os.stat(there)  # noqa: PTH116  of what was looked at

    def parent(self, path: Path, *, make: bool = False) -> int:
        """A descriptor of a file's folder, for its `dir_fd`; made with its own if wanted.

        The file's name must not be followed as a link from there. Raises OSError, PathNotAllowed.
        """
        if path.name in {"", ".."}:
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        with self.rights():
            descriptor, missing = self._deepest(path.parent, make=make)
            try:
                self._check(_real(descriptor).joinpath(*missing, path.name), path)
                for name in missing:
                    descriptor = _below(descriptor, name)
                self._check(_real(descriptor) / path.name, path)
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor

    def real(self, path: Path) -> Path:
        """Where a file really is, or would be made. Raises OSError, PathNotAllowed."""
        with self.rights():
            real = self._resolved(path)
        self._check(real, path)
        return real

    def _resolved(self, path: Path) -> Path:
        try:
            return Path(os.path.realpath(path))
        except (OSError, ValueError) as error:
            # A link that was none any more when it was read, since somebody changes it just now; or
            # characters that no name can have.
            raise self._refusal(path) from error

    @contextmanager
    def _found(self, path: Path) -> Iterator[Path]:
        """What there is at a path, by a name that nobody else can change."""
        with self.rights():
            if not self.bounded:
                yield path
                return
            try:
                descriptor = os.open(path, _PATH)
            except (OSError, ValueError):
                # What is not there is refused in the same words as what is.
                self.check(path)
                raise
            try:
                self._check(_real(descriptor), path)
                yield Path(f"/proc/self/fd/{descriptor}")
            finally:
                os.close(descriptor)

    def _deepest(self, folder: Path, *, make: bool) -> tuple[int, list[str]]:
        """The deepest folder of those that lead to `folder` which is there, and what is missing."""
        missing: list[str] = []
        for candidate in (folder, *folder.parents):
            try:
                return os.open(candidate, _FOLDER), missing
            except FileNotFoundError:
                if not make:
                    self.check(folder)
                    raise
                missing.insert(0, candidate.name)
            except OSError:
                self.check(folder)
                raise
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))

    def _check(self, real: Path, named: Path) -> None:
        if not self.bounded:
            return
        listed = (Path(os.path.realpath(folder)) for folder in (*self.folders, *self.own))
        if ".." in real.parts or not any(real.is_relative_to(folder) for folder in listed):
            raise self._refusal(named)

    def _refusal(self, named: Path) -> PathNotAllowed:
        return PathNotAllowed(str(named), [str(folder) for folder in self.folders])


#: Files that the operator names: whatever the agent may.
ANYWHERE = LocalFiles(folders=(_ROOT,))


def _real(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _below(descriptor: int, name: str) -> int:
    """Make a folder, and go there; the descriptor of its parent is closed if that succeeds."""
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=descriptor)
    found = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
    os.close(descriptor)
    return found
