-- Belay 0.6.0: tables, constraints, triggers, functions, grants and comments.
--
-- The schema is made here, without IF NOT EXISTS: a schema that somebody else
-- owns must not be adopted, since its owner could drop it with the ledger in it.
\echo Use "CREATE EXTENSION pg_belay" to load this file. \quit

DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = pg_catalog.format('pg_belay needs a database in UTF8, this one is in %s', pg_catalog.current_setting('server_encoding')),
            HINT = 'CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0, and move the data there by pg_dump';
    END IF;
END $$;

CREATE SCHEMA belay;
GRANT USAGE ON SCHEMA belay TO PUBLIC;
COMMENT ON SCHEMA belay IS 'Schema migrations kept, ordered and run by the database itself (extension pg_belay).';

-- ---------------------------------------------------------------------------
-- The clock of the ledger. Registrations and applications draw from one
-- sequence, so that "was this pending when that was applied?" can be answered
-- from the rows alone, in whatever order a restore loads them.
-- ---------------------------------------------------------------------------
CREATE SEQUENCE belay.ledger_clock AS bigint;
COMMENT ON SEQUENCE belay.ledger_clock IS 'Logical clock of the ledger: orders registrations, applications and reverts. Not wall-clock time.';

-- ---------------------------------------------------------------------------
-- Registry: what exists
-- ---------------------------------------------------------------------------
CREATE TABLE belay.project (
    id              integer GENERATED ALWAYS AS IDENTITY,
    name            text COLLATE "C" NOT NULL,
    ordering        text NOT NULL DEFAULT 'strict',
    naming          text,
    naming_declared boolean NOT NULL DEFAULT false,
    allow_down      boolean NOT NULL DEFAULT true,
    search_path     text,
    owner           name NOT NULL,
    trusted         name[] NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    created_by      name NOT NULL DEFAULT current_user,
    schemas         text[],
    contract        text NOT NULL DEFAULT 'enforce',
    versioned       text[] NOT NULL DEFAULT '{}',
    gate_source     text NOT NULL DEFAULT 'sessions',
    client_pattern  text NOT NULL DEFAULT '{project}/{release}',
    unknown_clients text NOT NULL DEFAULT 'allow',
    CONSTRAINT project_pkey PRIMARY KEY (id),
    CONSTRAINT project_name_key UNIQUE (name),
    CONSTRAINT project_name_check CHECK (name <> '' AND pg_catalog.length(name) <= 63),
    CONSTRAINT project_ordering_check CHECK (ordering IN ('strict', 'disjoint', 'permissive')),
    CONSTRAINT project_naming_check CHECK (naming IN ('natural', 'release', 'diesel')),
    CONSTRAINT project_contract_check CHECK (contract IN ('enforce', 'report', 'off')),
    CONSTRAINT project_versioned_check CHECK (versioned <@ '{function,trigger,type}' AND pg_catalog.array_position(versioned, NULL) IS NULL),
    CONSTRAINT project_gate_source_check CHECK (gate_source IN ('sessions', 'checkin')),
    CONSTRAINT project_client_pattern_check CHECK (client_pattern LIKE '%{release}%'),
    CONSTRAINT project_unknown_clients_check CHECK (unknown_clients IN ('allow', 'refuse'))
);
COMMENT ON TABLE belay.project IS 'Independent migration histories in this database, one row each.';
COMMENT ON COLUMN belay.project.id IS 'Second key of the advisory lock that guards the project''s runs.';
COMMENT ON COLUMN belay.project.ordering IS 'strict: what is applied is a prefix of the registry''s order; disjoint: a late arrival is kept if it touches nothing that those after it touch; permissive: late arrivals run.';
COMMENT ON COLUMN belay.project.naming IS 'How names sort: natural, release or diesel. NULL until declared, or found from the first registration or load.';
COMMENT ON COLUMN belay.project.naming_declared IS 'True when naming was declared: then a natural project takes names that look like releases, too.';
COMMENT ON COLUMN belay.project.allow_down IS 'False protects a production project: nothing is ever reverted.';
COMMENT ON COLUMN belay.project.search_path IS 'search_path for the project''s migrations; NULL: the caller''s.';
COMMENT ON COLUMN belay.project.owner IS 'Role whose members may alter the project and loosen its rules for one run.';
COMMENT ON COLUMN belay.project.trusted IS
'Roles whose registered migrations anybody in this project may run with their own rights; for superusers only where one owns it.';

COMMENT ON COLUMN belay.project.schemas IS 'Schemas that the contract and belay.snapshot look at; NULL: all but the server''s and Belay''s own.';
COMMENT ON COLUMN belay.project.contract IS 'What pre and post may do: enforce (refuse where a phase is asked for, else report), report (warn), off.';
COMMENT ON COLUMN belay.project.versioned IS 'Kinds of objects that carry a version, as in fetch_job_v2, and are never replaced in place: function, trigger, type.';
COMMENT ON COLUMN belay.project.gate_source IS 'How the gate of post knows clients: sessions (application_name and check-ins) or checkin (check-ins only, and none at all refuses).';
COMMENT ON COLUMN belay.project.client_pattern IS 'The application_name of the project''s clients; {project} and {release} stand for the names.';
COMMENT ON COLUMN belay.project.unknown_clients IS 'Whether clients that show no release let a post run: allow or refuse.';

CREATE TABLE belay.definition (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    checksum      text NOT NULL,
    up            text NOT NULL,
    down          text,
    up_file       text,
    up_line       integer NOT NULL DEFAULT 1,
    down_file     text,
    down_line     integer NOT NULL DEFAULT 1,
    CONSTRAINT definition_pkey PRIMARY KEY (id),
    CONSTRAINT definition_checksum_check CHECK (checksum ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE belay.definition IS 'The SQL of migrations, as registered; immutable. Private: SQL text may hold secrets.';
COMMENT ON COLUMN belay.definition.checksum IS 'SHA-256 over the tokens of up and down, in hexadecimal: white space, comments and line ends do not count.';
COMMENT ON COLUMN belay.definition.up_line IS 'Line of the file at which the text of up begins, from 1.';

CREATE TABLE belay.migration (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    project_id      integer NOT NULL,
    name            text COLLATE "C" NOT NULL,
    sort_key        bytea NOT NULL,
    release         text,
    phase           text,
    checksum        text NOT NULL,
    definition_id   bigint NOT NULL,
    reversible      boolean NOT NULL,
    up_transaction  boolean NOT NULL DEFAULT true,
    down_transaction boolean NOT NULL DEFAULT true,
    requires        text[] NOT NULL DEFAULT '{}',
    pairs_with      text,
    indivisible     boolean NOT NULL DEFAULT false,
    up_lock_timeout   integer,
    down_lock_timeout integer,
    loaded          boolean NOT NULL DEFAULT false,
    missing         boolean NOT NULL DEFAULT false,
    registered_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    registered_by   name NOT NULL,
    up_lock_retries   integer,
    down_lock_retries integer,
    privileged      boolean NOT NULL DEFAULT false,
    up_privileged   boolean,
    down_privileged boolean,
    privileged_said boolean NOT NULL DEFAULT false,
    waivers         text[] NOT NULL DEFAULT '{}',
    CONSTRAINT migration_pkey PRIMARY KEY (id),
    CONSTRAINT migration_name_key UNIQUE (project_id, name),
    CONSTRAINT migration_sort_key_key UNIQUE (project_id, sort_key),
    CONSTRAINT migration_name_check CHECK (name <> '' AND pg_catalog.length(name) <= 500),
    CONSTRAINT migration_phase_check CHECK (phase IN ('pre', 'post')),
    CONSTRAINT migration_release_check CHECK ((release IS NULL) = (phase IS NULL)),
    CONSTRAINT migration_lock_timeout_check CHECK (up_lock_timeout >= 0 AND down_lock_timeout >= 0),
    CONSTRAINT migration_lock_retries_check CHECK (up_lock_retries >= 0 AND down_lock_retries >= 0),
    CONSTRAINT migration_privileged_check CHECK (privileged = coalesce(up_privileged OR down_privileged, false))
);
CREATE INDEX migration_definition ON belay.migration (definition_id);
COMMENT ON TABLE belay.migration IS 'Registered migrations. Their SQL text is in belay.definition.';
COMMENT ON COLUMN belay.migration.sort_key IS 'The name as bytes whose order is the order of the project''s naming.';
COMMENT ON COLUMN belay.migration.release IS 'Semantic version the migration belongs to, when names have the release form.';
COMMENT ON COLUMN belay.migration.phase IS 'pre: runs before that release is deployed; post: after the old code has gone.';
COMMENT ON COLUMN belay.migration.checksum IS 'SHA-256 over the tokens of up and down, in hexadecimal.';
COMMENT ON COLUMN belay.migration.reversible IS 'True when a down is registered.';
COMMENT ON COLUMN belay.migration.up_transaction IS 'False: up runs statement by statement, each committed with its progress.';
COMMENT ON COLUMN belay.migration.down_transaction IS 'False: down runs statement by statement, each committed with its progress.';
COMMENT ON COLUMN belay.migration.up_lock_timeout IS 'Directive lock-timeout of up, in milliseconds; NULL: belay.lock_timeout.';
COMMENT ON COLUMN belay.migration.down_lock_timeout IS 'Directive lock-timeout of down, in milliseconds; NULL: belay.lock_timeout.';
COMMENT ON COLUMN belay.migration.up_lock_retries IS 'Directive lock-retries of up, attempts after the first; NULL: belay.lock_retries.';
COMMENT ON COLUMN belay.migration.down_lock_retries IS 'Directive lock-retries of down, attempts after the first; NULL: belay.lock_retries.';
COMMENT ON COLUMN belay.migration.loaded IS 'True when it came by a load; only such migrations are pruned.';
COMMENT ON COLUMN belay.migration.missing IS 'True when the last load did not hold it: another instance is ahead, or its file has gone.';
COMMENT ON COLUMN belay.migration.registered_by IS 'Role that registered the definition now in force.';
COMMENT ON COLUMN belay.migration.privileged IS 'True when up or down takes rights that a deploying role may lack. False for what 0.1.0 registered: on_privileged => ''refuse'' looks at such a text when it is to run.';
COMMENT ON COLUMN belay.migration.up_privileged IS 'Whether up does, by its statements or its directive; NULL: 0.1.0 registered it and did not look.';
COMMENT ON COLUMN belay.migration.down_privileged IS 'Whether down does, by its statements or its directive; NULL: 0.1.0 registered it and did not look.';
COMMENT ON COLUMN belay.migration.privileged_said IS 'True when a directive of up or down says whether it is privileged.';

COMMENT ON COLUMN belay.migration.waivers IS 'Rules of the contract that its up is let off, each with the reason: RULE REASON.';

CREATE TABLE belay.pending (
    migration_id bigint NOT NULL,
    project_id   integer NOT NULL,
    sort_key     bytea NOT NULL,
    since        bigint NOT NULL DEFAULT pg_catalog.nextval('belay.ledger_clock'),
    CONSTRAINT pending_pkey PRIMARY KEY (migration_id),
    CONSTRAINT pending_sort_key_key UNIQUE (project_id, sort_key)
);
COMMENT ON TABLE belay.pending IS 'The registered migrations that are not in force; with belay.applied it parts the registry in two, so that neither is searched for the other.';
COMMENT ON COLUMN belay.pending.since IS 'Ledger clock at registration or last revert.';

-- ---------------------------------------------------------------------------
-- Ledger: what happened
-- ---------------------------------------------------------------------------
CREATE TABLE belay.run (
    id               bigint GENERATED ALWAYS AS IDENTITY,
    project_id       integer NOT NULL,
    verb             text NOT NULL,
    ordering         text NOT NULL,
    transaction      text NOT NULL,
    arguments        jsonb NOT NULL DEFAULT '{}',
    reason           text,
    role             name NOT NULL,
    session_role     name NOT NULL,
    application_name text NOT NULL,
    pid              integer NOT NULL,
    backend_start    timestamptz NOT NULL,
    library_version  text NOT NULL,
    started_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at      timestamptz,
    outcome          text,
    applied          integer,
    reverted         integer,
    CONSTRAINT run_pkey PRIMARY KEY (id),
    CONSTRAINT run_verb_check CHECK (verb IN ('up', 'down', 'to', 'redo', 'load', 'mark', 'baseline', 'repair', 'accept', 'alter', 'announce')),
    CONSTRAINT run_ordering_check CHECK (ordering IN ('strict', 'disjoint', 'permissive')),
    CONSTRAINT run_transaction_check CHECK (transaction IN ('per_migration', 'per_run', 'caller')),
    CONSTRAINT run_outcome_check CHECK (outcome IN ('succeeded', 'failed', 'lost')),
    CONSTRAINT run_finished_check CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX run_unfinished ON belay.run (project_id) WHERE finished_at IS NULL;
CREATE INDEX run_session ON belay.run (pid, backend_start);
COMMENT ON TABLE belay.run IS 'One row a call that applied, reverted, marked, baselined, repaired, accepted a late migration, altered the project or announced a release. Append-only: a finished run never changes; belay.history_prune removes old ones.';
COMMENT ON COLUMN belay.run.transaction IS 'per_migration, per_run, or caller: inside the caller''s own transaction.';
COMMENT ON COLUMN belay.run.ordering IS 'The ordering policy in force for this run.';
COMMENT ON COLUMN belay.run.outcome IS 'succeeded, failed, or lost: the session died; told by the next run.';
COMMENT ON COLUMN belay.run.applied IS 'Migrations applied and kept by this run.';
COMMENT ON COLUMN belay.run.reverted IS 'Migrations reverted by this run.';

-- Domains rather than CHECK constraints of the table: the server parses the latter anew for
-- every INSERT.
CREATE DOMAIN belay.direction AS text CONSTRAINT direction_check CHECK (VALUE IN ('up', 'down'));
COMMENT ON DOMAIN belay.direction IS 'up: applying; down: reverting.';
CREATE DOMAIN belay.outcome AS text
    CONSTRAINT outcome_check CHECK (VALUE IN ('applied', 'reverted', 'failed', 'rolled back', 'lost', 'accepted'));
COMMENT ON DOMAIN belay.outcome IS 'How an attempt ended: applied, reverted, failed, rolled back (it succeeded, then its run failed), lost (its session died). Or accepted: no attempt, but the review that lets a late migration run.';

CREATE TABLE belay.step (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    run_id        bigint NOT NULL,
    project_id    integer NOT NULL,
    migration_id  bigint NOT NULL,
    name          text COLLATE "C" NOT NULL,
    direction     belay.direction NOT NULL,
    definition_id bigint NOT NULL,
    checksum      text NOT NULL,
    search_path   text NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz,
    outcome       belay.outcome,
    statement     integer,
    statements    integer,
    sqlstate      text,
    reads         text[],
    writes        text[],
    defines       text[],
    everything    text,
    cumulative    boolean,
    accepted_after bigint,
    waived        text[],
    reported      text[],
    CONSTRAINT step_pkey PRIMARY KEY (id),
    CONSTRAINT step_finished_check CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX step_migration ON belay.step (migration_id, id);
CREATE INDEX step_run ON belay.step (run_id);
COMMENT ON TABLE belay.step IS 'One row an attempt at one migration in one direction. Append-only: a finished step never changes; belay.history_prune removes old ones.';
COMMENT ON COLUMN belay.step.name IS 'The migration''s name at the time.';
COMMENT ON COLUMN belay.step.migration_id IS 'The migration; no foreign key, since history outlives the registry.';
COMMENT ON COLUMN belay.step.checksum IS 'Checksum of the text that ran.';
COMMENT ON COLUMN belay.step.statement IS 'The statement that failed or was in hand, from 1.';
COMMENT ON COLUMN belay.step.statements IS 'Number of statements.';
COMMENT ON COLUMN belay.step.outcome IS 'applied, reverted, failed, rolled back (it succeeded, then its run failed), lost (its session died); accepted: no attempt, but the review that lets a late migration run.';
COMMENT ON COLUMN belay.step.reads IS 'Footprint: what it only read or depended on, by identity, such as ''relation public.users''; an index counts as its table. NULL: no footprint was kept.';
COMMENT ON COLUMN belay.step.writes IS 'Footprint: of what it changed the rows.';
COMMENT ON COLUMN belay.step.defines IS 'Footprint: what it made, changed or dropped.';
COMMENT ON COLUMN belay.step.everything IS 'Footprint: why it counts as touching everything, as in ''reads pg_catalog.pg_class''; NULL: reads, writes and defines are all.';
COMMENT ON COLUMN belay.step.cumulative IS 'Footprint: true when it holds also what came before the step in the same transaction (per_run, or the caller''s own).';
COMMENT ON COLUMN belay.step.accepted_after IS 'Of an accepted step: the applied migration after which the late one may run.';
COMMENT ON COLUMN belay.step.waived IS 'What it did against the contract, waived by its directives; one line each: rule, object, what, and the reason.';
COMMENT ON COLUMN belay.step.reported IS 'What it did against the contract, where that only reports; one line each: rule, object and what.';

CREATE TABLE belay.step_error (
    step_id    bigint NOT NULL,
    sqlstate   text NOT NULL,
    message    text NOT NULL,
    detail     text,
    hint       text,
    context    text,
    statement  integer,
    line       integer,
    query      text,
    "position" integer,
    schema_name text,
    table_name text,
    column_name text,
    datatype_name text,
    constraint_name text,
    CONSTRAINT step_error_pkey PRIMARY KEY (step_id)
);
COMMENT ON TABLE belay.step_error IS 'What a failed step said. Private: messages and details may hold data.';
COMMENT ON COLUMN belay.step_error.query IS 'The SQL around the position.';
COMMENT ON COLUMN belay.step_error.position IS 'The character of query, from 1, that the error points at.';
COMMENT ON COLUMN belay.step_error.line IS 'Line of the file, or of the registered text, at which the statement begins, from 1.';

CREATE TABLE belay.applied (
    migration_id bigint NOT NULL,
    project_id   integer NOT NULL,
    sort_key     bytea NOT NULL,
    position     bigint NOT NULL DEFAULT pg_catalog.nextval('belay.ledger_clock'),
    step_id      bigint NOT NULL,
    checksum     text NOT NULL,
    applied_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    applied_by   name NOT NULL,
    CONSTRAINT applied_pkey PRIMARY KEY (migration_id),
    CONSTRAINT applied_sort_key_key UNIQUE (project_id, sort_key),
    CONSTRAINT applied_position_key UNIQUE (project_id, position)
);
COMMENT ON TABLE belay.applied IS 'The migrations in force now.';
COMMENT ON COLUMN belay.applied.sort_key IS 'The migration''s place in the registry''s order.';
COMMENT ON COLUMN belay.applied.position IS 'Execution order, from the ledger clock.';
COMMENT ON COLUMN belay.applied.step_id IS 'The step that applied it.';
COMMENT ON COLUMN belay.applied.checksum IS 'Checksum of the text that ran.';

CREATE TABLE belay.unfinished (
    migration_id  bigint NOT NULL,
    project_id    integer NOT NULL,
    step_id       bigint NOT NULL,
    direction     belay.direction NOT NULL,
    statement     integer NOT NULL,
    started       boolean NOT NULL,
    leaves        jsonb,
    done          text[] NOT NULL DEFAULT '{}',
    CONSTRAINT unfinished_pkey PRIMARY KEY (migration_id),
    CONSTRAINT unfinished_statement_check CHECK (statement >= 1)
);
-- One project has at most one migration under way: a run finishes or resumes it before anything else.
CREATE UNIQUE INDEX unfinished_project_key ON belay.unfinished (project_id);
COMMENT ON TABLE belay.unfinished IS 'The non-transactional migration of a project that has begun and not ended: where the next run resumes.';
COMMENT ON COLUMN belay.unfinished.statement IS 'The next statement to run, from 1; every earlier one is committed.';
COMMENT ON COLUMN belay.unfinished.started IS 'True: that statement commits by itself and was begun; its outcome is looked up in the catalog before it is repeated.';
COMMENT ON COLUMN belay.unfinished.leaves IS 'What the begun statement leaves behind when it dies: {"kind", "schema", "name", ...}; "there" and "before": what was there already; "failed": it raised an error; "left": and left its index invalid.';
COMMENT ON COLUMN belay.unfinished.done IS 'Checksums of the statements that have been committed, in order.';

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

-- ---------------------------------------------------------------------------
-- The seal. A restore brings the rows in any order, so while a ledger is not sealed
-- its triggers take them as they come. The first verb that writes seals it, and then the
-- whole ledger is judged at once. A dump does not carry the seal.
-- ---------------------------------------------------------------------------
CREATE TABLE belay.seal (
    sealed    boolean NOT NULL DEFAULT true,
    sealed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    sealed_by name NOT NULL DEFAULT current_user,
    CONSTRAINT seal_pkey PRIMARY KEY (sealed),
    CONSTRAINT seal_check CHECK (sealed)
);
COMMENT ON TABLE belay.seal IS 'One row from the first write of a verb on: the ledger has been judged as a whole, and each row that comes is judged by itself. Not dumped: a restored copy is judged anew.';

-- What became of the review that lets a late migration run.
CREATE FUNCTION belay.find_acceptance(migration_id bigint)
RETURNS TABLE (step_id bigint, after text, accepted_by name, reason text, standing text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, coalesce(o.name, format('migration %s', s.accepted_after)), r.role, r.reason,
           CASE WHEN s.checksum <> coalesce(a.checksum, m.checksum) THEN 'replaced'
                WHEN EXISTS (SELECT FROM belay.applied x
                              WHERE x.project_id = m.project_id AND x.sort_key > m.sort_key
                                AND (a.position IS NULL OR x.position < a.position)
                                AND (x.step_id > s.id OR (x.sort_key <= o.sort_key) IS NOT TRUE)) THEN 'overtaken'
                ELSE 'holds' END
      FROM belay.migration m
      LEFT JOIN belay.applied a ON a.migration_id = m.id
     CROSS JOIN LATERAL (SELECT x.* FROM belay.step x
                          WHERE x.migration_id = m.id AND x.outcome = 'accepted' ORDER BY x.id DESC LIMIT 1) s
      JOIN belay.run r ON r.id = s.run_id
      LEFT JOIN belay.migration o ON o.id = s.accepted_after
     WHERE m.id = find_acceptance.migration_id
$$;
COMMENT ON FUNCTION belay.find_acceptance IS 'The last belay.migrate_accept_late of a migration, if any. standing: holds (for this text, and for all that is applied and sorts after it), replaced (another text was reviewed), overtaken (more has been applied since then).';

CREATE FUNCTION belay.find_late(project_id integer) RETURNS TABLE (migration_id bigint, sort_key bytea)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.migration_id, p.sort_key
      FROM belay.pending p
     WHERE p.project_id = find_late.project_id
       AND p.sort_key < (SELECT a.sort_key FROM belay.applied a WHERE a.project_id = find_late.project_id ORDER BY a.sort_key DESC LIMIT 1)
       AND NOT EXISTS (SELECT FROM belay.find_acceptance(p.migration_id) f WHERE f.standing = 'holds')
     ORDER BY p.sort_key
$$;
COMMENT ON FUNCTION belay.find_late IS 'What is pending, sorts before what is applied, and has no acceptance that holds.';

-- Whether two steps touched the same, and at least one of them did more than read it.
CREATE FUNCTION belay.do_meet(one belay.step, other belay.step) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (one).reads IS NULL OR (other).reads IS NULL
        OR (one).everything IS NOT NULL OR (other).everything IS NOT NULL
        OR (one).reads && ((other).writes || (other).defines)
        OR ((one).writes || (one).defines) && ((other).reads || (other).writes || (other).defines)
$$;
COMMENT ON FUNCTION belay.do_meet IS 'Whether the footprints of two steps meet; a step without one meets everything.';

-- Whether the order of a project's applied migrations is what the runs that applied them promised.
CREATE FUNCTION belay.find_disorder(project_id integer) RETURNS TABLE (migration_id bigint, in_its_way bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.migration_id, coalesce(later.migration_id, hole.migration_id)
      FROM (SELECT x.*, min(x.position) OVER (ORDER BY x.sort_key DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS first_later
              FROM belay.applied x WHERE x.project_id = find_disorder.project_id) a
      JOIN belay.step s ON s.id = a.step_id
      JOIN belay.run r ON r.id = s.run_id AND r.ordering IN ('strict', 'disjoint')
      LEFT JOIN LATERAL (SELECT c.id, o.sort_key FROM belay.step c LEFT JOIN belay.migration o ON o.id = c.accepted_after
                          WHERE a.first_later < a.position
                            AND c.migration_id = a.migration_id AND c.outcome = 'accepted' AND c.checksum = a.checksum AND c.id < a.step_id
                          ORDER BY c.id DESC LIMIT 1) review ON true
      LEFT JOIN LATERAL (SELECT x.migration_id FROM belay.applied x JOIN belay.step t ON t.id = x.step_id
                          WHERE a.first_later < a.position
                            AND x.project_id = a.project_id AND x.sort_key > a.sort_key AND x.position < a.position
                            AND (x.sort_key <= review.sort_key AND x.step_id < review.id) IS NOT TRUE
                            AND (r.ordering = 'strict' OR belay.do_meet(s, t))
                          ORDER BY x.position LIMIT 1) later ON true
      LEFT JOIN LATERAL (SELECT p.migration_id FROM belay.pending p
                          WHERE r.ordering = 'strict' AND p.project_id = a.project_id AND p.sort_key < a.sort_key AND p.since < a.position
                          ORDER BY p.sort_key LIMIT 1) hole ON true
     WHERE later.migration_id IS NOT NULL OR hole.migration_id IS NOT NULL
     ORDER BY a.position
     LIMIT 1
$$;
COMMENT ON FUNCTION belay.find_disorder IS
'The first migration of a project that was applied although something stood in its way. In a strict run: one that sorts after it, was applied before and was not reviewed, or one that sorts before it and was pending then.
In a disjoint run: one that sorts after it, was applied before, was not reviewed, and touched the same. No row: in order.';

-- The first thing in the ledger that cannot be, or NULL.
CREATE FUNCTION belay.find_contradiction() RETURNS text
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

CREATE FUNCTION belay.judge_ledger() RETURNS trigger
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

-- ---------------------------------------------------------------------------
-- The rules of the ledger, in the catalog: for everybody, superusers included.
-- Triggers rather than foreign keys refuse rows that refer to nothing, since they know the seal.
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.judge_references() RETURNS trigger
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

CREATE FUNCTION belay.judge_applied() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'judge_applied_wrapper';
COMMENT ON FUNCTION belay.judge_applied() IS 'Trigger of belay.applied: takes the row out of belay.pending, refuses rows that no step made (MG015) and what breaks the policy (MG001): that of the step''s run, where it is no looser than the project''s or has a reason.';

CREATE FUNCTION belay.judge_reverted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    project text;
    newer text;
BEGIN
    SELECT p.name INTO project FROM belay.project p WHERE p.id = OLD.project_id AND NOT p.allow_down;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'MG004',
            MESSAGE = format('project "%s" does not allow reverting', project),
            HINT = format('as the project''s owner: SELECT belay.project_alter(%L, allow_down => true)', project);
    END IF;
    SELECT m.name INTO newer
      FROM (SELECT a.migration_id FROM belay.applied a
             WHERE a.project_id = OLD.project_id AND a.position > OLD.position
             ORDER BY a.position DESC LIMIT 1) n
      JOIN belay.migration m ON m.id = n.migration_id;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'MG001',
            MESSAGE = format('migration "%s" cannot be reverted before "%s", which was applied after it',
                             (SELECT m.name FROM belay.migration m WHERE m.id = OLD.migration_id), newer),
            HINT = 'CALL belay.migrate_down() reverts the most recently applied one';
    END IF;
    INSERT INTO belay.pending (migration_id, project_id, sort_key) VALUES (OLD.migration_id, OLD.project_id, OLD.sort_key);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION belay.judge_reverted() IS 'Trigger of belay.applied: puts the row back into belay.pending; the most recently applied is reverted first (MG001), where the project allows it (MG004).';

CREATE FUNCTION belay.judge_pending() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    offender record;
BEGIN
    IF NOT EXISTS (SELECT FROM belay.seal) THEN
        RETURN NULL;
    END IF;
    SELECT i.migration_id, m.name INTO offender
      FROM inserted i
      LEFT JOIN belay.migration m ON m.id = i.migration_id AND m.project_id = i.project_id AND m.sort_key = i.sort_key
     WHERE m.id IS NULL OR EXISTS (SELECT FROM belay.applied a WHERE a.migration_id = i.migration_id)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'MG015',
            MESSAGE = CASE WHEN offender.name IS NULL THEN format('migration %s is not registered in that project and place', offender.migration_id)
                           ELSE format('migration "%s" is applied and cannot be pending as well', offender.name) END,
            HINT = 'CALL belay.migrate_down() reverts the most recently applied one';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION belay.judge_pending() IS 'Trigger of belay.pending: what is pending is registered, and not applied at once (MG015).';

CREATE FUNCTION belay.forget_pending() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM belay.pending p USING gone g WHERE p.migration_id = g.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION belay.forget_pending() IS 'Trigger of belay.migration: what is no longer registered is no longer pending.';

CREATE FUNCTION belay.judge_place() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved text;
    policy text;
    other text;
BEGIN
    IF NOT EXISTS (SELECT FROM belay.migration m WHERE m.id = NEW.migration_id AND m.sort_key = NEW.sort_key) THEN
        RAISE EXCEPTION USING ERRCODE = 'MG015',
            MESSAGE = format('the place of migration %s follows from its name', NEW.migration_id),
            HINT = 'SELECT belay.migrate_rename(old, new) gives it another';
    END IF;
    IF TG_TABLE_NAME = 'applied' THEN
        SELECT m.name, r.ordering, o.name INTO moved, policy, other
          FROM belay.find_disorder(NEW.project_id) d
          JOIN belay.migration m ON m.id = d.migration_id
          JOIN belay.migration o ON o.id = d.in_its_way
          JOIN belay.applied a ON a.migration_id = m.id
          JOIN belay.step s ON s.id = a.step_id
          JOIN belay.run r ON r.id = s.run_id;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'MG001',
                MESSAGE = format('migration "%s", which was applied in %s order, would change places with "%s"', moved, policy, other),
                HINT = format('what was applied in %s order keeps its place: choose a name that sorts where it stands', policy);
        END IF;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION belay.judge_place() IS 'Trigger of belay.applied and belay.pending: a row''s place is that of its migration (MG015), and what was applied in strict order keeps it, as what was applied in disjoint order does where it touched the same (MG001).';

CREATE FUNCTION belay.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'MG015',
        MESSAGE = format('%s of belay.%s is refused: %s', TG_OP, TG_TABLE_NAME, TG_ARGV[0]),
        HINT = TG_ARGV[1];
END $$;
COMMENT ON FUNCTION belay.refuse_change() IS 'Trigger of the ledger''s tables: refuses (MG015) what would rewrite history.';

CREATE TRIGGER seal_inserted AFTER INSERT ON belay.seal
    FOR EACH ROW EXECUTE FUNCTION belay.judge_ledger();
CREATE TRIGGER seal_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON belay.seal FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('a ledger that is sealed stays so', 'SELECT * FROM belay.migrate_history() reads it');

CREATE TRIGGER migration_inserted AFTER INSERT ON belay.migration
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER migration_updated AFTER UPDATE ON belay.migration
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER migration_gone AFTER DELETE ON belay.migration
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION belay.forget_pending();
CREATE TRIGGER run_inserted AFTER INSERT ON belay.run
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER step_inserted AFTER INSERT ON belay.step
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER step_error_inserted AFTER INSERT ON belay.step_error
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER unfinished_inserted AFTER INSERT ON belay.unfinished
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER announcement_inserted AFTER INSERT ON belay.announcement
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER release_base_inserted AFTER INSERT ON belay.release_base
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER client_inserted AFTER INSERT ON belay.client
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();
CREATE TRIGGER contract_query_inserted AFTER INSERT ON belay.contract_query
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_references();

-- What is applied changes by applying and reverting only; a rename moves its place.
CREATE TRIGGER applied_inserted AFTER INSERT ON belay.applied
    FOR EACH ROW EXECUTE FUNCTION belay.judge_applied();
CREATE TRIGGER applied_deleted AFTER DELETE ON belay.applied
    FOR EACH ROW EXECUTE FUNCTION belay.judge_reverted();
CREATE TRIGGER applied_frozen BEFORE UPDATE OF migration_id, project_id, position, step_id, checksum, applied_at, applied_by ON belay.applied
    FOR EACH STATEMENT EXECUTE FUNCTION belay.refuse_change('it says what is in force', 'CALL belay.migrate_up(), or belay.migrate_down()');
CREATE TRIGGER applied_kept BEFORE TRUNCATE ON belay.applied
    FOR EACH STATEMENT EXECUTE FUNCTION belay.refuse_change('it says what is in force', 'CALL belay.migrate_up(), or belay.migrate_down()');
CREATE TRIGGER pending_inserted AFTER INSERT ON belay.pending
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION belay.judge_pending();
CREATE TRIGGER applied_moved AFTER UPDATE OF sort_key ON belay.applied
    FOR EACH ROW EXECUTE FUNCTION belay.judge_place();
CREATE TRIGGER pending_moved AFTER UPDATE OF sort_key ON belay.pending
    FOR EACH ROW EXECUTE FUNCTION belay.judge_place();
CREATE TRIGGER pending_frozen BEFORE UPDATE OF migration_id, project_id ON belay.pending
    FOR EACH STATEMENT EXECUTE FUNCTION belay.refuse_change('it says what is registered and not in force', 'CALL belay.migrate_up()');
-- Rows leave it when their migration is applied or unregistered: by the triggers of those tables only.
CREATE TRIGGER pending_deleted BEFORE DELETE ON belay.pending
    FOR EACH STATEMENT WHEN (pg_catalog.pg_trigger_depth() = 0)
    EXECUTE FUNCTION belay.refuse_change('it says what is registered and not in force', 'SELECT belay.migrate_unregister(name)');
CREATE TRIGGER pending_kept BEFORE TRUNCATE ON belay.pending
    FOR EACH STATEMENT EXECUTE FUNCTION belay.refuse_change('the registry is emptied one by one', 'SELECT belay.migrate_unregister(name)');

-- History is append-only: what is finished never changes.
CREATE TRIGGER run_frozen BEFORE UPDATE ON belay.run FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL)
    EXECUTE FUNCTION belay.refuse_change('history is append-only', 'SELECT * FROM belay.migrate_history() reads it');
CREATE TRIGGER run_kept BEFORE DELETE OR TRUNCATE ON belay.run FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('history is append-only', 'SELECT * FROM belay.migrate_history() reads it');
CREATE TRIGGER step_frozen BEFORE UPDATE ON belay.step FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL)
    EXECUTE FUNCTION belay.refuse_change('history is append-only', 'SELECT * FROM belay.migrate_history() reads it');
CREATE TRIGGER step_kept BEFORE DELETE OR TRUNCATE ON belay.step FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('history is append-only', 'SELECT * FROM belay.migrate_history() reads it');
CREATE TRIGGER step_error_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON belay.step_error FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('history is append-only', 'SELECT * FROM belay.migrate_history() reads it');

CREATE TRIGGER announcement_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON belay.announcement FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('history is append-only', 'SELECT belay.release_announce(release) adds to it');

-- A definition never changes; a migration gets another one only while it is pending.
CREATE TRIGGER definition_frozen BEFORE UPDATE OR TRUNCATE ON belay.definition FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('definitions are immutable', 'SELECT belay.migrate_register(..., replace => true) replaces a pending one');
CREATE FUNCTION belay.judge_registry() RETURNS trigger
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
CREATE TRIGGER definition_kept BEFORE DELETE ON belay.definition FOR EACH ROW EXECUTE FUNCTION belay.judge_registry();
CREATE TRIGGER migration_frozen BEFORE UPDATE OF definition_id, checksum, project_id ON belay.migration
    FOR EACH ROW EXECUTE FUNCTION belay.judge_registry();
CREATE TRIGGER migration_deleted BEFORE DELETE ON belay.migration FOR EACH ROW EXECUTE FUNCTION belay.judge_registry();
CREATE TRIGGER project_deleted BEFORE DELETE ON belay.project FOR EACH ROW EXECUTE FUNCTION belay.judge_registry();
CREATE FUNCTION belay.judge_project() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'judge_project_wrapper';
COMMENT ON FUNCTION belay.judge_project() IS 'Trigger of belay.project: keeps each change in belay.run, with role and time. Another ordering is refused while a run is going on (55P03, MG012), and strict where something is pending that sorts before what is applied and was not accepted (MG001).';
CREATE TRIGGER project_altered AFTER UPDATE ON belay.project FOR EACH ROW EXECUTE FUNCTION belay.judge_project();
CREATE TRIGGER migration_kept BEFORE TRUNCATE ON belay.migration FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('the registry is emptied one by one', 'SELECT belay.migrate_unregister(name)');
CREATE TRIGGER project_kept BEFORE TRUNCATE ON belay.project FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('projects own the history', 'SELECT * FROM belay.project');

-- Also for sessions with session_replication_role = replica, and for appliers of replication.
ALTER TABLE belay.seal ENABLE ALWAYS TRIGGER seal_inserted;
ALTER TABLE belay.seal ENABLE ALWAYS TRIGGER seal_kept;
ALTER TABLE belay.migration ENABLE ALWAYS TRIGGER migration_inserted;
ALTER TABLE belay.migration ENABLE ALWAYS TRIGGER migration_updated;
ALTER TABLE belay.migration ENABLE ALWAYS TRIGGER migration_gone;
ALTER TABLE belay.run ENABLE ALWAYS TRIGGER run_inserted;
ALTER TABLE belay.step ENABLE ALWAYS TRIGGER step_inserted;
ALTER TABLE belay.step_error ENABLE ALWAYS TRIGGER step_error_inserted;
ALTER TABLE belay.unfinished ENABLE ALWAYS TRIGGER unfinished_inserted;
ALTER TABLE belay.announcement ENABLE ALWAYS TRIGGER announcement_inserted;
ALTER TABLE belay.release_base ENABLE ALWAYS TRIGGER release_base_inserted;
ALTER TABLE belay.client ENABLE ALWAYS TRIGGER client_inserted;
ALTER TABLE belay.contract_query ENABLE ALWAYS TRIGGER contract_query_inserted;
ALTER TABLE belay.announcement ENABLE ALWAYS TRIGGER announcement_frozen;
ALTER TABLE belay.applied ENABLE ALWAYS TRIGGER applied_inserted;
ALTER TABLE belay.applied ENABLE ALWAYS TRIGGER applied_deleted;
ALTER TABLE belay.applied ENABLE ALWAYS TRIGGER applied_frozen;
ALTER TABLE belay.applied ENABLE ALWAYS TRIGGER applied_kept;
ALTER TABLE belay.pending ENABLE ALWAYS TRIGGER pending_inserted;
ALTER TABLE belay.applied ENABLE ALWAYS TRIGGER applied_moved;
ALTER TABLE belay.pending ENABLE ALWAYS TRIGGER pending_moved;
ALTER TABLE belay.pending ENABLE ALWAYS TRIGGER pending_frozen;
ALTER TABLE belay.pending ENABLE ALWAYS TRIGGER pending_deleted;
ALTER TABLE belay.pending ENABLE ALWAYS TRIGGER pending_kept;
ALTER TABLE belay.run ENABLE ALWAYS TRIGGER run_frozen;
ALTER TABLE belay.run ENABLE ALWAYS TRIGGER run_kept;
ALTER TABLE belay.step ENABLE ALWAYS TRIGGER step_frozen;
ALTER TABLE belay.step ENABLE ALWAYS TRIGGER step_kept;
ALTER TABLE belay.step_error ENABLE ALWAYS TRIGGER step_error_frozen;
ALTER TABLE belay.definition ENABLE ALWAYS TRIGGER definition_frozen;
ALTER TABLE belay.definition ENABLE ALWAYS TRIGGER definition_kept;
ALTER TABLE belay.migration ENABLE ALWAYS TRIGGER migration_frozen;
ALTER TABLE belay.migration ENABLE ALWAYS TRIGGER migration_deleted;
ALTER TABLE belay.project ENABLE ALWAYS TRIGGER project_deleted;
ALTER TABLE belay.project ENABLE ALWAYS TRIGGER project_altered;
ALTER TABLE belay.migration ENABLE ALWAYS TRIGGER migration_kept;
ALTER TABLE belay.project ENABLE ALWAYS TRIGGER project_kept;

-- ---------------------------------------------------------------------------
-- Verbs that commit
-- ---------------------------------------------------------------------------
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
-- Projects and the registry
-- ---------------------------------------------------------------------------
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

CREATE FUNCTION belay.migrate_register(
    name text, up text, down text DEFAULT NULL, replace boolean DEFAULT false, project text DEFAULT 'default')
RETURNS belay.migration LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_register_wrapper';
COMMENT ON FUNCTION belay.migrate_register IS
'Registers one migration. The same checksum again changes nothing; a pending definition that differs needs replace => true; an applied one is immutable (MG003).
Directives are comments at the head of the text: -- belay: transaction off, requires A, B, pairs-with NAME [indivisible], lock-timeout 2s, lock-retries 3, privileged.
Errors: MG008 name, MG009 text, MG010 statement that migrations may not hold, 42601 syntax.';

CREATE FUNCTION belay.migrate_load(
    directory text, on_missing text DEFAULT 'error', prune boolean DEFAULT false, project text DEFAULT 'default',
    OUT name text, OUT action text, OUT detail text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_load_wrapper';
COMMENT ON FUNCTION belay.migrate_load(text, text, boolean, text) IS
'Brings the registry in line with a directory of the server: NAME.sql, NAME.up.sql and NAME.down.sql, NAME/up.sql and NAME/down.sql. One row a change.
Adds and replaces pending definitions; removes pending ones only with prune. on_missing: error (MG002), allow or revert what is applied, older than the newest file and has no file.
For superusers and members of pg_read_server_files (42501); any client can use migrate_load_files.';

CREATE FUNCTION belay.migrate_load_files(
    files jsonb, on_missing text DEFAULT 'error', prune boolean DEFAULT false, project text DEFAULT 'default',
    OUT name text, OUT action text, OUT detail text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_load_files_wrapper';
COMMENT ON FUNCTION belay.migrate_load_files(jsonb, text, boolean, text) IS
'Brings the registry in line with a set of files given as {"path": "content", ...}; see migrate_load.';

CREATE FUNCTION belay.migrate_unregister(name text, project text DEFAULT 'default')
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_unregister_wrapper';
COMMENT ON FUNCTION belay.migrate_unregister IS
'Takes a pending migration out of the registry; its history stays. Errors: MG011 unknown, MG015 applied, MG007 unfinished.';

CREATE FUNCTION belay.migrate_rename(old text, new text, project text DEFAULT 'default')
RETURNS belay.migration LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_rename_wrapper';
COMMENT ON FUNCTION belay.migrate_rename IS
'Gives a migration, applied or pending, another name and so another place in the order. History keeps the old name.';

CREATE FUNCTION belay.migrate_mark(
    name text, state text, statement integer DEFAULT NULL, reason text DEFAULT NULL, project text DEFAULT 'default')
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_mark_wrapper';
COMMENT ON FUNCTION belay.migrate_mark IS
'Tells the ledger what an operator did by hand; nothing of the migration runs. state: applied or pending; with statement, an unfinished non-transactional migration goes on there. Kept in the history with role and reason.
Errors: MG001 breaks the ordering, MG004 the project does not allow reverting, MG011 unknown, 55P03 a run is going on.';

CREATE FUNCTION belay.migrate_accept_late(name text, after text, reason text, project text DEFAULT 'default')
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_accept_late_wrapper';
COMMENT ON FUNCTION belay.migrate_accept_late IS
'A reviewed exception: the late migration may be applied although it sorts before what is applied. after: the applied migration that sorts last. Nothing runs; the next run applies it. For the project''s owner (42501); kept in the history with role and reason.
It holds for the text as it is registered now, and for what is applied now: when the text is replaced, or something else that sorts after it is applied, it has to be given again. The catalog asks for it, too.
Errors: MG011 unknown, 22023 NULL, no reason, not late, or after is not the last one applied; 55P03 a run is going on, MG012 within a migration, 40001.';

CREATE FUNCTION belay.history_prune(before timestamptz, project text DEFAULT 'default')
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'history_prune_wrapper';
COMMENT ON FUNCTION belay.history_prune IS
'Removes the steps that ended before that time, with their error messages, and then the runs and SQL texts that nothing refers to any more. Returns the number of steps.
The steps of what is in force or unfinished stay, acceptances of what is registered too, and so do the project''s migrations and how they stand. For the project''s owner (42501), while no run is going on (55P03). Errors: MG011 unknown project, MG012 within a migration, 22023 NULL, 40001.';

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

-- ---------------------------------------------------------------------------
-- Looking
-- ---------------------------------------------------------------------------
CREATE TYPE belay.plan_step AS (
    step integer, name text, direction text, transactional boolean, release text, phase text,
    resume_at integer, blocked_by text, sqlstate text, hint text);
COMMENT ON TYPE belay.plan_step IS 'One step of a plan. blocked_by, sqlstate and hint say why it may not run; resume_at is the statement at which an unfinished one goes on.';

CREATE FUNCTION belay.migrate_plan(
    target text DEFAULT NULL, steps integer DEFAULT NULL, phase text DEFAULT NULL, release text DEFAULT NULL,
    ordering text DEFAULT NULL, verb text DEFAULT 'up', project text DEFAULT 'default')
RETURNS SETOF belay.plan_step LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_plan_wrapper';
COMMENT ON FUNCTION belay.migrate_plan IS
'What migrate_up (verb up), migrate_down (down), migrate_to (to) or migrate_redo (redo) would do with these arguments, one row a step. Never raises for policy: blocked_by, sqlstate and hint say why not; also where the gate of a post is shut now (MG018). Errors: MG011 unknown project or target, 22023.';

CREATE FUNCTION belay.migrate_check(
    target text DEFAULT NULL, steps integer DEFAULT NULL, phase text DEFAULT NULL, release text DEFAULT NULL,
    ordering text DEFAULT NULL, verb text DEFAULT 'up', project text DEFAULT 'default')
RETURNS integer LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_check_wrapper';
COMMENT ON FUNCTION belay.migrate_check IS
'The plan of the same arguments, raising the first reason why not: for CI. Returns the number of steps.';

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

CREATE FUNCTION belay.migrate_checksum(up text, down text DEFAULT NULL)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'migrate_checksum_wrapper';
COMMENT ON FUNCTION belay.migrate_checksum IS
'Checksum of a definition: SHA-256 over the tokens of both texts, in hexadecimal. White space, comments and line ends do not count; inside strings every byte does. Errors: MG009 not SQL.';

-- Internal: the project's row, or the error that names the projects there are. NULL for
-- 'default' that nobody has used yet.
CREATE FUNCTION belay.find_project(name text) RETURNS belay.project
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    row belay.project;
BEGIN
    IF find_project.name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'project must not be null',
            HINT = 'pass project => a value; an unset variable is not one';
    END IF;
    SELECT * INTO row FROM belay.project p WHERE p.name = find_project.name;
    IF NOT FOUND AND find_project.name <> 'default' THEN
        RAISE EXCEPTION USING ERRCODE = 'MG011', MESSAGE = format('project "%s" does not exist', find_project.name),
            HINT = format('SELECT name FROM belay.project lists them; SELECT belay.project_create(%L) makes one', find_project.name);
    END IF;
    RETURN row;
END $$;
COMMENT ON FUNCTION belay.find_project IS 'The project of that name; NULL for ''default'' that nobody has used yet. Errors: MG011 unknown, 22023 NULL.';

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

CREATE FUNCTION belay.is_running(project_id integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM belay.find_runner(is_running.project_id) r WHERE r.exclusive)
$$;
COMMENT ON FUNCTION belay.is_running IS 'Whether a session of this server holds the lock of the project, that is, runs its migrations.';

-- The lock is looked at after the snapshot of the caller's query was taken. A run that ended in between
-- holds no lock, and its rows still say that something is pending or half done: they are looked up as they are now.
CREATE FUNCTION belay.is_unfinished(migration_id bigint) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'is_unfinished_wrapper';
COMMENT ON FUNCTION belay.is_unfinished IS 'Whether a migration is half done now, whatever the snapshot of the query.';

CREATE FUNCTION belay.is_pending(migration_id bigint) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'is_pending_wrapper';
COMMENT ON FUNCTION belay.is_pending IS 'Whether a migration is pending now, whatever the snapshot of the query.';

CREATE FUNCTION belay.next_names(project_id integer, late text[]) RETURNS text[]
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'next_names_wrapper';
COMMENT ON FUNCTION belay.next_names IS 'For each of these names, in their order, the next one that sorts after all that is registered; NULL where there is none.';

CREATE FUNCTION belay.migrate_status(project text DEFAULT 'default')
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
    late text[];
    later_names text[];
BEGIN
    SELECT f.* INTO runner FROM belay.find_runner(p.id) f WHERE f.exclusive LIMIT 1;
    SELECT m.name, a.sort_key INTO newest FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
     WHERE a.project_id = p.id ORDER BY a.sort_key DESC LIMIT 1;
    SELECT m.sort_key INTO newest_file FROM belay.migration m
     WHERE m.project_id = p.id AND m.loaded AND NOT m.missing ORDER BY m.sort_key DESC LIMIT 1;
    IF p.ordering <> 'permissive' THEN
        SELECT array_agg(m.name ORDER BY m.sort_key) INTO late
          FROM belay.find_late(p.id) l JOIN belay.migration m ON m.id = l.migration_id
         WHERE p.ordering = 'strict' OR NOT m.up_transaction;
        later_names := belay.next_names(p.id, late);
    END IF;
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
                    WHEN m.name = ANY (late) THEN 'late'
                    WHEN w.name IS NOT NULL THEN 'blocked'
                    ELSE 'pending' END AS standing,
               w.name AS wanted, w.registered,
               CASE WHEN a.position IS NULL AND m.sort_key < newest.sort_key THEN
                    (SELECT CASE v.standing
                            WHEN 'holds' THEN format('may run after "%s": accepted by %s: %s', v.after, v.accepted_by, v.reason)
                            WHEN 'replaced' THEN 'it was accepted with another text'
                            ELSE format('it was accepted after "%s", and more has been applied since then', v.after) END
                       FROM belay.find_acceptance(m.id) v) END AS review
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
               WHEN 'late' THEN concat_ws('; ', format('sorts before "%s", which is applied%s', newest.name,
                         CASE p.ordering WHEN 'disjoint' THEN ', and runs without a transaction' END), r.review)
               WHEN 'blocked' THEN format('requires "%s", which is %s', r.wanted,
                    CASE WHEN r.registered THEN 'pending and sorts after it' ELSE 'not registered' END)
               WHEN 'applied' THEN CASE WHEN r.missing THEN 'ahead of the set that was loaded last' END
               ELSE coalesce(
                    (SELECT format('the last attempt failed: %s', e.message)
                       FROM (SELECT x.id, x.outcome FROM belay.step x WHERE x.migration_id = r.id ORDER BY x.id DESC LIMIT 1) l
                       JOIN belay.step_error e ON e.step_id = l.id WHERE l.outcome = 'failed'), r.review)
           END,
           CASE r.standing
               WHEN 'dirty' THEN CASE WHEN r.unknowable THEN r.again
                                      ELSE format('CALL belay.migrate_%s(%s)', r.direction, tail) END
               WHEN 'running' THEN NULL
               WHEN 'late' THEN format('SELECT belay.migrate_rename(%L, %s%s)', r.name,
                    coalesce(quote_literal(later_names[array_position(late, r.name)]), '<new name>'), more)
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

CREATE FUNCTION belay.migrate_validate(target text DEFAULT NULL, release text DEFAULT NULL, project text DEFAULT 'default')
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

CREATE PROCEDURE belay.migrate_wait(
    target text DEFAULT NULL, release text DEFAULT NULL, run bigint DEFAULT NULL,
    wait interval DEFAULT '5 min', project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_wait_wrapper';
COMMENT ON PROCEDURE belay.migrate_wait IS
'Waits, without running anything itself, until everything registered is in force: all of it, up to target, or up to the last migration of release; or until run has succeeded. For the start of an application, also on a standby: there until it has been replayed.
Polls, every second at most, and holds neither a snapshot nor a lock in between; ends after wait (an interval; NULL: without limit; 0: looks once) with 55P03, which says what is lacking and who runs what. The caller''s statement_timeout applies.
What has failed, or stopped halfway, may be repaired meanwhile and is waited for; the error at the end names it. What comes after target or release does not count. A project ''default'' that nobody has used has nothing to wait for.
What cannot come by waiting is an error at once: MG001 late, MG005 a requirement that is not registered, MG011 unknown project, target, release or run (on a standby these may only not have been replayed, and are waited for), MG016 the run has failed. Others: 22023, 25001 inside a transaction block.';

CREATE FUNCTION belay.describe_footprint(step belay.step) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN (step).reads IS NULL THEN NULL
           ELSE concat_ws('; ',
                'everything: ' || (step).everything,
                'defines ' || nullif(array_to_string((step).defines, ', '), ''),
                'writes ' || nullif(array_to_string((step).writes, ', '), ''),
                'reads ' || nullif(array_to_string((step).reads, ', '), ''),
                CASE WHEN (step).cumulative THEN 'with what came before it in its transaction' END) END
$$;
COMMENT ON FUNCTION belay.describe_footprint IS 'The footprint of a step in words; NULL: none was kept, or the step left nothing behind.';

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

CREATE FUNCTION belay.touched_by(object regclass)
RETURNS TABLE (step bigint, project text, name text, direction text, access text, at timestamptz, role name)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    identity text;
BEGIN
    IF touched_by.object IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'object must not be null',
            HINT = 'SELECT * FROM belay.touched_by(''users''); an unset variable is not one';
    END IF;
    SELECT format('relation %I.%I', n.nspname, c.relname) INTO identity
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     -- An index counts as its table.
     WHERE c.oid = coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = touched_by.object), touched_by.object);
    RETURN QUERY
    SELECT s.id, o.name, s.name, s.direction::text,
           CASE WHEN identity = ANY (s.defines) THEN 'define' WHEN identity = ANY (s.writes) THEN 'write' ELSE 'read' END,
           s.finished_at, r.role
      FROM belay.step s
      JOIN belay.run r ON r.id = s.run_id
      JOIN belay.project o ON o.id = s.project_id
     WHERE s.outcome IN ('applied', 'reverted')
       AND (identity = ANY (s.defines) OR identity = ANY (s.writes) OR identity = ANY (s.reads))
     ORDER BY s.id;
END $$;
COMMENT ON FUNCTION belay.touched_by IS
'Which migrations touched a relation, by the name that it has now: how (read, write, define: the strongest), when and by whom, in the order in which they ran, in all projects. An index counts as its table. What ran without a footprint is not among them, and of what touched everything only what is known. Errors: 22023 NULL.';

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

CREATE FUNCTION belay.last_run() RETURNS belay.run
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.* FROM belay.run r
      JOIN pg_stat_get_activity(pg_backend_pid()) a ON a.backend_start = r.backend_start
     WHERE r.pid = pg_backend_pid()
     ORDER BY r.id DESC LIMIT 1
$$;
COMMENT ON FUNCTION belay.last_run IS 'The last run of this session; all NULL when it has run nothing.';

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

-- ---------------------------------------------------------------------------
-- Releases
-- ---------------------------------------------------------------------------
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
-- Jobs: what there is, and in which state
-- ---------------------------------------------------------------------------
CREATE TABLE belay.job_transition (
    from_state text NOT NULL,
    to_state   text NOT NULL,
    happens    text NOT NULL,
    CONSTRAINT job_transition_pkey PRIMARY KEY (from_state, to_state)
);
COMMENT ON TABLE belay.job_transition IS 'From which state to which a job may come; the trigger of belay.job refuses every other change, whoever makes it.';
COMMENT ON COLUMN belay.job_transition.happens IS 'What brings it there.';
INSERT INTO belay.job_transition VALUES
    ('not_started', 'starting', 'job_start, job_finalize or auto_start'),
    ('not_started', 'completed', 'job_skip'),
    ('starting', 'running', 'the checks have passed'),
    ('starting', 'completed', 'is_required says no'),
    ('starting', 'failed_at_startup', 'a check has failed'),
    ('starting', 'rolled_back', 'job_stop, before anything ran'),
    ('failed_at_startup', 'starting', 'job_start, job_retry or job_finalize'),
    ('failed_at_startup', 'completed', 'job_skip'),
    ('running', 'completed', 'the last operation has ended'),
    ('running', 'errored', 'an operation has failed'),
    ('running', 'stopping', 'job_stop'),
    ('running', 'paused', 'job_pause'),
    ('stopping', 'errored', 'stopped without rollback'),
    ('stopping', 'rolling_back', 'stopped with rollback'),
    ('paused', 'running', 'job_resume'),
    ('paused', 'errored', 'job_stop without rollback, or the operation in hand has failed'),
    ('paused', 'rolling_back', 'job_stop or job_rollback'),
    ('errored', 'running', 'job_retry or job_resume'),
    ('errored', 'rolling_back', 'job_rollback, or by itself after a failure'),
    ('errored', 'completed', 'job_skip'),
    ('completed', 'rolling_back', 'job_rollback(force => true)'),
    ('rolling_back', 'rolled_back', 'the first operation is rolled back'),
    ('rolling_back', 'errored', 'a rollback has failed'),
    ('rolled_back', 'starting', 'job_start or job_finalize'),
    ('rolled_back', 'completed', 'job_skip');

CREATE TABLE belay.job (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    project_id    integer NOT NULL,
    name          text COLLATE "C" NOT NULL,
    description   text,
    checksum      text NOT NULL,
    operations    integer NOT NULL,
    depends_on    text[] NOT NULL DEFAULT '{}',
    min_release   text,
    max_release   text,
    auto_start    boolean NOT NULL DEFAULT false,
    loaded        boolean NOT NULL DEFAULT false,
    missing       boolean NOT NULL DEFAULT false,
    role          name NOT NULL,
    session_role  name NOT NULL,
    search_path   text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    state         text NOT NULL DEFAULT 'not_started',
    operation     integer NOT NULL DEFAULT 0,
    with_rollback boolean NOT NULL DEFAULT false,
    percent       numeric(5, 2) NOT NULL DEFAULT 0,
    passed        bigint NOT NULL DEFAULT 0,
    estimate      bigint,
    rows          bigint NOT NULL DEFAULT 0,
    rows_before   bigint NOT NULL DEFAULT 0,
    errors        bigint NOT NULL DEFAULT 0,
    waits_for     text,
    pid           integer,
    note          text,
    started_at    timestamptz,
    resumed_at    timestamptz,
    finished_at   timestamptz,
    changed_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT job_pkey PRIMARY KEY (id),
    CONSTRAINT job_name_key UNIQUE (project_id, name),
    CONSTRAINT job_name_check CHECK (name <> '' AND pg_catalog.length(name) <= 500),
    CONSTRAINT job_state_check CHECK (state IN ('not_started', 'starting', 'running', 'stopping', 'paused', 'completed',
        'errored', 'rolling_back', 'rolled_back', 'failed_at_startup')),
    CONSTRAINT job_operation_check CHECK (operation BETWEEN 0 AND operations),
    CONSTRAINT job_percent_check CHECK (percent BETWEEN 0 AND 100)
);
-- What a worker may have to take up; few, however many jobs there are.
CREATE INDEX job_active ON belay.job (id) WHERE state IN ('starting', 'running', 'stopping', 'rolling_back');
CREATE INDEX job_waiting ON belay.job (id) WHERE state = 'not_started' AND auto_start;
COMMENT ON TABLE belay.job IS 'Work that outlives the call that began it. Operations and conditions are in belay.job_definition.';
COMMENT ON COLUMN belay.job.checksum IS 'SHA-256 of the definition, in hexadecimal.';
COMMENT ON COLUMN belay.job.operations IS 'Number of operations.';
COMMENT ON COLUMN belay.job.min_release IS 'The first release, announced by release_announce, under which it may start; NULL: any.';
COMMENT ON COLUMN belay.job.max_release IS 'The last release under which it may start, and by which it has to be completed if it is required; NULL: any.';
COMMENT ON COLUMN belay.job.auto_start IS 'True: it starts by itself as soon as its window is open and what it depends on is completed.';
COMMENT ON COLUMN belay.job.loaded IS 'True when it came by a load.';
COMMENT ON COLUMN belay.job.missing IS 'True when the last load did not hold it.';
COMMENT ON COLUMN belay.job.role IS 'The role that registered it, as which it runs.';
COMMENT ON COLUMN belay.job.session_role IS 'That role''s session_user, as whom its worker connects.';
COMMENT ON COLUMN belay.job.search_path IS 'search_path when it was registered, under which it runs.';
COMMENT ON COLUMN belay.job.state IS 'See belay.job_transition.';
COMMENT ON COLUMN belay.job.operation IS 'How many operations are done; while it is rolled back: which one, from 0, comes next.';
COMMENT ON COLUMN belay.job.with_rollback IS 'Of a stopping job: whether what is done is rolled back.';
COMMENT ON COLUMN belay.job.percent IS 'Progress, as it was measured last.';
COMMENT ON COLUMN belay.job.passed IS 'Rows that the operation in hand has passed.';
COMMENT ON COLUMN belay.job.estimate IS 'Rows of the table of the operation in hand, as the planner knew them when it began.';
COMMENT ON COLUMN belay.job.rows IS 'Rows that its batches have changed since it was started.';
COMMENT ON COLUMN belay.job.rows_before IS 'As many of them when its present worker took it up.';
COMMENT ON COLUMN belay.job.errors IS 'How many errors there were; belay.job_errors has the last 100.';
COMMENT ON COLUMN belay.job.waits_for IS 'What its batches wait for.';
COMMENT ON COLUMN belay.job.pid IS 'The session that works on it, or did last; whether it does is told by its lock.';
COMMENT ON COLUMN belay.job.note IS 'Why it was skipped, or is complete without having run.';
COMMENT ON COLUMN belay.job.resumed_at IS 'When its present worker took it up.';
COMMENT ON COLUMN belay.job.changed_at IS 'When its state changed last.';

CREATE TABLE belay.job_definition (
    job_id     bigint NOT NULL,
    definition jsonb NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT job_definition_pkey PRIMARY KEY (job_id)
);
COMMENT ON TABLE belay.job_definition IS 'The operations and conditions of jobs, as registered. Private: SQL text may hold secrets.';
COMMENT ON COLUMN belay.job_definition.parameters IS 'What job_start was given: {"name": value}.';

CREATE TABLE belay.job_error (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    job_id      bigint NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    operation   integer,
    direction   text NOT NULL,
    sqlstate    text NOT NULL,
    message     text NOT NULL,
    detail      text,
    hint        text,
    context     text,
    CONSTRAINT job_error_pkey PRIMARY KEY (id),
    CONSTRAINT job_error_direction_check CHECK (direction IN ('start', 'forward', 'rollback'))
);
CREATE INDEX job_error_job ON belay.job_error (job_id, id);
COMMENT ON TABLE belay.job_error IS 'What went wrong in jobs, never overwritten, the last 100 of each. Private: messages may hold data.';
COMMENT ON COLUMN belay.job_error.operation IS 'The operation, from 1; NULL: before the first.';

CREATE TABLE belay.job_batch (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    job_id      bigint NOT NULL,
    operation   integer NOT NULL,
    direction   text NOT NULL,
    cut_from    bigint,
    lower_key   text[],
    upper_key   text[],
    cursor      text[],
    size        integer NOT NULL,
    sub_batch   integer NOT NULL,
    first_sub_batch integer NOT NULL,
    state       text NOT NULL DEFAULT 'running',
    attempts    integer NOT NULL DEFAULT 1,
    passed      bigint NOT NULL DEFAULT 0,
    rows        bigint NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at timestamptz,
    duration    interval NOT NULL DEFAULT '0',
    sqlstate    text,
    message     text,
    CONSTRAINT job_batch_pkey PRIMARY KEY (id),
    CONSTRAINT job_batch_direction_check CHECK (direction IN ('forward', 'rollback')),
    CONSTRAINT job_batch_state_check CHECK (state IN ('running', 'failed', 'succeeded')),
    CONSTRAINT job_batch_size_check CHECK (size > 0 AND sub_batch > 0)
);
CREATE INDEX job_batch_job ON belay.job_batch (job_id, operation, direction, id);
COMMENT ON TABLE belay.job_batch IS 'The batches of jobs: a range of keys each, done in sub-batches that commit one by one together with the cursor. Private: keys are data.';
COMMENT ON COLUMN belay.job_batch.operation IS 'The operation, from 1.';
COMMENT ON COLUMN belay.job_batch.cut_from IS 'The batch that it was the first half of; NULL: cut from the table.';
COMMENT ON COLUMN belay.job_batch.lower_key IS 'The key before its first row; NULL: from the beginning.';
COMMENT ON COLUMN belay.job_batch.upper_key IS 'The key of its last row; NULL: to the end.';
COMMENT ON COLUMN belay.job_batch.cursor IS 'The key of the last row that is done; NULL: none yet.';
COMMENT ON COLUMN belay.job_batch.size IS 'Rows that it was cut for.';
COMMENT ON COLUMN belay.job_batch.sub_batch IS 'Rows of a sub-batch; becomes smaller when one takes too long.';
COMMENT ON COLUMN belay.job_batch.first_sub_batch IS 'Rows of a sub-batch when the operation began.';
COMMENT ON COLUMN belay.job_batch.attempts IS 'How often it was tried.';
COMMENT ON COLUMN belay.job_batch.duration IS 'Time that its sub-batches took, without pauses.';

-- Not dumped, and with another oid in a copy: there the jobs of somebody else's database wait for a word.
CREATE TABLE belay.job_home (
    database    oid NOT NULL,
    released_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    released_by name NOT NULL,
    CONSTRAINT job_home_pkey PRIMARY KEY (database)
);
COMMENT ON TABLE belay.job_home IS 'The database in which jobs run, by its oid: a copy, by CREATE DATABASE ... TEMPLATE or by pg_dump, is another one, and runs none before belay.jobs_release().';

CREATE FUNCTION belay.judge_job() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- A restore brings jobs as they were, before the ledger is sealed.
        IF NEW.state <> 'not_started' AND EXISTS (SELECT FROM belay.seal) THEN
            RAISE EXCEPTION USING ERRCODE = 'MG020',
                MESSAGE = format('job "%s" cannot begin in state %s', NEW.name, NEW.state),
                HINT = 'SELECT belay.job_register(...) makes a job';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state <> OLD.state THEN
        IF NOT EXISTS (SELECT FROM belay.job_transition t WHERE t.from_state = OLD.state AND t.to_state = NEW.state) THEN
            RAISE EXCEPTION USING ERRCODE = 'MG020',
                MESSAGE = format('job "%s" cannot come from %s to %s', NEW.name, OLD.state, NEW.state),
                DETAIL = format('possible: %s', coalesce((SELECT string_agg(format('%s (%s)', t.to_state, t.happens), ', ' ORDER BY t.to_state)
                                                   FROM belay.job_transition t WHERE t.from_state = OLD.state), 'nothing')),
                HINT = 'SELECT * FROM belay.job_status() says what can be done';
        END IF;
        NEW.changed_at := clock_timestamp();
        IF current_setting('belay.notify', true) IS DISTINCT FROM 'off' THEN
            PERFORM pg_notify('belay', json_build_object('job', NEW.name, 'state', NEW.state,
                'project', (SELECT p.name FROM belay.project p WHERE p.id = NEW.project_id))::text);
        END IF;
    END IF;
    IF NEW.checksum <> OLD.checksum AND OLD.state NOT IN ('not_started', 'failed_at_startup', 'rolled_back') THEN
        RAISE EXCEPTION USING ERRCODE = 'MG003',
            MESSAGE = format('job "%s" is %s: its definition cannot change any more', NEW.name, OLD.state),
            HINT = 'register the change as another job; a job that is rolled back may change';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION belay.judge_job IS 'Trigger of belay.job: refuses (MG020) a change of state that belay.job_transition does not have, and (MG003) another definition of what has begun; sends NOTIFY.';
CREATE TRIGGER job_judged BEFORE INSERT OR UPDATE ON belay.job FOR EACH ROW EXECUTE FUNCTION belay.judge_job();
CREATE TRIGGER job_kept BEFORE TRUNCATE ON belay.job FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('jobs are taken out one by one', 'SELECT belay.job_unregister(name)');
CREATE TRIGGER job_error_frozen BEFORE UPDATE OR TRUNCATE ON belay.job_error FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('errors are kept as they were', 'SELECT * FROM belay.job_errors reads them');
CREATE TRIGGER job_transition_frozen BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON belay.job_transition FOR EACH STATEMENT
    EXECUTE FUNCTION belay.refuse_change('the states of jobs are those of the extension', 'SELECT * FROM belay.job_transition reads them');
ALTER TABLE belay.job ENABLE ALWAYS TRIGGER job_judged;
ALTER TABLE belay.job ENABLE ALWAYS TRIGGER job_kept;
ALTER TABLE belay.job_error ENABLE ALWAYS TRIGGER job_error_frozen;
ALTER TABLE belay.job_transition ENABLE ALWAYS TRIGGER job_transition_frozen;

-- ---------------------------------------------------------------------------
-- Jobs: registering and steering
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.job_register(
    name text, operations jsonb, description text DEFAULT NULL, depends_on text[] DEFAULT NULL,
    min_release text DEFAULT NULL, max_release text DEFAULT NULL, precheck text DEFAULT NULL, healthcheck text DEFAULT NULL,
    is_required text DEFAULT NULL, progress text DEFAULT NULL, parameters jsonb DEFAULT NULL, auto_start boolean DEFAULT false,
    project text DEFAULT 'default')
RETURNS belay.job LANGUAGE c AS 'MODULE_PATHNAME', 'job_register_wrapper';
COMMENT ON FUNCTION belay.job_register IS
'Registers a job, which runs later as the role that registers it now. Registering the same again changes nothing; what has not begun, or was rolled back, takes another definition.
operations: an array of {"sql": ..., "rollback": ..., "timeout": "30s"} and {"batch": {"table", "set" or "select" or "procedure", "where", "size", "sub_batch", "max_size", "interval", "pause"}, "rollback": SQL or {"batch": ...}}. A rollback has to bear that its operation has not run, or only in part.
precheck, healthcheck: queries that return true, or false and a text why not. is_required: a query that returns whether it has to run. progress: a query that returns percent. parameters: {"name": {"default": ..., "description": ...}}, read in SQL by belay.job_parameter(name). auto_start: begins by itself as soon as it may.
Errors: MG003 another definition of a job that has begun; 22023 what cannot be read, or a window that no release can meet together with those of the jobs it depends on; 42501 superusers (belay.allow_superuser_jobs), or another role''s job; MG010, MG011, MG012, 25006.';

CREATE FUNCTION belay.job_unregister(name text, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_unregister_wrapper';
COMMENT ON FUNCTION belay.job_unregister IS 'Takes a job out, with its errors and batches; returns the state it was in. Errors: MG020 it is under way, or another job depends on it; MG011, 42501, 25006.';

CREATE FUNCTION belay.job_start(name text, parameters jsonb DEFAULT NULL, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_start_wrapper';
COMMENT ON FUNCTION belay.job_start IS
'Starts a job, from its first operation, in a background worker that takes it up when this transaction commits; returns the new state, starting. From not_started, failed_at_startup and rolled_back. parameters: {"name": value}, for those that the definition has.
The worker looks, in this order: is_required (no: completed), the definition is there, the window is open, what it depends on is completed, precheck, healthcheck. What fails is in belay.job_errors, with state failed_at_startup.
Errors: MG020 its state or its window; 22023 unknown parameter; MG011, 42501 another role''s job, 25006.';

CREATE FUNCTION belay.job_stop(name text, rollback boolean DEFAULT true, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_stop_wrapper';
COMMENT ON FUNCTION belay.job_stop IS
'Stops a job: what its worker has in hand is cancelled and undone. With rollback everything that is done is rolled back, else it stays (errored) and job_resume goes on. A job that is only starting is rolled_back at once, and no worker takes it. Returns the new state. Errors: MG020 its state, MG011, 42501, 25006.';

CREATE FUNCTION belay.job_pause(name text, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_pause_wrapper';
COMMENT ON FUNCTION belay.job_pause IS 'Lets a running job end its operation or sub-batch in hand, and rest there until job_resume. Returns the new state. Errors: MG020 its state, MG011, 42501, 25006.';

CREATE FUNCTION belay.job_resume(name text, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_resume_wrapper';
COMMENT ON FUNCTION belay.job_resume IS 'Goes on with a job that is paused or errored, at its operation and batch, without the checks of the start. Returns the new state. Errors: MG020 its state, MG011, 42501, 25006.';

CREATE FUNCTION belay.job_retry(name text, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_retry_wrapper';
COMMENT ON FUNCTION belay.job_retry IS 'Tries again what has failed: an errored job goes on at its operation, and its failed batches get three attempts more; one that failed at startup starts. Returns the new state. Errors: MG020 its state, MG011, 42501, 25006.';

CREATE FUNCTION belay.job_rollback(name text, force boolean DEFAULT false, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_rollback_wrapper';
COMMENT ON FUNCTION belay.job_rollback IS 'Rolls back a job that is errored or paused, from the operation in hand to the first; with force also one that is completed. Returns the new state. Errors: MG020 its state, MG011, 42501, 25006.';

CREATE FUNCTION belay.job_skip(name text, reason text, project text DEFAULT 'default') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'job_skip_wrapper';
COMMENT ON FUNCTION belay.job_skip IS 'Says that a job is completed without running it, or the rest of it; the reason is kept in belay.job.note. Returns the new state. Errors: MG020 its state, 22023 no reason, MG011, 42501, 25006.';

CREATE PROCEDURE belay.job_finalize(name text, project text DEFAULT 'default')
LANGUAGE c AS 'MODULE_PATHNAME', 'job_finalize_wrapper';
COMMENT ON PROCEDURE belay.job_finalize IS
'Runs what is left of a job in this session, as its registrant, which the caller has to be: starts it with all checks, or goes on with what is paused or errored (with fresh attempts for its failed batches). The first error is raised, after it was written down; the job is then errored or rolled back, as in a worker. A completed job is a no-op.
Errors: the operation''s own; MG020 its state; 55P03 a worker is at it; 42501 not its registrant; 25001 inside a transaction block.';

CREATE PROCEDURE belay.job_work(job bigint)
LANGUAGE c AS 'MODULE_PATHNAME', 'job_work_wrapper';
COMMENT ON PROCEDURE belay.job_work IS 'Internal: what a background worker runs.';

CREATE FUNCTION belay.job_tick() RETURNS integer
LANGUAGE c AS 'MODULE_PATHNAME', 'job_tick_wrapper';
COMMENT ON FUNCTION belay.job_tick IS
'Starts workers for the jobs of this database that are due and have none: started, or interrupted by a crash or restart (belay.job_auto_continue), or to be started by themselves. Returns how many workers. For pg_cron, where shared_preload_libraries does not have pg_belay; with it the launcher does the same every belay.naptime. Does nothing on a standby, and in a copy of a database before belay.jobs_release().';

CREATE FUNCTION belay.jobs_release() RETURNS integer
LANGUAGE c AS 'MODULE_PATHNAME', 'jobs_release_wrapper';
COMMENT ON FUNCTION belay.jobs_release IS
'Lets the jobs of a restored or copied database run in it. Returns how many are under way. Until then job_status says so, and no worker takes any up. For the owner of the extension. Errors: 42501, 25006.';

CREATE FUNCTION belay.job_parameter(name text) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'job_parameter_wrapper';
COMMENT ON FUNCTION belay.job_parameter IS 'Of the job that this session runs: the value that job_start was given, or the default of the definition, as text. Errors: 22023 it has no such parameter, or no job runs here.';

-- ---------------------------------------------------------------------------
-- Runs by a worker
-- ---------------------------------------------------------------------------
-- Not dumped: a copy must not begin somebody else's runs.
CREATE TABLE belay.run_request (
    run_id       bigint NOT NULL,
    project_id   integer NOT NULL,
    database     oid NOT NULL,
    options      jsonb NOT NULL,
    role         name NOT NULL,
    session_role name NOT NULL,
    search_path  text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    state        text NOT NULL DEFAULT 'waiting',
    ended_at     timestamptz,
    sqlstate     text,
    message      text,
    detail       text,
    hint         text,
    context      text,
    CONSTRAINT run_request_pkey PRIMARY KEY (run_id),
    CONSTRAINT run_request_state_check CHECK (state IN ('waiting', 'running', 'ended', 'withdrawn'))
);
-- What a worker may have to take up.
CREATE INDEX run_request_open ON belay.run_request (run_id) WHERE state IN ('waiting', 'running');
COMMENT ON TABLE belay.run_request IS 'What belay.migrate_start was asked for; forgotten a week after its end. Private: messages may hold data.';
COMMENT ON COLUMN belay.run_request.run_id IS 'The number of the run, which has a row in belay.run when it has begun.';
COMMENT ON COLUMN belay.run_request.database IS 'The database in which it was asked for: a copy by CREATE DATABASE ... TEMPLATE does not begin it.';
COMMENT ON COLUMN belay.run_request.options IS 'The arguments of migrate_up.';
COMMENT ON COLUMN belay.run_request.role IS 'Who asked, and as whom it runs.';
COMMENT ON COLUMN belay.run_request.session_role IS 'That role''s session_user, as whom its worker connects.';
COMMENT ON COLUMN belay.run_request.sqlstate IS 'Of the error with which the run has ended, also before it began; NULL: none.';

CREATE FUNCTION belay.migrate_start(
    target text DEFAULT NULL, steps integer DEFAULT NULL, phase text DEFAULT NULL, release text DEFAULT NULL,
    ordering text DEFAULT NULL, transaction text DEFAULT NULL, on_contention text DEFAULT NULL,
    wait interval DEFAULT NULL, reason text DEFAULT NULL, trust text[] DEFAULT NULL,
    on_privileged text DEFAULT NULL, gate text DEFAULT NULL, project text DEFAULT 'default')
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_start_wrapper';
COMMENT ON FUNCTION belay.migrate_start IS
'belay.migrate_up by a background worker, which begins when this transaction commits; returns the number of the run at once. CALL belay.migrate_wait(run => ...) waits for it, belay.run_cancel(run) ends it. It runs as the role that asks, with the settings of its sessions. What a crash interrupts is lost, as any run.
Errors: those of its arguments at once, as migrate_up; the others by migrate_wait, and in belay.migrate_history(). 42501 a role that may not log in, MG021.';

CREATE FUNCTION belay.run_cancel(run bigint) RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'run_cancel_wrapper';
COMMENT ON FUNCTION belay.run_cancel IS
'Ends a run that goes on, wherever: what it has in hand is undone, what is applied stays. Returns cancelling; or withdrawn, for one of migrate_start that has not begun. For members of its role. Errors: 55000 it has ended, MG011 no such run, 42501, 25006.';

CREATE PROCEDURE belay.run_work(run bigint)
LANGUAGE c AS 'MODULE_PATHNAME', 'run_work_wrapper';
COMMENT ON PROCEDURE belay.run_work IS 'Internal: what a background worker runs.';

-- ---------------------------------------------------------------------------
-- Jobs: looking
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.release_window(min_release text, max_release text, release text) RETURNS text
LANGUAGE c IMMUTABLE AS 'MODULE_PATHNAME', 'release_window_wrapper';
COMMENT ON FUNCTION belay.release_window IS
'open, future or missed: where a release stands to two bounds, both inclusive, by the precedence of Semantic Versioning 2.0.0 (section 11). Without a release a bounded window is future. Error: 22023 not a release.';

CREATE FUNCTION belay.ignores_windows(project text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT $1 = ANY (regexp_split_to_array(coalesce(current_setting('belay.ignore_release_windows', true), ''), '\s*,\s*'))
$$;
COMMENT ON FUNCTION belay.ignores_windows IS 'Whether belay.ignore_release_windows names the project.';

CREATE FUNCTION belay.is_released() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM belay.job_home h JOIN pg_database d ON d.oid = h.database WHERE d.datname = current_database())
$$;
COMMENT ON FUNCTION belay.is_released IS 'Whether jobs run in this database: not in a copy before belay.jobs_release().';

-- Whether current_user may see what a job of that role says; inside a view current_user is who asks.
CREATE VIEW belay.job_errors WITH (security_barrier) AS
    SELECT p.name AS project, j.name AS job, e.occurred_at, e.operation, e.direction, e.sqlstate, e.message, e.detail, e.hint, e.context
      FROM belay.job_error e JOIN belay.job j ON j.id = e.job_id JOIN belay.project p ON p.id = j.project_id
     WHERE pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE')
        OR pg_catalog.pg_has_role((SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = j.role), 'USAGE')
     ORDER BY e.id DESC;
COMMENT ON VIEW belay.job_errors IS 'What went wrong in jobs, newest first, the last 100 of each: for the registrant''s role and members of pg_monitor.';

CREATE VIEW belay.job_batches WITH (security_barrier) AS
    SELECT p.name AS project, j.name AS job, b.operation, b.direction, b.state, b.lower_key, b.upper_key, b.cursor, b.size, b.sub_batch,
           b.attempts, b.passed, b.rows, b.started_at, b.finished_at, b.duration, b.sqlstate, b.message
      FROM belay.job_batch b JOIN belay.job j ON j.id = b.job_id JOIN belay.project p ON p.id = j.project_id
     WHERE pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE')
        OR pg_catalog.pg_has_role((SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = j.role), 'USAGE')
     ORDER BY b.id;
COMMENT ON VIEW belay.job_batches IS 'The batches of jobs with their timings: for the registrant''s role and members of pg_monitor. A row is passed when its sub-batch is committed.';

CREATE FUNCTION belay.job_status(project text DEFAULT NULL)
RETURNS TABLE (project_name text, name text, state text, operation integer, operations integer, percent numeric, rows bigint, rows_per_second numeric,
               eta interval, waits_for text, last_error text, errors bigint, worker integer, started_at timestamptz, finished_at timestamptz, next_command text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project;
    released boolean := belay.is_released();
BEGIN
    IF job_status.project IS NOT NULL THEN
        p := belay.find_project(job_status.project);
    END IF;
    RETURN QUERY
    -- 1651272290 is the class of the advisory locks of jobs, ASCII "bljb".
    WITH worker AS MATERIALIZED (
        SELECT k.objid::bigint AS low, k.pid FROM pg_locks k
         WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.classid = 1651272290::oid
           AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
    ), row AS (
        SELECT j.*, q.name AS project_name, w.pid AS at_work,
               CASE WHEN q.name = 'default' THEN '' ELSE format(', project => %L', q.name) END AS more,
               CASE WHEN j.batch_estimate > 0
                    THEN round(least(100, 100 * (j.operation + least(j.passed::numeric / j.batch_estimate, 1)) / greatest(j.operations, 1)), 2)
                    ELSE j.percent END AS now_percent,
               CASE WHEN w.pid IS NOT NULL AND j.rows > j.rows_before
                    THEN round((j.rows - j.rows_before) / greatest(extract(epoch FROM clock_timestamp() - j.resumed_at), 0.001)) END AS rate,
               belay.release_window(j.min_release, j.max_release, a.release) AS standing, a.release AS announced
          FROM (SELECT x.*, CASE WHEN x.state IN ('running', 'paused', 'errored') THEN x.estimate END AS batch_estimate FROM belay.job x) j
          JOIN belay.project q ON q.id = j.project_id
          LEFT JOIN worker w ON w.low = j.id % 4294967296
          LEFT JOIN LATERAL (SELECT n.release FROM belay.announcement n WHERE n.project_id = j.project_id ORDER BY n.id DESC LIMIT 1) a ON true
         WHERE p.id IS NULL OR j.project_id = p.id
    )
    SELECT r.project_name, r.name, r.state,
           CASE WHEN r.state = 'completed' THEN r.operations WHEN r.state IN ('not_started', 'starting', 'failed_at_startup', 'rolled_back') THEN 0
                ELSE least(r.operation + 1, r.operations) END,
           r.operations, r.now_percent, r.rows, r.rate,
           CASE WHEN r.state = 'running' AND r.rate > 0 AND r.batch_estimate > r.passed
                THEN make_interval(secs => round((r.batch_estimate - r.passed) / r.rate)::double precision) END,
           CASE WHEN r.state IN ('starting', 'running', 'stopping', 'rolling_back') THEN
                CASE WHEN NOT released THEN 'belay.jobs_release(): this database is a copy'
                     WHEN r.at_work IS NULL THEN 'a worker'
                     ELSE r.waits_for END
                WHEN r.state = 'not_started' AND r.standing <> 'open' THEN format('release %s', r.min_release) END,
           -- Messages may hold data: for whoever belay.job_errors shows them to, or can become.
           (SELECT CASE WHEN pg_has_role(session_user, 'pg_monitor', 'MEMBER')
                          OR pg_has_role(session_user, (SELECT a.oid FROM pg_roles a WHERE a.rolname = r.role), 'MEMBER')
                        THEN format('%s: %s', e.sqlstate, e.message) ELSE e.sqlstate END
              FROM belay.job_error e WHERE e.job_id = r.id ORDER BY e.id DESC LIMIT 1),
           r.errors, r.at_work, r.started_at, r.finished_at,
           CASE WHEN r.state IN ('starting', 'running', 'stopping', 'rolling_back') AND NOT released THEN 'SELECT belay.jobs_release()'
                WHEN r.state IN ('starting', 'running', 'stopping', 'rolling_back') AND r.at_work IS NULL THEN 'SELECT belay.job_tick()'
                WHEN r.state = 'paused' THEN format('SELECT belay.job_resume(%L%s)', r.name, r.more)
                WHEN r.state = 'errored' THEN format('SELECT belay.job_retry(%L%s)', r.name, r.more)
                WHEN r.state IN ('not_started', 'failed_at_startup', 'rolled_back') AND r.standing = 'missed'
                THEN format('SELECT belay.release_announce(%L%s)', r.max_release, r.more)
                WHEN r.state IN ('not_started', 'failed_at_startup', 'rolled_back') AND r.standing = 'open'
                THEN format('SELECT belay.job_start(%L%s)', r.name, r.more) END
      FROM row r
     ORDER BY r.project_name, r.name;
END $$;
COMMENT ON FUNCTION belay.job_status IS
'One row a job of a project, or of all (NULL), by name: state, the operation in hand of how many, percent, rows that batches have changed and how many a second, when the table in hand should be done, what it waits for, its last error (who may not read belay.job_errors sees its SQLSTATE), the pid of its worker, and what to do about it.
A job whose worker has died waits for ''a worker''. Errors: MG011 unknown project.';

CREATE FUNCTION belay.jobs_actionable(project text DEFAULT 'default')
RETURNS TABLE (name text, state text, description text, min_release text, max_release text, next_command text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(jobs_actionable.project);
    announced text := belay.announced_release(p.name);
BEGIN
    RETURN QUERY SELECT j.name, j.state, j.description, j.min_release, j.max_release, s.next_command
      FROM belay.job j JOIN belay.job_status(p.name) s ON s.name = j.name
     WHERE j.project_id = p.id AND j.state <> 'completed'
       AND (j.state NOT IN ('not_started', 'failed_at_startup', 'rolled_back') OR belay.ignores_windows(p.name)
            OR belay.release_window(j.min_release, j.max_release, announced) = 'open')
     ORDER BY j.name;
END $$;
COMMENT ON FUNCTION belay.jobs_actionable IS 'The jobs that are under way, or may start now: their window is open for the announced release. Errors: MG011 unknown project.';

CREATE FUNCTION belay.jobs_future(project text DEFAULT 'default')
RETURNS TABLE (name text, state text, description text, "window" text, min_release text, max_release text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(jobs_future.project);
    announced text := belay.announced_release(p.name);
BEGIN
    RETURN QUERY SELECT j.name, j.state, j.description, belay.release_window(j.min_release, j.max_release, announced), j.min_release, j.max_release
      FROM belay.job j
     WHERE j.project_id = p.id AND j.state IN ('not_started', 'failed_at_startup', 'rolled_back') AND NOT belay.ignores_windows(p.name)
       AND belay.release_window(j.min_release, j.max_release, announced) <> 'open'
     ORDER BY j.name;
END $$;
COMMENT ON FUNCTION belay.jobs_future IS
'The jobs that may not start under the announced release. window: future (from min_release on), or missed: announce a release up to max_release again, run them, then go on. Errors: MG011 unknown project.';

CREATE FUNCTION belay.jobs_completed(project text DEFAULT 'default')
RETURNS TABLE (name text, description text, started_at timestamptz, finished_at timestamptz, rows bigint, note text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(jobs_completed.project);
BEGIN
    RETURN QUERY SELECT j.name, j.description, j.started_at, j.finished_at, j.rows, j.note
      FROM belay.job j WHERE j.project_id = p.id AND j.state = 'completed' ORDER BY j.finished_at, j.name;
END $$;
COMMENT ON FUNCTION belay.jobs_completed IS 'The jobs that are completed; note: why, where one was skipped or not required. Errors: MG011 unknown project.';

CREATE FUNCTION belay.job_is_complete(name text, project text DEFAULT 'default') RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(job_is_complete.project);
    found_state text;
BEGIN
    IF job_is_complete.name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'name must not be null', HINT = 'pass name => a value; an unset variable is not one';
    END IF;
    SELECT j.state INTO found_state FROM belay.job j WHERE j.project_id = p.id AND j.name = job_is_complete.name;
    IF found_state IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'MG011', MESSAGE = format('job "%s" does not exist in project "%s"', job_is_complete.name, p.name),
            HINT = 'SELECT name FROM belay.job_status() lists the jobs; a load or belay.job_register() makes one';
    END IF;
    RETURN found_state = 'completed';
END $$;
COMMENT ON FUNCTION belay.job_is_complete IS 'Whether a job is completed: what application code switches on. Errors: MG011 unknown project or job.';

CREATE FUNCTION belay.jobs_ok(project text DEFAULT 'default') RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(jobs_ok.project);
    announced text := belay.announced_release(p.name);
BEGIN
    RETURN NOT EXISTS (SELECT FROM belay.job j
        WHERE j.project_id = p.id AND j.state NOT IN ('completed', 'running')
          AND belay.release_window(j.min_release, j.max_release, announced) = 'open');
END $$;
COMMENT ON FUNCTION belay.jobs_ok IS 'Whether every job whose window is open for the announced release is completed or running. Errors: MG011 unknown project.';

CREATE FUNCTION belay.upgrade_check(
    release text, project text DEFAULT 'default', OUT name text, OUT state text, OUT reason text, OUT min_release text, OUT max_release text, OUT next_command text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'upgrade_check_wrapper';
COMMENT ON FUNCTION belay.upgrade_check IS
'What stands in the way of deploying a release, one row a job: required, not completed, and its max_release is older; under way; errored. No row: deploy. A job is required unless its is_required says no, which is asked as its registrant; a query that fails counts as no.
migrate_up(release => ...) asks the same. Errors: 22023 not a release, MG011 unknown project.';

CREATE FUNCTION belay.upgrade_assert(release text, project text DEFAULT 'default') RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'upgrade_assert_wrapper';
COMMENT ON FUNCTION belay.upgrade_assert IS 'Raises MG021, with the list, where belay.upgrade_check has a row: for the start-up of a release and for CI. Other errors as there.';

-- ---------------------------------------------------------------------------
-- Roles. Which routine belongs to which stands here and nowhere else; a test asks that each
-- routine is in one of the lists, or internal.
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.grant_role(role text, rights text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Looks, and waits until others have migrated.
    reading CONSTANT text[] := '{migrate_status, migrate_plan, migrate_check, migrate_validate, migrate_wait, migrate_history, touched_by,
                                 last_run, migrate_checksum, check_order, check_order_directories, footprints,
                                 snapshot, snapshot_hash, snapshot_diff, contract_check, versioned_name, object_versions,
                                 release_status, announced_release, clients,
                                 job_status, jobs_actionable, jobs_future, jobs_completed, job_is_complete, jobs_ok, release_window, ignores_windows, is_released,
                                 upgrade_check, upgrade_assert}';
    -- Registers and runs; what the migrations do, the role must be allowed to do.
    deploying CONSTANT text[] := '{migrate_register, migrate_load, migrate_load_files, migrate_unregister, migrate_rename,
                                   migrate_up, migrate_down, migrate_to, migrate_redo, migrate_repair,
                                   contract_query, contract_queries, contract_from_statements, seen_statements, contract_query_drop,
                                   release_announce, client_checkin, client_checkout,
                                   with_lock_retries, update_in_batches, sync_columns, is_out_of_step, add_concurrent_index, remove_concurrent_index,
                                   rename_column_concurrently, undo_rename_column_concurrently,
                                   cleanup_concurrent_column_rename, undo_cleanup_concurrent_column_rename,
                                   change_column_type_concurrently, undo_change_column_type_concurrently,
                                   cleanup_concurrent_column_type_change, undo_cleanup_concurrent_column_type_change,
                                   job_register, job_unregister, job_start, job_stop, job_pause, job_resume, job_retry, job_rollback, job_skip,
                                   job_finalize, job_work, job_parameter, job_tick, migrate_start, run_cancel, run_work}';
    -- The application's own role: says which release runs, and nothing else.
    serving CONSTANT text[] := '{client_checkin, client_checkout, announced_release, migrate_wait,
                                 job_is_complete, jobs_ok, release_window, upgrade_check, upgrade_assert}';
    -- Makes the rules, and says what the ledger shall believe.
    owning CONSTANT text[] := '{project_create, project_alter, migrate_mark, migrate_baseline, migrate_accept_late, history_prune,
                                jobs_release}';
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
        EXECUTE format('GRANT SELECT ON belay.definition, belay.step_error, belay.contract_query, belay.job_definition, belay.job_error, belay.job_batch TO %I', grant_role.role);
    END IF;
END $$;
COMMENT ON FUNCTION belay.grant_role IS
'Grants a role, for all projects of this database, what it takes to be client (an application: checks in and out, asks which release is announced, waits for migrations, asks for jobs), reader (looks, SQL texts and error messages included), deployer (looks, registers, loads, runs, repairs, changes tables online, announces releases and steers its own jobs; no SQL texts) or owner (both, and makes and alters projects, marks, baselines, accepts late migrations, prunes the history, and lets jobs run in a copy). Grants add up and nothing is taken away. Call it again after an update of the extension.
For the owner of the extension and superusers. Errors: 22023 unknown rights or NULL, 42501 may not grant, 42704 unknown role.';

-- ---------------------------------------------------------------------------
-- Grants: everybody may look at the tables that hold no SQL text, message or
-- detail; what else a role may do is granted by belay.grant_role.
-- ---------------------------------------------------------------------------
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA belay FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA belay FROM PUBLIC;
GRANT SELECT ON belay.project, belay.migration, belay.pending, belay.applied, belay.run, belay.step, belay.unfinished,
    belay.announcement, belay.release_base, belay.client, belay.column_change, belay.progress,
    belay.job, belay.job_transition, belay.job_home, belay.job_errors, belay.job_batches TO PUBLIC;
GRANT SELECT ON belay.job_error, belay.job_batch, belay.run_request TO pg_monitor;
GRANT EXECUTE ON FUNCTION belay.job_status, belay.jobs_actionable, belay.jobs_future, belay.jobs_completed, belay.job_is_complete, belay.jobs_ok,
    belay.upgrade_check TO pg_monitor;

-- ---------------------------------------------------------------------------
-- pg_dump: all of it is user data
-- ---------------------------------------------------------------------------
SELECT pg_catalog.pg_extension_config_dump('belay.project', '');
SELECT pg_catalog.pg_extension_config_dump('belay.project_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.definition', '');
SELECT pg_catalog.pg_extension_config_dump('belay.definition_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.migration', '');
SELECT pg_catalog.pg_extension_config_dump('belay.migration_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.pending', '');
SELECT pg_catalog.pg_extension_config_dump('belay.run', '');
SELECT pg_catalog.pg_extension_config_dump('belay.run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.step', '');
SELECT pg_catalog.pg_extension_config_dump('belay.step_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.step_error', '');
SELECT pg_catalog.pg_extension_config_dump('belay.applied', '');
SELECT pg_catalog.pg_extension_config_dump('belay.unfinished', '');
SELECT pg_catalog.pg_extension_config_dump('belay.announcement', '');
SELECT pg_catalog.pg_extension_config_dump('belay.announcement_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.release_base', '');
SELECT pg_catalog.pg_extension_config_dump('belay.client', '');
SELECT pg_catalog.pg_extension_config_dump('belay.contract_query', '');
SELECT pg_catalog.pg_extension_config_dump('belay.backfill', '');
SELECT pg_catalog.pg_extension_config_dump('belay.backfill_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.column_change', '');
SELECT pg_catalog.pg_extension_config_dump('belay.column_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_definition', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_error', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_error_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_batch', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_batch_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.ledger_clock', '');
