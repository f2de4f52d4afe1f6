"""Names of what the fork server's children do, known to both sides."""

from __future__ import annotations

__all__ = ["ATTEMPT", "SHIPPER"]

#: Runs one attempt.
ATTEMPT = "attempt"
#: Uploads logs.
SHIPPER = "shipper"
