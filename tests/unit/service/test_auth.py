from __future__ import annotations

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from taskrunner.clock import SystemClock
from taskrunner.model.document import ParameterValue
from taskrunner.service.auth import NoAuthenticator, Permit, SigV4Authenticator
from taskrunner.service.auth_keys import ROLES, Key
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.wire.faults import AccessDenied, BadSignature, MissingAuthentication
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.inputs import ActivatePipelineInput, ListPipelinesInput
from taskrunner.wire.operations import OPERATIONS
from taskrunner.wire.runner_messages import PollForTaskInput

KEY = Key(
    id="AKRUNNER",
    secret="s" * 32,
    user="runner-1",
    account="123456789012",
    actions=ROLES["runner"],
    worker_groups=frozenset({"prod"}),
)


def signed(secret: str) -> HttpRequest:
    request = AWSRequest(
        method="POST",
        url="http://127.0.0.1/",
        headers={"Host": "127.0.0.1", "X-Amz-Target": "DataPipeline.PollForTask"},
        data=b"{}",
    )
    SigV4Auth(Credentials(KEY.id, secret), "datapipeline", "us-east-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return HttpRequest(headers=headers, body=b"{}")


def authenticator() -> SigV4Authenticator:
    return SigV4Authenticator({KEY.id: KEY}, region="us-east-1", clock=SystemClock())


def test_a_signature_makes_the_caller_the_keys_user() -> None:
    permit = authenticator().authenticate(signed(KEY.secret))

    assert permit.caller == Caller(
        account="123456789012", user="runner-1", worker_groups=frozenset({"prod"})
    )
    assert permit.actions == ROLES["runner"]


def test_a_wrong_signature_makes_nobody() -> None:
    with pytest.raises(BadSignature):
        authenticator().authenticate(signed("x" * 32))
    with pytest.raises(MissingAuthentication):
        authenticator().authenticate(HttpRequest())


def test_without_authentication_everybody_is_the_same() -> None:
    permit = NoAuthenticator().authenticate(HttpRequest())

    assert permit == Permit(caller=ANONYMOUS)
    permit.check_action("PutPipelineDefinition")
    permit.check_request(PollForTaskInput(worker_group="any"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_role_may_do_what_its_table_says_and_nothing_else(role: str, operation: str) -> None:
    permit = Permit(caller=ANONYMOUS, actions=ROLES[role])

    if operation in ROLES[role]:
        permit.check_action(operation)
    else:
        with pytest.raises(AccessDenied, match=f"datapipeline:{operation}"):
            permit.check_action(operation)


def test_a_runner_cannot_define_and_an_author_cannot_poll() -> None:
    assert not ROLES["runner"] & {"CreatePipeline", "PutPipelineDefinition", "ActivatePipeline"}
    assert not ROLES["author"] & {"PollForTask", "ReportTaskProgress", "SetTaskStatus"}
    assert not ROLES["viewer"] & {"PutPipelineDefinition", "SetStatus", "DeletePipeline"}
    assert ROLES["admin"] == OPERATIONS.keys()


def test_a_keys_worker_groups_bound_its_polls() -> None:
    permit = Permit(caller=Caller(account="1", user="u", worker_groups=frozenset({"prod"})))

    permit.check_request(PollForTaskInput(worker_group="prod"))
    permit.check_request(ListPipelinesInput())
    with pytest.raises(AccessDenied, match="'Prod'"):
        permit.check_request(PollForTaskInput(worker_group="Prod"))


@pytest.mark.parametrize("role", [r for r in ROLES if "ActivatePipeline" in ROLES[r]])
def test_values_for_an_activation_are_an_authors_right(role: str) -> None:
    permit = Permit(caller=ANONYMOUS, actions=ROLES[role])
    values = (ParameterValue(id="myWord", value="x"),)

    permit.check_request(ActivatePipelineInput(pipeline_id="df-1"))
    given = ActivatePipelineInput(pipeline_id="df-1", parameter_values=values)
    if role == "operator":
        with pytest.raises(AccessDenied, match="which takes datapipeline:PutPipelineDefinition"):
            permit.check_request(given)
    else:
        permit.check_request(given)
