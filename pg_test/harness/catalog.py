"""What an extension consists of, read from the catalog: for inventories, and for comparing two installations."""

from __future__ import annotations

from typing import NamedTuple

from .database import Database

EXTENSION = "pg_belay"


class Member(NamedTuple):
    """An object that belongs to the extension (pg_depend, deptype e)."""

    kind: str  # as pg_identify_object says it: table, view, sequence, function, procedure, type, schema, ...
    identity: str  # schema-qualified, with argument types
    comment: str | None


def members(db: Database) -> list[Member]:
    """Every member but those that come with another: arrays, row types, sequences of identity columns."""
    return [
        Member(*row)
        for row in db.rows(
            """
            SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE o.type END, o.identity,
                   obj_description(d.objid, d.classid::regclass::text)
            FROM pg_depend d
            JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
            CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) o
            LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
            WHERE d.deptype = 'e' AND e.extname = %s
              AND NOT EXISTS (
                  SELECT FROM pg_depend i
                  WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i')
            ORDER BY 1, 2
            """,
            [EXTENSION],
        )
    ]


#: Each query gives lines of text that describe one kind of thing the extension brings. `member` holds the members.
_FINGERPRINT = {
    "extension": """
        SELECT format('%s schema %s relocatable %s', extname, extnamespace::regnamespace, extrelocatable)
        FROM pg_extension WHERE extname = 'pg_belay'
    """,
    "dumped": """
        SELECT format('%s where %s', relation::regclass, condition)
        FROM pg_extension, unnest(extconfig, extcondition) dumped (relation, condition) WHERE extname = 'pg_belay'
    """,
    "member": "SELECT format('%s: %s', identity, obj_description(objid, classid::regclass::text)) FROM member",
    "schema": """
        SELECT format('%s owner %s acl %s', nspname, nspowner::regrole, nspacl::text)
        FROM pg_namespace n JOIN member m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid
    """,
    "relation": """
        SELECT format('%s kind %s persistence %s owner %s options %s row security %s/%s acl %s', r.oid::regclass, relkind,
                      relpersistence, relowner::regrole, reloptions, relrowsecurity, relforcerowsecurity, relacl::text)
        FROM relation r
    """,
    "column": """
        SELECT format('%s.%s at %s: %s collation %s not null %s identity %L generated %L default %s acl %s: %s',
                      r.oid::regclass, attname, rank() OVER (PARTITION BY r.oid ORDER BY attnum),
                      format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, attidentity, attgenerated,
                      pg_get_expr(adbin, adrelid), attacl::text, col_description(r.oid, attnum))
        FROM relation r
        JOIN pg_attribute a ON a.attrelid = r.oid AND attnum > 0 AND NOT attisdropped
        LEFT JOIN pg_attrdef ON adrelid = r.oid AND adnum = attnum
    """,
    "sequence": """
        SELECT format('%s: %s start %s increment %s min %s max %s cache %s cycle %s', seqrelid::regclass,
                      seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
        FROM pg_sequence JOIN relation r ON r.oid = seqrelid
    """,
    "constraint": """
        SELECT format('%s.%s: %s: %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid),
                      obj_description(c.oid, 'pg_constraint'))
        FROM pg_constraint c JOIN relation r ON r.oid = conrelid
    """,
    "index": """
        SELECT format('%s: %s', pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class'))
        FROM pg_index JOIN relation r ON r.oid = indrelid
    """,
    "trigger": """
        SELECT format('%s enabled %s', pg_get_triggerdef(t.oid), tgenabled)
        FROM pg_trigger t JOIN relation r ON r.oid = tgrelid WHERE NOT tgisinternal
    """,
    "view": """
        SELECT format('%s: %s', r.oid::regclass, pg_get_viewdef(r.oid)) FROM relation r WHERE relkind IN ('v', 'm')
    """,
    "policy": """
        SELECT format('%s.%s: %s %s %s %s', polrelid::regclass, polname, polcmd, polpermissive,
                      pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
        FROM pg_policy JOIN relation r ON r.oid = polrelid
    """,
    "function": """
        SELECT format('%s owner %s acl %s', pg_get_functiondef(p.oid), proowner::regrole, proacl::text)
        FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
        WHERE prokind <> 'a'
    """,
    "type": """
        SELECT format('%s: %s %s basis %s labels %s acl %s', t.oid::regtype, typtype, typcategory, typbasetype::regtype,
                      ARRAY(SELECT enumlabel FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder), typacl::text)
        FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
    """,
}

_MEMBERS = """
    WITH member AS MATERIALIZED (
        SELECT d.classid, d.objid, (pg_identify_object(d.classid, d.objid, d.objsubid)).identity
        FROM pg_depend d
        WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
          AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_belay')
    ), relation AS MATERIALIZED (
        SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    )
"""


def fingerprint(db: Database) -> list[str]:
    """Everything that the extension made in this database, one sorted line a thing; the version is not in it."""
    lines = []
    with db.connect(options="-c search_path=pg_catalog") as session:
        for kind, query in _FINGERPRINT.items():
            lines += [f"{kind}: {line}" for (line,) in session.rows(_MEMBERS + query)]
    return sorted(lines)
