"""Programs that begin with `#!`: how the kernel reads that line, and why one could not be run.

A script on a file system mounted noexec cannot be run, but its interpreter can, with the script as
an argument: that is what the kernel itself would have done.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: So much of a file the kernel reads before it decides how to run it.
_HEAD = 256
#: An interpreter may be a script with an interpreter of its own, so many times over.
_DEEPEST = 4
_BLANKS = b" \t"
#: What the name of an interpreter ends at.
_ENDS = b" \t\0"
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shebang:
    """The first line of a script."""

    interpreter: str
    #: All that follows the interpreter, blanks inside it too, is one argument.
    argument: str | None = None

    @classmethod
    def parse(cls, head: bytes) -> Shebang | None:
        """As the kernel reads the beginning of a file; None where that runs nothing.

        That is so without `#!`, with nothing behind it, and where the name of the interpreter may
        go on beyond what the kernel looks at.
        """
        head = head[:_HEAD]
        if not head.startswith(b"#!"):
            return None
        line, newline, _ = head[2:].partition(b"\n")
        line = line.lstrip(_BLANKS)
        if not newline and len(head) == _HEAD:
            if not any(byte in _ENDS for byte in line):
                return None
            line = line[:-1]
        line = line.rstrip(_BLANKS)
        name, argument = _split(line)
        if not name:
            return None
        return cls(interpreter=os.fsdecode(name), argument=os.fsdecode(argument) or None)

    def __str__(self) -> str:
        return f"#!{self.interpreter}{' ' if self.argument else ''}{self.argument or ''}"

    @property
    def program(self) -> str:
        """The interpreter as a path: without a slash it is in the working folder, not in PATH."""
        return self.interpreter if "/" in self.interpreter else f"./{self.interpreter}"


def _split(line: bytes) -> tuple[bytes, bytes]:
    end = next((at for at, byte in enumerate(line) if byte in _ENDS), len(line))
    rest = b"" if line[end : end + 1] == b"\0" else line[end:].lstrip(_BLANKS)
    return line[:end], rest.partition(b"\0")[0]


def runnable(argv: Sequence[str], cwd: Path) -> list[str]:
    """A command line that can be run where scripts themselves may not be: by the interpreter."""
    found = list(argv)
    for _ in range(_DEEPEST):
        path = cwd / found[0]
        if "/" not in found[0] or not _no_programs_at(path):
            break
        if (shebang := Shebang.parse(_head_of(path))) is None:
            break
        argument = [] if shebang.argument is None else [shebang.argument]
        found = [shebang.program, *argument, *found]
    return found


def why_not_run(program: str, cwd: Path, error: OSError) -> str:
    """Why a program could not be run, in words; the kernel's error names the script in any case."""
    path = cwd / program
    if error.errno not in {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR}:
        return str(error)
    if "/" not in program or not _exists(path):
        return str(error)
    forbidden = error.errno == errno.EACCES
    return next(_reasons(path, cwd, forbidden=forbidden), str(error))


def has_windows_line_ends(head: bytes) -> bool:
    """Whether the first line of a text ends as Windows ends lines."""
    return head.partition(b"\n")[0].endswith(b"\r") and b"\n" in head


def _reasons(
    path: Path, cwd: Path, *, forbidden: bool, what: str = "it", depth: int = _DEEPEST
) -> Iterator[str]:
    head = _head_of(path)
    shebang = Shebang.parse(head)
    if shebang is not None and depth:
        interpreter = cwd / shebang.program
        if not _exists(interpreter):
            yield _missing(shebang, cwd, what)
        else:
            what_there = f"the interpreter {shebang.interpreter!r}"
            yield from _reasons(
                interpreter, cwd, forbidden=forbidden, what=what_there, depth=depth - 1
            )
    elif shebang is None and head.startswith(b"#!"):
        problem = "names no interpreter"
        if len(head) == _HEAD and b"\n" not in head:
            problem = f"is longer than the {_HEAD - 1} bytes that the kernel reads"
        yield f"the first line of {what} {problem}: {_shown(head)}"
    if forbidden:
        yield from _forbidden(path, what)
    elif head.startswith(b"\x7fELF"):
        yield f"{what} is a program for another system, or its loader is not on this host"


def _missing(shebang: Shebang, cwd: Path, what: str) -> str:
    line = f"first line {_shown(os.fsencode(str(shebang)))}"
    if shebang.interpreter.endswith("\r"):
        return (
            f"{what} has Windows line ends (CRLF), so that it asks for the interpreter "
            f"{shebang.interpreter!r}; save it with Unix line ends (LF)"
        )
    if not shebang.interpreter.startswith("/"):
        wanted = "wanted an absolute path, or #!/usr/bin/env NAME to look in PATH"
        return f"there is no interpreter {shebang.interpreter!r} in {cwd} ({line}); {wanted}"
    return f"there is no interpreter {shebang.interpreter!r} on this host ({line})"


def _forbidden(path: Path, what: str) -> Iterator[str]:
    if path.is_dir():
        yield f"{what} is a folder"
    elif _no_programs_at(path):
        yield f"{what} lies on the file system {_mount_of(path)}, which is mounted noexec"
    elif not os.access(path, os.X_OK, effective_ids=True):
        yield f"{what} may not be executed by this user"


def _head_of(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _HEAD)
    except OSError:  # a folder
        return b""
    finally:
        os.close(descriptor)


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:  # it cannot be looked at
        return True
    return True


def _no_programs_at(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_NOEXEC)
    except (OSError, ValueError):
        return False


def _mount_of(path: Path) -> str:
    """The folder that the file system of a file is mounted at."""
    real = os.path.realpath(path)
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return real
    points = [_OCTAL.sub(lambda o: chr(int(o[1], 8)), line.split()[1]) for line in lines]
    around = [point for point in points if Path(real).is_relative_to(point)]
    return max(around, key=len, default=real)


def _shown(line: bytes) -> str:
    """A line of a script for a message: short, on one line."""
    text = line.partition(b"\n")[0].decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
