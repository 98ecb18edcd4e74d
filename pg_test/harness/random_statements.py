"""The statements that `random_pair` draws from: for each topic templates, and what the words in their braces may be.

A `#` is the number of the group of tables. What `_again` follows is the same name once more.
"""

from __future__ import annotations

#: A group of tables and what belongs to them. Its columns are too short for TOAST tables, which take time to make.
SETUP = """
    CREATE TYPE mood# AS ENUM ('low', 'high');
    CREATE DOMAIN positive# AS int CHECK (VALUE > 0);
    CREATE TYPE point# AS (x int, y int);
    CREATE SEQUENCE counter#;
    CREATE FUNCTION inlined#(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
    CREATE FUNCTION called#(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
    CREATE FUNCTION wide#(numeric) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 50';
    CREATE FUNCTION given#(int DEFAULT called#(1)) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
    CREATE TYPE span# AS RANGE (subtype = int);
    CREATE TEXT SEARCH CONFIGURATION words# (COPY = simple);
    CREATE FUNCTION summed#(point#) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.x + $1.y; END';
    CREATE OPERATOR <+> (FUNCTION = summed#, RIGHTARG = point#);
    CREATE FUNCTION stamp#() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.word := NEW.word || ''!''; RETURN NEW; END';

    CREATE TABLE parent# (id int PRIMARY KEY, word varchar(40));
    CREATE TABLE child# (id int PRIMARY KEY, word varchar(40), parent_id int REFERENCES parent# ON DELETE CASCADE);
    CREATE TABLE orphan# (id int PRIMARY KEY, word varchar(40), parent_id int);
    CREATE TABLE plain# (id int, word varchar(40));
    CREATE TABLE made# (id int, word varchar(40), n int DEFAULT inlined#(1), m int GENERATED ALWAYS AS (called#(id)) STORED, CHECK (called#(id) > 0));
    CREATE TABLE typed# (id int DEFAULT nextval('counter#'), word varchar(40), mood mood# DEFAULT 'low', size positive# DEFAULT 1, at point#);
    CREATE TABLE stamped# (id int, word varchar(40));
    CREATE TRIGGER stamp BEFORE INSERT ON stamped# FOR EACH ROW EXECUTE FUNCTION stamp#();
    CREATE TABLE guarded# (id int, word varchar(40));
    CREATE POLICY own ON guarded# USING (called#(id) > 0);
    CREATE TABLE parted# (id int, word varchar(40)) PARTITION BY RANGE (id);
    CREATE TABLE low# PARTITION OF parted# FOR VALUES FROM (0) TO (50);
    CREATE TABLE high# (id int, word varchar(40));
    CREATE TABLE base# (id int, word varchar(40));
    CREATE TABLE heir# () INHERITS (base#);
    CREATE TABLE second_heir# () INHERITS (base#);
    CREATE INDEX plain_word# ON plain# (word);

    CREATE FUNCTION counting#() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM plain#); END';
    CREATE FUNCTION noting#() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO plain# VALUES (NEW.id, TG_OP); RETURN NULL; END';
    CREATE FUNCTION rows_of#() RETURNS SETOF plain# LANGUAGE sql STABLE AS 'SELECT * FROM plain#';
    CREATE PROCEDURE doing#() LANGUAGE plpgsql AS 'BEGIN INSERT INTO plain# VALUES (7, ''done''); END';
    CREATE VIEW seen# AS SELECT id, word FROM parent#;
    CREATE VIEW seen_again# AS SELECT id, word, called#(id) AS n FROM seen#;
    CREATE MATERIALIZED VIEW kept# AS SELECT id, word FROM plain#;

    GRANT ALL ON plain#, guarded# TO draw_a;
    GRANT ALL ON SCHEMA {s} TO draw_a;

    INSERT INTO parent# VALUES (1, 'a'), (2, 'b');
    INSERT INTO child# VALUES (1, 'a', 1);
    INSERT INTO orphan# VALUES (1, 'a', 1);
    INSERT INTO plain# VALUES (1, 'a'), (2, 'b');
    INSERT INTO typed# VALUES (1, 'a', 'low', 1, '(1,2)');
    INSERT INTO parted# VALUES (1, 'a');
    INSERT INTO heir# VALUES (1, 'a');
"""

_TABLES = ["parent#", "child#", "orphan#", "plain#", "made#", "typed#", "stamped#", "guarded#", "parted#", "low#", "high#", "base#", "heir#"]
_VIEWS = ["seen#", "seen_again#", "kept#"]

WORDS = {
    "table": _TABLES,
    #: Takes (id, word) with any id of `number` and, where there is one, its parent.
    "filled": [one for one in _TABLES if one not in ("low#",)],
    #: Not plain#, which noting# writes: put off, such a trigger would call itself for ever.
    "deferring": [one for one in _TABLES if one not in ("low#", "plain#")],
    "read": [*_TABLES, *_VIEWS, "second_heir#"],
    "view": ["seen#", "seen_again#"],
    "new": ["new#_1", "new#_2"],
    "column": ["added_1", "added_2"],
    "index": ["index#_1", "index#_2", "new#_1"],
    "number": [str(number) for number in range(10, 40)],
    "word": ["x", "y", "z"],
    "function": ["inlined#(int)", "called#(int)", "counting#()", "stamp#()"],
    "replaced": [
        "inlined#(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2'",
        "inlined#(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3'",
        "called#(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 2; END'",
        "called#(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 3; END'",
        "counting#() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN 100 + (SELECT count(*) FROM parent#); END'",
        "stamp#() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.word := NEW.word || ''?''; RETURN NEW; END'",
        "stamp#() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO plain# VALUES (NEW.id, ''stamp''); RETURN NEW; END'",
    ],
    "expression": ["inlined#(3)", "called#(3)", "counting#()", "wide#(3)", "nextval('counter#')", "inlined#(called#(1))", "given#()", "<+> ROW(1, 2)::point#"],
    "looked": [
        "obj_description('orphan#'::regclass, 'pg_class')", "col_description('plain#'::regclass, 1)", "pg_get_serial_sequence('typed#', 'id')",
        "has_function_privilege('draw_b', 'called#(int)', 'EXECUTE')", "has_sequence_privilege('draw_b', 'counter#', 'USAGE')",
        "has_type_privilege('draw_b', 'mood#', 'USAGE')", "has_any_column_privilege('draw_b', 'plain#', 'SELECT')",
        "to_regtype('new#_1')", "to_regproc('new#_1')", "to_regclass('new#_1')", "to_regnamespace('{s}_extra#')",
        "pg_get_functiondef('called#(int)'::regprocedure)", "pg_get_viewdef('seen#')", "pg_get_indexdef('plain_word#'::regclass)",
        "pg_sequence_last_value('counter#')", "row_security_active('guarded#')", "pg_relation_is_updatable('seen#'::regclass, true)",
        "format_type('mood#'::regtype, NULL)", "to_tsvector('words#', 'one two')", "enum_first(NULL::mood#)",
        "array_to_string(enum_range(NULL::mood#), ',')", "nextval('coun' || 'ter#')", "'inlined#(int)'::regprocedure", "'counting#'::regproc",
        "pg_describe_object('pg_class'::regclass, 'plain#'::regclass, 0)", "(SELECT count(*) FROM rows_of#())", "(SELECT p FROM plain# p LIMIT 1)",
        "pg_function_is_visible('called#'::regproc)", "pg_get_expr('x', 0)", "'[1,4)'::span#", "(1::positive#)", "pg_typeof((SELECT max(word) FROM plain#))",
        "pg_get_userbyid((SELECT relowner FROM pg_class WHERE oid = 'plain#'::regclass))", "current_schemas(false)",
    ],
    "role": ["draw_a", "draw_b"],
    "privilege": ["SELECT", "INSERT", "ALL"],
    "label": ["mid", "top"],
    "sequence": ["counter#"],
    "far": ["{s}_far#"],
    "published": ["{s}_published#"],
    "extra": ["{s}_extra#"],
}

TOPICS = {
    "tables": [
        "CREATE TABLE {new} OF point#",
        "SELECT id, word INTO {new} FROM {read}",
        "CREATE TABLE plain#_word_idx (id int)",
        "CREATE TABLE {new}_id_seq (id int)",
        "SET LOCAL search_path = {extra}, {s}; CREATE TABLE {new} (id int); SET LOCAL search_path = {s}, public",
        "SET ROLE draw_a; CREATE TABLE {new} (id int); RESET ROLE",
        "CREATE TABLE {new} (id int, word text)",
        "CREATE TABLE {new} (id int PRIMARY KEY, word text DEFAULT '{word}')",
        "CREATE TABLE IF NOT EXISTS {new} (id int, word text, note text)",
        "CREATE TABLE {new} (LIKE {table} INCLUDING ALL)",
        "CREATE TABLE {new} AS SELECT * FROM {read}",
        "CREATE TABLE {new} AS SELECT id, {expression} AS n FROM {read}",
        "CREATE TABLE {new} (id int, parent_id int REFERENCES parent#)",
        "CREATE TABLE {new} (m mood# DEFAULT 'low', n positive#, p point#, w text DEFAULT {expression}::text)",
        "DROP TABLE IF EXISTS {new}",
        "DROP TABLE {table} CASCADE",
        "DROP TABLE IF EXISTS {table} CASCADE",
        "CREATE TABLE {new} (id int); DROP TABLE {new_again}",
        "CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT * FROM {read}",
        "ALTER TABLE {table} RENAME TO {new}",
        "ALTER TABLE {new} RENAME TO moved_{new_again}",
        "DO $$ BEGIN IF to_regclass('{new}') IS NULL THEN CREATE TABLE {new_again} (id int); END IF; END $$",
        "DO $$ BEGIN IF to_regclass('{new}') IS NULL THEN INSERT INTO plain# VALUES ({number}, 'none'); END IF; END $$",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE ' || '{new} (id int)'; END $$",
    ],
    "columns": [
        "CREATE INDEX ON plain# (word)",
        "CREATE INDEX {new} ON {table} (id)",
        "ALTER TABLE orphan# ADD CONSTRAINT {new} UNIQUE (word)",
        "ALTER TABLE {table} REPLICA IDENTITY FULL",
        "CREATE INDEX {index} ON plain# (id) WHERE called#(id) > 0",
        "ALTER TABLE parent# ADD COLUMN {column} serial",
        "ALTER TABLE {table} ADD COLUMN {column} int",
        "ALTER TABLE {table} ADD COLUMN {column} text DEFAULT '{word}'",
        "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} int DEFAULT {number}",
        "ALTER TABLE {table} ADD COLUMN {column} text DEFAULT {expression}::text",
        "ALTER TABLE plain# ADD COLUMN {column} int GENERATED ALWAYS AS (inlined#(id)) STORED",
        "ALTER TABLE plain# ADD COLUMN {column} mood# DEFAULT 'high'",
        "ALTER TABLE {table} DROP COLUMN IF EXISTS {column}",
        "ALTER TABLE {table} DROP COLUMN word CASCADE",
        "ALTER TABLE {table} RENAME word TO {column}",
        "ALTER TABLE {table} ALTER word SET DEFAULT '{word}'",
        "ALTER TABLE {filled} ALTER word SET NOT NULL",
        "ALTER TABLE plain# ALTER word TYPE text USING word || '{word}'",
        "ALTER TABLE {table} ADD CHECK (id < 1000)",
        "ALTER TABLE {filled} ADD CHECK (called#(id) > 0)",
        "ALTER TABLE orphan# ADD FOREIGN KEY (parent_id) REFERENCES parent#",
        "ALTER TABLE child# ADD FOREIGN KEY (id) REFERENCES parent#",
        "ALTER TABLE plain# ADD UNIQUE (id)",
        "ALTER TABLE {table} SET (autovacuum_enabled = off)",
        "CREATE INDEX {index} ON {table} (word)",
        "CREATE INDEX IF NOT EXISTS {index} ON {table} (id)",
        "CREATE INDEX {index} ON plain# (called#(id))",
        "DROP INDEX IF EXISTS {index}",
        "DROP INDEX plain_word#",
        "ALTER INDEX plain_word# RENAME TO {index}",
        "CLUSTER parent# USING parent#_pkey",
        "CREATE STATISTICS {index}_s ON id, word FROM {table}",
    ],
    "rows": [
        "CALL doing#()",
        "PREPARE p AS INSERT INTO {filled} (id, word) VALUES ({number}, 'p'); EXECUTE p; DEALLOCATE p",
        "EXPLAIN ANALYZE INSERT INTO {filled} (id, word) VALUES ({number}, 'e')",
        "COPY plain# (id) FROM PROGRAM 'echo {number}'",
        "COPY {table} TO '/dev/null'",
        "SET ROLE draw_a; INSERT INTO {filled} (id, word) VALUES ({number}, 'a'); RESET ROLE",
        "SET ROLE draw_a; INSERT INTO guarded# (id, word) VALUES ({number}, 'a'); RESET ROLE",
        "DELETE FROM parent# WHERE id = 1",
        "INSERT INTO {filled} (id, word) VALUES ({number}, '{word}')",
        "INSERT INTO {filled} (id, word) VALUES ({number}, '{word}')",
        "INSERT INTO {filled} (id, word) SELECT {number} + count(*), max(word) FROM {read}",
        "INSERT INTO {filled} (id, word) SELECT {number}, {expression}::text",
        "INSERT INTO child# VALUES ({number}, '{word}', 1)",
        "INSERT INTO orphan# VALUES ({number}, '{word}', 1)",
        "INSERT INTO parent# VALUES ({number}, '{word}') ON CONFLICT DO NOTHING",
        "INSERT INTO low# VALUES ({number}, '{word}')",
        "UPDATE {table} SET word = word || '{word}'",
        "UPDATE {table} t SET word = t.word || r.word FROM {read} r WHERE r.id = t.id",
        "DELETE FROM {table} WHERE id = 1",
        "DELETE FROM {table} WHERE word = 'b'",
        "TRUNCATE {table} CASCADE",
        "SELECT count(*) FROM {read}",
        "SELECT FROM {table} FOR UPDATE",
        "LOCK TABLE {table} IN SHARE MODE",
        "ANALYZE {table}",
        "WITH gone AS (DELETE FROM {filled} RETURNING id, word) INSERT INTO plain# SELECT id, word FROM gone",
        "MERGE INTO plain# p USING {read} r ON p.id = r.id WHEN MATCHED THEN UPDATE SET word = p.word || r.word WHEN NOT MATCHED THEN INSERT VALUES (r.id, r.word)",
        "DO $$ BEGIN EXECUTE 'UPDATE ' || '{table}' || ' SET word = ''{word}'''; END $$",
        "DO $$ BEGIN INSERT INTO {filled} (id, word) VALUES ({number}, '{word}'); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN UPDATE plain# SET word = '{word}'; END $$",
        "DO $$ BEGIN PERFORM FROM {new}; EXCEPTION WHEN undefined_table THEN INSERT INTO plain# VALUES ({number}, 'none'); END $$",
    ],
    "views": [
        "CREATE TRIGGER {new} INSTEAD OF INSERT ON seen_again# FOR EACH ROW EXECUTE FUNCTION noting#()",
        "CREATE OR REPLACE VIEW {new} WITH (security_invoker) AS SELECT * FROM {view}",
        "CREATE VIEW {new} AS SELECT * FROM {read}",
        "CREATE OR REPLACE VIEW {new} AS SELECT id FROM {read}",
        "CREATE OR REPLACE VIEW seen# AS SELECT id, (word || '{word}')::varchar(40) AS word FROM parent#",
        "CREATE OR REPLACE VIEW seen_again# AS SELECT id, word, called#(id) + 1 AS n FROM seen#",
        "CREATE VIEW {new} AS SELECT {expression} AS n",
        "CREATE TABLE {new} AS SELECT * FROM {view}",
        "CREATE MATERIALIZED VIEW {new} AS SELECT * FROM {read}",
        "REFRESH MATERIALIZED VIEW kept#",
        "DROP VIEW {view} CASCADE",
        "DROP VIEW IF EXISTS {new}",
        "ALTER VIEW {view} RENAME TO {new}",
        "INSERT INTO seen# VALUES ({number}, '{word}')",
        "COMMENT ON VIEW {view} IS '{word}'",
        "CREATE RULE copy AS ON INSERT TO {filled} DO ALSO INSERT INTO plain# VALUES (NEW.id, 'rule')",
    ],
    "functions": [
        "INSERT INTO plain# SELECT {number}, ({looked})::text",
        "CREATE TRIGGER {new} BEFORE INSERT ON {filled} FOR EACH ROW WHEN (called#(NEW.id) > 0) EXECUTE FUNCTION stamp#()",
        "CREATE CONSTRAINT TRIGGER {new} AFTER INSERT ON {deferring} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION noting#()",
        "COMMENT ON TRIGGER stamp ON stamped# IS '{word}'",
        "ALTER FUNCTION {function} SET search_path = pg_catalog, {s}",
        "CREATE FUNCTION called#(bigint) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 70'",
        "CREATE FUNCTION counting#(int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 80'",
        "DROP OPERATOR <+> (NONE, point#)",
        "CREATE OR REPLACE PROCEDURE doing#() LANGUAGE plpgsql AS 'BEGIN INSERT INTO plain# VALUES (8, ''done''); END'",
        "INSERT INTO plain# SELECT * FROM rows_of#()",
        "CREATE OR REPLACE FUNCTION rows_of#() RETURNS SETOF plain# LANGUAGE sql STABLE AS 'SELECT * FROM plain# LIMIT 1'",
        "CREATE OR REPLACE FUNCTION {replaced}",
        "CREATE OR REPLACE FUNCTION {replaced}",
        "CREATE FUNCTION {new}() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM {read}'",
        "CREATE FUNCTION {new}() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM {read}); END'",
        "CREATE FUNCTION {new}() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM {read}; END",
        "CREATE FUNCTION wide#(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 60'",
        "INSERT INTO plain# SELECT {expression}, '{word}'",
        "INSERT INTO plain# SELECT {expression}, '{word}'",
        "CREATE TABLE {new} AS SELECT {expression} AS n",
        "INSERT INTO stamped# VALUES ({number}, '{word}')",
        "INSERT INTO made# (id, word) VALUES ({number}, '{word}')",
        "CREATE TRIGGER {new} AFTER INSERT ON {filled} FOR EACH ROW EXECUTE FUNCTION noting#()",
        "CREATE TRIGGER {new} BEFORE INSERT ON {filled} FOR EACH ROW EXECUTE FUNCTION stamp#()",
        "ALTER TABLE stamped# DISABLE TRIGGER stamp",
        "DROP TRIGGER stamp ON stamped#",
        "DROP FUNCTION {function} CASCADE",
        "DROP FUNCTION IF EXISTS {new}()",
        "ALTER FUNCTION {function} STABLE",
        "ALTER FUNCTION {function} OWNER TO {role}",
        "COMMENT ON FUNCTION {function} IS '{word}'",
        "CREATE AGGREGATE {new}_a (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', FINALFUNC = inlined#)",
        "CREATE OPERATOR <-> (FUNCTION = called#, RIGHTARG = int)",
        "ALTER FUNCTION inlined#(int) RENAME TO {new}",
    ],
    "types": [
        "INSERT INTO plain# SELECT {number}, ({looked})::text",
        "CREATE TYPE {new} AS RANGE (subtype = int)",
        "CREATE DOMAIN {new} AS positive# CHECK (VALUE < 500)",
        "CREATE TYPE {new} AS (m mood#, p point#)",
        "CREATE TABLE {new} (m mood#[], s span#)",
        "COMMENT ON CONSTRAINT positive#_check ON DOMAIN positive# IS '{word}'",
        "ALTER TEXT SEARCH CONFIGURATION words# DROP MAPPING FOR asciiword",
        "INSERT INTO plain# SELECT {number}, to_tsvector('words#', 'one two')::text",
        "ALTER TYPE mood# RENAME TO {new}",
        "ALTER TYPE mood# ADD VALUE '{label}'",
        "ALTER TYPE mood# ADD VALUE IF NOT EXISTS '{label}' BEFORE 'high'",
        "ALTER TYPE mood# RENAME VALUE 'high' TO '{label}'",
        "INSERT INTO typed# (word, mood) SELECT '{word}', max(m) FROM unnest(enum_range(NULL::mood#)) m",
        "INSERT INTO typed# (word, mood) VALUES ('{word}', 'high')",
        "INSERT INTO plain# SELECT {number}, 'high'::mood#::text",
        "CREATE TABLE {new} (m mood# DEFAULT 'high')",
        "CREATE TABLE {new} (n positive#)",
        "CREATE TABLE {new} AS SELECT ROW(1, 2)::point# AS p",
        "INSERT INTO plain# SELECT {number}, (ROW(1, 2)::point#)::text",
        "INSERT INTO typed# (size) VALUES ({number})",
        "ALTER DOMAIN positive# ADD CHECK (VALUE < 1000)",
        "ALTER DOMAIN positive# ADD CHECK (called#(VALUE) > 0)",
        "ALTER DOMAIN positive# SET DEFAULT {number}",
        "ALTER DOMAIN positive# DROP CONSTRAINT positive#_check",
        "COMMENT ON TYPE mood# IS '{word}'",
        "COMMENT ON DOMAIN positive# IS '{word}'",
        "CREATE TYPE {new} AS ENUM ('a')",
        "DROP TYPE IF EXISTS {new}",
        "ALTER TYPE point# RENAME ATTRIBUTE x TO {column}",
        "CREATE CAST (point# AS text) WITH INOUT AS ASSIGNMENT",
        "CREATE COLLATION {new} FROM \"C\"",
        "CREATE TEXT SEARCH CONFIGURATION {new} (COPY = simple)",
        "ALTER TYPE mood# OWNER TO {role}",
    ],
    "sequences": [
        "ALTER SEQUENCE counter# OWNED BY typed#.id",
        "CREATE SEQUENCE {new}_id_seq",
        "SELECT nextval('counter#')",
        "SELECT setval('counter#', {number})",
        "ALTER SEQUENCE counter# RESTART {number}",
        "ALTER SEQUENCE counter# INCREMENT 5",
        "INSERT INTO typed# (word) VALUES ('{word}')",
        "INSERT INTO plain# SELECT nextval('counter#'), '{word}'",
        "INSERT INTO plain# SELECT last_value, '{word}' FROM counter#",
        "CREATE SEQUENCE {new}",
        "CREATE SEQUENCE IF NOT EXISTS {new} START {number}",
        "DROP SEQUENCE counter# CASCADE",
        "DROP SEQUENCE IF EXISTS {new}",
        "CREATE TABLE {new} (id serial, word text)",
        "CREATE TABLE {new} (id int GENERATED ALWAYS AS IDENTITY)",
        "COMMENT ON SEQUENCE counter# IS '{word}'",
    ],
    "partitions": [
        "CREATE TABLE {new} PARTITION OF parted# FOR VALUES FROM (50) TO (100)",
        "CREATE TABLE {new} PARTITION OF parted# DEFAULT",
        "ALTER TABLE parted# ATTACH PARTITION high# FOR VALUES FROM (50) TO (200)",
        "ALTER TABLE parted# DETACH PARTITION low#",
        "INSERT INTO parted# VALUES ({number}, '{word}')",
        "INSERT INTO low# VALUES ({number}, '{word}')",
        "INSERT INTO high# VALUES (1{number}, '{word}')",
        "INSERT INTO plain# SELECT id, word FROM parted#",
        "ALTER TABLE low# ADD CHECK (id < 40)",
        "ALTER TABLE parted# ADD COLUMN {column} int",
        "CREATE INDEX {index} ON parted# (id)",
        "CREATE TRIGGER {new} AFTER INSERT ON parted# FOR EACH ROW EXECUTE FUNCTION noting#()",
        "CREATE TABLE {new} () INHERITS (base#)",
        "ALTER TABLE heir# NO INHERIT base#",
        "ALTER TABLE plain# INHERIT base#",
        "ALTER TABLE base# ADD COLUMN {column} int DEFAULT {number}",
        "ALTER TABLE heir# ADD COLUMN {column} int",
        "ALTER TABLE second_heir# ADD COLUMN {column} int",
        "INSERT INTO heir# VALUES ({number}, '{word}')",
        "INSERT INTO second_heir# VALUES ({number}, '{word}')",
        "UPDATE base# SET word = '{word}'",
        "INSERT INTO plain# SELECT id, word FROM base#",
    ],
    "rights": [
        "COMMENT ON POLICY own ON guarded# IS '{word}'",
        "REVOKE ALL ON plain# FROM draw_a",
        "GRANT {privilege} ON {table} TO {role}",
        "GRANT {privilege} ON {read} TO {role}",
        "REVOKE {privilege} ON {table} FROM {role}",
        "GRANT SELECT (word) ON {table} TO {role}",
        "GRANT EXECUTE ON FUNCTION {function} TO {role}",
        "REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
        "GRANT USAGE ON TYPE mood# TO {role}",
        "GRANT USAGE ON SEQUENCE counter# TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {role}",
        "REVOKE ALL ON ALL TABLES IN SCHEMA {s} FROM {role}",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {s} TO {role}",
        "GRANT USAGE ON SCHEMA {s} TO {role}",
        "REVOKE ALL ON SCHEMA {s} FROM {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {privilege} ON TABLES TO {role}",
        "ALTER DEFAULT PRIVILEGES GRANT {privilege} ON TABLES TO {role}",
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        "ALTER TABLE {table} OWNER TO {role}",
        "REASSIGN OWNED BY draw_a TO draw_b",
        "DROP OWNED BY {role}",
        "COMMENT ON TABLE {table} IS '{word}'",
        "COMMENT ON COLUMN {table}.word IS '{word}'",
        "COMMENT ON SCHEMA {s} IS '{word}'",
        "CREATE POLICY {new} ON {table} USING (id = {number})",
        "CREATE POLICY {new} ON {table} USING (called#(id) > 0)",
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        "ALTER POLICY own ON guarded# USING (id > 0)",
        "DROP POLICY own ON guarded#",
        "INSERT INTO plain# SELECT {number}, has_table_privilege('{role}', '{s}.{table}', 'SELECT')::text",
    ],
    "database": [
        "INSERT INTO plain# SELECT {number}, ({looked})::text",
        "INSERT INTO plain# SELECT {number}, ({looked})::text",
        "INSERT INTO plain# SELECT {number}, ({looked})::text",
        "INSERT INTO plain# SELECT {number}, ({looked})::text",
        "CREATE SCHEMA {extra}; CREATE TABLE {extra_again}.{new} (id int)",
        "CREATE SCHEMA IF NOT EXISTS {extra}; CREATE TABLE {extra_again}.{new} AS SELECT * FROM {read}",
        "DROP SCHEMA IF EXISTS {extra}",
        "DO $$ DECLARE one text; BEGIN FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = '{s}' LOOP "
        "EXECUTE format('COMMENT ON TABLE %I IS ''found''', one); END LOOP; END $$",
        "INSERT INTO plain# SELECT count(*), 'tables' FROM information_schema.tables WHERE table_schema = '{s}'",
        "INSERT INTO plain# SELECT {number}, pg_get_viewdef('{view}'::regclass)",
        "INSERT INTO plain# SELECT {number}, '{table}'::regclass::text",
        "CREATE PUBLICATION {published} FOR TABLE {table}",
        "CREATE PUBLICATION {published} FOR ALL TABLES",
        "CREATE PUBLICATION {published} FOR TABLES IN SCHEMA {s}",
        "DROP PUBLICATION IF EXISTS {published}",
        "CREATE EXTENSION citext",
        "CREATE EXTENSION IF NOT EXISTS citext",
        "CREATE FUNCTION {new}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO plain# VALUES (1, tg_tag); END';"
        "CREATE EVENT TRIGGER {new_again} ON ddl_command_end EXECUTE FUNCTION {new_again}()",
        "SELECT lo_create(4711)",
        "SELECT lo_from_bytea(4712, '\\x01')",
        "VACUUM {table}",
        "CREATE INDEX CONCURRENTLY {index} ON plain# (word)",
        "SET work_mem = '5MB'",
    ],
}  # fmt: skip

#: What a first design got wrong: one migration of each.
DUETS = [
    ("INSERT INTO stamped# VALUES ({number}, '{word}')", "CREATE OR REPLACE FUNCTION stamp#() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.word := ''new''; RETURN NEW; END'"),
    ("CREATE TABLE {new} AS SELECT inlined#(id) FROM plain#", "CREATE OR REPLACE FUNCTION inlined#(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 5'"),
    ("INSERT INTO typed# (mood) SELECT max(m) FROM unnest(enum_range(NULL::mood#)) m", "ALTER TYPE mood# ADD VALUE '{label}'"),
    ("CREATE TABLE {new} (id int)", "ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {role}"),
    ("DO $$ DECLARE one text; BEGIN FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = '{s}' LOOP "
     "EXECUTE format('ALTER TABLE %I OWNER TO draw_a', one); END LOOP; END $$", "CREATE TABLE {new} (id int)"),
    ("GRANT SELECT ON {table} TO {role}", "REVOKE SELECT ON {table_again} FROM {role_again}"),
    ("CREATE TABLE IF NOT EXISTS {new} (a int)", "CREATE TABLE {new_again} (b int)"),
]  # fmt: skip

_ALL = [template for templates in TOPICS.values() for template in templates]

#: Changes, or depends on, more of the database than what is named after the schema; roles belong to all.
ALONE = frozenset(
    template
    for template in _ALL
    if any(part in template for part in (
        "DEFAULT PRIVILEGES GRANT", "DEFAULT PRIVILEGES REVOKE", " OWNED BY ", "EXTENSION", "EVENT TRIGGER", "lo_",
    ))
) | {"CREATE PUBLICATION {published} FOR ALL TABLES"}  # fmt: skip

#: Is about more than its group: the schema, the database or the catalog; or meets everything, as what asks whether an
#: object exists and what catches an error does.
WIDE = frozenset(
    template
    for template in _ALL
    if any(part in template for part in (
        "SCHEMA {s}", "pg_tables", "information_schema", "pg_get_viewdef", "has_table_privilege", "VACUUM", "looked", "{extra}", "PUBLICATION", "to_regclass", "EXCEPTION",
    ))
)  # fmt: skip
