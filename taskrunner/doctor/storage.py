"""Whether logs can be written where the settings say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

from taskrunner.data.objects import open_store
from taskrunner.doctor.case import Case, Finding, failed, passed
from taskrunner.errors import ErrorId, TaskError
from taskrunner.host.local_files import ANYWHERE

_REMEDIES = {
    ErrorId.ACCESS_DENIED: "allow these credentials s3:PutObject (and s3:DeleteObject, for this "
    "check) there, in their IAM policy and the bucket's; or correct log_uri",
    ErrorId.NOT_FOUND: "make the bucket, or correct log_uri",
    ErrorId.CONNECTION_FAILED: "check s3_endpoint, region, proxy and routes to S3",
    ErrorId.STORAGE_FULL: "make space",
}


def check_log_uri(case: Case) -> Iterator[Finding]:
    """Write an object and delete it."""
    base = case.settings.log_uri
    if base is None:
        yield passed("log URI", "none is set: logs go where each pipeline's pipelineLogUri says")
        return
    uri = f"{base.rstrip('/')}/taskrunner-doctor-{uuid.uuid4().hex}"
    try:
        # It is the operator's own: no definition names it.
        store = open_store(replace(case.data, local=ANYWHERE))
        with store.open_write(uri) as writer:
            writer.write(b"written by taskrunner doctor; may be deleted\n")
    except TaskError as error:
        yield failed("log URI", str(error), _REMEDIES.get(error.error_id, "correct log_uri"))
        return
    try:
        store.delete(uri)
    except TaskError as error:
        remedy = f"delete {uri}; agents themselves need no permission to delete logs"
        yield failed("log URI", f"written, but not deleted: {error}", remedy)
        return
    yield passed("log URI", f"{base}: an object was written and deleted")
