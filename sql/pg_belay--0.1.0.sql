-- Belay 0.1.0: tables, constraints, triggers, functions, grants and comments.
--
-- The schema is made here, without IF NOT EXISTS: a schema that somebody else
-- owns must not be adopted, since its owner could drop it with the ledger in it.
\echo Use "CREATE EXTENSION pg_belay" to load this file. \quit

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
    CONSTRAINT project_pkey PRIMARY KEY (id),
    CONSTRAINT project_name_key UNIQUE (name),
    CONSTRAINT project_name_check CHECK (name <> '' AND pg_catalog.length(name) <= 63),
    CONSTRAINT project_ordering_check CHECK (ordering IN ('strict', 'permissive')),
    CONSTRAINT project_naming_check CHECK (naming IN ('natural', 'release', 'diesel'))
);
COMMENT ON TABLE belay.project IS 'Independent migration histories in this database, one row each.';
COMMENT ON COLUMN belay.project.id IS 'Second key of the advisory lock that guards the project''s runs.';
COMMENT ON COLUMN belay.project.ordering IS 'strict: what is applied is a prefix of the registry''s order; permissive: late arrivals run.';
COMMENT ON COLUMN belay.project.naming IS 'How names sort: natural, release or diesel. NULL until declared, or found from the first registration or load.';
COMMENT ON COLUMN belay.project.naming_declared IS 'True when naming was declared: then a natural project takes names that look like releases, too.';
COMMENT ON COLUMN belay.project.allow_down IS 'False protects a production project: nothing is ever reverted.';
COMMENT ON COLUMN belay.project.search_path IS 'search_path for the project''s migrations; NULL: the caller''s.';
COMMENT ON COLUMN belay.project.owner IS 'Role whose members may alter the project and loosen its rules for one run.';
COMMENT ON COLUMN belay.project.trusted IS 'Roles whose registered migrations anybody in this project may run with their own rights.';

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
    applied         boolean NOT NULL DEFAULT false,
    pending_since   bigint NOT NULL DEFAULT pg_catalog.nextval('belay.ledger_clock'),
    CONSTRAINT migration_pkey PRIMARY KEY (id),
    CONSTRAINT migration_name_key UNIQUE (project_id, name),
    CONSTRAINT migration_sort_key_key UNIQUE (project_id, sort_key),
    CONSTRAINT migration_project_fkey FOREIGN KEY (project_id) REFERENCES belay.project (id),
    CONSTRAINT migration_definition_fkey FOREIGN KEY (definition_id) REFERENCES belay.definition (id),
    CONSTRAINT migration_name_check CHECK (name <> '' AND pg_catalog.length(name) <= 500),
    CONSTRAINT migration_phase_check CHECK (phase IN ('pre', 'post')),
    CONSTRAINT migration_release_check CHECK ((release IS NULL) = (phase IS NULL)),
    CONSTRAINT migration_lock_timeout_check CHECK (up_lock_timeout >= 0 AND down_lock_timeout >= 0)
);
-- What is pending is found without looking at what is applied: both stay quick with 10,000 applied.
CREATE INDEX migration_pending ON belay.migration (project_id, sort_key) WHERE NOT applied;
CREATE INDEX migration_applied ON belay.migration (project_id, sort_key) WHERE applied;
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
COMMENT ON COLUMN belay.migration.loaded IS 'True when it came by a load; only such migrations are pruned.';
COMMENT ON COLUMN belay.migration.missing IS 'True when the last load did not hold it: another instance is ahead, or its file has gone.';
COMMENT ON COLUMN belay.migration.registered_by IS 'Role that registered the definition now in force.';
COMMENT ON COLUMN belay.migration.applied IS 'Whether belay.applied holds it; kept by the trigger there.';
COMMENT ON COLUMN belay.migration.pending_since IS 'Ledger clock at registration or last revert.';

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
    CONSTRAINT run_project_fkey FOREIGN KEY (project_id) REFERENCES belay.project (id),
    CONSTRAINT run_verb_check CHECK (verb IN ('up', 'down', 'to', 'redo', 'load', 'mark')),
    CONSTRAINT run_ordering_check CHECK (ordering IN ('strict', 'permissive')),
    CONSTRAINT run_transaction_check CHECK (transaction IN ('per_migration', 'per_run', 'caller')),
    CONSTRAINT run_outcome_check CHECK (outcome IN ('succeeded', 'failed', 'lost')),
    CONSTRAINT run_finished_check CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX run_unfinished ON belay.run (project_id) WHERE finished_at IS NULL;
CREATE INDEX run_session ON belay.run (pid, backend_start);
COMMENT ON TABLE belay.run IS 'One row a call that applied or reverted. Append-only: a finished run never changes.';
COMMENT ON COLUMN belay.run.transaction IS 'per_migration, per_run, or caller: inside the caller''s own transaction.';
COMMENT ON COLUMN belay.run.ordering IS 'The ordering policy in force for this run.';
COMMENT ON COLUMN belay.run.outcome IS 'succeeded, failed, or lost: the session died; told by the next run.';
COMMENT ON COLUMN belay.run.applied IS 'Migrations applied and kept by this run.';
COMMENT ON COLUMN belay.run.reverted IS 'Migrations reverted by this run.';

CREATE TABLE belay.step (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    run_id        bigint NOT NULL,
    project_id    integer NOT NULL,
    migration_id  bigint NOT NULL,
    name          text COLLATE "C" NOT NULL,
    direction     text NOT NULL,
    definition_id bigint NOT NULL,
    checksum      text NOT NULL,
    search_path   text NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz,
    outcome       text,
    statement     integer,
    statements    integer,
    sqlstate      text,
    CONSTRAINT step_pkey PRIMARY KEY (id),
    CONSTRAINT step_run_fkey FOREIGN KEY (run_id) REFERENCES belay.run (id),
    CONSTRAINT step_definition_fkey FOREIGN KEY (definition_id) REFERENCES belay.definition (id),
    CONSTRAINT step_direction_check CHECK (direction IN ('up', 'down')),
    CONSTRAINT step_outcome_check CHECK (outcome IN ('applied', 'reverted', 'failed', 'rolled back', 'lost')),
    CONSTRAINT step_finished_check CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX step_migration ON belay.step (migration_id, id);
CREATE INDEX step_run ON belay.step (run_id);
COMMENT ON TABLE belay.step IS 'One row an attempt at one migration in one direction. Append-only: a finished step never changes.';
COMMENT ON COLUMN belay.step.name IS 'The migration''s name at the time.';
COMMENT ON COLUMN belay.step.migration_id IS 'The migration; no foreign key, since history outlives the registry.';
COMMENT ON COLUMN belay.step.checksum IS 'Checksum of the text that ran.';
COMMENT ON COLUMN belay.step.statement IS 'The statement that failed or was in hand, from 1.';
COMMENT ON COLUMN belay.step.statements IS 'Number of statements.';
COMMENT ON COLUMN belay.step.outcome IS 'applied, reverted, failed, rolled back (it succeeded, then its run failed), lost (its session died).';

CREATE TABLE belay.step_error (
    step_id    bigint NOT NULL,
    sqlstate   text NOT NULL,
    message    text NOT NULL,
    detail     text,
    hint       text,
    context    text,
    statement  integer,
    line       integer,
    CONSTRAINT step_error_pkey PRIMARY KEY (step_id),
    CONSTRAINT step_error_step_fkey FOREIGN KEY (step_id) REFERENCES belay.step (id)
);
COMMENT ON TABLE belay.step_error IS 'What a failed step said. Private: messages and details may hold data.';
COMMENT ON COLUMN belay.step_error.line IS 'Line of the file, or of the registered text, at which the statement begins, from 1.';

CREATE TABLE belay.applied (
    migration_id bigint NOT NULL,
    project_id   integer NOT NULL,
    position     bigint NOT NULL DEFAULT pg_catalog.nextval('belay.ledger_clock'),
    step_id      bigint NOT NULL,
    checksum     text NOT NULL,
    applied_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    applied_by   name NOT NULL,
    CONSTRAINT applied_pkey PRIMARY KEY (migration_id),
    CONSTRAINT applied_position_key UNIQUE (project_id, position),
    CONSTRAINT applied_migration_fkey FOREIGN KEY (migration_id) REFERENCES belay.migration (id),
    CONSTRAINT applied_project_fkey FOREIGN KEY (project_id) REFERENCES belay.project (id),
    CONSTRAINT applied_step_fkey FOREIGN KEY (step_id) REFERENCES belay.step (id)
);
COMMENT ON TABLE belay.applied IS 'The migrations in force now.';
COMMENT ON COLUMN belay.applied.position IS 'Execution order, from the ledger clock.';
COMMENT ON COLUMN belay.applied.step_id IS 'The step that applied it.';
COMMENT ON COLUMN belay.applied.checksum IS 'Checksum of the text that ran.';

CREATE TABLE belay.unfinished (
    migration_id  bigint NOT NULL,
    project_id    integer NOT NULL,
    step_id       bigint NOT NULL,
    direction     text NOT NULL,
    statement     integer NOT NULL,
    started       boolean NOT NULL,
    leaves        jsonb,
    done          text[] NOT NULL DEFAULT '{}',
    CONSTRAINT unfinished_pkey PRIMARY KEY (migration_id),
    CONSTRAINT unfinished_migration_fkey FOREIGN KEY (migration_id) REFERENCES belay.migration (id),
    CONSTRAINT unfinished_step_fkey FOREIGN KEY (step_id) REFERENCES belay.step (id),
    CONSTRAINT unfinished_direction_check CHECK (direction IN ('up', 'down')),
    CONSTRAINT unfinished_statement_check CHECK (statement >= 1)
);
-- One project has at most one migration under way: a run finishes or resumes it before anything else.
CREATE UNIQUE INDEX unfinished_project_key ON belay.unfinished (project_id);
COMMENT ON TABLE belay.unfinished IS 'The non-transactional migration of a project that has begun and not ended: where the next run resumes.';
COMMENT ON COLUMN belay.unfinished.statement IS 'The next statement to run, from 1; every earlier one is committed.';
COMMENT ON COLUMN belay.unfinished.started IS 'True: that statement commits by itself and was begun; its outcome is looked up in the catalog before it is repeated.';
COMMENT ON COLUMN belay.unfinished.leaves IS 'What the begun statement leaves behind when it dies: {"kind", "schema", "name", ...}.';
COMMENT ON COLUMN belay.unfinished.done IS 'Checksums of the statements that have been committed, in order.';
