"""Addresses of databases that AWS runs, by the name of their instance or cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from taskrunner.data.databases.schemes import (
    REDSHIFT,
    Scheme,
    known_engines,
    scheme_of_engine,
)
from taskrunner.errors import ErrorId, TaskError

_TIMEOUT_S = 10


class Lookup(Protocol):
    """Where an instance or cluster is, as a JDBC connection string without a database name."""

    def rds(self, instance: str, region: str | None) -> str:
        """The address of an RDS instance; raises TaskError."""
        ...

    def redshift(self, cluster: str, region: str | None) -> str:
        """The address of a Redshift cluster; raises TaskError."""
        ...


class AwsLookup:
    """Asks AWS, with the host's own credentials."""

    def rds(self, instance: str, region: str | None) -> str:
        """The address of an RDS instance; raises TaskError."""
        reply = ask_aws(
            "rds",
            region,
            lambda client: client.describe_db_instances(DBInstanceIdentifier=instance),
            f"RDS instance {instance!r}",
        )
        found = reply["DBInstances"][0]
        engine = str(found.get("Engine"))
        scheme = scheme_of_engine(engine)
        if scheme is None:
            known = ", ".join(known_engines())
            message = f"RDS instance {instance!r} runs {engine!r}; known: {known}"
            raise TaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
        return _address(scheme, found.get("Endpoint"), f"RDS instance {instance!r}")

    def redshift(self, cluster: str, region: str | None) -> str:
        """The address of a Redshift cluster; raises TaskError."""
        reply = ask_aws(
            "redshift",
            region,
            lambda client: client.describe_clusters(ClusterIdentifier=cluster),
            f"Redshift cluster {cluster!r}",
        )
        found = reply["Clusters"][0]
        return _address(REDSHIFT, found.get("Endpoint"), f"Redshift cluster {cluster!r}")


def _address(scheme: Scheme, endpoint: dict[str, Any] | None, what: str) -> str:
    if not endpoint or "Address" not in endpoint:
        message = f"{what} has no address yet: it is still being created"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)
    return f"jdbc:{scheme.name}://{endpoint['Address']}:{endpoint['Port']}/"


def ask_aws(service: str, region: str | None, call: Callable[[Any], Any], what: str) -> Any:
    """One call to AWS, with the host's own credentials; raises TaskError that names `what`."""
    import botocore.exceptions as aws
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=_TIMEOUT_S, retries={"mode": "standard", "total_max_attempts": 3}
    )
    try:
        client = botocore.session.get_session().create_client(
            service, region_name=region, config=config
        )
        try:
            return call(client)
        finally:
            client.close()
    except aws.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        error_id = ErrorId.NOT_FOUND if "NotFound" in code else ErrorId.ACCESS_DENIED
        message = f"cannot look up the {what}: {error.response.get('Error', {}).get('Message')}"
        raise TaskError(message, error_id=error_id) from error
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        message = f"cannot look up the {what}: {error}"
        raise TaskError(message, error_id=ErrorId.ACCESS_DENIED) from error
    except aws.NoRegionError as error:
        message = f"cannot look up the {what}: no AWS region is given, here or for the agent"
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD) from error
    except (aws.BotoCoreError, ValueError) as error:
        message = f"cannot look up the {what}: {error}"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED) from error
