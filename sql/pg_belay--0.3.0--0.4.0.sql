-- Belay 0.3.0 to 0.4.0. What stands here equals, object for object, what pg_belay--0.4.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.4.0'" to load this file. \quit

-- ---------------------------------------------------------------------------
-- Projects and steps
-- ---------------------------------------------------------------------------
ALTER TABLE belay.project
    ADD COLUMN schemas text[],
    ADD COLUMN contract text NOT NULL DEFAULT 'enforce',
    ADD COLUMN versioned text[] NOT NULL DEFAULT '{}',
    ADD COLUMN gate_source text NOT NULL DEFAULT 'sessions',
    ADD COLUMN client_pattern text NOT NULL DEFAULT '{project}/{release}',
    ADD COLUMN unknown_clients text NOT NULL DEFAULT 'allow',
    ADD CONSTRAINT project_contract_check CHECK (contract IN ('enforce', 'report', 'off')),
    ADD CONSTRAINT project_versioned_check CHECK (versioned <@ '{function,trigger,type}' AND pg_catalog.array_position(versioned, NULL) IS NULL),
    ADD CONSTRAINT project_gate_source_check CHECK (gate_source IN ('sessions', 'checkin')),
    ADD CONSTRAINT project_client_pattern_check CHECK (client_pattern LIKE '%{release}%'),
    ADD CONSTRAINT project_unknown_clients_check CHECK (unknown_clients IN ('allow', 'refuse'));
COMMENT ON COLUMN belay.project.schemas IS 'Schemas that the contract and belay.snapshot look at; NULL: all but the server''s and Belay''s own.';
COMMENT ON COLUMN belay.project.contract IS 'What pre and post may do: enforce (refuse where a phase is asked for, else report), report (warn), off.';
COMMENT ON COLUMN belay.project.versioned IS 'Kinds of objects that carry a version, as in fetch_job_v2, and are never replaced in place: function, trigger, type.';
COMMENT ON COLUMN belay.project.gate_source IS 'How the gate of post knows clients: sessions (application_name and check-ins) or checkin (check-ins only, and none at all refuses).';
COMMENT ON COLUMN belay.project.client_pattern IS 'The application_name of the project''s clients; {project} and {release} stand for the names.';
COMMENT ON COLUMN belay.project.unknown_clients IS 'Whether clients that show no release let a post run: allow or refuse.';
ALTER TABLE belay.run
    DROP CONSTRAINT run_verb_check,
    ADD CONSTRAINT run_verb_check CHECK (verb IN ('up', 'down', 'to', 'redo', 'load', 'mark', 'baseline', 'repair', 'accept', 'alter', 'announce'));
ALTER TABLE belay.migration
    ADD COLUMN waivers text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN belay.migration.waivers IS 'Rules of the contract that its up is let off, each with the reason: RULE REASON.';
ALTER TABLE belay.step
    ADD COLUMN waived text[],
    ADD COLUMN reported text[];
COMMENT ON COLUMN belay.step.waived IS 'What it did against the contract, waived by its directives; one line each: rule, object, what, and the reason.';
COMMENT ON COLUMN belay.step.reported IS 'What it did against the contract, where that only reports; one line each: rule, object and what.';

-- ---------------------------------------------------------------------------
-- Releases: what is deployed, what there was before, who is connected, what code sends
-- ---------------------------------------------------------------------------
CREATE TABLE belay.announcement (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    project_id   integer NOT NULL,
    release      text NOT NULL,
    announced_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    announced_by name NOT NULL,
    CONSTRAINT announcement_pkey PRIMARY KEY (id)
);
CREATE INDEX announcement_project ON belay.announcement (project_id, id);
COMMENT ON TABLE belay.announcement IS 'Which release of a project''s code was deployed when, as told by belay.release_announce; the newest row counts. Append-only.';

CREATE TABLE belay.release_base (
    project_id integer NOT NULL,
    release    text NOT NULL,
    objects    jsonb NOT NULL,
    taken_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT release_base_pkey PRIMARY KEY (project_id, release)
);
COMMENT ON TABLE belay.release_base IS 'The objects that were there when the first migration of a release began: what the contract of its pre protects.';
COMMENT ON COLUMN belay.release_base.objects IS 'Identities, {"kind": ["name", ...], ...}.';

CREATE TABLE belay.client (
    project_id integer NOT NULL,
    instance   text NOT NULL,
    release    text NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    expires_at timestamptz NOT NULL,
    role       name NOT NULL,
    CONSTRAINT client_pkey PRIMARY KEY (project_id, instance)
);
COMMENT ON TABLE belay.client IS 'Instances of a project''s code that have told their release by belay.client_checkin.';
COMMENT ON COLUMN belay.client.expires_at IS 'From then on the instance counts as gone.';

CREATE TABLE belay.contract_query (
    project_id    integer NOT NULL,
    release       text NOT NULL,
    name          text COLLATE "C" NOT NULL,
    sql           text NOT NULL,
    source        text NOT NULL,
    search_path   text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    registered_by name NOT NULL,
    CONSTRAINT contract_query_pkey PRIMARY KEY (project_id, release, name),
    CONSTRAINT contract_query_source_check CHECK (source IN ('registered', 'statements'))
);
COMMENT ON TABLE belay.contract_query IS 'What the code of a release sends. Private: SQL text may hold secrets.';
COMMENT ON COLUMN belay.contract_query.sql IS 'One statement, with $1, $2, ... for its parameters.';
COMMENT ON COLUMN belay.contract_query.source IS 'registered: by belay.contract_query; statements: by belay.contract_from_statements.';
COMMENT ON COLUMN belay.contract_query.search_path IS 'search_path under which its names are looked up.';

GRANT SELECT ON belay.announcement, belay.release_base, belay.client TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('belay.announcement', '');
SELECT pg_catalog.pg_extension_config_dump('belay.announcement_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.release_base', '');
SELECT pg_catalog.pg_extension_config_dump('belay.client', '');
SELECT pg_catalog.pg_extension_config_dump('belay.contract_query', '');

-- ---------------------------------------------------------------------------
-- Routines that gain an argument or a column: the new one takes the name of the old, which goes at the end of
-- this script. Each is in this list.
-- ---------------------------------------------------------------------------
ALTER FUNCTION belay.project_create RENAME TO project_create_of_0_3_0;
ALTER FUNCTION belay.project_alter RENAME TO project_alter_of_0_3_0;
ALTER FUNCTION belay.migrate_history RENAME TO migrate_history_of_0_3_0;

CREATE FUNCTION belay.project_create(
    name text, ordering text DEFAULT 'strict', naming text DEFAULT NULL, allow_down boolean DEFAULT true,
    search_path text DEFAULT NULL, trusted text[] DEFAULT NULL, owner text DEFAULT NULL,
    schemas text[] DEFAULT NULL, contract text DEFAULT 'enforce', versioned text[] DEFAULT NULL, gate_source text DEFAULT 'sessions',
    client_pattern text DEFAULT NULL, unknown_clients text DEFAULT 'allow')
RETURNS belay.project LANGUAGE c AS 'MODULE_PATHNAME', 'project_create_wrapper';
COMMENT ON FUNCTION belay.project_create IS
'Makes a project: one independent migration history. It belongs to the current role unless owner says otherwise.
naming is natural, release or diesel, or found from the first registration.
schemas, contract (enforce, report, off), versioned, gate_source (sessions, checkin), client_pattern and unknown_clients (allow, refuse) are about releases: see the columns of belay.project.
Errors: 42501 owner is a role that the caller is no member of, 42710 exists already, MG008 not a name.';

CREATE FUNCTION belay.project_alter(
    name text, ordering text DEFAULT NULL, naming text DEFAULT NULL, allow_down boolean DEFAULT NULL,
    search_path text DEFAULT NULL, trusted text[] DEFAULT NULL, owner text DEFAULT NULL,
    schemas text[] DEFAULT NULL, contract text DEFAULT NULL, versioned text[] DEFAULT NULL, gate_source text DEFAULT NULL,
    client_pattern text DEFAULT NULL, unknown_clients text DEFAULT NULL)
RETURNS belay.project LANGUAGE c AS 'MODULE_PATHNAME', 'project_alter_wrapper';
COMMENT ON FUNCTION belay.project_alter IS
'Changes a project; NULL leaves a value as it is, search_path => '''' and schemas => ''{}'' take it away. For the project''s owner, who gives it only to
a role that it is a member of (42501). Each change is kept in belay.run (verb alter, arguments {"setting": [before, after]}) with role and time.
Another ordering is refused while a run is going on (55P03); strict, too, while something is pending that sorts before what is applied and was not accepted (MG001).';

-- ---------------------------------------------------------------------------
-- The schema as data
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.snapshot(schemas text[] DEFAULT NULL)
RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME', 'snapshot_wrapper';
COMMENT ON FUNCTION belay.snapshot IS
'The schema as data, as of now and with what the open transaction did: {"kind": {"name": {"attribute": value, ...}, ...}, ...}, of all schemas or only of these (and then all extensions). Kinds: schema, extension, type, domain constraint, function, sequence, table, view, column, constraint, index, trigger, rule, policy, grant, comment.
Left out: what belongs to the server, to Belay or to an extension, temporary objects, OIDs, rows, owners and what they may do by owning, the order of columns, tablespaces, storage parameters of columns, statistics objects, operators, casts, collations, text search, publications, event triggers, default privileges. A function''s body is given by its SHA-256.
Takes no right but its own, calls no user''s function and leaves no lock; waits for who holds ACCESS EXCLUSIVE on a relation whose expressions it prints. Errors: 22023 an element of schemas is NULL.';

CREATE FUNCTION belay.snapshot_hash(snapshot jsonb)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'snapshot_hash_wrapper';
COMMENT ON FUNCTION belay.snapshot_hash IS
'SHA-256 of a snapshot, in hexadecimal. Equal schemas have equal hashes whatever the OIDs, the order in which things were made and the server''s major version, but where the text of an expression names what one major treats as a keyword and another does not. Errors: 22023 not a snapshot, or NULL.';

CREATE FUNCTION belay.snapshot_diff(
    a jsonb, b jsonb, OUT change text, OUT kind text, OUT name text, OUT old jsonb, OUT new jsonb)
RETURNS SETOF record LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'snapshot_diff_wrapper';
COMMENT ON FUNCTION belay.snapshot_diff IS
'What became of the objects of snapshot a in snapshot b, a row each, by kind and name; none: the schemas are equal. change: added, changed or removed; a rename is a removal and an addition. old and new: the definition; of a changed object only the attributes that differ. Errors: 22023 not a snapshot, or NULL.';

REVOKE ALL ON FUNCTION belay.snapshot, belay.snapshot_hash, belay.snapshot_diff FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Roles: the new routines are in its lists
-- ---------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION belay.grant_role(role text, rights text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Looks, and waits until others have migrated.
    reading CONSTANT text[] := '{migrate_status, migrate_plan, migrate_check, migrate_validate, migrate_wait, migrate_history, touched_by,
                                 last_run, migrate_checksum, check_order, check_order_directories, footprints, snapshot, snapshot_hash, snapshot_diff}';
    -- Registers and runs; what the migrations do, the role must be allowed to do.
    deploying CONSTANT text[] := '{migrate_register, migrate_load, migrate_load_files, migrate_unregister, migrate_rename,
                                   migrate_up, migrate_down, migrate_to, migrate_redo, migrate_repair}';
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

-- ---------------------------------------------------------------------------
-- The history tells of the contract
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.migrate_history(
    migration text DEFAULT NULL, of_run bigint DEFAULT NULL, newest integer DEFAULT 100, project text DEFAULT 'default')
RETURNS TABLE (run bigint, step bigint, name text, direction text, outcome text, started_at timestamptz, duration interval,
               role name, application_name text, statement integer, sqlstate text, message text, detail text,
               reason text, checksum text, footprint text, contract text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(migrate_history.project);
BEGIN
    RETURN QUERY
    SELECT h.* FROM (
        (SELECT r.id AS run_id, s.id AS step_id, s.name, s.direction::text, coalesce(s.outcome::text, 'unfinished'), s.started_at,
                s.finished_at - s.started_at, r.role, r.application_name, s.statement, s.sqlstate, e.message,
                CASE WHEN r.verb IN ('mark', 'baseline') THEN format('by migrate_%s: nothing ran', r.verb)
                     WHEN s.outcome = 'accepted' THEN format('may run after "%s": nothing ran', o.name)
                     ELSE e.detail END,
                r.reason, s.checksum, belay.describe_footprint(s),
                nullif(concat_ws(E'\n', (SELECT string_agg('waived: ' || w, E'\n') FROM unnest(s.waived) w),
                                 (SELECT string_agg('reported: ' || w, E'\n') FROM unnest(s.reported) w)), '')
           FROM belay.step s
           JOIN belay.run r ON r.id = s.run_id
           LEFT JOIN belay.step_error e ON e.step_id = s.id
           LEFT JOIN belay.migration o ON o.id = s.accepted_after
          WHERE s.project_id = p.id
            AND (migrate_history.migration IS NULL OR s.name = migrate_history.migration)
            AND (migrate_history.of_run IS NULL OR s.run_id = migrate_history.of_run)
          ORDER BY s.id DESC LIMIT migrate_history.newest)
        UNION ALL
        -- Of a project that was altered there is no step.
        (SELECT r.id, NULL, NULL, NULL, 'altered', r.started_at, r.finished_at - r.started_at, r.role, r.application_name, NULL, NULL, NULL,
                (SELECT string_agg(format('%s: %s, was %s', c.key, coalesce(c.value->>1, 'none'), coalesce(c.value->>0, 'none')), '; ' ORDER BY c.key)
                   FROM jsonb_each(r.arguments) c),
                r.reason, NULL, NULL, NULL
           FROM belay.run r
          WHERE r.project_id = p.id AND r.verb = 'alter' AND migrate_history.migration IS NULL
            AND (migrate_history.of_run IS NULL OR r.id = migrate_history.of_run)
          ORDER BY r.id DESC LIMIT migrate_history.newest)
        ORDER BY run_id DESC, step_id DESC LIMIT migrate_history.newest) h
     ORDER BY h.run_id, h.step_id;
END $$;
COMMENT ON FUNCTION belay.migrate_history IS
'The newest steps (NULL: all), oldest first, of one migration or run where asked; and what was altered of the project, without a step. outcome: applied, reverted, failed, rolled back, lost, unfinished, accepted, altered. detail: of the error; or that nothing ran, and by which verb; or what was altered. footprint: what the step touched. contract: what it did that its phase may not, a line each, waived or only reported.';

-- ---------------------------------------------------------------------------
-- The new ones belong to the owner of the old before they inherit its grants. Not by GRANT: within a script that
-- counts as what the extension itself grants, and pg_dump would leave it out.
-- ---------------------------------------------------------------------------
DO $$
DECLARE
    pair record;
BEGIN
    FOR pair IN
        SELECT new.oid AS new, old.oid AS old, new.oid::pg_catalog.regprocedure AS new_name, old.oid::pg_catalog.regprocedure AS old_name,
               pg_catalog.pg_get_userbyid(old.proowner) AS owner
          FROM pg_catalog.pg_proc old
          JOIN pg_catalog.pg_proc new ON new.pronamespace = old.pronamespace
           AND old.proname = (new.proname || '_of_0_3_0')::pg_catalog.name
         WHERE old.pronamespace = 'belay'::pg_catalog.regnamespace
         ORDER BY old.proname
    LOOP
        EXECUTE pg_catalog.format('ALTER ROUTINE %s OWNER TO %I', pair.new_name, pair.owner);
        EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', pair.new_name);
        INSERT INTO pg_catalog.pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
        SELECT d.dbid, d.classid, pair.new, d.objsubid, d.refclassid, d.refobjid, d.deptype
          FROM pg_catalog.pg_shdepend d
         WHERE d.objid = pair.old AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'a'
           AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database());
        UPDATE pg_catalog.pg_proc n SET proacl = o.proacl FROM pg_catalog.pg_proc o WHERE n.oid = pair.new AND o.oid = pair.old;
        EXECUTE pg_catalog.format('DROP ROUTINE %s', pair.old_name);
    END LOOP;
END $$;

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
