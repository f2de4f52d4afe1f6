"""The script in a machine's user data, with stand-ins for what it installs from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from taskrunner.model.document import Field, PipelineObject
from taskrunner.model.policy import Policy
from taskrunner.service.resources.base import Launch
from taskrunner.service.resources.ec2.user_data import MOST_BYTES, AgentSettings, user_data
from taskrunner.service.store.rows import MachineRow
from tests.unit.cli.pictures import instance

SAY = '#!/bin/bash\necho "${0##*/} $*" >> "$CALLS"\n'
#: Makes a venv whose programs only say what they were asked.
PYTHON = """#!/bin/bash
[ "$1" = -c ] && exit 0
mkdir -p "$3/bin"
for name in pip taskrunner python; do
  printf '#!/bin/bash\\necho "%s $* $KEY_TOKEN" >> "$CALLS"\\n' "$name" > "$3/bin/$name"
  echo '[ "${0##*/}" != "$BROKEN" ] || exit 1' >> "$3/bin/$name"
done
chmod +x "$3/bin/"*
"""
MACHINE = MachineRow(
    machine_id="m-1",
    pipeline_id="df-1",
    instance_id="@R",
    launch=1,
    number=0,
    account="1",
    worker_group="resource:df-1_@R's",
    region="eu-west-1",
    token="the-token",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def script(*fields: Field, signed: bool = True) -> str:
    agents = AgentSettings(
        endpoint="https://p.example.com", region="us-east-1", package="x.whl", signed=signed
    )
    wanted = Launch(
        row=instance("R", "CREATING", category="resource"),
        fields=PipelineObject(id="R", name="R", fields=fields),
        policy=Policy(terminate_after=timedelta(hours=1)),
        account="1",
        pipeline="p",
    )
    return user_data(agents, MACHINE, wanted)


class Host:
    """A folder that stands for a machine: its programs, and what is written on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._calls, self._bin = folder / "calls", folder / "bin"
        self._bin.mkdir()
        for name in ("dnf", "shutdown", "useradd", "chgrp"):
            self.program(name, SAY)
        self.program("python3", PYTHON)
        # There is no other user here than those of an image.
        self.program("id", '#!/bin/bash\n[ "$2" = ec2-user ]\n')
        for name in ("bash", "mkdir", "chmod", "cat", "base64", "mktemp"):
            found = shutil.which(name)
            if found is None:
                pytest.skip(f"{name} is not installed")
            (self._bin / name).symlink_to(found)

    def program(self, name: str, text: str) -> None:
        path = self._bin / name
        path.write_text(text)
        path.chmod(0o755)

    def boot(self, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": str(self._bin), "CALLS": str(self._calls), "ROOT": str(self.root)}
        return subprocess.run(
            ["/bin/bash", "-c", text],
            env={**environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return [line.rstrip() for line in self._calls.read_text().splitlines()]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_machine_sets_itself_up_says_its_key_and_starts_its_agent(host: Host) -> None:
    ended = host.boot(script())
    assert ended.returncode == 0, ended.stderr
    folder = host.root / "etc/taskrunner"
    assert host.calls == [
        "shutdown -h +65",
        "dnf install -y -q python3.11 python3.11-pip",
        "pip install --quiet --disable-pip-version-check --upgrade x.whl",
        "useradd --system --create-home dptask",
        (
            "python -m taskrunner.cli.machine_key https://p.example.com us-east-1 m-1 "
            f"{folder}/service_secret_key the-token"
        ),
        "taskrunner install-service",
        f"chgrp taskrunner {folder}/taskrunner.toml",
        "taskrunner install-service --start",
    ]
    settings = tomllib.loads((folder / "taskrunner.toml").read_text())
    assert settings["worker_group"] == ["resource:df-1_@R's"]
    assert settings["run_as_user"] == "dptask"
    assert settings["service_access_id"] == "m-1"
    assert (folder / "taskrunner.toml").stat().st_mode & 0o777 == 0o640
    unit = host.root / "etc/systemd/system/taskrunner.service.d/40-service-key.conf"
    assert unit.read_text() == (
        "[Service]\nLoadCredential=service_secret_key:/etc/taskrunner/service_secret_key\n"
    )


def test_a_service_that_wants_no_key_is_told_none(host: Host) -> None:
    ended = host.boot(script(signed=False))
    assert ended.returncode == 0, ended.stderr
    assert not any(call.startswith("python ") for call in host.calls)
    assert "the-token" not in script(signed=False)
    assert not (host.root / "etc/systemd").exists()


@pytest.mark.parametrize("broken", ["pip", "python", "taskrunner"])
def test_a_machine_that_cannot_be_set_up_ends_itself(host: Host, broken: str) -> None:
    ended = host.boot(script(), BROKEN=broken)
    assert ended.returncode == 1
    assert host.calls[-1] == "shutdown -h now"
    assert "failed" in ended.stderr


def test_a_user_that_the_image_lacks_is_said(host: Host) -> None:
    ended = host.boot(script(Field("runAsUser", "hadoop")))
    assert "runAsUser: this image has no user hadoop" in ended.stderr
    assert host.calls[-1] == "shutdown -h now"


def test_a_user_of_the_image_is_taken(host: Host) -> None:
    ended = host.boot(script(Field("runAsUser", "ec2-user")))
    assert ended.returncode == 0, ended.stderr
    assert not any(call.startswith("useradd") for call in host.calls)


def test_it_is_short_enough_for_ec2() -> None:
    assert len(script().encode()) < MOST_BYTES / 2


def test_nothing_of_the_real_host_is_touched(host: Host) -> None:
    """Every path that the script writes to is below the folder that stands for it."""
    text = script()
    assert "/etc/" not in text.replace('"$ROOT/etc/', "").replace(
        "LoadCredential=service_secret_key:/etc/", ""
    )
    assert os.access(host.root.parent, os.W_OK)
