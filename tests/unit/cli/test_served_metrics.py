from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.cli.served_metrics import metrics_token
from taskrunner.errors import ConfigError


def test_the_token_is_in_a_file_or_a_credential(tmp_path: Path) -> None:
    (tmp_path / "metrics_token").write_text("a-token-of-16-or-more\n")
    assert metrics_token(tmp_path / "metrics_token", {}) == "a-token-of-16-or-more"
    found = metrics_token(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found == "a-token-of-16-or-more"
    assert metrics_token(None, {}) is None


@pytest.mark.parametrize("text", ["short", "with a line\nbreak in it", "né" * 10])
def test_what_can_be_no_token_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(ConfigError, match="16 or more printable") as error:
        metrics_token(tmp_path / "t", {})
    assert text not in str(error.value)
