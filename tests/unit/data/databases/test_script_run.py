from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from taskrunner.data.databases import postgresql_dialect
from taskrunner.data.databases.dialect import Dialect, Family
from taskrunner.data.databases.mysql_dialect import assumed_after, dialect_of
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.script_run import Script, ScriptRun
from taskrunner.data.databases.script_session import ScriptSession
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.secret import Secret


class FakeSession(ScriptSession):
    """Remembers what it is told; a statement with `fail` in it fails."""

    dialect: ClassVar[Dialect] = dialect_of(())

    def __init__(self, family: Family = Family.POSTGRESQL) -> None:
        self.read_as = postgresql_dialect.STANDARD if family.is_psql else dialect_of(())
        self.told: list[str] = []
        #: What a statement makes of how texts are read, by its text.
        self.modes: dict[str, Dialect] = {}
        self.inside = False
        self.own = False

    def session_dialect(self) -> Dialect:
        return self.read_as

    def dialect_after(self, statement: Statement, dialect: Dialect) -> Dialect | None:
        return assumed_after(statement.text, dialect)

    def begin_script(self, *, own_transactions: bool) -> bool:
        self.own = own_transactions
        return True

    def in_transaction(self) -> bool | None:
        return self.inside

    def place_of(self, error: BaseException) -> int | None:
        return error.args[0] if isinstance(error, LookupError) else None

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        mark = "alone: " if alone and not self.own else ""
        self.told.append(mark + statement.text + "".join(f" <{value}>" for value in values or ()))
        if "fail" in statement.text:
            raise TaskError("cannot: no", error_id=ErrorId.NOT_FOUND) from LookupError(
                statement.text.index("fail")
            )
        if self.own:
            self.inside = statement.verb == "BEGIN" or (self.inside and statement.verb != "COMMIT")
        else:
            self.inside = not alone
        self.read_as = self.modes.get(statement.text, self.read_as)
        return 1

    def execute_perhaps_alone(self, statement: Statement, values: Sequence[str] | None) -> int:
        self.told.append("perhaps")
        return self.execute(statement, values, alone=False)

    def commit(self) -> None:
        self.told.append("commit")
        self.inside = False


def run(session: FakeSession, script: str, *arguments: str) -> list[str]:
    ScriptRun(session, Script(text=script, name="s3://b/x.sql"), arguments).run(ignore)
    return session.told


def ignore(statement: Statement, number: int, count: int) -> None:
    pass


def test_a_script_is_one_transaction() -> None:
    assert run(FakeSession(), "a; savepoint s; b") == ["a", "savepoint s", "b", "commit"]


def test_what_refuses_a_transaction_stands_outside() -> None:
    told = run(FakeSession(), "a; vacuum t; call p(); b")
    assert told == ["a", "commit", "alone: vacuum t", "perhaps", "call p()", "b", "commit"]


def test_a_single_statement_stands_alone() -> None:
    assert run(FakeSession(), "call p()") == ["commit", "alone: call p()", "commit"]


def test_a_script_with_transactions_of_its_own_is_left_to_them() -> None:
    session = FakeSession()
    told = run(session, "a; begin; call p(); commit; vacuum t")
    assert told == ["a", "begin", "call p()", "commit", "vacuum t", "commit"]
    assert session.own


def test_a_transaction_that_never_ends_is_told() -> None:
    session = FakeSession()
    with pytest.raises(
        PermanentTaskError, match=r"x.sql ends within a transaction.*line 3, col"
    ) as e:
        run(session, "a;\nb;\nbegin")
    assert "the first 2 statements (up to line 2) are committed" in str(e.value)


@pytest.mark.parametrize(
    ("family", "script", "kept"),
    [
        (Family.POSTGRESQL, "a; b; fail", None),
        (Family.POSTGRESQL, "a; vacuum; fail", "the first 2 statements (up to line 1) are"),
        (Family.POSTGRESQL, "a;\nvacuum fail", "the first statement is committed, and another"),
        (Family.POSTGRESQL, "a;\nbegin; b; fail", "the first statement is"),
        (Family.MYSQL, "a; fail", None),
        # The server has committed before it failed.
        (Family.MYSQL, "a;\nb;\ncreate table fail", "the first 2 statements (up to line 2) are"),
    ],
)
def test_a_failure_says_what_stays(family: Family, script: str, kept: str | None) -> None:
    with pytest.raises(TaskError) as caught:
        run(FakeSession(family), script)
    assert caught.value.error_id == ErrorId.NOT_FOUND
    assert ("committed" in str(caught.value)) is (kept is not None)
    assert (kept or "") in str(caught.value)


def test_a_failure_says_where_and_what() -> None:
    with pytest.raises(TaskError) as caught:
        run(FakeSession(), "a;\n  -- why\n select 1,\n   fail")
    assert str(caught.value) == (
        "cannot: no; statement 2 of s3://b/x.sql, line 4, column 4: 'select 1,\\n   fail'"
    )


def test_a_secret_statement_is_not_shown() -> None:
    script = Script(text=Secret("select 'fail'"))
    with pytest.raises(TaskError) as caught:
        ScriptRun(FakeSession(), script, ()).run(ignore)
    assert "line 1" in str(caught.value)
    assert "select" not in str(caught.value)


def test_arguments_are_counted_before_anything_runs() -> None:
    session = FakeSession()
    with pytest.raises(PermanentTaskError, match=r"3 placeholders.*2 scriptArguments"):
        run(session, "a ?; b ? ?", "1", "2")
    assert session.told == []
    assert run(session, "a ?; b ? ?", "1", "2", "3")[:2] == ["a ? <1>", "b ? ? <2> <3>"]


def test_what_a_script_sets_is_how_the_rest_is_read() -> None:
    plain = dialect_of(["NO_BACKSLASH_ESCAPES"])
    setting = "set sql_mode = 'NO_BACKSLASH_ESCAPES'"
    session = FakeSession(Family.MYSQL)
    session.modes[setting] = plain
    assert run(session, f"{setting}; a 'C:\\'; b ? 'x'", "1") == [
        setting,
        "a 'C:\\'",
        "b ? 'x' <1>",
        "commit",
    ]


@pytest.mark.parametrize("setting", ["set sql_mode = @before", "call f(); set @@sql_mode = g()"])
def test_the_server_knows_better_what_was_set(setting: str) -> None:
    session = FakeSession(Family.MYSQL)
    session.modes[setting.rpartition("; ")[2]] = dialect_of(["NO_BACKSLASH_ESCAPES"])
    # Read before, it would end inside a quote.
    assert run(session, f"{setting}; a 'C:\\'; b")[-3:] == ["a 'C:\\'", "b", "commit"]


def test_what_was_wrong_before_may_be_wrong_indeed() -> None:
    session = FakeSession(Family.MYSQL)
    with pytest.raises(PermanentTaskError, match=r"x.sql ends inside the quote.*line 2, column 3"):
        run(session, "set sql_mode = @before;\na 'C:\\'; b")
    session = FakeSession(Family.MYSQL)
    with pytest.raises(PermanentTaskError, match="1 placeholders"):
        run(session, "set sql_mode = @before; a ?", "1", "2")
    assert "commit" not in session.told


def test_a_broken_script_does_not_run() -> None:
    session = FakeSession()
    with pytest.raises(PermanentTaskError, match=r"s3://b/x.sql ends inside the quote"):
        run(session, "a; b 'c")
    assert session.told == []
