"""Databases with something behind them: each function leaves a ledger that only Belay's own verbs have written."""

from __future__ import annotations

from harness.database import Database
from harness.session import expect_error
from ledger import history, load, numbered

#: The advisory lock at which a migration of `waiting` stops.
GATE = 7


def names(*numbers: int) -> list[str]:
    return [f"migration{n}" for n in numbers]


def apply(db: Database, *numbers: int) -> None:
    load(db, numbered(*numbers))
    db.execute("CALL belay.migrate_up()")


# ── up, down and what fails ──────────────────────────────────────────────────────────────────────────────────────────


def ups_downs_redos(db: Database) -> None:
    """Rows are not in the order of their positions, and some have gone."""
    apply(db, 1, 2, 3, 4)
    db.execute("CALL belay.migrate_down(steps => 3)")
    db.execute("VACUUM belay.applied")
    db.execute("CALL belay.migrate_up(steps => 1)")
    db.execute("CALL belay.migrate_redo(steps => 2)")
    load(db, numbered(1, 2, 3, 4, 5))


def unfinished(db: Database) -> None:
    """2 built an index that is invalid, and stopped there."""
    up = "CREATE TABLE keys AS SELECT 1 AS key FROM generate_series(1, 2);\nCREATE UNIQUE INDEX CONCURRENTLY one ON keys (key);"
    load(db, numbered(1) | {"migration2.sql": up, "migration3.sql": "CREATE TABLE t3 ()"})
    with expect_error("23505"):
        db.execute("CALL belay.migrate_up()")


def all_or_nothing(db: Database) -> None:
    """One run of its own transaction was kept, another rolled back as a whole, with what had succeeded in it."""
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    load(db, numbered(1, 2, 3) | {"migration4.sql": "SELECT 1/0"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert [step[2] for step in history(db)] == ["applied", "applied", "rolled back", "failed"]


def in_the_callers_transaction(db: Database) -> None:
    load(db, numbered(1, 2, 3))
    with db.connect(autocommit=False) as session:
        session.execute("CALL belay.migrate_up(steps => 2)")
        session.commit()


def failed_and_replaced(db: Database) -> None:
    """The step that failed had another definition."""
    load(db, numbered(1) | {"migration2.sql": "SELECT 1/0"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    apply(db, 1, 2, 3)


def died(db: Database) -> None:
    """A run's session ended while 2 was in hand; nobody has run anything since."""
    running = waiting(db, f"CREATE TABLE t2 ();\nSELECT pg_advisory_xact_lock({GATE});")
    db.execute("SELECT pg_terminate_backend(%s)", [running.pid])
    db.wait_until_gone(running.pid)
    release(db)


def died_and_was_told(db: Database) -> None:
    died(db)
    db.execute("CALL belay.migrate_up()")


# ── the order ────────────────────────────────────────────────────────────────────────────────────────────────────────


def out_of_order(db: Database) -> None:
    """2 came when 3 was applied; the project is strict."""
    apply(db, 1, 3)
    load(db, numbered(1, 2, 3, 4))


def loosened_late(db: Database) -> None:
    out_of_order(db)
    db.execute("CALL belay.migrate_up(ordering => 'permissive', reason => 'agreed', steps => 1)")
    db.execute("CALL belay.migrate_up()")


def tightened(db: Database) -> None:
    """A permissive project took 2 late, and is strict since; so is the run of 4."""
    db.execute("SELECT belay.project_create('default', ordering => 'permissive')")
    apply(db, 1, 3)
    apply(db, 1, 2, 3)
    db.execute("SELECT belay.project_alter('default', ordering => 'strict')")
    apply(db, 1, 2, 3, 4)


def reverted_late(db: Database) -> None:
    """2 was applied last, and reverted: it is pending, and late again."""
    loosened_late_only(db)
    db.execute("CALL belay.migrate_down(ordering => 'permissive', reason => 'not yet')")


def accepted(db: Database) -> None:
    """2 was let in by a review and applied; 2a was reviewed, too, and waits."""
    out_of_order(db)
    load(db, numbered(1, 2, 3, 4) | {"migration2a.sql": "SELECT 1"})
    for name in ("migration2", "migration2a"):
        db.execute("SELECT belay.migrate_accept_late(%s, after => 'migration3', reason => 'reviewed')", [name])
    db.execute("CALL belay.migrate_up(steps => 1)")


def altered(db: Database) -> None:
    """Strict, disjoint, permissive and strict again, with something applied in each."""
    apply(db, 1)
    for number, ordering in ((2, "disjoint"), (3, "permissive"), (4, "strict")):
        db.execute("SELECT belay.project_alter('default', ordering => %s)", [ordering])
        apply(db, *range(1, number + 1))


def loosened_late_only(db: Database) -> None:
    out_of_order(db)
    db.execute("CALL belay.migrate_up(ordering => 'permissive', reason => 'agreed', steps => 1)")


def renamed_applied(db: Database) -> None:
    """What was applied last has another name, and the same place."""
    apply(db, 1, 2, 3)
    db.execute("SELECT belay.migrate_rename('migration3', 'migration9')")


def renamed_pending(db: Database) -> None:
    """What was pending when the others were applied now sorts before them."""
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up(steps => 2)")
    db.execute("SELECT belay.migrate_rename('migration3', 'migration0')")


def renamed_while_permissive(db: Database) -> None:
    """1, applied first, moved behind the others, which a permissive project allows; it is strict since, and so is the run of 10."""
    db.execute("SELECT belay.project_create('default', ordering => 'permissive')")
    apply(db, 1, 2, 3)
    db.execute("SELECT belay.migrate_rename('migration1', 'migration9')")
    db.execute("SELECT belay.project_alter('default', ordering => 'strict')")
    load(db, numbered(2, 3, 10) | {"migration9.sql": numbered(1)["migration1.sql"]})
    db.execute("CALL belay.migrate_up()")


def releases(db: Database) -> None:
    files = ("01.00.00_01_pre_a", "01.00.00_50_post_b", "01.02.00_01_c", "02.00.00_01_pre_d")
    load(db, {f"{name}.sql": f"CREATE TABLE {name[-1]} ()" for name in files})
    db.execute("CALL belay.migrate_up(release => '1.0.0', phase => 'pre')")
    db.execute("CALL belay.migrate_up(release => '1.2.0')")


# ── the registry ─────────────────────────────────────────────────────────────────────────────────────────────────────


def several_projects(db: Database) -> None:
    """A strict one with something pending, a permissive one that took late arrivals, and one without migrations."""
    apply(db, 1, 2)
    load(db, numbered(1, 2, 3))
    db.execute("SELECT belay.project_create('loose', ordering => 'permissive')")
    for numbers in ((2, 5), (1, 2, 5), (1, 2, 3, 5, 6)):
        load(db, {f"{n}.sql": f"CREATE TABLE loose{n} ()" for n in numbers}, project="loose")
        db.execute("CALL belay.migrate_up(steps => 2, project => 'loose')")
    db.execute("SELECT belay.project_create('empty')")


def protected_and_trusted(db: Database) -> None:
    """Restored rows must not be judged by what the project allows now."""
    apply(db, 1, 2)
    db.execute("CALL belay.migrate_redo()")
    releaser = db.role("releaser", "NOLOGIN")
    db.execute(
        "SELECT belay.project_alter('default', allow_down => false, search_path => 'public',"
        " trusted => ARRAY[%s, current_user::text])",
        [releaser],
    )
    load(db, numbered(1, 2, 3))


def gone_with_history(db: Database) -> None:
    """Steps of migrations that are not registered any more, pruned and unregistered, and one registered again."""
    apply(db, 1, 2, 3, 4)
    db.execute("CALL belay.migrate_down(steps => 3)")
    db.execute("SELECT belay.migrate_unregister('migration4')")
    load(db, numbered(1), prune=True)
    load(db, numbered(1, 3))


def marked(db: Database) -> None:
    """By hand: 2 applied, 3 applied and pending again."""
    load(db, numbered(1, 2, 3, 4))
    db.execute("CALL belay.migrate_up(steps => 1)")
    for name, now in (("migration2", "applied"), ("migration3", "applied"), ("migration3", "pending")):
        db.execute("SELECT belay.migrate_mark(%s, %s, reason => 'looked')", [name, now])


HISTORIES = [
    ups_downs_redos, unfinished, all_or_nothing, in_the_callers_transaction, failed_and_replaced, died, died_and_was_told,
    out_of_order, loosened_late, accepted, altered, tightened, reverted_late, renamed_applied, renamed_pending, renamed_while_permissive, releases,
    several_projects, protected_and_trusted, gone_with_history, marked,
]  # fmt: skip


# ── a run that is going on ───────────────────────────────────────────────────────────────────────────────────────────


def waiting(db: Database, second: str, call: str = "CALL belay.migrate_up()"):
    """A run that has applied 1 and waits inside 2, whose text is `second`, until `release`; 3 is to follow."""
    db.execute("SELECT pg_advisory_lock(%s)", [GATE])
    load(db, numbered(1, 3) | {"migration2.sql": second})
    running = db.start(call)
    db.wait_until_blocked(running.pid)
    return running


def release(db: Database) -> None:
    assert db.one("SELECT pg_advisory_unlock(%s)", [GATE])
