-- Belay 0.5.0 to 0.6.0. What stands here equals, object for object, what pg_belay--0.6.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.6.0'" to load this file. \quit

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
-- Roles
-- ---------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION belay.grant_role(role text, rights text) RETURNS void
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

REVOKE ALL ON FUNCTION belay.judge_job, belay.job_register, belay.job_unregister, belay.job_start, belay.job_stop, belay.job_pause, belay.job_resume,
    belay.job_retry, belay.job_rollback, belay.job_skip, belay.job_tick, belay.jobs_release, belay.job_parameter, belay.migrate_start,
    belay.run_cancel, belay.release_window, belay.ignores_windows, belay.is_released, belay.job_status, belay.jobs_actionable,
    belay.jobs_future, belay.jobs_completed, belay.job_is_complete, belay.jobs_ok, belay.upgrade_check, belay.upgrade_assert FROM PUBLIC;
REVOKE ALL ON PROCEDURE belay.job_finalize, belay.job_work, belay.run_work FROM PUBLIC;
GRANT SELECT ON belay.job, belay.job_transition, belay.job_home, belay.job_errors, belay.job_batches TO PUBLIC;
GRANT SELECT ON belay.job_error, belay.job_batch, belay.run_request TO pg_monitor;
GRANT EXECUTE ON FUNCTION belay.job_status, belay.jobs_actionable, belay.jobs_future, belay.jobs_completed, belay.job_is_complete, belay.jobs_ok,
    belay.upgrade_check TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('belay.job', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_definition', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_error', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_error_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_batch', '');
SELECT pg_catalog.pg_extension_config_dump('belay.job_batch_id_seq', '');

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
         WHERE e.extname = 'pg_belay' AND c.relnamespace = 'belay'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v') AND c.relowner <> e.extowner
    LOOP
        EXECUTE made.command;
    END LOOP;
END $$;
