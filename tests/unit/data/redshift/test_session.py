from __future__ import annotations

from taskrunner.data.redshift.session import LoadError, Step


def test_a_long_value_is_cut_and_without_a_column_none_is_named() -> None:
    error = LoadError(
        file="s3://b/f", line="1", column="", type="", value="x" * 300, reason="too\n long"
    )
    assert str(error) == f"s3://b/f, line 1: too long (found '{'x' * 100}')"


def test_a_step_does_not_show_its_statement() -> None:
    step = Step(sql="COPY t FROM 's3://b' SECRET_ACCESS_KEY 'secret'", about="load")
    assert "secret" not in repr(step)
