"""Headers of pages: what a browser may do with them, and which requests are from them."""

from __future__ import annotations

from collections.abc import Mapping

#: Nothing but what we serve runs or is loaded, nobody frames a page, and scripts are no texts.
_RULES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'none'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    # htmx hands its pieces of HTML to the browser; scripts and their addresses are refused.
    "trusted-types default",
)
POLICY = "; ".join(_RULES)


def page_headers() -> dict[str, str]:
    """What every page has. Pages may be for the holder of one key alone: nobody keeps them."""
    return {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        # Not no-referrer: with that, forms of our own come from the origin `null`.
        "referrer-policy": "same-origin",
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


def is_ours(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a request that changes something was sent by a page of this origin.

    Browsers say where a request is from (Sec-Fetch-Site), older ones its origin. One that says
    neither is no browser that a stranger's page could use.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    given = headers.get("origin")
    return given is None or given == origin
