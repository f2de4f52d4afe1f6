from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from taskrunner.service.store.moments import UtcDateTime

EAST = timezone(timedelta(hours=5, minutes=30))
MOMENTS = [
    datetime(2026, 2, 13, 2, 0, tzinfo=UTC),
    datetime(2026, 2, 13, 2, 0, 0, 7, tzinfo=EAST),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),  # noqa: UP017
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_sqlite_keeps_moments_as_sqlalchemy_itself_would(moment: datetime) -> None:
    dialect = sqlite.dialect()
    ours = UtcDateTime().dialect_impl(dialect)
    own = sa.DateTime().dialect_impl(dialect)
    in_, own_in = ours.bind_processor(dialect), own.bind_processor(dialect)
    out = ours.result_processor(dialect, None)
    assert in_ is not None
    assert own_in is not None
    assert out is not None
    text = in_(moment)
    assert text == own_in(moment.astimezone(UTC).replace(tzinfo=None))
    found = out(text)
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC
    assert in_(None) is None
    assert out(None) is None
