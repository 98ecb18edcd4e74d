"""Pairs of migrations, and whether the order of the two can matter: what `disjoint` has to know.

`{s}` stands for the schema that both run in, `{a}` and `{b}` for two roles.
"""

from __future__ import annotations

import dataclasses

#: What every pair finds.
BASE = """
    CREATE TABLE parent (id int PRIMARY KEY, name text);
    CREATE TABLE t (id int PRIMARY KEY, word text, parent_id int);
    CREATE TABLE u (id int PRIMARY KEY, word text, parent_id int);
    INSERT INTO parent VALUES (1, 'one');
    INSERT INTO t VALUES (1, 'one', 1);
    INSERT INTO u VALUES (1, 'one', 1);
    CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
    CREATE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
"""


@dataclasses.dataclass(frozen=True)
class Pair:
    id: str
    late: str
    other: str
    meets: bool
    why: str
    #: On top of BASE.
    setup: str = ""
    #: The SQLSTATE of the one that runs second, where the first one is in its way: `late` second, `other` second.
    clash: tuple[str | None, str | None] = (None, None)
    #: Why Belay's verdict is wrong as yet.
    wrong: str = ""
    #: Needs a database of its own.
    alone: bool = False


def meet(id: str, late: str, other: str, why: str, setup: str = "", **more) -> Pair:
    return Pair(id, late, other, True, why, setup, **more)


def disjoint(id: str, late: str, other: str, why: str, setup: str = "", **more) -> Pair:
    return Pair(id, late, other, False, why, setup, **more)


#: The seven pairs that a first design got wrong.
SEVEN = [
    meet(
        "insert / replace the function of the table's trigger",
        "INSERT INTO watched VALUES (1, 'x')",
        "CREATE OR REPLACE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.word := ''new''; RETURN NEW; END'",
        "the row says which body the trigger had",
        """
        CREATE TABLE watched (id int, word text);
        CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.word := ''old''; RETURN NEW; END';
        CREATE TRIGGER mark BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION mark();
        """,
    ),
    meet(
        "create table as / replace a function that is inlined",
        "CREATE TABLE made AS SELECT f(id) FROM t",
        "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2'",
        "the rows are what the body gave; an inlined function is neither locked nor called",
    ),
    meet(
        "insert an enum label / add a label",
        "INSERT INTO felt SELECT max(m) FROM unnest(enum_range(NULL::mood)) m",
        "ALTER TYPE mood ADD VALUE 'high'",
        "the row depends on the labels that there are",
        "CREATE TYPE mood AS ENUM ('low'); CREATE TABLE felt (m mood)",
    ),
    meet(
        "create table / default privileges of the schema",
        "CREATE TABLE made (id int)",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {a}",
        "only what is made later gets the grant",
    ),
    meet(
        "block over pg_tables / create table",
        """
        DO $$ DECLARE one text; BEGIN
            FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
                EXECUTE format('COMMENT ON TABLE %I IS ''found''', one);
            END LOOP;
        END $$
        """,
        "CREATE TABLE made (id int)",
        "what the block does depends on every table that there is",
    ),
    meet("grant / revoke", "GRANT SELECT ON t TO {a}", "REVOKE SELECT ON t FROM {a}", "the last one counts"),
    meet(
        "create table if not exists / create table",
        "CREATE TABLE IF NOT EXISTS made (a int)",
        "CREATE TABLE made (b int)",
        "the first one makes it",
        clash=(None, "42P07"),
    ),
]

TABLES = [
    meet("add column / add column, same table", "ALTER TABLE t ADD a int", "ALTER TABLE t ADD b int", "the columns' order"),
    disjoint("add column / add column, two tables", "ALTER TABLE t ADD a int", "ALTER TABLE u ADD a int", "nothing shared"),
    disjoint("create table / create table", "CREATE TABLE x (id int)", "CREATE TABLE y (id int)", "the schema is only looked at"),
    meet("create table / create table, same name", "CREATE TABLE x ()", "CREATE TABLE x ()", "one of them fails", clash=("42P07", "42P07")),
    meet("create table if not exists, twice", "CREATE TABLE IF NOT EXISTS x (a int)", "CREATE TABLE IF NOT EXISTS x (b int)", "the first one makes it"),
    meet("drop table if exists / create table", "DROP TABLE IF EXISTS x", "CREATE TABLE x ()", "a name that is looked for and absent is read"),
    meet("create index if not exists / create index", "CREATE INDEX IF NOT EXISTS i ON t (word)", "CREATE INDEX i ON t (id)", "the first one makes it", clash=(None, "42P07")),
    meet("add column if not exists, twice", "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int", "ALTER TABLE t ADD COLUMN IF NOT EXISTS a text", "the first one makes it"),
    meet("drop table / insert", "DROP TABLE t", "INSERT INTO t VALUES (2)", "no row without the table", clash=(None, "42P01")),
    meet("drop table if exists / insert", "DROP TABLE IF EXISTS t", "INSERT INTO t VALUES (2)", "it is there, so it is dropped", clash=(None, "42P01")),
    disjoint("drop table / drop table", "DROP TABLE t", "DROP TABLE u", "nothing shared"),
    meet(
        "drop cascade / alter what goes with it",
        "DROP TABLE t CASCADE",
        "CREATE OR REPLACE VIEW v AS SELECT id, word FROM t",
        "the view goes with its table",
        "CREATE VIEW v AS SELECT id FROM t",
        clash=(None, "42P01"),
    ),
    meet(
        "drop cascade / comment on what goes with it",
        "DROP FUNCTION f CASCADE",
        "COMMENT ON COLUMN w.n IS 'computed'",
        "the column's default goes with its function",
        "CREATE TABLE w (id int, n int DEFAULT f(1))",
    ),
    meet("rename table / insert", "ALTER TABLE t RENAME TO tt", "INSERT INTO t VALUES (2)", "the old name counts", clash=(None, "42P01")),
    meet("rename table / create table of the new name", "ALTER TABLE t RENAME TO tt", "CREATE TABLE tt ()", "the new name counts", clash=("42P07", "42P07")),
    meet("rename table / drop table if exists of the new name", "ALTER TABLE t RENAME TO tt", "DROP TABLE IF EXISTS tt", "the new name counts"),
    meet("rename column / update", "ALTER TABLE t RENAME word TO text", "UPDATE t SET word = 'two'", "the statement names the column", clash=(None, "42703")),
    disjoint("rename column / update of another table", "ALTER TABLE t RENAME word TO text", "UPDATE u SET word = 'two'", "nothing shared"),
    meet("set schema / insert", "CREATE SCHEMA {s}_new; ALTER TABLE t SET SCHEMA {s}_new", "INSERT INTO t VALUES (2)", "identity is schema and name", clash=(None, "42P01")),
    meet("like / alter its source", "CREATE TABLE made (LIKE t INCLUDING ALL)", "ALTER TABLE t ADD a int", "the columns of the day are copied"),
    disjoint("like / like", "CREATE TABLE x (LIKE t)", "CREATE TABLE y (LIKE t)", "both only read it"),
    meet("create table as / insert into its source", "CREATE TABLE made AS SELECT id FROM t", "INSERT INTO t VALUES (2)", "the rows of the day are copied"),
    disjoint("create table as / create table as", "CREATE TABLE x AS SELECT id FROM t", "CREATE TABLE y AS SELECT word FROM t", "both only read it"),
    meet("foreign key / alter the parent", "ALTER TABLE t ADD FOREIGN KEY (parent_id) REFERENCES parent", "ALTER TABLE parent RENAME id TO number", "the key names the parent's column"),
    disjoint(
        "foreign keys of two tables to one parent",
        "ALTER TABLE t ADD FOREIGN KEY (parent_id) REFERENCES parent",
        "ALTER TABLE u ADD FOREIGN KEY (parent_id) REFERENCES parent",
        "a parent is only read, although both lock it and give it triggers",
    ),
    disjoint(
        "new tables with a foreign key to one parent",
        "CREATE TABLE x (parent_id int REFERENCES parent)",
        "CREATE TABLE y (parent_id int REFERENCES parent)",
        "a parent is only read, although both lock it and give it triggers",
    ),
    meet("foreign key / trigger on the parent", "ALTER TABLE t ADD FOREIGN KEY (parent_id) REFERENCES parent", "CREATE TRIGGER seen AFTER DELETE ON parent FOR EACH ROW EXECUTE FUNCTION mark()",
         "the parent is read and defined; its lock is that of the foreign key", "CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"),
    meet("foreign key / delete from the parent", "ALTER TABLE t ADD FOREIGN KEY (parent_id) REFERENCES parent", "DELETE FROM parent", "the rows are checked", clash=("23503", "23503")),
    meet("index / index, same table", "CREATE INDEX x ON t (word)", "CREATE INDEX y ON t (word)", "an index counts as its table"),
    disjoint("index / index, two tables", "CREATE INDEX x ON t (word)", "CREATE INDEX y ON u (word)", "nothing shared"),
    meet("index / cluster", "CREATE INDEX x ON t (word)", "CLUSTER t USING t_pkey", "an index counts as its table"),
    meet("alter index / alter its table", "ALTER INDEX t_pkey RENAME TO key", "ALTER TABLE t SET (fillfactor = 50)", "an index counts as its table"),
    meet("index on a function / replace the function", "CREATE INDEX x ON t (f(id))", "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2'", "the index holds what the body gave"),
    meet("statistics / alter their table", "CREATE STATISTICS x ON id, word FROM t", "ALTER TABLE t ALTER word TYPE varchar(20)", "statistics belong to a table"),
    disjoint("statistics / alter another table", "CREATE STATISTICS x ON id, word FROM t", "ALTER TABLE u ALTER word TYPE varchar(20)", "nothing shared"),
    meet("owner / owner", "ALTER TABLE t OWNER TO {a}", "ALTER TABLE t OWNER TO {b}", "the last one counts"),
    disjoint("owner / owner, two tables", "ALTER TABLE t OWNER TO {a}", "ALTER TABLE u OWNER TO {a}", "nothing shared"),
    meet("not null / insert", "ALTER TABLE t ALTER word SET NOT NULL", "INSERT INTO t VALUES (2)", "the rows are checked", clash=("23502", "23502")),
    meet("set default / insert", "ALTER TABLE t ALTER word SET DEFAULT 'two'", "INSERT INTO t VALUES (2)", "the row takes the default"),
    meet("rename index / drop index if exists", "ALTER INDEX t_pkey RENAME TO made", "DROP INDEX IF EXISTS made", "an index has a name among the relations", clash=(None, "2BP01")),
    meet("index if not exists / index of the same name on another table", "CREATE INDEX IF NOT EXISTS made ON t (id)", "CREATE INDEX made ON u (id)", "an index has a name among the relations", clash=(None, "42P07")),
    meet("constraint / table if not exists of its name", "ALTER TABLE t ADD CONSTRAINT made UNIQUE (word)", "CREATE TABLE IF NOT EXISTS made ()", "an index has a name among the relations", clash=("42P07", None)),
    meet("unnamed index / table of the name that it would take", "CREATE INDEX ON t (word)", "CREATE TABLE t_word_idx ()", "a name that the server looked for is read", clash=(None, "42P07")),
    meet("created and dropped / create table of that name", "CREATE TABLE scratch (a int); DROP TABLE scratch", "CREATE TABLE scratch (b int)", "its name had to be free", clash=("42P07", None)),
    disjoint("created and dropped, twice", "CREATE TABLE scratch (a int); DROP TABLE scratch", "CREATE TABLE scratch (b int); DROP TABLE scratch", "nothing of it is left"),
    disjoint("temporary table, twice", "CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT 1 AS a", "CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT 2 AS b", "nothing of it is left"),
    meet("rename by a detour / alter", "ALTER TABLE t RENAME TO scratch; ALTER TABLE scratch RENAME TO tt", "ALTER TABLE t ADD a int", "the first name of all counts", clash=(None, "42P01")),
    meet("replaced table / insert", "DROP TABLE u; CREATE TABLE u (id int)", "INSERT INTO u VALUES (2)", "the same name before and after"),
]  # fmt: skip

ROWS = [
    meet("seed rows, same table", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)", "the rows' order, their keys, their defaults"),
    disjoint("seed rows, two tables", "INSERT INTO t VALUES (2)", "INSERT INTO u VALUES (2)", "nothing shared"),
    disjoint(
        "seed rows, two tables with one parent",
        "INSERT INTO x VALUES (1)",
        "INSERT INTO y VALUES (1)",
        "a check of a foreign key only reads the parent",
        "CREATE TABLE x (p int REFERENCES parent); CREATE TABLE y (p int REFERENCES parent)",
    ),
    meet("seed rows / seed rows of the parent", "INSERT INTO x VALUES (1)", "INSERT INTO parent VALUES (2)", "the check reads the parent",
         "CREATE TABLE x (p int REFERENCES parent)"),
    meet("update from / insert into what it reads", "UPDATE t SET word = u.word FROM u WHERE u.id = t.id", "INSERT INTO u VALUES (2)", "the rows of the day are copied"),
    disjoint("update from / index on another table", "UPDATE t SET word = u.word FROM u WHERE u.id = t.id", "CREATE INDEX ON parent (name)", "nothing shared"),
    disjoint("two readers of one table", "INSERT INTO x SELECT id FROM t", "INSERT INTO y SELECT id FROM t", "both only read it", "CREATE TABLE x (id int); CREATE TABLE y (id int)"),
    meet("select / update", "SELECT count(*) FROM t", "UPDATE t SET word = 'two'", "read and written"),
    meet("select for update / insert", "SELECT FROM t FOR UPDATE", "INSERT INTO t VALUES (2)", "read and written"),
    meet("truncate / insert", "TRUNCATE t", "INSERT INTO t VALUES (2)", "what was there before is gone"),
    disjoint("truncate / truncate", "TRUNCATE t", "TRUNCATE u", "nothing shared"),
    meet("truncate cascade / insert into a child", "TRUNCATE parent CASCADE", "INSERT INTO x VALUES (1)", "the cascade empties it",
         "CREATE TABLE x (p int REFERENCES parent)", clash=(None, "23503")),
    meet("delete / insert into a child that goes with it", "DELETE FROM parent", "INSERT INTO x VALUES (1)", "the cascade deletes from it",
         "CREATE TABLE x (p int REFERENCES parent ON DELETE CASCADE)", clash=(None, "23503")),
    meet("lock table / insert", "LOCK TABLE t IN ACCESS EXCLUSIVE MODE", "INSERT INTO t VALUES (2)", "who locks a table that strongly works on it"),
    disjoint("lock table / insert into another", "LOCK TABLE t IN ACCESS EXCLUSIVE MODE", "INSERT INTO u VALUES (2)", "nothing shared"),
    disjoint("analyze / insert into another table", "ANALYZE t", "INSERT INTO u VALUES (2)", "nothing shared"),
    meet("block with execute / alter", "DO $$ BEGIN EXECUTE 'UPDATE ' || 't' || ' SET word = ''two'''; END $$", "ALTER TABLE t ADD a int", "what a block does counts"),
    disjoint("block with execute / alter another table", "DO $$ BEGIN EXECUTE 'UPDATE ' || 't' || ' SET word = ''two'''; END $$", "ALTER TABLE u ADD a int", "what a block does not, does not"),
    meet("caught error / alter", "DO $$ BEGIN UPDATE t SET word = 'two'; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN INSERT INTO u VALUES (2); END $$",
         "ALTER TABLE u ADD a int", "what is done after an error that was caught counts"),
    meet("asked in a block that fails / create", "DO $$ BEGIN PERFORM FROM made; EXCEPTION WHEN undefined_table THEN INSERT INTO t VALUES (2); END $$",
         "CREATE TABLE made ()", "a name that is looked for and absent is read"),
    meet("to_regclass / create", "DO $$ BEGIN IF to_regclass('made') IS NULL THEN INSERT INTO t VALUES (2); END IF; END $$", "CREATE TABLE made ()",
         "a name that is looked for and absent is read"),
    disjoint("nothing / alter", "SELECT 1", "ALTER TABLE t ADD a int", "nothing shared"),
    meet("large object / alter", "SELECT lo_create(4711)", "ALTER TABLE t ADD a int", "large objects have no identity but a number: who makes one meets everything", alone=True),
    meet("write a large object / remove it", "SELECT lo_put(47111, 0, 'abc')", "SELECT lo_unlink(47111)", "one object", "SELECT lo_create(47111)", clash=("42704", None), alone=True),
]  # fmt: skip

VIEWS = [
    meet("view / alter its table", "CREATE VIEW v AS SELECT * FROM t", "ALTER TABLE t ADD a int", "the columns of the day are kept"),
    disjoint("view / view", "CREATE VIEW v AS SELECT * FROM t", "CREATE VIEW w AS SELECT * FROM t", "both only read it"),
    meet("view on view / alter the table below", "CREATE VIEW w AS SELECT * FROM v", "ALTER TABLE t ALTER word SET NOT NULL", "what a view depends on is read",
         "CREATE VIEW v AS SELECT * FROM t"),
    meet("replace view / read it", "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id FROM t", "CREATE TABLE made AS SELECT * FROM v", "the rows are what the view gave",
         "CREATE VIEW v AS SELECT id FROM t"),
    meet("insert through a view / alter its table", "INSERT INTO v VALUES (2)", "ALTER TABLE t ALTER word SET DEFAULT 'two'", "the row takes the default", "CREATE VIEW v AS SELECT id FROM t"),
    meet("view with a function / replace the function", "CREATE TABLE made AS SELECT * FROM v", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 7; END'",
         "the rows are what the function gave", "CREATE VIEW v AS SELECT g(id) FROM t"),
    meet("refresh / insert below", "REFRESH MATERIALIZED VIEW v", "INSERT INTO t VALUES (2)", "the rows of the day are kept", "CREATE MATERIALIZED VIEW v AS SELECT id FROM t"),
    disjoint("refresh / refresh", "REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW w", "both only read the table",
             "CREATE MATERIALIZED VIEW v AS SELECT id FROM t; CREATE MATERIALIZED VIEW w AS SELECT id FROM t"),
    meet("rule / insert", "CREATE RULE copy AS ON INSERT TO t DO ALSO INSERT INTO u VALUES (NEW.id)", "INSERT INTO t VALUES (2)", "the rule rewrites the statement"),
    meet("insert by a rule / insert", "INSERT INTO t VALUES (2)", "INSERT INTO u VALUES (3)", "the rule writes the other table too",
         "CREATE RULE copy AS ON INSERT TO t DO ALSO INSERT INTO u VALUES (NEW.id)"),
]  # fmt: skip

_READS = "CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t); END'"
_MARK = "CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"

FUNCTIONS = [
    disjoint("create a function / alter the table that it will read", _READS, "ALTER TABLE t ADD a int", "its body is text until it is called"),
    meet("create a function in SQL / alter the table that it reads", "CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'", "ALTER TABLE t RENAME TO tt",
         "its body is checked when it is made", clash=("42P01", None)),
    meet("call a function / insert into the table that it reads", "INSERT INTO u SELECT counted() + 10", "INSERT INTO t VALUES (2)", "it was called", _READS),
    meet("call a function / replace it", "INSERT INTO u SELECT g(10)", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 7; END'", "the row is what it gave"),
    meet("call a function / alter it", "INSERT INTO u SELECT g(10)", "ALTER FUNCTION g(int) STRICT", "read and defined"),
    meet("call a function by another / replace it", "INSERT INTO u SELECT outer_g()", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 7; END'",
         "it was called", "CREATE FUNCTION outer_g() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN g(10); END'"),
    meet("replace a function, twice", "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 2'", "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 3'",
         "the last one counts"),
    disjoint("replace two functions", "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 2'",
             "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 7; END'", "nothing shared"),
    meet("call / create a better match", "INSERT INTO u SELECT area(2)", "CREATE FUNCTION area(int) RETURNS int LANGUAGE sql AS 'SELECT 40'", "which function a call means depends on those that there are",
         "CREATE FUNCTION area(numeric) RETURNS int LANGUAGE sql AS 'SELECT 50'"),
    meet("insert / shadow the table", "INSERT INTO shadowed VALUES (1)", "CREATE TABLE {s}.shadowed (id int)", "a name is looked for in the schemas before its own",
         "CREATE TABLE public.shadowed (id int)", alone=True),
    meet("trigger / insert", "CREATE TRIGGER mark BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mark()", "INSERT INTO t VALUES (2)", "the row goes through the trigger", _MARK),
    meet("trigger / trigger, same table", "CREATE TRIGGER one BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mark()",
         "CREATE TRIGGER two BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mark()", "a trigger counts as its table", _MARK),
    disjoint("triggers of two tables with one function", "CREATE TRIGGER mark BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mark()",
             "CREATE TRIGGER mark BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION mark()", "the function is only read", _MARK),
    meet("disable trigger / insert", "ALTER TABLE t DISABLE TRIGGER mark", "INSERT INTO t VALUES (2)", "the row goes through the trigger",
         f"{_MARK}; CREATE TRIGGER mark BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mark()"),
    meet("insert / what the trigger's function writes", "INSERT INTO t VALUES (2)", "INSERT INTO u VALUES (3)", "a trigger's work counts",
         "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO u VALUES (NEW.id); RETURN NEW; END';"
         "CREATE TRIGGER log AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION log()"),
    meet("generated column / replace its function", "ALTER TABLE t ADD n int GENERATED ALWAYS AS (f(id)) STORED", "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2'",
         "the rows hold what it gave"),
    meet("insert / replace the function of a default", "INSERT INTO w (id) VALUES (1)", "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2'",
         "the row takes what it gives", "CREATE TABLE w (id int, n int DEFAULT f(1))"),
    meet("insert / replace the function of a generated column", "INSERT INTO w (id) VALUES (1)", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 7; END'",
         "the row takes what it gives", "CREATE TABLE w (id int, n int GENERATED ALWAYS AS (g(id)) STORED)"),
    meet("insert / replace the function of a check", "INSERT INTO w VALUES (1)", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN -1; END'",
         "the row is checked by it", "CREATE TABLE w (id int CHECK (g(id) > 0))", clash=("23514", None)),
    meet("add a check / replace its function", "ALTER TABLE t ADD CHECK (g(id) > 0)", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN -1; END'",
         "the rows are checked by it", clash=("23514", None)),
    meet("operator / replace its function", "CREATE TABLE made AS SELECT 1 <+> 2 AS n", "CREATE OR REPLACE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 7; END'",
         "the row is what it gave",
         "CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END'; CREATE OPERATOR <+> (FUNCTION = plus, LEFTARG = int, RIGHTARG = int)"),
    meet("view with an operator / drop the operator", "CREATE VIEW v AS SELECT 1 <+> 2 AS n", "DROP OPERATOR <+> (int, int)", "read and defined",
         "CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END'; CREATE OPERATOR <+> (FUNCTION = plus, LEFTARG = int, RIGHTARG = int)",
         clash=("42883", "2BP01")),
    disjoint("operator / operator", "CREATE OPERATOR ||| (FUNCTION = plus, LEFTARG = int, RIGHTARG = int)", "CREATE OPERATOR <+> (FUNCTION = plus, LEFTARG = int, RIGHTARG = int)",
             "the function is only read", "CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END'"),
    meet("aggregate / replace its function", "CREATE TABLE made AS SELECT total(id) FROM t", "CREATE OR REPLACE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 7; END'",
         "the row is what it gave",
         "CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END'; CREATE AGGREGATE total(int) (SFUNC = plus, STYPE = int, INITCOND = '0')"),
    meet("create an aggregate / drop its function", "CREATE AGGREGATE total(int) (SFUNC = plus, STYPE = int)", "DROP FUNCTION plus", "read and defined",
         "CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END'", clash=("42883", "2BP01")),
    meet("cast / use of the types", "CREATE CAST (point2 AS text) WITH FUNCTION shown(point2) AS ASSIGNMENT", "INSERT INTO t SELECT 2, ROW(1, 2)::point2::text",
         "the cast changes what the row becomes",
         "CREATE TYPE point2 AS (x int, y int); CREATE FUNCTION shown(point2) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1.x || ''/'' || $1.y; END'"),
]  # fmt: skip

TYPES = [
    meet("enum: add a value / make a table with it", "ALTER TYPE mood ADD VALUE 'high'", "CREATE TABLE made (m mood DEFAULT 'low')", "a type that is used is read", "CREATE TYPE mood AS ENUM ('low')"),
    meet("enum: add values", "ALTER TYPE mood ADD VALUE 'high'", "ALTER TYPE mood ADD VALUE 'mid'", "the labels' order", "CREATE TYPE mood AS ENUM ('low')"),
    meet("enum: rename a value / insert it", "ALTER TYPE mood RENAME VALUE 'low' TO 'down'", "INSERT INTO felt VALUES ('low')", "the statement names the label",
         "CREATE TYPE mood AS ENUM ('low'); CREATE TABLE felt (m mood)", clash=(None, "22P02")),
    disjoint("enum: add a value / insert into a table without it", "ALTER TYPE mood ADD VALUE 'high'", "INSERT INTO t VALUES (2)", "nothing shared", "CREATE TYPE mood AS ENUM ('low')"),
    disjoint("two tables with one type", "CREATE TABLE x (m mood)", "CREATE TABLE y (m mood)", "both only read it", "CREATE TYPE mood AS ENUM ('low')"),
    meet("domain: add a constraint / insert", "ALTER DOMAIN positive ADD CHECK (VALUE > 0)", "INSERT INTO sized VALUES (-1)", "the rows are checked",
         "CREATE DOMAIN positive AS int; CREATE TABLE sized (n positive)", clash=("23514", "23514")),
    meet("domain: set a default / make a table with it", "ALTER DOMAIN positive SET DEFAULT 7", "CREATE TABLE made (n positive)", "a type that is used is read", "CREATE DOMAIN positive AS int"),
    meet("domain: insert / replace the function of its check", "INSERT INTO sized VALUES (1)", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN -1; END'",
         "the row is checked by it", "CREATE DOMAIN checked AS int CHECK (g(VALUE) > 0); CREATE TABLE sized (n checked)", clash=("23514", None)),
    meet("composite: add an attribute / make a table with it", "ALTER TYPE point2 ADD ATTRIBUTE z int", "CREATE TABLE made AS SELECT ROW(1, 2)::point2 AS p", "a type that is used is read",
         "CREATE TYPE point2 AS (x int, y int)", clash=(None, "42846")),
    meet("type: cast of a literal / rename a value", "CREATE TABLE made AS SELECT 'low'::mood::text AS m", "ALTER TYPE mood RENAME VALUE 'low' TO 'down'", "a type that is used is read",
         "CREATE TYPE mood AS ENUM ('low')", clash=("22P02", None)),
    meet("create type / drop type if exists", "CREATE TYPE mood AS ENUM ('low')", "DROP TYPE IF EXISTS mood", "a name that is looked for and absent is read"),
    meet("drop type if exists / create table of that name", "DROP TYPE IF EXISTS made", "CREATE TABLE made ()", "a table brings a type of its name", clash=("2BP01", None)),
    meet("rename type / create view of the new name", "ALTER TYPE mood RENAME TO made", "CREATE VIEW made AS SELECT 1 AS n", "a view brings a type of its name", "CREATE TYPE mood AS ENUM ('low')", clash=("42710", "42710")),
    meet("text search: alter a configuration / use it", "ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR word", "INSERT INTO found SELECT 'one two'",
         "the generated column is made by it",
         "CREATE TEXT SEARCH CONFIGURATION words (COPY = simple); CREATE TABLE found (x text, v tsvector GENERATED ALWAYS AS (to_tsvector('words'::regconfig, x)) STORED)"),
    disjoint("text search: two configurations", "CREATE TEXT SEARCH CONFIGURATION one (COPY = simple)", "CREATE TEXT SEARCH CONFIGURATION two (COPY = simple)", "nothing shared"),
    meet("collation: drop / make a table with it", "DROP COLLATION own", "CREATE TABLE made (word text COLLATE own)", "read and defined", 'CREATE COLLATION own FROM "C"', clash=("2BP01", "42704")),
    disjoint("collation: two", 'CREATE COLLATION one FROM "C"', 'CREATE COLLATION two FROM "C"', "nothing shared"),
]  # fmt: skip

SEQUENCES = [
    meet("nextval / nextval", "SELECT nextval('counter')", "SELECT nextval('counter')", "the numbers' order", "CREATE SEQUENCE counter"),
    disjoint("nextval of two sequences", "SELECT nextval('counter')", "SELECT nextval('other')", "nothing shared", "CREATE SEQUENCE counter; CREATE SEQUENCE other"),
    meet("setval / nextval", "SELECT setval('counter', 100)", "INSERT INTO t SELECT nextval('counter') + 10", "the number depends on it", "CREATE SEQUENCE counter"),
    meet("restart / default of a column", "ALTER SEQUENCE counter RESTART 100", "INSERT INTO numbered DEFAULT VALUES", "the number depends on it", "CREATE SEQUENCE counter; CREATE TABLE numbered (n int DEFAULT nextval('counter'))"),
    meet("two tables with one sequence", "INSERT INTO x DEFAULT VALUES", "INSERT INTO y DEFAULT VALUES", "the numbers' order",
         "CREATE SEQUENCE counter; CREATE TABLE x (n int DEFAULT nextval('counter')); CREATE TABLE y (n int DEFAULT nextval('counter'))"),
    disjoint("two tables with serial numbers of their own", "INSERT INTO x DEFAULT VALUES", "INSERT INTO y DEFAULT VALUES", "nothing shared", "CREATE TABLE x (n serial); CREATE TABLE y (n serial)"),
    meet("owned sequence / alter its table", "ALTER SEQUENCE x_n_seq RESTART 100", "DROP TABLE x", "a sequence goes with its table", "CREATE TABLE x (n serial)", clash=("42P01", None)),
    meet("serial column / create sequence of the name that it would take", "CREATE TABLE x (n serial)", "CREATE SEQUENCE x_n_seq", "a name that the server looked for is read", clash=(None, "42P07")),
    meet("sequence read as a table / nextval", "INSERT INTO t SELECT last_value + 10 FROM counter", "SELECT nextval('counter')", "read and written", "CREATE SEQUENCE counter"),
]  # fmt: skip

PARTITIONS = [
    meet("attach / insert through the parent", "ALTER TABLE parted ATTACH PARTITION high FOR VALUES FROM (100) TO (200)", "INSERT INTO parted VALUES (5)", "rows find their partition by the parent",
         "CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100); CREATE TABLE high (n int)"),
    meet("partition / partition", "CREATE TABLE one PARTITION OF parted FOR VALUES FROM (0) TO (100)", "CREATE TABLE two PARTITION OF parted FOR VALUES FROM (50) TO (200)", "their bounds may overlap",
         "CREATE TABLE parted (n int) PARTITION BY RANGE (n)", clash=("42P17", "42P17")),
    meet("alter a partition / insert through the parent", "ALTER TABLE low ADD CHECK (n > 10)", "INSERT INTO parted VALUES (5)", "the row goes to the partition",
         "CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100)", clash=("23514", "23514")),
    disjoint("insert into two partitions", "INSERT INTO low VALUES (5)", "INSERT INTO high VALUES (105)", "the parent is only read",
             "CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100); CREATE TABLE high PARTITION OF parted FOR VALUES FROM (100) TO (200)"),
    disjoint("partitions of two tables", "CREATE TABLE one PARTITION OF parted FOR VALUES FROM (0) TO (100)", "CREATE TABLE two PARTITION OF split FOR VALUES FROM (0) TO (100)", "nothing shared",
             "CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE split (n int) PARTITION BY RANGE (n)"),
    meet("detach / read the parent", "ALTER TABLE parted DETACH PARTITION low", "CREATE TABLE made AS SELECT * FROM parted", "the rows of the day are copied",
         "CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100); INSERT INTO parted VALUES (5)"),
    meet("add a column to the parent / index on a partition", "ALTER TABLE parted ADD word text", "CREATE INDEX ON low (n)", "the column goes down to the partition",
         "CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100)"),
    meet("a child / alter the parent", "CREATE TABLE child (more int) INHERITS (t)", "ALTER TABLE t ADD a int", "the columns of the day are inherited"),
    meet("a child with rows / read the parent", "CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (9)", "CREATE TABLE made AS SELECT id FROM t", "the parent's rows are also the child's"),
    meet("insert into a child / read the parent", "INSERT INTO child VALUES (9)", "CREATE TABLE made AS SELECT id FROM t", "the parent's rows are also the child's", "CREATE TABLE child () INHERITS (t)"),
    meet("drop a child / read the parent", "DROP TABLE child", "CREATE TABLE made AS SELECT id FROM t", "the parent's rows are also the child's", "CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (9)"),
    meet("no inherit / read the parent", "ALTER TABLE child NO INHERIT t", "CREATE TABLE made AS SELECT id FROM t", "the parent's rows are also the child's", "CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (9)"),
    meet("inherit / read the parent", "ALTER TABLE child INHERIT t", "CREATE TABLE made AS SELECT id FROM t", "the parent's rows are also the child's", "CREATE TABLE child (LIKE t); INSERT INTO child VALUES (9)"),
    meet("drop a partition / read the parent", "DROP TABLE low", "CREATE TABLE made AS SELECT * FROM parted", "the parent's rows are those of its partitions",
         "CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100); INSERT INTO parted VALUES (5)"),
    disjoint("children of two tables", "CREATE TABLE x () INHERITS (t)", "CREATE TABLE y () INHERITS (u)", "nothing shared"),
    disjoint("insert into two children", "INSERT INTO x VALUES (8)", "INSERT INTO y VALUES (9)", "the parent is only read", "CREATE TABLE x () INHERITS (t); CREATE TABLE y () INHERITS (t)"),
]  # fmt: skip

RIGHTS = [
    meet("comment / comment, same table", "COMMENT ON TABLE t IS 'one'", "COMMENT ON TABLE t IS 'two'", "the last one counts"),
    disjoint("comment / comment, two tables", "COMMENT ON TABLE t IS 'one'", "COMMENT ON TABLE u IS 'two'", "nothing shared"),
    meet("comment on a column / drop it", "COMMENT ON COLUMN t.word IS 'one'", "ALTER TABLE t DROP word", "a column counts as its table", clash=("42703", None)),
    meet("comment on a function / replace it", "COMMENT ON FUNCTION f IS 'one'", "DROP FUNCTION f", "one function", clash=("42883", None)),
    meet("comment on a schema / comment on it", "COMMENT ON SCHEMA {s} IS 'one'", "COMMENT ON SCHEMA {s} IS 'two'", "the last one counts"),
    meet("comment on a constraint / drop it", "COMMENT ON CONSTRAINT t_pkey ON t IS 'one'", "ALTER TABLE t DROP CONSTRAINT t_pkey", "a constraint counts as its table", clash=("42704", None)),
    meet("comment on an index / drop it", "COMMENT ON INDEX t_word IS 'one'", "DROP INDEX t_word", "an index counts as its table", "CREATE INDEX t_word ON t (word)", clash=("42P01", None)),
    disjoint("grant / grant, two tables", "GRANT SELECT ON t TO {a}", "GRANT SELECT ON u TO {a}", "nothing shared"),
    meet("revoke / drop table", "REVOKE ALL ON t FROM {a}", "DROP TABLE t", "one table", "GRANT SELECT ON t TO {a}", clash=("42P01", None)),
    meet("grant of a column / revoke", "GRANT SELECT (word) ON t TO {a}", "REVOKE ALL ON t FROM {a}", "a column counts as its table"),
    meet("grant on a function / revoke on it", "GRANT EXECUTE ON FUNCTION f TO {a}", "REVOKE ALL ON FUNCTION f FROM {a}, PUBLIC", "the last one counts"),
    meet("revoke on a function / drop it", "REVOKE ALL ON FUNCTION f FROM PUBLIC", "DROP FUNCTION f", "one function", clash=("42883", None)),
    meet("grant on all tables / create table", "GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {a}", "CREATE TABLE made ()", "only the tables of the day get it"),
    meet("grant on all tables / revoke on one", "GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {a}", "REVOKE ALL ON t FROM {a}", "the last one counts"),
    meet("grant on all functions / create function", "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {s} TO {a}", "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'", "only the functions of the day get it"),
    disjoint("grant on all tables / create table elsewhere", "GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {a}", "CREATE TABLE {s}_other.made ()", "nothing shared", "CREATE SCHEMA {s}_other"),
    meet("grant on a schema / revoke on it", "GRANT USAGE ON SCHEMA {s} TO {a}", "REVOKE ALL ON SCHEMA {s} FROM {a}", "the last one counts"),
    meet("grant on a type / revoke on it", "GRANT USAGE ON TYPE mood TO {a}", "REVOKE ALL ON TYPE mood FROM {a}", "the last one counts", "CREATE TYPE mood AS ENUM ('low')"),
    meet("grant on a sequence / revoke on it", "GRANT USAGE ON SEQUENCE counter TO {a}", "REVOKE ALL ON SEQUENCE counter FROM {a}", "the last one counts", "CREATE SEQUENCE counter"),
    meet("grant a role / revoke it", "GRANT {a} TO {b}", "REVOKE {a} FROM {b}", "the last one counts", alone=True),
    meet("grant / owner", "GRANT SELECT ON t TO {a}", "ALTER TABLE t OWNER TO {a}", "the grants of an owner are other ones"),
    meet("reassign owned / owner", "REASSIGN OWNED BY {a} TO {b}", "ALTER TABLE t OWNER TO {a}", "who owns it in the end", alone=True),
    meet("drop owned / grant", "DROP OWNED BY {a}", "GRANT SELECT ON t TO {a}", "whether the grant stays", alone=True),
    disjoint("default privileges of one schema / create table in another", "ALTER DEFAULT PRIVILEGES IN SCHEMA {s}_other GRANT SELECT ON TABLES TO {a}", "CREATE TABLE made ()", "nothing shared",
             "CREATE SCHEMA {s}_other"),
    meet("default privileges, everywhere / create table", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {a}", "CREATE TABLE made ()", "only what is made later gets the grant", alone=True),
    meet("policy / policy, same table", "CREATE POLICY one ON t USING (id = 1)", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "a policy counts as its table"),
    disjoint("policy / policy, two tables", "CREATE POLICY one ON t USING (id = 1)", "CREATE POLICY one ON u USING (id = 1)", "nothing shared"),
    meet("policy with a function / drop the function", "CREATE POLICY one ON t USING (g(id) > 0)", "DROP FUNCTION g", "read and defined", clash=("42883", "2BP01")),
    meet("policy / insert", "CREATE POLICY one ON t USING (id = 1)", "INSERT INTO t VALUES (2)", "the row is checked by it"),
    meet("insert / replace the function of a policy", "INSERT INTO t VALUES (2)", "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN -1; END'",
         "the row is checked by it, unless the role is above that", "CREATE POLICY one ON t USING (g(id) > 0); ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
]  # fmt: skip

DATABASE = [
    meet("schema: create / create", "CREATE SCHEMA IF NOT EXISTS {s}_new; CREATE TABLE {s}_new.x ()", "CREATE SCHEMA IF NOT EXISTS {s}_new; CREATE TABLE {s}_new.y ()", "the first one makes it"),
    meet("schema: drop / create table in it", "DROP SCHEMA {s}_old CASCADE", "CREATE TABLE {s}_old.made ()", "what is made in a schema reads it", "CREATE SCHEMA {s}_old", clash=(None, "3F000")),
    meet("schema: rename / create table in it", "ALTER SCHEMA {s}_old RENAME TO {s}_new", "CREATE TABLE {s}_old.made ()", "what is made in a schema reads it", "CREATE SCHEMA {s}_old", clash=(None, "3F000")),
    meet("schema: rename / alter table in it", "ALTER SCHEMA {s}_old RENAME TO {s}_new", "ALTER TABLE {s}_old.kept ADD a int", "what lives in a schema reads it",
         "CREATE SCHEMA {s}_old; CREATE TABLE {s}_old.kept ()", clash=(None, "3F000")),
    disjoint("schema: two", "CREATE SCHEMA {s}_one CREATE TABLE x ()", "CREATE SCHEMA {s}_two CREATE TABLE x ()", "nothing shared"),
    meet("catalog / create table", "SELECT count(*) FROM pg_class", "CREATE TABLE made ()", "who reads a catalog meets everything"),
    meet("information schema / alter", "DO $$ BEGIN IF EXISTS (SELECT FROM information_schema.columns WHERE column_name = 'a') THEN DELETE FROM t; END IF; END $$", "ALTER TABLE u ADD a int",
         "who reads a catalog meets everything"),
    meet("catalog / rows elsewhere", "SELECT count(*) FROM pg_class", "INSERT INTO t VALUES (2)", "who reads a catalog meets everything"),
    meet("regclass / rename", "INSERT INTO u SELECT 2, 't'::regclass::text", "ALTER TABLE t RENAME TO tt", "a name that is looked for is read", clash=("42P01", None)),
    meet("definition of a view / replace it", "INSERT INTO t SELECT 2, pg_get_viewdef('v'::regclass)", "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id FROM u", "who reads a catalog meets everything",
         "CREATE VIEW v AS SELECT id FROM u"),
    meet("has_table_privilege / grant", "INSERT INTO u SELECT 2, has_table_privilege('{a}', 't', 'SELECT')::text", "GRANT SELECT ON t TO {a}", "the row depends on it"),
    meet("extension / extension", "CREATE EXTENSION IF NOT EXISTS citext", "CREATE EXTENSION IF NOT EXISTS citext", "the first one makes it", alone=True),
    meet("extension: drop / use of its type", "DROP EXTENSION citext", "CREATE TABLE made (word citext)", "read and defined", "CREATE EXTENSION citext", clash=("2BP01", "42704"), alone=True),
    meet("extension: drop / column of its type", "DROP EXTENSION citext CASCADE", "ALTER TABLE w ADD a int", "its members go with it", "CREATE EXTENSION citext; CREATE TABLE w (word citext)", alone=True),
    disjoint("extension: two tables with its type", "CREATE TABLE x (word citext)", "CREATE TABLE y (word citext)", "the extension is only read", "CREATE EXTENSION citext", alone=True),
    disjoint("extension / alter", "CREATE EXTENSION citext", "ALTER TABLE t ADD a int", "nothing shared", alone=True),
    meet("event trigger / create table", "CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION seen()", "CREATE TABLE made ()", "it runs at any statement",
         "CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO t SELECT count(*) + 1 FROM t; END'", alone=True),
    meet("function of an event trigger / create table", "CREATE OR REPLACE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'", "CREATE TABLE made ()", "it runs at any statement",
         "CREATE TABLE log (tag text); CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO {s}.log VALUES (tg_tag); END';"
         "CREATE EVENT TRIGGER seen ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION seen()", alone=True),
    meet("publication of a table / alter the table", "CREATE PUBLICATION {s}_p FOR TABLE t", "ALTER TABLE t ADD a int", "the table is defined by both"),
    disjoint("publications of two tables", "CREATE PUBLICATION {s}_p FOR TABLE t", "CREATE PUBLICATION {s}_q FOR TABLE u", "nothing shared"),
    meet("publication of all tables / create table", "CREATE PUBLICATION {s}_p FOR ALL TABLES", "CREATE TABLE made ()", "it meets everything", alone=True),
    meet("publication of a schema / create table", "CREATE PUBLICATION {s}_p FOR TABLES IN SCHEMA {s}", "CREATE TABLE made ()", "it meets everything", alone=True),
    meet("publication: add tables, twice", "ALTER PUBLICATION {s}_p ADD TABLE t", "ALTER PUBLICATION {s}_p RENAME TO {s}_q", "one publication", "CREATE PUBLICATION {s}_p", clash=("42704", None)),
    disjoint("foreign tables of one server", "CREATE FOREIGN TABLE x (a int) SERVER {s}_far OPTIONS (filename '/x')", "CREATE FOREIGN TABLE y (a int) SERVER {s}_far OPTIONS (filename '/y')", "the server is only read",
             "CREATE EXTENSION IF NOT EXISTS file_fdw WITH SCHEMA public; CREATE SERVER {s}_far FOREIGN DATA WRAPPER file_fdw"),
    meet("foreign server: drop / foreign table", "DROP SERVER {s}_far CASCADE", "CREATE FOREIGN TABLE x (a int) SERVER {s}_far OPTIONS (filename '/x')", "read and defined",
         "CREATE EXTENSION IF NOT EXISTS file_fdw WITH SCHEMA public; CREATE SERVER {s}_far FOREIGN DATA WRAPPER file_fdw", clash=(None, "42704")),
    meet("foreign server: drop / alter its foreign table", "DROP SERVER {s}_far CASCADE", "ALTER FOREIGN TABLE x ADD b int", "its tables go with it",
         "CREATE EXTENSION IF NOT EXISTS file_fdw WITH SCHEMA public; CREATE SERVER {s}_far FOREIGN DATA WRAPPER file_fdw;"
         "CREATE FOREIGN TABLE x (a int) SERVER {s}_far OPTIONS (filename '/x')", clash=(None, "42P01")),
    disjoint("concurrent index / alter another table", "CREATE INDEX CONCURRENTLY x ON t (word)", "ALTER TABLE u ADD a int", "of what runs without a transaction, index statements tell their table"),
    meet("concurrent index / alter its table", "CREATE INDEX CONCURRENTLY x ON t (word)", "ALTER TABLE t ADD a int", "an index counts as its table"),
    meet("reindex concurrently / alter its table", "REINDEX TABLE CONCURRENTLY t", "ALTER TABLE t ADD a int", "an index counts as its table"),
    meet("drop index concurrently / alter its table", "DROP INDEX CONCURRENTLY t_word", "ALTER TABLE t ADD a int", "an index counts as its table", "CREATE INDEX t_word ON t (word)"),
    meet("vacuum / alter another table", "VACUUM t", "ALTER TABLE u ADD a int", "what runs without a transaction meets everything"),
]  # fmt: skip

PAIRS = [*SEVEN, *TABLES, *ROWS, *VIEWS, *FUNCTIONS, *TYPES, *SEQUENCES, *PARTITIONS, *RIGHTS, *DATABASE]
