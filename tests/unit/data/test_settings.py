from __future__ import annotations

import pytest

from taskrunner.data.settings import check_endpoint
from taskrunner.errors import ConfigError


def test_an_endpoint_is_an_http_url() -> None:
    assert check_endpoint("http://localhost:9000/") == "http://localhost:9000"


@pytest.mark.parametrize("text", ["nonsense", "s3://bucket", "localhost:9000", "http://h:x", ""])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"^--s3-endpoint: found '{text}', wanted "):
        check_endpoint(text)
