from __future__ import annotations

import pytest

from taskrunner.console.headers import POLICY, is_ours, page_headers

OURS = "https://pipelines.example.com"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": OURS}, True),
        ({"origin": OURS}, True),
        # A page that tells nobody where a request is from.
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": OURS}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://pipelines.example.com"}, False),
        ({"origin": f"{OURS}:8443"}, False),
        ({"origin": "https://evil.example"}, False),
    ],
)
def test_only_pages_of_this_origin_change_anything(headers: dict[str, str], ours: bool) -> None:
    assert is_ours(headers, OURS) is ours


def test_pages_run_nothing_but_our_files_and_are_kept_by_nobody() -> None:
    assert "script-src 'self'" in POLICY
    assert "unsafe" not in POLICY
    assert "*" not in POLICY
    assert page_headers()["cache-control"] == "no-store"
