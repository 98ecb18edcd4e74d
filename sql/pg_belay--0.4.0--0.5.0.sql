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

-- ---------------------------------------------------------------------------
-- Online changes: two columns in step
-- ---------------------------------------------------------------------------

-- ---------------------------------------------------------------------------
-- Online changes: what a column has goes to its copy
-- ---------------------------------------------------------------------------

-- ---------------------------------------------------------------------------
-- Online changes: columns
-- ---------------------------------------------------------------------------

-- ---------------------------------------------------------------------------
-- Online changes: indexes
-- ---------------------------------------------------------------------------

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
                                   with_lock_retries, update_in_batches, add_concurrent_index, remove_concurrent_index,
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

REVOKE ALL ON PROCEDURE belay.with_lock_retries FROM PUBLIC;

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
