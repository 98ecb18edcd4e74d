-- Belay 0.1.0 to 0.2.0. What stands here equals, object for object, what pg_belay--0.2.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.2.0'" to load this file. \quit

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

CREATE OR REPLACE FUNCTION belay.is_running(project_id integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM belay.find_runner(is_running.project_id) r WHERE r.exclusive)
$$;
COMMENT ON FUNCTION belay.is_running IS 'Whether a session of this server holds the lock of the project, that is, runs its migrations.';

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
                    coalesce((SELECT e.message FROM belay.step_error e WHERE e.step_id = r.open_step), 'its session died'),
                    CASE WHEN r.unknowable THEN 'whether it ended cannot be known' ELSE 'the next run resumes there' END)
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
               WHEN 'dirty' THEN CASE WHEN r.unknowable THEN format('SELECT belay.migrate_mark(%L, ''pending'', statement => %s%s)', r.name, r.statement, more)
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

CREATE OR REPLACE FUNCTION belay.grant_role(role text, rights text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Looks, and waits until others have migrated.
    reading CONSTANT text[] := '{migrate_status, migrate_plan, migrate_check, migrate_validate, migrate_wait, migrate_history,
                                 last_run, migrate_checksum}';
    -- Registers and runs; what the migrations do, the role must be allowed to do.
    deploying CONSTANT text[] := '{migrate_register, migrate_load, migrate_load_files, migrate_unregister, migrate_rename,
                                   migrate_up, migrate_down, migrate_to, migrate_redo}';
    -- Makes the rules, and says what the ledger shall believe.
    owning CONSTANT text[] := '{project_create, project_alter, migrate_mark}';
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
'Grants a role, for all projects of this database, what it takes to be reader (looks, SQL texts and error messages included), deployer (looks, registers, loads and runs; no SQL texts) or owner (both, and makes and alters projects, and marks). Grants add up and nothing is taken away. Call it again after an update of the extension.
For the owner of the extension and superusers. Errors: 22023 unknown rights or NULL, 42501 may not grant, 42704 unknown role.';

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
