-- Belay 0.1.0 to 0.2.0. What stands here equals, object for object, what pg_belay--0.2.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.2.0'" to load this file. \quit

-- Retries of a migration that did not get a lock in time
ALTER TABLE belay.migration
    ADD COLUMN up_lock_retries integer,
    ADD COLUMN down_lock_retries integer,
    ADD CONSTRAINT migration_lock_retries_check CHECK (up_lock_retries >= 0 AND down_lock_retries >= 0);
COMMENT ON COLUMN belay.migration.up_lock_retries IS 'Directive lock-retries of up, attempts after the first; NULL: belay.lock_retries.';
COMMENT ON COLUMN belay.migration.down_lock_retries IS 'Directive lock-retries of down, attempts after the first; NULL: belay.lock_retries.';

-- ---------------------------------------------------------------------------
-- Privileged migrations
-- ---------------------------------------------------------------------------
ALTER TABLE belay.migration
    ADD COLUMN privileged boolean NOT NULL DEFAULT false,
    ADD COLUMN up_privileged boolean,
    ADD COLUMN down_privileged boolean,
    ADD COLUMN privileged_said boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT migration_privileged_check CHECK (privileged = coalesce(up_privileged OR down_privileged, false));
COMMENT ON COLUMN belay.migration.privileged IS 'True when up or down takes rights that a deploying role may lack. False for what 0.1.0 registered: on_privileged => ''refuse'' looks at such a text when it is to run.';
COMMENT ON COLUMN belay.migration.up_privileged IS 'Whether up does, by its statements or its directive; NULL: 0.1.0 registered it and did not look.';
COMMENT ON COLUMN belay.migration.down_privileged IS 'Whether down does, by its statements or its directive; NULL: 0.1.0 registered it and did not look.';
COMMENT ON COLUMN belay.migration.privileged_said IS 'True when a directive of up or down says whether it is privileged.';
COMMENT ON FUNCTION belay.migrate_register IS
'Registers one migration. The same checksum again changes nothing; a pending definition that differs needs replace => true; an applied one is immutable (MG003).
Directives are comments at the head of the text: -- belay: transaction off, requires A, B, pairs-with NAME [indivisible], lock-timeout 2s, lock-retries 3, privileged.
Errors: MG008 name, MG009 text, MG010 statement that migrations may not hold, 42601 syntax.';

-- The verbs gain an argument, and a routine cannot: new ones take the names of the old, which go.
ALTER PROCEDURE belay.migrate_up RENAME TO migrate_up_of_0_1_0;
ALTER PROCEDURE belay.migrate_down RENAME TO migrate_down_of_0_1_0;
ALTER PROCEDURE belay.migrate_to RENAME TO migrate_to_of_0_1_0;
ALTER PROCEDURE belay.migrate_redo RENAME TO migrate_redo_of_0_1_0;

CREATE PROCEDURE belay.migrate_up(
    target text DEFAULT NULL, steps integer DEFAULT NULL, phase text DEFAULT NULL, release text DEFAULT NULL,
    ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_up_wrapper';
COMMENT ON PROCEDURE belay.migrate_up IS
'Applies what is pending, in order: all, up to target, the first n steps, one phase, or releases up to release.
transaction: per_migration (default: each commits with its ledger rows) or per_run (all or nothing); inside a transaction block everything runs in it.
A run to the latest waits for another run of the project, everything else fails with 55P03; on_contention (wait, fail) and wait (interval) override.
on_privileged: apply (default), or refuse: runs nothing (42501) if a migration to run is privileged, and lists all that are with their SQL.
Errors: the migration''s own, unchanged; MG001 late, MG005 requirement, MG007 unfinished, 25001, 25006, 42501, 55P03.';

CREATE PROCEDURE belay.migrate_down(
    steps integer DEFAULT 1, ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_down_wrapper';
COMMENT ON PROCEDURE belay.migrate_down IS
'Reverts the most recently applied migrations, newest first; never more than asked.
Errors: MG004 without a down or where the project does not allow it, MG005 required by another, MG006 would split an indivisible pair; see migrate_up.';

CREATE PROCEDURE belay.migrate_to(
    target text, ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_to_wrapper';
COMMENT ON PROCEDURE belay.migrate_to IS
'Applies or reverts until target is the last one applied; ''@none'' reverts everything. An empty or NULL target is an error (22023): an unset variable must not revert everything.';

CREATE PROCEDURE belay.migrate_redo(
    steps integer DEFAULT 1, ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_redo_wrapper';
COMMENT ON PROCEDURE belay.migrate_redo IS 'Reverts the most recently applied migrations and applies the same ones again.';
REVOKE ALL ON PROCEDURE belay.migrate_up, belay.migrate_down, belay.migrate_to, belay.migrate_redo FROM PUBLIC;

-- Another superuser than the extension's owner may be updating it.
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN
        SELECT pg_catalog.replace(p.proname::text, '_of_0_1_0', '') AS name, p.proowner AS owner FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'belay'::pg_catalog.regnamespace AND p.proname::text LIKE '%\_of\_0\_1\_0'
    LOOP
        EXECUTE pg_catalog.format('ALTER PROCEDURE belay.%I OWNER TO %I', old.name, pg_catalog.pg_get_userbyid(old.owner));
    END LOOP;
END $$;
-- Who was granted the old ones may call the new ones. Not by GRANT: within a script that counts as
-- what the extension itself grants (pg_init_privs), and pg_dump would leave it out.
INSERT INTO pg_catalog.pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
SELECT d.dbid, d.classid, new.oid, d.objsubid, d.refclassid, d.refobjid, d.deptype
  FROM pg_catalog.pg_proc new
  JOIN pg_catalog.pg_proc old ON old.pronamespace = new.pronamespace AND old.proname::text = new.proname || '_of_0_1_0'
  JOIN pg_catalog.pg_shdepend d ON d.objid = old.oid AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'a'
   AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
 WHERE new.pronamespace = 'belay'::pg_catalog.regnamespace;
UPDATE pg_catalog.pg_proc new SET proacl = old.proacl
  FROM pg_catalog.pg_proc old
 WHERE new.pronamespace = 'belay'::pg_catalog.regnamespace
   AND old.pronamespace = new.pronamespace AND old.proname::text = new.proname || '_of_0_1_0';

DROP PROCEDURE belay.migrate_up_of_0_1_0;
DROP PROCEDURE belay.migrate_down_of_0_1_0;
DROP PROCEDURE belay.migrate_to_of_0_1_0;
DROP PROCEDURE belay.migrate_redo_of_0_1_0;

-- ---------------------------------------------------------------------------
-- History that is made shorter
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.history_prune(before timestamptz, project text DEFAULT 'default')
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'history_prune_wrapper';
COMMENT ON FUNCTION belay.history_prune IS
'Removes the steps that ended before that time, with their error messages, and then the runs and SQL texts that nothing refers to any more. Returns the number of steps.
The steps of what is in force or unfinished stay, and so do the project''s migrations and how they stand. For the project''s owner (42501), while no run is going on (55P03). Errors: MG011 unknown project, MG012 within a migration, 22023 NULL, 40001.';
REVOKE ALL ON FUNCTION belay.history_prune FROM PUBLIC;
COMMENT ON TABLE belay.step IS 'One row an attempt at one migration in one direction. Append-only: a finished step never changes; belay.history_prune removes old ones.';

-- ---------------------------------------------------------------------------
-- Mending: baselines and repairs are runs
-- ---------------------------------------------------------------------------
ALTER TABLE belay.run DROP CONSTRAINT run_verb_check,
    ADD CONSTRAINT run_verb_check CHECK (verb IN ('up', 'down', 'to', 'redo', 'load', 'mark', 'baseline', 'repair'));
COMMENT ON TABLE belay.run IS 'One row a call that applied, reverted, marked, baselined or repaired. Append-only: a finished run never changes; belay.history_prune removes old ones.';
COMMENT ON COLUMN belay.unfinished.leaves IS 'What the begun statement leaves behind when it dies: {"kind", "schema", "name", ...}; "there" and "before": what was there already; "failed": it raised an error; "left": and left its index invalid.';

CREATE PROCEDURE belay.migrate_baseline(target text, reason text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_baseline_wrapper';
COMMENT ON PROCEDURE belay.migrate_baseline IS
'Everything pending up to target, in the registry''s order, counts as applied from now on; nothing runs. For a database that has the schema already. Kept in the history with role and reason. Part of the caller''s transaction, where there is one.
Errors: MG001 breaks the ordering, MG007 a migration has begun and not ended, MG011 unknown project or target, 22023 target is NULL, empty or @none, 55P03 a run is going on.';

CREATE PROCEDURE belay.migrate_repair(dry_run boolean DEFAULT false, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_repair_wrapper';
COMMENT ON PROCEDURE belay.migrate_repair IS
'Removes what the failed statement of an unfinished migration left behind: its INVALID index, and the _ccnew and _ccold indexes of its REINDEX. Nothing runs, and the migration stays unfinished. What others left and what is valid is not touched. With dry_run it only says what it would remove.
Drops without blocking, waits as long as that takes, and commits by itself: CALL it at top level (25001). Needs the right to drop the indexes (42501). Errors: MG011 unknown project, 55P03 a run is going on.';

REVOKE ALL ON PROCEDURE belay.migrate_baseline FROM PUBLIC;
REVOKE ALL ON PROCEDURE belay.migrate_repair FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Waiting: migrate_wait, and who runs what
-- ---------------------------------------------------------------------------
-- Internal: who holds the lock of the project, a run first. What a session shows of itself in
-- pg_stat_activity is believed only where the ledger agrees: the session has an open run, the text is
-- the one that this run writes, and its migration is registered and still pending (or, going down, applied).
CREATE FUNCTION belay.find_runner(project_id integer)
RETURNS TABLE (pid integer, exclusive boolean, run bigint, ordering text, migration_id bigint, direction text, since timestamptz, described text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- 1651270009 is the class of Belay's advisory locks, ASCII "blay".
    SELECT l.pid, l.mode = 'ExclusiveLock', r.id, r.ordering, h.migration_id, h.direction, h.since,
           format('pid %s, role %s%s%s%s', l.pid, coalesce(r.role, a.usename, '(unknown)'),
                  ', application ' || nullif(coalesce(r.application_name, a.application_name), ''),
                  CASE WHEN r.id IS NULL THEN ', holds the lock without a run'
                       ELSE format(', run %s (%s), for %s s', r.id, r.verb,
                                   round(extract(epoch FROM clock_timestamp() - r.started_at)::numeric, 1)) END,
                  CASE WHEN h.name IS NOT NULL
                       THEN format(', %s "%s" for %s s', CASE h.direction WHEN 'up' THEN 'applying' ELSE 'reverting' END, h.name,
                                   round(extract(epoch FROM clock_timestamp() - h.since)::numeric, 1)) END)
      FROM pg_locks l
      LEFT JOIN pg_stat_activity a ON a.pid = l.pid
      LEFT JOIN belay.run r ON r.project_id = find_runner.project_id AND r.finished_at IS NULL
                           AND r.pid = l.pid AND r.backend_start = a.backend_start
      LEFT JOIN LATERAL (
           SELECT m.id AS migration_id, m.name, w.direction, w.since
             FROM (-- state_change, since query_start stays that of the CALL
                   SELECT v.direction, a.state_change AS since,
                          substr(a.query, length(t.head) + 1, greatest(length(a.query) - length(t.head) - length(t.tail), 0)) AS name
                     FROM belay.project p
                    CROSS JOIN (VALUES ('up', 'applying'), ('down', 'reverting')) v(direction, doing)
                    CROSS JOIN LATERAL (SELECT format('belay: %s ', v.doing) AS head, format(' (project %s, run %s)', p.name, r.id) AS tail) t
                    WHERE p.id = r.project_id AND starts_with(a.query, t.head) AND right(a.query, length(t.tail)) = t.tail
                   UNION ALL
                   -- the text may be off, or cut short: the ledger knows what is not transactional
                   SELECT u.direction::text, s.started_at, s.name
                     FROM belay.unfinished u JOIN belay.step s ON s.id = u.step_id AND s.run_id = r.id
                    WHERE u.project_id = r.project_id) w
             JOIN belay.migration m ON m.project_id = r.project_id AND m.name = w.name
            WHERE EXISTS (SELECT FROM belay.pending x WHERE x.migration_id = m.id) = (w.direction = 'up')
            LIMIT 1) h ON true
     WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1651270009::oid
       AND l.objid = find_runner.project_id::oid AND l.objsubid = 2
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       -- the runs of a standby's primary cannot be seen, and what is locked on the standby is no run
       AND NOT pg_is_in_recovery()
     ORDER BY r.id DESC NULLS LAST, l.mode
$$;
COMMENT ON FUNCTION belay.find_runner IS 'The sessions of this server that hold the lock of the project, who runs first: exclusive as a run holds it, their open run, the migration in hand, and all of it in words.';
REVOKE ALL ON FUNCTION belay.find_runner FROM PUBLIC;

-- The lock is looked at after the snapshot of the caller's query was taken. A run that ended in between
-- holds no lock, and its rows still say that something is pending or half done: they are looked up as they are now.
CREATE FUNCTION belay.is_unfinished(migration_id bigint) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'is_unfinished_wrapper';
COMMENT ON FUNCTION belay.is_unfinished IS 'Whether a migration is half done now, whatever the snapshot of the query.';
REVOKE ALL ON FUNCTION belay.is_unfinished FROM PUBLIC;

CREATE FUNCTION belay.is_pending(migration_id bigint) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'is_pending_wrapper';
COMMENT ON FUNCTION belay.is_pending IS 'Whether a migration is pending now, whatever the snapshot of the query.';
REVOKE ALL ON FUNCTION belay.is_pending FROM PUBLIC;

CREATE PROCEDURE belay.migrate_wait(
    target text DEFAULT NULL, release text DEFAULT NULL, run bigint DEFAULT NULL,
    wait interval DEFAULT '5 min', project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_wait_wrapper';
COMMENT ON PROCEDURE belay.migrate_wait IS
'Waits, without running anything itself, until everything registered is in force: all of it, up to target, or up to the last migration of release; or until run has succeeded. For the start of an application, also on a standby: there until it has been replayed.
Polls, every second at most, and holds neither a snapshot nor a lock in between; ends after wait (an interval; NULL: without limit; 0: looks once) with 55P03, which says what is lacking and who runs what. The caller''s statement_timeout applies.
What has failed, or stopped halfway, may be repaired meanwhile and is waited for; the error at the end names it. What comes after target or release does not count. A project ''default'' that nobody has used has nothing to wait for.
What cannot come by waiting is an error at once: MG001 late, MG005 a requirement that is not registered, MG011 unknown project, target, release or run (on a standby these may only not have been replayed, and are waited for), MG016 the run has failed. Others: 22023, 25001 inside a transaction block.';
REVOKE ALL ON PROCEDURE belay.migrate_wait FROM PUBLIC;


-- Projects are given to roles that the giver is a member of.
COMMENT ON FUNCTION belay.project_create IS
'Makes a project: one independent migration history. It belongs to the current role unless owner says otherwise.
naming is natural, release or diesel, or found from the first registration.
Errors: 42501 owner is a role that the caller is no member of, 42710 exists already, MG008 not a name.';
COMMENT ON FUNCTION belay.project_alter IS
'Changes a project; NULL leaves a value as it is, search_path => '''' takes it away. For the project''s owner, who gives it only to
a role that it is a member of (42501).';
COMMENT ON COLUMN belay.project.trusted IS
'Roles whose registered migrations anybody in this project may run with their own rights; for superusers only where one owns it.';

-- ---------------------------------------------------------------------------
-- Functions as they are from 0.2.0 on
-- ---------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION belay.grant_role(role text, rights text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Looks, and waits until others have migrated.
    reading CONSTANT text[] := '{migrate_status, migrate_plan, migrate_check, migrate_validate, migrate_wait, migrate_history,
                                 last_run, migrate_checksum}';
    -- Registers and runs; what the migrations do, the role must be allowed to do.
    deploying CONSTANT text[] := '{migrate_register, migrate_load, migrate_load_files, migrate_unregister, migrate_rename,
                                   migrate_up, migrate_down, migrate_to, migrate_redo, migrate_repair}';
    -- Makes the rules, and says what the ledger shall believe.
    owning CONSTANT text[] := '{project_create, project_alter, migrate_mark, migrate_baseline, history_prune}';
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
        END;
    IF wanted IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('rights => ''%s'' is not known', grant_role.rights),
            HINT = 'use ''reader'', ''deployer'' or ''owner''';
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
    IF grant_role.rights <> 'deployer' THEN
        EXECUTE format('GRANT SELECT ON belay.definition, belay.step_error TO %I', grant_role.role);
    END IF;
END $$;
COMMENT ON FUNCTION belay.grant_role IS
'Grants a role, for all projects of this database, what it takes to be reader (looks, SQL texts and error messages included), deployer (looks, registers, loads, runs and repairs; no SQL texts) or owner (both, and makes and alters projects, marks, baselines, and prunes the history). Grants add up and nothing is taken away. Call it again after an update of the extension.
For the owner of the extension and superusers. Errors: 22023 unknown rights or NULL, 42501 may not grant, 42704 unknown role.';

CREATE OR REPLACE FUNCTION belay.is_running(project_id integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM belay.find_runner(is_running.project_id) r WHERE r.exclusive)
$$;
COMMENT ON FUNCTION belay.is_running IS 'Whether a session of this server holds the lock of the project, that is, runs its migrations.';

CREATE OR REPLACE FUNCTION belay.migrate_history(
    migration text DEFAULT NULL, of_run bigint DEFAULT NULL, newest integer DEFAULT 100, project text DEFAULT 'default')
RETURNS TABLE (run bigint, step bigint, name text, direction text, outcome text, started_at timestamptz, duration interval,
               role name, application_name text, statement integer, sqlstate text, message text, detail text,
               reason text, checksum text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(migrate_history.project);
BEGIN
    RETURN QUERY
    SELECT h.* FROM (
        SELECT r.id AS run_id, s.id AS step_id, s.name, s.direction::text, coalesce(s.outcome::text, 'unfinished'), s.started_at,
               s.finished_at - s.started_at, r.role, r.application_name, s.statement, s.sqlstate, e.message,
               CASE WHEN r.verb IN ('mark', 'baseline') THEN format('by migrate_%s: nothing ran', r.verb) ELSE e.detail END,
               r.reason, s.checksum
          FROM belay.step s
          JOIN belay.run r ON r.id = s.run_id
          LEFT JOIN belay.step_error e ON e.step_id = s.id
         WHERE s.project_id = p.id
           AND (migrate_history.migration IS NULL OR s.name = migrate_history.migration)
           AND (migrate_history.of_run IS NULL OR s.run_id = migrate_history.of_run)
         ORDER BY s.id DESC LIMIT migrate_history.newest) h
     ORDER BY h.step_id;
END $$;
COMMENT ON FUNCTION belay.migrate_history IS
'The newest steps (NULL: all), oldest first, of one migration or run where asked. outcome: applied, reverted, failed, rolled back, lost, unfinished. detail: of the error; or that nothing ran, and by which verb.';

CREATE OR REPLACE FUNCTION belay.migrate_status(project text DEFAULT 'default')
RETURNS TABLE (name text, state text, "position" bigint, release text, phase text, applied_at timestamptz,
               applied_by name, duration interval, detail text, next_command text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(migrate_status.project);
    tail text := CASE WHEN migrate_status.project = 'default' THEN '' ELSE format('project => %L', migrate_status.project) END;
    more text := CASE WHEN migrate_status.project = 'default' THEN '' ELSE format(', project => %L', migrate_status.project) END;
    runner record;
    newest record;
    newest_file bytea;
BEGIN
    SELECT f.* INTO runner FROM belay.find_runner(p.id) f WHERE f.exclusive LIMIT 1;
    SELECT m.name, a.sort_key INTO newest FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
     WHERE a.project_id = p.id ORDER BY a.sort_key DESC LIMIT 1;
    SELECT m.sort_key INTO newest_file FROM belay.migration m
     WHERE m.project_id = p.id AND m.loaded AND NOT m.missing ORDER BY m.sort_key DESC LIMIT 1;
    RETURN QUERY
    WITH row AS (
        SELECT m.*, a.step_id, a.position AS clock, a.applied_at AS at, a.applied_by AS by, a.checksum AS ran,
               u.direction, u.statement, us.statements, us.outcome, us.sqlstate, us.id AS open_step,
               u.started AND u.leaves->>'kind' = 'unknowable' AS unknowable,
               format('SELECT belay.migrate_mark(%L, ''pending'', statement => %s%s)', m.name, u.statement, more) AS again,
               format('SELECT belay.migrate_mark(%L, %s%s)', m.name,
                      CASE WHEN u.statement < us.statements THEN format('''pending'', statement => %s', u.statement + 1)
                           WHEN u.direction = 'up' THEN '''applied''' ELSE '''pending''' END, more) AS ended,
               CASE WHEN u.migration_id IS NOT NULL THEN
                        CASE WHEN pg_is_in_recovery() THEN 'unknown (primary)' WHEN runner.exclusive OR NOT belay.is_unfinished(m.id) THEN 'running'
                             ELSE 'dirty' END
                    WHEN m.id = runner.migration_id AND (a.position IS NULL) = (runner.direction = 'up') THEN 'running'
                    WHEN a.checksum <> m.checksum THEN 'changed'
                    WHEN a.position IS NOT NULL AND m.missing AND m.sort_key < newest_file THEN 'missing'
                    WHEN a.position IS NOT NULL THEN 'applied'
                    WHEN p.ordering = 'strict' AND m.sort_key < newest.sort_key THEN 'late'
                    WHEN w.name IS NOT NULL THEN 'blocked'
                    ELSE 'pending' END AS standing,
               w.name AS wanted, w.registered
          FROM belay.migration m
          LEFT JOIN belay.applied a ON a.migration_id = m.id
          LEFT JOIN belay.unfinished u ON u.migration_id = m.id
          LEFT JOIN belay.step us ON us.id = u.step_id
          LEFT JOIN LATERAL (
               SELECT r.name, q.id IS NOT NULL AS registered
                 FROM unnest(m.requires) AS r(name)
                 LEFT JOIN belay.migration q ON q.project_id = m.project_id AND q.name = r.name
                WHERE q.id IS NULL
                   OR (q.sort_key > m.sort_key AND EXISTS (SELECT FROM belay.pending x WHERE x.migration_id = q.id))
                LIMIT 1) w ON a.position IS NULL
         WHERE m.project_id = p.id
    )
    SELECT r.name, r.standing,
           CASE WHEN r.clock IS NOT NULL THEN row_number() OVER (ORDER BY r.clock) END,
           r.release, r.phase, r.at, r.by, s.finished_at - s.started_at,
           CASE r.standing
               WHEN 'running' THEN CASE WHEN r.statement IS NULL
                    THEN format('going %s, for %s s', runner.direction, round(extract(epoch FROM clock_timestamp() - runner.since)::numeric, 1))
                    ELSE format('going %s, at statement %s of %s', r.direction, r.statement, r.statements) END
               WHEN 'dirty' THEN format('went %s and stopped at statement %s of %s: %s; %s',
                    r.direction, r.statement, r.statements,
                    coalesce((SELECT e.message FROM belay.step_error e
                               WHERE e.step_id = r.open_step AND NOT (r.unknowable AND e.sqlstate = 'MG007')), 'its session died'),
                    CASE WHEN r.unknowable
                         THEN format('whether it ended cannot be known: %s when it did, %s to run it again', r.ended, r.again)
                         ELSE 'the next run resumes there' END)
               WHEN 'unknown (primary)' THEN format('going %s, at statement %s of %s, when this standby last heard', r.direction, r.statement, r.statements)
               WHEN 'changed' THEN format('applied with checksum %s', r.ran)
               WHEN 'missing' THEN 'applied, and not in the set that was loaded last'
               WHEN 'late' THEN format('sorts before "%s", which is applied', newest.name)
               WHEN 'blocked' THEN format('requires "%s", which is %s', r.wanted,
                    CASE WHEN r.registered THEN 'pending and sorts after it' ELSE 'not registered' END)
               WHEN 'applied' THEN CASE WHEN r.missing THEN 'ahead of the set that was loaded last' END
               ELSE (SELECT format('the last attempt failed: %s', e.message)
                       FROM (SELECT x.id, x.outcome FROM belay.step x WHERE x.migration_id = r.id ORDER BY x.id DESC LIMIT 1) l
                       JOIN belay.step_error e ON e.step_id = l.id WHERE l.outcome = 'failed')
           END,
           CASE r.standing
               WHEN 'dirty' THEN CASE WHEN r.unknowable THEN r.again
                                      ELSE format('CALL belay.migrate_%s(%s)', r.direction, tail) END
               WHEN 'running' THEN NULL
               WHEN 'late' THEN format('SELECT belay.migrate_rename(%L, <new name>%s)', r.name, more)
               WHEN 'blocked' THEN CASE WHEN r.registered THEN format('SELECT belay.migrate_rename(%L, <new name>%s)', r.wanted, more)
                                        ELSE format('SELECT belay.migrate_register(%L, <up>%s)', r.wanted, more) END
               WHEN 'pending' THEN format('CALL belay.migrate_up(%s)', tail)
               WHEN 'missing' THEN format('SELECT * FROM belay.migrate_load(<directory>, on_missing => ''revert''%s)', more)
           END
      FROM row r LEFT JOIN belay.step s ON s.id = r.step_id
     ORDER BY r.sort_key;
END $$;
COMMENT ON FUNCTION belay.migrate_status IS
'One row a registered migration, in order. state: applied, pending, late, blocked, running, dirty (a non-transactional one that stopped), missing, changed. position: execution order from 1. next_command: what to do about it.
running is what a session of this server has in hand; a standby cannot see that of its primary: unknown (primary) is what had begun there and not ended when it last heard.
Works on a standby and takes no lock. Errors: MG011 unknown project.';

CREATE OR REPLACE FUNCTION belay.migrate_validate(target text DEFAULT NULL, release text DEFAULT NULL, project text DEFAULT 'default')
RETURNS TABLE (name text, problem text, detail text, next_command text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(migrate_validate.project);
    last bytea;
    last_of_release bytea;
    -- The run of another session, in words; of its own the caller knows.
    going_on text;
    -- A run that has not ended as far as this snapshot knows, and on a standby what is said of it.
    open_run record;
    heard_of text;
BEGIN
    IF migrate_validate.target IS NOT NULL THEN
        SELECT m.sort_key INTO last FROM belay.migration m WHERE m.project_id = p.id AND m.name = migrate_validate.target;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'MG011', MESSAGE = format('migration "%s" is not registered', migrate_validate.target),
                HINT = 'SELECT name, state FROM belay.migrate_status() lists what is registered';
        END IF;
    END IF;
    IF migrate_validate.release IS NOT NULL THEN
        SELECT m.sort_key INTO last_of_release FROM belay.migration m
         WHERE m.project_id = p.id AND m.release = migrate_validate.release ORDER BY m.sort_key DESC LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'MG011',
                MESSAGE = format('no migration of project "%s" belongs to release "%s"', migrate_validate.project, migrate_validate.release),
                HINT = 'name the last release that has migrations; SELECT name, release FROM belay.migrate_status() shows them';
        END IF;
        last := least(last, last_of_release);
    END IF;
    SELECT f.described INTO going_on FROM belay.find_runner(p.id) f WHERE f.exclusive AND f.pid <> pg_backend_pid() LIMIT 1;
    SELECT r.id, r.verb INTO open_run FROM belay.run r WHERE r.project_id = p.id AND r.finished_at IS NULL ORDER BY r.id DESC LIMIT 1;
    heard_of := CASE WHEN pg_is_in_recovery() AND open_run.id IS NOT NULL
                     THEN format('run %s (%s) was going on when this standby last heard', open_run.id, open_run.verb) END;
    RETURN QUERY
    SELECT s.name, coalesce(w.problem, s.state),
           CASE WHEN w.run IS NULL THEN s.detail ELSE concat_ws('; ', coalesce(s.detail, s.state), w.run) END,
           CASE WHEN w.run IS NULL THEN s.next_command END
      FROM belay.migrate_status(migrate_validate.project) s
      JOIN belay.migration m ON m.project_id = p.id AND m.name = s.name
      LEFT JOIN LATERAL (SELECT 'running' AS problem, going_on AS run
                          WHERE going_on IS NOT NULL AND s.state IN ('pending', 'dirty', 'running')
                         UNION ALL
                         SELECT 'unknown (primary)', heard_of
                          WHERE heard_of IS NOT NULL AND s.state IN ('pending', 'unknown (primary)')) w ON true
     WHERE s.state <> 'applied'
       AND (last IS NULL OR m.sort_key <= last)
       AND CASE WHEN s.state = 'pending' AND going_on IS NULL AND open_run.id IS NOT NULL THEN belay.is_pending(m.id) ELSE true END
    UNION ALL
    SELECT m.name, 'checksum', 'the stored text is not the one that was registered', NULL
      FROM belay.migration m JOIN belay.definition d ON d.id = m.definition_id
     WHERE m.project_id = p.id AND (d.checksum <> m.checksum OR belay.migrate_checksum(d.up, d.down) <> d.checksum)
       AND (last IS NULL OR m.sort_key <= last)
    UNION ALL
    SELECT m.name, 'invalid index', format('%s was left by statement %s', i.indexrelid::regclass, u.statement),
           format('CALL belay.migrate_%s(%s)', u.direction,
                  CASE WHEN p.name = 'default' THEN '' ELSE format('project => %L', p.name) END)
      FROM belay.unfinished u
      JOIN belay.migration m ON m.id = u.migration_id
      JOIN pg_index i ON NOT i.indisvalid
       AND i.indexrelid = to_regclass(coalesce(quote_ident(u.leaves->>'schema') || '.', '') || quote_ident(u.leaves->>'name'))
     WHERE u.project_id = p.id AND (last IS NULL OR m.sort_key <= last)
       -- while it is being built it is no valid index, either
       AND going_on IS NULL AND NOT pg_is_in_recovery();
END $$;
COMMENT ON FUNCTION belay.migrate_validate IS
'What keeps the project from being in order, up to a target or the last migration of a release: pending, late, blocked, running, dirty, missing, changed, checksum, invalid index. No row: in order. Looks and never waits; migrate_wait does.
While another session runs, what is pending or half done is running, with who runs what in detail; on a standby, which cannot see that, unknown (primary). Errors: MG011 unknown project, target or release.';

-- All that was made here belongs to the extension's owner, whoever updates it.
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT p.oid::pg_catalog.regprocedure AS routine, pg_catalog.pg_get_userbyid(e.extowner) AS owner
          FROM pg_catalog.pg_proc p, pg_catalog.pg_extension e
         WHERE e.extname = 'pg_belay' AND p.pronamespace = 'belay'::pg_catalog.regnamespace AND p.proowner <> e.extowner
    LOOP
        EXECUTE pg_catalog.format('ALTER ROUTINE %s OWNER TO %I', made.routine, made.owner);
    END LOOP;
END $$;
