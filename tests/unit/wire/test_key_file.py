"""A plain key file, held to what botocore makes of the same one."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.wire.key_file import keys_in_file
from taskrunner.wire.keys import find_keys

PLAIN = "[default]\naws_access_key_id = AKID\naws_secret_access_key = s=ecret%(x)s # no comment\n"


def written(tmp_path: Path, credentials: str | None, config: str | None = None) -> dict[str, str]:
    """The variables that name the files."""
    environ = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    for variable, name, text in (
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", credentials),
        ("AWS_CONFIG_FILE", "config", config),
    ):
        environ[variable] = str(tmp_path / name)
        if text is not None:
            (tmp_path / name).write_text(text, encoding="utf-8")
    return environ


@pytest.mark.parametrize(
    ("credentials", "config", "profile"),
    [
        (PLAIN, None, None),
        (PLAIN, "[default]\nregion = eu-west-1\ns3 =\n  addressing_style = path\n", None),
        (PLAIN + "aws_session_token = token\n", None, None),
        (PLAIN + "aws_session_token = two\naws_security_token = one\n", None, None),
        (PLAIN + "[other]\naws_access_key_id = B\naws_secret_access_key = b\n", None, "other"),
        ("[DEFAULT]\nregion = eu-west-1\n" + PLAIN, None, None),
    ],
)
def test_a_plain_file_says_what_botocore_finds_in_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    credentials: str,
    config: str | None,
    profile: str | None,
) -> None:
    environ = written(tmp_path, credentials, config)
    found = keys_in_file(profile, environ)

    import botocore.session

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    theirs = botocore.session.Session(profile=profile).get_credentials()
    assert theirs is not None
    assert theirs.method == "shared-credentials-file"
    assert found == (theirs.access_key, theirs.secret_key, theirs.token)
    source = find_keys(loopback=True, profile=profile, environ=environ)
    assert source is not None
    assert source.found_by == theirs.method


@pytest.mark.parametrize(
    ("credentials", "config", "environ"),
    [
        (None, None, {}),
        ("", None, {}),
        ("not = ini [", None, {}),
        ("[default]\naws_access_key_id = AKID\n", None, {}),
        (PLAIN.replace("AKID", ""), None, {}),
        (PLAIN + "role_arn = arn:aws:iam::1:role/r\n", None, {}),
        (PLAIN + "credential_process = keys\n", None, {}),
        (PLAIN, "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\n", {}),
        (PLAIN, "[profile default]\nsso_session = x\n", {}),
        (PLAIN, '[profile "default"]\nrole_arn = arn:aws:iam::1:role/r\n', {}),
        (PLAIN, "[default]\nweb_identity_token_file = /token\n", {}),
        (PLAIN, "[DEFAULT]\nrole_arn = arn:aws:iam::1:role/r\n[default]\nregion = x\n", {}),
        (PLAIN, "broken [", {}),
        (PLAIN, None, {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}),
        (PLAIN, None, {"AWS_ACCESS_KEY_ID": "half"}),
        (PLAIN, None, {"AWS_PROFILE": "absent"}),
        (PLAIN, None, {"AWS_SHARED_CREDENTIALS_FILE": "$HOME/credentials"}),
        (PLAIN, None, {"AWS_CONFIG_FILE": "~nobody-of-that-name/config"}),
    ],
)
def test_what_is_not_so_plain_is_left_to_botocore(
    tmp_path: Path, credentials: str | None, config: str | None, environ: dict[str, str]
) -> None:
    given = {**written(tmp_path, credentials, config), **environ}
    assert keys_in_file(None, given) is None


def test_a_file_that_is_no_text_is_left_to_botocore(tmp_path: Path) -> None:
    environ = written(tmp_path, None)
    (tmp_path / "credentials").write_bytes(b"\xff\xfe[default]")
    assert keys_in_file(None, environ) is None
