-- Belay 0.2.0 to 0.3.0. What stands here equals, object for object, what pg_belay--0.3.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.3.0'" to load this file. \quit

-- ---------------------------------------------------------------------------
-- Ordering disjoint, footprints, reviewed exceptions
-- ---------------------------------------------------------------------------
ALTER TABLE belay.project DROP CONSTRAINT project_ordering_check,
    ADD CONSTRAINT project_ordering_check CHECK (ordering IN ('strict', 'disjoint', 'permissive'));
COMMENT ON COLUMN belay.project.ordering IS 'strict: what is applied is a prefix of the registry''s order; disjoint: a late arrival is kept if it touches nothing that those after it touch; permissive: late arrivals run.';
ALTER TABLE belay.run
    DROP CONSTRAINT run_verb_check,
    ADD CONSTRAINT run_verb_check CHECK (verb IN ('up', 'down', 'to', 'redo', 'load', 'mark', 'baseline', 'repair', 'accept', 'alter')),
    DROP CONSTRAINT run_ordering_check,
    ADD CONSTRAINT run_ordering_check CHECK (ordering IN ('strict', 'disjoint', 'permissive'));
ALTER DOMAIN belay.outcome DROP CONSTRAINT outcome_check;
ALTER DOMAIN belay.outcome ADD CONSTRAINT outcome_check CHECK (VALUE IN ('applied', 'reverted', 'failed', 'rolled back', 'lost', 'accepted'));
COMMENT ON DOMAIN belay.outcome IS 'How an attempt ended: applied, reverted, failed, rolled back (it succeeded, then its run failed), lost (its session died). Or accepted: no attempt, but the review that lets a late migration run.';
ALTER TABLE belay.step
    ADD COLUMN reads text[],
    ADD COLUMN writes text[],
    ADD COLUMN defines text[],
    ADD COLUMN everything text,
    ADD COLUMN cumulative boolean,
    ADD COLUMN accepted_after bigint;
COMMENT ON COLUMN belay.step.outcome IS 'applied, reverted, failed, rolled back (it succeeded, then its run failed), lost (its session died); accepted: no attempt, but the review that lets a late migration run.';
COMMENT ON COLUMN belay.step.reads IS 'Footprint: what it only read or depended on, by identity, such as ''relation public.users''; an index counts as its table. NULL: no footprint was kept.';
COMMENT ON COLUMN belay.step.writes IS 'Footprint: of what it changed the rows.';
COMMENT ON COLUMN belay.step.defines IS 'Footprint: what it made, changed or dropped.';
COMMENT ON COLUMN belay.step.everything IS 'Footprint: why it counts as touching everything, as in ''reads pg_catalog.pg_class''; NULL: reads, writes and defines are all.';
COMMENT ON COLUMN belay.step.cumulative IS 'Footprint: true when it holds also what came before the step in the same transaction (per_run, or the caller''s own).';
COMMENT ON COLUMN belay.step.accepted_after IS 'Of an accepted step: the applied migration after which the late one may run.';

-- ---------------------------------------------------------------------------
-- The check before a merge
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.check_order(
    base jsonb, head jsonb, naming text DEFAULT NULL, release text DEFAULT NULL, footprints jsonb DEFAULT NULL, fail boolean DEFAULT false,
    OUT name text, OUT problem text, OUT detail text, OUT suggested_name text)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_order_wrapper';
COMMENT ON FUNCTION belay.check_order IS
'The check before a merge: what the files of one branch (head) would do where those of another (base) are applied. Both are {"path": "content", ...}, as for migrate_load_files; no project and no database is looked at. One row a problem, in the order of the names; none: merge.
problem: late (new, and sorts before the newest of base), changed (in both, and the SQL differs) or missing (head does not have it). suggested_name: for a late one, the next free name, in release where one is given.
naming: natural, release or diesel; NULL finds it. footprints: what belay.footprints() gives after a scratch run of head; then only those are late that meet a migration of base after them, that run without a transaction, or of which too little is known.
Errors: MG001 with fail => true where there is a row; MG008 name, MG009 and MG010 a file, each with its side; 22023 NULL, unknown naming, malformed footprints, a release that cannot be next.';

CREATE FUNCTION belay.check_order_directories(
    base text, head text, naming text DEFAULT NULL, release text DEFAULT NULL, footprints jsonb DEFAULT NULL, fail boolean DEFAULT false,
    OUT name text, OUT problem text, OUT detail text, OUT suggested_name text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'check_order_directories_wrapper';
COMMENT ON FUNCTION belay.check_order_directories IS
'check_order over two directories of the server, by their absolute paths.
For superusers and members of pg_read_server_files (42501); any client can use check_order. Other errors: 58P01 a directory or file that cannot be read, and those of check_order.';

CREATE FUNCTION belay.footprints(project text DEFAULT 'default') RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(footprints.project);
BEGIN
    RETURN coalesce((
        SELECT jsonb_object_agg(m.name, jsonb_build_object('reads', s.reads, 'writes', s.writes, 'defines', s.defines,
                                                           'everything', s.everything, 'transaction', m.up_transaction))
          FROM belay.applied a
          JOIN belay.migration m ON m.id = a.migration_id
          JOIN belay.step s ON s.id = a.step_id
         WHERE a.project_id = p.id AND s.reads IS NOT NULL), '{}');
END $$;
COMMENT ON FUNCTION belay.footprints IS
'What the applied migrations of a project touched, for check_order: {"name": {"reads": [...], "writes": [...], "defines": [...], "everything": why or null, "transaction": true or false}, ...}. One that kept no footprint (marked, or applied by an earlier version) is left out. Errors: MG011 unknown project, 22023 NULL.';

REVOKE ALL ON FUNCTION belay.check_order, belay.check_order_directories, belay.footprints FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Roles: more routines
-- ---------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION belay.grant_role(role text, rights text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Looks, and waits until others have migrated.
    reading CONSTANT text[] := '{migrate_status, migrate_plan, migrate_check, migrate_validate, migrate_wait, migrate_history,
                                 last_run, migrate_checksum, check_order, check_order_directories, footprints}';
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
