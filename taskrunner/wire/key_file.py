"""A key and its secret in ~/.aws/credentials, read without botocore where nothing else is said.

botocore would find the same, and takes half of an agent's start for it. Whatever asks for more than
the two (a role, a program, single sign-on, a file that is not as it should be) is left to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: The names that a profile may have here beside its key; botocore's order of the tokens.
_TOKENS = ("aws_security_token", "aws_session_token")
_KEY, _SECRET = "aws_access_key_id", "aws_secret_access_key"
#: What says nothing of credentials.
_PLAIN = frozenset({"region", "output", "cli_pager", "retry_mode", "max_attempts", "s3"})
#: With one of these in the environment, botocore looks at other places first.
_ELSEWHERE = ("AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
_OF_SHELLS = frozenset(" \t'\"\\")


def keys_in_file(
    profile: str | None, environ: Mapping[str, str]
) -> tuple[str, str, str | None] | None:
    """Key, secret and token of a profile; None: ask botocore.

    The files are AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, else those in ~/.aws.
    """
    if any(environ.get(name) for name in _ELSEWHERE):
        return None
    name = profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    config = _section(_place("AWS_CONFIG_FILE", "config", environ), f"profile {name}", name)
    found = _section(_place("AWS_SHARED_CREDENTIALS_FILE", "credentials", environ), name)
    if config is None or found is None or config.keys() - _PLAIN:
        return None
    if found.keys() - _PLAIN - {_KEY, _SECRET, *_TOKENS}:
        return None
    key, secret = found.get(_KEY), found.get(_SECRET)
    if not key or not secret:
        return None
    return key, secret, next(filter(None, map(found.get, _TOKENS)), None)


def _place(variable: str, name: str, environ: Mapping[str, str]) -> Path | None:
    """None where the path has something in it that only botocore expands."""
    given = environ.get(variable) or f"~/.aws/{name}"
    if "$" in given:
        return None
    try:
        return Path(given).expanduser()
    except RuntimeError:  # there is no home
        return None


def _section(path: Path | None, *names: str) -> Mapping[str, str] | None:
    """All that the file says under these names; nothing where there is no file; None: not clear."""
    import configparser

    if path is None:
        return None
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error):
        return None
    # A name with quotes or blanks in it is taken apart as a shell does: not here.
    if any(set(section.removeprefix("profile ")) & _OF_SHELLS for section in parser.sections()):
        return None
    said: dict[str, str] = {}
    for name in names:
        if parser.has_section(name):
            said.update(parser.items(name))
    return said
