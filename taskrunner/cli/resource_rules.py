"""What --resources says: one place for every resource, or a file of rules."""

from __future__ import annotations

from pathlib import Path

from taskrunner.errors import ConfigError, UsageError
from taskrunner.service.resources.rules import Rules, read_rules

#: Words that are meant as a target, whatever files there are.
_WORDS = ("local", "none", "ec2", "emr", "emr-serverless", "spark")
_BEGINNINGS = ("group=", "emr-serverless=", "spark=")


def given_rules(text: str) -> Rules:
    """The rules that an option names. Raises UsageError, or ConfigError for a file."""
    if text in _WORDS or text.startswith(_BEGINNINGS):
        return _everywhere(text)
    path = Path(text)
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if path.suffix or len(path.parts) > 1:
            raise ConfigError(f"--resources {text}: there is no such file") from None
        return _everywhere(text)
    except UnicodeDecodeError:
        raise ConfigError(f"--resources {text}: not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"--resources {text}: cannot be read: {reason}") from None
    return read_rules(content, text)


def _everywhere(text: str) -> Rules:
    try:
        return Rules.everywhere(text, "--resources")
    except ValueError as error:
        raise UsageError(f"--resources: {error}, or a file of rules") from None
