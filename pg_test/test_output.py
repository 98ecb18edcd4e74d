"""What a run tells: notices, last_run(), NOTIFY, pg_stat_activity; marks in the history; and sets that are large."""

from __future__ import annotations

import json
import re

import pytest

from harness.database import Database
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history, load, nothing_changes, numbered

MESSAGE = re.compile(r"(applied|reverted) \S+ \((\d+ ms|\d+\.\d s|\d+ min \d+ s)\)")


def messages(db: Database, call: str) -> list[str]:
    """The notices of a call; a time must look like one, a run's number must be that of the newest run."""
    db.session.notices.clear()
    db.execute(call)
    newest = db.one("SELECT max(id) FROM belay.run")
    told = []
    for notice in db.session.notices:
        assert notice.severity == "NOTICE" and notice.sqlstate == "00000"
        text = notice.message
        if text.startswith(("applied ", "reverted ")):
            assert MESSAGE.fullmatch(text), text
        told.append(re.sub(r" \([^)]*\)$", "", text).replace(f"run {newest}", "run N"))
    return told


def test_each_call_says_what_it_did(db):
    load(db, numbered(1, 2, 3))
    said = {
        "CALL belay.migrate_up(steps => 2)": ["applied migration1", "applied migration2", "2 applied, 1 pending, run N"],
        "CALL belay.migrate_up()": ["applied migration3", "1 applied, 0 pending, run N"],
        "CALL belay.migrate_up(target => 'migration2')": ["migration2 is applied already: nothing to do"],
        "CALL belay.migrate_redo()": ["reverted migration3", "applied migration3", "1 reverted, 1 applied, 0 pending, run N"],
        "CALL belay.migrate_down()": ["reverted migration3", "1 reverted, 1 pending, run N"],
        "CALL belay.migrate_to('@none')": ["reverted migration2", "reverted migration1", "2 reverted, 3 pending, run N"],
        "CALL belay.migrate_down(steps => 1) ": ["nothing to do, 3 pending"],
        "CALL belay.migrate_up(transaction => 'per_run')": [
            "applied migration1", "applied migration2", "applied migration3", "3 applied, 0 pending, run N",
        ],
        "CALL belay.migrate_up() ": ["nothing to do, 0 pending"],
    }  # fmt: skip
    for call, expected in said.items():
        assert messages(db, call) == expected, call


def test_each_notice_comes_when_its_migration_is_committed(db):
    db.execute("CREATE TABLE orders ()")
    load(db, {"0001.sql": "SELECT 1", "0002.sql": "ALTER TABLE orders ADD x int"})
    blocker = db.connect(autocommit=False)
    blocker.execute("TABLE orders")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    poll_until(lambda: run.session.messages, what="the first notice")
    assert re.fullmatch(r"applied 0001 \(\d+ ms\)", run.session.messages[0]) and len(run.session.messages) == 1
    blocker.rollback()
    run.finish()


def test_the_last_run_is_this_sessions(db):
    load(db, numbered(1, 2))
    assert db.rows("SELECT id, verb FROM belay.last_run()") == [(None, None)]
    other = db.connect(application_name="elsewhere")
    other.execute("CALL belay.migrate_up(reason => 'release')")
    assert db.rows("SELECT id, verb FROM belay.last_run()") == [(None, None)]
    fields = "verb, transaction, outcome, applied, reverted, reason, application_name, pid = pg_backend_pid(), finished_at >= started_at"
    assert other.rows(f"SELECT {fields} FROM belay.last_run()") == [("up", "per_migration", "succeeded", 2, 0, "release", "elsewhere", True, True)]
    assert other.one("SELECT arguments FROM belay.last_run()") in ({}, {"reason": "release"})
    other.execute("CALL belay.migrate_down(steps => 2)")
    assert other.rows("SELECT verb, applied, reverted, arguments FROM belay.last_run()") == [("down", 0, 2, {"steps": 2})]
    load(db, {"migration3.sql": "SELECT 1/0"}, on_missing="allow")
    with expect_error("22012"):
        other.execute("CALL belay.migrate_up()")
    assert other.rows("SELECT verb, outcome, applied FROM belay.last_run()") == [("up", "failed", 2)]


# ── NOTIFY ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def heard(db: Database, *calls: str) -> list[dict]:
    """What a listener hears of the calls."""
    listener = db.connect()
    listener.execute("LISTEN belay")
    for call in calls:
        db.execute(call)
    db.execute("NOTIFY belay, 'end'")
    payloads = []
    for note in listener.notifies(timeout=20):
        if note.payload == "end":
            return payloads
        payloads.append(json.loads(note.payload))
    raise AssertionError(f"the end was not heard, only {payloads}")


def test_each_committed_step_is_announced_with_names_only(db):
    load(db, {"migration1.sql": "SELECT 'secret'\n-- migrate:down\nSELECT 1", "migration2.sql": "-- belay: transaction off\nSELECT 1\n-- migrate:down\nSELECT 1"})
    told = heard(db, "CALL belay.migrate_up()", "CALL belay.migrate_down()", "CALL belay.migrate_redo(steps => 1)")
    runs = [run for (run,) in db.rows("SELECT id FROM belay.run ORDER BY id")]
    up, down, redo = runs

    def step(name, direction, outcome, run):
        return {"project": "default", "migration": name, "direction": direction, "outcome": outcome, "run": run}

    assert told == [
        step("migration1", "up", "applied", up),
        step("migration2", "up", "applied", up),
        step("migration2", "down", "reverted", down),
        step("migration1", "down", "reverted", redo),
        step("migration1", "up", "applied", redo),
    ]


@pytest.mark.parametrize("arguments, expected", [("", ["applied", "failed"]), ("transaction => 'per_run'", ["failed"])])
def test_a_failed_step_is_announced_and_what_was_rolled_back_is_not(db, arguments, expected):
    load(db, {"0001.sql": "SELECT 1", "0002.sql": "DO $$ BEGIN RAISE 'secret'; END $$"})
    catching = f"CALL belay.migrate_up({arguments})"
    listener = db.connect()
    listener.execute("LISTEN belay")
    with expect_error("P0001", message="secret"):
        db.execute(catching)
    notes = [note.payload for note in listener.notifies(timeout=20, stop_after=len(expected))]
    assert [json.loads(note)["outcome"] for note in notes] == expected
    assert not [note for note in notes if "secret" in note]


@pytest.mark.parametrize(
    "calls",
    [
        ["SET belay.notify = off", "CALL belay.migrate_up()"],
        ["SET belay.notify = off", "CALL belay.migrate_up(transaction => 'per_run')"],
        ["BEGIN; CALL belay.migrate_up(); COMMIT"],
    ],
)
def test_nothing_is_announced_when_it_is_off_or_in_the_callers_transaction(db, calls):
    load(db, numbered(1, 2))
    assert heard(db, *calls) == []
    assert applied(db) == ["migration1", "migration2"]


def test_a_long_name_with_every_kind_of_character_is_announced(db):
    name = "0001_" + "\"\\'é字" * 99
    db.execute("SELECT belay.migrate_register(%s, 'SELECT 1')", [name])
    assert [told["migration"] for told in heard(db, "CALL belay.migrate_up()")] == [name]
    assert applied(db) == [name]


# ── pg_stat_activity ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["ALTER TABLE orders ADD x int", "-- belay: transaction off\nALTER TABLE orders ADD x int"])
def test_the_activity_shows_the_migration_that_runs(db, text):
    db.execute("CREATE TABLE orders ()")
    db.execute("SELECT belay.project_create('shop')")
    load(db, {"0001.sql": "SELECT 1", "0002_b.sql": text, "0003.sql": "SELECT 1"}, project="shop")
    blocker = db.connect(autocommit=False)
    blocker.execute("TABLE orders")
    run = db.start("CALL belay.migrate_up(project => 'shop')")
    db.wait_until_blocked(run.pid)
    number = db.one("SELECT max(id) FROM belay.run")
    assert db.backend_state()[run.pid] == f"belay: applying 0002_b (project shop, run {number})"
    blocker.rollback()
    run.finish()


# ── what is large ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("head", ["", "-- belay: transaction off\n"])
def test_ten_megabytes_of_sql_in_one_migration_run(db, head):
    db.execute("CREATE TABLE kept (length int)")
    count = 500 if not head else 10
    size = 10_000_000 // count
    text = head + ";\n".join(f"INSERT INTO kept VALUES (length('{'x' * size}'))" for _ in range(count))
    assert len(text) > 10_000_000
    db.execute("SELECT belay.migrate_register('0001', %s)", [text])
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT count(*), min(length), max(length) FROM kept") == [(count, size, size)]
    assert applied(db) == ["0001"]


def test_ten_thousand_migrations_load_and_apply(db, major):
    if major < 18:
        pytest.skip("takes long; on the newest major only")
    db.execute("CREATE TABLE log (number int)")
    files = {f"{number:05}.sql": f"INSERT INTO log VALUES ({number})" for number in range(10_000)}
    assert db.one("SELECT count(*) FROM belay.migrate_load_files(%s)", [json.dumps(files)]) == 10_000
    db.session.notices.clear()
    db.execute("CALL belay.migrate_up()")
    assert len(db.session.notices) == 10_001 and db.session.messages[-1].startswith("10000 applied, 0 pending, run ")
    assert db.rows("SELECT count(*), count(DISTINCT number) FROM log") == [(10_000, 10_000)]
    assert db.one("SELECT count(*) FROM belay.applied") == 10_000


# ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sg_25_a_mark_is_a_run_and_a_step_with_its_reason_and_nothing_runs(db):
    load(db, numbered(1, 2))
    assert messages(db, "SELECT belay.migrate_mark('migration1', 'applied', reason => 'was there')") == ["migration1 is marked applied"]
    assert applied(db) == ["migration1"] and db.one("SELECT to_regclass('t1')") is None
    assert messages(db, "SELECT belay.migrate_mark('migration1', 'pending', reason => 'was not')") == ["migration1 is marked pending"]
    assert applied(db) == []
    assert db.rows("SELECT name, direction, outcome, reason FROM belay.migrate_history()") == [
        ("migration1", "up", "applied", "was there"),
        ("migration1", "down", "reverted", "was not"),
    ]
    assert db.rows("SELECT verb, outcome, reason, arguments ->> 'name', arguments ->> 'state' FROM belay.run ORDER BY id") == [
        ("mark", "succeeded", "was there", "migration1", "applied"),
        ("mark", "succeeded", "was not", "migration1", "pending"),
    ]
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["migration1", "migration2"]


@pytest.mark.parametrize("state", ["applied", "pending"])
def test_a_mark_that_changes_nothing_says_so_and_writes_nothing(db, state):
    load(db, numbered(1))
    if state == "applied":
        db.execute("CALL belay.migrate_up()")
    with nothing_changes(db):
        db.session.notices.clear()
        db.execute("SELECT belay.migrate_mark('migration1', %s)", [state])
        assert db.session.messages == [f"migration1 is {state} already"]


FAILS = "-- belay: transaction off\nCREATE TABLE a ();\nSELECT 1/0;\nCREATE TABLE b ()"


@pytest.mark.parametrize(
    "statement, notice, rest",
    [(1, "0001 goes on at statement 1 of 3", "42P07"), (2, "0001 goes on at statement 2 of 3", "22012"), (3, "0001 goes on at statement 3 of 3", None)],
)
def test_an_unfinished_migration_goes_on_at_the_statement_that_is_marked(db, statement, notice, rest):
    load(db, {"0001.sql": FAILS})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    assert messages(db, f"SELECT belay.migrate_mark('0001', 'pending', statement => {statement}, reason => 'seen')") == [notice]
    assert db.rows("SELECT verb, outcome, reason FROM belay.run ORDER BY id DESC LIMIT 1") == [("mark", "succeeded", "seen")]
    assert db.one("SELECT state FROM belay.migrate_status()") == "dirty"
    if rest:
        with expect_error(rest):
            db.execute("CALL belay.migrate_up()")
    else:
        db.execute("CALL belay.migrate_up()")
        assert applied(db) == ["0001"] and history(db) == [("0001", "up", "failed"), ("0001", "up", "applied")]
    assert f"0001: resuming at statement {statement} of 3" in db.session.messages


@pytest.mark.parametrize(
    "arguments, sqlstate, message, hint",
    [
        ("'nope', 'applied'", "MG011", 'migration "nope" is not registered', "SELECT name, state FROM belay.migrate_status() lists what is registered"),
        ("'0001', 'done'", "22023", re.compile("state"), re.compile("'applied' or 'pending'")),
        ("'0001', 'pending', statement => 4", "22023", 'migration "0001" has 3 statements', "pass a statement of it; when all have run, mark it 'applied' without one"),
        ("'0001', 'pending', statement => 0", "22023", re.compile("statement"), re.compile(".")),
        ("'0001', 'pending', statement => -1", "22023", re.compile("statement"), re.compile(".")),
        (
            "'0002', 'pending', statement => 1", "22023", 'migration "0002" has not begun, so it has no statement to go on with', "leave statement out",
        ),
    ],
)
def test_a_senseless_mark_is_refused_and_changes_nothing(db, arguments, sqlstate, message, hint):
    load(db, {"0001.sql": FAILS, "0002.sql": "SELECT 1"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    with nothing_changes(db), expect_error(sqlstate, message=message, hint=hint):
        db.execute(f"SELECT belay.migrate_mark({arguments})")
