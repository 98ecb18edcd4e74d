-- Belay 0.4.0 to 0.5.0. What stands here equals, object for object, what pg_belay--0.5.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.5.0'" to load this file. \quit

-- ---------------------------------------------------------------------------
-- Online changes: attempts under a lock timeout
-- ---------------------------------------------------------------------------
CREATE PROCEDURE belay.with_lock_retries(sql text)
LANGUAGE c AS 'MODULE_PATHNAME', 'with_lock_retries_wrapper';
COMMENT ON PROCEDURE belay.with_lock_retries IS
'Runs SQL statements in one transaction under belay.lock_timeout and commits it. When a lock is not to be had in time, at a deadlock and at a serialization failure everything is rolled back and tried again after a pause: belay.lock_retries times, with pauses that double from a tenth of lock_timeout to twice it. There is no attempt without a limit. Settings that the statements make end with it.
Errors: the statements'' own, unchanged; 55P03 with who holds the lock; 25001 inside a transaction block, and for what cannot run in a transaction; 25006.';

-- ---------------------------------------------------------------------------
-- Online changes: backfills
-- ---------------------------------------------------------------------------
CREATE TABLE belay.backfill (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    relation      regclass NOT NULL,
    assignments   text NOT NULL,
    condition     text,
    role          name NOT NULL,
    batch_size    integer NOT NULL,
    key_columns   text[],
    cursor        text[],
    leaf          oid,
    leaf_changed  bigint NOT NULL DEFAULT 0,
    estimate      bigint,
    passed        bigint NOT NULL DEFAULT 0,
    passed_before bigint NOT NULL DEFAULT 0,
    changed       bigint NOT NULL DEFAULT 0,
    batches       bigint NOT NULL DEFAULT 0,
    pid           integer,
    waits_for     text,
    started_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    resumed_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    batch_at      timestamptz,
    finished_at   timestamptz,
    CONSTRAINT backfill_pkey PRIMARY KEY (id),
    -- The same call finds its own.
    CONSTRAINT backfill_text_key UNIQUE NULLS NOT DISTINCT (relation, assignments, condition)
);
COMMENT ON TABLE belay.backfill IS 'Updates of whole tables in batches, and how far each is; a row is written in the transaction of each batch. Shown by belay.progress.';
COMMENT ON COLUMN belay.backfill.cursor IS 'The key of the last row that was passed, or the next block of a table without a key.';
COMMENT ON COLUMN belay.backfill.key_columns IS 'The columns whose values the cursor holds; empty: blocks.';
COMMENT ON COLUMN belay.backfill.leaf IS 'Of what has no key: the table in hand.';
COMMENT ON COLUMN belay.backfill.leaf_changed IS 'Rows that the present pass through it has changed; a pass without one is the last.';
COMMENT ON COLUMN belay.backfill.estimate IS 'Rows of the table when it began, as the planner knew it.';
COMMENT ON COLUMN belay.backfill.passed_before IS 'Rows passed when the present session went on with it.';
COMMENT ON COLUMN belay.backfill.pid IS 'The session that runs it, or ran it last.';

CREATE VIEW belay.progress AS
    SELECT b.relation AS "table", b.role,
           CASE WHEN b.finished_at IS NOT NULL THEN 'finished' WHEN l.pid IS NOT NULL THEN 'running' ELSE 'interrupted' END AS state,
           b.changed AS rows_updated, b.batches,
           CASE WHEN b.finished_at IS NOT NULL THEN 100.0 WHEN b.estimate > 0 THEN pg_catalog.round(least(100.0 * b.passed / b.estimate, 99.9), 1) END AS percent,
           CASE WHEN b.batch_at > b.resumed_at
                THEN pg_catalog.round((b.passed - b.passed_before) / extract(epoch FROM b.batch_at - b.resumed_at)) END AS rows_per_second,
           CASE WHEN l.pid IS NOT NULL THEN b.waits_for END AS waits_for, l.pid, b.started_at, b.batch_at AS last_batch_at, b.finished_at
      FROM belay.backfill b
      LEFT JOIN LATERAL (
           -- 1651270246 is the class of the advisory locks of backfills, ASCII "blbf".
           SELECT k.pid FROM pg_catalog.pg_locks k
            WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.classid = 1651270246::oid AND k.objid = (b.id % 4294967296)::oid
              AND k.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
            LIMIT 1) l ON true
     ORDER BY b.id;
COMMENT ON VIEW belay.progress IS 'Updates in batches, one row each: state is running, interrupted (the same call goes on where it stopped) or finished. percent is of the rows that the planner knew of at the beginning; rows_per_second of the present session; waits_for: replica or archiver, while it waits for one.';

CREATE PROCEDURE belay.update_in_batches("table" regclass, set text, "where" text DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'update_in_batches_wrapper';
COMMENT ON PROCEDURE belay.update_in_batches IS
'UPDATE table SET set WHERE where, in batches: each in a transaction of its own, together with how far it came. After a failure, a crash or a cancel the same call goes on behind the last batch that was committed: no batch is done twice, none is left out. Called again after its end it begins anew.
Rows are gone through in the order of the primary key, or of another unique index without NULLs. A table without one is gone through by blocks until a pass changes nothing, and where must say which rows are left. Rows that come meanwhile may be left out.
Batches take about belay.batch_time (500 ms), with belay.batch_pause between them; it waits while a replica is behind by more than belay.replica_lag or more than belay.unarchived_segments wait for the archiver. Each batch is tried again as belay.lock_retries says. See belay.progress.
Errors: the statement''s own with the batch in CONTEXT; 22023 more than assignments or one condition, 0A000 the key is assigned or there is none, 42501 row security hides rows, 55P03 another session is at it, 25001 inside a transaction block.';

-- ---------------------------------------------------------------------------
-- Online changes: two columns in step
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.sync_columns() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'sync_columns_wrapper';
COMMENT ON FUNCTION belay.sync_columns IS
'The trigger, BEFORE INSERT OR UPDATE FOR EACH ROW, that keeps two columns in step while a column change is under way; the verbs make it, as zz_belay_sync_N, so that it comes after other triggers. Arguments: the change, source and copy column, the name of the value in expressions, the expressions forth and back.
Error: 27000 where a row is written with two different values.';

CREATE FUNCTION belay.is_out_of_step(variable text, forth text, back text, source "any", copy "any") RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'is_out_of_step_wrapper';
COMMENT ON FUNCTION belay.is_out_of_step IS 'Internal: whether neither value of a type change is made of the other, by its expressions over the variable. What the backfill and the verification of a change of a type ask of each row.';

-- ---------------------------------------------------------------------------
-- Online changes: what a column has goes to its copy
-- ---------------------------------------------------------------------------

-- ---------------------------------------------------------------------------
-- Online changes: columns
-- ---------------------------------------------------------------------------
CREATE TABLE belay.column_change (
    id               bigint GENERATED ALWAYS AS IDENTITY,
    relation         regclass NOT NULL,
    old_column       name NOT NULL,
    new_column       name NOT NULL,
    old_type         text,
    new_type         text,
    using_expression text,
    back_expression  text,
    phase            text NOT NULL,
    source_column    name,
    copy_column      name,
    complete         boolean NOT NULL DEFAULT false,
    changed_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    changed_by       name NOT NULL,
    CONSTRAINT column_change_pkey PRIMARY KEY (id),
    -- A verb finds its change by table and columns.
    CONSTRAINT column_change_columns_key UNIQUE (relation, old_column, new_column),
    CONSTRAINT column_change_phase_check CHECK (phase IN ('old', 'both', 'new')),
    CONSTRAINT column_change_type_check CHECK ((old_type IS NULL) = (new_type IS NULL)),
    -- Both columns are there from the moment that the trigger is; phase both never lacks them.
    CONSTRAINT column_change_pair_check CHECK ((source_column IS NULL) = (copy_column IS NULL) AND (phase <> 'both' OR copy_column IS NOT NULL)),
    CONSTRAINT column_change_complete_check CHECK (copy_column IS NOT NULL OR NOT complete)
);
COMMENT ON TABLE belay.column_change IS 'Columns that are renamed, or given another type, while two versions of code run; one row a change, found by table and columns.';
COMMENT ON COLUMN belay.column_change.relation IS 'The table.';
COMMENT ON COLUMN belay.column_change.old_column IS 'The column''s name in phase old.';
COMMENT ON COLUMN belay.column_change.new_column IS 'Its name in phase new; of a type change the second column''s name in phase both.';
COMMENT ON COLUMN belay.column_change.old_type IS 'Of a type change: the type in phase old. NULL: a rename.';
COMMENT ON COLUMN belay.column_change.new_type IS 'Of a type change: the type in phase new.';
COMMENT ON COLUMN belay.column_change.using_expression IS 'How an old value becomes a new one; NULL: by a cast.';
COMMENT ON COLUMN belay.column_change.back_expression IS 'How a new value becomes an old one; NULL: by a cast.';
COMMENT ON COLUMN belay.column_change.phase IS 'Which columns code may use: old, both (kept in step by a trigger) or new.';
COMMENT ON COLUMN belay.column_change.source_column IS 'While two columns are kept in step: the one that was there first.';
COMMENT ON COLUMN belay.column_change.copy_column IS 'While two columns are kept in step: the one that was added.';
COMMENT ON COLUMN belay.column_change.complete IS 'Whether each row is filled and the copy has everything that belongs to the source; else the same verb goes on.';
COMMENT ON COLUMN belay.column_change.changed_at IS 'When it was last written.';
COMMENT ON COLUMN belay.column_change.changed_by IS 'By whom.';

CREATE PROCEDURE belay.rename_column_concurrently("table" regclass, old name, new name)
LANGUAGE c AS 'MODULE_PATHNAME', 'rename_column_concurrently_wrapper';
COMMENT ON PROCEDURE belay.rename_column_concurrently IS
'Begins the rename of a column while old and new code run: adds column new, keeps both in step by a trigger in either direction, fills it in batches, and gives it everything that belongs to column old. Afterwards both can be read and written; cleanup_concurrent_column_rename ends it. Each step commits; after a failure, a crash or a cancel the same call goes on where it stopped. A no-op where the rename is over.
Locks: ACCESS EXCLUSIVE for a moment under belay.lock_timeout, again and again; nothing else blocks readers or writers.
Errors: 0A000 what cannot be carried over, with the list; 42703 no such column, 42701 column new is there already, 42501 not the table''s owner, 55P03 lock or another session at it, 25001 inside a transaction block, 22000 rows that did not come in step.';

CREATE PROCEDURE belay.undo_rename_column_concurrently("table" regclass, old name, new name)
LANGUAGE c AS 'MODULE_PATHNAME', 'undo_rename_column_concurrently_wrapper';
COMMENT ON PROCEDURE belay.undo_rename_column_concurrently IS
'Takes back rename_column_concurrently, from every point of it: only column old stays. What was written to column new meanwhile is in column old. A no-op where nothing has begun; refused (55000) where column old has gone: CALL belay.undo_cleanup_concurrent_column_rename first.';

CREATE PROCEDURE belay.cleanup_concurrent_column_rename("table" regclass, old name, new name)
LANGUAGE c AS 'MODULE_PATHNAME', 'cleanup_concurrent_column_rename_wrapper';
COMMENT ON PROCEDURE belay.cleanup_concurrent_column_rename IS
'Ends a rename when no code uses column old any more: fills what is left, verifies that every row is in step, then column old goes and column new takes over its constraints, keys and indexes under their names, in one short transaction. A no-op where column old has gone; refused (55000) where the rename has not begun. CALL belay.undo_cleanup_concurrent_column_rename takes it back.';

CREATE PROCEDURE belay.undo_cleanup_concurrent_column_rename("table" regclass, old name, new name)
LANGUAGE c AS 'MODULE_PATHNAME', 'undo_cleanup_concurrent_column_rename_wrapper';
COMMENT ON PROCEDURE belay.undo_cleanup_concurrent_column_rename IS
'Takes back cleanup_concurrent_column_rename: column old is there again, filled from column new and kept in step with it. A no-op before the cleanup.';

CREATE PROCEDURE belay.change_column_type_concurrently("table" regclass, "column" name, new_type text, "using" text DEFAULT NULL, back text DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'change_column_type_concurrently_wrapper';
COMMENT ON PROCEDURE belay.change_column_type_concurrently IS
'Begins the change of a column''s type while the application runs: adds column NAME_for_type_change of the new type, keeps both in step in either direction, fills it in batches, and gives it everything that belongs to the column. cleanup_concurrent_column_type_change ends it. Goes on where it stopped, and is a no-op where the column has the new type.
using: an expression over the column (by its own name) that makes an old value a new one; back: the opposite, over the same name. NULL: a cast. Functions of yours are named with their schema.
Locks and errors: see rename_column_concurrently.';

CREATE PROCEDURE belay.undo_change_column_type_concurrently(
    "table" regclass, "column" name, new_type text DEFAULT NULL, "using" text DEFAULT NULL, back text DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'undo_change_column_type_concurrently_wrapper';
COMMENT ON PROCEDURE belay.undo_change_column_type_concurrently IS
'Takes back change_column_type_concurrently, from every point of it: only the column with its old type stays. A no-op where nothing has begun; refused (55000) after the cleanup: CALL belay.undo_cleanup_concurrent_column_type_change first. new_type, using and back may be given as they were when it began, and are not looked at.';

CREATE PROCEDURE belay.cleanup_concurrent_column_type_change("table" regclass, "column" name)
LANGUAGE c AS 'MODULE_PATHNAME', 'cleanup_concurrent_column_type_change_wrapper';
COMMENT ON PROCEDURE belay.cleanup_concurrent_column_type_change IS
'Ends the change of a type: fills what is left, verifies that every row is in step, then the column of the new type takes the place, the name, the constraints, keys and indexes of the old one, in one short transaction. A no-op where that has happened; refused (55000) where the change has not begun.';

CREATE PROCEDURE belay.undo_cleanup_concurrent_column_type_change("table" regclass, "column" name)
LANGUAGE c AS 'MODULE_PATHNAME', 'undo_cleanup_concurrent_column_type_change_wrapper';
COMMENT ON PROCEDURE belay.undo_cleanup_concurrent_column_type_change IS
'Takes back cleanup_concurrent_column_type_change: the column has its old type again, and NAME_for_type_change, kept in step with it, the new one. A no-op before the cleanup.';

-- ---------------------------------------------------------------------------
-- Online changes: indexes
-- ---------------------------------------------------------------------------
CREATE PROCEDURE belay.add_concurrent_index(
    "table" regclass DEFAULT NULL, elements text DEFAULT NULL, name text DEFAULT NULL, "unique" boolean DEFAULT false, method text DEFAULT NULL,
    include text DEFAULT NULL, "with" text DEFAULT NULL, tablespace text DEFAULT NULL, "where" text DEFAULT NULL, definition text DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'add_concurrent_index_wrapper';
COMMENT ON PROCEDURE belay.add_concurrent_index IS
'Builds an index while the table is used, if it is not there: of a table and its elements (what stands in the parentheses of CREATE INDEX), or by definition, a whole CREATE INDEX. The same index that is there and valid is told and left; one that a failed build left INVALID is built again; another index under the name is an error.
Of a partitioned table each partition gets its own, one after the other, attached to the table''s; after a failure the same call goes on.
The table''s lock is taken under belay.lock_timeout, again and again; the build then waits for older transactions without blocking anybody.
Errors: 42P07 the name is another index''s, the build''s own (23505), 22023, 42501, 55P03, 25001 inside a transaction block and from PL/pgSQL.';

CREATE PROCEDURE belay.remove_concurrent_index("table" regclass, name text)
LANGUAGE c AS 'MODULE_PATHNAME', 'remove_concurrent_index_wrapper';
COMMENT ON PROCEDURE belay.remove_concurrent_index IS
'Drops an index of a table without blocking anybody; a notice where it is not there. That of a partitioned table goes with its parts, under a short lock that is tried again and again. Errors: 55000 it belongs to a constraint, 42501, 55P03, 25001 inside a transaction block and from PL/pgSQL.';

-- ---------------------------------------------------------------------------
-- Roles, grants, pg_dump
-- ---------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION belay.grant_role(role text, rights text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Looks, and waits until others have migrated.
    reading CONSTANT text[] := '{migrate_status, migrate_plan, migrate_check, migrate_validate, migrate_wait, migrate_history, touched_by,
                                 last_run, migrate_checksum, check_order, check_order_directories, footprints,
                                 snapshot, snapshot_hash, snapshot_diff, contract_check, versioned_name, object_versions,
                                 release_status, announced_release, clients}';
    -- Registers and runs; what the migrations do, the role must be allowed to do.
    deploying CONSTANT text[] := '{migrate_register, migrate_load, migrate_load_files, migrate_unregister, migrate_rename,
                                   migrate_up, migrate_down, migrate_to, migrate_redo, migrate_repair,
                                   contract_query, contract_queries, contract_from_statements, seen_statements, contract_query_drop,
                                   release_announce, client_checkin, client_checkout,
                                   with_lock_retries, update_in_batches, sync_columns, is_out_of_step, add_concurrent_index, remove_concurrent_index,
                                   rename_column_concurrently, undo_rename_column_concurrently,
                                   cleanup_concurrent_column_rename, undo_cleanup_concurrent_column_rename,
                                   change_column_type_concurrently, undo_change_column_type_concurrently,
                                   cleanup_concurrent_column_type_change, undo_cleanup_concurrent_column_type_change}';
    -- The application's own role: says which release runs, and nothing else.
    serving CONSTANT text[] := '{client_checkin, client_checkout, announced_release, migrate_wait}';
    -- Makes the rules, and says what the ledger shall believe.
    owning CONSTANT text[] := '{project_create, project_alter, migrate_mark, migrate_baseline, migrate_accept_late, history_prune}';
    wanted text[];
    routine regprocedure;
    owner oid;
BEGIN
    IF grant_role.role IS NULL OR grant_role.rights IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = CASE WHEN grant_role.role IS NULL THEN 'role must not be null' ELSE 'rights must not be null' END,
            HINT = 'SELECT belay.grant_role(''app_deployer'', ''deployer'')';
    END IF;
    wanted := CASE grant_role.rights
        WHEN 'reader' THEN reading
        WHEN 'deployer' THEN reading || deploying
        WHEN 'owner' THEN reading || deploying || owning
        WHEN 'client' THEN serving
        END;
    IF wanted IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('rights => ''%s'' is not known', grant_role.rights),
            HINT = 'use ''client'', ''reader'', ''deployer'' or ''owner''';
    END IF;
    -- Also keeps PUBLIC out: GRANT would take it for everybody, whatever its quotes.
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grant_role.role) THEN
        RAISE EXCEPTION USING ERRCODE = '42704',
            MESSAGE = format('role "%s" does not exist', grant_role.role),
            HINT = format('CREATE ROLE %I', grant_role.role);
    END IF;
    -- GRANT only warns a role that may not grant.
    SELECT e.extowner INTO owner FROM pg_extension e WHERE e.extname = 'pg_belay';
    IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = 'only the owner of extension pg_belay may grant its roles',
            HINT = format('SET ROLE %I, or ask a superuser', pg_get_userbyid(owner));
    END IF;
    FOR routine IN
        SELECT p.oid FROM pg_proc p
         WHERE p.pronamespace = 'belay'::regnamespace AND p.proname::text = ANY (wanted)
         ORDER BY p.oid
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', routine, grant_role.role);
    END LOOP;
    -- SQL text, messages and details of every project: for who reads and who owns. Who
    -- deploys needs neither.
    IF grant_role.rights IN ('reader', 'owner') THEN
        EXECUTE format('GRANT SELECT ON belay.definition, belay.step_error, belay.contract_query TO %I', grant_role.role);
    END IF;
END $$;
COMMENT ON FUNCTION belay.grant_role IS
'Grants a role, for all projects of this database, what it takes to be client (an application: checks in and out, asks which release is announced, waits for migrations), reader (looks, SQL texts and error messages included), deployer (looks, registers, loads, runs, repairs, changes tables online and announces releases; no SQL texts) or owner (both, and makes and alters projects, marks, baselines, accepts late migrations, and prunes the history). Grants add up and nothing is taken away. Call it again after an update of the extension.
For the owner of the extension and superusers. Errors: 22023 unknown rights or NULL, 42501 may not grant, 42704 unknown role.';

REVOKE ALL ON FUNCTION belay.sync_columns, belay.is_out_of_step FROM PUBLIC;
REVOKE ALL ON PROCEDURE belay.with_lock_retries, belay.update_in_batches, belay.add_concurrent_index, belay.remove_concurrent_index,
    belay.rename_column_concurrently, belay.undo_rename_column_concurrently,
    belay.cleanup_concurrent_column_rename, belay.undo_cleanup_concurrent_column_rename,
    belay.change_column_type_concurrently, belay.undo_change_column_type_concurrently,
    belay.cleanup_concurrent_column_type_change, belay.undo_cleanup_concurrent_column_type_change FROM PUBLIC;
GRANT SELECT ON belay.column_change, belay.progress TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('belay.backfill', '');
SELECT pg_catalog.pg_extension_config_dump('belay.backfill_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.column_change', '');
SELECT pg_catalog.pg_extension_config_dump('belay.column_change_id_seq', '');

-- All that was made here belongs to the extension's owner, whoever updates it.
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT pg_catalog.format('ALTER ROUTINE %s OWNER TO %I', p.oid::pg_catalog.regprocedure, pg_catalog.pg_get_userbyid(e.extowner)) AS command
          FROM pg_catalog.pg_proc p, pg_catalog.pg_extension e
         WHERE e.extname = 'pg_belay' AND p.pronamespace = 'belay'::pg_catalog.regnamespace AND p.proowner <> e.extowner
        UNION ALL
        -- Its sequence and its type follow a table.
        SELECT pg_catalog.format('ALTER TABLE %s OWNER TO %I', c.oid::pg_catalog.regclass, pg_catalog.pg_get_userbyid(e.extowner))
          FROM pg_catalog.pg_class c, pg_catalog.pg_extension e
         WHERE e.extname = 'pg_belay' AND c.relnamespace = 'belay'::pg_catalog.regnamespace AND c.relkind = 'r' AND c.relowner <> e.extowner
    LOOP
        EXECUTE made.command;
    END LOOP;
END $$;
