"""What the extension brings into a database: each object is documented, dumped, and open only as far as is meant."""

import re
import subprocess

import pytest

from harness.catalog import EXTENSION, members
from harness.server import installation
from harness.session import expect_error

#: SQL text, messages and details may hold secrets: nobody but the owner reads these.
PRIVATE_TABLES = {"belay.definition", "belay.step_error"}

MEMBER_RELATIONS = """
    SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relacl, c.relowner
    FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
    WHERE d.deptype = 'e' AND e.extname = 'pg_belay'
"""

MEMBER_ROUTINES = """
    SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
    WHERE d.deptype = 'e' AND e.extname = 'pg_belay'
"""


def test_every_object_has_a_comment(db):
    found = members(db)
    assert {"schema", "table", "function", "procedure"} <= {member.kind for member in found}
    assert [f"{member.kind} {member.identity}" for member in found if not member.comment] == []


def test_every_object_lives_in_schema_belay(db):
    strangers = [m for m in members(db) if m.kind != "schema" and not m.identity.startswith("belay.")]
    assert strangers == []


def test_public_has_usage_on_the_schema_and_nothing_more(db):
    granted = db.rows(
        """
        SELECT privilege_type FROM pg_namespace, aclexplode(nspacl)
        WHERE nspname = 'belay' AND grantee = 0 ORDER BY 1
        """
    )
    assert granted == [("USAGE",)]


def test_public_reads_what_is_not_private_and_writes_nothing(db):
    granted = db.rows(
        f"""
        SELECT name, relkind::text, privilege_type
        FROM ({MEMBER_RELATIONS}) relation,
             aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)))
        WHERE grantee = 0
        """
    )
    assert granted, "nothing is readable at all"
    wrong = [g for g in granted if g[2] != "SELECT" or g[1] not in "rv" or g[0] in PRIVATE_TABLES]
    assert wrong == []


def test_private_tables_exist(db):
    """Else the test above would keep nothing private."""
    names = {name for (name,) in db.rows(f"SELECT name FROM ({MEMBER_RELATIONS}) relation WHERE relkind = 'r'")}
    assert PRIVATE_TABLES <= names


def test_no_column_is_granted_by_itself(db):
    granted = db.rows(
        f"SELECT name, attname FROM ({MEMBER_RELATIONS}) relation JOIN pg_attribute ON attrelid = relation.oid WHERE attacl IS NOT NULL"
    )
    assert granted == []


def test_public_may_call_nothing(db):
    """A role that deploys is granted what it needs by name."""
    callable_by_all = db.rows(
        f"""
        SELECT p.oid::regprocedure::text
        FROM ({MEMBER_ROUTINES}) p, aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0
        """
    )
    assert callable_by_all == []


def test_what_runs_with_its_owners_rights_only_reads(db):
    """Migrations run as the caller; what writes the ledger is switched in C, around single statements."""
    writing = db.rows(f"SELECT p.oid::regprocedure::text FROM ({MEMBER_ROUTINES}) p WHERE prosecdef AND provolatile = 'v'")
    assert writing == []


def test_routines_with_a_text_body_do_not_trust_search_path(db):
    trusting = db.rows(
        f"""
        SELECT p.oid::regprocedure::text FROM ({MEMBER_ROUTINES}) p JOIN pg_language l ON l.oid = prolang
        WHERE lanname <> 'c' AND prosqlbody IS NULL
          AND NOT coalesce(proconfig, '{{}}') && ARRAY['search_path=pg_catalog, pg_temp']
        """
    )
    assert trusting == []


def test_every_symbol_is_in_the_library(db):
    db.execute("SET check_function_bodies = on")
    checked = db.rows(
        f"""
        SELECT p.oid::regprocedure::text, probin, fmgr_c_validator(p.oid)::text
        FROM ({MEMBER_ROUTINES}) p JOIN pg_language l ON l.oid = prolang WHERE lanname = 'c'
        """
    )
    assert checked
    assert {probin for _, probin, _ in checked} == {"$libdir/pg_belay"}


def test_every_exported_function_is_in_the_install_script(db, major):
    pg_config = installation(major) / "bin" / "pg_config"
    folder = subprocess.run([pg_config, "--pkglibdir"], capture_output=True, text=True, check=True, timeout=20).stdout
    symbols = subprocess.run(
        ["nm", "--dynamic", "--defined-only", f"{folder.strip()}/{EXTENSION}.so"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    exported = set(re.findall(r" T pg_finfo_(\w+)$", symbols, flags=re.MULTILINE))
    assert exported
    declared = {prosrc for (prosrc,) in db.rows(f"SELECT prosrc FROM ({MEMBER_ROUTINES}) p WHERE probin IS NOT NULL")}
    assert exported - declared == set()


def test_pg_dump_takes_every_table_and_sequence_but_the_seal(db):
    """A restored copy is judged anew."""
    forgotten = db.rows(
        f"""
        SELECT name FROM ({MEMBER_RELATIONS}) relation
        WHERE relkind IN ('r', 'S')
          AND relation.oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'pg_belay')
        """
    )
    # What a copy has to begin anew, and what its installation brings.
    assert sorted(forgotten) == [("belay.job_home",), ("belay.job_transition",), ("belay.run_request",), ("belay.seal",)]


def test_every_table_has_a_primary_key(db):
    """Publications FOR ALL TABLES would otherwise refuse its updates."""
    without = db.rows(
        f"""
        SELECT name FROM ({MEMBER_RELATIONS}) relation
        WHERE relkind = 'r' AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation.oid AND contype = 'p')
        """
    )
    assert without == []


def test_foreign_keys_have_no_cycle(db):
    """pg_dump loads the tables in the order of their foreign keys, with the triggers already there."""
    cycles = db.rows(
        f"""
        WITH RECURSIVE member AS ({MEMBER_RELATIONS}), key AS (
            SELECT DISTINCT conrelid, confrelid FROM pg_constraint JOIN member ON member.oid = conrelid WHERE contype = 'f'
        ), walk AS (
            SELECT conrelid AS start, confrelid AS reached FROM key
            UNION
            SELECT start, confrelid FROM walk JOIN key ON conrelid = reached
        )
        SELECT start::regclass::text FROM walk WHERE start = reached
        """
    )
    assert cycles == []


def test_every_trigger_fires_always(db):
    """Also under session_replication_role = replica."""
    triggers = db.rows(
        f"""
        SELECT tgrelid::regclass::text, tgname, tgenabled::text
        FROM pg_trigger JOIN ({MEMBER_RELATIONS}) relation ON relation.oid = tgrelid WHERE NOT tgisinternal
        """
    )
    assert triggers
    assert [trigger for trigger in triggers if trigger[2] != "A"] == []


@pytest.mark.parametrize("object_name", ["TABLE belay.applied", "SCHEMA belay"])
def test_members_cannot_be_dropped_by_themselves(db, object_name):
    with expect_error("2BP01"):
        db.execute(f"DROP {object_name}")
