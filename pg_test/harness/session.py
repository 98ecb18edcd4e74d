"""A psycopg connection that keeps the notices it got, and errors that are asserted whole.

    with db.connect() as session:                 # autocommit
        session.execute("CALL belay.migrate_up()")
        assert session.messages == ["applied 0001_users (3 ms)", ...]

    with expect_error("42704", message="migration \\"x\\" does not exist", hint=re.compile("migrate_status")) as error:
        session.execute("CALL belay.migrate_up(target => 'x')")
    assert error.detail is None
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from typing import Iterator

import psycopg
from psycopg.errors import Diagnostic


@dataclasses.dataclass(frozen=True)
class Notice:
    """What the server said beside the result: NOTICE, WARNING, INFO or LOG."""

    severity: str
    sqlstate: str
    message: str
    detail: str | None
    hint: str | None
    context: str | None

    @classmethod
    def from_diagnostic(cls, diag: Diagnostic) -> Notice:
        # psycopg's own object is empty once its handler has returned.
        return cls(
            diag.severity_nonlocalized, diag.sqlstate, diag.message_primary,
            diag.message_detail, diag.message_hint, diag.context,
        )  # fmt: skip


class Session(psycopg.Connection):
    """A connection. `notices` holds what the server said so far; tests may clear it."""

    notices: list[Notice]

    def __init__(self, *arguments, **keywords) -> None:
        super().__init__(*arguments, **keywords)
        self.notices = []
        self.add_notice_handler(lambda diag: self.notices.append(Notice.from_diagnostic(diag)))

    @property
    def messages(self) -> list[str]:
        """The text of the notices so far."""
        return [notice.message for notice in self.notices]

    @property
    def pid(self) -> int:
        return self.info.backend_pid

    def rows(self, query: str, parameters=None) -> list[tuple]:
        return self.execute(query, parameters).fetchall()

    def one(self, query: str, parameters=None):
        """The value of a query with one row of one column; None for no row."""
        row = self.execute(query, parameters).fetchone()
        return None if row is None else row[0]


class ExpectedError:
    """What `expect_error` caught. The fields are None until the block has ended."""

    def __init__(self) -> None:
        self.error: psycopg.Error | None = None

    def __getattr__(self, field: str):
        """`message`, `hint`, `detail`, `position` and every other field of psycopg's Diagnostic: context, internal_query, ..."""
        names = {
            "message": "message_primary",
            "hint": "message_hint",
            "detail": "message_detail",
            "position": "statement_position",
        }
        if self.error is None:
            return None
        return getattr(self.error.diag, names.get(field, field))


@contextlib.contextmanager
def expect_error(
    sqlstate: str,
    *,
    message: str | re.Pattern | None = None,
    hint: str | re.Pattern | None = None,
    detail: str | re.Pattern | None = None,
) -> Iterator[ExpectedError]:
    """The block must raise a server error with this SQLSTATE. A string must be equal, a pattern must be found."""
    caught = ExpectedError()
    try:
        yield caught
    except psycopg.Error as error:
        caught.error = error
        told = describe(error)
        assert error.sqlstate == sqlstate, f"SQLSTATE {error.sqlstate}, expected {sqlstate}\n{told}"
        for field, expected in (("message", message), ("hint", hint), ("detail", detail)):
            found = getattr(caught, field)
            if isinstance(expected, re.Pattern):
                assert found is not None and expected.search(found), f"{field} {found!r} has no {expected.pattern!r}\n{told}"
            elif expected is not None:
                assert found == expected, f"{field} {found!r}, expected {expected!r}\n{told}"
    else:
        raise AssertionError(f"no error, expected SQLSTATE {sqlstate}")


def describe(error: psycopg.Error) -> str:
    """All of a server error, as psql would show it."""
    diag = error.diag
    fields = {
        "ERROR": diag.message_primary or str(error),
        "SQLSTATE": diag.sqlstate,
        "DETAIL": diag.message_detail,
        "HINT": diag.message_hint,
        "QUERY": diag.internal_query,
        "CONTEXT": diag.context,
    }
    return "\n".join(f"{name}: {value}" for name, value in fields.items() if value is not None)
