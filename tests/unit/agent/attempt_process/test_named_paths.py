from __future__ import annotations

import pytest

from taskrunner.agent.attempt_process.named_paths import placed
from taskrunner.errors import ErrorId, PathNotAllowed
from taskrunner.model.document import Ref
from taskrunner.testing.activity_environment import new_object, new_task

NODE = new_object("In", "S3DataNode", {"directoryPath": "/etc/", "*secret": "/etc/a/b/c"})
OTHER = new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:sqlite:/root/x.db?a=b"})
TASK = new_task("CopyActivity", {"input": Ref("In"), "script": "attach '/h/x' as x"}, NODE, OTHER)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/etc/a/b/c", "S3DataNode 'In', field 'directoryPath': "),
        ("/root/x.db", "JdbcDatabase 'Db', field 'connectionString': "),
        ("/h/x", "CopyActivity 'Activity', field 'script': "),
        ("/etcetera", ""),
        ("/nowhere", ""),
    ],
)
def test_a_refusal_names_the_field_that_names_the_file(path: str, field: str) -> None:
    error = PathNotAllowed(path, ["/srv"])
    before = str(error)
    assert "(local_paths has /srv" in before
    told = placed(error, TASK)
    assert str(told) == field + before
    assert told.error_id == ErrorId.NOT_ALLOWED
