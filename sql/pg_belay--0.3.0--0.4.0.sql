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
    search_path   text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    registered_by name NOT NULL,
    CONSTRAINT contract_query_pkey PRIMARY KEY (project_id, release, name)
);
COMMENT ON TABLE belay.contract_query IS 'What the code of a release sends. Private: SQL text may hold secrets.';
COMMENT ON COLUMN belay.contract_query.sql IS 'One statement, with $1, $2, ... for its parameters.';
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
ALTER PROCEDURE belay.migrate_up RENAME TO migrate_up_of_0_3_0;
ALTER PROCEDURE belay.migrate_to RENAME TO migrate_to_of_0_3_0;
ALTER PROCEDURE belay.migrate_redo RENAME TO migrate_redo_of_0_3_0;
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

CREATE PROCEDURE belay.migrate_up(
    target text DEFAULT NULL, steps integer DEFAULT NULL, phase text DEFAULT NULL, release text DEFAULT NULL,
    ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, gate text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_up_wrapper';
COMMENT ON PROCEDURE belay.migrate_up IS
'Applies what is pending, in order: all, up to target, the first n steps, one phase, or releases up to release.
transaction: per_migration (default: each commits with its ledger rows) or per_run (all or nothing); inside a transaction block everything runs in it.
A run to the latest waits for another run of the project, everything else fails with 55P03; on_contention (wait, fail) and wait (interval) override.
on_privileged: apply (default), or refuse: runs nothing (42501) if a migration to run is privileged, and lists all that are with their SQL.
gate: before a post runs, clients of older releases are looked for: check (default: MG018 while there are any), wait (until they have gone, at most wait, 5 min by default; not in a transaction block: 25001), skip (ends with a notice and without a run: for schedulers) or off (nobody looks: for the project''s owner, with a reason). Clients that connect after the look are not seen.
Errors: the migration''s own, unchanged; MG001 late, MG005 requirement, MG007 unfinished, MG018 gate, 25001, 25006, 42501, 55P03.';

CREATE PROCEDURE belay.migrate_to(
    target text, ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, gate text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_to_wrapper';
COMMENT ON PROCEDURE belay.migrate_to IS
'Applies or reverts until target is the last one applied; ''@none'' reverts everything. An empty or NULL target is an error (22023): an unset variable must not revert everything. gate: see migrate_up.';

CREATE PROCEDURE belay.migrate_redo(
    steps integer DEFAULT 1, ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, gate text DEFAULT NULL, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_redo_wrapper';
COMMENT ON PROCEDURE belay.migrate_redo IS 'Reverts the most recently applied migrations and applies the same ones again. gate: see migrate_up; it is looked at before anything is reverted.';

-- ---------------------------------------------------------------------------
-- Releases: the gate of post, check-ins and announcements
-- ---------------------------------------------------------------------------
COMMENT ON TABLE belay.run IS 'One row a call that applied, reverted, marked, baselined, repaired, accepted a late migration, altered the project or announced a release. Append-only: a finished run never changes; belay.history_prune removes old ones.';

CREATE OR REPLACE FUNCTION belay.find_contradiction() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_text text;
BEGIN
    SELECT format('migration "%s" refers to %s, which is not there', m.name,
                  CASE WHEN p.id IS NULL THEN format('project %s', m.project_id) ELSE format('definition %s with checksum %s', m.definition_id, m.checksum) END)
      INTO found_text
      FROM belay.migration m
      LEFT JOIN belay.project p ON p.id = m.project_id
      LEFT JOIN belay.definition d ON d.id = m.definition_id AND d.checksum = m.checksum
     WHERE p.id IS NULL OR d.id IS NULL ORDER BY m.id LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('belay.%s holds migration %s, which is not registered in that project and place', x.kind, x.migration_id)
      INTO found_text
      FROM (SELECT 'pending' AS kind, p.migration_id, p.project_id, p.sort_key FROM belay.pending p
            UNION ALL SELECT 'applied', a.migration_id, a.project_id, a.sort_key FROM belay.applied a) x
      LEFT JOIN belay.migration m ON m.id = x.migration_id AND m.project_id = x.project_id AND m.sort_key = x.sort_key
     WHERE m.id IS NULL LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format(CASE WHEN p.migration_id IS NULL THEN 'migration "%s" is neither applied nor pending' ELSE 'migration "%s" is applied and pending at once' END, m.name)
      INTO found_text
      FROM belay.migration m
      LEFT JOIN belay.pending p ON p.migration_id = m.id
      LEFT JOIN belay.applied a ON a.migration_id = m.id
     WHERE (p.migration_id IS NULL) = (a.migration_id IS NULL) ORDER BY m.id LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('belay.%s refers to %s %s, which is not there', x.child, x.parent, x.key) INTO found_text
      FROM (SELECT c.child, 'project' AS parent, c.project_id::bigint AS key
              FROM (SELECT 'run' AS child, r.project_id FROM belay.run r
                    UNION ALL SELECT 'announcement', a.project_id FROM belay.announcement a
                    UNION ALL SELECT 'release_base', b.project_id FROM belay.release_base b
                    UNION ALL SELECT 'client', c.project_id FROM belay.client c
                    UNION ALL SELECT 'contract_query', q.project_id FROM belay.contract_query q) c
             WHERE NOT EXISTS (SELECT FROM belay.project p WHERE p.id = c.project_id)
            UNION ALL
            SELECT 'step', 'run', s.run_id FROM belay.step s
             WHERE NOT EXISTS (SELECT FROM belay.run r WHERE r.id = s.run_id AND r.project_id = s.project_id)
            UNION ALL
            SELECT 'step_error', 'step', e.step_id FROM belay.step_error e
             WHERE NOT EXISTS (SELECT FROM belay.step s WHERE s.id = e.step_id)
            UNION ALL
            SELECT 'unfinished', 'migration', u.migration_id FROM belay.unfinished u
             WHERE NOT EXISTS (SELECT FROM belay.migration m WHERE m.id = u.migration_id AND m.project_id = u.project_id)
            UNION ALL
            SELECT 'unfinished', 'step', u.step_id FROM belay.unfinished u
             WHERE NOT EXISTS (SELECT FROM belay.step s WHERE s.id = u.step_id AND s.migration_id = u.migration_id)) x
     LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('migration "%s" is applied, and no step of that migration and project applied it', m.name) INTO found_text
      FROM belay.applied a
      JOIN belay.migration m ON m.id = a.migration_id
      LEFT JOIN belay.step s ON s.id = a.step_id AND s.migration_id = a.migration_id AND s.project_id = a.project_id
                            AND s.checksum = a.checksum AND s.direction = 'up' AND coalesce(s.outcome::text, '') NOT IN ('failed', 'accepted')
     WHERE s.id IS NULL ORDER BY a.position LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('migration "%s" was applied in %s order although "%s" stood in its way', m.name, r.ordering, o.name) INTO found_text
      FROM belay.project p
     CROSS JOIN LATERAL belay.find_disorder(p.id) d
      JOIN belay.migration m ON m.id = d.migration_id
      JOIN belay.applied a ON a.migration_id = m.id
      JOIN belay.step s ON s.id = a.step_id
      JOIN belay.run r ON r.id = s.run_id
      JOIN belay.migration o ON o.id = d.in_its_way
     LIMIT 1;
    RETURN found_text;
END $$;
COMMENT ON FUNCTION belay.find_contradiction() IS 'What in the whole ledger contradicts the rest of it, in words; NULL: nothing. Judges what came by a restore.';

CREATE OR REPLACE FUNCTION belay.judge_ledger() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contradiction text;
    weakened record;
BEGIN
    -- Nothing has been restored into a ledger that is empty.
    IF NOT EXISTS (SELECT FROM belay.project) AND NOT EXISTS (SELECT FROM belay.migration) AND NOT EXISTS (SELECT FROM belay.run)
       AND NOT EXISTS (SELECT FROM belay.step) AND NOT EXISTS (SELECT FROM belay.applied) AND NOT EXISTS (SELECT FROM belay.pending)
       AND NOT EXISTS (SELECT FROM belay.step_error) AND NOT EXISTS (SELECT FROM belay.unfinished)
       AND NOT EXISTS (SELECT FROM belay.announcement) AND NOT EXISTS (SELECT FROM belay.release_base)
       AND NOT EXISTS (SELECT FROM belay.client) AND NOT EXISTS (SELECT FROM belay.contract_query) THEN
        RETURN NULL;
    END IF;
    contradiction := belay.find_contradiction();
    IF contradiction IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'MG015',
            MESSAGE = format('the ledger that was restored here contradicts itself: %s', contradiction),
            HINT = 'if the restore is still going on, let it end first; else restore all tables of schema belay from one dump';
    END IF;
    -- pg_restore --disable-triggers ends with ENABLE TRIGGER ALL, which takes ALWAYS away.
    FOR weakened IN
        SELECT t.tgname, t.tgrelid::regclass AS relation
          FROM pg_trigger t
          JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid AND d.deptype = 'e'
          JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_belay'
         WHERE NOT t.tgisinternal AND t.tgenabled <> 'A'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', weakened.relation, weakened.tgname);
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION belay.judge_ledger() IS 'Trigger of belay.seal: refuses (MG015) to seal a ledger that contradicts itself, and enables its triggers for every session again.';

CREATE OR REPLACE FUNCTION belay.judge_references() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    absent text;
BEGIN
    IF NOT EXISTS (SELECT FROM belay.seal) THEN
        RETURN NULL;
    END IF;
    CASE TG_TABLE_NAME
    WHEN 'migration' THEN
        SELECT CASE WHEN p.id IS NULL THEN format('project %s', i.project_id)
                    ELSE format('definition %s with checksum %s', i.definition_id, i.checksum) END INTO absent
          FROM inserted i
          LEFT JOIN belay.project p ON p.id = i.project_id
          LEFT JOIN belay.definition d ON d.id = i.definition_id AND d.checksum = i.checksum
         WHERE p.id IS NULL OR d.id IS NULL LIMIT 1;
    WHEN 'run', 'announcement', 'release_base', 'client', 'contract_query' THEN
        SELECT format('project %s', i.project_id) INTO absent FROM inserted i
         WHERE NOT EXISTS (SELECT FROM belay.project p WHERE p.id = i.project_id) LIMIT 1;
    WHEN 'step' THEN
        SELECT format('run %s in project %s', i.run_id, i.project_id) INTO absent FROM inserted i
         WHERE NOT EXISTS (SELECT FROM belay.run r WHERE r.id = i.run_id AND r.project_id = i.project_id) LIMIT 1;
    WHEN 'step_error' THEN
        SELECT format('step %s', i.step_id) INTO absent FROM inserted i
         WHERE NOT EXISTS (SELECT FROM belay.step s WHERE s.id = i.step_id) LIMIT 1;
    WHEN 'unfinished' THEN
        SELECT format('migration %s with step %s', i.migration_id, i.step_id) INTO absent FROM inserted i
         WHERE NOT EXISTS (SELECT FROM belay.migration m WHERE m.id = i.migration_id AND m.project_id = i.project_id)
            OR NOT EXISTS (SELECT FROM belay.step s WHERE s.id = i.step_id AND s.migration_id = i.migration_id) LIMIT 1;
    END CASE;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'MG015', MESSAGE = format('a row of belay.%s refers to %s, which is not there', TG_TABLE_NAME, absent),
            HINT = 'Belay writes its tables itself; SELECT * FROM belay.migrate_history() reads them';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION belay.judge_references() IS 'Trigger of the ledger''s tables: refuses (MG015) rows that refer to what is not there.';

CREATE OR REPLACE FUNCTION belay.judge_registry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused text;
BEGIN
    refused := CASE TG_TABLE_NAME
        WHEN 'definition' THEN
            (SELECT format('definition %s is registered, or has run and is part of the history', OLD.id)
              WHERE EXISTS (SELECT FROM belay.step s WHERE s.definition_id = OLD.id)
                 OR EXISTS (SELECT FROM belay.migration m WHERE m.definition_id = OLD.id))
        WHEN 'project' THEN
            (SELECT format('project %s has migrations, a history or clients', OLD.id)
              WHERE EXISTS (SELECT FROM belay.migration m WHERE m.project_id = OLD.id)
                 OR EXISTS (SELECT FROM belay.run r WHERE r.project_id = OLD.id)
                 OR EXISTS (SELECT FROM belay.announcement a WHERE a.project_id = OLD.id)
                 OR EXISTS (SELECT FROM belay.release_base b WHERE b.project_id = OLD.id)
                 OR EXISTS (SELECT FROM belay.client c WHERE c.project_id = OLD.id)
                 OR EXISTS (SELECT FROM belay.contract_query q WHERE q.project_id = OLD.id))
        ELSE
            (SELECT format('migration %s is applied or under way: it stays registered and its definition is immutable', OLD.id)
              WHERE EXISTS (SELECT FROM belay.applied a WHERE a.migration_id = OLD.id)
                 OR TG_OP = 'DELETE' AND EXISTS (SELECT FROM belay.unfinished u WHERE u.migration_id = OLD.id))
        END;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'MG015', MESSAGE = refused,
            HINT = 'CALL belay.migrate_down() reverts; SELECT * FROM belay.migrate_history() reads the history';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
COMMENT ON FUNCTION belay.judge_registry() IS 'Trigger of belay.project, belay.migration and belay.definition: keeps what has run and what is applied (MG015).';

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
        UNION ALL
        (SELECT r.id, NULL, NULL, NULL, 'announced', r.started_at, r.finished_at - r.started_at, r.role, r.application_name, NULL, NULL, NULL,
                format('release %s, was %s', r.arguments->'release'->>1, coalesce(r.arguments->'release'->>0, 'none')),
                r.reason, NULL, NULL, NULL
           FROM belay.run r
          WHERE r.project_id = p.id AND r.verb = 'announce' AND migrate_history.migration IS NULL
            AND (migrate_history.of_run IS NULL OR r.id = migrate_history.of_run)
          ORDER BY r.id DESC LIMIT migrate_history.newest)
        ORDER BY run_id DESC, step_id DESC LIMIT migrate_history.newest) h
     ORDER BY h.run_id, h.step_id;
END $$;
COMMENT ON FUNCTION belay.migrate_history IS
'The newest steps (NULL: all), oldest first, of one migration or run where asked; and what was altered of the project and which releases were announced, without a step. outcome: applied, reverted, failed, rolled back, lost, unfinished, accepted, altered, announced. detail: of the error; or that nothing ran, and by which verb; or what was altered or announced. footprint: what the step touched. contract: what it did that its phase may not, a line each, waived or only reported.';

CREATE TRIGGER announcement_inserted AFTER INSERT ON belay.announcement
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER release_base_inserted AFTER INSERT ON belay.release_base
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER client_inserted AFTER INSERT ON belay.client
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER contract_query_inserted AFTER INSERT ON belay.contract_query
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER announcement_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON belay.announcement FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('history is append-only', 'SELECT belay.release_announce(release) adds to it');
ALTER TABLE belay.announcement ENABLE ALWAYS TRIGGER announcement_inserted;
ALTER TABLE belay.release_base ENABLE ALWAYS TRIGGER release_base_inserted;
ALTER TABLE belay.client ENABLE ALWAYS TRIGGER client_inserted;
ALTER TABLE belay.contract_query ENABLE ALWAYS TRIGGER contract_query_inserted;
ALTER TABLE belay.announcement ENABLE ALWAYS TRIGGER announcement_frozen;

CREATE FUNCTION belay.release_announce(release text, project text DEFAULT 'default')
RETURNS belay.announcement LANGUAGE c AS 'MODULE_PATHNAME', 'release_announce_wrapper';
COMMENT ON FUNCTION belay.release_announce IS
'Says that this release of the project''s code is deployed now; kept with role and time, also in migrate_history. Announcing an older one again is a way back.
A WARNING says where its pre is pending. Errors: MG018 the post of a later release is applied, 22023 NULL, not a release, or a project without releases; MG011 unknown project, MG012 within a migration.';

CREATE FUNCTION belay.announced_release(project text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(announced_release.project);
BEGIN
    RETURN (SELECT a.release FROM belay.announcement a WHERE a.project_id = p.id ORDER BY a.id DESC LIMIT 1);
END $$;
COMMENT ON FUNCTION belay.announced_release IS 'The release that belay.release_announce was told last; NULL: none. Errors: MG011 unknown project, 22023 NULL.';

CREATE FUNCTION belay.client_checkin(release text, instance text, expires interval DEFAULT '5 min', project text DEFAULT 'default')
RETURNS timestamptz LANGUAGE c AS 'MODULE_PATHNAME', 'client_checkin_wrapper';
COMMENT ON FUNCTION belay.client_checkin IS
'An instance of the project''s code says which release it runs, for so long (more than nothing, at most a day), and says it again before that is over. Until then it keeps the post of later releases from running. Returns when it expires.
instance: a name of its own, such as the host''s. Commit at once: the gate sees what is committed. Errors: MG018 the post of a later release is applied, so that this code may not run any more; 42501 the name is another role''s; 22023 NULL, empty, not a release, expires out of range, or a project without releases; MG011 unknown project; 25006.';

CREATE FUNCTION belay.client_checkout(instance text, project text DEFAULT 'default')
RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'client_checkout_wrapper';
COMMENT ON FUNCTION belay.client_checkout IS
'The instance has ended: its check-in does not count any more. Returns whether there was one. Errors: 42501 it is another role''s, and the caller does not own the project; 22023 NULL; MG011 unknown project; 25006.';

CREATE FUNCTION belay.clients(
    project text DEFAULT 'default',
    OUT source text, OUT pid integer, OUT address text, OUT role text, OUT application_name text, OUT release text, OUT instance text,
    OUT since timestamptz, OUT expires_at timestamptz, OUT verdict text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'clients_wrapper';
COMMENT ON FUNCTION belay.clients IS
'What the gate of post sees, one row a client: sessions of this database but the caller''s own (unless only check-ins count), and check-ins that have not expired.
source: session or checkin. address: NULL for a socket of the server''s machine. since: connected, or last checked in. verdict: passes, holds post of a release, no release: passes (or holds, by unknown_clients), another project.
Not seen: idle clients behind a pooler, and clients of standbys. Errors: MG011 unknown project, 22023 NULL.';

CREATE FUNCTION belay.release_status(project text DEFAULT 'default')
RETURNS TABLE (release text, pre_applied integer, pre_pending integer, post_applied integer, post_pending integer, state text,
               may_deploy boolean, announced_at timestamptz, clients integer, next_command text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(release_status.project);
    more text := CASE WHEN release_status.project = 'default' THEN '' ELSE format(', project => %L', release_status.project) END;
    -- The place of the release that was announced last: where it has no migrations, that of the last one before it is not known.
    announced bytea;
BEGIN
    SELECT m.sort_key INTO announced FROM belay.migration m
     WHERE m.project_id = p.id AND m.release = belay.announced_release(release_status.project)
     ORDER BY m.sort_key DESC LIMIT 1;
    RETURN QUERY
    WITH one AS (
        SELECT m.release, (array_agg(m.sort_key ORDER BY m.sort_key))[1] AS first,
               (count(*) FILTER (WHERE m.phase = 'pre' AND a.position IS NOT NULL))::integer AS pre_applied,
               (count(*) FILTER (WHERE m.phase = 'pre' AND a.position IS NULL))::integer AS pre_pending,
               (count(*) FILTER (WHERE m.phase = 'post' AND a.position IS NOT NULL))::integer AS post_applied,
               (count(*) FILTER (WHERE m.phase = 'post' AND a.position IS NULL))::integer AS post_pending
          FROM belay.migration m
          LEFT JOIN belay.applied a ON a.migration_id = m.id
         WHERE m.project_id = p.id AND m.release IS NOT NULL
         GROUP BY m.release
    ), placed AS (
        SELECT o.*,
               sum(o.pre_pending) OVER up_to_it = 0 AND coalesce(sum(o.post_applied) OVER after_it, 0) = 0 AS may_deploy,
               coalesce(sum(o.pre_pending + o.post_pending) OVER before_it, 0) > 0 AS has_to_wait
          FROM one o
        WINDOW up_to_it AS (ORDER BY o.first), after_it AS (ORDER BY o.first ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING),
               before_it AS (ORDER BY o.first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), judged AS (
        SELECT o.*,
               CASE WHEN o.pre_pending > 0 THEN CASE WHEN o.pre_applied + o.post_applied = 0 THEN 'pending' ELSE 'pre pending' END
                    WHEN o.post_pending = 0 THEN 'complete'
                    WHEN o.post_applied > 0 OR o.first <= announced THEN 'post pending'
                    ELSE 'pre done' END AS state
          FROM placed o
    )
    SELECT j.release, j.pre_applied, j.pre_pending, j.post_applied, j.post_pending, j.state, j.may_deploy,
           (SELECT max(n.announced_at) FROM belay.announcement n WHERE n.project_id = p.id AND n.release = j.release),
           (SELECT count(*)::integer FROM belay.clients(release_status.project) c WHERE c.release = j.release),
           CASE WHEN j.has_to_wait AND p.ordering = 'strict' THEN NULL
                WHEN j.state IN ('pending', 'pre pending') THEN format('CALL belay.migrate_up(phase => ''pre'', release => %L%s)', j.release, more)
                WHEN j.state = 'pre done' THEN format('SELECT belay.release_announce(%L%s)', j.release, more)
                WHEN j.state = 'post pending' THEN format('CALL belay.migrate_up(phase => ''post'', release => %L%s)', j.release, more)
           END
      FROM judged j
     ORDER BY j.first;
END $$;
COMMENT ON FUNCTION belay.release_status IS
'One row a release that has migrations, in order. state: pending (nothing is applied), pre pending (a part of its pre is), pre done (its code may be deployed; its post comes after that), post pending (it is announced, or a part of its post is applied), complete.
may_deploy: whether its code may be deployed now: its pre and those before it are applied, and no post of a later release is. announced_at: last, by belay.release_announce. clients: how many show this release, see belay.clients.
next_command: what comes next for it, once it is deployed; NULL: nothing, or in strict order a release before it has something pending. Works on a standby. Errors: MG011 unknown project, 22023 NULL.';

REVOKE ALL ON FUNCTION belay.release_announce,
    belay.announced_release,
    belay.client_checkin,
    belay.client_checkout,
    belay.clients,
    belay.release_status FROM PUBLIC;

COMMENT ON FUNCTION belay.migrate_plan IS
'What migrate_up (verb up), migrate_down (down), migrate_to (to) or migrate_redo (redo) would do with these arguments, one row a step. Never raises for policy: blocked_by, sqlstate and hint say why not; also where the gate of a post is shut now (MG018). Errors: MG011 unknown project or target, 22023.';

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
-- What the code of releases sends
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.contract_query(release text, name text, sql text, project text DEFAULT 'default')
RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'contract_query_wrapper';
COMMENT ON FUNCTION belay.contract_query(text, text, text, text) IS
'Registers what the code of a release sends: one SELECT, INSERT, UPDATE, DELETE, MERGE or CALL, with $1, $2, ... for its parameters. It is looked up along the search_path of now. Returns added, replaced or unchanged.
Around a pre of a release the queries of the release before it have to keep passing the server''s parse analysis, after its last pre its own, too, and around its post its own (MG019); see the project''s contract. They are never planned or executed. A parameter''s type comes from its place; write $1::integer where overloaded functions need it.
Another text replaces the one of that name until the release is announced (MG003), and only for whoever registered it and the project''s owner (42501). Errors: MG008 name, MG010 not such a statement, 22023 NULL, no release, or a project without releases, 42601 syntax.';

CREATE FUNCTION belay.contract_queries(
    release text, queries jsonb, only_passing boolean DEFAULT false, project text DEFAULT 'default',
    OUT name text, OUT action text, OUT reason text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'contract_queries_wrapper';
COMMENT ON FUNCTION belay.contract_queries(text, jsonb, boolean, text) IS
'Registers many queries of a release, given as {"name": "sql", ...}; see contract_query. One row each: added, replaced, unchanged, or with only_passing left out, with the reason: what is no query, or does not pass now. Queries that it does not hold stay. Errors: those of contract_query.';

-- What the caller may see of pg_stat_statements, whichever schema that is in.
CREATE FUNCTION belay.seen_statements() RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place name;
    hidden bigint;
    found_statements jsonb;
BEGIN
    SELECT n.nspname INTO place
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements';
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'pg_stat_statements is not installed in this database',
            HINT = 'CREATE EXTENSION pg_stat_statements; the library has to be in shared_preload_libraries, too';
    END IF;
    -- Statements of Belay's own, and those that functions sent, are nothing that a client sends.
    EXECUTE format('SELECT count(*) FILTER (WHERE s.queryid IS NULL),
                           jsonb_object_agg(''statement '' || s.queryid, s.query)
                               FILTER (WHERE s.queryid IS NOT NULL AND s.query !~* ''\mbelay\s*\.'')
                      FROM %I.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
                     WHERE d.datname = current_database() AND s.toplevel', place)
       INTO hidden, found_statements;
    IF hidden > 0 THEN
        RAISE NOTICE USING MESSAGE = format('%s statements of other roles are not shown to %I', hidden, current_user),
            HINT = format('GRANT pg_read_all_stats TO %I', current_user);
    END IF;
    RETURN coalesce(found_statements, '{}');
END $$;
COMMENT ON FUNCTION belay.seen_statements IS
'What contract_from_statements takes: the statements of this database that pg_stat_statements shows the caller, by queryid: {"statement 123": "SELECT ... $1", ...}. Not those of Belay or those inside functions. Errors: 55000 not installed, or not loaded.';

CREATE FUNCTION belay.contract_from_statements(
    release text, project text DEFAULT 'default', OUT name text, OUT action text, OUT reason text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'contract_from_statements_wrapper';
COMMENT ON FUNCTION belay.contract_from_statements(text, text) IS
'Registers as contract queries of a release what pg_stat_statements has seen in this database. Call it while that release''s code runs, along its search_path. One row a statement: added, replaced, unchanged or left out, with the reason: utility statements, and what does not pass now (the texts are not always SQL: interval $1). Sees what the caller may see there: GRANT pg_read_all_stats.
Errors: 55000 pg_stat_statements is not installed or not loaded, and those of contract_query.';

CREATE FUNCTION belay.contract_query_drop(release text, name text, project text DEFAULT 'default')
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'contract_query_drop_wrapper';
COMMENT ON FUNCTION belay.contract_query_drop IS
'Drops a contract query of a release; name => ''@all'' drops all of that release. Returns how many. For whoever registered it and the project''s owner (42501). Errors: MG011 not registered, 22023 NULL or no release.';

CREATE FUNCTION belay.contract_check(
    release text DEFAULT NULL, project text DEFAULT 'default',
    OUT release text, OUT name text, OUT passes boolean, OUT sqlstate text, OUT message text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'contract_check_wrapper';
COMMENT ON FUNCTION belay.contract_check(text, text) IS
'Whether the contract queries of a release, or of all (NULL), pass the server''s parse analysis and rewriting now, as the caller; with the server''s own error where they do not. Nothing is planned or executed. Errors: MG011 unknown project, 22023 no release.';

-- Internal: the functions and types that the contract queries use.
CREATE FUNCTION belay.contract_uses(project text)
RETURNS TABLE (release text, name text, live boolean, classid oid, objid oid)
LANGUAGE c AS 'MODULE_PATHNAME', 'contract_uses_wrapper';
COMMENT ON FUNCTION belay.contract_uses IS 'The functions and types that a project''s contract queries use; live: no post of a later release has run. Queries that do not pass have no row.';

-- ---------------------------------------------------------------------------
-- Names that carry a version
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.versioned_name(base text, n integer)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'versioned_name_wrapper';
COMMENT ON FUNCTION belay.versioned_name IS
'The name of a version: versioned_name(''fetch_job'', 2) is fetch_job_v2. At most 63 bytes: the base is cut, never the version. Not quoted. Errors: 22023 NULL, n below 1, an empty base, or one that carries a version already.';

CREATE FUNCTION belay.object_versions(project text DEFAULT 'default')
RETURNS TABLE (base text, kind text, schema text, version integer, object text, release text, calls bigint,
               needed_by text[], used_by text[], may_drop boolean, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(object_versions.project);
    counted CONSTANT boolean := current_setting('track_functions') <> 'none';
BEGIN
    RETURN QUERY
    WITH candidate AS (
        SELECT 'pg_proc'::regclass::oid AS classid, f.oid, 'function' AS kind, f.proname::text AS name, f.pronamespace AS namespace, 0::oid AS parent
          FROM pg_proc f
        UNION ALL
        SELECT 'pg_trigger'::regclass, t.oid, 'trigger', t.tgname, c.relnamespace, c.oid
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0
        UNION ALL
        -- A table's row type is the table.
        SELECT 'pg_type'::regclass, y.oid, 'type', y.typname, y.typnamespace, 0
          FROM pg_type y LEFT JOIN pg_class c ON c.oid = y.typrelid
         WHERE y.typtype IN ('e', 'd', 'r') OR y.typtype = 'c' AND c.relkind = 'c'
    ), versioned AS (
        SELECT c.classid, c.oid, c.kind, n.nspname::text AS schema, m.part[1] AS base, m.part[2]::integer AS version,
               m.part[2]::integer = max(m.part[2]::integer) OVER (PARTITION BY c.kind, c.namespace, c.parent, m.part[1]) AS newest,
               (pg_identify_object(c.classid, c.oid, 0)).identity AS identity
          FROM candidate c
          JOIN pg_namespace n ON n.oid = c.namespace
         CROSS JOIN LATERAL regexp_match(c.name, '^(.+)_v([1-9][0-9]{0,8})$') AS m (part)
         WHERE m.part IS NOT NULL
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'belay') AND n.nspname !~ '^pg_(toast|temp|toast_temp)'
           AND (p.schemas IS NULL OR n.nspname = ANY (p.schemas))
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = c.classid AND d.objid = c.oid AND d.deptype = 'e')
    ), uses AS MATERIALIZED (
        SELECT u.classid, u.objid, array_agg(DISTINCT u.release) AS releases, array_agg(DISTINCT u.release) FILTER (WHERE u.live) AS live
          FROM belay.contract_uses(object_versions.project) u GROUP BY u.classid, u.objid
    )
    SELECT v.base, v.kind, v.schema, v.version, v.identity,
           (SELECT m.release FROM belay.applied a JOIN belay.step s ON s.id = a.step_id JOIN belay.migration m ON m.id = a.migration_id
             WHERE a.project_id = p.id AND v.kind || ' ' || v.identity = ANY (s.defines) ORDER BY a.position LIMIT 1),
           CASE WHEN counted AND v.kind = 'function' THEN coalesce(pg_stat_get_function_calls(v.oid), 0) END,
           needs.list, coalesce(u.releases, '{}'),
           NOT v.newest AND u.live IS NULL AND needs.list = '{}',
           concat_ws('; ',
               'used by contract queries of ' || array_to_string(u.live, ', '),
               'needed by ' || nullif(array_to_string(needs.list, ', '), ''),
               CASE WHEN v.newest THEN 'the newest version' END,
               CASE WHEN NOT v.newest AND u.live IS NULL AND needs.list = '{}' THEN
                   CASE WHEN EXISTS (SELECT FROM uses) THEN 'no contract query of a live release uses it' ELSE 'no contract query is registered that uses any' END END,
               CASE WHEN NOT counted AND v.kind = 'function' THEN 'calls are not counted: track_functions is none' END)
      FROM versioned v
      LEFT JOIN uses u ON u.classid = v.classid AND u.objid = v.oid
     CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)), '{}') AS list
          FROM pg_depend d
         WHERE d.refclassid = v.classid AND d.refobjid = v.oid AND d.deptype IN ('n', 'a')) needs
     ORDER BY v.kind, v.schema, v.base, v.version, v.identity;
END $$;
COMMENT ON FUNCTION belay.object_versions IS
'Functions, triggers and types whose names carry a version (fetch_job_v2), one row each, in the schemas of the project: base name, version, identity; release: whose migration made it, by its footprint, NULL unknown; calls: of a function since its statistics began, NULL when track_functions is none (reason says so);
needed_by: objects that depend on it (bodies of functions are not looked into); used_by: releases whose contract queries use it; may_drop: no object needs it, no contract query of a live release uses it (live: no post of a later release has run), and it is not the newest; reason: why. Errors: MG011 unknown project, 22023 NULL.';

REVOKE ALL ON FUNCTION belay.contract_query, belay.contract_queries, belay.seen_statements, belay.contract_from_statements, belay.contract_query_drop, belay.contract_check, belay.contract_uses, belay.versioned_name, belay.object_versions FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Roles: the new routines are in its lists
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
                                   release_announce, client_checkin, client_checkout}';
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
'Grants a role, for all projects of this database, what it takes to be client (an application: checks in and out, asks which release is announced, waits for migrations), reader (looks, SQL texts and error messages included), deployer (looks, registers, loads, runs, repairs and announces releases; no SQL texts) or owner (both, and makes and alters projects, marks, baselines, accepts late migrations, and prunes the history). Grants add up and nothing is taken away. Call it again after an update of the extension.
For the owner of the extension and superusers. Errors: 22023 unknown rights or NULL, 42501 may not grant, 42704 unknown role.';

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
