from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.host.permissions import remedy


@pytest.mark.parametrize(
    ("mode", "group_reads", "wanted"),
    [
        (0o600, False, None),
        (0o400, False, None),
        (0o640, False, "chmod 600 {}"),
        (0o602, False, "chmod 600 {}"),
        (0o640, True, None),
        (0o660, True, "chmod g-w,o-rwx {}"),
        (0o644, True, "chmod g-w,o-rwx {}"),
    ],
)
def test_a_file_is_for_one_user(
    tmp_path: Path, mode: int, group_reads: bool, wanted: str | None
) -> None:
    file = tmp_path / "f"
    file.touch()
    file.chmod(mode)
    assert remedy(file, group_reads=group_reads) == (wanted and wanted.format(file))


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        (0o700, None),
        (0o755, None),
        (0o775, "chmod go-w {}"),
        (0o757, "chmod go-w {}"),
        (0o1777, None),
    ],
)
def test_in_a_folder_nobody_else_exchanges_files(
    tmp_path: Path, mode: int, wanted: str | None
) -> None:
    tmp_path.chmod(mode)
    assert remedy(tmp_path) == (wanted and wanted.format(tmp_path))
    tmp_path.chmod(0o700)
