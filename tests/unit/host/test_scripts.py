from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from taskrunner.host.scripts import Shebang, has_windows_line_ends, runnable, why_not_run


@pytest.mark.parametrize(
    ("head", "interpreter", "argument"),
    [
        (b"#!/bin/sh\n", "/bin/sh", None),
        (b"#!/bin/sh", "/bin/sh", None),
        (b"#! \t/bin/sh \t\nx", "/bin/sh", None),
        (b"#!/bin/sh -e\n", "/bin/sh", "-e"),
        (b"#!/usr/bin/env -S python3  -u \n", "/usr/bin/env", "-S python3  -u"),
        (b"#!/bin/sh\r\n", "/bin/sh\r", None),
        (b"#!/usr/bin/env python3\r\n", "/usr/bin/env", "python3\r"),
        (b"#!python3\n", "python3", None),
        (b"#!/bin/sh\0-e\n", "/bin/sh", None),
        (b"#!/bin/sh -e\0x\n", "/bin/sh", "-e"),
        (b"#!/bin/sh " + b"a" * 300, "/bin/sh", "a" * 245),
        (b"#!/" + b"a" * 252 + b" -e\n", "/" + "a" * 252, None),
        (b"#!/" + b"a" * 252 + b"\n", "/" + "a" * 252, None),
    ],
)
def test_a_first_line_is_read_as_the_kernel_reads_it(
    head: bytes, interpreter: str, argument: str | None
) -> None:
    assert Shebang.parse(head) == Shebang(interpreter=interpreter, argument=argument)


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"#", b"#!", b"#!\n", b"#! \t\n/bin/sh", b"echo", b"\xef\xbb\xbf#!/bin/sh\n"),
        *(b"#!/" + b"a" * 253 + b"\n", b"#!" + b" " * 300 + b"/bin/sh\n"),
    ],
)
def test_where_the_kernel_runs_nothing_there_is_no_interpreter(head: bytes) -> None:
    assert Shebang.parse(head) is None


def test_where_scripts_may_be_run_they_are_run_themselves(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert runnable([str(script), "x"], tmp_path) == [str(script), "x"]
    assert runnable(["/no/such/program"], tmp_path) == ["/no/such/program"]
    assert runnable(["with\0nul"], tmp_path) == ["with\0nul"]


def _why(path: Path, number: int) -> str:
    return why_not_run(str(path), path.parent, OSError(number, os.strerror(number), str(path)))


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("#!/no/such", errno.ENOENT, "there is no interpreter '/no/such' on this host (first line"),
        ("#!/no/such -x\n", errno.ENOENT, "(first line '#!/no/such -x')"),
        ("#!/bin/sh\r\n", errno.ENOENT, "it has Windows line ends (CRLF)"),
        ("#!perl\n", errno.ENOENT, "there is no interpreter 'perl' in "),
        ("#!/etc\n", errno.EACCES, "the interpreter '/etc' is a folder"),
        ("#!/etc/passwd\n", errno.EACCES, "'/etc/passwd' may not be executed by this user"),
        ("#!/etc/passwd/sh\n", errno.ENOTDIR, "there is no interpreter '/etc/passwd/sh'"),
        ("#!\n", errno.ENOEXEC, "the first line of it names no interpreter: '#!'"),
        ("#!/" + "a" * 300 + "\n", errno.ENOEXEC, "longer than the 255 bytes that the kernel"),
        ("\x7fELF", errno.ENOENT, "for another system, or its loader is not on this host"),
    ],
)
def test_what_keeps_a_program_from_running_is_named(
    tmp_path: Path, text: str, number: int, words: str
) -> None:
    script = tmp_path / "script"
    script.write_text(text)
    script.chmod(0o700)
    assert words in _why(script, number)


def test_the_interpreter_of_an_interpreter_is_named_too(tmp_path: Path) -> None:
    inner, script = tmp_path / "inner", tmp_path / "script"
    inner.write_text("#!/no/such\n")
    inner.chmod(0o700)
    script.write_text(f"#!{inner}\n")
    script.chmod(0o700)
    assert "there is no interpreter '/no/such'" in _why(script, errno.ENOENT)
    inner.write_text(f"#!{inner}\n")
    assert "Too many" in _why(script, errno.ELOOP)
    assert "No such file" in _why(script, errno.ENOENT)


def test_what_is_not_there_or_may_not_be_executed_is_said(tmp_path: Path) -> None:
    assert "No such file" in _why(tmp_path / "nothing", errno.ENOENT)
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o600)
    assert _why(script, errno.EACCES) == "it may not be executed by this user"
    script.chmod(0o700)
    assert "Argument list too long" in _why(script, errno.E2BIG)


@pytest.mark.parametrize(
    ("text", "windows"),
    [(b"a\r\nb", True), (b"a\nb\r\n", False), (b"a\r", False), (b"", False), (b"a\n", False)],
)
def test_line_ends_of_windows_are_known_by_the_first(text: bytes, windows: bool) -> None:
    assert has_windows_line_ends(text) is windows
