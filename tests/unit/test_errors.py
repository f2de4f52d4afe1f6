from __future__ import annotations

from taskrunner.errors import ErrorId, PathNotAllowed, TaskError


def test_an_error_told_otherwise_is_of_its_kind_and_knows_as_much() -> None:
    error = PathNotAllowed("/etc/x", ["/srv"])
    other = error.told(f"line 3: {error}")
    assert type(other) is PathNotAllowed
    assert (other.path, other.error_id) == ("/etc/x", ErrorId.NOT_ALLOWED)
    assert str(other).startswith("line 3: '/etc/x' may not be opened")
    assert str(error).startswith("'/etc/x' may not be opened")
    assert str(TaskError("a", error_id="X").told("b")) == "b"
