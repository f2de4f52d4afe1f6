"""What the data plane is told from outside: where s3:// lives, which databases are redirected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.config.kinds import url
from taskrunner.data.claims import Claim
from taskrunner.errors import ConfigError
from taskrunner.host.local_files import LocalFiles
from taskrunner.logins import hide_passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Settings of the data plane; plain data, so that it can be handed to a child process."""

    #: A folder that stands for S3: bucket b, key k is the file `s3_root/b/k`. None: real S3.
    s3_root: Path | None = None
    #: The URL of an S3 endpoint other than AWS's own; ignored when s3_root is set.
    s3_endpoint: str | None = None
    #: What that one's ETags are: `md5` sums, as AWS's are, or `opaque`.
    s3_etags: str = "md5"
    #: AWS region for S3, DynamoDB, SNS and RDS look-ups; None: boto3's own configuration.
    region: str | None = None
    #: Object id of a database -> URL used in its place.
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: The ARN of the role in whose name S3 is used; None: with the agent's own credentials.
    role: str | None = None
    #: What runs the steps and scripts of EMR's activities: auto, command, emr or local.
    emr_engine: str = "auto"
    #: The EMR cluster that steps are added to; None: the one whose master node this host is.
    emr_cluster: str | None = None
    #: The attempt that data are moved for; None: nobody's.
    claim: Claim | None = None
    #: Where the logs of its instance go: what the next attempt is to know is kept there.
    instance_uri: str | None = None
    #: Which local files a definition may name, and with whose rights they are opened.
    local: LocalFiles = field(default_factory=LocalFiles)


def check_endpoint(text: str) -> str:
    """The URL of an S3 endpoint as `DataSettings` takes it; raises ConfigError naming the flag."""
    try:
        return url(text)
    except ValueError as error:
        found = hide_passwords(repr(text))
        raise ConfigError(f"--s3-endpoint: found {found}, wanted {error}") from None
